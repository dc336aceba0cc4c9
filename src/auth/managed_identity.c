/*-------------------------------------------------------------------------
 *
 * managed_identity.c
 *		How is a token of the machine's own identity asked for?
 *
 * A machine in Azure has a service beside it that hands out tokens for the
 * machine, without any secret: at a fixed address for virtual machines, and
 * where the environment of the server process says for App Services and for
 * machines elsewhere that Azure Arc manages.  The latter first want to see
 * that we can read a file that is root's and its group's.
 *
 * These addresses are asked by this login alone, directly and never through a
 * proxy, and must be the machine's own or on its local link; easy.c refuses
 * them to every other request.
 *
 * What this file refuses to know: sending, trying again, what becomes of the
 * token.
 *
 * Sources: Entra, "How to use managed identities ... to acquire an access
 * token" (virtual machines); "How to use managed identities for App Service";
 * Azure Arc, "Authenticate against Azure resources".
 *
 * IDENTIFICATION
 *		src/auth/managed_identity.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "auth/graph_auth.h"

/* The metadata service of a virtual machine, and what may stand for it. */
#define METADATA_ROOT		"http://169.254.169.254"
#define METADATA_VARIABLE	"AZURE_POD_IDENTITY_AUTHORITY_HOST"
#define METADATA_PATH		"/metadata/identity/oauth2/token"

/*
 * Where Arc's agent puts the files of its challenges, and what may stand for
 * it in tests; and how they end.  A service that names any other file does not
 * get its content.
 */
#define ARC_DIRECTORY		"/var/opt/azcmagent/tokens"
#define ARC_VARIABLE		"GRAPH_FDW_ARC_TOKENS"
#define ARC_SUFFIX			".key"

/* The service is next to us, or is not there. */
#define LONGEST_CONNECT_MS	2000

/* One kind of machine. */
typedef struct Host
{
	const char *name;
	const char *url;
	const char *api_version;
	const char *secret;			/* sent as X-IDENTITY-HEADER, or NULL */
	bool		user_assigned;	/* it can have identities with a client_id */
} Host;

/*
 * environment
 *		A variable of the server's environment; NULL if it is empty or not set.
 */
static const char *
environment(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

/*
 * find_host
 *		Which kind of machine is this?
 */
static Host
find_host(void)
{
	const char *endpoint = environment("IDENTITY_ENDPOINT");
	const char *header = environment("IDENTITY_HEADER");
	const char *root = environment(METADATA_VARIABLE);
	char	   *url;

	if (endpoint && header)
		return (Host) {"App Service", endpoint, "2019-08-01", header, true};
	if (endpoint && environment("IMDS_ENDPOINT"))
		return (Host) {"Azure Arc", endpoint, "2020-06-01", NULL, false};

	url = pstrdup(root ? root : METADATA_ROOT);
	while (url[0] && url[strlen(url) - 1] == '/')
		url[strlen(url) - 1] = '\0';
	return (Host) {"Azure virtual machine", psprintf("%s" METADATA_PATH, url),
				   "2018-02-01", NULL, true};
}

/*
 * check_host
 *		An environment that leads elsewhere, or that a header cannot hold, is
 *		an error.
 */
static void
check_host(const Host *host)
{
	if (!graph_url_is_local(host->url))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("refused to ask for the machine's identity at an address that is not local"),
				 errdetail("The environment of the server names \"%s\" (%s).",
						   graph_sanitize_remote_text(NULL, host->url), host->name)));
	for (const char *p = host->secret; p && *p; p++)
	{
		if (*p <= ' ' || *p >= 0x7f)
			ereport(ERROR,
					(errcode(ERRCODE_CONFIG_FILE_ERROR),
					 errmsg("environment variable \"%s\" is not valid",
							"IDENTITY_HEADER")));
	}
}

/*
 * graph_managed_identity_request
 *		The request for a token of the machine's identity, or of the one that
 *		client_id names.
 */
void
graph_managed_identity_request(GraphSession *session, GraphHttpRequest *request)
{
	const GraphOptions *options = &session->options;
	const char *scope = options->service.scope;
	Host		host = find_host();
	char	   *resource;
	StringInfoData url;

	check_host(&host);
	if (options->credentials.client_id && !host.user_assigned)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("option \"client_id\" cannot be used with the managed identity of this machine"),
				 errdetail("An Azure Arc server has one identity only.")));

	/* this older protocol has a resource in place of a scope */
	resource = pnstrdup(scope, strlen(scope) - strlen("/.default"));
	initStringInfo(&url);
	appendStringInfo(&url, "%s%sapi-version=%s&resource=%s", host.url,
					 strchr(host.url, '?') ? "&" : "?", host.api_version,
					 graph_url_escape(resource));
	if (options->credentials.client_id)
		appendStringInfo(&url, "&client_id=%s",
						 graph_url_escape(options->credentials.client_id));

	graph_session_request(session, url.data, request);
	request->secret_answer = true;
	request->ca_file = NULL;
	request->proxy = NULL;
	request->link_local = true;
	request->connect_timeout = Min(options->limits.connect_timeout,
								   LONGEST_CONNECT_MS);
	if (host.secret)
	{
		graph_session_redact(session, host.secret);
		request->headers = lappend(request->headers,
								   graph_secret_join("X-IDENTITY-HEADER: ",
													 host.secret));
	}
	else
		request->headers = lappend(request->headers, pstrdup("Metadata: true"));
}

/*
 * challenge_file
 *		The file that Arc's challenge names: "Basic realm=PATH".  NULL if it
 *		names none that Arc could mean.
 */
static char *
challenge_file(const char *challenge)
{
	const char *directory = environment(ARC_VARIABLE);
	const char *realm = strstr(challenge, "realm=");
	char	   *path;
	size_t		len;

	if (directory == NULL)
		directory = ARC_DIRECTORY;
	if (pg_strncasecmp(challenge, "Basic ", 6) != 0 || realm == NULL)
		return NULL;
	path = pstrdup(realm + strlen("realm="));
	if (path[0] == '"')
	{
		path++;
		path[strcspn(path, "\"")] = '\0';
	}

	len = strlen(directory);
	if (strncmp(path, directory, len) != 0 || path[len] != '/' ||
		strchr(path + len + 1, '/') != NULL ||
		strlen(path + len + 1) <= strlen(ARC_SUFFIX) ||
		strcmp(path + strlen(path) - strlen(ARC_SUFFIX), ARC_SUFFIX) != 0)
		return NULL;
	return path;
}

/*
 * graph_managed_identity_answer_challenge
 *		The service answered 401: if it wants to see a file, and has not yet,
 *		read that into the request; false if that is not what it wants.
 */
bool
graph_managed_identity_answer_challenge(GraphSession *session,
										const GraphHttpHeader *header,
										GraphHttpRequest *request)
{
	char	   *path;
	char	   *secret;

	if (environment("IDENTITY_HEADER") || !environment("IDENTITY_ENDPOINT") ||
		list_length(request->headers) > 2 || header->challenge[0] == '\0')
		return false;
	path = challenge_file(header->challenge);
	if (path == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("refused the challenge of the managed identity's service"),
				 errdetail("It does not name a file that Azure Arc uses: \"%s\".",
						   graph_sanitize_remote_text(&session->peer, header->challenge))));

	secret = graph_read_file("Azure Arc challenge file", path, false);
	secret[strcspn(secret, "\r\n")] = '\0';
	if (secret[0])
		graph_session_redact(session, secret);
	request->headers = lappend(request->headers,
							   graph_secret_join("Authorization: Basic ",
												 secret));
	graph_wipe_text(secret);
	return true;
}
