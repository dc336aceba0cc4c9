/*-------------------------------------------------------------------------
 *
 * literal.c
 *		How is a value written in a $filter?
 *
 * Times: Graph keeps 100 ns and timestamptz microseconds, and the conversion
 * rounds.  A time that equals t here may be anything less than a microsecond
 * away there, so whoever writes a bound moves it outward by one where that
 * could matter.
 *
 * What this file refuses to know: what a value is compared with.
 *
 * Sources: OData 4.01 URL conventions, 5.1.1.14.1 (primitive literals).
 *
 * IDENTIFICATION
 *		src/odata/literal.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "lib/stringinfo.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "odata/graph_odata.h"

/* The times that Edm.DateTimeOffset can hold: the years 1 to 9999. */
#define FIRST_YEAR	1
#define LAST_YEAR	9999

/*
 * graph_string_literal
 *		A string literal.
 */
char *
graph_string_literal(const char *string)
{
	StringInfoData literal;

	initStringInfo(&literal);
	appendStringInfoChar(&literal, '\'');
	for (const char *p = string; *p; p++)
	{
		if (*p == '\'')
			appendStringInfoChar(&literal, '\'');
		appendStringInfoChar(&literal, *p);
	}
	appendStringInfoChar(&literal, '\'');
	return literal.data;
}

/*
 * graph_time_literal
 *		A date-time literal in UTC, or NULL for what Edm.DateTimeOffset cannot
 *		hold: a negative time is before all that it can, another one after.
 */
char *
graph_time_literal(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char	   *literal;

	if (TIMESTAMP_NOT_FINITE(time) ||
		timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0 ||
		tm.tm_year < FIRST_YEAR || tm.tm_year > LAST_YEAR)
		return NULL;
	literal = psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
					   tm.tm_year, tm.tm_mon, tm.tm_mday,
					   tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fsec);
	if (fsec == 0)
		strcpy(strchr(literal, '.'), "Z");
	return literal;
}

/*
 * graph_as_timestamptz
 *		A value that a time column is compared with, as the comparison
 *		operators take it: a date or a timestamp is one in the session's
 *		time zone.  What overflows is infinite.
 */
TimestampTz
graph_as_timestamptz(Oid type, Datum value)
{
	TimestampTz result;
	int			overflow = 0;

	if (type == TIMESTAMPTZOID)
		return DatumGetTimestampTz(value);
	if (type == DATEOID)
		result = graph_date_to_timestamptz(DatumGetDateADT(value), &overflow);
	else
	{
		Assert(type == TIMESTAMPOID);
		result = graph_timestamp_to_timestamptz(DatumGetTimestamp(value),
												&overflow);
	}
	if (overflow < 0)
		TIMESTAMP_NOBEGIN(result);
	else if (overflow > 0)
		TIMESTAMP_NOEND(result);
	return result;
}

/*
 * graph_time_moved
 *		A time a microsecond or so later; infinite ones stay.
 */
TimestampTz
graph_time_moved(TimestampTz time, int microseconds)
{
	if (TIMESTAMP_NOT_FINITE(time))
		return time;
	Assert(IS_VALID_TIMESTAMP(time));	/* there is room beyond them */
	return time + microseconds;
}
