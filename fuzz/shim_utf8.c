/*-------------------------------------------------------------------------
 *
 * shim_utf8.c
 *		The server's functions for UTF-8, outside of a server.
 *
 * Servers differ in whether they are functions, inline, or renamed by a macro,
 * so the header that says so is not included and every name is there.
 *
 * IDENTIFICATION
 *		fuzz/shim_utf8.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

int			pg_utf_mblen(const unsigned char *s);
int			pg_utf_mblen_private(const unsigned char *s);
bool		pg_utf8_islegal(const unsigned char *s, int len);
unsigned char *unicode_to_utf8(uint32 c, unsigned char *bytes);

int
pg_utf_mblen(const unsigned char *s)
{
	if ((*s & 0xE0) == 0xC0)
		return 2;
	if ((*s & 0xF0) == 0xE0)
		return 3;
	return (*s & 0xF8) == 0xF0 ? 4 : 1;
}

int
pg_utf_mblen_private(const unsigned char *s)
{
	return pg_utf_mblen(s);
}

bool
pg_utf8_islegal(const unsigned char *s, int len)
{
	if (len < 1 || len > 4)
		return false;
	for (int i = len - 1; i > 0; i--)
	{
		unsigned char low = 0x80;
		unsigned char high = 0xBF;

		if (i == 1 && s[0] == 0xE0)
			low = 0xA0;
		else if (i == 1 && s[0] == 0xED)
			high = 0x9F;
		else if (i == 1 && s[0] == 0xF0)
			low = 0x90;
		else if (i == 1 && s[0] == 0xF4)
			high = 0x8F;
		if (s[i] < low || s[i] > high)
			return false;
	}
	return s[0] <= 0xF4 && (s[0] < 0x80 || s[0] >= 0xC2);
}

unsigned char *
unicode_to_utf8(uint32 c, unsigned char *bytes)
{
	if (c < 0x80)
		bytes[0] = c;
	else if (c < 0x800)
	{
		bytes[0] = 0xC0 | (c >> 6);
		bytes[1] = 0x80 | (c & 0x3F);
	}
	else if (c < 0x10000)
	{
		bytes[0] = 0xE0 | (c >> 12);
		bytes[1] = 0x80 | ((c >> 6) & 0x3F);
		bytes[2] = 0x80 | (c & 0x3F);
	}
	else
	{
		bytes[0] = 0xF0 | (c >> 18);
		bytes[1] = 0x80 | ((c >> 12) & 0x3F);
		bytes[2] = 0x80 | ((c >> 6) & 0x3F);
		bytes[3] = 0x80 | (c & 0x3F);
	}
	return bytes;
}
