/*-------------------------------------------------------------------------
 *
 * error.c
 *		What does a failed request mean: try again, or which error?
 *
 * One table maps HTTP statuses to SQLSTATEs, to whether the request may be
 * sent again, and to what a person can do; another does the same for the
 * token endpoint's AADSTS codes.  Everything that a user reads about a remote
 * failure is composed here, from parts that redact.c has made harmless.
 *
 * It knows neither curl nor JSON; http.c says how a transfer ended and
 * document.c what an error document holds.
 *
 * Sources: RFC 9110 section 15 (statuses); Microsoft Graph "error responses"
 * and "throttling" (error.code, request-id, Retry-After); Entra "reference
 * error codes" (AADSTS).
 *
 * IDENTIFICATION
 *		error.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "common/pg_prng.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "graph_fdw.h"

/* The first wait of a back-off, doubled each time, and the longest. */
#define RETRY_FIRST_DELAY_MS	500
#define RETRY_LONGEST_DELAY_MS	60000

/* A Retry-After beyond this is not waited for: the query fails instead. */
#define RETRY_LONGEST_ASKED_MS	(10 * 60 * 1000)

/* Clocks that differ by fewer seconds are not worth a word. */
#define CLOCK_TOLERANCE	120

typedef struct StatusRule
{
	int			first;			/* statuses first .. last */
	int			last;
	int			sqlstate;
	bool		retriable;
	const char *meaning;		/* RFC 9110's words, or Graph's */
	const char *hint;			/* or NULL */
} StatusRule;

/* The first rule that holds a status is its rule. */
static const StatusRule status_rules[] = {
	{206, 206, ERRCODE_FDW_UNABLE_TO_CREATE_REPLY, false, "Partial Content", NULL},
	{300, 399, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, false, "a redirect",
	"Redirects are not followed, since secrets and tokens belong to one origin.  Check the server's options \"cloud\", \"endpoint\" and \"authority\"."},
	{400, 400, ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION, false, "Bad Request",
	"If the service takes smaller pages only, set the option \"page_size\" of the server or foreign table."},
	{401, 401, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false, "Unauthorized",
	"Check the login of the user mapping, and that the server's option \"cloud\" names the cloud of the tenant."},
	{403, 403, ERRCODE_INSUFFICIENT_PRIVILEGE, false, "Forbidden",
	"Grant the application permission SecurityAlert.Read.All to the app registration and give admin consent.  A token that was issued before does not have it: call graph_fdw_disconnect()."},
	{404, 404, ERRCODE_FDW_TABLE_NOT_FOUND, false, "Not Found",
	"Check the server's options \"cloud\", \"endpoint\" and \"api_version\"."},
	{407, 407, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, false, "Proxy Authentication Required", NULL},
	{408, 408, ERRCODE_CONNECTION_FAILURE, true, "Request Timeout", NULL},
	{413, 414, ERRCODE_PROGRAM_LIMIT_EXCEEDED, false, "request too long", NULL},
	{429, 429, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, true, "Too Many Requests",
	"The service allows about 150 requests a minute for one application and tenant.  Try again later, or ask for fewer alerts."},
	{400, 499, ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION, false, "a client error", NULL},
	{500, 500, ERRCODE_FDW_ERROR, true, "Internal Server Error", NULL},
	{502, 502, ERRCODE_CONNECTION_FAILURE, true, "Bad Gateway", NULL},
	{503, 503, ERRCODE_CANNOT_CONNECT_NOW, true, "Service Unavailable", NULL},
	{504, 504, ERRCODE_CONNECTION_FAILURE, true, "Gateway Timeout", NULL},
	{500, 599, ERRCODE_FDW_ERROR, false, "a server error", NULL},
	{0, 999, ERRCODE_FDW_UNABLE_TO_CREATE_REPLY, false, "an unexpected status", NULL},
};

/* How a transfer without an answer ended: GraphTransport's order. */
typedef struct TransportRule
{
	GraphTransport transport;
	int			sqlstate;
	bool		retriable;
	const char *problem;
	const char *hint;
} TransportRule;

