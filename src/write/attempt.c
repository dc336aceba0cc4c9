/*-------------------------------------------------------------------------
 *
 * attempt.c
 *		How is one write sent, sent again, and given up?
 *
 * The sibling of scan/fetch.c and scan/answer.c for requests that change
 * something.  A PATCH says what shall be, so it is sent again whenever a GET
 * would be.  A POST adds something each time, and is sent again only where it
 * was certainly not taken; it goes over a connection of its own (net/easy.c).
 * Both are in the tables of base/error.c.
 *
 * A write is taken when an answer of the service begins with a status that says
 * so.  What follows may be lost, or be nothing: then there is no answer, and the
 * caller may have the record read.
 *
 * What this file refuses to know: what is under way besides, and what a body
 * says.
 *
 * IDENTIFICATION
 *		src/write/attempt.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "write/write_int.h"

/* How often, and how long, a write that has no descriptor looks for one. */
#define STARVING_PAUSE_MS	20
#define LONGEST_STARVING_MS	INT64CONST(30000)

/*
 * graph_posted_title
 *		The request as messages name it.
 */
char *
graph_posted_title(const GraphPosted *posted)
{
	const GraphWrite *write = &posted->write;
	char	   *name = posted->read_path ?
		psprintf("GET %s", posted->read_path) :
		psprintf("%s %s", write->method == GRAPH_METHOD_PATCH ? "PATCH" : "POST",
				 write->path);

	return graph_request_title(name, posted->request_id);
}

/*-------------------------------------------------------------------------
 * Sending
 *-------------------------------------------------------------------------
 */

/*
 * send_request
 *		Send it, for which a token has been got.
 *
 * In the answer newer enum members have their names, as they have in a scan's.
 */
static void
send_request(GraphWriter *writer, GraphPosted *posted)
{
	GraphSession *session = writer->session;
	const GraphService *service = &session->options.service;
	GraphHttpRequest request;
	MemoryContext old;

	Assert(posted->transfer == NULL);

	old = MemoryContextSwitchTo(posted->attempt);
	graph_session_request(session,
						  psprintf("%s/%s%s", service->endpoint,
								   service->api_version,
								   posted->read_path ? posted->read_path :
								   posted->write.path), &request);
	request.headers = lappend(request.headers,
							  pstrdup("Prefer: include-unknown-enum-members"));
	request.bearer = session->peer.bearer;
	request.fresh_connection = posted->failed > 0 || posted->stale;
	if (posted->read_path == NULL)
	{
		request.method = posted->write.method;
		request.json = posted->write.body;
	}
	posted->transfer = graph_http_start(posted->attempt, &request);
	MemoryContextSwitchTo(old);

	posted->bearer_number = session->bearer_number;
	strlcpy(posted->request_id, graph_http_id(posted->transfer),
			sizeof(posted->request_id));
	writer->counters.requests++;
	writer->stats->requests++;
	elog(DEBUG2, "graph_fdw: sent %s", graph_posted_title(posted));
}

/*
 * book
 *		When a write may be sent, by requests_per_minute and by what the service
 *		takes of this client; 0 for now, for which it is booked.
 */
static GraphTime
book(GraphWriter *writer, GraphPosted *posted)
{
	const GraphSession *session = writer->session;
	const GraphLimits *limits = &session->options.limits;
	const GraphWish wish = {
		.method = posted->read_path ? "GET" :
		posted->write.method == GRAPH_METHOD_PATCH ? "PATCH" : "POST",
		.resource = graph_resource_info(session->options.resource)->entity_set,
		.userid = session->userid,
		.before = writer->counters.requests,
		.lanes = limits->concurrency,
		.per_minute = limits->requests_per_minute,
	};

	int64		before = graph_turn_waited(posted->turn);
	GraphTime	when = graph_turn_ask(posted->turn, &wish);

	writer->counters.limited += graph_turn_waited(posted->turn) - before;
	return when;
}

/*
 * check_wait
 *		Raise the error for a write that has to wait for longer than makes sense.
 */
static void
check_wait(const GraphWriter *writer, const GraphPosted *posted)
{
	const GraphSession *session = writer->session;
	const char *problem =
		graph_turn_problem(posted->turn, posted->not_before,
						   session->options.limits.throttle_timeout);

	if (problem)
		graph_report_throttled(&session->peer, graph_posted_title(posted),
							   problem);
}

