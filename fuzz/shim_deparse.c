/*-------------------------------------------------------------------------
 *
 * shim_deparse.c
 *		The functions of a server that deparse.c and resource.c need, outside of
 *		one.
 *
 * Simple ones, with the same meaning as the server's.
 *
 * IDENTIFICATION
 *		fuzz/shim_deparse.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "fuzz.h"
#include "odata/graph_odata.h"

#undef vsnprintf
#undef snprintf

extern Datum shim_array(Oid type, Datum *elements, bool *nulls, int count);

/*-------------------------------------------------------------------------
 * Strings
 *-------------------------------------------------------------------------
 */

char *
pstrdup(const char *string)
{
	return shim_keep(strdup(string));
}

void
initStringInfo(StringInfo string)
{
	memset(string, 0, sizeof(*string));
	string->data = palloc0(1);
	string->maxlen = 1;
}

static void
append_bytes(StringInfo string, const void *data, int len)
{
	string->data = repalloc(string->data, string->len + len + 1);
	string->maxlen = string->len + len + 1;
	memcpy(string->data + string->len, data, len);
	string->len += len;
	string->data[string->len] = '\0';
}

void
appendStringInfoString(StringInfo string, const char *text)
{
	append_bytes(string, text, strlen(text));
}

void
appendStringInfoChar(StringInfo string, char c)
{
	append_bytes(string, &c, 1);
}

static char *
format(const char *text, va_list arguments)
{
	va_list		copy;
	char	   *result;
	int			len;

	va_copy(copy, arguments);
	len = vsnprintf(NULL, 0, text, copy);
	va_end(copy);
	result = palloc(len + 1);
	vsnprintf(result, len + 1, text, arguments);
	return result;
}

char *
psprintf(const char *text, ...)
{
	va_list		arguments;
	char	   *result;

	va_start(arguments, text);
	result = format(text, arguments);
	va_end(arguments);
	return result;
}

void
appendStringInfo(StringInfo string, const char *text,...)
{
	va_list		arguments;

	va_start(arguments, text);
	appendStringInfoString(string, format(text, arguments));
	va_end(arguments);
}

unsigned char
pg_ascii_tolower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

char *
text_to_cstring(const text *value)
{
	size_t		len = VARSIZE(value) - VARHDRSZ;
	char	   *result = palloc0(len + 1);

	memcpy(result, VARDATA(value), len);
	return result;
}

struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}

/* Percent-encoding as curl_easy_escape() does it. */
char *
graph_url_escape(const char *text)
{
	StringInfoData result;

	initStringInfo(&result);
	for (const unsigned char *p = (const unsigned char *) text; *p; p++)
	{
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			(*p >= '0' && *p <= '9') || strchr("-._~", *p))
			appendStringInfoChar(&result, *p);
		else
			appendStringInfo(&result, "%%%02X", *p);
	}
	return result.data;
}

/* As if it were of a database in UTF-8. */
GraphTextMeaning
graph_text_meaning(const char *text)
{
	return strstr(text, "\xef\xbf\xbd") ? GRAPH_TEXT_AMBIGUOUS : GRAPH_TEXT_EXACT;
}

/*-------------------------------------------------------------------------
 * Nodes, arrays
 *-------------------------------------------------------------------------
 */

List *
lappend(List *list, void *datum)
{
	if (list == NIL)
	{
		list = palloc0(sizeof(List));
		list->type = T_List;
		list->elements = palloc0(sizeof(ListCell));
	}
	list->elements = repalloc(list->elements, (list->length + 1) * sizeof(ListCell));
	list->max_length = list->length + 1;
	list->elements[list->length++].ptr_value = datum;
	return list;
}

Integer *
makeInteger(int i)
{
	Integer    *result = palloc0(sizeof(Integer));

	result->type = T_Integer;
	result->ival = i;
	return result;
}

String *
makeString(char *string)
{
	String	   *result = palloc0(sizeof(String));

	result->type = T_String;
	result->sval = string;
	return result;
}

/* An array whose elements stand beside it and not in it. */
typedef struct ShimArray
{
	ArrayType	head;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
} ShimArray;

