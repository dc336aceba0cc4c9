/*-------------------------------------------------------------------------
 *
 * jsonb.c
 *		What is this JSON text as a jsonb?
 *
 * The server's own way makes a tree, in which each value is allocated, and
 * writes the jsonb from that.  Here the bytes are known to be JSON, so that
 * the jsonb can be written from them directly; it is byte for byte the same.
 *
 * That takes two passes.  In a jsonb, the entries of an object or array stand
 * before what is in it, and keys are in order and come before the values: how
 * many members there are has to be known before the first of them is written,
 * and which is the first is not known before the last was seen.  So the first
 * pass lists the tokens of the text, one node of 16 bytes for each value and
 * key in the order of the document, and counts.  The second one goes through
 * the nodes in the order of the jsonb and writes each byte to where it stays.
 * Commas and colons say nothing that a valid text has not said otherwise.
 *
 * The first pass also adds up how long the result can become at most.  So the
 * second one writes into a single piece of memory and need not look where that
 * ends, and may copy a few bytes more than there are.
 *
 * The format is that of utils/jsonb.h.  Strings are cleaned as decode.c says
 * for odd strings.
 *
 * Assumed: a value that json.c has stepped over, so it is JSON and nests no
 * deeper than GRAPH_MAX_DEPTH; less than 256 MB, as max_record_size has it; a
 * database in UTF-8.  Where members have the same name, the last one counts,
 * and only its numbers have to be within the limits of numeric: that is the
 * one thing which the server's own way sees differently.
 *
 * IDENTIFICATION
 *		src/row/jsonb.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#if defined(__SSE2__) && !defined(GRAPH_NO_SIMD)
#define GRAPH_USE_SSE2
#include <emmintrin.h>
#endif

#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "row/graph_row.h"

/* What a node is.  A key can only be of the first two kinds. */
typedef enum NodeKind
{
	NODE_STRING,				/* ASCII without escapes */
	NODE_ODD_STRING,			/* any other */
	NODE_INTEGER,				/* of MAX_INTEGER digits at most */
	NODE_NUMBER,				/* any other */
	NODE_TRUE,
	NODE_FALSE,
	NODE_NULL,
	NODE_ARRAY,
	NODE_OBJECT,
} NodeKind;

/*
 * One token of the text, but for punctuation.  What is in an object or array
 * follows it, and in an object keys and values take turns.
 */
typedef struct JsonbNode
{
	uint32		start;			/* of the text, without the quotes */
	uint32		length;			/* of the text, or how many nodes are in it */
	uint32		next;			/* the node after it and what is in it; of one
								 * that is still open, the one around it */
	uint32		kind;			/* a NodeKind */
} JsonbNode;

/*
 * A member of an object that is being written.  jsonb has keys in order of
 * length, and of bytes where that is the same.  The length and the first four
 * bytes make one number, which nearly always tells two keys apart.
 */
typedef struct JsonbMember
{
	uint64		rank;			/* see rank_key() */
	const char *key;			/* unescaped */
	uint32		value;			/* its node */
	bool		odd;			/* the key is not in the text */
} JsonbMember;

struct GraphJsonbBuilder
{
	MemoryContext context;		/* lives as long as the builder */

	JsonbNode  *nodes;			/* the first is around the value */
	uint32		node_count;
	uint32		node_space;
	uint32		open;			/* the innermost one that is not closed */
	int			depth;

	const char *data;			/* the text */
	const char *end;
	size_t		room;			/* the result is no longer than this */
	size_t		key_room;		/* nor all odd keys than this */
	size_t		pairs;			/* in all objects */

	JsonbMember *members;		/* of the objects around what is written */
	size_t		member_count;
	size_t		member_space;
	char	   *odd_keys;		/* where the next odd key goes */
};

/*
 * Nodes and members are made for so many at first, and kept for the next value
 * if they are not too many.  An alert has a few hundred nodes, and a column of
 * evidence often less than ten.
 */
