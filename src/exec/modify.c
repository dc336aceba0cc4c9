/*-------------------------------------------------------------------------
 *
 * modify.c
 *		Which request changes a row?
 *
 * The values of the columns that can be written are compared, as the JSON that
 * they are, before and after: a PATCH has those that differ, and if there are
 * none, no request is made.  A new row is a POST.  Everything that can be wrong
 * is looked for first; then the row is handed to the writer, which sends
 * several at once, and its answer is looked at when it comes.
 *
 * A record that a statement comes to twice (rows of a join) is changed once, by
 * the row that came first, as PostgreSQL does it with its own tables.
 *
 * All belongs to a memory context of its own, and so does the writer, which
 * tells what was done should an error come in between.
 *
 * What this file refuses to know: plans, how rows are found, what an answer
 * says (modify_answer.c).
 *
 * IDENTIFICATION
 *		src/exec/modify.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "exec/modify_int.h"

struct GraphModify
{
	MemoryContext context;		/* of all this */
	MemoryContext row_context;	/* of the row at hand */
	ResultRelInfo *rri;
	GraphTarget *target;
	GraphChecks *checks;
	GraphAnswerReader *reader;
	GraphWriter *writer;
	HTAB	   *seen;			/* ids of records that were come to */
	const char *key;			/* of the row at hand, for messages */
};

/*
 * graph_modify_create
 *		What it takes to write the rows of a table by a session, in a memory
 *		context of its own below the query's.
 *
 * returned are the attribute numbers that RETURNING reads, 0 for all of them;
 * all: whoever looks at the row takes what the answer has.
 */
GraphModify *
graph_modify_create(ResultRelInfo *rri, EState *estate, GraphSession *session,
					List *returned, bool all)
{
	MemoryContext context = AllocSetContextCreate(estate->es_query_cxt,
												  "graph_fdw modify",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	GraphModify *modify = palloc0(sizeof(GraphModify));
	Relation	relation = rri->ri_RelationDesc;
	Oid			userid = graph_result_user(rri, estate);

	modify->context = context;
	modify->row_context = AllocSetContextCreate(context, "graph_fdw modified row",
												ALLOCSET_DEFAULT_SIZES);
	modify->rri = rri;
	modify->target = graph_target_open(relation);
	modify->checks = graph_checks_create(rri, estate, modify->target);
	modify->reader = graph_answer_reader_create(modify->target, relation,
												returned, all);
	if (session == NULL)
		session = graph_session_open(RelationGetRelid(relation),
									 OidIsValid(userid) ? userid : GetUserId());
	modify->writer = graph_writer_create(session);
	modify->seen = graph_string_set_create("graph_fdw records that were modified",
										   context);
	MemoryContextSwitchTo(old);
	return modify;
}

/*
 * row_context_callback
 *		Error context callback: which record is being written.
 */
static void
row_context_callback(void *arg)
{
	const GraphModify *modify = arg;

	if (modify->key)
		errcontext("writing to foreign table \"%s\", %s \"%s\"",
				   modify->target->name, modify->target->resource->record,
				   modify->key);
}

/*
 * attribute_member
 *		A column in a set as pull_varattnos() has them.
 */
static int
attribute_member(const GraphTargetColumn *column)
{
	return column->attnum - FirstLowInvalidHeapAttributeNumber;
}

/*
 * key_of
 *		The id that a row has in the columns that read it; NULL: none, or not the
 *		same one in all of them.
 */
static char *
key_of(const GraphModify *modify, TupleTableSlot *slot)
{
	const GraphTarget *target = modify->target;
	char	   *key = NULL;

	for (int i = 0; i < target->ncolumns; i++)
	{
		const GraphTargetColumn *column = &target->columns[i];
		bool		isnull;
		Datum		value;
		char	   *text;

		if (!column->is_key)
			continue;
		value = slot_getattr(slot, column->attnum, &isnull);
		if (isnull)
			continue;
		text = graph_value_text(column->type, value);
		if (key && strcmp(key, text) != 0)
			return NULL;
		key = text;
	}
	return key;
}

/*
 * add_change
 *		Note that a property is to have a value.  Of two columns that read it
 *		both must say the same.
 */
static void
add_change(const GraphModify *modify, GraphSent *sent,
		   const GraphTargetColumn *column, char *json)
{
	for (int i = 0; i < sent->nchanges; i++)
	{
		const GraphTargetColumn *other = sent->changes[i].column;

		if (other->writable != column->writable)
			continue;
		if (graph_is_same_json(sent->changes[i].json, json))
			return;
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("columns \"%s\" and \"%s\" of foreign table \"%s\" are set to different values",
						other->name, column->name, modify->target->name),
				 errdetail("Both read the property \"%s\".",
						   column->writable->name)));
	}
	sent->changes[sent->nchanges].column = column;
	sent->changes[sent->nchanges].json = json;
	sent->nchanges++;
}

