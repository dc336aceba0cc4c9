/*-------------------------------------------------------------------------
 *
 * redact.c
 *		What of a remote text may be shown?
 *
 * A service may repeat what it was sent: secrets.  It, a gateway before it or
 * a library may have written them otherwise meanwhile: percent-encoded, as
 * HTML, as JSON in JSON, or in several such ways at once.  So a text is not
 * searched for spellings of a secret.  At each place all characters are tried
 * that could be meant there, and the secret is compared with those, whatever
 * mixture of encodings they come from.  Base64 blurs the borders of characters
 * and is a spelling of its own.
 *
 * What is left is sanitized for a terminal and a log: bounded, on one line,
 * without control characters and marks that reorder text.  All of this is done
 * in UTF-8, so that it holds for every encoding of a database.
 *
 * What this file refuses to know: where a text comes from.
 *
 * Sources: RFC 3986 section 2.1, RFC 8259 section 7, HTML "named character
 * references", RFC 4648 sections 4 and 5; Unicode TR 36 section 3.
 *
 * IDENTIFICATION
 *		src/base/redact.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/base64.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "base/graph_base.h"

/*
 * Longest piece of remote text that is repeated in a message, in bytes.
 * Graph's longest useful message, the list of missing roles, is about 250.
 */
#define MAX_SHOWN 1024

/* A shorter value would redact ordinary words, and is no secret. */
#define SHORTEST_SECRET	4

/* A beginning of this length is redacted as well, wherever it stands. */
#define LONG_BEGINNING	16

/* A word behind "Bearer" that is shorter is no token. */
#define SHORTEST_BEARER 16

/* A shorter part of a text in base64 could be anything. */
#define SHORTEST_BASE64 8

/* More of a text is not looked at: it becomes much shorter than this. */
#define MAX_LOOKED_AT	(16 * MAX_SHOWN)

/* So many times may a character have been encoded, one over the other. */
#define MAX_TIMES	4

/* One way to read what stands at a place: a character, in UTF-8. */
typedef struct Reading
{
	const char *next;			/* what comes after it */
	int			len;
	unsigned char bytes[4];
} Reading;

/* No place can be read in more ways than this. */
#define MAX_READINGS	12

/* Places up to which a part of a secret may have been read. */
typedef struct Places
{
	int			count;
	const char *place[MAX_READINGS];
} Places;

static const struct
{
	const char *name;
	char		character;
}			entities[] = {
	{"amp", '&'}, {"AMP", '&'}, {"lt", '<'}, {"LT", '<'}, {"gt", '>'},
	{"GT", '>'}, {"quot", '"'}, {"QUOT", '"'}, {"apos", '\''}, {"plus", '+'},
	{"sol", '/'}, {"bsol", '\\'}, {"equals", '='}, {"percnt", '%'},
	{"num", '#'}, {"excl", '!'}, {"dollar", '$'}, {"lpar", '('},
	{"rpar", ')'}, {"ast", '*'}, {"midast", '*'}, {"comma", ','},
	{"period", '.'}, {"colon", ':'}, {"semi", ';'}, {"quest", '?'},
	{"commat", '@'}, {"lsqb", '['}, {"lbrack", '['}, {"rsqb", ']'},
	{"rbrack", ']'}, {"Hat", '^'}, {"lowbar", '_'}, {"UnderBar", '_'},
	{"grave", '`'}, {"lcub", '{'}, {"lbrace", '{'}, {"verbar", '|'},
	{"vert", '|'}, {"rcub", '}'}, {"rbrace", '}'}
};

static int	read_character(const char *p, const char *end, int times,
						   Reading *readings);

/*-------------------------------------------------------------------------
 * Reading one character
 *-------------------------------------------------------------------------
 */

/*
 * take
 *		The next character, if it can be read as one of the accepted ones (NULL:
 *		letters and digits); else 0.
 */
