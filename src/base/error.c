/*-------------------------------------------------------------------------
 *
 * error.c
 *		What does a failed request mean: try again, or which error?
 *
 * One table maps HTTP statuses to SQLSTATEs, to who may send the request
 * again, to whether it was certainly not done, and to what can be done about
 * it; another does the same for transfers that got no whole answer.  Reads and
 * changes that say what shall be go by the first, what may be done only once
 * (a POST) by both.  What a user reads about a failure of the service
 * is composed here, from parts that redact.c has sanitized; what the token
 * endpoint says of a login is login_error.c's.
 *
 * What this file refuses to know: libcurl, JSON, logins.  Its callers say how a
 * transfer ended and what an error document holds.
 *
 * Sources: RFC 9110 section 15 (statuses); Microsoft Graph "error responses"
 * and "throttling" (error.code, request-id, Retry-After).
 *
 * IDENTIFICATION
 *		src/base/error.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "lib/stringinfo.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/graph_base.h"

/* The first wait of a back-off, doubled each time, and the longest. */
#define RETRY_FIRST_DELAY_MS	500
#define RETRY_LONGEST_DELAY_MS	60000

/* A Retry-After beyond this is not waited for: the query fails instead. */
#define RETRY_LONGEST_ASKED_MS	(10 * 60 * 1000)

static const char proxy_hint[] =
"The server's option \"proxy\" names the proxy; if that wants to know who asks, a superuser can set \"proxy_user\" and \"proxy_password\" on the user mapping.";

/* The first rule that holds a status is its rule. */
static const GraphStatusRule status_rules[] = {
	{206, 206, ERRCODE_FDW_UNABLE_TO_CREATE_REPLY, GRAPH_RETRY_NEVER, false, "Partial Content", NULL},
	{300, 399, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, GRAPH_RETRY_NEVER, false, "a redirect",
	"Redirects are not followed, since secrets and tokens belong to one origin.  Check the server's options \"cloud\", \"endpoint\" and \"authority\"."},
	{400, 400, ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION, GRAPH_NOT_DONE, true, "Bad Request",
	"If the service takes smaller pages only, set the option \"page_size\" of the server or foreign table."},
	{401, 401, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, GRAPH_NOT_DONE, true, "Unauthorized",
	"Check the login of the user mapping, and that the server's option \"cloud\" names the cloud of the tenant."},
	{403, 403, ERRCODE_INSUFFICIENT_PRIVILEGE, GRAPH_NOT_DONE, true, "Forbidden", NULL},
	{404, 404, ERRCODE_FDW_TABLE_NOT_FOUND, GRAPH_RETRY_LOCAL | GRAPH_NOT_DONE, false, "Not Found",
	"Check the server's options \"cloud\", \"endpoint\" and \"api_version\"."},
	{407, 407, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, GRAPH_NOT_DONE, false, "Proxy Authentication Required",
	proxy_hint},
	{408, 408, ERRCODE_CONNECTION_FAILURE, GRAPH_RETRY_ALL, false, "Request Timeout", NULL},
	{410, 410, ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION, GRAPH_RETRY_LOCAL | GRAPH_NOT_DONE, false, "a client error", NULL},
	{413, 414, ERRCODE_PROGRAM_LIMIT_EXCEEDED, GRAPH_NOT_DONE, false, "request too long", NULL},
	{429, 429, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, GRAPH_RETRY_ALL | GRAPH_NOT_DONE, false, "Too Many Requests",
	"The service allows about 150 requests a minute for one application and tenant.  Try again later, or ask for fewer alerts."},
	{400, 499, ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION, GRAPH_NOT_DONE, false, "a client error", NULL},
	{500, 500, ERRCODE_FDW_ERROR, GRAPH_RETRY_ALL, false, "Internal Server Error", NULL},
	{502, 502, ERRCODE_CONNECTION_FAILURE, GRAPH_RETRY_ALL, false, "Bad Gateway", NULL},
	{503, 503, ERRCODE_CANNOT_CONNECT_NOW, GRAPH_RETRY_ALL | GRAPH_NOT_DONE_IF_ASKED, false, "Service Unavailable", NULL},
	{504, 504, ERRCODE_CONNECTION_FAILURE, GRAPH_RETRY_ALL, false, "Gateway Timeout", NULL},
	{500, 599, ERRCODE_FDW_ERROR, GRAPH_RETRY_NEVER, false, "a server error", NULL},
	{0, 999, ERRCODE_FDW_UNABLE_TO_CREATE_REPLY, GRAPH_RETRY_NEVER, false, "an unexpected status", NULL},
};