/*
 * has_changed
 *		Is the value of a column that cannot be written another one?  Only a
 *		trigger can do that.
 */
static bool
has_changed(const GraphTargetColumn *column, TupleTableSlot *old,
			TupleTableSlot *new)
{
	bool		old_isnull;
	bool		new_isnull;
	Datum		old_value = slot_getattr(old, column->attnum, &old_isnull);
	Datum		new_value = slot_getattr(new, column->attnum, &new_isnull);
	int16		width;
	bool		by_value;

	if (old_isnull || new_isnull)
		return old_isnull != new_isnull;
	get_typlenbyval(column->type, &width, &by_value);
	return !datum_image_eq(old_value, new_value, by_value, width);
}

/*
 * find_changes
 *		Which properties does a row have other values for?  The columns go into
 *		*changed.
 */
static void
find_changes(GraphModify *modify, TupleTableSlot *old, TupleTableSlot *new,
			 GraphSent *sent, Bitmapset **changed)
{
	const GraphTarget *target = modify->target;
	const TriggerDesc *triggers = modify->rri->ri_TrigDesc;
	bool		any = triggers && triggers->trig_update_before_row;

	for (int i = 0; i < target->ncolumns; i++)
	{
		const GraphTargetColumn *column = &target->columns[i];
		bool		isnull;
		Datum		value;
		char	   *before;
		char	   *after;

		if (column->is_generated)
			continue;
		if (column->writable == NULL)
		{
			if (any && has_changed(column, old, new))
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("column \"%s\" of foreign table \"%s\" cannot be set",
								column->name, target->name),
						 errdetail("A trigger has given it another value."),
						 errhint("Columns that can be set are: %s.",
								 graph_target_columns(target))));
			continue;
		}
		value = slot_getattr(old, column->attnum, &isnull);
		before = graph_value_json(target, column, value, isnull);
		value = slot_getattr(new, column->attnum, &isnull);
		after = graph_value_json(target, column, value, isnull);
		if (graph_is_same_json(before, after))
			continue;
		graph_check_json(target, column, after);
		add_change(modify, sent, column, after);
		*changed = bms_add_member(*changed, attribute_member(column));
	}
}

/*
 * all_columns
 *		All columns of the table, as pull_varattnos() has them.
 */
static Bitmapset *
all_columns(const GraphTarget *target)
{
	Bitmapset  *result = NULL;

	for (int i = 0; i < target->ncolumns; i++)
		result = bms_add_member(result, attribute_member(&target->columns[i]));
	return result;
}

/*
 * copy_sent
 *		A copy of what is sent that stays until the answer was looked at.
 */
static GraphSent *
copy_sent(GraphModify *modify, const GraphSent *sent, TupleTableSlot *row)
{
	MemoryContext old = MemoryContextSwitchTo(modify->context);
	GraphSent  *copy = palloc(sizeof(GraphSent));

	copy->key = pstrdup(sent->key);
	copy->nchanges = sent->nchanges;
	copy->changes = palloc(sent->nchanges * sizeof(GraphChange));
	for (int i = 0; i < sent->nchanges; i++)
	{
		copy->changes[i].column = sent->changes[i].column;
		copy->changes[i].json = pstrdup(sent->changes[i].json);
	}
	copy->row = row ? ExecCopySlotHeapTuple(row) : NULL;
	MemoryContextSwitchTo(old);
	return copy;
}

/*
 * free_sent
 *		Forget what was sent.
 */
static void
free_sent(GraphSent *sent)
{
	for (int i = 0; i < sent->nchanges; i++)
		pfree(sent->changes[i].json);
	pfree(sent->changes);
	pfree(sent->key);
	pfree(sent);
}

/*
 * add_write
 *		Hand a write to the writer.
 */
static void
add_write(GraphModify *modify, const GraphSent *sent, TupleTableSlot *row)
{
	const GraphTarget *target = modify->target;
	GraphWrite	write = {0};

	write.method = target->resource->rows_member ?
		GRAPH_METHOD_POST : GRAPH_METHOD_PATCH;
	write.path = graph_write_path(target, sent->key);
	if (write.path == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("no %s can have the id \"%s\"",
						target->resource->record, sent->key)));
	write.body = graph_write_body(target, sent->changes, sent->nchanges);
	write.id = sent->key;
	write.caller = copy_sent(modify, sent, row);
	graph_writer_add(modify->writer, &write);
}