Datum
shim_array(Oid type, Datum *elements, bool *nulls, int count)
{
	ShimArray  *array = palloc0(sizeof(ShimArray));

	array->head.elemtype = type;
	array->elements = elements;
	array->nulls = nulls;
	array->count = count;
	return PointerGetDatum(array);
}

void
get_typlenbyvalalign(Oid type, int16 *len, bool *byval, char *align)
{
	*len = -1;
	*byval = false;
	*align = 'i';
}

void
deconstruct_array(ArrayType *array, Oid type, int len, bool byval, char align,
				  Datum **elements, bool **nulls, int *count)
{
	ShimArray  *shim = (ShimArray *) array;

	*elements = shim->elements;
	*nulls = shim->nulls;
	*count = shim->count;
}

/*-------------------------------------------------------------------------
 * Times
 *-------------------------------------------------------------------------
 */

/* In UTC; the day by Howard Hinnant's days-to-civil. */
int
timestamp2tm(Timestamp time, int *tzp, struct pg_tm *tm, fsec_t *fsec,
			 const char **tzn, pg_tz *zone)
{
	int64		days = time / USECS_PER_DAY - (time % USECS_PER_DAY < 0);
	int64		rest = time - days * USECS_PER_DAY;
	int64		z = days + 10957 + 719468;	/* from 0000-03-01 */
	int64		era = (z >= 0 ? z : z - 146096) / 146097;
	int64		doe = z - era * 146097;
	int64		yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64		doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64		month = (5 * doy + 2) / 153;

	tm->tm_mday = doy - (153 * month + 2) / 5 + 1;
	tm->tm_mon = month + (month < 10 ? 3 : -9);
	tm->tm_year = yoe + era * 400 + (tm->tm_mon <= 2);
	tm->tm_hour = rest / USECS_PER_HOUR;
	tm->tm_min = rest / USECS_PER_MINUTE % 60;
	tm->tm_sec = rest / USECS_PER_SEC % 60;
	*fsec = rest % USECS_PER_SEC;
	return 0;
}

/*-------------------------------------------------------------------------
 * Texts
 *-------------------------------------------------------------------------
 */

/* In UTF-8. */
int
pg_mbcliplen(const char *text, int len, int limit)
{
	int			result = len < limit ? len : limit;

	while (result > 0 && result < len && ((unsigned char) text[result] & 0xC0) == 0x80)
		result--;
	return result;
}

/*-------------------------------------------------------------------------
 * What is not reached
 *-------------------------------------------------------------------------
 */

#define NOT_REACHED(signature) signature { abort(); }

NOT_REACHED(TimestampTz date2timestamptz_opt_overflow(DateADT date, int *overflow))
NOT_REACHED(TimestampTz timestamp2timestamptz_opt_overflow(Timestamp time, int *overflow))
NOT_REACHED(Oid get_element_type(Oid type))
NOT_REACHED(bool graph_step_uses_session(List *step))
NOT_REACHED(char *graph_unknown_range(const char *property, List *steps, const GraphValue *values,
									  GraphComparison comparison, const char *label))
NOT_REACHED(bool graph_time_range(List *steps, const GraphValue *values, GraphComparison comparison,
								  Oid as, Oid type, Datum value, GraphTimeRange *range))
NOT_REACHED(bool errstart_cold(int elevel, const char *domain))
NOT_REACHED(bool errstart(int elevel, const char *domain))
NOT_REACHED(int errmsg_internal(const char *text,...))
NOT_REACHED(void errfinish(const char *file, int line, const char *function))

int
pg_strncasecmp(const char *s1, const char *s2, size_t n)
{
	while (n-- > 0)
	{
		unsigned char one = (unsigned char) *s1++;
		unsigned char two = (unsigned char) *s2++;

		if (one >= 'A' && one <= 'Z')
			one += 'a' - 'A';
		if (two >= 'A' && two <= 'Z')
			two += 'a' - 'A';
		if (one != two)
			return (int) one - (int) two;
		if (one == '\0')
			break;
	}
	return 0;
}
