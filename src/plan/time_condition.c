/*-------------------------------------------------------------------------
 *
 * time_condition.c
 *		Which clauses compare a function of a time that keeps its order?
 *
 * Dashboards group times by days and hours and ask for those: date_trunc('day',
 * column) >= value.  The functions on the way from the column to what is
 * compared become the steps of a GRAPH_FILTER_RANGE, which src/odata/time_range.c
 * undoes when the values are known.  They are recognized by their OID, and so
 * are the operators behind + and - .
 *
 * A column that is declared otherwise than as a timestamptz is one more
 * function, its type's input.  That of timestamp and date does not look at the
 * offset that a time is written with, so the service's time may be as far away
 * as an offset may be.
 *
 * All such conditions are supersets.  Inequality stays here.
 *
 * What this file refuses to know: what a step means.
 *
 * IDENTIFICATION
 *		src/plan/time_condition.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "plan/graph_plan.h"

/* The largest offset of Edm.DateTimeOffset, in hours. */
#define LARGEST_OFFSET_HOURS	14

/*
 * A function as a step, or as two: which argument has the column, and which
 * ones the last step takes.
 */
typedef struct TimeFunction
{
	Oid			function;
	int			column;
	int			nvalues;
	int			values[2];
	GraphStepKind kind;
	int			detail;			/* see GraphStepKind */
	GraphStepKind then;			/* or none */
} TimeFunction;

