/*-------------------------------------------------------------------------
 *
 * modify_answer.c
 *		What does the answer to a write say?
 *
 * Was each property taken, and what is the row now?  The answer to a PATCH is
 * the record, that to a new comment all comments of its record.  What somebody
 * wants to know and the answer does not say makes it necessary to read the
 * record: a property that is absent, or a collection of objects that is empty,
 * since the service answers a PATCH without the evidence.  What is absent in
 * the record as well is null.
 *
 * A property was taken if it has the value that was sent, by what JSON means; in
 * another case if the service is known to have such values.  Types that the
 * service adds to an object are no part of its value.
 *
 * What this file refuses to know: who asks, transfers.
 *
 * Sources: Microsoft Graph, "Update alert", "Create comment for alert".
 *
 * IDENTIFICATION
 *		src/exec/modify_answer.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

#include "exec/modify_int.h"

/* A column whose value is taken from answers. */
typedef struct AnsweredColumn
{
	const GraphTargetColumn *column;
	bool		returned;		/* it must be told */
	bool		is_told;		/* by the answer at hand */
	int			nroots;
	int		   *slots;			/* of the properties that it reads, */
	bool	   *is_collection;	/* ... which may be left out, for an empty one */
} AnsweredColumn;

struct GraphAnswerReader
{
	const GraphTarget *target;
	TupleDesc	tupdesc;
	GraphProjection *projection;
	GraphSlice *slots;
	int		   *written;		/* slots of the properties that can be written */
	int			rows_slot;		/* of rows_member */
	GraphRowReader *rows;		/* NULL: nobody wants rows */
	AnsweredColumn *columns;
	int			ncolumns;
	GraphJsonbBuilder *jsonb;

	/* elements of rows_member */
	GraphProjection *row_projection;
	GraphSlice *row_slots;
	int			row_time;		/* slot of when it was made */

	/* the row of the answer at hand */
	Datum	   *values;
	bool	   *isnull;
};

/*
 * is_collection_of_objects
 *		May an answer have an empty array where the record has elements?
 */
static bool
is_collection_of_objects(const GraphTarget *target, const char *name)
{
	const GraphProperty *property = graph_find_path(target->resource->record,
													name);

	return property && property->collection &&
		property->type == GRAPH_EDM_COMPLEX;
}

/*
 * add_root
 *		Note a property that a column reads.
 */
static void
add_root(GraphAnswerReader *reader, AnsweredColumn *answered, const char *name)
{
	answered->is_collection[answered->nroots] =
		is_collection_of_objects(reader->target, name);
	answered->slots[answered->nroots++] =
		graph_projection_add(reader->projection, name);
}

/*
 * add_column
 *		Note a column whose value is taken from answers.
 *
 * One that reads the whole record needs those of its properties that an answer
 * may leave out; one of a comment is read from the comments themselves.
 */
static void
add_column(GraphAnswerReader *reader, const GraphTargetColumn *column,
		   bool returned)
{
	const GraphResourceInfo *resource = reader->target->resource;
	AnsweredColumn *answered = &reader->columns[reader->ncolumns++];
	List	   *properties = graph_type_properties(resource->record);
	int			room = list_length(column->roots) + list_length(properties);
	ListCell   *cell;
	ListCell   *property;

	answered->column = column;
	answered->returned = returned;
	answered->slots = palloc(room * sizeof(int));
	answered->is_collection = palloc(room * sizeof(bool));
	foreach(cell, column->roots)
	{
		if (strcmp(lfirst(cell), ".") != 0)
		{
			add_root(reader, answered, lfirst(cell));
			continue;
		}
		foreach(property, properties)
		{
			const char *name = ((GraphProperty *) lfirst(property))->name;

			if (is_collection_of_objects(reader->target, name))
				add_root(reader, answered, name);
		}
	}
}

/*
 * add_columns
 *		Note the columns whose values are taken from answers, and what makes them.
 */
