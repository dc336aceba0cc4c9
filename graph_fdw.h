/*-------------------------------------------------------------------------
 *
 * graph_fdw.h
 *		What the files of graph_fdw tell each other.
 *
 * A struct is here only if it crosses a file boundary, and a prototype is
 * listed under the file that answers it; those lists are the map of the
 * module.  Everything below the callbacks of graph_fdw.c is a straight line:
 *
 *		plan.c, join.c, deparse.c		which request?	plain nodes in the plan
 *		value.c, filter.c, key.c,
 *		text.c							how is it spelled?
 *		scan.c, lane.c, answer.c,
 *		request.c, order.c				which record is next?
 *		token.c, login.c, http.c,
 *		header.c, inflate.c, multi.c,
 *		url.c, tls.c					whose token, which bytes?
 *		list.c, json.c					where is the record, and its member?
 *		row.c, decode.c, jsonb.c,
 *		sort.c							what is it as a Datum, and in which order?
 *		error.c, redact.c, wipe.c,
 *		document.c						what does a failure say, and what not?
 *
 * and none of them knows those above it.
 *
 * IDENTIFICATION
 *		graph_fdw.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_FDW_H
#define GRAPH_FDW_H

#include "postgres.h"

#include <signal.h>
#include <sys/socket.h>

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/*
 * Differences between server versions, newest first.  Nothing outside this
 * block asks for PG_VERSION_NUM.
 */
#if PG_VERSION_NUM < 150000
#error "graph_fdw needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

#if PG_VERSION_NUM >= 180000
#define graph_pathkey_is_descending(key)	((key)->pk_cmptype == COMPARE_GT)
#define graph_create_foreign_upper_path(root, rel, target, rows, startup, total, pathkeys, outerpath, private) \
	create_foreign_upper_path(root, rel, target, rows, 0, startup, total, pathkeys, outerpath, NIL, private)
#elif PG_VERSION_NUM >= 170000
#define graph_create_foreign_upper_path(root, rel, target, rows, startup, total, pathkeys, outerpath, private) \
	create_foreign_upper_path(root, rel, target, rows, startup, total, pathkeys, outerpath, NIL, private)
#else
#define graph_create_foreign_upper_path(root, rel, target, rows, startup, total, pathkeys, outerpath, private) \
	create_foreign_upper_path(root, rel, target, rows, startup, total, pathkeys, outerpath, private)
#endif
#if PG_VERSION_NUM < 180000
#define graph_pathkey_is_descending(key)	((key)->pk_strategy == BTGreaterStrategyNumber)
#endif

#if PG_VERSION_NUM >= 180000
#define graph_create_foreign_join_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, private) \
	create_foreign_join_path(root, rel, target, rows, 0, startup, total, pathkeys, outer, outerpath, NIL, private)
#define graph_range_table_relation(estate, rti)	ExecGetRangeTableRelation(estate, rti, false)
#elif PG_VERSION_NUM >= 170000
#define graph_create_foreign_join_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, private) \
	create_foreign_join_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, NIL, private)
#define graph_range_table_relation(estate, rti)	ExecGetRangeTableRelation(estate, rti)
#else
#define graph_create_foreign_join_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, private) \
	create_foreign_join_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, private)
#define graph_range_table_relation(estate, rti)	ExecGetRangeTableRelation(estate, rti)
#endif

#if PG_VERSION_NUM >= 170000
#define graph_estimate_array_length(root, expr)	estimate_array_length(root, expr)
#else
#define graph_estimate_array_length(root, expr)	estimate_array_length(expr)
#endif

#if PG_VERSION_NUM >= 180000
#define graph_create_foreignscan_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, private) \
	create_foreignscan_path(root, rel, target, rows, 0, startup, total, pathkeys, outer, outerpath, NIL, private)
#elif PG_VERSION_NUM >= 170000
#define graph_create_foreignscan_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, private) \
	create_foreignscan_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, NIL, private)
#else
#define graph_create_foreignscan_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, private) \
	create_foreignscan_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, private)
#endif

#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

#if PG_VERSION_NUM >= 170000
#define graph_new_wait_event(name)	WaitEventExtensionNew(name)
#define graph_create_wait_set(n)	CreateWaitEventSet(NULL, n)
#else
#define graph_new_wait_event(name)	PG_WAIT_EXTENSION
#define graph_create_wait_set(n)	CreateWaitEventSet(TopMemoryContext, n)
#endif

#if PG_VERSION_NUM >= 160000
#define graph_scan_user(plan, rte)	((plan)->checkAsUser)
#define graph_base_relids(plan)	((plan)->fs_base_relids)
#define graph_server_aclcheck(serverid, userid, mode) \
	object_aclcheck(ForeignServerRelationId, serverid, userid, mode)
#else
#define graph_scan_user(plan, rte)	((rte)->checkAsUser)
#define graph_base_relids(plan)	((plan)->fs_relids)
#define graph_server_aclcheck(serverid, userid, mode) \
	pg_foreign_server_aclcheck(serverid, userid, mode)
#endif

#define GRAPH_FDW_VERSION "1.0"

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
 * Bytes of an answer kept between the socket and the reader.  Big enough that
 * the pause and resume of a transfer cost nothing, small enough that LIMIT 1
 * leaves most of an 8 MB page unsent.
 */
#define GRAPH_TRANSFER_WINDOW (128 * 1024)

/*
 * Longest small document: a token answer, an error body.  A Graph error is
 * below 2 kB and a token answer below 10 kB; libpq-oauth uses 256 kB for the
 * same purpose.
 */
#define GRAPH_MAX_DOCUMENT (256 * 1024)

/* Bytes of the id that a request is given, a GUID as text. */
#define GRAPH_ID_SIZE 37

/*
 * Longest piece of remote text that is repeated in a message, in bytes.
 * Graph's longest useful message, the list of missing roles, is about 250.
 */
#define GRAPH_MAX_REMOTE_TEXT 1024

/*-------------------------------------------------------------------------
 * Options: what the user said (option.c).
 *-------------------------------------------------------------------------
 */

typedef enum GraphPartialAction
{
	GRAPH_PARTIAL_ERROR,
	GRAPH_PARTIAL_WARNING,
} GraphPartialAction;

/*
 * How a user mapping logs in: option.c finds out, login.c does it.
 */
typedef enum GraphLogin
{
	GRAPH_LOGIN_NONE,			/* no user mapping was given */
	GRAPH_LOGIN_SECRET,
	GRAPH_LOGIN_CERTIFICATE,
	GRAPH_LOGIN_FEDERATED,
	GRAPH_LOGIN_MANAGED_IDENTITY,
	GRAPH_LOGIN_REFRESH_TOKEN,
	GRAPH_LOGIN_ACCESS_TOKEN,
	GRAPH_LOGIN_PERSON,			/* by graph_fdw_login(), for this session */
} GraphLogin;

