/*-------------------------------------------------------------------------
 *
 * http.c
 *		Send requests, deliver bytes, wait.
 *
 * A transfer is started, and from then on its bytes are pulled by whoever
 * reads them: graph_http_wait_any() returns when there are more, and what has
 * been read is consumed.  At most a window of bytes is kept; a transfer whose
 * window is full is paused, so that the sender waits for the reader.  What
 * happens on the wire, and the waiting, is multi.c's.
 *
 * A body that is compressed is kept as it came, and inflated into the window
 * as that has room (inflate.c).
 *
 * Two rules keep curl and the backend apart.  Nothing that can ereport,
 * palloc or check for interrupts runs inside a libcurl callback: callbacks
 * store bytes in malloc'd memory and return, and trouble is raised after
 * libcurl has returned.  Every transfer hangs on a memory context reset
 * callback that is registered before the curl handle exists, so an error, a
 * cancel or a subtransaction abort releases it.
 *
 * What this file refuses to know: Graph, tokens, which failure is worth
 * another attempt.
 *
 * Sources: libcurl's manual pages curl_easy_setopt(3), curl_easy_pause(3).
 *
 * IDENTIFICATION
 *		src/net/http.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/ilist.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "net/graph_net.h"

#if !CURL_AT_LEAST_VERSION(7, 76, 0)
#error "graph_fdw needs libcurl 7.76 or later"
#endif

/* All header lines of one answer together; Graph's are below 4 kB. */
#define MAX_HEADER_BYTES	(256 * 1024)

/* What curl reads from a socket at once: a quarter of the system calls. */
#define RECEIVE_BUFFER_BYTES	(64 * 1024L)

/*
 * Where the beginning of an answer may be all that is wanted, or nothing of it
 * yet: what curl reads at once in the one case, and in both the first window,
 * which grows with the appetite of the reader.  Two records, by the service's
 * average.
 */
#define SIP_BYTES	(16 * 1024L)

struct GraphTransfer
{
	/* curl's side, released by release_transfer() */
	CURL	   *easy;
	struct curl_slist *headers;
	bool		added;			/* to the multi handle */
	bool		has_fd;			/* counted with AcquireExternalFD() */
	bool		starved;		/* the system has no descriptor for it */
	dlist_node	node;			/* in under_way, while it is added */
	MemoryContextCallback callback;
	char	   *form;			/* curl sends it from here, or NULL */
	char		id[GRAPH_ID_SIZE];	/* client-request-id */
	bool		secret_answer;
	bool		link_local;
	bool		forbidden;		/* an address that this request may not ask */

	/* received and not yet consumed: buffer[start .. end), malloc'd */
	char	   *buffer;
	size_t		capacity;
	size_t		start;
	size_t		end;
	size_t		window;			/* pause when this many are unread */
	bool		paused;
	bool		pinned;			/* somebody reads them where they are */
	bool		out_of_memory;
	uint32		failed_allocations; /* of curl's, before it began */
	uint64		received;		/* bytes of body, as decompressed */

	/* a compressed body; malloc'd */
	GraphInflater *inflater;	/* NULL: it is not, or has not begun */
	const char *damage;			/* why it cannot be inflated, or NULL */

	/* the answer */
	GraphHttpHeader header;
	size_t		header_bytes;
	bool		header_too_large;

	/* the end */
	bool		ended;			/* curl is done with it, */
	bool		done;			/* and all is in the buffer that will be */
	CURLcode	result;
	bool		silent;			/* request_timeout ended it, */
	bool		overdue;		/* although it was not silent */
	char		error[CURL_ERROR_SIZE];

	int			request_timeout;	/* milliseconds */
	GraphTime	last_activity;
	int64		silence;		/* microseconds waited for since then, as far
								 * as those waits are over */
	MemoryContext owner;
};

/* Those that curl has. */
static dlist_head under_way = DLIST_STATIC_INIT(under_way);

static void release_transfer(void *arg);

/*-------------------------------------------------------------------------
 * Callbacks: libcurl's frames are on the stack, so nothing here may throw,
 * palloc or check for interrupts.
 *-------------------------------------------------------------------------
 */

static size_t
unread_bytes(const GraphTransfer *transfer)
{
	return transfer->end - transfer->start;
}

/*
 * note_activity
 *		Something was received.
 */
static void
note_activity(GraphTransfer *transfer)
{
	transfer->last_activity = graph_now();
	transfer->silence = 0;
}

/*
 * make_room
 *		Let the buffer take some more bytes at its end; false if it cannot.
 */
static bool
make_room(GraphTransfer *transfer, size_t bytes)
{
	size_t		unread = unread_bytes(transfer);
	size_t		capacity = Max(transfer->capacity, GRAPH_TRANSFER_WINDOW);
	char	   *grown;

	if (transfer->end + bytes <= transfer->capacity)
		return true;
	Assert(!transfer->pinned);
	if (transfer->start > 0)
	{
		memmove(transfer->buffer, transfer->buffer + transfer->start, unread);
		transfer->start = 0;
		transfer->end = unread;
	}
	while (capacity < unread + bytes)
		capacity *= 2;
	if (capacity == transfer->capacity)
		return true;
	grown = realloc(transfer->buffer, capacity);
	if (grown == NULL)
		return false;
	transfer->buffer = grown;
	transfer->capacity = capacity;
	return true;
}

