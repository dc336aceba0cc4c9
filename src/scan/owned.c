/*-------------------------------------------------------------------------
 *
 * owned.c
 *		What belongs to something else, and does the service know its lists?
 *
 * The alerts of an incident come by a list of their own, without options: it has
 * links, and nobody says that it can be filtered, counted or put in order.
 *
 * An alert may move from one incident to another while both are asked for.  So
 * what counts is whose it says it is: one that belongs to none that is wanted is
 * as if it had not come, and of the others each is given once, whichever list it
 * is in.
 *
 * That there is no such owner and that there are no such lists are said in the
 * same words, perhaps: the status is 404 or 400, the code is not documented.  As
 * long as none of these lists has been answered, such an answer is doubted, and
 * the owner itself is asked for.  If that is there, the lists are not.  If it is
 * not, nothing belongs to it, provided that the service knows owners at all.
 * Then one is asked for after the other.  What comes of it is kept for the
 * session (refusal.c).
 *
 * What this file refuses to know: pages, links, and what is read where there are
 * no such lists.
 *
 * IDENTIFICATION
 *		src/scan/owned.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "scan/scan_int.h"

/*
 * graph_owned_prepare
 *		Have it located in each record to what that belongs.
 */
void
graph_owned_prepare(GraphShared *shared)
{
	const GraphNavigation *navigation = shared->resource->navigation;
	MemoryContext old = MemoryContextSwitchTo(shared->context);

	Assert(navigation);
	shared->owned.slot = graph_projection_add(shared->projection,
											  navigation->property);
	MemoryContextSwitchTo(old);
}

/*
 * graph_owned_reset
 *		A scan begins.
 */
void
graph_owned_reset(GraphShared *shared)
{
	shared->owned.unknown = false;
}

/*
 * graph_owned_is_tried
 *		Are such lists asked for, and not known to be answered?
 */
bool
graph_owned_is_tried(const GraphShared *shared)
{
	return shared->request->mode == GRAPH_SCAN_OWNED &&
		!graph_navigation_answers(&shared->parts);
}

/*
 * graph_owned_is_wanted
 *		Does the record at hand belong to what its chain has asked for, or to
 *		something else that the request names?
 */
bool
graph_owned_is_wanted(const GraphChain *chain)
{
	const GraphShared *shared = chain->shared;
	const GraphRequest *request = shared->request;
	GraphSlice	value = shared->slots[shared->owned.slot];
	char	   *owner;

	if (value.data == NULL || graph_slice_is_null(value))
		return false;
	owner = graph_slice_is_string(value) ? graph_decode_string(value) :
		pnstrdup(value.data, value.len);
	if (strcmp(owner, chain->task.key) == 0)
		return true;
	for (int i = 0; i < request->nkeys; i++)
	{
		if (strcmp(owner, request->keys[i]) == 0)
			return true;
	}
	return false;
}

/*
 * owners
 *		What is known of the entity set of the owners.
 */
static GraphParts
owners(const GraphShared *shared)
{
	const GraphParts result = {
		.umid = shared->parts.umid,
		.entity_set = shared->resource->navigation->owner_set,
	};

	return result;
}

/*
 * graph_owned_accept
 *		The service has answered a task with 200: true if that was one of those
 *		here, and nothing else is known by it.
 */
bool
graph_owned_accept(const GraphChain *chain)
{
	const GraphShared *shared = chain->shared;
	GraphParts	parts;

	switch (chain->task.kind)
	{
		case GRAPH_TASK_OWNED:
			graph_navigation_note(&shared->parts, true);
			return true;
		case GRAPH_TASK_OWNERS:
			parts = owners(shared);
			graph_parts_accept(&parts, 0, 0);
			return true;
		default:
			return false;
	}
}

/*
 * graph_owned_refuse
 *		The service does not know such lists: the scan ends here.
 */
void
graph_owned_refuse(GraphShared *shared)
{
	elog(DEBUG1, "graph_fdw: the service does not know %s/{%s}/%s",
		 shared->resource->navigation->owner_set,
		 shared->resource->navigation->owner,
		 shared->resource->navigation->segment);
	graph_navigation_note(&shared->parts, false);
	shared->owned.unknown = true;
}

/*
 * graph_owned_permission
 *		If a chain asks for such a list, name the permission that it takes.
 */
void
graph_owned_permission(const GraphChain *chain, GraphPeer *peer)
{
	const GraphNavigation *navigation = chain->shared->resource->navigation;

	if (chain->task.kind != GRAPH_TASK_OWNED)
		return;
	peer->permission = navigation->permission;
	peer->otherwise = psprintf("With the option \"%s\" of the server or foreign table set to false, the list of all %s is read instead.",
							   navigation->option,
							   graph_records_name(chain->shared->resource));
}

/*
 * graph_owned_judge
 *		What it means that a task was not answered with 200, if it is one of those
 *		here and the status says more than that it failed.
 *
 * Only the service's own error document says that something is not there.
 */
GraphVerdict
graph_owned_judge(const GraphChain *chain, int status,
				  const GraphRemoteError *remote)
{
	GraphParts	parts;
	bool		is_told = remote->code || remote->message;

	if (status != 404 && status != 400 &&
		(status != 403 || chain->task.kind == GRAPH_TASK_OWNED))
		return GRAPH_VERDICT_ERROR;
	switch (chain->task.kind)
	{
		case GRAPH_TASK_OWNED:
			return chain->page_number > 1 ? GRAPH_VERDICT_ERROR :
				GRAPH_VERDICT_PROBE;
		case GRAPH_TASK_OWNER:
			if (status == 403 || !is_told)
				return GRAPH_VERDICT_NOT_OWNED;
			parts = owners(chain->shared);
			return graph_parts_answers(&parts) ? GRAPH_VERDICT_END :
				GRAPH_VERDICT_PROBE;
		case GRAPH_TASK_OWNERS:
			return GRAPH_VERDICT_NOT_OWNED;
		default:
			return GRAPH_VERDICT_ERROR;
	}
}
