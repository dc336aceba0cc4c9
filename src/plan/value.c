/*-------------------------------------------------------------------------
 *
 * value.c
 *		Which values does a plan hold?
 *
 * While clauses are classified, what they compare with gets a number, and the
 * same value has one number however often it is compared with: a generated
 * query may name ten thousand.  Constants are known at once, and what depends
 * on them is decided while planning; the others are known when a scan starts.
 *
 * What this file refuses to know: what the values are for.
 *
 * IDENTIFICATION
 *		src/plan/value.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "nodes/nodes.h"
#include "utils/datum.h"
#include "utils/hsearch.h"

#include "plan/graph_plan.h"

/* Fewer values than this are looked through one by one. */
#define FEW_VALUES	16

/* An entry of the table of constants. */
typedef struct ConstEntry
{
	const Const *value;			/* key */
	int			number;
} ConstEntry;

/*
 * hash_const, match_const
 *		A hash table over constants that are pointed to, by equal().
 */
static uint32
hash_const(const void *key, Size size)
{
	const Const *value = *(const Const *const *) key;
	Size		len;

	if (value->constisnull)
		return hash_uint32(value->consttype);
	if (value->constbyval)
		return hash_bytes((const unsigned char *) &value->constvalue,
						  sizeof(Datum));
	len = datumGetSize(value->constvalue, false, value->constlen);
	return hash_bytes((const unsigned char *) DatumGetPointer(value->constvalue),
					  (int) len);
}

static int
match_const(const void *first, const void *second, Size size)
{
	return equal(*(const Const *const *) first,
				 *(const Const *const *) second) ? 0 : 1;
}

/*
 * number_table
 *		The table of constants, made when there are more than a few values.
 */
static HTAB *
number_table(GraphPushdown *pushdown)
{
	HASHCTL		ctl = {0};

	if (pushdown->numbers)
		return pushdown->numbers;
	ctl.keysize = sizeof(Const *);
	ctl.entrysize = sizeof(ConstEntry);
	ctl.hash = hash_const;
	ctl.match = match_const;
	ctl.hcxt = CurrentMemoryContext;
	pushdown->numbers = hash_create("graph_fdw values", 256, &ctl,
									HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	return pushdown->numbers;
}

/*
 * graph_value_of
 *		What is known of an expression while planning.
 */
GraphValue
graph_value_of(const Expr *expr)
{
	const Const *constant = (const Const *) expr;
	GraphValue	value = {0};

	value.type = exprType((const Node *) expr);
	if (IsA(expr, Const))
	{
		value.known = value.constant = true;
		value.value = constant->constvalue;
		value.isnull = constant->constisnull;
	}
	return value;
}

/*
 * append_value
 *		Give the next number to an expression.
 */
static int
append_value(GraphPushdown *pushdown, Expr *expr)
{
	int			number = list_length(pushdown->values);

	if (pushdown->known == NULL)
		pushdown->known = palloc(FEW_VALUES * sizeof(GraphValue));
	else if (number >= FEW_VALUES && (number & (number - 1)) == 0)
		pushdown->known = repalloc(pushdown->known,
								   2 * number * sizeof(GraphValue));
	pushdown->known[number] = graph_value_of(expr);
	pushdown->values = lappend(pushdown->values, expr);
	return number;
}

/*
 * graph_value_number
 *		The number of an expression among the values of a scan.
 *
 * Of more than a few, only constants are recognized again: the others are
 * evaluated as often as they are written, as the executor does it.
 */
int
graph_value_number(GraphPushdown *pushdown, Expr *expr)
{
	int			few = Min(list_length(pushdown->values), FEW_VALUES);
	ConstEntry *entry;
	bool		found;

	for (int i = 0; i < few; i++)
	{
		if (equal(list_nth(pushdown->values, i), expr))
			return i;
	}
	if (few < FEW_VALUES || !IsA(expr, Const))
		return append_value(pushdown, expr);

	entry = hash_search(number_table(pushdown), &expr, HASH_ENTER, &found);

	/* values that were taken back leave their entries */
	if (!found || entry->number >= list_length(pushdown->values) ||
		!equal(list_nth(pushdown->values, entry->number), expr))
		entry->number = append_value(pushdown, expr);
	return entry->number;
}

/*
 * graph_values_forget
 *		Take back all values but the first, which nothing refers to.
 */
void
graph_values_forget(GraphPushdown *pushdown, int count)
{
	pushdown->values = list_truncate(pushdown->values, count);
}
