/*-------------------------------------------------------------------------
 *
 * scan_int.h
 *		What the files of src/scan tell each other.
 *
 * A struct is written by one file only, which is named with it; the others
 * read it.  A GraphTask is a value, which is copied.  From top to bottom:
 *
 *		scan.c			the queue of tasks, the stages, the one loop
 *		window.c		a long list, cut into windows of time
 *		chain.c			one task, page by page
 *		answer.c		what is to be done about an answer
 *		record.c		is this record its own, and new?
 *		owned.c			what belongs to something else
 *		page.c			the records of one answer
 *		order.c			times: is the list in order?
 *		fetch.c			one request, sent, and sent again
 *		task.c			how a task is asked
 *		refusal.c		what the service does not know
 *		seen.c			which alerts have come before
 *
 * IDENTIFICATION
 *		src/scan/scan_int.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SCAN_INT_H
#define SCAN_INT_H

#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "scan/graph_scan.h"

/* What one chain of requests is to read. */
typedef enum GraphTaskKind
{
	GRAPH_TASK_KEY,				/* one alert by its id */
	GRAPH_TASK_PROBE,			/* does the service answer at all? */
	GRAPH_TASK_OWNED,			/* the alerts of what has this id */
	GRAPH_TASK_OWNER,			/* is there anything that has it? */
	GRAPH_TASK_OWNERS,			/* does the service know such things? */
	GRAPH_TASK_COUNT,			/* how many alerts there are */
	GRAPH_TASK_LIST,			/* the list; those below are parts of it */
	GRAPH_TASK_WINDOW,			/* by time, page after page */
	GRAPH_TASK_TIES,			/* more alerts of one time than a page holds */
	GRAPH_TASK_NULLS,			/* the alerts without a time */
	GRAPH_TASK_HEAD,			/* what the beginning should have held */
} GraphTaskKind;

typedef struct GraphTask
{
	GraphTaskKind kind;
	const char *key;			/* KEY, OWNED, OWNER: the id, of the request's */
	GraphWindow window;			/* LIST and its parts; open for all */
	int			page_size;		/* the same: $top */
	bool		continued;		/* WINDOW: it begins where a chain has ended */
	bool		after_ties;		/* WINDOW: ... of TIES */
	bool		head;			/* HEAD, and the TIES in it */
	bool		timed;			/* COUNT: of the alerts with a time only */
	int			number;			/* COUNT: 0, or which of the request's parts */
} GraphTask;

/*
 * graph_task_is_list, graph_task_has_pages, graph_task_is_part,
 * graph_task_is_whole
 *		list: does a task read the list or a part of it?  pages: or another
 *		list, of which all is wanted?  part: has its request bounds and an order
 *		of its own?  whole: is it without bounds?
 */
static inline bool
graph_task_is_list(const GraphTask *task)
{
	return task->kind >= GRAPH_TASK_LIST;
}

static inline bool
graph_task_has_pages(const GraphTask *task)
{
	return task->kind >= GRAPH_TASK_LIST || task->kind == GRAPH_TASK_OWNED;
}

static inline bool
graph_task_is_part(const GraphTask *task)
{
	return task->kind > GRAPH_TASK_LIST;
}

static inline bool
graph_task_is_whole(const GraphTask *task)
{
	return graph_task_is_list(task) && !task->window.nulls &&
		TIMESTAMP_IS_NOBEGIN(task->window.lower) &&
		TIMESTAMP_IS_NOEND(task->window.upper);
}

/* Parts of a request that a service may refuse with status 400; a bitmask. */
typedef enum GraphRequestPart
{
	GRAPH_PART_SELECT = 1,		/* $select */
	GRAPH_PART_COUNT = 2,		/* $count */
	GRAPH_PART_ORDER = 4,		/* $orderby */
	GRAPH_PART_WINDOW = 8,		/* a window's bounds in $filter */
	GRAPH_PART_ANY = 16,		/* any() in $filter */
} GraphRequestPart;

typedef struct GraphSpelling GraphSpelling;

/*
 * What a scan knows of the service: those parts, which refusal.c writes, and
 * where its enums are.
 */
typedef struct GraphParts
{
	Oid			umid;			/* the user mapping, whose service it is */
	const char *entity_set;		/* what of that service is asked for */
	GraphSpelling *spelling;
	int			refused;		/* in this scan */
	int			unproven;		/* of these, not answered without since */
	int			accepted;		/* in this scan */
} GraphParts;

