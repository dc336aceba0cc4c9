/*-------------------------------------------------------------------------
 *
 * modify_plan.c
 *		May a statement write what it says?
 *
 * Nothing that is written can be taken back, so whatever can be seen to be
 * wrong while planning is an error here, before anything is sent: the table is
 * not to be written to, a column cannot be set, a constant is not a value of
 * its property.  Values that come later are checked before their row is sent.
 *
 * What PostgreSQL refuses itself (DELETE, for which there is no function, and
 * what IsForeignRelUpdatable says no to) it would refuse later and without a
 * hint, so the same is said here first, with one.
 *
 * What this file refuses to know: the request, sessions, how a value is
 * written.
 *
 * Sources: PostgreSQL, "Foreign Data Wrapper Routines for Updating Foreign
 * Tables".
 *
 * IDENTIFICATION
 *		src/plan/modify_plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/appendinfo.h"
#include "optimizer/pathnode.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "plan/graph_plan.h"

/*
 * graphIsForeignRelUpdatable
 *		Which statements may write to a table: a bit for each.
 */
int
graphIsForeignRelUpdatable(Relation relation)
{
	return graph_updatable_commands(relation);
}

/*
 * column_of
 *		What is known of a column that is written to, or NULL: it was dropped.
 */
static const GraphTargetColumn *
column_of(const GraphTarget *target, AttrNumber attnum)
{
	for (int i = 0; i < target->ncolumns; i++)
	{
		if (target->columns[i].attnum == attnum)
			return &target->columns[i];
	}
	return NULL;
}

/*
 * check_target
 *		Raise the error that PostgreSQL has for a table that cannot be written
 *		to, with what can be done.
 */
static void
check_target(const GraphTarget *target, CmdType operation)
{
	const char *hint;
	const char *problem = graph_target_problem(target, operation, &hint);

	if (problem == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 operation == CMD_INSERT ?
			 errmsg("foreign table \"%s\" does not allow inserts", target->name) :
			 errmsg("foreign table \"%s\" does not allow updates", target->name),
			 errdetail_internal("%s", problem),
			 hint ? errhint("%s", hint) : 0));
}

/*
 * check_constants
 *		Raise an error if a value is a constant that its column cannot have, or
 *		may be one: a result of CASE or COALESCE.
 *
 * None of these expressions changes how a value is represented.  A null that is
 * only a possible result may never come.
 */
static void
check_constants(const GraphTarget *target, const GraphTargetColumn *column,
				Node *expr, bool is_only)
{
	ListCell   *cell;

	if (expr == NULL)
		return;
	if (IsA(expr, RelabelType))
		check_constants(target, column, (Node *) ((RelabelType *) expr)->arg,
						is_only);
	else if (IsA(expr, CoerceToDomain))
		check_constants(target, column,
						(Node *) ((CoerceToDomain *) expr)->arg, is_only);
	else if (IsA(expr, CoalesceExpr))
	{
		foreach(cell, ((CoalesceExpr *) expr)->args)
			check_constants(target, column, lfirst(cell), false);
	}
	else if (IsA(expr, CaseExpr))
	{
		foreach(cell, ((CaseExpr *) expr)->args)
			check_constants(target, column,
							(Node *) lfirst_node(CaseWhen, cell)->result,
							false);
		check_constants(target, column,
						(Node *) ((CaseExpr *) expr)->defresult, false);
	}
	else if (IsA(expr, Const) && (is_only || !((Const *) expr)->constisnull))
		graph_check_json(target, column,
						 graph_value_json(target, column,
										  ((Const *) expr)->constvalue,
										  ((Const *) expr)->constisnull));
}

/*
 * property_names
 *		The names of those properties that are in a list of columns, in the order
 *		in which the resource has them.
 */
static List *
property_names(const GraphTarget *target, List *columns)
{
	List	   *result = NIL;

	for (int i = 0; i < target->resource->nwritable; i++)
	{
		const GraphWritableProperty *writable = &target->resource->writable[i];
		ListCell   *cell;

		foreach(cell, columns)
		{
			if (((const GraphTargetColumn *) lfirst(cell))->writable != writable)
				continue;
			result = lappend(result, makeString(pstrdup(writable->name)));
			break;
		}
	}
	return result;
}

/*
 * check_update
 *		Raise an error if a column in SET cannot be set, or not to its value;
 *		else the names of the properties.
 */
