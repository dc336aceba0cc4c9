/*-------------------------------------------------------------------------
 *
 * plan.c
 *		Which paths exist, and what do they cost?
 *
 * For a table: the list of alerts under what can be filtered, the same in the
 * order that the query wants, lookups by ids that the query names, and both
 * with values that come from the rows of other tables.  For count(*): the
 * service's own count, where it means the same.  All are offered, and with
 * honest prices the planner picks.
 *
 * A request is the unit of cost.  Nothing is asked of the service while
 * planning: that would happen before permissions are checked, and a plan
 * would fail when the service is away.
 *
 * What this file refuses to know: HTTP, JSON, how a condition is spelled.
 *
 * IDENTIFICATION
 *		src/plan/plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/typcache.h"

#include "plan/graph_plan.h"

/*
 * Prices, in the planner's unit.
 *
 * A request takes some 100 ms and is one of 150 a minute, so it is dear.  An
 * alert in a list is about 8 kB to transfer and to read, so a page of 1000 of
 * them costs as much as ten requests, which is what it takes the service too.
 * In time, a request is worth more of the planner's page reads than this; but
 * the time is spent waiting, and a list that seemed to be as much work as that
 * would be compiled (jit_above_cost), which only costs more.
 */
#define REQUEST_COST	100.0
#define ALERT_COST		1.0

/* How many alerts there are where nobody has counted: ninety busy days. */
#define DEFAULT_ALERTS	10000.0

/* How many rows an alert holds; captures of real ones show about five. */
#define EVIDENCE_PER_ALERT	5.0
#define COMMENTS_PER_ALERT	0.5

/*
 * The first page of a list of which a part is wanted and checked here holds
 * at least so many alerts: fewer would make more requests likely.
 */
#define SMALLEST_CHECKED_PAGE	100

/*
 * The first page of a list that is asked for in an order, and what comes with
 * a count, holds at least so many alerts: should the service ignore the order
 * or the filter, it is seen.
 */
#define SMALLEST_PROOF	20

/* Up to so many ids are always asked for one by one. */
#define FEW_KEYS	20

/* The estimated work of a scan. */
typedef struct ScanPrice
{
	double		rows;
	Cost		startup;
	Cost		total;
} ScanPrice;

static void price_scan(PlannerInfo *root, RelOptInfo *baserel,
					   const GraphPushdown *pushdown, double rows,
					   ScanPrice *price);
static void add_ordered_path(PlannerInfo *root, RelOptInfo *baserel,
							 const ScanPrice *price);
static void add_parameterized_paths(PlannerInfo *root, RelOptInfo *baserel);

/*
 * graph_plan_size
 *		GetForeignRelSize: how many rows will a scan give?
 */
void
graph_plan_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	ForeignTable *table = GetForeignTable(relid);
	GraphRelInfo *info = palloc0(sizeof(GraphRelInfo));

	baserel->fdw_private = info;
	info->baserel = baserel;
	info->relid = relid;
	info->table_name = get_rel_name(relid);
	graph_get_options(table, GetForeignServer(table->serverid), NULL,
					  &info->options);
	info->resource = graph_resource_info(info->options.resource);
	info->columns = palloc0((baserel->max_attr + 1) * sizeof(GraphColumn *));

	info->rows_per_alert =
		info->options.resource == GRAPH_EVIDENCE ? EVIDENCE_PER_ALERT :
		info->options.resource == GRAPH_COMMENTS ? COMMENTS_PER_ALERT : 1.0;
	if (baserel->tuples <= 0)
		baserel->tuples = DEFAULT_ALERTS * info->rows_per_alert;
	info->alerts = clamp_row_est(baserel->tuples / info->rows_per_alert);

	set_baserel_size_estimates(root, baserel);
	graph_pushdown_init(&info->pushdown);
	graph_classify(root, baserel, baserel->baserestrictinfo, &info->pushdown);
	if (info->pushdown.keys)
	{
		ScanPrice	price;

		price_scan(root, baserel, &info->pushdown, baserel->rows, &price);
		baserel->rows = price.rows;
	}
}

