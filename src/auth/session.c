/*-------------------------------------------------------------------------
 *
 * session.c
 *		Who asks which server, and what must no message repeat?
 *
 * A session is opened for the role that a scan runs as.  It has the options of
 * server, table and user mapping, and with them the secrets by which that role
 * logs in; a token comes later (token.c).  It belongs to the memory context in
 * which it is opened: when that is reset, a callback that was registered
 * before anything was read overwrites the secrets.
 *
 * What this file refuses to know: how a login asks, and how long a token is
 * good; scans, pages, alerts.
 *
 * IDENTIFICATION
 *		src/auth/session.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "auth/graph_auth.h"

/* What the reset callback of a session overwrites. */
typedef struct SessionOwner
{
	MemoryContextCallback callback;
	GraphSession *session;
} SessionOwner;

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
	graph_wipe_text(session->peer.bearer);
	foreach(cell, session->peer.secrets)
		graph_wipe_text(lfirst(cell));
}

/*
 * has_mapping
 *		Is there a user mapping of just this user, InvalidOid being all?
 */
static bool
has_mapping(Oid userid, Oid serverid)
{
	return SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(userid),
								 ObjectIdGetDatum(serverid));
}

/*
 * get_mapping
 *		The user mapping of a role; an error that says what to do where there is
 *		none.
 *
 * Versions before 17 do not name the server.
 */
static UserMapping *
get_mapping(Oid userid, const ForeignServer *server)
{
	const char *role = MappingUserName(userid);

	if (!has_mapping(userid, server->serverid) &&
		!has_mapping(InvalidOid, server->serverid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("user mapping not found for user \"%s\", server \"%s\"",
						role, server->servername),
				 errhint("Create a user mapping for the role that the query runs as; for a view or a materialized view that is its owner.  The command is CREATE USER MAPPING FOR %s SERVER %s OPTIONS (...).",
						 quote_identifier(role),
						 quote_identifier(server->servername))));
	return GetUserMapping(userid, server->serverid);
}

/*
 * client_name
 *		What tells the client of a session from others, as the service counts
 *		them: an application in a tenant.  Where it is not told which that is, it
 *		is the user mapping.
 */
static char *
client_name(const GraphSession *session)
{
	const GraphOptions *options = &session->options;
	const char *tenant = options->service.tenant_id;
	char	   *name;

	if (options->credentials.client_id == NULL &&
		options->credentials.login != GRAPH_LOGIN_MANAGED_IDENTITY)
		return psprintf("mapping %u %u", MyDatabaseId, session->umid);
	name = psprintf("application %s in %s",
					options->credentials.client_id ?
					options->credentials.client_id : "of the machine",
					tenant ? tenant : "its own");
	/* GUIDs and domains are the same in another case */
	for (char *p = name; *p; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	return name;
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
	const GraphOptions *options = &session->options;
	const GraphResourceInfo *resource;
	UserMapping *mapping;
	const char *secret;
	size_t		place = 0;

	owner->session = session;
	owner->callback.func = wipe_session;
	owner->callback.arg = owner;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &owner->callback);

	mapping = get_mapping(userid, server);
	graph_get_options(table, server, mapping, &session->options);
	graph_options_wipe(NULL, mapping->options);
	resource = graph_resource_info(options->resource);
	session->serverid = server->serverid;
	session->umid = mapping->umid;
	session->userid = userid;
	session->peer.server_name = pstrdup(server->servername);
	session->peer.partial_is_warning =
		options->limits.on_partial == GRAPH_PARTIAL_WARNING;
	session->peer.token_is_given = options->credentials.access_token != NULL;
	session->peer.proxied = options->service.proxy != NULL;
	session->peer.permission = resource->read_permission;
	session->throttle =
		graph_throttle_find(graph_url_origin(options->service.endpoint),
							client_name(session));
	graph_stats(server->serverid)->throttle = session->throttle;
	while ((secret = graph_options_secret(options, &place)) != NULL)
		graph_session_redact(session, secret);

	if (strcmp(options->service.cloud, "china") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("Microsoft Graph does not offer security %s in cloud \"%s\"",
						graph_records_name(resource),
						options->service.cloud),
				 errhint("If the tenant is in another cloud, set the option \"cloud\" of server \"%s\".",
						 session->peer.server_name)));
	return session;
}

