/*-------------------------------------------------------------------------
 *
 * login.c
 *		How does this login ask for a token?
 *
 * One table has a row for each login: the function that makes its request.
 * Most post a form to the token endpoint: an application asks for itself, or
 * with the refresh token of a person, and adds what proves that it is the one.
 * A managed identity asks a service of the machine instead (identity.c), and a
 * person was asked before (device.c) and is renewed here.  What all have in
 * common is below that table: sending, trying again, reading the answer.
 *
 * A request is made anew for each attempt, since an assertion may be used
 * once and a file with a token may have been replaced meanwhile.
 *
 * Secrets that a login takes up on its way, beside those of the options, are
 * hidden from messages (graph_session_redact()), and every buffer that held one
 * is overwritten.
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

#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"

#include "auth/graph_auth.h"

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

/* Room that a form begins with: enough but for long tokens. */
#define FORM_BYTES 2048

/* What is said of a token request in messages. */
#define REQUEST_NAME "token request"

/* What MSAL says as well: we wait as long as Retry-After or a 429 asks. */
#define LIBRARY_CAPABILITY "x-ms-lib-capability: retry-after, h429"

typedef struct LoginRequest
{
	GraphSession *session;
	const char *refresh_token;	/* the newest, or NULL */
	StringInfoData form;
	GraphHttpRequest http;
} LoginRequest;

typedef void (*LoginFunction) (LoginRequest *request);

static void ask_by_proof(LoginRequest *request);
static void ask_machine(LoginRequest *request);
static void ask_by_refresh_token(LoginRequest *request);

static const struct
{
	GraphLogin	login;
	LoginFunction ask;
}			login_functions[] = {
	{GRAPH_LOGIN_SECRET, ask_by_proof},
	{GRAPH_LOGIN_CERTIFICATE, ask_by_proof},
	{GRAPH_LOGIN_FEDERATED, ask_by_proof},
	{GRAPH_LOGIN_MANAGED_IDENTITY, ask_machine},
	{GRAPH_LOGIN_REFRESH_TOKEN, ask_by_refresh_token},
	{GRAPH_LOGIN_DEVICE_CODE, ask_by_refresh_token},
};

/*-------------------------------------------------------------------------
 * Files of the server's host
 *-------------------------------------------------------------------------
 */

/*
 * check_key_permissions
 *		A private key that others can read is none; the rule is that for the
 *		server's own ssl_key_file.
 */
static void
check_key_permissions(const char *path, const struct stat *status)
{
	if (status->st_uid != geteuid() && status->st_uid != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("private key file \"%s\" must be owned by the database user or root",
						path)));
	if (status->st_mode & (status->st_uid == geteuid() ? S_IRWXG | S_IRWXO :
						   S_IWGRP | S_IXGRP | S_IRWXO))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("private key file \"%s\" has group or world access",
						path),
				 errdetail("File must have permissions u=rw (0600) or less if owned by the database user, or permissions u=rw,g=r (0640) or less if owned by root.")));
}

/*
 * graph_read_file
 *		The text of a small file, in memory that is overwritten when its context
 *		goes.
 *
 * what is what messages call it; none repeats any of the content.  Only a
 * regular file is read, as anything else might never end.
 */
char *
graph_read_file(const char *what, const char *path, bool private_key)
{
	int			fd;
	struct stat status;
	char	   *text;
	size_t		len = 0;
	ssize_t		got = 1;

	fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | PG_BINARY);
	if (fd < 0 || fstat(fd, &status) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open %s \"%s\": %m", what, path)));
	if (!S_ISREG(status.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s \"%s\" is not a regular file", what, path)));
	if (private_key)
		check_key_permissions(path, &status);

	text = graph_secret_alloc(GRAPH_MAX_DOCUMENT + 1);
	while (got > 0 && len < GRAPH_MAX_DOCUMENT)
	{
		got = read(fd, text + len, GRAPH_MAX_DOCUMENT - len);
		len += Max(got, 0);
	}
	text[len] = '\0';
	if (got != 0)
		explicit_bzero(text, len);
	if (got < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read %s \"%s\": %m", what, path)));
	if (got > 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s \"%s\" is larger than %d bytes", what, path,
						GRAPH_MAX_DOCUMENT)));
	CloseTransientFile(fd);
	return text;
}

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
	explicit_bzero(escaped, strlen(escaped));
	pfree(escaped);
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
 *		A request to the token authority; form may be NULL.  All its header
 *		lines are palloc'd, since those that hold secrets are overwritten.
 */