/* How a transfer without a whole answer ended: by GraphTransport. */
typedef struct TransportRule
{
	int			sqlstate;
	int			retry;
	const char *problem;
	const char *hint;
	const char *proxied_hint;	/* where a wrong proxy may be why, or NULL */
	const char *plain_hint;		/* where it is asked by plain http, or NULL */
} TransportRule;

#define THROUGH_PROXY	"The connection goes through the proxy that the server's option \"proxy\" names: is it that one"
#define RESOLVE_HINT	"The host of the PostgreSQL server has to resolve it: check its DNS, and the server's options \"cloud\", \"endpoint\", \"authority\" and \"proxy\"."
#define HANDSHAKE_HINT	"Either the connection was lost, or the other side does not speak TLS 1.2 or later."
#define NO_TLS_HINT		"The other side does not speak TLS 1.2 or later: it may be too old, or the port is one for plain HTTP."
#define TLS_HINT		"The certificate has to be for the host that \"endpoint\", \"authority\" or \"proxy\" names.  If it was issued by an authority of your own, a superuser can set the server's option \"ca_file\" to a file that the PostgreSQL server can read.  One that has expired or is not yet valid may be due to the clock of this host."
#define TIMEOUT_HINT	"The server's option \"connect_timeout\" sets how long is waited; a number without a unit is milliseconds."

static const TransportRule transport_rules[] = {
	[GRAPH_TRANSPORT_RESOLVE] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, GRAPH_RETRY_REMOTE | GRAPH_NOT_DONE,
		"could not resolve the name of", RESOLVE_HINT, RESOLVE_HINT "  " THROUGH_PROXY "?"},
	[GRAPH_TRANSPORT_RESOLVE_PROXY] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, GRAPH_RETRY_REMOTE | GRAPH_NOT_DONE,
		"could not resolve the name of the proxy for", "The host of the PostgreSQL server has to resolve it: check its DNS, and the server's option \"proxy\"."},
	[GRAPH_TRANSPORT_CONNECT] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, GRAPH_RETRY_REMOTE | GRAPH_NOT_DONE,
		"could not connect to", "The host of the PostgreSQL server has to reach it, if need be through a proxy, which the server's option \"proxy\" names.",
		THROUGH_PROXY ", and can the host of the PostgreSQL server reach it?",
	"Something has to listen there, on the host of the PostgreSQL server."},
	[GRAPH_TRANSPORT_PROXY] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, GRAPH_NOT_DONE,
		"the proxy refused to connect to", proxy_hint},
	[GRAPH_TRANSPORT_PROXY_BUSY] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, GRAPH_RETRY_REMOTE | GRAPH_NOT_DONE,
		"the proxy could not connect to", proxy_hint},
	[GRAPH_TRANSPORT_HANDSHAKE] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, GRAPH_RETRY_REMOTE | GRAPH_NOT_DONE,
		"could not establish a trusted TLS connection to", HANDSHAKE_HINT, HANDSHAKE_HINT "  " THROUGH_PROXY "?"},
	[GRAPH_TRANSPORT_NO_TLS] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, GRAPH_NOT_DONE,
		"could not establish a trusted TLS connection to", NO_TLS_HINT, NO_TLS_HINT "  " THROUGH_PROXY "?"},
	[GRAPH_TRANSPORT_TLS] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, GRAPH_NOT_DONE,
		"could not establish a trusted TLS connection to", TLS_HINT, TLS_HINT "  " THROUGH_PROXY "?"},
	[GRAPH_TRANSPORT_CONNECT_TIMEOUT] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, GRAPH_RETRY_REMOTE | GRAPH_NOT_DONE,
		"timed out while connecting to", TIMEOUT_HINT, TIMEOUT_HINT "  " THROUGH_PROXY "?"},
	[GRAPH_TRANSPORT_SILENCE] = {ERRCODE_CONNECTION_FAILURE, GRAPH_RETRY_REMOTE,
		"timed out while waiting for", "The server's option \"request_timeout\" sets how long a silence is waited for; a number without a unit is milliseconds."},
	[GRAPH_TRANSPORT_BROKEN] = {ERRCODE_CONNECTION_FAILURE, GRAPH_RETRY_ALL,
		"lost the connection to", NULL, THROUGH_PROXY "?",
	"If it answers nothing each time, it may want to be asked by https."},
	[GRAPH_TRANSPORT_ENCODING] = {ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE, GRAPH_RETRY_NEVER,
		"could not decompress the answer of", NULL},
	[GRAPH_TRANSPORT_LENGTH] = {ERRCODE_FDW_UNABLE_TO_CREATE_REPLY, GRAPH_RETRY_NEVER,
		"refused a possibly incomplete answer of", NULL},
	[GRAPH_TRANSPORT_TOO_LARGE] = {ERRCODE_PROGRAM_LIMIT_EXCEEDED, GRAPH_RETRY_NEVER,
		"refused an oversized answer of", NULL},
	[GRAPH_TRANSPORT_STARVED] = {ERRCODE_INSUFFICIENT_RESOURCES, GRAPH_NOT_DONE,
		"out of file descriptors for a request to", "Raise the operating system's limit for the server, or lower the server's option \"concurrency\"."},
	[GRAPH_TRANSPORT_OTHER] = {ERRCODE_FDW_ERROR, GRAPH_RETRY_NEVER,
		"could not exchange data with", NULL},
};

