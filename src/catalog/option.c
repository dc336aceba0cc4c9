/*-------------------------------------------------------------------------
 *
 * option.c
 *		What may the user say, and what did they say?
 *
 * One table says everything about an option: on which object it may be set,
 * by whom, what its values are, its default, and where in GraphOptions it
 * goes.  The validator, its hints and the getter all follow that table, and
 * so does the option list of the README.
 *
 * Two rules are kept here.  A secret may be given on a user mapping only, and
 * no message repeats one.  An option that chooses where a secret is sent, or
 * that reads a file of the server's host, may be set by a superuser only: the
 * owner of a foreign server could otherwise collect the secrets of every role
 * that has a mapping for it.
 *
 * Validation looks at text and nothing else; it never touches the network, so
 * that a dump can be restored while the service is away.
 *
 * IDENTIFICATION
 *		src/catalog/option.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"

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
	OPTION_PATH,				/* an OData path; resource.c knows more */
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
	const char *default_value;			/* default, as a user would write it */
} GraphOptionRow;

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
	{"comments", GRAPH_COMMENTS}, {NULL, 0}
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
	{"page_size", SERVER, OPTION_INTEGER, 0, INT_AT(limits.page_size, 1, 1000), "1000"},
	{"concurrency", SERVER, OPTION_INTEGER, 0, INT_AT(limits.concurrency, 1, 32), "4"},
	{"requests_per_minute", SERVER, OPTION_INTEGER, 0, INT_AT(limits.requests_per_minute, 0, 100000), "0"},
	{"select_pushdown", SERVER, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.select), "true"},
	{"order_pushdown", SERVER, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.order), "true"},
	{"count_pushdown", SERVER, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.count), "true"},
	{"evidence_filter", SERVER, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.evidence_filter), "false"},
	{"max_record_size", SERVER, OPTION_SIZE, 0, INT_AT(limits.max_record_size, 1024, MAX_RECORD_BYTES), "64MB"},
	{"on_partial", SERVER, OPTION_CHOICE, 0, ENUM_AT(limits.on_partial, partial_words), "error"},

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
	{"page_size", TABLE, OPTION_INTEGER, 0, INT_AT(limits.page_size, 1, 1000), NULL},
	{"select_pushdown", TABLE, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.select), NULL},
	{"order_pushdown", TABLE, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.order), NULL},
	{"count_pushdown", TABLE, OPTION_BOOLEAN, 0, BOOL_AT(pushdown.count), NULL},
	{"property", COLUMN, OPTION_PATH, 0, NOWHERE, NULL},
};

/*
 * The logins of a user mapping.  "own" options belong to one login only, and
 * any of them says that it is meant; it is complete with all of them and those
 * that it shares with others.
 */
typedef struct LoginRow
{
	GraphLogin	login;
	const char *name;			/* as messages call it */
	const char *own[2];
	const char *shared;			/* or NULL */
	bool		proof;			/* of the application, which may have to stand
								 * beside a refresh token that it was given */
} LoginRow;

static const LoginRow login_table[] = {
	{GRAPH_LOGIN_SECRET, "client secret", {"client_secret"}, "client_id", true},
	{GRAPH_LOGIN_CERTIFICATE, "certificate",
	{"certificate_file", "private_key_file"}, "client_id", true},
	{GRAPH_LOGIN_FEDERATED, "federated token", {"federated_token_file"}, "client_id", true},
	{GRAPH_LOGIN_MANAGED_IDENTITY, "managed identity", {"managed_identity"}, NULL, false},
	{GRAPH_LOGIN_REFRESH_TOKEN, "refresh token", {"refresh_token"}, "client_id", false},
	{GRAPH_LOGIN_ACCESS_TOKEN, "access token", {"access_token"}, NULL, false},
	{GRAPH_LOGIN_DEVICE_CODE, "graph_fdw_login()", {NULL}, "client_id", false},
};

