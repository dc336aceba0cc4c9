/*-------------------------------------------------------------------------
 *
 * login.c
 *		How does this login ask for a token?
 *
 * One table has a function for each login that asks for a token, which makes
 * the request; an access token of the user mapping is used as it is.  Most
 * post a form to the token endpoint: an application asks for itself, or with
 * the refresh token of somebody who logged in, and adds what proves that it is
 * the one.  A managed identity asks a service of the machine instead
 * (managed_identity.c); a login by device code begins elsewhere
 * (device_code.c) and is renewed here.  Sending the request, and sending it
 * again, is the same for all (exchange.c).
 *
 * Secrets that a login takes up on its way, beside those of the options, are
 * kept out of messages (graph_session_redact()), and every buffer that held
 * one is overwritten.
 *
 * What this file refuses to know: who keeps the token, scans, alerts.
 *
 * Sources: RFC 6749 sections 4.4 (client credentials), 5.2 (errors) and 6
 * (refresh); RFC 7523 (assertions); Entra, "OAuth 2.0 client credentials
 * flow", "certificate credentials", "refresh the access token".
 *
 * IDENTIFICATION
 *		src/auth/login.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "auth/graph_auth.h"

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

/* All that a signed token consists of (RFC 7515 section 7.1), and some more. */
#define TOKEN_CHARACTERS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~+/="

/* Room that a form begins with: enough but for long tokens. */
#define FORM_BYTES 2048

/* What MSAL says as well: we wait as long as Retry-After or a 429 asks. */
#define LIBRARY_CAPABILITY "x-ms-lib-capability: retry-after, h429"

typedef struct LoginRequest
{
	GraphExchange exchange;
	const char *refresh_token;	/* the newest, or NULL */
	StringInfoData form;		/* data is NULL: there is none */
} LoginRequest;

/*-------------------------------------------------------------------------
 * Parts of requests
 *-------------------------------------------------------------------------
 */

/*
 * grow
 *		Give a form room for so many bytes, in memory that is overwritten when
 *		its context goes: a StringInfo that grows by itself would leave copies of
 *		secrets behind.
 */
static void
grow(StringInfo form, size_t size)
{
	char	   *data = graph_secret_alloc(size);

	memcpy(data, form->data, form->len + 1);
	form->data = data;
	form->maxlen = (int) size;
}

/*
 * graph_form_start
 *		Begin a form (application/x-www-form-urlencoded).
 */
void
graph_form_start(StringInfo form)
{
	memset(form, 0, sizeof(StringInfoData));
	form->data = "";
	grow(form, FORM_BYTES);
}

/*
 * graph_form_add
 *		Add a field to a form.
 */
void
graph_form_add(StringInfo form, const char *name, const char *value)
{
	char	   *escaped = graph_url_escape(value);
	size_t		needed = strlen(name) + strlen(escaped) + 3;

	if (form->len + needed > (size_t) form->maxlen)
		grow(form, (form->len + needed) * 2);
	appendStringInfo(form, "%s%s=%s", form->len > 0 ? "&" : "", name, escaped);
	graph_free_text(escaped);
}

/*
 * graph_login_url
 *		An endpoint of the token authority for the session's tenant: "token" or
 *		"devicecode".
 */
char *
graph_login_url(const GraphSession *session, const char *what)
{
	const GraphOptions *options = &session->options;

	if (options->service.tenant_id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("option \"tenant_id\" is missing"),
				 errhint("Set \"tenant_id\" on the user mapping or on server \"%s\".",
						 session->peer.server_name)));
	return psprintf("%s/%s/oauth2/v2.0/%s", options->service.authority,
					graph_url_escape(options->service.tenant_id), what);
}

/*
 * graph_login_request
 *		A request to the token authority that posts a form.
 */
void
graph_login_request(const GraphSession *session, const char *url,
					StringInfo form, GraphHttpRequest *request)
{
	graph_session_request(session, url, request);
	request->form = form->data;
	request->headers = lappend(request->headers, pstrdup(LIBRARY_CAPABILITY));
	request->secret_answer = true;
}

/*
 * graph_token_answer_wipe
 *		Overwrite the tokens of an answer.
 */
void
graph_token_answer_wipe(GraphTokenAnswer *answer)
{
	graph_wipe_text(answer->access_token);
	graph_wipe_text(answer->refresh_token);
	graph_wipe_text(answer->id_token);
}

/*-------------------------------------------------------------------------
 * Proofs: by what the application shows that it is the one
 *-------------------------------------------------------------------------
 */

/*
 * prove_by_assertion
 *		Add an assertion, which is wiped.
 */
static void
prove_by_assertion(LoginRequest *request, char *assertion)
{
	graph_session_redact(request->exchange.session, assertion);
	graph_form_add(&request->form, "client_assertion_type", ASSERTION_TYPE);
	graph_form_add(&request->form, "client_assertion", assertion);
	graph_wipe_text(assertion);
}

/*
 * prove_by_federated_token
 *		Somebody else has made the assertion and keeps a fresh one in a file.
 */
static void
prove_by_federated_token(LoginRequest *request)
{
	const GraphOptions *options = &request->exchange.session->options;
	const char *path = options->credentials.federated_token_file;
	char	   *token = graph_read_file("federated token file", path, false);
	size_t		len = strlen(token);

	while (len > 0 && strchr(" \t\r\n", token[len - 1]))
		token[--len] = '\0';
	if (len == 0 || strspn(token, TOKEN_CHARACTERS) != len)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("federated token file \"%s\" does not hold a token",
						path)));
	prove_by_assertion(request, token);
}

/*-------------------------------------------------------------------------
 * The logins
 *-------------------------------------------------------------------------
 */