static const TransportRule transport_rules[] = {
	{GRAPH_TRANSPORT_RESOLVE, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, true,
	"could not resolve the name of", NULL},
	{GRAPH_TRANSPORT_CONNECT, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, true,
	"could not connect to", NULL},
	{GRAPH_TRANSPORT_PROXY, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, false,
		"the proxy refused to connect to",
	"The server's option \"proxy\" names the proxy; if that wants to know who asks, a superuser can set \"proxy_user\" and \"proxy_password\" on the user mapping."},
	{GRAPH_TRANSPORT_HANDSHAKE, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, true,
		"could not establish a trusted TLS connection to",
	"Either the connection was lost, or the other side does not speak TLS 1.2 or later."},
	{GRAPH_TRANSPORT_TLS, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, false,
		"could not establish a trusted TLS connection to",
	"If the service's certificate was issued by an authority of your own, a superuser can set the server's option \"ca_file\"."},
	{GRAPH_TRANSPORT_CONNECT_TIMEOUT, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, true,
	"timed out while connecting to", "The server's option \"connect_timeout\" sets how long is waited."},
	{GRAPH_TRANSPORT_SILENCE, ERRCODE_CONNECTION_FAILURE, true,
	"timed out while waiting for", "The server's option \"request_timeout\" sets how long a silence is waited for."},
	{GRAPH_TRANSPORT_BROKEN, ERRCODE_CONNECTION_FAILURE, true,
	"lost the connection to", NULL},
	{GRAPH_TRANSPORT_ENCODING, ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE, false,
	"could not decompress the answer of", NULL},
	{GRAPH_TRANSPORT_LENGTH, ERRCODE_FDW_UNABLE_TO_CREATE_REPLY, false,
	"refused a possibly incomplete answer of", NULL},
	{GRAPH_TRANSPORT_TOO_LARGE, ERRCODE_PROGRAM_LIMIT_EXCEEDED, false,
	"refused an oversized answer of", NULL},
	{GRAPH_TRANSPORT_STARVED, ERRCODE_INSUFFICIENT_RESOURCES, false,
		"out of file descriptors for a request to",
	"Raise the operating system's limit for the server, or lower the server's option \"concurrency\"."},
	{GRAPH_TRANSPORT_OTHER, ERRCODE_FDW_ERROR, false,
	"could not exchange data with", NULL},
};

/* What a person can do about an AADSTS code; others get no hint. */
typedef struct TokenRule
{
	int			aadsts;
	bool		retriable;
	const char *hint;
} TokenRule;

static const char hint_secret[] =
"Check the option \"client_secret\" of the user mapping: it is the secret's value and not its id, and it may have expired.";
static const char hint_client[] =
"Check the options \"client_id\" and \"tenant_id\": the application is not known in that tenant.";
static const char hint_tenant[] =
"Check the option \"tenant_id\", and that the server's option \"cloud\" names the cloud of the tenant.";
static const char hint_cloud[] =
"The tenant belongs to another cloud: set the server's option \"cloud\".";
static const char hint_resource[] =
"The tenant does not know Microsoft Graph by this address: check the server's option \"cloud\".";
static const char hint_certificate[] =
"Check that the certificate is among those of the app registration, and the options \"client_id\" and \"tenant_id\".";
static const char hint_audience[] =
"Set the option \"tenant_id\" to the tenant's GUID in place of a domain name, and check that the server's option \"cloud\" names its cloud.";
static const char hint_clock[] =
"Check the clock of this machine.";
static const char hint_federated[] =
"Check the federated credentials of the app registration: issuer, subject and audience are those of the token in the file of option \"federated_token_file\".";
static const char hint_refresh[] =
"The refresh token has expired or was revoked: get another by logging in again, and set it as option \"refresh_token\" of the user mapping.";
static const char hint_machine[] =
"Check that this machine has a managed identity, and the option \"client_id\" of the user mapping if it is a user-assigned one.";
static const char hint_person[] =
"Log in again with graph_fdw_login().";
static const char hint_public[] =
"The app registration does not allow logins without a secret: enable public client flows in it, or set \"client_secret\" beside \"refresh_token\", or another login, on the user mapping.";
static const char hint_not_public[] =
"The app registration is one of a public client: remove what proves the application from the user mapping, and leave \"refresh_token\".";
static const char hint_consent[] =
"Grant the permission SecurityAlert.Read.All to the app registration and give admin consent.";
static const char hint_interaction[] =
"The tenant wants more of this login than it has, such as a second factor: log in again as a person, or use a login of the application.";