/* The endpoints of a cloud; facts and Graph's "national cloud deployments". */
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

static PGFunction own_handler = NULL;	/* graph_set_handler() */

PG_FUNCTION_INFO_V1(graph_fdw_validator);

static const GraphOptionRow *find_option(const char *name, Oid catalog);
static void complain_unknown(const char *name, Oid catalog);
static bool parse_value(const GraphOptionRow *row, const char *value,
						int *number, const char **problem);
static void check_option(const GraphOptionRow *row, const char *value);
static GraphLogin find_login(List *options, int elevel, GraphLogin *proof);
static void hide_statement(void *arg);
static bool hold_secret(List *options);
static bool may_hold_password(const GraphOptionRow *row, const char *value);
static void check_mapping(List *options);
static void check_table(List *options);
static void apply_options(GraphOptions *result, List *options, Oid catalog);

/*
 * graph_fdw_validator
 *		Check the options of one object; called by the DDL commands.
 *
 * The list holds all options that the object will have, also those that the
 * command leaves as they are.
 */
Datum
graph_fdw_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	ErrorContextCallback *outer = error_context_stack;
	ErrorContextCallback hiding = {NULL, hide_statement, NULL};
	ListCell   *cell;

	if (hold_secret(options))
		error_context_stack = &hiding;

	foreach(cell, options)
	{
		DefElem    *def = lfirst_node(DefElem, cell);
		const GraphOptionRow *row = find_option(def->defname, catalog);

		if (row == NULL)
			complain_unknown(def->defname, catalog);
		check_option(row, defGetString(def));
	}

	if (catalog == UserMappingRelationId)
		check_mapping(options);
	else if (catalog == ForeignTableRelationId)
		check_table(options);

	error_context_stack = outer;
	PG_RETURN_VOID();
}

/*
 * graph_check_import_options
 *		Check the options of IMPORT FOREIGN SCHEMA, which has none.
 */
void
graph_check_import_options(List *options)
{
	ErrorContextCallback hiding = {NULL, hide_statement, NULL};

	if (options == NIL)
		return;
	if (hold_secret(options))
		error_context_stack = &hiding;
	complain_unknown(linitial_node(DefElem, options)->defname, InvalidOid);
}

/*
 * hide_statement
 *		Error context callback while there are options that may hold a secret:
 *		keep the statement out of the server's log, where one that failed is
 *		repeated.
 *
 * It stands alone on the stack of such callbacks.  Those below it would say
 * in which function or DO block the statement is, and what it says; that goes
 * to the client as well, who may be another than who wrote the function.
 */
static void
hide_statement(void *arg)
{
	errhidestmt(true);
}

/*
 * hold_secret
 *		May one of these options be a secret?
 *
 * What is not known may be one whose name was misspelt.
 */
static bool
hold_secret(List *options)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = lfirst_node(DefElem, cell);
		const GraphOptionRow *row = find_option(def->defname, InvalidOid);

		if (row == NULL || (row->flags & OPTION_SECRET) ||
			(def->arg && may_hold_password(row, defGetString(def))))
			return true;
	}
	return false;
}

/*
 * may_hold_password
 *		Has somebody put a user and a password into a value, or, into a URL,
 *		anything else than scheme, host, port and path?  Such a value is not
 *		repeated.
 */
static bool
may_hold_password(const GraphOptionRow *row, const char *value)
{
	const char *host = strstr(value, "://");
	const char *port;

	host = host ? host + 3 : value;
	if (strchr(host, '@') || strcasestr(host, "%40"))
		return row->kind != OPTION_PATH;
	if (row->kind != OPTION_URL && row->kind != OPTION_PROXY)
		return false;

	/* of "[::1]:80", the colon that comes last */
	port = host + strcspn(host, "/?#");
	if (*port && strpbrk(port, "?#"))
		return true;
	while (port > host && port[-1] != ':' && port[-1] != ']')
		port--;
	if (port == host || port[-1] == ']')
		return false;
	port += strspn(port, "0123456789");
	return strchr("/", *port) == NULL;
}

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
 * graph_set_handler
 *		Say once which function is our handler; this file cannot name it, as it
 *		knows nobody above it.
 */
