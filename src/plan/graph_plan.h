/*-------------------------------------------------------------------------
 *
 * graph_plan.h
 *		What can be asked, and what does it cost?
 *
 * Clauses are classified, paths offered, plans made: plain nodes without a
 * secret.  No request is made.
 *
 * What this layer refuses to know: sessions, answers, slots.
 *
 * IDENTIFICATION
 *		src/plan/graph_plan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_PLAN_H
#define GRAPH_PLAN_H

#include "foreign/fdwapi.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

#include "odata/graph_odata.h"

/*
 * Does the service give what a condition means?  In this order.  What leaves
 * rows to the service relies on GRAPH_EXACT; only a count, which is held against
 * what comes with it, takes GRAPH_EXACT_BUT_CASE as well.
 */
typedef enum GraphExactness
{
	GRAPH_INEXACT,				/* more, or nobody knows */
	GRAPH_EXACT_BUT_CASE,		/* that, if its members come in one case */
	GRAPH_EXACT,
} GraphExactness;

/* In place of a value's number: the ids are told by a batch. */
#define GRAPH_BATCHED_KEYS	(-1)

/* What can be done with some clauses: graph_classify_clauses(). */
typedef struct GraphPushdown
{
	List	   *values;			/* Expr: evaluated when the scan starts */
	GraphValue *known;			/* the same, as far as they are constants */
	List	   *keys;			/* int: the values that hold the wanted ids,
								 * texts and arrays of them; or NIL */
	Var		   *owner_column;	/* the column whose values these are, if they
								 * are ids of what the records belong to;
								 * NULL: they are the records' own */
	List	   *filters;		/* conditions, all of which must hold; beside
								 * keys they are for the list that is read if
								 * these are too many */
	List	   *sent;			/* RestrictInfo: what the filters are made of
								 * ... */
	List	   *inside;			/* ... and those on elements of the alert */
	List	   *clauses;		/* Expr: each clause ... */
	List	   *labels;			/* String: ... and what is done with it */
	int			bytes;			/* of the constant conditions' $filter */
	bool		no_lookups;		/* the list is read in any case */
	bool		may_be_listed;	/* the keys may be too many: not known yet */
	GraphExactness exact;		/* of all together; what is not sent is not */
	List	   *inexact;		/* RestrictInfo: those that are not, and will
								 * not be for values that the service knows,
								 * if its members come in one case */
	List	   *any_case;		/* String: properties whose members may come
								 * in several, and are not in inexact */
	bool		loose;			/* most of what comes may be dropped here */
} GraphPushdown;

/*
 * What the planner knows of a foreign table: RelOptInfo.fdw_private.  The
 * options hold no secret, since no user mapping is read while planning.
 */
typedef struct GraphRelInfo
{
	PlannerInfo *root;
	RelOptInfo *baserel;
	Oid			relid;
	char	   *table_name;
	GraphOptions options;
	const GraphResourceInfo *resource;
	GraphColumn **columns;		/* by attribute number, where looked up */
	double		alerts;			/* in the service, estimated, */
	bool		analyzed;		/* by what ANALYZE has seen */
	GraphPushdown pushdown;		/* of the restrictions */
} GraphRelInfo;

/* What a clause compares, column on the left: graph_find_comparison(). */
typedef struct GraphCompared
{
	Var		   *var;
	const GraphQueryProperty *property; /* NULL: not one of the alert's */
	Expr	   *value;
	GraphComparison comparison;
	const char *reason;			/* why it is not a comparison to be sent */
} GraphCompared;

/*
 * What an alert's property, an enum, may be for a condition to be true, as
 * far as members are known; what is in doubt is in: enum_condition.c.
 */
typedef struct GraphMembers
{
	const GraphQueryProperty *property;
	uint64		known;			/* by their place in graph_known_members() */
	bool		null;			/* NULL is in */
	bool		no_others;		/* no other word is in; else some may be */
	bool		all_others;		/* every other word is in */
	bool		exact;			/* nothing that is in is in doubt, except for
								 * other words */
	bool		only_way;		/* the condition is in no other form */
} GraphMembers;

/* What an expression is for a value: graph_evaluate(). */
typedef enum GraphTruth
{
	GRAPH_FALSE,
	GRAPH_TRUE,
	GRAPH_NEITHER,				/* NULL */
} GraphTruth;

