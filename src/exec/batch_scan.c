/*-------------------------------------------------------------------------
 *
 * batch_scan.c
 *		What is the next row of a join that looks up its alerts in batches?
 *
 * Rows of the outer plan are taken until they want so many alerts that are not
 * known yet, or fill work_mem.  The ids of those go to the scan below as a
 * parameter, and what it gives is kept by id: for the rows that were taken,
 * whose joined rows are then given in their order, and for later ones that want
 * the same alert.  An id without a row is kept too.  What is kept is forgotten
 * before a batch if it fills half of work_mem.
 *
 * A row that wants nothing new is not kept waiting.  Batches grow if a part of
 * the rows may do, and are smaller if the alerts are large.
 *
 * The rows of a batch and the answers have a memory context each, which are the
 * query's.  Nothing here is to be released after an error.
 *
 * What this file refuses to know: HTTP, JSON, which joins are done so.
 *
 * IDENTIFICATION
 *		src/exec/batch_scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"

#include "exec/graph_exec.h"

/* So many outer rows at most wait for each id that is asked for. */
#define MOST_ROWS_PER_KEY	16

/* A row of the inner plan. */
typedef struct InnerRow
{
	MinimalTuple tuple;
	struct InnerRow *next;
} InnerRow;

/* What is known of an id: an element of the hash table. */
typedef struct Answer
{
	struct varlena *key;		/* hashed by what it holds */
	uint64		batch;			/* the one in which it was asked for */
	InnerRow   *first;			/* in the order in which they came */
	InnerRow   *last;
} Answer;

/* A row of the outer plan that waits for its turn. */
typedef struct OuterRow
{
	MinimalTuple tuple;
	Answer	   *answer;			/* NULL: it wants no alert, its key is null */
} OuterRow;

typedef struct BatchState
{
	CustomScanState css;		/* must be the first */
	JoinType	jointype;
	int			param;			/* the parameter that holds the ids */
	AttrNumber	key_attr;		/* of the id in the inner row */
	List	   *sources;		/* GRAPH_BATCH_SOURCES */
	ExprState  *outer_key;
	ExprState  *match;			/* NULL: the id is enough */
	TupleTableSlot *outer_slot; /* the row at hand */
	TupleTableSlot *inner_slot;

	/* answers */
	MemoryContext answer_context;
	HTAB	   *answers;

	/* the batch: at most as many ids as its size, and rows in proportion */
	MemoryContext batch_context;
	int			first_size;
	int			least;			/* but for a few that are asked for first */
	int			size;
	int			most;
	OuterRow   *rows;
	int			nrows;
	int			allocated;
	Datum	   *ids;			/* to be asked for */
	int			nids;
	bool		outer_ended;

	/* the outer row at hand */
	int			current;		/* -1: none */
	InnerRow   *inner;			/* the next to be looked at */
	bool		matched;

	/* for EXPLAIN ANALYZE */
	uint64		batches;
	uint64		asked;			/* ids */
	uint64		kept;			/* outer rows that found theirs known */
} BatchState;

static Node *create_batch_state(CustomScan *plan);

static const CustomScanMethods scan_methods = {
	.CustomName = GRAPH_BATCH_NAME,
	.CreateCustomScanState = create_batch_state,
};

/*-------------------------------------------------------------------------
 * Answers
 *-------------------------------------------------------------------------
 */

/*
 * hash_key, match_key
 *		A hash table over texts that are pointed to, which have a full header.
 */
static uint32
hash_key(const void *key, Size size)
{
	const struct varlena *id = *(struct varlena *const *) key;

	return hash_bytes((const unsigned char *) VARDATA(id),
					  VARSIZE(id) - VARHDRSZ);
}

static int
match_key(const void *first, const void *second, Size size)
{
	const struct varlena *one = *(struct varlena *const *) first;
	const struct varlena *other = *(struct varlena *const *) second;

	if (VARSIZE(one) != VARSIZE(other))
		return 1;
	return memcmp(VARDATA(one), VARDATA(other), VARSIZE(one) - VARHDRSZ);
}

/*
 * forget_answers
 *		Begin with an empty table of answers.
 */
