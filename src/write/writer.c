/*-------------------------------------------------------------------------
 *
 * writer.c
 *		Which writes are under way, and which have been answered?
 *
 * As many are under way as the option concurrency says, retries and pauses
 * included.  They go on in every wait of the backend, that of a scan as well;
 * what has become of them is seen when somebody calls the writer.  Writes of
 * one record keep their order: one waits for the other.
 *
 * Whatever is raised in here, also by what is called, passes complete_error():
 * no new write is sent, those under way are waited for, and the DETAIL says
 * what was done.
 *
 * A writer belongs to the memory context in which it was made; its account,
 * with the writes and their transfers, ends with it or with the
 * (sub)transaction (account.c, settle.c).
 *
 * What this file refuses to know: how a write is sent, what an answer says.
 *
 * IDENTIFICATION
 *		src/write/writer.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/lwlock.h"
#include "utils/memutils.h"

#include "write/write_int.h"

/* As many ids of requests are kept of the first ones, and of the last. */
#define KEPT_REQUEST_IDS	3

/* What a function of a writer does, with a parameter of its own. */
typedef void (*GuardedFunction) (GraphWriter *writer, void *arg);

/*-------------------------------------------------------------------------
 * Errors
 *-------------------------------------------------------------------------
 */

/*
 * complete_error
 *		Raise an error that was caught again, with what was done before it.
 *
 * Who cancels a statement does not wait for long.
 */
pg_noreturn static void
complete_error(MemoryContext context)
{
	ErrorData  *error;
	char	   *detail;
	bool		hurry;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	LWLockReleaseAll();			/* as an abort does: nobody may wait with one */
	hurry = ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
		ERRCODE_OPERATOR_INTERVENTION;
	detail = graph_settle(hurry);
	if (detail && error->detail)
		detail = psprintf("%s  %s", error->detail, detail);
	if (detail)
		error->detail = detail;
	ReThrowError(error);
}

/*
 * protect
 *		Run a function, and complete what it raises.
 */
static void
protect(GraphWriter *writer, GuardedFunction function, void *arg)
{
	ErrorContextCallback callback = {error_context_stack,
	graph_settle_add_detail, NULL};
	MemoryContext context = CurrentMemoryContext;

	error_context_stack = &callback;
	PG_TRY();
	{
		function(writer, arg);
	}
	PG_CATCH();
	{
		complete_error(context);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
}

/*
 * guard
 *		Run a function of the writer; what it allocates is for this call.
 */
static void
guard(GraphWriter *writer, GuardedFunction function, void *arg)
{
	MemoryContext old = MemoryContextSwitchTo(writer->scratch);

	protect(writer, function, arg);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer->scratch);
}

/* What graph_writer_run() is to run. */
typedef struct Errand
{
	void		(*function) (void *arg);
	void	   *arg;
} Errand;

/*
 * run_errand
 *		The guarded part of graph_writer_run().
 */
static void
run_errand(GraphWriter *writer, void *arg)
{
	const Errand *errand = arg;

	errand->function(errand->arg);
}

/*
 * graph_writer_run
 *		Run something else of the statement, whose errors are completed as the
 *		writer's own are: reading the rows that are to be changed.
 */
void
graph_writer_run(GraphWriter *writer, void (*function) (void *arg), void *arg)
{
	Errand		errand = {function, arg};

	protect(writer, run_errand, &errand);
}

/*-------------------------------------------------------------------------
 * The queue
 *-------------------------------------------------------------------------
 */

/*
 * graph_writer_create
 *		A writer, in the current memory context.  The first write sends.
 */
GraphWriter *
graph_writer_create(GraphSession *session)
{
	GraphWriter *writer = palloc0(sizeof(GraphWriter));

	writer->session = session;
	writer->scratch = AllocSetContextCreate(CurrentMemoryContext,
											"graph_fdw writer",
											ALLOCSET_SMALL_SIZES);
	writer->stats = graph_stats(session->serverid);
	return writer;
}

/*
 * keep_request_id
 *		Remember the id of a request that was answered: of the first ones, and
 *		of the last.
 */
static void
keep_request_id(GraphWriter *writer, const char *id)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(writer));

	if (list_length(writer->first_ids) < KEPT_REQUEST_IDS)
		writer->first_ids = lappend(writer->first_ids, pstrdup(id));
	else
		writer->last_ids = lappend(writer->last_ids, pstrdup(id));
	if (list_length(writer->last_ids) > KEPT_REQUEST_IDS)
	{
		pfree(linitial(writer->last_ids));
		writer->last_ids = list_delete_first(writer->last_ids);
	}
	MemoryContextSwitchTo(old);
}

