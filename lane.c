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
 * does not count, when that page was not full.  Anything else that looks like
 * an end is looked behind, and reported if nothing is there
 * (graph_report_partial()).
 *
 * Links are not followed for ever: services stop giving them at some depth,
 * or refuse their own.  While a list is seen to be in the order of a time, it
 * can be begun anew at the last time seen, which is done after some thousand
 * records and wherever an end looks too early.
 *
 * What this file refuses to know: which lanes there are, what is in an answer,
 * the planner's nodes, columns and types.
 *
 * IDENTIFICATION
 *		lane.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "graph_fdw.h"

/*
 * A list is begun anew at its last time after so many records.  Ceilings that
 * were documented or reported for this service are 6000 and more.
 */
#define CHAIN_RECORDS	5000

/*
 * A page without a single new alert is followed by the next, since a service
 * may filter after it has cut its pages; but no more than so many of them in a
 * row, or a service whose links never end would be read for ever.  And not
 * more than one in so many milliseconds: it costs nothing to make them up.
 */
#define MAX_BARREN_PAGES	1000
#define BARREN_PAUSE_MS		10

/*
 * Mappings whose service has refused $select, or $count in a list, in this
 * session; oids, in TopMemoryContext.
 */
static List *select_refused = NIL;
static List *count_refused = NIL;

static void reset_chain(GraphLane *lane);
static void start_count(GraphScan *scan, GraphLane *lane,
						GraphLanePurpose purpose);
static void end_of_verification(GraphScan *scan, GraphLane *lane, int64 count);

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
	lane->url = psprintf("%s/%s%s", options->endpoint, options->api_version,
						 path);
	if (purpose == GRAPH_LANE_KEY)
		lane->page = 1;
	lane->attempt = 0;
	lane->token_renewed = lane->stale = false;
	lane->page_records = lane->skip_records = 0;
	lane->page_hash = lane->skip_hash = 0;
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

	lane->with_order = lane->filtered && !scan->order_refused;
	if (lane->filtered)
	{
		request.filter = graph_window_filter(request.filter,
											 scan->time_property,
											 &lane->window);
		request.order_property = scan->order_refused ? NULL :
			(char *) scan->time_property;
		request.descending = scan->descending;
	}
	return graph_request_path(&request, lane->page_size, lane->with_select,
							  lane->with_count, true);
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
	static const GraphWindow all = {DT_NOBEGIN, DT_NOEND, false, false};

	lane->window = window ? *window : all;
	lane->filtered = window != NULL;
	lane->page_size = page_size;
	lane->select_dropped = lane->count_dropped = false;
	lane->with_select = scan->request->select != NULL &&
		!list_member_oid(select_refused, scan->session->umid);
	lane->with_count = scan->session->options.count_pushdown &&
		page_size == scan->request->page_size &&
		!list_member_oid(count_refused, scan->session->umid);
	reset_chain(lane);
	graph_lane_start(scan, lane, GRAPH_LANE_LIST, list_path(scan, lane));
}

/*
 * graph_lane_count
 *		Set a free lane up to ask how many alerts there are.
 */
void
graph_lane_count(GraphScan *scan, GraphLane *lane, bool with_select)
{
	lane->with_select = with_select;
	lane->select_dropped = lane->count_dropped = false;
	lane->page = 1;
	start_count(scan, lane, GRAPH_LANE_COUNT);
}

/*
 * start_count
 *		Set a lane up for a count: of all that is asked for, or, to verify it,
 *		of the lane's list.
 */
static void
start_count(GraphScan *scan, GraphLane *lane, GraphLanePurpose purpose)
{
	GraphRequest request = *scan->request;

	request.mode = GRAPH_SCAN_COUNT;
	request.order_property = NULL;
	if (purpose == GRAPH_LANE_VERIFY && lane->filtered)
		request.filter = graph_window_filter(request.filter,
											 scan->time_property,
											 &lane->window);
	graph_lane_start(scan, lane, purpose,
					 graph_request_path(&request, 1, lane->with_select, true,
										true));
}

/*
 * forget_ids
 *		Empty a lane's memory of ids.
 */
static void
forget_ids(GraphLane *lane)
{
	HTAB	  **tables[] = {&lane->seen, &lane->seen_before, &lane->boundary};

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
	lane->barren_pages = 0;
	lane->asked_again = false;
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
	lane->page = 1;
	lane->sorted = true;
	lane->time_seen = false;
	lane->chain_records = lane->chain_alerts = lane->largest_page = 0;
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
	lane->skip_records = 0;
}