/*
 * graph_attempt_start
 *		Send a write, unless it has to wait; then posted->not_before says until
 *		when.
 *
 * Where descriptors are scarce, one at a time is sent all the same.
 */
bool
graph_attempt_start(GraphWriter *writer, GraphPosted *posted)
{
	posted->not_before = Max(posted->not_before, writer->pause);
	if (posted->not_before > graph_now())
		return false;
	if (writer->nopen > 1 && !graph_http_has_descriptor())
		posted->not_before = graph_after(STARVING_PAUSE_MS);
	else
	{
		/* nobody is to wait for a place that somebody has who logs in */
		graph_token_get(writer->session);
		posted->not_before = book(writer, posted);
		if (posted->not_before != 0)
			check_wait(writer, posted);
	}
	if (posted->not_before != 0)
		return false;
	send_request(writer, posted);
	return true;
}

/*
 * graph_attempt_end
 *		Release the transfer and what belongs to it.
 */
void
graph_attempt_end(GraphWriter *writer, GraphPosted *posted)
{
	uint64		bytes;

	graph_turn_lost(posted->turn);
	if (posted->transfer == NULL)
		return;
	bytes = graph_http_received(posted->transfer);
	writer->counters.bytes += bytes;
	writer->stats->bytes += bytes;
	graph_http_end(posted->transfer);
	posted->transfer = NULL;
	posted->write.answer = (GraphSlice) {NULL, 0};
	MemoryContextReset(posted->attempt);
}

/*-------------------------------------------------------------------------
 * What became of it
 *-------------------------------------------------------------------------
 */

/*
 * graph_status_is_success
 *		Does the header of an answer say that the service has done what was
 *		asked?
 *
 * A gateway's page says nothing of the service.
 */
bool
graph_status_is_success(const GraphHttpHeader *header)
{
	return header->status >= 200 && header->status <= 299 &&
		(header->status == 204 || header->content_type[0] == '\0' ||
		 pg_strncasecmp(header->content_type, "application/json", 16) == 0);
}

/*
 * may_be_done
 *		May the service have done what this attempt asked, as far as one knows?
 */
static bool
may_be_done(const GraphPosted *posted)
{
	GraphTransfer *transfer = posted->transfer;
	const GraphHttpHeader *header;
	GraphTransport transport;
	const char *text;

	if (transfer == NULL || !graph_http_was_sent(transfer))
		return false;
	header = graph_http_header(transfer);
	if (header->ended)
		transport = GRAPH_TRANSPORT_OK; /* the status says it */
	else if (graph_http_done(transfer))
		transport = graph_http_result(transfer, &text);
	else
		return true;
	return graph_may_be_done(transport, header->status, header->retry_after);
}

/*
 * graph_posted_may_be_done
 *		May the service have done it, with this attempt or one before?
 */
bool
graph_posted_may_be_done(const GraphPosted *posted)
{
	return posted->in_doubt || may_be_done(posted);
}

/*
 * set_again
 *		Set a write up to be sent again, at that time.
 */
static void
set_again(GraphWriter *writer, GraphPosted *posted, GraphTime when)
{
	posted->in_doubt = graph_posted_may_be_done(posted);
	posted->not_before = when;
	writer->counters.retries++;
	writer->stats->retries++;
	elog(DEBUG1, "graph_fdw: again in %ld ms, attempt %d: %s",
		 graph_milliseconds_until(when), posted->failed + 1,
		 graph_posted_title(posted));
	graph_attempt_end(writer, posted);
}

/*
 * again_after_refusal
 *		Set a write up to be sent again after it was refused as one too many
 *		(status 429): all requests of this client wait.
 *
 * Returns NULL if that was done; otherwise the reason why not, "" for none
 * that needs to be given.
 */
static const char *
again_after_refusal(GraphWriter *writer, GraphPosted *posted,
					const GraphHttpHeader *header)
{
	const GraphLimits *limits = &writer->session->options.limits;
	const GraphPatience patience = {
		.max_retries = limits->max_retries,
		.timeout = limits->throttle_timeout,
		.has_begun = writer->counters.writes > 0,
	};
	GraphTime	when;
	const char *why = graph_turn_refused(posted->turn, &patience, header,
										 &posted->failed, &when);

	if (why == NULL)
		set_again(writer, posted, when);
	return why;
}

