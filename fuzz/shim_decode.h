/*-------------------------------------------------------------------------
 *
 * shim_decode.h
 *		What shim_decode.c tells fuzz_decode.c of the calls that it got.
 *
 * IDENTIFICATION
 *		fuzz/shim_decode.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SHIM_DECODE_H
#define SHIM_DECODE_H

#include <setjmp.h>

/* A type, as much of pg_type as is asked for. */
typedef struct ShimType
{
	const char *name;
	Oid			oid;
	Oid			base;			/* if it is a domain, with its typmod */
	int32		base_typmod;
	bool		not_null;
	Oid			element;		/* if it is an array */
	int16		len;
	bool		byval;
	char		align;
} ShimType;

/* One call of an input function, which is also its result. */
typedef struct ShimInput
{
	Oid			function;
	Oid			ioparam;
	int32		typmod;
	char	   *text;
} ShimInput;

/* One check of a domain. */
typedef struct ShimCheck
{
	Oid			domain;
	Datum		value;
	bool		isnull;
} ShimCheck;

/* An array whose elements stand beside it and not in it. */
typedef struct ShimArray
{
	Oid			type;			/* of the elements */
	int			len;
	bool		byval;
	char		align;
	int			ndim;
	int			lower_bound;
	int			count;
	Datum	   *elements;
	bool	   *nulls;
} ShimArray;

/* The input function of a type has this number more than the type. */
#define SHIM_INPUT			50000

/* Domains, and an array of one. */
#define SHIM_DOMAIN_TEXT	20001
#define SHIM_DOMAIN_NUMBER	20002	/* not null */
#define SHIM_DOMAIN_TIMES	20003
#define SHIM_DOMAIN_SHORT	20004	/* varchar(20) */
#define SHIM_NUMBERS		20005

/* Functions that convert have this number, others none. */
#define SHIM_CONVERSION		60000

extern const ShimType *shim_type(Oid oid);
extern bool shim_number_is_too_large(const char *text, size_t len);
extern void shim_reset(void);

/* What happened since the last reset. */
extern ShimInput **shim_inputs;
extern int	shim_input_count;
extern ShimCheck *shim_checks;
extern int	shim_check_count;

/* Where an error goes, and what it said; 0 while there was none. */
extern sigjmp_buf shim_catch;
extern bool shim_catching;
extern int	shim_error_code;
extern char shim_error_text[256];

extern int	shim_encoding;
extern Oid	shim_conversion;

#endif							/* SHIM_DECODE_H */