static char
take(const char **p, const char *end, int times, const char *accepted)
{
	Reading		readings[MAX_READINGS];
	int			count = read_character(*p, end, times, readings);

	for (int i = 0; i < count; i++)
	{
		unsigned char c = readings[i].bytes[0];

		if (readings[i].len != 1 || c == '\0' ||
			(accepted ? strchr(accepted, c) == NULL :
			 !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			   (c >= 'A' && c <= 'Z'))))
			continue;
		*p = readings[i].next;
		return (char) c;
	}
	return '\0';
}

/*
 * take_number
 *		A number of so many digits; false if there are fewer.
 */
static bool
take_number(const char **p, const char *end, int times, int base, int fewest,
			int most, pg_wchar *number)
{
	const char *digits = base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
	int			count = 0;
	char		c;

	*number = 0;
	while (count < most && (c = take(p, end, times, digits)) != '\0')
	{
		int			value = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;

		*number = *number * base + value;
		count++;
	}
	return count >= fewest;
}

/*
 * take_percent
 *		What follows "%".
 */
static bool
take_percent(const char **p, const char *end, int times, Reading *reading)
{
	pg_wchar	byte;

	if (!take_number(p, end, times, 16, 2, 2, &byte))
		return false;
	reading->len = 1;			/* maybe one of several of a character */
	reading->bytes[0] = (unsigned char) byte;
	return true;
}

/*
 * set_character
 *		Make a reading of a number of Unicode.
 */
static bool
set_character(pg_wchar c, Reading *reading)
{
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return false;
	unicode_to_utf8(c, reading->bytes);
	reading->len = pg_utf_mblen(reading->bytes);
	return true;
}

/*
 * take_entity
 *		What follows "&" in HTML.
 */
static bool
take_entity(const char **p, const char *end, int times, Reading *reading)
{
	char		name[12];
	size_t		len = 0;
	pg_wchar	number;
	bool		is_number;

	if (take(p, end, times, "#"))
	{
		is_number = take(p, end, times, "xX") ?
			take_number(p, end, times, 16, 1, 8, &number) :
			take_number(p, end, times, 10, 1, 8, &number);
		return is_number && take(p, end, times, ";") &&
			set_character(number, reading);
	}
	while (len < sizeof(name) - 1 &&
		   (name[len] = take(p, end, times, NULL)) != '\0')
		len++;
	name[len] = '\0';
	if (!take(p, end, times, ";"))
		return false;
	for (size_t i = 0; i < lengthof(entities); i++)
	{
		if (strcmp(entities[i].name, name) == 0)
			return set_character((unsigned char) entities[i].character, reading);
	}
	return false;
}

/*
 * take_escape
 *		What follows "\" in JSON or in JavaScript, if it is a character that
 *		stands for one.
 */
static bool
take_escape(const char **p, const char *end, int times, Reading *reading)
{
	static const char kinds[] = "\"\\/'bfnrt";
	static const char meant[] = "\"\\/'\b\f\n\r\t";
	char		kind = take(p, end, times, kinds);

	return kind != '\0' &&
		set_character((unsigned char) meant[strchr(kinds, kind) - kinds], reading);
}

/*
 * take_numeric_escape
 *		The same if it is "u" or "x" and a number.
 */
static bool
take_numeric_escape(const char **p, const char *end, int times,
					Reading *reading)
{
	char		kind = take(p, end, times, "ux");
	int			digits = kind == 'x' ? 2 : 4;
	pg_wchar	number;
	pg_wchar	low;

	if (kind == '\0' ||
		!take_number(p, end, times, 16, digits, digits, &number))
		return false;
	if (number >= 0xd800 && number <= 0xdbff)
	{
		if (!take(p, end, times, "\\") || !take(p, end, times, "u") ||
			!take_number(p, end, times, 16, 4, 4, &low) ||
			low < 0xdc00 || low > 0xdfff)
			return false;
		number = 0x10000 + ((number - 0xd800) << 10) + (low - 0xdc00);
	}
	return set_character(number, reading);
}

/*
 * take_space
 *		What "+" is in a form, with nothing that follows.
 */
static bool
take_space(const char **p, const char *end, int times, Reading *reading)
{
	return set_character(' ', reading);
}

