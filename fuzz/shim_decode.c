/*-------------------------------------------------------------------------
 *
 * shim_decode.c
 *		The functions of a server that decode.c, jsonb.c and json.c need,
 *		outside of one.
 *
 * Simple ones, and where a function would make a value of a type, one that
 * notes what it was given: what an input function does is not in question,
 * but whether it is called with the right text.  A numeric holds the digits
 * that it was made of.  An error goes to where the target catches it.
 *
 * IDENTIFICATION
 *		fuzz/shim_decode.c
 *
 *-------------------------------------------------------------------------
 */

/*
 * Servers differ in what these two take.  So their headers declare others, and
 * those that are linked are declared below.
 */
#define ExceptionalCondition	declared_ExceptionalCondition
#define appendBinaryStringInfo	declared_appendBinaryStringInfo

#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "row/graph_row.h"
#include "fuzz.h"
#include "shim_decode.h"

#undef ExceptionalCondition
#undef appendBinaryStringInfo
#undef fprintf
#undef snprintf
#undef vsnprintf

extern void ExceptionalCondition(const char *condition);
extern void appendBinaryStringInfo(StringInfo string, const void *data,
								   int len);

volatile sig_atomic_t InterruptPending = false;

ShimInput **shim_inputs = NULL;
int			shim_input_count = 0;
ShimCheck  *shim_checks = NULL;
int			shim_check_count = 0;
sigjmp_buf	shim_catch;
bool		shim_catching = false;
int			shim_error_code = 0;
char		shim_error_text[256];
int			shim_encoding = 0;
Oid			shim_conversion = InvalidOid;

void
shim_reset(void)
{
	shim_free_all();
	free(shim_inputs);
	shim_inputs = NULL;
	shim_input_count = 0;
	free(shim_checks);
	shim_checks = NULL;
	shim_check_count = 0;
}

/*-------------------------------------------------------------------------
 * Memory
 *-------------------------------------------------------------------------
 */

void *
palloc_extended(Size size, int flags)
{
	return palloc(size);
}

void *
MemoryContextAllocHuge(MemoryContext context, Size size)
{
	return palloc(size);
}

void *
repalloc_huge(void *pointer, Size size)
{
	return repalloc(pointer, size);
}

/*-------------------------------------------------------------------------
 * Errors
 *-------------------------------------------------------------------------
 */

bool
errstart(int elevel, const char *domain)
{
	return elevel >= ERROR;
}

bool
errstart_cold(int elevel, const char *domain)
{
	shim_error_code = ERRCODE_INTERNAL_ERROR;
	shim_error_text[0] = '\0';
	return true;
}

int
errcode(int code)
{
	shim_error_code = code;
	return 0;
}

static void
note_message(const char *format, va_list arguments)
{
	vsnprintf(shim_error_text, sizeof(shim_error_text), format, arguments);
}

int
errmsg(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	note_message(format, arguments);
	va_end(arguments);
	return 0;
}

int
errmsg_internal(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	note_message(format, arguments);
	va_end(arguments);
	return 0;
}

void
errfinish(const char *file, int line, const char *function)
{
	if (!shim_catching)
	{
		fprintf(stderr, "%s:%d: uncaught: %s\n", file, line, shim_error_text);
		abort();
	}
	siglongjmp(shim_catch, 1);
}

void
ExceptionalCondition(const char *condition)
{
	fprintf(stderr, "assertion failed: %s\n", condition);
	abort();
}

void
ProcessInterrupts(void)
{
	abort();
}

/*-------------------------------------------------------------------------
 * Strings
 *-------------------------------------------------------------------------
 */

void
initStringInfo(StringInfo string)
{
	memset(string, 0, sizeof(*string));
	string->data = palloc0(1);
	string->maxlen = 1;
}

/* No more room than is needed, so that a write past it is seen. */
void
enlargeStringInfo(StringInfo string, int needed)
{
	if (needed < 0)
		abort();
	needed += string->len + 1;
	if (needed <= string->maxlen)
		return;
	string->data = repalloc(string->data, needed);
	string->maxlen = needed;
}

void
appendBinaryStringInfo(StringInfo string, const void *data, int len)
{
	enlargeStringInfo(string, len);
	memcpy(string->data + string->len, data, len);
	string->len += len;
	string->data[string->len] = '\0';
}

void
appendStringInfoString(StringInfo string, const char *text)
{
	appendBinaryStringInfo(string, text, strlen(text));
}

void
appendStringInfoChar(StringInfo string, char c)
{
	appendBinaryStringInfo(string, &c, 1);
}

void
appendStringInfoSpaces(StringInfo string, int count)
{
	while (count-- > 0)
		appendStringInfoChar(string, ' ');
}

/*-------------------------------------------------------------------------
 * Encodings
 *
 * The header that declares them is not included: see shim_utf8.c.
 *-------------------------------------------------------------------------
 */

bool		pg_utf8_islegal(const unsigned char *s, int len);
int			GetDatabaseEncoding(void);
int			pg_do_encoding_conversion_buf(Oid proc, int source, int target,
										  unsigned char *from, int len,
										  unsigned char *to, int space,
										  bool no_error);

