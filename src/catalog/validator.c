/*-------------------------------------------------------------------------
 *
 * validator.c
 *		Who may set which option to what?
 *
 * Two rules about secrets are kept here.  A secret may be given on a user
 * mapping only, and no message repeats one.  An option that chooses where a
 * secret is sent, or that reads a file of the server's host, may be set by a
 * superuser only: the owner of a foreign server could otherwise collect the
 * secrets of every role that has a mapping for it.
 *
 * Besides, each value has to be one that its option can have, and options that
 * depend on each other have to fit together.  Nothing is asked of the network
 * and no file is read, so that a dump can be restored while the service is
 * away, and on another host: that a file is missing is a warning, and so is what
 * can hardly work.
 *
 * What this file refuses to know: what an option is used for.
 *
 * IDENTIFICATION
 *		src/catalog/validator.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/reloptions.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "catalog/option_int.h"

PG_FUNCTION_INFO_V1(graph_fdw_validator);

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
		const GraphOptionRow *row = graph_find_option(def->defname, InvalidOid);

		if (row == NULL || (row->flags & OPTION_SECRET) ||
			(def->arg && may_hold_password(row, defGetString(def))))
			return true;
	}
	return false;
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
	graph_report_unknown_option(linitial_node(DefElem, options)->defname, InvalidOid);
}

/*
 * url_path_problem
 *		What is wrong with the path of a URL, which is well-formed: a sentence, or
 *		NULL.
 *
 * What was copied from an example has the version in it, or the tenant.  A
 * gateway may have any path of its own.
 */
static const char *
url_path_problem(const GraphOptionRow *row, const char *value)
{
	bool		is_endpoint = strcmp(row->name, "endpoint") == 0;
	const char *path = graph_url_path(value);
	size_t		first;

	if (path[0] == '\0')
		return NULL;
	first = strcspn(path + 1, "/");
	if (is_endpoint &&
		((first == 4 && strncmp(path + 1, "v1.0", 4) == 0) ||
		 (first == 4 && strncmp(path + 1, "beta", 4) == 0)))
		return "The version is not a part of it, but the option \"api_version\".";
	if (graph_cloud_of(value, "") == NULL)
		return NULL;
	return is_endpoint ?
		"The endpoint of a cloud has no path, such as \"https://graph.microsoft.com\"." :
		"The authority of a cloud has no path, such as \"https://login.microsoftonline.com\"; the tenant is the option \"tenant_id\".";
}

/*
 * is_file
 *		Does an option name a file of the server's host?
 */
static bool
is_file(const GraphOptionRow *row)
{
	size_t		length = strlen(row->name);

	return row->kind == OPTION_TEXT && length > 5 &&
		strcmp(row->name + length - 5, "_file") == 0;
}

/*
 * tell_of_file
 *		Say that a file cannot be read now, or is looked for where nobody may
 *		expect it.  Only a superuser gets here.
 */
static void
tell_of_file(const GraphOptionRow *row, const char *value)
{
	bool		relative = !is_absolute_path(value);

	if (access(value, R_OK) != 0)
		ereport(WARNING,
				(errcode_for_file_access(),
				 may_hold_password(row, value) ?
				 errmsg("could not access the file of option \"%s\": %m",
						row->name) :
				 errmsg("could not access file \"%s\" of option \"%s\": %m",
						value, row->name),
				 errhint("%s", graph_file_hint(value))));
	else if (relative)
		ereport(NOTICE,
				(errmsg("the file of option \"%s\" is in the server's data directory",
						row->name),
				 errhint("Use an absolute path, since the data directory is replaced by an upgrade.")));
}

/*
 * tell_of_odd_character
 *		Say that what was copied has a character that Microsoft Entra ID puts into
 *		no such value: it would say that it does not know the application, or the
 *		secret.
 */
static void
tell_of_odd_character(const GraphOptionRow *row, const char *value)
{
	if (strcmp(row->name, "client_id") != 0 &&
		strcmp(row->name, "client_secret") != 0)
		return;
	for (const unsigned char *p = (const unsigned char *) value; *p; p++)
	{
		if (*p > ' ' && *p < 0x7f && *p != '"' && *p != '\'')
			continue;
		ereport(WARNING,
				(errmsg("the value of option \"%s\" has a blank, a quotation mark, a control character or one that is not ASCII",
						row->name),
				 errhint("Microsoft Entra ID makes none with such a character: look for what was copied with it, such as the end of a line.")));
		return;
	}
}

