/*-------------------------------------------------------------------------
 *
 * graph_odata.h
 *		How is a request written?
 *
 * Conditions and values as a plan holds them, $filter, paths; and what a scan
 * asks for.
 *
 * What this layer refuses to know: the planner's nodes, how an answer is read.
 *
 * IDENTIFICATION
 *		src/odata/graph_odata.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_ODATA_H
#define GRAPH_ODATA_H

#include "datatype/timestamp.h"

#include "catalog/graph_catalog.h"

/*
 * A condition on alerts in the form in which a plan holds it: nested lists
 * whose first element says what the rest is.  "property" is a String, "value"
 * an Integer that indexes the values of the plan.  What is sent returns at
 * least the alerts for which the SQL condition is true.
 */
typedef enum GraphFilterKind
{
	GRAPH_FILTER_AND,			/* conditions ... */
	GRAPH_FILTER_OR,			/* conditions ... */
	GRAPH_FILTER_COMPARE,		/* property, GraphComparison, value */
	GRAPH_FILTER_DISTINCT,		/* the same with EQ or NE, where NULL is a
								 * value: IS [NOT] DISTINCT FROM */
	GRAPH_FILTER_ANY,			/* property, value (an array): = ANY */
	GRAPH_FILTER_ALL,			/* property, value (an array): <> ALL */
	GRAPH_FILTER_NULL,			/* property: IS NULL */
	GRAPH_FILTER_NOT_NULL,		/* property: IS NOT NULL */
	GRAPH_FILTER_ALWAYS,		/* every alert has it */
	GRAPH_FILTER_NEVER,			/* none can */
	GRAPH_FILTER_EVIDENCE,		/* member, evidence type, path in it, value: = */
	GRAPH_FILTER_EVIDENCE_ANY,	/* the same, value (an array): = ANY */
	GRAPH_FILTER_RANGE,			/* property, GraphComparison, type as which is
								 * compared, steps, value (perhaps an array,
								 * any of which): a function of a time */
} GraphFilterKind;

/*
 * What a function does on the way from a time of the service to what is
 * compared, the outermost first: a list of an Integer for the kind, one that
 * tells more, and one for the number of each value that it takes.
 */
typedef enum GraphStepKind
{
	GRAPH_STEP_NONE,
	/* times */
	GRAPH_STEP_LOCAL,			/* to local time in a zone, or the session's */
	GRAPH_STEP_UTC,				/* from local time in a zone, or the session's */
	GRAPH_STEP_TRUNCATE,		/* to a unit, or a day */
	GRAPH_STEP_TRUNCATE_ZONED,	/* to a unit, in a zone or the session's */
	GRAPH_STEP_BIN,				/* stride, origin */
	GRAPH_STEP_ADD_DAYS,		/* number, times what is told */
	GRAPH_STEP_ADD,				/* interval, times what is told */
	GRAPH_STEP_ADD_ZONED,		/* the same with days of the session's zone */
	GRAPH_STEP_ROUND_TIME,		/* to so many decimals of a second */
	GRAPH_STEP_BLUR,			/* to any time that is so many hours away */
	/* times to intervals */
	GRAPH_STEP_SINCE,			/* time since a value */
	GRAPH_STEP_UNTIL,			/* time until a value */
	/* times and intervals to numbers */
	GRAPH_STEP_DAYS,			/* an interval of whole days */
	GRAPH_STEP_EXTRACT,			/* field */
	GRAPH_STEP_EXTRACT_ZONED,	/* field, in the session's zone */
	GRAPH_STEP_EXTRACT_INTERVAL,	/* field */
	/* numbers to times */
	GRAPH_STEP_TO_TIMESTAMP,	/* so many seconds after the epoch of Unix */
	/* numbers */
	GRAPH_STEP_FLOAT,			/* to or from one of about 15 digits */
	GRAPH_STEP_FLOOR,
	GRAPH_STEP_CEIL,
	GRAPH_STEP_ROUND,			/* to so many decimals, or to a whole number */
	GRAPH_STEP_CUT,				/* the same, toward zero */
	GRAPH_STEP_PLUS,
	GRAPH_STEP_MINUS,
	GRAPH_STEP_TIMES,
	GRAPH_STEP_DIVIDED,			/* what is told: as whole numbers */
} GraphStepKind;

