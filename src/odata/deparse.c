/*-------------------------------------------------------------------------
 *
 * deparse.c
 *		What of $filter is a condition, once its values are known?
 *
 * A plan holds conditions without their values (src/plan/pushdown.c makes
 * them); when a scan starts, the values are known and the conditions become an
 * OData $filter.  A condition turns out as text, as "every alert may match" (it
 * is left out) or as "no alert can match" (no request is made at all).
 * Whatever is written here returns at least the alerts for which the SQL
 * condition is true: in doubt a condition is left out, for it is checked again
 * locally.
 *
 * Only forms with evidence that the service answers them are used: eq and ne,
 * ge and lt on times, and, or, parentheses, null; and any() on evidence, if
 * the option evidence_filter allows it.  IN is a chain of or, also of any():
 * each is then as Microsoft's guide shows it, with one comparison inside.
 *
 * A bound of a time is moved outward by a microsecond where rounding could
 * matter (literal.c says why):
 *
 *		column >= t		ge t - 1us		column > t		ge t
 *		column <= t		lt t + 1us		column < t		lt t
 *
 * What this file refuses to know: the planner, clauses, transfers, the $filter
 * of several conditions (filter.c).
 *
 * Sources: OData 4.01 URL conventions, 5.1.1 ($filter); Graph, "Use the
 * $filter query parameter".
 *
 * IDENTIFICATION
 *		src/odata/deparse.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/value.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "odata/deparse_int.h"

/* Longest string literal; user principal names are at most 113 characters. */
#define MAX_LITERAL_BYTES	256

/* So many bytes of a word that is no member are named. */
#define MAX_NAMED_BYTES		60

/* Most values of one IN list; a longer one of times becomes a range. */
#define MAX_ALTERNATIVES	20

/*
 * datum_string
 *		The characters of a text.  TextDatumGetCString() uses the type "text",
 *		so it does not compile in the functions below, which have a parameter
 *		of that name.
 */
static char *
datum_string(Datum value)
{
	return TextDatumGetCString(value);
}

/* Conditions that are joined by "and" or "or", one after another. */
typedef struct Junction
{
	DeparseContext *context;
	bool		is_and;
	bool		enclosed;		/* in parentheses even if there is one */
	size_t		most;			/* bytes */
	StringInfoData text;
	List	   *texts;			/* of char *: each once */
	FilterResult decided;		/* by a condition that decides the whole */
} Junction;

/* Why something is left out. */
static const char too_long_filter[] = GRAPH_FILTER_TOO_LONG;
static const char too_long_text[] = "the text is too long to be sent";
static const char odd_text[] = "the text may stand for another one";
static const char all_times[] = "all times that the service can have are in it";
static const char no_range[] = "no range of times can be told from it";

/*
 * leave_out
 *		A condition, or a part of one, is not sent.
 */
static FilterResult
leave_out(DeparseContext *context, const char *why)
{
	if (context->left_out == NULL)
		context->left_out = why;
	return FILTER_EVERY;
}

/*
 * value_of
 *		A value of the plan.
 */
static const GraphValue *
value_of(DeparseContext *context, int number)
{
	const GraphValue *value = &context->values[number];

	if (!value->constant)
		context->constant = false;
	if (!value->known && value->label)
		context->labelled = true;
	return value;
}

/*-------------------------------------------------------------------------
 * Several conditions
 *-------------------------------------------------------------------------
 */

/*
 * start_junction
 *		No conditions so far.
 */
static void
start_junction(Junction *junction, DeparseContext *context, bool is_and)
{
	memset(junction, 0, sizeof(Junction));
	junction->context = context;
	junction->is_and = is_and;
	junction->most = MAX_FILTER_BYTES;
	initStringInfo(&junction->text);
}

/*
 * has_text
 *		Is this text among those of a junction?
 */
static bool
has_text(const Junction *junction, const char *text)
{
	ListCell   *cell;

	foreach(cell, junction->texts)
	{
		if (strcmp(lfirst(cell), text) == 0)
			return true;
	}
	return false;
}

