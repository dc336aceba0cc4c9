/*-------------------------------------------------------------------------
 *
 * graph_catalog.h
 *		What the user said, and what exists in Graph security.
 *
 * Options of servers, tables, columns and mappings; resources, their
 * properties and columns; IMPORT FOREIGN SCHEMA.
 *
 * What this layer refuses to know: requests, JSON, the planner.
 *
 * IDENTIFICATION
 *		src/catalog/graph_catalog.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_CATALOG_H
#define GRAPH_CATALOG_H

#include "fmgr.h"
#include "foreign/foreign.h"
#include "nodes/parsenodes.h"
#include "utils/relcache.h"

#include "base/graph_base.h"

/*-------------------------------------------------------------------------
 * Options: what the user said.
 *-------------------------------------------------------------------------
 */

typedef enum GraphPartialAction
{
	GRAPH_PARTIAL_ERROR,
	GRAPH_PARTIAL_WARNING,
} GraphPartialAction;

/*
 * How a user mapping logs in: login_option.c finds out, src/auth does it.
 */
typedef enum GraphLogin
{
	GRAPH_LOGIN_NONE,			/* no user mapping was given */
	GRAPH_LOGIN_SECRET,
	GRAPH_LOGIN_CERTIFICATE,
	GRAPH_LOGIN_FEDERATED,
	GRAPH_LOGIN_MANAGED_IDENTITY,
	GRAPH_LOGIN_REFRESH_TOKEN,
	GRAPH_LOGIN_ACCESS_TOKEN,
	GRAPH_LOGIN_DEVICE_CODE,	/* by graph_fdw_login(), for this session */
} GraphLogin;

/* Where to go. */
typedef struct GraphService
{
	char	   *cloud;
	char	   *endpoint;		/* service root without version, no final '/' */
	char	   *authority;		/* token authority, no final '/' */
	char	   *scope;			/* of a token for the cloud, OAuth 2.0's sense */
	char	   *api_version;	/* "v1.0" or "beta" */
	char	   *tenant_id;		/* of the mapping, else of the server */
	char	   *ca_file;		/* or NULL: the system's */
	char	   *proxy;			/* or NULL: none */
} GraphService;

/* How to go there. */
typedef struct GraphLimits
{
	int			connect_timeout;	/* milliseconds */
	int			request_timeout;	/* longest silence, milliseconds */
	int			max_retries;
	int			page_size;		/* $top of a list */
	int			concurrency;	/* requests in flight for one scan */
	int			requests_per_minute;	/* 0: no limit */
	int			throttle_timeout;	/* milliseconds without a request that the
									 * service takes */
	int			max_record_size;	/* bytes */
	int			on_partial;		/* a GraphPartialAction */
} GraphLimits;

/* What may be left to the service: booleans. */
typedef struct GraphSwitches
{
	int			select;
	int			order;
	int			count;
	int			join;			/* tables of the same alerts in one scan, and
								 * what else is made of joins */
	int			evidence_filter;
	int			navigation;		/* ask for the records of what they belong to */
} GraphSwitches;

/* Who goes: all NULL unless a user mapping was given. */
typedef struct GraphCredentials
{
	GraphLogin	login;
	GraphLogin	proof;			/* by what the application proves itself:
								 * SECRET, CERTIFICATE, FEDERATED or NONE */
	char	   *client_id;
	char	   *client_secret;
	char	   *certificate_file;
	char	   *private_key_file;
	char	   *private_key_password;
	char	   *federated_token_file;
	int			managed_identity;	/* boolean */
	char	   *refresh_token;
	char	   *access_token;
	char	   *proxy_user;		/* or NULL */
	char	   *proxy_password; /* NULL or not as proxy_user is */
} GraphCredentials;

/*
 * The options of one foreign table, its server and, only while a scan runs, a
 * user mapping; defaults are filled in.  Strings are in the memory context
 * that was current in graph_get_options().
 */
