/*-------------------------------------------------------------------------
 *
 * list.c
 *		Where is the next record of a list?
 *
 * An OData collection document is read in whatever pieces it arrives: {"value":
 * [record, ...], "@odata.nextLink": ...} with any other members, in any order.
 * Each record is handed out, with the wanted members located in it, as soon as
 * its last byte is there; of the rest only the link, the count and the fact
 * that there is an error are kept.  What is kept of the bytes is the caller's
 * business: the value at hand is all that is needed.
 *
 * Strictness is that of json.c, and a little more: the document is an object,
 * "value" is there once at most, and each of its elements is an object.
 *
 * What this file refuses to know: HTTP, what follows from a link or an error.
 * Like json.c it neither throws nor, but for the reader, allocates.
 *
 * Source: OData JSON Format 4.01, section 4.5 (control information), 13
 * (collections of entities).
 *
 * IDENTIFICATION
 *		src/json/list.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "json/json_int.h"

/* What comes next in a list document, white space aside. */
typedef enum ListPhase
{
	LIST_START,					/* nothing was read yet: maybe a BOM */
	LIST_OPEN,					/* the opening brace */
	LIST_FIRST_KEY,				/* a key or the closing brace */
	LIST_KEY,					/* a key */
	LIST_COLON,					/* a colon */
	LIST_MEMBER,				/* the value of a member */
	LIST_NEXT_MEMBER,			/* a comma or the closing brace */
	LIST_FIRST_ELEMENT,			/* a record or the end of "value" */
	LIST_ELEMENT,				/* a record */
	LIST_NEXT_ELEMENT,			/* a comma or the end of "value" */
	LIST_END,					/* nothing */
	LIST_BROKEN,				/* nothing can be said any more */
} ListPhase;

/* Members of a list document that mean something to us. */
typedef enum ListMember
{
	MEMBER_OTHER,
	MEMBER_VALUE,
	MEMBER_NEXT_LINK,
	MEMBER_COUNT,
	MEMBER_ERROR,
} ListMember;

/*
 * What may come in a phase: a byte of punctuation, which leads to another
 * phase, or an item (a key, a member's value, a record) by its first byte.
 * '[' begins an item unless it is that of "value".
 */
typedef struct ListRule
{
	char		item;			/* '*': any; 0: none, as in the next ones */
	char		mark;
	ListPhase	next;			/* after mark */
	char		other_mark;
	ListPhase	other_next;
} ListRule;

static const ListRule rules[] = {
	[LIST_OPEN] = {.mark = '{', .next = LIST_FIRST_KEY},
	[LIST_FIRST_KEY] = {.item = '"', .mark = '}', .next = LIST_END},
	[LIST_KEY] = {.item = '"'},
	[LIST_COLON] = {.mark = ':', .next = LIST_MEMBER},
	[LIST_MEMBER] = {.item = '*', .mark = '[', .next = LIST_FIRST_ELEMENT},
	[LIST_NEXT_MEMBER] = {.mark = ',', .next = LIST_KEY,
	.other_mark = '}', .other_next = LIST_END},
	[LIST_FIRST_ELEMENT] = {.item = '{', .mark = ']', .next = LIST_NEXT_MEMBER},
	[LIST_ELEMENT] = {.item = '{'},
	[LIST_NEXT_ELEMENT] = {.mark = ',', .next = LIST_ELEMENT,
	.other_mark = ']', .other_next = LIST_NEXT_MEMBER},
	[LIST_END] = {0},
};

/*
 * How far a value that came in part has been looked at.  Only nesting and
 * strings are followed, which is all that it takes to find its end.
 */
typedef struct ListFrame
{
	bool		active;
	bool		in_string;
	int			depth;
	size_t		scanned;		/* from the start of the value */
} ListFrame;

/*
 * Longest "@odata.count" that is kept.  A 64-bit number takes 20 digits, and
 * quotes two more; anything longer is not a count.
 */
#define MAX_COUNT_TEXT 32

struct GraphListReader
{
	const GraphProjection *projection;
	ListPhase	phase;
	ListMember	member;			/* whose value comes */
	ListFrame	frame;			/* of the value that comes */
	const char *problem;		/* if phase is LIST_BROKEN */

