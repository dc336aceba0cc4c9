/*-------------------------------------------------------------------------
 *
 * resource.c
 *		What exists in Graph security, and what can the service filter and
 *		sort?
 *
 * A resource is a row of one table: where it is, what identifies its records,
 * what they are called, by what the service filters and sorts them, which part
 * of them are the rows.  The other layers go by that row, and do not ask which
 * resource it is.  What Microsoft says of types, properties and enums is in
 * resource_data.h, generated from the files in metadata/; what we say (the
 * resources, and the properties that the service filters and sorts by) is
 * below.
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
 * What this file refuses to know: planner nodes, HTTP, what a value looks like,
 * what a column reads (column.c).
 *
 * IDENTIFICATION
 *		src/catalog/resource.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/graph_catalog.h"

/* The types of the tables in resource_data.h. */
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

typedef struct Description
{
	const char *name;			/* of a table, or of a column that is no
								 * property's */
	const char *description;	/* what it holds, in a line */
} Description;

#include "resource_data.h"

/*
 * The properties that the service filters by and those that it sorts by
 * (Graph, "List alerts_v2", the August 2026 page).  Whether a null is possible
 * decides what "ne" is worth: it keeps the nulls.
 */
static const GraphQueryProperty alert_query_properties[] = {
	{"assignedTo", GRAPH_EDM_STRING, NULL, true, false, true},
	{"classification", GRAPH_EDM_ENUM, "alertClassification", true, false, false},
	{"createdDateTime", GRAPH_EDM_DATETIME, NULL, true, true, false},
	{"determination", GRAPH_EDM_ENUM, "alertDetermination", true, false, false},
	{"lastUpdateDateTime", GRAPH_EDM_DATETIME, NULL, true, true, false},
	{"serviceSource", GRAPH_EDM_ENUM, "serviceSource", false, false, false},
	{"severity", GRAPH_EDM_ENUM, "alertSeverity", false, false, false},
	{"status", GRAPH_EDM_ENUM, "alertStatus", false, false, false},
};

/*
 * The same of incidents (Graph, "List incidents").  The examples of that page
 * have members in another case than the metadata ("Active"), so one that is
 * equal for the service need not be equal in SQL.
 */
static const GraphQueryProperty incident_query_properties[] = {
	{"assignedTo", GRAPH_EDM_STRING, NULL, true, false, true},
	{"classification", GRAPH_EDM_ENUM, "alertClassification", true, false, true},
	{"createdDateTime", GRAPH_EDM_DATETIME, NULL, true, true, false},
	{"determination", GRAPH_EDM_ENUM, "alertDetermination", true, false, true},
	{"lastUpdateDateTime", GRAPH_EDM_DATETIME, NULL, true, true, false},
	{"severity", GRAPH_EDM_ENUM, "alertSeverity", false, false, true},
	{"status", GRAPH_EDM_ENUM, "incidentStatus", false, false, true},
};

/*
 * What can be set (Graph, "Update alert" and "Update incident"; customDetails
 * and resolvingComment are not in these pages, but the service has taken the
 * one and the metadata has the other), and what a comment is made of.  No
 * collection can be null: where one may hold nulls, the metadata calls it
 * nullable.
 */
static const GraphWritableProperty alert_writable[] = {
	{"status", false}, {"classification", true}, {"determination", true},
	{"assignedTo", true}, {"customDetails", true},
};

static const GraphWritableProperty incident_writable[] = {
	{"status", false}, {"classification", true}, {"determination", true},
	{"assignedTo", true}, {"customTags", false}, {"description", true},
	{"displayName", true}, {"severity", false}, {"summary", true},
	{"resolvingComment", true},
};

static const GraphWritableProperty comment_writable[] = {
	{"comment", false},
};

/* How many records there are: graph_usual_records(). */
#define USUAL_RECORDS	10000.0

