/*-------------------------------------------------------------------------
 *
 * device_code.c
 *		How does the person at the keyboard log in?
 *
 *		SELECT * FROM graph_fdw_login('graph');
 *
 * shows an address and a code.  The person opens the address on any device,
 * enters the code there and signs in; meanwhile the token authority is asked
 * every few seconds whether they have.  The token is then this session's, for
 * the role that called the function, and is kept nowhere else.
 *
 * The user mapping of such a login has client_id, and tenant_id unless the
 * server has it, and nothing by which the application could prove itself.
 *
 * The message goes out while the function runs, since rows are shown at its
 * end only; it is INFO, which reaches the client whatever client_min_messages
 * says.
 *
 * Sources: RFC 8628 (device authorization grant); Entra, "OAuth 2.0 device
 * authorization grant flow".
 *
 * IDENTIFICATION
 *		src/auth/device_code.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "auth/graph_auth.h"

#define DEVICE_GRANT "urn:ietf:params:oauth:grant-type:device_code"

/* How much "slow_down" adds to the interval (RFC 8628 section 3.5). */
#define SLOW_DOWN_SECONDS	5

/* Messages call the two requests so. */
#define CODE_REQUEST	"device code request"
#define TOKEN_REQUEST	"token request"

/* What an answer to a question says. */
typedef enum Outcome
{
	OUTCOME_TOKEN,
	OUTCOME_PENDING,
	OUTCOME_SLOW_DOWN,
} Outcome;

PG_FUNCTION_INFO_V1(graph_fdw_login);

/*
 * post
 *		Send a form and wait for all of the answer.
 *
 * *transport tells whether there is one; if not, *text says more.
 */
static GraphTransfer *
post(GraphSession *session, const char *what, StringInfo form,
	 GraphTransport *transport, const char **text)
{
	GraphHttpRequest request;
	GraphTransfer *transfer;

	graph_login_request(session, graph_login_url(session, what), form,
						&request);
	transfer = graph_http_start(CurrentMemoryContext, &request);
	*text = "";
	if (graph_http_wait_all(transfer, GRAPH_MAX_DOCUMENT))
		*transport = graph_http_result(transfer, text);
	else
		*transport = GRAPH_TRANSPORT_TOO_LARGE;
	return transfer;
}

/*
 * title
 *		What messages call a request.
 */
static char *
title(const char *name, const GraphTransfer *transfer)
{
	return graph_request_title(name, graph_http_id(transfer));
}

/*
 * report_refusal
 *		Raise the error for an answer that is neither a token nor a delay.
 */
static void
report_refusal(GraphSession *session, const char *name,
			   GraphTransfer *transfer, const GraphRemoteError *remote)
{
	const char *code = remote->code ? remote->code : "";

	if (strcmp(code, "authorization_declined") == 0 ||
		strcmp(code, "access_denied") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("the login to server \"%s\" was declined",
						session->peer.server_name)));
	if (strcmp(code, "expired_token") == 0 ||
		strcmp(code, "code_expired") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("nobody logged in to server \"%s\" before the code expired",
						session->peer.server_name)));
	graph_report_token_status(session, title(name, transfer),
							  graph_http_header(transfer), remote, NULL);
}

/*
 * get_code
 *		Begin: get the code that the person enters, and the one that asks.
 */
static void
get_code(GraphSession *session, const char *scope, GraphDeviceCode *code)
{
	StringInfoData form;
	GraphTransport transport;
	const char *text;
	GraphTransfer *transfer;
	GraphSlice	body;
	const char *problem;

	graph_form_start(&form);
	graph_form_add(&form, "client_id", session->options.credentials.client_id);
	graph_form_add(&form, "scope", scope);
	transfer = post(session, "devicecode", &form, &transport, &text);
	if (transport != GRAPH_TRANSPORT_OK)
		graph_report_transport(&session->peer, title(CODE_REQUEST, transfer),
							   session->options.service.authority, transport, text,
							   NULL);

	body = graph_http_unread(transfer);
	if (graph_http_header(transfer)->status != 200)
	{
		GraphRemoteError remote;

		graph_decode_token_error(body.data, body.len, &remote);
		report_refusal(session, CODE_REQUEST, transfer, &remote);
	}
	problem = graph_decode_device_code(body.data, body.len, code);
	if (problem)
		graph_report_document(&session->peer, title(CODE_REQUEST, transfer),
							  psprintf("The answer is not valid: %s.", problem));
	graph_http_end(transfer);
	graph_session_redact(session, code->device_code);
}

/*
 * ask
 *		Has the person signed in?  What cannot change any more is an error.
 */
