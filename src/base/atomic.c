/*-------------------------------------------------------------------------
 *
 * atomic.c
 *		May the procedure that asks end its transaction?
 *
 * A refresh of a copy commits what it has read.  It cannot where it was called
 * in a transaction block, by a function, or by a procedure in one of these, and
 * SQL has no means to know but the error, after which nothing is left.
 *
 * What this file refuses to know: copies.
 *
 * IDENTIFICATION
 *		src/base/atomic.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"

PG_FUNCTION_INFO_V1(graph_fdw_may_commit);

/*
 * graph_fdw_may_commit
 *		SQL: can the procedure from whose body this is called use COMMIT?
 *
 * False when it is called by a query itself, which belongs to no procedure.
 */
Datum
graph_fdw_may_commit(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(SPI_inside_nonatomic_context());
}
