/*-------------------------------------------------------------------------
 *
 * join_plan.c
 *		Which tables are read as one stream?
 *
 * Alerts, their evidence and their comments come in the same answers, so
 * tables of them that are joined by the alert's id need no more requests
 * together than one of them alone.  Such a join of any number of them, inner,
 * left, semi or anti, is one scan: each alert is read once, and its rows are
 * the product of what the tables find in it (exec/join_row.c).
 *
 * The alert's id needs no check: all sides read it from the same alert.  Every
 * other clause is checked in the scan, as early as the rows that it is about
 * are there: a table's own restrictions on its row, what makes a match of a
 * left, semi or anti join before that is known, and the rest as soon as the
 * last table that it reads has a row.
 *
 * A query that changes or locks rows of another table may have to check its row
 * again, with the same rows of ours.  It does so by a local join of whole rows,
 * which the joined scan then gives and whose plan hangs below it.  An INSERT
 * never does.
 *
 * What this file refuses to know: HTTP, JSON, how a condition is written.
 *
 * IDENTIFICATION
 *		src/plan/join_plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/memutils.h"

#include "plan/graph_plan.h"

/*
 * as_join
 *		A base relation, or one that was joined here before, as a join; NULL
 *		where that may not be, by the server's option or by what it is.
 */
static GraphJoinInfo *
as_join(RelOptInfo *rel)
{
	GraphJoinInfo *join;
	GraphJoinMember *member;

	if (rel->fdw_private == NULL)
		return NULL;
	if (IS_JOIN_REL(rel))
		return rel->fdw_private;
	if (rel->reloptkind != RELOPT_BASEREL ||
		!((GraphRelInfo *) rel->fdw_private)->options.pushdown.join)
		return NULL;
	member = palloc0(sizeof(GraphJoinMember));
	member->rel = rel;
	member->jointype = JOIN_INNER;
	join = palloc0(sizeof(GraphJoinInfo));
	join->selectivity = 1;
	join->entity_set = ((GraphRelInfo *) rel->fdw_private)->resource->entity_set;
	join->members = list_make1(member);
	return join;
}

/*
 * is_member_key
 *		Is this expression the alert's id in a table that always has a row?
 *
 * Like graph_is_key_column(), an error for a column that reads nothing.
 */
static bool
is_member_key(GraphJoinInfo *join, Expr *expr)
{
	ListCell   *cell;

	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);

		if (member->jointype == JOIN_INNER &&
			graph_is_key_column(member->rel, expr))
			return true;
	}
	return false;
}

/*
 * joins_by_id
 *		Does this clause say that both sides are of the same alert?
 *
 * Like graph_is_key_column(), an error for a column that reads nothing.
 */
static bool
joins_by_id(GraphJoinInfo *outer, GraphJoinInfo *inner, Expr *clause)
{
	OpExpr	   *op = (OpExpr *) clause;

	if (!IsA(clause, OpExpr) || list_length(op->args) != 2 ||
		!graph_is_text_equality(op->opno, op->inputcollid))
		return false;
	return (is_member_key(outer, linitial(op->args)) &&
			is_member_key(inner, lsecond(op->args))) ||
		(is_member_key(inner, linitial(op->args)) &&
		 is_member_key(outer, lsecond(op->args)));
}

/*
 * only_key
 *		The expression of the one id that the restrictions of a join's tables
 *		name, or NULL.
 */
static Node *
only_key(GraphJoinInfo *join)
{
	ListCell   *cell;

	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);
		GraphRelInfo *info = member->rel->fdw_private;
		List	   *keys = info->pushdown.keys;
		Node	   *key;

		/* what a nullable table is restricted to restricts no other */
		if (member->jointype != JOIN_INNER || list_length(keys) != 1 ||
			info->pushdown.owner_column)
			continue;
		key = list_nth(info->pushdown.values, linitial_int(keys));
		if (exprType(key) == TEXTOID)
			return key;
	}
	return NULL;
}

/*
 * have_same_key
 *		Are both sides restricted to the same alert?
 *
 * The planner makes "a.id = 'x' AND e.alert_id = 'x'" of "a.id = e.alert_id
 * AND a.id = 'x'", and has no join clause left then.
 */
static bool
have_same_key(GraphJoinInfo *outer, GraphJoinInfo *inner)
{
	Node	   *key = only_key(outer);

	return key && equal(key, only_key(inner));
}

/*
 * graph_are_plain
 *		Are these clauses that a joined scan or a batch can check: of the lowest
 *		security level, without sub-selects, and none that gates the whole plan?
 */
