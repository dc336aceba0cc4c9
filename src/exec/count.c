/*-------------------------------------------------------------------------
 *
 * count.c
 *		How many alerts match?
 *
 * The service's count, if it gives one that some alerts which come with it do
 * not contradict; else the alerts are read and counted here.  Either way each
 * alert that is seen is checked against the clauses, in case the service
 * ignores the filter.
 *
 * Where the alerts have to be read, the request for a count is changed into
 * one for the list.
 *
 * What this file refuses to know: how a request is spelled, JSON, when a count
 * means the same as the query (src/plan/count_path.c).
 *
 * IDENTIFICATION
 *		src/exec/count.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "utils/memutils.h"

#include "exec/graph_exec.h"

struct GraphCount
{
	GraphRowReader *reader;		/* of the columns in the clauses */
	ExprState  *quals;			/* NULL: every alert counts */
	ExprContext *econtext;
	int			naggregates;	/* of the row; what follows is an alert's */
	const char *key;			/* $select of a count ... */
	const char *key_and_time;	/* ... and of a list */
	bool		given;			/* the one row */
};

/*
 * graph_count_create
 *		Resolve what a count needs to check alerts, in the current memory
 *		context.
 */
GraphCount *
graph_count_create(ForeignScanState *node, const GraphOptions *options,
				   GraphProjection *projection)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	const GraphResourceInfo *resource = graph_resource_info(options->resource);
	TupleDesc	tupdesc = node->ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	GraphCount *count = palloc0(sizeof(GraphCount));
	int			rti = bms_next_member(graph_base_relids(plan), -1);
	Relation	relation = graph_range_table_relation(node->ss.ps.state, rti);

	Assert(resource->rows_member == NULL);
	count->key = resource->key;
	count->key_and_time = psprintf("%s,%s", resource->key,
								   resource->default_order);
	count->reader =
		graph_row_reader_create_joined(relation,
									   graph_plan_list(plan, GRAPH_PLAN_COLUMNS),
									   graph_plan_list(plan, GRAPH_PLAN_INDEXES),
									   tupdesc->natts, options, projection);
	count->quals =
		ExecInitQual(list_copy_tail(plan->fdw_exprs,
									graph_plan_int(plan, GRAPH_PLAN_NVALUES)),
					 &node->ss.ps);
	count->econtext = CreateExprContext(node->ss.ps.state);
	count->naggregates = tupdesc->natts -
		list_length(graph_plan_list(plan, GRAPH_PLAN_INDEXES));
	return count;
}

/*
 * run_clauses
 *		Run the clauses on an alert; true if it counts.  They may raise an
 *		error.  The slot is empty before and after.
 */
static bool
run_clauses(GraphCount *count, const GraphRecord *record, TupleTableSlot *slot)
{
	MemoryContext old;
	bool		result;

	Assert(TTS_EMPTY(slot));
	if (count->quals == NULL)
		return true;
	ResetExprContext(count->econtext);
	old = MemoryContextSwitchTo(count->econtext->ecxt_per_tuple_memory);
	memset(slot->tts_isnull, true,
		   slot->tts_tupleDescriptor->natts * sizeof(bool));
	graph_row_start(count->reader, record);
	(void) graph_row_next(count->reader, slot->tts_values, slot->tts_isnull);
	graph_row_stop(count->reader);
	ExecStoreVirtualTuple(slot);
	MemoryContextSwitchTo(old);

	count->econtext->ecxt_scantuple = slot;
	result = ExecQual(count->quals, count->econtext);
	ExecClearTuple(slot);
	return result;
}

/*
 * ask_for_count
 *		The service's count, or -1 if it does not count, contradicts itself or
 *		ignores the filter.
 */
static int64
ask_for_count(GraphCount *count, GraphScan *scan, TupleTableSlot *slot)
{
	GraphRecord record;
	bool		all = true;

	while (graph_scan_next(scan, &record))
		all = all && run_clauses(count, &record, slot);
	return all ? graph_scan_count(scan) : -1;
}

/*
 * count_alerts
 *		Read the list and count it here.
 */
static int64
count_alerts(GraphCount *count, GraphScan *scan, GraphRequest *request,
			 TupleTableSlot *slot)
{
	GraphRecord record;
	int64		result = 0;

	/* a count needs no more than the id, a list its time as well */
	if (request->select && strcmp(request->select, count->key) == 0)
		request->select = count->key_and_time;
	request->mode = GRAPH_SCAN_LIST;
	request->limited = false;
	request->first_page = request->page_size;
	graph_scan_start(scan, request);
	while (graph_scan_next(scan, &record))
		result += run_clauses(count, &record, slot);
	return result;
}

/*
 * graph_count_next
 *		Put the one row of a count into the slot, which is empty.  When that row
 *		was given before, the slot stays empty, which is the end of the scan.  A
 *		NULL request: no alert can match.
 */
void
graph_count_next(GraphCount *count, GraphScan *scan, GraphRequest *request,
				 TupleTableSlot *slot)
{
	int64		result = request ? -1 : 0;

	if (count->given)
		return;
	if (request && request->whole_filter)
		result = ask_for_count(count, scan, slot);
	if (result < 0)
		result = count_alerts(count, scan, request, slot);
	memset(slot->tts_isnull, true,
		   slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < count->naggregates; i++)
	{
		slot->tts_values[i] = Int64GetDatum(result);
		slot->tts_isnull[i] = false;
	}
	count->given = true;
	ExecStoreVirtualTuple(slot);
}

/*
 * graph_count_stop
 *		Begin again with the next row.
 */
void
graph_count_stop(GraphCount *count)
{
	graph_row_stop(count->reader);
	count->given = false;
}
