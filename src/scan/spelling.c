/*-------------------------------------------------------------------------
 *
 * spelling.c
 *		Have members of an enum come in another case than the metadata has them?
 *
 * Microsoft's documentation shows incidents whose status is "Active", and the
 * service gives "active".  Where both come, its count of what is equal to one of
 * them may hold the other.  So each record that is read is looked at, and what
 * was seen is remembered for the session (refusal.c).
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

#include "scan/scan_int.h"

/* Where a record of a scan has a member of an enum. */
typedef struct WatchedEnum
{
	int			place;			/* among the resource's properties */
	int			slot;
} WatchedEnum;

struct GraphSpelling
{
	int			count;
	WatchedEnum enums[FLEXIBLE_ARRAY_MEMBER];
};

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
		watched->place = i;
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
		const GraphQueryProperty *property =
			&shared->resource->properties[watched->place];
		GraphSlice	value = shared->slots[watched->slot];

		/* without its quotes */
		if (graph_slice_is_string(value) &&
			graph_is_other_case(property->enum_name, value.data + 1,
								value.len - 2))
			graph_other_case_note(&shared->parts, watched->place);
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
	const GraphResourceInfo *resource = shared->resource;

	return graph_other_case_is_known(&shared->parts,
									 graph_query_property(resource, name) -
									 resource->properties);
}
