/*-------------------------------------------------------------------------
 *
 * escape.c
 *		Which character does an escape in a string stand for?
 *
 * The strings are those that json.c has checked, but nothing bad happens if
 * they are not.  What no text can hold is U+FFFD: see text.c.
 *
 * What this file refuses to know: encodings other than UTF-8, what a string is
 * for.  It neither throws nor allocates.
 *
 * Source: RFC 8259 section 7.
 *
 * IDENTIFICATION
 *		src/json/escape.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "json/json_int.h"

/*
 * graph_json_unescape
 *		The character that an escape stands for; p is its backslash.
 *
 * Returns the byte after the escape.  Two escapes that are a surrogate pair
 * are one character.  What no text can hold, U+0000 and half a pair, becomes
 * U+FFFD, as does anything that only an unchecked string could have.
 */
const char *
graph_json_unescape(const char *p, const char *end, uint32 *character)
{
	static const char letters[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
	uint32		units[2] = {0, 0};

	*character = 0xFFFD;
	if (end - p < 2)
		return end;

	if (p[1] != 'u')
	{
		for (int i = 0; letters[i] != '\0'; i += 2)
			if (letters[i] == p[1])
				*character = (unsigned char) letters[i + 1];
		return p + 2;
	}

	for (int i = 0; i < 2 && end - p >= 6 * (i + 1); i++)
	{
		const char *unit = p + 6 * i;

		if (unit[0] != '\\' || unit[1] != 'u')
			break;
		for (int j = 2; j < 6; j++)
			units[i] = units[i] * 16 + (hex_value(unit[j]) & 0xF);
		if (!is_utf16_surrogate_first(units[0]))
			break;
	}

	if (is_utf16_surrogate_first(units[0]) &&
		is_utf16_surrogate_second(units[1]))
	{
		*character = surrogate_pair_to_codepoint(units[0], units[1]);
		return p + 12;
	}
	if (units[0] != 0 && (units[0] & 0xF800) != 0xD800)
		*character = units[0];
	return end - p < 6 ? end : p + 6;
}

/*
 * graph_json_key_is
 *		Is a key, without its quotes, that name in UTF-8?
 */
bool
graph_json_key_is(GraphSlice key, const char *name)
{
	const char *p = key.data;
	const char *end = key.data + key.len;

	while (p < end)
	{
		unsigned char bytes[4];
		int			len = 1;

		if (*p == '\\')
		{
			uint32		character;

			p = graph_json_unescape(p, end, &character);
			unicode_to_utf8(character, bytes);
			len = pg_utf_mblen(bytes);
		}
		else
			bytes[0] = (unsigned char) *p++;

		/* a zero byte is in neither, and strncmp() ends with the name */
		if (bytes[0] == '\0' || strncmp(name, (char *) bytes, len) != 0)
			return false;
		name += len;
	}
	return *name == '\0';
}
