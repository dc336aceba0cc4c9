/*-------------------------------------------------------------------------
 *
 * scan.c
 *		What is the next record?  The lanes of a scan, and what they read.
 *
 * A scan runs in lanes (lane.c), as many at once as the option concurrency
 * allows, and hands out records from whichever lane has one.  Ids are looked
 * up one after the other by all lanes.  A list is read by one lane at first.
 * When that turns out to be long, and is seen to come newest first, the rest of
 * it is cut into windows of time, which the lanes read side by side: nextLinks
 * can only be followed one after the other, but windows do not know of each
 * other.
 *
 * The service counts a list with its first page.  When all parts of it were
 * read, what was found is held against that count, and what is missing is looked
 * for where it can be: look_for_rest().  Alerts may have left the list since;
 * whether that is all is for explain_difference() to say.
 *
 * What this file refuses to know: requests and answers, the planner's nodes,
 * columns and types.
 *
 * IDENTIFICATION
 *		src/scan/scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "scan/scan_int.h"

/*
 * A list of so many pages counts as long, and what follows its first page is
 * read in windows of time.  Each of them costs a page that is not full, so it
 * is to have so many pages at least.
 */
#define LONG_LIST_PAGES	5
#define SMALLEST_WINDOW_PAGES	2

/* A window that has so many pages left is shared with a lane that is idle. */
#define SMALLEST_SHARED_PAGES	3

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

	scan->session = session;
	scan->projection = projection;
	scan->context = CurrentMemoryContext;
	scan->scratch = AllocSetContextCreate(scan->context, "graph_fdw step",
										  ALLOCSET_SMALL_SIZES);
	scan->id_slot = graph_projection_add(projection, "id");
	scan->time_slot = -1;
	scan->stats = graph_stats(session->serverid);
	scan->nlanes = session->options.limits.concurrency;
	scan->lanes = palloc0(scan->nlanes * sizeof(GraphLane));
	return scan;
}

/*
 * prepare_times
 *		Have the time located in each record of a list.
 *
 * Without order_pushdown nothing is made of the order that is seen.
 */
static void
prepare_times(GraphScan *scan, const GraphRequest *request)
{
	MemoryContext old;

	scan->time_property = request->order_property ? request->order_property :
		GRAPH_DEFAULT_TIME;
	scan->descending = request->order_property ? request->descending : true;
	if (request->mode != GRAPH_SCAN_LIST ||
		!scan->session->options.pushdown.order)
		return;
	old = MemoryContextSwitchTo(scan->context);
	scan->time_slot = graph_projection_add(scan->projection, scan->time_property);
	MemoryContextSwitchTo(old);
}

/*
 * start_list
 *		Have the list read by the first lane, and before it, where the plan
 *		relies on that, the alerts without a time.
 *
 * The service does not say where it sorts those (OData: as the least).  That
 * every alert has a time of creation is taken for granted, as the list is
 * newest first by that; should one come without, it is an error.
 */
