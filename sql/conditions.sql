--
-- Conditions on an enum that have no form at the service: evaluated for each
-- member; and rows, of which the first column says something.
--
-- Each line is what is sent, its label, and how many rows there are; the
-- function sees to it that they are the rows of the copy.
--
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
\pset format unaligned
\pset fieldsep ' | '
\pset tuples_only on
\pset null 'none'

-- ===================================================================
-- Patterns, functions, order
-- ===================================================================
SELECT * FROM clause($$severity ILIKE 'high'$$);
SELECT * FROM clause($$severity LIKE 'h%'$$);
SELECT * FROM clause($$severity NOT LIKE 'h%'$$);
SELECT * FROM clause($$NOT (severity LIKE 'h%')$$);
SELECT * FROM clause($$severity ~ '^(h|m)'$$);
SELECT * FROM clause($$severity !~* 'UM$'$$);
SELECT * FROM clause($$lower(severity) IN ('high', 'low')$$);
SELECT * FROM clause($$upper(severity) <> 'HIGH'$$);
SELECT * FROM clause($$severity > 'low'$$);
SELECT * FROM clause($$severity BETWEEN 'high' AND 'low'$$);
SELECT * FROM clause($$severity NOT BETWEEN 'high' AND 'low'$$);
SELECT * FROM clause($$length(severity) = 4$$);
SELECT * FROM clause($$left(severity, 1) = ANY ('{h,m}')$$);
SELECT * FROM clause($$severity > ANY ('{low,medium}')$$);
SELECT * FROM clause($$array_position('{low,medium,high}', severity) >= 2$$);
SELECT * FROM clause($$service_source ILIKE '%endpoint'$$);
SELECT * FROM clause($$determination LIKE 'not%'$$);
-- true for no member that is known: unknown ones may be meant
SELECT * FROM clause($$severity LIKE 'crit%'$$);
-- nor a word that begins with a capital, which the service may show
SELECT * FROM clause($$severity LIKE 'H%'$$);
-- true for all of them
SELECT * FROM clause($$severity LIKE '%'$$);
SELECT * FROM clause($$severity = severity$$);

-- ===================================================================
-- CASE and COALESCE; with nothing but = in them, unknown members are known too
-- ===================================================================
SELECT * FROM clause($$CASE severity WHEN 'high' THEN true WHEN 'medium' THEN true ELSE false END$$);
SELECT * FROM clause($$CASE severity WHEN 'high' THEN false ELSE true END$$);
SELECT * FROM clause($$CASE WHEN severity = 'high' THEN 3 WHEN severity IN ('medium', 'low') THEN 2 ELSE 1 END >= 2$$);
SELECT * FROM clause($$CASE severity WHEN 'critical' THEN true ELSE severity = 'high' END$$);
SELECT * FROM clause($$CASE WHEN severity LIKE 'h%' THEN 1 ELSE 0 END = 1$$);
SELECT * FROM clause($$COALESCE(severity, 'low') = 'low'$$);
SELECT * FROM clause($$NULLIF(severity, 'low') IS NULL$$);
SELECT * FROM clause($$(severity = 'high') = true$$);
SELECT * FROM clause($$(severity = 'high') IS NOT FALSE$$);
SELECT * FROM clause($$severity = ALL ('{high,high}')$$);

-- ===================================================================
-- NULL
-- ===================================================================
SELECT * FROM clause($$classification LIKE 'true%'$$);
SELECT * FROM clause($$classification NOT LIKE 'true%'$$);
SELECT * FROM clause($$(classification LIKE 'true%') IS NOT TRUE$$);
SELECT * FROM clause($$(classification LIKE 'true%') IS UNKNOWN$$);
SELECT * FROM clause($$(classification LIKE 'true%') IS NOT UNKNOWN$$);
SELECT * FROM clause($$classification LIKE 'true%' OR classification IS NULL$$);
SELECT * FROM clause($$classification LIKE 'true%' AND classification IS NULL$$);
SELECT * FROM clause($$COALESCE(classification, '') = ''$$);
SELECT * FROM clause($$CASE WHEN classification IS NULL THEN 'none' ELSE classification END IN ('none', 'truePositive')$$);
SELECT * FROM clause($$(classification = 'truePositive') IS NOT TRUE$$);
SELECT * FROM clause($$(classification <> 'truePositive') IS NOT FALSE$$);
SELECT * FROM clause($$classification <> 'none of them'$$);
SELECT * FROM clause($$classification IS DISTINCT FROM 'none of them'$$);
SELECT * FROM clause($$classification IS NOT DISTINCT FROM 'none of them'$$);

