/*-------------------------------------------------------------------------
 *
 * fuzz_decode.c
 *		Does a JSON value become what it means, whatever is in it?
 *
 * A libFuzzer target.  Each input names a type, an encoding and a JSON value,
 * and what decode.c and jsonb.c make of the value is compared with what a
 * simple reader of the same text has found:
 *
 *	1. text has the characters of the string, and U+FFFD for what no text can
 *	   hold; json has the same bytes, but for that; and both are valid in the
 *	   database's encoding;
 *	2. a jsonb is one by utils/jsonb.h, to its last byte, and has the value's
 *	   members and elements, each with its value;
 *	3. a number, a boolean or a time that did not go to its type's input
 *	   function is what that function would have made of it, and what did go
 *	   there went as the right text;
 *	4. an array has the value's elements, a domain is checked, and there is an
 *	   error if, and only if, one has to be.
 *
 * The value is handed over in an allocation of its own size, so that the
 * sanitizer sees a read past its end, and twice to the same decoder, which may
 * keep something from the first time.
 *
 * An input is a letter for the type, a digit for the encoding, and the text:
 * see read_input().
 *
 * Build and run: see the Makefile beside this file.
 *
 * IDENTIFICATION
 *		fuzz/fuzz_decode.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/jsonb.h"

#include "fuzz.h"
#include "row/graph_row.h"
#include "shim_decode.h"
#include "utils/timestamp.h"

#undef snprintf
#undef sprintf

/* Longer inputs are not tried. */
#define LONGEST_INPUT	8192

/* What a character is that no text can hold. */
#define REPLACEMENT		0xFFFD

static bool
same(GraphSlice a, GraphSlice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static GraphSlice
slice_of(const char *text)
{
	GraphSlice	slice = {text, strlen(text)};

	return slice;
}

/*-------------------------------------------------------------------------
 * Characters.
 *-------------------------------------------------------------------------
 */

/*
 * Read a character of UTF-8.  What is not valid is U+FFFD, and as long as the
 * longest start of a row of this table, which is table 3-7 of the Unicode
 * Standard: the lowest and the highest of each byte.
 */
static uint32
read_utf8(const char *p, const char *end, int *len)
{
	static const unsigned char rows[][8] = {
		{0x00, 0x7F},
		{0xC2, 0xDF, 0x80, 0xBF},
		{0xE0, 0xE0, 0xA0, 0xBF, 0x80, 0xBF},
		{0xE1, 0xEC, 0x80, 0xBF, 0x80, 0xBF},
		{0xED, 0xED, 0x80, 0x9F, 0x80, 0xBF},
		{0xEE, 0xEF, 0x80, 0xBF, 0x80, 0xBF},
		{0xF0, 0xF0, 0x90, 0xBF, 0x80, 0xBF, 0x80, 0xBF},
		{0xF1, 0xF3, 0x80, 0xBF, 0x80, 0xBF, 0x80, 0xBF},
		{0xF4, 0xF4, 0x80, 0x8F, 0x80, 0xBF, 0x80, 0xBF},
	};
	static const unsigned char first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
	const unsigned char *s = (const unsigned char *) p;

	*len = 1;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		const unsigned char *row = rows[i];
		int			want = 0;
		int			have = 0;

		while (want < 4 && row[2 * want + 1] != 0)
			want++;
		while (have < want && have < end - p &&
			   s[have] >= row[2 * have] && s[have] <= row[2 * have + 1])
			have++;
		*len = Max(*len, have);
		if (have == want)
		{
			uint32		c = s[0] & first_bits[want];

			for (int j = 1; j < want; j++)
				c = c << 6 | (s[j] & 0x3F);
			return c;
		}
	}
	return REPLACEMENT;
}

static uint32
read_unit(const char *p)
{
	char		digits[5] = {p[2], p[3], p[4], p[5], '\0'};

	return strtoul(digits, NULL, 16);
}

static uint32
read_escape(const char *p, const char *end, int *len)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	uint32		first;

	*len = 2;
	if (p[1] != 'u')
		return to[strchr(from, p[1]) - from];

	*len = 6;
	first = read_unit(p);
	if (first >= 0xD800 && first <= 0xDBFF && end - p >= 12 &&
		p[6] == '\\' && p[7] == 'u')
	{
		uint32		second = read_unit(p + 6);

		if (second >= 0xDC00 && second <= 0xDFFF)
		{
			*len = 12;
			return 0x10000 + (first - 0xD800) * 0x400 + (second - 0xDC00);
		}
	}
	if (first == 0 || (first >= 0xD800 && first <= 0xDFFF))
		return REPLACEMENT;
	return first;
}