static void
start_list(GraphScan *scan)
{
	static const GraphWindow nulls = {DT_NOBEGIN, DT_NOEND, true, false, false};
	const GraphRequest *request = scan->request;
	int			first = Min(request->first_page, request->page_size);

	scan->nulls_asked = request->order_needed && request->nulls_first &&
		!request->no_nulls && strcmp(scan->time_property, GRAPH_DEFAULT_TIME) != 0;
	scan->list_wanted = scan->nulls_asked;
	if (scan->nulls_asked)
		graph_lane_list(scan, &scan->lanes[0], &nulls, first);
	else
	{
		scan->small_page = first < request->page_size;
		graph_lane_list(scan, &scan->lanes[0], NULL, first);
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
	graph_scan_stop(scan);
	scan->request = request;
	if (request == NULL)
		return;

	prepare_times(scan, request);
	if (request->order_needed && graph_lane_refuses(scan, GRAPH_PART_ORDER))
		scan->order_lost = true;
	if (scan->slots)
		pfree(scan->slots);
	scan->slots = MemoryContextAllocZero(scan->context,
										 graph_projection_size(scan->projection) *
										 sizeof(GraphSlice));
	switch (request->mode)
	{
		case GRAPH_SCAN_KEYS:
			break;				/* lanes take keys as they are free */
		case GRAPH_SCAN_LIST:
			start_list(scan);
			break;
		case GRAPH_SCAN_COUNT:
			graph_lane_count(scan, &scan->lanes[0], request->select != NULL,
							 false);
			break;
	}
}

/*
 * graph_scan_stop
 *		End all requests under way; nothing more is asked.
 */
void
graph_scan_stop(GraphScan *scan)
{
	HTAB	  **tables[] = {&scan->given, &scan->given_before, &scan->head_ids,
	&scan->early_ids};

	graph_scan_give_up_windows(scan);
	scan->request = NULL;
	scan->current = scan->next_key = 0;
	scan->waits_since = 0;
	scan->count = -1;
	scan->order_started = scan->order_restarted = scan->order_checked = false;
	scan->order_tried = scan->order_lost = false;
	scan->doubtful = scan->nulls_asked = scan->ids_forgotten = false;
	scan->accepted = 0;
	scan->verification = 0;
	scan->nulls_found = 0;
	scan->counted = -1;
	for (size_t i = 0; i < lengthof(tables); i++)
	{
		if (*tables[i])
			hash_destroy(*tables[i]);
		*tables[i] = NULL;
	}
	if (scan->fallback_url)
		pfree(scan->fallback_url);
	scan->fallback_url = NULL;
	scan->head_taken = scan->filter_ignored = false;
	scan->nulls_wanted = scan->nulls_taken = false;
	scan->list_wanted = scan->small_page = false;
	scan->found = 0;
}

/*-------------------------------------------------------------------------
 * Windows
 *-------------------------------------------------------------------------
 */

/*
 * graph_scan_add_window
 *		Leave a window to whichever lane is free first.
 */
void
graph_scan_add_window(GraphScan *scan, TimestampTz lower, TimestampTz upper,
					  bool nulls)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	GraphWindow *window = palloc(sizeof(GraphWindow));

	window->lower = lower;
	window->upper = upper;
	window->nulls = nulls;
	window->head = window->linked = false;
	scan->windows = lappend(scan->windows, window);
	MemoryContextSwitchTo(old);
}

/*
 * is_long
 *		Does a list of so many alerts count as long?
 *
 * With LIMIT it does not: a part of it may be enough.
 */
static bool
is_long(const GraphScan *scan, int64 count)
{
	return !scan->request->limited && !scan->request->order_needed &&
		count >= (int64) LONG_LIST_PAGES * scan->request->page_size;
}

/*
 * is_divisible
 *		May what is left of a lane's list be read in windows?
 *
 * Not where the plan relies on an order, and not if the list is not seen to be
 * newest first.
 */
static bool
is_divisible(GraphScan *scan, GraphLane *lane)
{
	return lane->url && lane->purpose == GRAPH_LANE_LIST &&
		!scan->request->order_needed &&
		scan->time_slot >= 0 && scan->descending && !lane->window.nulls &&
		lane->sorted && lane->time_seen && lane->first_time > lane->last_time;
}

/*
 * time_of
 *		In about how much time there are so many alerts, if they lie as close
 *		together as those that the lane has read.
 */
static int64
time_of(const GraphLane *lane, double alerts)
{
	double		time = (double) (lane->first_time - lane->last_time) *
		alerts / Max(lane->chain_records + lane->page_records, 1);

	return (int64) Min(Max(time, 1.0), (double) PG_INT64_MAX / 4);
}

/*
 * graph_first_time
 *		The earliest time that Edm.DateTimeOffset can hold.
 */
TimestampTz
graph_first_time(void)
{
	return (TimestampTz) (date2j(1, 1, 1) - POSTGRES_EPOCH_JDATE) *
		USECS_PER_DAY;
}

