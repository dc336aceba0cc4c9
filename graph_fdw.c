/*-------------------------------------------------------------------------
 *
 * graph_fdw.c
 *		What does PostgreSQL want now?  Foreign tables over the security
 *		alerts of Microsoft Graph.
 *
 * The handler and the callbacks, in the order in which they run: import,
 * plan, explain, begin, iterate, rescan, end.  A row's way is a straight line
 * through the files in this order: graph_fdw.c, plan.c, deparse.c, filter.c or
 * key.c (which request), scan.c, lane.c, request.c, token.c, http.c, answer.c,
 * list.c, order.c (the bytes of a record), json.c (where its members are), row.c
 * or join.c, decode.c (Datums), and back here into the slot.
 *
 * What this file refuses to know: URLs, headers, JSON.
 *
 * IDENTIFICATION
 *		graph_fdw.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "commands/explain.h"
#include "executor/execAsync.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"

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
	GraphSession *session;
	GraphRowReader *reader;		/* of one table, */
	GraphJoin  *join;			/* or of several */
	GraphScan  *scan;
	List	   *values;			/* ExprState: of the plan's values */

	/* the request for the parameters at hand */
	MemoryContext request_context;
	GraphRequest request;
	bool		started;

	/* a count */
	bool		count_given;
	ExprState  *count_quals;	/* what each alert that is counted satisfies */
	ExprContext *count_context;

	/* an order that the plan relies on, should the service not keep it */
	TupleTableSlot *sorted_slot;
	MemoryContext sort_context; /* of a row on its way into the sort */
	GraphSort  *sort;			/* NULL: the rows are in order as they come */

	/* below an Append that reads several tables in turns */
	bool		waits;			/* there is no row yet, and not no row any more */
} GraphExecState;

PG_FUNCTION_INFO_V1(graph_fdw_handler);
PG_FUNCTION_INFO_V1(graph_fdw_version);

extern PGDLLEXPORT void _PG_init(void);

static List *graphImportForeignSchema(ImportForeignSchemaStmt *stmt,
									  Oid serverOid);
static void graphGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel,
								   Oid foreigntableid);
static void graphGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel,
								 Oid foreigntableid);
static void graphGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel,
									 RelOptInfo *outerrel,
									 RelOptInfo *innerrel, JoinType jointype,
									 JoinPathExtraData *extra);
static void graphGetForeignUpperPaths(PlannerInfo *root,
									  UpperRelationKind stage,
									  RelOptInfo *input_rel,
									  RelOptInfo *output_rel, void *extra);
static ForeignScan *graphGetForeignPlan(PlannerInfo *root, RelOptInfo *baserel,
										Oid foreigntableid,
										ForeignPath *best_path, List *tlist,
										List *scan_clauses, Plan *outer_plan);
static bool graphAnalyzeForeignTable(Relation relation,
									 AcquireSampleRowsFunc *func,
									 BlockNumber *totalpages);
static void graphExplainForeignScan(ForeignScanState *node, ExplainState *es);
static void graphBeginForeignScan(ForeignScanState *node, int eflags);
static TupleTableSlot *graphIterateForeignScan(ForeignScanState *node);
static void graphReScanForeignScan(ForeignScanState *node);
static void graphEndForeignScan(ForeignScanState *node);
static bool graphIsForeignPathAsyncCapable(ForeignPath *path);
static void graphForeignAsyncRequest(AsyncRequest *areq);
static void graphForeignAsyncConfigureWait(AsyncRequest *areq);
static void graphForeignAsyncNotify(AsyncRequest *areq);

/*
 * _PG_init
 *		The library has been loaded.
 */
void
_PG_init(void)
{
	graph_set_handler(graph_fdw_handler);
}

/*
 * graph_fdw_handler
 *		The table of callbacks.
 */
