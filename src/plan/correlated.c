/*-------------------------------------------------------------------------
 *
 * correlated.c
 *		What do sub-selects read of the alert whose row is given?
 *
 * "(SELECT count(*) FROM alert_comments AS c WHERE c.alert_id = a.id)" in a
 * query of alerts looks up the alert that the outer scan has in its hands
 * (src/exec/at_hand.c).  It can be served from there if the outer scan has asked
 * for what it reads.  The plans of sub-selects are made before the plan of the
 * scan, so their $select is added to the scan's.
 *
 * Only how much is asked for depends on this: a sub-select that is not found
 * here makes its own request.
 *
 * What this file refuses to know: how a sub-select is executed.
 *
 * IDENTIFICATION
 *		src/plan/correlated.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/restrictinfo.h"

#include "plan/graph_plan.h"

typedef struct CorrelatedContext
{
	PlannerInfo *root;
	RelOptInfo *baserel;
	Oid			serverid;
	List	   *select;			/* of the scan, and what was found; NIL: all */
	bool		all;			/* a sub-select reads all of the alert */
} CorrelatedContext;

static void add_plan(CorrelatedContext *context, Plan *plan);

/*
 * add_plans
 *		The same as add_plan() for several.
 */
static void
add_plans(CorrelatedContext *context, List *plans)
{
	ListCell   *cell;

	foreach(cell, plans)
		add_plan(context, lfirst(cell));
}

/*
 * add_scan
 *		Add what a lookup reads whose only id is told from outside.
 */
static void
add_scan(CorrelatedContext *context, ForeignScan *scan)
{
	List	   *keys;
	List	   *select;

	if (scan->fs_server != context->serverid ||
		graph_plan_int(scan, GRAPH_PLAN_MODE) != GRAPH_SCAN_KEYS)
		return;
	keys = graph_plan_list(scan, GRAPH_PLAN_KEYS);
	if (list_length(keys) != 1 ||
		!IsA(list_nth(scan->fdw_exprs, linitial_int(keys)), Param))
		return;
	select = graph_plan_list(scan, GRAPH_PLAN_SELECT);
	context->all = context->all || select == NIL;
	context->select = list_concat_unique(context->select, select);
}

/*
 * add_plan
 *		Add what the lookups in a plan read.
 */
static void
add_plan(CorrelatedContext *context, Plan *plan)
{
	if (plan == NULL)
		return;
	switch (nodeTag(plan))
	{
		case T_ForeignScan:
			add_scan(context, (ForeignScan *) plan);
			break;
		case T_SubqueryScan:
			add_plan(context, ((SubqueryScan *) plan)->subplan);
			break;
		case T_Append:
			add_plans(context, ((Append *) plan)->appendplans);
			break;
		case T_MergeAppend:
			add_plans(context, ((MergeAppend *) plan)->mergeplans);
			break;
		default:
			break;
	}
	add_plan(context, outerPlan(plan));
	add_plan(context, innerPlan(plan));
}

/*
 * find_subplans
 *		Expression walker: add what each sub-select reads that is told the id.
 */
static bool
find_subplans(Node *node, CorrelatedContext *context)
{
	SubPlan    *subplan = (SubPlan *) node;
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, SubPlan))
	{
		foreach(cell, subplan->args)
		{
			if (graph_is_key_column(context->baserel, lfirst(cell)))
				add_plan(context, list_nth(context->root->glob->subplans,
										   subplan->plan_id - 1));
		}
	}
	return expression_tree_walker(node, find_subplans, context);
}

/*
 * graph_select_for_subplans
 *		The $select of a scan, and with it what sub-selects in the query's target
 *		list and in the scan's clauses look up by its id.
 */
List *
graph_select_for_subplans(PlannerInfo *root, RelOptInfo *baserel,
						  List *clauses, List *select)
{
	CorrelatedContext context = {root, baserel, baserel->serverid, NIL, false};

	if (select == NIL || root->glob->subplans == NIL)
		return select;
	context.select = list_copy(select);
	(void) find_subplans((Node *) root->processed_tlist, &context);
	(void) find_subplans((Node *) clauses, &context);
	return context.all ? NIL : context.select;
}

/*
 * graph_is_read_by_subplans
 *		Do sub-selects look up the alert whose row of this table is given?
 */
bool
graph_is_read_by_subplans(PlannerInfo *root, RelOptInfo *baserel)
{
	CorrelatedContext context = {root, baserel, baserel->serverid, NIL, false};

	if (root->glob->subplans == NIL)
		return false;
	(void) find_subplans((Node *) root->processed_tlist, &context);
	(void) find_subplans((Node *) extract_actual_clauses(baserel->baserestrictinfo,
														 false), &context);
	return context.all || context.select;
}