void
graph_login_request(const GraphSession *session, const char *url,
					StringInfo form, GraphHttpRequest *request)
{
	const GraphOptions *options = &session->options;

	memset(request, 0, sizeof(GraphHttpRequest));
	request->url = url;
	request->form = form ? form->data : NULL;
	request->headers = list_make1(pstrdup("Accept: application/json"));
	if (form)
		request->headers = lappend(request->headers,
								   pstrdup(LIBRARY_CAPABILITY));
	request->ca_file = options->service.ca_file;
	request->proxy = options->service.proxy;
	request->proxy_user = options->credentials.proxy_user;
	request->proxy_password = options->credentials.proxy_password;
	request->connect_timeout = options->limits.connect_timeout;
	request->request_timeout = options->limits.request_timeout;
	request->secret_answer = true;
}

/*
 * graph_token_answer_wipe
 *		Overwrite the tokens of an answer.
 */
void
graph_token_answer_wipe(GraphTokenAnswer *answer)
{
	char	   *texts[] = {answer->access_token, answer->refresh_token,
	answer->id_token};

	for (size_t i = 0; i < lengthof(texts); i++)
	{
		if (texts[i])
			explicit_bzero(texts[i], strlen(texts[i]));
	}
}

/*-------------------------------------------------------------------------
 * Proofs: by what the application shows that it is the one
 *-------------------------------------------------------------------------
 */

static void
prove_by_secret(LoginRequest *request)
{
	graph_form_add(&request->form, "client_secret",
				   request->session->options.credentials.client_secret);
}

/*
 * prove_by_assertion
 *		Add an assertion, which is wiped.
 */
static void
prove_by_assertion(LoginRequest *request, char *assertion)
{
	graph_session_redact(request->session, assertion);
	graph_form_add(&request->form, "client_assertion_type", ASSERTION_TYPE);
	graph_form_add(&request->form, "client_assertion", assertion);
	explicit_bzero(assertion, strlen(assertion));
}

static void
prove_by_certificate(LoginRequest *request)
{
	GraphSession *session = request->session;

	prove_by_assertion(request,
					   graph_client_assertion_create(&session->options,
											  graph_login_url(session, "token")));
}

/*
 * prove_by_federated_token
 *		Somebody else has made the assertion and keeps a fresh one in a file.
 */
static void
prove_by_federated_token(LoginRequest *request)
{
	const char *path = request->session->options.credentials.federated_token_file;
	char	   *token = graph_read_file("federated token file", path, false);
	size_t		len = strlen(token);

	while (len > 0 && strchr(" \t\r\n", token[len - 1]))
		token[--len] = '\0';
	for (size_t i = 0; i <= len; i++)
	{
		/* the only characters of a signed token (RFC 7515 section 7.1) */
		if (i < len && (isalnum((unsigned char) token[i]) || strchr("-_.~+/=", token[i])))
			continue;
		if (i == len && len > 0)
			break;
		explicit_bzero(token, len);
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("federated token file \"%s\" does not hold a token",
						path)));
	}
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
				   request->session->options.credentials.client_id);
}

/*
 * finish_form
 *		The form is complete but for the proof: make it the request.
 */
static void
finish_form(LoginRequest *request)
{
	GraphSession *session = request->session;

	switch (session->options.credentials.proof)
	{
		case GRAPH_LOGIN_SECRET:
			prove_by_secret(request);
			break;
		case GRAPH_LOGIN_CERTIFICATE:
			prove_by_certificate(request);
			break;
		case GRAPH_LOGIN_FEDERATED:
			prove_by_federated_token(request);
			break;
		default:				/* a public client */
			break;
	}
	graph_login_request(session, graph_login_url(session, "token"),
						&request->form, &request->http);
}

/*
 * ask_by_proof
 *		The application asks for itself.
 */
static void
ask_by_proof(LoginRequest *request)
{
	begin_form(request, "client_credentials");
	graph_form_add(&request->form, "scope", request->session->options.service.scope);
	finish_form(request);
}

/*
 * ask_by_refresh_token
 *		A person has logged in before; the newest token of theirs is used.
 */
static void
ask_by_refresh_token(LoginRequest *request)
{
	const GraphOptions *options = &request->session->options;
	char	   *scope = psprintf("%s offline_access", options->service.scope);

	begin_form(request, "refresh_token");
	graph_form_add(&request->form, "scope", scope);
	graph_form_add(&request->form, "refresh_token",
				   request->refresh_token ? request->refresh_token :
				   options->credentials.refresh_token);
	finish_form(request);
}

static void
ask_machine(LoginRequest *request)
{
	graph_managed_identity_request(request->session, &request->http);
}

/*
 * build
 *		Make the request of the session's login.
 */
static void
build(LoginRequest *request)
{
	GraphLogin	login = request->session->options.credentials.login;

	for (size_t i = 0; i < lengthof(login_functions); i++)
	{
		if (login_functions[i].login == login)
		{
			login_functions[i].ask(request);
			return;
		}
	}
	elog(ERROR, "login %d asks for no token", (int) login);
}

/*-------------------------------------------------------------------------
 * Asking
 *-------------------------------------------------------------------------
 */

/*
 * title
 *		What messages call the request.
 */
static char *
title(const GraphTransfer *transfer)
{
	return graph_request_title(REQUEST_NAME, graph_http_id(transfer));
}

