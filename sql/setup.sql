--
-- What the other tests use: the extension, a server, a login, the tables, and
-- functions that leave out what differs from run to run.  It runs first.
--
-- The emulator has to run at GRAPH_EMULATOR_PORT, started with
--     --alerts 2000 --seed 1 --now 2026-11-01T00:00:00Z
--
\getenv port GRAPH_EMULATOR_PORT
\if :{?port}
\else
\echo GRAPH_EMULATOR_PORT is not set
\quit
\endif
\set endpoint 'http://127.0.0.1:' :port
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;

CREATE EXTENSION graph_fdw;
SELECT graph_fdw_version();
SELECT fdwname, fdwhandler::regproc, fdwvalidator::regproc
FROM pg_foreign_data_wrapper WHERE fdwname = 'graph_fdw';

CREATE SERVER graph FOREIGN DATA WRAPPER graph_fdw
  OPTIONS (endpoint :'endpoint', authority :'endpoint', max_retries '1');
-- the secret is the emulator's, and public
CREATE USER MAPPING FOR CURRENT_USER SERVER graph
  OPTIONS (tenant_id 'contoso.test',
           client_id 'cccccccc-dddd-eeee-ffff-000000000000',
           client_secret 'emulator-secret-read-only');

CREATE SCHEMA defender;
IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO defender;

-- narrow tables, whose plans are short
CREATE FOREIGN TABLE alert (
  id text,
  title text,
  severity text,
  status text,
  classification text,
  determination text,
  service_source text,
  assigned_to text,
  created_date_time timestamptz,
  last_update_date_time timestamptz
) SERVER graph;
CREATE FOREIGN TABLE device (
  alert_id text,
  ordinal int,
  device_dns_name text,
  host_name text,
  alert_severity text,
  alert_created_date_time timestamptz
) SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');

-- copies, to compare with
CREATE TABLE alert_copy AS SELECT * FROM alert;
CREATE TABLE device_copy AS SELECT * FROM device;
ANALYZE alert_copy, device_copy;

-- if this differs, the emulator was started with other options
SELECT count(*), count(DISTINCT id), min(created_date_time), max(created_date_time)
FROM alert_copy;
SELECT count(*), count(DISTINCT alert_id), count(DISTINCT device_dns_name)
FROM device_copy;

--
-- Functions
--

-- text without the emulator's port, which is another one in each run, and
-- without the fault that its root may hold
CREATE FUNCTION without_port(text) RETURNS text LANGUAGE sql AS $$
  SELECT regexp_replace(regexp_replace($1, '127\.0\.0\.1:\d+', '127.0.0.1:PORT', 'g'), '/fault/[\w-]+', '', 'g')
$$;

-- a plan as it is explained, in the words of PostgreSQL 15
CREATE FUNCTION explained(query text, options text DEFAULT 'VERBOSE, COSTS OFF')
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  plan text;
  line text;
BEGIN
  -- JSON and YAML are one row
  FOR plan IN EXECUTE format('EXPLAIN (%s) %s', options, query) LOOP FOREACH line IN ARRAY string_to_array(plan, E'\n') LOOP
    line := regexp_replace(line, '\((?:Init|Sub)Plan \w+\)\.col1', '$N', 'g');
    line := regexp_replace(line, '\$\d+', '$N', 'g');
    line := regexp_replace(line, '^( *)InitPlan \w+.*', '\1InitPlan 1');
    line := replace(line, 'count(1)', 'count(*)');
    line := regexp_replace(line, 'rows=(\d+)\.\d+', 'rows=\1', 'g');
    CONTINUE WHEN line ~ '^ *(Buffers|Planning|Execution|Sort Method|Full-sort|Pre-sorted|Storage):'
      OR line ~ '^ *"?Disabled"?: false';
    RETURN NEXT without_port(line);
  END LOOP; END LOOP;
END
$$;

