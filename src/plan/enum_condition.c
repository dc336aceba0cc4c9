/*-------------------------------------------------------------------------
 *
 * enum_condition.c
 *		Which members of an enum may an alert have for which a condition is
 *		true?
 *
 * The metadata knows the members of an enum.  So whatever a condition on one
 * such column is made of, as long as its value depends on nothing else, it is
 * evaluated for each member and for NULL while a query is planned, and alerts
 * are not asked for that have a member for which it is not true: "severity
 * ILIKE 'h%'" becomes "severity ne 'low'" and so on.  The service adds members,
 * and does not show all of them in a filter.  Those stay in, unless the
 * condition compares with constants for equality only: then every other word
 * is like one that is none of these, and "eq" says it more briefly.
 *
 * NOT is inside by now (pushdown.c), so that sets are only united and
 * intersected, and one that is too large stays one.
 *
 * A service whose words began with capitals was seen in examples only.  A
 * condition that is true for no known member is asked for these words too: who
 * writes severity LIKE 'H%' may have seen some.  Of an enum that is known to
 * come in more than one case (GraphQueryProperty.any_case) there are no such
 * sets: for a member that is left out a condition may be true as it is written.
 *
 * What this file refuses to know: the forms that pushdown.c recognizes, how a
 * condition is written.
 *
 * IDENTIFICATION
 *		src/plan/enum_condition.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "plan/graph_plan.h"

/* So many words that are no members are looked at; more are not understood. */
#define MOST_WORDS	32

/* A word that no alert has and nobody writes. */
#define NO_WORD		"\001\002"

/* The only column of an expression, if there is just one. */
typedef struct OnlyColumn
{
	RelOptInfo *baserel;
	Var		   *var;
} OnlyColumn;

/* The words with which the column is compared for equality. */
typedef struct ComparedWords
{
	RelOptInfo *baserel;
	const char *words[MOST_WORDS];
	int			count;
} ComparedWords;

/*-------------------------------------------------------------------------
 * Sets of members
 *-------------------------------------------------------------------------
 */

/*
 * make_members
 *		The set of nothing that a property can be, or of everything.
 */
static GraphMembers *
make_members(const GraphQueryProperty *property, bool all)
{
	GraphMembers *members = palloc0(sizeof(GraphMembers));

	members->property = property;
	members->known = all ? PG_UINT64_MAX : 0;
	members->null = members->all_others = all;
	members->no_others = !all;
	members->exact = true;
	return members;
}

/*
 * combine
 *		Make the first of two sets of one property what is in both, or in
 *		either.
 */
static void
combine(GraphMembers *members, const GraphMembers *other, bool both)
{
	if (both)
	{
		members->known &= other->known;
		members->null = members->null && other->null;
		members->no_others = members->no_others || other->no_others;
		members->all_others = members->all_others && other->all_others;
	}
	else
	{
		members->known |= other->known;
		members->null = members->null || other->null;
		members->no_others = members->no_others && other->no_others;
		members->all_others = members->all_others || other->all_others;
	}
	members->exact = members->exact && other->exact;
	members->only_way = members->only_way || other->only_way;
}

/*
 * graph_members_merge
 *		Combine a set with that of the same property in a list of them, or make
 *		it the first one.
 */
List *
graph_members_merge(List *groups, const GraphMembers *members, bool both)
{
	GraphMembers *first = graph_members_find(groups, members->property);

	if (first)
	{
		combine(first, members, both);
		return groups;
	}
	first = palloc(sizeof(GraphMembers));
	*first = *members;
	return lappend(groups, first);
}

/*
 * graph_members_find
 *		The set of a property in a list of them, or NULL.
 */
GraphMembers *
graph_members_find(List *groups, const GraphQueryProperty *property)
{
	ListCell   *cell;

	foreach(cell, groups)
	{
		GraphMembers *members = lfirst(cell);

		if (members->property == property)
			return members;
	}
	return NULL;
}

/*-------------------------------------------------------------------------
 * Conditions that pushdown.c has taken apart
 *-------------------------------------------------------------------------
 */

/*
 * numbers_of
 *		The members that a word is: with "loosely", also those that are
 *		written otherwise.
 */
