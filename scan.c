/*-------------------------------------------------------------------------
 *
 * scan.c
 *		What is the next record?  Requests, pages, retries, the end.
 *
 * A scan runs in lanes.  A lane is a chain of requests of which one is under
 * way: the pages of the list, from nextLink to nextLink, or one alert after
 * the other by its key.  A list has one lane, keys have as many as the option
 * concurrency allows; records are handed out from whichever lane has one.
 * They come while the bytes of a page are still arriving: what is kept is the
 * record at hand and each transfer's window, never a page.
 *
 * A short answer is never the end in silence.  A list is complete when its
 * last page was well-formed, arrived whole, and had no nextLink; anything
 * else that looks like an end is reported (graph_report_partial()).  A page
 * that breaks after some of its records were handed out is fetched again, and
 * goes on after them if they are still the same.  A record that comes twice
 * because the list moved under us is given once.
 *
 * All requests of a scan are GETs, which may be repeated (RFC 9110 section
 * 9.2.2).
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

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "graph_fdw.h"

/* One chain of requests. */
typedef struct GraphLane
{
	MemoryContext context;		/* of one request; owns the transfer */
	char	   *label;			/* "GET /security/alerts_v2?...", for messages */
	char	   *url;			/* of this request, NULL: the lane is free */
	bool		with_select;	/* the URL has a $select that may be refused */
	uint64		page;			/* of the list, from 1 */

	/* this request */
	GraphTransfer *transfer;
	bool		header_seen;
	GraphListReader *reader;
	size_t		used;			/* bytes of the window to drop first */
	int			attempt;		/* how often this page was asked before */
	bool		token_renewed;
	TimestampTz not_before;		/* when it may be sent, 0: at once */

	/* the records of this page, given or not */
	uint64		page_records;
	uint64		page_hash;		/* over their ids, in order */
	uint64		skip_records;	/* of them, to skip after a new attempt */
	uint64		skip_hash;		/* what their hash has to be */

	/* a link that was followed: see guard_against_loop() */
	char	   *checkpoint;
	uint64		checkpoint_until;
} GraphLane;

/* What became of a step of a lane. */
typedef enum LaneStep
{
	LANE_WAITS,					/* for bytes, or for its time */
	LANE_MOVED,					/* look again */
	LANE_RECORD,				/* there is a record */
} LaneStep;

/* An id, as two independent hashes of it: 2^64 alerts to one wrong match. */
typedef struct SeenId
{
	uint64		hash[2];
} SeenId;

struct GraphScan
{
	GraphSession *session;
	GraphShape *shape;
	int			id_slot;
	GraphSlice *slots;
	MemoryContext context;		/* of the scan */
	GraphScanCounters counters;
	GraphStats *stats;			/* of the server, for the whole session */

	const GraphRequest *request;	/* NULL: there is none */
	GraphLane  *lanes;
	int			nlanes;
	int			current;		/* the lane of the last record */
	int			next_key;
	bool		small_page;		/* the list's first page is smaller */
	int64		count;			/* what the service counted, or -1 */

	/* ids of the page at hand and of the one before: see was_seen() */
	HTAB	   *seen;
	HTAB	   *seen_before;

	/* the order that is asked for: see check_order() */
	int			order_slot;		/* -1: none */
	GraphDecoder *order_decoder;
	bool		order_started;
	bool		order_restarted;	/* the list was begun again */
	bool		last_isnull;
	TimestampTz last;
};

/*
 * Mappings whose service has refused $select in this session; oids, in
 * TopMemoryContext.
 */
static List *select_refused = NIL;

static LaneStep step_lane(GraphScan *scan, GraphLane *lane, GraphRecord *record);
static void end_request(GraphScan *scan, GraphLane *lane);
static void forget_ids(GraphScan *scan);

/*-------------------------------------------------------------------------
 * A scan's life
 *-------------------------------------------------------------------------
 */

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
	scan->context = CurrentMemoryContext;
	scan->id_slot = graph_shape_add(shape, "id");
	scan->order_slot = -1;
	scan->stats = graph_stats(session->serverid);
	scan->nlanes = session->options.concurrency;
	scan->lanes = palloc0(scan->nlanes * sizeof(GraphLane));
	return scan;
}

