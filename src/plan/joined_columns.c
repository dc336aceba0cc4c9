/*-------------------------------------------------------------------------
 *
 * joined_columns.c
 *		Which columns has a row that was joined here?
 *
 * From PostgreSQL 16 on a column says by which outer joins it has been made
 * null, so that a clause of such a join and what is above it name the same
 * column in two ways, and the planner insists that all of a plan node use one.
 * Here a node has a single row, on which its own clauses are checked too: each
 * column is in it once, as the nodes above know it, and the clauses are made to
 * name it like that.
 *
 * What this file refuses to know: which tables are joined, and how.
 *
 * IDENTIFICATION
 *		src/plan/joined_columns.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

#include "plan/graph_plan.h"

/*
 * graph_find_var
 *		The one among these expressions that is the same column, or NULL.
 */
const Var  *
graph_find_var(const List *exprs, const Var *var)
{
	ListCell   *cell;

	foreach(cell, exprs)
	{
		const Var  *other = lfirst(cell);

		if (IsA(other, Var) && other->varno == var->varno &&
			other->varattno == var->varattno)
			return other;
	}
	return NULL;
}

/*
 * graph_joined_columns
 *		The columns that a relation gives and those that clauses read, each once.
 *		What is no column, but stands for an expression, is there as it is.
 */
List *
graph_joined_columns(const RelOptInfo *joinrel, List *clauses)
{
	List	   *exprs = list_concat_copy(joinrel->reltarget->exprs, clauses);
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, pull_var_clause((Node *) exprs, PVC_INCLUDE_PLACEHOLDERS))
	{
		Expr	   *expr = lfirst(cell);

		if (!IsA(expr, Var) || graph_find_var(result, (Var *) expr) == NULL)
			result = lappend(result, expr);
	}
	return result;
}

/*
 * name_alike
 *		Walker of graph_name_alike().
 */
static bool
name_alike(Node *node, void *columns)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		const Var  *column = graph_find_var(columns, (Var *) node);

		if (column)
			graph_nulled_like((Var *) node, column);
		return false;
	}
	return expression_tree_walker(node, name_alike, columns);
}

/*
 * graph_name_alike
 *		A copy of clauses in which each of these columns is named like it is here.
 */
List *
graph_name_alike(List *clauses, List *columns)
{
	List	   *result = copyObject(clauses);

	(void) name_alike((Node *) result, columns);
	return result;
}
