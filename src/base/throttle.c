/*-------------------------------------------------------------------------
 *
 * throttle.c
 *		Is it a request's turn, and what if the service refuses it?
 *
 * A service counts the requests of a client, which is an application in a
 * tenant, and refuses those that are too many.  All requests of a client
 * therefore share one budget (budget.c), whichever scan or statement makes them,
 * and each has a turn: it asks whether it may be sent, and tells what became of
 * it.  Nothing waits here: who is told to look again later waits for all that it
 * waits for.
 *
 * Where sessions share memory, the budget is there (shared_budget.c); else each
 * session has its own.
 *
 * A turn belongs to a memory context; when that is reset, it is given up.
 *
 * What this file refuses to know: what is asked, HTTP.
 *
 * IDENTIFICATION
 *		src/base/throttle.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/throttle_int.h"

/*
 * So far do scans differ in what they have got: 0, 1 to 3, 4 to 15 requests, or
 * more.  Who asks for less goes first.
 */
#define MOST_PROGRESS	3

/*
 * A request that was refused so often while others were taken is refused for
 * itself, and not as one too many.
 */
#define MOST_PASSED_OVER	2

/*
 * Where a request of the client was taken within such a time, in microseconds,
 * there are too many at the moment.
 */
#define LATELY	(INT64CONST(60) * 1000000)

/* A client, as this backend knows it. */
struct GraphThrottle
{
	uint8		key[GRAPH_CLIENT_KEY_SIZE];
	GraphBudget *own;			/* used where none can be shared, or NULL */
	bool		shared;			/* the budget that was looked at last was */
	GraphTime	taken;			/* when its last request was taken, */
	GraphTime	pause;			/* until when none is sent, */
	bool		in_trouble;		/* and whether none is taken; as it was then */
};

struct GraphTurn
{
	MemoryContextCallback callback;
	GraphThrottle *throttle;
	GraphTime	since;			/* when it began to wait, the last time */
	int64		waited;			/* microseconds, in all */
	GraphTime	sent;			/* it is under way since, or 0 */
	GraphTime	refused_since;	/* it was refused, and not taken since; or 0, */
	GraphTime	refused_last;	/* for the last time then, */
	int			refused;		/* so often, */
	int			passed_over;	/* and so often while others were taken, */
	int			uncounted;		/* and so often that it is no attempt */
	int			place;			/* in the budget, or -1, */
	bool		in_shared;		/* and is that the shared one? */
	bool		waits;			/* it is one of nwaiting */
	GraphPlace	told;			/* what others are to know of it */
};

static HTAB *throttles = NULL;

/* How many turns of this backend wait. */
static int	nwaiting = 0;

/*
 * hash_client
 *		The key of a client: a number of a fixed size.
 *
 * Not by a function of OpenSSL: the first one that a process calls initializes
 * it, which is never tried again if there was no memory for it.
 */
static void
hash_client(uint8 * key, const char *origin, const char *client)
{
	char	   *text = psprintf("%s %s", origin, client);

	for (int i = 0; i < GRAPH_CLIENT_KEY_SIZE / (int) sizeof(uint64); i++)
	{
		uint64		hash = hash_bytes_extended((const unsigned char *) text,
											   strlen(text), i);

		memcpy(key + i * sizeof(hash), &hash, sizeof(hash));
	}
	pfree(text);
}

/*
 * graph_throttle_find
 *		What is shared by all requests of a client to a service.  It stays where
 *		it is.
 *
 * client is anything that tells it from others, and no secret.
 */
GraphThrottle *
graph_throttle_find(const char *origin, const char *client)
{
	uint8		key[GRAPH_CLIENT_KEY_SIZE];
	GraphThrottle *throttle;
	bool		found;

	hash_client(key, origin, client);
	if (throttles == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = GRAPH_CLIENT_KEY_SIZE;
		ctl.entrysize = sizeof(GraphThrottle);
		throttles = hash_create("graph_fdw clients", 16, &ctl,
								HASH_ELEM | HASH_BLOBS);
	}
	throttle = hash_search(throttles, key, HASH_ENTER, &found);
	if (!found)
	{
		throttle->own = NULL;	/* should there be no memory */
		throttle->shared = false;
		throttle->taken = throttle->pause = 0;
		throttle->in_trouble = false;
	}
	if (throttle->own == NULL)
	{
		throttle->own = MemoryContextAlloc(TopMemoryContext,
										   sizeof(GraphBudget));
		graph_budget_init(throttle->own, false);
	}
	return throttle;
}

