/*-------------------------------------------------------------------------
 *
 * shim.c
 *		The few functions of a server that json.c needs, outside of one.
 *
 * json.c is compiled with the server's own headers; this is what it is linked
 * with instead of a server.  Memory is malloc's, so that a sanitizer sees each
 * allocation by itself, and is never given back by context.
 *
 * IDENTIFICATION
 *		fuzz/shim.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

MemoryContext CurrentMemoryContext = NULL;

void *
palloc(Size size)
{
	void	   *result = malloc(size > 0 ? size : 1);

	if (result == NULL)
		abort();
	return result;
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void *
MemoryContextAlloc(MemoryContext context, Size size)
{
	return palloc(size);
}

void *
MemoryContextAllocZero(MemoryContext context, Size size)
{
	return palloc0(size);
}

void *
repalloc(void *pointer, Size size)
{
	void	   *result = realloc(pointer, size);

	if (result == NULL)
		abort();
	return result;
}

void
pfree(void *pointer)
{
	free(pointer);
}

/*
 * The two functions for UTF-8.  Servers differ in whether they are functions,
 * inline, or renamed by a macro, so the header that says so is not included
 * and every name is there.
 */

int			pg_utf_mblen(const unsigned char *s);
int			pg_utf_mblen_private(const unsigned char *s);
unsigned char *unicode_to_utf8(uint32 c, unsigned char *bytes);

int
pg_utf_mblen(const unsigned char *s)
{
	if (*s < 0x80)
		return 1;
	if ((*s & 0xE0) == 0xC0)
		return 2;
	return (*s & 0xF0) == 0xE0 ? 3 : 4;
}

int
pg_utf_mblen_private(const unsigned char *s)
{
	return pg_utf_mblen(s);
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
