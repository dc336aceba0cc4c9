/*-------------------------------------------------------------------------
 *
 * graph_scan.h
 *		Which record is next?
 *
 * A scan asks the service for what a GraphRequest says and hands out records,
 * one after the other, each once.  It belongs to the memory context in which
 * it was made, and so do its transfers.
 *
 * What this layer refuses to know: plans, columns, types, slots.
 *
 * IDENTIFICATION
 *		src/scan/graph_scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_SCAN_H
#define GRAPH_SCAN_H

#include "auth/graph_auth.h"
#include "odata/graph_odata.h"

typedef struct GraphScan GraphScan;

/* What a scan has done so far. */
typedef struct GraphScanCounters
{
	uint64		requests;		/* sent, retries included */
	uint64		retries;
	uint64		pages;			/* answers that held alerts */
	uint64		records;		/* alerts */
	uint64		bytes;			/* of bodies, as decompressed */
	int64		waited;			/* microseconds, */
	int64		limited;		/* and what each request waited for its turn,
								 * added up */
} GraphScanCounters;

/* in scan.c */
extern GraphScan *graph_scan_create(GraphSession *session,
									GraphProjection *projection);
extern void graph_scan_start(GraphScan *scan, const GraphRequest *request);
extern void graph_scan_stop(GraphScan *scan);
extern bool graph_scan_next(GraphScan *scan, GraphRecord *record);
extern bool graph_scan_take(GraphScan *scan, bool in_turns,
							GraphRecord *record, bool *waits);
extern pgsocket graph_scan_descriptor(const GraphScan *scan);
extern int64 graph_scan_count(const GraphScan *scan, int number);
extern int64 graph_scan_counted(const GraphScan *scan);
extern int	graph_scan_count_number(const GraphScan *scan);
extern bool graph_scan_saw_other_case(const GraphScan *scan,
									  const char *property);
extern bool graph_scan_order_is_lost(const GraphScan *scan);
extern bool graph_scan_can_navigate(const GraphScan *scan);
extern bool graph_scan_is_refused(const GraphScan *scan);
extern bool graph_scan_gave_nulls(const GraphScan *scan);
extern const GraphScanCounters *graph_scan_counters(GraphScan *scan);

#endif							/* GRAPH_SCAN_H */
