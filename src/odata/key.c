/*-------------------------------------------------------------------------
 *
 * key.c
 *		Which alerts are asked for by their id, or by that of what they belong
 *		to, and how is an id written in a path?
 *
 * An id is data: whatever is in it, the request asks for the alert of that id,
 * or it is not made.
 *
 * No request is made for what cannot be an id.  All ids that were seen consist
 * of letters, digits, "-" and "_", but nobody promises that.  So a text is
 * taken for impossible only if no path can hold it: if it is empty or too
 * long, is "." or "..", begins with "$" as OData's own segments do, or has a
 * "/" or "\", at which Graph and Microsoft's servers take a path apart even
 * where it is encoded.  Any other is asked for; if the service calls it
 * malformed, no alert has that id.
 *
 * Sources: RFC 3986, 6.2.2.3; OData 4.01 URL conventions, 4.8.
 *
 * What this file refuses to know: the planner, conditions, transfers.
 *
 * IDENTIFICATION
 *		src/odata/key.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "odata/graph_odata.h"

/*
 * Longest id that is asked for, in bytes.  Graph's are below 100; a request
 * line much longer than this is refused by servers and proxies.
 */
#define MAX_ID_BYTES	1024

/* The distinct ids that values name, as they are found. */
typedef struct KeyList
{
	HTAB	   *seen;
	char	  **keys;
	int			count;
	int			allocated;
	bool		all;			/* each can be asked for, or is no alert's */
} KeyList;

/*
 * add_key
 *		Put an id into the list, if it is not there and an alert can have it.
 */
static void
add_key(KeyList *list, Datum value)
{
	char	   *key = TextDatumGetCString(value);
	GraphTextMeaning meaning = graph_text_meaning(key);
	bool		found;

	if (meaning == GRAPH_TEXT_AMBIGUOUS)
		list->all = false;
	if (meaning == GRAPH_TEXT_IMPOSSIBLE)
		return;
	(void) hash_search(list->seen, &key, HASH_ENTER, &found);
	if (found)
		return;
	if (list->count == list->allocated)
	{
		list->allocated *= 2;
		list->keys = repalloc(list->keys, list->allocated * sizeof(char *));
	}
	list->keys[list->count++] = key;
}

/*
 * graph_key_list
 *		The distinct ids that values name: texts, or arrays of them.  Nulls are
 *		left out.
 *
 * *all is false if one of them may be shown for another id, which only a list
 * can tell.
 */
char	  **
graph_key_list(List *keys, const GraphValue *values, int *count, bool *all)
{
	KeyList		list = {NULL, palloc(8 * sizeof(char *)), 0, 8, true};
	ListCell   *cell;

	list.seen = graph_string_set_create("graph_fdw keys", CurrentMemoryContext);
	foreach(cell, keys)
	{
		const GraphValue *value = &values[lfirst_int(cell)];
		Datum	   *elements;
		bool	   *nulls;
		int			n;

		if (value->isnull)
			continue;
		if (value->type == TEXTOID)
		{
			add_key(&list, value->value);
			continue;
		}
		Assert(value->type == TEXTARRAYOID);
		deconstruct_array(DatumGetArrayTypeP(value->value), TEXTOID, -1, false,
						  TYPALIGN_INT, &elements, &nulls, &n);
		for (int i = 0; i < n; i++)
		{
			if (!nulls[i])
				add_key(&list, elements[i]);
		}
	}
	hash_destroy(list.seen);
	*count = list.count;
	*all = list.all;
	return list.keys;
}

/*
 * leads_elsewhere
 *		Is a text, as a path, what OData reserves, as "$count" is, or has it a
 *		segment "." or ".."?
 *
 * Percent-encoding does not protect dots: RFC 3986 lets everyone on the way
 * remove them.
 */
static bool
leads_elsewhere(const char *text)
{
	if (text[0] == '$')
		return true;
	for (;;)
	{
		size_t		len = strcspn(text, "/\\");

		if ((len == 1 || len == 2) && strspn(text, ".") == len)
			return true;
		if (text[len] == '\0')
			return false;
		text += len + 1;
	}
}

/*
 * graph_key_path
 *		The path of an alert below the service root, or NULL if no alert can
 *		have this id.
 */
char *
graph_key_path(const char *entity_set, const char *key)
{
	char	   *plain;

	if (key[0] == '\0' || strlen(key) > MAX_ID_BYTES ||
		strpbrk(key, "/\\") || leads_elsewhere(key))
		return NULL;

	/* an id that is encoded already must not be decoded twice on the way */
	plain = graph_url_unescape(key);
	if (leads_elsewhere(plain))
		return NULL;
	return psprintf("%s/%s", entity_set, graph_url_escape(key));
}

/*
 * graph_owned_path
 *		The path of the records that belong to the owner with this id, or NULL if
 *		no path can hold the id.
 */
char *
graph_owned_path(const GraphNavigation *navigation, const char *key)
{
	char	   *owner = graph_key_path(navigation->owner_set, key);

	return owner ? psprintf("%s/%s", owner, navigation->segment) : NULL;
}

/*
 * graph_are_owners
 *		Can what belongs to each of these be asked for?
 *
 * An id that no path can hold may still be in a record, of which only a list
 * can tell.
 */
bool
graph_are_owners(const GraphNavigation *navigation, char *const *keys, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (graph_owned_path(navigation, keys[i]) == NULL)
			return false;
	}
	return true;
}
