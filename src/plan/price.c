/*-------------------------------------------------------------------------
 *
 * price.c
 *		What does a scan cost?
 *
 * A request is the unit of cost: it takes some 100 ms and is one of 150 a
 * minute, so it is dear.  An alert in a list is about 8 kB to transfer and to
 * read, and costs a hundredth of a request.  So the alerts of a page of 1000
 * cost as much as ten requests, and the service, too, takes about that much
 * longer for such a page.
 *
 * The prices are lower than the time would have it: in 100 ms PostgreSQL reads
 * far more than 100 pages.  But that time is spent waiting.  Were the prices
 * higher, many scans would be above jit_above_cost, and compiling their
 * expressions would cost time and gain nothing.
 *
 * What this file refuses to know: which paths there are.
 *
 * IDENTIFICATION
 *		src/plan/price.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/selfuncs.h"

#include "plan/graph_plan.h"

/* Prices, in the planner's unit. */
#define REQUEST_COST	100.0
#define ALERT_COST		1.0

/* Up to so many ids are asked for one by one where nobody knows what a list is. */
#define FEW_KEYS	20

/*
 * list_cost
 *		The cost of a list of so many alerts.
 */
static Cost
list_cost(const GraphRelInfo *info, double alerts)
{
	return REQUEST_COST * ceil(Max(alerts, 1.0) / info->options.limits.page_size) +
		ALERT_COST * alerts;
}

/*
 * graph_records_per_key
 *		How many records does a lookup give: one by its own id, more by that of
 *		what they belong to, which this column holds.
 */
double
graph_records_per_key(PlannerInfo *root, const Var *owner_column)
{
	const GraphRelInfo *info;
	VariableStatData variable;
	double		owners;
	bool		is_default;

	if (owner_column == NULL)
		return 1;
	info = root->simple_rel_array[owner_column->varno]->fdw_private;
	examine_variable(root, (Node *) owner_column, 0, &variable);
	owners = get_variable_numdistinct(&variable, &is_default);
	ReleaseVariableStats(variable);
	return is_default ? info->resource->navigation->records_per_owner :
		clamp_row_est(info->alerts / Max(owners, 1.0));
}

/*
 * key_cost
 *		The cost of one of several lookups, of which some are under way at
 *		once.
 *
 * What belongs to something comes by a list of its own.  Nobody knows how long
 * that takes the service, and each is one of 150 a minute: it is priced as the
 * request that it is, whatever else is under way.
 */
static Cost
key_cost(const GraphRelInfo *info, const Var *owner_column)
{
	return REQUEST_COST / (owner_column ? 1 : info->options.limits.concurrency) +
		ALERT_COST * graph_records_per_key(info->root, owner_column);
}

/*
 * graph_most_keys
 *		Above so many ids, a list of so many alerts costs less.
 *
 * That number is an estimate.  The whole list is the worst that it can turn out
 * as, so lookups that are no more than its pages are made in any case.
 */
int
graph_most_keys(const GraphRelInfo *info, const GraphPushdown *pushdown,
				double alerts)
{
	double		keys = list_cost(info, alerts) /
		key_cost(info, pushdown->owner_column);

	if (!info->analyzed)
		keys = Max(keys, FEW_KEYS);
	keys = Max(keys, ceil(info->alerts / info->options.limits.page_size));
	return (int) Min(keys, INT_MAX);
}

/*
 * graph_listed_alerts
 *		How many alerts a list gives with what is sent.
 */
double
graph_listed_alerts(PlannerInfo *root, RelOptInfo *baserel,
					const GraphPushdown *pushdown)
{
	GraphRelInfo *info = baserel->fdw_private;
	double		alerts = info->alerts;
	double		rows;

	/* each row that is meant may be in another alert */
	rows = baserel->tuples *
		clauselist_selectivity(root, pushdown->inside, 0, JOIN_INNER, NULL);
	if (pushdown->inside)
		alerts = Min(alerts, rows);
	return clamp_row_est(alerts *
						 clauselist_selectivity(root, pushdown->sent, 0,
												JOIN_INNER, NULL));
}

/*
 * count_keys
 *		About how many ids do the values hold?  Those of a batch are others', and
 *		count as one.
 */
static double
count_keys(PlannerInfo *root, const GraphPushdown *pushdown)
{
	double		result = 0;
	ListCell   *cell;

	foreach(cell, pushdown->keys)
	{
		Node	   *value;

		if (lfirst_int(cell) == GRAPH_BATCHED_KEYS)
			return 1;
		value = list_nth(pushdown->values, lfirst_int(cell));
		result += exprType(value) == TEXTOID ? 1 :
			graph_estimate_array_length(root, value);
	}
	return result;
}

