/*-------------------------------------------------------------------------
 *
 * analyze.c
 *		What sample stands for a foreign table?
 *
 * ANALYZE reads a bounded number of alerts, and if those are not all, asks the
 * service how many there are.  For a table of what is inside the alerts it asks
 * that in any case, and keeps it.  They are the newest, and where the list is
 * read in several windows of time at once, the newest of each.  That is a
 * sample by time and not at random: dates are seen in parts only, but the mix
 * of severities, sources and devices, by which joins are planned, is seen as it
 * is now, and it costs a handful of requests.
 *
 * What this file refuses to know: the planner, HTTP, JSON.
 *
 * IDENTIFICATION
 *		src/exec/analyze.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/pg_prng.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "exec/graph_exec.h"

/* Records that are read at most: five large pages, of alerts about 40 MB. */
#define SAMPLED_PAGES	5

/* What a sample is made of. */
typedef struct GraphSample
{
	Relation	relation;
	HeapTuple  *rows;
	int			wanted;			/* size of rows */
	int			kept;
	double		seen;			/* rows, of which rows[] is a random choice */
	Datum	   *values;
	bool	   *isnull;
	MemoryContext row_context;
	MemoryContext tuple_context;	/* whoever asks for the sample owns it */
} GraphSample;

/*
 * keep_row
 *		Take a row into the sample, or leave it, so that each has the same
 *		chance (Vitter's algorithm R).
 */
static void
keep_row(GraphSample *sample)
{
	int			place = sample->kept;
	MemoryContext old;

	sample->seen++;
	if (sample->kept < sample->wanted)
		sample->kept++;
	else
	{
		double		random = pg_prng_double(&pg_global_prng_state) * sample->seen;

		if (random >= sample->wanted)
			return;
		place = (int) random;
		heap_freetuple(sample->rows[place]);
	}
	old = MemoryContextSwitchTo(sample->tuple_context);
	sample->rows[place] = heap_form_tuple(RelationGetDescr(sample->relation),
										  sample->values, sample->isnull);
	MemoryContextSwitchTo(old);
}

/*
 * sample_alert
 *		Take up the rows of an alert.
 */
static void
sample_alert(GraphSample *sample, GraphRowReader *reader,
			 const GraphRecord *record)
{
	graph_row_start(reader, record);
	for (;;)
	{
		MemoryContext old = MemoryContextSwitchTo(sample->row_context);
		bool		found = graph_row_next(reader, sample->values,
										   sample->isnull);

		MemoryContextSwitchTo(old);
		if (!found)
			break;
		keep_row(sample);
		MemoryContextReset(sample->row_context);
	}
	graph_row_stop(reader);
}

/*
 * start_request
 *		Begin to read the list of alerts, or to count them.
 */
static GraphScan *
start_request(GraphSession *session, GraphScanMode mode,
			  GraphProjection *projection, GraphRequest *request)
{
	const GraphResourceInfo *resource =
		graph_resource_info(session->options.resource);
	GraphScan  *scan = graph_scan_create(session, projection);

	request->mode = mode;
	request->entity_set = resource->entity_set;
	request->page_size = session->options.limits.page_size;
	request->first_page = request->page_size;
	if (mode == GRAPH_SCAN_COUNT)
	{
		request->first_page = 1;
		if (session->options.pushdown.select)
			request->select = resource->key;
	}
	graph_scan_start(scan, request);
	return scan;
}

/*
 * count_alerts
 *		How many alerts the service has; -1 if it does not say.
 */
static double
count_alerts(GraphSession *session)
{
	GraphRequest request = {0};
	GraphRecord record;
	GraphScan  *scan;
	double		count;

	if (!session->options.pushdown.count)
		return -1;
	scan = start_request(session, GRAPH_SCAN_COUNT, graph_projection_create(),
						 &request);
	while (graph_scan_next(scan, &record))
		;						/* the count comes with an alert */
	count = graph_scan_count(scan, 0);
	graph_scan_stop(scan);
	return count;
}