/*
 * path_private
 *		What a path says of itself: whether it may be read in turns with others
 *		below an Append.
 *
 * All of these are asked at once then, which shortens the wait if all are
 * wanted, but costs requests for nothing if a few rows of the first are enough.
 */
static List *
path_private(PlannerInfo *root)
{
	bool		few = root->limit_tuples > 0 && root->query_pathkeys == NIL;

	return list_make1(makeBoolean(!few));
}

/*
 * graph_plan_is_async
 *		May this path be read in turns with others?
 */
bool
graph_plan_is_async(const ForeignPath *path)
{
	return IS_SIMPLE_REL(path->path.parent) && path->fdw_private &&
		boolVal(linitial(path->fdw_private));
}

/*
 * graph_plan_paths
 *		GetForeignPaths: all the ways to scan a table.
 */
void
graph_plan_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	GraphRelInfo *info = baserel->fdw_private;
	ScanPrice	price;

	price_scan(root, baserel, &info->pushdown, baserel->rows, &price);
	add_path(baserel, (Path *)
			 graph_create_foreignscan_path(root, baserel, NULL, price.rows,
										   price.startup, price.total, NIL,
										   baserel->lateral_relids, NULL,
										   path_private(root)));
	if (info->pushdown.keys)
		return;
	add_ordered_path(root, baserel, &price);
	add_parameterized_paths(root, baserel);
}

/*-------------------------------------------------------------------------
 * Prices
 *-------------------------------------------------------------------------
 */

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
 * key_cost
 *		The cost of one of several lookups, of which some are under way at
 *		once.
 */
static Cost
key_cost(const GraphRelInfo *info)
{
	return REQUEST_COST / info->options.limits.concurrency + ALERT_COST;
}

/*
 * count_keys
 *		About how many ids do the values hold?
 */
