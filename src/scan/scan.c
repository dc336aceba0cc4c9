/*-------------------------------------------------------------------------
 *
 * scan.c
 *		Which record is next?  The tasks of a scan, and who reads them.
 *
 * What is to be read stands as tasks in one queue, and chains (chain.c), as
 * many at once as the option concurrency allows, take one after the other and
 * hand out records.  A list is one task at first.  When it turns out to be long,
 * and is seen to come newest first, the rest of it becomes windows of time
 * (window.c).
 *
 * The service counts a list with its first page, unless that is a small one.
 * When the queue is empty, what was found is held against that count, and what
 * is missing is looked for where it can be, in the stages below.
 *
 * What this file refuses to know: how a request is spelled, what an answer says,
 * the planner's nodes, columns and types.
 *
 * IDENTIFICATION
 *		src/scan/scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "scan/scan_int.h"

/*
 * The stages of reading a list, in order.  Each but the first is entered when all
 * tasks are done and fewer alerts were found than the service counts, or it does
 * not count.
 */
typedef enum Stage
{
	STAGE_READ,					/* what the request itself asks for */
	STAGE_NULLS,				/* alerts without a time */
	STAGE_HEAD,					/* what the beginning has left out */
	STAGE_RECOUNT,				/* four counts, each a stage of its own, and
								 * one that compares: see recount() */
	STAGE_LINKS = STAGE_RECOUNT + 5,	/* follow the links, or report */
	STAGE_END,
} Stage;

/* What next_record() has come to. */
typedef enum GraphScanStep
{
	GRAPH_SCAN_RECORD,			/* there is a record */
	GRAPH_SCAN_WAITS,			/* there is none yet */
	GRAPH_SCAN_END,
} GraphScanStep;

struct GraphScan
{
	GraphShared shared;
	MemoryContext scratch;		/* of one step */
	GraphChain **chains;
	int			nchains;
	int			current;		/* the chain of the last record */
	int			next_key;		/* of the request's keys */
	Stage		stage;
	int64		expected;		/* what the service counts, or -1 */
	int64		timed;			/* how many of those have a time */
	bool		order_lost;		/* the order that was needed cannot be had */
	GraphScanCounters counters;
	GraphTime	waits_since;	/* somebody else waits for it, or 0 */
	GraphTime	look_again;		/* and that is not to take longer */
};

/*-------------------------------------------------------------------------
 * A scan's life
 *-------------------------------------------------------------------------
 */

/*
 * graph_scan_create
 *		A scan that asks nothing yet, in the current memory context.
 *
 * Its transfers are released when that context is reset or deleted.
 */
GraphScan *
graph_scan_create(GraphSession *session, GraphProjection *projection)
{
	GraphScan  *scan = palloc0(sizeof(GraphScan));
	GraphShared *shared = &scan->shared;

	shared->session = session;
	shared->projection = projection;
	shared->context = CurrentMemoryContext;
	shared->resource = graph_resource_info(session->options.resource);
	shared->stats = graph_stats(session->serverid);
	graph_parts_start(&shared->parts, session);
	shared->id_slot = graph_projection_add(projection, shared->resource->key);
	shared->time_slot = -1;
	shared->parts.spelling = graph_spelling_create(shared->resource, projection);
	scan->scratch = AllocSetContextCreate(shared->context, "graph_fdw step",
										  ALLOCSET_SMALL_SIZES);
	scan->nchains = session->options.limits.concurrency;
	scan->chains = palloc0(scan->nchains * sizeof(GraphChain *));
	shared->seen = graph_seen_create(shared->context, scan->nchains);
	for (int i = 0; i < scan->nchains; i++)
		scan->chains[i] = graph_chain_create(shared, i);
	return scan;
}

/*
 * prepare_times
 *		Have the time located in each record of a list.
 *
 * Without order_pushdown nothing is made of the order that is seen.
 */
static void
prepare_times(GraphShared *shared, const GraphRequest *request)
{
	MemoryContext old;

	shared->time_property = request->order_property ?
		request->order_property : shared->resource->default_order;
	shared->descending = request->order_property ? request->descending : true;
	if (request->mode != GRAPH_SCAN_LIST ||
		!shared->session->options.pushdown.order)
		return;
	old = MemoryContextSwitchTo(shared->context);
	shared->time_slot = graph_projection_add(shared->projection,
											 shared->time_property);
	MemoryContextSwitchTo(old);
}

