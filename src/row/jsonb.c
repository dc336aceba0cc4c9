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
 * pass, jsonb_nodes.c, lists the tokens of the text as nodes and counts.  The
 * second one, here, goes through the nodes in the order of the jsonb and
 * writes each byte to where it stays.
 *
 * The first pass also says how long the result can become at most.  So the
 * second one writes into a single piece of memory and need not look where that
 * ends, and may copy a few bytes more than there are.
 *
 * Strings are cleaned as text.c says for odd strings.
 *
 * Assumed: a value that json.c has stepped over, so it is JSON and nests no
 * deeper than GRAPH_MAX_DEPTH; less than 256 MB, as max_record_size has it; a
 * database in UTF-8.  Where members have the same name, the last one counts,
 * and only its numbers have to be within the limits of numeric: that is the
 * one thing which the server's own way sees differently.
 *
 * What this file refuses to know: columns, where the bytes came from.
 *
 * Source: PostgreSQL's src/include/utils/jsonb.h (the format).
 *
 * IDENTIFICATION
 *		src/row/jsonb.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "row/jsonb_int.h"

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
	JsonbNodes	text;			/* what is written */
	JsonbMember *members;		/* of the objects around what is written */
	size_t		member_count;
	size_t		member_space;
	char	   *odd_keys;		/* where the next odd key goes */
};

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

	builder->text.context = CurrentMemoryContext;
	return builder;
}

/*
 * write_padding
 *		Go to the next multiple of four; the bytes between are zero.
 */
static inline char *
write_padding(char *out)
{
	memset(out, 0, ALIGN_ROOM);
	return (char *) INTALIGN(out);
}

/*
 * make_entry
 *		The entry of a node that ends so many bytes after the first one began.
 */
static inline JEntry
make_entry(uint32 type, size_t len, size_t end, uint32 index)
{
	if (unlikely(index % JB_OFFSET_STRIDE == 0))
		return type | JENTRY_HAS_OFF | (end & JENTRY_OFFLENMASK);
	return type | (len & JENTRY_OFFLENMASK);
}

/*
 * write_plain
 *		Copy text as it is.
 *
 * A short one is copied by whole pieces, which is faster than to look how long
 * it is; what comes next is written over the rest.
 */
static inline char *
write_plain(const GraphJsonbBuilder *builder, char *out, const char *p,
			size_t len)
{
	if (likely(len <= 2 * COPY_PIECE &&
			   builder->text.end - p >= 2 * COPY_PIECE))
	{
		memcpy(out, p, COPY_PIECE);
		memcpy(out + COPY_PIECE, p + COPY_PIECE, COPY_PIECE);
	}
	else
		memcpy(out, p, len);
	return out + len;
}

/*
 * simple_escape
 *		The character that an escape of one letter stands for.
 */
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
 * write_odd
 *		Write a string that is not plain.
 *
 * Mostly it is a path of Windows, with backslashes only; anything else is for
 * text.c.
 */