static double
count_keys(PlannerInfo *root, const GraphPushdown *pushdown)
{
	double		result = 0;
	ListCell   *cell;

	foreach(cell, pushdown->keys)
	{
		Node	   *value = list_nth(pushdown->values, lfirst_int(cell));

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
				   const GraphPushdown *pushdown, double *alerts,
				   Cost *startup, Cost *total)
{
	GraphRelInfo *info = baserel->fdw_private;
	Cost		run;

	*startup = REQUEST_COST + ALERT_COST;
	if (pushdown->keys)
	{
		double		keys = Max(count_keys(root, pushdown), 1.0);

		*alerts = Min(keys, info->alerts);
		run = keys <= 1 ? 0 :
			Min((keys - 1) * key_cost(info), list_cost(info, info->alerts));
	}
	else
	{
		*alerts = clamp_row_est(info->alerts *
								clauselist_selectivity(root, pushdown->sent, 0,
													   JOIN_INNER, NULL));
		run = list_cost(info, *alerts) - REQUEST_COST;
	}
	*total = *startup + run;
}

/*
 * price_scan
 *		What a scan costs whose clauses are classified so, and that gives so
 *		many rows after all clauses have been checked.
 */
static void
price_scan(PlannerInfo *root, RelOptInfo *baserel,
		   const GraphPushdown *pushdown, double rows, ScanPrice *price)
{
	GraphRelInfo *info = baserel->fdw_private;
	double		alerts;

	graph_price_alerts(root, baserel, pushdown, &alerts,
					   &price->startup, &price->total);
	price->startup += baserel->baserestrictcost.startup;
	price->total += baserel->baserestrictcost.startup +
		(cpu_tuple_cost + baserel->baserestrictcost.per_tuple) *
		alerts * info->rows_per_alert;
	if (pushdown->keys)
		rows = Min(rows, alerts * info->rows_per_alert);
	price->rows = clamp_row_est(rows);
}

/*-------------------------------------------------------------------------
 * Paths
 *-------------------------------------------------------------------------
 */

/*
 * find_order
 *		The property by which the service can sort as a path key says, and the
 *		column that reads it; or NULL.
 */
static const GraphQueryProperty *
find_order(RelOptInfo *baserel, PathKey *pathkey, AttrNumber *attnum)
{
	GraphRelInfo *info = baserel->fdw_private;
	ListCell   *cell;

	if (!info->options.pushdown.order || pathkey->pk_eclass->ec_has_volatile ||
		pathkey->pk_opfamily != lookup_type_cache(TIMESTAMPTZOID,
												  TYPECACHE_BTREE_OPFAMILY)->btree_opf)
		return NULL;
	foreach(cell, pathkey->pk_eclass->ec_members)
	{
		EquivalenceMember *member = lfirst(cell);
		const GraphQueryProperty *property;

		if (member->em_is_const ||
			!bms_equal(member->em_relids, baserel->relids))
			continue;
		property = graph_var_property(baserel, member->em_expr);
		if (property == NULL || !property->sortable)
			continue;
		*attnum = graph_own_var(baserel, member->em_expr)->varattno;
		return property;
	}
	return NULL;
}

/*
 * is_one_page
 *		Is all that the query wants of a list in its first page?
 *
 * It is, but for a superset of more than half the page that is dropped here, if
 * every alert gives a row and every clause is sent.  An incremental sort looks
 * one row further.
 */
static bool
is_one_page(PlannerInfo *root, const GraphRelInfo *info)
{
	return root->limit_tuples > 0 &&
		root->limit_tuples + 1 <= info->options.limits.page_size &&
		info->resource->rows_member == NULL &&
		list_length(info->pushdown.sent) == list_length(info->pushdown.clauses);
}

/*
 * add_ordered_path
 *		Offer the list in the order of the query's first sort key; the planner
 *		sorts by further ones incrementally.
 *
 * A time that changes while the list is read moves its alert to where nobody
 * looks any more.  So by such a time only a beginning is read in order, and only
 * if it comes in one answer: each alert of that is a row that is wanted.
 */
static void
add_ordered_path(PlannerInfo *root, RelOptInfo *baserel, const ScanPrice *price)
{
	const GraphQueryProperty *property;
	AttrNumber	attnum;
	PathKey    *first;

	if (root->query_pathkeys == NIL)
		return;
	first = linitial_node(PathKey, root->query_pathkeys);
	property = find_order(baserel, first, &attnum);
	if (property == NULL ||
		(strcmp(property->name, GRAPH_DEFAULT_TIME) != 0 &&
		 !is_one_page(root, baserel->fdw_private)))
		return;
	add_path(baserel, (Path *)
			 graph_create_foreignscan_path(root, baserel, NULL, price->rows,
										   price->startup, price->total,
										   list_make1(first),
										   baserel->lateral_relids, NULL, NIL));
}

/*
 * is_useful_column
 *		Callback: could a value for this member of an equivalence class be
 *		sent?
 *
 * Asked by generate_implied_equalities_for_column().  The clause that will be
 * made is classified again.
 */
static bool
is_useful_column(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
				 EquivalenceMember *em, void *arg)
{
	Expr	   *wanted = arg;

	if (wanted)
		return equal(em->em_expr, wanted);
	return graph_is_key_column(rel, em->em_expr) ||
		graph_var_property(rel, em->em_expr) != NULL;
}

/*
 * useful_columns
 *		Those members of equivalence classes that is_useful_column() likes.
 *
 * generate_implied_equalities_for_column() works for one column at a time.
 */
static List *
useful_columns(PlannerInfo *root, RelOptInfo *baserel)
{
	List	   *result = NIL;
	int			index = -1;

	while ((index = bms_next_member(baserel->eclass_indexes, index)) >= 0)
	{
		EquivalenceClass *ec = list_nth(root->eq_classes, index);
		ListCell   *cell;

		foreach(cell, ec->ec_members)
		{
			EquivalenceMember *em = lfirst(cell);

			if (bms_equal(em->em_relids, baserel->relids) &&
				is_useful_column(root, baserel, ec, em, NULL))
				result = list_append_unique(result, em->em_expr);
		}
	}
	return result;
}

/*
 * candidate_clauses
 *		The join clauses, written or implied, with this table on one side.
 */
static List *
candidate_clauses(PlannerInfo *root, RelOptInfo *baserel)
{
	List	   *result = list_copy(baserel->joininfo);
	ListCell   *cell;

	if (!baserel->has_eclass_joins)
		return result;
	foreach(cell, useful_columns(root, baserel))
		result = list_concat(result,
							 generate_implied_equalities_for_column(root, baserel,
																	is_useful_column,
																	lfirst(cell),
																	baserel->lateral_referencers));
	return result;
}

/*
 * add_parameterized_path
 *		Offer scans that take values from the rows of some other tables.
 */
static void
add_parameterized_path(PlannerInfo *root, RelOptInfo *baserel, Relids outer)
{
	ParamPathInfo *param_info = get_baserel_parampathinfo(root, baserel, outer);
	GraphPushdown pushdown;
	ScanPrice	price;

	graph_pushdown_init(&pushdown);
	graph_classify(root, baserel,
				   list_concat_copy(baserel->baserestrictinfo,
									param_info->ppi_clauses),
				   &pushdown);
	price_scan(root, baserel, &pushdown, param_info->ppi_rows, &price);
	param_info->ppi_rows = price.rows;
	add_path(baserel, (Path *)
			 graph_create_foreignscan_path(root, baserel, NULL, price.rows,
										   price.startup, price.total, NIL,
										   outer, NULL, NIL));
}

/*
 * has_relids
 *		Is this set in a list of sets?
 */
static bool
has_relids(List *sets, Relids relids)
{
	ListCell   *cell;

	foreach(cell, sets)
	{
		if (bms_equal(lfirst(cell), relids))
			return true;
	}
	return false;
}

/*
 * add_parameterized_paths
 *		The same for each set of other tables that can give values to send.
 */
static void
add_parameterized_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	List	   *seen = NIL;
	ListCell   *cell;

	foreach(cell, candidate_clauses(root, baserel))
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		GraphPushdown pushdown;
		Relids		outer;

		if (!join_clause_is_movable_to(rinfo, baserel))
			continue;
		graph_pushdown_init(&pushdown);
		graph_classify(root, baserel, list_make1(rinfo), &pushdown);
		if (pushdown.keys == NIL && pushdown.filters == NIL)
			continue;
		outer = bms_union(rinfo->clause_relids, baserel->lateral_relids);
		outer = bms_del_member(outer, baserel->relid);
		if (bms_is_empty(outer) || has_relids(seen, outer))
			continue;
		seen = lappend(seen, outer);
		add_parameterized_path(root, baserel, outer);
	}
}

