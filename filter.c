/*-------------------------------------------------------------------------
 *
 * filter.c
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
 *		filter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "nodes/value.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "graph_fdw.h"

/*
 * Longest id that is asked for, in bytes.  Graph's are below 100; a request
 * line much longer than this is refused by servers and proxies.
 */
#define MAX_ID_BYTES	1024

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

static FilterResult spell(List *condition, const GraphValue *values,
						  char **text);

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
 * quote_literal_odata
 *		A string literal, or NULL if it would be too long.
 */
static char *
quote_literal_odata(const char *string)
{
	StringInfoData literal;

	if (strlen(string) > MAX_LITERAL_BYTES)
		return NULL;
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
spell_bound(const char *property, bool lower, TimestampTz time, char **text)
{
	int			beyond;
	char	   *literal = time_literal(time, &beyond);

	if (literal)
	{
		*text = psprintf("%s %s %s", property, lower ? "ge" : "lt", literal);
		return FILTER_TEXT;
	}
	return (beyond < 0) == lower ? FILTER_EVERY : FILTER_NONE;
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
spell_time(const char *property, GraphComparison comparison, TimestampTz time,
		   char **text)
{
	char	   *first = NULL;
	char	   *second = NULL;
	FilterResult from;
	FilterResult to;

	switch (comparison)
	{
		case GRAPH_GE:
			return spell_bound(property, true, moved(time, -1), text);
		case GRAPH_GT:
			return spell_bound(property, true, time, text);
		case GRAPH_LE:
			return spell_bound(property, false, moved(time, 1), text);
		case GRAPH_LT:
			return spell_bound(property, false, time, text);
		case GRAPH_EQ:
			if (TIMESTAMP_NOT_FINITE(time))
				return FILTER_NONE;
			from = spell_bound(property, true, moved(time, -1), &first);
			to = spell_bound(property, false, moved(time, 1), &second);
			return join_both(from, first, to, second, text);
		case GRAPH_NE:
			break;				/* what is left out is checked locally */
	}
	return FILTER_EVERY;
}

/*
 * spell_word
 *		A comparison of an enum or string property for equality.
 *
 * An enum literal that is not a known member may be a newer one, which the
 * service answers or refuses; so it is not sent.
 */
static FilterResult
spell_word(const GraphQueryProperty *property, GraphComparison comparison,
		   const char *word, char **text)
{
	char	   *literal;

	if (property->type == GRAPH_EDM_ENUM &&
		graph_enum_member(property->enum_name, word) != GRAPH_ENUM_KNOWN)
		return FILTER_EVERY;
	if (comparison != GRAPH_EQ &&
		(comparison != GRAPH_NE || property->type != GRAPH_EDM_ENUM))
		return FILTER_EVERY;
	literal = quote_literal_odata(word);
	if (literal == NULL)
		return FILTER_EVERY;
	*text = psprintf("%s %s %s", property->name,
					 comparison == GRAPH_EQ ? "eq" : "ne", literal);
	return FILTER_TEXT;
}

/*
 * spell_datum
 *		A comparison with a value that is known and not null.
 */
static FilterResult
spell_datum(const GraphQueryProperty *property, GraphComparison comparison,
			Oid type, Datum value, char **text)
{
	if (property->type == GRAPH_EDM_DATETIME)
		return spell_time(property->name, comparison,
						  as_timestamptz(type, value), text);
	return spell_word(property, comparison, datum_string(value), text);
}

/*
 * spell_label
 *		The same while a plan is explained and the value is not known.
 */
static FilterResult
spell_label(const GraphQueryProperty *property, GraphComparison comparison,
			const char *label, char **text)
{
	static const char *const words[] = {"eq", "ne", "lt", "lt", "ge", "ge"};

	*text = psprintf("%s %s {%s}", property->name, words[comparison], label);
	return FILTER_TEXT;
}

/*
 * spell_compare
 *		GRAPH_FILTER_COMPARE: NULL makes a strict operator not true.
 */
static FilterResult
spell_compare(const GraphQueryProperty *property, GraphComparison comparison,
			  const GraphValue *value, char **text)
{
	if (!value->known)
		return spell_label(property, comparison, value->label, text);
	if (value->isnull)
		return FILTER_NONE;
	return spell_datum(property, comparison, value->type, value->value, text);
}

/*
 * spell_range
 *		A range around the times of an array that is too long to spell out.
 */
static FilterResult
spell_range(const GraphQueryProperty *property, Oid type, Datum *elements,
			int count, char **text)
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
	from = spell_time(property->name, GRAPH_GE, first, &from_text);
	to = spell_time(property->name, GRAPH_LE, last, &to_text);
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
spell_alternatives(const GraphQueryProperty *property, Oid type,
				   Datum *elements, int count, char **text)
{
	StringInfoData all;
	List	   *seen = NIL;

	if (count > MAX_ALTERNATIVES && property->type == GRAPH_EDM_DATETIME)
		return spell_range(property, type, elements, count, text);

	initStringInfo(&all);
	for (int i = 0; i < count; i++)
	{
		char	   *one;

		switch (spell_datum(property, GRAPH_EQ, type, elements[i], &one))
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
		if (all.len > MAX_FILTER_BYTES)
			return FILTER_EVERY;
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
spell_none_of(const GraphQueryProperty *property, Oid type, Datum *elements,
			  int count, char **text)
{
	StringInfoData all;
	List	   *seen = NIL;

	initStringInfo(&all);
	for (int i = 0; i < count && all.len <= MAX_FILTER_BYTES / 2; i++)
	{
		char	   *one;

		if (spell_datum(property, GRAPH_NE, type, elements[i],
						&one) != FILTER_TEXT || is_duplicate(&seen, one))
			continue;
		appendStringInfo(&all, "%s%s", all.len > 0 ? " and " : "", one);
	}
	*text = all.data;
	return all.len > 0 ? FILTER_TEXT : FILTER_EVERY;
}

/*
 * spell_array
 *		GRAPH_FILTER_ANY and GRAPH_FILTER_ALL.
 *
 * A NULL in the array never equals anything; "<> ALL" of one is never true.
 */
static FilterResult
spell_array(const GraphQueryProperty *property, bool any,
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
									value->label), text);
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
		spell_alternatives(property, type, elements, kept, text) :
		spell_none_of(property, type, elements, kept, text);
}

/*
 * spell_distinct
 *		GRAPH_FILTER_DISTINCT and GRAPH_FILTER_NOT_DISTINCT: NULL is a value.
 */
static FilterResult
spell_distinct(const GraphQueryProperty *property, bool distinct,
			   const GraphValue *value, char **text)
{
	if (!value->known)
		return spell_label(property, distinct ? GRAPH_NE : GRAPH_EQ,
						   value->label, text);
	if (value->isnull)
	{
		*text = psprintf("%s %s null", property->name, distinct ? "ne" : "eq");
		return FILTER_TEXT;
	}
	return spell_datum(property, distinct ? GRAPH_NE : GRAPH_EQ, value->type,
					   value->value, text);
}

/*
 * spell_evidence
 *		GRAPH_FILTER_EVIDENCE: some evidence of the alert has this value.
 *
 * From Microsoft's guide for the move from alerts to alerts_v2; it is not in
 * the reference, so the option evidence_filter has to allow it.
 */
static FilterResult
spell_evidence(const char *type, const char *path, const GraphValue *value,
			   char **text)
{
	char	   *literal;

	if (value->known && value->isnull)
		return FILTER_NONE;
	literal = value->known ?
		quote_literal_odata(datum_string(value->value)) :
		psprintf("{%s}", value->label);
	if (literal == NULL)
		return FILTER_EVERY;
	*text = psprintf("evidence/any(e: e/microsoft.graph.security.%s/%s eq %s)",
					 type, path, literal);
	return FILTER_TEXT;
}

/*
 * spell_all
 *		All of some conditions; one that makes the whole too long is left out.
 */
static FilterResult
spell_all(List *conditions, int first, const GraphValue *values, char **text)
{
	StringInfoData all;
	ListCell   *cell;

	initStringInfo(&all);
	for_each_from(cell, conditions, first)
	{
		char	   *one = NULL;

		switch (spell(lfirst(cell), values, &one))
		{
			case FILTER_NONE:
				return FILTER_NONE;
			case FILTER_EVERY:
				continue;
			case FILTER_TEXT:
				break;
		}
		if (all.len + strlen(one) > MAX_FILTER_BYTES)
			continue;
		appendStringInfo(&all, "%s%s", all.len > 0 ? " and " : "", one);
	}
	*text = all.data;
	return all.len > 0 ? FILTER_TEXT : FILTER_EVERY;
}

/*
 * spell_any
 *		Any of some conditions, in parentheses.
 */
static FilterResult
spell_any(List *conditions, int first, const GraphValue *values, char **text)
{
	StringInfoData any;
	ListCell   *cell;
	int			count = 0;

	initStringInfo(&any);
	for_each_from(cell, conditions, first)
	{
		char	   *one = NULL;

		switch (spell(lfirst(cell), values, &one))
		{
			case FILTER_EVERY:
				return FILTER_EVERY;
			case FILTER_NONE:
				continue;
			case FILTER_TEXT:
				break;
		}
		appendStringInfo(&any, "%s%s", count++ > 0 ? " or " : "", one);
	}
	if (count == 0)
		return FILTER_NONE;
	if (any.len > MAX_FILTER_BYTES)
		return FILTER_EVERY;
	*text = psprintf("(%s)", any.data);
	return FILTER_TEXT;
}

/*
 * spell
 *		One condition.
 */
static FilterResult
spell(List *condition, const GraphValue *values, char **text)
{
	GraphFilterKind kind = intVal(linitial(condition));
	const GraphQueryProperty *property;

	if (kind == GRAPH_FILTER_AND)
		return spell_all(condition, 1, values, text);
	if (kind == GRAPH_FILTER_OR)
		return spell_any(condition, 1, values, text);
	if (kind == GRAPH_FILTER_EVIDENCE)
		return spell_evidence(strVal(lsecond(condition)),
							  strVal(lthird(condition)),
							  &values[intVal(lfourth(condition))], text);

	property = graph_query_property(strVal(lsecond(condition)));
	switch (kind)
	{
		case GRAPH_FILTER_COMPARE:
			return spell_compare(property, intVal(lthird(condition)),
								 &values[intVal(lfourth(condition))], text);
		case GRAPH_FILTER_ANY:
		case GRAPH_FILTER_ALL:
			return spell_array(property, kind == GRAPH_FILTER_ANY,
							   &values[intVal(lthird(condition))], text);
		case GRAPH_FILTER_DISTINCT:
		case GRAPH_FILTER_NOT_DISTINCT:
			return spell_distinct(property, kind == GRAPH_FILTER_DISTINCT,
								  &values[intVal(lthird(condition))], text);
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
 * graph_filter_excludes_null
 *		Do conditions that all hold let no alert through that has no value for a
 *		property?
 */
bool
graph_filter_excludes_null(List *filters, const char *property)
{
	ListCell   *cell;

	foreach(cell, filters)
	{
		List	   *condition = lfirst(cell);
		GraphFilterKind kind = intVal(linitial(condition));

		if ((kind == GRAPH_FILTER_COMPARE || kind == GRAPH_FILTER_ANY ||
			 kind == GRAPH_FILTER_NOT_NULL) &&
			strcmp(strVal(lsecond(condition)), property) == 0)
			return true;
	}
	return false;
}

/*
 * graph_filter_text
 *		The $filter for some conditions, or NULL if none is sent.
 *
 * *no_rows is set if no alert can match, so that no request is needed.
 */
char *
graph_filter_text(List *filters, const GraphValue *values, bool *no_rows)
{
	char	   *text = NULL;
	FilterResult result = spell_all(filters, 0, values, &text);

	*no_rows = result == FILTER_NONE;
	return result == FILTER_TEXT ? text : NULL;
}

/*
 * add_key
 *		Put an id into the set of those that are asked for, and in the list.
 */
static void
add_key(HTAB *seen, char ***keys, int *count, int *allocated, char *key)
{
	bool		found;

	(void) hash_search(seen, &key, HASH_ENTER, &found);
	if (found)
		return;
	if (*count == *allocated)
	{
		*allocated *= 2;
		*keys = repalloc(*keys, *allocated * sizeof(char *));
	}
	(*keys)[(*count)++] = key;
}

/*
 * hash_key, match_key
 *		A hash table over strings that are pointed to, of any length.
 */
static uint32
hash_key(const void *key, Size size)
{
	const char *string = *(char *const *) key;

	return string_hash(string, strlen(string) + 1);
}

static int
match_key(const void *first, const void *second, Size size)
{
	return strcmp(*(char *const *) first, *(char *const *) second);
}

/*
 * graph_key_list
 *		The distinct ids that values name: texts, or arrays of them.  Nulls are
 *		left out.
 */
char	  **
graph_key_list(List *keys, const GraphValue *values, int *count)
{
	HASHCTL		ctl = {0};
	HTAB	   *seen;
	int			allocated = 8;
	char	  **result = palloc(allocated * sizeof(char *));
	ListCell   *cell;

	ctl.keysize = ctl.entrysize = sizeof(char *);
	ctl.hash = hash_key;
	ctl.match = match_key;
	ctl.hcxt = CurrentMemoryContext;
	seen = hash_create("graph_fdw keys", 64, &ctl,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	*count = 0;
	foreach(cell, keys)
	{
		const GraphValue *value = &values[lfirst_int(cell)];
		Datum	   *elements;
		bool	   *nulls;
		int			n;

		if (value->isnull)
			continue;
		if (value->type == TEXTOID)
		{
			add_key(seen, &result, count, &allocated,
					datum_string(value->value));
			continue;
		}
		deconstruct_array(DatumGetArrayTypeP(value->value), TEXTOID, -1, false,
						  TYPALIGN_INT, &elements, &nulls, &n);
		for (int i = 0; i < n; i++)
		{
			if (!nulls[i])
				add_key(seen, &result, count, &allocated,
						datum_string(elements[i]));
		}
	}
	hash_destroy(seen);
	return result;
}

/*
 * leads_elsewhere
 *		Has a text a path segment "." or ".."?
 *
 * Percent-encoding does not protect those: RFC 3986 section 6.2.2.3 lets
 * everyone on the way remove them, and "%2F" is "/" to many a proxy.
 */
static bool
leads_elsewhere(const char *text)
{
	while (true)
	{
		size_t		len = strcspn(text, "/\\");

		if ((len == 1 && text[0] == '.') ||
			(len == 2 && text[0] == '.' && text[1] == '.'))
			return true;
		if (text[len] == '\0')
			return false;
		text += len + 1;
	}
}

/*
 * graph_key_path
 *		The path of an alert below the service root, or NULL if no alert can
 *		have this id: it is empty, too long, or would lead somewhere else, as
 *		"$count" does (OData 4.01 URL conventions, 4.8).
 */
char *
graph_key_path(const char *entity_set, const char *key)
{
	char	   *plain;

	if (key[0] == '\0' || strlen(key) > MAX_ID_BYTES)
		return NULL;

	/* an id that is encoded already must not be decoded twice on the way */
	plain = graph_url_unescape(key);
	if (key[0] == '$' || plain[0] == '$' ||
		leads_elsewhere(key) || leads_elsewhere(plain))
		return NULL;
	return psprintf("%s/%s", entity_set, graph_url_escape(key));
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
	char	   *texts[2] = {NULL, NULL};

	if (window->nulls)
		texts[0] = psprintf("%s eq null", property);
	else
	{
		(void) spell_bound(property, true, moved(window->lower, -1), &texts[0]);
		(void) spell_bound(property, false, window->upper, &texts[1]);
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