static const TimeFunction time_functions[] = {
	/* casts */
	{F_TIMESTAMP_TIMESTAMPTZ, 0, 0, {0}, GRAPH_STEP_LOCAL, 0, 0},
	{F_TIMESTAMPTZ_TIMESTAMP, 0, 0, {0}, GRAPH_STEP_UTC, 0, 0},
	{F_TIMESTAMPTZ_DATE, 0, 0, {0}, GRAPH_STEP_UTC, 0, 0},
	{F_TIMESTAMP_DATE, 0, 0, {0}, GRAPH_STEP_NONE, 0, 0},
	{F_DATE_TIMESTAMP, 0, 0, {0}, GRAPH_STEP_TRUNCATE, 0, 0},
	{F_DATE_TIMESTAMPTZ, 0, 0, {0}, GRAPH_STEP_TRUNCATE, 0, GRAPH_STEP_LOCAL},

	/* AT TIME ZONE */
	{F_TIMEZONE_TEXT_TIMESTAMPTZ, 1, 1, {0}, GRAPH_STEP_LOCAL, 0, 0},
	{F_TIMEZONE_INTERVAL_TIMESTAMPTZ, 1, 1, {0}, GRAPH_STEP_LOCAL, 0, 0},
	{F_TIMEZONE_TEXT_TIMESTAMP, 1, 1, {0}, GRAPH_STEP_UTC, 0, 0},
	{F_TIMEZONE_INTERVAL_TIMESTAMP, 1, 1, {0}, GRAPH_STEP_UTC, 0, 0},

	{F_DATE_TRUNC_TEXT_TIMESTAMP, 1, 1, {0}, GRAPH_STEP_TRUNCATE, 0, 0},
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ, 1, 1, {0}, GRAPH_STEP_TRUNCATE_ZONED, 0, 0},
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT, 1, 2, {0, 2}, GRAPH_STEP_TRUNCATE_ZONED, 0, 0},
	{F_DATE_BIN_INTERVAL_TIMESTAMP_TIMESTAMP, 1, 2, {0, 2}, GRAPH_STEP_BIN, 0, 0},
	{F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ, 1, 2, {0, 2}, GRAPH_STEP_BIN, 0, 0},

	/* + and - */
	{F_DATE_PLI, 0, 1, {1}, GRAPH_STEP_ADD_DAYS, 1, 0},
	{F_DATE_MII, 0, 1, {1}, GRAPH_STEP_ADD_DAYS, -1, 0},
	{F_DATE_PL_INTERVAL, 0, 1, {1}, GRAPH_STEP_ADD, 1, 0},
	{F_DATE_MI_INTERVAL, 0, 1, {1}, GRAPH_STEP_ADD, -1, 0},
	{F_TIMESTAMP_PL_INTERVAL, 0, 1, {1}, GRAPH_STEP_ADD, 1, 0},
	{F_TIMESTAMP_MI_INTERVAL, 0, 1, {1}, GRAPH_STEP_ADD, -1, 0},
	{F_TIMESTAMPTZ_PL_INTERVAL, 0, 1, {1}, GRAPH_STEP_ADD_ZONED, 1, 0},
	{F_TIMESTAMPTZ_MI_INTERVAL, 0, 1, {1}, GRAPH_STEP_ADD_ZONED, -1, 0},
	{F_DATE_MI, 0, 1, {1}, GRAPH_STEP_DAYS, 0, GRAPH_STEP_SINCE},
	{F_DATE_MI, 1, 1, {0}, GRAPH_STEP_DAYS, 0, GRAPH_STEP_UNTIL},
	{F_TIMESTAMP_MI, 0, 1, {1}, GRAPH_STEP_SINCE, 0, 0},
	{F_TIMESTAMP_MI, 1, 1, {0}, GRAPH_STEP_UNTIL, 0, 0},
	{F_TIMESTAMPTZ_MI, 0, 1, {1}, GRAPH_STEP_SINCE, 0, 0},
	{F_TIMESTAMPTZ_MI, 1, 1, {0}, GRAPH_STEP_UNTIL, 0, 0},

	/* fields */
	{F_EXTRACT_TEXT_DATE, 1, 1, {0}, GRAPH_STEP_EXTRACT, 0, 0},
	{F_EXTRACT_TEXT_TIMESTAMP, 1, 1, {0}, GRAPH_STEP_EXTRACT, 0, 0},
	{F_EXTRACT_TEXT_TIMESTAMPTZ, 1, 1, {0}, GRAPH_STEP_EXTRACT_ZONED, 0, 0},
	{F_EXTRACT_TEXT_INTERVAL, 1, 1, {0}, GRAPH_STEP_EXTRACT_INTERVAL, 0, 0},
	{F_DATE_PART_TEXT_TIMESTAMP, 1, 1, {0}, GRAPH_STEP_EXTRACT, 0, 0},
	{F_DATE_PART_TEXT_TIMESTAMPTZ, 1, 1, {0}, GRAPH_STEP_EXTRACT_ZONED, 0, 0},
	{F_DATE_PART_TEXT_INTERVAL, 1, 1, {0}, GRAPH_STEP_EXTRACT_INTERVAL, 0, 0},

	/* numbers */
	{F_TO_TIMESTAMP_FLOAT8, 0, 0, {0}, GRAPH_STEP_TO_TIMESTAMP, 0, 0},
	{F_FLOAT8_NUMERIC, 0, 0, {0}, GRAPH_STEP_FLOAT, 0, 0},
	{F_NUMERIC_FLOAT8, 0, 0, {0}, GRAPH_STEP_FLOAT, 0, 0},
	{F_NUMERIC_INT4, 0, 0, {0}, GRAPH_STEP_FLOAT, 0, 0},
	{F_NUMERIC_INT8, 0, 0, {0}, GRAPH_STEP_FLOAT, 0, 0},
	{F_FLOAT8_INT4, 0, 0, {0}, GRAPH_STEP_FLOAT, 0, 0},
	{F_FLOAT8_INT8, 0, 0, {0}, GRAPH_STEP_FLOAT, 0, 0},
	{F_INT8_INT4, 0, 0, {0}, GRAPH_STEP_ROUND, 0, 0},
	{F_INT4_INT8, 0, 0, {0}, GRAPH_STEP_ROUND, 0, 0},
	{F_INT4_NUMERIC, 0, 0, {0}, GRAPH_STEP_ROUND, 0, 0},
	{F_INT8_NUMERIC, 0, 0, {0}, GRAPH_STEP_ROUND, 0, 0},
	{F_INT4_FLOAT8, 0, 0, {0}, GRAPH_STEP_ROUND, 0, 0},
	{F_INT8_FLOAT8, 0, 0, {0}, GRAPH_STEP_ROUND, 0, 0},
	{F_ROUND_NUMERIC, 0, 0, {0}, GRAPH_STEP_ROUND, 0, 0},
	{F_ROUND_FLOAT8, 0, 0, {0}, GRAPH_STEP_ROUND, 0, 0},
	{F_ROUND_NUMERIC_INT4, 0, 1, {1}, GRAPH_STEP_ROUND, 0, 0},
	{F_TRUNC_NUMERIC, 0, 0, {0}, GRAPH_STEP_CUT, 0, 0},
	{F_TRUNC_FLOAT8, 0, 0, {0}, GRAPH_STEP_CUT, 0, 0},
	{F_TRUNC_NUMERIC_INT4, 0, 1, {1}, GRAPH_STEP_CUT, 0, 0},
	{F_FLOOR_NUMERIC, 0, 0, {0}, GRAPH_STEP_FLOOR, 0, 0},
	{F_FLOOR_FLOAT8, 0, 0, {0}, GRAPH_STEP_FLOOR, 0, 0},
	{F_CEIL_NUMERIC, 0, 0, {0}, GRAPH_STEP_CEIL, 0, 0},
	{F_CEIL_FLOAT8, 0, 0, {0}, GRAPH_STEP_CEIL, 0, 0},
	{F_CEILING_NUMERIC, 0, 0, {0}, GRAPH_STEP_CEIL, 0, 0},
	{F_CEILING_FLOAT8, 0, 0, {0}, GRAPH_STEP_CEIL, 0, 0},
	{F_NUMERIC_ADD, 0, 1, {1}, GRAPH_STEP_PLUS, 0, 0},
	{F_NUMERIC_ADD, 1, 1, {0}, GRAPH_STEP_PLUS, 0, 0},
	{F_FLOAT8PL, 0, 1, {1}, GRAPH_STEP_PLUS, 0, 0},
	{F_FLOAT8PL, 1, 1, {0}, GRAPH_STEP_PLUS, 0, 0},
	{F_INT8PL, 0, 1, {1}, GRAPH_STEP_PLUS, 0, 0},
	{F_INT8PL, 1, 1, {0}, GRAPH_STEP_PLUS, 0, 0},
	{F_INT84PL, 0, 1, {1}, GRAPH_STEP_PLUS, 0, 0},
	{F_INT48PL, 1, 1, {0}, GRAPH_STEP_PLUS, 0, 0},
	{F_NUMERIC_SUB, 0, 1, {1}, GRAPH_STEP_MINUS, 0, 0},
	{F_FLOAT8MI, 0, 1, {1}, GRAPH_STEP_MINUS, 0, 0},
	{F_INT8MI, 0, 1, {1}, GRAPH_STEP_MINUS, 0, 0},
	{F_INT84MI, 0, 1, {1}, GRAPH_STEP_MINUS, 0, 0},
	{F_NUMERIC_MUL, 0, 1, {1}, GRAPH_STEP_TIMES, 0, 0},
	{F_NUMERIC_MUL, 1, 1, {0}, GRAPH_STEP_TIMES, 0, 0},
	{F_FLOAT8MUL, 0, 1, {1}, GRAPH_STEP_TIMES, 0, 0},
	{F_FLOAT8MUL, 1, 1, {0}, GRAPH_STEP_TIMES, 0, 0},
	{F_INT8MUL, 0, 1, {1}, GRAPH_STEP_TIMES, 0, 0},
	{F_INT8MUL, 1, 1, {0}, GRAPH_STEP_TIMES, 0, 0},
	{F_INT84MUL, 0, 1, {1}, GRAPH_STEP_TIMES, 0, 0},
	{F_INT48MUL, 1, 1, {0}, GRAPH_STEP_TIMES, 0, 0},
	{F_INT4MUL, 0, 1, {1}, GRAPH_STEP_TIMES, 0, 0},
	{F_INT4MUL, 1, 1, {0}, GRAPH_STEP_TIMES, 0, 0},
	{F_NUMERIC_DIV, 0, 1, {1}, GRAPH_STEP_DIVIDED, 0, 0},
	{F_FLOAT8DIV, 0, 1, {1}, GRAPH_STEP_DIVIDED, 0, 0},
	{F_INT8DIV, 0, 1, {1}, GRAPH_STEP_DIVIDED, true, 0},
	{F_INT84DIV, 0, 1, {1}, GRAPH_STEP_DIVIDED, true, 0},
	{F_INT4DIV, 0, 1, {1}, GRAPH_STEP_DIVIDED, true, 0},
};