/*
 * mark_seen
 *		Note that the statement has come to a record; false if it was here
 *		before.
 */
static bool
mark_seen(GraphModify *modify, const char *key)
{
	bool		found;
	char	   *copy;

	if (hash_search(modify->seen, &key, HASH_FIND, NULL))
		return false;
	copy = MemoryContextStrdup(modify->context, key);
	(void) hash_search(modify->seen, &copy, HASH_ENTER, &found);
	return true;
}

/*
 * change_row
 *		Send what differs between two versions of a row.
 */
static GraphModifyResult
change_row(GraphModify *modify, TupleTableSlot *old, TupleTableSlot *new,
		   bool keep_row)
{
	const GraphTarget *target = modify->target;
	GraphSent	sent = {0};
	Bitmapset  *changed = NULL;

	sent.key = key_of(modify, old);
	if (sent.key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("row of foreign table \"%s\" has no id in column \"%s\"",
						target->name, target->key->name)));
	modify->key = sent.key;
	if (!mark_seen(modify, sent.key))
		return GRAPH_MODIFY_AGAIN;
	sent.changes = palloc(target->ncolumns * sizeof(GraphChange));
	find_changes(modify, old, new, &sent, &changed);
	if (sent.nchanges == 0)
		return GRAPH_MODIFY_SAME;
	graph_checks_run(modify->checks, new, all_columns(target), changed);
	modify->key = NULL;
	add_write(modify, &sent, keep_row ? new : NULL);
	return GRAPH_MODIFY_SENT;
}

/* What is done with a row, as one errand of the writer. */
typedef struct RowErrand
{
	GraphModify *modify;
	TupleTableSlot *old;		/* NULL: it is a new one */
	TupleTableSlot *new;
	bool		keep_row;
	GraphModifyResult result;
} RowErrand;

/*
 * change_guarded
 *		The part of graph_modify_update() whose errors say what was done.
 */
static void
change_guarded(void *arg)
{
	RowErrand  *errand = arg;

	errand->result = change_row(errand->modify, errand->old, errand->new,
								errand->keep_row);
}

/*
 * run_for_row
 *		Do something with a row; what it allocates is for this row.
 */
static GraphModifyResult
run_for_row(RowErrand *errand, void (*function) (void *arg))
{
	GraphModify *modify = errand->modify;
	ErrorContextCallback callback = {error_context_stack, row_context_callback, modify};
	MemoryContext before = MemoryContextSwitchTo(modify->row_context);

	error_context_stack = &callback;
	modify->key = NULL;
	graph_writer_run(modify->writer, function, errand);
	modify->key = NULL;
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(before);
	MemoryContextReset(modify->row_context);
	return errand->result;
}

/*
 * graph_modify_update
 *		Change a record: what a row was, and what it is to be.
 *
 * The answer is had by graph_modify_take(), with the row if it is kept.
 */
GraphModifyResult
graph_modify_update(GraphModify *modify, TupleTableSlot *old,
					TupleTableSlot *new, bool keep_row)
{
	RowErrand	errand = {modify, old, new, keep_row, GRAPH_MODIFY_SENT};

	return run_for_row(&errand, change_guarded);
}

/*
 * find_given
 *		What is a new row made of?  The columns go into *given.
 *
 * What only the service can know must not be given: a trigger or COPY might.
 */
static void
find_given(GraphModify *modify, TupleTableSlot *slot, GraphSent *sent,
		   Bitmapset **given)
{
	const GraphTarget *target = modify->target;

	for (int i = 0; i < target->ncolumns; i++)
	{
		const GraphTargetColumn *column = &target->columns[i];
		bool		isnull;
		Datum		value = slot_getattr(slot, column->attnum, &isnull);
		char	   *json;

		if (column->is_generated || isnull)
			continue;
		if (column->writable)
		{
			json = graph_value_json(target, column, value, isnull);
			graph_check_json(target, column, json);
			add_change(modify, sent, column, json);
		}
		else if (!column->is_key && !column->is_routing)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" of foreign table \"%s\" cannot be given a value",
							column->name, target->name),
					 errhint("Columns that can be given one are: %s.",
							 graph_target_columns(target))));
		*given = bms_add_member(*given, attribute_member(column));
	}
	if (sent->nchanges < target->resource->nwritable)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("a new row of foreign table \"%s\" needs a value for each of: %s",
						target->name, graph_target_columns(target))));
}

/*
 * add_row
 *		The part of graph_modify_insert() whose errors say what was done.
 */
