/*-------------------------------------------------------------------------
 *
 * time_range.c
 *		At which times does a function of the time compare so with a value?
 *
 * A query asks for date_trunc('day', column) = value, and the service only
 * knows the column.  The functions on the way from the one to the other are
 * undone here step by step, the outermost first, each of them by the range of
 * what it takes that has at least all that comes to the range of what it gives.
 *
 * Nothing here fails: what PostgreSQL's functions would refuse is no bound.  So
 * times that the service cannot have are left out before they come near the
 * ends of timestamptz: a lower bound beyond them becomes a smaller one, an
 * upper bound no bound at all, and the other way round.
 *
 * A zone that is not named is the session's when this is called, which is when
 * a scan starts, and not when it was planned.
 *
 * What this file refuses to know: the planner, how a bound is written.
 *
 * IDENTIFICATION
 *		src/odata/time_range.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/int.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "odata/graph_odata.h"

/*
 * About the years -100 and 10100: what the service can have is well within, and
 * what PostgreSQL can have is further away than MOST_YEARS and a millennium.
 */
#define FIRST_TIME	(-2100 * 366 * USECS_PER_DAY)
#define LAST_TIME	(8100 * 366 * USECS_PER_DAY)

/* By no more is a time moved that is a bound. */
#define MOST_YEARS	2000

/* Between the epochs of PostgreSQL and of Unix. */
#define EPOCH_USECS \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/*
 * What rounding may make of a number of seconds, as a part of it: when it was
 * made of a time, and when that is undone.
 */
#define SECONDS_ROUNDING	8e-16

/* What a step gives or takes: times or intervals, or numbers. */
typedef struct StepRange
{
	GraphTimeRange times;
	GraphNumberRange numbers;
} StepRange;

/*-------------------------------------------------------------------------
 * Times and intervals in microseconds
 *-------------------------------------------------------------------------
 */

/*
 * widen_to_calendar
 *		Make bounds such that PostgreSQL's functions can do with them.
 */
static void
widen_to_calendar(GraphTimeRange *range)
{
	if (range->lower < FIRST_TIME)
		TIMESTAMP_NOBEGIN(range->lower);
	range->lower = Min(range->lower, LAST_TIME);
	if (range->upper > LAST_TIME)
		TIMESTAMP_NOEND(range->upper);
	range->upper = Max(range->upper, FIRST_TIME);
}

/*
 * sum
 *		A time that much later; what overflows, and what is infinite, is
 *		infinite.
 */
static int64
sum(int64 time, int64 by)
{
	int64		result;

	if (TIMESTAMP_NOT_FINITE(time) || by == 0)
		return time;
	if (!pg_add_s64_overflow(time, by, &result))
		return result;
	return by < 0 ? PG_INT64_MIN : PG_INT64_MAX;
}

/*
 * shift
 *		What times were before they were moved by so much.
 */
static void
shift(GraphTimeRange *range, int64 by)
{
	Assert(by != PG_INT64_MIN);
	range->lower = sum(range->lower, -by);
	range->upper = sum(range->upper, -by);
}

/*
 * usecs_of
 *		A number of microseconds as an integer, infinite where it is too large.
 */
static int64
usecs_of(double usecs)
{
	if (usecs < -1e18)
		return PG_INT64_MIN;
	return usecs > 1e18 ? PG_INT64_MAX : (int64) usecs;
}

/*
 * span
 *		An interval as intervals are compared: of months with 30 days.
 */
static int64
span(const Interval * interval)
{
	int64		days = interval->month * INT64CONST(30) + interval->day;
	double		about = (double) days * USECS_PER_DAY + interval->time;

	if (fabs(about) > 1e18)
		return usecs_of(about);
	return days * USECS_PER_DAY + interval->time;
}

/*
 * set_compared
 *		The times that compare so with a time.
 */
static void
set_compared(GraphTimeRange *range, GraphComparison comparison, int64 time)
{
	graph_set_unbounded(range);
	if (comparison == GRAPH_EQ || comparison == GRAPH_GE)
		range->lower = time;
	if (comparison == GRAPH_EQ || comparison == GRAPH_LE)
		range->upper = time;
	if (comparison == GRAPH_GT)
		range->lower = sum(time, 1);
	if (comparison == GRAPH_LT)
		range->upper = sum(time, -1);
}

/*
 * as_timestamp
 *		A date or timestamp as a timestamp; what overflows is infinite.
 */
