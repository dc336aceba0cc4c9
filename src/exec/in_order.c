/*-------------------------------------------------------------------------
 *
 * in_order.c
 *		What if the service does not keep the order that a plan relies on?
 *
 * Rows are given as the scan's records come.  If these turn out not to be in
 * the order of the plan's time, before a row was given, the list is read whole
 * and sorted here; the request is changed into one for that.
 *
 * What this file refuses to know: what a row is made of, how a request is
 * spelled.
 *
 * IDENTIFICATION
 *		src/exec/in_order.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/value.h"
#include "utils/memutils.h"

#include "exec/graph_exec.h"

struct GraphInOrder
{
	List	   *order;			/* GRAPH_PLAN_ORDER */
	GraphFillRow fill_row;
	void	   *rows;			/* its first argument */
	MemoryContext context;		/* holds all of this */
	MemoryContext row_context;	/* of a row on its way into the sort */
	TupleTableSlot *sorted_slot;
	GraphSort  *sort;			/* NULL: the rows are in order as they come */
};

/*
 * graph_in_order_create
 *		Give what fill_row makes in the plan's order, in the current memory
 *		context; NULL if the plan has none.
 */
GraphInOrder *
graph_in_order_create(ForeignScanState *node, GraphFillRow fill_row, void *rows)
{
	List	   *order = graph_plan_list((ForeignScan *) node->ss.ps.plan,
										GRAPH_PLAN_ORDER);
	EState	   *estate = node->ss.ps.state;
	GraphInOrder *in_order;

	if (order == NIL)
		return NULL;
	in_order = palloc0(sizeof(GraphInOrder));
	in_order->order = order;
	in_order->fill_row = fill_row;
	in_order->rows = rows;
	in_order->context = CurrentMemoryContext;
	in_order->row_context = AllocSetContextCreate(CurrentMemoryContext,
												  "graph_fdw sorted row",
												  ALLOCSET_DEFAULT_SIZES);

	/* the slot is the executor's, which looks at it after our end */
	MemoryContextSwitchTo(estate->es_query_cxt);
	in_order->sorted_slot =
		ExecInitExtraTupleSlot(estate,
							   node->ss.ss_ScanTupleSlot->tts_tupleDescriptor,
							   &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(in_order->context);
	return in_order;
}

/*
 * sort_rows
 *		The service does not sort: read all rows as they come, and sort them, but
 *		for those without a value if they were given already.
 */
static void
sort_rows(GraphInOrder *in_order, GraphScan *scan, GraphRequest *request,
		  TupleTableSlot *slot)
{
	AttrNumber	attnum = intVal(lfourth(in_order->order));
	bool		without_nulls = graph_scan_gave_nulls(scan);
	MemoryContext old = MemoryContextSwitchTo(in_order->context);

	in_order->sort = graph_sort_create(in_order->sorted_slot, attnum,
									   boolVal(lsecond(in_order->order)),
									   boolVal(lthird(in_order->order)));
	request->order_property = NULL;
	request->order_needed = false;
	request->no_nulls = false;	/* it was of the other time */
	graph_request_all(request);
	graph_scan_start(scan, request);

	MemoryContextSwitchTo(in_order->row_context);
	while (in_order->fill_row(in_order->rows, scan, slot))
	{
		if (!without_nulls || !slot->tts_isnull[attnum - 1])
			graph_sort_add(in_order->sort, slot);
		ExecClearTuple(slot);
		MemoryContextReset(in_order->row_context);
	}
	MemoryContextSwitchTo(old);
}

/*
 * graph_in_order_next
 *		Put the next row into the slot, which is empty and stays so at the end.
 */
void
graph_in_order_next(GraphInOrder *in_order, GraphScan *scan,
					GraphRequest *request, TupleTableSlot *slot)
{
	if (in_order->sort == NULL)
	{
		if (in_order->fill_row(in_order->rows, scan, slot) ||
			!graph_scan_order_is_lost(scan))
			return;
		Assert(request);
		sort_rows(in_order, scan, request, slot);
	}
	graph_sort_next(in_order->sort, slot);
}

/*
 * graph_in_order_stop
 *		Forget the rows that were sorted.
 */
void
graph_in_order_stop(GraphInOrder *in_order)
{
	if (in_order->sort)
		graph_sort_end(in_order->sort);
	in_order->sort = NULL;
}