/*
 * push
 *		Queue a task of which only the kind, the bound and the size of a page
 *		matter.
 */
static void
push(GraphScan *scan, GraphTaskKind kind, TimestampTz lower, int page_size)
{
	const GraphTask task = {
		.kind = kind,
		.window = {
			.lower = lower,
			.upper = DT_NOEND,
			.nulls = kind == GRAPH_TASK_NULLS,
		},
		.page_size = page_size,
		.head = kind == GRAPH_TASK_HEAD,
	};

	graph_queue_push(&scan->shared, &task);
}

/*
 * push_counts
 *		Queue what is to be counted.
 */
static void
push_counts(GraphScan *scan)
{
	GraphShared *shared = &scan->shared;

	Assert(shared->request->nparts < GRAPH_MOST_COUNTS);
	for (int i = 0; i <= shared->request->nparts; i++)
	{
		const GraphTask task = {.kind = GRAPH_TASK_COUNT, .number = i};

		graph_queue_push(shared, &task);
	}
}

/*
 * graph_scan_start
 *		Ask for something, from the beginning; nothing is sent before the first
 *		record is wanted.  A NULL request is an empty scan.
 *
 * The request must stay as it is while the scan goes on.
 */
void
graph_scan_start(GraphScan *scan, const GraphRequest *request)
{
	GraphShared *shared = &scan->shared;
	int			first;

	graph_scan_stop(scan);
	shared->request = request;
	if (request == NULL)
		return;

	prepare_times(shared, request);
	if (request->mode == GRAPH_SCAN_OWNED)
		graph_owned_prepare(shared);
	if (request->order_needed &&
		graph_parts_refused(&shared->parts, GRAPH_PART_ORDER))
		scan->order_lost = true;
	if (shared->slots)
		pfree(shared->slots);
	shared->slots = MemoryContextAllocZero(shared->context,
										   graph_projection_size(shared->projection) *
										   sizeof(GraphSlice));
	first = Min(request->first_page, request->page_size);
	if (request->mode == GRAPH_SCAN_COUNT)
		push_counts(scan);
	else if (request->mode == GRAPH_SCAN_LIST)
	{
		if (graph_nulls_come_first(shared))
			push(scan, GRAPH_TASK_NULLS, DT_NOBEGIN, first);
		push(scan, GRAPH_TASK_LIST, DT_NOBEGIN, first);
	}
}

/*
 * stop_chains
 *		End all requests under way, and forget all tasks.
 */
static void
stop_chains(GraphScan *scan)
{
	for (int i = 0; i < scan->nchains; i++)
		graph_chain_stop(scan->chains[i]);
	list_free_deep(scan->shared.queue);
	scan->shared.queue = NIL;
}

/*
 * graph_scan_stop
 *		End all requests under way; nothing more is asked.
 */
void
graph_scan_stop(GraphScan *scan)
{
	GraphShared *shared = &scan->shared;

	stop_chains(scan);
	if (shared->request)
		elog(DEBUG1, "graph_fdw: end of scan, " UINT64_FORMAT " %s by "
			 UINT64_FORMAT " requests", scan->counters.records,
			 graph_records_name(shared->resource), shared->pool.requests);
	shared->request = NULL;
	graph_parts_start(&shared->parts, shared->session);
	graph_fetch_reset_pool(shared);
	graph_order_reset(shared);
	graph_ledger_reset(shared);
	graph_chain_reset_course(shared);
	graph_owned_reset(shared);
	graph_seen_reset(shared->seen);
	scan->current = scan->next_key = 0;
	scan->stage = STAGE_READ;
	scan->expected = -1;
	scan->order_lost = false;
	scan->waits_since = 0;
}

/*-------------------------------------------------------------------------
 * Stages
 *-------------------------------------------------------------------------
 */

/*
 * ask_for_nulls
 *		A list that was cut by time, or whose order puts them last, has left out
 *		the alerts without one: ask for them.
 *
 * Where they should have come first, it is only asked whether there are any.
 */
static void
ask_for_nulls(GraphScan *scan)
{
	const GraphShared *shared = &scan->shared;

	if (shared->ledger.nulls_left && !graph_nulls_come_first(shared) &&
		!shared->request->no_nulls)
		push(scan, GRAPH_TASK_NULLS, DT_NOBEGIN, shared->request->page_size);
}

/*
 * ask_for_head
 *		The beginning of the list came in the service's own order: ask for what
 *		it should have held and did not.
 */