static Timestamp
as_timestamp(Oid type, Datum value)
{
	DateADT		date;
	Timestamp	result;

	if (type == TIMESTAMPOID)
		return DatumGetTimestamp(value);
	Assert(type == DATEOID);
	date = DatumGetDateADT(value);
	if (DATE_IS_NOBEGIN(date))
		TIMESTAMP_NOBEGIN(result);
	else if (DATE_IS_NOEND(date) || date >= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE)
		TIMESTAMP_NOEND(result);
	else
		result = date * USECS_PER_DAY;
	return result;
}

/*-------------------------------------------------------------------------
 * Intervals
 *-------------------------------------------------------------------------
 */

/*
 * undo_months
 *		What local times were before they were moved by months.
 *
 * A day that the month does not have becomes its last one: up to three days
 * come to one then, and going back may do the same.
 */
static void
undo_months(GraphTimeRange *range, int months)
{
	Interval	interval = {0, 0, months};
	struct pg_tm tm;
	fsec_t		fsec;

	if (!TIMESTAMP_NOT_FINITE(range->lower))
		range->lower =
			DatumGetTimestamp(DirectFunctionCall2(timestamp_mi_interval,
												  TimestampGetDatum(range->lower),
												  IntervalPGetDatum(&interval)));
	if (TIMESTAMP_NOT_FINITE(range->upper))
		return;
	if (timestamp2tm(range->upper, NULL, &tm, &fsec, NULL, NULL) != 0)
	{
		TIMESTAMP_NOEND(range->upper);
		return;
	}
	range->upper =
		DatumGetTimestamp(DirectFunctionCall2(timestamp_mi_interval,
											  TimestampGetDatum(range->upper),
											  IntervalPGetDatum(&interval)));
	if (tm.tm_mday >= 28)
		range->upper += 6 * USECS_PER_DAY;
}

/*
 * undo_add
 *		What times were before an interval, or its opposite, was added: first the
 *		months, then the days, both in local time, then the rest.
 */
static void
undo_add(GraphTimeRange *range, const Interval * interval, int sign,
		 const GraphZone *zone)
{
	if (abs(interval->month / MONTHS_PER_YEAR) > MOST_YEARS ||
		abs(interval->day / 366) > MOST_YEARS ||
		fabs((double) interval->time) > (double) MOST_YEARS * 366 * USECS_PER_DAY)
	{
		graph_set_unbounded(range);
		return;
	}
	shift(range, sign * interval->time);
	widen_to_calendar(range);
	if (interval->day != 0)
	{
		if (zone)
			graph_local_of_utc(zone, range);
		shift(range, sign * interval->day * USECS_PER_DAY);
		if (zone)
			graph_utc_of_local(zone, range);
		widen_to_calendar(range);
	}
	if (interval->month != 0)
	{
		if (zone)
			graph_local_of_utc(zone, range);
		undo_months(range, sign * interval->month);
		if (zone)
			graph_utc_of_local(zone, range);
	}
}

/*
 * undo_add_days
 *		What times were before so many days were added.
 */
static void
undo_add_days(GraphTimeRange *range, int64 days)
{
	if (days / 366 > MOST_YEARS || days / 366 < -MOST_YEARS)
		graph_set_unbounded(range);
	else
		shift(range, days * USECS_PER_DAY);
}

/*
 * undo_difference
 *		What times are that far after a time, or, if until, before it.
 */
static void
undo_difference(GraphTimeRange *range, TimestampTz time, bool until)
{
	GraphTimeRange spans = *range;

	graph_set_unbounded(range);
	if (TIMESTAMP_NOT_FINITE(time))
		return;
	if (!until)
	{
		range->lower = sum(spans.lower, time);
		range->upper = sum(spans.upper, time);
		return;
	}
	if (!TIMESTAMP_NOT_FINITE(spans.upper))
		range->lower = sum(-spans.upper, time);
	if (!TIMESTAMP_NOT_FINITE(spans.lower))
		range->upper = sum(-spans.lower, time);
}

/*-------------------------------------------------------------------------
 * Numbers
 *-------------------------------------------------------------------------
 */

/*
 * undo_seconds
 *		The times, or intervals, that are so many seconds after an epoch.
 */
static void
undo_seconds(StepRange *range, int64 epoch)
{
	double		lower = range->numbers.lower * USECS_PER_SEC;
	double		upper = range->numbers.upper * USECS_PER_SEC;

	range->times.lower = PG_INT64_MIN;
	range->times.upper = PG_INT64_MAX;
	if (!isinf(lower) || lower > 0)
		range->times.lower = usecs_of(floor(lower - fabs(lower) * SECONDS_ROUNDING));
	if (!isinf(upper) || upper < 0)
		range->times.upper = usecs_of(ceil(upper + fabs(upper) * SECONDS_ROUNDING));
	range->times.lower = sum(range->times.lower, epoch);
	range->times.upper = sum(range->times.upper, epoch);
}

