/*-------------------------------------------------------------------------
 *
 * option.c
 *		Which options are there, and what are their values?
 *
 * One table says everything about an option: on which object it may be set,
 * by whom, what its values are, its default, and where in GraphOptions it
 * goes.  The validator (validator.c), the hints and graph_get_options() all
 * follow that table, and so does the option list of docs/options.md.
 *
 * The strings of GraphOptions are copies in the memory context of whoever asks
 * for them.  Those that are secret are overwritten by graph_options_wipe().
 *
 * What this file refuses to know: what an option is used for.
 *
 * IDENTIFICATION
 *		src/catalog/option.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "catalog/option_int.h"

static const OptionWord cloud_words[] = {
	{"global", 0}, {"usgov", 0}, {"usgovdod", 0}, {"china", 0}, {NULL, 0}
};
static const OptionWord version_words[] = {
	{"v1.0", 0}, {"beta", 0}, {NULL, 0}
};
static const OptionWord partial_words[] = {
	{"error", GRAPH_PARTIAL_ERROR}, {"warning", GRAPH_PARTIAL_WARNING}, {NULL, 0}
};
static const OptionWord resource_words[] = {
	{"alerts", GRAPH_ALERTS}, {"evidence", GRAPH_EVIDENCE},
	{"comments", GRAPH_COMMENTS}, {"incidents", GRAPH_INCIDENTS},
	{"incident_comments", GRAPH_INCIDENT_COMMENTS}, {NULL, 0}
};

#define SERVER	ForeignServerRelationId
#define MAPPING	UserMappingRelationId
#define TABLE	ForeignTableRelationId
#define COLUMN	AttributeRelationId
#define STRING_AT(field)	offsetof(GraphOptions, field), false, 0, 0, NULL
#define INT_AT(field, minimum, maximum) \
	offsetof(GraphOptions, field), true, minimum, maximum, NULL
#define WORD_AT(field, words)	offsetof(GraphOptions, field), false, 0, 0, words
#define ENUM_AT(field, words)	offsetof(GraphOptions, field), true, 0, 0, words
#define BOOL_AT(field)	offsetof(GraphOptions, field), true, 0, 1, NULL
#define NOWHERE		0, false, 0, 0, NULL	/* read by graph_column_property() */

/*
 * The largest record is bounded by jsonb, whose values and whose whole stay
 * below 256 MB (JENTRY_OFFLENMASK in utils/jsonb.h).
 */
#define MAX_RECORD_BYTES	(255 * 1024 * 1024)
#define MAX_DURATION_MS		(24 * 60 * 60 * 1000)

/*
 * The options.  One that may be set on two objects has two rows; where both
 * are set, the later row wins, so the more specific object comes later.
 */
