/*-------------------------------------------------------------------------
 *
 * other_case.c
 *		Has ANALYZE seen a member of an enum in another case than the metadata
 *		has it?
 *
 * Then a condition that compares the column with a member is a superset: the
 * service may take both for equal, and SQL does not.  What was seen by scans of
 * this session is asked when a scan starts (src/scan/spelling.c).
 *
 * What this file refuses to know: conditions, counts, what is made of it.
 *
 * IDENTIFICATION
 *		src/plan/other_case.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_statistic.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "plan/graph_plan.h"

/*
 * holds_other_case
 *		Is there a word of another case among those of one kind that the
 *		statistics of a column hold?
 */
static bool
holds_other_case(HeapTuple statistics, int kind, const char *enum_name)
{
	AttStatsSlot slot;
	bool		result = false;

	if (!get_attstatsslot(&slot, statistics, kind, InvalidOid,
						  ATTSTATSSLOT_VALUES))
		return false;
	for (int i = 0; i < slot.nvalues && graph_is_text(slot.valuetype); i++)
	{
		char	   *word = TextDatumGetCString(slot.values[i]);

		result = result || graph_is_other_case(enum_name, word, strlen(word));
	}
	free_attstatsslot(&slot);
	return result;
}

/*
 * graph_has_other_case
 *		Do the statistics of a column that reads an enum hold a member in another
 *		case?
 */
bool
graph_has_other_case(RelOptInfo *baserel, const Var *var,
					 const GraphQueryProperty *property)
{
	const GraphRelInfo *info = baserel->fdw_private;
	HeapTuple	statistics = SearchSysCache3(STATRELATTINH,
											 ObjectIdGetDatum(info->relid),
											 Int16GetDatum(var->varattno),
											 BoolGetDatum(false));
	bool		result;

	if (!HeapTupleIsValid(statistics))
		return false;
	result = holds_other_case(statistics, STATISTIC_KIND_MCV,
							  property->enum_name) ||
		holds_other_case(statistics, STATISTIC_KIND_HISTOGRAM,
						 property->enum_name);
	ReleaseSysCache(statistics);
	return result;
}
