/*-------------------------------------------------------------------------
 *
 * pushdown.c
 *		Which part of this query can Graph do, and is it exact?
 *
 * Each clause is sorted into one of three kinds: sent and exact (the service
 * means the same), sent as a superset (the service returns at least the right
 * alerts), or local, with the reason.  All of them stay in the plan and are
 * checked again here; exact or not decides only whether a limit or a count may
 * be left to the service.
 *
 * NOT is brought inward first: a negated clause is one with the opposite
 * operator, which is classified anew, because the opposite of a superset would
 * lose rows.  That keeps SQL's nulls right too: NOT (a = b) is true exactly
 * where a <> b is.
 *
 * An operator is recognized by its OID or its place in an operator family,
 * never by its name.  Equality of text counts only under a deterministic
 * collation: under another one, more strings are equal than the service would
 * find.  Text is never compared for order.
 *
 * What is compared with may be any expression that is known when the scan
 * starts: without a column of this table and without a volatile function.  The
 * condition is kept without the value, which filter.c adds when it is known.
 * What it would leave out is left out here already if the value is a constant,
 * and nothing is called exact that has others.
 *
 * What this file refuses to know: tokens, transfers, paths of the planner.
 *
 * IDENTIFICATION
 *		src/plan/pushdown.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "plan/graph_plan.h"

/* What is at hand while one clause is looked at. */
typedef struct ClassifyContext
{
	RelOptInfo *baserel;
	GraphRelInfo *info;
	GraphPushdown *pushdown;
	bool		exact;			/* of the condition made last */
	const char *reason;			/* why there is none */
} ClassifyContext;

/* A comparison: column on the left. */
typedef struct Comparison
{
	Var		   *var;
	const GraphQueryProperty *property; /* NULL: not one of the alert's */
	Expr	   *value;
	GraphComparison comparison;
} Comparison;

static List *convert(ClassifyContext *context, Expr *expr, bool negate);
static List *find_distinct_keys(ClassifyContext *context, Expr *expr);
static bool are_too_many(ClassifyContext *context, List *keys);
static bool is_only_keys(Expr *expr);

/* Why a clause stays local. */
static const char reason_form[] = "not a form that the service answers";
static const char reason_column[] = "the service does not filter by this column";
static const char reason_value[] = "not known before the scan starts";
static const char reason_collation[] = "the collation is not deterministic";
static const char reason_operator[] = "not an operator that the service has";
static const char reason_case[] = "the service may ignore case";
static const char reason_rounding[] = "times are rounded to microseconds here";
static const char reason_member[] = "not a value that the service is known to filter by";
static const char reason_key[] = "alerts are asked for by their id";

/*
 * graph_pushdown_init
 *		No clauses so far: all alerts, exactly.
 */
void
graph_pushdown_init(GraphPushdown *pushdown)
{
	memset(pushdown, 0, sizeof(GraphPushdown));
	pushdown->exact = true;
}

/*
 * find_condition
 *		The condition to send for a clause, or NIL.
 *
 * Its constants decide now what of it is sent: a count relies on that.
 */
static List *
find_condition(ClassifyContext *context, Expr *clause)
{
	GraphPushdown *pushdown = context->pushdown;
	int			before = list_length(pushdown->values);
	List	   *condition = convert(context, clause, false);
	GraphSettled settled;

	if (condition)
	{
		settled = graph_filter_settle(condition, pushdown->known,
									  &pushdown->bytes);
		context->exact = context->exact && settled.is_whole;
		if (settled.is_sent)
			return condition;
		context->reason = settled.left_out;
	}
	graph_values_forget(pushdown, before);
	return NIL;
}

/*
 * graph_classify
 *		Sort restrictions into what is sent and what is not, and add them to
 *		those that were.
 *
 * If they name ids, alerts are asked for by these, and nothing else is sent.
 */
