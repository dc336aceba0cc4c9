/*-------------------------------------------------------------------------
 *
 * record.c
 *		Is the record at hand for its chain to give, and new?
 *
 * A list moves while it is read: alerts arrive, links break, windows of time
 * meet.  Here a record is held against what came before it, by its id and by
 * its time, so that each alert is given once; and what was found is counted,
 * for the chain and for the whole list.
 *
 * What this file refuses to know: how a request is spelled, and what is asked
 * next.
 *
 * IDENTIFICATION
 *		src/scan/record.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "scan/scan_int.h"

/*
 * graph_ledger_reset
 *		A scan begins: nothing is known of the list.
 */
void
graph_ledger_reset(GraphShared *shared)
{
	memset(&shared->ledger, 0, sizeof(GraphLedger));
	shared->ledger.count = -1;
}

/*
 * graph_ledger_go
 *		The list is asked for by time, so that alerts without one are left for
 *		later; or by its links, and by time no more.
 */
void
graph_ledger_go(GraphShared *shared, bool by_time)
{
	shared->ledger.nulls_left = by_time;
	shared->ledger.filter_ignored |= !by_time;
}

/*
 * graph_tally_begin
 *		A new run of pages begins.  The ids of the worker's runs from number
 *		keep_from on are remembered (0: only its own).
 */
void
graph_tally_begin(GraphChain *chain, uint32 keep_from)
{
	GraphTally *tally = &chain->tally;

	memset(tally, 0, sizeof(GraphTally));
	tally->count = -1;
	tally->number = graph_seen_begin(chain->shared->seen, chain->worker,
									 keep_from);
	tally->keep_from = keep_from ? keep_from : tally->number;
}

/*
 * graph_tally_resume
 *		The chain goes on after the head of the list, which another has read, and
 *		of which the service counts so many.
 */
void
graph_tally_resume(GraphChain *chain, int64 count)
{
	GraphShared *shared = chain->shared;

	chain->tally.count = count;
	chain->tally.alerts = shared->course.head_alerts;
	chain->tally.deferred = shared->course.head_alerts - shared->course.head_found;
	shared->ledger.nulls_left = chain->tally.deferred > 0;
	graph_seen_adopt(shared->seen, chain->worker);
}

/*
 * graph_tally_start_page
 *		Its next page begins.
 */
void
graph_tally_start_page(GraphTally *tally)
{
	tally->page_records = tally->page_given = 0;
}

/*
 * graph_tally_end_page
 *		Its page is complete.
 */
void
graph_tally_end_page(GraphTally *tally)
{
	tally->records += tally->page_records;
	tally->empty_pages += tally->records == 0;
	tally->largest_page = Max(tally->largest_page, tally->page_records);
	tally->page_records = 0;
}

/*
 * note_count
 *		As soon as it is known, keep what the service has counted; it says so of
 *		the whole chain.
 */
static void
note_count(GraphChain *chain)
{
	if (!graph_task_is_list(&chain->task) || chain->page_number > 1 ||
		chain->tally.count >= 0)
		return;
	chain->tally.count = graph_page_count(chain->page);
	if (graph_task_is_whole(&chain->task))
		chain->shared->ledger.count = chain->tally.count;
}

/*
 * check_id
 *		A record without an id is no alert; true if this is one.
 */
static bool
check_id(const GraphChain *chain)
{
	const GraphShared *shared = chain->shared;

	if (graph_slice_is_string(shared->slots[shared->id_slot]))
		return true;
	graph_report_partial(&shared->session->peer, graph_fetch_name(chain->fetch),
						 psprintf("An %s has no \"%s\".",
								  shared->resource->record,
								  shared->resource->key));
	return false;
}

/*
 * check_key
 *		The record has to be the one that was looked up; true if it is.
 *
 * The condition would leave another one out, and its absence unexplained.  The
 * service may fold the case of an id.  That is no match, as ids are compared as
 * texts; and given under this id, it would come a second time where the other
 * one is looked up as well.
 */