/*
 * inflate_some
 *		Inflate what was received of a compressed body, as far as the window has
 *		room; false if that failed.
 */
static bool
inflate_some(GraphTransfer *transfer)
{
	while (graph_inflater_has_more(transfer->inflater) &&
		   unread_bytes(transfer) < transfer->window)
	{
		size_t		room = Min(transfer->window - unread_bytes(transfer),
							   (size_t) RECEIVE_BUFFER_BYTES);

		if (transfer->pinned)
			room = Min(room, transfer->capacity - transfer->end);
		if (room == 0)
			return true;
		if (!make_room(transfer, room))
		{
			transfer->out_of_memory = true;
			return false;
		}
		transfer->damage = graph_inflater_take(transfer->inflater,
											   transfer->buffer + transfer->end,
											   &room);
		transfer->end += room;
		transfer->received += room;
		if (transfer->damage)
		{
			transfer->out_of_memory = transfer->damage[0] == '\0';
			return false;
		}
	}
	return true;
}

/*
 * take_compressed
 *		Keep a piece of a compressed body, and inflate it as far as that goes.
 */
static size_t
take_compressed(GraphTransfer *transfer, const char *data, size_t bytes)
{
	if (!graph_header_is_gzip(&transfer->header))
	{
		transfer->damage = "its encoding is none that was asked for";
		return 0;
	}
	if (transfer->inflater == NULL)
		transfer->inflater = graph_inflater_create();
	if (transfer->inflater == NULL ||
		!graph_inflater_give(transfer->inflater, data, bytes))
	{
		transfer->out_of_memory = true;
		return 0;
	}
	return inflate_some(transfer) ? bytes : 0;
}

/*
 * is_full
 *		Is there no room for so many bytes?
 */
static bool
is_full(const GraphTransfer *transfer, size_t bytes)
{
	if (transfer->header.encoding[0])
		return graph_inflater_has_more(transfer->inflater);
	return (unread_bytes(transfer) > 0 &&
			unread_bytes(transfer) + bytes > transfer->window) ||
		(transfer->pinned && transfer->end + bytes > transfer->capacity);
}

/*
 * take_body
 *		CURLOPT_WRITEFUNCTION: keep bytes, or pause while the window is full.
 */
static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
	GraphTransfer *transfer = arg;
	size_t		bytes = size * count;

	if (is_full(transfer, bytes))
	{
		transfer->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	note_activity(transfer);
	if (transfer->header.encoding[0])
		return take_compressed(transfer, data, bytes);
	if (!make_room(transfer, bytes))
	{
		transfer->out_of_memory = true;
		return 0;
	}
	memcpy(transfer->buffer + transfer->end, data, bytes);
	transfer->end += bytes;
	transfer->received += bytes;
	return bytes;
}

/*
 * take_header
 *		CURLOPT_HEADERFUNCTION: one line of the answer's header.
 *
 * Only its beginning and its end break a silence: interim answers, or lines,
 * without end are not to be waited for.
 */
static size_t
take_header(char *line, size_t size, size_t count, void *arg)
{
	GraphTransfer *transfer = arg;
	size_t		len = size * count;
	bool		ended = transfer->header.ended;

	if (transfer->header_bytes == 0)
		note_activity(transfer);
	transfer->header_bytes += len;
	if (transfer->header_bytes > MAX_HEADER_BYTES)
	{
		transfer->header_too_large = true;
		return 0;
	}
	graph_header_line(&transfer->header, line, len);
	if (transfer->header.two_lengths)
		return 0;
	if (transfer->header.ended && !ended)
		note_activity(transfer);
	return len;
}

/*
 * open_socket
 *		CURLOPT_OPENSOCKETFUNCTION: a socket for an address that was resolved,
 *		unless it is one that only the managed identity's login may ask.
 *
 * Looking at the address and not at the URL alone, it does not matter what a
 * name resolves to.
 */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	GraphTransfer *transfer = arg;
	int			type = address->socktype;
	int			fd;

	if (graph_address_is_metadata(&address->addr) && !transfer->link_local)
	{
		transfer->forbidden = true;
		return CURL_SOCKET_BAD;
	}
#ifdef SOCK_CLOEXEC
	type |= SOCK_CLOEXEC;
#endif
	fd = socket(address->family, type, address->protocol);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		transfer->starved = true;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/*-------------------------------------------------------------------------
 * Descriptors
 *
 * A transfer has one, and PostgreSQL lets extensions have a third of all.
 * There are others who need some: a wait below an Append creates a set, and
 * fails if it cannot.
 *-------------------------------------------------------------------------
 */

