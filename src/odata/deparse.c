/*-------------------------------------------------------------------------
 *
 * deparse.c
 *		How is a request spelled, once the values are known?
 *
 * A plan holds conditions without their values (deparse.c made them); when a
 * scan starts, the values are known and the conditions become an OData
 * $filter.  A condition turns out as text, as "every alert may match" (it is
 * left out) or as "no alert can match" (no request is made at all).  Whatever
 * is spelled here returns at least the alerts for which the SQL condition is
 * true: in doubt a condition is left out, for it is checked again locally.
 *
 * Only forms with evidence that the service answers them are used: eq and ne,
 * ge and lt on times, and, or, parentheses, null.  IN is a chain of or.
 *
 * Times: Graph keeps 100 ns and timestamptz microseconds, and the conversion
 * rounds.  A column that equals t may hold anything less than a microsecond
 * away, so a bound is moved outward by one where that could matter:
 *
 *		column >= t		ge t - 1us		column > t		ge t
 *		column <= t		lt t + 1us		column < t		lt t
 *
 * What this file refuses to know: the planner, clauses, transfers.
 *
 * Sources: OData 4.01 URL conventions, 5.1.1 ($filter); Graph, "Use the
 * $filter query parameter"; RFC 3986 for the escaping.
 *
 * IDENTIFICATION
 *		src/odata/deparse.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "nodes/value.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "odata/graph_odata.h"

/*
 * Longest $filter in bytes before it is escaped.  Servers commonly take
 * request lines of 8 kB; what does not fit is checked locally only.
 */
#define MAX_FILTER_BYTES	2000

/* Longest string literal; user principal names are at most 113 characters. */
#define MAX_LITERAL_BYTES	256

/* Most values of one IN list; a longer one of times becomes a range. */
#define MAX_ALTERNATIVES	20

/* The times that Edm.DateTimeOffset can hold: the years 1 to 9999. */
#define FIRST_YEAR	1
#define LAST_YEAR	9999

/* What a condition turned out as; text is set for FILTER_TEXT. */
typedef enum FilterResult
{
	FILTER_EVERY,				/* every alert may match */
	FILTER_NONE,				/* no alert can match */
	FILTER_TEXT,
} FilterResult;

/*
 * datum_string
 *		The characters of a text.
 */
static char *
datum_string(Datum value)
{
	return TextDatumGetCString(value);
}

/*
 * What is known while a condition is spelled.  Whatever is sent may let more
 * through than the condition means, but only where something was left out, or
 * where deparse.c says so of the condition as such.
 */
typedef struct Spelling
{
	const GraphValue *values;
	const char *left_out;		/* why something was; NULL: nothing was */
	bool		constant;		/* all values are constants of the plan */
	bool		labelled;		/* the text has expressions for a person */
} Spelling;

/* Between two conditions that must both hold. */
#define AND_TEXT	" and "

static FilterResult spell(Spelling *spelling, List *condition, char **text);

/* Why something is left out. */
static const char too_long_filter[] = "the filter would be too long";
static const char too_long_text[] = "the text is too long to be sent";
static const char odd_text[] = "the text may stand for another one";
static const char no_member[] = "not a value that the service is known to filter by";
static const char too_exact[] = "times are rounded to microseconds here";
static const char all_times[] = "all times that the service can have are in it";

/*
 * leave_out
 *		A condition, or a part of one, is not sent.
 */
static FilterResult
leave_out(Spelling *spelling, const char *why)
{
	if (spelling->left_out == NULL)
		spelling->left_out = why;
	return FILTER_EVERY;
}

/*
 * value_of
 *		A value of the plan.
 */
static const GraphValue *
value_of(Spelling *spelling, int number)
{
	const GraphValue *value = &spelling->values[number];

	if (!value->constant)
		spelling->constant = false;
	if (!value->known && value->label)
		spelling->labelled = true;
	return value;
}

/*
 * too_long
 *		Is this too much for a $filter?  What is written for a person may be as
 *		long as it is.
 */
