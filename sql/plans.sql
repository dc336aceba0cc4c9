--
-- As few requests as the question needs: order, limit, count, columns, values
-- from other tables.
--
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- ===================================================================
-- LIMIT
-- ===================================================================
-- all clauses exact: as many alerts as rows are wanted
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alert LIMIT 10;
SELECT * FROM cost_of('SELECT id FROM alert LIMIT 10');
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alert WHERE severity = 'high' LIMIT 10 OFFSET 5;
SELECT * FROM cost_of($$SELECT id FROM alert WHERE severity = 'high' LIMIT 10 OFFSET 5$$);
SELECT count(*) FROM (SELECT id FROM alert WHERE severity = 'high' LIMIT 10 OFFSET 5) AS a;
-- not all exact: a page that is likely to do
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alert WHERE title LIKE 'A%' LIMIT 10;
SELECT count(*) FROM (SELECT id FROM alert WHERE title LIKE 'A%' LIMIT 10) AS a;
EXPLAIN (VERBOSE, COSTS OFF) SELECT alert_id FROM device LIMIT 10;
SELECT count(*) FROM (SELECT alert_id FROM device LIMIT 10) AS a;
-- should that not be enough, more is read
SELECT count(*) FROM (SELECT id FROM alert WHERE title LIKE 'Suspicious execution%' LIMIT 50) AS a;
SELECT count(*) FROM (SELECT id FROM alert WHERE severity = 'high' LIMIT 1000) AS a;
-- a limit that is known when the query runs
PREPARE first_few(int) AS SELECT count(*) FROM (SELECT id FROM alert LIMIT $1) AS a;
EXECUTE first_few(3);
EXECUTE first_few(NULL);
DEALLOCATE first_few;
-- steps between the scan and the limit
SELECT count(*) FROM (SELECT DISTINCT severity FROM alert LIMIT 5) AS a;
SELECT count(*) FROM (SELECT severity, count(*) FROM alert GROUP BY 1 LIMIT 5) AS a;
SELECT count(*) FROM (SELECT unnest(ARRAY[1, 2]) FROM alert LIMIT 5) AS a;
SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY id) FROM alert LIMIT 5) AS a;
SELECT count(*) FROM (SELECT id FROM alert ORDER BY created_date_time DESC FETCH FIRST 2 ROWS WITH TIES) AS a;
SELECT EXISTS (SELECT FROM alert WHERE severity = 'high') AS is_one;
SELECT * FROM cost_of($$SELECT EXISTS (SELECT FROM alert WHERE severity = 'high')$$);
SELECT count(*) FROM (SELECT id FROM alert LIMIT 0) AS a;

-- ===================================================================
-- ORDER BY
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alert ORDER BY created_date_time DESC LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alert ORDER BY last_update_date_time LIMIT 10;
SELECT * FROM cost_of('SELECT id FROM alert ORDER BY last_update_date_time LIMIT 10');
-- further keys are sorted here
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alert ORDER BY created_date_time DESC, id LIMIT 10;
-- the same rows as in the copy, in the same order
SELECT (SELECT string_agg(id, ',') FROM (SELECT id FROM alert ORDER BY created_date_time DESC, id LIMIT 40) AS a)
     = (SELECT string_agg(id, ',') FROM (SELECT id FROM alert_copy ORDER BY created_date_time DESC, id LIMIT 40) AS a) AS same;
SELECT (SELECT string_agg(id, ',') FROM (SELECT id FROM alert WHERE severity = 'high' ORDER BY last_update_date_time, id LIMIT 40) AS a)
     = (SELECT string_agg(id, ',') FROM (SELECT id FROM alert_copy WHERE severity = 'high' ORDER BY last_update_date_time, id LIMIT 40) AS a) AS same;
SELECT (SELECT string_agg(id, ',' ORDER BY created_date_time, id) FROM alert)
     = (SELECT string_agg(id, ',' ORDER BY created_date_time, id) FROM alert_copy) AS same;
