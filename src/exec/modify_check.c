/*-------------------------------------------------------------------------
 *
 * modify_check.c
 *		Does a row keep to its table's constraints, before it is written?
 *
 * PostgreSQL leaves the constraints of a foreign table to the other side and
 * checks a view's WITH CHECK OPTION after the row is written.  The service
 * knows of neither, and what was written stays so, so all of it is checked here
 * first.
 *
 * Only what can have become wrong by this statement is checked: constraints on
 * columns that change; of a new row, whose other columns the service fills in,
 * those on columns that were given.
 *
 * What this file refuses to know: values as the service has them, requests.
 *
 * IDENTIFICATION
 *		src/exec/modify_check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

#include "exec/modify_int.h"

/* One CHECK constraint. */
typedef struct RowCheck
{
	const char *name;
	ExprState  *expr;
	Bitmapset  *columns;		/* attribute numbers, as pull_varattnos() has
								 * them */
} RowCheck;

struct GraphChecks
{
	ResultRelInfo *rri;
	EState	   *estate;
	const GraphTarget *target;
	RowCheck   *checks;
	int			nchecks;
};

/*
 * graph_checks_create
 *		What it takes to check the rows of a table, in the current memory
 *		context.
 */
GraphChecks *
graph_checks_create(ResultRelInfo *rri, EState *estate,
					const GraphTarget *target)
{
	GraphChecks *checks = palloc0(sizeof(GraphChecks));
	TupleConstr *constraints = RelationGetDescr(rri->ri_RelationDesc)->constr;

	checks->rri = rri;
	checks->estate = estate;
	checks->target = target;
	if (constraints == NULL)
		return checks;
	checks->checks = palloc0(Max(constraints->num_check, 1) * sizeof(RowCheck));
	for (int i = 0; i < constraints->num_check; i++)
	{
		const ConstrCheck *constraint = &constraints->check[i];
		RowCheck   *check;
		Expr	   *expr;

		if (!graph_is_enforced(constraint))
			continue;
		expr = (Expr *) graph_expand_virtual(stringToNode(constraint->ccbin),
											 rri->ri_RelationDesc);
		check = &checks->checks[checks->nchecks++];
		check->name = pstrdup(constraint->ccname);
		check->expr = ExecPrepareExpr(expr, estate);
		pull_varattnos((Node *) expr, 1, &check->columns);
	}
	return checks;
}

/*
 * check_not_null
 *		Raise an error if a column that changes must not be null but is.
 */
static void
check_not_null(GraphChecks *checks, TupleTableSlot *slot,
			   const Bitmapset *changed)
{
	TupleDesc	tupdesc = slot->tts_tupleDescriptor;
	int			member = -1;

	while ((member = bms_next_member(changed, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, attnum - 1);

		if (attribute->attnotnull && slot_attisnull(slot, attnum))
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
							NameStr(attribute->attname), checks->target->name),
					 errtablecol(checks->rri->ri_RelationDesc, attnum)));
	}
}

/*
 * changes_partition
 *		Does a partition depend on a column that changes?
 */
static bool
changes_partition(const GraphTarget *target, const Bitmapset *changed)
{
	for (int i = 0; i < target->ncolumns; i++)
	{
		if (target->columns[i].is_routing &&
			bms_is_member(target->columns[i].attnum -
						  FirstLowInvalidHeapAttributeNumber, changed))
			return true;
	}
	return false;
}

/*
 * graph_checks_run
 *		Raise an error if a row as it is to be written violates what its table or
 *		a view above says.
 *
 * known are the columns whose values are known, and changed those that this
 * statement has given, both as pull_varattnos() has them.
 */
void
graph_checks_run(GraphChecks *checks, TupleTableSlot *slot,
				 const Bitmapset *known, const Bitmapset *changed)
{
	ResultRelInfo *rri = checks->rri;
	ExprContext *econtext = GetPerTupleExprContext(checks->estate);

	check_not_null(checks, slot, changed);
	econtext->ecxt_scantuple = slot;
	for (int i = 0; i < checks->nchecks; i++)
	{
		const RowCheck *check = &checks->checks[i];

		if (!bms_overlap(check->columns, changed) ||
			!bms_is_subset(check->columns, known) ||
			ExecCheck(check->expr, econtext))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("new row for relation \"%s\" violates check constraint \"%s\"",
						checks->target->name, check->name),
				 errtableconstraint(rri->ri_RelationDesc, check->name)));
	}
	if (changes_partition(checks->target, changed))
		(void) ExecPartitionCheck(rri, slot, checks->estate, true);
	if (rri->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(WCO_VIEW_CHECK, rri, slot, checks->estate);
}