static uint64
numbers_of(const GraphQueryProperty *property, const char *word, bool loosely)
{
	const char *names[GRAPH_MOST_MEMBERS];
	int			count = graph_known_members(property->enum_name, names);
	uint64		numbers = 0;

	for (int i = 0; i < count; i++)
	{
		if (loosely ? pg_strcasecmp(names[i], word) == 0 :
			strcmp(names[i], word) == 0)
			numbers |= UINT64CONST(1) << i;
	}
	return numbers;
}

/*
 * exclude_words
 *		Turn the set of some words into that of all others.
 */
static void
exclude_words(GraphMembers *members, bool distinct)
{
	members->known = ~members->known;
	members->null = distinct;
	members->all_others = members->no_others;
	members->no_others = false;
}

/*
 * words_of
 *		The words of a constant text, or of an array of them.
 */
static void
words_of(const Const *constant, Datum **words, bool **nulls, int *count)
{
	if (constant->consttype == TEXTARRAYOID)
	{
		deconstruct_array(DatumGetArrayTypeP(constant->constvalue), TEXTOID,
						  -1, false, TYPALIGN_INT, words, nulls, count);
		return;
	}
	*words = palloc(sizeof(Datum));
	*nulls = palloc0(sizeof(bool));
	**words = constant->constvalue;
	*count = 1;
}

/*
 * graph_members_named
 *		The members that are compared as equal with a constant, or with an
 *		element of it, or those that are not; with distinct, NULL is a value.
 *
 * *why tells of the first word that is none of the known members; it is NULL
 * if there is no such word.
 */
GraphMembers *
graph_members_named(const GraphQueryProperty *property, const Const *constant,
					bool equal, bool distinct, char **why)
{
	GraphMembers *members = make_members(property, false);
	Datum	   *words;
	bool	   *nulls;
	int			count;

	*why = NULL;
	members->null = constant->constisnull && distinct;
	if (constant->constisnull)
	{
		if (distinct && !equal)
			exclude_words(members, false);
		return members;
	}
	words_of(constant, &words, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *word;
		uint64		numbers;

		if (nulls[i])
		{
			if (equal)
				continue;
			*why = NULL;		/* it is never true then */
			return make_members(property, false);
		}
		word = TextDatumGetCString(words[i]);
		numbers = numbers_of(property, word, false);
		if (numbers == 0)
		{
			members->no_others = members->exact = false;
			numbers = equal ? numbers_of(property, word, true) : 0;
			*why = *why ? *why : graph_no_member(property, word);
		}
		members->known |= numbers;
	}
	if (!equal)
		exclude_words(members, distinct);
	return members;
}

/*
 * graph_members_null
 *		The set of NULL alone, or of all other values.
 */
GraphMembers *
graph_members_null(const GraphQueryProperty *property, bool null)
{
	GraphMembers *members = make_members(property, !null);

	members->null = null;
	return members;
}

/*-------------------------------------------------------------------------
 * Any other condition on one column
 *-------------------------------------------------------------------------
 */

/*
 * find_only_column
 *		Does an expression depend on something else than one column of the
 *		table?  The column, if there is one, is kept.
 */
static bool
find_only_column(Node *node, OnlyColumn *only)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
			if ((Index) ((Var *) node)->varno != only->baserel->relid ||
				((Var *) node)->varlevelsup != 0 ||
				((Var *) node)->varattno <= 0)
				return true;
			if (only->var == NULL)
				only->var = (Var *) node;
			return ((Var *) node)->varattno != only->var->varattno;
		case T_Param:
		case T_SubLink:
		case T_SubPlan:
		case T_AlternativeSubPlan:
		case T_Aggref:
		case T_GroupingFunc:
		case T_WindowFunc:
		case T_PlaceHolderVar:
		case T_CurrentOfExpr:
			return true;
		default:
			return expression_tree_walker(node, find_only_column, only);
	}
}

/*
 * enum_property
 *		The property that a column reads, if it is an enum whose words come in
 *		one case only and the column holds them as they are.
 */
static const GraphQueryProperty *
enum_property(RelOptInfo *baserel, const Var *var)
{
	GraphRelInfo *info = baserel->fdw_private;
	int32		typmod = var->vartypmod;
	Oid			type = getBaseTypeAndTypmod(var->vartype, &typmod);
	const GraphQueryProperty *property;
	bool		in_alert;
	char	   *path;

	if (typmod != -1 || !graph_is_text(type))
		return NULL;
	path = graph_only_path(baserel, var, &in_alert);
	if (path == NULL || !in_alert)
		return NULL;
	property = graph_query_property(info->resource, path);
	return property && property->type == GRAPH_EDM_ENUM &&
		!property->any_case ? property : NULL;
}