/* What to do when the token endpoint refuses a login: by GraphLogin. */
static const char *const refused_hints[] = {
	[GRAPH_LOGIN_SECRET] = hint_secret,
	[GRAPH_LOGIN_CERTIFICATE] = hint_certificate,
	[GRAPH_LOGIN_FEDERATED] = hint_federated,
	[GRAPH_LOGIN_MANAGED_IDENTITY] = hint_machine,
	[GRAPH_LOGIN_REFRESH_TOKEN] = hint_refresh,
	[GRAPH_LOGIN_PERSON] = hint_person,
};

static const TokenRule token_rules[] = {
	{7000215, false, hint_secret},
	{7000222, false, hint_secret},
	{70002, false, hint_secret},
	{700016, false, hint_client},
	{700011, false, hint_client},
	{70001, false, hint_client},
	{90002, false, hint_tenant},
	{900023, false, hint_tenant},
	{90038, false, hint_cloud},
	{900382, false, hint_cloud},
	{900432, false, hint_cloud},
	{70011, false, hint_resource},
	{500011, false, hint_resource},
	{500014, false, hint_resource},
	{50001, false, hint_resource},
	{700027, false, hint_certificate},
	{700030, false, hint_certificate},
	{50012, false, hint_certificate},
	{700023, false, hint_audience},
	{700024, false, hint_clock},
	{700021, false, hint_federated},
	{70021, false, hint_federated},
	{700211, false, hint_federated},
	{700212, false, hint_federated},
	{700213, false, hint_federated},
	{7000218, false, hint_public},
	{700025, false, hint_not_public},
	{65001, false, hint_consent},
	{50076, false, hint_interaction},
	{50079, false, hint_interaction},
	{50158, false, hint_interaction},
	{53003, false, "A conditional access policy of the tenant blocks this login."},
	{90006, true, NULL},
	{90012, true, NULL},
	{90024, true, NULL},
	{90033, true, NULL},
	{90055, true, NULL},
	{90090, true, NULL},
	{70012, true, NULL},
};

static const StatusRule *status_rule(int status);
static const TransportRule *transport_rule(GraphTransport transport);
static const char *refused_hint(const GraphOptions *options,
								const char *code);
static const TokenRule *token_rule(int aadsts);
static const char *describe_clock(const GraphHttpHeader *header);
static char *describe_remote(const GraphSession *session,
							 const GraphHttpHeader *header,
							 const GraphRemoteError *remote);

/*
 * graph_status_is_retriable
 *		May a request that was answered so be sent again, if it is idempotent?
 */
bool
graph_status_is_retriable(int status)
{
	return status_rule(status)->retriable;
}

/*
 * graph_transport_is_retriable
 *		The same for one that was not answered at all.
 */
bool
graph_transport_is_retriable(GraphTransport transport)
{
	return transport_rule(transport)->retriable;
}

/*
 * graph_token_error_is_retriable
 *		Does the token endpoint say that the same request may succeed later?
 */
bool
graph_token_error_is_retriable(const GraphRemoteError *remote)
{
	const TokenRule *rule = token_rule(remote->aadsts);

	if (rule)
		return rule->retriable;
	return remote->code &&
		(strcmp(remote->code, "temporarily_unavailable") == 0 ||
		 strcmp(remote->code, "server_error") == 0);
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
 * graph_retry_delay
 *		How long to wait before the next attempt, in milliseconds.
 *
 * attempt counts from 0; retry_after is what the service asked for in
 * seconds, or -1.  Without it the wait doubles each time, and half of it is
 * random so that backends do not come back together.
 *
 * Returns -1 when waiting makes no sense, with *why set: the service asks for
 * more than anybody waits, or more than is left of statement_timeout.
 */
int
graph_retry_delay(int attempt, int retry_after, const char **why)
{
	int64		delay;

	if (retry_after >= 0)
		delay = (int64) retry_after * 1000;
	else
	{
		delay = (int64) RETRY_FIRST_DELAY_MS << Min(attempt, 16);
		delay = Min(delay, RETRY_LONGEST_DELAY_MS);
		delay = delay / 2 +
			(int64) (pg_prng_double(&pg_global_prng_state) * (delay / 2));
	}

	if (delay > RETRY_LONGEST_ASKED_MS)
	{
		*why = psprintf("The service asks to wait %d seconds.", retry_after);
		return -1;
	}
	if (get_timeout_active(STATEMENT_TIMEOUT) &&
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay) >
		get_timeout_finish_time(STATEMENT_TIMEOUT))
	{
		*why = psprintf("The next attempt would be in %.1f seconds, after statement_timeout has ended.",
						delay / 1000.0);
		return -1;
	}
	return (int) delay;
}