static Outcome
ask(GraphSession *session, const GraphDeviceCode *code,
	GraphTokenAnswer *answer)
{
	StringInfoData form;
	GraphTransport transport;
	const char *text;
	GraphTransfer *transfer;
	GraphSlice	body;
	int			status;
	GraphRemoteError remote;
	const char *problem;

	graph_form_start(&form);
	graph_form_add(&form, "grant_type", DEVICE_GRANT);
	graph_form_add(&form, "client_id", session->options.credentials.client_id);
	graph_form_add(&form, "device_code", code->device_code);
	transfer = post(session, "token", &form, &transport, &text);
	explicit_bzero(form.data, form.len);

	if (transport != GRAPH_TRANSPORT_OK)
	{
		if (graph_transport_is_retriable(transport))
			return OUTCOME_SLOW_DOWN;
		graph_report_transport(&session->peer, title(TOKEN_REQUEST, transfer),
							   session->options.service.authority, transport, text,
							   NULL);
	}

	body = graph_http_unread(transfer);
	status = graph_http_header(transfer)->status;
	if (status == 200)
	{
		problem = graph_decode_token(body.data, body.len, answer);
		if (problem && graph_http_may_be_cut(transfer))
			return OUTCOME_SLOW_DOWN;
		if (problem)
			graph_report_document(&session->peer, title(TOKEN_REQUEST, transfer),
								  psprintf("The token answer is not valid: %s.",
										   problem));
		graph_http_end(transfer);
		return OUTCOME_TOKEN;
	}

	graph_decode_token_error(body.data, body.len, &remote);
	if (remote.code && strcmp(remote.code, "authorization_pending") == 0)
		return OUTCOME_PENDING;
	if ((remote.code && strcmp(remote.code, "slow_down") == 0) ||
		graph_status_is_retriable(status) ||
		graph_token_error_is_retriable(&remote))
		return OUTCOME_SLOW_DOWN;
	report_refusal(session, TOKEN_REQUEST, transfer, &remote);
	return OUTCOME_PENDING;		/* keep the compiler quiet */
}

/*
 * wait_for_person
 *		Ask until the person has signed in, or the code has expired.
 */
static void
wait_for_person(GraphSession *session, const GraphDeviceCode *code,
				GraphTokenAnswer *answer)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outer, "graph_fdw question",
												  ALLOCSET_SMALL_SIZES);
	GraphTime	end = graph_after(code->expires_in * 1000L);
	int			interval = code->interval;

	for (;;)
	{
		Outcome		outcome;

		graph_http_sleep(interval * 1000);
		if (graph_now() >= end)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
					 errmsg("nobody logged in to server \"%s\" before the code expired",
							session->peer.server_name)));

		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		outcome = ask(session, code, answer);
		MemoryContextSwitchTo(outer);
		if (outcome == OUTCOME_TOKEN)
			return;				/* the answer is in that context */
		if (outcome == OUTCOME_SLOW_DOWN)
			interval += SLOW_DOWN_SECONDS;
	}
}

/*
 * account_of
 *		Who signed in?  NULL if the answer does not say.
 *
 * The id token came from the token authority itself over TLS, so its signature
 * need not be verified (OpenID Connect Core, section 3.1.3.7), and nothing
 * depends on it.
 */
static char *
account_of(GraphSession *session, const GraphTokenAnswer *answer)
{
	const char *token = answer->id_token;
	const char *claims = token ? strchr(token, '.') : NULL;
	const char *end = claims ? strchr(claims + 1, '.') : NULL;
	size_t		len;
	char	   *json;
	char	   *account;

	if (end == NULL)
		return NULL;
	json = graph_base64url_decode(claims + 1, end - claims - 1, &len);
	if (json == NULL)
		return NULL;
	account = graph_decode_account(json, len);
	explicit_bzero(json, len);
	return account ? graph_sanitize_remote_text(&session->peer, account) : NULL;
}

/*
 * log_in
 *		All of it; *good_until and the result are what the row says.
 */
static char *
log_in(GraphSession *session, TimestampTz *good_until, bool *renewable)
{
	char	   *scope = psprintf("%s offline_access openid profile",
								 session->options.service.scope);
	GraphDeviceCode code;
	GraphTokenAnswer answer;
	char	   *account;

	get_code(session, scope, &code);
	ereport(INFO,
			(errmsg("to log in to server \"%s\", open %s and enter the code %s",
					session->peer.server_name,
					graph_sanitize_remote_text(&session->peer, code.verification_uri),
					graph_sanitize_remote_text(&session->peer, code.user_code)),
			 errdetail("The code is good for %d minutes.  This session goes on when the login is complete; a cancel ends the waiting.",
					   Max(code.expires_in / 60, 1)),
			 errhidestmt(true)));
	wait_for_person(session, &code, &answer);

	account = account_of(session, &answer);
	*renewable = answer.refresh_token != NULL;
	*good_until = graph_token_keep(session, &answer);
	graph_token_answer_wipe(&answer);
	explicit_bzero(code.device_code, strlen(code.device_code));
	return account;
}

/*
 * graph_fdw_login
 *		SQL function: a person logs in to a server, for this session.
 */
Datum
graph_fdw_login(PG_FUNCTION_ARGS)
{
	char	   *server_name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	GraphSession *session = graph_session_open_server(server_name);
	TupleDesc	descriptor;
	Datum		values[3];
	bool		nulls[3] = {false};
	TimestampTz good_until;
	bool		renewable;
	char	   *account;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (session->options.credentials.login != GRAPH_LOGIN_DEVICE_CODE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the user mapping for server \"%s\" has a login of its own",
						session->peer.server_name),
				 errdetail("It logs in by %s.",
						   graph_login_name(session->options.credentials.login)),
				 errhint("graph_fdw_login() is for user mappings with \"client_id\" and nothing that proves the application's identity.")));

	account = log_in(session, &good_until, &renewable);
	values[0] = account ? CStringGetTextDatum(account) : (Datum) 0;
	nulls[0] = account == NULL;
	values[1] = TimestampTzGetDatum(good_until);
	values[2] = BoolGetDatum(renewable);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
											 values, nulls));
}
