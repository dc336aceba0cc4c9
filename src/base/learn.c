/*-------------------------------------------------------------------------
 *
 * learn.c
 *		How many requests does a service take from one client?
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
 * may be under way together shrinks and grows likewise.
 *
 * What this file refuses to know: whose turn it is, what is asked, of whom, and
 * where the budget is kept.
 *
 * Sources: RFC 6585 section 4 (429); RFC 5681 (additive increase); the numbers
 * were found with a model of sessions that meet a sliding window.
 *
 * IDENTIFICATION
 *		src/base/learn.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "base/throttle_int.h"

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
 * was refused twice.
 */
#define SHORT_TROUBLE	SECONDS(3)

/*
 * Where all share the budget, a guess wants so many requests that were taken
 * before: a window that others had filled tells nothing.
 */
#define ENOUGH			8

/* Two numbers of requests that are about the same are nearer than that. */
#define SIMILAR			1.25

/* If nothing at all was taken before, one request in such a time is a guess. */
#define UNKNOWN_WINDOW	SECONDS(9)

/* A request that was to be sent after a pause, and comes so late, is no probe. */
#define LATE			SECONDS(1)

/* A window is wrong if for so many of it nothing was taken. */
#define WRONG_WINDOW	1.5

/* The shortest window that is assumed. */
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

/* At least one request in such a time is allowed, whatever was guessed. */
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
#define TOGETHER_SLOW	0.0002
#define TOGETHER_NEAR	0.9

/*
 * It grows twice as fast with each window, after the first, that passes without
 * a refusal, and by so much at most: a guess may be far too low.
 */
#define MOST_DOUBLINGS	10
#define TOGETHER_MOST	0.1

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
 * So many requests may be under way together at first, as all of them are
 * refused where a limit is met; one more after so many that were taken, up to a
 * bound.  After so many that were taken there is no limit that we know of, and
 * soon no bound.
 */
#define FIRST_CONCURRENCY	8
#define CONCURRENCY_GROWTH	(1.0 / 8)
#define MOST_CONCURRENCY	64
#define CONCURRENCY_SHRINK	0.7
#define UNLIMITED_AFTER		200

/*
 * If nobody has asked for so long after a refusal or a pause, as all have given
 * up, the next refusal is the first of others.
 */
#define ABANDONED		SECONDS(5)

/* Where a limit is known, and Retry-After missing, one is sent to see then. */
#define FIRST_LOOK		SECONDS(8)

/* Where refusals are harmless, a request waits so long by itself. */
#define HARMLESS_WAIT	3

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

/*
 * with_jitter
 *		A wait after so many refusals in a row, with its random part.
 */
static GraphTime
with_jitter(GraphTime wait, int number)
{
	double		most = Min(FIRST_JITTER * pow(2, Min(number, 10) - 1), 1.0);

	return wait + (GraphTime) (wait * most * graph_budget_chance());
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
	int			count = graph_budget_count(budget, budget->busy_since - 1);

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
	int			count = graph_budget_count(budget, now - budget->window);

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
								   Min(0.1 * (1 + budget->trouble.probes), 1) * graph_budget_chance());
	}
	if (budget->window != 0)
		wait = is_first ? Min(Max(until_oldest(budget, now), SECONDS(0.3)), FIRST_LOOK) :
			Max(SECONDS(0.5), (GraphTime) (since * 0.6));
	else if (budget->trouble.cautious)
		return until_window(budget, now);
	else
		wait = FIRST_WAIT;
	return Min((GraphTime) (wait * (0.9 + 0.2 * graph_budget_chance())), LONGEST_WAIT);
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
	budget->concurrency = Max(Min(budget->concurrency, MOST_CONCURRENCY) *
							  CONCURRENCY_SHRINK, FIRST_CONCURRENCY / 2);
	budget->streak = 0;
	if (budget->window == 0)
		return;
	if (!budget->together)
	{
		budget->allowed = Max(allowed * SHRINK,
							  budget->window / (double) LONGEST_SPACING);
		return;
	}
	count = graph_budget_count(budget, now - budget->window);
	budget->too_many = count;
	allowed = Max(Min(allowed, count * TOGETHER_UNUSED) * TOGETHER_LEAST,
				  Min(allowed, count) * TOGETHER_SHRINK);
	budget->allowed = Max(allowed, 1);
}

/*
 * is_first_refusal
 *		Does trouble begin with this refusal?
 */
