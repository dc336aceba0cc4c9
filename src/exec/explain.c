/*-------------------------------------------------------------------------
 *
 * explain.c
 *		What does EXPLAIN show of a scan?
 *
 * The tables that are read together; with VERBOSE the request, and for each
 * clause whether it is sent; after an execution also what that took.  Nothing
 * is evaluated and no request is made: a value that is not a constant is shown
 * as its expression, {in braces}.  No user mapping is read, so nothing that is
 * secret can be shown.
 *
 * What this file refuses to know: sessions, transfers, rows.
 *
 * IDENTIFICATION
 *		src/exec/explain.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "exec/graph_exec.h"

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
 *		anything, and whether all that hold ids are.
 */
static GraphValue *
explain_values(ForeignScanState *node, ExplainState *es, bool *keys_known)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	int			count = graph_plan_int(plan, GRAPH_PLAN_NVALUES);
	GraphValue *values = palloc0(Max(list_length(plan->fdw_exprs), 1) *
								 sizeof(GraphValue));
	ListCell   *cell;

	for (int i = 0; i < count; i++)
	{
		Node	   *expr = list_nth(plan->fdw_exprs, i);

		values[i] = graph_value_of((Expr *) expr);
		if (values[i].known)
			continue;
		values[i].label = explain_expression(node, es, expr);
	}
	*keys_known = true;
	foreach(cell, graph_plan_list(plan, GRAPH_PLAN_KEYS))
		* keys_known = *keys_known && values[lfirst_int(cell)].known;
	return values;
}

/*
 * explain_keys
 *		The lookups of a plan by ids that are constants.
 */
static char *
explain_keys(const GraphRequest *request, const GraphResourceInfo *resource)
{
	StringInfoData text;
	int			shown = 0;

	initStringInfo(&text);
	for (int i = 0; i < request->nkeys && shown < EXPLAINED_KEYS; i++)
	{
		char	   *path = request->mode == GRAPH_SCAN_OWNED ?
			graph_owned_path(resource->navigation, request->keys[i]) :
			graph_key_path(request->entity_set, request->keys[i]);

		if (path)
			appendStringInfo(&text, "%s%s", shown++ > 0 ? ", " : "GET ", path);
	}
	if (shown == 0)
		return psprintf("none (no %s has this id)", resource->record);
	if (shown == EXPLAINED_KEYS && request->nkeys > shown)
		appendStringInfo(&text, ", ... (%d ids)", request->nkeys);
	return text.data;
}

/*
 * explain_list
 *		The request of a list or a count, and of what is counted beside it.
 */
static char *
explain_list(const GraphRequest *request, const GraphOptions *options)
{
	bool		with_count = options->pushdown.count &&
		request->first_page == request->page_size;
	GraphRequest one = *request;
	char	   *result = NULL;

	for (int i = 0; i <= request->nparts; i++)
	{
		char	   *path = graph_request_path(&one, request->first_page, true,
											  with_count, false);

		result = result ? psprintf("%s, GET %s", result, path) :
			psprintf("GET %s", path);
		if (i < request->nparts)
			one.filter = request->parts[i];
	}
	return result;
}

/*
 * request_text
 *		A request as it is shown; NULL: there is none to make.
 */
static char *
request_text(const GraphRequest *request, const GraphOptions *options)
{
	const GraphResourceInfo *resource = graph_resource_info(options->resource);

	if (request == NULL)
		return psprintf("none (no %s can match)", resource->record);
	if (graph_mode_has_keys(request->mode))
		return explain_keys(request, resource);
	return explain_list(request, options);
}

/*
 * explain_later_keys
 *		The lookups of a plan by ids that are known when it runs, and the list
 *		that is read instead if they turn out too many.
 */
