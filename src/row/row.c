/*-------------------------------------------------------------------------
 *
 * row.c
 *		Which rows does a record hold, and what is in their columns?
 *
 * For the table of alerts a record is a row.  For evidence and comments each
 * element of an array of the record is one, and a column may also read the
 * record around it ("../severity").  Names, paths and input functions are
 * resolved once, when a scan begins, and the properties that the columns need
 * are added to the scan's projection; for a row only the slices that json.c
 * found are turned into Datums by decode.c.
 *
 * Whatever the service adds is kept: an evidence type that nobody knows is a
 * row as any other, and a column for "." has all of it.  A value that its
 * column's type does not take is an error, which names column, table and
 * alert.
 *
 * A reader and all that it points to live in the memory context in which it
 * was created; the bytes of a record belong to the scan.
 *
 * What this file refuses to know: requests, and the syntax of JSON but for the
 * first character of a value ("[" or "{") and the quotes around a string.
 *
 * IDENTIFICATION
 *		src/row/row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "row/graph_row.h"

/* One column that is filled in. */
typedef struct RowColumn
{
	char	   *name;
	int			index;			/* in the slot's arrays */
	GraphColumnSource source;
	GraphDecoder *decoder;
	bool		skip_objects;	/* an object is no value for this column */
	int			npaths;
	int		   *slots;			/* of each path, in its projection */
	bool	   *in_record;		/* ... which is that of the record around it */
} RowColumn;

struct GraphRowReader
{
	char	   *table_name;
	const char *record_name;	/* what messages call a record */
	const char *rows_member;	/* NULL: the record is the row */
	char	   *evidence_type;	/* only rows of this type, or NULL */
	int			natts;			/* of a row of the table; 0: it is part of a
								 * row, and the rest of that is not ours */
	RowColumn  *columns;
	int			ncolumns;

	GraphProjection *record_projection;
	int			rows_slot;		/* of rows_member */
	GraphProjection *row_projection;	/* of an element of rows_member;
										 * without that, of the record */
	int			type_slot;		/* of @odata.type in row_projection */

	/* the record at hand */
	GraphRecord record;
	bool		started;		/* there is one */
	bool		given;			/* its one row was given */
	GraphSlice	rows;
	size_t		position;		/* in rows */
	int			ordinal;
	GraphSlice *row_slots;

	RowColumn  *current;		/* for the error context, or NULL */
};

/*
 * add_column
 *		Resolve one column.
 */
static void
add_column(GraphRowReader *reader, Relation relation, AttrNumber attnum,
		   int index, const GraphOptions *options)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation),
												attnum - 1);
	Oid			type = getBaseType(attribute->atttypid);
	char	   *property = graph_column_property(RelationGetRelid(relation),
												 attnum);
	GraphColumn *source = graph_resolve_column(options->resource,
											   options->evidence_type,
											   reader->table_name,
											   NameStr(attribute->attname),
											   property);
	RowColumn  *column = &reader->columns[reader->ncolumns++];
	ListCell   *path;
	ListCell   *in_alert;

	column->name = source->name;
	column->index = index;
	column->source = source->source;
	column->decoder = graph_decoder_create(attribute->atttypid,
										   attribute->atttypmod);
	column->slots = palloc(list_length(source->paths) * sizeof(int));
	column->in_record = palloc(list_length(source->paths) * sizeof(bool));

	/*
	 * Where a column has alternatives, some types may hold an object at the
	 * path at which others hold the value, as ipAddress does.
	 */
	column->skip_objects = list_length(source->paths) > 1 &&
		type != JSONBOID && type != JSONOID;

	forboth(path, source->paths, in_alert, source->in_alert)
	{
		bool		outer = reader->rows_member && lfirst_int(in_alert);
		GraphProjection *projection = outer ?
			reader->record_projection : reader->row_projection;

		/* JSON is UTF-8, whatever the database is */
		column->slots[column->npaths] =
			graph_projection_add(projection,
								 pg_server_to_any(lfirst(path),
												  strlen(lfirst(path)),
												  PG_UTF8));
		column->in_record[column->npaths] = outer;
		column->npaths++;
	}
}

/*
 * graph_row_reader_create_joined
 *		What fills in a table's part of a row that is not the table's alone and
 *		has so many columns, in the current memory context.
 *
 * indexes says where in that row each column of attnums goes.  Both lists may
 * be empty: then rows are only counted.  Nothing else of the row is touched.
 * What has to be located in a record is added to the projection.
 */