static uint32
read_character(const char *p, const char *end, int *len)
{
	return *p == '\\' ? read_escape(p, end, len) : read_utf8(p, end, len);
}

static void
put_character(char *text, size_t *len, uint32 c)
{
	int			bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char first_bits[] = {0, 0, 0xC0, 0xE0, 0xF0};

	text[(*len)++] = first_bits[bytes] | (c >> (6 * (bytes - 1)));
	for (int i = bytes - 2; i >= 0; i--)
		text[(*len)++] = 0x80 | ((c >> (6 * i)) & 0x3F);
}

/* The characters of a string, without its quotes. */
static GraphSlice
clean_string(GraphSlice string)
{
	const char *end = string.data + string.len - 1;
	char	   *text = palloc(3 * string.len);
	GraphSlice	result = {text, 0};
	int			len;

	for (const char *p = string.data + 1; p < end; p += len)
		put_character(text, &result.len, read_character(p, end, &len));
	return result;
}

/*
 * JSON text with what the database can hold.  A character that had to be
 * replaced, or that another encoding may not have, does not stay an escape.
 */
static GraphSlice
clean_json(GraphSlice value)
{
	const char *end = value.data + value.len;
	char	   *text = palloc(3 * value.len);
	GraphSlice	result = {text, 0};
	int			len;

	for (const char *p = value.data; p < end; p += len)
	{
		uint32		c = read_character(p, end, &len);

		if (*p == '\\' && c != REPLACEMENT &&
			(c < 0x80 || shim_encoding == PG_UTF8))
		{
			memcpy(text + result.len, p, len);
			result.len += len;
		}
		else
			put_character(text, &result.len, c);
	}
	return result;
}

/* Text in the database's encoding. */
static GraphSlice
convert(GraphSlice clean)
{
	const char *end = clean.data + clean.len;
	char	   *text = palloc(clean.len);
	GraphSlice	result = {text, 0};
	int			len;

	if (shim_encoding == PG_UTF8 || shim_encoding == PG_SQL_ASCII)
		return clean;
	for (const char *p = clean.data; p < end; p += len)
	{
		uint32		c = read_utf8(p, end, &len);
		bool		has = c < 0x80 || (c < 0x100 && OidIsValid(shim_conversion));

		text[result.len++] = has ? c : '?';
	}
	return result;
}

/* Is text what a database can hold: no zero byte, and valid? */
static void
check_encoding(GraphSlice text)
{
	const char *end = text.data + text.len;
	int			len;

	CHECK(memchr(text.data, '\0', text.len) == NULL);
	if (shim_encoding != PG_UTF8 && shim_encoding != PG_SQL_ASCII)
		return;
	for (const char *p = text.data; p < end; p += len)
	{
		uint32		c = read_utf8(p, end, &len);

		CHECK(c != REPLACEMENT || memcmp(p, "\xEF\xBF\xBD", 3) == 0);
	}
}

/*-------------------------------------------------------------------------
 * The reader to agree with.
 *-------------------------------------------------------------------------
 */

typedef struct Tree
{
	GraphSlice	value;			/* as it stands there */
	char		kind;			/* its first byte, '0' of a number; 0 if the
								 * value is absent */
	GraphSlice	text;			/* of a string, cleaned; else as value */
	GraphSlice	key;			/* of a member, cleaned */
	int			count;
	int			space;
	struct Tree **children;
	bool		seen;			/* by check_jsonb() */
} Tree;

static const char *read_tree(const char *p, const char *end, Tree *tree);

static const char *
skip_white(const char *p, const char *end)
{
	while (p < end && memchr(" \t\r\n", *p, 4))
		p++;
	return p;
}

