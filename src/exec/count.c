/*-------------------------------------------------------------------------
 *
 * count.c
 *		How many alerts match?
 *
 * The service's count, if it gives one that some alerts which come with it do
 * not contradict, less those near the bound of a time that are beyond it; else
 * the alerts are read and counted here.  Either way each alert that is seen is
 * checked against the clauses, in case the service ignores the filter.
 *
 * Where members of an enum may come in another case, for which the service is
 * not known to tell them apart, the first page comes with the count: one that
 * has such a member in it, or one that has come to any scan before, and the list
 * is read.
 *
 * By group, there is a count for each member of an enum, and one of all: if they
 * do not add up, the alerts are read and grouped here.
 *
 * Where the alerts have to be read, the request for a count is changed into
 * one for the list.
 *
 * What this file refuses to know: how a request is spelled, JSON, when a count
 * means the same as the query (src/plan/count_path.c).
 *
 * IDENTIFICATION
 *		src/exec/count.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "exec/graph_exec.h"

struct GraphCount
{
	GraphRowReader *reader;		/* of the columns in the clauses */
	ExprState  *quals;			/* NULL: every alert counts */
	ExprContext *econtext;
	int			naggregates;	/* of the row; what follows is an alert's */
	const char *key;			/* $select of a count ... */
	const char *key_and_time;	/* ... and of a list */
	bool		in_turns;		/* below an Append that reads several tables */
	bool		waits;			/* not all has come yet */
	bool		listed;			/* the list is read, and counted here: */
	int64		found;			/* so many match */
	List	   *any_case;		/* String: enums of which no member may come
								 * in another case */
	int64		came;			/* with the count of all; of these, */
	int64		matched;		/* so many match */
	bool		contradicted;	/* an alert has come that does not */
	int64		near;			/* so many came as near to a bound ... */
	int64		beyond;			/* ... of which some are beyond it */
	bool		answered;		/* this is the number of all: */
	int64		result;
	bool		given;			/* all rows */

	/* a count by group */
	GraphGroups *groups;		/* NULL: it is none */
	int			group_index;	/* where the group is in the row */
	List	   *members;		/* char *: of the enum, in the order of counts */
	const		text *group;	/* of the alert at hand; NULL: it has none */
};

/*
 * graph_count_create
 *		Resolve what a count needs to check alerts, in the current memory
 *		context.
 */
GraphCount *
graph_count_create(ForeignScanState *node, const GraphOptions *options,
				   GraphProjection *projection)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	const GraphResourceInfo *resource = graph_resource_info(options->resource);
	TupleDesc	tupdesc = node->ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	List	   *group = graph_plan_list(plan, GRAPH_PLAN_GROUP);
	GraphCount *count = palloc0(sizeof(GraphCount));
	int			rti = bms_next_member(graph_base_relids(plan), -1);
	Relation	relation = graph_range_table_relation(node->ss.ps.state, rti);

	Assert(resource->rows_member == NULL);
	count->key = resource->key;
	count->key_and_time = psprintf("%s,%s", resource->key,
								   resource->default_order);
	count->reader =
		graph_row_reader_create_joined(relation,
									   graph_plan_list(plan, GRAPH_PLAN_COLUMNS),
									   graph_plan_list(plan, GRAPH_PLAN_INDEXES),
									   tupdesc->natts, options, projection);
	count->quals =
		ExecInitQual(list_copy_tail(plan->fdw_exprs,
									graph_plan_int(plan, GRAPH_PLAN_NVALUES)),
					 &node->ss.ps);
	count->econtext = CreateExprContext(node->ss.ps.state);
	count->any_case = graph_plan_list(plan, GRAPH_PLAN_ANY_CASE);
	count->in_turns = node->ss.ps.async_capable;
	if (group)
	{
		count->groups = graph_groups_create();
		count->group_index = intVal(lsecond(group));
		count->members =
			graph_countable_members(graph_query_property(resource,
														 strVal(linitial(group)))->enum_name);
	}
	count->naggregates = tupdesc->natts -
		list_length(graph_plan_list(plan, GRAPH_PLAN_INDEXES));
	return count;
}