/*
 * open_budget
 *		The budget of a client, which nobody else changes until it is closed.
 *		Until then nothing may throw.
 *
 * As long as a request has a place in one, that is the one.
 */
static GraphBudget *
open_budget(GraphThrottle *throttle, const GraphTurn *turn)
{
	GraphBudget *budget = NULL;

	if (turn->place < 0 || turn->in_shared)
		budget = graph_shared_budget(throttle->key);
	throttle->shared = budget != NULL;
	return budget ? budget : throttle->own;
}

/*
 * close_budget
 *		Let others have it.
 */
static void
close_budget(GraphThrottle *throttle, const GraphBudget *budget)
{
	throttle->taken = budget->taken;
	throttle->pause = budget->trouble.pause;
	throttle->in_trouble = budget->trouble.since != 0;
	if (throttle->shared)
		graph_shared_unlock();
}

/*
 * is_mine
 *		Is the place of a turn still its own?  At the end of a session all are
 *		given up at once.
 */
static bool
is_mine(const GraphBudget *budget, const GraphTurn *turn)
{
	return turn->place >= 0 && budget->places[turn->place].pid == MyProcPid;
}

/*
 * graph_throttle_state
 *		What all sessions have done with the budget of a client; false if they do
 *		not share it.
 */
bool
graph_throttle_state(GraphThrottle *throttle, GraphThrottleState *state)
{
	GraphBudget *budget = graph_shared_budget(throttle->key);

	if (budget == NULL)
		return false;
	state->requests = budget->counts.requests;
	state->refusals = budget->counts.refusals;
	state->waited = budget->counts.waited;
	state->waiting = graph_budget_waiting(budget);
	state->until = budget->trouble.pause > graph_now() ? budget->trouble.pause : 0;
	graph_shared_unlock();
	return true;
}

/*
 * set_waiting
 *		Does a turn wait?
 */
static void
set_waiting(GraphTurn *turn, bool waits)
{
	nwaiting += (int) waits - (int) turn->waits;
	turn->waits = waits;
}

/*
 * graph_turns_waiting
 *		How many requests of this backend wait for their turn?
 */
int
graph_turns_waiting(void)
{
	return nwaiting;
}

/*
 * give_up
 *		Reset callback of a turn.
 */
static void
give_up(void *arg)
{
	graph_turn_end(arg);
}

/*
 * graph_turn_create
 *		A turn of a request that is not wanted yet.
 */
GraphTurn *
graph_turn_create(MemoryContext owner, GraphThrottle *throttle)
{
	GraphTurn  *turn = MemoryContextAllocZero(owner, sizeof(GraphTurn));

	turn->throttle = throttle;
	turn->place = -1;
	turn->callback.func = give_up;
	turn->callback.arg = turn;
	MemoryContextRegisterResetCallback(owner, &turn->callback);
	return turn;
}

/*
 * leave
 *		Give up the place of a turn, if it has one.
 */
static void
leave(GraphTurn *turn)
{
	if (turn->place >= 0)
	{
		GraphBudget *budget = open_budget(turn->throttle, turn);

		if (is_mine(budget, turn))
			graph_budget_leave(budget, turn->place);
		close_budget(turn->throttle, budget);
	}
	turn->place = -1;
	turn->sent = 0;
	set_waiting(turn, false);
}

/*
 * progress_of
 *		How far has a scan got that has made so many requests?
 */
static int
progress_of(uint64 before)
{
	int			result = 0;

	for (; before > 0 && result < MOST_PROGRESS; before /= 4)
		result++;
	return result;
}

/*
 * make_place
 *		What others are to know of a request that waits.
 */
static GraphPlace
make_place(const GraphTurn *turn, const GraphWish *wish)
{
	GraphPlace	place = {
		.pid = MyProcPid,
		.progress = progress_of(wish->before),
		.refused = turn->refused,
		.since = turn->since,
		.per_minute = wish->per_minute,
		.userid = wish->userid,
		.databaseid = MyDatabaseId,
		.page = wish->page,
	};

	snprintf(place.what, GRAPH_WHAT_SIZE, "%s %s", wish->method, wish->resource);
	return place;
}