/*
 * add_condition
 *		Add a condition to a junction; false if it decides the whole.
 *
 * One that makes the whole too long is left out of an AND, but an OR that
 * lacks one would lose alerts.  What is written for a person may be as long as
 * it is.
 */
static bool
add_condition(Junction *junction, FilterResult result, char *text)
{
	StringInfo	whole = &junction->text;
	const char *separator = whole->len == 0 ? "" :
		junction->is_and ? AND_TEXT : " or ";

	if (result == FILTER_TEXT && has_text(junction, text))
		return true;
	if (result == FILTER_TEXT && !junction->context->labelled &&
		whole->len + strlen(separator) + strlen(text) > junction->most)
		result = leave_out(junction->context, too_long_filter);
	junction->decided = result;
	if (result != FILTER_TEXT)
		return result == (junction->is_and ? FILTER_EVERY : FILTER_NONE);
	appendStringInfo(whole, "%s%s", separator, text);
	junction->texts = lappend(junction->texts, text);
	return true;
}

/*
 * end_junction
 *		What all of its conditions are together, none of which has decided it.
 */
static FilterResult
end_junction(Junction *junction, char **text)
{
	if (junction->texts == NIL)
		return junction->is_and ? FILTER_EVERY : FILTER_NONE;
	*text = junction->text.data;
	if (junction->enclosed ||
		(!junction->is_and && list_length(junction->texts) > 1))
		*text = psprintf("(%s)", *text);
	return FILTER_TEXT;
}

/*
 * deparse_junction
 *		GRAPH_FILTER_AND and GRAPH_FILTER_OR.
 */
static FilterResult
deparse_junction(DeparseContext *context, List *conditions, bool is_and,
				 char **text)
{
	Junction	junction;
	ListCell   *cell;

	start_junction(&junction, context, is_and);
	junction.enclosed = !is_and;
	for_each_from(cell, conditions, 1)
	{
		char	   *one = NULL;
		FilterResult result = graph_deparse_condition(context, lfirst(cell), &one);

		if (!add_condition(&junction, result, one))
			return junction.decided;
	}
	return end_junction(&junction, text);
}

/*-------------------------------------------------------------------------
 * Comparisons
 *-------------------------------------------------------------------------
 */

/*
 * deparse_equality
 *		"property eq 'string'", or with another operator.
 *
 * What is shown here may be another text at the service, and then it is not
 * sent; what cannot be shown here, no alert has.
 */
static FilterResult
deparse_equality(DeparseContext *context, const char *property, const char *operator,
				 const char *string, char **text)
{
	if (strlen(string) > MAX_LITERAL_BYTES)
		return leave_out(context, too_long_text);
	switch (graph_text_meaning(string))
	{
		case GRAPH_TEXT_EXACT:
			break;
		case GRAPH_TEXT_AMBIGUOUS:
			return leave_out(context, odd_text);
		case GRAPH_TEXT_IMPOSSIBLE:
			return FILTER_NONE;
	}
	*text = psprintf("%s %s %s", property, operator,
					 graph_string_literal(string));
	return FILTER_TEXT;
}

/*
 * deparse_bound
 *		"property ge time" or "property lt time".
 */
static FilterResult
deparse_bound(DeparseContext *context, const char *property, bool lower,
			  TimestampTz time, char **text)
{
	char	   *literal = graph_time_literal(time);

	if (literal == NULL)
		return (time < 0) == lower ? leave_out(context, all_times) : FILTER_NONE;
	*text = psprintf("%s %s %s", property, lower ? "ge" : "lt", literal);
	return FILTER_TEXT;
}

/*
 * deparse_range
 *		Times from the first to the last, and what may be rounded to them.
 */
static FilterResult
deparse_range(DeparseContext *context, const char *property, TimestampTz first,
			  TimestampTz last, char **text)
{
	Junction	both;
	char	   *from = NULL;
	char	   *to = NULL;
	FilterResult result;

	start_junction(&both, context, true);
	result = deparse_bound(context, property, true, graph_time_moved(first, -1),
						   &from);
	if (!add_condition(&both, result, from))
		return both.decided;
	result = deparse_bound(context, property, false, graph_time_moved(last, 1),
						   &to);
	if (!add_condition(&both, result, to))
		return both.decided;
	return end_junction(&both, text);
}

