/*-------------------------------------------------------------------------
 *
 * http.c
 *		Send requests, deliver bytes, wait.
 *
 * A transfer is started, and from then on its bytes are pulled by whoever
 * reads them: graph_http_wait_any() returns when there are more, and what has
 * been read is consumed.  At most a window of bytes is kept (buffer.c); a
 * transfer whose window is full is paused.  easy.c puts a request to libcurl,
 * multi.c lets libcurl run and waits, and outcome.c says how a transfer ended.
 *
 * Two rules keep libcurl and the backend apart.  Nothing that can ereport,
 * palloc or check for interrupts runs inside a libcurl callback: callbacks
 * store bytes in malloc'd memory and return, and trouble is raised after
 * libcurl has returned.  Every transfer hangs on a memory context reset
 * callback that is registered before the curl handle exists, so an error, a
 * cancel or a subtransaction abort releases it.
 *
 * What this file refuses to know: Graph, tokens, which failure is worth
 * another attempt.
 *
 * Sources: libcurl's manual page curl_easy_pause(3).
 *
 * IDENTIFICATION
 *		src/net/http.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "lib/ilist.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "net/net_int.h"

/* All header lines of one answer together; Graph's are below 4 kB. */
#define MAX_HEADER_BYTES	(256 * 1024)

struct GraphTransfer
{
	GraphEasy	easy;			/* libcurl's side */
	GraphBuffer buffer;			/* what came of the body */
	GraphHttpHeader header;
	GraphEnd	how;			/* it ended */

	MemoryContextCallback callback;
	dlist_node	node;			/* in under_way, while it is added */
	bool		added;			/* to the multi handle */
	bool		has_fd;			/* counted with AcquireExternalFD() */
	bool		secret_answer;
	bool		paused;			/* by us */
	bool		ended;			/* libcurl is done with it, */
	bool		done;			/* and the buffer has all that it will have */
	size_t		header_bytes;
	GraphTime	last_activity;
	int64		silence;		/* microseconds waited for since then, as far
								 * as those waits are over */
};

/* Those that libcurl has. */
static dlist_head under_way = DLIST_STATIC_INIT(under_way);

/*-------------------------------------------------------------------------
 * Callbacks: libcurl's frames are on the stack, so nothing here may throw,
 * palloc or check for interrupts.
 *-------------------------------------------------------------------------
 */

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
 * take_body
 *		CURLOPT_WRITEFUNCTION: keep bytes, or pause while the window is full.
 */
static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
	GraphTransfer *transfer = arg;
	size_t		bytes = size * count;

	if (graph_buffer_is_full(&transfer->buffer,
							 transfer->header.encoding[0] != '\0', bytes))
	{
		transfer->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	note_activity(transfer);
	return graph_buffer_take(&transfer->buffer, &transfer->header, data,
							 bytes) ? bytes : 0;
}

/*
 * take_header
 *		CURLOPT_HEADERFUNCTION: one line of the answer's header.
 *
 * Only its beginning and its end break a silence: nobody is to wait for
 * interim answers, or header lines, that never end.
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
		transfer->how.header_too_large = true;
		return 0;
	}
	graph_header_line(&transfer->header, line, len);
	if (transfer->header.two_lengths)
		return 0;
	if (transfer->header.ended && !ended)
	{
		transfer->header.came = graph_multi_heard();
		note_activity(transfer);
	}
	return len;
}

/*-------------------------------------------------------------------------
 * Descriptors
 *
 * A transfer has one, and PostgreSQL lets extensions have a third of all.
 * Others need some, too: a wait below an Append creates a set, and fails if it
 * cannot.
 *-------------------------------------------------------------------------
 */

/* So many of that third are left to others. */
#define SPARE_DESCRIPTORS	4

/*
 * graph_http_has_descriptor
 *		Can one more transfer be had, with enough left for others?
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
 *		libcurl is done with a transfer, so it has none any more.
 */
static void
release_descriptor(GraphTransfer *transfer)
{
	if (transfer->has_fd)
		ReleaseExternalFD();
	transfer->has_fd = false;
}

/*
 * system_has_none
 *		Has the system no descriptor to give at present?
 */
static bool
system_has_none(void)
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

/*-------------------------------------------------------------------------
 * The life of a transfer
 *-------------------------------------------------------------------------
 */

/*
 * detach
 *		Take a transfer away from libcurl.
 */
static void
detach(GraphTransfer *transfer)
{
	Assert(transfer->added);
	dlist_delete(&transfer->node);
	transfer->added = false;
	graph_multi_detach(transfer->easy.curl);
}