/* The functions that a clause has around a column: find_steps(). */
typedef struct TimeChain
{
	RelOptInfo *baserel;
	List	   *steps;			/* each a list: an Integer for the kind, one
								 * for the detail, and expressions */
	Var		   *var;
	const GraphQueryProperty *property;
} TimeChain;

/*
 * has_column
 *		Does an expression have a column of this table?
 */
static bool
has_column(RelOptInfo *baserel, Node *expr)
{
	return bms_is_member(baserel->relid, pull_varnos(NULL, expr));
}

/*
 * add_step
 *		One more step, with the values that it takes.
 */
static void
add_step(TimeChain *chain, GraphStepKind kind, int detail, List *values)
{
	List	   *step = list_make2(makeInteger(kind), makeInteger(detail));

	if (kind != GRAPH_STEP_NONE)
		chain->steps = lappend(chain->steps, list_concat(step, values));
}

/*
 * follow_function
 *		Add a function to the steps, if it is one, and give the argument that
 *		has the column; else NULL.
 */
static Expr *
follow_function(TimeChain *chain, Oid function, List *args)
{
	for (size_t i = 0; i < lengthof(time_functions); i++)
	{
		const TimeFunction *row = &time_functions[i];
		Expr	   *column;
		List	   *values = NIL;

		if (row->function != function)
			continue;
		column = list_nth(args, row->column);
		if (!has_column(chain->baserel, (Node *) column))
			continue;
		for (int j = 0; j < row->nvalues; j++)
		{
			values = lappend(values, list_nth(args, row->values[j]));
			if (!graph_is_known_at_start(chain->baserel, llast(values)))
				return NULL;
		}
		add_step(chain, row->kind, row->detail, row->then ? NIL : values);
		add_step(chain, row->then, 0, values);
		return column;
	}
	return NULL;
}