typedef struct GraphOptions
{
	GraphService service;
	GraphLimits limits;
	GraphSwitches pushdown;
	GraphCredentials credentials;
	int			resource;		/* a GraphResource */
	int			updatable;		/* boolean: writing is allowed */
	int			max_writes;		/* of one statement to one table; 0: no limit */
	char	   *evidence_type;	/* "deviceEvidence", or NULL: of any type */
} GraphOptions;

/*-------------------------------------------------------------------------
 * Resources: what exists in Graph security.
 *-------------------------------------------------------------------------
 */

typedef enum GraphResource
{
	GRAPH_ALERTS,				/* one row per alert */
	GRAPH_EVIDENCE,				/* one row per element of evidence */
	GRAPH_COMMENTS,				/* one row per element of comments */
	GRAPH_INCIDENTS,			/* one row per incident */
	GRAPH_INCIDENT_COMMENTS,	/* one row per element of its comments */
} GraphResource;

#define GRAPH_NRESOURCES	(GRAPH_INCIDENT_COMMENTS + 1)

/* The types of Graph security are of this namespace. */
#define GRAPH_NAMESPACE		"microsoft.graph.security"

/* The Edm types of the metadata, as far as a column type follows from them. */
typedef enum GraphEdmType
{
	GRAPH_EDM_STRING,
	GRAPH_EDM_BOOLEAN,
	GRAPH_EDM_INT32,
	GRAPH_EDM_INT64,
	GRAPH_EDM_DOUBLE,
	GRAPH_EDM_DATETIME,			/* Edm.DateTimeOffset */
	GRAPH_EDM_GUID,
	GRAPH_EDM_ENUM,				/* text here: the service adds members */
	GRAPH_EDM_COMPLEX,			/* an object of a declared type */
	GRAPH_EDM_DICTIONARY,		/* an open object: any keys */
} GraphEdmType;

/* One property of one type of the metadata. */
typedef struct GraphProperty
{
	const char *owner;			/* declaring type without namespace: "alert" */
	const char *name;			/* as OData spells it: "createdDateTime" */
	GraphEdmType type;
	const char *type_name;		/* of an enum or complex value, without
								 * namespace; else NULL */
	bool		collection;
	const char *description;	/* what it says, in a line */
} GraphProperty;

/* A property of a resource that the service can filter, and perhaps sort. */
typedef struct GraphQueryProperty
{
	const char *name;			/* "createdDateTime" */
	GraphEdmType type;			/* STRING, ENUM or DATETIME */
	const char *enum_name;		/* of an ENUM */
	bool		nullable;
	bool		sortable;
	bool		any_case;		/* the service may compare without case what
								 * comes in more than one */
} GraphQueryProperty;

/* A property that can be written. */
typedef struct GraphWritableProperty
{
	const char *name;			/* "assignedTo" */
	bool		nullable;		/* null clears it */
} GraphWritableProperty;

/* A column that has a name of its own, and what it reads. */
typedef struct GraphNamedColumn
{
	const char *name;
	const char *type;			/* as DDL has it */
	const char *property;		/* as in the column option */
} GraphNamedColumn;

/*
 * How records are asked for by what they belong to: the navigation property of
 * an entity of another set is the list of its records.
 */
typedef struct GraphNavigation
{
	const char *property;		/* the owner's key in a record: "incidentId" */
	const char *owner_set;		/* "/security/incidents" */
	const char *owner;			/* what messages call one: "incident" */
	const char *segment;		/* the navigation property: "alerts" */
	const char *permission;		/* the least that lets it be read */
	const char *option;			/* which turns it off */
	double		records_per_owner;	/* estimated */
} GraphNavigation;

/*
 * One resource: what the table option "resource" may name.  A request gives
 * records; each is a row, or holds some.
 */