/*
 * take_answer
 *		Read the answer that has status 200; false if it may have been cut, and
 *		is not the last.
 */
static bool
take_answer(GraphSession *session, GraphTransfer *transfer, bool last,
			GraphTokenAnswer *answer)
{
	GraphSlice	body = graph_http_unread(transfer);
	const char *problem = graph_decode_token(body.data, body.len, answer);

	if (problem && !last && graph_http_may_be_cut(transfer))
		return false;
	if (problem)
		graph_report_document(&session->peer, title(transfer),
							  psprintf("The token answer is not valid: %s.",
									   problem));
	return true;
}

/*
 * report_no_answer
 *		Raise the error for a transfer that failed.
 */
static void
report_no_answer(LoginRequest *request, const GraphTransfer *transfer,
				 GraphTransport transport, const char *text, const char *why)
{
	if (request->session->options.credentials.login == GRAPH_LOGIN_MANAGED_IDENTITY)
		why = "Managed identities are those of Azure virtual machines, App Services and Azure Arc servers; this address answers on them only.";
	graph_report_transport(&request->session->peer, title(transfer),
						   graph_url_origin(request->http.url), transport,
						   text, why);
}

/*
 * try_once
 *		Send the request.  Returns true with the answer, or false if the same
 *		login may succeed later; other failures are errors.
 *
 * last tells that there will be no later, and why (a sentence, or NULL).
 */
static bool
try_once(LoginRequest *request, bool last, const char *why, int *retry_after,
		 GraphTokenAnswer *answer)
{
	GraphSession *session = request->session;
	GraphLogin	login = session->options.credentials.login;
	bool		machine = login == GRAPH_LOGIN_MANAGED_IDENTITY;
	GraphTransfer *transfer = graph_http_start(CurrentMemoryContext,
											   &request->http);
	bool		fits = graph_http_wait_all(transfer, GRAPH_MAX_DOCUMENT);
	const GraphHttpHeader *header = graph_http_header(transfer);
	GraphSlice	body = graph_http_unread(transfer);
	const char *text = "";
	GraphTransport transport = fits ? graph_http_result(transfer, &text) :
		GRAPH_TRANSPORT_TOO_LARGE;
	bool		again;

	*retry_after = header->retry_after;
	if (transport != GRAPH_TRANSPORT_OK)
	{
		/* where nothing listens there is no such service to wait for */
		again = graph_transport_is_retriable(transport) &&
			!(machine && transport != GRAPH_TRANSPORT_BROKEN);
		if (last || !again)
			report_no_answer(request, transfer, transport, text, why);
	}
	else if (header->status == 401 && machine &&
			 graph_managed_identity_answer_challenge(session, header, &request->http))
	{
		graph_http_end(transfer);
		return try_once(request, last, why, retry_after, answer);
	}
	else if (header->status != 200)
	{
		GraphRemoteError remote;

		graph_decode_token_error(body.data, body.len, &remote);
		again = graph_status_is_retriable(header->status) ||
			graph_token_error_is_retriable(&remote) ||
			(machine && graph_managed_identity_status_is_retriable(header->status));
		if (last || !again)
			graph_report_token_status(session, title(transfer), header,
									  &remote, why);
	}
	else if (take_answer(session, transfer, last, answer))
	{
		graph_http_end(transfer);
		return true;
	}
	graph_http_end(transfer);
	return false;
}

/*
 * wipe_request
 *		Overwrite what a request was made of.
 */
static void
wipe_request(LoginRequest *request)
{
	ListCell   *cell;

	if (request->form.data)
		explicit_bzero(request->form.data, request->form.len);
	foreach(cell, request->http.headers)
		explicit_bzero(lfirst(cell), strlen(lfirst(cell)));
}

/*
 * attempt
 *		Make the request and send it: try_once().
 */
static bool
attempt(GraphSession *session, const char *refresh_token, bool last,
		const char *why, int *retry_after, GraphTokenAnswer *answer)
{
	LoginRequest request = {.session = session,.refresh_token = refresh_token};
	bool		done;

	build(&request);
	done = try_once(&request, last, why, retry_after, answer);
	wipe_request(&request);
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
	int			most = session->options.limits.max_retries;

	if (refresh_token)
		graph_session_redact(session, refresh_token);

	for (int count = 0;; count++)
	{
		const char *why = NULL;
		int			retry_after;
		int			delay;

		if (count > 0)
			why = psprintf("It was tried %d times.", count + 1);
		if (attempt(session, refresh_token, count >= most, why, &retry_after,
					answer))
			return;
		delay = graph_retry_delay(count, retry_after, &why);
		if (delay < 0)
		{
			/* no use in waiting: the last attempt is now, and reports */
			(void) attempt(session, refresh_token, true, why, &retry_after,
						   answer);
			return;
		}
		graph_http_sleep(delay);
	}
}
