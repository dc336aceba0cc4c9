/*-------------------------------------------------------------------------
 *
 * request_path.c
 *		How is the path of a list or a count written, with its query options?
 *
 * What is meant for the service is escaped, what is shown to a person is not.
 * What cannot be escaped is an error (graph_url_escape()).
 *
 * What this file refuses to know: conditions, when to ask for which part.
 *
 * Sources: OData 4.01 URL conventions, 5.1; RFC 3986 for the escaping.
 *
 * IDENTIFICATION
 *		src/odata/request_path.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/timestamp.h"

#include "odata/graph_odata.h"

/*
 * add_option
 *		Append a query option to a path.
 */
static void
add_option(StringInfo path, const char *name, const char *value, bool escape)
{
	appendStringInfo(path, "%c%s=%s", strchr(path->data, '?') ? '&' : '?',
					 name, escape ? graph_url_escape(value) : value);
}

/*
 * graph_request_path
 *		The path of a list or a count below the service root, with its query
 *		options.
 *
 * page_size is the $top to ask for; escape is false for a person to read.
 */
char *
graph_request_path(const GraphRequest *request, int page_size,
				   bool with_select, bool with_count, bool escape)
{
	StringInfoData path;

	Assert(!graph_mode_has_keys(request->mode) && page_size > 0);
	initStringInfo(&path);
	appendStringInfoString(&path, request->entity_set);
	if (request->filter)
		add_option(&path, "$filter", request->filter, escape);
	if (request->order_property)
		add_option(&path, "$orderby",
				   psprintf("%s %s", request->order_property,
							request->descending ? "desc" : "asc"), escape);
	if (request->select && with_select)
		add_option(&path, "$select", request->select, escape);
	if (with_count || request->mode == GRAPH_SCAN_COUNT)
		add_option(&path, "$count", "true", escape);
	add_option(&path, "$top", psprintf("%d", page_size), escape);
	return path.data;
}

/*
 * graph_window_filter
 *		A $filter that also keeps to a window; filter may be NULL.
 *
 * Like any filter it lets through a little more: what rounds up to the lower
 * bound here is below it at the service, but later than the microsecond before.
 */
char *
graph_window_filter(const char *filter, const char *property,
					const GraphWindow *window)
{
	char	   *lower = graph_time_literal(graph_time_moved(window->lower, -1));
	char	   *upper = graph_time_literal(window->upper);
	StringInfoData result;

	initStringInfo(&result);
	if (filter)
		appendStringInfo(&result, " and %s", filter);
	if (window->nulls)
		appendStringInfo(&result, " and %s eq null", property);
	else if (lower)
		appendStringInfo(&result, " and %s %s %s", property,
						 window->after ? "gt" : "ge", lower);
	if (!window->nulls && upper)
		appendStringInfo(&result, " and %s lt %s", property, upper);
	return result.len > 0 ? result.data + strlen(" and ") : NULL;
}
