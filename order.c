/*-------------------------------------------------------------------------
 *
 * order.c
 *		Is this record new, and does it come in its place?
 *
 * A list moves while it is read: alerts arrive, links break, windows of time
 * meet.  Here a record is held against what was given before it, by its id and
 * by the time by which the list is in order, so that each alert is given once,
 * and so that an order on which the plan relies is trusted only as long as it
 * is seen to hold.
 *
 * What this file refuses to know: requests, answers, columns.
 *
 * IDENTIFICATION
 *		order.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "graph_fdw.h"

/* More alerts at one microsecond than this are not told apart by time. */
#define MOST_TIES	5000

/*
 * Ids in one of the two generations that are remembered, of 40 bytes each.
 * Pages hold a tenth of that, and as many must arrive between two pages before
 * the list has moved further than that.
 */
#define MOST_SEEN	10000

/*
 * report_disorder
 *		Raise the error for a list that is not in the order that the plan relies
 *		on.
 */
static void
report_disorder(GraphScan *scan, GraphLane *lane)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
			 errmsg("server \"%s\" did not keep the order that was asked for",
					scan->session->server_name),
			 errdetail("Alert \"%s\" is out of order by \"%s\".",
					   graph_harmless_text(scan->session,
										   graph_decode_string(scan->slots[scan->id_slot])),
					   scan->time_property),
			 errhint("Set the option \"order_pushdown\" of the server or foreign table to false, and run the query again."),
			 errcontext("Microsoft Graph request: %s", graph_request_name(lane))));
}

/*
 * comes_before
 *		Does one time come before another in the order of the list?
 */
static bool
comes_before(GraphScan *scan, TimestampTz first, TimestampTz second)
{
	return scan->descending ? first > second : first < second;
}

/*
 * record_time
 *		The time of the record at hand by which the list is in order; false if
 *		it has none, or none that can be read.
 *
 * Nobody may have asked for that property, so trouble with it is no error.
 */
static bool
record_time(GraphScan *scan, TimestampTz *time)
{
	return graph_decode_time(scan->slots[scan->time_slot], time);
}

/*
 * graph_order_is_late
 *		Is this record one that was not there when the query began?
 *
 * After the list was begun again, an unknown record that comes before what
 * was handed out must be new, and is left out.  In any other case it breaks
 * the order.
 */
bool
graph_order_is_late(GraphScan *scan, GraphLane *lane)
{
	TimestampTz time;

	if (!scan->request->order_needed || lane->window.nulls ||
		!record_time(scan, &time))
		return false;
	if (scan->order_started && comes_before(scan, time, scan->last))
	{
		if (scan->order_restarted)
			return true;
		report_disorder(scan, lane);
	}
	scan->order_started = true;
	scan->last = time;
	return false;
}

/*
 * graph_order_hash_id
 *		What an id is remembered by.
 */
GraphSeenId
graph_order_hash_id(GraphSlice id)
{
	const unsigned char *data = (const unsigned char *) id.data;
	GraphSeenId result;

	result.hash[0] = hash_bytes_extended(data, id.len, 0);
	result.hash[1] = hash_bytes_extended(data, id.len, 1);
	return result;
}

/*
 * graph_order_id_table
 *		A set of ids.
 */