-- what the service does not sort by
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alert ORDER BY severity LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alert ORDER BY date_trunc('day', created_date_time) LIMIT 10;
SELECT (SELECT string_agg(id, ',') FROM (SELECT id FROM alert ORDER BY severity COLLATE "C", id LIMIT 10) AS a)
     = (SELECT string_agg(id, ',') FROM (SELECT id FROM alert_copy ORDER BY severity COLLATE "C", id LIMIT 10) AS a) AS same;
-- nulls in either place
SELECT created_date_time FROM alert ORDER BY created_date_time NULLS FIRST LIMIT 2;
SELECT created_date_time FROM alert ORDER BY created_date_time DESC NULLS LAST LIMIT 2;
-- evidence, in the order of its alerts
EXPLAIN (VERBOSE, COSTS OFF) SELECT device_dns_name FROM device ORDER BY alert_created_date_time DESC LIMIT 5;
SELECT alert_created_date_time, ordinal FROM device WHERE alert_severity = 'low' ORDER BY 1, 2 LIMIT 3;
-- merge joins and maxima may use it, too
SELECT max(created_date_time), min(last_update_date_time) FROM alert;
SELECT max(created_date_time), min(last_update_date_time) FROM alert_copy;
-- switched off
CREATE FOREIGN TABLE plain (id text, severity text, created_date_time timestamptz)
  SERVER graph OPTIONS (order_pushdown 'false', select_pushdown 'false', count_pushdown 'false');
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM plain ORDER BY created_date_time DESC LIMIT 10;
SELECT (SELECT string_agg(id, ',') FROM (SELECT id FROM plain ORDER BY created_date_time DESC, id LIMIT 10) AS a)
     = (SELECT string_agg(id, ',') FROM (SELECT id FROM alert_copy ORDER BY created_date_time DESC, id LIMIT 10) AS a) AS same;

-- ===================================================================
-- Columns: only the properties that the query uses
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF) SELECT title FROM alert WHERE status = 'new' AND assigned_to LIKE 'a%';
EXPLAIN (VERBOSE, COSTS OFF) SELECT raw FROM defender.alerts;
EXPLAIN (VERBOSE, COSTS OFF) SELECT file_name, alert_title FROM defender.alert_evidence;
EXPLAIN (VERBOSE, COSTS OFF) SELECT severity FROM plain;
SELECT count(*) FROM plain WHERE severity = 'high';

-- ===================================================================
-- count(*)
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM alert;
SELECT count(*) FROM alert;
SELECT * FROM cost_of('SELECT count(*) FROM alert');
SELECT explained($$SELECT count(*), count(1) FROM alert WHERE severity = 'high' AND status <> 'new'$$);
SELECT count(*), count(1) FROM alert WHERE severity = 'high' AND status <> 'new';
SELECT count(*), count(1) FROM alert_copy WHERE severity = 'high' AND status <> 'new';
SELECT count(*) FROM alert WHERE classification IS NULL;
SELECT count(*) FROM alert WHERE severity = 'high' AND severity = (SELECT NULL::text);
SELECT * FROM cost_of($$SELECT count(*) FROM alert WHERE severity = ANY ('{}')$$);
SELECT count(*) FROM alert WHERE severity = ANY ('{}');
SELECT count(*) + 1 AS n, 'x' AS x FROM alert WHERE severity = 'high';
SELECT (SELECT count(*) FROM alert WHERE severity = 'high') - (SELECT count(*) FROM alert_copy WHERE severity = 'high') AS zero;
-- what the service cannot count exactly is counted here
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM alert WHERE created_date_time >= '2026-10-31';
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM alert WHERE classification <> 'truePositive';
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(classification) FROM alert;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FILTER (WHERE severity = 'high') FROM alert;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM device;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM plain;
SELECT count(classification), count(DISTINCT severity), count(*) FILTER (WHERE severity = 'high'), count(*) FROM alert;
SELECT count(classification), count(DISTINCT severity), count(*) FILTER (WHERE severity = 'high'), count(*) FROM alert_copy;
SELECT count(*) FROM alert HAVING count(*) > 5000;
SELECT count(*) FROM (SELECT DISTINCT severity FROM alert) AS a;
SELECT count(*) FROM alert WHERE severity = 'high' AND random() < 2;
SELECT count(*) FROM alert WHERE id = 'da637578995287051192_756343937';
SELECT count(*) FROM plain;
SELECT count(*) FROM plain WHERE severity = 'high';
-- the properties are not chosen, but the alerts are counted
CREATE FOREIGN TABLE unselected (id text, severity text) SERVER graph OPTIONS (select_pushdown 'false');
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM unselected;
SELECT count(*) FROM unselected;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM unselected WHERE severity = 'high';
SELECT count(*) FROM unselected WHERE severity = 'high';
SELECT * FROM cost_of($$SELECT count(*) FROM unselected WHERE severity = 'high'$$);
DROP FOREIGN TABLE unselected;