static bool
too_long(const Spelling *spelling, size_t len)
{
	return len > MAX_FILTER_BYTES && !spelling->labelled;
}

/*
 * quote_literal_odata
 *		A string literal.
 */
static char *
quote_literal_odata(const char *string)
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
 * spell_equal
 *		"property eq 'string'", or with another operator.
 *
 * What is shown here may be another text at the service, and then it is not
 * sent; what cannot be shown here, no alert has.
 */
static FilterResult
spell_equal(Spelling *spelling, const char *property, const char *operator,
			const char *string, char **text)
{
	if (strlen(string) > MAX_LITERAL_BYTES)
		return leave_out(spelling, too_long_text);
	switch (graph_text_meaning(string))
	{
		case GRAPH_TEXT_ITSELF:
			break;
		case GRAPH_TEXT_PERHAPS:
			return leave_out(spelling, odd_text);
		case GRAPH_TEXT_NEVER:
			return FILTER_NONE;
	}
	*text = psprintf("%s %s %s", property, operator,
					 quote_literal_odata(string));
	return FILTER_TEXT;
}

/*
 * time_literal
 *		A date-time literal in UTC.
 *
 * Returns NULL for what Edm.DateTimeOffset cannot hold, with *beyond telling
 * on which side of all alerts it is: -1 before, 1 after.
 */
static char *
time_literal(TimestampTz time, int *beyond)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char	   *literal;

	*beyond = 0;
	if (TIMESTAMP_IS_NOBEGIN(time) || TIMESTAMP_IS_NOEND(time))
		*beyond = TIMESTAMP_IS_NOBEGIN(time) ? -1 : 1;
	else if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		*beyond = time < 0 ? -1 : 1;
	else if (tm.tm_year < FIRST_YEAR || tm.tm_year > LAST_YEAR)
		*beyond = tm.tm_year < FIRST_YEAR ? -1 : 1;
	if (*beyond != 0)
		return NULL;

	literal = psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
					   tm.tm_year, tm.tm_mon, tm.tm_mday,
					   tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fsec);
	if (fsec == 0)
		strcpy(strchr(literal, '.'), "Z");
	return literal;
}

/*
 * as_timestamptz
 *		A value that a time column is compared with, as the comparison
 *		operators take it: a date or a timestamp is one in the session's
 *		time zone.  What overflows is infinite.
 */
static TimestampTz
as_timestamptz(Oid type, Datum value)
{
	TimestampTz result;
	int			overflow = 0;

	if (type == TIMESTAMPTZOID)
		return DatumGetTimestampTz(value);
	if (type == DATEOID)
		result = date2timestamptz_opt_overflow(DatumGetDateADT(value),
											   &overflow);
	else
		result = timestamp2timestamptz_opt_overflow(DatumGetTimestamp(value),
													&overflow);
	if (overflow < 0)
		TIMESTAMP_NOBEGIN(result);
	else if (overflow > 0)
		TIMESTAMP_NOEND(result);
	return result;
}

/*
 * moved
 *		A time some microseconds later; infinite ones stay.
 */
static TimestampTz
moved(TimestampTz time, int microseconds)
{
	int64		result;

	if (TIMESTAMP_NOT_FINITE(time))
		return time;
	if (pg_add_s64_overflow(time, microseconds, &result))
		return microseconds < 0 ? DT_NOBEGIN : DT_NOEND;
	return result;
}

/*
 * spell_bound
 *		"property ge time" or "property lt time".
 */
static FilterResult
spell_bound(Spelling *spelling, const char *property, bool lower,
			TimestampTz time, char **text)
{
	int			beyond;
	char	   *literal = time_literal(time, &beyond);

	if (literal)
	{
		*text = psprintf("%s %s %s", property, lower ? "ge" : "lt", literal);
		return FILTER_TEXT;
	}
	return (beyond < 0) == lower ? leave_out(spelling, all_times) : FILTER_NONE;
}

/*
 * join_both
 *		Both conditions, or either, in parentheses where that is needed.
 */