HTAB *
graph_order_id_table(GraphScan *scan)
{
	HASHCTL		ctl = {0};

	ctl.keysize = ctl.entrysize = sizeof(GraphSeenId);
	ctl.hcxt = scan->context;
	return hash_create("graph_fdw ids", 256, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * graph_order_turn
 *		The ids that came so far are the older generation from now on.
 */
void
graph_order_turn(GraphLane *lane)
{
	if (lane->seen == NULL)
		return;
	if (lane->seen_before)
		hash_destroy(lane->seen_before);
	lane->seen_before = lane->seen;
	lane->seen = NULL;
}

/*
 * graph_order_was_seen
 *		Was this id among the last that came?
 *
 * New alerts push the list down, so the end of a page may come again on the
 * next.  When a generation of ids is complete it becomes the older one, which
 * is forgotten; so the memory does not grow with the list.
 */
bool
graph_order_was_seen(GraphScan *scan, GraphLane *lane, const GraphSeenId *id)
{
	bool		found;

	if (lane->seen && hash_get_num_entries(lane->seen) >= MOST_SEEN)
		graph_order_turn(lane);
	if (lane->seen == NULL)
		lane->seen = graph_order_id_table(scan);
	(void) hash_search(lane->seen, id, HASH_ENTER, &found);
	if (!found)
		lane->chain_alerts++;
	if (!found && lane->seen_before)
		(void) hash_search(lane->seen_before, id, HASH_FIND, &found);
	return found;
}

/*
 * add_tie
 *		One more record at the last time.
 */
static void
add_tie(GraphScan *scan, GraphLane *lane, const GraphSeenId *id)
{
	if (lane->ties == NULL)
		lane->ties = MemoryContextAlloc(scan->context,
										MOST_TIES * sizeof(GraphSeenId));
	if (lane->nties < MOST_TIES)
		lane->ties[lane->nties++] = *id;
	else
		lane->sorted = false;	/* nothing can be begun anew here */
}

/*
 * takes_null
 *		Is a record without a time given where the list holds it?
 *
 * Where the plan relies on an order, those records are asked for by
 * themselves, before the others or after them.
 */
static bool
takes_null(GraphScan *scan, GraphLane *lane)
{
	if (lane->window.nulls)
	{
		if (scan->request->order_needed && scan->request->nulls_first &&
			scan->order_started)
			report_disorder(scan, lane);
		return true;
	}
	if (!scan->request->order_needed)
	{
		GraphSlice	time = scan->slots[scan->time_slot];

		lane->sorted = false;	/* it could not be begun anew without them */

		/* what has no time is in no window; it is asked for by itself then */
		if (time.data == NULL || graph_slice_is_null(time))
			return !lane->filtered && !scan->nulls_wanted;

		/* one that nobody can read is in all of them, if there is no filter */
		return !lane->filtered || !scan->filter_ignored ||
			TIMESTAMP_IS_NOBEGIN(lane->window.lower);
	}
	if (scan->nulls_asked)
		return false;
	if (scan->request->nulls_first && scan->order_started)
		report_disorder(scan, lane);
	if (!scan->request->nulls_first)
		scan->nulls_wanted = true;
	return scan->request->nulls_first;
}

/*
 * note_filter
 *		Does the service mind the bounds that a window's filter has?  They are
 *		a microsecond wider than the window.
 *
 * If it does not, a list that is begun anew begins at its very beginning.
 */
static void
note_filter(GraphScan *scan, GraphLane *lane, TimestampTz time)
{
	if (lane->filtered && lane->page == 1 &&
		(time - 1 > lane->window.upper || time + 2 < lane->window.lower))
		scan->filter_ignored = true;
}

/*
 * graph_order_is_in_window
 *		Note the time of a record, and tell whether this lane is to give it.
 *
 * Windows are told apart by the time as it is known here, in microseconds,
 * and what stood where a chain was begun anew by its id.  *past is set if the
 * rest of the list belongs to others.
 */
bool
graph_order_is_in_window(GraphScan *scan, GraphLane *lane,
						 const GraphSeenId *id, bool seen, bool *past)
{
	bool		known = false;
	TimestampTz time;

	*past = false;
	if (scan->time_slot < 0)
		return true;
	if (!record_time(scan, &time))
		return takes_null(scan, lane);
	if (lane->window.nulls)
		return false;			/* the service did not mind the filter */
	note_filter(scan, lane, time);
	if (time < lane->window.lower)
	{
		/* one that is out of place is no end where no order was asked for */
		*past = scan->descending && lane->sorted && lane->with_order;
		return false;
	}
	if (lane->boundary)
		(void) hash_search(lane->boundary, id, HASH_FIND, &known);
	if (lane->window.head && !known)
		(void) hash_search(scan->head_ids, id, HASH_FIND, &known);
	if (known || time >= lane->window.upper)
		return false;

	if (!lane->time_seen)
		lane->first_time = time;
	else if (comes_before(scan, time, lane->last_time))
	{
		if (seen)
			return false;		/* the list has moved under us */
		lane->sorted = false;
		if (scan->request->order_needed)
			report_disorder(scan, lane);
	}
	if (!lane->time_seen || time != lane->last_time)
		lane->nties = 0;
	add_tie(scan, lane, id);
	lane->time_seen = true;
	lane->last_time = time;
	return true;
}

/*
 * graph_order_was_given
 *		Is this record one that an earlier attempt at the page handed out?
 *
 * Their ids must be the same, in the same order.
 */
bool
graph_order_was_given(GraphScan *scan, GraphLane *lane)
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
				 errcontext("Microsoft Graph request: %s", graph_request_name(lane))));
	return true;
}

/*
 * graph_order_check_pair
 *		Before the first record of a page of two is handed out, see that the
 *		order was kept: the only one that is wanted may be the wrong one.
 *
 * False if the page is not complete yet.  Trouble with its bytes is found
 * when they are read.
 */
bool
graph_order_check_pair(GraphScan *scan, GraphLane *lane)
{
	GraphSlice	unread = graph_http_unread(lane->transfer);
	GraphListReader *reader;
	GraphSlice	whole;
	GraphJsonError error;
	TimestampTz before;
	TimestampTz time;
	bool		started = false;
	size_t		used;

	if (!scan->request->order_needed || scan->order_started ||
		lane->page_size > 2 || lane->window.nulls)
		return true;
	if (!graph_http_done(lane->transfer))
		return false;

	reader = graph_list_reader_create(scan->shape);
	while (graph_list_read(reader, unread.data, unread.len, &used, &whole,
						   scan->slots, &error) == GRAPH_LIST_RECORD)
	{
		unread.data += used;
		unread.len -= used;
		if (!record_time(scan, &time))
			continue;
		if (started && comes_before(scan, time, before))
			report_disorder(scan, lane);
		before = time;
		started = true;
	}
	pfree(reader);
	return true;
}