void
graph_set_handler(PGFunction handler)
{
	own_handler = handler;
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

	if (is_function(wrapper->fdwhandler, own_handler) &&
		is_function(wrapper->fdwvalidator, graph_fdw_validator))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("server \"%s\" is not a server of graph_fdw",
					server->servername),
			 errhint("Foreign-data wrapper \"%s\" does not have both the handler and the validator of graph_fdw: create the server for foreign-data wrapper \"graph_fdw\".",
					 wrapper->fdwname)));
}

/*
 * graph_get_options
 *		What was said for a table, its server and a user mapping.
 *
 * table and user may be NULL; without a user the result holds no secret.  The
 * strings are copies in the current memory context.
 */
void
graph_get_options(ForeignTable *table, ForeignServer *server,
				  UserMapping *user, GraphOptions *result)
{
	memset(result, 0, sizeof(GraphOptions));
	graph_check_wrapper(server);
	for (size_t i = 0; i < lengthof(option_table); i++)
	{
		const GraphOptionRow *row = &option_table[i];
		List	   *default_value;

		if (row->default_value == NULL)
			continue;
		default_value = list_make1(makeDefElem(pstrdup(row->name),
										(Node *) makeString(pstrdup(row->default_value)),
										-1));
		apply_options(result, default_value, row->catalog);
	}

	apply_options(result, server->options, ForeignServerRelationId);
	if (table)
		apply_options(result, table->options, ForeignTableRelationId);
	if (user)
	{
		apply_options(result, user->options, UserMappingRelationId);
		result->credentials.login = find_login(user->options, ERROR, &result->credentials.proof);
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
 * graph_login_name
 *		What messages call a login.
 */
const char *
graph_login_name(GraphLogin login)
{
	for (size_t i = 0; i < lengthof(login_table); i++)
	{
		if (login_table[i].login == login)
			return login_table[i].name;
	}
	return "none";
}

/*
 * graph_column_property
 *		The option "property" of a column, or NULL where it has none.
 */
char *
graph_column_property(Oid relid, AttrNumber attnum)
{
	ListCell   *cell;

	foreach(cell, GetForeignColumnOptions(relid, attnum))
	{
		DefElem    *def = lfirst_node(DefElem, cell);

		if (strcmp(def->defname, "property") == 0)
			return defGetString(def);
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
		const GraphOptionRow *row = find_option(def->defname,
												UserMappingRelationId);

		if (row && (row->flags & OPTION_SECRET))
			explicit_bzero(strVal(def->arg), strlen(strVal(def->arg)));
	}
	if (options == NULL)
		return;
	while ((secret = graph_options_secret(options, &place)) != NULL)
		explicit_bzero(secret, strlen(secret));
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
 * find_option
 *		The row of an option on an object, or (InvalidOid) on any; NULL if there
 *		is none.
 */
static const GraphOptionRow *
find_option(const char *name, Oid catalog)
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
 * complain_unknown
 *		Raise the error for an option that the object cannot have, with a hint
 *		that lists those that it can.
 */
static void
complain_unknown(const char *name, Oid catalog)
{
	StringInfoData valid;
	bool		secret = false;

	initStringInfo(&valid);
	for (size_t i = 0; i < lengthof(option_table); i++)
	{
		const GraphOptionRow *row = &option_table[i];

		if (strcmp(row->name, name) == 0 && row->flags & OPTION_SECRET)
			secret = true;
		if (row->catalog == catalog)
			appendStringInfo(&valid, "%s%s", valid.len > 0 ? ", " : "",
							 row->name);
	}

	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 secret ?
			 errhint("A secret may be set on a user mapping only.") :
			 valid.len > 0 ?
			 errhint("Valid options in this context are: %s", valid.data) :
			 errhint("There are no valid options in this context.")));
}

/*
 * check_option
 *		Raise an error if this user may not set the option to this value.
 */
static void
check_option(const GraphOptionRow *row, const char *value)
{
	int			number;
	const char *problem = NULL;

	if ((row->flags & OPTION_SUPERUSER) && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", row->name),
				 errdetail("Only a superuser may set an option that chooses where secrets are sent, that reads a file of the server, or that uses the identity of its machine."),
				 errhint("This holds for every change of an object that has such an option.")));

	if (parse_value(row, value, &number, &problem))
		return;

	if ((row->flags & OPTION_SECRET) || may_hold_password(row, value))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\"", row->name),
				 errdetail("%s", problem)));
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", row->name, value),
			 errdetail("%s", problem)));
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

	*problem = "The value must be a Boolean.";
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
 * parse_value
 *		Is this a value of the option?  If not, *problem is a sentence.
 *
 * *number is set for options that are integers in GraphOptions.
 */
