/*-------------------------------------------------------------------------
 *
 * count_append.c
 *		How are the rows of several tables counted?
 *
 * Tables of several tenants stand below one Append: as partitions, as children
 * in an inheritance tree or as arms of UNION ALL.  Where a query wants nothing
 * but their number, each is counted by its service, and PostgreSQL adds up: the
 * counts are partial aggregates, as they are of parallel workers.  A table that
 * cannot be counted so is read and counted below the Append.
 *
 * PostgreSQL does that by itself for partitions only, and if it is told to
 * (enable_partitionwise_aggregate).  A hook offers the path in all cases.
 *
 * What this file refuses to know: when a service's count is the answer
 * (count_path.c), HTTP, JSON.
 *
 * IDENTIFICATION
 *		src/plan/count_append.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_aggregate.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/appendinfo.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planner.h"
#include "optimizer/prep.h"
#include "optimizer/tlist.h"

#include "plan/graph_plan.h"

static create_upper_paths_hook_type previous_hook = NULL;

/* The tables whose rows are counted one by one. */
typedef struct CountedTables
{
	PlannerInfo *root;
	AggClauseCosts costs;		/* of a partial aggregation */
	List	   *paths;			/* Path: the partial counts of each */
	bool		any;			/* a service counts one of them */
} CountedTables;

/*
 * make_partial_rel
 *		What the partial counts of some tables belong to.
 */
static RelOptInfo *
make_partial_rel(const RelOptInfo *counted, PathTarget *target)
{
	RelOptInfo *result = makeNode(RelOptInfo);

	result->reloptkind = RELOPT_OTHER_UPPER_REL;
	result->relids = bms_copy(counted->relids);
	result->reltarget = target;
	result->rows = 1;
	graph_strategies_like(result, counted);
	return result;
}

/*
 * has_table_of_ours
 *		Does any table of ours stand below an Append of this query?  Most queries
 *		are about others, and are not to be slowed down.
 */
static bool
has_table_of_ours(PlannerInfo *root)
{
	ListCell   *cell;

	foreach(cell, root->append_rel_list)
	{
		AppendRelInfo *appinfo = lfirst_node(AppendRelInfo, cell);

		const RelOptInfo *child = root->simple_rel_array[appinfo->child_relid];

		if (child && graph_is_ours(child))
			return true;
	}
	return false;
}

/*
 * add_table
 *		Add the partial counts of one table; false if they cannot be had.
 */
static bool
add_table(CountedTables *tables, RelOptInfo *table, PathTarget *target)
{
	RelOptInfo *partial = make_partial_rel(table, target);
	Path	   *cheapest = table->cheapest_total_path;
	Path	   *path;

	if (graph_is_ours(table) &&
		graph_can_count(tables->root, table, target->exprs))
	{
		path = graph_count_path(tables->root, table, partial, 1);
		tables->any = true;
	}
	else if (cheapest == NULL || cheapest->param_info != NULL)
		return false;
	else
		path = (Path *) create_agg_path(tables->root, partial, cheapest, target,
										AGG_PLAIN, AGGSPLIT_INITIAL_SERIAL, NIL,
										NIL, &tables->costs, 1);
	tables->paths = lappend(tables->paths, path);
	return true;
}

/*
 * child_target
 *		The target of a child, whose columns are others.
 */
static PathTarget *
child_target(PlannerInfo *root, PathTarget *target, AppendRelInfo * appinfo)
{
	PathTarget *result = copy_pathtarget(target);

	result->exprs = (List *) adjust_appendrel_attrs(root, (Node *) target->exprs,
													1, &appinfo);
	return result;
}

/*
 * add_children
 *		Add the partial counts of all tables below one; false if they cannot be
 *		had.
 */
static bool
add_children(CountedTables *tables, RelOptInfo *parent, PathTarget *target)
{
	PlannerInfo *root = tables->root;
	ListCell   *cell;

	foreach(cell, root->append_rel_list)
	{
		AppendRelInfo *appinfo = lfirst_node(AppendRelInfo, cell);
		RelOptInfo *child;
		PathTarget *its_target;

		if (appinfo->parent_relid != parent->relid)
			continue;
		child = root->simple_rel_array[appinfo->child_relid];
		if (child == NULL)
			return false;
		if (IS_DUMMY_REL(child))
			continue;			/* no row can come of it */
		its_target = child_target(root, target, appinfo);
		if (!(root->simple_rte_array[child->relid]->inh ?
			  add_children(tables, child, its_target) :
			  add_table(tables, child, its_target)))
			return false;
	}
	return true;
}

/*
 * make_partial_target
 *		The counts that a query wants, to be made of a part of its rows; NULL if
 *		it wants something else.
 */
static PathTarget *
make_partial_target(PlannerInfo *root, List *wanted)
{
	PathTarget *target = create_empty_pathtarget();
	ListCell   *cell;

	foreach(cell, wanted)
	{
		Aggref	   *partial;

		if (!graph_is_count(lfirst(cell)))
			return NULL;
		partial = makeNode(Aggref);
		memcpy(partial, lfirst(cell), sizeof(Aggref));
		mark_partial_aggref(partial, AGGSPLIT_INITIAL_SERIAL);
		add_new_column_to_pathtarget(target, (Expr *) partial);
	}
	return wanted ? set_pathtarget_cost_width(root, target) : NULL;
}

/*
 * add_counted_path
 *		Offer to count the rows of an Append table by table.
 */
static void
add_counted_path(PlannerInfo *root, RelOptInfo *input_rel,
				 RelOptInfo *output_rel, GroupPathExtraData * extra)
{
	List	   *having = (List *) extra->havingQual;
	PathTarget *target = make_partial_target(root,
											 graph_wanted_aggregates(output_rel->reltarget->exprs,
																	 having));
	CountedTables tables = {.root = root};
	AggClauseCosts costs = {0};
	Path	   *path;

	if (target == NULL)
		return;
	get_agg_clause_costs(root, AGGSPLIT_INITIAL_SERIAL, &tables.costs);
	if (!add_children(&tables, input_rel, target) || !tables.any)
		return;
	path = (Path *) graph_create_append_path(root,
											 make_partial_rel(input_rel, target),
											 tables.paths);
	get_agg_clause_costs(root, AGGSPLIT_FINAL_DESERIAL, &costs);
	add_path(output_rel, (Path *)
			 create_agg_path(root, output_rel, path, output_rel->reltarget,
							 AGG_PLAIN, AGGSPLIT_FINAL_DESERIAL, NIL, having,
							 &costs, 1));
}

/*
 * offer_counts
 *		The planner's hook: see whether the next step counts the rows of an
 *		Append.
 */
static void
offer_counts(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
			 RelOptInfo *output_rel, void *extra)
{
	if (previous_hook)
		previous_hook(root, stage, input_rel, output_rel, extra);
	if (stage != UPPERREL_GROUP_AGG || extra == NULL ||
		input_rel->reloptkind != RELOPT_BASEREL ||
		!root->simple_rte_array[input_rel->relid]->inh ||
		IS_DUMMY_REL(input_rel) || !has_table_of_ours(root) ||
		root->parse->groupClause ||
		root->parse->groupingSets ||
		!(((GroupPathExtraData *) extra)->flags & GROUPING_CAN_PARTIAL_AGG))
		return;
	add_counted_path(root, input_rel, output_rel, extra);
}

/*
 * graph_count_append_init
 *		The library has been loaded.
 */
void
graph_count_append_init(void)
{
	previous_hook = create_upper_paths_hook;
	create_upper_paths_hook = offer_counts;
}