-- ===================================================================
-- Among other conditions
-- ===================================================================
SELECT * FROM clause($$severity LIKE 'h%' AND created_date_time >= '2026-10-31 12:00Z'$$);
SELECT * FROM clause($$severity LIKE 'h%' OR severity = 'low'$$);
SELECT * FROM clause($$severity LIKE 'h%' OR severity LIKE 'l%' OR severity IN ('medium')$$);
SELECT * FROM clause($$severity LIKE 'h%' OR assigned_to = 'leeg@contoso.test'$$);
SELECT * FROM clause($$severity LIKE 'h%' OR title LIKE 'A%'$$);
SELECT * FROM clause($$severity LIKE 'h%' OR status ILIKE 'NEW' OR severity = 'low'$$);
SELECT * FROM clause($$NOT (severity LIKE 'h%' OR status ILIKE 'new')$$);
SELECT * FROM clause($$NOT (severity NOT LIKE 'h%' AND status NOT ILIKE 'new')$$);
SELECT * FROM clause($$(severity LIKE 'h%' AND status ILIKE 'new') OR (severity LIKE 'l%' AND status = 'resolved')$$);
SELECT * FROM clause($$(severity LIKE 'h%' AND title LIKE 'A%') OR (severity = 'low' AND title LIKE 'B%')$$);
SELECT * FROM clause($$severity = 'critical' OR assigned_to = 'leeg@contoso.test'$$);
SELECT * FROM clause($$severity = 'critical' OR severity = 'high'$$);
SELECT * FROM clause($$severity <> 'critical' AND severity <> 'high'$$);
SELECT * FROM clause($$severity LIKE 'h%' OR severity <> 'critical'$$);
SELECT * FROM clause($$NOT (severity = 'high' OR severity = 'critical')$$);
-- in a child table, of the alert
SELECT * FROM clause($$alert_severity ILIKE 'h%'$$, 'device');

