/*-------------------------------------------------------------------------
 *
 * trim.c
 *		Give memory that is free back to the operating system.
 *
 * A statement that was large leaves free pieces between those that stay, which
 * the C library keeps: the next one then needs more in other places.  A session
 * that refreshes copies all day would hold twice what it uses.
 *
 * What this file refuses to know: copies.
 *
 * IDENTIFICATION
 *		src/base/trim.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "fmgr.h"

PG_FUNCTION_INFO_V1(graph_fdw_trim_memory);

/*
 * graph_fdw_trim_memory
 *		SQL: give back what is free, where the C library can.
 */
Datum
graph_fdw_trim_memory(PG_FUNCTION_ARGS)
{
#ifdef __GLIBC__
	(void) malloc_trim(0);
#endif
	PG_RETURN_VOID();
}