/*
 * begin_form
 *		The fields that all forms have.
 */
static void
begin_form(LoginRequest *request, const char *grant_type)
{
	graph_form_start(&request->form);
	graph_form_add(&request->form, "grant_type", grant_type);
	graph_form_add(&request->form, "client_id",
				   request->exchange.session->options.credentials.client_id);
}

/*
 * finish_form
 *		The form is complete but for the proof: make it the request.
 */
static void
finish_form(LoginRequest *request)
{
	GraphSession *session = request->exchange.session;
	const GraphOptions *options = &session->options;

	switch (options->credentials.proof)
	{
		case GRAPH_LOGIN_SECRET:
			graph_form_add(&request->form, "client_secret",
						   options->credentials.client_secret);
			break;
		case GRAPH_LOGIN_CERTIFICATE:
			prove_by_assertion(request,
							   graph_client_assertion_create(options,
															 graph_login_url(session, "token")));
			break;
		case GRAPH_LOGIN_FEDERATED:
			prove_by_federated_token(request);
			break;
		default:				/* a public client */
			break;
	}
	graph_login_request(session, graph_login_url(session, "token"),
						&request->form, &request->exchange.http);
}

/*
 * ask_by_proof
 *		The application asks for itself.
 */
static void
ask_by_proof(LoginRequest *request)
{
	begin_form(request, "client_credentials");
	graph_form_add(&request->form, "scope",
				   request->exchange.session->options.service.scope);
	finish_form(request);
}

/*
 * ask_by_refresh_token
 *		Somebody has logged in before; the newest token of theirs is used.
 */
static void
ask_by_refresh_token(LoginRequest *request)
{
	const GraphOptions *options = &request->exchange.session->options;
	char	   *scope = psprintf("%s offline_access", options->service.scope);

	begin_form(request, "refresh_token");
	graph_form_add(&request->form, "scope", scope);
	graph_form_add(&request->form, "refresh_token",
				   request->refresh_token ? request->refresh_token :
				   options->credentials.refresh_token);
	finish_form(request);
}

static void
ask_managed_identity(LoginRequest *request)
{
	graph_managed_identity_request(request->exchange.session,
								   &request->exchange.http);
}

/* The function that makes the request of each login that asks for a token. */
static void (*const login_functions[]) (LoginRequest *request) =
{
	[GRAPH_LOGIN_SECRET] = ask_by_proof,
		[GRAPH_LOGIN_CERTIFICATE] = ask_by_proof,
		[GRAPH_LOGIN_FEDERATED] = ask_by_proof,
		[GRAPH_LOGIN_MANAGED_IDENTITY] = ask_managed_identity,
		[GRAPH_LOGIN_REFRESH_TOKEN] = ask_by_refresh_token,
		[GRAPH_LOGIN_DEVICE_CODE] = ask_by_refresh_token,
};

/*-------------------------------------------------------------------------
 * Asking
 *-------------------------------------------------------------------------
 */

/*
 * send_request
 *		Send it; true with the answer's token, false if there is none.
 */
static bool
send_request(LoginRequest *request, GraphTokenAnswer *answer)
{
	GraphExchange *exchange = &request->exchange;
	const char *problem;

	while (!graph_exchange_send(exchange))
	{
		if (exchange->asked != GRAPH_ASKED_IDENTITY ||
			exchange->transport != GRAPH_TRANSPORT_OK ||
			exchange->header->status != 401 ||
			!graph_managed_identity_answer_challenge(exchange->session,
													 exchange->header,
													 &exchange->http))
			return false;
		graph_http_end(exchange->transfer);
	}
	problem = graph_decode_token(exchange->body.data, exchange->body.len,
								 answer);
	if (problem)
		exchange->problem = psprintf("The token answer is not valid: %s.",
									 problem);
	else
		graph_http_end(exchange->transfer);
	return problem == NULL;
}

/*
 * attempt
 *		Make the request of the session's login and send it.
 *
 * What the request was made of is overwritten then.
 */
static bool
attempt(LoginRequest *request, GraphTokenAnswer *answer)
{
	GraphLogin	login = request->exchange.session->options.credentials.login;
	ListCell   *cell;
	bool		done;

	Assert(login < lengthof(login_functions) && login_functions[login]);
	request->form.data = NULL;
	login_functions[login] (request);
	done = send_request(request, answer);

	graph_wipe_text(request->form.data);
	foreach(cell, request->exchange.http.headers)
		graph_wipe_text(lfirst(cell));
	return done;
}

/*
 * graph_login
 *		Get a token, with retries; what is refused is an error.
 *
 * refresh_token is the newest of this login, or NULL: that of the options.
 * All that is allocated is in the current memory context, which the caller
 * deletes; the caller wipes the answer.
 */
void
graph_login(GraphSession *session, const char *refresh_token,
			GraphTokenAnswer *answer)
{
	LoginRequest request = {.refresh_token = refresh_token};
	GraphLogin	login = session->options.credentials.login;

	elog(DEBUG1, "graph_fdw: logging in to server \"%s\" by %s",
		 session->peer.server_name, graph_login_name(login));
	request.exchange.session = session;
	request.exchange.name = "token request";
	request.exchange.asked = login == GRAPH_LOGIN_MANAGED_IDENTITY ?
		GRAPH_ASKED_IDENTITY : GRAPH_ASKED_AUTHORITY;
	request.exchange.limit = GRAPH_MAX_DOCUMENT;
	request.exchange.max_retries = session->options.limits.max_retries;
	if (refresh_token)
		graph_session_redact(session, refresh_token);

	while (!attempt(&request, answer))
		graph_exchange_retry(&request.exchange);
}
