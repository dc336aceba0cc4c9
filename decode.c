/*-------------------------------------------------------------------------
 *
 * decode.c
 *		What does this text mean as a Datum?
 *
 * A decoder is resolved once for a column: its input function, and whether
 * there is a shorter way from the bytes of a JSON value to the Datum.  Then
 * each value goes straight from its bytes: strings are unescaped once, numbers
 * reach their type as the digits that they are written with, json gets the
 * bytes as they stand, and jsonb is made of them by jsonb.c.
 *
 * Odd strings.  JSON can write what no text of PostgreSQL can hold, and a
 * service may send what is not JSON's UTF-8.  One odd string must not make a
 * whole day's alerts unreadable, so such a thing becomes U+FFFD, in text and
 * in json and jsonb alike: the escape of U+0000, an escaped surrogate that is
 * not half of a pair, and each maximal part of invalid UTF-8 (as Unicode
 * recommends and browsers do).  In a database with another encoding, each
 * character that the encoding lacks becomes '?'; one with SQL_ASCII keeps the
 * bytes of UTF-8.  Anything else that a type does not accept is the type's own
 * error.
 *
 * Assumed: values are slices that json.c has found, so they are JSON; the
 * current memory context is the place for results.  Nothing here knows where
 * the bytes came from.
 *
 * IDENTIFICATION
 *		decode.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#if defined(__SSE2__) && !defined(GRAPH_NO_SIMD)
#define GRAPH_USE_SSE2
#include <emmintrin.h>
#endif

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "graph_fdw.h"

/* Makes a Datum of a value that is neither absent nor null. */
typedef Datum (*DecodeFunction) (GraphDecoder *decoder, GraphSlice value);

struct GraphDecoder
{
	DecodeFunction decode;
	Oid			type;			/* of the result */
	MemoryContext context;		/* lives as long as the decoder */

	/* input function of the type, of the base type if it is a domain */
	FmgrInfo	input;
	Oid			ioparam;
	int32		typmod;

	/* if it is an array, or a domain over one */
	GraphDecoder *element;
	int16		elmlen;
	bool		elmbyval;
	char		elmalign;

	GraphJsonbBuilder *jsonb;	/* if decode_jsonb() decodes it */

	/* if it is a domain */
	bool		is_domain;
	void	   *constraints;	/* kept by domain_check() */
};

/* Text is brought into another encoding so many bytes at a time. */
#define CONVERSION_PIECE 256

/*-------------------------------------------------------------------------
 * Text: bytes of JSON to clean text in the database's encoding.
 *-------------------------------------------------------------------------
 */

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

/* Length of the character at p, or 0 if it is not valid UTF-8. */
static inline int
legal_length(const char *p, const char *end)
{
	int			len = pg_utf_mblen((const unsigned char *) p);

	if (len > end - p || !pg_utf8_islegal((const unsigned char *) p, len))
		return 0;
	return len;
}

/*
 * Length of the invalid UTF-8 at p that one U+FFFD stands for: as much as
 * could have been the start of a character, but one byte at least.
 */
static int
invalid_length(const char *p, const char *end)
{
	const unsigned char *s = (const unsigned char *) p;
	int			want;
	int			len;
	unsigned char low = 0x80;
	unsigned char high = 0xBF;

	if (s[0] >= 0xC2 && s[0] <= 0xDF)
		want = 2;
	else if (s[0] >= 0xE0 && s[0] <= 0xEF)
		want = 3;
	else if (s[0] >= 0xF0 && s[0] <= 0xF4)
		want = 4;
	else
		return 1;

	/* overlong forms, surrogates and what is past U+10FFFF */
	if (s[0] == 0xE0)
		low = 0xA0;
	else if (s[0] == 0xED)
		high = 0x9F;
	else if (s[0] == 0xF0)
		low = 0x90;
	else if (s[0] == 0xF4)
		high = 0x8F;

	for (len = 1; len < want && p + len < end; len++)
	{
		if (s[len] < low || s[len] > high)
			break;
		low = 0x80;
		high = 0xBF;
	}
	return len;
}

/*
 * How many bytes from p on can be taken as they are: valid UTF-8 without a
 * backslash.  Most values are ASCII and end this at their own end.
 */