static const GraphOptionRow option_table[] = {
	/* where to go */
	{"cloud", SERVER, OPTION_CHOICE, 0, WORD_AT(service.cloud, cloud_words), "global"},
	{"endpoint", SERVER, OPTION_URL, OPTION_SUPERUSER, STRING_AT(service.endpoint), NULL},
	{"authority", SERVER, OPTION_URL, OPTION_SUPERUSER, STRING_AT(service.authority), NULL},
	{"api_version", SERVER, OPTION_CHOICE, 0, WORD_AT(service.api_version, version_words), "v1.0"},
	{"tenant_id", SERVER, OPTION_TENANT, 0, STRING_AT(service.tenant_id), NULL},
	{"ca_file", SERVER, OPTION_TEXT, OPTION_SUPERUSER, STRING_AT(service.ca_file), NULL},
	{"proxy", SERVER, OPTION_PROXY, OPTION_SUPERUSER, STRING_AT(service.proxy), NULL},

	/* how to go */
	{"connect_timeout", SERVER, OPTION_DURATION, 0, INT_AT(limits.connect_timeout, 1, MAX_DURATION_MS), "10s"},
	{"request_timeout", SERVER, OPTION_DURATION, 0, INT_AT(limits.request_timeout, 1, MAX_DURATION_MS), "60s"},
	{"max_retries", SERVER, OPTION_INTEGER, 0, INT_AT(limits.max_retries, 0, 100), "5"},
	{"page_size", SERVER, OPTION_INTEGER, 0, INT_AT(limits.page_size, 1, GRAPH_LARGEST_PAGE), "1000"},
	{"concurrency", SERVER, OPTION_INTEGER, 0, INT_AT(limits.concurrency, 1, 32), "4"},
	{"requests_per_minute", SERVER, OPTION_INTEGER, 0, INT_AT(limits.requests_per_minute, 0, 100000), "0"},
	{"throttle_timeout", SERVER, OPTION_DURATION, 0, INT_AT(limits.throttle_timeout, 1, MAX_DURATION_MS), "10min"},
	{"select_pushdown", SERVER, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.select), "true"},
	{"order_pushdown", SERVER, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.order), "true"},
	{"count_pushdown", SERVER, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.count), "true"},
	{"join_pushdown", SERVER, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.join), "true"},
	{"evidence_filter", SERVER, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.evidence_filter), "false"},
	{"incident_lookup", SERVER, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.navigation), "true"},
	{"max_record_size", SERVER, OPTION_SIZE, 0, INT_AT(limits.max_record_size, 1024, MAX_RECORD_BYTES), "64MB"},
	{"on_partial", SERVER, OPTION_CHOICE, 0, ENUM_AT(limits.on_partial, partial_words), "error"},
	{"updatable", SERVER, OPTION_BOOLEAN, 0, BOOL_AT(updatable), "false"},
	{"max_writes", SERVER, OPTION_INTEGER, 0, INT_AT(max_writes, 0, INT_MAX), "0"},

	/* who goes */
	{"tenant_id", MAPPING, OPTION_TENANT, 0, STRING_AT(service.tenant_id), NULL},
	{"client_id", MAPPING, OPTION_TEXT, 0, STRING_AT(credentials.client_id), NULL},
	{"client_secret", MAPPING, OPTION_TEXT, OPTION_SECRET, STRING_AT(credentials.client_secret), NULL},
	{"certificate_file", MAPPING, OPTION_TEXT, OPTION_SUPERUSER, STRING_AT(credentials.certificate_file), NULL},
	{"private_key_file", MAPPING, OPTION_TEXT, OPTION_SUPERUSER, STRING_AT(credentials.private_key_file), NULL},
	{"private_key_password", MAPPING, OPTION_TEXT, OPTION_SECRET, STRING_AT(credentials.private_key_password), NULL},
	{"federated_token_file", MAPPING, OPTION_TEXT, OPTION_SUPERUSER, STRING_AT(credentials.federated_token_file), NULL},
	{"managed_identity", MAPPING, OPTION_BOOLEAN, OPTION_SUPERUSER, BOOL_AT(credentials.managed_identity), NULL},
	{"refresh_token", MAPPING, OPTION_HEADER_TEXT, OPTION_SECRET, STRING_AT(credentials.refresh_token), NULL},
	{"access_token", MAPPING, OPTION_HEADER_TEXT, OPTION_SECRET, STRING_AT(credentials.access_token), NULL},
	{"proxy_user", MAPPING, OPTION_PROXY_USER, OPTION_SUPERUSER, STRING_AT(credentials.proxy_user), NULL},
	{"proxy_password", MAPPING, OPTION_TEXT, OPTION_SUPERUSER | OPTION_SECRET, STRING_AT(credentials.proxy_password), NULL},

	/* what for */
	{"resource", TABLE, OPTION_CHOICE, 0, ENUM_AT(resource, resource_words), "alerts"},
	{"evidence_type", TABLE, OPTION_TEXT, 0, STRING_AT(evidence_type), NULL},
	{"page_size", TABLE, OPTION_INTEGER, 0, INT_AT(limits.page_size, 1, GRAPH_LARGEST_PAGE), NULL},
	{"select_pushdown", TABLE, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.select), NULL},
	{"order_pushdown", TABLE, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.order), NULL},
	{"count_pushdown", TABLE, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.count), NULL},
	{"updatable", TABLE, OPTION_BOOLEAN, 0, BOOL_AT(updatable), NULL},
	{"max_writes", TABLE, OPTION_INTEGER, 0, INT_AT(max_writes, 0, INT_MAX), NULL},
	{"incident_lookup", TABLE, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.navigation), NULL},
	{"property", COLUMN, OPTION_PATH, 0, NOWHERE, NULL},
};

