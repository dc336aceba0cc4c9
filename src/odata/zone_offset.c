/*-------------------------------------------------------------------------
 *
 * zone_offset.c
 *		Which times in UTC may a local time be, and the other way round?
 *
 * Where a time zone changes its offset, local times repeat or are left out,
 * and whole days were.  A range of one kind of time is turned into one of the
 * other that has at least all that PostgreSQL's conversions map into it: its
 * bounds are moved by the largest or the smallest offset that the zone has
 * close to them.  Where no change is close, that is exact.
 *
 * A zone is a name, an abbreviation or a fixed offset, as AT TIME ZONE takes
 * it.  A name that is none raises no error here.
 *
 * What this file refuses to know: clauses, units, what a range is for.
 *
 * IDENTIFICATION
 *		src/odata/zone_offset.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "parser/scansup.h"
#include "pgtime.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "odata/graph_odata.h"

/* No zone is further from UTC: a POSIX zone may say 167 hours. */
#define LARGEST_OFFSET	(168 * SECS_PER_HOUR)

/*
 * So often a range of offsets is narrowed to those that zones have within it.
 */
#define NARROWINGS	3

/* Between the epochs of PostgreSQL and of Unix. */
#define EPOCH_SECONDS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

struct GraphZone
{
	pg_tz	   *tz;				/* NULL: a fixed offset */
	int			offset;			/* the fixed one: seconds east of UTC */
	char	   *abbreviation;	/* of which tz knows the meaning; or NULL */
};

/* Offsets in seconds east of UTC. */
typedef struct Offsets
{
	int64		least;
	int64		most;
} Offsets;

/*
 * graph_zone_fixed
 *		A zone that is so many seconds east of UTC.
 */
GraphZone *
graph_zone_fixed(int offset)
{
	GraphZone  *zone = palloc0(sizeof(GraphZone));

	zone->offset = offset;
	return zone;
}

/*
 * graph_zone_named
 *		The zone that AT TIME ZONE takes a name for; NULL if there is none.
 *
 * An abbreviation may have had several meanings in the history of a zone.
 * AT TIME ZONE looks for one; date_trunc() takes the zone itself, as_zone.
 */
GraphZone *
graph_zone_named(const char *name, bool as_zone)
{
	GraphZone  *zone = graph_zone_fixed(0);
	int			type;

	if (!graph_decode_timezone_abbrev(downcase_truncate_identifier(name, strlen(name),
																   false),
									  &type, &zone->offset, &zone->tz))
		return NULL;
	if (type == TZ || type == DTZ)
		zone->tz = NULL;
	else if (type == DYNTZ)
		zone->abbreviation = as_zone ? NULL : pstrdup(name);
	else
	{
		/* where leap seconds are counted, an offset is not all that differs */
		zone->tz = pg_tzset(name);
		if (zone->tz == NULL || !pg_tz_acceptable(zone->tz))
			return NULL;
	}
	return zone;
}

/*
 * graph_zone_of_session
 *		The zone in which a timestamptz is shown.
 */
GraphZone *
graph_zone_of_session(void)
{
	GraphZone  *zone = graph_zone_fixed(0);

	zone->tz = session_timezone;
	return zone;
}

/*
 * include
 *		One more offset.
 */
static void
include(Offsets *offsets, int64 offset)
{
	offsets->least = Min(offsets->least, offset);
	offsets->most = Max(offsets->most, offset);
}

/*
 * offset_at
 *		The offset of a zone at a time, in seconds of Unix.
 */
static int64
offset_at(const GraphZone *zone, pg_time_t time)
{
	struct pg_tm *tm;
	int			isdst;

	if (zone->abbreviation)
		return -DetermineTimeZoneAbbrevOffsetTS((time - EPOCH_SECONDS) * USECS_PER_SEC,
												zone->abbreviation, zone->tz,
												&isdst);
	tm = pg_localtime(&time, zone->tz);
	return tm ? tm->tm_gmtoff : 0;
}

/*
 * offsets_between
 *		The offsets that a zone has from one time to another.
 *
 * What is looked up for a local time goes by what comes before and after a
 * change of offset, which need not be what is looked up for a time at the very
 * beginning of a zone's history.  So both are in.
 */