	bool		seen_value;
	bool		has_value;		/* and it was an array */
	bool		has_error;
	size_t		count_len;
	size_t		link_len;
	char		count[MAX_COUNT_TEXT];
	char		link[GRAPH_MAX_LINK];
};

/*
 * graph_list_reader_create
 *		Make a reader of one OData collection document.
 *
 * The projection says what is wanted of each record; it may be NULL.
 */
GraphListReader *
graph_list_reader_create(const GraphProjection *projection)
{
	GraphListReader *reader = palloc(sizeof(GraphListReader));

	/* the room for the link is large, and needs no clearing */
	memset(reader, 0, offsetof(GraphListReader, count));
	reader->projection = projection;
	reader->phase = LIST_START;
	return reader;
}

/*-------------------------------------------------------------------------
 * Where does a value end that has not arrived as a whole?
 *-------------------------------------------------------------------------
 */

/*
 * frame_string
 *		Go to the end of the string that the frame is in; false if it is not
 *		there yet.
 */
static bool
frame_string(ListFrame *frame, const char *data, size_t len)
{
	const char *end = data + len;
	const char *p = data + frame->scanned;

	while (frame->in_string)
	{
		p = skip_plain(p, end);

		/* a backslash waits for the byte that it escapes */
		if (p == end || (*p == '\\' && p + 1 == end))
			break;
		if (*p == '"')
			frame->in_string = false;
		p += (*p == '\\') ? 2 : 1;
	}
	frame->scanned = p - data;
	return !frame->in_string;
}

/*
 * frame_scalar
 *		Go to the end of a number or word: it is where something else follows.
 */
static bool
frame_scalar(ListFrame *frame, const char *data, size_t len)
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
 * frame_value
 *		Go on to the end of a value that starts at data; false if it is not
 *		there yet.
 *
 * Then frame->scanned is its length.
 *
 * Each byte is looked at once, in however many pieces the value comes.  A
 * value that is nested too deeply "ends" where it becomes so: it can be judged
 * there.
 */
static bool
frame_value(ListFrame *frame, const char *data, size_t len)
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
 * locate_more
 *		The same as graph_json_locate() for a value of which more may be to
 *		come.
 *
 * The frame is zero at first, and the same until the value is complete; data
 * begins with the value each time.  Mostly it is there as a whole, so that is
 * tried first.  If it is not, the attempt is not repeated for every few bytes
 * that arrive, which would take quadratic time, but only when the end of the
 * value is there.
 */
static GraphJsonStatus
locate_more(ListFrame *frame, const char *data, size_t len,
			const GraphProjection *projection, GraphSlice *slots,
			size_t *end, GraphJsonError *error)
{
	GraphJsonStatus status;
	JsonBreak	cut;

	if (!frame->active)
	{
		status = graph_json_locate_open(data, len, projection, slots, end,
										&cut, error);
		if (status != GRAPH_JSON_INCOMPLETE)
			return status;
		*frame = (ListFrame) {true, false, cut.depth, cut.token};
	}

	if (!frame_value(frame, data, len))
		return GRAPH_JSON_INCOMPLETE;
	frame->active = false;

	status = graph_json_locate(data, frame->scanned, projection, slots, end,
							   error);
	if (status == GRAPH_JSON_INCOMPLETE)
	{
		/* a word that is too short, since more bytes would not help */
		error->problem = "unexpected character";
		status = GRAPH_JSON_MALFORMED;
	}
	return status;
}

/*-------------------------------------------------------------------------
 * The document.
 *-------------------------------------------------------------------------
 */

/*
 * broken
 *		Give up: nothing after this can be trusted.
 */
static GraphListEvent
broken(GraphListReader *reader, const char *problem, size_t offset,
	   GraphJsonError *error)
{
	reader->phase = LIST_BROKEN;
	reader->problem = problem;
	error->problem = problem;
	error->offset = offset;
	return GRAPH_LIST_MALFORMED;
}

/*
 * skip_bom
 *		Step over a byte order mark; false if it may yet become one.
 */
