/*-------------------------------------------------------------------------
 *
 * option_int.h
 *		A row of the table of options, and the value of an option in a list:
 *		what option.c, login_option.c and validator.c share.
 *
 * IDENTIFICATION
 *		src/catalog/option_int.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_OPTION_INT_H
#define GRAPH_OPTION_INT_H

#include "commands/defrem.h"

#include "catalog/graph_catalog.h"

typedef enum OptionKind
{
	OPTION_TEXT,
	OPTION_URL,					/* of the service or the token authority */
	OPTION_PROXY,
	OPTION_CHOICE,				/* one of some words */
	OPTION_INTEGER,
	OPTION_BOOLEAN,
	OPTION_DURATION,			/* milliseconds, with PostgreSQL's units */
	OPTION_SIZE,				/* bytes, with PostgreSQL's units */
	OPTION_TENANT,				/* a GUID or a domain name */
	OPTION_HEADER_TEXT,			/* goes into a header: visible ASCII */
	OPTION_PROXY_USER,
	OPTION_PATH,				/* an OData path; column.c knows more */
} OptionKind;

#define OPTION_SUPERUSER	0x01	/* only a superuser may set it */
#define OPTION_SECRET		0x02	/* no message repeats its value */

/* A word of a choice and the int that stands for it. */
typedef struct OptionWord
{
	const char *word;
	int			value;
} OptionWord;

typedef struct GraphOptionRow
{
	const char *name;
	Oid			catalog;		/* the object that it may be set on */
	OptionKind	kind;
	int			flags;
	size_t		offset;			/* in GraphOptions */
	bool		is_int;			/* an int there, else a char * */
	int			minimum;
	int			maximum;
	const OptionWord *words;	/* of a choice, ends with NULL */
	const char *default_value;	/* as a user would write it, or NULL */
} GraphOptionRow;

/*
 * graph_option_value
 *		The value of an option in a list as the catalog gives it, or NULL.
 */
static inline char *
graph_option_value(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = lfirst_node(DefElem, cell);

		if (strcmp(def->defname, name) == 0)
			return defGetString(def);
	}
	return NULL;
}

extern const GraphOptionRow *graph_find_option(const char *name, Oid catalog);
extern const char *graph_cloud_of(const char *url, const char *preferred);
extern bool graph_parse_option(const GraphOptionRow *row, const char *value,
							   int *number, const char **problem);
pg_noreturn extern void graph_report_unknown_option(const char *name,
													Oid catalog);

#endif							/* GRAPH_OPTION_INT_H */
