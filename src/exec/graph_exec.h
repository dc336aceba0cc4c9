/*-------------------------------------------------------------------------
 *
 * graph_exec.h
 *		What is done with a plan: it is bound to values, explained and read;
 *		and what PostgreSQL asks for beside rows: ANALYZE and the check.
 *
 * Rows come in one of three ways, each with a file and a private struct:
 * table_row.c (of one table), join_row.c (of several), count.c (their number).
 * The callbacks in graph_fdw.c hand each of them the scan that it reads from.
 *
 * Everything below may be used here.
 *
 * IDENTIFICATION
 *		src/exec/graph_exec.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_EXEC_H
#define GRAPH_EXEC_H

#include "commands/explain.h"
#include "commands/vacuum.h"

#include "plan/graph_plan.h"
#include "row/graph_row.h"
#include "scan/graph_scan.h"
#include "write/graph_write.h"

typedef struct GraphBinding GraphBinding;
typedef struct GraphTableRows GraphTableRows;
typedef struct GraphJoinRows GraphJoinRows;
typedef struct GraphCount GraphCount;
typedef struct GraphGroups GraphGroups;
typedef struct GraphAtHand GraphAtHand;
typedef struct GraphInOrder GraphInOrder;
typedef struct GraphModify GraphModify;
typedef struct GraphModifyScan GraphModifyScan;

/* Get the next row of a scan, in its own slot; empty at the end. */
typedef TupleTableSlot *(*GraphFetchRow) (ForeignScanState *node);

/*
 * Put the next row of a scan into an empty slot, as the records come; false if
 * there is none.
 */
typedef bool (*GraphFillRow) (void *rows, GraphScan *scan,
							  TupleTableSlot *slot);

/* in bind.c */
extern RangeTblEntry *graph_scanned_entry(ForeignScanState *node);
extern GraphBinding *graph_binding_create(ForeignScanState *node,
										  const GraphOptions *options);
extern GraphRequest *graph_bind(GraphBinding *binding,
								bool can_navigate);
extern void graph_request_all(GraphRequest *request);
extern bool graph_make_request(const ForeignScan *plan,
							   const GraphOptions *options,
							   const GraphValue *values,
							   GraphRequest *request);

extern bool graph_make_list_request(const ForeignScan *plan,
									const GraphOptions *options,
									const GraphValue *values,
									GraphRequest *request);

/* in at_hand.c */
extern GraphAtHand *graph_at_hand_create(ForeignScanState *node,
										 const GraphSession *session,
										 GraphProjection *projection);
extern void graph_at_hand_show(GraphAtHand *hand, const GraphRecord *record);
extern const GraphRecord *graph_at_hand_take(GraphAtHand *hand,
											 const char *key);
extern void graph_at_hand_drop(GraphAtHand *hand);

/* in explain.c */
extern void graph_explain(ForeignScanState *node,
						  const GraphScanCounters *counters, bool is_made,
						  const GraphRequest *made, ExplainState *es);

/* in in_order.c */
extern GraphInOrder *graph_in_order_create(ForeignScanState *node,
										   GraphFillRow fill_row, void *rows);
extern void graph_in_order_next(GraphInOrder *in_order, GraphScan *scan,
								GraphRequest *request, TupleTableSlot *slot);
extern void graph_in_order_stop(GraphInOrder *in_order);

/* in table_row.c */
extern GraphTableRows *graph_table_create(ForeignScanState *node,
										  const GraphOptions *options,
										  GraphProjection *projection,
										  GraphAtHand *hand);
extern void graph_table_take(GraphTableRows *table, const GraphRecord *record);
extern void graph_table_next(GraphTableRows *table, GraphScan *scan,
							 GraphRequest *request, TupleTableSlot *slot);
extern bool graph_table_waits(const GraphTableRows *table);
extern void graph_table_stop(GraphTableRows *table);

/* in join_row.c */
extern GraphJoinRows *graph_join_create(ForeignScanState *node,
										GraphProjection *projection,
										GraphAtHand *hand);
extern void graph_join_take(GraphJoinRows *join, const GraphRecord *record);
extern void graph_join_next(GraphJoinRows *join, GraphScan *scan,
							GraphRequest *request, TupleTableSlot *slot);
extern void graph_join_stop(GraphJoinRows *join);

/* in group_tally.c */
extern GraphGroups *graph_groups_create(void);
extern void graph_groups_add(GraphGroups *groups, const text * value,
							 int64 number);
extern bool graph_groups_next(GraphGroups *groups, const text * *value,
							  int64 *number);
extern void graph_groups_reset(GraphGroups *groups);

/* in count.c */
extern GraphCount *graph_count_create(ForeignScanState *node,
									  const GraphOptions *options,
									  GraphProjection *projection);
extern void graph_count_next(GraphCount *count, GraphScan *scan,
							 GraphRequest *request, TupleTableSlot *slot);
extern bool graph_count_waits(const GraphCount *count);
extern void graph_count_stop(GraphCount *count);

/* in batch_scan.c */
extern void graph_batch_register(void);

/* in modify.c */
extern void graph_modify_end(GraphModify *modify);

/* in modify_foreign.c */
extern void graphBeginForeignModify(ModifyTableState *mtstate,
									ResultRelInfo *rri, List *fdw_private,
									int index, int eflags);
extern void graphBeginForeignInsert(ModifyTableState *mtstate,
									ResultRelInfo *rri);
extern TupleTableSlot *graphExecForeignInsert(EState *estate,
											  ResultRelInfo *rri,
											  TupleTableSlot *slot,
											  TupleTableSlot *plan_slot);
extern TupleTableSlot *graphExecForeignUpdate(EState *estate,
											  ResultRelInfo *rri,
											  TupleTableSlot *slot,
											  TupleTableSlot *plan_slot);
extern void graphEndForeignModify(EState *estate, ResultRelInfo *rri);
extern void graphExplainForeignModify(ModifyTableState *mtstate,
									  ResultRelInfo *rri, List *fdw_private,
									  int index, ExplainState *es);

/* in modify_scan.c */
extern GraphModifyScan *graph_modify_scan_create(ForeignScanState *node,
												 GraphSession *session,
												 GraphFetchRow fetch);
extern TupleTableSlot *graph_modify_scan_next(GraphModifyScan *scan);
extern GraphModify *graph_modify_scan_writes(GraphModifyScan *scan);

/* in modify_explain.c */
extern void graph_explain_writes(Oid relid, List *write, GraphModify *modify,
								 ExplainState *es);

/* in analyze.c */
extern bool graphAnalyzeForeignTable(Relation relation,
									 AcquireSampleRowsFunc *func,
									 BlockNumber *totalpages);

#endif							/* GRAPH_EXEC_H */