static char *
write_odd(char *out, const char *p, const char *end)
{
	while (p < end)
	{
		if (graph_chunk_fits(p, end))
		{
			GraphChunk	chunk = graph_chunk_load(p);
			GraphChunk	special = graph_chunk_equal(chunk, '\\') | chunk;
			GraphChunkMask mask = graph_chunk_mask(special);
			int			run = sizeof(GraphChunk);

			memcpy(out, p, sizeof(GraphChunk));
			if (mask != 0)
				run = graph_chunk_first(mask);
			p += run;
			out += run;
			if (mask == 0)
				continue;
		}
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

/*
 * write_number
 *		Write a number, with the bytes that align it.
 *
 * Inline, it would make each call of write_value() dearer.
 */
static pg_noinline char *
write_number(char *out, const char *p, size_t len)
{
	int64		integer;
	Numeric		number;
	Datum		text;
	size_t		size;

	if (graph_decode_integer((GraphSlice) {p, len}, &integer))
		number = int64_to_numeric(integer);
	else
	{
		text = CStringGetDatum(pnstrdup(p, len));
		number = DatumGetNumeric(DirectFunctionCall3(numeric_in, text,
													 InvalidOid, -1));
		pfree(DatumGetCString(text));
	}

	size = VARSIZE_ANY(number);
	if (ALIGN_ROOM + size > len + NUMERIC_ROOM)
		elog(ERROR, "numeric is longer than expected");
	out = write_padding(out);
	memcpy(out, number, size);
	pfree(number);
	return out + size;
}

/*
 * write_array
 *		Write an array, or the pseudo-array if flags say so.
 */
static char *
write_array(GraphJsonbBuilder *builder, uint32 index, uint32 flags, char *out)
{
	const JsonbNode *nodes = builder->text.nodes;
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
	graph_jsonb_check_size(out - start, "array");
	return out;
}

/*
 * rank_key
 *		What to sort by first: the length, and the first bytes of the key.
 */
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

/*
 * key_length
 *		The length of a member's key.
 */
static inline uint32
key_length(const JsonbMember *member)
{
	return member->rank >> 32;
}

/*
 * compare_keys
 *		The order of jsonb, in which 0 says that the keys are the same.
 */
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

/*
 * compare_members
 *		The same, and of equal keys the one that comes later is greater.
 */
static inline int
compare_members(const JsonbMember *a, const JsonbMember *b)
{
	int			order = compare_keys(a, b);

	if (unlikely(order == 0))
		order = (a->value > b->value) - (a->value < b->value);
	return order;
}

/*
 * To remember how the keys of an object like this one were sorted is not
 * faster: that has to be checked, too.
 */
#define ST_SORT sort_members
#define ST_ELEMENT_TYPE JsonbMember
#define ST_COMPARE(a, b) compare_members(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * drop_duplicates
 *		Of members with the same key keep the last; returns how many are left.
 */
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

/*
 * unescape_key
 *		A key that is not plain has to be unescaped before it can be compared.
 */
static void
unescape_key(GraphJsonbBuilder *builder, const JsonbNode *node,
			 JsonbMember *member)
{
	const char *key = builder->odd_keys;

	if (node->kind != NODE_ODD_STRING)
		graph_jsonb_malformed();
	builder->odd_keys = write_odd(builder->odd_keys, member->key,
								  member->key + node->length);
	member->rank = rank_key(key, builder->odd_keys - key);
	member->key = key;
	member->odd = true;
}

/*
 * collect_members
 *		List the members of an object in the order that jsonb has.
 */
static uint32
collect_members(GraphJsonbBuilder *builder, uint32 index,
				JsonbMember *members)
{
	const JsonbNode *nodes = builder->text.nodes;
	uint32		count = nodes[index].length / 2;

	index++;
	for (uint32 i = 0; i < count; i++)
	{
		JsonbMember *member = &members[i];
		const JsonbNode *node = &nodes[index];

		member->key = builder->text.data + node->start;
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

/*
 * write_object
 *		Write an object.
 */
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
	graph_jsonb_check_size(out - start, "object");
	return out;
}

/*
 * write_value
 *		Write a value; returns the end of it.
 *
 * This calls itself for each level of nesting, of which the first pass has let
 * no more than GRAPH_MAX_DEPTH through.
 */
static char *
write_value(GraphJsonbBuilder *builder, uint32 index, char *out, uint32 *type)
{
	const JsonbNode *node = &builder->text.nodes[index];
	const char *text = builder->text.data + node->start;

	switch ((JsonbNodeKind) node->kind)
	{
		case NODE_STRING:
			*type = JENTRY_ISSTRING;
			return write_plain(builder, out, text, node->length);
		case NODE_ODD_STRING:
			*type = JENTRY_ISSTRING;
			return write_odd(out, text, text + node->length);
		case NODE_NUMBER:
			*type = JENTRY_ISNUMERIC;
			return write_number(out, text, node->length);
		case NODE_WORD:
			*type = node->length;
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

/*
 * forget_members
 *		Give back the memory for members.
 */
static void
forget_members(GraphJsonbBuilder *builder)
{
	if (builder->members != NULL)
		pfree(builder->members);
	builder->members = NULL;
	builder->member_space = 0;
}

/*
 * start_writing
 *		Make ready for the second pass; returns the memory for odd keys, or
 *		NULL.
 *
 * There is room for the members of all objects, as all may be in one another.
 */
static char *
start_writing(GraphJsonbBuilder *builder)
{
	const JsonbNodes *text = &builder->text;
	char	   *keys = NULL;

	builder->member_count = 0;
	if (builder->members == NULL || builder->member_space < text->pairs)
	{
		size_t		space = Max(2 * builder->member_space, FIRST_SPACE);

		forget_members(builder);
		space = Max(space, text->pairs);
		builder->members = MemoryContextAllocHuge(text->context,
												  space * sizeof(JsonbMember));
		builder->member_space = space;
	}
	if (text->key_room > 0)
		keys = palloc_extended(text->key_room + 2 * COPY_PIECE,
							   MCXT_ALLOC_HUGE);
	builder->odd_keys = keys;
	return keys;
}

/*
 * graph_jsonb_build
 *		Make the jsonb of a value, in the current memory context.
 */
Datum
graph_jsonb_build(GraphJsonbBuilder *builder, GraphSlice value)
{
	const JsonbNodes *text = &builder->text;
	char	   *keys;
	char	   *result;
	char	   *out;
	size_t		size;

	Assert(GetDatabaseEncoding() == PG_UTF8);
	graph_jsonb_list_nodes(&builder->text, value);
	keys = start_writing(builder);

	result = palloc_extended(text->room, MCXT_ALLOC_HUGE);
	out = result + VARHDRSZ;
	if (text->nodes[1].kind == NODE_OBJECT)
		out = write_object(builder, 1, out);
	else if (text->nodes[1].kind == NODE_ARRAY)
		out = write_array(builder, 1, JB_FARRAY, out);
	else
		out = write_array(builder, 0, JB_FARRAY | JB_FSCALAR, out);

	Assert(out <= result + text->room - 2 * COPY_PIECE);
	size = out - result;
	SET_VARSIZE(result, size);
	if (text->room > 2 * size)
		result = repalloc(result, size);
	if (keys != NULL)
		pfree(keys);
	graph_jsonb_forget_nodes(&builder->text);
	if (builder->member_space > MAX_SPACE_KEPT)
		forget_members(builder);
	return PointerGetDatum(result);
}
