/*-------------------------------------------------------------------------
 *
 * batch_plan.c
 *		Which joins look up their alerts in batches?
 *
 * A nested loop asks for the alert of one row, waits, and asks for the next.
 * Where one side of a join is a table of ours, or several that are read as one
 * stream (join_plan.c), and the other side says which alerts it wants, a custom
 * scan takes several rows of the other side, asks for their alerts together, as
 * many at once as the option concurrency allows, and gives the joined rows in
 * the order of the other side (exec/batch_scan.c).
 *
 * The plan below it that asks is an ordinary scan of these with all their own
 * clauses, but its ids come from the custom scan, by a parameter
 * that no clause mentions.
 *
 * A query that changes or locks rows may have to check a row again, which a
 * batch cannot do; such queries have their nested loop.  An INSERT changes no
 * row that it reads, and an UPDATE of a foreign table checks none again.
 * Neither is there a batch where alerts are joined with what is in them, or
 * sub-selects look into the alerts that it would ask for: what is wanted of the
 * alert at hand needs no request (exec/at_hand.c).
 *
 * What this file refuses to know: HTTP, JSON, how the rows are kept.
 *
 * Sources: PostgreSQL, "Writing a Custom Scan Provider".
 *
 * IDENTIFICATION
 *		src/plan/batch_plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paramassign.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/selfuncs.h"

#include "plan/graph_plan.h"

/*
 * The largest batch takes so many rounds of requests.  At its end fewer are
 * under way, and the more rounds there are the less that matters.
 */
#define MOST_ROUNDS	16

/* The hook that was there before ours. */
static set_join_pathlist_hook_type next_hook = NULL;

/* A join that could be done in batches, while it is looked at. */
typedef struct BatchJoin
{
	RelOptInfo *joinrel;
	RelOptInfo *outer;
	RelOptInfo *inner;			/* a table of ours, or several that are read
								 * as one stream */
	List	   *tables;			/* RelOptInfo: these, or that one */
	JoinType	jointype;
	List	   *restrictlist;
	bool		by_owner;		/* the key is the id of what the alerts belong
								 * to, and not their own */
	RestrictInfo *by_key;		/* one of it: "key = expression of outer" */
	Expr	   *outer_key;		/* the expression */
	Var		   *key;			/* the column, of a table that has a row for
								 * each row of inner */
} BatchJoin;

static Plan *plan_batch(PlannerInfo *root, RelOptInfo *joinrel,
						CustomPath *best_path, List *tlist, List *clauses,
						List *custom_plans);

static const CustomPathMethods path_methods = {
	.CustomName = GRAPH_BATCH_NAME,
	.PlanCustomPath = plan_batch,
};

/*-------------------------------------------------------------------------
 * Paths
 *-------------------------------------------------------------------------
 */

/*
 * is_table
 *		Is this a table of ours that stands alone in FROM?
 */
static bool
is_table(const RelOptInfo *rel)
{
	return rel->reloptkind == RELOPT_BASEREL && graph_is_ours(rel);
}

/*
 * is_stream
 *		Are these tables of ours that are read as one stream?
 */
static bool
is_stream(const RelOptInfo *rel)
{
	return rel->reloptkind == RELOPT_JOINREL && graph_is_ours(rel);
}

/*
 * tables_of
 *		The tables of one side: RelOptInfo.
 */
static List *
tables_of(RelOptInfo *rel)
{
	List	   *result = NIL;
	ListCell   *cell;

	if (!is_stream(rel))
		return list_make1(rel);
	foreach(cell, ((GraphJoinInfo *) rel->fdw_private)->members)
		result = lappend(result, ((GraphJoinMember *) lfirst(cell))->rel);
	return result;
}

/*
 * first_info
 *		What is known of the first table of one side, whose options count.
 */
static GraphRelInfo *
first_info(RelOptInfo *rel)
{
	return ((RelOptInfo *) linitial(tables_of(rel)))->fdw_private;
}

/*
 * are_stable
 *		Do these clauses come to the same whenever they are checked?
 */
static bool
are_stable(List *rinfos)
{
	ListCell   *cell;

	foreach(cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (rinfo->pseudoconstant ||
			contain_volatile_functions((Node *) rinfo->clause))
			return false;
	}
	return true;
}

/*
 * can_be_kept
 *		May the rows of a table be kept for the next row that wants them?
 *
 * Only if no clause of its own comes to something else the next time, and none
 * names ids itself.
 */
static bool
can_be_kept(const RelOptInfo *rel)
{
	const GraphRelInfo *info = rel->fdw_private;

	return info->pushdown.keys == NIL && bms_is_empty(rel->lateral_relids) &&
		are_stable(rel->baserestrictinfo);
}