/*
 * deparse_time
 *		A comparison of a date-time property; see the table above.
 */
static FilterResult
deparse_time(DeparseContext *context, const char *property,
			 GraphComparison comparison, TimestampTz time, char **text)
{
	switch (comparison)
	{
		case GRAPH_GE:
			return deparse_bound(context, property, true,
								 graph_time_moved(time, -1), text);
		case GRAPH_GT:
			return deparse_bound(context, property, true, time, text);
		case GRAPH_LE:
			return deparse_bound(context, property, false,
								 graph_time_moved(time, 1), text);
		case GRAPH_LT:
			return deparse_bound(context, property, false, time, text);
		case GRAPH_EQ:
			if (TIMESTAMP_NOT_FINITE(time))
				return FILTER_NONE;
			return deparse_range(context, property, time, time, text);
		case GRAPH_NE:
			break;				/* pushdown.c: times are rounded */
	}
	Assert(false);
	return leave_out(context, GRAPH_TIME_ROUNDED);
}

/*
 * graph_no_member
 *		Why a word is not sent: it is none of the members that the metadata
 *		knows.
 */
char *
graph_no_member(const GraphQueryProperty *property, const char *word)
{
	const char *members[GRAPH_MOST_MEMBERS];
	int			count = graph_known_members(property->enum_name, members);
	int			len = strlen(word);
	int			named = pg_mbcliplen(word, len, MAX_NAMED_BYTES);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "'%.*s%s' is not a value that the service is known to filter by",
					 named, word, named < len ? "..." : "");
	for (int i = 0; i < count; i++)
		appendStringInfo(&text, "%s%s", i == 0 ? ": " : ", ", members[i]);
	return text.data;
}

/*
 * deparse_word
 *		A comparison of an enum or string property for equality.
 *
 * An enum literal that is not a known member may be a newer one, which the
 * service answers or refuses; so it is not sent.
 */
static FilterResult
deparse_word(DeparseContext *context, const GraphQueryProperty *property,
			 GraphComparison comparison, const char *word, char **text)
{
	bool		is_enum = property->type == GRAPH_EDM_ENUM;

	Assert(comparison == GRAPH_EQ || (comparison == GRAPH_NE && is_enum));
	if (is_enum &&
		graph_enum_member(property->enum_name, word) != GRAPH_ENUM_KNOWN)
		return context->left_out ? FILTER_EVERY :
			leave_out(context, graph_no_member(property, word));
	return deparse_equality(context, property->name,
							comparison == GRAPH_EQ ? "eq" : "ne", word, text);
}

/*
 * deparse_datum
 *		A comparison with a value that is known and not null.
 */
static FilterResult
deparse_datum(DeparseContext *context, const GraphQueryProperty *property,
			  GraphComparison comparison, Oid type, Datum value, char **text)
{
	if (property->type == GRAPH_EDM_DATETIME)
		return deparse_time(context, property->name, comparison,
							graph_as_timestamptz(type, value), text);
	return deparse_word(context, property, comparison,
						datum_string(value), text);
}

/*
 * deparse_unknown
 *		The same while a query is planned or explained and the value is not
 *		known.
 */
static FilterResult
deparse_unknown(const GraphQueryProperty *property, GraphComparison comparison,
				const char *label, char **text)
{
	static const char *const words[] = {"eq", "ne", "lt", "lt", "ge", "ge"};

	*text = psprintf("%s %s {%s}", property->name, words[comparison],
					 label ? label : "");
	return FILTER_TEXT;
}

/*
 * deparse_compare
 *		GRAPH_FILTER_COMPARE, where NULL makes the operator not true, and
 *		GRAPH_FILTER_DISTINCT, where it is a value.
 */
