/*-------------------------------------------------------------------------
 *
 * lookup.c
 *		Which ids does a clause name?
 *
 * Where a clause can be true for some ids only, those alerts are looked up one
 * by one, unless there are so many that one list costs less.  It may also name
 * the ids of what the alerts belong to, whose own lists are read then.
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

/* What is at hand while ids are looked for. */
typedef struct LookupContext
{
	RelOptInfo *baserel;
	GraphPushdown *pushdown;
	bool		by_owner;		/* ids of what the alerts belong to */
	Var		   *column;			/* the one that was compared last */
} LookupContext;

/*
 * is_askable
 *		Can the alerts with these ids, as far as they are known, be asked for?
 */
static bool
is_askable(const LookupContext *context, const GraphValue *value)
{
	const GraphRelInfo *info = context->baserel->fdw_private;
	int			count;
	bool		all = true;
	char	  **keys;

	if (!value->known || value->isnull)
		return true;
	if (value->type == TEXTOID && !context->by_owner)
		return graph_text_meaning(TextDatumGetCString(value->value)) != GRAPH_TEXT_AMBIGUOUS;
	keys = graph_key_list(list_make1_int(0), value, &count, &all);
	return all && (!context->by_owner ||
				   graph_are_owners(info->resource->navigation, keys, count));
}

/*
 * is_named
 *		Is this the column whose ids are looked for?
 */
static bool
is_named(LookupContext *context, Expr *expr)
{
	if (!(context->by_owner ? graph_is_owner_column(context->baserel, expr) :
		  graph_is_key_column(context->baserel, expr)))
		return false;
	context->column = graph_own_var(context->baserel, expr);
	return true;
}

/*
 * find_operand_keys
 *		The ids that "id = value", either way round, or "id = ANY (values)"
 *		names.
 */
static List *
find_operand_keys(LookupContext *context, List *args, bool array)
{
	GraphPushdown *pushdown = context->pushdown;
	Expr	   *value = lsecond(args);
	int			number;

	if (!is_named(context, linitial(args)))
	{
		if (array || !is_named(context, value))
			return NIL;
		value = linitial(args);
	}
	if (exprType((Node *) value) != (array ? TEXTARRAYOID : TEXTOID) ||
		!graph_is_known_at_start(context->baserel, value))
		return NIL;
	number = graph_value_add(pushdown, value);
	return is_askable(context, &pushdown->known[number]) ? list_make1_int(number) : NIL;
}

/*
 * find_keys
 *		The values that hold all ids for which a clause can be true, or NIL if
 *		it does not say.
 *
 * One arm of an AND is enough; of an OR, all arms have to name ids.
 */
static List *
find_keys(LookupContext *context, Expr *expr)
{
	List	   *keys = NIL;
	ListCell   *cell;

	if (IsA(expr, OpExpr))
	{
		OpExpr	   *op = (OpExpr *) expr;

		return graph_is_text_equality(op->opno, op->inputcollid) ?
			find_operand_keys(context, op->args, false) : NIL;
	}
	if (IsA(expr, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) expr;

		return op->useOr &&
			graph_is_text_equality(op->opno, op->inputcollid) ?
			find_operand_keys(context, op->args, true) : NIL;
	}
	if (!is_orclause(expr) && !is_andclause(expr))
		return NIL;

	foreach(cell, ((BoolExpr *) expr)->args)
	{
		List	   *found = find_keys(context, lfirst(cell));

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
		graph_most_keys(info, pushdown, info->alerts);
}

/*
 * graph_find_lookup
 *		The values that hold the ids by which a clause's alerts are looked up,
 *		their own or (by_owner) those of what they belong to; NIL if they are
 *		not.  The pushdown is told which of the two.
 */
List *
graph_find_lookup(RelOptInfo *baserel, GraphPushdown *pushdown, bool by_owner,
				  Expr *expr)
{
	LookupContext context = {baserel, pushdown, by_owner, NULL};
	int			before = list_length(pushdown->values);
	List	   *keys = find_keys(&context, expr);

	pushdown->owner_column = keys && by_owner ? context.column : NULL;
	if (keys && !are_too_many(baserel->fdw_private, pushdown, keys))
		return keys;
	pushdown->owner_column = NULL;
	graph_values_forget(pushdown, before);
	return NIL;
}

/*
 * graph_batch_keys
 *		Look up by ids that a batch tells, which are those of this column.
 */
void
graph_batch_keys(GraphPushdown *pushdown, RelOptInfo *rel, Var *key)
{
	pushdown->keys = list_make1_int(GRAPH_BATCHED_KEYS);
	pushdown->owner_column =
		graph_is_owner_column(rel, (Expr *) key) ? key : NULL;
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
