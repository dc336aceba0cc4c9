/*-------------------------------------------------------------------------
 *
 * writable.c
 *		What can be written to a foreign table?
 *
 * A record of a resource can be changed by UPDATE, and a row that is part of a
 * record is added by INSERT; the resource's row says which properties that
 * takes.  A column can be written if it reads just such a property, and the
 * record is known by a column that reads its key.  Nothing can be written
 * unless the option "updatable" of the table or its server says so.
 *
 * What is asked about a table that may be wrong in itself (by a view of
 * information_schema, that looks at all tables) is answered without an error.
 *
 * Sources: Microsoft Graph, "Update alert", "Update incident", "Create comment
 * for alert".
 *
 * What this file refuses to know: requests, values, the planner.
 *
 * IDENTIFICATION
 *		src/catalog/writable.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/partcache.h"
#include "utils/rel.h"

#include "catalog/option_int.h"

/*
 * Members of enums that have another name in old pages, and their names in the
 * metadata, which is the one that the service knows ("Update alert").
 */
static const struct
{
	const char *enum_name;
	const char *former;
	const char *current;
}			former_members[] = {
	{"alertDetermination", "compromisedUser", "compromisedAccount"},
	{"alertDetermination", "clean", "notMalicious"},
	{"alertDetermination", "insufficientData", "notEnoughDataToValidate"},
	{"alertDetermination", "confirmedUserActivity", "confirmedActivity"},
};

/*
 * graph_current_member
 *		The name that a member of an enum has now, if this is a former one; else
 *		NULL.
 */
const char *
graph_current_member(const char *enum_name, const char *word)
{
	for (size_t i = 0; i < lengthof(former_members); i++)
	{
		if (strcmp(former_members[i].enum_name, enum_name) == 0 &&
			pg_strcasecmp(former_members[i].former, word) == 0)
			return former_members[i].current;
	}
	return NULL;
}

/*
 * says_updatable
 *		What the option "updatable" in a list says, or a default.
 */
static bool
says_updatable(List *options, bool default_value)
{
	const char *value = graph_option_value(options, "updatable");
	bool		result;

	return value && parse_bool(value, &result) ? result : default_value;
}

/*
 * find_writable
 *		The writable property that a column reads, or NULL: the column reads
 *		another, a part of it, or one of several.
 */
static const GraphWritableProperty *
find_writable(const GraphResourceInfo *resource, const GraphColumn *column)
{
	if (column->source != GRAPH_SOURCE_PATHS ||
		list_length(column->paths) != 1 || linitial_int(column->in_alert))
		return NULL;
	for (int i = 0; i < resource->nwritable; i++)
	{
		if (strcmp(resource->writable[i].name, linitial(column->paths)) == 0)
			return &resource->writable[i];
	}
	return NULL;
}

/*
 * reads_key
 *		Does a column read the key of the record, and nothing else?
 */
static bool
reads_key(const GraphResourceInfo *resource, const GraphColumn *column)
{
	return column->source == GRAPH_SOURCE_PATHS &&
		list_length(column->paths) == 1 &&
		(linitial_int(column->in_alert) != 0) == (resource->rows_member != NULL) &&
		strcmp(linitial(column->paths), resource->key) == 0;
}

/*
 * column_roots
 *		The properties of a record that a column reads a value from.
 */
static List *
column_roots(const GraphResourceInfo *resource, const GraphColumn *column)
{
	List	   *roots = NIL;
	ListCell   *path;
	ListCell   *in_record;

	if (column->source != GRAPH_SOURCE_PATHS)
		return list_make1(pstrdup(resource->rows_member));
	forboth(path, column->paths, in_record, column->in_alert)
	{
		const char *name = lfirst(path);

		if (resource->rows_member && !lfirst_int(in_record))
			name = resource->rows_member;
		roots = lappend(roots, pnstrdup(name, strcspn(name, "/")));
	}
	return roots;
}

/*
 * add_column
 *		Look at one column of a table that is written to.
 */
static void
add_column(GraphTarget *target, Relation relation, AttrNumber attnum,
		   const Bitmapset *routing)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation),
												attnum - 1);
	const GraphResourceInfo *resource = target->resource;
	GraphTargetColumn *result = &target->columns[target->ncolumns++];
	GraphColumn *column;

	result->attnum = attnum;
	result->name = pstrdup(NameStr(attribute->attname));
	result->type = attribute->atttypid;
	result->is_generated = attribute->attgenerated != '\0';
	result->is_routing =
		bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, routing);
	column = graph_find_column(target->options.resource,
							   target->options.evidence_type, result->name,
							   graph_column_property(target->relid, attnum));
	if (column == NULL)
		return;					/* reading it is an error */
	result->roots = column_roots(resource, column);
	result->is_key = reads_key(resource, column);
	if (result->is_generated)
		return;
	result->writable = find_writable(resource, column);
	if (result->writable)
		result->property = graph_find_path(resource->row_type,
										   result->writable->name);
	if (result->is_key && target->key == NULL)
		target->key = result;
}

/*
 * graph_target_open
 *		Look at a table that is written to.
 *
 * The result is in the current memory context.  Options that are wrong are an
 * error.
 */
