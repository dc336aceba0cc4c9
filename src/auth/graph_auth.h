/*-------------------------------------------------------------------------
 *
 * graph_auth.h
 *		Who asks, and by which token?
 *
 * Sessions, the cache of tokens, the logins by which a token is had, and the
 * exchange of one request for its whole answer.
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
 * hold.  Made when a scan, ANALYZE, graph_fdw_login() or graph_fdw_check()
 * starts, in the memory context that is current then.
 */
typedef struct GraphSession
{
	GraphPeer	peer;			/* as messages name it */
	GraphOptions options;		/* with the user mapping's */
	Oid			serverid;
	Oid			umid;			/* user mapping */
	Oid			userid;			/* the role that asks */
	uint64		bearer_number;	/* how many there have been */
	GraphThrottle *throttle;	/* what it shares with others of its client */
} GraphSession;

/* Whom a request is for: by that go its error document and its retries. */
typedef enum GraphAsked
{
	GRAPH_ASKED_SERVICE,		/* Graph itself */
	GRAPH_ASKED_AUTHORITY,		/* the token authority */
	GRAPH_ASKED_IDENTITY,		/* the managed identity's service */
} GraphAsked;

/*
 * One request and its answer.  Zeroed, it is to be told the first part; the
 * rest is written by exchange.c, but for the problem.
 */
typedef struct GraphExchange
{
	GraphSession *session;
	GraphAsked	asked;
	const char *name;			/* what messages call the request */
	const char *where;			/* whom they say it is for, or NULL: the URL's
								 * origin */
	GraphHttpRequest http;
	size_t		limit;			/* longest answer */
	int			max_retries;

	/* the answer of the last attempt */
	GraphTransfer *transfer;
	GraphTransport transport;
	const char *text;			/* what there is to say of the transport */
	const GraphHttpHeader *header;
	GraphSlice	body;
	const char *problem;		/* the caller's, a sentence: what is wrong
								 * with an answer that has status 200 */

	/* the attempts before */
	int			failed;			/* how many */
	const char *why;			/* why the next is the last, or NULL */
} GraphExchange;

/* in session.c */
extern GraphSession *graph_session_open(Oid relid, Oid userid);
extern bool graph_session_may_use(Oid serverid);
pg_noreturn extern void graph_session_refuse(const ForeignServer *server,
											 const char *otherwise);
extern GraphSession *graph_session_open_server(ForeignServer *server);
extern void graph_session_set_bearer(GraphSession *session, const char *token);
extern void graph_session_request(const GraphSession *session, const char *url,
								  GraphHttpRequest *request);
extern void graph_session_redact(GraphSession *session, const char *secret);
extern void graph_session_redact_link(GraphSession *session, const char *url);
extern void graph_session_redact_first(GraphSession *session, int count);

/* in exchange.c */
extern bool graph_exchange_send(GraphExchange *exchange);
extern char *graph_exchange_title(const GraphExchange *exchange);
extern GraphRemoteError graph_exchange_error(const GraphExchange *exchange);
extern bool graph_exchange_may_retry(const GraphExchange *exchange);
pg_noreturn extern void graph_exchange_report(const GraphExchange *exchange,
											  const char *why);
extern void graph_exchange_retry(GraphExchange *exchange);

/* in token.c */
extern void graph_token_get(GraphSession *session);
extern bool graph_token_renew(GraphSession *session, uint64 number);
extern bool graph_token_forget(GraphSession *session);
extern TimestampTz graph_token_keep(GraphSession *session,
									const GraphTokenAnswer *answer);
extern TimestampTz graph_token_good_until(GraphSession *session);

/* in permission.c */
extern bool graph_token_permissions(const GraphSession *session,
									List **permissions);

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

/* in client_assertion.c */
extern char *graph_client_assertion_create(const GraphOptions *options,
										   const char *audience);
extern char *graph_token_claims(const char *token, size_t *len);

/* in managed_identity.c */
extern void graph_managed_identity_request(GraphSession *session,
										   GraphHttpRequest *request);
extern bool graph_managed_identity_answer_challenge(GraphSession *session,
													const GraphHttpHeader *header,
													GraphHttpRequest *request);

#endif							/* GRAPH_AUTH_H */