#define FIRST_SPACE		64
#define MAX_SPACE_KEPT	8192

/* So many digits fit into an int64 whatever they are. */
#define MAX_INTEGER		18

/*
 * Each node has an entry of its own in the result, so more than these cannot
 * be in one that is within jsonb's limit.
 */
#define MAX_NODES		(JENTRY_OFFLENMASK / sizeof(JEntry))

/*
 * What a node takes in addition to its text and JEntry: a count, or the header
 * of a numeric and digits that are only half used, and bytes before either to
 * align it.
 */
#define ALIGN_ROOM		(sizeof(uint32) - 1)
#define CONTAINER_ROOM	(sizeof(uint32) + ALIGN_ROOM)
#define NUMERIC_ROOM	16

/* One character of an odd string can be three times as long as its text. */
#define ODD_ROOM(len)	(2 * (size_t) (len))

/* A string is copied as two pieces of so many bytes if they can hold it. */
#define COPY_PIECE		16

/* An object with more members than this is sorted by a better algorithm. */
#define FEW_MEMBERS		64

static char *write_value(GraphJsonbBuilder *builder, uint32 index, char *out,
						 uint32 *type);

/*
 * graph_jsonb_builder_create
 *		Make what graph_jsonb_build() keeps from one value to the next, in the
 *		current memory context.
 */
GraphJsonbBuilder *
graph_jsonb_builder_create(void)
{
	GraphJsonbBuilder *builder = palloc0(sizeof(GraphJsonbBuilder));

	builder->context = CurrentMemoryContext;
	return builder;
}

/* Cannot be: json.c has looked at every byte. */
pg_noreturn static void
malformed(void)
{
	elog(ERROR, "JSON value is malformed");
}

static void
check_size(size_t size, const char *what)
{
	if (size > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("total size of jsonb %s elements exceeds the maximum of %d bytes",
						what, JENTRY_OFFLENMASK)));
}

/*-------------------------------------------------------------------------
 * The first pass: from the text to nodes.
 *-------------------------------------------------------------------------
 */

/* Make room for the next node. */
static void
grow_nodes(GraphJsonbBuilder *builder)
{
	size_t		space = Max(2 * (size_t) builder->node_space, FIRST_SPACE);

	if (builder->node_space > MAX_NODES)
		check_size(space * sizeof(JEntry), "array");

	if (builder->nodes == NULL)
		builder->nodes = MemoryContextAlloc(builder->context,
											space * sizeof(JsonbNode));
	else
		builder->nodes = repalloc_huge(builder->nodes,
									   space * sizeof(JsonbNode));
	builder->node_space = space;
}

static inline JsonbNode *
add_node(GraphJsonbBuilder *builder, NodeKind kind, const char *start,
		 const char *end)
{
	JsonbNode  *node;

	if (unlikely(builder->node_count == builder->node_space))
		grow_nodes(builder);
	builder->nodes[builder->open].length++;

	node = &builder->nodes[builder->node_count++];
	node->start = start - builder->data;
	node->length = end - start;
	node->next = builder->node_count;
	node->kind = kind;
	return node;
}

/*
 * Find the quote that ends a string, and say whether the string is more than
 * ASCII that stands for itself.
 */
