/*-------------------------------------------------------------------------
 *
 * modify_foreign.c
 *		Which rows does PostgreSQL want written, one after the other?
 *
 * The callbacks of INSERT, COPY and of an UPDATE that its scan cannot write
 * itself (modify_scan.c): of joins, and where triggers or views want to see
 * each row.  If nobody looks at the row afterwards, it is only handed on, so
 * that several are written at once, and all answers have been looked at when
 * the statement ends.  Somebody looks at it for RETURNING, in triggers after
 * the statement, and where the statement may be over before its end is told:
 * below WITH.  COPY has no plan.
 *
 * What this file refuses to know: requests and answers.
 *
 * Sources: PostgreSQL, "Foreign Data Wrapper Routines for Updating Foreign
 * Tables".
 *
 * IDENTIFICATION
 *		src/exec/modify_foreign.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/value.h"
#include "utils/rel.h"

#include "exec/modify_int.h"

/* The state of one result relation: ResultRelInfo.ri_FdwState. */
typedef struct GraphForeignModify
{
	GraphModify *modify;
	bool		waits;			/* for the answer to each row */
} GraphForeignModify;

/*
 * begin
 *		Make the state of a result relation.
 */
static void
begin(ModifyTableState *mtstate, ResultRelInfo *rri, List *returned)
{
	EState	   *estate = mtstate->ps.state;
	const TriggerDesc *triggers = rri->ri_TrigDesc;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	GraphForeignModify *state = palloc0(sizeof(GraphForeignModify));
	bool		after_row = triggers && (triggers->trig_insert_after_row ||
										 triggers->trig_update_after_row);
	bool		after = triggers && (triggers->trig_insert_after_statement ||
									 triggers->trig_update_after_statement);

	state->modify = graph_modify_create(rri, estate, NULL, returned, after_row);
	state->waits = returned != NIL || rri->ri_returningList != NIL ||
		after_row || after || (mtstate->ps.plan && !mtstate->canSetTag);
	rri->ri_FdwState = state;
	MemoryContextSwitchTo(old);
}

/*
 * graphBeginForeignModify
 *		A statement is about to write to a table; nothing is sent yet.
 */
void
graphBeginForeignModify(ModifyTableState *mtstate, ResultRelInfo *rri,
						List *fdw_private, int index, int eflags)
{
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		begin(mtstate, rri, list_nth(fdw_private, GRAPH_WRITE_RETURNING));
}

/*
 * graphBeginForeignInsert
 *		The same for COPY, and for rows that come to a table as the partition of
 *		another.
 */
void
graphBeginForeignInsert(ModifyTableState *mtstate, ResultRelInfo *rri)
{
	List	   *returned = NIL;

	if (rri->ri_returningList)
		returned = graph_add_attributes(NIL, (Node *) rri->ri_returningList,
										mtstate->resultRelInfo->ri_RangeTableIndex);
	begin(mtstate, rri, returned);
}

/*
 * store_row
 *		Put the row as the service has it into the slot.
 */
static void
store_row(TupleTableSlot *slot, HeapTuple row)
{
	MemoryContext old = MemoryContextSwitchTo(slot->tts_mcxt);
	HeapTuple	copy = heap_copytuple(row);

	MemoryContextSwitchTo(old);
	heap_freetuple(row);
	ExecForceStoreHeapTuple(copy, slot, true);
}

/*
 * take_answers
 *		Look at the answers that are there; wait for all of them if somebody wants
 *		the row, which goes into the slot then.
 */
static void
take_answers(GraphForeignModify *state, TupleTableSlot *slot)
{
	HeapTuple	row;

	while (graph_modify_take(state->modify, state->waits, &row))
	{
		if (row)
			store_row(slot, row);
	}
}

/*
 * graphExecForeignInsert
 *		Write a new row.
 */
TupleTableSlot *
graphExecForeignInsert(EState *estate, ResultRelInfo *rri,
					   TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	GraphForeignModify *state = rri->ri_FdwState;

	graph_modify_insert(state->modify, slot, state->waits);
	take_answers(state, slot);
	return slot;
}

/*
 * graphExecForeignUpdate
 *		Write what differs in a row; NULL if the statement has done so before.
 */
TupleTableSlot *
graphExecForeignUpdate(EState *estate, ResultRelInfo *rri,
					   TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	GraphForeignModify *state = rri->ri_FdwState;

	if (graph_modify_update(state->modify, rri->ri_oldTupleSlot, slot,
							state->waits) == GRAPH_MODIFY_AGAIN)
		return NULL;
	take_answers(state, slot);
	return slot;
}

/*
 * graphEndForeignModify
 *		The statement has no more rows: all answers are looked at.
 */
void
graphEndForeignModify(EState *estate, ResultRelInfo *rri)
{
	GraphForeignModify *state = rri->ri_FdwState;

	if (state)
		graph_modify_end(state->modify);
	rri->ri_FdwState = NULL;
}

/*
 * graphExplainForeignModify
 *		Show the request that is made for each row, and what was done.
 */
void
graphExplainForeignModify(ModifyTableState *mtstate, ResultRelInfo *rri,
						  List *fdw_private, int index, ExplainState *es)
{
	GraphForeignModify *state = rri->ri_FdwState;

	graph_explain_writes(RelationGetRelid(rri->ri_RelationDesc), fdw_private,
						 state ? state->modify : NULL, es);
}
