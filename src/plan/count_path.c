/*-------------------------------------------------------------------------
 *
 * count_path.c
 *		When is the service's count the answer, and what is its plan node?
 *
 * The number of rows is left to the service where every clause is sent and
 * exact, each record is a row, and nothing but rows is counted.  What the query
 * makes of the number, in its target or in HAVING, is computed above it.
 *
 * A clause with a value that is not known yet is exact for the values that the
 * service knows.  Which it is, is seen when the scan starts: for another one
 * the list is read and counted here.  Bounds of times are never exact, but may
 * be counted between all the same (count_bounds.c).
 *
 * What this file refuses to know: what a count is checked against when it is
 * there (src/exec/count.c), HTTP, JSON, how a condition is written.
 *
 * IDENTIFICATION
 *		src/plan/count_path.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/tlist.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "plan/graph_plan.h"

/*-------------------------------------------------------------------------
 * What is counted
 *-------------------------------------------------------------------------
 */

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
 * are_row_counts
 *		Is there anything in this list, and nothing but counts of rows?
 */
static bool
are_row_counts(RelOptInfo *baserel, List *wanted)
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
 * can_count_rows
 *		Does the service's count of what a scan asks for mean its rows?
 */
static bool
can_count_rows(PlannerInfo *root, RelOptInfo *baserel)
{
	GraphRelInfo *info = baserel->fdw_private;

	if (!IS_SIMPLE_REL(baserel) || info == NULL || root->parse->rowMarks ||
		root->hasPseudoConstantQuals ||
		!bms_is_empty(baserel->lateral_relids))
		return false;
	if (info->resource->rows_member != NULL ||
		!info->options.pushdown.count || info->pushdown.keys)
		return false;
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
	return can_count_rows(root, baserel) && are_row_counts(baserel, wanted);
}

/*-------------------------------------------------------------------------
 * Paths
 *-------------------------------------------------------------------------
 */

/*
 * graph_count_path
 *		The path of the service's count, which belongs to the next step or, as
 *		the count of one of several tables, to a part of it.
 *
 * In the latter case they may be asked for side by side.
 */
Path *
graph_count_path(PlannerInfo *root, RelOptInfo *baserel, RelOptInfo *upper)
{
	GraphPrice	price;

	graph_price_count(root, baserel,
					  ((GraphRelInfo *) baserel->fdw_private)->pushdown.inexact != NIL,
					  &price);
	upper->serverid = baserel->serverid;
	upper->userid = baserel->userid;
	upper->useridiscurrent = baserel->useridiscurrent;
	upper->fdwroutine = baserel->fdwroutine;
	upper->fdw_private = baserel->fdw_private;
	return (Path *)
		graph_create_foreign_upper_path(root, upper, upper->reltarget,
										price.rows, price.startup, price.total,
										NIL, NULL, list_make1(makeBoolean(true)));
}

/*
 * graphGetForeignUpperPaths
 *		Offer to do a step after the scan, which is to count.
 */
void
graphGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage,
						  RelOptInfo *input_rel, RelOptInfo *output_rel,
						  void *extra)
{
	Query	   *parse = root->parse;

	if (stage != UPPERREL_GROUP_AGG || output_rel->fdw_private ||
		parse->groupClause || parse->groupingSets ||
		!graph_can_count(root, input_rel,
						 graph_wanted_aggregates(output_rel->reltarget->exprs,
												 (List *) parse->havingQual)))
		return;
	add_path(output_rel, graph_count_path(root, input_rel, output_rel));
}

/*-------------------------------------------------------------------------
 * The plan node
 *-------------------------------------------------------------------------
 */

/*
 * count_target
 *		What the row of a count has: the aggregates that the query wants and, for
 *		an alert that comes with the count, the columns of the clauses.
 *
 * The attribute numbers of these, and where they are in the row, are appended
 * to the lists.
 */
static List *
count_target(List *wanted, List *clauses, List **attnums, List **indexes)
{
	List	   *result = add_to_flat_tlist(NIL, wanted);
	ListCell   *cell;

	result = add_to_flat_tlist(result,
							   pull_var_clause((Node *) clauses,
											   PVC_RECURSE_PLACEHOLDERS));
	foreach(cell, result)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!IsA(entry->expr, Var))
			continue;
		*attnums = lappend_int(*attnums, ((Var *) entry->expr)->varattno);
		*indexes = lappend_int(*indexes, entry->resno - 1);
	}
	return result;
}

/*
 * graph_plan_count
 *		The plan node of the service's count.
 *
 * All of its clauses are sent, and exact but for bounds.  They are held against some alerts
 * that come with the count, in case the service ignores them.  HAVING is the
 * node's own qual, unless it counts one of several tables.
 */
ForeignScan *
graph_plan_count(PlannerInfo *root, RelOptInfo *upper_rel,
				 ForeignPath *best_path, List *tlist)
{
	GraphRelInfo *info = upper_rel->fdw_private;
	GraphPushdown *pushdown = &info->pushdown;
	List	   *having = upper_rel->reloptkind == RELOPT_UPPER_REL ?
		(List *) root->parse->havingQual : NIL;
	List	   *wanted = graph_wanted_aggregates(best_path->path.pathtarget->exprs,
												 having);
	List	   *attnums = NIL;
	List	   *indexes = NIL;
	List	   *scan_tlist = count_target(wanted, pushdown->clauses, &attnums,
										  &indexes);
	List	   *select = list_make1(makeString(pstrdup(info->resource->key)));
	List	   *private;

	if (!info->options.pushdown.select)
		select = NIL;
	else if (attnums)
		select = graph_selected_properties(info->baserel, attnums);
	private = graph_make_private(GRAPH_SCAN_COUNT, info, attnums, pushdown, NIL,
								 select,
								 pushdown->clauses ? GRAPH_SMALLEST_PROOF : 1);
	return make_foreignscan(tlist, copyObject(having), 0,
							list_concat_copy(pushdown->values, pushdown->clauses),
							list_concat(private,
										list_make2(indexes,
												   graph_count_bounds(info->baserel))),
							scan_tlist, NIL, NULL);
}
