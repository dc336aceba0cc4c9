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
 *		src/net/multi.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

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
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "net/net_int.h"

/*
 * Connections that the backend keeps; more scans than this are unusual.  They
 * are in nobody's count of descriptors, and so are to be few of those that
 * there are.
 */
#define MAX_KEPT_CONNECTIONS	Min(32, Max(max_safe_fds / 8, 1))

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
	GraphTime	alarm;			/* when it goes off, 0: it is not set */
	WaitEventSet *wait_set;
	uint32		wait_event;
	int			broken;			/* errno of an operation on the descriptors */
	CURLMcode	trouble;		/* what curl could not do for a transfer */
	bool		due;			/* curl wants to run again at once */
	bool		armed;			/* its timer is set */
	int			active;			/* transfers in the multi handle */
	bool		used;			/* it may keep connections */
	bool		disconnect;		/* drop them when no transfer is active */
	GraphTime	client_checked; /* when the client was last seen */
} mux = {
	.events_fd = -1,
#ifdef __linux__
	.timer_fd = -1,
	.alarm_fd = -1,
#endif
};

static void make_events(void);
static void make_wait_set(void);
static void make_multi(void);

/*
 * report_curl
 *		Raise the error for what libcurl could not do.
 */
pg_noreturn static void
report_curl(const char *what, CURLMcode code)
{
	if (code == CURLM_OUT_OF_MEMORY)
		graph_report_out_of_memory();
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("could not %s: %s", what, curl_multi_strerror(code))));
}

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

/*
 * run_curl
 *		Let curl act upon an event; what goes wrong is noted.
 *
 * That it does not know a socket any more is no news: the event is older.
 */
static void
run_curl(curl_socket_t fd, int what)
{
	int			running;
	CURLMcode	code = curl_multi_socket_action(mux.multi, fd, what, &running);

	if (code != CURLM_OK && code != CURLM_BAD_SOCKET)
		mux.trouble = code;
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
		(void) epoll_ctl(mux.events_fd, EPOLL_CTL_DEL, fd, NULL);	/* may be closed */
	else if (epoll_ctl(mux.events_fd, EPOLL_CTL_MOD, fd, &event) < 0 &&
			 (errno != ENOENT ||
			  epoll_ctl(mux.events_fd, EPOLL_CTL_ADD, fd, &event) < 0))
		mux.broken = errno;
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
		mux.broken = errno;
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
		mux.broken = errno;
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

	if (count < 0 && errno != EINTR)
		mux.broken = errno;
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
				run_curl(CURL_SOCKET_TIMEOUT, 0);
			continue;
		}
		if (events[i].events & EPOLLIN)
			what |= CURL_CSELECT_IN;
		if (events[i].events & EPOLLOUT)
			what |= CURL_CSELECT_OUT;
		if (events[i].events & (EPOLLERR | EPOLLHUP))
			what |= CURL_CSELECT_ERR;
		run_curl(events[i].data.fd, what);
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
		mux.broken = errno;
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
		mux.broken = errno;
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
		mux.broken = errno;
}

static void
run_events(void)
{
	struct kevent events[MAX_EVENTS];
	struct timespec now = {0};
	int			count = kevent(mux.events_fd, NULL, 0, events, MAX_EVENTS, &now);

	if (count < 0 && errno != EINTR)
		mux.broken = errno;
	for (int i = 0; i < count; i++)
	{
		if (events[i].filter == EVFILT_TIMER && events[i].ident == ALARM_IDENT)
			mux.alarm = 0;
		else if (events[i].filter == EVFILT_TIMER)
			run_curl(CURL_SOCKET_TIMEOUT, 0);
		else
			run_curl(events[i].ident, events[i].filter == EVFILT_READ ?
					 CURL_CSELECT_IN : CURL_CSELECT_OUT);
	}
}

#endif

/*-------------------------------------------------------------------------
 * Curl's life in this backend
 *-------------------------------------------------------------------------
 */

/*
 * close_events
 *		Undo what open_events() had done when it fails half-way.
 */
static void
close_events(void)
{
	if (mux.events_fd >= 0)
		close(mux.events_fd);
	mux.events_fd = -1;
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

	make_events();
	make_wait_set();
	make_multi();
}

/*
 * make_events
 *		Have the descriptor; if none is to be had, the server's own files give
 *		up theirs.
 */
static void
make_events(void)
{
	int			save_errno;

	if (mux.events_fd >= 0)
		return;
	ReserveExternalFD();
	if (open_events())
		return;
	close_events();
	closeAllVfds();
	if (open_events())
		return;
	save_errno = errno;
	close_events();
	ReleaseExternalFD();
	errno = save_errno;
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not create a descriptor to wait for transfers: %m")));
}

/*
 * make_wait_set
 *		Make the set of what the one wait is for.
 *
 * What was made before an error is freed, and the next request tries again.
 */
static void
make_wait_set(void)
{
	WaitEventSet *set;

	if (mux.wait_event == 0)
		mux.wait_event = graph_new_wait_event("GraphRequest");
	set = graph_create_wait_set(3);
	PG_TRY();
	{
		AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		if (IsUnderPostmaster)
			AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET,
							  NULL, NULL);
		AddWaitEventToSet(set, WL_SOCKET_READABLE, mux.events_fd, NULL, NULL);
	}
	PG_CATCH();
	{
		FreeWaitEventSet(set);
		PG_RE_THROW();
	}
	PG_END_TRY();
	mux.wait_set = set;
}

