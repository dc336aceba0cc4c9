/*-------------------------------------------------------------------------
 *
 * compat.h
 *		What differs between the versions of PostgreSQL.
 *
 * Nothing outside this file asks for PG_VERSION_NUM.
 *
 * IDENTIFICATION
 *		src/base/compat.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_COMPAT_H
#define GRAPH_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "graph_fdw needs PostgreSQL 15 or later"
#endif

/* Not all of these come with the other headers of every version. */
#include <limits.h>

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "nodes/pg_list.h"
#include "utils/tuplestore.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
#if PG_VERSION_NUM >= 190000
#include "nodes/miscnodes.h"
#include "utils/date.h"
#include "utils/timestamp.h"
#endif

#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/* Foreign paths have got arguments, which are as good as not given. */
#if PG_VERSION_NUM >= 180000
#define GRAPH_DISABLED_NODES	0,
#else
#define GRAPH_DISABLED_NODES
#endif
#if PG_VERSION_NUM >= 170000
#define GRAPH_RESTRICTINFO		NIL,
#else
#define GRAPH_RESTRICTINFO
#endif
#define graph_create_foreignscan_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, private) \
	create_foreignscan_path(root, rel, target, rows, GRAPH_DISABLED_NODES startup, total, pathkeys, outer, outerpath, GRAPH_RESTRICTINFO private)
#define graph_create_foreign_join_path(root, rel, target, rows, startup, total, pathkeys, outer, outerpath, private) \
	create_foreign_join_path(root, rel, target, rows, GRAPH_DISABLED_NODES startup, total, pathkeys, outer, outerpath, GRAPH_RESTRICTINFO private)
#define graph_create_foreign_upper_path(root, rel, target, rows, startup, total, pathkeys, outerpath, private) \
	create_foreign_upper_path(root, rel, target, rows, GRAPH_DISABLED_NODES startup, total, pathkeys, outerpath, GRAPH_RESTRICTINFO private)

/* From 18 on a path knows how many of its nodes the user has disabled. */
#if PG_VERSION_NUM >= 180000
#define graph_path_disabled_like(path, other) \
	((path)->disabled_nodes = (other)->disabled_nodes)
#else
#define graph_path_disabled_like(path, other)	((void) 0)
#endif

#if PG_VERSION_NUM >= 180000
#define graph_pathkey_is_descending(key)	((key)->pk_cmptype == COMPARE_GT)
#define graph_range_table_relation(estate, rti)	ExecGetRangeTableRelation(estate, rti, false)
#define graph_row_is_less(row)	((row)->cmptype == COMPARE_LT || (row)->cmptype == COMPARE_LE)
#else
#define graph_row_is_less(row)	((row)->rctype == ROWCOMPARE_LT || (row)->rctype == ROWCOMPARE_LE)
#define graph_pathkey_is_descending(key)	((key)->pk_strategy == BTGreaterStrategyNumber)
#define graph_range_table_relation(estate, rti)	ExecGetRangeTableRelation(estate, rti)
#endif

/*
 * The members of an equivalence class that are of some relations.  From 18 on
 * those of an Append's children are kept elsewhere.
 */
#if PG_VERSION_NUM >= 180000
#define GraphMemberIterator	EquivalenceMemberIterator
#define graph_start_members(it, ec, relids)	setup_eclass_member_iterator(it, ec, relids)
#define graph_next_member(it)	eclass_member_iterator_next(it)
#else
typedef struct GraphMemberIterator
{
	List	   *members;
	int			next;
} GraphMemberIterator;
#define graph_start_members(it, ec, relids) \
	((it)->members = (ec)->ec_members, (it)->next = 0)
#define graph_next_member(it) \
	((it)->next >= list_length((it)->members) ? NULL : \
	 (EquivalenceMember *) list_nth((it)->members, (it)->next++))
#endif

/*
 * The conditions by which the rows that window functions look at end early, and
 * what one of them compares the function with.
 */
#if PG_VERSION_NUM >= 170000
#define graph_run_conditions(clause, func)	((func)->runCondition)
#define graph_run_condition_bound(condition, func) \
	((Node *) ((WindowFuncRunCondition *) (condition))->arg)
