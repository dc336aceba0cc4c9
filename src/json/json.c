/*-------------------------------------------------------------------------
 *
 * json.c
 *		Where in these bytes is the member?
 *
 * An answer is read in one pass and without a tree: the end of each record
 * is found, the wanted members are located in it, and everything else is
 * stepped over.  What is handed out are slices of the caller's own bytes,
 * raw as they stand there, so a string still has its quotes and escapes and
 * a number all of its digits.
 *
 * Everything that is walked or stepped over is checked to be JSON as RFC 8259
 * has it: grammar, escapes, numbers, no control characters in strings, and no
 * more than GRAPH_MAX_DEPTH levels.  What is not checked is whether strings
 * are valid UTF-8: most of them are never looked at again, and decode.c checks
 * those that are.
 *
 * Assumed: bytes in UTF-8, or something that ASCII can be told from; member
 * names of a projection in UTF-8.  Nothing here knows of HTTP, options, Datums or
 * encodings, and the functions that read neither throw nor allocate; they
 * return a status and say what is wrong in constant texts.
 *
 * IDENTIFICATION
 *		src/json/json.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#if defined(__SSE2__) && !defined(GRAPH_NO_SIMD)
#define GRAPH_USE_SSE2
#include <emmintrin.h>
#endif

#include "mb/pg_wchar.h"

#include "json/graph_json.h"

/*
 * One member that somebody wants, or that is on the way to such a one.  Nodes
 * live in the array of their projection and name each other by index; 0 is the
 * root, and as nobody's child it also says "none".
 */
typedef struct ShapeNode
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
} ShapeNode;

struct GraphProjection
{
	MemoryContext context;
	ShapeNode  *nodes;
	int			node_count;
	int			node_space;
	int			slot_count;
};

/*
 * A walk over one value.  The reading functions take the byte to start at and
 * return the byte after what they read, or NULL when they cannot go on; then
 * status, problem and where say why.
 */
typedef struct JsonScan
{
	const char *end;
	const GraphProjection *projection;	/* NULL: only step over */
	GraphSlice *slots;
	bool		open_ended;		/* more bytes may follow, so that a number at
								 * the end of these may be longer */
	bool		escaped;		/* a string had a backslash */

	GraphJsonStatus status;
	const char *problem;
	const char *where;			/* for INCOMPLETE: start of the token that the
								 * bytes end in */

	int			depth;
	char		closers[GRAPH_MAX_DEPTH];	/* what ends each open level that
											 * is stepped over */
} JsonScan;

static const char *locate_value(JsonScan *scan, const char *p,
								const ShapeNode *node);

/*-------------------------------------------------------------------------
 * Shapes: which members are wanted.
 *-------------------------------------------------------------------------
 */

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
	projection->nodes = palloc0(projection->node_space * sizeof(ShapeNode));
	projection->node_count = 1;
	projection->nodes[0].slot = -1;
	return projection;
}

/*
 * Place of a name in the table of its parent.
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

static inline const ShapeNode *
find_child(const GraphProjection *projection, const ShapeNode *parent,
		   const char *name, size_t len)
{
	uint32		at;

	if (parent->table == NULL)
		return NULL;

	at = hash_name(name, len, parent->table_bits);
	while (parent->table[at] != 0)
	{
		const ShapeNode *child = &projection->nodes[parent->table[at]];

		if (child->name_len == len && memcmp(child->name, name, len) == 0)
			return child;
		at = (at + 1) & ((UINT32_C(1) << parent->table_bits) - 1);
	}
	return NULL;
}

/*
 * Make the table of a node anew, at most a quarter full, so that a name that
 * is not wanted mostly meets an empty place at once.
 */
