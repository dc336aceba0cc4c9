/*-------------------------------------------------------------------------
 *
 * request.c
 *		How is one request sent, sent again, and given up?
 *
 * All requests of a scan are GETs, which may be repeated (RFC 9110 section
 * 9.2.2).  After a failure that may pass, a request is set up to be sent again
 * after a while; the waiting is done by whoever waits for all of a scan's
 * lanes.  A page that breaks after some of its records were handed out comes
 * again, and what was given of it is noted so that it is left out.
 *
 * What this file refuses to know: what a status means, records, pages.
 *
 * IDENTIFICATION
 *		request.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "graph_fdw.h"

/*
 * request_headers
 *		What goes with every request, nextLinks included: they carry none.
 *
 * Without the Prefer header the service hides newer enum members behind
 * "unknownFutureValue" (Graph best practices, "evolvable enumerations").
 */
static List *
request_headers(void)
{
	Datum		uuid = DirectFunctionCall1(gen_random_uuid, (Datum) 0);
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out, uuid));

	return list_make3("Accept: application/json",
					  "Prefer: include-unknown-enum-members",
					  psprintf("client-request-id: %s", id));
}

/*
 * graph_request_send
 *		Send a request for a URL; the transfer belongs to the context.
 */
GraphTransfer *
graph_request_send(GraphScan *scan, GraphLane *lane, const char *url,
				   MemoryContext context)
{
	const GraphOptions *options = &scan->session->options;
	GraphHttpRequest request = {0};
	GraphTransfer *transfer;
	MemoryContext old;

	graph_token_get(scan->session);

	old = MemoryContextSwitchTo(context);
	request.url = url;
	request.bearer = scan->session->bearer;
	request.headers = request_headers();
	request.ca_file = options->ca_file;
	request.proxy = options->proxy;
	request.proxy_user = options->proxy_user;
	request.proxy_password = options->proxy_password;
	request.connect_timeout = options->connect_timeout;
	request.request_timeout = options->request_timeout;
	request.fresh_connection = lane->attempt > 0 || lane->stale;
	request.in_sips = scan->request->limited;
	request.ahead = context == lane->ahead_context;
	transfer = graph_http_start(context, &request);
	MemoryContextSwitchTo(old);

	scan->counters.requests++;
	scan->stats->requests++;
	return transfer;
}

/*
 * graph_request_start
 *		Take up the request for a lane's URL, which may have been sent already.
 */
void
graph_request_start(GraphScan *scan, GraphLane *lane)
{
	MemoryContext old;

	if (lane->ahead)
	{
		MemoryContext context = lane->context;

		lane->context = lane->ahead_context;
		lane->ahead_context = context;
		lane->transfer = lane->ahead;
		lane->bearer_number = lane->ahead_bearer_number;
		lane->ahead = NULL;
	}
	else
	{
		lane->transfer = graph_request_send(scan, lane, lane->url, lane->context);
		lane->bearer_number = scan->session->bearer_number;
	}

	old = MemoryContextSwitchTo(lane->context);
	if (lane->purpose != GRAPH_LANE_KEY)
		lane->reader = graph_list_reader_create(scan->shape);
	MemoryContextSwitchTo(old);
	lane->header_seen = false;
	lane->used = 0;
	lane->idle_bytes = 0;
	lane->page_records = lane->page_given = 0;
	lane->page_hash = 0;
}

/*
 * release
 *		Count what a transfer has received, and release it with its context.
 */
static void
release(GraphScan *scan, GraphTransfer *transfer, MemoryContext context)
{
	uint64		bytes = graph_http_received(transfer);

	scan->counters.bytes += bytes;
	scan->stats->bytes += bytes;
	graph_http_end(transfer);
	MemoryContextReset(context);
}

/*
 * graph_request_drop_ahead
 *		Give up the request for the next page, and what is known of its URL.
 */
