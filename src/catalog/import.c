/*-------------------------------------------------------------------------
 *
 * import.c
 *		Which DDL describes a resource?
 *
 * IMPORT FOREIGN SCHEMA makes a table of each resource, as all alerts and all
 * their evidence, and one for each type of evidence.  Wherever a column
 * would not be found from its property's name, the option that says what it
 * reads is written down, so that a user who reads the DDL sees where a value
 * comes from and can copy it.
 *
 * NOT NULL are the alert's id and the position in it, without which there is
 * no row.  No other column is: the planner would believe it, and the service
 * leaves out members that its metadata promises.
 *
 * What this file refuses to know: the network, what an answer looks like.
 *
 * IDENTIFICATION
 *		src/catalog/import.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "foreign/fdwapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "catalog/graph_catalog.h"

#define REMOTE_SCHEMA "security"

/* One table that can be imported. */
typedef struct ImportTable
{
	const char *name;
	GraphResource resource;
	const char *evidence_type;	/* or NULL */
} ImportTable;

/* A CREATE FOREIGN TABLE in the making. */
typedef struct TableText
{
	const ImportTable *table;
	StringInfoData ddl;
	bool		has_column;
} TableText;

/*-------------------------------------------------------------------------
 * The text of one table.
 *-------------------------------------------------------------------------
 */

/*
 * column_type
 *		The type of the column for a property, as DDL has it.
 */
static const char *
column_type(const GraphProperty *property)
{
	const char *type = "text";

	switch (property->type)
	{
		case GRAPH_EDM_STRING:
		case GRAPH_EDM_ENUM:	/* the service adds members */
			break;
		case GRAPH_EDM_BOOLEAN:
			type = "boolean";
			break;
		case GRAPH_EDM_INT32:
			type = "integer";
			break;
		case GRAPH_EDM_INT64:
			type = "bigint";
			break;
		case GRAPH_EDM_DOUBLE:
			type = "double precision";
			break;
		case GRAPH_EDM_DATETIME:
			type = "timestamptz";
			break;
		case GRAPH_EDM_GUID:
			type = "uuid";
			break;
		case GRAPH_EDM_COMPLEX:
		case GRAPH_EDM_DICTIONARY:
			return "jsonb";		/* a collection of them, too */
	}

	return property->collection ? psprintf("%s[]", type) : type;
}

/*
 * add_column
 *		Append a column; "property" is the value of its option, or NULL.
 */
static void
add_column(TableText *text, const char *name, const char *type,
		   const char *property)
{
	appendStringInfo(&text->ddl, "%s\n    %s %s",
					 text->has_column ? "," : "",
					 quote_identifier(name), type);
	if (property != NULL)
		appendStringInfo(&text->ddl, " OPTIONS (property %s)",
						 quote_literal_cstr(property));
	text->has_column = true;
}

/*
 * forbid_null
 *		The column that was appended last has a value in each row.
 */
static void
forbid_null(TableText *text)
{
	appendStringInfoString(&text->ddl, " NOT NULL");
}

/*
 * add_named_columns
 *		Append columns whose names say what they read, with the option that says
 *		it too.
 */
static void
add_named_columns(TableText *text, const GraphNamedColumn *columns, int count)
{
	for (int i = 0; i < count; i++)
		add_column(text, columns[i].name, columns[i].type, columns[i].property);
}

/*
 * add_flattened_columns
 *		Append a column for each property of a nested value.
 */
static void
add_flattened_columns(TableText *text, const GraphProperty *outer)
{
	List	   *properties = graph_type_properties(outer->type_name);
	ListCell   *lc;

	foreach(lc, properties)
	{
		const GraphProperty *inner = lfirst(lc);

		add_column(text,
				   psprintf("%s_%s", graph_snake_case(outer->name),
							graph_snake_case(inner->name)),
				   column_type(inner),
				   psprintf("%s/%s", outer->name, inner->name));
	}
}

/*
 * add_property_columns
 *		Append a column for each property of a row, and for each one of its
 *		nested values.  key is the property that each row has, or NULL.
 */
static void
add_property_columns(TableText *text, const char *row_type, const char *key)
{
	List	   *properties = graph_type_properties(row_type);
	ListCell   *lc;

	foreach(lc, properties)
	{
		const GraphProperty *property = lfirst(lc);

		add_column(text, graph_snake_case(property->name),
				   column_type(property), NULL);
		if (key && strcmp(property->name, key) == 0)
			forbid_null(text);
		if (property->type == GRAPH_EDM_COMPLEX && !property->collection)
			add_flattened_columns(text, property);
	}
}

/*
 * add_columns
 *		Append all columns of the table.
 */
