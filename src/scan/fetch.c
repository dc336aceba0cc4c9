/*-------------------------------------------------------------------------
 *
 * fetch.c
 *		How is one request sent, sent again, and given up?
 *
 * All requests of a scan are GETs, which may be repeated (RFC 9110 section
 * 9.2.2).  After a failure that may pass, a fetch is set up to be sent again
 * after a while; the waiting is done by whoever waits for all of a scan's
 * chains.  Whether the service takes one more request of this client is for
 * throttle.c to say, which all scans ask.
 *
 * What this file refuses to know: records, and what an answer means for its
 * chain.
 *
 * IDENTIFICATION
 *		src/scan/fetch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "scan/scan_int.h"

/*
 * How often a request that has no descriptor looks for one, how long one waits
 * for others that do not end before it takes one that is another's, and how
 * long for one that the system does not give.
 */
#define STARVING_PAUSE_MS	20
#define LONGEST_STARVING_MS	INT64CONST(5000)
#define LONGEST_DENIED_MS	INT64CONST(30000)

/*
 * graph_fetch_create
 *		A fetch of nothing, in the scan's memory context.
 */
GraphFetch *
graph_fetch_create(GraphShared *shared)
{
	GraphFetch *fetch = MemoryContextAllocZero(shared->context,
											   sizeof(GraphFetch));

	fetch->shared = shared;
	fetch->turn = graph_turn_create(shared->context, shared->session->throttle);
	return fetch;
}

/*
 * graph_fetch_reset_pool
 *		A scan begins: no request waits for anything.
 */
void
graph_fetch_reset_pool(GraphShared *shared)
{
	shared->pool.pause = 0;
	shared->pool.starved_since = shared->pool.denied_since = 0;
}

/*
 * graph_fetch_set_polled
 *		Does somebody wait for other scans beside this one?
 */
void
graph_fetch_set_polled(GraphShared *shared, bool polled)
{
	shared->pool.polled = polled;
}

/*
 * forget_url
 *		Fetch nothing.
 */
static void
forget_url(GraphFetch *fetch)
{
	if (fetch->url)
	{
		pfree(fetch->title);
		pfree(fetch->url);
	}
	fetch->title = fetch->url = NULL;
}

/*
 * set_url
 *		Fetch something else; again tells that it takes the place of what has
 *		failed.
 */
static void
set_url(GraphFetch *fetch, const char *title, const char *url, uint64 page,
		bool again)
{
	MemoryContext old = MemoryContextSwitchTo(fetch->shared->context);
	char	   *new_title = pstrdup(title);
	char	   *new_url = pstrdup(url);

	MemoryContextSwitchTo(old);
	graph_fetch_end(fetch);
	forget_url(fetch);
	fetch->shared->pool.wanted += !fetch->wanted;
	fetch->wanted = true;
	fetch->title = new_title;
	fetch->url = new_url;
	fetch->page = page;
	fetch->request_id[0] = '\0';
	if (again)
		return;
	graph_turn_end(fetch->turn);
	fetch->attempt = 0;
	fetch->token_renewed = fetch->stale = false;
}

/*
 * graph_fetch_set
 *		Set a fetch up for a path below the service root, the first page of a
 *		chain; again tells that it takes the place of what has failed.
 */
void
graph_fetch_set(GraphFetch *fetch, const char *path, bool again)
{
	const GraphService *service = &fetch->shared->session->options.service;

	set_url(fetch, psprintf("GET %s", path),
			psprintf("%s/%s%s", service->endpoint, service->api_version, path),
			1, again);
}

/*
 * graph_fetch_follow
 *		Set a fetch up for a further page of what another one has begun.
 */
void
graph_fetch_follow(GraphFetch *fetch, const GraphFetch *first, const char *url,
				   uint64 page)
{
	set_url(fetch, first->title, url, page, false);
}

/*
 * send_request
 *		Send the request, for which a token has been got.
 *
 * The headers go with nextLinks, too: they carry none.  Without the Prefer
 * header the service hides newer enum members behind "unknownFutureValue"
 * (Graph best practices, "evolvable enumerations").
 */