static void
add_columns(GraphAnswerReader *reader, Relation relation, List *returned,
			bool all)
{
	const GraphTarget *target = reader->target;
	bool		all_returned = list_member_int(returned, 0);
	List	   *attnums = NIL;

	reader->columns = palloc0(Max(target->ncolumns, 1) * sizeof(AnsweredColumn));
	for (int i = 0; i < target->ncolumns; i++)
	{
		const GraphTargetColumn *column = &target->columns[i];
		bool		is_returned = all_returned ||
			list_member_int(returned, column->attnum);

		if (column->is_generated || column->roots == NIL ||
			!(all || is_returned))
			continue;
		add_column(reader, column, is_returned);
		attnums = lappend_int(attnums, column->attnum);
	}
	if (attnums == NIL)
		return;
	reader->rows = graph_row_reader_create(relation, attnums, &target->options,
										   reader->projection);
	reader->values = palloc0(reader->tupdesc->natts * sizeof(Datum));
	reader->isnull = palloc0(reader->tupdesc->natts * sizeof(bool));
}

/*
 * graph_answer_reader_create
 *		What reads the answers to writes of a table, in the current memory
 *		context.
 *
 * returned are the columns that have to be told, 0 for all of them; all: the
 * others are wanted as well, as far as the answer has them.
 */
GraphAnswerReader *
graph_answer_reader_create(const GraphTarget *target, Relation relation,
						   List *returned, bool all)
{
	const GraphResourceInfo *resource = target->resource;
	GraphAnswerReader *reader = palloc0(sizeof(GraphAnswerReader));

	reader->target = target;
	reader->tupdesc = RelationGetDescr(relation);
	reader->projection = graph_projection_create();
	reader->jsonb = graph_jsonb_builder_create();
	if (resource->rows_member)
	{
		reader->rows_slot = graph_projection_add(reader->projection,
												 resource->rows_member);
		reader->row_projection = graph_projection_create();
		reader->row_time = graph_projection_add(reader->row_projection,
												"createdDateTime");
	}
	reader->written = palloc(resource->nwritable * sizeof(int));
	for (int i = 0; i < resource->nwritable; i++)
		reader->written[i] =
			graph_projection_add(resource->rows_member ?
								 reader->row_projection : reader->projection,
								 resource->writable[i].name);
	add_columns(reader, relation, returned, all);
	reader->slots = palloc0(graph_projection_size(reader->projection) *
							sizeof(GraphSlice));
	if (resource->rows_member)
		reader->row_slots =
			palloc0(graph_projection_size(reader->row_projection) *
					sizeof(GraphSlice));
	return reader;
}

/*-------------------------------------------------------------------------
 * Was it taken?
 *-------------------------------------------------------------------------
 */

/*
 * without_type
 *		An object without the member by which the service tells its type.
 */
static Datum
without_type(Datum jsonb)
{
	if (!JB_ROOT_IS_OBJECT(DatumGetJsonbP(jsonb)))
		return jsonb;
	return DirectFunctionCall2(jsonb_delete, jsonb,
							   CStringGetTextDatum("@odata.type"));
}

/*
 * is_value
 *		Is a value in an answer the one that was sent?
 */
static bool
is_value(const GraphAnswerReader *reader, const GraphChange *change,
		 GraphSlice answered)
{
	const GraphQueryProperty *query =
		graph_query_property(reader->target->resource,
							 change->column->writable->name);
	const char *sent = change->json;

	if (graph_slice_is_null(answered))
		return strcmp(sent, "null") == 0 || strcmp(sent, "[]") == 0 ||
			strcmp(sent, "{}") == 0;
	if (sent[0] == '"' && graph_slice_is_string(answered))
	{
		char	   *utf8 = pg_server_to_any(sent, strlen(sent), PG_UTF8);
		char	   *first = graph_decode_string((GraphSlice) {utf8, strlen(utf8)});
		char	   *second = graph_decode_string(answered);

		return strcmp(first, second) == 0 ||
			(query && query->any_case && pg_strcasecmp(first, second) == 0);
	}
	return DatumGetBool(DirectFunctionCall2(jsonb_eq,
											without_type(DirectFunctionCall1(jsonb_in, CStringGetDatum(sent))),
											without_type(graph_jsonb_build(reader->jsonb, answered))));
}