static void
forget_answers(BatchState *state)
{
	HASHCTL		ctl = {0};

	MemoryContextReset(state->answer_context);
	ctl.keysize = sizeof(struct varlena *);
	ctl.entrysize = sizeof(Answer);
	ctl.hash = hash_key;
	ctl.match = match_key;
	ctl.hcxt = state->answer_context;
	state->answers = hash_create("graph_fdw answers", 64, &ctl,
								 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE |
								 HASH_CONTEXT);
}

/*
 * keep_row
 *		Keep a row of the inner plan with the answers, if it is one to what was
 *		asked.
 *
 * Where the scan has read the whole list, it gives others too.
 */
static void
keep_row(BatchState *state, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, state->key_attr, &isnull);
	MemoryContext old;
	struct varlena *key;
	Answer	   *answer;
	InnerRow   *row;

	if (isnull)
		return;
	key = DatumGetTextP(value);
	answer = hash_search(state->answers, &key, HASH_FIND, NULL);
	if (answer == NULL || answer->batch != state->batches)
		return;
	old = MemoryContextSwitchTo(state->answer_context);
	row = palloc(sizeof(InnerRow));
	row->tuple = ExecCopySlotMinimalTuple(slot);
	row->next = NULL;
	MemoryContextSwitchTo(old);
	if (answer->first)
		answer->last->next = row;
	else
		answer->first = row;
	answer->last = row;
}

/*
 * ask
 *		Have the scan look up the ids of the batch, and keep what it gives.
 */
static void
ask(BatchState *state)
{
	PlanState  *inner = lsecond(state->css.custom_ps);
	ParamExecData *param =
		&state->css.ss.ps.state->es_param_exec_vals[state->param];
	MemoryContext old = MemoryContextSwitchTo(state->batch_context);
	ArrayType  *ids = construct_array(state->ids, state->nids, TEXTOID, -1,
									  false, TYPALIGN_INT);

	MemoryContextSwitchTo(old);
	param->execPlan = NULL;
	param->value = PointerGetDatum(ids);
	param->isnull = false;
	ExecReScan(inner);
	for (;;)
	{
		TupleTableSlot *slot = ExecProcNode(inner);

		if (TupIsNull(slot))
			break;
		keep_row(state, slot);
	}
}

/*-------------------------------------------------------------------------
 * Batches
 *-------------------------------------------------------------------------
 */

/*
 * fill_slot
 *		Put the joined row into the slot of the scan: the outer row's columns,
 *		and those of an inner one, or NULL.
 *
 * The slot's arrays may not be kept from row to row.
 */
static TupleTableSlot *
fill_slot(BatchState *state, TupleTableSlot *outer, TupleTableSlot *inner)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;

	ExecClearTuple(slot);
	slot_getallattrs(outer);
	if (inner)
		slot_getallattrs(inner);
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		int			source = list_nth_int(state->sources, i);
		TupleTableSlot *from = source > 0 ? outer : inner;

		slot->tts_isnull[i] = from == NULL || from->tts_isnull[abs(source) - 1];
		slot->tts_values[i] = slot->tts_isnull[i] ? (Datum) 0 :
			from->tts_values[abs(source) - 1];
	}
	return ExecStoreVirtualTuple(slot);
}

/*
 * find_answer
 *		What is known of the alert that an outer row wants; its id is added to
 *		those to be asked for if that is nothing.  NULL if it wants none.
 */
static Answer *
find_answer(BatchState *state, TupleTableSlot *outer)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	bool		isnull;
	bool		found;
	Datum		value;
	struct varlena *key;
	Answer	   *answer;
	MemoryContext old;

	econtext->ecxt_scantuple = fill_slot(state, outer, NULL);
	value = ExecEvalExprSwitchContext(state->outer_key, econtext, &isnull);
	if (isnull)
		return NULL;
	old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	key = DatumGetTextP(value);
	MemoryContextSwitchTo(old);
	answer = hash_search(state->answers, &key, HASH_FIND, NULL);
	if (answer)
	{
		state->kept++;
		return answer;
	}

	old = MemoryContextSwitchTo(state->answer_context);
	key = DatumGetTextPCopy(PointerGetDatum(key));
	MemoryContextSwitchTo(old);
	answer = hash_search(state->answers, &key, HASH_ENTER, &found);
	answer->batch = state->batches + 1;
	answer->first = answer->last = NULL;
	state->ids[state->nids++] = PointerGetDatum(key);
	return answer;
}

