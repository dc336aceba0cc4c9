/*-------------------------------------------------------------------------
 *
 * mistakes.c
 *		What in a query is probably a mistake?
 *
 * None is an error, because the service may know more than our metadata: a
 * column is compared with a word that its enum does not have ("High"), or has in
 * another case; a condition is true for no word of an enum ("LIKE 'High%'"); or a
 * column reads a property of no such name.  Who made a mistake sees no row, or
 * nulls, and nothing that explains it; so a NOTICE says it while the query is
 * planned.  client_min_messages turns it off.
 *
 * A statement of the client is told once of a word and a session once of a
 * column, however many partitions, executions and functions there are.  Only
 * what is a constant by then is looked at: in the conditions on a table, and for
 * words also in what is made of its rows (FILTER, CASE), but for that of
 * partitions.
 *
 * What this file refuses to know: what can be sent to the service.
 *
 * IDENTIFICATION
 *		src/plan/mistakes.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/restrictinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "plan/graph_plan.h"

/* So many things are remembered to have been told; then nothing more is. */
#define MOST_TOLD	64

/* What was told, by its hash. */
typedef struct ToldList
{
	int			count;
	uint32		hashes[MOST_TOLD];
} ToldList;

static ToldList told_in_statement;
static ToldList told_in_session;
static TimestampTz statement_of_list;	/* when it began */

/* What a word is compared with. */
typedef struct EnumColumn
{
	RelOptInfo *baserel;
	Var		   *var;
	const GraphProperty *property;	/* NULL: the type of the evidence */
} EnumColumn;

/* What is looked at, and the words in it. */
typedef struct Look
{
	RelOptInfo *baserel;
	bool		found;			/* a word that is probably a mistake */
} Look;

/* A word that no record has and nobody writes. */
#define NO_WORD		"\001\002"

/*
 * is_told
 *		Was something told already, or is there no room to remember that it is?
 *		From now on it was.
 */
static bool
is_told(ToldList *list, uint32 hash)
{
	for (int i = 0; i < list->count; i++)
	{
		if (list->hashes[i] == hash)
			return true;
	}
	if (list->count == MOST_TOLD)
		return true;
	list->hashes[list->count++] = hash;
	return false;
}

/*-------------------------------------------------------------------------
 * Words that an enum does not have
 *-------------------------------------------------------------------------
 */

/*
 * find_enum_column
 *		Is an expression a column of the table whose words are known?
 */
static bool
find_enum_column(RelOptInfo *baserel, Expr *expr, bool array, EnumColumn *result)
{
	GraphRelInfo *info = baserel->fdw_private;
	Var		   *var = graph_own_var(baserel, expr);
	GraphColumn *column;

	if (var == NULL || !(array ? var->vartype == TEXTARRAYOID :
						 graph_is_text(var->vartype)))
		return false;
	column = graph_relation_column(baserel, var->varattno);
	result->baserel = baserel;
	result->var = var;
	result->property = graph_column_enum(info->resource,
										 info->options.evidence_type, column);
	if (result->property)
		return result->property->collection == array;
	return column->source == GRAPH_SOURCE_EVIDENCE_TYPE && !array;
}

/*
 * query_property
 *		The enum that a column reads, as one by which the service filters; or
 *		NULL.
 */
static const GraphQueryProperty *
query_property(const EnumColumn *column)
{
	const GraphRelInfo *info = column->baserel->fdw_private;
	const GraphQueryProperty *property = column->property ?
		graph_query_property(info->resource, column->property->name) : NULL;

	return property && property->type == GRAPH_EDM_ENUM ? property : NULL;
}

/*
 * was_seen
 *		Has ANALYZE seen a word of the column in another case?
 */
static bool
was_seen(const EnumColumn *column)
{
	const GraphQueryProperty *property = query_property(column);

	return property &&
		graph_has_other_case(column->baserel, column->var, property);
}

/*
 * may_be
 *		May the column have this word?
 */
static bool
may_be(const EnumColumn *column, const char *word)
{
	if (column->property == NULL)
		return graph_is_evidence_type(word);
	return graph_enum_member(column->property->type_name, word) != GRAPH_ENUM_UNKNOWN ||
		(graph_is_other_case(column->property->type_name, word, strlen(word)) &&
		 was_seen(column));
}

/*
 * usual_word
 *		How a word is written that the service may write as it stands here, too;
 *		NULL if it is no such word.
 *
 * That is a word of an enum that comes in more than one case.
 */
