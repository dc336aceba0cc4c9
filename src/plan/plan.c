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
#include "nodes/value.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"

#include "plan/graph_plan.h"

/*
 * needed_columns
 *		The attribute numbers that a scan has to fill in; 0 is the whole row.
 */
static List *
needed_columns(RelOptInfo *baserel, List *clauses)
{
	List	   *all = list_concat_copy(baserel->reltarget->exprs, clauses);

	return graph_add_attributes(NIL, (Node *) all, baserel->relid);
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
	Var		   *batched_key = graph_batched_key(best_path);
	GraphPushdown pushdown;
	int			first = INT_MAX;
	ForeignScan *plan;

	graph_pushdown_init(&pushdown);
	pushdown.no_lookups = order != NIL;
	if (batched_key)
		graph_batch_keys(&pushdown, baserel, batched_key);
	graph_classify_clauses(baserel, scan_clauses, &pushdown);
	if (order)
		columns = list_append_unique_int(columns, intVal(lfourth(order)));
	if (order && select)
		select = list_append_unique(select, linitial(order));

	/* does each alert give a row that is wanted? */
	if (best_path->path.param_info == NULL && batched_key == NULL)
		first = graph_first_page(root, baserel, best_path->path.pathkeys,
								 pushdown.exact == GRAPH_EXACT &&
								 info->options.evidence_type == NULL &&
								 info->resource->rows_per_record >= 1,
								 info->options.limits.page_size);
	plan = make_foreignscan(tlist, clauses, baserel->relid,
							list_concat_copy(pushdown.values, pushdown.clauses),
							graph_make_private(graph_scan_mode(&pushdown), info,
											   columns, &pushdown, order, select,
											   first),
							NIL, NIL, outer_plan);
	if (batched_key)
		graph_batch_private(root, plan, batched_key);
	return plan;
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
	if (IS_UPPER_REL(rel))
		return graph_plan_count(root, rel, best_path, tlist);
	if (IS_JOIN_REL(rel))
		return graph_plan_join(root, rel, best_path, tlist, outer_plan);
	return plan_table(root, rel, best_path, tlist, scan_clauses, outer_plan);
}
