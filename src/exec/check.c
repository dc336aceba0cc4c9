/*-------------------------------------------------------------------------
 *
 * check.c
 *		Does a server work, and if not, what is to be done?
 *
 *		SELECT * FROM graph_fdw_check('graph');
 *
 * walks the way that every query walks, a row for each step, up to the first
 * step that fails: the options make sense, the login gives a token, the service
 * takes it, and the first page is what it should be.  At last it is told what
 * may be read and written besides, which fails nobody.  A step that fails is a
 * row and not an error: it runs in a subtransaction, and its error becomes the
 * row's detail and hint.  That is safe, since what a step has of libcurl's is
 * released with its memory.  A cancel stays a cancel.  Nothing is tried again:
 * who checks wants to know it now.
 *
 * Nothing here is secret: details are composed of what messages may say.  A role
 * that may not use the server, but has a user mapping and SELECT on one of its
 * foreign tables, is told no more than its queries tell: nothing of the mapping,
 * nor of what is in lists that it may not read.
 *
 * IDENTIFICATION
 *		src/exec/check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "exec/graph_exec.h"

/* What the steps hand on. */
typedef struct Check
{
	ForeignServer *server;
	bool		may_use;		/* the current role, the server */
	Bitmapset  *selectable;		/* if not: of these resources it reads tables */
	const GraphResourceInfo *resource;	/* of the first page */
	GraphSession *session;
	GraphExchange page;			/* the first */
	int			rows;			/* on it */
	const char *hint;			/* what to do after a good step, or NULL */
} Check;

/* A step, which fails with an error or says what it found. */
typedef char *(*StepFunction) (Check *check);

typedef struct Step
{
	const char *name;
	StepFunction run;
} Step;

static char *check_options(Check *check);
static char *check_login(Check *check);
static char *check_permission(Check *check);
static char *check_first_page(Check *check);
static char *check_access(Check *check);

static const Step steps[] = {
	{"options", check_options},
	{"login", check_login},
	{"permission", check_permission},
	{"first page", check_first_page},
	{"access", check_access},
};

PG_FUNCTION_INFO_V1(graph_fdw_check);

/*
 * find_selectable
 *		By which resource may a role find out whether the server works that may
 *		not use it?  An error if by none.
 */
static void
find_selectable(Check *check)
{
	Oid			serverid = check->server->serverid;
	int			first;

	check->selectable = graph_selectable_resources(serverid, GetUserId());
	first = bms_next_member(check->selectable, -1);
	if (first < 0)
		graph_session_refuse(check->server,
							 "A role that has a user mapping needs SELECT on one of the server's foreign tables, and no more.");
	check->resource = graph_resource_info(first);
}

/*
 * may_read
 *		May the role be told of the records of an entity set?
 */
static bool
may_read(const Check *check, const char *entity_set)
{
	int			number = -1;

	while ((number = bms_next_member(check->selectable, number)) >= 0)
	{
		if (strcmp(graph_resource_info(number)->entity_set, entity_set) == 0)
			return true;
	}
	return check->may_use;
}

/*
 * describe_login
 *		How the user mapping logs in, and where.
 */
static const char *
describe_login(const Check *check)
{
	const GraphOptions *options = &check->session->options;
	bool		asks = options->credentials.login != GRAPH_LOGIN_ACCESS_TOKEN &&
		options->credentials.login != GRAPH_LOGIN_MANAGED_IDENTITY;

	if (asks)
		(void) graph_login_url(check->session, "token");
	if (!check->may_use)
		return "login by a user mapping that this role may not see";
	return psprintf("login by %s%s%s%s%s",
					graph_login_name(options->credentials.login),
					asks ? " at " : "", asks ? options->service.authority : "",
					options->service.tenant_id ? " in tenant " : "",
					options->service.tenant_id ? options->service.tenant_id : "");
}

/*
 * check_options
 *		The options of the server and of the current role's user mapping.
 */
static char *
check_options(Check *check)
{
	GraphOptions *options;

	check->may_use = graph_session_may_use(check->server->serverid);
	check->resource = graph_resource_info(GRAPH_ALERTS);
	if (!check->may_use)
		find_selectable(check);
	check->session = graph_session_open_server(check->server);
	options = &check->session->options;
	options->limits.max_retries = 0;

	return psprintf("cloud \"%s\", service %s/%s, %s; %s",
					options->service.cloud, options->service.endpoint, options->service.api_version,
					describe_login(check),
					graph_shares_budgets() ?
					"sessions share what they know of the service's limit" :
					"each session finds the service's limit for itself (shared_preload_libraries does not name graph_fdw)");
}

/*
 * check_login
 *		A new token, where that takes nobody: one that is kept would not tell
 *		whether the login still works, nor have the newest permissions.
 */
