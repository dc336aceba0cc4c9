/*-------------------------------------------------------------------------
 *
 * lane.c
 *		How does one chain of requests go on?
 *
 * A lane asks for one alert, or follows a list from nextLink to nextLink: here
 * is what it asks first, and what next when an answer was read (answer.c) or
 * refused.
 *
 * A short list is never the end in silence.  A list is complete when its last
 * page had no nextLink and the service counts no more than came; or, where it
 * does not count, when that page was not full.  Any other apparent end is
 * verified, and reported if it cannot be (graph_report_short()).
 *
 * A link may be an offset, and then what leaves the list while it is read
 * shifts other alerts to where nobody looks.  So a list that is seen to be in
 * the order of a time is not followed by its links: it is begun anew at the
 * last time seen, and each page is the first of a list of its own, whose count
 * is of the same moment as its records.  Only where that leads no further, as
 * among alerts of one time, or where the order is not seen, links are followed;
 * then a list that turns out short is read again, and what is new is given.
 *
 * What this file refuses to know: what is in an answer, the planner's nodes,
 * columns and types.
 *
 * IDENTIFICATION
 *		src/scan/lane.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/syscache.h"
#include "utils/memutils.h"
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

/*
 * What the service of a user mapping has refused in this session, or that it
 * has answered a request without refusing anything.
 */
typedef struct Refusal
{
	Oid			umid;
	int			parts;			/* GraphRequestPart */
	bool		answers;		/* it did */
} Refusal;

static List *refusals = NIL;	/* Refusal *, in TopMemoryContext */

static void reset_chain(GraphLane *lane);
static void start_count(GraphScan *scan, GraphLane *lane);

/*-------------------------------------------------------------------------
 * What a service does not know
 *-------------------------------------------------------------------------
 */

/*
 * find_refusal
 *		What is known of the scan's service, or NULL.
 */
static Refusal *
find_refusal(const GraphScan *scan)
{
	ListCell   *cell;

	foreach(cell, refusals)
	{
		Refusal    *refusal = lfirst(cell);

		if (refusal->umid == scan->session->umid)
			return refusal;
	}
	return NULL;
}

/*
 * forget_refusals
 *		Syscache callback: a user mapping or a server has changed, and may lead
 *		elsewhere now.  It must not touch the catalogs or throw.
 */
static void
forget_refusals(Datum arg, int cacheid, uint32 hashvalue)
{
	ListCell   *cell;

	foreach(cell, refusals)
	{
		Refusal    *refusal = lfirst(cell);

		refusal->parts = 0;
		refusal->answers = false;
	}
}

/*
 * graph_lane_refuses
 *		Has the service refused this part of a request before?
 */
bool
graph_lane_refuses(const GraphScan *scan, int part)
{
	const Refusal *refusal = find_refusal(scan);

	return refusal && (refusal->parts & part);
}

/*
 * graph_lane_accepted
 *		The service answers: if it did so without what it had refused, do not
 *		try that again in this session.
 */
void
graph_lane_accepted(GraphScan *scan, GraphLane *lane)
{
	Refusal    *refusal = find_refusal(scan);

	if (refusals == NIL)
	{
		CacheRegisterSyscacheCallback(USERMAPPINGOID, forget_refusals, (Datum) 0);
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, forget_refusals, (Datum) 0);
	}
	if (refusal == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		refusal = palloc0(sizeof(Refusal));
		refusal->umid = scan->session->umid;
		refusals = lappend(refusals, refusal);
		MemoryContextSwitchTo(old);
	}
	scan->refused_since = 0;
	scan->accepted |= lane->parts;
	refusal->answers = true;
	refusal->parts |= lane->dropped | scan->dropped;
}

/*-------------------------------------------------------------------------
 * A lane's life
 *-------------------------------------------------------------------------
 */

/*
 * graph_lane_start
 *		Set a free lane up for a path below the service root.
 */
void
graph_lane_start(GraphScan *scan, GraphLane *lane, GraphLanePurpose purpose,
				 const char *path)
{
	const GraphOptions *options = &scan->session->options;
	MemoryContext old = MemoryContextSwitchTo(scan->context);

	graph_request_drop_ahead(scan, lane);
	if (lane->context == NULL)
	{
		lane->context = AllocSetContextCreate(scan->context,
											  "graph_fdw request",
											  ALLOCSET_SMALL_SIZES);
		lane->ahead_context = AllocSetContextCreate(scan->context,
													"graph_fdw next request",
													ALLOCSET_SMALL_SIZES);
	}
	if (lane->label)
		pfree(lane->label);
	if (lane->url)
		pfree(lane->url);
	lane->purpose = purpose;
	lane->label = psprintf("GET %s", path);
	lane->request_id[0] = '\0';
	lane->url = psprintf("%s/%s%s", options->service.endpoint, options->service.api_version,
						 path);
	if (purpose == GRAPH_LANE_KEY)
		lane->page = 1;
	lane->attempt = 0;
	lane->token_renewed = lane->stale = false;
	lane->page_records = 0;
	MemoryContextSwitchTo(old);
}

