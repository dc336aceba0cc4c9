/*-------------------------------------------------------------------------
 *
 * patch.c
 *		How is a change written: its path, its body, and each value in it?
 *
 * A value is JSON by what the property is: a string, a member of an enum, an
 * array of strings or an object.  What a column has for it may be of any type:
 * json and jsonb are taken as they are, an array for a collection, and any
 * other type by its text.
 *
 * Two steps are apart.  Making JSON of a value works for what the service has
 * sent as well, whatever that is; what is to be sent is checked besides: is it
 * a member, may it be null, is it of the right kind?  So a value that nobody
 * changes is never in the way.
 *
 * The server's own function writes JSON strings, so that nothing has to be
 * freed when a value raises an error.
 *
 * Sources: OData 4.01 JSON Format, 7; Microsoft Graph, "Update alert", "Create
 * comment for alert".
 *
 * What this file refuses to know: which values have changed, transfers.
 *
 * IDENTIFICATION
 *		src/odata/patch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "odata/graph_odata.h"

/*-------------------------------------------------------------------------
 * From a value to JSON
 *-------------------------------------------------------------------------
 */

/*
 * graph_value_text
 *		The text of a value; the blanks that pad a char(n) are no part of it.
 */
char *
graph_value_text(Oid type, Datum value)
{
	Oid			function;
	bool		is_varlena;
	char	   *result;

	getTypeOutputInfo(type, &function, &is_varlena);
	result = OidOutputFunctionCall(function, value);
	if (getBaseType(type) == BPCHAROID)
	{
		size_t		len = strlen(result);

		while (len > 0 && result[len - 1] == ' ')
			result[--len] = '\0';
	}
	return result;
}

/*
 * parse
 *		JSON text as jsonb; what is none is an error.
 */
static Jsonb *
parse(const char *text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

/*
 * as_written
 *		JSON text in the form that jsonb has.
 */
static char *
as_written(const char *text)
{
	Jsonb	   *jsonb = parse(text);

	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}

/*
 * array_json
 *		An array as JSON; its elements are strings there.
 */
static char *
array_json(const GraphTarget *target, const GraphTargetColumn *column,
		   Oid element, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	StringInfoData json;
	int16		width;
	bool		by_value;
	char		align;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("value of column \"%s\" of foreign table \"%s\" must be a one-dimensional array",
						column->name, target->name)));
	get_typlenbyvalalign(element, &width, &by_value, &align);
	deconstruct_array(array, element, width, by_value, align, &elements,
					  &nulls, &count);
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			appendStringInfoString(&json, ", ");
		if (nulls[i])
			appendStringInfoString(&json, "null");
		else
			escape_json(&json, graph_value_text(element, elements[i]));
	}
	appendStringInfoChar(&json, ']');
	return json.data;
}

/*
 * graph_value_json
 *		A column's value as JSON, in the database's encoding.
 *
 * What is not JSON where it should be is an error, and so is an array of
 * arrays; nothing else is.
 */
char *
graph_value_json(const GraphTarget *target, const GraphTargetColumn *column,
				 Datum value, bool isnull)
{
	const GraphProperty *property = column->property;
	Oid			type = getBaseType(column->type);
	Oid			element = get_element_type(type);
	bool		is_plain = !property->collection &&
		property->type != GRAPH_EDM_COMPLEX &&
		property->type != GRAPH_EDM_DICTIONARY;
	StringInfoData json;

	if (isnull)
		return pstrdup("null");
	if (type == JSONOID || type == JSONBOID)
		return as_written(graph_value_text(type, value));
	if (property->collection && OidIsValid(element))
		return array_json(target, column, element, value);
	if (!is_plain)
		return as_written(graph_value_text(column->type, value));
	initStringInfo(&json);
	escape_json(&json, graph_value_text(column->type, value));
	return json.data;
}

/*
 * graph_is_same_json
 *		Have two JSON texts the same value?
 */
bool
graph_is_same_json(const char *first, const char *second)
{
	if (strcmp(first, second) == 0)
		return true;
	if (first[0] != second[0] || (first[0] != '{' && first[0] != '['))
		return false;
	return DatumGetBool(DirectFunctionCall2(jsonb_eq,
											JsonbPGetDatum(parse(first)),
											JsonbPGetDatum(parse(second))));
}