/* The endpoints of each cloud: Graph, "National cloud deployments". */
typedef struct GraphCloud
{
	const char *name;
	const char *endpoint;
	const char *authority;
} GraphCloud;

static const GraphCloud cloud_table[] = {
	{"global", "https://graph.microsoft.com",
	"https://login.microsoftonline.com"},
	{"usgov", "https://graph.microsoft.us",
	"https://login.microsoftonline.us"},
	{"usgovdod", "https://dod-graph.microsoft.us",
	"https://login.microsoftonline.us"},
	{"china", "https://microsoftgraph.chinacloudapi.cn",
	"https://login.chinacloudapi.cn"},
};

/* What a login is made of elsewhere. */
static const char *const login_words[] = {
	"user", "username", "user_id", "password", "secret", "key", "api_key",
	"token",
};

/* The functions of our wrapper: graph_set_wrapper(). */
static PGFunction own_handler = NULL;
static PGFunction own_validator = NULL;

/*-------------------------------------------------------------------------
 * The table
 *-------------------------------------------------------------------------
 */

/*
 * graph_find_option
 *		The row of an option on an object, or (InvalidOid) on any; NULL if there
 *		is none.
 */
const GraphOptionRow *
graph_find_option(const char *name, Oid catalog)
{
	for (size_t i = 0; i < lengthof(option_table); i++)
	{
		if ((option_table[i].catalog == catalog || !OidIsValid(catalog)) &&
			strcmp(option_table[i].name, name) == 0)
			return &option_table[i];
	}
	return NULL;
}

/*
 * object_of
 *		What the object is called that an option of a catalog belongs to.
 */
static const char *
object_of(Oid catalog)
{
	return catalog == SERVER ? "a server" :
		catalog == MAPPING ? "a user mapping" :
		catalog == TABLE ? "a foreign table" : "a column of a foreign table";
}

/*
 * unknown_option_hint
 *		What was meant by an option that the object cannot have: a sentence.
 */
static const char *
unknown_option_hint(const char *name, Oid catalog)
{
	const GraphOptionRow *elsewhere = graph_find_option(name, InvalidOid);
	GraphSimilarName similar;
	StringInfoData valid;
	StringInfoData objects;

	initStringInfo(&valid);
	initStringInfo(&objects);
	graph_similar_init(&similar, name);
	for (size_t i = 0; i < lengthof(option_table); i++)
	{
		const GraphOptionRow *row = &option_table[i];

		if (strcmp(row->name, name) == 0)
			appendStringInfo(&objects, "%s%s", objects.len > 0 ? " or " : "",
							 object_of(row->catalog));
		if (row->catalog != catalog)
			continue;
		graph_similar_try(&similar, row->name);
		appendStringInfo(&valid, "%s%s", valid.len > 0 ? ", " : "", row->name);
	}
	if (elsewhere && (elsewhere->flags & OPTION_SECRET))
		return "A secret may be set on a user mapping only.";
	if (elsewhere)
		return psprintf("Option \"%s\" can be set on %s.", name,
						objects.data);
	for (size_t i = 0; i < lengthof(login_words); i++)
	{
		if (pg_strcasecmp(login_words[i], name) == 0)
			return catalog == MAPPING ?
				"The options of a login are \"client_id\" and \"client_secret\", or those of another login, such as \"certificate_file\" or \"managed_identity\"." :
				"A login is options of a user mapping: \"client_id\" and \"client_secret\", or those of another login.";
	}
	if (valid.len == 0)
		return "There are no valid options in this context.";
	if (similar.closest == NULL)
		return psprintf("Valid options in this context are: %s", valid.data);
	return psprintf("Perhaps you meant the option \"%s\".  Valid options in this context are: %s",
					similar.closest, valid.data);
}

