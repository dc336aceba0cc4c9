/*-------------------------------------------------------------------------
 *
 * jsonb_nodes.c
 *		Which tokens has this JSON text, and how large is it as a jsonb?
 *
 * The first of the two passes of jsonb.c.  It lists one node of 16 bytes for
 * each value and key, in the order of the document, and counts.  Commas and
 * colons say nothing that a valid text has not said otherwise.  It also adds
 * up how long the jsonb can become at most.
 *
 * Assumed: what jsonb.c assumes.  What is not JSON is an error, not a crash.
 *
 * What this file refuses to know: what a jsonb looks like inside.
 *
 * IDENTIFICATION
 *		src/row/jsonb_nodes.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "row/jsonb_int.h"

/*
 * Each node has an entry of its own in the result, so more than these cannot
 * be in one that is within jsonb's limit.
 */
#define MAX_NODES		(JENTRY_OFFLENMASK / sizeof(JEntry))

/* One character of an odd string can be three times as long as its text. */
#define ODD_ROOM(len)	(2 * (size_t) (len))

/*
 * graph_jsonb_malformed
 *		Raise that a text is not JSON.
 *
 * Cannot be: json.c has looked at every byte.
 */
void
graph_jsonb_malformed(void)
{
	elog(ERROR, "JSON value is malformed");
}

/*
 * graph_jsonb_check_size
 *		Raise an error if an array or object is larger than a jsonb can have.
 */
void
graph_jsonb_check_size(size_t size, const char *what)
{
	if (size > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("total size of jsonb %s elements exceeds the maximum of %d bytes",
						what, JENTRY_OFFLENMASK)));
}

/*
 * grow
 *		Make room for the next node.
 */
static void
grow(JsonbNodes *nodes)
{
	size_t		space = Max(2 * (size_t) nodes->space, FIRST_SPACE);

	if (nodes->space > MAX_NODES)
		graph_jsonb_check_size(space * sizeof(JEntry), "array");

	if (nodes->nodes == NULL)
		nodes->nodes = MemoryContextAlloc(nodes->context,
										  space * sizeof(JsonbNode));
	else
		nodes->nodes = repalloc_huge(nodes->nodes, space * sizeof(JsonbNode));
	nodes->space = space;
}

/*
 * add_node
 *		Add a node to the list, and to what is open.
 */
static inline JsonbNode *
add_node(JsonbNodes *nodes, JsonbNodeKind kind, const char *start,
		 size_t length)
{
	JsonbNode  *node;

	if (unlikely(nodes->count == nodes->space))
		grow(nodes);
	nodes->nodes[nodes->open].length++;

	node = &nodes->nodes[nodes->count++];
	node->start = start - nodes->data;
	node->length = length;
	node->next = nodes->count;
	node->kind = kind;
	return node;
}

/*
 * find_quote
 *		Find the quote that ends a string, and say whether the string is more
 *		than ASCII that stands for itself.
 */
static inline const char *
find_quote(const char *p, const char *end, bool *odd)
{
	GraphChunkMask high = 0;

	for (;;)
	{
		for (; graph_chunk_fits(p, end); p += sizeof(GraphChunk))
		{
			GraphChunk	chunk = graph_chunk_load(p);
			GraphChunk	special = graph_chunk_equal(chunk, '"') |
				graph_chunk_equal(chunk, '\\');
			GraphChunkMask mask = graph_chunk_mask(special);

			if (mask != 0)
			{
				/* of the bytes before the special one */
				high |= graph_chunk_mask(chunk) & (mask ^ (mask - 1));
				p += graph_chunk_first(mask);
				break;
			}
			high |= graph_chunk_mask(chunk);
		}
		while (p < end && *p != '"' && *p != '\\')
			high |= *p++ & 0x80;
		if (end - p < 2 && (p == end || *p == '\\'))
			graph_jsonb_malformed();
		if (*p == '"')
			break;
		high = 1;
		p += 2;
	}
	*odd = (high != 0);
	return p;
}

/*
 * note_odd
 *		The string just added is an odd one.
 */
static void
note_odd(JsonbNodes *nodes, JsonbNode *node)
{
	const JsonbNode *around = &nodes->nodes[nodes->open];

	node->kind = NODE_ODD_STRING;
	nodes->room += ODD_ROOM(node->length);
	if (around->kind == NODE_OBJECT && around->length % 2 != 0)
		nodes->key_room += node->length + ODD_ROOM(node->length);
}

/*
 * read_string
 *		Read a string, of which p is the opening quote; returns the byte after.
 */
static inline const char *
read_string(JsonbNodes *nodes, const char *p)
{
	bool		odd;
	const char *quote = find_quote(p + 1, nodes->end, &odd);
	JsonbNode  *node = add_node(nodes, NODE_STRING, p + 1, quote - p - 1);

	if (unlikely(odd))
		note_odd(nodes, node);
	return quote + 1;
}

