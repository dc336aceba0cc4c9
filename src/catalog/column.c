/*-------------------------------------------------------------------------
 *
 * column.c
 *		What does a column of a foreign table read?
 *
 * A column says so by its option "property", or by its name alone: the name
 * of a property in snake_case or any other spelling, a flattened one
 * (vm_metadata_vm_id), one of the record around an evidence or a comment
 * (alert_severity), or one of the columns by which people join evidence of
 * any type to tables of their own.
 *
 * The metadata is a help, never a limit: an option may name a property that
 * is not in it, since the service adds some several times a year.
 *
 * What this file refuses to know: planner nodes, HTTP, what a value looks like.
 *
 * IDENTIFICATION
 *		src/catalog/column.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/graph_catalog.h"

/*
 * Columns of a table of evidence of any type by which people join to tables
 * of their own, with the places where the various types keep that piece of
 * information.  A column means one thing: what the evidence itself is about,
 * or the device or account that it happened on.  So these are left out on
 * purpose:
 *
 * ip_address: the two ends of a network connection, the client and server of
 * a DNS lookup, the addresses that a SAS token allows (several, none of them
 * the evidence's own), lastExternalIpAddress (a gateway that many devices
 * share), and the sender's address of a mail, which is sender_ip.
 *
 * host_name: friendly device names, which need not be host names.
 *
 * file_name to sha256: the parent process's image.  A fileHashEvidence says
 * in another property which hash its value is, so no path can tell.
 *
 * domain_name is the domain that the evidence names, be it a DNS name or the
 * domain of an account; evidence_type tells them apart.  A mail's sender
 * domains are not among them: there are two, and senders have own columns.
 *
 * ipAddress is a string in ipEvidence, but an ipEvidence elsewhere; a step
 * into a string leads nowhere, so the longer path comes first.
 *
 * metadata/generate.py reads this table, to see that every path exists.
 */
static const GraphNamedColumn join_columns[] = {
	{"device_dns_name", "text", "deviceDnsName|host/deviceDnsName"},
	{"host_name", "text", "hostName|host/hostName"},
	{"mde_device_id", "text", "mdeDeviceId|host/mdeDeviceId"},
	{"azure_ad_device_id", "text", "azureAdDeviceId|host/azureAdDeviceId"},
	/* not inet: Graph may send an empty one */
	{"ip_address", "text", "ipAddress/ipAddress|ipAddress|podIp/ipAddress"
		"|clusterIP/ipAddress|lastIpAddress|host/lastIpAddress"
	"|pod/podIp/ipAddress"},
	{"url", "text", "url"},
	{"file_name", "text", "fileDetails/fileName|imageFile/fileName"},
	{"file_path", "text", "fileDetails/filePath|imageFile/filePath"},
	{"sha1", "text", "fileDetails/sha1|imageFile/sha1"},
	{"sha256", "text", "fileDetails/sha256|imageFile/sha256"},
	{"process_id", "bigint", "processId"},
	{"process_command_line", "text", "processCommandLine"},
	{"registry_key", "text", "registryKey"},
	{"account_name", "text", "userAccount/accountName"
	"|account/userAccount/accountName"},
	{"domain_name", "text", "domainName|activeDirectoryDomainName"
	"|userAccount/domainName|account/userAccount/domainName"},
	{"user_principal_name", "text", "userAccount/userPrincipalName|upn"
	"|account/userAccount/userPrincipalName"},
	{"user_sid", "text", "userAccount/userSid|account/userAccount/userSid"},
	{"azure_ad_user_id", "text", "userAccount/azureAdUserId"
	"|account/userAccount/azureAdUserId"},
	{"primary_address", "text", "primaryAddress|mailboxPrimaryAddress"},
	{"sender_ip", "text", "senderIp|senderIP"},
	{"recipient_email_address", "text", "recipientEmailAddress|recipient"},
};

/*
 * graph_join_columns
 *		The columns by which evidence of any type is joined.
 */
const GraphNamedColumn *
graph_join_columns(int *count)
{
	*count = lengthof(join_columns);
	return join_columns;
}

/*-------------------------------------------------------------------------
 * The column option "property".
 *-------------------------------------------------------------------------
 */