/*
 * start_due
 *		Send what may be sent.  Those under way are put into an array; the result
 *		says how many they are.  *until gets the time at which the next may be
 *		sent, 0 for none.
 */
static int
start_due(GraphWriter *writer, GraphPosted **under_way, GraphTime *until)
{
	int			count = 0;
	dlist_iter	iter;

	*until = 0;
	dlist_foreach(iter, &writer->account->open)
	{
		GraphPosted *posted = dlist_container(GraphPosted, node, iter.cur);

		if (posted->transfer || graph_attempt_start(writer, posted))
			under_way[count++] = posted;
		else if (*until == 0 || posted->not_before < *until)
			*until = posted->not_before;
	}
	return count;
}

/*
 * pump
 *		Send what may be sent, wait for news if that is wanted, and judge what
 *		has come.
 */
static void
pump(GraphWriter *writer, bool wait)
{
	int			most = Max(writer->nopen, 1);
	GraphPosted **under_way = palloc(most * sizeof(GraphPosted *));
	GraphTransfer **transfers = palloc(most * sizeof(GraphTransfer *));
	GraphTime	began = graph_now();
	GraphTime	until;
	long		left;
	int			count = start_due(writer, under_way, &until);

	Assert(count <= writer->nopen);
	for (int i = 0; i < count; i++)
		transfers[i] = under_way[i]->transfer;
	if (wait && (count > 0 || until != 0))
		graph_http_wait_any(transfers, count, until);
	else
		(void) graph_http_poll(transfers, count, began, &left);
	writer->counters.waited += wait ? graph_now() - began : 0;

	for (int i = 0; i < count; i++)
	{
		GraphPosted *posted = under_way[i];

		if (!graph_attempt_judge(writer, posted))
			continue;
		dlist_delete(&posted->node);
		dlist_push_tail(&writer->account->answered, &posted->node);
		writer->nopen--;
		if (posted->read_path == NULL)
			keep_request_id(writer, posted->request_id);
	}
	pfree(transfers);
	pfree(under_way);
}

/*
 * is_open
 *		Is a write of this record without an answer?
 */
static bool
is_open(const GraphWriter *writer, const char *id)
{
	dlist_iter	iter;

	dlist_foreach(iter, &writer->account->open)
	{
		if (strcmp(dlist_container(GraphPosted, node, iter.cur)->write.id,
				   id) == 0)
			return true;
	}
	return false;
}

/*
 * open_account
 *		Before the first write: from now on there is something to tell.
 */
static void
open_account(GraphWriter *writer, bool adds)
{
	graph_settle_warn_of_block(writer->session->peer.server_name);
	writer->account = graph_account_create(writer->session, adds);
	graph_settle_watch(writer->account);
}

/*
 * copy_write
 *		A write of our own, with all that it needs.
 */
static GraphPosted *
copy_write(GraphWriter *writer, const GraphWrite *write)
{
	GraphAccount *account = writer->account;
	MemoryContext context = AllocSetContextCreate(account->context,
												  "graph_fdw write",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	GraphPosted *posted = palloc0(sizeof(GraphPosted));

	posted->account = account;
	posted->context = context;
	posted->attempt = AllocSetContextCreate(context, "graph_fdw request",
											ALLOCSET_SMALL_SIZES);
	posted->write.method = write->method;
	posted->write.path = pstrdup(write->path);
	posted->write.body = pstrdup(write->body);
	posted->write.id = pstrdup(write->id);
	posted->write.caller = write->caller;
	posted->turn = graph_turn_create(context, writer->session->throttle);
	MemoryContextSwitchTo(old);
	return posted;
}

/*
 * check_limit
 *		Raise an error if one more write is more than the option max_writes lets a
 *		statement make.
 *
 * Nobody knows before how many there will be: what was written until then stays,
 * and the error's DETAIL has it.
 */
static void
check_limit(const GraphWriter *writer, bool adds)
{
	const GraphOptions *options = &writer->session->options;

	if (options->max_writes == 0 || writer->nadded < (uint64) options->max_writes)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("statement would %s more than %d %s of server \"%s\"",
					adds ? "add" : "change", options->max_writes,
					adds ? "comments" :
					graph_records_name(graph_resource_info(options->resource)),
					writer->session->peer.server_name),
			 errhint("Its condition may match more than was meant.  The option \"max_writes\" of the foreign table or of its server says how many one statement may write.")));
}

/*
 * add
 *		The guarded part of graph_writer_add().
 */