/* What the requests of a scan have in common; fetch.c writes it. */
typedef struct GraphPool
{
	uint64		requests;
	uint64		retries;
	uint64		bytes;
	uint64		pages;
	int			wanted;			/* fetches of which something is wanted */
	int			transfers;		/* under way */
	bool		polled;			/* somebody waits for other scans as well */
	GraphTime	pause;			/* nothing is sent before, 0: no pause */
	GraphTime	starved_since;	/* no descriptor is free, or 0 */
	GraphTime	denied_since;	/* the system gives none, or 0 */
} GraphPool;

/* Does the list keep the order that the plan relies on?  order.c writes it. */
typedef struct GraphOrder
{
	bool		checked;		/* the beginning of the list was looked at */
	bool		started;		/* something was given, at this time last: */
	TimestampTz last;
	bool		restarted;		/* the list was begun again since */
} GraphOrder;

/* The times of a chain's records; order.c writes it. */
typedef struct GraphTimes
{
	bool		sorted;			/* so far, and no time was missing */
	bool		timeless;		/* a time was missing, or cannot be read */
	bool		seen;			/* there was one: */
	TimestampTz first;
	TimestampTz last;			/* the furthest; so many have it: */
	int			ties;
	bool		has_previous;	/* the record before had this time: */
	TimestampTz previous;
} GraphTimes;

/*
 * What was found of the whole list, and what the service counts; scan.c
 * compares.  record.c writes it.
 */
typedef struct GraphLedger
{
	int64		count;			/* what the service counted, or -1 */
	int64		found;			/* how many of them were found so far, */
	int64		nulls;			/* of which so many have no time */
	bool		nulls_left;		/* alerts without a time were left out */
	bool		filter_ignored; /* the service gives what is in no window */
} GraphLedger;

/*
 * How the list was read: its head is what was read before it went on by time.
 * chain.c writes it.
 */
typedef struct GraphCourse
{
	int64		counts[GRAPH_MOST_COUNTS];	/* the last answers to COUNT, by
											 * number, or -1 */
	int64		counted;		/* records that came with the first */
	bool		doubtful;		/* a part of the list was not counted */
	bool		order_tried;	/* a list out of order was asked for in order */
	bool		has_head;		/* there is a head: */
	TimestampTz head_bound;		/* it came down to this time */
	TimestampTz head_first;		/* from that of its first record; */
	char	   *head_link;		/* this link was not followed then, or NULL, */
	int64		head_found;		/* and so many were found, */
	int64		head_alerts;	/* of so many that came */
} GraphCourse;

/* What is asked for by what it belongs to; owned.c writes it. */
typedef struct GraphOwned
{
	int			slot;			/* of the owner's id in a record */
	bool		unknown;		/* the service does not know such lists */
} GraphOwned;

typedef struct GraphSeen GraphSeen;
typedef struct GraphPage GraphPage;

/* One request; fetch.c writes it. */
typedef struct GraphFetch
{
	struct GraphShared *shared;
	MemoryContext context;		/* of one request, whose transfer it owns; or
								 * NULL */
	char	   *title;			/* "GET /security/alerts_v2?...", for messages */
	char	   *url;			/* or NULL */
	uint64		page;			/* of its chain, for messages */
	char		request_id[GRAPH_ID_SIZE];	/* client-request-id, or "" */
	GraphTransfer *transfer;	/* NULL: it is not under way */
	uint64		bearer_number;	/* the session's, when it was sent */
	int			attempt;		/* how often it was sent before */
	bool		wanted;			/* an answer is */
	bool		token_renewed;	/* since something else than 401 came */
	bool		stale;			/* 408 came on a kept connection */
	GraphTime	not_before;		/* when it may be sent, 0: at once */
	GraphTurn  *turn;			/* among the client's requests */
} GraphFetch;

/* What all chains of a scan share; scan.c writes it. */
typedef struct GraphShared
{
	GraphSession *session;
	const GraphResourceInfo *resource;
	GraphStats *stats;			/* of the server, for the whole session */
	MemoryContext context;		/* of the scan */
	const GraphRequest *request;
	GraphProjection *projection;
	GraphSlice *slots;			/* the members of the record at hand */
	int			id_slot;
	int			time_slot;		/* -1: nothing is made of the order */
	const char *time_property;	/* by which the list is in order */
	bool		descending;
	int64		missing;		/* alerts that are wanted, and neither found
								 * nor asked for so far; see
								 * graph_asks_enough() */
	List	   *queue;			/* of GraphTask *; task.c puts them in */
	GraphSeen  *seen;
	GraphParts	parts;
	GraphPool	pool;
	GraphOrder	order;
	GraphLedger ledger;
	GraphCourse course;
	GraphOwned	owned;
} GraphShared;

