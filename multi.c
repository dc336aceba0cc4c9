/*-------------------------------------------------------------------------
 *
 * multi.c
 *		What happens on the wire, and where does the backend wait for it?
 *
 * Any number of transfers are under way at once in one curl multi handle,
 * which also keeps the connections between scans.  Curl is fed by events: one
 * descriptor, an epoll set (or a kqueue), holds its sockets and its timer.
 *
 * One place waits, but for an Append that has others to wait for besides:
 * graph_multi_wait(), on the process latch and on that descriptor, for name
 * resolution, connecting, TLS, transfer and the pauses between attempts alike.
 * So a cancel takes effect within milliseconds whatever the remote side does,
 * and the end of the client is noticed soon: a query that nobody waits for must
 * not go on to use up the requests of others.
 *
 * Nothing that can ereport, palloc or check for interrupts runs inside a
 * libcurl callback; trouble is noted and raised after libcurl has returned.
 * All signals are blocked while libcurl runs, because the threads that it
 * starts to resolve names would otherwise run the backend's signal handlers.
 *
 * What this file refuses to know: what is transferred, Graph.
 *
 * Sources: libcurl's manual pages curl_multi_socket_action(3),
 * CURLMOPT_SOCKETFUNCTION(3), CURLMOPT_TIMERFUNCTION(3); the same arrangement
 * is in PostgreSQL's src/interfaces/libpq-oauth.
 *
 * IDENTIFICATION
 *		multi.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/timerfd.h>
#else
#include <sys/event.h>
#endif

#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "graph_fdw.h"

/* Connections that the backend keeps; more scans than this are unusual. */
#define MAX_KEPT_CONNECTIONS	32

/* Events taken from the kernel at once; the rest stay for the next turn. */
#define MAX_EVENTS	16

/*
 * How often a wait looks whether the client is still there: soon enough for
 * somebody who counts requests, and seldom enough to cost nothing.
 */
#define CLIENT_CHECK_MS	250

/* From libpq/libpq.h, which needs more headers than those of the server. */
extern bool pq_check_connection(void);

/* What this backend has of curl; made at the first request. */
static struct
{
	CURLM	   *multi;
	int			events_fd;		/* epoll set or kqueue */
#ifdef __linux__
	int			timer_fd;		/* curl's */
	int			alarm_fd;		/* graph_multi_alarm()'s */
#endif
	TimestampTz alarm;			/* when it goes off, 0: it is not set */
	WaitEventSet *wait_set;
	uint32		wait_event;
	bool		broken;			/* an operation on the descriptors failed */
	bool		due;			/* curl wants to run again at once */
	bool		armed;			/* its timer is set */
	int			active;			/* transfers in the multi handle */
	bool		used;			/* it may keep connections */
	bool		disconnect;		/* drop them when no transfer is active */
	TimestampTz client_checked; /* when the client was last seen */
} mux = {
	.events_fd = -1,
#ifdef __linux__
	.timer_fd = -1,
	.alarm_fd = -1,
#endif
};

static void make_wait_set(void);
static void make_multi(void);

/*
 * graph_block_signals
 *		Block every signal that another thread could take from us.
 *
 * Those that a fault of the thread itself raises stay as they are: blocking
 * them is undefined.
 */
void
graph_block_signals(sigset_t *saved)
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

void
graph_restore_signals(const sigset_t *saved)
{
	(void) pthread_sigmask(SIG_SETMASK, saved, NULL);
}

/*-------------------------------------------------------------------------
 * Events: libcurl's frames are on the stack of its callbacks, so nothing here
 * may throw, palloc or check for interrupts.
 *-------------------------------------------------------------------------
 */

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

	mux.due = timeout == 0;
	if (timeout <= 0 && !mux.armed)
		return 0;				/* most are, and cost no system call */
	if (timeout > 0)
	{
		when.it_value.tv_sec = timeout / 1000;
		when.it_value.tv_nsec = (timeout % 1000) * 1000000;
	}
	mux.armed = timeout > 0;
	if (timerfd_settime(mux.timer_fd, 0, &when, NULL) < 0)
		mux.broken = true;
	return 0;
}

/*
 * open_timer
 *		A timer among the events, not set yet; -1 if there is none to be had.
 */