void
graph_classify(PlannerInfo *root, RelOptInfo *baserel, List *rinfos,
			   GraphPushdown *pushdown)
{
	ClassifyContext context = {baserel, baserel->fdw_private, pushdown, false, NULL};
	Expr	   *key_clause = NULL;
	ListCell   *cell;

	foreach(cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		List	   *keys;

		if (rinfo->pseudoconstant || pushdown->keys)
			continue;
		keys = find_distinct_keys(&context, rinfo->clause);
		if (keys == NIL || are_too_many(&context, keys))
			continue;
		pushdown->keys = keys;
		key_clause = rinfo->clause;
	}

	foreach(cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		List	   *condition = NIL;
		char	   *label;

		if (rinfo->pseudoconstant)
			continue;
		context.exact = true;
		context.reason = reason_form;
		if (pushdown->keys)
		{
			context.exact = rinfo->clause == key_clause &&
				is_only_keys(rinfo->clause);
			context.reason = reason_key;
		}
		else
		{
			condition = find_condition(&context, rinfo->clause);
			if (condition)
				pushdown->filters = lappend(pushdown->filters, condition);
		}
		if (condition || rinfo->clause == key_clause)
			pushdown->sent = lappend(pushdown->sent, rinfo);

		if (condition == NIL && rinfo->clause != key_clause)
		{
			context.exact = false;
			label = psprintf("local: %s", context.reason);
		}
		else
			label = context.exact ? "sent, exact" : "sent, superset";
		pushdown->exact = pushdown->exact && context.exact;
		pushdown->clauses = lappend(pushdown->clauses, rinfo->clause);
		pushdown->labels = lappend(pushdown->labels, makeString(pstrdup(label)));
	}
}

/*
 * is_known_at_start
 *		Can this expression be evaluated once, when the scan starts?
 *
 * Columns of other tables are parameters of a nested loop by then.
 */
static bool
is_known_at_start(ClassifyContext *context, Expr *expr)
{
	if (!bms_is_member(context->baserel->relid,
					   pull_varnos(NULL, (Node *) expr)) &&
		!contain_volatile_functions((Node *) expr) &&
		!contain_subplans((Node *) expr))
		return true;
	context->reason = reason_value;
	return false;
}

/*
 * graph_own_var
 *		The column of this table that an expression is, or NULL.
 *
 * A varchar is relabeled to text; char(n) is not, as it is padded.
 */