/*
 * The options of one foreign table, its server and, only while a scan runs, a
 * user mapping; defaults are filled in.  Strings are in the memory context
 * that was current in graph_get_options().
 */
typedef struct GraphOptions
{
	/* where to go */
	char	   *cloud;
	char	   *endpoint;		/* service root without version, no final '/' */
	char	   *authority;		/* token authority, no final '/' */
	char	   *scope;			/* of a token for the cloud, OAuth 2.0's sense */
	char	   *api_version;	/* "v1.0" or "beta" */
	char	   *tenant_id;		/* of the mapping, else of the server */
	char	   *ca_file;		/* or NULL: the system's */
	char	   *proxy;			/* or NULL: none */

	/* how to go */
	int			connect_timeout;	/* milliseconds */
	int			request_timeout;	/* longest silence, milliseconds */
	int			max_retries;
	int			page_size;		/* $top of a list */
	int			concurrency;	/* requests in flight for one scan */
	int			requests_per_minute;	/* 0: no limit */
	int			select_pushdown;	/* booleans */
	int			order_pushdown;
	int			count_pushdown;
	int			evidence_filter;
	int			max_record_size;	/* bytes */
	int			on_partial;		/* a GraphPartialAction */

	/* who goes: NULL unless a user mapping was given */
	GraphLogin	login;
	GraphLogin	proof;			/* by what the application proves itself:
								 * SECRET, CERTIFICATE, FEDERATED or NONE */
	char	   *client_id;
	char	   *client_secret;
	char	   *certificate_file;
	char	   *private_key_file;
	char	   *private_key_password;
	char	   *federated_token_file;
	int			managed_identity;	/* boolean */
	char	   *refresh_token;
	char	   *access_token;
	char	   *proxy_user;		/* or NULL */
	char	   *proxy_password; /* NULL or not as proxy_user is */

	/* what for */
	int			resource;		/* a GraphResource */
	char	   *evidence_type;	/* "deviceEvidence", or NULL: of any type */
} GraphOptions;

/*-------------------------------------------------------------------------
 * Resources: what exists in Graph security (resource.c).
 *-------------------------------------------------------------------------
 */

typedef enum GraphResource
{
	GRAPH_ALERTS,				/* one row per alert */
	GRAPH_EVIDENCE,				/* one row per element of evidence */
	GRAPH_COMMENTS,				/* one row per element of comments */
} GraphResource;

/* The Edm types of the metadata, as far as a column type follows from them. */
typedef enum GraphEdmType
{
	GRAPH_EDM_STRING,
	GRAPH_EDM_BOOLEAN,
	GRAPH_EDM_INT32,
	GRAPH_EDM_INT64,
	GRAPH_EDM_DOUBLE,
	GRAPH_EDM_DATETIME,			/* Edm.DateTimeOffset */
	GRAPH_EDM_GUID,
	GRAPH_EDM_ENUM,				/* text here: the service adds members */
	GRAPH_EDM_COMPLEX,			/* an object of a declared type */
	GRAPH_EDM_DICTIONARY,		/* an open object: any keys */
} GraphEdmType;

/* One property of one type of the metadata. */
typedef struct GraphProperty
{
	const char *owner;			/* declaring type without namespace: "alert" */
	const char *name;			/* as OData spells it: "createdDateTime" */
	GraphEdmType type;
	const char *type_name;		/* of an enum or complex value, without
								 * namespace; else NULL */
	bool		collection;
} GraphProperty;

/* One resource: what the table option "resource" may name. */
typedef struct GraphResourceInfo
{
	const char *name;			/* "alerts", "evidence", "comments" */
	const char *table;			/* the table that IMPORT makes of it */
	const char *entity_set;		/* "/security/alerts_v2" */
	const char *rows_member;	/* member of an alert whose elements are the
								 * rows, or NULL: the alert is the row */
	const char *row_type;		/* type of a row: "alert", "alertEvidence" */
} GraphResourceInfo;

/* A property of alerts that the service can filter, and perhaps sort. */
typedef struct GraphQueryProperty
{
	const char *name;			/* "createdDateTime" */
	GraphEdmType type;			/* STRING, ENUM or DATETIME */
	const char *enum_name;		/* of an ENUM */
	bool		nullable;
	bool		sortable;
} GraphQueryProperty;

/* What the metadata says of a member of an enum. */
typedef enum GraphEnumMember
{
	GRAPH_ENUM_UNKNOWN,			/* not in the metadata: perhaps newer */
	GRAPH_ENUM_KNOWN,			/* always shown by its name */
	GRAPH_ENUM_GATED,			/* shown by its name only with the header
								 * "Prefer: include-unknown-enum-members" */
} GraphEnumMember;

/* What a column of a foreign table reads. */
typedef enum GraphColumnSource
{
	GRAPH_SOURCE_PATHS,			/* the first of some paths that is present */
	GRAPH_SOURCE_ORDINAL,		/* position in the alert, from 1 */
	GRAPH_SOURCE_EVIDENCE_TYPE, /* @odata.type without its namespace */
} GraphColumnSource;

typedef struct GraphColumn
{
	AttrNumber	attnum;
	char	   *name;			/* the column's */
	GraphColumnSource source;

	/*
	 * The paths, in the order in which they are tried: lists of C strings of
	 * OData steps separated by '/', "." for the whole object.  A path that
	 * was written "../severity" is "severity" here with in_alert true.
	 */
	List	   *paths;			/* of char * */
	List	   *in_alert;		/* of int, one for each path: read it from the
								 * alert, not from the row's own object */
} GraphColumn;

/*-------------------------------------------------------------------------
 * JSON: where in these bytes is the member? (json.c, list.c)
 *-------------------------------------------------------------------------
 */

/* Bytes of somebody else's buffer; data is NULL where the member is absent. */
typedef struct GraphSlice
{
	const char *data;
	size_t		len;
} GraphSlice;

typedef struct GraphShape GraphShape;
typedef struct GraphListReader GraphListReader;

typedef enum GraphJsonStatus
{
	GRAPH_JSON_OK,
	GRAPH_JSON_INCOMPLETE,		/* well-formed so far, but it ends too soon */
	GRAPH_JSON_MALFORMED,
} GraphJsonStatus;

/* What is malformed, and where; the text is constant, lower case. */
typedef struct GraphJsonError
{
	const char *problem;
	size_t		offset;			/* from the start of the given bytes */
} GraphJsonError;

/*
 * How far a value that came in part has been looked at.  Only nesting and
 * strings are followed, which is all that it takes to find its end.
 */
typedef struct GraphJsonFrame
{
	bool		active;
	bool		in_string;
	int			depth;
	size_t		scanned;		/* from the start of the value */
} GraphJsonFrame;