/*
 * is_row_count
 *		Is this count(*), or count() of a constant that is not null?
 */
static bool
is_row_count(Node *expr)
{
	Aggref	   *agg = (Aggref *) expr;
	TargetEntry *arg;

	if (!IsA(expr, Aggref) || agg->aggfilter || agg->aggdistinct ||
		agg->aggorder || agg->aggsplit != AGGSPLIT_SIMPLE)
		return false;
	if (agg->aggfnoid == F_COUNT_)
		return true;
	if (agg->aggfnoid != F_COUNT_ANY)
		return false;
	arg = linitial_node(TargetEntry, agg->args);
	return IsA(arg->expr, Const) && !((Const *) arg->expr)->constisnull;
}

/*
 * can_count
 *		Does the service's count of what this scan asks for answer the query's
 *		grouping step?
 *
 * Only where every clause is sent and exact, and nothing but rows is counted.
 */
static bool
can_count(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel)
{
	Query	   *parse = root->parse;
	GraphRelInfo *info = input_rel->fdw_private;
	ListCell   *cell;

	if (!IS_SIMPLE_REL(input_rel) || info == NULL || output_rel->fdw_private ||
		parse->groupClause || parse->groupingSets || parse->havingQual ||
		parse->hasTargetSRFs || parse->rowMarks || root->hasPseudoConstantQuals ||
		!bms_is_empty(input_rel->lateral_relids))
		return false;
	if (info->options.resource != GRAPH_ALERTS ||
		!info->options.pushdown.count || info->pushdown.keys ||
		!info->pushdown.exact)
		return false;
	if (root->upper_targets[UPPERREL_GROUP_AGG]->exprs == NIL)
		return false;
	foreach(cell, root->upper_targets[UPPERREL_GROUP_AGG]->exprs)
	{
		if (!is_row_count(lfirst(cell)))
			return false;
	}
	return true;
}

/*
 * graph_plan_upper
 *		GetForeignUpperPaths: let the service count.
 */
