/*-------------------------------------------------------------------------
 *
 * join_row.c
 *		What is the next row of tables that are read as one stream?
 *
 * Each alert is read once; its rows are the product of what the tables find in
 * it.  src/plan/join_plan.c says which tables can be read so.  A record is used
 * until its last row was given, and the scan keeps its bytes so long.
 *
 * What this file refuses to know: requests, JSON, which alert comes next.
 *
 * IDENTIFICATION
 *		src/exec/join_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "exec/graph_exec.h"

/* One table of a joined scan, while it runs. */
typedef struct RowMember
{
	GraphRowReader *reader;
	bool		nullable;
	ExprState  *quals;			/* NULL: none */
	List	   *indexes;		/* of its columns in the row */
	MemoryContext context;		/* of the values of its row */
	bool		matched;		/* this alert has given a row */
	bool		extended;		/* a row of NULLs was given instead */
} RowMember;

struct GraphJoinRows
{
	int			nmembers;
	RowMember  *members;
	int			level;			/* the member whose row is wanted next; -1: no
								 * alert is at hand */
	GraphRecord record;
	GraphAtHand *hand;			/* where other scans see the record */
	ExprContext *econtext;		/* of the members' clauses */

	/* the combined row; a slot's arrays may not be kept from row to row */
	int			natts;
	Datum	   *values;
	bool	   *isnull;
};

/*
 * begin_member
 *		Resolve one table of a joined scan.
 */
static void
begin_member(RowMember *member, List *private, ForeignScanState *node,
			 int natts, GraphProjection *projection)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Index		rti = graph_join_member(plan, private, &member->nullable);
	Relation	relation = graph_range_table_relation(node->ss.ps.state, rti);
	ForeignTable *table = GetForeignTable(RelationGetRelid(relation));
	int			first = intVal(list_nth(private, GRAPH_MEMBER_FIRST_QUAL));
	int			count = intVal(list_nth(private, GRAPH_MEMBER_QUALS));
	GraphOptions options;

	Assert(list_length(list_nth(private, GRAPH_MEMBER_COLUMNS)) ==
		   list_length(list_nth(private, GRAPH_MEMBER_INDEXES)));
	graph_get_options(table, GetForeignServer(table->serverid), NULL, &options);
	member->indexes = list_nth(private, GRAPH_MEMBER_INDEXES);
	member->reader =
		graph_row_reader_create_joined(relation,
									   list_nth(private, GRAPH_MEMBER_COLUMNS),
									   member->indexes,
									   natts, &options, projection);
	member->context = AllocSetContextCreate(CurrentMemoryContext,
											"graph_fdw joined row",
											ALLOCSET_SMALL_SIZES);
	if (count > 0)
		member->quals = ExecInitQual(list_copy_tail(list_copy_head(plan->fdw_exprs,
																   first + count),
													first),
									 &node->ss.ps);
}

/*
 * graph_join_create
 *		What a joined scan needs to make its rows, in the current memory
 *		context; the projection gets what has to be located in each alert.
 */
GraphJoinRows *
graph_join_create(ForeignScanState *node, GraphProjection *projection,
				  GraphAtHand *hand)
{
	List	   *members = graph_plan_list((ForeignScan *) node->ss.ps.plan,
										  GRAPH_PLAN_MEMBERS);
	GraphJoinRows *join = palloc0(sizeof(GraphJoinRows));
	ListCell   *cell;

	join->members = palloc0(list_length(members) * sizeof(RowMember));
	join->level = -1;
	join->hand = hand;
	join->econtext = node->ss.ps.ps_ExprContext;
	join->natts = node->ss.ss_ScanTupleSlot->tts_tupleDescriptor->natts;
	join->values = palloc0(join->natts * sizeof(Datum));
	join->isnull = palloc0(join->natts * sizeof(bool));
	foreach(cell, members)
		begin_member(&join->members[join->nmembers++], lfirst(cell), node,
					 join->natts, projection);
	return join;
}

/*
 * start_member
 *		Let a member begin with the alert at hand.
 */
static void
start_member(GraphJoinRows *join, int level)
{
	RowMember  *member = &join->members[level];

	graph_row_start(member->reader, &join->record);
	member->matched = member->extended = false;
	join->level = level;
}

/*
 * graph_join_stop
 *		Forget the alert: its bytes are gone.
 */
void
graph_join_stop(GraphJoinRows *join)
{
	graph_at_hand_show(join->hand, NULL);
	for (int i = 0; i < join->nmembers; i++)
		graph_row_stop(join->members[i].reader);
	join->level = -1;
}

/*
 * fill_slot
 *		Put the combined row, as far as it is made, into an empty slot.
 */
static void
fill_slot(GraphJoinRows *join, TupleTableSlot *slot)
{
	memcpy(slot->tts_values, join->values, join->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, join->isnull, join->natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
}

/*
 * run_clauses
 *		Run the clauses that go with a table on the member's row; true if it
 *		passes.  They may raise an error.
 */
static bool
run_clauses(GraphJoinRows *join, RowMember *member, TupleTableSlot *slot)
{
	bool		result;

	if (member->quals == NULL)
		return true;
	fill_slot(join, slot);
	join->econtext->ecxt_scantuple = slot;
	result = ExecQual(member->quals, join->econtext);
	ExecClearTuple(slot);
	return result;
}

/*
 * next_of_member
 *		The member's next row for the rows of those before it; for a nullable
 *		one without any, a row of NULLs.
 */
static bool
next_of_member(GraphJoinRows *join, RowMember *member, TupleTableSlot *slot)
{
	MemoryContext old;
	bool		found;
	ListCell   *cell;

	do
	{
		MemoryContextReset(member->context);
		old = MemoryContextSwitchTo(member->context);
		found = graph_row_next(member->reader, join->values, join->isnull);
		MemoryContextSwitchTo(old);
	} while (found && !run_clauses(join, member, slot));

	if (found)
		member->matched = true;
	if (found || !member->nullable || member->matched || member->extended)
		return found;

	foreach(cell, member->indexes)
		join->isnull[lfirst_int(cell)] = true;
	member->extended = true;
	return true;
}

/*
 * next_of_alert
 *		Put the next combined row into the slot; false if the alert at hand, if
 *		any, has no more.
 */
static bool
next_of_alert(GraphJoinRows *join, TupleTableSlot *slot)
{
	while (join->level >= 0)
	{
		if (!next_of_member(join, &join->members[join->level], slot))
			join->level--;
		else if (join->level == join->nmembers - 1)
		{
			fill_slot(join, slot);
			return true;
		}
		else
			start_member(join, join->level + 1);
	}
	return false;
}

/*
 * start_record
 *		Give the rows of the record next.
 */
static void
start_record(GraphJoinRows *join)
{
	graph_at_hand_show(join->hand, &join->record);
	start_member(join, 0);
}

/*
 * graph_join_take
 *		Give the rows of a record that did not come from the scan, before those
 *		of the scan.  It stays as it is until graph_join_stop().
 */
void
graph_join_take(GraphJoinRows *join, const GraphRecord *record)
{
	join->record = *record;
	start_record(join);
}

/*
 * graph_join_next
 *		Put the next row into the slot, which is empty and stays so at the end.
 */
void
graph_join_next(GraphJoinRows *join, GraphScan *scan, TupleTableSlot *slot)
{
	Assert(TTS_EMPTY(slot));
	while (!next_of_alert(join, slot))
	{
		graph_join_stop(join);	/* its bytes go with the next call */
		if (!graph_scan_next(scan, &join->record))
			return;
		start_record(join);
	}
}
