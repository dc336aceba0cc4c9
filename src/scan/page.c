/*-------------------------------------------------------------------------
 *
 * page.c
 *		What is the next record in the bytes of an answer?
 *
 * Records are found while the bytes are still arriving: what is kept is the
 * record at hand and the transfer's window, never a page.  An answer is
 * complete when its document is well-formed and has arrived whole; what ends
 * otherwise is told apart from that, and never looks like an end.
 *
 * The link to the next page is part of the answer, and is refused here if it
 * leads to another origin.
 *
 * What this file refuses to know: what was asked, which records are wanted, and
 * whether a link is followed.
 *
 * IDENTIFICATION
 *		src/scan/page.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "scan/scan_int.h"

struct GraphPage
{
	GraphShared *shared;
	MemoryContext context;		/* of the reader, or NULL */
	GraphFetch *fetch;			/* whose answer it is */
	GraphListReader *reader;	/* NULL: the answer is one record */
	size_t		used;			/* bytes of the window to drop first */
	uint64		idle_bytes;		/* received since the last record */
};

/*
 * graph_page_create
 *		A page to be started, in the scan's memory context.
 */
GraphPage *
graph_page_create(GraphShared *shared)
{
	GraphPage  *page = MemoryContextAllocZero(shared->context,
											  sizeof(GraphPage));

	page->shared = shared;
	return page;
}

/*
 * graph_page_start
 *		Read the answer of a fetch that is under way: a list, or one record.
 */
void
graph_page_start(GraphPage *page, GraphFetch *fetch, bool is_list)
{
	MemoryContext old;

	if (page->context)
		MemoryContextReset(page->context);
	page->fetch = fetch;
	page->reader = NULL;
	page->used = page->idle_bytes = 0;
	if (!is_list)
		return;
	if (page->context == NULL)
		page->context = AllocSetContextCreate(page->shared->context,
											  "graph_fdw page",
											  ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(page->context);
	page->reader = graph_list_reader_create(page->shared->projection);
	MemoryContextSwitchTo(old);
}

/*
 * report_too_large
 *		Raise the error for a record over max_record_size.
 */
static void
report_too_large(const GraphPage *page)
{
	const GraphSession *session = page->shared->session;

	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("an %s of server \"%s\" is larger than %d bytes",
					page->shared->resource->record,
					session->peer.server_name,
					session->options.limits.max_record_size),
			 errhint("The server's option \"max_record_size\" sets this limit."),
			 errcontext("Microsoft Graph request: %s",
						graph_fetch_name(page->fetch))));
}

/*
 * check_size
 *		Raise an error if a record of so many bytes, or what may become one, is
 *		too large.
 */
static void
check_size(const GraphPage *page, uint64 bytes)
{
	if (bytes > (uint64) page->shared->session->options.limits.max_record_size)
		report_too_large(page);
}

/*
 * report_malformed
 *		Raise the error for an answer that is not the JSON that it should be.
 */
static void
report_malformed(const GraphPage *page, const char *problem)
{
	const GraphPeer *peer = &page->shared->session->peer;
	const char *request = graph_fetch_name(page->fetch);
	const char *type =
		graph_http_header(page->fetch->transfer)->content_type;

	if (type[0] && strstr(type, "json") == NULL)
		graph_report_document(peer, request,
							  psprintf("The answer is of type \"%s\" and not JSON.",
									   graph_sanitize_remote_text(peer, type)));
	graph_report_document(peer, request,
						  psprintf("The JSON text is malformed: %s.", problem));
}

/*
 * end_of_transfer
 *		What it means that all bytes have been read; complete tells whether the
 *		document has ended.
 */
static GraphPageEvent
end_of_transfer(const GraphPage *page, bool complete)
{
	const char *text;

	if (graph_http_result(page->fetch->transfer, &text) !=
		GRAPH_TRANSPORT_OK)
		return GRAPH_PAGE_BROKEN;
	return complete ? GRAPH_PAGE_END : GRAPH_PAGE_CUT;
}

/*
 * next_of_document
 *		The record of an answer that is one record.
 */
static GraphPageEvent
next_of_document(GraphPage *page, GraphSlice *whole)
{
	GraphShared *shared = page->shared;
	GraphTransfer *transfer = page->fetch->transfer;
	GraphSlice	body = graph_http_unread(transfer);
	GraphPageEvent event;
	GraphJsonError error;
	size_t		end;

	if (page->used > 0)
		return GRAPH_PAGE_END;
	check_size(page, body.len);
	if (!graph_http_done(transfer))
		return GRAPH_PAGE_WAITS;
	event = end_of_transfer(page, true);
	if (event != GRAPH_PAGE_END)
		return event;

	/* the window's bytes are ours, so the envelope may be taken off in place */
	body = graph_json_drop_context((char *) body.data, body.len);
	switch (graph_json_locate(body.data, body.len, shared->projection,
							  shared->slots, &end, &error))
	{
		case GRAPH_JSON_OK:
			break;
		case GRAPH_JSON_INCOMPLETE:
			return GRAPH_PAGE_CUT;
		case GRAPH_JSON_MALFORMED:
			report_malformed(page, error.problem);
	}
	if (end + graph_json_skip_blanks(body.data + end, body.len - end) < body.len)
		report_malformed(page, "text after the end of the document");
	page->used = body.len;
	*whole = body;
	return GRAPH_PAGE_RECORD;
}