/*
 * run_clauses
 *		Run the clauses on an alert; true if it counts.  They may raise an
 *		error.  The slot is empty before and after.  What the alert's group is
 *		stays known until the next one.
 */
static bool
run_clauses(GraphCount *count, const GraphRecord *record, TupleTableSlot *slot)
{
	MemoryContext old;
	bool		result;

	Assert(TTS_EMPTY(slot));
	if (count->quals == NULL && count->groups == NULL)
		return true;
	ResetExprContext(count->econtext);
	old = MemoryContextSwitchTo(count->econtext->ecxt_per_tuple_memory);
	memset(slot->tts_isnull, true,
		   slot->tts_tupleDescriptor->natts * sizeof(bool));
	graph_row_start(count->reader, record);
	(void) graph_row_next(count->reader, slot->tts_values, slot->tts_isnull);
	graph_row_stop(count->reader);
	ExecStoreVirtualTuple(slot);
	MemoryContextSwitchTo(old);

	count->econtext->ecxt_scantuple = slot;
	result = ExecQual(count->quals, count->econtext);
	if (count->groups)
		count->group = slot->tts_isnull[count->group_index] ? NULL :
			DatumGetTextPP(slot->tts_values[count->group_index]);
	ExecClearTuple(slot);
	return result;
}

/*
 * read_list
 *		Read the list and count it here.
 */
static void
read_list(GraphCount *count, GraphScan *scan, GraphRequest *request)
{
	/* a count needs no more than the id, a list its time as well */
	if (request->select && strcmp(request->select, count->key) == 0)
		request->select = count->key_and_time;
	graph_request_all(request);
	count->listed = true;
	count->found = 0;
	if (count->groups)
		graph_groups_reset(count->groups);
	graph_scan_start(scan, request);
}

/*
 * is_of_group
 *		Is the alert at hand of the group whose count it has come with?
 */
static bool
is_of_group(const GraphCount *count, int number)
{
	if (number > list_length(count->members))
		return count->group == NULL;
	return count->group &&
		strcmp(text_to_cstring(count->group),
			   list_nth(count->members, number - 1)) == 0;
}

/*
 * add_groups
 *		Take the service's counts for those of the groups; their sum, or -1 if it
 *		does not count one.
 */
static int64
add_groups(GraphCount *count, const GraphScan *scan, int ngroups)
{
	int64		sum = 0;

	for (int i = 1; i <= ngroups; i++)
	{
		int64		one = graph_scan_count(scan, i);

		if (one < 0)
			return -1;
		sum += one;
		graph_groups_add(count->groups,
						 i > list_length(count->members) ? NULL :
						 cstring_to_text(list_nth(count->members, i - 1)), one);
	}
	return sum;
}

/*
 * answer
 *		The number of alerts, after all that was asked for has come; -1 if the
 *		service does not count, contradicts itself or ignores the filter.
 *
 * Where all that it counts have come with the count, and in one answer, they
 * were counted here.
 *
 * Between times, the service may count some that are near a bound and beyond it.
 * All that are near have come by themselves.  The two requests are under way at
 * once, but not of one moment: to make the answer wrong, an alert has to be
 * within milliseconds of a bound and to come or go between the two.
 */
static int64
answer(GraphCount *count, const GraphScan *scan,
	   const GraphRequest *request)
{
	int64		result;

	if (count->listed)
		return count->found;
	result = graph_scan_count(scan, 0);
	if (result >= 0 && result == graph_scan_counted(scan) &&
		result == count->came && count->groups == NULL)
		return count->matched;
	if (count->contradicted || result < 0 || request->nparts == 0)
		return count->contradicted ? -1 : result;
	if (count->groups)
		return add_groups(count, scan, request->nparts) == result ? result : -1;
	return count->near == graph_scan_count(scan, 1) && count->near <= result ?
		result - count->beyond : -1;
}