Var *
graph_own_var(RelOptInfo *baserel, Expr *expr)
{
	Var		   *var;

	if (expr && IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	if (expr == NULL || !IsA(expr, Var))
		return NULL;
	var = (Var *) expr;
	if ((Index) var->varno != baserel->relid || var->varlevelsup != 0 ||
		var->varattno <= 0)
		return NULL;
	return var;
}

/*
 * graph_var_column
 *		What a column of the table reads: found out once.
 */
GraphColumn *
graph_var_column(RelOptInfo *baserel, Var *var)
{
	GraphRelInfo *info = baserel->fdw_private;
	MemoryContext old;

	Assert(info->baserel == baserel);
	Assert(var->varattno > 0 && var->varattno <= baserel->max_attr);
	if (info->columns[var->varattno])
		return info->columns[var->varattno];
	old = MemoryContextSwitchTo(GetMemoryChunkContext(info));
	info->columns[var->varattno] =
		graph_resolve_column(info->options.resource,
							 info->options.evidence_type, info->table_name,
							 get_attname(info->relid, var->varattno, false),
							 graph_column_property(info->relid, var->varattno));
	MemoryContextSwitchTo(old);
	return info->columns[var->varattno];
}

/*
 * only_path
 *		The path that a column reads if it is just one, or NULL; *in_alert tells
 *		whether it is one of the alert's.
 */
static char *
only_path(RelOptInfo *baserel, Var *var, bool *in_alert)
{
	GraphRelInfo *info = baserel->fdw_private;
	GraphColumn *column = graph_var_column(baserel, var);

	if (column->source != GRAPH_SOURCE_PATHS || list_length(column->paths) != 1)
		return NULL;
	*in_alert = info->resource->rows_member == NULL ||
		linitial_int(column->in_alert);
	return linitial(column->paths);
}

/*
 * is_text
 *		Types whose values are what the service compares.
 */
static bool
is_text(Oid type)
{
	return type == TEXTOID || type == VARCHAROID;
}

/*
 * graph_is_key_column
 *		Is this expression a column that reads the alert's id as text?
 */
bool
graph_is_key_column(RelOptInfo *baserel, Expr *expr)
{
	Var		   *var = graph_own_var(baserel, expr);
	bool		in_alert;
	char	   *path;

	if (var == NULL || !is_text(var->vartype))
		return false;
	path = only_path(baserel, var, &in_alert);
	return path && in_alert && strcmp(path, "id") == 0;
}

/*
 * graph_var_property
 *		The property of the alert that a column reads, if the service can filter
 *		or sort by it and the column's type keeps its meaning; else NULL.
 */
const GraphQueryProperty *
graph_var_property(RelOptInfo *baserel, Expr *expr)
{
	Var		   *var = graph_own_var(baserel, expr);
	const GraphQueryProperty *property;
	bool		in_alert;
	char	   *path;

	if (var == NULL)
		return NULL;
	path = only_path(baserel, var, &in_alert);
	if (path == NULL || !in_alert)
		return NULL;
	property = graph_query_property(path);
	if (property == NULL)
		return NULL;
	if (property->type == GRAPH_EDM_DATETIME ? var->vartype != TIMESTAMPTZOID :
		!is_text(var->vartype))
		return NULL;
	if (var->vartypmod != -1)
		return NULL;			/* timestamptz(0) rounds, varchar(10) cuts */
	return property;
}

/*-------------------------------------------------------------------------
 * Keys
 *-------------------------------------------------------------------------
 */

/*
 * is_text_equality
 *		Is this "text = text", meaning the same to everyone?
 */
static bool
is_text_equality(ClassifyContext *context, Oid operator, Oid collation)
{
	if (operator != TextEqualOperator)
	{
		context->reason = reason_operator;
		return false;
	}
	if (!OidIsValid(collation) || !get_collation_isdeterministic(collation))
	{
		context->reason = reason_collation;
		return false;
	}
	return true;
}

/*
 * graph_is_text_equality
 *		The same for a clause.
 */
bool
graph_is_text_equality(Expr *clause)
{
	OpExpr	   *op = (OpExpr *) clause;
	ClassifyContext context = {0};

	return IsA(clause, OpExpr) && list_length(op->args) == 2 &&
		is_text_equality(&context, op->opno, op->inputcollid);
}

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
		return graph_text_meaning(TextDatumGetCString(value->value)) != GRAPH_TEXT_PERHAPS;
	(void) graph_key_list(list_make1_int(0), value, &count, &all);
	return all;
}

/*
 * find_operand_keys
 *		The ids that "id = value", either way round, or "id = ANY (values)"
 *		names.
 */
static List *
find_operand_keys(ClassifyContext *context, List *args, bool array)
{
	Expr	   *left = linitial(args);
	Expr	   *right = lsecond(args);
	int			number;

	if (!array && !graph_is_key_column(context->baserel, left))
	{
		Expr	   *swap = left;

		left = right;
		right = swap;
	}
	if (!graph_is_key_column(context->baserel, left) ||
		exprType((Node *) right) != (array ? TEXTARRAYOID : TEXTOID) ||
		!is_known_at_start(context, right))
		return NIL;
	number = graph_value_number(context->pushdown, right);
	return is_askable(&context->pushdown->known[number]) ?
		list_make1_int(number) : NIL;
}

/*
 * find_keys
 *		The values that hold all ids for which a clause can be true, or NIL if
 *		it does not say.
 *
 * One arm of an AND is enough; of an OR, all arms have to name ids.
 */
