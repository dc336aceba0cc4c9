/* graph_fdw--1.0--1.1.sql: what version 1.1 has beside that of 1.0 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION graph_fdw UPDATE TO '1.1'" to load this file. \quit

/* Writes */

-- one more column: how many changes the service has taken
DROP FUNCTION graph_fdw_stats();

CREATE FUNCTION graph_fdw_stats(
  OUT server_name text, OUT requests bigint, OUT retries bigint,
  OUT throttled bigint, OUT bytes bigint, OUT records bigint,
  OUT writes bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION graph_fdw_stats()
IS 'what this session has asked of each server';

-- ===================================================================
-- Copies: local tables that keep up with the service
--
-- graph_fdw_copy has a row for each list of the service that is copied: the
-- alerts of a source schema, its incidents.  What these functions read and
-- write they do as whoever calls them.  The extension can be moved to another
-- schema, so what is of this script is found by pg_extension, and everything
-- else in pg_catalog.
-- ===================================================================

CREATE FUNCTION graph_fdw_may_commit()
RETURNS boolean
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION graph_fdw_may_commit()
IS 'may the procedure in which this is called use COMMIT';

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
  loaded boolean NOT NULL DEFAULT false,
  up_to timestamptz,
  by_update boolean NOT NULL DEFAULT false,
  changes_width interval,
  compared_to timestamptz,
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
  PRIMARY KEY (target_schema, source_schema, resource)
) WITH (fillfactor = 50);

COMMENT ON TABLE graph_fdw_copy
IS 'what is copied by graph_fdw_refresh_copy(), and how far it is';

SELECT pg_catalog.pg_extension_config_dump('graph_fdw_copy', '');

GRANT SELECT, INSERT, DELETE, UPDATE (load_started, loaded_from, load_width,
  load_end, loaded, up_to, by_update, changes_width, compared_to, row_count, refresh_started, last_refresh,
  duration, requests, inserted, updated, unchanged, last_full, compared,
  repaired, gone, last_error, last_error_at)
ON graph_fdw_copy TO PUBLIC;

-- Who may read a copy is told how it is, who may write to it may refresh it, and
-- its owner may do everything.  A refresh does what a row says as whoever calls
-- it, so a row is made by who owns the schema; and whether its owner still does
-- is looked at before each step, as a schema may be dropped and made anew by
-- somebody else.  These are no policies, since with row-level security pg_dump
-- would refuse to dump the table for anybody but superusers.
CREATE FUNCTION graph_fdw_copy_is_visible(copy graph_fdw_copy)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = $1.owner AND pg_has_role(r.oid, 'USAGE')) OR
         EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                 WHERE n.nspname = $1.target_schema AND c.relname = $1.tables->0->>'target'
                   AND has_table_privilege(c.oid, 'SELECT, INSERT'))
$$;

CREATE FUNCTION graph_fdw_copy_check()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  copy constant record := CASE WHEN TG_OP = 'INSERT' THEN NEW ELSE OLD END;
  superuser constant boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
  allowed boolean;
BEGIN
  IF superuser THEN
    allowed := true;
  ELSIF TG_OP = 'UPDATE' THEN
    allowed := EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                       WHERE n.nspname = copy.target_schema AND c.relname = copy.tables->0->>'target'
                         AND has_table_privilege(c.oid, 'INSERT'));
  ELSE
    allowed := EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = copy.owner AND pg_has_role(r.oid, 'USAGE'));
  END IF;
  IF TG_OP = 'INSERT' AND NOT superuser THEN
    allowed := allowed AND copy.tables->0 IS NOT NULL
      AND EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = copy.target_schema AND pg_has_role(n.nspowner, 'USAGE'))
      AND NOT EXISTS (SELECT FROM jsonb_array_elements(copy.tables) AS t
                      WHERE NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                                        WHERE n.nspname = copy.target_schema AND c.relname = t->>'target'
                                          AND pg_has_role(c.relowner, 'USAGE')));
    IF allowed IS NOT TRUE THEN
      RAISE insufficient_privilege USING
        MESSAGE = format('must be owner of schema %s and of the tables of the copy', copy.target_schema);
    END IF;
  END IF;
  -- as if the row were not there
  RETURN CASE WHEN NOT allowed THEN NULL WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;

CREATE TRIGGER graph_fdw_copy_check BEFORE INSERT OR UPDATE OR DELETE ON graph_fdw_copy
FOR EACH ROW EXECUTE FUNCTION graph_fdw_copy_check();

CREATE VIEW graph_fdw_copies WITH (security_invoker = true) AS
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
WHERE graph_fdw_copy_is_visible(c)
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
-- a row of the source that is called source_row, and the property.
CREATE FUNCTION graph_fdw_copy_columns(source regclass, target regclass, tenant_id text,
  OUT name text, OUT value text, OUT property text)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT quote_ident(s.attname),
         format('source_row.%I', s.attname) ||
         CASE WHEN (s.atttypid, s.atttypmod) = (t.atttypid, t.atttypmod) THEN ''
              ELSE '::' || format_type(t.atttypid, t.atttypmod) END,
         replace(lower(coalesce((SELECT option_value FROM pg_options_to_table(s.attfdwoptions)
                                 WHERE option_name = 'property'), s.attname)), '_', '')
  FROM pg_attribute AS s
  JOIN pg_attribute AS t ON t.attname = s.attname AND t.attrelid = $2 AND t.attnum > 0
                        AND NOT t.attisdropped AND t.attgenerated = ''
  WHERE s.attrelid = $1 AND s.attnum > 0 AND NOT s.attisdropped
    AND ($3 IS NULL OR s.attname <> 'tenant_id')
  ORDER BY s.attnum
