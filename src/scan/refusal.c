/*-------------------------------------------------------------------------
 *
 * refusal.c
 *		Which parts of a request does the service not know?
 *
 * A service, or a gateway before it, may answer a part of a request with
 * status 400: $select, $count, $orderby, a window's bounds or any() in $filter.
 * Then the scan goes on without.  When the service has answered without, that is
 * remembered for the user mapping and the entity set, of which each may be
 * served by another part of the service, until the session ends or any user
 * mapping or foreign server is altered.
 *
 * The same is remembered of the lists of what belongs to something else
 * (owned.c): whether the service has answered one, or does not know them; and
 * of enums whose members have come in another case (spelling.c).
 *
 * What this file refuses to know: how a request is spelled and what is done
 * without a part.
 *
 * IDENTIFICATION
 *		src/scan/refusal.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "scan/scan_int.h"

/* What is known of an entity set of a user mapping's service, for the session. */
typedef struct Refusal
{
	Oid			umid;
	const char *entity_set;
	int			refused;		/* GraphRequestPart */
	bool		answers;		/* it has answered something with 200 */
	bool		navigates;		/* and the list of what belongs to something, */
	bool		no_navigation;	/* or does not know these lists */
	uint32		other_case;		/* bits: its properties, by their places, of
								 * which a member has come in another case */
} Refusal;

static List *refusals = NIL;	/* of Refusal *, in TopMemoryContext */

/*
 * What is tried after 400, in this order: to leave the part out if the request
 * has it, and the service has not answered it in this scan, in which case it is
 * not what it refuses.
 *
 * What no reference has is suspected first, which is any().  A count is
 * suspected before an order only if an order was answered.  That an
 * order was answered for the list does not tell that it is for a window.
 */
static const struct
{
	int			part;
	int			after;			/* only if this was answered, 0: in any case */
	bool		even_if_answered;
}			suspects[] = {
	{GRAPH_PART_ANY, 0, false},
	{GRAPH_PART_SELECT, 0, false},
	{GRAPH_PART_COUNT, GRAPH_PART_ORDER, false},
	{GRAPH_PART_ORDER, 0, true},
	{GRAPH_PART_COUNT, 0, false},
};

/*
 * find_refusal
 *		What is known of an entity set of a user mapping's service, or NULL.
 */
static Refusal *
find_refusal(const GraphParts *parts)
{
	ListCell   *cell;

	foreach(cell, refusals)
	{
		Refusal    *refusal = lfirst(cell);

		if (refusal->umid == parts->umid &&
			strcmp(refusal->entity_set, parts->entity_set) == 0)
			return refusal;
	}
	return NULL;
}

/*
 * forget_refusals
 *		Syscache callback: a user mapping or a server has changed, and may lead
 *		elsewhere now.  It must not touch the catalogs or throw.
 */
static void
forget_refusals(Datum arg, int cacheid, uint32 hashvalue)
{
	ListCell   *cell;

	foreach(cell, refusals)
	{
		Refusal    *refusal = lfirst(cell);

		refusal->refused = 0;
		refusal->answers = false;
		refusal->navigates = refusal->no_navigation = false;
		refusal->other_case = 0;
	}
}

/*
 * graph_parts_start
 *		A scan begins, perhaps not for the first time: nothing was answered in
 *		it, but what was refused stays so.
 */
void
graph_parts_start(GraphParts *parts, const GraphSession *session)
{
	parts->umid = session->umid;
	parts->entity_set =
		graph_resource_info(session->options.resource)->entity_set;
	parts->accepted = 0;
}

/*
 * graph_parts_refused
 *		Those of some parts that the service has refused, in this scan or before.
 */
int
graph_parts_refused(const GraphParts *parts, int some)
{
	const Refusal *refusal = find_refusal(parts);

	return some & (parts->refused | (refusal ? refusal->refused : 0));
}

/*
 * graph_parts_answers
 *		Has the service answered anything of this entity set in this session?
 */
bool
graph_parts_answers(const GraphParts *parts)
{
	const Refusal *refusal = find_refusal(parts);

	return refusal && refusal->answers;
}

/*
 * get_refusal
 *		What is known of an entity set, be it nothing so far.
 */
static Refusal *
get_refusal(const GraphParts *parts)
{
	Refusal    *refusal = find_refusal(parts);
	MemoryContext old;

	if (refusal)
		return refusal;
	if (refusals == NIL)
	{
		CacheRegisterSyscacheCallback(USERMAPPINGOID, forget_refusals, (Datum) 0);
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, forget_refusals, (Datum) 0);
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	refusal = palloc0(sizeof(Refusal));
	refusal->umid = parts->umid;
	refusal->entity_set = parts->entity_set;
	refusals = lappend(refusals, refusal);
	MemoryContextSwitchTo(old);
	return refusal;
}

/*
 * graph_parts_accept
 *		The service has answered a request that had these parts, and from which
 *		others had been left out: these are not tried again in this session.
 */
void
graph_parts_accept(GraphParts *parts, int asked, int left_out)
{
	Refusal    *refusal = get_refusal(parts);

	parts->accepted |= asked;
	parts->unproven = 0;
	refusal->answers = true;
	refusal->refused |= left_out | parts->refused;
}

/*
 * graph_parts_refuse
 *		The service seems to refuse a part; it is not proven before something is
 *		answered without.
 */
void
graph_parts_refuse(GraphParts *parts, int part)
{
	parts->refused |= part;
	parts->unproven |= part;
}

/*
 * graph_parts_acquit
 *		A request without the parts that are not proven was refused as well: they
 *		were not the reason.
 */
void
graph_parts_acquit(GraphParts *parts)
{
	parts->refused &= ~parts->unproven;
	parts->unproven = 0;
}

/*
 * graph_parts_suspect
 *		After 400 to a request with these parts: which one to leave out next, 0
 *		for none.
 */
int
graph_parts_suspect(const GraphParts *parts, int asked)
{
	for (size_t i = 0; i < lengthof(suspects); i++)
	{
		int			part = suspects[i].part;

		if ((asked & part) != 0 &&
			(suspects[i].even_if_answered || (parts->accepted & part) == 0) &&
			(parts->accepted & suspects[i].after) == suspects[i].after)
			return part;
	}
	return 0;
}

/*
 * graph_navigation_answers, graph_navigation_is_refused
 *		Has the service answered the list of what belongs to something with 200 in
 *		this session, or does it not know these lists?
 */
bool
graph_navigation_answers(const GraphParts *parts)
{
	const Refusal *refusal = find_refusal(parts);

	return refusal && refusal->navigates;
}

bool
graph_navigation_is_refused(const GraphParts *parts)
{
	const Refusal *refusal = find_refusal(parts);

	return refusal && refusal->no_navigation;
}

/*
 * graph_navigation_note
 *		It has, or it does not.
 */
void
graph_navigation_note(const GraphParts *parts, bool answers)
{
	Refusal    *refusal = get_refusal(parts);

	refusal->navigates = answers;
	refusal->no_navigation = !answers;
}

/*
 * graph_other_case_is_known, graph_other_case_note
 *		Has a member of the enum that is at this place among the properties come
 *		in another case; it has.
 */
bool
graph_other_case_is_known(const GraphParts *parts, int place)
{
	const Refusal *refusal = find_refusal(parts);

	return refusal && (refusal->other_case & (1U << place)) != 0;
}

void
graph_other_case_note(const GraphParts *parts, int place)
{
	Assert(place >= 0 && place < 32);
	get_refusal(parts)->other_case |= 1U << place;
}
