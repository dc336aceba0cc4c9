/*-------------------------------------------------------------------------
 *
 * request.c
 *		How is one request sent, sent again, and given up?
 *
 * All requests of a scan are GETs, which may be repeated (RFC 9110 section
 * 9.2.2).  After a failure that may pass, a request is set up to be sent again
 * after a while; the waiting is done by whoever waits for all of a scan's
 * lanes.
 *
 * What this file refuses to know: what a status means, records, pages.
 *
 * IDENTIFICATION
 *		src/scan/request.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "scan/scan_int.h"

/*
 * How often a request that has no descriptor looks for one, how long one waits
 * for others that do not end before it takes one that is another's, and how
 * long for one that the system does not give.
 */
#define STARVING_PAUSE_MS	20
#define LONGEST_STARVING_MS	INT64CONST(5000)
#define LONGEST_REFUSED_MS	INT64CONST(30000)

/*
 * graph_request_send
 *		Send a request for a URL; the transfer belongs to the context.
 *
 * The headers go with nextLinks, too: they carry none.  Without the Prefer
 * header the service hides newer enum members behind "unknownFutureValue"
 * (Graph best practices, "evolvable enumerations").
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
	request.bearer = scan->session->peer.bearer;
	request.headers = list_make2("Accept: application/json",
								 "Prefer: include-unknown-enum-members");
	request.ca_file = options->service.ca_file;
	request.proxy = options->service.proxy;
	request.proxy_user = options->credentials.proxy_user;
	request.proxy_password = options->credentials.proxy_password;
	request.connect_timeout = options->limits.connect_timeout;
	request.request_timeout = options->limits.request_timeout;
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
 * graph_request_may_start
 *		Is there a descriptor for this lane's request?  If not, it is to be asked
 *		again a little later.
 *
 * Where they are scarce, a scan that has a transfer goes on with that.  One
 * that has none, and is all that its backend waits for, gets one in any case:
 * the others go on only after it.  One that is below an Append waits for the
 * others there, which take their turns; unless nothing goes on for them, or
 * not in a long while.
 */
bool
graph_request_may_start(GraphScan *scan, GraphLane *lane)
{
	bool		has_transfer = false;

	if (lane->ahead || graph_http_has_descriptor())
	{
		scan->starved_since = 0;
		return true;
	}
	for (int i = 0; i < scan->nlanes; i++)
		has_transfer = has_transfer || scan->lanes[i].transfer;
	if (!has_transfer)
	{
		if (scan->starved_since == 0)
			scan->starved_since = graph_now();
		if (!scan->polled || graph_http_is_stuck() ||
			graph_now() - scan->starved_since > LONGEST_STARVING_MS * 1000)
			return true;
	}
	lane->not_before = graph_after(STARVING_PAUSE_MS);
	return false;
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

	strlcpy(lane->request_id, graph_http_id(lane->transfer),
			sizeof(lane->request_id));

	old = MemoryContextSwitchTo(lane->context);
	if (lane->purpose != GRAPH_LANE_KEY)
		lane->reader = graph_list_reader_create(scan->projection);
	MemoryContextSwitchTo(old);
	lane->header_seen = false;
	lane->used = 0;
	lane->idle_bytes = 0;
	lane->page_records = lane->page_given = 0;
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
		return graph_request_title(lane->label, lane->request_id);
	return graph_request_title(psprintf("%s, page " UINT64_FORMAT, lane->label,
										lane->page),
							   lane->request_id);
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
 * starves
 *		The system had no descriptor for a request: set the lane up to send it
 *		again as soon as there may be one; false if there is no hope.
 *
 * The server's own files and the connections that are kept give up theirs.
 * There is hope while other transfers go on, or if that has just been done.
 */
static bool
starves(GraphScan *scan, GraphLane *lane)
{
	int64		since;

	graph_http_free_descriptors();
	graph_lane_again(scan, lane);
	if (scan->refused_since == 0)
		scan->refused_since = graph_now();
	since = graph_now() - scan->refused_since;
	lane->not_before = graph_after(STARVING_PAUSE_MS);
	return since < (graph_http_is_stuck() ? 1000 : LONGEST_REFUSED_MS) * 1000;
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
	GraphTime	when;

	if (lane->attempt >= scan->session->options.limits.max_retries)
		return lane->attempt == 0 ? "" :
			psprintf("It was tried %d times.", lane->attempt + 1);
	delay = graph_retry_delay(lane->attempt, retry_after, &why);
	if (delay < 0)
		return why;

	when = graph_after(delay);
	lane->not_before = when;
	for (int i = 0; i < scan->nlanes && retry_after >= 0; i++)
		scan->lanes[i].not_before = Max(scan->lanes[i].not_before, when);
	lane->attempt++;
	scan->counters.retries++;
	scan->stats->retries++;
	graph_lane_again(scan, lane);
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

	if (transport == GRAPH_TRANSPORT_STARVED && starves(scan, lane))
		return;
	if (graph_transport_is_retriable(transport))
	{
		text = pstrdup(text);
		why = graph_request_again(scan, lane, -1);
		if (why == NULL)
			return;
	}
	graph_report_transport(&scan->session->peer, graph_request_name(lane),
						   scan->session->options.service.endpoint, transport, text,
						   why[0] ? why : NULL);
}

/*
 * graph_request_cut_short
 *		The answer ended in the middle of its document: set the lane up to ask
 *		again, if the connection may have been cut there; true if that was done.
 *
 * Where the answer said how long it is, and is as long, it is to be taken as
 * the service's word.
 */
bool
graph_request_cut_short(GraphScan *scan, GraphLane *lane)
{
	return graph_http_may_be_cut(lane->transfer) &&
		graph_request_again(scan, lane, -1) == NULL;
}

/*
 * graph_request_renew_token
 *		After 401: set the lane up to ask again with a new token.
 *
 * Once; but where the service has taken this login's token before, a new one
 * that it does not take yet is tried again like any failure that may pass.
 */
bool
graph_request_renew_token(GraphScan *scan, GraphLane *lane)
{
	bool		again = lane->token_renewed;

	if (again && scan->counters.pages == 0)
		return false;
	lane->token_renewed = true;
	if (!graph_token_renew(scan->session, lane->bearer_number))
		return false;
	if (again)
		return graph_request_again(scan, lane, -1) == NULL;
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