Datum
graph_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->ImportForeignSchema = graphImportForeignSchema;
	routine->AnalyzeForeignTable = graphAnalyzeForeignTable;
	routine->GetForeignRelSize = graphGetForeignRelSize;
	routine->GetForeignPaths = graphGetForeignPaths;
	routine->GetForeignJoinPaths = graphGetForeignJoinPaths;
	routine->GetForeignUpperPaths = graphGetForeignUpperPaths;
	routine->GetForeignPlan = graphGetForeignPlan;
	routine->ExplainForeignScan = graphExplainForeignScan;
	routine->BeginForeignScan = graphBeginForeignScan;
	routine->IterateForeignScan = graphIterateForeignScan;
	routine->ReScanForeignScan = graphReScanForeignScan;
	routine->EndForeignScan = graphEndForeignScan;
	routine->IsForeignPathAsyncCapable = graphIsForeignPathAsyncCapable;
	routine->ForeignAsyncRequest = graphForeignAsyncRequest;
	routine->ForeignAsyncConfigureWait = graphForeignAsyncConfigureWait;
	routine->ForeignAsyncNotify = graphForeignAsyncNotify;

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
 * graphImportForeignSchema
 *		The commands that make the tables of a remote schema.
 */
static List *
graphImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid serverOid)
{
	List	   *names = NIL;
	ListCell   *cell;

	graph_check_import_options(stmt->options);
	graph_check_wrapper(GetForeignServer(serverOid));
	foreach(cell, stmt->table_list)
		names = lappend(names, lfirst_node(RangeVar, cell)->relname);

	return graph_import_commands(stmt->remote_schema, stmt->server_name,
								 stmt->local_schema, stmt->list_type, names);
}

/*
 * graphAnalyzeForeignTable
 *		How to sample a table.
 */
static bool
graphAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func,
						 BlockNumber *totalpages)
{
	return graph_analyze(relation, func, totalpages);
}

/*
 * graphGetForeignRelSize
 *		Estimate the rows of a scan.
 */
static void
graphGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel,
					   Oid foreigntableid)
{
	graph_plan_size(root, baserel, foreigntableid);
}

/*
 * graphGetForeignPaths
 *		Offer the ways to scan a table.
 */
static void
graphGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel,
					 Oid foreigntableid)
{
	graph_plan_paths(root, baserel);
}

/*
 * graphGetForeignJoinPaths
 *		Offer to read tables together that come in the same answers.
 */
static void
graphGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel,
						 RelOptInfo *outerrel, RelOptInfo *innerrel,
						 JoinType jointype, JoinPathExtraData *extra)
{
	graph_join_paths(root, joinrel, outerrel, innerrel, jointype, extra);
}

/*
 * graphGetForeignUpperPaths
 *		Offer to do a step after the scan, which is to count.
 */
static void
graphGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage,
						  RelOptInfo *input_rel, RelOptInfo *output_rel,
						  void *extra)
{
	graph_plan_upper(root, stage, input_rel, output_rel);
}

/*
 * graphGetForeignPlan
 *		Make the plan node of the path that was chosen.
 */
static ForeignScan *
graphGetForeignPlan(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid,
					ForeignPath *best_path, List *tlist, List *scan_clauses,
					Plan *outer_plan)
{
	return graph_plan_scan(root, baserel, best_path, tlist, scan_clauses,
						   outer_plan);
}

/*
 * plan_int, plan_list
 *		An element of a plan's private list.
 */
static int
plan_int(const ForeignScan *plan, enum GraphPlanPrivate which)
{
	return intVal(list_nth(plan->fdw_private, which));
}

static List *
plan_list(const ForeignScan *plan, enum GraphPlanPrivate which)
{
	return list_nth(plan->fdw_private, which);
}

/*
 * scanned_entry
 *		The range table entry of the foreign table that a scan reads.
 */
static RangeTblEntry *
scanned_entry(ForeignScanState *node)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	int			relid = plan->scan.scanrelid;

	if (relid == 0)
		relid = bms_next_member(graph_base_relids(plan), -1);
	return exec_rt_fetch(relid, node->ss.ps.state);
}

/*
 * join_names
 *		A $select of some properties, or NULL.
 */
static char *
join_names(List *names)
{
	StringInfoData result;
	ListCell   *cell;

	if (names == NIL)
		return NULL;
	initStringInfo(&result);
	foreach(cell, names)
		appendStringInfo(&result, "%s%s", result.len > 0 ? "," : "",
						 strVal(lfirst(cell)));
	return result.data;
}

/*
 * ask_for_keys
 *		The lookups of a plan; false if there are none to make.
 *
 * If one list costs less, or only a list can tell which alerts are meant, it is
 * read whole instead, and the clauses are checked here as always.
 */