static List *
find_keys(ClassifyContext *context, Expr *expr)
{
	List	   *keys = NIL;
	ListCell   *cell;

	if (IsA(expr, OpExpr))
	{
		OpExpr	   *op = (OpExpr *) expr;

		return is_text_equality(context, op->opno, op->inputcollid) ?
			find_operand_keys(context, op->args, false) : NIL;
	}
	if (IsA(expr, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) expr;

		return op->useOr &&
			is_text_equality(context, op->opno, op->inputcollid) ?
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
 * find_distinct_keys
 *		The same without repetitions, and without a trace if there are none.
 */
static List *
find_distinct_keys(ClassifyContext *context, Expr *expr)
{
	int			before = list_length(context->pushdown->values);
	List	   *keys = find_keys(context, expr);
	List	   *result = NIL;
	ListCell   *cell;

	if (keys == NIL)
		graph_values_forget(context->pushdown, before);
	list_sort(keys, list_int_cmp);
	foreach(cell, keys)
	{
		if (result == NIL || llast_int(result) != lfirst_int(cell))
			result = lappend_int(result, lfirst_int(cell));
	}
	return result;
}

/*
 * are_too_many
 *		Are so many ids named that one list costs less?
 *
 * If the planner can see that, the list is asked for with the other clauses.
 * Values that are known later are held against the same bound.
 */
static bool
are_too_many(ClassifyContext *context, List *keys)
{
	const GraphValue *known = context->pushdown->known;
	ListCell   *cell;
	int			count;
	bool		all;

	if (list_length(keys) == 1 && known[linitial_int(keys)].type == TEXTOID)
		return false;
	foreach(cell, keys)
	{
		if (!known[lfirst_int(cell)].constant)
			return false;
	}
	(void) graph_key_list(keys, known, &count, &all);
	return count > graph_most_keys(context->info);
}

/*
 * is_only_keys
 *		Does a clause that names ids say nothing else?
 */
static bool
is_only_keys(Expr *expr)
{
	ListCell   *cell;

	if (is_andclause(expr))
		return false;
	if (!is_orclause(expr))
		return true;
	foreach(cell, ((BoolExpr *) expr)->args)
	{
		if (!is_only_keys(lfirst(cell)))
			return false;
	}
	return true;
}

/*-------------------------------------------------------------------------
 * Comparisons
 *-------------------------------------------------------------------------
 */

/*
 * commuted, negated
 *		The comparison with its sides exchanged, and its opposite.
 */
static GraphComparison
commuted(GraphComparison comparison)
{
	static const GraphComparison other[] = {
		GRAPH_EQ, GRAPH_NE, GRAPH_GT, GRAPH_GE, GRAPH_LT, GRAPH_LE,
	};

	return other[comparison];
}

static GraphComparison
negated(GraphComparison comparison)
{
	static const GraphComparison other[] = {
		GRAPH_NE, GRAPH_EQ, GRAPH_GE, GRAPH_GT, GRAPH_LE, GRAPH_LT,
	};

	return other[comparison];
}

/*
 * time_comparison
 *		What an operator of timestamptz's own B-tree family compares; false if
 *		it is not one.  Such an operator may take a date or timestamp on one
 *		side.
 */
static bool
time_comparison(Oid operator, GraphComparison *comparison)
{
	Oid			family = lookup_type_cache(TIMESTAMPTZOID,
										   TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	bool		negate = false;
	int			strategy = get_op_opfamily_strategy(operator, family);

	if (strategy == 0)
	{
		strategy = get_op_opfamily_strategy(get_negator(operator), family);
		negate = true;
	}
	switch (strategy)
	{
		case BTLessStrategyNumber:
			*comparison = GRAPH_LT;
			break;
		case BTLessEqualStrategyNumber:
			*comparison = GRAPH_LE;
			break;
		case BTEqualStrategyNumber:
			*comparison = GRAPH_EQ;
			break;
		case BTGreaterEqualStrategyNumber:
			*comparison = GRAPH_GE;
			break;
		case BTGreaterStrategyNumber:
			*comparison = GRAPH_GT;
			break;
		default:
			return false;
	}
	if (negate)
		*comparison = negated(*comparison);
	return true;
}

/*
 * text_comparison
 *		The same for text, which is compared for equality only.
 */
static bool
text_comparison(ClassifyContext *context, Oid operator, Oid collation,
				GraphComparison *comparison)
{
	bool		equal = operator == TextEqualOperator;

	if (!equal)
		operator = get_negator(operator);
	if (!is_text_equality(context, operator, collation))
		return false;
	*comparison = equal ? GRAPH_EQ : GRAPH_NE;
	return true;
}

/*
 * is_time_type
 *		Types that a timestamptz is compared with by its own operators.
 */
static bool
is_time_type(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

/*
 * find_comparison
 *		Take "column operator value" apart, either way round.
 *
 * element is the type of the value, or of an array's elements.
 */
static bool
find_comparison(ClassifyContext *context, List *args, Oid operator,
				Oid collation, bool array, Comparison *result)
{
	Expr	   *left = linitial(args);
	Expr	   *right = lsecond(args);
	bool		swap = !array && graph_own_var(context->baserel, left) == NULL;
	Oid			type;

	result->var = graph_own_var(context->baserel, swap ? right : left);
	result->value = swap ? left : right;
	if (result->var == NULL)
	{
		context->reason = reason_form;
		return false;
	}
	result->property = graph_var_property(context->baserel,
										  swap ? right : left);
	if (!is_known_at_start(context, result->value))
		return false;

	type = exprType((Node *) result->value);
	if (array)
		type = get_element_type(type);
	if (result->property && result->property->type == GRAPH_EDM_DATETIME)
	{
		if (!is_time_type(type) ||
			!time_comparison(operator, &result->comparison))
		{
			context->reason = reason_operator;
			return false;
		}
	}
	else if (type != TEXTOID ||
			 !text_comparison(context, operator, collation, &result->comparison))
	{
		if (result->property == NULL)
			context->reason = reason_column;
		else if (type != TEXTOID)
			context->reason = reason_operator;
		return false;
	}
	if (swap)
		result->comparison = commuted(result->comparison);
	return true;
}

/*
 * is_known_member
 *		Does a constant name a member of the property's enum for sure?
 *
 * For a value that is not constant, *constant is false.
 */
static bool
is_known_member(const GraphQueryProperty *property, Expr *value, bool *constant)
{
	Const	   *constval = (Const *) value;

	*constant = IsA(value, Const);
	return *constant && !constval->constisnull &&
		graph_enum_member(property->enum_name,
						  TextDatumGetCString(constval->constvalue)) == GRAPH_ENUM_KNOWN;
}

/*
 * is_sendable
 *		Can the service decide this comparison, and exactly?
 *
 * Sets the context's exact or reason.  distinct: NULL counts as a value.
 */
static bool
is_sendable(ClassifyContext *context, const Comparison *comparison, bool distinct)
{
	const GraphQueryProperty *property = comparison->property;
	bool		not_equal = comparison->comparison == GRAPH_NE;
	bool		constant;
	bool		known;

	context->exact = false;
	if (IsA(comparison->value, Const) &&
		((Const *) comparison->value)->constisnull)
	{
		context->exact = true;	/* no rows, or a test for null */
		return true;
	}

	switch (property->type)
	{
		case GRAPH_EDM_ENUM:
			known = is_known_member(property, comparison->value, &constant);
			context->reason = reason_member;
			context->exact = known &&
				(!not_equal || distinct || !property->nullable);
			return known || !constant;
		case GRAPH_EDM_DATETIME:
			context->reason = reason_rounding;
			return !not_equal;
		default:
			context->reason = reason_case;
			return !not_equal;
	}
}

/*
 * convert_evidence
 *		A comparison with a property of the evidence itself.
 *
 * Only a string of a known type is asked for, and only where the option
 * evidence_filter allows it.  The alert matches if any of its evidence does.
 */
static List *
convert_evidence(ClassifyContext *context, const Comparison *comparison)
{
	const char *type = context->info->options.evidence_type;
	bool		in_alert;
	char	   *path;
	const GraphProperty *property;

	context->reason = reason_column;
	if (!context->info->options.pushdown.evidence_filter || type == NULL ||
		!is_text(comparison->var->vartype))
		return NIL;
	path = only_path(context->baserel, comparison->var, &in_alert);
	if (path == NULL || in_alert)
		return NIL;
	property = graph_find_path(type, path);
	if (property == NULL || property->type != GRAPH_EDM_STRING ||
		property->collection)
		return NIL;
	if (comparison->comparison != GRAPH_EQ)
	{
		context->reason = reason_case;
		return NIL;
	}
	context->exact = false;
	return list_make4(makeInteger(GRAPH_FILTER_EVIDENCE),
					  makeString(pstrdup(type)), makeString(path),
					  makeInteger(graph_value_number(context->pushdown,
												 comparison->value)));
}

/*
 * convert_operator
 *		"column operator value".
 */
static List *
convert_operator(ClassifyContext *context, OpExpr *op, bool negate)
{
	Comparison	comparison;

	if (list_length(op->args) != 2 ||
		!find_comparison(context, op->args, op->opno, op->inputcollid, false,
						 &comparison))
		return NIL;
	if (negate)
		comparison.comparison = negated(comparison.comparison);
	if (comparison.property == NULL)
		return convert_evidence(context, &comparison);
	if (!is_sendable(context, &comparison, false))
		return NIL;
	return list_make4(makeInteger(GRAPH_FILTER_COMPARE),
					  makeString(pstrdup(comparison.property->name)),
					  makeInteger(comparison.comparison),
					  makeInteger(graph_value_number(context->pushdown,
												 comparison.value)));
}

/*
 * convert_distinct
 *		"column IS [NOT] DISTINCT FROM value".
 */
static List *
convert_distinct(ClassifyContext *context, DistinctExpr *op, bool negate)
{
	Comparison	comparison;

	if (!find_comparison(context, op->args, op->opno, op->inputcollid, false,
						 &comparison))
		return NIL;
	if (comparison.property == NULL || comparison.comparison != GRAPH_EQ)
	{
		context->reason = reason_column;
		return NIL;
	}
	comparison.comparison = negate ? GRAPH_EQ : GRAPH_NE;
	if (!is_sendable(context, &comparison, true))
		return NIL;
	return list_make3(makeInteger(negate ? GRAPH_FILTER_NOT_DISTINCT :
								  GRAPH_FILTER_DISTINCT),
					  makeString(pstrdup(comparison.property->name)),
					  makeInteger(graph_value_number(context->pushdown,
												 comparison.value)));
}

/*
 * array_is_exact
 *		Are all elements of a constant array known members of the enum?
 *
 * Sets *hopeless if one of them is known not to be one: then "= ANY" cannot
 * be sent.
 */
static bool
array_is_exact(const GraphQueryProperty *property, Expr *value, bool *hopeless)
{
	Const	   *array = (Const *) value;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	*hopeless = false;
	if (!IsA(value, Const) || property->type != GRAPH_EDM_ENUM)
		return false;
	if (array->constisnull)
		return true;
	deconstruct_array(DatumGetArrayTypeP(array->constvalue), TEXTOID, -1,
					  false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i] &&
			graph_enum_member(property->enum_name,
							  TextDatumGetCString(elements[i])) != GRAPH_ENUM_KNOWN)
			*hopeless = true;
	}
	return !*hopeless;
}

/*
 * convert_array
 *		"column = ANY (array)" and "column <> ALL (array)".
 */
static List *
convert_array(ClassifyContext *context, ScalarArrayOpExpr *op, bool negate)
{
	Comparison	comparison;
	bool		any = op->useOr;
	bool		hopeless;

	if (!find_comparison(context, op->args, op->opno, op->inputcollid, true,
						 &comparison))
		return NIL;
	if (negate)
	{
		comparison.comparison = negated(comparison.comparison);
		any = !any;
	}
	context->reason = comparison.property ? reason_form : reason_column;
	if (comparison.property == NULL ||
		comparison.comparison != (any ? GRAPH_EQ : GRAPH_NE))
		return NIL;

	context->exact = array_is_exact(comparison.property, comparison.value,
									&hopeless) &&
		(any || !comparison.property->nullable);
	context->reason = reason_member;
	if (any && hopeless)
		return NIL;
	if (!any && comparison.property->type != GRAPH_EDM_ENUM)
	{
		context->reason = comparison.property->type == GRAPH_EDM_DATETIME ?
			reason_rounding : reason_case;
		return NIL;
	}
	return list_make3(makeInteger(any ? GRAPH_FILTER_ANY : GRAPH_FILTER_ALL),
					  makeString(pstrdup(comparison.property->name)),
					  makeInteger(graph_value_number(context->pushdown,
												 comparison.value)));
}

/*
 * convert_null_test
 *		"column IS [NOT] NULL".
 */
static List *
convert_null_test(ClassifyContext *context, NullTest *test, bool negate)
{
	const GraphQueryProperty *property;
	bool		null = (test->nulltesttype == IS_NULL) != negate;

	property = test->argisrow ? NULL :
		graph_var_property(context->baserel, test->arg);
	if (property == NULL)
	{
		context->reason = reason_column;
		return NIL;
	}
	context->exact = true;
	return list_make2(makeInteger(null ? GRAPH_FILTER_NULL :
								  GRAPH_FILTER_NOT_NULL),
					  makeString(pstrdup(property->name)));
}

/*
 * convert_junction
 *		AND and OR, after NOT has gone inward: is_and says which it is then.
 *
 * An arm of an AND may be left out, and it is a superset then; of an OR, all
 * arms are needed.
 */
static List *
convert_junction(ClassifyContext *context, List *args, bool is_and, bool negate)
{
	List	   *result = list_make1(makeInteger(is_and ? GRAPH_FILTER_AND :
											   GRAPH_FILTER_OR));
	bool		exact = true;
	ListCell   *cell;

	foreach(cell, args)
	{
		List	   *one;

		context->exact = true;
		one = convert(context, lfirst(cell), negate);
		if (one == NIL && !is_and)
			return NIL;
		if (one)
			result = lappend(result, one);
		exact = exact && one && context->exact;
	}
	context->exact = exact;
	return list_length(result) > 1 ? result : NIL;
}

/*
 * convert
 *		The condition to send for a clause, or for its opposite; NIL if there
 *		is none, with the reason in the context.
 */
static List *
convert(ClassifyContext *context, Expr *expr, bool negate)
{
	BoolExpr   *junction = (BoolExpr *) expr;
	BooleanTest *test = (BooleanTest *) expr;

	switch (nodeTag(expr))
	{
		case T_OpExpr:
			return convert_operator(context, (OpExpr *) expr, negate);
		case T_DistinctExpr:
			return convert_distinct(context, (DistinctExpr *) expr, negate);
		case T_ScalarArrayOpExpr:
			return convert_array(context, (ScalarArrayOpExpr *) expr, negate);
		case T_NullTest:
			return convert_null_test(context, (NullTest *) expr, negate);
		case T_BoolExpr:
			if (junction->boolop == NOT_EXPR)
				return convert(context, linitial(junction->args), !negate);
			return convert_junction(context, junction->args,
									(junction->boolop == AND_EXPR) != negate,
									negate);
		case T_BooleanTest:
			/* the opposite of IS TRUE is true for null, and so not a clause */
			if (!negate && test->booltesttype == IS_TRUE)
				return convert(context, test->arg, false);
			if (!negate && test->booltesttype == IS_FALSE)
				return convert(context, test->arg, true);
			break;
		default:
			break;
	}
	context->reason = reason_form;
	return NIL;
}
