/*-------------------------------------------------------------------------
 *
 * login_option.c
 *		Which login do the options of a user mapping make?
 *
 * Exactly one, and a whole one: what belongs to two, or lacks a part, is an
 * error of whoever wrote the mapping.  Of the values only that of a switch is
 * looked at.
 *
 * What this file refuses to know: how a login is done (src/auth).
 *
 * Sources: RFC 6749 (OAuth 2.0).
 *
 * IDENTIFICATION
 *		src/catalog/login_option.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "catalog/option_int.h"

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
 * has_option
 *		Is an option in the list, and not switched off?
 */
static bool
has_option(List *options, const char *name)
{
	const char *value = graph_option_value(options, name);
	bool		enabled = true;

	/* the only Boolean among them */
	if (value && strcmp(name, "managed_identity") == 0)
		(void) parse_bool(value, &enabled);
	return value && enabled;
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
 * graph_find_login
 *		The login that the options of a user mapping make.
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
GraphLogin
graph_find_login(List *options, int elevel, GraphLogin *proof)
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
					 errdetail("A user mapping has exactly one login."),
					 errhint("Give it the options of one, and drop those of the other.")));
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