/*
 * start_lane
 *		Set a free lane up for a path below the service root.
 */
static void
start_lane(GraphScan *scan, GraphLane *lane, const char *path)
{
	const GraphOptions *options = &scan->session->options;
	MemoryContext old = MemoryContextSwitchTo(scan->context);

	if (lane->context == NULL)
		lane->context = AllocSetContextCreate(scan->context,
											  "graph_fdw request",
											  ALLOCSET_SMALL_SIZES);
	if (lane->label)
		pfree(lane->label);
	if (lane->url)
		pfree(lane->url);
	lane->label = psprintf("GET %s", path);
	lane->url = psprintf("%s/%s%s", options->endpoint, options->api_version,
						 path);
	lane->page = 1;
	lane->attempt = 0;
	lane->token_renewed = false;
	lane->page_records = lane->skip_records = 0;
	lane->page_hash = lane->skip_hash = 0;
	lane->checkpoint = NULL;
	lane->checkpoint_until = 0;
	MemoryContextSwitchTo(old);
}

/*
 * start_list
 *		Set the lane of a list up for its first page, from the beginning.
 */
static void
start_list(GraphScan *scan, int page_size)
{
	const GraphRequest *request = scan->request;
	GraphLane  *lane = &scan->lanes[0];

	lane->with_select = request->select != NULL &&
		!list_member_oid(select_refused, scan->session->umid);
	start_lane(scan, lane, graph_request_path(request, page_size,
											  lane->with_select, true));
}

/*
 * graph_scan_start
 *		Ask for something, from the beginning; nothing is sent before the first
 *		record is wanted.  A NULL request is an empty scan.
 *
 * The request must stay as it is while the scan goes on.
 */
void
graph_scan_start(GraphScan *scan, const GraphRequest *request)
{
	graph_scan_stop(scan);
	scan->request = request;
	if (request == NULL)
		return;

	if (request->order_property && scan->order_slot < 0)
	{
		MemoryContext old = MemoryContextSwitchTo(scan->context);

		scan->order_slot = graph_shape_add(scan->shape, request->order_property);
		scan->order_decoder = graph_decoder_create(TIMESTAMPTZOID, -1);
		MemoryContextSwitchTo(old);
	}
	if (scan->slots == NULL)
		scan->slots = MemoryContextAllocZero(scan->context,
											 graph_shape_size(scan->shape) *
											 sizeof(GraphSlice));
	if (request->mode == GRAPH_SCAN_KEYS)
		return;					/* lanes take keys as they are free */

	scan->small_page = request->mode == GRAPH_SCAN_LIST &&
		request->first_page < request->page_size;
	start_list(scan, request->mode == GRAPH_SCAN_COUNT ? 1 :
			   scan->small_page ? request->first_page : request->page_size);
}

/*
 * graph_scan_stop
 *		End all requests under way; nothing more is asked.
 */
void
graph_scan_stop(GraphScan *scan)
{
	for (int i = 0; i < scan->nlanes; i++)
	{
		GraphLane  *lane = &scan->lanes[i];

		end_request(scan, lane);
		if (lane->url)
			pfree(lane->url);
		if (lane->checkpoint)
			pfree(lane->checkpoint);
		lane->url = lane->checkpoint = NULL;
		lane->not_before = 0;
	}
	scan->request = NULL;
	scan->current = scan->next_key = 0;
	scan->count = -1;
	scan->order_started = scan->order_restarted = false;
	forget_ids(scan);
}

/*
 * fill_lanes
 *		Let free lanes take the next keys; false if nothing is under way then.
 */
static bool
fill_lanes(GraphScan *scan)
{
	const GraphRequest *request = scan->request;
	bool		any = false;

	for (int i = 0; i < scan->nlanes; i++)
	{
		GraphLane  *lane = &scan->lanes[i];

		while (request->mode == GRAPH_SCAN_KEYS && lane->url == NULL &&
			   scan->next_key < request->nkeys)
		{
			char	   *path = graph_key_path(request->entity_set,
											  request->keys[scan->next_key++]);

			if (path)
				start_lane(scan, lane, path);
		}
		any = any || lane->url;
	}
	return any;
}