static bool
ask_for_keys(const ForeignScan *plan, const GraphValue *values,
			 GraphRequest *request)
{
	bool		all;

	request->keys = graph_key_list(plan_list(plan, GRAPH_PLAN_KEYS), values,
								   &request->nkeys, &all);
	if (!all || request->nkeys > plan_int(plan, GRAPH_PLAN_MOST_KEYS))
	{
		request->mode = GRAPH_SCAN_LIST;
		request->first_page = request->page_size;
	}
	return request->nkeys > 0;
}

/*
 * make_request
 *		What a plan asks for, with these values; false if no row can come of
 *		it, so that nothing has to be asked.
 */
static bool
make_request(const ForeignScan *plan, const GraphOptions *options,
			 const GraphValue *values, GraphRequest *request)
{
	List	   *order = plan_list(plan, GRAPH_PLAN_ORDER);
	GraphFilterText filter;

	memset(request, 0, sizeof(GraphRequest));
	request->mode = plan_int(plan, GRAPH_PLAN_MODE);
	request->entity_set = graph_resource_info(options->resource)->entity_set;
	request->page_size = options->limits.page_size;
	request->first_page = Min(plan_int(plan, GRAPH_PLAN_FIRST_PAGE),
							  options->limits.page_size);
	request->limited = plan_int(plan, GRAPH_PLAN_FIRST_PAGE) != INT_MAX;
	request->select = join_names(plan_list(plan, GRAPH_PLAN_SELECT));
	if (order)
	{
		request->order_property = strVal(linitial(order));
		request->descending = boolVal(lsecond(order));
		request->nulls_first = boolVal(lthird(order));
		request->order_needed = true;
	}
	if (request->mode == GRAPH_SCAN_KEYS)
		return ask_for_keys(plan, values, request);

	graph_deparse_filter(plan_list(plan, GRAPH_PLAN_FILTERS), values,
					  order ? request->order_property : GRAPH_DEFAULT_TIME,
					  &filter);
	request->filter = filter.text;
	request->whole_filter = filter.is_whole;
	request->no_nulls = filter.no_nulls;
	return !filter.no_rows;
}

/*-------------------------------------------------------------------------
 * EXPLAIN
 *-------------------------------------------------------------------------
 */

/* So many ids of a list are shown. */
#define EXPLAINED_KEYS	3

/*
 * explain_expression
 *		An expression of the plan as SQL.
 */
static char *
explain_expression(ForeignScanState *node, ExplainState *es, Node *expr)
{
	List	   *context = set_deparse_context_plan(es->deparse_cxt,
												   node->ss.ps.plan, NIL);

	return deparse_expression(expr, context,
							  list_length(es->rtable) > 1 || es->verbose,
							  false);
}

/*
 * explain_values
 *		The values of a plan as far as they are known without evaluating
 *		anything.
 */
static GraphValue *
explain_values(ForeignScanState *node, ExplainState *es, bool *all_known)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	int			count = plan_int(plan, GRAPH_PLAN_NVALUES);
	GraphValue *values = palloc0(Max(count, 1) * sizeof(GraphValue));

	*all_known = true;
	for (int i = 0; i < count; i++)
	{
		Node	   *expr = list_nth(plan->fdw_exprs, i);

		values[i] = graph_value_of((Expr *) expr);
		if (values[i].known)
			continue;
		values[i].label = explain_expression(node, es, expr);
		*all_known = false;
	}
	return values;
}

/*
 * explain_keys
 *		The lookups of a plan by ids that are constants.
 */
static char *
explain_keys(const GraphRequest *request)
{
	StringInfoData text;
	int			shown = 0;

	initStringInfo(&text);
	for (int i = 0; i < request->nkeys && shown < EXPLAINED_KEYS; i++)
	{
		char	   *path = graph_key_path(request->entity_set, request->keys[i]);

		if (path)
			appendStringInfo(&text, "%s%s", shown++ > 0 ? ", " : "GET ", path);
	}
	if (shown == 0)
		return pstrdup("none (no alert has this id)");
	if (shown == EXPLAINED_KEYS && request->nkeys > shown)
		appendStringInfo(&text, ", ... (%d ids)", request->nkeys);
	return text.data;
}