static void
add(GraphWriter *writer, void *arg)
{
	const GraphWrite *write = arg;
	int			concurrency = writer->session->options.limits.concurrency;
	GraphPosted *posted;

	if (writer->account == NULL)
		open_account(writer, write->method == GRAPH_METHOD_POST);
	check_limit(writer, write->method == GRAPH_METHOD_POST);
	while (writer->nopen >= concurrency || is_open(writer, write->id))
		pump(writer, true);
	posted = copy_write(writer, write);
	dlist_push_tail(&writer->account->open, &posted->node);
	writer->nopen++;
	writer->nadded++;
	pump(writer, false);
}

/*
 * graph_writer_add
 *		Send a write, or have it sent as soon as that may be.
 *
 * Waits while as many are under way as the option concurrency says, or one of
 * the same record.  What is pointed to is copied.  Between two calls the caller
 * takes what has been answered; else it all piles up.
 */
void
graph_writer_add(GraphWriter *writer, const GraphWrite *write)
{
	Assert(write->method != GRAPH_METHOD_GET);
	guard(writer, add, (void *) write);
}

/*
 * wait_for_next
 *		The guarded part of graph_writer_next().
 */
static void
wait_for_next(GraphWriter *writer, void *arg)
{
	bool		wait = *(bool *) arg;

	if (dlist_is_empty(&writer->account->answered) && writer->nopen > 0)
		pump(writer, false);
	while (wait && dlist_is_empty(&writer->account->answered) &&
		   writer->nopen > 0)
		pump(writer, true);
}

/*
 * graph_writer_next
 *		The oldest write that was answered and not released yet; NULL if there is
 *		none, and, if the caller waits, none is under way either.
 *
 * Each was taken: all else is an error.  It is good until it is released.
 */
const GraphWrite *
graph_writer_next(GraphWriter *writer, bool wait)
{
	if (writer->account == NULL)
		return NULL;
	guard(writer, wait_for_next, &wait);
	if (dlist_is_empty(&writer->account->answered))
		return NULL;
	return &dlist_head_element(GraphPosted, node,
							   &writer->account->answered)->write;
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
	GraphPosted *posted = (GraphPosted *) write;

	Assert(posted->taken && posted->transfer);
	graph_attempt_end(writer, posted);
	posted->read_path = MemoryContextStrdup(posted->context, path);
	posted->failed = 0;
	posted->not_before = 0;
	posted->token_renewed = posted->stale = false;
	dlist_delete(&posted->node);
	dlist_push_tail(&writer->account->open, &posted->node);
	writer->nopen++;
	writer->counters.reads++;
}

/*
 * graph_writer_release
 *		The answer of a write is not needed any more.
 */
void
graph_writer_release(GraphWriter *writer, const GraphWrite *write)
{
	GraphPosted *posted = (GraphPosted *) write;

	graph_attempt_end(writer, posted);
	dlist_delete(&posted->node);
	MemoryContextDelete(posted->context);
}

/*
 * graph_writer_finish
 *		Wait for those under way, whose answers nobody wants: the writer has done
 *		its work.
 */
void
graph_writer_finish(GraphWriter *writer)
{
	const GraphWrite *write;

	if (writer->account == NULL)
		return;
	while ((write = graph_writer_next(writer, true)) != NULL)
		graph_writer_release(writer, write);
	graph_settle_close(writer->account);
	writer->account = NULL;
}

/*-------------------------------------------------------------------------
 * What is known
 *-------------------------------------------------------------------------
 */

/* What graph_writer_report() is to say. */
typedef struct Complaint
{
	GraphPosted *posted;
	const char *problem;
} Complaint;

/*
 * complain
 *		The guarded part of graph_writer_report().
 */
static void
complain(GraphWriter *writer, void *arg)
{
	const Complaint *complaint = arg;
	const GraphPosted *posted = complaint->posted;
	const GraphAccount *account = posted->account;

	graph_account_withdraw(posted->account, posted->write.id);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
			 account->adds ?
			 errmsg("server \"%s\" did not add the comment to %s \"%s\"",
					account->server_name, account->record, posted->write.id) :
			 errmsg("server \"%s\" did not change %s \"%s\" as it was asked",
					account->server_name, account->record, posted->write.id),
			 errdetail("%s", complaint->problem),
			 errcontext("Microsoft Graph request: %s",
						graph_posted_title(posted))));
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
	Complaint	complaint = {(GraphPosted *) write, problem};

	guard(writer, complain, &complaint);
	pg_unreachable();
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
	int			kept = list_length(writer->first_ids) +
		list_length(writer->last_ids);
	List	   *result = list_copy(writer->first_ids);

	if (writer->counters.writes > (uint64) kept)
		result = lappend(result, NULL);
	return list_concat(result, writer->last_ids);
}