void
graph_plan_upper(PlannerInfo *root, UpperRelationKind stage,
				 RelOptInfo *input_rel, RelOptInfo *output_rel)
{
	if (stage != UPPERREL_GROUP_AGG || !can_count(root, input_rel, output_rel))
		return;
	output_rel->fdw_private = input_rel->fdw_private;
	add_path(output_rel, (Path *)
			 graph_create_foreign_upper_path(root, output_rel,
											 root->upper_targets[UPPERREL_GROUP_AGG],
											 1, REQUEST_COST,
											 REQUEST_COST + cpu_tuple_cost,
											 NIL, NULL, NIL));
}

/*-------------------------------------------------------------------------
 * Plans
 *-------------------------------------------------------------------------
 */

/*
 * needed_columns
 *		The attribute numbers that a scan has to fill in; 0 is the whole row.
 */
static List *
needed_columns(RelOptInfo *baserel, List *clauses)
{
	Bitmapset  *used = NULL;
	List	   *result = NIL;
	int			member = -1;

	pull_varattnos((Node *) baserel->reltarget->exprs, baserel->relid, &used);
	pull_varattnos((Node *) clauses, baserel->relid, &used);
	while ((member = bms_next_member(used, member)) >= 0)
	{
		int			attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum >= 0)
			result = lappend_int(result, attnum);
	}
	return result;
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
 * The id and the time of creation are read in any case: scans tell alerts
 * apart by them, and long lists are cut by time.
 */
List *
graph_selected_properties(RelOptInfo *baserel, List *attnums)
{
	GraphRelInfo *info = baserel->fdw_private;
	const char *rows_member = info->resource->rows_member;
	List	   *select = list_make2(makeString("id"),
									makeString("createdDateTime"));
	ListCell   *cell;

	if (!info->options.pushdown.select || list_member_int(attnums, 0))
		return NIL;
	if (rows_member)
		select = add_property(select, rows_member, strlen(rows_member));

	foreach(cell, attnums)
	{
		Var		   *var = makeVar(baserel->relid, lfirst_int(cell), TEXTOID,
								  -1, InvalidOid, 0);
		GraphColumn *column = graph_var_column(baserel, var);
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

/*
 * graph_first_page
 *		How many alerts the first page should hold; INT_MAX if all are wanted.
 *
 * With LIMIT, or EXISTS, a part of the list may do.  This is about sizes
 * only: should more rows be wanted, more are read.  pathkeys are those of the
 * scan; exact tells whether each alert gives a row that is wanted.
 */
int
graph_first_page(PlannerInfo *root, RelOptInfo *rel, List *pathkeys, bool exact)
{
	double		wanted = root->limit_tuples;

	if (wanted <= 0 && root->tuple_fraction >= 1)
		wanted = root->tuple_fraction;
	if (wanted <= 0 || !bms_is_subset(root->all_baserels, rel->relids) ||
		(root->query_pathkeys && pathkeys == NIL))
		return INT_MAX;

	/* of a few alerts it could not be seen that they are the first in order */
	if (pathkeys)
		wanted = Max(wanted, SMALLEST_PROOF);

	/* an incremental sort looks one row further, for the end of a group */
	if (list_length(root->query_pathkeys) > list_length(pathkeys))
		wanted++;
	if (!exact)
		wanted = Max(wanted, SMALLEST_CHECKED_PAGE);
	return (int) Min(wanted, INT_MAX);
}

/*
 * graph_most_keys
 *		Above so many ids, the list costs less.
 */
int
graph_most_keys(const GraphRelInfo *info)
{
	double		keys = list_cost(info, info->alerts) / key_cost(info);

	return (int) Min(Max(keys, FEW_KEYS), INT_MAX);
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

	result = lappend(result, order);
	result = lappend(result, select);
	result = lappend(result, makeInteger(first));
	result = lappend(result, makeInteger(graph_most_keys(info)));
	result = lappend(result, makeInteger(list_length(pushdown->values)));
	return lappend(result, pushdown->labels);
}

/*
 * count_target
 *		What the row of a count has: what the query wants of it and, for an
 *		alert that comes with the count, the columns of the clauses.
 *
 * Their attribute numbers, and where they are in the row, are appended to the
 * lists.
 */
static List *
count_target(const PathTarget *target, List *clauses, List **attnums,
			 List **indexes)
{
	List	   *result = make_tlist_from_pathtarget((PathTarget *) target);
	ListCell   *cell;

	result = add_to_flat_tlist(result,
							   pull_var_clause((Node *) clauses,
											   PVC_RECURSE_PLACEHOLDERS));
	foreach(cell, result)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!IsA(entry->expr, Var))
			continue;
		*attnums = lappend_int(*attnums, ((Var *) entry->expr)->varattno);
		*indexes = lappend_int(*indexes, entry->resno - 1);
	}
	return result;
}