static FilterResult
join_both(FilterResult first, char *first_text,
		  FilterResult second, char *second_text, char **text)
{
	if (first == FILTER_NONE || second == FILTER_NONE)
		return FILTER_NONE;
	if (first == FILTER_EVERY)
	{
		*text = second_text;
		return second;
	}
	*text = second == FILTER_EVERY ? first_text :
		psprintf("%s and %s", first_text, second_text);
	return first;
}

/*
 * spell_time
 *		A comparison of a date-time property; see the table above.
 */
static FilterResult
spell_time(Spelling *spelling, const char *property, GraphComparison comparison,
		   TimestampTz time, char **text)
{
	char	   *first = NULL;
	char	   *second = NULL;
	FilterResult from;
	FilterResult to;

	switch (comparison)
	{
		case GRAPH_GE:
			return spell_bound(spelling, property, true, moved(time, -1), text);
		case GRAPH_GT:
			return spell_bound(spelling, property, true, time, text);
		case GRAPH_LE:
			return spell_bound(spelling, property, false, moved(time, 1), text);
		case GRAPH_LT:
			return spell_bound(spelling, property, false, time, text);
		case GRAPH_EQ:
			if (TIMESTAMP_NOT_FINITE(time))
				return FILTER_NONE;
			from = spell_bound(spelling, property, true, moved(time, -1),
							   &first);
			to = spell_bound(spelling, property, false, moved(time, 1), &second);
			return join_both(from, first, to, second, text);
		case GRAPH_NE:
			break;				/* within a microsecond, times may differ */
	}
	return leave_out(spelling, too_exact);
}

/*
 * spell_word
 *		A comparison of an enum or string property for equality.
 *
 * An enum literal that is not a known member may be a newer one, which the
 * service answers or refuses; so it is not sent.
 */
static FilterResult
spell_word(Spelling *spelling, const GraphQueryProperty *property,
		   GraphComparison comparison, const char *word, char **text)
{
	if (property->type == GRAPH_EDM_ENUM &&
		graph_enum_member(property->enum_name, word) != GRAPH_ENUM_KNOWN)
		return leave_out(spelling, no_member);
	if (comparison != GRAPH_EQ &&
		(comparison != GRAPH_NE || property->type != GRAPH_EDM_ENUM))
		return leave_out(spelling, no_member);
	return spell_equal(spelling, property->name,
					   comparison == GRAPH_EQ ? "eq" : "ne", word, text);
}

/*
 * spell_datum
 *		A comparison with a value that is known and not null.
 */
static FilterResult
spell_datum(Spelling *spelling, const GraphQueryProperty *property,
			GraphComparison comparison, Oid type, Datum value, char **text)
{
	if (property->type == GRAPH_EDM_DATETIME)
		return spell_time(spelling, property->name, comparison,
						  as_timestamptz(type, value), text);
	return spell_word(spelling, property, comparison,
					  datum_string(value), text);
}

/*
 * spell_label
 *		The same while a query is planned or explained and the value is not
 *		known.
 */
static FilterResult
spell_label(const GraphQueryProperty *property, GraphComparison comparison,
			const char *label, char **text)
{
	static const char *const words[] = {"eq", "ne", "lt", "lt", "ge", "ge"};

	*text = psprintf("%s %s {%s}", property->name, words[comparison],
					 label ? label : "");
	return FILTER_TEXT;
}

/*
 * spell_compare
 *		GRAPH_FILTER_COMPARE: NULL makes a strict operator not true.
 */
static FilterResult
spell_compare(Spelling *spelling, const GraphQueryProperty *property,
			  GraphComparison comparison, const GraphValue *value, char **text)
{
	if (!value->known)
		return spell_label(property, comparison, value->label, text);
	if (value->isnull)
		return FILTER_NONE;
	return spell_datum(spelling, property, comparison, value->type,
					   value->value, text);
}

/*
 * spell_range
 *		A range around the times of an array that is too long to spell out.
 */
