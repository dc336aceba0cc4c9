/*-------------------------------------------------------------------------
 *
 * answer.c
 *		What does the answer at hand hold: a record, the end of a page, trouble?
 *
 * Records are handed out while the bytes of an answer are still arriving: what
 * is kept is the record at hand and the transfer's window, never a page.
 *
 * A short answer is never the end in silence.  It is complete when it is
 * well-formed and has arrived whole; anything else that looks like an end is
 * reported (graph_report_partial()).  A page that breaks after some of its
 * records were handed out is asked for again, from where they end if the list
 * is in order.  A record that comes twice, because of that or because the list
 * moved under us, is given once.
 *
 * What this file refuses to know: what was asked, and what is asked next; the
 * syntax of JSON, columns and types.
 *
 * IDENTIFICATION
 *		src/scan/answer.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "scan/scan_int.h"

/*-------------------------------------------------------------------------
 * The header
 *-------------------------------------------------------------------------
 */

/*
 * is_graph_error
 *		Does the body of a refusal come from the service, and not from whatever
 *		is in between?
 */
static bool
is_graph_error(GraphSlice body)
{
	GraphRemoteError remote;

	graph_decode_graph_error(body.data, body.len, &remote);
	return remote.code || remote.message;
}

/*
 * is_no_alert
 *		Does the refusal of a lookup say that there is no such alert?  Then the
 *		lane goes on; also if what it says was cut off, and is asked for again.
 */
