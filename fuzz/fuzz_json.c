/*-------------------------------------------------------------------------
 *
 * fuzz_json.c
 *		Does json.c agree with a reader that is too simple to be wrong?
 *
 * A libFuzzer target.  Each input is read as one JSON value and as a list
 * document, and four things must hold:
 *
 *	1. the verdict (good, cut short, malformed), the end of the value, each
 *	   located member and each array element are those of the recursive reader
 *	   below, which builds a tree and looks members up from behind;
 *	2. what jansson takes, we take, and what it refuses, it refuses for one of
 *	   the reasons that we do not have;
 *	3. a list document gives the same records in whatever pieces it comes,
 *	   and each as soon as its last byte is there;
 *	4. a list document that is as OData has it is read to its end, and gives
 *	   as many records as its "value" has elements.
 *
 * Every piece is handed over in an allocation of its own size, so that the
 * sanitizer sees a read past its end.
 *
 * Build and run: see the Makefile beside this file.
 *
 * IDENTIFICATION
 *		fuzz/fuzz_json.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <jansson.h>

#include "fuzz.h"
#include "json/graph_json.h"

/*-------------------------------------------------------------------------
 * The reader to agree with.
 *-------------------------------------------------------------------------
 */

/* A value of the tree; members and elements are a list, the last one first. */
typedef struct Tree
{
	const char *data;
	size_t		len;
	char	   *key;			/* of a member, unescaped */
	size_t		key_len;
	int			child_count;
	struct Tree *last_child;
	struct Tree *previous;
} Tree;

typedef struct Reader
{
	const char *p;
	const char *end;
	int			depth;
	GraphJsonStatus status;
} Reader;

static Tree *read_tree(Reader *reader);

static void
free_tree(Tree *tree)
{
	while (tree != NULL)
	{
		Tree	   *previous = tree->previous;

		free_tree(tree->last_child);
		free(tree->key);
		free(tree);
		tree = previous;
	}
}

static void
stop(Reader *reader, GraphJsonStatus status)
{
	if (reader->status == GRAPH_JSON_OK)
		reader->status = status;
}

/* The byte that comes, or -1 once there was a problem. */
static int
peek(Reader *reader)
{
	if (reader->status != GRAPH_JSON_OK)
		return -1;
	if (reader->p == reader->end)
	{
		stop(reader, GRAPH_JSON_INCOMPLETE);
		return -1;
	}
	return (unsigned char) *reader->p;
}

static void
skip_white(Reader *reader)
{
	while (reader->p < reader->end && memchr(" \t\r\n", *reader->p, 4))
		reader->p++;
}

static void
expect(Reader *reader, char c)
{
	int			next = peek(reader);

	if (next == -1)
		return;
	if (next == (unsigned char) c)
		reader->p++;
	else
		stop(reader, GRAPH_JSON_MALFORMED);
}

static void
expect_word(Reader *reader, const char *word)
{
	for (; *word != '\0'; word++)
		expect(reader, *word);
}

static void
expect_digits(Reader *reader)
{
	int			c = peek(reader);

	if (c == -1)
		return;
	if (c < '0' || c > '9')
		stop(reader, GRAPH_JSON_MALFORMED);
	while (reader->p < reader->end && *reader->p >= '0' && *reader->p <= '9')
		reader->p++;
}

static bool
comes(Reader *reader, const char *bytes)
{
	return reader->status == GRAPH_JSON_OK && reader->p < reader->end &&
		strchr(bytes, *reader->p) != NULL && *reader->p != '\0';
}

static void
read_number(Reader *reader)
{
	if (comes(reader, "-"))
		reader->p++;
	if (comes(reader, "0"))
		reader->p++;
	else
		expect_digits(reader);
	if (comes(reader, "."))
	{
		reader->p++;
		expect_digits(reader);
	}
	if (comes(reader, "eE"))
	{
		reader->p++;
		if (comes(reader, "+-"))
			reader->p++;
		expect_digits(reader);
	}
	if (reader->p == reader->end && reader->depth > 0)
		stop(reader, GRAPH_JSON_INCOMPLETE);
}

