/*-------------------------------------------------------------------------
 *
 * evidence.c
 *		Which column can the service be asked for inside the evidence of an
 *		alert?
 *
 * Microsoft's guide for the move to alerts_v2 shows $filter with any() on a
 * string of one type of evidence; the reference does not.  So it is sent only
 * where the option evidence_filter says so, and a service that refuses it is
 * asked without (src/scan/refusal.c).
 *
 * What this file refuses to know: how the filter is written, what a value is.
 *
 * Source: "Migrate from the Microsoft Graph security alerts API".
 *
 * IDENTIFICATION
 *		src/plan/evidence.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/graph_plan.h"

/*
 * graph_evidence_path
 *		The path inside an element of evidence that an expression reads, if it is
 *		a column by which the service may filter; else NULL.
 *
 * A string whose column keeps it as it is: varchar(10) cuts.  Like
 * graph_is_key_column(), an error for a column that reads nothing.
 */
char *
graph_evidence_path(RelOptInfo *baserel, Expr *expr)
{
	GraphRelInfo *info = baserel->fdw_private;
	const char *type = info->options.evidence_type;
	Var		   *var = graph_own_var(baserel, expr);
	const GraphProperty *property;
	bool		in_alert;
	char	   *path;

	if (!info->options.pushdown.evidence_filter || type == NULL ||
		var == NULL || !graph_is_text(var->vartype) || var->vartypmod != -1)
		return NULL;
	path = graph_only_path(baserel, var, &in_alert);
	if (path == NULL || in_alert)
		return NULL;
	property = graph_find_path(type, path);
	if (property == NULL || property->type != GRAPH_EDM_STRING ||
		property->collection)
		return NULL;
	return path;
}
