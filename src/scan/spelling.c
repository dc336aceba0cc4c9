/*-------------------------------------------------------------------------
 *
 * spelling.c
 *		Have members of an enum come in another case than the metadata has them?
 *
 * Microsoft's documentation shows incidents whose status is "Active", and the
 * service gives "active".  Where both come, its count of what is equal to one of
 * them may hold the other.  So each record that is read is looked at, and what
 * was seen is known for the user mapping until the session ends or any user
 * mapping or foreign server is altered.
 *
 * Words are looked at as they came: one with an escape in it is not recognized.
 *
 * What this file refuses to know: conditions, counts, what is made of it.
 *
 * IDENTIFICATION
 *		src/scan/spelling.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "scan/scan_int.h"

/* A property that has come in another case to a user mapping. */
typedef struct Sighting
{
	Oid			umid;
	const GraphQueryProperty *property;
} Sighting;

/* Where a record of a scan has a member of an enum. */
typedef struct WatchedEnum
{
	const GraphQueryProperty *property;
	int			slot;
} WatchedEnum;

struct GraphSpelling
{
	int			count;
	WatchedEnum enums[FLEXIBLE_ARRAY_MEMBER];
};

static List *sightings = NIL;	/* of Sighting *, in TopMemoryContext */

/*
 * forget_sightings
 *		Syscache callback: a user mapping or a server has changed, and may lead
 *		elsewhere now.  It must not touch the catalogs or throw.
 */
static void
forget_sightings(Datum arg, int cacheid, uint32 hashvalue)
{
	list_free_deep(sightings);
	sightings = NIL;
}

/*
 * was_seen
 *		Has this property come in another case to this user mapping?
 */
static bool
was_seen(Oid umid, const GraphQueryProperty *property)
{
	ListCell   *cell;

	foreach(cell, sightings)
	{
		const Sighting *sighting = lfirst(cell);

		if (sighting->umid == umid && sighting->property == property)
			return true;
	}
	return false;
}

/*
 * note_sighting
 *		Remember that it has.
 */
static void
note_sighting(Oid umid, const GraphQueryProperty *property)
{
	static bool registered = false;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Sighting   *sighting;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(USERMAPPINGOID, forget_sightings, 0);
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, forget_sightings, 0);
		registered = true;
	}
	sighting = palloc(sizeof(Sighting));
	sighting->umid = umid;
	sighting->property = property;
	sightings = lappend(sightings, sighting);
	MemoryContextSwitchTo(old);
}

/*
 * graph_spelling_create
 *		Have those enums located in each record whose members may come in another
 *		case, in the current memory context.
 */
GraphSpelling *
graph_spelling_create(const GraphResourceInfo *resource,
					  GraphProjection *projection)
{
	GraphSpelling *spelling =
		palloc0(offsetof(GraphSpelling, enums) +
				resource->nproperties * sizeof(WatchedEnum));

	for (int i = 0; i < resource->nproperties; i++)
	{
		const GraphQueryProperty *property = &resource->properties[i];
		WatchedEnum *watched = &spelling->enums[spelling->count];

		if (property->type != GRAPH_EDM_ENUM || !property->any_case)
			continue;
		watched->property = property;
		watched->slot = graph_projection_add(projection, property->name);
		spelling->count++;
	}
	return spelling;
}

/*
 * graph_spelling_note
 *		Look at the record at hand.
 */
void
graph_spelling_note(const GraphShared *shared)
{
	const GraphSpelling *spelling = shared->parts.spelling;

	for (int i = 0; i < spelling->count; i++)
	{
		const WatchedEnum *watched = &spelling->enums[i];
		GraphSlice	value = shared->slots[watched->slot];

		/* without its quotes */
		if (graph_slice_is_string(value) &&
			graph_is_other_case(watched->property->enum_name, value.data + 1,
								value.len - 2) &&
			!was_seen(shared->session->umid, watched->property))
			note_sighting(shared->session->umid, watched->property);
	}
}

/*
 * graph_spelling_differs
 *		Has a member of this enum come in another case, to whichever scan of this
 *		session?
 */
bool
graph_spelling_differs(const GraphShared *shared, const char *name)
{
	return was_seen(shared->session->umid,
					graph_query_property(shared->resource, name));
}