/* A larger $top is refused with status 400. */
#define LARGEST_INCIDENT_PAGE 50

/* What a row of evidence or comments tells of its alert. */
static const GraphNamedColumn alert_columns[] = {
	{"alert_title", "text", "../title"},
	{"alert_severity", "text", "../severity"},
	{"alert_status", "text", "../status"},
	{"alert_created_date_time", "timestamptz", "../createdDateTime"},
	{"alert_last_update_date_time", "timestamptz", "../lastUpdateDateTime"},
	{"alert_service_source", "text", "../serviceSource"},
	{"incident_id", "text", "../incidentId"},
	{NULL, NULL, NULL},
};

/* And one of an incident's comments of its incident. */
static const GraphNamedColumn incident_columns[] = {
	{"incident_display_name", "text", "../displayName"},
	{"incident_severity", "text", "../severity"},
	{"incident_status", "text", "../status"},
	{"incident_created_date_time", "timestamptz", "../createdDateTime"},
	{"incident_last_update_date_time", "timestamptz", "../lastUpdateDateTime"},
	{NULL, NULL, NULL},
};

/*
 * An alert belongs to one incident (Graph, "Migrate to alerts_v2", which asks
 * for the alerts of an incident so).  About ten are in one where there are any
 * to look into.
 */
static const GraphNavigation alerts_of_incident = {
	.property = "incidentId", .owner_set = "/security/incidents",
	.owner = "incident", .segment = "alerts",
	.permission = "SecurityIncident.Read.All", .option = "incident_lookup",
	.records_per_owner = 10.0,
};

/* What the resources of an entity set have in common. */
#define OF_ALERTS \
	.entity_set = "/security/alerts_v2", .record = "alert", .key = "id", \
	.default_order = "createdDateTime", .largest_page = GRAPH_LARGEST_PAGE, \
	.read_permission = "SecurityAlert.Read.All", \
	.also_read_by = "SecurityAlert.ReadWrite.All SecurityIncident.Read.All " \
	"SecurityIncident.ReadWrite.All", \
	.write_permission = "SecurityAlert.ReadWrite.All", \
	.navigation = &alerts_of_incident, \
	.properties = alert_query_properties, \
	.nproperties = lengthof(alert_query_properties)

#define OF_INCIDENTS \
	.entity_set = "/security/incidents", .record = "incident", .key = "id", \
	.default_order = "createdDateTime", \
	.largest_page = LARGEST_INCIDENT_PAGE, \
	.read_permission = "SecurityIncident.Read.All", \
	.also_read_by = "SecurityIncident.ReadWrite.All", \
	.write_permission = "SecurityIncident.ReadWrite.All", \
	.properties = incident_query_properties, \
	.nproperties = lengthof(incident_query_properties)

/* And those of them whose rows are parts of its records. */
#define IN_ALERTS \
	OF_ALERTS, .record_columns = alert_columns

/* Captures of real alerts show about five elements of evidence in each. */
static const GraphResourceInfo resources[] = {
	[GRAPH_ALERTS] = {
		OF_ALERTS, .name = "alerts", .table = "alerts",
		.writable = alert_writable, .nwritable = lengthof(alert_writable),
		.rows_per_record = 1.0, .row_type = "alert",
	},
	[GRAPH_EVIDENCE] = {
		IN_ALERTS, .name = "evidence", .table = "alert_evidence",
		.rows_member = "evidence", .rows_per_record = 5.0,
		.row_type = "alertEvidence", .has_derived = true,
	},
	[GRAPH_COMMENTS] = {
		IN_ALERTS, .name = "comments", .table = "alert_comments",
		.rows_member = "comments", .rows_per_record = 0.5,
		.row_type = "alertComment",
		.writable = comment_writable, .nwritable = lengthof(comment_writable),
	},
	[GRAPH_INCIDENTS] = {
		OF_INCIDENTS, .name = "incidents", .table = "incidents",
		.writable = incident_writable, .nwritable = lengthof(incident_writable),
		.rows_per_record = 1.0, .row_type = "incident",
	},
	[GRAPH_INCIDENT_COMMENTS] = {
		OF_INCIDENTS, .record_columns = incident_columns,
		.name = "incident_comments", .table = "incident_comments",
		.rows_member = "comments", .rows_per_record = 0.5,
		.row_type = "alertComment",
		.writable = comment_writable, .nwritable = lengthof(comment_writable),
	},
};