/*
 * all_can_be_kept
 *		The same for the rows of one table, or of several that are one stream.
 */
static bool
all_can_be_kept(const BatchJoin *join)
{
	const GraphJoinInfo *stream = join->inner->fdw_private;
	ListCell   *cell;

	foreach(cell, join->tables)
	{
		if (!can_be_kept(lfirst(cell)))
			return false;
	}
	if (!is_stream(join->inner))
		return true;
	foreach(cell, stream->members)
	{
		if (!are_stable(((GraphJoinMember *) lfirst(cell))->match))
			return false;
	}
	return are_stable(stream->filters);
}

/*
 * is_at_hand
 *		Does the other side read the wanted alert itself, from the same server?
 *
 * Like graph_is_key_column(), an error for a column that reads nothing.
 */
static bool
is_at_hand(const BatchJoin *join)
{
	ListCell   *cell;

	if (join->by_owner || join->outer->fdw_private == NULL ||
		join->outer->serverid != join->inner->serverid)
		return false;
	if (!is_table(join->outer) && !is_stream(join->outer))
		return false;
	foreach(cell, tables_of(join->outer))
	{
		if (graph_is_key_column(lfirst(cell), join->outer_key))
			return true;
	}
	return false;
}

/*
 * is_read_by_subplans
 *		Do sub-selects look into the alerts that would be asked for?
 */
static bool
is_read_by_subplans(PlannerInfo *root, const BatchJoin *join)
{
	ListCell   *cell;

	foreach(cell, join->tables)
	{
		if (graph_is_read_by_subplans(root, lfirst(cell)))
			return true;
	}
	return false;
}

/*
 * is_key_of
 *		Is this expression a column of the table by which its alerts are looked
 *		up?
 *
 * Like graph_is_key_column(), an error for a column that reads nothing.
 */
static bool
is_key_of(const BatchJoin *join, RelOptInfo *table, Expr *expr)
{
	return join->by_owner ? graph_is_owner_column(table, expr) :
		graph_is_key_column(table, expr);
}

/*
 * find_key
 *		The column that an expression is, if it is the alert's id, or that of what
 *		the alert belongs to, in a table that has a row for each row of the inner
 *		side; else NULL.
 *
 * Like graph_is_key_column(), an error for a column that reads nothing.
 */
static Var *
find_key(const BatchJoin *join, Expr *expr)
{
	const GraphJoinInfo *stream = join->inner->fdw_private;
	ListCell   *cell;

	if (!is_stream(join->inner))
		return is_key_of(join, join->inner, expr) ?
			graph_own_var(join->inner, expr) : NULL;
	foreach(cell, stream->members)
	{
		const GraphJoinMember *member = lfirst(cell);

		if (member->jointype == JOIN_INNER &&
			is_key_of(join, member->rel, expr))
			return graph_own_var(member->rel, expr);
	}
	return NULL;
}

/*
 * is_by_key
 *		Does this clause say which alert each row of the other side wants?  Then
 *		it is in the join.
 *
 * Like graph_is_key_column(), an error for a column that reads nothing.
 */
static bool
is_by_key(BatchJoin *join, RestrictInfo *rinfo)
{
	OpExpr	   *op = (OpExpr *) rinfo->clause;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2 ||
		!graph_is_text_equality(op->opno, op->inputcollid))
		return false;
	for (int side = 0; side < 2; side++)
	{
		Expr	   *inner = list_nth(op->args, side);
		Expr	   *outer = list_nth(op->args, 1 - side);
		Relids		relids = side == 0 ? rinfo->right_relids : rinfo->left_relids;
		Var		   *key = find_key(join, inner);

		if (key == NULL || bms_is_empty(relids) ||
			!bms_is_subset(relids, join->outer->relids) ||
			exprType((Node *) outer) != TEXTOID ||
			contain_volatile_functions((Node *) outer))
			continue;
		join->by_key = rinfo;
		join->outer_key = outer;
		join->key = key;
		return true;
	}
	return false;
}

/*
 * find_by_key
 *		Find the clause that says which alert, or (by_owner) the alerts of what,
 *		each row of the other side wants; false if there is none that makes a
 *		match.
 */
static bool
find_by_key(BatchJoin *join, bool by_owner)
{
	ListCell   *cell;

	join->by_owner = by_owner;

	foreach(cell, join->restrictlist)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (IS_OUTER_JOIN(join->jointype) &&
			RINFO_IS_PUSHED_DOWN(rinfo, join->joinrel->relids))
			continue;
		if (is_by_key(join, rinfo))
			return true;
	}
	return false;
}