static void
ask_for_head(GraphScan *scan)
{
	const GraphShared *shared = &scan->shared;

	if (shared->course.has_head && !shared->course.order_tried &&
		!shared->request->order_needed && shared->descending &&
		!shared->ledger.filter_ignored)
		push(scan, GRAPH_TASK_HEAD, shared->course.head_bound,
			 shared->request->page_size);
}

/*
 * can_read_again
 *		Can the list be read once more, so that what is new is given?
 */
static bool
can_read_again(const GraphScan *scan)
{
	return !scan->shared.request->order_needed &&
		!graph_seen_has_forgotten(scan->shared.seen);
}

/*
 * recount
 *		Fewer alerts were found than the service had counted at first: ask for
 *		the next of four counts, unless what they say so far is enough.
 *
 * If the service counts no more now than were found, the others have left the
 * list.  If it counts what it did, nothing has moved, and something is missing.
 * Else alerts may have come as well; but there may be some that its filter does
 * not find by any time, so that no window has them.  Whether there are is seen
 * from counts that are made one after the other, with and without a bound that
 * all times satisfy.  What is missing may be found by the links.
 */
static Stage
recount(GraphScan *scan)
{
	const GraphShared *shared = &scan->shared;
	int			number = scan->stage - STAGE_RECOUNT;
	const GraphTask task = {.kind = GRAPH_TASK_COUNT, .timed = number % 2 == 1};
	int64		last = shared->course.counts[0];

	switch (number)
	{
		case 0:
			if (scan->expected < 0)
				return STAGE_END;
			break;
		case 1:
			if (last >= 0 && last <= shared->ledger.found)
				return STAGE_END;
			if (shared->course.doubtful || last < 0 ||
				(last == scan->expected && can_read_again(scan)))
				return STAGE_LINKS;
			break;
		case 2:
			if (last < 0)
				return STAGE_LINKS;
			scan->timed = last;
			break;
		case 3:
			if (last < 0)
				return STAGE_LINKS;
			scan->expected = last;
			break;
		default:
			return last >= 0 && scan->expected <=
				Max(scan->timed, last) + shared->ledger.nulls ?
				STAGE_END : STAGE_LINKS;
	}
	graph_queue_push(&scan->shared, &task);
	return scan->stage + 1;
}

/*
 * follow_links
 *		Alerts are missing.  They are found by following the links, if what was
 *		given is known; else say so.
 */
static void
follow_links(GraphScan *scan)
{
	GraphShared *shared = &scan->shared;

	if (graph_can_resume(shared) || can_read_again(scan))
		graph_chain_resume(scan->chains[0], scan->expected);
	else
		graph_report_short(&shared->session->peer,
						   graph_fetch_name(scan->chains[0]->fetch),
						   psprintf("There were " INT64_FORMAT " %s, and the service counts " INT64_FORMAT ".",
									shared->ledger.found,
									graph_records_name(shared->resource), scan->expected));
}

/*
 * enter_stages
 *		All tasks are done: go through the stages until there is something to
 *		ask; false if there is nothing more.
 */
static bool
enter_stages(GraphScan *scan)
{
	const GraphShared *shared = &scan->shared;

	while (shared->request->mode == GRAPH_SCAN_LIST && scan->stage < STAGE_END)
	{
		if (scan->stage < STAGE_RECOUNT)
			scan->expected = shared->ledger.count;
		if (scan->expected >= 0 && shared->ledger.found >= scan->expected)
			break;
		elog(DEBUG1, "graph_fdw: found " INT64_FORMAT " %s, and the service counts "
			 INT64_FORMAT, shared->ledger.found, graph_records_name(shared->resource),
			 scan->expected);
		switch (scan->stage)
		{
			case STAGE_READ:
				ask_for_nulls(scan);
				scan->stage = STAGE_NULLS;
				break;
			case STAGE_NULLS:
				ask_for_head(scan);
				scan->stage = STAGE_HEAD;
				break;
			case STAGE_HEAD:
				scan->stage = STAGE_RECOUNT;
				break;
			case STAGE_LINKS:
				follow_links(scan);
				scan->stage = STAGE_END;
				return scan->chains[0]->phase != GRAPH_CHAIN_IDLE;
			default:
				scan->stage = recount(scan);
		}
		if (shared->queue != NIL)
			return true;
	}
	return false;
}

