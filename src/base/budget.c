/*-------------------------------------------------------------------------
 *
 * budget.c
 *		How many requests does a service take from one client, and whose turn
 *		is it?
 *
 * Nobody tells the limit, which may be another one tomorrow.  Until a request is
 * refused (status 429) there is none.  From then on nothing is sent for as long
 * as the service asks, or, where it does not ask, for a time that grows; then
 * one request is sent to see whether it is taken, and the others follow.  What
 * was taken meanwhile, and in which time, is the first guess of the limit:
 * so many requests in such a window, which are spread over it.  The guess grows
 * while requests are taken, and shrinks when one is refused (additive increase,
 * multiplicative decrease).
 *
 * Others may use the limit as well, and know nothing of us: waits have a part
 * that is random and grows with each refusal in a row, so that they do not come
 * back together.
 *
 * Of those that wait, the one with the lowest rank goes first, unless it does
 * not look: its reader may be busy, or gone.
 *
 * What this file refuses to know: what is asked, of whom, and where the budget
 * is kept.
 *
 * Sources: RFC 6585 section 4 (429); RFC 5681 (additive increase); the numbers
 * were found with a model of sessions that meet a sliding window.
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

#define SECONDS(n)	((GraphTime) ((n) * 1000000.0))

/*
 * What is done without Retry-After: the first wait, how it grows with each
 * refusal, and the longest.  Five of them take a minute.
 */
#define FIRST_WAIT		SECONDS(0.5)
#define WAIT_GROWTH		3.0
#define LONGEST_WAIT	SECONDS(60)

/* The random part of a wait: of the first, doubled each time, all at most. */
#define FIRST_JITTER	0.25

/*
 * Nothing is concluded from a refusal that has passed after such a time, unless
 * the next comes as soon; and a limit that was not met for so long is forgotten.
 */
#define SHORT_TROUBLE	SECONDS(3)
#define SOON			SECONDS(30)
#define FORGET_AFTER	SECONDS(600)

/* The longest window that is assumed, and the shortest. */
#define LONGEST_WINDOW	SECONDS(60)
#define SHORTEST_WINDOW	SECONDS(0.5)

/* After a refusal so much of what was allowed is, and it grows in each window. */
#define SHRINK		0.7
#define GROWTH		0.1

/* Requests are sent so much faster than evenly, as the window allows. */
#define HASTE		1.5

/* A request that is under way for so long is not waited for. */
#define PROBE_LEASE	SECONDS(15)

/* Somebody who looks so much later than he said does not look. */
#define LATENESS	SECONDS(0.5)

/* How often one looks who is not the next: at least, and at most. */
#define LOOK_SOON	SECONDS(0.02)
#define LOOK_LATE	SECONDS(0.25)

/*
 * graph_budget_init
 *		A budget of which nothing is known.
 */
void
graph_budget_init(GraphBudget *budget)
{
	memset(budget, 0, sizeof(GraphBudget));
	budget->probe = -1;
}

/*
 * chance
 *		A random number from 0 to 1.
 */
static double
chance(void)
{
	return pg_prng_double(&pg_global_prng_state);
}

/*
 * count_since
 *		How many requests of those that were taken were sent after a time?
 */
static int
count_since(const GraphBudget *budget, GraphTime since)
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
 * After a minute of rest it begins a new count.
 */
static void
note_sent(GraphBudget *budget, GraphTime now)
{
	if (budget->ntimes == 0 ||
		now - budget->times[budget->ntimes - 1] > LONGEST_WINDOW)
		budget->busy_since = now;
	if (budget->ntimes == GRAPH_BUDGET_TIMES)
		memmove(budget->times, budget->times + 1,
				--budget->ntimes * sizeof(GraphTime));
	budget->times[budget->ntimes++] = now;
}

/*
 * forget_sent
 *		A request was not taken: it does not count.
 */