/*
 * can_be_combined
 *		Is everything that the joined row needs a column of either side's row?
 */
static bool
can_be_combined(const BatchJoin *join)
{
	List	   *outer = join->outer->reltarget->exprs;
	List	   *inner = join->inner->reltarget->exprs;
	ListCell   *cell;

	foreach(cell, graph_joined_columns(join->joinrel,
									   extract_actual_clauses(join->restrictlist,
															  false)))
	{
		Var		   *var = lfirst(cell);

		if (!IsA(var, Var) ||
			(graph_find_var(outer, var) == NULL && graph_find_var(inner, var) == NULL))
			return false;
	}
	return graph_find_var(inner, join->key) != NULL;
}

/*
 * checks_again
 *		May the query have to check a row again that somebody has changed
 *		meanwhile?
 *
 * Who changes rows of a foreign table finds them as they were read.
 */
static bool
checks_again(const PlannerInfo *root)
{
	const Query *parse = root->parse;

	if (parse->commandType == CMD_UPDATE)
		return parse->rowMarks != NIL ||
			planner_rt_fetch(parse->resultRelation, root)->relkind != RELKIND_FOREIGN_TABLE;
	return root->rowMarks != NIL ||
		(parse->commandType != CMD_SELECT && parse->commandType != CMD_INSERT);
}

/*
 * may_be_batched
 *		Is this a join, in a query, that can be done in batches?
 */
static bool
may_be_batched(const PlannerInfo *root, const BatchJoin *join)
{
	const RelOptInfo *joinrel = join->joinrel;
	JoinType	jointype = join->jointype;

	return (jointype == JOIN_INNER || jointype == JOIN_LEFT ||
			jointype == JOIN_SEMI || jointype == JOIN_ANTI) &&
		joinrel->reloptkind == RELOPT_JOINREL &&
		!checks_again(root) && bms_is_empty(joinrel->lateral_relids) &&
		first_info(join->inner)->options.pushdown.join &&
		all_can_be_kept(join) && graph_are_plain(join->restrictlist);
}

/*
 * count_keys
 *		About how many ids do so many rows of the other side name?
 *
 * Where nothing is known of them, each row may name another: a guess that is
 * too low would cost a request for each alert that it is short of.
 */
static double
count_keys(PlannerInfo *root, const BatchJoin *join, double rows)
{
	VariableStatData variable;
	bool		is_default;

	examine_variable(root, (Node *) join->outer_key, 0, &variable);
	(void) get_variable_numdistinct(&variable, &is_default);
	ReleaseVariableStats(variable);
	if (is_default)
		return clamp_row_est(rows);
	return estimate_num_groups(root, list_make1(join->outer_key), rows, NULL,
							   NULL);
}

/*
 * make_inner_path
 *		The path by which so many alerts are looked up.
 */
static Path *
make_inner_path(PlannerInfo *root, const BatchJoin *join, double keys)
{
	GraphRelInfo *info = first_info(join->inner);
	RelOptInfo *inner = join->inner;
	List	   *private = list_make2(makeBoolean(false), join->key);
	GraphPrice	price;
	double		rows;

	graph_price_lookups(info, join->by_owner ? join->key : NULL, keys, &price);
	if (!is_stream(inner))
	{
		rows = clamp_row_est(Min(price.rows, inner->rows));
		return (Path *)
			graph_create_foreignscan_path(root, inner, NULL, rows,
										  price.startup, price.total, NIL, NULL,
										  NULL, private);
	}
	keys *= graph_records_per_key(root, join->by_owner ? join->key : NULL);
	rows = clamp_row_est(inner->rows * Min(keys / info->alerts, 1.0));
	return (Path *)
		graph_create_foreign_join_path(root, inner, NULL, rows, price.startup,
									   price.total + cpu_tuple_cost * rows,
									   NIL, NULL, NULL, private);
}

/*
 * add_batch_path
 *		Offer to join the rows of one path, which come from so many, in batches.
 */
static void
add_batch_path(PlannerInfo *root, const BatchJoin *join, Path *outer,
			   double rows)
{
	CustomPath *path = makeNode(CustomPath);
	Path	   *inner = make_inner_path(root, join,
										count_keys(root, join, rows));

	path->path.pathtype = T_CustomScan;
	path->path.parent = join->joinrel;
	path->path.pathtarget = join->joinrel->reltarget;
	path->path.rows = join->joinrel->rows;
	graph_path_disabled_like(&path->path, outer);
	path->path.startup_cost = outer->startup_cost + inner->startup_cost;
	path->path.total_cost = outer->total_cost + inner->total_cost +
		cpu_operator_cost * outer->rows + cpu_operator_cost * path->path.rows;
	path->path.pathkeys = build_join_pathkeys(root, join->joinrel,
											  join->jointype, outer->pathkeys);
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make2(outer, inner);
	path->custom_private = list_make4(makeInteger(join->jointype),
									  join->outer_key, join->by_key,
									  join->restrictlist);
	path->methods = &path_methods;
	add_path(join->joinrel, &path->path);
}