/*
 * graph_turn_ask
 *		May the request be sent?  0 if it is to be sent now; else when to ask
 *		again.
 */
GraphTime
graph_turn_ask(GraphTurn *turn, const GraphWish *wish)
{
	GraphTime	now = graph_now();
	GraphBudget *budget;
	GraphTime	when;

	Assert(turn->sent == 0);
	if (!turn->waits)
		turn->since = now;
	turn->told = make_place(turn, wish);
	budget = open_budget(turn->throttle, turn);
	if (turn->place < 0)
		turn->place = graph_budget_enter(budget, &turn->told);
	turn->in_shared = turn->throttle->shared;
	when = graph_budget_ask(budget, turn->place, wish);
	if (when == 0)
	{
		turn->sent = budget->times[budget->ntimes - 1];
		turn->waited += turn->sent - turn->since;
		budget->counts.waited += turn->sent - turn->since;
	}
	close_budget(turn->throttle, budget);
	set_waiting(turn, when != 0);
	if (when != 0 && wish->early)
		graph_turn_end(turn);
	return when;
}

/*
 * refused_for
 *		For how many milliseconds was no request taken since one was refused, or
 *		since this one waits for those that are?
 */
static int64
refused_for(const GraphTurn *turn)
{
	GraphTime	since = turn->refused_since ? turn->refused_since : turn->since;

	return (graph_now() - Max(since, turn->throttle->taken)) / 1000;
}

/*
 * no_request_taken
 *		The sentence that says so.
 */
static const char *
no_request_taken(const GraphTurn *turn)
{
	return psprintf("For %.0f seconds no request was taken.",
					refused_for(turn) / 1000.0);
}

/*
 * graph_turn_problem
 *		Why it makes no sense to wait until a time that was told, as a sentence;
 *		NULL if it does.
 *
 * Only in a pause that the service has asked for is it known that nothing is
 * sent before.  Those who wait for what another one finds out are as patient as
 * if they asked themselves, for so many milliseconds.
 */
const char *
graph_turn_problem(const GraphTurn *turn, GraphTime when, int timeout)
{
	int64		delay = graph_milliseconds_until(turn->throttle->pause);

	if (turn->throttle->in_trouble && delay > timeout)
		return graph_wait_problem(delay, (int) Min((delay + 999) / 1000, INT_MAX),
								  timeout);
	if (turn->throttle->in_trouble && refused_for(turn) > timeout)
		return no_request_taken(turn);
	if (when > turn->throttle->pause)
		return NULL;
	return graph_wait_problem(graph_milliseconds_until(when), -1, 0);
}

/*
 * graph_turn_waited
 *		For how many microseconds has it waited for its turns, in all?
 */
int64
graph_turn_waited(const GraphTurn *turn)
{
	return turn->waited;
}

/*
 * describe_tried
 *		The request that is under way.
 */
static GraphTried
describe_tried(const GraphTurn *turn)
{
	GraphTried	result = {
		.at = turn->sent,
		.again = turn->refused_since != 0,
		.reads = strncmp(turn->told.what, "GET ", 4) == 0,
	};

	return result;
}

/*
 * graph_turn_taken
 *		The service has answered the request, be it with an error of another
 *		kind.
 */
void
graph_turn_taken(GraphTurn *turn)
{
	if (turn->sent != 0)
	{
		const GraphTried tried = describe_tried(turn);
		GraphBudget *budget = open_budget(turn->throttle, turn);

		graph_budget_take(budget, is_mine(budget, turn) ? turn->place : -1,
						  &tried);
		close_budget(turn->throttle, budget);
	}
	turn->place = -1;
	turn->sent = turn->refused_since = 0;
	turn->refused = turn->passed_over = turn->uncounted = 0;
}

/*
 * wait_refused
 *		A request that was refused goes on waiting.  Returns when it may be sent
 *		again.
 *
 * Until then no request of the client is sent; but if the service asks for more
 * than anybody waits, those that come next are to find out for themselves.  If it
 * is refused for itself, only this one waits.
 */
