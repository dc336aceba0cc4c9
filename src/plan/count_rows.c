/*-------------------------------------------------------------------------
 *
 * count_rows.c
 *		Does a query want the number of rows, and does the service's count of a
 *		table mean that?
 *
 * Aggregates that count rows are count(*), count() of what is never null, and
 * count(DISTINCT) of the id.
 *
 * What this file refuses to know: paths, groups, several tables.
 *
 * IDENTIFICATION
 *		src/plan/count_rows.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "plan/graph_plan.h"

/*
 * is_never_null
 *		Is this a constant, or the alert's id?  An alert without an id is an
 *		error wherever alerts are read.
 */
static bool
is_never_null(RelOptInfo *baserel, Expr *expr)
{
	if (IsA(expr, Const))
		return !((Const *) expr)->constisnull;
	return graph_is_key_column(baserel, expr);
}

/*
 * is_unique
 *		Has each row another value, as count(DISTINCT) tells them apart?  Ids
 *		that are cut, or compared by a collation of one's own, may be equal.
 */
static bool
is_unique(RelOptInfo *baserel, Expr *expr, Oid collation)
{
	return graph_is_key_column(baserel, expr) &&
		graph_own_var(baserel, expr)->vartypmod == -1 &&
		OidIsValid(collation) && get_collation_isdeterministic(collation);
}

/*
 * graph_is_count
 *		Is this count(*) or count() of something, without FILTER?
 */
bool
graph_is_count(Node *expr)
{
	Aggref	   *agg = (Aggref *) expr;

	return IsA(expr, Aggref) && agg->agglevelsup == 0 && !agg->aggfilter &&
		(agg->aggfnoid == F_COUNT_ || agg->aggfnoid == F_COUNT_ANY);
}

/*
 * is_row_count
 *		Is this count(*), or another aggregate that counts the rows: count() of
 *		what is never null, count(DISTINCT) of the id?
 */
static bool
is_row_count(RelOptInfo *baserel, Node *expr)
{
	Aggref	   *agg = (Aggref *) expr;
	Expr	   *arg;

	if (!graph_is_count(expr))
		return false;
	if (agg->aggfnoid == F_COUNT_)
		return true;
	arg = linitial_node(TargetEntry, agg->args)->expr;
	if (agg->aggdistinct)
		return is_unique(baserel, arg, agg->inputcollid);
	return is_never_null(baserel, arg);
}

/*
 * graph_wanted_aggregates
 *		The aggregates in a target and in HAVING, and whatever else these take
 *		from below.
 */
List *
graph_wanted_aggregates(List *exprs, List *having)
{
	int			flags = PVC_INCLUDE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
		PVC_INCLUDE_PLACEHOLDERS;

	return list_concat(pull_var_clause((Node *) exprs, flags),
					   pull_var_clause((Node *) having, flags));
}

/*
 * graph_are_row_counts
 *		Is there anything in this list, and nothing but counts of rows?
 */
bool
graph_are_row_counts(RelOptInfo *baserel, List *wanted)
{
	ListCell   *cell;

	foreach(cell, wanted)
	{
		if (!is_row_count(baserel, lfirst(cell)))
			return false;
	}
	return wanted != NIL;
}

/*
 * graph_can_count_rows
 *		Does the service's count of what a scan asks for mean its rows?
 */
bool
graph_can_count_rows(PlannerInfo *root, RelOptInfo *baserel)
{
	GraphRelInfo *info = baserel->fdw_private;

	if (!IS_SIMPLE_REL(baserel) || info == NULL || root->parse->rowMarks ||
		root->hasPseudoConstantQuals ||
		!bms_is_empty(baserel->lateral_relids))
		return false;
	if (info->resource->rows_member != NULL ||
		!info->options.pushdown.count || info->pushdown.keys)
		return false;
	if (info->pushdown.any_case &&
		info->options.limits.page_size < GRAPH_SMALLEST_PROOF)
		return false;			/* so few would prove nothing */
	return info->pushdown.inexact == NIL ||
		(graph_count_bounds(baserel) && graph_count_bounds_pay(root, baserel));
}

/*
 * graph_can_count
 *		Is the service's count of what a scan asks for the value of all these
 *		aggregates?
 */
bool
graph_can_count(PlannerInfo *root, RelOptInfo *baserel, List *wanted)
{
	return graph_can_count_rows(root, baserel) &&
		graph_are_row_counts(baserel, wanted);
}