static bool
parse_value(const GraphOptionRow *row, const char *value, int *number,
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
			for (const char *p = value; *p; p++)
			{
				if (*p > ' ' && *p < 0x7f)
					continue;
				*problem = "The value must consist of visible ASCII characters.";
				return false;
			}
			return true;
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

/*
 * has_option
 *		Is an option in the list, and not switched off?
 */
static bool
has_option(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = lfirst_node(DefElem, cell);
		bool		enabled = true;

		if (strcmp(def->defname, name) != 0)
			continue;
		if (find_option(name, UserMappingRelationId)->kind == OPTION_BOOLEAN)
			(void) parse_bool(defGetString(def), &enabled);
		return enabled;
	}
	return false;
}

/*
 * first_option
 *		The first option of a login that is in the list and belongs to no
 *		other, or NULL.
 */
static const char *
first_option(const LoginRow *row, List *options)
{
	for (size_t i = 0; i < lengthof(row->own); i++)
	{
		if (row->own[i] && has_option(options, row->own[i]))
			return row->own[i];
	}
	return NULL;
}

/*
 * demand_option
 *		Raise the error for an option without which another makes no sense.
 */
static void
demand_option(List *options, const char *name, const char *needed_by)
{
	if (name == NULL || has_option(options, name))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
			 errmsg("option \"%s\" is missing", name),
			 errdetail("A user mapping with option \"%s\" needs it.",
					   needed_by)));
}

/*
 * demand_whole
 *		Raise the error for a login of which only some options are there.
 */
static void
demand_whole(const LoginRow *row, List *options)
{
	const char *option = first_option(row, options);

	for (size_t i = 0; i < lengthof(row->own); i++)
		demand_option(options, row->own[i], option);
	demand_option(options, row->shared, option);
}

/*
 * find_login
 *		Which login do the options of a user mapping make?  Exactly one, and a
 *		whole one; anything else is an error.
 *
 * A refresh token may have been given to an application that has to prove
 * itself whenever it uses it (RFC 6749 section 6): *proof is by what, also for
 * a login that is nothing but such a proof.
 *
 * tenant_id is not asked for here: it may be the server's.  A mapping that
 * says which application asks, and nothing by which that could prove itself,
 * leaves it to a person to log in, for a session, with graph_fdw_login().  One
 * that says nothing of a login is reported at the level given.
 */