/*
 * list_path
 *		The path of a lane's list: all that is asked for, or a window of it.
 *
 * A window is asked for in order, so that it can be begun anew.
 */
static char *
list_path(GraphScan *scan, GraphLane *lane)
{
	GraphRequest request = *scan->request;

	if (lane->filtered)
	{
		request.filter = graph_window_filter(request.filter,
											 scan->time_property,
											 &lane->window);
		request.order_property = lane->parts & GRAPH_PART_ORDER ?
			(char *) scan->time_property : NULL;
		request.descending = scan->descending;
	}
	return graph_request_path(&request, lane->page_size,
							  lane->parts & GRAPH_PART_SELECT,
							  lane->parts & GRAPH_PART_COUNT, true);
}

/*
 * graph_lane_list
 *		Set a lane up for the first page of the list, or of a window of it
 *		(NULL: all).
 *
 * The list is counted with it, so that an end that comes too early is known
 * for what it is; but not with a first page that is small, since the count is
 * what may take the service long.
 */
void
graph_lane_list(GraphScan *scan, GraphLane *lane, const GraphWindow *window,
				int page_size)
{
	static const GraphWindow all = {DT_NOBEGIN, DT_NOEND, false, false, false};
	const Refusal *refusal = find_refusal(scan);
	int			parts = 0;

	if (scan->request->select)
		parts |= GRAPH_PART_SELECT;
	if (scan->session->options.pushdown.count &&
		page_size >= scan->request->page_size)
		parts |= GRAPH_PART_COUNT;
	if (window || scan->request->order_property)
		parts |= GRAPH_PART_ORDER;
	lane->parts = parts & ~(refusal ? refusal->parts : 0) & ~scan->dropped;
	lane->dropped = 0;
	lane->window = window ? *window : all;
	lane->filtered = window != NULL;
	lane->asked_lower = lane->window.lower;
	lane->page_size = page_size;
	reset_chain(lane);
	if (lane->retried)
		hash_destroy(lane->retried);
	lane->retried = NULL;
	graph_lane_start(scan, lane, GRAPH_LANE_LIST, list_path(scan, lane));
}

/*
 * graph_lane_count
 *		Set a free lane up to ask how many alerts there are; timed: of those for
 *		which a time can be asked at all.
 */
void
graph_lane_count(GraphScan *scan, GraphLane *lane, bool with_select, bool timed)
{
	lane->parts = with_select ? GRAPH_PART_SELECT : 0;
	lane->dropped = 0;
	lane->page = 1;
	lane->timed = timed;
	scan->counted = -1;
	start_count(scan, lane);
}

/*
 * start_count
 *		Set a lane up for a count of all that is asked for.
 *
 * If the count is the question, some alerts come with it, so that it is seen
 * whether the service minds the filter.
 */
static void
start_count(GraphScan *scan, GraphLane *lane)
{
	GraphRequest request = *scan->request;
	GraphWindow always = {graph_first_time() + 1, DT_NOEND, false, false, false};
	int			alerts = request.mode == GRAPH_SCAN_COUNT ?
		request.first_page : 1;

	request.mode = GRAPH_SCAN_COUNT;
	request.order_property = NULL;
	if (lane->timed)
		request.filter = graph_window_filter(request.filter,
											 scan->time_property, &always);
	graph_lane_start(scan, lane, GRAPH_LANE_COUNT,
					 graph_request_path(&request, alerts,
										lane->parts & GRAPH_PART_SELECT, true,
										true));
}

/*
 * forget_ids
 *		Empty a lane's memory of ids.
 */
static void
forget_ids(GraphLane *lane)
{
	HTAB	  **tables[] = {&lane->boundary, &lane->chain_ids, &lane->retried};

	for (size_t i = 0; i < lengthof(tables); i++)
	{
		if (*tables[i])
			hash_destroy(*tables[i]);
		*tables[i] = NULL;
	}
}

/*
 * graph_lane_stop
 *		End the request under way; the lane is free.
 */
