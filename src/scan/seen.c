/*-------------------------------------------------------------------------
 *
 * seen.c
 *		Which alerts have come before?
 *
 * New alerts push a list down, links break, windows of time meet: so alerts
 * come again, and each is to be given once.  They are remembered by two
 * independent hashes of their ids (2^64 alerts to one wrong match), with the
 * chain that had them last, so that a chain can count its own.
 *
 * The memory does not grow with the list: there are two generations, and when
 * the newer one is full the older one is forgotten.  Not so what a chain that
 * is still read may meet again: its page may break and be asked for again
 * after other chains have given a lot.
 *
 * What this file refuses to know: times, windows, requests.
 *
 * IDENTIFICATION
 *		src/scan/seen.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"

#include "scan/scan_int.h"

/*
 * Ids in a generation, of some 50 bytes each.  A page holds a tenth of that at
 * most, and what comes twice comes within a few pages.  Of a list that may
 * have to be read again all ids are needed, as far as memory goes.
 */
#define GENERATION_SIZE		10000
#define LARGE_GENERATION	500000

/* One alert; the hashes are its key. */
typedef struct SeenAlert
{
	uint64		hash[2];
	uint32		chain;			/* that had it last, */
	uint16		worker;			/* and whose that was */
	bool		given;			/* handed out */
	bool		kept;			/* never forgotten */
	bool		early;			/* given before its turn, and not found since */
} SeenAlert;

struct GraphSeen
{
	MemoryContext context;
	HTAB	   *recent;			/* of SeenAlert */
	HTAB	   *older;			/* the generation before, or NULL */
	SeenAlert  *at_hand;		/* the one that was noted last */
	uint32		chains;			/* how many have begun */
	int			workers;
	uint32	   *chain_of;		/* for each worker: its chain, */
	uint32	   *keep_from;		/* and the first of whose alerts none is
								 * forgotten */
	bool	   *released;		/* but for those of its chain itself */
	bool		has_forgotten;	/* what was given */
};

/*
 * create_generation
 *		An empty set of alerts.
 */