typedef enum GraphListEvent
{
	GRAPH_LIST_MORE,			/* give me more bytes */
	GRAPH_LIST_RECORD,			/* here is the next element of "value" */
	GRAPH_LIST_END,				/* the document is complete */
	GRAPH_LIST_MALFORMED,
} GraphListEvent;

/*-------------------------------------------------------------------------
 * Small documents (document.c).
 *-------------------------------------------------------------------------
 */

/*
 * What a failed answer says of itself; members that it does not have are
 * NULL.  The texts are as they came: error.c makes them harmless.
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

typedef struct GraphTokenAnswer
{
	char	   *access_token;	/* the caller wipes it and the next two */
	char	   *refresh_token;	/* or NULL */
	char	   *id_token;		/* or NULL */
	int64		expires_in;		/* seconds; a day's worth at most */
} GraphTokenAnswer;

/* What a person needs to log in, and what asks whether they have. */
typedef struct GraphDeviceCode
{
	char	   *device_code;	/* the caller wipes it */
	char	   *user_code;
	char	   *verification_uri;
	int			expires_in;		/* seconds */
	int			interval;		/* seconds between two questions */
} GraphDeviceCode;

typedef struct GraphDecoder GraphDecoder;
typedef struct GraphJsonbBuilder GraphJsonbBuilder;

/*-------------------------------------------------------------------------
 * HTTP: bytes there and back (http.c).
 *-------------------------------------------------------------------------
 */

/*
 * Microseconds of a clock that never steps: graph_now().  Whatever is waited
 * for goes by it; 0 is no time.
 */
typedef int64 GraphTime;

typedef struct GraphTransfer GraphTransfer;

/* Told of the end of an easy handle's transfer, with a CURLcode. */
typedef void (*GraphEnded) (void *easy, int result);

typedef struct GraphHttpRequest
{
	const char *url;
	const char *bearer;			/* token for Authorization, or NULL */
	List	   *headers;		/* of char *, "Name: value" */
	const char *form;			/* body to POST as a form, or NULL: a GET */

	const char *ca_file;		/* or NULL */
	const char *proxy;			/* or NULL; not used for http, see http.c */
	const char *proxy_user;		/* or NULL */
	const char *proxy_password;
	int			connect_timeout;	/* milliseconds */
	int			request_timeout;	/* longest silence, milliseconds */
	bool		fresh_connection;	/* do not reuse a kept one */
	bool		in_sips;		/* the beginning may be all that is wanted */
	bool		ahead;			/* another answer is read before this one */
	bool		secret_answer;	/* overwrite what was received afterwards */
	bool		link_local;		/* may ask the machine's metadata service */
} GraphHttpRequest;

/* How a transfer ended. */
typedef enum GraphTransport
{
	GRAPH_TRANSPORT_OK,
	GRAPH_TRANSPORT_RESOLVE,
	GRAPH_TRANSPORT_CONNECT,
	GRAPH_TRANSPORT_PROXY,		/* it will not connect us */
	GRAPH_TRANSPORT_HANDSHAKE,	/* TLS did not come about */
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
	bool		ended;			/* all of it is there */
} GraphHttpHeader;

typedef struct GraphInflater GraphInflater;

/*-------------------------------------------------------------------------
 * Planning (plan.c, deparse.c)
 *-------------------------------------------------------------------------
 */

/*
 * A condition on alerts in the form in which a plan holds it: nested lists
 * whose first element says what the rest is.  "property" is a String, "value"
 * an Integer that indexes the values of the plan.  What is sent returns at
 * least the alerts for which the SQL condition is true.
 */
typedef enum GraphFilterKind
{
	GRAPH_FILTER_AND,			/* conditions ... */
	GRAPH_FILTER_OR,			/* conditions ... */
	GRAPH_FILTER_COMPARE,		/* property, GraphComparison, value */
	GRAPH_FILTER_ANY,			/* property, value (an array): = ANY */
	GRAPH_FILTER_ALL,			/* property, value (an array): <> ALL */
	GRAPH_FILTER_NULL,			/* property: IS NULL */
	GRAPH_FILTER_NOT_NULL,		/* property: IS NOT NULL */
	GRAPH_FILTER_DISTINCT,		/* property, value: IS DISTINCT FROM */
	GRAPH_FILTER_NOT_DISTINCT,	/* property, value */
	GRAPH_FILTER_EVIDENCE,		/* evidence type, path in it, value: = */
} GraphFilterKind;

typedef enum GraphComparison
{
	GRAPH_EQ,
	GRAPH_NE,
	GRAPH_LT,
	GRAPH_LE,
	GRAPH_GT,
	GRAPH_GE,
} GraphComparison;

/* A value of a plan when a filter is spelled out. */
typedef struct GraphValue
{
	bool		known;			/* perhaps not while a query is planned or
								 * explained */
	bool		constant;		/* known to the planner already */
	Oid			type;
	Datum		value;
	bool		isnull;
	char	   *label;			/* the expression, while it is explained and
								 * not known */
} GraphValue;

/*
 * What becomes of a condition of which only the constants are known:
 * graph_filter_settle().
 */
typedef struct GraphSettled
{
	bool		is_sent;		/* else the service does not see it */
	bool		is_whole;		/* no value can change that all of it is sent */
	const char *left_out;		/* why something is not, or NULL */
} GraphSettled;

/* A $filter: graph_filter_text(). */
typedef struct GraphFilterText
{
	char	   *text;			/* NULL: there is none */
	bool		no_rows;		/* no alert can match: no request is needed */
	bool		is_whole;		/* nothing was left out */
	bool		no_nulls;		/* no alert without a time comes through */
} GraphFilterText;

/* What a text of the database is at the service: graph_text_meaning(). */
typedef enum GraphTextMeaning
{
	GRAPH_TEXT_ITSELF,
	GRAPH_TEXT_PERHAPS,			/* itself, or what is shown in the same way */
	GRAPH_TEXT_NEVER,			/* nothing: no value is shown so */
} GraphTextMeaning;

/* What can be done with some clauses: graph_classify(). */
typedef struct GraphPushdown
{
	List	   *values;			/* Expr: evaluated when the scan starts */
	GraphValue *known;			/* the same, as far as they are constants */
	HTAB	   *numbers;		/* of constants, where there are many */
	List	   *keys;			/* int: the values that hold the wanted ids,
								 * texts and arrays of them; or NIL */
	List	   *filters;		/* conditions, all of which must hold */
	List	   *sent;			/* RestrictInfo: those that are sent */
	List	   *clauses;		/* Expr: each clause ... */
	List	   *labels;			/* String: ... and what is done with it */
	int			bytes;			/* of the constant conditions' $filter */
	bool		exact;			/* everything is sent, and exact */
} GraphPushdown;

/*
 * What the planner knows of a foreign table: RelOptInfo.fdw_private.  The
 * options hold no secret, since no user mapping is read while planning.
 */
