/*-------------------------------------------------------------------------
 *
 * buffer.c
 *		Which bytes of an answer were received and are not read yet?
 *
 * A buffer takes bytes from libcurl and keeps them until the reader consumes
 * them.  It is full when a window of them is unread; then the transfer is
 * paused, so that the sender waits for the reader.  A compressed body is kept
 * as it came, and is inflated as far as the window has room (inflate.c).
 *
 * Most of this runs inside libcurl's callbacks: nothing here throws, pallocs
 * or checks for interrupts, and what goes wrong is noted in the buffer.  The
 * memory is malloc'd; who owns the transfer calls graph_buffer_free().
 *
 * What this file refuses to know: libcurl, waiting, what the bytes mean.
 *
 * IDENTIFICATION
 *		src/net/buffer.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "net/net_int.h"

/*
 * graph_buffer_init
 *		Begin with nothing.  In sips, the window is small at first, and grows as
 *		the reader wants more.
 */
void
graph_buffer_init(GraphBuffer *buffer, bool in_sips)
{
	memset(buffer, 0, sizeof(GraphBuffer));
	buffer->window = in_sips ? GRAPH_SIP_BYTES : GRAPH_TRANSFER_WINDOW;
}

/*
 * graph_buffer_free
 *		Give its memory back, overwritten if somebody could read a secret there.
 *		It may have been given back before.
 */
void
graph_buffer_free(GraphBuffer *buffer, bool wipe)
{
	if (wipe && buffer->data)
		explicit_bzero(buffer->data, buffer->capacity);
	free(buffer->data);
	graph_inflater_free(buffer->inflater, wipe);
	buffer->data = NULL;
	buffer->inflater = NULL;
	buffer->start = buffer->end = buffer->capacity = 0;
}

/*
 * make_room
 *		Have room for some more bytes at the end; false if there is no memory.
 */
static bool
make_room(GraphBuffer *buffer, size_t bytes)
{
	size_t		unread = graph_buffer_unread(buffer);
	size_t		capacity = Max(buffer->capacity, GRAPH_TRANSFER_WINDOW);
	char	   *grown;

	if (buffer->end + bytes <= buffer->capacity)
		return true;
	Assert(!buffer->pinned);
	if (buffer->start > 0)
	{
		memmove(buffer->data, buffer->data + buffer->start, unread);
		buffer->start = 0;
		buffer->end = unread;
	}
	while (capacity < unread + bytes)
		capacity *= 2;
	if (capacity == buffer->capacity)
		return true;
	grown = realloc(buffer->data, capacity);
	if (grown == NULL)
	{
		buffer->out_of_memory = true;
		return false;
	}
	buffer->data = grown;
	buffer->capacity = capacity;
	return true;
}

/*
 * graph_buffer_inflate
 *		Inflate what was received of a compressed body, as far as the window has
 *		room; false if that failed.
 */
bool
graph_buffer_inflate(GraphBuffer *buffer)
{
	while (graph_inflater_has_more(buffer->inflater) &&
		   graph_buffer_unread(buffer) < buffer->window)
	{
		size_t		room = Min(buffer->window - graph_buffer_unread(buffer),
							   (size_t) GRAPH_RECEIVE_BYTES);

		if (buffer->pinned)
			room = Min(room, buffer->capacity - buffer->end);
		if (room == 0)
			return true;
		if (!make_room(buffer, room))
			return false;
		buffer->damage = graph_inflater_take(buffer->inflater,
											 buffer->data + buffer->end,
											 &room);
		buffer->end += room;
		buffer->received += room;
		if (buffer->damage)
		{
			buffer->out_of_memory = buffer->damage[0] == '\0';
			return false;
		}
	}
	return true;
}

/*
 * take_compressed
 *		Take a piece of a compressed body, and inflate it as far as that goes.
 */
static bool
take_compressed(GraphBuffer *buffer, const GraphHttpHeader *header,
				const char *data, size_t bytes)
{
	if (!graph_header_is_gzip(header))
	{
		buffer->damage = "its encoding is none that was asked for";
		return false;
	}
	if (buffer->inflater == NULL)
		buffer->inflater = graph_inflater_create();
	if (buffer->inflater == NULL ||
		!graph_inflater_give(buffer->inflater, data, bytes))
	{
		buffer->out_of_memory = true;
		return false;
	}
	return graph_buffer_inflate(buffer);
}

/*
 * graph_buffer_is_full
 *		Is there no room for so many bytes?  An empty buffer takes any number.
 */
bool
graph_buffer_is_full(const GraphBuffer *buffer, bool compressed, size_t bytes)
{
	if (compressed)
		return graph_inflater_has_more(buffer->inflater);
	return (graph_buffer_unread(buffer) > 0 &&
			graph_buffer_unread(buffer) + bytes > buffer->window) ||
		(buffer->pinned && buffer->end + bytes > buffer->capacity);
}

/*
 * graph_buffer_take
 *		Take a piece of the body, for which there is room; false if that failed.
 */
bool
graph_buffer_take(GraphBuffer *buffer, const GraphHttpHeader *header,
				  const char *data, size_t bytes)
{
	if (header->encoding[0])
		return take_compressed(buffer, header, data, bytes);
	if (!make_room(buffer, bytes))
		return false;
	memcpy(buffer->data + buffer->end, data, bytes);
	buffer->end += bytes;
	buffer->received += bytes;
	return true;
}

/*
 * graph_buffer_double
 *		Double the window: libcurl holds back a piece that is larger.
 */
void
graph_buffer_double(GraphBuffer *buffer)
{
	buffer->window *= 2;
}

/*
 * graph_buffer_widen
 *		Widen the window for a reader who waits: what is unread is not enough to
 *		go on with.
 */
void
graph_buffer_widen(GraphBuffer *buffer)
{
	size_t		unread = graph_buffer_unread(buffer);

	if (unread > buffer->window / 2)
		buffer->window = unread * 2;
	else if (unread > 0 && buffer->window < GRAPH_TRANSFER_WINDOW)
		buffer->window *= 2;
}

/*
 * graph_buffer_pin
 *		Leave the unread bytes where they are until some of them are consumed.
 */
void
graph_buffer_pin(GraphBuffer *buffer)
{
	buffer->pinned = true;
}

/*
 * graph_buffer_consume
 *		The first so many unread bytes have been read.
 */
void
graph_buffer_consume(GraphBuffer *buffer, size_t bytes)
{
	Assert(bytes <= graph_buffer_unread(buffer));
	buffer->pinned = false;
	buffer->start += bytes;
	if (buffer->start < buffer->end)
		return;

	buffer->start = buffer->end = 0;
	if (buffer->capacity > 4 * GRAPH_TRANSFER_WINDOW)
	{
		/* after an unusually large record, be small again */
		free(buffer->data);
		buffer->data = NULL;
		buffer->capacity = 0;
	}
	buffer->window = GRAPH_TRANSFER_WINDOW;
}
