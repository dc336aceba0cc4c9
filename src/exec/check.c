/*-------------------------------------------------------------------------
 *
 * check.c
 *		Does a server work, and if not, what is to be done?
 *
 *		SELECT * FROM graph_fdw_check('graph');
 *
 * walks the way that every query walks, a row for each step, up to the first
 * step that fails: the options make sense, the login gives a token, the
 * service takes it, and the first page is what it should be.  A step that
 * fails is a row and not an error: it runs in a subtransaction, and its error
 * becomes the row's detail and hint.  That is safe, since what a step has of
 * libcurl's is released with its memory.  A cancel stays a cancel.
 *
 * Nothing here is secret: details are composed of what messages may say.
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
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "exec/graph_exec.h"

/* What the steps hand on. */
typedef struct Check
{
	char	   *server_name;
	GraphSession *session;
	GraphExchange page;			/* the first */
	int			rows;			/* on it */
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

static const Step steps[] = {
	{"options", check_options},
	{"login", check_login},
	{"permission", check_permission},
	{"first page", check_first_page},
};

/* The request of the last two steps. */
#define PAGE_PATH	"/security/alerts_v2?$top=1"

PG_FUNCTION_INFO_V1(graph_fdw_check);

/*
 * check_options
 *		The options of the server and of the current role's user mapping.
 */
static char *
check_options(Check *check)
{
	const GraphOptions *options;

	check->session = graph_session_open_server(check->server_name);
	options = &check->session->options;
	if (options->credentials.login != GRAPH_LOGIN_ACCESS_TOKEN &&
		options->credentials.login != GRAPH_LOGIN_MANAGED_IDENTITY)
		(void) graph_login_url(check->session, "token");

	return psprintf("cloud \"%s\", service %s/%s, login by %s%s%s",
					options->service.cloud, options->service.endpoint, options->service.api_version,
					graph_login_name(options->credentials.login),
					options->service.tenant_id ? " in tenant " : "",
					options->service.tenant_id ? options->service.tenant_id : "");
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
 * check_permission
 *		Ask for a page of alerts: the status says whether we may read them.
 */
static char *
check_permission(Check *check)
{
	GraphExchange *page = &check->page;
	const GraphOptions *options = &check->session->options;

	page->session = check->session;
	page->asked = GRAPH_ASKED_SERVICE;
	page->name = "GET " PAGE_PATH;
	page->where = options->service.endpoint;
	page->limit = options->limits.max_record_size;
	graph_session_request(check->session,
						  psprintf("%s/%s" PAGE_PATH, options->service.endpoint,
								   options->service.api_version),
						  &page->http);
	page->http.bearer = check->session->peer.bearer;
	page->http.headers = lappend(page->http.headers,
								 "Prefer: include-unknown-enum-members");
	if (!graph_exchange_send(page) &&
		(page->transport != GRAPH_TRANSPORT_OK || page->header->status != 206))
		graph_exchange_report(page, NULL);
	return psprintf("the service lets the application read alerts (status %d)",
					page->header->status);
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
 *		Read the answer, which has to be a whole page of alerts.
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
	return pstrdup(check->rows == 0 ? "there are no alerts" :
				   "an alert was read");
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
	add_row(result, step, false, detail.data, error->hint);
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
		add_row(result, step->name, true, step->run(check), NULL);
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
	check.server_name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	(void) GetForeignServerByName(check.server_name, false);

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
