/*-------------------------------------------------------------------------
 *
 * join_plan.c
 *		Which tables are read as one stream?
 *
 * Alerts, their evidence and their comments come in the same answers, so
 * tables of them that are joined by the alert's id need no more requests
 * together than one of them alone.  Such a join, inner or left, of any number
 * of them, is one scan: each alert is read once, and its rows are the product
 * of what the tables find in it (exec/join_row.c).
 *
 * For inner joins all clauses stay in the plan's qual and are checked on the
 * combined row.  What restricts the nullable side of a left join has to be
 * checked before its columns become NULL, so those clauses go with the table.
 * The alert's id needs no check: all sides read it from the same alert.
 *
 * A query that changes or locks rows may have to check a row again, which a
 * joined scan cannot do without a local plan at hand; such queries are not
 * joined here.
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

/* One table of a joined scan, while planning. */
typedef struct JoinMember
{
	RelOptInfo *rel;
	bool		nullable;		/* on the inner side of a left join */
} JoinMember;

/* What the planner knows of a joined scan: RelOptInfo.fdw_private. */
typedef struct GraphJoinInfo
{
	const char *entity_set;		/* which all members are read from */
	List	   *members;		/* of JoinMember *; the first is not nullable */
	List	   *rinfos;			/* RestrictInfo: of the joins, checked on the
								 * combined row */
} GraphJoinInfo;

/*
 * as_join
 *		A base relation, or one that was joined here before, as a join; NULL
 *		where that may not be, by the server's option or by what it is.
 */