static void
add_row(void *arg)
{
	RowErrand  *errand = arg;
	GraphModify *modify = errand->modify;
	const GraphTarget *target = modify->target;
	GraphSent	sent = {0};
	Bitmapset  *given = NULL;

	modify->key = sent.key = key_of(modify, errand->new);
	if (sent.key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("column \"%s\" of a new row of foreign table \"%s\" must hold the id of the %s that the row is for",
						target->key->name, target->name,
						target->resource->record)));
	sent.changes = palloc(target->ncolumns * sizeof(GraphChange));
	find_given(modify, errand->new, &sent, &given);
	graph_checks_run(modify->checks, errand->new, given, given);
	modify->key = NULL;
	add_write(modify, &sent, errand->keep_row ? errand->new : NULL);
}

/*
 * graph_modify_insert
 *		Add a row to a record.
 *
 * The answer is had by graph_modify_take(), with the row if it is kept.
 */
void
graph_modify_insert(GraphModify *modify, TupleTableSlot *slot, bool keep_row)
{
	RowErrand	errand = {modify, NULL, slot, keep_row, GRAPH_MODIFY_SENT};

	(void) run_for_row(&errand, add_row);
}

/*
 * graph_modify_run
 *		Do something else of the statement; its errors say what was done.
 */
void
graph_modify_run(GraphModify *modify, void (*function) (void *arg), void *arg)
{
	graph_writer_run(modify->writer, function, arg);
}

/* Looking at an answer, as one errand of the writer. */
typedef struct TakeErrand
{
	GraphModify *modify;
	bool		wait;
	MemoryContext context;		/* of the row */
	HeapTuple	row;
	bool		is_done;
} TakeErrand;

/*
 * take_one
 *		Look at an answer: true if it is done with.  The current memory context
 *		may be reset afterwards, *row is in another.
 */
static bool
take_one(GraphModify *modify, const GraphWrite *write, MemoryContext context,
		 HeapTuple *row)
{
	GraphSent  *sent = write->caller;
	const char *entity_set = modify->target->resource->entity_set;
	const char *problem = NULL;
	bool		is_told = graph_answer_read(modify->reader, write, sent,
											&problem);

	if (problem)
		graph_writer_report(modify->writer, write, problem);
	if (!is_told)
	{
		graph_writer_read(modify->writer, write,
						  graph_key_path(entity_set, sent->key));
		return false;
	}
	if (sent->row)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		*row = graph_answer_row(modify->reader, sent);
		MemoryContextSwitchTo(old);
		heap_freetuple(sent->row);
	}
	graph_writer_release(modify->writer, write);
	free_sent(sent);
	return true;
}

/*
 * take
 *		The part of graph_modify_take() whose errors say what was done.
 */
static void
take(void *arg)
{
	TakeErrand *errand = arg;
	GraphModify *modify = errand->modify;
	const GraphWrite *write;

	while (!errand->is_done &&
		   (write = graph_writer_next(modify->writer, errand->wait)) != NULL)
	{
		errand->is_done = take_one(modify, write, errand->context,
								   &errand->row);
		MemoryContextReset(modify->row_context);
	}
}

/*
 * graph_modify_take
 *		Look at the next answer; false: none has come, or (wait) there is none
 *		to come.
 *
 * *row is the row as the service has it now, in the current memory context, if
 * it was kept; else NULL.  What was not taken is an error.  What the answer does
 * not say is asked for, and comes later.
 */
bool
graph_modify_take(GraphModify *modify, bool wait, HeapTuple *row)
{
	TakeErrand	errand = {modify, wait, CurrentMemoryContext, NULL, false};

	MemoryContextSwitchTo(modify->row_context);
	graph_writer_run(modify->writer, take, &errand);
	MemoryContextSwitchTo(errand.context);
	*row = errand.row;
	return errand.is_done;
}

/*
 * graph_modify_counters
 *		What was done, when all answers have been looked at; *request_ids are
 *		those of the first and last requests (char *).
 */
const GraphWriteCounters *
graph_modify_counters(GraphModify *modify, List **request_ids)
{
	HeapTuple	row;

	while (graph_modify_take(modify, true, &row))
	{
		if (row)
			heap_freetuple(row);
	}
	*request_ids = graph_writer_request_ids(modify->writer);
	return graph_writer_counters(modify->writer);
}

/*
 * graph_modify_end
 *		Look at the answers that are still to come, and forget everything.
 */
void
graph_modify_end(GraphModify *modify)
{
	List	   *request_ids;

	(void) graph_modify_counters(modify, &request_ids);
	graph_writer_finish(modify->writer);
	MemoryContextDelete(modify->context);
}
