/*-------------------------------------------------------------------------
 *
 * lane.c
 *		How does one chain of requests go on?
 *
 * A lane asks for one alert, or follows a list from nextLink to nextLink, and
 * hands out records while the bytes of an answer are still arriving: what is
 * kept is the record at hand and the transfer's window, never a page.
 *
 * A short answer is never the end in silence.  A list is complete when its
 * last page was well-formed, arrived whole, and had no nextLink; anything
 * else that looks like an end is reported (graph_report_partial()).  A page
 * that breaks after some of its records were handed out is fetched again, and
 * goes on after them if they are still the same.  A record that comes twice
 * because the list moved under us is given once.
 *
 * Links are not followed for ever: services stop giving them at some depth,
 * or refuse their own.  While a list is seen to be in the order of a time, it
 * can be begun anew at the last time seen, which is done after some thousand
 * records and wherever an end looks too early.
 *
 * What this file refuses to know: which lanes there are, the planner's nodes,
 * the syntax of JSON, columns and types.
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
 * Mappings whose service has refused $select in this session; oids, in
 * TopMemoryContext.
 */
static List *select_refused = NIL;

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
	lane->attempt = 0;
	lane->token_renewed = false;
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
							  true);
}

/*
 * graph_lane_list
 *		Set a lane up for the first page of the list, or of a window of it
 *		(NULL: all).
 */
void
graph_lane_list(GraphScan *scan, GraphLane *lane, const GraphWindow *window,
				int page_size)
{
	static const GraphWindow all = {DT_NOBEGIN, DT_NOEND, false};

	lane->window = window ? *window : all;
	lane->filtered = window != NULL;
	lane->page_size = page_size;
	lane->select_dropped = false;
	lane->with_select = scan->request->select != NULL &&
		!list_member_oid(select_refused, scan->session->umid);
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
	lane->select_dropped = false;
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
					 graph_request_path(&request, 1, lane->with_select, true));
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
	lane->chain_records = lane->largest_page = 0;
	lane->nties = 0;
}

/*-------------------------------------------------------------------------
 * The header of an answer
 *-------------------------------------------------------------------------
 */

/*
 * finish
 *		This request has given all.  The lane goes on with the next page if
 *		follow is set and there is one; otherwise this is its end.
 */
static void
finish(GraphScan *scan, GraphLane *lane, bool follow)
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
	lane->token_renewed = false;
	lane->skip_records = 0;
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
	bool		is_list = lane->purpose == GRAPH_LANE_LIST;

	if (!lane->with_select || lane->purpose == GRAPH_LANE_KEY ||
		(is_list && lane->page > 1))
		return false;
	graph_request_end(scan, lane);
	lane->with_select = false;
	lane->select_dropped = true;
	if (is_list)
		graph_lane_start(scan, lane, lane->purpose, list_path(scan, lane));
	else
		start_count(scan, lane, lane->purpose);
	scan->counters.retries++;
	return true;
}

/*
 * note_select
 *		The service answers: if it did so without the $select that it had
 *		refused, do not try that again in this session.
 */