/*
 * get_more
 *		Nothing is to be had from the unread bytes of a list: drop what is done,
 *		and see whether there will be more.
 */
static GraphPageEvent
get_more(GraphPage *page, bool complete)
{
	GraphTransfer *transfer = page->fetch->transfer;

	page->idle_bytes += page->used;
	graph_http_consume(transfer, page->used);
	page->used = 0;
	check_size(page, page->idle_bytes + graph_http_unread(transfer).len);
	return graph_http_done(transfer) ? end_of_transfer(page, complete) :
		GRAPH_PAGE_WAITS;
}

/*
 * graph_page_next
 *		Find the next record without waiting: its bytes, and in the shared slots
 *		its members.
 *
 * They are good until the next call.  After GRAPH_PAGE_CUT the transfer is
 * still there.
 */
GraphPageEvent
graph_page_next(GraphPage *page, GraphSlice *whole)
{
	GraphTransfer *transfer = page->fetch->transfer;

	if (page->reader == NULL)
		return next_of_document(page, whole);
	for (;;)
	{
		GraphSlice	unread;
		GraphJsonError error;

		graph_http_consume(transfer, page->used);
		page->used = 0;
		unread = graph_http_unread(transfer);
		switch (graph_list_read(page->reader, unread.data, unread.len,
								&page->used, whole, page->shared->slots,
								&error))
		{
			case GRAPH_LIST_MALFORMED:
				report_malformed(page, error.problem);
				break;
			case GRAPH_LIST_RECORD:
				check_size(page, whole->len);
				page->idle_bytes = 0;
				return GRAPH_PAGE_RECORD;
			case GRAPH_LIST_MORE:
				return get_more(page, false);
			case GRAPH_LIST_END:
				if (page->used == unread.len)
					return get_more(page, true);
				break;			/* there may be blanks, and nothing else */
		}
	}
}

/*
 * graph_page_check_end
 *		Report what makes a complete list no answer to what was asked.
 */
void
graph_page_check_end(const GraphPage *page)
{
	const char *problem = NULL;

	if (page->reader == NULL)
		return;
	if (graph_list_has_error(page->reader))
		problem = "The answer has status 200 but holds an \"error\".";
	else if (!graph_list_has_value(page->reader))
		problem = "The answer has no array \"value\".";
	if (problem)
		graph_report_partial(&page->shared->session->peer,
							 graph_fetch_name(page->fetch), problem);
}

/*
 * graph_page_report_cut
 *		Report that an answer has ended too early.
 */
void
graph_page_report_cut(const GraphPage *page)
{
	bool		empty =
		graph_http_received(page->fetch->transfer) == 0;

	graph_report_partial(&page->shared->session->peer,
						 graph_fetch_name(page->fetch),
						 empty ? "The answer is empty." : page->reader ?
						 "The answer ends in the middle of the document." :
						 psprintf("The answer ends in the middle of the %s.",
								  page->shared->resource->record));
}

/*
 * graph_page_count
 *		What the service counted, as far as the answer was read; -1 if it did
 *		not.
 */
int64
graph_page_count(const GraphPage *page)
{
	GraphSlice	count = graph_list_count(page->reader);

	if (count.data == NULL || count.len == 0 || count.len >= 19 ||
		strspn(count.data, "0123456789") < count.len)
		return -1;
	return strtoi64(pnstrdup(count.data, count.len), NULL, 10);
}

/*
 * graph_page_next_link
 *		The link to the next page, a JSON string, as far as the answer was read;
 *		without data if there is none.
 */
GraphSlice
graph_page_next_link(const GraphPage *page)
{
	GraphSlice	link = graph_list_next_link(page->reader);

	if (link.data && graph_slice_is_null(link))
		link.data = NULL;
	return link;
}

/*
 * graph_page_next_url
 *		The URL of the next page, or NULL if there is none.
 *
 * The link is taken as it is (it is opaque), or from where the request went if
 * it is relative, but only to the origin that the token belongs to.
 */
char *
graph_page_next_url(const GraphPage *page)
{
	const GraphSession *session = page->shared->session;
	const char *endpoint = session->options.service.endpoint;
	GraphSlice	slice = graph_page_next_link(page);
	char	   *link;
	char	   *origin;

	if (slice.data == NULL)
		return NULL;
	link = graph_decode_string(slice);
	link = link ? graph_url_resolve(page->fetch->url, link) : NULL;
	origin = link ? graph_url_origin(link) : NULL;
	if (origin == NULL)
		graph_report_document(&session->peer, graph_fetch_name(page->fetch),
							  "Its nextLink is not an absolute URL.");
	if (strcmp(origin, graph_url_origin(endpoint)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("refused to follow a nextLink to another origin"),
				 errdetail("The link leads to \"%s\" and the token belongs to \"%s\".",
						   graph_sanitize_remote_text(&session->peer, origin),
						   endpoint),
				 errcontext("Microsoft Graph request: %s",
							graph_fetch_name(page->fetch))));
	return link;
}