#else
#define graph_run_conditions(clause, func)	((clause)->runCondition)
#define graph_run_condition_bound(condition, func) \
	((Node *) (equal(linitial(((OpExpr *) (condition))->args), func) ? \
			   lsecond(((OpExpr *) (condition))->args) : \
			   equal(lsecond(((OpExpr *) (condition))->args), func) ? \
			   linitial(((OpExpr *) (condition))->args) : NULL))
#endif

/* Shared memory that needs no preloading, and its lock. */
#if PG_VERSION_NUM >= 190000
#include "storage/dsm_registry.h"
#define GRAPH_HAS_NAMED_SEGMENTS
#define GRAPH_SEGMENT_INIT_ARGS				void *memory, void *unused
#define graph_named_segment(n, s, f, found) GetNamedDSMSegment(n, s, f, found, NULL)
#define graph_new_tranche(name)				LWLockNewTrancheId(name)
#define graph_name_tranche(id, name)		((void) (id))
#else
#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#define GRAPH_HAS_NAMED_SEGMENTS
#endif
#define GRAPH_SEGMENT_INIT_ARGS				void *memory
#define graph_named_segment(n, s, f, found) GetNamedDSMSegment(n, s, f, found)
#define graph_new_tranche(name)				LWLockNewTrancheId()
#define graph_name_tranche(id, name)		LWLockRegisterTranche(id, name)
#endif

#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

#if PG_VERSION_NUM >= 170000
#define graph_estimate_array_length(root, expr)	estimate_array_length(root, expr)
#define graph_new_wait_event(name)	WaitEventExtensionNew(name)
#define graph_create_wait_set(n)	CreateWaitEventSet(NULL, n)
#else
#define graph_estimate_array_length(root, expr)	estimate_array_length(expr)
#define graph_new_wait_event(name)	PG_WAIT_EXTENSION
#define graph_create_wait_set(n)	CreateWaitEventSet(TopMemoryContext, n)
#endif

/* The kind of a time zone's abbreviation; false if its definition is odd. */
#if PG_VERSION_NUM >= 160000
#define graph_decode_timezone_abbrev(name, type, offset, tz) \
	(DecodeTimezoneAbbrev(0, name, type, offset, tz, &(DateTimeErrorExtra) {0}) == 0)
#else
#define graph_decode_timezone_abbrev(name, type, offset, tz) \
	(*(type) = DecodeTimezoneAbbrev(0, name, offset, tz), true)
#endif

/* The role as which a table is written to, or 0: the current one. */
#if PG_VERSION_NUM >= 160000
#define graph_result_user(rri, estate)	ExecGetResultRelCheckAsUser(rri, estate)
#else
#define graph_result_user(rri, estate) \
	(exec_rt_fetch((rri)->ri_RangeTableIndex ? (rri)->ri_RangeTableIndex : \
				   (rri)->ri_RootResultRelInfo->ri_RangeTableIndex, \
				   estate)->checkAsUser)
#endif

#if PG_VERSION_NUM >= 160000
#define graph_scan_user(plan, rte)	((plan)->checkAsUser)
#define graph_base_relids(plan)	((plan)->fs_base_relids)
#define graph_server_aclcheck(serverid, userid, mode) \
	object_aclcheck(ForeignServerRelationId, serverid, userid, mode)
#define graph_namespace_aclcheck(namespace, userid, mode) \
	object_aclcheck(NamespaceRelationId, namespace, userid, mode)
#else
#define graph_scan_user(plan, rte)	((rte)->checkAsUser)
#define graph_base_relids(plan)	((plan)->fs_relids)
#define graph_server_aclcheck(serverid, userid, mode) \
	pg_foreign_server_aclcheck(serverid, userid, mode)
#define graph_namespace_aclcheck(namespace, userid, mode) \
	pg_namespace_aclcheck(namespace, userid, mode)
#endif

