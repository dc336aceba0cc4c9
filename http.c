/*-------------------------------------------------------------------------
 *
 * http.c
 *		Send requests, deliver bytes, wait: the only file with curl.
 *
 * A transfer is started, and from then on its bytes are pulled by whoever
 * reads them: graph_http_wait() returns when there are more, and what has
 * been read is consumed.  At most a window of bytes is kept; a transfer whose
 * window is full is paused, so that the sender waits for the reader.  Any
 * number of transfers are under way at once in one curl multi handle, which
 * also keeps the connections between scans.
 *
 * One place waits: wait_for_activity(), on the process latch and on one
 * descriptor, for name resolution, connecting, TLS, transfer and the pauses
 * between attempts alike.  So a cancel takes effect within milliseconds
 * whatever the remote side does.  The descriptor is an epoll set (or a
 * kqueue) that holds curl's sockets and curl's timer.
 *
 * Three rules keep curl and the backend apart.  Nothing that can ereport,
 * palloc or check for interrupts runs inside a libcurl callback: callbacks
 * store bytes in malloc'd memory and return, and trouble is raised after
 * libcurl has returned.  Every transfer hangs on a memory context reset
 * callback that is registered before the curl handle exists, so an error, a
 * cancel or a subtransaction abort releases it.  All signals are blocked while
 * libcurl runs, because the threads that it starts to resolve names would
 * otherwise run the backend's signal handlers.
 *
 * What this file refuses to know: Graph, tokens, which failure is worth
 * another attempt.
 *
 * Sources: libcurl's manual pages curl_multi_socket_action(3),
 * CURLMOPT_SOCKETFUNCTION(3), CURLMOPT_TIMERFUNCTION(3), curl_easy_pause(3);
 * the same arrangement is in PostgreSQL's src/interfaces/libpq-oauth.
 *
 * IDENTIFICATION
 *		http.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/timerfd.h>
#else
#include <sys/event.h>
#endif

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "graph_fdw.h"

#if !CURL_AT_LEAST_VERSION(7, 76, 0)
#error "graph_fdw needs libcurl 7.76 or later"
#endif

/* All header lines of one answer together; Graph's are below 4 kB. */
#define MAX_HEADER_BYTES	(256 * 1024)

/* Connections that the backend keeps; more scans than this are unusual. */
#define MAX_KEPT_CONNECTIONS	32

/* Events taken from the kernel at once; the rest stay for the next turn. */
#define MAX_EVENTS	16

struct GraphTransfer
{
	/* curl's side, released by release_transfer() */
	CURL	   *easy;
	struct curl_slist *headers;
	bool		added;			/* to the multi handle */
	bool		has_fd;			/* counted with AcquireExternalFD() */
	MemoryContextCallback callback;
	char	   *form;			/* curl sends it from here, or NULL */
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
	bool		out_of_memory;
	uint64		received;		/* bytes of body, as decompressed */

	/* the answer */
	GraphHttpHeader header;
	size_t		header_bytes;
	bool		header_too_large;

	/* the end */
	bool		done;
	CURLcode	result;
	bool		silent;			/* request_timeout ended it */
	char		error[CURL_ERROR_SIZE];

	int			request_timeout;	/* milliseconds */
	TimestampTz last_activity;
	MemoryContext owner;
};

/* What this backend has of curl; made at the first request. */
static struct
{
	CURLM	   *multi;
	int			events_fd;		/* epoll set or kqueue */
#ifdef __linux__
	int			timer_fd;
#endif
	WaitEventSet *wait_set;
	uint32		wait_event;
	bool		broken;			/* an operation on the descriptors failed */
	int			active;			/* transfers in the multi handle */
	bool		used;			/* it may keep connections */
	bool		disconnect;		/* drop them when no transfer is active */
} mux = {
	.events_fd = -1,
#ifdef __linux__
	.timer_fd = -1,
#endif
};

static void start_mux(void);
static void make_multi(void);
static void wait_for_activity(long timeout);
static void drive(void);
static void release_transfer(void *arg);

/*-------------------------------------------------------------------------
 * Signals
 *-------------------------------------------------------------------------
 */

/*
 * block_signals
 *		Block every signal that another thread could take from us.
 *
 * Those that a fault of the thread itself raises stay as they are: blocking
 * them is undefined.
 */
static void
block_signals(sigset_t *saved)
{
	sigset_t	all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	sigdelset(&all, SIGTRAP);
	(void) pthread_sigmask(SIG_SETMASK, &all, saved);
}