/*
 * make_multi
 *		Make the multi handle, which keeps the connections.
 */
static void
make_multi(void)
{
	CURLM	   *multi = curl_multi_init();
	CURLMcode	code;

	if (multi == NULL)
		report_curl("begin", CURLM_OUT_OF_MEMORY);
	code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
	if (code == CURLM_OK)
		code = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_changed);
	if (code == CURLM_OK)
		code = curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS,
								 (long) MAX_KEPT_CONNECTIONS);
	if (code != CURLM_OK)
	{
		(void) curl_multi_cleanup(multi);
		report_curl("set up libcurl", code);
	}
	mux.multi = multi;
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
	(void) curl_multi_cleanup(mux.multi);	/* there is nobody to tell */
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
 *		Begin the transfer of an easy handle.
 */
void
graph_multi_add(CURL *easy)
{
	sigset_t	saved;
	CURLMcode	code;

	graph_block_signals(&saved);
	code = curl_multi_add_handle(mux.multi, easy);
	graph_restore_signals(&saved);
	if (code != CURLM_OK)
	{
		mux.used = mux.disconnect = true;
		report_curl("start a request", code);
	}
	mux.active++;
	mux.used = true;
}

/*
 * graph_multi_detach
 *		End the transfer of an easy handle that was begun.  One that is under way
 *		loses its connection.  It must not throw; should curl not let go, the
 *		handle of all is given up as soon as that can be.
 */
void
graph_multi_detach(CURL *easy)
{
	sigset_t	saved;
	uint32		failed = graph_wipe_failures();

	graph_block_signals(&saved);
	if (curl_multi_remove_handle(mux.multi, easy) != CURLM_OK ||
		graph_wipe_failures() != failed)
		mux.disconnect = true;
	mux.active--;
	graph_restore_signals(&saved);
}

/*
 * graph_multi_free
 *		Free an easy handle whose transfer is detached, or was not begun.  It
 *		must not throw.
 */
void
graph_multi_free(CURL *easy)
{
	sigset_t	saved;

	graph_block_signals(&saved);
	curl_easy_cleanup(easy);
	graph_restore_signals(&saved);
	if (mux.disconnect && mux.active == 0 && mux.multi)
		close_connections();
}

/*
 * graph_multi_drive
 *		Let curl do what can be done without waiting, and report the transfers
 *		that have ended to a callback, which must not throw.
 *
 * Returns false if something went wrong that may befall any transfer.  Then
 * all of them are to be detached, and graph_multi_report() called: curl does
 * not put its own house in order when it lacks memory, and what it does next
 * may be to wait for a connection that nobody makes, or to divide by zero.
 */
bool
graph_multi_drive(void (*ended) (CURL *easy, CURLcode result))
{
	sigset_t	saved;
	CURLMsg    *message;
	int			left;
	uint32		failed = graph_wipe_failures();

	graph_block_signals(&saved);
	run_events();
	for (int i = 0; mux.due && i < MAX_EVENTS; i++)
	{
		mux.due = false;
		run_curl(CURL_SOCKET_TIMEOUT, 0);
	}
	while ((message = curl_multi_info_read(mux.multi, &left)) != NULL)
	{
		if (message->msg == CURLMSG_DONE)
			ended(message->easy_handle, message->data.result);
	}
	graph_restore_signals(&saved);
	if (graph_wipe_failures() != failed)
		mux.trouble = CURLM_OUT_OF_MEMORY;
	return mux.broken == 0 && mux.trouble == CURLM_OK;
}

/*
 * graph_multi_report
 *		Give up the handle of all, and raise the error for what went wrong.
 */
void
graph_multi_report(void)
{
	CURLMcode	trouble = mux.trouble;
	int			broken = mux.broken;
	bool		memory = broken == ENOMEM;

	mux.trouble = CURLM_OK;
	mux.broken = 0;
	Assert(mux.active == 0);
	close_connections();
	if (trouble != CURLM_OK)
		report_curl("go on with a request", trouble);
	errno = broken;
	ereport(ERROR,
			(errcode(memory ? ERRCODE_OUT_OF_MEMORY : ERRCODE_FDW_ERROR),
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
	GraphTime	now = graph_now();

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
	/* looking may have taken the latch's news */
	return client_is_gone() || InterruptPending ? 0 :
		Min(timeout, CLIENT_CHECK_MS);
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

/*
 * graph_multi_descriptor
 *		A descriptor that is readable when something has happened to a transfer,
 *		or the alarm goes off.  There is one for all.
 */
pgsocket
graph_multi_descriptor(void)
{
	graph_multi_start();
	return mux.events_fd;
}

/*
 * graph_multi_alarm
 *		Have that descriptor become readable after so many milliseconds at most,
 *		whatever happens.
 */
void
graph_multi_alarm(long timeout)
{
	GraphTime	when;

	timeout = mux.due ? 0 : watch_client(timeout);
	when = graph_after(timeout);
	if (mux.alarm != 0 && mux.alarm <= when)
		return;
	mux.alarm = when;
	set_alarm(timeout);
}
