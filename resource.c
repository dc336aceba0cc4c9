/*-------------------------------------------------------------------------
 *
 * resource.c
 *		What exists in Graph security, and what can the service filter and
 *		sort?
 *
 * This file knows the resources, their types and properties, and so which
 * part of an alert a column of a foreign table reads.  What Microsoft says
 * of that is in resource_data.h, generated from the files in metadata/; what
 * we say of it (the resources, the columns to join by, the properties that
 * the service filters) is below.
 *
 * The metadata is a help, never a limit: the service adds properties and
 * types several times a year, so a column option may name a property that is
 * not in it.
 *
 * Names are compared in two ways: exactly, as OData does it, and forgivingly,
 * without regard to case and underscores, so that created_date_time,
 * createddatetime and "createdDateTime" all find createdDateTime.  The
 * generator makes sure that no two names of a type are forgivingly the same.
 *
 * Must not know: planner nodes, HTTP, what a value looks like.
 *
 * IDENTIFICATION
 *		resource.c
 *
 *-------------------------------------------------------------------------
 */
#include "graph_fdw.h"

#define BASE_EVIDENCE "alertEvidence"

/*
 * The types of the tables in resource_data.h.
 */
typedef struct TypeInfo
{
	const char *name;			/* without namespace */
	const char *base;			/* the type it derives from, or NULL */
	const GraphProperty *properties;	/* its own */
	int			count;
} TypeInfo;

typedef struct EnumMember
{
	const char *name;
	bool		gated;			/* shown only if the request asks for it */
} EnumMember;

typedef struct EnumInfo
{
	const char *name;			/* without namespace */
	const EnumMember *members;
	int			count;
} EnumInfo;

#include "resource_data.h"

/* In the order of GraphResource. */
static const GraphResourceInfo resources[] = {
	{"alerts", "alerts", "/security/alerts_v2", NULL, "alert"},
	{"evidence", "alert_evidence", "/security/alerts_v2",
	"evidence", BASE_EVIDENCE},
	{"comments", "alert_comments", "/security/alerts_v2",
	"comments", "alertComment"},
};

/*
 * The properties that the service filters alerts by (Graph, "List alerts_v2",
 * the August 2026 page) and those that it sorts by.  Whether a null is
 * possible decides what "ne" is worth: it keeps the nulls.
 */
static const GraphQueryProperty query_properties[] = {
	{"assignedTo", GRAPH_EDM_STRING, NULL, true, false},
	{"classification", GRAPH_EDM_ENUM, "alertClassification", true, false},
	{"createdDateTime", GRAPH_EDM_DATETIME, NULL, true, true},
	{"determination", GRAPH_EDM_ENUM, "alertDetermination", true, false},
	{"lastUpdateDateTime", GRAPH_EDM_DATETIME, NULL, true, true},
	{"serviceSource", GRAPH_EDM_ENUM, "serviceSource", false, false},
	{"severity", GRAPH_EDM_ENUM, "alertSeverity", false, false},
	{"status", GRAPH_EDM_ENUM, "alertStatus", false, false},
};

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
typedef struct JoinColumn
{
	const char *name;
	const char *property;		/* as in the column option */
} JoinColumn;

