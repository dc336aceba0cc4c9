/*-------------------------------------------------------------------------
 *
 * throttle_int.h
 *		What budget.c and throttle.c share, and nobody else sees.
 *
 * A budget is what a service allows one client, as far as it is known.  It has
 * no pointers, so that it may be anywhere.  budget.c writes it.
 *
 * IDENTIFICATION
 *		src/base/throttle_int.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_THROTTLE_INT_H
#define GRAPH_THROTTLE_INT_H

#include "base/graph_base.h"

/* So many requests are remembered; what is allowed beyond is not learnt. */
#define GRAPH_BUDGET_TIMES	512

/*
 * So many may wait or be under way; others are not in the queue, and go when
 * nobody is there.
 */
#define GRAPH_BUDGET_PLACES	256

/* A request that waits for its turn, or is under way. */
typedef struct GraphPlace
{
	int			pid;			/* whose it is; 0: the place is free */
	GraphTime	rank;			/* of those that wait the least goes first */
	GraphTime	due;			/* when it will look again */
	GraphTime	sent;			/* 0: it waits */
} GraphPlace;

typedef struct GraphBudget
{
	/* what the service takes: so many requests in such a time */
	double		allowed;
	GraphTime	window;			/* 0: no limit is known */
	double		too_many;		/* so many were refused, or 0 */
	double		concurrency;	/* so many may be under way */

	/* the last refusal */
	GraphTime	pause;			/* nothing is sent before this */
	GraphTime	refused_since;	/* 0: requests are taken */
	int			refusals;		/* since then, */
	int			probes;			/* of which so many of requests that were to
								 * see whether they are taken again */
	int			probe;			/* the place of the request that sees whether
								 * they are taken again, or -1 */

	GraphTime	busy_since;		/* when the requests began that are counted */
	GraphTime	next;			/* when the next may be sent */
	GraphTime	taken;			/* when the last was taken */
	GraphTime	recovered;		/* when requests were taken again, or 0 */
	GraphTime	grown;			/* until then has "allowed" grown */

	int			ntimes;			/* of the requests that were taken, oldest
								 * first: when they were sent */
	GraphTime	times[GRAPH_BUDGET_TIMES];
	GraphPlace	places[GRAPH_BUDGET_PLACES];
} GraphBudget;

/* in budget.c */
extern void graph_budget_init(GraphBudget *budget);
extern int	graph_budget_enter(GraphBudget *budget, int pid, GraphTime rank);
extern void graph_budget_leave(GraphBudget *budget, int place);
extern GraphTime graph_budget_ask(GraphBudget *budget, int place,
								  GraphTime rank, bool early);
extern void graph_budget_unsend(GraphBudget *budget, int place,
								GraphTime sent);
extern GraphTime graph_budget_refuse(GraphBudget *budget, int place,
									 GraphTime sent, int retry_after);
extern void graph_budget_take(GraphBudget *budget, int place, GraphTime sent);

#endif							/* GRAPH_THROTTLE_INT_H */
