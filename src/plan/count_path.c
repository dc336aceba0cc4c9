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
 * be counted between all the same (count_bounds.c).  Where a member of an enum
 * may come in another case, as large a page as there is comes with the count.
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

#include "plan/graph_plan.h"

/*-------------------------------------------------------------------------
 * Paths
 *-------------------------------------------------------------------------
 */

/*
 * graph_count_path
 *		The path of the service's count, which belongs to the next step or, as
 *		the count of one of several tables, to a part of it.
 *
 * In the latter case they may be asked for side by side.  Where it is a count
 * by group, that takes one request for each, and one.
 */
Path *
graph_count_path(PlannerInfo *root, RelOptInfo *baserel, RelOptInfo *upper,
				 int requests)
{
	GraphPrice	price;

	graph_price_count(root, baserel,
					  ((GraphRelInfo *) baserel->fdw_private)->pushdown.inexact != NIL,
					  &price);
	price.rows = Max(requests - 1, 1);
	price.total += (requests - 1) * price.startup;
	price.startup *= requests;
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
	List	   *wanted;
	int			requests = 1;

	if (stage != UPPERREL_GROUP_AGG || output_rel->fdw_private ||
		parse->groupingSets)
		return;
	wanted = graph_wanted_aggregates(output_rel->reltarget->exprs,
									 (List *) parse->havingQual);
	if (parse->groupClause ?
		graph_count_group(root, input_rel, wanted, &requests) != NULL :
		graph_can_count(root, input_rel, wanted))
		add_path(output_rel,
				 graph_count_path(root, input_rel, output_rel, requests));
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
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, wanted)
	{
		if (IsA(lfirst(cell), Aggref))
			result = add_to_flat_tlist(result, list_make1(lfirst(cell)));
	}
	result = add_to_flat_tlist(result, wanted);
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
 * group_private
 *		What GRAPH_PLAN_GROUP holds.
 */
static List *
group_private(const GraphRelInfo *info, Var *group, List *scan_tlist)
{
	const GraphQueryProperty *property;

	if (group == NULL)
		return NIL;
	property = graph_var_property(info->baserel, (Expr *) group);
	return list_make2(makeString(pstrdup(property->name)),
					  makeInteger(tlist_member((Expr *) group, scan_tlist)->resno - 1));
}

/*
 * graph_plan_count
 *		The plan node of the service's count.
 *
 * All of its clauses are sent, and exact but for bounds.  They are held against
 * some alerts that come with the count, in case the service ignores them.
 * HAVING is the node's own qual, unless it counts one of several tables.
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
	int			requests;
	List	   *attnums = NIL;
	List	   *indexes = NIL;
	List	   *scan_tlist = count_target(wanted, pushdown->clauses, &attnums,
										  &indexes);
	List	   *select = list_make1(makeString(pstrdup(info->resource->key)));
	Var		   *group = root->parse->groupClause ?
		graph_count_group(root, info->baserel, wanted, &requests) : NULL;
	int			first = 1;
	List	   *private;

	if (pushdown->any_case)
		first = info->resource->largest_page;
	else if (pushdown->clauses || group)
		first = GRAPH_SMALLEST_PROOF;
	if (!info->options.pushdown.select)
		select = NIL;
	else if (attnums)
		select = graph_selected_properties(info->baserel, attnums);
	private = graph_make_private(GRAPH_SCAN_COUNT, info, attnums, pushdown, NIL,
								 select, first);
	return make_foreignscan(tlist, copyObject(having), 0,
							list_concat_copy(pushdown->values, pushdown->clauses),
							list_concat(private,
										list_make4(indexes,
												   graph_count_bounds(info->baserel),
												   group_private(info, group, scan_tlist),
												   pushdown->any_case)),
							scan_tlist, NIL, NULL);
}