/*
 * wait_lanes
 *		Wait until a lane can go on.
 */
static void
wait_lanes(GraphScan *scan)
{
	GraphTransfer **transfers = palloc(scan->nlanes * sizeof(GraphTransfer *));
	TimestampTz until = 0;
	int			count = 0;
	instr_time	start;
	instr_time	end;

	for (int i = 0; i < scan->nlanes; i++)
	{
		GraphLane  *lane = &scan->lanes[i];

		if (lane->transfer)
			transfers[count++] = lane->transfer;
		else if (lane->url && (until == 0 || lane->not_before < until))
			until = lane->not_before;
	}

	INSTR_TIME_SET_CURRENT(start);
	graph_http_wait_any(transfers, count, until);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	scan->counters.waited += INSTR_TIME_GET_MICROSEC(end);
	pfree(transfers);
}

/*
 * graph_scan_next
 *		The next record; false at the end, and again after it.
 */
bool
graph_scan_next(GraphScan *scan, GraphRecord *record)
{
	while (scan->request && fill_lanes(scan))
	{
		bool		moved = false;

		for (int i = 0; i < scan->nlanes; i++)
		{
			int			number = (scan->current + i) % scan->nlanes;

			switch (step_lane(scan, &scan->lanes[number], record))
			{
				case LANE_RECORD:
					scan->current = number;
					scan->counters.records++;
					scan->stats->records++;
					return true;
				case LANE_MOVED:
					moved = true;
					break;
				case LANE_WAITS:
					break;
			}
		}
		if (!moved)
			wait_lanes(scan);
	}
	return false;
}

/*
 * graph_scan_count
 *		What a request for a count was answered, or -1 if the service did not
 *		count.
 */
int64
graph_scan_count(GraphScan *scan)
{
	GraphRecord record;

	while (graph_scan_next(scan, &record))
		 /* the one alert that $top=1 allows is of no interest */ ;
	return scan->count;
}

/*
 * graph_scan_is_empty
 *		Is nothing asked, because no alert can match?
 */
