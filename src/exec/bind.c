/*-------------------------------------------------------------------------
 *
 * bind.c
 *		What does a plan ask for, with these values?
 *
 * A plan holds conditions without their values.  When a scan starts, and
 * whenever its parameters have changed, the values are evaluated and a
 * GraphRequest is made of both.  EXPLAIN makes the same request of the values
 * that are constants.
 *
 * A request belongs to its binding, until the next one is made.  What the
 * evaluation of a value raises is the user's error.
 *
 * What this file refuses to know: how a request is sent, what comes back.
 *
 * IDENTIFICATION
 *		src/exec/bind.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/value.h"
#include "utils/memutils.h"

#include "exec/graph_exec.h"

struct GraphBinding
{
	ForeignScanState *node;
	const GraphOptions *options;
	List	   *values;			/* ExprState: of the plan's values */
	MemoryContext context;		/* of the request */
	GraphRequest request;
};

/*
 * graph_scanned_entry
 *		The range table entry of the foreign table that a scan reads, the first
 *		of several.
 */
RangeTblEntry *
graph_scanned_entry(ForeignScanState *node)
{
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;

	return exec_rt_fetch(bms_next_member(graph_base_relids(plan), -1),
						 node->ss.ps.state);
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
 * list_instead
 *		A list is read instead of lookups: all of it.
 */
static void
list_instead(GraphRequest *request)
{
	request->mode = GRAPH_SCAN_LIST;
	request->first_page = request->page_size;
}

/*
 * graph_request_all
 *		Change a request into one for a list of which all is wanted.
 */
void
graph_request_all(GraphRequest *request)
{
	list_instead(request);
	request->limited = false;
	request->wanted = 0;
}

/*
 * ask_for_keys
 *		Make the request one for lookups by id, the alerts' own or that of what
 *		they belong to; false if there are none to make.
 *
 * If one list costs less, or only a list can tell which alerts are meant, that
 * is read instead, with what else can be sent, and the clauses are checked here
 * as always.
 */
static bool
ask_for_keys(const ForeignScan *plan, const GraphOptions *options,
			 const GraphValue *values, GraphRequest *request)
{
	const GraphNavigation *navigation =
		graph_resource_info(options->resource)->navigation;
	bool		all;

	request->keys = graph_key_list(graph_plan_list(plan, GRAPH_PLAN_KEYS),
								   values, &request->nkeys, &all);
	if (request->mode == GRAPH_SCAN_OWNED)
		all = all && graph_are_owners(navigation, request->keys, request->nkeys);
	if (!all || request->nkeys > graph_plan_int(plan, GRAPH_PLAN_MOST_KEYS))
		list_instead(request);
	return request->nkeys > 0;
}

/*
 * ask_near_bounds
 *		If a count is between times, have what is near these counted as well.
 *
 * Where that cannot be asked the count is none.
 */
static void
ask_near_bounds(const ForeignScan *plan, const GraphValue *values,
				GraphRequest *request)
{
	List	   *bounds = graph_plan_list(plan, GRAPH_PLAN_BOUNDS);
	char	   *near;

	if (bounds == NIL || !request->whole_filter)
		return;
	near = graph_margin_filter(request->filter, bounds, values);
	if (near == NULL)
	{
		request->whole_filter = false;
		return;
	}
	request->parts = palloc(sizeof(char *));
	request->parts[request->nparts++] = near;
}

/*
 * ask_for_groups
 *		If a count is by group, have each member of the enum counted as well, and
 *		what has no value.
 */
static void
ask_for_groups(const ForeignScan *plan, const GraphResourceInfo *resource,
			   GraphRequest *request)
{
	List	   *group = graph_plan_list(plan, GRAPH_PLAN_GROUP);
	const GraphQueryProperty *property;
	const char *before = request->filter ?
		psprintf("%s and ", request->filter) : "";
	List	   *members;
	ListCell   *cell;

	if (group == NIL || !request->whole_filter)
		return;
	property = graph_query_property(resource, strVal(linitial(group)));
	members = graph_countable_members(property->enum_name);
	request->parts = palloc((list_length(members) + 1) * sizeof(char *));
	foreach(cell, members)
		request->parts[request->nparts++] =
			psprintf("%s%s eq %s", before, property->name,
					 graph_string_literal(lfirst(cell)));
	if (property->nullable)
		request->parts[request->nparts++] =
			psprintf("%s%s eq null", before, property->name);
}

/*
 * ask_for_list
 *		Give the request its $filter; false if no alert can match.
 */
static bool
ask_for_list(const ForeignScan *plan, const GraphOptions *options,
			 const GraphValue *values, GraphRequest *request)
{
	const GraphResourceInfo *resource = graph_resource_info(options->resource);
	GraphDeparsedFilter filter;

	graph_deparse_filter(resource, graph_plan_list(plan, GRAPH_PLAN_FILTERS),
						 values,
						 request->order_property ? request->order_property :
						 resource->default_order,
						 &filter);
	request->filter = filter.text;
	request->filter_without_any = filter.without_any;
	request->has_any = filter.has_any;
	request->whole_filter = filter.is_whole;
	request->no_nulls = filter.no_nulls;
	if (request->mode == GRAPH_SCAN_COUNT && !filter.no_rows)
	{
		ask_near_bounds(plan, values, request);
		ask_for_groups(plan, resource, request);
	}
	return !filter.no_rows;
}

/*
 * start_request
 *		What a plan asks for, whatever the values are.
 */
static void
start_request(const ForeignScan *plan, const GraphOptions *options,
			  GraphRequest *request)
{
	const GraphResourceInfo *resource = graph_resource_info(options->resource);
	List	   *order = graph_plan_list(plan, GRAPH_PLAN_ORDER);
	int			first = graph_plan_int(plan, GRAPH_PLAN_FIRST_PAGE);

	Assert(list_length(plan->fdw_private) > GRAPH_PLAN_BATCH);
	Assert(first > 0);
	memset(request, 0, sizeof(GraphRequest));
	request->mode = graph_plan_int(plan, GRAPH_PLAN_MODE);
	request->entity_set = resource->entity_set;
	request->page_size = options->limits.page_size;
	request->first_page = Min(first, request->page_size);
	request->limited = first <= request->page_size;
	request->wanted = request->limited || first == INT_MAX ? 0 : first;
	request->select = join_names(graph_plan_list(plan, GRAPH_PLAN_SELECT));
	if (order)
	{
		request->order_property = strVal(linitial(order));
		request->descending = boolVal(lsecond(order));
		request->nulls_first = boolVal(lthird(order));
		request->order_needed = true;
	}
}

/*
 * graph_make_request
 *		What a plan asks for, with these values; false if no row can come of
 *		it, so that nothing has to be asked.
 */
bool
graph_make_request(const ForeignScan *plan, const GraphOptions *options,
				   const GraphValue *values, GraphRequest *request)
{
	start_request(plan, options, request);
	if (graph_mode_has_keys(request->mode) &&
		!ask_for_keys(plan, options, values, request))
		return false;
	return graph_mode_has_keys(request->mode) ||
		ask_for_list(plan, options, values, request);
}

/*
 * graph_make_list_request
 *		The same for the list that a plan of lookups reads if they are too many.
 */
bool
graph_make_list_request(const ForeignScan *plan, const GraphOptions *options,
						const GraphValue *values, GraphRequest *request)
{
	start_request(plan, options, request);
	list_instead(request);
	return ask_for_list(plan, options, values, request);
}

/*
 * graph_binding_create
 *		Prepare a plan's values for evaluation, in the current memory context.
 */
GraphBinding *
graph_binding_create(ForeignScanState *node, const GraphOptions *options)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	GraphBinding *binding = palloc0(sizeof(GraphBinding));
	MemoryContext old;

	binding->node = node;
	binding->options = options;
	binding->context = AllocSetContextCreate(CurrentMemoryContext,
											 "graph_fdw parameters",
											 ALLOCSET_SMALL_SIZES);

	/* what a function registers may be looked at after our end */
	old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);
	binding->values =
		ExecInitExprList(list_copy_head(plan->fdw_exprs,
										graph_plan_int(plan, GRAPH_PLAN_NVALUES)),
						 &node->ss.ps);
	MemoryContextSwitchTo(old);
	return binding;
}

