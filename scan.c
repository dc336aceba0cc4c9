/*-------------------------------------------------------------------------
 *
 * scan.c
 *		What is the next record?  Requests, pages, retries, the end.
 *
 * A scan asks for one path: either one alert by its key, or the list, which
 * it follows from nextLink to nextLink.  Records are handed out while the
 * bytes of a page are still arriving; what is kept is the record at hand and
 * the transfer's window, never a page.
 *
 * A short answer is never the end in silence.  A list is complete when its
 * last page was well-formed, arrived whole, and had no nextLink; anything
 * else that looks like an end is reported (graph_report_partial()).  A page
 * that breaks after some of its records were handed out is fetched again, and
 * goes on after them if they are still the same.
 *
 * What this file refuses to know: the planner's nodes, the syntax of JSON,
 * columns and types.
 *
 * IDENTIFICATION
 *		scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "graph_fdw.h"

struct GraphScan
{
	GraphSession *session;
	GraphShape *shape;
	int			id_slot;
	GraphSlice *slots;

	MemoryContext context;		/* of the scan */
	MemoryContext request_context;	/* of one request; owns the transfer */

	/* what is asked */
	bool		by_key;
	char	   *label;			/* "GET /security/alerts_v2?...", for messages */
	char	   *url;			/* of this request, NULL: there is none */
	uint64		page;			/* of the list, from 1 */

	/* this request */
	GraphTransfer *transfer;
	bool		header_seen;
	GraphListReader *reader;
	size_t		used;			/* bytes of the window to drop first */
	int			attempt;		/* how often this page was asked before */
	bool		token_renewed;

	/* the records of this page that were handed out */
	uint64		page_records;
	uint64		page_hash;		/* over their ids, in order */
	uint64		skip_records;	/* of them, to skip after a new attempt */
	uint64		skip_hash;		/* what their hash has to be */

	/* a link that was followed: see guard_against_loop() */
	char	   *checkpoint;
	uint64		checkpoint_until;

	GraphScanCounters counters;
};

static void start_request(GraphScan *scan);
static bool await_header(GraphScan *scan);
static bool read_document(GraphScan *scan, GraphRecord *record);
static bool read_list(GraphScan *scan, GraphRecord *record);
static void end_request(GraphScan *scan);
static void retry_or_report(GraphScan *scan, GraphTransport transport,
							const char *text);

/*
 * graph_scan_create
 *		A scan that asks nothing yet, in the current memory context.
 *
 * Its transfers are released when that context is reset or deleted.
 */
GraphScan *
graph_scan_create(GraphSession *session, GraphShape *shape)
{
	GraphScan  *scan = palloc0(sizeof(GraphScan));

	scan->session = session;
	scan->shape = shape;
	scan->id_slot = graph_shape_add(shape, "id");
	scan->slots = palloc0(graph_shape_size(shape) * sizeof(GraphSlice));
	scan->context = CurrentMemoryContext;
	scan->request_context = AllocSetContextCreate(CurrentMemoryContext,
												  "graph_fdw request",
												  ALLOCSET_SMALL_SIZES);
	return scan;
}

/*
 * graph_scan_start
 *		Ask for a path below the service root, from the beginning; nothing is
 *		sent before the first record is wanted.
 *
 * A NULL path is an empty scan.  by_key: the answer is one alert, and 404
 * means that there is none.
 */
void
graph_scan_start(GraphScan *scan, const char *path, bool by_key)
{
	const GraphOptions *options = &scan->session->options;
	MemoryContext old = MemoryContextSwitchTo(scan->context);

	graph_scan_stop(scan);
	if (scan->label)
		pfree(scan->label);
	scan->label = NULL;
	if (path)
	{
		scan->label = psprintf("GET %s", path);
		scan->url = psprintf("%s/%s%s", options->endpoint,
							 options->api_version, path);
	}
	scan->by_key = by_key;
	scan->page = 1;
	scan->checkpoint_until = 0;
	MemoryContextSwitchTo(old);
}

/*
 * graph_scan_stop
 *		End the request under way; nothing more is asked.
 */