static GraphJoinInfo *
as_join(RelOptInfo *rel)
{
	GraphJoinInfo *join;
	JoinMember *member;

	if (rel->fdw_private == NULL)
		return NULL;
	if (IS_JOIN_REL(rel))
		return rel->fdw_private;
	if (rel->reloptkind != RELOPT_BASEREL ||
		!((GraphRelInfo *) rel->fdw_private)->options.pushdown.join)
		return NULL;
	member = palloc0(sizeof(JoinMember));
	member->rel = rel;
	join = palloc0(sizeof(GraphJoinInfo));
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
		JoinMember *member = lfirst(cell);

		if (!member->nullable && graph_is_key_column(member->rel, expr))
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
		JoinMember *member = lfirst(cell);
		GraphRelInfo *info = member->rel->fdw_private;
		List	   *keys = info->pushdown.keys;
		Node	   *key;

		/* what a nullable table is restricted to restricts no other */
		if (member->nullable || list_length(keys) != 1)
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
 * are_plain
 *		Are these clauses that a joined scan can check: of the lowest security
 *		level, without sub-selects, and none that gates the whole plan?
 */
static bool
are_plain(List *rinfos)
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
 *		Are the columns that the join gives ordinary ones?  Whole rows, system
 *		columns and placeholders are left to the executor's own join.
 */
static bool
has_plain_target(List *exprs)
{
	ListCell   *cell;

	foreach(cell, exprs)
	{
		Var		   *var = lfirst(cell);

		if (!IsA(var, Var) || var->varattno <= 0)
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
 *		Find the clauses to check on the combined row of two; false if they
 *		cannot be one scan.
 */
static bool
find_join_clauses(GraphJoinInfo *outer, GraphJoinInfo *inner,
				  RelOptInfo *joinrel, JoinType jointype, List *restrictlist,
				  List **rinfos)
{
	bool		by_id = have_same_key(outer, inner);
	ListCell   *cell;

	*rinfos = NIL;
	if (jointype == JOIN_LEFT && list_length(inner->members) > 1)
		return false;
	foreach(cell, restrictlist)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		bool		is_id = joins_by_id(outer, inner, rinfo->clause);

		if (is_true(rinfo->clause))
			continue;
		if (jointype == JOIN_LEFT &&
			!RINFO_IS_PUSHED_DOWN(rinfo, joinrel->relids))
		{
			if (!is_id)
				return false;	/* would have to be checked before the NULLs */
			by_id = true;
			continue;
		}
		by_id = by_id || (is_id && jointype == JOIN_INNER);
		*rinfos = lappend(*rinfos, rinfo);
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
		JoinMember *member = lfirst(cell);

		if (!are_plain(member->rel->baserestrictinfo) ||
			!bms_is_empty(member->rel->lateral_relids))
			return false;
	}
	return true;
}

/*
 * combine
 *		The join of two.
 */
static GraphJoinInfo *
combine(GraphJoinInfo *outer, GraphJoinInfo *inner, JoinType jointype,
		List *rinfos)
{
	GraphJoinInfo *join = palloc0(sizeof(GraphJoinInfo));
	ListCell   *cell;

	join->entity_set = outer->entity_set;
	join->members = list_copy(outer->members);
	foreach(cell, inner->members)
	{
		JoinMember *member = palloc(sizeof(JoinMember));

		*member = *(JoinMember *) lfirst(cell);
		member->nullable = member->nullable || jointype == JOIN_LEFT;
		join->members = lappend(join->members, member);
	}
	join->rinfos = list_concat(list_concat_copy(outer->rinfos, inner->rinfos),
							   rinfos);
	return join;
}

/*
 * classify_members
 *		What of a joined scan's restrictions is sent.
 *
 * The nullable side's are not: alerts without a match are wanted too.  A
 * table whose restrictions name ids comes first.
 */
static void
classify_members(GraphJoinInfo *join, GraphPushdown *pushdown)
{
	ListCell   *cell;

	graph_pushdown_init(pushdown);
	for (int with_keys = 1; with_keys >= 0; with_keys--)
	{
		foreach(cell, join->members)
		{
			JoinMember *member = lfirst(cell);
			GraphRelInfo *info = member->rel->fdw_private;

			if (!member->nullable && (info->pushdown.keys != NIL) == with_keys)
				graph_classify_clauses(member->rel,
									   member->rel->baserestrictinfo,
									   pushdown);
		}
	}
}

/*
 * price_join
 *		The rows and the cost of a joined scan: the alerts are read once.
 */
static void
price_join(PlannerInfo *root, GraphJoinInfo *join, GraphPrice *price)
{
	JoinMember *first = linitial(join->members);
	GraphPushdown pushdown;
	double		alerts;
	ListCell   *cell;

	classify_members(join, &pushdown);
	graph_price_alerts(root, first->rel, &pushdown, price);
	alerts = price->rows;
	foreach(cell, join->members)
	{
		JoinMember *member = lfirst(cell);
		GraphRelInfo *info = member->rel->fdw_private;
		double		per_alert = member->rel->rows / info->alerts;

		price->rows *= member->nullable ? Max(per_alert, 1.0) :
			Min(per_alert * info->alerts / alerts, info->resource->rows_per_record);
	}
	price->rows = clamp_row_est(price->rows);
	price->total += cpu_tuple_cost * price->rows;
}

/*
 * combined_clauses
 *		What is checked on the combined row: the joins' clauses and those of
 *		tables that always have a row.
 */
static List *
combined_clauses(GraphJoinInfo *join)
{
	List	   *rinfos = list_copy(join->rinfos);
	ListCell   *cell;

	foreach(cell, join->members)
	{
		JoinMember *member = lfirst(cell);

		if (!member->nullable)
			rinfos = list_concat(rinfos, member->rel->baserestrictinfo);
	}
	return extract_actual_clauses(rinfos, false);
}

/*
 * scan_target
 *		The columns of the combined row: all that the query and the clauses
 *		use.
 */
static List *
scan_target(RelOptInfo *joinrel, GraphJoinInfo *join, List *clauses)
{
	List	   *exprs = pull_var_clause((Node *) joinrel->reltarget->exprs,
										PVC_INCLUDE_PLACEHOLDERS);
	ListCell   *cell;

	exprs = list_concat(exprs, pull_var_clause((Node *) clauses,
											   PVC_INCLUDE_PLACEHOLDERS));
	foreach(cell, join->members)
	{
		JoinMember *member = lfirst(cell);
		List	   *own = extract_actual_clauses(member->rel->baserestrictinfo,
												 false);

		exprs = list_concat(exprs, pull_var_clause((Node *) own,
												   PVC_INCLUDE_PLACEHOLDERS));
	}
	return add_to_flat_tlist(NIL, exprs);
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
	List	   *rinfos;
	GraphPrice	price;

	if (joinrel->fdw_private || outer == NULL || inner == NULL ||
		strcmp(outer->entity_set, inner->entity_set) != 0 ||
		(jointype != JOIN_INNER && jointype != JOIN_LEFT) ||
		root->parse->commandType != CMD_SELECT || root->rowMarks ||
		!bms_is_empty(joinrel->lateral_relids) ||
		!are_plain(extra->restrictlist) ||
		!members_are_plain(outer) || !members_are_plain(inner) ||
		!find_join_clauses(outer, inner, joinrel, jointype,
						   extra->restrictlist, &rinfos))
		return;

	join = combine(outer, inner, jointype, rinfos);
	if (!has_plain_target(get_tlist_exprs(scan_target(joinrel, join,
													  combined_clauses(join)),
										  true)))
		return;

	joinrel->fdw_private = join;
	price_join(root, join, &price);
	add_path(joinrel, (Path *)
			 graph_create_foreign_join_path(root, joinrel, NULL, price.rows,
											price.startup, price.total, NIL,
											joinrel->lateral_relids, NULL, NIL));
}

/*
 * plan_member
 *		A member's element of the plan; its own clauses are appended to *exprs.
 */
static List *
plan_member(GraphJoinInfo *join, JoinMember *member, List *target, List **exprs)
{
	int			position = 0;
	List	   *columns = NIL;
	List	   *indexes = NIL;
	List	   *quals = NIL;
	List	   *result;
	ListCell   *cell;

	foreach(cell, target)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Var		   *var = castNode(Var, entry->expr);

		if ((Index) var->varno != member->rel->relid)
			continue;
		columns = lappend_int(columns, var->varattno);
		indexes = lappend_int(indexes, entry->resno - 1);
	}
	if (member->nullable)
		quals = extract_actual_clauses(member->rel->baserestrictinfo, false);

	/* a range table index would have to be adjusted when plans are combined */
	foreach(cell, join->members)
	{
		if (((JoinMember *) lfirst(cell))->rel->relid < member->rel->relid)
			position++;
	}
	result = list_make4(makeInteger(position),
						makeBoolean(member->nullable), columns, indexes);
	result = lappend(result, makeInteger(list_length(*exprs)));
	result = lappend(result, makeInteger(list_length(quals)));
	*exprs = list_concat(*exprs, quals);
	return result;
}

/*
 * selected_by_all
 *		The properties that all members together read, and with them sub-selects
 *		of the alert at hand; NIL if all may be.
 */
static List *
selected_by_all(PlannerInfo *root, GraphJoinInfo *join, List *members)
{
	List	   *select = NIL;
	ListCell   *cell;
	ListCell   *private;

	forboth(cell, join->members, private, members)
	{
		JoinMember *member = lfirst(cell);
		List	   *own = graph_selected_properties(member->rel,
													list_nth(lfirst(private),
															 GRAPH_MEMBER_COLUMNS));

		if (own == NIL)
			return NIL;
		select = list_concat_unique(select, own);
	}
	foreach(cell, join->members)
	{
		JoinMember *member = lfirst(cell);

		select = graph_select_for_subplans(root, member->rel, NIL, select);
	}
	return select;
}

/*
 * graph_plan_join
 *		GetForeignPlan for a joined scan.
 */
ForeignScan *
graph_plan_join(PlannerInfo *root, RelOptInfo *joinrel, List *tlist,
				Plan *outer_plan)
{
	GraphJoinInfo *join = joinrel->fdw_private;
	JoinMember *first = linitial(join->members);
	List	   *clauses = combined_clauses(join);
	List	   *target = scan_target(joinrel, join, clauses);
	List	   *members = NIL;
	List	   *exprs;
	List	   *private;
	GraphPushdown pushdown;
	ListCell   *cell;

	classify_members(join, &pushdown);
	exprs = list_concat_copy(pushdown.values, pushdown.clauses);
	foreach(cell, join->members)
		members = lappend(members, plan_member(join, lfirst(cell), target,
											   &exprs));

	private = graph_make_private(pushdown.keys ? GRAPH_SCAN_KEYS : GRAPH_SCAN_LIST,
								 first->rel->fdw_private, NIL, &pushdown, NIL,
								 selected_by_all(root, join, members),
								 graph_first_page(root, joinrel, NIL, false));
	private = lappend(private, members);
	return make_foreignscan(tlist, clauses, 0, exprs, private, target, NIL,
							outer_plan);
}

/*
 * graph_join_member
 *		The range table index of a member of a joined scan's plan, and whether
 *		it is on the nullable side.
 */
Index
graph_join_member(const ForeignScan *plan, List *member, bool *nullable)
{
	int			position = intVal(list_nth(member, GRAPH_MEMBER_POSITION));
	int			rti = -1;

	for (int i = 0; i <= position; i++)
		rti = bms_next_member(graph_base_relids(plan), rti);
	*nullable = boolVal(list_nth(member, GRAPH_MEMBER_NULLABLE));
	return rti;
}