static FilterResult
spell_range(Spelling *spelling, const GraphQueryProperty *property, Oid type,
			Datum *elements, int count, char **text)
{
	TimestampTz first = as_timestamptz(type, elements[0]);
	TimestampTz last = first;
	char	   *from_text = NULL;
	char	   *to_text = NULL;
	FilterResult from;
	FilterResult to;

	for (int i = 1; i < count; i++)
	{
		TimestampTz time = as_timestamptz(type, elements[i]);

		first = Min(first, time);
		last = Max(last, time);
	}
	(void) leave_out(spelling, too_long_filter);
	from = spell_time(spelling, property->name, GRAPH_GE, first, &from_text);
	to = spell_time(spelling, property->name, GRAPH_LE, last, &to_text);
	return join_both(from, from_text, to, to_text, text);
}

/*
 * is_duplicate
 *		Was this text in the list?  It is from now on.
 */
static bool
is_duplicate(List **seen, char *text)
{
	ListCell   *cell;

	foreach(cell, *seen)
	{
		if (strcmp(lfirst(cell), text) == 0)
			return true;
	}
	*seen = lappend(*seen, text);
	return false;
}

/*
 * spell_alternatives
 *		Any of some values that are not null.
 *
 * One that is left out would lose alerts, so then all are.
 */
static FilterResult
spell_alternatives(Spelling *spelling, const GraphQueryProperty *property,
				   Oid type, Datum *elements, int count, char **text)
{
	StringInfoData all;
	List	   *seen = NIL;

	if (count > MAX_ALTERNATIVES && property->type == GRAPH_EDM_DATETIME)
		return spell_range(spelling, property, type, elements, count, text);

	initStringInfo(&all);
	for (int i = 0; i < count; i++)
	{
		char	   *one;

		switch (spell_datum(spelling, property, GRAPH_EQ, type, elements[i],
							&one))
		{
			case FILTER_EVERY:
				return FILTER_EVERY;
			case FILTER_NONE:
				continue;
			case FILTER_TEXT:
				break;
		}
		if (is_duplicate(&seen, one))
			continue;
		appendStringInfo(&all, "%s%s", all.len > 0 ? " or " : "", one);
		if (too_long(spelling, all.len))
			return leave_out(spelling, too_long_filter);
	}
	if (all.len == 0)
		return FILTER_NONE;
	*text = list_length(seen) > 1 ? psprintf("(%s)", all.data) : all.data;
	return FILTER_TEXT;
}

/*
 * spell_none_of
 *		None of some values that are not null; one may be left out.
 */
static FilterResult
spell_none_of(Spelling *spelling, const GraphQueryProperty *property, Oid type,
			  Datum *elements, int count, char **text)
{
	StringInfoData all;
	List	   *seen = NIL;

	initStringInfo(&all);
	for (int i = 0; i < count; i++)
	{
		char	   *one;

		if (spell_datum(spelling, property, GRAPH_NE, type, elements[i],
						&one) != FILTER_TEXT || is_duplicate(&seen, one))
			continue;
		if (all.len + strlen(one) > MAX_FILTER_BYTES / 2)
		{
			(void) leave_out(spelling, too_long_filter);
			break;
		}
		appendStringInfo(&all, "%s%s", all.len > 0 ? AND_TEXT : "", one);
	}
	if (all.len == 0)
		return FILTER_EVERY;
	*text = all.data;
	return FILTER_TEXT;
}

/*
 * spell_array
 *		GRAPH_FILTER_ANY and GRAPH_FILTER_ALL.
 *
 * A NULL in the array never equals anything; "<> ALL" of one is never true.
 */