void
graph_scan_stop(GraphScan *scan)
{
	end_request(scan);
	if (scan->url)
		pfree(scan->url);
	if (scan->checkpoint)
		pfree(scan->checkpoint);
	scan->url = NULL;
	scan->checkpoint = NULL;
	scan->attempt = 0;
	scan->token_renewed = false;
	scan->page_records = scan->skip_records = 0;
	scan->page_hash = scan->skip_hash = 0;
}

/*
 * graph_scan_next
 *		The next record; false at the end, and again after it.
 */
bool
graph_scan_next(GraphScan *scan, GraphRecord *record)
{
	while (scan->url)
	{
		if (scan->transfer == NULL)
			start_request(scan);
		if (!scan->header_seen && !await_header(scan))
			continue;
		if (scan->by_key ? read_document(scan, record) : read_list(scan, record))
		{
			scan->counters.records++;
			return true;
		}
	}
	return false;
}

/*
 * graph_scan_counters
 *		What the scan has done so far, for EXPLAIN ANALYZE.
 */
const GraphScanCounters *
graph_scan_counters(GraphScan *scan)
{
	return &scan->counters;
}

/*
 * request_headers
 *		What goes with every request, nextLinks included: they carry none.
 *
 * Without the Prefer header the service hides newer enum members behind
 * "unknownFutureValue" (Graph best practices, "evolvable enumerations").
 */
static List *
request_headers(void)
{
	Datum		uuid = DirectFunctionCall1(gen_random_uuid, (Datum) 0);
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out, uuid));

	return list_make3("Accept: application/json",
					  "Prefer: include-unknown-enum-members",
					  psprintf("client-request-id: %s", id));
}

/*
 * start_request
 *		Send the request for scan->url.
 */
static void
start_request(GraphScan *scan)
{
	const GraphOptions *options = &scan->session->options;
	GraphHttpRequest request = {0};
	MemoryContext old;

	graph_token_get(scan->session);

	old = MemoryContextSwitchTo(scan->request_context);
	request.url = scan->url;
	request.bearer = scan->session->bearer;
	request.headers = request_headers();
	request.ca_file = options->ca_file;
	request.proxy = options->proxy;
	request.connect_timeout = options->connect_timeout;
	request.request_timeout = options->request_timeout;
	request.fresh_connection = scan->attempt > 0;
	scan->transfer = graph_http_start(scan->request_context, &request);
	if (!scan->by_key)
		scan->reader = graph_list_reader_create(scan->shape);
	MemoryContextSwitchTo(old);

	scan->counters.requests++;
	scan->header_seen = false;
	scan->used = 0;
	scan->page_records = 0;
	scan->page_hash = 0;
}

/*
 * end_request
 *		Release the transfer and all that belongs to this request.
 */
static void
end_request(GraphScan *scan)
{
	if (scan->transfer == NULL)
		return;
	scan->counters.bytes += graph_http_received(scan->transfer);
	graph_http_end(scan->transfer);
	scan->transfer = NULL;
	scan->reader = NULL;
	MemoryContextReset(scan->request_context);
}

/*
 * finish
 *		This request has given all; url is the next page's, or NULL at the end.
 */
static void
finish(GraphScan *scan, const char *url)
{
	char	   *next = url ? MemoryContextStrdup(scan->context, url) : NULL;

	end_request(scan);
	scan->counters.pages++;
	if (scan->url)
		pfree(scan->url);
	scan->url = next;
	scan->page++;
	scan->attempt = 0;
	scan->token_renewed = false;
	scan->skip_records = 0;
}

/*
 * request_name
 *		The request as messages name it.
 */
static const char *
request_name(GraphScan *scan)
{
	if (scan->page <= 1)
		return scan->label;
	return psprintf("%s, page " UINT64_FORMAT, scan->label, scan->page);
}

/*
 * error_body
 *		All that a refused request's answer says, as far as it is small.
 */
static GraphSlice
error_body(GraphScan *scan)
{
	(void) graph_http_wait_all(scan->transfer, GRAPH_MAX_DOCUMENT);
	return graph_http_unread(scan->transfer);
}

