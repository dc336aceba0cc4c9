/*-------------------------------------------------------------------------
 *
 * task.c
 *		What is there to read, and how is it asked?
 *
 * A task is one alert, the alerts that belong to something else, a count, a list
 * or a part of it, or the question whether the service knows any of these.
 *
 * What this file refuses to know: answers.
 *
 * IDENTIFICATION
 *		src/scan/task.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "scan/scan_int.h"

/*
 * So many alerts more than are missing are asked for: some of a page may be known
 * already.
 */
#define SPARE_ALERTS	20

/*
 * graph_queue_push
 *		Leave a task to whichever chain is free first.
 */
void
graph_queue_push(GraphShared *shared, const GraphTask *task)
{
	MemoryContext old = MemoryContextSwitchTo(shared->context);
	GraphTask  *copy = palloc(sizeof(GraphTask));

	*copy = *task;
	shared->queue = lappend(shared->queue, copy);
	MemoryContextSwitchTo(old);
}

/*
 * graph_page_wanted
 *		How many new alerts the next page of a list should hold: a few more than
 *		are missing.
 */
int
graph_page_wanted(const GraphShared *shared)
{
	int			page_size = shared->request->page_size;

	if (graph_asks_enough(shared) || shared->missing >= page_size)
		return page_size;
	return (int) Min(page_size, shared->missing + SPARE_ALERTS);
}

/*
 * graph_nulls_come_first
 *		Are the alerts without a time asked for before the others?
 *
 * The service does not say where it sorts those (OData: as the least).  That
 * every alert has a time of creation is taken for granted, as the list is
 * newest first by that; should one come without, it is an error.
 */
bool
graph_nulls_come_first(const GraphShared *shared)
{
	const GraphRequest *request = shared->request;

	return request->order_needed && request->nulls_first &&
		!request->no_nulls &&
		strcmp(shared->time_property, shared->resource->default_order) != 0;
}

/*
 * graph_first_time
 *		The earliest time that Edm.DateTimeOffset can hold.
 */
TimestampTz
graph_first_time(void)
{
	return (TimestampTz) (date2j(1, 1, 1) - POSTGRES_EPOCH_JDATE) *
		USECS_PER_DAY;
}

/*
 * graph_task_probe
 *		What is asked first, as the answer to a task is to be doubted.
 */
GraphTaskKind
graph_task_probe(const GraphTask *task)
{
	if (task->kind == GRAPH_TASK_KEY)
		return GRAPH_TASK_PROBE;
	Assert(task->kind == GRAPH_TASK_OWNED || task->kind == GRAPH_TASK_OWNER);
	return task->kind == GRAPH_TASK_OWNED ? GRAPH_TASK_OWNER : GRAPH_TASK_OWNERS;
}

/*
 * graph_task_parts
 *		The parts of a request that a task is asked with, as far as the service
 *		takes them.
 *
 * A list is counted with its first page, so that an end that comes too early is
 * known for what it is; but not with a first page that is small, since the count
 * is what may take the service long.
 */
int
graph_task_parts(const GraphShared *shared, const GraphTask *task)
{
	const GraphRequest *request = shared->request;
	int			select = request->select ? GRAPH_PART_SELECT : 0;
	int			parts = select | (request->has_any ? GRAPH_PART_ANY : 0);

	if (!graph_task_is_list(task))
		return task->kind == GRAPH_TASK_COUNT &&
			request->mode == GRAPH_SCAN_COUNT ? select : 0;
	if (shared->session->options.pushdown.count &&
		(task->page_size >= request->page_size || request->wanted > 0))
		parts |= GRAPH_PART_COUNT;
	if (graph_task_is_part(task) || request->order_property)
		parts |= GRAPH_PART_ORDER;
	return parts & ~graph_parts_refused(&shared->parts, parts);
}

/*
 * graph_task_path
 *		The path that a task is asked with, with these parts; NULL for an id that
 *		no alert can have.
 *
 * A part of the list is asked for in order, so that it can be restarted.  If a
 * count is the question, some alerts come with it, so that it is seen whether
 * the service minds the filter.
 */
char *
graph_task_path(const GraphShared *shared, const GraphTask *task, int parts)
{
	const GraphWindow timed = {
		.lower = graph_first_time() + 1,
		.upper = DT_NOEND,
	};
	const GraphNavigation *navigation = shared->resource->navigation;
	GraphRequest request = *shared->request;
	int			page_size = task->page_size;

	/* for all tasks alike, as their counts are compared */
	if (request.has_any && graph_parts_refused(&shared->parts, GRAPH_PART_ANY))
		request.filter = request.filter_without_any;
	switch (task->kind)
	{
		case GRAPH_TASK_KEY:
			return graph_key_path(request.entity_set, task->key);
		case GRAPH_TASK_PROBE:
		case GRAPH_TASK_OWNERS:
			if (task->kind == GRAPH_TASK_OWNERS)
				request.entity_set = navigation->owner_set;
			request.mode = GRAPH_SCAN_LIST;
			request.filter = request.order_property = NULL;
			page_size = 1;
			break;
		case GRAPH_TASK_OWNED:
			return graph_owned_path(navigation, task->key);
		case GRAPH_TASK_OWNER:
			return graph_key_path(navigation->owner_set, task->key);
		case GRAPH_TASK_COUNT:
			page_size = request.mode == GRAPH_SCAN_COUNT ? request.first_page : 1;
			request.mode = GRAPH_SCAN_COUNT;
			request.order_property = NULL;
			if (task->number > 0)
				request.filter = request.parts[task->number - 1];
			if (task->timed)
				request.filter = graph_window_filter(request.filter,
													 shared->time_property,
													 &timed);
			break;
		case GRAPH_TASK_LIST:
			break;
		default:
			request.filter = graph_window_filter(request.filter,
												 shared->time_property,
												 &task->window);
			request.order_property = parts & GRAPH_PART_ORDER ?
				(char *) shared->time_property : NULL;
			request.descending = shared->descending;
	}
	return graph_request_path(&request, page_size,
							  parts & GRAPH_PART_SELECT,
							  task->kind == GRAPH_TASK_COUNT ||
							  (parts & GRAPH_PART_COUNT), true);
}
