/*-------------------------------------------------------------------------
 *
 * text_meaning.c
 *		Which texts of the service are shown as this one?
 *
 * What the database cannot hold is replaced (src/json/text.c and
 * src/base/encoding.c).  So a text here may stand for several there, and a
 * condition on it, sent as it is, would lose those.
 *
 * What this file refuses to know: what the text is compared with.
 *
 * IDENTIFICATION
 *		src/odata/text_meaning.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/string.h"
#include "mb/pg_wchar.h"

#include "odata/graph_odata.h"

/* U+FFFD, which takes the place of what is no character */
#define REPLACEMENT	"\xef\xbf\xbd"

/*
 * can_be_shown
 *		Are all characters of a text those of Unicode, so that a value of the
 *		service can have them?  The encoding is one of single bytes.
 */
static bool
can_be_shown(const char *text, int encoding)
{
	Oid			proc = FindDefaultConversionProc(encoding, PG_UTF8);
	int			len = strlen(text);
	int			size = len * MAX_CONVERSION_GROWTH + 1;
	unsigned char *utf8;
	bool		all;

	Assert(OidIsValid(proc));	/* each of them has one */
	utf8 = palloc(size);
	all = pg_do_encoding_conversion_buf(proc, encoding, PG_UTF8,
										(unsigned char *) unconstify(char *, text),
										len, utf8, size, true) == len;
	pfree(utf8);
	return all;
}

/*
 * graph_text_meaning
 *		What a text of the database is at the service.
 *
 * The maps of an encoding of several bytes may have one code for two
 * characters of Unicode, so all but ASCII counts as doubtful there.
 */
GraphTextMeaning
graph_text_meaning(const char *text)
{
	int			encoding = GetDatabaseEncoding();

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
	{
		/* SQL_ASCII has the bytes of UTF-8, but lets users write others */
		if (!pg_verify_mbstr(PG_UTF8, text, strlen(text), true))
			return GRAPH_TEXT_IMPOSSIBLE;
		return strstr(text, REPLACEMENT) ? GRAPH_TEXT_AMBIGUOUS :
			GRAPH_TEXT_EXACT;
	}
	if (strchr(text, '?'))
		return GRAPH_TEXT_AMBIGUOUS;
	if (pg_is_ascii(text))
		return GRAPH_TEXT_EXACT;
	if (pg_encoding_max_length(encoding) > 1)
		return GRAPH_TEXT_AMBIGUOUS;
	return can_be_shown(text, encoding) ? GRAPH_TEXT_EXACT : GRAPH_TEXT_IMPOSSIBLE;
}