typedef struct GraphRelInfo
{
	RelOptInfo *baserel;
	Oid			relid;
	char	   *table_name;
	GraphOptions options;
	const GraphResourceInfo *resource;
	GraphColumn **columns;		/* by attribute number, where looked up */
	double		alerts;			/* in the service, estimated */
	double		rows_per_alert;
	GraphPushdown pushdown;		/* of the restrictions */
} GraphRelInfo;

/*
 * What a plan holds: the elements of ForeignScan.fdw_private.  They are plain
 * nodes, without a secret.  fdw_exprs holds the values, and after them the
 * clauses, which are there to be explained and are not evaluated.
 */
enum GraphPlanPrivate
{
	GRAPH_PLAN_MODE,			/* Integer: a GraphScanMode */
	GRAPH_PLAN_COLUMNS,			/* IntList: attribute numbers to fill in */
	GRAPH_PLAN_KEYS,			/* IntList: values that hold the ids */
	GRAPH_PLAN_FILTERS,			/* List of conditions */
	GRAPH_PLAN_ORDER,			/* List: String property, Boolean
								 * descending, Boolean nulls first, Integer
								 * attribute number; or NIL */
	GRAPH_PLAN_SELECT,			/* List of String: properties; or NIL */
	GRAPH_PLAN_FIRST_PAGE,		/* Integer: $top of the first page */
	GRAPH_PLAN_MOST_KEYS,		/* Integer: above so many, read the list */
	GRAPH_PLAN_NVALUES,			/* Integer: of fdw_exprs */
	GRAPH_PLAN_LABELS,			/* List of String: what is done with each
								 * clause */
	GRAPH_PLAN_MEMBERS,			/* joins only: List, see join.c */
	GRAPH_PLAN_INDEXES = GRAPH_PLAN_MEMBERS,	/* counts only: IntList, where
								 * the columns are in the row */
};

typedef enum GraphScanMode
{
	GRAPH_SCAN_LIST,
	GRAPH_SCAN_KEYS,
	GRAPH_SCAN_COUNT,			/* one row: the number of alerts */
} GraphScanMode;

/*
 * What a scan asks for.  Strings are plain text: they are escaped when they
 * become a URL, and shown as they are in EXPLAIN.
 */
typedef struct GraphRequest
{
	GraphScanMode mode;
	const char *entity_set;

	/* GRAPH_SCAN_KEYS */
	char	  **keys;
	int			nkeys;

	/* GRAPH_SCAN_LIST and GRAPH_SCAN_COUNT; NULL where not asked */
	char	   *filter;
	bool		whole_filter;	/* no condition was left out of it */
	const char *select;
	char	   *order_property;	/* in $orderby */
	bool		descending;
	bool		nulls_first;
	bool		order_needed;	/* the plan relies on it */
	bool		no_nulls;		/* the filter lets no alert through without
								 * the time by which the list is in order */
	int			page_size;
	int			first_page;		/* a first, smaller page */
	bool		limited;		/* a part of the list may be enough */
} GraphRequest;

/*-------------------------------------------------------------------------
 * Scans: what is the next record? (scan.c)
 *-------------------------------------------------------------------------
 */

/* By what a list is in order, newest first, if nothing else is asked for. */
#define GRAPH_DEFAULT_TIME	"createdDateTime"

/*
 * Who asks, and where: everything that a request needs and the plan must not
 * hold.  Made when a scan starts, in the scan's memory context.
 */
typedef struct GraphSession
{
	GraphOptions options;		/* with the user mapping's */
	Oid			serverid;
	Oid			umid;			/* user mapping */
	Oid			userid;			/* the role that asks */
	char	   *server_name;
	char	   *bearer;			/* the token in use, or NULL: see token.c */
	uint64		bearer_number;	/* how many there have been */
	List	   *hidden;			/* of char *, texts that no message repeats:
								 * see graph_session_hide() */
} GraphSession;

typedef struct GraphScan GraphScan;
typedef struct GraphRowReader GraphRowReader;
typedef struct GraphJoin GraphJoin;
typedef struct GraphSort GraphSort;

/* What a scan has done so far. */
typedef struct GraphScanCounters
{
	uint64		requests;		/* sent, retries included */
	uint64		retries;
	uint64		pages;			/* answers that held alerts */
	uint64		records;		/* alerts */
	uint64		bytes;			/* of bodies, as decompressed */
	int64		waited;			/* microseconds */
} GraphScanCounters;

/* What this backend has asked of a server. */
typedef struct GraphStats
{
	Oid			serverid;
	uint64		requests;		/* sent, retries included; not for tokens */
	uint64		retries;
	uint64		throttled;		/* answers 429 */
	uint64		bytes;			/* of bodies, as decompressed */
	uint64		records;		/* alerts */
} GraphStats;

/* So many links are remembered to notice at once that one leads back. */
#define GRAPH_RECENT_LINKS	64

/* An id, as two independent hashes of it: 2^64 alerts to one wrong match. */
typedef struct GraphSeenId
{
	uint64		hash[2];
} GraphSeenId;

/*
 * A part of the list by the time of its alerts, as it is known here, in whole
 * microseconds: [lower, upper).
 */
typedef struct GraphWindow
{
	TimestampTz lower;			/* DT_NOBEGIN: there is no bound */
	TimestampTz upper;			/* DT_NOEND: there is no bound */
	bool		nulls;			/* instead: the alerts without a time */
	bool		head;			/* without those of the list's beginning */
	bool		linked;			/* one time, that is longer than a page: it is
								 * read by its links */
} GraphWindow;

/* What a lane's answers are for. */
typedef enum GraphLanePurpose
{
	GRAPH_LANE_KEY,				/* one alert by its id */
	GRAPH_LANE_LIST,			/* a list, or a window of it */
	GRAPH_LANE_COUNT,			/* how many alerts there are */
	GRAPH_LANE_PROBE,			/* does the service answer at all? */
} GraphLanePurpose;

/* Parts of a request that a service may refuse with status 400; a bitmask. */
typedef enum GraphRequestPart
{
	GRAPH_PART_SELECT = 1,		/* $select */
	GRAPH_PART_COUNT = 2,		/* $count */
	GRAPH_PART_ORDER = 4,		/* $orderby */
	GRAPH_PART_WINDOW = 8,		/* a window's bounds in $filter */
} GraphRequestPart;

/*
 * One chain of requests, of which one is under way: scan.c decides what lanes
 * there are, lane.c runs them.
 */
