/*-------------------------------------------------------------------------
 *
 * order.c
 *		Is the list in the order of a time, and does this record come in its
 *		place?
 *
 * A list that is seen to be in order can be asked for by time from any place
 * on.  And an order on which the plan relies is trusted only as long as it is
 * seen to hold: at its beginning before anything is handed out, and with each
 * record after that.
 *
 * Whether the order that is seen is enough to go on by time is answered here as
 * well; going on is chain.c's.
 *
 * What this file refuses to know: how a request is spelled, what an answer says.
 *
 * IDENTIFICATION
 *		src/scan/order.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "scan/scan_int.h"

/*
 * So many records at the beginning of an ordered list have to be in order
 * before the first is handed out: of fewer it could not be seen that the
 * service ignores what it was asked for.  Should they be large, less will do.
 */
#define CHECKED_RECORDS	20
#define CHECKED_BYTES	(1024 * 1024)

/*
 * So many alerts in a row that nobody has sorted are hardly in order by chance:
 * it is one case in 40,000.
 */
#define ORDERED_RECORDS	8

/*
 * comes_before
 *		Does one time come before another in the order of the list?
 */
static bool
comes_before(const GraphShared *shared, TimestampTz first, TimestampTz second)
{
	return shared->descending ? first > second : first < second;
}

/*
 * graph_order_reset
 *		A scan begins.
 */
void
graph_order_reset(GraphShared *shared)
{
	memset(&shared->order, 0, sizeof(GraphOrder));
}

/*
 * graph_order_restart
 *		The list is begun again, or goes on from where it broke.
 */
void
graph_order_restart(GraphShared *shared)
{
	shared->order.restarted = true;
}

/*
 * graph_order_time
 *		The time of the record at hand by which the list is in order; false if
 *		it has none, or none that can be read.
 *
 * Nobody may have asked for that property, so trouble with it is no error.
 */
bool
graph_order_time(const GraphShared *shared, TimestampTz *time)
{
	return graph_decode_time(shared->slots[shared->time_slot], time);
}

/*
 * graph_order_report
 *		Raise the error for a list that is not in the order that the plan relies
 *		on, after some of it was handed out.
 */
void
graph_order_report(const GraphShared *shared, const GraphFetch *fetch)
{
	const GraphPeer *peer = &shared->session->peer;
	char	   *id = graph_decode_string(shared->slots[shared->id_slot]);

	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
			 errmsg("server \"%s\" did not keep the order that was asked for",
					peer->server_name),
			 errdetail("The %s \"%s\" is out of order by \"%s\".",
					   shared->resource->record,
					   graph_sanitize_remote_text(peer, id),
					   shared->time_property),
			 errhint("Set the option \"order_pushdown\" of the server or foreign table to false, and run the query again."),
			 errcontext("Microsoft Graph request: %s", graph_fetch_name(fetch))));
}

/*
 * graph_order_take
 *		Take the record at hand as the next in the order that the plan relies on;
 *		false if it was not there when the query began.
 *
 * After the list was begun again, an unknown record that comes before what
 * was handed out must be new, and is left out.  In any other case it breaks
 * the order.
 */
bool
graph_order_take(GraphShared *shared, const GraphFetch *fetch)
{
	GraphOrder *order = &shared->order;
	TimestampTz time;

	if (!graph_order_time(shared, &time))
		return true;
	if (order->started && comes_before(shared, time, order->last))
	{
		if (order->restarted)
			return false;
		graph_order_report(shared, fetch);
	}
	order->started = true;
	order->last = time;
	return true;
}

/*
 * examine_beginning
 *		See whether as much of the list as has come is in order.
 *
 * A record that comes twice says nothing.  Trouble with the bytes is found when
 * they are read.
 */
static GraphOrderCheck
examine_beginning(const GraphShared *shared, GraphListReader *reader,
				  GraphSlice unread, bool is_all)
{
	GraphSeen  *ids = graph_seen_create(CurrentMemoryContext, 1);
	GraphListEvent event;
	GraphSlice	record;
	GraphJsonError error;
	TimestampTz before = 0;
	TimestampTz time;
	int			count = 0;
	bool		differs = false;
	size_t		used;

	(void) graph_seen_begin(ids, 0, 0);
	while ((event = graph_list_read(reader, unread.data, unread.len, &used,
									&record, shared->slots, &error)) == GRAPH_LIST_RECORD)
	{
		GraphSlice	id = shared->slots[shared->id_slot];
		bool		again;

		unread.data += used;
		unread.len -= used;
		if (!graph_slice_is_string(id) || !graph_order_time(shared, &time))
			continue;
		(void) graph_seen_note(ids, id, 0, false, &again);
		if (again)
			continue;
		if (count > 0 && comes_before(shared, time, before))
			return GRAPH_ORDER_BROKEN;
		differs = differs || (count > 0 && time != before);
		before = time;
		if (++count >= CHECKED_RECORDS && differs)
			return GRAPH_ORDER_KEPT;
	}
	if (event == GRAPH_LIST_MORE && !is_all)
		return GRAPH_ORDER_UNKNOWN;

	/* equal times show no order, unless they are all that there is */
	return differs || count == 0 ||
		(event == GRAPH_LIST_END &&
		 graph_list_next_link(reader).data == NULL) ?
		GRAPH_ORDER_KEPT : GRAPH_ORDER_BROKEN;
}

/*
 * graph_order_examine
 *		Before the first record of an ordered list is handed out, see that its
 *		beginning is in order: the few that are wanted may be the wrong ones.
 *
 * It is done once, before anything was given.
 */