/*
 * path_problem
 *		What is wrong with one alternative, a path of the given length?
 *
 * Any other character is fine in a step: the keys of a dictionary, such as
 * custom details, are the tenant's own words.
 */
static const char *
path_problem(const char *path, size_t len)
{
	const char *end = path + len;
	int			steps = 0;

	if (len == 0)
		return "An alternative between \"|\" is empty.";
	if ((len == 1 && path[0] == '.') ||
		(len == 2 && path[0] == '.' && path[1] == '.'))
		return NULL;
	if (len >= 3 && strncmp(path, "../", 3) == 0)
		path += 3;

	for (;;)
	{
		const char *slash = memchr(path, '/', end - path);
		size_t		step = (slash ? slash : end) - path;

		if (step == 0)
			return "A step between \"/\" is empty.";
		if (step == 1 && path[0] == '.')
			return "\".\" is the whole object and has no steps beside it.";
		if (step == 2 && path[0] == '.' && path[1] == '.')
			return "\"..\" can only be the first step.";
		if (++steps > GRAPH_MAX_DEPTH)
			return "A path has more steps than an answer can have levels.";
		if (slash == NULL)
			return NULL;
		path = slash + 1;
	}
}

/*
 * graph_property_problem
 *		What is wrong with a value of the column option "property"?
 *
 * Returns NULL or a sentence fit for errdetail.  Whether the properties
 * exist is not asked: the service may know more than our metadata.
 */
const char *
graph_property_problem(const char *value)
{
	for (;;)
	{
		size_t		len = strcspn(value, "|");
		const char *problem = path_problem(value, len);

		if (problem != NULL || value[len] == '\0')
			return problem;
		value += len + 1;
	}
}

/*
 * add_path
 *		Append a path to those that a column tries.
 */
static void
add_path(GraphColumn *column, char *path, bool in_alert)
{
	column->source = GRAPH_SOURCE_PATHS;
	column->paths = lappend(column->paths, path);
	column->in_alert = lappend_int(column->in_alert, in_alert);
}

/*
 * add_paths
 *		Append the alternatives of a well-formed option value.
 */
static void
add_paths(GraphColumn *column, const char *value)
{
	for (;;)
	{
		size_t		len = strcspn(value, "|");

		if (len == 2 && strncmp(value, "..", 2) == 0)
			add_path(column, pstrdup("."), true);
		else if (len > 3 && strncmp(value, "../", 3) == 0)
			add_path(column, pnstrdup(value + 3, len - 3), true);
		else
			add_path(column, pnstrdup(value, len), false);
		if (value[len] == '\0')
			return;
		value += len + 1;
	}
}


/*-------------------------------------------------------------------------
 * What does a column read?
 *-------------------------------------------------------------------------
 */

/*
 * resolve_pseudo
 *		Find what a child row has without a property for it; false if the
 *		name is none of that.
 *
 * The name is a column's or the value of its option.  The id of the record is
 * alertId where that is an alert.
 */
static bool
resolve_pseudo(GraphColumn *column, const GraphResourceInfo *resource,
			   const char *name)
{
	if (resource->rows_member == NULL)
		return false;
	if (graph_same_name(name, psprintf("%sId", resource->record)))
		add_path(column, pstrdup(resource->key), true);
	else if (graph_same_name(name, "ordinal"))
		column->source = GRAPH_SOURCE_ORDINAL;
	else if (resource->has_derived && graph_same_name(name, "evidenceType"))
		column->source = GRAPH_SOURCE_EVIDENCE_TYPE;
	else
		return false;

	return true;
}

/*
 * resolve_flattened
 *		Find what a name reads that is made of a property's and of that of a
 *		property of its value, as vm_metadata_vm_id is; false if it is not.
 */
static bool
resolve_flattened(GraphColumn *column, const char *type_name)
{
	List	   *properties = graph_type_properties(type_name);
	ListCell   *lc;

	foreach(lc, properties)
	{
		const GraphProperty *outer = lfirst(lc);
		const GraphProperty *inner;
		const char *rest;

		if (outer->type != GRAPH_EDM_COMPLEX || outer->collection)
			continue;
		rest = graph_skip_name(column->name, outer->name);
		if (rest == NULL)
			continue;
		inner = graph_find_property(outer->type_name, rest);
		if (inner != NULL)
		{
			add_path(column, psprintf("%s/%s", outer->name, inner->name),
					 false);
			return true;
		}
	}

	return false;
}