/*
 * follow_precision
 *		The same for a cast to so many decimals of a second.
 */
static Expr *
follow_precision(TimeChain *chain, Oid function, List *args)
{
	const Const *typmod;

	if (function != F_TIMESTAMPTZ_TIMESTAMPTZ_INT4 &&
		function != F_TIMESTAMP_TIMESTAMP_INT4)
		return NULL;
	typmod = lsecond(args);
	if (!IsA(typmod, Const) || typmod->constisnull)
		return NULL;
	add_step(chain, GRAPH_STEP_ROUND_TIME, DatumGetInt32(typmod->constvalue), NIL);
	return linitial(args);
}

/*
 * follow_column
 *		Add what a column's type makes of the service's time; false if the column
 *		is not one of those times.
 */
static bool
follow_column(TimeChain *chain)
{
	GraphRelInfo *info = chain->baserel->fdw_private;
	int32		typmod = chain->var->vartypmod;
	Oid			type = getBaseTypeAndTypmod(chain->var->vartype, &typmod);
	bool		in_alert;
	char	   *path;

	if (type != TIMESTAMPTZOID && type != TIMESTAMPOID && type != DATEOID)
		return false;
	path = graph_only_path(chain->baserel, chain->var, &in_alert);
	chain->property = path && in_alert ?
		graph_query_property(info->resource, path) : NULL;
	if (chain->property == NULL || chain->property->type != GRAPH_EDM_DATETIME)
		return false;
	if (type == DATEOID)
		add_step(chain, GRAPH_STEP_TRUNCATE, 0, NIL);
	if (typmod >= 0)
		add_step(chain, GRAPH_STEP_ROUND_TIME, typmod, NIL);
	if (type != TIMESTAMPTZOID)
		add_step(chain, GRAPH_STEP_BLUR, LARGEST_OFFSET_HOURS, NIL);
	return true;
}