static const JoinColumn join_columns[] = {
	{"device_dns_name", "deviceDnsName|host/deviceDnsName"},
	{"host_name", "hostName|host/hostName"},
	{"mde_device_id", "mdeDeviceId|host/mdeDeviceId"},
	{"azure_ad_device_id", "azureAdDeviceId|host/azureAdDeviceId"},
	{"ip_address", "ipAddress/ipAddress|ipAddress|podIp/ipAddress"
	"|clusterIP/ipAddress|lastIpAddress|host/lastIpAddress"
	"|pod/podIp/ipAddress"},
	{"url", "url"},
	{"file_name", "fileDetails/fileName|imageFile/fileName"},
	{"file_path", "fileDetails/filePath|imageFile/filePath"},
	{"sha1", "fileDetails/sha1|imageFile/sha1"},
	{"sha256", "fileDetails/sha256|imageFile/sha256"},
	{"process_id", "processId"},
	{"process_command_line", "processCommandLine"},
	{"registry_key", "registryKey"},
	{"account_name", "userAccount/accountName"
	"|account/userAccount/accountName"},
	{"domain_name", "domainName|activeDirectoryDomainName"
	"|userAccount/domainName|account/userAccount/domainName"},
	{"user_principal_name", "userAccount/userPrincipalName|upn"
	"|account/userAccount/userPrincipalName"},
	{"user_sid", "userAccount/userSid|account/userAccount/userSid"},
	{"azure_ad_user_id", "userAccount/azureAdUserId"
	"|account/userAccount/azureAdUserId"},
	{"primary_address", "primaryAddress|mailboxPrimaryAddress"},
	{"sender_ip", "senderIp|senderIP"},
	{"recipient_email_address", "recipientEmailAddress|recipient"},
};


/*-------------------------------------------------------------------------
 * Names.
 *-------------------------------------------------------------------------
 */

/*
 * skip_name
 *		The rest of "text" after "name", or NULL if it does not start with it.
 *
 * The comparison is the forgiving one, and underscores after the name are
 * skipped too.
 */
static const char *
skip_name(const char *text, const char *name)
{
	for (;;)
	{
		while (*text == '_')
			text++;
		while (*name == '_')
			name++;
		if (*name == '\0')
			return text;
		if (pg_ascii_tolower((unsigned char) *text) !=
			pg_ascii_tolower((unsigned char) *name))
			return NULL;
		text++;
		name++;
	}
}

/*
 * same_name
 *		Are these forgivingly the same?
 */
static bool
same_name(const char *text, const char *name)
{
	const char *rest = skip_name(text, name);

	return rest != NULL && *rest == '\0';
}

/*
 * starts_word
 *		Does the capital at this position of a camel-case name start a word?
 *
 * In a run of capitals the last one does if a small letter follows (ioTHub),
 * unless that is only the plural of an abbreviation (externalIPs).
 */
static bool
starts_word(const char *name, size_t i)
{
	char		before = name[i - 1];
	char		after = name[i + 1];

	if (before == '_')
		return false;
	if (before < 'A' || before > 'Z')
		return true;
	if (after < 'a' || after > 'z')
		return false;
	return !(after == 's' && name[i + 2] == '\0');
}

/*
 * graph_snake_case
 *		Make a column or table name of an OData name.
 *
 * The result is palloc'd.
 */
char *
graph_snake_case(const char *name)
{
	size_t		len = strlen(name);
	char	   *result = palloc(2 * len + 1);
	char	   *p = result;

	for (size_t i = 0; i < len; i++)
	{
		bool		capital = (name[i] >= 'A' && name[i] <= 'Z');

		if (capital && i > 0 && starts_word(name, i))
			*p++ = '_';
		*p++ = pg_ascii_tolower((unsigned char) name[i]);
	}
	*p = '\0';

	return result;
}


/*-------------------------------------------------------------------------
 * Resources, types, properties, enums.
 *-------------------------------------------------------------------------
 */

/*
 * graph_resource_info
 *		Describe a resource.
 */
const GraphResourceInfo *
graph_resource_info(GraphResource resource)
{
	Assert((size_t) resource < lengthof(resources));

	return &resources[resource];
}

/*
 * graph_resource_by_name
 *		Find the resource of a table option, or NULL.
 */
const GraphResourceInfo *
graph_resource_by_name(const char *name)
{
	for (size_t i = 0; i < lengthof(resources); i++)
	{
		if (strcmp(resources[i].name, name) == 0)
			return &resources[i];
	}

	return NULL;
}

/*
 * graph_evidence_types
 *		The names of all types of evidence, in alphabetical order.
 */
const char *const *
graph_evidence_types(int *count)
{
	*count = lengthof(evidence_types);

	return evidence_types;
}

/*
 * find_type
 *		Find a type by its exact name, or NULL.
 */
static const TypeInfo *
find_type(const char *name)
{
	for (size_t i = 0; i < lengthof(types); i++)
	{
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	}

	return NULL;
}

