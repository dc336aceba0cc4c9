/*-------------------------------------------------------------------------
 *
 * deparse_int.h
 *		What has become of a condition, for the files that write $filter.
 *
 * IDENTIFICATION
 *		src/odata/deparse_int.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef DEPARSE_INT_H
#define DEPARSE_INT_H

#include "odata/graph_odata.h"

/*
 * Longest $filter in bytes before it is escaped.  Servers commonly take
 * request lines of 8 kB; what does not fit is checked locally only.
 */
#define MAX_FILTER_BYTES	2000

/* What a condition turned out as; a text comes with FILTER_TEXT. */
typedef enum FilterResult
{
	FILTER_EVERY,				/* every alert may match */
	FILTER_NONE,				/* no alert can match */
	FILTER_TEXT,
} FilterResult;

/*
 * What is known while a condition is deparsed.  Whatever is sent may let more
 * through than the condition means, but only where something was left out, or
 * where pushdown.c says so of the condition as such.
 */
typedef struct DeparseContext
{
	const GraphResourceInfo *resource;
	const GraphValue *values;
	const char *left_out;		/* why something was; NULL: nothing was */
	bool		constant;		/* all values are constants of the plan */
	bool		labelled;		/* the text has expressions for a person */
	bool		has_any;		/* the condition is about elements of the
								 * alert */
} DeparseContext;

/* Between two conditions that must both hold. */
#define AND_TEXT	" and "

/* Why a condition is left out, where both files can tell. */
#define GRAPH_FILTER_TOO_LONG	"the filter would be too long"

/* in deparse.c */
extern FilterResult graph_deparse_condition(DeparseContext *context,
											List *condition, char **text);

#endif							/* DEPARSE_INT_H */
