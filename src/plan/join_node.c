/*-------------------------------------------------------------------------
 *
 * join_node.c
 *		What is the plan node of tables that are read as one stream?
 *
 * Which tables these are says join_plan.c; exec/join_row.c reads the node.  No
 * clause is in the plan's qual: each goes with the table at which the rows
 * that it is about are there.
 *
 * What this file refuses to know: which joins can be read so, prices, HTTP,
 * JSON, how a condition is written.
 *
 * IDENTIFICATION
 *		src/plan/join_node.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"

#include "plan/graph_plan.h"

/*
 * in_reading_order
 *		The members in the order in which they are read.
 *
 * The alert itself, if no row may do without it, comes first: it is looked at
 * once then, and not for each row of the others.
 */
static List *
in_reading_order(GraphJoinInfo *join)
{
	List	   *alerts = NIL;
	List	   *others = NIL;
	ListCell   *cell;

	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);

		if (member->jointype == JOIN_INNER && graph_is_alert(member->rel))
			alerts = lappend(alerts, member);
		else
			others = lappend(others, member);
	}
	return list_concat(alerts, others);
}

/*
 * last_member
 *		The number of the last member whose columns a clause reads; the last of
 *		all, if it reads none.
 */
static int
last_member(List *members, RestrictInfo *rinfo)
{
	int			last = -1;

	for (int i = 0; i < list_length(members); i++)
	{
		GraphJoinMember *member = list_nth(members, i);

		if (bms_is_member(member->rel->relid, rinfo->clause_relids))
			last = i;
	}
	return last < 0 ? list_length(members) - 1 : last;
}

/*
 * filters_of
 *		The clauses on the combined row that can be checked once this member
 *		has a row, and not before.
 */
static List *
filters_of(GraphJoinInfo *join, List *members, int number)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, join->filters)
	{
		if (last_member(members, lfirst(cell)) == number)
			result = lappend(result, lfirst(cell));
	}
	return result;
}

/*
 * plan_quals
 *		The numbers of a member's clauses, of each kind; the clauses are appended
 *		to *exprs.
 */
static List *
plan_quals(GraphJoinInfo *join, List *members, int number, List **exprs)
{
	GraphJoinMember *member = list_nth(members, number);
	List	   *rinfos[GRAPH_QUALS_KINDS] = {
		[GRAPH_QUALS_OWN] = member->rel->baserestrictinfo,
		[GRAPH_QUALS_MATCH] = member->match,
		[GRAPH_QUALS_FILTER] = filters_of(join, members, number),
	};
	List	   *counts = NIL;

	for (int i = 0; i < GRAPH_QUALS_KINDS; i++)
	{
		List	   *quals = extract_actual_clauses(rinfos[i], false);

		counts = lappend_int(counts, list_length(quals));
		*exprs = list_concat(*exprs, quals);
	}
	return counts;
}

/*
 * find_columns
 *		A member's columns in the combined row: their attribute numbers, and
 *		where they are.
 */
static void
find_columns(const GraphJoinMember *member, List *target, List **columns,
			 List **indexes)
{
	ListCell   *cell;

	foreach(cell, target)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Var		   *var = castNode(Var, entry->expr);

		if ((Index) var->varno != member->rel->relid)
			continue;
		*columns = lappend_int(*columns, var->varattno);
		*indexes = lappend_int(*indexes, entry->resno - 1);
	}
}

/*
 * plan_member
 *		A member's element of the plan; its clauses are appended to *exprs.
 */
static List *
plan_member(GraphJoinInfo *join, List *members, int number, List *target,
			List **exprs)
{
	GraphJoinMember *member = list_nth(members, number);
	int			first_qual = list_length(*exprs);
	int			position = 0;
	List	   *columns = NIL;
	List	   *indexes = NIL;
	List	   *result;
	ListCell   *cell;

	find_columns(member, target, &columns, &indexes);

	/* a range table index would have to be adjusted when plans are combined */
	foreach(cell, members)
	{
		if (((GraphJoinMember *) lfirst(cell))->rel->relid < member->rel->relid)
			position++;
	}
	result = list_make4(makeInteger(position), makeInteger(member->jointype),
						columns, indexes);
	result = lappend(result, makeInteger(first_qual));
	return lappend(result, plan_quals(join, members, number, exprs));
}

/*
 * selected_by_all
 *		The properties that all members together read, and with them sub-selects
 *		of the alert at hand; NIL if all may be.
 */
static List *
selected_by_all(PlannerInfo *root, GraphJoinInfo *join, List *target)
{
	List	   *select = NIL;
	ListCell   *cell;

	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);
		List	   *columns = NIL;
		List	   *indexes = NIL;
		List	   *own;

		find_columns(member, target, &columns, &indexes);
		own = graph_selected_properties(member->rel, columns);
		if (own == NIL)
			return NIL;
		select = list_concat_unique(select, own);
	}
	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);

		select = graph_select_for_subplans(root, member->rel, NIL, select);
	}
	return select;
}

/*
 * plan_order
 *		GRAPH_PLAN_ORDER of a joined scan; its column is added to the target.
 */