/*
 * slot_of
 *		Where an answer has the property of a change.
 */
static GraphSlice
slot_of(const GraphAnswerReader *reader, const GraphChange *change)
{
	const GraphResourceInfo *resource = reader->target->resource;
	int			number = change->column->writable - resource->writable;

	return (resource->rows_member ? reader->row_slots : reader->slots)
		[reader->written[number]];
}

/*
 * check_taken
 *		Has the record what was sent?  False if the answer does not say; what was
 *		not taken is the *problem.
 */
static bool
check_taken(const GraphAnswerReader *reader, const GraphSent *sent,
			bool is_record, const char **problem)
{
	for (int i = 0; i < sent->nchanges; i++)
	{
		const GraphChange *change = &sent->changes[i];
		GraphSlice	answered = slot_of(reader, change);

		if (answered.data == NULL && !is_record)
			return false;
		if (!is_value(reader, change, answered))
		{
			*problem = psprintf("The service has not taken the value of property \"%s\": it is still another one.",
								change->column->writable->name);
			return false;
		}
	}
	return true;
}

/*
 * find_element
 *		Which element of an array of rows is the one that was sent?  Its number
 *		from 1, or 0.
 *
 * Of several the one that was made last.
 */
static int
find_element(const GraphAnswerReader *reader, const GraphSent *sent,
			 GraphSlice rows)
{
	size_t		position = 0;
	int			number = 0;
	int			found = 0;
	TimestampTz latest = DT_NOBEGIN;
	const char *problem;

	while (graph_json_next_element(rows, &position, reader->row_projection,
								   reader->row_slots, NULL))
	{
		TimestampTz time = DT_NOBEGIN;

		number++;
		if (!check_taken(reader, sent, true, &problem))
			continue;
		(void) graph_decode_time(reader->row_slots[reader->row_time], &time);
		if (found == 0 || time >= latest)
		{
			found = number;
			latest = time;
		}
	}
	return found;
}

/*-------------------------------------------------------------------------
 * The row
 *-------------------------------------------------------------------------
 */

/*
 * check_told
 *		Does the answer say all that has to be told?
 */
static bool
check_told(GraphAnswerReader *reader, bool is_record)
{
	const GraphResourceInfo *resource = reader->target->resource;
	bool		result = true;

	for (int i = 0; i < reader->ncolumns; i++)
	{
		AnsweredColumn *answered = &reader->columns[i];

		answered->is_told = true;
		for (int j = 0; j < answered->nroots && !is_record; j++)
		{
			GraphSlice	value = reader->slots[answered->slots[j]];

			if (value.data == NULL ||
				(answered->is_collection[j] && resource->rows_member == NULL &&
				 (graph_slice_is_null(value) ||
				  graph_json_skip_blanks(value.data + 1, value.len - 1) + 2 >= value.len)))
				answered->is_told = false;
		}
		result = result && (answered->is_told || !answered->returned);
	}
	return result;
}

/*
 * make_row
 *		Make the values of the row, the one with this number in the record.
 */
static void
make_row(GraphAnswerReader *reader, GraphRecord *record, int number)
{
	graph_row_start(reader->rows, record);
	for (int i = 0; i < number; i++)
		(void) graph_row_next(reader->rows, reader->values, reader->isnull);
	graph_row_stop(reader->rows);
}

/*
 * key_json
 *		An id as a JSON string, in UTF-8.
 */
static GraphSlice
key_json(const char *key)
{
	StringInfoData json;
	char	   *utf8;

	initStringInfo(&json);
	escape_json(&json, key);
	utf8 = pg_server_to_any(json.data, json.len, PG_UTF8);
	return (GraphSlice) {utf8, strlen(utf8)};
}

/*
 * as_record
 *		The record, or as much of it as there is, that an answer holds.
 *
 * All comments of a record are as good as a record that has nothing else.
 */
