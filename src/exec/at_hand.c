/*-------------------------------------------------------------------------
 *
 * at_hand.c
 *		Has another scan of this query the wanted alert in its hands?
 *
 * A query may look up, for each alert of a list, what the list has already
 * brought: "(SELECT count(*) FROM alert_comments WHERE alert_id = a.id)" in the
 * row of "a", or a LATERAL of its evidence.  So each scan shows the others the
 * record whose rows it gives, and a scan that is about to ask for a single
 * alert looks there first.
 *
 * Only scans of one execution share, of the same entity set, server and user
 * mapping; and only if the record was asked for with all the properties that
 * the other reads.  The record is copied, because the scan that showed it may
 * move on before the last row was made of the copy.
 *
 * What is shown belongs to the scan that shows it, and is taken away before its
 * bytes go; an entry leaves the list with the memory context it was made in.
 *
 * What this file refuses to know: how rows are made of a record.
 *
 * IDENTIFICATION
 *		src/exec/at_hand.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "utils/memutils.h"

#include "exec/graph_exec.h"

struct GraphAtHand
{
	dlist_node	node;			/* in all_scans */
	const EState *estate;		/* of which execution */
	const GraphSession *session;
	const char *entity_set;
	List	   *select;			/* GRAPH_PLAN_SELECT */
	GraphProjection *projection;
	const GraphRecord *shown;	/* the record whose rows are given, or NULL */

	/* a copy of another's */
	MemoryContext context;
	GraphRecord taken;
};

/* Every scan of the backend that has begun. */
static dlist_head all_scans = DLIST_STATIC_INIT(all_scans);

/*
 * leave
 *		Memory context callback: the scan is gone.
 */
static void
leave(void *arg)
{
	GraphAtHand *hand = arg;

	dlist_delete(&hand->node);
}

/*
 * graph_at_hand_create
 *		Let a scan show its records and see those of others, until the current
 *		memory context is reset.
 */
GraphAtHand *
graph_at_hand_create(ForeignScanState *node, const GraphSession *session,
					 GraphProjection *projection)
{
	GraphAtHand *hand = palloc0(sizeof(GraphAtHand));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	hand->estate = node->ss.ps.state;
	hand->session = session;
	hand->entity_set =
		graph_resource_info(session->options.resource)->entity_set;
	hand->select = graph_plan_list((ForeignScan *) node->ss.ps.plan,
								   GRAPH_PLAN_SELECT);
	hand->projection = projection;
	hand->context = AllocSetContextCreate(CurrentMemoryContext,
										  "graph_fdw record of another scan",
										  ALLOCSET_SMALL_SIZES);
	dlist_push_head(&all_scans, &hand->node);
	callback->func = leave;
	callback->arg = hand;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return hand;
}

/*
 * graph_at_hand_show
 *		The rows that are given next are of this record, which stays as it is
 *		until this is called again; NULL: it goes now.
 */
void
graph_at_hand_show(GraphAtHand *hand, const GraphRecord *record)
{
	hand->shown = record;
}

/*
 * can_share
 *		Would the service have answered the one as it has answered the other?
 *
 * Without $select all properties come.
 */
static bool
can_share(const GraphAtHand *hand, const GraphAtHand *other)
{
	return other != hand && other->shown && other->estate == hand->estate &&
		other->session->serverid == hand->session->serverid &&
		other->session->umid == hand->session->umid &&
		other->session->userid == hand->session->userid &&
		strcmp(other->entity_set, hand->entity_set) == 0 &&
		(other->select == NIL ||
		 (hand->select && list_difference(hand->select, other->select) == NIL));
}

/*
 * is_of_key
 *		Is this the record of the alert with that id?
 */
static bool
is_of_key(const GraphRecord *record, const char *key)
{
	char	   *id = graph_decode_string(record->id);
	bool		result = id && strcmp(id, key) == 0;

	if (id)
		pfree(id);
	return result;
}

/*
 * take
 *		A copy of a record, with what this scan's projection wants of it.
 */
static const GraphRecord *
take(GraphAtHand *hand, const GraphRecord *record)
{
	int			slots = graph_projection_size(hand->projection);
	ptrdiff_t	id = record->id.data - record->whole.data;
	GraphJsonError error;
	MemoryContext old;
	size_t		end;
	char	   *data;

	Assert(id >= 0 && id + record->id.len <= record->whole.len);
	graph_at_hand_drop(hand);
	old = MemoryContextSwitchTo(hand->context);
	data = MemoryContextAllocHuge(hand->context,
								  record->whole.len + 1);
	memcpy(data, record->whole.data, record->whole.len);
	data[record->whole.len] = '\0';
	hand->taken.slots = palloc0(Max(slots, 1) * sizeof(GraphSlice));
	MemoryContextSwitchTo(old);

	hand->taken.whole.data = data;
	hand->taken.whole.len = record->whole.len;
	hand->taken.id.data = data + id;
	hand->taken.id.len = record->id.len;
	if (graph_json_locate(data, record->whole.len, hand->projection,
						  hand->taken.slots, &end, &error) != GRAPH_JSON_OK)
		return NULL;
	return &hand->taken;
}

/*
 * graph_at_hand_take
 *		The alert with this id, if another scan has it in its hands; else NULL.
 *
 * The result is this scan's own, until it takes another or drops it.
 */
const GraphRecord *
graph_at_hand_take(GraphAtHand *hand, const char *key)
{
	dlist_iter	iter;

	dlist_foreach(iter, &all_scans)
	{
		const GraphAtHand *other = dlist_container(GraphAtHand, node, iter.cur);

		if (can_share(hand, other) && is_of_key(other->shown, key))
			return take(hand, other->shown);
	}
	return NULL;
}

/*
 * graph_at_hand_drop
 *		Forget what was taken.
 */
void
graph_at_hand_drop(GraphAtHand *hand)
{
	MemoryContextReset(hand->context);
}
