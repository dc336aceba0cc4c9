/*-------------------------------------------------------------------------
 *
 * mistakes.c
 *		What in a query is probably a mistake?
 *
 * Neither is an error, because the service may know more than our metadata: a
 * column is compared with a word that its enum does not have ("High"), or reads
 * a property of no such name.  Who made a mistake sees no row, or nulls, and
 * nothing that explains it; so a NOTICE says it while the query is planned.
 * client_min_messages turns it off.
 *
 * A statement of the client is told once of a word and a session once of a
 * column, however many partitions, executions and functions there are.  Only
 * what is a constant by then is looked at.
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
#include "optimizer/restrictinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

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
 * may_be
 *		May the column have this word?
 *
 * An enum that comes in more than one case, or that ANALYZE has seen to, is not
 * told of that.
 */
static bool
may_be(const EnumColumn *column, const char *word)
{
	const GraphRelInfo *info = column->baserel->fdw_private;
	const GraphQueryProperty *property;

	if (column->property == NULL)
		return graph_is_evidence_type(word);
	if (graph_enum_member(column->property->type_name, word) != GRAPH_ENUM_UNKNOWN)
		return true;
	if (!graph_is_other_case(column->property->type_name, word, strlen(word)))
		return false;
	property = graph_query_property(info->resource, column->property->name);
	return property && property->type == GRAPH_EDM_ENUM &&
		(property->any_case ||
		 graph_has_other_case(column->baserel, column->var, property));
}

/*
 * word_hint
 *		What may have been meant by a word: sentences.
 */
static char *
word_hint(const EnumColumn *column, const char *word)
{
	GraphSimilarName similar;
	StringInfoData text;

	initStringInfo(&text);
	graph_similar_init(&similar, word);
	if (column->property)
	{
		List	   *members = graph_settable_members(column->property->type_name);
		ListCell   *cell;

		appendStringInfoString(&text, "Values are: ");
		foreach(cell, members)
		{
			graph_similar_try(&similar, lfirst(cell));
			appendStringInfo(&text, "%s%s", (char *) lfirst(cell),
							 lnext(members, cell) ? ", " : ".");
		}
	}
	else
	{
		int			count;
		const char *const *types = graph_evidence_types(&count);

		appendStringInfoString(&text, "Evidence types are written as in Microsoft Graph, for example \"deviceEvidence\".");
		for (int i = 0; i < count; i++)
			graph_similar_try(&similar, types[i]);
	}
	if (similar.closest == NULL)
		return text.data;
	if (column->property == NULL)
		return psprintf("Perhaps you meant \"%s\".", similar.closest);
	return psprintf("Perhaps you meant \"%s\".  %s", similar.closest, text.data);
}

/*
 * tell_word
 *		Tell of a word that the column is not known to have.
 */
static void
tell_word(const EnumColumn *column, const char *word)
{
	const GraphRelInfo *info = column->baserel->fdw_private;
	uint32		hash;

	if (may_be(column, word))
		return;
	hash = hash_combine(hash_bytes((const unsigned char *) word, strlen(word)),
						hash_bytes((const unsigned char *) &column->property,
								   sizeof(column->property)));
	if (is_told(&told_in_statement, hash))
		return;
	ereport(NOTICE,
			(errmsg("\"%s\" is not among the values of column \"%s\" of foreign table \"%s\" that graph_fdw %s knows",
					word, get_attname(info->relid, column->var->varattno, false),
					info->table_name, GRAPH_FDW_VERSION),
			 errhint("%s", word_hint(column, word))));
}

/*
 * tell_words
 *		Look at a constant, or at the elements of one.
 */
static void
tell_words(const EnumColumn *column, Expr *value)
{
	const Const *constant = (const Const *) value;
	Datum	   *words;
	bool	   *nulls;
	int			count;

	if (!IsA(value, Const) || constant->constisnull)
		return;
	if (constant->consttype == TEXTOID)
		tell_word(column, TextDatumGetCString(constant->constvalue));
	if (constant->consttype != TEXTARRAYOID)
		return;
	deconstruct_array(DatumGetArrayTypeP(constant->constvalue), TEXTOID, -1,
					  false, TYPALIGN_INT, &words, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			tell_word(column, TextDatumGetCString(words[i]));
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
 * look_at_comparisons
 *		Walker: tell of what columns are compared with, wherever that is.
 */
static bool
look_at_comparisons(Node *node, RelOptInfo *baserel)
{
	EnumColumn	column;

	if (node == NULL)
		return false;
	if (IsA(node, OpExpr) || IsA(node, DistinctExpr))
	{
		const OpExpr *op = (const OpExpr *) node;	/* has the same form */

		if (list_length(op->args) == 2 &&
			is_equality(op->opno, op->inputcollid))
		{
			if (find_enum_column(baserel, linitial(op->args), false, &column))
				tell_words(&column, lsecond(op->args));
			else if (find_enum_column(baserel, lsecond(op->args), false, &column))
				tell_words(&column, linitial(op->args));
		}
	}
	else if (IsA(node, ScalarArrayOpExpr))
	{
		const ScalarArrayOpExpr *op = (const ScalarArrayOpExpr *) node;

		if (is_equality(op->opno, op->inputcollid))
		{
			if (find_enum_column(baserel, linitial(op->args), false, &column))
				tell_words(&column, lsecond(op->args));
			else if (find_enum_column(baserel, lsecond(op->args), true, &column))
				tell_words(&column, linitial(op->args));
		}
	}
	return expression_tree_walker(node, look_at_comparisons, (void *) baserel);
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

	(void) look_at_comparisons((Node *) clauses, baserel);
	foreach(cell, read)
	{
		if (lfirst_int(cell) > 0)
			tell_property(baserel, lfirst_int(cell));
	}
}