static void
restore_signals(const sigset_t *saved)
{
	(void) pthread_sigmask(SIG_SETMASK, saved, NULL);
}

/*-------------------------------------------------------------------------
 * URLs
 *-------------------------------------------------------------------------
 */

/*
 * url_part
 *		One part of a parsed URL as a palloc'd string, or NULL if it has none.
 */
static char *
url_part(CURLU *url, CURLUPart what, unsigned int flags)
{
	char	   *part = NULL;
	char	   *copy = NULL;

	if (curl_url_get(url, what, &part, flags) == CURLUE_OK)
	{
		/* only a failed allocation could throw here; curl's copy is then lost */
		copy = pstrdup(part);
		curl_free(part);
	}
	return copy;
}

typedef struct UrlParts
{
	bool		valid;
	char	   *scheme;
	char	   *user;
	char	   *host;
	char	   *port;			/* also where it is the scheme's default */
	char	   *path;
	char	   *query;
	char	   *fragment;
} UrlParts;

/*
 * split_url
 *		Take an absolute URL apart, as libcurl understands it.
 *
 * The same parser decides where a request goes, so there is no second opinion
 * about what the host is.
 */
static UrlParts
split_url(const char *text, unsigned int flags)
{
	UrlParts	parts = {0};
	CURLU	   *url = curl_url();

	if (url == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	if (curl_url_set(url, CURLUPART_URL, text, flags) == CURLUE_OK)
	{
		parts.valid = true;
		parts.scheme = url_part(url, CURLUPART_SCHEME, 0);
		parts.user = url_part(url, CURLUPART_USER, 0);
		parts.host = url_part(url, CURLUPART_HOST, 0);
		parts.port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
		parts.path = url_part(url, CURLUPART_PATH, 0);
		parts.query = url_part(url, CURLUPART_QUERY, 0);
		parts.fragment = url_part(url, CURLUPART_FRAGMENT, 0);
		if (url_part(url, CURLUPART_PASSWORD, 0))
			parts.user = pstrdup("");
	}
	curl_url_cleanup(url);
	return parts;
}

/*
 * is_loopback
 *		Is this host the machine itself, without asking a resolver?
 */
static bool
is_loopback(const char *host)
{
	struct in_addr address;

	if (pg_strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &address) == 1 &&
		ntohl(address.s_addr) >> 24 == 127;
}

/*
 * is_link_local
 *		Is this address one of the local link, where the metadata services of
 *		clouds are?  It calls nothing but the C library, for open_socket().
 *
 * 169.254.0.0/16 and fe80::/10, the former in IPv6 clothes too, and the
 * address fd00:ec2::254 that one cloud uses.
 */
static bool
is_link_local(const struct sockaddr *address)
{
	static const unsigned char mapped[12] = {[10] = 0xff,[11] = 0xff};
	static const unsigned char service[16] = {0xfd, 0x00, 0x0e, 0xc2,
	[14] = 0x02,[15] = 0x54};
	const unsigned char *bytes;

	if (address->sa_family == AF_INET)
	{
		bytes = (const unsigned char *)
			&((const struct sockaddr_in *) address)->sin_addr;
		return bytes[0] == 169 && bytes[1] == 254;
	}
	if (address->sa_family != AF_INET6)
		return false;
	bytes = ((const struct sockaddr_in6 *) address)->sin6_addr.s6_addr;
	if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
		return bytes[12] == 169 && bytes[13] == 254;
	return (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) ||
		memcmp(bytes, service, sizeof(service)) == 0;
}

/*
 * host_is_link_local
 *		The same for the host of a URL; a name is none, open_socket() sees what
 *		it stands for.
 */
static bool
host_is_link_local(const char *host)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	char		text[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
		return is_link_local((struct sockaddr *) &v4);
	if (host[0] != '[')
		return false;
	strlcpy(text, host + 1, sizeof(text));
	text[strcspn(text, "]%")] = '\0';
	return inet_pton(AF_INET6, text, &v6.sin6_addr) == 1 &&
		is_link_local((struct sockaddr *) &v6);
}

/*
 * has_blank_or_control
 *		URLs that hold these are refused: they are typos or header injections.
 */
static bool
has_blank_or_control(const char *text)
{
	for (const unsigned char *p = (const unsigned char *) text; *p; p++)
	{
		if (*p <= ' ' || *p == 0x7f)
			return true;
	}
	return false;
}

/*
 * graph_url_problem
 *		What is wrong with a URL as the root of a service, as a sentence, or
 *		NULL if nothing is.
 */
const char *
graph_url_problem(const char *url)
{
	UrlParts	parts = split_url(url, 0);

	if (!parts.valid || parts.host == NULL || has_blank_or_control(url))
		return "The value is not a URL such as \"https://graph.microsoft.com\".";
	if (parts.user)
		return "A URL must not contain a user name or password.";
	if (parts.query || parts.fragment || strpbrk(url, "?#"))
		return "A URL must not contain a query or fragment.";
	if (host_is_link_local(parts.host))
		return "The address is one of the local link, where the machine's metadata service is.";
	if (strcmp(parts.scheme, "https") == 0)
		return NULL;
	if (strcmp(parts.scheme, "http") != 0)
		return "The scheme must be \"https\".";
	if (!is_loopback(parts.host))
		return "The scheme must be \"https\"; \"http\" is accepted on a loopback address only.";
	return NULL;
}

/*
 * graph_proxy_problem
 *		The same for a proxy.
 */
const char *
graph_proxy_problem(const char *url)
{
	UrlParts	parts = split_url(url, CURLU_NON_SUPPORT_SCHEME);

	if (!parts.valid || parts.host == NULL || has_blank_or_control(url) ||
		(strcmp(parts.scheme, "http") != 0 &&
		 strcmp(parts.scheme, "https") != 0 &&
		 strcmp(parts.scheme, "socks5") != 0 &&
		 strcmp(parts.scheme, "socks5h") != 0))
		return "The value is not a proxy such as \"http://proxy.example:3128\".";
	if (parts.user)
		return "A proxy must not contain a user name or password, which anyone could read here.";
	if (host_is_link_local(parts.host))
		return "The address is one of the local link, where the machine's metadata service is.";
	return NULL;
}

/*
 * graph_url_is_local
 *		Does a URL lead to this machine or its local link, as that of a service
 *		that tells the machine's identity must?
 */
bool
graph_url_is_local(const char *url)
{
	UrlParts	parts = split_url(url, 0);

	return parts.valid && parts.host && parts.user == NULL &&
		!has_blank_or_control(url) &&
		(is_loopback(parts.host) || host_is_link_local(parts.host));
}

/*
 * graph_url_origin
 *		Scheme, host and port of an absolute URL, in a form that is equal for
 *		equal origins; NULL if the text is no URL that we would ask.
 */
char *
graph_url_origin(const char *url)
{
	UrlParts	parts = split_url(url, 0);

	if (!parts.valid || parts.host == NULL || parts.port == NULL ||
		parts.user || has_blank_or_control(url))
		return NULL;
	for (char *p = parts.host; *p; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	return psprintf("%s://%s:%s", parts.scheme, parts.host, parts.port);
}

/*
 * graph_url_escape
 *		Percent-encode text for a path segment, a query or a form.
 *
 * The text is in the database encoding and goes out as UTF-8 (RFC 3986: all
 * but letters, digits and "-._~" is encoded).  The result is palloc'd.
 */
char *
graph_url_escape(const char *text)
{
	size_t		len = strlen(text);
	char	   *utf8 = pg_server_to_any(text, len, PG_UTF8);
	char	   *escaped;
	char	   *copy;

	if (utf8 != text)
		len = strlen(utf8);
	if (len == 0)
		return pstrdup("");		/* curl would measure it again */
	if (len > INT_MAX / 3)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("text is too long for a URL")));
	escaped = curl_easy_escape(NULL, utf8, (int) len);
	if (escaped == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	copy = pstrdup(escaped);
	explicit_bzero(escaped, strlen(escaped));
	curl_free(escaped);
	return copy;
}

/*
 * graph_url_unescape
 *		What a percent-encoded text stands for, up to an encoded NUL; bytes, in
 *		no particular encoding.
 */
char *
graph_url_unescape(const char *text)
{
	char	   *plain = curl_easy_unescape(NULL, text, 0, NULL);
	char	   *copy;

	if (plain == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	copy = pstrdup(plain);
	curl_free(plain);
	return copy;
}

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
 * take_body
 *		CURLOPT_WRITEFUNCTION: keep bytes, or pause while the window is full.
 */
static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
	GraphTransfer *transfer = arg;
	size_t		bytes = size * count;

	if (unread_bytes(transfer) > 0 &&
		unread_bytes(transfer) + bytes > transfer->window)
	{
		transfer->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (!make_room(transfer, bytes))
	{
		transfer->out_of_memory = true;
		return 0;
	}
	memcpy(transfer->buffer + transfer->end, data, bytes);
	transfer->end += bytes;
	transfer->received += bytes;
	transfer->last_activity = GetCurrentTimestamp();
	return bytes;
}

/*
 * keep_header
 *		If the line is this header's, keep its value, cut to the field's size.
 */
static void
keep_header(const char *line, size_t len, const char *name,
			char *field, size_t field_size)
{
	size_t		name_len = strlen(name);

	if (len <= name_len || line[name_len] != ':' ||
		pg_strncasecmp(line, name, name_len) != 0)
		return;
	line += name_len + 1;
	len -= name_len + 1;
	while (len > 0 && (*line == ' ' || *line == '\t'))
		line++, len--;
	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n' ||
					   line[len - 1] == ' '))
		len--;
	len = Min(len, field_size - 1);
	for (size_t i = 0; i < len; i++)
		field[i] = line[i] >= ' ' && line[i] < 0x7f ? line[i] : '?';
	field[len] = '\0';
}