int
GetDatabaseEncoding(void)
{
	return shim_encoding;
}

Oid
FindDefaultConversionProc(int32 from, int32 to)
{
	if (to != shim_encoding)
		abort();
	return shim_conversion;
}

/*
 * To LATIN1.  As the server's, it takes no more than surely has room, and stops
 * at what it cannot convert; the result is how much it took.
 */
int
pg_do_encoding_conversion_buf(Oid proc, int source, int target,
							  unsigned char *from, int len,
							  unsigned char *to, int space, bool no_error)
{
	int			done = 0;

	if (proc != SHIM_CONVERSION || target != shim_encoding || !no_error)
		abort();
	len = Min(len, (space - 1) / 4);
	while (done < len)
	{
		int			used = from[done] < 0x80 ? 1 : 2;

		if (done + used > len || !pg_utf8_islegal(from + done, used))
			break;
		if (used == 2 && from[done] > 0xC3)
			break;
		*to++ = used == 1 ? from[done] :
			((from[done] & 0x1F) << 6) | (from[done + 1] & 0x3F);
		done += used;
	}
	*to = '\0';
	return done;
}

/*-------------------------------------------------------------------------
 * Types
 *-------------------------------------------------------------------------
 */

static const ShimType types[] = {
	{"text", TEXTOID, 0, -1, false, 0, -1, false, 'i'},
	{"character varying", VARCHAROID, 0, -1, false, 0, -1, false, 'i'},
	{"json", JSONOID, 0, -1, false, 0, -1, false, 'i'},
	{"jsonb", JSONBOID, 0, -1, false, 0, -1, false, 'i'},
	{"boolean", BOOLOID, 0, -1, false, 0, 1, true, 'c'},
	{"smallint", INT2OID, 0, -1, false, 0, 2, true, 's'},
	{"integer", INT4OID, 0, -1, false, 0, 4, true, 'i'},
	{"bigint", INT8OID, 0, -1, false, 0, 8, true, 'd'},
	{"numeric", NUMERICOID, 0, -1, false, 0, -1, false, 'i'},
	{"timestamp with time zone", TIMESTAMPTZOID, 0, -1, false, 0, 8, true, 'd'},
	{"text[]", TEXTARRAYOID, 0, -1, false, TEXTOID, -1, false, 'i'},
	{"integer[]", INT4ARRAYOID, 0, -1, false, INT4OID, -1, false, 'i'},
	{"jsonb[]", JSONBARRAYOID, 0, -1, false, JSONBOID, -1, false, 'i'},
	{"character varying[]", VARCHARARRAYOID, 0, -1, false, VARCHAROID, -1, false, 'i'},
	{"timestamp with time zone[]", TIMESTAMPTZARRAYOID, 0, -1, false, TIMESTAMPTZOID, -1, false, 'd'},
	{"name", SHIM_DOMAIN_TEXT, TEXTOID, -1, false, 0, -1, false, 'i'},
	{"number", SHIM_DOMAIN_NUMBER, INT8OID, -1, true, 0, 8, true, 'd'},
	{"times", SHIM_DOMAIN_TIMES, TIMESTAMPTZARRAYOID, -1, false, 0, -1, false, 'd'},
	{"short", SHIM_DOMAIN_SHORT, VARCHAROID, 24, false, 0, -1, false, 'i'},
	{"number[]", SHIM_NUMBERS, 0, -1, false, SHIM_DOMAIN_NUMBER, -1, false, 'd'},
};

const ShimType *
shim_type(Oid oid)
{
	for (size_t i = 0; i < lengthof(types); i++)
		if (types[i].oid == oid)
			return &types[i];
	abort();
}

char
get_typtype(Oid oid)
{
	return OidIsValid(shim_type(oid)->base) ? TYPTYPE_DOMAIN : TYPTYPE_BASE;
}

Oid
getBaseTypeAndTypmod(Oid oid, int32 *typmod)
{
	const ShimType *type = shim_type(oid);

	if (!OidIsValid(type->base) || *typmod != -1)
		abort();
	*typmod = type->base_typmod;
	return type->base;
}

Oid
get_element_type(Oid oid)
{
	return shim_type(oid)->element;
}

void
get_typlenbyvalalign(Oid oid, int16 *len, bool *byval, char *align)
{
	const ShimType *type = shim_type(oid);

	*len = type->len;
	*byval = type->byval;
	*align = type->align;
}

int16
get_typlen(Oid oid)
{
	return shim_type(oid)->len;
}

void
getTypeInputInfo(Oid oid, Oid *function, Oid *ioparam)
{
	*function = oid + SHIM_INPUT;
	*ioparam = oid;
}

char *
format_type_be(Oid oid)
{
	const char *name = shim_type(oid)->name;

	return pnstrdup(name, strlen(name));
}

void
fmgr_info(Oid function, FmgrInfo *info)
{
	memset(info, 0, sizeof(*info));
	info->fn_oid = function;
}

