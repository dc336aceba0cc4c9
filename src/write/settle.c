/*-------------------------------------------------------------------------
 *
 * settle.c
 *		What becomes of the writes that an error leaves under way, and who says
 *		what was done?
 *
 * An error that is raised in a writer is completed there: those under way are
 * waited for, and its DETAIL says what was done.  One that comes from elsewhere
 * in the statement knows nothing of a writer; then the abort of the
 * (sub)transaction finds the accounts of the statement, waits a little, and says
 * the same in a WARNING.  It is never said twice.  An error that ends the
 * session gets the DETAIL without a wait.
 *
 * An account that is closed stays until the client's statement has ended: there
 * may be another writer of a partition, an AFTER trigger, or the rest of the
 * function.
 *
 * A change cannot be undone, so the first one in a transaction block gets a
 * WARNING that ROLLBACK will not do it.
 *
 * While a transaction aborts nothing may throw: what happens here is caught,
 * and interrupts are held.
 *
 * What this file refuses to know: how a write is sent, and the error itself.
 *
 * IDENTIFICATION
 *		src/write/settle.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "write/write_int.h"

/* So long is waited where the user waits for the end, or nobody may wait. */
#define SHORT_PATIENCE_MS	1000

/* How often a wait looks whether it is to end soon. */
#define LOOK_MS	50

static dlist_head accounts = DLIST_STATIC_INIT(accounts);
static bool warned = false;		/* in this transaction, of the block */

/*
 * forget
 *		All that an account is about was told, or need not be: drop it.
 */
static void
forget(GraphAccount *account)
{
	dlist_delete(&account->node);
	MemoryContextDelete(account->context);
}

/*
 * is_past
 *		Is it of a statement of the client that has ended?
 */
static bool
is_past(const GraphAccount *account)
{
	return account->closed &&
		account->statement != GetCurrentStatementStartTimestamp();
}

/*
 * forget_past
 *		Drop what earlier statements did: they have succeeded.
 */
static void
forget_past(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &accounts)
	{
		GraphAccount *account = dlist_container(GraphAccount, node, iter.cur);

		if (is_past(account))
			forget(account);
	}
}

/*
 * find_closed
 *		The account that another one, which is closed, can be added to; or NULL.
 */
static GraphAccount *
find_closed(const GraphAccount *account)
{
	dlist_iter	iter;

	dlist_foreach(iter, &accounts)
	{
		GraphAccount *other = dlist_container(GraphAccount, node, iter.cur);

		if (other != account && other->closed && !other->told &&
			other->subid == account->subid && other->adds == account->adds &&
			strcmp(other->record, account->record) == 0 &&
			strcmp(other->server_name, account->server_name) == 0)
			return other;
	}
	return NULL;
}

/*
 * merge
 *		Add a closed account to another, if there is one: there may be very many
 *		in a function.
 */
static void
merge(GraphAccount *account)
{
	GraphAccount *other = find_closed(account);

	if (other == NULL)
		return;
	graph_account_merge(other, account);
	forget(account);
}

/*
 * graph_settle_close
 *		A writer has done its work.  The statement may yet fail: another writer of
 *		it, a trigger, or the function of which it is a part.
 */
void
graph_settle_close(GraphAccount *account)
{
	Assert(dlist_is_empty(&account->open) && dlist_is_empty(&account->answered));
	forget_past();
	account->closed = true;
	if (account->done.count == 0)
		forget(account);
	else
		merge(account);
}

/*-------------------------------------------------------------------------
 * Waiting for what is under way
 *-------------------------------------------------------------------------
 */

/*
 * collect
 *		The transfers of an account's open writes whose status is not known yet.
 */
static List *
collect(GraphAccount *account, List *transfers)
{
	dlist_iter	iter;

	dlist_foreach(iter, &account->open)
	{
		GraphPosted *posted = dlist_container(GraphPosted, node, iter.cur);

		if (posted->transfer && !posted->taken && posted->read_path == NULL &&
			!graph_http_done(posted->transfer) &&
			!graph_http_header(posted->transfer)->ended)
			transfers = lappend(transfers, posted->transfer);
	}
	return transfers;
}

/*
 * wait_a_little
 *		Wait until something has come for one of some transfers, or for a short
 *		while.
 */
static void
wait_a_little(const List *transfers)
{
	int			count = list_length(transfers);
	GraphTransfer **array = palloc(count * sizeof(GraphTransfer *));

	for (int i = 0; i < count; i++)
		array[i] = list_nth(transfers, i);
	graph_http_wait_any(array, count, graph_after(LOOK_MS));
	pfree(array);
}

/*
 * wait_for_open
 *		Wait until it is known of all writes that are under way what became of
 *		them, for so many milliseconds (-1: as long as that takes), or shortly
 *		once somebody wants the session's attention.
 *
 * A write is known once its answer's header is there, so that it does not
 * matter how long the answer is.
 */
static void
wait_for_open(SubTransactionId subid, int patience)
{
	GraphTime	soon = graph_after(SHORT_PATIENCE_MS);
	GraphTime	until = patience < 0 ? 0 : graph_after(patience);

	for (;;)
	{
		List	   *transfers = NIL;
		dlist_iter	iter;

		dlist_foreach(iter, &accounts)
		{
			GraphAccount *account =
				dlist_container(GraphAccount, node, iter.cur);

			if (account->subid == subid && !account->told)
				transfers = collect(account, transfers);
		}
		if (!QueryCancelPending && !ProcDiePending)
			soon = graph_after(SHORT_PATIENCE_MS);
		if (transfers == NIL || graph_now() >= soon ||
			(until != 0 && graph_now() >= until))
			return;
		wait_a_little(transfers);
		list_free(transfers);
	}
}

