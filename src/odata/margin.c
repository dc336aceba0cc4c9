/*-------------------------------------------------------------------------
 *
 * margin.c
 *		Which alerts are so near to a bound that the service may see them on the
 *		other side of it?
 *
 * A bound of a time is sent as a superset: times have 100 ns there and
 * microseconds here, and how precisely the service compares them is not known.
 * So a count between times may be too large, but by no more than the alerts
 * near a bound that come through the filter and are none.  These are asked for
 * by themselves, at the same time: nearly always there are none, and what comes
 * is looked at here.  The count less those is that of the rows.
 *
 * "Near" is two milliseconds inward of the bound: beyond that everybody means
 * the same, who compares times to the millisecond at least.
 *
 * What this file refuses to know: how the counts are compared.
 *
 * IDENTIFICATION
 *		src/odata/margin.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/value.h"
#include "utils/timestamp.h"

#include "odata/graph_odata.h"

/* How far inward of a bound alerts are looked at, in microseconds. */
#define MARGIN	2000

/*
 * inner_literal
 *		A bound moved inward; NULL if there is no such time.  What is not known
 *		yet is shown as its expression.
 */
static char *
inner_literal(const GraphValue *value, bool lower)
{
	if (!value->known)
		return psprintf("{%s}", value->label ? value->label : "");
	Assert(!value->isnull);
	return graph_time_literal(graph_time_moved(graph_as_timestamptz(value->type,
																	value->value),
											   lower ? MARGIN : -MARGIN));
}

/*
 * graph_margin_filter
 *		A $filter for the alerts that come through another one and are near one
 *		of its bounds; NULL if it cannot be written.
 *
 * bounds: conditions that the filter has, GRAPH_FILTER_COMPARE of a time.
 */
char *
graph_margin_filter(const char *filter, List *bounds, const GraphValue *values)
{
	StringInfoData near;
	ListCell   *cell;

	if (filter == NULL)
		return NULL;
	initStringInfo(&near);
	foreach(cell, bounds)
	{
		List	   *bound = lfirst(cell);
		GraphComparison comparison = intVal(lthird(bound));
		bool		lower = comparison == GRAPH_GE || comparison == GRAPH_GT;
		char	   *literal = inner_literal(&values[intVal(lfourth(bound))],
											lower);

		Assert(intVal(linitial(bound)) == GRAPH_FILTER_COMPARE);
		if (literal == NULL)
			return NULL;
		appendStringInfo(&near, "%s%s %s %s", near.len > 0 ? " or " : "",
						 strVal(lsecond(bound)), lower ? "lt" : "ge", literal);
	}
	return psprintf("%s and (%s)", filter, near.data);
}