/* By which outer joins a column has been made null: told from 16 on. */
#if PG_VERSION_NUM >= 160000
#define graph_nulled_like(var, other)	((var)->varnullingrels = (other)->varnullingrels)
#else
#define graph_nulled_like(var, other)	((void) 0)
#endif

/*
 * The path that gives the rows of the right side of a semi-join once each, for
 * JOIN_UNIQUE_OUTER.  From 19 on that side comes as a relation of its own.
 */
#if PG_VERSION_NUM >= 190000
#define graph_unique_path(root, rel, sjinfo)	((rel)->cheapest_total_path)
#define graph_create_append_path(root, rel, paths) \
	create_append_path(root, rel, (AppendPathInput) {.subpaths = (paths)}, NIL, NULL, 0, false, -1)
#else
#define graph_unique_path(root, rel, sjinfo) \
	((Path *) create_unique_path(root, rel, (rel)->cheapest_total_path, sjinfo))
#define graph_create_append_path(root, rel, paths) \
	create_append_path(root, rel, paths, NIL, NIL, NULL, 0, false, -1)
#endif

/*
 * Does a relation to be joined stand for another one whose rows have been made
 * unique, or partly aggregated?  From 19 on those are relations of their own, and
 * as copies have what is known of the other, such as that it is a table of ours.
 */
#if PG_VERSION_NUM >= 190000
#define graph_is_grouped(rel)	IS_GROUPED_REL(rel)
#define graph_is_reduced(rel, sjinfo, jointype) \
	(IS_GROUPED_REL(rel) || RELATION_WAS_MADE_UNIQUE(rel, sjinfo, jointype))
#else
#define graph_is_grouped(rel)	false
#define graph_is_reduced(rel, sjinfo, jointype)	false
#endif

/* From 19 on a relation says which kinds of paths the user has not disabled. */
#if PG_VERSION_NUM >= 190000
#define graph_strategies_like(rel, other)	((rel)->pgs_mask = (other)->pgs_mask)
#else
#define graph_strategies_like(rel, other)	((void) 0)
#endif

/* What a descriptor has to be told when it has got all of its columns. */
#if PG_VERSION_NUM < 190000
#define TupleDescFinalize(desc)	((void) 0)
#endif

/*
 * A date or timestamp as timestamptz; what overflows is below 0 or above it in
 * *overflow.  19 does not say in which direction: the value does.
 */
#if PG_VERSION_NUM >= 190000
static inline TimestampTz
graph_date_to_timestamptz(DateADT value, int *overflow)
{
	ErrorSaveContext context = {.type = T_ErrorSaveContext};
	TimestampTz result = date2timestamptz_safe(value, (Node *) &context);

	*overflow = !context.error_occurred ? 0 : value < 0 ? -1 : 1;
	return result;
}

static inline TimestampTz
graph_timestamp_to_timestamptz(Timestamp value, int *overflow)
{
	ErrorSaveContext context = {.type = T_ErrorSaveContext};
	TimestampTz result = timestamp2timestamptz_safe(value, (Node *) &context);

	*overflow = !context.error_occurred ? 0 : value < 0 ? -1 : 1;
	return result;
}
#else
#define graph_date_to_timestamptz(value, overflow)	date2timestamptz_opt_overflow(value, overflow)
#define graph_timestamp_to_timestamptz(value, overflow)	timestamp2timestamptz_opt_overflow(value, overflow)
#endif

/*
 * From 18 on a generated column may be virtual: the rewriter puts its expression
 * in its place, and no scan gives it; and a constraint need not be enforced.
 */
#if PG_VERSION_NUM >= 180000
#include "rewrite/rewriteHandler.h"
#define graph_is_virtual(attribute)	((attribute)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#define graph_expand_virtual(node, relation) \
	expand_generated_columns_in_expr(node, relation, 1)
#define graph_is_enforced(check)	((check)->ccenforced)
#else
#define graph_is_virtual(attribute)	false
#define graph_expand_virtual(node, relation)	(node)
#define graph_is_enforced(check)	true
#endif

#ifndef pg_fallthrough
#define pg_fallthrough __attribute__((fallthrough))
#endif

#endif							/* GRAPH_COMPAT_H */