static FilterResult
spell_array(Spelling *spelling, const GraphQueryProperty *property, bool any,
			const GraphValue *value, char **text)
{
	ArrayType  *array;
	Oid			type;
	int16		len;
	bool		byval;
	char		align;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			kept = 0;

	if (!value->known)
		return spell_label(property, any ? GRAPH_EQ : GRAPH_NE,
						   psprintf("%s %s", any ? "any of" : "all of",
									value->label ? value->label : ""), text);
	if (value->isnull)
		return FILTER_NONE;
	array = DatumGetArrayTypeP(value->value);
	type = ARR_ELEMTYPE(array);
	get_typlenbyvalalign(type, &len, &byval, &align);
	deconstruct_array(array, type, len, byval, align,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			elements[kept++] = elements[i];
		else if (!any)
			return FILTER_NONE;
	}
	if (kept == 0)
		return any ? FILTER_NONE : FILTER_EVERY;
	return any ?
		spell_alternatives(spelling, property, type, elements, kept, text) :
		spell_none_of(spelling, property, type, elements, kept, text);
}

/*
 * spell_distinct
 *		GRAPH_FILTER_DISTINCT and GRAPH_FILTER_NOT_DISTINCT: NULL is a value.
 */
static FilterResult
spell_distinct(Spelling *spelling, const GraphQueryProperty *property,
			   bool distinct, const GraphValue *value, char **text)
{
	if (!value->known)
		return spell_label(property, distinct ? GRAPH_NE : GRAPH_EQ,
						   value->label, text);
	if (value->isnull)
	{
		*text = psprintf("%s %s null", property->name, distinct ? "ne" : "eq");
		return FILTER_TEXT;
	}
	return spell_datum(spelling, property, distinct ? GRAPH_NE : GRAPH_EQ,
					   value->type, value->value, text);
}

/*
 * spell_evidence
 *		GRAPH_FILTER_EVIDENCE: some evidence of the alert has this value.
 *
 * From Microsoft's guide for the move from alerts to alerts_v2; it is not in
 * the reference, so the option evidence_filter has to allow it.
 */
static FilterResult
spell_evidence(Spelling *spelling, const char *type, const char *path,
			   const GraphValue *value, char **text)
{
	FilterResult result = FILTER_TEXT;

	if (!value->known)
		*text = psprintf("%s eq {%s}", path, value->label ? value->label : "");
	else if (value->isnull)
		return FILTER_NONE;
	else
		result = spell_equal(spelling, path, "eq",
							 datum_string(value->value), text);
	if (result == FILTER_TEXT)
		*text = psprintf("evidence/any(e: e/microsoft.graph.security.%s/%s)",
						 type, *text);
	return result;
}

/*
 * spell_all
 *		All of some conditions; one that makes the whole too long is left out.
 */
static FilterResult
spell_all(Spelling *spelling, List *conditions, char **text)
{
	StringInfoData all;
	ListCell   *cell;

	initStringInfo(&all);
	for_each_from(cell, conditions, 1)
	{
		char	   *one = NULL;

		switch (spell(spelling, lfirst(cell), &one))
		{
			case FILTER_NONE:
				return FILTER_NONE;
			case FILTER_EVERY:
				continue;
			case FILTER_TEXT:
				break;
		}
		if (too_long(spelling, all.len + strlen(one)))
		{
			(void) leave_out(spelling, too_long_filter);
			continue;
		}
		appendStringInfo(&all, "%s%s", all.len > 0 ? AND_TEXT : "", one);
	}
	if (all.len == 0)
		return FILTER_EVERY;
	*text = all.data;
	return FILTER_TEXT;
}

/*
 * spell_any
 *		Any of some conditions, in parentheses.
 */
static FilterResult
spell_any(Spelling *spelling, List *conditions, char **text)
{
	StringInfoData any;
	ListCell   *cell;

	initStringInfo(&any);
	for_each_from(cell, conditions, 1)
	{
		char	   *one = NULL;

		switch (spell(spelling, lfirst(cell), &one))
		{
			case FILTER_EVERY:
				return FILTER_EVERY;
			case FILTER_NONE:
				continue;
			case FILTER_TEXT:
				break;
		}
		appendStringInfo(&any, "%s%s", any.len > 0 ? " or " : "", one);
		if (too_long(spelling, any.len))
			return leave_out(spelling, too_long_filter);
	}
	if (any.len == 0)
		return FILTER_NONE;
	*text = psprintf("(%s)", any.data);
	return FILTER_TEXT;
}

