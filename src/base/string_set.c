/*-------------------------------------------------------------------------
 *
 * string_set.c
 *		Which strings, of any length, have been here?
 *
 * PostgreSQL's hash tables of strings hold them in a fixed length.  This one
 * holds pointers to them, so a string has to stay as long as the set does; what
 * is looked up is the address of a pointer.
 *
 * What this file refuses to know: what the strings are.
 *
 * IDENTIFICATION
 *		src/base/string_set.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "base/graph_base.h"

/*
 * hash_key, match_key
 *		A hash table over strings that are pointed to.
 */
static uint32
hash_key(const void *key, Size size)
{
	const char *string = *(char *const *) key;

	return string_hash(string, strlen(string) + 1);
}

static int
match_key(const void *first, const void *second, Size size)
{
	return strcmp(*(char *const *) first, *(char *const *) second);
}

/*
 * graph_string_set_create
 *		An empty set of strings in a memory context.
 */
HTAB *
graph_string_set_create(const char *name, MemoryContext context)
{
	HASHCTL		ctl = {0};

	ctl.keysize = ctl.entrysize = sizeof(char *);
	ctl.hash = hash_key;
	ctl.match = match_key;
	ctl.hcxt = context;
	return hash_create(name, 64, &ctl,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}