/*
 * release_transfer
 *		Give back what a transfer has of libcurl's and of malloc's.
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
	graph_easy_free(&transfer->easy);
	/* an answer that is no list of alerts may repeat the request's secrets */
	graph_buffer_free(&transfer->buffer, transfer->secret_answer ||
					  transfer->header.status != 200);
	release_descriptor(transfer);
	transfer->done = true;
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

	Assert(request->url && request->request_timeout > 0);
	graph_multi_start();

	transfer = MemoryContextAllocZero(owner, sizeof(GraphTransfer));
	graph_buffer_init(&transfer->buffer, request->in_sips || request->prefetch);
	transfer->how.request_timeout = request->request_timeout;
	transfer->how.failed_allocations = graph_wipe_failures();
	transfer->secret_answer = request->secret_answer;
	transfer->header.retry_after = -1;
	transfer->callback.func = release_transfer;
	transfer->callback.arg = transfer;
	MemoryContextRegisterResetCallback(owner, &transfer->callback);

	/* where none is left it starts all the same, and is not counted */
	transfer->has_fd = graph_http_has_descriptor() && AcquireExternalFD();
	graph_easy_create(&transfer->easy, owner, request, take_header, take_body,
					  transfer);
	elog(DEBUG3, "graph_fdw: request %s begins", transfer->easy.id);

	transfer->last_activity = graph_now();
	graph_multi_add(transfer->easy.curl);
	transfer->added = true;
	dlist_push_tail(&under_way, &transfer->node);
	return transfer;
}

/*
 * log_end
 *		Tell those who follow what happens how a transfer ended, or was ended.
 *
 * Of what the other side or libcurl says nothing is repeated.
 */
static void
log_end(GraphTransfer *transfer)
{
	const GraphEnd *how = &transfer->how;
	const char *id = transfer->easy.id;

	HOLD_INTERRUPTS();			/* who ends a transfer does not expect an
								 * error */
	elog(DEBUG2, "graph_fdw: request %s went over a %s connection", id,
		 graph_easy_was_kept(&transfer->easy) ? "kept" : "new");
	elog(DEBUG3, "graph_fdw: request %s ended: status %d, " UINT64_FORMAT " bytes of body, %s",
		 id, graph_http_header(transfer)->status, transfer->buffer.received,
		 how->silent || how->overdue ? "timed out" :
		 transfer->ended ? curl_easy_strerror(how->result) : "not read to its end");
	RESUME_INTERRUPTS();
}

/*
 * graph_http_end
 *		Release a transfer.  One that was still under way loses its
 *		connection; one that had ended leaves it for the next request.
 */
void
graph_http_end(GraphTransfer *transfer)
{
	if (transfer->easy.curl && message_level_is_interesting(DEBUG2))
		log_end(transfer);
	release_transfer(transfer);
}

/*
 * conclude
 *		libcurl is done with a transfer.  So are we, once all is inflated.
 */
static void
conclude(GraphTransfer *transfer, CURLcode result)
{
	const GraphBuffer *buffer = &transfer->buffer;

	transfer->ended = true;
	transfer->how.result = result;
	if (result != CURLE_OK && transfer->header_bytes == 0 && system_has_none())
		transfer->how.starved = true;
	release_descriptor(transfer);
	transfer->done = !graph_inflater_has_more(buffer->inflater) ||
		buffer->damage || buffer->out_of_memory;
}

/*
 * note_end
 *		Callback: a transfer has ended.
 */
static void
note_end(CURL *curl, CURLcode result)
{
	GraphTransfer *transfer = NULL;

	if (curl_easy_getinfo(curl, CURLINFO_PRIVATE, (char **) &transfer) == CURLE_OK)
		conclude(transfer, result);
}

/*
 * resume
 *		Let a transfer whose window has room again go on, if it is held up.
 *
 * What libcurl has held back it gives us in curl_easy_pause(), and nothing else
 * tells how that went.
 */
static void
resume(GraphTransfer *transfer)
{
	GraphBuffer *buffer = &transfer->buffer;
	sigset_t	saved;
	CURLcode	code;

	if (transfer->done || buffer->pinned ||
		graph_buffer_unread(buffer) > buffer->window / 2)
		return;
	if (!graph_buffer_inflate(buffer))
		conclude(transfer, transfer->ended ? transfer->how.result :
				 CURLE_WRITE_ERROR);
	else if (transfer->ended)
		conclude(transfer, transfer->how.result);
	if (transfer->done || transfer->ended || !transfer->paused ||
		graph_inflater_has_more(buffer->inflater))
		return;

	transfer->paused = false;	/* the callback may set it again */
	graph_block_signals(&saved);
	code = curl_easy_pause(transfer->easy.curl, CURLPAUSE_CONT);
	graph_restore_signals(&saved);
	if (code != CURLE_OK)
		conclude(transfer, code);
	else if (transfer->paused && buffer->inflater == NULL)
		graph_buffer_double(buffer);
}

/*
 * drive
 *		Let libcurl run.  Where it cannot, all transfers are lost: whoever reads
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
		transfer->how.failed_allocations = graph_wipe_failures();
		detach(transfer);
	}
	graph_multi_report();
}

/*-------------------------------------------------------------------------
 * Waiting
 *-------------------------------------------------------------------------
 */

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
	return transfer->how.request_timeout -
		(long) (silence_of(transfer, since) / 1000);
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
		had[i] = graph_buffer_unread(&transfers[i]->buffer);
		graph_buffer_widen(&transfers[i]->buffer);
	}
	return had;
}

/*
 * limit_context
 *		Error context callback: what was waited for.
 */