static void
build_table(GraphProjection *projection, ShapeNode *parent)
{
	size_t		size;
	int			child;

	parent->table_bits = 4;
	while ((1 << parent->table_bits) < 4 * parent->child_count)
		parent->table_bits++;
	size = ((size_t) 1 << parent->table_bits) * sizeof(int);

	if (parent->table != NULL)
		pfree(parent->table);
	parent->table = MemoryContextAllocZero(projection->context, size);

	for (child = parent->first_child; child != 0;
		 child = projection->nodes[child].next_sibling)
	{
		const ShapeNode *node = &projection->nodes[child];
		uint32		at;

		at = hash_name(node->name, node->name_len, parent->table_bits);
		while (parent->table[at] != 0)
			at = (at + 1) & ((UINT32_C(1) << parent->table_bits) - 1);
		parent->table[at] = child;
	}
}

/* Find or make the child of a node that has this name. */
static int
add_child(GraphProjection *projection, int parent, const char *name, size_t len)
{
	const ShapeNode *found;
	ShapeNode  *node;
	int			child;

	found = find_child(projection, &projection->nodes[parent], name, len);
	if (found != NULL)
		return found - projection->nodes;

	if (projection->node_count == projection->node_space)
	{
		projection->node_space *= 2;
		projection->nodes = repalloc(projection->nodes,
								projection->node_space * sizeof(ShapeNode));
	}
	child = projection->node_count++;
	node = &projection->nodes[child];
	memset(node, 0, sizeof(ShapeNode));
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

	if (strcmp(path, ".") != 0)
	{
		for (;;)
		{
			size_t		len = strcspn(path, "/");

			node = add_child(projection, node, path, len);
			if (path[len] == '\0')
				break;
			path += len + 1;
		}
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

/*-------------------------------------------------------------------------
 * Tokens.
 *-------------------------------------------------------------------------
 */

static const char *
malformed(JsonScan *scan, const char *where, const char *problem)
{
	scan->status = GRAPH_JSON_MALFORMED;
	scan->problem = problem;
	scan->where = where;
	return NULL;
}

static const char *
incomplete(JsonScan *scan, const char *token)
{
	scan->status = GRAPH_JSON_INCOMPLETE;
	scan->problem = "unexpected end of the text";
	scan->where = token;
	return NULL;
}

static inline bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *
skip_space(const char *p, const char *end)
{
	while (p < end && unlikely(is_space(*p)))
		p++;
	return p;
}

/*
 * Step over the bytes of a string that mean nothing but themselves: up to a
 * quote, a backslash, a control character or the end of the bytes.
 *
 * This is where most of the time goes, since most bytes are in strings; hence
 * 16 of them at a time where the machine can, and 8 where it cannot.
 */
static inline const char *
skip_plain(const char *p, const char *end)
{
#ifdef GRAPH_USE_SSE2
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const __m128i control = _mm_set1_epi8(0x1F);

	while (end - p >= (ptrdiff_t) sizeof(__m128i))
	{
		__m128i		chunk = _mm_loadu_si128((const __m128i *) p);
		__m128i		special;
		int			mask;

		special = _mm_or_si128(_mm_cmpeq_epi8(chunk, quote),
							   _mm_cmpeq_epi8(chunk, backslash));
		special = _mm_or_si128(special,
							   _mm_cmpeq_epi8(_mm_min_epu8(chunk, control),
											  chunk));
		mask = _mm_movemask_epi8(special);
		if (mask != 0)
			return p + __builtin_ctz(mask);
		p += sizeof(__m128i);
	}
#else
	const uint64 ones = UINT64CONST(0x0101010101010101);

	while (end - p >= (ptrdiff_t) sizeof(uint64))
	{
		uint64		word;
		uint64		quote;
		uint64		backslash;
		uint64		special;

		/* x - ones borrows into the top bit of a byte that is zero */
		memcpy(&word, p, sizeof(uint64));
		quote = word ^ (ones * '"');
		backslash = word ^ (ones * '\\');
		special = ((quote - ones) & ~quote) |
			((backslash - ones) & ~backslash) |
			((word - ones * 0x20) & ~word);
		if ((special & (ones * 0x80)) != 0)
			break;
		p += sizeof(uint64);
	}
#endif

	while (p < end && *p != '"' && *p != '\\' && (unsigned char) *p >= 0x20)
		p++;
	return p;
}

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

/* Step over an escape, of which p is the backslash. */
static const char *
skip_escape(JsonScan *scan, const char *p, const char *token)
{
	static const char bad_escape[] = "invalid escape in a string";
	const char *escape = p;
	int			i;

	if (++p == scan->end)
		return incomplete(scan, token);

	switch (*p++)
	{
		case '"':
		case '\\':
		case '/':
		case 'b':
		case 'f':
		case 'n':
		case 'r':
		case 't':
			return p;

		case 'u':
			for (i = 0; i < 4; i++, p++)
			{
				if (p == scan->end)
					return incomplete(scan, token);
				if (hex_value(*p) < 0)
					return malformed(scan, escape, bad_escape);
			}
			return p;

		default:
			return malformed(scan, escape, bad_escape);
	}
}

/* Step over a string, of which p is the opening quote. */
static inline const char *
skip_string(JsonScan *scan, const char *p)
{
	const char *token = p++;

	for (;;)
	{
		p = skip_plain(p, scan->end);
		if (unlikely(p == scan->end))
			return incomplete(scan, token);
		if (likely(*p == '"'))
			return p + 1;
		if (*p != '\\')
			return malformed(scan, p, "control character in a string");

		scan->escaped = true;
		p = skip_escape(scan, p, token);
		if (p == NULL)
			return NULL;
	}
}

static inline const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* Step over one or more digits, as a number has them in three places. */
static const char *
need_digits(JsonScan *scan, const char *p, const char *token)
{
	const char *after = skip_digits(p, scan->end);

	if (after > p)
		return after;
	if (p == scan->end)
		return incomplete(scan, token);
	return malformed(scan, p, "invalid number");
}

static const char *
skip_number(JsonScan *scan, const char *p)
{
	const char *token = p;
	const char *end = scan->end;

	if (*p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else if ((p = need_digits(scan, p, token)) == NULL)
		return NULL;

	if (p < end && *p == '.')
	{
		p = need_digits(scan, p + 1, token);
		if (p == NULL)
			return NULL;
	}

	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = need_digits(scan, p, token);
		if (p == NULL)
			return NULL;
	}

	if (p == end && (scan->depth > 0 || scan->open_ended))
		return incomplete(scan, token);
	return p;
}

static const char *
skip_word(JsonScan *scan, const char *p, const char *word, size_t len)
{
	size_t		available = scan->end - p;

	if (memcmp(p, word, Min(len, available)) != 0)
		return malformed(scan, p, "invalid literal");
	if (available < len)
		return incomplete(scan, p);
	return p + len;
}

/* Step over a value that is neither a string nor has anything inside. */
static const char *
skip_scalar(JsonScan *scan, const char *p)
{
	switch (*p)
	{
		case 't':
			return skip_word(scan, p, "true", 4);
		case 'f':
			return skip_word(scan, p, "false", 5);
		case 'n':
			return skip_word(scan, p, "null", 4);
		case '-':
		case '0':
		case '1':
		case '2':
		case '3':
		case '4':
		case '5':
		case '6':
		case '7':
		case '8':
		case '9':
			return skip_number(scan, p);
		default:
			return malformed(scan, p, "unexpected character");
	}
}

/*
 * Step over a key and its colon, from the white space before the one to the
 * white space after the other.  If key is not NULL, it gets the key without
 * its quotes, and scan->escaped tells whether that has escapes.
 */
static inline const char *
skip_key(JsonScan *scan, const char *p, GraphSlice *key)
{
	const char *end = scan->end;
	const char *token;

	p = skip_space(p, end);
	if (unlikely(p == end))
		return incomplete(scan, p);
	if (unlikely(*p != '"'))
		return malformed(scan, p, "unexpected character");

	token = p;
	scan->escaped = false;
	p = skip_string(scan, p);
	if (unlikely(p == NULL))
		return NULL;
	if (key != NULL)
	{
		key->data = token + 1;
		key->len = p - token - 2;
	}

	p = skip_space(p, end);
	if (unlikely(p == end))
		return incomplete(scan, p);
	if (unlikely(*p != ':'))
		return malformed(scan, p, "unexpected character");
	return p + 1;
}

/*
 * graph_json_unescape
 *		The character that an escape stands for; p is its backslash.
 *
 * Returns the byte after the escape.  Two escapes that are a surrogate pair
 * are one character.  What no text can hold, U+0000 and half a pair, becomes
 * U+FFFD, as does anything that only an unchecked string could have.
 */
const char *
graph_json_unescape(const char *p, const char *end, uint32 *character)
{
	static const char letters[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
	uint32		units[2] = {0, 0};
	int			i;
	int			j;

	*character = 0xFFFD;
	if (end - p < 2)
		return end;

	if (p[1] != 'u')
	{
		for (i = 0; letters[i] != '\0'; i += 2)
			if (letters[i] == p[1])
				*character = (unsigned char) letters[i + 1];
		return p + 2;
	}

	for (i = 0; i < 2 && end - p >= 6 * (i + 1); i++)
	{
		const char *unit = p + 6 * i;

		if (unit[0] != '\\' || unit[1] != 'u')
			break;
		for (j = 2; j < 6; j++)
			units[i] = units[i] * 16 + (hex_value(unit[j]) & 0xF);
		if (!is_utf16_surrogate_first(units[0]))
			break;
	}

	if (is_utf16_surrogate_first(units[0]) &&
		is_utf16_surrogate_second(units[1]))
	{
		*character = surrogate_pair_to_codepoint(units[0], units[1]);
		return p + 12;
	}
	if (units[0] != 0 && (units[0] & 0xF800) != 0xD800)
		*character = units[0];
	return end - p < 6 ? end : p + 6;
}

/* Is this key, which has escapes, that name? */
static bool
escaped_key_is(GraphSlice key, const char *name, size_t name_len)
{
	const char *p = key.data;
	const char *end = key.data + key.len;
	size_t		at = 0;

	while (p < end)
	{
		unsigned char bytes[4];
		int			len = 1;

		if (*p == '\\')
		{
			uint32		character;

			p = graph_json_unescape(p, end, &character);
			unicode_to_utf8(character, bytes);
			len = pg_utf_mblen(bytes);
		}
		else
			bytes[0] = (unsigned char) *p++;

		if (name_len - at < (size_t) len ||
			memcmp(name + at, bytes, len) != 0)
			return false;
		at += len;
	}
	return at == name_len;
}

/*-------------------------------------------------------------------------
 * Values.
 *-------------------------------------------------------------------------
 */

/* Go into an object or array; p is its opening bracket. */
static inline const char *
open_level(JsonScan *scan, const char *p)
{
	if (unlikely(scan->depth == GRAPH_MAX_DEPTH))
		return malformed(scan, p, "nested too deeply");
	scan->closers[scan->depth++] = (*p == '{') ? '}' : ']';
	return skip_space(p + 1, scan->end);
}

/*
 * Step over any value, white space before it included.
 *
 * One loop and a stack of closing brackets: no recursion, however a document
 * is nested, and no call for what most values are.
 */
static const char *
skip_value(JsonScan *scan, const char *p)
{
	const char *end = scan->end;
	int			base = scan->depth;

value:
	p = skip_space(p, end);
	if (unlikely(p == end))
		return incomplete(scan, p);
	if (likely(*p == '"'))
		p = skip_string(scan, p);
	else if (*p == '{' || *p == '[')
	{
		p = open_level(scan, p);
		if (unlikely(p == NULL))
			return NULL;
		if (p == end || *p != scan->closers[scan->depth - 1])
			goto element;
		scan->depth--;
		p++;
	}
	else
		p = skip_scalar(scan, p);
	if (unlikely(p == NULL))
		return NULL;

	/* after a value: a comma, or the end of one or more levels */
	while (scan->depth > base)
	{
		p = skip_space(p, end);
		if (unlikely(p == end))
			return incomplete(scan, p);
		if (*p == ',')
		{
			p++;
			goto element;
		}
		if (unlikely(*p != scan->closers[scan->depth - 1]))
			return malformed(scan, p, "unexpected character");
		scan->depth--;
		p++;
	}
	return p;

element:
	if (scan->closers[scan->depth - 1] == '}')
	{
		p = skip_key(scan, p, NULL);
		if (unlikely(p == NULL))
			return NULL;
	}
	goto value;
}

/*
 * Forget what an earlier member of the same name had inside.  depth is that
 * of the member; no path leads further down than objects may nest.
 */
static void
reset_below(JsonScan *scan, const ShapeNode *node, int depth)
{
	const GraphProjection *projection = scan->projection;
	int			child;

	if (depth == GRAPH_MAX_DEPTH)
		return;
	for (child = node->first_child; child != 0;
		 child = projection->nodes[child].next_sibling)
	{
		if (projection->nodes[child].slot >= 0)
			memset(&scan->slots[projection->nodes[child].slot], 0,
				   sizeof(GraphSlice));
		reset_below(scan, &projection->nodes[child], depth + 1);
	}
}

/* Which wanted member of an object is this key, if any? */
static inline const ShapeNode *
match_key(const JsonScan *scan, const ShapeNode *node, GraphSlice key)
{
	const GraphProjection *projection = scan->projection;
	int			child;

	if (likely(!scan->escaped))
		return find_child(projection, node, key.data, key.len);

	for (child = node->first_child; child != 0;
		 child = projection->nodes[child].next_sibling)
	{
		if (escaped_key_is(key, projection->nodes[child].name,
						   projection->nodes[child].name_len))
			return &projection->nodes[child];
	}
	return NULL;
}

/* Walk an object in which something is wanted; p is its opening brace. */
static const char *
locate_members(JsonScan *scan, const char *p, const ShapeNode *node)
{
	const char *end = scan->end;

	p = open_level(scan, p);
	if (p == NULL)
		return NULL;
	if (p < end && *p == '}')
	{
		scan->depth--;
		return p + 1;
	}

	for (;;)
	{
		const ShapeNode *child;
		GraphSlice	key;

		p = skip_key(scan, p, &key);
		if (unlikely(p == NULL))
			return NULL;
		child = match_key(scan, node, key);
		p = (child == NULL) ? skip_value(scan, p) :
			locate_value(scan, p, child);
		if (unlikely(p == NULL))
			return NULL;

		p = skip_space(p, end);
		if (unlikely(p == end))
			return incomplete(scan, p);
		if (*p == '}')
			break;
		if (unlikely(*p != ','))
			return malformed(scan, p, "unexpected character");
		p++;
	}
	scan->depth--;
	return p + 1;
}

/*
 * Read a value that is wanted, or has something inside that is.  Recursion
 * goes no deeper than the paths of the projection, nor than GRAPH_MAX_DEPTH.
 */
static const char *
locate_value(JsonScan *scan, const char *p, const ShapeNode *node)
{
	const char *start;

	p = skip_space(p, scan->end);
	start = p;
	if (node->first_child != 0 && scan->depth > 0)
		reset_below(scan, node, scan->depth);

	if (node->first_child != 0 && p < scan->end && *p == '{')
		p = locate_members(scan, p, node);
	else
		p = skip_value(scan, p);

	if (p != NULL && node->slot >= 0)
	{
		scan->slots[node->slot].data = start;
		scan->slots[node->slot].len = p - start;
	}
	return p;
}

/*
 * Set up a scan and read one value with it.  Cheaper than an initializer:
 * the stack of brackets need not be cleared.
 */
static const char *
start_scan(JsonScan *scan, const char *data, size_t len, bool open_ended,
		   const GraphProjection *projection, GraphSlice *slots)
{
	scan->end = data + len;
	scan->projection = projection;
	scan->slots = slots;
	scan->open_ended = open_ended;
	scan->status = GRAPH_JSON_OK;
	scan->depth = 0;

	if (projection == NULL || projection->slot_count == 0)
		return skip_value(scan, data);

	memset(slots, 0, projection->slot_count * sizeof(GraphSlice));
	return locate_value(scan, data, &projection->nodes[0]);
}

/* What a scan that ended at p, or did not, has to say to its caller. */
static GraphJsonStatus
finish_scan(const JsonScan *scan, const char *data, const char *p,
			size_t *end, GraphJsonError *error)
{
	if (p != NULL)
	{
		*end = p - data;
		return GRAPH_JSON_OK;
	}
	error->problem = scan->problem;
	error->offset = (scan->status == GRAPH_JSON_INCOMPLETE ?
					 scan->end : scan->where) - data;
	return scan->status;
}

/*
 * graph_json_locate
 *		Read the value at the start of some bytes, and find members in it.
 *
 * slots are those of the projection, each the member's raw bytes or {NULL, 0} where
 * it is absent, and mean something only if the result is GRAPH_JSON_OK; then
 * *end is just past the value, and nothing is said about what follows it.
 * Without a projection the value is only checked and stepped over.  Of members that
 * have the same name, the last one counts, as it does in jsonb.
 */
GraphJsonStatus
graph_json_locate(const char *data, size_t len, const GraphProjection *projection,
				  GraphSlice *slots, size_t *end, GraphJsonError *error)
{
	JsonScan	scan;
	const char *p;

	p = start_scan(&scan, data, len, false, projection, slots);
	return finish_scan(&scan, data, p, end, error);
}

/*
 * graph_json_skip_blanks
 *		How many of these bytes are white space, up to the first that is not.
 */
size_t
graph_json_skip_blanks(const char *data, size_t len)
{
	return skip_space(data, data + len) - data;
}

/*
 * graph_json_key_is
 *		Is a key, without its quotes, that name in UTF-8?
 */
bool
graph_json_key_is(GraphSlice key, const char *name)
{
	if (memchr(key.data, '\\', key.len) != NULL)
		return escaped_key_is(key, name, strlen(name));
	return key.len == strlen(name) && memcmp(key.data, name, key.len) == 0;
}

/*
 * graph_json_drop_context
 *		The document without a byte order mark and a leading member
 *		"@odata.context".
 *
 * A single entity carries the envelope's annotation among its own members; in
 * a list the same entity does not have it.  The bytes are the caller's to
 * change: the comma after the member becomes the opening brace.
 */
GraphSlice
graph_json_drop_context(char *data, size_t len)
{
	static const char name[] = "\"@odata.context\"";
	bool		marked = len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0;
	GraphSlice	document = {data + (marked ? 3 : 0), len - (marked ? 3 : 0)};
	const char *end = data + len;
	const char *p = skip_space(document.data, end);

	if (p == end || *p != '{')
		return document;
	p = skip_space(p + 1, end);
	if (end - p < (ptrdiff_t) sizeof(name) ||
		memcmp(p, name, sizeof(name) - 1) != 0)
		return document;
	p = skip_space(p + sizeof(name) - 1, end);
	if (p == end || *p != ':')
		return document;
	p = skip_space(p + 1, end);
	if (p == end || *p != '"')
		return document;
	for (p++; p < end && *p != '"' && *p != '\\'; p++)
		 /* a URL, so nothing is escaped in it */ ;
	p = p < end && *p == '"' ? skip_space(p + 1, end) : end;
	if (p == end || *p != ',')
		return document;

	data[p - data] = '{';
	document.data = p;
	document.len = end - p;
	return document;
}

/*
 * graph_json_next_element
 *		Read the next element of an array that graph_json_locate() has found.
 *
 * *position is 0 for the first call and kept by us.  Returns false when there
 * is no further element, and at once if the value is absent or not an array.
 * element may be NULL, and so may projection together with slots.
 */
bool
graph_json_next_element(GraphSlice array, size_t *position,
						const GraphProjection *projection, GraphSlice *slots,
						GraphSlice *element)
{
	JsonScan	scan;
	const char *p;
	const char *end = array.data + array.len;
	const char *after;

	if (array.data == NULL || array.len == 0 || array.data[0] != '[')
		return false;

	/* past the opening bracket, or past the comma after the last element */
	p = array.data + Max(*position, 1);
	p = skip_space(p, end);
	if (*position > 0 && p < end && *p == ',')
		p = skip_space(p + 1, end);
	if (p == end || *p == ']')
		return false;

	after = start_scan(&scan, p, end - p, false, projection, slots);
	if (after == NULL)
		return false;			/* cannot be: the array was checked */
	if (element != NULL)
	{
		element->data = p;
		element->len = after - p;
	}
	*position = after - array.data;
	return true;
}

/*-------------------------------------------------------------------------
 * Frames: where does a value end that has not arrived as a whole?
 *-------------------------------------------------------------------------
 */

/* Go to the end of the string that the frame is in; false if not there yet. */
static bool
frame_string(GraphJsonFrame *frame, const char *data, size_t len)
{
	const char *end = data + len;
	const char *p = data + frame->scanned;

	while (frame->in_string)
	{
		p = skip_plain(p, end);

		/* a backslash waits for the byte that it makes harmless */
		if (p == end || (*p == '\\' && p + 1 == end))
			break;
		if (*p == '"')
			frame->in_string = false;
		p += (*p == '\\') ? 2 : 1;
	}
	frame->scanned = p - data;
	return !frame->in_string;
}

/* Go to the end of a number or word: it is where something else follows. */
static bool
frame_scalar(GraphJsonFrame *frame, const char *data, size_t len)
{
	while (frame->scanned < len)
	{
		char		c = data[frame->scanned];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			  c == '-' || c == '+' || c == '.' || c == 'E'))
			return true;
		frame->scanned++;
	}
	return false;
}

/*
 * Go on to the end of a value that starts at data; false if it is not there
 * yet.  Then frame->scanned is its length.
 *
 * Each byte is looked at once, in however many pieces the value comes.  A
 * value that is nested too deeply "ends" where it becomes so: it can be judged
 * there.
 */
static bool
frame_value(GraphJsonFrame *frame, const char *data, size_t len)
{
	if (data[0] != '"' && data[0] != '{' && data[0] != '[')
		return frame_scalar(frame, data, len);

	for (;;)
	{
		char		c;

		if (frame->in_string)
		{
			if (!frame_string(frame, data, len))
				return false;
			if (frame->depth == 0)
				return true;
		}
		if (frame->scanned == len)
			return false;

		c = data[frame->scanned++];
		if (c == '"')
			frame->in_string = true;
		else if (c == '{' || c == '[')
		{
			if (++frame->depth > GRAPH_MAX_DEPTH)
				return true;
		}
		else if (c == '}' || c == ']')
		{
			if (--frame->depth <= 0)
				return true;
		}
	}
}

/*
 * graph_json_locate_more
 *		The same as graph_json_locate() for a value of which more may be to
 *		come.
 *
 * The frame is zero at first, and the same until the value is complete; data
 * begins with the value each time.  Mostly it is there as a whole, so that is
 * tried first.  If it is not, the attempt is not repeated for every few bytes
 * that arrive, which would take quadratic time, but only when the end of the
 * value is there.
 */
GraphJsonStatus
graph_json_locate_more(GraphJsonFrame *frame, const char *data, size_t len,
					   const GraphProjection *projection, GraphSlice *slots,
					   size_t *end, GraphJsonError *error)
{
	JsonScan	scan;
	const char *p;
	GraphJsonStatus status;

	if (!frame->active)
	{
		p = start_scan(&scan, data, len, true, projection, slots);
		status = finish_scan(&scan, data, p, end, error);
		if (status != GRAPH_JSON_INCOMPLETE)
			return status;

		frame->active = true;
		frame->in_string = false;
		frame->depth = scan.depth;
		frame->scanned = scan.where - data;
	}

	if (!frame_value(frame, data, len))
		return GRAPH_JSON_INCOMPLETE;
	frame->active = false;

	p = start_scan(&scan, data, frame->scanned, false, projection, slots);
	status = finish_scan(&scan, data, p, end, error);
	if (status == GRAPH_JSON_INCOMPLETE)
	{
		/* a word that is too short, since more bytes would not help */
		error->problem = "unexpected character";
		status = GRAPH_JSON_MALFORMED;
	}
	return status;
}