static FilterResult
deparse_compare(DeparseContext *context, const GraphQueryProperty *property,
				GraphComparison comparison, const GraphValue *value,
				bool distinct, char **text)
{
	if (!value->known)
		return deparse_unknown(property, comparison, value->label, text);
	if (!value->isnull)
		return deparse_datum(context, property, comparison, value->type,
							 value->value, text);
	if (!distinct)
		return FILTER_NONE;
	*text = psprintf("%s %s null", property->name,
					 comparison == GRAPH_EQ ? "eq" : "ne");
	return FILTER_TEXT;
}

/*-------------------------------------------------------------------------
 * Arrays
 *-------------------------------------------------------------------------
 */

/*
 * deparse_times
 *		A range around the times of an array that is too long to be written out.
 */
static FilterResult
deparse_times(DeparseContext *context, const GraphQueryProperty *property,
			  Oid type, Datum *elements, int count, char **text)
{
	TimestampTz first = graph_as_timestamptz(type, elements[0]);
	TimestampTz last = first;

	for (int i = 1; i < count; i++)
	{
		TimestampTz time = graph_as_timestamptz(type, elements[i]);

		first = Min(first, time);
		last = Max(last, time);
	}
	(void) leave_out(context, too_long_filter);
	return deparse_range(context, property->name, first, last, text);
}

/*
 * deparse_elements
 *		Any of some values that are not null, or none of them.
 *
 * Any: one that is left out would lose alerts, so then all are.  None: one may
 * be, and they take half of the room at most.
 */
static FilterResult
deparse_elements(DeparseContext *context, const GraphQueryProperty *property,
				 bool any, Oid type, Datum *elements, int count, char **text)
{
	Junction	junction;

	if (any && count > MAX_ALTERNATIVES && property->type == GRAPH_EDM_DATETIME)
		return deparse_times(context, property, type, elements, count, text);

	start_junction(&junction, context, !any);
	if (!any)
		junction.most /= 2;
	for (int i = 0; i < count; i++)
	{
		char	   *one = NULL;
		FilterResult result = deparse_datum(context, property,
											any ? GRAPH_EQ : GRAPH_NE, type,
											elements[i], &one);

		if (!add_condition(&junction, result, one))
			return junction.decided;
	}
	return end_junction(&junction, text);
}

/*
 * array_elements
 *		Take an array apart: how many elements it has.
 */
static int
array_elements(const GraphValue *value, Oid *type, Datum **elements,
			   bool **nulls)
{
	ArrayType  *array = DatumGetArrayTypeP(value->value);
	int16		len;
	bool		byval;
	char		align;
	int			count;

	*type = ARR_ELEMTYPE(array);
	get_typlenbyvalalign(*type, &len, &byval, &align);
	deconstruct_array(array, *type, len, byval, align, elements, nulls, &count);
	return count;
}

/*
 * deparse_array
 *		GRAPH_FILTER_ANY and GRAPH_FILTER_ALL.
 *
 * A NULL in the array never equals anything; "<> ALL" of one is never true.
 */
static FilterResult
deparse_array(DeparseContext *context, const GraphQueryProperty *property, bool any,
			  const GraphValue *value, char **text)
{
	Oid			type;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			kept = 0;

	if (!value->known)
		return deparse_unknown(property, any ? GRAPH_EQ : GRAPH_NE,
							   psprintf("%s %s", any ? "any of" : "all of",
										value->label ? value->label : ""), text);
	if (value->isnull)
		return FILTER_NONE;
	count = array_elements(value, &type, &elements, &nulls);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			elements[kept++] = elements[i];
		else if (!any)
			return FILTER_NONE;
	}
	if (kept == 0)
		return any ? FILTER_NONE : FILTER_EVERY;
	return deparse_elements(context, property, any, type, elements, kept, text);
}

/*-------------------------------------------------------------------------
 * Functions of a time
 *-------------------------------------------------------------------------
 */

/*
 * look_at_steps
 *		Are all values known that steps take?
 */
