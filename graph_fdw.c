/*-------------------------------------------------------------------------
 *
 * graph_fdw.c
 *		What does PostgreSQL want now?  Foreign tables over the security
 *		alerts of Microsoft Graph.
 *
 * The handler, and the callbacks of a scan: begin, iterate, rescan, end,
 * explain (which the executor calls before the end), those of a scan that
 * writes its changes itself, and those of an Append that reads several tables
 * in turns.  The handler says where the others are.
 *
 * All state of a scan hangs on one memory context, which is deleted at the end
 * or, after an error, with the query's.
 *
 * What this file refuses to know: URLs, headers, JSON.
 *
 * Sources: PostgreSQL, "Writing a Foreign Data Wrapper".
 *
 * IDENTIFICATION
 *		graph_fdw.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "executor/execAsync.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "exec/graph_exec.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = "graph_fdw", .version = GRAPH_FDW_VERSION);
#else
PG_MODULE_MAGIC;
#endif

/* The state of one execution: ForeignScanState.fdw_state. */
typedef struct GraphExecState
{
	MemoryContext context;		/* holds all of this */
	GraphScan  *scan;
	GraphBinding *binding;		/* of the plan to its values */
	GraphRequest *request;		/* NULL: no row can come */
	bool		started;		/* the request is made */
	GraphAtHand *hand;			/* where scans see each other's records */
	GraphModifyScan *writes;	/* it writes its changes itself, or NULL */

	/* one of these makes the rows */
	GraphTableRows *table;
	GraphJoinRows *join;
	GraphCount *count;
} GraphExecState;

PG_FUNCTION_INFO_V1(graph_fdw_handler);
PG_FUNCTION_INFO_V1(graph_fdw_version);

extern PGDLLEXPORT void _PG_init(void);

static void graphBeginForeignScan(ForeignScanState *node, int eflags);
static TupleTableSlot *graphIterateForeignScan(ForeignScanState *node);
static void graphReScanForeignScan(ForeignScanState *node);
static void graphEndForeignScan(ForeignScanState *node);
static bool graphRecheckForeignScan(ForeignScanState *node,
									TupleTableSlot *slot);
static void graphExplainForeignScan(ForeignScanState *node, ExplainState *es);
static void graphBeginDirectModify(ForeignScanState *node, int eflags);
static TupleTableSlot *graphIterateDirectModify(ForeignScanState *node);
static void graphEndDirectModify(ForeignScanState *node);
static void graphForeignAsyncRequest(AsyncRequest *areq);
static void graphForeignAsyncConfigureWait(AsyncRequest *areq);

/*
 * _PG_init
 *		The library has been loaded.
 */
void
_PG_init(void)
{
	graph_set_wrapper(graph_fdw_handler, graph_fdw_validator);
	graph_count_append_init();
	graph_batch_register();
	graph_batch_init();
	graph_assumed_init();
	graph_shared_init();
}

/*
 * graph_fdw_handler
 *		The table of callbacks.
 */