static HTAB *
create_generation(const GraphSeen *seen)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(uint64) * 2;
	ctl.entrysize = sizeof(SeenAlert);
	ctl.hcxt = seen->context;
	return hash_create("graph_fdw alerts", 256, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * graph_seen_create
 *		No alert has come; chains are read by so many workers.
 */
GraphSeen *
graph_seen_create(MemoryContext context, int workers)
{
	GraphSeen  *seen = MemoryContextAllocZero(context, sizeof(GraphSeen));

	seen->context = context;
	seen->workers = workers;
	seen->chain_of = MemoryContextAllocZero(context, workers * sizeof(uint32));
	seen->keep_from = MemoryContextAllocZero(context, workers * sizeof(uint32));
	seen->released = MemoryContextAllocZero(context, workers * sizeof(bool));
	return seen;
}

/*
 * graph_seen_reset
 *		Forget everything.
 */
void
graph_seen_reset(GraphSeen *seen)
{
	if (seen->recent)
		hash_destroy(seen->recent);
	if (seen->older)
		hash_destroy(seen->older);
	seen->recent = seen->older = NULL;
	seen->at_hand = NULL;
	seen->has_forgotten = false;
}

/*
 * graph_seen_begin
 *		The number of a new chain of a worker.
 *
 * What the worker's chains from keep_from on have had is remembered as long as
 * this one is read; 0 for nothing but its own.
 */
uint32
graph_seen_begin(GraphSeen *seen, int worker, uint32 keep_from)
{
	Assert(worker < seen->workers);
	seen->chain_of[worker] = ++seen->chains;
	seen->keep_from[worker] = keep_from == 0 ? seen->chains : keep_from;
	seen->released[worker] = false;
	return seen->chains;
}

/*
 * graph_seen_release
 *		The worker's chain goes on to another page: what it has had may be
 *		forgotten like anything else.
 */
void
graph_seen_release(GraphSeen *seen, int worker)
{
	seen->released[worker] = true;
}

/*
 * turn_generation
 *		What came so far is the older generation from now on; of the one before
 *		only what must be remembered goes on.
 */
static void
turn_generation(GraphSeen *seen)
{
	HASH_SEQ_STATUS status;
	SeenAlert  *alert;

	if (seen->older)
	{
		hash_seq_init(&status, seen->older);
		while ((alert = hash_seq_search(&status)) != NULL)
		{
			bool		keep = alert->kept ||
				(alert->chain >= seen->keep_from[alert->worker] &&
				 !(seen->released[alert->worker] &&
				   alert->chain == seen->chain_of[alert->worker]));

			if (keep)
				*(SeenAlert *) hash_search(seen->recent, alert->hash,
										   HASH_ENTER, NULL) = *alert;
			seen->has_forgotten |= !keep && alert->given;
		}
		hash_destroy(seen->older);
	}
	seen->older = seen->recent;
	seen->recent = create_generation(seen);
}

/*
 * graph_seen_note
 *		An alert has come in the worker's chain: note that, and tell whether it
 *		was given before; *again is set if the chain itself had it.
 *
 * It is the alert at hand for the functions below, until the next one.
 */
bool
graph_seen_note(GraphSeen *seen, GraphSlice id, int worker, bool remember_all,
				bool *again)
{
	const unsigned char *data = (const unsigned char *) id.data;
	long		most = remember_all ? LARGE_GENERATION : GENERATION_SIZE;
	SeenAlert  *alert;
	uint64		hash[2];

	hash[0] = hash_bytes_extended(data, id.len, 0);
	hash[1] = hash_bytes_extended(data, id.len, 1);
	if (seen->recent == NULL)
		seen->recent = create_generation(seen);
	alert = hash_search(seen->recent, hash, HASH_FIND, NULL);
	if (alert == NULL && seen->older)
		alert = hash_search(seen->older, hash, HASH_FIND, NULL);
	if (alert == NULL)
	{
		if (hash_get_num_entries(seen->recent) >= most)
			turn_generation(seen);
		alert = hash_search(seen->recent, hash, HASH_ENTER, NULL);
		alert->chain = 0;
		alert->given = alert->kept = alert->early = false;
	}
	*again = alert->chain == seen->chain_of[worker];
	alert->chain = seen->chain_of[worker];
	alert->worker = worker;
	seen->at_hand = alert;
	return alert->given;
}

/*
 * graph_seen_hash
 *		A number for the alert at hand.
 */
uint64
graph_seen_hash(const GraphSeen *seen)
{
	return seen->at_hand->hash[0];
}

/*
 * graph_seen_give
 *		The alert at hand is handed out.
 */
void
graph_seen_give(GraphSeen *seen)
{
	seen->at_hand->given = true;
}

/*
 * graph_seen_find
 *		The alert at hand is found in its place; true if it was given before that
 *		was due, and this is the first time that it is found.
 */
bool
graph_seen_find(GraphSeen *seen)
{
	bool		early = seen->at_hand->early;

	seen->at_hand->early = false;
	return early;
}

/*
 * mark_all
 *		Of all alerts, those that the worker's chain has had are never forgotten;
 *		or (adopt) those that are never forgotten become the chain's.
 */
static void
mark_all(GraphSeen *seen, int worker, bool adopt, bool early)
{
	HTAB	   *generations[] = {seen->recent, seen->older};
	uint32		chain = seen->chain_of[worker];

	for (size_t i = 0; i < lengthof(generations); i++)
	{
		HASH_SEQ_STATUS status;
		SeenAlert  *alert;

		if (generations[i] == NULL)
			continue;
		hash_seq_init(&status, generations[i]);
		while ((alert = hash_seq_search(&status)) != NULL)
		{
			if (adopt ? !alert->kept : alert->chain != chain)
				continue;
			alert->kept = true;
			alert->early |= early;
			alert->chain = chain;
			alert->worker = worker;
		}
	}
}

/*
 * graph_seen_keep
 *		What the worker's chain has had is never forgotten; early tells that it was
 *		given before its turn.
 */
void
graph_seen_keep(GraphSeen *seen, int worker, bool early)
{
	mark_all(seen, worker, false, early);
}

/*
 * graph_seen_adopt
 *		The worker's chain goes on after those that are never forgotten.
 */
void
graph_seen_adopt(GraphSeen *seen, int worker)
{
	mark_all(seen, worker, true, false);
}

/*
 * graph_seen_has_forgotten
 *		May an alert that was given come again without being known?
 */
bool
graph_seen_has_forgotten(const GraphSeen *seen)
{
	return seen->has_forgotten;
}
