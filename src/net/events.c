/*-------------------------------------------------------------------------
 *
 * events.c
 *		What has happened to the sockets of transfers, and is it time?
 *
 * One descriptor, an epoll set or a kqueue, holds libcurl's sockets and one
 * timer, the alarm.  It is made once a backend and stays.  Who waits for
 * transfers waits for it to become readable; what has happened then is given
 * to a callback.
 *
 * All but graph_events_open() may run inside libcurl's callbacks: nothing
 * there throws, pallocs or checks for interrupts.  What goes wrong is noted.
 *
 * What this file refuses to know: transfers, and what is done about an event.
 *
 * Sources: libcurl's manual page CURLMOPT_SOCKETFUNCTION(3); epoll(7),
 * timerfd_create(2), kqueue(2).
 *
 * IDENTIFICATION
 *		src/net/events.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/timerfd.h>
#else
#include <sys/event.h>
#endif

#include "storage/fd.h"

#include "net/net_int.h"

/* Events taken from the kernel at once; the rest stay for the next turn. */
#define MAX_EVENTS	16

static int	events_fd = -1;		/* epoll set or kqueue */
static GraphTime alarm_time = 0;	/* when it goes off, 0: it is not set */
static int	trouble = 0;		/* errno of an operation that failed */

#ifdef __linux__

static int	alarm_fd = -1;

/*
 * graph_events_watch
 *		CURLMOPT_SOCKETFUNCTION: watch a socket, or stop watching it.
 */
int
graph_events_watch(CURL *curl, curl_socket_t fd, int what, void *arg,
				   void *socketp)
{
	struct epoll_event event = {0};

	event.data.fd = fd;
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;

	if (what == CURL_POLL_REMOVE)
		(void) epoll_ctl(events_fd, EPOLL_CTL_DEL, fd, NULL);	/* may be closed */
	else if (epoll_ctl(events_fd, EPOLL_CTL_MOD, fd, &event) < 0 &&
			 (errno != ENOENT ||
			  epoll_ctl(events_fd, EPOLL_CTL_ADD, fd, &event) < 0))
		trouble = errno;
	return 0;
}

/*
 * open_events
 *		Create the descriptor with the alarm in it; false if that fails.
 */
static bool
open_events(void)
{
	struct epoll_event event = {.events = EPOLLIN};

	events_fd = epoll_create1(EPOLL_CLOEXEC);
	if (events_fd < 0)
		return false;
	event.data.fd = alarm_fd = timerfd_create(CLOCK_MONOTONIC,
											  TFD_CLOEXEC | TFD_NONBLOCK);
	return alarm_fd >= 0 &&
		epoll_ctl(events_fd, EPOLL_CTL_ADD, alarm_fd, &event) == 0;
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
	if (timerfd_settime(alarm_fd, 0, &when, NULL) < 0)
		trouble = errno;
}

/*
 * graph_events_run
 *		Tell a callback what has happened since the last call: the socket, and
 *		CURL_CSELECT_ flags.  It does not wait.
 */
void
graph_events_run(void (*happened) (curl_socket_t fd, int what))
{
	struct epoll_event events[MAX_EVENTS];
	int			count = epoll_wait(events_fd, events, MAX_EVENTS, 0);

	if (count < 0 && errno != EINTR)
		trouble = errno;
	for (int i = 0; i < count; i++)
	{
		int			what = 0;
		uint64		expirations;

		if (events[i].data.fd == alarm_fd)
		{
			if (read(alarm_fd, &expirations, sizeof(expirations)) > 0)
				alarm_time = 0;
			continue;
		}
		if (events[i].events & EPOLLIN)
			what |= CURL_CSELECT_IN;
		if (events[i].events & EPOLLOUT)
			what |= CURL_CSELECT_OUT;
		if (events[i].events & (EPOLLERR | EPOLLHUP))
			what |= CURL_CSELECT_ERR;
		happened(events[i].data.fd, what);
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
	return kevent(events_fd, &change, 1, NULL, 0, NULL) >= 0 || !wanted;
}

int
graph_events_watch(CURL *curl, curl_socket_t fd, int what, void *arg,
				   void *socketp)
{
	bool		in = what == CURL_POLL_IN || what == CURL_POLL_INOUT;
	bool		out = what == CURL_POLL_OUT || what == CURL_POLL_INOUT;

	if (!watch(fd, EVFILT_READ, in) || !watch(fd, EVFILT_WRITE, out))
		trouble = errno;
	return 0;
}

static bool
open_events(void)
{
	events_fd = kqueue();
	return events_fd >= 0 && fcntl(events_fd, F_SETFD, FD_CLOEXEC) == 0;
}

static void
set_alarm(long timeout)
{
	struct kevent change;

	EV_SET(&change, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, timeout, NULL);
	if (kevent(events_fd, &change, 1, NULL, 0, NULL) < 0)
		trouble = errno;
}

void
graph_events_run(void (*happened) (curl_socket_t fd, int what))
{
	struct kevent events[MAX_EVENTS];
	struct timespec now = {0};
	int			count = kevent(events_fd, NULL, 0, events, MAX_EVENTS, &now);

	if (count < 0 && errno != EINTR)
		trouble = errno;
	for (int i = 0; i < count; i++)
	{
		if (events[i].filter == EVFILT_TIMER)
			alarm_time = 0;
		else
			happened(events[i].ident, events[i].filter == EVFILT_READ ?
					 CURL_CSELECT_IN : CURL_CSELECT_OUT);
	}
}

#endif

/*
 * close_events
 *		Undo what open_events() had done when it failed half-way.
 */
static void
close_events(void)
{
	if (events_fd >= 0)
		close(events_fd);
	events_fd = -1;
#ifdef __linux__
	if (alarm_fd >= 0)
		close(alarm_fd);
	alarm_fd = -1;
#endif
}

/*
 * graph_events_open
 *		The descriptor.  If none is to be had, the server's own files give up
 *		theirs.
 */
pgsocket
graph_events_open(void)
{
	int			save_errno;

	if (events_fd >= 0)
		return events_fd;
	ReserveExternalFD();
	if (open_events())
		return events_fd;
	close_events();
	closeAllVfds();
	if (open_events())
		return events_fd;
	save_errno = errno;
	close_events();
	ReleaseExternalFD();
	errno = save_errno;
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not create a descriptor to wait for transfers: %m")));
}

/*
 * graph_events_alarm
 *		Have the descriptor, if there is one, become readable at a time at the
 *		latest, whatever happens.
 */
void
graph_events_alarm(GraphTime when)
{
	if (events_fd < 0 || (alarm_time != 0 && alarm_time <= when))
		return;
	alarm_time = when;
	set_alarm(graph_milliseconds_until(when));
}

/*
 * graph_events_alarm_is_set
 *		Does somebody wait for the alarm?
 */
bool
graph_events_alarm_is_set(void)
{
	return alarm_time != 0;
}

/*
 * graph_events_trouble
 *		What went wrong since the last call that forgets it, an errno; 0 if
 *		nothing did.
 */
int
graph_events_trouble(bool forget)
{
	int			result = trouble;

	if (forget)
		trouble = 0;
	return result;
}