bool
graph_are_plain(List *rinfos)
{
	ListCell   *cell;

	foreach(cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (rinfo->pseudoconstant || rinfo->security_level > 0 ||
			contain_subplans((Node *) rinfo->clause))
			return false;
	}
	return true;
}

/*
 * has_plain_target
 *		Are the columns that the join gives ordinary ones, or whole rows where
 *		the query needs these?  Otherwise they, system columns and placeholders
 *		are left to the executor's own join.
 */
static bool
has_plain_target(List *exprs, bool whole_rows)
{
	ListCell   *cell;

	foreach(cell, exprs)
	{
		Var		   *var = lfirst(cell);

		if (!IsA(var, Var) || var->varattno < (whole_rows ? 0 : 1))
			return false;
	}
	return true;
}

/*
 * is_true
 *		Is this what the planner leaves, from 16 on, of a clause of an outer join
 *		that it has put into restrictions?
 */
static bool
is_true(Expr *clause)
{
	Const	   *constant = (Const *) clause;

	return IsA(clause, Const) && !constant->constisnull &&
		DatumGetBool(constant->constvalue);
}

/*
 * find_join_clauses
 *		Find the clauses that make a match of two, if that is left, semi or anti,
 *		and those to check on their combined row; false if they cannot be one
 *		scan.
 */
static bool
find_join_clauses(GraphJoinInfo *outer, GraphJoinInfo *inner,
				  RelOptInfo *joinrel, JoinType jointype, List *restrictlist,
				  List **match, List **filters)
{
	bool		by_id = have_same_key(outer, inner);
	ListCell   *cell;

	*match = *filters = NIL;
	if (jointype != JOIN_INNER && list_length(inner->members) > 1)
		return false;
	foreach(cell, restrictlist)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		bool		is_filter = jointype == JOIN_INNER ||
			(jointype != JOIN_SEMI &&
			 RINFO_IS_PUSHED_DOWN(rinfo, joinrel->relids));

		if (is_true(rinfo->clause))
			continue;
		if ((!is_filter || jointype == JOIN_INNER) &&
			joins_by_id(outer, inner, rinfo->clause))
			by_id = true;
		else if (is_filter)
			*filters = lappend(*filters, rinfo);
		else
			*match = lappend(*match, rinfo);
	}
	return by_id;
}

/*
 * members_are_plain
 *		Has no table a restriction that a joined scan cannot check?
 */
static bool
members_are_plain(GraphJoinInfo *join)
{
	ListCell   *cell;

	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);

		if (!graph_are_plain(member->rel->baserestrictinfo) ||
			!bms_is_empty(member->rel->lateral_relids))
			return false;
	}
	return true;
}

/*
 * graph_is_alert
 *		Is a row of this table a whole alert, so that each has one row at most?
 */
bool
graph_is_alert(RelOptInfo *rel)
{
	return ((GraphRelInfo *) rel->fdw_private)->resource->rows_member == NULL;
}

/*
 * combine
 *		The join of two.
 */
static GraphJoinInfo *
combine(GraphJoinInfo *outer, GraphJoinInfo *inner, JoinType jointype,
		List *match, List *filters)
{
	GraphJoinInfo *join = palloc0(sizeof(GraphJoinInfo));
	ListCell   *cell;

	join->entity_set = outer->entity_set;
	join->members = list_copy(outer->members);
	join->filters = list_concat_copy(outer->filters, inner->filters);
	join->selectivity = outer->selectivity * inner->selectivity;
	foreach(cell, inner->members)
	{
		GraphJoinMember *member = palloc(sizeof(GraphJoinMember));

		*member = *(GraphJoinMember *) lfirst(cell);
		if (jointype == JOIN_SEMI && graph_is_alert(member->rel))
		{
			/* it gives one row at most anyway */
			filters = list_concat_copy(filters, match);
		}
		else if (jointype != JOIN_INNER)
		{
			member->jointype = jointype;
			member->match = match;
		}
		join->members = lappend(join->members, member);
	}
	join->filters = list_concat(join->filters, filters);
	return join;
}

/*
 * is_required
 *		Is no alert wanted that has no row in this table?
 */
static bool
is_required(const GraphJoinMember *member)
{
	return member->jointype == JOIN_INNER || member->jointype == JOIN_SEMI;
}

/*
 * first_with_keys
 *		The table whose restrictions name the fewest ids, or NULL.
 */