/*
 * add_batch_paths
 *		Offer to join the rows of those paths of the other side that are the
 *		cheapest or in some order.
 */
static void
add_batch_paths(PlannerInfo *root, const BatchJoin *join)
{
	ListCell   *cell;

	foreach(cell, join->outer->pathlist)
	{
		Path	   *path = lfirst(cell);

		if (PATH_REQ_OUTER(path) == NULL &&
			(path == join->outer->cheapest_total_path ||
			 path == join->outer->cheapest_startup_path || path->pathkeys))
			add_batch_path(root, join, path, path->rows);
	}
}

/*
 * set_join_pathlist
 *		Planner hook: offer a join in batches, if that can be.
 *
 * What is said of nested loops is meant for batches too: both ask for alert
 * after alert.
 */
static void
set_join_pathlist(PlannerInfo *root, RelOptInfo *joinrel,
				  RelOptInfo *outerrel, RelOptInfo *innerrel,
				  JoinType jointype, JoinPathExtraData *extra)
{
	BatchJoin	join = {
		.joinrel = joinrel,
		.outer = outerrel,
		.inner = innerrel,
		.jointype = jointype == JOIN_UNIQUE_OUTER ? JOIN_INNER : jointype,
		.restrictlist = extra->restrictlist,
	};
	Path	   *unique;

	if (next_hook)
		next_hook(root, joinrel, outerrel, innerrel, jointype, extra);
	if (!enable_nestloop || (!is_table(innerrel) && !is_stream(innerrel)))
		return;
	if (graph_is_reduced(innerrel, extra->sjinfo, jointype) ||
		graph_is_grouped(outerrel))
		return;
	join.tables = tables_of(innerrel);
	if (!may_be_batched(root, &join) ||
		!(find_by_key(&join, false) || find_by_key(&join, true)) ||
		is_at_hand(&join) || is_read_by_subplans(root, &join) ||
		!can_be_combined(&join))
		return;
	if (jointype != JOIN_UNIQUE_OUTER)
	{
		add_batch_paths(root, &join);
		return;
	}
	unique = graph_unique_path(root, outerrel, extra->sjinfo);
	if (unique && PATH_REQ_OUTER(unique) == NULL)
		add_batch_path(root, &join, unique, outerrel->rows);
}

/*
 * graph_batch_init
 *		The library has been loaded: let the planner ask us about joins.
 */
void
graph_batch_init(void)
{
	next_hook = set_join_pathlist_hook;
	set_join_pathlist_hook = set_join_pathlist;
}

/*-------------------------------------------------------------------------
 * Plans
 *-------------------------------------------------------------------------
 */

/*
 * graph_batched_key
 *		The column that holds the alert's id in the rows of a path that is told
 *		by a batch which alerts are wanted; NULL for any other path.
 */
Var *
graph_batched_key(const ForeignPath *path)
{
	Node	   *key = path->fdw_private ? llast(path->fdw_private) : NULL;

	return key && IsA(key, Var) ? (Var *) key : NULL;
}

/*
 * graph_batch_private
 *		Tell a plan whose keys are a batch's how it gets them: by a parameter,
 *		and under which column of the table they are explained.
 */
void
graph_batch_private(PlannerInfo *root, ForeignScan *plan, Var *key)
{
	Param	   *param = generate_new_exec_param(root, TEXTARRAYOID, -1,
												InvalidOid);

	lfirst(list_nth_cell(plan->fdw_private, GRAPH_PLAN_KEYS)) =
		list_make1_int(list_length(plan->fdw_exprs));
	lfirst(list_nth_cell(plan->fdw_private, GRAPH_PLAN_MOST_KEYS)) =
		makeInteger(INT_MAX);
	lfirst(list_nth_cell(plan->fdw_private, GRAPH_PLAN_BATCH)) =
		makeInteger(param->paramid);
	plan->fdw_exprs = lappend(plan->fdw_exprs, key);
}

/*
 * find_column
 *		The number of a column in a plan's rows, or 0.
 */
