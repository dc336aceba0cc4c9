/*-------------------------------------------------------------------------
 *
 * write_int.h
 *		What the files of src/write share, and nobody else sees.
 *
 * Calls go one way: writer.c, which keeps the queue, calls the others;
 * attempt.c, which sends a write and judges what comes of it, calls account.c;
 * settle.c, which waits for what an error left under way, calls account.c, too.
 *
 * IDENTIFICATION
 *		src/write/write_int.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_WRITE_INT_H
#define GRAPH_WRITE_INT_H

#include "lib/ilist.h"

#include "write/graph_write.h"

/*
 * So many changed records are named in a message; of those of which nobody
 * knows all, which are as many as can be under way at once.
 */
#define GRAPH_NAMED_DONE	10
#define GRAPH_NAMED_UNKNOWN 32

/* Records, as messages count and name them. */
typedef struct GraphNamed
{
	uint64		count;
	int			nids;			/* the first ones */
	char	   *ids[GRAPH_NAMED_UNKNOWN];
} GraphNamed;

/*
 * What is known of a writer's writes.  It outlives the writer when a
 * (sub)transaction aborts, since somebody has to tell.
 */
typedef struct GraphAccount
{
	dlist_node	node;			/* in the list of settle.c */
	MemoryContext context;		/* holds it, the writes and their transfers */
	SubTransactionId subid;		/* that began it */
	const char *server_name;
	const char *record;			/* what messages call a record: "alert", */
	const char *records;		/* and several */
	bool		adds;			/* they add comments; else they change records */
	TimestampTz statement;		/* when the client's statement began */
	bool		told;			/* an error has said it */
	bool		closed;			/* the writer has done its work */
	GraphNamed	done;
	GraphNamed	unknown;		/* sent, and nobody knows what became of them */
	dlist_head	open;			/* GraphPosted, in the order of their coming:
								 * those without an answer, */
	dlist_head	answered;		/* and those with one */
} GraphAccount;

/* A write, with all that is known of it.  Written by attempt.c. */
typedef struct GraphPosted
{
	GraphWrite	write;			/* as the caller sees it */
	GraphAccount *account;
	dlist_node	node;			/* in one of its lists */
	MemoryContext context;		/* its own: a child of the account's */
	MemoryContext attempt;		/* a child of that */
	const char *read_path;		/* the record's, while that is read; or NULL */
	GraphTransfer *transfer;	/* NULL: to be sent */
	GraphTime	not_before;		/* ... and when */
	GraphTurn  *turn;			/* among the client's requests */
	uint64		bearer_number;
	int			failed;			/* attempts */
	bool		token_renewed;
	bool		stale;			/* a kept connection was found to be dead */
	bool		in_doubt;		/* an attempt failed that may have been taken */
	bool		taken;			/* by the header of its answer */
	bool		refuted;		/* which was found to be wrong */
	char		request_id[GRAPH_ID_SIZE];
} GraphPosted;

struct GraphWriter
{
	GraphSession *session;
	MemoryContext scratch;		/* for one call */
	GraphAccount *account;		/* NULL before the first write */
	int			nopen;			/* writes without an answer */
	uint64		nadded;			/* writes that were asked for */
	GraphTime	pause;			/* the service asked to wait until then */
	GraphTime	starved_since;	/* the system has no descriptor; or 0 */
	GraphStats *stats;
	List	   *first_ids;		/* client-request-ids of the first writes, */
	List	   *last_ids;		/* and of the last ones */
	GraphWriteCounters counters;
};

/* in account.c */
extern GraphAccount *graph_account_create(const GraphSession *session,
										  bool adds);
extern void graph_account_done(GraphAccount *account, const char *id);
extern void graph_account_withdraw(GraphAccount *account, const char *id);
extern void graph_account_unknown(GraphAccount *account, const char *id);
extern void graph_account_merge(GraphAccount *account,
								const GraphAccount *other);
extern char *graph_account_sentences(const GraphAccount *account);

/* in attempt.c */
extern bool graph_attempt_start(GraphWriter *writer, GraphPosted *posted);
extern bool graph_attempt_judge(GraphWriter *writer, GraphPosted *posted);
extern void graph_attempt_end(GraphWriter *writer, GraphPosted *posted);
extern bool graph_status_is_success(const GraphHttpHeader *header);
extern bool graph_posted_may_be_done(const GraphPosted *posted);
extern char *graph_posted_title(const GraphPosted *posted);

/* in settle.c */
extern void graph_settle_watch(GraphAccount *account);
extern void graph_settle_close(GraphAccount *account);
extern char *graph_settle(bool hurry);
extern void graph_settle_warn_of_block(const char *server_name);
extern void graph_settle_add_detail(void *arg);

#endif							/* GRAPH_WRITE_INT_H */