/*
 * prepare_retry
 *		Wait, and set the scan up to send the same request again.
 *
 * Returns NULL if that was done; otherwise the reason why not, "" for none
 * that needs to be given.  All requests of a scan are GETs, which may be
 * repeated (RFC 9110 section 9.2.2).
 */
static const char *
prepare_retry(GraphScan *scan, int retry_after)
{
	const char *why = "";
	int			delay;

	if (scan->attempt >= scan->session->options.max_retries)
		return scan->attempt == 0 ? "" :
			psprintf("It was tried %d times.", scan->attempt + 1);
	delay = graph_retry_delay(scan->attempt, retry_after, &why);
	if (delay < 0)
		return why;

	/* what was handed out must come again before anything new */
	if (scan->page_records > scan->skip_records)
	{
		scan->skip_records = scan->page_records;
		scan->skip_hash = scan->page_hash;
	}
	end_request(scan);
	graph_http_sleep(delay);
	scan->attempt++;
	scan->counters.retries++;
	return NULL;
}

/*
 * retry_or_report
 *		The transfer ended without its whole answer: again, or an error.
 */
static void
retry_or_report(GraphScan *scan, GraphTransport transport, const char *text)
{
	const char *why = "";

	if (graph_transport_is_retriable(transport))
	{
		text = MemoryContextStrdup(scan->context, text);
		why = prepare_retry(scan, -1);
		if (why == NULL)
			return;
	}
	graph_report_transport(scan->session, request_name(scan),
						   scan->session->options.endpoint, transport, text,
						   why[0] ? why : NULL);
}

/*
 * check_status
 *		Decide by the status of the answer whether its body is read.
 *
 * True: it is.  False: the scan was set up for another attempt, or there is
 * nothing.  Everything else is an error.
 */
static bool
check_status(GraphScan *scan)
{
	const GraphHttpHeader *header = graph_http_header(scan->transfer);
	const char *why = "";
	GraphSlice	body;

	if (header->status == 206 || header->warning[0])
		graph_report_partial(scan->session, request_name(scan),
							 psprintf("Status %d.%s%s", header->status,
									  header->warning[0] ? "  Warning: " : "",
									  graph_harmless_text(scan->session, header->warning)));
	if (header->status == 200 || header->status == 206)
		return true;

	if (header->status == 401 && !scan->token_renewed)
	{
		scan->token_renewed = true;
		if (graph_token_renew(scan->session))
		{
			end_request(scan);
			return false;
		}
	}

	body = error_body(scan);
	if (header->status == 404 && scan->by_key &&
		strncmp(header->content_type, "text/html", 9) != 0)
	{
		finish(scan, NULL);		/* no such alert: zero rows */
		return false;
	}
	if (graph_status_is_retriable(header->status))
	{
		why = prepare_retry(scan, header->retry_after);
		if (why == NULL)
			return false;
	}
	graph_report_status(scan->session, request_name(scan), header,
						body.data, body.len, why[0] ? why : NULL);
}

/*
 * await_header
 *		Wait for the header of the answer, and act on it.
 *
 * True if the body is to be read; false if the scan has moved on.
 */
static bool
await_header(GraphScan *scan)
{
	bool		more = graph_http_wait(scan->transfer);

	if (!more)
	{
		const char *text;
		GraphTransport transport = graph_http_result(scan->transfer, &text);

		if (transport != GRAPH_TRANSPORT_OK)
		{
			retry_or_report(scan, transport, text);
			return false;
		}
	}
	scan->header_seen = check_status(scan);
	return scan->header_seen;
}

/*
 * report_too_large
 *		Raise the error for a record over max_record_size.
 */
static void
report_too_large(GraphScan *scan)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("an alert of server \"%s\" is larger than %d bytes",
					scan->session->server_name,
					scan->session->options.max_record_size),
			 errhint("The server's option \"max_record_size\" sets this limit."),
			 errcontext("Microsoft Graph request: %s", request_name(scan))));
}

/*
 * report_malformed
 *		Raise the error for an answer that is not the JSON that it should be.
 */