static GraphLogin
find_login(List *options, int elevel, GraphLogin *proof)
{
	const LoginRow *found = NULL;
	const LoginRow *beside = NULL;

	*proof = GRAPH_LOGIN_NONE;

	for (size_t i = 0; i < lengthof(login_table); i++)
	{
		const LoginRow *row = &login_table[i];
		const char *first = first_option(row, options);

		if (first == NULL)
			continue;
		if (found && found->proof && row->login == GRAPH_LOGIN_REFRESH_TOKEN)
			beside = found;
		else if (found)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("options \"%s\" and \"%s\" cannot be set together",
							first_option(found, options), first),
					 errdetail("A user mapping has exactly one login.")));
		if (row->proof)
			*proof = row->login;
		found = row;
	}

	if (beside)
		demand_whole(beside, options);
	if (has_option(options, "private_key_password"))
		demand_option(options, "private_key_file", "private_key_password");
	if (has_option(options, "proxy_user"))
		demand_option(options, "proxy_password", "proxy_user");
	if (has_option(options, "proxy_password"))
		demand_option(options, "proxy_user", "proxy_password");
	if (found)
	{
		demand_whole(found, options);
		return found->login;
	}
	if (!has_option(options, "client_id"))
		ereport(elevel,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("user mapping has no login"),
				 errdetail("Options \"client_id\" and \"client_secret\" are missing, or those of another login."),
				 errhint("A login is \"client_id\" with \"client_secret\", \"certificate_file\" and \"private_key_file\", \"federated_token_file\" or \"refresh_token\"; or \"managed_identity\"; or \"access_token\".  With \"client_id\" alone, each session logs in with graph_fdw_login().")));
	return has_option(options, "client_id") ? GRAPH_LOGIN_DEVICE_CODE :
		GRAPH_LOGIN_NONE;
}

/*
 * check_mapping
 *		Options of a user mapping that depend on each other.
 *
 * Without any option it is what pg_dump writes for somebody who may not see
 * them.  A dump must be restored, so that is an error only when it is used.
 */
static void
check_mapping(List *options)
{
	GraphLogin	proof;

	if (find_login(options, options ? ERROR : NOTICE, &proof) == GRAPH_LOGIN_DEVICE_CODE)
		ereport(NOTICE,
				(errmsg("user mapping has no login of its own"),
				 errdetail("Option \"client_secret\" is missing, or that of another login."),
				 errhint("Set one, or log in with graph_fdw_login() in each session.")));
}

/*
 * check_table
 *		Options of a table that depend on each other.
 */
static void
check_table(List *options)
{
	ListCell   *cell;
	const char *resource = "alerts";
	const char *type = NULL;

	foreach(cell, options)
	{
		DefElem    *def = lfirst_node(DefElem, cell);

		if (strcmp(def->defname, "resource") == 0)
			resource = defGetString(def);
		else if (strcmp(def->defname, "evidence_type") == 0)
			type = defGetString(def);
	}

	if (type == NULL)
		return;
	if (strcmp(resource, "evidence") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"evidence_type\" requires option \"resource\" to be \"evidence\"")));

	/* the service adds types, so one that is not known here is no error */
	if (!graph_is_evidence_type(type))
		ereport(NOTICE,
				(errmsg("evidence type \"%s\" is not among those that graph_fdw %s knows",
						type, GRAPH_FDW_VERSION),
				 errhint("Evidence types are written as in Microsoft Graph, for example \"deviceEvidence\".")));
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
 * apply_options
 *		Put an object's options into the result.
 *
 * They were checked when the DDL ran.  Whatever is not (an option that an
 * older or newer version of the extension accepted) is an error here too.
 */
static void
apply_options(GraphOptions *result, List *options, Oid catalog)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = lfirst_node(DefElem, cell);
		const GraphOptionRow *row = find_option(def->defname, catalog);
		const char *value = defGetString(def);
		const char *problem;
		int			number = 0;
		char	   *field;

		if (row == NULL)
			complain_unknown(def->defname, catalog);
		if (!parse_value(row, value, &number, &problem))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 errmsg("invalid value for option \"%s\"", row->name)));

		field = (char *) result + row->offset;
		if (row->is_int)
			*(int *) field = number;
		else if (row->kind == OPTION_URL)
			*(char **) field = without_final_slashes(value);
		else
			*(char **) field = pstrdup(value);
	}
}