/*
 * explain_request
 *		The request that a scan would make.
 *
 * What is not a constant is shown as an expression, {in braces}: nothing is
 * evaluated to explain a plan.
 */
static char *
explain_request(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	ForeignTable *table = GetForeignTable(scanned_entry(node)->relid);
	List	   *keys = plan_list(plan, GRAPH_PLAN_KEYS);
	GraphOptions options;
	GraphValue *values;
	GraphRequest request;
	bool		all_known;

	graph_get_options(table, GetForeignServer(table->serverid), NULL, &options);
	values = explain_values(node, es, &all_known);
	if (keys && !all_known)
		return psprintf("GET %s/{%s}%s",
						graph_resource_info(options.resource)->entity_set,
						values[linitial_int(keys)].known ?
						explain_expression(node, es,
										   list_nth(plan->fdw_exprs,
													linitial_int(keys))) :
						values[linitial_int(keys)].label,
						list_length(keys) > 1 ? ", ..." : "");
	if (!make_request(plan, &options, values, &request))
		return pstrdup("none (no alert can match)");
	if (request.mode == GRAPH_SCAN_KEYS)
		return explain_keys(&request);
	return psprintf("GET %s",
					graph_request_path(&request,
									   request.first_page, true,
									   options.pushdown.count &&
									   request.first_page == request.page_size,
									   false));
}

/*
 * explain_clauses
 *		What is done with each clause.
 */
static void
explain_clauses(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List	   *labels = plan_list(plan, GRAPH_PLAN_LABELS);
	List	   *lines = NIL;
	int			first = plan_int(plan, GRAPH_PLAN_NVALUES);
	ListCell   *cell;

	for (int i = 0; i < list_length(labels); i++)
		lines = lappend(lines,
						psprintf("%s: %s",
								 explain_expression(node, es,
													list_nth(plan->fdw_exprs,
															 first + i)),
								 strVal(list_nth(labels, i))));
	if (lines == NIL)
		return;
	if (es->format != EXPLAIN_FORMAT_TEXT)
	{
		ExplainPropertyList("Graph Clauses", lines, es);
		return;
	}
	foreach(cell, lines)
		ExplainPropertyText("Graph Clause", lfirst(cell), es);
}

/*
 * explain_members
 *		The tables that are read together.
 */
static void
explain_members(const ForeignScan *plan, ExplainState *es)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, plan_list(plan, GRAPH_PLAN_MEMBERS))
	{
		bool		nullable;
		Index		rti = graph_join_member(plan, lfirst(cell), &nullable);
		RangeTblEntry *rte = rt_fetch(rti, es->rtable);
		char	   *alias = list_nth(es->rtable_names, rti - 1);

		names = lappend(names,
						psprintf("%s%s%s%s", nullable ? "LEFT " : "",
								 quote_identifier(get_rel_name(rte->relid)),
								 alias ? " " : "",
								 alias ? quote_identifier(alias) : ""));
	}
	ExplainPropertyList("Graph Relations", names, es);
}

/*
 * explain_counters
 *		What was done, for EXPLAIN ANALYZE.
 */
static void
explain_counters(ForeignScanState *node, ExplainState *es)
{
	GraphExecState *state = node->fdw_state;
	const GraphScanCounters *counters = graph_scan_counters(state->scan);

	ExplainPropertyInteger("Graph Requests", NULL, counters->requests, es);
	ExplainPropertyInteger("Graph Retries", NULL, counters->retries, es);
	ExplainPropertyInteger("Graph Pages", NULL, counters->pages, es);
	ExplainPropertyInteger("Graph Records", NULL, counters->records, es);
	if (!es->costs && !es->timing)
		return;					/* what varies from run to run */
	ExplainPropertyInteger("Graph Bytes", NULL, counters->bytes, es);
	if (es->timing)
		ExplainPropertyFloat("Graph Time Waited", "ms",
							 counters->waited / 1000.0, 3, es);
}

/*
 * graphExplainForeignScan
 *		Show the request, and why not more is sent, without making it; after an
 *		execution also what it took.
 */
