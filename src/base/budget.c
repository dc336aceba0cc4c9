/*-------------------------------------------------------------------------
 *
 * budget.c
 *		Whose turn is it to send a request, and when?
 *
 * Requests go at once until something is known of a limit (learn.c).  Then they
 * are spread over its window; in a pause none goes, and after it one goes to see.
 * Where all sessions share the budget ("together"), only so many are under way.
 *
 * Of those that wait, the one goes first whose scan has made the fewest requests,
 * so that a lookup does not wait for long lists; among equals the one that has
 * waited longest.  So that no list waits for ever, each fourth request is of the
 * one that has waited longest of all.  Who does not look is passed over: his
 * reader may be busy, or gone.
 *
 * What this file refuses to know: what is asked, of whom, and where the budget
 * is kept.
 *
 * IDENTIFICATION
 *		src/base/budget.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"

#include "base/throttle_int.h"

/* A limit that was not met for so long is forgotten. */
#define FORGET_AFTER	SECONDS(600)

/*
 * Requests are sent so much faster than evenly, as the window allows: alone and
 * in long windows, and where all share the budget of a short one.
 */
#define HASTE			1.1
#define TOGETHER_HASTE	2.0

/*
 * In an empty window requests go faster, until that share is used: in a short
 * one by as much, in a long one by less.
 */
#define EMPTY_SHARE		0.25
#define EMPTY_HASTE		2.0

/*
 * A window is long if nobody is to wait for half of it: if all is sent at its
 * beginning, and one too many, nothing is sent until its end.
 */
#define LONG_WINDOW		SECONDS(20)

/*
 * So much of what is allowed is for requests of those who have made fewer than so
 * many, until such a time before there is room again.
 */
#define RESERVED		0.1
#define BEGINNING		4
#define RESERVED_UNTIL	SECONDS(3)
#define RESERVED_PART	(1.0 / 8)

/* The same of a ceiling, unless it is so low that a part would be nothing. */
#define RESERVED_CEILING	20

/*
 * A request that is under way for so long is not waited for: whoever has sent it
 * may have gone to do something else, with a cursor open.  Where no limit is known
 * nobody is to wait for that.
 */
#define LEASE			SECONDS(3)
#define SHORT_LEASE		SECONDS(1)

/* Somebody who looks so much later than he said does not look. */
#define LATENESS	SECONDS(0.5)

/* One of so many requests is of who has waited longest. */
#define OLDEST_EACH		4

/* How often one looks who is not the next: at least, and at most. */
#define LOOK_SOON	SECONDS(0.02)
#define LOOK_LATE	SECONDS(0.25)

/*
 * graph_budget_chance
 *		A random number from 0 to 1.
 */
double
graph_budget_chance(void)
{
	return pg_prng_double(&pg_global_prng_state);
}

/*
 * graph_budget_count
 *		How many requests of those that were taken were sent after a time?
 */
int
graph_budget_count(const GraphBudget *budget, GraphTime since)
{
	int			first = budget->ntimes;

	while (first > 0 && budget->times[first - 1] > since)
		first--;
	return budget->ntimes - first;
}

/*
 * note_sent
 *		A request is sent.
 *
 * After a minute of rest it begins a new count, unless that was a pause.
 */
static void
note_sent(GraphBudget *budget, GraphTime now)
{
	if (budget->trouble.since == 0 &&
		(budget->ntimes == 0 ||
		 now - budget->times[budget->ntimes - 1] > LONGEST_WINDOW))
		budget->busy_since = now;
	if (budget->ntimes == GRAPH_BUDGET_TIMES)
		memmove(budget->times, budget->times + 1,
				--budget->ntimes * sizeof(GraphTime));
	budget->times[budget->ntimes++] = now;
}

/*-------------------------------------------------------------------------
 * Places
 *-------------------------------------------------------------------------
 */

/*
 * graph_budget_enter
 *		A place for a request that waits; -1 if there is none.
 */
int
graph_budget_enter(GraphBudget *budget, const GraphPlace *place)
{
	for (int i = 0; i < GRAPH_BUDGET_PLACES; i++)
	{
		if (budget->places[i].pid != 0)
			continue;
		budget->places[i] = *place;
		return i;
	}
	return -1;
}

/*
 * graph_budget_leave
 *		Give a place up.
 */
void
graph_budget_leave(GraphBudget *budget, int place)
{
	if (place < 0)
		return;
	memset(&budget->places[place], 0, sizeof(GraphPlace));
	if (budget->trouble.probe == place)
		budget->trouble.probe = -1;
}

/*
 * nth_last
 *		The request that was the last sent, the one before ...: number 1, 2 ...;
 *		NULL if it is not remembered.
 */
static const GraphLetGo *
nth_last(const GraphBudget *budget, int number)
{
	if (number > GRAPH_BUDGET_TIMES || (uint64) number > budget->counts.requests)
		return NULL;
	return &budget->let_go[(budget->counts.requests - number) % GRAPH_BUDGET_TIMES];
}

