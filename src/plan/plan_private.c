/*-------------------------------------------------------------------------
 *
 * plan_private.c
 *		What does a plan hold?
 *
 * The values that clauses are compared with get numbers while the clauses are
 * classified.  Constants are known at once, and what depends on them is decided
 * while planning; the others are known when a scan starts.
 *
 * The elements of ForeignScan.fdw_private are put together here and read
 * again: plain nodes, which can be copied and printed, without a secret.  One
 * of them is also decided here: which properties $select names.
 *
 * What this file refuses to know: which paths exist, which of them is taken,
 * how the plan is executed.
 *
 * IDENTIFICATION
 *		src/plan/plan_private.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/optimizer.h"

#include "plan/graph_plan.h"

/* There is room for so many values at first. */
#define FEW_VALUES	16

/*
 * graph_value_of
 *		What is known of an expression while planning.
 */
GraphValue
graph_value_of(const Expr *expr)
{
	const Const *constant = (const Const *) expr;
	GraphValue	value = {0};

	value.type = exprType((const Node *) expr);
	if (IsA(expr, Const))
	{
		value.known = value.constant = true;
		value.value = constant->constvalue;
		value.isnull = constant->constisnull;
	}
	return value;
}

/*
 * graph_value_add
 *		Add an expression to the values of a scan, and give its number.
 *
 * One that is written twice is evaluated twice, as the executor does it.
 */
int
graph_value_add(GraphPushdown *pushdown, Expr *expr)
{
	int			number = list_length(pushdown->values);

	if (pushdown->known == NULL)
		pushdown->known = palloc(FEW_VALUES * sizeof(GraphValue));
	else if (number >= FEW_VALUES && (number & (number - 1)) == 0)
		pushdown->known = repalloc(pushdown->known,
								   2 * number * sizeof(GraphValue));
	pushdown->known[number] = graph_value_of(expr);
	pushdown->values = lappend(pushdown->values, expr);
	return number;
}

/*
 * graph_values_forget
 *		Keep so many values; nothing refers to the others.
 */
void
graph_values_forget(GraphPushdown *pushdown, int count)
{
	pushdown->values = list_truncate(pushdown->values, count);
}

/*
 * graph_scan_mode
 *		How is asked for what clauses say?
 */
GraphScanMode
graph_scan_mode(const GraphPushdown *pushdown)
{
	if (pushdown->keys == NIL)
		return GRAPH_SCAN_LIST;
	return pushdown->owner_column ? GRAPH_SCAN_OWNED : GRAPH_SCAN_KEYS;
}

/*
 * graph_plan_int, graph_plan_list
 *		An element of a plan's private list.
 */
int
graph_plan_int(const ForeignScan *plan, enum GraphPlanPrivate which)
{
	return intVal(list_nth(plan->fdw_private, which));
}

List *
graph_plan_list(const ForeignScan *plan, enum GraphPlanPrivate which)
{
	return list_nth(plan->fdw_private, which);
}

/*
 * graph_make_private
 *		The plan's private list; see GraphPlanPrivate.
 */
List *
graph_make_private(GraphScanMode mode, const GraphRelInfo *info, List *columns,
				   const GraphPushdown *pushdown, List *order, List *select,
				   int first)
{
	List	   *result = list_make4(makeInteger(mode), columns,
									pushdown->keys, pushdown->filters);
	int			most_keys = INT_MAX;
	double		alerts;
	double		requests;

	result = lappend(result, order);
	result = lappend(result, select);
	result = lappend(result, makeInteger(first));
	if (pushdown->may_be_listed)
		most_keys = graph_most_keys(info, pushdown,
									graph_listed_alerts(info->root,
														info->baserel,
														pushdown));
	result = lappend(result, makeInteger(most_keys));
	result = lappend(result, makeInteger(list_length(pushdown->values)));
	result = lappend(result, pushdown->labels);
	result = lappend(result, makeInteger(-1));
	graph_estimate(info, mode, pushdown, first, &alerts, &requests);
	return lappend(result,
				   list_make2(makeInteger((int) Min(alerts, INT_MAX)),
							  makeInteger((int) Min(requests, INT_MAX))));
}

/*
 * graph_add_attributes
 *		Add the columns of a table that an expression reads to a list, each once;
 *		0 is the whole row, and system columns are left out.
 */
List *
graph_add_attributes(List *attnums, Node *expr, Index rti)
{
	Bitmapset  *used = NULL;
	int			member = -1;

	pull_varattnos(expr, rti, &used);
	while ((member = bms_next_member(used, member)) >= 0)
	{
		int			attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum >= 0)
			attnums = list_append_unique_int(attnums, attnum);
	}
	return attnums;
}

/*
 * add_property
 *		Append a property's name to a list that has each once.
 */
static List *
add_property(List *select, const char *name, size_t len)
{
	return list_append_unique(select, makeString(pnstrdup(name, len)));
}

/*
 * graph_selected_properties
 *		The properties that the columns read, for $select; NIL if all may be
 *		needed.
 *
 * The id and the time of creation are read in any case: a scan tells alerts
 * apart by the one, and cuts long lists by the other.
 */
List *
graph_selected_properties(RelOptInfo *baserel, List *attnums)
{
	GraphRelInfo *info = baserel->fdw_private;
	const char *rows_member = info->resource->rows_member;
	List	   *select = list_make2(makeString(pstrdup(info->resource->key)),
									makeString(pstrdup(info->resource->default_order)));
	ListCell   *cell;

	if (!info->options.pushdown.select || list_member_int(attnums, 0))
		return NIL;
	if (rows_member)
		select = add_property(select, rows_member, strlen(rows_member));

	foreach(cell, attnums)
	{
		GraphColumn *column = graph_relation_column(baserel, lfirst_int(cell));
		ListCell   *path;
		ListCell   *in_alert;

		forboth(path, column->paths, in_alert, column->in_alert)
		{
			const char *name = lfirst(path);

			if (rows_member && !lfirst_int(in_alert))
				continue;		/* inside rows_member */
			if (strcmp(name, ".") == 0)
				return NIL;
			select = add_property(select, name, strcspn(name, "/"));
		}
	}
	return select;
}