-- ===================================================================
-- Values from other tables
-- ===================================================================
CREATE TEMP TABLE few AS SELECT id, severity, created_date_time FROM alert_copy ORDER BY id LIMIT 5;
ANALYZE few;
-- few rows: a request for each
SELECT * FROM explained('SELECT a.title FROM few AS f JOIN alert AS a ON a.id = f.id') AS line
WHERE line !~ '(Filter|Graph Clause):';                          -- 17 has the sides exchanged
SELECT * FROM cost_of('SELECT a.title FROM few AS f JOIN alert AS a ON a.id = f.id');
SELECT count(*), count(DISTINCT a.id) FROM few AS f JOIN alert AS a ON a.id = f.id;
SELECT count(a.id), count(*) FROM (SELECT id FROM few UNION ALL SELECT 'no such alert' UNION ALL SELECT NULL) AS f LEFT JOIN alert AS a ON a.id = f.id;
SELECT * FROM cost_of('SELECT a.id FROM (SELECT id FROM few UNION ALL SELECT ''no such alert'' UNION ALL SELECT NULL) AS f, LATERAL (SELECT id FROM alert WHERE id = f.id OFFSET 0) AS a');
SELECT count(*) FROM alert AS a WHERE EXISTS (SELECT FROM few AS f WHERE f.id = a.id);
SELECT count(*) FROM few AS f WHERE NOT EXISTS (SELECT FROM alert AS a WHERE a.id = f.id AND a.severity = f.severity);
SELECT * FROM explained('SELECT d.host_name FROM few AS f JOIN device AS d ON d.alert_id = f.id') AS line
WHERE line !~ '(Filter|Graph Clause):';                          -- 17 has the sides exchanged
SELECT (SELECT count(*) FROM few AS f JOIN device AS d ON d.alert_id = f.id)
     = (SELECT count(*) FROM few AS f JOIN device_copy AS d ON d.alert_id = f.id) AS same;
