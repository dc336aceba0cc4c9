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
 * are valid UTF-8: most of them are never looked at again, and text.c checks
 * those that are.
 *
 * Assumed: bytes in UTF-8, or something that ASCII can be told from; member
 * names of a projection in UTF-8.
 *
 * What this file refuses to know: HTTP, options, Datums, encodings.  It neither
 * throws nor allocates; it returns a status, and says what is wrong in constant
 * texts.
 *
 * Source: RFC 8259.
 *
 * IDENTIFICATION
 *		src/json/json.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "json/json_int.h"

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

static const char bad_escape[] = "invalid escape in a string";

static const char *locate_value(JsonScan *scan, const char *p,
								const ProjectionNode *node);

/*-------------------------------------------------------------------------
 * Tokens.
 *-------------------------------------------------------------------------
 */

/*
 * malformed, incomplete
 *		Give up: the bytes are not JSON, or end too soon.
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

/*
 * unexpected
 *		Give up at p, where a certain byte had to be.
 */
static const char *
unexpected(JsonScan *scan, const char *p)
{
	return p == scan->end ? incomplete(scan, p) :
		malformed(scan, p, "unexpected character");
}

/*
 * skip_escape
 *		Step over an escape, of which p is the backslash.
 */
static const char *
skip_escape(JsonScan *scan, const char *p, const char *token)
{
	const char *escape = p++;

	if (p == scan->end)
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
			for (int i = 0; i < 4; i++, p++)
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

/*
 * skip_string
 *		Step over a string, of which p is the opening quote.
 *
 * This and skip_key() are worth being inline wherever they are called: left to
 * the compiler, an alert takes a tenth more instructions.
 */
static pg_attribute_always_inline const char *
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

/*
 * skip_digits
 *		Step over one or more digits, as a number has them in three places.
 */
static const char *
skip_digits(JsonScan *scan, const char *p, const char *token)
{
	const char *start = p;

	while (p < scan->end && *p >= '0' && *p <= '9')
		p++;
	if (p > start)
		return p;
	return p == scan->end ? incomplete(scan, token) :
		malformed(scan, p, "invalid number");
}

/*
 * skip_number
 *		Step over a number.
 */
static const char *
skip_number(JsonScan *scan, const char *p)
{
	const char *token = p;
	const char *end = scan->end;

	if (*p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else
		p = skip_digits(scan, p, token);

	if (p != NULL && p < end && *p == '.')
		p = skip_digits(scan, p + 1, token);

	if (p != NULL && p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = skip_digits(scan, p, token);
	}

	if (p == end && (scan->depth > 0 || scan->open_ended))
		return incomplete(scan, token);
	return p;
}

/*
 * skip_word
 *		Step over a word.
 */
static inline const char *
skip_word(JsonScan *scan, const char *p, const char *word, size_t len)
{
	size_t		available = scan->end - p;

	if (likely(available >= len && memcmp(p, word, len) == 0))
		return p + len;
	if (memcmp(p, word, Min(len, available)) != 0)
		return malformed(scan, p, "invalid literal");
	return incomplete(scan, p);
}

/*
 * skip_scalar
 *		Step over a value that is neither a string nor has anything inside.
 */
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
		default:
			if (*p != '-' && (*p < '0' || *p > '9'))
				return unexpected(scan, p);
			return skip_number(scan, p);
	}
}

/*
 * skip_key
 *		Step over a key and its colon, from the white space before the one to
 *		the white space after the other.
 *
 * If key is not NULL, it gets the key without its quotes, and scan->escaped
 * tells whether that has escapes.
 */
static pg_attribute_always_inline const char *
skip_key(JsonScan *scan, const char *p, GraphSlice *key)
{
	const char *end = scan->end;
	const char *token;

	p = skip_space(p, end);
	if (unlikely(p == end || *p != '"'))
		return unexpected(scan, p);

	token = p;
	scan->escaped = false;
	p = skip_string(scan, p);
	if (unlikely(p == NULL))
		return NULL;
	if (key != NULL)
		*key = (GraphSlice) {token + 1, p - token - 2};

	p = skip_space(p, end);
	if (unlikely(p == end || *p != ':'))
		return unexpected(scan, p);
	return p + 1;
}

/*-------------------------------------------------------------------------
 * Values.
 *-------------------------------------------------------------------------
 */

/*
 * open_level
 *		Go into an object or array; p is its opening bracket.
 */
static pg_attribute_always_inline const char *
open_level(JsonScan *scan, const char *p)
{
	if (unlikely(scan->depth == GRAPH_MAX_DEPTH))
		return malformed(scan, p, "nested too deeply");
	scan->closers[scan->depth++] = (*p == '{') ? '}' : ']';
	return skip_space(p + 1, scan->end);
}

/*
 * skip_value
 *		Step over any value, white space before it included.
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
			return unexpected(scan, p);
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
 * reset_below
 *		Forget what an earlier member of the same name had inside.
 *
 * depth is that of the member; no path leads further down than objects may
 * nest.
 */