static inline const char *
find_quote(const char *p, const char *end, bool *odd)
{
	unsigned int high = 0;

	for (;;)
	{
#ifdef GRAPH_USE_SSE2
		while (end - p >= (ptrdiff_t) sizeof(__m128i))
		{
			__m128i		chunk = _mm_loadu_si128((const __m128i *) p);
			__m128i		special;
			unsigned int mask;

			special = _mm_or_si128(_mm_cmpeq_epi8(chunk, _mm_set1_epi8('"')),
								   _mm_cmpeq_epi8(chunk, _mm_set1_epi8('\\')));
			mask = _mm_movemask_epi8(special);
			if (mask != 0)
			{
				/* of the bytes before the special one */
				high |= _mm_movemask_epi8(chunk) & (mask ^ (mask - 1));
				p += __builtin_ctz(mask);
				break;
			}
			high |= _mm_movemask_epi8(chunk);
			p += sizeof(__m128i);
		}
#endif
		while (p < end && *p != '"' && *p != '\\')
			high |= *p++ & 0x80;
		if (end - p < 2 && (p == end || *p == '\\'))
			malformed();
		if (*p == '"')
			break;
		high = 1;
		p += 2;
	}
	*odd = (high != 0);
	return p;
}

/* The string just added is an odd one. */
static void
note_odd(GraphJsonbBuilder *builder, JsonbNode *node)
{
	const JsonbNode *around = &builder->nodes[builder->open];

	node->kind = NODE_ODD_STRING;
	builder->room += ODD_ROOM(node->length);
	if (around->kind == NODE_OBJECT && around->length % 2 != 0)
		builder->key_room += node->length + ODD_ROOM(node->length);
}

/* Read a string, of which p is the opening quote; returns the byte after. */
static inline const char *
read_string(GraphJsonbBuilder *builder, const char *p)
{
	bool		odd;
	const char *quote = find_quote(p + 1, builder->end, &odd);
	JsonbNode  *node = add_node(builder, NODE_STRING, p + 1, quote);

	if (unlikely(odd))
		note_odd(builder, node);
	return quote + 1;
}

static inline const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static const char *
read_number(GraphJsonbBuilder *builder, const char *p)
{
	const char *end = builder->end;
	const char *digits = (*p == '-') ? p + 1 : p;
	const char *after = skip_digits(digits, end);
	NodeKind	kind = NODE_INTEGER;

	if (after == digits)
		malformed();
	if (after - digits > MAX_INTEGER)
		kind = NODE_NUMBER;
	while (after < end && (*after == '.' || *after == 'e' || *after == 'E'))
	{
		kind = NODE_NUMBER;
		after++;
		if (after < end && (*after == '+' || *after == '-'))
			after++;
		after = skip_digits(after, end);
	}

	add_node(builder, kind, p, after);
	builder->room += NUMERIC_ROOM;
	return after;
}

static const char *
read_scalar(GraphJsonbBuilder *builder, const char *p)
{
	NodeKind	kind = NODE_TRUE;
	int			len = 4;

	if (*p == 'f')
	{
		kind = NODE_FALSE;
		len = 5;
	}
	else if (*p == 'n')
		kind = NODE_NULL;
	else if (*p != 't')
		return read_number(builder, p);

	if (builder->end - p < len)
		malformed();
	add_node(builder, kind, p, p + len);
	return p + len;
}

static void
open_container(GraphJsonbBuilder *builder, NodeKind kind, const char *p)
{
	JsonbNode  *node = add_node(builder, kind, p, p);

	if (++builder->depth > GRAPH_MAX_DEPTH)
		malformed();
	node->next = builder->open;
	builder->open = node - builder->nodes;
	builder->room += CONTAINER_ROOM;
}

static void
close_container(GraphJsonbBuilder *builder, NodeKind kind)
{
	JsonbNode  *node = &builder->nodes[builder->open];

	if (builder->depth-- == 0 || node->kind != kind)
		malformed();
	if (kind == NODE_OBJECT)
	{
		if (node->length % 2 != 0)
			malformed();
		builder->pairs += node->length / 2;
	}
	builder->open = node->next;
	node->next = builder->node_count;
}

/*
 * List the tokens of the text.  Strings come first, being most of them.
 *
 * The value is put into an array of its own, which becomes that pseudo-array
 * by which jsonb has a value that is neither an object nor an array.
 */