static void
limit_context(void *arg)
{
	errcontext("waiting for the turn of a request, below \"requests_per_minute\" or what the service takes");
}

/*
 * check_interrupts
 *		Has somebody canceled the query, or statement_timeout?  If it waits for so
 *		many transfers, and for nothing but the limit, the error says so.
 */
static void
check_interrupts(int count)
{
	ErrorContextCallback callback = {error_context_stack, limit_context, NULL};

	if (InterruptPending && count == 0 && graph_turns_waiting() > 0)
		error_context_stack = &callback;
	CHECK_FOR_INTERRUPTS();
	error_context_stack = callback.previous;
}

/*
 * look
 *		Let libcurl run, and see whether there is news of any of some transfers:
 *		more unread bytes than it had, or its end.
 *
 * One that has been silent for too long is ended; that others talk does not
 * excuse it.  *left gets the milliseconds until that befalls the next.
 */
static bool
look(GraphTransfer **transfers, const size_t *had, int count, GraphTime since,
	 long *left)
{
	bool		news = false;

	check_interrupts(count);
	for (int i = 0; i < count; i++)
		resume(transfers[i]);
	drive();
	*left = LONG_MAX;
	for (int i = 0; i < count; i++)
	{
		GraphTransfer *transfer = transfers[i];
		long		time = time_left(transfer, since);

		if (time <= 0)
			transfer->how.silent = transfer->done = true;
		else
			*left = Min(*left, time);
		if (transfer->done || graph_buffer_unread(&transfer->buffer) > had[i])
			news = true;
	}
	return news;
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
	bool		news = look(transfers, had, count, since, left);

	finish_wait(transfers, count, since);
	pfree(had);
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
	long		left;

	while (!look(transfers, had, count, since, &left))
	{
		if (until != 0)
			left = Min(left, graph_milliseconds_until(until));
		if (left <= 0)
			break;
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
		graph_after(transfer->how.request_timeout);

	while (!transfer->done)
	{
		graph_http_wait_any(&transfer, 1, until);
		if (graph_buffer_unread(&transfer->buffer) > limit)
			return false;
		if (until != 0 && !transfer->done && graph_now() >= until)
			transfer->how.overdue = transfer->done = true;
	}
	return graph_buffer_unread(&transfer->buffer) <= limit;
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

/*-------------------------------------------------------------------------
 * What was received
 *-------------------------------------------------------------------------
 */

/*
 * graph_http_unread
 *		The bytes that were received and not yet consumed; good until the next
 *		wait for any transfer, or, once they are pinned, until the next call for
 *		this one.
 */
GraphSlice
graph_http_unread(GraphTransfer *transfer)
{
	const GraphBuffer *buffer = &transfer->buffer;

	if (buffer->data == NULL)
		return (GraphSlice) {"", 0};
	return (GraphSlice) {buffer->data + buffer->start, graph_buffer_unread(buffer)};
}

/*
 * graph_http_consume
 *		The first so many unread bytes have been read.
 */
void
graph_http_consume(GraphTransfer *transfer, size_t bytes)
{
	graph_buffer_consume(&transfer->buffer, bytes);
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
	graph_buffer_pin(&transfer->buffer);
}

/*
 * graph_http_received
 *		Bytes of the body so far, as decompressed.
 */
uint64
graph_http_received(GraphTransfer *transfer)
{
	return transfer->buffer.received;
}

/*
 * graph_http_header
 *		The answer's header.  It is complete once there are unread bytes or
 *		graph_http_wait_any() has returned; status is 0 if there was no answer.
 */
const GraphHttpHeader *
graph_http_header(GraphTransfer *transfer)
{
	CURL	   *curl = transfer->easy.curl;
	curl_off_t	retry_after = 0;

	if (curl == NULL)
		return &transfer->header;
	if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after) != CURLE_OK)
		retry_after = 0;
	graph_header_complete(&transfer->header,
						  graph_easy_number(&transfer->easy,
											CURLINFO_RESPONSE_CODE, 0),
						  retry_after);
	return &transfer->header;
}

/*
 * graph_http_id
 *		The client-request-id of a request.
 */
const char *
graph_http_id(const GraphTransfer *transfer)
{
	return transfer->easy.id;
}

/*
 * graph_http_was_kept
 *		Did a request go over a connection that was there before?
 */
bool
graph_http_was_kept(const GraphTransfer *transfer)
{
	return graph_easy_was_kept(&transfer->easy);
}

/*
 * graph_http_was_sent
 *		May the other side have got something of the request?
 */
bool
graph_http_was_sent(const GraphTransfer *transfer)
{
	return graph_easy_was_sent(&transfer->easy);
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
	return transfer->done && transfer->how.result == CURLE_OK &&
		!(transfer->header.ended && transfer->header.bounded);
}

/*
 * graph_http_result
 *		How a transfer that is done did end; *text is what there is to say of
 *		it, "" if nothing.
 */
GraphTransport
graph_http_result(GraphTransfer *transfer, const char **text)
{
	return graph_outcome(&transfer->how, &transfer->easy, &transfer->buffer,
						 &transfer->header, text);
}
