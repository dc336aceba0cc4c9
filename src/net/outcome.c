/*-------------------------------------------------------------------------
 *
 * outcome.c
 *		How did a transfer end?
 *
 * libcurl gives a code, and we know some things besides: what a callback could
 * not take, how long nothing came.  Here they become one GraphTransport, by
 * which others decide what to do, and a text for messages.
 *
 * It changes nothing of the transfer.  That there was not enough memory for
 * one is raised as an error at once.
 *
 * What this file refuses to know: what is worth another attempt, Graph.
 *
 * Sources: libcurl's manual page libcurl-errors(3).
 *
 * IDENTIFICATION
 *		src/net/outcome.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "net/net_int.h"

/* What libcurl's codes mean; those that are not here are "other". */
static const struct
{
	CURLcode	code;
	GraphTransport transport;
}			codes[] = {
	{CURLE_OK, GRAPH_TRANSPORT_OK},
	{CURLE_COULDNT_RESOLVE_HOST, GRAPH_TRANSPORT_RESOLVE},
	{CURLE_COULDNT_RESOLVE_PROXY, GRAPH_TRANSPORT_RESOLVE_PROXY},
	{CURLE_COULDNT_CONNECT, GRAPH_TRANSPORT_CONNECT},
	{CURLE_OPERATION_TIMEDOUT, GRAPH_TRANSPORT_CONNECT_TIMEOUT},
	{CURLE_SSL_CONNECT_ERROR, GRAPH_TRANSPORT_HANDSHAKE},
	{CURLE_PEER_FAILED_VERIFICATION, GRAPH_TRANSPORT_TLS},
	{CURLE_SSL_CERTPROBLEM, GRAPH_TRANSPORT_TLS},
	{CURLE_SSL_CIPHER, GRAPH_TRANSPORT_TLS},
	{CURLE_SSL_CACERT_BADFILE, GRAPH_TRANSPORT_TLS},
	{CURLE_SSL_CRL_BADFILE, GRAPH_TRANSPORT_TLS},
	{CURLE_SSL_ISSUER_ERROR, GRAPH_TRANSPORT_TLS},
	{CURLE_SSL_INVALIDCERTSTATUS, GRAPH_TRANSPORT_TLS},
	{CURLE_USE_SSL_FAILED, GRAPH_TRANSPORT_TLS},
	{CURLE_PARTIAL_FILE, GRAPH_TRANSPORT_BROKEN},
	{CURLE_GOT_NOTHING, GRAPH_TRANSPORT_BROKEN},
	{CURLE_RECV_ERROR, GRAPH_TRANSPORT_BROKEN},
	{CURLE_SEND_ERROR, GRAPH_TRANSPORT_BROKEN},
	{CURLE_HTTP2, GRAPH_TRANSPORT_BROKEN},
	{CURLE_HTTP2_STREAM, GRAPH_TRANSPORT_BROKEN},
	{CURLE_OUT_OF_MEMORY, GRAPH_TRANSPORT_TOO_LARGE},	/* see lacked_memory() */
#if CURL_AT_LEAST_VERSION(8, 6, 0)
	{CURLE_TOO_LARGE, GRAPH_TRANSPORT_TOO_LARGE},
#endif
};

/*
 * lacked_memory
 *		Did a transfer fail because something could not be allocated?
 *
 * A header line over 100 kB ends as if it had, in versions before 8.6.
 */
static bool
lacked_memory(const GraphEnd *end, const GraphBuffer *buffer,
			  const GraphHttpHeader *header)
{
	if (buffer->out_of_memory)
		return true;
	if (end->result == CURLE_OK)
		return false;
	if (end->failed_allocations != graph_wipe_failures())
		return true;
	return end->result == CURLE_OUT_OF_MEMORY &&
		(header->ended || CURL_AT_LEAST_VERSION(8, 6, 0));
}

/*
 * has_two_lengths
 *		Does the header say twice, and differently, how long the body is?
 *
 * Newer versions of libcurl see it before the line gets to header.c.
 */