/*
 * again
 *		Set a write up to be sent again, after a while.
 *
 * Returns NULL if that was done; otherwise the reason why not, "" for none
 * that needs to be given.  Where the service asked for a pause, all writes make
 * it.
 */
static const char *
again(GraphWriter *writer, GraphPosted *posted, int retry_after)
{
	const char *why = "";
	int			delay;

	if (posted->failed >= writer->session->options.limits.max_retries)
		return posted->failed == 0 ? "" :
			psprintf("It was tried %d times.", posted->failed + 1);
	delay = graph_retry_delay(posted->failed, retry_after, &why);
	if (delay < 0)
		return why;

	posted->failed++;
	set_again(writer, posted, graph_after(delay));
	if (retry_after >= 0)
		writer->pause = Max(writer->pause, posted->not_before);
	return NULL;
}

/*
 * may_retry
 *		May the same request be sent again after this?
 */
static bool
may_retry(const GraphPosted *posted, GraphTransport transport, int status)
{
	if (!graph_may_retry(transport, status, GRAPH_RETRY_REMOTE))
		return false;
	return posted->read_path || posted->write.method == GRAPH_METHOD_PATCH ||
		!graph_posted_may_be_done(posted);
}

/*
 * starve
 *		The system had no descriptor for it: set it up to be sent as soon as
 *		there may be one; false if there is no hope.
 */
static bool
starve(GraphWriter *writer, GraphPosted *posted)
{
	graph_http_free_descriptors();
	if (writer->starved_since == 0)
		writer->starved_since = graph_now();
	if (graph_now() - writer->starved_since > LONGEST_STARVING_MS * 1000)
		return false;
	graph_attempt_end(writer, posted);
	posted->not_before = graph_after(STARVING_PAUSE_MS);
	return true;
}

/*
 * repair
 *		There was no answer: set the write up to be sent again, or raise the
 *		error.
 */
static void
repair(GraphWriter *writer, GraphPosted *posted)
{
	GraphSession *session = writer->session;
	const char *text;
	const char *why = "";
	GraphTransport transport = graph_http_result(posted->transfer, &text);

	if (transport == GRAPH_TRANSPORT_STARVED && starve(writer, posted))
		return;
	if (may_retry(posted, transport, 0))
	{
		why = again(writer, posted, -1);
		if (why == NULL)
			return;
	}
	graph_report_transport(&session->peer, graph_posted_title(posted),
						   session->options.service.endpoint, transport, text,
						   why[0] ? why : NULL);
}

/*
 * renew_token
 *		After 401: set the write up to be sent at once with a new token; false if
 *		that was done before, or cannot be.
 */
static bool
renew_token(GraphWriter *writer, GraphPosted *posted)
{
	if (posted->token_renewed)
		return false;
	posted->token_renewed = true;
	if (!graph_token_renew(writer->session, posted->bearer_number))
		return false;
	graph_attempt_end(writer, posted);
	return true;
}

/*
 * replace_stale
 *		After 408 on a kept connection, which some proxies write before they
 *		close one that was idle: set the write up to be sent at once on another.
 */
static bool
replace_stale(GraphWriter *writer, GraphPosted *posted)
{
	if (posted->stale || !graph_http_was_kept(posted->transfer))
		return false;
	posted->stale = posted->in_doubt = true;
	graph_attempt_end(writer, posted);
	return true;
}

/*
 * report_refused
 *		Raise the error for a write that the service has not done.
 */
