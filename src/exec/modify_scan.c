/*-------------------------------------------------------------------------
 *
 * modify_scan.c
 *		What does a scan do that writes its changes itself?
 *
 * It reads rows, checks them, evaluates SET and hands each on to be written;
 * while answers are awaited it goes on reading, so as many writes as the
 * session allows are under way.  With RETURNING a row is given as soon as its
 * answer has come, in whatever order that is; else nothing is given, and all is
 * done in one call.
 *
 * What this file refuses to know: requests and answers, which request reads
 * the rows.
 *
 * Sources: PostgreSQL, "Foreign Data Wrapper Routines for Updating Foreign
 * Tables"; nodeForeignscan.c, nodeModifyTable.c.
 *
 * IDENTIFICATION
 *		src/exec/modify_scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/value.h"
#include "utils/rel.h"

#include "exec/modify_int.h"

struct GraphModifyScan
{
	ForeignScanState *node;
	GraphFetchRow fetch;
	GraphModify *modify;
	List	   *targets;		/* attribute numbers that are set, ... */
	List	   *exprs;			/* ... and ExprState: to what */
	bool		sets_tag;		/* the command tag counts the rows */
	TupleTableSlot *changed;	/* the row as it is to be */
	TupleTableSlot *result;		/* as the service has it */
	TupleTableSlot *next;		/* what next_changed() has found */
	bool		at_end;			/* no further row is to be read */
};

/*
 * graph_modify_scan_create
 *		What a scan needs that writes itself, in the current memory context.
 */
GraphModifyScan *
graph_modify_scan_create(ForeignScanState *node, GraphSession *session,
						 GraphFetchRow fetch)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	GraphModifyScan *scan = palloc0(sizeof(GraphModifyScan));
	EState	   *estate = node->ss.ps.state;
	List	   *write = graph_direct_write(plan);
	TupleDesc	tupdesc = RelationGetDescr(node->ss.ss_currentRelation);
	MemoryContext old;
	int			count;

	scan->node = node;
	scan->fetch = fetch;
	scan->targets = list_nth(write, GRAPH_WRITE_TARGETS);
	scan->sets_tag = boolVal(list_nth(write, GRAPH_WRITE_SETS_TAG));
	count = list_length(plan->fdw_exprs) - list_length(scan->targets);
	scan->exprs = ExecInitExprList(list_copy_tail(plan->fdw_exprs, count),
								   (PlanState *) node);
	/* the executor resets slots after the scan's own memory is gone */
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	scan->changed = ExecInitExtraTupleSlot(estate, tupdesc, &TTSOpsVirtual);
	scan->result = ExecInitExtraTupleSlot(estate, tupdesc, &TTSOpsHeapTuple);
	MemoryContextSwitchTo(old);
	scan->modify = graph_modify_create(node->resultRelInfo, estate, session,
									   list_nth(write, GRAPH_WRITE_RETURNING),
									   false);
	return scan;
}

/*
 * graph_modify_scan_writes
 *		What it has written.
 */
GraphModify *
graph_modify_scan_writes(GraphModifyScan *scan)
{
	return scan->modify;
}

/*
 * next_row
 *		The next row that is to be changed, or NULL.
 */
static TupleTableSlot *
next_row(GraphModifyScan *scan)
{
	ForeignScanState *node = scan->node;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	TupleTableSlot *slot;

	for (;;)
	{
		ResetExprContext(econtext);
		ResetPerTupleExprContext(node->ss.ps.state);
		slot = scan->fetch(node);
		if (TupIsNull(slot))
			return NULL;
		slot->tts_tableOid = RelationGetRelid(node->ss.ss_currentRelation);
		econtext->ecxt_scantuple = slot;
		if (ExecQual(node->fdw_recheck_quals, econtext))
			return slot;
		InstrCountFiltered1(node, 1);
	}
}

/*
 * set_columns
 *		Make the row as it is to be of the row as it is.
 */
static void
set_columns(GraphModifyScan *scan, TupleTableSlot *row)
{
	ExprContext *econtext = scan->node->ss.ps.ps_ExprContext;
	TupleTableSlot *changed = scan->changed;
	int			natts = changed->tts_tupleDescriptor->natts;
	ListCell   *target;
	ListCell   *expr;

	slot_getallattrs(row);
	ExecClearTuple(changed);
	memcpy(changed->tts_values, row->tts_values, natts * sizeof(Datum));
	memcpy(changed->tts_isnull, row->tts_isnull, natts * sizeof(bool));
	forboth(target, scan->targets, expr, scan->exprs)
	{
		int			index = lfirst_int(target) - 1;

		changed->tts_values[index] = ExecEvalExpr((ExprState *) lfirst(expr),
												  econtext,
												  &changed->tts_isnull[index]);
	}
	ExecStoreVirtualTuple(changed);
	changed->tts_tableOid = row->tts_tableOid;
}