typedef enum GraphComparison
{
	GRAPH_EQ,
	GRAPH_NE,
	GRAPH_LT,
	GRAPH_LE,
	GRAPH_GT,
	GRAPH_GE,
} GraphComparison;

/* A value of a plan. */
typedef struct GraphValue
{
	bool		known;			/* perhaps not while a query is planned or
								 * explained */
	bool		constant;		/* known to the planner already */
	Oid			type;
	Datum		value;
	bool		isnull;
	char	   *label;			/* the expression, while it is explained and
								 * not known */
} GraphValue;

/*
 * What of a condition is sent, when only its constants are known:
 * graph_filter_reserve().
 */
typedef struct GraphShippable
{
	bool		is_sent;		/* else the service does not see it */
	bool		is_whole;		/* no value can change that all of it is sent */
	const char *left_out;		/* why something is not, or NULL */
} GraphShippable;

/* Why a condition is not sent, where more than one file can tell. */
#define GRAPH_TIME_ROUNDED	"times are rounded to microseconds here"

/* A $filter: graph_deparse_filter(). */
typedef struct GraphDeparsedFilter
{
	char	   *text;			/* NULL: there is none */
	char	   *without_any;	/* the same without any(), if that is in it */
	bool		has_any;
	bool		no_rows;		/* no alert can match: no request is needed */
	bool		is_whole;		/* nothing was left out */
	bool		no_nulls;		/* no alert without a time comes through */
} GraphDeparsedFilter;

/* Times, both ends included; an infinite one is no bound. */
typedef struct GraphTimeRange
{
	TimestampTz lower;
	TimestampTz upper;
} GraphTimeRange;

/* The same for numbers. */
typedef struct GraphNumberRange
{
	double		lower;
	double		upper;
} GraphNumberRange;

/* A time zone: zone_offset.c. */
typedef struct GraphZone GraphZone;

/* What a text of the database is at the service: graph_text_meaning(). */
typedef enum GraphTextMeaning
{
	GRAPH_TEXT_EXACT,			/* the same text */
	GRAPH_TEXT_AMBIGUOUS,		/* the same, or what is shown in the same way */
	GRAPH_TEXT_IMPOSSIBLE,		/* nothing: no value is shown so */
} GraphTextMeaning;

typedef enum GraphScanMode
{
	GRAPH_SCAN_LIST,
	GRAPH_SCAN_KEYS,			/* records by their ids, */
	GRAPH_SCAN_OWNED,			/* or by the ids of what they belong to */
	GRAPH_SCAN_COUNT,			/* one row: the number of alerts */
} GraphScanMode;

/*
 * graph_mode_has_keys
 *		Is what is asked for named by ids?
 */
static inline bool
graph_mode_has_keys(GraphScanMode mode)
{
	return mode == GRAPH_SCAN_KEYS || mode == GRAPH_SCAN_OWNED;
}

/*
 * What a scan asks for.  Strings are plain text: they are escaped when they
 * become a URL, and shown as they are in EXPLAIN.
 */
typedef struct GraphRequest
{
	GraphScanMode mode;
	const char *entity_set;

	/* GRAPH_SCAN_KEYS and GRAPH_SCAN_OWNED */
	char	  **keys;
	int			nkeys;

	/* GRAPH_SCAN_LIST and GRAPH_SCAN_COUNT; NULL where not asked */
	char	   *filter;
	char	   *filter_without_any; /* the same for a service that refuses
									 * any() */
	bool		has_any;		/* there is any() in the filter */
	bool		whole_filter;	/* no condition was left out of it */
	const char *select;
	char	   *order_property; /* in $orderby */
	bool		descending;
	bool		nulls_first;
	bool		order_needed;	/* the plan relies on it */
	bool		no_nulls;		/* the filter lets no alert through without
								 * the time by which the list is in order */
	int			page_size;
	int			first_page;		/* a first, smaller page */
	bool		limited;		/* a part of the first page may be enough */
	int64		wanted;			/* so many alerts are likely to be enough;
								 * more than a page, or 0: all are wanted */

	/* GRAPH_SCAN_COUNT: counts beside that of the filter, at the same time */
	char	  **parts;			/* by filters of their own */
	int			nparts;
} GraphRequest;

/* Most counts of one request, that of its filter included. */
#define GRAPH_MOST_COUNTS	32

/*
 * A part of the list by the time of its alerts, as it is known here, in whole
 * microseconds: [lower, upper).
 */