/*
 * undo_to_timestamp
 *		The seconds after the epoch of Unix that are rounded to times in a range.
 */
static void
undo_to_timestamp(StepRange *range)
{
	GraphTimeRange *times = &range->times;

	range->numbers.lower = -INFINITY;
	range->numbers.upper = INFINITY;
	widen_to_calendar(times);
	if (!TIMESTAMP_NOT_FINITE(times->lower))
		range->numbers.lower = (times->lower + EPOCH_USECS - 1) / (double) USECS_PER_SEC;
	if (!TIMESTAMP_NOT_FINITE(times->upper))
		range->numbers.upper = (times->upper + EPOCH_USECS + 1) / (double) USECS_PER_SEC;
	range->numbers = graph_number_undo(GRAPH_STEP_FLOAT, 0, NULL, range->numbers);
}

/*
 * year_start
 *		When a year begins.
 */
static Timestamp
year_start(double year)
{
	return (date2j((int) year, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

/*
 * undo_year
 *		The local times of some years; those before Christ are not told apart.
 */
static void
undo_year(StepRange *range)
{
	double		first = ceil(range->numbers.lower);
	double		last = Max(floor(range->numbers.upper), 1);

	graph_set_unbounded(&range->times);
	if (first > 1)
		range->times.lower = year_start(Min(first, 10000));
	if (last < 10000)
		range->times.upper = year_start(last + 1) - 1;
}

/*
 * undo_extract
 *		The times of which a field is in a range.
 */
static void
undo_extract(StepRange *range, GraphStepKind kind, const GraphValue *field)
{
	int			unit = graph_decode_unit(field);
	bool		of_interval = kind == GRAPH_STEP_EXTRACT_INTERVAL;

	if (unit == DTK_EPOCH)
		undo_seconds(range, of_interval ? 0 : -EPOCH_USECS);
	else if (unit == DTK_DAY && of_interval)
	{
		double		day = SECS_PER_DAY;

		range->numbers = graph_number_undo(GRAPH_STEP_DIVIDED, true, &day,
										   range->numbers);
		undo_seconds(range, 0);
	}
	else if (unit == DTK_YEAR && !of_interval)
	{
		undo_year(range);
		if (kind == GRAPH_STEP_EXTRACT_ZONED)
			graph_utc_of_local(graph_zone_of_session(), &range->times);
	}
	else
		graph_set_unbounded(&range->times);
}

/*-------------------------------------------------------------------------
 * Steps
 *-------------------------------------------------------------------------
 */

/*
 * value_of_step
 *		A value that a step takes, by its place; NULL if it has none.
 */
static const GraphValue *
value_of_step(List *step, const GraphValue *values, int place)
{
	int			number = place + 2;

	return list_length(step) > number ?
		&values[intVal(list_nth(step, number))] : NULL;
}

/*
 * zone_of
 *		The zone that a value names, or the session's; NULL if there is none.
 */
static GraphZone *
zone_of(const GraphValue *value, bool as_zone)
{
	char		name[TZ_STRLEN_MAX + 1];
	const		Interval *interval;

	if (value == NULL)
		return graph_zone_of_session();
	if (value->type == INTERVALOID)
	{
		interval = DatumGetIntervalP(value->value);
		return graph_zone_fixed((int) (interval->time / USECS_PER_SEC));
	}
	text_to_cstring_buffer(DatumGetTextPP(value->value), name, sizeof(name));
	return graph_zone_named(name, as_zone);
}

/*
 * undo_bin
 *		What was before date_bin(), where it is no error.
 */
static void
undo_bin(GraphTimeRange *range, const Interval * stride, Timestamp origin)
{
	int64		width = stride->month == 0 ? span(stride) : 0;

	if (width > 0 && width <= LAST_TIME &&
		origin >= FIRST_TIME && origin <= LAST_TIME)
		graph_undo_bin(range, width, origin);
	else
		graph_set_unbounded(range);
}

/*
 * undo_zone
 *		What was before a time was converted to or from local time.
 */
static void
undo_zone(GraphTimeRange *range, GraphStepKind kind, const GraphValue *name)
{
	GraphZone  *zone = zone_of(name, false);

	if (zone == NULL)
		graph_set_unbounded(range);
	else if (kind == GRAPH_STEP_LOCAL)
		graph_utc_of_local(zone, range);
	else
		graph_local_of_utc(zone, range);
}

/*
 * blur
 *		Move bounds outward.
 */
static void
blur(GraphTimeRange *range, int64 by)
{
	range->lower = sum(range->lower, -by);
	range->upper = sum(range->upper, by);
}

/*
 * undo_time_step
 *		The same for a step that takes times and gives times or intervals.
 */
static void
undo_time_step(GraphTimeRange *range, List *step, const GraphValue *values)
{
	GraphStepKind kind = intVal(linitial(step));
	int			detail = intVal(lsecond(step));
	const GraphValue *first = value_of_step(step, values, 0);
	const GraphValue *second = value_of_step(step, values, 1);

	if (kind != GRAPH_STEP_SINCE && kind != GRAPH_STEP_UNTIL)
		widen_to_calendar(range);
	switch (kind)
	{
		case GRAPH_STEP_LOCAL:
		case GRAPH_STEP_UTC:
			undo_zone(range, kind, first);
			break;
		case GRAPH_STEP_TRUNCATE:
			graph_undo_truncate(range, first);
			break;
		case GRAPH_STEP_TRUNCATE_ZONED:
			graph_undo_truncate_zoned(range, first, zone_of(second, true));
			break;
		case GRAPH_STEP_BIN:
			undo_bin(range, DatumGetIntervalP(first->value),
					 DatumGetTimestamp(second->value));
			break;
		case GRAPH_STEP_ADD_DAYS:
			undo_add_days(range, (int64) detail * DatumGetInt32(first->value));
			break;
		case GRAPH_STEP_ADD:
		case GRAPH_STEP_ADD_ZONED:
			undo_add(range, DatumGetIntervalP(first->value), detail,
					 kind == GRAPH_STEP_ADD_ZONED ? graph_zone_of_session() : NULL);
			break;
		case GRAPH_STEP_ROUND_TIME:
			blur(range, (int64) (pow(10, 6 - detail) / 2) + 1);
			break;
		case GRAPH_STEP_BLUR:
			blur(range, detail * USECS_PER_HOUR);
			break;
		default:
			undo_difference(range,
							first->type == DATEOID ?
							as_timestamp(DATEOID, first->value) :
							DatumGetTimestamp(first->value),
							kind == GRAPH_STEP_UNTIL);
			break;
	}
}

/*
 * undo_step
 *		What a step takes to give something in a range.
 */
static void
undo_step(StepRange *range, List *step, const GraphValue *values)
{
	GraphStepKind kind = intVal(linitial(step));
	const GraphValue *first = value_of_step(step, values, 0);
	double		number = SECS_PER_DAY;

	if (kind == GRAPH_STEP_DAYS)
	{
		range->numbers = graph_number_undo(GRAPH_STEP_DIVIDED, false, &number,
										   range->numbers);
		undo_seconds(range, 0);
	}
	else if (kind == GRAPH_STEP_TO_TIMESTAMP)
		undo_to_timestamp(range);
	else if (kind < GRAPH_STEP_DAYS)
		undo_time_step(&range->times, step, values);
	else if (kind < GRAPH_STEP_TO_TIMESTAMP)
		undo_extract(range, kind, first);
	else
	{
		if (first)
			number = graph_number_of(first->type, first->value);
		range->numbers = graph_number_undo(kind, intVal(lsecond(step)),
										   first ? &number : NULL,
										   range->numbers);
	}
}

/*
 * graph_step_uses_session
 *		Does it depend on the session's time zone what a step gives?
 */
bool
graph_step_uses_session(List *step)
{
	switch ((GraphStepKind) intVal(linitial(step)))
	{
		case GRAPH_STEP_LOCAL:
		case GRAPH_STEP_UTC:
			return list_length(step) == 2;
		case GRAPH_STEP_TRUNCATE_ZONED:
			return list_length(step) == 3;
		case GRAPH_STEP_ADD_ZONED:
		case GRAPH_STEP_EXTRACT_ZONED:
			return true;
		default:
			return false;
	}
}

/*
 * has_null
 *		Is one of the values NULL that steps take?  Then all of what they give
 *		is.
 */
static bool
has_null(List *steps, const GraphValue *values)
{
	ListCell   *cell;

	foreach(cell, steps)
	{
		const GraphValue *value;

		for (int i = 0; (value = value_of_step(lfirst(cell), values, i)); i++)
		{
			if (value->isnull)
				return true;
		}
	}
	return false;
}

/*
 * gives_whole_numbers
 *		Does a step give nothing else, whatever it takes?
 */
static bool
gives_whole_numbers(List *step, const GraphValue *values)
{
	const GraphValue *value = value_of_step(step, values, 0);

	switch ((GraphStepKind) intVal(linitial(step)))
	{
		case GRAPH_STEP_DAYS:
		case GRAPH_STEP_FLOOR:
		case GRAPH_STEP_CEIL:
			return true;
		case GRAPH_STEP_ROUND:
		case GRAPH_STEP_CUT:
			return value == NULL;
		case GRAPH_STEP_DIVIDED:
			return intVal(lsecond(step)) != 0;
		case GRAPH_STEP_EXTRACT:
		case GRAPH_STEP_EXTRACT_ZONED:
			return graph_decode_unit(value) == DTK_YEAR;
		case GRAPH_STEP_EXTRACT_INTERVAL:
			return graph_decode_unit(value) == DTK_DAY;
		default:
			return false;
	}
}

/*
 * compared_numbers
 *		The numbers that compare so with one: of whole numbers, those below it
 *		are no larger than the next one down.
 */
static GraphNumberRange
compared_numbers(List *steps, const GraphValue *values,
				 GraphComparison comparison, double number)
{
	if (gives_whole_numbers(linitial(steps), values))
	{
		if (comparison == GRAPH_LT)
			return graph_number_range(GRAPH_LE, ceil(number) - 1);
		if (comparison == GRAPH_GT)
			return graph_number_range(GRAPH_GE, floor(number) + 1);
	}
	return graph_number_range(comparison, number);
}

/*
 * graph_time_range
 *		The times of which steps make something that compares so with a value;
 *		false if there are none.
 *
 * as: the type as which it is compared, timestamp for dates, float8 for all
 * numbers.  The values are known, and the one that is compared is not null.
 */
bool
graph_time_range(List *steps, const GraphValue *values,
				 GraphComparison comparison, Oid as, Oid type, Datum value,
				 GraphTimeRange *range)
{
	StepRange	reached;
	ListCell   *cell;

	if (has_null(steps, values))
		return false;
	graph_set_unbounded(&reached.times);
	if (as == FLOAT8OID)
		reached.numbers = compared_numbers(steps, values, comparison,
										   graph_number_of(type, value));
	else if (as == INTERVALOID)
		set_compared(&reached.times, comparison, span(DatumGetIntervalP(value)));
	else
		set_compared(&reached.times, comparison,
					 as == TIMESTAMPTZOID ? graph_as_timestamptz(type, value) :
					 as_timestamp(type, value));
	foreach(cell, steps)
		undo_step(&reached, lfirst(cell), values);
	widen_to_calendar(&reached.times);
	*range = reached.times;
	return true;
}

/*
 * steps_reverse
 *		Do later times come to less, as far as the values are known?
 */
static bool
steps_reverse(List *steps, const GraphValue *values)
{
	bool		result = false;
	ListCell   *cell;

	foreach(cell, steps)
	{
		GraphStepKind kind = intVal(linitial(lfirst(cell)));
		const GraphValue *value = value_of_step(lfirst(cell), values, 0);

		if (kind == GRAPH_STEP_UNTIL)
			result = !result;
		if ((kind == GRAPH_STEP_TIMES || kind == GRAPH_STEP_DIVIDED) &&
			value->known && !value->isnull &&
			graph_number_of(value->type, value->value) < 0)
			result = !result;
	}
	return result;
}

/*
 * graph_unknown_range
 *		The same before all values are known, for a person: with the expressions
 *		of those that steps take and with another one, which may be NULL.
 */
char *
graph_unknown_range(const char *property, List *steps, const GraphValue *values,
					GraphComparison comparison, const char *label)
{
	bool		greater = comparison == GRAPH_GT || comparison == GRAPH_GE;
	StringInfoData labels;
	StringInfoData text;
	ListCell   *step;

	initStringInfo(&labels);
	foreach(step, steps)
	{
		const GraphValue *value;

		for (int i = 0; (value = value_of_step(lfirst(step), values, i)); i++)
		{
			if (!value->known && value->label)
				appendStringInfo(&labels, "%s%s", labels.len > 0 ? ", " : "",
								 value->label);
		}
	}
	if (label)
		appendStringInfo(&labels, "%s%s", labels.len > 0 ? ", " : "", label);

	initStringInfo(&text);
	if (steps_reverse(steps, values))
		greater = !greater;
	if (greater || comparison == GRAPH_EQ)
		appendStringInfo(&text, "%s ge {first for %s}", property, labels.data);
	if (comparison == GRAPH_EQ)
		appendStringInfoString(&text, " and ");
	if (!greater || comparison == GRAPH_EQ)
		appendStringInfo(&text, "%s lt {after last for %s}", property, labels.data);
	return text.data;
}
