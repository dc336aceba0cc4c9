/*-------------------------------------------------------------------------
 *
 * device_code.c
 *		How does somebody at the keyboard log in?
 *
 *		SELECT * FROM graph_fdw_login('graph');
 *
 * shows an address and a code.  Somebody opens the address on any device,
 * enters the code there and signs in; meanwhile the token authority is polled
 * every few seconds for the token.  That is then this session's, for the role
 * that called the function, and is kept nowhere else (token.c).
 *
 * The user mapping of such a login has client_id, and tenant_id unless the
 * server has it, and nothing by which the application could prove itself.
 *
 * The message goes out while the function runs, since rows are shown at its
 * end only; it is INFO, which reaches the client whatever client_min_messages
 * says.
 *
 * What this file refuses to know: how the token is renewed later.
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

/* What the token endpoint says while somebody is to sign in. */
typedef enum Outcome
{
	OUTCOME_TOKEN,
	OUTCOME_PENDING,
	OUTCOME_SLOW_DOWN,
} Outcome;

PG_FUNCTION_INFO_V1(graph_fdw_login);

/*
 * post
 *		Send a form to an endpoint of the token authority, "token" or
 *		"devicecode"; false if there is no answer with status 200.
 */
static bool
post(GraphExchange *exchange, GraphSession *session, const char *name,
	 const char *endpoint, StringInfo form)
{
	memset(exchange, 0, sizeof(GraphExchange));
	exchange->session = session;
	exchange->asked = GRAPH_ASKED_AUTHORITY;
	exchange->name = name;
	exchange->where = session->options.service.authority;
	exchange->limit = GRAPH_MAX_DOCUMENT;
	graph_login_request(session, graph_login_url(session, endpoint), form,
						&exchange->http);
	return graph_exchange_send(exchange);
}

/*
 * report_expired
 *		Raise the error for a code that was not entered in time.
 */
pg_noreturn static void
report_expired(const GraphSession *session)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("nobody logged in to server \"%s\" before the code expired",
					session->peer.server_name)));
}

/*
 * error_is
 *		Is the code of an error one of two (RFC 8628 section 3.5, and what Entra
 *		says for it)?
 */
static bool
error_is(const GraphRemoteError *remote, const char *code, const char *other)
{
	return remote->code && (strcmp(remote->code, code) == 0 ||
							strcmp(remote->code, other) == 0);
}

/*
 * report_refusal
 *		Raise the error for an answer that is neither a token nor a delay.
 */
pg_noreturn static void
report_refusal(const GraphExchange *exchange)
{
	GraphRemoteError remote = graph_exchange_error(exchange);

	if (error_is(&remote, "access_denied", "authorization_declined"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("the login to server \"%s\" was declined",
						exchange->session->peer.server_name)));
	if (error_is(&remote, "expired_token", "code_expired"))
		report_expired(exchange->session);
	graph_exchange_report(exchange, NULL);
}

/*
 * get_code
 *		Begin: get the code that is to be entered, and the one that polls.
 */
static void
get_code(GraphSession *session, const char *scope, GraphDeviceCode *code)
{
	StringInfoData form;
	GraphExchange exchange;
	const char *problem;

	graph_form_start(&form);
	graph_form_add(&form, "client_id", session->options.credentials.client_id);
	graph_form_add(&form, "scope", scope);
	if (!post(&exchange, session, "device code request", "devicecode", &form))
		report_refusal(&exchange);

	problem = graph_decode_device_code(exchange.body.data, exchange.body.len,
									   code);
	if (problem)
	{
		exchange.problem = psprintf("The answer is not valid: %s.", problem);
		graph_exchange_report(&exchange, NULL);
	}
	graph_http_end(exchange.transfer);
	graph_session_redact(session, code->device_code);
}

/*
 * poll_once
 *		Ask once whether somebody has signed in; what cannot change any more
 *		is an error.
 */
