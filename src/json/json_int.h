/*-------------------------------------------------------------------------
 *
 * json_int.h
 *		What the files of the JSON layer share, and nobody else sees.
 *
 * A projection is made by projection.c, once for a scan, and read here and in
 * json.c, where its table is looked into for each key of each record; hence
 * the functions that are inline.
 *
 * IDENTIFICATION
 *		src/json/json_int.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_JSON_INT_H
#define GRAPH_JSON_INT_H

#include "base/simd.h"
#include "json/graph_json.h"

/*
 * One member that somebody wants, or that is on the way to such a one.  Nodes
 * live in the array of their projection and name each other by index; 0 is the
 * root, and as nobody's child it also says "none".
 */
typedef struct ProjectionNode
{
	char	   *name;			/* unescaped, UTF-8 */
	size_t		name_len;
	int			slot;			/* where its value goes, or -1 */
	int			first_child;
	int			next_sibling;
	int			child_count;

	/* children by hash of their names, linear probing; NULL if childless */
	int		   *table;
	int			table_bits;		/* it has 2 ^ table_bits entries */
} ProjectionNode;

struct GraphProjection
{
	MemoryContext context;
	ProjectionNode *nodes;
	int			node_count;
	int			node_space;
	int			slot_count;
};

/*
 * hash_name
 *		The place of a name in the table of its parent.
 *
 * Three bytes and the length tell nearly all of the members of one type
 * apart, and reading only bytes of the name itself never runs past the end of
 * what has arrived.
 */
static inline uint32
hash_name(const char *name, size_t len, int bits)
{
	uint32		hash = (uint32) len;

	if (len > 0)
		hash += ((uint32) (unsigned char) name[0] << 8) +
			((uint32) (unsigned char) name[len / 2] << 16) +
			((uint32) (unsigned char) name[len - 1] << 24);
	return (hash * UINT32_C(0x9E3779B1)) >> (32 - bits);
}

/*
 * find_child
 *		The child of a node that has this name, or NULL.
 */
static inline const ProjectionNode *
find_child(const GraphProjection *projection, const ProjectionNode *parent,
		   const char *name, size_t len)
{
	uint32		at;

	if (parent->table == NULL)
		return NULL;

	at = hash_name(name, len, parent->table_bits);
	while (parent->table[at] != 0)
	{
		const ProjectionNode *child = &projection->nodes[parent->table[at]];

		if (child->name_len == len && memcmp(child->name, name, len) == 0)
			return child;
		at = (at + 1) & ((UINT32_C(1) << parent->table_bits) - 1);
	}
	return NULL;
}

/*
 * skip_space
 *		Step over white space.
 */
static inline const char *
skip_space(const char *p, const char *end)
{
	while (p < end &&
		   unlikely(*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/*
 * skip_plain
 *		Step over the bytes of a string that mean nothing but themselves: up to
 *		a quote, a backslash, a control character or the end of the bytes.
 *
 * This is where most of the time goes.
 */
static inline const char *
skip_plain(const char *p, const char *end)
{
	for (; graph_chunk_fits(p, end); p += sizeof(GraphChunk))
	{
		GraphChunk	chunk = graph_chunk_load(p);
		GraphChunk	special = graph_chunk_equal(chunk, '"') |
			graph_chunk_equal(chunk, '\\') | graph_chunk_is_control(chunk);
		GraphChunkMask mask = graph_chunk_mask(special);

		if (mask != 0)
			return p + graph_chunk_first(mask);
	}

	while (p < end && *p != '"' && *p != '\\' && (unsigned char) *p >= 0x20)
		p++;
	return p;
}

/*
 * hex_value
 *		The value of a hexadecimal digit, or -1 if it is none.
 */
static inline int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Where a value that is there only in part breaks off. */
typedef struct JsonBreak
{
	int			depth;			/* how many objects and arrays are open */
	size_t		token;			/* where the token starts that is cut */
} JsonBreak;

/* in json.c */
extern GraphJsonStatus graph_json_locate_open(const char *data, size_t len,
											  const GraphProjection *projection,
											  GraphSlice *slots, size_t *end,
											  JsonBreak *cut,
											  GraphJsonError *error);
extern GraphSlice graph_json_skip_bom(const char *data, size_t len);

/* in escape.c */
extern const char *graph_json_unescape(const char *p, const char *end,
									   uint32 *character);
extern bool graph_json_key_is(GraphSlice key, const char *name);

#endif							/* GRAPH_JSON_INT_H */
