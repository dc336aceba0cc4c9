/*-------------------------------------------------------------------------
 *
 * sort.c
 *		What order are the rows in, if the service does not sort them?
 *
 * A plan may rely on the service's $orderby.  Where that is refused, or taken
 * and ignored, the rows are read as they come and go through PostgreSQL's own
 * sort, with its work_mem and its temporary files.
 *
 * What this file refuses to know: requests, records, why the order was lost.
 *
 * Source: PostgreSQL's src/backend/executor/nodeSort.c.
 *
 * IDENTIFICATION
 *		src/row/sort.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "row/graph_row.h"

struct GraphSort
{
	Tuplesortstate *state;
	TupleTableSlot *sorted;		/* of the executor */
	bool		done;			/* nothing more is added */
};

/*
 * graph_sort_create
 *		A sort of rows by a column of type timestamptz, in the current memory
 *		context.
 *
 * sorted is a slot for minimal tuples of the rows' descriptor, which the sort
 * uses as long as it lives.
 */
GraphSort *
graph_sort_create(TupleTableSlot *sorted, AttrNumber attnum, bool descending,
				  bool nulls_first)
{
	TypeCacheEntry *type = lookup_type_cache(TIMESTAMPTZOID,
											 TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);
	Oid			operator = descending ? type->gt_opr : type->lt_opr;
	Oid			collation = InvalidOid;
	GraphSort  *sort = palloc0(sizeof(GraphSort));

	sort->sorted = sorted;
	sort->state = tuplesort_begin_heap(sorted->tts_tupleDescriptor, 1, &attnum,
									   &operator, &collation, &nulls_first,
									   work_mem, NULL, TUPLESORT_NONE);
	return sort;
}

/*
 * graph_sort_add
 *		Add a row, which is copied.
 */
void
graph_sort_add(GraphSort *sort, TupleTableSlot *slot)
{
	Assert(!sort->done);
	tuplesort_puttupleslot(sort->state, slot);
}

/*
 * graph_sort_next
 *		Put the next row into an empty slot; it stays empty after the last.
 */
void
graph_sort_next(GraphSort *sort, TupleTableSlot *slot)
{
	if (!sort->done)
		tuplesort_performsort(sort->state);
	sort->done = true;
	if (tuplesort_gettupleslot(sort->state, true, false, sort->sorted, NULL))
		ExecCopySlot(slot, sort->sorted);
}

/*
 * graph_sort_end
 *		Give up the memory and files of a sort.
 */
void
graph_sort_end(GraphSort *sort)
{
	ExecClearTuple(sort->sorted);
	tuplesort_end(sort->state);
	pfree(sort);
}
