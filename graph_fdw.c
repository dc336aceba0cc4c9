/*-------------------------------------------------------------------------
 *
 * graph_fdw.c
 *		What does PostgreSQL want now?  Foreign tables over the security
 *		alerts of Microsoft Graph.
 *
 * The handler and the callbacks, in the order in which they run: import,
 * plan, explain, begin, iterate, rescan, end.  A row's way is a straight line
 * through the files in this order: graph_fdw.c, plan.c, deparse.c (which
 * request), scan.c, token.c, http.c (the bytes of a record), json.c (where its
 * members are), row.c, decode.c (Datums), and back here into the slot.
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
#include "executor/executor.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"

#include "graph_fdw.h"

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
	const GraphResourceInfo *resource;
	GraphRowReader *reader;
	GraphScan  *scan;
	bool		by_key;
	ExprState  *key;			/* value of the key, if by_key */
	bool		started;		/* the request is known for these parameters */
} GraphExecState;

PG_FUNCTION_INFO_V1(graph_fdw_handler);
PG_FUNCTION_INFO_V1(graph_fdw_version);

static List *graphImportForeignSchema(ImportForeignSchemaStmt *stmt,
									  Oid serverOid);
static void graphGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel,
								   Oid foreigntableid);
static void graphGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel,
								 Oid foreigntableid);
static ForeignScan *graphGetForeignPlan(PlannerInfo *root, RelOptInfo *baserel,
										Oid foreigntableid,
										ForeignPath *best_path, List *tlist,
										List *scan_clauses, Plan *outer_plan);
static void graphExplainForeignScan(ForeignScanState *node, ExplainState *es);
static void graphBeginForeignScan(ForeignScanState *node, int eflags);
static TupleTableSlot *graphIterateForeignScan(ForeignScanState *node);
static void graphReScanForeignScan(ForeignScanState *node);
static void graphEndForeignScan(ForeignScanState *node);

/*
 * graph_fdw_handler
 *		The table of callbacks.
 */
Datum
graph_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->ImportForeignSchema = graphImportForeignSchema;
	routine->GetForeignRelSize = graphGetForeignRelSize;
	routine->GetForeignPaths = graphGetForeignPaths;
	routine->GetForeignPlan = graphGetForeignPlan;
	routine->ExplainForeignScan = graphExplainForeignScan;
	routine->BeginForeignScan = graphBeginForeignScan;
	routine->IterateForeignScan = graphIterateForeignScan;
	routine->ReScanForeignScan = graphReScanForeignScan;
	routine->EndForeignScan = graphEndForeignScan;

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

	foreach(cell, stmt->table_list)
		names = lappend(names, lfirst_node(RangeVar, cell)->relname);

	return graph_import_commands(stmt->remote_schema, stmt->server_name,
								 stmt->local_schema, stmt->list_type, names);
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
 * explain_path
 *		The path that a scan would ask for.
 *
 * A key that is not a constant is shown as an expression, {in braces}: nothing
 * is evaluated to explain a plan.
 */
static char *
explain_path(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Relation	relation = node->ss.ss_currentRelation;
	ForeignTable *table = GetForeignTable(RelationGetRelid(relation));
	const GraphResourceInfo *resource;
	GraphOptions options;
	Node	   *key;
	List	   *context;
	char	   *path;

	graph_get_options(table, GetForeignServer(table->serverid), NULL, &options);
	resource = graph_resource_info(options.resource);
	if (!boolVal(list_nth(plan->fdw_private, GRAPH_PLAN_BY_KEY)))
		return graph_list_path(resource, &options);

	key = linitial(plan->fdw_exprs);
	if (IsA(key, Const))
	{
		Const	   *value = (Const *) key;

		path = value->constisnull ? NULL :
			graph_key_path(resource, TextDatumGetCString(value->constvalue));
		return path;
	}
	context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, NIL);
	return psprintf("%s/{%s}", resource->entity_set,
					deparse_expression(key, context, true, false));
}

/*
 * graphExplainForeignScan
 *		Show the request, without making it.
 */
static void
graphExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	char	   *path;

	if (!es->verbose)
		return;
	path = explain_path(node, es);
	ExplainPropertyText("Graph Request",
						path ? psprintf("GET %s", path) :
						"none (no alert has this id)", es);
}

/*
 * graphBeginForeignScan
 *		Resolve what a scan needs; nothing is sent yet.
 */
static void
graphBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	Relation	relation = node->ss.ss_currentRelation;
	RangeTblEntry *rte pg_attribute_unused() =
		exec_rt_fetch(plan->scan.scanrelid, estate);
	Oid			userid = graph_scan_user(plan, rte);
	GraphExecState *state;
	MemoryContext context;
	MemoryContext old;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	context = AllocSetContextCreate(estate->es_query_cxt, "graph_fdw scan",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	state = palloc0(sizeof(GraphExecState));
	state->context = context;
	state->session = graph_session_open(RelationGetRelid(relation),
										OidIsValid(userid) ? userid : GetUserId());
	state->resource = graph_resource_info(state->session->options.resource);
	state->reader = graph_row_reader_create(relation,
											list_nth(plan->fdw_private,
													 GRAPH_PLAN_COLUMNS),
											&state->session->options);
	state->scan = graph_scan_create(state->session,
									graph_row_shape(state->reader));
	state->by_key = boolVal(list_nth(plan->fdw_private, GRAPH_PLAN_BY_KEY));
	MemoryContextSwitchTo(old);

	if (state->by_key)
		state->key = ExecInitExpr(linitial(plan->fdw_exprs), &node->ss.ps);
	node->fdw_state = state;
}

/*
 * start_scan
 *		Evaluate what the request depends on, and set the scan up for it.
 */
static void
start_scan(ForeignScanState *node)
{
	GraphExecState *state = node->fdw_state;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	char	   *path;

	if (state->by_key)
	{
		bool		isnull;
		Datum		key = ExecEvalExpr(state->key, econtext, &isnull);

		path = isnull ? NULL :
			graph_key_path(state->resource, TextDatumGetCString(key));
	}
	else
		path = graph_list_path(state->resource, &state->session->options);

	graph_scan_start(state->scan, path, state->by_key);
	state->started = true;
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
	GraphRecord record;

	ExecClearTuple(slot);
	if (!state->started)
		start_scan(node);

	while (!graph_row_next(state->reader, slot->tts_values, slot->tts_isnull))
	{
		graph_row_stop(state->reader);	/* its bytes go with the next call */
		if (!graph_scan_next(state->scan, &record))
			return slot;
		graph_row_start(state->reader, &record);
	}
	return ExecStoreVirtualTuple(slot);
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
	graph_row_stop(state->reader);
	state->started = false;
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
	MemoryContextDelete(state->context);
	node->fdw_state = NULL;
}