/* What begins a character that is written otherwise, and how that goes on. */
static const struct
{
	char		first;
	bool		(*take) (const char **p, const char *end, int times,
						 Reading *reading);
}			encodings[] = {
	{'%', take_percent}, {'&', take_entity}, {'\\', take_escape},
	{'\\', take_numeric_escape}, {'+', take_space}
};

/*
 * add_reading
 *		Add a reading to others of the same place, if it is new and has room.
 */
static void
add_reading(Reading *readings, int *count, const Reading *more)
{
	for (int i = 0; i < *count; i++)
	{
		if (readings[i].next == more->next && readings[i].len == more->len &&
			memcmp(readings[i].bytes, more->bytes, more->len) == 0)
			return;
	}
	if (*count < MAX_READINGS)
		readings[(*count)++] = *more;
}

/*
 * read_character
 *		All that can be meant at a place, if it was encoded at most so many
 *		times; returns how many readings there are, none at the end.
 *
 * The first is the byte that stands there.  What begins an escape may itself
 * be the result of one, and so may the characters that follow.
 */
static int
read_character(const char *p, const char *end, int times, Reading *readings)
{
	int			count;

	if (p >= end)
		return 0;
	if (times == 0 || strchr("%&\\+", *p) == NULL)
	{
		readings[0].next = p + 1;
		readings[0].len = 1;
		readings[0].bytes[0] = *p;
		return 1;
	}

	count = read_character(p, end, times - 1, readings);
	for (int i = 0, had = count; i < had; i++)
	{
		for (size_t j = 0; j < lengthof(encodings); j++)
		{
			Reading		more = {readings[i].next, 0, {0}};

			if (readings[i].len == 1 &&
				readings[i].bytes[0] == encodings[j].first &&
				encodings[j].take(&more.next, end, times - 1, &more))
				add_reading(readings, &count, &more);
		}
	}
	return count;
}

/*-------------------------------------------------------------------------
 * Finding secrets
 *-------------------------------------------------------------------------
 */

/*
 * add_place
 *		Add a place to a set.
 */
static void
add_place(Places *places, const char *place)
{
	for (int i = 0; i < places->count; i++)
	{
		if (places->place[i] == place)
			return;
	}
	if (places->count < MAX_READINGS)
		places->place[places->count++] = place;
}

/*
 * last_place
 *		The last place of a set that is not empty.
 */
static const char *
last_place(const Places *places)
{
	const char *last = places->place[0];

	for (int i = 1; i < places->count; i++)
		last = Max(last, places->place[i]);
	return last;
}

/*
 * is_end
 *		Was the text cut off here, maybe within an escape?
 */
static bool
is_end(const char *p, const char *end)
{
	Reading		readings[MAX_READINGS];

	return p == end ||
		(end - p < 12 && strchr("%&\\", *p) &&
		 read_character(p, end, MAX_TIMES, readings) == 1);
}

/*
 * find_here
 *		If a secret, or a part that says too much of it, begins at a place: where
 *		does that end?  Else NULL.
 *
 * Too much is a long beginning, or any but the shortest where the text ends.
 * The secret is read byte by byte.  A place of the text from which it goes on
 * is in the set of the byte that comes next; a character has four bytes at
 * most, so as many sets are open.
 */
static const char *
find_here(const char *p, const char *end, const char *secret, size_t len)
{
	Places		open[5] = {0};
	const char *found = NULL;

	if (*p != secret[0] && strchr("%&\\+", *p) == NULL)
		return NULL;
	add_place(&open[0], p);
	for (size_t i = 0; i < len; i++)
	{
		Places	   *here = &open[i % lengthof(open)];

		for (int k = 0; k < here->count; k++)
		{
			const char *place = here->place[k];
			Reading		readings[MAX_READINGS];
			int			count;

			if (i >= SHORTEST_SECRET && is_end(place, end))
				return end;
			count = read_character(place, end, MAX_TIMES, readings);
			for (int j = 0; j < count; j++)
			{
				size_t		next = i + readings[j].len;

				if (next <= len &&
					memcmp(secret + i, readings[j].bytes, readings[j].len) == 0)
					add_place(&open[next % lengthof(open)], readings[j].next);
			}
		}
		if (here->count > 0 && i >= LONG_BEGINNING)
			found = last_place(here);
		here->count = 0;
	}
	if (open[len % lengthof(open)].count > 0)
		found = last_place(&open[len % lengthof(open)]);
	return found;
}

