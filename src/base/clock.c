/*-------------------------------------------------------------------------
 *
 * clock.c
 *		What time is it, by a clock that never steps?
 *
 * What this file refuses to know: the time of day.
 *
 * IDENTIFICATION
 *		src/base/clock.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "portability/instr_time.h"

#include "base/graph_base.h"

/*
 * graph_now
 *		The time, in microseconds since something long ago.
 */
GraphTime
graph_now(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (GraphTime) INSTR_TIME_GET_MICROSEC(now);
}

/*
 * graph_after
 *		The time after so many milliseconds.
 */
GraphTime
graph_after(long milliseconds)
{
	return graph_now() + (GraphTime) milliseconds * 1000;
}

/*
 * graph_milliseconds_until
 *		The milliseconds, rounded up, until a time; 0 if it has passed.
 */
long
graph_milliseconds_until(GraphTime when)
{
	GraphTime	left = when - graph_now();

	return left <= 0 ? 0 : (long) Min((left + 999) / 1000, INT_MAX);
}