typedef struct GraphResourceInfo
{
	const char *name;			/* "alerts", "evidence", "comments" */
	const char *table;			/* the table that IMPORT makes of it */
	const char *entity_set;		/* "/security/alerts_v2" */
	const char *record;			/* type of a record, and what messages call
								 * it: "alert" */
	const char *key;			/* property by which a record is looked up */
	const char *default_order;	/* property by which a list is in order,
								 * newest first, if nothing else is asked for */
	int			largest_page;	/* the most records that $top gives */
	const char *read_permission;	/* the least that lets it be read */
	const char *also_read_by;	/* the others, with blanks between them */
	const char *write_permission;
	const GraphQueryProperty *properties;	/* filtered and sorted by */
	int			nproperties;
	const char *rows_member;	/* member of a record whose elements are the
								 * rows, or NULL: the record is the row */
	double		rows_per_record;	/* estimated */
	const char *row_type;		/* type of a row: "alert", "alertEvidence" */
	bool		has_derived;	/* rows are of types that derive from it */
	const GraphNamedColumn *record_columns; /* what IMPORT has such a row tell
											 * of its record: up to one
											 * without a name, or NULL */
	const GraphWritableProperty *writable;	/* of a record: what a PATCH can
											 * set; of rows in one: what a new
											 * row is made of */
	int			nwritable;
	const GraphNavigation *navigation;	/* or NULL: its records are of nothing */
} GraphResourceInfo;

/* What the metadata says of a member of an enum. */
typedef enum GraphEnumMember
{
	GRAPH_ENUM_UNKNOWN,			/* not in the metadata: perhaps newer */
	GRAPH_ENUM_KNOWN,			/* always shown by its name */
	GRAPH_ENUM_GATED,			/* shown by its name only with the header
								 * "Prefer: include-unknown-enum-members" */
} GraphEnumMember;

/* Room for the members of an enum that are looked at one by one. */
#define GRAPH_MOST_MEMBERS	64

/* The search for what was meant by a name that does not exist. */
typedef struct GraphSimilarName
{
	char	   *name;			/* in lower case */
	const char *closest;		/* of those that were tried, or NULL */
	int			distance;		/* its edits, or more than are looked at */
} GraphSimilarName;

/* What a column of a foreign table reads. */
typedef enum GraphColumnSource
{
	GRAPH_SOURCE_PATHS,			/* the first of some paths that is present */
	GRAPH_SOURCE_ORDINAL,		/* position in the record, from 1 */
	GRAPH_SOURCE_EVIDENCE_TYPE, /* @odata.type without its namespace */
} GraphColumnSource;

typedef struct GraphColumn
{
	AttrNumber	attnum;
	char	   *name;			/* the column's */
	GraphColumnSource source;

	/*
	 * The paths, in the order in which they are tried: lists of C strings of
	 * OData steps separated by '/', "." for the whole object.  A path that
	 * was written "../severity" is "severity" here with in_alert true.
	 */
	List	   *paths;			/* of char * */
	List	   *in_alert;		/* of int, one for each path: read it from the
								 * record, not from the row's own object */
} GraphColumn;

/* What a column of a table that is written to is for. */
typedef struct GraphTargetColumn
{
	AttrNumber	attnum;
	char	   *name;
	Oid			type;
	const GraphWritableProperty *writable;	/* NULL: cannot be written */
	const GraphProperty *property;	/* of writable, by the metadata */
	bool		is_key;			/* it reads the id of the record */
	bool		is_generated;
	bool		is_routing;		/* a partition is chosen by it */
	List	   *roots;			/* char *: the properties of the record that
								 * it reads a value from, "." for all of them */
} GraphTargetColumn;

/* A table that is written to. */
typedef struct GraphTarget
{
	Oid			relid;
	char	   *name;
	GraphOptions options;		/* without a login */
	const GraphResourceInfo *resource;
	GraphTargetColumn *columns; /* without those that were dropped */
	int			ncolumns;
	const GraphTargetColumn *key;	/* or NULL */
} GraphTarget;

/* in similar_name.c */
extern void graph_similar_init(GraphSimilarName *similar, const char *name);
extern void graph_similar_try(GraphSimilarName *similar, const char *candidate);

/* in option.c */
extern void graph_get_options(ForeignTable *table, ForeignServer *server,
							  UserMapping *user, GraphOptions *result);