GraphTarget *
graph_target_open(Relation relation)
{
	GraphTarget *target = palloc0(sizeof(GraphTarget));
	TupleDesc	tupdesc = RelationGetDescr(relation);
	ForeignTable *table = GetForeignTable(RelationGetRelid(relation));
	Bitmapset  *routing = NULL;

	target->relid = RelationGetRelid(relation);
	target->name = pstrdup(RelationGetRelationName(relation));
	graph_get_options(table, GetForeignServer(table->serverid), NULL,
					  &target->options);
	target->resource = graph_resource_info(target->options.resource);
	if (relation->rd_rel->relispartition)
		pull_varattnos((Node *) RelationGetPartitionQual(relation), 1,
					   &routing);
	target->columns = palloc0(Max(tupdesc->natts, 1) *
							  sizeof(GraphTargetColumn));
	for (AttrNumber attnum = 1; attnum <= tupdesc->natts; attnum++)
	{
		if (!TupleDescAttr(tupdesc, attnum - 1)->attisdropped)
			add_column(target, relation, attnum, routing);
	}
	return target;
}

/*
 * is_operation_known
 *		Does the resource take UPDATE, or INSERT?
 */
static bool
is_operation_known(const GraphResourceInfo *resource, CmdType operation)
{
	return resource->nwritable > 0 &&
		operation == (resource->rows_member ? CMD_INSERT : CMD_UPDATE);
}

/*
 * has_column
 *		Is there a column for one of the properties that can be written?
 */
static bool
has_column(const GraphTarget *target)
{
	for (int i = 0; i < target->ncolumns; i++)
	{
		if (target->columns[i].writable)
			return true;
	}
	return false;
}

/*
 * graph_target_problem
 *		Why can a table not be written to in this way?  NULL if it can; else
 *		*hint says what can be done, or is NULL.  A sentence each.
 */
const char *
graph_target_problem(const GraphTarget *target, CmdType operation,
					 const char **hint)
{
	const GraphResourceInfo *resource = target->resource;

	*hint = NULL;
	if (!is_operation_known(resource, operation))
	{
		if (resource->nwritable == 0)
			return psprintf("Rows of resource \"%s\" cannot be written.",
							resource->name);
		if (resource->rows_member == NULL)
			*hint = psprintf("What can be inserted is a comment, into the table that IMPORT FOREIGN SCHEMA calls \"%s_comments\".",
							 resource->record);
		return psprintf("Rows of resource \"%s\" can only be %s.",
						resource->name,
						resource->rows_member ? "inserted" : "updated");
	}
	if (!target->options.updatable)
	{
		*hint = "If changes in the service are wanted, set the option \"updatable\" of the foreign table or of its server to \"true\".";
		return "It is read-only: writing is turned off unless it is asked for, because nothing that is written can be rolled back.";
	}
	if (target->key == NULL)
	{
		*hint = psprintf("Add a column for it, such as \"%s text OPTIONS (property '%s%s')\".",
						 resource->rows_member ? "record_id" : "id",
						 resource->rows_member ? "../" : "", resource->key);
		return psprintf("No column reads the id of the %s.", resource->record);
	}
	if (!has_column(target))
		return "No column reads a property that can be written.";
	return NULL;
}

/*
 * graph_target_columns
 *		The columns that can be written, for a message.
 */
char *
graph_target_columns(const GraphTarget *target)
{
	const GraphResourceInfo *resource = target->resource;
	StringInfoData names;

	initStringInfo(&names);
	if (resource->rows_member && target->key)
		appendStringInfo(&names, "\"%s\"", target->key->name);
	for (int i = 0; i < resource->nwritable; i++)
	{
		for (int j = 0; j < target->ncolumns; j++)
		{
			if (target->columns[j].writable == &resource->writable[i])
				appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
								 target->columns[j].name);
		}
	}
	return names.data;
}

/*
 * graph_updatable_commands
 *		Which statements may write to a table: a bit for each, as
 *		IsForeignRelUpdatable has them.
 *
 * No error is raised, whatever the options are.
 */
int
graph_updatable_commands(Relation relation)
{
	ForeignTable *table = GetForeignTable(RelationGetRelid(relation));
	ForeignServer *server = GetForeignServer(table->serverid);
	const char *name = graph_option_value(table->options, "resource");
	const GraphResourceInfo *resource = graph_find_resource(name ? name : "alerts");
	TupleDesc	tupdesc = RelationGetDescr(relation);
	bool		has_key = false;
	bool		has_writable = false;

	if (resource == NULL || resource->nwritable == 0 ||
		!says_updatable(table->options,
						says_updatable(server->options, false)))
		return 0;
	for (AttrNumber attnum = 1; attnum <= tupdesc->natts; attnum++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, attnum - 1);
		GraphColumn *column;

		if (attribute->attisdropped || attribute->attgenerated)
			continue;
		column = graph_find_column(graph_resource_number(resource), NULL,
								   NameStr(attribute->attname),
								   graph_column_property(table->relid, attnum));
		has_key = has_key || (column && reads_key(resource, column));
		has_writable = has_writable ||
			(column && find_writable(resource, column));
	}
	if (!has_key || !has_writable)
		return 0;
	return 1 << (resource->rows_member ? CMD_INSERT : CMD_UPDATE);
}
