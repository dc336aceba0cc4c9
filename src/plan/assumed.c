/*-------------------------------------------------------------------------
 *
 * assumed.c
 *		What is assumed of a column that nobody has analyzed?
 *
 * PostgreSQL takes a column without statistics for one of 200 values.  The
 * metadata says how many members an enum has, so the planner is told as many
 * values, and for each the same share of the rows.  An id is one record's, and
 * the resource's row says how many records belong to one owner.  What ANALYZE
 * has found is believed instead.
 *
 * Of how many rows of one table are of a record of another nothing is said: it
 * would make their joins, which come in the same answers, look dearer than two
 * lists.
 *
 * What this file refuses to know: paths, prices.
 *
 * Sources: PostgreSQL, get_relation_stats_hook in utils/adt/selfuncs.c.
 *
 * IDENTIFICATION
 *		src/plan/assumed.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "plan/graph_plan.h"

static get_relation_stats_hook_type next_stats_hook;

/*
 * find_relation
 *		The relation of ours that a range table entry is, once its size has been
 *		asked for; or NULL.
 */
static RelOptInfo *
find_relation(PlannerInfo *root, RangeTblEntry *rte)
{
	if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_FOREIGN_TABLE)
		return NULL;
	for (int i = 1; i < root->simple_rel_array_size; i++)
	{
		RelOptInfo *rel = root->simple_rel_array[i];

		if (rel == NULL || root->simple_rte_array[i] != rte)
			continue;
		return rel->fdwroutine && rel->fdw_private &&
			rel->fdwroutine->GetForeignRelSize == graphGetForeignRelSize ?
			rel : NULL;
	}
	return NULL;
}

/*
 * assume
 *		How many values has a column, and which part of its rows has none?
 *		false if nothing is known of it.
 *
 * Like graph_is_key_column(), an error for a column that reads nothing.
 */
static bool
assume(RelOptInfo *rel, AttrNumber attnum, float4 * values, float4 * nulls)
{
	Oid			relid = ((GraphRelInfo *) rel->fdw_private)->relid;
	const GraphResourceInfo *resource =
		((GraphRelInfo *) rel->fdw_private)->resource;
	Oid			type;
	int32		typmod;
	Oid			collation;
	Var		   *var;
	const GraphQueryProperty *property;
	double		rows_per_value;
	const char *names[GRAPH_MOST_MEMBERS];

	get_atttypetypmodcoll(relid, attnum, &type, &typmod, &collation);
	var = makeVar(rel->relid, attnum, type, typmod, collation, 0);
	*nulls = 0;
	rows_per_value = graph_is_alert(rel) &&
		graph_is_key_column(rel, (Expr *) var) ? 1 :
		graph_is_owner_column(rel, (Expr *) var) ?
		resource->navigation->records_per_owner : 0;
	if (rows_per_value > 0)
	{
		*values = -1 / Max(rows_per_value * resource->rows_per_record, 1);
		return true;
	}
	property = graph_var_property(rel, (Expr *) var);
	if (property == NULL || property->type != GRAPH_EDM_ENUM)
		return false;
	*values = graph_known_members(property->enum_name, names);
	if (*values == 0)
		return false;
	*nulls = property->nullable ? 1 / (*values + 1) : 0;
	return true;
}

/*
 * make_statistics
 *		A row of pg_statistic that says no more than this.
 */
static HeapTuple
make_statistics(Oid relid, AttrNumber attnum, float4 values, float4 nulls)
{
	Size		header = MAXALIGN(SizeofHeapTupleHeader);
	Size		size = header + sizeof(FormData_pg_statistic);
	HeapTuple	tuple = palloc0(HEAPTUPLESIZE + size);
	Form_pg_statistic statistic;

	tuple->t_len = size;
	tuple->t_data = (HeapTupleHeader) ((char *) tuple + HEAPTUPLESIZE);
	tuple->t_data->t_hoff = header;
	HeapTupleHeaderSetNatts(tuple->t_data, Anum_pg_statistic_stacoll5);
	statistic = (Form_pg_statistic) GETSTRUCT(tuple);
	statistic->starelid = relid;
	statistic->staattnum = attnum;
	statistic->stadistinct = values;
	statistic->stanullfrac = nulls;
	return tuple;
}

/*
 * give_statistics
 *		get_relation_stats_hook: the statistics of a column of ours that has
 *		none.
 */
static bool
give_statistics(PlannerInfo *root, RangeTblEntry *rte, AttrNumber attnum,
				VariableStatData *vardata)
{
	RelOptInfo *rel;
	float4		values;
	float4		nulls;

	if (next_stats_hook && next_stats_hook(root, rte, attnum, vardata))
		return true;
	rel = attnum > 0 ? find_relation(root, rte) : NULL;
	if (rel == NULL ||
		SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(rte->relid),
							  Int16GetDatum(attnum), BoolGetDatum(rte->inh)) ||
		!assume(rel, attnum, &values, &nulls))
		return false;
	vardata->statsTuple = make_statistics(rte->relid, attnum, values, nulls);
	vardata->freefunc = heap_freetuple;
	vardata->acl_ok = true;		/* it tells nothing of the rows */
	return true;
}

/*
 * graph_assumed_init
 *		The library has been loaded.
 */
void
graph_assumed_init(void)
{
	next_stats_hook = get_relation_stats_hook;
	get_relation_stats_hook = give_statistics;
}