-- many rows: one list
EXPLAIN (VERBOSE, COSTS OFF) SELECT c.id FROM alert_copy AS c JOIN alert AS a ON a.id = c.id AND a.severity = c.severity;
SELECT count(*) FROM alert_copy AS c JOIN alert AS a ON a.id = c.id AND a.severity = c.severity;
SELECT * FROM cost_of('SELECT c.id FROM alert_copy AS c JOIN alert AS a ON a.id = c.id');
-- other clauses with values of another table
EXPLAIN (VERBOSE, COSTS OFF)
SELECT f.id, a.id FROM few AS f, LATERAL (SELECT id FROM alert WHERE severity = f.severity AND created_date_time > f.created_date_time ORDER BY created_date_time LIMIT 1) AS a;
SELECT count(*) FROM few AS f, LATERAL (SELECT id FROM alert WHERE severity = f.severity AND created_date_time > f.created_date_time ORDER BY created_date_time, id LIMIT 1) AS a;
SELECT count(*) FROM few AS f, LATERAL (SELECT id FROM alert_copy WHERE severity = f.severity AND created_date_time > f.created_date_time ORDER BY created_date_time, id LIMIT 1) AS a;
-- the same value twice is asked for twice, unless Memoize is above
SELECT count(*) FROM (SELECT severity FROM few UNION ALL SELECT severity FROM few) AS f JOIN alert AS a ON a.severity = f.severity AND a.created_date_time > '2026-10-25';
SELECT count(*) FROM (SELECT severity FROM few UNION ALL SELECT severity FROM few) AS f JOIN alert_copy AS a ON a.severity = f.severity AND a.created_date_time > '2026-10-25';
-- an alert with itself
SELECT count(*) FROM alert AS a JOIN alert AS b ON a.id = b.id WHERE a.severity = 'high' AND b.status = 'new';
SELECT count(*) FROM alert_copy WHERE severity = 'high' AND status = 'new';

-- ===================================================================
-- Prepared statements: generic and custom plans
-- ===================================================================
PREPARE by_id(text) AS SELECT title FROM alert WHERE id = $1;
PREPARE by_ids(text[]) AS SELECT count(*) FROM alert WHERE id = ANY ($1);
PREPARE by_severity(text, timestamptz) AS
  SELECT count(*) FROM alert WHERE severity = $1 AND created_date_time >= $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE by_id('x');
EXECUTE by_id('da637578995287051192_756343937');
EXECUTE by_id('x');
EXECUTE by_id(NULL);
EXECUTE by_ids('{da637578995287051192_756343937,x,NULL,da637578995287051192_756343937}');
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE by_severity('high', '2026-10-31');
EXECUTE by_severity('high', '2026-10-31');
EXECUTE by_severity('critical', '2026-10-31');
EXECUTE by_severity('it''s', 'infinity');
EXECUTE by_severity(NULL, NULL);
SET plan_cache_mode = force_custom_plan;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE by_severity('high', '2026-10-31');
EXECUTE by_severity('high', '2026-10-31');
RESET plan_cache_mode;
-- the sixth execution is the first that may have a generic plan
EXECUTE by_severity('high', '2026-10-31');
EXECUTE by_severity('high', '2026-10-31');
EXECUTE by_severity('high', '2026-10-31');
EXECUTE by_severity('high', '2026-10-31');
EXECUTE by_severity('high', '2026-10-31');
EXECUTE by_severity('high', '2026-10-31');
EXECUTE by_severity('low', '2026-10-31');
SELECT count(*) FILTER (WHERE severity = 'high') AS high, count(*) FILTER (WHERE severity = 'low') AS low
FROM alert_copy WHERE created_date_time >= '2026-10-31';
DEALLOCATE ALL;

-- ===================================================================
-- EXPLAIN: nothing is asked; EXPLAIN ANALYZE counts
-- ===================================================================
SELECT * FROM explained($$SELECT id FROM alert WHERE severity = 'high'$$, 'ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF');
SELECT * FROM explained($$SELECT id FROM alert WHERE id IN ('a', 'b')$$, 'ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF');
ALTER SERVER graph OPTIONS (SET endpoint 'http://127.0.0.1:1');
SELECT * FROM explained($$SELECT id FROM alert WHERE severity = (SELECT 'high' FROM plain LIMIT 1)$$);
\getenv port GRAPH_EMULATOR_PORT
\set endpoint 'http://127.0.0.1:' :port
ALTER SERVER graph OPTIONS (SET endpoint :'endpoint');
EXPLAIN (COSTS OFF) SELECT id FROM alert WHERE severity = 'high';
SELECT * FROM explained($$SELECT id FROM alert WHERE severity = 'high' AND title = 'x'$$, 'VERBOSE, COSTS OFF, FORMAT JSON');
DROP FOREIGN TABLE plain;