static void
read_nodes(GraphJsonbBuilder *builder)
{
	const char *p = builder->data;

	while (p < builder->end)
	{
		if (likely(*p == '"'))
		{
			p = read_string(builder, p);
			if (p < builder->end && (*p == ':' || *p == ','))
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
				open_container(builder, NODE_OBJECT, p++);
				break;
			case '[':
				open_container(builder, NODE_ARRAY, p++);
				break;
			case '}':
				close_container(builder, NODE_OBJECT);
				p++;
				break;
			case ']':
				close_container(builder, NODE_ARRAY);
				p++;
				break;
			default:
				p = read_scalar(builder, p);
				break;
		}
	}
	if (builder->depth != 0 || builder->nodes[0].length != 1)
		malformed();
}

/*-------------------------------------------------------------------------
 * The second pass: from nodes to jsonb.
 *-------------------------------------------------------------------------
 */

/* Go to the next multiple of four; the bytes between are zero. */
static inline char *
write_padding(char *out)
{
	memset(out, 0, ALIGN_ROOM);
	return (char *) INTALIGN(out);
}

/* The entry of a node that ends so many bytes after the first one began. */
static inline JEntry
make_entry(uint32 type, size_t len, size_t end, uint32 index)
{
	if (unlikely(index % JB_OFFSET_STRIDE == 0))
		return type | JENTRY_HAS_OFF | (end & JENTRY_OFFLENMASK);
	return type | (len & JENTRY_OFFLENMASK);
}

/*
 * Copy text as it is.  A short one is copied by whole pieces, which is faster
 * than to look how long it is; what comes next is written over the rest.
 */
static inline char *
write_plain(const GraphJsonbBuilder *builder, char *out, const char *p,
			size_t len)
{
	if (likely(len <= 2 * COPY_PIECE && builder->end - p >= 2 * COPY_PIECE))
	{
		memcpy(out, p, COPY_PIECE);
		memcpy(out + COPY_PIECE, p + COPY_PIECE, COPY_PIECE);
	}
	else
		memcpy(out, p, len);
	return out + len;
}

static inline char
simple_escape(char c)
{
	switch (c)
	{
		case 'b':
			return '\b';
		case 'f':
			return '\f';
		case 'n':
			return '\n';
		case 'r':
			return '\r';
		case 't':
			return '\t';
		default:
			return c;
	}
}

/*
 * Write a string that is not plain.  Mostly it is a path of Windows, with
 * backslashes only; anything else is for decode.c.
 */
static char *
write_odd(char *out, const char *p, const char *end)
{
	while (p < end)
	{
#ifdef GRAPH_USE_SSE2
		if (end - p >= (ptrdiff_t) sizeof(__m128i))
		{
			__m128i		chunk = _mm_loadu_si128((const __m128i *) p);
			__m128i		backslash;
			int			mask;
			int			run = sizeof(__m128i);

			backslash = _mm_cmpeq_epi8(chunk, _mm_set1_epi8('\\'));
			mask = _mm_movemask_epi8(_mm_or_si128(chunk, backslash));
			_mm_storeu_si128((__m128i *) out, chunk);
			if (mask != 0)
				run = __builtin_ctz(mask);
			p += run;
			out += run;
			if (mask == 0)
				continue;
		}
#endif
		while (p < end && *p != '\\' && !IS_HIGHBIT_SET(*p))
			*out++ = *p++;
		if (p == end)
			break;
		if (*p != '\\' || p[1] == 'u')
			return graph_clean_text(out, p, end);
		*out++ = simple_escape(p[1]);
		p += 2;
	}
	return out;
}

/* Write a numeric with the bytes that align it into so much room. */
static char *
write_numeric(char *out, Numeric number, size_t room)
{
	size_t		size = VARSIZE_ANY(number);

	if (ALIGN_ROOM + size > room)
		elog(ERROR, "numeric is longer than expected");
	out = write_padding(out);
	memcpy(out, number, size);
	pfree(number);
	return out + size;
}

