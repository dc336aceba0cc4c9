/*-------------------------------------------------------------------------
 *
 * count_group.c
 *		Can alerts be counted by the members of an enum?
 *
 * "SELECT severity, count(*) ... GROUP BY severity" is a count for each member,
 * and one of the whole by which it is seen that they add up: a member that is
 * new would be missing.  That is worth it where the list is longer than that.
 *
 * What this file refuses to know: what is made of the counts
 * (src/exec/count.c), groups of several tables.
 *
 * IDENTIFICATION
 *		src/plan/count_group.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"

#include "plan/graph_plan.h"

/*
 * find_group
 *		The column by which a query groups, if it is just one that reads an enum
 *		whose members come in one case only; with its property.
 */
static Var *
find_group(PlannerInfo *root, RelOptInfo *baserel,
		   const GraphQueryProperty **property)
{
	SortGroupClause *clause;
	Expr	   *expr;

	if (list_length(root->parse->groupClause) != 1)
		return NULL;
	clause = linitial_node(SortGroupClause, root->parse->groupClause);
	expr = (Expr *) get_sortgroupclause_expr(clause, root->processed_tlist);
	if (!IsA(expr, Var) ||
		!graph_is_text_equality(clause->eqop, ((Var *) expr)->varcollid))
		return NULL;
	*property = graph_var_property(baserel, expr);
	return *property && (*property)->type == GRAPH_EDM_ENUM &&
		!(*property)->any_case ? (Var *) expr : NULL;
}

/*
 * wants_only
 *		Does a query want nothing but its group and the number of rows?
 */
static bool
wants_only(RelOptInfo *baserel, const Var *group, List *wanted)
{
	List	   *counts = NIL;
	ListCell   *cell;

	foreach(cell, wanted)
	{
		if (!equal(lfirst(cell), group))
			counts = lappend(counts, lfirst(cell));
	}
	return list_length(counts) < list_length(wanted) &&
		graph_are_row_counts(baserel, counts);
}

/*
 * graph_count_group
 *		The column by which a query groups, if the service can count for it, and
 *		how many requests that takes; else NULL.
 *
 * Where ANALYZE has not seen the table, nobody knows whether it is worth that.
 */
Var *
graph_count_group(PlannerInfo *root, RelOptInfo *baserel, List *wanted,
				  int *requests)
{
	const GraphRelInfo *info = baserel->fdw_private;
	const GraphQueryProperty *property;
	List	   *members;
	Var		   *group;
	GraphPrice	price;

	if (!graph_can_count_rows(root, baserel) || info->pushdown.inexact ||
		info->pushdown.any_case || !info->analyzed)
		return NULL;
	group = find_group(root, baserel, &property);
	if (group == NULL || !wants_only(baserel, group, wanted))
		return NULL;
	members = graph_countable_members(property->enum_name);
	*requests = list_length(members) + 1 + property->nullable;
	if (members == NIL || *requests > GRAPH_MOST_COUNTS)
		return NULL;
	graph_price_alerts(root, baserel, &info->pushdown, &price);
	return price.rows > (double) *requests * info->options.limits.page_size ?
		group : NULL;
}
