/*-------------------------------------------------------------------------
 *
 * graph_exec.h
 *		What PostgreSQL asks for beside rows: EXPLAIN, ANALYZE, the check.
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

#include "commands/vacuum.h"

#include "plan/graph_plan.h"
#include "row/graph_row.h"
#include "scan/graph_scan.h"

/* in analyze.c */
extern bool graph_analyze(Relation relation, AcquireSampleRowsFunc *func,
						  BlockNumber *totalpages);

typedef struct GraphJoin GraphJoin;

/* in join_row.c */
extern GraphJoin *graph_join_create(ForeignScanState *node, List *members,
									GraphProjection *projection);
extern void graph_join_start(GraphJoin *join, const GraphRecord *record);
extern void graph_join_stop(GraphJoin *join);
extern bool graph_join_next(GraphJoin *join, TupleTableSlot *slot,
							ExprContext *econtext);

#endif							/* GRAPH_EXEC_H */