Datum
graph_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	/* src/catalog/import.c, src/exec/analyze.c */
	routine->ImportForeignSchema = graphImportForeignSchema;
	routine->AnalyzeForeignTable = graphAnalyzeForeignTable;

	/*
	 * src/plan: path.c, join_plan.c, count_path.c, plan.c; count_append.c has
	 * a hook
	 */
	routine->GetForeignRelSize = graphGetForeignRelSize;
	routine->GetForeignPaths = graphGetForeignPaths;
	routine->GetForeignJoinPaths = graphGetForeignJoinPaths;
	routine->GetForeignUpperPaths = graphGetForeignUpperPaths;
	routine->IsForeignPathAsyncCapable = graphIsForeignPathAsyncCapable;
	routine->GetForeignPlan = graphGetForeignPlan;

	/* below */
	routine->BeginForeignScan = graphBeginForeignScan;
	routine->IterateForeignScan = graphIterateForeignScan;
	routine->ReScanForeignScan = graphReScanForeignScan;
	routine->EndForeignScan = graphEndForeignScan;
	routine->RecheckForeignScan = graphRecheckForeignScan;
	routine->ExplainForeignScan = graphExplainForeignScan;
	routine->ForeignAsyncRequest = graphForeignAsyncRequest;
	routine->ForeignAsyncConfigureWait = graphForeignAsyncConfigureWait;
	routine->ForeignAsyncNotify = graphForeignAsyncRequest;

	/* src/plan: modify_plan.c, modify_direct.c; src/exec/modify_foreign.c */
	routine->IsForeignRelUpdatable = graphIsForeignRelUpdatable;
	routine->PlanForeignModify = graphPlanForeignModify;
	routine->BeginForeignModify = graphBeginForeignModify;
	routine->ExecForeignInsert = graphExecForeignInsert;
	routine->ExecForeignUpdate = graphExecForeignUpdate;
	routine->EndForeignModify = graphEndForeignModify;
	routine->BeginForeignInsert = graphBeginForeignInsert;
	routine->EndForeignInsert = graphEndForeignModify;
	routine->ExplainForeignModify = graphExplainForeignModify;
	routine->PlanDirectModify = graphPlanDirectModify;
	routine->BeginDirectModify = graphBeginDirectModify;
	routine->IterateDirectModify = graphIterateDirectModify;
	routine->EndDirectModify = graphEndDirectModify;
	routine->ExplainDirectModify = graphExplainForeignScan;

	PG_RETURN_POINTER(routine);
}

/*
 * graph_fdw_version
 *		The version of the library that is loaded.
 */
Datum
graph_fdw_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(GRAPH_FDW_VERSION));
}

/*
 * open_session
 *		Open the session of a scan, for the role whose privileges it uses.
 */
static GraphSession *
open_session(ForeignScanState *node)
{
	RangeTblEntry *rte = graph_scanned_entry(node);
	Oid			userid = graph_scan_user((ForeignScan *) node->ss.ps.plan, rte);

	return graph_session_open(rte->relid,
							  OidIsValid(userid) ? userid : GetUserId());
}

/*
 * graphBeginForeignScan
 *		Resolve what a scan needs; nothing is sent yet.
 */
static void
graphBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	GraphExecState *state;
	GraphSession *session;
	GraphProjection *projection;
	MemoryContext context;
	MemoryContext old;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	context = AllocSetContextCreate(node->ss.ps.state->es_query_cxt,
									"graph_fdw scan", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	state = palloc0(sizeof(GraphExecState));
	state->context = context;
	session = open_session(node);
	projection = graph_projection_create();
	state->hand = graph_at_hand_create(node, session, projection);
	if (node->ss.ss_currentRelation)
		state->table = graph_table_create(node, &session->options, projection,
										  state->hand);
	else if (graph_plan_int(plan, GRAPH_PLAN_MODE) == GRAPH_SCAN_COUNT)
		state->count = graph_count_create(node, &session->options, projection);
	else
		state->join = graph_join_create(node, projection, state->hand);
	state->scan = graph_scan_create(session, projection);
	state->binding = graph_binding_create(node, &session->options);
	if (plan->operation != CMD_SELECT)
		state->writes = graph_modify_scan_create(node, session,
												 graphIterateForeignScan);
	MemoryContextSwitchTo(old);
	node->fdw_state = state;
}

/*
 * take_at_hand
 *		Begin with the one alert that is wanted, if another scan of the query has
 *		it in its hands; else false.
 */
static bool
take_at_hand(GraphExecState *state)
{
	const GraphRequest *request = state->request;
	const GraphRecord *record;

	if (request == NULL || request->mode != GRAPH_SCAN_KEYS || request->nkeys != 1)
		return false;
	record = graph_at_hand_take(state->hand, request->keys[0]);
	if (record == NULL)
		return false;
	if (state->join)
		graph_join_take(state->join, record);
	else
		graph_table_take(state->table, record);
	return true;
}

