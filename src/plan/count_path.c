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
 * the list is read and counted here.
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
 * is_row_count
 *		Is this count(*), or another aggregate that counts the rows: count() of
 *		what is never null, count(DISTINCT) of the id?
 */
static bool
is_row_count(RelOptInfo *baserel, Node *expr)
{
	Aggref	   *agg = (Aggref *) expr;
	Expr	   *arg;

	if (!IsA(expr, Aggref) || agg->aggfilter || agg->agglevelsup > 0)
		return false;
	if (agg->aggfnoid == F_COUNT_)
		return true;
	if (agg->aggfnoid != F_COUNT_ANY)
		return false;
	arg = linitial_node(TargetEntry, agg->args)->expr;
	if (agg->aggdistinct)
		return is_unique(baserel, arg, agg->inputcollid);
	return is_never_null(baserel, arg);
}

/*
 * wanted_aggregates
 *		The aggregates in some expressions, and whatever else they take from
 *		below.
 */
static List *
wanted_aggregates(List *exprs)
{
	return pull_var_clause((Node *) exprs,
						   PVC_INCLUDE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
						   PVC_INCLUDE_PLACEHOLDERS);
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
	return info->resource->rows_member == NULL &&
		info->options.pushdown.count && info->pushdown.keys == NIL &&
		info->pushdown.countable;
}

/*-------------------------------------------------------------------------
 * Paths
 *-------------------------------------------------------------------------
 */

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
	List	   *wanted;
	GraphPrice	price;

	if (stage != UPPERREL_GROUP_AGG || output_rel->fdw_private ||
		parse->groupClause || parse->groupingSets ||
		!can_count_rows(root, input_rel))
		return;
	wanted = list_concat(wanted_aggregates(output_rel->reltarget->exprs),
						 wanted_aggregates((List *) parse->havingQual));
	if (!are_row_counts(input_rel, wanted))
		return;
	output_rel->fdw_private = input_rel->fdw_private;
	graph_price_count(root, input_rel, &price);
	add_path(output_rel, (Path *)
			 graph_create_foreign_upper_path(root, output_rel,
											 output_rel->reltarget,
											 price.rows, price.startup,
											 price.total, NIL, NULL, NIL));
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
 * All of its clauses are sent, and exact.  They are held against some alerts
 * that come with the count, in case the service ignores them.  HAVING is the
 * node's own qual.
 */
ForeignScan *
graph_plan_count(PlannerInfo *root, RelOptInfo *upper_rel,
				 ForeignPath *best_path, List *tlist)
{
	GraphRelInfo *info = upper_rel->fdw_private;
	GraphPushdown *pushdown = &info->pushdown;
	List	   *having = (List *) root->parse->havingQual;
	List	   *wanted = list_concat(wanted_aggregates(best_path->path.pathtarget->exprs),
									 wanted_aggregates(having));
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
							lappend(private, indexes), scan_tlist, NIL, NULL);
}