static char *
check_login(Check *check)
{
	GraphSession *session = check->session;

	if (session->options.credentials.login == GRAPH_LOGIN_ACCESS_TOKEN)
	{
		graph_token_get(session);
		return pstrdup("the access token of the user mapping is used as it is");
	}
	(void) graph_token_forget(session);
	graph_token_get(session);
	return psprintf("the token is used until %s",
					timestamptz_to_str(graph_token_good_until(session)));
}

/*
 * ask_for_page
 *		Ask for a page of a resource's records: the status of the answer, 0 if
 *		there is none.
 */
static int
ask_for_page(GraphSession *session, const GraphResourceInfo *resource,
			 GraphExchange *page)
{
	const GraphOptions *options = &session->options;
	char	   *path = psprintf("%s?$top=1", resource->entity_set);

	page->session = session;
	page->asked = GRAPH_ASKED_SERVICE;
	page->name = psprintf("GET %s", path);
	page->where = options->service.endpoint;
	page->limit = options->limits.max_record_size;
	graph_session_request(session,
						  psprintf("%s/%s%s", options->service.endpoint,
								   options->service.api_version, path),
						  &page->http);
	page->http.bearer = session->peer.bearer;
	page->http.headers = lappend(page->http.headers,
								 "Prefer: include-unknown-enum-members");
	(void) graph_exchange_send(page);
	return page->transport == GRAPH_TRANSPORT_OK ? page->header->status : 0;
}

/*
 * check_permission
 *		Ask for a page of alerts, or of what the role may read: the status says
 *		whether we may read them.
 */
static char *
check_permission(Check *check)
{
	const GraphResourceInfo *resource = check->resource;
	int			status = ask_for_page(check->session, resource, &check->page);

	if (status != 200 && status != 206)
		graph_exchange_report(&check->page, NULL);
	return psprintf("the service lets the application read %s (status %d)",
					graph_records_name(resource), status);
}

/*
 * count_rows
 *		Read a page to its end; NULL, or what is wrong with it, as a sentence.
 */
static const char *
count_rows(Check *check, GraphSlice body)
{
	GraphProjection *projection = graph_projection_create();
	GraphListReader *reader;
	GraphSlice *slots;
	GraphSlice	record;
	GraphJsonError error;
	size_t		used;

	(void) graph_projection_add(projection, "id");
	slots = palloc0(graph_projection_size(projection) * sizeof(GraphSlice));
	reader = graph_list_reader_create(projection);
	for (;;)
	{
		switch (graph_list_read(reader, body.data, body.len, &used, &record,
								slots, &error))
		{
			case GRAPH_LIST_RECORD:
				check->rows++;
				break;
			case GRAPH_LIST_MORE:
				return "The answer ends in the middle of the document.";
			case GRAPH_LIST_MALFORMED:
				return psprintf("The JSON text is malformed: %s.",
								error.problem);
			case GRAPH_LIST_END:
				if (graph_list_has_error(reader))
					return "The answer has status 200 but holds an \"error\".";
				if (!graph_list_has_value(reader))
					return "The answer has no array \"value\".";
				return NULL;
		}
		body.data += used;
		body.len -= used;
	}
}

/*
 * check_first_page
 *		Read the answer, which has to be a whole page of records.
 */
static char *
check_first_page(Check *check)
{
	GraphExchange *page = &check->page;
	const GraphHttpHeader *header = page->header;
	const GraphPeer *peer = &check->session->peer;

	if (header->status == 206 || header->warning[0])
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
				 errmsg("server \"%s\" gave an incomplete answer",
						peer->server_name),
				 errdetail("Status %d.  %s", header->status,
						   graph_sanitize_remote_text(peer, header->warning)),
				 errcontext("Microsoft Graph request: %s",
							graph_exchange_title(page))));
	page->problem = count_rows(check, page->body);
	if (page->problem)
		graph_exchange_report(page, NULL);
	if (!check->may_use)
		return pstrdup("the answer is whole");
	return pstrdup(check->rows == 0 ? "there are no alerts" :
				   "an alert was read");
}

/*
 * has_permission
 *		Is one of these names, with blanks between them, in a list?
 */
static bool
has_permission(const List *permissions, const char *names)
{
	ListCell   *cell;

	foreach(cell, permissions)
	{
		const char *name = lfirst(cell);
		const char *found = strstr(names, name);

		if (found && strchr(" ", found[strlen(name)]) &&
			(found == names || found[-1] == ' '))
			return true;
	}
	return false;
}

/*
 * access_by_token
 *		What the permissions of a token let it do with a resource's records.
 */
