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
 *		src/scan/order.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "scan/scan_int.h"

/* More alerts at one microsecond than this are not told apart by time. */
#define MOST_TIES	5000

/*
 * Ids in one of the two generations that are remembered, of 40 bytes each.
 * Pages hold a tenth of that, and what comes twice comes within a few pages.  Where a list that was counted is not
 * seen to be in order all ids are needed, should it have to be read again.
 */
#define MOST_GIVEN	10000
#define MOST_GIVEN_UNSORTED	500000

/*
 * So many records at the beginning of an ordered list have to be in order
 * before the first is handed out: of fewer it could not be seen that the
 * service ignores what it was asked for.  Should they be large, less will do.
 */
#define CHECKED_RECORDS	20
#define CHECKED_BYTES	(1024 * 1024)

/*
 * report_disorder
 *		Raise the error for a list that is not in the order that the plan relies
 *		on, after some of it was handed out.
 */
static void
report_disorder(GraphScan *scan, GraphLane *lane)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
			 errmsg("server \"%s\" did not keep the order that was asked for",
					scan->session->peer.server_name),
			 errdetail("Alert \"%s\" is out of order by \"%s\".",
					   graph_sanitize_remote_text(&scan->session->peer,
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
 * turn_generation
 *		The ids that came so far are the older generation from now on.
 */
static void
turn_generation(GraphScan *scan)
{
	if (scan->given_before)
	{
		hash_destroy(scan->given_before);
		scan->ids_forgotten = true;
	}
	scan->given_before = scan->given;
	scan->given = NULL;
}

/*
 * graph_order_was_given
 *		Was this alert among the last that were given?
 *
 * New alerts push the list down, so the end of a page may come again on the
 * next.
 */
bool
graph_order_was_given(const GraphScan *scan, const GraphLane *lane,
					  const GraphSeenId *id)
{
	return (lane->retried && hash_search(lane->retried, id, HASH_FIND, NULL)) ||
		(scan->given && hash_search(scan->given, id, HASH_FIND, NULL)) ||
		(scan->given_before &&
		 hash_search(scan->given_before, id, HASH_FIND, NULL));
}

/*
 * graph_order_note_given
 *		Remember an alert that is given.
 *
 * When a generation of ids is complete it becomes the older one, which is
 * forgotten; so the memory does not grow with a list that is in order.
 */
void
graph_order_note_given(GraphScan *scan, const GraphLane *lane,
					   const GraphSeenId *id)
{
	bool		may_be_read_again = lane->chain_count >= 0 &&
		!(lane->sorted && lane->time_seen);
	long		most = may_be_read_again ? MOST_GIVEN_UNSORTED : MOST_GIVEN;

	if (scan->given && hash_get_num_entries(scan->given) >= most)
		turn_generation(scan);
	if (scan->given == NULL)
		scan->given = graph_order_id_table(scan);
	(void) hash_search(scan->given, id, HASH_ENTER, NULL);
}

/*
 * note_in_chain
 *		Count a record among the alerts of the lane's chain, unless it came
 *		before: then true.
 */
static bool
note_in_chain(GraphScan *scan, GraphLane *lane, const GraphSeenId *id)
{
	bool		found;

	if (lane->page > 1 && lane->chain_count < 0)
		return false;			/* there is nothing to hold it against */
	if (lane->chain_ids == NULL)
		lane->chain_ids = graph_order_id_table(scan);
	(void) hash_search(lane->chain_ids, id, HASH_ENTER, &found);
	if (!found)
		lane->chain_print ^= id->hash[0];
	return found;
}

/*
 * graph_order_chain_alerts
 *		How many alerts the lane's chain has held so far, each counted once.
 */
uint64
graph_order_chain_alerts(const GraphLane *lane)
{
	return lane->chain_nameless +
		(lane->chain_ids ? hash_get_num_entries(lane->chain_ids) : 0);
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
		lane->timeless = true;

		/* what has no time is in no window; it is asked for by itself then */
		if (time.data == NULL || graph_slice_is_null(time))
			return !lane->filtered && !scan->nulls_wanted;

		/* one that nobody can read is in all of them, if there is no filter */
		return !lane->filtered || !scan->filter_ignored ||
			TIMESTAMP_IS_NOBEGIN(lane->window.lower);
	}
	if (scan->nulls_asked || scan->request->no_nulls)
		return false;			/* the clauses leave it out, in the latter case */
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
		(time - 1 > lane->window.upper || time + 2 < lane->asked_lower))
		scan->filter_ignored = true;
}

