/*-------------------------------------------------------------------------
 *
 * chain.c
 *		How is one task read, page by page?
 *
 * A chain asks for one alert, for those that belong to something, for a count,
 * for a list or a part of it, or whether the service answers at all, and hands
 * out the records that are its own and new.
 *
 * A list is complete when its last page had no nextLink and the service counts
 * no more than came.  If it counts more, the rest is looked for, and reported
 * as missing if it is not found (graph_report_short()).  Where it does not
 * count, an end on a page that is not full is believed; after a full one the
 * list is asked for once more by time, if it is in order.
 *
 * A link may be an offset, and then what leaves the list while it is read
 * shifts other alerts to where nobody looks.  So a list that is seen to be in
 * the order of a time is not followed by its links: it is restarted at the last
 * time seen (keyset paging), and each page is the first of a list of its own,
 * whose count is of the same moment as its records.  Only where that leads no
 * further, as among alerts of one time, or where the order is not seen, links
 * are followed; a list that turns out short is read again for what is new.
 *
 * What this file refuses to know: other chains, the planner's nodes, columns
 * and types.
 *
 * IDENTIFICATION
 *		src/scan/chain.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "scan/scan_int.h"

/*
 * A list that is followed by its links and is shorter than the service has
 * counted is read again so many times while it changes.
 */
#define MAX_REREADS	5

/*
 * A page without a single new alert is followed by the next, since a service
 * may filter after it has cut its pages; but no more than so many of them in a
 * row, or a service whose links never end would be read for ever.  And not
 * more than one in so many milliseconds: it costs nothing to make them up.
 */
#define MAX_BARREN_PAGES	1000
#define BARREN_PAUSE_MS		10

static bool restart_by_time(GraphChain *chain, bool again);

/*-------------------------------------------------------------------------
 * What is asked
 *-------------------------------------------------------------------------
 */

/*
 * forget_next
 *		It is not known what comes after this page.
 */
static void
forget_next(GraphChain *chain)
{
	graph_fetch_clear(chain->prefetch);
	if (chain->next_url)
		pfree(chain->next_url);
	chain->next_url = NULL;
	chain->next_known = false;
}

/*
 * begin
 *		A new run of pages begins.  The ids of the worker's runs from number
 *		keep_from on are remembered (0: only its own).
 */
static void
begin(GraphChain *chain, uint32 keep_from)
{
	forget_next(chain);
	if (chain->followed)
		hash_destroy(chain->followed);
	chain->followed = NULL;
	chain->page_number = 1;
	graph_times_reset(&chain->times);
	graph_tally_begin(chain, keep_from);
}

/*
 * ask
 *		Set the chain up to ask for its task from the beginning; again tells that
 *		this takes the place of what has failed.  The chain stays idle if the id
 *		that is to be looked up is none that an alert can have.
 */
static void
ask(GraphChain *chain, uint32 keep_from, bool again)
{
	char	   *path;

	chain->parts = graph_task_parts(chain->shared, &chain->task);
	chain->left_out = 0;
	chain->asked_lower = chain->task.window.lower;
	begin(chain, keep_from);
	path = graph_task_path(chain->shared, &chain->task, chain->parts);
	if (path == NULL)
		return;
	graph_fetch_set(chain->fetch, path, again);
	chain->phase = GRAPH_CHAIN_SENDS;
}

/*-------------------------------------------------------------------------
 * A chain's life
 *-------------------------------------------------------------------------
 */

/*
 * graph_chain_create
 *		A chain without a task, in the scan's memory context.
 */
GraphChain *
graph_chain_create(GraphShared *shared, int worker)
{
	GraphChain *chain = MemoryContextAllocZero(shared->context,
											   sizeof(GraphChain));

	chain->shared = shared;
	chain->worker = worker;
	chain->fetch = graph_fetch_create(shared);
	chain->prefetch = graph_fetch_create(shared);
	chain->page = graph_page_create(shared);
	return chain;
}