static int
find_column(const Plan *plan, const Var *var)
{
	ListCell   *cell;

	foreach(cell, plan->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Var		   *other = (Var *) entry->expr;

		if (IsA(other, Var) && other->varno == var->varno &&
			other->varattno == var->varattno)
			return entry->resno;
	}
	return 0;
}

/*
 * find_sources
 *		Where the columns of the joined row come from: the number of one in the
 *		outer plan's row, or less than 0, in the inner's.
 */
static List *
find_sources(List *target, const Plan *outer, const Plan *inner)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, target)
	{
		Var		   *var = castNode(Var, lfirst_node(TargetEntry, cell)->expr);
		int			number = find_column(outer, var);

		if (number == 0)
			number = -find_column(inner, var);
		if (number == 0)
			elog(ERROR, "graph_fdw: column %d of relation %d is missing in a batch",
				 var->varattno, (int) var->varno);
		result = lappend_int(result, number);
	}
	return result;
}

/*
 * first_batch
 *		For how many alerts the first batch asks.
 *
 * If a part of the rows may do, a few are asked for first, and then more and
 * more.
 */
static int
first_batch(const PlannerInfo *root, int most)
{
	double		wanted = root->limit_tuples;

	if (root->tuple_fraction <= 0)
		return most;
	return wanted > 0 ? (int) Min(wanted, most) : 1;
}

/*
 * join_clauses
 *		The clauses that make a match beside the key, and (*filters) those that
 *		are checked on the joined row.
 */
static List *
join_clauses(const RelOptInfo *joinrel, JoinType jointype, List *restrictlist,
			 RestrictInfo *by_key, List **filters)
{
	List	   *rest = list_delete_ptr(list_copy(restrictlist), by_key);
	List	   *match;

	*filters = NIL;
	if (!IS_OUTER_JOIN(jointype))
		return extract_actual_clauses(rest, false);
	extract_actual_join_clauses(rest, joinrel->relids, &match, filters);
	return match;
}

/*
 * explained_key
 *		The clause by which the key is found, with the key first.
 */
static Expr *
explained_key(const RestrictInfo *by_key, const Expr *outer_key)
{
	OpExpr	   *op = makeNode(OpExpr);

	*op = *(OpExpr *) by_key->clause;
	if (linitial(op->args) == outer_key)
		op->args = list_make2(lsecond(op->args), linitial(op->args));
	return (Expr *) op;
}

/*
 * plan_batch
 *		Make the plan node of a join in batches: see GraphBatchPrivate.
 */
static Plan *
plan_batch(PlannerInfo *root, RelOptInfo *joinrel, CustomPath *best_path,
		   List *tlist, List *clauses, List *custom_plans)
{
	JoinType	jointype = intVal(linitial(best_path->custom_private));
	Expr	   *outer_key = lsecond(best_path->custom_private);
	RestrictInfo *by_key = lthird_node(RestrictInfo, best_path->custom_private);
	List	   *restrictlist = lfourth(best_path->custom_private);
	Plan	   *outer = linitial(custom_plans);
	ForeignScan *inner = lsecond_node(ForeignScan, custom_plans);
	GraphRelInfo *info =
		first_info(((Path *) lsecond(best_path->custom_paths))->parent);
	Var		   *key = graph_batched_key(lsecond(best_path->custom_paths));
	int			least = info->options.limits.concurrency;
	int			most = least * MOST_ROUNDS;
	CustomScan *plan = makeNode(CustomScan);
	List	   *filters;
	List	   *match = join_clauses(joinrel, jointype, restrictlist, by_key,
									 &filters);
	List	   *columns;

	match = list_concat(list_make2(outer_key, explained_key(by_key, outer_key)),
						match);
	columns = graph_joined_columns(joinrel,
								   list_concat_copy(filters, match));
	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = graph_name_alike(filters, columns);
	plan->custom_plans = custom_plans;
	plan->custom_exprs = graph_name_alike(match, columns);
	plan->custom_scan_tlist = add_to_flat_tlist(NIL, columns);
	plan->custom_private =
		list_make4(makeInteger(jointype),
				   makeInteger(graph_plan_int(inner, GRAPH_PLAN_BATCH)),
				   makeInteger(find_column(&inner->scan.plan, key)),
				   find_sources(plan->custom_scan_tlist, outer,
								&inner->scan.plan));
	plan->custom_private = lappend(plan->custom_private,
								   makeInteger(first_batch(root, most)));
	plan->custom_private = lappend(plan->custom_private, makeInteger(least));
	plan->custom_private = lappend(plan->custom_private, makeInteger(most));
	plan->flags = best_path->flags;
	plan->methods = GetCustomScanMethods(GRAPH_BATCH_NAME, false);
	return &plan->scan.plan;
}