/*
 * take_header
 *		CURLOPT_HEADERFUNCTION: one line of the answer's header.
 */
static size_t
take_header(char *line, size_t size, size_t count, void *arg)
{
	GraphTransfer *transfer = arg;
	GraphHttpHeader *header = &transfer->header;
	size_t		len = size * count;

	transfer->header_bytes += len;
	transfer->last_activity = GetCurrentTimestamp();
	if (transfer->header_bytes > MAX_HEADER_BYTES)
	{
		transfer->header_too_large = true;
		return 0;
	}

	/* a status line begins another header: a 1xx one came before */
	if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
		memset(header, 0, sizeof(GraphHttpHeader));
	keep_header(line, len, "content-type",
				header->content_type, sizeof(header->content_type));
	keep_header(line, len, "request-id",
				header->request_id, sizeof(header->request_id));
	keep_header(line, len, "warning",
				header->warning, sizeof(header->warning));
	keep_header(line, len, "www-authenticate",
				header->challenge, sizeof(header->challenge));
	keep_header(line, len, "date", header->date, sizeof(header->date));
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

	if (is_link_local(&address->addr) && !transfer->link_local)
	{
		transfer->forbidden = true;
		return CURL_SOCKET_BAD;
	}
#ifdef SOCK_CLOEXEC
	type |= SOCK_CLOEXEC;
#endif
	return socket(address->family, type, address->protocol);
}