typedef struct GraphLane
{
	MemoryContext context;		/* of one request; owns the transfer */
	GraphLanePurpose purpose;
	char	   *label;			/* "GET /security/alerts_v2?...", for messages */
	char		request_id[GRAPH_ID_SIZE];	/* client-request-id, or "" */
	char	   *url;			/* of this request, NULL: the lane is free */
	const char *key;			/* the id that is looked up, of the request's */
	bool		timed;			/* a count is of alerts with a time only */
	int			parts;			/* GraphRequestPart: what the URL has of it */
	int			dropped;		/* and what it had, before it was refused */
	int			page_size;		/* what the URL asks for, of a list */
	GraphWindow window;			/* of a list; open on both sides for all */
	bool		filtered;		/* the window is in the URL's filter, */
	TimestampTz asked_lower;	/* with this bound: it may be shared since */
	uint64		page;			/* of this chain, from 1 */
	uint64		window_pages;	/* of this window, in all its chains */
	int			rereads;		/* how often the chain was read again, */
	int64		last_count;		/* and its count the time before, */
	uint64		last_print;		/* and what it held */

	/* this request */
	GraphTransfer *transfer;
	bool		header_seen;
	GraphListReader *reader;
	size_t		used;			/* bytes of the window to drop first */
	uint64		idle_bytes;		/* received since the last record */
	int			attempt;		/* how often this page was asked before */
	bool		token_renewed;	/* since something else than 401 came */
	bool		stale;			/* its first connection had been given up */
	uint64		bearer_number;	/* the session's, when it was sent */
	GraphTime	not_before;		/* when it may be sent, 0: at once */

	/* the next page, once it is known: see graph_lane_look_ahead() */
	bool		next_known;
	char	   *next_url;		/* NULL: this is the last page */
	GraphTransfer *ahead;		/* its request, if that was sent already */
	MemoryContext ahead_context;
	uint64		ahead_bearer_number;

	/* the records of this page */
	uint64		page_records;
	uint64		page_given;		/* those that were new */
	int			barren_pages;	/* in a row in which none was */

	/* the chain, by its times: see graph_order_is_in_window() */
	bool		sorted;			/* so far, and no time was missing */
	bool		timeless;		/* a time was missing, or cannot be read */
	bool		time_seen;
	TimestampTz first_time;
	TimestampTz last_time;
	bool		order_known;	/* the record before this one had a time: */
	TimestampTz order_time;
	uint64		chain_records;
	HTAB	   *chain_ids;		/* of them, each once; or NULL */
	uint64		chain_print;	/* a number for just these ids, in any order */
	uint64		chain_nameless; /* and those without an id */
	uint64		chain_deferred; /* of them, those asked for by themselves */
	int64		chain_count;	/* what the service counts there, or -1 */
	uint64		largest_page;
	uint64		pass_given;		/* new ones since the chain was read again */
	GraphSeenId *ties;			/* ids of the records at last_time */
	int			nties;
	HTAB	   *boundary;		/* the ties at which the chain was begun anew */
	HTAB	   *retried;		/* what its page held before it broke; or NULL */

	/* links that were followed: see guard_against_loop() */
	uint64		recent_links[GRAPH_RECENT_LINKS];	/* hashes, a ring */
	char	   *checkpoint;
	uint64		checkpoint_until;
	uint64		guarded_page;	/* whose link was looked at */
} GraphLane;

/* What the beginning of an ordered list looks like. */
typedef enum GraphOrderCheck
{
	GRAPH_ORDER_UNKNOWN,		/* not enough of it has come */
	GRAPH_ORDER_KEPT,
	GRAPH_ORDER_BROKEN,
} GraphOrderCheck;

/* What became of a step of a lane. */
typedef enum GraphLaneStep
{
	GRAPH_LANE_WAITS,			/* for bytes, or for its time */
	GRAPH_LANE_MOVED,			/* look again */
	GRAPH_LANE_RECORD,			/* there is a record */
	GRAPH_LANE_LOST,			/* the scan has lost its order: it ends */
} GraphLaneStep;

/* What graph_scan_poll() has come to. */
typedef enum GraphScanStep
{
	GRAPH_SCAN_RECORD,			/* there is a record */
	GRAPH_SCAN_WAITS,			/* there is none yet */
	GRAPH_SCAN_END,
} GraphScanStep;

/* One execution: what scan.c and lane.c share. */
struct GraphScan
{
	GraphSession *session;
	GraphShape *shape;
	int			id_slot;
	GraphSlice *slots;
	MemoryContext context;		/* of the scan */
	MemoryContext scratch;		/* of one step of it */
	GraphScanCounters counters;
	GraphStats *stats;			/* of the server, for the whole session */

	const GraphRequest *request;	/* NULL: there is none */
	GraphLane  *lanes;
	int			nlanes;
	int			current;		/* the lane of the last record */
	int			next_key;
	GraphTime	waits_since;	/* somebody else waits for it, or 0 */
	GraphTime	look_again;		/* and that is not to take longer */
	bool		polled;			/* nobody waits for it alone */
	GraphTime	starved_since;	/* it has no descriptor, or 0 */
	GraphTime	refused_since;	/* the system gives it none, or 0 */
	bool		small_page;		/* the list's first page is smaller */
	int64		count;			/* what the service counted, or -1 */
	int64		found;			/* how many of them were found so far, */
	int64		nulls_found;	/* and how many of these have no time */
	int64		counted;		/* the last answer to a count alone, or -1 */
	int64		timed;			/* of those, the one of alerts with a time */
	int			verification;	/* what was asked to verify the end */
	int			dropped;		/* GraphRequestPart that it has refused, */
	int			accepted;		/* and that it has answered */
	bool		doubtful;		/* a part of the list was not counted */

	/* ids given last, in two generations: see graph_order_was_given() */
	HTAB	   *given;
	HTAB	   *given_before;
	bool		ids_forgotten;	/* a third generation was dropped */

	/* the list in windows of time: see scan.c */
	const char *time_property;	/* by which it is in order */
	bool		descending;
	int			time_slot;
	List	   *windows;		/* GraphWindow * that no lane has taken yet */
	HTAB	   *head_ids;		/* what was read before the first of them, */
	TimestampTz head_bound;		/* which was later than this; or NULL, */
	TimestampTz head_first;		/* the time of its first, */
	bool		head_taken;
	char	   *fallback_url;	/* the link that was not followed then, */
	int64		fallback_found; /* and what was found by then */
	bool		filter_ignored; /* the service gives what is in no window */
	bool		order_tried;	/* a list out of order was asked for in order, */
	HTAB	   *early_ids;		/* after these were given, which come again */
	bool		order_lost;		/* the order that was needed cannot be had */
	bool		nulls_asked;	/* alerts without a time come first, */
	bool		list_wanted;	/* and after them the others */
	bool		nulls_wanted;	/* they are asked for by themselves, */
	bool		nulls_taken;	/* and a lane does */

	/* the order that the plan relies on: see graph_order_is_late() */
	bool		order_checked;	/* the beginning of the list was looked at */
	bool		order_started;
	bool		order_restarted;	/* the list was begun again */
	TimestampTz last;
};