/*
 * graph_report_status
 *		Raise the error for an answer of Graph that is not 200.
 *
 * body is what could be read of it.  why, if not NULL, is a sentence about
 * why it was not tried again.
 */
void
graph_report_status(const GraphSession *session, const char *request,
					const GraphHttpHeader *header,
					const char *body, size_t len, const char *why)
{
	const StatusRule *rule = status_rule(header->status);
	GraphRemoteError remote;
	const char *hint = rule->hint;
	char	   *detail;

	graph_decode_graph_error(body, len, &remote);
	detail = describe_remote(session, header, &remote);
	if (header->status == 401 && session->options.access_token)
		hint = "The token in the user mapping's option \"access_token\" has expired or was issued for another service or cloud.";

	ereport(ERROR,
			(errcode(rule->sqlstate),
			 errmsg("server \"%s\" answered with status %d (%s)",
					session->server_name, header->status, rule->meaning),
			 detail[0] || why ?
			 errdetail("%s%s%s", detail, detail[0] && why ? "  " : "",
					   why ? why : "") : 0,
			 hint ? errhint("%s", hint) : 0,
			 errcontext("Microsoft Graph request: %s", request)));
}

/*
 * graph_report_token_status
 *		Raise the error for an answer of the token endpoint that is no token.
 */
void
graph_report_token_status(const GraphSession *session, const char *request,
						  const GraphHttpHeader *header,
						  const GraphRemoteError *remote, const char *why)
{
	const StatusRule *rule = status_rule(header->status);
	const TokenRule *token = token_rule(remote->aadsts);
	char	   *detail = describe_remote(session, header, remote);
	int			sqlstate = rule->sqlstate;
	const char *hint = rule->hint;

	/* 400 is how OAuth 2.0 says that a login is refused (RFC 6749 5.2) */
	if (header->status == 400 || header->status == 401 ||
		header->status == 403)
	{
		sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		hint = token ? token->hint :
			remote->code ? refused_hint(&session->options, remote->code) : NULL;
		if (why == NULL)
			why = describe_clock(header);
	}

	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("could not log in to server \"%s\": the token endpoint answered with status %d (%s)",
					session->server_name, header->status, rule->meaning),
			 detail[0] || why ?
			 errdetail("%s%s%s", detail, detail[0] && why ? "  " : "",
					   why ? why : "") : 0,
			 hint ? errhint("%s", hint) : 0,
			 errcontext("Microsoft Graph request: %s", request)));
}

/*
 * graph_report_transport
 *		Raise the error for a transfer that did not get its whole answer.
 *
 * text is what the HTTP library says; where is the URL's origin.
 */
void
graph_report_transport(const GraphSession *session, const char *request,
					   const char *where, GraphTransport transport,
					   const char *text, const char *why)
{
	const TransportRule *rule = transport_rule(transport);
	char	   *harmless = graph_harmless_text(session, text);

	ereport(ERROR,
			(errcode(rule->sqlstate),
			 errmsg("%s \"%s\"%s%s", rule->problem, where,
					harmless[0] ? ": " : "", harmless),
			 why ? errdetail("%s", why) : 0,
			 rule->hint ? errhint("%s", rule->hint) : 0,
			 errcontext("Microsoft Graph request: %s", request)));
}

/*
 * report_incomplete
 *		An error with a hint, or a warning.
 */