/*
 * ask_otherwise
 *		Set the lane up to ask for the same once more, without what it has just
 *		dropped.
 */
static bool
ask_otherwise(GraphScan *scan, GraphLane *lane)
{
	graph_request_end(scan, lane);
	if (lane->purpose == GRAPH_LANE_LIST)
		graph_lane_start(scan, lane, lane->purpose, list_path(scan, lane));
	else
		start_count(scan, lane, lane->purpose);
	scan->counters.retries++;
	return true;
}

/*
 * drop_select
 *		After 400: set the lane up to ask again without $select, if it had one.
 *
 * That the service refuses it is remembered when it answers without.
 */
static bool
drop_select(GraphScan *scan, GraphLane *lane)
{
	if (!lane->with_select || lane->purpose == GRAPH_LANE_KEY ||
		(lane->purpose == GRAPH_LANE_LIST && lane->page > 1))
		return false;
	lane->with_select = false;
	lane->select_dropped = true;
	return ask_otherwise(scan, lane);
}

/*
 * graph_lane_accepted
 *		The service answers: if it did so without the $select or $count that it
 *		had refused, do not try that again in this session.
 */
void
graph_lane_accepted(GraphScan *scan, GraphLane *lane)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Oid			umid = scan->session->umid;

	scan->refused_since = 0;
	if (lane->select_dropped)
		select_refused = list_append_unique_oid(select_refused, umid);
	if (lane->count_dropped)
		count_refused = list_append_unique_oid(count_refused, umid);
	MemoryContextSwitchTo(old);
}

/*
 * drop_order
 *		After 400: set the lane up to ask for its window again without $orderby,
 *		if the plan does not rely on it.
 *
 * Newest first is what the list is without; whether it is is seen as ever.
 */
static bool
drop_order(GraphScan *scan, GraphLane *lane)
{
	if (lane->purpose != GRAPH_LANE_LIST || !lane->with_order ||
		lane->page > 1 || scan->request->order_property)
		return false;
	scan->order_refused = true;
	lane->select_dropped = false;	/* that was not what it refused */
	return ask_otherwise(scan, lane);
}

/*
 * drop_count
 *		After 400: set the lane up to ask again without the count.
 */
