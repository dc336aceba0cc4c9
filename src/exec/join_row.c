/*-------------------------------------------------------------------------
 *
 * join_row.c
 *		What is the next row of tables that are read as one stream?
 *
 * Each alert is read once; its rows are the product of what the tables find in
 * it.  src/plan/join_plan.c says which tables can be read so.  A record is used
 * until its last row was given, and the scan keeps its bytes so long.
 *
 * A table's rows are found once for each alert.  Those that pass the table's
 * own clauses are kept, if a table before it may have several rows and they
 * will be wanted again: in a tuplestore, which has work_mem and then a file.
 * The clauses between tables are checked as soon as the rows that they are
 * about are there, and an alert without a row of a table that must have one is
 * left at once.
 *
 * What this file refuses to know: requests, JSON, which alert comes next.
 *
 * IDENTIFICATION
 *		src/exec/join_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "exec/graph_exec.h"

/* One table of a joined scan, while it runs. */
typedef struct RowMember
{
	GraphRowReader *reader;
	JoinType	jointype;		/* to the tables before it */
	ExprState  *quals[GRAPH_QUALS_KINDS];	/* NULL: none */
	int			natts;			/* its columns in the row ... */
	int		   *indexes;		/* ... and where they are */
	MemoryContext context;		/* of the values of the row that was read last */
	List	   *attnums;		/* where whole rows are wanted: what goes
								 * there */
	TupleDesc	desc;			/* of the whole row; NULL: not wanted */
	Datum	   *values;			/* its columns */
	bool	   *isnull;
	bool		matched;		/* there was a match, or a row of NULLs was
								 * given instead */

	/* its rows in the alert at hand, where they are wanted more than once */
	TupleTableSlot *stored;		/* NULL: they are not kept */
	Tuplestorestate *store;
	int64		nstored;		/* -1: not found yet */
} RowMember;

struct GraphJoinRows
{
	MemoryContext context;		/* holds all of this */
	int			nmembers;
	RowMember  *members;
	int			level;			/* the member whose row is wanted next; -1: no
								 * alert is at hand */
	GraphRecord record;
	GraphAtHand *hand;			/* where other scans see the record */
	ExprContext *econtext;		/* of the clauses */
	TupleTableSlot *row;		/* the combined row, as far as it is made */
	GraphInOrder *in_order;		/* NULL: rows are given as alerts come */
};

/*
 * init_quals
 *		Prepare a member's clauses.
 */
static void
init_quals(RowMember *member, List *private, ForeignScanState *node)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;

	/* what a function registers may be looked at after our end */
	MemoryContext old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);

	for (int i = 0; i < GRAPH_QUALS_KINDS; i++)
		member->quals[i] = ExecInitQual(graph_member_quals(plan, private, i),
										&node->ss.ps);
	MemoryContextSwitchTo(old);
}

/*
 * init_store
 *		Prepare to keep a member's rows.
 */