/* What a chain does now. */
typedef enum GraphChainPhase
{
	GRAPH_CHAIN_IDLE,			/* nothing: it may have a task */
	GRAPH_CHAIN_SENDS,			/* its request is to be sent */
	GRAPH_CHAIN_ASKS,			/* it was: no answer yet */
	GRAPH_CHAIN_READS,			/* the body is being read */
	GRAPH_CHAIN_TURNS,			/* a page has ended, and there is more */
} GraphChainPhase;

/*
 * The records of a chain, from its first page on, each counted once; record.c
 * writes it.
 */
typedef struct GraphTally
{
	uint32		number;			/* of the chain: see seen.c */
	uint32		keep_from;		/* ids of chains from this on are remembered */
	int64		count;			/* what the service counts there, or -1 */
	uint64		alerts;
	uint64		checksum;		/* of their ids, in any order */
	uint64		nameless;		/* those without an id */
	uint64		deferred;		/* those that are asked for by themselves */
	uint64		records;		/* as they came, of complete pages */
	uint64		empty_pages;	/* before the first of them */
	uint64		largest_page;
	uint64		given;			/* handed out */
	uint64		page_records;	/* of the page at hand, */
	uint64		page_given;		/* and those that were handed out */
} GraphTally;

/* How a chain was read before, if it is read again; chain.c writes it. */
typedef struct GraphPass
{
	int			number;			/* of readings before this one */
	int64		count;			/* what the last one was said to have, */
	uint64		checksum;		/* and what it had */
} GraphPass;

/* One task, page by page; chain.c writes it. */
typedef struct GraphChain
{
	GraphShared *shared;
	int			worker;			/* which of the scan's chains this is */
	GraphChainPhase phase;
	GraphTask	task;			/* its window shrinks as others take parts */
	TimestampTz asked_lower;	/* the window's bound in the URL */
	int			parts;			/* GraphRequestPart: what the URL has, */
	int			left_out;		/* and what it had before it was refused */
	GraphFetch *fetch;
	GraphFetch *prefetch;		/* of the next page, should it be sent early */
	GraphPage  *page;			/* the answer at hand */
	uint64		page_number;	/* of the chain, from 1 */
	uint64		pages;			/* of the task, in all its chains */
	int			barren_pages;	/* in a row in which nothing was new */
	char	   *next_url;		/* of the next page, once known, or NULL */
	bool		next_known;
	HTAB	   *followed;		/* the links of this chain: see find_next() */
	GraphTimes	times;
	GraphTally	tally;
	GraphPass	pass;
} GraphChain;

/* What became of a step of a chain. */
typedef enum GraphChainStep
{
	GRAPH_STEP_WAITS,			/* for bytes, or for its time */
	GRAPH_STEP_MOVED,			/* look again */
	GRAPH_STEP_RECORD,			/* there is a record */
	GRAPH_STEP_TURNS,			/* it will go on to the next page */
	GRAPH_STEP_NO_WINDOWS,		/* the service takes no window's filter */
	GRAPH_STEP_ORDER_LOST,		/* nor an order that the plan relies on */
	GRAPH_STEP_NOT_OWNED,		/* nor does it know what belongs to what */
} GraphChainStep;

/* What is to be done about an answer. */
typedef enum GraphVerdict
{
	GRAPH_VERDICT_WAIT,			/* it is not there */
	GRAPH_VERDICT_READ,			/* read the body */
	GRAPH_VERDICT_SEND,			/* send the request again at once, */
	GRAPH_VERDICT_AGAIN,		/* or after a failure that may pass, */
	GRAPH_VERDICT_LEAVE_OUT,	/* or without a part of it, */
	GRAPH_VERDICT_BY_TIME,		/* or ask for the rest by time */
	GRAPH_VERDICT_END,			/* there is nothing */
	GRAPH_VERDICT_UNKNOWN,		/* the service does not know that */
	GRAPH_VERDICT_PROBE,		/* ask something else first:
								 * graph_task_probe() */
	GRAPH_VERDICT_NO_WINDOWS,	/* it takes no window's filter */
	GRAPH_VERDICT_ORDER_LOST,	/* nor an order that the plan relies on */
	GRAPH_VERDICT_NOT_OWNED,	/* nor does it know what belongs to what */
	GRAPH_VERDICT_ERROR,
} GraphVerdict;