/*
 * divide
 *		Leave the older part of a lane's list to others, in so many windows of
 *		so many alerts; the last of them is open.
 */
static void
divide(GraphScan *scan, GraphLane *lane, double alerts, int windows)
{
	TimestampTz upper = lane->last_time - time_of(lane, alerts);
	TimestampTz oldest = lane->window.lower;

	if (upper <= Max(oldest, graph_first_time()) || TIMESTAMP_NOT_FINITE(upper))
		return;
	lane->window.lower = upper;
	for (int i = 1; i < windows; i++)
	{
		TimestampTz lower = upper - time_of(lane, alerts);

		if (lower <= Max(oldest, graph_first_time()))
			break;
		graph_scan_add_window(scan, lower, upper, false);
		upper = lower;
	}
	graph_scan_add_window(scan, oldest, upper, false);
	scan->nulls_wanted = true;
}

/*
 * graph_scan_split
 *		After the first page of a long list, have the rest of it read in windows;
 *		true if the lane was set up for the newest of them.
 *
 * These are asked for in order, which the list itself is not, so that they may
 * be begun anew, and shared.  With one lane there is one of them.
 */
bool
graph_scan_split(GraphScan *scan, GraphLane *lane)
{
	double		rest = (double) (scan->count - scan->found);
	int			windows;

	if (!is_long(scan, scan->count) || !is_divisible(scan, lane))
		return false;
	windows = (int) Min(scan->nlanes,
						rest / scan->request->page_size / SMALLEST_WINDOW_PAGES);
	if (windows > 1)
		divide(scan, lane, rest / windows, windows - 1);
	return graph_lane_begin_anew(scan, lane);
}

/*
 * graph_scan_give_up_windows
 *		End all requests under way, and read no window any more.
 */
void
graph_scan_give_up_windows(GraphScan *scan)
{
	for (int i = 0; i < scan->nlanes; i++)
		graph_lane_stop(scan, &scan->lanes[i]);
	list_free_deep(scan->windows);
	scan->windows = NIL;
}

/*
 * rest_of
 *		About how many alerts are left of a lane's window, given how many are
 *		left of all.
 *
 * The service has counted the window as it was at first; others may have taken
 * some of it since.
 */
static double
rest_of(const GraphLane *lane, double rest)
{
	if (lane->chain_count >= 0)
		rest = Min(rest, (double) (lane->chain_count -
								   (int64) graph_order_chain_alerts(lane)));
	if (TIMESTAMP_IS_NOBEGIN(lane->window.lower))
		return rest;
	return Min(rest, (double) (lane->last_time - lane->window.lower) /
			   time_of(lane, 1));
}

/*
 * share
 *		Let an idle lane have half of what is left of another one's window, if
 *		there is enough left.
 */
static void
share(GraphScan *scan)
{
	double		rest = (double) (scan->count - scan->found);
	double		most = (double) SMALLEST_SHARED_PAGES *
		scan->request->page_size;
	GraphLane  *richest = NULL;

	if (scan->count < 0 || !scan->nulls_wanted || scan->filter_ignored ||
		scan->request->limited)
		return;
	for (int i = 0; i < scan->nlanes; i++)
	{
		GraphLane  *lane = &scan->lanes[i];

		if (!is_divisible(scan, lane) || lane->window_pages == 0 ||
			!(lane->parts & GRAPH_PART_ORDER) || rest_of(lane, rest) < most)
			continue;
		most = rest_of(lane, rest);
		richest = lane;
	}
	if (richest)
		divide(scan, richest, most / 2, 1);
}

/*
 * take_window
 *		Let a free lane read the next window; false if there is none.
 */
static bool
take_window(GraphScan *scan, GraphLane *lane)
{
	GraphTime	not_before = lane->not_before;
	GraphWindow *window;

	if (scan->windows == NIL)
		share(scan);
	if (scan->windows == NIL)
		return false;
	window = linitial(scan->windows);
	scan->windows = list_delete_first(scan->windows);
	graph_lane_stop(scan, lane);	/* what it knew of another window */
	lane->not_before = not_before;
	graph_lane_list(scan, lane, window, scan->request->page_size);
	pfree(window);
	return true;
}