void
graph_lane_stop(GraphScan *scan, GraphLane *lane)
{
	graph_request_end(scan, lane);
	graph_request_drop_ahead(scan, lane);
	if (lane->url)
		pfree(lane->url);
	lane->url = NULL;
	lane->not_before = 0;
	lane->barren_pages = lane->rereads = 0;
	lane->window_pages = 0;
	forget_ids(lane);
	reset_chain(lane);
}

/*
 * reset_chain
 *		A chain begins.
 */
static void
reset_chain(GraphLane *lane)
{
	if (lane->checkpoint)
		pfree(lane->checkpoint);
	lane->checkpoint = NULL;
	lane->checkpoint_until = lane->guarded_page = 0;
	memset(lane->recent_links, 0, sizeof(lane->recent_links));
	if (lane->chain_ids)
		hash_destroy(lane->chain_ids);
	lane->chain_ids = NULL;
	lane->chain_print = 0;
	lane->page = 1;
	lane->sorted = true;
	lane->timeless = lane->time_seen = lane->order_known = false;
	lane->chain_records = lane->chain_nameless = lane->largest_page = 0;
	lane->chain_deferred = 0;
	lane->pass_given = 0;
	lane->chain_count = -1;
	lane->nties = 0;
}

/*
 * graph_lane_finish
 *		This request has given all.  The lane goes on with the next page if
 *		follow is set and there is one; otherwise this is its end.
 */
void
graph_lane_finish(GraphScan *scan, GraphLane *lane, bool follow)
{
	char	   *next = follow ? lane->next_url : NULL;

	graph_request_end(scan, lane);
	pfree(lane->url);
	lane->url = next;
	if (next == NULL)
		graph_request_drop_ahead(scan, lane);
	lane->next_url = NULL;
	lane->next_known = false;
	lane->page++;
	lane->attempt = 0;
	lane->token_renewed = lane->stale = false;
}

/*
 * keep_retried
 *		The page of these ids comes again: none of them is new.
 */
static void
keep_retried(GraphLane *lane, HTAB *ids)
{
	HASH_SEQ_STATUS status;
	GraphSeenId *id;

	if (ids == NULL || lane->retried == NULL)
	{
		if (ids)
			lane->retried = ids;
		return;
	}
	hash_seq_init(&status, ids);
	while ((id = hash_seq_search(&status)) != NULL)
		(void) hash_search(lane->retried, id, HASH_ENTER, NULL);
	hash_destroy(ids);
}

/*
 * graph_lane_again
 *		Set the lane up to send its request again, after it broke.
 *
 * A window goes on by time from where it broke, if it is in order so far; so
 * does a list of which a link was followed, as that may be an offset, and lead
 * to other alerts by now.  Otherwise the same page comes again, and what it has
 * held before is known by the ids, which are kept for that: other lanes may
 * have given too many meanwhile for the scan to know them all.
 */
void
graph_lane_again(GraphScan *scan, GraphLane *lane)
{
	int			attempt = lane->attempt;
	GraphTime	not_before = lane->not_before;

	scan->order_restarted = true;
	if ((lane->page > 1 || (lane->filtered && lane->page_given > 0)) &&
		graph_lane_begin_anew(scan, lane))
	{
		lane->attempt = attempt;
		lane->not_before = not_before;
		return;
	}
	graph_request_end(scan, lane);
	graph_request_drop_ahead(scan, lane);
	if (lane->page == 1)
	{
		HTAB	   *ids = lane->chain_ids;

		lane->chain_ids = NULL;
		reset_chain(lane);
		keep_retried(lane, ids);
	}
	lane->order_known = false;
}

/*
 * ask_without
 *		After 400: set the lane up to ask for the same once more without a part
 *		of it, if it had that.
 *
 * That the service refuses it is remembered when it answers without.
 */
static bool
ask_without(GraphScan *scan, GraphLane *lane, int part)
{
	if (!(lane->parts & part) || lane->page > 1 ||
		lane->purpose == GRAPH_LANE_KEY || lane->purpose == GRAPH_LANE_PROBE)
		return false;
	lane->parts &= ~part;
	lane->dropped = part;		/* what was dropped before was not the reason */
	graph_request_end(scan, lane);
	if (lane->purpose == GRAPH_LANE_LIST)
		graph_lane_start(scan, lane, lane->purpose, list_path(scan, lane));
	else
		start_count(scan, lane);
	scan->counters.retries++;
	return true;
}