/* So many of that third are left to others. */
#define SPARE_DESCRIPTORS	4

/*
 * graph_http_has_descriptor
 *		Can one more transfer be had without want elsewhere?
 */
bool
graph_http_has_descriptor(void)
{
	int			count = 0;
	bool		enough;

	while (count <= SPARE_DESCRIPTORS && AcquireExternalFD())
		count++;
	enough = count > SPARE_DESCRIPTORS;
	while (count-- > 0)
		ReleaseExternalFD();
	return enough;
}

/*
 * release_descriptor
 *		Curl is done with a transfer, so it has none any more.
 */
static void
release_descriptor(GraphTransfer *transfer)
{
	if (transfer->has_fd)
		ReleaseExternalFD();
	transfer->has_fd = false;
}

/*
 * has_no_descriptor
 *		Is none to be had from the system now?
 */
static bool
has_no_descriptor(void)
{
	int			fd = dup(STDERR_FILENO);

	if (fd >= 0)
		close(fd);
	return fd < 0 && (errno == EMFILE || errno == ENFILE);
}

/*
 * graph_http_free_descriptors
 *		Have the server's files, and the connections that are kept, give up
 *		theirs.
 */
void
graph_http_free_descriptors(void)
{
	closeAllVfds();
	(void) graph_http_disconnect();
}

/*
 * graph_http_is_stuck
 *		Does every transfer wait for somebody to read what it has?
 */
bool
graph_http_is_stuck(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &under_way)
	{
		const GraphTransfer *transfer =
			dlist_container(GraphTransfer, node, iter.cur);

		if (!transfer->ended && !transfer->paused)
			return false;
	}
	return true;
}

/*
 * prepare_tls
 *		CURLOPT_SSL_CTX_FUNCTION: a TLS connection is about to be made.
 */
static CURLcode
prepare_tls(CURL *easy, void *context, void *arg)
{
	graph_tls_prepare(context);
	return CURLE_OK;
}

/*-------------------------------------------------------------------------
 * Transfers
 *-------------------------------------------------------------------------
 */

/*
 * wipe_list
 *		Free header lines; one of them holds the token.
 */
static void
wipe_list(struct curl_slist *list)
{
	for (struct curl_slist *item = list; item; item = item->next)
		explicit_bzero(item->data, strlen(item->data));
	curl_slist_free_all(list);
}

/*
 * detach
 *		Take a transfer away from curl.
 */
static void
detach(GraphTransfer *transfer)
{
	dlist_delete(&transfer->node);
	transfer->added = false;
	graph_multi_detach(transfer->easy);
}

/*
 * release_transfer
 *		Give back what a transfer has of curl's and of malloc's.
 *
 * It is the reset callback of the owner's memory context, so it must not
 * throw, and it may be called for a transfer that has nothing any more.
 */
static void
release_transfer(void *arg)
{
	GraphTransfer *transfer = arg;

	if (transfer->added)
		detach(transfer);
	if (transfer->easy)
		graph_multi_free(transfer->easy);

	wipe_list(transfer->headers);
	if (transfer->form)
		explicit_bzero(transfer->form, strlen(transfer->form));
	/* what is no list of alerts may repeat the request */
	if (transfer->buffer &&
		(transfer->secret_answer || transfer->header.status != 200))
		explicit_bzero(transfer->buffer, transfer->capacity);
	free(transfer->buffer);
	graph_inflater_free(transfer->inflater, transfer->secret_answer);
	release_descriptor(transfer);
	transfer->easy = NULL;
	transfer->headers = NULL;
	transfer->form = NULL;
	transfer->buffer = NULL;
	transfer->inflater = NULL;
	transfer->start = transfer->end = transfer->capacity = 0;
	transfer->done = true;
}

/*
 * out_of_memory
 *		Raise the error for what could not be allocated.
 */
pg_noreturn static void
out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/*
 * report_setopt
 *		Raise the error for an option that curl does not take.
 */
pg_noreturn static void
report_setopt(const char *option, CURLcode code)
{
	if (code == CURLE_OUT_OF_MEMORY)
		out_of_memory();
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("could not set libcurl's %s: %s", option,
					curl_easy_strerror(code))));
}