/*
 * evaluate
 *		Evaluate a value of the plan, for the parameters at hand, unless it was.
 */
static void
evaluate(const GraphBinding *binding, GraphValue *values, int number)
{
	GraphValue *value = &values[number];

	if (value->known)
		return;
	value->known = true;
	value->value = ExecEvalExpr(list_nth(binding->values, number),
								binding->node->ss.ps.ps_ExprContext,
								&value->isnull);
}

/*
 * evaluate_keys, evaluate_all
 *		Those values that hold ids, and all.
 */
static void
evaluate_keys(const GraphBinding *binding, GraphValue *values)
{
	const ForeignScan *plan = (ForeignScan *) binding->node->ss.ps.plan;
	ListCell   *cell;

	foreach(cell, graph_plan_list(plan, GRAPH_PLAN_KEYS))
		evaluate(binding, values, lfirst_int(cell));
}

static void
evaluate_all(const GraphBinding *binding, GraphValue *values)
{
	for (int i = 0; i < list_length(binding->values); i++)
		evaluate(binding, values, i);
}

/*
 * plain_values
 *		The values of the plan, none of which is evaluated.
 */
static GraphValue *
plain_values(const GraphBinding *binding)
{
	ForeignScan *plan = (ForeignScan *) binding->node->ss.ps.plan;
	int			count = list_length(binding->values);
	GraphValue *values = palloc0(Max(list_length(plan->fdw_exprs), 1) *
								 sizeof(GraphValue));
	int			batch = graph_plan_int(plan, GRAPH_PLAN_BATCH);

	for (int i = 0; i < count; i++)
	{
		values[i] = graph_value_of(list_nth(plan->fdw_exprs, i));
		values[i].known = false;
	}
	if (batch >= 0)
	{
		const ParamExecData *ids =
			&binding->node->ss.ps.state->es_param_exec_vals[batch];
		GraphValue *value =
			&values[linitial_int(graph_plan_list(plan, GRAPH_PLAN_KEYS))];

		value->known = true;
		value->type = TEXTARRAYOID;
		value->value = ids->value;
		value->isnull = ids->isnull;
	}
	return values;
}