/*
 * add_row
 *		Let an outer row wait for its turn.
 */
static void
add_row(BatchState *state, TupleTableSlot *slot)
{
	OuterRow   *row;
	MemoryContext old;

	if (state->nrows == state->allocated)
	{
		state->allocated *= 2;
		state->rows = repalloc(state->rows, state->allocated * sizeof(OuterRow));
	}
	row = &state->rows[state->nrows];
	row->answer = find_answer(state, slot);
	old = MemoryContextSwitchTo(state->batch_context);
	row->tuple = ExecCopySlotMinimalTuple(slot);
	MemoryContextSwitchTo(old);
	state->nrows++;
}

/*
 * is_full
 *		Is the batch as large as it may be?
 */
static bool
is_full(const BatchState *state)
{
	return state->nids >= state->size ||
		state->nrows >= state->size * MOST_ROWS_PER_KEY ||
		MemoryContextMemAllocated(state->batch_context, true) / 1024 >= (Size) work_mem;
}

/*
 * start_batch
 *		Begin an empty batch.
 */
static void
start_batch(BatchState *state)
{
	MemoryContext old;

	ExecClearTuple(state->outer_slot);
	ExecClearTuple(state->inner_slot);
	if (MemoryContextMemAllocated(state->answer_context, true) / 1024 >= (Size) work_mem / 2)
		forget_answers(state);
	MemoryContextReset(state->batch_context);
	old = MemoryContextSwitchTo(state->batch_context);
	state->allocated = MOST_ROWS_PER_KEY;
	state->rows = palloc(state->allocated * sizeof(OuterRow));
	state->ids = palloc(state->size * sizeof(Datum));
	MemoryContextSwitchTo(old);
	state->nrows = state->nids = 0;
	state->current = -1;
}

/*
 * resize
 *		How large the next batch may be, by what this one has brought.
 */
static void
resize(BatchState *state)
{
	if (MemoryContextMemAllocated(state->answer_context, true) / 1024 < (Size) work_mem)
		state->size = Min(state->size * 2, state->most);
	else
		state->size = Max(state->size / 2, Min(state->size, state->least));
}

/*
 * take_batch
 *		Take rows of the outer plan and find their alerts; false if there are no
 *		more.
 */
static bool
take_batch(BatchState *state)
{
	PlanState  *outer = linitial(state->css.custom_ps);

	start_batch(state);
	while (!state->outer_ended && !is_full(state))
	{
		TupleTableSlot *slot;

		CHECK_FOR_INTERRUPTS();
		ResetExprContext(state->css.ss.ps.ps_ExprContext);
		slot = ExecProcNode(outer);
		if (TupIsNull(slot))
		{
			state->outer_ended = true;
			break;
		}
		add_row(state, slot);
		if (state->nids == 0)
			break;				/* nothing to wait for */
	}
	if (state->nids > 0)
	{
		state->batches++;
		state->asked += state->nids;
		ask(state);
		resize(state);
	}
	return state->nrows > 0;
}

/*-------------------------------------------------------------------------
 * Rows
 *-------------------------------------------------------------------------
 */

/*
 * next_outer
 *		Turn to the next outer row; false if there is none.
 */
static bool
next_outer(BatchState *state)
{
	OuterRow   *row;

	if (state->current + 1 >= state->nrows && !take_batch(state))
		return false;
	row = &state->rows[++state->current];
	ExecStoreMinimalTuple(row->tuple, state->outer_slot, false);
	state->inner = row->answer ? row->answer->first : NULL;
	state->matched = false;
	return true;
}

/*
 * next_match
 *		Put the next pair of the outer row at hand into the slot of the scan;
 *		false if there is no more.
 */