/*-------------------------------------------------------------------------
 * Chains and tasks
 *-------------------------------------------------------------------------
 */

/*
 * next_task
 *		The next task, which the caller frees; NULL if there is none.
 *
 * Where the queue is empty it gets the next id to look up, or a part of what is
 * left for other chains.
 */
static GraphTask *
next_task(GraphScan *scan)
{
	GraphShared *shared = &scan->shared;
	const GraphRequest *request = shared->request;
	GraphTask  *task;

	if (shared->queue == NIL && graph_mode_has_keys(request->mode) &&
		scan->next_key < request->nkeys)
	{
		const GraphTask lookup = {
			.kind = request->mode == GRAPH_SCAN_KEYS ? GRAPH_TASK_KEY :
			GRAPH_TASK_OWNED,
			.key = request->keys[scan->next_key++],
		};

		graph_queue_push(shared, &lookup);
	}
	if (shared->queue == NIL && request->mode == GRAPH_SCAN_LIST)
		graph_window_share(scan->chains, scan->nchains);
	if (shared->queue == NIL)
		return NULL;
	task = linitial(shared->queue);
	shared->queue = list_delete_first(shared->queue);
	return task;
}

/*
 * note_missing
 *		With LIMIT, work out how many alerts are still to be asked for.
 *
 * A page that is under way counts as what was asked for.  If that turns out to
 * be less, so that all that was wanted was found and more is, there is no bound
 * any more.
 */
static void
note_missing(GraphScan *scan)
{
	GraphShared *shared = &scan->shared;
	int64		missing = PG_INT64_MAX;

	if (shared->request->wanted > shared->ledger.found)
	{
		missing = shared->request->wanted - shared->ledger.found;
		for (int i = 0; i < scan->nchains; i++)
		{
			const GraphChain *chain = scan->chains[i];

			if (chain->phase != GRAPH_CHAIN_IDLE &&
				chain->phase != GRAPH_CHAIN_TURNS &&
				graph_task_is_list(&chain->task))
				missing -= Max(chain->task.page_size -
							   (chain->phase == GRAPH_CHAIN_SENDS ? 0 :
								(int64) chain->tally.page_records), 0);
		}
	}
	shared->missing = missing;
}

/*
 * is_held
 *		Does a chain that would go on to its next page wait, since what others
 *		have asked for is likely to be enough?
 */
static bool
is_held(GraphScan *scan, const GraphChain *chain)
{
	if (chain->phase != GRAPH_CHAIN_TURNS || scan->shared.request->wanted == 0)
		return false;
	note_missing(scan);
	return graph_asks_enough(&scan->shared);
}

/*
 * take_task
 *		Give an idle chain something to do, if there is anything.
 */
static void
take_task(GraphScan *scan, GraphChain *chain)
{
	GraphTask  *task;

	while (chain->phase == GRAPH_CHAIN_IDLE)
	{
		note_missing(scan);
		if (graph_asks_enough(&scan->shared) ||
			(task = next_task(scan)) == NULL)
			break;
		if (task->kind == GRAPH_TASK_WINDOW)
			task->page_size = graph_page_wanted(&scan->shared);
		graph_chain_start(chain, task);
		pfree(task);
	}
}

/*
 * has_work
 *		Give all idle chains something to do; false if there is nothing more to
 *		be had.
 *
 * Where the plan relies on an order, there is one chain, and so there is while
 * it is not known whether the service answers what is asked.  Where it does not,
 * or the order that is needed cannot be had, there is nothing.
 */
static bool
has_work(GraphScan *scan)
{
	const GraphRequest *request = scan->shared.request;

	if (request == NULL || scan->order_lost || scan->shared.owned.unknown)
		return false;
	do
	{
		bool		one = request->order_needed || graph_owned_is_tried(&scan->shared);
		int			most = one ? 1 : scan->nchains;
		bool		any = false;

		for (int i = 0; i < most; i++)
		{
			take_task(scan, scan->chains[i]);
			any = any || scan->chains[i]->phase != GRAPH_CHAIN_IDLE;
		}
		if (any)
			return true;
	} while (enter_stages(scan));
	return false;
}

/*
 * waited_for
 *		The transfers that the chains wait for, and in *until when the first
 *		chain may go on without one, or 0.
 */
