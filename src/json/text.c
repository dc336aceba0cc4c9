/*-------------------------------------------------------------------------
 *
 * text.c
 *		What does this JSON value say, as text of the database, as an integer
 *		or as a time?
 *
 * Odd strings.  JSON can write what no text of PostgreSQL can hold, and a
 * service may send what is not JSON's UTF-8.  One odd string must not make a
 * whole day's alerts unreadable, so such a thing becomes U+FFFD, in text and
 * in json and jsonb alike: the escape of U+0000, an escaped surrogate that is
 * not half of a pair, and each maximal part of invalid UTF-8 (as Unicode
 * recommends and browsers do).  In a database with another encoding, each
 * character that the encoding lacks becomes '?'; one with SQL_ASCII keeps the
 * bytes of UTF-8.
 *
 * What this file refuses to know: columns and their types.
 *
 * IDENTIFICATION
 *		src/json/text.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

#include "json/json_int.h"

/*
 * graph_slice_is_null
 *		Is a value absent, or JSON's null?
 */
bool
graph_slice_is_null(GraphSlice value)
{
	return value.data == NULL || value.len == 0 || value.data[0] == 'n';
}

/*
 * graph_slice_is_string
 *		Is a value a JSON string?
 */
bool
graph_slice_is_string(GraphSlice value)
{
	return value.data != NULL && value.len >= 2 && value.data[0] == '"';
}

/*-------------------------------------------------------------------------
 * Strings: bytes of JSON to clean text in the database's encoding.
 *-------------------------------------------------------------------------
 */

/*
 * can_start
 *		Can these bytes start a character of so many bytes?
 *
 * What the second byte may be depends on the first one; whichever range that
 * is, it has the lowest or the highest of all that may follow.
 */
static bool
can_start(const char *p, int len, int whole)
{
	unsigned char low[4] = {0x80, 0x80, 0x80, 0x80};
	unsigned char high[4] = {0xBF, 0xBF, 0xBF, 0xBF};

	memcpy(low, p, len);
	memcpy(high, p, len);
	return pg_utf8_islegal(low, whole) || pg_utf8_islegal(high, whole);
}

/*
 * invalid_length
 *		Length of the invalid UTF-8 at p that one U+FFFD stands for: as much as
 *		could have been the start of a character, but one byte at least.
 */
static int
invalid_length(const char *p, const char *end)
{
	int			whole = pg_utf_mblen((const unsigned char *) p);
	int			len = 1;

	while (len < whole && len < end - p && can_start(p, len + 1, whole))
		len++;
	return len;
}

/*
 * clean_run
 *		How many bytes from p on can be taken as they are: valid UTF-8 without
 *		a backslash.
 *
 * Most values are ASCII and end this at their own end.
 */
static size_t
clean_run(const char *p, const char *end)
{
	const char *start = p;

	while (p < end)
	{
		int			len;

		for (; graph_chunk_fits(p, end); p += sizeof(GraphChunk))
		{
			GraphChunk	chunk = graph_chunk_load(p);
			GraphChunk	special = graph_chunk_equal(chunk, '\\') | chunk;
			GraphChunkMask mask = graph_chunk_mask(special);

			if (mask != 0)
			{
				p += graph_chunk_first(mask);
				break;
			}
		}
		while (p < end && !IS_HIGHBIT_SET(*p) && *p != '\\')
			p++;
		if (p == end || *p == '\\')
			break;
		len = pg_utf_mblen((const unsigned char *) p);
		if (len > end - p || !pg_utf8_islegal((const unsigned char *) p, len))
			break;
		p += len;
	}
	return p - start;
}

/*
 * clean_json_run
 *		The same for JSON text, where an escape may stay unless it is one of
 *		those that the database could not hold.
 *
 * Outside of strings there are no backslashes, so nothing need be known of the
 * syntax.
 */
static size_t
clean_json_run(const char *p, const char *end)
{
	const char *start = p;
	bool		unicode = (GetDatabaseEncoding() == PG_UTF8);

	for (;;)
	{
		const char *after;
		uint32		character;

		p += clean_run(p, end);
		if (p == end || *p != '\\')
			break;
		after = graph_json_unescape(p, end, &character);
		if (p + 1 < end && p[1] == 'u' &&
			(character == 0xFFFD || (character >= 0x80 && !unicode)))
			break;
		p = after;
	}
	return p - start;
}