static char *
write_integer(char *out, const char *p, size_t len)
{
	const char *end = p + len;
	bool		negative = (*p == '-');
	int64		number = 0;

	for (p += negative; p < end; p++)
		number = number * 10 + (*p - '0');
	return write_numeric(out, int64_to_numeric(negative ? -number : number),
						 len + NUMERIC_ROOM);
}

static char *
write_number(char *out, const char *p, size_t len)
{
	char	   *text = pnstrdup(p, len);
	Datum		number;

	number = DirectFunctionCall3(numeric_in, CStringGetDatum(text),
								 ObjectIdGetDatum(InvalidOid),
								 Int32GetDatum(-1));
	pfree(text);
	return write_numeric(out, DatumGetNumeric(number), len + NUMERIC_ROOM);
}

/* Write an array, or the pseudo-array if flags say so. */
static char *
write_array(GraphJsonbBuilder *builder, uint32 index, uint32 flags, char *out)
{
	const JsonbNode *nodes = builder->nodes;
	uint32		count = nodes[index].length;
	char	   *start = out;
	char	   *content;
	JEntry	   *entries;

	CHECK_FOR_INTERRUPTS();
	out = write_padding(out);
	*(uint32 *) out = count | flags;
	entries = (JEntry *) (out + sizeof(uint32));
	content = out = (char *) (entries + count);

	index++;
	for (uint32 i = 0; i < count; i++)
	{
		char	   *before = out;
		uint32		type;

		out = write_value(builder, index, out, &type);
		entries[i] = make_entry(type, out - before, out - content, i);
		index = nodes[index].next;
	}
	check_size(out - start, "array");
	return out;
}

/* What to sort by first: the length, and the first bytes of the key. */
static inline uint64
rank_key(const char *key, uint32 len)
{
	uint32		prefix;

	/* after a key, there are its quote, a colon, a value and a bracket */
	memcpy(&prefix, key, sizeof(uint32));
	prefix = pg_ntoh32(prefix);
	if (len < sizeof(uint32))
		prefix &= ~(PG_UINT32_MAX >> (8 * len));
	return (uint64) len << 32 | prefix;
}

static inline uint32
key_length(const JsonbMember *member)
{
	return member->rank >> 32;
}

/* The order of jsonb, in which 0 says that the keys are the same. */
static inline int
compare_keys(const JsonbMember *a, const JsonbMember *b)
{
	if (likely(a->rank != b->rank))
		return a->rank < b->rank ? -1 : 1;
	if (key_length(a) <= sizeof(uint32))
		return 0;
	return memcmp(a->key + sizeof(uint32), b->key + sizeof(uint32),
				  key_length(a) - sizeof(uint32));
}

/* The same, and of equal keys the one that comes later is greater. */
static inline int
compare_members(const JsonbMember *a, const JsonbMember *b)
{
	int			order = compare_keys(a, b);

	if (unlikely(order == 0))
		order = (a->value > b->value) - (a->value < b->value);
	return order;
}

#define ST_SORT sort_many_members
#define ST_ELEMENT_TYPE JsonbMember
#define ST_COMPARE(a, b) compare_members(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Sort the members of an object.  To remember how the keys of an object like
 * this one were sorted is not faster: that has to be checked, too.
 */
static void
sort_members(JsonbMember *members, uint32 count)
{
	if (count > FEW_MEMBERS)
	{
		sort_many_members(members, count);
		return;
	}

	for (uint32 i = 1; i < count; i++)
	{
		JsonbMember member = members[i];
		uint32		at = i;

		while (at > 0 && compare_members(&member, &members[at - 1]) < 0)
		{
			members[at] = members[at - 1];
			at--;
		}
		members[at] = member;
	}
}