static void
init_store(GraphJoinRows *join, RowMember *member, EState *estate)
{
	TupleDesc	row = join->row->tts_tupleDescriptor;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	TupleDesc	own = CreateTemplateTupleDesc(member->natts);

	for (int i = 0; i < member->natts; i++)
		TupleDescCopyEntry(own, i + 1, row, member->indexes[i] + 1);
	TupleDescFinalize(own);
	member->stored = ExecInitExtraTupleSlot(estate, own, &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(old);
}

/*
 * init_whole_row
 *		Prepare to read all columns of a table, whose row is wanted as a value.
 */
static void
init_whole_row(RowMember *member, Relation relation,
			   const GraphOptions *options, GraphProjection *projection)
{
	member->reader = graph_row_reader_create(relation, list_make1_int(0),
											 options, projection);
	member->desc = RelationGetDescr(relation);
	member->values = palloc0(Max(member->desc->natts, 1) * sizeof(Datum));
	member->isnull = palloc0(Max(member->desc->natts, 1) * sizeof(bool));
}

/*
 * begin_member
 *		Resolve one table of a joined scan; true if it may have several rows.
 */
static bool
begin_member(GraphJoinRows *join, RowMember *member, List *private,
			 ForeignScanState *node, GraphProjection *projection)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Index		rti = graph_join_member(plan, private, &member->jointype);
	Relation	relation = graph_range_table_relation(node->ss.ps.state, rti);
	ForeignTable *table = GetForeignTable(RelationGetRelid(relation));
	List	   *indexes = list_nth(private, GRAPH_MEMBER_INDEXES);
	GraphOptions options;

	graph_get_options(table, GetForeignServer(table->serverid), NULL, &options);
	member->attnums = list_nth(private, GRAPH_MEMBER_COLUMNS);
	if (list_member_int(member->attnums, 0))
		init_whole_row(member, relation, &options, projection);
	else
		member->reader =
			graph_row_reader_create_joined(relation, member->attnums, indexes,
										   join->row->tts_tupleDescriptor->natts,
										   &options, projection);
	member->context = AllocSetContextCreate(CurrentMemoryContext,
											"graph_fdw joined row",
											ALLOCSET_SMALL_SIZES);
	member->natts = list_length(indexes);
	member->indexes = palloc(Max(member->natts, 1) * sizeof(int));
	for (int i = 0; i < member->natts; i++)
		member->indexes[i] = list_nth_int(indexes, i);
	init_quals(member, private, node);
	return graph_resource_info(options.resource)->rows_member != NULL;
}

/*
 * start_member
 *		Let a member begin, with other rows of those before it or with another
 *		alert.
 */
static void
start_member(GraphJoinRows *join, int level)
{
	RowMember  *member = &join->members[level];

	if (member->nstored < 0)
		graph_row_start(member->reader, &join->record);
	else
		tuplestore_rescan(member->store);
	member->matched = false;
	join->level = level;
}

/*
 * leave_alert
 *		Forget the alert at hand, and what was kept of it.
 */
static void
leave_alert(GraphJoinRows *join)
{
	graph_at_hand_show(join->hand, NULL);
	for (int i = 0; i < join->nmembers; i++)
	{
		RowMember  *member = &join->members[i];

		graph_row_stop(member->reader);
		if (member->nstored < 0)
			continue;
		ExecClearTuple(member->stored);
		tuplestore_clear(member->store);
		member->nstored = -1;
	}
	join->level = -1;
}

/*
 * graph_join_stop
 *		Forget the alert: its bytes are gone.  What was kept is given up.
 */
void
graph_join_stop(GraphJoinRows *join)
{
	leave_alert(join);
	if (join->in_order)
		graph_in_order_stop(join->in_order);
	for (int i = 0; i < join->nmembers; i++)
	{
		RowMember  *member = &join->members[i];

		if (member->store)
			tuplestore_end(member->store);
		member->store = NULL;
	}
}

/*
 * passes
 *		Does the combined row, as far as it is made, pass these clauses?  They
 *		may raise an error.
 */
static bool
passes(GraphJoinRows *join, ExprState *quals)
{
	if (quals == NULL)
		return true;
	ResetExprContext(join->econtext);
	join->econtext->ecxt_scantuple = join->row;
	return ExecQual(quals, join->econtext);
}

/*
 * read_whole_row
 *		Put a member's next row in the alert, as a value, and its columns into
 *		the combined row; false if there is none.
 */
static bool
read_whole_row(GraphJoinRows *join, RowMember *member)
{
	HeapTuple	tuple;
	Datum		whole;

	if (!graph_row_next(member->reader, member->values, member->isnull))
		return false;
	tuple = heap_form_tuple(member->desc, member->values, member->isnull);
	whole = heap_copy_tuple_as_datum(tuple, member->desc);
	for (int i = 0; i < member->natts; i++)
	{
		int			attnum = list_nth_int(member->attnums, i);
		int			index = member->indexes[i];

		join->row->tts_values[index] =
			attnum == 0 ? whole : member->values[attnum - 1];
		join->row->tts_isnull[index] = attnum != 0 && member->isnull[attnum - 1];
	}
	return true;
}

/*
 * read_row
 *		The member's next row in the alert that passes its own clauses; false if
 *		there is none.
 */