/*
 * when_even
 *		When may one that waits since a time be sent, if others leave no room
 *		below its ceiling?
 *
 * Those of that ceiling keep to it among themselves, and are sent evenly.
 */
static GraphTime
when_even(const GraphBudget *budget, int per_minute, GraphTime since)
{
	int			count = 0;
	const GraphLetGo *sent;

	for (int i = 1; (sent = nth_last(budget, i)) != NULL; i++)
	{
		if (sent->per_minute != per_minute)
			continue;
		since = Max(since, sent->at);
		if (++count == per_minute)
			return Max(sent->at + SECONDS(60), since + SECONDS(60.0 / per_minute));
	}
	return since + SECONDS(60.0 / per_minute);
}

/*
 * when_below
 *		When does a ceiling of so many requests a minute allow the next, to one
 *		that waits since a time?
 *
 * Of more than are remembered, the last ones are spread.  Others whose servers
 * have a higher ceiling or none may leave no room below this one for ever.
 */
static GraphTime
when_below(const GraphBudget *budget, int per_minute, GraphTime since,
		   GraphTime now)
{
	int			count = Min(per_minute, GRAPH_BUDGET_TIMES);
	const GraphLetGo *sent = per_minute > 0 ? nth_last(budget, count) : NULL;
	GraphTime	when;

	if (sent == NULL)
		return 0;
	when = sent->at + SECONDS(60.0 * count / per_minute);
	return when <= now || count < per_minute ? when :
		Min(when, when_even(budget, per_minute, since));
}

/*
 * suitability
 *		How well does a request tell whether requests are taken again?  The lower
 *		the better.
 *
 * A gateway may refuse each request once; and one that was refused again may be
 * refused for itself.
 */
static int
suitability(const GraphPlace *place)
{
	return place->refused == 1 ? 0 : place->refused == 0 ? 1 : 2;
}

/*
 * goes_before
 *		Does one of two that wait go before the other?
 */
static bool
goes_before(const GraphBudget *budget, const GraphPlace *one,
			const GraphPlace *other, bool oldest)
{
	if (budget->trouble.since != 0 && suitability(one) != suitability(other))
		return suitability(one) < suitability(other);
	if (!oldest && one->progress != other->progress)
		return one->progress < other->progress;
	return one->since < other->since ||
		(one->since == other->since && one < other);
}

/*
 * count_ahead
 *		How many are there that wait, look, and go before this one, if who has
 *		waited longest is next, or if not?
 *
 * Who waits for a ceiling of his own server holds up nobody who has a higher one
 * or none: below is when the ceiling of this one allows it.
 */
static int
count_ahead(const GraphBudget *budget, int place, bool oldest, int per_minute,
			GraphTime below, GraphTime now)
{
	int			result = 0;

	below = Max(below, now);
	for (int i = 0; i < GRAPH_BUDGET_PLACES; i++)
	{
		const GraphPlace *other = &budget->places[i];

		result += i != place && other->pid != 0 && other->sent == 0 &&
			other->due != 0 && other->due + LATENESS > now &&
			(place < 0 || goes_before(budget, other, &budget->places[place], oldest)) &&
			(other->per_minute == per_minute ||
			 when_below(budget, other->per_minute, other->since, now) <= below);
	}
	return result;
}

/*
 * graph_budget_waiting
 *		How many wait for their turn?
 */
int
graph_budget_waiting(const GraphBudget *budget)
{
	int			result = 0;

	for (int i = 0; i < GRAPH_BUDGET_PLACES; i++)
		result += budget->places[i].pid != 0 && budget->places[i].sent == 0;
	return result;
}

/*
 * is_crowded
 *		Are as many requests under way as may be?
 */
static bool
is_crowded(const GraphBudget *budget, GraphTime now)
{
	bool		free = budget->window == 0 && budget->trouble.since == 0;
	GraphTime	lease = free ? SHORT_LEASE : LEASE;
	int			count = 0;

	if (!budget->together)
		return false;
	for (int i = 0; i < GRAPH_BUDGET_PLACES; i++)
		count += budget->places[i].pid != 0 && budget->places[i].sent != 0 &&
			now - budget->places[i].sent < lease;
	return count >= (int) budget->concurrency;
}

/*-------------------------------------------------------------------------
 * May a request be sent?
 *-------------------------------------------------------------------------
 */

/*
 * has_probe
 *		Is the request under way that sees whether requests are taken again?
 */
static bool
has_probe(const GraphBudget *budget, GraphTime now)
{
	return budget->trouble.probe >= 0 &&
		now - budget->places[budget->trouble.probe].sent < LEASE;
}

/*
 * unreserved
 *		How much of so many requests is for all, and not kept for those who begin?
 */
static int
unreserved(int most)
{
	return most - (int) ceil(most * RESERVED);
}

/*
 * when_left
 *		When is more left than what is kept for those who begin?
 *
 * A part of what the limit and the ceiling allow is, until some time before there
 * is room again: a lookup is not to wait for the end of the window.
 */