/*
 * is_of_user
 *		Callback: is this a function that somebody may replace?
 */
static bool
is_of_user(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/*
 * may_change
 *		May an expression come to something else while a plan is kept?
 *
 * A plan is made anew if a function that it calls itself is replaced, but not
 * for one that is called by that, nor for what a domain's check calls.
 */
static bool
may_change(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, CoerceToDomain) ||
		check_functions_in_node(node, is_of_user, NULL) ||
		expression_tree_walker(node, may_change, context);
}

/*
 * add_candidate
 *		Add a word as a value, and give its number.
 */
static int
add_candidate(GraphCandidates *candidates, const char *word)
{
	Datum		value = CStringGetTextDatum(word);

	Assert(candidates->count < GRAPH_MOST_CANDIDATES);
	candidates->values[candidates->count] = value;
	candidates->nulls[candidates->count] = false;
	return candidates->count++;
}

/*
 * is_operand
 *		Is this the column?  In a CASE of the column, a CaseTestExpr is.
 */
static bool
is_operand(const ComparedWords *compared, Node *node)
{
	Node	   *bare = node && IsA(node, RelabelType) ?
		(Node *) ((RelabelType *) node)->arg : node;

	return bare && (IsA(bare, CaseTestExpr) ||
					graph_own_var(compared->baserel, (Expr *) node));
}

/*
 * add_words
 *		Take note of the words of a constant; false if there are too many.
 */
static bool
add_words(ComparedWords *compared, Node *node)
{
	Datum	   *words;
	bool	   *nulls;
	int			count;

	if (!IsA(node, Const) ||
		(((Const *) node)->consttype != TEXTOID &&
		 ((Const *) node)->consttype != TEXTARRAYOID))
		return false;
	if (((Const *) node)->constisnull)
		return true;
	words_of((Const *) node, &words, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			continue;
		if (compared->count == MOST_WORDS)
			return false;
		compared->words[compared->count++] = TextDatumGetCString(words[i]);
	}
	return true;
}

/*
 * compares_words
 *		Does a node compare the column with constant words, for equality?
 *		Those are noted.
 */
static bool
compares_words(ComparedWords *compared, List *args, Oid operator, Oid collation)
{
	if (list_length(args) != 2 ||
		(!graph_is_text_equality(operator, collation) &&
		 !graph_is_text_equality(get_negator(operator), collation)))
		return false;
	if (is_operand(compared, linitial(args)))
		return add_words(compared, lsecond(args));
	return is_operand(compared, lsecond(args)) &&
		add_words(compared, linitial(args));
}

/*
 * compares_otherwise
 *		Is something else done with the column than to compare it with constant
 *		words for equality, or with NULL?
 */
static bool
compares_otherwise(Node *node, ComparedWords *compared)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_CaseTestExpr:
			return true;
		case T_OpExpr:
		case T_DistinctExpr:
			if (compares_words(compared, ((OpExpr *) node)->args,
							   ((OpExpr *) node)->opno,
							   ((OpExpr *) node)->inputcollid))
				return false;
			break;
		case T_ScalarArrayOpExpr:
			if (compares_words(compared, ((ScalarArrayOpExpr *) node)->args,
							   ((ScalarArrayOpExpr *) node)->opno,
							   ((ScalarArrayOpExpr *) node)->inputcollid))
				return false;
			break;
		case T_NullTest:
			if (graph_own_var(compared->baserel, ((NullTest *) node)->arg))
				return false;
			break;
		case T_CaseExpr:
			if (!graph_own_var(compared->baserel, ((CaseExpr *) node)->arg))
				break;
			return compares_otherwise((Node *) ((CaseExpr *) node)->args, compared) ||
				compares_otherwise((Node *) ((CaseExpr *) node)->defresult, compared);
		case T_CaseWhen:
			return compares_otherwise((Node *) ((CaseWhen *) node)->expr, compared) ||
				compares_otherwise((Node *) ((CaseWhen *) node)->result, compared);
		default:
			break;
	}
	return expression_tree_walker(node, compares_otherwise, compared);
}