$$;

-- The statement that reads what a condition on source_row names, alerts with
-- evidence and comments in one stream of requests, and writes what differs.
-- $1 and $2 are bounds for the condition, $3 the time before which nothing new
-- is expected, $4 the latest time that is believed, and $5 ids.
--
-- Rows of the copy are found by scalar sub-selects, which are index scans
-- whatever the planner believes of the tables.  They are compared byte by byte,
-- since not every type has an equality.  What an alert's row has in an array as
-- well is looked at where the row differs, and everywhere with all_children.
CREATE FUNCTION graph_fdw_copy_statement(copy graph_fdw_copy, condition text, all_children boolean)
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
  tenant_key constant text := CASE WHEN copy.tenant_id IS NOT NULL THEN 'tenant_id, ' ELSE '' END;
  tenant_value constant text := coalesce(quote_literal(copy.tenant_id) || ', ', '');
  parent constant jsonb := copy.tables->0;
  nr int := 0;
  given text;
  steps text := '';
  touched text;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';

  FOR tab IN SELECT * FROM jsonb_array_elements(copy.tables) LOOP
    source := format('%I.%I', copy.source_schema, tab->>'source');
    target := format('%I.%I', copy.target_schema, tab->>'target');
    EXECUTE format('SELECT string_agg(name, $4) AS names, string_agg(value, $4) AS values,
                           string_agg(value || $5 || name, $4) AS read,
                           string_agg($6 || name, $4) AS read_values, string_agg($7 || name, $4) AS old_values,
                           string_agg(name || $8 || name, $4) AS assignments
                    FROM %s.graph_fdw_copy_columns($1, $2, $3)', ext)
      INTO col USING source::regclass, target::regclass, copy.tenant_id,
                     ', ', ' AS ', 'source_row.', 'o.', ' = excluded.';
    IF nr = 0 THEN
      given := 'SELECT ' || col.read;
      steps := format($q$,
changed AS (
  INSERT INTO %1$s AS t (%2$s%3$s)
  SELECT %4$s%5$s FROM given AS source_row
  WHERE (SELECT %6$sROW(%7$s)::record OPERATOR(pg_catalog.*=) ROW(%5$s)::record
         FROM %1$s AS o WHERE o.%8$I = source_row.%8$I) IS NOT TRUE
  ON CONFLICT (%2$s%8$I) DO UPDATE SET %9$s%10$s
  RETURNING t.%8$I AS id, t.xmax = 0 AS inserted)$q$,
        target, tenant_key, col.names, tenant_value, col.read_values,
        CASE copy.removed WHEN 'mark' THEN 'o.removed_at IS NULL AND ' ELSE '' END, col.old_values,
        tab->>'id', col.assignments, CASE copy.removed WHEN 'mark' THEN ', removed_at = NULL' ELSE '' END);
      touched := 'SELECT id FROM changed';
    ELSE
      given := given || format(', ARRAY(SELECT child_row FROM %s AS child_row WHERE child_row.%I = source_row.%I) AS "%s"',
                               source, tab->>'key', parent->>'id', nr);
      steps := steps || format($q$,
written%1$s AS (
  INSERT INTO %2$s AS t (%3$s%4$s)
  SELECT %5$s%6$s FROM given AS g, unnest(g."%1$s") AS source_row
  WHERE (SELECT ROW(%7$s)::record OPERATOR(pg_catalog.*=) ROW(%6$s)::record
         FROM %2$s AS o WHERE o.%8$I = source_row.%8$I AND o.%9$I = source_row.%9$I) IS NOT TRUE%12$s
  ON CONFLICT (%3$s%8$I, %9$I) DO UPDATE SET %10$s
  RETURNING t.%8$I AS id),
deleted%1$s AS (
  DELETE FROM %2$s AS t
  WHERE t.ctid = ANY (ARRAY(
    SELECT o.ctid FROM given AS g,
      LATERAL (SELECT ARRAY(SELECT x.%9$I FROM unnest(g."%1$s") AS x) AS kept OFFSET 0) AS k,
      LATERAL (SELECT o.ctid FROM %2$s AS o
               WHERE o.%8$I = g.%11$I AND o.%9$I <> ALL (k.kept) OFFSET 0) AS o
    WHERE true%12$s))
  RETURNING t.%8$I AS id)$q$,
        nr, target, tenant_key, col.names, tenant_value, col.values, col.old_values,
        tab->>'key', tab->>'ordinal', col.assignments, parent->>'id',
        CASE WHEN tab ? 'array' AND NOT all_children
             THEN format(' AND g.%I IN (SELECT id FROM changed)', parent->>'id') ELSE '' END);
      touched := touched || format(' UNION SELECT id FROM written%1$s UNION SELECT id FROM deleted%1$s', nr);
    END IF;
    nr := nr + 1;
  END LOOP;

  RETURN format($q$WITH given AS MATERIALIZED (
  %1$s
  FROM %2$I.%3$I AS source_row WHERE %4$s)%5$s,
touched AS MATERIALIZED (%6$s)
SELECT count(*) AS given,
       (SELECT count(*) FROM changed WHERE inserted) AS inserted,
       (SELECT count(*) FROM touched) - (SELECT count(*) FROM changed WHERE inserted) AS updated,
       (SELECT count(*) FROM given AS g JOIN touched AS t ON t.id = g.%7$I
        WHERE coalesce(greatest(g.%8$I, g.%9$I) < $3, true)) AS missed,
       max(greatest(%8$I, %9$I)) FILTER (WHERE greatest(%8$I, %9$I) <= $4) AS latest,
       CASE WHEN count(*) FILTER (WHERE greatest(%8$I, %9$I) > $3) > 4
            THEN percentile_disc(0.5) WITHIN GROUP (ORDER BY greatest(%8$I, %9$I)) FILTER (WHERE greatest(%8$I, %9$I) > $3) END AS middle,
       max(%9$I) AS newest,
       CASE WHEN $5 IS NOT NULL THEN array_agg(%7$I::text) END AS ids
FROM given$q$,
    given, copy.source_schema, parent->>'source', condition, steps, touched,
    parent->>'id', parent->>'updated', parent->>'created');
END
$$;

-- The query that compares a list without evidence to the copy: how many are
-- listed, ids of those that differ, and of those that are not listed.  $1 is the
-- lower bound, $2 the upper one, if there is one.
CREATE FUNCTION graph_fdw_copy_difference(copy graph_fdw_copy, has_upper boolean)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ext text;
  col record;
  children text;
  not_removed constant text := CASE copy.removed WHEN 'mark' THEN 'o.removed_at IS NULL AND ' ELSE '' END;
  parent constant jsonb := copy.tables->0;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  EXECUTE format('SELECT string_agg(value || $4 || name, $5) AS read, string_agg($6 || name, $5) AS read_values,
                         string_agg($7 || name, $5) AS old_values
                  FROM %s.graph_fdw_copy_columns($1, $2, $3)
                  WHERE property NOT LIKE ''evidence%%'' AND property NOT IN (''raw'', ''.'')', ext)
    INTO col USING format('%I.%I', copy.source_schema, parent->>'source')::regclass,
                   format('%I.%I', copy.target_schema, parent->>'target')::regclass, copy.tenant_id,
                   ' AS ', ', ', 'source_row.', 'o.';
  -- evidence that the copy has lost shows by its number
  SELECT string_agg(format(' AND CASE jsonb_typeof(o.%1$I) WHEN ''array'' THEN jsonb_array_length(o.%1$I) ELSE 0 END
      = (SELECT count(*) FROM %2$I.%3$I AS x WHERE x.%4$I = o.%5$I)',
      t->>'array', copy.target_schema, t->>'target', t->>'key', parent->>'id'), '')
    INTO children FROM jsonb_array_elements(copy.tables) AS t WHERE t ? 'array';

  RETURN format($q$WITH list AS MATERIALIZED (
  SELECT %1$s FROM %2$I.%3$I AS source_row WHERE source_row.%4$I >= $1%5$s)
SELECT (SELECT count(*) FROM list) AS listed,
       ARRAY(SELECT source_row.%6$I::text FROM list AS source_row
             WHERE (SELECT %7$sROW(%8$s)::record OPERATOR(pg_catalog.*=) ROW(%9$s)::record%10$s
                    FROM %11$I.%12$I AS o WHERE o.%6$I = source_row.%6$I) IS NOT TRUE) AS differ,
       ARRAY(SELECT o.%6$I::text FROM %11$I.%12$I AS o WHERE %7$so.%4$I >= $1%13$s
             EXCEPT SELECT l.%6$I::text FROM list AS l) AS missing$q$,
    col.read, copy.source_schema, parent->>'source', parent->>'created',
    CASE WHEN has_upper THEN format(' AND source_row.%I < $2', parent->>'created') ELSE '' END,
    parent->>'id', not_removed, col.old_values, col.read_values, coalesce(children, ''),
    copy.target_schema, parent->>'target',
    CASE WHEN has_upper THEN format(' AND o.%I < $2', parent->>'created') ELSE '' END);
END
$$;

-- One transaction's part of a refresh.  PHASE is what comes next: start, load,
-- changes, compare; NULL when there is nothing more.
CREATE FUNCTION graph_fdw_copy_step(target_schema name, source_schema name, resource text,
  also_compare boolean, wait boolean, INOUT phase text)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
  this_copy constant text := format('copy "%s" of "%s"', target_schema, source_schema);
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
  believed timestamptz;
  low timestamptz;
  high timestamptz;
  bottom timestamptz;
  condition text;
  statement text;
  done record;
  diff record;
  gone record;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  catalog := format('%s.graph_fdw_copy AS c WHERE c.target_schema = $1 AND c.source_schema = $2 AND c.resource = $3', ext);

  -- The row is locked to the end of the transaction, so that refreshes of one
  -- copy come one after the other, and the second sees what the first has done.
  EXECUTE format('SELECT c.* FROM %s', catalog) INTO copy USING $1, $2, $3;
  IF copy.target_schema IS NULL THEN
    RAISE undefined_object USING MESSAGE = format('%s does not exist', this_copy);
  ELSIF NOT has_table_privilege(format('%I.%I', $1, copy.tables->0->>'target'), 'INSERT') THEN
    RAISE insufficient_privilege USING MESSAGE = format('permission denied for %s', this_copy),
      HINT = 'A refresh needs SELECT, INSERT, UPDATE and DELETE on the tables of the copy, and SELECT on those of the source.';
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

  IF EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = copy.target_schema
             AND NOT EXISTS (SELECT FROM pg_roles AS r
                             WHERE r.rolname = copy.owner AND pg_has_role(r.oid, n.nspowner, 'USAGE')))
    OR EXISTS (SELECT FROM jsonb_array_elements(copy.tables) AS t, pg_class AS c, pg_namespace AS n
               WHERE n.nspname = copy.target_schema AND c.relnamespace = n.oid AND c.relname = t->>'target'
                 AND NOT EXISTS (SELECT FROM pg_roles AS r
                                 WHERE r.rolname = copy.owner AND pg_has_role(r.oid, c.relowner, 'USAGE')))
  THEN
    RAISE insufficient_privilege USING MESSAGE = format('%s is not made by who owns its tables', this_copy),
      DETAIL = format('It was made by role "%s".', copy.owner),
      HINT = 'A superuser may set the column "owner" of graph_fdw_copy to the role that owns the schema and its tables, or delete the row.';
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
    IF server IS NULL THEN
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
    FOR tab IN SELECT * FROM jsonb_array_elements(copy.tables) LOOP
      SELECT string_agg(s.attname, ', ' ORDER BY s.attnum) INTO condition FROM pg_attribute AS s
      WHERE s.attrelid = format('%I.%I', copy.source_schema, tab->>'source')::regclass AND s.attnum > 0 AND NOT s.attisdropped
        AND NOT EXISTS (SELECT FROM pg_attribute AS t WHERE t.attname = s.attname AND t.attnum > 0 AND NOT t.attisdropped
                        AND t.attrelid = format('%I.%I', copy.target_schema, tab->>'target')::regclass);
      IF condition IS NOT NULL THEN
        RAISE WARNING USING MESSAGE = format('%s lacks columns of "%s": %s', this_copy, tab->>'source', condition),
          HINT = format('SELECT graph_fdw_alter_copy(%L) adds them, and lets the next refresh read everything again.', copy.target_schema);
      END IF;
    END LOOP;
  END IF;
  -- A time in the future, by a mistake of the service, must not lead the copy
  -- away from what comes before it.  The service's clock may differ from ours,
  -- but goes as fast; and it is ahead if most of what is new says so.
  believed := greatest(begun, copy.up_to + (begun - copy.refresh_started)) + copy.overlap;

  IF phase = 'start' THEN
    phase := CASE WHEN copy.loaded THEN 'changes' ELSE 'load' END;
    copy.refresh_started := begun;
    copy.requests := 0;
    copy.inserted := 0;
    copy.updated := 0;
    copy.unchanged := 0;
    -- a comparison that was interrupted goes on
    IF also_compare AND copy.compared_to IS NULL THEN
      copy.by_update := false;
      copy.compared := 0;
      copy.repaired := 0;
      copy.gone := 0;
    END IF;
  END IF;

  SELECT 0::bigint AS listed, '{}'::text[] AS differ, '{}'::text[] AS missing INTO diff;
  IF phase = 'load' THEN
    copy.load_started := coalesce(copy.load_started, begun);
    bottom := coalesce(copy.load_end, begun - copy.since, '1970-01-01Z');
    low := greatest(coalesce(copy.loaded_from, begun) - greatest(copy.load_width, '1 second'), bottom);
    condition := format('source_row.%s >= $1', created)
      || CASE WHEN copy.loaded_from IS NOT NULL THEN format(' AND source_row.%s < $2', created) ELSE '' END;
    high := copy.loaded_from;
  ELSIF phase = 'changes' THEN
    low := copy.up_to - copy.overlap;
    -- an alert without a last update is found by its creation
    condition := CASE WHEN low IS NULL THEN 'true'
                      WHEN copy.by_update THEN format('source_row.%s >= $1', modified)
                      ELSE format('(source_row.%s >= $1 OR source_row.%s >= $1)', modified, created) END;
    -- after one that took too long, what has changed is read in pieces
    high := copy.up_to + copy.changes_width;
    IF high IS NOT NULL THEN
      condition := condition || format(' AND (source_row.%1$s < $2 OR source_row.%1$s IS NULL)', modified);
    END IF;
  ELSE
    -- the copy tells how much there is to compare
    EXECUTE format('SELECT max(%s) FROM %s', created, target) INTO bottom;
    bottom := greatest(copy.load_end, least(begun, bottom) - copy.since);
    EXECUTE format('SELECT %1$s FROM %2$s WHERE %1$s < $1 ORDER BY %1$s DESC OFFSET $2 LIMIT 1', created, target)
      INTO low USING coalesce(copy.compared_to, 'infinity'), list_size * 5 / 2;
    low := greatest(low, bottom);
    EXECUTE format('SELECT %s.graph_fdw_copy_difference(c, $4) FROM %s', ext, catalog)
      INTO statement USING $1, $2, $3, copy.compared_to IS NOT NULL;
    EXECUTE statement INTO diff USING low, copy.compared_to;
    copy.compared := copy.compared + diff.listed;
    condition := format('source_row.%s = ANY ($5)', id);
  END IF;

  SELECT 0::bigint AS given, 0::bigint AS inserted, 0::bigint AS updated, 0::bigint AS missed,
         NULL::timestamptz AS latest, NULL::timestamptz AS middle, NULL::timestamptz AS newest,
         NULL::text[] AS ids INTO done;
  IF phase <> 'compare' OR diff.differ || diff.missing <> '{}' THEN
    LOOP
      EXECUTE format('SELECT %s.graph_fdw_copy_statement(c, $4, $5) FROM %s', ext, catalog)
        INTO statement USING $1, $2, $3, condition, phase = 'compare';
      IF phase <> 'changes' OR low IS NULL OR copy.by_update THEN
        EXECUTE statement INTO done USING low, high,
          CASE phase WHEN 'compare' THEN copy.up_to - copy.overlap ELSE copy.up_to END, believed,
          CASE phase WHEN 'compare' THEN diff.differ || diff.missing END;
        EXIT;
      END IF;
      -- "or" is not among what is documented
      BEGIN
        EXECUTE statement INTO done USING low, high, copy.up_to, believed, NULL::text[];
        EXIT;
      EXCEPTION WHEN SQLSTATE 'HV00L' THEN
        copy.by_update := true;
        condition := format('source_row.%s >= $1', modified)
          || CASE WHEN high IS NOT NULL THEN format(' AND source_row.%s < $2', modified) ELSE '' END;
      END;
    END LOOP;
    copy.inserted := copy.inserted + done.inserted;
    copy.updated := copy.updated + done.updated;
    copy.row_count := copy.row_count + done.inserted;
  END IF;

  IF phase = 'compare' THEN
    -- what the next refresh would read has not been missed
    copy.repaired := copy.repaired + done.missed;
    diff.missing := ARRAY(SELECT unnest(diff.missing) EXCEPT SELECT unnest(done.ids));
    IF diff.missing <> '{}' AND copy.removed = 'mark' THEN
      EXECUTE format('WITH marked AS (UPDATE %1$s SET removed_at = now() WHERE %2$s = ANY ($1) AND removed_at IS NULL RETURNING 1)
                      SELECT count(*) FROM marked', target, id)
        INTO gone USING diff.missing;
      copy.gone := copy.gone + gone.count;
    ELSIF diff.missing <> '{}' AND copy.removed = 'delete' THEN
      -- what is older than all that the service has may be past its retention
      EXECUTE format('SELECT array_agg(%1$s) AS ids, count(*) FROM %2$s WHERE %1$s = ANY ($1)
                      AND %3$s >= (SELECT min(%3$s) FROM %4$s)', id, target, created, source)
        INTO gone USING diff.missing;
      FOR tab IN SELECT t.value FROM jsonb_array_elements(copy.tables) WITH ORDINALITY AS t ORDER BY t.ordinality DESC LOOP
        EXECUTE format('DELETE FROM %I.%I WHERE %I = ANY ($1)', copy.target_schema, tab->>'target',
                       coalesce(tab->>'id', tab->>'key'))
          USING gone.ids;
      END LOOP;
      copy.gone := copy.gone + gone.count;
      copy.row_count := copy.row_count - gone.count;
    END IF;
    copy.compared_to := low;
    IF low IS NULL OR low <= bottom THEN
      phase := NULL;
      copy.compared_to := NULL;
      copy.last_full := clock_timestamp();
      EXECUTE format('SELECT count(*) FROM %s', target) INTO copy.row_count;
    END IF;
  ELSE
    copy.unchanged := copy.unchanged + done.given - done.inserted - done.updated;
    -- What was updated while we were reading may have been read before that.
    -- What has no last update was not asked for by the upper bound; and if no
    -- time is to be believed, the next refresh asks for the same again.
    done.latest := greatest(done.latest, done.middle);
    IF phase = 'changes' AND done.latest > high THEN
      done.latest := high;
    END IF;
    copy.up_to := greatest(copy.up_to, done.latest
      - greatest(clock_timestamp() - CASE phase WHEN 'load' THEN copy.load_started ELSE begun END, '0'));
    IF phase = 'changes' AND high IS NOT NULL THEN
      -- on to larger pieces, until one has no end
      IF done.given < list_size OR copy.up_to < high - copy.changes_width / 2 THEN
        copy.changes_width := CASE WHEN copy.changes_width < '100 days' THEN copy.changes_width * 8 END;
      END IF;
    ELSIF phase = 'changes' THEN
      copy.last_refresh := clock_timestamp();
      phase := CASE WHEN also_compare THEN 'compare' END;
    ELSE
      copy.loaded_from := low;
      copy.load_width := greatest('1 second',
        copy.load_width * least(8, greatest(0.125, list_size::float8 / greatest(done.given, 1))));
      -- Until the first alert is seen, nothing is known of the service's clock.
      IF copy.load_end IS NULL AND done.given > 0 THEN
        copy.load_end := coalesce(least(begun, done.newest) - copy.since, '1970-01-01Z');
      ELSIF copy.load_end IS NULL AND low <= bottom THEN
        EXECUTE format('SELECT max(%1$s) FROM %2$s WHERE %1$s < $1', created, source) INTO bottom USING low;
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
  EXECUTE format('UPDATE %s.graph_fdw_copy AS c SET load_started = $4, loaded_from = $5, load_width = $6, load_end = $7,
      loaded = $8, up_to = $9, by_update = $10, changes_width = $24, compared_to = $25, row_count = $11, refresh_started = $12, last_refresh = $13,
      duration = $14, requests = $15, inserted = $16, updated = $17, unchanged = $18, last_full = $19, compared = $20,
      repaired = $21, gone = $22, last_error = CASE WHEN $23 THEN NULL ELSE c.last_error END,
      last_error_at = CASE WHEN $23 THEN NULL ELSE c.last_error_at END
    WHERE c.target_schema = $1 AND c.source_schema = $2 AND c.resource = $3', ext)
    USING $1, $2, $3, copy.load_started, copy.loaded_from, copy.load_width, copy.load_end, copy.loaded, copy.up_to,
      copy.by_update, copy.row_count, copy.refresh_started, copy.last_refresh, copy.duration, copy.requests,
      copy.inserted, copy.updated, copy.unchanged, copy.last_full, copy.compared, copy.repaired, copy.gone, phase IS NULL,
      copy.changes_width, copy.compared_to;

  IF phase = 'load' OR phase = 'changes' THEN
    RAISE NOTICE '%: % from % up to %, rows %, requests %', this_copy, resource,
      copy.loaded_from, copy.up_to, copy.row_count, copy.requests;
  ELSIF phase = 'compare' AND copy.compared_to IS NOT NULL THEN
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
  source_schema text DEFAULT NULL, wait boolean DEFAULT true)
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
BEGIN
  SELECT pg_catalog.quote_ident(n.nspname) INTO STRICT ext
  FROM pg_catalog.pg_extension AS e
  JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
  WHERE e.extname OPERATOR(pg_catalog.=) 'graph_fdw'::pg_catalog.name;
  EXECUTE pg_catalog.format('SELECT %s.graph_fdw_may_commit()', ext) INTO may_commit;
  EXECUTE pg_catalog.format('SELECT pg_catalog.array_agg(c.source_schema ORDER BY c.source_schema, c.resource),
                                    pg_catalog.array_agg(c.resource ORDER BY c.source_schema, c.resource),
                                    pg_catalog.count(DISTINCT c.source_schema) OPERATOR(pg_catalog.>) 1
                             FROM %1$s.graph_fdw_copy AS c
                             WHERE c.target_schema OPERATOR(pg_catalog.=) $1
                               AND (c.source_schema OPERATOR(pg_catalog.=) $2 OR $2 IS NULL)
                               AND %1$s.graph_fdw_copy_is_visible(c)', ext)
    INTO sources, resources, several USING $1::pg_catalog.name, $3::pg_catalog.name;
  IF sources IS NULL THEN
    RAISE undefined_object USING
      MESSAGE = pg_catalog.format('there is no copy "%s" that this role may see', $1),
      HINT = 'graph_fdw_create_copy() makes one.';
  END IF;
  IF NOT may_commit THEN
    RAISE NOTICE 'the refresh is part of its caller''s transaction, and is committed or undone with it';
  END IF;
  step := pg_catalog.format('SELECT * FROM %s.graph_fdw_copy_step($1, $2, $3, $4, $5, $6)', ext);

  FOR i IN 1 .. pg_catalog.cardinality(sources) LOOP
    phase := 'start';
    state := NULL;
    WHILE phase IS NOT NULL LOOP
      IF may_commit OR several THEN
        BEGIN
          EXECUTE step INTO phase
            USING $1::pg_catalog.name, sources[i], resources[i], $2, $4, phase;
        EXCEPTION WHEN OTHERS OR query_canceled THEN
          GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
          phase := NULL;
          failed_state := state;
        END;
      ELSE
        EXECUTE step INTO phase
          USING $1::pg_catalog.name, sources[i], resources[i], $2, $4, phase;
      END IF;
      IF state IS NOT NULL THEN
        context := pg_catalog.split_part(context, E'\n', 1);
        detail := pg_catalog.btrim(pg_catalog.concat(pg_catalog.format('This was %s of "%s".', resources[i], sources[i]), E'\n', detail, E'\n',
          CASE WHEN pg_catalog.starts_with(context, 'Microsoft Graph request') THEN context END), E'\n');
        IF hint OPERATOR(pg_catalog.=) '' THEN
          hint := 'The view graph_fdw_copies shows how far each copy is.';
        END IF;
        failures := pg_catalog.array_append(failures,
          pg_catalog.format('%s of "%s": %s', resources[i], sources[i], message));
        -- What took too long may not in smaller pieces.  Whoever has the row now
        -- need not be waited for.
        EXECUTE pg_catalog.format('UPDATE %1$s.graph_fdw_copy AS c
          SET last_error = $4, last_error_at = pg_catalog.clock_timestamp(),
              load_width = CASE WHEN $5 THEN pg_catalog.interval_div(c.load_width, 4) ELSE c.load_width END,
              changes_width = CASE WHEN $5 THEN GREATEST(pg_catalog.interval_div(COALESCE(c.changes_width, ''4 days''), 4),
                                                         ''1 minute'') ELSE c.changes_width END
          FROM (SELECT l.ctid AS place FROM %1$s.graph_fdw_copy AS l
                WHERE l.target_schema OPERATOR(pg_catalog.=) $1 AND l.source_schema OPERATOR(pg_catalog.=) $2
                  AND l.resource OPERATOR(pg_catalog.=) $3
                FOR UPDATE SKIP LOCKED) AS l
          WHERE c.ctid OPERATOR(pg_catalog.=) l.place', ext)
          USING $1::pg_catalog.name, sources[i], resources[i],
            pg_catalog.concat(state, ': ', message, E'\n', detail, E'\n', hint),
            pg_catalog.left(state, 2) OPERATOR(pg_catalog.~) '^5[347]';
      END IF;
      IF may_commit THEN
        COMMIT;
      END IF;
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

COMMENT ON PROCEDURE graph_fdw_refresh_copy(text, boolean, text, boolean)
IS 'bring a copy up to date, or go on with its first load';


-- What the catalog says of a table of a copy, after a look at its columns.
CREATE FUNCTION graph_fdw_copy_entry(source jsonb, source_schema name, parent jsonb, tenant_id text)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  columns constant jsonb := source->'columns';
  resource constant text := source->>'resource';
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
  -- the array of the alert that has the same elements
  IF resource IN ('comments', 'incident_comments') OR resource = 'evidence' AND NOT (source->>'typed')::boolean THEN
    SELECT keys || jsonb_build_object('array', a.attname) INTO keys
    FROM pg_attribute AS a
    WHERE a.attrelid = format('%I.%I', source_schema, parent->>'source')::regclass AND a.atttypid = 'jsonb'::regtype
      AND a.attname = parent->'columns'->>CASE resource WHEN 'evidence' THEN 'evidence' ELSE 'comments' END;
    keys := coalesce(keys, jsonb_build_object('key', columns->CASE resource WHEN 'incident_comments' THEN 'incidentid' ELSE 'alertid' END,
                                              'ordinal', columns->'ordinal'));
  END IF;
  RETURN keys || jsonb_build_object('source', source->'source', 'target',
    CASE WHEN tenant_id IS NULL THEN source->>'source' ELSE (source->>'source' || '_' || source_schema)::name::text END);
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
      EXECUTE format('CREATE INDEX ON %s (%s)', main, indexed);
    END LOOP;
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
  wanted text[] := tables;
  sources jsonb[] := '{}';
  source jsonb;
  parent jsonb;
  entry jsonb;
  entries jsonb;
  name text;
  list text;
  has_parent boolean;
  made_schema boolean;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  IF source_schema IS NULL OR target_schema IS NULL OR overlap IS NULL OR removed IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'only "since", "tables" and "tenant_id" of a copy may be null';
  ELSIF removed NOT IN ('mark', 'delete', 'keep') THEN
    RAISE invalid_parameter_value USING MESSAGE = format('invalid value for "removed": "%s"', removed),
      HINT = 'Valid values are: mark, delete, keep.';
  ELSIF overlap < '0' OR since <= '0' THEN
    RAISE invalid_parameter_value USING MESSAGE = '"overlap" must not be negative, and "since" must be more than nothing';
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

  made_schema := NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = target_schema);
  IF made_schema THEN
    EXECUTE format('CREATE SCHEMA %I', target_schema);
  ELSIF NOT (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = target_schema) THEN
    RAISE insufficient_privilege USING MESSAGE = format('must be owner of schema %s', target_schema),
      HINT = 'Who refreshes the copies of a schema trusts its owner.';
  END IF;
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
      EXECUTE format('SELECT %s.graph_fdw_copy_entry($1, $2, $3, $4)', ext) INTO entry
        USING source, source_schema::name, parent, tenant_id;
      EXECUTE format('SELECT EXISTS (SELECT FROM %s.graph_fdw_copy WHERE target_schema = $1 AND tenant_id IS NOT NULL
                                     AND tables @> jsonb_build_array(jsonb_build_object(''source'', $2)))', ext)
        INTO has_parent USING target_schema::name, source->>'source';
      EXECUTE format('SELECT %s.graph_fdw_copy_table($1, $2, $3, $4, $5, $6, $7)', ext)
        USING entry, source->'columns', source_schema::name, target_schema::name, tenant_id, removed,
              has_parent AND tenant_id IS NOT NULL;
      entries := entries || entry;
    END LOOP;
    IF parent IS NOT NULL THEN
      EXECUTE format('INSERT INTO %s.graph_fdw_copy (target_schema, source_schema, resource, tenant_id, tables, since, overlap, removed, made_schema)
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)', ext)
        USING target_schema, source_schema, list, tenant_id, entries, since, overlap, removed, made_schema;
    END IF;
  END LOOP;
  IF sources = '{}' THEN
    RAISE undefined_table USING MESSAGE = format('schema "%s" has no tables that could be copied', source_schema),
      HINT = 'IMPORT FOREIGN SCHEMA security makes them.';
  END IF;
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
  changes jsonb;
  added text[] := '{}';
  found_one boolean := false;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  IF removed NOT IN ('mark', 'delete', 'keep') THEN
    RAISE invalid_parameter_value USING MESSAGE = format('invalid value for "removed": "%s"', removed),
      HINT = 'Valid values are: mark, delete, keep.';
  ELSIF overlap < '0' THEN
    RAISE invalid_parameter_value USING MESSAGE = '"overlap" must not be negative';
  END IF;
  FOR copy IN EXECUTE format('SELECT * FROM %s.graph_fdw_copy WHERE target_schema = $1 AND (source_schema = $2 OR $2 IS NULL)
                              ORDER BY source_schema, resource', ext) USING $1::name, $2::name
  LOOP
    found_one := true;
    changes := jsonb_strip_nulls(jsonb_build_object('overlap', overlap, 'removed', removed));
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
          added := added || (tab->>'source');
        END IF;
      END LOOP;
    END LOOP;
    EXECUTE format('WITH old AS (DELETE FROM %1$s.graph_fdw_copy AS c
                                 WHERE target_schema = $1 AND source_schema = $2 AND resource = $3 RETURNING c)
                    INSERT INTO %1$s.graph_fdw_copy SELECT (jsonb_populate_record(old.c, $4)).* FROM old', ext)
      USING copy.target_schema, copy.source_schema, copy.resource, changes;
  END LOOP;
  IF NOT found_one THEN
    RAISE undefined_object USING MESSAGE = format('there is no copy "%s"', $1);
  END IF;
  -- of all tenants, whichever of them has brought the column
  EXECUTE format('UPDATE %s.graph_fdw_copy AS c
                  SET compared_to = NULL, load_started = NULL, loaded_from = NULL, load_width = DEFAULT, load_end = NULL, loaded = false
                  WHERE target_schema = $1
                    AND EXISTS (SELECT FROM jsonb_array_elements(c.tables) AS t WHERE t->>''source'' = ANY ($2))', ext)
    USING $1::name, added;
END
$$;

COMMENT ON FUNCTION graph_fdw_alter_copy(text, text, interval, text)
IS 'change settings of a copy, and give it the columns that its source has got';

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
  found_one boolean := false;
  made boolean := false;
BEGIN
  SELECT quote_ident(n.nspname) INTO STRICT ext
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'graph_fdw';
  FOR copy IN EXECUTE format('DELETE FROM %s.graph_fdw_copy WHERE target_schema = $1 AND (source_schema = $2 OR $2 IS NULL)
                              RETURNING *', ext) USING $1::name, $2::name
  LOOP
    found_one := true;
    made := made OR copy.made_schema;
    FOR tab IN SELECT t.value FROM jsonb_array_elements(copy.tables) WITH ORDINALITY AS t ORDER BY t.ordinality DESC LOOP
      EXECUTE format('DROP TABLE IF EXISTS %I.%I', copy.target_schema, tab->>'target');
      EXECUTE format('SELECT EXISTS (SELECT FROM %s.graph_fdw_copy WHERE target_schema = $1
                                     AND tables @> jsonb_build_array(jsonb_build_object(''source'', $2)))', ext)
        INTO others USING copy.target_schema, tab->>'source';
      -- nor what holds partitions of others, whose rows this role may not see
      others := others OR EXISTS (SELECT FROM pg_inherits
                                  WHERE inhparent = to_regclass(format('%I.%I', copy.target_schema, tab->>'source')));
      IF NOT others AND tab->>'target' <> tab->>'source' THEN
        EXECUTE format('DROP TABLE IF EXISTS %I.%I', copy.target_schema, tab->>'source');
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
-- the view; with the comments of the table, or those that it would get.
-- Of columns that read the same the first is taken; without any there is no view.
CREATE FUNCTION graph_fdw_create_view(source regclass, target_schema text, view_name text, properties text[], about text)
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
  EXECUTE format('CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS SELECT %s FROM %s', target, names, source);
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

CREATE FUNCTION graph_fdw_create_views(source_schema text, target_schema text DEFAULT NULL, tables text[] DEFAULT NULL)
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
    EXECUTE format('SELECT %s.graph_fdw_create_view($1, $2, $3, $4, $5)', ext) INTO is_made
      USING tab.relation, target, tab.view_name, tab.properties, tab.about;
    made := made + is_made::int;
  END LOOP;
  RETURN made;
END
$$;

COMMENT ON FUNCTION graph_fdw_create_views(text, text, text[])
IS 'make a view of each foreign table of a schema in another one, and views of the columns of alerts and incidents that are read most';