static const char *
access_by_token(const GraphResourceInfo *resource, const List *permissions)
{
	if (has_permission(permissions, resource->write_permission))
		return "read and write";
	if (has_permission(permissions, resource->read_permission) ||
		has_permission(permissions, resource->also_read_by))
		return "read";
	return NULL;
}

/*
 * access_by_request
 *		The same by what the service answers, which does not show whether they
 *		may be written; an error where it does not show anything.
 */
static const char *
access_by_request(Check *check, const GraphResourceInfo *resource)
{
	GraphExchange *page = palloc0(sizeof(GraphExchange));
	int			status;

	if (strcmp(resource->entity_set, check->resource->entity_set) == 0)
		return "read";			/* the step before has */
	status = ask_for_page(check->session, resource, page);
	if (status == 200 || status == 206)
		return "read";
	if (status != 403 && status != 404)
		graph_exchange_report(page, NULL);
	return NULL;
}

/*
 * check_access
 *		What the login may do with the records of each entity set.
 */
static char *
check_access(Check *check)
{
	List	   *permissions;
	bool		told = graph_token_permissions(check->session, &permissions);
	StringInfoData detail;

	initStringInfo(&detail);
	for (int i = 0; i < GRAPH_NRESOURCES; i++)
	{
		const GraphResourceInfo *resource = graph_resource_info(i);
		const char *access;

		if (resource->rows_member)
			continue;			/* another has that entity set, too */
		if (!may_read(check, resource->entity_set))
			continue;
		access = told ? access_by_token(resource, permissions) :
			access_by_request(check, resource);
		appendStringInfo(&detail, "%s%s: %s", detail.len > 0 ? ", " : "",
						 graph_records_name(resource), access ? access : "nothing");
		if (told && access && strcmp(access, "read") == 0 &&
			check->session->options.updatable && check->hint == NULL)
			check->hint = psprintf("To change %s, as the server's option \"updatable\" allows, grant the application permission %s to the app registration and give admin consent.",
								   graph_records_name(resource), resource->write_permission);
		if (access == NULL)
			check->hint = psprintf("To read %s, grant the application permission %s to the app registration and give admin consent.",
								   graph_records_name(resource), resource->read_permission);
	}
	appendStringInfoString(&detail, told ? " (as the token says)" :
						   " (the token does not say whether they may be written)");
	return detail.data;
}

/*
 * add_row
 *		Give a row of the result.
 */
static void
add_row(ReturnSetInfo *result, const char *step, bool ok, const char *detail,
		const char *hint)
{
	Datum		values[4];
	bool		nulls[4] = {false};

	values[0] = CStringGetTextDatum(step);
	values[1] = BoolGetDatum(ok);
	values[2] = CStringGetTextDatum(detail);
	nulls[3] = hint == NULL;
	values[3] = hint ? CStringGetTextDatum(hint) : (Datum) 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * add_failure
 *		The row of a step that failed with an error.
 */
static void
add_failure(ReturnSetInfo *result, const char *step, const ErrorData *error)
{
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfoString(&detail, error->message);
	if (error->detail)
		appendStringInfo(&detail, ".  %s", error->detail);
	/* the innermost line is ours, and has the request's id */
	if (error->context && strncmp(error->context, "Microsoft Graph", 15) == 0)
		appendStringInfo(&detail, "%s  %.*s.", error->detail ? "" : ".",
						 (int) strcspn(error->context, "\n"), error->context);
	/* who selects no detail is told where to look */
	add_row(result, step, false, detail.data,
			error->hint ? error->hint : "The column \"detail\" has the cause.");
}

/*
 * run_step
 *		Run a step and give its row; false if it failed.
 */
static bool
run_step(const Step *step, Check *check, ReturnSetInfo *result)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool ok = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		char	   *detail = step->run(check);

		add_row(result, step->name, true, detail, check->hint);
		ReleaseCurrentSubTransaction();
		ok = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
			ERRCODE_OPERATOR_INTERVENTION)
			ReThrowError(error);
		add_failure(result, step->name, error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return ok;
}

/*
 * graph_fdw_check
 *		SQL function: walk the steps for a server and the current role.
 *
 * A server that does not exist is an error.
 */
Datum
graph_fdw_check(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Check		check = {0};
	MemoryContext context;
	MemoryContext old;
	bool		ok = true;

	InitMaterializedSRF(fcinfo, 0);
	check.server = GetForeignServerByName(text_to_cstring(PG_GETARG_TEXT_PP(0)),
										  false);

	/* the transfers and the session's secrets go with it */
	context = AllocSetContextCreate(CurrentMemoryContext, "graph_fdw check",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	for (size_t i = 0; i < lengthof(steps); i++)
	{
		if (ok)
			ok = run_step(&steps[i], &check, result);
		else
			add_row(result, steps[i].name, false, "not tried", NULL);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return (Datum) 0;
}
