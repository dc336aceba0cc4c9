/*-------------------------------------------------------------------------
 *
 * comparison.c
 *		Which property does a clause compare, how, and with what?
 *
 * An operator is recognized by its OID or its place in an operator family,
 * never by its name.  Equality of text counts only under a deterministic
 * collation: under another one, more strings are equal than the service would
 * find.  Text is never compared for order.
 *
 * What is compared with may be any expression that is known when the scan
 * starts: without a column of this table and without a volatile function.
 *
 * What this file refuses to know: what the service makes of a comparison.
 *
 * IDENTIFICATION
 *		src/plan/comparison.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "plan/graph_plan.h"

/*-------------------------------------------------------------------------
 * Columns
 *-------------------------------------------------------------------------
 */

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
 * graph_relation_column
 *		What a column of the table reads: found out once.
 *
 * It is an error if the column reads nothing, which its name and options say.
 */
GraphColumn *
graph_relation_column(RelOptInfo *baserel, AttrNumber attnum)
{
	GraphRelInfo *info = baserel->fdw_private;
	MemoryContext old;

	Assert(info->baserel == baserel);
	Assert(attnum > 0 && attnum <= baserel->max_attr);
	if (info->columns[attnum])
		return info->columns[attnum];
	old = MemoryContextSwitchTo(GetMemoryChunkContext(info));
	info->columns[attnum] =
		graph_resolve_column(info->options.resource,
							 info->options.evidence_type, info->table_name,
							 get_attname(info->relid, attnum, false),
							 graph_column_property(info->relid, attnum));
	MemoryContextSwitchTo(old);
	return info->columns[attnum];
}

/*
 * graph_only_path
 *		The path that a column reads if it is just one, or NULL; *in_alert tells
 *		whether it is one of the alert's.
 */
char *
graph_only_path(RelOptInfo *baserel, const Var *var, bool *in_alert)
{
	GraphRelInfo *info = baserel->fdw_private;
	GraphColumn *column = graph_relation_column(baserel, var->varattno);

	if (column->source != GRAPH_SOURCE_PATHS || list_length(column->paths) != 1)
		return NULL;
	*in_alert = info->resource->rows_member == NULL ||
		linitial_int(column->in_alert);
	return linitial(column->paths);
}

/*
 * graph_is_text
 *		Are values of this type what the service compares?
 */
bool
graph_is_text(Oid type)
{
	return type == TEXTOID || type == VARCHAROID;
}

/*
 * graph_is_key_column
 *		Is this expression a column that reads the alert's id as text?
 *
 * This may be the first time that somebody asks what the column reads: then
 * the answer is kept, and a column that reads nothing is an error
 * (graph_relation_column()).
 */
bool
graph_is_key_column(RelOptInfo *baserel, Expr *expr)
{
	GraphRelInfo *info = baserel->fdw_private;
	Var		   *var = graph_own_var(baserel, expr);
	bool		in_alert;
	char	   *path;

	if (var == NULL || !graph_is_text(var->vartype))
		return false;
	path = graph_only_path(baserel, var, &in_alert);
	return path && in_alert && strcmp(path, info->resource->key) == 0;
}

/*
 * graph_is_owner_column
 *		Is this expression a column that reads, as text, the id of what the
 *		record belongs to, and can the records of that be asked for?
 *
 * Like graph_is_key_column(), an error for a column that reads nothing.
 */
bool
graph_is_owner_column(RelOptInfo *baserel, Expr *expr)
{
	GraphRelInfo *info = baserel->fdw_private;
	const GraphNavigation *navigation = info->resource->navigation;
	Var		   *var = graph_own_var(baserel, expr);
	bool		in_alert;
	char	   *path;

	if (navigation == NULL || !info->options.pushdown.navigation ||
		var == NULL || !graph_is_text(var->vartype) || var->vartypmod != -1)
		return false;
	path = graph_only_path(baserel, var, &in_alert);
	return path && in_alert && strcmp(path, navigation->property) == 0;
}