/*
 * note_time
 *		Hold the time of a record against the one before it, and keep it if the
 *		list has come further; false if the record stands where it does only
 *		because the list has moved.
 */
static bool
note_time(GraphScan *scan, GraphLane *lane, const GraphSeenId *id, bool again,
		  TimestampTz time)
{
	if (lane->order_known && comes_before(scan, time, lane->order_time))
	{
		if (again)
			return false;
		lane->sorted = false;
		if (scan->request->order_needed)
			report_disorder(scan, lane);
	}
	lane->order_known = true;
	lane->order_time = time;

	/* after a new attempt the page may begin with what has just arrived */
	if (lane->time_seen && comes_before(scan, time, lane->last_time))
		return true;
	if (!lane->time_seen)
		lane->first_time = time;
	if (!lane->time_seen || time != lane->last_time)
		lane->nties = 0;
	add_tie(scan, lane, id);
	lane->time_seen = true;
	lane->last_time = time;
	return true;
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
	bool		again = note_in_chain(scan, lane, id);
	bool		known = false;
	TimestampTz time;

	*past = false;
	if (scan->time_slot < 0)
		return true;
	if (!record_time(scan, &time))
	{
		bool		takes = takes_null(scan, lane);

		lane->chain_deferred += !takes && !seen;
		return takes;
	}
	if (lane->window.nulls)
		return false;			/* the service did not mind the filter */
	note_filter(scan, lane, time);
	if (time < lane->window.lower)
	{
		/* one that is out of place is no end where no order was asked for */
		*past = scan->descending && lane->sorted && !lane->window.linked &&
			(lane->parts & GRAPH_PART_ORDER);
		return false;
	}
	if (time >= lane->window.upper)
		return false;
	if (lane->boundary)
		(void) hash_search(lane->boundary, id, HASH_FIND, &known);
	if (scan->head_ids && lane->filtered && !known)
		(void) hash_search(scan->head_ids, id, HASH_FIND, &known);
	/* of a page, what came on another one is no excuse */
	again = again || (lane->page > 1 && (seen || known));
	return note_time(scan, lane, id, again, time) && !known;
}

/*
 * graph_order_check_first
 *		Before the first record of an ordered list is handed out, see that its
 *		beginning is in order: the few that are wanted may be the wrong ones.
 *
 * A record that comes twice says nothing.  Trouble with the bytes is found when
 * they are read.
 */
GraphOrderCheck
graph_order_check_first(GraphScan *scan, GraphLane *lane)
{
	GraphSlice	unread = graph_http_unread(lane->transfer);
	bool		whole = graph_http_done(lane->transfer) ||
		unread.len >= CHECKED_BYTES;
	GraphListReader *reader = graph_list_reader_create(scan->projection);
	HTAB	   *ids = graph_order_id_table(scan);
	GraphOrderCheck result = GRAPH_ORDER_KEPT;
	GraphListEvent event = GRAPH_LIST_RECORD;
	GraphSlice	record;
	GraphJsonError error;
	TimestampTz before = 0;
	TimestampTz time;
	int			count = 0;
	bool		differs = false;
	size_t		used;

	while ((count < CHECKED_RECORDS || !differs) && result == GRAPH_ORDER_KEPT &&
		   (event = graph_list_read(reader, unread.data, unread.len, &used,
									&record, scan->slots, &error)) == GRAPH_LIST_RECORD)
	{
		GraphSeenId id;
		bool		found = true;

		unread.data += used;
		unread.len -= used;
		if (!graph_slice_is_string(scan->slots[scan->id_slot]) ||
			!record_time(scan, &time))
			continue;
		id = graph_order_hash_id(scan->slots[scan->id_slot]);
		(void) hash_search(ids, &id, HASH_ENTER, &found);
		if (found)
			continue;
		differs = differs || (count > 0 && time != before);
		if (count++ > 0 && comes_before(scan, time, before))
			result = GRAPH_ORDER_BROKEN;
		before = time;
	}
	if (result == GRAPH_ORDER_KEPT && event == GRAPH_LIST_MORE && !whole)
		result = GRAPH_ORDER_UNKNOWN;
	else if (result == GRAPH_ORDER_KEPT && !differs && count > 0 &&
			 (event != GRAPH_LIST_END ||
			  graph_list_next_link(reader).data != NULL))
		result = GRAPH_ORDER_BROKEN;	/* equal times show no order */
	hash_destroy(ids);
	pfree(reader);
	return result;
}