static bool
skip_bom(GraphListReader *reader, const char *data, size_t len, size_t *pos)
{
	static const char bom[] = "\xEF\xBB\xBF";

	if (memcmp(data, bom, Min(len, 3)) == 0)
	{
		if (len < 3)
			return false;
		*pos = 3;
	}
	reader->phase = LIST_OPEN;
	return true;
}

/*
 * classify_member
 *		What does the member with this key mean to us?
 */
static ListMember
classify_member(GraphSlice key)
{
	if (graph_json_key_is(key, "value"))
		return MEMBER_VALUE;
	if (graph_json_key_is(key, "@odata.nextLink"))
		return MEMBER_NEXT_LINK;
	if (graph_json_key_is(key, "@odata.count"))
		return MEMBER_COUNT;
	if (graph_json_key_is(key, "error"))
		return MEMBER_ERROR;
	return MEMBER_OTHER;
}

/*
 * remember_member
 *		Keep what we need of a member's value; returns a problem, or NULL.
 */
static const char *
remember_member(GraphListReader *reader, const char *data, size_t len)
{
	switch (reader->member)
	{
		case MEMBER_NEXT_LINK:
			if (len > GRAPH_MAX_LINK)
				return "\"@odata.nextLink\" is too long";
			memcpy(reader->link, data, len);
			reader->link_len = len;
			break;

		case MEMBER_COUNT:
			reader->count_len = (len <= MAX_COUNT_TEXT) ? len : 0;
			memcpy(reader->count, data, reader->count_len);
			break;

		case MEMBER_ERROR:
			/* "error": null says that there is none */
			reader->has_error |= (data[0] != 'n');
			break;

		case MEMBER_VALUE:
		case MEMBER_OTHER:
			break;
	}
	return NULL;
}

/*
 * follow_punctuation
 *		The phase that a byte of punctuation leads to, or LIST_BROKEN if it is
 *		not one that can come now: a key, a value, or an error.
 */
static ListPhase
follow_punctuation(const GraphListReader *reader, char c)
{
	const ListRule *rule = &rules[reader->phase];

	Assert(reader->phase < lengthof(rules));
	if (c == '\0' ||
		(reader->phase == LIST_MEMBER && reader->member != MEMBER_VALUE))
		return LIST_BROKEN;
	if (c == rule->mark)
		return rule->next;
	return c == rule->other_mark ? rule->other_next : LIST_BROKEN;
}

/*
 * starts_item
 *		May this byte start the key or value that the reader waits for?
 */
static bool
starts_item(const GraphListReader *reader, char c)
{
	char		item = rules[reader->phase].item;

	return item == '*' || (item == c && c != '\0');
}

/*
 * describe_misfit
 *		What is wrong with a byte that can neither be punctuation nor an item?
 */
static const char *
describe_misfit(const GraphListReader *reader, char c)
{
	switch (reader->phase)
	{
		case LIST_OPEN:
			return "the document is not an object";

		case LIST_END:
			return "text after the end of the document";

		case LIST_FIRST_ELEMENT:
		case LIST_ELEMENT:
			if (c != '\0' && strchr("\"[-0123456789tfn", c) != NULL)
				return "element of \"value\" is not an object";
			return "unexpected character";

		default:
			return "unexpected character";
	}
}

/*
 * accept_value
 *		A key or the value of a member has been read: which, and what next?
 *
 * Returns a problem, or NULL.
 */
static const char *
accept_value(GraphListReader *reader, const char *data, size_t len)
{
	if (reader->phase == LIST_MEMBER)
	{
		reader->phase = LIST_NEXT_MEMBER;
		return remember_member(reader, data, len);
	}

	reader->member = classify_member((GraphSlice) {data + 1, len - 2});
	reader->phase = LIST_COLON;
	if (reader->member == MEMBER_VALUE)
	{
		if (reader->seen_value)
			return "member \"value\" is given twice";
		reader->seen_value = true;
	}
	return NULL;
}

/*
 * read_item
 *		Read the key, member or record at *pos.
 *
 * *done is set if that is the event to return; otherwise *pos is past it.
 */