static void
note_select(GraphScan *scan, GraphLane *lane)
{
	MemoryContext old;

	if (!lane->select_dropped || list_member_oid(select_refused, scan->session->umid))
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	select_refused = lappend_oid(select_refused, scan->session->umid);
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
	graph_request_end(scan, lane);
	graph_lane_start(scan, lane, lane->purpose, list_path(scan, lane));
	scan->counters.retries++;
	return true;
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
 * check_status
 *		Decide by the status of the answer whether its body is read.
 *
 * True: it is.  False: the lane was set up for another attempt, or there is
 * nothing.  Everything else is an error.
 */
static bool
check_status(GraphScan *scan, GraphLane *lane)
{
	const GraphHttpHeader *header = graph_http_header(lane->transfer);
	const char *why = "";
	GraphSlice	body;

	if (header->status == 206 || header->warning[0])
		graph_report_partial(scan->session, graph_request_name(lane),
							 psprintf("Status %d.%s%s", header->status,
									  header->warning[0] ? "  Warning: " : "",
									  graph_harmless_text(scan->session, header->warning)));
	if (header->status == 200 || header->status == 206)
	{
		note_select(scan, lane);
		scan->counters.pages++;
		return true;
	}
	if ((header->status == 401 && graph_request_renew_token(scan, lane)) ||
		(header->status == 400 && drop_select(scan, lane)) ||
		(header->status == 400 && drop_order(scan, lane)) ||
		(header->status == 400 && lane->page > 1 && graph_lane_begin_anew(scan, lane)))
		return false;
	if (header->status == 400 && lane->purpose == GRAPH_LANE_VERIFY)
	{
		end_of_verification(scan, lane, -1);
		return false;
	}
	if (header->status == 400 && is_optional(lane))
	{
		finish(scan, lane, false);
		return false;
	}

	if (header->status == 429)
		scan->stats->throttled++;
	body = graph_request_error_body(lane);
	if (header->status == 404 && lane->purpose == GRAPH_LANE_KEY &&
		strncmp(header->content_type, "text/html", 9) != 0)
	{
		finish(scan, lane, false);	/* no such alert: zero rows */
		return false;
	}
	if (graph_status_is_retriable(header->status))
	{
		why = graph_request_again(scan, lane, header->retry_after);
		if (why == NULL)
			return false;
	}
	graph_session_hide_link(scan->session, lane->url);
	graph_report_status(scan->session, graph_request_name(lane), header,
						body.data, body.len, why[0] ? why : NULL);
}

/*
 * read_header
 *		Act on the header of the answer, which is there; true if the body is
 *		to be read.
 */
static bool
read_header(GraphScan *scan, GraphLane *lane)
{
	if (graph_http_unread(lane->transfer).len == 0)
	{
		const char *text;
		GraphTransport transport = graph_http_result(lane->transfer, &text);

		if (transport != GRAPH_TRANSPORT_OK)
		{
			graph_request_broken(scan, lane, transport, text);
			return false;
		}
	}
	lane->header_seen = check_status(scan, lane);
	return lane->header_seen;
}

/*-------------------------------------------------------------------------
 * Records
 *-------------------------------------------------------------------------
 */

/*
 * report_too_large
 *		Raise the error for a record over max_record_size.
 */
static void
report_too_large(GraphScan *scan, GraphLane *lane)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("an alert of server \"%s\" is larger than %d bytes",
					scan->session->server_name,
					scan->session->options.max_record_size),
			 errhint("The server's option \"max_record_size\" sets this limit."),
			 errcontext("Microsoft Graph request: %s", graph_request_name(lane))));
}

/*
 * report_malformed
 *		Raise the error for an answer that is not the JSON that it should be.
 */
static void
report_malformed(GraphScan *scan, GraphLane *lane, const GraphJsonError *error)
{
	const GraphHttpHeader *header = graph_http_header(lane->transfer);
	const char *type = header->content_type;

	if (type[0] && strstr(type, "json") == NULL)
		graph_report_document(scan->session, graph_request_name(lane),
							  psprintf("The answer is of type \"%s\" and not JSON.",
									   graph_harmless_text(scan->session, type)));
	graph_report_document(scan->session, graph_request_name(lane),
						  psprintf("The JSON text is malformed: %s.",
								   error->problem));
}

/*
 * check_id
 *		A record without an id is no alert; true if this is one.
 */
static bool
check_id(GraphScan *scan, GraphLane *lane)
{
	if (graph_slice_is_string(scan->slots[scan->id_slot]))
		return true;
	graph_report_partial(scan->session, graph_request_name(lane),
						 "An alert has no \"id\".");
	return false;
}

/*
 * check_key
 *		Is the record the one that was looked up?
 *
 * The condition would leave another one out, and its absence unexplained.  The
 * service may fold the case of an id; whether that is a match is for the
 * condition to say.
 */
static bool
check_key(GraphScan *scan, GraphLane *lane)
{
	char	   *id = graph_decode_string(scan->slots[scan->id_slot]);

	if (pg_strcasecmp(id, lane->key) == 0)
		return true;
	graph_report_partial(scan->session, graph_request_name(lane),
						 psprintf("The answer is another alert, \"%s\".",
								  graph_harmless_text(scan->session, id)));
	return false;
}

/*
 * give
 *		Fill in the record that is handed out.
 */
static GraphLaneStep
give(GraphScan *scan, GraphRecord *record, GraphSlice whole)
{
	record->whole = whole;
	record->slots = scan->slots;
	record->id = scan->slots[scan->id_slot];
	scan->given++;
	return GRAPH_LANE_RECORD;
}

/*
 * read_document
 *		The record of an answer that is one alert.
 *
 * The next step drops it and finds the end of the lane.
 */