/*
 * start
 *		Ask for what the plan and its values at hand say, where it can be by what
 *		it belongs to.
 */
static void
start(GraphExecState *state, bool can_navigate)
{
	state->request = graph_bind(state->binding, can_navigate);
	graph_scan_start(state->scan,
					 take_at_hand(state) ? NULL : state->request);
	state->started = true;
}

/*
 * next_row
 *		Put the next row into the slot, which is empty and stays so at the end
 *		and while there is none yet.
 */
static void
next_row(GraphExecState *state, TupleTableSlot *slot)
{
	if (state->count)
		graph_count_next(state->count, state->scan, state->request, slot);
	else if (state->join)
		graph_join_next(state->join, state->scan, state->request, slot);
	else
		graph_table_next(state->table, state->scan, state->request, slot);
}

/*
 * graphIterateForeignScan
 *		The next row, or an empty slot at the end.
 */
static TupleTableSlot *
graphIterateForeignScan(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	ExecClearTuple(slot);
	if (!state->started)
		start(state, graph_scan_can_navigate(state->scan));
	next_row(state, slot);
	if (TupIsNull(slot) && graph_scan_is_refused(state->scan))
	{
		start(state, false);
		next_row(state, slot);
	}
	return slot;
}

/*
 * stop
 *		Forget the request, the record at hand and what was made of others.
 */
static void
stop(GraphExecState *state)
{
	graph_scan_stop(state->scan);
	if (state->table)
		graph_table_stop(state->table);
	if (state->join)
		graph_join_stop(state->join);
	if (state->count)
		graph_count_stop(state->count);
	graph_at_hand_drop(state->hand);
	state->started = false;
}

/*
 * graphReScanForeignScan
 *		Begin again; parameters may have changed.
 */
static void
graphReScanForeignScan(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;

	if (state->started)
		stop(state);
}

/*
 * graphEndForeignScan
 *		Release everything.
 */
static void
graphEndForeignScan(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;

	if (state == NULL)
		return;					/* only explained */
	stop(state);
	MemoryContextDelete(state->context);
	node->fdw_state = NULL;
}

/*
 * graphRecheckForeignScan
 *		Put the row of a joined scan again into the slot that is made of the rows
 *		at hand, while a row of another table is checked again; false if there is
 *		none.
 *
 * A joined scan or a count that has no local plan is not of these rows, but in a
 * sub-select, which is executed as always.
 */
static bool
graphRecheckForeignScan(ForeignScanState *node, TupleTableSlot *slot)
{
	PlanState  *local = outerPlanState(node);
	MemoryContext old;

	if (((ForeignScan *) node->ss.ps.plan)->scan.scanrelid > 0)
		return true;			/* the executor has the row */
	if (local)
	{
		TupleTableSlot *row = ExecProcNode(local);

		if (!TupIsNull(row))
			ExecCopySlot(slot, row);
		return !TupIsNull(row);
	}
	old = MemoryContextSwitchTo(node->ss.ps.ps_ExprContext->ecxt_per_tuple_memory);
	(void) graphIterateForeignScan(node);
	MemoryContextSwitchTo(old);
	Assert(slot == node->ss.ss_ScanTupleSlot);
	return !TupIsNull(slot);
}

/*
 * graphExplainForeignScan
 *		Show the request without making it; after an execution also what it
 *		took.
 */
static void
graphExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	const GraphExecState *state = node->fdw_state;
	const GraphScanCounters *counters = es->analyze && state ?
		graph_scan_counters(state->scan) : NULL;

	/* an alert that another scan had was not asked for */
	graph_explain(node, counters,
				  counters && state->started &&
				  (state->request == NULL || counters->requests > 0),
				  counters ? state->request : NULL, es);
	if (graph_direct_write((ForeignScan *) node->ss.ps.plan))
		graph_explain_writes(graph_scanned_entry(node)->relid,
							 graph_direct_write((ForeignScan *) node->ss.ps.plan),
							 state ? graph_modify_scan_writes(state->writes) : NULL,
							 es);
}

