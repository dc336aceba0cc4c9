--
-- What belongs to an incident, by its own list.
--
SET search_path = defender, public;

-- ===================================================================
-- What is asked
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alerts WHERE incident_id = '28001';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alerts WHERE incident_id IN ('28001', '28002', '28003', '28004', '28001') AND severity = 'high' AND title LIKE 'A%';
EXPLAIN (VERBOSE, COSTS OFF) SELECT ordinal FROM device_evidence WHERE incident_id = '28001' OR incident_id = '28002';
EXPLAIN (VERBOSE, COSTS OFF) SELECT comment FROM alert_comments WHERE '28001' = incident_id;
SELECT * FROM explained($$SELECT id FROM alerts WHERE incident_id = (SELECT max(alert_id) FROM device_copy)$$);
SELECT * FROM explained($$SELECT id FROM alerts WHERE incident_id = ANY (ARRAY(SELECT alert_id FROM device_copy)) AND severity = 'high'$$);
-- whichever is fewer
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alerts WHERE incident_id = '28001' AND id = 'x';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alerts WHERE incident_id = '28001' AND id IN ('x', 'y');
-- one stream, or two tables that say the same
EXPLAIN (VERBOSE, COSTS OFF) SELECT a.title, d.device_dns_name FROM alerts a JOIN device_evidence d ON d.alert_id = a.id WHERE a.incident_id = '28001';
EXPLAIN (COSTS OFF) SELECT a.title, b.title FROM alert_comments c, alerts a JOIN alerts b ON b.incident_id = a.incident_id WHERE a.incident_id = '28001' AND c.incident_id = '28001';
-- only a list can tell
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alerts WHERE incident_id = 'a/b';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alerts WHERE incident_id IN ('28001', '');
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alerts WHERE incident_id <> '28001';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alerts WHERE incident_id = '28001' OR severity = 'high';
-- counted and sorted here
EXPLAIN (COSTS OFF) SELECT count(*) FROM alerts WHERE incident_id = '28001';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alerts WHERE incident_id = '28001' ORDER BY created_date_time DESC LIMIT 2;

-- ===================================================================
-- Estimates
-- ===================================================================
SELECT * FROM explained($$SELECT id FROM alerts WHERE incident_id = '28001'$$, 'VERBOSE') AS l WHERE l ~ 'Scan|Estimate';
SELECT * FROM explained($$SELECT ordinal FROM alert_evidence WHERE incident_id = '28001'$$, 'VERBOSE') AS l WHERE l ~ 'Scan|Estimate';
SELECT * FROM explained($$SELECT ordinal FROM alert_comments WHERE incident_id IN ('28001', '28002')$$, 'VERBOSE') AS l WHERE l ~ 'Scan|Estimate';
SELECT * FROM explained($$SELECT incident_id FROM alerts GROUP BY 1$$, 'VERBOSE') AS l WHERE l ~ 'Aggregate';

-- ===================================================================
-- Rows
-- ===================================================================
CREATE TABLE incident_alerts AS SELECT id, incident_id, title, severity FROM alerts;
CREATE TABLE incident_devices AS SELECT alert_id, ordinal, incident_id, device_dns_name FROM device_evidence;
SELECT incident_id, count(*), count(*) FILTER (WHERE severity = 'high') FROM alerts WHERE incident_id IN ('28001', '28005', 'none') GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM (
  SELECT id, incident_id, title, severity FROM alerts WHERE incident_id = ANY (ARRAY(SELECT (28000 + n)::text FROM generate_series(1, 15) AS n))
  EXCEPT ALL
  SELECT * FROM incident_alerts WHERE incident_id = ANY (ARRAY(SELECT (28000 + n)::text FROM generate_series(1, 15) AS n))) AS d;
SELECT count(*) FROM (
  SELECT * FROM incident_devices WHERE incident_id IN ('28001', '28002')
  EXCEPT ALL
  SELECT alert_id, ordinal, incident_id, device_dns_name FROM device_evidence WHERE incident_id IN ('28001', '28002')) AS d;
SELECT * FROM cost_of($$SELECT * FROM device_evidence WHERE incident_id = '28001'$$);
SELECT * FROM cost_of($$SELECT count(*) FROM alerts WHERE incident_id IN ('28001', '28002', '28003')$$);
SELECT * FROM cost_of($$SELECT * FROM alerts WHERE incident_id = NULL$$);

-- ===================================================================
-- Turned off
-- ===================================================================
ALTER FOREIGN TABLE alerts OPTIONS (ADD incident_lookup 'maybe');       -- ERROR
ALTER FOREIGN TABLE alerts OPTIONS (ADD incident_lookup 'false');
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM alerts WHERE incident_id = '28001';
EXPLAIN (VERBOSE, COSTS OFF) SELECT alert_id FROM alert_comments WHERE incident_id = '28001';
ALTER FOREIGN TABLE alerts OPTIONS (DROP incident_lookup);
DROP TABLE incident_alerts, incident_devices;