/*
 * graph_report_unknown_option
 *		Raise the error for an option that the object cannot have, with a hint.
 */
void
graph_report_unknown_option(const char *name, Oid catalog)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 errhint("%s", unknown_option_hint(name, catalog))));
}

/*
 * parse_word
 *		Find a word of a choice; false with the valid ones listed.
 */
static bool
parse_word(const GraphOptionRow *row, const char *value, int *number,
		   const char **problem)
{
	StringInfoData valid;

	initStringInfo(&valid);
	appendStringInfoString(&valid, "Valid values are: ");
	for (const OptionWord *word = row->words; word->word; word++)
	{
		if (strcmp(word->word, value) == 0)
		{
			*number = word->value;
			return true;
		}
		appendStringInfo(&valid, "%s\"%s\"", word == row->words ? "" : ", ",
						 word->word);
	}
	appendStringInfoChar(&valid, '.');
	*problem = valid.data;
	return false;
}

/*
 * parse_boolean
 *		Read a boolean, in the spellings of PostgreSQL's settings.
 */
static bool
parse_boolean(const char *value, int *number, const char **problem)
{
	bool		result;

	*problem = "The value must be a Boolean, such as \"true\" or \"false\".";
	if (!parse_bool(value, &result))
		return false;
	*number = result;
	return true;
}

/*
 * parse_number
 *		Read a number with its unit and hold it against the row's range.
 */
static bool
parse_number(const GraphOptionRow *row, const char *value, int *number,
			 const char **problem)
{
	const char *hint = NULL;
	int			unit = row->kind == OPTION_DURATION ? GUC_UNIT_MS :
		row->kind == OPTION_SIZE ? GUC_UNIT_BYTE : 0;
	const char *unit_name = row->kind == OPTION_DURATION ? " ms" :
		row->kind == OPTION_SIZE ? " bytes" : "";

	if (!parse_int(value, number, unit, &hint))
	{
		*problem = hint ? hint : "The value must be an integer.";
		return false;
	}
	if (*number < row->minimum || *number > row->maximum)
	{
		*problem = psprintf("The value must be between %d and %d%s.",
							row->minimum, row->maximum, unit_name);
		return false;
	}
	return true;
}

/*
 * is_header_text
 *		Can the value stand in a header?  A token is the only such value.
 */
static bool
is_header_text(const char *value, const char **problem)
{
	if (pg_strncasecmp(value, "Bearer ", 7) == 0)
	{
		*problem = "The value is the token alone, without the word \"Bearer\".";
		return false;
	}
	*problem = "The value must consist of visible ASCII characters.";
	for (const char *p = value; *p; p++)
	{
		if (*p <= ' ' || *p >= 0x7f)
			return false;
	}
	return true;
}

/*
 * graph_parse_option
 *		Read a value of the option; false if it is none, with a sentence in
 *		*problem.
 *
 * *number is set for options that are integers in GraphOptions.
 */