/* Values for which an expression is evaluated. */
#define GRAPH_MOST_CANDIDATES	(2 * GRAPH_MOST_MEMBERS + 64)

typedef struct GraphCandidates
{
	int			count;
	Datum		values[GRAPH_MOST_CANDIDATES];
	bool		nulls[GRAPH_MOST_CANDIDATES];
} GraphCandidates;

/* Why a clause is not sent, where more than one file can tell. */
#define GRAPH_NO_FORM		"not a form that the service answers"
#define GRAPH_NO_PROPERTY	"the service does not filter by this column"
#define GRAPH_NO_OPERATOR	"not an operator that the service has"

/* The estimated work of a scan. */
typedef struct GraphPrice
{
	double		rows;
	Cost		startup;
	Cost		total;
} GraphPrice;

/*
 * The first page of a list that is asked for in an order, and what comes with
 * a count, holds at least so many alerts: should the service ignore the order
 * or the filter, it is seen.
 */
#define GRAPH_SMALLEST_PROOF	20

/*
 * What a plan holds: the elements of ForeignScan.fdw_private.  They are plain
 * nodes, without a secret.  fdw_exprs holds the values, and after them the
 * clauses, which are there to be explained and are not evaluated.
 */
enum GraphPlanPrivate
{
	GRAPH_PLAN_MODE,			/* Integer: a GraphScanMode */
	GRAPH_PLAN_COLUMNS,			/* IntList: attribute numbers to fill in */
	GRAPH_PLAN_KEYS,			/* IntList: values that hold the ids */
	GRAPH_PLAN_FILTERS,			/* List of conditions */
	GRAPH_PLAN_ORDER,			/* List: String property, Boolean descending,
								 * Boolean nulls first, Integer attribute
								 * number; or NIL */
	GRAPH_PLAN_SELECT,			/* List of String: properties; or NIL */
	GRAPH_PLAN_FIRST_PAGE,		/* Integer: $top of the first page */
	GRAPH_PLAN_MOST_KEYS,		/* Integer: above so many, read the list */
	GRAPH_PLAN_NVALUES,			/* Integer: of fdw_exprs */
	GRAPH_PLAN_LABELS,			/* List of String: what is done with each
								 * clause */
	GRAPH_PLAN_BATCH,			/* Integer: the executor's parameter by which
								 * a batch tells the ids, or -1; then the one
								 * value in GRAPH_PLAN_KEYS is that column */
	GRAPH_PLAN_ESTIMATE,		/* List: Integer alerts, Integer requests */
	GRAPH_PLAN_MEMBERS,			/* joins only: List, see GraphMemberPrivate */

	/* counts only, instead: IntList, where the columns are in the row */
	GRAPH_PLAN_INDEXES = GRAPH_PLAN_MEMBERS,
	GRAPH_PLAN_BOUNDS,			/* counts only: List of those conditions that
								 * are bounds of times; or NIL */
	GRAPH_PLAN_GROUP,			/* counts only: List: String property by which
								 * the query groups, Integer where it is in
								 * the row; or NIL */
	GRAPH_PLAN_ANY_CASE,		/* counts only: List of String: enums of which
								 * no member may come in another case */
};

/* The elements of a member in GRAPH_PLAN_MEMBERS. */
enum GraphMemberPrivate
{
	GRAPH_MEMBER_POSITION,		/* Integer: which of the plan's relations, in
								 * the order of the range table, from 0 */
	GRAPH_MEMBER_JOINTYPE,		/* Integer: see GraphJoinMember */
	GRAPH_MEMBER_COLUMNS,		/* IntList: attribute numbers ... */
	GRAPH_MEMBER_INDEXES,		/* IntList: ... and where they go in the row */
	GRAPH_MEMBER_FIRST_QUAL,	/* Integer: in fdw_exprs */
	GRAPH_MEMBER_QUALS,			/* IntList: how many clauses of each kind, see
								 * GraphMemberQuals */
};

/* The clauses that a joined scan checks when it comes to a member. */
enum GraphMemberQuals
{
	GRAPH_QUALS_OWN,			/* on the member's row alone */
	GRAPH_QUALS_MATCH,			/* what else makes a match, with the rows of
								 * the members before it */
	GRAPH_QUALS_FILTER,			/* on the combined row so far, which may have
								 * NULLs for this member */
	GRAPH_QUALS_KINDS,
};

