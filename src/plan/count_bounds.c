/*-------------------------------------------------------------------------
 *
 * count_bounds.c
 *		Can alerts be counted between times?
 *
 * A bound of a time is sent as a superset, and so the service's count may be too
 * large.  But it is known by how much, if what is near the bounds is asked for
 * at the same time (src/odata/margin.c).  That takes two requests, and is worth
 * it where the list would take more than one.
 *
 * What this file refuses to know: what is made of the counts
 * (src/exec/count.c), other conditions.
 *
 * IDENTIFICATION
 *		src/plan/count_bounds.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/value.h"

#include "plan/graph_plan.h"

/* More bounds than that are left to the list. */
#define MOST_BOUNDS	4

/*
 * is_bound
 *		Is this clause a column's time compared for order with a value that is
 *		known when the scan starts, and does the condition that is sent for it
 *		say just that?
 */
static bool
is_bound(RelOptInfo *baserel, const GraphPushdown *pushdown, Expr *clause,
		 List *condition)
{
	OpExpr	   *op = (OpExpr *) clause;
	GraphCompared compared;
	const Node *value;

	if (!IsA(clause, OpExpr) || list_length(op->args) != 2 ||
		intVal(linitial(condition)) != GRAPH_FILTER_COMPARE ||
		!graph_find_comparison(baserel, op->args, op->opno, op->inputcollid,
							   false, &compared))
		return false;
	value = list_nth(pushdown->values, intVal(lfourth(condition)));
	return compared.property && compared.property->type == GRAPH_EDM_DATETIME &&
		compared.var->vartype == TIMESTAMPTZOID &&
		compared.var->vartypmod == -1 &&
		(equal(linitial(op->args), compared.var) ||
		 equal(lsecond(op->args), compared.var)) &&
		(equal(linitial(op->args), value) || equal(lsecond(op->args), value)) &&
		compared.comparison != GRAPH_EQ && compared.comparison != GRAPH_NE &&
		(int) compared.comparison == intVal(lthird(condition)) &&
		strcmp(compared.property->name, strVal(lsecond(condition))) == 0;
}

/*
 * graph_count_bounds
 *		The conditions that are bounds of times, if all others are exact; NIL if
 *		there are none, or something else is not exact.
 */
List *
graph_count_bounds(RelOptInfo *baserel)
{
	const GraphRelInfo *info = baserel->fdw_private;
	const GraphPushdown *pushdown = &info->pushdown;
	List	   *result = NIL;
	ListCell   *cell;

	if (pushdown->keys || list_length(pushdown->sent) != list_length(pushdown->filters))
		return NIL;
	foreach(cell, pushdown->inexact)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		List	   *condition = NIL;
		ListCell   *sent;
		ListCell   *filter;

		forboth(sent, pushdown->sent, filter, pushdown->filters)
		{
			if (lfirst(sent) == rinfo)
				condition = lfirst(filter);
		}
		if (condition == NIL ||
			!is_bound(baserel, pushdown, rinfo->clause, condition))
			return NIL;
		result = lappend(result, condition);
	}
	return list_length(result) <= MOST_BOUNDS ? result : NIL;
}

/*
 * graph_count_bounds_pay
 *		Would a list of what matches take more than one page?
 *
 * Where ANALYZE has not seen the table, nobody knows.
 */
bool
graph_count_bounds_pay(PlannerInfo *root, RelOptInfo *baserel)
{
	const GraphRelInfo *info = baserel->fdw_private;
	GraphPrice	price;

	if (!info->analyzed)
		return false;
	graph_price_alerts(root, baserel, &info->pushdown, &price);
	return price.rows > info->options.limits.page_size;
}