static void
graphExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;

	if (list_length(plan->fdw_private) > GRAPH_PLAN_MEMBERS &&
		plan_int(plan, GRAPH_PLAN_MODE) != GRAPH_SCAN_COUNT)
		explain_members(plan, es);
	if (es->verbose)
	{
		ExplainPropertyText("Graph Request", explain_request(node, es), es);
		explain_clauses(node, es);
	}
	if (es->analyze && node->fdw_state)
		explain_counters(node, es);
}

/*-------------------------------------------------------------------------
 * Execution
 *-------------------------------------------------------------------------
 */

/*
 * begin_count
 *		Resolve what a count needs to check the alerts that come with it, or are
 *		counted here.
 */
static void
begin_count(ForeignScanState *node, GraphExecState *state, GraphProjection *projection)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	int			rti = bms_next_member(graph_base_relids(plan), -1);
	TupleDesc	tupdesc = node->ss.ss_ScanTupleSlot->tts_tupleDescriptor;

	state->reader =
		graph_row_reader_create_joined(graph_range_table_relation(node->ss.ps.state,
																  rti),
									   plan_list(plan, GRAPH_PLAN_COLUMNS),
									   plan_list(plan, GRAPH_PLAN_INDEXES),
									   tupdesc->natts,
									   &state->session->options, projection);
	state->count_quals =
		ExecInitQual(list_copy_tail(plan->fdw_exprs,
									plan_int(plan, GRAPH_PLAN_NVALUES)),
					 &node->ss.ps);
	state->count_context = CreateExprContext(node->ss.ps.state);
}

/*
 * graphBeginForeignScan
 *		Resolve what a scan needs; nothing is sent yet.
 */
static void
graphBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	RangeTblEntry *rte = scanned_entry(node);
	Oid			userid = graph_scan_user(plan, rte);
	GraphExecState *state;
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
	state->request_context = AllocSetContextCreate(context,
												   "graph_fdw parameters",
												   ALLOCSET_SMALL_SIZES);
	state->session = graph_session_open(rte->relid,
										OidIsValid(userid) ? userid : GetUserId());
	projection = graph_projection_create();
	if (node->ss.ss_currentRelation)
		state->reader = graph_row_reader_create(node->ss.ss_currentRelation,
												plan_list(plan, GRAPH_PLAN_COLUMNS),
												&state->session->options,
												projection);
	else if (plan_int(plan, GRAPH_PLAN_MODE) == GRAPH_SCAN_COUNT)
		begin_count(node, state, projection);
	else
		state->join = graph_join_create(node,
										plan_list(plan, GRAPH_PLAN_MEMBERS),
										projection);
	state->scan = graph_scan_create(state->session, projection);
	state->sort_context = AllocSetContextCreate(context,
												"graph_fdw sorted row",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(old);

	/* the slot is the executor's, which looks at it after our end */
	Assert(CurrentMemoryContext == node->ss.ps.state->es_query_cxt);
	if (plan_list(plan, GRAPH_PLAN_ORDER))
		state->sorted_slot =
			ExecInitExtraTupleSlot(node->ss.ps.state,
								   node->ss.ss_ScanTupleSlot->tts_tupleDescriptor,
								   &TTSOpsMinimalTuple);

	state->values =
		ExecInitExprList(list_copy_head(plan->fdw_exprs,
										plan_int(plan, GRAPH_PLAN_NVALUES)),
						 &node->ss.ps);
	node->fdw_state = state;
}

/*
 * evaluate_values
 *		The values of the plan for the parameters at hand.
 */
static GraphValue *
evaluate_values(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	int			count = list_length(state->values);
	GraphValue *values = palloc0(Max(count, 1) * sizeof(GraphValue));

	for (int i = 0; i < count; i++)
	{
		values[i] = graph_value_of(list_nth(plan->fdw_exprs, i));
		values[i].known = true;
		values[i].value = ExecEvalExpr(list_nth(state->values, i),
									   node->ss.ps.ps_ExprContext,
									   &values[i].isnull);
	}
	return values;
}

/*
 * start_scan
 *		Evaluate what the request depends on, and set the scan up for it.
 */
static void
start_scan(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	GraphValue *values = evaluate_values(node);
	MemoryContext old;
	bool		rows;

	MemoryContextReset(state->request_context);
	old = MemoryContextSwitchTo(state->request_context);
	rows = make_request(plan, &state->session->options, values,
						&state->request);
	graph_scan_start(state->scan, rows ? &state->request : NULL);
	MemoryContextSwitchTo(old);
	state->started = true;
	state->count_given = false;
}

