--
-- Tables that are read together: which are, and where their clauses are checked
--
SET enable_mergejoin = off;

-- each table's own clauses, and those between two
SELECT * FROM explained($$SELECT a.title, d.host_name FROM alert AS a JOIN device AS d ON d.alert_id = a.id
  WHERE a.severity = 'high' AND d.ordinal = 1 AND d.host_name <> a.title$$) AS line;
SELECT * FROM cost_of($$SELECT a.title, d.host_name FROM alert AS a JOIN device AS d ON d.alert_id = a.id
  WHERE a.severity = 'high' AND d.ordinal = 1 AND d.host_name <> a.title$$);
SELECT count(*), count(DISTINCT d.host_name) FROM alert AS a JOIN device AS d ON d.alert_id = a.id WHERE a.severity = 'high' AND d.ordinal = 1 AND d.host_name <> a.title;
SELECT count(*), count(DISTINCT d.host_name) FROM alert_copy AS a JOIN device_copy AS d ON d.alert_id = a.id WHERE a.severity = 'high' AND d.ordinal = 1 AND d.host_name <> a.title;

-- what makes a match of a left join, and what is asked of the result
SELECT * FROM explained($$SELECT a.title, d.host_name FROM alert AS a LEFT JOIN device AS d ON d.alert_id = a.id AND d.ordinal < 3 AND a.status = 'new'
  WHERE a.severity = 'high' AND COALESCE(d.ordinal, 1) = 1$$) AS line;
SELECT count(*), count(d.host_name) FROM alert AS a LEFT JOIN device AS d ON d.alert_id = a.id AND d.ordinal < 3 AND a.status = 'new'
  WHERE a.severity = 'high' AND COALESCE(d.ordinal, 1) = 1;
SELECT count(*), count(d.host_name) FROM alert_copy AS a LEFT JOIN device_copy AS d ON d.alert_id = a.id AND d.ordinal < 3 AND a.status = 'new'
  WHERE a.severity = 'high' AND COALESCE(d.ordinal, 1) = 1;

-- is there some, is there none?
SELECT * FROM explained($$SELECT count(*) FROM alert AS a WHERE EXISTS (SELECT FROM device AS d WHERE d.alert_id = a.id AND d.ordinal > 1 AND d.host_name <> a.title)$$) AS line;
SELECT * FROM explained($$SELECT count(*) FROM alert AS a WHERE NOT EXISTS (SELECT FROM device AS d WHERE d.alert_id = a.id AND d.ordinal > 1)$$) AS line;
SELECT * FROM explained($$SELECT host_name FROM device WHERE alert_id IN (SELECT id FROM alert WHERE severity = 'high')$$) AS line;
SELECT (SELECT count(*) FROM alert AS a WHERE EXISTS (SELECT FROM device AS d WHERE d.alert_id = a.id AND d.ordinal > 1)),
       (SELECT count(*) FROM alert AS a WHERE NOT EXISTS (SELECT FROM device AS d WHERE d.alert_id = a.id AND d.ordinal > 1)),
       (SELECT count(*) FROM device WHERE alert_id IN (SELECT id FROM alert WHERE severity = 'high'));
SELECT (SELECT count(*) FROM alert_copy AS a WHERE EXISTS (SELECT FROM device_copy AS d WHERE d.alert_id = a.id AND d.ordinal > 1)),
       (SELECT count(*) FROM alert_copy AS a WHERE NOT EXISTS (SELECT FROM device_copy AS d WHERE d.alert_id = a.id AND d.ordinal > 1)),
       (SELECT count(*) FROM device_copy WHERE alert_id IN (SELECT id FROM alert_copy WHERE severity = 'high'));

-- the newest
SELECT * FROM explained($$SELECT a.title, d.host_name FROM alert AS a JOIN device AS d ON d.alert_id = a.id ORDER BY a.created_date_time DESC LIMIT 10$$) AS line;
SELECT * FROM cost_of($$SELECT a.title, d.host_name FROM alert AS a JOIN device AS d ON d.alert_id = a.id ORDER BY a.created_date_time DESC LIMIT 10$$);
SELECT (SELECT array_agg(created_date_time) FROM (SELECT a.created_date_time FROM alert AS a JOIN device AS d ON d.alert_id = a.id ORDER BY a.created_date_time DESC LIMIT 10) AS x)
     = (SELECT array_agg(created_date_time) FROM (SELECT a.created_date_time FROM alert_copy AS a JOIN device_copy AS d ON d.alert_id = a.id ORDER BY a.created_date_time DESC LIMIT 10) AS x) AS same;