/*
 * graph_report_out_of_memory
 *		Raise the error for what a library could not allocate.
 */
void
graph_report_out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/*
 * graph_status_rule
 *		The rule of a status; there is always one.
 */
const GraphStatusRule *
graph_status_rule(int status)
{
	const GraphStatusRule *rule = status_rules;

	Assert(status >= 0 && status <= 999);
	while (status < rule->first || status > rule->last)
		rule++;
	return rule;
}

/*
 * graph_may_retry
 *		May a request that ended so be sent again, if it is idempotent?
 *
 * who is GRAPH_RETRY_REMOTE or GRAPH_RETRY_LOCAL.
 */
bool
graph_may_retry(GraphTransport transport, int status, int who)
{
	int			retry = transport == GRAPH_TRANSPORT_OK ?
		graph_status_rule(status)->retry : transport_rules[transport].retry;

	return (retry & who) != 0;
}

/*
 * graph_may_be_done
 *		May the service have done what was asked of it by a request that ended
 *		so?
 *
 * retry_after is what it asked to wait, or -1.
 */
bool
graph_may_be_done(GraphTransport transport, int status, int retry_after)
{
	int			retry = transport == GRAPH_TRANSPORT_OK ?
		graph_status_rule(status)->retry : transport_rules[transport].retry;

	if (retry & GRAPH_NOT_DONE_IF_ASKED)
		return retry_after < 0;
	return (retry & GRAPH_NOT_DONE) == 0;
}

/*
 * graph_request_title
 *		What messages call a request: by its name, and with the id that was
 *		sent with it, if it was sent.
 */
char *
graph_request_title(const char *name, const char *id)
{
	return id[0] ? psprintf("%s (client-request-id %s)", name, id) :
		pstrdup(name);
}

/*
 * graph_wait_problem
 *		Why it makes no sense to wait so many milliseconds, as a sentence; NULL if
 *		it does.
 *
 * The service may ask for more than anybody waits (longest, in milliseconds),
 * or for more than is left of statement_timeout.
 */
const char *
graph_wait_problem(int64 delay, int retry_after, int longest)
{
	if ((int64) retry_after * 1000 > longest)
		return psprintf("The service asks to wait %d seconds.", retry_after);
	if (get_timeout_active(STATEMENT_TIMEOUT) &&
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay) >
		get_timeout_finish_time(STATEMENT_TIMEOUT))
		return psprintf("The next attempt would be in %.1f seconds, after statement_timeout has ended.",
						delay / 1000.0);
	return NULL;
}

/*
 * graph_refusal_delay
 *		How long to wait, in milliseconds, after a request was refused as one too
 *		many, where only one is made at a time.
 *
 * attempt counts from 0; retry_after is what the service asked for in
 * seconds, or -1.  Returns -1 when waiting makes no sense, with *why set.
 */
