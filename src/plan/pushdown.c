/*-------------------------------------------------------------------------
 *
 * pushdown.c
 *		Which part of this query can Graph do, and is it exact?
 *
 * Each clause is sorted into one of three kinds: sent and exact (the service
 * means the same), sent as a superset (the service returns at least the right
 * alerts), or local, with the reason.  All of them stay in the plan and are
 * checked again here; exact or not decides only whether a limit or a count may
 * be left to the service.  A superset that is exact but for members in another
 * case (GraphQueryProperty.any_case) may be counted, as such a count is held
 * against what comes with it (src/exec/count.c); nothing else relies on it.
 *
 * NOT is brought inward first: a negated clause is one with the opposite
 * operator, which is classified anew, because the opposite of a superset would
 * lose rows.  That keeps SQL's nulls right too: NOT (a = b) is true exactly
 * where a <> b is.
 *
 * What is about one enum column and in none of the forms that are known here is
 * evaluated for each member (enum_condition.c).
 *
 * A condition is kept without its values, which src/odata/deparse.c adds when
 * they are known.  What that would leave out is left out here already if the
 * value is a constant, and nothing is called exact that has others: at most
 * they are not called inexact, for those who look again when the values are
 * known.
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
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "plan/graph_plan.h"

/* What is at hand while one clause is looked at. */
typedef struct ClassifyContext
{
	RelOptInfo *baserel;
	GraphRelInfo *info;
	GraphPushdown *pushdown;
	bool		filtered;		/* the last clause has become a filter */
	bool		inside;			/* ... on elements of the alert */
	const char *decided;		/* its label, if it is so for every alert */
	GraphExactness exact;		/* of the condition made last */
	bool		countable;		/* the same but for values not known yet, and
								 * for the case of these: */
	List	   *any_case;		/* String: properties */
	GraphMembers *members;		/* the same as members of one enum, or NULL */
	const char *reason;			/* why there is none */
	char	   *no_member;		/* which word is not sent, and why, or NULL */
} ClassifyContext;

static List *convert(ClassifyContext *context, Expr *expr, bool negate);

/* Why a clause stays local; comparison.c and deparse.c know more reasons. */
static const char reason_case[] = "the service may ignore case";
static const char reason_members[] = "all members that are known are in it";

/* What is sent only then, where the ids may be too many. */
static const char label_listed[] = ", if the list is read instead of lookups";

/*-------------------------------------------------------------------------
 * Comparisons
 *-------------------------------------------------------------------------
 */

/*
 * find_comparison
 *		Take "column operator value" apart; false if it is nothing to be sent,
 *		with the reason in the context.
 */
static bool
find_comparison(ClassifyContext *context, List *args, Oid operator,
				Oid collation, bool array, bool negate, GraphCompared *result)
{
	if (!graph_find_comparison(context->baserel, args, operator, collation,
							   array, result))
	{
		context->reason = result->reason;
		return false;
	}
	if (negate)
		result->comparison = graph_negated(result->comparison);
	return true;
}

/*
 * find_named
 *		The members of an enum that a comparison with a constant means; false if
 *		the service may not know a word of it.
 */
static bool
find_named(ClassifyContext *context, GraphFilterKind kind,
		   const GraphCompared *compared)
{
	const Const *constant = (const Const *) compared->value;
	char	   *why;

	if (compared->property->type != GRAPH_EDM_ENUM ||
		compared->property->any_case || !IsA(constant, Const))
		return true;
	context->members = graph_members_named(compared->property, constant,
										   compared->comparison == GRAPH_EQ,
										   kind == GRAPH_FILTER_DISTINCT, &why);
	if (why)
		context->reason = context->no_member = why;
	return why == NULL;
}

/*
 * note_case
 *		What is equal to a member of an enum for the service is so in SQL, unless
 *		the member comes in another case.
 */
static void
note_case(ClassifyContext *context, const GraphCompared *compared)
{
	const GraphQueryProperty *property = compared->property;

	if (property->type != GRAPH_EDM_ENUM ||
		graph_has_other_case(context->baserel, compared->var, property))
		return;
	context->exact = GRAPH_EXACT_BUT_CASE;
	context->any_case =
		list_append_unique(context->any_case,
						   makeString(pstrdup(property->name)));
}

/*
 * make_condition
 *		The condition of a comparison that the service can decide; NIL if it
 *		cannot, with the reason in the context.
 *
 * deparse.c tells what it makes of the values that are constants.
 */