/*
 * One table of a joined scan, while planning.  It is joined to those before
 * it: inner, left, semi (is there a row?) or anti (is there none?).
 */
typedef struct GraphJoinMember
{
	RelOptInfo *rel;
	JoinType	jointype;
	List	   *match;			/* RestrictInfo: what makes a match beside the
								 * id and the table's own restrictions; NIL
								 * for inner */
} GraphJoinMember;

/* What the planner knows of a joined scan: RelOptInfo.fdw_private. */
typedef struct GraphJoinInfo
{
	const char *entity_set;		/* which all members are read from */
	List	   *members;		/* of GraphJoinMember *; the first is inner */
	List	   *filters;		/* RestrictInfo: checked on the combined row */
	Selectivity selectivity;	/* of the filters */
} GraphJoinInfo;

/* in comparison.c */
extern Var *graph_own_var(RelOptInfo *baserel, Expr *expr);
extern GraphColumn *graph_relation_column(RelOptInfo *baserel,
										  AttrNumber attnum);
extern char *graph_only_path(RelOptInfo *baserel, const Var *var,
							 bool *in_alert);
extern bool graph_is_text(Oid type);
extern bool graph_is_key_column(RelOptInfo *baserel, Expr *expr);
extern bool graph_is_owner_column(RelOptInfo *baserel, Expr *expr);
extern const GraphQueryProperty *graph_var_property(RelOptInfo *baserel,
													Expr *expr);
extern bool graph_is_never_null(RelOptInfo *baserel, Expr *expr);
extern bool graph_is_known_at_start(RelOptInfo *baserel, Expr *expr);
extern bool graph_is_text_equality(Oid operator, Oid collation);
extern GraphComparison graph_commuted(GraphComparison comparison);
extern GraphComparison graph_negated(GraphComparison comparison);
extern bool graph_order_comparison(Oid operator, Oid type,
								   GraphComparison *comparison);
extern bool graph_find_comparison(RelOptInfo *baserel, List *args,
								  Oid operator, Oid collation, bool array,
								  GraphCompared *result);

extern const char *graph_why_not_filtered(RelOptInfo *baserel,
										  const Var *var);

/* in time_condition.c */
extern bool graph_is_time_function(RelOptInfo *baserel, Expr *expr);
extern List *graph_time_condition(RelOptInfo *baserel, GraphPushdown *pushdown,
								  Expr *clause, bool negate);

/* in evidence.c */
extern char *graph_evidence_path(RelOptInfo *baserel, Expr *expr);

/* in lookup.c */
extern List *graph_find_lookup(RelOptInfo *baserel, GraphPushdown *pushdown,
							   bool by_owner, Expr *expr);
extern void graph_batch_keys(GraphPushdown *pushdown, RelOptInfo *rel,
							 Var *key);
extern bool graph_is_only_lookup(Expr *expr);
extern int	graph_named_ids(const GraphPushdown *pushdown, List *keys,
							int *most);

/* in evaluate.c */
extern bool graph_evaluate(Expr *expr, const Var *var,
						   const GraphCandidates *candidates,
						   GraphTruth *truths);

/* in enum_condition.c */
extern List *graph_members_merge(List *groups, const GraphMembers *members,
								 bool both);
extern GraphMembers *graph_members_find(List *groups,
										const GraphQueryProperty *property);
extern GraphMembers *graph_members_named(const GraphQueryProperty *property,
										 const Const *constant, bool equal,
										 bool distinct, char **why);
extern GraphMembers *graph_members_null(const GraphQueryProperty *property,
										bool null);
extern Var *graph_evaluable_column(RelOptInfo *baserel, Expr *expr);
extern GraphMembers *graph_members_evaluated(RelOptInfo *baserel, Expr *expr,
											 bool negate);
extern List *graph_members_condition(GraphPushdown *pushdown,
									 const GraphMembers *members, bool *exact);

/* in other_case.c */
extern bool graph_has_other_case(RelOptInfo *baserel, const Var *var,
								 const GraphQueryProperty *property);

/* in mistakes.c */
extern void graph_tell_mistakes(RelOptInfo *baserel);