static GraphJoinMember *
first_with_keys(GraphJoinInfo *join)
{
	GraphJoinMember *result = NULL;
	int			fewest = 0;
	ListCell   *cell;

	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);
		const GraphRelInfo *info = member->rel->fdw_private;
		int			most;

		if (!is_required(member) || info->pushdown.keys == NIL)
			continue;
		(void) graph_named_ids(&info->pushdown, info->pushdown.keys, &most);
		if (result && most >= fewest)
			continue;
		result = member;
		fewest = most;
	}
	return result;
}

/*
 * graph_classify_members
 *		What of a joined scan's restrictions is sent.
 *
 * Those of a left or anti join's inner side are not: alerts without a match
 * are wanted too.  A table whose restrictions name ids comes first.  Where the
 * ids are told by a batch, no restriction names any.
 */
void
graph_classify_members(GraphJoinInfo *join, Var *batched_key,
					   GraphPushdown *pushdown)
{
	GraphJoinMember *first = batched_key ? NULL : first_with_keys(join);
	ListCell   *cell;

	graph_pushdown_init(pushdown);
	foreach(cell, join->members)
	{
		RelOptInfo *rel = ((GraphJoinMember *) lfirst(cell))->rel;

		if (batched_key && (Index) batched_key->varno == rel->relid)
			graph_batch_keys(pushdown, rel, batched_key);
	}
	if (first)
		graph_classify_clauses(first->rel, first->rel->baserestrictinfo,
							   pushdown);
	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);

		if (is_required(member) && member != first)
			graph_classify_clauses(member->rel, member->rel->baserestrictinfo,
								   pushdown);
	}
}

/*
 * matches_per_alert
 *		About how many rows that pass its own restrictions has a table for each
 *		alert that is read?
 */
static double
matches_per_alert(const GraphJoinMember *member, double alerts)
{
	const GraphRelInfo *info = member->rel->fdw_private;
	double		per_alert = member->rel->rows / info->alerts;

	/*
	 * what restricts a table of which rows are required, also chose the
	 * alerts
	 */
	if (member->jointype == JOIN_INNER || member->jointype == JOIN_SEMI)
		per_alert = Min(per_alert * info->alerts / alerts,
						member->rel->tuples / info->alerts);
	return per_alert;
}

/*
 * price_members
 *		Add to a price, which is that of reading the alerts, what it costs to
 *		check each table's rows in them and to combine these: price->rows becomes
 *		their number.
 */
static void
price_members(GraphJoinInfo *join, GraphPrice *price)
{
	double		alerts = price->rows;
	ListCell   *cell;

	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);
		RelOptInfo *rel = member->rel;
		double		elements = alerts * rel->tuples /
			((GraphRelInfo *) rel->fdw_private)->alerts;
		double		matches = matches_per_alert(member, alerts);

		price->startup += rel->baserestrictcost.startup;
		price->total += rel->baserestrictcost.startup +
			rel->baserestrictcost.per_tuple * elements;
		price->total += cpu_operator_cost * price->rows * Max(matches, 1.0) *
			(1 + list_length(member->match));
		if (member->jointype == JOIN_LEFT)
			matches = Max(matches, 1.0);
		else if (member->jointype == JOIN_SEMI)
			matches = Min(matches, 1.0);
		else if (member->jointype == JOIN_ANTI)
			matches = 1.0 - Min(matches, 0.5);
		price->rows *= matches;
	}
	price->total += cpu_operator_cost * price->rows * list_length(join->filters);
	price->rows = clamp_row_est(price->rows * join->selectivity);
	price->total += cpu_tuple_cost * price->rows;
}

/*
 * price_join
 *		The rows and the cost of a joined scan: the alerts are read once.  True
 *		if they are a list, and not looked up by ids that the query names.
 */
static bool
price_join(PlannerInfo *root, GraphJoinInfo *join, GraphPrice *price)
{
	GraphJoinMember *first = linitial(join->members);
	GraphPushdown pushdown;

	graph_classify_members(join, NULL, &pushdown);
	graph_price_alerts(root, first->rel, &pushdown, price);
	price_members(join, price);
	return pushdown.keys == NIL;
}

/*
 * graph_join_target
 *		The columns of the combined row: all that the query and the clauses
 *		use.
 */
List *
graph_join_target(RelOptInfo *joinrel, GraphJoinInfo *join)
{
	List	   *clauses = extract_actual_clauses(join->filters, false);
	ListCell   *cell;

	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);

		clauses = list_concat(clauses,
							  extract_actual_clauses(member->rel->baserestrictinfo,
													 false));
		clauses = list_concat(clauses,
							  extract_actual_clauses(member->match, false));
	}
	return add_to_flat_tlist(NIL, graph_joined_columns(joinrel, clauses));
}