/*
 * drop_order
 *		After 400: do without $orderby.
 *
 * For a window the list's own order may do: it is newest first without, and
 * whether it is is seen as ever.  Where the plan relies on an order the scan
 * ends, and the caller sorts.
 */
static bool
drop_order(GraphScan *scan, GraphLane *lane)
{
	if (lane->purpose != GRAPH_LANE_LIST || lane->page > 1 ||
		!(lane->parts & GRAPH_PART_ORDER))
		return false;
	if (scan->request->order_needed)
	{
		if (scan->order_started)
			return false;
		scan->dropped |= GRAPH_PART_ORDER;
		scan->order_lost = true;
		return true;
	}
	scan->dropped |= GRAPH_PART_ORDER;
	return ask_without(scan, lane, GRAPH_PART_ORDER);
}

/*
 * is_optional
 *		Can the scan do without an answer to this request, should the service
 *		not know what is asked?
 *
 * A count is a help, and where there is no null time there is none to ask for.
 */
static bool
is_optional(const GraphLane *lane)
{
	return lane->purpose == GRAPH_LANE_COUNT ||
		(lane->purpose == GRAPH_LANE_LIST && lane->window.nulls);
}

/*
 * graph_lane_end_refused_key
 *		After 400 to a lookup: there is no such alert, as the service takes no
 *		such id.
 *
 * That is so where it has answered before.  Otherwise it is asked for something
 * that it must know; should it refuse that, too, there is something wrong with
 * it, or with the endpoint.
 */
void
graph_lane_end_refused_key(GraphScan *scan, GraphLane *lane)
{
	const Refusal *refusal = find_refusal(scan);
	GraphRequest request = *scan->request;

	if (refusal && refusal->answers)
	{
		graph_lane_finish(scan, lane, false);
		return;
	}
	graph_request_end(scan, lane);
	request.mode = GRAPH_SCAN_LIST;
	request.filter = request.order_property = NULL;
	request.select = NULL;
	lane->key = NULL;
	lane->parts = lane->dropped = 0;
	graph_lane_start(scan, lane, GRAPH_LANE_PROBE,
					 graph_request_path(&request, 1, false, false, true));
}

/*-------------------------------------------------------------------------
 * Pages
 *-------------------------------------------------------------------------
 */

/*
 * guard_against_loop
 *		Was this link not followed before?
 *
 * A cycle of any length is found with one link remembered: it is renewed
 * after 1, 2, 4, ... pages (Brent's algorithm), so a cycle is run through a
 * few times at most before it is noticed.  A short one, which would repeat
 * alerts that graph_order_was_given() does not know, is noticed at once.
 */
static bool
guard_against_loop(GraphScan *scan, GraphLane *lane, const char *link)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) link,
										   strlen(link), 0);

	if (lane->guarded_page == lane->page)
		return true;			/* the page had to be asked for again */
	lane->guarded_page = lane->page;
	if (lane->page == 1)
		lane->recent_links[0] =
			hash_bytes_extended((const unsigned char *) lane->url,
								strlen(lane->url), 0);
	if (strcmp(link, lane->url) == 0 ||
		(lane->checkpoint && strcmp(link, lane->checkpoint) == 0))
		return false;
	for (int i = 0; i < GRAPH_RECENT_LINKS; i++)
	{
		if (lane->recent_links[i] == hash)
			return false;
	}
	lane->recent_links[lane->page % GRAPH_RECENT_LINKS] = hash;
	if (lane->page > lane->checkpoint_until)
	{
		if (lane->checkpoint)
			pfree(lane->checkpoint);
		lane->checkpoint = MemoryContextStrdup(scan->context, link);
		lane->checkpoint_until = lane->page * 2;
	}
	return true;
}

/*
 * next_page
 *		The URL of the next page, or NULL if this was the last.
 *
 * The link is followed as it is (it is opaque), or from where the request went
 * if it is relative, but only to the origin that the token belongs to.
 */
static char *
next_page(GraphScan *scan, GraphLane *lane)
{
	GraphSlice	slice = graph_list_next_link(lane->reader);
	const char *request = graph_request_name(lane);
	char	   *link;
	char	   *origin;

	if (slice.data == NULL || graph_slice_is_null(slice))
		return NULL;
	link = graph_decode_string(slice);
	link = link ? graph_url_resolve(lane->url, link) : NULL;
	origin = link ? graph_url_origin(link) : NULL;
	if (origin == NULL)
		graph_report_document(&scan->session->peer, request,
							  "Its nextLink is not an absolute URL.");
	if (strcmp(origin, graph_url_origin(scan->session->options.service.endpoint)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("refused to follow a nextLink to another origin"),
				 errdetail("The link leads to \"%s\" and the token belongs to \"%s\".",
						   graph_sanitize_remote_text(&scan->session->peer, origin),
						   scan->session->options.service.endpoint),
				 errcontext("Microsoft Graph request: %s", request)));
	if (!guard_against_loop(scan, lane, link))
	{
		graph_report_partial(&scan->session->peer, request,
							 "Its nextLink leads to a page that was read before.");
		return NULL;
	}
	return link;
}

