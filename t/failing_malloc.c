/*
 * failing_malloc.c: an allocator whose n-th allocation fails.
 *
 * 051_allocations.pl loads it into a server ahead of everything else
 * (LD_PRELOAD), and calls the functions at the end as SQL functions.  Only
 * allocations of graph_fdw and the libraries below it count: the server's own
 * are left alone.
 */
#define _GNU_SOURCE
#include "postgres.h"

#include <dlfcn.h>

#include "fmgr.h"

PG_MODULE_MAGIC;

/* glibc's own */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

static volatile int armed;		/* 0: not; else the number that fails */
static volatile int lasting;	/* and all after it */
static volatile int counted;
static volatile int failed;

/*
 * Is this allocation, of whoever is to return to that address, to fail?
 */
static int
fails(void *caller)
{
	static const char *const whose[] = {"/libcurl", "/libjansson", "/libcrypto",
	"/libssl", "/libz.", "/libnghttp2", "/graph_fdw.so"};
	Dl_info		info;

	if (armed == 0 || dladdr(caller, &info) == 0 || info.dli_fname == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(whose) / sizeof(whose[0]); i++)
	{
		if (strstr(info.dli_fname, whose[i]) == NULL)
			continue;
		counted++;
		if (counted != armed && !(lasting && counted > armed))
			return 0;
		failed++;
		errno = ENOMEM;
		return 1;
	}
	return 0;
}

void *
malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *memory, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}

char *
strdup(const char *text)
{
	size_t		size = strlen(text) + 1;
	char	   *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

/*
 * fail_at(n integer, lasting boolean): from now on the n-th allocation fails,
 * and all after it or none.
 */
PG_FUNCTION_INFO_V1(fail_at);
Datum
fail_at(PG_FUNCTION_ARGS)
{
	counted = failed = 0;
	lasting = PG_GETARG_BOOL(1);
	armed = PG_GETARG_INT32(0);
	PG_RETURN_VOID();
}

/*
 * failures() returns integer: none fails any more; how many have?
 */
PG_FUNCTION_INFO_V1(failures);
Datum
failures(PG_FUNCTION_ARGS)
{
	armed = 0;
	PG_RETURN_INT32(failed);
}