static List *
make_condition(ClassifyContext *context, GraphFilterKind kind,
			   const GraphCompared *compared)
{
	const GraphQueryProperty *property = compared->property;
	const Const *constant = (const Const *) compared->value;
	bool		not_equal = compared->comparison == GRAPH_NE;
	bool		distinct = kind == GRAPH_FILTER_DISTINCT;
	List	   *result;

	if (!find_named(context, kind, compared))
		return NIL;
	if (IsA(constant, Const) && constant->constisnull)
		context->exact = GRAPH_EXACT;	/* no rows, or a test for null */
	else if (property->type == GRAPH_EDM_ENUM && !property->any_case)
		context->exact = !not_equal || distinct || !property->nullable ?
			GRAPH_EXACT : GRAPH_INEXACT;
	else
	{
		context->exact = GRAPH_INEXACT;
		context->reason = property->type == GRAPH_EDM_DATETIME ?
			GRAPH_TIME_ROUNDED : reason_case;
		if (not_equal)
			return NIL;
		note_case(context, compared);
	}

	result = list_make2(makeInteger(kind), makeString(pstrdup(property->name)));
	if (kind == GRAPH_FILTER_COMPARE || distinct)
		result = lappend(result, makeInteger(compared->comparison));
	return lappend(result,
				   makeInteger(graph_value_add(context->pushdown,
											   compared->value)));
}

/*
 * convert_evidence
 *		A comparison with a property of the evidence itself.  kind says whether
 *		the value is one string or an array of them.
 *
 * The alert matches if any of its evidence does.
 */
static List *
convert_evidence(ClassifyContext *context, GraphFilterKind kind,
				 const GraphCompared *compared)
{
	char	   *path = graph_evidence_path(context->baserel,
										   (Expr *) compared->var);

	if (path == NULL || compared->comparison != GRAPH_EQ)
	{
		context->reason = path ? reason_case :
			graph_why_not_filtered(context->baserel, compared->var);
		return NIL;
	}
	context->exact = GRAPH_INEXACT;
	context->inside = true;
	return list_make5(makeInteger(kind),
					  makeString(pstrdup(context->info->resource->rows_member)),
					  makeString(pstrdup(context->info->options.evidence_type)),
					  makeString(path),
					  makeInteger(graph_value_add(context->pushdown,
												  compared->value)));
}

/*
 * convert_null_test
 *		Is an expression null, or is it not?
 */
static List *
convert_null_test(ClassifyContext *context, Expr *expr, bool null)
{
	const GraphQueryProperty *property;

	if (graph_is_never_null(context->baserel, expr))
	{
		context->exact = GRAPH_EXACT;
		return list_make1(makeInteger(null ? GRAPH_FILTER_NEVER :
									  GRAPH_FILTER_ALWAYS));
	}
	property = graph_var_property(context->baserel, expr);
	if (property == NULL)
	{
		context->reason = graph_why_not_filtered(context->baserel,
												 graph_own_var(context->baserel,
															   expr));
		return NIL;
	}
	if (property->type == GRAPH_EDM_ENUM && !property->any_case)
		context->members = graph_members_null(property, null);
	context->exact = GRAPH_EXACT;
	return list_make2(makeInteger(null ? GRAPH_FILTER_NULL :
								  GRAPH_FILTER_NOT_NULL),
					  makeString(pstrdup(property->name)));
}

/*
 * is_null_constant
 *		Is this expression NULL?
 */
static bool
is_null_constant(Expr *expr)
{
	return IsA(expr, Const) && ((Const *) expr)->constisnull;
}

/*
 * convert_operator
 *		"column operator value", and "column IS [NOT] DISTINCT FROM value", whose
 *		node has the form of an equality.
 */
static List *
convert_operator(ClassifyContext *context, OpExpr *op, bool negate)
{
	bool		distinct = IsA(op, DistinctExpr);
	GraphCompared compared;

	if (distinct && is_null_constant(lsecond(op->args)))
		return convert_null_test(context, linitial(op->args), negate);
	if (distinct && is_null_constant(linitial(op->args)))
		return convert_null_test(context, lsecond(op->args), negate);
	if (list_length(op->args) != 2 ||
		!find_comparison(context, op->args, op->opno, op->inputcollid, false,
						 negate != distinct, &compared))
		return NIL;
	if (compared.property)
		return make_condition(context, distinct ? GRAPH_FILTER_DISTINCT :
							  GRAPH_FILTER_COMPARE, &compared);
	if (!distinct)
		return convert_evidence(context, GRAPH_FILTER_EVIDENCE, &compared);
	context->reason = graph_why_not_filtered(context->baserel, compared.var);
	return NIL;
}

