/*-------------------------------------------------------------------------
 *
 * selectable.c
 *		Which resources of a server may a role read by its foreign tables?
 *
 * That is asked of a role that may not use the server itself: what it learns of
 * the server must not be more than its queries say.  A view is not looked at,
 * since what is below it is read as its owner.
 *
 * What this file refuses to know: user mappings, what is told then.
 *
 * IDENTIFICATION
 *		src/catalog/selectable.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_namespace.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "catalog/option_int.h"

/*
 * may_select
 *		May a role name a table, and select at least one of its columns?
 */
static bool
may_select(Oid relid, Oid userid)
{
	Oid			namespace = get_rel_namespace(relid);

	return OidIsValid(namespace) &&
		graph_namespace_aclcheck(namespace, userid, ACL_USAGE) == ACLCHECK_OK &&
		(pg_class_aclcheck(relid, userid, ACL_SELECT) == ACLCHECK_OK ||
		 pg_attribute_aclcheck_all(relid, userid, ACL_SELECT,
								   ACLMASK_ANY) == ACLCHECK_OK);
}

/*
 * resource_of
 *		The resource that a foreign table is of.
 */
static GraphResource
resource_of(Oid relid)
{
	const char *name = graph_option_value(GetForeignTable(relid)->options,
										  "resource");
	const GraphResourceInfo *resource = name ? graph_find_resource(name) : NULL;

	return resource ? graph_resource_number(resource) : GRAPH_ALERTS;
}

/*
 * graph_selectable_resources
 *		The numbers of the resources (GraphResource) of which a role may select
 *		from a foreign table of a server.
 */
Bitmapset *
graph_selectable_resources(Oid serverid, Oid userid)
{
	Relation	tables = table_open(ForeignTableRelationId, AccessShareLock);
	Bitmapset  *result = NULL;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	/* there is no index by server */
	ScanKeyInit(&key, Anum_pg_foreign_table_ftserver, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(serverid));
	scan = systable_beginscan(tables, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			relid = ((Form_pg_foreign_table) GETSTRUCT(tuple))->ftrelid;

		if (may_select(relid, userid))
			result = bms_add_member(result, resource_of(relid));
	}
	systable_endscan(scan);
	table_close(tables, AccessShareLock);
	return result;
}