static char *
explain_later_keys(ForeignScanState *node, ExplainState *es,
				   const GraphOptions *options, const GraphValue *values)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List	   *keys = graph_plan_list(plan, GRAPH_PLAN_KEYS);
	Node	   *first = list_nth(plan->fdw_exprs, linitial_int(keys));
	const GraphResourceInfo *resource = graph_resource_info(options->resource);
	bool		owned = graph_plan_int(plan, GRAPH_PLAN_MODE) == GRAPH_SCAN_OWNED;
	char	   *lookups;
	GraphRequest request;

	lookups = psprintf("GET %s/{%s}%s%s%s",
					   owned ? resource->navigation->owner_set :
					   resource->entity_set,
					   explain_expression(node, es, first),
					   owned ? "/" : "",
					   owned ? resource->navigation->segment : "",
					   list_length(keys) > 1 ? ", ..." : "");
	if (graph_plan_list(plan, GRAPH_PLAN_FILTERS) == NIL ||
		graph_plan_int(plan, GRAPH_PLAN_MOST_KEYS) == INT_MAX)
		return lookups;
	if (!graph_make_list_request(plan, options, values, &request))
		return psprintf("%s, or none for many ids", lookups);
	return psprintf("%s, or for many ids %s", lookups,
					explain_list(&request, options));
}

/*
 * explain_request
 *		The request that a scan would make.
 */
static char *
explain_request(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	ForeignTable *table = GetForeignTable(graph_scanned_entry(node)->relid);
	List	   *keys = graph_plan_list(plan, GRAPH_PLAN_KEYS);
	GraphOptions options;
	GraphValue *values;
	GraphRequest request;
	bool		keys_known;

	graph_get_options(table, GetForeignServer(table->serverid), NULL, &options);
	values = explain_values(node, es, &keys_known);
	if (keys && !keys_known)
		return explain_later_keys(node, es, &options, values);
	if (!graph_make_request(plan, &options, values, &request))
		return request_text(NULL, &options);
	return request_text(&request, &options);
}

/*
 * explain_made
 *		The request of the last execution, if it is not as the plan shows it: by
 *		values that were not known, or because a list was read instead.  NULL:
 *		no alert could match.
 */
static void
explain_made(ForeignScanState *node, const GraphRequest *request,
			 const char *planned, ExplainState *es)
{
	ForeignTable *table = GetForeignTable(graph_scanned_entry(node)->relid);
	GraphOptions options;
	char	   *made;

	graph_get_options(table, GetForeignServer(table->serverid), NULL, &options);
	made = request_text(request, &options);
	if (strcmp(made, planned) != 0)
		ExplainPropertyText("Graph Request Made", made, es);
}

/*
 * explain_clauses
 *		What is done with each clause.
 */
static void
explain_clauses(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List	   *labels = graph_plan_list(plan, GRAPH_PLAN_LABELS);
	List	   *lines = NIL;
	int			first = graph_plan_int(plan, GRAPH_PLAN_NVALUES);
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
 * explain_estimate
 *		What the plan expects a scan to take, each time that it runs.
 */
static void
explain_estimate(const ForeignScan *plan, ExplainState *es)
{
	List	   *estimate = graph_plan_list(plan, GRAPH_PLAN_ESTIMATE);
	int			alerts = intVal(linitial(estimate));
	int			requests = intVal(lsecond(estimate));

	if (es->format == EXPLAIN_FORMAT_TEXT)
		ExplainPropertyText("Graph Estimate",
							psprintf("%d alert%s, %d request%s",
									 alerts, alerts == 1 ? "" : "s",
									 requests, requests == 1 ? "" : "s"), es);
	else
	{
		ExplainPropertyInteger("Graph Estimated Alerts", NULL, alerts, es);
		ExplainPropertyInteger("Graph Estimated Requests", NULL, requests, es);
	}
}

/*
 * join_word
 *		How a table is joined to those before it.
 */
static const char *
join_word(JoinType jointype)
{
	switch (jointype)
	{
		case JOIN_LEFT:
			return "LEFT ";
		case JOIN_SEMI:
			return "SEMI ";
		case JOIN_ANTI:
			return "ANTI ";
		default:
			return "";
	}
}

/*
 * explain_quals
 *		The clauses that a joined scan checks: what makes a match of a left,
 *		semi or anti join, or (filters) all others.
 */
static void
explain_quals(ForeignScanState *node, ExplainState *es, bool filters)
{
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List	   *quals = NIL;
	ListCell   *cell;

	foreach(cell, graph_plan_list(plan, GRAPH_PLAN_MEMBERS))
	{
		JoinType	jointype;

		(void) graph_join_member(plan, lfirst(cell), &jointype);
		for (int kind = 0; kind < GRAPH_QUALS_KINDS; kind++)
		{
			if ((kind == GRAPH_QUALS_FILTER || jointype == JOIN_INNER) == filters)
				quals = list_concat(quals,
									graph_member_quals(plan, lfirst(cell), kind));
		}
	}
	if (quals)
		ExplainPropertyText(filters ? "Graph Filter" : "Graph Join Filter",
							explain_expression(node, es,
											   (Node *) make_ands_explicit(quals)),
							es);
}

/*
 * explain_members
 *		The tables that are read together, and the clauses on their rows.
 */
static void
explain_members(ForeignScanState *node, ExplainState *es)
{
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, graph_plan_list(plan, GRAPH_PLAN_MEMBERS))
	{
		JoinType	jointype;
		Index		rti = graph_join_member(plan, lfirst(cell), &jointype);
		RangeTblEntry *rte = rt_fetch(rti, es->rtable);
		char	   *alias = list_nth(es->rtable_names, rti - 1);

		names = lappend(names,
						psprintf("%s%s%s%s", join_word(jointype),
								 quote_identifier(get_rel_name(rte->relid)),
								 alias ? " " : "",
								 alias ? quote_identifier(alias) : ""));
	}
	ExplainPropertyList("Graph Relations", names, es);
	explain_quals(node, es, false);
	explain_quals(node, es, true);
}