static void
reset_below(JsonScan *scan, const ProjectionNode *node, int depth)
{
	const ProjectionNode *nodes = scan->projection->nodes;

	if (depth == GRAPH_MAX_DEPTH)
		return;
	for (int child = node->first_child; child != 0;
		 child = nodes[child].next_sibling)
	{
		if (nodes[child].slot >= 0)
			memset(&scan->slots[nodes[child].slot], 0, sizeof(GraphSlice));
		reset_below(scan, &nodes[child], depth + 1);
	}
}

/*
 * match_key
 *		Which wanted member of an object is this key, if any?
 */
static inline const ProjectionNode *
match_key(const JsonScan *scan, const ProjectionNode *node, GraphSlice key)
{
	const ProjectionNode *nodes = scan->projection->nodes;

	if (likely(!scan->escaped))
		return find_child(scan->projection, node, key.data, key.len);

	for (int child = node->first_child; child != 0;
		 child = nodes[child].next_sibling)
	{
		if (graph_json_key_is(key, nodes[child].name))
			return &nodes[child];
	}
	return NULL;
}

/*
 * locate_members
 *		Walk an object in which something is wanted; p is its opening brace.
 */
static const char *
locate_members(JsonScan *scan, const char *p, const ProjectionNode *node)
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
		const ProjectionNode *child;
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
			return unexpected(scan, p);
		p++;
	}
	scan->depth--;
	return p + 1;
}

/*
 * locate_value
 *		Read a value that is wanted, or has something inside that is.
 *
 * Recursion goes no deeper than the paths of the projection, nor than
 * GRAPH_MAX_DEPTH.
 */
static const char *
locate_value(JsonScan *scan, const char *p, const ProjectionNode *node)
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
		scan->slots[node->slot] = (GraphSlice) {start, p - start};
	return p;
}

/*-------------------------------------------------------------------------
 * What other files call.
 *-------------------------------------------------------------------------
 */

/*
 * start_scan
 *		Set up a scan and read one value with it.
 *
 * Cheaper than an initializer: the stack of brackets need not be cleared.
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

	Assert(slots != NULL);
	memset(slots, 0, projection->slot_count * sizeof(GraphSlice));
	return locate_value(scan, data, &projection->nodes[0]);
}

/*
 * finish_scan
 *		What a scan that ended at p, or did not, has to say to its caller.
 */
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
 * slots are those of the projection, each the member's raw bytes or {NULL, 0}
 * where it is absent, and mean something only if the result is GRAPH_JSON_OK;
 * then *end is just past the value, and nothing is said about what follows it.
 * Without a projection the value is only checked and stepped over.  Of members
 * that have the same name, the last one counts, as it does in jsonb.
 */
GraphJsonStatus
graph_json_locate(const char *data, size_t len,
				  const GraphProjection *projection, GraphSlice *slots,
				  size_t *end, GraphJsonError *error)
{
	JsonScan	scan;
	const char *p;

	p = start_scan(&scan, data, len, false, projection, slots);
	return finish_scan(&scan, data, p, end, error);
}

/*
 * graph_json_locate_open
 *		The same for bytes that more may follow.
 *
 * If the value is incomplete, *cut says where it breaks off.
 */
GraphJsonStatus
graph_json_locate_open(const char *data, size_t len,
					   const GraphProjection *projection, GraphSlice *slots,
					   size_t *end, JsonBreak *cut, GraphJsonError *error)
{
	JsonScan	scan;
	const char *p;

	p = start_scan(&scan, data, len, true, projection, slots);
	if (p == NULL)
		*cut = (JsonBreak) {scan.depth, scan.where - data};
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
 * graph_json_skip_bom
 *		The document without a byte order mark.
 *
 * RFC 8259 lets a reader ignore it, and some gateways put one there.
 */
GraphSlice
graph_json_skip_bom(const char *data, size_t len)
{
	bool		marked = len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0;

	return marked ? (GraphSlice) {data + 3, len - 3} : (GraphSlice) {data, len};
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
	GraphSlice	document = graph_json_skip_bom(data, len);
	const char *end = data + len;
	const char *p = skip_space(document.data, end);
	JsonScan	scan;
	GraphSlice	key;

	scan.end = end;
	scan.open_ended = false;
	scan.depth = 1;
	if (p == end || *p != '{' ||
		(p = skip_key(&scan, p + 1, &key)) == NULL ||
		!graph_json_key_is(key, "@odata.context") ||
		(p = skip_value(&scan, p)) == NULL)
		return document;
	p = skip_space(p, end);
	if (p == end || *p != ',')
		return document;

	data[p - data] = '{';
	return (GraphSlice) {p, end - p};
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

	Assert(*position <= array.len);
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
		*element = (GraphSlice) {p, after - p};
	*position = after - array.data;
	return true;
}