bool
graph_scan_is_empty(const GraphScan *scan)
{
	return scan->request == NULL;
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

/*-------------------------------------------------------------------------
 * One request
 *-------------------------------------------------------------------------
 */

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
 *		Send the request for a lane's URL.
 */
static void
start_request(GraphScan *scan, GraphLane *lane)
{
	const GraphOptions *options = &scan->session->options;
	GraphHttpRequest request = {0};
	MemoryContext old;

	graph_token_get(scan->session);

	old = MemoryContextSwitchTo(lane->context);
	request.url = lane->url;
	request.bearer = scan->session->bearer;
	request.headers = request_headers();
	request.ca_file = options->ca_file;
	request.proxy = options->proxy;
	request.connect_timeout = options->connect_timeout;
	request.request_timeout = options->request_timeout;
	request.fresh_connection = lane->attempt > 0;
	lane->transfer = graph_http_start(lane->context, &request);
	if (scan->request->mode != GRAPH_SCAN_KEYS)
		lane->reader = graph_list_reader_create(scan->shape);
	MemoryContextSwitchTo(old);

	scan->counters.requests++;
	scan->stats->requests++;
	lane->header_seen = false;
	lane->used = 0;
	lane->page_records = 0;
	lane->page_hash = 0;
}

/*
 * end_request
 *		Release the transfer and all that belongs to this request.
 */
static void
end_request(GraphScan *scan, GraphLane *lane)
{
	if (lane->transfer == NULL)
		return;
	scan->counters.bytes += graph_http_received(lane->transfer);
	scan->stats->bytes += graph_http_received(lane->transfer);
	graph_http_end(lane->transfer);
	lane->transfer = NULL;
	lane->reader = NULL;
	MemoryContextReset(lane->context);
}

/*
 * finish
 *		This request has given all; url is the next page's, or NULL at the end
 *		of the lane.
 */
static void
finish(GraphScan *scan, GraphLane *lane, const char *url)
{
	char	   *next = url ? MemoryContextStrdup(scan->context, url) : NULL;

	end_request(scan, lane);
	pfree(lane->url);
	lane->url = next;
	lane->page++;
	lane->attempt = 0;
	lane->token_renewed = false;
	lane->skip_records = 0;
}

/*
 * request_name
 *		The request as messages name it.
 */
static const char *
request_name(GraphLane *lane)
{
	if (lane->page <= 1)
		return lane->label;
	return psprintf("%s, page " UINT64_FORMAT, lane->label, lane->page);
}

/*
 * error_body
 *		All that a refused request's answer says, as far as it is small.
 */
static GraphSlice
error_body(GraphLane *lane)
{
	(void) graph_http_wait_all(lane->transfer, GRAPH_MAX_DOCUMENT);
	return graph_http_unread(lane->transfer);
}

/*
 * prepare_retry
 *		Set a lane up to send the same request again, after a while.
 *
 * Returns NULL if that was done; otherwise the reason why not, "" for none
 * that needs to be given.  Where the service asked for a pause, all lanes make
 * it.
 */
static const char *
prepare_retry(GraphScan *scan, GraphLane *lane, int retry_after)
{
	const char *why = "";
	int			delay;
	TimestampTz when;

	if (lane->attempt >= scan->session->options.max_retries)
		return lane->attempt == 0 ? "" :
			psprintf("It was tried %d times.", lane->attempt + 1);
	delay = graph_retry_delay(lane->attempt, retry_after, &why);
	if (delay < 0)
		return why;

	/* what was handed out must come again before anything new */
	if (lane->page_records > lane->skip_records)
	{
		lane->skip_records = lane->page_records;
		lane->skip_hash = lane->page_hash;
	}
	end_request(scan, lane);
	when = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
	lane->not_before = when;
	for (int i = 0; i < scan->nlanes && retry_after >= 0; i++)
		scan->lanes[i].not_before = Max(scan->lanes[i].not_before, when);
	lane->attempt++;
	scan->counters.retries++;
	scan->stats->retries++;
	return NULL;
}

/*
 * retry_or_report
 *		The transfer ended without its whole answer: again, or an error.
 */
static void
retry_or_report(GraphScan *scan, GraphLane *lane, GraphTransport transport,
				const char *text)
{
	const char *why = "";

	if (graph_transport_is_retriable(transport))
	{
		text = pstrdup(text);
		why = prepare_retry(scan, lane, -1);
		if (why == NULL)
			return;
	}
	graph_report_transport(scan->session, request_name(lane),
						   scan->session->options.endpoint, transport, text,
						   why[0] ? why : NULL);
}

/*
 * renew_token
 *		After 401: set the lane up to ask again with a new token, once.
 */
static bool
renew_token(GraphScan *scan, GraphLane *lane)
{
	if (lane->token_renewed)
		return false;
	lane->token_renewed = true;
	if (!graph_token_renew(scan->session))
		return false;
	end_request(scan, lane);
	return true;
}

/*
 * drop_select
 *		After 400: set the lane up to ask again without $select, if it had one.
 *
 * That the service refuses it is remembered when it answers without.
 */
static bool
drop_select(GraphScan *scan, GraphLane *lane)
{
	const GraphRequest *request = scan->request;
	bool		small = scan->small_page;

	if (!lane->with_select || lane->page > 1)
		return false;
	end_request(scan, lane);
	start_lane(scan, lane,
			   graph_request_path(request,
								  request->mode == GRAPH_SCAN_COUNT ? 1 :
								  small ? request->first_page : request->page_size,
								  false, true));
	lane->with_select = false;
	scan->counters.retries++;
	return true;
}

/*
 * note_select
 *		The service answers: if it did so without the $select that it had
 *		refused, do not try that again in this session.
 */
static void
note_select(GraphScan *scan, GraphLane *lane)
{
	MemoryContext old;

	if (scan->request->select == NULL || lane->with_select ||
		list_member_oid(select_refused, scan->session->umid))
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	select_refused = lappend_oid(select_refused, scan->session->umid);
	MemoryContextSwitchTo(old);
}

/*
 * check_status
 *		Decide by the status of the answer whether its body is read.
 *
 * True: it is.  False: the lane was set up for another attempt, or there is
 * nothing.  Everything else is an error.
 */
static bool
check_status(GraphScan *scan, GraphLane *lane)
{
	const GraphHttpHeader *header = graph_http_header(lane->transfer);
	const char *why = "";
	GraphSlice	body;

	if (header->status == 206 || header->warning[0])
		graph_report_partial(scan->session, request_name(lane),
							 psprintf("Status %d.%s%s", header->status,
									  header->warning[0] ? "  Warning: " : "",
									  graph_harmless_text(scan->session, header->warning)));
	if (header->status == 200 || header->status == 206)
	{
		note_select(scan, lane);
		return true;
	}
	if ((header->status == 401 && renew_token(scan, lane)) ||
		(header->status == 400 && drop_select(scan, lane)))
		return false;

	if (header->status == 429)
		scan->stats->throttled++;
	body = error_body(lane);
	if (header->status == 404 && scan->request->mode == GRAPH_SCAN_KEYS &&
		strncmp(header->content_type, "text/html", 9) != 0)
	{
		finish(scan, lane, NULL);	/* no such alert: zero rows */
		return false;
	}
	if (graph_status_is_retriable(header->status))
	{
		why = prepare_retry(scan, lane, header->retry_after);
		if (why == NULL)
			return false;
	}
	graph_report_status(scan->session, request_name(lane), header,
						body.data, body.len, why[0] ? why : NULL);
}

/*
 * read_header
 *		Act on the header of the answer, which is there; true if the body is
 *		to be read.
 */
static bool
read_header(GraphScan *scan, GraphLane *lane)
{
	if (graph_http_unread(lane->transfer).len == 0)
	{
		const char *text;
		GraphTransport transport = graph_http_result(lane->transfer, &text);

		if (transport != GRAPH_TRANSPORT_OK)
		{
			retry_or_report(scan, lane, transport, text);
			return false;
		}
	}
	lane->header_seen = check_status(scan, lane);
	return lane->header_seen;
}

/*-------------------------------------------------------------------------
 * Records
 *-------------------------------------------------------------------------
 */

/*
 * report_too_large
 *		Raise the error for a record over max_record_size.
 */
static void
report_too_large(GraphScan *scan, GraphLane *lane)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("an alert of server \"%s\" is larger than %d bytes",
					scan->session->server_name,
					scan->session->options.max_record_size),
			 errhint("The server's option \"max_record_size\" sets this limit."),
			 errcontext("Microsoft Graph request: %s", request_name(lane))));
}

