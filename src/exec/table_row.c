/*-------------------------------------------------------------------------
 *
 * table_row.c
 *		What is the next row of one table?
 *
 * Rows are given as the scan's records come, or in the order that the plan
 * relies on (in_order.c).
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
#include "utils/rel.h"

#include "exec/graph_exec.h"

struct GraphTableRows
{
	GraphRowReader *reader;
	bool		in_turns;		/* below an Append that reads several tables */
	bool		waits;			/* the next row has not come yet */
	GraphAtHand *hand;			/* where other scans see the record */
	GraphRecord record;			/* whose rows are given */
	GraphInOrder *in_order;		/* NULL: as they come */
};

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
 * fill_row
 *		GraphFillRow: the next row as the records come.
 */
static bool
fill_row(void *rows, GraphScan *scan, TupleTableSlot *slot)
{
	GraphTableRows *table = rows;

	while (!graph_row_next(table->reader, slot->tts_values, slot->tts_isnull))
	{
		stop_record(table);		/* its bytes go with the next call */
		if (!graph_scan_take(scan, table->in_turns, &table->record, &table->waits))
			return false;
		start_record(table);
	}
	ExecStoreVirtualTuple(slot);
	return true;
}

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

	table->reader = graph_row_reader_create(node->ss.ss_currentRelation,
											graph_plan_list(plan, GRAPH_PLAN_COLUMNS),
											options, projection);
	table->in_turns = node->ss.ps.async_capable;
	table->hand = hand;
	table->in_order = graph_in_order_create(node, fill_row, table);
	return table;
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
	Assert(!(table->in_order && table->in_turns));
	if (table->in_order)
		graph_in_order_next(table->in_order, scan, request, slot);
	else
		(void) fill_row(table, scan, slot);
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
	if (table->in_order)
		graph_in_order_stop(table->in_order);
	table->waits = false;
}