/*
 * mark
 *		Mark the bytes of a text that are a secret's; redacted has a byte for each.
 */
static void
mark(const char *text, size_t len, char *redacted, const char *secret)
{
	size_t		secret_len = strlen(secret);

	if (secret_len < SHORTEST_SECRET)
		return;
	for (size_t i = 0; i < len;)
	{
		const char *end = find_here(text + i, text + len, secret, secret_len);

		if (end)
			memset(redacted + i, 1, end - (text + i));
		i = end ? (size_t) (end - text) : i + 1;
	}
}

/*
 * mark_base64
 *		The same where the secret is part of what was written in base64, with
 *		up to two bytes of a group before it, in either alphabet.
 */
static void
mark_base64(const char *text, size_t len, char *redacted, const char *secret)
{
	size_t		secret_len = strlen(secret);
	int			size = pg_b64_enc_len((int) secret_len + 2);
	char	   *bytes = palloc0(secret_len + 3);
	char	   *base64 = palloc(size + 1);

	memcpy(bytes + 2, secret, secret_len);
	for (int before = 0; before < 3; before++)
	{
		/* characters that hold bits of the secret and of nothing else */
		int			first = (before * 8 + 5) / 6;
		int			last = (int) (before + secret_len) * 8 / 6;

		if (last - first < SHORTEST_BASE64 ||
			pg_b64_encode((const void *) (bytes + 2 - before),
						  (int) secret_len + before, base64, size) < 0)
			continue;
		base64[last] = '\0';
		mark(text, len, redacted, base64 + first);
		for (char *p = base64; *p; p++)
			*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
		mark(text, len, redacted, base64 + first);
	}
	explicit_bzero(bytes, secret_len + 3);
	explicit_bzero(base64, size);
	pfree(bytes);
	pfree(base64);
}

/*
 * skip
 *		Step over a character, if it can be read as one of those.
 */
static bool
skip(const char **p, const char *end, const char *accepted)
{
	return take(p, end, MAX_TIMES, accepted) != '\0';
}

/*
 * mark_fields
 *		Mark what follows the names of secrets in a form, a URL, a header or a
 *		document: it may be somebody else's secret, or a link's.
 */
static void
mark_fields(const char *text, size_t len, char *redacted)
{
	static const char *const names[] = {"skiptoken", "client_secret",
		"client_assertion", "refresh_token", "access_token", "device_code",
	"Bearer "};
	const char *end = text + len;

	for (const char *start = text; start < end; start++)
	{
		for (size_t i = 0; i < lengthof(names); i++)
		{
			size_t		name_len = strlen(names[i]);
			bool		is_header = names[i][name_len - 1] == ' ';
			const char *p = start + name_len;
			size_t		value_len;

			if (p >= end || pg_strncasecmp(start, names[i], name_len) != 0)
				continue;
			if (!is_header && !skip(&p, end, "="))
			{
				if (!skip(&p, end, "\"") || !skip(&p, end, ":"))
					continue;
				while (skip(&p, end, " "));
				(void) skip(&p, end, "\"");
			}
			value_len = strcspn(p, " &\"'<>\t\r\n,;)");
			if (value_len >= (is_header ? SHORTEST_BEARER : 1))
				memset(redacted + (p - text), 1, value_len);
		}
	}
}

/*-------------------------------------------------------------------------
 * Text
 *-------------------------------------------------------------------------
 */

/*
 * to_utf8
 *		A text of the database in UTF-8, palloc'd.  It may have come from where
 *		nobody looked at its encoding: what is not valid becomes a question mark.
 */
