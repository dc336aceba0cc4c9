/*-------------------------------------------------------------------------
 *
 * describe.c
 *		What do a foreign table and its columns hold, in a line each?
 *
 * For COMMENT ON, so that "\d+" and other programs show it.  The words are
 * those of metadata/, by what a column reads and not by its name, so that a
 * user's own table is described as well as one that was imported.  A column
 * of which the metadata knows nothing has no description.
 *
 * What this file refuses to know: who may comment on what, and what becomes of
 * a comment that is there (the SQL function graph_fdw_comment()).
 *
 * IDENTIFICATION
 *		src/catalog/describe.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "catalog/option_int.h"

/* A column whose enum has more members lists none of them. */
#define MOST_LISTED	8

PG_FUNCTION_INFO_V1(graph_fdw_describe);

/*
 * describe_table
 *		What a table with such options holds.
 */
static const char *
describe_table(const GraphOptions *options)
{
	const char *type = options->evidence_type;
	const char *result = NULL;

	if (type == NULL)
		return graph_table_description(graph_resource_info(options->resource)->table);
	if (graph_is_evidence_type(type))
		result = graph_table_description(graph_snake_case(type));
	return result ? result : psprintf("Evidence of type %s in alerts", type);
}

/*
 * add_members
 *		Append what a property of an enum can be.
 */
static void
add_members(StringInfo text, const char *enum_name)
{
	List	   *members = graph_settable_members(enum_name);
	const char *before = ": ";
	ListCell   *cell;

	if (list_length(members) > MOST_LISTED)
		return;
	foreach(cell, members)
	{
		appendStringInfo(text, "%s%s", before, (char *) lfirst(cell));
		before = ", ";
	}
}

/*
 * describe_path
 *		Append what a path says that starts in a type; false if the metadata does
 *		not know it.
 *
 * A step into a value is described by both: "Virtual machine that the device
 * is: Id of the machine".
 */
static bool
describe_path(StringInfo text, const char *type_name, const char *path)
{
	const GraphProperty *property = graph_find_path(type_name, path);
	ListCell   *cell;

	if (property == NULL)
		return false;
	foreach(cell, graph_outer_properties(type_name, path))
		appendStringInfo(text, "%s: ",
						 ((GraphProperty *) lfirst(cell))->description);
	appendStringInfoString(text, property->description);
	if (property->type == GRAPH_EDM_ENUM)
		add_members(text, property->type_name);
	return true;
}

/*
 * describe_any_evidence
 *		Append what the first type of evidence says that has a path; false if none
 *		has it.
 */
static bool
describe_any_evidence(StringInfo text, const char *path)
{
	int			count;
	const char *const *types = graph_evidence_types(&count);

	for (int i = 0; i < count; i++)
	{
		if (describe_path(text, types[i], path))
			return true;
	}
	return false;
}

/*
 * describe_join_column
 *		What a column holds by which evidence of any type is joined, as that one
 *		column says it for all types; NULL if it is none of these.
 */
static const char *
describe_join_column(const GraphColumn *column)
{
	int			count;
	const GraphNamedColumn *named = graph_join_columns(&count);
	const char *path = linitial(column->paths);

	for (int i = 0; i < count; i++)
	{
		if (graph_same_name(column->name, named[i].name) &&
			strncmp(named[i].property, path, strlen(path)) == 0 &&
			strchr("|", named[i].property[strlen(path)]))
			return graph_named_description(named[i].name);
	}
	return NULL;
}

/*
 * describe_own_path
 *		Append what a path says that starts in the row's own object.
 */
static bool
describe_own_path(StringInfo text, const GraphOptions *options, const char *path)
{
	const GraphResourceInfo *resource = graph_resource_info(options->resource);
	const char *type = options->evidence_type;

	if (strcmp(path, ".") == 0)
	{
		appendStringInfoString(text, graph_named_description("raw"));
		return true;
	}
	return describe_path(text, graph_row_type(resource, type), path) ||
		(resource->has_derived && type == NULL &&
		 describe_any_evidence(text, path));
}

/*
 * describe_column
 *		What a column holds, or NULL if the metadata does not know.
 *
 * By which columns a whole list is asked for with a filter is what makes a
 * query fast or slow, so that is said, too.
 */
static const char *
describe_column(const GraphOptions *options, const GraphColumn *column)
{
	const GraphResourceInfo *resource = graph_resource_info(options->resource);
	const char *joined;
	const char *path;
	bool		in_record;
	StringInfoData text;

	initStringInfo(&text);
	if (column->source == GRAPH_SOURCE_ORDINAL)
		return graph_named_description("ordinal");
	if (column->source == GRAPH_SOURCE_EVIDENCE_TYPE)
		return graph_named_description("evidence_type");
	if (resource->has_derived && options->evidence_type == NULL)
	{
		joined = describe_join_column(column);
		if (joined)
			return joined;
	}

	path = linitial(column->paths);
	in_record = linitial_int(column->in_alert) != 0;
	if (in_record && strcmp(path, ".") == 0)
		appendStringInfo(&text, "The whole %s that the row belongs to",
						 resource->record);
	else if (in_record ? !describe_path(&text, resource->record, path) :
			 !describe_own_path(&text, options, path))
		return NULL;
	if ((in_record || resource->rows_member == NULL) &&
		(graph_query_property(resource, path) ||
		 (resource->navigation &&
		  strcmp(resource->navigation->property, path) == 0)))
		appendStringInfoString(&text, "; filtered by the service");
	return text.data;
}

/*
 * property_of
 *		The first thing that a column tries to read, as the option "property" has
 *		it; NULL if that is no property.
 */
static const char *
property_of(const GraphColumn *column)
{
	if (column->source != GRAPH_SOURCE_PATHS)
		return NULL;
	return psprintf("%s%s", linitial_int(column->in_alert) ? "../" : "",
					(char *) linitial(column->paths));
}

/*
 * add_row
 *		Give a row of the result.
 */
static void
add_row(ReturnSetInfo *result, int attnum, const char *property,
		const char *description)
{
	Datum		values[3] = {0};
	bool		nulls[3] = {false};

	values[0] = Int32GetDatum(attnum);
	nulls[1] = property == NULL;
	if (property)
		values[1] = CStringGetTextDatum(property);
	nulls[2] = description == NULL;
	if (description)
		values[2] = CStringGetTextDatum(description);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * graph_fdw_describe
 *		SQL function: what a foreign table holds (as column 0), and each of its
 *		columns that reads something.
 */
Datum
graph_fdw_describe(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Relation	relation = relation_open(PG_GETARG_OID(0), AccessShareLock);
	TupleDesc	tupdesc = RelationGetDescr(relation);
	ForeignTable *table;
	GraphOptions options;

	if (relation->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a foreign table",
						RelationGetRelationName(relation))));
	table = GetForeignTable(RelationGetRelid(relation));
	graph_get_options(table, GetForeignServer(table->serverid), NULL, &options);

	InitMaterializedSRF(fcinfo, 0);
	add_row(result, 0, NULL, describe_table(&options));
	for (AttrNumber attnum = 1; attnum <= tupdesc->natts; attnum++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, attnum - 1);
		GraphColumn *column;

		if (attribute->attisdropped || graph_is_virtual(attribute))
			continue;
		column = graph_find_column(options.resource, options.evidence_type,
								   NameStr(attribute->attname),
								   graph_column_property(table->relid, attnum));
		if (column)
			add_row(result, attnum, property_of(column),
					describe_column(&options, column));
	}
	relation_close(relation, AccessShareLock);
	return (Datum) 0;
}
