/*-------------------------------------------------------------------------
 *
 * modify_explain.c
 *		What does EXPLAIN show of what is written?
 *
 * With VERBOSE the request that is made for each row, without the values; after
 * an execution what was done, and with VERBOSE the client-request-id of the
 * first and last requests, by which the service's own log names them.
 *
 * What this file refuses to know: values, answers.
 *
 * IDENTIFICATION
 *		src/exec/modify_explain.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/value.h"

#include "exec/modify_int.h"

/*
 * write_text
 *		The request that is made for each row.
 */
static char *
write_text(Oid relid, List *write)
{
	ForeignTable *table = GetForeignTable(relid);
	GraphOptions options;
	const GraphResourceInfo *resource;
	StringInfoData text;
	ListCell   *cell;

	graph_get_options(table, GetForeignServer(table->serverid), NULL, &options);
	resource = graph_resource_info(options.resource);
	initStringInfo(&text);
	appendStringInfo(&text, "%s %s/{%s}", resource->rows_member ? "POST" : "PATCH",
					 resource->entity_set, resource->key);
	if (resource->rows_member)
		appendStringInfo(&text, "/%s", resource->rows_member);
	appendStringInfoString(&text, " {");
	foreach(cell, (List *) list_nth(write, GRAPH_WRITE_PROPERTIES))
		appendStringInfo(&text, "%s%s",
						 foreach_current_index(cell) > 0 ? ", " : "",
						 strVal(lfirst(cell)));
	appendStringInfoChar(&text, '}');
	return text.data;
}

/*
 * explain_written
 *		What was done.
 */
static void
explain_written(GraphModify *modify, ExplainState *es)
{
	List	   *request_ids;
	const GraphWriteCounters *counters = graph_modify_counters(modify,
															   &request_ids);
	ListCell   *cell;

	ExplainPropertyInteger("Graph Writes", NULL, counters->writes, es);
	ExplainPropertyInteger("Graph Write Requests", NULL, counters->requests, es);
	ExplainPropertyInteger("Graph Write Retries", NULL, counters->retries, es);
	if (es->timing && (counters->limited > 0 || es->format != EXPLAIN_FORMAT_TEXT))
		ExplainPropertyFloat("Graph Write Time Throttled", "ms",
							 counters->limited / 1000.0, 3, es);
	foreach(cell, request_ids)
	{
		if (lfirst(cell) == NULL)
			lfirst(cell) = "...";	/* some are left out */
	}
	if (es->verbose && request_ids)
		ExplainPropertyList("Graph Client Request Ids", request_ids, es);
}

/*
 * graph_explain_writes
 *		Show what is written to a table by a plan (GraphWritePrivate), and what
 *		was, unless it was not executed: NULL.
 *
 * As text both requests of a scan that writes have the same name.
 */
void
graph_explain_writes(Oid relid, List *write, GraphModify *modify,
					 ExplainState *es)
{
	if (es->verbose && write)
		ExplainPropertyText(es->format == EXPLAIN_FORMAT_TEXT ?
							"Graph Request" : "Graph Write Request",
							write_text(relid, write), es);
	if (es->analyze && modify)
		explain_written(modify, es);
}
