/*-------------------------------------------------------------------------
 *
 * count_path.c
 *		When is the service's count the answer, and what is its plan node?
 *
 * count(*) is left to the service where every clause is sent and exact, each
 * record is a row, and nothing but rows is counted.
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

#include "nodes/value.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/tlist.h"
#include "utils/fmgroids.h"

#include "plan/graph_plan.h"

/*
 * is_row_count
 *		Is this count(*), or count() of a constant that is not null?
 */
static bool
is_row_count(Node *expr)
{
	Aggref	   *agg = (Aggref *) expr;
	TargetEntry *arg;

	if (!IsA(expr, Aggref) || agg->aggfilter || agg->aggdistinct ||
		agg->aggorder || agg->aggsplit != AGGSPLIT_SIMPLE)
		return false;
	if (agg->aggfnoid == F_COUNT_)
		return true;
	if (agg->aggfnoid != F_COUNT_ANY)
		return false;
	arg = linitial_node(TargetEntry, agg->args);
	return IsA(arg->expr, Const) && !((Const *) arg->expr)->constisnull;
}

/*
 * can_count
 *		Does the service's count of what this scan asks for answer the query's
 *		grouping step?
 *
 * Only where every clause is sent and exact, each record is a row, and nothing
 * but rows is counted.
 */
static bool
can_count(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel)
{
	Query	   *parse = root->parse;
	GraphRelInfo *info = input_rel->fdw_private;
	List	   *wanted = root->upper_targets[UPPERREL_GROUP_AGG]->exprs;
	ListCell   *cell;

	if (!IS_SIMPLE_REL(input_rel) || info == NULL || output_rel->fdw_private ||
		parse->groupClause || parse->groupingSets || parse->havingQual ||
		parse->hasTargetSRFs || parse->rowMarks || root->hasPseudoConstantQuals ||
		!bms_is_empty(input_rel->lateral_relids))
		return false;
	if (info->resource->rows_member != NULL ||
		!info->options.pushdown.count || info->pushdown.keys ||
		!info->pushdown.exact)
		return false;
	if (wanted == NIL)
		return false;
	foreach(cell, wanted)
	{
		if (!is_row_count(lfirst(cell)))
			return false;
	}
	return true;
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
	GraphPrice	price;

	if (stage != UPPERREL_GROUP_AGG || !can_count(root, input_rel, output_rel))
		return;
	output_rel->fdw_private = input_rel->fdw_private;
	graph_price_count(&price);
	add_path(output_rel, (Path *)
			 graph_create_foreign_upper_path(root, output_rel,
											 root->upper_targets[UPPERREL_GROUP_AGG],
											 price.rows, price.startup,
											 price.total, NIL, NULL, NIL));
}

/*
 * count_target
 *		What the row of a count has: what the query wants of it and, for an
 *		alert that comes with the count, the columns of the clauses.
 *
 * Their attribute numbers, and where they are in the row, are appended to the
 * lists.
 */
static List *
count_target(const PathTarget *target, List *clauses, List **attnums,
			 List **indexes)
{
	List	   *result = make_tlist_from_pathtarget((PathTarget *) target);
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
 * that come with the count, in case the service ignores them.
 */
ForeignScan *
graph_plan_count(RelOptInfo *upper_rel, ForeignPath *best_path, List *tlist)
{
	GraphRelInfo *info = upper_rel->fdw_private;
	GraphPushdown *pushdown = &info->pushdown;
	List	   *attnums = NIL;
	List	   *indexes = NIL;
	List	   *scan_tlist = count_target(best_path->path.pathtarget,
										  pushdown->clauses, &attnums, &indexes);
	List	   *select = list_make1(makeString(pstrdup(info->resource->key)));
	List	   *private;

	if (!info->options.pushdown.select)
		select = NIL;
	else if (attnums)
		select = graph_selected_properties(info->baserel, attnums);
	private = graph_make_private(GRAPH_SCAN_COUNT, info, attnums, pushdown, NIL,
								 select,
								 pushdown->clauses ? GRAPH_SMALLEST_PROOF : 1);
	return make_foreignscan(tlist, NIL, 0,
							list_concat_copy(pushdown->values, pushdown->clauses),
							lappend(private, indexes), scan_tlist, NIL, NULL);
}