pg_noreturn static void
report_refused(const GraphSession *session, const GraphPosted *posted,
			   const GraphHttpHeader *header, const GraphRemoteError *remote,
			   const char *why)
{
	const GraphStatusRule *rule = graph_status_rule(header->status);
	char	   *detail = graph_describe_remote(&session->peer, header, remote,
											   why[0] ? why : NULL);
	const char *permission =
		graph_resource_info(session->options.resource)->write_permission;
	const char *hint = NULL;

	/* those of the other two are for reading */
	if (header->status != 400 && header->status != 404)
		hint = graph_status_hint(&session->peer, header->status, permission);

	ereport(ERROR,
			(errcode(header->status == 404 ?
					 ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION : rule->sqlstate),
			 errmsg("could not %s %s \"%s\": server \"%s\" answered with status %d (%s)",
					posted->account->adds ? "add a comment to" : "change",
					posted->account->record, posted->write.id,
					session->peer.server_name, header->status, rule->meaning),
			 detail ? errdetail("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0,
			 errcontext("Microsoft Graph request: %s",
						graph_posted_title(posted))));
}

/*
 * refuse
 *		The status is none of success: set the write up to be sent again, or
 *		raise the error.
 */
static void
refuse(GraphWriter *writer, GraphPosted *posted, const GraphHttpHeader *header)
{
	GraphSession *session = writer->session;
	const char *why = "";
	GraphRemoteError remote;
	GraphSlice	body;

	writer->stats->throttled += header->status == 429;
	if ((header->status == 401 && renew_token(writer, posted)) ||
		(header->status == 408 && posted->write.method == GRAPH_METHOD_PATCH &&
		 replace_stale(writer, posted)))
		return;
	if (may_retry(posted, GRAPH_TRANSPORT_OK, header->status))
	{
		why = header->status == 429 ?
			again_after_refusal(writer, posted, header) :
			again(writer, posted, header->retry_after);
		if (why == NULL)
			return;
	}
	(void) graph_http_wait_all(posted->transfer, GRAPH_MAX_DOCUMENT);
	body = graph_http_unread(posted->transfer);
	graph_decode_graph_error(body.data, body.len, &remote);
	if (posted->read_path)
		graph_report_status(&session->peer, graph_posted_title(posted), header,
							&remote, why[0] ? why : NULL);
	report_refused(session, posted, header, &remote, why);
}

/*-------------------------------------------------------------------------
 * Its answer
 *-------------------------------------------------------------------------
 */

/*
 * check_size
 *		Raise the error for an answer that is larger than a record may be.
 */
static void
check_size(const GraphSession *session, const GraphPosted *posted)
{
	size_t		most = session->options.limits.max_record_size;

	if (graph_http_unread(posted->transfer).len <= most)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("an %s of server \"%s\" is larger than %zu bytes",
					posted->account->record, session->peer.server_name, most),
			 errhint("The server's option \"max_record_size\" sets this limit."),
			 errcontext("Microsoft Graph request: %s",
						graph_posted_title(posted))));
}

/*
 * document_problem
 *		What is wrong with an answer of status 200, as a sentence; NULL if it is
 *		an object.  *refuses tells that it is one that holds an error.
 */
static const char *
document_problem(GraphSlice body, bool *refuses)
{
	GraphProjection *projection = graph_projection_create();
	int			slot = graph_projection_add(projection, "error");
	GraphSlice *slots = palloc0(graph_projection_size(projection) *
								sizeof(GraphSlice));
	size_t		start = graph_json_skip_blanks(body.data, body.len);
	GraphJsonError error = {0};
	size_t		end;

	*refuses = false;
	if (start == body.len || body.data[start] != '{')
		return "The answer is no JSON object.";
	switch (graph_json_locate(body.data, body.len, projection, slots, &end,
							  &error))
	{
		case GRAPH_JSON_INCOMPLETE:
			return "The answer ends in the middle of the document.";
		case GRAPH_JSON_MALFORMED:
			return psprintf("The JSON text is malformed: %s.", error.problem);
		case GRAPH_JSON_OK:
			break;
	}
	*refuses = slots[slot].data && !graph_slice_is_null(slots[slot]);
	return *refuses ? "The answer has status 200 but holds an \"error\"." : NULL;
}

/*
 * note_taken
 *		The service has done it, by the header of its answer.
 */
static void
note_taken(GraphWriter *writer, GraphPosted *posted)
{
	writer->starved_since = 0;
	if (posted->taken)
		return;
	posted->taken = true;
	posted->in_doubt = false;
	writer->counters.writes++;
	writer->stats->writes++;
	graph_account_done(posted->account, posted->write.id);
}

/*
 * note_doubtful
 *		It has not, or nobody knows, though its header said so.
 */
static void
note_doubtful(GraphWriter *writer, GraphPosted *posted)
{
	posted->refuted = posted->in_doubt = true;
	if (!posted->taken)
		return;
	posted->taken = false;
	writer->counters.writes--;
	writer->stats->writes--;
	graph_account_withdraw(posted->account, posted->write.id);
}