static void
add_columns(TableText *text)
{
	const ImportTable *table = text->table;
	const GraphResourceInfo *resource = graph_resource_info(table->resource);
	bool		is_child = resource->rows_member != NULL;
	bool		is_any_evidence = resource->has_derived &&
		table->evidence_type == NULL;
	int			count;
	const GraphNamedColumn *join = graph_join_columns(&count);
	const GraphNamedColumn *of_record = resource->record_columns;

	if (is_child)
	{
		add_column(text, psprintf("%s_id", resource->record), "text", NULL);
		forbid_null(text);
		add_column(text, "ordinal", "integer", NULL);
		forbid_null(text);
	}
	if (is_any_evidence)
		add_column(text, "evidence_type", "text", NULL);

	add_property_columns(text, table->evidence_type ? table->evidence_type :
						 resource->row_type, is_child ? NULL : resource->key);

	if (is_any_evidence)
		add_named_columns(text, join, count);
	for (; of_record && of_record->name; of_record++)
		add_named_columns(text, of_record, 1);

	add_column(text, "raw", "jsonb", ".");
}

/*
 * create_command
 *		The CREATE FOREIGN TABLE of one table.
 */
static char *
create_command(const ImportTable *table, const char *server_name,
			   const char *local_schema)
{
	TableText	text = {.table = table};
	const char *resource = graph_resource_info(table->resource)->name;

	initStringInfo(&text.ddl);
	appendStringInfo(&text.ddl, "CREATE FOREIGN TABLE %s (",
					 quote_qualified_identifier(local_schema, table->name));
	add_columns(&text);
	appendStringInfo(&text.ddl, "\n) SERVER %s\nOPTIONS (resource %s",
					 quote_identifier(server_name),
					 quote_literal_cstr(resource));
	if (table->evidence_type != NULL)
		appendStringInfo(&text.ddl, ", evidence_type %s",
						 quote_literal_cstr(table->evidence_type));
	appendStringInfoString(&text.ddl, ");");

	return text.ddl.data;
}


/*-------------------------------------------------------------------------
 * Which tables?
 *-------------------------------------------------------------------------
 */

/*
 * add_table
 *		Append to the list of tables.
 */
static List *
add_table(List *tables, const char *name, GraphResource resource,
		  const char *evidence_type)
{
	ImportTable *table = palloc(sizeof(ImportTable));

	table->name = name;
	table->resource = resource;
	table->evidence_type = evidence_type;

	return lappend(tables, table);
}

/*
 * all_tables
 *		Every table of the remote schema: a list of ImportTable *.
 */
static List *
all_tables(void)
{
	List	   *tables = NIL;
	int			count;
	const char *const *types = graph_evidence_types(&count);

	for (int i = 0; i < GRAPH_NRESOURCES; i++)
		tables = add_table(tables, graph_resource_info(i)->table, i, NULL);
	for (int i = 0; i < count; i++)
		tables = add_table(tables, graph_snake_case(types[i]),
						   GRAPH_EVIDENCE, types[i]);

	return tables;
}

/*
 * check_table_names
 *		Refuse a name in LIMIT TO or EXCEPT that is no table.
 *
 * PostgreSQL itself would say nothing and import too little or too much.
 */
static void
check_table_names(List *tables, List *names, const char *server_name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		const char *name = lfirst_node(RangeVar, lc)->relname;
		GraphSimilarName similar;
		bool		found = false;
		ListCell   *lc2;

		foreach(lc2, tables)
		{
			if (strcmp(((ImportTable *) lfirst(lc2))->name, name) == 0)
				found = true;
		}
		if (found)
			continue;

		graph_similar_init(&similar, name);
		foreach(lc2, tables)
			graph_similar_try(&similar, ((ImportTable *) lfirst(lc2))->name);
		ereport(ERROR,
				(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
				 errmsg("table \"%s\" does not exist in foreign schema \"%s\" on server \"%s\"",
						name, REMOTE_SCHEMA, server_name),
				 similar.closest ?
				 errhint("Perhaps you meant the table \"%s\".", similar.closest) :
				 errhint("The tables are \"alerts\", \"alert_evidence\", \"alert_comments\", \"incidents\", \"incident_comments\", and one for each evidence type, such as \"device_evidence\".")));
	}
}

/*
 * graphImportForeignSchema
 *		The commands that make the tables of a remote schema.
 */
List *
graphImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid serverid)
{
	List	   *tables = all_tables();
	List	   *commands = NIL;
	ListCell   *lc;

	graph_check_import_options(stmt->options);
	graph_check_wrapper(GetForeignServer(serverid));
	if (strcmp(stmt->remote_schema, REMOTE_SCHEMA) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
				 errmsg("foreign schema \"%s\" does not exist on server \"%s\"",
						stmt->remote_schema, stmt->server_name),
				 errhint("The only foreign schema is \"%s\".",
						 REMOTE_SCHEMA)));
	check_table_names(tables, stmt->table_list, stmt->server_name);

	foreach(lc, tables)
	{
		const ImportTable *table = lfirst(lc);

		if (IsImportableForeignTable(table->name, stmt))
			commands = lappend(commands,
							   create_command(table, stmt->server_name,
											  stmt->local_schema));
	}

	return commands;
}
