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

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/throttle_int.h"

/*
 * A request waits as if it had come so much earlier for each one that its scan
 * has made before; so few alerts that are looked up do not wait for a long list.
 */
#define RANK_STEP	INT64CONST(500000)
#define RANK_STEPS	20

/* A client, as this backend knows it. */
struct GraphThrottle
{
	uint8		key[PG_SHA256_DIGEST_LENGTH];
	GraphBudget *budget;
};

struct GraphTurn
{
	MemoryContextCallback callback;
	GraphThrottle *throttle;
	GraphTime	rank;			/* it waits with this, or 0 */
	GraphTime	sent;			/* it is under way since, or 0 */
	GraphTime	refused_since;	/* it was refused, and not taken since; or 0 */
	int			place;			/* in the budget, or -1 */
};

static HTAB *throttles = NULL;

/*
 * hash_client
 *		The key of a client.  Nothing of what it is made of can be read in it.
 */
static void
hash_client(uint8 * key, const char *origin, const char *client)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);

	if (context == NULL)
		graph_report_out_of_memory();
	if (pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) origin, strlen(origin) + 1) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) client, strlen(client)) < 0 ||
		pg_cryptohash_final(context, key, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute a hash: %s",
			 pg_cryptohash_error(context));
	pg_cryptohash_free(context);
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
	uint8		key[PG_SHA256_DIGEST_LENGTH];
	GraphThrottle *throttle;
	bool		found;

	hash_client(key, origin, client);
	if (throttles == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = PG_SHA256_DIGEST_LENGTH;
		ctl.entrysize = sizeof(GraphThrottle);
		throttles = hash_create("graph_fdw clients", 16, &ctl,
								HASH_ELEM | HASH_BLOBS);
	}
	throttle = hash_search(throttles, key, HASH_ENTER, &found);
	if (!found)
		throttle->budget = NULL;	/* should there be no memory */
	if (throttle->budget == NULL)
	{
		throttle->budget = MemoryContextAlloc(TopMemoryContext,
											  sizeof(GraphBudget));
		graph_budget_init(throttle->budget);
	}
	return throttle;
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
 * graph_turn_ask
 *		May the request be sent?  0 if it is to be sent now; else when to ask
 *		again.
 *
 * before is how many requests were made before for the same purpose; early
 * tells that it is not needed yet.
 */
GraphTime
graph_turn_ask(GraphTurn *turn, uint64 before, bool early)
{
	GraphBudget *budget = turn->throttle->budget;
	GraphTime	when;

	Assert(turn->sent == 0);
	if (turn->rank == 0)
		turn->rank = graph_now() + RANK_STEP * (GraphTime) Min(before, RANK_STEPS);
	if (turn->place < 0)
		turn->place = graph_budget_enter(budget, MyProcPid, turn->rank);
	when = graph_budget_ask(budget, turn->place, turn->rank, early);
	if (when == 0)
		turn->sent = budget->times[budget->ntimes - 1];
	else if (early)
		graph_turn_end(turn);
	return when;
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
		graph_budget_take(turn->throttle->budget, turn->place, turn->sent);
	turn->place = -1;
	turn->rank = turn->sent = turn->refused_since = 0;
}

/*
 * graph_turn_refused
 *		The service has refused the request as one too many; retry_after is what
 *		it asks for in seconds, or -1.  Returns when it may be sent again.
 *
 * Until then no request of the client is sent; but if the service asks for more
 * than anybody waits, those that come next are to find out for themselves.
 */
GraphTime
graph_turn_refused(GraphTurn *turn, const GraphPatience *patience,
				   int retry_after)
{
	bool		too_long = retry_after > patience->timeout / 1000;
	GraphTime	when = graph_budget_refuse(turn->throttle->budget, turn->place,
										   turn->sent, too_long ? -1 : retry_after);

	if (turn->refused_since == 0)
		turn->refused_since = graph_now();
	turn->place = -1;
	turn->sent = 0;
	return when;
}

/*
 * refused_for
 *		For how many milliseconds was no request taken since one was refused?
 */
static int64
refused_for(const GraphTurn *turn)
{
	GraphTime	taken = turn->throttle->budget->taken;

	return (graph_now() - Max(turn->refused_since, taken)) / 1000;
}

/*
 * graph_turn_again
 *		After a refusal: NULL if the request is to be sent again, at the time
 *		that was told; otherwise why not, "" for nothing to say.
 *
 * attempt counts how often the request was sent before.  A refusal counts where
 * the service takes nothing; if it takes others, and where it has taken what was
 * asked before, there are too many at the moment, and it is a matter of time.
 */
const char *
graph_turn_again(const GraphTurn *turn, const GraphPatience *patience,
				 int retry_after, int *attempt, GraphTime when)
{
	bool		crowded = patience->has_begun ||
		turn->throttle->budget->taken > turn->refused_since;
	int64		delay = graph_milliseconds_until(when);
	const char *why = graph_wait_problem(delay, retry_after, patience->timeout);

	if (patience->max_retries == 0)
		return "";
	if (!crowded && *attempt >= patience->max_retries)
		return psprintf("It was tried %d times.", *attempt + 1);
	if (why)
		return why;
	if (refused_for(turn) + delay > patience->timeout)
		return psprintf("For %.0f seconds no request was taken.",
						refused_for(turn) / 1000.0);
	if (!crowded)
		(*attempt)++;
	return NULL;
}

/*
 * graph_turn_lost
 *		The request, if it is under way, was not answered.
 */
void
graph_turn_lost(GraphTurn *turn)
{
	if (turn->sent == 0)
		return;
	graph_budget_leave(turn->throttle->budget, turn->place);
	turn->place = -1;
	turn->rank = turn->sent = 0;
}

/*
 * graph_turn_end
 *		Nothing is wanted any more of the request.
 */
void
graph_turn_end(GraphTurn *turn)
{
	graph_budget_leave(turn->throttle->budget, turn->place);
	turn->place = -1;
	turn->rank = turn->sent = turn->refused_since = 0;
}
