/*-------------------------------------------------------------------------
 *
 * shared_budget.c
 *		Where is the budget that all sessions share?
 *
 * A table of budgets in shared memory, one for each client of a service, which
 * is known by a hash.  With PostgreSQL 17 and later it is a named segment, which
 * is made when somebody wants it; before, the library has to be in
 * shared_preload_libraries.  Where there is no table, or no room in it, each
 * session has a budget of its own.
 *
 * One lock is for all; nobody waits, throws or asks for memory while he holds
 * it.  A session gives its places up when it ends.  After a crash the server
 * makes shared memory anew.
 *
 * What this file refuses to know: what a budget says.
 *
 * IDENTIFICATION
 *		src/base/shared_budget.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/throttle_int.h"

/* So many clients are known; the place of one that is idle is taken. */
#define MAX_CLIENTS	32
#define IDLE_AFTER	(INT64CONST(600) * 1000000)

typedef struct SharedClient
{
	bool		used;
	uint8		key[GRAPH_CLIENT_KEY_SIZE];
	GraphTime	looked_up;
	GraphBudget budget;
} SharedClient;

typedef struct SharedTable
{
	LWLock		lock;
	int			tranche;
	SharedClient clients[MAX_CLIENTS];
} SharedTable;

static SharedTable *table = NULL;
static bool exit_registered = false;

PG_FUNCTION_INFO_V1(graph_fdw_activity);

/*
 * init_table
 *		Make the table, before anybody else sees it.
 */
static void
init_table(GRAPH_SEGMENT_INIT_ARGS)
{
	SharedTable *made = memory;

	memset(made, 0, sizeof(SharedTable));
	made->tranche = graph_new_tranche("graph_fdw");
	LWLockInitialize(&made->lock, made->tranche);
}

#ifdef GRAPH_HAS_NAMED_SEGMENTS

void
graph_shared_init(void)
{
}

/*
 * find_table
 *		The table, in its segment.
 *
 * The name tells the layout: after an upgrade, sessions that have loaded the
 * library before go on with theirs.
 */
static SharedTable *
find_table(void)
{
	char		name[64];
	bool		found;

	if (!IsUnderPostmaster)
		return NULL;
	snprintf(name, sizeof(name), "graph_fdw %s %zu", GRAPH_FDW_VERSION,
			 sizeof(SharedTable));
	return graph_named_segment(name, sizeof(SharedTable), init_table, &found);
}

#else

static SharedTable *preloaded = NULL;
static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

/*
 * request_memory
 *		Hook: say how much is needed.
 */
static void
request_memory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(SharedTable)));
}

/*
 * start_memory
 *		Hook: make the table, or find it.
 */
static void
start_memory(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	preloaded = ShmemInitStruct("graph_fdw", sizeof(SharedTable), &found);
	if (!found)
		init_table(preloaded);
	LWLockRelease(AddinShmemInitLock);
}

/*
 * graph_shared_init
 *		The library is being loaded.
 */
void
graph_shared_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_memory;
}

/*
 * find_table
 *		The table, if the library was loaded early enough.
 */
static SharedTable *
find_table(void)
{
	return preloaded;
}

#endif

/*
 * give_up_places
 *		This backend ends: nothing of it waits any more.
 */
static void
give_up_places(int code, Datum arg)
{
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_CLIENTS; i++)
	{
		GraphBudget *budget = &table->clients[i].budget;

		if (!table->clients[i].used)
			continue;
		for (int place = 0; place < GRAPH_BUDGET_PLACES; place++)
		{
			if (budget->places[place].pid == MyProcPid)
				graph_budget_leave(budget, place);
		}
	}
	LWLockRelease(&table->lock);
}

/*
 * graph_shares_budgets
 *		Is there a table that sessions share?
 */
bool
graph_shares_budgets(void)
{
	if (table == NULL)
	{
		table = find_table();
		if (table)
			graph_name_tranche(table->tranche, "graph_fdw");
	}
	if (table && !exit_registered)
	{
		before_shmem_exit(give_up_places, (Datum) 0);
		exit_registered = true;
	}
	return table != NULL;
}

