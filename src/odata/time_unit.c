/*-------------------------------------------------------------------------
 *
 * time_unit.c
 *		Which times come to a range when they are cut down to a unit?
 *
 * date_trunc() gives the beginning of the unit that a time is in, so a range
 * holds the units that begin in it, each to its end.  From days on that goes by
 * local time; what is shorter is cut down without a change of the zone's offset.
 * The ends of units are asked of PostgreSQL's own functions.
 *
 * Assumed: bounds are well within what PostgreSQL can have (time_range.c), so
 * that nothing here fails.
 *
 * What this file refuses to know: clauses, what a range is for.
 *
 * IDENTIFICATION
 *		src/odata/time_unit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "odata/graph_odata.h"

/*
 * graph_set_unbounded
 *		All times.
 */
void
graph_set_unbounded(GraphTimeRange *range)
{
	TIMESTAMP_NOBEGIN(range->lower);
	TIMESTAMP_NOEND(range->upper);
}

/*
 * graph_decode_unit
 *		The number of a unit that a function takes; -1 if there is none.
 */
int
graph_decode_unit(const GraphValue *value)
{
	char	   *name = TextDatumGetCString(value->value);
	int			unit;

	name = downcase_truncate_identifier(name, strlen(name), false);
	if (strcmp(name, "epoch") == 0)
		return DTK_EPOCH;
	return DecodeUnits(0, name, &unit) == UNITS ? unit : -1;
}

/*
 * unit_length
 *		How long a unit is; false if nothing is cut down to one.
 */
static bool
unit_length(int unit, Interval * length)
{
	static const struct
	{
		int			unit;
		Interval	length;
	}			units[] = {
		{DTK_MICROSEC, {1, 0, 0}},
		{DTK_MILLISEC, {1000, 0, 0}},
		{DTK_SECOND, {USECS_PER_SEC, 0, 0}},
		{DTK_MINUTE, {USECS_PER_MINUTE, 0, 0}},
		{DTK_HOUR, {USECS_PER_HOUR, 0, 0}},
		{DTK_DAY, {0, 1, 0}},
		{DTK_WEEK, {0, 7, 0}},
		{DTK_MONTH, {0, 0, 1}},
		{DTK_QUARTER, {0, 0, 3}},
		{DTK_YEAR, {0, 0, MONTHS_PER_YEAR}},
		{DTK_DECADE, {0, 0, 10 * MONTHS_PER_YEAR}},
		{DTK_CENTURY, {0, 0, 100 * MONTHS_PER_YEAR}},
		{DTK_MILLENNIUM, {0, 0, 1000 * MONTHS_PER_YEAR}},
	};

	for (size_t i = 0; i < lengthof(units); i++)
	{
		if (units[i].unit != unit)
			continue;
		*length = units[i].length;
		return true;
	}
	return false;
}

/*
 * unit_end
 *		The end of the unit that a time is in.
 */
static Timestamp
unit_end(Datum unit, Interval * length, Timestamp time)
{
	Datum		start = DirectFunctionCall2(timestamp_trunc, unit,
											TimestampGetDatum(time));

	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval, start,
												 IntervalPGetDatum(length)));
}

/*
 * undo_cut
 *		What was cut down to units is no earlier than the first that begins in
 *		the range and no later than the last that does.
 */
static void
undo_cut(GraphTimeRange *range, Datum unit, Interval * length)
{
	if (!TIMESTAMP_NOT_FINITE(range->lower))
		range->lower = unit_end(unit, length, range->lower - 1);
	if (!TIMESTAMP_NOT_FINITE(range->upper))
		range->upper = unit_end(unit, length, range->upper) - 1;
}

/*
 * graph_undo_truncate
 *		The same for a unit that is a value, or a day.
 */
void
graph_undo_truncate(GraphTimeRange *range, const GraphValue *unit)
{
	Interval	length = {0, 1, 0};

	if (unit == NULL)
		undo_cut(range, CStringGetTextDatum("day"), &length);
	else if (unit_length(graph_decode_unit(unit), &length))
		undo_cut(range, unit->value, &length);
	else
		graph_set_unbounded(range);
}

/*
 * graph_undo_truncate_zoned
 *		What was cut down in a zone: from days on in local time, and what is
 *		shorter without a change of the offset.
 */
void
graph_undo_truncate_zoned(GraphTimeRange *range, const GraphValue *unit,
						  const GraphZone *zone)
{
	Interval	length;
	int64		offset;

	if (zone == NULL || !unit_length(graph_decode_unit(unit), &length))
	{
		graph_set_unbounded(range);
		return;
	}
	if (length.time == 0)
	{
		graph_local_of_utc(zone, range);
		undo_cut(range, unit->value, &length);
		graph_utc_of_local(zone, range);
		return;
	}
	if (!TIMESTAMP_NOT_FINITE(range->lower) &&
		graph_zone_offset_near(zone, range->lower, &offset))
		range->lower = unit_end(unit->value, &length,
								range->lower - 1 + offset) - offset;
	if (TIMESTAMP_NOT_FINITE(range->upper))
		return;
	if (graph_zone_offset_near(zone, range->upper, &offset))
		range->upper = unit_end(unit->value, &length,
								range->upper + offset) - offset - 1;
	else
		range->upper += length.time;
}

/*
 * graph_undo_bin
 *		What was cut down to multiples of a width after an origin.
 *
 * Older releases gave the multiple before a time that is one, if the origin is
 * later; so the end of a multiple is in the range.
 */
void
graph_undo_bin(GraphTimeRange *range, int64 width, Timestamp origin)
{
	int64		behind;

	Assert(width > 0);
	if (!TIMESTAMP_NOT_FINITE(range->lower))
	{
		behind = (range->lower - origin) % width;
		if (behind != 0)
			range->lower += behind < 0 ? -behind : width - behind;
	}
	if (!TIMESTAMP_NOT_FINITE(range->upper))
	{
		behind = (range->upper - origin) % width;
		range->upper += width - (behind < 0 ? behind + width : behind);
	}
}
