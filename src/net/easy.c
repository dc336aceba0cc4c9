/*-------------------------------------------------------------------------
 *
 * easy.c
 *		How is a request put to libcurl?
 *
 * An easy handle is made with all its options: what is asked, how it is
 * protected, how it waits and whom it calls.  What libcurl needs as long as
 * the handle lives, header lines and a body, is kept beside it.
 *
 * The caller owns the GraphEasy: before graph_easy_create(), which may throw,
 * it registers what will call graph_easy_free(), which never does.  The two
 * callbacks that are set here and not by the caller, for sockets and for TLS,
 * neither throw nor palloc.
 *
 * What this file refuses to know: what becomes of the transfer, what is in the
 * answer, Graph.
 *
 * Sources: libcurl's manual page curl_easy_setopt(3) and those of its options.
 *
 * IDENTIFICATION
 *		src/net/easy.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "net/net_int.h"

/* Set an option; what libcurl refuses is an error that names it. */
#define SETOPT(easy, option, value) \
	do { \
		CURLcode	setopt_code = curl_easy_setopt((easy)->curl, option, value); \
		if (setopt_code != CURLE_OK) \
			report_setopt(#option, setopt_code); \
	} while (0)

/*
 * report_setopt
 *		Raise the error for an option that libcurl does not take.
 */
pg_noreturn static void
report_setopt(const char *option, CURLcode code)
{
	if (code == CURLE_OUT_OF_MEMORY)
		graph_report_out_of_memory();
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("could not set libcurl's %s: %s", option,
					curl_easy_strerror(code))));
}

/*
 * open_socket
 *		CURLOPT_OPENSOCKETFUNCTION: a socket for an address that was resolved,
 *		unless only the login by managed identity may ask it.
 *
 * It looks at the address and not at the URL, so it does not matter what a
 * name resolves to.
 */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	GraphEasy  *easy = arg;
	int			type = address->socktype;
	int			fd;

	if (graph_address_is_metadata(&address->addr) && !easy->link_local)
	{
		easy->forbidden = true;
		return CURL_SOCKET_BAD;
	}
#ifdef SOCK_CLOEXEC
	type |= SOCK_CLOEXEC;
#endif
	fd = socket(address->family, type, address->protocol);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		easy->starved = true;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/*
 * prepare_tls
 *		CURLOPT_SSL_CTX_FUNCTION: a TLS connection is about to be made.
 */
static CURLcode
prepare_tls(CURL *curl, void *context, void *arg)
{
	graph_tls_prepare(context);
	return CURLE_OK;
}

/*
 * proxy_url
 *		The URL of a proxy, with a user and a password if it wants them.
 *
 * libcurl has options for these, which some of its versions percent-decode;
 * in a URL they are always decoded.
 */
static char *
proxy_url(const GraphHttpRequest *request)
{
	const char *scheme_end = strstr(request->proxy, "://");
	char	   *user;
	char	   *password;
	size_t		size;
	char	   *url;

	if (request->proxy_user == NULL || scheme_end == NULL)
		return pstrdup(request->proxy);
	scheme_end += 3;
	user = graph_url_escape(request->proxy_user);
	password = graph_url_escape(request->proxy_password);
	size = strlen(request->proxy) + strlen(user) + strlen(password) + 3;
	url = graph_secret_alloc(size);
	snprintf(url, size, "%.*s%s:%s@%s", (int) (scheme_end - request->proxy),
			 request->proxy, user, password, scheme_end);
	graph_wipe_text(password);
	return url;
}

/*
 * set_proxy
 *		The way by which a request goes.
 *
 * What is not encrypted is for this machine alone and goes there directly,
 * since a proxy would read the secrets in it.
 */
