/*-------------------------------------------------------------------------
 *
 * token.c
 *		Whose bearer token, and is it still good?
 *
 * A session is opened for the role that a scan runs as: its user mapping says
 * how to log in, and the token that comes of it is kept in the backend.  What
 * is kept belongs to a user mapping and a role, since the mapping for PUBLIC
 * serves many and one of them may have logged in as a person; beside it is a
 * fingerprint of all that the login was made of, so that one login never uses
 * another's token and a changed mapping logs in anew.  All scans of the
 * backend share it.  A token is renewed some time before it expires, and when
 * the service refuses it; with some logins that takes a refresh token, which
 * is kept as well and replaced whenever the service sends another.
 *
 * Secrets are read when a scan starts and are overwritten when its memory
 * goes; the token cache lives in a memory context of its own and is
 * overwritten entry by entry.
 *
 * What this file refuses to know: scans, pages, alerts, how a login asks.
 *
 * IDENTIFICATION
 *		src/auth/token.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "auth/graph_auth.h"

/*
 * A token is not used for its last five minutes, or its last tenth where it
 * lives shorter: a request may take a while, and clocks differ.  That goes by
 * the time of day, since a machine that sleeps lets its tokens grow old; where
 * that time is set back, the service refuses the token and another is got.
 */
#define RENEW_MARGIN_SECONDS	300

/* Whose token: the hash key, without padding. */
typedef struct TokenKey
{
	Oid			umid;			/* user mapping */
	Oid			userid;			/* role that asks */
} TokenKey;

typedef struct TokenEntry
{
	TokenKey	key;
	Oid			serverid;
	uint32		mapping_hash;	/* how invalidations name the mapping ... */
	uint32		server_hash;	/* ... and the server */
	bool		person;			/* only a person could log in again */
	uint64		fingerprint;	/* of what the login was made of */
	char	   *token;			/* in token_context, or NULL */
	char	   *refresh_token;	/* the same */
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
static void drop_text(char **text);
static bool drop_entry(TokenEntry *entry);
static void log_in(GraphSession *session, TokenEntry *entry);

PG_FUNCTION_INFO_V1(graph_fdw_disconnect);
PG_FUNCTION_INFO_V1(graph_fdw_disconnect_all);

/*
 * wipe_session
 *		Reset callback: overwrite what a session knows of secrets.
 */
static void
wipe_session(void *arg)
{
	GraphSession *session = ((SessionOwner *) arg)->session;
	ListCell   *cell;

	graph_options_wipe(&session->options, NIL);
	if (session->peer.bearer)
		explicit_bzero(session->peer.bearer, strlen(session->peer.bearer));
	foreach(cell, session->peer.secrets)
		explicit_bzero(lfirst(cell), strlen(lfirst(cell)));
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
 * open_session
 *		A session of a role with a server, for a table or (NULL) none.
 */
static GraphSession *
open_session(ForeignTable *table, ForeignServer *server, Oid userid)
{
	GraphSession *session = palloc0(sizeof(GraphSession));
	SessionOwner *owner = palloc0(sizeof(SessionOwner));
	UserMapping *mapping;
	const char *secret;
	size_t		place = 0;

	owner->session = session;
	owner->callback.func = wipe_session;
	owner->callback.arg = owner;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &owner->callback);

	mapping = get_mapping(userid, server->serverid);
	graph_get_options(table, server, mapping, &session->options);
	graph_options_wipe(NULL, mapping->options);
	session->serverid = server->serverid;
	session->umid = mapping->umid;
	session->userid = userid;
	session->peer.server_name = pstrdup(server->servername);
	session->peer.partial_is_warning =
		session->options.limits.on_partial == GRAPH_PARTIAL_WARNING;
	session->peer.token_is_given =
		session->options.credentials.access_token != NULL;
	while ((secret = graph_options_secret(&session->options, &place)) != NULL)
		graph_session_redact(session, secret);

	if (strcmp(session->options.service.cloud, "china") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("Microsoft Graph does not offer security alerts in cloud \"%s\"",
						session->options.service.cloud),
				 errhint("If the tenant is in another cloud, set the option \"cloud\" of server \"%s\".",
						 session->peer.server_name)));
	return session;
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

	return open_session(table, GetForeignServer(table->serverid), userid);
}

/*
 * graph_session_open_server
 *		The same for the current role and a server, whose use it must have been
 *		granted.
 */
GraphSession *
graph_session_open_server(const char *server_name)
{
	ForeignServer *server = GetForeignServerByName(server_name, false);
	AclResult	result = graph_server_aclcheck(server->serverid, GetUserId(),
											   ACL_USAGE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FOREIGN_SERVER, server->servername);
	graph_check_wrapper(server);
	return open_session(NULL, server, GetUserId());
}

/*
 * graph_session_redact
 *		No message repeats this text from now on.
 */