static const char *
usual_word(const EnumColumn *column, const char *word)
{
	const GraphQueryProperty *property = query_property(column);
	ListCell   *cell;

	if (property == NULL || !property->any_case)
		return NULL;
	foreach(cell, graph_settable_members(property->enum_name))
	{
		if (pg_strcasecmp(lfirst(cell), word) == 0)
			return lfirst(cell);
	}
	return NULL;
}

/*
 * word_hint
 *		What may have been meant by a word: sentences.
 */
static const char *
word_hint(const EnumColumn *column, const char *word)
{
	GraphSimilarName similar;
	StringInfoData text;
	List	   *members;
	ListCell   *cell;

	if (column->property == NULL)
		return graph_evidence_type_hint(word);
	initStringInfo(&text);
	graph_similar_init(&similar, word);
	members = graph_settable_members(column->property->type_name);
	appendStringInfoString(&text, "Values are: ");
	foreach(cell, members)
	{
		graph_similar_try(&similar, lfirst(cell));
		appendStringInfo(&text, "%s%s", (char *) lfirst(cell),
						 lnext(members, cell) ? ", " : ".");
	}
	if (similar.closest == NULL)
		return text.data;
	return psprintf("Perhaps you meant \"%s\".  %s", similar.closest, text.data);
}

/*
 * is_word_told
 *		Was this statement told of a word of the column?  From now on it was.
 */
static bool
is_word_told(const EnumColumn *column, const char *word)
{
	return is_told(&told_in_statement,
				   hash_combine(hash_bytes((const unsigned char *) word, strlen(word)),
								hash_bytes((const unsigned char *) &column->property,
										   sizeof(column->property))));
}

/*
 * tell_word
 *		Tell of a word that the column is not known to have; false if it has it.
 */
static bool
tell_word(const EnumColumn *column, const char *word)
{
	const GraphRelInfo *info = column->baserel->fdw_private;
	const char *usual;

	if (may_be(column, word))
		return false;
	if (is_word_told(column, word))
		return true;
	usual = usual_word(column, word);
	if (usual)
		ereport(NOTICE,
				(errmsg("the service is known to write \"%s\" where column \"%s\" of foreign table \"%s\" is compared with \"%s\"",
						usual, get_attname(info->relid, column->var->varattno, false),
						info->table_name, word),
				 errdetail("Only rows in which it writes \"%s\" are equal to that, and these are looked for.", word),
				 errhint("Perhaps you meant \"%s\".", usual)));
	else
		ereport(NOTICE,
				(errmsg("\"%s\" is not among the values of column \"%s\" of foreign table \"%s\" that graph_fdw %s knows",
						word, get_attname(info->relid, column->var->varattno, false),
						info->table_name, GRAPH_FDW_VERSION),
				 errhint("%s", word_hint(column, word))));
	return true;
}

/*
 * has_usual
 *		Is how the service usually writes a word among these words, too?
 */
static bool
has_usual(const EnumColumn *column, const char *word, Datum *words, bool *nulls,
		  int count)
{
	const char *usual = usual_word(column, word);

	for (int i = 0; usual && i < count; i++)
	{
		if (!nulls[i] && strcmp(TextDatumGetCString(words[i]), usual) == 0)
			return true;
	}
	return false;
}

/*
 * tell_words
 *		Look at a constant, or at the elements of one.
 *
 * Who names a word in both cases knows of them.
 */
static void
tell_words(Look *look, const EnumColumn *column, Expr *value)
{
	const Const *constant = (const Const *) value;
	Datum	   *words;
	bool	   *nulls;
	int			count;

	if (!IsA(value, Const) || constant->constisnull)
		return;
	if (constant->consttype == TEXTOID &&
		tell_word(column, TextDatumGetCString(constant->constvalue)))
		look->found = true;
	if (constant->consttype != TEXTARRAYOID)
		return;
	deconstruct_array(DatumGetArrayTypeP(constant->constvalue), TEXTOID, -1,
					  false, TYPALIGN_INT, &words, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *word = nulls[i] ? NULL : TextDatumGetCString(words[i]);

		if (word && !has_usual(column, word, words, nulls, count) &&
			tell_word(column, word))
			look->found = true;
	}
}

/*
 * is_equality
 *		Does an operator tell whether texts are the same, letter by letter?
 */
static bool
is_equality(Oid operator, Oid collation)
{
	return graph_is_text_equality(operator, collation) ||
		graph_is_text_equality(get_negator(operator), collation);
}

/*
 * is_set_operator
 *		Does an operator compare the elements of two arrays?
 */
static bool
is_set_operator(Oid operator)
{
	return operator == OID_ARRAY_CONTAINS_OP ||
		operator == OID_ARRAY_CONTAINED_OP || operator == OID_ARRAY_OVERLAP_OP;
}