static size_t
clean_run(const char *p, const char *end)
{
	const char *start = p;

	while (p < end)
	{
		int			len;

#ifdef GRAPH_USE_SSE2
		while (end - p >= (ptrdiff_t) sizeof(__m128i))
		{
			__m128i		chunk = _mm_loadu_si128((const __m128i *) p);
			__m128i		backslash;
			int			mask;

			backslash = _mm_cmpeq_epi8(chunk, _mm_set1_epi8('\\'));
			mask = _mm_movemask_epi8(_mm_or_si128(chunk, backslash));
			if (mask != 0)
			{
				p += __builtin_ctz(mask);
				break;
			}
			p += sizeof(__m128i);
		}
#endif
		while (p < end && !IS_HIGHBIT_SET(*p) && *p != '\\')
			p++;
		if (p == end || *p == '\\')
			break;
		len = legal_length(p, end);
		if (len == 0)
			break;
		p += len;
	}
	return p - start;
}

/*
 * The same for JSON text, where an escape may stay unless it is one of
 * those that the database could not hold.  Outside of strings there are no
 * backslashes, so nothing need be known of the syntax.
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
 * The character for what stopped a run, in *len of four bytes; returns the
 * byte after what it stands for.
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

static bool
is_ascii(const char *p, size_t len)
{
	const char *end = p + len;

	while (p < end && !IS_HIGHBIT_SET(*p))
		p++;
	return p == end;
}

/*
 * Append text that is not ASCII in another encoding; proc converts to it, or
 * is InvalidOid if nothing does.
 */
static void
append_converted(StringInfo out, Oid proc, int encoding,
				 const char *p, const char *end)
{
	unsigned char converted[CONVERSION_PIECE * MAX_CONVERSION_GROWTH + 1];

	while (p < end)
	{
		int			len = 0;
		int			done = 0;

		while (p + len < end && IS_HIGHBIT_SET(p[len]) &&
			   len <= CONVERSION_PIECE - 4)
			len += pg_utf_mblen((const unsigned char *) p + len);
		if (len == 0)
		{
			appendStringInfoCharMacro(out, *p++);
			continue;
		}

		converted[0] = '\0';
		if (OidIsValid(proc))
			done = pg_do_encoding_conversion_buf(proc, PG_UTF8, encoding,
												 (unsigned char *) p, len,
												 converted, sizeof(converted),
												 true);
		appendStringInfoString(out, (char *) converted);
		p += done;
		if (done < len)
		{
			appendStringInfoChar(out, '?');
			p += pg_utf_mblen((const unsigned char *) p);
		}
	}
}

/*
 * graph_to_server_encoding
 *		Bring text from clean UTF-8 into the database's encoding.
 *
 * The first bytes are reserved for the caller and are not text; *len does not
 * count them.  The text is palloc'd, and is the result or freed.
 */
char *
graph_to_server_encoding(char *text, int reserve, size_t *len)
{
	int			encoding = GetDatabaseEncoding();
	StringInfoData buf;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII ||
		is_ascii(text + reserve, *len))
		return text;

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, text, reserve);
	append_converted(&buf, FindDefaultConversionProc(PG_UTF8, encoding),
					 encoding, text + reserve, text + reserve + *len);
	pfree(text);
	*len = buf.len - reserve;
	return buf.data;
}

/*
 * The text that a value is for anything but JSON itself: the characters of a
 * string, else the JSON text.
 *
 * Returns reserved bytes, the text, and a zero byte; *len is that of the text.
 */
static char *
value_text(GraphSlice value, bool unescape, int reserve, size_t *len)
{
	const char *p = value.data + (unescape ? 1 : 0);
	const char *end = value.data + value.len - (unescape ? 1 : 0);
	size_t		(*next_run) (const char *, const char *);
	size_t		run;
	char		bytes[4];
	int			odd;
	StringInfoData buf;

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
	return value_text(value, true, 0, &len);
}

/*-------------------------------------------------------------------------
 * Values: a function for each way to make a Datum.
 *-------------------------------------------------------------------------
 */

