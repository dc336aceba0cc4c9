/*-------------------------------------------------------------------------
 *
 * stats.c
 *		How much has this backend asked of each server, and when may it ask again?
 *
 * Counters since the backend began, one row a server in graph_fdw_stats(),
 * the times of the last minute's requests, by which the option
 * requests_per_minute is kept, and what the service's clock shows, by which
 * copies know how far they are.
 *
 * A server is known by its OID, so that the counts go on when it is renamed;
 * its name is looked up when they are shown.
 *
 * What this file refuses to know: what is asked, and the server's options.
 *
 * IDENTIFICATION
 *		src/base/stats.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/graph_base.h"

/* A server, as this backend sees it. */
typedef struct StatsEntry
{
	GraphStats	stats;			/* begins with the hash key */

	/* when the last requests were sent: a ring of requests_per_minute times */
	GraphTime  *sent;
	int			ring_size;
	int			oldest;
} StatsEntry;

static HTAB *stats_by_server = NULL;

PG_FUNCTION_INFO_V1(graph_fdw_stats);
PG_FUNCTION_INFO_V1(graph_fdw_clock_ahead);

/*
 * graph_stats
 *		The counters of a server; they stay where they are.
 */
GraphStats *
graph_stats(Oid serverid)
{
	StatsEntry *entry;
	bool		found;

	if (stats_by_server == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(StatsEntry);
		stats_by_server = hash_create("graph_fdw servers", 16, &ctl,
									  HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(stats_by_server, &serverid, HASH_ENTER, &found);
	if (!found)
	{
		memset(entry, 0, sizeof(StatsEntry));
		entry->stats.serverid = serverid;
	}
	return &entry->stats;
}

/*
 * set_ring
 *		Have a ring for so many times; when the number changes, what was sent
 *		before is forgotten.
 */
static void
set_ring(StatsEntry *entry, int size)
{
	if (entry->ring_size == size)
		return;
	if (entry->sent)
		pfree(entry->sent);
	entry->sent = NULL;			/* should there be no memory */
	entry->ring_size = 0;
	entry->sent = MemoryContextAllocZero(TopMemoryContext,
										 size * sizeof(GraphTime));
	entry->ring_size = size;
	entry->oldest = 0;
}

/*
 * graph_stats_book
 *		Book one more request under a limit of so many a minute.
 *
 * Returns 0 if it may be sent now; otherwise the time at which it may, and
 * nothing is booked.  A limit of 0 is none.
 */
GraphTime
graph_stats_book(GraphStats *stats, int per_minute)
{
	StatsEntry *entry = (StatsEntry *) stats;
	GraphTime	now = graph_now();
	GraphTime	allowed;

	if (per_minute <= 0)
		return 0;
	set_ring(entry, per_minute);
	allowed = entry->sent[entry->oldest] + USECS_PER_MINUTE;
	if (entry->sent[entry->oldest] != 0 && allowed > now)
		return allowed;
	entry->sent[entry->oldest] = now;
	entry->oldest = (entry->oldest + 1) % per_minute;
	return 0;
}

/*
 * graph_fdw_stats
 *		SQL: one row for each server that this backend has asked something.
 */
Datum
graph_fdw_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HASH_SEQ_STATUS status;
	StatsEntry *entry;

	InitMaterializedSRF(fcinfo, 0);
	if (stats_by_server == NULL)
		return (Datum) 0;

	hash_seq_init(&status, stats_by_server);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		ForeignServer *server = GetForeignServerExtended(entry->stats.serverid,
														 FSV_MISSING_OK);

		/* version 1.0 of the extension has the first six */
		Datum		values[7];
		bool		isnull[7] = {false};

		if (server == NULL)
			continue;			/* it was dropped */
		values[0] = CStringGetTextDatum(server->servername);
		values[1] = Int64GetDatum((int64) entry->stats.requests);
		values[2] = Int64GetDatum((int64) entry->stats.retries);
		values[3] = Int64GetDatum((int64) entry->stats.throttled);
		values[4] = Int64GetDatum((int64) entry->stats.bytes);
		values[5] = Int64GetDatum((int64) entry->stats.records);
		values[6] = Int64GetDatum((int64) entry->stats.writes);
		tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
	}
	return (Datum) 0;
}

/*
 * graph_stats_clock
 *		An answer says what the service's clock showed, in seconds since 1970;
 *		0 if it does not say.
 *
 * Whole seconds, and the way here took a while as well: it is never thought to
 * be further than it is.
 */
void
graph_stats_clock(GraphStats *stats, int64 seconds)
{
	if (seconds <= 0)
		return;
	stats->clock_ahead = time_t_to_timestamptz((pg_time_t) seconds) -
		GetCurrentTimestamp();
	stats->clock_known = true;
}

/*
 * graph_fdw_clock_ahead
 *		SQL: how far the service's clock is ahead of ours at least, by its last
 *		answer in this session; NULL if that is not known.
 */
Datum
graph_fdw_clock_ahead(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid			serverid = get_foreign_server_oid(name, true);
	GraphStats *stats = OidIsValid(serverid) ? graph_stats(serverid) : NULL;
	Interval   *ahead;

	if (stats == NULL || !stats->clock_known)
		PG_RETURN_NULL();
	ahead = palloc0(sizeof(Interval));
	ahead->time = stats->clock_ahead;
	PG_RETURN_INTERVAL_P(ahead);
}