static void
send_request(GraphFetch *fetch, bool early)
{
	GraphShared *shared = fetch->shared;
	GraphSession *session = shared->session;
	GraphHttpRequest request;
	MemoryContext old;

	Assert(fetch->url && fetch->transfer == NULL);

	if (fetch->context == NULL)
		fetch->context = AllocSetContextCreate(shared->context,
											   "graph_fdw request",
											   ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(fetch->context);
	graph_session_request(session, fetch->url, &request);
	request.headers = lappend(request.headers,
							  pstrdup("Prefer: include-unknown-enum-members"));
	request.bearer = session->peer.bearer;
	request.fresh_connection = fetch->attempt > 0 || fetch->stale;
	request.in_sips = shared->request->limited;
	request.prefetch = early;
	fetch->transfer = graph_http_start(fetch->context, &request);
	MemoryContextSwitchTo(old);

	fetch->bearer_number = session->bearer_number;
	strlcpy(fetch->request_id, graph_http_id(fetch->transfer),
			sizeof(fetch->request_id));
	shared->pool.transfers++;
	shared->pool.requests++;
	shared->stats->requests++;
	elog(DEBUG2, "graph_fdw: sent %s", graph_fetch_name(fetch));
}

/*
 * has_descriptor
 *		Is there a descriptor for a request?  If not, it asks again a little
 *		later.
 *
 * Where they are scarce, a scan that has a transfer goes on with that.  One
 * that has none, and is all that its backend waits for, gets one in any case:
 * the others go on only after it.  One that is below an Append waits for the
 * others there, which take their turns; unless nothing goes on for them, or
 * not in a long while.
 */
static bool
has_descriptor(GraphShared *shared)
{
	GraphPool  *pool = &shared->pool;

	if (graph_http_has_descriptor())
	{
		pool->starved_since = 0;
		return true;
	}
	if (pool->transfers > 0)
		return false;
	if (pool->starved_since == 0)
		pool->starved_since = graph_now();
	return !pool->polled || graph_http_is_stuck() ||
		graph_now() - pool->starved_since > LONGEST_STARVING_MS * 1000;
}

/*
 * book
 *		When a request may be sent, by requests_per_minute and by what the service
 *		takes of this client; 0 for now, for which it is booked.
 *
 * The lanes of a scan count as if they followed each other, so that one lookup
 * goes before all that lists begin with.
 */
static GraphTime
book(GraphFetch *fetch, bool early)
{
	GraphShared *shared = fetch->shared;
	const GraphLimits *limits = &shared->session->options.limits;
	int			others = shared->pool.wanted > 1 ? shared->pool.wanted : 0;
	const GraphWish wish = {
		.method = "GET",
		.resource = shared->resource->entity_set,
		.page = fetch->page,
		.userid = shared->session->userid,
		.before = shared->pool.requests + others,
		.lanes = limits->concurrency,
		.per_minute = limits->requests_per_minute,
		.early = early,
	};

	return graph_turn_ask(fetch->turn, &wish);
}

/*
 * graph_fetch_start
 *		Send the request, unless that was done already; false if it has to wait.
 */
bool
graph_fetch_start(GraphFetch *fetch)
{
	GraphShared *shared = fetch->shared;

	if (fetch->transfer)
		return fetch->not_before <= graph_now();
	if (graph_fetch_due(fetch) > graph_now())
		return false;
	if (!has_descriptor(shared))
	{
		fetch->not_before = graph_after(STARVING_PAUSE_MS);
		return false;
	}
	/* nobody is to wait for a place that somebody has who logs in */
	graph_token_get(shared->session);
	fetch->not_before = book(fetch, false);
	if (fetch->not_before != 0)
	{
		const char *problem =
			graph_turn_problem(fetch->turn, fetch->not_before,
							   shared->session->options.limits.throttle_timeout);

		if (problem)
			graph_report_throttled(&shared->session->peer,
								   graph_fetch_name(fetch), problem);
		return false;
	}
	send_request(fetch, false);
	return true;
}

/*
 * graph_fetch_start_early
 *		Send the request while the answer of another one is read; false if
 *		something is scarce, or the service has refused requests.
 */
bool
graph_fetch_start_early(GraphFetch *fetch)
{
	GraphShared *shared = fetch->shared;

	if (!graph_http_has_descriptor() || shared->pool.pause > graph_now())
		return false;
	graph_token_get(shared->session);
	if (book(fetch, true) != 0)
		return false;
	send_request(fetch, true);
	return true;
}

/*
 * graph_fetch_received
 *		Bytes of the answer that is under way.
 */
uint64
graph_fetch_received(const GraphFetch *fetch)
{
	return fetch->transfer ? graph_http_received(fetch->transfer) : 0;
}

/*
 * graph_fetch_end
 *		Release the transfer and what belongs to it.
 */
void
graph_fetch_end(GraphFetch *fetch)
{
	GraphShared *shared = fetch->shared;
	uint64		bytes;

	graph_turn_lost(fetch->turn);
	if (fetch->transfer == NULL)
		return;
	bytes = graph_http_received(fetch->transfer);
	shared->pool.bytes += bytes;
	shared->stats->bytes += bytes;
	shared->pool.transfers--;
	graph_http_end(fetch->transfer);
	fetch->transfer = NULL;
	MemoryContextReset(fetch->context);
}

/*
 * graph_fetch_close
 *		The same, as nothing more is wanted of it; its name stays.
 */
void
graph_fetch_close(GraphFetch *fetch)
{
	graph_fetch_end(fetch);
	graph_turn_end(fetch->turn);
	fetch->shared->pool.wanted -= fetch->wanted;
	fetch->wanted = false;
}

/*
 * graph_fetch_clear
 *		Fetch nothing.
 */
void
graph_fetch_clear(GraphFetch *fetch)
{
	graph_fetch_close(fetch);
	forget_url(fetch);
	fetch->not_before = 0;
}

/*
 * graph_fetch_delay
 *		Do not send the request for so many milliseconds.
 */
void
graph_fetch_delay(GraphFetch *fetch, int milliseconds)
{
	fetch->not_before = Max(fetch->not_before, graph_after(milliseconds));
}

/*
 * graph_fetch_due
 *		When the request may be sent; 0 for at once.
 */
GraphTime
graph_fetch_due(const GraphFetch *fetch)
{
	return Max(fetch->not_before, fetch->shared->pool.pause);
}

/*
 * graph_fetch_name
 *		The request as messages name it.
 */
const char *
graph_fetch_name(const GraphFetch *fetch)
{
	const char *title = fetch->title;

	if (fetch->page > 1)
		title = psprintf("%s, page " UINT64_FORMAT, title, fetch->page);
	return graph_request_title(title, fetch->request_id);
}

/*
 * graph_fetch_accept
 *		Note the status of an answer; true if its body is what was asked for.
 */
bool
graph_fetch_accept(GraphFetch *fetch, const GraphHttpHeader *header)
{
	GraphShared *shared = fetch->shared;

	if (header->status != 401)
		fetch->token_renewed = false;
	shared->stats->throttled += header->status == 429;
	if (header->status != 429 && header->status != 503)
		graph_turn_taken(fetch->turn);
	if (header->status != 200 && header->status != 206)
		return false;
	graph_stats_clock(shared->stats, header->time);
	shared->pool.denied_since = 0;
	shared->pool.pages++;
	return true;
}

/*
 * set_again
 *		Set the fetch up to send the same request again, at that time.
 */
static void
set_again(GraphFetch *fetch, GraphTime when)
{
	GraphShared *shared = fetch->shared;

	fetch->not_before = when;
	shared->pool.retries++;
	shared->stats->retries++;
	elog(DEBUG1, "graph_fdw: again in %ld ms, attempt %d: %s",
		 graph_milliseconds_until(when), fetch->attempt + 1,
		 graph_fetch_name(fetch));
	graph_fetch_end(fetch);
}

/*
 * graph_fetch_again
 *		Set the fetch up to send the same request again, after a while.
 *
 * Returns NULL if that was done; otherwise the reason why not, "" for none
 * that needs to be given.  Where the service asked for a pause, all requests of
 * the scan make it.
 */
const char *
graph_fetch_again(GraphFetch *fetch, int retry_after)
{
	GraphShared *shared = fetch->shared;
	const char *why = "";
	int			delay;

	if (fetch->attempt >= shared->session->options.limits.max_retries)
		return fetch->attempt == 0 ? "" :
			psprintf("It was tried %d times.", fetch->attempt + 1);
	delay = graph_retry_delay(fetch->attempt, retry_after, &why);
	if (delay < 0)
		return why;

	fetch->attempt++;
	set_again(fetch, graph_after(delay));
	if (retry_after >= 0)
		shared->pool.pause = Max(shared->pool.pause, fetch->not_before);
	return NULL;
}

/*
 * graph_fetch_refused
 *		The same after the service has refused the request as one too many
 *		(status 429): all requests of this client wait.
 */
const char *
graph_fetch_refused(GraphFetch *fetch, const GraphHttpHeader *header)
{
	const GraphLimits *limits = &fetch->shared->session->options.limits;
	const GraphPatience patience = {
		.max_retries = limits->max_retries,
		.timeout = limits->throttle_timeout,
		.has_begun = fetch->shared->pool.pages > 0,
	};
	GraphTime	when;
	const char *why = graph_turn_refused(fetch->turn, &patience, header,
										 &fetch->attempt, &when);

	if (why == NULL)
		set_again(fetch, when);
	return why;
}

/*
 * graph_fetch_ask_anew
 *		Set the fetch up to ask for the same in another way, at once.
 */
void
graph_fetch_ask_anew(GraphFetch *fetch, const char *path)
{
	graph_fetch_set(fetch, path, false);
	fetch->shared->pool.retries++;
}

/*
 * starve
 *		The system had no descriptor for the request: set it up to be sent as
 *		soon as there may be one; false if there is no hope.
 *
 * The server's own files and the connections that are kept give up theirs.
 * There is hope while other transfers go on, or if that has just been done.
 */
static bool
starve(GraphFetch *fetch)
{
	GraphPool  *pool = &fetch->shared->pool;
	int64		longest = graph_http_is_stuck() ? 1000 : LONGEST_DENIED_MS;

	graph_http_free_descriptors();
	if (pool->denied_since == 0)
		pool->denied_since = graph_now();
	if (graph_now() - pool->denied_since >= longest * 1000)
		return false;
	graph_fetch_end(fetch);
	fetch->not_before = graph_after(STARVING_PAUSE_MS);
	return true;
}

/*
 * graph_fetch_repair
 *		The transfer ended without its whole answer: set it up to be sent again,
 *		or raise the error.
 */
void
graph_fetch_repair(GraphFetch *fetch)
{
	GraphShared *shared = fetch->shared;
	const char *text;
	const char *why = "";
	GraphTransport transport = graph_http_result(fetch->transfer, &text);

	if (transport == GRAPH_TRANSPORT_STARVED && starve(fetch))
		return;
	if (graph_may_retry(transport, 0, GRAPH_RETRY_REMOTE))
	{
		why = graph_fetch_again(fetch, -1);
		if (why == NULL)
			return;
	}
	graph_report_transport(&shared->session->peer, graph_fetch_name(fetch),
						   shared->session->options.service.endpoint,
						   transport, text, why[0] ? why : NULL);
}

/*
 * graph_fetch_cut_again
 *		The answer ended in the middle of its document: set the fetch up to be
 *		sent again, if the connection may have been cut there; true if that was
 *		done.
 *
 * Where the answer said how long it is, and is as long, it is to be taken as
 * the service's word.
 */
bool
graph_fetch_cut_again(GraphFetch *fetch)
{
	return graph_http_may_be_cut(fetch->transfer) &&
		graph_fetch_again(fetch, -1) == NULL;
}

/*
 * graph_fetch_renew_token
 *		After 401: set the fetch up to be sent with a new token; true if that was
 *		done.
 *
 * Once; but where the service has taken this login's token before, a new one
 * that it does not take yet is tried again like any failure that may pass.
 */
bool
graph_fetch_renew_token(GraphFetch *fetch)
{
	bool		again = fetch->token_renewed;

	if (again && fetch->shared->pool.pages == 0)
		return false;
	fetch->token_renewed = true;
	if (!graph_token_renew(fetch->shared->session, fetch->bearer_number))
		return false;
	if (again)
		return graph_fetch_again(fetch, -1) == NULL;
	graph_fetch_end(fetch);
	return true;
}

/*
 * graph_fetch_replace_stale
 *		After 408: set the fetch up to be sent at once, if that was said of a
 *		kept connection; true if that was done.
 *
 * Some proxies write it before they close a connection on which nothing was
 * asked for a while; the next request finds it and takes it for its answer.
 */
bool
graph_fetch_replace_stale(GraphFetch *fetch)
{
	if (fetch->stale || !graph_http_was_kept(fetch->transfer))
		return false;
	fetch->stale = true;
	graph_fetch_end(fetch);
	return true;
}
