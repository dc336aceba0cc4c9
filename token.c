/*-------------------------------------------------------------------------
 *
 * token.c
 *		Whose bearer token, and is it still good?
 *
 * A session is opened for the role that a scan runs as: its user mapping says
 * how to log in, and the token that comes of it is kept in the backend, under
 * the mapping's OID and a fingerprint of all that the login was made of, so
 * that one mapping never uses another's token and a changed mapping logs in
 * anew.  A token is renewed some time before it expires.
 *
 * Secrets are read when a scan starts and are overwritten when its memory
 * goes; the token cache lives in a memory context of its own and is
 * overwritten entry by entry.
 *
 * What this file refuses to know: scans, pages, alerts.
 *
 * Sources: RFC 6749 section 4.4 (client credentials) and 5.2 (errors); Entra,
 * "OAuth 2.0 client credentials flow".
 *
 * IDENTIFICATION
 *		token.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "graph_fdw.h"

/*
 * A token is not used for its last five minutes, or its last tenth where it
 * lives shorter: a request may take a while, and clocks differ.
 */
#define RENEW_MARGIN_SECONDS	300

typedef struct TokenEntry
{
	Oid			umid;			/* user mapping: the hash key */
	uint64		fingerprint;	/* of what the login was made of */
	char	   *token;			/* in token_context, or NULL */
	TimestampTz good_until;
} TokenEntry;

static HTAB *token_cache = NULL;
static MemoryContext token_context = NULL;

/* What the reset callback of a session overwrites. */
typedef struct SessionOwner
{
	MemoryContextCallback callback;
	GraphSession *session;
} SessionOwner;

static void open_cache(void);
static void forget_tokens(Datum arg, int cacheid, uint32 hashvalue);
static void drop_token(TokenEntry *entry);
static void log_in(GraphSession *session, TokenEntry *entry);

/*
 * wipe_session
 *		Reset callback: overwrite what a session knows of secrets.
 */
static void
wipe_session(void *arg)
{
	GraphSession *session = ((SessionOwner *) arg)->session;

	graph_options_wipe(&session->options, NIL);
	if (session->bearer)
		explicit_bzero(session->bearer, strlen(session->bearer));
}

/*
 * add_mapping_hint
 *		Error context callback: say what a missing user mapping is for.
 */
static void
add_mapping_hint(void *arg)
{
	if (geterrcode() == ERRCODE_UNDEFINED_OBJECT)
		errhint("Create a user mapping for the role that the query runs as; for a view or a materialized view that is its owner.");
}

/*
 * get_mapping
 *		The user mapping of a role, with a hint where there is none.
 */
static UserMapping *
get_mapping(Oid userid, Oid serverid)
{
	ErrorContextCallback context;
	UserMapping *mapping;

	context.callback = add_mapping_hint;
	context.arg = NULL;
	context.previous = error_context_stack;
	error_context_stack = &context;
	mapping = GetUserMapping(userid, serverid);
	error_context_stack = context.previous;
	return mapping;
}

/*
 * graph_session_open
 *		Read what a scan of a foreign table by a role needs to ask the service.
 *
 * The session is in the current memory context, which overwrites its secrets
 * when it is reset.  No request is made.
 */
GraphSession *
graph_session_open(Oid relid, Oid userid)
{
	ForeignTable *table = GetForeignTable(relid);
	ForeignServer *server = GetForeignServer(table->serverid);
	UserMapping *mapping = get_mapping(userid, server->serverid);
	GraphSession *session = palloc0(sizeof(GraphSession));
	SessionOwner *owner = palloc0(sizeof(SessionOwner));

	owner->session = session;
	owner->callback.func = wipe_session;
	owner->callback.arg = owner;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &owner->callback);

	graph_get_options(table, server, mapping, &session->options);
	graph_options_wipe(NULL, mapping->options);
	session->serverid = server->serverid;
	session->umid = mapping->umid;
	session->server_name = pstrdup(server->servername);
	return session;
}

/*
 * fingerprint
 *		A number that changes with anything that the login is made of.
 */
static uint64
fingerprint(const GraphOptions *options)
{
	const char *parts[] = {options->authority, options->scope,
		options->tenant_id, options->client_id, options->client_secret,
	options->ca_file, options->proxy};
	uint64		result = 0;

	for (size_t i = 0; i < lengthof(parts); i++)
	{
		if (parts[i])
			result = hash_bytes_extended((const unsigned char *) parts[i],
										 strlen(parts[i]), result + i + 1);
	}
	return result;
}

