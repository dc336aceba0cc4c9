/*-------------------------------------------------------------------------
 *
 * group_tally.c
 *		How many alerts has each group?
 *
 * Groups are the members of an enum, so there are few, and they are looked
 * through one after the other.  They belong to the memory context in which the
 * tally was made.
 *
 * What this file refuses to know: where the numbers come from.
 *
 * IDENTIFICATION
 *		src/exec/group_tally.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "exec/graph_exec.h"

typedef struct TalliedGroup
{
	text	   *value;			/* NULL: those without one */
	int64		number;
} TalliedGroup;

struct GraphGroups
{
	MemoryContext context;
	List	   *groups;			/* of TalliedGroup * */
	int			next;			/* to be given */
};

/*
 * graph_groups_create
 *		No groups so far.
 */
GraphGroups *
graph_groups_create(void)
{
	GraphGroups *groups = palloc0(sizeof(GraphGroups));

	groups->context = AllocSetContextCreate(CurrentMemoryContext,
											"graph_fdw groups",
											ALLOCSET_SMALL_SIZES);
	return groups;
}

/*
 * is_value
 *		Are both the same text, or both none?
 */
static bool
is_value(const text * one, const text * other)
{
	if (one == NULL || other == NULL)
		return one == other;
	return VARSIZE_ANY_EXHDR(one) == VARSIZE_ANY_EXHDR(other) &&
		memcmp(VARDATA_ANY(one), VARDATA_ANY(other),
			   VARSIZE_ANY_EXHDR(one)) == 0;
}

/*
 * graph_groups_add
 *		Add so many alerts to the group of a text, or of NULL.
 */
void
graph_groups_add(GraphGroups *groups, const text * value, int64 number)
{
	MemoryContext old;
	TalliedGroup *group;
	ListCell   *cell;

	foreach(cell, groups->groups)
	{
		group = lfirst(cell);
		if (!is_value(group->value, value))
			continue;
		group->number += number;
		return;
	}
	old = MemoryContextSwitchTo(groups->context);
	group = palloc(sizeof(TalliedGroup));
	group->value = value ? (text *) PG_DETOAST_DATUM_COPY(PointerGetDatum(value)) : NULL;
	group->number = number;
	groups->groups = lappend(groups->groups, group);
	MemoryContextSwitchTo(old);
}

/*
 * graph_groups_next
 *		The next group that has an alert; false if there is none.
 */
bool
graph_groups_next(GraphGroups *groups, const text * *value, int64 *number)
{
	while (groups->next < list_length(groups->groups))
	{
		const TalliedGroup *group = list_nth(groups->groups, groups->next++);

		*value = group->value;
		*number = group->number;
		if (group->number > 0)
			return true;
	}
	return false;
}

/*
 * graph_groups_reset
 *		No groups again.
 */
void
graph_groups_reset(GraphGroups *groups)
{
	groups->groups = NIL;
	groups->next = 0;
	MemoryContextReset(groups->context);
}