/* One alert, good until the next call for this scan. */
typedef struct GraphRecord
{
	GraphSlice	whole;
	GraphSlice	id;				/* a JSON string */
	GraphSlice *slots;			/* by the slot numbers of the scan's shape */
} GraphRecord;

/*-------------------------------------------------------------------------
 * Who answers what.
 *-------------------------------------------------------------------------
 */

/* in option.c */
extern void graph_get_options(ForeignTable *table, ForeignServer *server,
							  UserMapping *user, GraphOptions *result);
extern char *graph_column_property(Oid relid, AttrNumber attnum);
extern const char *graph_login_name(GraphLogin login);
extern void graph_check_import_options(List *options);
extern void graph_check_wrapper(const ForeignServer *server);
extern char *graph_options_secret(const GraphOptions *options, size_t *place);
extern void graph_options_wipe(GraphOptions *options, List *list);

/* in resource.c */
extern const GraphResourceInfo *graph_resource_info(GraphResource resource);
extern const GraphResourceInfo *graph_resource_by_name(const char *name);
extern const char *const *graph_evidence_types(int *count);
extern bool graph_is_evidence_type(const char *name);
extern List *graph_type_properties(const char *type_name);
extern const GraphProperty *graph_find_property(const char *type_name,
												const char *name);
extern const GraphProperty *graph_find_path(const char *type_name,
											const char *path);
extern char *graph_snake_case(const char *name);
extern GraphEnumMember graph_enum_member(const char *enum_name,
										 const char *literal);
extern const GraphQueryProperty *graph_query_property(const char *alert_property);

extern const char *graph_skip_name(const char *text, const char *name);
extern bool graph_same_name(const char *text, const char *name);

/* in column.c */
extern const char *graph_property_problem(const char *value);
extern GraphColumn *graph_resolve_column(GraphResource resource,
										 const char *evidence_type,
										 const char *table_name,
										 const char *column_name,
										 const char *property);

/* in import.c */
extern List *graph_import_commands(const char *remote_schema,
								   const char *server_name,
								   const char *local_schema,
								   ImportForeignSchemaType list_type,
								   List *table_names);

/* in plan.c */
extern void graph_plan_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid);
extern void graph_plan_paths(PlannerInfo *root, RelOptInfo *baserel);
extern void graph_plan_upper(PlannerInfo *root, UpperRelationKind stage,
							 RelOptInfo *input_rel, RelOptInfo *output_rel);
extern bool graph_plan_is_async(const ForeignPath *path);
extern ForeignScan *graph_plan_scan(PlannerInfo *root, RelOptInfo *baserel,
									ForeignPath *best_path, List *tlist,
									List *scan_clauses, Plan *outer_plan);

extern void graph_price_alerts(PlannerInfo *root, RelOptInfo *baserel,
							   const GraphPushdown *pushdown, double *alerts,
							   Cost *startup, Cost *total);
extern int	graph_first_page(PlannerInfo *root, RelOptInfo *rel,
							 List *pathkeys, bool exact);
extern int	graph_most_keys(const GraphRelInfo *info);
extern List *graph_selected_properties(RelOptInfo *baserel, List *attnums);
extern List *graph_make_private(GraphScanMode mode, const GraphRelInfo *info,
								List *columns, const GraphPushdown *pushdown,
								List *order, List *select, int first);

/* in join.c */
extern void graph_join_paths(PlannerInfo *root, RelOptInfo *joinrel,
							 RelOptInfo *outerrel, RelOptInfo *innerrel,
							 JoinType jointype, JoinPathExtraData *extra);
extern ForeignScan *graph_plan_join(PlannerInfo *root, RelOptInfo *joinrel,
									List *tlist, Plan *outer_plan);
extern Index graph_join_member(const ForeignScan *plan, List *member,
							   bool *nullable);
extern GraphJoin *graph_join_create(ForeignScanState *node, List *members,
									GraphShape *shape);
extern void graph_join_start(GraphJoin *join, const GraphRecord *record);
extern void graph_join_stop(GraphJoin *join);
extern bool graph_join_next(GraphJoin *join, TupleTableSlot *slot,
							ExprContext *econtext);

/* in analyze.c */
extern bool graph_analyze(Relation relation, AcquireSampleRowsFunc *func,
						  BlockNumber *totalpages);

/* in deparse.c */
extern void graph_pushdown_init(GraphPushdown *pushdown);
extern void graph_classify(PlannerInfo *root, RelOptInfo *baserel,
						   List *rinfos, GraphPushdown *pushdown);
extern Var *graph_own_var(RelOptInfo *baserel, Expr *expr);
extern GraphColumn *graph_var_column(RelOptInfo *baserel, Var *var);
extern const GraphQueryProperty *graph_var_property(RelOptInfo *baserel,
													Expr *expr);
extern bool graph_is_key_column(RelOptInfo *baserel, Expr *expr);
extern bool graph_is_text_equality(Expr *clause);

/* in value.c */
extern GraphValue graph_value_of(const Expr *expr);
extern int	graph_value_number(GraphPushdown *pushdown, Expr *expr);
extern void graph_values_forget(GraphPushdown *pushdown, int count);

/* in key.c */
extern char **graph_key_list(List *keys, const GraphValue *values, int *count,
							 bool *all);
extern char *graph_key_path(const char *entity_set, const char *key);

/* in text.c */
extern GraphTextMeaning graph_text_meaning(const char *text);

/* in filter.c */
extern GraphSettled graph_filter_settle(List *condition,
										const GraphValue *values, int *bytes);
extern void graph_filter_text(List *filters, const GraphValue *values,
							  const char *time_property,
							  GraphFilterText *result);
extern char *graph_request_path(const GraphRequest *request, int page_size,
								bool with_select, bool with_count, bool escape);
extern char *graph_window_filter(const char *filter, const char *property,
								 const GraphWindow *window);

/* in scan.c */
extern GraphScan *graph_scan_create(GraphSession *session, GraphShape *shape);
extern void graph_scan_start(GraphScan *scan, const GraphRequest *request);
extern int64 graph_scan_count(const GraphScan *scan);
extern bool graph_scan_split(GraphScan *scan, GraphLane *lane);
extern void graph_scan_add_window(GraphScan *scan, TimestampTz lower,
								  TimestampTz upper, bool nulls);
extern TimestampTz graph_first_time(void);
extern bool graph_scan_order_is_lost(const GraphScan *scan);
extern bool graph_scan_gave_nulls(const GraphScan *scan);
extern void graph_scan_give_up_windows(GraphScan *scan);
extern bool graph_scan_is_empty(const GraphScan *scan);
extern bool graph_scan_next(GraphScan *scan, GraphRecord *record);
extern GraphScanStep graph_scan_poll(GraphScan *scan, GraphRecord *record);
extern pgsocket graph_scan_descriptor(GraphScan *scan);
extern void graph_scan_stop(GraphScan *scan);
extern const GraphScanCounters *graph_scan_counters(GraphScan *scan);