static bool
look_at_steps(DeparseContext *context, List *steps)
{
	bool		known = true;
	ListCell   *step;
	ListCell   *number;

	foreach(step, steps)
	{
		if (graph_step_uses_session(lfirst(step)))
			context->constant = false;
		for_each_from(number, lfirst(step), 2)
			known = value_of(context, intVal(lfirst(number)))->known && known;
	}
	return known;
}

/*
 * deparse_found_range
 *		A range of which an end may be missing.
 */
static FilterResult
deparse_found_range(DeparseContext *context, const char *property,
					const GraphTimeRange *range, char **text)
{
	bool		has_lower = !TIMESTAMP_IS_NOBEGIN(range->lower);
	bool		has_upper = !TIMESTAMP_IS_NOEND(range->upper);

	if (has_lower && has_upper)
		return deparse_range(context, property, range->lower, range->upper, text);
	if (has_lower)
		return deparse_time(context, property, GRAPH_GE, range->lower, text);
	if (has_upper)
		return deparse_time(context, property, GRAPH_LE, range->upper, text);
	return leave_out(context, no_range);
}

/*
 * deparse_any_range
 *		The times for which a function of them is one of some values; the range
 *		around all of them if there are many.
 */
static FilterResult
deparse_any_range(DeparseContext *context, List *condition,
				  const GraphValue *value, char **text)
{
	const char *property = strVal(lsecond(condition));
	GraphTimeRange whole = {DT_NOEND, DT_NOBEGIN};
	Junction	any;
	Oid			type;
	Datum	   *elements;
	bool	   *nulls;
	int			count = array_elements(value, &type, &elements, &nulls);

	start_junction(&any, context, false);
	for (int i = 0; i < count; i++)
	{
		GraphTimeRange range;
		FilterResult result = FILTER_NONE;
		char	   *one = NULL;

		if (!nulls[i] &&
			graph_time_range(list_nth(condition, 4), context->values, GRAPH_EQ,
							 intVal(lfourth(condition)), type, elements[i], &range))
		{
			whole.lower = Min(whole.lower, range.lower);
			whole.upper = Max(whole.upper, range.upper);
			result = deparse_found_range(context, property, &range, &one);
		}
		if (count <= MAX_ALTERNATIVES && !add_condition(&any, result, one))
			return any.decided;
	}
	if (count <= MAX_ALTERNATIVES)
		return end_junction(&any, text);
	if (whole.lower > whole.upper)
		return FILTER_NONE;
	(void) leave_out(context, too_long_filter);
	return deparse_found_range(context, property, &whole, text);
}

/*
 * deparse_time_function
 *		GRAPH_FILTER_RANGE.
 */
static FilterResult
deparse_time_function(DeparseContext *context, List *condition, char **text)
{
	const char *property = strVal(lsecond(condition));
	GraphComparison comparison = intVal(lthird(condition));
	List	   *steps = list_nth(condition, 4);
	const GraphValue *value = value_of(context, intVal(llast(condition)));
	GraphTimeRange range;

	if (!look_at_steps(context, steps) || !value->known)
	{
		*text = graph_unknown_range(property, steps, context->values, comparison,
									value->known ? NULL : value->label);
		return FILTER_TEXT;
	}
	if (value->isnull)
		return FILTER_NONE;
	if (OidIsValid(get_element_type(value->type)))
		return deparse_any_range(context, condition, value, text);
	if (!graph_time_range(steps, context->values, comparison,
						  intVal(lfourth(condition)), value->type, value->value,
						  &range))
		return FILTER_NONE;
	return deparse_found_range(context, property, &range, text);
}

/*-------------------------------------------------------------------------
 * Elements of the alert
 *-------------------------------------------------------------------------
 */

/*
 * any_text
 *		"member/any(e: e/type/...)", where "..." is the comparison of a path.
 */
static char *
any_text(List *condition, const char *comparison)
{
	return psprintf("%s/any(e: e/" GRAPH_NAMESPACE ".%s/%s)",
					strVal(lsecond(condition)), strVal(lthird(condition)),
					comparison);
}

/*
 * deparse_element
 *		Some element of the alert has this string.
 */