/* By the type's input function: what every type can do. */
static Datum
decode_by_input(GraphDecoder *decoder, GraphSlice value)
{
	size_t		len;
	char	   *text;

	text = value_text(value, graph_slice_is_string(value), 0, &len);
	return InputFunctionCall(&decoder->input, text, decoder->ioparam,
							 decoder->typmod);
}

static Datum
make_text(GraphSlice value, bool unescape)
{
	size_t		len;
	char	   *text = value_text(value, unescape, VARHDRSZ, &len);

	SET_VARSIZE(text, VARHDRSZ + len);
	return PointerGetDatum(text);
}

/* Text of any length, which the input functions of text only copy. */
static Datum
decode_text(GraphDecoder *decoder, GraphSlice value)
{
	return make_text(value, graph_slice_is_string(value));
}

/* The same JSON, since it was checked when it was found. */
static Datum
decode_json(GraphDecoder *decoder, GraphSlice value)
{
	return make_text(value, false);
}

static Datum
decode_jsonb(GraphDecoder *decoder, GraphSlice value)
{
	return graph_jsonb_build(decoder->jsonb, value);
}

/* The same in databases that are not in UTF-8. */
static Datum
decode_jsonb_by_input(GraphDecoder *decoder, GraphSlice value)
{
	size_t		len;
	char	   *text = value_text(value, false, 0, &len);

	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
}

static Datum
decode_bool(GraphDecoder *decoder, GraphSlice value)
{
	if (value.data[0] == 't' || value.data[0] == 'f')
		return BoolGetDatum(value.data[0] == 't');
	return decode_by_input(decoder, value);
}

/*
 * Read a JSON number that is an integer of up to 18 digits, so that it cannot
 * overflow.  Whatever else there is goes to the input function, for its result
 * or its error.
 */
static bool
parse_integer(GraphSlice value, int64 *result)
{
	const char *p = value.data;
	const char *end = value.data + value.len;
	bool		negative = (*p == '-');

	if (negative)
		p++;
	if (p == end || end - p > 18)
		return false;

	*result = 0;
	for (; p < end; p++)
	{
		if (*p < '0' || *p > '9')
			return false;
		*result = *result * 10 + (*p - '0');
	}
	if (negative)
		*result = -*result;
	return true;
}

static Datum
decode_int8(GraphDecoder *decoder, GraphSlice value)
{
	int64		number;

	if (parse_integer(value, &number))
		return Int64GetDatum(number);
	return decode_by_input(decoder, value);
}

static Datum
decode_int4(GraphDecoder *decoder, GraphSlice value)
{
	int64		number;

	if (parse_integer(value, &number) &&
		number >= PG_INT32_MIN && number <= PG_INT32_MAX)
		return Int32GetDatum((int32) number);
	return decode_by_input(decoder, value);
}

static Datum
decode_int2(GraphDecoder *decoder, GraphSlice value)
{
	int64		number;

	if (parse_integer(value, &number) &&
		number >= PG_INT16_MIN && number <= PG_INT16_MAX)
		return Int16GetDatum((int16) number);
	return decode_by_input(decoder, value);
}

/* Read a number of so many digits; -1 if that is not what there is. */
static int
parse_digits(const char *p, int count)
{
	int			number = 0;
	int			i;

	for (i = 0; i < count; i++)
	{
		if (p[i] < '0' || p[i] > '9')
			return -1;
		number = number * 10 + (p[i] - '0');
	}
	return number;
}

/*
 * Read ".7211305" as microseconds, rounded as timestamptz_in() rounds; -1 if
 * it is not a point and some digits.
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
 * Read a time as Graph writes it, "2021-04-27T12:19:27.7211305Z" with any
 * number of decimals; false if it is anything else.
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

static Datum
decode_timestamptz(GraphDecoder *decoder, GraphSlice value)
{
	TimestampTz result;

	if (graph_decode_time(value, &result))
		return TimestampTzGetDatum(result);
	return decode_by_input(decoder, value);
}

/* What JSON calls a value, for messages. */
static const char *
json_kind(GraphSlice value)
{
	switch (value.data[0])
	{
		case '{':
			return "object";
		case '[':
			return "array";
		case '"':
			return "string";
		case 't':
		case 'f':
			return "boolean";
		default:
			return "number";
	}
}