bool
graph_parse_option(const GraphOptionRow *row, const char *value, int *number,
				   const char **problem)
{
	if (value[0] == '\0')
	{
		*problem = "The value must not be empty.";
		return false;
	}

	switch (row->kind)
	{
		case OPTION_CHOICE:
			return parse_word(row, value, number, problem);
		case OPTION_BOOLEAN:
			return parse_boolean(value, number, problem);
		case OPTION_INTEGER:
		case OPTION_DURATION:
		case OPTION_SIZE:
			return parse_number(row, value, number, problem);
		case OPTION_URL:
			*problem = graph_url_problem(value);
			return *problem == NULL;
		case OPTION_PROXY:
			*problem = graph_proxy_problem(value);
			return *problem == NULL;
		case OPTION_TENANT:
			/* it becomes a path segment of the token endpoint */
			if (strspn(value, "abcdefghijklmnopqrstuvwxyz"
					   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == strlen(value) &&
				strspn(value, ".") != strlen(value))
				return true;
			*problem = "A tenant is a GUID or a domain name.";
			return false;
		case OPTION_HEADER_TEXT:
			return is_header_text(value, problem);
		case OPTION_PROXY_USER:
			*problem = "The name must not contain a colon or a control character.";
			for (const char *p = value; *p; p++)
			{
				if (*p == ':' || (unsigned char) *p < ' ' || *p == 0x7f)
					return false;
			}
			return true;
		case OPTION_PATH:
			*problem = graph_property_problem(value);
			return *problem == NULL;
		case OPTION_TEXT:
			return true;
	}
	return true;				/* keep the compiler quiet */
}

/*-------------------------------------------------------------------------
 * What was said
 *-------------------------------------------------------------------------
 */

/*
 * is_function
 *		Is this function of the catalog, if any, the C function at an address?
 */
static bool
is_function(Oid function, PGFunction address)
{
	FmgrInfo	info;

	if (!OidIsValid(function))
		return false;
	fmgr_info(function, &info);
	return info.fn_addr == address;
}

/*
 * graph_set_wrapper
 *		Say once which functions are our handler and our validator.  This file
 *		cannot name them, since they use it.
 */
void
graph_set_wrapper(PGFunction handler, PGFunction validator)
{
	Assert(handler && validator);
	own_handler = handler;
	own_validator = validator;
}

/*
 * graph_check_wrapper
 *		Raise an error unless a server's wrapper has our handler and our
 *		validator.
 *
 * With another validator, or none, anybody may have set options that are the
 * superuser's here: nothing is asked and nothing is sent.
 */
void
graph_check_wrapper(const ForeignServer *server)
{
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(server->fdwid);

	Assert(own_handler && own_validator);
	if (is_function(wrapper->fdwhandler, own_handler) &&
		is_function(wrapper->fdwvalidator, own_validator))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("server \"%s\" is not a server of graph_fdw",
					server->servername),
			 errhint("Foreign-data wrapper \"%s\" does not have both the handler and the validator of graph_fdw: create the server for foreign-data wrapper \"graph_fdw\".",
					 wrapper->fdwname)));
}

/*
 * graph_cloud_of
 *		The one of Microsoft's clouds that has a URL's origin, or NULL.
 *
 * Some share their authority: preferred is the one if it is among them.
 */
const char *
graph_cloud_of(const char *url, const char *preferred)
{
	char	   *origin = graph_url_origin(url);
	const char *result = NULL;

	for (size_t i = 0; origin && i < lengthof(cloud_table); i++)
	{
		const GraphCloud *cloud = &cloud_table[i];

		if (strcmp(graph_url_origin(cloud->endpoint), origin) != 0 &&
			strcmp(graph_url_origin(cloud->authority), origin) != 0)
			continue;
		if (result == NULL || strcmp(cloud->name, preferred) == 0)
			result = cloud->name;
	}
	return result;
}

/*
 * without_final_slashes
 *		A copy of a URL to which a path can be appended.
 */
static char *
without_final_slashes(const char *url)
{
	char	   *copy = pstrdup(url);
	size_t		len = strlen(copy);

	while (len > 0 && copy[len - 1] == '/')
		copy[--len] = '\0';
	return copy;
}

/*
 * apply_option
 *		Put the value of an option into the result.
 *
 * It was checked when the DDL ran, and is again: an older or newer version of
 * the extension may have accepted it.
 */