/*
 * answered_count
 *		What the service counted, or -1 if it did not.
 */
static int64
answered_count(GraphLane *lane)
{
	GraphSlice	count = graph_list_count(lane->reader);

	if (count.data == NULL || count.len == 0 || count.len >= 19 ||
		strspn(count.data, "0123456789") < count.len)
		return -1;
	return strtoi64(pnstrdup(count.data, count.len), NULL, 10);
}

/*
 * is_bounded
 *		Is it a part of the list that the lane asks for?
 */
static bool
is_bounded(const GraphLane *lane)
{
	return lane->window.nulls || !TIMESTAMP_IS_NOBEGIN(lane->window.lower) ||
		!TIMESTAMP_IS_NOEND(lane->window.upper);
}

/*
 * graph_lane_note_count
 *		As soon as it is known, keep what the service has counted; it says so of
 *		the whole chain.
 */
void
graph_lane_note_count(GraphScan *scan, GraphLane *lane)
{
	if (lane->purpose != GRAPH_LANE_LIST || lane->page > 1 ||
		lane->chain_count >= 0)
		return;
	lane->chain_count = answered_count(lane);
	if (!is_bounded(lane))
		scan->count = lane->chain_count;
}

/*
 * keep_head
 *		The list goes on by time after its beginning: keep the ids of that,
 *		should something that is later than its end have been missing in it, and
 *		the link, should the service not take a window's filter.
 */
static void
keep_head(GraphScan *scan, GraphLane *lane)
{
	if (lane->filtered || scan->head_ids)
		return;
	scan->head_ids = lane->chain_ids;
	scan->head_bound = lane->last_time + 1;
	scan->head_first = lane->first_time;
	lane->chain_ids = NULL;
	if (!lane->next_known || lane->next_url == NULL)
		return;
	scan->fallback_url = MemoryContextStrdup(scan->context, lane->next_url);
	scan->fallback_found = scan->found;
}

/*
 * graph_lane_follow_links
 *		If no window has given anything, go on with the list by the link of its
 *		beginning, and not by time any more.
 */
bool
graph_lane_follow_links(GraphScan *scan, GraphLane *lane)
{
	int64		count = scan->count;

	if (scan->fallback_url == NULL || scan->found != scan->fallback_found)
		return false;
	graph_scan_give_up_windows(scan);
	graph_lane_list(scan, lane, NULL, scan->request->page_size);
	pfree(lane->url);
	lane->url = scan->fallback_url;
	lane->page = 2;
	lane->chain_count = count;
	lane->chain_ids = scan->head_ids;
	scan->fallback_url = NULL;
	scan->head_ids = NULL;
	scan->nulls_wanted = false;
	scan->filter_ignored = true;
	return true;
}

/*
 * follow_link_instead
 *		After 400 to a window: the same, and remember it.
 */
static bool
follow_link_instead(GraphScan *scan, GraphLane *lane)
{
	int			dropped = lane->dropped;

	if (lane->purpose != GRAPH_LANE_LIST || !is_bounded(lane) ||
		lane->window.nulls || lane->window.head ||
		!graph_lane_follow_links(scan, lane))
		return false;
	/* what was dropped before was not the reason */
	scan->dropped = (scan->dropped & ~dropped) | GRAPH_PART_WINDOW;
	return true;
}

/*
 * close_chain
 *		The lane's chain ends here, be it that it goes on by time: note what it
 *		has held of what the service has counted.
 */
static void
close_chain(GraphScan *scan, GraphLane *lane)
{
	graph_lane_note_count(scan, lane);
	if (!is_bounded(lane))
		scan->found = graph_order_chain_alerts(lane) - lane->chain_deferred;
}

/*
 * read_one_time
 *		More alerts have one time than a page holds, so that the list does not
 *		go on by time.  Read those by their links, as a list of their own that
 *		is held against its own count, and leave what comes after them for later.
 */