static void
forget_sent(GraphBudget *budget, GraphTime sent)
{
	for (int i = budget->ntimes - 1; i >= 0; i--)
	{
		if (budget->times[i] != sent)
			continue;
		budget->ntimes--;
		memmove(budget->times + i, budget->times + i + 1,
				(budget->ntimes - i) * sizeof(GraphTime));
		return;
	}
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
graph_budget_enter(GraphBudget *budget, int pid, GraphTime rank)
{
	for (int i = 0; i < GRAPH_BUDGET_PLACES; i++)
	{
		GraphPlace *place = &budget->places[i];

		if (place->pid != 0)
			continue;
		memset(place, 0, sizeof(GraphPlace));
		place->pid = pid;
		place->rank = rank;
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
	if (budget->probe == place)
		budget->probe = -1;
}

/*
 * count_ahead
 *		How many are there that wait, look, and go before this one?
 */
static int
count_ahead(const GraphBudget *budget, int place, GraphTime rank, GraphTime now)
{
	int			result = 0;

	for (int i = 0; i < GRAPH_BUDGET_PLACES; i++)
	{
		const GraphPlace *other = &budget->places[i];

		result += i != place && other->pid != 0 && other->sent == 0 &&
			other->due != 0 && other->due + LATENESS > now &&
			(place < 0 || other->rank < rank ||
			 (other->rank == rank && i < place));
	}
	return result;
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
	return budget->probe >= 0 &&
		now - budget->places[budget->probe].sent < PROBE_LEASE;
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

	if (budget->window == 0)
		return 0;
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
 * graph_budget_ask
 *		Send a request: 0 if it is its turn; else when to look again.
 *
 * early tells that it is wanted for later, and so is not sent if anything is
 * known of a limit, or anybody waits.
 */
GraphTime
graph_budget_ask(GraphBudget *budget, int place, GraphTime rank, bool early)
{
	GraphTime	now = graph_now();
	GraphTime	when;
	int			ahead = count_ahead(budget, place, rank, now);

	if (budget->window != 0 && now - Max(budget->recovered, budget->refused_since) > FORGET_AFTER)
		budget->window = 0;
	if (budget->pause > now)
		when = budget->pause;
	else if (budget->refused_since != 0)
		when = has_probe(budget, now) || (place < 0 && ahead > 0) ? now + LOOK_LATE : 0;
	else
		when = when_allowed(budget);
	if (when > now || ahead > 0 ||
		(early && (budget->window != 0 || budget->refused_since != 0)))
	{
		when = budget->pause > now ? budget->pause :
			look_again(budget, when, ahead, now);
		if (place >= 0)
			budget->places[place].due = when;
		return when;
	}

	note_sent(budget, now);
	if (budget->window != 0)
		budget->next = now + (GraphTime) (budget->window / budget->allowed / HASTE *
										  (0.8 + 0.4 * chance()));
	if (place >= 0)
	{
		budget->places[place].sent = now;
		if (budget->refused_since != 0)
			budget->probe = place;
	}
	return 0;
}

/*-------------------------------------------------------------------------
 * What became of it
 *-------------------------------------------------------------------------
 */

/*
 * graph_budget_unsend
 *		A request that had its turn was not sent.
 */
void
graph_budget_unsend(GraphBudget *budget, int place, GraphTime sent)
{
	forget_sent(budget, sent);
	graph_budget_leave(budget, place);
}

/*
 * with_jitter
 *		A wait after so many refusals in a row, with its random part.
 */
static GraphTime
with_jitter(GraphTime wait, int number)
{
	double		most = Min(FIRST_JITTER * pow(2, Min(number, 10) - 1), 1.0);

	return wait + (GraphTime) (wait * most * chance());
}

/*
 * least_wait
 *		For how long is nothing sent at least, after so many refusals in a row?
 *
 * What the service asks for is not always enough, as all of those that it has
 * asked come back: after a few refusals it is as if it had not asked.
 */
static GraphTime
least_wait(int number, int retry_after)
{
	GraphTime	wait = SECONDS(Max(retry_after, 0));

	if (retry_after < 0 || number > 1)
		wait = Max(wait, (GraphTime) Min(FIRST_WAIT * pow(WAIT_GROWTH,
														  Min(number, 10) - 1),
										 (double) LONGEST_WAIT));
	return wait;
}

/*
 * graph_refusal_wait
 *		How many milliseconds to wait after a refusal, which is the first, second
 *		... in a row, where nothing else is known.
 */
int64
graph_refusal_wait(int number, int retry_after)
{
	return with_jitter(least_wait(number, retry_after), number) / 1000;
}

/*
 * wait_after
 *		The same where a limit may be known.
 *
 * If the service does not say for how long, the more requests it has refused at
 * once the longer; what it says was said to each of those alike.
 */
static GraphTime
wait_after(const GraphBudget *budget, int retry_after)
{
	int			number = retry_after < 0 ? budget->refusals : budget->probes;
	GraphTime	wait = least_wait(Max(number, 1), retry_after);

	if (budget->window != 0)
		wait = Max(wait, (GraphTime) Min(budget->window / budget->allowed,
										 (double) LONGEST_WAIT));
	return with_jitter(wait, number + (retry_after >= 0));
}

/*
 * graph_budget_refuse
 *		The service has refused a request, and asks to wait so many seconds (-1:
 *		it does not say).  Returns when it may be sent again.
 */
GraphTime
graph_budget_refuse(GraphBudget *budget, int place, GraphTime sent,
					int retry_after)
{
	GraphTime	now = graph_now();

	forget_sent(budget, sent);
	graph_budget_leave(budget, place);
	if (budget->refused_since == 0)
	{
		budget->refused_since = now;
		budget->refusals = budget->probes = 0;
		if (budget->window != 0)
			budget->allowed = Max(budget->allowed * SHRINK, 0.05);
	}
	else
		budget->probes += sent >= budget->refused_since;
	budget->refusals++;
	budget->pause = Max(budget->pause, now + wait_after(budget, retry_after));
	return budget->pause;
}

/*
 * learn
 *		Requests are taken again: what does that say of the limit?
 *
 * A refusal that has soon passed says nothing, unless there was one soon before.
 */
static void
learn(GraphBudget *budget, GraphTime now)
{
	GraphTime	window = now - budget->busy_since;
	bool		is_short = now - budget->refused_since < SHORT_TROUBLE &&
		(budget->recovered == 0 ||
		 budget->refused_since - budget->recovered > SOON);

	if (budget->window == 0 && !is_short)
	{
		budget->window = Min(Max(window, SHORTEST_WINDOW), LONGEST_WINDOW);
		/* the one that was taken now is the first of what follows */
		budget->allowed = Max(count_since(budget, now - budget->window - 1) - 1, 1);
	}
	budget->recovered = budget->grown = now;
	budget->refused_since = 0;
	budget->probe = -1;
	if (budget->window != 0)
		budget->next = now + (GraphTime) (budget->window / budget->allowed *
										  (0.7 + 0.6 * chance()));
}

/*
 * graph_budget_take
 *		The service has taken a request.
 *
 * One that was sent before another was refused says nothing of now.
 */
void
graph_budget_take(GraphBudget *budget, int place, GraphTime sent)
{
	GraphTime	now = graph_now();

	graph_budget_leave(budget, place);
	budget->taken = now;
	if (budget->refused_since != 0)
	{
		if (sent >= budget->refused_since)
			learn(budget, now);
	}
	else if (budget->window != 0)
	{
		budget->allowed *= 1 + Min(GROWTH * (now - budget->grown) / budget->window,
								   0.25);
		budget->grown = now;
	}
}