static GraphTransfer **
waited_for(GraphScan *scan, int *count, GraphTime *until)
{
	GraphTransfer **transfers = palloc(scan->nchains * sizeof(GraphTransfer *));

	*count = 0;
	*until = 0;
	for (int i = 0; i < scan->nchains; i++)
	{
		const GraphChain *chain = scan->chains[i];
		GraphTime	due = graph_fetch_due(chain->fetch);

		if (is_held(scan, chain))
			continue;
		if (chain->phase == GRAPH_CHAIN_SENDS && (*until == 0 || due < *until))
			*until = due;
		else if (chain->phase != GRAPH_CHAIN_SENDS && chain->fetch->transfer)
			transfers[(*count)++] = chain->fetch->transfer;
	}
	return transfers;
}

/*
 * wait_chains
 *		Wait until a chain can go on.
 */
static void
wait_chains(GraphScan *scan)
{
	int			count;
	GraphTime	until;
	GraphTransfer **transfers = waited_for(scan, &count, &until);
	GraphTime	start = graph_now();

	graph_http_wait_any(transfers, count, until);
	scan->counters.waited += graph_now() - start;
	pfree(transfers);
}

/*
 * poll_chains
 *		Without waiting, see whether a chain can go on; if none can, somebody
 *		else waits for it.
 */
static bool
poll_chains(GraphScan *scan)
{
	GraphTime	now = graph_now();
	int			count;
	GraphTime	until;
	GraphTransfer **transfers = waited_for(scan, &count, &until);
	long		left;
	bool		news;

	if (scan->waits_since == 0)
		scan->waits_since = now;
	scan->counters.waited += now - scan->waits_since;
	news = graph_http_poll(transfers, count, scan->waits_since, &left) ||
		(until != 0 && until <= now);
	pfree(transfers);

	scan->waits_since = news ? 0 : now;
	scan->look_again = now + (GraphTime) Min(left, INT_MAX) * 1000;
	if (until != 0)
		scan->look_again = Min(scan->look_again, until);
	return news;
}

/*
 * graph_scan_descriptor
 *		A descriptor that becomes readable when it is time to poll the scan
 *		again, be it that something has happened or that it has not.
 */
pgsocket
graph_scan_descriptor(const GraphScan *scan)
{
	pgsocket	descriptor = graph_multi_descriptor();

	graph_multi_alarm(graph_milliseconds_until(scan->look_again));
	return descriptor;
}

/*
 * step_chains
 *		Do what can be done without waiting, until there is a record.
 */
static GraphChainStep
step_chains(GraphScan *scan, GraphRecord *record)
{
	GraphChainStep result = GRAPH_STEP_WAITS;

	for (int i = 0; i < scan->nchains; i++)
	{
		int			number = (scan->current + i) % scan->nchains;
		GraphChain *chain = scan->chains[number];
		GraphChainStep step;

		if (is_held(scan, chain))
			continue;
		step = graph_chain_step(chain, record);
		switch (step)
		{
			case GRAPH_STEP_WAITS:
				continue;
			case GRAPH_STEP_RECORD:
				scan->current = number;
				scan->counters.records++;
				scan->shared.stats->records++;
				return step;
			case GRAPH_STEP_TURNS:
				note_missing(scan);
				if (chain->task.kind == GRAPH_TASK_LIST &&
					chain->page_number == 1)
					graph_window_split(chain, scan->nchains);
				break;
			case GRAPH_STEP_NO_WINDOWS:
				stop_chains(scan);
				graph_chain_resume(scan->chains[0], scan->shared.ledger.count);
				return GRAPH_STEP_MOVED;
			case GRAPH_STEP_ORDER_LOST:
				scan->order_lost = true;
				return GRAPH_STEP_MOVED;
			case GRAPH_STEP_NOT_OWNED:
				return GRAPH_STEP_MOVED;
			case GRAPH_STEP_MOVED:
				break;
		}
		result = GRAPH_STEP_MOVED;
	}
	return result;
}

/*
 * next_record
 *		The next record; if there is none without waiting, wait for it, or
 *		(polled) leave that to somebody else.
 *
 * What a step leaves in memory is gone with the next one: many may pass before
 * there is a row.
 */