/*
 * graph_chain_reset_course
 *		A scan begins: nothing was read of the list.
 */
void
graph_chain_reset_course(GraphShared *shared)
{
	if (shared->course.head_link)
		pfree(shared->course.head_link);
	memset(&shared->course, 0, sizeof(GraphCourse));
	for (int i = 0; i < GRAPH_MOST_COUNTS; i++)
		shared->course.counts[i] = -1;
}

/*
 * graph_chain_start
 *		Give an idle chain a task.
 */
void
graph_chain_start(GraphChain *chain, const GraphTask *task)
{
	int64		page_size = task->page_size;

	Assert(chain->phase == GRAPH_CHAIN_IDLE);

	/*
	 * Some of the ties may come again.  If there is no second reading, as the
	 * plan relies on the order, see that the page holds more.
	 */
	if (task->after_ties && chain->task.kind == GRAPH_TASK_TIES &&
		chain->shared->request->order_needed)
		page_size += graph_tally_alerts(chain);
	chain->task = *task;
	chain->task.page_size = (int) Min(page_size,
									  chain->shared->resource->largest_page);
	chain->pages = 0;
	chain->barren_pages = 0;
	chain->pass.number = 0;
	if (task->kind == GRAPH_TASK_COUNT)
		chain->shared->course.counts[task->number] = -1;
	ask(chain, 0, false);
}

/*
 * graph_chain_resume
 *		Follow the list by its links, and not by time any more: from its
 *		beginning on if nothing else has given anything, else all of it; the
 *		service counts so many.
 */
void
graph_chain_resume(GraphChain *chain, int64 count)
{
	GraphShared *shared = chain->shared;
	GraphCourse *course = &shared->course;
	bool		resume = graph_can_resume(shared);
	const GraphTask list = {
		.kind = GRAPH_TASK_LIST,
		.window = {.lower = DT_NOBEGIN, .upper = DT_NOEND},
		.page_size = shared->request->page_size,
	};

	graph_ledger_go(shared, false);
	graph_chain_start(chain, &list);
	if (!resume)
		return;
	chain->page_number = 2;
	graph_tally_resume(chain, count);
	graph_fetch_follow(chain->fetch, chain->fetch, course->head_link,
					   chain->page_number);
	pfree(course->head_link);
	course->head_link = NULL;
	course->has_head = false;
}

/*
 * graph_chain_cut
 *		Leave what is older than a time to others.
 */
void
graph_chain_cut(GraphChain *chain, TimestampTz lower)
{
	Assert(lower > chain->task.window.lower);
	chain->task.window.lower = lower;
}

/*
 * finish
 *		The chain has read all that there is for it.
 */
static void
finish(GraphChain *chain)
{
	graph_fetch_close(chain->fetch);
	forget_next(chain);
	chain->phase = GRAPH_CHAIN_IDLE;
}

/*
 * graph_chain_stop
 *		Give up what the chain does.
 */
void
graph_chain_stop(GraphChain *chain)
{
	finish(chain);
	graph_fetch_clear(chain->fetch);
}

/*
 * again
 *		The request broke, and the fetch is set up to send it again.
 *
 * A part of the list goes on by time from where it broke, if it is in order so
 * far; so does a list of which a link was followed, as that may be an offset,
 * and lead to other alerts by now.  Otherwise the same page comes again, and
 * what it has held before is known by the ids.
 */
static void
again(GraphChain *chain)
{
	graph_order_restart(chain->shared);
	if ((chain->page_number > 1 ||
		 (graph_task_is_part(&chain->task) && chain->tally.page_given > 0)) &&
		restart_by_time(chain, true))
		return;
	if (chain->page_number == 1)
		begin(chain, chain->tally.keep_from);
	forget_next(chain);
	graph_times_break(&chain->times);
	chain->phase = GRAPH_CHAIN_SENDS;
}

/*-------------------------------------------------------------------------
 * From page to page
 *-------------------------------------------------------------------------
 */

