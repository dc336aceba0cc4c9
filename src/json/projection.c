/*-------------------------------------------------------------------------
 *
 * projection.c
 *		Which members of a record are wanted?
 *
 * A projection is a tree of member names, in which those that are wanted have
 * a slot: a number, under which json.c hands out the member's bytes.  It is
 * made once for a scan, by whoever needs something of a record, and lives in
 * the memory context in which it was created.
 *
 * What this file refuses to know: the bytes of a record, columns.
 *
 * IDENTIFICATION
 *		src/json/projection.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "json/json_int.h"

/*
 * graph_projection_create
 *		Make a projection that wants nothing yet, in the current memory context.
 */
GraphProjection *
graph_projection_create(void)
{
	GraphProjection *projection = palloc0(sizeof(GraphProjection));

	projection->context = CurrentMemoryContext;
	projection->node_space = 16;
	projection->nodes = palloc0(projection->node_space *
								sizeof(ProjectionNode));
	projection->node_count = 1;
	projection->nodes[0].slot = -1;
	return projection;
}

/*
 * build_table
 *		Make the table of a node anew, at most a quarter full, so that a name
 *		that is not wanted mostly meets an empty place at once.
 */
static void
build_table(GraphProjection *projection, ProjectionNode *parent)
{
	size_t		size;

	parent->table_bits = 4;
	while ((1 << parent->table_bits) < 4 * parent->child_count)
		parent->table_bits++;
	size = ((size_t) 1 << parent->table_bits) * sizeof(int);

	if (parent->table != NULL)
		pfree(parent->table);
	parent->table = MemoryContextAllocZero(projection->context, size);

	for (int child = parent->first_child; child != 0;
		 child = projection->nodes[child].next_sibling)
	{
		const ProjectionNode *node = &projection->nodes[child];
		uint32		at = hash_name(node->name, node->name_len,
								   parent->table_bits);

		while (parent->table[at] != 0)
			at = (at + 1) & ((UINT32_C(1) << parent->table_bits) - 1);
		parent->table[at] = child;
	}
}

/*
 * add_child
 *		Find or make the child of a node that has this name.
 */
static int
add_child(GraphProjection *projection, int parent, const char *name, size_t len)
{
	const ProjectionNode *found;
	ProjectionNode *node;
	int			child;

	found = find_child(projection, &projection->nodes[parent], name, len);
	if (found != NULL)
		return found - projection->nodes;

	if (projection->node_count == projection->node_space)
	{
		projection->node_space *= 2;
		projection->nodes = repalloc(projection->nodes,
									 projection->node_space *
									 sizeof(ProjectionNode));
	}
	child = projection->node_count++;
	node = &projection->nodes[child];
	memset(node, 0, sizeof(ProjectionNode));
	node->name = MemoryContextAlloc(projection->context, len + 1);
	memcpy(node->name, name, len);
	node->name[len] = '\0';
	node->name_len = len;
	node->slot = -1;
	node->next_sibling = projection->nodes[parent].first_child;

	projection->nodes[parent].first_child = child;
	projection->nodes[parent].child_count++;
	build_table(projection, &projection->nodes[parent]);
	return child;
}

/*
 * graph_projection_add
 *		Want the member at a path; returns the number of its slot.
 *
 * A path is member names in UTF-8 with '/' between them, or "." for the whole
 * value.  The same path has the same slot however often it is added.
 */
int
graph_projection_add(GraphProjection *projection, const char *path)
{
	int			node = 0;

	if (strcmp(path, ".") == 0)
		path = NULL;
	while (path != NULL)
	{
		size_t		len = strcspn(path, "/");

		node = add_child(projection, node, path, len);
		path = (path[len] == '/') ? path + len + 1 : NULL;
	}

	if (projection->nodes[node].slot < 0)
		projection->nodes[node].slot = projection->slot_count++;
	return projection->nodes[node].slot;
}

/*
 * graph_projection_size
 *		How many slots a projection fills.
 */
int
graph_projection_size(const GraphProjection *projection)
{
	return projection->slot_count;
}