static GraphTime
wait_refused(GraphTurn *turn, const GraphPatience *patience,
			 const GraphHttpHeader *header)
{
	bool		too_long = header->retry_after > patience->timeout / 1000;
	GraphBudget *budget = open_budget(turn->throttle, turn);
	GraphRefusal refusal = {
		.request = describe_tried(turn),
		.came = Max(header->came, turn->sent),
		.retry_after = too_long ? -1 : header->retry_after,
	};
	GraphTime	when;

	turn->passed_over += refusal.request.again && budget->taken > turn->refused_last;
	refusal.for_itself = Max(turn->passed_over - MOST_PASSED_OVER, 0);
	when = graph_budget_refuse(budget, is_mine(budget, turn) ? turn->place : -1,
							   &refusal);

	/* it goes on waiting, and is seen to; alone, it holds nobody up */
	turn->since = turn->told.since = turn->refused_last = graph_now();
	turn->told.refused = ++turn->refused;
	turn->told.due = when > budget->trouble.pause ? 0 : when;
	turn->place = graph_budget_enter(budget, &turn->told);
	turn->in_shared = turn->throttle->shared;
	close_budget(turn->throttle, budget);
	if (turn->refused_since == 0)
		turn->refused_since = turn->since;
	turn->sent = 0;
	set_waiting(turn, true);
	return when;
}

/*
 * forget_pause
 *		A query is given up, and the service has not asked for a pause: the next
 *		of this session begins anew.  Where others wait, they go on with it.
 */
static void
forget_pause(GraphTurn *turn, int retry_after)
{
	GraphBudget *budget = open_budget(turn->throttle, turn);

	if (!turn->throttle->shared && retry_after < 0)
	{
		budget->trouble.pause = 0;
		budget->trouble.probes = 0;
	}
	close_budget(turn->throttle, budget);
}

/*
 * why_not_again
 *		After a refusal: NULL if the request is to be sent again, at the time
 *		that was told; otherwise why not, "" for nothing to say.
 *
 * attempt counts how often the request was sent before.  A refusal counts where
 * the service takes nothing; if it takes others, and where it has taken what was
 * asked before, there are too many at the moment, and it is a matter of time.
 * Where all share a budget, so it is if it has taken any in the last minute; and
 * somebody looks more often than one that is alone would: without Retry-After it
 * is given up no sooner for that.
 */
static const char *
why_not_again(GraphTurn *turn, const GraphPatience *patience,
			  int retry_after, int *attempt, GraphTime when)
{
	bool		crowded = patience->has_begun ||
		turn->throttle->taken > turn->refused_since ||
		(turn->throttle->shared && turn->throttle->taken != 0 &&
		 graph_now() - turn->throttle->taken < LATELY);
	int64		delay = graph_milliseconds_until(when);
	const char *why = graph_wait_problem(delay, retry_after, patience->timeout);

	if (patience->max_retries == 0)
		return "";
	if (!crowded && *attempt >= patience->max_retries &&
		(retry_after >= 0 || !turn->throttle->shared ||
		 refused_for(turn) >= graph_refusal_patience(patience->max_retries)))
		return psprintf("It was tried %d times.", *attempt + turn->uncounted + 1);
	if (why)
		return why;
	if (turn->passed_over > MOST_PASSED_OVER)
		return (graph_now() - turn->refused_since) / 1000 + delay > patience->timeout ?
			psprintf("It was refused %d times, while others were taken.", turn->refused) :
			NULL;
	if (refused_for(turn) + delay > patience->timeout)
		return no_request_taken(turn);
	if (crowded)
		turn->uncounted++;
	else
		(*attempt)++;
	return NULL;
}

/*
 * graph_turn_refused
 *		The service has refused the request as one too many, with an answer of
 *		that header.  NULL if it is to be sent again, at *when; otherwise why
 *		not, "" for nothing to say.
 */
const char *
graph_turn_refused(GraphTurn *turn, const GraphPatience *patience,
				   const GraphHttpHeader *header, int *attempt, GraphTime *when)
{
	const char *why;

	*when = wait_refused(turn, patience, header);
	why = why_not_again(turn, patience, header->retry_after, attempt, *when);
	if (why)
		forget_pause(turn, header->retry_after);
	return why;
}

/*
 * graph_turn_lost
 *		The request, if it is under way, was not answered.
 */
void
graph_turn_lost(GraphTurn *turn)
{
	if (turn->sent != 0)
		leave(turn);
}

/*
 * graph_turn_end
 *		Nothing is wanted any more of the request.
 */
void
graph_turn_end(GraphTurn *turn)
{
	leave(turn);
	turn->refused_since = 0;
	turn->refused = turn->passed_over = turn->uncounted = 0;
}