static bool
is_no_alert(GraphScan *scan, GraphLane *lane, GraphSlice body)
{
	int			status = graph_http_header(lane->transfer)->status;
	const char *text;
	GraphTransport transport;

	if (status != 404 && status != 400)
		return false;
	if (is_graph_error(body))
	{
		if (status == 404)
			graph_lane_finish(scan, lane, false);
		else
			graph_lane_end_refused_key(scan, lane);
		return true;
	}
	transport = graph_http_result(lane->transfer, &text);
	if (transport != GRAPH_TRANSPORT_OK)
		return graph_transport_is_retriable(transport) &&
			graph_request_again(scan, lane, -1) == NULL;
	return graph_request_cut_short(scan, lane);
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
	GraphRemoteError remote;
	GraphSlice	body;

	if (header->status == 206 || header->warning[0])
		graph_report_partial(&scan->session->peer, graph_request_name(lane),
							 psprintf("Status %d.%s%s", header->status,
									  header->warning[0] ? "  Warning: " : "",
									  graph_sanitize_remote_text(&scan->session->peer, header->warning)));
	if (header->status != 401)
		lane->token_renewed = false;
	if (header->status == 200 || header->status == 206)
	{
		graph_lane_accepted(scan, lane);
		scan->counters.pages++;
		return true;
	}
	if ((header->status == 401 && graph_request_renew_token(scan, lane)) ||
		(header->status == 408 && graph_request_was_stale(scan, lane)) ||
		(header->status == 400 && graph_lane_refused(scan, lane)))
		return false;

	if (header->status == 429)
		scan->stats->throttled++;
	body = graph_request_error_body(lane);
	if (lane->purpose == GRAPH_LANE_KEY && is_no_alert(scan, lane, body))
		return false;
	if (graph_status_is_retriable(header->status))
	{
		why = graph_request_again(scan, lane, header->retry_after);
		if (why == NULL)
			return false;
	}
	graph_session_redact_link(scan->session, lane->url);
	graph_decode_graph_error(body.data, body.len, &remote);
	graph_report_status(&scan->session->peer, graph_request_name(lane), header,
						&remote, why[0] ? why : NULL);
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
					scan->session->peer.server_name,
					scan->session->options.limits.max_record_size),
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
		graph_report_document(&scan->session->peer, graph_request_name(lane),
							  psprintf("The answer is of type \"%s\" and not JSON.",
									   graph_sanitize_remote_text(&scan->session->peer, type)));
	graph_report_document(&scan->session->peer, graph_request_name(lane),
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
	graph_report_partial(&scan->session->peer, graph_request_name(lane),
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
	graph_report_partial(&scan->session->peer, graph_request_name(lane),
						 psprintf("The answer is another alert, \"%s\".",
								  graph_sanitize_remote_text(&scan->session->peer, id)));
	return false;
}

/*
 * give
 *		Fill in the record that is handed out.
 *
 * Its bytes are the reader's until the scan is asked for the next one, whoever
 * waits for something else meanwhile.
 */
static GraphLaneStep
give(GraphScan *scan, GraphLane *lane, GraphRecord *record, GraphSlice whole)
{
	record->whole = whole;
	record->slots = scan->slots;
	record->id = scan->slots[scan->id_slot];
	graph_http_pin(lane->transfer);
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
	size_t		limit = scan->session->options.limits.max_record_size;
	GraphSlice	body = graph_http_unread(lane->transfer);
	const char *text;
	GraphTransport transport;
	GraphJsonError error;
	size_t		end;

	if (lane->used > 0)
	{
		graph_lane_finish(scan, lane, false);
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
	switch (graph_json_locate(body.data, body.len, scan->projection, scan->slots,
							  &end, &error))
	{
		case GRAPH_JSON_OK:
			break;
		case GRAPH_JSON_INCOMPLETE:
			if (graph_request_cut_short(scan, lane))
				return GRAPH_LANE_MOVED;
			graph_report_partial(&scan->session->peer, graph_request_name(lane),
								 body.len == 0 ? "The answer is empty." :
								 "The answer ends in the middle of the alert.");
			graph_lane_finish(scan, lane, false);
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
		graph_lane_finish(scan, lane, false);
		return GRAPH_LANE_MOVED;
	}
	lane->used = body.len;
	return give(scan, lane, record, body);
}

/*-------------------------------------------------------------------------
 * Lists
 *-------------------------------------------------------------------------
 */

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
		graph_lane_end_page(scan, lane);
	else if (!graph_request_cut_short(scan, lane))
	{
		graph_report_partial(&scan->session->peer, graph_request_name(lane),
							 graph_http_received(lane->transfer) == 0 ?
							 "The answer is empty." :
							 "The answer ends in the middle of the document.");
		graph_lane_finish(scan, lane, false);
	}
}

/*
 * find_early
 *		An alert that was given before the list was asked for in order is found
 *		where it belongs; of the whole list, it is counted with its chain.
 */
static void
find_early(GraphScan *scan, const GraphLane *lane, const GraphSeenId *id)
{
	bool		found = false;

	if (scan->early_ids)
		(void) hash_search(scan->early_ids, id, HASH_REMOVE, &found);
	if (found && !(TIMESTAMP_IS_NOBEGIN(lane->window.lower) &&
				   TIMESTAMP_IS_NOEND(lane->window.upper)))
		scan->found++;
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
	lane->page_records++;
	if (!check_id(scan, lane))
	{
		lane->chain_nameless++; /* there is no more to be had of it */
		return false;
	}
	if (lane->purpose != GRAPH_LANE_LIST)
		return scan->request->mode == GRAPH_SCAN_COUNT;
	id = graph_order_hash_id(scan->slots[scan->id_slot]);
	seen = graph_order_was_given(scan, lane, &id);
	here = graph_order_is_in_window(scan, lane, &id, seen, past);
	if (here && lane->filtered)
		find_early(scan, lane, &id);
	if (seen || !here || graph_order_is_late(scan, lane))
		return false;
	graph_order_note_given(scan, lane, &id);
	return true;
}

/*
 * check_order
 *		Before a list on whose order the plan relies is handed out, look at its
 *		beginning; GRAPH_LANE_MOVED if it may be read.
 */
static GraphLaneStep
check_order(GraphScan *scan, GraphLane *lane)
{
	if (!scan->request->order_needed || scan->order_checked ||
		scan->order_started || lane->purpose != GRAPH_LANE_LIST ||
		lane->window.nulls)
		return GRAPH_LANE_MOVED;
	switch (graph_order_check_first(scan, lane))
	{
		case GRAPH_ORDER_UNKNOWN:
			return GRAPH_LANE_WAITS;
		case GRAPH_ORDER_BROKEN:
			return GRAPH_LANE_LOST;
		case GRAPH_ORDER_KEPT:
			break;
	}
	scan->order_checked = true;
	return GRAPH_LANE_MOVED;
}

/*
 * has_arrived
 *		Is the record at hand, found when the beginning of the list was asked for
 *		again, newer than that was?  Then it was not there when the service
 *		counted.
 */
static bool
has_arrived(const GraphScan *scan, const GraphLane *lane)
{
	return lane->window.head && lane->order_known &&
		lane->order_time > scan->head_first;
}

/*
 * take_record
 *		A record of a list has come, and is located in the scan's slots: hand it
 *		out, or else see whether it was the lane's last.
 */
static GraphLaneStep
take_record(GraphScan *scan, GraphLane *lane, GraphRecord *record,
			GraphSlice whole)
{
	bool		past;

	if (whole.len > (size_t) scan->session->options.limits.max_record_size)
		report_too_large(scan, lane);
	lane->idle_bytes = 0;
	graph_lane_note_count(scan, lane);
	if (is_wanted(scan, lane, &past))
	{
		lane->page_given++;
		lane->pass_given++;
		scan->found += lane->filtered && !has_arrived(scan, lane);
		scan->nulls_found += lane->window.nulls;
		return give(scan, lane, record, whole);
	}
	if (!past)
		return GRAPH_LANE_WAITS;
	graph_lane_finish(scan, lane, false);	/* the rest is other lanes' */
	return GRAPH_LANE_MOVED;
}

/*
 * get_more
 *		Nothing is to be had from the unread bytes of a page: drop what is done,
 *		and see whether there will be more; false if the page has ended.
 */
static bool
get_more(GraphScan *scan, GraphLane *lane, bool complete)
{
	GraphSlice	unread;

	lane->idle_bytes += lane->used;
	graph_http_consume(lane->transfer, lane->used);
	lane->used = 0;
	unread = graph_http_unread(lane->transfer);
	if (lane->idle_bytes + unread.len >
		(size_t) scan->session->options.limits.max_record_size)
		report_too_large(scan, lane);
	if (!graph_http_done(lane->transfer))
	{
		graph_lane_look_ahead(scan, lane);
		return true;
	}
	end_of_bytes(scan, lane, complete);
	return false;
}

/*
 * read_list
 *		The next record of a page.
 */
static GraphLaneStep
read_list(GraphScan *scan, GraphLane *lane, GraphRecord *record)
{
	GraphLaneStep step = check_order(scan, lane);

	if (step != GRAPH_LANE_MOVED)
		return step;
	for (;;)
	{
		GraphSlice	unread;
		GraphSlice	whole;
		GraphJsonError error;

		graph_http_consume(lane->transfer, lane->used);
		lane->used = 0;
		unread = graph_http_unread(lane->transfer);
		switch (graph_list_read(lane->reader, unread.data, unread.len,
								&lane->used, &whole, scan->slots, &error))
		{
			case GRAPH_LIST_MALFORMED:
				report_malformed(scan, lane, &error);
				break;
			case GRAPH_LIST_RECORD:
				step = take_record(scan, lane, record, whole);
				if (step != GRAPH_LANE_WAITS)
					return step;
				break;
			case GRAPH_LIST_MORE:
				return get_more(scan, lane, false) ? GRAPH_LANE_WAITS :
					GRAPH_LANE_MOVED;
			case GRAPH_LIST_END:
				if (lane->used < unread.len)
					break;		/* there may be blanks, and nothing else */
				return get_more(scan, lane, true) ? GRAPH_LANE_WAITS :
					GRAPH_LANE_MOVED;
		}
	}
}

/*
 * graph_answer_step
 *		Do what can be done for a lane without waiting.
 */
GraphLaneStep
graph_answer_step(GraphScan *scan, GraphLane *lane, GraphRecord *record)
{
	if (lane->url == NULL)
		return GRAPH_LANE_WAITS;
	if (lane->transfer == NULL)
	{
		if (lane->not_before > graph_now())
			return GRAPH_LANE_WAITS;
		if (!graph_request_may_start(scan, lane))
			return GRAPH_LANE_WAITS;
		lane->not_before = lane->ahead ? 0 :
			graph_stats_may_send(scan->stats,
								 scan->session->options.limits.requests_per_minute);
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
