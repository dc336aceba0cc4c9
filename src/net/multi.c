/*-------------------------------------------------------------------------
 *
 * multi.c
 *		Let libcurl run all transfers, and wait for them in one place.
 *
 * Any number of transfers are under way at once in one curl multi handle,
 * which also keeps the connections between scans.  libcurl is fed by events
 * (events.c).
 *
 * One place waits, but for an Append that has others to wait for besides:
 * graph_multi_wait(), on the process latch and on the events, for name
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
 * Sources: libcurl's manual pages curl_multi_socket_action(3) and
 * CURLMOPT_TIMERFUNCTION(3); the same arrangement is in PostgreSQL's
 * src/interfaces/libpq-oauth.
 *
 * IDENTIFICATION
 *		src/net/multi.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <pthread.h>
#include <signal.h>

#include "miscadmin.h"
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

/* So often may libcurl want to run again at once before others have a turn. */
#define MAX_TURNS	16

/*
 * How often a wait looks whether the client is still there: soon enough for
 * somebody who counts requests, and seldom enough to cost nothing.
 */
#define CLIENT_CHECK_MS	250

/* From libpq/libpq.h, which needs more headers than those of the server. */
extern bool pq_check_connection(void);

/* Nobody has listened who did not look for so long. */
#define AWAY	(INT64CONST(1000000))

/* What this backend has of libcurl; made at the first request. */
static struct
{
	CURLM	   *multi;
	WaitEventSet *wait_set;
	uint32		wait_event;		/* for an answer, */
	uint32		limit_event;	/* or for the limit to let us send a request */
	CURLMcode	trouble;		/* what libcurl could not do for a transfer */
	GraphTime	due;			/* when it wants to run whatever happens, or 0 */
	GraphTime	looked;			/* when somebody last waited, or let it run, */
	GraphTime	heard;			/* and when what it reads now may have come */
	int			active;			/* transfers in the multi handle */
	bool		used;			/* it may keep connections */
	bool		disconnect;		/* drop them when no transfer is active */
	GraphTime	client_checked; /* when the client was last seen */
}			mux;

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

/*
 * run_curl
 *		Let libcurl act upon an event; what goes wrong is noted.
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

/*
 * timer_changed
 *		CURLMOPT_TIMERFUNCTION: set libcurl's one timer; -1 stops it.
 *
 * Our own wait ends in time; who waits for the alarm has to hear of it.
 */
static int
timer_changed(CURLM *multi, long timeout, void *arg)
{
	mux.due = timeout < 0 ? 0 : graph_after(timeout);
	if (mux.due != 0 && graph_events_alarm_is_set())
		graph_events_alarm(mux.due);
	return 0;
}

/*
 * limit_to_due
 *		Milliseconds to wait, at most until libcurl wants to run.
 */
static long
limit_to_due(long timeout)
{
	return mux.due == 0 ? timeout :
		Min(timeout, graph_milliseconds_until(mux.due));
}

/*-------------------------------------------------------------------------
 * libcurl's life in this backend
 *-------------------------------------------------------------------------
 */

/*
 * make_wait_set
 *		Make the set of what the one wait is for.
 *
 * What was made before an error is freed, and the next request tries again.
 */
static void
make_wait_set(void)
{
	pgsocket	events = graph_events_open();
	WaitEventSet *set;

	if (mux.wait_event == 0)
		mux.wait_event = graph_new_wait_event("GraphRequest");
	if (mux.limit_event == 0)
		mux.limit_event = graph_new_wait_event("GraphLimit");
	set = graph_create_wait_set(3);
	PG_TRY();
	{
		AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		if (IsUnderPostmaster)
			AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET,
							  NULL, NULL);
		AddWaitEventToSet(set, WL_SOCKET_READABLE, events, NULL, NULL);
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
	code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, graph_events_watch);
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
 * graph_multi_start
 *		Make the multi handle and the set to wait on, once a backend.
 *
 * Here and not in _PG_init(), which may run in the postmaster.  libcurl is
 * never shut down: other extensions of the backend may use it too.
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

	make_wait_set();
	make_multi();
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
	mux.due = 0;
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

	Assert(mux.multi);
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
 *		loses its connection.  It must not throw; should libcurl not let go, the
 *		handle of all is given up as soon as that can be.
 */