static unsigned
read_hex(Reader *reader)
{
	unsigned	unit = 0;
	int			i;

	for (i = 0; i < 4; i++)
	{
		int			c = peek(reader);

		if (c >= '0' && c <= '9')
			unit = unit * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			unit = unit * 16 + (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			unit = unit * 16 + (c - 'A' + 10);
		else if (c != -1)
			stop(reader, GRAPH_JSON_MALFORMED);
		if (reader->status == GRAPH_JSON_OK)
			reader->p++;
	}
	return unit;
}

static void
put_character(char *text, size_t *len, unsigned c)
{
	if (c < 0x80)
		text[(*len)++] = c;
	else
	{
		if (c < 0x800)
			text[(*len)++] = 0xC0 | (c >> 6);
		else
		{
			if (c < 0x10000)
				text[(*len)++] = 0xE0 | (c >> 12);
			else
			{
				text[(*len)++] = 0xF0 | (c >> 18);
				text[(*len)++] = 0x80 | ((c >> 12) & 0x3F);
			}
			text[(*len)++] = 0x80 | ((c >> 6) & 0x3F);
		}
		text[(*len)++] = 0x80 | (c & 0x3F);
	}
}

/* A string, unescaped; half a surrogate pair and U+0000 are U+FFFD. */
static char *
read_string(Reader *reader, size_t *len)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	char	   *text = malloc(reader->end - reader->p + 8);

	*len = 0;
	expect(reader, '"');
	while (reader->status == GRAPH_JSON_OK)
	{
		int			c = peek(reader);
		const char *letter;

		if (c == -1)
			break;
		reader->p++;
		if (c == '"')
			break;
		if (c < 0x20)
			stop(reader, GRAPH_JSON_MALFORMED);
		if (c != '\\')
		{
			text[(*len)++] = c;
			continue;
		}
		c = peek(reader);
		if (c == -1)
			break;
		reader->p++;
		if (c == 'u')
		{
			unsigned	unit = read_hex(reader);

			if (unit >= 0xD800 && unit < 0xDC00 &&
				reader->end - reader->p >= 6 &&
				reader->p[0] == '\\' && reader->p[1] == 'u')
			{
				Reader		ahead = *reader;
				unsigned	second;

				ahead.p += 2;
				second = read_hex(&ahead);
				if (ahead.status == GRAPH_JSON_OK &&
					second >= 0xDC00 && second < 0xE000)
				{
					unit = 0x10000 + ((unit & 0x3FF) << 10) + (second & 0x3FF);
					*reader = ahead;
				}
			}
			if (unit == 0 || (unit >= 0xD800 && unit < 0xE000))
				unit = 0xFFFD;
			put_character(text, len, unit);
			continue;
		}
		letter = c == 0 ? NULL : strchr(from, c);
		if (letter == NULL)
			stop(reader, GRAPH_JSON_MALFORMED);
		else
			text[(*len)++] = to[letter - from];
	}
	return text;
}

static void
read_inside(Reader *reader, Tree *tree, char closer)
{
	if (reader->depth == GRAPH_MAX_DEPTH)
	{
		stop(reader, GRAPH_JSON_MALFORMED);
		return;
	}
	reader->depth++;
	reader->p++;
	skip_white(reader);
	if (peek(reader) == closer)
	{
		reader->p++;
		reader->depth--;
		return;
	}
	while (reader->status == GRAPH_JSON_OK)
	{
		char	   *key = NULL;
		size_t		key_len = 0;
		Tree	   *child;

		skip_white(reader);
		if (closer == '}')
		{
			key = read_string(reader, &key_len);
			skip_white(reader);
			expect(reader, ':');
		}
		child = read_tree(reader);
		child->key = key;
		child->key_len = key_len;
		child->previous = tree->last_child;
		tree->last_child = child;
		tree->child_count++;

		skip_white(reader);
		if (peek(reader) == closer)
		{
			reader->p++;
			reader->depth--;
			return;
		}
		expect(reader, ',');
	}
}