static GraphScanStep
next_record(GraphScan *scan, GraphRecord *record, bool polled)
{
	MemoryContext old;
	GraphScanStep result = GRAPH_SCAN_END;

	MemoryContextReset(scan->scratch);
	old = MemoryContextSwitchTo(scan->scratch);
	graph_fetch_set_polled(&scan->shared, polled);
	while (result == GRAPH_SCAN_END && has_work(scan))
	{
		GraphChainStep step = step_chains(scan, record);

		if (step == GRAPH_STEP_RECORD)
			result = GRAPH_SCAN_RECORD;
		else if (step == GRAPH_STEP_WAITS && !polled)
			wait_chains(scan);
		else if (step == GRAPH_STEP_WAITS && !poll_chains(scan))
			result = GRAPH_SCAN_WAITS;
	}
	MemoryContextSwitchTo(old);
	return result;
}

/*
 * graph_scan_next
 *		The next record; false at the end, and again after it.
 */
bool
graph_scan_next(GraphScan *scan, GraphRecord *record)
{
	return next_record(scan, record, false) == GRAPH_SCAN_RECORD;
}

/*
 * graph_scan_take
 *		The same; but where several scans are read in turns, there may be none
 *		yet, and then *waits.
 */
bool
graph_scan_take(GraphScan *scan, bool in_turns, GraphRecord *record,
				bool *waits)
{
	GraphScanStep step = next_record(scan, record, in_turns);

	*waits = step == GRAPH_SCAN_WAITS;
	return step == GRAPH_SCAN_RECORD;
}

/*-------------------------------------------------------------------------
 * What came of it
 *-------------------------------------------------------------------------
 */

/*
 * graph_scan_order_is_lost
 *		Has the scan ended because the service does not sort as it was asked to?
 *
 * Nothing was handed out then but alerts without a time, where these come first:
 * all of them in that case.  The caller can ask for the list as it comes, and
 * sort.
 */
bool
graph_scan_order_is_lost(const GraphScan *scan)
{
	return scan->order_lost;
}

/*
 * graph_scan_can_navigate
 *		Can the scan ask for the lists of what belongs to something, for all that
 *		is known?
 */
bool
graph_scan_can_navigate(const GraphScan *scan)
{
	return !graph_navigation_is_refused(&scan->shared.parts);
}

/*
 * graph_scan_is_refused
 *		Has the scan ended because the service does not know such lists?
 *
 * Nothing was handed out then.  The caller can ask for the list of all.
 */
bool
graph_scan_is_refused(const GraphScan *scan)
{
	return scan->shared.owned.unknown;
}

/*
 * graph_scan_gave_nulls
 *		Were alerts without the time by which the list is in order handed out?
 */
bool
graph_scan_gave_nulls(const GraphScan *scan)
{
	return scan->shared.ledger.nulls > 0;
}

/*
 * graph_scan_count
 *		What a request for a count was answered, after the alerts that came with
 *		it were read; -1 if the service did not count, or contradicts itself.
 *
 * number: 0 is the count of the request's filter, 1 that of its first part.
 */
int64
graph_scan_count(const GraphScan *scan, int number)
{
	return scan->shared.course.counts[number];
}

/*
 * graph_scan_counted
 *		How many records came with the count of the request's filter, in the
 *		answer that was complete?
 */
int64
graph_scan_counted(const GraphScan *scan)
{
	return scan->shared.course.counted;
}

/*
 * graph_scan_count_number
 *		With which count has the last record come?
 */
int
graph_scan_count_number(const GraphScan *scan)
{
	return scan->chains[scan->current]->task.number;
}

/*
 * graph_scan_saw_other_case
 *		Has a member of this enum come in another case than the metadata has it,
 *		in this scan or before?
 */
bool
graph_scan_saw_other_case(const GraphScan *scan, const char *property)
{
	return graph_spelling_differs(&scan->shared, property);
}

/*
 * graph_scan_counters
 *		What the scan has done so far, for EXPLAIN ANALYZE.
 *
 * What was received counts, be it of an answer that was not read to its end.
 */
const GraphScanCounters *
graph_scan_counters(GraphScan *scan)
{
	const GraphPool *pool = &scan->shared.pool;

	scan->counters.requests = pool->requests;
	scan->counters.retries = pool->retries;
	scan->counters.pages = pool->pages;
	scan->counters.bytes = pool->bytes;
	scan->counters.limited = 0;
	for (int i = 0; i < scan->nchains; i++)
	{
		const GraphChain *chain = scan->chains[i];

		scan->counters.bytes += graph_fetch_received(chain->fetch) +
			graph_fetch_received(chain->prefetch);
		scan->counters.limited += graph_turn_waited(chain->fetch->turn) +
			graph_turn_waited(chain->prefetch->turn);
	}
	return &scan->counters;
}