static GraphSlice
as_record(const GraphAnswerReader *reader, const GraphWrite *write,
		  const GraphSent *sent)
{
	const char *rows_member = reader->target->resource->rows_member;
	char	   *copy = pnstrdup(write->answer.data ? write->answer.data : "",
								write->answer.len);
	GraphSlice	document;
	GraphProjection *projection;
	GraphSlice	value;
	GraphJsonError error;
	StringInfoData record;
	size_t		end;

	document = graph_json_drop_context(copy, write->answer.len);
	if (rows_member == NULL || write->was_read)
		return document;
	projection = graph_projection_create();
	(void) graph_projection_add(projection, "value");
	if (graph_json_locate(document.data, document.len, projection, &value, &end,
						  &error) != GRAPH_JSON_OK ||
		value.data == NULL || value.data[0] != '[')
		return (GraphSlice) {NULL, 0};
	initStringInfo(&record);
	appendStringInfo(&record, "{\"%s\":%s,\"%s\":",
					 reader->target->resource->key,
					 key_json(sent->key).data, rows_member);
	appendBinaryStringInfo(&record, value.data, value.len);
	appendStringInfoChar(&record, '}');
	return (GraphSlice) {record.data, record.len};
}

/*
 * graph_answer_read
 *		Look at an answer; false if the record has to be read, because it does
 *		not say all that has to be told.
 *
 * If it is not as it must be, *problem is a sentence that says so.  What is
 * allocated in the current memory context may go when graph_answer_row() was
 * called.
 */
bool
graph_answer_read(GraphAnswerReader *reader, const GraphWrite *write,
				  const GraphSent *sent, const char **problem)
{
	bool		has_rows = reader->target->resource->rows_member != NULL;
	GraphRecord record = {0};
	GraphJsonError error;
	size_t		end;
	int			number = 1;

	record.whole = as_record(reader, write, sent);
	if (record.whole.len == 0 ||
		record.whole.data[graph_json_skip_blanks(record.whole.data,
												 record.whole.len)] != '{' ||
		graph_json_locate(record.whole.data, record.whole.len,
						  reader->projection, reader->slots, &end,
						  &error) != GRAPH_JSON_OK)
	{
		if (write->was_read)
			*problem = "The answer to reading it again is not JSON.";
		return false;
	}
	if (has_rows)
	{
		number = find_element(reader, sent, reader->slots[reader->rows_slot]);
		if (number == 0 && write->was_read)
			*problem = psprintf("The service has not taken it: it is not among the %s.",
								reader->target->resource->rows_member);
		if (number == 0)
			return false;
	}
	else if (!check_taken(reader, sent, write->was_read, problem))
		return false;
	if (sent->row == NULL || reader->rows == NULL)
		return true;
	if (!check_told(reader, write->was_read))
		return false;
	record.slots = reader->slots;
	record.id = key_json(sent->key);
	make_row(reader, &record, number);
	return true;
}

/*
 * graph_answer_row
 *		The row of the answer that was read last, in the current memory context:
 *		what it says, and the rest as the statement has it.
 */
HeapTuple
graph_answer_row(GraphAnswerReader *reader, const GraphSent *sent)
{
	TupleDesc	tupdesc = reader->tupdesc;
	Datum	   *values;
	bool	   *isnull;
	HeapTuple	result;

	if (reader->rows == NULL)
		return heap_copytuple(sent->row);
	values = palloc(tupdesc->natts * sizeof(Datum));
	isnull = palloc(tupdesc->natts * sizeof(bool));
	heap_deform_tuple(sent->row, tupdesc, values, isnull);
	for (int i = 0; i < reader->ncolumns; i++)
	{
		int			index = reader->columns[i].column->attnum - 1;

		if (!reader->columns[i].is_told)
			continue;
		values[index] = reader->values[index];
		isnull[index] = reader->isnull[index];
	}
	result = heap_form_tuple(tupdesc, values, isnull);
	result->t_tableOid = reader->target->relid;
	pfree(values);
	pfree(isnull);
	return result;
}