static bool
read_one_time(GraphScan *scan, GraphLane *lane)
{
	int			page_size = Min(scan->request->page_size + lane->nties,
								GRAPH_LARGEST_PAGE);
	GraphWindow window = lane->window;
	TimestampTz time = lane->last_time;

	if (lane->first_time != time || scan->time_slot < 0 ||
		!(lane->parts & GRAPH_PART_COUNT))
		return false;
	if (scan->descending)
		graph_scan_add_window(scan, window.lower, time, false);
	else
		graph_scan_add_window(scan, time + 1, window.upper, false);
	window.lower = time;
	window.upper = time + 1;
	window.linked = true;
	graph_request_end(scan, lane);
	lane->rereads = 0;
	graph_lane_list(scan, lane, &window, page_size);
	return true;
}

/*
 * graph_lane_begin_anew
 *		Ask for the rest of the list by the last time seen instead of by a
 *		link; false if that cannot be done.
 *
 * The list has to be in order so far, and the chain must have moved on in
 * time.  What was given at the last time comes again, and is left out by id; so
 * that a page holds as many new alerts as ever, it is that much larger.
 */
bool
graph_lane_begin_anew(GraphScan *scan, GraphLane *lane)
{
	int			page_size = Min(scan->request->page_size + lane->nties,
								GRAPH_LARGEST_PAGE);
	GraphWindow window = lane->window;
	HTAB	   *boundary;

	if (lane->purpose != GRAPH_LANE_LIST || scan->time_slot < 0 ||
		!lane->sorted || !lane->time_seen || window.nulls || window.linked ||
		scan->filter_ignored || graph_lane_refuses(scan, GRAPH_PART_WINDOW))
		return false;
	if (scan->descending)
		window.upper = lane->last_time + 1;
	else
		window.lower = lane->last_time;
	if (lane->boundary && window.upper == lane->window.upper &&
		window.lower == lane->window.lower)
		return read_one_time(scan, lane);

	boundary = graph_order_id_table(scan);
	for (int i = 0; i < lane->nties; i++)
		(void) hash_search(boundary, &lane->ties[i], HASH_ENTER, NULL);
	if (lane->boundary)
		hash_destroy(lane->boundary);
	lane->boundary = boundary;

	close_chain(scan, lane);
	keep_head(scan, lane);
	graph_request_end(scan, lane);
	lane->rereads = 0;
	scan->small_page = false;
	graph_lane_list(scan, lane, &window, page_size);
	scan->nulls_wanted = true;
	return true;
}

/*
 * ask_in_order
 *		A list that is longer than its first page, and does not come newest
 *		first by itself: ask for it again, in that order.
 */
static bool
ask_in_order(GraphScan *scan, GraphLane *lane)
{
	static const GraphWindow all = {DT_NOBEGIN, DT_NOEND, false, false, false};

	if (lane->filtered || lane->sorted || lane->timeless ||
		scan->time_slot < 0 || scan->order_tried ||
		scan->request->order_needed || scan->filter_ignored ||
		graph_lane_refuses(scan, GRAPH_PART_ORDER | GRAPH_PART_WINDOW))
		return false;
	scan->order_tried = true;
	scan->head_taken = true;	/* it is asked for in order, too */
	scan->early_ids = lane->chain_ids;
	lane->chain_ids = NULL;
	graph_request_end(scan, lane);
	graph_lane_list(scan, lane, &all, scan->request->page_size);
	return true;
}

/*
 * read_again
 *		A chain was shorter than the service has counted, and does not go on by
 *		time: read it once more, for what its links may have left out.
 *
 * Not if the service says the same as the last time, and has the same: then it
 * contradicts itself.  Where alerts come and go all the time, nothing new in
 * two readings is taken for the end.
 */
static bool
read_again(GraphScan *scan, GraphLane *lane, bool *complete)
{
	GraphWindow window = lane->window;
	int64		count = answered_count(lane);
	uint64		given = lane->pass_given;
	bool		moves = lane->chain_count != lane->last_count ||
		(count >= 0 && count != lane->chain_count) ||
		lane->chain_print != lane->last_print;
	int			rereads = lane->rereads + 1;

	*complete = moves && lane->rereads >= (given == 0 ? 2 : MAX_REREADS);
	if (*complete || scan->ids_forgotten || rereads > MAX_REREADS ||
		(lane->rereads > 0 && !moves))
		return false;
	lane->last_count = lane->chain_count;
	lane->last_print = lane->chain_print;
	scan->order_restarted = true;
	graph_request_end(scan, lane);
	graph_lane_list(scan, lane, lane->filtered ? &window : NULL,
					lane->page_size);
	lane->rereads = rereads;
	return true;
}