static GraphLaneStep
read_document(GraphScan *scan, GraphLane *lane, GraphRecord *record)
{
	size_t		limit = scan->session->options.max_record_size;
	GraphSlice	body = graph_http_unread(lane->transfer);
	const char *text;
	GraphTransport transport;
	GraphJsonError error;
	size_t		end;

	if (lane->used > 0)
	{
		finish(scan, lane, false);
		return GRAPH_LANE_MOVED;
	}
	if (body.len > limit)
		report_too_large(scan, lane);
	if (!graph_http_done(lane->transfer))
		return GRAPH_LANE_WAITS;
	transport = graph_http_result(lane->transfer, &text);
	if (transport != GRAPH_TRANSPORT_OK)
	{
		graph_request_broken(scan, lane, transport, text);
		return GRAPH_LANE_MOVED;
	}

	/* the window's bytes are ours, so the envelope may be taken off in place */
	body = graph_json_drop_context((char *) body.data, body.len);
	switch (graph_json_locate(body.data, body.len, scan->shape, scan->slots,
							  &end, &error))
	{
		case GRAPH_JSON_OK:
			break;
		case GRAPH_JSON_INCOMPLETE:
			graph_report_partial(scan->session, graph_request_name(lane),
								 body.len == 0 ? "The answer is empty." :
								 "The answer ends in the middle of the alert.");
			finish(scan, lane, false);
			return GRAPH_LANE_MOVED;
		case GRAPH_JSON_MALFORMED:
			report_malformed(scan, lane, &error);
	}
	if (end + graph_json_skip_blanks(body.data + end, body.len - end) < body.len)
	{
		error.problem = "text after the end of the document";
		report_malformed(scan, lane, &error);
	}
	if (!check_id(scan, lane) || !check_key(scan, lane))
	{
		finish(scan, lane, false);
		return GRAPH_LANE_MOVED;
	}
	lane->used = body.len;
	return give(scan, record, body);
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
 * The link is followed as it is (it is opaque), but only to the origin that
 * the token belongs to.
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

	graph_request_end(scan, lane);
	graph_lane_list(scan, lane, &window, scan->request->page_size);
	scan->nulls_wanted = true;
	return true;
}

/*
 * verify_count
 *		Have the alerts counted, because the list ended where it may have been
 *		cut off.
 */