static Outcome
poll_once(GraphSession *session, const GraphDeviceCode *code,
		  GraphTokenAnswer *answer)
{
	StringInfoData form;
	GraphExchange exchange;
	GraphRemoteError remote;
	const char *problem;
	bool		answered;

	graph_form_start(&form);
	graph_form_add(&form, "grant_type", DEVICE_GRANT);
	graph_form_add(&form, "client_id", session->options.credentials.client_id);
	graph_form_add(&form, "device_code", code->device_code);
	answered = post(&exchange, session, "token request", "token", &form);
	graph_wipe_text(form.data);

	if (answered)
	{
		problem = graph_decode_token(exchange.body.data, exchange.body.len,
									 answer);
		if (problem == NULL)
		{
			graph_http_end(exchange.transfer);
			return OUTCOME_TOKEN;
		}
		exchange.problem = psprintf("The token answer is not valid: %s.",
									problem);
	}
	remote = graph_exchange_error(&exchange);
	if (remote.code && strcmp(remote.code, "authorization_pending") == 0)
		return OUTCOME_PENDING;
	if ((remote.code && strcmp(remote.code, "slow_down") == 0) ||
		graph_exchange_may_retry(&exchange))
		return OUTCOME_SLOW_DOWN;
	report_refusal(&exchange);
}

/*
 * poll_for_token
 *		Poll until somebody has signed in, or the code has expired.
 */
static void
poll_for_token(GraphSession *session, const GraphDeviceCode *code,
			   GraphTokenAnswer *answer)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outer, "graph_fdw poll",
												  ALLOCSET_SMALL_SIZES);
	GraphTime	end = graph_after(code->expires_in * 1000L);
	int			interval = code->interval;

	for (;;)
	{
		Outcome		outcome;

		graph_http_sleep(interval * 1000);
		if (graph_now() >= end)
			report_expired(session);

		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		outcome = poll_once(session, code, answer);
		MemoryContextSwitchTo(outer);
		if (outcome == OUTCOME_TOKEN)
			return;				/* the answer is in that context */
		if (outcome == OUTCOME_SLOW_DOWN)
			interval += SLOW_DOWN_SECONDS;
		elog(DEBUG1, "graph_fdw: nobody has entered the code of server \"%s\" yet; asking again in %d seconds",
			 session->peer.server_name, interval);
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
	size_t		len;
	char	   *json = graph_token_claims(answer->id_token, &len);
	char	   *account;

	if (json == NULL)
		return NULL;
	account = graph_decode_account(json, len);
	explicit_bzero(json, len);
	return account ? graph_sanitize_remote_text(&session->peer, account) : NULL;
}

/*
 * log_in
 *		The whole login; *good_until and the result are what the row says.
 */
static char *
log_in(GraphSession *session, TimestampTz *good_until, bool *renewable)
{
	char	   *scope = psprintf("%s offline_access openid profile",
								 session->options.service.scope);
	GraphDeviceCode code;
	GraphTokenAnswer answer;
	char	   *account;

	elog(DEBUG1, "graph_fdw: logging in to server \"%s\" by %s",
		 session->peer.server_name,
		 graph_login_name(session->options.credentials.login));
	get_code(session, scope, &code);
	ereport(INFO,
			(errmsg("to log in to server \"%s\", open %s and enter the code %s",
					session->peer.server_name,
					graph_sanitize_remote_text(&session->peer, code.verification_uri),
					graph_sanitize_remote_text(&session->peer, code.user_code)),
			 errdetail("The code is good for %d minutes.  This session goes on when the login is complete; a cancel ends the waiting.",
					   Max(code.expires_in / 60, 1)),
			 errhidestmt(true)));
	poll_for_token(session, &code, &answer);

	account = account_of(session, &answer);
	*renewable = answer.refresh_token != NULL;
	*good_until = graph_token_keep(session, &answer);
	graph_token_answer_wipe(&answer);
	graph_wipe_text(code.device_code);
	return account;
}

/*
 * graph_fdw_login
 *		SQL function: somebody logs in to a server, for this session.
 */
Datum
graph_fdw_login(PG_FUNCTION_ARGS)
{
	char	   *server_name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ForeignServer *server = GetForeignServerByName(server_name, false);
	GraphSession *session;
	TupleDesc	descriptor;
	Datum		values[3];
	bool		nulls[3] = {false};
	TimestampTz good_until;
	bool		renewable;
	char	   *account;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!graph_session_may_use(server->serverid))
		graph_session_refuse(server, NULL);
	session = graph_session_open_server(server);
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