/*
 * hash_link
 *		What a link is remembered by.
 */
static uint64
hash_link(const char *link)
{
	return hash_bytes_extended((const unsigned char *) link, strlen(link), 0);
}

/*
 * find_next
 *		The URL of the next page, as soon as the answer has said it; NULL if
 *		there is none, or it was followed before in this chain.
 */
static const char *
find_next(GraphChain *chain)
{
	char	   *next;
	uint64		hash;

	if (chain->next_known)
		return chain->next_url;
	next = graph_page_next_url(chain->page);
	hash = next ? hash_link(next) : 0;
	if (next &&
		(strcmp(next, chain->fetch->url) == 0 ||
		 (chain->followed &&
		  hash_search(chain->followed, &hash, HASH_FIND, NULL))))
	{
		graph_report_partial(&chain->shared->session->peer,
							 graph_fetch_name(chain->fetch),
							 "Its nextLink leads to a page that was read before.");
		next = NULL;
	}
	if (next)
		chain->next_url = MemoryContextStrdup(chain->shared->context, next);
	chain->next_known = true;
	return chain->next_url;
}

/*
 * prefetch
 *		Where the answer names the next page before its records, ask for that
 *		page while these are read.
 *
 * Not where LIMIT says that it will not be wanted, and not where the rest of
 * the list is to be asked for by time.
 */
static void
prefetch(GraphChain *chain)
{
	GraphShared *shared = chain->shared;

	if (!graph_task_has_pages(&chain->task) || shared->request->limited ||
		graph_asks_enough(shared) || graph_goes_by_time(chain) || graph_can_be_ordered(chain) ||
		chain->prefetch->wanted ||
		shared->pool.wanted >= shared->session->options.limits.concurrency ||
		graph_page_next_link(chain->page).data == NULL ||
		find_next(chain) == NULL)
		return;
	graph_fetch_follow(chain->prefetch, chain->fetch, chain->next_url,
					   chain->page_number + 1);
	if (!graph_fetch_start_early(chain->prefetch))
		graph_fetch_clear(chain->prefetch);
}

/*
 * follow_link
 *		Go on with the next page by its link.
 */