static bool
read_row(GraphJoinRows *join, RowMember *member)
{
	MemoryContext old;
	bool		found;

	do
	{
		MemoryContextReset(member->context);
		old = MemoryContextSwitchTo(member->context);
		if (member->desc)
			found = read_whole_row(join, member);
		else
			found = graph_row_next(member->reader, join->row->tts_values,
								   join->row->tts_isnull);
		MemoryContextSwitchTo(old);
	} while (found && !passes(join, member->quals[GRAPH_QUALS_OWN]));
	return found;
}

/*
 * asks_for_one
 *		Does it only matter whether there is a row, whichever it is?
 */
static bool
asks_for_one(const RowMember *member)
{
	return (member->jointype == JOIN_SEMI || member->jointype == JOIN_ANTI) &&
		member->quals[GRAPH_QUALS_MATCH] == NULL;
}

/*
 * store_rows
 *		Keep the member's rows in this alert.
 */
static void
store_rows(GraphJoinRows *join, RowMember *member)
{
	TupleDesc	desc = member->stored->tts_tupleDescriptor;
	MemoryContext old = MemoryContextSwitchTo(join->context);
	Datum	   *values = palloc(Max(member->natts, 1) * sizeof(Datum));
	bool	   *isnull = palloc(Max(member->natts, 1) * sizeof(bool));
	int64		count = 0;

	if (member->store == NULL)
		member->store = tuplestore_begin_heap(false, false, work_mem);
	while (!(count > 0 && asks_for_one(member)) && read_row(join, member))
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < member->natts; i++)
		{
			values[i] = join->row->tts_values[member->indexes[i]];
			isnull[i] = join->row->tts_isnull[member->indexes[i]];
		}
		tuplestore_putvalues(member->store, desc, values, isnull);
		count++;
	}
	member->nstored = count;
	pfree(values);
	pfree(isnull);
	MemoryContextSwitchTo(old);
}

/*
 * next_stored
 *		The next of the rows that are kept; false if there is none.
 *
 * One that is read from a file is made in the current memory context, and freed
 * when the slot gets the next.
 */
static bool
next_stored(GraphJoinRows *join, RowMember *member)
{
	MemoryContext old = MemoryContextSwitchTo(join->context);
	bool		found = tuplestore_gettupleslot(member->store, true, false,
												member->stored);

	MemoryContextSwitchTo(old);
	return found;
}

/*
 * take_row
 *		Put the member's next row, read or kept, into the combined row; false if
 *		there is none.
 */
static bool
take_row(GraphJoinRows *join, RowMember *member)
{
	if (member->stored == NULL)
		return read_row(join, member);
	if (member->nstored < 0)
		store_rows(join, member);
	if (!next_stored(join, member))
		return false;
	slot_getallattrs(member->stored);
	for (int i = 0; i < member->natts; i++)
	{
		int			index = member->indexes[i];

		join->row->tts_values[index] = member->stored->tts_values[i];
		join->row->tts_isnull[index] = member->stored->tts_isnull[i];
	}
	return true;
}

/*
 * extend
 *		NULLs for a member without a match.
 */
static void
extend(GraphJoinRows *join, RowMember *member)
{
	for (int i = 0; i < member->natts; i++)
		join->row->tts_isnull[member->indexes[i]] = true;
	member->matched = true;
}

/*
 * next_of_member
 *		The member's next row for the rows of those before it; for the inner side
 *		of a left or anti join, a row of NULLs if it has no match.
 */
static bool
next_of_member(GraphJoinRows *join, RowMember *member)
{
	if (member->jointype == JOIN_SEMI && member->matched)
		return false;
	while (take_row(join, member))
	{
		CHECK_FOR_INTERRUPTS();
		if (!passes(join, member->quals[GRAPH_QUALS_MATCH]))
			continue;
		member->matched = true;
		if (member->jointype == JOIN_ANTI)
			return false;
		if (passes(join, member->quals[GRAPH_QUALS_FILTER]))
			return true;
		if (member->jointype == JOIN_SEMI)
			return false;
	}
	if (member->matched ||
		(member->jointype != JOIN_LEFT && member->jointype != JOIN_ANTI))
		return false;
	extend(join, member);
	return passes(join, member->quals[GRAPH_QUALS_FILTER]);
}

