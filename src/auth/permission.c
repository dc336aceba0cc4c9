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
 */
bool
graph_token_permissions(const GraphSession *session, List **permissions)
{
	size_t		len;
	char	   *json = graph_token_claims(session->peer.bearer, &len);
	bool		result;

	*permissions = NIL;
	if (json == NULL)
		return false;
	result = graph_decode_permissions(json, len, permissions);
	explicit_bzero(json, len);
	pfree(json);
	return result;
}
