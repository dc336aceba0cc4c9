/*-------------------------------------------------------------------------
 *
 * budget.c
 *		How many requests does a service take from one client, and whose turn
 *		is it?
 *
 * Nobody tells the limit, which may be another one tomorrow.  Until a request is
 * refused (status 429) there is none.  From then on nothing is sent for as long
 * as the service asks, or, where it does not ask, for a time that grows.  Then
 * one request is sent to see whether it is taken, and the others follow.
 *
 * If all are taken soon, nothing is concluded, and the next time nobody is sent
 * to see: some gateways refuse each request once.  If it took long, or a request
 * was refused twice, what was taken before, and in which time, is the first
 * guess of the limit: so many requests in such a window, over which they are
 * spread from then on.  The guess grows while requests are taken, and shrinks
 * when one is refused (additive increase, multiplicative decrease).
 *
 * Others may use the limit as well, and know nothing of us: waits have a part
 * that is random and grows with each refusal in a row, so that they do not come
 * back together.
 *
 * Where all sessions share the budget ("together"), the number of requests that
 * are under way together is bounded as well; it shrinks and grows likewise.
 *
 * Of those that wait, the one goes first whose scan has made the fewest requests,
 * so that a lookup does not wait for long lists; among equals the one with the
 * lowest rank.  So that no list waits for ever, each fourth request is of the one
 * that has waited longest.  Who does not look is passed over: his reader may be
 * busy, or gone.
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
 * refusal, and the longest.  Five of them take two minutes.  If several requests
 * were refused at once, the limit is shared by many: then it grows by so many
 * steps more.
 */
#define FIRST_WAIT		SECONDS(0.5)
#define WAIT_GROWTH		4.5
#define LONGEST_WAIT	SECONDS(60)
#define CROWD_STEPS		2

/* One is patient for so long at most, however often it is to be tried. */
#define MOST_PATIENCE	SECONDS(600)

/* The random part of a wait: of the first, doubled each time, all at most. */
#define FIRST_JITTER	0.4

/*
 * Nothing is concluded from refusals that pass within such a time, if no request
 * was refused twice; and a limit that was not met for so long is forgotten.
 */
#define SHORT_TROUBLE	SECONDS(3)
#define FORGET_AFTER	SECONDS(600)

/*
 * Where all share the budget, a guess wants so many requests that were taken
 * before: a window that others had filled tells nothing.
 */
#define ENOUGH			8

/* If nothing at all was taken before, one request in such a time is a guess. */
#define UNKNOWN_WINDOW	SECONDS(9)

/* A request that was to be sent after a pause, and comes so late, is no probe. */
#define LATE			SECONDS(1)

/* A window is wrong if for so many of it nothing was taken. */
#define WRONG_WINDOW	1.5

/* The longest window that is assumed, and the shortest. */
#define LONGEST_WINDOW	SECONDS(60)
#define SHORTEST_WINDOW	SECONDS(0.5)

/*
 * After a refusal so much of what was allowed is, and it grows: for each request
 * that was taken since, at most in each window.
 */
#define SHRINK			0.4
#define GROWTH			0.03
#define MOST_GROWTH		0.1

/* Alone, so much of what was taken is the first guess: others come, too. */
#define CAUTION		0.85

/* Requests are sent so much faster than evenly, as the window allows, */
#define HASTE		1.1

/* and at least one in such a time, whatever was guessed. */
#define LONGEST_SPACING	SECONDS(18)

/*
 * The same where all share the budget: they find the limit by themselves, and so
 * may stay near it.  What is allowed grows with each request: at first, then
 * well below what was too much, and near it.
 */
#define TOGETHER_SHRINK	0.98
#define TOGETHER_LEAST	0.85
#define TOGETHER_UNUSED	1.1
#define TOGETHER_FIRST	0.002
#define TOGETHER_FAST	0.02
#define TOGETHER_SLOW	0.0005
#define TOGETHER_NEAR	0.9
#define TOGETHER_HASTE	2.0

/*
 * It grows twice as fast with each window, after the first, that passes without
 * a refusal, and by so much at most: a guess may be far too low.
 */
#define MOST_DOUBLINGS	10
#define TOGETHER_MOST	0.1

/* In an empty window requests go so much faster, until that share is used. */
#define EMPTY_SHARE		0.25

/*
 * So much of what is allowed is for requests of those who have made fewer than so
 * many, until such a time before there is room again.
 */
#define RESERVED		0.1
#define BEGINNING		4
#define RESERVED_UNTIL	SECONDS(3)

