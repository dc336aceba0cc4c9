/*-------------------------------------------------------------------------
 *
 * login_error.c
 *		What does a refused login mean: try again, or which error?
 *
 * One table maps the token endpoint's AADSTS codes to whether the same request
 * may succeed later, and to what a person can do.
 *
 * Sources: Entra "reference error codes" (AADSTS); RFC 6749 section 5.2.
 *
 * IDENTIFICATION
 *		src/auth/login_error.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "auth/graph_auth.h"

/* Clocks that differ by fewer seconds are not worth a word. */
#define CLOCK_TOLERANCE	120

/* What a person can do about an AADSTS code; others get no hint. */
typedef struct TokenRule
{
	int			aadsts;
	bool		retriable;
	const char *hint;
} TokenRule;

static const char hint_secret[] =
"Check the option \"client_secret\" of the user mapping: it is the secret's value and not its id, and it may have expired.";
static const char hint_client[] =
"Check the options \"client_id\" and \"tenant_id\": the application is not known in that tenant.";
static const char hint_tenant[] =
"Check the option \"tenant_id\", and that the server's option \"cloud\" names the cloud of the tenant.";
static const char hint_cloud[] =
"The tenant belongs to another cloud: set the server's option \"cloud\".";
static const char hint_resource[] =
"The tenant does not know Microsoft Graph by this address: check the server's option \"cloud\".";
static const char hint_certificate[] =
"Check that the certificate is among those of the app registration, and the options \"client_id\" and \"tenant_id\".";
static const char hint_audience[] =
"Set the option \"tenant_id\" to the tenant's GUID in place of a domain name, and check that the server's option \"cloud\" names its cloud.";
static const char hint_clock[] =
"Check the clock of this machine.";
static const char hint_federated[] =
"Check the federated credentials of the app registration: issuer, subject and audience are those of the token in the file of option \"federated_token_file\".";
static const char hint_refresh[] =
"The refresh token has expired or was revoked: get another by logging in again, and set it as option \"refresh_token\" of the user mapping.";
static const char hint_machine[] =
"Check that this machine has a managed identity, and the option \"client_id\" of the user mapping if it is a user-assigned one.";
static const char hint_person[] =
"Log in again with graph_fdw_login().";
static const char hint_public[] =
"The app registration does not allow logins without a secret: enable public client flows in it, or set \"client_secret\" beside \"refresh_token\", or another login, on the user mapping.";
static const char hint_not_public[] =
"The app registration is one of a public client: remove what proves the application from the user mapping, and leave \"refresh_token\".";
static const char hint_consent[] =
"Grant the permission SecurityAlert.Read.All to the app registration and give admin consent.";
static const char hint_interaction[] =
"The tenant wants more of this login than it has, such as a second factor: log in again as a person, or use a login of the application.";

/* What to do when the token endpoint refuses a login: by GraphLogin. */
static const char *const refused_hints[] = {
	[GRAPH_LOGIN_SECRET] = hint_secret,
	[GRAPH_LOGIN_CERTIFICATE] = hint_certificate,
	[GRAPH_LOGIN_FEDERATED] = hint_federated,
	[GRAPH_LOGIN_MANAGED_IDENTITY] = hint_machine,
	[GRAPH_LOGIN_REFRESH_TOKEN] = hint_refresh,
	[GRAPH_LOGIN_DEVICE_CODE] = hint_person,
};