/*
 * find_steps
 *		Take an expression apart down to a column that reads a time; false if it
 *		has anything else around it.
 */
static bool
find_steps(TimeChain *chain, Expr *expr)
{
	while (expr)
	{
		Oid			function = InvalidOid;
		List	   *args = NIL;
		Expr	   *next;

		chain->var = graph_own_var(chain->baserel, expr);
		if (chain->var)
			return follow_column(chain);
		if (IsA(expr, RelabelType))
		{
			expr = ((RelabelType *) expr)->arg;
			continue;
		}
		if (IsA(expr, FuncExpr))
		{
			function = ((FuncExpr *) expr)->funcid;
			args = ((FuncExpr *) expr)->args;
		}
		else if (IsA(expr, OpExpr))
		{
			function = get_opcode(((OpExpr *) expr)->opno);
			args = ((OpExpr *) expr)->args;
		}
		next = follow_function(chain, function, args);
		expr = next ? next : follow_precision(chain, function, args);
	}
	return false;
}

/*
 * graph_is_time_function
 *		Is this a column that reads a time, with nothing around it but functions
 *		that keep the order of times?
 */
bool
graph_is_time_function(RelOptInfo *baserel, Expr *expr)
{
	TimeChain	chain = {baserel, NIL, NULL, NULL};

	return find_steps(&chain, expr);
}

/*
 * compared_type
 *		The type as which two types are compared: times with times, numbers with
 *		numbers, intervals; InvalidOid if they are something else.
 */
static Oid
compared_type(Oid left, Oid right)
{
	static const Oid numbers[] = {NUMERICOID, FLOAT8OID, INT8OID, INT4OID, FLOAT4OID, INT2OID};
	static const Oid times[] = {TIMESTAMPTZOID, TIMESTAMPOID, DATEOID};
	int			found = 0;

	if (left == INTERVALOID && right == INTERVALOID)
		return INTERVALOID;
	for (size_t i = 0; i < lengthof(numbers); i++)
		found += (left == numbers[i]) + (right == numbers[i]);
	if (found == 2)
		return FLOAT8OID;
	found = 0;
	for (size_t i = 0; i < lengthof(times); i++)
		found += (left == times[i]) + (right == times[i]);
	if (found != 2)
		return InvalidOid;
	return left == TIMESTAMPTZOID || right == TIMESTAMPTZOID ?
		TIMESTAMPTZOID : TIMESTAMPOID;
}

/*
 * number_steps
 *		The steps as the plan holds them, with numbers for their values.
 */
static List *
number_steps(List *steps, GraphPushdown *pushdown)
{
	List	   *result = NIL;
	ListCell   *cell;
	ListCell   *value;

	foreach(cell, steps)
	{
		List	   *step = list_copy_head(lfirst(cell), 2);

		for_each_from(value, lfirst(cell), 2)
			step = lappend(step, makeInteger(graph_value_add(pushdown,
															 lfirst(value))));
		result = lappend(result, step);
	}
	return result;
}

/*
 * value_type
 *		The type of what is compared with, or of the elements of an array.
 */
static Oid
value_type(Expr *value, bool array)
{
	Oid			type = exprType((Node *) value);

	return array ? get_element_type(type) : type;
}

/*
 * make_range
 *		The condition of a comparison of column, which may have functions around
 *		it, with a value or any of an array; NIL if it is none to be sent.
 */