static List *
check_update(PlannerInfo *root, const GraphTarget *target, Index rti)
{
	List	   *columns = NIL;
	List	   *tlist;
	List	   *attnums;
	ListCell   *cell;
	ListCell   *attnum;

	get_translated_update_targetlist(root, rti, &tlist, &attnums);
	forboth(cell, tlist, attnum, attnums)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, cell);
		const GraphTargetColumn *column = column_of(target, lfirst_int(attnum));

		if (column == NULL || column->is_generated)
			continue;
		if (column->writable == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" of foreign table \"%s\" cannot be set",
							column->name, target->name),
					 errhint("Columns that can be set are: %s.",
							 graph_target_columns(target))));
		check_constants(target, column, (Node *) tle->expr, true);
		columns = lappend(columns, unconstify(GraphTargetColumn *, column));
	}
	return property_names(target, columns);
}

/*
 * is_null
 *		Is this the null that a column gets which a statement does not name?
 */
static bool
is_null(Node *expr)
{
	while (IsA(expr, CoerceToDomain))
		expr = (Node *) ((CoerceToDomain *) expr)->arg;
	return IsA(expr, Const) && ((Const *) expr)->constisnull;
}

/*
 * check_insert
 *		Raise an error if a column is given a value that it cannot have; else the
 *		names of the properties.
 *
 * A column by which a partition was chosen may be given: it is true of the
 * record, or it would be in another partition.
 */
static List *
check_insert(PlannerInfo *root, const GraphTarget *target)
{
	List	   *columns = NIL;
	ListCell   *cell;

	foreach(cell, root->processed_tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, cell);
		const GraphTargetColumn *column;

		if (tle->resjunk)
			continue;
		column = column_of(target, tle->resno);
		if (column == NULL || column->is_generated || column->is_routing)
			continue;
		if (column->writable)
		{
			check_constants(target, column, (Node *) tle->expr, true);
			columns = lappend(columns, unconstify(GraphTargetColumn *, column));
		}
		else if (!column->is_key && !is_null((Node *) tle->expr))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" of foreign table \"%s\" cannot be given a value",
							column->name, target->name),
					 errhint("Columns that can be given one are: %s.",
							 graph_target_columns(target))));
	}
	return property_names(target, columns);
}

/*
 * returned_columns
 *		The attribute numbers that RETURNING reads; 0 is the whole row.
 */
static List *
returned_columns(const ModifyTable *plan, Index rti, int index)
{
	if (plan->returningLists == NIL)
		return NIL;
	return graph_add_attributes(NIL, list_nth(plan->returningLists, index), rti);
}

/*
 * graph_plan_write
 *		Check what a statement writes to a table, and what its plan holds of
 *		that: see GraphWritePrivate.
 */
List *
graph_plan_write(PlannerInfo *root, ModifyTable *plan, Index rti, int index)
{
	RangeTblEntry *rte = planner_rt_fetch(rti, root);
	Relation	relation = table_open(rte->relid, NoLock);	/* planner has one */
	GraphTarget *target = graph_target_open(relation);
	List	   *properties;

	check_target(target, plan->operation);
	properties = plan->operation == CMD_UPDATE ?
		check_update(root, target, rti) : check_insert(root, target);
	table_close(relation, NoLock);
	return list_make3(properties, returned_columns(plan, rti, index),
					  makeBoolean(plan->canSetTag));
}

/*
 * refuse_delete
 *		Raise the error for what the service does not do.
 */
static void
refuse_delete(PlannerInfo *root, Index rti)
{
	ForeignTable *table = GetForeignTable(planner_rt_fetch(rti, root)->relid);
	const GraphResourceInfo *resource;
	GraphOptions options;

	graph_get_options(table, GetForeignServer(table->serverid), NULL, &options);
	resource = graph_resource_info(options.resource);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot delete from foreign table \"%s\"",
					get_rel_name(table->relid)),
			 errdetail("Microsoft Graph does not delete %s, nor anything in them.",
					   graph_records_name(resource)),
			 resource->rows_member == NULL ?
			 errhint("What needs no more attention can be closed: set its status to \"resolved\" by UPDATE.") : 0));
}

/*
 * graphPlanForeignModify
 *		The same for a statement whose rows are written one after the other.
 *
 * DELETE is refused as PostgreSQL does it where there is no function for it, and
 * with the reason.
 */
List *
graphPlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index rti,
					   int index)
{
	if (plan->operation == CMD_DELETE)
		refuse_delete(root, rti);
	return graph_plan_write(root, plan, rti, index);
}