/*
 * report_malformed
 *		Raise the error for an answer that is not the JSON that it should be.
 */
static void
report_malformed(GraphScan *scan, GraphLane *lane, const GraphJsonError *error)
{
	const GraphHttpHeader *header = graph_http_header(lane->transfer);
	const char *type = header->content_type;

	if (type[0] && strstr(type, "json") == NULL)
		graph_report_document(scan->session, request_name(lane),
							  psprintf("The answer is of type \"%s\" and not JSON.",
									   graph_harmless_text(scan->session, type)));
	graph_report_document(scan->session, request_name(lane),
						  psprintf("The JSON text is malformed: %s.",
								   error->problem));
}

/*
 * check_id
 *		A record without an id is no alert; true if this is one.
 */
static bool
check_id(GraphScan *scan, GraphLane *lane)
{
	if (graph_slice_is_string(scan->slots[scan->id_slot]))
		return true;
	graph_report_partial(scan->session, request_name(lane),
						 "An alert has no \"id\".");
	return false;
}

/*
 * check_order
 *		Does the record come where the order that was asked for puts it?
 *
 * A record that breaks the order is an error, since a node above relies on
 * it.  False: after the list was begun again, one that is new and would come
 * before what was handed out: it was not there when the query began.
 */
static bool
check_order(GraphScan *scan, GraphLane *lane)
{
	const GraphRequest *request = scan->request;
	bool		isnull;
	TimestampTz time;
	int			comparison;

	if (scan->order_slot < 0 || request->order_property == NULL)
		return true;
	time = DatumGetTimestampTz(graph_decode(scan->order_decoder,
											scan->slots[scan->order_slot],
											&isnull));
	if (!scan->order_started)
		comparison = 0;
	else if (isnull || scan->last_isnull)
		comparison = isnull == scan->last_isnull ? 0 :
			isnull == request->nulls_first ? -1 : 1;
	else
	{
		comparison = time < scan->last ? -1 : time > scan->last ? 1 : 0;
		if (request->descending)
			comparison = -comparison;
	}

	if (comparison < 0 && scan->order_restarted)
		return false;
	if (comparison < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
				 errmsg("server \"%s\" did not keep the order that was asked for",
						scan->session->server_name),
				 errdetail("Alert \"%s\" is out of order by \"%s\".",
						   graph_harmless_text(scan->session,
											   graph_decode_string(scan->slots[scan->id_slot])),
						   request->order_property),
				 errhint("Set the option \"order_pushdown\" of the server or foreign table to false, and run the query again."),
				 errcontext("Microsoft Graph request: %s", request_name(lane))));
	scan->order_started = true;
	scan->last = time;
	scan->last_isnull = isnull;
	return true;
}