static bool
has_two_lengths(const GraphEnd *end, const GraphEasy *easy,
				const GraphHttpHeader *header)
{
	return header->two_lengths ||
		(end->result == CURLE_WEIRD_SERVER_REPLY &&
		 header->length[0] && !header->ended &&
		 strcasestr(easy->error, "content-length"));
}

/*
 * speaks_no_tls
 *		Does a text of a TLS library say that the other side speaks another
 *		protocol, or another version?  That does not pass, unlike a handshake
 *		that was cut off.
 */
static bool
speaks_no_tls(const char *text)
{
	static const char *const said[] = {
		/* OpenSSL */
		"wrong version number", "packet length too long", "http request",
		"unsupported protocol", "protocol version", "no protocols available",
		/* GnuTLS */
		"unexpected TLS packet", "unsupported version",
	};

	for (size_t i = 0; i < lengthof(said); i++)
	{
		if (strstr(text, said[i]))
			return true;
	}
	return false;
}

/*
 * transport_of
 *		What libcurl's code means to a reader.
 */
static GraphTransport
transport_of(CURLcode result, const GraphEasy *easy)
{
	long		proxy_status =
		graph_easy_number(easy, CURLINFO_HTTP_CONNECTCODE, 0);

	/* garbage on a kept connection is what an earlier answer left behind */
	if (graph_easy_was_kept(easy) &&
		(result == CURLE_UNSUPPORTED_PROTOCOL ||
		 result == CURLE_WEIRD_SERVER_REPLY))
		return GRAPH_TRANSPORT_BROKEN;

	/* what a proxy cannot do now it may do later; what it will not, never */
	if (result != CURLE_OK && proxy_status / 100 == 5 &&
		graph_may_retry(GRAPH_TRANSPORT_OK, (int) proxy_status, GRAPH_RETRY_REMOTE))
		return GRAPH_TRANSPORT_PROXY_BUSY;
	if (result != CURLE_OK && proxy_status >= 400)
		return GRAPH_TRANSPORT_PROXY;
	if (result == CURLE_SSL_CONNECT_ERROR && speaks_no_tls(easy->error))
		return GRAPH_TRANSPORT_NO_TLS;

	for (size_t i = 0; i < lengthof(codes); i++)
	{
		if (codes[i].code == result)
			return codes[i].transport;
	}
	return GRAPH_TRANSPORT_OTHER;
}

/*
 * graph_outcome
 *		How a transfer ended; *text is what is to be said of it, "" if nothing.
 */
GraphTransport
graph_outcome(const GraphEnd *end, const GraphEasy *easy,
			  const GraphBuffer *buffer, const GraphHttpHeader *header,
			  const char **text)
{
	bool		failed = end->result != CURLE_OK;

	*text = "";
	if (end->silent || end->overdue)
	{
		*text = psprintf(end->silent ?
						 "nothing was received for %.3g seconds" :
						 "the answer was not complete after %.3g seconds",
						 end->request_timeout / 1000.0);
		return GRAPH_TRANSPORT_SILENCE;
	}
	if (lacked_memory(end, buffer, header))
		graph_report_out_of_memory();
	if (end->header_too_large)
	{
		*text = "its header is too large";
		return GRAPH_TRANSPORT_TOO_LARGE;
	}
	if (has_two_lengths(end, easy, header))
	{
		*text = "its header says in two ways how long it is";
		return GRAPH_TRANSPORT_LENGTH;
	}
	if (buffer->damage)
	{
		*text = buffer->damage;
		return GRAPH_TRANSPORT_ENCODING;
	}
	if (failed && (end->starved || easy->starved))
		return GRAPH_TRANSPORT_STARVED;
	if (failed && easy->forbidden)
	{
		*text = "its address is one of the local link, or another where the machine's metadata service is";
		return GRAPH_TRANSPORT_OTHER;
	}
	if (!failed && !header->ended)
	{
		/* libcurl takes what there is of a header for all of it */
		*text = "the header of the answer was cut off";
		return GRAPH_TRANSPORT_BROKEN;
	}
	if (failed)
		*text = easy->error[0] ? easy->error : curl_easy_strerror(end->result);
	return transport_of(end->result, easy);
}