void
graph_request_drop_ahead(GraphScan *scan, GraphLane *lane)
{
	if (lane->ahead)
	{
		release(scan, lane->ahead, lane->ahead_context);
		lane->ahead = NULL;
	}
	if (lane->next_url)
		pfree(lane->next_url);
	lane->next_url = NULL;
	lane->next_known = false;
}

/*
 * graph_request_end
 *		Release the transfer and all that belongs to this request.
 */
void
graph_request_end(GraphScan *scan, GraphLane *lane)
{
	if (lane->transfer == NULL)
		return;
	release(scan, lane->transfer, lane->context);
	lane->transfer = NULL;
	lane->reader = NULL;
}

/*
 * graph_request_name
 *		The request as messages name it.
 */
const char *
graph_request_name(GraphLane *lane)
{
	if (lane->page <= 1)
		return lane->label;
	return psprintf("%s, page " UINT64_FORMAT, lane->label, lane->page);
}

/*
 * graph_request_error_body
 *		All that a refused request's answer says, as far as it is small.
 */
GraphSlice
graph_request_error_body(GraphLane *lane)
{
	(void) graph_http_wait_all(lane->transfer, GRAPH_MAX_DOCUMENT);
	return graph_http_unread(lane->transfer);
}

/*
 * graph_request_again
 *		Set a lane up to send the same request again, after a while.
 *
 * Returns NULL if that was done; otherwise the reason why not, "" for none
 * that needs to be given.  Where the service asked for a pause, all lanes make
 * it.
 */
const char *
graph_request_again(GraphScan *scan, GraphLane *lane, int retry_after)
{
	const char *why = "";
	int			delay;
	TimestampTz when;

	if (lane->attempt >= scan->session->options.max_retries)
		return lane->attempt == 0 ? "" :
			psprintf("It was tried %d times.", lane->attempt + 1);
	delay = graph_retry_delay(lane->attempt, retry_after, &why);
	if (delay < 0)
		return why;

	/* what was handed out must come again before anything new */
	if (lane->page_records > lane->skip_records)
	{
		lane->skip_records = lane->page_records;
		lane->skip_hash = lane->page_hash;
	}
	graph_request_end(scan, lane);
	graph_request_drop_ahead(scan, lane);
	when = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
	lane->not_before = when;
	for (int i = 0; i < scan->nlanes && retry_after >= 0; i++)
		scan->lanes[i].not_before = Max(scan->lanes[i].not_before, when);
	lane->attempt++;
	scan->counters.retries++;
	scan->stats->retries++;
	return NULL;
}

/*
 * graph_request_broken
 *		The transfer ended without its whole answer: again, or an error.
 */
void
graph_request_broken(GraphScan *scan, GraphLane *lane,
					 GraphTransport transport, const char *text)
{
	const char *why = "";

	if (graph_transport_is_retriable(transport))
	{
		text = pstrdup(text);
		why = graph_request_again(scan, lane, -1);
		if (why == NULL)
			return;
	}
	graph_report_transport(scan->session, graph_request_name(lane),
						   scan->session->options.endpoint, transport, text,
						   why[0] ? why : NULL);
}

/*
 * graph_request_renew_token
 *		After 401: set the lane up to ask again with a new token, once.
 */
bool
graph_request_renew_token(GraphScan *scan, GraphLane *lane)
{
	if (lane->token_renewed)
		return false;
	lane->token_renewed = true;
	if (!graph_token_renew(scan->session, lane->bearer_number))
		return false;
	graph_request_end(scan, lane);
	return true;
}

/*
 * graph_request_was_stale
 *		After 408: set the lane up to ask again at once, if that was said of a
 *		kept connection.
 *
 * Some proxies write it before they close a connection on which nothing was
 * asked for a while; the next request finds it and takes it for its answer.
 */
bool
graph_request_was_stale(GraphScan *scan, GraphLane *lane)
{
	if (lane->stale || !graph_http_was_kept(lane->transfer))
		return false;
	lane->stale = true;
	graph_request_end(scan, lane);
	return true;
}