static List *
plan_order(GraphJoinInfo *join, List *pathkeys, List **target)
{
	GraphRelInfo *info = ((GraphJoinMember *) linitial(join->members))->rel->fdw_private;
	PathKey    *key;
	Var		   *var;

	if (pathkeys == NIL)
		return NIL;
	key = linitial_node(PathKey, pathkeys);
	var = graph_find_join_order(join, key);
	*target = add_to_flat_tlist(*target, list_make1(var));
	return list_make4(makeString(pstrdup(info->resource->default_order)),
					  makeBoolean(graph_pathkey_is_descending(key)),
					  makeBoolean(key->pk_nulls_first),
					  makeInteger(tlist_member((Expr *) var, *target)->resno));
}

/*
 * gives_each_alert
 *		Has each alert that the service returns a row that is wanted?
 */
static bool
gives_each_alert(GraphJoinInfo *join, const GraphPushdown *pushdown)
{
	ListCell   *cell;

	foreach(cell, join->members)
	{
		GraphJoinMember *member = lfirst(cell);

		if (member->jointype != JOIN_LEFT &&
			!(member->jointype == JOIN_INNER && graph_is_alert(member->rel)))
			return false;
	}
	return pushdown->exact == GRAPH_EXACT && join->filters == NIL;
}

/*
 * local_target
 *		What the local plan gives in place of the joined scan for rows that are
 *		checked again: NULL where only the scan's own clauses use a column, which
 *		the local plan's scans check themselves.
 */
static List *
local_target(const RelOptInfo *joinrel, List *target)
{
	List	   *result = copyObject(target);
	ListCell   *cell;

	foreach(cell, result)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Var		   *var = castNode(Var, entry->expr);

		if (!list_member(joinrel->reltarget->exprs, var))
			entry->expr = (Expr *) makeNullConst(var->vartype, var->vartypmod,
												 var->varcollid);
	}
	return result;
}

/*
 * graph_plan_join
 *		GetForeignPlan for a joined scan.
 */
ForeignScan *
graph_plan_join(PlannerInfo *root, RelOptInfo *joinrel, ForeignPath *best_path,
				List *tlist, Plan *outer_plan)
{
	List	   *pathkeys = best_path->path.pathkeys;
	Var		   *batched_key = graph_batched_key(best_path);

	GraphJoinInfo *join = joinrel->fdw_private;
	const GraphRelInfo *info =
		((GraphJoinMember *) linitial(join->members))->rel->fdw_private;
	List	   *target = graph_join_target(joinrel, join);
	List	   *order = plan_order(join, pathkeys, &target);
	List	   *members = in_reading_order(join);
	List	   *privates = NIL;
	List	   *exprs;
	List	   *private;
	int			first_page = INT_MAX;
	GraphPushdown pushdown;
	ForeignScan *plan;

	graph_classify_members(join, batched_key, &pushdown);
	if (batched_key == NULL)
		first_page = graph_first_page(root, joinrel, pathkeys,
									  gives_each_alert(join, &pushdown),
									  info->options.limits.page_size);
	exprs = list_concat_copy(pushdown.values, pushdown.clauses);
	for (int i = 0; i < list_length(members); i++)
		privates = lappend(privates,
						   plan_member(join, members, i, target, &exprs));

	private = graph_make_private(graph_scan_mode(&pushdown), info, NIL,
								 &pushdown, order,
								 selected_by_all(root, join, target), first_page);
	private = lappend(private, privates);

	if (outer_plan)
		outer_plan = change_plan_targetlist(outer_plan,
											local_target(joinrel, target), false);
	exprs = graph_name_alike(exprs, get_tlist_exprs(target, true));
	plan = make_foreignscan(tlist, NIL, 0, exprs, private, target, NIL,
							outer_plan);
	if (batched_key)
		graph_batch_private(root, plan, batched_key);
	return plan;
}

/*
 * graph_join_member
 *		The range table index of a member of a joined scan's plan, and how it is
 *		joined to those before it.
 */
Index
graph_join_member(const ForeignScan *plan, List *member, JoinType *jointype)
{
	int			position = intVal(list_nth(member, GRAPH_MEMBER_POSITION));
	int			rti = -1;

	for (int i = 0; i <= position; i++)
		rti = bms_next_member(graph_base_relids(plan), rti);
	*jointype = intVal(list_nth(member, GRAPH_MEMBER_JOINTYPE));
	return rti;
}

/*
 * graph_member_quals
 *		The clauses of one kind that a plan has for a member.
 */
List *
graph_member_quals(const ForeignScan *plan, List *member,
				   enum GraphMemberQuals kind)
{
	List	   *counts = list_nth(member, GRAPH_MEMBER_QUALS);
	int			first = intVal(list_nth(member, GRAPH_MEMBER_FIRST_QUAL));

	for (int i = 0; i < (int) kind; i++)
		first += list_nth_int(counts, i);
	return list_copy_tail(list_copy_head(plan->fdw_exprs,
										 first + list_nth_int(counts, kind)),
						  first);
}