/*
 * explain_checked
 *		The clauses that a scan checks which writes itself.
 */
static void
explain_checked(ForeignScanState *node, ExplainState *es)
{
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;

	if (plan->fdw_recheck_quals)
		ExplainPropertyText("Graph Filter",
							explain_expression(node, es,
											   (Node *) make_ands_explicit(plan->fdw_recheck_quals)),
							es);
}

/*
 * explain_counters
 *		What was done, for EXPLAIN ANALYZE.
 */
static void
explain_counters(const GraphScanCounters *counters, ExplainState *es)
{
	ExplainPropertyInteger("Graph Requests", NULL, counters->requests, es);
	ExplainPropertyInteger("Graph Retries", NULL, counters->retries, es);
	ExplainPropertyInteger("Graph Pages", NULL, counters->pages, es);
	ExplainPropertyInteger("Graph Records", NULL, counters->records, es);
	if (!es->costs && !es->timing)
		return;					/* the rest varies from run to run */
	ExplainPropertyInteger("Graph Bytes", NULL, counters->bytes, es);
	if (es->timing)
	{
		ExplainPropertyFloat("Graph Time Waited", "ms",
							 counters->waited / 1000.0, 3, es);
		if (counters->limited > 0 || es->format != EXPLAIN_FORMAT_TEXT)
			ExplainPropertyFloat("Graph Time Throttled", "ms",
								 counters->limited / 1000.0, 3, es);
	}
}

/*
 * graph_explain
 *		Show the request, and why not more is sent; counters are those of an
 *		execution, or NULL, and made its last request, unless (is_made) there
 *		was none.
 */
void
graph_explain(ForeignScanState *node, const GraphScanCounters *counters,
			  bool is_made, const GraphRequest *made, ExplainState *es)
{
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;

	if (plan->operation != CMD_SELECT)
		explain_checked(node, es);
	else if (list_length(plan->fdw_private) > GRAPH_PLAN_MEMBERS &&
			 graph_plan_int(plan, GRAPH_PLAN_MODE) != GRAPH_SCAN_COUNT)
		explain_members(node, es);
	if (es->verbose)
	{
		char	   *planned = explain_request(node, es);

		ExplainPropertyText("Graph Request", planned, es);
		if (is_made)
			explain_made(node, made, planned, es);
		explain_clauses(node, es);
		if (es->costs)
			explain_estimate(plan, es);
	}
	if (counters)
		explain_counters(counters, es);
}