/* in pushdown.c */
extern void graph_pushdown_init(GraphPushdown *pushdown);
extern void graph_classify_clauses(RelOptInfo *baserel, List *rinfos,
								   GraphPushdown *pushdown);

/* in assumed.c */
extern void graph_assumed_init(void);

/* in price.c */
extern void graph_estimate(const GraphRelInfo *info, GraphScanMode mode,
						   const GraphPushdown *pushdown, int first,
						   double *alerts, double *requests);
extern void graph_price_alerts(PlannerInfo *root, RelOptInfo *baserel,
							   const GraphPushdown *pushdown,
							   GraphPrice *price);
extern void graph_price_scan(PlannerInfo *root, RelOptInfo *baserel,
							 const GraphPushdown *pushdown, double rows,
							 GraphPrice *price);
extern double graph_records_per_key(PlannerInfo *root,
									const Var *owner_column);
extern void graph_price_lookups(const GraphRelInfo *info,
								const Var *owner_column, double keys,
								GraphPrice *price);
extern void graph_price_count(PlannerInfo *root, RelOptInfo *baserel,
							  bool bounded, GraphPrice *price);
extern int	graph_most_keys(const GraphRelInfo *info,
							const GraphPushdown *pushdown, double alerts);
extern double graph_listed_alerts(PlannerInfo *root, RelOptInfo *baserel,
								  const GraphPushdown *pushdown);

/* in path.c */
extern bool graph_is_ours(const RelOptInfo *rel);
extern void graphGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel,
								   Oid relid);
extern void graphGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel,
								 Oid relid);
extern bool graphIsForeignPathAsyncCapable(ForeignPath *path);
extern const GraphQueryProperty *graph_find_order(RelOptInfo *baserel,
												  PathKey *pathkey,
												  AttrNumber *attnum);

/* in count_append.c */
extern void graph_count_append_init(void);

/* in count_bounds.c */
extern List *graph_count_bounds(RelOptInfo *baserel);
extern bool graph_count_bounds_pay(PlannerInfo *root, RelOptInfo *baserel);

/* in count_rows.c */
extern List *graph_wanted_aggregates(List *exprs, List *having);
extern bool graph_is_count(Node *expr);
extern bool graph_can_count(PlannerInfo *root, RelOptInfo *baserel,
							List *wanted);
extern bool graph_can_count_rows(PlannerInfo *root, RelOptInfo *baserel);
extern bool graph_are_row_counts(RelOptInfo *baserel, List *wanted);

/* in count_group.c */
extern Var *graph_count_group(PlannerInfo *root, RelOptInfo *baserel,
							  List *wanted, int *requests);

/* in count_path.c */
extern Path *graph_count_path(PlannerInfo *root, RelOptInfo *baserel,
							  RelOptInfo *upper, int requests);
extern void graphGetForeignUpperPaths(PlannerInfo *root,
									  UpperRelationKind stage,
									  RelOptInfo *input_rel,
									  RelOptInfo *output_rel, void *extra);
extern ForeignScan *graph_plan_count(PlannerInfo *root, RelOptInfo *upper_rel,
									 ForeignPath *best_path, List *tlist);

/* in plan_private.c */
extern GraphValue graph_value_of(const Expr *expr);
extern int	graph_value_add(GraphPushdown *pushdown, Expr *expr);
extern void graph_values_forget(GraphPushdown *pushdown, int count);
extern GraphScanMode graph_scan_mode(const GraphPushdown *pushdown);
extern int	graph_plan_int(const ForeignScan *plan,
						   enum GraphPlanPrivate which);
extern List *graph_plan_list(const ForeignScan *plan,
							 enum GraphPlanPrivate which);
extern List *graph_make_private(GraphScanMode mode, const GraphRelInfo *info,
								List *columns, const GraphPushdown *pushdown,
								List *order, List *select, int first);
extern List *graph_add_attributes(List *attnums, Node *expr, Index rti);
extern List *graph_selected_properties(RelOptInfo *baserel, List *attnums);

/* in first_page.c */
extern bool graph_is_all_of_query(PlannerInfo *root, RelOptInfo *rel);
extern int	graph_first_page(PlannerInfo *root, RelOptInfo *rel,
							 List *pathkeys, bool exact, int page_size);

/* in correlated.c */
extern List *graph_select_for_subplans(PlannerInfo *root, RelOptInfo *baserel,
									   List *clauses, List *select);
