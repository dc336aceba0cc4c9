/*-------------------------------------------------------------------------
 *
 * account.c
 *		What was changed, and of what is it not known?
 *
 * A change is not undone, so an error has to say what was done before it.  An
 * account counts the changes of one writer, keeps the ids of the first ones,
 * and makes sentences of them.
 *
 * It is in a memory context of its own, below that of the top transaction: the
 * executor's memory is gone when a transaction's end is told to others, and
 * then the account is still wanted.  Writes and their transfers belong to that
 * context, too.
 *
 * What this file refuses to know: requests, statuses, when it is told.
 *
 * IDENTIFICATION
 *		src/write/account.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "write/write_int.h"

/* An id in a message: the service's are about 40 bytes long. */
#define LONGEST_ID	100

/*
 * graph_account_create
 *		An account of nothing yet.
 */
GraphAccount *
graph_account_create(const GraphSession *session, bool adds)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext,
												  "graph_fdw writes",
												  ALLOCSET_DEFAULT_SIZES);
	GraphAccount *account = MemoryContextAllocZero(context,
												   sizeof(GraphAccount));

	account->context = context;
	account->subid = GetCurrentSubTransactionId();
	account->statement = GetCurrentStatementStartTimestamp();
	account->server_name = MemoryContextStrdup(context,
											   session->peer.server_name);
	account->record = graph_resource_info(session->options.resource)->record;
	account->records =
		graph_records_name(graph_resource_info(session->options.resource));
	account->adds = adds;
	dlist_init(&account->open);
	dlist_init(&account->answered);
	return account;
}

/*
 * shown_id
 *		An id as a message has it.
 */
static char *
shown_id(const char *id)
{
	int			len = strlen(id);
	int			shown = pg_mbcliplen(id, len, LONGEST_ID);

	return shown == len ? pstrdup(id) : psprintf("%.*s...", shown, id);
}

/*
 * add
 *		Count a record, and keep its id if it is one of the first.
 */
static void
add(GraphAccount *account, GraphNamed *named, const char *id)
{
	named->count++;
	if (named->nids < (named == &account->done ? GRAPH_NAMED_DONE :
					   GRAPH_NAMED_UNKNOWN))
	{
		MemoryContext old = MemoryContextSwitchTo(account->context);

		named->ids[named->nids] = shown_id(id);
		named->nids++;
		MemoryContextSwitchTo(old);
	}
}

/*
 * graph_account_done
 *		The service has taken a write of this record.
 */
void
graph_account_done(GraphAccount *account, const char *id)
{
	add(account, &account->done, id);
}

/*
 * graph_account_unknown
 *		Nobody knows whether it has.
 */
void
graph_account_unknown(GraphAccount *account, const char *id)
{
	add(account, &account->unknown, id);
}

/*
 * graph_account_withdraw
 *		It had, as it seemed, and has not done what it was asked: the last that
 *		was counted of this record.
 */
void
graph_account_withdraw(GraphAccount *account, const char *id)
{
	GraphNamed *done = &account->done;
	char	   *shown = shown_id(id);

	Assert(done->count > 0);
	done->count--;
	for (int i = done->nids - 1; i >= 0; i--)
	{
		if (strcmp(done->ids[i], shown) != 0)
			continue;
		for (int j = i + 1; j < done->nids; j++)
			done->ids[j - 1] = done->ids[j];
		done->nids--;
		return;
	}
}

/*
 * graph_account_merge
 *		Add what was done by another account.
 */
void
graph_account_merge(GraphAccount *account, const GraphAccount *other)
{
	uint64		count = account->done.count + other->done.count;

	for (int i = 0; i < other->done.nids; i++)
		add(account, &account->done, other->done.ids[i]);
	account->done.count = count;
}

/*
 * append_ids
 *		The ids, quoted, and how many there are besides.
 */
static void
append_ids(StringInfo text, const GraphNamed *named)
{
	for (int i = 0; i < named->nids; i++)
		appendStringInfo(text, "%s\"%s\"", i > 0 ? ", " : "", named->ids[i]);
	if (named->count > (uint64) named->nids)
		appendStringInfo(text, " and " UINT64_FORMAT " more",
						 named->count - named->nids);
}

/*
 * tell_done
 *		The sentence about what was done.
 */
static void
tell_done(StringInfo text, const GraphAccount *account)
{
	const GraphNamed *done = &account->done;
	bool		many = done->count != 1;

	if (account->adds)
		appendStringInfo(text, many ?
						 UINT64_FORMAT " comments were added before the error, to %s " :
						 UINT64_FORMAT " comment was added before the error, to %s ",
						 done->count, many ? account->records : account->record);
	else
		appendStringInfo(text, many ?
						 UINT64_FORMAT " %s were changed before the error: " :
						 UINT64_FORMAT " %s was changed before the error: ",
						 done->count, many ? account->records : account->record);
	append_ids(text, done);
	appendStringInfoChar(text, '.');
}

/*
 * tell_unknown
 *		The sentence about what nobody knows.
 */
static void
tell_unknown(StringInfo text, const GraphAccount *account)
{
	const GraphNamed *unknown = &account->unknown;
	bool		more = account->done.count > 0;
	bool		many = unknown->count != 1;

	if (account->adds && !many)
		appendStringInfo(text, "%s comment may have been added to %s ",
						 more ? "One more" : "The", account->record);
	else if (account->adds)
		appendStringInfo(text, UINT64_FORMAT " %scomments may have been added to %s ",
						 unknown->count, more ? "more " : "", account->records);
	else if (more)
		appendStringInfo(text, "Of " UINT64_FORMAT " more it is not known: ",
						 unknown->count);
	else
		appendStringInfo(text, "Of " UINT64_FORMAT " %s it is not known: ",
						 unknown->count, many ? account->records : account->record);
	append_ids(text, unknown);
	appendStringInfoChar(text, '.');
}

/*
 * graph_account_sentences
 *		What an error has to say of it; NULL if there is nothing.
 */
char *
graph_account_sentences(const GraphAccount *account)
{
	StringInfoData text;

	if (account->done.count == 0 && account->unknown.count == 0)
		return NULL;
	initStringInfo(&text);
	if (account->done.count > 0)
		tell_done(&text, account);
	if (account->unknown.count > 0)
	{
		if (text.len > 0)
			appendStringInfoString(&text, "  ");
		tell_unknown(&text, account);
	}
	return text.data;
}
