/*-------------------------------------------------------------------------
 *
 * inflate.c
 *		How is a compressed body inflated, a piece at a time?
 *
 * libcurl could inflate too, but it inflates all of a piece at once: what does
 * not fit into the reader's window is copied each time that the reader takes
 * some of it, which for a megabyte that holds a gigabyte takes a minute.  Nor
 * does it read a body of several gzip members.  Here no more is inflated than
 * there is room for, and what is not inflated yet is kept as it came.
 *
 * It is called from libcurl's callbacks, so nothing here throws or pallocs;
 * memory is malloc'd.
 *
 * What this file refuses to know: HTTP, transfers, what is in the body.
 *
 * Sources: RFC 1952 section 2.2 (a file is a series of members); zlib.h.
 *
 * IDENTIFICATION
 *		src/net/inflate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <zlib.h>

#include "net/net_int.h"

/* Let zlib expect the header and trailer of gzip, and any size of window. */
#define GZIP_WINDOW_BITS	(16 + MAX_WBITS)

struct GraphInflater
{
	z_stream	stream;			/* its input is in held */
	unsigned char *held;		/* malloc'd: what was given and not inflated */
	size_t		capacity;
	bool		between;		/* a member has ended, and none begun since */
	bool		has_more;		/* there may be more to be had */
};

/*
 * graph_inflater_create
 *		An inflater of gzip; NULL if there is no memory for it.
 */
GraphInflater *
graph_inflater_create(void)
{
	GraphInflater *inflater = calloc(1, sizeof(GraphInflater));

	if (inflater == NULL)
		return NULL;
	if (inflateInit2(&inflater->stream, GZIP_WINDOW_BITS) != Z_OK)
	{
		free(inflater);
		return NULL;
	}
	return inflater;
}

/*
 * graph_inflater_free
 *		Free an inflater, or none (NULL), with what it still holds; a secret is
 *		overwritten, as far as it is ours.
 */
void
graph_inflater_free(GraphInflater *inflater, bool secret)
{
	if (inflater == NULL)
		return;
	if (secret && inflater->held)
		explicit_bzero(inflater->held, inflater->capacity);
	(void) inflateEnd(&inflater->stream);
	free(inflater->held);
	free(inflater);
}

/*
 * graph_inflater_give
 *		Give it more of the body, of which it takes a copy; false if there is no
 *		memory for that.
 */
bool
graph_inflater_give(GraphInflater *inflater, const char *data, size_t len)
{
	z_stream   *stream = &inflater->stream;

	if (len == 0)
		return true;
	if (stream->avail_in > 0 && stream->next_in > inflater->held)
		memmove(inflater->held, stream->next_in, stream->avail_in);
	if (stream->avail_in + len > inflater->capacity)
	{
		unsigned char *grown = realloc(inflater->held, stream->avail_in + len);

		if (grown == NULL)
			return false;
		inflater->held = grown;
		inflater->capacity = stream->avail_in + len;
	}
	memcpy(inflater->held + stream->avail_in, data, len);
	stream->next_in = inflater->held;
	stream->avail_in += len;
	inflater->has_more = true;
	return true;
}

/*
 * graph_inflater_has_more
 *		Is there more to be had without giving it more?
 */
bool
graph_inflater_has_more(const GraphInflater *inflater)
{
	return inflater && inflater->has_more;
}

/*
 * next_member
 *		A member has ended and something follows: another member, or zeros,
 *		with which some fill up the last block of a file.
 */
static int
next_member(GraphInflater *inflater)
{
	z_stream   *stream = &inflater->stream;

	while (stream->avail_in > 0 && *stream->next_in == '\0')
	{
		stream->next_in++;
		stream->avail_in--;
	}
	if (stream->avail_in == 0)
		return Z_OK;
	inflater->between = false;
	return inflateReset(stream);
}

/*
 * graph_inflater_take
 *		Inflate up to *len bytes, and say in *len how many it were.
 *
 * Fewer than wanted are all that there is for now.  Returns NULL, or what is
 * wrong, a constant text; "" if there is not enough memory.
 */
const char *
graph_inflater_take(GraphInflater *inflater, char *out, size_t *len)
{
	z_stream   *stream = &inflater->stream;
	uInt		room = (uInt) Min(*len, INT_MAX);
	int			code = Z_OK;

	Assert(*len > 0);
	stream->next_out = (unsigned char *) out;
	stream->avail_out = room;
	while (code == Z_OK && stream->avail_out > 0)
	{
		if (inflater->between)
		{
			code = next_member(inflater);
			if (code != Z_OK || inflater->between)
				break;
		}
		code = inflate(stream, Z_NO_FLUSH);
		if (code == Z_STREAM_END)
		{
			inflater->between = true;
			code = Z_OK;
		}
	}
	*len = room - stream->avail_out;
	inflater->has_more = stream->avail_out == 0;

	switch (code)
	{
		case Z_OK:
		case Z_BUF_ERROR:		/* it wants more input */
			return NULL;
		case Z_MEM_ERROR:
			return "";
		default:
			return stream->msg ? stream->msg : "the compressed text is damaged";
	}
}