/*-------------------------------------------------------------------------
 * May it be sent?
 *-------------------------------------------------------------------------
 */

/*
 * report_value
 *		Raise an error: a column cannot be set to a value.
 */
static void
report_value(const GraphTarget *target, const GraphTargetColumn *column,
			 const char *json, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid value for column \"%s\" of foreign table \"%s\": %s",
					column->name, target->name, json),
			 hint ? errhint("%s", hint) : 0));
}

/*
 * check_member
 *		Is a JSON string a member of an enum?  If not, an error says which there
 *		are.
 */
static void
check_member(const GraphTarget *target, const GraphTargetColumn *column,
			 const char *json)
{
	const char *enum_name = column->property->type_name;
	char	   *word = pnstrdup(json + 1, strlen(json) - 2);
	const char *current = graph_current_member(enum_name, word);
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, graph_settable_members(enum_name))
	{
		if (strcmp(lfirst(cell), word) == 0)
			return;
		appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
						 (char *) lfirst(cell));
	}
	if (current)
		report_value(target, column, json,
					 psprintf("Its name is \"%s\" now.", current));
	report_value(target, column, json,
				 psprintf("Valid values are: %s.", names.data));
}

/*
 * check_texts
 *		Is this a JSON array of strings?  If not, that is an error.
 */
static void
check_texts(const GraphTarget *target, const GraphTargetColumn *column,
			const char *json)
{
	Jsonb	   *array = parse(json);
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;

	if (json[0] != '[')
		report_value(target, column, json, "An array of texts is wanted.");
	iterator = JsonbIteratorInit(&array->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM && value.type != jbvString)
			report_value(target, column, json,
						 "Each element must be a text, and none can be null.");
	}
}

/*
 * graph_check_json
 *		Raise an error unless a column can be set to a value, which is JSON.
 */
void
graph_check_json(const GraphTarget *target, const GraphTargetColumn *column,
				 const char *json)
{
	const GraphProperty *property = column->property;

	if (strcmp(json, "null") == 0)
	{
		if (column->writable->nullable)
			return;
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("column \"%s\" of foreign table \"%s\" cannot be null",
						column->name, target->name),
				 property->collection ?
				 errhint("Set it to '{}' to remove all elements.") : 0));
	}
	if (property->collection)
		check_texts(target, column, json);
	else if (property->type == GRAPH_EDM_COMPLEX ||
			 property->type == GRAPH_EDM_DICTIONARY)
	{
		if (json[0] != '{')
			report_value(target, column, json, "A JSON object is wanted.");
	}
	else if (json[0] != '"')
		report_value(target, column, json, "A JSON string is wanted.");
	else if (property->type == GRAPH_EDM_ENUM)
		check_member(target, column, json);
}

/*-------------------------------------------------------------------------
 * The request
 *-------------------------------------------------------------------------
 */

/*
 * graph_write_body
 *		The body of a write: of a PATCH the properties that are to change, of a
 *		POST what the new row is made of.  It is UTF-8.
 *
 * Text that has no form in UTF-8 is an error.
 */
char *
graph_write_body(const GraphTarget *target, const GraphChange *changes,
				 int nchanges)
{
	const GraphResourceInfo *resource = target->resource;
	StringInfoData body;

	Assert(nchanges > 0);
	initStringInfo(&body);
	appendStringInfoChar(&body, '{');
	if (resource->rows_member)
		appendStringInfo(&body, "\"@odata.type\":\"%s.%s\"", GRAPH_NAMESPACE,
						 resource->row_type);
	for (int i = 0; i < nchanges; i++)
		appendStringInfo(&body, "%s\"%s\":%s", body.len > 1 ? "," : "",
						 changes[i].column->writable->name, changes[i].json);
	appendStringInfoChar(&body, '}');
	return pg_server_to_any(body.data, body.len, PG_UTF8);
}

/*
 * graph_write_path
 *		The path below the service root to which it goes, or NULL if no record
 *		can have this id.
 */
char *
graph_write_path(const GraphTarget *target, const char *key)
{
	const GraphResourceInfo *resource = target->resource;
	char	   *path = graph_key_path(resource->entity_set, key);

	if (path == NULL || resource->rows_member == NULL)
		return path;
	return psprintf("%s/%s", path, resource->rows_member);
}