/*
 * is_counted
 *		Does an alert satisfy the clauses of a count?
 */
static bool
is_counted(ForeignScanState *node, const GraphRecord *record)
{
	GraphExecState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ExprContext *context = state->count_context;
	MemoryContext old;
	bool		result;

	if (state->count_quals == NULL)
		return true;
	ResetExprContext(context);
	old = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true,
		   slot->tts_tupleDescriptor->natts * sizeof(bool));
	graph_row_start(state->reader, record);
	(void) graph_row_next(state->reader, slot->tts_values, slot->tts_isnull);
	graph_row_stop(state->reader);
	ExecStoreVirtualTuple(slot);
	MemoryContextSwitchTo(old);

	context->ecxt_scantuple = slot;
	result = ExecQual(state->count_quals, context);
	ExecClearTuple(slot);
	return result;
}

/*
 * ask_for_count
 *		The service's count, or -1 if it does not count, contradicts itself or
 *		ignores the filter.
 */
static int64
ask_for_count(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;
	GraphRecord record;
	bool		all = true;

	while (graph_scan_next(state->scan, &record))
		all = all && is_counted(node, &record);
	return all ? graph_scan_count(state->scan) : -1;
}

/*
 * count_alerts
 *		The number of alerts that match: the service's, or ours where it does
 *		not count.
 */
static int64
count_alerts(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;
	GraphRecord record;
	int64		count = state->request.whole_filter ? ask_for_count(node) : -1;

	if (count >= 0)
		return count;

	/* a count needs no more than the id, a list its time as well */
	if (state->request.select && strcmp(state->request.select, "id") == 0)
		state->request.select = "id," GRAPH_DEFAULT_TIME;
	state->request.mode = GRAPH_SCAN_LIST;
	state->request.limited = false;
	state->request.first_page = state->request.page_size;
	graph_scan_start(state->scan, &state->request);
	count = 0;
	while (graph_scan_next(state->scan, &record))
		count += is_counted(node, &record);
	return count;
}

/*
 * give_count
 *		The one row of a count.
 */
static TupleTableSlot *
give_count(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	int64		count;

	if (state->count_given)
		return slot;
	count = graph_scan_is_empty(state->scan) ? 0 : count_alerts(node);
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		slot->tts_values[i] = Int64GetDatum(count);
		slot->tts_isnull[i] = false;
	}
	state->count_given = true;
	return ExecStoreVirtualTuple(slot);
}

/*
 * next_record
 *		The next record; false if there is none, or none yet.
 */
static bool
next_record(ForeignScanState *node, GraphRecord *record)
{
	GraphExecState *state = node->fdw_state;
	GraphScanStep step;

	if (!node->ss.ps.async_capable)
		return graph_scan_next(state->scan, record);
	step = graph_scan_poll(state->scan, record);
	state->waits = step == GRAPH_SCAN_WAITS;
	return step == GRAPH_SCAN_RECORD;
}

/*
 * fill_row
 *		Put the next row of one table into the slot; false if there is none.
 */