/*
 * end_of_short_chain
 *		The service has counted more than the chain has held.
 */
static void
end_of_short_chain(GraphScan *scan, GraphLane *lane)
{
	bool		complete;

	if (graph_lane_begin_anew(scan, lane) ||
		read_again(scan, lane, &complete))
		return;
	if (!complete)
		graph_report_short(&scan->session->peer, graph_request_name(lane),
						   psprintf("The list ended after " UINT64_FORMAT
									" alerts and the service counts " INT64_FORMAT ".",
									graph_order_chain_alerts(lane),
									lane->chain_count));
	graph_lane_finish(scan, lane, false);
}

/*
 * end_of_count
 *		The answer to a count is complete.
 *
 * It is believed only if it does not contradict itself: more records than it
 * counts, none although it counts some, or a link to more than it counts.
 */
static void
end_of_count(GraphScan *scan, GraphLane *lane)
{
	int64		count = answered_count(lane);
	int64		records = (int64) lane->page_records;
	GraphSlice	link = graph_list_next_link(lane->reader);
	bool		more = link.data && !graph_slice_is_null(link);

	if (count < records || (records == 0 && count > 0) ||
		(more && count == records))
		count = -1;
	scan->counted = count;
	graph_lane_finish(scan, lane, false);
}

/*
 * graph_lane_refused
 *		After 400: go on in another way; false if there is none.
 *
 * What it has answered before in this scan is not what it refuses.
 */
bool
graph_lane_refused(GraphScan *scan, GraphLane *lane)
{
	int			accepted = scan->accepted;

	if ((!(accepted & GRAPH_PART_SELECT) &&
		 ask_without(scan, lane, GRAPH_PART_SELECT)) ||
		(!(accepted & GRAPH_PART_COUNT) && (accepted & GRAPH_PART_ORDER) &&
		 ask_without(scan, lane, GRAPH_PART_COUNT)) ||
		drop_order(scan, lane) ||
		(!(accepted & GRAPH_PART_COUNT) &&
		 ask_without(scan, lane, GRAPH_PART_COUNT)) ||
		(lane->page > 1 && graph_lane_begin_anew(scan, lane)) ||
		follow_link_instead(scan, lane))
		return true;
	if (!is_optional(lane))
		return false;
	scan->doubtful = true;
	graph_lane_finish(scan, lane, false);
	return true;
}

/*
 * known_next
 *		The URL of the next page, as soon as the answer has said it; NULL if
 *		there is none.
 */
static const char *
known_next(GraphScan *scan, GraphLane *lane)
{
	if (!lane->next_known)
	{
		char	   *next = next_page(scan, lane);

		lane->next_url = next ? MemoryContextStrdup(scan->context, next) : NULL;
		lane->next_known = true;
	}
	return lane->next_url;
}

/*
 * has_free_lane
 *		Is one more request allowed at once?
 */
static bool
has_free_lane(GraphScan *scan)
{
	int			requests = 0;

	for (int i = 0; i < scan->nlanes; i++)
	{
		requests += scan->lanes[i].url != NULL;
		requests += scan->lanes[i].ahead != NULL;
	}
	return requests < scan->nlanes;
}

/*
 * goes_by_time
 *		Is the rest of the lane's list asked for by time, if it stays in order?
 */
static bool
goes_by_time(GraphScan *scan, GraphLane *lane)
{
	return scan->time_slot >= 0 && lane->sorted && !lane->window.nulls &&
		!lane->window.linked &&
		!scan->filter_ignored && !graph_lane_refuses(scan, GRAPH_PART_WINDOW);
}

/*
 * graph_lane_look_ahead
 *		Where the answer names the next page before its records, ask for that
 *		page while these are read.
 *
 * Not with LIMIT, when it may not be wanted, not where the rest of the list is
 * to be asked for by time, and not with the last descriptors.
 */
void
graph_lane_look_ahead(GraphScan *scan, GraphLane *lane)
{
	const GraphRequest *request = scan->request;

	if (lane->ahead || lane->purpose != GRAPH_LANE_LIST ||
		graph_list_next_link(lane->reader).data == NULL ||
		request->limited || goes_by_time(scan, lane) ||
		!has_free_lane(scan) || known_next(scan, lane) == NULL ||
		!graph_http_has_descriptor() ||
		graph_stats_may_send(scan->stats,
							 scan->session->options.limits.requests_per_minute) != 0)
		return;
	lane->ahead = graph_request_send(scan, lane, lane->next_url,
									 lane->ahead_context);
	lane->ahead_bearer_number = scan->session->bearer_number;
}