/*
 * graph_bind
 *		The request for the parameters at hand; NULL if no row can come of it.
 *
 * What a filter compares with is not evaluated where ids are looked up, or none
 * is named.  Where the service does not know the lists of what belongs to
 * something, the list of all is asked for.
 */
GraphRequest *
graph_bind(GraphBinding *binding, bool can_navigate)
{
	const ForeignScan *plan = (ForeignScan *) binding->node->ss.ps.plan;
	GraphRequest *request = &binding->request;
	GraphValue *values = plain_values(binding);
	MemoryContext old;
	bool		has_rows = true;

	MemoryContextReset(binding->context);
	old = MemoryContextSwitchTo(binding->context);
	start_request(plan, binding->options, request);
	if (graph_mode_has_keys(request->mode))
	{
		MemoryContextSwitchTo(old);
		evaluate_keys(binding, values);
		MemoryContextSwitchTo(binding->context);
		has_rows = ask_for_keys(plan, binding->options, values, request);
		if (request->mode == GRAPH_SCAN_OWNED && !can_navigate)
			graph_request_all(request);
	}
	if (has_rows && !graph_mode_has_keys(request->mode))
	{
		MemoryContextSwitchTo(old);
		evaluate_all(binding, values);
		MemoryContextSwitchTo(binding->context);
		has_rows = ask_for_list(plan, binding->options, values, request);
	}
	MemoryContextSwitchTo(old);
	return has_rows ? request : NULL;
}
