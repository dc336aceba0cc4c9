/*-------------------------------------------------------------------------
 *
 * graph_base.h
 *		The bottom: what every layer uses.
 *
 * The clock, secret memory, URLs, what of a remote text may be shown, the
 * errors for what the other side does, and how much was asked of each server.
 *
 * What this layer refuses to know: options, JSON, libcurl's transfers, how a
 * token is had, plans.
 *
 * IDENTIFICATION
 *		src/base/graph_base.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_BASE_H
#define GRAPH_BASE_H

#include "postgres.h"

#include <sys/socket.h>

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

#include "base/compat.h"

/* The library's; META.json has the same.  Its SQL objects are of 1.1. */
#define GRAPH_FDW_VERSION "1.1.0"

/*
 * Microseconds of a clock that never steps: graph_now().  Whatever is waited
 * for goes by it; 0 is no time.
 */
typedef int64 GraphTime;

/*-------------------------------------------------------------------------
 * Limits, each with its reason.
 *-------------------------------------------------------------------------
 */

/*
 * How deep objects and arrays may nest in one answer.  Evidence nests
 * evidence (pod, containers, image, registry) to about ten levels; PostgreSQL's
 * own jsonb parser recurses, so the bound must stay well under what the stack
 * takes.
 */
#define GRAPH_MAX_DEPTH 128

/*
 * Largest page of a list.  It is not documented; a larger $top is said to be
 * cut down to this.
 */
#define GRAPH_LARGEST_PAGE 1000

/*
 * Longest nextLink in bytes.  It holds our own URL plus a skip token; servers
 * and proxies commonly refuse request lines over 8 or 16 kB, so anything
 * larger than this is not a link that could be followed.
 */
#define GRAPH_MAX_LINK (64 * 1024)

/*
 * Longest small document: a token answer, an error body.  A Graph error is
 * below 2 kB and a token answer below 10 kB; libpq-oauth uses 256 kB for the
 * same purpose.
 */
#define GRAPH_MAX_DOCUMENT (256 * 1024)

/* Bytes of the id that a request is given, a GUID as text. */
#define GRAPH_ID_SIZE 37

/* Bytes of somebody else's buffer; data is NULL where the member is absent. */
typedef struct GraphSlice
{
	const char *data;
	size_t		len;
} GraphSlice;

/* What is asked: a method of RFC 9110 or RFC 5789. */
typedef enum GraphMethod
{
	GRAPH_METHOD_GET,
	GRAPH_METHOD_PATCH,			/* idempotent here: it says what shall be */
	GRAPH_METHOD_POST,			/* each one adds something */
} GraphMethod;

/* How a transfer ended. */
typedef enum GraphTransport
{
	GRAPH_TRANSPORT_OK,
	GRAPH_TRANSPORT_RESOLVE,
	GRAPH_TRANSPORT_RESOLVE_PROXY,
	GRAPH_TRANSPORT_CONNECT,
	GRAPH_TRANSPORT_PROXY,		/* it will not connect us */
	GRAPH_TRANSPORT_PROXY_BUSY, /* it could not just now */
	GRAPH_TRANSPORT_HANDSHAKE,	/* TLS did not come about */
	GRAPH_TRANSPORT_NO_TLS,		/* and will not, with what is there */
	GRAPH_TRANSPORT_TLS,		/* the certificate is not trusted */
	GRAPH_TRANSPORT_CONNECT_TIMEOUT,
	GRAPH_TRANSPORT_SILENCE,	/* nothing came for request_timeout */
	GRAPH_TRANSPORT_BROKEN,		/* it was cut, or the body is too short */
	GRAPH_TRANSPORT_ENCODING,	/* the compressed body is damaged */
	GRAPH_TRANSPORT_LENGTH,		/* nobody can tell how long the body is */
	GRAPH_TRANSPORT_TOO_LARGE,	/* the header, or a small document */
	GRAPH_TRANSPORT_STARVED,	/* there was no descriptor to be had */
	GRAPH_TRANSPORT_OTHER,
} GraphTransport;

/*
 * What a failed answer says of itself; members that it does not have are
 * NULL.  The texts are as they came, not sanitized.
 */
typedef struct GraphRemoteError
{
	char	   *code;			/* Graph: error.code; token: error */
	char	   *message;		/* Graph: error.message; token:
								 * error_description */
	char	   *request_id;		/* innerError.request-id; token: trace_id */
	char	   *client_request_id;	/* token: correlation_id */
	int			aadsts;			/* first of error_codes, else 0 */
} GraphRemoteError;