void
domain_check(Datum value, bool isnull, Oid domain, void **extra,
			 MemoryContext context)
{
	shim_checks = realloc(shim_checks,
						  (shim_check_count + 1) * sizeof(ShimCheck));
	if (shim_checks == NULL || extra == NULL)
		abort();
	shim_checks[shim_check_count].domain = domain;
	shim_checks[shim_check_count].value = value;
	shim_checks[shim_check_count].isnull = isnull;
	shim_check_count++;

	if (isnull && shim_type(domain)->not_null)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("domain does not allow null values")));
}

/*-------------------------------------------------------------------------
 * Values
 *-------------------------------------------------------------------------
 */

Datum
InputFunctionCall(FmgrInfo *info, char *text, Oid ioparam, int32 typmod)
{
	ShimInput  *input = palloc(sizeof(ShimInput));

	input->function = info->fn_oid;
	input->ioparam = ioparam;
	input->typmod = typmod;
	input->text = pnstrdup(text, strlen(text));

	shim_inputs = realloc(shim_inputs,
						  (shim_input_count + 1) * sizeof(ShimInput *));
	if (shim_inputs == NULL)
		abort();
	shim_inputs[shim_input_count++] = input;
	return PointerGetDatum(input);
}

Datum
DirectFunctionCall1Coll(PGFunction function, Oid collation, Datum argument)
{
	LOCAL_FCINFO(fcinfo, 1);

	InitFunctionCallInfoData(*fcinfo, NULL, 1, collation, NULL, NULL);
	fcinfo->args[0].value = argument;
	fcinfo->args[0].isnull = false;
	return function(fcinfo);
}

Datum
DirectFunctionCall3Coll(PGFunction function, Oid collation, Datum first,
						Datum second, Datum third)
{
	LOCAL_FCINFO(fcinfo, 3);

	InitFunctionCallInfoData(*fcinfo, NULL, 3, collation, NULL, NULL);
	fcinfo->args[0].value = first;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = second;
	fcinfo->args[1].isnull = false;
	fcinfo->args[2].value = third;
	fcinfo->args[2].isnull = false;
	return function(fcinfo);
}

struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}

/* The text that it was given. */
Datum
jsonb_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	size_t		len = strlen(text);
	char	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(result + VARHDRSZ, text, len);
	return PointerGetDatum(result);
}

/* Where numeric ends is not in question either: it ends here. */
bool
shim_number_is_too_large(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == 'e' || text[i] == 'E')
			return len - i > 5;
	return false;
}

/*
 * Digits, and zero bytes after them.  It can be as long as jsonb.c thinks that
 * one is at most, which is longer than what the server makes of these digits;
 * and it has one of many lengths, so that the next value is not aligned.
 */
static Datum
make_numeric(const char *text, size_t len)
{
	size_t		size = VARHDRSZ + len + (len * 7 + text[len - 1]) % 10;
	char	   *result = palloc0(size);

	SET_VARSIZE(result, size);
	memcpy(result + VARHDRSZ, text, len);
	return PointerGetDatum(result);
}

Datum
numeric_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);

	if (PG_GETARG_INT32(2) != -1)
		abort();
	if (shim_number_is_too_large(text, strlen(text)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value overflows numeric format")));
	return make_numeric(text, strlen(text));
}

Numeric
int64_to_numeric(int64 value)
{
	char		text[32];

	snprintf(text, sizeof(text), INT64_FORMAT, value);
	return (Numeric) DatumGetPointer(make_numeric(text, strlen(text)));
}

static ArrayType *
make_array(Oid type, int len, bool byval, char align)
{
	ShimArray  *array = palloc0(sizeof(ShimArray));

	array->type = type;
	array->len = len;
	array->byval = byval;
	array->align = align;
	return (ArrayType *) array;
}

ArrayType *
construct_empty_array(Oid type)
{
	const ShimType *element = shim_type(type);

	return make_array(type, element->len, element->byval, element->align);
}

ArrayType *
construct_md_array(Datum *elements, bool *nulls, int ndim, int *dims,
				   int *lower_bounds, Oid type, int len, bool byval,
				   char align)
{
	ShimArray  *array = (ShimArray *) make_array(type, len, byval, align);

	array->ndim = ndim;
	array->lower_bound = lower_bounds[0];
	array->count = dims[0];
	array->elements = palloc(array->count * sizeof(Datum));
	memcpy(array->elements, elements, array->count * sizeof(Datum));
	array->nulls = palloc(array->count * sizeof(bool));
	memcpy(array->nulls, nulls, array->count * sizeof(bool));
	return (ArrayType *) array;
}

/*-------------------------------------------------------------------------
 * Times
 *-------------------------------------------------------------------------
 */

const int	day_tab[2][13] =
{
	{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0},
	{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0}
};

/* The Julian day, of years after Christ. */
int
date2j(int year, int month, int day)
{
	int			since = month < 3 ? year - 1 : year;
	int			moved = month < 3 ? month + 9 : month - 3;

	return 365 * since + since / 4 - since / 100 + since / 400 +
		(153 * moved + 2) / 5 + day + 1721119;
}