void
graph_session_redact(GraphSession *session, const char *secret)
{
	MemoryContext old;

	if (secret[0] == '\0')
		return;
	old = MemoryContextSwitchTo(GetMemoryChunkContext(session));
	session->peer.secrets = lappend(session->peer.secrets, pstrdup(secret));
	MemoryContextSwitchTo(old);
}

/*
 * graph_session_redact_link
 *		Nor what makes this link work without asking: its skip token, as it
 *		stands there and as the service reads it.
 */
void
graph_session_redact_link(GraphSession *session, const char *url)
{
	static const char *const names[] = {"skiptoken=", "skiptoken%3D"};

	for (size_t i = 0; i < lengthof(names); i++)
	{
		const char *found = strcasestr(url, names[i]);
		char	   *value;

		if (found == NULL)
			continue;
		found += strlen(names[i]);
		value = pnstrdup(found, strcspn(found, "&#"));
		graph_session_redact(session, value);
		graph_session_redact(session, graph_url_unescape(value));
	}
}

/*
 * unhide
 *		Forget the hidden texts after the first so many.
 */
static void
unhide(GraphSession *session, int keep)
{
	while (list_length(session->peer.secrets) > keep)
	{
		char	   *secret = llast(session->peer.secrets);

		explicit_bzero(secret, strlen(secret));
		pfree(secret);
		session->peer.secrets = list_delete_last(session->peer.secrets);
	}
}

/*
 * fingerprint
 *		A number that changes with anything that the login is made of.
 */
static uint64
fingerprint(const GraphOptions *options)
{
	const char *parts[] = {graph_login_name(options->credentials.login),
		options->service.authority, options->service.scope, options->service.tenant_id,
		options->credentials.client_id, options->credentials.client_secret, options->credentials.certificate_file,
		options->credentials.private_key_file, options->credentials.federated_token_file,
		options->credentials.refresh_token, options->service.ca_file, options->service.proxy,
	options->credentials.proxy_user, options->credentials.proxy_password};
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
	TokenKey	key = {session->umid, session->userid};
	TokenEntry *entry;
	bool		found;

	open_cache();
	entry = hash_search(token_cache, &key, HASH_ENTER, &found);
	if (!found)
	{
		entry->token = entry->refresh_token = NULL;
		entry->good_until = 0;
	}
	else if (entry->fingerprint != print)
		(void) drop_entry(entry);
	entry->serverid = session->serverid;
	entry->mapping_hash =
		GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(session->umid));
	entry->server_hash =
		GetSysCacheHashValue1(FOREIGNSERVEROID,
							  ObjectIdGetDatum(session->serverid));
	entry->person = session->options.credentials.login == GRAPH_LOGIN_DEVICE_CODE;
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
	if (session->peer.bearer && strcmp(session->peer.bearer, token) == 0)
		return;
	drop_text(&session->peer.bearer);
	session->peer.bearer = MemoryContextStrdup(GetMemoryChunkContext(session),
										  token);
	session->bearer_number++;
}

/*
 * graph_token_get
 *		Put a good token into session->peer.bearer, logging in if necessary.
 */