static Tree *
read_tree(Reader *reader)
{
	Tree	   *tree = calloc(1, sizeof(Tree));
	size_t		len;
	int			c;

	skip_white(reader);
	tree->data = reader->p;
	c = peek(reader);
	if (c == '{' || c == '[')
		read_inside(reader, tree, c == '{' ? '}' : ']');
	else if (c == '"')
		free(read_string(reader, &len));
	else if (c == 't')
		expect_word(reader, "true");
	else if (c == 'f')
		expect_word(reader, "false");
	else if (c == 'n')
		expect_word(reader, "null");
	else if (c == '-' || (c >= '0' && c <= '9'))
		read_number(reader);
	else if (c != -1)
		stop(reader, GRAPH_JSON_MALFORMED);
	tree->len = reader->p - tree->data;
	return tree;
}

static Tree *
find_member(Tree *tree, const char *name, size_t len)
{
	Tree	   *child;

	if (tree->data[0] != '{')
		return NULL;
	for (child = tree->last_child; child != NULL; child = child->previous)
		if (child->key_len == len && memcmp(child->key, name, len) == 0)
			return child;
	return NULL;
}

static Tree *
find_path(Tree *tree, const char *path)
{
	if (strcmp(path, ".") == 0)
		return tree;
	while (tree != NULL)
	{
		size_t		len = strcspn(path, "/");

		tree = find_member(tree, path, len);
		if (path[len] == '\0')
			break;
		path += len + 1;
	}
	return tree;
}

/*-------------------------------------------------------------------------
 * One value.
 *-------------------------------------------------------------------------
 */

static const char *const paths[] = {
	".", "id", "a", "a/b", "a/b/c", "a/b/c/d", "b", "c/a", "", "a/",
	"evidence", "evidence/x", "value", "value/a", "error/code",
	"@odata.type", "\xC3\xA9", "\xEF\xBF\xBD", "\xF0\x9F\x98\x80",
};

static GraphProjection *projection;
static GraphSlice slots[lengthof(paths)];

static void
check_members(Tree *tree)
{
	size_t		i;

	for (i = 0; i < lengthof(paths); i++)
	{
		Tree	   *found = find_path(tree, paths[i]);

		CHECK((found == NULL) == (slots[i].data == NULL));
		if (found != NULL)
			CHECK(slots[i].data == found->data &&
				  slots[i].len == found->len);
		else
			CHECK(slots[i].len == 0);
	}
}

static void
check_elements(Tree *tree)
{
	GraphSlice	array = {tree->data, tree->len};
	GraphSlice	element;
	size_t		position = 0;
	Tree	  **elements = calloc(tree->child_count + 1, sizeof(Tree *));
	Tree	   *child;
	int			count = tree->data[0] == '[' ? tree->child_count : 0;
	int			i = count;

	for (child = tree->last_child; child != NULL; child = child->previous)
	{
		if (i > 0)
			elements[--i] = child;
		check_elements(child);
	}

	for (i = 0; graph_json_next_element(array, &position, projection, slots,
										&element); i++)
	{
		CHECK(i < count);
		CHECK(element.data == elements[i]->data &&
			  element.len == elements[i]->len);
		check_members(elements[i]);
	}
	CHECK(i == count);
	CHECK(!graph_json_next_element(array, &position, projection, slots, NULL));
	free(elements);
}

static bool
only_white(const char *p, const char *end)
{
	while (p < end && memchr(" \t\r\n", *p, 4))
		p++;
	return p == end;
}

/* Reasons that jansson has and we do not. */
static bool
jansson_only(const json_error_t *error)
{
	switch (json_error_code(error))
	{
		case json_error_invalid_utf8:
		case json_error_numeric_overflow:
		case json_error_null_byte_in_key:
		case json_error_null_character:
			return true;
		default:
			return strstr(error->text, "Unicode") != NULL;
	}
}