-- what running a query costs: requests, and rows of the service that were read
CREATE FUNCTION cost_of(query text, OUT requests bigint, OUT records bigint)
LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) ' || query INTO plan;
  SELECT coalesce(sum((m.found)[1]::bigint), 0) INTO requests
  FROM regexp_matches(plan::text, '"Graph Requests": (\d+)', 'g') AS m(found);
  SELECT coalesce(sum((m.found)[1]::bigint), 0) INTO records
  FROM regexp_matches(plan::text, '"Graph Records": (\d+)', 'g') AS m(found);
END
$$;

-- What is done with a clause: what is sent, its label, and the rows, which
-- must be those that the copy has.  The table is an alert or a device.
CREATE FUNCTION clause(clause text, tab text DEFAULT 'alert',
                       OUT filter text, OUT label text, OUT rows text)
LANGUAGE plpgsql AS $$
DECLARE
  plan jsonb;
  differs bigint;
BEGIN
  EXECUTE format('EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT * FROM %I WHERE %s', tab, clause)
    INTO plan;
  plan := plan->0->'Plan';
  WHILE plan->>'Node Type' <> 'Foreign Scan' LOOP
    IF plan->>'Node Type' = 'Result' AND plan->'Plans' IS NULL THEN
      plan := '{"Node Type": "Foreign Scan", "Graph Request": "none (the planner knows that there are no rows)"}';
    ELSE
      -- an initplan comes before the scan
      plan := jsonb_path_query_first(plan, '$.Plans[*] ? (@."Node Type" == "Foreign Scan")');
    END IF;
  END LOOP;
  filter := coalesce(substring(plan->>'Graph Request' FROM
                       '\$filter=(.*?)(?:&\$orderby=[^&]*)?(?:&\$select=[^&]*)?(?:&\$count=true)?&\$top=\d+$'),
                     substring(plan->>'Graph Request' FROM '^none.*'), '-');
  filter := regexp_replace(filter, '\$\d+|\(InitPlan \w+\)\.col1', '$N', 'g');
  SELECT string_agg(substring(l FROM '.*: ((?:sent|local).*)$'), ' + ')
    INTO label FROM jsonb_array_elements_text(plan->'Graph Clauses') AS l;
  EXECUTE format('WITH got AS MATERIALIZED (SELECT * FROM %1$I WHERE %2$s),
                       right_ones AS MATERIALIZED (SELECT * FROM %1$s_copy AS %1$I WHERE %2$s)
                  SELECT (SELECT count(*) FROM got), count(*)
                  FROM ((TABLE got EXCEPT ALL TABLE right_ones) UNION ALL
                        (TABLE right_ones EXCEPT ALL TABLE got)) AS d',
                 tab, clause) INTO rows, differs;
  IF differs > 0 THEN
    rows := rows || ' WRONG: differs from the copy in ' || differs;
  END IF;
END
$$;

-- everything that an error says
CREATE FUNCTION error_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  message text; detail text; hint text; context text; tab text; col text;
BEGIN
  EXECUTE query;
  RETURN NEXT 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT,
    tab = TABLE_NAME, col = COLUMN_NAME;
  -- ids of requests are another one in each run
  detail := regexp_replace(detail, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'UUID', 'g');
  context := regexp_replace(context, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'UUID', 'g');
  detail := regexp_replace(detail, '\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ', 'TIME', 'g');
  -- PostgreSQL 17 says it at greater length
  message := regexp_replace(message, '^(user mapping not found for )(?:user )?("\w+").*', '\1\2');
  RETURN NEXT without_port(SQLSTATE || ': ' || message);
  IF detail <> '' THEN RETURN NEXT without_port('DETAIL: ' || detail); END IF;
  IF hint <> '' THEN RETURN NEXT 'HINT: ' || hint; END IF;
  context := regexp_replace(context, '\n?SQL statement "(.|\n)*', '');
  IF context <> '' THEN RETURN NEXT without_port('CONTEXT: ' || context); END IF;
  IF tab <> '' THEN RETURN NEXT format('table %s, column %s', tab, col); END IF;
END
$$;

-- the secret is where it belongs, and nowhere else
SELECT srvoptions::text ~ 'secret' AS server_has_it FROM pg_foreign_server WHERE srvname = 'graph';
SELECT umoptions::text ~ 'client_secret' AS mapping_has_it FROM pg_user_mappings WHERE srvname = 'graph';