/*-------------------------------------------------------------------------
 * Lanes
 *-------------------------------------------------------------------------
 */

/*
 * take_key
 *		Let a free lane look up the next id; false if there is none.
 */
static bool
take_key(GraphScan *scan, GraphLane *lane)
{
	const GraphRequest *request = scan->request;

	while (scan->next_key < request->nkeys)
	{
		char	   *path = graph_key_path(request->entity_set,
										  request->keys[scan->next_key++]);

		if (path == NULL)
			continue;			/* no alert can have this id */
		lane->parts = lane->dropped = 0;
		lane->filtered = false;
		graph_lane_start(scan, lane, GRAPH_LANE_KEY, path);
		lane->key = request->keys[scan->next_key - 1];
		return true;
	}
	return false;
}

/*
 * take_list
 *		After the alerts without a time, let the lane read the others.
 */
static bool
take_list(GraphScan *scan, GraphLane *lane)
{
	const GraphRequest *request = scan->request;
	int			first = Min(request->first_page, request->page_size);

	if (!scan->list_wanted)
		return false;
	scan->list_wanted = false;
	scan->small_page = first < request->page_size;
	graph_lane_stop(scan, lane);
	graph_lane_list(scan, lane, NULL, first);
	return true;
}

/*
 * take_nulls
 *		A list that was cut by time, or whose order puts them last, has left out
 *		the alerts without one: let a free lane ask for these.  Where all that
 *		the service has counted was given, there are none.
 *
 * Where they should have come first, it is only asked whether there are any:
 * see takes_null().
 */
static bool
take_nulls(GraphScan *scan, GraphLane *lane)
{
	if (!scan->nulls_wanted || scan->nulls_taken || scan->nulls_asked ||
		scan->request->no_nulls)
		return false;
	scan->nulls_taken = true;
	graph_scan_add_window(scan, DT_NOBEGIN, DT_NOEND, true);
	return take_window(scan, lane);
}

/*
 * take_head
 *		Let a free lane look for what the beginning of the list should have
 *		held and did not.
 */
static void
take_head(GraphScan *scan, GraphLane *lane)
{
	GraphWindow window = {scan->head_bound, DT_NOEND, false, true, false};

	scan->head_taken = true;
	graph_lane_stop(scan, lane);
	graph_lane_list(scan, lane, &window, scan->request->page_size);
}

/*
 * is_complete
 *		Were as many alerts found as the service has counted?
 */
static bool
is_complete(const GraphScan *scan)
{
	return scan->count >= 0 && scan->found >= scan->count;
}

/*
 * report_short
 *		Say that the list held less than the service counts.
 */
static void
report_short(GraphScan *scan, GraphLane *lane)
{
	graph_report_short(&scan->session->peer, graph_request_name(lane),
					   psprintf("There were " INT64_FORMAT " alerts, and the service counts " INT64_FORMAT ".",
								scan->found, scan->count));
}

/*
 * can_read_again
 *		Can the list be read once more, so that what is new is given?
 */
static bool
can_read_again(const GraphScan *scan)
{
	return !scan->request->order_needed && !scan->ids_forgotten;
}

/*
 * explain_difference
 *		Fewer alerts were found than the service had counted at first, although
 *		each part of the list was read: is something missing, or have alerts left
 *		the list meanwhile?  False if nothing more is to be asked.
 *
 * If the service counts no more now than were found, they have left.  If it
 * counts what it did, nothing has moved.  Else alerts may have come as well; but there may be some that its filter
 * does not find by any time, so that no window has them.  Whether there are is
 * seen from counts that are made one after the other, with and without a bound
 * that all times satisfy.
 */