static void
verify_count(GraphScan *scan, GraphLane *lane)
{
	graph_request_end(scan, lane);
	start_count(scan, lane, GRAPH_LANE_VERIFY);
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
	if ((count < 0 || (uint64) count > lane->chain_records) &&
		graph_lane_begin_anew(scan, lane))
		return;
	if (count >= 0 && (uint64) count > lane->chain_records)
		graph_report_partial(scan->session, request,
							 psprintf("The list ended after " UINT64_FORMAT
									  " alerts and the service counts " INT64_FORMAT ".",
									  lane->chain_records, count));
	finish(scan, lane, false);
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
	finish(scan, lane, false);
	graph_scan_counted(scan, count);
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
 * look_ahead
 *		Where the answer names the next page before its records, ask for that
 *		page while these are read.
 *
 * Not with LIMIT, when it may not be wanted, and not where the list is about
 * to be begun anew.
 */
static void
look_ahead(GraphScan *scan, GraphLane *lane)
{
	const GraphRequest *request = scan->request;

	if (lane->ahead || lane->purpose != GRAPH_LANE_LIST ||
		graph_list_next_link(lane->reader).data == NULL ||
		request->limited || lane->skip_records > 0 ||
		lane->chain_records + lane->page_size >= CHAIN_RECORDS ||
		!has_free_lane(scan) || known_next(scan, lane) == NULL ||
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
	lane->not_before = Max(lane->not_before,
						   TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   BARREN_PAUSE_MS));
	if (++lane->barren_pages < MAX_BARREN_PAGES)
		return false;
	graph_report_partial(scan->session, graph_request_name(lane),
						 psprintf("%d pages in a row held no alert that was new.",
								  MAX_BARREN_PAGES));
	return true;
}

/*
 * end_of_list_page
 *		A page of the list is complete: go on to the next.
 *
 * After a small first page the list is begun again with whole pages, as a
 * nextLink would go on with small ones; graph_order_was_seen() leaves out what is known.
 */
static void
end_of_list_page(GraphScan *scan, GraphLane *lane)
{
	const char *next = known_next(scan, lane);
	uint64		full = lane->page == 1 ? (uint64) lane->page_size : lane->largest_page;
	bool		cut_off = next == NULL && lane->page_records >= full;

	lane->chain_records += lane->page_records;
	lane->largest_page = Max(lane->largest_page, lane->page_records);
	lane->page_records = 0;

	if (next && is_barren(scan, lane))
		finish(scan, lane, false);
	else if (scan->small_page && (next || cut_off))
	{
		scan->small_page = false;
		scan->order_restarted = true;
		graph_request_end(scan, lane);
		graph_lane_list(scan, lane, NULL, scan->request->page_size);
	}
	else if (next && lane->chain_records >= CHAIN_RECORDS &&
			 graph_lane_begin_anew(scan, lane))
		return;
	else if (cut_off)
		verify_count(scan, lane);
	else
	{
		if (next)
			graph_scan_split(scan, lane);
		finish(scan, lane, true);
	}
}

/*
 * end_of_page
 *		The document of this page is complete: check it and move on.
 */
static void
end_of_page(GraphScan *scan, GraphLane *lane)
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

/*
 * end_of_bytes
 *		The transfer has ended; complete tells whether the document has too.
 */
static void
end_of_bytes(GraphScan *scan, GraphLane *lane, bool complete)
{
	const char *text;
	GraphTransport transport = graph_http_result(lane->transfer, &text);

	if (transport != GRAPH_TRANSPORT_OK)
		graph_request_broken(scan, lane, transport, text);
	else if (complete)
		end_of_page(scan, lane);
	else
	{
		graph_report_partial(scan->session, graph_request_name(lane),
							 graph_http_received(lane->transfer) == 0 ?
							 "The answer is empty." :
							 "The answer ends in the middle of the document.");
		finish(scan, lane, false);
	}
}

/*
 * is_wanted
 *		Is this record of a list handed out?
 *
 * *past is set if the lane has come to the end of what it is to give.
 */
static bool
is_wanted(GraphScan *scan, GraphLane *lane, bool *past)
{
	GraphSeenId id;
	bool		seen;
	bool		here;

	*past = false;
	if (!check_id(scan, lane) || graph_order_was_given(scan, lane) ||
		lane->purpose != GRAPH_LANE_LIST)
		return false;
	id = graph_order_hash_id(scan->slots[scan->id_slot]);
	seen = graph_order_was_seen(scan, lane, &id);
	here = graph_order_is_in_window(scan, lane, &id, seen, past);
	return !seen && here && !graph_order_is_late(scan, lane);
}

/*
 * read_list
 *		The next record of a page.
 */
static GraphLaneStep
read_list(GraphScan *scan, GraphLane *lane, GraphRecord *record)
{
	size_t		limit = scan->session->options.max_record_size;
	GraphSlice	whole;
	GraphJsonError error;
	bool		past;

	if (!graph_order_check_pair(scan, lane))
		return GRAPH_LANE_WAITS;
	for (;;)
	{
		GraphSlice	unread;
		GraphListEvent event;

		graph_http_consume(lane->transfer, lane->used);
		lane->used = 0;
		unread = graph_http_unread(lane->transfer);
		event = graph_list_read(lane->reader, unread.data, unread.len,
								&lane->used, &whole, scan->slots, &error);
		if (event == GRAPH_LIST_MALFORMED)
			report_malformed(scan, lane, &error);
		if (event == GRAPH_LIST_RECORD)
		{
			if (whole.len > limit)
				report_too_large(scan, lane);
			lane->idle_bytes = 0;
			if (is_wanted(scan, lane, &past))
			{
				lane->page_given++;
				return give(scan, record, whole);
			}
			if (!past)
				continue;
			finish(scan, lane, false);	/* the rest is other lanes' */
			return GRAPH_LANE_MOVED;
		}

		/* nothing to be had from these bytes: drop what is done, get more */
		lane->idle_bytes += lane->used;
		graph_http_consume(lane->transfer, lane->used);
		lane->used = 0;
		unread = graph_http_unread(lane->transfer);
		if (lane->idle_bytes + unread.len > limit)
			report_too_large(scan, lane);
		if (event == GRAPH_LIST_END && unread.len > 0)
			continue;			/* there may be blanks, and nothing else */
		if (!graph_http_done(lane->transfer))
		{
			look_ahead(scan, lane);
			return GRAPH_LANE_WAITS;
		}
		end_of_bytes(scan, lane, event == GRAPH_LIST_END);
		return GRAPH_LANE_MOVED;
	}
}

/*
 * graph_lane_step
 *		Do what can be done for a lane without waiting.
 */
GraphLaneStep
graph_lane_step(GraphScan *scan, GraphLane *lane, GraphRecord *record)
{
	if (lane->url == NULL)
		return GRAPH_LANE_WAITS;
	if (lane->transfer == NULL)
	{
		if (lane->not_before > GetCurrentTimestamp())
			return GRAPH_LANE_WAITS;
		lane->not_before = lane->ahead ? 0 :
			graph_stats_may_send(scan->stats,
								 scan->session->options.requests_per_minute);
		if (lane->not_before != 0)
			return GRAPH_LANE_WAITS;
		graph_request_start(scan, lane);
		return GRAPH_LANE_MOVED;
	}
	if (!lane->header_seen)
	{
		if (graph_http_unread(lane->transfer).len == 0 &&
			!graph_http_done(lane->transfer))
			return GRAPH_LANE_WAITS;
		if (!read_header(scan, lane))
			return GRAPH_LANE_MOVED;
	}
	return lane->purpose == GRAPH_LANE_KEY ?
		read_document(scan, lane, record) : read_list(scan, lane, record);
}