/* in lane.c */
extern void graph_lane_start(GraphScan *scan, GraphLane *lane,
							 GraphLanePurpose purpose, const char *path);
extern void graph_lane_list(GraphScan *scan, GraphLane *lane,
							const GraphWindow *window, int page_size);
extern void graph_lane_count(GraphScan *scan, GraphLane *lane,
							 bool with_select, bool timed);
extern bool graph_lane_follow_links(GraphScan *scan, GraphLane *lane);
extern bool graph_lane_begin_anew(GraphScan *scan, GraphLane *lane);
extern void graph_lane_note_count(GraphScan *scan, GraphLane *lane);
extern void graph_lane_again(GraphScan *scan, GraphLane *lane);
extern void graph_lane_stop(GraphScan *scan, GraphLane *lane);
extern void graph_lane_finish(GraphScan *scan, GraphLane *lane, bool follow);
extern void graph_lane_accepted(GraphScan *scan, GraphLane *lane);
extern bool graph_lane_refused(GraphScan *scan, GraphLane *lane);
extern void graph_lane_end_refused_key(GraphScan *scan, GraphLane *lane);
extern bool graph_lane_refuses(const GraphScan *scan, int part);
extern void graph_lane_look_ahead(GraphScan *scan, GraphLane *lane);
extern void graph_lane_end_page(GraphScan *scan, GraphLane *lane);

/* in answer.c */
extern GraphLaneStep graph_answer_step(GraphScan *scan, GraphLane *lane,
									   GraphRecord *record);

/* in request.c */
extern GraphTransfer *graph_request_send(GraphScan *scan, GraphLane *lane,
										 const char *url,
										 MemoryContext context);
extern bool graph_request_may_start(GraphScan *scan, GraphLane *lane);
extern void graph_request_start(GraphScan *scan, GraphLane *lane);
extern void graph_request_drop_ahead(GraphScan *scan, GraphLane *lane);
extern void graph_request_end(GraphScan *scan, GraphLane *lane);
extern const char *graph_request_name(GraphLane *lane);
extern GraphSlice graph_request_error_body(GraphLane *lane);
extern const char *graph_request_again(GraphScan *scan, GraphLane *lane,
									   int retry_after);
extern void graph_request_broken(GraphScan *scan, GraphLane *lane,
								 GraphTransport transport, const char *text);
extern bool graph_request_cut_short(GraphScan *scan, GraphLane *lane);
extern bool graph_request_renew_token(GraphScan *scan, GraphLane *lane);
extern bool graph_request_was_stale(GraphScan *scan, GraphLane *lane);

/* in order.c */
extern bool graph_order_is_late(GraphScan *scan, GraphLane *lane);
extern GraphSeenId graph_order_hash_id(GraphSlice id);
extern HTAB *graph_order_id_table(GraphScan *scan);
extern uint64 graph_order_chain_alerts(const GraphLane *lane);
extern bool graph_order_was_given(const GraphScan *scan,
								  const GraphLane *lane,
								  const GraphSeenId *id);
extern void graph_order_note_given(GraphScan *scan, const GraphLane *lane,
								   const GraphSeenId *id);
extern bool graph_order_is_in_window(GraphScan *scan, GraphLane *lane,
									 const GraphSeenId *id, bool seen, bool *past);
extern GraphOrderCheck graph_order_check_first(GraphScan *scan,
											   GraphLane *lane);

/* in stats.c */
extern GraphStats *graph_stats(Oid serverid);
extern GraphTime graph_stats_may_send(GraphStats *stats, int per_minute);

/* in token.c */
extern GraphSession *graph_session_open(Oid relid, Oid userid);
extern GraphSession *graph_session_open_server(const char *server_name);
extern void graph_session_hide(GraphSession *session, const char *secret);
extern void graph_session_hide_link(GraphSession *session, const char *url);
extern void graph_token_get(GraphSession *session);
extern bool graph_token_renew(GraphSession *session, uint64 number);
extern bool graph_token_forget(GraphSession *session);
extern TimestampTz graph_token_keep(GraphSession *session,
									const GraphTokenAnswer *answer);
extern TimestampTz graph_token_good_until(GraphSession *session);

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

/* in assertion.c */
extern char *graph_assertion_create(const GraphOptions *options,
									const char *audience);
extern char *graph_base64url_decode(const char *text, size_t len,
									size_t *result_len);

/* in identity.c */
extern void graph_identity_request(GraphSession *session,
								   GraphHttpRequest *request);
extern bool graph_identity_answer_challenge(GraphSession *session,
											const GraphHttpHeader *header,
											GraphHttpRequest *request);
extern bool graph_identity_status_is_retriable(int status);

/* in http.c */
extern GraphTransfer *graph_http_start(MemoryContext owner,
									   const GraphHttpRequest *request);
extern void graph_http_wait_any(GraphTransfer **transfers, int count,
								GraphTime until);
extern bool graph_http_poll(GraphTransfer **transfers, int count,
							GraphTime since, long *left);
extern bool graph_http_done(const GraphTransfer *transfer);
extern bool graph_http_may_be_cut(const GraphTransfer *transfer);
extern bool graph_http_wait_all(GraphTransfer *transfer, size_t limit);
extern GraphSlice graph_http_unread(GraphTransfer *transfer);
extern void graph_http_consume(GraphTransfer *transfer, size_t bytes);
extern void graph_http_pin(GraphTransfer *transfer);
extern const GraphHttpHeader *graph_http_header(GraphTransfer *transfer);
extern GraphTransport graph_http_result(GraphTransfer *transfer,
										const char **text);
extern const char *graph_http_id(const GraphTransfer *transfer);
extern bool graph_http_was_kept(const GraphTransfer *transfer);
extern uint64 graph_http_received(GraphTransfer *transfer);
extern void graph_http_end(GraphTransfer *transfer);
extern void graph_http_sleep(int milliseconds);
extern bool graph_http_has_descriptor(void);
extern bool graph_http_is_stuck(void);
extern void graph_http_free_descriptors(void);

/* in header.c */
extern void graph_header_line(GraphHttpHeader *header, const char *data,
							  size_t len);
extern bool graph_header_is_gzip(const GraphHttpHeader *header);

/* in inflate.c */
extern GraphInflater *graph_inflater_create(void);
extern void graph_inflater_free(GraphInflater *inflater, bool secret);
extern bool graph_inflater_give(GraphInflater *inflater, const char *data,
								size_t len);
extern bool graph_inflater_has_more(const GraphInflater *inflater);
extern const char *graph_inflater_take(GraphInflater *inflater, char *out,
									   size_t *len);