/*
 * plan_count
 *		The plan node of the service's count.
 *
 * All of its clauses are sent, and exact.  They are held against some alerts
 * that come with the count, in case the service ignores them.
 */
static ForeignScan *
plan_count(RelOptInfo *upper_rel, ForeignPath *best_path, List *tlist)
{
	GraphRelInfo *info = upper_rel->fdw_private;
	GraphPushdown *pushdown = &info->pushdown;
	List	   *attnums = NIL;
	List	   *indexes = NIL;
	List	   *scan_tlist = count_target(best_path->path.pathtarget,
										  pushdown->clauses, &attnums, &indexes);
	List	   *select = list_make1(makeString("id"));
	List	   *private;

	if (!info->options.pushdown.select)
		select = NIL;
	else if (attnums)
		select = graph_selected_properties(info->baserel, attnums);
	private = graph_make_private(GRAPH_SCAN_COUNT, info, attnums, pushdown, NIL,
								 select,
								 pushdown->clauses ? SMALLEST_PROOF : 1);
	return make_foreignscan(tlist, NIL, 0,
							list_concat_copy(pushdown->values, pushdown->clauses),
							lappend(private, indexes), scan_tlist, NIL, NULL);
}

/*
 * graph_plan_scan
 *		GetForeignPlan: make the plan node of the chosen path.
 *
 * All clauses stay in the plan's qual and are checked again here.
 */
ForeignScan *
graph_plan_scan(PlannerInfo *root, RelOptInfo *baserel, ForeignPath *best_path,
				List *tlist, List *scan_clauses, Plan *outer_plan)
{
	List	   *clauses = extract_actual_clauses(scan_clauses, false);
	GraphRelInfo *info = baserel->fdw_private;
	GraphPushdown pushdown;
	GraphScanMode mode;
	List	   *columns;
	List	   *select;
	List	   *order = NIL;
	int			first = INT_MAX;

	if (baserel->reloptkind == RELOPT_UPPER_REL)
		return plan_count(baserel, best_path, tlist);
	if (IS_JOIN_REL(baserel))
		return graph_plan_join(root, baserel, tlist, outer_plan);

	graph_pushdown_init(&pushdown);
	graph_classify(root, baserel, scan_clauses, &pushdown);
	mode = pushdown.keys ? GRAPH_SCAN_KEYS : GRAPH_SCAN_LIST;
	columns = needed_columns(baserel, clauses);
	select = graph_selected_properties(baserel, columns);
	if (best_path->path.pathkeys)
	{
		PathKey    *key = linitial_node(PathKey, best_path->path.pathkeys);
		AttrNumber	attnum;
		const char *name = find_order(baserel, key, &attnum)->name;

		order = list_make4(makeString(pstrdup(name)),
						   makeBoolean(graph_pathkey_is_descending(key)),
						   makeBoolean(key->pk_nulls_first),
						   makeInteger(attnum));
		columns = list_append_unique_int(columns, attnum);
		if (select)
			select = add_property(select, name, strlen(name));
	}

	if (best_path->path.param_info == NULL)
		first = graph_first_page(root, baserel, best_path->path.pathkeys,
								 pushdown.exact &&
								 info->options.evidence_type == NULL &&
								 info->options.resource != GRAPH_COMMENTS);
	return make_foreignscan(tlist, clauses, baserel->relid,
							list_concat_copy(pushdown.values, pushdown.clauses),
							graph_make_private(mode, info, columns, &pushdown, order,
										 select, first),
							NIL, NIL, outer_plan);
}
