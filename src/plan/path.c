/*-------------------------------------------------------------------------
 *
 * path.c
 *		Which paths exist?
 *
 * For a table: the list of alerts under what can be filtered, the same in the
 * order that the query wants, lookups by ids that the query names, and both
 * with values that come from the rows of other tables.  All are offered, and
 * with honest prices (price.c) the planner picks.
 *
 * Nothing is asked of the service while planning: that would happen before
 * permissions are checked, and a plan would fail when the service is away.
 *
 * What this file refuses to know: counts (count_path.c), HTTP, JSON, how a
 * condition is written.
 *
 * IDENTIFICATION
 *		src/plan/path.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/value.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "plan/graph_plan.h"

/*
 * estimate_alerts
 *		How many alerts are there, and how many rows do they have in a table?
 *
 * Of a table of what is inside the alerts, ANALYZE keeps the number of alerts as
 * that of pages (src/exec/analyze.c).
 */
static void
estimate_alerts(RelOptInfo *baserel)
{
	GraphRelInfo *info = baserel->fdw_private;
	double		per_alert = info->resource->rows_per_record;
	bool		has_pages = info->resource->rows_member && baserel->pages > 1;

	info->analyzed = baserel->tuples > 0 || (baserel->tuples == 0 && has_pages);
	if (!info->analyzed)
		baserel->tuples = graph_usual_records(info->resource) * per_alert;
	info->alerts = clamp_row_est(info->analyzed && has_pages ? baserel->pages :
								 baserel->tuples / per_alert);
	baserel->tuples = Max(baserel->tuples, 1.0);
}

/*
 * graphGetForeignRelSize
 *		How many rows will a scan give?
 */
void
graphGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	ForeignTable *table = GetForeignTable(relid);
	GraphRelInfo *info = palloc0(sizeof(GraphRelInfo));
	GraphPrice	price;

	baserel->fdw_private = info;
	info->root = root;
	info->baserel = baserel;
	info->relid = relid;
	info->table_name = get_rel_name(relid);
	graph_get_options(table, GetForeignServer(table->serverid), NULL,
					  &info->options);
	info->resource = graph_resource_info(info->options.resource);
	info->columns = palloc0((baserel->max_attr + 1) * sizeof(GraphColumn *));
	estimate_alerts(baserel);
	graph_tell_mistakes(baserel);
	set_baserel_size_estimates(root, baserel);
	graph_pushdown_init(&info->pushdown);
	graph_classify_clauses(baserel, baserel->baserestrictinfo, &info->pushdown);
	if (info->pushdown.keys == NIL)
		return;
	graph_price_scan(root, baserel, &info->pushdown, baserel->rows, &price);
	baserel->rows = price.rows;
}

/*
 * graph_is_ours
 *		Is this a table of ours, or several that are read as one stream?  Hooks
 *		are asked about relations of all kinds.
 */
bool
graph_is_ours(const RelOptInfo *rel)
{
	return rel->fdwroutine && rel->fdw_private &&
		rel->fdwroutine->GetForeignPaths == graphGetForeignPaths;
}

/*
 * graphIsForeignPathAsyncCapable
 *		May a table be read in turns with others, below an Append?
 *
 * All of them are asked at once then, which shortens the wait if all are
 * wanted, but costs requests for nothing if a few rows of the first are enough:
 * then this is not in the path.
 */
bool
graphIsForeignPathAsyncCapable(ForeignPath *path)
{
	return !IS_JOIN_REL(path->path.parent) && path->fdw_private &&
		boolVal(linitial(path->fdw_private));
}

/*
 * add_scan_path
 *		Offer one way to scan a table.
 */
static void
add_scan_path(PlannerInfo *root, RelOptInfo *baserel, const GraphPrice *price,
			  List *pathkeys, Relids outer, bool async)
{
	add_path(baserel, (Path *)
			 graph_create_foreignscan_path(root, baserel, NULL, price->rows,
										   price->startup, price->total,
										   pathkeys, outer, NULL,
										   list_make1(makeBoolean(async))));
}

/*-------------------------------------------------------------------------
 * The list in an order
 *-------------------------------------------------------------------------
 */

/*
 * graph_find_order
 *		The property by which the service can sort as a path key says, and the
 *		column that reads it; or NULL.
 */