static bool
fill_row(ForeignScanState *node, TupleTableSlot *slot)
{
	GraphExecState *state = node->fdw_state;
	GraphRecord record;

	while (!graph_row_next(state->reader, slot->tts_values, slot->tts_isnull))
	{
		graph_row_stop(state->reader);	/* its bytes go with the next call */
		if (!next_record(node, &record))
			return false;
		graph_row_start(state->reader, &record);
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
sort_rows(ForeignScanState *node, TupleTableSlot *slot)
{
	GraphExecState *state = node->fdw_state;
	List	   *order = plan_list((ForeignScan *) node->ss.ps.plan,
								  GRAPH_PLAN_ORDER);
	AttrNumber	attnum = intVal(lfourth(order));
	bool		without_nulls = graph_scan_gave_nulls(state->scan);
	MemoryContext old = MemoryContextSwitchTo(state->context);

	state->sort = graph_sort_create(state->sorted_slot, attnum,
									boolVal(lsecond(order)),
									boolVal(lthird(order)));
	state->request.order_property = NULL;
	state->request.order_needed = state->request.limited = false;
	state->request.no_nulls = false;	/* it was of the other time */
	state->request.first_page = state->request.page_size;
	graph_scan_start(state->scan, &state->request);

	MemoryContextSwitchTo(state->sort_context);
	while (fill_row(node, slot))
	{
		if (!without_nulls || !slot->tts_isnull[attnum - 1])
			graph_sort_add(state->sort, slot);
		ExecClearTuple(slot);
		MemoryContextReset(state->sort_context);
	}
	MemoryContextSwitchTo(old);
}

/*
 * next_row
 *		The next row of one table.
 */
static TupleTableSlot *
next_row(ForeignScanState *node, TupleTableSlot *slot)
{
	GraphExecState *state = node->fdw_state;

	if (state->sort == NULL)
	{
		if (fill_row(node, slot) || !graph_scan_order_is_lost(state->scan))
			return slot;
		sort_rows(node, slot);
	}
	graph_sort_next(state->sort, slot);
	return slot;
}

/*
 * end_sort
 *		Forget the rows that were sorted.
 */
static void
end_sort(GraphExecState *state)
{
	if (state->sort)
		graph_sort_end(state->sort);
	state->sort = NULL;
}

/*
 * next_joined_row
 *		The next row of several tables.
 */
static TupleTableSlot *
next_joined_row(ForeignScanState *node, TupleTableSlot *slot)
{
	GraphExecState *state = node->fdw_state;
	GraphRecord record;

	while (!graph_join_next(state->join, slot, node->ss.ps.ps_ExprContext))
	{
		graph_join_stop(state->join);
		if (!graph_scan_next(state->scan, &record))
			break;
		graph_join_start(state->join, &record);
	}
	return slot;
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
		start_scan(node);
	if (state->count_context)
		return give_count(node);
	if (state->join)
		return next_joined_row(node, slot);
	return next_row(node, slot);
}

/*
 * graphReScanForeignScan
 *		Begin again; parameters may have changed.
 */
static void
graphReScanForeignScan(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;

	if (!state->started)
		return;
	graph_scan_stop(state->scan);
	if (state->reader)
		graph_row_stop(state->reader);
	if (state->join)
		graph_join_stop(state->join);
	end_sort(state);
	state->started = state->waits = false;
}

/*
 * graphEndForeignScan
 *		Release everything; after an error the memory context does it.
 */
static void
graphEndForeignScan(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;

	if (state == NULL)
		return;					/* only explained */
	graph_scan_stop(state->scan);
	end_sort(state);
	MemoryContextDelete(state->context);
	node->fdw_state = NULL;
}

/*-------------------------------------------------------------------------
 * Several tables below one Append: the next row of any of them
 *-------------------------------------------------------------------------
 */

/*
 * graphIsForeignPathAsyncCapable
 *		May a table be read in turns with others?
 */
static bool
graphIsForeignPathAsyncCapable(ForeignPath *path)
{
	return graph_plan_is_async(path);
}

/*
 * answer
 *		Give the Append a row, the end, or the word that it has to wait.
 */
static void
answer(AsyncRequest *areq)
{
	ForeignScanState *node = castNode(ForeignScanState, areq->requestee);
	GraphExecState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ps.ExecProcNodeReal(&node->ss.ps);

	if (TupIsNull(slot) && state->waits)
		ExecAsyncRequestPending(areq);
	else
		ExecAsyncRequestDone(areq, slot);
}

/*
 * graphForeignAsyncRequest
 *		A row is wanted.
 */
static void
graphForeignAsyncRequest(AsyncRequest *areq)
{
	answer(areq);
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
 * there may be a row by now.
 */
static void
graphForeignAsyncConfigureWait(AsyncRequest *areq)
{
	AppendState *append = castNode(AppendState, areq->requestor);
	GraphExecState *state = ((ForeignScanState *) areq->requestee)->fdw_state;
	pgsocket	descriptor;

	areq->callback_pending = false;
	answer(areq);
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

/*
 * graphForeignAsyncNotify
 *		What was waited for has happened, or something else has.
 */
static void
graphForeignAsyncNotify(AsyncRequest *areq)
{
	answer(areq);
}