static bool
next_match(BatchState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;

	while (state->inner)
	{
		CHECK_FOR_INTERRUPTS();
		ResetExprContext(econtext);
		ExecStoreMinimalTuple(state->inner->tuple, state->inner_slot, false);
		state->inner = state->inner->next;
		econtext->ecxt_scantuple = fill_slot(state, state->outer_slot,
											 state->inner_slot);
		if (ExecQual(state->match, econtext))
			return true;
		InstrCountFiltered2(&state->css, 1);
	}
	return false;
}

/*
 * next_joined
 *		Put the next joined row into the slot of the scan; false at the end.
 */
static bool
next_joined(BatchState *state)
{
	while (state->current >= 0 || next_outer(state))
	{
		if (next_match(state))
		{
			state->matched = true;
			if (state->jointype == JOIN_SEMI || state->jointype == JOIN_ANTI)
				state->inner = NULL;	/* one is enough */
			if (state->jointype != JOIN_ANTI)
				return true;
		}
		else if (!state->matched &&
				 (state->jointype == JOIN_LEFT || state->jointype == JOIN_ANTI))
		{
			state->matched = true;
			fill_slot(state, state->outer_slot, NULL);
			return true;
		}
		else if (!next_outer(state))
			return false;
	}
	return false;
}

/*
 * exec_batch
 *		The next row that passes the filters, or an empty slot at the end.
 */
static TupleTableSlot *
exec_batch(CustomScanState *node)
{
	BatchState *state = (BatchState *) node;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	ProjectionInfo *projection = node->ss.ps.ps_ProjInfo;

	ResetExprContext(econtext);
	while (next_joined(state))
	{
		econtext->ecxt_scantuple = node->ss.ss_ScanTupleSlot;
		if (ExecQual(node->ss.ps.qual, econtext))
			return projection ? ExecProject(projection) :
				node->ss.ss_ScanTupleSlot;
		InstrCountFiltered1(node, 1);
		ResetExprContext(econtext);
	}
	return ExecClearTuple(projection ? projection->pi_state.resultslot :
						  node->ss.ss_ScanTupleSlot);
}

/*-------------------------------------------------------------------------
 * The node's life
 *-------------------------------------------------------------------------
 */

/*
 * restart
 *		Begin with the outer plan's first row.
 */
static void
restart(BatchState *state)
{
	state->size = state->first_size;
	state->nrows = 0;
	state->current = -1;
	state->inner = NULL;
	state->outer_ended = false;
}

/*
 * begin_batch
 *		Prepare the node and the plans below it; nothing is asked yet.
 */
