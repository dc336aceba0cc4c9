/*-------------------------------------------------------------------------
 *
 * decode.c
 *		What does this text mean as a Datum?
 *
 * A decoder is resolved once for a column: its input function, and whether
 * there is a shorter way from the bytes of a JSON value to the Datum.  Then
 * each value goes straight from its bytes: strings are unescaped once, numbers
 * reach their type as the digits that they are written with, json gets the
 * bytes as they stand but for odd strings, and jsonb is made of them by
 * jsonb.c.
 *
 * Odd strings become clean text in text.c.  Anything else that a type does not
 * accept is the type's own error.
 *
 * Assumed: values are slices that json.c has found, so they are JSON; the
 * current memory context is the place for results.
 *
 * What this file refuses to know: where the bytes came from, columns.
 *
 * IDENTIFICATION
 *		src/row/decode.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "row/graph_row.h"

/* Makes a Datum of a value that is neither absent nor null. */
typedef Datum (*DecodeFunction) (GraphDecoder *decoder, GraphSlice value);

struct GraphDecoder
{
	DecodeFunction decode;
	Oid			type;			/* of the result */
	MemoryContext context;		/* lives as long as the decoder */

	/* input function of the type, of the base type if it is a domain */
	FmgrInfo	input;
	Oid			ioparam;
	int32		typmod;

	int16		width;			/* of the type if decode_integer() decodes it */

	/* if it is an array, or a domain over one */
	GraphDecoder *element;
	int16		elmlen;
	bool		elmbyval;
	char		elmalign;

	GraphJsonbBuilder *jsonb;	/* if decode_jsonb() decodes it */

	/* if it is a domain */
	bool		is_domain;
	void	   *constraints;	/* kept by domain_check() */
};

/*-------------------------------------------------------------------------
 * Values: a function for each way to make a Datum.
 *-------------------------------------------------------------------------
 */

/*
 * decode_by_input
 *		By the type's input function: what every type can do.
 */
static Datum
decode_by_input(GraphDecoder *decoder, GraphSlice value)
{
	size_t		len;
	char	   *text;

	text = graph_json_text(value, graph_slice_is_string(value), 0, &len);
	return InputFunctionCall(&decoder->input, text, decoder->ioparam,
							 decoder->typmod);
}

/*
 * make_text
 *		A varlena of a value's text.
 */
static Datum
make_text(GraphSlice value, bool unescape)
{
	size_t		len;
	char	   *text = graph_json_text(value, unescape, VARHDRSZ, &len);

	SET_VARSIZE(text, VARHDRSZ + len);
	return PointerGetDatum(text);
}

/*
 * decode_text
 *		Text of any length, which the input functions of text only copy.
 */
static Datum
decode_text(GraphDecoder *decoder, GraphSlice value)
{
	return make_text(value, graph_slice_is_string(value));
}

/*
 * decode_json
 *		The same JSON, since it was checked when it was found.
 */
static Datum
decode_json(GraphDecoder *decoder, GraphSlice value)
{
	return make_text(value, false);
}

/*
 * decode_jsonb, decode_jsonb_by_input
 *		A jsonb, and the same in databases that are not in UTF-8.
 */
static Datum
decode_jsonb(GraphDecoder *decoder, GraphSlice value)
{
	return graph_jsonb_build(decoder->jsonb, value);
}

static Datum
decode_jsonb_by_input(GraphDecoder *decoder, GraphSlice value)
{
	size_t		len;
	char	   *text = graph_json_text(value, false, 0, &len);

	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
}

/*
 * decode_bool
 *		A boolean; what is not JSON's own goes to the input function.
 */
static Datum
decode_bool(GraphDecoder *decoder, GraphSlice value)
{
	if (value.data[0] == 't' || value.data[0] == 'f')
		return BoolGetDatum(value.data[0] == 't');
	return decode_by_input(decoder, value);
}

/*
 * decode_integer
 *		int2, int4 and int8; what does not fit goes to the input function, for
 *		its result or its error.
 */
static Datum
decode_integer(GraphDecoder *decoder, GraphSlice value)
{
	int64		number;

	Assert(decoder->width > 0);
	if (!graph_decode_integer(value, &number))
		return decode_by_input(decoder, value);
	if (decoder->width == sizeof(int64))
		return Int64GetDatum(number);
	if (decoder->width == sizeof(int32) &&
		number >= PG_INT32_MIN && number <= PG_INT32_MAX)
		return Int32GetDatum((int32) number);
	if (decoder->width == sizeof(int16) &&
		number >= PG_INT16_MIN && number <= PG_INT16_MAX)
		return Int16GetDatum((int16) number);
	return decode_by_input(decoder, value);
}

/*
 * decode_timestamptz
 *		A time in one of OData's forms; any other goes to the input function.
 */