/*
 * convert_array
 *		"column = ANY (array)" and "column <> ALL (array)".
 */
static List *
convert_array(ClassifyContext *context, ScalarArrayOpExpr *op, bool negate)
{
	GraphCompared compared;
	bool		any = op->useOr != negate;

	if (!find_comparison(context, op->args, op->opno, op->inputcollid, true,
						 negate, &compared))
		return NIL;
	if (compared.comparison != (any ? GRAPH_EQ : GRAPH_NE))
	{
		context->reason = compared.property ? GRAPH_NO_FORM :
			graph_why_not_filtered(context->baserel, compared.var);
		return NIL;
	}
	if (compared.property == NULL)
		return convert_evidence(context, GRAPH_FILTER_EVIDENCE_ANY, &compared);
	return make_condition(context, any ? GRAPH_FILTER_ANY : GRAPH_FILTER_ALL,
						  &compared);
}

/*-------------------------------------------------------------------------
 * Clauses
 *-------------------------------------------------------------------------
 */

/*
 * convert_row
 *		"(column, ...) < (value, ...)": what the first column has to be.
 *
 * Where its values are equal the other columns decide, so that each of the
 * four operators lets them through.
 */
static List *
convert_row(ClassifyContext *context, RowCompareExpr * row, bool negate)
{
	Expr	   *left = linitial(row->largs);
	Expr	   *right = linitial(row->rargs);
	bool		less = graph_row_is_less(row) != negate;
	Oid			operator;
	Oid			left_type;
	Oid			right_type;
	List	   *result;

	op_input_types(linitial_oid(row->opnos), &left_type, &right_type);
	operator = get_opfamily_member(linitial_oid(row->opfamilies), left_type,
								   right_type,
								   less ? BTLessEqualStrategyNumber :
								   BTGreaterEqualStrategyNumber);
	if (!OidIsValid(operator))
		return NIL;
	result = convert(context,
					 make_opclause(operator, BOOLOID, false, left, right,
								   InvalidOid,
								   linitial_oid(row->inputcollids)), false);
	context->exact = GRAPH_INEXACT;
	if (context->members)
		context->members->exact = false;
	return result;
}

/* The arms of an AND or an OR, each as convert() has it. */
typedef struct Arms
{
	List	   *conditions;
	List	   *exact;			/* int: GraphExactness */
	List	   *members;		/* GraphMembers * */
	List	   *groups;			/* the same, combined by property */
	bool		all_members;	/* each arm has them */
} Arms;

/*
 * convert_arms
 *		Convert each arm; false if there is one that is needed and is local.
 */
static bool
convert_arms(ClassifyContext *context, List *args, bool is_and, bool negate,
			 Arms *arms)
{
	ListCell   *cell;

	memset(arms, 0, sizeof(Arms));
	arms->all_members = true;
	foreach(cell, args)
	{
		List	   *one;

		context->exact = GRAPH_EXACT;
		one = convert(context, lfirst(cell), negate);
		if (one == NIL && context->members == NULL && !is_and)
			return false;
		arms->conditions = lappend(arms->conditions, one);
		arms->exact = lappend_int(arms->exact,
								  one ? context->exact : GRAPH_INEXACT);
		arms->members = lappend(arms->members, context->members);
		arms->all_members = arms->all_members && context->members;
		if (context->members == NULL)
			continue;
		context->members->only_way = one == NIL;
		arms->groups = graph_members_merge(arms->groups, context->members,
										   is_and);
	}
	return true;
}

/*
 * add_groups
 *		Add the conditions on members that have no other form to those of a
 *		junction; false if one that is needed lets everything through.
 */
static bool
add_groups(ClassifyContext *context, const Arms *arms, bool is_and,
		   List **result, GraphExactness *exact)
{
	ListCell   *cell;

	foreach(cell, arms->groups)
	{
		GraphMembers *members = lfirst(cell);
		bool		one_exact;
		List	   *one;

		if (!members->only_way)
			continue;
		one = graph_members_condition(context->pushdown, members, &one_exact);
		if (one == NIL && !is_and)
		{
			context->reason = reason_members;
			return false;
		}
		if (one)
			*result = lappend(*result, one);
		if (one == NIL || !one_exact)
			*exact = GRAPH_INEXACT;
		context->pushdown->loose = context->pushdown->loose || !one_exact;
	}
	return true;
}