extern char *graph_column_property(Oid relid, AttrNumber attnum);
extern void graph_set_wrapper(PGFunction handler, PGFunction validator);
extern void graph_check_wrapper(const ForeignServer *server);
extern char *graph_options_secret(const GraphOptions *options, size_t *place);
extern void graph_options_wipe(GraphOptions *options, List *list);

/* in login_option.c */
extern const char *graph_login_name(GraphLogin login);
extern GraphLogin graph_find_login(List *options, int elevel,
								   GraphLogin *proof);

/* in validator.c */
extern PGDLLEXPORT Datum graph_fdw_validator(PG_FUNCTION_ARGS);
extern void graph_check_import_options(List *options);

/* in selectable.c */
extern Bitmapset *graph_selectable_resources(Oid serverid, Oid userid);

/* in resource.c */
extern const GraphResourceInfo *graph_resource_info(GraphResource resource);
extern double graph_usual_records(const GraphResourceInfo *resource);
extern const GraphResourceInfo *graph_find_resource(const char *name);
extern GraphResource graph_resource_number(const GraphResourceInfo *info);
extern const char *graph_records_name(const GraphResourceInfo *info);
extern const char *const *graph_evidence_types(int *count);
extern bool graph_is_evidence_type(const char *name);
extern List *graph_type_properties(const char *type_name);
extern const GraphProperty *graph_find_property(const char *type_name,
												const char *name);
extern const GraphProperty *graph_find_path(const char *type_name,
											const char *path);
extern List *graph_outer_properties(const char *type_name, const char *path);
extern const char *graph_table_description(const char *name);
extern const char *graph_named_description(const char *name);
extern GraphEnumMember graph_enum_member(const char *enum_name,
										 const char *literal);
extern bool graph_is_other_case(const char *enum_name, const char *word,
								size_t len);
extern int	graph_known_members(const char *enum_name, const char **names);
extern List *graph_countable_members(const char *enum_name);
extern List *graph_settable_members(const char *enum_name);
extern const GraphQueryProperty *graph_query_property(const GraphResourceInfo *resource,
													  const char *name);
extern char *graph_snake_case(const char *name);
extern const char *graph_skip_name(const char *text, const char *name);
extern bool graph_same_name(const char *text, const char *name);

/* in writable.c */
extern int	graph_updatable_commands(Relation relation);
extern GraphTarget *graph_target_open(Relation relation);
extern const char *graph_target_problem(const GraphTarget *target,
										CmdType operation, const char **hint);
extern char *graph_target_columns(const GraphTarget *target);
extern const char *graph_current_member(const char *enum_name,
										const char *word);

/* in column.c */
extern const char *graph_evidence_type_hint(const char *name);
extern const GraphNamedColumn *graph_join_columns(int *count);
extern const char *graph_property_problem(const char *value);
extern const char *graph_row_type(const GraphResourceInfo *resource,
								  const char *evidence_type);
extern GraphColumn *graph_resolve_column(GraphResource resource,
										 const char *evidence_type,
										 const char *table_name,
										 const char *column_name,
										 const char *property);
extern GraphColumn *graph_find_column(GraphResource resource,
									  const char *evidence_type,
									  const char *column_name,
									  const char *property);
extern const GraphProperty *graph_column_enum(const GraphResourceInfo *resource,
											  const char *evidence_type,
											  const GraphColumn *column);
extern bool graph_is_known_column(const GraphResourceInfo *resource,
								  const char *evidence_type,
								  const GraphColumn *column);
extern const char *graph_similar_property(const GraphResourceInfo *resource,
										  const char *evidence_type,
										  const GraphColumn *column);

/* in describe.c */
extern PGDLLEXPORT Datum graph_fdw_describe(PG_FUNCTION_ARGS);

/* in import.c */
extern List *graphImportForeignSchema(ImportForeignSchemaStmt *stmt,
									  Oid serverid);

#endif							/* GRAPH_CATALOG_H */