/*
 * Services count in windows of so many seconds, mostly: a window that is a little
 * longer than one of them is taken for that.  Where Retry-After is missing, one
 * request is sent a little after each of them would have passed, as the first
 * ones came late, while connections were made; and soon again after a minute,
 * which most services have.
 */
static const int usual_windows[] = {1, 2, 5, 10, 15, 20, 30, 60, 120, 300};
static const int probe_times[] = {1, 2, 5, 10, 15, 20, 30, 60, 65, 80, 120, 180, 300};

#define WINDOW_SLACK	0.85
#define PROBE_SLACK		1.04

/* How much later a window passes here than at the service, about. */
#define TRANSIT			SECONDS(0.25)

/*
 * So many requests may be under way together at first; one more after so many
 * that were taken, up to a bound.
 */
#define FIRST_CONCURRENCY	8
#define CONCURRENCY_GROWTH	(1.0 / 8)
#define MOST_CONCURRENCY	64
#define CONCURRENCY_SHRINK	0.7

/*
 * A request that is under way for so long is not waited for: whoever has sent it
 * may have gone to do something else, with a cursor open.  Where no limit is known
 * nobody is to wait for that.
 */
#define LEASE			SECONDS(3)
#define SHORT_LEASE		SECONDS(1)

/*
 * A refusal says nothing any more if a request was taken that was sent so much
 * later: its reader has looked late.
 */
#define STALE			SECONDS(1)

/* Where refusals are harmless, a request waits so long by itself. */
#define HARMLESS_WAIT	3

/* Somebody who looks so much later than he said does not look. */
#define LATENESS	SECONDS(0.5)

/* One of so many requests is of who has waited longest. */
#define OLDEST_EACH	4

/* How often one looks who is not the next: at least, and at most. */
#define LOOK_SOON	SECONDS(0.02)
#define LOOK_LATE	SECONDS(0.25)

/*
 * graph_budget_init
 *		A budget of which nothing is known.
 */
