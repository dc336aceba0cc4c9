/*-------------------------------------------------------------------------
 *
 * plan.c
 *		What is the plan node of the path that was chosen?
 *
 * The clauses of the path are classified once more, this time for good.  All
 * of them stay in the plan's qual and are checked again here, whatever the
 * service does with those that are sent.
 *
 * What this file refuses to know: prices, HTTP, JSON, how a condition is
 * written.
 *
 * IDENTIFICATION
 *		src/plan/plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"

#include "plan/graph_plan.h"

/*
 * needed_columns
 *		The attribute numbers that a scan has to fill in; 0 is the whole row.
 */
static List *
needed_columns(RelOptInfo *baserel, List *clauses)
{
	Bitmapset  *used = NULL;
	List	   *result = NIL;
	int			member = -1;

	pull_varattnos((Node *) baserel->reltarget->exprs, baserel->relid, &used);
	pull_varattnos((Node *) clauses, baserel->relid, &used);
	while ((member = bms_next_member(used, member)) >= 0)
	{
		int			attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum >= 0)
			result = lappend_int(result, attnum);
	}
	return result;
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
 * plan_count
 *		The plan node of the service's count.
 *
 * All of its clauses are sent, and exact.  They are held against some alerts
 * that come with the count, in case the service ignores them.
 */
static ForeignScan *
plan_count(RelOptInfo *upper_rel, ForeignPath *best_path, List *tlist)
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

/*
 * find_order
 *		What GRAPH_PLAN_ORDER holds of a path.
 */
static List *
find_order(RelOptInfo *baserel, const ForeignPath *path)
{
	PathKey    *key;
	AttrNumber	attnum;
	const char *name;

	if (path->path.pathkeys == NIL)
		return NIL;
	key = linitial_node(PathKey, path->path.pathkeys);
	name = graph_find_order(baserel, key, &attnum)->name;
	return list_make4(makeString(pstrdup(name)),
					  makeBoolean(graph_pathkey_is_descending(key)),
					  makeBoolean(key->pk_nulls_first),
					  makeInteger(attnum));
}

/*
 * plan_table
 *		The plan node of a scan of one table.
 */
static ForeignScan *
plan_table(PlannerInfo *root, RelOptInfo *baserel, ForeignPath *best_path,
		   List *tlist, List *scan_clauses, Plan *outer_plan)
{
	GraphRelInfo *info = baserel->fdw_private;
	List	   *clauses = extract_actual_clauses(scan_clauses, false);
	List	   *columns = needed_columns(baserel, clauses);
	List	   *select =
		graph_select_for_subplans(root, baserel, clauses,
								  graph_selected_properties(baserel, columns));
	List	   *order = find_order(baserel, best_path);
	GraphPushdown pushdown;
	int			first = INT_MAX;

	graph_pushdown_init(&pushdown);
	graph_classify_clauses(baserel, scan_clauses, &pushdown);
	if (order)
		columns = list_append_unique_int(columns, intVal(lfourth(order)));
	if (order && select)
		select = list_append_unique(select, linitial(order));

	/* does each alert give a row that is wanted? */
	if (best_path->path.param_info == NULL)
		first = graph_first_page(root, baserel, best_path->path.pathkeys,
								 pushdown.exact &&
								 info->options.evidence_type == NULL &&
								 info->resource->rows_per_record >= 1);
	return make_foreignscan(tlist, clauses, baserel->relid,
							list_concat_copy(pushdown.values, pushdown.clauses),
							graph_make_private(pushdown.keys ? GRAPH_SCAN_KEYS :
											   GRAPH_SCAN_LIST, info, columns,
											   &pushdown, order, select, first),
							NIL, NIL, outer_plan);
}

/*
 * graphGetForeignPlan
 *		Make the plan node of the chosen path: of a table, of a join of several
 *		or of their count.
 */
ForeignScan *
graphGetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid,
					ForeignPath *best_path, List *tlist, List *scan_clauses,
					Plan *outer_plan)
{
	if (rel->reloptkind == RELOPT_UPPER_REL)
		return plan_count(rel, best_path, tlist);
	if (IS_JOIN_REL(rel))
		return graph_plan_join(root, rel, tlist, outer_plan);
	return plan_table(root, rel, best_path, tlist, scan_clauses, outer_plan);
}