int
graph_refusal_delay(int attempt, int retry_after, int longest,
					const char **why)
{
	int64		delay = graph_refusal_wait(attempt + 1, retry_after);
	const char *problem = graph_wait_problem(delay, retry_after, longest);

	Assert(attempt >= 0);
	if (problem == NULL)
		return (int) delay;
	*why = problem;
	return -1;
}

/*
 * graph_retry_delay
 *		The same after a failure of another kind.
 *
 * Without retry_after the wait doubles each time, and half of it is random so
 * that backends do not come back together.
 */
int
graph_retry_delay(int attempt, int retry_after, const char **why)
{
	int64		delay = (int64) retry_after * 1000;
	const char *problem;

	Assert(attempt >= 0);
	if (retry_after < 0)
	{
		delay = (int64) RETRY_FIRST_DELAY_MS << Min(attempt, 16);
		delay = Min(delay, RETRY_LONGEST_DELAY_MS);
		delay = delay / 2 +
			(int64) (pg_prng_double(&pg_global_prng_state) * (delay / 2));
	}

	problem = graph_wait_problem(delay, retry_after, RETRY_LONGEST_ASKED_MS);
	if (problem == NULL)
		return (int) delay;
	*why = problem;
	return -1;
}

/*
 * graph_describe_remote
 *		The sentences of a DETAIL about what the service said, and the one that
 *		we add (or NULL); NULL if there are none.
 */
char *
graph_describe_remote(const GraphPeer *peer, const GraphHttpHeader *header,
					  const GraphRemoteError *remote, const char *why)
{
	StringInfoData detail;
	const char *id = remote->request_id ? remote->request_id : header->request_id;

	initStringInfo(&detail);
	if (remote->code && remote->code[0])
		appendStringInfo(&detail, "Error \"%s\"",
						 graph_sanitize_remote_text(peer, remote->code));
	if (remote->message && remote->message[0])
		appendStringInfo(&detail, "%s%s", detail.len ? ": " : "The service says: ",
						 graph_sanitize_remote_text(peer, remote->message));
	if (detail.len > 0 && detail.data[detail.len - 1] != '.')
		appendStringInfoChar(&detail, '.');
	if (detail.len == 0 && header->content_type[0] &&
		strncmp(header->content_type, "application/json", 16) != 0)
		appendStringInfo(&detail, "The answer is of type \"%s\" and not from Microsoft Graph.",
						 graph_sanitize_remote_text(peer, header->content_type));
	if (id && id[0])
		appendStringInfo(&detail, "%sRequest id: %s.", detail.len ? "  " : "",
						 graph_sanitize_remote_text(peer, id));
	if (why)
		appendStringInfo(&detail, "%s%s", detail.len ? "  " : "", why);
	return detail.len > 0 ? detail.data : NULL;
}

/*
 * graph_status_hint
 *		What a person can do about a status of Graph; NULL if we do not know.
 *		What was asked takes the permission.
 */
const char *
graph_status_hint(const GraphPeer *peer, int status, const char *permission)
{
	if (status == 401 && peer->token_is_given)
		return "The token in the user mapping's option \"access_token\" has expired or was issued for another service or cloud.";
	if (status == 403)
		return psprintf("Grant the application permission %s to the app registration and give admin consent.  A token that was issued before does not have it: call graph_fdw_disconnect().",
						permission);
	return graph_status_rule(status)->hint;
}

/*
 * graph_report_status
 *		Raise the error for an answer of Graph that is not 200.
 *
 * remote is what its document says.  why, if not NULL, is a sentence about
 * why it was not tried again.
 */
