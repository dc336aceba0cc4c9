/*-------------------------------------------------------------------------
 *
 * graph_net.h
 *		Bytes there and back: HTTP by libcurl, and the one wait.
 *
 * What this layer refuses to know: JSON, tokens, what an answer means.
 *
 * IDENTIFICATION
 *		src/net/graph_net.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_NET_H
#define GRAPH_NET_H

#include <signal.h>

#include "base/graph_base.h"

typedef struct GraphTransfer GraphTransfer;

typedef struct GraphHttpRequest
{
	const char *url;
	const char *bearer;			/* token for Authorization, or NULL */
	List	   *headers;		/* of char *, "Name: value" */
	GraphMethod method;			/* with json; a form is always a POST */
	const char *form;			/* body to POST as a form, or NULL */
	const char *json;			/* body of a PATCH or POST, or NULL */

	const char *ca_file;		/* or NULL */
	const char *proxy;			/* or NULL; not used for http, see easy.c */
	const char *proxy_user;		/* or NULL */
	const char *proxy_password;
	int			connect_timeout;	/* milliseconds */
	int			request_timeout;	/* longest silence, milliseconds */
	bool		fresh_connection;	/* do not reuse a kept one */
	bool		in_sips;		/* the beginning may be all that is wanted */
	bool		prefetch;		/* another answer is read before this one */
	bool		secret_answer;	/* overwrite what was received afterwards */
	bool		link_local;		/* may ask the machine's metadata service */
} GraphHttpRequest;

/* in http.c */
extern GraphTransfer *graph_http_start(MemoryContext owner,
									   const GraphHttpRequest *request);
extern void graph_http_wait_any(GraphTransfer **transfers, int count,
								GraphTime until);
extern bool graph_http_poll(GraphTransfer **transfers, int count,
							GraphTime since, long *left);
extern bool graph_http_done(const GraphTransfer *transfer);
extern bool graph_http_may_be_cut(const GraphTransfer *transfer);
extern bool graph_http_wait_all(GraphTransfer *transfer, size_t limit);
extern GraphSlice graph_http_unread(GraphTransfer *transfer);
extern void graph_http_consume(GraphTransfer *transfer, size_t bytes);
extern void graph_http_pin(GraphTransfer *transfer);
extern const GraphHttpHeader *graph_http_header(GraphTransfer *transfer);
extern GraphTransport graph_http_result(GraphTransfer *transfer,
										const char **text);
extern const char *graph_http_id(const GraphTransfer *transfer);
extern bool graph_http_was_kept(const GraphTransfer *transfer);
extern bool graph_http_was_sent(const GraphTransfer *transfer);
extern uint64 graph_http_received(GraphTransfer *transfer);
extern void graph_http_end(GraphTransfer *transfer);
extern void graph_http_sleep(int milliseconds);
extern bool graph_http_has_descriptor(void);
extern bool graph_http_is_stuck(void);
extern void graph_http_free_descriptors(void);

/* in multi.c */
extern pgsocket graph_multi_descriptor(void);
extern void graph_multi_alarm(long timeout);
extern bool graph_multi_alarm_is_set(void);
extern bool graph_http_disconnect(void);
extern void graph_block_signals(sigset_t *saved);
extern void graph_restore_signals(const sigset_t *saved);

#endif							/* GRAPH_NET_H */