static GraphListEvent
read_item(GraphListReader *reader, const char *data, size_t len, size_t *pos,
		  GraphSlice *record, GraphSlice *slots, GraphJsonError *error,
		  bool *done)
{
	bool		is_record = (reader->phase == LIST_ELEMENT ||
							 reader->phase == LIST_FIRST_ELEMENT);
	const char *start = data + *pos;
	const char *problem;
	size_t		end = 0;

	*done = true;
	switch (locate_more(&reader->frame, start, len - *pos,
						is_record ? reader->projection : NULL, slots, &end,
						error))
	{
		case GRAPH_JSON_INCOMPLETE:
			return GRAPH_LIST_MORE;
		case GRAPH_JSON_MALFORMED:
			return broken(reader, error->problem, *pos + error->offset,
						  error);
		case GRAPH_JSON_OK:
			break;
	}

	if (is_record)
	{
		*pos += end;
		*record = (GraphSlice) {start, end};
		reader->phase = LIST_NEXT_ELEMENT;
		return GRAPH_LIST_RECORD;
	}

	problem = accept_value(reader, start, end);
	if (problem != NULL)
		return broken(reader, problem, *pos, error);
	*pos += end;
	*done = false;
	return GRAPH_LIST_MORE;
}

/*
 * graph_list_read
 *		Read on in a list document, up to its next record.
 *
 * data are the bytes that have arrived and not been dropped: the caller drops
 * the first *used of them before it calls again, with more bytes after GRAPH_
 * LIST_MORE, else with more or without.  A record and its slots are slices of
 * data, and it is returned as soon as its last byte is there.  GRAPH_LIST_END
 * comes with the closing brace; bytes that come after it may be given too, and
 * must be white space.  error says something only after GRAPH_LIST_MALFORMED.
 *
 * A value of the document has to fit into data as a whole.  How large that may
 * become is for the caller to say.
 */
GraphListEvent
graph_list_read(GraphListReader *reader, const char *data, size_t len,
				size_t *used, GraphSlice *record, GraphSlice *slots,
				GraphJsonError *error)
{
	size_t		pos = 0;

	*used = 0;
	if (reader->phase == LIST_BROKEN)
		return broken(reader, reader->problem, 0, error);
	if (reader->phase == LIST_START &&
		(len == 0 || !skip_bom(reader, data, len, &pos)))
		return GRAPH_LIST_MORE;

	for (;;)
	{
		ListPhase	next;
		GraphListEvent event;
		bool		done;

		pos += graph_json_skip_blanks(data + pos, len - pos);
		*used = pos;
		if (pos == len)
			return reader->phase == LIST_END ?
				GRAPH_LIST_END : GRAPH_LIST_MORE;

		next = follow_punctuation(reader, data[pos]);
		if (next != LIST_BROKEN)
		{
			reader->has_value |= (next == LIST_FIRST_ELEMENT);
			reader->phase = next;
			*used = ++pos;
			if (next == LIST_END)
				return GRAPH_LIST_END;
			continue;
		}

		if (!starts_item(reader, data[pos]))
		{
			*used = 0;
			return broken(reader, describe_misfit(reader, data[pos]), pos,
						  error);
		}
		event = read_item(reader, data, len, &pos, record, slots, error,
						  &done);
		if (done)
		{
			*used = (event == GRAPH_LIST_MALFORMED) ? 0 : pos;
			return event;
		}
	}
}

/*
 * graph_list_next_link, graph_list_count
 *		The raw values of "@odata.nextLink" and "@odata.count", as far as they
 *		have been read; data is NULL if there is none.
 *
 * They live as long as the reader.
 */
GraphSlice
graph_list_next_link(const GraphListReader *reader)
{
	return (GraphSlice) {reader->link_len > 0 ? reader->link : NULL,
						 reader->link_len};
}

GraphSlice
graph_list_count(const GraphListReader *reader)
{
	return (GraphSlice) {reader->count_len > 0 ? reader->count : NULL,
						 reader->count_len};
}

/*
 * graph_list_has_value
 *		Was there a member "value", and was it an array?
 */
bool
graph_list_has_value(const GraphListReader *reader)
{
	return reader->has_value;
}

/*
 * graph_list_has_error
 *		Was there a member "error" that is not null?
 */
bool
graph_list_has_error(const GraphListReader *reader)
{
	return reader->has_error;
}