static Offsets
offsets_between(const GraphZone *zone, pg_time_t from, pg_time_t to)
{
	int64		first = offset_at(zone, from);
	Offsets		result = {first, first};

	include(&result, offset_at(zone, to));
	for (pg_time_t at = from;;)
	{
		long int	before;
		long int	after;
		int			is_dst;
		pg_time_t	change;
		int			found = pg_next_dst_boundary(&at, &before, &is_dst, &change,
												 &after, &is_dst, zone->tz);

		if (found < 0)
			return (Offsets) {-LARGEST_OFFSET, LARGEST_OFFSET};
		include(&result, before);
		if (found == 0 || change > to)
			return result;
		include(&result, after);
		include(&result, offset_at(zone, change - 1));
		include(&result, offset_at(zone, change));
		at = change;
	}
}

/*
 * seconds_of
 *		A time in seconds of Unix, rounded down.
 */
static pg_time_t
seconds_of(TimestampTz time)
{
	int64		seconds = time / USECS_PER_SEC;

	return seconds - (time % USECS_PER_SEC < 0) + EPOCH_SECONDS;
}

/*
 * offsets_of_local
 *		The offsets by which times in UTC may be further than this local time.
 *
 * Where the offsets are within some bounds, only the times between
 * local - most and local - least are in question, and so only the offsets
 * that the zone has there.
 */
static Offsets
offsets_of_local(const GraphZone *zone, Timestamp local)
{
	pg_time_t	seconds = seconds_of(local);
	Offsets		result = {-LARGEST_OFFSET, LARGEST_OFFSET};

	if (zone->tz == NULL)
		return (Offsets) {zone->offset, zone->offset};
	for (int i = 0; i < NARROWINGS; i++)
		result = offsets_between(zone, seconds - result.most - 1,
								 seconds - result.least + 1);
	return result;
}

/*
 * offsets_of_utc
 *		The offsets by which local times may be further than this one in UTC.
 *
 * PostgreSQL goes by the first change of offset that is not earlier than a day
 * before the local time, taken for one in UTC, and by the offsets at both sides
 * of it.
 */
static Offsets
offsets_of_utc(const GraphZone *zone, TimestampTz utc)
{
	pg_time_t	seconds = seconds_of(utc);
	Offsets		result = {-LARGEST_OFFSET, LARGEST_OFFSET};

	if (zone->tz == NULL)
		return (Offsets) {zone->offset, zone->offset};
	for (int i = 0; i < NARROWINGS; i++)
		result = offsets_between(zone,
								 seconds + result.least - SECS_PER_DAY - 1,
								 seconds + result.most - result.least + 1);
	return result;
}

/*
 * graph_utc_of_local
 *		Turn a range of local times into the times in UTC that may be shown as
 *		one of them.
 */
void
graph_utc_of_local(const GraphZone *zone, GraphTimeRange *range)
{
	if (!TIMESTAMP_NOT_FINITE(range->lower))
		range->lower -= offsets_of_local(zone, range->lower).most * USECS_PER_SEC;
	if (!TIMESTAMP_NOT_FINITE(range->upper))
		range->upper -= offsets_of_local(zone, range->upper).least * USECS_PER_SEC;
}

/*
 * graph_local_of_utc
 *		Turn a range of times in UTC into the local times that may be read as
 *		one of them.
 */
void
graph_local_of_utc(const GraphZone *zone, GraphTimeRange *range)
{
	if (!TIMESTAMP_NOT_FINITE(range->lower))
		range->lower += offsets_of_utc(zone, range->lower).least * USECS_PER_SEC;
	if (!TIMESTAMP_NOT_FINITE(range->upper))
		range->upper += offsets_of_utc(zone, range->upper).most * USECS_PER_SEC;
}

/*
 * graph_zone_offset_near
 *		The offset in microseconds that a zone has for two hours before and after
 *		a time; false if it has several.
 */
bool
graph_zone_offset_near(const GraphZone *zone, TimestampTz utc, int64 *offset)
{
	pg_time_t	seconds = seconds_of(utc);
	Offsets		offsets = {zone->offset, zone->offset};

	if (zone->tz)
		offsets = offsets_between(zone, seconds - 2 * SECS_PER_HOUR - 1,
								  seconds + 2 * SECS_PER_HOUR + 1);
	*offset = offsets.least * USECS_PER_SEC;
	return offsets.least == offsets.most;
}