typedef struct GraphWindow
{
	TimestampTz lower;			/* DT_NOBEGIN: there is no bound */
	TimestampTz upper;			/* DT_NOEND: there is no bound */
	bool		nulls;			/* instead: the alerts without a time */
	bool		after;			/* what is of the microsecond before lower was
								 * read, and is not to come again */
} GraphWindow;

/* A property of a record that is to have another value: patch.c. */
typedef struct GraphChange
{
	const GraphTargetColumn *column;
	char	   *json;			/* the value, in the database's encoding */
} GraphChange;

/* in patch.c */
extern char *graph_value_text(Oid type, Datum value);
extern char *graph_value_json(const GraphTarget *target,
							  const GraphTargetColumn *column,
							  Datum value, bool isnull);
extern bool graph_is_same_json(const char *first, const char *second);
extern void graph_check_json(const GraphTarget *target,
							 const GraphTargetColumn *column,
							 const char *json);
extern char *graph_write_body(const GraphTarget *target,
							  const GraphChange *changes, int nchanges);
extern char *graph_write_path(const GraphTarget *target, const char *key);

/* in text_meaning.c */
extern GraphTextMeaning graph_text_meaning(const char *text);

/* in key.c */
extern char **graph_key_list(List *keys, const GraphValue *values, int *count,
							 bool *all);
extern char *graph_key_path(const char *entity_set, const char *key);
extern char *graph_owned_path(const GraphNavigation *navigation,
							  const char *key);
extern bool graph_are_owners(const GraphNavigation *navigation,
							 char *const *keys, int count);

/* in literal.c */
extern char *graph_string_literal(const char *string);
extern char *graph_time_literal(TimestampTz time);
extern TimestampTz graph_as_timestamptz(Oid type, Datum value);
extern TimestampTz graph_time_moved(TimestampTz time, int microseconds);

/* in zone_offset.c */
extern GraphZone *graph_zone_fixed(int offset);
extern GraphZone *graph_zone_named(const char *name, bool as_zone);
extern GraphZone *graph_zone_of_session(void);
extern void graph_utc_of_local(const GraphZone *zone, GraphTimeRange *range);
extern void graph_local_of_utc(const GraphZone *zone, GraphTimeRange *range);
extern bool graph_zone_offset_near(const GraphZone *zone, TimestampTz utc,
								   int64 *offset);

/* in time_unit.c */
extern void graph_set_unbounded(GraphTimeRange *range);
extern int	graph_decode_unit(const GraphValue *value);
extern void graph_undo_truncate(GraphTimeRange *range, const GraphValue *unit);
extern void graph_undo_truncate_zoned(GraphTimeRange *range,
									  const GraphValue *unit,
									  const GraphZone *zone);
extern void graph_undo_bin(GraphTimeRange *range, int64 width,
						   Timestamp origin);

/* in number_range.c */
extern double graph_number_of(Oid type, Datum value);
extern GraphNumberRange graph_number_range(GraphComparison comparison,
										   double number);
extern GraphNumberRange graph_number_undo(GraphStepKind kind, int detail,
										  const double *number,
										  GraphNumberRange range);

/* in time_range.c */
extern bool graph_step_uses_session(List *step);
extern char *graph_unknown_range(const char *property, List *steps,
								 const GraphValue *values,
								 GraphComparison comparison, const char *label);
extern bool graph_time_range(List *steps, const GraphValue *values,
							 GraphComparison comparison, Oid as, Oid type,
							 Datum value, GraphTimeRange *range);

/* in deparse.c */
extern char *graph_no_member(const GraphQueryProperty *property,
							 const char *word);
extern GraphShippable graph_filter_reserve(const GraphResourceInfo *resource,
										   List *condition,
										   const GraphValue *values,
										   int *bytes);
extern void graph_deparse_filter(const GraphResourceInfo *resource,
								 List *filters, const GraphValue *values,
								 const char *time_property,
								 GraphDeparsedFilter *result);

/* in margin.c */
extern char *graph_margin_filter(const char *filter, List *bounds,
								 const GraphValue *values);

/* in request_path.c */
extern char *graph_request_path(const GraphRequest *request, int page_size,
								bool with_select, bool with_count, bool escape);
extern char *graph_window_filter(const char *filter, const char *property,
								 const GraphWindow *window);

#endif							/* GRAPH_ODATA_H */