/*
 * look_at_operands
 *		Tell of the words on one side if a column is on the other; array: is it
 *		one of arrays where it is on the right, or on the left?
 */
static void
look_at_operands(Look *look, List *args, bool left_array, bool right_array)
{
	EnumColumn	column;

	if (list_length(args) != 2)
		return;
	if (find_enum_column(look->baserel, linitial(args), left_array, &column))
		tell_words(look, &column, lsecond(args));
	else if (find_enum_column(look->baserel, lsecond(args), right_array, &column))
		tell_words(look, &column, linitial(args));
}

/*
 * look_at_case
 *		Tell of the words of CASE column WHEN 'word'.
 */
static void
look_at_case(Look *look, const CaseExpr *expr)
{
	EnumColumn	column;
	ListCell   *cell;

	if (expr->arg == NULL ||
		!find_enum_column(look->baserel, expr->arg, false, &column))
		return;
	foreach(cell, expr->args)
	{
		const OpExpr *op = (const OpExpr *) lfirst_node(CaseWhen, cell)->expr;

		/* the column stands on the left as a CaseTestExpr */
		if (IsA(op, OpExpr) && list_length(op->args) == 2 &&
			is_equality(op->opno, op->inputcollid))
			tell_words(look, &column, lsecond(op->args));
	}
}

/*
 * look_at_comparisons
 *		Walker: tell of what columns are compared with, wherever that is.
 */
static bool
look_at_comparisons(Node *node, Look *look)
{
	if (node == NULL)
		return false;
	if (IsA(node, OpExpr) || IsA(node, DistinctExpr))
	{
		const OpExpr *op = (const OpExpr *) node;	/* has the same form */

		if (is_equality(op->opno, op->inputcollid))
			look_at_operands(look, op->args, false, false);
		else if (is_set_operator(op->opno))
			look_at_operands(look, op->args, true, true);
	}
	else if (IsA(node, ScalarArrayOpExpr))
	{
		const ScalarArrayOpExpr *op = (const ScalarArrayOpExpr *) node;

		if (is_equality(op->opno, op->inputcollid))
			look_at_operands(look, op->args, false, true);
	}
	else if (IsA(node, CaseExpr))
		look_at_case(look, (const CaseExpr *) node);
	return expression_tree_walker(node, look_at_comparisons, (void *) look);
}

/*-------------------------------------------------------------------------
 * Conditions that are true for no word
 *-------------------------------------------------------------------------
 */

/*
 * find_text
 *		Walker: find the first constant text that is not empty, be it in an array.
 */
static bool
find_text(Node *node, const char **found)
{
	const Const *constant = (const Const *) node;
	Datum	   *words;
	bool	   *nulls;
	int			count;
	const char *word;

	if (node == NULL)
		return false;
	if (!IsA(node, Const))
		return expression_tree_walker(node, find_text, (void *) found);
	if (constant->constisnull || (constant->consttype != TEXTOID &&
								  constant->consttype != TEXTARRAYOID))
		return false;
	if (constant->consttype == TEXTOID)
		word = TextDatumGetCString(constant->constvalue);
	else
	{
		deconstruct_array(DatumGetArrayTypeP(constant->constvalue), TEXTOID, -1,
						  false, TYPALIGN_INT, &words, &nulls, &count);
		word = count > 0 && !nulls[0] ? TextDatumGetCString(words[0]) : "";
	}
	if (word[0])
		*found = word;
	return word[0] != '\0';
}

/*
 * is_never_true
 *		Is a condition true for no word that its only column is known to have,
 *		nor for NULL?
 *
 * Nor is it then for a word that nobody knows: NOT IN with all that are known
 * looks for new ones.
 */
static bool
is_never_true(Expr *expr, const EnumColumn *column)
{
	GraphCandidates *candidates = palloc(sizeof(GraphCandidates));
	GraphTruth *truths = palloc(GRAPH_MOST_CANDIDATES * sizeof(GraphTruth));
	List	   *members = NIL;
	ListCell   *cell;
	int			count = 0;

	if (column->property)
		members = graph_settable_members(column->property->type_name);
	else
	{
		const char *const *types = graph_evidence_types(&count);

		for (int i = 0; i < count; i++)
			members = lappend(members, (void *) types[i]);
	}
	if (members == NIL || list_length(members) + 2 > GRAPH_MOST_CANDIDATES)
		return false;

	memset(candidates->nulls, 0, sizeof(candidates->nulls));
	candidates->nulls[0] = true;
	candidates->values[0] = (Datum) 0;
	candidates->values[1] = CStringGetTextDatum(NO_WORD);
	candidates->count = 2;
	foreach(cell, members)
		candidates->values[candidates->count++] = CStringGetTextDatum(lfirst(cell));
	if (!graph_evaluate(expr, column->var, candidates, truths))
		return false;
	for (int i = 0; i < candidates->count; i++)
	{
		if (truths[i] == GRAPH_TRUE)
			return false;
	}
	return true;
}