static int
open_timer(void)
{
	int			fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct epoll_event event = {0};

	event.events = EPOLLIN;
	event.data.fd = fd;
	if (fd >= 0 && epoll_ctl(mux.events_fd, EPOLL_CTL_ADD, fd, &event) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/*
 * open_events
 *		Create the descriptor that stands for curl's sockets and the timers.
 */
static bool
open_events(void)
{
	mux.events_fd = epoll_create1(EPOLL_CLOEXEC);
	if (mux.events_fd < 0)
		return false;
	mux.timer_fd = open_timer();
	mux.alarm_fd = open_timer();
	return mux.timer_fd >= 0 && mux.alarm_fd >= 0;
}

/*
 * set_alarm
 *		Have the descriptor become readable after so many milliseconds.
 */
static void
set_alarm(long timeout)
{
	struct itimerspec when = {0};

	when.it_value.tv_sec = timeout / 1000;
	when.it_value.tv_nsec = Max((timeout % 1000) * 1000000, 1);
	if (timerfd_settime(mux.alarm_fd, 0, &when, NULL) < 0)
		mux.broken = true;
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

		if (events[i].data.fd == mux.alarm_fd)
		{
			if (read(mux.alarm_fd, &expirations, sizeof(expirations)) > 0)
				mux.alarm = 0;
			continue;
		}
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

/* The timers have numbers. */
#define CURL_TIMER_IDENT	1
#define ALARM_IDENT			2

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

	mux.due = timeout == 0;
	if (timeout <= 0 && !mux.armed)
		return 0;
	mux.armed = timeout > 0;
	EV_SET(&change, CURL_TIMER_IDENT, EVFILT_TIMER,
		   timeout > 0 ? EV_ADD | EV_ONESHOT : EV_DELETE, 0,
		   Max(timeout, 0), NULL);
	if (kevent(mux.events_fd, &change, 1, NULL, 0, NULL) < 0 && timeout > 0)
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
set_alarm(long timeout)
{
	struct kevent change;

	EV_SET(&change, ALARM_IDENT, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0,
		   timeout, NULL);
	if (kevent(mux.events_fd, &change, 1, NULL, 0, NULL) < 0)
		mux.broken = true;
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
		if (events[i].filter == EVFILT_TIMER && events[i].ident == ALARM_IDENT)
			mux.alarm = 0;
		else if (events[i].filter == EVFILT_TIMER)
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
 *		Undo what graph_multi_start() had done when it fails half-way.
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
	if (mux.alarm_fd >= 0)
		close(mux.alarm_fd);
	mux.timer_fd = mux.alarm_fd = -1;
#endif
}

/*
 * graph_multi_start
 *		Make the multi handle and the descriptor to wait on, once a backend.
 *
 * Here and not in _PG_init(), which may run in the postmaster.  Curl is never
 * shut down: other extensions of the backend may use it too.
 */
void
graph_multi_start(void)
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

	graph_tls_start();
	graph_block_signals(&saved);
	/* where another module was first with libcurl, its allocators stay */
	code = curl_global_init_mem(CURL_GLOBAL_ALL, graph_wipe_malloc,
								graph_wipe_free, graph_wipe_realloc,
								graph_wipe_strdup, graph_wipe_calloc);
	graph_restore_signals(&saved);
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

	make_wait_set();
	make_multi();
}

/*
 * make_wait_set
 *		Make the set of what the one wait is for.
 */
static void
make_wait_set(void)
{
	mux.wait_event = graph_new_wait_event("GraphRequest");
	mux.wait_set = graph_create_wait_set(3);
	AddWaitEventToSet(mux.wait_set, WL_LATCH_SET, PGINVALID_SOCKET,
					  MyLatch, NULL);
	if (IsUnderPostmaster)
		AddWaitEventToSet(mux.wait_set, WL_EXIT_ON_PM_DEATH,
						  PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(mux.wait_set, WL_SOCKET_READABLE, mux.events_fd,
					  NULL, NULL);
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

	graph_block_signals(&saved);
	curl_multi_cleanup(mux.multi);
	graph_restore_signals(&saved);
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
 * graph_multi_add
 *		Begin the transfer of an easy handle; NULL, or what curl says against
 *		it.
 */
const char *
graph_multi_add(void *easy)
{
	sigset_t	saved;
	CURLMcode	code;

	graph_block_signals(&saved);
	code = curl_multi_add_handle(mux.multi, easy);
	graph_restore_signals(&saved);
	if (code != CURLM_OK)
		return curl_multi_strerror(code);
	mux.active++;
	mux.used = true;
	return NULL;
}

/*
 * graph_multi_remove
 *		End the transfer of an easy handle, and free it.
 *
 * added tells whether it was begun.  One that is under way loses its
 * connection.  It must not throw.
 */
void
graph_multi_remove(void *easy, bool added)
{
	sigset_t	saved;

	graph_block_signals(&saved);
	if (added)
	{
		curl_multi_remove_handle(mux.multi, easy);
		mux.active--;
	}
	curl_easy_cleanup(easy);
	graph_restore_signals(&saved);
	if (mux.disconnect && mux.active == 0)
		close_connections();
}

/*
 * graph_multi_drive
 *		Let curl do what can be done without waiting, and report the transfers
 *		that have ended to a callback, which must not throw.
 */
void
graph_multi_drive(GraphEnded ended)
{
	sigset_t	saved;
	CURLMsg    *message;
	int			left;
	bool		broken;

	graph_block_signals(&saved);
	run_events();
	for (int i = 0; mux.due && i < MAX_EVENTS; i++)
	{
		mux.due = false;
		(void) curl_multi_socket_action(mux.multi, CURL_SOCKET_TIMEOUT, 0,
										&left);
	}
	while ((message = curl_multi_info_read(mux.multi, &left)) != NULL)
	{
		if (message->msg == CURLMSG_DONE)
			ended(message->easy_handle, message->data.result);
	}
	graph_restore_signals(&saved);

	broken = mux.broken;
	mux.broken = false;
	if (broken)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not watch the sockets of a transfer: %m")));
}

/*
 * client_is_gone
 *		From time to time, see whether the client is still there; if it is not,
 *		the next check for interrupts ends the session.
 *
 * The server does that by itself only with client_connection_check_interval,
 * and otherwise when it has something to send.
 */
static bool
client_is_gone(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now - mux.client_checked < CLIENT_CHECK_MS * INT64CONST(1000))
		return false;
	mux.client_checked = now;
	if (pq_check_connection())
		return false;
	ClientConnectionLost = true;
	InterruptPending = true;
	return true;
}

/*
 * watch_client
 *		The part of a wait after which the client is to be looked at.
 */
static long
watch_client(long timeout)
{
	if (MyProcPort == NULL || !WaitEventSetCanReportClosed())
		return timeout;
	return client_is_gone() ? 0 : Min(timeout, CLIENT_CHECK_MS);
}

/*
 * graph_multi_wait
 *		The one wait: until the latch is set, the postmaster dies, something
 *		happens to a transfer, or so many milliseconds have passed; or sooner.
 *
 * The caller checks for interrupts next.
 */
void
graph_multi_wait(long timeout)
{
	WaitEvent	event;

	if (mux.due)
		return;
	timeout = watch_client(timeout);
	if (WaitEventSetWait(mux.wait_set, timeout, &event, 1, mux.wait_event) > 0 &&
		(event.events & WL_LATCH_SET))
		ResetLatch(MyLatch);
}

/*-------------------------------------------------------------------------
 * Waiting elsewhere: below an Append that waits for others, too
 *-------------------------------------------------------------------------
 */

/* A descriptor that is closed with its memory context. */
typedef struct Descriptor
{
	MemoryContextCallback callback;
	int			fd;
} Descriptor;

static void
close_descriptor(void *arg)
{
	Descriptor *descriptor = arg;

	if (descriptor->fd < 0)
		return;
	close(descriptor->fd);
	ReleaseExternalFD();
}

/*
 * graph_multi_descriptor
 *		A descriptor that is readable when something has happened to a transfer,
 *		or the alarm goes off; it is closed with the owner.
 *
 * Each caller gets one of its own, since the kernel takes none twice into one
 * set of descriptors.
 */
pgsocket
graph_multi_descriptor(MemoryContext owner)
{
	Descriptor *descriptor = MemoryContextAlloc(owner, sizeof(Descriptor));

	graph_multi_start();
	descriptor->fd = -1;
	descriptor->callback.func = close_descriptor;
	descriptor->callback.arg = descriptor;
	MemoryContextRegisterResetCallback(owner, &descriptor->callback);
	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("out of file descriptors for another request")));
	descriptor->fd = fcntl(mux.events_fd, F_DUPFD_CLOEXEC, 0);
	if (descriptor->fd < 0)
	{
		ReleaseExternalFD();
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("could not create a descriptor to wait for transfers: %m")));
	}
	return descriptor->fd;
}

/*
 * graph_multi_alarm
 *		Have that descriptor become readable after so many milliseconds at most,
 *		whatever happens.
 */
void
graph_multi_alarm(long timeout)
{
	TimestampTz when;

	timeout = mux.due ? 0 : watch_client(timeout);
	when = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);
	if (mux.alarm != 0 && mux.alarm <= when)
		return;
	mux.alarm = when;
	set_alarm(timeout);
}