#ifdef __linux__

/*
 * socket_changed
 *		CURLMOPT_SOCKETFUNCTION: watch a socket, or stop watching it.
 */
static int
socket_changed(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp)
{
	struct epoll_event event = {0};

	event.data.fd = fd;
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;

	if (what == CURL_POLL_REMOVE)
		(void) epoll_ctl(mux.events_fd, EPOLL_CTL_DEL, fd, NULL);
	else if (epoll_ctl(mux.events_fd, EPOLL_CTL_MOD, fd, &event) < 0 &&
			 (errno != ENOENT ||
			  epoll_ctl(mux.events_fd, EPOLL_CTL_ADD, fd, &event) < 0))
		mux.broken = true;
	return 0;
}

/*
 * timer_changed
 *		CURLMOPT_TIMERFUNCTION: set curl's one timer; -1 stops it.
 */
static int
timer_changed(CURLM *multi, long timeout, void *arg)
{
	struct itimerspec when = {0};

	if (timeout > 0)
	{
		when.it_value.tv_sec = timeout / 1000;
		when.it_value.tv_nsec = (timeout % 1000) * 1000000;
	}
	else if (timeout == 0)
		when.it_value.tv_nsec = 1;	/* at once: zero would disarm it */
	if (timerfd_settime(mux.timer_fd, 0, &when, NULL) < 0)
		mux.broken = true;
	return 0;
}

/*
 * open_events
 *		Create the descriptor that stands for curl's sockets and its timer.
 */
static bool
open_events(void)
{
	struct epoll_event event = {0};

	mux.events_fd = epoll_create1(EPOLL_CLOEXEC);
	mux.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	event.events = EPOLLIN;
	event.data.fd = mux.timer_fd;
	return mux.events_fd >= 0 && mux.timer_fd >= 0 &&
		epoll_ctl(mux.events_fd, EPOLL_CTL_ADD, mux.timer_fd, &event) == 0;
}

/*
 * run_events
 *		Give curl what has happened since the last call, without waiting.
 */