/* in multi.c */
extern GraphTime graph_now(void);
extern GraphTime graph_after(long milliseconds);
extern long graph_milliseconds_until(GraphTime when);
extern void graph_multi_start(void);
extern void graph_multi_add(void *easy);
extern void graph_multi_detach(void *easy);
extern void graph_multi_free(void *easy);
extern bool graph_multi_drive(GraphEnded ended);
pg_noreturn extern void graph_multi_report(void);
extern void graph_multi_wait(long timeout);
extern pgsocket graph_multi_descriptor(void);
extern void graph_multi_alarm(long timeout);
extern bool graph_http_disconnect(void);
extern void graph_block_signals(sigset_t *saved);
extern void graph_restore_signals(const sigset_t *saved);

/* in tls.c */
extern void graph_tls_start(void);
extern bool graph_tls_has_context(void);
extern void graph_tls_prepare(void *context);

/* in wipe.c */
extern char *graph_secret_alloc(size_t size);
extern char *graph_secret_copy(const char *text, size_t len);
extern char *graph_secret_join(const char *before, const char *secret);
extern uint32 graph_wipe_failures(void);
extern void *graph_wipe_malloc(size_t size);
extern void graph_wipe_free(void *pointer);
extern void *graph_wipe_realloc(void *pointer, size_t size);
extern void *graph_wipe_calloc(size_t count, size_t size);
extern char *graph_wipe_strdup(const char *text);

/* in url.c */
extern const char *graph_url_problem(const char *url);
extern const char *graph_proxy_problem(const char *url);
extern char *graph_url_escape(const char *text);
extern char *graph_url_unescape(const char *text);
extern char *graph_url_origin(const char *url);
extern char *graph_url_resolve(const char *base, const char *link);
extern bool graph_url_is_local(const char *url);
extern bool graph_address_is_metadata(const struct sockaddr *address);

/* in error.c */
extern bool graph_status_is_retriable(int status);
extern bool graph_transport_is_retriable(GraphTransport transport);
extern bool graph_token_error_is_retriable(const GraphRemoteError *remote);
extern char *graph_request_title(const char *name, const char *id);
extern int	graph_retry_delay(int attempt, int retry_after, const char **why);
pg_noreturn extern void graph_report_status(const GraphSession *session,
											const char *request,
											const GraphHttpHeader *header,
											const char *body, size_t len,
											const char *why);
pg_noreturn extern void graph_report_token_status(const GraphSession *session,
												  const char *request,
												  const GraphHttpHeader *header,
												  const GraphRemoteError *remote,
												  const char *why);
pg_noreturn extern void graph_report_transport(const GraphSession *session,
											   const char *request,
											   const char *where,
											   GraphTransport transport,
											   const char *text,
											   const char *why);
extern void graph_report_partial(const GraphSession *session,
								 const char *request, const char *problem);
extern void graph_report_short(const GraphSession *session,
							   const char *request, const char *problem);
pg_noreturn extern void graph_report_document(const GraphSession *session,
											  const char *request,
											  const char *problem);

/* in redact.c */
extern char *graph_harmless_text(const GraphSession *session,
								 const char *remote);

/* in row.c */
extern GraphRowReader *graph_row_reader_create(Relation relation,
											   List *attnums,
											   const GraphOptions *options,
											   GraphShape *shape);
extern GraphRowReader *graph_row_reader_create_joined(Relation relation,
													  List *attnums,
													  List *indexes, int natts,
													  const GraphOptions *options,
													  GraphShape *shape);
extern void graph_row_start(GraphRowReader *reader,
							const GraphRecord *record);
extern void graph_row_stop(GraphRowReader *reader);
extern bool graph_row_next(GraphRowReader *reader, Datum *values,
						   bool *isnull);

/* in sort.c */
extern GraphSort *graph_sort_create(TupleTableSlot *sorted, AttrNumber attnum,
									bool descending, bool nulls_first);
extern void graph_sort_add(GraphSort *sort, TupleTableSlot *slot);
extern void graph_sort_next(GraphSort *sort, TupleTableSlot *slot);
extern void graph_sort_end(GraphSort *sort);

/* in json.c */
extern GraphShape *graph_shape_create(void);
extern int	graph_shape_add(GraphShape *shape, const char *path);
extern int	graph_shape_size(const GraphShape *shape);
extern GraphJsonStatus graph_json_locate(const char *data, size_t len,
										 const GraphShape *shape,
										 GraphSlice *slots, size_t *end,
										 GraphJsonError *error);
extern bool graph_json_next_element(GraphSlice array, size_t *position,
									const GraphShape *shape,
									GraphSlice *slots, GraphSlice *element);
extern const char *graph_json_unescape(const char *p, const char *end,
									   uint32 *character);
extern GraphSlice graph_json_drop_context(char *data, size_t len);
extern GraphJsonStatus graph_json_locate_more(GraphJsonFrame *frame,
											  const char *data, size_t len,
											  const GraphShape *shape,
											  GraphSlice *slots, size_t *end,
											  GraphJsonError *error);
extern size_t graph_json_skip_blanks(const char *data, size_t len);
extern bool graph_json_key_is(GraphSlice key, const char *name);

/* in list.c */
extern GraphListReader *graph_list_reader_create(const GraphShape *shape);
extern GraphListEvent graph_list_read(GraphListReader *reader,
									  const char *data, size_t len,
									  size_t *used,
									  GraphSlice *record, GraphSlice *slots,
									  GraphJsonError *error);
extern GraphSlice graph_list_next_link(const GraphListReader *reader);
extern GraphSlice graph_list_count(const GraphListReader *reader);
extern bool graph_list_has_value(const GraphListReader *reader);
extern bool graph_list_has_error(const GraphListReader *reader);

/* in jsonb.c */
extern GraphJsonbBuilder *graph_jsonb_builder_create(void);
extern Datum graph_jsonb_build(GraphJsonbBuilder *builder, GraphSlice value);

/* in decode.c */
extern GraphDecoder *graph_decoder_create(Oid type, int32 typmod);
extern Datum graph_decode(GraphDecoder *decoder, GraphSlice value,
						  bool *isnull);
extern bool graph_slice_is_null(GraphSlice value);
extern bool graph_slice_is_string(GraphSlice value);
extern bool graph_decode_time(GraphSlice value, TimestampTz *result);
extern char *graph_decode_string(GraphSlice value);
extern char *graph_clean_text(char *out, const char *p, const char *end);
extern char *graph_to_server_encoding(char *text, int reserve, size_t *len);

/* in document.c */
extern void graph_decode_graph_error(const char *body, size_t len,
									 GraphRemoteError *error);
extern void graph_decode_token_error(const char *body, size_t len,
									 GraphRemoteError *error);
extern const char *graph_decode_token(const char *body, size_t len,
									  GraphTokenAnswer *answer);
extern const char *graph_decode_device_code(const char *body, size_t len,
											GraphDeviceCode *code);
extern char *graph_decode_account(const char *claims, size_t len);

#endif							/* GRAPH_FDW_H */
