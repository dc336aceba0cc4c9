/*-------------------------------------------------------------------------
 *
 * fuzz_deparse.c
 *		Is what deparse.c spells OData, whatever the values are?
 *
 * A libFuzzer target.  Each input becomes a tree of conditions and the values
 * of a plan, and what graph_deparse_filter() makes of them must
 *
 *	1. be read by the parser below, which knows the part of OData's grammar
 *	   that is meant to be sent, and nothing else: so no value ends its quotes;
 *	2. be no longer than is allowed;
 *	3. stay one query option when a path is made of it: nothing but unreserved
 *	   characters, and those that we put there.
 *
 * Build and run: see the Makefile beside this file.
 *
 * IDENTIFICATION
 *		fuzz/fuzz_deparse.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "utils/array.h"

#include "fuzz.h"
#include "utils/timestamp.h"
#include "odata/graph_odata.h"

/* deparse.c promises 2000 bytes for each conjunction, and windows add two. */
#define LONGEST_FILTER	4200

#define MOST_VALUES	6
#define MOST_ELEMENTS	40

extern Datum shim_array(Oid type, Datum *elements, bool *nulls, int count);

/*-------------------------------------------------------------------------
 * From bytes to conditions and values.
 *-------------------------------------------------------------------------
 */

typedef struct Input
{
	const uint8_t *p;
	const uint8_t *end;
} Input;

static int
take(Input *input, int below)
{
	return input->p < input->end ? *input->p++ % below : 0;
}

/* Of most words the length is small, of a few it is not. */
static Datum
take_text(Input *input)
{
	static const char *const words[] = {"high", "new", "microsoftDefenderForEndpoint", "unknownFutureValue"};
	size_t		len = take(input, 40);
	int			kind = take(input, 8);
	const char *word = NULL;
	struct varlena *text;

	if (kind == 0)
		len *= 40;
	len = Min(len, (size_t) (input->end - input->p));
	if (kind == 1)
	{
		word = words[take(input, 4)];
		len = strlen(word);
	}
	text = palloc0(VARHDRSZ + len);
	SET_VARSIZE(text, VARHDRSZ + len);
	memcpy(VARDATA(text), word ? word : (const char *) input->p, len);
	if (word == NULL)
		input->p += len;
	/* a text holds no zero byte */
	for (size_t i = 0; i < len; i++)
	{
		if (VARDATA(text)[i] == '\0')
			VARDATA(text)[i] = '\'';
	}
	return PointerGetDatum(text);
}

static Datum
take_time(Input *input)
{
	int64		time = 0;
	int			kind = take(input, 8);

	if (kind == 0)
		return TimestampTzGetDatum(DT_NOBEGIN);
	if (kind == 1)
		return TimestampTzGetDatum(DT_NOEND);
	for (int i = 0; i < 8 && input->p < input->end; i++)
		time = (int64) ((uint64) time << 8 | *input->p++);
	if (kind < 6)
		time %= INT64CONST(300000000000000000);
	/* what the type cannot hold is not there */
	return TimestampTzGetDatum(Min(Max(time, MIN_TIMESTAMP), END_TIMESTAMP - 1));
}

static void
take_value(Input *input, bool is_time, bool is_array, GraphValue *value)
{
	Oid			type = is_time ? TIMESTAMPTZOID : TEXTOID;
	int			count = is_array ? take(input, MOST_ELEMENTS) : 1;
	Datum	   *elements = palloc0(MOST_ELEMENTS * sizeof(Datum));
	bool	   *nulls = palloc0(MOST_ELEMENTS * sizeof(bool));

	for (int i = 0; i < count; i++)
	{
		nulls[i] = take(input, 16) == 0;
		elements[i] = is_time ? take_time(input) : take_text(input);
	}
	value->known = true;
	value->isnull = take(input, 16) == 0;
	value->type = type;
	value->value = is_array ? shim_array(type, elements, nulls, count) : elements[0];
}

static List *
take_condition(Input *input, GraphValue *values, int *nvalues, int depth)
{
	static const char *const words[] = {"severity", "status", "assignedTo", "serviceSource", "classification", "determination"};
	static const char *const times[] = {"createdDateTime", "lastUpdateDateTime"};
	GraphFilterKind kind = take(input, GRAPH_FILTER_EVIDENCE_ANY + 1);
	bool		is_time = take(input, 3) == 0;
	const char *property = is_time ? times[take(input, 2)] : words[take(input, 6)];
	List	   *list;
	int			value = *nvalues % MOST_VALUES;

	if (depth > 4 && (kind == GRAPH_FILTER_AND || kind == GRAPH_FILTER_OR))
		kind = GRAPH_FILTER_NULL;
	list = lappend(NIL, makeInteger(kind));
	if (kind == GRAPH_FILTER_AND || kind == GRAPH_FILTER_OR)
	{
		for (int i = take(input, 4); i >= 0; i--)
			list = lappend(list, take_condition(input, values, nvalues, depth + 1));
		return list;
	}
	if (kind == GRAPH_FILTER_ALWAYS || kind == GRAPH_FILTER_NEVER)
		return list;
	if (kind == GRAPH_FILTER_EVIDENCE || kind == GRAPH_FILTER_EVIDENCE_ANY)
	{
		is_time = false;
		list = lappend(list, makeString("evidence"));
		list = lappend(list, makeString("deviceEvidence"));
		property = "hostName";
	}
	list = lappend(list, makeString((char *) property));
	if (kind == GRAPH_FILTER_NULL || kind == GRAPH_FILTER_NOT_NULL)
		return list;
	if (kind == GRAPH_FILTER_COMPARE || kind == GRAPH_FILTER_DISTINCT)
		list = lappend(list, makeInteger(is_time ? take(input, GRAPH_GE + 1) : take(input, GRAPH_NE + 1)));

	/* each condition has a value of its own, of the kind that it takes */
	if (*nvalues == MOST_VALUES)
		return lappend(lappend(NIL, makeInteger(GRAPH_FILTER_NULL)), makeString("severity"));
	(*nvalues)++;
	take_value(input, is_time,
			   kind == GRAPH_FILTER_ANY || kind == GRAPH_FILTER_ALL || kind == GRAPH_FILTER_EVIDENCE_ANY,
			   &values[value]);
	return lappend(list, makeInteger(value));
}

