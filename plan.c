/*-------------------------------------------------------------------------
 *
 * plan.c
 *		Which paths exist, and what do they cost?
 *
 * There are two kinds: the list of all alerts, and one alert by its id, whose
 * value is a constant, a parameter, or comes from an outer row.  Paths by key
 * are always offered; with honest prices the planner picks between N lookups
 * and one list.
 *
 * A request is the unit of cost.  Nothing is asked of the service while
 * planning: that would happen before permissions are checked, and a plan
 * would fail when the service is away.
 *
 * What this file refuses to know: HTTP, JSON.
 *
 * IDENTIFICATION
 *		plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/sysattr.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

#include "graph_fdw.h"

/*
 * Prices, in the planner's unit (a sequential page read, some 0.1 ms).
 *
 * A request takes some 100 ms and is one of 150 a minute, so it is dear.  An
 * alert in a list is about 8 kB to transfer and to read; a page of 1000 takes
 * the service seconds, and so costs as much as ten requests.
 */
#define REQUEST_COST	1000.0
#define ALERT_COST		10.0

/* How many alerts there are where nobody has counted: ninety busy days. */
#define DEFAULT_ALERTS	10000.0

/* How many rows an alert holds; facts.md section 9 has about five. */
#define EVIDENCE_PER_ALERT	5.0
#define COMMENTS_PER_ALERT	0.5

static Expr *find_key(PlannerInfo *root, RelOptInfo *baserel, List *clauses);
static void add_key_paths(PlannerInfo *root, RelOptInfo *baserel);

/*
 * graph_plan_size
 *		GetForeignRelSize: how many rows will a scan give?
 */
void
graph_plan_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	ForeignTable *table = GetForeignTable(relid);
	GraphRelInfo *info = palloc0(sizeof(GraphRelInfo));

	baserel->fdw_private = info;
	info->relid = relid;
	info->table_name = get_rel_name(relid);
	graph_get_options(table, GetForeignServer(table->serverid), NULL,
					  &info->options);
	info->resource = graph_resource_info(info->options.resource);

	info->rows_per_alert =
		info->options.resource == GRAPH_EVIDENCE ? EVIDENCE_PER_ALERT :
		info->options.resource == GRAPH_COMMENTS ? COMMENTS_PER_ALERT : 1.0;
	if (baserel->tuples <= 0)
		baserel->tuples = DEFAULT_ALERTS * info->rows_per_alert;
	info->alerts = clamp_row_est(baserel->tuples / info->rows_per_alert);

	set_baserel_size_estimates(root, baserel);
	info->key = find_key(root, baserel, baserel->baserestrictinfo);
	if (info->key)
		baserel->rows = clamp_row_est(info->rows_per_alert);
}

/*
 * graph_plan_paths
 *		GetForeignPaths: the list, or the one alert that a restriction names,
 *		and lookups by the rows of another table.
 */
void
graph_plan_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	GraphRelInfo *info = baserel->fdw_private;
	Cost		startup = REQUEST_COST;
	Cost		run;

	if (info->key)
		run = ALERT_COST;
	else
		run = REQUEST_COST * (ceil(info->alerts / info->options.page_size) - 1) +
			ALERT_COST * info->alerts;
	run += (cpu_tuple_cost + baserel->baserestrictcost.per_tuple) *
		(info->key ? info->rows_per_alert : baserel->tuples);
	startup += baserel->baserestrictcost.startup;

	add_path(baserel, (Path *)
			 graph_create_foreignscan_path(root, baserel, NULL, baserel->rows,
										   startup, startup + run, NIL,
										   baserel->lateral_relids, NULL, NIL));
	if (info->key == NULL)
		add_key_paths(root, baserel);
}

/*
 * find_key
 *		The value that some of these restrictions gives the key, or NULL.
 */
static Expr *
find_key(PlannerInfo *root, RelOptInfo *baserel, List *clauses)
{
	ListCell   *cell;

	foreach(cell, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		Expr	   *value;

		if (rinfo->pseudoconstant)
			continue;
		value = graph_key_value(root, baserel, rinfo->clause);
		if (value)
			return value;
	}
	return NULL;
}

/*
 * matches_key
 *		Callback: would this member of an equivalence class be our key?
 *
 * Asked by generate_implied_equalities_for_column().  The operator that will
 * be made is checked again in graph_key_value().
 */
static bool
matches_key(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
			EquivalenceMember *em, void *arg)
{
	return graph_is_key_column(root, rel, em->em_expr);
}

/*
 * join_key_clauses
 *		The join clauses, written or implied, that give the key a value.
 */
static List *
join_key_clauses(PlannerInfo *root, RelOptInfo *baserel)
{
	List	   *result = NIL;
	List	   *candidates = list_copy(baserel->joininfo);
	ListCell   *cell;

	if (baserel->has_eclass_joins)
		candidates = list_concat(candidates,
								 generate_implied_equalities_for_column(root, baserel,
																		matches_key, NULL,
																		baserel->lateral_referencers));
	foreach(cell, candidates)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (join_clause_is_movable_to(rinfo, baserel) &&
			graph_key_value(root, baserel, rinfo->clause))
			result = lappend(result, rinfo);
	}
	return result;
}

/*
 * add_key_paths
 *		Offer lookups that take the key from rows of other tables: one path
 *		for each set of tables that can give it.
 */
static void
add_key_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	GraphRelInfo *info = baserel->fdw_private;
	List	   *seen = NIL;
	ListCell   *cell;

	foreach(cell, join_key_clauses(root, baserel))
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		Relids		outer = bms_union(rinfo->clause_relids,
									  baserel->lateral_relids);
		ParamPathInfo *param_info;
		double		rows;
		Cost		total;

		outer = bms_del_member(outer, baserel->relid);
		if (bms_is_empty(outer))
			continue;
		param_info = get_baserel_parampathinfo(root, baserel, outer);
		if (list_member_ptr(seen, param_info))
			continue;
		seen = lappend(seen, param_info);

		rows = clamp_row_est(Min(param_info->ppi_rows, info->rows_per_alert));
		param_info->ppi_rows = rows;
		total = REQUEST_COST + ALERT_COST +
			(cpu_tuple_cost + baserel->baserestrictcost.per_tuple) *
			info->rows_per_alert;
		add_path(baserel, (Path *)
				 graph_create_foreignscan_path(root, baserel, NULL, rows,
											   REQUEST_COST, total, NIL,
											   outer, NULL, NIL));
	}
}

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
 * graph_plan_scan
 *		GetForeignPlan: make the plan node of the chosen path.
 *
 * All clauses stay in the plan's qual and are checked again here.
 */
ForeignScan *
graph_plan_scan(PlannerInfo *root, RelOptInfo *baserel, ForeignPath *best_path,
				List *tlist, List *scan_clauses, Plan *outer_plan)
{
	Expr	   *key = find_key(root, baserel, scan_clauses);
	List	   *clauses = extract_actual_clauses(scan_clauses, false);
	List	   *private = list_make2(makeBoolean(key != NULL),
									 needed_columns(baserel, clauses));

	return make_foreignscan(tlist, clauses, baserel->relid,
							key ? list_make1(key) : NIL,
							private, NIL, NIL, outer_plan);
}
