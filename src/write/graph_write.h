/*-------------------------------------------------------------------------
 *
 * graph_write.h
 *		Was this write taken?
 *
 * A writer sends the changes of one statement, several at once, and gives back
 * what the service answered to each.  What was changed is not undone, so it
 * keeps account: an error while it is open says how much was changed and which
 * records, and of which it is not known.
 *
 * Every function here may raise an error, with what was changed in its DETAIL.
 * An error that comes from elsewhere in the statement has none; then a WARNING
 * says it when the (sub)transaction aborts.
 *
 * What this layer refuses to know: plans, columns, slots, what a body says.
 *
 * IDENTIFICATION
 *		src/write/graph_write.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_WRITE_H
#define GRAPH_WRITE_H

#include "auth/graph_auth.h"

/* The writes of one statement to one table by one session. */
typedef struct GraphWriter GraphWriter;

/* One write: what is asked, then what is known of it. */
typedef struct GraphWrite
{
	/* what graph_writer_add() copies */
	GraphMethod method;			/* PATCH or POST */
	const char *path;			/* below the service root's version:
								 * "/security/alerts_v2/<escaped id>" */
	const char *body;			/* JSON */
	const char *id;				/* of the record: for messages, and since
								 * writes of one record keep their order */
	void	   *caller;			/* who asked; passed through */

	/* what graph_writer_next() gives besides */
	const char *request_id;		/* client-request-id of the last attempt */
	bool		was_read;		/* the answer is that of graph_writer_read() */
	int			status;			/* 200, 201, 204 */
	GraphSlice	answer;			/* the whole body, perhaps empty; good until
								 * the write is released */
} GraphWrite;

/* What a writer has done so far. */
typedef struct GraphWriteCounters
{
	uint64		writes;			/* taken by the service */
	uint64		requests;		/* sent, retries and reads included */
	uint64		retries;
	uint64		reads;			/* by graph_writer_read() */
	uint64		bytes;			/* of answers, as decompressed */
	int64		waited;			/* microseconds, for answers, */
	int64		limited;		/* and for their turns, added up */
} GraphWriteCounters;

/* in writer.c */
extern GraphWriter *graph_writer_create(GraphSession *session);
extern void graph_writer_run(GraphWriter *writer, void (*function) (void *arg),
							 void *arg);
extern void graph_writer_add(GraphWriter *writer, const GraphWrite *write);
extern const GraphWrite *graph_writer_next(GraphWriter *writer, bool wait);
extern void graph_writer_read(GraphWriter *writer, const GraphWrite *write,
							  const char *path);
extern void graph_writer_release(GraphWriter *writer, const GraphWrite *write);
extern void graph_writer_finish(GraphWriter *writer);
pg_noreturn extern void graph_writer_report(GraphWriter *writer,
											const GraphWrite *write,
											const char *problem);
extern const GraphWriteCounters *graph_writer_counters(const GraphWriter *writer);
extern List *graph_writer_request_ids(const GraphWriter *writer);

#endif							/* GRAPH_WRITE_H */