GraphRowReader *
graph_row_reader_create_joined(Relation relation, List *attnums, List *indexes,
							   int natts, const GraphOptions *options,
							   GraphProjection *projection)
{
	GraphRowReader *reader = palloc0(sizeof(GraphRowReader));
	const GraphResourceInfo *resource = graph_resource_info(options->resource);
	ListCell   *attnum;
	ListCell   *index;

	reader->table_name = pstrdup(RelationGetRelationName(relation));
	reader->rows_member = resource->rows_member;
	reader->record_name = resource->record;
	reader->evidence_type = options->evidence_type;
	reader->columns = palloc0(list_length(attnums) * sizeof(RowColumn));

	reader->record_projection = reader->row_projection = projection;
	if (reader->rows_member)
	{
		reader->rows_slot = graph_projection_add(projection,
												 reader->rows_member);
		reader->row_projection = graph_projection_create();
		reader->type_slot = graph_projection_add(reader->row_projection,
												 "@odata.type");
	}

	Assert(list_length(attnums) == list_length(indexes));
	forboth(attnum, attnums, index, indexes)
	{
		Assert(lfirst_int(attnum) > 0 &&
			   lfirst_int(attnum) <= RelationGetDescr(relation)->natts);
		Assert(lfirst_int(index) >= 0 && lfirst_int(index) < natts);
		add_column(reader, relation, lfirst_int(attnum), lfirst_int(index),
				   options);
	}
	if (reader->rows_member)
		reader->row_slots =
			palloc0(graph_projection_size(reader->row_projection) *
					sizeof(GraphSlice));
	return reader;
}

/*
 * graph_row_reader_create
 *		The same for rows of the table alone.
 *
 * attnums is an integer list of the columns that are wanted, and 0 in it
 * stands for all of them that are read; the others are made NULL.
 */
GraphRowReader *
graph_row_reader_create(Relation relation, List *attnums,
						const GraphOptions *options,
						GraphProjection *projection)
{
	TupleDesc	tupdesc = RelationGetDescr(relation);
	bool		all = list_member_int(attnums, 0);
	List	   *wanted = NIL;
	List	   *indexes = NIL;
	GraphRowReader *reader;

	for (AttrNumber attnum = 1; attnum <= tupdesc->natts; attnum++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, attnum - 1);

		if (attribute->attisdropped || graph_is_virtual(attribute) ||
			!(all || list_member_int(attnums, attnum)))
			continue;
		wanted = lappend_int(wanted, attnum);
		indexes = lappend_int(indexes, attnum - 1);
	}
	reader = graph_row_reader_create_joined(relation, wanted, indexes,
											tupdesc->natts, options,
											projection);
	reader->natts = tupdesc->natts;
	return reader;
}

/*
 * graph_row_start
 *		Take up a record; it must stay as it is until its last row was given.
 */
void
graph_row_start(GraphRowReader *reader, const GraphRecord *record)
{
	Assert(record->whole.data != NULL && record->slots != NULL);

	reader->record = *record;
	reader->started = true;
	reader->given = false;
	reader->position = 0;
	reader->ordinal = 0;
	if (reader->rows_member == NULL)
		return;

	reader->rows = record->slots[reader->rows_slot];
	if (!graph_slice_is_null(reader->rows) && reader->rows.data[0] != '[')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("property \"%s\" of %s \"%s\" is not an array",
						reader->rows_member, reader->record_name,
						graph_decode_string(record->id))));
}

/*
 * graph_row_stop
 *		Forget the record: its bytes are gone.
 */
void
graph_row_stop(GraphRowReader *reader)
{
	reader->started = false;
}

/*
 * after_last
 *		The position in a JSON string literal after the last of some
 *		characters, or after its opening quote.
 */
static size_t
after_last(GraphSlice string, const char *characters)
{
	size_t		i = string.len - 1;

	while (i > 1 && strchr(characters, string.data[i - 1]) == NULL)
		i--;
	return i;
}

/*
 * is_wanted
 *		Is the element at hand of the evidence type that the table is for?
 */