static bool
explain_difference(GraphScan *scan, GraphLane *lane)
{
	switch (scan->verification++)
	{
		case 0:
			graph_lane_count(scan, lane, false, false);
			return true;
		case 1:
			if (scan->counted >= 0 && scan->counted <= scan->found)
				return false;
			if (scan->doubtful || scan->counted < 0 ||
				(scan->counted == scan->count && can_read_again(scan)))
				break;
			graph_lane_count(scan, lane, false, true);
			return true;
		case 2:
			scan->timed = scan->counted;
			if (scan->counted < 0)
				break;
			graph_lane_count(scan, lane, false, false);
			return true;
		case 3:
			if (scan->counted < 0)
				break;
			scan->count = scan->counted;
			graph_lane_count(scan, lane, false, true);
			return true;
		case 4:
			if (scan->counted >= 0 &&
				scan->count <= Max(scan->timed, scan->counted) + scan->nulls_found)
				return false;
			break;
		default:
			return false;		/* what there was to do was done */
	}

	/* they are found by following the links, if what was given is known */
	scan->verification = INT_MAX / 2;
	if (graph_lane_follow_links(scan, lane))
		return true;
	if (!can_read_again(scan))
	{
		report_short(scan, lane);
		return false;
	}
	scan->nulls_wanted = false;
	scan->filter_ignored = true;
	graph_lane_list(scan, lane, NULL, scan->request->page_size);
	return true;
}

/*
 * look_for_rest
 *		When all was read that a list was thought to hold, see whether that is
 *		what the service has counted; false if nothing more is to be asked.
 */
static bool
look_for_rest(GraphScan *scan)
{
	GraphLane  *lane = &scan->lanes[0];

	if (scan->request->mode != GRAPH_SCAN_LIST || is_complete(scan))
		return false;
	if (take_nulls(scan, lane))
		return true;
	if (scan->head_ids && !scan->head_taken && !scan->request->order_needed &&
		scan->descending && !scan->filter_ignored)
	{
		take_head(scan, lane);
		return true;
	}
	return scan->count >= 0 && explain_difference(scan, lane);
}

/*
 * fill_lanes
 *		Let free lanes take what is left; false if nothing is under way then.
 *
 * Where the plan relies on an order, there is one lane.
 */
static bool
fill_lanes(GraphScan *scan)
{
	bool		keys = scan->request->mode == GRAPH_SCAN_KEYS;
	int			nlanes = scan->request->order_needed ? 1 : scan->nlanes;
	bool		any = false;

	for (int i = 0; i < nlanes; i++)
	{
		GraphLane  *lane = &scan->lanes[i];

		if (lane->url == NULL)
			(void) (keys ? take_key(scan, lane) :
					take_list(scan, lane) || take_window(scan, lane) ||
					(scan->count < 0 && take_nulls(scan, lane)));
		any = any || lane->url;
	}
	return any || look_for_rest(scan);
}

/*
 * waited_for
 *		The transfers that the lanes wait for, and in *until when the first lane
 *		may go on without one, or 0.
 */
static GraphTransfer **
waited_for(GraphScan *scan, int *count, GraphTime *until)
{
	GraphTransfer **transfers = palloc(scan->nlanes * sizeof(GraphTransfer *));

	*count = 0;
	*until = 0;
	for (int i = 0; i < scan->nlanes; i++)
	{
		GraphLane  *lane = &scan->lanes[i];

		if (lane->transfer)
			transfers[(*count)++] = lane->transfer;
		else if (lane->url && (*until == 0 || lane->not_before < *until))
			*until = lane->not_before;
	}
	return transfers;
}

/*
 * wait_lanes
 *		Wait until a lane can go on.
 */
static void
wait_lanes(GraphScan *scan)
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
 * poll_lanes
 *		Without waiting, see whether a lane can go on; if none can, somebody
 *		else waits for it.
 */
static bool
poll_lanes(GraphScan *scan)
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
graph_scan_descriptor(GraphScan *scan)
{
	graph_multi_alarm(graph_milliseconds_until(scan->look_again));
	return graph_multi_descriptor();
}

/*
 * step_lanes
 *		Do what can be done without waiting, until there is a record.
 */