/*-------------------------------------------------------------------------
 * The grammar.
 *-------------------------------------------------------------------------
 */

static const char *
expect(const char *p, const char *word)
{
	CHECK(strncmp(p, word, strlen(word)) == 0);
	return p + strlen(word);
}

static bool
comes(const char *p, const char *word)
{
	return strncmp(p, word, strlen(word)) == 0;
}

static const char *
read_name(const char *p)
{
	CHECK(isalpha((unsigned char) *p));
	while (isalnum((unsigned char) *p) || *p == '/' || *p == '.')
		p++;
	return p;
}

static const char *
read_literal(const char *p)
{
	if (comes(p, "null"))
		return p + 4;
	if (*p == '\'')
	{
		for (p++; *p; p++)
		{
			if (*p != '\'')
				continue;
			if (p[1] != '\'')
				return p + 1;
			p++;
		}
		CHECK(false);
	}
	for (const char *form = "dddd-dd-ddTdd:dd:dd"; *form; form++, p++)
		CHECK(*form == 'd' ? isdigit((unsigned char) *p) : *p == *form);
	if (*p == '.')
	{
		for (int i = 1; i <= 6; i++)
			CHECK(isdigit((unsigned char) p[i]));
		p += 7;
	}
	return expect(p, "Z");
}

static const char *
read_condition(const char *p, int depth)
{
	static const char *const operators[] = {" eq ", " ne ", " ge ", " lt "};

	CHECK(depth < 20);
	if (*p == '(')
	{
		const char *word = NULL;

		for (p = read_condition(p + 1, depth + 1); *p != ')';)
		{
			/* and binds closer: they may stand beside each other */
			CHECK(comes(p, " and ") || comes(p, " or "));
			word = comes(p, " and ") ? " and " : " or ";
			p = read_condition(p + strlen(word), depth + 1);
		}
		return p + 1;
	}
	if (comes(p, "evidence/any("))
	{
		p = read_name(expect(p, "evidence/any(e: "));
		return expect(read_literal(expect(p, " eq ")), ")");
	}
	p = read_name(p);
	for (size_t i = 0; i < lengthof(operators); i++)
	{
		if (comes(p, operators[i]))
			return read_literal(p + 4);
	}
	CHECK(false);
	return p;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, data + size};
	GraphValue	values[MOST_VALUES] = {0};
	GraphRequest request = {0};
	GraphWindow window = {.lower = DT_NOBEGIN, .upper = DT_NOEND};
	int			nvalues = 0;
	List	   *filters = NIL;
	GraphDeparsedFilter filter;
	char	   *path;

	for (int i = take(&input, 3); i >= 0; i--)
		filters = lappend(filters, take_condition(&input, values, &nvalues, 0));
	window.lower = DatumGetTimestampTz(take_time(&input));
	window.upper = DatumGetTimestampTz(take_time(&input));
	window.nulls = take(&input, 8) == 0;

	shim_subject = "";
	graph_deparse_filter(graph_resource_info(GRAPH_EVIDENCE), filters, values,
						 "createdDateTime", &filter);
	request.filter = filter.text;
	for (int i = 0; i < 2; i++)
	{
		if (request.filter != NULL)
		{
			const char *p;

			shim_subject = request.filter;
			CHECK(!filter.no_rows);
			CHECK(strlen(shim_subject) <= LONGEST_FILTER);
			p = read_condition(shim_subject, 0);
			while (*p)
			{
				CHECK(comes(p, " and "));
				p = read_condition(p + 5, 0);
			}
		}
		request.filter = graph_window_filter(request.filter, "createdDateTime", &window);
		filter.no_rows = false;
	}

	request.entity_set = "/security/alerts_v2";
	path = graph_request_path(&request, 10, false, false, true);
	if (request.filter)
	{
		char	   *p = path + strlen("/security/alerts_v2?$filter=");

		for (; *p && *p != '&'; p++)
			CHECK(isalnum((unsigned char) *p) || strchr("-._~%", *p));
		CHECK(strcmp(p, "&$top=10") == 0);
	}
	shim_free_all();
	return 0;
}