static void
run_events(void)
{
	struct epoll_event events[MAX_EVENTS];
	int			count = epoll_wait(mux.events_fd, events, MAX_EVENTS, 0);
	int			running;

	for (int i = 0; i < count; i++)
	{
		int			what = 0;
		uint64		expirations;

		if (events[i].data.fd == mux.timer_fd)
		{
			if (read(mux.timer_fd, &expirations, sizeof(expirations)) > 0)
				(void) curl_multi_socket_action(mux.multi, CURL_SOCKET_TIMEOUT,
												0, &running);
			continue;
		}
		if (events[i].events & EPOLLIN)
			what |= CURL_CSELECT_IN;
		if (events[i].events & EPOLLOUT)
			what |= CURL_CSELECT_OUT;
		if (events[i].events & (EPOLLERR | EPOLLHUP))
			what |= CURL_CSELECT_ERR;
		(void) curl_multi_socket_action(mux.multi, events[i].data.fd,
										what, &running);
	}
}

#else							/* kqueue */

/*
 * watch
 *		Add or delete one filter; deleting what is not there is no failure.
 */
static bool
watch(int fd, int filter, bool wanted)
{
	struct kevent change;

	EV_SET(&change, fd, filter, wanted ? EV_ADD : EV_DELETE, 0, 0, NULL);
	return kevent(mux.events_fd, &change, 1, NULL, 0, NULL) >= 0 || !wanted;
}

static int
socket_changed(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp)
{
	bool		in = what == CURL_POLL_IN || what == CURL_POLL_INOUT;
	bool		out = what == CURL_POLL_OUT || what == CURL_POLL_INOUT;

	if (!watch(fd, EVFILT_READ, in) || !watch(fd, EVFILT_WRITE, out))
		mux.broken = true;
	return 0;
}

static int
timer_changed(CURLM *multi, long timeout, void *arg)
{
	struct kevent change;

	EV_SET(&change, 1, EVFILT_TIMER,
		   timeout < 0 ? EV_DELETE : EV_ADD | EV_ONESHOT, 0,
		   Max(timeout, 0), NULL);
	if (kevent(mux.events_fd, &change, 1, NULL, 0, NULL) < 0 && timeout >= 0)
		mux.broken = true;
	return 0;
}

static bool
open_events(void)
{
	mux.events_fd = kqueue();
	return mux.events_fd >= 0 && fcntl(mux.events_fd, F_SETFD, FD_CLOEXEC) == 0;
}

static void
run_events(void)
{
	struct kevent events[MAX_EVENTS];
	struct timespec now = {0};
	int			count = kevent(mux.events_fd, NULL, 0, events, MAX_EVENTS, &now);
	int			running;

	for (int i = 0; i < count; i++)
	{
		if (events[i].filter == EVFILT_TIMER)
			(void) curl_multi_socket_action(mux.multi, CURL_SOCKET_TIMEOUT,
											0, &running);
		else
			(void) curl_multi_socket_action(mux.multi, events[i].ident,
											events[i].filter == EVFILT_READ ?
											CURL_CSELECT_IN : CURL_CSELECT_OUT,
											&running);
	}
}

#endif

/*-------------------------------------------------------------------------
 * Curl's life in this backend
 *-------------------------------------------------------------------------
 */

/*
 * close_events
 *		Undo what start_mux() had done when it fails half-way.
 */
static void
close_events(void)
{
	if (mux.events_fd >= 0)
	{
		close(mux.events_fd);
		ReleaseExternalFD();
		mux.events_fd = -1;
	}
#ifdef __linux__
	if (mux.timer_fd >= 0)
		close(mux.timer_fd);
	mux.timer_fd = -1;
#endif
}

/*
 * start_mux
 *		Make the multi handle and the descriptor to wait on, once a backend.
 *
 * Here and not in _PG_init(), which may run in the postmaster.  Curl is never
 * shut down: other extensions of the backend may use it too.
 */
