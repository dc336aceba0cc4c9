/*-------------------------------------------------------------------------
 *
 * writer.c
 *		Which writes are under way, and which have been answered?
 *
 * IDENTIFICATION
 *		src/write/writer.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "write/graph_write.h"

struct GraphWriter
{
	GraphWriteCounters counters;
};

/*
 * report_not_yet
 *		Raise the error for what is not built yet.
 */
pg_noreturn static void
report_not_yet(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("graph_fdw cannot write yet")));
}

/*
 * graph_writer_create
 *		A writer, in the current memory context.  The first write sends.
 */
GraphWriter *
graph_writer_create(GraphSession *session)
{
	return palloc0(sizeof(GraphWriter));
}

/*
 * graph_writer_add
 *		Send a write, or have it sent as soon as that may be.
 *
 * Waits while as many are under way as the option concurrency says, or one for
 * the same record.  What is pointed to is copied.
 */
void
graph_writer_add(GraphWriter *writer, const GraphWrite *write)
{
	report_not_yet();
}

/*
 * graph_writer_next
 *		The oldest write that was answered and not given yet; NULL if there is
 *		none, and, if the caller waits, none is under way either.
 *
 * Each was taken: all else is an error.  It is good until it is released.
 */
const GraphWrite *
graph_writer_next(GraphWriter *writer, bool wait)
{
	return NULL;
}

/*
 * graph_writer_read
 *		Have a record read for a write whose answer does not say enough.
 *
 * graph_writer_next() gives it again, with that answer.
 */
void
graph_writer_read(GraphWriter *writer, const GraphWrite *write,
				  const char *path)
{
	report_not_yet();
}

/*
 * graph_writer_release
 *		The answer of a write is not needed any more.
 */
void
graph_writer_release(GraphWriter *writer, const GraphWrite *write)
{
	report_not_yet();
}

/*
 * graph_writer_finish
 *		All have been answered and released: the statement has done its work,
 *		and an error that comes later says nothing of it.
 */
void
graph_writer_finish(GraphWriter *writer)
{
}

/*
 * graph_writer_report
 *		Raise the error for a write that was answered, but not with what was
 *		asked for.
 *
 * problem is a sentence, 'Property "status" is "new" in its answer.'
 */
void
graph_writer_report(GraphWriter *writer, const GraphWrite *write,
					const char *problem)
{
	report_not_yet();
}

/*
 * graph_writer_counters
 *		What a writer has done so far.
 */
const GraphWriteCounters *
graph_writer_counters(const GraphWriter *writer)
{
	return &writer->counters;
}

/*
 * graph_writer_request_ids
 *		The client-request-ids of the first writes and of the last ones: char *,
 *		NULL where some are left out.
 */
List *
graph_writer_request_ids(const GraphWriter *writer)
{
	return NIL;
}
