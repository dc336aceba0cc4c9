/*-------------------------------------------------------------------------
 *
 * exchange.c
 *		One request and the whole answer: is it good, is it asked for again, or
 *		which error is it?
 *
 * This is for logins, and whatever else wants one small document.  The caller
 * fills in a request and sends it with graph_exchange_send().  If that fails,
 * or the caller cannot use the answer, it calls graph_exchange_retry(), which
 * waits until the request may be sent again, or raises the error.  What may be
 * sent again is in the tables of error.c and login_error.c.  A request is made
 * anew for each attempt, as an assertion may be used once and a file with a
 * token may have been replaced meanwhile.
 *
 * A transfer belongs to the memory context in which it is sent, and holds the
 * answer's bytes until the caller ends it.
 *
 * What this file refuses to know: what is asked, what a good answer says.
 *
 * IDENTIFICATION
 *		src/auth/exchange.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "auth/graph_auth.h"

/*
 * graph_exchange_send
 *		Send the request and wait for all of the answer; false if that is not an
 *		answer with status 200.
 */
bool
graph_exchange_send(GraphExchange *exchange)
{
	GraphTransfer *transfer;

	Assert(exchange->session && exchange->name && exchange->limit > 0);
	transfer = graph_http_start(CurrentMemoryContext, &exchange->http);
	exchange->transfer = transfer;
	exchange->text = "";
	exchange->problem = NULL;
	if (graph_http_wait_all(transfer, exchange->limit))
		exchange->transport = graph_http_result(transfer, &exchange->text);
	else
		exchange->transport = GRAPH_TRANSPORT_TOO_LARGE;
	exchange->header = graph_http_header(transfer);
	exchange->body = graph_http_unread(transfer);
	return exchange->transport == GRAPH_TRANSPORT_OK &&
		exchange->header->status == 200;
}

/*
 * graph_exchange_title
 *		What messages call the request.
 */
char *
graph_exchange_title(const GraphExchange *exchange)
{
	return graph_request_title(exchange->name,
							   graph_http_id(exchange->transfer));
}

/*
 * graph_exchange_error
 *		What a failed answer says of itself; nothing, if there is none.
 */
GraphRemoteError
graph_exchange_error(const GraphExchange *exchange)
{
	GraphSlice	body = exchange->body;
	GraphRemoteError remote = {0};

	if (exchange->transport != GRAPH_TRANSPORT_OK ||
		exchange->header->status == 200)
		return remote;
	if (exchange->asked == GRAPH_ASKED_SERVICE)
		graph_decode_graph_error(body.data, body.len, &remote);
	else
		graph_decode_token_error(body.data, body.len, &remote);
	return remote;
}

/*
 * graph_exchange_may_retry
 *		May the same request succeed later?
 */
bool
graph_exchange_may_retry(const GraphExchange *exchange)
{
	GraphRemoteError remote;

	if (exchange->problem)
		return graph_http_may_be_cut(exchange->transfer);
	if (graph_may_retry(exchange->transport, exchange->header->status,
						exchange->asked == GRAPH_ASKED_IDENTITY ?
						GRAPH_RETRY_LOCAL : GRAPH_RETRY_REMOTE))
		return true;
	remote = graph_exchange_error(exchange);
	return exchange->asked != GRAPH_ASKED_SERVICE &&
		graph_token_error_is_retriable(&remote);
}

/*
 * graph_exchange_report
 *		Raise the error for an exchange that failed.
 *
 * why, if not NULL, is a sentence about why it is not tried again.
 */
void
graph_exchange_report(const GraphExchange *exchange, const char *why)
{
	const GraphPeer *peer = &exchange->session->peer;
	char	   *title = graph_exchange_title(exchange);
	GraphRemoteError remote;

	if (exchange->transport != GRAPH_TRANSPORT_OK)
	{
		if (exchange->asked == GRAPH_ASKED_IDENTITY)
			why = "Managed identities are those of Azure virtual machines, App Services and Azure Arc servers; this address answers on them only.";
		graph_report_transport(peer, title, exchange->where ? exchange->where :
							   graph_url_origin(exchange->http.url),
							   exchange->transport, exchange->text, why);
	}
	if (exchange->problem)
		graph_report_document(peer, title, exchange->problem);
	remote = graph_exchange_error(exchange);
	if (exchange->asked == GRAPH_ASKED_SERVICE)
		graph_report_status(peer, title, exchange->header, &remote, why);
	graph_report_token_status(exchange->session, title, exchange->header,
							  &remote, why);
}

/*
 * graph_exchange_retry
 *		An attempt has failed: wait until the next may be made, or raise the
 *		error.
 *
 * Where waiting makes no sense the next attempt is made at once, as the last.
 */
void
graph_exchange_retry(GraphExchange *exchange)
{
	const char *why = exchange->why;
	const GraphHttpHeader *header = exchange->header;
	int			delay;

	if (why == NULL && exchange->failed > 0)
		why = psprintf("It was tried %d times.", exchange->failed + 1);
	if (exchange->why || exchange->failed >= exchange->max_retries ||
		!graph_exchange_may_retry(exchange))
		graph_exchange_report(exchange, why);

	if (exchange->transport == GRAPH_TRANSPORT_OK && header->status == 429)
		delay = graph_refusal_delay(exchange->failed, header->retry_after,
									exchange->session->options.limits.throttle_timeout,
									&exchange->why);
	else
		delay = graph_retry_delay(exchange->failed, header->retry_after,
								  &exchange->why);
	exchange->failed++;
	graph_http_end(exchange->transfer);
	elog(DEBUG1, "graph_fdw: %s to server \"%s\" %s (status %d); next attempt in %d ms",
		 graph_exchange_title(exchange), exchange->session->peer.server_name,
		 exchange->transport == GRAPH_TRANSPORT_OK ? "failed" :
		 "got no whole answer", header->status, Max(delay, 0));
	if (delay >= 0)
		graph_http_sleep(delay);
}