static bool
is_first_refusal(const GraphTrouble *trouble, const GraphRefusal *refusal)
{
	return trouble->since == 0 ||
		refusal->request.at > Max(trouble->last, trouble->pause) + ABANDONED;
}

/*
 * wait_itself
 *		When may a request be sent again whose refusal says nothing of others?
 *
 * If it is one that was sent since that has been taken, the pause is over.  But
 * the service may mean what it asks for: then it is refused again.
 */
static GraphTime
wait_itself(const GraphRefusal *refusal, GraphTime now)
{
	if (refusal->for_itself > 0)
		return now + Max(with_jitter(least_wait(refusal->for_itself,
												refusal->retry_after), 1),
						 SECONDS(1));
	if (!refusal->request.again)
		return now;
	return Max(refusal->came + with_jitter(SECONDS(Max(refusal->retry_after, 0)), 1),
			   now);
}

/*
 * graph_budget_refuse
 *		The service has refused a request.  Returns when it may be sent again.
 *
 * If refusals have proved harmless, and it asks for a short pause or for none,
 * only this one waits; and so it does if it is refused for itself, or if one that
 * was sent since the answer came has been taken.
 */
GraphTime
graph_budget_refuse(GraphBudget *budget, int place, const GraphRefusal *refusal)
{
	GraphTime	now = graph_now();
	bool		is_first = is_first_refusal(&budget->trouble, refusal);
	GraphTime	wait;

	forget_sent(budget, refusal->request.at);
	graph_budget_leave(budget, place);
	budget->counts.refusals++;
	if (refusal->for_itself > 0 || refusal->came < budget->taken_sent)
		return wait_itself(refusal, now);
	if (is_first)
	{
		budget->trouble.since = now;
		budget->trouble.in_a_row = budget->trouble.probes = 0;
		budget->trouble.is_proved = false;
		budget->trouble.reads = refusal->request.reads;
		shrink(budget, now);
	}
	else if (refusal->request.at >= budget->trouble.since)
	{
		budget->trouble.probes += budget->trouble.cautious || refusal->request.again;
		budget->trouble.is_proved |= refusal->request.again;
		budget->trouble.cautious |= refusal->request.again;
	}
	budget->trouble.in_a_row++;
	budget->trouble.last = now;
	wait = budget->together ?
		wait_together(budget, refusal->retry_after, is_first, now) :
		wait_after(budget, refusal->retry_after);
	if (refusal->retry_after <= HARMLESS_WAIT && !budget->trouble.cautious)
		return now + (refusal->retry_after < 0 ? wait / 2 : wait);
	budget->trouble.pause = Max(budget->trouble.pause,
								(refusal->retry_after < 0 ? now : refusal->came) + wait);
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
	int			count = graph_budget_count(budget, begin - 1) - 1;

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
	int			fresh = budget->fresh[budget->trouble.reads];

	/*
	 * Many like that were taken since the last one, and about as many before
	 * it: a limit, of a short time, and no chance.  A session alone would be
	 * slow for minutes if it is none.
	 */
	if (budget->together && is_short && fresh >= ENOUGH &&
		fresh < budget->fresh_before * SIMILAR &&
		fresh * SIMILAR > budget->fresh_before &&
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
	budget->fresh_before = fresh;
	budget->trouble.since = 0;
	budget->trouble.probe = -1;
	if (budget->window != 0 && !budget->together)
		budget->next = now + (GraphTime) (budget->window / budget->allowed *
										  (0.7 + 0.6 * graph_budget_chance()));
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
graph_budget_take(GraphBudget *budget, int place, const GraphTried *request)
{
	GraphTime	now = graph_now();

	graph_budget_leave(budget, place);
	budget->taken = now;
	budget->taken_sent = Max(budget->taken_sent, request->at);
	budget->fresh[request->reads] += !request->again;
	if (budget->trouble.since != 0)
	{
		if (request->at >= budget->trouble.since)
			learn(budget, now);
	}
	else if (budget->window != 0)
		grow(budget, now);
	if (budget->counts.refusals > 0)
		budget->concurrency = Min(budget->concurrency + CONCURRENCY_GROWTH,
								  MOST_CONCURRENCY);
	else if (budget->concurrency < GRAPH_BUDGET_PLACES)
		budget->concurrency += budget->counts.requests < UNLIMITED_AFTER ?
			CONCURRENCY_GROWTH : 1;
}