static void
report_malformed(GraphScan *scan, const GraphJsonError *error)
{
	const GraphHttpHeader *header = graph_http_header(scan->transfer);
	const char *type = header->content_type;

	if (type[0] && strstr(type, "json") == NULL)
		graph_report_document(scan->session, request_name(scan),
							  psprintf("The answer is of type \"%s\" and not JSON.",
									   graph_harmless_text(scan->session, type)));
	graph_report_document(scan->session, request_name(scan),
						  psprintf("The JSON text is malformed: %s.",
								   error->problem));
}

/*
 * check_id
 *		A record without an id is no alert; true if this is one.
 */
static bool
check_id(GraphScan *scan)
{
	if (graph_slice_is_string(scan->slots[scan->id_slot]))
		return true;
	graph_report_partial(scan->session, request_name(scan),
						 "An alert has no \"id\".");
	return false;
}

/*
 * give
 *		Fill in the record that is handed out.
 */
static void
give(GraphScan *scan, GraphRecord *record, GraphSlice whole)
{
	record->whole = whole;
	record->slots = scan->slots;
	record->id = scan->slots[scan->id_slot];
}

/*
 * read_document
 *		The record of an answer that is one alert; false if there is none.
 *
 * The next call drops it and finds the end.
 */
static bool
read_document(GraphScan *scan, GraphRecord *record)
{
	size_t		limit = scan->session->options.max_record_size;
	bool		fits;
	GraphSlice	body;
	const char *text;
	GraphTransport transport;
	GraphJsonError error;
	size_t		end;

	if (scan->used > 0)
	{
		finish(scan, NULL);
		return false;
	}

	fits = graph_http_wait_all(scan->transfer, limit);
	if (!fits)
		report_too_large(scan);
	transport = graph_http_result(scan->transfer, &text);
	if (transport != GRAPH_TRANSPORT_OK)
	{
		retry_or_report(scan, transport, text);
		return false;
	}

	body = graph_http_unread(scan->transfer);
	switch (graph_json_locate(body.data, body.len, scan->shape, scan->slots,
							  &end, &error))
	{
		case GRAPH_JSON_OK:
			break;
		case GRAPH_JSON_INCOMPLETE:
			graph_report_partial(scan->session, request_name(scan),
								 body.len == 0 ? "The answer is empty." :
								 "The answer ends in the middle of the alert.");
			finish(scan, NULL);
			return false;
		case GRAPH_JSON_MALFORMED:
			report_malformed(scan, &error);
	}
	if (!graph_json_is_blank(body.data + end, body.len - end))
	{
		error.problem = "text after the end of the document";
		report_malformed(scan, &error);
	}
	if (!check_id(scan))
	{
		finish(scan, NULL);
		return false;
	}

	scan->used = body.len;
	give(scan, record, body);
	return true;
}

/*
 * guard_against_loop
 *		Has this link been followed before?
 *
 * A cycle of any length is found with one link remembered: it is renewed
 * after 1, 2, 4, ... pages (Brent's algorithm), so a cycle is run through a
 * few times at most before it is noticed.
 */
static bool
guard_against_loop(GraphScan *scan, const char *link)
{
	if (strcmp(link, scan->url) == 0 ||
		(scan->checkpoint && strcmp(link, scan->checkpoint) == 0))
		return false;
	if (scan->page > scan->checkpoint_until)
	{
		if (scan->checkpoint)
			pfree(scan->checkpoint);
		scan->checkpoint = MemoryContextStrdup(scan->context, link);
		scan->checkpoint_until = scan->page * 2;
	}
	return true;
}

/*
 * next_page
 *		The URL of the next page, or NULL if this was the last.
 *
 * The link is followed as it is (it is opaque), but only to the origin that
 * the token belongs to.
 */
static char *
next_page(GraphScan *scan)
{
	GraphSlice	slice = graph_list_next_link(scan->reader);
	const char *request = request_name(scan);
	char	   *link;
	char	   *origin;

	if (slice.data == NULL || graph_slice_is_null(slice))
		return NULL;
	link = graph_decode_string(slice);
	origin = link ? graph_url_origin(link) : NULL;
	if (origin == NULL)
		graph_report_document(scan->session, request,
							  "Its nextLink is not an absolute URL.");
	if (strcmp(origin, graph_url_origin(scan->session->options.endpoint)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("refused to follow a nextLink to another origin"),
				 errdetail("The link leads to \"%s\" and the token belongs to \"%s\".",
						   graph_harmless_text(scan->session, origin),
						   scan->session->options.endpoint),
				 errcontext("Microsoft Graph request: %s", request)));
	if (!guard_against_loop(scan, link))
	{
		graph_report_partial(scan->session, request,
							 "Its nextLink leads to a page that was read before.");
		return NULL;
	}
	return link;
}