StaticAssertDecl(lengthof(resources) == GRAPH_NRESOURCES,
				 "each resource has a row");

/*-------------------------------------------------------------------------
 * Names.
 *-------------------------------------------------------------------------
 */

/*
 * graph_skip_name
 *		The rest of "text" after "name", or NULL if it does not start with it.
 *
 * The comparison is the forgiving one, and underscores after the name are
 * skipped too.
 */
const char *
graph_skip_name(const char *text, const char *name)
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
 * graph_same_name
 *		Are these forgivingly the same?
 */
bool
graph_same_name(const char *text, const char *name)
{
	const char *rest = graph_skip_name(text, name);

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
 * graph_usual_records
 *		How many records has a resource where nobody has counted?
 *
 * So many alerts are ninety busy days.  Of what owns others there are fewer.
 */
double
graph_usual_records(const GraphResourceInfo *resource)
{
	for (size_t i = 0; i < lengthof(resources); i++)
	{
		const GraphNavigation *navigation = resources[i].navigation;

		if (navigation &&
			strcmp(navigation->owner_set, resource->entity_set) == 0)
			return USUAL_RECORDS / navigation->records_per_owner;
	}
	return USUAL_RECORDS;
}

/*
 * graph_find_resource
 *		The resource that the table option "resource" names so, or NULL.
 */
const GraphResourceInfo *
graph_find_resource(const char *name)
{
	for (size_t i = 0; i < lengthof(resources); i++)
	{
		if (strcmp(resources[i].name, name) == 0)
			return &resources[i];
	}

	return NULL;
}

/*
 * graph_resource_number
 *		The resource that is described so.
 */
GraphResource
graph_resource_number(const GraphResourceInfo *info)
{
	Assert(info >= resources && info < resources + lengthof(resources));

	return (GraphResource) (info - resources);
}

/*
 * graph_records_name
 *		What messages call several records of a resource: "alerts".
 *
 * That is the name of the resource whose rows are these records.
 */
const char *
graph_records_name(const GraphResourceInfo *info)
{
	for (size_t i = 0; i < lengthof(resources); i++)
	{
		if (resources[i].rows_member == NULL &&
			strcmp(resources[i].record, info->record) == 0)
			return resources[i].name;
	}
	return info->record;		/* cannot be */
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
 * graph_type_properties
 *		All properties of a type, the inherited ones first: a list of
 *		const GraphProperty *, empty if there is no such type.
 */
List *
graph_type_properties(const char *type_name)
{
	const TypeInfo *type = find_type(type_name);
	List	   *list = NIL;

	if (type == NULL)
		return NIL;
	if (type->base != NULL)
		list = graph_type_properties(type->base);
	for (int i = 0; i < type->count; i++)
		list = lappend(list, unconstify(GraphProperty *,
										&type->properties[i]));

	return list;
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

			if (forgiving ? graph_same_name(name, property->name)
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
 * graph_outer_properties
 *		The properties through which such a path leads before its last step, as
 *		far as they are known: a list of GraphProperty *.
 */
List *
graph_outer_properties(const char *type_name, const char *path)
{
	List	   *result = NIL;

	for (const char *slash = strchr(path, '/'); slash;
		 slash = strchr(slash + 1, '/'))
	{
		const GraphProperty *outer =
			graph_find_path(type_name, pnstrdup(path, slash - path));

		if (outer)
			result = lappend(result, unconstify(GraphProperty *, outer));
	}
	return result;
}

/*
 * find_description
 *		What a table says of a name, or NULL.
 */
static const char *
find_description(const Description *table, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
	{
		if (strcmp(table[i].name, name) == 0)
			return table[i].description;
	}
	return NULL;
}

/*
 * graph_table_description
 *		What a table that IMPORT makes holds, in a line; NULL if it makes none of
 *		that name.
 */
const char *
graph_table_description(const char *name)
{
	return find_description(table_descriptions, lengthof(table_descriptions),
							name);
}

/*
 * graph_named_description
 *		What a column holds that IMPORT makes of no property, in a line; NULL if
 *		it makes none of that name.
 */
const char *
graph_named_description(const char *name)
{
	return find_description(column_descriptions, lengthof(column_descriptions),
							name);
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
 * graph_is_other_case
 *		Is this a member of an enum, but in another case than the metadata has it?
 */
bool
graph_is_other_case(const char *enum_name, const char *word, size_t len)
{
	for (size_t i = 0; i < lengthof(enums); i++)
	{
		if (strcmp(enums[i].name, enum_name) != 0)
			continue;
		for (int j = 0; j < enums[i].count; j++)
		{
			const char *name = enums[i].members[j].name;

			if (strlen(name) == len && pg_strncasecmp(name, word, len) == 0)
				return memcmp(name, word, len) != 0;
		}
	}

	return false;
}

/*
 * graph_known_members
 *		The members of an enum that are always shown by their names; how many.
 *
 * There is room for GRAPH_MOST_MEMBERS of them.  An enum that has more counts
 * as one of which nothing is known.
 */
int
graph_known_members(const char *enum_name, const char **names)
{
	int			count = 0;

	for (size_t i = 0; i < lengthof(enums); i++)
	{
		if (strcmp(enums[i].name, enum_name) != 0)
			continue;
		for (int j = 0; j < enums[i].count; j++)
		{
			if (enums[i].members[j].gated)
				continue;
			if (count == GRAPH_MOST_MEMBERS)
				return 0;
			names[count++] = enums[i].members[j].name;
		}
	}

	return count;
}

/*
 * graph_countable_members
 *		The members of an enum (char *), if all values that are to be expected are
 *		known ones; else NIL.
 */
List *
graph_countable_members(const char *enum_name)
{
	List	   *result = NIL;

	for (size_t i = 0; i < lengthof(enums); i++)
	{
		if (strcmp(enums[i].name, enum_name) != 0)
			continue;
		for (int j = 0; j < enums[i].count; j++)
		{
			const EnumMember *member = &enums[i].members[j];

			if (!member->gated)
				result = lappend(result, pstrdup(member->name));
			else if (strcmp(member->name, "unknownFutureValue") != 0)
				return NIL;
		}
	}
	return result;
}

/*
 * graph_settable_members
 *		The members of an enum (char *) that a value can be set to: all but the
 *		one that stands for those that are not shown.
 */
List *
graph_settable_members(const char *enum_name)
{
	List	   *result = NIL;

	for (size_t i = 0; i < lengthof(enums); i++)
	{
		if (strcmp(enums[i].name, enum_name) != 0)
			continue;
		for (int j = 0; j < enums[i].count; j++)
		{
			if (strcmp(enums[i].members[j].name, "unknownFutureValue") != 0)
				result = lappend(result, pstrdup(enums[i].members[j].name));
		}
	}
	return result;
}

/*
 * graph_query_property
 *		What the service can do with a property of a resource's records, or NULL
 *		if it can neither filter nor sort by it.
 */
const GraphQueryProperty *
graph_query_property(const GraphResourceInfo *resource, const char *name)
{
	for (int i = 0; i < resource->nproperties; i++)
	{
		if (strcmp(resource->properties[i].name, name) == 0)
			return &resource->properties[i];
	}

	return NULL;
}