/* What is known of an answer once its header has been read. */
typedef struct GraphHttpHeader
{
	int			status;			/* 0: there was no answer */
	int			retry_after;	/* seconds, or -1: the server did not say */
	char		content_type[128];
	char		request_id[128];
	char		warning[256];
	char		challenge[512]; /* WWW-Authenticate */
	char		date[64];
	int64		time;			/* the same in seconds since 1970, or 0 */
	char		encoding[64];	/* of the body, "" for none */
	char		length[32];		/* Content-Length */
	bool		two_lengths;	/* ... twice, and not the same */
	bool		bounded;		/* it is told how long the body is */
	bool		interim;		/* of an answer 1xx, so far */
	bool		ended;			/* all of it is there, */
	GraphTime	came;			/* since then, at the earliest */
} GraphHttpHeader;

/*
 * What all requests of a client to a service share, and one request's turn
 * among them.
 */
typedef struct GraphThrottle GraphThrottle;
typedef struct GraphTurn GraphTurn;

/* What this backend has asked of a server. */
typedef struct GraphStats
{
	Oid			serverid;		/* the hash key */
	GraphThrottle *throttle;	/* of the client that has asked last, or NULL */
	uint64		requests;		/* sent, retries included; not for tokens */
	uint64		retries;
	uint64		throttled;		/* answers 429 */
	uint64		bytes;			/* of bodies, as decompressed */
	uint64		records;		/* alerts */
	uint64		writes;			/* taken by the service */
	bool		clock_known;
	int64		clock_ahead;	/* of ours is the service's, in microseconds */
} GraphStats;

/* The other side, as messages speak of it: each GraphSession has one. */
typedef struct GraphPeer
{
	char	   *server_name;
	bool		partial_is_warning; /* option on_partial */
	bool		token_is_given; /* by option access_token */
	bool		proxied;		/* by option proxy */
	const char *permission;		/* which lets us read what we ask for */
	const char *otherwise;		/* how to do without: a sentence, or NULL */
	char	   *bearer;			/* the token in use, or NULL */
	List	   *secrets;		/* of char *, texts that no message repeats */
} GraphPeer;

/* What a request is that asks for its turn. */
typedef struct GraphWish
{
	const char *method;
	const char *resource;		/* "/security/alerts_v2" */
	uint64		page;			/* of a list; 0: it is none */
	Oid			userid;			/* who asks */
	uint64		before;			/* so many were made for the same purpose, or
								 * are to be, beside it */
	int			lanes;			/* side by side */
	int			per_minute;		/* requests_per_minute, or 0 */
	bool		early;			/* it is not needed yet */
} GraphWish;

/* What all sessions have done together, and when they may go on. */
typedef struct GraphThrottleState
{
	uint64		requests;
	uint64		refusals;
	int64		waited;			/* microseconds */
	int			waiting;		/* requests, now */
	GraphTime	until;			/* nothing is sent before; 0: it is */
} GraphThrottleState;

/* After how many refusals a request is given up. */
typedef struct GraphPatience
{
	int			max_retries;
	int			timeout;		/* milliseconds, in which none is taken */
	bool		has_begun;		/* earlier requests of the same purpose were
								 * taken */
} GraphPatience;

/* in budget.c */
extern int64 graph_refusal_wait(int number, int retry_after);

/* in clock.c */
extern GraphTime graph_now(void);
extern GraphTime graph_after(long milliseconds);
extern long graph_milliseconds_until(GraphTime when);

/* in encoding.c */
extern char *graph_to_server_encoding(char *text, int reserve, size_t *len);

/* in shared_budget.c */
extern void graph_shared_init(void);
extern bool graph_shares_budgets(void);

/* in string_set.c */
extern HTAB *graph_string_set_create(const char *name, MemoryContext context);

/* in stats.c */
extern GraphStats *graph_stats(Oid serverid);
extern void graph_stats_clock(GraphStats *stats, int64 seconds);

/* in secret.c */
extern void graph_wipe_text(char *text);
extern void graph_free_text(char *text);
extern char *graph_secret_alloc(size_t size);
extern char *graph_secret_copy(const char *text, size_t len);
extern char *graph_secret_join(const char *before, const char *secret);
extern const char *graph_file_hint(const char *path);
extern char *graph_read_file(const char *what, const char *path,
							 bool private_key);
extern uint32 graph_wipe_failures(void);
extern void *graph_wipe_malloc(size_t size);
extern void graph_wipe_free(void *pointer);
extern void *graph_wipe_realloc(void *pointer, size_t size);
extern void *graph_wipe_calloc(size_t count, size_t size);
extern char *graph_wipe_strdup(const char *text);

/* in throttle.c */
extern GraphThrottle *graph_throttle_find(const char *origin,
										  const char *client);
extern bool graph_throttle_state(GraphThrottle *throttle,
								 GraphThrottleState *state);