static const TokenRule token_rules[] = {
	{7000215, false, hint_secret},
	{7000222, false, hint_secret},
	{70002, false, hint_secret},
	{700016, false, hint_client},
	{700011, false, hint_client},
	{70001, false, hint_client},
	{90002, false, hint_tenant},
	{900023, false, hint_tenant},
	{90038, false, hint_cloud},
	{900382, false, hint_cloud},
	{900432, false, hint_cloud},
	{70011, false, hint_resource},
	{500011, false, hint_resource},
	{500014, false, hint_resource},
	{50001, false, hint_resource},
	{700027, false, hint_certificate},
	{700030, false, hint_certificate},
	{50012, false, hint_certificate},
	{700023, false, hint_audience},
	{700024, false, hint_clock},
	{700021, false, hint_federated},
	{70021, false, hint_federated},
	{700211, false, hint_federated},
	{700212, false, hint_federated},
	{700213, false, hint_federated},
	{7000218, false, hint_public},
	{700025, false, hint_not_public},
	{65001, false, hint_consent},
	{50076, false, hint_interaction},
	{50079, false, hint_interaction},
	{50158, false, hint_interaction},
	{53003, false, "A conditional access policy of the tenant blocks this login."},
	{90006, true, NULL},
	{90012, true, NULL},
	{90024, true, NULL},
	{90033, true, NULL},
	{90055, true, NULL},
	{90090, true, NULL},
	{70012, true, NULL},
};


/*
 * refused_hint
 *		What to do about a login that was refused with an OAuth 2.0 error code.
 *
 * Beside a refresh token there may be a proof of the application: which of
 * them is not accepted is in the code (RFC 6749 section 5.2).
 */
static const char *
refused_hint(const GraphOptions *options, const char *code)
{
	if (options->credentials.proof != GRAPH_LOGIN_NONE &&
		strcmp(code, "invalid_client") == 0)
		return refused_hints[options->credentials.proof];
	return refused_hints[options->credentials.login];
}

/*
 * token_rule
 *		What is known of an AADSTS code, or NULL.
 */
static const TokenRule *
token_rule(int aadsts)
{
	for (size_t i = 0; i < lengthof(token_rules); i++)
	{
		if (token_rules[i].aadsts == aadsts)
			return &token_rules[i];
	}
	return NULL;
}

/*
 * describe_clock
 *		A sentence about our clock, if it is not the remote side's; else NULL.
 *
 * An assertion is good for minutes, so a clock that is wrong looks like a
 * wrong key.
 */
static const char *
describe_clock(const GraphHttpHeader *header)
{
	int64		ahead = (int64) time(NULL) - header->time;

	if (header->time == 0 ||
		(ahead < CLOCK_TOLERANCE && ahead > -CLOCK_TOLERANCE))
		return NULL;
	return psprintf("The clock of this machine is " INT64_FORMAT " minutes %s that of the service.",
					(ahead < 0 ? -ahead : ahead) / 60,
					ahead < 0 ? "behind" : "ahead of");
}

/*
 * graph_token_error_is_retriable
 *		Does the token endpoint say that the same request may succeed later?
 */
bool
graph_token_error_is_retriable(const GraphRemoteError *remote)
{
	const TokenRule *rule = token_rule(remote->aadsts);

	if (rule)
		return rule->retriable;
	return remote->code &&
		(strcmp(remote->code, "temporarily_unavailable") == 0 ||
		 strcmp(remote->code, "server_error") == 0);
}

/*
 * graph_report_token_status
 *		Raise the error for an answer of the token endpoint that is no token.
 */
void
graph_report_token_status(const GraphSession *session, const char *request,
						  const GraphHttpHeader *header,
						  const GraphRemoteError *remote, const char *why)
{
	const GraphStatusRule *rule = graph_status_rule(header->status);
	const TokenRule *token = token_rule(remote->aadsts);
	char	   *detail = graph_describe_remote(&session->peer, header, remote);
	int			sqlstate = rule->sqlstate;
	const char *hint = rule->hint;

	/* 400 is how OAuth 2.0 says that a login is refused (RFC 6749 5.2) */
	if (header->status == 400 || header->status == 401 ||
		header->status == 403)
	{
		sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		hint = token ? token->hint :
			remote->code ? refused_hint(&session->options, remote->code) : NULL;
		if (why == NULL)
			why = describe_clock(header);
	}

	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("could not log in to server \"%s\": the token endpoint answered with status %d (%s)",
					session->peer.server_name, header->status, rule->meaning),
			 detail[0] || why ?
			 errdetail("%s%s%s", detail, detail[0] && why ? "  " : "",
					   why ? why : "") : 0,
			 hint ? errhint("%s", hint) : 0,
			 errcontext("Microsoft Graph request: %s", request)));
}