static void
start_mux(void)
{
	sigset_t	saved;
	CURLcode	code;

	if (mux.multi)
		return;
	if (mux.wait_set)
	{
		make_multi();
		return;
	}

	block_signals(&saved);
	code = curl_global_init(CURL_GLOBAL_ALL);
	restore_signals(&saved);
	if (code != CURLE_OK)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not initialize libcurl: %s",
						curl_easy_strerror(code))));
	if (!(curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("libcurl was built without asynchronous name resolution"),
				 errdetail("A query could not be canceled while a name is resolved.")));

	ReserveExternalFD();
	if (!open_events())
	{
		int			save_errno = errno;

		if (mux.events_fd < 0)
			ReleaseExternalFD();
		close_events();
		errno = save_errno;
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("could not create a descriptor to wait for transfers: %m")));
	}

	if (mux.wait_set == NULL)
	{
		mux.wait_event = graph_new_wait_event("GraphRequest");
		mux.wait_set = graph_create_wait_set(3);
		AddWaitEventToSet(mux.wait_set, WL_LATCH_SET, PGINVALID_SOCKET,
						  MyLatch, NULL);
		AddWaitEventToSet(mux.wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET,
						  NULL, NULL);
		AddWaitEventToSet(mux.wait_set, WL_SOCKET_READABLE, mux.events_fd,
						  NULL, NULL);
	}

	make_multi();
}

/*
 * make_multi
 *		Make the multi handle, which keeps the connections.
 */
