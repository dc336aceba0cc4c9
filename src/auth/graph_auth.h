/*-------------------------------------------------------------------------
 *
 * graph_auth.h
 *		Who asks, and by which token?
 *
 * Sessions, the cache of tokens, and the logins by which one is had.
 *
 * What this layer refuses to know: lists, records, the planner.
 *
 * IDENTIFICATION
 *		src/auth/graph_auth.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_AUTH_H
#define GRAPH_AUTH_H

#include "lib/stringinfo.h"

#include "catalog/graph_catalog.h"
#include "json/graph_json.h"
#include "net/graph_net.h"

/*
 * Who asks, and where: everything that a request needs and the plan must not
 * hold.  Made when a scan starts, in the scan's memory context.
 */
typedef struct GraphSession
{
	GraphPeer	peer;			/* as messages name it */
	GraphOptions options;		/* with the user mapping's */
	Oid			serverid;
	Oid			umid;			/* user mapping */
	Oid			userid;			/* the role that asks */
	uint64		bearer_number;	/* how many there have been */
} GraphSession;
/* in token.c */
extern GraphSession *graph_session_open(Oid relid, Oid userid);
extern GraphSession *graph_session_open_server(const char *server_name);
extern void graph_session_redact(GraphSession *session, const char *secret);
extern void graph_session_redact_link(GraphSession *session, const char *url);
extern void graph_token_get(GraphSession *session);
extern bool graph_token_renew(GraphSession *session, uint64 number);
extern bool graph_token_forget(GraphSession *session);
extern TimestampTz graph_token_keep(GraphSession *session,
									const GraphTokenAnswer *answer);
extern TimestampTz graph_token_good_until(GraphSession *session);

/* in login_error.c */
extern bool graph_token_error_is_retriable(const GraphRemoteError *remote);
pg_noreturn extern void graph_report_token_status(const GraphSession *session,
												  const char *request,
												  const GraphHttpHeader *header,
												  const GraphRemoteError *remote,
												  const char *why);

/* in login.c */
extern void graph_login(GraphSession *session, const char *refresh_token,
						GraphTokenAnswer *answer);
extern char *graph_login_url(const GraphSession *session, const char *what);
extern void graph_login_request(const GraphSession *session, const char *url,
								StringInfo form, GraphHttpRequest *request);
extern void graph_form_start(StringInfo form);
extern void graph_form_add(StringInfo form, const char *name,
						   const char *value);
extern void graph_token_answer_wipe(GraphTokenAnswer *answer);
extern char *graph_read_file(const char *what, const char *path,
							 bool private_key);

/* in client_assertion.c */
extern char *graph_client_assertion_create(const GraphOptions *options,
									const char *audience);
extern char *graph_base64url_decode(const char *text, size_t len,
									size_t *result_len);

/* in managed_identity.c */
extern void graph_managed_identity_request(GraphSession *session,
								   GraphHttpRequest *request);
extern bool graph_managed_identity_answer_challenge(GraphSession *session,
											const GraphHttpHeader *header,
											GraphHttpRequest *request);
extern bool graph_managed_identity_status_is_retriable(int status);

#endif							/* GRAPH_AUTH_H */