/*
 * spell
 *		One condition.
 */
static FilterResult
spell(Spelling *spelling, List *condition, char **text)
{
	GraphFilterKind kind = intVal(linitial(condition));
	const GraphQueryProperty *property;

	if (kind == GRAPH_FILTER_AND)
		return spell_all(spelling, condition, text);
	if (kind == GRAPH_FILTER_OR)
		return spell_any(spelling, condition, text);
	if (kind == GRAPH_FILTER_EVIDENCE)
		return spell_evidence(spelling, strVal(lsecond(condition)),
							  strVal(lthird(condition)),
							  value_of(spelling, intVal(lfourth(condition))),
							  text);

	property = graph_query_property(strVal(lsecond(condition)));
	switch (kind)
	{
		case GRAPH_FILTER_COMPARE:
			return spell_compare(spelling, property, intVal(lthird(condition)),
								 value_of(spelling, intVal(lfourth(condition))),
								 text);
		case GRAPH_FILTER_ANY:
		case GRAPH_FILTER_ALL:
			return spell_array(spelling, property, kind == GRAPH_FILTER_ANY,
							   value_of(spelling, intVal(lthird(condition))),
							   text);
		case GRAPH_FILTER_DISTINCT:
		case GRAPH_FILTER_NOT_DISTINCT:
			return spell_distinct(spelling, property,
								  kind == GRAPH_FILTER_DISTINCT,
								  value_of(spelling, intVal(lthird(condition))),
								  text);
		case GRAPH_FILTER_NULL:
		case GRAPH_FILTER_NOT_NULL:
			*text = psprintf("%s %s null", property->name,
							 kind == GRAPH_FILTER_NULL ? "eq" : "ne");
			return FILTER_TEXT;
		default:
			elog(ERROR, "unrecognized condition: %d", (int) kind);
	}
	return FILTER_EVERY;		/* keep the compiler quiet */
}

/*
 * excludes_null
 *		Does a condition that is sent let no alert through that has no value for
 *		a property?
 */
static bool
excludes_null(List *condition, const char *property)
{
	GraphFilterKind kind = intVal(linitial(condition));

	return (kind == GRAPH_FILTER_COMPARE || kind == GRAPH_FILTER_ANY ||
			kind == GRAPH_FILTER_NOT_NULL) &&
		strcmp(strVal(lsecond(condition)), property) == 0;
}

/*
 * take_room
 *		Is there room for so much in a $filter that has so many bytes?  If so, it
 *		is taken.
 */
static bool
take_room(int *bytes, size_t len)
{
	size_t		all = *bytes + (*bytes > 0 ? strlen(AND_TEXT) : 0) + len;

	if (all > MAX_FILTER_BYTES)
		return false;
	*bytes = (int) all;
	return true;
}

/*
 * graph_filter_settle
 *		What becomes of a condition, as far as that can be said while a query is
 *		planned: before some of its values are known, that may be too much.
 *
 * *bytes is how long the constant part of the $filter is so far.  It has room
 * for all conditions that settle, since those are the first to be taken.
 */
GraphSettled
graph_filter_settle(List *condition, const GraphValue *values, int *bytes)
{
	Spelling	spelling = {values, NULL, true, false};
	GraphSettled settled = {0};
	char	   *text = NULL;
	FilterResult result = spell(&spelling, condition, &text);

	if (result == FILTER_TEXT && spelling.constant &&
		!take_room(bytes, strlen(text)))
		result = leave_out(&spelling, too_long_filter);
	/* what every alert matches, with nothing left out, is true */
	settled.is_sent = result != FILTER_EVERY || spelling.left_out == NULL;
	settled.is_whole = spelling.constant && spelling.left_out == NULL;
	settled.left_out = spelling.left_out;
	return settled;
}

/*
 * graph_deparse_filter
 *		The $filter for some conditions, all of which must hold.
 *
 * Those that are constant come first where there is not enough room, because
 * the plan says that they are sent.  time_property is what the list is in
 * order by.
 */