/*
 * change_next
 *		Take up the next row; false if there is none.  *is_known: it is in
 *		scan->changed and stays as it was.
 */
static bool
change_next(GraphModifyScan *scan, bool keep_rows, bool *is_known)
{
	MemoryContext old =
		MemoryContextSwitchTo(scan->node->ss.ps.ps_ExprContext->ecxt_per_tuple_memory);
	TupleTableSlot *row = scan->at_end ? NULL : next_row(scan);

	*is_known = false;
	if (row)
	{
		set_columns(scan, row);
		switch (graph_modify_update(scan->modify, row, scan->changed, keep_rows))
		{
			case GRAPH_MODIFY_SENT:
				break;
			case GRAPH_MODIFY_SAME:
				*is_known = true;
				break;
			case GRAPH_MODIFY_AGAIN:
				break;
		}
	}
	else
		scan->at_end = true;
	MemoryContextSwitchTo(old);
	return row != NULL;
}

/*
 * count_row
 *		Count a row that was written or need not be.
 */
static void
count_row(GraphModifyScan *scan)
{
	if (scan->sets_tag)
		scan->node->ss.ps.state->es_processed++;
}

/*
 * change_all
 *		Change all rows; nobody wants them back.
 */
static void
change_all(GraphModifyScan *scan)
{
	bool		is_known;
	HeapTuple	row;
	uint64		count = 0;

	while (change_next(scan, false, &is_known))
	{
		count += is_known ? 1 : 0;
		while (graph_modify_take(scan->modify, false, &row))
			count++;
	}
	while (graph_modify_take(scan->modify, true, &row))
		count++;
	if (scan->sets_tag)
		scan->node->ss.ps.state->es_processed += count;
	if (scan->node->ss.ps.instrument)
		scan->node->ss.ps.instrument->tuplecount += count;
}

/*
 * next_changed
 *		The next row that was changed, or need not be; NULL at the end.
 */
static TupleTableSlot *
next_changed(GraphModifyScan *scan)
{
	bool		is_known;
	HeapTuple	row;
	MemoryContext old = MemoryContextSwitchTo(scan->result->tts_mcxt);
	bool		is_taken = graph_modify_take(scan->modify, scan->at_end, &row);

	while (!is_taken && !scan->at_end)
	{
		if (change_next(scan, true, &is_known) && is_known)
		{
			MemoryContextSwitchTo(old);
			return scan->changed;
		}
		is_taken = graph_modify_take(scan->modify, scan->at_end, &row);
	}
	MemoryContextSwitchTo(old);
	if (!is_taken)
		return NULL;
	ExecForceStoreHeapTuple(row, scan->result, true);
	scan->result->tts_tableOid = row->t_tableOid;
	return scan->result;
}

/*
 * run_next
 *		Change all rows, or those up to the next that RETURNING gives.
 */
static void
run_next(void *arg)
{
	GraphModifyScan *scan = arg;

	scan->next = NULL;
	if (scan->node->resultRelInfo->ri_projectReturning)
		scan->next = next_changed(scan);
	else
		change_all(scan);
}

/*
 * graph_modify_scan_next
 *		Change the rows; with RETURNING, until there is one to give.
 *
 * An error in between says what was changed before it.  The slot that is
 * returned only says whether there is a row: RETURNING finds it where it looks
 * for what was scanned.
 */
TupleTableSlot *
graph_modify_scan_next(GraphModifyScan *scan)
{
	ForeignScanState *node = scan->node;
	ProjectionInfo *returning = node->resultRelInfo->ri_projectReturning;

	graph_modify_run(scan->modify, run_next, scan);
	if (scan->next == NULL)
		return ExecClearTuple(node->ss.ss_ScanTupleSlot);
	count_row(scan);
	scan->next->tts_tableOid = RelationGetRelid(node->ss.ss_currentRelation);
	returning->pi_exprContext->ecxt_scantuple = scan->next;
	return ExecStoreAllNullTuple(node->ss.ss_ScanTupleSlot);
}