/* Of members with the same key keep the last; returns how many are left. */
static uint32
drop_duplicates(JsonbMember *members, uint32 count)
{
	uint32		kept = 0;

	for (uint32 i = 0; i < count; i++)
	{
		if (i + 1 < count && compare_keys(&members[i], &members[i + 1]) == 0)
			continue;
		members[kept++] = members[i];
	}
	return kept;
}

/* A key that is not plain has to be unescaped before it can be compared. */
static void
unescape_key(GraphJsonbBuilder *builder, const JsonbNode *node,
			 JsonbMember *member)
{
	const char *key = builder->odd_keys;

	if (node->kind != NODE_ODD_STRING)
		malformed();
	builder->odd_keys = write_odd(builder->odd_keys, member->key,
								  member->key + node->length);
	member->rank = rank_key(key, builder->odd_keys - key);
	member->key = key;
	member->odd = true;
}

/* List the members of an object in the order that jsonb has. */
static uint32
collect_members(GraphJsonbBuilder *builder, uint32 index,
				JsonbMember *members)
{
	const JsonbNode *nodes = builder->nodes;
	uint32		count = nodes[index].length / 2;

	index++;
	for (uint32 i = 0; i < count; i++)
	{
		JsonbMember *member = &members[i];
		const JsonbNode *node = &nodes[index];

		member->key = builder->data + node->start;
		member->value = index + 1;
		member->odd = false;
		if (likely(node->kind == NODE_STRING))
			member->rank = rank_key(member->key, node->length);
		else
			unescape_key(builder, node, member);
		index = nodes[index + 1].next;
	}

	sort_members(members, count);
	return drop_duplicates(members, count);
}

static char *
write_object(GraphJsonbBuilder *builder, uint32 index, char *out)
{
	JsonbMember *members = &builder->members[builder->member_count];
	uint32		count = collect_members(builder, index, members);
	char	   *start = out;
	char	   *content;
	JEntry	   *entries;

	out = write_padding(out);
	*(uint32 *) out = count | JB_FOBJECT;
	entries = (JEntry *) (out + sizeof(uint32));
	content = out = (char *) (entries + 2 * (size_t) count);

	for (uint32 i = 0; i < count; i++)
	{
		uint32		len = key_length(&members[i]);

		if (unlikely(members[i].odd))
		{
			memcpy(out, members[i].key, len);
			out += len;
		}
		else
			out = write_plain(builder, out, members[i].key, len);
		entries[i] = make_entry(JENTRY_ISSTRING, len, out - content, i);
	}

	builder->member_count += count;
	for (uint32 i = 0; i < count; i++)
	{
		char	   *before = out;
		uint32		type;

		out = write_value(builder, members[i].value, out, &type);
		entries[count + i] = make_entry(type, out - before, out - content,
										count + i);
	}
	builder->member_count -= count;
	check_size(out - start, "object");
	return out;
}

/*
 * Write a value; returns the end of it.  This calls itself for each level of
 * nesting, of which the first pass has let no more than GRAPH_MAX_DEPTH
 * through.
 */
static char *
write_value(GraphJsonbBuilder *builder, uint32 index, char *out, uint32 *type)
{
	const JsonbNode *node = &builder->nodes[index];
	const char *text = builder->data + node->start;

	switch ((NodeKind) node->kind)
	{
		case NODE_STRING:
			*type = JENTRY_ISSTRING;
			return write_plain(builder, out, text, node->length);
		case NODE_ODD_STRING:
			*type = JENTRY_ISSTRING;
			return write_odd(out, text, text + node->length);
		case NODE_INTEGER:
			*type = JENTRY_ISNUMERIC;
			return write_integer(out, text, node->length);
		case NODE_NUMBER:
			*type = JENTRY_ISNUMERIC;
			return write_number(out, text, node->length);
		case NODE_TRUE:
			*type = JENTRY_ISBOOL_TRUE;
			return out;
		case NODE_FALSE:
			*type = JENTRY_ISBOOL_FALSE;
			return out;
		case NODE_NULL:
			*type = JENTRY_ISNULL;
			return out;
		case NODE_ARRAY:
			*type = JENTRY_ISCONTAINER;
			return write_array(builder, index, JB_FARRAY, out);
		case NODE_OBJECT:
			*type = JENTRY_ISCONTAINER;
			return write_object(builder, index, out);
	}
	pg_unreachable();
}

