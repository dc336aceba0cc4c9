/*-------------------------------------------------------------------------
 *
 * answer.c
 *		What is to be done about an answer?
 *
 * Its body is read, or the request is sent again, in another way perhaps, or
 * it was the last one; everything else is an error, raised here.  Where it is
 * sent again, the fetch is set up for that, with a new token if need be; the
 * chain itself is only read.
 *
 * What this file refuses to know: records, and how the chain goes on.
 *
 * IDENTIFICATION
 *		src/scan/answer.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "scan/scan_int.h"

/*
 * suspect_part
 *		After 400 to the first request of a chain: the part of it that it may do
 *		without and is to leave out, 0 for none.
 *
 * Where the plan relies on an order that was seen already, that stays.
 */
static int
suspect_part(const GraphChain *chain)
{
	const GraphShared *shared = chain->shared;
	int			asked = chain->page_number == 1 ? chain->parts : 0;

	if (shared->request->order_needed && shared->order.started)
		asked &= ~GRAPH_PART_ORDER;
	return graph_parts_suspect(&shared->parts, asked);
}

/*
 * judge_bad_request
 *		After 400: how to go on in another way; GRAPH_VERDICT_ERROR if there is
 *		none.
 *
 * A window is asked for without $orderby: lists come newest first by themselves,
 * which is checked.  Where the plan relies on an order the scan ends, and the
 * caller sorts.  A count or a query for null times that is refused is no error.
 */
static GraphVerdict
judge_bad_request(const GraphChain *chain, int *part)
{
	GraphTaskKind kind = chain->task.kind;
	bool		can_read_again = !chain->shared->request->order_needed &&
		!graph_seen_has_forgotten(chain->shared->seen);

	*part = suspect_part(chain);
	if (*part == GRAPH_PART_ORDER && chain->shared->request->order_needed)
		return GRAPH_VERDICT_ORDER_LOST;
	if (*part)
		return GRAPH_VERDICT_LEAVE_OUT;
	if (chain->page_number > 1 && graph_can_restart(chain))
		return GRAPH_VERDICT_BY_TIME;
	if ((kind == GRAPH_TASK_WINDOW || kind == GRAPH_TASK_TIES) &&
		!graph_task_is_whole(&chain->task) &&
		(graph_can_resume(chain->shared) || can_read_again))
		return GRAPH_VERDICT_NO_WINDOWS;
	if (kind == GRAPH_TASK_COUNT || kind == GRAPH_TASK_NULLS)
		return GRAPH_VERDICT_UNKNOWN;
	return GRAPH_VERDICT_ERROR;
}

/*
 * is_lookup
 *		Is this the answer to a lookup by an id, of which it is known that the
 *		service makes such lookups?
 */
static bool
is_lookup(const GraphChain *chain)
{
	return chain->task.kind == GRAPH_TASK_KEY ||
		(chain->task.kind == GRAPH_TASK_OWNED && chain->page_number == 1 &&
		 graph_navigation_answers(&chain->shared->parts));
}

/*
 * judge_lookup
 *		See whether the refusal of a lookup says that there is no such alert; if
 *		what it says was cut off, have it asked for again.
 *
 * Only the service's own error document says so, and not what is in between.
 * After 404 that is all.  After 400 the service takes no such id, if it has
 * answered anything before; else see whether it answers at all.
 */
static GraphVerdict
judge_lookup(const GraphChain *chain, int status, const GraphRemoteError *remote)
{
	GraphFetch *fetch = chain->fetch;
	bool		answers = chain->task.kind == GRAPH_TASK_OWNED ||
		graph_parts_answers(&chain->shared->parts);
	const char *text;
	GraphTransport transport;

	if (status != 404 && status != 400)
		return GRAPH_VERDICT_ERROR;
	if (remote->code || remote->message)
		return status == 404 || answers ?
			GRAPH_VERDICT_END : GRAPH_VERDICT_PROBE;
	transport = graph_http_result(fetch->transfer, &text);
	if (transport == GRAPH_TRANSPORT_OK ? graph_fetch_cut_again(fetch) :
		graph_may_retry(transport, 0, GRAPH_RETRY_REMOTE) &&
		graph_fetch_again(fetch, -1) == NULL)
		return GRAPH_VERDICT_AGAIN;
	return GRAPH_VERDICT_ERROR;
}