static void
apply_option(GraphOptions *result, const GraphOptionRow *row, const char *value)
{
	char	   *field = (char *) result + row->offset;
	const char *problem;
	int			number = 0;

	if (!graph_parse_option(row, value, &number, &problem))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\"", row->name)));
	if (row->is_int)
		*(int *) field = number;
	else if (row->kind == OPTION_URL)
		*(char **) field = without_final_slashes(value);
	else
		*(char **) field = pstrdup(value);
}

/*
 * apply_options
 *		Put an object's options into the result.
 */
static void
apply_options(GraphOptions *result, List *options, Oid catalog)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = lfirst_node(DefElem, cell);
		const GraphOptionRow *row = graph_find_option(def->defname, catalog);

		if (row == NULL)
			graph_report_unknown_option(def->defname, catalog);
		apply_option(result, row, defGetString(def));
	}
}

/*
 * graph_get_options
 *		What was said for a table, its server and a user mapping.
 *
 * A page is never larger than the service gives of the resource.  table and
 * user may be NULL; without a user the result holds no secret.  The strings are
 * copies in the current memory context.
 */
void
graph_get_options(ForeignTable *table, ForeignServer *server,
				  UserMapping *user, GraphOptions *result)
{
	int			largest_page;

	memset(result, 0, sizeof(GraphOptions));
	graph_check_wrapper(server);
	for (size_t i = 0; i < lengthof(option_table); i++)
	{
		const GraphOptionRow *row = &option_table[i];

		if (row->default_value)
			apply_option(result, row, row->default_value);
	}

	apply_options(result, server->options, ForeignServerRelationId);
	if (table)
		apply_options(result, table->options, ForeignTableRelationId);
	largest_page = graph_resource_info(result->resource)->largest_page;
	result->limits.page_size = Min(result->limits.page_size, largest_page);
	if (user)
	{
		apply_options(result, user->options, UserMappingRelationId);
		result->credentials.login =
			graph_find_login(user->options, ERROR, &result->credentials.proof);
	}

	for (size_t i = 0; i < lengthof(cloud_table); i++)
	{
		if (strcmp(cloud_table[i].name, result->service.cloud) != 0)
			continue;
		result->service.scope = psprintf("%s/.default", cloud_table[i].endpoint);
		if (result->service.endpoint == NULL)
			result->service.endpoint = pstrdup(cloud_table[i].endpoint);
		if (result->service.authority == NULL)
			result->service.authority = pstrdup(cloud_table[i].authority);
	}
}

/*
 * graph_column_property
 *		The option "property" of a column, or NULL where it has none.
 */
char *
graph_column_property(Oid relid, AttrNumber attnum)
{
	return graph_option_value(GetForeignColumnOptions(relid, attnum),
							  "property");
}

/*
 * graph_options_secret
 *		The secrets of options, one after another: the next from *place, which
 *		begins with 0, or NULL.
 */
char *
graph_options_secret(const GraphOptions *options, size_t *place)
{
	while (*place < lengthof(option_table))
	{
		const GraphOptionRow *row = &option_table[(*place)++];
		char	   *secret;

		if ((row->flags & OPTION_SECRET) == 0)
			continue;
		secret = *(char *const *) ((const char *) options + row->offset);
		if (secret)
			return secret;
	}
	return NULL;
}

/*
 * graph_options_wipe
 *		Overwrite the secrets of options that are no longer needed, those of
 *		GraphOptions or of a list as the catalog gives it; either may be NULL.
 */
void
graph_options_wipe(GraphOptions *options, List *list)
{
	ListCell   *cell;
	char	   *secret;
	size_t		place = 0;

	foreach(cell, list)
	{
		DefElem    *def = lfirst_node(DefElem, cell);
		const GraphOptionRow *row = graph_find_option(def->defname,
													  UserMappingRelationId);

		if (row && (row->flags & OPTION_SECRET))
			explicit_bzero(strVal(def->arg), strlen(strVal(def->arg)));
	}
	if (options == NULL)
		return;
	while ((secret = graph_options_secret(options, &place)) != NULL)
		explicit_bzero(secret, strlen(secret));
}