/* The text is known to be JSON, so this need not see to its end. */
static const char *
skip_string(const char *p)
{
	for (p++; *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p + 1;
}

static Tree *
add_child(Tree *tree)
{
	Tree	   *child = palloc0(sizeof(Tree));

	if (tree->children == NULL)
		tree->children = palloc((tree->space = 4) * sizeof(Tree *));
	if (tree->count == tree->space)
		tree->children = repalloc(tree->children,
								  (tree->space *= 2) * sizeof(Tree *));
	tree->children[tree->count++] = child;
	return child;
}

static const char *
read_inside(const char *p, const char *end, Tree *tree)
{
	for (;;)
	{
		Tree	   *child;

		p = skip_white(p + 1, end);
		if (*p == '}' || *p == ']')
			return p + 1;
		child = add_child(tree);
		if (tree->kind == '{')
		{
			GraphSlice	key = {p, skip_string(p) - p};

			child->key = clean_string(key);
			p = skip_white(p + key.len, end) + 1;
		}
		p = skip_white(read_tree(p, end, child), end);
		if (*p != ',')
			return p + 1;
	}
}

static const char *
read_tree(const char *p, const char *end, Tree *tree)
{
	p = skip_white(p, end);
	tree->value.data = p;
	tree->kind = strchr("{[\"tfn", *p) != NULL ? *p : '0';
	if (tree->kind == '{' || tree->kind == '[')
		p = read_inside(p, end, tree);
	else if (tree->kind == '"')
		p = skip_string(p);
	else
		while (p < end && strchr(",]} \t\r\n", *p) == NULL)
			p++;
	tree->value.len = p - tree->value.data;
	tree->text = tree->value;
	if (tree->kind == '"')
		tree->text = clean_string(tree->value);
	return p;
}

/* Of members that have the same name, the last one counts. */
static Tree *
find_member(const Tree *tree, GraphSlice key)
{
	for (int i = tree->count; i-- > 0;)
		if (same(tree->children[i]->key, key))
			return tree->children[i];
	return NULL;
}

static void
check_same_tree(const Tree *a, const Tree *b)
{
	CHECK(a->kind == b->kind && a->count == b->count);
	if (a->count == 0 && a->kind != '{' && a->kind != '[')
		CHECK(same(a->text, b->text));
	for (int i = 0; i < a->count; i++)
	{
		CHECK(same(a->children[i]->key, b->children[i]->key));
		check_same_tree(a->children[i], b->children[i]);
	}
}

/* Is there a number that numeric does not have, where one counts? */
static bool
has_too_large(const Tree *tree)
{
	if (tree->kind == '0')
		return shim_number_is_too_large(tree->value.data, tree->value.len);
	for (int i = 0; i < tree->count; i++)
	{
		const Tree *child = tree->children[i];

		if (has_too_large(child) &&
			(tree->kind == '[' || find_member(tree, child->key) == child))
			return true;
	}
	return false;
}

/*-------------------------------------------------------------------------
 * Text and json.
 *-------------------------------------------------------------------------
 */

/* Inputs and checks that the shim has noted are compared in their order. */
static int	next_input;
static int	next_check;

/* What a value is for anything but JSON itself. */
static GraphSlice
expected_text(const Tree *tree)
{
	return convert(tree->kind == '"' ? tree->text : clean_json(tree->value));
}

static GraphSlice
varlena_text(Datum datum)
{
	const char *p = DatumGetPointer(datum);
	GraphSlice	text = {p + VARHDRSZ, VARSIZE(p) - VARHDRSZ};

	CHECK(VARATT_IS_4B_U(p));
	return text;
}

static void
check_text(const Tree *tree, Datum datum)
{
	GraphSlice	text = varlena_text(datum);

	CHECK(same(text, expected_text(tree)));
	check_encoding(text);
}

static void
check_json(const Tree *tree, Datum datum)
{
	GraphSlice	text = varlena_text(datum);
	GraphJsonError error;
	size_t		end = 0;
	Tree	   *again;

	CHECK(same(text, convert(clean_json(tree->value))));
	check_encoding(text);
	CHECK(graph_json_locate(text.data, text.len, NULL, NULL, &end,
							&error) == GRAPH_JSON_OK);
	CHECK(end == text.len);
	if (shim_encoding != PG_UTF8 && shim_encoding != PG_SQL_ASCII)
		return;
	again = palloc0(sizeof(Tree));
	read_tree(text.data, text.data + text.len, again);
	check_same_tree(tree, again);
}

static bool
went_to_input(Datum datum)
{
	return next_input < shim_input_count &&
		datum == PointerGetDatum(shim_inputs[next_input]);
}

static void
check_input(const ShimType *type, int32 typmod, const Tree *tree, Datum datum)
{
	const ShimInput *input;

	CHECK(went_to_input(datum));
	input = shim_inputs[next_input++];
	CHECK(input->function == type->oid + SHIM_INPUT);
	CHECK(input->ioparam == type->oid);
	CHECK(input->typmod == typmod);
	CHECK(same(slice_of(input->text), expected_text(tree)));
	check_encoding(slice_of(input->text));
}

/*-------------------------------------------------------------------------
 * jsonb.
 *-------------------------------------------------------------------------
 */

static void check_container(const char *p, size_t len, const Tree *tree,
							bool scalar);

/* The bytes that align a value, for a container that is aligned itself. */
static size_t
check_padding(const char *content, size_t at, size_t len)
{
	size_t		padding = (4 - at % 4) % 4;

	CHECK(padding <= len);
	for (size_t i = 0; i < padding; i++)
		CHECK(content[at + i] == '\0');
	return padding;
}

static void
check_numeric(const char *p, size_t len, const Tree *tree)
{
	GraphSlice	digits = {p + VARHDRSZ, 0};

	CHECK(len > VARHDRSZ && VARATT_IS_4B_U(p) && VARSIZE(p) == len);
	digits.len = strnlen(digits.data, len - VARHDRSZ);
	CHECK(same(digits, tree->value) ||
		  (same(digits, slice_of("0")) && same(tree->value, slice_of("-0"))));
}

/* What an entry says, and its bytes, which begin after so many of content. */
static void
check_entry(uint32 type, const char *content, size_t at, size_t len,
			const Tree *tree)
{
	GraphSlice	string = {content + at, len};
	size_t		padding;

	switch (tree->kind)
	{
		case '"':
			CHECK(type == JENTRY_ISSTRING);
			CHECK(same(string, tree->text));
			check_encoding(string);
			break;
		case 't':
			CHECK(type == JENTRY_ISBOOL_TRUE && len == 0);
			break;
		case 'f':
			CHECK(type == JENTRY_ISBOOL_FALSE && len == 0);
			break;
		case 'n':
			CHECK(type == JENTRY_ISNULL && len == 0);
			break;
		case '0':
			CHECK(type == JENTRY_ISNUMERIC);
			padding = check_padding(content, at, len);
			check_numeric(content + at + padding, len - padding, tree);
			break;
		default:
			CHECK(type == JENTRY_ISCONTAINER);
			padding = check_padding(content, at, len);
			check_container(content + at + padding, len - padding, tree, false);
			break;
	}
}

/*
 * Find the member of a key, which has to be greater than the one before, that
 * is longer, or as long with greater bytes.
 */
static Tree *
check_key(const Tree *tree, uint32 type, GraphSlice key,
		  const GraphSlice *before)
{
	Tree	   *member = find_member(tree, key);

	CHECK(type == JENTRY_ISSTRING);
	CHECK(before == NULL || before->len < key.len ||
		  (before->len == key.len &&
		   memcmp(before->data, key.data, key.len) < 0));
	CHECK(member != NULL && !member->seen);
	member->seen = true;
	return member;
}

/* Is there a member that neither was seen nor has a later one of its name? */
static void
check_all_seen(const Tree *tree)
{
	for (int i = 0; i < tree->count; i++)
	{
		Tree	   *member = tree->children[i];

		CHECK(member->seen || find_member(tree, member->key)->seen);
	}
	for (int i = 0; i < tree->count; i++)
		tree->children[i]->seen = false;
}

/* An object or array, or the pseudo-array that is around anything else. */
static void
check_container(const char *p, size_t len, const Tree *tree, bool scalar)
{
	bool		is_object = !scalar && tree->kind == '{';
	uint32		header;
	uint32		count;
	uint32		entries;
	const char *content;
	size_t		at = 0;
	GraphSlice	key = {NULL, 0};
	Tree	  **members;

	CHECK(len >= sizeof(header));
	memcpy(&header, p, sizeof(header));
	count = header & JB_CMASK;
	entries = is_object ? 2 * count : count;
	CHECK(len >= sizeof(header) + (size_t) entries * sizeof(JEntry));
	content = p + sizeof(header) + (size_t) entries * sizeof(JEntry);
	len -= content - p;
	if (scalar)
		CHECK(header == (1 | JB_FARRAY | JB_FSCALAR));
	else if (is_object)
		CHECK(header == (count | JB_FOBJECT));
	else
		CHECK(header == (tree->count | JB_FARRAY));

	members = palloc((size_t) Max(count, 1) * sizeof(Tree *));
	for (uint32 i = 0; i < entries; i++)
	{
		JEntry		entry;
		uint32		type;
		size_t		end;

		memcpy(&entry, p + sizeof(header) + i * sizeof(JEntry), sizeof(entry));
		type = entry & JENTRY_TYPEMASK;
		end = entry & JENTRY_OFFLENMASK;
		CHECK(((entry & JENTRY_HAS_OFF) != 0) == (i % JB_OFFSET_STRIDE == 0));
		if ((entry & JENTRY_HAS_OFF) == 0)
			end += at;
		CHECK(end >= at && end <= len);

		if (is_object && i < count)
		{
			GraphSlice	next = {content + at, end - at};

			members[i] = check_key(tree, type, next, i > 0 ? &key : NULL);
			key = next;
		}
		else
			check_entry(type, content, at, end - at,
						scalar ? tree : is_object ? members[i - count] :
						tree->children[i]);
		at = end;
	}
	CHECK(at == len);
	if (is_object)
		check_all_seen(tree);
}

static void
check_jsonb(const Tree *tree, Datum datum)
{
	GraphSlice	content = varlena_text(datum);

	if (shim_encoding != PG_UTF8)
		CHECK(same(content, convert(clean_json(tree->value))));
	else
		check_container(content.data, content.len, tree,
						tree->kind != '{' && tree->kind != '[');
}

/*-------------------------------------------------------------------------
 * Numbers and times.
 *-------------------------------------------------------------------------
 */

/* An integer that did not go to the input function, which would read it so. */
static void
check_integer(const Tree *tree, int64 number, int64 least, int64 greatest)
{
	char		text[32];
	char	   *end;
	long long	expected;

	CHECK(tree->kind == '0' && tree->value.len < sizeof(text));
	memcpy(text, tree->value.data, tree->value.len);
	text[tree->value.len] = '\0';
	errno = 0;
	expected = strtoll(text, &end, 10);
	CHECK(errno == 0 && *end == '\0');
	CHECK(expected >= least && expected <= greatest);
	CHECK(number == expected);
}

/* Read a number where a form has this letter; true if it has that many. */
static bool
read_field(const char *text, const char *form, char letter, int *number)
{
	*number = 0;
	for (; *form != '\0'; form++, text++)
	{
		if (*form != letter)
			continue;
		if (*text < '0' || *text > '9')
			return false;
		*number = *number * 10 + (*text - '0');
	}
	return true;
}

/* Days from 1st January of the year 1. */
static int64
count_days(int year, int month, int day)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	bool		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	int			years = year - 1;

	return 365 * (int64) years + years / 4 - years / 100 + years / 400 +
		before[month - 1] + (leap && month > 2) + day - 1;
}

