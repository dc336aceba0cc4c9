/* graph_fdw--1.0--1.1.sql: what version 1.1 has beside that of 1.0 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION graph_fdw UPDATE TO '1.1'" to load this file. \quit

/* Writes */

-- more columns: how many changes the service has taken, and what all sessions do
-- together with the last user mapping that was asked with (times in milliseconds)
DROP FUNCTION graph_fdw_stats();

CREATE FUNCTION graph_fdw_stats(
  OUT server_name text, OUT requests bigint, OUT retries bigint,
  OUT throttled bigint, OUT bytes bigint, OUT records bigint,
  OUT writes bigint, OUT all_requests bigint, OUT all_throttled bigint,
  OUT all_waited double precision, OUT all_waiting integer,
  OUT all_wait_until timestamp with time zone)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION graph_fdw_stats()
IS 'what this session has asked of each server, and all sessions together of its service';

-- ===================================================================
-- What all sessions ask of a service that counts their requests together
-- ===================================================================

CREATE FUNCTION graph_fdw_activity_rows(
  OUT pid integer, OUT datid oid, OUT usesysid oid, OUT state text,
  OUT since timestamp with time zone, OUT method text, OUT resource text,
  OUT page bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'graph_fdw_activity'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION graph_fdw_activity_rows()
IS 'what each session asks of a service now, or waits for';

CREATE VIEW graph_fdw_activity AS
  SELECT a.pid, d.datname, r.rolname AS usename, a.state, a.since, a.method, a.resource, a.page
  FROM graph_fdw_activity_rows() AS a
    LEFT JOIN pg_catalog.pg_database AS d ON d.oid = a.datid
    LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.usesysid;

COMMENT ON VIEW graph_fdw_activity
IS 'what each session asks of a service now, or waits for';

GRANT SELECT ON graph_fdw_activity TO PUBLIC;

-- ===================================================================
-- Copies: local tables that keep up with the service
--
-- graph_fdw_copy has a row for each list of the service that is copied: the
-- alerts of a source schema, its incidents.  What these functions read and
-- write they do as whoever calls them.  The extension can be moved to another
-- schema, so what is of this script is found by pg_extension, and everything
-- else in pg_catalog.  Where others may create functions in that schema, a call
-- must not fit an overload of theirs better: its arguments have the very types
-- that are declared, and rows are passed as jsonb.
-- ===================================================================

CREATE FUNCTION graph_fdw_may_commit()
RETURNS boolean
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION graph_fdw_may_commit()
IS 'may the procedure in which this is called use COMMIT';

CREATE FUNCTION graph_fdw_trim_memory()
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION graph_fdw_trim_memory()
IS 'give free memory of this session back to the operating system';

CREATE FUNCTION graph_fdw_clock_ahead(server_name text)
RETURNS interval
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION graph_fdw_clock_ahead(text)
IS 'how far a service''s clock is ahead of ours, by its last answer in this session';

CREATE TABLE graph_fdw_copy (
  target_schema name NOT NULL,
  source_schema name NOT NULL,
  resource text NOT NULL CHECK (resource IN ('alerts', 'incidents')),
  owner name NOT NULL DEFAULT current_user,
  tenant_id text,
  -- first the table of the alerts or incidents, then those of what is in them
  tables jsonb NOT NULL,
  since interval,
  overlap interval NOT NULL CHECK (overlap >= '0'),
  removed text NOT NULL CHECK (removed IN ('mark', 'delete', 'keep')),
  made_schema boolean NOT NULL,
  -- how far it is; times of creation and of the last update are the service's
  load_started timestamptz,
  loaded_from timestamptz,
  load_width interval NOT NULL DEFAULT '1 day',
  load_end timestamptz,
  load_sorted boolean,
  load_cut timestamptz,
  loaded boolean NOT NULL DEFAULT false,
  up_to timestamptz,
  by_update boolean NOT NULL DEFAULT false,
  changes_width interval,
  -- where reading in pieces goes on, and what the service's clock showed when
  -- the first of them was read
  changes_from timestamptz,
  changes_started timestamptz,
  compared_to timestamptz,
  -- of everything a step of a comparison has at most one part of so many
  compare_parts int NOT NULL DEFAULT 1,
  row_count bigint NOT NULL DEFAULT 0,
  -- the last refresh
  refresh_started timestamptz,
  last_refresh timestamptz,
  duration interval,
  requests bigint,
  inserted bigint,
  updated bigint,
  unchanged bigint,
  -- the last refresh that compared everything
  last_full timestamptz,
  compared bigint,
  repaired bigint,
  gone bigint,
  last_error text,
  last_error_at timestamptz,
  -- whose alerts were found, if not those of tenant_id
  other_tenant text,
  PRIMARY KEY (target_schema, source_schema, resource)
) WITH (fillfactor = 50);

COMMENT ON TABLE graph_fdw_copy
IS 'what is copied by graph_fdw_refresh_copy(), and how far it is';

SELECT pg_catalog.pg_extension_config_dump('graph_fdw_copy', '');

-- Nobody but a superuser reads, writes or locks the table itself; the owner of
-- the database may read it, for pg_dump, and restore what is theirs.  All else
-- goes through views, whose conditions say what the current role may do: 3, it
-- owns the copy or its schema; 2, it may refresh it; 1, it may read it.
-- These are no policies, since with row-level security pg_dump would refuse to
-- dump the table for anybody but superusers.
GRANT SELECT, INSERT ON graph_fdw_copy TO pg_database_owner;

CREATE FUNCTION graph_fdw_copy_level(copy jsonb)
RETURNS int
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  main oid;
BEGIN
  IF EXISTS (SELECT FROM pg_roles AS r
             WHERE r.rolname IN ((copy->>'owner')::name, (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = (copy->>'target_schema')::name))
               AND pg_has_role(r.oid, 'USAGE'))
    OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    RETURN 3;
  END IF;
  SELECT c.oid INTO main FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = (copy->>'target_schema')::name AND c.relname = (copy->'tables'->0->>'target')::name;
  RETURN CASE WHEN has_table_privilege(main, 'INSERT') THEN 2 WHEN has_table_privilege(main, 'SELECT') THEN 1 ELSE 0 END;
END
$$;

CREATE VIEW graph_fdw_copy_rows WITH (security_barrier = true) AS
SELECT c.*, graph_fdw_copy_level(to_jsonb(c)) = 3 AS is_owned
FROM graph_fdw_copy AS c
WHERE graph_fdw_copy_level(to_jsonb(c)) >= 2;

COMMENT ON VIEW graph_fdw_copy_rows
IS 'rows of graph_fdw_copy that the current role may keep; graph_fdw_copies is to be read';

-- not DELETE nor all of UPDATE, with which LOCK TABLE would be allowed
GRANT SELECT, INSERT, UPDATE (overlap, removed, load_started, loaded_from, load_width, load_end, load_sorted, load_cut, loaded, up_to,
  by_update, changes_width, changes_from, changes_started, compared_to, compare_parts, row_count, refresh_started, last_refresh, duration, requests, inserted,
  updated, unchanged, last_full, compared, repaired, gone, last_error, last_error_at, other_tenant)
ON graph_fdw_copy_rows TO PUBLIC;

-- a row is deleted by its keys' being inserted here
CREATE VIEW graph_fdw_copy_drop AS
SELECT target_schema, source_schema, resource FROM graph_fdw_copy WHERE false;

CREATE RULE graph_fdw_copy_drop AS ON INSERT TO graph_fdw_copy_drop DO INSTEAD
DELETE FROM graph_fdw_copy AS c
WHERE c.target_schema = NEW.target_schema AND c.source_schema = NEW.source_schema AND c.resource = NEW.resource
  AND graph_fdw_copy_level(to_jsonb(c)) = 3;

GRANT INSERT ON graph_fdw_copy_drop TO PUBLIC;

-- A row is made by who owns the schema and the tables, since a refresh does what
-- it says as whoever calls it.  In a database that is restored by another role,
-- what is of that role is its copy.
CREATE FUNCTION graph_fdw_copy_check()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  this_copy constant text := format('copy "%s" of "%s"', NEW.target_schema, NEW.source_schema);
  superuser constant boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
  maker constant oid := (SELECT oid FROM pg_roles WHERE rolname = NEW.owner);
  level int;
  tables jsonb := NEW.tables;
  holds boolean;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    EXECUTE format('SELECT %I.graph_fdw_copy_level($1)', TG_TABLE_SCHEMA) INTO level USING to_jsonb(OLD);
    IF level < 3 AND (level < 2 OR (NEW.overlap, NEW.removed) IS DISTINCT FROM (OLD.overlap, OLD.removed)) THEN
      RAISE insufficient_privilege USING MESSAGE = format('must be owner of %s', this_copy);
    END IF;
    RETURN NEW;
  END IF;
  IF jsonb_typeof(tables) <> 'array' OR tables->0->>'target' IS NULL THEN
    tables := '[{}]';
  END IF;
  holds := EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = NEW.target_schema AND pg_has_role(n.nspowner, 'USAGE'))
    AND NOT EXISTS (SELECT FROM jsonb_array_elements(tables) AS t
                    WHERE NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                                      WHERE n.nspname = NEW.target_schema AND c.relname = t->>'target'
                                        AND pg_has_role(c.relowner, 'USAGE')));
  IF NOT holds AND NOT superuser THEN
    IF pg_has_role(maker, 'USAGE') THEN
      RAISE insufficient_privilege USING
        MESSAGE = format('must be owner of schema %s and of the tables of the copy', NEW.target_schema);
    END IF;
    RAISE WARNING USING MESSAGE = format('%s is left out, since it is of role "%s"', this_copy, NEW.owner);
    RETURN NULL;
  ELSIF maker IS NULL OR NOT pg_has_role(maker, 'USAGE') THEN
    NEW.owner := current_user;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER graph_fdw_copy_check BEFORE INSERT OR UPDATE ON graph_fdw_copy
FOR EACH ROW EXECUTE FUNCTION graph_fdw_copy_check();

-- Whoever refreshes a copy trusts its owner, who must be that role itself, a
-- superuser, one that has that role's privileges anyway (nobody is trusted for
-- what a superuser may), or trusted by name.  Schemas and tables may have been dropped and
-- made anew by somebody else, so before each step it is looked at whether all
-- that a refresh touches and that could run something belongs to the copy's owner
-- or to whom that may trust in the same way.  A trigger belongs to nobody: there
-- is none where somebody else may make them.  Returns what is not so, as a
-- sentence, or null.
CREATE FUNCTION graph_fdw_copy_distrust(copy jsonb, trusted name)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
  maker oid;
  superuser boolean;
  chosen constant jsonb := coalesce(copy->'tables'->0->'chosen', '[]');
  sources oid[];
  tabs oid[];
  far oid[] := '{}';
  types oid[];
  more oid[];
  what text[];
  owners oid[];
  found_one record;