static void
make_multi(void)
{
	mux.multi = curl_multi_init();
	if (mux.multi == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	curl_multi_setopt(mux.multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
	curl_multi_setopt(mux.multi, CURLMOPT_TIMERFUNCTION, timer_changed);
	curl_multi_setopt(mux.multi, CURLMOPT_MAXCONNECTS,
					  (long) MAX_KEPT_CONNECTIONS);
}

/*
 * close_connections
 *		Close the connections that are kept, by giving up their handle; the
 *		next request makes another.
 *
 * It must not throw, as it may be called while a memory context is reset.
 */
static void
close_connections(void)
{
	sigset_t	saved;

	block_signals(&saved);
	curl_multi_cleanup(mux.multi);
	restore_signals(&saved);
	mux.multi = NULL;
	mux.used = false;
	mux.disconnect = false;
}

/*
 * graph_http_disconnect
 *		Close the connections that are kept between requests; those in use
 *		follow when the last of them ends.  Returns false if there were none.
 */
bool
graph_http_disconnect(void)
{
	if (!mux.used)
		return false;
	if (mux.active > 0)
		mux.disconnect = true;
	else
		close_connections();
	return true;
}

/*
 * drive
 *		Let curl do what can be done without waiting, and note which transfers
 *		have ended.
 */
static void
drive(void)
{
	sigset_t	saved;
	CURLMsg    *message;
	int			left;
	bool		broken;

	block_signals(&saved);
	run_events();
	while ((message = curl_multi_info_read(mux.multi, &left)) != NULL)
	{
		GraphTransfer *transfer;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
						  (char **) &transfer);
		transfer->done = true;
		transfer->result = message->data.result;
	}
	restore_signals(&saved);

	broken = mux.broken;
	mux.broken = false;
	if (broken)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not watch the sockets of a transfer: %m")));
}

/*
 * wait_for_activity
 *		The one wait: until the latch is set, the postmaster dies, something
 *		happens to a transfer, or so many milliseconds have passed.
 *
 * The caller checks for interrupts next.
 */
static void
wait_for_activity(long timeout)
{
	WaitEvent	event;

	if (WaitEventSetWait(mux.wait_set, timeout, &event, 1, mux.wait_event) > 0 &&
		(event.events & WL_LATCH_SET))
		ResetLatch(MyLatch);
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
	sigset_t	saved;

	block_signals(&saved);
	if (transfer->added)
	{
		curl_multi_remove_handle(mux.multi, transfer->easy);
		mux.active--;
	}
	if (transfer->easy)
		curl_easy_cleanup(transfer->easy);
	restore_signals(&saved);
	if (mux.disconnect && mux.active == 0)
		close_connections();

	wipe_list(transfer->headers);
	if (transfer->form)
		explicit_bzero(transfer->form, strlen(transfer->form));
	if (transfer->buffer && transfer->secret_answer)
		explicit_bzero(transfer->buffer, transfer->capacity);
	free(transfer->buffer);
	if (transfer->has_fd)
		ReleaseExternalFD();
	transfer->added = false;
	transfer->easy = NULL;
	transfer->headers = NULL;
	transfer->form = NULL;
	transfer->buffer = NULL;
	transfer->start = transfer->end = transfer->capacity = 0;
	transfer->has_fd = false;
	transfer->done = true;
}

/* Set an option of a transfer; what curl refuses is an error that names it. */
#define SETOPT(transfer, option, value) 	do { 		CURLcode	setopt_code = curl_easy_setopt((transfer)->easy, option, value); 		if (setopt_code != CURLE_OK) 			ereport(ERROR, 					(errcode(ERRCODE_FDW_ERROR), 					 errmsg("could not set libcurl's %s: %s", #option, 							curl_easy_strerror(setopt_code)))); 	} while (0)

/*
 * add_header
 *		Append a header line to the request.
 */
static void
add_header(GraphTransfer *transfer, const char *line)
{
	struct curl_slist *grown = curl_slist_append(transfer->headers, line);

	if (grown == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	transfer->headers = grown;
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
	if (request->ca_file)
	{
		/* this file and not the system's authorities besides */
		SETOPT(transfer, CURLOPT_CAINFO, request->ca_file);
		SETOPT(transfer, CURLOPT_CAPATH, NULL);
	}
	SETOPT(transfer, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SETOPT(transfer, CURLOPT_OPENSOCKETDATA, transfer);
	SETOPT(transfer, CURLOPT_PROXY, request->proxy ? request->proxy : "");
	SETOPT(transfer, CURLOPT_NOPROXY, "");
	SETOPT(transfer, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
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
	SETOPT(transfer, CURLOPT_TCP_KEEPALIVE, 1L);
	SETOPT(transfer, CURLOPT_PIPEWAIT, 1L);
	SETOPT(transfer, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	SETOPT(transfer, CURLOPT_FRESH_CONNECT, request->fresh_connection ? 1L : 0L);
	SETOPT(transfer, CURLOPT_USERAGENT, "graph_fdw/" GRAPH_FDW_VERSION
		   " PostgreSQL/" PG_VERSION);
	if (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_LIBZ)
		SETOPT(transfer, CURLOPT_ACCEPT_ENCODING, "gzip");
	SETOPT(transfer, CURLOPT_PRIVATE, transfer);
	SETOPT(transfer, CURLOPT_ERRORBUFFER, transfer->error);
	SETOPT(transfer, CURLOPT_WRITEFUNCTION, take_body);
	SETOPT(transfer, CURLOPT_WRITEDATA, transfer);
	SETOPT(transfer, CURLOPT_HEADERFUNCTION, take_header);
	SETOPT(transfer, CURLOPT_HEADERDATA, transfer);
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
		char	   *line = psprintf("Authorization: Bearer %s", request->bearer);

		add_header(transfer, line);
		explicit_bzero(line, strlen(line));
		pfree(line);
	}
	foreach(cell, request->headers)
		add_header(transfer, lfirst(cell));
	SETOPT(transfer, CURLOPT_HTTPHEADER, transfer->headers);
}

/*
 * graph_http_start
 *		Begin a request.  The transfer belongs to the memory context: it ends,
 *		if nobody ended it before, when that is reset or deleted.
 *
 * Errors are those of the local side only; how the exchange went is known
 * when graph_http_wait() returns.
 */
GraphTransfer *
graph_http_start(MemoryContext owner, const GraphHttpRequest *request)
{
	GraphTransfer *transfer;
	sigset_t	saved;
	CURLMcode	code;

	start_mux();

	transfer = MemoryContextAllocZero(owner, sizeof(GraphTransfer));
	transfer->owner = owner;
	transfer->window = GRAPH_TRANSFER_WINDOW;
	transfer->request_timeout = request->request_timeout;
	transfer->secret_answer = request->secret_answer;
	transfer->link_local = request->link_local;
	transfer->header.retry_after = -1;
	transfer->callback.func = release_transfer;
	transfer->callback.arg = transfer;
	MemoryContextRegisterResetCallback(owner, &transfer->callback);

	transfer->has_fd = AcquireExternalFD();
	if (!transfer->has_fd)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("out of file descriptors for another request")));
	transfer->easy = curl_easy_init();
	if (transfer->easy == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	set_transport(transfer, request);
	set_security(transfer, request);
	set_request(transfer, request);

	transfer->last_activity = GetCurrentTimestamp();
	block_signals(&saved);
	code = curl_multi_add_handle(mux.multi, transfer->easy);
	transfer->added = code == CURLM_OK;
	restore_signals(&saved);
	if (transfer->added)
	{
		mux.active++;
		mux.used = true;
	}
	if (!transfer->added)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not start a request: %s",
						curl_multi_strerror(code))));
	return transfer;
}

/*
 * resume
 *		Let a paused transfer go on if its window has room again.
 */
