/*-------------------------------------------------------------------------
 *
 * token.c
 *		Which bearer token does a session use, and is it still good?
 *
 * A login costs a request, so the token that comes of it is kept in the
 * backend and shared by all its scans.  What is kept belongs to a user mapping
 * and a role, since the mapping for PUBLIC serves many and one of them may
 * have logged in by device code; beside it is a fingerprint of all that the
 * login was made of, so that one login never uses another's token and a
 * changed mapping logs in anew.  A token is renewed some time before it
 * expires, and when the service refuses it; with some logins that takes a
 * refresh token, which is kept as well and replaced whenever the service sends
 * another.
 *
 * The cache lives in a memory context of its own for as long as the backend,
 * and what is dropped from it is overwritten.
 *
 * What this file refuses to know: scans, pages, alerts, how a login asks.
 *
 * IDENTIFICATION
 *		src/auth/token.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
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
	bool		device_code;	/* a new login takes graph_fdw_login() */
	uint64		fingerprint;	/* of what the login was made of */
	char	   *token;			/* in token_context, or NULL */
	char	   *refresh_token;	/* the same */
	TimestampTz good_until;
} TokenEntry;

static HTAB *token_cache = NULL;
static MemoryContext token_context = NULL;

PG_FUNCTION_INFO_V1(graph_fdw_disconnect);
PG_FUNCTION_INFO_V1(graph_fdw_disconnect_all);

/*-------------------------------------------------------------------------
 * Entries
 *-------------------------------------------------------------------------
 */

/*
 * set_text
 *		Put a copy of another text, or none (NULL), in place of one of the cache.
 */
static void
set_text(char **text, const char *other)
{
	char	   *before = *text;

	*text = other ? MemoryContextStrdup(token_context, other) : NULL;
	graph_free_text(before);
}

/*
 * drop_entry
 *		Overwrite and free all that an entry has; false if it had nothing.
 */
static bool
drop_entry(TokenEntry *entry)
{
	bool		had = entry->token || entry->refresh_token;

	set_text(&entry->token, NULL);
	set_text(&entry->refresh_token, NULL);
	return had;
}

/*
 * drop_changed
 *		Syscache callback: user mappings or servers have changed.
 *
 * It must not touch the catalogs or throw.  Entries stay: somebody up the
 * stack may hold a pointer to one.  A hash value of zero says that any may
 * have changed; then a login by device code stays, for its fingerprint tells
 * whether it is still the same.
 */
static void
drop_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	TokenEntry *entry;

	hash_seq_init(&status, token_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		uint32		hash = cacheid == USERMAPPINGOID ?
			entry->mapping_hash : entry->server_hash;

		if (hashvalue == 0 ? !entry->device_code : hash == hashvalue)
			(void) drop_entry(entry);
	}
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
	CacheRegisterSyscacheCallback(USERMAPPINGOID, drop_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, drop_changed, (Datum) 0);
}

/*
 * fingerprint_of
 *		A number that changes with anything that the login is made of.
 */
static uint64
fingerprint_of(const GraphOptions *options)
{
	const char *parts[] = {
		graph_login_name(options->credentials.login),
		options->service.authority,
		options->service.scope,
		options->service.tenant_id,
		options->credentials.client_id,
		options->credentials.client_secret,
		options->credentials.certificate_file,
		options->credentials.private_key_file,
		options->credentials.private_key_password,
		options->credentials.federated_token_file,
		options->credentials.refresh_token,
		options->service.ca_file,
		options->service.proxy,
		options->credentials.proxy_user,
		options->credentials.proxy_password
	};
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
	uint64		fingerprint = fingerprint_of(&session->options);
	TokenKey	key = {session->umid, session->userid};
	TokenEntry *entry;
	bool		found;

	Assert(OidIsValid(session->serverid) && OidIsValid(session->userid));
	open_cache();
	entry = hash_search(token_cache, &key, HASH_ENTER, &found);
	if (!found)
	{
		entry->token = entry->refresh_token = NULL;
		entry->good_until = 0;
	}
	else if (entry->fingerprint != fingerprint)
		(void) drop_entry(entry);
	entry->serverid = session->serverid;
	entry->mapping_hash =
		GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(session->umid));
	entry->server_hash =
		GetSysCacheHashValue1(FOREIGNSERVEROID,
							  ObjectIdGetDatum(session->serverid));
	entry->device_code =
		session->options.credentials.login == GRAPH_LOGIN_DEVICE_CODE;
	entry->fingerprint = fingerprint;
	return entry;
}

/*-------------------------------------------------------------------------
 * Tokens
 *-------------------------------------------------------------------------
 */

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
	TimestampTz good_until = GetCurrentTimestamp() +
		(answer->expires_in - margin) * USECS_PER_SEC;

	Assert(session->options.credentials.access_token == NULL);
	set_text(&entry->token, answer->access_token);
	if (answer->refresh_token &&
		(entry->device_code || session->options.credentials.refresh_token))
		set_text(&entry->refresh_token, answer->refresh_token);
	entry->good_until = good_until;
	elog(DEBUG1, "graph_fdw: logged in to server \"%s\" by %s; the token is used until %s",
		 session->peer.server_name,
		 graph_login_name(session->options.credentials.login),
		 timestamptz_to_str(good_until));
	return good_until;
}

/*
 * demand_device_code
 *		Raise the error for a login that waits for somebody at the keyboard.
 */
pg_noreturn static void
demand_device_code(const GraphSession *session, bool expired)
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
	int			redacted = list_length(session->peer.secrets);
	char	   *refresh_token = NULL;
	GraphTokenAnswer answer;

	if (entry->device_code && entry->refresh_token == NULL)
		demand_device_code(session, entry->token != NULL);
	if (entry->refresh_token)
		refresh_token = pstrdup(entry->refresh_token);

	graph_login(session, refresh_token, &answer);
	(void) graph_token_keep(session, &answer);

	graph_token_answer_wipe(&answer);
	graph_wipe_text(refresh_token);
	graph_session_redact_first(session, redacted);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
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
		graph_session_set_bearer(session,
								 session->options.credentials.access_token);
		return;
	}

	entry = find_entry(session);
	if (entry->token && GetCurrentTimestamp() < entry->good_until)
	{
		graph_session_set_bearer(session, entry->token);
		elog(DEBUG2, "graph_fdw: the token for server \"%s\" was in the cache",
			 session->peer.server_name);
		return;
	}
	log_in(session, entry);
	entry = find_entry(session);
	if (entry->token)
		graph_session_set_bearer(session, entry->token);
}

/*
 * graph_token_forget
 *		Drop a token that another can be had for without graph_fdw_login(); what
 *		gets the other stays.  Returns false, and drops nothing, if that cannot
 *		be.
 */
bool
graph_token_forget(GraphSession *session)
{
	TokenEntry *entry;

	if (session->options.credentials.access_token)
		return false;
	entry = find_entry(session);
	if (entry->device_code && entry->refresh_token == NULL)
		return false;
	set_text(&entry->token, NULL);
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
 * disconnect
 *		Drop what the backend keeps for a server, or (InvalidOid) for all.
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