void
graph_deparse_filter(List *filters, const GraphValue *values,
				  const char *time_property, GraphFilterText *result)
{
	int			count = list_length(filters);
	char	  **texts = palloc0(Max(count, 1) * sizeof(char *));
	Spelling   *spellings = palloc0(Max(count, 1) * sizeof(Spelling));
	StringInfoData all;
	int			bytes = 0;

	memset(result, 0, sizeof(GraphFilterText));
	result->is_whole = true;
	for (int i = 0; i < count; i++)
	{
		FilterResult one;

		spellings[i] = (Spelling) {values, NULL, true, false};
		one = spell(&spellings[i], list_nth(filters, i), &texts[i]);
		if (one != FILTER_TEXT)
			texts[i] = NULL;
		result->no_rows = result->no_rows || one == FILTER_NONE;
		result->is_whole = result->is_whole && spellings[i].left_out == NULL;
	}
	if (result->no_rows)
		return;

	for (int constant = 1; constant >= 0; constant--)
	{
		for (int i = 0; i < count; i++)
		{
			if (texts[i] == NULL || spellings[i].constant != constant ||
				spellings[i].labelled || take_room(&bytes, strlen(texts[i])))
				continue;
			texts[i] = NULL;
			result->is_whole = false;
		}
	}

	initStringInfo(&all);
	for (int i = 0; i < count; i++)
	{
		if (texts[i] == NULL)
			continue;
		appendStringInfo(&all, "%s%s", all.len > 0 ? AND_TEXT : "", texts[i]);
		result->no_nulls = result->no_nulls ||
			excludes_null(list_nth(filters, i), time_property);
	}
	result->text = all.len > 0 ? all.data : NULL;
}

/*
 * add_option
 *		Append a query option to a path.
 */
static void
add_option(StringInfo path, const char *name, const char *value, bool escape)
{
	appendStringInfo(path, "%c%s=%s", strchr(path->data, '?') ? '&' : '?',
					 name, escape ? graph_url_escape(value) : value);
}

/*
 * graph_request_path
 *		The path of a list or a count below the service root, with its query
 *		options.
 *
 * page_size is the $top to ask for; escape is false for a person to read.
 */
char *
graph_request_path(const GraphRequest *request, int page_size,
				   bool with_select, bool with_count, bool escape)
{
	StringInfoData path;

	initStringInfo(&path);
	appendStringInfoString(&path, request->entity_set);
	if (request->filter)
		add_option(&path, "$filter", request->filter, escape);
	if (request->order_property)
		add_option(&path, "$orderby",
				   psprintf("%s %s", request->order_property,
							request->descending ? "desc" : "asc"), escape);
	if (request->select && with_select)
		add_option(&path, "$select", request->select, escape);
	if (with_count || request->mode == GRAPH_SCAN_COUNT)
		add_option(&path, "$count", "true", escape);
	add_option(&path, "$top", psprintf("%d", page_size), escape);
	return path.data;
}

/*
 * graph_window_filter
 *		A $filter that also keeps to a window; filter may be NULL.
 *
 * Like any filter it lets through a little more: what rounds up to the lower
 * bound here is below it at the service.
 */
char *
graph_window_filter(const char *filter, const char *property,
					const GraphWindow *window)
{
	StringInfoData result;
	Spelling	spelling = {0};
	char	   *texts[2] = {NULL, NULL};

	if (window->nulls)
		texts[0] = psprintf("%s eq null", property);
	else
	{
		(void) spell_bound(&spelling, property, true, moved(window->lower, -1),
						   &texts[0]);
		(void) spell_bound(&spelling, property, false, window->upper, &texts[1]);
	}

	initStringInfo(&result);
	if (filter)
		appendStringInfoString(&result, filter);
	for (size_t i = 0; i < lengthof(texts); i++)
	{
		if (texts[i])
			appendStringInfo(&result, "%s%s", result.len > 0 ? " and " : "",
							 texts[i]);
	}
	return result.len > 0 ? result.data : NULL;
}