static bool
check_key(const GraphChain *chain)
{
	const GraphShared *shared = chain->shared;
	const GraphPeer *peer = &shared->session->peer;
	char	   *id = graph_decode_string(shared->slots[shared->id_slot]);

	if (strcmp(id, chain->task.key) == 0)
		return true;
	if (pg_strcasecmp(id, chain->task.key) == 0)
		return false;
	graph_report_partial(peer, graph_fetch_name(chain->fetch),
						 psprintf("The answer is another %s, \"%s\".",
								  shared->resource->record,
								  graph_sanitize_remote_text(peer, id)));
	return false;
}

/*
 * place_timeless
 *		A record has no time: true if it is given where the list holds it.
 *
 * Where the plan relies on an order, those records are asked for by
 * themselves, before the others or after them.  What has no time is in no
 * window; what has one that nobody can read is in all of them, if the service
 * does not mind the filter.
 */
static bool
place_timeless(GraphChain *chain)
{
	GraphShared *shared = chain->shared;
	const GraphRequest *request = shared->request;

	if (!request->order_needed && chain->task.kind != GRAPH_TASK_NULLS)
	{
		graph_times_miss(&chain->times);
		if (graph_slice_is_null(shared->slots[shared->time_slot]))
			return !graph_task_is_part(&chain->task) && !shared->ledger.nulls_left;
		return !graph_task_is_part(&chain->task) || !shared->ledger.filter_ignored ||
			TIMESTAMP_IS_NOBEGIN(chain->task.window.lower);
	}
	if (chain->task.kind != GRAPH_TASK_NULLS)
	{
		if (graph_nulls_come_first(shared) || request->no_nulls)
			return false;		/* in the latter case clauses leave it out */
		shared->ledger.nulls_left |= !request->nulls_first;
		if (!request->nulls_first)
			return false;
	}
	if (request->order_needed && request->nulls_first && shared->order.started)
		graph_order_report(shared, chain->fetch);
	return true;
}

/*
 * note_filter
 *		Note whether the service minds the bounds of a window's filter, of which
 *		the lower one is a microsecond wider than the window.
 *
 * If it does not, a list that is restarted begins at its very beginning.
 */
static void
note_filter(GraphChain *chain, TimestampTz time)
{
	if (graph_task_is_part(&chain->task) && !graph_has_followed_links(chain) &&
		(time - 1 > chain->task.window.upper || time + 2 < chain->asked_lower))
		chain->shared->ledger.filter_ignored = true;
}

/*
 * place
 *		Note the time of the record at hand, and tell whether it is for this
 *		chain to give it.
 *
 * Windows are told apart by the time as it is known here, in microseconds.
 * given tells that it was given before, again that this chain had it; *past is
 * set if the rest of the list belongs to others.
 */
static bool
place(GraphChain *chain, bool given, bool again, bool *past)
{
	GraphShared *shared = chain->shared;
	const GraphWindow *window = &chain->task.window;
	TimestampTz time;

	if (shared->time_slot < 0)
		return true;
	if (!graph_order_time(shared, &time))
	{
		bool		here = place_timeless(chain);

		chain->tally.deferred += !here && !given;
		return here;
	}
	if (window->nulls)
		return false;			/* the service did not mind the filter */
	note_filter(chain, time);
	if (time < window->lower)
	{
		/*
		 * The rest is other chains', if they have taken a part, or nobody's,
		 * if the filter is ignored; but one that is out of place is no end
		 * where no order was asked for.
		 */
		*past = (window->lower > chain->asked_lower ||
				 shared->ledger.filter_ignored) &&
			shared->descending && chain->times.sorted &&
			chain->task.kind != GRAPH_TASK_TIES &&
			(chain->parts & GRAPH_PART_ORDER);
		return false;
	}
	if (time >= window->upper)
		return false;

	/* of a page, what came on another one is no excuse */
	again = again || (chain->page_number > 1 && given);
	if (graph_times_add(shared, &chain->times, time, again))
		return true;
	if (!again && shared->request->order_needed)
		graph_order_report(shared, chain->fetch);
	return !again;
}

/*
 * has_arrived
 *		Is the record at hand, found when the beginning of the list was asked for
 *		again, newer than that was?  Then it was not there when the service
 *		counted.
 */
static bool
has_arrived(const GraphChain *chain)
{
	return chain->task.head && chain->times.has_previous &&
		chain->times.previous > chain->shared->course.head_first;
}