/* What comes next in an answer. */
typedef enum GraphPageEvent
{
	GRAPH_PAGE_WAITS,			/* nothing yet */
	GRAPH_PAGE_RECORD,
	GRAPH_PAGE_END,				/* the document is complete */
	GRAPH_PAGE_CUT,				/* it is not, and no more will come */
	GRAPH_PAGE_BROKEN,			/* the transfer has failed */
} GraphPageEvent;

/* What the beginning of an ordered list looks like. */
typedef enum GraphOrderCheck
{
	GRAPH_ORDER_UNKNOWN,		/* not enough of it has come */
	GRAPH_ORDER_KEPT,
	GRAPH_ORDER_BROKEN,
} GraphOrderCheck;

/*
 * graph_asks_enough
 *		Will what is asked for be enough for the query, as far as it says?
 */
static inline bool
graph_asks_enough(const GraphShared *shared)
{
	return shared->missing <= 0;
}

/*
 * graph_has_followed_links
 *		Has a link led on from a page that held anything?
 *
 * After empty pages alone, the page at hand is the beginning of the list.
 */
static inline bool
graph_has_followed_links(const GraphChain *chain)
{
	return chain->page_number > chain->tally.empty_pages + 1;
}

/* in window.c */
extern void graph_window_split(GraphChain *chain, int most);
extern void graph_window_share(GraphChain *const *chains, int count);

/* in chain.c */
extern GraphChain *graph_chain_create(GraphShared *shared, int worker);
extern void graph_chain_reset_course(GraphShared *shared);
extern void graph_chain_start(GraphChain *chain, const GraphTask *task);
extern void graph_chain_resume(GraphChain *chain, int64 count);
extern void graph_chain_cut(GraphChain *chain, TimestampTz lower);
extern void graph_chain_stop(GraphChain *chain);
extern GraphChainStep graph_chain_step(GraphChain *chain, GraphRecord *record);

/* in answer.c */
extern GraphVerdict graph_answer_judge(const GraphChain *chain, int *part);

/* in record.c */
extern void graph_ledger_reset(GraphShared *shared);
extern void graph_ledger_go(GraphShared *shared, bool by_time);
extern void graph_tally_begin(GraphChain *chain, uint32 keep_from);
extern void graph_tally_resume(GraphChain *chain, int64 count);
extern void graph_tally_start_page(GraphTally *tally);
extern void graph_tally_end_page(GraphTally *tally);
extern void graph_tally_close(GraphChain *chain);
extern int64 graph_tally_alerts(const GraphChain *chain);
extern bool graph_record_take(GraphChain *chain, bool *past);

/* in owned.c */
extern void graph_owned_prepare(GraphShared *shared);
extern bool graph_owned_is_wanted(const GraphChain *chain);
extern bool graph_owned_is_tried(const GraphShared *shared);
extern bool graph_owned_accept(const GraphChain *chain);
extern void graph_owned_refuse(GraphShared *shared);
extern void graph_owned_reset(GraphShared *shared);
extern void graph_owned_permission(const GraphChain *chain, GraphPeer *peer);
extern GraphVerdict graph_owned_judge(const GraphChain *chain, int status,
									  const GraphRemoteError *remote);

/* in page.c */
extern GraphPage *graph_page_create(GraphShared *shared);
extern void graph_page_start(GraphPage *page, GraphFetch *fetch, bool is_list);
extern GraphPageEvent graph_page_next(GraphPage *page, GraphSlice *whole);
extern int64 graph_page_count(const GraphPage *page);
extern GraphSlice graph_page_next_link(const GraphPage *page);
extern char *graph_page_next_url(const GraphPage *page);
extern void graph_page_check_end(const GraphPage *page);
extern void graph_page_report_cut(const GraphPage *page);

/* in order.c */
extern void graph_order_reset(GraphShared *shared);
extern void graph_order_restart(GraphShared *shared);
extern bool graph_order_time(const GraphShared *shared, TimestampTz *time);
pg_noreturn extern void graph_order_report(const GraphShared *shared,
										   const GraphFetch *fetch);
extern bool graph_order_take(GraphShared *shared, const GraphFetch *fetch);
extern GraphOrderCheck graph_order_examine(GraphShared *shared,
										   GraphTransfer *transfer);
extern bool graph_goes_by_time(const GraphChain *chain);
extern bool graph_stands_still(const GraphChain *chain);
extern bool graph_can_restart(const GraphChain *chain);
extern bool graph_can_be_ordered(const GraphChain *chain);
extern bool graph_shows_order(const GraphChain *chain);
extern bool graph_can_resume(const GraphShared *shared);
extern void graph_times_reset(GraphTimes *times);
extern void graph_times_break(GraphTimes *times);
extern void graph_times_miss(GraphTimes *times);
extern bool graph_times_add(const GraphShared *shared, GraphTimes *times,
							TimestampTz time, bool again);