-- ===================================================================
-- What is not evaluated
-- ===================================================================
SELECT * FROM clause($$severity || title LIKE 'h%'$$);
SELECT * FROM clause($$severity LIKE left(status, 1) || '%'$$);
SELECT * FROM clause($$severity LIKE left(current_user, 0) || 'h%'$$);
SELECT * FROM clause($$severity LIKE (SELECT 'h%' OFFSET 0)$$);
SELECT * FROM clause($$severity < random()::text$$);
SELECT * FROM clause($$assigned_to LIKE 'l%'$$);
-- an error is that of a row that is there, not of a member
SELECT * FROM clause($$1 / COALESCE(length(severity), 0) = 0$$);
SELECT * FROM clause($$substring(severity, 1, CASE WHEN severity = 'High' THEN -1 ELSE 1 END) = 'h'$$);
SELECT * FROM clause($$severity LIKE CASE WHEN severity IS NULL THEN 'x\' ELSE 'h%' END$$);
SELECT count(*) FROM alert WHERE severity::int > 0 AND id = 'none';
SELECT * FROM alert WHERE severity::int > 0;
CREATE FUNCTION is_high(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
$$BEGIN IF $1 IS NULL THEN RAISE EXCEPTION 'no severity'; END IF; RETURN $1 = 'high'; END$$;
SELECT * FROM clause($$is_high(severity)$$);
CREATE OR REPLACE FUNCTION is_high(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RETURN $1 = 'high'; END$$;
SELECT * FROM clause($$is_high(severity)$$);
DROP FUNCTION is_high(text);

-- ===================================================================
-- Collations and types
-- ===================================================================
CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT * FROM clause($$severity IN ('HIGH' COLLATE no_case, 'Low')$$);
SELECT * FROM clause($$severity COLLATE "C" < 'i'$$);
DROP COLLATION no_case;
CREATE TYPE severity AS ENUM ('informational', 'low', 'medium', 'high', 'unknown');
CREATE DOMAIN word AS text CHECK (length(VALUE) > 0);
CREATE FOREIGN TABLE own (id text, severity severity, status word, service_source varchar, classification varchar(40), determination name) SERVER graph;
CREATE TABLE own_copy AS SELECT * FROM own;
SELECT * FROM clause($$severity = 'high'$$, 'own');
SELECT * FROM clause($$severity >= 'medium'$$, 'own');
SELECT * FROM clause($$severity IN ('high', 'low')$$, 'own');
SELECT * FROM clause($$severity <> 'high'$$, 'own');
SELECT * FROM clause($$severity::text LIKE 'h%'$$, 'own');
SELECT * FROM clause($$status = 'new'$$, 'own');
SELECT * FROM clause($$status ILIKE 'n%'$$, 'own');
SELECT * FROM clause($$service_source LIKE '%Endpoint'$$, 'own');
SELECT * FROM clause($$classification LIKE 'true%'$$, 'own');
SELECT * FROM clause($$determination LIKE 'mal%'$$, 'own');

-- ===================================================================
-- Rows
-- ===================================================================
SELECT * FROM clause($$(created_date_time, id) < ('2026-08-10 12:00Z', 'm')$$);
SELECT * FROM clause($$(created_date_time, id) <= ('2026-08-10 12:00Z', 'm')$$);
SELECT * FROM clause($$(created_date_time, id) > ('2026-10-31 12:00Z', 'm')$$);
SELECT * FROM clause($$(created_date_time, id) >= ('2026-10-31 12:00Z', 'm')$$);
SELECT * FROM clause($$('2026-10-31 12:00Z', 'm') < (created_date_time, id)$$);
SELECT * FROM clause($$NOT (created_date_time, id) < ('2026-10-31 12:00Z', 'm')$$);
SELECT * FROM clause($$NOT ('2026-10-31 12:00Z', 'm') > (created_date_time, id)$$);
SELECT * FROM clause($$ROW(created_date_time, severity, id) > ROW('2026-10-31 12:00Z', 'low', 'm')$$);
SELECT * FROM clause($$(last_update_date_time, id) > ('2026-10-31 23:00Z', 'm')$$);
SELECT * FROM clause($$(created_date_time, id) > (NULL, 'm')$$);
SELECT * FROM clause($$(created_date_time, id) > ('2026-10-31 12:00Z', NULL)$$);
SELECT * FROM clause($$(created_date_time, id) > ('infinity', 'm')$$);
SELECT * FROM clause($$(created_date_time, id) > (date '2026-10-31', 'm')$$);
SELECT * FROM clause($$(created_date_time, id) > ((SELECT timestamptz '2026-10-31 12:00Z' OFFSET 0), 'm') OR severity LIKE 'h%'$$);
SELECT * FROM clause($$(severity, id) > ('low', 'm')$$);
SELECT * FROM clause($$NOT (severity, id) > ('low', 'm')$$);
SELECT * FROM clause($$(id, created_date_time) > ('m', '2026-10-31 12:00Z')$$);
SELECT * FROM clause($$(created_date_time, severity) = ('2026-11-01 00:00Z', 'high')$$);
SELECT * FROM clause($$(created_date_time, severity) IN (('2026-11-01 00:00Z', 'high'), ('2026-10-31 20:00Z', 'low'))$$);

-- ===================================================================
-- A word that is none is named
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alert WHERE severity = 'hgih';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alert WHERE severity <> 'hgih';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alert WHERE status = repeat('x', 100) || $$'$$;
DROP FOREIGN TABLE own;
DROP TABLE own_copy;
DROP TYPE severity;
DROP DOMAIN word;