void
graph_token_get(GraphSession *session)
{
	TokenEntry *entry;

	if (session->options.credentials.access_token)
	{
		set_bearer(session, session->options.credentials.access_token);
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
 * graph_token_forget
 *		Drop a token that another can be had for without a person; what gets
 *		the other stays.  Returns false, and drops nothing, if that cannot be.
 */
bool
graph_token_forget(GraphSession *session)
{
	TokenEntry *entry;

	if (session->options.credentials.access_token)
		return false;
	entry = find_entry(session);
	if (entry->person && entry->refresh_token == NULL)
		return false;
	drop_text(&entry->token);
	return true;
}

/*
 * graph_token_renew
 *		Replace a token that the service has refused.
 *
 * number is the session's bearer_number when the request was sent.  Returns
 * false if the login has no other token.  Where it was renewed already, for
 * another request of the session or by another scan, that token is taken.
 */
bool
graph_token_renew(GraphSession *session, uint64 number)
{
	TokenEntry *entry;

	if (session->options.credentials.access_token)
		return false;
	if (session->bearer_number != number)
		return true;

	entry = find_entry(session);
	if (entry->token && session->peer.bearer &&
		strcmp(entry->token, session->peer.bearer) == 0 &&
		!graph_token_forget(session))
		return false;
	graph_token_get(session);
	return true;
}

/*
 * graph_token_good_until
 *		When will the session's token be renewed?  Infinity if we do not know.
 */
TimestampTz
graph_token_good_until(GraphSession *session)
{
	TimestampTz result;
	TokenEntry *entry = NULL;

	TIMESTAMP_NOEND(result);
	if (session->options.credentials.access_token == NULL)
		entry = find_entry(session);
	if (entry && entry->token)
		result = entry->good_until;
	return result;
}

/*
 * graph_token_keep
 *		Keep the token of an answer that has just come.  Returns until when it
 *		is used.
 */
TimestampTz
graph_token_keep(GraphSession *session, const GraphTokenAnswer *answer)
{
	TokenEntry *entry = find_entry(session);
	int64		margin = Min(RENEW_MARGIN_SECONDS, answer->expires_in / 10);

	drop_text(&entry->token);
	entry->token = MemoryContextStrdup(token_context, answer->access_token);
	if (answer->refresh_token &&
		(entry->person || session->options.credentials.refresh_token))
	{
		drop_text(&entry->refresh_token);
		entry->refresh_token = MemoryContextStrdup(token_context,
												   answer->refresh_token);
	}
	entry->good_until = GetCurrentTimestamp() +
		(answer->expires_in - margin) * USECS_PER_SEC;
	return entry->good_until;
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
	ctl.keysize = sizeof(TokenKey);
	ctl.entrysize = sizeof(TokenEntry);
	ctl.hcxt = token_context;
	token_cache = hash_create("graph_fdw tokens", 16, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, forget_tokens, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, forget_tokens, (Datum) 0);
}

/*
 * forget_tokens
 *		Syscache callback: user mappings or servers have changed.
 *
 * It must not touch the catalogs or throw.  Entries stay: somebody up the
 * stack may hold a pointer to one.  A hash value of zero says that any may
 * have changed; then a person's login stays, for its fingerprint tells whether
 * it is still the same.
 */
static void
forget_tokens(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	TokenEntry *entry;

	hash_seq_init(&status, token_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		uint32		hash = cacheid == USERMAPPINGOID ?
			entry->mapping_hash : entry->server_hash;

		if (hashvalue == 0 ? !entry->person : hash == hashvalue)
			(void) drop_entry(entry);
	}
}

/*
 * drop_text
 *		Overwrite and free a text of the cache.
 */
static void
drop_text(char **text)
{
	if (*text)
	{
		explicit_bzero(*text, strlen(*text));
		pfree(*text);
	}
	*text = NULL;
}

/*
 * drop_entry
 *		Overwrite and free all that an entry has; false if it had nothing.
 */
static bool
drop_entry(TokenEntry *entry)
{
	bool		had = entry->token || entry->refresh_token;

	drop_text(&entry->token);
	drop_text(&entry->refresh_token);
	return had;
}

/*
 * demand_person
 *		Raise the error for a login that waits for somebody at the keyboard.
 */
static void
demand_person(const GraphSession *session, bool expired)
{
	const char *call = psprintf("SELECT * FROM graph_fdw_login(%s)",
								quote_literal_cstr(session->peer.server_name));

	if (expired)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("the login of this session to server \"%s\" has expired",
						session->peer.server_name),
				 errhint("Log in again: %s", call)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("not logged in to server \"%s\"", session->peer.server_name),
			 errdetail("The user mapping has no login of its own, and this session has not logged in."),
			 errhint("Log in as a person (%s), or set \"client_secret\" or another login on the user mapping.",
					 call)));
}

/*
 * log_in
 *		Get a token and keep it in the session's cache entry.
 *
 * The exchange waits and may process invalidations, so the entry is not used
 * after it.
 */
static void
log_in(GraphSession *session, TokenEntry *entry)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "graph_fdw login",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	int			hidden = list_length(session->peer.secrets);
	char	   *refresh_token = NULL;
	GraphTokenAnswer answer;

	if (entry->person && entry->refresh_token == NULL)
		demand_person(session, entry->token != NULL);
	if (entry->refresh_token)
		refresh_token = pstrdup(entry->refresh_token);

	graph_login(session, refresh_token, &answer);
	(void) graph_token_keep(session, &answer);

	graph_token_answer_wipe(&answer);
	if (refresh_token)
		explicit_bzero(refresh_token, strlen(refresh_token));
	unhide(session, hidden);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * disconnect
 *		Drop what the session keeps for a server, or (InvalidOid) for all.
 *
 * Connections are not any server's own: all that are kept are closed.
 */
static bool
disconnect(Oid serverid)
{
	bool		had = graph_http_disconnect();
	HASH_SEQ_STATUS status;
	TokenEntry *entry;

	if (token_cache == NULL)
		return had;
	hash_seq_init(&status, token_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if ((!OidIsValid(serverid) || entry->serverid == serverid) &&
			drop_entry(entry))
			had = true;
	}
	return had;
}

/*
 * graph_fdw_disconnect
 *		SQL function: forget this session's tokens for a server, and close the
 *		kept connections.  Returns false if there was nothing.
 */
Datum
graph_fdw_disconnect(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_BOOL(disconnect(GetForeignServerByName(name, false)->serverid));
}

/*
 * graph_fdw_disconnect_all
 *		The same for all servers.
 */
Datum
graph_fdw_disconnect_all(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(disconnect(InvalidOid));
}