static char *
to_utf8(const char *text)
{
	int			encoding = GetDatabaseEncoding();
	size_t		len = strlen(text);
	unsigned char *copy;
	unsigned char *result;
	Oid			conversion;

	/* other bytes than UTF-8 are no letters for SQL_ASCII either */
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return pstrdup(text);

	copy = (unsigned char *) pstrdup(text);
	conversion = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(conversion) ||
		pg_encoding_verifymbstr(encoding, text, (int) len) != (int) len)
	{
		for (size_t i = 0; i < len; i++)
		{
			if (IS_HIGHBIT_SET(copy[i]))
				copy[i] = '?';
		}
		return (char *) copy;
	}

	result = palloc(len * MAX_CONVERSION_GROWTH + 1);
	*result = '\0';
	(void) pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8, copy,
										 (int) len, result,
										 (int) (len * MAX_CONVERSION_GROWTH + 1),
										 true);
	graph_free_text((char *) copy);
	return (char *) result;
}

/*
 * mark_secret
 *		Mark all spellings of a secret, which may be NULL.
 */
static void
mark_secret(const char *text, size_t len, char *redacted, const char *secret)
{
	char	   *utf8;

	if (secret == NULL)
		return;
	utf8 = to_utf8(secret);
	mark(text, len, redacted, utf8);
	mark_base64(text, len, redacted, utf8);
	graph_free_text(utf8);
}

/*
 * is_displayable
 *		May a character be shown?
 *
 * Not so C0, DEL and C1, which tell terminals what to do; ends of lines; what
 * is invisible or reorders what is shown.
 */
static bool
is_displayable(pg_wchar c)
{
	return c >= 0x20 && (c < 0x7f || c > 0x9f) && c != 0x61c && c != 0xfeff &&
		!(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
		!(c >= 0x2060 && c <= 0x206f) && !(c >= 0xfff9 && c <= 0xfffb) &&
		!(c >= 0xe0000 && c <= 0xe007f);
}

/*
 * append_sanitized
 *		Append a text without what is redacted and what is not to be shown.
 */
static void
append_sanitized(StringInfo result, const char *text, size_t len,
				 const char *redacted)
{
	for (size_t i = 0; i < len;)
	{
		const unsigned char *p = (const unsigned char *) text + i;
		int			char_len = pg_utf_mblen(p);
		const char *shown = (const char *) p;
		int			shown_len = char_len;

		if (redacted[i])
		{
			for (char_len = 0; i + char_len < len && redacted[i + char_len];)
				char_len++;
			shown = "***";
			shown_len = 3;
		}
		else if ((size_t) char_len > len - i || !pg_utf8_islegal(p, char_len))
		{
			char_len = shown_len = 1;
			shown = "?";
		}
		else if (!is_displayable(utf8_to_unicode(p)))
		{
			shown = " ";
			shown_len = result->len > 0 && result->data[result->len - 1] != ' ';
		}

		if (result->len + shown_len > MAX_SHOWN)
		{
			appendStringInfoString(result, "...");
			break;
		}
		appendBinaryStringInfo(result, shown, shown_len);
		i += char_len;
	}
	while (result->len > 0 && result->data[result->len - 1] == ' ')
		result->data[--result->len] = '\0';
}

/*
 * graph_sanitize_remote_text
 *		Remote text that may stand in a message: bounded, on one line, without
 *		control or text-direction characters and without our secrets.
 *
 * The text and the palloc'd result are in the database encoding.
 */
char *
graph_sanitize_remote_text(const GraphPeer *peer, const char *remote)
{
	char	   *text = to_utf8(remote);
	size_t		len = strnlen(text, MAX_LOOKED_AT);
	char	   *redacted = palloc0(len + 1);
	StringInfoData result;
	ListCell   *cell;

	explicit_bzero(text + len, strlen(text + len));
	if (peer)
	{
		mark_secret(text, len, redacted, peer->bearer);
		foreach(cell, peer->secrets)
			mark_secret(text, len, redacted, lfirst(cell));
	}
	mark_fields(text, len, redacted);

	initStringInfo(&result);
	append_sanitized(&result, text, len, redacted);
	graph_free_text(text);
	pfree(redacted);
	len = result.len;
	return graph_to_server_encoding(result.data, 0, &len);
}
