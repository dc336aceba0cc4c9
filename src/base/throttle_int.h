/*-------------------------------------------------------------------------
 *
 * throttle_int.h
 *		What budget.c, learn.c and throttle.c share, and nobody else sees.
 *
 * A budget is what a service allows one client, as far as it is known.  It has
 * no pointers, so that it may be anywhere.  budget.c and learn.c write it.
 *
 * IDENTIFICATION
 *		src/base/throttle_int.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_THROTTLE_INT_H
#define GRAPH_THROTTLE_INT_H

#include "base/graph_base.h"

#define SECONDS(n)	((GraphTime) ((n) * 1000000.0))

/* Bytes of a client's key, so many that no two have the same. */
#define GRAPH_CLIENT_KEY_SIZE	32

/* So many requests are remembered; what is allowed beyond is not learnt. */
#define GRAPH_BUDGET_TIMES	512

/*
 * So many may wait or be under way; others are not in the queue, and go when
 * nobody is there.
 */
#define GRAPH_BUDGET_PLACES	256

/* So many bytes of what a request is called are kept. */
#define GRAPH_WHAT_SIZE	64

/* The longest window that is assumed. */
#define LONGEST_WINDOW	SECONDS(60)

/* A request that waits for its turn, or is under way. */
typedef struct GraphPlace
{
	int			pid;			/* whose it is; 0: the place is free */
	int			progress;		/* how far its scan has got: see throttle.c */
	int			refused;		/* so often, since requests are not taken */
	GraphTime	due;			/* when it will look again */
	GraphTime	sent;			/* 0: it waits */
	GraphTime	since;			/* when it began to wait */
	int			per_minute;		/* the ceiling of its own server, or 0 */
	Oid			userid;			/* the role that asks, */
	Oid			databaseid;		/* and where */
	uint64		page;
	char		what[GRAPH_WHAT_SIZE];	/* "GET /security/alerts_v2" */
} GraphPlace;

/* A request that was sent, whatever became of it. */
typedef struct GraphLetGo
{
	GraphTime	at;
	int			per_minute;		/* the ceiling of its own server, or 0 */
} GraphLetGo;

/* What has been done with a budget. */
typedef struct GraphBudgetCounts
{
	uint64		requests;		/* let go */
	uint64		refusals;
	int64		waited;			/* microseconds */
} GraphBudgetCounts;

/* The last refusals. */
typedef struct GraphTrouble
{
	GraphTime	since;			/* the first of them; 0: requests are taken */
	GraphTime	last;			/* and the last */
	GraphTime	pause;			/* nothing is sent before this */
	int			in_a_row;		/* refused since then, */
	int			probes;			/* of which so many of requests that were to
								 * see whether they are taken again */
	bool		reads;			/* the first that was refused is a GET */
	bool		is_proved;		/* a request was refused again */
	bool		cautious;		/* after a refusal one request is sent to see */
	int			probe;			/* the place of the one that is, or -1 */
} GraphTrouble;

typedef struct GraphBudget
{
	bool		together;		/* all that use the limit know of it */

	GraphBudgetCounts counts;

	/* what the service takes: so many requests in such a time */
	double		allowed;
	GraphTime	window;			/* 0: no limit is known */
	double		too_many;		/* so many were refused, or 0 */
	double		concurrency;	/* so many may be under way */

	GraphTrouble trouble;

	GraphTime	busy_since;		/* when the requests began that are counted */
	GraphTime	next;			/* when the next may be sent */
	GraphTime	taken;			/* when the last was taken, */
	GraphTime	taken_sent;		/* and when the last of those was sent */
	GraphTime	recovered;		/* when requests were taken again, or 0 */
	int			fresh[2];		/* so many were taken since then that had not
								 * been refused before: [true] that read; */
	int			fresh_before;	/* and so many of the last kind that was
								 * refused, before the last refusals */
	GraphTime	grown;			/* until then has "allowed" grown, */
	int			streak;			/* by so many requests */

	int			ntimes;			/* of the requests that were taken, oldest
								 * first: when they were sent */
	GraphTime	times[GRAPH_BUDGET_TIMES];
	GraphLetGo	let_go[GRAPH_BUDGET_TIMES]; /* the last requests, a ring:
											 * number counts.requests is the
											 * next */
	GraphPlace	places[GRAPH_BUDGET_PLACES];
} GraphBudget;

/* A request that was sent. */
typedef struct GraphTried
{
	GraphTime	at;
	bool		again;			/* it was refused before, and not taken since */
	bool		reads;			/* it is a GET */
} GraphTried;

/* One that the service has refused as one too many. */
typedef struct GraphRefusal
{
	GraphTried	request;
	GraphTime	came;			/* when the answer did, at the earliest */
	int			retry_after;	/* seconds; -1: the service does not say */
	int			for_itself;		/* so often that it says nothing of others */
} GraphRefusal;

/* in budget.c */
extern double graph_budget_chance(void);
extern int	graph_budget_count(const GraphBudget *budget, GraphTime since);
extern int	graph_budget_enter(GraphBudget *budget, const GraphPlace *place);
extern void graph_budget_leave(GraphBudget *budget, int place);
extern int	graph_budget_waiting(const GraphBudget *budget);
extern GraphTime graph_budget_ask(GraphBudget *budget, int place,
								  const GraphWish *wish);

/* in learn.c */
extern void graph_budget_init(GraphBudget *budget, bool together);
extern int64 graph_refusal_patience(int waits);
extern GraphTime graph_budget_refuse(GraphBudget *budget, int place,
									 const GraphRefusal *refusal);
extern void graph_budget_take(GraphBudget *budget, int place,
							  const GraphTried *request);

/* in shared_budget.c */
extern GraphBudget *graph_shared_budget(const uint8 * key);
extern void graph_shared_unlock(void);

#endif							/* GRAPH_THROTTLE_INT_H */
