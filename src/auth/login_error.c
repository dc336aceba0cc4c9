/*-------------------------------------------------------------------------
 *
 * login_error.c
 *		What does a refused login mean: try again, or which error?
 *
 * One table maps the token endpoint's AADSTS codes to whether the same request
 * may succeed later, and to what can be done about it.  The rest is as for any
 * request (error.c).
 *
 * What this file refuses to know: how a login asks, and what happens next.
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

/* What to do about logins by these, as the table and the codes say it. */
static const char hint_secret[] =
"Check the option \"client_secret\" of the user mapping: it is the secret's value and not its id, without a blank or a line end, and it may have expired.";
static const char hint_certificate[] =
"Check that the certificate is among those of the app registration, and the options \"client_id\" and \"tenant_id\".";
static const char hint_federated[] =
"Check the federated credentials of the app registration: issuer, subject and audience are those of the token in the file of option \"federated_token_file\".";

/* What to do when the token endpoint refuses a login: by GraphLogin. */
static const char *const refused_hints[] = {
	[GRAPH_LOGIN_SECRET] = hint_secret,
	[GRAPH_LOGIN_CERTIFICATE] = hint_certificate,
	[GRAPH_LOGIN_FEDERATED] = hint_federated,
	[GRAPH_LOGIN_MANAGED_IDENTITY] =
	"Check that this machine has a managed identity, and the option \"client_id\" of the user mapping if it is a user-assigned one.",
	[GRAPH_LOGIN_REFRESH_TOKEN] =
	"The refresh token has expired or was revoked: get another by logging in again, and set it as option \"refresh_token\" of the user mapping.",
	[GRAPH_LOGIN_DEVICE_CODE] =
	"Log in again with graph_fdw_login().",
};

/* What to do about an answer that is none of a token endpoint. */
static const char hint_foreign[] =
"This is no answer of a token endpoint: check the server's options \"authority\" and \"cloud\".";

/* What AADSTS codes mean; the others say no more than their message. */
typedef struct TokenRule
{
	int			aadsts[7];		/* filled up with zeros */
	bool		retriable;
	const char *hint;			/* or NULL */
} TokenRule;

static const TokenRule token_rules[] = {
	{{7000215, 70002}, false, hint_secret},
	{{7000222}, false,
	"The client secret has expired: make a new one in the app registration, and set its value as option \"client_secret\" of the user mapping."},
	{{700016, 700011, 70001}, false,
	"Check the options \"client_id\" and \"tenant_id\": the application is not known in that tenant."},
	{{90002, 900023}, false,
	"Check the option \"tenant_id\", and that the server's option \"cloud\" names the cloud of the tenant."},
	{{90038, 900382, 900432}, false,
	"The tenant belongs to another cloud: set the server's option \"cloud\"."},
	{{70011, 500011, 500014, 50001}, false,
	"The tenant does not know Microsoft Graph by this address: check the server's option \"cloud\"."},
	{{700027, 700030, 50012}, false, hint_certificate},
	{{700023}, false,
	"Set the option \"tenant_id\" to the tenant's GUID in place of a domain name, and check that the server's option \"cloud\" names its cloud."},
	{{700024}, false,
	"Check the clock of this machine."},
	{{700021, 70021, 700211, 700212, 700213}, false, hint_federated},
	{{7000218}, false,
	"The app registration does not allow logins without a secret: enable public client flows in it, or set \"client_secret\" beside \"refresh_token\", or another login, on the user mapping."},
	{{700025}, false,
	"The app registration is one of a public client: remove what proves the application from the user mapping, and leave \"refresh_token\"."},
	{{65001}, false,
	"Grant the permission SecurityAlert.Read.All to the app registration and give admin consent."},
	{{50076, 50079, 50158}, false,
	"The tenant wants more of this login than it has, such as a second factor: log in again as a person, or use a login of the application."},
	{{53003}, false,
	"A conditional access policy of the tenant blocks this login."},
	{{90006, 90012, 90024, 90033, 90055, 90090, 70012}, true, NULL},
};

/*
 * refused_hint
 *		What to do about a login that was refused with an OAuth 2.0 error code,
 *		or with none.
 *
 * Beside a refresh token there may be a proof of the application: which of
 * them is not accepted is in the code (RFC 6749 section 5.2).
 */
static const char *
refused_hint(const GraphOptions *options, const char *code)
{
	if (code == NULL)
		return options->credentials.login == GRAPH_LOGIN_MANAGED_IDENTITY ?
			refused_hints[GRAPH_LOGIN_MANAGED_IDENTITY] : hint_foreign;
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
		for (size_t j = 0; j < lengthof(token_rules[i].aadsts); j++)
		{
			if (aadsts != 0 && token_rules[i].aadsts[j] == aadsts)
				return &token_rules[i];
		}
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
	int			sqlstate = rule->sqlstate;
	const char *hint = rule->hint;
	char	   *detail;

	if (rule->refuses_login)
	{
		sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		hint = token ? token->hint :
			refused_hint(&session->options, remote->code);
		if (why == NULL)
			why = describe_clock(header);
	}
	else if (header->status == 404)
		hint = refused_hint(&session->options, NULL);
	detail = graph_describe_remote(&session->peer, header, remote, why);

	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("could not log in to server \"%s\": the token endpoint answered with status %d (%s)",
					session->peer.server_name, header->status, rule->meaning),
			 detail ? errdetail("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0,
			 errcontext("Microsoft Graph request: %s", request)));
}