static bool
drop_count(GraphScan *scan, GraphLane *lane)
{
	if (lane->purpose != GRAPH_LANE_LIST || !lane->with_count || lane->page > 1)
		return false;
	lane->with_count = false;
	lane->count_dropped = true;
	lane->select_dropped = false;	/* that was not what it refused */
	return ask_otherwise(scan, lane);
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
 * alerts that graph_order_was_seen() does not know, is noticed at once.
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
		graph_report_document(scan->session, request,
							  "Its nextLink is not an absolute URL.");
	if (strcmp(origin, graph_url_origin(scan->session->options.endpoint)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("refused to follow a nextLink to another origin"),
				 errdetail("The link leads to \"%s\" and the token belongs to \"%s\".",
						   graph_harmless_text(scan->session, origin),
						   scan->session->options.endpoint),
				 errcontext("Microsoft Graph request: %s", request)));
	if (!guard_against_loop(scan, lane, link))
	{
		graph_report_partial(scan->session, request,
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
 * keep_head
 *		The beginning of the list was not asked for in an order: keep its ids,
 *		should something that is later than its end have been missing in it.
 */
static void
keep_head(GraphScan *scan, GraphLane *lane)
{
	if (lane->filtered || scan->request->order_needed || scan->head_ids ||
		lane->seen_before || !scan->descending)
		return;
	scan->head_ids = lane->seen;
	scan->head_bound = lane->last_time + 1;
	lane->seen = NULL;

	/* and the link, should the service not take the window's filter */
	if (lane->next_url == NULL)
		return;
	scan->fallback_url = MemoryContextStrdup(scan->context, lane->next_url);
	scan->fallback_given = scan->given;
	scan->fallback_records = lane->chain_records;
	scan->fallback_alerts = lane->chain_alerts;
}

/*
 * follow_link_instead
 *		After 400 to a window: if no window has given anything, go on with the
 *		list by its link.
 */
static bool
follow_link_instead(GraphScan *scan, GraphLane *lane)
{
	if (scan->fallback_url == NULL || lane->purpose != GRAPH_LANE_LIST ||
		!lane->filtered || lane->window.nulls || lane->window.head ||
		scan->given != scan->fallback_given)
		return false;
	graph_scan_give_up_windows(scan);
	graph_lane_list(scan, lane, NULL, scan->request->page_size);
	pfree(lane->url);
	lane->url = scan->fallback_url;
	lane->page = 2;
	lane->chain_count = scan->count;
	lane->chain_records = scan->fallback_records;
	lane->chain_alerts = scan->fallback_alerts;
	lane->seen = scan->head_ids;
	scan->fallback_url = NULL;
	scan->head_ids = NULL;
	scan->nulls_wanted = false;
	scan->filter_ignored = true;
	return true;
}

/*
 * graph_lane_begin_anew
 *		Ask for the rest of the list by the last time seen instead of by a
 *		link; false if that cannot be done.
 *
 * The list has to be in order so far, and the chain must have moved on in
 * time.  What was given at the last time comes again, and is left out by id.
 */
bool
graph_lane_begin_anew(GraphScan *scan, GraphLane *lane)
{
	GraphWindow window = lane->window;
	HTAB	   *boundary;

	if (lane->purpose != GRAPH_LANE_LIST || scan->time_slot < 0 ||
		!lane->sorted || !lane->time_seen || window.nulls)
		return false;
	if (scan->descending)
		window.upper = lane->last_time + 1;
	else
		window.lower = lane->last_time;
	if (lane->boundary && window.upper == lane->window.upper &&
		window.lower == lane->window.lower)
		return false;

	boundary = graph_order_id_table(scan);
	for (int i = 0; i < lane->nties; i++)
		(void) hash_search(boundary, &lane->ties[i], HASH_ENTER, NULL);
	if (lane->boundary)
		hash_destroy(lane->boundary);
	lane->boundary = boundary;

	keep_head(scan, lane);
	graph_order_turn(lane);
	graph_request_end(scan, lane);
	graph_lane_list(scan, lane, &window, scan->request->page_size);
	scan->nulls_wanted = true;
	return true;
}


/*
 * ask_again
 *		Ask for the same list once more, if it was empty and should not have
 *		been.
 */
static bool
ask_again(GraphScan *scan, GraphLane *lane, int64 count)
{
	GraphWindow window = lane->window;

	if (lane->asked_again || lane->chain_records > 0 || count <= 0)
		return false;
	lane->asked_again = true;
	graph_request_end(scan, lane);
	graph_lane_list(scan, lane, lane->filtered ? &window : NULL,
					lane->page_size);
	return true;
}

/*
 * end_of_verification
 *		What is to be made of a list that may have been cut off, now that it was
 *		counted, or could not be (-1).
 */
static void
end_of_verification(GraphScan *scan, GraphLane *lane, int64 count)
{
	const char *request = graph_request_name(lane);

	lane->purpose = GRAPH_LANE_LIST;
	if ((count < 0 || (uint64) count > lane->chain_alerts) &&
		(graph_lane_begin_anew(scan, lane) || ask_again(scan, lane, count)))
		return;
	if (count >= 0 && (uint64) count > lane->chain_alerts)
	{
		graph_report_partial(scan->session, request,
							 psprintf("The list ended after " UINT64_FORMAT
									  " alerts and the service counts " INT64_FORMAT ".",
									  lane->chain_alerts, count));
		scan->reported = true;
	}
	graph_lane_finish(scan, lane, false);
}

/*
 * verify_count
 *		Have the alerts counted, because the list ended where it may have been
 *		cut off.
 */
static void
verify_count(GraphScan *scan, GraphLane *lane)
{
	if (!scan->session->options.count_pushdown ||
		list_member_oid(count_refused, scan->session->umid))
	{
		end_of_verification(scan, lane, -1);
		return;
	}
	graph_request_end(scan, lane);
	start_count(scan, lane, GRAPH_LANE_VERIFY);
}

/*
 * end_of_count
 *		The answer to a count is complete.
 */
static void
end_of_count(GraphScan *scan, GraphLane *lane)
{
	int64		count = answered_count(lane);

	if (lane->purpose == GRAPH_LANE_VERIFY)
	{
		end_of_verification(scan, lane, count);
		return;
	}
	if (count >= 0 || !scan->recounted)
		scan->count = count;
	graph_lane_finish(scan, lane, false);
}

/*
 * graph_lane_refused
 *		After 400: go on in another way; false if there is none.
 *
 * Where there have been answers, it is known what the service takes, but for
 * the filter and the order of a window.
 */
bool
graph_lane_refused(GraphScan *scan, GraphLane *lane)
{
	bool		known = scan->counters.pages > 0 &&
		(is_optional(lane) || lane->filtered);

	if ((!known && drop_select(scan, lane)) || drop_order(scan, lane) ||
		(!known && drop_count(scan, lane)) ||
		(lane->page > 1 && graph_lane_begin_anew(scan, lane)) ||
		follow_link_instead(scan, lane))
		return true;
	if (lane->purpose == GRAPH_LANE_VERIFY)
		end_of_verification(scan, lane, -1);
	else if (is_optional(lane))
		graph_lane_finish(scan, lane, false);
	else
		return false;
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
 * skips
 *		Does a link name the number of alerts to skip?
 *
 * When alerts leave the list, others take their places, and are skipped.
 */
static bool
skips(const char *link)
{
	const char *names[] = {"?$skip=", "&$skip=", "?%24skip=", "&%24skip="};

	for (size_t i = 0; i < lengthof(names); i++)
	{
		if (strstr(link, names[i]))
			return true;
	}
	return false;
}

/*
 * goes_by_time
 *		Is the rest of the list to be asked for by time, although there is a
 *		link?
 *
 * That costs no more requests, unless the service does not mind the filter.
 */
static bool
goes_by_time(GraphScan *scan, GraphLane *lane, const char *link)
{
	return !scan->filter_ignored &&
		(lane->chain_records >= CHAIN_RECORDS || skips(link));
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
		request->limited || lane->skip_records > 0 ||
		lane->chain_records + lane->page_size >= CHAIN_RECORDS ||
		(lane->page == 1 && !lane->filtered && scan->time_slot >= 0 &&
		 graph_scan_is_long(scan, answered_count(lane))) ||
		!has_free_lane(scan) || known_next(scan, lane) == NULL ||
		(scan->time_slot >= 0 && goes_by_time(scan, lane, lane->next_url)) ||
		!graph_http_has_descriptor() ||
		graph_stats_may_send(scan->stats,
							 scan->session->options.requests_per_minute) != 0)
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
	graph_report_partial(scan->session, graph_request_name(lane),
						 psprintf("%d pages in a row held no alert that was new.",
								  MAX_BARREN_PAGES));
	return true;
}

/*
 * go_on
 *		There is a next page: by its link, or by time.
 */
static void
go_on(GraphScan *scan, GraphLane *lane, const char *link)
{
	if ((lane->page == 1 && graph_scan_split(scan, lane)) ||
		(goes_by_time(scan, lane, link) && graph_lane_begin_anew(scan, lane)))
		return;
	graph_lane_finish(scan, lane, true);
}

/*
 * end_of_list
 *		There is no next page.  If the service has counted more, look for the
 *		rest by time, or count again; if it has not counted this list, although
 *		it does others, or the page is as full as it can be, that is no end to
 *		be sure of.
 */
static void
end_of_list(GraphScan *scan, GraphLane *lane, bool full)
{
	bool		counted = lane->chain_count >= 0;
	bool		doubtful = full || (lane->with_count && scan->count >= 0);

	if (counted ? (uint64) lane->chain_count <= lane->chain_alerts : !doubtful)
		graph_lane_finish(scan, lane, false);
	else if (!counted || !graph_lane_begin_anew(scan, lane))
		verify_count(scan, lane);
}

/*
 * end_of_list_page
 *		A page of the list is complete: go on to the next.
 *
 * After a small first page the list is begun again with whole pages, as a
 * nextLink would go on with small ones; graph_order_was_seen() leaves out what
 * is known.
 */
static void
end_of_list_page(GraphScan *scan, GraphLane *lane)
{
	const char *next = known_next(scan, lane);
	uint64		most = lane->page == 1 ? (uint64) lane->page_size : lane->largest_page;
	bool		full = lane->page_records >= most;

	if (lane->page == 1)
		lane->chain_count = answered_count(lane);
	if (lane->page == 1 && !lane->filtered)
		scan->count = lane->chain_count;
	lane->chain_records += lane->page_records;
	lane->largest_page = Max(lane->largest_page, lane->page_records);
	lane->page_records = 0;

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
		go_on(scan, lane, next);
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
		graph_report_partial(scan->session, graph_request_name(lane),
							 "The answer has status 200 but holds an \"error\".");
	else if (!graph_list_has_value(lane->reader))
		graph_report_partial(scan->session, graph_request_name(lane),
							 "The answer has no array \"value\".");
	if (lane->skip_records > lane->page_records)
		graph_report_partial(scan->session, graph_request_name(lane),
							 "The connection was lost and the page is shorter now.");

	switch (lane->purpose)
	{
		case GRAPH_LANE_COUNT:
		case GRAPH_LANE_VERIFY:
			end_of_count(scan, lane);
			break;
		case GRAPH_LANE_LIST:
		case GRAPH_LANE_KEY:
			end_of_list_page(scan, lane);
			break;
	}
}
