/*-------------------------------------------------------------------------
 *
 * lookup.c
 *		Which ids does a clause name?
 *
 * Where a clause can be true for some ids only, those alerts are looked up one
 * by one, unless there are so many that one list costs less.
 *
 * What this file refuses to know: what else can be sent, how an id is written.
 *
 * IDENTIFICATION
 *		src/plan/lookup.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"

#include "plan/graph_plan.h"

/*
 * is_askable
 *		Can the alerts with these ids, as far as they are known, be asked for?
 */
static bool
is_askable(const GraphValue *value)
{
	int			count;
	bool		all = true;

	if (!value->known || value->isnull)
		return true;
	if (value->type == TEXTOID)
		return graph_text_meaning(TextDatumGetCString(value->value)) != GRAPH_TEXT_AMBIGUOUS;
	(void) graph_key_list(list_make1_int(0), value, &count, &all);
	return all;
}

/*
 * find_operand_keys
 *		The ids that "id = value", either way round, or "id = ANY (values)"
 *		names.
 */
static List *
find_operand_keys(RelOptInfo *baserel, GraphPushdown *pushdown, List *args,
				  bool array)
{
	Expr	   *value = lsecond(args);
	int			number;

	if (!graph_is_key_column(baserel, linitial(args)))
	{
		if (array || !graph_is_key_column(baserel, value))
			return NIL;
		value = linitial(args);
	}
	if (exprType((Node *) value) != (array ? TEXTARRAYOID : TEXTOID) ||
		!graph_is_known_at_start(baserel, value))
		return NIL;
	number = graph_value_add(pushdown, value);
	return is_askable(&pushdown->known[number]) ? list_make1_int(number) : NIL;
}

/*
 * find_keys
 *		The values that hold all ids for which a clause can be true, or NIL if
 *		it does not say.
 *
 * One arm of an AND is enough; of an OR, all arms have to name ids.
 */
static List *
find_keys(RelOptInfo *baserel, GraphPushdown *pushdown, Expr *expr)
{
	List	   *keys = NIL;
	ListCell   *cell;

	if (IsA(expr, OpExpr))
	{
		OpExpr	   *op = (OpExpr *) expr;

		return graph_is_text_equality(op->opno, op->inputcollid) ?
			find_operand_keys(baserel, pushdown, op->args, false) : NIL;
	}
	if (IsA(expr, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) expr;

		return op->useOr &&
			graph_is_text_equality(op->opno, op->inputcollid) ?
			find_operand_keys(baserel, pushdown, op->args, true) : NIL;
	}
	if (!is_orclause(expr) && !is_andclause(expr))
		return NIL;

	foreach(cell, ((BoolExpr *) expr)->args)
	{
		List	   *found = find_keys(baserel, pushdown, lfirst(cell));

		if (is_andclause(expr) && found)
			return found;
		if (is_orclause(expr) && !found)
			return NIL;
		keys = list_concat(keys, found);
	}
	return keys;
}

/*
 * graph_named_ids
 *		How many ids do the values name that are constants, and in *most, how
 *		many can they all name?  An array that is known later may have any number.
 */
int
graph_named_ids(const GraphPushdown *pushdown, List *keys, int *most)
{
	const GraphValue *known = pushdown->known;
	List	   *constants = NIL;
	int			later = 0;
	bool		any_number = false;
	ListCell   *cell;
	int			count = 0;
	bool		all;

	foreach(cell, keys)
	{
		const GraphValue *value = &known[lfirst_int(cell)];

		if (value->constant)
			constants = lappend_int(constants, lfirst_int(cell));
		else if (value->type == TEXTOID)
			later++;
		else
			any_number = true;
	}
	if (constants)
		(void) graph_key_list(constants, known, &count, &all);
	*most = any_number ? INT_MAX : count + later;
	return count;
}

/*
 * are_too_many
 *		Are so many ids named that the whole list costs less?
 */
static bool
are_too_many(const GraphRelInfo *info, const GraphPushdown *pushdown,
			 List *keys)
{
	int			most;

	/* the usual case, which needs no hash table */
	if (list_length(keys) == 1 &&
		pushdown->known[linitial_int(keys)].type == TEXTOID)
		return false;
	return graph_named_ids(pushdown, keys, &most) >
		graph_most_keys(info, info->alerts);
}

/*
 * graph_find_lookup
 *		The values that hold the ids by which a clause's alerts are looked up;
 *		NIL if they are not.
 */
List *
graph_find_lookup(RelOptInfo *baserel, GraphPushdown *pushdown, Expr *expr)
{
	int			before = list_length(pushdown->values);
	List	   *keys = find_keys(baserel, pushdown, expr);

	if (keys && !are_too_many(baserel->fdw_private, pushdown, keys))
		return keys;
	graph_values_forget(pushdown, before);
	return NIL;
}

/*
 * graph_is_only_lookup
 *		Does a clause that names ids say nothing else?
 */
bool
graph_is_only_lookup(Expr *expr)
{
	ListCell   *cell;

	if (is_andclause(expr))
		return false;
	if (!is_orclause(expr))
		return true;
	foreach(cell, ((BoolExpr *) expr)->args)
	{
		if (!graph_is_only_lookup(lfirst(cell)))
			return false;
	}
	return true;
}