static GraphTime
when_left(const GraphBudget *budget, int per_minute)
{
	GraphTime	result = 0;
	int			most = unreserved((int) budget->allowed);
	const GraphLetGo *sent;

	if (!budget->together)
		return 0;
	if (per_minute >= RESERVED_CEILING &&
		(sent = nth_last(budget, unreserved(per_minute))) != NULL)
		result = sent->at + (GraphTime) (SECONDS(60) * (1 - RESERVED_PART));
	if (budget->trouble.since == 0 && budget->window != 0 && most > 0 &&
		budget->ntimes >= most)
		result = Max(result, budget->times[budget->ntimes - most] + budget->window -
					 Min(Max(RESERVED_UNTIL,
							 (GraphTime) (budget->window * RESERVED_PART)),
						 budget->window / 4));
	return result;
}

/*
 * when_allowed
 *		When does what is known of the limit allow the next request?
 */
static GraphTime
when_allowed(const GraphBudget *budget)
{
	int			most = (int) budget->allowed;
	GraphTime	when = budget->next;

	if (budget->trouble.since != 0 || budget->window == 0)
		return budget->trouble.pause;
	if (most > 0 && budget->ntimes >= most)
		when = Max(when, budget->times[budget->ntimes - most] + budget->window);
	return when;
}

/*
 * look_again
 *		When is one to look again who has so many before him?
 */
static GraphTime
look_again(const GraphBudget *budget, GraphTime when, int ahead, GraphTime now)
{
	if (ahead > 0 && budget->window != 0)
		when += (GraphTime) ((ahead - 0.5) * budget->window / budget->allowed);
	when = Max(when, now + LOOK_SOON);
	return ahead > 0 ? Min(when, now + LOOK_LATE) : when;
}

/*
 * pace
 *		How long is there to be between a request and the next?
 *
 * Evenly spread over the window they leave room for whoever comes; but if the
 * window is nearly empty, nobody is to wait for that.
 */
static GraphTime
pace(const GraphBudget *budget, GraphTime now)
{
	double		even = budget->window / budget->allowed;
	double		used;

	if (!budget->together)
		return (GraphTime) (even / (HASTE * (0.8 + 0.4 * graph_budget_chance())));
	used = graph_budget_count(budget, now - budget->window) / budget->allowed;
	if (budget->window > LONG_WINDOW)
		return (GraphTime) (even / (used < EMPTY_SHARE ? HASTE * EMPTY_HASTE : HASTE));
	return (GraphTime) (even * Min(Max(used, EMPTY_SHARE), 1) / TOGETHER_HASTE);
}

/*
 * let_go
 *		A request is sent now.
 */
static void
let_go(GraphBudget *budget, int place, int per_minute, GraphTime now)
{
	GraphLetGo *noted = &budget->let_go[budget->counts.requests++ % GRAPH_BUDGET_TIMES];

	note_sent(budget, now);
	noted->at = now;
	noted->per_minute = per_minute;
	if (budget->window != 0)
		budget->next = now + pace(budget, now);
	if (place < 0)
		return;
	budget->places[place].sent = now;
	if (budget->trouble.since != 0 && budget->trouble.cautious)
		budget->trouble.probe = place;
}

/*
 * graph_budget_ask
 *		Send a request: 0 if it is its turn; else when to look again.
 *
 * What is wanted early is not sent if anything is known of a limit, or anybody
 * waits.
 */
GraphTime
graph_budget_ask(GraphBudget *budget, int place, const GraphWish *wish)
{
	GraphTime	now = graph_now();
	bool		begins = wish->before < BEGINNING;
	GraphTime	left = when_left(budget, wish->per_minute);
	GraphTime	below = when_below(budget, wish->per_minute,
								   place < 0 ? now : budget->places[place].since,
								   now);

	/* nobody waits for one that has to leave something to him */
	bool		oldest = budget->counts.requests % OLDEST_EACH == 0 &&
		!(begins && left > now);
	int			ahead = count_ahead(budget, place, oldest, wish->per_minute, below,
									now);
	GraphTime	when;

	if (budget->window != 0 &&
		now - Max(budget->recovered, budget->trouble.since) > FORGET_AFTER)
		budget->window = 0;
	if (budget->recovered == 0)
		budget->concurrency = Max(budget->concurrency, wish->lanes);
	when = Max(when_allowed(budget), below);
	if (!begins)
		when = Max(when, left);
	if (budget->trouble.since != 0 && budget->trouble.cautious && has_probe(budget, now))
		when = Max(when, now + LOOK_LATE);
	else if (is_crowded(budget, now))
		when = Max(when, now + LOOK_SOON);
	if (when > now || ahead > 0 ||
		(wish->early && (budget->window != 0 || budget->trouble.since != 0)))
	{
		/* who is behind many may be next in the other order */
		if (ahead > 1)
			ahead = Min(ahead, 1 + count_ahead(budget, place, !oldest,
											   wish->per_minute, below, now));
		when = budget->trouble.pause > now ? Max(budget->trouble.pause, when) :
			look_again(budget, when, ahead, now);
		if (place >= 0)
			budget->places[place].due = when;
		return when;
	}
	let_go(budget, place, wish->per_minute, now);
	return 0;
}