/*
 * is_barren
 *		Note whether a page held anything new, and tell whether there were too
 *		many that did not.  The next page after one of these waits a little.
 */
static bool
is_barren(GraphScan *scan, GraphLane *lane)
{
	if (lane->page_given > 0)
	{
		lane->barren_pages = 0;
		return false;
	}
	lane->not_before = Max(lane->not_before, graph_after(BARREN_PAUSE_MS));
	if (++lane->barren_pages < MAX_BARREN_PAGES)
		return false;
	graph_report_partial(&scan->session->peer, graph_request_name(lane),
						 psprintf("%d pages in a row held no alert that was new.",
								  MAX_BARREN_PAGES));
	return true;
}

/*
 * shows_order
 *		Is the beginning of the list in order for all that is known?  One time
 *		shows no order, and nothing else will tell where alerts are not counted.
 */
static bool
shows_order(const GraphScan *scan, const GraphLane *lane)
{
	return is_bounded(lane) || scan->count >= 0 ||
		scan->request->order_needed || lane->first_time != lane->last_time;
}

/*
 * go_on
 *		There is a next page: by time, or by its link.
 */
static void
go_on(GraphScan *scan, GraphLane *lane)
{
	if ((!lane->filtered && lane->page == 1 && graph_scan_split(scan, lane)) ||
		(shows_order(scan, lane) && graph_lane_begin_anew(scan, lane)) ||
		ask_in_order(scan, lane))
		return;
	graph_lane_finish(scan, lane, true);
}

/*
 * end_of_list
 *		There is no next page.  If the service has counted more, look for the
 *		rest; if it has not counted this list, although it does others, or the
 *		page is as full as it can be, that is no end to be sure of.
 */
static void
end_of_list(GraphScan *scan, GraphLane *lane, bool full)
{
	bool		counted = lane->chain_count >= 0;
	bool		doubtful = full ||
		((lane->parts & GRAPH_PART_COUNT) && scan->count >= 0);

	if (counted && (uint64) lane->chain_count > graph_order_chain_alerts(lane))
	{
		end_of_short_chain(scan, lane);
		return;
	}
	if (!counted && doubtful)
	{
		if (graph_lane_begin_anew(scan, lane))
			return;
		scan->doubtful = true;
	}
	graph_lane_finish(scan, lane, false);
}

/*
 * end_of_list_page
 *		A page of the list is complete: go on to the next.
 *
 * After a small first page the list is begun again with whole pages, as a
 * nextLink would go on with small ones; graph_order_was_given() leaves out what
 * is known.
 */
static void
end_of_list_page(GraphScan *scan, GraphLane *lane)
{
	const char *next = known_next(scan, lane);
	uint64		most = lane->page == 1 ? (uint64) lane->page_size : lane->largest_page;
	bool		full = lane->page_records >= most;

	lane->chain_records += lane->page_records;
	lane->largest_page = Max(lane->largest_page, lane->page_records);
	lane->page_records = 0;
	lane->window_pages++;
	close_chain(scan, lane);

	if (next && is_barren(scan, lane))
		graph_lane_finish(scan, lane, false);
	else if (scan->small_page && (next || full))
	{
		scan->small_page = false;
		scan->order_restarted = true;
		graph_request_end(scan, lane);
		graph_lane_list(scan, lane, NULL, scan->request->page_size);
	}
	else if (next)
		go_on(scan, lane);
	else
		end_of_list(scan, lane, full);
}

/*
 * graph_lane_end_page
 *		The document of this page is complete: check it and move on.
 */
void
graph_lane_end_page(GraphScan *scan, GraphLane *lane)
{
	if (graph_list_has_error(lane->reader))
		graph_report_partial(&scan->session->peer, graph_request_name(lane),
							 "The answer has status 200 but holds an \"error\".");
	else if (!graph_list_has_value(lane->reader))
		graph_report_partial(&scan->session->peer, graph_request_name(lane),
							 "The answer has no array \"value\".");

	switch (lane->purpose)
	{
		case GRAPH_LANE_COUNT:
			end_of_count(scan, lane);
			break;
		case GRAPH_LANE_LIST:
			end_of_list_page(scan, lane);
			break;
		case GRAPH_LANE_KEY:
		case GRAPH_LANE_PROBE:
			graph_lane_finish(scan, lane, false);
			break;
	}
}