/*
 * ends_alert
 *		Has this member, which has no further row, none for other rows of those
 *		before it either?
 */
static bool
ends_alert(const RowMember *member)
{
	if (member->nstored < 0)
		return false;
	if (member->jointype == JOIN_ANTI)
		return member->nstored > 0 && asks_for_one(member);
	return member->nstored == 0 && member->jointype != JOIN_LEFT;
}

/*
 * next_of_alert
 *		Make the next combined row; false if the alert at hand, if any, has no
 *		more.
 */
static bool
next_of_alert(GraphJoinRows *join)
{
	while (join->level >= 0)
	{
		RowMember  *member = &join->members[join->level];

		if (!next_of_member(join, member))
			join->level = ends_alert(member) ? -1 : join->level - 1;
		else if (join->level == join->nmembers - 1)
			return true;
		else
			start_member(join, join->level + 1);
	}
	return false;
}

/*
 * start_record
 *		Give the rows of the record next.
 */
static void
start_record(GraphJoinRows *join)
{
	graph_at_hand_show(join->hand, &join->record);
	start_member(join, 0);
}

/*
 * graph_join_take
 *		Give the rows of a record that did not come from the scan, before those
 *		of the scan.  It stays as it is until graph_join_stop().
 */
void
graph_join_take(GraphJoinRows *join, const GraphRecord *record)
{
	join->record = *record;
	start_record(join);
}

/*
 * fill_row
 *		GraphFillRow: the next row as the alerts come.
 *
 * A slot's arrays may not be kept from row to row, so the row is copied.
 */
static bool
fill_row(void *rows, GraphScan *scan, TupleTableSlot *slot)
{
	GraphJoinRows *join = rows;
	int			natts = slot->tts_tupleDescriptor->natts;

	while (!next_of_alert(join))
	{
		leave_alert(join);		/* its bytes go with the next call */
		if (!graph_scan_next(scan, &join->record))
			return false;
		start_record(join);
	}
	memcpy(slot->tts_values, join->row->tts_values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, join->row->tts_isnull, natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	return true;
}

/*
 * graph_join_create
 *		What a joined scan needs to make its rows, in the current memory
 *		context; the projection gets what has to be located in each alert.
 */
GraphJoinRows *
graph_join_create(ForeignScanState *node, GraphProjection *projection,
				  GraphAtHand *hand)
{
	List	   *members = graph_plan_list((ForeignScan *) node->ss.ps.plan,
										  GRAPH_PLAN_MEMBERS);
	TupleDesc	row = node->ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	EState	   *estate = node->ss.ps.state;
	GraphJoinRows *join = palloc0(sizeof(GraphJoinRows));
	bool		several = false;
	ListCell   *cell;

	join->context = CurrentMemoryContext;
	join->members = palloc0(list_length(members) * sizeof(RowMember));
	join->level = -1;
	join->hand = hand;
	join->econtext = CreateExprContext(estate);
	MemoryContextSwitchTo(estate->es_query_cxt);
	join->row = ExecInitExtraTupleSlot(estate, row, &TTSOpsVirtual);
	MemoryContextSwitchTo(join->context);
	memset(join->row->tts_isnull, true, row->natts * sizeof(bool));
	ExecStoreVirtualTuple(join->row);
	foreach(cell, members)
	{
		RowMember  *member = &join->members[join->nmembers++];
		bool		has_several = begin_member(join, member, lfirst(cell), node,
											   projection);

		if (several)
			init_store(join, member, estate);
		member->nstored = -1;
		several = several || has_several;
	}
	join->in_order = graph_in_order_create(node, fill_row, join);
	return join;
}

/*
 * graph_join_next
 *		Put the next row into the slot, which is empty and stays so at the end.
 */
void
graph_join_next(GraphJoinRows *join, GraphScan *scan, GraphRequest *request,
				TupleTableSlot *slot)
{
	Assert(TTS_EMPTY(slot));
	if (join->in_order)
		graph_in_order_next(join->in_order, scan, request, slot);
	else
		(void) fill_row(join, scan, slot);
}