GraphOrderCheck
graph_order_examine(GraphShared *shared, GraphTransfer *transfer)
{
	GraphSlice	unread;
	GraphOrderCheck result;
	MemoryContext context;
	MemoryContext old;

	if (shared->order.checked || shared->order.started)
		return GRAPH_ORDER_KEPT;
	unread = graph_http_unread(transfer);
	context = AllocSetContextCreate(CurrentMemoryContext, "graph_fdw order",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	result = examine_beginning(shared,
							   graph_list_reader_create(shared->projection),
							   unread, graph_http_done(transfer) ||
							   unread.len >= CHECKED_BYTES);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	shared->order.checked = result == GRAPH_ORDER_KEPT;
	return result;
}

/*
 * graph_times_reset
 *		A chain begins.
 */
void
graph_times_reset(GraphTimes *times)
{
	memset(times, 0, sizeof(GraphTimes));
	times->sorted = true;
}

/*
 * graph_times_break
 *		The next record is no neighbour of the one before: its page comes again.
 */
void
graph_times_break(GraphTimes *times)
{
	times->has_previous = false;
}

/*
 * graph_times_miss
 *		A record has no time, or none that can be read: the chain could not be
 *		asked for by time without it.
 */
void
graph_times_miss(GraphTimes *times)
{
	times->sorted = false;
	times->timeless = true;
}

/*
 * graph_times_add
 *		Hold the time of a record against the one before it, and keep it if the
 *		list has come further.
 *
 * again tells that the record may stand where it does only because the list
 * has moved.  False if it is out of place, be it for that or not.
 */
bool
graph_times_add(const GraphShared *shared, GraphTimes *times, TimestampTz time,
				bool again)
{
	bool		in_place = !times->has_previous ||
		!comes_before(shared, time, times->previous);

	if (!in_place && again)
		return false;
	if (!in_place)
		times->sorted = false;
	times->has_previous = true;
	times->previous = time;

	/* after a new attempt the page may begin with what has just arrived */
	if (times->seen && comes_before(shared, time, times->last))
		return in_place;
	if (!times->seen)
		times->first = time;
	if (!times->seen || time != times->last)
		times->ties = 0;
	times->ties++;
	times->seen = true;
	times->last = time;
	return in_place;
}

/*
 * graph_goes_by_time
 *		Is the rest of a chain's list asked for by time, if it stays in order?
 */
bool
graph_goes_by_time(const GraphChain *chain)
{
	const GraphShared *shared = chain->shared;

	return graph_task_is_list(&chain->task) && shared->time_slot >= 0 &&
		chain->task.kind != GRAPH_TASK_NULLS &&
		chain->task.kind != GRAPH_TASK_TIES && chain->times.sorted &&
		!shared->ledger.filter_ignored &&
		!graph_parts_refused(&shared->parts, GRAPH_PART_WINDOW);
}

/*
 * graph_stands_still
 *		Has a chain that goes on by time come no further than the time at which
 *		it began?
 */
bool
graph_stands_still(const GraphChain *chain)
{
	const GraphWindow *window = &chain->task.window;

	return chain->task.continued &&
		(chain->shared->descending ? chain->times.last + 1 == window->upper :
		 chain->times.last == window->lower);
}

/*
 * graph_can_restart
 *		Can it be asked for by time now?
 */
bool
graph_can_restart(const GraphChain *chain)
{
	const GraphTimes *times = &chain->times;

	if (!graph_goes_by_time(chain) || !times->seen ||
		!graph_shows_order(chain))
		return false;

	/* what links may have left out is seen by the count, at the end */
	if (graph_has_followed_links(chain) && chain->tally.count >= 0)
		return false;

	/* among alerts of one time that is so only if they are counted */
	return !graph_stands_still(chain) ||
		(times->first == times->last && (chain->parts & GRAPH_PART_COUNT));
}

/*
 * graph_can_be_ordered
 *		Is the list not in order so far, and can it be asked for in order?
 */
bool
graph_can_be_ordered(const GraphChain *chain)
{
	const GraphShared *shared = chain->shared;

	return chain->task.kind == GRAPH_TASK_LIST && !chain->times.sorted &&
		!chain->times.timeless && shared->time_slot >= 0 &&
		!shared->course.order_tried && !shared->request->order_needed &&
		!shared->ledger.filter_ignored &&
		!graph_parts_refused(&shared->parts,
							 GRAPH_PART_ORDER | GRAPH_PART_WINDOW);
}

/*
 * graph_shows_order
 *		Is what has come in order for all that is known?
 *
 * A count will tell at the end, and where the plan relies on an order that was
 * looked at.  Without these a service is believed to have sorted a window as it
 * was asked to, but not the list itself, nor what its head has left out; and a
 * few alerts may be in order by chance.
 */
bool
graph_shows_order(const GraphChain *chain)
{
	const GraphShared *shared = chain->shared;
	bool		whole = graph_task_is_whole(&chain->task);

	if (chain->tally.count >= 0 || shared->request->order_needed)
		return true;
	if (chain->task.head || (whole && shared->course.order_tried))
		return false;
	return (!whole && (chain->parts & GRAPH_PART_ORDER)) ||
		(chain->times.first != chain->times.last &&
		 chain->tally.records >= ORDERED_RECORDS);
}

/*
 * graph_can_resume
 *		Can the list be followed by the link of its beginning, since nothing that
 *		was asked for by time has given anything?
 */
bool
graph_can_resume(const GraphShared *shared)
{
	return shared->course.head_link &&
		shared->ledger.found == shared->course.head_found;
}