static GraphLaneStep
step_lanes(GraphScan *scan, GraphRecord *record)
{
	GraphLaneStep result = GRAPH_LANE_WAITS;

	for (int i = 0; i < scan->nlanes; i++)
	{
		int			number = (scan->current + i) % scan->nlanes;

		switch (graph_answer_step(scan, &scan->lanes[number], record))
		{
			case GRAPH_LANE_RECORD:
				scan->current = number;
				scan->counters.records++;
				scan->stats->records++;
				return GRAPH_LANE_RECORD;
			case GRAPH_LANE_LOST:
				scan->order_lost = true;
				return GRAPH_LANE_MOVED;
			case GRAPH_LANE_MOVED:
				result = GRAPH_LANE_MOVED;
				break;
			case GRAPH_LANE_WAITS:
				break;
		}
	}
	return result;
}

/*
 * goes_on
 *		Is there anything more to be had?  Not where the order that is needed
 *		cannot be.
 */
static bool
goes_on(GraphScan *scan)
{
	return scan->request && !scan->order_lost && fill_lanes(scan);
}

/*
 * next_record
 *		The next record; false at the end.
 */
static bool
next_record(GraphScan *scan, GraphRecord *record)
{
	while (goes_on(scan))
	{
		switch (step_lanes(scan, record))
		{
			case GRAPH_LANE_RECORD:
				return true;
			case GRAPH_LANE_WAITS:
				wait_lanes(scan);
				break;
			default:
				break;
		}
	}
	return false;
}

/*
 * graph_scan_next
 *		The next record; false at the end, and again after it.
 *
 * What a step leaves in memory is gone with the next one: many may pass before
 * there is a row.
 */
bool
graph_scan_next(GraphScan *scan, GraphRecord *record)
{
	MemoryContext old;
	bool		found;

	MemoryContextReset(scan->scratch);
	old = MemoryContextSwitchTo(scan->scratch);
	scan->polled = false;
	found = next_record(scan, record);
	MemoryContextSwitchTo(old);
	return found;
}

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
 * graph_scan_gave_nulls
 *		Were alerts without the time by which the list is in order handed out?
 */
bool
graph_scan_gave_nulls(const GraphScan *scan)
{
	return scan->nulls_found > 0;
}

/*
 * poll_record
 *		The next record, if there is one without waiting.
 */
static GraphScanStep
poll_record(GraphScan *scan, GraphRecord *record)
{
	while (goes_on(scan))
	{
		GraphLaneStep step = step_lanes(scan, record);

		if (step == GRAPH_LANE_RECORD)
			return GRAPH_SCAN_RECORD;
		if (step == GRAPH_LANE_WAITS && !poll_lanes(scan))
			return GRAPH_SCAN_WAITS;
	}
	return GRAPH_SCAN_END;
}

/*
 * graph_scan_poll
 *		The same as graph_scan_next() for somebody who has other things to wait
 *		for, too.
 */
GraphScanStep
graph_scan_poll(GraphScan *scan, GraphRecord *record)
{
	MemoryContext old;
	GraphScanStep step;

	MemoryContextReset(scan->scratch);
	old = MemoryContextSwitchTo(scan->scratch);
	scan->polled = true;
	step = poll_record(scan, record);
	MemoryContextSwitchTo(old);
	return step;
}

/*
 * graph_scan_count
 *		What a request for a count was answered, after the alerts that came with
 *		it were read; -1 if the service did not count, or contradicts itself.
 */
int64
graph_scan_count(const GraphScan *scan)
{
	return scan->counted;
}

/*
 * graph_scan_is_empty
 *		Is nothing asked, because no alert can match?
 */
bool
graph_scan_is_empty(const GraphScan *scan)
{
	return scan->request == NULL;
}

/*
 * graph_scan_counters
 *		What the scan has done so far, for EXPLAIN ANALYZE.
 */
const GraphScanCounters *
graph_scan_counters(GraphScan *scan)
{
	return &scan->counters;
}