static List *
make_range(RelOptInfo *baserel, GraphPushdown *pushdown, Expr *column,
		   GraphComparison comparison, Expr *value, bool array)
{
	Oid			type = exprType((Node *) column);
	Oid			as = compared_type(type, value_type(value, array));
	TimeChain	chain = {baserel, NIL, NULL, NULL};

	if (!OidIsValid(as) || comparison == GRAPH_NE ||
		!graph_is_known_at_start(baserel, value))
		return NIL;
	if (as == TIMESTAMPTZOID && type != TIMESTAMPTZOID)
		add_step(&chain, GRAPH_STEP_UTC, 0, NIL);
	if (!find_steps(&chain, column))
		return NIL;
	return lappend(list_make5(makeInteger(GRAPH_FILTER_RANGE),
							  makeString(pstrdup(chain.property->name)),
							  makeInteger(comparison), makeInteger((int) as),
							  number_steps(chain.steps, pushdown)),
				   makeInteger(graph_value_add(pushdown, value)));
}

/*
 * operator_condition
 *		"function of a time operator value", either way round.
 */
static List *
operator_condition(RelOptInfo *baserel, GraphPushdown *pushdown, OpExpr *op,
				   bool negate)
{
	GraphComparison comparison;
	bool		swapped;
	Expr	   *column;

	if (list_length(op->args) != 2)
		return NIL;
	swapped = has_column(baserel, lsecond(op->args));
	column = swapped ? lsecond(op->args) : linitial(op->args);
	if (!graph_order_comparison(op->opno, exprType((Node *) column), &comparison))
		return NIL;
	if (swapped)
		comparison = graph_commuted(comparison);
	if (negate)
		comparison = graph_negated(comparison);
	return make_range(baserel, pushdown, column, comparison,
					  swapped ? linitial(op->args) : lsecond(op->args), false);
}

/*
 * array_condition
 *		"function of a time = ANY (values)".
 */
static List *
array_condition(RelOptInfo *baserel, GraphPushdown *pushdown,
				ScalarArrayOpExpr *op, bool negate)
{
	GraphComparison comparison;
	Expr	   *column = linitial(op->args);

	if (op->useOr == negate ||
		!graph_order_comparison(op->opno, exprType((Node *) column), &comparison))
		return NIL;
	if (negate)
		comparison = graph_negated(comparison);
	if (comparison != GRAPH_EQ)
		return NIL;
	return make_range(baserel, pushdown, column, comparison, lsecond(op->args),
					  true);
}

/*
 * is_null_with_column
 *		Are these steps NULL only where the column is?  A value may be NULL, and
 *		so may be a field of an infinite interval.
 */
static bool
is_null_with_column(List *steps)
{
	ListCell   *cell;
	ListCell   *value;

	foreach(cell, steps)
	{
		if (intVal(linitial(lfirst(cell))) == GRAPH_STEP_EXTRACT_INTERVAL)
			return false;
		for_each_from(value, lfirst(cell), 2)
		{
			if (!IsA(lfirst(value), Const) ||
				((Const *) lfirst(value))->constisnull)
				return false;
		}
	}
	return true;
}

/*
 * null_condition
 *		"function of a time IS [NOT] NULL".
 */
static List *
null_condition(RelOptInfo *baserel, NullTest *test, bool negate)
{
	bool		null = (test->nulltesttype == IS_NULL) != negate;
	TimeChain	chain = {baserel, NIL, NULL, NULL};

	if (test->argisrow || !find_steps(&chain, test->arg) ||
		(null && !is_null_with_column(chain.steps)))
		return NIL;
	return list_make2(makeInteger(null ? GRAPH_FILTER_NULL : GRAPH_FILTER_NOT_NULL),
					  makeString(pstrdup(chain.property->name)));
}

/*
 * graph_time_condition
 *		The condition of a clause on a function of a time, or of its opposite;
 *		NIL if it is none.
 */
List *
graph_time_condition(RelOptInfo *baserel, GraphPushdown *pushdown, Expr *clause,
					 bool negate)
{
	switch (nodeTag(clause))
	{
		case T_OpExpr:
			return operator_condition(baserel, pushdown, (OpExpr *) clause, negate);
		case T_ScalarArrayOpExpr:
			return array_condition(baserel, pushdown,
								   (ScalarArrayOpExpr *) clause, negate);
		case T_NullTest:
			return null_condition(baserel, (NullTest *) clause, negate);
		default:
			return NIL;
	}
}