/*
 * tell_of_unit
 *		Say what a short time is that has no unit.
 */
static void
tell_of_unit(const GraphOptionRow *row, const char *value, int number)
{
	if (row->kind == OPTION_DURATION && number < 1000 &&
		strspn(value, "0123456789") == strlen(value))
		ereport(NOTICE,
				(errmsg("option \"%s\" is %d milliseconds", row->name, number),
				 errhint("A number without a unit is milliseconds: for seconds write \"%ss\".",
						 value)));
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
	const char *hint = NULL;

	if ((row->flags & OPTION_SUPERUSER) && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", row->name),
				 errdetail("Only a superuser may set an option that chooses where secrets are sent, that reads a file of the server, or that uses the identity of its machine."),
				 errhint("This holds for every change of an object that has such an option.")));

	if (graph_parse_option(row, value, &number, &problem))
	{
		if (is_file(row))
			tell_of_file(row, value);
		tell_of_odd_character(row, value);
		tell_of_unit(row, value, number);
		problem = row->kind == OPTION_URL ? url_path_problem(row, value) : NULL;
		if (problem == NULL)
			return;
	}

	if (row->kind == OPTION_PROXY && strchr(value, '@'))
		hint = "If the proxy wants to know who asks, set \"proxy_user\" and \"proxy_password\" on the user mapping.";
	if ((row->flags & OPTION_SECRET) || may_hold_password(row, value))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\"", row->name),
				 errdetail("%s", problem),
				 hint ? errhint("%s", hint) : 0));
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", row->name, value),
			 errdetail("%s", problem)));
}

/*
 * check_server
 *		Options of a server that depend on each other: with a cloud go the login
 *		and what tokens are asked for, also where only an address is set.
 */
static void
check_server(List *options)
{
	static const char *const addresses[] = {"endpoint", "authority"};
	const char *cloud = graph_option_value(options, "cloud");

	if (cloud == NULL)
		cloud = graph_find_option("cloud", ForeignServerRelationId)->default_value;
	if (strcmp(cloud, "china") == 0)
		ereport(NOTICE,
				(errmsg("Microsoft Graph offers neither security alerts nor incidents in cloud \"%s\"",
						cloud),
				 errhint("Queries will fail.  If the tenant is in another cloud, set the option \"cloud\".")));
	for (size_t i = 0; i < lengthof(addresses); i++)
	{
		const char *value = graph_option_value(options, addresses[i]);
		const char *other = value ? graph_cloud_of(value, cloud) : NULL;

		if (other == NULL || strcmp(other, cloud) == 0)
			continue;
		ereport(NOTICE,
				(errmsg("option \"%s\" is the address of cloud \"%s\", but option \"cloud\" is \"%s\"",
						addresses[i], other, cloud),
				 errhint("Set the option \"cloud\", by which the login's address and the scope of tokens are chosen.")));
		return;
	}
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

	if (graph_find_login(options, options ? ERROR : NOTICE, &proof) ==
		GRAPH_LOGIN_DEVICE_CODE)
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
	const char *name = graph_option_value(options, "resource");
	const GraphResourceInfo *resource = name ? graph_find_resource(name) : NULL;
	const char *type = graph_option_value(options, "evidence_type");

	if (type == NULL)
		return;
	if (resource == NULL || !resource->has_derived)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"evidence_type\" requires option \"resource\" to be \"evidence\"")));

	/* the service adds types, so one that is not known here is no error */
	if (!graph_is_evidence_type(type))
		ereport(NOTICE,
				(errmsg("evidence type \"%s\" is not among those that graph_fdw %s knows",
						type, GRAPH_FDW_VERSION),
				 errhint("%s", graph_evidence_type_hint(type))));
}

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
		const GraphOptionRow *row = graph_find_option(def->defname, catalog);

		if (row == NULL)
			graph_report_unknown_option(def->defname, catalog);
		check_option(row, defGetString(def));
	}

	if (catalog == UserMappingRelationId)
		check_mapping(options);
	else if (catalog == ForeignTableRelationId)
		check_table(options);
	else if (catalog == ForeignServerRelationId)
		check_server(options);

	error_context_stack = outer;
	PG_RETURN_VOID();
}