/*
 * take_record
 *		An alert has come: note whether it counts.
 */
static void
take_record(GraphCount *count, const GraphScan *scan, bool counts)
{
	int			number = count->listed ? 0 : graph_scan_count_number(scan);

	count->came += number == 0;
	count->matched += number == 0 && counts;
	if (count->listed)
	{
		count->found += counts;
		if (count->groups && counts)
			graph_groups_add(count->groups, count->group, 1);
	}
	else if (number == 0 || count->groups)
		count->contradicted = count->contradicted || !counts ||
			(number > 0 && !is_of_group(count, number));
	else
	{
		count->near++;
		count->beyond += !counts;
	}
}

/*
 * must_be_listed
 *		Is it known before the service has answered that its count is none?
 *
 * A word was left out of the filter, or members have come in another case.
 */
static bool
must_be_listed(const GraphCount *count, const GraphScan *scan,
			   const GraphRequest *request)
{
	ListCell   *cell;

	if (!request->whole_filter)
		return true;
	foreach(cell, count->any_case)
	{
		if (graph_scan_saw_other_case(scan, strVal(lfirst(cell))))
			return true;
	}
	return false;
}

/*
 * find_answer
 *		The number of alerts; -1 if not all has come.
 */
static int64
find_answer(GraphCount *count, GraphScan *scan, GraphRequest *request,
			TupleTableSlot *slot)
{
	GraphRecord record;
	int64		result;

	if (request == NULL)
		return 0;
	if (!count->listed && must_be_listed(count, scan, request))
		read_list(count, scan, request);
	for (;;)
	{
		while (graph_scan_take(scan, count->in_turns, &record, &count->waits))
			take_record(count, scan, run_clauses(count, &record, slot));
		if (count->waits)
			return -1;
		result = answer(count, scan, request);
		if (result >= 0)
			return result;
		read_list(count, scan, request);
	}
}

/*
 * graph_count_next
 *		Put the one row of a count, or the next of a count by group, into the
 *		slot, which is empty and stays so while not all has come.  When all rows
 *		were given, it stays empty as well, which is the end of the scan.  A NULL
 *		request: no alert can match.
 */
void
graph_count_next(GraphCount *count, GraphScan *scan, GraphRequest *request,
				 TupleTableSlot *slot)
{
	int64		result = -1;
	const		text *group = NULL;

	if (!count->answered)
		count->result = find_answer(count, scan, request, slot);
	count->answered = count->result >= 0;
	if (!count->answered || count->given)
		return;
	result = count->result;
	count->given = count->groups == NULL ||
		!graph_groups_next(count->groups, &group, &result);
	if (count->given && count->groups)
		return;
	memset(slot->tts_isnull, true,
		   slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < count->naggregates; i++)
	{
		slot->tts_values[i] = Int64GetDatum(result);
		slot->tts_isnull[i] = false;
	}
	if (group)
	{
		slot->tts_values[count->group_index] = PointerGetDatum(group);
		slot->tts_isnull[count->group_index] = false;
	}
	ExecStoreVirtualTuple(slot);
}

/*
 * graph_count_waits
 *		Did the last call give no row because not all has come yet?
 */
bool
graph_count_waits(const GraphCount *count)
{
	return count->waits;
}

/*
 * graph_count_stop
 *		Begin again with the next row.
 */
void
graph_count_stop(GraphCount *count)
{
	graph_row_stop(count->reader);
	count->given = count->waits = count->answered = false;
	count->listed = count->contradicted = false;
	count->found = count->near = count->beyond = 0;
	count->came = count->matched = 0;
	if (count->groups)
		graph_groups_reset(count->groups);
}