/*
 * read_sample
 *		Read alerts until there are enough; *complete if those were all.
 */
static double
read_sample(GraphSample *sample, GraphSession *session, bool *complete)
{
	GraphProjection *projection = graph_projection_create();
	GraphRowReader *reader = graph_row_reader_create(sample->relation,
													 list_make1_int(0),
													 &session->options, projection);
	GraphRequest request = {0};
	GraphScan  *scan = start_request(session, GRAPH_SCAN_LIST, projection,
									 &request);
	GraphRecord record;
	int			most = SAMPLED_PAGES *
		graph_resource_info(session->options.resource)->largest_page;
	double		alerts = 0;

	*complete = false;
	while (alerts < most)
	{
		if (!graph_scan_next(scan, &record))
		{
			*complete = true;
			break;
		}
		sample_alert(sample, reader, &record);
		alerts++;
	}
	graph_scan_stop(scan);
	return alerts;
}

/*
 * acquire_sample
 *		AcquireSampleRowsFunc.
 */
static int
acquire_sample(Relation relation, int elevel, HeapTuple *rows, int targrows,
			   double *totalrows, double *totaldeadrows)
{
	GraphSample sample = {0};
	GraphSession *session;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "graph_fdw analyze",
												  ALLOCSET_DEFAULT_SIZES);
	const char *records;
	double		alerts;
	double		total;
	bool		complete;

	MemoryContextSwitchTo(context);
	session = graph_session_open(RelationGetRelid(relation), GetUserId());
	records = graph_records_name(graph_resource_info(session->options.resource));
	sample.relation = relation;
	sample.rows = rows;
	sample.wanted = targrows;
	sample.tuple_context = caller;
	sample.values = palloc(RelationGetNumberOfAttributes(relation) * sizeof(Datum));
	sample.isnull = palloc(RelationGetNumberOfAttributes(relation) * sizeof(bool));
	sample.row_context = AllocSetContextCreate(context, "graph_fdw sample row",
											   ALLOCSET_DEFAULT_SIZES);
	alerts = read_sample(&sample, session, &complete);
	total = complete ? alerts : count_alerts(session);
	total = Max(total, alerts); /* where it is not known */
	MemoryContextSwitchTo(caller);

	*totalrows = alerts > 0 ? sample.seen * total / alerts : 0;
	*totaldeadrows = 0;
	ereport(elevel,
			(errmsg("\"%s\": read %.0f of about %.0f %s, containing %.0f rows; %d rows in sample",
					RelationGetRelationName(relation), alerts, total, records,
					sample.seen, sample.kept)));
	MemoryContextDelete(context);
	return sample.kept;
}

/*
 * count_pages
 *		How many alerts are there for a table of what is inside of them?
 *
 * That is asked for before the sample is read, since then it is kept as the
 * table's number of pages: an alert is about as large as one.  The table's rows
 * do not say, as alerts may have many of them or none.
 */
static double
count_pages(Relation relation)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "graph_fdw count",
												  ALLOCSET_DEFAULT_SIZES);
	double		count;

	MemoryContextSwitchTo(context);
	count = count_alerts(graph_session_open(RelationGetRelid(relation),
											relation->rd_rel->relowner));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return count;
}

/*
 * graphAnalyzeForeignTable
 *		How to sample a table, and how many alerts it is read from.
 */
bool
graphAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func,
						 BlockNumber *totalpages)
{
	double		alerts = relation->rd_rel->reltuples;
	ForeignTable *table = GetForeignTable(RelationGetRelid(relation));
	GraphOptions options;

	graph_get_options(table, GetForeignServer(table->serverid), NULL, &options);
	if (graph_resource_info(options.resource)->rows_member)
		alerts = count_pages(relation);
	*func = acquire_sample;
	*totalpages = (BlockNumber) Min(Max(alerts, 1), MaxBlockNumber);
	return true;
}