extern GraphTurn *graph_turn_create(MemoryContext owner,
									GraphThrottle *throttle);
extern GraphTime graph_turn_ask(GraphTurn *turn, const GraphWish *wish);
extern int64 graph_turn_waited(const GraphTurn *turn);
extern int	graph_turns_waiting(void);
extern const char *graph_turn_problem(const GraphTurn *turn, GraphTime when,
									  int timeout);
extern void graph_turn_taken(GraphTurn *turn);
extern const char *graph_turn_refused(GraphTurn *turn,
									  const GraphPatience *patience,
									  const GraphHttpHeader *header,
									  int *attempt, GraphTime *when);
extern void graph_turn_lost(GraphTurn *turn);
extern void graph_turn_end(GraphTurn *turn);

/* in url.c */
extern const char *graph_url_problem(const char *url);
extern const char *graph_proxy_problem(const char *url);
extern char *graph_url_escape(const char *text);
extern char *graph_url_unescape(const char *text);
extern char *graph_url_origin(const char *url);
extern char *graph_url_path(const char *url);
extern char *graph_url_resolve(const char *base, const char *link);
extern bool graph_url_is_local(const char *url);
extern bool graph_address_is_metadata(const struct sockaddr *address);

/*
 * Is it asked without TLS?  Here and not in url.c, as that file raises errors,
 * and the error's hint asks this.
 */
static inline bool
graph_url_is_plain(const char *url)
{
	return pg_strncasecmp(url, "http://", 7) == 0;
}

/*
 * Who may send a request again that ended so.  A managed identity's service is
 * on this machine: where nobody listens there is none, and it has statuses of
 * its own for being set up.
 */
#define GRAPH_RETRY_NEVER	0
#define GRAPH_RETRY_REMOTE	1	/* who asked the service or the authority */
#define GRAPH_RETRY_LOCAL	2	/* who asked the managed identity's service */
#define GRAPH_RETRY_ALL		(GRAPH_RETRY_REMOTE | GRAPH_RETRY_LOCAL)

/*
 * And whether the service has certainly not done what it was asked: then what
 * may not be done twice may be asked again, too.  A gateway that is busy says
 * when to come back; one that lost the service behind it cannot tell.
 */
#define GRAPH_NOT_DONE			4
#define GRAPH_NOT_DONE_IF_ASKED	8	/* if it says when to come back */

/* What a status means: see the table in error.c. */
typedef struct GraphStatusRule
{
	int			first;			/* statuses first .. last */
	int			last;
	int			sqlstate;
	int			retry;			/* of GRAPH_RETRY_ and GRAPH_NOT_DONE */
	bool		refuses_login;	/* as the token endpoint's (RFC 6749 5.2) */
	const char *meaning;		/* RFC 9110's words, or Graph's */
	const char *hint;			/* or NULL */
} GraphStatusRule;

/* in error.c */
pg_noreturn extern void graph_report_out_of_memory(void);
extern const GraphStatusRule *graph_status_rule(int status);
extern const char *graph_status_hint(const GraphPeer *peer, int status,
									 const char *permission);
extern char *graph_describe_remote(const GraphPeer *peer,
								   const GraphHttpHeader *header,
								   const GraphRemoteError *remote,
								   const char *why);
extern bool graph_may_retry(GraphTransport transport, int status, int who);
extern bool graph_may_be_done(GraphTransport transport, int status,
							  int retry_after);
extern char *graph_request_title(const char *name, const char *id);
extern const char *graph_wait_problem(int64 delay, int retry_after,
									  int longest);
extern int	graph_retry_delay(int attempt, int retry_after, const char **why);
extern int	graph_refusal_delay(int attempt, int retry_after, int longest,
								const char **why);
pg_noreturn extern void graph_report_status(const GraphPeer *peer,
											const char *request,
											const GraphHttpHeader *header,
											const GraphRemoteError *remote,
											const char *why);
pg_noreturn extern void graph_report_transport(const GraphPeer *peer,
											   const char *request,
											   const char *where,
											   GraphTransport transport,
											   const char *text,
											   const char *why);
pg_noreturn extern void graph_report_throttled(const GraphPeer *peer,
											   const char *request,
											   const char *problem);
extern void graph_report_partial(const GraphPeer *peer,
								 const char *request, const char *problem);
extern void graph_report_short(const GraphPeer *peer,
							   const char *request, const char *problem);
pg_noreturn extern void graph_report_document(const GraphPeer *peer,
											  const char *request,
											  const char *problem);

/* in redact.c */
extern char *graph_sanitize_remote_text(const GraphPeer *peer,
										const char *remote);

#endif							/* GRAPH_BASE_H */