/*
 * find_entry
 *		The cache entry of the session's mapping; one without a token if there
 *		was none for this very login.
 */
static TokenEntry *
find_entry(GraphSession *session)
{
	uint64		print = fingerprint(&session->options);
	TokenEntry *entry;
	bool		found;

	open_cache();
	entry = hash_search(token_cache, &session->umid, HASH_ENTER, &found);
	if (!found)
		entry->token = NULL;
	else if (entry->fingerprint != print)
		drop_token(entry);
	entry->fingerprint = print;
	return entry;
}

/*
 * set_bearer
 *		Give a session its own copy of a token.
 */
static void
set_bearer(GraphSession *session, const char *token)
{
	char	   *copy = MemoryContextStrdup(GetMemoryChunkContext(session), token);

	if (session->bearer)
		explicit_bzero(session->bearer, strlen(session->bearer));
	session->bearer = copy;
}

/*
 * graph_token_get
 *		Put a good token into session->bearer, logging in if necessary.
 */
void
graph_token_get(GraphSession *session)
{
	TokenEntry *entry;

	if (session->options.access_token)
	{
		set_bearer(session, session->options.access_token);
		return;
	}

	entry = find_entry(session);
	if (entry->token == NULL || GetCurrentTimestamp() >= entry->good_until)
	{
		log_in(session, entry);
		entry = find_entry(session);
	}
	if (entry->token)
		set_bearer(session, entry->token);
}

/*
 * graph_token_renew
 *		Replace a token that the service has refused.
 *
 * Returns false if the login has no other.  Where another scan has renewed it
 * already, that token is taken.
 */
bool
graph_token_renew(GraphSession *session)
{
	TokenEntry *entry;

	if (session->options.access_token)
		return false;

	entry = find_entry(session);
	if (entry->token && session->bearer &&
		strcmp(entry->token, session->bearer) == 0)
		drop_token(entry);
	graph_token_get(session);
	return true;
}

/*
 * open_cache
 *		Make the token cache, once a backend.
 */
static void
open_cache(void)
{
	HASHCTL		ctl = {0};

	if (token_cache)
		return;
	if (token_context == NULL)
		token_context = AllocSetContextCreate(TopMemoryContext,
											  "graph_fdw tokens",
											  ALLOCSET_SMALL_SIZES);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(TokenEntry);
	ctl.hcxt = token_context;
	token_cache = hash_create("graph_fdw tokens", 16, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, forget_tokens, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, forget_tokens, (Datum) 0);
}

/*
 * forget_tokens
 *		Syscache callback: a user mapping or a server has changed.
 *
 * Logging in once too often is cheap, so nothing finer than "all" is done.
 * It must not touch the catalogs or throw.  Entries stay: somebody up the
 * stack may hold a pointer to one.
 */
static void
forget_tokens(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	TokenEntry *entry;

	hash_seq_init(&status, token_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
		drop_token(entry);
}

/*
 * drop_token
 *		Overwrite and free the token of an entry.
 */
static void
drop_token(TokenEntry *entry)
{
	if (entry->token)
	{
		explicit_bzero(entry->token, strlen(entry->token));
		pfree(entry->token);
	}
	entry->token = NULL;
}

/*
 * append_field
 *		Add a field to a form (application/x-www-form-urlencoded).
 */
static void
append_field(StringInfo form, const char *name, const char *value)
{
	char	   *escaped = graph_url_escape(value);

	appendStringInfo(form, "%s%s=%s", form->len > 0 ? "&" : "", name, escaped);
	explicit_bzero(escaped, strlen(escaped));
	pfree(escaped);
}

/*
 * make_request
 *		The token request of a login by client secret.
 *
 * StringInfo would leave copies of the secret behind as it grows, so the form
 * has room for all of it from the start.
 */
static void
make_request(const GraphSession *session, StringInfo url, StringInfo form,
			 GraphHttpRequest *request)
{
	const GraphOptions *options = &session->options;

	if (options->tenant_id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("option \"tenant_id\" is missing"),
				 errhint("Set \"tenant_id\" on the user mapping or on server \"%s\".",
						 session->server_name)));

	appendStringInfo(url, "%s/%s/oauth2/v2.0/token", options->authority,
					 graph_url_escape(options->tenant_id));
	enlargeStringInfo(form, 256 + 3 * (strlen(options->client_id) +
									   strlen(options->client_secret) +
									   strlen(options->scope)) * 2);
	append_field(form, "grant_type", "client_credentials");
	append_field(form, "client_id", options->client_id);
	append_field(form, "scope", options->scope);
	append_field(form, "client_secret", options->client_secret);

	memset(request, 0, sizeof(GraphHttpRequest));
	request->url = url->data;
	request->form = form->data;
	request->ca_file = options->ca_file;
	request->proxy = options->proxy;
	request->connect_timeout = options->connect_timeout;
	request->request_timeout = options->request_timeout;
	request->headers = list_make1("Accept: application/json");
}

