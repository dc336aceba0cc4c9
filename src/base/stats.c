/*-------------------------------------------------------------------------
 *
 * stats.c
 *		How much has this backend asked of each server?
 *
 * Counters since the backend began, one row a server in graph_fdw_stats(), and
 * what the service's clock shows, by which copies know how far they are.
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
#include "utils/timestamp.h"

#include "base/graph_base.h"

/* What this backend has done, and what all have. */
#define OWN_COLUMNS		7
#define SHARED_COLUMNS	5

static HTAB *stats_by_server = NULL;	/* of GraphStats */

PG_FUNCTION_INFO_V1(graph_fdw_stats);
PG_FUNCTION_INFO_V1(graph_fdw_clock_ahead);

/*
 * graph_stats
 *		The counters of a server; they stay where they are.
 */
GraphStats *
graph_stats(Oid serverid)
{
	GraphStats *entry;
	bool		found;

	if (stats_by_server == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(GraphStats);
		stats_by_server = hash_create("graph_fdw servers", 16, &ctl,
									  HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(stats_by_server, &serverid, HASH_ENTER, &found);
	if (!found)
	{
		memset(entry, 0, sizeof(GraphStats));
		entry->serverid = serverid;
	}
	return entry;
}

/*
 * add_shared
 *		The columns of all sessions, if they share what they know.
 */
static void
add_shared(GraphThrottle *throttle, Datum *values, bool *isnull)
{
	GraphThrottleState state;

	memset(isnull, true, SHARED_COLUMNS);
	if (throttle == NULL || !graph_throttle_state(throttle, &state))
		return;
	memset(isnull, false, SHARED_COLUMNS);
	values[0] = Int64GetDatum((int64) state.requests);
	values[1] = Int64GetDatum((int64) state.refusals);
	values[2] = Float8GetDatum(state.waited / 1000.0);
	values[3] = Int32GetDatum(state.waiting);
	values[4] = TimestampTzGetDatum(GetCurrentTimestamp() + state.until - graph_now());
	isnull[4] = state.until == 0;
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
	GraphStats *entry;

	InitMaterializedSRF(fcinfo, 0);
	if (stats_by_server == NULL)
		return (Datum) 0;

	hash_seq_init(&status, stats_by_server);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		ForeignServer *server = GetForeignServerExtended(entry->serverid,
														 FSV_MISSING_OK);

		/* version 1.0 of the extension has the first six */
		Datum		values[OWN_COLUMNS + SHARED_COLUMNS];
		bool		isnull[OWN_COLUMNS + SHARED_COLUMNS] = {false};

		if (server == NULL)
			continue;			/* it was dropped */
		values[0] = CStringGetTextDatum(server->servername);
		values[1] = Int64GetDatum((int64) entry->requests);
		values[2] = Int64GetDatum((int64) entry->retries);
		values[3] = Int64GetDatum((int64) entry->throttled);
		values[4] = Int64GetDatum((int64) entry->bytes);
		values[5] = Int64GetDatum((int64) entry->records);
		values[6] = Int64GetDatum((int64) entry->writes);
		add_shared(entry->throttle, values + OWN_COLUMNS,
				   isnull + OWN_COLUMNS);
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
