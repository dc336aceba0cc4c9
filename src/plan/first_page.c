/*-------------------------------------------------------------------------
 *
 * first_page.c
 *		How many alerts should the first page hold?
 *
 * With LIMIT, with EXISTS, and where the numbers of rows are compared with a
 * bound, a part of a list may do.  This is about sizes only: should more rows be
 * wanted, more are read.  A page that is too small costs a request for nothing,
 * as the list is begun again after it.
 *
 * What this file refuses to know: prices, which path is taken, what a scan does
 * after its first page.
 *
 * IDENTIFICATION
 *		src/plan/first_page.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/paths.h"
#include "utils/fmgroids.h"

#include "plan/graph_plan.h"

/*
 * The first page of a list of which a part is wanted and checked here holds
 * at least so many alerts, if a page can: fewer would make more requests likely.
 */
#define SMALLEST_CHECKED_PAGE	100

/* WITH TIES gives up to so many rows more, as a rule, and reads one further. */
#define USUAL_TIES	10

/* The executor's node for window functions reads so many rows further. */
#define ROWS_PAST_WINDOW	2

/* What find_bound() looks for. */
typedef struct BoundContext
{
	WindowClause *clause;
	double		bound;			/* of the rows' numbers, 0: none */
	bool		needs_all;		/* a function looks at all rows first */
} BoundContext;

/*
 * graph_is_all_of_query
 *		Does every row of the query come from a relation, or from it and the
 *		others below one Append?  Then its limit holds for each of them.
 */
bool
graph_is_all_of_query(PlannerInfo *root, RelOptInfo *rel)
{
	return bms_is_subset(root->all_baserels,
						 rel->top_parent_relids ? rel->top_parent_relids :
						 rel->relids);
}

/*
 * integer_of
 *		The value of an integer constant; 0 for anything else.
 */
static double
integer_of(Node *expr)
{
	Const	   *constant = (Const *) expr;

	if (expr == NULL || !IsA(expr, Const) || constant->constisnull)
		return 0;
	switch (constant->consttype)
	{
		case INT2OID:
			return DatumGetInt16(constant->constvalue);
		case INT4OID:
			return DatumGetInt32(constant->constvalue);
		case INT8OID:
			return (double) DatumGetInt64(constant->constvalue);
		default:
			return 0;
	}
}

/*
 * find_bound
 *		Callback: the least bound of row_number() in an expression, and whether a
 *		function there needs all rows before it gives its first result.
 */
static bool
find_bound(Node *node, BoundContext *context)
{
	WindowFunc *func = (WindowFunc *) node;
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, WindowFunc))
		return expression_tree_walker(node, find_bound, context);
	if (func->winfnoid == F_NTILE || func->winfnoid == F_PERCENT_RANK_ ||
		func->winfnoid == F_CUME_DIST_)
		context->needs_all = true;
	if (func->winfnoid != F_ROW_NUMBER)
		return false;
	foreach(cell, graph_run_conditions(context->clause, func))
	{
		double		bound =
			integer_of(graph_run_condition_bound(lfirst(cell), func));

		if (bound > 0 && (context->bound == 0 || bound < context->bound))
			context->bound = bound;
	}
	return false;
}

/*
 * rows_below_windows
 *		How many rows are wanted by a query with window functions, as far as it
 *		says; 0 for all.
 *
 * Only where a single window goes forward, row by row, in the order of the scan.
 */
static double
rows_below_windows(PlannerInfo *root)
{
	List	   *clauses = root->parse->windowClause;
	BoundContext context = {NULL, 0, false};
	double		wanted = 0;

	if (list_length(clauses) != 1 || root->parse->groupClause)
		return 0;
	context.clause = linitial_node(WindowClause, clauses);
	if (context.clause->partitionClause || context.clause->orderClause == NIL ||
		!(context.clause->frameOptions & FRAMEOPTION_END_CURRENT_ROW))
		return 0;
	(void) find_bound((Node *) root->parse->targetList, &context);
	if (context.needs_all)
		return 0;
	if (root->tuple_fraction >= 1 && root->parse->distinctClause == NIL &&
		pathkeys_contained_in(root->sort_pathkeys, root->window_pathkeys))
		wanted = root->tuple_fraction;
	if (wanted == 0 || (context.bound > 0 && context.bound < wanted))
		wanted = context.bound;
	return wanted > 0 ? wanted + ROWS_PAST_WINDOW : 0;
}

/*
 * rows_wanted
 *		How many rows of a relation are wanted, as far as the query says; 0 for
 *		all.  pathkeys are those of the scan.
 */
static double
rows_wanted(PlannerInfo *root, RelOptInfo *rel, List *pathkeys)
{
	const Query *parse = root->parse;

	if (!graph_is_all_of_query(root, rel) ||
		(root->query_pathkeys && pathkeys == NIL))
		return 0;
	if (root->limit_tuples > 0)
		return root->limit_tuples +
			(parse->limitOption == LIMIT_OPTION_WITH_TIES ? USUAL_TIES : 0);
	if (parse->hasAggs && parse->groupClause == NIL)
		return 0;
	if (parse->hasWindowFuncs)
		return rows_below_windows(root);
	return root->tuple_fraction >= 1 ? root->tuple_fraction : 0;
}

/*
 * graph_first_page
 *		How many alerts the first page should hold; INT_MAX if all are wanted.
 *
 * pathkeys are those of the scan; exact tells whether each alert gives a row
 * that is wanted.  More than a page, of page_size at most, is how many alerts of
 * the list are likely to be enough.
 */
int
graph_first_page(PlannerInfo *root, RelOptInfo *rel, List *pathkeys,
				 bool exact, int page_size)
{
	double		wanted = rows_wanted(root, rel, pathkeys);

	if (wanted <= 0)
		return INT_MAX;

	/* of a few alerts it could not be seen that they are the first in order */
	if (pathkeys)
		wanted = Max(wanted, GRAPH_SMALLEST_PROOF);

	/* an incremental sort looks one row further, for the end of a group */
	if (list_length(root->query_pathkeys) > list_length(pathkeys))
		wanted++;
	if (!exact)
		wanted = Max(wanted, Min(SMALLEST_CHECKED_PAGE, page_size));
	return (int) Min(wanted, INT_MAX - 1);
}