/*
 * resolve_parent
 *		Find the property of the record that a child row belongs to; false if
 *		there is none of that name.
 *
 * Those are named alert_title and so on.  Properties that speak of the record
 * or of an incident already, such as an alert's incidentId, need no prefix.
 */
static bool
resolve_parent(GraphColumn *column, const char *record)
{
	const char *rest = graph_skip_name(column->name, record);
	const GraphProperty *property = NULL;

	if (rest != NULL)
		property = graph_find_property(record, rest);
	if (property == NULL &&
		(rest != NULL || graph_skip_name(column->name, "incident") != NULL))
		property = graph_find_property(record, column->name);
	if (property == NULL)
		return false;

	add_path(column, pstrdup(property->name), true);
	return true;
}

/*
 * add_spellings
 *		Append every spelling in which a type of evidence has a property of
 *		the column's name.
 */
static void
add_spellings(GraphColumn *column, bool forgiving)
{
	int			count;
	const char *const *types = graph_evidence_types(&count);

	for (int i = 0; i < count; i++)
	{
		const GraphProperty *property;
		bool		known = false;
		ListCell   *lc;

		property = graph_find_property(types[i], column->name);
		if (property == NULL ||
			(!forgiving && strcmp(property->name, column->name) != 0))
			continue;
		foreach(lc, column->paths)
		{
			if (strcmp(lfirst(lc), property->name) == 0)
				known = true;
		}
		if (!known)
			add_path(column, pstrdup(property->name), false);
	}
}

/*
 * resolve_any_evidence
 *		Find what some type of evidence has under the name; false if no type
 *		has anything.
 */
static bool
resolve_any_evidence(GraphColumn *column)
{
	for (size_t i = 0; i < lengthof(join_columns); i++)
	{
		if (graph_same_name(column->name, join_columns[i].name))
		{
			add_paths(column, join_columns[i].property);
			return true;
		}
	}

	add_spellings(column, false);
	if (column->paths == NIL)
		add_spellings(column, true);

	return column->paths != NIL;
}

/*
 * resolve_by_name
 *		Find what a column without the option reads; false if nothing.
 */
static bool
resolve_by_name(GraphColumn *column, const GraphResourceInfo *resource,
				const char *row_type, bool any_evidence)
{
	const GraphProperty *property;

	property = graph_find_property(row_type, column->name);
	if (property != NULL)
	{
		add_path(column, pstrdup(property->name), false);
		return true;
	}
	if (resolve_pseudo(column, resource, column->name) ||
		resolve_flattened(column, row_type))
		return true;
	if (graph_same_name(column->name, "raw"))
	{
		add_path(column, pstrdup("."), false);
		return true;
	}
	if (resource->rows_member && resolve_parent(column, resource->record))
		return true;

	return any_evidence && resolve_any_evidence(column);
}

/*
 * resolve_by_option
 *		Find what a column with the option reads; NULL, or what is wrong with the
 *		option: a sentence.
 */
static const char *
resolve_by_option(GraphColumn *column, const GraphResourceInfo *resource,
				  const char *value)
{
	const char *problem = graph_property_problem(value);

	if (problem || resolve_pseudo(column, resource, value))
		return problem;
	add_paths(column, value);
	if (resource->rows_member == NULL &&
		list_member_int(column->in_alert, true))
		return psprintf("A row of %s has no parent %s.",
						graph_records_name(resource), resource->record);
	return NULL;
}

/*
 * graph_row_type
 *		The type of the object that a row of a table is, as far as the metadata
 *		knows it: a type of evidence that is newer has what every type has.
 */
const char *
graph_row_type(const GraphResourceInfo *resource, const char *evidence_type)
{
	return evidence_type && graph_is_evidence_type(evidence_type) ?
		evidence_type : resource->row_type;
}

/*
 * find_column
 *		Find what a column reads; NULL, with what is wrong with its option (a
 *		sentence), or NULL where no property has its name.
 */
