/*-------------------------------------------------------------------------
 *
 * jsonb_int.h
 *		The tokens of a JSON text, which jsonb_nodes.c lists and jsonb.c reads.
 *
 * IDENTIFICATION
 *		src/row/jsonb_int.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_JSONB_INT_H
#define GRAPH_JSONB_INT_H

#include "base/simd.h"
#include "row/graph_row.h"

/* What a node is.  A key can only be of the first two kinds. */
typedef enum JsonbNodeKind
{
	NODE_STRING,				/* ASCII without escapes */
	NODE_ODD_STRING,			/* any other */
	NODE_NUMBER,
	NODE_WORD,					/* true, false or null */
	NODE_ARRAY,
	NODE_OBJECT,
} JsonbNodeKind;

/*
 * One token of the text, but for punctuation.  What is in an object or array
 * follows it, and in an object keys and values take turns.
 */
typedef struct JsonbNode
{
	uint32		start;			/* of the text, without the quotes */
	uint32		length;			/* of the text, or how many nodes are in it,
								 * or the type of JEntry that a word has */
	uint32		next;			/* the node after it and what is in it; of one
								 * that is still open, the one around it */
	uint32		kind;			/* a JsonbNodeKind */
} JsonbNode;

/* The tokens of a text; only jsonb_nodes.c changes them. */
typedef struct JsonbNodes
{
	MemoryContext context;		/* of the next member */
	JsonbNode  *nodes;			/* the first is around the value */
	uint32		count;
	uint32		space;
	uint32		open;			/* the innermost one that is not closed */
	int			depth;

	const char *data;			/* the text */
	const char *end;
	size_t		room;			/* the jsonb is no longer than this */
	size_t		key_room;		/* nor all odd keys than this */
	size_t		pairs;			/* in all objects */
} JsonbNodes;

/*
 * Nodes and members are made for so many at first, and kept for the next value
 * if they are not too many.  An alert has a few hundred nodes, and a column of
 * evidence often less than ten.
 */
#define FIRST_SPACE		64
#define MAX_SPACE_KEPT	8192

/*
 * What a node takes in addition to its text and JEntry: a count, or the header
 * of a numeric and digits that are only half used, and bytes before either to
 * align it.
 */
#define ALIGN_ROOM		(sizeof(uint32) - 1)
#define CONTAINER_ROOM	(sizeof(uint32) + ALIGN_ROOM)
#define NUMERIC_ROOM	16

/* A string is copied as two pieces of so many bytes if they can hold it. */
#define COPY_PIECE		16

/* in jsonb_nodes.c */
pg_noreturn extern void graph_jsonb_malformed(void);
extern void graph_jsonb_check_size(size_t size, const char *what);
extern void graph_jsonb_list_nodes(JsonbNodes *nodes, GraphSlice value);
extern void graph_jsonb_forget_nodes(JsonbNodes *nodes);

#endif							/* GRAPH_JSONB_INT_H */