/*
 * try_once
 *		Send the token request.  Returns true with the answer, or false if the
 *		same request may succeed later; other failures are errors.
 *
 * last tells that there will be no later, and why (a sentence, or NULL).
 */
static bool
try_once(GraphSession *session, const GraphHttpRequest *request,
		 bool last, const char *why, int *retry_after,
		 GraphTokenAnswer *answer)
{
	GraphTransfer *transfer = graph_http_start(CurrentMemoryContext, request);
	bool		fits = graph_http_wait_all(transfer, GRAPH_MAX_DOCUMENT);
	const GraphHttpHeader *header = graph_http_header(transfer);
	GraphSlice	body = graph_http_unread(transfer);
	const char *text;
	GraphTransport transport = fits ? graph_http_result(transfer, &text) :
		GRAPH_TRANSPORT_TOO_LARGE;
	const char *problem;

	*retry_after = header->retry_after;
	if (transport != GRAPH_TRANSPORT_OK)
	{
		if (!last && graph_transport_is_retriable(transport))
		{
			graph_http_end(transfer);
			return false;
		}
		graph_report_transport(session, "token request",
							   session->options.authority, transport,
							   fits ? text : "", why);
	}

	if (header->status != 200)
	{
		GraphRemoteError remote;

		graph_decode_token_error(body.data, body.len, &remote);
		if (!last && (graph_status_is_retriable(header->status) ||
					  graph_token_error_is_retriable(&remote)))
		{
			graph_http_end(transfer);
			return false;
		}
		graph_report_token_status(session, header, &remote, why);
	}

	problem = graph_decode_token(body.data, body.len, answer);
	if (problem)
		graph_report_document(session, "token request", problem);
	graph_http_end(transfer);
	return true;
}

/*
 * request_token
 *		Get a token from the token endpoint, with retries.
 */
static void
request_token(GraphSession *session, GraphTokenAnswer *answer)
{
	StringInfoData url;
	StringInfoData form;
	GraphHttpRequest request;
	int			attempts = session->options.max_retries;

	initStringInfo(&url);
	initStringInfo(&form);
	make_request(session, &url, &form, &request);

	for (int attempt = 0;; attempt++)
	{
		const char *why = NULL;
		int			retry_after;
		int			delay;

		if (try_once(session, &request, attempt >= attempts,
					 attempt > 0 ? psprintf("It was tried %d times.", attempt + 1) : NULL,
					 &retry_after, answer))
			break;
		delay = graph_retry_delay(attempt, retry_after, &why);
		if (delay < 0)
		{
			/* no use in waiting: the last attempt is now, and reports */
			(void) try_once(session, &request, true, why, &retry_after, answer);
			break;
		}
		graph_http_sleep(delay);
	}

	explicit_bzero(form.data, form.len);
}

/*
 * log_in
 *		Get a token and keep it in the session's cache entry.
 *
 * The exchange waits and may process invalidations, so the entry is looked up
 * again afterwards.
 */
static void
log_in(GraphSession *session, TokenEntry *entry)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "graph_fdw login",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	GraphTokenAnswer answer;
	int64		margin;

	request_token(session, &answer);

	entry = find_entry(session);
	drop_token(entry);
	margin = Min(RENEW_MARGIN_SECONDS, answer.expires_in / 10);
	entry->token = MemoryContextStrdup(token_context, answer.access_token);
	entry->good_until = GetCurrentTimestamp() +
		(answer.expires_in - margin) * USECS_PER_SEC;
	explicit_bzero(answer.access_token, strlen(answer.access_token));

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