static void
report_incomplete(const GraphSession *session, const char *request,
				  const char *problem, const char *hint)
{
	bool		warn = session->options.on_partial == GRAPH_PARTIAL_WARNING;

	ereport(warn ? WARNING : ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
			 errmsg("server \"%s\" gave an incomplete answer",
					session->server_name),
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
graph_report_partial(const GraphSession *session, const char *request,
					 const char *problem)
{
	report_incomplete(session, request, problem,
					  "The server's option \"on_partial\" can make this a warning.");
}

/*
 * graph_report_short
 *		The same for a list that held fewer alerts than the service counts.
 */
void
graph_report_short(const GraphSession *session, const char *request,
				   const char *problem)
{
	report_incomplete(session, request, problem,
					  "If the service's count is wrong, set the option \"count_pushdown\" of the server or foreign table to false; the server's option \"on_partial\" can make this a warning.");
}

/*
 * graph_report_document
 *		Raise the error for an answer that is no document of the right form.
 */
void
graph_report_document(const GraphSession *session, const char *request,
					  const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("could not read the answer of server \"%s\"",
					session->server_name),
			 errdetail("%s", problem),
			 errcontext("Microsoft Graph request: %s", request)));
}

/*
 * status_rule
 *		The rule of a status; there is always one.
 */
static const StatusRule *
status_rule(int status)
{
	const StatusRule *rule = status_rules;

	while (status < rule->first || status > rule->last)
		rule++;
	return rule;
}

/*
 * transport_rule
 *		The rule of a transfer's end.
 */
static const TransportRule *
transport_rule(GraphTransport transport)
{
	const TransportRule *rule = transport_rules;

	while (rule->transport != transport &&
		   rule->transport != GRAPH_TRANSPORT_OTHER)
		rule++;
	return rule;
}

/*
 * refused_hint
 *		What to do about a login that was refused with an OAuth 2.0 error code.
 *
 * Beside a refresh token there may be a proof of the application: which of
 * them is not accepted is in the code (RFC 6749 section 5.2).
 */
static const char *
refused_hint(const GraphOptions *options, const char *code)
{
	if (options->proof != GRAPH_LOGIN_NONE &&
		strcmp(code, "invalid_client") == 0)
		return refused_hints[options->proof];
	return refused_hints[options->login];
}

/*
 * token_rule
 *		What is known of an AADSTS code, or NULL.
 */
static const TokenRule *
token_rule(int aadsts)
{
	for (size_t i = 0; i < lengthof(token_rules); i++)
	{
		if (token_rules[i].aadsts == aadsts)
			return &token_rules[i];
	}
	return NULL;
}

/*
 * describe_clock
 *		A sentence about our clock, if it is not the remote side's; else NULL.
 *
 * An assertion is good for minutes, so a clock that is wrong looks like a
 * wrong key.
 */
static const char *
describe_clock(const GraphHttpHeader *header)
{
	int64		ahead = (int64) time(NULL) - header->time;

	if (header->time == 0 ||
		(ahead < CLOCK_TOLERANCE && ahead > -CLOCK_TOLERANCE))
		return NULL;
	return psprintf("The clock of this machine is " INT64_FORMAT " minutes %s that of the service.",
					(ahead < 0 ? -ahead : ahead) / 60,
					ahead < 0 ? "behind" : "ahead of");
}

/*
 * describe_remote
 *		The sentences of a DETAIL about what the service said.
 */
static char *
describe_remote(const GraphSession *session, const GraphHttpHeader *header,
				const GraphRemoteError *remote)
{
	StringInfoData detail;
	const char *id = remote->request_id ? remote->request_id : header->request_id;

	initStringInfo(&detail);
	if (remote->code && remote->code[0])
		appendStringInfo(&detail, "Error \"%s\"",
						 graph_harmless_text(session, remote->code));
	if (remote->message && remote->message[0])
		appendStringInfo(&detail, "%s%s", detail.len ? ": " : "The service says: ",
						 graph_harmless_text(session, remote->message));
	if (detail.len > 0 && detail.data[detail.len - 1] != '.')
		appendStringInfoChar(&detail, '.');
	if (detail.len == 0 && header->content_type[0] &&
		strncmp(header->content_type, "application/json", 16) != 0)
		appendStringInfo(&detail, "The answer is of type \"%s\" and not from Microsoft Graph.",
						 graph_harmless_text(session, header->content_type));
	if (id && id[0])
		appendStringInfo(&detail, "%sRequest id: %s.", detail.len ? "  " : "",
						 graph_harmless_text(session, id));
	return detail.data;
}