/*
 * read_odd
 *		The character for what stopped a run, in *len of four bytes; returns
 *		the byte after what it stands for.
 */
static const char *
read_odd(const char *p, const char *end, char *bytes, int *len)
{
	uint32		character = 0xFFFD;

	if (*p == '\\')
		p = graph_json_unescape(p, end, &character);
	else
		p += invalid_length(p, end);
	unicode_to_utf8(character, (unsigned char *) bytes);
	*len = pg_utf_mblen((unsigned char *) bytes);
	return p;
}

/*
 * graph_clean_text
 *		Write what is between the quotes of a string as clean text.
 *
 * Returns the end of it.  There has to be room for three times as many bytes
 * as there are.
 */
char *
graph_clean_text(char *out, const char *p, const char *end)
{
	for (;;)
	{
		size_t		run = clean_run(p, end);
		int			len;

		memcpy(out, p, run);
		out += run;
		p += run;
		if (p >= end)
			return out;
		p = read_odd(p, end, out, &len);
		out += len;
	}
}

/*
 * graph_json_text
 *		The characters of a string, if it is to be unescaped, else the JSON
 *		text of a value.
 *
 * Returns reserved bytes, the text, and a zero byte; *len is that of the text.
 */
char *
graph_json_text(GraphSlice value, bool unescape, int reserve, size_t *len)
{
	const char *p = value.data + (unescape ? 1 : 0);
	const char *end = value.data + value.len - (unescape ? 1 : 0);
	size_t		(*next_run) (const char *, const char *);
	size_t		run;
	char		bytes[4];
	int			odd;
	StringInfoData buf;

	Assert(!unescape || graph_slice_is_string(value));
	if (value.len > MaxAllocSize - reserve - 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("JSON value of %zu bytes is too long", value.len)));

	next_run = unescape ? clean_run : clean_json_run;
	run = next_run(p, end);
	if (run == (size_t) (end - p))
	{
		char	   *text = palloc(reserve + run + 1);

		memset(text, 0, reserve);
		memcpy(text + reserve, p, run);
		text[reserve + run] = '\0';
		*len = run;
		return graph_to_server_encoding(text, reserve, len);
	}

	initStringInfo(&buf);
	enlargeStringInfo(&buf, reserve + value.len);
	appendStringInfoSpaces(&buf, reserve);
	for (;;)
	{
		appendBinaryStringInfo(&buf, p, run);
		p += run;
		if (p >= end)
			break;
		p = read_odd(p, end, bytes, &odd);
		appendBinaryStringInfo(&buf, bytes, odd);
		run = next_run(p, end);
	}
	*len = buf.len - reserve;
	return graph_to_server_encoding(buf.data, reserve, len);
}

/*
 * graph_decode_string
 *		The text of a JSON string, palloc'd; NULL if it is not a string.
 */
char *
graph_decode_string(GraphSlice value)
{
	size_t		len;

	if (!graph_slice_is_string(value))
		return NULL;
	return graph_json_text(value, true, 0, &len);
}

/*-------------------------------------------------------------------------
 * Numbers and times.
 *-------------------------------------------------------------------------
 */

/*
 * graph_decode_integer
 *		The integer that a value is, if it has up to 18 digits, so that it
 *		cannot overflow; false if it is anything else.
 */
bool
graph_decode_integer(GraphSlice value, int64 *result)
{
	const char *p = value.data;
	const char *end = value.data + value.len;
	bool		negative = (*p == '-');
	int64		number = 0;

	if (negative)
		p++;
	if (p == end || end - p > 18)
		return false;

	for (; p < end; p++)
	{
		if (*p < '0' || *p > '9')
			return false;
		number = number * 10 + (*p - '0');
	}
	*result = negative ? -number : number;
	return true;
}

/*
 * parse_digits
 *		Read a number of so many digits; -1 if that is not what there is.
 */
