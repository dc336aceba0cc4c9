/*-------------------------------------------------------------------------
 *
 * number_range.c
 *		From which numbers does arithmetic come to a range of numbers?
 *
 * People group times by what they are in seconds: floor(seconds / 300) * 300.
 * Each step of that is undone here.  Whatever type the query reckons with, this
 * is done in float8, and each bound is moved outward by more than all of that
 * can have rounded.  Infinite bounds are none.
 *
 * What this file refuses to know: times, where the numbers come from.
 *
 * IDENTIFICATION
 *		src/odata/number_range.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "nodes/value.h"
#include "utils/builtins.h"

#include "odata/graph_odata.h"

/* What rounding may make of a number, as a part of it. */
#define ROUNDING	1e-15

/* The same where it goes from float8 to numeric, by 15 digits. */
#define ROUNDING_TO_15_DIGITS	1e-14

/* No number that is a bound is beyond this one. */
#define LARGEST	1e300

/*
 * graph_number_of
 *		A value as a float8.  NaN is larger than all numbers.
 */
double
graph_number_of(Oid type, Datum value)
{
	double		result;

	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return DatumGetInt64(value);
		case FLOAT4OID:
			result = DatumGetFloat4(value);
			break;
		case FLOAT8OID:
			result = DatumGetFloat8(value);
			break;
		default:
			Assert(type == NUMERICOID);
			result = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
														value));
	}
	return isnan(result) ? INFINITY : result;
}

/*
 * bounded
 *		A range as it may be reckoned with: a lower bound is not infinity and an
 *		upper one not its opposite, and what is no number is no bound.
 */
static GraphNumberRange
bounded(double lower, double upper)
{
	GraphNumberRange range;

	range.lower = isnan(lower) ? -INFINITY : Min(lower, LARGEST);
	range.upper = isnan(upper) ? INFINITY : Max(upper, -LARGEST);
	return range;
}

/*
 * spread
 *		Move the bounds outward by a part of a number.
 */
static GraphNumberRange
spread(GraphNumberRange range, double part, double other)
{
	if (!isinf(range.lower))
		range.lower -= part * (fabs(range.lower) + fabs(other));
	if (!isinf(range.upper))
		range.upper += part * (fabs(range.upper) + fabs(other));
	return bounded(range.lower, range.upper);
}

/*
 * graph_number_range
 *		The numbers that compare so with a number.
 */
GraphNumberRange
graph_number_range(GraphComparison comparison, double number)
{
	bool		has_lower = comparison == GRAPH_EQ ||
		comparison == GRAPH_GE || comparison == GRAPH_GT;
	bool		has_upper = comparison == GRAPH_EQ ||
		comparison == GRAPH_LE || comparison == GRAPH_LT;

	return spread(bounded(has_lower ? number : -INFINITY,
						  has_upper ? number : INFINITY), ROUNDING / 4, 0);
}

/*
 * shifted
 *		What numbers were before a number was added to them.
 */
static GraphNumberRange
shifted(GraphNumberRange range, double by)
{
	double		largest = 0;

	if (!isinf(range.lower))
		largest = fabs(range.lower);
	if (!isinf(range.upper))
		largest = Max(largest, fabs(range.upper));
	return spread(bounded(range.lower - by, range.upper - by), ROUNDING,
				  largest + fabs(by));
}

/*
 * scaled
 *		What numbers were before they were divided by a number.
 */
static GraphNumberRange
scaled(GraphNumberRange range, double by)
{
	if (by == 0 || isinf(by) || isinf(1 / by))
		return bounded(-INFINITY, INFINITY);
	if (by < 0)
		range = bounded(range.upper * by, range.lower * by);
	else
		range = bounded(range.lower * by, range.upper * by);
	return spread(range, ROUNDING, 0);
}

/*
 * rounded
 *		What numbers were before they were rounded to so many decimals, or, if
 *		toward_zero, cut off there.
 */
static GraphNumberRange
rounded(GraphNumberRange range, double decimals, bool toward_zero)
{
	double		most = pow(10, -decimals) * (toward_zero ? 1 : 0.5);

	if (decimals == 0)
		range = bounded(ceil(range.lower), floor(range.upper));
	if (!toward_zero || range.lower <= 0)
		range.lower -= most;
	if (!toward_zero || range.upper >= 0)
		range.upper += most;
	return decimals == 0 ? bounded(range.lower, range.upper) :
		spread(range, ROUNDING, most);
}

/*
 * graph_number_undo
 *		The numbers of which a step makes one in a range.
 *
 * detail is what the step tells, number its value, if it has one.
 */
GraphNumberRange
graph_number_undo(GraphStepKind kind, int detail, const double *number,
				  GraphNumberRange range)
{
	double		value = number ? *number : 0;

	switch (kind)
	{
		case GRAPH_STEP_FLOAT:
			return spread(range, ROUNDING_TO_15_DIGITS, 0);
		case GRAPH_STEP_FLOOR:
			return bounded(ceil(range.lower), floor(range.upper) + 1);
		case GRAPH_STEP_CEIL:
			return bounded(ceil(range.lower) - 1, floor(range.upper));
		case GRAPH_STEP_ROUND:
		case GRAPH_STEP_CUT:
			return rounded(range, value, kind == GRAPH_STEP_CUT);
		case GRAPH_STEP_PLUS:
			return shifted(range, value);
		case GRAPH_STEP_MINUS:
			return shifted(range, -value);
		case GRAPH_STEP_TIMES:
			return scaled(range, 1 / value);
		case GRAPH_STEP_DIVIDED:
			if (detail)
				range = rounded(range, 0, true);
			return scaled(range, value);
		default:
			Assert(false);
			return bounded(-INFINITY, INFINITY);
	}
}