/*
 * conclude
 *		Count the open writes of an account: those that were taken and those of
 *		which nobody knows.
 */
static void
conclude(GraphAccount *account)
{
	dlist_iter	iter;

	dlist_foreach(iter, &account->open)
	{
		GraphPosted *posted = dlist_container(GraphPosted, node, iter.cur);

		if (posted->taken || posted->read_path)
			continue;			/* was counted */
		if (posted->transfer && !posted->refuted &&
			graph_status_is_success(graph_http_header(posted->transfer)))
			graph_account_done(account, posted->write.id);
		else if (graph_posted_may_be_done(posted))
			graph_account_unknown(account, posted->write.id);
	}
}

/*
 * tell
 *		What is to be said of the accounts that a (sub)transaction began; NULL if
 *		nothing.  Now it is told.
 */
static char *
tell(SubTransactionId subid)
{
	StringInfoData text;
	dlist_iter	iter;

	initStringInfo(&text);
	dlist_foreach(iter, &accounts)
	{
		GraphAccount *account = dlist_container(GraphAccount, node, iter.cur);
		char	   *sentences;

		if (account->subid != subid || account->told || is_past(account))
			continue;
		account->told = true;
		conclude(account);
		sentences = graph_account_sentences(account);
		if (sentences)
			appendStringInfo(&text, "%s%s", text.len > 0 ? "  " : "", sentences);
	}
	return text.len > 0 ? text.data : NULL;
}

/*
 * settle
 *		Wait for the writes that a (sub)transaction has under way, and say what
 *		was done; NULL if there is nothing to say.
 *
 * It raises nothing: a wait that fails is over.
 */
static char *
settle(SubTransactionId subid, int patience)
{
	MemoryContext context = CurrentMemoryContext;
	uint32		held = InterruptHoldoffCount;

	HOLD_INTERRUPTS();
	PG_TRY();
	{
		wait_for_open(subid, patience);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	InterruptHoldoffCount = held;	/* an error lets go of all */
	return tell(subid);
}

/*
 * graph_settle
 *		The same for the current subtransaction, in which an error was raised
 *		and caught.
 */
char *
graph_settle(bool hurry)
{
	return settle(GetCurrentSubTransactionId(), hurry ? SHORT_PATIENCE_MS : -1);
}

/*
 * graph_settle_add_detail
 *		Error context callback: where the session ends, nobody catches the error,
 *		and nothing is waited for.
 */
void
graph_settle_add_detail(void *arg)
{
	char	   *detail;

	if (geterrcode() != ERRCODE_ADMIN_SHUTDOWN)
		return;
	detail = tell(GetCurrentSubTransactionId());
	if (detail == NULL)
		return;
	errdetail("%s", detail);
	/* from 19 on the log is told something else: who has sent the signal */
	errdetail_log("%s", detail);
}

/*-------------------------------------------------------------------------
 * The end of a transaction
 *-------------------------------------------------------------------------
 */

/*
 * end_accounts
 *		A subtransaction's accounts, or (InvalidSubTransactionId) all, are over:
 *		say what nobody has said.
 */
static void
end_accounts(SubTransactionId subid)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &accounts)
	{
		GraphAccount *account = dlist_container(GraphAccount, node, iter.cur);
		const char *server_name = account->server_name;
		char	   *detail;

		if (subid != InvalidSubTransactionId && account->subid != subid)
			continue;
		detail = account->told ? NULL : settle(account->subid, SHORT_PATIENCE_MS);
		if (detail)
			ereport(WARNING,
					(errmsg("changes on server \"%s\" are not undone",
							server_name),
					 errdetail("%s", detail)));
		forget(account);
	}
}

/*
 * end_subtransaction
 *		SubXactCallback: what is open goes to the parent, or is over.
 */
static void
end_subtransaction(SubXactEvent event, SubTransactionId subid,
				   SubTransactionId parent, void *arg)
{
	dlist_mutable_iter iter;

	if (event == SUBXACT_EVENT_ABORT_SUB)
		end_accounts(subid);
	if (event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	dlist_foreach_modify(iter, &accounts)
	{
		GraphAccount *account = dlist_container(GraphAccount, node, iter.cur);

		if (account->subid != subid)
			continue;
		account->subid = parent;
		if (account->closed)
			merge(account);
	}
}

/*
 * forget_all
 *		Nothing failed.
 */
static void
forget_all(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &accounts)
		forget(dlist_container(GraphAccount, node, iter.cur));
}

/*
 * end_transaction
 *		XactCallback: whatever is still open is over.
 */
static void
end_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			end_accounts(InvalidSubTransactionId);
			warned = false;
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PREPARE:
			forget_all();
			warned = false;
			break;
		default:
			break;
	}
}

/*
 * graph_settle_watch
 *		From now on, an error while this account is open says what it holds.
 */
void
graph_settle_watch(GraphAccount *account)
{
	static bool registered = false;

	dlist_push_tail(&accounts, &account->node);
	if (registered)
		return;
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
	registered = true;
}

/*
 * graph_settle_warn_of_block
 *		Before the first change of a transaction that somebody may want to roll
 *		back, say that this will not do it.
 */
void
graph_settle_warn_of_block(const char *server_name)
{
	if (warned || !IsTransactionBlock())
		return;
	warned = true;
	ereport(WARNING,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("changes on server \"%s\" are not undone by ROLLBACK",
					server_name),
			 errdetail("The service makes each change at once.")));
}