-- statements that write: with a local plan for a row that is checked again
CREATE TABLE owned (id text, host text);
SELECT * FROM explained($$INSERT INTO owned SELECT a.id, d.host_name FROM alert AS a JOIN device AS d ON d.alert_id = a.id WHERE d.ordinal = 1$$) AS line;
INSERT INTO owned SELECT a.id, d.host_name FROM alert AS a JOIN device AS d ON d.alert_id = a.id WHERE d.ordinal = 1;
SELECT count(*) = (SELECT count(*) FROM device_copy WHERE ordinal = 1) AS same FROM owned;
ANALYZE owned;
EXPLAIN (COSTS OFF) UPDATE owned AS o SET host = a.title FROM alert AS a JOIN device AS d ON d.alert_id = a.id WHERE o.id = a.id AND d.ordinal = 1 AND a.severity = 'high';
SELECT * FROM cost_of($$UPDATE owned AS o SET host = a.title FROM alert AS a JOIN device AS d ON d.alert_id = a.id WHERE o.id = a.id AND d.ordinal = 1 AND a.severity = 'high'$$);
UPDATE owned AS o SET host = a.title FROM alert AS a JOIN device AS d ON d.alert_id = a.id WHERE o.id = a.id AND d.ordinal = 1 AND a.severity = 'high';
SELECT count(*) = (SELECT count(*) FROM device_copy WHERE ordinal = 1 AND alert_severity = 'high') AS same FROM owned AS o JOIN alert_copy AS a ON a.id = o.id AND a.title = o.host;

-- what is not read together: other options, other roles' logins, no id, a volatile id, rows as values
CREATE SERVER other FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint 'http://127.0.0.1:1', authority 'http://127.0.0.1:1');
CREATE FOREIGN TABLE other_alert (id text, title text) SERVER other;
EXPLAIN (COSTS OFF) SELECT a.title FROM other_alert AS a JOIN device AS d ON d.alert_id = a.id;
EXPLAIN (COSTS OFF) SELECT a.title FROM alert AS a JOIN device AS d ON d.alert_id = a.title;
EXPLAIN (COSTS OFF) SELECT a.title FROM alert AS a JOIN device AS d ON d.alert_id = a.id || '' ;
EXPLAIN (COSTS OFF) SELECT a.title, d FROM alert AS a JOIN device AS d ON d.alert_id = a.id;
EXPLAIN (COSTS OFF) SELECT a.title FROM alert AS a LEFT JOIN (device AS d JOIN device AS e ON d.alert_id = e.alert_id) ON d.alert_id = a.id;
CREATE ROLE somebody;
CREATE USER MAPPING FOR somebody SERVER graph OPTIONS (access_token 'another');
GRANT SELECT ON device TO somebody;
CREATE VIEW of_somebody AS SELECT * FROM device;
ALTER VIEW of_somebody OWNER TO somebody;
EXPLAIN (COSTS OFF) SELECT a.title FROM alert AS a JOIN of_somebody AS d ON d.alert_id = a.id;
CREATE VIEW careful WITH (security_barrier) AS SELECT * FROM device WHERE ordinal = 1;
EXPLAIN (COSTS OFF) SELECT a.title FROM alert AS a JOIN careful AS d ON d.alert_id = a.id WHERE d.host_name LIKE 'x%';

-- or nothing
ALTER SERVER graph OPTIONS (ADD join_pushdown 'false');
EXPLAIN (COSTS OFF) SELECT a.title FROM alert AS a JOIN device AS d ON d.alert_id = a.id;
ALTER SERVER graph OPTIONS (DROP join_pushdown);

DROP VIEW of_somebody, careful;
DROP TABLE owned;
DROP SERVER other CASCADE;
REVOKE SELECT ON device FROM somebody;
DROP USER MAPPING FOR somebody SERVER graph;
DROP ROLE somebody;
RESET enable_mergejoin;