/*
 * An array, of one dimension always: what an element has inside is for
 * the decoder of the element, to which an inner array is JSON like any other.
 */
static Datum
decode_array(GraphDecoder *decoder, GraphSlice value)
{
	int			space = 16;
	int			count = 0;
	Datum	   *datums = palloc(space * sizeof(Datum));
	bool	   *nulls = palloc(space * sizeof(bool));
	size_t		position = 0;
	GraphSlice	element;
	int			dims[1];
	int			lower_bounds[1] = {1};

	if (value.data[0] != '[')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("cannot convert a JSON %s to type %s",
						json_kind(value), format_type_be(decoder->type))));

	while (graph_json_next_element(value, &position, NULL, NULL, &element))
	{
		if (count == space)
		{
			space *= 2;
			datums = repalloc(datums, space * sizeof(Datum));
			nulls = repalloc(nulls, space * sizeof(bool));
		}
		datums[count] = graph_decode(decoder->element, element,
									 &nulls[count]);
		count++;
	}
	if (count == 0)
		return PointerGetDatum(construct_empty_array(decoder->element->type));

	dims[0] = count;
	return PointerGetDatum(construct_md_array(datums, nulls, 1, dims,
											  lower_bounds,
											  decoder->element->type,
											  decoder->elmlen,
											  decoder->elmbyval,
											  decoder->elmalign));
}

/*-------------------------------------------------------------------------
 * Decoders.
 *-------------------------------------------------------------------------
 */

/* The shortest way to a type that is neither an array nor a domain. */
static DecodeFunction
choose_function(Oid type, int32 typmod)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			return typmod < 0 ? decode_text : decode_by_input;
		case JSONOID:
			return decode_json;
		case JSONBOID:
			return GetDatabaseEncoding() == PG_UTF8 ?
				decode_jsonb : decode_jsonb_by_input;
		case BOOLOID:
			return decode_bool;
		case INT2OID:
			return decode_int2;
		case INT4OID:
			return decode_int4;
		case INT8OID:
			return decode_int8;
		case TIMESTAMPTZOID:
			return typmod < 0 ? decode_timestamptz : decode_by_input;
		default:
			return decode_by_input;
	}
}

/*
 * graph_decoder_create
 *		Find out how values become Datums of a type.
 *
 * The decoder lives in the current memory context.  A domain is decoded as
 * its base type, and then checked, which is what its own input function does.
 */
GraphDecoder *
graph_decoder_create(Oid type, int32 typmod)
{
	GraphDecoder *decoder = palloc0(sizeof(GraphDecoder));
	Oid			element;
	Oid			input;

	decoder->type = type;
	decoder->context = CurrentMemoryContext;
	decoder->typmod = typmod;
	if (get_typtype(type) == TYPTYPE_DOMAIN)
	{
		decoder->is_domain = true;
		decoder->typmod = -1;
		type = getBaseTypeAndTypmod(type, &decoder->typmod);
	}

	element = get_element_type(type);
	if (OidIsValid(element))
	{
		decoder->decode = decode_array;
		decoder->element = graph_decoder_create(element, decoder->typmod);
		get_typlenbyvalalign(element, &decoder->elmlen, &decoder->elmbyval,
							 &decoder->elmalign);
	}
	else
	{
		decoder->decode = choose_function(type, decoder->typmod);
		if (decoder->decode == decode_jsonb)
			decoder->jsonb = graph_jsonb_builder_create();
		getTypeInputInfo(type, &input, &decoder->ioparam);
		fmgr_info(input, &decoder->input);
	}
	return decoder;
}

/*
 * graph_decode
 *		Make a Datum of a value, in the current memory context.
 *
 * An absent value and JSON's null are NULL.
 */
Datum
graph_decode(GraphDecoder *decoder, GraphSlice value, bool *isnull)
{
	Datum		result = (Datum) 0;

	*isnull = graph_slice_is_null(value);
	if (!*isnull)
		result = decoder->decode(decoder, value);
	if (decoder->is_domain)
		domain_check(result, *isnull, decoder->type, &decoder->constraints,
					 decoder->context);
	return result;
}