/*
 * graph_is_never_null
 *		Is this expression a column that has a value in each row, whatever its
 *		type and whether or not it is declared NOT NULL?
 *
 * Those are the id, as an alert without one is an error wherever alerts are
 * read, and the position in the alert.  Like graph_is_key_column(), an error
 * for a column that reads nothing.
 */
bool
graph_is_never_null(RelOptInfo *baserel, Expr *expr)
{
	GraphRelInfo *info = baserel->fdw_private;
	Var		   *var = graph_own_var(baserel, expr);
	bool		in_alert;
	char	   *path;

	/* a row may be null although it has a value */
	if (var == NULL || type_is_rowtype(var->vartype))
		return false;
	if (graph_relation_column(baserel, var->varattno)->source == GRAPH_SOURCE_ORDINAL)
		return true;
	path = graph_only_path(baserel, var, &in_alert);
	return path && in_alert && strcmp(path, info->resource->key) == 0;
}

/*
 * graph_var_property
 *		The property of the alert that a column reads, if the service can filter
 *		or sort by it and the column's type keeps its meaning; else NULL.
 */
const GraphQueryProperty *
graph_var_property(RelOptInfo *baserel, Expr *expr)
{
	GraphRelInfo *info = baserel->fdw_private;
	Var		   *var = graph_own_var(baserel, expr);
	const GraphQueryProperty *property;
	bool		in_alert;
	char	   *path;

	if (var == NULL)
		return NULL;
	path = graph_only_path(baserel, var, &in_alert);
	if (path == NULL || !in_alert)
		return NULL;
	property = graph_query_property(info->resource, path);
	if (property == NULL || var->vartypmod != -1)
		return NULL;			/* timestamptz(0) rounds, varchar(10) cuts */
	if (property->type == GRAPH_EDM_DATETIME)
		return var->vartype == TIMESTAMPTZOID ? property : NULL;
	return graph_is_text(var->vartype) ? property : NULL;
}

/*
 * graph_why_not_filtered
 *		Why the service does not filter by a column.
 *
 * A piece of evidence has a time of its own, beside that of its alert.  Who
 * filters by the one may want the other.  A column of another type than the
 * property's is compared in another way than the service would.
 */
const char *
graph_why_not_filtered(RelOptInfo *baserel, const Var *var)
{
	GraphRelInfo *info = baserel->fdw_private;
	bool		in_record;
	char	   *path = var ? graph_only_path(baserel, var, &in_record) : NULL;
	const GraphQueryProperty *property = path ?
		graph_query_property(info->resource, path) : NULL;
	const char *named = "";

	if (path && in_record && strcmp(path, info->resource->key) == 0 &&
		!graph_is_text(var->vartype))
		return "ids are looked up where the column is of type text";
	if (property == NULL)
		return GRAPH_NO_PROPERTY;
	if (in_record)
		return property->type == GRAPH_EDM_DATETIME ?
			"the service filters by it where the column is of type timestamptz" :
			"the service filters by it where the column is of type text";
	for (AttrNumber attnum = 1; attnum <= baserel->max_attr; attnum++)
	{
		const char *value = graph_column_property(info->relid, attnum);

		if (value && strncmp(value, "../", 3) == 0 && strcmp(value + 3, path) == 0)
			named = psprintf(", which is column \"%s\"",
							 get_attname(info->relid, attnum, false));
	}
	return psprintf("the service filters by the %s of the %s%s, not by this one",
					path, info->resource->record, named);
}

/*-------------------------------------------------------------------------
 * Operators and values
 *-------------------------------------------------------------------------
 */

/*
 * graph_is_known_at_start
 *		Can this expression be evaluated once, when the scan starts?
 *
 * Columns of other tables are parameters of a nested loop by then.
 */
bool
graph_is_known_at_start(RelOptInfo *baserel, Expr *expr)
{
	return !bms_is_member(baserel->relid, pull_varnos(NULL, (Node *) expr)) &&
		!contain_volatile_functions((Node *) expr) &&
		!contain_subplans((Node *) expr);
}

/*
 * graph_is_text_equality
 *		Is this "text = text", meaning the same to everyone?
 */
bool
graph_is_text_equality(Oid operator, Oid collation)
{
	return operator == TextEqualOperator && OidIsValid(collation) &&
		get_collation_isdeterministic(collation);
}