/*
 * graph_session_open
 *		Read what a scan of a foreign table by a role needs to ask the service.
 *
 * The session is in the current memory context.  No request is made.
 */
GraphSession *
graph_session_open(Oid relid, Oid userid)
{
	ForeignTable *table = GetForeignTable(relid);

	return open_session(table, GetForeignServer(table->serverid), userid);
}

/*
 * graph_session_may_use
 *		May the current role use a server, and so see and make a user mapping of
 *		its own?
 */
bool
graph_session_may_use(Oid serverid)
{
	return graph_server_aclcheck(serverid, GetUserId(), ACL_USAGE) == ACLCHECK_OK;
}

/*
 * graph_session_refuse
 *		Raise the error for a role that may not use a server; otherwise is a
 *		sentence about what it could be granted in place of that, or NULL.
 *
 * Who follows the hint without a thought shows the role a secret that was set
 * for it, so that is said in the same breath.
 */
void
graph_session_refuse(const ForeignServer *server, const char *otherwise)
{
	const char *role = quote_identifier(GetUserNameFromId(GetUserId(), false));

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for foreign server %s",
					server->servername),
			 errhint("%s%sThe owner of the server or a superuser can permit its use: GRANT USAGE ON FOREIGN SERVER %s TO %s.  Then %s also sees and can change the options of a user mapping for %s, and a secret in it.",
					 otherwise ? otherwise : "", otherwise ? "  " : "",
					 quote_identifier(server->servername), role, role, role)));
}

/*
 * graph_session_open_server
 *		The same as graph_session_open() for the current role and a server; the
 *		caller has asked whether the role may have it.
 */
GraphSession *
graph_session_open_server(ForeignServer *server)
{
	graph_check_wrapper(server);
	return open_session(NULL, server, GetUserId());
}

/*
 * graph_session_set_bearer
 *		Give a session its own copy of the token that it is to use.
 */
void
graph_session_set_bearer(GraphSession *session, const char *token)
{
	char	   *before = session->peer.bearer;

	Assert(token && token[0]);
	if (before && strcmp(before, token) == 0)
		return;
	session->peer.bearer =
		MemoryContextStrdup(GetMemoryChunkContext(session), token);
	session->bearer_number++;
	graph_free_text(before);
}

/*
 * graph_session_request
 *		Begin a request for a URL, as the session's options want it sent; the
 *		caller adds what is asked.
 */
void
graph_session_request(const GraphSession *session, const char *url,
					  GraphHttpRequest *request)
{
	const GraphOptions *options = &session->options;

	memset(request, 0, sizeof(GraphHttpRequest));
	request->url = url;
	/* palloc'd, as the lines that hold secrets are: all are overwritten */
	request->headers = list_make1(pstrdup("Accept: application/json"));
	request->ca_file = options->service.ca_file;
	request->proxy = options->service.proxy;
	request->proxy_user = options->credentials.proxy_user;
	request->proxy_password = options->credentials.proxy_password;
	request->connect_timeout = options->limits.connect_timeout;
	request->request_timeout = options->limits.request_timeout;
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
 * graph_session_redact_first
 *		Of the texts that no message repeats keep the first so many; the others
 *		were good for one request.
 */
void
graph_session_redact_first(GraphSession *session, int count)
{
	List	   *secrets = session->peer.secrets;

	Assert(count >= 0);
	for (int i = count; i < list_length(secrets); i++)
		graph_free_text(list_nth(secrets, i));
	session->peer.secrets = list_truncate(secrets, count);
}