static GraphColumn *
find_column(const GraphResourceInfo *info, const char *evidence_type,
			const char *column_name, const char *property,
			const char **problem)
{
	GraphColumn *column = palloc0(sizeof(GraphColumn));

	*problem = NULL;
	column->name = pstrdup(column_name);
	if (property != NULL)
	{
		*problem = resolve_by_option(column, info, property);
		return *problem ? NULL : column;
	}
	return resolve_by_name(column, info, graph_row_type(info, evidence_type),
						   info->has_derived && evidence_type == NULL) ?
		column : NULL;
}

/*
 * graph_find_column
 *		Find what a column of a foreign table reads, or NULL if that is nothing.
 *
 * evidence_type is NULL for evidence of any type and for other resources,
 * property is NULL if the column has no such option.
 */
GraphColumn *
graph_find_column(GraphResource resource, const char *evidence_type,
				  const char *column_name, const char *property)
{
	const char *problem;

	return find_column(graph_resource_info(resource), evidence_type,
					   column_name, property, &problem);
}

/*
 * try_columns
 *		Try the names of the columns that a type's properties have.
 */
static void
try_columns(GraphSimilarName *similar, const char *type)
{
	ListCell   *cell;

	foreach(cell, graph_type_properties(type))
		graph_similar_try(similar,
						  graph_snake_case(((GraphProperty *) lfirst(cell))->name));
}

/*
 * similar_column
 *		A name for which a table's columns would be found, like one for which they
 *		are not; or NULL.  What a row says of its record begins with what that is
 *		called, and what a record says of itself does not.
 */
static const char *
similar_column(const GraphResourceInfo *info, const char *evidence_type,
			   const char *name)
{
	size_t		length = strlen(info->record);
	const char *other = strncmp(name, info->record, length) == 0 &&
		name[length] == '_' ? name + length + 1 :
		psprintf("%s_%s", info->record, name);
	const char *const *types = NULL;
	int			count = 0;
	const char *problem;
	GraphSimilarName similar;

	if (find_column(info, evidence_type, other, NULL, &problem))
		return other;
	graph_similar_init(&similar, name);
	try_columns(&similar, graph_row_type(info, evidence_type));
	if (info->has_derived && evidence_type == NULL)
		types = graph_evidence_types(&count);
	for (int i = 0; i < count; i++)
		try_columns(&similar, types[i]);
	return similar.closest;
}

/*
 * column_hint
 *		What may have been meant by a column that reads nothing.
 */
static const char *
column_hint(const GraphResourceInfo *info, const char *evidence_type,
			const char *name)
{
	const char *similar = similar_column(info, evidence_type, name);
	const char *problem;

	if (similar)
		return psprintf("Perhaps you meant the column \"%s\".  A column of another name has its property in the column option \"property\".",
						similar);
	if (evidence_type && find_column(info, NULL, name, NULL, &problem))
		return "Evidence of another type has such a property: a table of evidence of any type has no option \"evidence_type\".";
	for (int i = 0; i < GRAPH_NRESOURCES; i++)
	{
		const GraphResourceInfo *other = graph_resource_info(i);

		if (other != info && find_column(other, NULL, name, NULL, &problem))
			return psprintf("A foreign table with option \"resource\" '%s' has such a column.",
							other->name);
	}
	return psprintf("Name the property in the column option \"property\", for example as '%s'.",
					info->has_derived ? "vmMetadata/vmId" : "createdDateTime");
}

/*
 * graph_resolve_column
 *		The same; an error is raised if there is nothing to read.
 *
 * The table's name is for messages only.
 */
GraphColumn *
graph_resolve_column(GraphResource resource, const char *evidence_type,
					 const char *table_name, const char *column_name,
					 const char *property)
{
	const GraphResourceInfo *info = graph_resource_info(resource);
	bool		any_evidence = info->has_derived && evidence_type == NULL;
	const char *problem;
	GraphColumn *column = find_column(info, evidence_type, column_name,
									  property, &problem);

	if (column)
		return column;
	if (problem)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"property\" of column \"%s\" of foreign table \"%s\": \"%s\"",
						column_name, table_name, property),
				 errdetail_internal("%s", problem)));
	ereport(ERROR,
			(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
			 errmsg("column \"%s\" of foreign table \"%s\" matches no property of %s",
					column_name, table_name,
					any_evidence ? "any evidence type" :
					graph_row_type(info, evidence_type)),
			 errhint("%s", column_hint(info, evidence_type, column_name))));
}