/* The values for which an expression is evaluated, and where they are. */
typedef struct Trial
{
	GraphCandidates candidates;
	GraphTruth	truths[GRAPH_MOST_CANDIDATES];
	GraphTruth	wanted;
	int			count;			/* of the members */
	int			member[GRAPH_MOST_MEMBERS];
	int			capital[GRAPH_MOST_MEMBERS];	/* "High" */
	int			null;
	int			words;			/* from here on: words that are no members */
} Trial;

/*
 * prepare
 *		Put together for which values an expression is evaluated.
 */
static void
prepare(Trial *trial, const GraphQueryProperty *property,
		const ComparedWords *compared)
{
	GraphCandidates *candidates = &trial->candidates;
	const char *names[GRAPH_MOST_MEMBERS];

	candidates->count = 1;
	candidates->nulls[0] = true;
	candidates->values[0] = (Datum) 0;
	trial->null = 0;
	trial->count = graph_known_members(property->enum_name, names);
	for (int i = 0; i < trial->count; i++)
	{
		char	   *word = pstrdup(names[i]);

		trial->member[i] = add_candidate(candidates, word);
		word[0] = pg_ascii_toupper((unsigned char) word[0]);
		trial->capital[i] = add_candidate(candidates, word);
	}
	trial->words = candidates->count;
	(void) add_candidate(candidates, NO_WORD);
	for (int i = 0; i < compared->count; i++)
	{
		if (numbers_of(property, compared->words[i], false) == 0)
			(void) add_candidate(candidates, compared->words[i]);
	}
}

/*
 * is_satisfied
 *		Is the expression what it should be, for this candidate?
 */
static bool
is_satisfied(const Trial *trial, int candidate)
{
	return candidate >= 0 && trial->truths[candidate] == trial->wanted;
}

/*
 * add_capitals
 *		Add the members that satisfy a condition if they begin with a capital.
 */
static void
add_capitals(GraphMembers *members, const Trial *trial)
{
	for (int i = 0; i < trial->count; i++)
	{
		if (!is_satisfied(trial, trial->capital[i]))
			continue;
		members->known |= UINT64CONST(1) << i;
		members->exact = false;
	}
}

/*
 * members_of_trial
 *		The members that satisfy a condition; understood: a word that the
 *		condition does not name is like NO_WORD.
 *
 * A member that the column's type lacks stays in: it is an error to read it.
 */
static GraphMembers *
members_of_trial(const GraphQueryProperty *property, const Trial *trial,
				 bool understood)
{
	GraphMembers *members = make_members(property, false);
	int			words = 0;

	for (int i = 0; i < trial->count; i++)
	{
		if (!is_satisfied(trial, trial->member[i]))
			continue;
		members->known |= UINT64CONST(1) << i;
	}
	members->null = is_satisfied(trial, trial->null);
	for (int i = trial->words; i < trial->candidates.count; i++)
		words += is_satisfied(trial, i);
	members->no_others = understood && words == 0;
	members->all_others = understood &&
		words == trial->candidates.count - trial->words;
	members->exact = understood;
	if (members->known == 0 && !members->no_others &&
		!(trial->words < trial->candidates.count &&
		  is_satisfied(trial, trial->words)))
		add_capitals(members, trial);
	return members;
}

/*
 * evaluate_members
 *		The members for which a condition on an enum column has the wanted
 *		truth; NULL if it cannot be evaluated.
 *
 * Memory is taken from the current context, but for the result.
 */
static GraphMembers *
evaluate_members(RelOptInfo *baserel, Expr *expr, const Var *var,
				 const GraphQueryProperty *property, GraphTruth wanted,
				 MemoryContext results)
{
	ComparedWords compared = {.baserel = baserel};
	GraphMembers *members = NULL;
	MemoryContext caller;
	Trial		trial;
	bool		understood;

	understood = !compares_otherwise((Node *) expr, &compared);
	if (!understood)
		compared.count = 0;
	prepare(&trial, property, &compared);
	trial.wanted = wanted;
	if (trial.count > 0 &&
		graph_evaluate(expr, var, &trial.candidates, trial.truths))
	{
		caller = MemoryContextSwitchTo(results);
		members = members_of_trial(property, &trial, understood);
		members->exact = members->exact && graph_is_text(var->vartype);
		MemoryContextSwitchTo(caller);
	}
	return members;
}