/*
 * tell_never_true
 *		Tell of a condition that is true for no known word of a column, because of
 *		a constant in it.
 */
static void
tell_never_true(RelOptInfo *baserel, Expr *expr)
{
	const GraphRelInfo *info = baserel->fdw_private;
	Var		   *var = graph_evaluable_column(baserel, expr);
	const char *text = NULL;
	EnumColumn	column;
	MemoryContext caller;
	MemoryContext work;
	bool		never;

	if (var == NULL || !find_enum_column(baserel, (Expr *) var, false, &column) ||
		!find_text((Node *) expr, &text) || was_seen(&column))
		return;
	work = AllocSetContextCreate(CurrentMemoryContext, "graph_fdw evaluation",
								 ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(work);
	never = is_never_true(expr, &column);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	if (!never || is_word_told(&column, text))
		return;
	ereport(NOTICE,
			(errmsg("no known value of column \"%s\" of foreign table \"%s\" makes the condition with \"%s\" true",
					get_attname(info->relid, var->varattno, false),
					info->table_name, text),
			 errhint("%s", word_hint(&column, text))));
}

/*
 * look_at_condition
 *		Tell of what is probably a mistake in a condition on a table.
 */
static void
look_at_condition(RelOptInfo *baserel, Expr *expr)
{
	Look		look = {baserel, false};

	(void) look_at_comparisons((Node *) expr, &look);
	if (!look.found)
		tell_never_true(baserel, expr);
}

/*
 * look_at_target
 *		Tell of words in what is made of the rows of a SELECT.
 */
static void
look_at_target(RelOptInfo *baserel)
{
	const GraphRelInfo *info = baserel->fdw_private;
	const PlannerInfo *root = info->root;
	Look		look = {baserel, false};

	if (root->parse->commandType != CMD_SELECT)
		return;
	(void) look_at_comparisons((Node *) root->processed_tlist, &look);
	(void) look_at_comparisons(root->parse->havingQual, &look);
}

/*-------------------------------------------------------------------------
 * Properties that the metadata does not have
 *-------------------------------------------------------------------------
 */

/*
 * tell_property
 *		Tell of a column that reads a property that is not known, if it says so
 *		by its option.
 */
static void
tell_property(RelOptInfo *baserel, AttrNumber attnum)
{
	GraphRelInfo *info = baserel->fdw_private;
	const char *type = info->options.evidence_type;
	const char *value = graph_column_property(info->relid, attnum);
	const GraphColumn *column;
	const char *similar;
	uint32		hash;

	if (value == NULL)
		return;
	column = graph_relation_column(baserel, attnum);
	if (graph_is_known_column(info->resource, type, column))
		return;
	hash = hash_combine(hash_bytes((const unsigned char *) value, strlen(value)),
						hash_combine(info->relid, attnum));
	if (is_told(&told_in_session, hash))
		return;
	similar = graph_similar_property(info->resource, type, column);
	ereport(NOTICE,
			(errmsg("property \"%s\" of column \"%s\" of foreign table \"%s\" is not among those that graph_fdw %s knows",
					value, column->name, info->table_name, GRAPH_FDW_VERSION),
			 similar ?
			 errhint("Perhaps you meant \"%s\".", similar) :
			 errhint("Properties are written as in Microsoft Graph, for example \"createdDateTime\".")));
}

/*
 * graph_tell_mistakes
 *		Tell of what a query asks of a table that is probably a mistake.
 */
void
graph_tell_mistakes(RelOptInfo *baserel)
{
	List	   *clauses = extract_actual_clauses(baserel->baserestrictinfo, false);
	List	   *read = graph_add_attributes(NIL, (Node *)
											list_concat_copy(baserel->reltarget->exprs,
															 clauses),
											baserel->relid);
	TimestampTz statement = GetCurrentStatementStartTimestamp();
	ListCell   *cell;

	if (statement != statement_of_list)
		told_in_statement.count = 0;
	statement_of_list = statement;

	foreach(cell, clauses)
		look_at_condition(baserel, lfirst(cell));
	look_at_target(baserel);
	foreach(cell, read)
	{
		if (lfirst_int(cell) > 0)
			tell_property(baserel, lfirst_int(cell));
	}
}