/*
 * graph_price_alerts
 *		How many alerts a request with these clauses gives, and what it costs to
 *		read them.
 */
void
graph_price_alerts(PlannerInfo *root, RelOptInfo *baserel,
				   const GraphPushdown *pushdown, GraphPrice *price)
{
	GraphRelInfo *info = baserel->fdw_private;
	double		listed = graph_listed_alerts(root, baserel, pushdown);
	Cost		run;

	Assert(info->alerts >= 1);
	price->startup = REQUEST_COST + ALERT_COST;
	if (pushdown->keys)
	{
		double		keys = Max(count_keys(root, pushdown), 1.0);
		double		each = graph_records_per_key(root, pushdown->owner_column);

		price->rows = Min(keys * each, info->alerts);
		run = ALERT_COST * (each - 1);
		if (keys > 1)
			run += Min((keys - 1) * key_cost(info, pushdown->owner_column),
					   list_cost(info, listed));
	}
	else
	{
		price->rows = listed;
		run = list_cost(info, price->rows) - REQUEST_COST;
	}
	price->total = price->startup + run;
}

/*
 * graph_price_scan
 *		What a scan of one table costs whose clauses are classified so, and that
 *		gives so many rows after all clauses have been checked.
 */
void
graph_price_scan(PlannerInfo *root, RelOptInfo *baserel,
				 const GraphPushdown *pushdown, double rows, GraphPrice *price)
{
	GraphRelInfo *info = baserel->fdw_private;
	double		read;

	graph_price_alerts(root, baserel, pushdown, price);
	read = price->rows * baserel->tuples / info->alerts;
	price->startup += baserel->baserestrictcost.startup;
	price->total += baserel->baserestrictcost.startup +
		(cpu_tuple_cost + baserel->baserestrictcost.per_tuple) * read;
	price->rows = clamp_row_est(pushdown->keys ? Min(rows, read) : rows);
}

/*
 * graph_price_lookups
 *		What so many lookups cost, by the alerts' ids or by those of what they
 *		belong to, which are in a column; and how many rows they give.
 */
void
graph_price_lookups(const GraphRelInfo *info, const Var *owner_column,
					double keys, GraphPrice *price)
{
	double		each = graph_records_per_key(info->root, owner_column);
	double		read = keys * each * info->baserel->tuples / info->alerts;
	QualCost	quals = info->baserel->baserestrictcost;

	price->rows = clamp_row_est(read);
	price->startup = REQUEST_COST + ALERT_COST + quals.startup;
	price->total = price->startup + ALERT_COST * (each - 1) +
		Max(keys - 1, 0) * key_cost(info, owner_column) +
		(cpu_tuple_cost + quals.per_tuple) * read;
}

/*
 * graph_estimate
 *		How many alerts and requests is a scan expected to take, which begins
 *		with a page of so many?  For EXPLAIN.
 */
void
graph_estimate(const GraphRelInfo *info, GraphScanMode mode,
			   const GraphPushdown *pushdown, int first, double *alerts,
			   double *requests)
{
	double		listed = graph_listed_alerts(info->root, info->baserel, pushdown);

	*alerts = Min(listed, first);
	*requests = ceil(*alerts / info->options.limits.page_size);
	if (mode == GRAPH_SCAN_COUNT)
		*requests = 1;
	if (graph_mode_has_keys(mode))
	{
		double		keys = Max(count_keys(info->root, pushdown), 1.0);

		if (pushdown->may_be_listed &&
			keys > graph_most_keys(info, pushdown, listed))
			return;
		*alerts = Min(keys * graph_records_per_key(info->root,
												   pushdown->owner_column),
					  info->alerts);
		*requests = keys;
	}
}

/*
 * graph_price_count
 *		What it costs to have the service count the rows of a table.
 *
 * If a value is not known yet, the list may have to be read instead: then the
 * price is half way to that.  What comes with the count would come with the list
 * as well.  Between times (bounded) it takes two requests.
 */
void
graph_price_count(PlannerInfo *root, RelOptInfo *baserel, bool bounded,
				  GraphPrice *price)
{
	GraphRelInfo *info = baserel->fdw_private;
	Cost		count = REQUEST_COST;

	if (bounded)
		count = 2 * REQUEST_COST;
	else if (info->pushdown.exact == GRAPH_INEXACT)
	{
		graph_price_scan(root, baserel, &info->pushdown, baserel->rows, price);
		count = (REQUEST_COST + price->total) / 2;
	}
	price->rows = 1;
	price->startup = count;
	price->total = count + cpu_tuple_cost;
}
