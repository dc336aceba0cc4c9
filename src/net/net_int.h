/*-------------------------------------------------------------------------
 *
 * net_int.h
 *		What the files of src/net share, and nobody else sees.
 *
 * Each struct names the file that writes it; the others read it at most.
 * Calls go one way: http.c, which runs a transfer, calls the others; easy.c
 * calls multi.c and tls.c, multi.c calls events.c and tls.c, buffer.c calls
 * header.c and inflate.c, and outcome.c calls easy.c.
 *
 * IDENTIFICATION
 *		src/net/net_int.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_NET_INT_H
#define GRAPH_NET_INT_H

#include <curl/curl.h>

#include "net/graph_net.h"

#if !CURL_AT_LEAST_VERSION(7, 76, 0)
#error "graph_fdw needs libcurl 7.76 or later"
#endif

/*
 * Where the beginning of an answer may be all that is wanted, or nothing of it
 * yet: what libcurl reads at once in the first case, and in both the window
 * that a transfer begins with.  Two records of the service's average size.
 */
#define GRAPH_SIP_BYTES	(16 * 1024)

/* What libcurl reads from a socket at once: a quarter of the system calls. */
#define GRAPH_RECEIVE_BYTES	(64 * 1024)

/*
 * Bytes of an answer kept between the socket and the reader.  Big enough that
 * the pause and resume of a transfer cost nothing, small enough that LIMIT 1
 * leaves most of an 8 MB page unsent.
 */
#define GRAPH_TRANSFER_WINDOW (128 * 1024)

typedef struct GraphInflater GraphInflater;

/* Bytes between the socket and the reader.  Written by buffer.c. */
typedef struct GraphBuffer
{
	char	   *data;			/* malloc'd; data[start .. end) is unread */
	size_t		capacity;
	size_t		start;
	size_t		end;
	size_t		window;			/* full when this many bytes are unread */
	bool		pinned;			/* somebody reads them where they are */
	bool		out_of_memory;
	uint64		received;		/* bytes of the body, as decompressed */
	GraphInflater *inflater;	/* of a compressed body that has begun */
	const char *damage;			/* why it cannot be inflated, or NULL */
} GraphBuffer;

/* A request as libcurl has it.  Written by easy.c. */
typedef struct GraphEasy
{
	CURL	   *curl;			/* NULL before and after its life */
	struct curl_slist *headers;
	char	   *body;			/* libcurl sends it from here, or NULL */
	char		id[GRAPH_ID_SIZE];	/* client-request-id */
	bool		link_local;		/* it may ask the metadata service */
	bool		forbidden;		/* it wanted an address that it may not ask */
	bool		starved;		/* the system had no socket for it */
	char		error[CURL_ERROR_SIZE];
} GraphEasy;

/* How a transfer ended, beside what libcurl says.  Written by http.c. */
typedef struct GraphEnd
{
	CURLcode	result;
	bool		silent;			/* nothing came for request_timeout, */
	bool		overdue;		/* or too little came in that time */
	bool		starved;		/* the system had no descriptor left */
	bool		header_too_large;
	int			request_timeout;	/* milliseconds */
	uint32		failed_allocations; /* of libcurl's, before it began */
} GraphEnd;

/* in buffer.c */
extern void graph_buffer_init(GraphBuffer *buffer, bool in_sips);
extern void graph_buffer_free(GraphBuffer *buffer, bool wipe);
extern bool graph_buffer_is_full(const GraphBuffer *buffer, bool compressed,
								 size_t bytes);
extern bool graph_buffer_take(GraphBuffer *buffer,
							  const GraphHttpHeader *header,
							  const char *data, size_t bytes);
extern bool graph_buffer_inflate(GraphBuffer *buffer);
extern void graph_buffer_double(GraphBuffer *buffer);
extern void graph_buffer_widen(GraphBuffer *buffer);
extern void graph_buffer_pin(GraphBuffer *buffer);
extern void graph_buffer_consume(GraphBuffer *buffer, size_t bytes);

/* in easy.c */
extern void graph_easy_create(GraphEasy *easy, MemoryContext owner,
							  const GraphHttpRequest *request,
							  curl_write_callback take_header,
							  curl_write_callback take_body, void *arg);
extern void graph_easy_free(GraphEasy *easy);
extern long graph_easy_number(const GraphEasy *easy, CURLINFO what,
							  long default_value);
extern bool graph_easy_was_kept(const GraphEasy *easy);
extern bool graph_easy_was_sent(const GraphEasy *easy);

/* in events.c */
extern pgsocket graph_events_open(void);
extern int	graph_events_watch(CURL *curl, curl_socket_t fd, int what,
							   void *arg, void *socketp);
extern void graph_events_alarm(GraphTime when);
extern bool graph_events_alarm_is_set(void);
extern void graph_events_run(void (*happened) (curl_socket_t fd, int what));
extern int	graph_events_trouble(bool forget);

/* in header.c */
extern void graph_header_line(GraphHttpHeader *header, const char *data,
							  size_t len);
extern void graph_header_complete(GraphHttpHeader *header, long status,
								  curl_off_t retry_after);
extern bool graph_header_is_gzip(const GraphHttpHeader *header);

/* in inflate.c */
extern GraphInflater *graph_inflater_create(void);
extern void graph_inflater_free(GraphInflater *inflater, bool secret);
extern bool graph_inflater_give(GraphInflater *inflater, const char *data,
								size_t len);
extern bool graph_inflater_has_more(const GraphInflater *inflater);
extern const char *graph_inflater_take(GraphInflater *inflater, char *out,
									   size_t *len);

/* in multi.c */
extern void graph_multi_start(void);
extern void graph_multi_add(CURL *easy);
extern void graph_multi_detach(CURL *easy);
extern void graph_multi_free(CURL *easy);
extern GraphTime graph_multi_heard(void);
extern bool graph_multi_drive(void (*ended) (CURL *easy, CURLcode result));
pg_noreturn extern void graph_multi_report(void);
extern void graph_multi_wait(long timeout);

/* in outcome.c */
extern GraphTransport graph_outcome(const GraphEnd *end,
									const GraphEasy *easy,
									const GraphBuffer *buffer,
									const GraphHttpHeader *header,
									const char **text);

/* in tls.c */
extern void graph_tls_start(void);
extern bool graph_tls_has_context(void);
extern void graph_tls_prepare(void *context);

/*
 * graph_buffer_unread
 *		How many bytes nobody has read yet?
 */
static inline size_t
graph_buffer_unread(const GraphBuffer *buffer)
{
	Assert(buffer->start <= buffer->end && buffer->end <= buffer->capacity);
	return buffer->end - buffer->start;
}

#endif							/* GRAPH_NET_INT_H */