void
graph_multi_detach(CURL *easy)
{
	sigset_t	saved;
	uint32		failed = graph_wipe_failures();

	Assert(mux.active > 0);
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
 *		Let libcurl do what can be done without waiting, and report the transfers
 *		that have ended to a callback, which must not throw.
 *
 * Returns false if something went wrong that may befall any transfer.  Then
 * all of them are to be detached, and graph_multi_report() called: libcurl is
 * not in order any more once it lacked memory, and what it does next may be to
 * wait for a connection that nobody makes, or to divide by zero.
 */
bool
graph_multi_drive(void (*ended) (CURL *easy, CURLcode result))
{
	sigset_t	saved;
	CURLMsg    *message;
	int			left;
	uint32		failed = graph_wipe_failures();
	GraphTime	now = graph_now();

	mux.heard = now - mux.looked > AWAY ? mux.looked : now;
	graph_block_signals(&saved);
	graph_events_run(run_curl);
	for (int i = 0; i < MAX_TURNS && mux.due != 0 && mux.due <= graph_now(); i++)
	{
		mux.due = 0;
		run_curl(CURL_SOCKET_TIMEOUT, 0);
	}
	while ((message = curl_multi_info_read(mux.multi, &left)) != NULL)
	{
		if (message->msg == CURLMSG_DONE)
			ended(message->easy_handle, message->data.result);
	}
	graph_restore_signals(&saved);
	mux.looked = graph_now();
	if (graph_wipe_failures() != failed)
		mux.trouble = CURLM_OUT_OF_MEMORY;
	return graph_events_trouble(false) == 0 && mux.trouble == CURLM_OK;
}

/*
 * graph_multi_heard
 *		Since when is what libcurl reads at the moment there, at the earliest?
 *
 * Who reads a cursor may have looked at nothing for long.
 */
GraphTime
graph_multi_heard(void)
{
	return mux.heard;
}

/*
 * graph_multi_report
 *		Give up the handle of all, and raise the error for what went wrong.
 */
void
graph_multi_report(void)
{
	CURLMcode	trouble = mux.trouble;
	int			broken = graph_events_trouble(true);

	mux.trouble = CURLM_OK;
	Assert(mux.active == 0);
	close_connections();
	if (trouble != CURLM_OK)
		report_curl("go on with a request", trouble);
	errno = broken;
	ereport(ERROR,
			(errcode(broken == ENOMEM ? ERRCODE_OUT_OF_MEMORY :
					 ERRCODE_FDW_ERROR),
			 errmsg("could not watch the sockets of a transfer: %m")));
}

/*
 * check_client
 *		From time to time, see whether the client is still there; if it is not,
 *		the next check for interrupts ends the session.  Returns how much of a
 *		wait may pass before it is to be looked at again.
 *
 * The server does that by itself only with client_connection_check_interval,
 * and otherwise when it has something to send.
 */
static long
check_client(long timeout)
{
	GraphTime	now = graph_now();

	if (MyProcPort == NULL || !WaitEventSetCanReportClosed())
		return timeout;
	if (now - mux.client_checked >= CLIENT_CHECK_MS * INT64CONST(1000))
	{
		mux.client_checked = now;
		if (!pq_check_connection())
			ClientConnectionLost = InterruptPending = true;
	}
	/* looking may have taken the latch's news */
	return InterruptPending ? 0 : Min(timeout, CLIENT_CHECK_MS);
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
	uint32		what = mux.active == 0 && graph_turns_waiting() > 0 ?
		mux.limit_event : mux.wait_event;

	timeout = limit_to_due(timeout);
	if (timeout <= 0)
		return;
	timeout = check_client(timeout);
	if (WaitEventSetWait(mux.wait_set, timeout, &event, 1, what) > 0 &&
		(event.events & WL_LATCH_SET))
		ResetLatch(MyLatch);
	mux.looked = graph_now();
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
	return graph_events_open();
}

/*
 * graph_multi_alarm
 *		Have that descriptor become readable after so many milliseconds at most,
 *		whatever happens.
 */
void
graph_multi_alarm(long timeout)
{
	timeout = limit_to_due(timeout);
	if (timeout > 0)
		timeout = check_client(timeout);
	graph_events_alarm(graph_after(timeout));
}

/*
 * graph_multi_alarm_is_set
 *		Will it go off?  Not any more once somebody has looked at transfers after
 *		its time.
 */
bool
graph_multi_alarm_is_set(void)
{
	return graph_events_alarm_is_set();
}