/* in task.c */
extern void graph_queue_push(GraphShared *shared, const GraphTask *task);
extern int	graph_page_wanted(const GraphShared *shared);
extern bool graph_nulls_come_first(const GraphShared *shared);
extern TimestampTz graph_first_time(void);
extern GraphTaskKind graph_task_probe(const GraphTask *task);
extern int	graph_task_parts(const GraphShared *shared, const GraphTask *task);
extern char *graph_task_path(const GraphShared *shared, const GraphTask *task,
							 int parts);

/* in fetch.c */
extern GraphFetch *graph_fetch_create(GraphShared *shared);
extern void graph_fetch_reset_pool(GraphShared *shared);
extern void graph_fetch_set_polled(GraphShared *shared, bool polled);
extern void graph_fetch_set(GraphFetch *fetch, const char *path, bool again);
extern void graph_fetch_follow(GraphFetch *fetch, const GraphFetch *first,
							   const char *url, uint64 page);
extern bool graph_fetch_start(GraphFetch *fetch);
extern bool graph_fetch_start_early(GraphFetch *fetch);
extern uint64 graph_fetch_received(const GraphFetch *fetch);
extern void graph_fetch_end(GraphFetch *fetch);
extern void graph_fetch_close(GraphFetch *fetch);
extern void graph_fetch_clear(GraphFetch *fetch);
extern void graph_fetch_delay(GraphFetch *fetch, int milliseconds);
extern GraphTime graph_fetch_due(const GraphFetch *fetch);
extern const char *graph_fetch_name(const GraphFetch *fetch);
extern bool graph_fetch_accept(GraphFetch *fetch,
							   const GraphHttpHeader *header);
extern const char *graph_fetch_again(GraphFetch *fetch, int retry_after);
extern const char *graph_fetch_refused(GraphFetch *fetch,
									   const GraphHttpHeader *header);
extern void graph_fetch_ask_anew(GraphFetch *fetch, const char *path);
extern void graph_fetch_repair(GraphFetch *fetch);
extern bool graph_fetch_cut_again(GraphFetch *fetch);
extern bool graph_fetch_renew_token(GraphFetch *fetch);
extern bool graph_fetch_replace_stale(GraphFetch *fetch);

/* in spelling.c */
extern GraphSpelling *graph_spelling_create(const GraphResourceInfo *resource,
											GraphProjection *projection);
extern void graph_spelling_note(const GraphShared *shared);
extern bool graph_spelling_differs(const GraphShared *shared, const char *name);

/* in refusal.c */
extern void graph_parts_start(GraphParts *parts, const GraphSession *session);
extern int	graph_parts_refused(const GraphParts *parts, int some);
extern bool graph_parts_answers(const GraphParts *parts);
extern void graph_parts_accept(GraphParts *parts, int asked, int left_out);
extern void graph_parts_refuse(GraphParts *parts, int part);
extern void graph_parts_acquit(GraphParts *parts);
extern int	graph_parts_suspect(const GraphParts *parts, int asked);
extern bool graph_navigation_answers(const GraphParts *parts);
extern bool graph_navigation_is_refused(const GraphParts *parts);
extern void graph_navigation_note(const GraphParts *parts, bool answers);
extern bool graph_other_case_is_known(const GraphParts *parts, int place);
extern void graph_other_case_note(const GraphParts *parts, int place);

/* in seen.c */
extern GraphSeen *graph_seen_create(MemoryContext context, int workers);
extern void graph_seen_reset(GraphSeen *seen);
extern uint32 graph_seen_begin(GraphSeen *seen, int worker, uint32 keep_from);
extern void graph_seen_release(GraphSeen *seen, int worker);
extern bool graph_seen_note(GraphSeen *seen, GraphSlice id, int worker,
							bool remember_all, bool *again);
extern uint64 graph_seen_hash(const GraphSeen *seen);
extern void graph_seen_give(GraphSeen *seen);
extern bool graph_seen_find(GraphSeen *seen);
extern void graph_seen_keep(GraphSeen *seen, int worker, bool early);
extern void graph_seen_adopt(GraphSeen *seen, int worker);
extern bool graph_seen_has_forgotten(const GraphSeen *seen);

#endif							/* SCAN_INT_H */