extern bool graph_is_read_by_subplans(PlannerInfo *root, RelOptInfo *baserel);

/* in join_plan.c */
extern void graphGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel,
									 RelOptInfo *outerrel,
									 RelOptInfo *innerrel, JoinType jointype,
									 JoinPathExtraData *extra);
extern bool graph_is_alert(RelOptInfo *rel);
extern void graph_classify_members(GraphJoinInfo *join, Var *batched_key,
								   GraphPushdown *pushdown);
extern bool graph_are_plain(List *rinfos);
extern List *graph_join_target(RelOptInfo *joinrel, GraphJoinInfo *join);
extern Var *graph_find_join_order(GraphJoinInfo *join, PathKey *pathkey);

/* in joined_columns.c */
extern const Var *graph_find_var(const List *exprs, const Var *var);
extern List *graph_joined_columns(const RelOptInfo *joinrel, List *clauses);
extern List *graph_name_alike(List *clauses, List *columns);

/* in join_node.c */
extern ForeignScan *graph_plan_join(PlannerInfo *root, RelOptInfo *joinrel,
									ForeignPath *best_path, List *tlist,
									Plan *outer_plan);
extern Index graph_join_member(const ForeignScan *plan, List *member,
							   JoinType *jointype);
extern List *graph_member_quals(const ForeignScan *plan, List *member,
								enum GraphMemberQuals kind);

/*
 * What the plan of a join in batches holds: the elements of
 * CustomScan.custom_private.  custom_plans are the outer plan and the scan that
 * looks up; custom_exprs the key of an outer row, the clause by which the key
 * is found, for EXPLAIN, and what else makes a match.
 */
enum GraphBatchPrivate
{
	GRAPH_BATCH_JOINTYPE,		/* Integer: inner, left, semi or anti */
	GRAPH_BATCH_PARAM,			/* Integer: by which the ids are told */
	GRAPH_BATCH_KEY,			/* Integer: the column of the inner row that
								 * is the id, from 1 */
	GRAPH_BATCH_SOURCES,		/* IntList: of each column of the joined row,
								 * its number in the outer row, or less than
								 * 0, in the inner */
	GRAPH_BATCH_FIRST,			/* Integer: ids of the first batch */
	GRAPH_BATCH_LEAST,			/* Integer: ids of one of large alerts */
	GRAPH_BATCH_MOST,			/* Integer: ids of the largest */
};

/* The name of its node. */
#define GRAPH_BATCH_NAME	"Graph Batch"

/* in batch_plan.c */
extern void graph_batch_init(void);
extern Var *graph_batched_key(const ForeignPath *path);
extern void graph_batch_private(PlannerInfo *root, ForeignScan *plan, Var *key);

/*
 * What the plan of a write holds: the elements of its private list, the one of
 * ModifyTable.fdwPrivLists or, of a direct one, GRAPH_PLAN_WRITE of the scan's.
 */
enum GraphWritePrivate
{
	GRAPH_WRITE_PROPERTIES,		/* List of String: those that are written */
	GRAPH_WRITE_RETURNING,		/* IntList: attribute numbers that RETURNING
								 * reads, 0 for all of them */
	GRAPH_WRITE_SETS_TAG,		/* Boolean: its rows are those that the
								 * command tag counts */
	GRAPH_WRITE_TARGETS,		/* direct ones only: IntList: attribute
								 * numbers that are set; their values are the
								 * last of fdw_exprs */
};

/* in modify_plan.c */
extern int	graphIsForeignRelUpdatable(Relation relation);
extern List *graph_plan_write(PlannerInfo *root, ModifyTable *plan,
							  Index rti, int index);
extern List *graphPlanForeignModify(PlannerInfo *root, ModifyTable *plan,
									Index rti, int index);

/* in modify_direct.c */
extern bool graphPlanDirectModify(PlannerInfo *root, ModifyTable *plan,
								  Index rti, int index);
extern List *graph_direct_write(const ForeignScan *plan);

/* in plan.c */
extern ForeignScan *graphGetForeignPlan(PlannerInfo *root, RelOptInfo *rel,
										Oid relid, ForeignPath *best_path,
										List *tlist, List *scan_clauses,
										Plan *outer_plan);

#endif							/* GRAPH_PLAN_H */