/*-------------------------------------------------------------------------
 * What does the metadata know of it?
 *-------------------------------------------------------------------------
 */

/*
 * leads_somewhere
 *		Does a path that starts in a type lead to a property that the metadata
 *		knows, or into an object whose keys are anybody's words?
 */
static bool
leads_somewhere(const char *type_name, const char *path)
{
	ListCell   *cell;

	if (strcmp(path, ".") == 0 || graph_find_path(type_name, path))
		return true;
	foreach(cell, graph_outer_properties(type_name, path))
	{
		if (((GraphProperty *) lfirst(cell))->type == GRAPH_EDM_DICTIONARY)
			return true;
	}
	return false;
}

/*
 * leads_somewhere_in_any
 *		The same of a path in evidence of any type.
 */
static bool
leads_somewhere_in_any(const char *path)
{
	int			count;
	const char *const *types = graph_evidence_types(&count);

	for (int i = 0; i < count; i++)
	{
		if (leads_somewhere(types[i], path))
			return true;
	}
	return false;
}

/*
 * graph_column_enum
 *		The property of the metadata that a column reads and nothing else, if its
 *		values are an enum's; or NULL.
 */
const GraphProperty *
graph_column_enum(const GraphResourceInfo *resource, const char *evidence_type,
				  const GraphColumn *column)
{
	const GraphProperty *property;

	if (column->source != GRAPH_SOURCE_PATHS || list_length(column->paths) != 1)
		return NULL;
	property = graph_find_path(linitial_int(column->in_alert) ? resource->record :
							   graph_row_type(resource, evidence_type),
							   linitial(column->paths));
	return property && property->type == GRAPH_EDM_ENUM ? property : NULL;
}

/*
 * graph_is_known_column
 *		Does the metadata know a property that a column reads?
 *
 * Of a type of evidence that it does not know, every property may be one.
 */
bool
graph_is_known_column(const GraphResourceInfo *resource,
					  const char *evidence_type, const GraphColumn *column)
{
	ListCell   *path;
	ListCell   *in_record;

	if (column->source != GRAPH_SOURCE_PATHS ||
		(evidence_type && !graph_is_evidence_type(evidence_type)))
		return true;
	forboth(path, column->paths, in_record, column->in_alert)
	{
		if (lfirst_int(in_record) ?
			leads_somewhere(resource->record, lfirst(path)) :
			leads_somewhere(graph_row_type(resource, evidence_type), lfirst(path)) ||
			(resource->has_derived && evidence_type == NULL &&
			 leads_somewhere_in_any(lfirst(path))))
			return true;
	}
	return false;
}

/*
 * graph_similar_property
 *		What a column may have been meant to read whose first path leads nowhere:
 *		a property of the same type, or NULL.
 */
const char *
graph_similar_property(const GraphResourceInfo *resource,
					   const char *evidence_type, const GraphColumn *column)
{
	bool		in_record = linitial_int(column->in_alert) != 0;
	const char *type = in_record ? resource->record :
		graph_row_type(resource, evidence_type);
	GraphSimilarName similar;
	ListCell   *cell;

	graph_similar_init(&similar, linitial(column->paths));
	foreach(cell, graph_type_properties(type))
		graph_similar_try(&similar, ((GraphProperty *) lfirst(cell))->name);
	if (similar.closest && in_record && resource->rows_member)
		return psprintf("../%s", similar.closest);
	return similar.closest;
}

/*
 * graph_evidence_type_hint
 *		What may have been meant by a type of evidence that is not known: a
 *		sentence.
 */
const char *
graph_evidence_type_hint(const char *name)
{
	const char *whole = psprintf("%sEvidence", name);
	int			count;
	const char *const *types = graph_evidence_types(&count);
	GraphSimilarName similar;

	graph_similar_init(&similar, name);
	for (int i = 0; i < count; i++)
	{
		graph_similar_try(&similar, types[i]);
		if (pg_strcasecmp(whole, types[i]) == 0)
			similar.closest = types[i];
	}
	return similar.closest ?
		psprintf("Perhaps you meant \"%s\".", similar.closest) :
		"Evidence types are written as in Microsoft Graph, for example \"deviceEvidence\".";
}