/*
 * graph_evaluable_column
 *		The only column of the table on which a condition depends, if it can be
 *		evaluated for values of that while a query is planned; or NULL.
 */
Var *
graph_evaluable_column(RelOptInfo *baserel, Expr *expr)
{
	OnlyColumn	only = {baserel, NULL};

	if (find_only_column((Node *) expr, &only) || only.var == NULL ||
		exprType((Node *) expr) != BOOLOID ||
		contain_mutable_functions((Node *) expr) ||
		may_change((Node *) expr, NULL))
		return NULL;
	return only.var;
}

/*
 * graph_members_evaluated
 *		The members for which a condition on one enum column is true or, with
 *		negate, is false; NULL if it is no such condition, or cannot be
 *		evaluated.
 */
GraphMembers *
graph_members_evaluated(RelOptInfo *baserel, Expr *expr, bool negate)
{
	Var		   *var = graph_evaluable_column(baserel, expr);
	const GraphQueryProperty *property = var ? enum_property(baserel, var) : NULL;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work;
	GraphMembers *members;

	if (property == NULL)
		return NULL;
	work = AllocSetContextCreate(caller, "graph_fdw evaluation",
								 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(work);
	members = evaluate_members(baserel, expr, var, property,
							   negate ? GRAPH_FALSE : GRAPH_TRUE, caller);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return members;
}

/*-------------------------------------------------------------------------
 * What is sent
 *-------------------------------------------------------------------------
 */

/*
 * add_list
 *		A condition with the names of the members in a set: = ANY or <> ALL.
 *
 * If they are none, it is one that no alert meets, but NIL where it has no
 * part in the whole.
 */
static List *
add_list(GraphPushdown *pushdown, GraphFilterKind kind,
		 const GraphMembers *members, uint64 set)
{
	const char *names[GRAPH_MOST_MEMBERS];
	int			count = graph_known_members(members->property->enum_name, names);
	Datum		words[GRAPH_MOST_MEMBERS];
	int			chosen = 0;
	ArrayType  *array;
	Const	   *constant;

	for (int i = 0; i < count; i++)
	{
		if (set & (UINT64CONST(1) << i))
			words[chosen++] = CStringGetTextDatum(names[i]);
	}
	if (chosen == 0 && (kind == GRAPH_FILTER_ALL || members->null))
		return NIL;				/* there are none to name */
	array = construct_array(words, chosen, TEXTOID, -1, false, TYPALIGN_INT);
	constant = makeConst(TEXTARRAYOID, -1, DEFAULT_COLLATION_OID, -1,
						 PointerGetDatum(array), false, false);
	return list_make3(makeInteger(kind),
					  makeString(pstrdup(members->property->name)),
					  makeInteger(graph_value_add(pushdown, (Expr *) constant)));
}

/*
 * with_null
 *		A condition, and another about NULL: both, or either; NIL is left out.
 */
static List *
with_null(const GraphMembers *members, GraphFilterKind kind,
		  GraphFilterKind null, List *condition)
{
	List	   *test = list_make2(makeInteger(null),
								  makeString(pstrdup(members->property->name)));

	return condition ? list_make3(makeInteger(kind), test, condition) : test;
}

/*
 * graph_members_condition
 *		The condition by which the alerts are asked for that are in a set; NIL
 *		if that is all of them.  *exact: the service means the same.
 *
 * What "ne" does with NULL is said of OData, not of this service, so NULL is
 * named where that matters.
 */
List *
graph_members_condition(GraphPushdown *pushdown, const GraphMembers *members,
						bool *exact)
{
	bool		nullable = members->property->nullable;
	List	   *condition;

	*exact = members->exact && (members->no_others || members->all_others);
	if (members->no_others)
	{
		condition = add_list(pushdown, GRAPH_FILTER_ANY, members, members->known);
		return members->null ? with_null(members, GRAPH_FILTER_OR,
										 GRAPH_FILTER_NULL, condition) : condition;
	}
	condition = add_list(pushdown, GRAPH_FILTER_ALL, members, ~members->known);
	if (!nullable || (members->null && condition == NIL))
		return condition;
	if (members->null)
		return with_null(members, GRAPH_FILTER_OR, GRAPH_FILTER_NULL, condition);
	return with_null(members, GRAPH_FILTER_AND, GRAPH_FILTER_NOT_NULL, condition);
}