/*-------------------------------------------------------------------------
 * A scan that writes its changes itself
 *-------------------------------------------------------------------------
 */

/*
 * graphBeginDirectModify
 *		Resolve what it needs; nothing is sent yet.
 */
static void
graphBeginDirectModify(ForeignScanState *node, int eflags)
{
	graphBeginForeignScan(node, eflags);
}

/*
 * graphIterateDirectModify
 *		Change the rows, or those up to the next that RETURNING gives; an empty
 *		slot at the end.
 */
static TupleTableSlot *
graphIterateDirectModify(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;

	return graph_modify_scan_next(state->writes);
}

/*
 * graphEndDirectModify
 *		All answers have been looked at: release everything.
 */
static void
graphEndDirectModify(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;

	if (state == NULL)
		return;					/* only explained */
	graph_modify_end(graph_modify_scan_writes(state->writes));
	graphEndForeignScan(node);
}

/*-------------------------------------------------------------------------
 * Several tables below one Append: the next row of any of them
 *-------------------------------------------------------------------------
 */

/*
 * graphForeignAsyncRequest
 *		Give the Append a row, the end, or the word that it has to wait: because
 *		it asks, or (ForeignAsyncNotify) because something has happened.
 */
static void
graphForeignAsyncRequest(AsyncRequest *areq)
{
	ForeignScanState *node = castNode(ForeignScanState, areq->requestee);
	GraphExecState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ps.ExecProcNodeReal(&node->ss.ps);

	if (TupIsNull(slot) && (state->table ? graph_table_waits(state->table) :
							graph_count_waits(state->count)))
		ExecAsyncRequestPending(areq);
	else
		ExecAsyncRequestDone(areq, slot);
}

/*
 * is_first_pending
 *		Is no table of ours before this one to be waited for by its Append?
 *
 * All of them wait for the same descriptor, which can be in a set once; each
 * is looked at before every wait, whichever of them was told.
 */
static bool
is_first_pending(const AsyncRequest *areq)
{
	AppendState *append = castNode(AppendState, areq->requestor);

	for (int i = 0; i < areq->request_index; i++)
	{
		AsyncRequest *other = append->as_asyncrequests[i];

		if (other && other->callback_pending &&
			IsA(other->requestee, ForeignScanState) &&
			((ForeignScanState *) other->requestee)->fdwroutine->ForeignAsyncConfigureWait ==
			graphForeignAsyncConfigureWait)
			return false;
	}
	return true;
}

/*
 * graphForeignAsyncConfigureWait
 *		The Append is about to wait: tell it for what.
 *
 * All transfers of the backend go on whenever one scan looks at its own, so
 * there may be a row by now.  Then the Append must not wait, although it does
 * not know that; nor if looking has taken the alarm by which another scan is to
 * be looked at again.
 */
static void
graphForeignAsyncConfigureWait(AsyncRequest *areq)
{
	AppendState *append = castNode(AppendState, areq->requestor);
	GraphExecState *state = ((ForeignScanState *) areq->requestee)->fdw_state;
	bool		was_set = graph_multi_alarm_is_set();
	pgsocket	descriptor;

	areq->callback_pending = false;
	graphForeignAsyncRequest(areq);
	if (areq->request_complete || (was_set && !graph_multi_alarm_is_set()))
		graph_multi_alarm(0);
	if (areq->request_complete)
	{
		ExecAsyncResponse(areq);
		if (areq->requestee->instrument)
			InstrUpdateTupleCount(areq->requestee->instrument,
								  TupIsNull(areq->result) ? 0.0 : 1.0);
		return;
	}
	descriptor = graph_scan_descriptor(state->scan);
	if (is_first_pending(areq))
		AddWaitEventToSet(append->as_eventset, WL_SOCKET_READABLE, descriptor,
						  NULL, areq);
}