BEGIN
  SELECT r.oid, r.rolsuper INTO maker, superuser FROM pg_roles AS r WHERE r.rolname = (copy->>'owner')::name;
  IF maker IS NULL THEN
    RETURN format('Role "%s" does not exist.', copy->>'owner');
  END IF;

  -- Step by step: one query of all this would need more memory than a refresh.
  tabs := ARRAY(
    SELECT c.oid
    FROM jsonb_array_elements(copy->'tables') AS t,
      -- of a tenant, that of which it is a partition as well
      LATERAL (VALUES (t->>'target'), (CASE WHEN copy->>'tenant_id' IS NOT NULL THEN t->>'source' END)) AS v(table_name),
      pg_class AS c
    WHERE c.relnamespace = to_regnamespace(quote_ident(copy->>'target_schema'))::oid AND c.relname = v.table_name::name);
  sources := ARRAY(
    SELECT c.oid FROM jsonb_array_elements(copy->'tables') AS t, pg_class AS c
    WHERE c.relnamespace = to_regnamespace(quote_ident(copy->>'source_schema'))::oid AND c.relname = (t->>'source')::name);

  -- whose schemas and foreign tables the copy's owner has chosen
  SELECT array_agg(format('Schema "%s"', n.nspname)), array_agg(n.nspowner) INTO what, owners
  FROM pg_namespace AS n
  WHERE n.nspname IN ((copy->>'target_schema')::name, (copy->>'source_schema')::name)
    AND NOT chosen ? pg_get_userbyid(n.nspowner);
  SELECT what || array_agg(format('Table "%s.%s"', n.nspname, c.relname) ORDER BY c.relname), owners || array_agg(c.relowner ORDER BY c.relname) INTO what, owners
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.oid = ANY (tabs) OR c.oid = ANY (sources) AND NOT chosen ? pg_get_userbyid(c.relowner);

  -- Where changes go on to, by foreign keys and rules: what is done there is done
  -- as the owner of that table, but deferred triggers and constraints run as
  -- whoever refreshes.  Tables that are partitioned by somebody's functions.
  tabs := ARRAY(SELECT unnest(tabs) UNION SELECT a.oid FROM unnest(tabs) AS t, pg_partition_ancestors(t) AS a(oid));
  more := ARRAY(SELECT c.oid FROM pg_class AS c WHERE c.oid = ANY (tabs) AND (c.relhastriggers OR c.relhasrules));
  WHILE more <> '{}' LOOP
    more := ARRAY(
      SELECT f.conrelid FROM pg_constraint AS f WHERE f.contype = 'f' AND f.confrelid = ANY (more)
      UNION SELECT d.refobjid FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
            WHERE w.ev_class = ANY (more) AND d.refclassid = 'pg_class'::regclass
      EXCEPT SELECT unnest(tabs || far));
    far := far || more;
  END LOOP;
  IF far <> '{}' THEN
    SELECT what || array_agg(format('Table "%s.%s", which a foreign key or a rule ties to the copy,', n.nspname, c.relname) ORDER BY c.relname), owners || array_agg(c.relowner ORDER BY c.relname)
      INTO what, owners
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = ANY (far);
    -- they are not locked, so there may be more before the transaction ends
    SELECT what || array_agg(format('The right to make triggers or foreign keys of "%s.%s", which a foreign key or a rule ties to the copy,', n.nspname, c.relname)),
           owners || array_agg(acl.grantee) INTO what, owners
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
      LATERAL (SELECT c.relacl UNION ALL SELECT a.attacl FROM pg_attribute AS a WHERE a.attrelid = c.oid) AS x(acl), aclexplode(x.acl) AS acl
    WHERE c.oid = ANY (far) AND acl.privilege_type IN ('TRIGGER', 'REFERENCES');
  END IF;
  tabs := tabs || sources || far;

  IF EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = ANY (tabs) AND NOT g.tgisinternal) THEN
    SELECT what || array_agg(format('The right to make triggers of "%s", which has some,', c.relname)), owners || array_agg(acl.grantee) INTO what, owners
    FROM pg_class AS c, aclexplode(c.relacl) AS acl
    WHERE c.oid = ANY (tabs) AND acl.privilege_type = 'TRIGGER'
      AND EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal);
    SELECT what || array_agg(format('The function of trigger "%s" of "%s"', g.tgname, c.relname)), owners || array_agg(p.proowner) INTO what, owners
    FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid JOIN pg_proc AS p ON p.oid = g.tgfoid
    WHERE g.tgrelid = ANY (tabs) AND NOT g.tgisinternal;
    SELECT what || array_agg(format('Something in the condition of trigger "%s" of "%s"', g.tgname, c.relname)),
           owners || array_agg(coalesce(p.proowner, o.oprowner, y.typowner)) INTO what, owners
    FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid
    JOIN pg_depend AS d ON d.classid = 'pg_trigger'::regclass AND d.objid = g.oid AND d.refobjid <> g.tgfoid
    LEFT JOIN pg_proc AS p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
    LEFT JOIN pg_operator AS o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
    LEFT JOIN pg_type AS y ON d.refclassid = 'pg_type'::regclass AND y.oid = d.refobjid
    WHERE g.tgrelid = ANY (tabs) AND NOT g.tgisinternal AND coalesce(p.proowner, o.oprowner, y.typowner) IS NOT NULL;
  END IF;

  -- types of columns, and the types that are in them
  more := ARRAY(SELECT DISTINCT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = ANY (tabs) AND a.attnum > 0 AND NOT a.attisdropped);
  WHILE more <> '{}' LOOP
    types := types || more;
    more := ARRAY(
      SELECT DISTINCT x.oid
      FROM pg_type AS t,
        LATERAL (SELECT t.typbasetype UNION ALL SELECT t.typelem
                 UNION ALL SELECT r.rngsubtype FROM pg_range AS r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
                 UNION ALL SELECT a.atttypid FROM pg_attribute AS a
                           WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS x(oid)
      WHERE t.oid = ANY (more) AND x.oid <> 0 AND x.oid <> ALL (types));
  END LOOP;
  SELECT what || array_agg(format('Type "%s" of a column', t.oid::regtype)), owners || array_agg(t.typowner) INTO what, owners
  FROM pg_type AS t WHERE t.oid = ANY (types);

  -- What constraints, defaults, indexes, rules, policies, partitions, types and
  -- casts of these call, by an operator or not.  Statistics are made as the
  -- table's owner, and operator classes by superusers.
  WITH part AS MATERIALIZED (
    SELECT 'pg_class'::regclass::oid AS classid, t AS objid FROM unnest(tabs) AS t
    UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index AS i WHERE i.indrelid = ANY (tabs)
    UNION ALL SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef AS a WHERE a.adrelid = ANY (tabs)
    UNION ALL SELECT 'pg_constraint'::regclass, f.oid FROM pg_constraint AS f WHERE f.conrelid = ANY (tabs)
    UNION ALL SELECT 'pg_constraint'::regclass, f.oid FROM pg_constraint AS f WHERE f.contypid = ANY (types)
    UNION ALL SELECT 'pg_rewrite'::regclass, w.oid FROM pg_rewrite AS w WHERE w.ev_class = ANY (tabs)
    UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy AS p WHERE p.polrelid = ANY (tabs)
    UNION ALL SELECT 'pg_type'::regclass, t FROM unnest(types) AS t
    UNION ALL SELECT 'pg_cast'::regclass, k.oid FROM pg_cast AS k WHERE k.castsource = ANY (types) AND k.casttarget = ANY (types)),
  used AS MATERIALIZED (
    SELECT part.*, d.refclassid, d.refobjid FROM part JOIN pg_depend AS d ON d.classid = part.classid AND d.objid = part.objid
    WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)),
  run AS (
    SELECT * FROM used
    UNION SELECT u.classid, u.objid, d.refclassid, d.refobjid FROM used AS u JOIN pg_depend AS d ON d.classid = u.refclassid AND d.objid = u.refobjid
    WHERE u.refclassid = 'pg_operator'::regclass AND d.refclassid = 'pg_proc'::regclass)
  SELECT what || array_agg(format('The %s that %s calls', pg_describe_object(r.refclassid, r.refobjid, 0), pg_describe_object(r.classid, r.objid, 0))),
         owners || array_agg(coalesce(p.proowner, o.oprowner)) INTO what, owners
  FROM run AS r
  LEFT JOIN pg_proc AS p ON r.refclassid = 'pg_proc'::regclass AND p.oid = r.refobjid
  LEFT JOIN pg_operator AS o ON r.refclassid = 'pg_operator'::regclass AND o.oid = r.refobjid;

  FOR found_one IN
    SELECT (array_agg(t.what ORDER BY t.place))[1] AS what,
           -- of which the database's owner is the only member
           CASE WHEN t.owner = 'pg_database_owner'::regrole THEN (SELECT d.datdba FROM pg_database AS d WHERE d.datname = current_database())
                ELSE t.owner END AS owner
    FROM unnest(what, owners) WITH ORDINALITY AS t(what, owner, place) GROUP BY t.owner ORDER BY min(t.place)
  LOOP
    CONTINUE WHEN found_one.owner = maker OR (SELECT r.rolsuper FROM pg_roles AS r WHERE r.oid = found_one.owner)
      OR NOT superuser AND found_one.owner <> 0 AND pg_has_role(found_one.owner, maker, 'USAGE');
    RETURN format('%s belongs to role "%s", and the copy to "%s".', found_one.what,
                  CASE found_one.owner WHEN 0 THEN 'public' ELSE pg_get_userbyid(found_one.owner)::text END, copy->>'owner');
  END LOOP;
  IF NOT superuser AND copy->>'owner' NOT IN (current_user, coalesce(trusted, ''))
    AND ((SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) OR NOT pg_has_role(maker, current_user, 'USAGE')) THEN
    RETURN format('The copy belongs to role "%s", whose code would run as "%s".', copy->>'owner', current_user);
  END IF;
  RETURN NULL;
END
$$;

CREATE VIEW graph_fdw_copies WITH (security_barrier = true) AS
SELECT target_schema, source_schema, tenant_id,
       CASE WHEN bool_or(last_error IS NOT NULL) THEN 'failed'
            WHEN bool_and(load_started IS NULL) THEN 'new'
            WHEN NOT bool_and(loaded) THEN 'loading'
            ELSE 'ready' END AS state,
       max(greatest(loaded_from, load_end)) AS loaded_from,
       min(up_to) AS up_to,
       sum(row_count)::bigint AS rows,
       min(last_refresh) AS last_refresh,
       sum(duration) AS duration,
       sum(requests)::bigint AS requests,
       sum(inserted)::bigint AS inserted,
       sum(updated)::bigint AS updated,
       sum(unchanged)::bigint AS unchanged,
       min(last_full) AS last_full,
       sum(repaired)::bigint AS repaired,
       sum(gone)::bigint AS removed,
       string_agg(resource || ': ' || last_error, E'\n' ORDER BY resource) AS last_error,
       max(last_error_at) AS last_error_at
FROM graph_fdw_copy AS c
WHERE graph_fdw_copy_level(to_jsonb(c)) >= 1
GROUP BY target_schema, source_schema, tenant_id;

COMMENT ON VIEW graph_fdw_copies
IS 'the copies that the current role may read: how far they are, and what the last refresh did';

GRANT SELECT ON graph_fdw_copies TO PUBLIC;

