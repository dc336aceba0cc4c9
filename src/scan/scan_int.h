#ifndef SCAN_INT_H
#define SCAN_INT_H
#include "utils/hsearch.h"
#include "scan/graph_scan.h"
/* So many links are remembered to notice at once that one leads back. */
#define GRAPH_RECENT_LINKS	64

/* An id, as two independent hashes of it: 2^64 alerts to one wrong match. */
typedef struct GraphSeenId
{
	uint64		hash[2];
} GraphSeenId;
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
/* One execution: what scan.c and lane.c share. */
struct GraphScan
{
	GraphSession *session;
	GraphProjection *projection;
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
extern bool graph_scan_split(GraphScan *scan, GraphLane *lane);
extern void graph_scan_add_window(GraphScan *scan, TimestampTz lower,
								  TimestampTz upper, bool nulls);
extern TimestampTz graph_first_time(void);
extern void graph_scan_give_up_windows(GraphScan *scan);
#endif
