/*-------------------------------------------------------------------------
 *
 * row.c
 *		Which rows does an alert hold, and what is in their columns?
 *
 * For the table of alerts a record is a row.  For evidence and comments each
 * element of an array of the alert is one, and a column may also read the
 * alert around it ("../severity").  Names, paths and input functions are
 * resolved once, when a scan begins; for a row only the slices that json.c
 * found are turned into Datums by decode.c.
 *
 * Whatever the service adds is kept: an evidence type that nobody knows is a
 * row as any other, and a column for "." has all of it.  What is not in the
 * projection that it must have fails loudly, naming column, table and alert.
 *
 * What this file refuses to know: requests, the syntax of JSON.
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
	bool	   *in_alert;		/* read it from the alert's projection */
} RowColumn;

struct GraphRowReader
{
	char	   *table_name;
	const char *rows_member;	/* NULL: the alert is the row */
	char	   *evidence_type;	/* only rows of this type, or NULL */
	int			natts;			/* of a row of the table; 0: it is part of a
								 * row, and the rest of that is not ours */
	RowColumn  *columns;
	int			ncolumns;

	GraphProjection *alert_shape;
	int			rows_slot;		/* of rows_member */
	GraphProjection *row_shape;		/* of an element; alert_shape without one */
	int			type_slot;		/* of @odata.type in row_shape */

	/* the alert at hand */
	GraphRecord record;
	bool		started;		/* there is one */
	bool		alert_given;	/* its one row was given */
	GraphSlice	rows;
	size_t		position;		/* in rows */
	int			ordinal;
	GraphSlice *row_slots;

	RowColumn  *current;		/* for the error context, or NULL */
};

static void add_column(GraphRowReader *reader, Relation relation,
					   AttrNumber attnum, int index,
					   const GraphOptions *options);
static void fill_row(GraphRowReader *reader, Datum *values, bool *isnull);

/*
 * begin_reader
 *		A reader for a table that fills in no more than so many columns, and
 *		none yet.
 *
 * What has to be located in an alert is added to the projection.
 */
static GraphRowReader *
begin_reader(Relation relation, int most_columns, const GraphOptions *options,
			 GraphProjection *projection)
{
	GraphRowReader *reader = palloc0(sizeof(GraphRowReader));

	reader->table_name = pstrdup(RelationGetRelationName(relation));
	reader->rows_member = graph_resource_info(options->resource)->rows_member;
	reader->evidence_type = options->evidence_type;
	reader->columns = palloc0(most_columns * sizeof(RowColumn));

	reader->alert_shape = reader->row_shape = projection;
	if (reader->rows_member)
	{
		reader->rows_slot = graph_projection_add(projection, reader->rows_member);
		reader->row_shape = graph_projection_create();
		reader->type_slot = graph_projection_add(reader->row_shape, "@odata.type");
	}
	return reader;
}

/*
 * complete_reader
 *		All columns were added.
 */
static GraphRowReader *
complete_reader(GraphRowReader *reader)
{
	if (reader->rows_member)
		reader->row_slots = palloc0(graph_projection_size(reader->row_shape) *
									sizeof(GraphSlice));
	return reader;
}

/*
 * graph_row_reader_create
 *		What fills in rows of a table, in the current memory context.
 *
 * attnums is an integer list of the columns that are wanted, and 0 in it
 * stands for all of them; the others are made NULL.
 */
GraphRowReader *
graph_row_reader_create(Relation relation, List *attnums,
						const GraphOptions *options, GraphProjection *projection)
{
	TupleDesc	tupdesc = RelationGetDescr(relation);
	bool		all = list_member_int(attnums, 0);
	GraphRowReader *reader = begin_reader(relation, tupdesc->natts, options,
										  projection);

	reader->natts = tupdesc->natts;
	for (AttrNumber attnum = 1; attnum <= tupdesc->natts; attnum++)
	{
		if (!TupleDescAttr(tupdesc, attnum - 1)->attisdropped &&
			(all || list_member_int(attnums, attnum)))
			add_column(reader, relation, attnum, attnum - 1, options);
	}
	return complete_reader(reader);
}

/*
 * graph_row_reader_create_joined
 *		What fills in a table's part of a row that is not the table's alone and
 *		has so many columns, in the current memory context.
 *
 * indexes says where in that row each column of attnums goes.  Both lists may
 * be empty: then rows are only counted.  Nothing else of the row is touched.
 */