-- The relations of a copy are foreign tables of graph_fdw, and what the keys
-- and times in them are called.
CREATE FUNCTION graph_fdw_copy_source(source_schema name, source_table name)
RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_build_object(
    'source', c.relname,
    'server', s.srvname,
    'resource', coalesce((SELECT option_value FROM pg_options_to_table(t.ftoptions)
                          WHERE option_name = 'resource'), 'alerts'),
    'typed', EXISTS (SELECT FROM pg_options_to_table(t.ftoptions) WHERE option_name = 'evidence_type'),
    -- by the first way of its property
    'columns', (SELECT jsonb_object_agg(p.property, a.attname)
                FROM pg_attribute AS a,
                     LATERAL (SELECT replace(lower(split_part(coalesce(
                                (SELECT option_value FROM pg_options_to_table(a.attfdwoptions)
                                 WHERE option_name = 'property'), a.attname), '|', 1)), '_', '') AS property) AS p
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_foreign_table AS t ON t.ftrelid = c.oid
  JOIN pg_foreign_server AS s ON s.oid = t.ftserver
  JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
  JOIN pg_proc AS p ON p.oid = w.fdwhandler AND p.prosrc = 'graph_fdw_handler'
  WHERE n.nspname = $1 AND c.relname = $2
$$;

-- The columns that a source and its copy have in common: the name, the value of
-- a row of the source that is called source_row, what that is in the copy, and
-- the property.  The value has no type modifier, so that what is too long for
-- the copy is an error of the assignment, where a cast would cut it.  What it
-- is compared as has it, since a number or a time is rounded by the assignment
-- too; but not if it would be cut, so that it differs from what was cut before.
CREATE FUNCTION graph_fdw_copy_columns(source regclass, target regclass, tenant_id text,
  OUT name text, OUT value text, OUT compared text, OUT property text)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT quote_ident(s.attname),
         format('source_row.%I', s.attname) ||
         CASE WHEN s.atttypid = t.atttypid THEN ''
              -- nor has a domain one that counts
              WHEN y.typtype = 'd' AND y.typcategory = 'S' THEN '::text'
              ELSE '::' || format_type(t.atttypid, -1) END,
         CASE WHEN (s.atttypid, s.atttypmod) = (t.atttypid, t.atttypmod) THEN format('source_row.%I', s.attname)
              WHEN t.atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND t.atttypmod > 4
              THEN format('CASE WHEN char_length(rtrim(source_row.%1$I::text)) <= %2$s THEN source_row.%1$I::%3$s ELSE source_row.%1$I::%4$s END',
                          s.attname, t.atttypmod - 4, format_type(t.atttypid, t.atttypmod), format_type(t.atttypid, -1))
              ELSE format('source_row.%I::%s', s.attname, format_type(t.atttypid, t.atttypmod)) END,
         replace(lower(coalesce((SELECT option_value FROM pg_options_to_table(s.attfdwoptions)
                                 WHERE option_name = 'property'), s.attname)), '_', '')
  FROM pg_attribute AS s
  JOIN pg_attribute AS t ON t.attname = s.attname AND t.attrelid = $2 AND t.attnum > 0
                        AND NOT t.attisdropped AND t.attgenerated = ''
  JOIN pg_type AS y ON y.oid = t.atttypid
  WHERE s.attrelid = $1 AND s.attnum > 0 AND NOT s.attisdropped
    AND ($3 IS NULL OR s.attname <> 'tenant_id')
  ORDER BY s.attnum
$$;

-- The statement that reads what a condition on source_row names, alerts with
-- evidence and comments in one stream of requests, and writes what differs.
-- $1 and $2 are bounds for the condition, $3 the time before which nothing new
-- is expected, $4 when we began, $5 ids, and $6 what the service's clock showed
-- then, if that is known already.
--
-- Rows of the copy are found by scalar sub-selects, which are index scans
-- whatever the planner believes of the tables.  They are compared byte by byte,
-- since not every type has an equality.  What an alert's row has in an array as
-- well is looked at where the row differs, and everywhere with all_children, or
-- if the copy has no such column.
CREATE FUNCTION graph_fdw_copy_statement(copy jsonb, condition text, all_children boolean, max_rows bigint)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ext text;
  tab jsonb;
  source text;
  target text;
  col record;
  tenant_key constant text := CASE WHEN (copy->>'tenant_id') IS NOT NULL THEN 'tenant_id, ' ELSE '' END;
  tenant_value constant text := coalesce(quote_literal(copy->>'tenant_id') || ', ', '');
  parent constant jsonb := copy->'tables'->0;
  nr int := 0;
  arrays text[];
  marks boolean;
  given text;
  steps text := '';
  touched text;
  moment text;
  guid constant text := '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
  tenant text;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';

  FOR tab IN SELECT * FROM jsonb_array_elements(copy->'tables') LOOP
    source := format('%I.%I', (copy->>'source_schema'), tab->>'source');
    target := format('%I.%I', (copy->>'target_schema'), tab->>'target');
    EXECUTE format('SELECT string_agg(name, $4) AS names, string_agg(value, $4) AS values,
                           string_agg(value || $5 || name, $4) AS read, string_agg(compared, $4) AS compared,
                           string_agg($6 || name, $4) AS read_values, string_agg($7 || name, $4) AS old_values,
                           string_agg(name || $8 || name, $4) AS assignments, array_agg(name) AS every_name,
                           (array_agg(name) FILTER (WHERE property = ANY (''{raw,.}'')))[1] AS raw
                    FROM %s.graph_fdw_copy_columns($1, $2, $3)', ext)
      INTO col USING source::regclass, target::regclass, copy->>'tenant_id',
                     ', ', ' AS ', 'source_row.', 'o.', ' = excluded.';
    IF nr = 0 THEN
      given := 'SELECT ' || col.read;
      arrays := col.every_name;
      marks := EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = target::regclass AND a.attname = 'removed_at' AND NOT a.attisdropped)
        AND NOT 'removed_at' = ANY (arrays);
      steps := format($q$,
changed AS (
  INSERT INTO %1$s AS t (%2$s%3$s)
  SELECT %4$s%5$s FROM given AS source_row
  WHERE (SELECT %6$sROW(%7$s)::record OPERATOR(pg_catalog.*=) ROW(%11$s)::record
         FROM ONLY %1$s AS o WHERE o.%8$I = source_row.%8$I) IS NOT TRUE
  ON CONFLICT (%2$s%8$I) DO UPDATE SET %9$s%10$s
  RETURNING t.%8$I AS id, t.xmax = 0 AS inserted)$q$,
        target, tenant_key, col.names, tenant_value, col.read_values,
        CASE WHEN marks THEN 'o.removed_at IS NULL AND ' ELSE '' END, col.old_values,
        tab->>'id', col.assignments, CASE WHEN marks THEN ', removed_at = NULL' ELSE '' END, col.compared);
      -- what is written into the key is compared with what the service says
      IF copy->>'tenant_id' ~* guid THEN
        SELECT format('lower(%I::text::jsonb->>''tenantId'')', a.attname) INTO tenant FROM pg_attribute AS a
        WHERE a.attrelid = source::regclass AND quote_ident(a.attname) = col.raw AND a.atttypid IN ('json'::regtype, 'jsonb'::regtype);
      END IF;
      touched := 'SELECT id FROM changed';
    ELSE
      given := given || format(', ARRAY(SELECT child_row FROM ONLY %s AS child_row WHERE child_row.%I = source_row.%I) AS "%s"',
                               source, tab->>'key', parent->>'id', nr);
      steps := steps || format($q$,
written%1$s AS (
  INSERT INTO %2$s AS t (%3$s%4$s)
  SELECT %5$s%6$s FROM given AS g, unnest(g."%1$s") AS source_row
  WHERE (SELECT ROW(%7$s)::record OPERATOR(pg_catalog.*=) ROW(%13$s)::record
         FROM ONLY %2$s AS o WHERE o.%8$I = source_row.%8$I AND o.%9$I = source_row.%9$I) IS NOT TRUE%12$s
  ON CONFLICT (%3$s%8$I, %9$I) DO UPDATE SET %10$s
  RETURNING t.%8$I AS id),
deleted%1$s AS (
  DELETE FROM ONLY %2$s AS t
  WHERE t.ctid = ANY (ARRAY(
    SELECT o.ctid FROM given AS g,
      LATERAL (SELECT ARRAY(SELECT x.%9$I FROM unnest(g."%1$s") AS x) AS kept OFFSET 0) AS k,
      LATERAL (SELECT o.ctid FROM ONLY %2$s AS o
               WHERE o.%8$I = g.%11$I AND o.%9$I <> ALL (k.kept) OFFSET 0) AS o
    WHERE true%12$s))
  RETURNING t.%8$I AS id)$q$,
        nr, target, tenant_key, col.names, tenant_value, col.values, col.old_values,
        tab->>'key', tab->>'ordinal', col.assignments, parent->>'id',
        CASE WHEN quote_ident(tab->>'array') = ANY (arrays) AND NOT all_children
             THEN format(' AND g.%I IN (SELECT id FROM changed)', parent->>'id') ELSE '' END, col.compared);
      touched := touched || format(' UNION SELECT id FROM written%1$s UNION SELECT id FROM deleted%1$s', nr);
    END IF;
    nr := nr + 1;
  END LOOP;

  moment := format('greatest(%I, %I)', parent->>'updated', parent->>'created');
  RETURN format($q$WITH given AS MATERIALIZED (
  %1$s
  FROM ONLY %2$I.%3$I AS source_row WHERE %4$s%11$s)%5$s,
touched AS MATERIALIZED (%6$s)
SELECT count(*) AS given,
       (SELECT count(*) FROM changed WHERE inserted) AS inserted,
       (SELECT count(*) FROM touched) - (SELECT count(*) FROM changed WHERE inserted) AS updated,
       (SELECT count(*) FROM given AS g JOIN touched AS t ON t.id = g.%7$I
        WHERE coalesce(%8$s < $3, true)) AS missed,
       -- of all that the service's clock had shown when we began
       max(%8$s) FILTER (WHERE %8$s <= coalesce($6, $4 + coalesce(%9$s.graph_fdw_clock_ahead(%10$L::text), '0'))) AS latest,
       max(%12$I) AS newest,
       -- as far as a list goes that was in order
       %13$s AS oldest,
       CASE WHEN $5 IS NOT NULL THEN array_agg(%7$I::text) END AS ids,
       %14$s AS other_tenant
FROM given$q$,
    given, (copy->>'source_schema'), parent->>'source', condition, steps, touched,
    parent->>'id', moment, ext,
    (SELECT srv.srvname FROM pg_foreign_table AS f JOIN pg_foreign_server AS srv ON srv.oid = f.ftserver
     WHERE f.ftrelid = format('%I.%I', (copy->>'source_schema'), parent->>'source')::regclass),
    ' LIMIT ' || max_rows, parent->>'created',
    CASE WHEN max_rows IS NULL THEN 'NULL::timestamptz'
         ELSE format('(SELECT CASE WHEN count(*) FILTER (WHERE (o.this <= o.before) IS NOT TRUE) = 1 THEN min(o.this) END
        FROM (SELECT g.%1$I AS this, lag(g.%1$I) OVER () AS before FROM given AS g) AS o)', parent->>'created') END,
    CASE WHEN tenant IS NULL THEN 'NULL::text'
         ELSE format('min(%1$s) FILTER (WHERE %1$s ~ %2$L AND %1$s <> %3$L)', tenant, guid, lower(copy->>'tenant_id')) END);
END
$$;

-- The query that compares a list without evidence to the copy: how many are
-- listed, ids of those that differ, and of those that are not listed.  BOUNDS are
-- what creation, %1$s, is between: $1 and $2.
CREATE FUNCTION graph_fdw_copy_difference(copy jsonb, bounds text)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ext text;
  col record;
  children text;
  -- of what was marked before as well
  not_removed constant text := CASE WHEN EXISTS (
      SELECT FROM pg_attribute AS a
      WHERE a.attrelid = format('%I.%I', copy->>'target_schema', copy->'tables'->0->>'target')::regclass AND a.attname = 'removed_at' AND NOT a.attisdropped)
    THEN 'o.removed_at IS NULL AND ' ELSE '' END;
  parent constant jsonb := copy->'tables'->0;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  EXECUTE format('SELECT string_agg(value || $4 || name, $5) AS read, string_agg(compared, $5) AS compared,
                         string_agg($6 || name, $5) AS old_values
                  FROM %s.graph_fdw_copy_columns($1, $2, $3)
                  WHERE property NOT LIKE ''evidence%%'' AND property NOT IN (''raw'', ''.'')', ext)
    INTO col USING format('%I.%I', (copy->>'source_schema'), parent->>'source')::regclass,
                   format('%I.%I', (copy->>'target_schema'), parent->>'target')::regclass, (copy->>'tenant_id'),
                   ' AS ', ', ', 'o.';
  -- evidence that the copy has lost shows by its number, if it has all in an array
  SELECT string_agg(format(' AND CASE jsonb_typeof(o.%1$I) WHEN ''array'' THEN jsonb_array_length(o.%1$I) ELSE 0 END
      = (SELECT count(*) FROM ONLY %2$I.%3$I AS x WHERE x.%4$I = o.%5$I)',
      t->>'array', (copy->>'target_schema'), t->>'target', t->>'key', parent->>'id'), '')
    INTO children FROM jsonb_array_elements(copy->'tables') AS t
    WHERE EXISTS (SELECT FROM pg_attribute AS a
                  WHERE a.attrelid = format('%I.%I', (copy->>'target_schema'), parent->>'target')::regclass
                    AND a.attname = t->>'array' AND a.atttypid = 'jsonb'::regtype AND NOT a.attisdropped);

  RETURN format($q$WITH list AS MATERIALIZED (
  SELECT %1$s FROM ONLY %2$I.%3$I AS source_row WHERE %4$s)
SELECT (SELECT count(*) FROM list) AS listed,
       ARRAY(SELECT source_row.%6$I::text FROM list AS source_row
             WHERE (SELECT %7$sROW(%8$s)::record OPERATOR(pg_catalog.*=) ROW(%9$s)::record%10$s
                    FROM ONLY %11$I.%12$I AS o WHERE o.%6$I = source_row.%6$I) IS NOT TRUE) AS differ,
       ARRAY(SELECT o.%6$I::text FROM ONLY %11$I.%12$I AS o WHERE %7$s%5$s
             EXCEPT SELECT l.%6$I::text FROM list AS l) AS missing$q$,
    col.read, (copy->>'source_schema'), parent->>'source',
    format(bounds, 'source_row.' || quote_ident(parent->>'created')), format(bounds, 'o.' || quote_ident(parent->>'created')),
    parent->>'id', not_removed, col.old_values, col.compared, coalesce(children, ''),
    (copy->>'target_schema'), parent->>'target');
END
$$;

-- One transaction's part of a refresh.  PHASE is what comes next: start, load,
-- changes, compare, and comparing after a part of that; NULL when there is nothing
-- more.
--
-- How far a copy is, up_to, is a time of the service:
-- - It is the latest time of last update or creation that was read, less the time
--   that reading took, but never later than what the service's clock showed when
--   reading began, which the Date of its answers tells (ours, if none has one).
-- - The next refresh asks for all from up_to less the overlap on, so that what
--   becomes visible late, or has the same time, is not lost.
-- - An alert whose times are later than that clock is copied like any other and
--   moves nothing: it comes with each refresh until its time has come.
-- - An up_to that stands later than that clock is taken back to the latest time
--   in the copy that does not, and the refresh goes on from there.
-- - Where no time is to be believed, up_to is NULL, and all is read again.
-- - What takes too long is read in pieces, each from where the last one ended,
--   over as many calls as it takes.  Reading lasts from the first of them to the
--   last, so that what has become visible behind a piece is within the overlap.
CREATE FUNCTION graph_fdw_copy_step(target_schema name, source_schema name, resource text,
  also_compare boolean, wait boolean, trusted name, INOUT phase text)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
-- little memory: no hash tables by estimate, and large pages wait in files
SET enable_hashagg = off
SET work_mem = '256kB'
AS $$
DECLARE
  this_copy constant text := format('copy "%s" of "%s"', target_schema, source_schema);
  kind "char";
  back boolean;
  took interval;
  may_grow boolean;
  cut boolean;
  probed boolean;
  max_rows bigint;
  list_size constant int := CASE resource WHEN 'alerts' THEN 8000 ELSE 1000 END;
  begun timestamptz;
  ext text;
  catalog text;
  copy record;
  tab jsonb;
  source text;
  target text;
  id text;
  created text;
  modified text;
  server name;
  requests bigint;
  clock timestamptz;
  low timestamptz;
  high timestamptz;
  bottom timestamptz;
  newest timestamptz;
  condition text;
  conditions text[];
  statement text;
  few bigint;
  listed text[];
  asked text[];
  found_ids bigint;
  one_by_one boolean;
  bounds text;
  part record;
  done record;
  diff record;
  gone record;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  catalog := format('%s.graph_fdw_copy_rows AS c WHERE c.target_schema = $1 AND c.source_schema = $2 AND c.resource = $3', ext);

  -- The row is locked to the end of the transaction, so that refreshes of one
  -- copy come one after the other, and the second sees what the first has done.
  EXECUTE format('SELECT c.* FROM %s', catalog) INTO copy USING $1, $2, $3;
  IF copy.target_schema IS NULL THEN
    RAISE undefined_object USING MESSAGE = format('%s does not exist', this_copy);
  END IF;
  EXECUTE format('SELECT c.* FROM %s FOR UPDATE SKIP LOCKED', catalog) INTO copy USING $1, $2, $3;
  IF copy.target_schema IS NULL THEN
    IF NOT wait THEN
      RAISE NOTICE '%: another session is refreshing %', this_copy, resource;
      phase := NULL;
      RETURN;
    END IF;
    RAISE NOTICE '%: waiting for another session, which is refreshing %', this_copy, resource;
    EXECUTE format('SELECT c.* FROM %s FOR UPDATE', catalog) INTO copy USING $1, $2, $3;
    IF copy.target_schema IS NULL THEN
      RAISE undefined_object USING MESSAGE = format('%s does not exist any more', this_copy);
    END IF;
  END IF;

  -- The tables are locked first, so that they stay those that are looked at.
  FOR tab IN SELECT * FROM jsonb_array_elements(copy.tables) LOOP
    target := format('%I.%I', copy.target_schema, tab->>'target');
    SELECT r.relkind INTO kind FROM pg_class AS r WHERE r.oid = to_regclass(target);
    IF kind IS NULL THEN
      RAISE undefined_table USING MESSAGE = format('%s has lost its table "%s"', this_copy, tab->>'target'),
        HINT = format('If the table or its schema was renamed, rename it back. Otherwise SELECT graph_fdw_drop_copy(%L, %L) drops what is left, and graph_fdw_create_copy() makes it anew.', $1, $2);
    ELSIF kind <> 'r' THEN
      RAISE wrong_object_type USING MESSAGE = format('%s is no ordinary table', target);
    END IF;
    EXECUTE format('LOCK TABLE ONLY %s IN ROW EXCLUSIVE MODE', target);
  END LOOP;
  EXECUTE format('SELECT %s.graph_fdw_copy_distrust($1, $2)', ext) INTO condition USING to_jsonb(copy), trusted;
  IF condition IS NOT NULL THEN
    RAISE insufficient_privilege USING MESSAGE = format('%s is not refreshed, since code of another role could run as "%s"', this_copy, current_user),
      DETAIL = condition,
      HINT = format('All that a copy consists of must belong to its owner, to a superuser, or to a role that is a member of its owner: ALTER ... OWNER TO changes that.%s',
                    CASE WHEN copy.owner <> current_user
                         THEN format(' A copy of another role is refreshed after SET ROLE, or with owner => %L by who trusts that role.', copy.owner) END);
  END IF;

  begun := clock_timestamp();
  source := format('%I.%I', copy.source_schema, copy.tables->0->>'source');
  target := format('%I.%I', copy.target_schema, copy.tables->0->>'target');
  id := quote_ident(copy.tables->0->>'id');
  created := quote_ident(copy.tables->0->>'created');
  modified := quote_ident(copy.tables->0->>'updated');
  -- a view in the place of a source could run anything as whoever refreshes
  FOR tab IN SELECT * FROM jsonb_array_elements(copy.tables) LOOP
    EXECUTE format('SELECT %s.graph_fdw_copy_source($1, $2)->>''server''', ext) INTO server
      USING copy.source_schema, (tab->>'source')::name;
    IF server IS NULL AND to_regclass(format('%I.%I', copy.source_schema, tab->>'source')) IS NULL THEN
      RAISE undefined_table USING MESSAGE = format('source "%s.%s" of %s does not exist', copy.source_schema, tab->>'source', this_copy),
        HINT = format('If the table or its schema was renamed, rename it back, or make another of that name. SELECT graph_fdw_drop_copy(%L, %L) drops the copy.', $1, $2);
    ELSIF server IS NULL THEN
      RAISE wrong_object_type USING
        MESSAGE = format('"%s.%s" is not a foreign table of graph_fdw', copy.source_schema, tab->>'source');
    END IF;
  END LOOP;
  EXECUTE format('SELECT coalesce(sum(requests), 0) FROM %s.graph_fdw_stats() WHERE server_name = $1', ext)
    INTO requests USING server;
  IF phase = 'start' THEN
    IF EXISTS (SELECT FROM pg_foreign_server AS s, pg_options_to_table(s.srvoptions) AS o
               WHERE s.srvname = server AND o.option_name = 'on_partial' AND o.option_value = 'warning') THEN
      RAISE object_not_in_prerequisite_state USING MESSAGE = format('answers of server "%s" may be incomplete', server),
        DETAIL = 'Its option "on_partial" is "warning", so that a copy could lose what an answer lacks.',
        HINT = 'Remove the option, or make the source''s tables with another server.';
    END IF;
    IF copy.removed = 'mark' AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = target::regclass AND a.attname = 'removed_at'
                                             AND NOT a.attisdropped) THEN
      RAISE undefined_column USING MESSAGE = format('%s lacks the column "removed_at"', this_copy),
        HINT = format('SELECT graph_fdw_alter_copy(%L) adds it.', $1);
    END IF;
    FOR tab IN SELECT * FROM jsonb_array_elements(copy.tables) LOOP
      IF row_security_active(format('%I.%I', copy.target_schema, tab->>'target')) THEN
        RAISE insufficient_privilege USING
          MESSAGE = format('row-level security would keep rows of "%s" from the refresh of %s', tab->>'target', this_copy);
      END IF;
      SELECT string_agg(s.attname, ', ' ORDER BY s.attnum) INTO condition FROM pg_attribute AS s
      WHERE s.attrelid = format('%I.%I', copy.source_schema, tab->>'source')::regclass AND s.attnum > 0 AND NOT s.attisdropped
        AND NOT EXISTS (SELECT FROM pg_attribute AS t WHERE t.attname = s.attname AND t.attnum > 0 AND NOT t.attisdropped
                        AND t.attrelid = format('%I.%I', copy.target_schema, tab->>'target')::regclass);
      IF condition IS NOT NULL THEN
        RAISE WARNING USING MESSAGE = format('%s lacks columns of "%s": %s', this_copy, tab->>'source', condition),
          HINT = format('SELECT graph_fdw_alter_copy(%L) adds them, and lets the next refresh read everything again.', copy.target_schema);
      END IF;
      SELECT string_agg(s.attname, ', ' ORDER BY s.attnum) INTO condition
      FROM pg_attribute AS s JOIN pg_type AS y ON y.oid = s.atttypid AND y.typcategory = 'S'
      JOIN pg_attribute AS t ON t.attname = s.attname AND t.attnum > 0 AND NOT t.attisdropped
                            AND t.attrelid = format('%I.%I', copy.target_schema, tab->>'target')::regclass
      JOIN pg_type AS u ON u.oid = t.atttypid
      WHERE s.attrelid = format('%I.%I', copy.source_schema, tab->>'source')::regclass AND s.attnum > 0 AND NOT s.attisdropped
        AND coalesce(nullif(u.typbasetype, 0), u.oid) IN ('varchar'::regtype, 'bpchar'::regtype)
        -- no length is -1
        AND greatest(t.atttypmod, u.typtypmod) BETWEEN 5 AND coalesce(nullif(greatest(s.atttypmod, y.typtypmod), -1), 2147483647) - 1;
      IF condition IS NOT NULL THEN
        RAISE WARNING USING MESSAGE = format('columns of %s are shorter than those of "%s": %s', this_copy, tab->>'source', condition),
          DETAIL = 'A value that is too long makes the refresh fail.',
          HINT = format('ALTER TABLE %I.%I ALTER ... TYPE text makes room. What was cut when a column was made shorter is then repaired with full => true.',
                        copy.target_schema, tab->>'target');
      END IF;
    END LOOP;
    -- it was emptied by hand, or by a crash if it is unlogged
    IF copy.row_count > 0 THEN
      EXECUTE format('SELECT count(*) FROM (SELECT FROM ONLY %s LIMIT 1) AS s', target) INTO few;
      IF few = 0 THEN
        RAISE WARNING USING MESSAGE = format('%s has lost all %s, and is loaded anew', this_copy, resource);
        SELECT NULL, NULL, '1 day', NULL, NULL, NULL, false, NULL, NULL, NULL, NULL, NULL, NULL, 0
          INTO copy.load_started, copy.loaded_from, copy.load_width, copy.load_end, copy.load_sorted, copy.load_cut, copy.loaded,
               copy.up_to, copy.changes_width, copy.changes_from, copy.changes_started, copy.compared_to, copy.last_refresh, copy.row_count;
      END IF;
    END IF;
    copy.other_tenant := NULL;
  END IF;
  IF phase = 'start' THEN
    phase := CASE WHEN copy.loaded THEN 'changes' ELSE 'load' END;
    SELECT begun, 0, 0, 0, 0 INTO copy.refresh_started, copy.requests, copy.inserted, copy.updated, copy.unchanged;
    IF also_compare AND copy.compared_to IS NULL THEN
      copy.by_update := false;
    END IF;
  ELSIF phase = 'compare' AND copy.compared_to IS NULL THEN
    -- one that was interrupted goes on
    copy.compared := 0;
    copy.repaired := 0;
    copy.gone := 0;
  ELSIF phase = 'comparing' THEN
    IF copy.compared_to IS NULL THEN
      RAISE NOTICE '%: %: another session has finished the comparison: compared %, repaired %, gone %', this_copy, resource,
        copy.compared, copy.repaired, copy.gone;
      phase := NULL;
      RETURN;
    END IF;
    phase := 'compare';
  END IF;

  SELECT 0::bigint AS listed, '{}'::text[] AS differ, '{}'::text[] AS missing INTO diff;
  IF phase = 'load' THEN
    bottom := coalesce(copy.load_end, begun - copy.since, '1970-01-01Z');
    low := greatest(coalesce(copy.loaded_from, begun) - greatest(copy.load_width, '1 second'), bottom);
    high := copy.loaded_from;
    condition := format('source_row.%s >= $1', created) ||
      CASE WHEN high IS NOT NULL THEN format(' AND source_row.%s < $2', created) ELSE '' END;
    -- everything has no end, nor need there be a time
    IF copy.since IS NULL AND low <= bottom THEN
      condition := CASE WHEN high IS NULL THEN 'true' ELSE format('(source_row.%1$s < $2 OR source_row.%1$s IS NULL)', created) END;
      conditions := CASE WHEN high IS NOT NULL THEN ARRAY[format('source_row.%s < $2', created)] END;
    END IF;
    max_rows := CASE WHEN copy.load_width > '1 second' THEN list_size * 3 END;
    IF copy.load_sorted AND max_rows IS NOT NULL THEN
      condition := format('(%s) ORDER BY source_row.%s DESC', condition, created);
      conditions := ARRAY(SELECT format('(%s) ORDER BY source_row.%s DESC', c, created) FROM unnest(conditions) AS c);
      conditions := CASE WHEN conditions <> '{}' THEN conditions END;
    END IF;
  ELSIF phase = 'changes' THEN
    -- our own clock stands in, unless the service has not been asked yet
    EXECUTE format('SELECT $1 + coalesce(%s.graph_fdw_clock_ahead($2), CASE WHEN $3 > 0 THEN interval ''0'' END)', ext)
      INTO clock USING begun, server::text, requests;
    IF copy.changes_from > clock + interval '1 minute' THEN
      copy.changes_from := NULL;
    END IF;
    low := coalesce(copy.changes_from, copy.up_to - copy.overlap);
    -- after one that took too long, what has changed is read in pieces, and the
    -- last has no end
    high := low + copy.changes_width;
    IF high > clock THEN
      high := NULL;
      copy.changes_width := NULL;
    END IF;
    -- an alert without a last update is found by its creation
    condition := CASE WHEN low IS NULL THEN 'true'
                      ELSE format('(source_row.%s >= $1 OR source_row.%s >= $1)', modified, created) END ||
                 CASE WHEN high IS NULL THEN ''
                      ELSE format(' AND (source_row.%1$s < $2 OR source_row.%1$s IS NULL) AND (source_row.%2$s < $2 OR source_row.%2$s IS NULL)',
                                  modified, created) END;
    -- "or" is not among what is documented, so there are two lists instead
    IF low IS NOT NULL THEN
      conditions := ARRAY[format('source_row.%s >= $1', modified),
                          format('source_row.%s >= $1 AND coalesce(source_row.%s, ''-infinity'') < $1', created, modified)];
      IF high IS NOT NULL THEN
        conditions := ARRAY[format('%s AND source_row.%s < $2', conditions[1], modified),
                            format('%s AND source_row.%s < $2', conditions[2], created)];
      END IF;
    END IF;
  ELSE
    -- the copy tells how much there is to compare
    EXECUTE format('SELECT max(%s) FROM ONLY %s', created, target) INTO newest;
    newest := least(begun, newest);
    bottom := greatest(copy.load_end, newest - copy.since);
    high := copy.compared_to;
    EXECUTE format('SELECT %1$s FROM ONLY %2$s WHERE %1$s < $1 ORDER BY %1$s DESC OFFSET $2 LIMIT 1', created, target)
      INTO low USING coalesce(high, 'infinity'), greatest(list_size * 5 / 2 / copy.compare_parts, 1);
    -- the service may have more than the copy
    IF copy.compare_parts > 1 THEN
      low := greatest(low, coalesce(high, newest) - greatest((newest - bottom) / copy.compare_parts, '1 second'));
    END IF;
    low := greatest(low, bottom);
    bounds := concat_ws(' AND ', '%1$s >= $1', CASE WHEN high IS NOT NULL THEN '%1$s < $2' END);
    IF copy.since IS NULL AND low <= bottom THEN
      bounds := CASE WHEN high IS NULL THEN 'true' WHEN copy.by_update THEN '%1$s < $2' ELSE '(%1$s < $2 OR %1$s IS NULL)' END;
    END IF;
    EXECUTE format('SELECT %s.graph_fdw_copy_difference($1, $2)', ext) INTO statement USING to_jsonb(copy), bounds;
    EXECUTE statement INTO diff USING low, high;
    copy.compared := copy.compared + diff.listed;
    -- What is not in the list is gone, unless the list moved while it was read:
    -- what is few is asked for by id, and what is many by a second list.
    few := greatest(10, diff.listed / 1000);
    one_by_one := false;
    IF cardinality(diff.missing) > few THEN
      EXECUTE format('SELECT ARRAY(SELECT s.%1$s::text FROM ONLY %2$s AS s
                                   WHERE s.%3$s >= (SELECT min(o.%3$s) FROM ONLY %4$s AS o WHERE o.%1$s = ANY ($1))
                                     AND s.%3$s <= (SELECT max(o.%3$s) FROM ONLY %4$s AS o WHERE o.%1$s = ANY ($1)))', id, source, created, target)
        INTO listed USING diff.missing;
      EXECUTE format('SELECT ARRAY(SELECT o.%1$s::text FROM ONLY %2$s AS o WHERE o.%1$s = ANY ($1) AND o.%3$s IS NULL)', id, target, created)
        INTO asked USING diff.missing;
      asked := asked || ARRAY(SELECT unnest(diff.missing) INTERSECT SELECT unnest(listed));
      diff.missing := ARRAY(SELECT unnest(diff.missing) EXCEPT SELECT unnest(listed));
      -- both lists may lack what the service has, where it does not show all for a while
      EXECUTE format('SELECT count(*) FROM ONLY %s WHERE %s = ANY ($1)', source, id)
        INTO found_ids USING ARRAY(SELECT m FROM (SELECT m FROM unnest(diff.missing) AS m ORDER BY random() LIMIT 3) AS s);
      IF found_ids > 0 AND cardinality(diff.missing) <= 1000 THEN
        -- or the copy has another time of creation: each is asked for
        asked := asked || diff.missing;
        one_by_one := true;
      ELSIF found_ids > 0 THEN
        RAISE fdw_error USING MESSAGE = format('the list of %s lacks what the service has', resource),
          DETAIL = format('Of %s that it lacks, the service knows some by their id.', cardinality(diff.missing)),
          HINT = 'Nothing was marked or deleted. The next refresh with full => true goes on from here.';
      END IF;
    ELSE
      asked := diff.missing;
    END IF;
    asked := asked || diff.differ;
    condition := CASE WHEN one_by_one OR cardinality(asked) <= few * 2 THEN format('source_row.%s = ANY ($5)', id)
                      ELSE format(bounds, 'source_row.' || created) END;
  END IF;

  SELECT 0::bigint AS given, 0::bigint AS inserted, 0::bigint AS updated, 0::bigint AS missed,
         NULL::timestamptz AS latest, NULL::timestamptz AS newest, NULL::timestamptz AS oldest, NULL::text[] AS ids,
         NULL::text AS other_tenant INTO done;
  IF phase <> 'compare' OR asked <> '{}' THEN
    -- what is not known to be refused is tried
    IF conditions IS NOT NULL AND NOT copy.by_update THEN
      EXECUTE format('SELECT %s.graph_fdw_copy_statement($1, $2, $3, $4)', ext) INTO statement USING to_jsonb(copy), condition, false, max_rows;
      BEGIN
        EXECUTE statement INTO done USING low, high, copy.up_to, begun, NULL::text[],
          CASE phase WHEN 'load' THEN copy.load_started END;
        conditions := '{}';
      EXCEPTION WHEN fdw_unable_to_create_execution OR fdw_error THEN
        -- 400 is what a service says that refuses it, and others may break
        copy.by_update := sqlerrm ~ 'status 400 ';
        IF sqlstate <> 'HV000' AND NOT copy.by_update THEN
          RAISE;
        END IF;
      END;
    END IF;
    FOREACH condition IN ARRAY coalesce(conditions, ARRAY[condition]) LOOP
      EXECUTE format('SELECT %s.graph_fdw_copy_statement($1, $2, $3, $4)', ext) INTO statement
        USING to_jsonb(copy), condition, phase = 'compare', max_rows;
      EXECUTE statement INTO part USING low, high,
        CASE phase WHEN 'compare' THEN copy.up_to - copy.overlap ELSE copy.up_to END,
        begun, asked, CASE phase WHEN 'load' THEN copy.load_started END;
      done.given := done.given + part.given;
      done.inserted := done.inserted + part.inserted;
      done.updated := done.updated + part.updated;
      done.missed := done.missed + part.missed;
      done.latest := greatest(done.latest, part.latest);
      done.newest := greatest(done.newest, part.newest);
      done.oldest := part.oldest;
      done.ids := part.ids;
      done.other_tenant := coalesce(done.other_tenant, part.other_tenant);
    END LOOP;
    IF done.other_tenant IS NOT NULL AND copy.other_tenant IS NULL THEN
      RAISE WARNING USING MESSAGE = format('%s has %s of tenant "%s" as of "%s"', this_copy, resource, done.other_tenant, copy.tenant_id),
        HINT = 'Either "tenant_id" of the copy is wrong or the login is. graph_fdw_drop_copy() and graph_fdw_create_copy() make the copy anew.';
      copy.other_tenant := done.other_tenant;
    END IF;
    copy.inserted := copy.inserted + done.inserted;
    copy.updated := copy.updated + done.updated;
    copy.row_count := copy.row_count + done.inserted;
  END IF;
  -- would a call have the time for twice as much?
  took := clock_timestamp() - begun;
  may_grow := current_setting('statement_timeout') = '0' OR took * 2 < current_setting('statement_timeout')::interval;

  IF phase = 'compare' THEN
    -- what the next refresh would read has not been missed
    copy.repaired := copy.repaired + done.missed;
    diff.missing := ARRAY(SELECT unnest(diff.missing) EXCEPT SELECT unnest(done.ids));
    IF diff.missing <> '{}' AND copy.removed = 'mark' THEN
      EXECUTE format('WITH marked AS (UPDATE ONLY %1$s SET removed_at = now() WHERE %2$s = ANY ($1) AND removed_at IS NULL RETURNING 1)
                      SELECT count(*) FROM marked', target, id)
        INTO gone USING diff.missing;
      copy.gone := copy.gone + gone.count;
    ELSIF diff.missing <> '{}' AND copy.removed = 'delete' THEN
      -- what is older than all that the service has may be past its retention
      EXECUTE format('SELECT array_agg(%1$s) AS ids, count(*) FROM ONLY %2$s WHERE %1$s = ANY ($1)
                      AND %3$s >= (SELECT min(%3$s) FROM ONLY %4$s WHERE %3$s >= $2)', id, target, created, source)
        INTO gone USING diff.missing, bottom;
      FOR tab IN SELECT t.value FROM jsonb_array_elements(copy.tables) WITH ORDINALITY AS t ORDER BY t.ordinality DESC LOOP
        EXECUTE format('DELETE FROM ONLY %I.%I WHERE %I = ANY ($1)', copy.target_schema, tab->>'target',
                       coalesce(tab->>'id', tab->>'key'))
          USING gone.ids;
      END LOOP;
      copy.gone := copy.gone + gone.count;
      copy.row_count := copy.row_count - gone.count;
    END IF;
    copy.compared_to := low;
    IF may_grow THEN
      copy.compare_parts := greatest(copy.compare_parts / 2, 1);
    END IF;
    IF low IS NULL OR low <= bottom THEN
      phase := NULL;
      copy.compared_to := NULL;
      copy.compare_parts := 1;
      copy.last_full := clock_timestamp();
      EXECUTE format('SELECT count(*) FROM ONLY %s', target) INTO copy.row_count;
    END IF;
  ELSE
    -- of a first load that is what was read twice
    IF copy.last_refresh IS NOT NULL THEN
      copy.unchanged := copy.unchanged + done.given - done.inserted - done.updated;
    END IF;
    -- what the clock showed when reading began
    EXECUTE format('SELECT $1 + coalesce(%s.graph_fdw_clock_ahead($2), ''0'')', ext) INTO clock USING begun, server::text;
    IF phase = 'load' THEN
      copy.load_started := coalesce(copy.load_started, clock);
      took := took + (clock - copy.load_started);
      clock := copy.load_started;
    ELSE
      -- since the first piece
      copy.changes_started := coalesce(copy.changes_started, clock);
      took := took + (clock - copy.changes_started);
    END IF;
    -- front ends' clocks differ a little
    back := phase = 'changes' AND copy.up_to > clock + interval '1 minute';
    -- the first slice that tells says how far a load is
    IF phase = 'changes' OR copy.up_to IS NULL THEN
      -- what has no last update was not asked for by the upper bound
      copy.up_to := greatest(copy.up_to, CASE WHEN done.latest > high THEN high ELSE done.latest END - greatest(took, '0'));
    END IF;
    IF copy.up_to > clock AND phase = 'changes' THEN
      copy.up_to := clock;
    END IF;
    IF back THEN
      EXECUTE format('SELECT max(t) FROM (SELECT greatest(%s, %s) AS t FROM ONLY %s) AS s WHERE t <= $1', modified, created, target)
        INTO copy.up_to USING clock;
      SELECT NULL, NULL, NULL INTO copy.changes_width, copy.changes_from, copy.changes_started;
    ELSIF phase = 'changes' AND high IS NOT NULL THEN
      -- on to larger pieces, until one has no end
      copy.changes_from := least(high, clock);
      IF may_grow AND done.given < list_size THEN
        copy.changes_width := CASE WHEN copy.changes_width < '100 days' THEN copy.changes_width * 2 END;
      END IF;
    ELSIF phase = 'changes' THEN
      copy.changes_from := NULL;
      copy.changes_started := NULL;
      copy.last_refresh := clock_timestamp();
      phase := CASE WHEN also_compare THEN 'compare' END;
    ELSE
      -- A slice that is far larger than expected goes as far as it was read, if the
      -- list is in order, and is read again in smaller ones otherwise.  An order is
      -- not asked for before it is known to cost nothing: it is one request if the
      -- service sorts, and of a list that is sorted here evidence is asked for by id.
      cut := coalesce(done.given >= max_rows, false);
      probed := cut AND copy.load_sorted IS NULL;
      IF probed THEN
        EXECUTE format('SELECT sum(requests) FROM %s.graph_fdw_stats() WHERE server_name = $1', ext) INTO few USING server;
        EXECUTE format('SELECT max(s.t) FROM (SELECT s.%1$s AS t FROM ONLY %2$s AS s WHERE s.%1$s >= $1 ORDER BY s.%1$s DESC LIMIT 1000) AS s',
                       created, source) USING low;
        EXECUTE format('SELECT sum(requests) < $2 + 4 FROM %s.graph_fdw_stats() WHERE server_name = $1', ext)
          INTO copy.load_sorted USING server, few;
        done.oldest := NULL;
      ELSIF copy.load_sorted THEN
        -- of the last time there may be more, and of so many a slice of its own is made
        done.oldest := done.oldest + interval '1 microsecond';
        IF cut AND done.oldest >= high THEN
          copy.load_width := '0';
        END IF;
      ELSE
        done.oldest := NULL;
      END IF;
      IF cut AND NOT copy.load_sorted THEN
        copy.load_cut := low;
      END IF;
      copy.load_width := greatest('1 second', copy.load_width * CASE
        -- the same slice comes again, in order
        WHEN probed AND copy.load_sorted THEN 1
        WHEN cut THEN 0.125
        -- what was cut comes still
        WHEN copy.load_cut < low THEN 1
        ELSE least(CASE WHEN may_grow THEN 8 ELSE 1 END, greatest(0.125, list_size::float8 / greatest(done.given, 1))) END);
      copy.loaded_from := CASE WHEN NOT cut THEN low ELSE least(done.oldest, copy.loaded_from) END;
      -- Until the first alert is seen, nothing is known of the service's clock.
      IF copy.load_end IS NULL AND done.given > 0 THEN
        copy.load_end := coalesce(least(clock, done.newest) - copy.since, '1970-01-01Z');
      ELSIF copy.load_end IS NULL AND low <= bottom THEN
        EXECUTE format('SELECT max(%1$s) FROM ONLY %2$s WHERE %1$s < $1', created, source) INTO bottom USING low;
        copy.loaded_from := coalesce(bottom + interval '1 microsecond', low);
        copy.load_end := CASE WHEN bottom IS NULL THEN low ELSE coalesce(bottom - copy.since, '1970-01-01Z') END;
      END IF;
      copy.loaded := coalesce(copy.loaded_from <= copy.load_end, false);
      phase := CASE WHEN copy.loaded THEN 'changes' ELSE 'load' END;
    END IF;
  END IF;

  EXECUTE format('SELECT coalesce(sum(requests), 0) - $1 FROM %s.graph_fdw_stats() WHERE server_name = $2', ext)
    INTO requests USING requests, server;
  copy.requests := copy.requests + requests;
  copy.duration := clock_timestamp() - copy.refresh_started;
  -- as one value: each would be a plan that the session keeps
  EXECUTE format('UPDATE %1$s.graph_fdw_copy_rows AS c SET load_started = n.load_started, loaded_from = n.loaded_from,
      load_width = n.load_width, load_end = n.load_end, load_sorted = n.load_sorted, load_cut = n.load_cut, loaded = n.loaded,
      up_to = n.up_to, by_update = n.by_update, changes_width = n.changes_width, changes_from = n.changes_from,
      changes_started = n.changes_started, compared_to = n.compared_to, compare_parts = n.compare_parts,
      row_count = n.row_count, refresh_started = n.refresh_started, last_refresh = n.last_refresh, duration = n.duration,
      requests = n.requests, inserted = n.inserted, updated = n.updated, unchanged = n.unchanged, last_full = n.last_full,
      compared = n.compared, repaired = n.repaired, gone = n.gone,
      last_error = CASE WHEN $2 THEN NULL ELSE c.last_error END, last_error_at = CASE WHEN $2 THEN NULL ELSE c.last_error_at END,
      other_tenant = n.other_tenant
    FROM jsonb_populate_record(NULL::%1$s.graph_fdw_copy, $1) AS n
    WHERE c.target_schema = n.target_schema AND c.source_schema = n.source_schema AND c.resource = n.resource', ext)
    USING to_jsonb(copy), phase IS NULL;

  IF phase = 'load' OR phase = 'changes' THEN
    RAISE NOTICE '%: % from %, rows %, requests %', this_copy, resource,
      concat_ws(' up to ', copy.loaded_from, greatest(copy.changes_from, copy.up_to)), copy.row_count, copy.requests;
  ELSIF phase = 'compare' AND copy.compared_to IS NOT NULL THEN
    phase := 'comparing';
    RAISE NOTICE '%: % compared from %, rows %, repaired %, gone %', this_copy, resource, copy.compared_to,
      copy.compared, copy.repaired, copy.gone;
  ELSIF phase IS NULL THEN
    RAISE NOTICE '%: %: inserted %, updated %, unchanged %, requests %, seconds %', this_copy, resource,
      copy.inserted, copy.updated, copy.unchanged, copy.requests, round(extract(epoch FROM copy.duration), 2);
    IF also_compare THEN
      RAISE NOTICE '%: %: compared %, repaired %, gone %', this_copy, resource, copy.compared, copy.repaired, copy.gone;
    END IF;
  END IF;
END
$$;

-- Without SET clauses, which would keep it from using COMMIT, so that everything
-- in it is written with its schema.
CREATE PROCEDURE graph_fdw_refresh_copy(target_schema text, "full" boolean DEFAULT false,
  source_schema text DEFAULT NULL, wait boolean DEFAULT true, owner text DEFAULT NULL)
LANGUAGE plpgsql
AS $$
DECLARE
  ext text;
  may_commit boolean;
  sources name[];
  resources text[];
  several boolean;
  step text;
  phase text;
  state text;
  failed_state text;
  message text;
  detail text;
  hint text;
  context text;
  failures text[] := '{}';
  refused text[];
  none boolean;
  too_much text;
  before text;
  went_on boolean;
  again boolean;
  attempts int;
BEGIN
  IF $1 IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'the name of a copy must not be null';
  ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) $5::pg_catalog.name) AND $5 IS NOT NULL THEN
    RAISE undefined_object USING MESSAGE = pg_catalog.format('role "%s" does not exist', $5);
  ELSIF pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on' THEN
    RAISE read_only_sql_transaction USING MESSAGE = 'cannot refresh a copy in a read-only transaction';
  END IF;
  SELECT pg_catalog.quote_ident(n.nspname) INTO STRICT ext
  FROM pg_catalog.pg_extension AS e
  JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
  WHERE e.extname OPERATOR(pg_catalog.=) 'graph_fdw'::pg_catalog.name;
  EXECUTE pg_catalog.format('SELECT %s.graph_fdw_may_commit()', ext) INTO may_commit;
  EXECUTE pg_catalog.format('WITH c AS MATERIALIZED (SELECT c.source_schema, c.resource, %1$s.graph_fdw_copy_distrust(pg_catalog.to_jsonb(c), $3) AS why
                                                     FROM %1$s.graph_fdw_copy_rows AS c
                                                     WHERE c.target_schema OPERATOR(pg_catalog.=) $1
                                                       AND (c.source_schema OPERATOR(pg_catalog.=) $2 OR $2 IS NULL)
                                                       AND (c.owner OPERATOR(pg_catalog.=) $3 OR $3 IS NULL))
                             SELECT pg_catalog.array_agg(c.source_schema ORDER BY c.source_schema, c.resource),
                                    pg_catalog.array_agg(c.resource ORDER BY c.source_schema, c.resource),
                                    pg_catalog.array_agg(c.why ORDER BY c.source_schema, c.resource),
                                    pg_catalog.count(DISTINCT c.source_schema) OPERATOR(pg_catalog.>) 1,
                                    pg_catalog.bool_and(c.why IS NOT NULL)
                             FROM c', ext)
    INTO sources, resources, refused, several, none USING $1::pg_catalog.name, $3::pg_catalog.name, $5::pg_catalog.name;
  IF sources IS NULL THEN
    -- what there is instead, as far as this role may see it
    EXECUTE pg_catalog.format('SELECT pg_catalog.bool_or(c.source_schema OPERATOR(pg_catalog.=) $2 OR $2 IS NULL),
                                      pg_catalog.string_agg(DISTINCT c.source_schema::pg_catalog.text, '', '')
                               FROM %s.graph_fdw_copies AS c WHERE c.target_schema OPERATOR(pg_catalog.=) $1', ext)
      INTO none, message USING $1::pg_catalog.name, $3::pg_catalog.name;
    EXECUTE pg_catalog.format('SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(c.owner), '', '')
                               FROM %s.graph_fdw_copy_rows AS c WHERE c.target_schema OPERATOR(pg_catalog.=) $1
                                AND (c.source_schema OPERATOR(pg_catalog.=) $2 OR $2 IS NULL)', ext)
      INTO detail USING $1::pg_catalog.name, $3::pg_catalog.name;
    IF detail IS NOT NULL THEN
      RAISE undefined_object USING MESSAGE = pg_catalog.format('copy "%s" is not of role "%s"', $1, $5),
        DETAIL = pg_catalog.format('It belongs to: %s.', detail);
    ELSIF message IS NOT NULL AND NOT none THEN
      RAISE undefined_object USING MESSAGE = pg_catalog.format('copy "%s" has no source "%s"', $1, $3),
        DETAIL = pg_catalog.format('Its sources are: %s.', message);
    ELSIF none THEN
      RAISE insufficient_privilege USING MESSAGE = pg_catalog.format('permission denied for copy "%s"', $1),
        HINT = 'A refresh needs SELECT, INSERT, UPDATE and DELETE on the tables of the copy, and SELECT on those of the source.';
    END IF;
    EXECUTE pg_catalog.format('SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_literal(c.target_schema), '', '')
                               FROM %s.graph_fdw_copies AS c WHERE c.source_schema OPERATOR(pg_catalog.=) $1', ext)
      INTO message USING $1::pg_catalog.name;
    RAISE undefined_object USING
      MESSAGE = pg_catalog.format('there is no copy "%s" that this role may see', $1),
      HINT = CASE WHEN message IS NOT NULL THEN pg_catalog.format('It is the source of copies: %s.', message)
                  ELSE 'graph_fdw_create_copy() makes one. A copy whose schema was renamed is known by the name that it had.' END;
  END IF;
  IF NOT may_commit THEN
    RAISE NOTICE 'the refresh is part of its caller''s transaction, and is committed or undone with it';
  END IF;
  step := pg_catalog.format('SELECT * FROM %s.graph_fdw_copy_step($1, $2, $3, $4, $5, $6, $7)', ext);

  FOR i IN 1 .. pg_catalog.cardinality(sources) LOOP
    -- a row that somebody has left there does not keep the others from theirs
    IF refused[i] IS NOT NULL AND NOT none THEN
      RAISE WARNING USING MESSAGE = pg_catalog.format('%s of "%s" are not copied to "%s"', resources[i], sources[i], $1),
        DETAIL = refused[i];
      CONTINUE;
    END IF;
    phase := 'start';
    state := NULL;
    attempts := 0;
    went_on := false;
    WHILE phase IS NOT NULL LOOP
      before := phase;
      IF may_commit OR several THEN
        BEGIN
          EXECUTE step INTO phase
            USING $1::pg_catalog.name, sources[i], resources[i], $2, $4, $5::pg_catalog.name, phase;
          IF may_commit THEN
            -- what would fail with COMMIT
            SET CONSTRAINTS ALL IMMEDIATE;
          END IF;
          went_on := phase OPERATOR(pg_catalog.=) 'comparing' AND before OPERATOR(pg_catalog.~) '^compar'
            OR phase OPERATOR(pg_catalog.=) 'changes' AND before OPERATOR(pg_catalog.<>) 'load';
        EXCEPTION WHEN OTHERS OR query_canceled THEN
          GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
          -- another refresh was first: with a new snapshot it can be seen
          again := may_commit AND state OPERATOR(pg_catalog.=) ANY (ARRAY['40001', '40P01']) AND attempts OPERATOR(pg_catalog.<) 5;
          attempts := attempts OPERATOR(pg_catalog.+) 1;
          too_much := CASE WHEN state OPERATOR(pg_catalog.=) '57014' OR pg_catalog.left(state, 3) OPERATOR(pg_catalog.~) '^53[12]|^540'
            THEN phase END;
          IF again THEN
            state := NULL;
          ELSE
            phase := NULL;
            failed_state := state;
          END IF;
        END;
      ELSE
        EXECUTE step INTO phase
          USING $1::pg_catalog.name, sources[i], resources[i], $2, $4, $5::pg_catalog.name, phase;
      END IF;
      IF state IS NOT NULL THEN
        IF may_commit THEN
          COMMIT;
        END IF;
        context := pg_catalog.split_part(context, E'\n', 1);
        detail := pg_catalog.btrim(pg_catalog.concat(pg_catalog.format('This was %s of "%s".', resources[i], sources[i]), E'\n', detail, E'\n',
          CASE WHEN pg_catalog.starts_with(context, 'Microsoft Graph request') THEN context END), E'\n');
        -- an incomplete answer is no warning here
        IF hint OPERATOR(pg_catalog.=) '' OR hint OPERATOR(pg_catalog.~) 'on_partial' AND detail OPERATOR(pg_catalog.!~) 'on_partial' THEN
          hint := CASE WHEN state OPERATOR(pg_catalog.=) ANY (ARRAY['42703', '42P10', '0A000'])
            THEN 'Somebody may have changed the tables of the copy or of its source. It needs the columns of ids, ordinals and times, its primary keys, and no rules. graph_fdw_drop_copy() and graph_fdw_create_copy() make it anew.'
            WHEN state OPERATOR(pg_catalog.=) '22001'
            THEN 'A column of the copy is too short for a value of the service. ALTER TABLE ... ALTER ... TYPE text makes room.'
            ELSE 'The view graph_fdw_copies shows how far each copy is.' END;
        END IF;
        failures := pg_catalog.array_append(failures,
          pg_catalog.format('%s of "%s": %s', resources[i], sources[i], message));
        -- What took too long may not in smaller pieces; if it was not the first of
        -- this call, it may as the first of the next.  Whoever has the row now need
        -- not be waited for.
        EXECUTE pg_catalog.format('UPDATE %1$s.graph_fdw_copy_rows AS c
          SET last_error = $4, last_error_at = pg_catalog.clock_timestamp(),
              load_sorted = CASE WHEN pg_catalog.starts_with($4, ''HV00M'') AND c.load_sorted THEN false ELSE c.load_sorted END,
              load_width = CASE WHEN $5 OPERATOR(pg_catalog.!~) ''^compar'' THEN pg_catalog.interval_div(c.load_width, 4)
                                ELSE c.load_width END,
              -- of what there is still to read, as far as our clock can tell
              changes_width = CASE WHEN c.loaded AND $5 OPERATOR(pg_catalog.!~) ''^compar'' THEN GREATEST(pg_catalog.interval_div(
                  LEAST(COALESCE(c.changes_width, ''4 days''), GREATEST(pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-)
                    COALESCE(c.changes_from, c.up_to OPERATOR(pg_catalog.-) c.overlap), c.overlap, ''1 minute'')), $6),
                ''1 second'') ELSE c.changes_width END,
              compare_parts = CASE WHEN $5 OPERATOR(pg_catalog.~) ''^compar'' AND c.compare_parts OPERATOR(pg_catalog.<) 1000000
                                   THEN c.compare_parts OPERATOR(pg_catalog.*) $6 ELSE c.compare_parts END
          FROM (SELECT l.target_schema, l.source_schema, l.resource FROM %1$s.graph_fdw_copy_rows AS l
                WHERE l.target_schema OPERATOR(pg_catalog.=) $1 AND l.source_schema OPERATOR(pg_catalog.=) $2
                  AND l.resource OPERATOR(pg_catalog.=) $3
                FOR UPDATE SKIP LOCKED) AS l
          WHERE c.target_schema OPERATOR(pg_catalog.=) l.target_schema AND c.source_schema OPERATOR(pg_catalog.=) l.source_schema
            AND c.resource OPERATOR(pg_catalog.=) l.resource', ext)
          USING $1::pg_catalog.name, sources[i], resources[i],
            pg_catalog.concat(state, ': ', message, E'\n', detail, E'\n', hint),
            too_much, CASE WHEN went_on THEN 1 ELSE 4 END;
      END IF;
      IF may_commit THEN
        COMMIT;
      END IF;
      EXECUTE pg_catalog.format('SELECT %s.graph_fdw_trim_memory()', ext);
    END LOOP;
    -- a cancel is meant for all of it
    EXIT WHEN state OPERATOR(pg_catalog.=) '57014';
    IF state IS NOT NULL AND NOT may_commit THEN
      RAISE WARNING USING MESSAGE = failures[pg_catalog.cardinality(failures)], DETAIL = detail, HINT = hint;
    END IF;
  END LOOP;

  -- Within the caller's transaction an error would undo what has succeeded.
  IF pg_catalog.cardinality(failures) OPERATOR(pg_catalog.=) 0
    OR NOT may_commit AND state IS DISTINCT FROM '57014'
    AND pg_catalog.cardinality(failures) OPERATOR(pg_catalog.<) pg_catalog.cardinality(sources) THEN
    RETURN;
  ELSIF pg_catalog.cardinality(failures) OPERATOR(pg_catalog.=) 1 THEN
    RAISE EXCEPTION USING ERRCODE = failed_state, MESSAGE = message, DETAIL = detail, HINT = hint;
  END IF;
  RAISE EXCEPTION USING ERRCODE = failed_state,
    MESSAGE = pg_catalog.format('%s of %s lists could not be refreshed', pg_catalog.cardinality(failures), pg_catalog.cardinality(sources)),
    DETAIL = pg_catalog.array_to_string(failures, E'\n');
END
$$;

COMMENT ON PROCEDURE graph_fdw_refresh_copy(text, boolean, text, boolean, text)
IS 'bring a copy up to date, or go on with its first load';


-- What the catalog says of a table of a copy, after a look at its columns.
CREATE FUNCTION graph_fdw_copy_entry(source jsonb, source_schema name, target_schema name, parent jsonb, tenant_id text)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  columns constant jsonb := source->'columns';
  resource constant text := source->>'resource';
  target text := source->>'source';
  keys jsonb;
  missing text;
BEGIN
  keys := CASE WHEN resource IN ('alerts', 'incidents')
    THEN jsonb_build_object('id', columns->'id', 'created', columns->'createddatetime', 'updated', columns->'lastupdatedatetime')
    ELSE jsonb_build_object('key', columns->CASE resource WHEN 'incident_comments' THEN 'incidentid' ELSE 'alertid' END,
                            'ordinal', columns->'ordinal') END;
  SELECT string_agg(CASE k.key WHEN 'created' THEN 'createdDateTime' WHEN 'updated' THEN 'lastUpdateDateTime'
                               WHEN 'key' THEN CASE resource WHEN 'incident_comments' THEN 'incidentId' ELSE 'alertId' END
                               ELSE k.key END, ', ' ORDER BY k.key)
    INTO missing FROM jsonb_each(keys) AS k WHERE k.value = 'null';
  IF missing IS NOT NULL THEN
    RAISE fdw_column_name_not_found USING
      MESSAGE = format('foreign table "%s.%s" cannot be copied', source_schema, source->>'source'),
      DETAIL = format('It has no column for: %s.', missing),
      HINT = 'Alerts and incidents are copied by their id, createdDateTime and lastUpdateDateTime, and what is in them by alertId or incidentId, and ordinal.';
  END IF;
  SELECT string_agg(a.attname, ', ' ORDER BY a.attname) INTO missing
  FROM pg_attribute AS a
  WHERE a.attrelid = format('%I.%I', source_schema, source->>'source')::regclass AND a.atttypid <> 'timestamptz'::regtype
    AND a.attname IN (keys->>'created', keys->>'updated');
  IF missing IS NOT NULL THEN
    RAISE fdw_invalid_data_type USING
      MESSAGE = format('foreign table "%s.%s" cannot be copied', source_schema, source->>'source'),
      DETAIL = format('These columns are not of type timestamp with time zone: %s.', missing);
  END IF;
  -- by which the service and the copy are asked for rows
  SELECT string_agg(a.attname, ', ' ORDER BY a.attname) INTO missing
  FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid
  WHERE a.attrelid = format('%I.%I', source_schema, source->>'source')::regclass AND y.typcategory <> 'S'
    AND a.attname IN (keys->>'id', keys->>'key');
  IF missing IS NOT NULL THEN
    RAISE fdw_invalid_data_type USING
      MESSAGE = format('foreign table "%s.%s" cannot be copied', source_schema, source->>'source'),
      DETAIL = format('This column is of ids, and not of type text: %s.', missing),
      HINT = format('ALTER FOREIGN TABLE %I.%I ALTER %I TYPE text makes it one.', source_schema, source->>'source', missing);
  END IF;
  -- the array of the alert that has the same elements
  IF resource IN ('comments', 'incident_comments') OR resource = 'evidence' AND NOT (source->>'typed')::boolean THEN
    SELECT keys || jsonb_build_object('array', a.attname) INTO keys
    FROM pg_attribute AS a
    WHERE a.attrelid = format('%I.%I', source_schema, parent->>'source')::regclass AND a.atttypid = 'jsonb'::regtype
      AND a.attname = parent->'columns'->>CASE resource WHEN 'evidence' THEN 'evidence' ELSE 'comments' END;
    keys := coalesce(keys, jsonb_build_object('key', columns->CASE resource WHEN 'incident_comments' THEN 'incidentid' ELSE 'alertid' END,
                                              'ordinal', columns->'ordinal'));
  END IF;
  IF tenant_id IS NOT NULL THEN
    target := target || '_' || source_schema;
    -- of two long names the beginning may be the same
    IF octet_length(target) > 63 OR to_regclass(format('%I.%I', target_schema, target)) IS NOT NULL THEN
      target := substr(('123456789' || target)::name::text, 10) || '_' || left(md5(target), 8);
    END IF;
  END IF;
  RETURN keys || jsonb_build_object('source', source->'source', 'target', target);
END
$$;

-- Make the table of an entry: with tenants, a partition of the table that has
-- the source's name.
CREATE FUNCTION graph_fdw_copy_table(entry jsonb, columns jsonb, source_schema name, target_schema name,
  tenant_id text, removed text, has_parent boolean)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  source constant text := format('%I.%I', source_schema, entry->>'source');
  main constant text := format('%I.%I', target_schema, entry->>'source');
  part constant text := format('%I.%I', target_schema, entry->>'target');
  -- the tenant at last, since one partition is asked for ids
  keys constant text := CASE WHEN entry ? 'id' THEN quote_ident(entry->>'id') ELSE format('%I, %I', entry->>'key', entry->>'ordinal') END ||
    CASE WHEN tenant_id IS NULL THEN '' ELSE ', tenant_id' END;
  indexed text;
BEGIN
  IF NOT has_parent THEN
    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING COMMENTS%s%s)%s', main, source,
      CASE WHEN tenant_id IS NULL
             OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = source::regclass AND attname = 'tenant_id' AND NOT attisdropped)
           THEN '' ELSE ', tenant_id text' END,
      CASE WHEN entry ? 'id' AND removed = 'mark' THEN ', removed_at timestamptz' ELSE '' END,
      CASE WHEN tenant_id IS NULL THEN '' ELSE ' PARTITION BY LIST (tenant_id)' END);
    EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (%s)', main, keys);
    FOR indexed IN
      SELECT (SELECT string_agg(quote_ident(columns->>p), ', ' ORDER BY n) FROM unnest(i.properties) WITH ORDINALITY AS u(p, n))
      FROM (SELECT string_to_array(v, ' ') FROM unnest(CASE WHEN entry ? 'id'
              THEN '{createddatetime,lastupdatedatetime,severity status,incidentid}'::text[]
              ELSE '{devicednsname}' END) AS v) AS i(properties)
      WHERE columns ?& i.properties
    LOOP
      -- a name may be longer than a row of a btree, and that of many rows
      EXECUTE format('CREATE INDEX ON %s%s (%s)', main,
        CASE WHEN NOT entry ? 'id' AND (SELECT a.atttypid IN ('text'::regtype, 'varchar'::regtype) FROM pg_attribute AS a
                                        WHERE a.attrelid = main::regclass AND a.attname = columns->>'devicednsname')
             THEN ' USING spgist' ELSE '' END, indexed);
    END LOOP;
  ELSIF entry ? 'id' AND removed = 'mark'
    AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = main::regclass AND a.attname = 'removed_at' AND NOT a.attisdropped) THEN
    -- of the other tenants none has asked for it
    EXECUTE format('ALTER TABLE %s ADD COLUMN removed_at timestamptz', main);
  END IF;
  IF tenant_id IS NOT NULL THEN
    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL)', part, main);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES IN (%L)', main, part, tenant_id);
  END IF;