/*
 * judge_failure
 *		What a status other than 200 means; *part is what is to be left out.
 */
static GraphVerdict
judge_failure(const GraphChain *chain, const GraphHttpHeader *header, int *part)
{
	GraphSession *session = chain->shared->session;
	GraphFetch *fetch = chain->fetch;
	GraphVerdict verdict = GRAPH_VERDICT_ERROR;
	int			attempt = fetch->attempt;
	const char *why = "";
	GraphRemoteError remote;
	GraphSlice	body;
	GraphPeer	peer;

	if ((header->status == 401 && graph_fetch_renew_token(fetch)) ||
		(header->status == 408 && graph_fetch_replace_stale(fetch)))
		return fetch->attempt > attempt ? GRAPH_VERDICT_AGAIN : GRAPH_VERDICT_SEND;
	if (header->status == 400)
		verdict = judge_bad_request(chain, part);
	if (verdict != GRAPH_VERDICT_ERROR)
		return verdict;

	(void) graph_http_wait_all(fetch->transfer, GRAPH_MAX_DOCUMENT);
	body = graph_http_unread(fetch->transfer);
	graph_decode_graph_error(body.data, body.len, &remote);
	verdict = graph_owned_judge(chain, header->status, &remote);
	if (is_lookup(chain))
		verdict = judge_lookup(chain, header->status, &remote);
	if (verdict != GRAPH_VERDICT_ERROR)
		return verdict;
	if (graph_may_retry(GRAPH_TRANSPORT_OK, header->status, GRAPH_RETRY_REMOTE))
	{
		why = header->status == 429 ?
			graph_fetch_refused(fetch, header) :
			graph_fetch_again(fetch, header->retry_after);
		if (why == NULL)
			return GRAPH_VERDICT_AGAIN;
	}
	graph_session_redact_link(session, fetch->url);
	peer = session->peer;
	graph_owned_permission(chain, &peer);
	graph_report_status(&peer, graph_fetch_name(fetch), header,
						&remote, why[0] ? why : NULL);
}

/*
 * graph_answer_judge
 *		What to do about the answer of a chain's request; *part is what is to be
 *		left out of it.
 *
 * Where the verdict is to send it again, the fetch was set up for that.
 */
GraphVerdict
graph_answer_judge(const GraphChain *chain, int *part)
{
	const GraphPeer *peer = &chain->shared->session->peer;
	GraphFetch *fetch = chain->fetch;
	const GraphHttpHeader *header;
	const char *text;

	if (graph_http_unread(fetch->transfer).len == 0)
	{
		if (!graph_http_done(fetch->transfer))
			return GRAPH_VERDICT_WAIT;
		if (graph_http_result(fetch->transfer, &text) != GRAPH_TRANSPORT_OK)
		{
			graph_fetch_repair(fetch);
			return GRAPH_VERDICT_AGAIN;
		}
	}
	header = graph_http_header(fetch->transfer);
	elog(DEBUG2, "graph_fdw: status %d: %s", header->status,
		 graph_fetch_name(fetch));
	if (header->status == 206 || header->warning[0])
		graph_report_partial(peer, graph_fetch_name(fetch),
							 psprintf("Status %d.%s%s", header->status,
									  header->warning[0] ? "  Warning: " : "",
									  graph_sanitize_remote_text(peer, header->warning)));
	if (!graph_fetch_accept(fetch, header))
		return judge_failure(chain, header, part);
	return chain->task.kind == GRAPH_TASK_OWNER ? GRAPH_VERDICT_NOT_OWNED :
		GRAPH_VERDICT_READ;
}