/* Set an option of a transfer; what curl refuses is an error that names it. */
#define SETOPT(transfer, option, value) \
	do { \
		CURLcode	setopt_code = curl_easy_setopt((transfer)->easy, option, value); \
		if (setopt_code != CURLE_OK) \
			report_setopt(#option, setopt_code); \
	} while (0)

/*
 * add_header
 *		Append a header line to the request.
 */
static void
add_header(GraphTransfer *transfer, const char *line)
{
	struct curl_slist *grown = curl_slist_append(transfer->headers, line);

	if (grown == NULL)
		out_of_memory();
	transfer->headers = grown;
}

/*
 * proxy_url
 *		The URL of a proxy, with a user and a password if it wants them.
 *
 * Libcurl has options for these, which some of its versions percent-decode;
 * of a URL that is expected.
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
	explicit_bzero(password, strlen(password));
	return url;
}

/*
 * set_proxy
 *		The way by which a request goes.
 *
 * What is not encrypted is for this machine alone and goes there directly: a
 * proxy would read the secrets in it.
 */
static void
set_proxy(GraphTransfer *transfer, const GraphHttpRequest *request, bool plain)
{
	const char *proxy = request->proxy && !plain ? proxy_url(request) : "";

	SETOPT(transfer, CURLOPT_PROXY, proxy);
	SETOPT(transfer, CURLOPT_NOPROXY, "");
	SETOPT(transfer, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	if (proxy[0] == '\0')
		return;

	SETOPT(transfer, CURLOPT_PROXYAUTH, CURLAUTH_BASIC);
	/* and not Kerberos, whose tickets the environment would name */
	SETOPT(transfer, CURLOPT_SOCKS5_AUTH, CURLAUTH_BASIC);
	SETOPT(transfer, CURLOPT_PROXY_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SETOPT(transfer, CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
	SETOPT(transfer, CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
	if (request->ca_file)
	{
		SETOPT(transfer, CURLOPT_PROXY_CAINFO, request->ca_file);
		SETOPT(transfer, CURLOPT_PROXY_CAPATH, NULL);
	}
}

/*
 * set_security
 *		What keeps a token where it belongs: TLS, one protocol, no redirects,
 *		nothing that the environment of the server process says.
 */
static void
set_security(GraphTransfer *transfer, const GraphHttpRequest *request)
{
	bool		plain = pg_strncasecmp(request->url, "http://", 7) == 0;

#if CURL_AT_LEAST_VERSION(7, 85, 0)
	SETOPT(transfer, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
#else
	SETOPT(transfer, CURLOPT_PROTOCOLS,
		   (long) (plain ? CURLPROTO_HTTP : CURLPROTO_HTTPS));
#endif
	SETOPT(transfer, CURLOPT_FOLLOWLOCATION, 0L);
	SETOPT(transfer, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SETOPT(transfer, CURLOPT_SSL_VERIFYPEER, 1L);
	SETOPT(transfer, CURLOPT_SSL_VERIFYHOST, 2L);
	if (graph_tls_has_context())
		SETOPT(transfer, CURLOPT_SSL_CTX_FUNCTION, prepare_tls);
	if (request->ca_file)
	{
		/* this file and not the system's authorities besides */
		SETOPT(transfer, CURLOPT_CAINFO, request->ca_file);
		SETOPT(transfer, CURLOPT_CAPATH, NULL);
	}
	SETOPT(transfer, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SETOPT(transfer, CURLOPT_OPENSOCKETDATA, transfer);
	set_proxy(transfer, request, plain);
	SETOPT(transfer, CURLOPT_PATH_AS_IS, 1L);
}

/*
 * set_transport
 *		How a request waits, is woken, and hands over what it receives.
 */
static void
set_transport(GraphTransfer *transfer, const GraphHttpRequest *request)
{
	SETOPT(transfer, CURLOPT_NOSIGNAL, 1L);
#if CURL_AT_LEAST_VERSION(7, 87, 0)
	/* do not wait for a resolver thread when a query is canceled */
	SETOPT(transfer, CURLOPT_QUICK_EXIT, 1L);
#endif
	SETOPT(transfer, CURLOPT_CONNECTTIMEOUT_MS, (long) request->connect_timeout);
	SETOPT(transfer, CURLOPT_BUFFERSIZE,
		   request->in_sips ? SIP_BYTES : RECEIVE_BUFFER_BYTES);
	SETOPT(transfer, CURLOPT_TCP_KEEPALIVE, 1L);
	SETOPT(transfer, CURLOPT_PIPEWAIT, 1L);
	SETOPT(transfer, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	SETOPT(transfer, CURLOPT_FRESH_CONNECT, request->fresh_connection ? 1L : 0L);
	SETOPT(transfer, CURLOPT_USERAGENT, "graph_fdw/" GRAPH_FDW_VERSION
		   " PostgreSQL/" PG_VERSION);
	SETOPT(transfer, CURLOPT_ACCEPT_ENCODING, NULL);	/* inflate.c does it */
	SETOPT(transfer, CURLOPT_PRIVATE, transfer);
	SETOPT(transfer, CURLOPT_ERRORBUFFER, transfer->error);
	SETOPT(transfer, CURLOPT_WRITEFUNCTION, take_body);
	SETOPT(transfer, CURLOPT_WRITEDATA, transfer);
	SETOPT(transfer, CURLOPT_HEADERFUNCTION, take_header);
	SETOPT(transfer, CURLOPT_HEADERDATA, transfer);
}

/*
 * add_id
 *		Give the request an id of its own, by which those who keep the logs of
 *		the other side find it, even if no answer comes.
 */
static void
add_id(GraphTransfer *transfer)
{
	Datum		uuid = DirectFunctionCall1(gen_random_uuid, (Datum) 0);
	char	   *line;

	strlcpy(transfer->id, DatumGetCString(DirectFunctionCall1(uuid_out, uuid)),
			sizeof(transfer->id));
	line = psprintf("client-request-id: %s", transfer->id);
	add_header(transfer, line);
	pfree(line);
}

/*
 * set_request
 *		What is asked.
 */
static void
set_request(GraphTransfer *transfer, const GraphHttpRequest *request)
{
	ListCell   *cell;

	SETOPT(transfer, CURLOPT_URL, request->url);
	if (request->form)
	{
		transfer->form = MemoryContextStrdup(transfer->owner, request->form);
		SETOPT(transfer, CURLOPT_POSTFIELDSIZE, (long) strlen(transfer->form));
		SETOPT(transfer, CURLOPT_POSTFIELDS, transfer->form);
	}
	if (request->bearer)
	{
		MemoryContext old = MemoryContextSwitchTo(transfer->owner);

		add_header(transfer, graph_secret_join("Authorization: Bearer ",
											   request->bearer));
		MemoryContextSwitchTo(old);
	}
	add_id(transfer);
	foreach(cell, request->headers)
		add_header(transfer, lfirst(cell));
	add_header(transfer, "Accept-Encoding: gzip");
	SETOPT(transfer, CURLOPT_HTTPHEADER, transfer->headers);
}

/*
 * graph_http_start
 *		Begin a request.  The transfer belongs to the memory context: it ends,
 *		if nobody ended it before, when that is reset or deleted.
 *
 * Errors are those of the local side only; how the exchange went is known
 * when graph_http_wait_any() returns.
 */
GraphTransfer *
graph_http_start(MemoryContext owner, const GraphHttpRequest *request)
{
	GraphTransfer *transfer;

	graph_multi_start();

	transfer = MemoryContextAllocZero(owner, sizeof(GraphTransfer));
	transfer->owner = owner;
	transfer->window = request->in_sips || request->ahead ? SIP_BYTES :
		GRAPH_TRANSFER_WINDOW;
	transfer->request_timeout = request->request_timeout;
	transfer->secret_answer = request->secret_answer;
	transfer->link_local = request->link_local;
	transfer->header.retry_after = -1;
	transfer->failed_allocations = graph_wipe_failures();
	transfer->callback.func = release_transfer;
	transfer->callback.arg = transfer;
	MemoryContextRegisterResetCallback(owner, &transfer->callback);

	/* where it has to be although there is none, nobody counts it */
	transfer->has_fd = graph_http_has_descriptor() && AcquireExternalFD();
	transfer->easy = curl_easy_init();
	if (transfer->easy == NULL)
		out_of_memory();
	set_transport(transfer, request);
	set_security(transfer, request);
	set_request(transfer, request);

	transfer->last_activity = graph_now();
	graph_multi_add(transfer->easy);
	transfer->added = true;
	dlist_push_tail(&under_way, &transfer->node);
	return transfer;
}

/*
 * conclude
 *		Curl is done with a transfer.  So are we, once all is inflated.
 */
static void
conclude(GraphTransfer *transfer, CURLcode result)
{
	transfer->ended = true;
	transfer->result = result;
	if (result != CURLE_OK && transfer->header_bytes == 0 && has_no_descriptor())
		transfer->starved = true;
	release_descriptor(transfer);
	transfer->done = !graph_inflater_has_more(transfer->inflater) ||
		transfer->damage || transfer->out_of_memory;
}

/*
 * note_end
 *		Callback: a transfer has ended.
 */
static void
note_end(void *easy, int result)
{
	GraphTransfer *transfer = NULL;

	if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &transfer) == CURLE_OK)
		conclude(transfer, result);
}

/*
 * resume
 *		Let a transfer whose window has room again go on, if it is held up.
 *
 * What curl has held back it gives us in curl_easy_pause(); what comes of that
 * is told there and nowhere else.
 */
static void
resume(GraphTransfer *transfer)
{
	sigset_t	saved;
	CURLcode	code;

	if (transfer->done || transfer->pinned ||
		unread_bytes(transfer) > transfer->window / 2)
		return;
	if (!inflate_some(transfer))
		conclude(transfer, transfer->ended ? transfer->result : CURLE_WRITE_ERROR);
	else if (transfer->ended)
		conclude(transfer, transfer->result);
	if (transfer->done || transfer->ended || !transfer->paused ||
		graph_inflater_has_more(transfer->inflater))
		return;

	transfer->paused = false;	/* the callback may set it again */
	graph_block_signals(&saved);
	code = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
	graph_restore_signals(&saved);
	if (code != CURLE_OK)
		conclude(transfer, code);
	else if (transfer->paused && transfer->inflater == NULL)
		transfer->window *= 2;	/* what curl holds back is a larger piece */
}

/*
 * drive
 *		Let curl run.  Where it cannot, all transfers are lost: whoever reads
 *		one of the others finds its connection broken, and tries again.
 */
static void
drive(void)
{
	dlist_mutable_iter iter;

	if (graph_multi_drive(note_end))
		return;
	dlist_foreach_modify(iter, &under_way)
	{
		GraphTransfer *transfer =
			dlist_container(GraphTransfer, node, iter.cur);

		if (!transfer->ended)
			conclude(transfer, CURLE_RECV_ERROR);
		transfer->failed_allocations = graph_wipe_failures();
		detach(transfer);
	}
	graph_multi_report();
}

/*
 * silence_of
 *		For how many microseconds a transfer has been waited for since something
 *		came, with the wait that began at that time.
 *
 * What passed between two waits does not count: it is the reader's.
 */
static int64
silence_of(const GraphTransfer *transfer, GraphTime since)
{
	return transfer->silence + Max(graph_now() -
								   Max(since, transfer->last_activity), 0);
}

/*
 * time_left
 *		Milliseconds until a transfer has been silent for too long; one that is
 *		not under way has all the time.
 */
static long
time_left(const GraphTransfer *transfer, GraphTime since)
{
	if (transfer->done)
		return LONG_MAX;
	return transfer->request_timeout -
		(long) (silence_of(transfer, since) / 1000);
}

/*
 * make_progress
 *		Let curl run, and tell whether there is news of any of some transfers:
 *		more unread bytes than it had, or its end.
 */
static bool
make_progress(GraphTransfer **transfers, const size_t *had, int count)
{
	bool		news = false;

	for (int i = 0; i < count; i++)
		resume(transfers[i]);
	drive();
	for (int i = 0; i < count; i++)
	{
		if (unread_bytes(transfers[i]) > had[i] || transfers[i]->done)
			news = true;
	}
	return news;
}

/*
 * end_silent
 *		End those transfers that have been silent for too long; true if there
 *		are any.  One that talks does not excuse the others.
 */
static bool
end_silent(GraphTransfer **transfers, int count, GraphTime since)
{
	bool		any = false;

	for (int i = 0; i < count; i++)
	{
		if (time_left(transfers[i], since) > 0)
			continue;
		transfers[i]->silent = true;
		transfers[i]->done = true;
		any = true;
	}
	return any;
}

/*
 * prepare_wait
 *		Note how many unread bytes there are, and have more come.
 *
 * A reader that cannot go on with the bytes that it has waits, so a full
 * window is widened.
 */
static size_t *
prepare_wait(GraphTransfer **transfers, int count)
{
	size_t	   *had = palloc(Max(count, 1) * sizeof(size_t));

	graph_multi_start();
	for (int i = 0; i < count; i++)
	{
		had[i] = unread_bytes(transfers[i]);
		if (had[i] > transfers[i]->window / 2)
			transfers[i]->window = had[i] * 2;
		else if (had[i] > 0 && transfers[i]->window < GRAPH_TRANSFER_WINDOW)
			transfers[i]->window *= 2;
	}
	return had;
}

/*
 * finish_wait
 *		Add a wait that is over to the silence of those waited for.
 */
static void
finish_wait(GraphTransfer **transfers, int count, GraphTime since)
{
	for (int i = 0; i < count; i++)
		transfers[i]->silence = silence_of(transfers[i], since);
}

/*
 * graph_http_poll
 *		Without waiting, see whether there is news of any of some transfers,
 *		for which somebody has waited since some time.
 *
 * *left gets the milliseconds until the next of them has been silent for too
 * long.
 */
bool
graph_http_poll(GraphTransfer **transfers, int count, GraphTime since,
				long *left)
{
	size_t	   *had = prepare_wait(transfers, count);
	bool		news;

	CHECK_FOR_INTERRUPTS();
	news = make_progress(transfers, had, count);
	news = end_silent(transfers, count, since) || news;
	finish_wait(transfers, count, since);
	pfree(had);

	*left = LONG_MAX;
	for (int i = 0; i < count; i++)
		*left = Min(*left, time_left(transfers[i], graph_now()));
	return news;
}

/*
 * graph_http_wait_any
 *		Wait until there is news of any of some transfers, or until a time (0:
 *		none is given).
 */
void
graph_http_wait_any(GraphTransfer **transfers, int count, GraphTime until)
{
	GraphTime	since = graph_now();
	size_t	   *had = prepare_wait(transfers, count);

	for (;;)
	{
		long		left = until == 0 ? LONG_MAX :
			graph_milliseconds_until(until);
		bool		news;

		CHECK_FOR_INTERRUPTS();
		news = make_progress(transfers, had, count);
		if (end_silent(transfers, count, since) || news || left <= 0)
			break;
		for (int i = 0; i < count; i++)
			left = Min(left, time_left(transfers[i], since));
		if (left > 0)
			graph_multi_wait(Min(left, INT_MAX));
	}
	finish_wait(transfers, count, since);
	pfree(had);
}

/*
 * graph_http_done
 *		Has the transfer ended?  There may still be unread bytes.
 */
bool
graph_http_done(const GraphTransfer *transfer)
{
	return transfer->done;
}

/*
 * graph_http_wait_all
 *		Wait for the whole body; false if it is larger than the limit.
 *
 * A small document has to be there in the time for which a silence is waited:
 * one that trickles would hold up everything else.
 */
bool
graph_http_wait_all(GraphTransfer *transfer, size_t limit)
{
	GraphTime	until = limit > GRAPH_MAX_DOCUMENT ? 0 :
		graph_after(transfer->request_timeout);

	while (!transfer->done)
	{
		graph_http_wait_any(&transfer, 1, until);
		if (unread_bytes(transfer) > limit)
			return false;
		if (until != 0 && !transfer->done && graph_now() >= until)
			transfer->overdue = transfer->done = true;
	}
	return unread_bytes(transfer) <= limit;
}

/*
 * graph_http_unread
 *		The bytes that were received and not yet consumed; good until the next
 *		wait for any transfer, or, once they are pinned, until the next call for
 *		this one.
 */
GraphSlice
graph_http_unread(GraphTransfer *transfer)
{
	GraphSlice	slice = {transfer->buffer + transfer->start,
	unread_bytes(transfer)};

	if (transfer->buffer == NULL)
		slice.data = "";
	return slice;
}

/*
 * graph_http_consume
 *		The first so many unread bytes have been read.
 */
void
graph_http_consume(GraphTransfer *transfer, size_t bytes)
{
	Assert(bytes <= unread_bytes(transfer));
	transfer->pinned = false;
	transfer->start += bytes;
	if (transfer->start < transfer->end)
		return;

	transfer->start = transfer->end = 0;
	if (transfer->capacity > 4 * GRAPH_TRANSFER_WINDOW)
	{
		/* an unusually large record is no reason to stay large */
		free(transfer->buffer);
		transfer->buffer = NULL;
		transfer->capacity = 0;
	}
	transfer->window = GRAPH_TRANSFER_WINDOW;
}

/*
 * graph_http_pin
 *		Keep the unread bytes where they are until some of them are consumed.
 *
 * Any wait lets all transfers of the backend go on, so that a scan inside a
 * loop over another one, or a function that a value's conversion calls, drives
 * the transfer whose bytes are being read.  It goes on as far as its buffer has
 * room, and pauses then.
 */
void
graph_http_pin(GraphTransfer *transfer)
{
	transfer->pinned = true;
}

/*
 * number_of
 *		A number that curl knows of a transfer; a default_value if it does not.
 */
static long
number_of(const GraphTransfer *transfer, CURLINFO what, long default_value)
{
	long		number = default_value;

	if (transfer->easy == NULL ||
		curl_easy_getinfo(transfer->easy, what, &number) != CURLE_OK)
		return default_value;
	return number;
}

/*
 * graph_http_header
 *		The answer's header.  It is complete once there are unread bytes or
 *		graph_http_wait_any() has returned; status is 0 if there was no answer.
 */
const GraphHttpHeader *
graph_http_header(GraphTransfer *transfer)
{
	GraphHttpHeader *header = &transfer->header;
	curl_off_t	retry_after = 0;

	if (transfer->easy == NULL)
		return header;
	if (curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER,
						  &retry_after) != CURLE_OK)
		retry_after = 0;
	header->status = (int) number_of(transfer, CURLINFO_RESPONSE_CODE, 0);
	header->retry_after = retry_after > 0 ?
		(int) Min(retry_after, INT_MAX) : -1;
	header->time = Max(0, curl_getdate(header->date, NULL));
	return header;
}

/*
 * graph_http_id
 *		The client-request-id of a request.
 */
const char *
graph_http_id(const GraphTransfer *transfer)
{
	return transfer->id;
}

/*
 * graph_http_was_kept
 *		Did a request go over a connection that was there before?
 */
bool
graph_http_was_kept(const GraphTransfer *transfer)
{
	return number_of(transfer, CURLINFO_NUM_CONNECTS, 1) == 0;
}

/*
 * graph_http_may_be_cut
 *		Did an answer end although nothing said that it would end there?
 *
 * A connection that is closed is then the end of the body, whoever closed it
 * and why; whether it is whole is for the reader to see.
 */
bool
graph_http_may_be_cut(const GraphTransfer *transfer)
{
	return transfer->done && transfer->result == CURLE_OK &&
		!(transfer->header.ended && transfer->header.bounded);
}

/*
 * has_two_lengths
 *		Does the header say twice, and differently, how long the body is?
 *
 * Newer versions of curl see it before the line gets here.
 */
static bool
has_two_lengths(const GraphTransfer *transfer)
{
	return transfer->header.two_lengths ||
		(transfer->result == CURLE_WEIRD_SERVER_REPLY &&
		 transfer->header.length[0] && !transfer->header.ended &&
		 strcasestr(transfer->error, "content-length"));
}

/*
 * transport_of
 *		What curl's result means to a reader.
 */
static GraphTransport
transport_of(const GraphTransfer *transfer)
{
	long		proxy_status = number_of(transfer, CURLINFO_HTTP_CONNECTCODE, 0);

	/* garbage on a kept connection is what an earlier answer left behind */
	if (graph_http_was_kept(transfer) &&
		(transfer->result == CURLE_UNSUPPORTED_PROTOCOL ||
		 transfer->result == CURLE_WEIRD_SERVER_REPLY))
		return GRAPH_TRANSPORT_BROKEN;

	/* what a proxy cannot do now it may do later; what it will not, never */
	if (transfer->result != CURLE_OK && proxy_status >= 400 &&
		proxy_status < 500)
		return GRAPH_TRANSPORT_PROXY;

	switch (transfer->result)
	{
		case CURLE_OK:
			return GRAPH_TRANSPORT_OK;
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_RESOLVE_PROXY:
			return GRAPH_TRANSPORT_RESOLVE;
		case CURLE_COULDNT_CONNECT:
			return GRAPH_TRANSPORT_CONNECT;
		case CURLE_OPERATION_TIMEDOUT:
			return GRAPH_TRANSPORT_CONNECT_TIMEOUT;
		case CURLE_SSL_CONNECT_ERROR:
			return GRAPH_TRANSPORT_HANDSHAKE;
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_CRL_BADFILE:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_INVALIDCERTSTATUS:
		case CURLE_USE_SSL_FAILED:
			return GRAPH_TRANSPORT_TLS;
		case CURLE_PARTIAL_FILE:
		case CURLE_GOT_NOTHING:
		case CURLE_RECV_ERROR:
		case CURLE_SEND_ERROR:
		case CURLE_HTTP2:
		case CURLE_HTTP2_STREAM:
			return GRAPH_TRANSPORT_BROKEN;
		case CURLE_OUT_OF_MEMORY:	/* how a header line over 100 kB ends */
#if CURL_AT_LEAST_VERSION(8, 6, 0)
		case CURLE_TOO_LARGE:	/* ... in later versions */
#endif
			return GRAPH_TRANSPORT_TOO_LARGE;
		default:
			return GRAPH_TRANSPORT_OTHER;
	}
}

/*
 * had_no_memory
 *		Did a transfer fail because something could not be allocated?
 *
 * A header line over 100 kB ends as if it had, in versions before 8.6.
 */
static bool
had_no_memory(const GraphTransfer *transfer)
{
	if (transfer->out_of_memory)
		return true;
	if (transfer->result == CURLE_OK)
		return false;
	if (transfer->failed_allocations != graph_wipe_failures())
		return true;
	return transfer->result == CURLE_OUT_OF_MEMORY &&
		(transfer->header.ended || CURL_AT_LEAST_VERSION(8, 6, 0));
}

/*
 * graph_http_result
 *		How a transfer that graph_http_wait_any() called ended did end; *text is
 *		what curl says of it, "" if nothing.
 */
GraphTransport
graph_http_result(GraphTransfer *transfer, const char **text)
{
	*text = "";
	if (transfer->silent)
	{
		*text = psprintf("nothing was received for %.3g seconds",
						 transfer->request_timeout / 1000.0);
		return GRAPH_TRANSPORT_SILENCE;
	}
	if (transfer->overdue)
	{
		*text = psprintf("the answer was not complete after %.3g seconds",
						 transfer->request_timeout / 1000.0);
		return GRAPH_TRANSPORT_SILENCE;
	}
	if (had_no_memory(transfer))
		out_of_memory();
	if (transfer->header_too_large)
	{
		*text = "its header is too large";
		return GRAPH_TRANSPORT_TOO_LARGE;
	}
	if (has_two_lengths(transfer))
	{
		*text = "its header says in two ways how long it is";
		return GRAPH_TRANSPORT_LENGTH;
	}
	if (transfer->damage)
	{
		*text = transfer->damage;
		return GRAPH_TRANSPORT_ENCODING;
	}
	if (transfer->starved && transfer->result != CURLE_OK)
		return GRAPH_TRANSPORT_STARVED;
	if (transfer->forbidden && transfer->result != CURLE_OK)
	{
		*text = "its address is one of the local link, or another where the machine's metadata service is";
		return GRAPH_TRANSPORT_OTHER;
	}
	if (transfer->result != CURLE_OK)
		*text = transfer->error[0] ? transfer->error :
			curl_easy_strerror(transfer->result);
	return transport_of(transfer);
}

/*
 * graph_http_received
 *		Bytes of the body so far, as decompressed.
 */
uint64
graph_http_received(GraphTransfer *transfer)
{
	return transfer->received;
}

/*
 * graph_http_end
 *		Release a transfer.  One that was still under way loses its
 *		connection; one that had ended leaves it for the next request.
 */
void
graph_http_end(GraphTransfer *transfer)
{
	release_transfer(transfer);
}

/*
 * graph_http_sleep
 *		Wait so many milliseconds; other transfers go on meanwhile.
 */
void
graph_http_sleep(int milliseconds)
{
	graph_http_wait_any(NULL, 0, graph_after(milliseconds));
}