static int
days_of_month(int year, int month)
{
	if (month == 12)
		return 31;
	return count_days(year, month + 1, 1) - count_days(year, month, 1);
}

/*
 * Read a time as OData has it; decimals are how many digits the fraction has.
 * The text ends with a zero byte, and so does each form.
 */
static bool
read_time(const char *text, TimestampTz *time, size_t *decimals)
{
	static const char form[] = "yyyy-mm-ddThh:nn:ss";
	static const char zone[] = "+hh:nn";
	int			year,
				month,
				day,
				hour,
				minute,
				second,
				zone_hour = 0,
				zone_minute = 0;
	double		fraction = 0;
	const char *p;

	*decimals = 0;
	if (strlen(text) < strlen(form) ||
		text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
		text[13] != ':' || text[16] != ':' ||
		!read_field(text, form, 'y', &year) ||
		!read_field(text, form, 'm', &month) ||
		!read_field(text, form, 'd', &day) ||
		!read_field(text, form, 'h', &hour) ||
		!read_field(text, form, 'n', &minute) ||
		!read_field(text, form, 's', &second))
		return false;
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
		day > days_of_month(year, month) ||
		hour > 23 || minute > 59 || second > 59)
		return false;

	p = text + strlen(form);
	if (*p == '.')
	{
		*decimals = strspn(p + 1, "0123456789");
		if (*decimals == 0)
			return false;
		fraction = strtod(pnstrdup(p, 1 + *decimals), NULL);
		p += 1 + *decimals;
	}
	if (strcmp(p, "Z") != 0)
	{
		if (strlen(p) != strlen(zone) || (*p != '+' && *p != '-') ||
			p[3] != ':' || !read_field(p, zone, 'h', &zone_hour) ||
			!read_field(p, zone, 'n', &zone_minute) ||
			zone_hour > 14 || zone_minute > 59)
			return false;
		if (*p == '-')
		{
			zone_hour = -zone_hour;
			zone_minute = -zone_minute;
		}
	}

	*time = (count_days(year, month, day) - count_days(2000, 1, 1)) * 86400;
	*time += (hour - zone_hour) * 3600 + (minute - zone_minute) * 60 + second;
	*time = *time * 1000000 + (int64) rint(fraction * 1000000);
	return true;
}