/*
 * forget_ids
 *		Empty the memory of ids.
 */
static void
forget_ids(GraphScan *scan)
{
	if (scan->seen)
		hash_destroy(scan->seen);
	if (scan->seen_before)
		hash_destroy(scan->seen_before);
	scan->seen = scan->seen_before = NULL;
}

/*
 * remember_page
 *		A page is complete: its ids are those of the page before from now on.
 */
static void
remember_page(GraphScan *scan)
{
	if (scan->seen_before)
		hash_destroy(scan->seen_before);
	scan->seen_before = scan->seen;
	scan->seen = NULL;
}

/*
 * was_seen
 *		Was this id on this page, or on the one before?
 *
 * New alerts push the list down, so the end of a page may come again on the
 * next.  Remembering two pages catches that with memory that does not grow
 * with the list.
 */
static bool
was_seen(GraphScan *scan, GraphSlice id)
{
	const unsigned char *data = (const unsigned char *) id.data;
	SeenId		key;
	bool		found = false;

	if (scan->seen == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = ctl.entrysize = sizeof(SeenId);
		ctl.hcxt = scan->context;
		scan->seen = hash_create("graph_fdw ids", 256, &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	key.hash[0] = hash_bytes_extended(data, id.len, 0);
	key.hash[1] = hash_bytes_extended(data, id.len, 1);
	if (scan->seen_before)
		(void) hash_search(scan->seen_before, &key, HASH_FIND, &found);
	if (!found)
		(void) hash_search(scan->seen, &key, HASH_ENTER, &found);
	return found;
}

/*
 * give
 *		Fill in the record that is handed out.
 */
static LaneStep
give(GraphScan *scan, GraphRecord *record, GraphSlice whole)
{
	record->whole = whole;
	record->slots = scan->slots;
	record->id = scan->slots[scan->id_slot];
	return LANE_RECORD;
}

/*
 * read_document
 *		The record of an answer that is one alert.
 *
 * The next step drops it and finds the end of the lane.
 */
static LaneStep
read_document(GraphScan *scan, GraphLane *lane, GraphRecord *record)
{
	size_t		limit = scan->session->options.max_record_size;
	GraphSlice	body = graph_http_unread(lane->transfer);
	const char *text;
	GraphTransport transport;
	GraphJsonError error;
	size_t		end;

	if (lane->used > 0)
	{
		finish(scan, lane, NULL);
		return LANE_MOVED;
	}
	if (body.len > limit)
		report_too_large(scan, lane);
	if (!graph_http_done(lane->transfer))
		return LANE_WAITS;
	transport = graph_http_result(lane->transfer, &text);
	if (transport != GRAPH_TRANSPORT_OK)
	{
		retry_or_report(scan, lane, transport, text);
		return LANE_MOVED;
	}

	/* the window's bytes are ours, so the envelope may be taken off in place */
	body = graph_json_drop_context((char *) body.data, body.len);
	switch (graph_json_locate(body.data, body.len, scan->shape, scan->slots,
							  &end, &error))
	{
		case GRAPH_JSON_OK:
			break;
		case GRAPH_JSON_INCOMPLETE:
			graph_report_partial(scan->session, request_name(lane),
								 body.len == 0 ? "The answer is empty." :
								 "The answer ends in the middle of the alert.");
			finish(scan, lane, NULL);
			return LANE_MOVED;
		case GRAPH_JSON_MALFORMED:
			report_malformed(scan, lane, &error);
	}
	if (!graph_json_is_blank(body.data + end, body.len - end))
	{
		error.problem = "text after the end of the document";
		report_malformed(scan, lane, &error);
	}
	if (!check_id(scan, lane))
	{
		finish(scan, lane, NULL);
		return LANE_MOVED;
	}
	lane->used = body.len;
	return give(scan, record, body);
}

/*-------------------------------------------------------------------------
 * Pages
 *-------------------------------------------------------------------------
 */

/*
 * guard_against_loop
 *		Was this link not followed before?
 *
 * A cycle of any length is found with one link remembered: it is renewed
 * after 1, 2, 4, ... pages (Brent's algorithm), so a cycle is run through a
 * few times at most before it is noticed.
 */
static bool
guard_against_loop(GraphScan *scan, GraphLane *lane, const char *link)
{
	if (strcmp(link, lane->url) == 0 ||
		(lane->checkpoint && strcmp(link, lane->checkpoint) == 0))
		return false;
	if (lane->page > lane->checkpoint_until)
	{
		if (lane->checkpoint)
			pfree(lane->checkpoint);
		lane->checkpoint = MemoryContextStrdup(scan->context, link);
		lane->checkpoint_until = lane->page * 2;
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
next_page(GraphScan *scan, GraphLane *lane)
{
	GraphSlice	slice = graph_list_next_link(lane->reader);
	const char *request = request_name(lane);
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
	if (!guard_against_loop(scan, lane, link))
	{
		graph_report_partial(scan->session, request,
							 "Its nextLink leads to a page that was read before.");
		return NULL;
	}
	return link;
}

/*
 * take_count
 *		Note what the service counted, if it did.
 */
static void
take_count(GraphScan *scan, GraphLane *lane)
{
	GraphSlice	count = graph_list_count(lane->reader);

	if (count.data && count.len > 0 && count.len < 19 &&
		strspn(count.data, "0123456789") >= count.len)
		scan->count = strtoi64(pnstrdup(count.data, count.len), NULL, 10);
}

/*
 * end_of_page
 *		The document of this page is complete: check it and move on.
 *
 * After a small first page the list is begun again with whole pages, as a
 * nextLink would go on with small ones; was_seen() leaves out what is known.
 */
static void
end_of_page(GraphScan *scan, GraphLane *lane)
{
	char	   *next;

	scan->counters.pages++;
	if (graph_list_has_error(lane->reader))
		graph_report_partial(scan->session, request_name(lane),
							 "The answer has status 200 but holds an \"error\".");
	else if (!graph_list_has_value(lane->reader))
		graph_report_partial(scan->session, request_name(lane),
							 "The answer has no array \"value\".");
	if (lane->skip_records > lane->page_records)
		graph_report_partial(scan->session, request_name(lane),
							 "The connection was lost and the page is shorter now.");
	if (scan->request->mode == GRAPH_SCAN_COUNT)
	{
		take_count(scan, lane);
		finish(scan, lane, NULL);
		return;
	}

	next = next_page(scan, lane);
	remember_page(scan);
	if (next && scan->small_page)
	{
		scan->small_page = false;
		scan->order_restarted = true;
		end_request(scan, lane);
		start_list(scan, scan->request->page_size);
	}
	else
		finish(scan, lane, next);
}

/*
 * end_of_bytes
 *		The transfer has ended; complete tells whether the document has too.
 */
static void
end_of_bytes(GraphScan *scan, GraphLane *lane, bool complete)
{
	const char *text;
	GraphTransport transport = graph_http_result(lane->transfer, &text);

	if (transport != GRAPH_TRANSPORT_OK)
		retry_or_report(scan, lane, transport, text);
	else if (complete)
		end_of_page(scan, lane);
	else
	{
		graph_report_partial(scan->session, request_name(lane),
							 graph_http_received(lane->transfer) == 0 ?
							 "The answer is empty." :
							 "The answer ends in the middle of the document.");
		finish(scan, lane, NULL);
	}
}

/*
 * was_given_before
 *		Is this record one that an earlier attempt at the page handed out?
 *
 * Their ids must be the same, in the same order.
 */
static bool
was_given_before(GraphScan *scan, GraphLane *lane)
{
	GraphSlice	id = scan->slots[scan->id_slot];

	lane->page_hash = hash_bytes_extended((const unsigned char *) id.data,
										  id.len, lane->page_hash + 1);
	lane->page_records++;
	if (lane->page_records > lane->skip_records)
		return false;
	if (lane->page_records == lane->skip_records &&
		lane->page_hash != lane->skip_hash)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a page of server \"%s\" changed while it was read",
						scan->session->server_name),
				 errdetail("The connection was lost, and the page holds other alerts now."),
				 errhint("Run the query again."),
				 errcontext("Microsoft Graph request: %s", request_name(lane))));
	return true;
}

/*
 * read_list
 *		The next record of a page.
 */
static LaneStep
read_list(GraphScan *scan, GraphLane *lane, GraphRecord *record)
{
	size_t		limit = scan->session->options.max_record_size;
	GraphSlice	whole;
	GraphJsonError error;

	for (;;)
	{
		GraphSlice	unread;
		GraphListEvent event;

		graph_http_consume(lane->transfer, lane->used);
		lane->used = 0;
		unread = graph_http_unread(lane->transfer);
		event = graph_list_read(lane->reader, unread.data, unread.len,
								&lane->used, &whole, scan->slots, &error);
		if (event == GRAPH_LIST_MALFORMED)
			report_malformed(scan, lane, &error);
		if (event == GRAPH_LIST_RECORD)
		{
			if (whole.len > limit)
				report_too_large(scan, lane);
			if (!check_id(scan, lane) || was_given_before(scan, lane) ||
				was_seen(scan, scan->slots[scan->id_slot]) ||
				!check_order(scan, lane))
				continue;
			return give(scan, record, whole);
		}

		/* nothing to be had from these bytes: drop what is done, get more */
		graph_http_consume(lane->transfer, lane->used);
		lane->used = 0;
		if (graph_http_unread(lane->transfer).len > limit)
			report_too_large(scan, lane);
		if (!graph_http_done(lane->transfer))
			return LANE_WAITS;
		end_of_bytes(scan, lane, event == GRAPH_LIST_END);
		return LANE_MOVED;
	}
}

/*
 * step_lane
 *		Do what can be done for a lane without waiting.
 */
static LaneStep
step_lane(GraphScan *scan, GraphLane *lane, GraphRecord *record)
{
	if (lane->url == NULL)
		return LANE_WAITS;
	if (lane->transfer == NULL)
	{
		if (lane->not_before > GetCurrentTimestamp())
			return LANE_WAITS;
		lane->not_before =
			graph_stats_may_send(scan->stats,
								 scan->session->options.requests_per_minute);
		if (lane->not_before != 0)
			return LANE_WAITS;
		start_request(scan, lane);
		return LANE_MOVED;
	}
	if (!lane->header_seen)
	{
		if (graph_http_unread(lane->transfer).len == 0 &&
			!graph_http_done(lane->transfer))
			return LANE_WAITS;
		if (!read_header(scan, lane))
			return LANE_MOVED;
	}
	return scan->request->mode == GRAPH_SCAN_KEYS ?
		read_document(scan, lane, record) : read_list(scan, lane, record);
}