static void
follow_link(GraphChain *chain)
{
	uint64		hash = hash_link(chain->fetch->url);

	if (chain->followed == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = ctl.entrysize = sizeof(uint64);
		ctl.hcxt = chain->shared->context;
		chain->followed = hash_create("graph_fdw links", 64, &ctl,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	(void) hash_search(chain->followed, &hash, HASH_ENTER, NULL);
	chain->page_number++;
	if (chain->prefetch->wanted)
	{
		GraphFetch *done = chain->fetch;

		chain->fetch = chain->prefetch;
		chain->prefetch = done;
	}
	else
		graph_fetch_follow(chain->fetch, chain->fetch, chain->next_url,
						   chain->page_number);
	if (chain->tally.page_given == 0)
		graph_fetch_delay(chain->fetch, BARREN_PAUSE_MS);
	forget_next(chain);
	if (chain->task.kind != GRAPH_TASK_TIES)	/* as many as have one time */
		graph_seen_release(chain->shared->seen, chain->worker);
	chain->phase = GRAPH_CHAIN_SENDS;
}

/*
 * keep_head
 *		The list goes on by time after its beginning: keep what that has held,
 *		should something that is later than its end have been missing in it, and
 *		the link, should the service not take a window's filter.
 */
static void
keep_head(GraphChain *chain)
{
	GraphShared *shared = chain->shared;
	GraphCourse *course = &shared->course;

	if (graph_task_is_part(&chain->task) || course->has_head)
		return;
	graph_seen_keep(shared->seen, chain->worker, false);
	course->has_head = true;
	course->head_bound = chain->times.last + 1;
	course->head_first = chain->times.first;
	if (chain->next_url)
		course->head_link = MemoryContextStrdup(shared->context,
												chain->next_url);
	course->head_found = shared->ledger.found;
	course->head_alerts = graph_tally_alerts(chain);
}

/*
 * read_ties
 *		More alerts have one time than a page holds, so that the list does not
 *		go on by time.  Read those by their links, as a list of their own that
 *		is held against its own count, and leave what comes after them for later.
 */
static void
read_ties(GraphChain *chain, bool again)
{
	const GraphShared *shared = chain->shared;
	TimestampTz time = chain->times.last;
	GraphTask	rest = chain->task;

	Assert(chain->times.first == time && (chain->parts & GRAPH_PART_COUNT));
	rest.page_size = shared->request->page_size;
	rest.continued = false;
	rest.after_ties = true;
	if (shared->descending)
		rest.window.upper = time;
	else
	{
		rest.window.lower = time + 1;
		rest.window.after = true;	/* or all of them would come again */
	}
	graph_queue_push(chain->shared, &rest);

	chain->task.kind = GRAPH_TASK_TIES;
	chain->task.after_ties = false;
	chain->task.window.lower = time;
	chain->task.window.upper = time + 1;
	chain->task.window.after = false;
	chain->task.page_size = Min(shared->request->page_size + chain->times.ties,
								shared->resource->largest_page);
	chain->pass.number = 0;
	ask(chain, chain->tally.number, again);
}

/*
 * restart_by_time
 *		Ask for the rest of the list by the last time seen instead of by a
 *		link; false if that cannot be done.
 *
 * The list has to be in order so far, and the chain must have moved on in time.
 * What was given at the last time comes again, and is known by its id; so that
 * a page holds as many new alerts as ever, it is that much larger.
 */
static bool
restart_by_time(GraphChain *chain, bool again)
{
	GraphShared *shared = chain->shared;
	GraphTask  *task = &chain->task;

	if (!graph_can_restart(chain))
		return false;
	if (graph_stands_still(chain))
	{
		read_ties(chain, again);
		return true;
	}

	graph_tally_close(chain);
	keep_head(chain);
	if (task->kind == GRAPH_TASK_LIST)
		task->kind = GRAPH_TASK_WINDOW;
	task->continued = true;
	if (shared->descending)
		task->window.upper = chain->times.last + 1;
	else
	{
		task->window.lower = chain->times.last;
		task->window.after = false;
	}
	task->page_size = Min(graph_page_wanted(shared) + chain->times.ties,
						  shared->resource->largest_page);
	chain->pass.number = 0;
	graph_ledger_go(shared, true);
	ask(chain, chain->tally.number, again);
	return true;
}

/*
 * ask_in_order
 *		A list that is longer than its first page, and does not come newest
 *		first by itself: ask for it again, in that order; false if that cannot be
 *		done.
 */
static bool
ask_in_order(GraphChain *chain)
{
	GraphShared *shared = chain->shared;

	if (!graph_can_be_ordered(chain))
		return false;
	shared->course.order_tried = true;
	graph_seen_keep(shared->seen, chain->worker, true);
	chain->task.kind = GRAPH_TASK_WINDOW;
	chain->task.page_size = shared->request->page_size;
	ask(chain, 0, false);
	return true;
}

/*
 * turn
 *		Go on to the next page, which is there: by time, or by its link.
 */
static void
turn(GraphChain *chain)
{
	if (!restart_by_time(chain, false) && !ask_in_order(chain))
		follow_link(chain);
}

/*
 * end_of_short_chain
 *		The service has counted more than the chain has held: look for the rest.
 *
 * A chain that does not go on by time is read once more, for what its links may
 * have left out.  Not if the service says the same as the last time, and has
 * the same: then it contradicts itself.  Where alerts come and go all the time,
 * nothing new in two readings is taken for the end.
 */
static void
end_of_short_chain(GraphChain *chain)
{
	GraphShared *shared = chain->shared;
	const GraphTally *tally = &chain->tally;
	GraphPass  *pass = &chain->pass;
	int64		count = graph_page_count(chain->page);
	bool		moves = tally->count != pass->count ||
		tally->checksum != pass->checksum || (count >= 0 && count != tally->count);
	bool		enough = moves &&
		pass->number >= (tally->given == 0 ? 2 : MAX_REREADS);

	if (restart_by_time(chain, false))
		return;
	if (!enough && pass->number < MAX_REREADS &&
		(pass->number == 0 || moves) &&
		!graph_seen_has_forgotten(shared->seen))
	{
		pass->number++;
		pass->count = tally->count;
		pass->checksum = tally->checksum;
		graph_order_restart(shared);
		ask(chain, tally->keep_from, false);
		return;
	}
	if (!enough)
		graph_report_short(&shared->session->peer,
						   graph_fetch_name(chain->fetch),
						   psprintf("The list ended after " INT64_FORMAT " %s and the service counts " INT64_FORMAT ".",
									graph_tally_alerts(chain),
									graph_records_name(shared->resource),
									tally->count));
	finish(chain);
}

/*
 * end_of_list
 *		There is no next page.  If the service has counted more, look for the
 *		rest; if it has not counted this list, although it does others, or the
 *		page is as full as it can be, that is no end to be sure of.
 */
static void
end_of_list(GraphChain *chain, bool full)
{
	GraphShared *shared = chain->shared;
	bool		doubtful = full ||
		((chain->parts & GRAPH_PART_COUNT) && shared->ledger.count >= 0);

	if (chain->tally.count > graph_tally_alerts(chain))
	{
		end_of_short_chain(chain);
		return;
	}
	if (chain->tally.count < 0 && doubtful)
	{
		if (restart_by_time(chain, false))
			return;
		shared->course.doubtful = true;
	}
	finish(chain);
}

/*
 * end_of_count
 *		The answer to a count is complete.
 *
 * It is believed only if it does not contradict itself: more records than it
 * counts, none although it counts some, or a link to more than it counts.
 */
static void
end_of_count(GraphChain *chain)
{
	int64		count = graph_page_count(chain->page);
	int64		records = (int64) chain->tally.page_records;
	bool		more = graph_page_next_link(chain->page).data != NULL;

	if (count < records || (records == 0 && count > 0) ||
		(more && count == records))
		count = -1;
	chain->shared->course.counts[chain->task.number] = count;
	if (chain->task.number == 0)
		chain->shared->course.counted = records;
	finish(chain);
}

/*
 * end_if_barren
 *		Note whether a page held anything new; true if there were too many that
 *		did not, and the chain has ended.  The next page after one of these waits
 *		a little.
 */
static bool
end_if_barren(GraphChain *chain)
{
	if (chain->tally.page_given > 0)
	{
		chain->barren_pages = 0;
		return false;
	}
	if (++chain->barren_pages < MAX_BARREN_PAGES)
		return false;
	graph_report_partial(&chain->shared->session->peer,
						 graph_fetch_name(chain->fetch),
						 psprintf("%d pages in a row held no %s that was new.",
								  MAX_BARREN_PAGES,
								  chain->shared->resource->record));
	finish(chain);
	return true;
}

/*
 * end_of_list_page
 *		A page of the list is complete.
 *
 * After a small first page the list is begun again with whole pages, as a
 * nextLink would go on with small ones.
 */
static GraphChainStep
end_of_list_page(GraphChain *chain)
{
	const GraphTally *tally = &chain->tally;
	const GraphRequest *request = chain->shared->request;
	bool		more = find_next(chain) != NULL;
	bool		full = tally->page_records >=
		(chain->page_number == 1 ? (uint64) chain->task.page_size :
		 tally->largest_page);

	elog(DEBUG2, "graph_fdw: " UINT64_FORMAT " %s, " UINT64_FORMAT
		 " of them new%s: %s", tally->page_records,
		 graph_records_name(chain->shared->resource), tally->page_given,
		 more ? ", and more to come" : "", graph_fetch_name(chain->fetch));
	graph_tally_end_page(&chain->tally);
	chain->pages++;
	graph_tally_close(chain);

	if (more && end_if_barren(chain))
		return GRAPH_STEP_MOVED;
	if (chain->task.kind == GRAPH_TASK_LIST && (more || full) &&
		chain->task.page_size < request->page_size)
	{
		graph_seen_keep(chain->shared->seen, chain->worker, true);
		chain->task.page_size = request->page_size;
		graph_order_restart(chain->shared);
		ask(chain, tally->keep_from, false);
	}
	else if (more)
	{
		chain->phase = GRAPH_CHAIN_TURNS;
		return GRAPH_STEP_TURNS;
	}
	else
		end_of_list(chain, full);
	return GRAPH_STEP_MOVED;
}

/*
 * end_page
 *		The document of an answer is complete: check it and move on.
 */
static GraphChainStep
end_page(GraphChain *chain)
{
	graph_page_check_end(chain->page);
	if (graph_task_has_pages(&chain->task))
		return end_of_list_page(chain);
	if (chain->task.kind == GRAPH_TASK_COUNT)
		end_of_count(chain);
	else
		finish(chain);
	return GRAPH_STEP_MOVED;
}

/*-------------------------------------------------------------------------
 * Answers
 *-------------------------------------------------------------------------
 */

/*
 * leave_out
 *		The service refuses a part of the request: ask for the same without.
 *
 * That an order or any() is refused is known of the whole scan at once; the
 * rest is when it answers without.  If any() was not it, it is asked for again.
 */
static void
leave_out(GraphChain *chain, int part)
{
	graph_parts_acquit(&chain->shared->parts);
	if (part == GRAPH_PART_ORDER || part == GRAPH_PART_ANY)
		graph_parts_refuse(&chain->shared->parts, part);
	chain->parts |= chain->left_out & GRAPH_PART_ANY;
	chain->parts &= ~part;
	chain->left_out = part;		/* what was left out before was not it */
	graph_fetch_ask_anew(chain->fetch,
						 graph_task_path(chain->shared, &chain->task,
										 chain->parts));
	chain->phase = GRAPH_CHAIN_SENDS;
}

/*
 * read_header
 *		Act on the answer as soon as its header is there.
 */
static GraphChainStep
read_header(GraphChain *chain)
{
	GraphShared *shared = chain->shared;
	int			part = 0;
	GraphVerdict verdict = graph_answer_judge(chain, &part);

	switch (verdict)
	{
		case GRAPH_VERDICT_WAIT:
			return GRAPH_STEP_WAITS;
		case GRAPH_VERDICT_READ:
			if (!graph_owned_accept(chain))
				graph_parts_accept(&shared->parts, chain->parts, chain->left_out);
			chain->phase = GRAPH_CHAIN_READS;
			break;
		case GRAPH_VERDICT_SEND:
			chain->phase = GRAPH_CHAIN_SENDS;
			break;
		case GRAPH_VERDICT_AGAIN:
			again(chain);
			break;
		case GRAPH_VERDICT_LEAVE_OUT:
			leave_out(chain, part);
			break;
		case GRAPH_VERDICT_BY_TIME:
			(void) restart_by_time(chain, false);
			break;
		case GRAPH_VERDICT_PROBE:
			chain->task.kind = graph_task_probe(&chain->task);
			ask(chain, 0, false);
			break;
		case GRAPH_VERDICT_UNKNOWN:
			shared->course.doubtful = true;
			finish(chain);
			break;
		case GRAPH_VERDICT_END:
			finish(chain);
			break;
		case GRAPH_VERDICT_NO_WINDOWS:
			graph_parts_acquit(&shared->parts);
			graph_parts_refuse(&shared->parts, GRAPH_PART_WINDOW);
			return GRAPH_STEP_NO_WINDOWS;
		case GRAPH_VERDICT_ORDER_LOST:
			graph_parts_refuse(&shared->parts, GRAPH_PART_ORDER);
			return GRAPH_STEP_ORDER_LOST;
		case GRAPH_VERDICT_NOT_OWNED:
			graph_owned_refuse(shared);
			return GRAPH_STEP_NOT_OWNED;
		case GRAPH_VERDICT_ERROR:
			Assert(false);
	}
	return GRAPH_STEP_MOVED;
}

/*
 * give
 *		Fill in the record that is handed out.
 *
 * Its bytes are the reader's until the scan is asked for the next one, whoever
 * waits for something else meanwhile.
 */
static GraphChainStep
give(const GraphChain *chain, GraphRecord *record, GraphSlice whole)
{
	const GraphShared *shared = chain->shared;

	record->whole = whole;
	record->slots = shared->slots;
	record->id = shared->slots[shared->id_slot];
	graph_http_pin(chain->fetch->transfer);
	return GRAPH_STEP_RECORD;
}

/*
 * read_records
 *		The next record of an answer that the chain hands out.
 */
static GraphChainStep
read_records(GraphChain *chain, GraphRecord *record)
{
	GraphSlice	whole;
	bool		past;

	for (;;)
	{
		switch (graph_page_next(chain->page, &whole))
		{
			case GRAPH_PAGE_WAITS:
				prefetch(chain);
				return GRAPH_STEP_WAITS;
			case GRAPH_PAGE_RECORD:
				if (graph_record_take(chain, &past))
					return give(chain, record, whole);
				if (!past)
					break;
				finish(chain);	/* the rest is other chains' */
				return GRAPH_STEP_MOVED;
			case GRAPH_PAGE_END:
				return end_page(chain);
			case GRAPH_PAGE_BROKEN:
				graph_fetch_repair(chain->fetch);
				again(chain);
				return GRAPH_STEP_MOVED;
			case GRAPH_PAGE_CUT:
				if (graph_fetch_cut_again(chain->fetch))
					again(chain);
				else
				{
					graph_page_report_cut(chain->page);
					finish(chain);
				}
				return GRAPH_STEP_MOVED;
		}
	}
}

/*
 * read_body
 *		The same, after a look at the beginning of a list on whose order the plan
 *		relies.
 */
static GraphChainStep
read_body(GraphChain *chain, GraphRecord *record)
{
	GraphShared *shared = chain->shared;

	if (shared->request->order_needed && graph_task_is_list(&chain->task) &&
		chain->task.kind != GRAPH_TASK_NULLS)
	{
		switch (graph_order_examine(shared, chain->fetch->transfer))
		{
			case GRAPH_ORDER_UNKNOWN:
				return GRAPH_STEP_WAITS;
			case GRAPH_ORDER_BROKEN:
				return GRAPH_STEP_ORDER_LOST;
			case GRAPH_ORDER_KEPT:
				break;
		}
	}
	return read_records(chain, record);
}

/*
 * graph_chain_step
 *		Do what can be done for a chain without waiting.
 */
GraphChainStep
graph_chain_step(GraphChain *chain, GraphRecord *record)
{
	switch (chain->phase)
	{
		case GRAPH_CHAIN_IDLE:
			break;
		case GRAPH_CHAIN_SENDS:
			if (!graph_fetch_start(chain->fetch))
				break;
			graph_page_start(chain->page, chain->fetch,
							 chain->task.kind != GRAPH_TASK_KEY);
			graph_tally_start_page(&chain->tally);
			chain->phase = GRAPH_CHAIN_ASKS;
			return GRAPH_STEP_MOVED;
		case GRAPH_CHAIN_ASKS:
			return read_header(chain);
		case GRAPH_CHAIN_READS:
			return read_body(chain, record);
		case GRAPH_CHAIN_TURNS:
			turn(chain);
			return GRAPH_STEP_MOVED;
	}
	return GRAPH_STEP_WAITS;
}