/*
 * graph_commuted
 *		The comparison with its sides exchanged.
 */
GraphComparison
graph_commuted(GraphComparison comparison)
{
	static const GraphComparison other[] = {
		GRAPH_EQ, GRAPH_NE, GRAPH_GT, GRAPH_GE, GRAPH_LT, GRAPH_LE,
	};

	return other[comparison];
}

/*
 * graph_negated
 *		The opposite of a comparison.
 */
GraphComparison
graph_negated(GraphComparison comparison)
{
	static const GraphComparison other[] = {
		GRAPH_NE, GRAPH_EQ, GRAPH_GE, GRAPH_GT, GRAPH_LE, GRAPH_LT,
	};

	return other[comparison];
}

/*
 * graph_order_comparison
 *		What an operator of a type's own B-tree family compares; false if it is
 *		not one.  Such an operator of timestamptz may take a date or timestamp on
 *		one side.
 */
bool
graph_order_comparison(Oid operator, Oid type, GraphComparison *comparison)
{
	static const GraphComparison of_strategy[] = {
		[BTLessStrategyNumber] = GRAPH_LT,
		[BTLessEqualStrategyNumber] = GRAPH_LE,
		[BTEqualStrategyNumber] = GRAPH_EQ,
		[BTGreaterEqualStrategyNumber] = GRAPH_GE,
		[BTGreaterStrategyNumber] = GRAPH_GT,
	};
	Oid			family = lookup_type_cache(type,
										   TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	int			strategy = get_op_opfamily_strategy(operator, family);

	if (strategy != 0)
	{
		*comparison = of_strategy[strategy];
		return true;
	}
	strategy = get_op_opfamily_strategy(get_negator(operator), family);
	if (strategy != 0)
		*comparison = graph_negated(of_strategy[strategy]);
	return strategy != 0;
}

/*
 * text_comparison
 *		The same for text, which is compared for equality only; with the reason
 *		if it is not.
 */
static bool
text_comparison(Oid operator, Oid collation, GraphCompared *result)
{
	bool		equal = operator == TextEqualOperator;

	if (!equal)
		operator = get_negator(operator);
	result->comparison = equal ? GRAPH_EQ : GRAPH_NE;
	result->reason = operator == TextEqualOperator ?
		"the collation is not deterministic" : GRAPH_NO_OPERATOR;
	return graph_is_text_equality(operator, collation);
}

/*
 * is_time_type
 *		Is a timestamptz compared with this type by its own operators?
 */
static bool
is_time_type(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

/*
 * graph_find_comparison
 *		Take "column operator value" apart, either way round; false if it is
 *		nothing that the service could answer, and why.
 *
 * array: the value is one, and its elements are what is compared with.
 */
bool
graph_find_comparison(RelOptInfo *baserel, List *args, Oid operator,
					  Oid collation, bool array, GraphCompared *result)
{
	Expr	   *column = linitial(args);
	Oid			type;

	result->value = lsecond(args);
	result->var = graph_own_var(baserel, column);
	if (result->var == NULL && !array)
	{
		column = lsecond(args);
		result->value = linitial(args);
		result->var = graph_own_var(baserel, column);
	}
	result->reason = GRAPH_NO_FORM;
	if (result->var == NULL)
		return false;
	result->reason = "not known before the scan starts";
	if (!graph_is_known_at_start(baserel, result->value))
		return false;

	result->property = graph_var_property(baserel, column);
	type = exprType((Node *) result->value);
	if (array)
		type = get_element_type(type);
	result->reason = GRAPH_NO_OPERATOR;
	if (result->property && result->property->type == GRAPH_EDM_DATETIME)
	{
		if (!is_time_type(type) ||
			!graph_order_comparison(operator, TIMESTAMPTZOID, &result->comparison))
			return false;
	}
	else if (type != TEXTOID || !text_comparison(operator, collation, result))
	{
		if (result->property == NULL)
			result->reason = graph_why_not_filtered(baserel, result->var);
		return false;
	}
	if (column != linitial(args))
		result->comparison = graph_commuted(result->comparison);
	return true;
}
