/*-------------------------------------------------------------------------
 *
 * shim_memory.c
 *		The server's memory, outside of a server.
 *
 * Each allocation is one of malloc's, so that a sanitizer sees it, and all end
 * with shim_free_all().  Contexts are all the same one.
 *
 * IDENTIFICATION
 *		fuzz/shim_memory.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"

MemoryContext CurrentMemoryContext = NULL;
const char *shim_subject = NULL;

static void **allocated = NULL;
static size_t nallocated = 0;
static size_t allocated_space = 0;

/*
 * shim_keep
 *		Note what malloc() gave, so that it is freed.
 */
void *
shim_keep(void *pointer)
{
	if (pointer == NULL)
		abort();
	if (nallocated == allocated_space)
	{
		allocated_space = allocated_space * 2 + 64;
		allocated = realloc(allocated, allocated_space * sizeof(void *));
		if (allocated == NULL)
			abort();
	}
	allocated[nallocated++] = pointer;
	return pointer;
}

/* What was allocated last is mostly freed first. */
static void
forget(void *pointer)
{
	for (size_t i = nallocated; i-- > 0;)
	{
		if (allocated[i] != pointer)
			continue;
		allocated[i] = allocated[--nallocated];
		return;
	}
	abort();
}

/*
 * shim_free_all
 *		Free everything; nothing of the last input stays.
 */
void
shim_free_all(void)
{
	while (nallocated > 0)
		free(allocated[--nallocated]);
}

void *
palloc(Size size)
{
	return shim_keep(malloc(Max(size, 1)));
}

void *
palloc0(Size size)
{
	return shim_keep(calloc(Max(size, 1), 1));
}

void *
MemoryContextAlloc(MemoryContext context, Size size)
{
	return palloc(size);
}

void *
MemoryContextAllocZero(MemoryContext context, Size size)
{
	return palloc0(size);
}

void *
repalloc(void *pointer, Size size)
{
	forget(pointer);
	return shim_keep(realloc(pointer, Max(size, 1)));
}

void
pfree(void *pointer)
{
	forget(pointer);
	free(pointer);
}

char *
pnstrdup(const char *string, Size len)
{
	char	   *copy;

	len = strnlen(string, len);
	copy = palloc(len + 1);
	memcpy(copy, string, len);
	copy[len] = '\0';
	return copy;
}