static void
resume(GraphTransfer *transfer)
{
	sigset_t	saved;

	if (!transfer->paused || transfer->done ||
		unread_bytes(transfer) > transfer->window / 2)
		return;
	transfer->paused = false;	/* the callback may set it again */
	block_signals(&saved);
	(void) curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
	restore_signals(&saved);
	if (transfer->paused)
		transfer->window *= 2;	/* what curl holds back is a larger piece */
}

/*
 * time_left
 *		Milliseconds until a transfer has been silent for too long; one that is
 *		not under way has all the time.
 */
static long
time_left(const GraphTransfer *transfer, TimestampTz since)
{
	if (transfer->done)
		return LONG_MAX;
	return transfer->request_timeout -
		TimestampDifferenceMilliseconds(Max(since, transfer->last_activity),
										GetCurrentTimestamp());
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
 * graph_http_wait_any
 *		Wait until there is news of any of some transfers, or until a time (0:
 *		none is given).
 *
 * A reader that cannot go on with the bytes that it has calls this, so a full
 * window is widened.
 */
void
graph_http_wait_any(GraphTransfer **transfers, int count, TimestampTz until)
{
	TimestampTz since = GetCurrentTimestamp();
	size_t	   *had = palloc(Max(count, 1) * sizeof(size_t));

	start_mux();
	for (int i = 0; i < count; i++)
	{
		had[i] = unread_bytes(transfers[i]);
		if (had[i] > transfers[i]->window / 2)
			transfers[i]->window = had[i] * 2;
	}

	for (;;)
	{
		long		left = until == 0 ? LONG_MAX :
			TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		CHECK_FOR_INTERRUPTS();
		if (make_progress(transfers, had, count) || left <= 0)
			break;
		for (int i = 0; i < count; i++)
			left = Min(left, time_left(transfers[i], since));
		for (int i = 0; i < count && left <= 0; i++)
		{
			if (time_left(transfers[i], since) > 0)
				continue;
			transfers[i]->silent = true;
			transfers[i]->done = true;
		}
		if (left > 0)
			wait_for_activity(Min(left, INT_MAX));
	}
	pfree(had);
}

/*
 * graph_http_wait
 *		Wait until there are more unread bytes than now; false when there will
 *		be none, because the transfer has ended.
 */
bool
graph_http_wait(GraphTransfer *transfer)
{
	size_t		had = unread_bytes(transfer);

	graph_http_wait_any(&transfer, 1, 0);
	return unread_bytes(transfer) > had;
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
 */
bool
graph_http_wait_all(GraphTransfer *transfer, size_t limit)
{
	while (graph_http_wait(transfer))
	{
		if (unread_bytes(transfer) > limit)
			return false;
	}
	return unread_bytes(transfer) <= limit;
}

/*
 * graph_http_unread
 *		The bytes that were received and not yet consumed; good until the next
 *		call for this or another transfer.
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
 * graph_http_header
 *		The answer's header.  It is complete once there are unread bytes or
 *		graph_http_wait() has returned; status is 0 if there was no answer.
 */
const GraphHttpHeader *
graph_http_header(GraphTransfer *transfer)
{
	long		status = 0;
	curl_off_t	retry_after = 0;

	if (transfer->easy)
	{
		curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after);
		transfer->header.status = (int) status;
		transfer->header.retry_after = retry_after > 0 ?
			(int) Min(retry_after, INT_MAX) : -1;
		transfer->header.time = Max(0, curl_getdate(transfer->header.date,
													NULL));
	}
	return &transfer->header;
}

/*
 * transport_of
 *		What curl's result means to a reader.
 */
static GraphTransport
transport_of(const GraphTransfer *transfer)
{
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
		case CURLE_BAD_CONTENT_ENCODING:
			return GRAPH_TRANSPORT_ENCODING;
		case CURLE_OUT_OF_MEMORY:	/* how a header line over 100 kB ends */
			return GRAPH_TRANSPORT_TOO_LARGE;
		default:
			return GRAPH_TRANSPORT_OTHER;
	}
}

/*
 * graph_http_result
 *		How a transfer that graph_http_wait() called ended did end; *text is
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
	if (transfer->out_of_memory)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	if (transfer->header_too_large)
	{
		*text = "its header is too large";
		return GRAPH_TRANSPORT_TOO_LARGE;
	}
	if (transfer->forbidden && transfer->result != CURLE_OK)
	{
		*text = "its address is one of the local link, where the machine's metadata service is";
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
	graph_http_wait_any(NULL, 0,
						TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													milliseconds));
}