void
graph_report_status(const GraphPeer *peer, const char *request,
					const GraphHttpHeader *header,
					const GraphRemoteError *remote, const char *why)
{
	const GraphStatusRule *rule = graph_status_rule(header->status);
	const char *hint = graph_status_hint(peer, header->status,
										 peer->permission);
	char	   *detail = graph_describe_remote(peer, header, remote, why);

	if (header->status == 403 && peer->otherwise)
		hint = psprintf("%s  %s", hint, peer->otherwise);
	/* so Graph calls the first part of a path that it does not know */
	if (header->status == 400 && remote->message &&
		strncmp(remote->message, "Invalid version", 15) == 0)
		hint = graph_status_rule(404)->hint;

	ereport(ERROR,
			(errcode(rule->sqlstate),
			 errmsg("server \"%s\" answered with status %d (%s)",
					peer->server_name, header->status, rule->meaning),
			 detail ? errdetail("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0,
			 errcontext("Microsoft Graph request: %s", request)));
}

/*
 * transport_hint
 *		What a person can do about a transfer that ended so; NULL if we do not
 *		know.
 *
 * What is asked by plain http is on this machine, and asked without the proxy.
 */
static const char *
transport_hint(const GraphPeer *peer, const char *where,
			   GraphTransport transport)
{
	const TransportRule *rule = &transport_rules[transport];

	if (graph_url_is_plain(where))
		return rule->plain_hint ? rule->plain_hint : rule->hint;
	return peer->proxied && rule->proxied_hint ? rule->proxied_hint : rule->hint;
}

/*
 * graph_report_transport
 *		Raise the error for a transfer that did not get its whole answer.
 *
 * text is what the HTTP library says; where is the URL's origin.
 */
void
graph_report_transport(const GraphPeer *peer, const char *request,
					   const char *where, GraphTransport transport,
					   const char *text, const char *why)
{
	const TransportRule *rule = &transport_rules[transport];
	char	   *shown = graph_sanitize_remote_text(peer, text);
	const char *hint = transport_hint(peer, where, transport);

	Assert(transport != GRAPH_TRANSPORT_OK);
	ereport(ERROR,
			(errcode(rule->sqlstate),
			 errmsg("%s \"%s\"%s%s", rule->problem, where,
					shown[0] ? ": " : "", shown),
			 why ? errdetail("%s", why) : 0,
			 hint ? errhint("%s", hint) : 0,
			 errcontext("Microsoft Graph request: %s", request)));
}

/*
 * graph_report_throttled
 *		Raise the error for a request that is not sent, as the service takes none
 *		of this client for longer than can be waited; problem is a sentence.
 */
void
graph_report_throttled(const GraphPeer *peer, const char *request,
					   const char *problem)
{
	const GraphStatusRule *rule = graph_status_rule(429);

	ereport(ERROR,
			(errcode(rule->sqlstate),
			 errmsg("server \"%s\" takes no requests at the moment",
					peer->server_name),
			 errdetail("%s", problem),
			 errhint("%s", rule->hint),
			 errcontext("Microsoft Graph request: %s", request)));
}

/*
 * report_incomplete
 *		An error with a hint, or a warning.
 */
static void
report_incomplete(const GraphPeer *peer, const char *request,
				  const char *problem, const char *hint)
{
	bool		warn = peer->partial_is_warning;

	ereport(warn ? WARNING : ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
			 errmsg("server \"%s\" gave an incomplete answer",
					peer->server_name),
			 errdetail("%s", problem),
			 warn ? 0 : errhint("%s", hint),
			 errcontext("Microsoft Graph request: %s", request)));
}

/*
 * graph_report_partial
 *		Say that an answer is not all that was asked for.
 *
 * An error, or a warning with the option on_partial; then the caller goes on
 * with what there is.  problem is a sentence.
 */
void
graph_report_partial(const GraphPeer *peer, const char *request,
					 const char *problem)
{
	report_incomplete(peer, request, problem,
					  "The server's option \"on_partial\" can make this a warning.");
}

/*
 * graph_report_short
 *		The same for a list that held fewer alerts than the service counts.
 */
void
graph_report_short(const GraphPeer *peer, const char *request,
				   const char *problem)
{
	report_incomplete(peer, request, problem,
					  "If the service's count is wrong, set the option \"count_pushdown\" of the server or foreign table to false; the server's option \"on_partial\" can make this a warning.");
}

/*
 * graph_report_document
 *		Raise the error for an answer that is no document of the right form.
 */
void
graph_report_document(const GraphPeer *peer, const char *request,
					  const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("could not read the answer of server \"%s\"",
					peer->server_name),
			 errdetail("%s", problem),
			 errcontext("Microsoft Graph request: %s", request)));
}
