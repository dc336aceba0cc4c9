/*-------------------------------------------------------------------------
 *
 * modify_int.h
 *		What the files share that write rows.
 *
 * modify.c makes requests of rows, modify_check.c looks at the table's own
 * constraints before that, modify_answer.c reads what was answered.  Then there
 * are two ways to come by rows, modify_foreign.c and modify_scan.c.
 *
 * IDENTIFICATION
 *		src/exec/modify_int.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_MODIFY_INT_H
#define GRAPH_MODIFY_INT_H

#include "exec/graph_exec.h"

/* Private to the files that make them. */
typedef struct GraphChecks GraphChecks;
typedef struct GraphAnswerReader GraphAnswerReader;

/* What became of a row. */
typedef enum GraphModifyResult
{
	GRAPH_MODIFY_SENT,			/* the service is asked */
	GRAPH_MODIFY_SAME,			/* nothing differs: no request */
	GRAPH_MODIFY_AGAIN,			/* the statement has been here before */
} GraphModifyResult;

/* A write of which the answer has not been looked at. */
typedef struct GraphSent
{
	char	   *key;			/* of the record */
	GraphChange *changes;
	int			nchanges;
	HeapTuple	row;			/* as the statement has it, or NULL: nobody
								 * asks */
} GraphSent;

/* in modify_check.c */
extern GraphChecks *graph_checks_create(ResultRelInfo *rri, EState *estate,
										const GraphTarget *target);
extern void graph_checks_run(GraphChecks *checks, TupleTableSlot *slot,
							 const Bitmapset *known, const Bitmapset *changed);

/* in modify_answer.c */
extern GraphAnswerReader *graph_answer_reader_create(const GraphTarget *target,
													 Relation relation,
													 List *returned,
													 bool all);
extern bool graph_answer_read(GraphAnswerReader *reader,
							  const GraphWrite *write, const GraphSent *sent,
							  const char **problem);
extern HeapTuple graph_answer_row(GraphAnswerReader *reader,
								  const GraphSent *sent);

/* in modify.c */
extern GraphModify *graph_modify_create(ResultRelInfo *rri, EState *estate,
										GraphSession *session, List *returned,
										bool all);
extern GraphModifyResult graph_modify_update(GraphModify *modify,
											 TupleTableSlot *old,
											 TupleTableSlot *new,
											 bool keep_row);
extern void graph_modify_insert(GraphModify *modify, TupleTableSlot *slot,
								bool keep_row);
extern void graph_modify_run(GraphModify *modify, void (*function) (void *arg),
							 void *arg);
extern bool graph_modify_take(GraphModify *modify, bool wait, HeapTuple *row);
extern const GraphWriteCounters *graph_modify_counters(GraphModify *modify,
													   List **request_ids);

#endif							/* GRAPH_MODIFY_INT_H */