/*
 * end_of_page
 *		The document of this page is complete: check it and move on.
 */
static void
end_of_page(GraphScan *scan)
{
	if (graph_list_has_error(scan->reader))
		graph_report_partial(scan->session, request_name(scan),
							 "The answer has status 200 but holds an \"error\".");
	else if (!graph_list_has_value(scan->reader))
		graph_report_partial(scan->session, request_name(scan),
							 "The answer has no array \"value\".");
	if (scan->skip_records > scan->page_records)
		graph_report_partial(scan->session, request_name(scan),
							 "The connection was lost and the page is shorter now.");
	finish(scan, next_page(scan));
}

/*
 * end_of_bytes
 *		The transfer has ended; complete tells whether the document has too.
 */
static void
end_of_bytes(GraphScan *scan, bool complete, bool empty)
{
	const char *text;
	GraphTransport transport = graph_http_result(scan->transfer, &text);

	if (transport != GRAPH_TRANSPORT_OK)
		retry_or_report(scan, transport, text);
	else if (complete)
		end_of_page(scan);
	else
	{
		graph_report_partial(scan->session, request_name(scan),
							 empty ? "The answer is empty." :
							 "The answer ends in the middle of the document.");
		finish(scan, NULL);
	}
}

/*
 * was_given_before
 *		Is this record one that an earlier attempt at the page handed out?
 *
 * Their ids must be the same, in the same order.
 */
static bool
was_given_before(GraphScan *scan)
{
	GraphSlice	id = scan->slots[scan->id_slot];

	scan->page_hash = hash_bytes_extended((const unsigned char *) id.data,
										  id.len, scan->page_hash + 1);
	scan->page_records++;
	if (scan->page_records > scan->skip_records)
		return false;
	if (scan->page_records == scan->skip_records &&
		scan->page_hash != scan->skip_hash)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a page of server \"%s\" changed while it was read",
						scan->session->server_name),
				 errdetail("The connection was lost, and the page holds other alerts now."),
				 errhint("Run the query again."),
				 errcontext("Microsoft Graph request: %s", request_name(scan))));
	return true;
}

/*
 * read_list
 *		The next record of the page; false when the scan has moved on.
 */
static bool
read_list(GraphScan *scan, GraphRecord *record)
{
	size_t		limit = scan->session->options.max_record_size;
	GraphSlice	whole;
	GraphJsonError error;
	bool		complete = false;

	for (;;)
	{
		GraphSlice	unread;
		GraphListEvent event;

		graph_http_consume(scan->transfer, scan->used);
		scan->used = 0;
		unread = graph_http_unread(scan->transfer);
		event = graph_list_read(scan->reader, unread.data, unread.len,
								&scan->used, &whole, scan->slots, &error);
		switch (event)
		{
			case GRAPH_LIST_RECORD:
				if (whole.len > limit)
					report_too_large(scan);
				if (!check_id(scan) || was_given_before(scan))
					continue;
				give(scan, record, whole);
				return true;
			case GRAPH_LIST_MALFORMED:
				report_malformed(scan, &error);
				break;
			case GRAPH_LIST_MORE:
			case GRAPH_LIST_END:
				complete = event == GRAPH_LIST_END;
				break;
		}

		/* nothing to be had from these bytes: drop what is done, get more */
		graph_http_consume(scan->transfer, scan->used);
		scan->used = 0;
		if (graph_http_unread(scan->transfer).len > limit)
			report_too_large(scan);
		if (!graph_http_wait(scan->transfer))
		{
			end_of_bytes(scan, complete,
						 graph_http_received(scan->transfer) == 0);
			return false;
		}
	}
}