/*
 * read_number
 *		Read a number.
 */
static const char *
read_number(JsonbNodes *nodes, const char *p)
{
	const char *start = p;

	while (p < nodes->end && ((*p >= '0' && *p <= '9') || *p == '-' ||
							  *p == '.' || *p == '+' || *p == 'e' || *p == 'E'))
		p++;
	if (p == start)
		graph_jsonb_malformed();

	add_node(nodes, NODE_NUMBER, start, p - start);
	nodes->room += NUMERIC_ROOM;
	return p;
}

/*
 * read_word
 *		Read a word of so many letters, by whose first one it was known.
 */
static const char *
read_word(JsonbNodes *nodes, const char *p, uint32 type, int length)
{
	if (nodes->end - p < length)
		graph_jsonb_malformed();
	add_node(nodes, NODE_WORD, p, type);
	return p + length;
}

/*
 * open_container, close_container
 *		An object or array begins or ends.
 */
static void
open_container(JsonbNodes *nodes, JsonbNodeKind kind, const char *p)
{
	JsonbNode  *node = add_node(nodes, kind, p, 0);

	if (++nodes->depth > GRAPH_MAX_DEPTH)
		graph_jsonb_malformed();
	node->next = nodes->open;
	nodes->open = node - nodes->nodes;
	nodes->room += CONTAINER_ROOM;
}

static void
close_container(JsonbNodes *nodes, JsonbNodeKind kind)
{
	JsonbNode  *node = &nodes->nodes[nodes->open];

	if (nodes->depth-- == 0 || node->kind != kind)
		graph_jsonb_malformed();
	if (kind == NODE_OBJECT)
	{
		if (node->length % 2 != 0)
			graph_jsonb_malformed();
		nodes->pairs += node->length / 2;
	}
	nodes->open = node->next;
	node->next = nodes->count;
}

/*
 * read_nodes
 *		List the tokens of the text.
 *
 * Strings come first, being most of them.
 */
static void
read_nodes(JsonbNodes *nodes)
{
	const char *p = nodes->data;
	const char *end = nodes->end;

	while (p < end)
	{
		if (likely(*p == '"'))
		{
			p = read_string(nodes, p);
			if (p < end && (*p == ':' || *p == ','))
				p++;
			continue;
		}
		switch (*p)
		{
			case ',':
			case ':':
			case ' ':
			case '\n':
			case '\r':
			case '\t':
				p++;
				break;
			case '{':
				open_container(nodes, NODE_OBJECT, p++);
				break;
			case '[':
				open_container(nodes, NODE_ARRAY, p++);
				break;
			case '}':
				close_container(nodes, NODE_OBJECT);
				p++;
				break;
			case ']':
				close_container(nodes, NODE_ARRAY);
				p++;
				break;
			case 't':
				p = read_word(nodes, p, JENTRY_ISBOOL_TRUE, 4);
				break;
			case 'f':
				p = read_word(nodes, p, JENTRY_ISBOOL_FALSE, 5);
				break;
			case 'n':
				p = read_word(nodes, p, JENTRY_ISNULL, 4);
				break;
			default:
				p = read_number(nodes, p);
				break;
		}
	}
	if (nodes->depth != 0 || nodes->nodes[0].length != 1)
		graph_jsonb_malformed();
}

/*
 * graph_jsonb_list_nodes
 *		List the tokens of a value.
 *
 * The value is put into an array of its own, which becomes that pseudo-array
 * by which jsonb has a value that is neither an object nor an array.
 */
void
graph_jsonb_list_nodes(JsonbNodes *nodes, GraphSlice value)
{
	Assert(value.data != NULL);
	if (value.len > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("JSON value of %zu bytes is too long", value.len)));

	if (nodes->space == 0)
		grow(nodes);
	nodes->nodes[0] = (JsonbNode) {.kind = NODE_ARRAY};
	nodes->count = 1;
	nodes->open = 0;
	nodes->depth = 0;
	nodes->data = value.data;
	nodes->end = value.data + value.len;
	nodes->room = VARHDRSZ + CONTAINER_ROOM + value.len + 2 * COPY_PIECE;
	nodes->key_room = 0;
	nodes->pairs = 0;

	read_nodes(nodes);
	nodes->room += nodes->count * sizeof(JEntry);
}

/*
 * graph_jsonb_forget_nodes
 *		Give back what only a large value needed.
 */
void
graph_jsonb_forget_nodes(JsonbNodes *nodes)
{
	if (nodes->space <= MAX_SPACE_KEPT)
		return;
	pfree(nodes->nodes);
	nodes->nodes = NULL;
	nodes->space = 0;
}