static bool
is_wanted(GraphRowReader *reader)
{
	GraphSlice	type;
	size_t		start;
	size_t		len;

	if (reader->evidence_type == NULL)
		return true;
	type = reader->row_slots[reader->type_slot];
	if (!graph_slice_is_string(type))
		return false;
	start = after_last(type, ".#");
	len = type.len - 1 - start;
	return len == strlen(reader->evidence_type) &&
		memcmp(type.data + start, reader->evidence_type, len) == 0;
}

/*
 * conversion_context
 *		Error context callback: which value could not be converted, and what to do
 *		about one that the type does not have.
 */
static void
conversion_context(void *arg)
{
	GraphRowReader *reader = arg;

	if (reader->current == NULL)
		return;
	errcontext("column \"%s\" of foreign table \"%s\", %s \"%s\"",
			   reader->current->name, reader->table_name,
			   reader->record_name,
			   graph_decode_string(reader->record.id));
	if (geterrcode() == ERRCODE_INVALID_TEXT_REPRESENTATION)
		errhint("A column of type text takes any value: ALTER FOREIGN TABLE %s ALTER %s TYPE text.",
				quote_identifier(reader->table_name),
				quote_identifier(reader->current->name));
}

/*
 * pick
 *		The first of a column's alternatives that is present and not null.
 */
static GraphSlice
pick(GraphRowReader *reader, const RowColumn *column)
{
	for (int i = 0; i < column->npaths; i++)
	{
		GraphSlice *slots = column->in_record[i] ?
			reader->record.slots : reader->row_slots;
		GraphSlice	value = slots[column->slots[i]];

		if (!graph_slice_is_null(value) &&
			!(column->skip_objects && value.data[0] == '{'))
			return value;
	}
	return (GraphSlice) {NULL, 0};
}

/*
 * type_name
 *		An element's type without its namespace, as a JSON string.
 */
static GraphSlice
type_name(GraphSlice type)
{
	size_t		start;
	size_t		len;
	char	   *name;

	if (!graph_slice_is_string(type))
		return (GraphSlice) {NULL, 0};
	start = after_last(type, ".#");
	len = type.len - start;
	name = palloc(len + 1);
	name[0] = '"';
	memcpy(name + 1, type.data + start, len);
	return (GraphSlice) {name, len + 1};
}

/*
 * fill_row
 *		Make the Datums of a row.
 */
static void
fill_row(GraphRowReader *reader, Datum *values, bool *isnull)
{
	ErrorContextCallback context;

	context.callback = conversion_context;
	context.arg = reader;
	context.previous = error_context_stack;
	error_context_stack = &context;

	if (reader->natts > 0)
	{
		memset(values, 0, reader->natts * sizeof(Datum));
		memset(isnull, true, reader->natts * sizeof(bool));
	}
	for (int i = 0; i < reader->ncolumns; i++)
	{
		RowColumn  *column = &reader->columns[i];
		GraphSlice	value;
		char		digits[12];

		reader->current = column;
		switch (column->source)
		{
			case GRAPH_SOURCE_PATHS:
				value = pick(reader, column);
				break;
			case GRAPH_SOURCE_ORDINAL:
				value.len = snprintf(digits, sizeof(digits), "%d",
									 reader->ordinal);
				value.data = digits;
				break;
			case GRAPH_SOURCE_EVIDENCE_TYPE:
				value = type_name(reader->row_slots[reader->type_slot]);
				break;
		}
		values[column->index] = graph_decode(column->decoder, value,
											 &isnull[column->index]);
	}
	reader->current = NULL;
	error_context_stack = context.previous;
}

/*
 * graph_row_next
 *		The next row of the record; false if there is none.
 *
 * Values are made in the current memory context.  In a row of the table,
 * columns that nobody asked for are NULL.
 */
bool
graph_row_next(GraphRowReader *reader, Datum *values, bool *isnull)
{
	GraphSlice	element;

	if (!reader->started)
		return false;

	if (reader->rows_member == NULL)
	{
		if (reader->given)
			return false;
		reader->given = true;
		reader->row_slots = reader->record.slots;
		fill_row(reader, values, isnull);
		return true;
	}

	while (graph_json_next_element(reader->rows, &reader->position,
								   reader->row_projection, reader->row_slots,
								   &element))
	{
		reader->ordinal++;
		if (is_wanted(reader))
		{
			fill_row(reader, values, isnull);
			return true;
		}
	}
	return false;
}
