/*-------------------------------------------------------------------------
 *
 * window.c
 *		How is a long list cut into windows of time?
 *
 * nextLinks can only be followed one after the other, but windows do not know
 * of each other, so that several chains read them side by side.  Each may cost a
 * request more, for its last page, which is not full.
 *
 * What this file refuses to know: how a request is spelled, answers, records.
 *
 * IDENTIFICATION
 *		src/scan/window.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "scan/scan_int.h"

/*
 * A list of so many pages counts as long, and what follows its first page is
 * read in windows, each of so many pages at least.
 */
#define LONG_LIST_PAGES	5
#define SMALLEST_WINDOW_PAGES	2

/* A window that has so many pages left is shared with a chain that is idle. */
#define SMALLEST_SHARED_PAGES	3

/*
 * is_divisible
 *		May what is left of a chain's list be read in windows?
 *
 * Not where a part of its first page may be enough, not where the plan relies
 * on an order, and not if the list is not seen to be newest first.
 */
static bool
is_divisible(const GraphChain *chain)
{
	const GraphShared *shared = chain->shared;

	return chain->phase != GRAPH_CHAIN_IDLE && graph_can_restart(chain) &&
		!shared->request->order_needed && !shared->request->limited &&
		shared->descending && chain->times.first > chain->times.last;
}

/*
 * time_of
 *		In about how much time there are so many alerts, if they lie as close
 *		together as those that the chain has read.
 */
static int64
time_of(const GraphChain *chain, double alerts)
{
	double		time = (double) (chain->times.first - chain->times.last) *
		alerts / Max(chain->tally.records + chain->tally.page_records, 1);

	return (int64) Min(Max(time, 1.0), (double) PG_INT64_MAX / 4);
}

/*
 * divide
 *		Leave the older part of a chain's list to others, in so many windows of
 *		so many alerts; the last of them is open.
 */
static void
divide(GraphChain *chain, double alerts, int windows)
{
	TimestampTz oldest = chain->task.window.lower;
	TimestampTz first = Max(oldest, graph_first_time());
	TimestampTz upper = chain->times.last - time_of(chain, alerts);
	GraphTask	task = {
		.kind = GRAPH_TASK_WINDOW,
		.page_size = chain->shared->request->page_size,
	};

	if (upper <= first || TIMESTAMP_NOT_FINITE(upper))
		return;
	elog(DEBUG1, "graph_fdw: leaving what is older than %s to others",
		 timestamptz_to_str(upper));
	graph_chain_cut(chain, upper);
	while (windows-- > 0)
	{
		TimestampTz lower = upper - time_of(chain, alerts);

		task.window.upper = upper;
		task.window.lower = windows == 0 || lower <= first ? oldest : lower;
		graph_queue_push(chain->shared, &task);
		if (task.window.lower == oldest)
			break;
		upper = lower;
	}
}

/*
 * graph_window_split
 *		After the first page of a list, if that is long, leave the older parts of
 *		the rest to others; no more than so many chains will read.
 */
void
graph_window_split(GraphChain *chain, int most)
{
	const GraphShared *shared = chain->shared;
	int64		count = shared->ledger.count;
	double		page_size = shared->request->page_size;
	double		rest = (double) (count - shared->ledger.found);
	int			windows = (int) Min(most, rest / page_size /
									SMALLEST_WINDOW_PAGES);

	/* with LIMIT, one for each page that is likely to be wanted */
	if (shared->request->wanted > 0)
		windows = (int) Min(windows, (shared->missing + page_size - 1) /
							page_size);
	if (count >= LONG_LIST_PAGES * page_size && windows > 1 &&
		is_divisible(chain))
		divide(chain, rest / windows, windows - 1);
}

/*
 * rest_of
 *		About how many alerts are left of a chain's window, given how many are
 *		left of all.
 *
 * The service has counted the window as it was at first; others may have taken
 * some of it since.
 */
static double
rest_of(const GraphChain *chain, double rest)
{
	if (chain->tally.count >= 0)
		rest = Min(rest, (double) (chain->tally.count -
								   graph_tally_alerts(chain)));
	if (TIMESTAMP_IS_NOBEGIN(chain->task.window.lower))
		return rest;
	return Min(rest, (double) (chain->times.last - chain->task.window.lower) /
			   time_of(chain, 1));
}

/*
 * graph_window_share
 *		Leave half of what is left of the richest chain's window to another one,
 *		if there is enough of it.
 */
void
graph_window_share(GraphChain *const *chains, int count)
{
	const GraphShared *shared = chains[0]->shared;
	double		rest = (double) (shared->ledger.count - shared->ledger.found);
	double		most = (double) SMALLEST_SHARED_PAGES *
		shared->request->page_size;
	GraphChain *richest = NULL;

	if (shared->ledger.count < 0 || !shared->ledger.nulls_left)
		return;
	for (int i = 0; i < count; i++)
	{
		GraphChain *chain = chains[i];

		if (!is_divisible(chain) || chain->pages == 0 ||
			!(chain->parts & GRAPH_PART_ORDER) || rest_of(chain, rest) < most)
			continue;
		most = rest_of(chain, rest);
		richest = chain;
	}
	if (richest)
		divide(richest, most / 2, 1);
}