/*
 * give
 *		The record at hand is handed out.
 */
static void
give(GraphChain *chain)
{
	graph_seen_give(chain->shared->seen);
	chain->tally.given++;
	chain->tally.page_given++;
}

/*
 * take_owned
 *		A record of what belongs to something is at hand: true if it is handed
 *		out.
 */
static bool
take_owned(GraphChain *chain)
{
	const GraphShared *shared = chain->shared;
	bool		again;

	if (!graph_owned_is_wanted(chain) ||
		graph_seen_note(shared->seen, shared->slots[shared->id_slot],
						chain->worker, true, &again))
		return false;
	give(chain);
	return true;
}

/*
 * take_alert
 *		A record of a list is at hand: true if it is handed out.
 */
static bool
take_alert(GraphChain *chain, bool *past)
{
	GraphShared *shared = chain->shared;
	GraphTally *tally = &chain->tally;
	bool		remember_all = chain->task.kind == GRAPH_TASK_TIES ||
		(tally->count >= 0 && !(chain->times.sorted && chain->times.seen));
	bool		again;
	bool		given = graph_seen_note(shared->seen,
										shared->slots[shared->id_slot],
										chain->worker, remember_all, &again);
	bool		here;

	if (!again)
	{
		tally->alerts++;
		tally->checksum ^= graph_seen_hash(shared->seen);
	}
	here = place(chain, given, again, past);

	/* one that was given early is counted where it belongs */
	if (here && graph_seen_find(shared->seen) &&
		graph_task_is_part(&chain->task) && !graph_task_is_whole(&chain->task))
		shared->ledger.found++;
	if (given || !here)
		return false;
	if (shared->request->order_needed && chain->task.kind != GRAPH_TASK_NULLS &&
		!graph_order_take(shared, chain->fetch))
	{
		/* where a list is read again, it was left out the time before */
		if (chain->pass.number > 0)
			graph_report_short(&shared->session->peer,
							   graph_fetch_name(chain->fetch),
							   psprintf("The list has moved while its links were followed, and an %s that was left out is too late for its place.",
										shared->resource->record));
		return false;
	}

	give(chain);
	shared->ledger.found += graph_task_is_part(&chain->task) && !has_arrived(chain);
	shared->ledger.nulls += chain->task.kind == GRAPH_TASK_NULLS;
	return true;
}

/*
 * graph_record_take
 *		A record is at hand: true if it is handed out.
 *
 * *past is set if the chain has come to the end of what it is to give.
 */
bool
graph_record_take(GraphChain *chain, bool *past)
{
	*past = false;
	chain->tally.page_records++;
	note_count(chain);
	graph_spelling_note(chain->shared);
	if (!check_id(chain))
	{
		chain->tally.nameless++;	/* there is no more to be had of it */
		return false;
	}
	if (graph_task_is_list(&chain->task))
		return take_alert(chain, past);
	if (chain->task.kind == GRAPH_TASK_KEY)
		return check_key(chain);
	if (chain->task.kind == GRAPH_TASK_OWNED)
		return take_owned(chain);
	return chain->shared->request->mode == GRAPH_SCAN_COUNT;
}

/*
 * graph_tally_alerts
 *		How many alerts the chain has held so far, each counted once.
 */
int64
graph_tally_alerts(const GraphChain *chain)
{
	return (int64) (chain->tally.alerts + chain->tally.nameless);
}

/*
 * graph_tally_close
 *		The chain ends here, be it that its task goes on by time: note what it
 *		has held of what the service has counted.
 */
void
graph_tally_close(GraphChain *chain)
{
	note_count(chain);

	/* there is more than a page, so that its size is no count of the list */
	if (chain->page_number == 1 && chain->tally.count >= 0 &&
		chain->tally.count <= graph_tally_alerts(chain) &&
		graph_page_next_link(chain->page).data)
	{
		chain->tally.count = -1;
		if (graph_task_is_whole(&chain->task))
			chain->shared->ledger.count = -1;
	}
	if (graph_task_is_whole(&chain->task))
		chain->shared->ledger.found = graph_tally_alerts(chain) -
			(int64) chain->tally.deferred;
}