/*
 * convert_junction
 *		AND and OR, after NOT has gone inward: is_and says which it is then.
 *
 * An arm of an AND may be left out, and it is a superset then; of an OR, all
 * arms are needed.  Where an arm says something of an enum in no other form
 * than by its members, it takes in the other arms that are about that enum; if
 * these are all of them, whoever asked decides what becomes of them.
 */
static List *
convert_junction(ClassifyContext *context, List *args, bool is_and, bool negate)
{
	List	   *result = list_make1(makeInteger(is_and ? GRAPH_FILTER_AND :
												GRAPH_FILTER_OR));
	GraphExactness exact = GRAPH_EXACT;
	Arms		arms;
	bool		done = convert_arms(context, args, is_and, negate, &arms);

	context->members = NULL;
	if (!done)
		return NIL;
	if (arms.all_members && list_length(arms.groups) == 1)
	{
		context->members = linitial(arms.groups);
		if (context->members->only_way)
			return NIL;
	}
	for (int i = 0; i < list_length(arms.conditions); i++)
	{
		List	   *one = list_nth(arms.conditions, i);
		GraphMembers *members = list_nth(arms.members, i);

		if (members && graph_members_find(arms.groups, members->property)->only_way)
			continue;
		if (one)
			result = lappend(result, one);
		exact = Min(exact, (GraphExactness) list_nth_int(arms.exact, i));
	}
	if (!add_groups(context, &arms, is_and, &result, &exact))
		return NIL;
	context->exact = exact;
	return list_length(result) > 1 ? result : NIL;
}

/*
 * convert_form
 *		The condition of a clause that compares a column, or joins such clauses;
 *		NIL if there is none, with the reason in the context.
 */