static void
check_jansson(const char *data, size_t len, GraphJsonStatus status,
			  size_t end, const char *problem)
{
	json_error_t error;
	json_t	   *root;
	bool		ours;

	/* jansson takes a zero byte for the end of the text */
	if (memchr(data, '\0', len) != NULL)
		return;

	root = json_loadb(data, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	ours = status == GRAPH_JSON_OK && only_white(data + end, data + len);
	if (root != NULL)
		CHECK(ours || (status == GRAPH_JSON_MALFORMED &&
					   strcmp(problem, "nested too deeply") == 0));
	else
		CHECK(!ours || jansson_only(&error));
	json_decref(root);
}

static Tree *
check_value(const char *data, size_t len, GraphJsonError *error)
{
	Reader		reader = {data, data + len, 0, GRAPH_JSON_OK};
	Tree	   *tree = read_tree(&reader);
	GraphJsonStatus status;
	GraphJsonError ignored;
	size_t		end = 0;

	error->problem = NULL;
	status = graph_json_locate(data, len, projection, slots, &end, error);
	CHECK(status == reader.status);
	check_jansson(data, len, status, end, error->problem);
	if (status == GRAPH_JSON_OK)
	{
		CHECK(end == reader.p - data);
		check_members(tree);
		check_elements(tree);
	}
	else
	{
		CHECK(error->problem != NULL && error->offset <= len);
		if (status == GRAPH_JSON_INCOMPLETE)
			CHECK(error->offset == len);
	}
	CHECK(graph_json_locate(data, len, NULL, NULL, &end, &ignored) == status);
	return tree;
}

/*-------------------------------------------------------------------------
 * List documents.
 *-------------------------------------------------------------------------
 */

#define MAX_RECORDS 4096

typedef struct Reading
{
	GraphListEvent last;
	int			count;
	size_t		start[MAX_RECORDS];
	size_t		end[MAX_RECORDS];
	size_t		slot_sum[MAX_RECORDS];	/* of offsets and lengths of slots */
	bool		has_value;
	bool		has_error;
	size_t		link_len;
	size_t		count_len;
} Reading;

static void
note_record(Reading *reading, GraphSlice record, const char *base,
			size_t offset)
{
	int			i = reading->count++;
	size_t		j;

	CHECK(i < MAX_RECORDS);
	reading->start[i] = offset + (record.data - base);
	reading->end[i] = reading->start[i] + record.len;
	reading->slot_sum[i] = 0;
	for (j = 0; j < lengthof(paths); j++)
		if (slots[j].data != NULL)
			reading->slot_sum[i] += (j + 1) *
				(slots[j].data - record.data + 31 * slots[j].len + 7);
}

/* Read a list document in pieces of at most so many bytes. */
static void
read_pieces(const char *data, size_t len, size_t piece, Reading *reading)
{
	GraphListReader *reader = graph_list_reader_create(projection);
	size_t		dropped = 0;
	size_t		have = piece > len ? len : 0;
	unsigned	seed = len * 7919 + piece;

	reading->count = 0;
	for (;;)
	{
		size_t		unread = have - dropped;
		char	   *copy = malloc(unread > 0 ? unread : 1);
		GraphSlice	record = {NULL, 0};
		GraphJsonError error = {NULL, 0};
		size_t		used = 0;

		memcpy(copy, data + dropped, unread);
		reading->last = graph_list_read(reader, copy, unread, &used, &record,
										slots, &error);
		CHECK(used <= unread);
		if (reading->last == GRAPH_LIST_RECORD)
		{
			note_record(reading, record, copy, dropped);
			CHECK(record.data + record.len == copy + used);
			if (piece == 1)
				CHECK(dropped + used == have);
		}
		free(copy);
		dropped += used;

		if (reading->last == GRAPH_LIST_MALFORMED)
		{
			CHECK(error.problem != NULL && error.offset <= unread);
			break;
		}
		if (reading->last == GRAPH_LIST_RECORD ||
			(reading->last == GRAPH_LIST_END && dropped < have))
			continue;
		if (have == len)
			break;
		seed = seed * 1103515245 + 12345;
		have += 1 + (seed >> 8) % piece;
		have = Min(have, len);
	}
	reading->has_value = graph_list_has_value(reader);
	reading->has_error = graph_list_has_error(reader);
	reading->link_len = graph_list_next_link(reader).len;
	reading->count_len = graph_list_count(reader).len;
	pfree(reader);
}

static void
compare_readings(const Reading *whole, const Reading *pieces)
{
	int			i;

	/* what is wrong in a part may not be seen until that part is complete */
	if (whole->last == GRAPH_LIST_MALFORMED)
		CHECK(pieces->last == GRAPH_LIST_MALFORMED ||
			  pieces->last == GRAPH_LIST_MORE);
	else
		CHECK(whole->last == pieces->last);

	/* and a word at the end of the bytes may or may not count as complete */
	if (whole->last == GRAPH_LIST_END)
	{
		CHECK(whole->link_len == pieces->link_len);
		CHECK(whole->count_len == pieces->count_len);
		CHECK(whole->has_value == pieces->has_value);
		CHECK(whole->has_error == pieces->has_error);
	}
	CHECK(whole->count == pieces->count);
	for (i = 0; i < whole->count; i++)
		CHECK(whole->start[i] == pieces->start[i] &&
			  whole->end[i] == pieces->end[i] &&
			  whole->slot_sum[i] == pieces->slot_sum[i]);
}

/*
 * What has to come out of a document, by its tree; problem is what is wrong
 * with it as a value, or NULL.
 */
static void
check_reading(const char *data, size_t len, Tree *tree,
			  const char *problem, const Reading *reading)
{
	const char *after = tree->data + tree->len;
	int			values = 0;
	int			records = 0;
	bool		as_odata = true;
	Tree	   *child;
	Tree	   *element;

	if (problem != NULL)
	{
		/* a mark is no part of a value, and levels count from the record */
		CHECK(reading->last != GRAPH_LIST_END ||
			  memcmp(data, "\xEF\xBB\xBF", 3) == 0 ||
			  strcmp(problem, "nested too deeply") == 0);
		return;
	}
	if (tree->data[0] != '{')
	{
		CHECK(reading->last == GRAPH_LIST_MALFORMED);
		return;
	}
	for (child = tree->last_child; child != NULL; child = child->previous)
	{
		if (child->key_len == 14 &&
			memcmp(child->key, "@odata.nextLink", 14) == 0 &&
			child->len > GRAPH_MAX_LINK)
			as_odata = false;
		if (child->key_len != 5 || memcmp(child->key, "value", 5) != 0)
			continue;
		values++;
		if (child->data[0] != '[')
			continue;
		records += child->child_count;
		for (element = child->last_child; element != NULL;
			 element = element->previous)
			as_odata &= (element->data[0] == '{');
	}
	if (values <= 1 && as_odata && only_white(after, data + len))
	{
		CHECK(reading->last == GRAPH_LIST_END);
		CHECK(reading->count == records);
	}
	else
		CHECK(reading->last == GRAPH_LIST_MALFORMED);
}

int			LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static Reading whole;
	static Reading pieces;
	const char *data = (const char *) bytes;
	GraphJsonError error;
	Tree	   *tree;
	size_t		i;

	if (projection == NULL)
	{
		projection = graph_projection_create();
		for (i = 0; i < lengthof(paths); i++)
			CHECK(graph_projection_add(projection, paths[i]) == i);
		for (i = 0; i < lengthof(paths); i++)
			CHECK(graph_projection_add(projection, paths[i]) == i);
		CHECK(graph_projection_size(projection) == lengthof(paths));
	}
	if (len > 8192)
		return 0;

	tree = check_value(data, len, &error);
	read_pieces(data, len, len + 1, &whole);
	check_reading(data, len, tree, error.problem, &whole);
	free_tree(tree);

	read_pieces(data, len, 1, &pieces);
	compare_readings(&whole, &pieces);
	read_pieces(data, len, 3, &pieces);
	compare_readings(&whole, &pieces);
	read_pieces(data, len, 64, &pieces);
	compare_readings(&whole, &pieces);
	return 0;
}
