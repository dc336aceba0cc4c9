/*-------------------------------------------------------------------------
 *
 * filter.c
 *		Which $filter are several conditions together?
 *
 * Each is written by deparse.c, and all must hold.  There is room for so many
 * bytes: what does not fit is left out, and checked locally as always.  What the
 * plan says is sent, is sent: conditions whose values are constants come first,
 * and reserve their room while the query is planned.
 *
 * What this file refuses to know: the planner, what a condition says, transfers.
 *
 * IDENTIFICATION
 *		src/odata/filter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/value.h"

#include "odata/deparse_int.h"

/*
 * excludes_null
 *		Does a condition that is sent let no alert through that has no value for
 *		a property?
 */
static bool
excludes_null(List *condition, const char *property)
{
	GraphFilterKind kind = intVal(linitial(condition));

	return (kind == GRAPH_FILTER_COMPARE || kind == GRAPH_FILTER_ANY ||
			kind == GRAPH_FILTER_RANGE || kind == GRAPH_FILTER_NOT_NULL) &&
		strcmp(strVal(lsecond(condition)), property) == 0;
}

/*
 * take_room
 *		Take room for so much in a $filter that has so many bytes; false if there
 *		is not enough.
 */
static bool
take_room(int *bytes, size_t len)
{
	size_t		all = *bytes + (*bytes > 0 ? strlen(AND_TEXT) : 0) + len;

	if (all > MAX_FILTER_BYTES)
		return false;
	*bytes = (int) all;
	return true;
}

/*
 * graph_filter_reserve
 *		Decide what of a condition is sent, as far as that can be said while a
 *		query is planned, and reserve room for it.
 *
 * *bytes is how long the constant part of the $filter is so far.  It has room
 * for all conditions that are constant and sent, since those are the first to
 * be taken.
 */
GraphShippable
graph_filter_reserve(const GraphResourceInfo *resource, List *condition,
					 const GraphValue *values, int *bytes)
{
	DeparseContext context = {.resource = resource, .values = values,
	.constant = true};
	GraphShippable shippable = {0};
	char	   *text = NULL;
	FilterResult result = graph_deparse_condition(&context, condition, &text);

	if (result == FILTER_TEXT && context.constant &&
		!take_room(bytes, strlen(text)))
	{
		result = FILTER_EVERY;
		if (context.left_out == NULL)
			context.left_out = GRAPH_FILTER_TOO_LONG;
	}
	/* what every alert matches, with nothing left out, is true */
	shippable.is_sent = result != FILTER_EVERY || context.left_out == NULL;
	shippable.is_whole = context.constant && context.left_out == NULL;
	shippable.left_out = context.left_out;
	return shippable;
}

/*
 * join_texts
 *		Some conditions, of which those that are NULL are left out; NULL if all
 *		are.
 */
static char *
join_texts(char **texts, int count)
{
	StringInfoData all;

	initStringInfo(&all);
	for (int i = 0; i < count; i++)
	{
		if (texts[i])
			appendStringInfo(&all, "%s%s", all.len > 0 ? AND_TEXT : "", texts[i]);
	}
	return all.len > 0 ? all.data : NULL;
}

/*
 * graph_deparse_filter
 *		The $filter for some conditions, all of which must hold.
 *
 * Those that are constant come first where there is not enough room, because
 * the plan says that they are sent.  time_property is what the list is in
 * order by.
 */
void
graph_deparse_filter(const GraphResourceInfo *resource, List *filters,
					 const GraphValue *values, const char *time_property,
					 GraphDeparsedFilter *result)
{
	int			count = list_length(filters);
	char	  **texts = palloc0(Max(count, 1) * sizeof(char *));
	DeparseContext *contexts = palloc0(Max(count, 1) * sizeof(DeparseContext));
	int			bytes = 0;

	memset(result, 0, sizeof(GraphDeparsedFilter));
	result->is_whole = true;
	for (int i = 0; i < count; i++)
	{
		FilterResult one;

		contexts[i].resource = resource;
		contexts[i].values = values;
		contexts[i].constant = true;
		one = graph_deparse_condition(&contexts[i], list_nth(filters, i), &texts[i]);
		if (one != FILTER_TEXT)
			texts[i] = NULL;
		result->no_rows = result->no_rows || one == FILTER_NONE;
		result->is_whole = result->is_whole && contexts[i].left_out == NULL;
	}
	if (result->no_rows)
		return;

	for (int constant = 1; constant >= 0; constant--)
	{
		for (int i = 0; i < count; i++)
		{
			if (texts[i] == NULL || contexts[i].constant != constant ||
				contexts[i].labelled || take_room(&bytes, strlen(texts[i])))
				continue;
			texts[i] = NULL;
			result->is_whole = false;
		}
	}

	result->text = join_texts(texts, count);
	for (int i = 0; i < count; i++)
	{
		if (texts[i] == NULL)
			continue;
		result->no_nulls = result->no_nulls ||
			excludes_null(list_nth(filters, i), time_property);
		result->has_any = result->has_any || contexts[i].has_any;
		if (contexts[i].has_any)
			texts[i] = NULL;
	}
	if (result->has_any)
		result->without_any = join_texts(texts, count);
}