const GraphQueryProperty *
graph_find_order(RelOptInfo *baserel, PathKey *pathkey, AttrNumber *attnum)
{
	GraphRelInfo *info = baserel->fdw_private;
	GraphMemberIterator members;
	EquivalenceMember *member;

	if (!info->options.pushdown.order || pathkey->pk_eclass->ec_has_volatile ||
		pathkey->pk_opfamily != lookup_type_cache(TIMESTAMPTZOID,
												  TYPECACHE_BTREE_OPFAMILY)->btree_opf)
		return NULL;
	graph_start_members(&members, pathkey->pk_eclass, baserel->relids);
	while ((member = graph_next_member(&members)) != NULL)
	{
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
		graph_is_all_of_query(root, info->baserel) &&
		root->limit_tuples + 1 <= info->options.limits.page_size &&
		info->resource->rows_member == NULL && !info->pushdown.loose &&
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
add_ordered_path(PlannerInfo *root, RelOptInfo *baserel, const GraphPrice *price)
{
	GraphRelInfo *info = baserel->fdw_private;
	const GraphQueryProperty *property;
	AttrNumber	attnum;
	PathKey    *first;

	if (root->query_pathkeys == NIL)
		return;
	first = linitial_node(PathKey, root->query_pathkeys);
	property = graph_find_order(baserel, first, &attnum);
	if (property == NULL ||
		(strcmp(property->name, info->resource->default_order) != 0 &&
		 !is_one_page(root, info)))
		return;
	add_scan_path(root, baserel, price, list_make1(first),
				  baserel->lateral_relids, false);
}

/*-------------------------------------------------------------------------
 * Scans that take values from the rows of other tables
 *-------------------------------------------------------------------------
 */

/*
 * is_useful_column
 *		Callback: is this member of an equivalence class the column with the
 *		attribute number *arg, and could a value for it be sent?
 *
 * Asked by generate_implied_equalities_for_column().  The clause that will be
 * made is classified again.  Like graph_is_key_column(), an error for a column
 * that reads nothing.
 */
static bool
is_useful_column(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
				 EquivalenceMember *em, void *arg)
{
	Var		   *var = graph_own_var(rel, em->em_expr);

	return var && var->varattno == *(AttrNumber *) arg &&
		(graph_is_key_column(rel, em->em_expr) ||
		 graph_is_owner_column(rel, em->em_expr) ||
		 graph_var_property(rel, em->em_expr) != NULL ||
		 graph_evidence_path(rel, em->em_expr) != NULL ||
		 graph_is_time_function(rel, em->em_expr));
}

/*
 * is_useful_time
 *		Callback: is this member of an equivalence class a function of a time
 *		for which a value could be sent?
 */
static bool
is_useful_time(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
			   EquivalenceMember *em, void *arg)
{
	return graph_own_var(rel, em->em_expr) == NULL &&
		graph_is_time_function(rel, em->em_expr);
}

/*
 * candidate_clauses
 *		The join clauses, written or implied, with this table on one side.
 */
static List *
candidate_clauses(PlannerInfo *root, RelOptInfo *baserel)
{
	List	   *result = list_copy(baserel->joininfo);

	if (!baserel->has_eclass_joins)
		return result;
	for (AttrNumber attnum = 1; attnum <= baserel->max_attr; attnum++)
		result = list_concat(result,
							 generate_implied_equalities_for_column(root, baserel,
																	is_useful_column,
																	&attnum,
																	baserel->lateral_referencers));
	return list_concat(result,
					   generate_implied_equalities_for_column(root, baserel,
															  is_useful_time, NULL,
															  baserel->lateral_referencers));
}

/*
 * add_parameterized_path
 *		Offer scans that take values from the rows of some other tables.
 */
static void
add_parameterized_path(PlannerInfo *root, RelOptInfo *baserel,
					   ParamPathInfo *param_info)
{
	GraphPushdown pushdown;
	GraphPrice	price;

	graph_pushdown_init(&pushdown);
	graph_classify_clauses(baserel,
						   list_concat_copy(baserel->baserestrictinfo,
											param_info->ppi_clauses),
						   &pushdown);
	graph_price_scan(root, baserel, &pushdown, param_info->ppi_rows, &price);
	param_info->ppi_rows = price.rows;
	add_scan_path(root, baserel, &price, NIL, param_info->ppi_req_outer, false);
}

/*
 * add_parameterized_paths
 *		The same for each set of other tables that can give values to send.
 */
static void
add_parameterized_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	List	   *seen = NIL;		/* of ParamPathInfo *, one for each set */
	ListCell   *cell;

	foreach(cell, candidate_clauses(root, baserel))
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		ParamPathInfo *param_info;
		GraphPushdown pushdown;
		Relids		outer;

		if (!join_clause_is_movable_to(rinfo, baserel))
			continue;
		graph_pushdown_init(&pushdown);
		graph_classify_clauses(baserel, list_make1(rinfo), &pushdown);
		if (pushdown.keys == NIL && pushdown.filters == NIL)
			continue;
		outer = bms_union(rinfo->clause_relids, baserel->lateral_relids);
		outer = bms_del_member(outer, baserel->relid);
		if (bms_is_empty(outer))
			continue;
		param_info = get_baserel_parampathinfo(root, baserel, outer);
		if (list_member_ptr(seen, param_info))
			continue;
		seen = lappend(seen, param_info);
		add_parameterized_path(root, baserel, param_info);
	}
}

/*
 * graphGetForeignPaths
 *		Offer all the ways to scan a table.
 */
void
graphGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	GraphRelInfo *info = baserel->fdw_private;
	bool		few = root->limit_tuples > 0 && root->query_pathkeys == NIL;
	GraphPrice	price;

	graph_price_scan(root, baserel, &info->pushdown, baserel->rows, &price);
	add_scan_path(root, baserel, &price, NIL, baserel->lateral_relids, !few);
	if (info->pushdown.keys)
		return;
	add_ordered_path(root, baserel, &price);
	add_parameterized_paths(root, baserel);
}