static void
begin_batch(CustomScanState *node, EState *estate, int eflags)
{
	BatchState *state = (BatchState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	List	   *private = plan->custom_private;
	ListCell   *cell;

	eflags &= ~(EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK);
	foreach(cell, plan->custom_plans)
		node->custom_ps = lappend(node->custom_ps,
								  ExecInitNode(lfirst(cell), estate, eflags));
	state->jointype = intVal(list_nth(private, GRAPH_BATCH_JOINTYPE));
	state->param = intVal(list_nth(private, GRAPH_BATCH_PARAM));
	state->key_attr = intVal(list_nth(private, GRAPH_BATCH_KEY));
	state->sources = list_nth(private, GRAPH_BATCH_SOURCES);
	state->first_size = intVal(list_nth(private, GRAPH_BATCH_FIRST));
	state->most = intVal(list_nth(private, GRAPH_BATCH_MOST));
	state->least = intVal(list_nth(private, GRAPH_BATCH_LEAST));
	state->outer_key = ExecInitExpr(linitial(plan->custom_exprs), &node->ss.ps);
	state->match = ExecInitQual(list_copy_tail(plan->custom_exprs, 2),
								&node->ss.ps);
	state->outer_slot =
		ExecInitExtraTupleSlot(estate,
							   ExecGetResultType(linitial(node->custom_ps)),
							   &TTSOpsMinimalTuple);
	state->inner_slot =
		ExecInitExtraTupleSlot(estate,
							   ExecGetResultType(lsecond(node->custom_ps)),
							   &TTSOpsMinimalTuple);
	state->answer_context = AllocSetContextCreate(estate->es_query_cxt,
												  "graph_fdw answers",
												  ALLOCSET_DEFAULT_SIZES);
	state->batch_context = AllocSetContextCreate(estate->es_query_cxt,
												 "graph_fdw batch",
												 ALLOCSET_DEFAULT_SIZES);
	forget_answers(state);
	restart(state);
}

/*
 * rescan_batch
 *		Begin again; parameters may have changed.
 *
 * What is known of the alerts is kept, unless the scan that looks them up
 * depends on such a parameter.
 */
static void
rescan_batch(CustomScanState *node)
{
	BatchState *state = (BatchState *) node;
	PlanState  *outer = linitial(node->custom_ps);
	PlanState  *inner = lsecond(node->custom_ps);

	ExecClearTuple(state->outer_slot);
	ExecClearTuple(state->inner_slot);
	if (node->ss.ps.chgParam)
	{
		UpdateChangedParamSet(outer, node->ss.ps.chgParam);
		UpdateChangedParamSet(inner, node->ss.ps.chgParam);
	}
	if (inner->chgParam)
		forget_answers(state);
	if (outer->chgParam == NULL)
		ExecReScan(outer);
	restart(state);
}

/*
 * end_batch
 *		Release everything.
 */
static void
end_batch(CustomScanState *node)
{
	BatchState *state = (BatchState *) node;
	ListCell   *cell;

	ExecClearTuple(state->outer_slot);
	ExecClearTuple(state->inner_slot);
	foreach(cell, node->custom_ps)
		ExecEndNode(lfirst(cell));
	MemoryContextDelete(state->batch_context);
	MemoryContextDelete(state->answer_context);
}

/*
 * join_name
 *		How the two sides are joined.
 */
static const char *
join_name(JoinType jointype)
{
	switch (jointype)
	{
		case JOIN_LEFT:
			return "Left";
		case JOIN_SEMI:
			return "Semi";
		case JOIN_ANTI:
			return "Anti";
		default:
			return "Inner";
	}
}

/*
 * explain_batch
 *		Show how the rows are joined; after an execution also in how many
 *		batches.
 */
static void
explain_batch(CustomScanState *node, List *ancestors, ExplainState *es)
{
	const BatchState *state = (BatchState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	List	   *match = list_copy_tail(plan->custom_exprs, 2);
	List	   *context = set_deparse_context_plan(es->deparse_cxt,
												   node->ss.ps.plan, ancestors);
	bool		prefix = list_length(es->rtable) > 1 || es->verbose;

	ExplainPropertyText("Graph Join Type", join_name(state->jointype), es);
	ExplainPropertyText("Graph Cond",
						deparse_expression(lsecond(plan->custom_exprs), context,
										   prefix, false),
						es);
	if (match)
		ExplainPropertyText("Graph Join Filter",
							deparse_expression((Node *) make_ands_explicit(match),
											   context, prefix, false),
							es);
	if (!es->analyze)
		return;
	ExplainPropertyInteger("Graph Batches", NULL, state->batches, es);
	ExplainPropertyInteger("Graph Keys", NULL, state->asked, es);
	ExplainPropertyInteger("Graph Keys Known", NULL, state->kept, es);
}

/*
 * create_batch_state
 *		The state node of a plan; begin_batch() does the rest.
 */
static Node *
create_batch_state(CustomScan *plan)
{
	static const CustomExecMethods exec_methods = {
		.CustomName = GRAPH_BATCH_NAME,
		.BeginCustomScan = begin_batch,
		.ExecCustomScan = exec_batch,
		.EndCustomScan = end_batch,
		.ReScanCustomScan = rescan_batch,
		.ExplainCustomScan = explain_batch,
	};
	BatchState *state = (BatchState *) newNode(sizeof(BatchState),
											   T_CustomScanState);

	state->css.methods = &exec_methods;
	return (Node *) state;
}

/*
 * graph_batch_register
 *		The library has been loaded: plans name our node.
 */
void
graph_batch_register(void)
{
	RegisterCustomScanMethods(&scan_methods);
}