GraphRowReader *
graph_row_reader_create_joined(Relation relation, List *attnums, List *indexes,
							   int natts, const GraphOptions *options,
							   GraphProjection *projection)
{
	GraphRowReader *reader = begin_reader(relation, list_length(attnums),
										  options, projection);
	ListCell   *attnum;
	ListCell   *index;

	Assert(list_length(attnums) == list_length(indexes));
	forboth(attnum, attnums, index, indexes)
	{
		Assert(lfirst_int(attnum) > 0 &&
			   lfirst_int(attnum) <= RelationGetDescr(relation)->natts);
		Assert(lfirst_int(index) >= 0 && lfirst_int(index) < natts);
		add_column(reader, relation, lfirst_int(attnum), lfirst_int(index),
				   options);
	}
	return complete_reader(reader);
}

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
	column->in_alert = palloc(list_length(source->paths) * sizeof(bool));

	/*
	 * Where a column has alternatives, some types may hold an object at the
	 * path at which others hold the value, as ipAddress does.
	 */
	column->skip_objects = list_length(source->paths) > 1 &&
		type != JSONBOID && type != JSONOID;

	forboth(path, source->paths, in_alert, source->in_alert)
	{
		bool		outer = reader->rows_member && lfirst_int(in_alert);
		GraphProjection *projection = outer ? reader->alert_shape : reader->row_shape;

		/* JSON is UTF-8, whatever the database is */
		column->slots[column->npaths] =
			graph_projection_add(projection, pg_server_to_any(lfirst(path),
													strlen(lfirst(path)),
													PG_UTF8));
		column->in_alert[column->npaths] = outer;
		column->npaths++;
	}
}

/*
 * graph_row_start
 *		Take up an alert; it must stay as it is until its last row was given.
 */
void
graph_row_start(GraphRowReader *reader, const GraphRecord *record)
{
	reader->record = *record;
	reader->started = true;
	reader->alert_given = false;
	reader->position = 0;
	reader->ordinal = 0;
	if (reader->rows_member == NULL)
		return;

	reader->rows = record->slots[reader->rows_slot];
	if (reader->rows.data && reader->rows.data[0] != '[' &&
		!graph_slice_is_null(reader->rows))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("property \"%s\" of alert \"%s\" is not an array",
						reader->rows_member, graph_decode_string(record->id))));
}

/*
 * graph_row_stop
 *		Forget the alert: its bytes are gone.
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
 * graph_row_next
 *		The next row of the alert; false if there is none.
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
		if (reader->alert_given)
			return false;
		reader->alert_given = true;
		reader->row_slots = reader->record.slots;
		fill_row(reader, values, isnull);
		return true;
	}

	while (reader->rows.data &&
		   graph_json_next_element(reader->rows, &reader->position,
								   reader->row_shape, reader->row_slots,
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

/*
 * conversion_context
 *		Error context callback: which value could not be converted.
 */
static void
conversion_context(void *arg)
{
	GraphRowReader *reader = arg;

	if (reader->current)
		errcontext("column \"%s\" of foreign table \"%s\", alert \"%s\"",
				   reader->current->name, reader->table_name,
				   graph_decode_string(reader->record.id));
}

/*
 * pick
 *		The first of a column's alternatives that is present and not null.
 */
static GraphSlice
pick(GraphRowReader *reader, const RowColumn *column)
{
	GraphSlice	none = {NULL, 0};

	for (int i = 0; i < column->npaths; i++)
	{
		GraphSlice *slots = column->in_alert[i] ?
			reader->record.slots : reader->row_slots;
		GraphSlice	value = slots[column->slots[i]];

		if (value.data == NULL || graph_slice_is_null(value) ||
			(column->skip_objects && value.data[0] == '{'))
			continue;
		return value;
	}
	return none;
}

/*
 * type_name
 *		An element's type without its namespace, as a JSON string.
 */
static GraphSlice
type_name(GraphSlice type)
{
	GraphSlice	name = {NULL, 0};
	size_t		start;
	char	   *copy;

	if (!graph_slice_is_string(type))
		return name;
	start = after_last(type, ".#");
	name.len = type.len - start + 1;
	copy = palloc(name.len);
	copy[0] = '"';
	memcpy(copy + 1, type.data + start, type.len - start);
	name.data = copy;
	return name;
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