static FilterResult
deparse_element(DeparseContext *context, List *condition, Datum string,
				char **text)
{
	FilterResult result = deparse_equality(context, strVal(lfourth(condition)),
										   "eq", datum_string(string), text);

	if (result == FILTER_TEXT)
		*text = any_text(condition, *text);
	return result;
}

/*
 * deparse_element_array
 *		Some element of the alert has one of these strings.
 */
static FilterResult
deparse_element_array(DeparseContext *context, List *condition,
					  const GraphValue *value, char **text)
{
	Junction	junction;
	Oid			type;
	Datum	   *elements;
	bool	   *nulls;
	int			count = array_elements(value, &type, &elements, &nulls);

	start_junction(&junction, context, false);
	for (int i = 0; i < count; i++)
	{
		char	   *one = NULL;
		FilterResult result = FILTER_NONE;

		if (!nulls[i])
			result = deparse_element(context, condition, elements[i], &one);
		if (!add_condition(&junction, result, one))
			return junction.decided;
		if (list_length(junction.texts) > MAX_ALTERNATIVES)
			return leave_out(context, too_long_filter);
	}
	return end_junction(&junction, text);
}

/*
 * deparse_evidence
 *		GRAPH_FILTER_EVIDENCE and GRAPH_FILTER_EVIDENCE_ANY.
 *
 * From Microsoft's guide for the move from alerts to alerts_v2; it is not in
 * the reference, so the option evidence_filter has to allow it.
 */
static FilterResult
deparse_evidence(DeparseContext *context, List *condition, bool array,
				 char **text)
{
	const GraphValue *value = value_of(context, intVal(llast(condition)));

	context->has_any = true;
	if (!value->known)
	{
		*text = any_text(condition,
						 psprintf("%s eq {%s%s}", strVal(lfourth(condition)),
								  array ? "any of " : "",
								  value->label ? value->label : ""));
		return FILTER_TEXT;
	}
	if (value->isnull)
		return FILTER_NONE;
	return array ? deparse_element_array(context, condition, value, text) :
		deparse_element(context, condition, value->value, text);
}

/*-------------------------------------------------------------------------
 * All kinds
 *-------------------------------------------------------------------------
 */

/*
 * graph_deparse_condition
 *		One condition.
 */
FilterResult
graph_deparse_condition(DeparseContext *context, List *condition, char **text)
{
	GraphFilterKind kind = intVal(linitial(condition));
	const GraphQueryProperty *property;
	const GraphValue *value;

	if (kind == GRAPH_FILTER_AND || kind == GRAPH_FILTER_OR)
		return deparse_junction(context, condition, kind == GRAPH_FILTER_AND,
								text);
	if (kind == GRAPH_FILTER_ALWAYS || kind == GRAPH_FILTER_NEVER)
		return kind == GRAPH_FILTER_ALWAYS ? FILTER_EVERY : FILTER_NONE;
	if (kind == GRAPH_FILTER_EVIDENCE || kind == GRAPH_FILTER_EVIDENCE_ANY)
		return deparse_evidence(context, condition,
								kind == GRAPH_FILTER_EVIDENCE_ANY, text);
	if (kind == GRAPH_FILTER_RANGE)
		return deparse_time_function(context, condition, text);

	property = graph_query_property(context->resource, strVal(lsecond(condition)));
	Assert(property);
	if (kind == GRAPH_FILTER_NULL || kind == GRAPH_FILTER_NOT_NULL)
	{
		*text = psprintf("%s %s null", property->name,
						 kind == GRAPH_FILTER_NULL ? "eq" : "ne");
		return FILTER_TEXT;
	}

	/* the others end with a value */
	value = value_of(context, intVal(llast(condition)));
	if (kind == GRAPH_FILTER_ANY || kind == GRAPH_FILTER_ALL)
		return deparse_array(context, property, kind == GRAPH_FILTER_ANY,
							 value, text);
	Assert(kind == GRAPH_FILTER_COMPARE || kind == GRAPH_FILTER_DISTINCT);
	return deparse_compare(context, property, intVal(lthird(condition)), value,
						   kind == GRAPH_FILTER_DISTINCT, text);
}
