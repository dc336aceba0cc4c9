/*-------------------------------------------------------------------------
 *
 * deparse.c
 *		Which part of this query can Graph do, how is it spelled, and is it
 *		exact?
 *
 * What can be done is an equality of the alert's id with a value that is
 * known before the scan starts: it becomes the path of one GET.  Every clause
 * stays in the plan and is checked again, so whatever is sent needs only to
 * return at least the right rows.
 *
 * An operator is recognized by its OID, never by its name, and equality of
 * text counts only under a deterministic collation: under another one, more
 * strings are equal than the service would find.
 *
 * What this file refuses to know: tokens, transfers, paths of the planner.
 *
 * IDENTIFICATION
 *		deparse.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "graph_fdw.h"

/*
 * Longest id that is asked for, in bytes.  Graph's are below 100; a request
 * line much longer than this is refused by servers and proxies.
 */
#define MAX_ID_BYTES	1024

static bool is_known_at_start(RelOptInfo *baserel, Expr *expr);

/*
 * graph_key_value
 *		If a clause says that the alert's id equals something that is known
 *		when the scan starts, that something; else NULL.
 */
Expr *
graph_key_value(PlannerInfo *root, RelOptInfo *baserel, Expr *clause)
{
	OpExpr	   *op = (OpExpr *) clause;
	Expr	   *left;
	Expr	   *right;

	if (!IsA(clause, OpExpr) || op->opno != TextEqualOperator ||
		!OidIsValid(op->inputcollid) ||
		!get_collation_isdeterministic(op->inputcollid))
		return NULL;

	left = linitial(op->args);
	right = lsecond(op->args);
	if (graph_is_key_column(root, baserel, left) && is_known_at_start(baserel, right))
		return right;
	if (graph_is_key_column(root, baserel, right) && is_known_at_start(baserel, left))
		return left;
	return NULL;
}

/*
 * graph_is_key_column
 *		Is this expression a column that reads the alert's id as text?
 *
 * A varchar is relabeled to text; char(n) is not, as it is padded.
 */
bool
graph_is_key_column(PlannerInfo *root, RelOptInfo *baserel, Expr *expr)
{
	GraphRelInfo *info = baserel->fdw_private;
	GraphColumn *column;
	Var		   *var;

	if (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	if (!IsA(expr, Var))
		return false;
	var = (Var *) expr;
	if ((Index) var->varno != baserel->relid || var->varlevelsup != 0 ||
		var->varattno <= 0 ||
		(var->vartype != TEXTOID && var->vartype != VARCHAROID))
		return false;

	column = graph_resolve_column(info->options.resource,
								  info->options.evidence_type,
								  info->table_name,
								  get_attname(info->relid, var->varattno, false),
								  graph_column_property(info->relid,
														var->varattno));
	return column->source == GRAPH_SOURCE_PATHS &&
		list_length(column->paths) == 1 &&
		strcmp(linitial(column->paths), "id") == 0 &&
		(info->resource->rows_member == NULL ||
		 linitial_int(column->in_alert));
}

/*
 * is_known_at_start
 *		Can this expression be evaluated once, when the scan starts?
 *
 * It has no column of this table and no volatile function; columns of other
 * tables are parameters of a nested loop by then.
 */
static bool
is_known_at_start(RelOptInfo *baserel, Expr *expr)
{
	return !bms_is_member(baserel->relid, pull_varnos(NULL, (Node *) expr)) &&
		!contain_volatile_functions((Node *) expr) &&
		!contain_subplans((Node *) expr);
}

/*
 * leads_elsewhere
 *		Has a text a path segment "." or ".."?
 *
 * Percent-encoding does not protect those: RFC 3986 section 6.2.2.3 lets
 * everyone on the way remove them, and "%2F" is "/" to many a proxy.
 */
static bool
leads_elsewhere(const char *text)
{
	while (true)
	{
		size_t		len = strcspn(text, "/\\");

		if ((len == 1 && text[0] == '.') ||
			(len == 2 && text[0] == '.' && text[1] == '.'))
			return true;
		if (text[len] == '\0')
			return false;
		text += len + 1;
	}
}

/*
 * graph_key_path
 *		The path of an alert below the service root, or NULL if no alert can
 *		have this id: it is empty, too long, or would lead somewhere else.
 */
char *
graph_key_path(const GraphResourceInfo *info, const char *key)
{
	char	   *decoded;

	if (key[0] == '\0' || strlen(key) > MAX_ID_BYTES)
		return NULL;

	/* an id that is encoded already must not be decoded twice on the way */
	decoded = graph_url_unescape(key);
	if (leads_elsewhere(key) || leads_elsewhere(decoded))
		return NULL;
	return psprintf("%s/%s", info->entity_set, graph_url_escape(key));
}

/*
 * graph_list_path
 *		The path of the list of alerts, with its options.
 */
char *
graph_list_path(const GraphResourceInfo *info, const GraphOptions *options)
{
	return psprintf("%s?$top=%d", info->entity_set, options->page_size);
}