static List *
convert_form(ClassifyContext *context, Expr *expr, bool negate)
{
	BoolExpr   *junction = (BoolExpr *) expr;
	BooleanTest *test = (BooleanTest *) expr;

	context->reason = GRAPH_NO_FORM;
	switch (nodeTag(expr))
	{
		case T_OpExpr:
		case T_DistinctExpr:
			return convert_operator(context, (OpExpr *) expr, negate);
		case T_ScalarArrayOpExpr:
			return convert_array(context, (ScalarArrayOpExpr *) expr, negate);
		case T_RowCompareExpr:
			return convert_row(context, (RowCompareExpr *) expr, negate);
		case T_NullTest:
			return convert_null_test(context, ((NullTest *) expr)->arg,
									 (((NullTest *) expr)->nulltesttype == IS_NULL) != negate);
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
	return NIL;
}

/*
 * convert
 *		The condition to send for a clause, or for its opposite.  What is about
 *		members of one enum is in the context, too; if there is no condition,
 *		these may be sent.  NIL and none of them: the reason is in the context.
 */
static List *
convert(ClassifyContext *context, Expr *expr, bool negate)
{
	List	   *result;

	context->members = NULL;
	result = convert_form(context, expr, negate);
	if (result || context->members)
		return result;
	if (!IsA(expr, BoolExpr))
		context->members = graph_members_evaluated(context->baserel, expr,
												   negate);
	if (context->members)
		return NIL;
	context->exact = GRAPH_INEXACT;
	return graph_time_condition(context->baserel, context->pushdown, expr, negate);
}

/*
 * graph_pushdown_init
 *		No clauses so far: all alerts, exactly.
 */
void
graph_pushdown_init(GraphPushdown *pushdown)
{
	memset(pushdown, 0, sizeof(GraphPushdown));
	pushdown->exact = GRAPH_EXACT;
}

/*
 * is_shipped
 *		Is something sent for a condition, and room reserved for it?
 *
 * Its constants decide now what of it is sent: a count relies on that.
 */
static bool
is_shipped(ClassifyContext *context, List *condition)
{
	GraphPushdown *pushdown = context->pushdown;
	GraphShippable shippable;

	if (condition == NIL)
		return false;
	shippable = graph_filter_reserve(context->info->resource, condition,
									 pushdown->known, &pushdown->bytes);
	context->countable = context->exact != GRAPH_INEXACT &&
		shippable.left_out == NULL;
	if (!shippable.is_whole)
		context->exact = GRAPH_INEXACT;
	if (!shippable.is_sent)
		context->reason = shippable.left_out;
	return shippable.is_sent;
}

/*
 * find_condition
 *		The condition to send for a clause, or NIL.
 */
static List *
find_condition(ClassifyContext *context, Expr *clause)
{
	GraphPushdown *pushdown = context->pushdown;
	int			before = list_length(pushdown->values);
	List	   *condition = convert(context, clause, false);
	GraphMembers *members = context->members;

	if (is_shipped(context, condition))
		return condition;
	graph_values_forget(pushdown, before);
	if (members)
	{
		bool		exact;

		condition = graph_members_condition(pushdown, members, &exact);
		context->exact = exact ? GRAPH_EXACT : GRAPH_INEXACT;
		context->reason = context->no_member ? context->no_member : reason_members;
		pushdown->loose = pushdown->loose || !exact;
		if (is_shipped(context, condition))
			return condition;
		graph_values_forget(pushdown, before);
	}
	return NIL;
}

/*
 * find_clause_of
 *		Find the first restriction that names ids, the alerts' own or (by_owner)
 *		those of what they belong to, and take those for the keys; the clause, or
 *		NULL.  *most is how many they may be.
 */
static Expr *
find_clause_of(RelOptInfo *baserel, List *rinfos, bool by_owner,
			   GraphPushdown *pushdown, int *most)
{
	ListCell   *cell;

	foreach(cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (rinfo->pseudoconstant)
			continue;
		pushdown->keys = graph_find_lookup(baserel, pushdown, by_owner,
										   rinfo->clause);
		if (pushdown->keys == NIL)
			continue;
		(void) graph_named_ids(pushdown, pushdown->keys, most);
		return rinfo->clause;
	}
	return NULL;
}

/*
 * forget_keys
 *		Keep so many values, and no keys.
 */
static void
forget_keys(GraphPushdown *pushdown, int values)
{
	pushdown->keys = NIL;
	pushdown->owner_column = NULL;
	graph_values_forget(pushdown, values);
}

/*
 * find_key_clause
 *		The same for whichever ids are fewer.
 */
static Expr *
find_key_clause(RelOptInfo *baserel, List *rinfos, GraphPushdown *pushdown)
{
	int			before = list_length(pushdown->values);
	int			most;
	int			most_owners;
	Expr	   *clause;
	Expr	   *of_owners;

	if (pushdown->keys || pushdown->no_lookups)
		return NULL;
	clause = find_clause_of(baserel, rinfos, false, pushdown, &most);
	if (clause && most <= 1)
		return clause;
	forget_keys(pushdown, before);
	of_owners = find_clause_of(baserel, rinfos, true, pushdown, &most_owners);
	if (clause == NULL || (of_owners && most_owners < most))
		return of_owners;
	forget_keys(pushdown, before);
	return find_clause_of(baserel, rinfos, false, pushdown, &most);
}

/*
 * is_decided
 *		Is a clause a test for null of a column that has a value in each row?
 */
static bool
is_decided(RelOptInfo *baserel, Expr *clause)
{
	return IsA(clause, NullTest) &&
		graph_is_never_null(baserel, ((NullTest *) clause)->arg);
}

/*
 * decide
 *		Add a condition to those that are sent.  Where one says that no alert can
 *		match, none is looked up either.
 */
static void
decide(ClassifyContext *context, List *condition)
{
	GraphPushdown *pushdown = context->pushdown;
	GraphFilterKind kind = intVal(linitial(condition));

	pushdown->filters = lappend(pushdown->filters, condition);
	if (kind == GRAPH_FILTER_ALWAYS)
		context->decided = "always true, exact";
	else if (kind == GRAPH_FILTER_NEVER)
	{
		context->decided = "never true, exact";
		pushdown->keys = NIL;
		pushdown->owner_column = NULL;
		pushdown->may_be_listed = false;
	}
}

/*
 * list_costs_less
 *		Are so many ids dearer than a list with what else can be sent?
 */
static bool
list_costs_less(RelOptInfo *baserel, List *rinfos, Expr *key_clause,
				const GraphPushdown *pushdown, int ids)
{
	GraphRelInfo *info = baserel->fdw_private;
	GraphPushdown others;
	List	   *rest = NIL;
	ListCell   *cell;

	/* not even the shortest list */
	if (ids <= graph_most_keys(info, pushdown, 1))
		return false;
	foreach(cell, rinfos)
	{
		if (lfirst_node(RestrictInfo, cell)->clause != key_clause)
			rest = lappend(rest, lfirst(cell));
	}
	graph_pushdown_init(&others);
	others.no_lookups = true;
	graph_classify_clauses(baserel, rest, &others);
	return ids > graph_most_keys(info, pushdown,
								 graph_listed_alerts(info->root, baserel,
													 &others));
}

/*
 * choose_lookups
 *		Find the clause whose ids are looked up, and take those for the keys;
 *		NULL if there is none, or a list costs less.
 *
 * Where it depends on values of run time how many ids there are, the plan has
 * the keys, and what to send if they are too many.
 */
static Expr *
choose_lookups(RelOptInfo *baserel, List *rinfos, GraphPushdown *pushdown)
{
	int			before = list_length(pushdown->values);
	Expr	   *key_clause = find_key_clause(baserel, rinfos, pushdown);
	int			least;
	int			most;

	if (key_clause == NULL)
		return NULL;
	least = graph_named_ids(pushdown, pushdown->keys, &most);
	pushdown->may_be_listed = most > least &&
		most > graph_most_keys(baserel->fdw_private, pushdown, 1);
	if (most > least ||
		!list_costs_less(baserel, rinfos, key_clause, pushdown, most))
		return key_clause;
	forget_keys(pushdown, before);
	return NULL;
}

/*
 * classify_clause
 *		Add the condition of a clause to those that are sent; false if it is
 *		local.  The context says whether it is exact, or why it is local.
 *
 * Where alerts are asked for by id, key_clause names those, and others are sent
 * only if the list is read instead.  That may come to be for ids that turn out
 * to be too many, and for those of what the alerts belong to, as the service
 * may not answer these.
 */
static bool
classify_clause(ClassifyContext *context, Expr *clause, Expr *key_clause)
{
	GraphPushdown *pushdown = context->pushdown;
	List	   *condition = NIL;

	context->exact = GRAPH_EXACT;
	context->countable = false;
	context->any_case = NIL;
	context->reason = !pushdown->keys ? GRAPH_NO_FORM :
		psprintf("%s are asked for by their id",
				 graph_records_name(context->info->resource));
	context->decided = NULL;
	context->no_member = NULL;
	context->inside = false;
	if (pushdown->keys == NIL || pushdown->may_be_listed ||
		pushdown->owner_column || is_decided(context->baserel, clause))
		condition = find_condition(context, clause);
	if (condition)
		decide(context, condition);
	context->filtered = condition && clause != key_clause;
	if (clause == key_clause)
		context->exact = graph_is_only_lookup(clause) ?
			GRAPH_EXACT : GRAPH_INEXACT;
	else if (condition == NIL)
		context->exact = GRAPH_INEXACT;
	return condition || clause == key_clause;
}

/*
 * graph_classify_clauses
 *		Sort restrictions into what is sent and what is not, and add them to
 *		those that were.
 */
void
graph_classify_clauses(RelOptInfo *baserel, List *rinfos,
					   GraphPushdown *pushdown)
{
	ClassifyContext context = {
		.baserel = baserel, .info = baserel->fdw_private, .pushdown = pushdown,
	};
	Expr	   *key_clause = choose_lookups(baserel, rinfos, pushdown);
	ListCell   *cell;

	foreach(cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		bool		is_sent;
		bool		beside_keys;
		char	   *label;

		if (rinfo->pseudoconstant)
			continue;
		is_sent = classify_clause(&context, rinfo->clause, key_clause);
		beside_keys = pushdown->keys && rinfo->clause != key_clause;
		if (!is_sent)
			label = psprintf("local: %s", context.reason);
		else if (context.decided)
			label = pstrdup(context.decided);
		else
			label = psprintf("sent, %s%s%s%s",
							 context.exact == GRAPH_EXACT ? "exact" : "superset",
							 beside_keys ? label_listed : "",
							 context.no_member ? ": " : "",
							 context.no_member ? context.no_member : "");
		if (context.filtered && context.inside)
			pushdown->inside = lappend(pushdown->inside, rinfo);
		else if (context.filtered)
			pushdown->sent = lappend(pushdown->sent, rinfo);
		pushdown->exact = beside_keys ? GRAPH_INEXACT :
			Min(pushdown->exact, context.exact);
		if (context.countable)
			pushdown->any_case = list_union(pushdown->any_case, context.any_case);
		else
			pushdown->inexact = lappend(pushdown->inexact, rinfo);
		pushdown->clauses = lappend(pushdown->clauses, rinfo->clause);
		pushdown->labels = lappend(pushdown->labels, makeString(label));
	}
}