/*
 * give
 *		Let the caller have the answer, or none.
 */
static void
give(GraphPosted *posted, const GraphHttpHeader *header, bool whole)
{
	GraphWrite *write = &posted->write;

	graph_http_pin(posted->transfer);
	write->answer = graph_http_unread(posted->transfer);
	if (!whole)
		write->answer.len = 0;
	write->status = header->status;
	write->was_read = posted->read_path != NULL;
	write->request_id = posted->request_id;
}

/*
 * take_answer
 *		The answer of a write that was taken is there, as far as it came.
 *
 * What is incomplete by what the service says, or was cut or damaged, is no
 * answer; for what was done that does not matter.
 */
static void
take_answer(GraphWriter *writer, GraphPosted *posted,
			const GraphHttpHeader *header)
{
	GraphSlice	body = graph_http_unread(posted->transfer);
	bool		refuses = false;
	const char *text;
	const char *problem = document_problem(body, &refuses);

	if (refuses)
	{
		note_doubtful(writer, posted);
		graph_report_document(&writer->session->peer,
							  graph_posted_title(posted), problem);
	}
	give(posted, header, problem == NULL &&
		 header->status != 206 && header->warning[0] == '\0' &&
		 graph_http_result(posted->transfer, &text) == GRAPH_TRANSPORT_OK);
}

/*
 * take_record
 *		The answer to a read is there: it has to be a whole record.  Else set it
 *		up to be sent again, or raise the error; false if it is sent again.
 */
static bool
take_record(GraphWriter *writer, GraphPosted *posted,
			const GraphHttpHeader *header)
{
	const GraphPeer *peer = &writer->session->peer;
	char	   *title = graph_posted_title(posted);
	const char *text;
	const char *problem;
	bool		refuses;

	if (graph_http_result(posted->transfer, &text) != GRAPH_TRANSPORT_OK)
	{
		repair(writer, posted);
		return false;
	}
	if (header->status == 206 || header->warning[0])
		graph_report_partial(peer, title,
							 psprintf("Status %d.%s%s", header->status,
									  header->warning[0] ? "  Warning: " : "",
									  graph_sanitize_remote_text(peer, header->warning)));
	problem = document_problem(graph_http_unread(posted->transfer), &refuses);
	if (problem && graph_http_may_be_cut(posted->transfer) &&
		again(writer, posted, -1) == NULL)
		return false;
	if (problem)
		graph_report_document(peer, title, problem);
	give(posted, header, true);
	return true;
}

/*
 * report_foreign
 *		Raise the error for an answer with a status of success that is not the
 *		service's.
 */
pg_noreturn static void
report_foreign(const GraphWriter *writer, const GraphPosted *posted,
			   const GraphHttpHeader *header)
{
	const GraphPeer *peer = &writer->session->peer;

	graph_report_document(peer, graph_posted_title(posted),
						  psprintf("The answer is of type \"%s\" and not from Microsoft Graph.",
								   graph_sanitize_remote_text(peer, header->content_type)));
}

/*
 * graph_attempt_judge
 *		See what has come of a write that was sent: true if its answer is there.
 *
 * Otherwise it is under way, or was set up to be sent again; or it is an error.
 */
bool
graph_attempt_judge(GraphWriter *writer, GraphPosted *posted)
{
	const GraphHttpHeader *header = graph_http_header(posted->transfer);

	if (!header->ended)
	{
		if (graph_http_done(posted->transfer))
			repair(writer, posted);
		return false;
	}
	if (header->status != 429 && header->status != 503)
		graph_turn_taken(posted->turn);
	if (header->status < 200 || header->status > 299)
	{
		elog(DEBUG2, "graph_fdw: status %d: %s", header->status,
			 graph_posted_title(posted));
		refuse(writer, posted, header);
		return false;
	}
	if (!graph_status_is_success(header))
		report_foreign(writer, posted, header);
	note_taken(writer, posted);
	check_size(writer->session, posted);
	if (!graph_http_done(posted->transfer))
		return false;
	elog(DEBUG2, "graph_fdw: status %d: %s", header->status,
		 graph_posted_title(posted));
	if (posted->read_path)
		return take_record(writer, posted, header);
	take_answer(writer, posted, header);
	return true;
}