void
graph_budget_init(GraphBudget *budget, bool together)
{
	memset(budget, 0, sizeof(GraphBudget));
	budget->together = together;
	budget->concurrency = FIRST_CONCURRENCY;
	budget->trouble.cautious = true;
	budget->trouble.probe = -1;
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
 * when_below
 *		When does a ceiling of so many requests a minute allow the next?
 *
 * Of more than are remembered, the last ones are spread.
 */
static GraphTime
when_below(const GraphBudget *budget, int per_minute)
{
	int			count = Min(per_minute, GRAPH_BUDGET_TIMES);

	if (per_minute <= 0 || budget->counts.requests < (uint64) count)
		return 0;
	return budget->let_go[(budget->counts.requests - count) % GRAPH_BUDGET_TIMES] +
		SECONDS(60.0 * count / per_minute);
}

/*
 * goes_before
 *		Does one of two that wait go before the other?
 */
static bool
goes_before(const GraphPlace *one, const GraphPlace *other, bool oldest)
{
	if (oldest)
		return one->since < other->since ||
			(one->since == other->since && one < other);
	if (one->progress != other->progress)
		return one->progress < other->progress;
	return one->rank < other->rank ||
		(one->rank == other->rank && one < other);
}

/*
 * count_ahead
 *		How many are there that wait, look, and go before this one, if who has
 *		waited longest is next, or if not?
 *
 * Who waits for a ceiling of his own server holds up nobody who has a higher one
 * or none.
 */
static int
count_ahead(const GraphBudget *budget, int place, bool oldest, int per_minute,
			GraphTime now)
{
	GraphTime	below = Max(when_below(budget, per_minute), now);
	int			result = 0;

	for (int i = 0; i < GRAPH_BUDGET_PLACES; i++)
	{
		const GraphPlace *other = &budget->places[i];

		result += i != place && other->pid != 0 && other->sent == 0 &&
			other->due != 0 && other->due + LATENESS > now &&
			(place < 0 || goes_before(other, &budget->places[place], oldest)) &&
			(other->per_minute == per_minute ||
			 when_below(budget, other->per_minute) <= below);
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
 * when_allowed
 *		When does what is known of the limit allow the next request?
 *
 * Of what is allowed a part is kept for those who begin, until some time before
 * it is allowed to all again: a lookup is not to wait for the end of the window.
 */
static GraphTime
when_allowed(const GraphBudget *budget, const GraphWish *wish)
{
	int			most = (int) budget->allowed;
	GraphTime	when = budget->next;

	if (budget->trouble.since != 0 || budget->window == 0)
		return budget->trouble.pause;
	if (most > 0 && budget->ntimes >= most)
		when = Max(when, budget->times[budget->ntimes - most] + budget->window);
	most -= (int) ceil(most * RESERVED);
	if (budget->together && wish->before >= BEGINNING && most > 0 &&
		budget->ntimes >= most)
		when = Max(when, budget->times[budget->ntimes - most] + budget->window -
				   Min(RESERVED_UNTIL, budget->window / 4));
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
		return (GraphTime) (even / (HASTE * (0.8 + 0.4 * chance())));
	used = count_since(budget, now - budget->window) / budget->allowed;
	return (GraphTime) (even * Min(Max(used, EMPTY_SHARE), 1) / TOGETHER_HASTE);
}

/*
 * let_go
 *		A request is sent now.
 */
static void
let_go(GraphBudget *budget, int place, GraphTime now)
{
	note_sent(budget, now);
	budget->let_go[budget->counts.requests++ % GRAPH_BUDGET_TIMES] = now;
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
	bool		oldest = budget->counts.requests % OLDEST_EACH == 0;
	int			ahead = count_ahead(budget, place, oldest, wish->per_minute, now);
	GraphTime	when;

	if (budget->window != 0 &&
		now - Max(budget->recovered, budget->trouble.since) > FORGET_AFTER)
		budget->window = 0;
	if (budget->recovered == 0)
		budget->concurrency = Max(budget->concurrency, wish->lanes);
	when = Max(when_allowed(budget, wish), when_below(budget, wish->per_minute));
	if (budget->trouble.since != 0 && budget->trouble.cautious && has_probe(budget, now))
		when = Max(when, now + LOOK_LATE);
	else if (is_crowded(budget, now))
		when = Max(when, now + LOOK_SOON);
	if (when > now || ahead > 0 ||
		(wish->early && (budget->window != 0 || budget->trouble.since != 0)))
	{
		when = budget->trouble.pause > now ? Max(budget->trouble.pause, when) :
			look_again(budget, when,
					   Min(ahead, 1 + count_ahead(budget, place, !oldest,
												  wish->per_minute, now)), now);
		if (place >= 0)
			budget->places[place].due = when;
		return when;
	}
	let_go(budget, place, now);
	return 0;
}

/*-------------------------------------------------------------------------
 * What became of it
 *-------------------------------------------------------------------------
 */

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

	if (retry_after < 0 || number > 2)
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
 * graph_refusal_patience
 *		For how many milliseconds is it tried at least, with so many waits without
 *		Retry-After?  A little less than one waits who is alone.
 */
int64
graph_refusal_patience(int waits)
{
	double		total = 0;

	for (int i = 1; i <= waits && total < MOST_PATIENCE; i++)
		total += least_wait(i, -1);
	return (int64) (Min(total, MOST_PATIENCE) * 0.8 / 1000);
}

/*
 * wait_after
 *		The same where a limit may be known.
 *
 * Without Retry-After the waits grow faster where several requests were refused
 * at once, and the first that was to see was, too.
 */
static GraphTime
wait_after(const GraphBudget *budget, int retry_after)
{
	int			number = budget->trouble.probes;
	GraphTime	wait;

	if (retry_after < 0)
		number += budget->trouble.probes == 0 ? 1 :
			1 + Min(CROWD_STEPS, budget->trouble.in_a_row - budget->trouble.probes - 1);
	wait = least_wait(Max(number, 1), retry_after);
	if (budget->window != 0)
		wait = Max(wait, (GraphTime) Min(budget->window / budget->allowed,
										 (double) LONGEST_WAIT));
	return with_jitter(wait, number + (retry_after >= 0));
}

/*
 * until_window
 *		How long is it until one of the usual windows has passed since requests
 *		were taken?
 *
 * If refused requests count as well, as many have to leave the window as were
 * refused.  If requests were taken for long before, there will be room sooner.
 */
static GraphTime
until_window(const GraphBudget *budget, GraphTime now)
{
	GraphTime	begin = budget->trouble.since;
	int			count = count_since(budget, budget->busy_since - 1);

	if (count > 0 && begin - budget->busy_since < LONGEST_WINDOW)
		begin = budget->times[budget->ntimes - count +
							  Min(budget->trouble.in_a_row, count - 1)];
	for (int i = 0; i < (int) lengthof(probe_times); i++)
	{
		GraphTime	wait = begin + SECONDS(probe_times[i] * PROBE_SLACK + 0.25) - now;

		if (wait > SECONDS(0.3))
			return wait;
	}
	return LONGEST_WAIT;
}

/*
 * until_oldest
 *		How long is it until the oldest request leaves the window?
 */
static GraphTime
until_oldest(const GraphBudget *budget, GraphTime now)
{
	int			count = count_since(budget, now - budget->window);

	return count == 0 ? 0 :
		budget->times[budget->ntimes - count] + budget->window - now;
}

/*
 * wait_together
 *		The same where all share the budget, and so one comes back at a time.
 */
static GraphTime
wait_together(const GraphBudget *budget, int retry_after, bool is_first,
			  GraphTime now)
{
	GraphTime	since = now - budget->trouble.since;
	GraphTime	wait;

	if (retry_after >= 0)
	{
		wait = Max(SECONDS(retry_after), Min(since / 4, LONGEST_WAIT));
		return wait + (GraphTime) (Min(wait, SECONDS(1)) *
								   Min(0.1 * (1 + budget->trouble.probes), 1) * chance());
	}
	if (budget->window != 0)
		wait = is_first ? Max(SECONDS(0.3), until_oldest(budget, now)) :
			Max(SECONDS(0.5), (GraphTime) (since * 0.6));
	else if (budget->trouble.cautious)
		return until_window(budget, now);
	else
		wait = FIRST_WAIT;
	return Min((GraphTime) (wait * (0.9 + 0.2 * chance())), LONGEST_WAIT);
}

/*
 * shrink
 *		The first of some refusals: allow less.
 */
static void
shrink(GraphBudget *budget, GraphTime now)
{
	double		allowed = budget->allowed;
	int			count;

	if (!budget->trouble.cautious)
		return;
	budget->concurrency = Max(budget->concurrency * CONCURRENCY_SHRINK,
							  FIRST_CONCURRENCY / 2);
	budget->streak = 0;
	if (budget->window == 0)
		return;
	if (!budget->together)
	{
		budget->allowed = Max(allowed * SHRINK,
							  budget->window / (double) LONGEST_SPACING);
		return;
	}
	count = count_since(budget, now - budget->window);
	budget->too_many = count;
	allowed = Max(Min(allowed, count * TOGETHER_UNUSED) * TOGETHER_LEAST,
				  Min(allowed, count) * TOGETHER_SHRINK);
	budget->allowed = Max(allowed, 1);
}

/*
 * graph_budget_refuse
 *		The service has refused a request.  Returns when it may be sent again.
 *
 * If refusals have proved harmless, and it asks for a short pause or for none,
 * only this one waits; and so it does if it is refused for itself.  It is sent
 * again at once if others were taken meanwhile.
 */
GraphTime
graph_budget_refuse(GraphBudget *budget, int place, const GraphRefusal *refusal)
{
	GraphTime	now = graph_now();
	bool		is_first = budget->trouble.since == 0;
	GraphTime	wait;

	forget_sent(budget, refusal->sent);
	graph_budget_leave(budget, place);
	budget->counts.refusals++;
	if (refusal->sent + STALE < budget->taken_sent)
		return now;
	if (refusal->for_itself)
		return now + Max(with_jitter(least_wait(1, refusal->retry_after), 3),
						 SECONDS(1));
	if (is_first)
	{
		budget->trouble.since = now;
		budget->trouble.in_a_row = budget->trouble.probes = 0;
		budget->trouble.is_proved = false;
		budget->trouble.reads = refusal->reads;
		shrink(budget, now);
	}
	else if (refusal->sent >= budget->trouble.since)
	{
		budget->trouble.probes += budget->trouble.cautious || refusal->again;
		budget->trouble.is_proved |= refusal->again;
		budget->trouble.cautious |= refusal->again;
	}
	budget->trouble.in_a_row++;
	wait = budget->together ?
		wait_together(budget, refusal->retry_after, is_first, now) :
		wait_after(budget, refusal->retry_after);
	if (refusal->retry_after <= HARMLESS_WAIT && !budget->trouble.cautious)
		return now + (refusal->retry_after < 0 ? wait / 2 : wait);
	budget->trouble.pause = Max(budget->trouble.pause, now + wait);
	return budget->trouble.pause;
}

/*
 * guess_limit
 *		What was taken from when requests began until they were taken again is the
 *		limit.
 */
static void
guess_limit(GraphBudget *budget, GraphTime end)
{
	GraphTime	begin = Max(Min(budget->busy_since, budget->trouble.since),
							budget->trouble.since - LONGEST_WINDOW);
	GraphTime	window = Min(Max(end - begin, SHORTEST_WINDOW), LONGEST_WINDOW);

	/* the one that was taken now is the first of what follows */
	int			count = count_since(budget, begin - 1) - 1;

	if (budget->together && count < ENOUGH)
		return;
	budget->allowed = Max(count * (budget->together ? 1 : CAUTION), 1);
	budget->window = count > 0 ? window : Min(window, UNKNOWN_WINDOW);
	budget->allowed = Max(budget->allowed,
						  budget->window / (double) LONGEST_SPACING);
	if (!budget->together)
		return;
	window = Max(window - TRANSIT, SHORTEST_WINDOW);
	budget->window = window;
	for (int i = 0; i < (int) lengthof(usual_windows); i++)
	{
		GraphTime	usual = SECONDS(usual_windows[i]);

		if (usual <= window + TRANSIT && usual >= window * WINDOW_SLACK)
			budget->window = usual;
	}
}

/*
 * learn
 *		Requests are taken again: what does that say of the limit?
 *
 * Refusals that have soon passed say nothing, unless a request was refused twice;
 * nor does it matter for how long nobody asked after a pause.
 */
static void
learn(GraphBudget *budget, GraphTime now)
{
	GraphTime	end = Min(now, budget->trouble.pause + LATE);

	bool		is_short = end - budget->trouble.since < SHORT_TROUBLE;

	/*
	 * Many like that were taken since the last one: a limit, of a short time.
	 * A session alone would be slow for minutes if it is none.
	 */
	if (budget->together && is_short &&
		budget->fresh[budget->trouble.reads] >= ENOUGH &&
		budget->trouble.since - budget->recovered < LONGEST_WINDOW)
	{
		budget->busy_since = budget->recovered;
		is_short = false;
	}
	budget->trouble.cautious = budget->window != 0 || budget->trouble.is_proved ||
		!is_short;
	/* nothing was taken for longer than a window: it is longer */
	if (budget->window != 0 &&
		end - budget->trouble.since > WRONG_WINDOW * budget->window &&
		budget->fresh[true] + budget->fresh[false] >= ENOUGH)
	{
		budget->busy_since = budget->recovered;
		budget->window = 0;
	}
	if (budget->window == 0 && budget->trouble.cautious)
		guess_limit(budget, end);
	budget->recovered = budget->grown = now;
	budget->fresh[true] = budget->fresh[false] = 0;
	budget->trouble.since = 0;
	budget->trouble.probe = -1;
	if (budget->window != 0 && !budget->together)
		budget->next = now + (GraphTime) (budget->window / budget->allowed *
										  (0.7 + 0.6 * chance()));
}

/*
 * together_growth
 *		By how much does what is allowed to all grow with a request?
 */
static double
together_growth(const GraphBudget *budget, GraphTime now)
{
	double		windows = (now - budget->recovered) / (double) budget->window;
	double		growth;

	if (budget->too_many == 0)
		growth = TOGETHER_FIRST;
	else if (budget->allowed < TOGETHER_NEAR * budget->too_many)
		growth = TOGETHER_FAST;
	else
		growth = TOGETHER_SLOW;
	if (windows > 1)
		growth *= pow(2, Min(floor(windows - 1), MOST_DOUBLINGS));
	return Min(growth, Min(TOGETHER_MOST, 1 / budget->allowed));
}

/*
 * grow
 *		A request was taken: allow more.
 */
static void
grow(GraphBudget *budget, GraphTime now)
{
	double		growth = Min(GROWTH * ++budget->streak, MOST_GROWTH);

	growth *= Min((now - budget->grown) / (double) budget->window, 1);
	if (budget->together)
		growth = together_growth(budget, now);
	budget->allowed *= 1 + growth;
	budget->grown = now;
}

/*
 * graph_budget_take
 *		The service has taken a request.
 *
 * One that was sent before another was refused says nothing of now.
 */
void
graph_budget_take(GraphBudget *budget, int place, const GraphTaken *request)
{
	GraphTime	now = graph_now();

	graph_budget_leave(budget, place);
	budget->taken = now;
	budget->taken_sent = Max(budget->taken_sent, request->sent);
	budget->fresh[request->reads] += !request->again;
	if (budget->trouble.since != 0)
	{
		if (request->sent >= budget->trouble.since)
			learn(budget, now);
	}
	else if (budget->window != 0)
		grow(budget, now);
	budget->concurrency = Min(budget->concurrency + CONCURRENCY_GROWTH,
							  MOST_CONCURRENCY);
}
