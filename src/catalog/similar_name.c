/*-------------------------------------------------------------------------
 *
 * similar_name.c
 *		Which name was meant by one that does not exist?
 *
 * For hints.  Alike is what psql and the parser call it: at most a few edits,
 * and fewer than half of the name; case makes no difference.
 *
 * What this file refuses to know: what the names are of.
 *
 * IDENTIFICATION
 *		src/catalog/similar_name.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/formatting.h"
#include "utils/varlena.h"

#include "catalog/graph_catalog.h"

/* varstr_levenshtein_less_equal() takes no longer strings. */
#define LONGEST_NAME	255

/*
 * graph_similar_init
 *		Begin to look for what was meant by a name.
 */
void
graph_similar_init(GraphSimilarName *similar, const char *name)
{
	similar->name = asc_tolower(name, strlen(name));
	similar->distance = Min(4, (int) strlen(name) / 2 + 1);
	similar->closest = NULL;
}

/*
 * graph_similar_try
 *		Might this one be meant, more than those before it?
 */
void
graph_similar_try(GraphSimilarName *similar, const char *candidate)
{
	int			length = strlen(similar->name);
	int			candidate_length = strlen(candidate);
	char	   *folded;
	int			distance;

	if (length > LONGEST_NAME || candidate_length > LONGEST_NAME)
		return;
	folded = asc_tolower(candidate, candidate_length);
	distance = varstr_levenshtein_less_equal(similar->name, length, folded,
											 candidate_length, 1, 1, 1,
											 similar->distance, true);
	pfree(folded);
	if (distance < similar->distance)
	{
		similar->distance = distance;
		similar->closest = candidate;
	}
}