static Datum
decode_timestamptz(GraphDecoder *decoder, GraphSlice value)
{
	TimestampTz result;

	if (graph_decode_time(value, &result))
		return TimestampTzGetDatum(result);
	return decode_by_input(decoder, value);
}

/*
 * json_kind
 *		What JSON calls a value that is no array, for messages.
 */
static const char *
json_kind(GraphSlice value)
{
	switch (value.data[0])
	{
		case '{':
			return "object";
		case '"':
			return "string";
		case 't':
		case 'f':
			return "boolean";
		default:
			return "number";
	}
}

/*
 * decode_array
 *		An array, of one dimension always.
 *
 * What an element has inside is for the decoder of the element, to which an
 * inner array is JSON like any other.
 */
static Datum
decode_array(GraphDecoder *decoder, GraphSlice value)
{
	int			space = 16;
	int			count = 0;
	Datum	   *datums = palloc(space * sizeof(Datum));
	bool	   *nulls = palloc(space * sizeof(bool));
	size_t		position = 0;
	GraphSlice	element;
	int			dims[1];
	int			lower_bounds[1] = {1};

	if (value.data[0] != '[')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("cannot convert a JSON %s to type %s",
						json_kind(value), format_type_be(decoder->type))));

	while (graph_json_next_element(value, &position, NULL, NULL, &element))
	{
		if (count == space)
		{
			space *= 2;
			datums = repalloc(datums, space * sizeof(Datum));
			nulls = repalloc(nulls, space * sizeof(bool));
		}
		datums[count] = graph_decode(decoder->element, element,
									 &nulls[count]);
		count++;
	}
	if (count == 0)
		return PointerGetDatum(construct_empty_array(decoder->element->type));

	dims[0] = count;
	return PointerGetDatum(construct_md_array(datums, nulls, 1, dims,
											  lower_bounds,
											  decoder->element->type,
											  decoder->elmlen,
											  decoder->elmbyval,
											  decoder->elmalign));
}

/*-------------------------------------------------------------------------
 * Decoders.
 *-------------------------------------------------------------------------
 */

/*
 * choose_function
 *		The shortest way to a type that is neither an array nor a domain.
 */
static DecodeFunction
choose_function(Oid type, int32 typmod)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			return typmod < 0 ? decode_text : decode_by_input;
		case JSONOID:
			return decode_json;
		case JSONBOID:
			return GetDatabaseEncoding() == PG_UTF8 ?
				decode_jsonb : decode_jsonb_by_input;
		case BOOLOID:
			return decode_bool;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return decode_integer;
		case TIMESTAMPTZOID:
			return typmod < 0 ? decode_timestamptz : decode_by_input;
		default:
			return decode_by_input;
	}
}

/*
 * graph_decoder_create
 *		Find out how values become Datums of a type.
 *
 * The decoder lives in the current memory context.  A domain is decoded as
 * its base type, and then checked, which is what its own input function does.
 */
GraphDecoder *
graph_decoder_create(Oid type, int32 typmod)
{
	GraphDecoder *decoder = palloc0(sizeof(GraphDecoder));
	Oid			element;
	Oid			input;

	decoder->type = type;
	decoder->context = CurrentMemoryContext;
	decoder->typmod = typmod;
	if (get_typtype(type) == TYPTYPE_DOMAIN)
	{
		decoder->is_domain = true;
		decoder->typmod = -1;
		type = getBaseTypeAndTypmod(type, &decoder->typmod);
	}

	element = get_element_type(type);
	if (OidIsValid(element))
	{
		decoder->decode = decode_array;
		decoder->element = graph_decoder_create(element, decoder->typmod);
		get_typlenbyvalalign(element, &decoder->elmlen, &decoder->elmbyval,
							 &decoder->elmalign);
	}
	else
	{
		decoder->decode = choose_function(type, decoder->typmod);
		if (decoder->decode == decode_jsonb)
			decoder->jsonb = graph_jsonb_builder_create();
		if (decoder->decode == decode_integer)
			decoder->width = get_typlen(type);
		getTypeInputInfo(type, &input, &decoder->ioparam);
		fmgr_info(input, &decoder->input);
	}
	return decoder;
}

/*
 * graph_decode
 *		Make a Datum of a value, in the current memory context.
 *
 * An absent value and JSON's null are NULL.
 */
Datum
graph_decode(GraphDecoder *decoder, GraphSlice value, bool *isnull)
{
	Datum		result = (Datum) 0;

	*isnull = graph_slice_is_null(value);
	if (!*isnull)
		result = decoder->decode(decoder, value);
	if (decoder->is_domain)
		domain_check(result, *isnull, decoder->type, &decoder->constraints,
					 decoder->context);
	return result;
}