/*
 * graph_find_join_order
 *		The column by which the service can sort a joined scan as a path key
 *		says, of a table that always has a row; or NULL.
 *
 * That is the time by which the list is in order anyway: the others may change
 * while it is read, see add_ordered_path() in path.c.
 */
Var *
graph_find_join_order(GraphJoinInfo *join, PathKey *pathkey)
{
	ListCell   *cell;

	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);
		GraphRelInfo *info = member->rel->fdw_private;
		const GraphQueryProperty *property;
		AttrNumber	attnum;

		if (member->jointype != JOIN_INNER)
			continue;
		property = graph_find_order(member->rel, pathkey, &attnum);
		if (property && strcmp(property->name, info->resource->default_order) == 0)
			return makeVar(member->rel->relid, attnum, TIMESTAMPTZOID, -1,
						   InvalidOid, 0);
	}
	return NULL;
}

/*
 * add_join_path
 *		Offer to read a join as one stream.
 */
static void
add_join_path(PlannerInfo *root, RelOptInfo *joinrel, const GraphPrice *price,
			  List *pathkeys, Path *local_path)
{
	add_path(joinrel, (Path *)
			 graph_create_foreign_join_path(root, joinrel, NULL, price->rows,
											price->startup, price->total,
											pathkeys, joinrel->lateral_relids,
											local_path, NIL));
}

/*
 * checks_again
 *		May the query have to check a row again that somebody has changed
 *		meanwhile?
 */
static bool
checks_again(PlannerInfo *root)
{
	return root->rowMarks != NIL ||
		(root->parse->commandType != CMD_SELECT &&
		 root->parse->commandType != CMD_INSERT);
}

/*
 * may_be_joined
 *		Is this a kind of join, in a kind of query, that can be one scan?
 *
 * Of a semi or anti join's inner side there may be no row to check again.
 */
static bool
may_be_joined(PlannerInfo *root, const RelOptInfo *joinrel, JoinType jointype)
{
	if (!bms_is_empty(joinrel->lateral_relids))
		return false;
	return jointype == JOIN_INNER || jointype == JOIN_LEFT ||
		((jointype == JOIN_SEMI || jointype == JOIN_ANTI) &&
		 !checks_again(root));
}

/*
 * graphGetForeignJoinPaths
 *		Offer to read two relations as one stream, if they come in the same
 *		answers.
 */
void
graphGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel,
						 RelOptInfo *outerrel, RelOptInfo *innerrel,
						 JoinType jointype, JoinPathExtraData *extra)
{
	GraphJoinInfo *outer = as_join(outerrel);
	GraphJoinInfo *inner = as_join(innerrel);
	GraphJoinInfo *join;
	List	   *match;
	List	   *filters;
	Path	   *local_path = NULL;
	GraphPrice	price;
	bool		is_list;

	if (joinrel->fdw_private || outer == NULL || inner == NULL ||
		strcmp(outer->entity_set, inner->entity_set) != 0 ||
		graph_is_reduced(outerrel, extra->sjinfo, jointype) ||
		graph_is_reduced(innerrel, extra->sjinfo, jointype) ||
		!may_be_joined(root, joinrel, jointype) ||
		!graph_are_plain(extra->restrictlist) ||
		!members_are_plain(outer) || !members_are_plain(inner) ||
		!find_join_clauses(outer, inner, joinrel, jointype,
						   extra->restrictlist, &match, &filters))
		return;

	join = combine(outer, inner, jointype, match, filters);
	if (!has_plain_target(get_tlist_exprs(graph_join_target(joinrel, join),
										  true), checks_again(root)))
		return;
	if (checks_again(root))
	{
		local_path = GetExistingLocalJoinPath(joinrel);
		if (local_path == NULL)
			return;
	}

	join->selectivity *= clauselist_selectivity(root, filters, 0, jointype,
												extra->sjinfo);
	joinrel->fdw_private = join;
	is_list = price_join(root, join, &price);
	add_join_path(root, joinrel, &price, NIL, local_path);
	if (is_list && root->query_pathkeys &&
		graph_find_join_order(join, linitial(root->query_pathkeys)))
		add_join_path(root, joinrel, &price,
					  list_make1(linitial(root->query_pathkeys)), local_path);
}