/*
 * graph_is_evidence_type
 *		Is this the name of a type of evidence?
 *
 * The base is none: nobody who asks for alertEvidence wants only those few
 * elements that are of no other type.
 */
bool
graph_is_evidence_type(const char *name)
{
	const TypeInfo *type = find_type(name);

	return type != NULL && type->base != NULL;
}

/*
 * append_properties
 *		Append the properties of a type to a list, the inherited ones first.
 */
static List *
append_properties(List *list, const char *type_name)
{
	const TypeInfo *type = find_type(type_name);

	if (type == NULL)
		return list;
	if (type->base != NULL)
		list = append_properties(list, type->base);
	for (int i = 0; i < type->count; i++)
		list = lappend(list, unconstify(GraphProperty *,
										&type->properties[i]));

	return list;
}

/*
 * graph_type_properties
 *		All properties of a type, the inherited ones first: a list of
 *		const GraphProperty *, empty if there is no such type.
 */
List *
graph_type_properties(const char *type_name)
{
	return append_properties(NIL, type_name);
}

/*
 * find_declared
 *		Find a property that a type or its base declares, by one of the two
 *		comparisons.
 */
static const GraphProperty *
find_declared(const TypeInfo *type, const char *name, bool forgiving)
{
	while (type != NULL)
	{
		for (int i = 0; i < type->count; i++)
		{
			const GraphProperty *property = &type->properties[i];

			if (forgiving ? same_name(name, property->name)
				: strcmp(name, property->name) == 0)
				return property;
		}
		type = type->base ? find_type(type->base) : NULL;
	}

	return NULL;
}

/*
 * graph_find_property
 *		Find a property of a type, or of its base: by its exact name, else
 *		forgivingly.  NULL if there is none.
 */
const GraphProperty *
graph_find_property(const char *type_name, const char *name)
{
	const TypeInfo *type = find_type(type_name);
	const GraphProperty *property = find_declared(type, name, false);

	return property ? property : find_declared(type, name, true);
}

/*
 * graph_find_path
 *		The property at the end of an exactly spelled path that starts in a
 *		type, or NULL.
 */
const GraphProperty *
graph_find_path(const char *type_name, const char *path)
{
	const GraphProperty *property = NULL;
	char	   *steps = pstrdup(path);
	char	   *next;

	for (char *step = strtok_r(steps, "/", &next); step;
		 step = strtok_r(NULL, "/", &next))
	{
		if (property)
			type_name = property->type_name;
		property = type_name ? graph_find_property(type_name, step) : NULL;
		if (property == NULL || strcmp(property->name, step) != 0)
			return NULL;
	}
	return property;
}

/*
 * graph_enum_member
 *		What do we know of this member of an enum?
 *
 * The sentinel counts as gated: which values it stands for depends on
 * whether the request asked for the gated ones.
 */
GraphEnumMember
graph_enum_member(const char *enum_name, const char *literal)
{
	for (size_t i = 0; i < lengthof(enums); i++)
	{
		if (strcmp(enums[i].name, enum_name) != 0)
			continue;
		for (int j = 0; j < enums[i].count; j++)
		{
			const EnumMember *member = &enums[i].members[j];

			if (strcmp(member->name, literal) == 0)
				return member->gated ? GRAPH_ENUM_GATED : GRAPH_ENUM_KNOWN;
		}
	}

	return GRAPH_ENUM_UNKNOWN;
}

/*
 * graph_query_property
 *		What the service can do with a property of an alert, or NULL if it can
 *		neither filter nor sort by it.
 */
