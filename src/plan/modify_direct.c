/*-------------------------------------------------------------------------
 *
 * modify_direct.c
 *		Can the scan of a table write its changes itself?
 *
 * Where an UPDATE is of one table of ours alone, its scan finds the rows, checks
 * them, evaluates SET and hands each on to be written, while it goes on.  So
 * RETURNING need not wait for one answer before the next change is sent, and
 * only the columns are read that somebody looks at: PostgreSQL's own way reads
 * the whole row.  The rows are the same, and so is each request.
 *
 * The clauses of such a scan are its fdw_recheck_quals, since those of its qual
 * would be checked on the row as it is after the change.  What it sets are the
 * last of its fdw_exprs.
 *
 * PostgreSQL asks for this only where no row trigger, no WITH CHECK OPTION and
 * no generated column wants to see each row.
 *
 * What this file refuses to know: what may be written (modify_plan.c), how.
 *
 * Sources: PostgreSQL, "Foreign Data Wrapper Routines for Updating Foreign
 * Tables"; nodeForeignscan.c and nodeModifyTable.c, for who looks at what of
 * such a plan.
 *
 * IDENTIFICATION
 *		src/plan/modify_direct.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/appendinfo.h"
#include "optimizer/clauses.h"
#include "optimizer/pathnode.h"
#include "utils/partcache.h"
#include "utils/rel.h"

#include "plan/graph_plan.h"

/*
 * graph_direct_write
 *		What a scan that writes itself holds of that (GraphWritePrivate), or NIL
 *		if it is none.
 */
List *
graph_direct_write(const ForeignScan *plan)
{
	if (plan->operation == CMD_SELECT)
		return NIL;
	return llast(plan->fdw_private);
}

/*
 * find_scan
 *		The scan below a ModifyTable that is of the table it writes to, and of
 *		nothing else; or NULL.
 *
 * Below an Append, what is set is evaluated above the scans, of rows that have
 * changed by then: so only if nobody wants rows.
 */
static ForeignScan *
find_scan(const ModifyTable *plan, Index rti, int index)
{
	Plan	   *subplan = outerPlan(plan);
	ForeignScan *scan;

	if (plan->returningLists == NIL && IsA(subplan, Result) &&
		outerPlan(subplan) && IsA(outerPlan(subplan), Append))
		subplan = outerPlan(subplan);
	if (plan->returningLists == NIL && IsA(subplan, Append))
	{
		List	   *subplans = ((Append *) subplan)->appendplans;

		if (list_length(subplans) != list_length(plan->resultRelations))
			return NULL;		/* some are known to be empty */
		subplan = list_nth(subplans, index);
	}
	if (!IsA(subplan, ForeignScan))
		return NULL;
	scan = (ForeignScan *) subplan;
	return scan->scan.scanrelid == rti && outerPlan(scan) == NULL ? scan : NULL;
}

/*
 * add_checked
 *		Add the columns that the constraints of a table are about.
 */
static List *
add_checked(List *attnums, Relation relation)
{
	TupleConstr *constraints = RelationGetDescr(relation)->constr;

	for (int i = 0; constraints && i < constraints->num_check; i++)
		attnums = graph_add_attributes(attnums,
									   graph_expand_virtual(stringToNode(constraints->check[i].ccbin), relation), 1);
	if (relation->rd_rel->relispartition)
		attnums = graph_add_attributes(attnums,
									   (Node *) RelationGetPartitionQual(relation), 1);
	return attnums;
}

/*
 * needed_columns
 *		The columns that a scan has to read if it writes itself: those of its
 *		clauses, of what is set and of what it was, of RETURNING (of a row that
 *		has not changed) and of the constraints, and the id.
 */
static List *
needed_columns(const ForeignScan *scan, List *exprs, List *targets,
			   List *returned)
{
	Index		rti = scan->scan.scanrelid;
	List	   *result = list_concat_unique_int(list_copy(targets), returned);

	result = graph_add_attributes(result, (Node *) scan->scan.plan.qual, rti);
	return graph_add_attributes(result, (Node *) exprs, rti);
}

/*
 * without_expressions
 *		A target list in which only the table that a row is of is evaluated.
 *
 * PostgreSQL looks for "wholerow" in it, and for "tableoid" below an Append.
 */
static List *
without_expressions(List *tlist)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, tlist)
	{
		TargetEntry *tle = flatCopyTargetEntry(lfirst_node(TargetEntry, cell));
		Var		   *var = (Var *) tle->expr;

		if (!(IsA(var, Var) && var->varattno == TableOidAttributeNumber))
			tle->expr = (Expr *) makeNullConst(exprType((Node *) tle->expr),
											   exprTypmod((Node *) tle->expr),
											   exprCollation((Node *) tle->expr));
		result = lappend(result, tle);
	}
	return result;
}

/*
 * change_scan
 *		Make a scan one that writes itself.
 */
static void
change_scan(PlannerInfo *root, ForeignScan *scan, List *exprs, List *targets,
			List *write)
{
	RelOptInfo *baserel = find_base_rel(root, scan->scan.scanrelid);
	GraphRelInfo *info = baserel->fdw_private;
	List	   *returned = list_nth(write, GRAPH_WRITE_RETURNING);
	List	   *columns = needed_columns(scan, exprs, targets, returned);
	Relation	relation = table_open(info->relid, NoLock);
	GraphTarget *target = graph_target_open(relation);
	List	   *select;

	columns = list_append_unique_int(add_checked(columns, relation),
									 target->key->attnum);
	table_close(relation, NoLock);
	select = graph_select_for_subplans(root, baserel, scan->scan.plan.qual,
									   graph_selected_properties(baserel,
																 columns));
	lfirst(list_nth_cell(scan->fdw_private, GRAPH_PLAN_COLUMNS)) = columns;
	lfirst(list_nth_cell(scan->fdw_private, GRAPH_PLAN_SELECT)) = select;
	scan->fdw_private = lappend(scan->fdw_private, lappend(write, targets));
	scan->fdw_exprs = list_concat(scan->fdw_exprs, exprs);
	scan->fdw_recheck_quals = scan->scan.plan.qual;
	scan->scan.plan.qual = NIL;
	scan->scan.plan.targetlist = without_expressions(scan->scan.plan.targetlist);
	scan->scan.plan.async_capable = false;
	scan->operation = CMD_UPDATE;
	scan->resultRelation = scan->scan.scanrelid;
}

/*
 * graphPlanDirectModify
 *		Have the scan of a table write its changes itself, if it can.
 */
bool
graphPlanDirectModify(PlannerInfo *root, ModifyTable *plan, Index rti,
					  int index)
{
	ForeignScan *scan;
	List	   *write;
	List	   *tlist;
	List	   *targets;
	List	   *exprs = NIL;
	ListCell   *cell;

	if (plan->operation != CMD_UPDATE)
		return false;
	scan = find_scan(plan, rti, index);
	if (scan == NULL)
		return false;
	write = graph_plan_write(root, plan, rti, index);
	get_translated_update_targetlist(root, rti, &tlist, &targets);
	foreach(cell, tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, cell);

		if (foreach_current_index(cell) < list_length(targets))
			exprs = lappend(exprs, tle->expr);
	}

	/* some of them are evaluated together, in an entry of their own */
	if (contain_subplans((Node *) tlist))
		return false;
	change_scan(root, scan, exprs, targets, write);
	return true;
}
