/*-------------------------------------------------------------------------
 *
 * permission.c
 *		Which permissions does the token in use have?
 *
 * Entra writes them into a token for an application as "roles", and into one
 * that a person has granted as "scp" (Microsoft identity platform, "Access
 * token claims reference").  That form is not promised to whom a token is not
 * for, so a token may not say, and nothing but graph_fdw_check() goes by it.
 *
 * What this file refuses to know: what a permission permits.
 *
 * IDENTIFICATION
 *		src/auth/permission.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "auth/graph_auth.h"

/*
 * graph_token_permissions
 *		The names of the permissions of the session's token, a list of char *;
 *		false if the token does not say.
 *
 * The claims are as secret as the token is, and overwritten.
 */
bool
graph_token_permissions(const GraphSession *session, List **permissions)
{
	const char *token = session->peer.bearer;
	const char *claims = token ? strchr(token, '.') : NULL;
	const char *end = claims ? strchr(claims + 1, '.') : NULL;
	size_t		len;
	char	   *json;
	bool		result;

	*permissions = NIL;
	if (end == NULL)
		return false;
	json = graph_base64url_decode(claims + 1, end - claims - 1, &len);
	if (json == NULL)
		return false;
	result = graph_decode_permissions(json, len, permissions);
	explicit_bzero(json, len);
	pfree(json);
	return result;
}