END
$$;

CREATE FUNCTION graph_fdw_create_copy(source_schema text, target_schema text,
  since interval DEFAULT '180 days', tables text[] DEFAULT NULL, overlap interval DEFAULT '1 hour',
  removed text DEFAULT 'mark', tenant_id text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ext text;
  standard constant text[] := '{alerts,alert_evidence,alert_comments,incidents,incident_comments}';
  guid constant text := '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
  wanted text[] := tables;
  others text[] := '{}';
  sources jsonb[] := '{}';
  source jsonb;
  parent jsonb;
  entry jsonb;
  entries jsonb;
  name text;
  list text;
  copy record;
  why text;
  has_parent boolean;
  is_own boolean;
  made_schema boolean;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  source_schema := source_schema::name;
  target_schema := target_schema::name;
  IF source_schema IS NULL OR target_schema IS NULL OR overlap IS NULL OR removed IS NULL OR array_position(tables, NULL) > 0 THEN
    RAISE null_value_not_allowed USING MESSAGE = 'only "since", "tables" and "tenant_id" of a copy may be null';
  ELSIF tables = '{}' THEN
    RAISE invalid_parameter_value USING MESSAGE = '"tables" names no table to copy',
      HINT = format('Left out, it is what there is of: %s.', array_to_string(standard, ', '));
  ELSIF removed NOT IN ('mark', 'delete', 'keep') THEN
    RAISE invalid_parameter_value USING MESSAGE = format('invalid value for "removed": "%s"', removed),
      HINT = 'Valid values are: mark, delete, keep.';
  ELSIF overlap < '0' OR overlap > '10 years' OR since <= '0' OR since > '100 years' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'value out of range for a copy',
      DETAIL = '"overlap" may be from nothing to 10 years, and "since" from more than that to 100 years.',
      HINT = 'Everything is copied where "since" is null.';
  ELSIF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = source_schema) THEN
    RAISE invalid_schema_name USING MESSAGE = format('schema "%s" does not exist', source_schema);
  ELSIF source_schema = target_schema THEN
    RAISE invalid_parameter_value USING MESSAGE = 'a copy must be in another schema than its source';
  END IF;

  FOREACH name IN ARRAY coalesce(wanted, standard) LOOP
    EXECUTE format('SELECT %s.graph_fdw_copy_source($1, $2)', ext) INTO source USING source_schema::name, name::name;
    IF source IS NOT NULL THEN
      sources := sources || source;
    ELSIF wanted IS NOT NULL THEN
      RAISE undefined_table USING MESSAGE = format('there is no foreign table "%s.%s" of graph_fdw', source_schema, name);
    END IF;
  END LOOP;

  -- What is not among the names that are looked for, but could be copied: what is
  -- in a list of which there is a table, or another list.
  IF wanted IS NULL THEN
    FOR name IN
      SELECT c.relname FROM pg_foreign_table AS f JOIN pg_class AS c ON c.oid = f.ftrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
      WHERE n.nspname = source_schema AND c.relname <> ALL (standard) ORDER BY c.relname
    LOOP
      EXECUTE format('SELECT %s.graph_fdw_copy_source($1, $2)', ext) INTO source USING source_schema::name, name::name;
      others := others || CASE
        WHEN source->>'resource' IN ('alerts', 'incidents')
        THEN CASE WHEN NOT EXISTS (SELECT FROM unnest(sources) AS o WHERE o->>'resource' = source->>'resource') THEN name END
        WHEN source->>'resource' IN ('evidence', 'comments', 'incident_comments')
        THEN CASE WHEN sources = '{}' OR EXISTS (SELECT FROM unnest(sources) AS o
                                                 WHERE o->>'resource' = CASE source->>'resource' WHEN 'incident_comments' THEN 'incidents' ELSE 'alerts' END)
                  THEN name END
        END;
    END LOOP;
    others := array_remove(others, NULL);
    IF sources = '{}' THEN
      RAISE undefined_table USING MESSAGE = format('schema "%s" has no tables that could be copied', source_schema),
        DETAIL = format('These are looked for, since "tables" names no others: %s.', array_to_string(standard, ', ')),
        HINT = CASE WHEN others = '{}' THEN 'IMPORT FOREIGN SCHEMA security makes them.'
                    ELSE format('Name the tables in "tables". There are: %s.', array_to_string(others[:5], ', ') || CASE WHEN cardinality(others) > 5 THEN ', ...' ELSE '' END) END;
    ELSIF others <> '{}' THEN
      RAISE NOTICE USING MESSAGE = format('%s of the foreign tables in "%s" are not copied: %s', cardinality(others), source_schema,
                                          array_to_string(others[:3], ', ') || CASE WHEN cardinality(others) > 3 THEN ', ...' ELSE '' END),
        HINT = 'A copy has those that are named in "tables".';
    END IF;
  END IF;
  -- a number without a unit is seconds
  IF since < '1 day' THEN
    RAISE NOTICE USING MESSAGE = format('the copy goes back %s from the newest alert', since),
      HINT = 'An interval without a unit is in seconds: write "180 days".';
  END IF;
  IF overlap < '1 second' THEN
    RAISE NOTICE USING MESSAGE = format('what becomes visible later than %s after its last update is only found with full => true', overlap);
  END IF;
  -- the login's tenant, as far as this role may see it
  SELECT o.option_value INTO name
  FROM (SELECT u.umoptions AS options, CASE u.umuser WHEN 0 THEN 2 ELSE 1 END AS place FROM pg_user_mappings AS u
        WHERE u.srvname = sources[1]->>'server' AND (u.umuser = 0 OR u.usename = current_user)
        UNION ALL SELECT s.srvoptions, 3 FROM pg_foreign_server AS s WHERE s.srvname = sources[1]->>'server') AS l,
    pg_options_to_table(l.options) AS o
  WHERE o.option_name = 'tenant_id' ORDER BY l.place LIMIT 1;
  IF name ~* guid AND tenant_id ~* guid AND lower(name) <> lower(tenant_id) THEN
    RAISE NOTICE USING MESSAGE = format('"tenant_id" of the copy is "%s", and of the login "%s"', tenant_id, name);
  END IF;

  made_schema := NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = target_schema);
  IF made_schema THEN
    EXECUTE format('CREATE SCHEMA %I', target_schema);
  ELSIF NOT (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = target_schema) THEN
    RAISE insufficient_privilege USING MESSAGE = format('must be owner of schema %s', target_schema),
      HINT = 'Who refreshes the copies of a schema trusts its owner.';
  END IF;
  -- what is left of copies whose tables were dropped by hand
  FOR copy IN EXECUTE format('SELECT * FROM %s.graph_fdw_copy_rows WHERE target_schema = $1 AND is_owned
                                AND NOT EXISTS (SELECT FROM pg_class AS r
                                                WHERE r.relnamespace = (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = $1)
                                                  AND r.relname = tables->0->>''target'')', ext)
    USING target_schema::name
  LOOP
    EXECUTE format('INSERT INTO %s.graph_fdw_copy_drop VALUES ($1, $2, $3)', ext)
      USING copy.target_schema, copy.source_schema, copy.resource;
    RAISE NOTICE 'copy "%" of "%" had lost its table of %, and is made anew', copy.target_schema, copy.source_schema, copy.resource;
  END LOOP;
  FOREACH list IN ARRAY '{alerts,incidents}'::text[] LOOP
    parent := NULL;
    entries := '[]';
    FOREACH source IN ARRAY sources LOOP
      IF source->>'resource' = list AND parent IS NULL THEN
        parent := source;
      ELSIF source->>'resource' = list THEN
        RAISE duplicate_table USING MESSAGE = format('"%s" and "%s" are both tables of %s', parent->>'source', source->>'source', list);
      END IF;
    END LOOP;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s.graph_fdw_copy_rows WHERE target_schema = $1 AND source_schema = $2 AND resource = $3)', ext)
      INTO is_own USING target_schema::name, source_schema::name, list;
    IF is_own AND parent IS NOT NULL THEN
      RAISE duplicate_object USING MESSAGE = format('copy "%s" of "%s" already exists', target_schema, source_schema);
    END IF;
    FOREACH source IN ARRAY CASE WHEN parent IS NULL THEN '{}' ELSE ARRAY[parent] END || sources LOOP
      CONTINUE WHEN source->>'resource' = list AND entries <> '[]'
        OR source->>'resource' <> list AND (source->>'resource' = 'incident_comments') <> (list = 'incidents')
        OR source->>'resource' IN ('alerts', 'incidents') AND source->>'resource' <> list;
      IF parent IS NULL THEN
        RAISE undefined_table USING
          MESSAGE = format('"%s" cannot be copied without a table of the %s that it is in', source->>'source', list);
      ELSIF source->>'server' <> parent->>'server' THEN
        RAISE invalid_parameter_value USING
          MESSAGE = format('"%s" and "%s" are not of one server', parent->>'source', source->>'source');
      END IF;
      EXECUTE format('SELECT %s.graph_fdw_copy_entry($1, $2, $3, $4, $5)', ext) INTO entry
        USING source, source_schema::name, target_schema::name, parent, tenant_id;
      has_parent := tenant_id IS NOT NULL AND EXISTS (
        SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = target_schema AND c.relname = source->>'source' AND c.relkind = 'p');
      EXECUTE format('SELECT %s.graph_fdw_copy_has($1, $2, $3, $4)', ext) INTO is_own
        USING jsonb_build_object('target_schema', target_schema, 'owner', current_user), source->>'source', '{tenant_id}'::text[], 'p'::"char";
      IF has_parent AND NOT is_own THEN
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of table %s.%s', target_schema, source->>'source'),
          DETAIL = 'A tenant''s copy is a partition of a table by list of tenant_id.';
      END IF;
      IF to_regclass(format('%I.%I', target_schema, entry->>'target')) IS NOT NULL
        OR NOT has_parent AND to_regclass(format('%I.%I', target_schema, source->>'source')) IS NOT NULL THEN
        RAISE duplicate_table USING
          MESSAGE = format('"%s.%s" already exists', target_schema, CASE WHEN has_parent THEN entry->>'target' ELSE source->>'source' END),
          HINT = 'A copy makes its own tables: drop this one, or take another target_schema.';
      END IF;
      EXECUTE format('SELECT %s.graph_fdw_copy_table($1, $2, $3, $4, $5, $6, $7)', ext)
        USING entry, source->'columns', source_schema::name, target_schema::name, tenant_id, removed, has_parent;
      entries := entries || entry;
    END LOOP;
    -- Who is no superuser trusts those whose schemas and foreign tables these are
    -- now, though not whoever makes others in their place.
    IF parent IS NOT NULL AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
      SELECT jsonb_set(entries, '{0,chosen}', jsonb_agg(DISTINCT r.rolname)) INTO entry
      FROM (SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname IN (source_schema, target_schema)
            UNION SELECT c.relowner FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                  WHERE n.nspname = source_schema
                    AND c.relname IN (SELECT t->>'source' FROM jsonb_array_elements(entries) AS t)) AS o(owner)
      JOIN pg_roles AS r ON r.oid = o.owner AND NOT r.rolsuper AND r.rolname <> current_user;
      entries := coalesce(entry, entries);
    END IF;
    IF parent IS NOT NULL THEN
      EXECUTE format('INSERT INTO %s.graph_fdw_copy_rows (target_schema, source_schema, resource, tenant_id, tables, since, overlap, removed, made_schema)
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)', ext)
        USING target_schema, source_schema, list, tenant_id, entries, since, overlap, removed, made_schema;
      EXECUTE format('SELECT %1$s.graph_fdw_copy_distrust(to_jsonb(c), NULL::name) FROM %1$s.graph_fdw_copy_rows AS c
                      WHERE c.target_schema = $1 AND c.source_schema = $2 AND c.resource = $3', ext)
        INTO why USING target_schema, source_schema, list;
      IF why IS NOT NULL THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s of "%s" cannot be copied to "%s"', list, source_schema, target_schema),
          DETAIL = why,
          HINT = 'All that a copy consists of must belong to its owner, to a superuser, or to a role that is a member of its owner.';
      END IF;
    END IF;
  END LOOP;
END
$$;

COMMENT ON FUNCTION graph_fdw_create_copy(text, text, interval, text[], interval, text, text)
IS 'make tables for a copy of alerts and incidents; graph_fdw_refresh_copy() fills them';

-- Where a source has got new columns, the copy gets them too, and is read anew.
CREATE FUNCTION graph_fdw_alter_copy(target_schema text, source_schema text DEFAULT NULL,
  overlap interval DEFAULT NULL, removed text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ext text;
  copy record;
  tab jsonb;
  col record;
  main text;
  why text;
  refused text[] := '{}';
  state text;
  added jsonb := '[]';
  found_one boolean := false;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  IF removed NOT IN ('mark', 'delete', 'keep') THEN
    RAISE invalid_parameter_value USING MESSAGE = format('invalid value for "removed": "%s"', removed),
      HINT = 'Valid values are: mark, delete, keep.';
  ELSIF overlap < '0' OR overlap > '10 years' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'value out of range for a copy',
      DETAIL = '"overlap" may be from nothing to 10 years.';
  ELSIF overlap < '1 second' THEN
    RAISE NOTICE USING MESSAGE = format('what becomes visible later than %s after its last update is only found with full => true', overlap);
  END IF;
  -- Before the tables, as a refresh locks them; of all tenants, since a column is
  -- added to all partitions.
  EXECUTE format('SELECT count(*) FROM (SELECT FROM %s.graph_fdw_copy_rows WHERE target_schema = $1 AND is_owned
                                        ORDER BY source_schema, resource FOR UPDATE) AS l', ext) USING $1::name;
  FOR copy IN EXECUTE format('SELECT * FROM %s.graph_fdw_copy_rows WHERE target_schema = $1 AND (source_schema = $2 OR $2 IS NULL) AND is_owned
                              ORDER BY source_schema, resource', ext) USING $1::name, $2::name
  LOOP
    -- of a role that was renamed or has given away all of it
    IF copy.owner <> current_user
      AND NOT EXISTS (SELECT FROM jsonb_array_elements(copy.tables) AS t
                      WHERE NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                                        WHERE n.nspname = copy.target_schema AND c.relname = (t->>'target')::name
                                          AND current_user = ALL (ARRAY[pg_get_userbyid(c.relowner), pg_get_userbyid(n.nspowner)]))) THEN
      EXECUTE format('INSERT INTO %s.graph_fdw_copy_drop VALUES ($1, $2, $3)', ext)
        USING copy.target_schema, copy.source_schema, copy.resource;
      EXECUTE format('INSERT INTO %1$s.graph_fdw_copy_rows (%2$s)
                      SELECT r.* FROM jsonb_populate_record(NULL::%1$s.graph_fdw_copy, $1) AS r', ext,
                     (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute AS a
                      WHERE a.attrelid = format('%s.graph_fdw_copy', ext)::regclass AND a.attnum > 0 AND NOT a.attisdropped))
        USING to_jsonb(copy) || jsonb_build_object('owner', current_user, 'tables', copy.tables #- '{0,chosen}');
      RAISE NOTICE 'copy "%" of "%" was of role "%", and is of "%" now', copy.target_schema, copy.source_schema, copy.owner, current_user;
      copy.owner := current_user;
      copy.tables := copy.tables #- '{0,chosen}';
    END IF;
    -- columns have types and defaults, which could run something
    EXECUTE format('SELECT %s.graph_fdw_copy_distrust($1, NULL::name)', ext) INTO why USING to_jsonb(copy);
    SELECT format('"%s.%s" does not exist.', v.schema, v.name) INTO main
    FROM jsonb_array_elements(copy.tables) AS t,
      LATERAL (VALUES (copy.source_schema, t->>'source'), (copy.target_schema, t->>'source'), (copy.target_schema, t->>'target')) AS v(schema, name)
    WHERE to_regclass(format('%I.%I', v.schema, v.name)) IS NULL LIMIT 1;
    state := CASE WHEN why IS NULL THEN '42P01' ELSE '42501' END;
    why := coalesce(why, main);
    IF why IS NOT NULL THEN
      refused := refused || format('%s of "%s": %s', copy.resource, copy.source_schema, why);
      CONTINUE;
    END IF;
    found_one := true;
    FOR tab IN SELECT * FROM jsonb_array_elements(copy.tables) LOOP
      main := format('%I.%I', copy.target_schema, tab->>'source');
      FOR col IN
        SELECT s.attname, format_type(s.atttypid, s.atttypmod) AS type, true AS of_source FROM pg_attribute AS s
        WHERE s.attrelid = format('%I.%I', copy.source_schema, tab->>'source')::regclass AND s.attnum > 0 AND NOT s.attisdropped
        UNION ALL
        SELECT 'removed_at', 'timestamptz', false WHERE tab ? 'id' AND coalesce($4, copy.removed) = 'mark'
      LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_attribute WHERE attrelid = main::regclass AND attname = col.attname
                              AND attnum > 0 AND NOT attisdropped);
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', main, col.attname, col.type);
        IF col.of_source THEN
          added := added || jsonb_build_object('source', tab->>'source', 'name', col.attname);
        END IF;
      END LOOP;
    END LOOP;
    EXECUTE format('UPDATE %s.graph_fdw_copy_rows SET overlap = coalesce($4, overlap), removed = coalesce($5, removed)
                    WHERE target_schema = $1 AND source_schema = $2 AND resource = $3', ext)
      USING copy.target_schema, copy.source_schema, copy.resource, overlap, removed;
  END LOOP;
  IF NOT found_one AND refused = '{}' THEN
    RAISE undefined_object USING MESSAGE = format('there is no copy "%s" that this role may change', $1);
  ELSIF NOT found_one THEN
    RAISE EXCEPTION USING ERRCODE = state, MESSAGE = format('copy "%s" cannot be changed', $1), DETAIL = array_to_string(refused, E'\n');
  ELSIF refused <> '{}' THEN
    RAISE WARNING USING MESSAGE = format('a part of copy "%s" is not changed', $1), DETAIL = array_to_string(refused, E'\n');
  END IF;
  -- of all tenants that have the column, whichever of them has brought it
  EXECUTE format('UPDATE %s.graph_fdw_copy_rows AS c
                  SET compared_to = NULL, load_started = NULL, loaded_from = NULL, load_width = ''1 day'', load_end = NULL,
                      load_sorted = NULL, load_cut = NULL, loaded = false
                  WHERE target_schema = $1 AND is_owned
                    AND EXISTS (SELECT FROM jsonb_array_elements($2) AS a
                                JOIN jsonb_array_elements(c.tables) AS t ON t->>''source'' = a->>''source''
                                JOIN pg_attribute AS s ON s.attrelid = to_regclass(format(''%%I.%%I'', c.source_schema, t->>''source''))
                                 AND s.attname = a->>''name'' AND NOT s.attisdropped)', ext)
    USING $1::name, added;
END
$$;

COMMENT ON FUNCTION graph_fdw_alter_copy(text, text, interval, text)
IS 'change settings of a copy, and give it the columns that its source has got';

-- Is there a table of a copy, rather than one that somebody else has made there
-- under its name?  KIND is that of pg_class.
CREATE FUNCTION graph_fdw_copy_has(copy jsonb, table_name text, columns text[], kind "char")
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (
    SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_roles AS holder ON holder.oid = c.relowner JOIN pg_roles AS maker ON maker.rolname = ($1->>'owner')::name
    WHERE n.nspname = ($1->>'target_schema')::name AND c.relname = $2::name AND c.relkind = $4
      AND (holder.oid = maker.oid OR holder.rolsuper OR NOT maker.rolsuper AND pg_has_role(holder.oid, maker.oid, 'USAGE'))
      AND $3 <@ ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
$$;

CREATE FUNCTION graph_fdw_drop_copy(target_schema text, source_schema text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ext text;
  copy record;
  tab jsonb;
  others boolean;
  has boolean;
  keys text[];
  found_one boolean := false;
  made boolean := false;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  -- before the tables, as a refresh locks them
  EXECUTE format('SELECT count(*) FROM (SELECT FROM %s.graph_fdw_copy_rows WHERE target_schema = $1 AND (source_schema = $2 OR $2 IS NULL) AND is_owned
                                        ORDER BY source_schema, resource FOR UPDATE) AS l', ext) USING $1::name, $2::name;
  FOR copy IN EXECUTE format('SELECT * FROM %s.graph_fdw_copy_rows WHERE target_schema = $1 AND (source_schema = $2 OR $2 IS NULL) AND is_owned
                              ORDER BY source_schema, resource', ext) USING $1::name, $2::name
  LOOP
    found_one := true;
    made := made OR copy.made_schema AND EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = $1 AND pg_get_userbyid(n.nspowner) = copy.owner);
    EXECUTE format('INSERT INTO %s.graph_fdw_copy_drop VALUES ($1, $2, $3)', ext)
      USING copy.target_schema, copy.source_schema, copy.resource;
    FOR tab IN SELECT t.value FROM jsonb_array_elements(copy.tables) WITH ORDINALITY AS t ORDER BY t.ordinality DESC LOOP
      -- a row that says that another copy's tables are its own
      EXECUTE format('SELECT EXISTS (SELECT FROM %s.graph_fdw_copy_rows WHERE target_schema = $1
                                     AND tables @> jsonb_build_array(jsonb_build_object(''target'', $2)))', ext)
        INTO others USING copy.target_schema, tab->>'target';
      CONTINUE WHEN others;
      keys := ARRAY(SELECT k.value FROM jsonb_each_text(tab) AS k WHERE k.key IN ('id', 'created', 'updated', 'key', 'ordinal'));
      EXECUTE format('SELECT %s.graph_fdw_copy_has($1, $2, $3, $4)', ext) INTO has
        USING to_jsonb(copy), tab->>'target', keys, 'r'::"char";
      IF has THEN
        EXECUTE format('DROP TABLE %I.%I', copy.target_schema, tab->>'target');
      ELSIF EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                    WHERE n.nspname = copy.target_schema AND c.relname = tab->>'target') THEN
        RAISE NOTICE '"%.%" is not the copy''s any more, and stays', copy.target_schema, tab->>'target';
      END IF;
      CONTINUE WHEN tab->>'target' = tab->>'source';
      EXECUTE format('SELECT EXISTS (SELECT FROM %s.graph_fdw_copy_rows WHERE target_schema = $1
                                     AND tables @> jsonb_build_array(jsonb_build_object(''source'', $2)))', ext)
        INTO others USING copy.target_schema, tab->>'source';
      EXECUTE format('SELECT %s.graph_fdw_copy_has($1, $2, $3, $4)', ext) INTO has
        USING to_jsonb(copy), tab->>'source', keys || 'tenant_id'::text, 'p'::"char";
      -- nor what holds partitions of others, whose rows this role may not see
      IF has AND NOT others AND NOT EXISTS (SELECT FROM pg_inherits
                                            WHERE inhparent = to_regclass(format('%I.%I', copy.target_schema, tab->>'source'))) THEN
        EXECUTE format('DROP TABLE %I.%I', copy.target_schema, tab->>'source');
      END IF;
    END LOOP;
  END LOOP;
  IF NOT found_one THEN
    RAISE undefined_object USING MESSAGE = format('there is no copy "%s" that this role may drop', $1);
  END IF;
  IF made THEN
    BEGIN
      EXECUTE format('DROP SCHEMA IF EXISTS %I', $1);
    EXCEPTION WHEN dependent_objects_still_exist THEN
      NULL;
    END;
  END IF;
END
$$;

COMMENT ON FUNCTION graph_fdw_drop_copy(text, text)
IS 'remove a copy with its tables';

-- ===================================================================
-- Comments and views: what other programs show of foreign tables
-- ===================================================================

CREATE FUNCTION graph_fdw_describe(
  "table" regclass, OUT attnum integer, OUT property text, OUT description text)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION graph_fdw_describe(regclass)
IS 'what a foreign table of graph_fdw holds (as column 0), and what each of its columns reads and holds';

-- The foreign tables of a schema that are graph_fdw's: all, or those named.
CREATE FUNCTION graph_fdw_tables(schema text, tables text[] DEFAULT NULL)
RETURNS TABLE (relation regclass, name name, resource text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  missing text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) THEN
    RAISE invalid_schema_name USING MESSAGE = format('schema "%s" does not exist', $1);
  END IF;
  RETURN QUERY
    SELECT c.oid::regclass, c.relname,
           coalesce((SELECT option_value FROM pg_options_to_table(t.ftoptions)
                     WHERE option_name = 'resource'), 'alerts')
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_foreign_table AS t ON t.ftrelid = c.oid
    JOIN pg_foreign_server AS s ON s.oid = t.ftserver
    JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
    JOIN pg_proc AS p ON p.oid = w.fdwhandler AND p.prosrc = 'graph_fdw_handler'
    WHERE n.nspname = $1 AND ($2 IS NULL OR c.relname = ANY ($2))
    ORDER BY c.oid;
  IF NOT FOUND AND $2 IS NULL THEN
    RAISE undefined_table USING MESSAGE = format('schema "%s" has no foreign tables of graph_fdw', $1),
      HINT = format('IMPORT FOREIGN SCHEMA security FROM SERVER ... INTO %I makes them.', $1);
  END IF;
  SELECT t INTO missing FROM unnest($2) AS t
  WHERE NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                    WHERE n.nspname = $1 AND c.relname = t AND c.relkind = 'f');
  IF missing IS NOT NULL THEN
    RAISE undefined_table USING MESSAGE = format('there is no foreign table "%s.%s" of graph_fdw', $1, missing);
  END IF;
END
$$;

CREATE FUNCTION graph_fdw_comment(schema text, overwrite boolean DEFAULT false)
RETURNS bigint
LANGUAGE plpgsql STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ext text;
  tab record;
  col record;
  made bigint := 0;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  FOR tab IN EXECUTE format('SELECT * FROM %s.graph_fdw_tables($1)', ext) USING $1 LOOP
    FOR col IN EXECUTE format('SELECT d.attnum, a.attname, d.description FROM %s.graph_fdw_describe($1) AS d
                               LEFT JOIN pg_attribute AS a ON a.attrelid = $1 AND a.attnum = d.attnum
                               WHERE d.description IS NOT NULL', ext) USING tab.relation
    LOOP
      CONTINUE WHEN NOT overwrite
        AND EXISTS (SELECT FROM pg_description WHERE classoid = 'pg_class'::regclass
                    AND objoid = tab.relation AND objsubid = col.attnum);
      IF col.attnum = 0 THEN
        EXECUTE format('COMMENT ON FOREIGN TABLE %s IS %L', tab.relation, col.description);
      ELSE
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', tab.relation, col.attname, col.description);
      END IF;
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
END
$$;

COMMENT ON FUNCTION graph_fdw_comment(text, boolean)
IS 'comment on the foreign tables of a schema and on their columns; how many comments were made';

-- A view of some columns of a foreign table, for which it asks as whoever reads
-- the view or, as_owner, as who makes it; with the comments of the table, or
-- those that it would get.  A view that is there keeps its owner, so one that
-- asks as its owner must be the caller's.
-- Of columns that read the same the first is taken; without any there is no view.
CREATE FUNCTION graph_fdw_create_view(source regclass, target_schema text, view_name text, properties text[], about text,
                                      as_owner boolean)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ext text;
  target constant text := format('%I.%I', target_schema, view_name);
  names text;
  col record;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  IF properties IS NULL THEN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO names
    FROM pg_attribute WHERE attrelid = source AND attnum > 0 AND NOT attisdropped;
  ELSE
    EXECUTE format('SELECT string_agg(quote_ident(attname), %L ORDER BY place)
                    FROM (SELECT DISTINCT ON (w.place) a.attname, w.place
                          FROM unnest($2) WITH ORDINALITY AS w (property, place)
                          JOIN %s.graph_fdw_describe($1) AS d ON d.property = w.property
                          JOIN pg_attribute AS a ON a.attrelid = $1 AND a.attnum = d.attnum
                          ORDER BY w.place, a.attnum) AS a', ', ', ext)
      INTO names USING source, properties;
    IF names IS NULL THEN
      RETURN false;
    END IF;
  END IF;
  IF as_owner AND EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                          WHERE n.nspname = target_schema AND c.relname = view_name
                            AND c.relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)) THEN
    RAISE insufficient_privilege USING MESSAGE = format('view "%s.%s" has another owner, as whom it would read', target_schema, view_name),
      HINT = 'Drop it first, or let its owner make the views.';
  END IF;
  EXECUTE format('CREATE OR REPLACE VIEW %s WITH (security_invoker = %s) AS SELECT %s FROM %s',
                 target, (NOT as_owner)::text, names, source);
  FOR col IN EXECUTE format('SELECT v.attname, coalesce(col_description($1, a.attnum), d.description) AS description
                             FROM pg_attribute AS v
                             JOIN pg_attribute AS a ON a.attrelid = $1 AND a.attname = v.attname AND a.attnum > 0
                             LEFT JOIN %s.graph_fdw_describe($1) AS d ON d.attnum = a.attnum
                             WHERE v.attrelid = $2 AND v.attnum > 0
                             UNION ALL
                             SELECT NULL, coalesce($3, obj_description($1, ''pg_class''), d.description)
                             FROM %s.graph_fdw_describe($1) AS d WHERE d.attnum = 0', ext, ext)
    USING source, target::regclass, about
  LOOP
    CONTINUE WHEN col.description IS NULL;
    IF col.attname IS NULL THEN
      EXECUTE format('COMMENT ON VIEW %s IS %L', target, col.description);
    ELSE
      EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', target, col.attname, col.description);
    END IF;
  END LOOP;
  RETURN true;
END
$$;

CREATE FUNCTION graph_fdw_create_views(source_schema text, target_schema text DEFAULT NULL, tables text[] DEFAULT NULL,
                                       as_owner boolean DEFAULT false)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ext text;
  target constant text := coalesce($2, $1);
  tab record;
  is_made boolean;
  made bigint := 0;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  FOR tab IN EXECUTE format(
    'SELECT t.relation, v.* FROM %s.graph_fdw_tables($1, $2) AS t,
     LATERAL (VALUES (t.name::text, NULL::text[], NULL),
       (CASE t.resource WHEN ''alerts'' THEN t.name || ''_summary'' END,
        ''{id,createdDateTime,lastUpdateDateTime,severity,status,title,category,serviceSource,assignedTo,classification,incidentId,alertWebUrl}'',
        ''Alerts: the columns that are read most''),
       (CASE t.resource WHEN ''incidents'' THEN t.name || ''_summary'' END,
        ''{id,createdDateTime,lastUpdateDateTime,severity,status,displayName,assignedTo,classification,determination,priorityScore,incidentWebUrl}'',
        ''Incidents: the columns that are read most'')) AS v (view_name, properties, about)
     WHERE v.view_name IS NOT NULL AND (v.properties IS NOT NULL OR $3)', ext)
    USING $1, $3, target <> $1
  LOOP
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = target) THEN
      EXECUTE format('CREATE SCHEMA %I', target);
    END IF;
    EXECUTE format('SELECT %s.graph_fdw_create_view($1, $2, $3, $4, $5, $6)', ext) INTO is_made
      USING tab.relation, target, tab.view_name, tab.properties, tab.about, coalesce($4, false);
    made := made + is_made::int;
  END LOOP;
  RETURN made;
END
$$;

COMMENT ON FUNCTION graph_fdw_create_views(text, text, text[], boolean)
IS 'make a view of each foreign table of a schema in another one, and views of the columns of alerts and incidents that are read most';