const GraphQueryProperty *
graph_query_property(const char *alert_property)
{
	for (size_t i = 0; i < lengthof(query_properties); i++)
	{
		if (strcmp(query_properties[i].name, alert_property) == 0)
			return &query_properties[i];
	}

	return NULL;
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
 *		Is it something that a child row has without a property for it?
 *
 * The name is a column's or the value of its option.
 */
static bool
resolve_pseudo(GraphColumn *column, GraphResource resource, const char *name)
{
	if (resource == GRAPH_ALERTS)
		return false;
	if (same_name(name, "alertId"))
		add_path(column, pstrdup("id"), true);
	else if (same_name(name, "ordinal"))
		column->source = GRAPH_SOURCE_ORDINAL;
	else if (resource == GRAPH_EVIDENCE && same_name(name, "evidenceType"))
		column->source = GRAPH_SOURCE_EVIDENCE_TYPE;
	else
		return false;

	return true;
}

/*
 * resolve_flattened
 *		Is the name that of a property and of a property of its value, as
 *		in vm_metadata_vm_id?
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
		rest = skip_name(column->name, outer->name);
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
 *		Is it a property of the alert that a child row belongs to?
 *
 * Those are named alert_title and so on.  Properties that speak of the alert
 * or its incident already, such as incidentId, need no prefix.
 */
static bool
resolve_parent(GraphColumn *column)
{
	const char *rest = skip_name(column->name, "alert");
	const GraphProperty *property = NULL;

	if (rest != NULL)
		property = graph_find_property("alert", rest);
	if (property == NULL &&
		(rest != NULL || skip_name(column->name, "incident") != NULL))
		property = graph_find_property("alert", column->name);
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
	for (size_t i = 0; i < lengthof(evidence_types); i++)
	{
		const GraphProperty *property;
		bool		known = false;
		ListCell   *lc;

		property = find_declared(find_type(evidence_types[i]),
								 column->name, forgiving);
		if (property == NULL)
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
 *		Is it something that some type of evidence has?
 */
static bool
resolve_any_evidence(GraphColumn *column)
{
	for (size_t i = 0; i < lengthof(join_columns); i++)
	{
		if (same_name(column->name, join_columns[i].name))
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
resolve_by_name(GraphColumn *column, GraphResource resource,
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
	if (same_name(column->name, "raw"))
	{
		add_path(column, pstrdup("."), false);
		return true;
	}
	if (resource != GRAPH_ALERTS && resolve_parent(column))
		return true;

	return any_evidence && resolve_any_evidence(column);
}

/*
 * resolve_by_option
 *		Find what a column with the option reads.
 */
static void
resolve_by_option(GraphColumn *column, GraphResource resource,
				  const char *table_name, const char *value)
{
	const char *problem = graph_property_problem(value);

	if (problem == NULL)
	{
		if (resolve_pseudo(column, resource, value))
			return;
		add_paths(column, value);
		if (resource == GRAPH_ALERTS &&
			list_member_int(column->in_alert, true))
			problem = "A row of alerts has no parent alert.";
	}
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"property\" of column \"%s\" of foreign table \"%s\": \"%s\"",
						column->name, table_name, value),
				 errdetail_internal("%s", problem)));
}

/*
 * graph_resolve_column
 *		Find what a column of a foreign table reads.
 *
 * evidence_type is NULL for evidence of any type and for other resources,
 * property is NULL if the column has no such option.  The table's name is for
 * messages only.  An error is raised if there is nothing to read.
 */
GraphColumn *
graph_resolve_column(GraphResource resource, const char *evidence_type,
					 const char *table_name, const char *column_name,
					 const char *property)
{
	GraphColumn *column = palloc0(sizeof(GraphColumn));
	const char *row_type = graph_resource_info(resource)->row_type;
	bool		any_evidence = (resource == GRAPH_EVIDENCE &&
								evidence_type == NULL);

	/* A type newer than the metadata has what every type has. */
	if (evidence_type != NULL && find_type(evidence_type) != NULL)
		row_type = evidence_type;

	column->name = pstrdup(column_name);
	if (property != NULL)
		resolve_by_option(column, resource, table_name, property);
	else if (!resolve_by_name(column, resource, row_type, any_evidence))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
				 errmsg("column \"%s\" of foreign table \"%s\" matches no property of %s",
						column_name, table_name,
						any_evidence ? "any evidence type" : row_type),
				 errhint("Name the property in the column option \"property\", for example as 'vmMetadata/vmId'.")));

	return column;
}