/*
 * has_places
 *		Does anybody wait, or wait for an answer?
 */
static bool
has_places(const GraphBudget *budget)
{
	for (int i = 0; i < GRAPH_BUDGET_PLACES; i++)
	{
		if (budget->places[i].pid != 0)
			return true;
	}
	return false;
}

/*
 * graph_shared_budget
 *		The budget of a client, locked; NULL, and nothing locked, if there is no
 *		room for it.
 */
GraphBudget *
graph_shared_budget(const uint8 * key)
{
	GraphTime	now = graph_now();
	SharedClient *room = NULL;

	if (!graph_shares_budgets())
		return NULL;
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_CLIENTS; i++)
	{
		SharedClient *client = &table->clients[i];

		if (client->used &&
			memcmp(client->key, key, GRAPH_CLIENT_KEY_SIZE) == 0)
		{
			client->looked_up = now;
			return &client->budget;
		}
		if (!client->used ||
			(now - client->looked_up > IDLE_AFTER && !has_places(&client->budget) &&
			 (room == NULL || room->used)))
			room = client;
	}
	if (room == NULL)
	{
		LWLockRelease(&table->lock);
		return NULL;
	}
	graph_budget_init(&room->budget, true);
	memcpy(room->key, key, GRAPH_CLIENT_KEY_SIZE);
	room->looked_up = now;
	room->used = true;
	return &room->budget;
}

/*
 * graph_shared_unlock
 *		The caller is done with it.
 */
void
graph_shared_unlock(void)
{
	LWLockRelease(&table->lock);
}

/*
 * add_row
 *		A row of a request, for somebody who may see what it is, or not.
 */
static void
add_row(ReturnSetInfo *result, const GraphPlace *place)
{
	bool		may_see = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		has_privs_of_role(GetUserId(), place->userid) ||
		place->pid == MyProcPid;
	GraphTime	since = place->sent ? place->sent : place->since;
	Datum		values[8];
	bool		nulls[8] = {false};

	values[0] = Int32GetDatum(place->pid);
	values[1] = ObjectIdGetDatum(place->databaseid);
	values[2] = ObjectIdGetDatum(place->userid);
	values[3] = CStringGetTextDatum(place->sent ? "asks" : "waits");
	values[4] = TimestampTzGetDatum(GetCurrentTimestamp() - (graph_now() - since));
	values[5] = CStringGetTextDatum(pnstrdup(place->what,
											 strcspn(place->what, " ")));
	values[6] = CStringGetTextDatum(place->what + strcspn(place->what, " ") +
									(strchr(place->what, ' ') != NULL));
	values[7] = Int64GetDatum((int64) place->page);
	for (int i = 3; i < 8; i++)
		nulls[i] = !may_see;
	nulls[7] |= place->page == 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * graph_fdw_activity
 *		SQL: what each session asks, or waits for.
 */
Datum
graph_fdw_activity(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	GraphPlace *places;
	int			count = 0;

	InitMaterializedSRF(fcinfo, 0);
	if (!graph_shares_budgets())
		return (Datum) 0;
	places = palloc(MAX_CLIENTS * GRAPH_BUDGET_PLACES * sizeof(GraphPlace));
	LWLockAcquire(&table->lock, LW_SHARED);
	for (int i = 0; i < MAX_CLIENTS * GRAPH_BUDGET_PLACES; i++)
	{
		const SharedClient *client = &table->clients[i / GRAPH_BUDGET_PLACES];
		const GraphPlace *place =
			&client->budget.places[i % GRAPH_BUDGET_PLACES];

		if (client->used && place->pid != 0)
			places[count++] = *place;
	}
	LWLockRelease(&table->lock);
	for (int i = 0; i < count; i++)
		add_row(result, &places[i]);
	return (Datum) 0;
}