static void
set_proxy(GraphEasy *easy, const GraphHttpRequest *request, bool plain)
{
	const char *proxy = request->proxy && !plain ? proxy_url(request) : "";

	SETOPT(easy, CURLOPT_PROXY, proxy);
	SETOPT(easy, CURLOPT_NOPROXY, "");
	SETOPT(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	if (proxy[0] == '\0')
		return;

	SETOPT(easy, CURLOPT_PROXYAUTH, CURLAUTH_BASIC);
	/* and not Kerberos, whose tickets the environment would name */
	SETOPT(easy, CURLOPT_SOCKS5_AUTH, CURLAUTH_BASIC);
	SETOPT(easy, CURLOPT_PROXY_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SETOPT(easy, CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
	SETOPT(easy, CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
	if (request->ca_file)
	{
		SETOPT(easy, CURLOPT_PROXY_CAINFO, request->ca_file);
		SETOPT(easy, CURLOPT_PROXY_CAPATH, NULL);
	}
}

/*
 * set_security
 *		What keeps a token where it belongs: TLS, one protocol, no redirects,
 *		and nothing of what the server process's environment says.
 */
static void
set_security(GraphEasy *easy, const GraphHttpRequest *request)
{
	bool		plain = graph_url_is_plain(request->url);

#if CURL_AT_LEAST_VERSION(7, 85, 0)
	SETOPT(easy, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
#else
	SETOPT(easy, CURLOPT_PROTOCOLS,
		   (long) (plain ? CURLPROTO_HTTP : CURLPROTO_HTTPS));
#endif
	SETOPT(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SETOPT(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SETOPT(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	SETOPT(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (graph_tls_has_context())
		SETOPT(easy, CURLOPT_SSL_CTX_FUNCTION, prepare_tls);
	if (request->ca_file)
	{
		/* this file, and not the system's authorities as well */
		SETOPT(easy, CURLOPT_CAINFO, request->ca_file);
		SETOPT(easy, CURLOPT_CAPATH, NULL);
	}
	SETOPT(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SETOPT(easy, CURLOPT_OPENSOCKETDATA, easy);
	set_proxy(easy, request, plain);
	SETOPT(easy, CURLOPT_PATH_AS_IS, 1L);
}

/*
 * set_transport
 *		How a request waits and goes over connections.
 */
static void
set_transport(GraphEasy *easy, const GraphHttpRequest *request)
{
	SETOPT(easy, CURLOPT_NOSIGNAL, 1L);
#if CURL_AT_LEAST_VERSION(7, 87, 0)
	/* do not wait for a resolver thread when a query is canceled */
	SETOPT(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	SETOPT(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) request->connect_timeout);
	SETOPT(easy, CURLOPT_BUFFERSIZE, request->in_sips ?
		   (long) GRAPH_SIP_BYTES : (long) GRAPH_RECEIVE_BYTES);
	SETOPT(easy, CURLOPT_TCP_KEEPALIVE, 1L);

	/*
	 * Wait for a connection that may turn out to be shared.  One without TLS
	 * does not, and libcurl says so only when its transfer has ended, which
	 * may be after the one that would wait.
	 */
	SETOPT(easy, CURLOPT_PIPEWAIT, graph_url_is_plain(request->url) ? 0L : 1L);
	SETOPT(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	SETOPT(easy, CURLOPT_FRESH_CONNECT, request->fresh_connection ? 1L : 0L);
	SETOPT(easy, CURLOPT_USERAGENT, "graph_fdw/" GRAPH_FDW_VERSION
		   " PostgreSQL/" PG_VERSION);
	SETOPT(easy, CURLOPT_ACCEPT_ENCODING, NULL);	/* inflate.c does it */
	SETOPT(easy, CURLOPT_ERRORBUFFER, easy->error);
}

/*
 * add_header
 *		Append a header line to the request.
 */
static void
add_header(GraphEasy *easy, const char *line)
{
	struct curl_slist *grown = curl_slist_append(easy->headers, line);

	if (grown == NULL)
		graph_report_out_of_memory();
	easy->headers = grown;
}

/*
 * add_id
 *		Give the request an id of its own, by which those who keep the logs of
 *		the other side find it, even if no answer comes.
 */
static void
add_id(GraphEasy *easy)
{
	Datum		uuid = DirectFunctionCall1(gen_random_uuid, (Datum) 0);
	char	   *line;

	strlcpy(easy->id, DatumGetCString(DirectFunctionCall1(uuid_out, uuid)),
			sizeof(easy->id));
	line = psprintf("client-request-id: %s", easy->id);
	add_header(easy, line);
	pfree(line);
}

/*
 * set_once
 *		Have a request sent once at most, whatever becomes of it.
 *
 * Where a kept connection ends before the first byte of an answer, libcurl
 * sends the request again on another, and tells nobody; the service may have
 * taken it all the same.  That cannot be on a connection of its own.
 */
static void
set_once(GraphEasy *easy)
{
	SETOPT(easy, CURLOPT_FRESH_CONNECT, 1L);
	SETOPT(easy, CURLOPT_FORBID_REUSE, 1L);
}

/*
 * set_body
 *		What is sent with a request, and by which method.
 *
 * The answer is waited for without "100 Continue": for a large body libcurl
 * would ask for that, and wait where the service does not know it.
 */
static void
set_body(GraphEasy *easy, MemoryContext owner, const GraphHttpRequest *request)
{
	const char *body = request->form ? request->form : request->json;

	if (body == NULL)
		return;
	easy->body = MemoryContextStrdup(owner, body);
	SETOPT(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) strlen(easy->body));
	SETOPT(easy, CURLOPT_POSTFIELDS, easy->body);
	add_header(easy, "Expect:");
	if (request->form)
		return;
	add_header(easy, "Content-Type: application/json");
	if (request->method == GRAPH_METHOD_PATCH)
		SETOPT(easy, CURLOPT_CUSTOMREQUEST, "PATCH");
	else
		set_once(easy);
}

/*
 * set_request
 *		What is asked.
 */
static void
set_request(GraphEasy *easy, MemoryContext owner,
			const GraphHttpRequest *request)
{
	ListCell   *cell;

	SETOPT(easy, CURLOPT_URL, request->url);
	set_body(easy, owner, request);
	if (request->bearer)
	{
		MemoryContext old = MemoryContextSwitchTo(owner);

		add_header(easy, graph_secret_join("Authorization: Bearer ",
										   request->bearer));
		MemoryContextSwitchTo(old);
	}
	add_id(easy);
	foreach(cell, request->headers)
		add_header(easy, lfirst(cell));
	add_header(easy, "Accept-Encoding: gzip");
	SETOPT(easy, CURLOPT_HTTPHEADER, easy->headers);
}

/*
 * graph_easy_create
 *		Make the handle of a request, ready to be started.
 *
 * It is zeroed.  What it needs of palloc'd memory is the owner's.  The two
 * callbacks get arg, which is also the handle's CURLINFO_PRIVATE.
 */
void
graph_easy_create(GraphEasy *easy, MemoryContext owner,
				  const GraphHttpRequest *request,
				  curl_write_callback take_header,
				  curl_write_callback take_body, void *arg)
{
	Assert(easy->curl == NULL && easy->headers == NULL);
	easy->link_local = request->link_local;
	easy->curl = curl_easy_init();
	if (easy->curl == NULL)
		graph_report_out_of_memory();
	set_transport(easy, request);
	SETOPT(easy, CURLOPT_PRIVATE, arg);
	SETOPT(easy, CURLOPT_WRITEFUNCTION, take_body);
	SETOPT(easy, CURLOPT_WRITEDATA, arg);
	SETOPT(easy, CURLOPT_HEADERFUNCTION, take_header);
	SETOPT(easy, CURLOPT_HEADERDATA, arg);
	set_security(easy, request);
	set_request(easy, owner, request);
}

/*
 * graph_easy_free
 *		Give back what there is, whose transfer has ended, and overwrite the
 *		secrets: the token is in a header line.
 */
void
graph_easy_free(GraphEasy *easy)
{
	if (easy->curl)
		graph_multi_free(easy->curl);
	for (struct curl_slist *item = easy->headers; item; item = item->next)
		graph_wipe_text(item->data);
	curl_slist_free_all(easy->headers);
	graph_wipe_text(easy->body);
	easy->curl = NULL;
	easy->headers = NULL;
	easy->body = NULL;
}

/*
 * graph_easy_number
 *		A number that libcurl knows of a transfer; a default if it does not.
 */
long
graph_easy_number(const GraphEasy *easy, CURLINFO what, long default_value)
{
	long		number = default_value;

	if (easy->curl == NULL ||
		curl_easy_getinfo(easy->curl, what, &number) != CURLE_OK)
		return default_value;
	return number;
}

/*
 * graph_easy_was_kept
 *		Did the request go over a connection that was there before?
 */
bool
graph_easy_was_kept(const GraphEasy *easy)
{
	return graph_easy_number(easy, CURLINFO_NUM_CONNECTS, 1) == 0;
}

/*
 * graph_easy_was_sent
 *		May the other side have got something of the request?  Not if libcurl
 *		never came to send it.
 */
bool
graph_easy_was_sent(const GraphEasy *easy)
{
	curl_off_t	ready = 0;

	if (easy->curl == NULL ||
		curl_easy_getinfo(easy->curl, CURLINFO_PRETRANSFER_TIME_T, &ready) != CURLE_OK)
		return true;
	return ready > 0 || graph_easy_number(easy, CURLINFO_REQUEST_SIZE, 1) > 0;
}
