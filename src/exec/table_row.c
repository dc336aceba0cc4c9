/*-------------------------------------------------------------------------
 *
 * table_row.c
 *		What is the next row of one table?
 *
 * Rows are given as the scan's records come.  If the plan relies on an order
 * that the service turns out not to keep, before a row was given, the list is
 * read whole and sorted here; the request is changed into one for that.
 *
 * What this file refuses to know: how a request is spelled, JSON, which alert
 * comes next.
 *
 * IDENTIFICATION
 *		src/exec/table_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "exec/graph_exec.h"

struct GraphTableRows
{
	GraphRowReader *reader;
	bool		in_turns;		/* below an Append that reads several tables */
	bool		waits;			/* the next row has not come yet */
	GraphAtHand *hand;			/* where other scans see the record */
	GraphRecord record;			/* whose rows are given */

	/* an order that the plan relies on, should the service not keep it */
	List	   *order;			/* GRAPH_PLAN_ORDER */
	MemoryContext context;		/* holds all of this */
	MemoryContext row_context;	/* of a row on its way into the sort */
	TupleTableSlot *sorted_slot;
	GraphSort  *sort;			/* NULL: the rows are in order as they come */
};

/*
 * graph_table_create
 *		What a scan of one table needs to make its rows, in the current memory
 *		context; the projection gets what has to be located in each alert.
 */
GraphTableRows *
graph_table_create(ForeignScanState *node, const GraphOptions *options,
				   GraphProjection *projection, GraphAtHand *hand)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	GraphTableRows *table = palloc0(sizeof(GraphTableRows));
	EState	   *estate = node->ss.ps.state;

	table->reader = graph_row_reader_create(node->ss.ss_currentRelation,
											graph_plan_list(plan, GRAPH_PLAN_COLUMNS),
											options, projection);
	table->in_turns = node->ss.ps.async_capable;
	table->hand = hand;
	table->order = graph_plan_list(plan, GRAPH_PLAN_ORDER);
	if (table->order == NIL)
		return table;

	table->context = CurrentMemoryContext;
	table->row_context = AllocSetContextCreate(CurrentMemoryContext,
											   "graph_fdw sorted row",
											   ALLOCSET_DEFAULT_SIZES);

	/* the slot is the executor's, which looks at it after our end */
	MemoryContextSwitchTo(estate->es_query_cxt);
	table->sorted_slot =
		ExecInitExtraTupleSlot(estate,
							   node->ss.ss_ScanTupleSlot->tts_tupleDescriptor,
							   &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(table->context);
	return table;
}

/*
 * start_record
 *		Give the rows of the record next.
 */
static void
start_record(GraphTableRows *table)
{
	graph_row_start(table->reader, &table->record);
	graph_at_hand_show(table->hand, &table->record);
}

/*
 * stop_record
 *		Forget the record: its bytes go.
 */
static void
stop_record(GraphTableRows *table)
{
	graph_at_hand_show(table->hand, NULL);
	graph_row_stop(table->reader);
}

/*
 * graph_table_take
 *		Give the rows of a record that did not come from the scan, before those
 *		of the scan.  It stays as it is until graph_table_stop().
 */
void
graph_table_take(GraphTableRows *table, const GraphRecord *record)
{
	table->record = *record;
	start_record(table);
}

/*
 * next_record
 *		The next record; false if there is none, or none yet.
 */
static bool
next_record(GraphTableRows *table, GraphScan *scan, GraphRecord *record)
{
	GraphScanStep step;

	if (!table->in_turns)
		return graph_scan_next(scan, record);
	step = graph_scan_poll(scan, record);
	table->waits = step == GRAPH_SCAN_WAITS;
	return step == GRAPH_SCAN_RECORD;
}

/*
 * fill_row
 *		Put the next row into the slot as the records come; false if there is
 *		none.
 */
static bool
fill_row(GraphTableRows *table, GraphScan *scan, TupleTableSlot *slot)
{
	while (!graph_row_next(table->reader, slot->tts_values, slot->tts_isnull))
	{
		stop_record(table);		/* its bytes go with the next call */
		if (!next_record(table, scan, &table->record))
			return false;
		start_record(table);
	}
	ExecStoreVirtualTuple(slot);
	return true;
}

/*
 * sort_rows
 *		The service does not sort: read all rows as they come, and sort them, but
 *		for those without a value if they were given already.
 */
static void
sort_rows(GraphTableRows *table, GraphScan *scan, GraphRequest *request,
		  TupleTableSlot *slot)
{
	AttrNumber	attnum = intVal(lfourth(table->order));
	bool		without_nulls = graph_scan_gave_nulls(scan);
	MemoryContext old = MemoryContextSwitchTo(table->context);

	table->sort = graph_sort_create(table->sorted_slot, attnum,
									boolVal(lsecond(table->order)),
									boolVal(lthird(table->order)));
	request->order_property = NULL;
	request->order_needed = request->limited = false;
	request->wanted = 0;
	request->no_nulls = false;	/* it was of the other time */
	request->first_page = request->page_size;
	graph_scan_start(scan, request);

	MemoryContextSwitchTo(table->row_context);
	while (fill_row(table, scan, slot))
	{
		if (!without_nulls || !slot->tts_isnull[attnum - 1])
			graph_sort_add(table->sort, slot);
		ExecClearTuple(slot);
		MemoryContextReset(table->row_context);
	}
	MemoryContextSwitchTo(old);
}

/*
 * graph_table_next
 *		Put the next row into the slot, which is empty and stays so at the end
 *		and while there is none yet.
 */
void
graph_table_next(GraphTableRows *table, GraphScan *scan, GraphRequest *request,
				 TupleTableSlot *slot)
{
	Assert(TTS_EMPTY(slot));
	if (table->sort == NULL)
	{
		if (fill_row(table, scan, slot) || !graph_scan_order_is_lost(scan))
			return;
		Assert(request && table->order && !table->in_turns);
		sort_rows(table, scan, request, slot);
	}
	graph_sort_next(table->sort, slot);
}

/*
 * graph_table_waits
 *		Did the last call find no row because none has come yet?
 */
bool
graph_table_waits(const GraphTableRows *table)
{
	return table->waits;
}

/*
 * graph_table_stop
 *		Forget the record at hand and the rows that were sorted.
 */
void
graph_table_stop(GraphTableRows *table)
{
	stop_record(table);
	if (table->sort)
		graph_sort_end(table->sort);
	table->sort = NULL;
	table->waits = false;
}