/* Only what has more than nine decimals may or may not be taken for a time. */
static bool
check_time(const Tree *tree, TimestampTz *time)
{
	TimestampTz expected = 0;
	size_t		decimals = 0;
	bool		found = graph_decode_time(tree->value, time);
	bool		is_time = false;

	/* the text as it stands there: an escape is in no form */
	if (tree->kind == '"')
		is_time = read_time(pnstrdup(tree->value.data + 1,
									 tree->value.len - 2),
							&expected, &decimals);
	if (found)
		CHECK(is_time && *time == expected);
	else
		CHECK(!is_time || decimals > 9);
	return found;
}

/*-------------------------------------------------------------------------
 * Any type.
 *-------------------------------------------------------------------------
 */

static void check_value(const ShimType *type, int32 typmod, const Tree *tree,
						Datum datum, bool isnull);

static bool
is_null(const Tree *tree)
{
	return tree->kind == 'n' || tree->kind == '\0';
}

static const char *
kind_name(char kind)
{
	switch (kind)
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

/* The error that there has to be, or 0. */
static int
expected_error(const ShimType *type, const Tree *tree)
{
	int			error = 0;

	if (OidIsValid(type->base))
	{
		error = expected_error(shim_type(type->base), tree);
		if (error == 0 && type->not_null && is_null(tree))
			error = ERRCODE_NOT_NULL_VIOLATION;
	}
	else if (is_null(tree))
		error = 0;
	else if (OidIsValid(type->element))
	{
		if (tree->kind != '[')
			return ERRCODE_FDW_INVALID_DATA_TYPE;
		for (int i = 0; i < tree->count && error == 0; i++)
			error = expected_error(shim_type(type->element),
								   tree->children[i]);
	}
	else if (type->oid == JSONBOID && shim_encoding == PG_UTF8 &&
			 has_too_large(tree))
		error = ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
	return error;
}

static void
check_error(const ShimType *type, const Tree *tree)
{
	char		text[256];

	CHECK(shim_error_code == expected_error(type, tree));
	if (shim_error_code != ERRCODE_FDW_INVALID_DATA_TYPE)
		return;
	snprintf(text, sizeof(text), "cannot convert a JSON %s to type %s",
			 kind_name(tree->kind), type->name);
	CHECK(strcmp(shim_error_text, text) == 0);
}

static void
check_array(const ShimType *type, int32 typmod, const Tree *tree, Datum datum)
{
	const ShimArray *array = (const ShimArray *) DatumGetPointer(datum);
	const ShimType *element = shim_type(type->element);

	CHECK(tree->kind == '[');
	CHECK(array->type == element->oid && array->len == element->len);
	CHECK(array->byval == element->byval && array->align == element->align);
	CHECK(array->count == tree->count);
	if (array->count == 0)
		CHECK(array->ndim == 0);
	else
		CHECK(array->ndim == 1 && array->lower_bound == 1);
	for (int i = 0; i < array->count; i++)
		check_value(element, typmod, tree->children[i], array->elements[i],
					array->nulls[i]);
}

static void
check_domain(const ShimType *type, const Tree *tree, Datum datum, bool isnull)
{
	const ShimCheck *check = &shim_checks[next_check];

	check_value(shim_type(type->base), type->base_typmod, tree, datum, isnull);
	CHECK(next_check++ < shim_check_count);
	CHECK(check->domain == type->oid && check->isnull == isnull);
	CHECK(isnull || check->value == datum);
}

/* A value of a type whose input function need not be called. */
static void
check_short_way(const ShimType *type, const Tree *tree, Datum datum)
{
	TimestampTz time;

	switch (type->oid)
	{
		case BOOLOID:
			CHECK(tree->kind == 't' || tree->kind == 'f');
			CHECK(datum == BoolGetDatum(tree->kind == 't'));
			break;
		case INT2OID:
			check_integer(tree, DatumGetInt16(datum), PG_INT16_MIN, PG_INT16_MAX);
			break;
		case INT4OID:
			check_integer(tree, DatumGetInt32(datum), PG_INT32_MIN, PG_INT32_MAX);
			break;
		case INT8OID:
			check_integer(tree, DatumGetInt64(datum), PG_INT64_MIN, PG_INT64_MAX);
			break;
		case TIMESTAMPTZOID:
			CHECK(check_time(tree, &time));
			CHECK(DatumGetTimestampTz(datum) == time);
			break;
		default:
			CHECK(false);
	}
}

static void
check_value(const ShimType *type, int32 typmod, const Tree *tree, Datum datum,
			bool isnull)
{
	bool		is_text = type->oid == TEXTOID || type->oid == VARCHAROID;

	CHECK(isnull == is_null(tree));
	if (OidIsValid(type->base))
		check_domain(type, tree, datum, isnull);
	else if (isnull)
		return;
	else if (OidIsValid(type->element))
		check_array(type, typmod, tree, datum);
	else if (is_text && typmod < 0)
		check_text(tree, datum);
	else if (type->oid == JSONOID)
		check_json(tree, datum);
	else if (type->oid == JSONBOID)
		check_jsonb(tree, datum);
	else if (is_text || typmod >= 0 || went_to_input(datum))
		check_input(type, typmod, tree, datum);
	else
		check_short_way(type, tree, datum);
}

/*-------------------------------------------------------------------------
 * Inputs.
 *-------------------------------------------------------------------------
 */

typedef struct Case
{
	Oid			type;
	int32		typmod;
} Case;

static const Case cases[] = {
	{TEXTOID, -1},				/* a */
	{JSONOID, -1},				/* b */
	{JSONBOID, -1},				/* c */
	{BOOLOID, -1},				/* d */
	{INT2OID, -1},				/* e */
	{INT4OID, -1},				/* f */
	{INT8OID, -1},				/* g */
	{TIMESTAMPTZOID, -1},		/* h */
	{TEXTARRAYOID, -1},			/* i */
	{INT4ARRAYOID, -1},			/* j */
	{JSONBARRAYOID, -1},		/* k */
	{NUMERICOID, -1},			/* l */
	{SHIM_DOMAIN_TEXT, -1},		/* m */
	{SHIM_DOMAIN_NUMBER, -1},	/* n */
	{SHIM_DOMAIN_TIMES, -1},	/* o */
	{SHIM_DOMAIN_SHORT, -1},	/* p */
	{SHIM_NUMBERS, -1},			/* q */
	{VARCHAROID, 24},			/* r, character varying(20) */
	{VARCHARARRAYOID, 24},		/* s, of character varying(20) */
	{TIMESTAMPTZOID, 3},		/* t, timestamp(3) with time zone */
	{TIMESTAMPTZARRAYOID, -1},	/* u */
	{NUMERICOID, 655366},		/* v, numeric(10,2) */
};

/*
 * What is not about a type: the functions that others call, and the room that
 * they ask for.
 */
static void
check_strings(const Tree *tree)
{
	char	   *string = graph_decode_string(tree->value);
	TimestampTz time;

	CHECK((string != NULL) == (tree->kind == '"'));
	if (string != NULL)
	{
		size_t		len = tree->value.len - 2;
		char	   *inside = palloc(len);
		char	   *out = palloc(3 * len);
		GraphSlice	clean = {out, 0};

		CHECK(same(slice_of(string), expected_text(tree)));
		memcpy(inside, tree->value.data + 1, len);
		clean.len = graph_clean_text(out, inside, inside + len) - out;
		CHECK(same(clean, tree->text));
	}
	check_time(tree, &time);
	CHECK(graph_slice_is_null(tree->value) == is_null(tree));
	CHECK(graph_slice_is_string(tree->value) == (tree->kind == '"'));
}

static bool
decode(GraphDecoder *decoder, GraphSlice value, Datum *datum, bool *isnull)
{
	bool		done = false;

	shim_error_code = 0;
	shim_catching = true;
	if (sigsetjmp(shim_catch, 0) == 0)
	{
		*datum = graph_decode(decoder, value, isnull);
		done = true;
	}
	shim_catching = false;
	return done;
}

/* Everything about a value that is JSON, or absent, in memory of its own. */
static void
check_case(const Case *wanted, GraphSlice value)
{
	const ShimType *type = shim_type(wanted->type);
	GraphDecoder *decoder;
	Tree	   *tree = palloc0(sizeof(Tree));

	if (value.data != NULL)
		CHECK(read_tree(value.data, value.data + value.len, tree) ==
			  value.data + value.len);
	check_strings(tree);

	decoder = graph_decoder_create(wanted->type, wanted->typmod);
	for (int i = 0; i < 2; i++)
	{
		Datum		datum = (Datum) 0;
		bool		isnull = false;

		next_input = shim_input_count;
		next_check = shim_check_count;
		if (!decode(decoder, value, &datum, &isnull))
		{
			check_error(type, tree);
			continue;
		}
		CHECK(expected_error(type, tree) == 0);
		check_value(type, wanted->typmod, tree, datum, isnull);
		CHECK(next_input == shim_input_count);
		CHECK(next_check == shim_check_count);
	}
}

/* Take the one value that the text has; false if that is not what it has. */
static bool
take_value(const char *text, size_t len, GraphSlice *value)
{
	const char *end = text + len;
	const char *p = skip_white(text, end);
	GraphJsonError error;
	size_t		used = 0;
	char	   *copy;

	value->data = NULL;
	value->len = 0;
	if (p == end)
		return true;
	if (graph_json_locate(p, end - p, NULL, NULL, &used,
						  &error) != GRAPH_JSON_OK ||
		skip_white(p + used, end) != end)
		return false;

	copy = palloc(used);
	memcpy(copy, p, used);
	value->data = copy;
	value->len = used;
	return true;
}

/*
 * What an input says: a letter, which is a case; a digit, of which the lowest
 * two bits are the encoding and the next one says that the text is to have
 * quotes around it, so that most bytes are a value; and the text.
 */
static bool
read_input(const uint8_t *bytes, size_t len, const Case **wanted,
		   GraphSlice *value)
{
	static const int encodings[] = {PG_UTF8, PG_SQL_ASCII, PG_LATIN1, PG_LATIN2};
	int			what;
	char	   *text;

	if (len < 2 || len > LONGEST_INPUT)
		return false;
	*wanted = &cases[(uint8_t) (bytes[0] - 'a') % lengthof(cases)];
	what = (uint8_t) (bytes[1] - '0');
	shim_encoding = encodings[what & 3];
	shim_conversion = shim_encoding == PG_LATIN1 ? SHIM_CONVERSION : InvalidOid;

	bytes += 2;
	len -= 2;
	text = palloc(len + 2);
	text[0] = '"';
	memcpy(text + 1, bytes, len);
	text[len + 1] = '"';
	return (what & 4) != 0 ? take_value(text, len + 2, value) :
		take_value(text + 1, len, value);
}

/*
 * A value of jsonb with so many members that what was made for it is not kept,
 * which no input is long enough for.
 */
static void
check_large(void)
{
	const Case	jsonb = {JSONBOID, -1};
	int			count = 100;
	char	   *text = palloc(count * count * 16);
	size_t		len = 0;
	GraphSlice	value;

	shim_encoding = PG_UTF8;
	for (int i = 0; i < count; i++)
	{
		for (int j = 0; j < count; j++)
			len += sprintf(text + len, "%s\"%x\":%d",
						   j > 0 ? "," : i > 0 ? "},{" : "[{",
						   (j * 40503) & 0xFFFF, i);
	}
	len += sprintf(text + len, "}]");
	CHECK(take_value(text, len, &value));
	check_case(&jsonb, value);
	shim_reset();
}

int			LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static bool checked_large = false;
	const Case *wanted;
	GraphSlice	value;

	if (!checked_large)
	{
		check_large();
		checked_large = true;
	}

	if (read_input(bytes, len, &wanted, &value))
		check_case(wanted, value);
	shim_reset();
	return 0;
}