/*-------------------------------------------------------------------------
 * Both.
 *-------------------------------------------------------------------------
 */

/* Make ready for the first pass; the first node is the array around it all. */
static void
start_build(GraphJsonbBuilder *builder, GraphSlice value)
{
	if (value.len > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("JSON value of %zu bytes is too long", value.len)));

	if (builder->node_space == 0)
		grow_nodes(builder);
	memset(&builder->nodes[0], 0, sizeof(JsonbNode));
	builder->nodes[0].kind = NODE_ARRAY;
	builder->node_count = 1;
	builder->open = 0;
	builder->depth = 0;
	builder->data = value.data;
	builder->end = value.data + value.len;
	builder->room = VARHDRSZ + CONTAINER_ROOM + value.len + 2 * COPY_PIECE;
	builder->key_room = 0;
	builder->pairs = 0;
}

/* Have room for the members of all objects, as all may be in one another. */
static void
grow_members(GraphJsonbBuilder *builder)
{
	size_t		space = Max(2 * builder->member_space, FIRST_SPACE);

	space = Max(space, builder->pairs);
	if (builder->members != NULL)
		pfree(builder->members);
	builder->members = NULL;
	builder->member_space = 0;
	builder->members = MemoryContextAllocHuge(builder->context,
											  space * sizeof(JsonbMember));
	builder->member_space = space;
}

/* Make ready for the second pass; returns the memory for odd keys, or NULL. */
static char *
start_writing(GraphJsonbBuilder *builder)
{
	char	   *keys = NULL;

	builder->room += builder->node_count * sizeof(JEntry);
	builder->member_count = 0;
	if (builder->members == NULL || builder->member_space < builder->pairs)
		grow_members(builder);
	if (builder->key_room > 0)
		keys = palloc_extended(builder->key_room + 2 * COPY_PIECE,
							   MCXT_ALLOC_HUGE);
	builder->odd_keys = keys;
	return keys;
}

/* Give back what only a large value needed. */
static void
finish_build(GraphJsonbBuilder *builder)
{
	if (builder->node_space > MAX_SPACE_KEPT)
	{
		pfree(builder->nodes);
		builder->nodes = NULL;
		builder->node_space = 0;
	}
	if (builder->member_space > MAX_SPACE_KEPT)
	{
		pfree(builder->members);
		builder->members = NULL;
		builder->member_space = 0;
	}
}

/*
 * graph_jsonb_build
 *		Make the jsonb of a value, in the current memory context.
 */
Datum
graph_jsonb_build(GraphJsonbBuilder *builder, GraphSlice value)
{
	const JsonbNode *top;
	char	   *keys;
	char	   *result;
	char	   *out;
	size_t		size;

	start_build(builder, value);
	read_nodes(builder);
	keys = start_writing(builder);

	result = palloc_extended(builder->room, MCXT_ALLOC_HUGE);
	out = result + VARHDRSZ;
	top = &builder->nodes[1];
	if (top->kind == NODE_OBJECT)
		out = write_object(builder, 1, out);
	else if (top->kind == NODE_ARRAY)
		out = write_array(builder, 1, JB_FARRAY, out);
	else
		out = write_array(builder, 0, JB_FARRAY | JB_FSCALAR, out);

	Assert(out <= result + builder->room - 2 * COPY_PIECE);
	size = out - result;
	SET_VARSIZE(result, size);
	if (builder->room > 2 * size)
		result = repalloc(result, size);
	if (keys != NULL)
		pfree(keys);
	finish_build(builder);
	return PointerGetDatum(result);
}