static int
parse_digits(const char *p, int count)
{
	int			number = 0;

	for (int i = 0; i < count; i++)
	{
		if (p[i] < '0' || p[i] > '9')
			return -1;
		number = number * 10 + (p[i] - '0');
	}
	return number;
}

/*
 * parse_fraction
 *		Read ".7211305" as microseconds, rounded as timestamptz_in() rounds; -1
 *		if it is not a point and some digits.
 *
 * That function has strtod() read the fraction and multiplies.  A quotient of
 * two integers that a double holds exactly is the double nearest to the
 * fraction, which is what strtod() returns, so the results are the same; of
 * more digits than a double holds, strtod() has to be asked.
 */
static int
parse_fraction(const char *p, size_t len)
{
	static const double powers[] = {
		1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9
	};
	char		text[64];
	int			number;

	if (len == 0)
		return 0;
	if (len < 2 || len >= sizeof(text) || p[0] != '.')
		return -1;
	if (len <= 10)
	{
		number = parse_digits(p + 1, len - 1);
		return number < 0 ? -1 :
			(int) rint(number / powers[len - 1] * 1000000);
	}
	for (size_t i = 1; i < len; i++)
	{
		if (p[i] < '0' || p[i] > '9')
			return -1;
	}
	memcpy(text, p, len);
	text[len] = '\0';
	return (int) rint(strtod(text, NULL) * 1000000);
}

/*
 * parse_timestamp
 *		Read a time as Graph writes it, "2021-04-27T12:19:27.7211305Z" with any
 *		number of decimals; false if it is anything else.
 */
static bool
parse_timestamp(const char *p, size_t len, TimestampTz *result)
{
	int			year;
	int			month;
	int			day;
	int			hour;
	int			minute;
	int			second;
	int			fraction;

	if (len < strlen("yyyy-mm-ddThh:mm:ssZ") || p[len - 1] != 'Z' ||
		p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' ||
		p[16] != ':')
		return false;

	year = parse_digits(p, 4);
	month = parse_digits(p + 5, 2);
	day = parse_digits(p + 8, 2);
	hour = parse_digits(p + 11, 2);
	minute = parse_digits(p + 14, 2);
	second = parse_digits(p + 17, 2);
	fraction = parse_fraction(p + 19, len - 20);
	if (year < 1 || month < 1 || month > MONTHS_PER_YEAR ||
		day < 1 || day > day_tab[isleap(year)][month - 1] ||
		hour < 0 || hour >= HOURS_PER_DAY ||
		minute < 0 || minute >= MINS_PER_HOUR ||
		second < 0 || second >= SECS_PER_MINUTE || fraction < 0)
		return false;

	*result = (date2j(year, month, day) - POSTGRES_EPOCH_JDATE) *
		USECS_PER_DAY +
		((hour * MINS_PER_HOUR + minute) * SECS_PER_MINUTE + second) *
		USECS_PER_SEC + fraction;
	return true;
}

/*
 * graph_decode_time
 *		The time that a value is, in any of OData's forms; false if it is none.
 *
 * It neither throws nor allocates.
 */
bool
graph_decode_time(GraphSlice value, TimestampTz *result)
{
	const char *p;
	size_t		len;
	char		text[64];
	int			hour;
	int			minute;

	if (!graph_slice_is_string(value) || value.len - 2 >= sizeof(text))
		return false;
	p = value.data + 1;
	len = value.len - 2;
	if (parse_timestamp(p, len, result))
		return true;

	/* "+02:00" instead of "Z" */
	if (len < strlen("yyyy-mm-ddThh:mm:ss+hh:mm") || p[len - 3] != ':' ||
		(p[len - 6] != '+' && p[len - 6] != '-'))
		return false;
	memcpy(text, p, len - 6);
	text[len - 6] = 'Z';
	hour = parse_digits(p + len - 5, 2);
	minute = parse_digits(p + len - 2, 2);
	if (hour < 0 || hour > 14 || minute < 0 || minute > 59 ||
		!parse_timestamp(text, len - 5, result))
		return false;
	*result -= (p[len - 6] == '+' ? 1 : -1) *
		(hour * MINS_PER_HOUR + minute) * USECS_PER_MINUTE;
	return true;
}
