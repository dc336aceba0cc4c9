/*-------------------------------------------------------------------------
 *
 * encoding.c
 *		What is this UTF-8 in the database's encoding?
 *
 * Each character that the encoding lacks becomes '?'.  A database in SQL_ASCII
 * keeps the bytes of UTF-8.
 *
 * Assumed: valid UTF-8 without zero bytes, as text.c and redact.c make it.
 *
 * What this file refuses to know: where the text comes from.
 *
 * IDENTIFICATION
 *		src/base/encoding.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "base/graph_base.h"

/* Text is brought into another encoding so many bytes at a time. */
#define CONVERSION_PIECE 256

/*
 * is_ascii
 *		Is it only ASCII, which all encodings have in common?
 */
static bool
is_ascii(const char *p, size_t len)
{
	const char *end = p + len;

	while (p < end && !IS_HIGHBIT_SET(*p))
		p++;
	return p == end;
}

/*
 * append_converted
 *		Append text in another encoding; proc converts to it, or is InvalidOid
 *		if nothing does.
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

	Assert(reserve >= 0);
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
