--
-- A foreign table is a table: what PostgreSQL does with tables, done with it.
--
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '(null)'
\set sample 'da637578995287051192_756343937'

-- ===================================================================
-- Whole rows, tableoid and system columns
-- ===================================================================
CREATE FOREIGN TABLE narrow (id text, severity text, status text) SERVER graph;
SELECT narrow FROM narrow WHERE id = :'sample';
SELECT (narrow).severity, (n.narrow).status FROM (SELECT narrow FROM narrow WHERE id = :'sample') AS n;
SELECT to_jsonb(n) FROM narrow AS n WHERE id = :'sample';
SELECT tableoid::regclass, id FROM narrow WHERE id = :'sample';
SELECT DISTINCT tableoid::regclass FROM device WHERE alert_id = :'sample';
EXPLAIN (VERBOSE, COSTS OFF) SELECT tableoid::regclass FROM narrow WHERE severity = 'high';
SELECT count(*) FROM narrow WHERE tableoid = 'narrow'::regclass AND severity = 'high';
SELECT count(*) FROM narrow WHERE tableoid = 'alert'::regclass;
SELECT ctid IS NOT NULL AS has_ctid FROM narrow WHERE id = :'sample';
SELECT xmin, cmin, xmax, cmax FROM narrow WHERE id = :'sample';        -- ERROR
SELECT count(*) FROM narrow AS n WHERE n IS NOT DISTINCT FROM ROW(:'sample', 'low', 'new')::narrow;

-- ===================================================================
-- Rescans
-- ===================================================================
SELECT n, (SELECT count(*) FROM narrow WHERE severity = n) FROM unnest(ARRAY['high', 'low', NULL, 'critical', 'high']) AS n;
SELECT n, t.* FROM generate_series(1, 3) AS n, LATERAL (
  SELECT status, count(*) FROM narrow WHERE severity = 'unknown' AND n > 0 GROUP BY status ORDER BY status LIMIT 1) AS t;
-- stopped in the middle, and begun again
SELECT n, id IS NOT NULL AS found FROM generate_series(1, 3) AS n, LATERAL (SELECT id FROM narrow WHERE severity = 'high' OFFSET n LIMIT 1) AS t;
SELECT n, count(x.id) FROM generate_series(1, 2) AS n LEFT JOIN LATERAL (
  SELECT alert_id FROM device WHERE alert_id = :'sample' AND n = 2) AS x(id) ON true GROUP BY n ORDER BY n;
-- a recursive query reads it once for each step
WITH RECURSIVE steps(n, severity) AS (
  VALUES (1, 'low')
  UNION ALL
  SELECT n + 1, (SELECT severity FROM narrow WHERE id = 'da637578995287051192_756343937' AND severity = s.severity) FROM steps AS s WHERE n < 3
) SELECT * FROM steps;

-- ===================================================================
-- Cursors
-- ===================================================================
BEGIN;
DECLARE c CURSOR FOR SELECT severity FROM narrow WHERE severity = 'high';
FETCH 2 FROM c;
MOVE 100 FROM c;
FETCH 1 FROM c;
FETCH BACKWARD 1 FROM c;                                               -- ERROR
ROLLBACK;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT row_number() OVER () AS n, id FROM (
  SELECT id FROM narrow WHERE severity = 'unknown' ORDER BY id) AS t;
FETCH LAST FROM c;
FETCH ABSOLUTE 2 FROM c;
FETCH PRIOR FROM c;
FETCH RELATIVE 3 FROM c;
MOVE BACKWARD ALL FROM c;
FETCH NEXT FROM c;
COMMIT;
-- with hold: read to the end when the transaction commits
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT count(*) OVER () AS of, id FROM narrow WHERE severity = 'unknown' ORDER BY id;
FETCH 1 FROM c;
COMMIT;
FETCH 1 FROM c;
MOVE FORWARD ALL FROM c;
FETCH 1 FROM c;
CLOSE c;
-- two at once, and one left open
BEGIN;
DECLARE a CURSOR FOR SELECT 'a', severity FROM narrow WHERE severity = 'high';
DECLARE b CURSOR FOR SELECT 'b', severity FROM narrow WHERE severity = 'low';
FETCH 1 FROM a;
FETCH 1 FROM b;
FETCH 1 FROM a;
CLOSE a;
FETCH 1 FROM b;
COMMIT;

-- ===================================================================
-- Subtransactions and errors in the middle
-- ===================================================================
BEGIN;
DECLARE c CURSOR FOR SELECT severity FROM narrow WHERE severity = 'high';
FETCH 1 FROM c;
SAVEPOINT s;
SELECT 1 / 0 FROM narrow WHERE severity = 'low';                       -- ERROR
ROLLBACK TO s;
FETCH 1 FROM c;
DECLARE d CURSOR FOR SELECT severity FROM narrow WHERE severity = 'low';
FETCH 1 FROM d;
ROLLBACK TO s;
FETCH 1 FROM d;                                                        -- ERROR
ROLLBACK;
CREATE FUNCTION risky(divisor int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  r record;
  n int := 0;
BEGIN
  FOR r IN SELECT severity FROM narrow WHERE severity = 'high' LOOP
    BEGIN
      n := n + 10 / CASE WHEN n = 20 THEN divisor ELSE 1 END;
      EXIT WHEN n > 50;
    EXCEPTION WHEN division_by_zero THEN
      RETURN n || ': caught, and there are ' || (SELECT count(*) FROM narrow WHERE severity = 'unknown');
    END;
  END LOOP;
  RETURN n;
END $$;
SELECT risky(1), risky(0), risky(1);
DROP FUNCTION risky;

-- ===================================================================
-- Columns dropped, added, generated, with defaults and constraints
-- ===================================================================
ALTER FOREIGN TABLE narrow DROP COLUMN status;
ALTER FOREIGN TABLE narrow ADD COLUMN title text, ADD COLUMN "Status" varchar OPTIONS (property 'status');
SELECT * FROM narrow WHERE id = :'sample';
SELECT narrow FROM narrow WHERE id = :'sample';
ALTER FOREIGN TABLE narrow RENAME COLUMN title TO headline;
SELECT headline FROM narrow WHERE id = :'sample';                      -- ERROR
ALTER FOREIGN TABLE narrow ALTER headline OPTIONS (ADD property 'title');
SELECT headline FROM narrow WHERE id = :'sample';
ALTER FOREIGN TABLE narrow ALTER headline TYPE varchar(200), ALTER headline SET DEFAULT 'x', ALTER headline SET STATISTICS 10;
SELECT headline FROM narrow WHERE id = :'sample';
-- a generated column is PostgreSQL's to compute when rows are written, so it has no value here
CREATE FOREIGN TABLE generated (id text, severity text, up text GENERATED ALWAYS AS (upper(severity)) STORED) SERVER graph;
SELECT id, severity FROM generated WHERE id = :'sample';
DROP FOREIGN TABLE generated;
-- a constraint is a promise to the planner
ALTER FOREIGN TABLE narrow ADD CONSTRAINT known CHECK (severity IN ('unknown', 'informational', 'low', 'medium', 'high'));
SET constraint_exclusion = on;
SELECT * FROM cost_of($$SELECT id FROM narrow WHERE severity = 'critical'$$);
SET constraint_exclusion = off;
SELECT * FROM cost_of($$SELECT id FROM narrow WHERE severity = 'critical'$$);
RESET constraint_exclusion;
-- renamed, moved, and another server
ALTER FOREIGN TABLE narrow RENAME TO slim;
CREATE SCHEMA elsewhere;
ALTER FOREIGN TABLE slim SET SCHEMA elsewhere;
SELECT id FROM elsewhere.slim WHERE id = :'sample';
DROP FOREIGN TABLE elsewhere.slim;
DROP SCHEMA elsewhere;

-- ===================================================================
-- Prepared statements see what ALTER changes
-- ===================================================================
CREATE FOREIGN TABLE t (id text, x text OPTIONS (property 'severity')) SERVER graph;
PREPARE p AS SELECT x, count(*) FROM t WHERE x IN ('high', 'new') GROUP BY x;
EXECUTE p;
ALTER FOREIGN TABLE t ALTER x OPTIONS (SET property 'status');
EXECUTE p;
ALTER FOREIGN TABLE t OPTIONS (ADD page_size '100');
EXPLAIN (VERBOSE, COSTS OFF) SELECT x FROM t WHERE x IN ('high', 'new');
PREPARE q AS SELECT id FROM t LIMIT 1000;
ALTER SERVER graph OPTIONS (ADD concurrency '1');
SELECT * FROM cost_of('EXECUTE q');
ALTER SERVER graph OPTIONS (ADD page_size '500');
ALTER FOREIGN TABLE t OPTIONS (DROP page_size);
SELECT * FROM cost_of('EXECUTE q');
ALTER SERVER graph OPTIONS (DROP page_size, DROP concurrency);
DEALLOCATE ALL;
DROP FOREIGN TABLE t;

-- ===================================================================
-- Inheritance and partitions
-- ===================================================================
CREATE TABLE all_alerts (id text, severity text, created_date_time timestamptz) PARTITION BY RANGE (created_date_time);
CREATE TABLE old_alerts PARTITION OF all_alerts FOR VALUES FROM (MINVALUE) TO ('2026-10-25Z');
CREATE FOREIGN TABLE new_alerts PARTITION OF all_alerts FOR VALUES FROM ('2026-10-25Z') TO (MAXVALUE)
  SERVER graph;
INSERT INTO old_alerts SELECT id, severity, created_date_time FROM alert_copy WHERE created_date_time < '2026-10-25Z';
-- the service has older alerts, too: a partition's bound is not a filter
SELECT tableoid::regclass, count(*) FROM all_alerts WHERE created_date_time >= '2026-10-25Z' GROUP BY 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM all_alerts WHERE severity = 'high' AND created_date_time >= '2026-10-30Z';
SELECT tableoid::regclass, count(*) FROM all_alerts WHERE id = :'sample' GROUP BY 1 ORDER BY 1;
SELECT (SELECT count(*) FROM all_alerts WHERE severity = 'high' AND created_date_time BETWEEN '2026-10-20Z' AND '2026-10-30Z' AND (tableoid = 'old_alerts'::regclass OR created_date_time >= '2026-10-25Z'))
     = (SELECT count(*) FROM alert_copy WHERE severity = 'high' AND created_date_time BETWEEN '2026-10-20Z' AND '2026-10-30Z') AS same;
INSERT INTO all_alerts VALUES ('x', 'high', '2026-10-30Z');             -- ERROR
INSERT INTO all_alerts VALUES ('x', 'high', '2026-10-20Z');
DROP TABLE all_alerts;
CREATE TABLE parent (id text, severity text);
INSERT INTO parent VALUES ('local', 'high');
CREATE FOREIGN TABLE child (status text) INHERITS (parent) SERVER graph;
SELECT tableoid::regclass, count(*) FROM parent WHERE severity = 'high' GROUP BY 1 ORDER BY 1;
SELECT tableoid::regclass, id FROM parent WHERE id IN ('local', 'da637578995287051192_756343937') ORDER BY 1;
SELECT count(*) FROM ONLY parent;
DROP FOREIGN TABLE child;
DROP TABLE parent;

-- ===================================================================
-- Views and materialized views
-- ===================================================================
CREATE VIEW high AS SELECT id, title, status FROM alert WHERE severity = 'high';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM high WHERE status = 'new';
SELECT count(*) FROM high WHERE status = 'new';
CREATE VIEW guarded WITH (security_barrier) AS SELECT id, title, status FROM alert WHERE severity = 'high';
SELECT count(*) FROM guarded WHERE status = 'new';
DROP VIEW high, guarded;
CREATE MATERIALIZED VIEW recent AS
  SELECT id, severity, status, created_date_time FROM alert WHERE created_date_time >= '2026-10-25';
CREATE UNIQUE INDEX ON recent (id);
REFRESH MATERIALIZED VIEW recent;
REFRESH MATERIALIZED VIEW CONCURRENTLY recent;
SELECT count(*), count(*) FILTER (WHERE severity = 'high') AS high FROM recent;
SELECT count(*), count(*) FILTER (WHERE severity = 'high') AS high FROM alert_copy WHERE created_date_time >= '2026-10-25';
DROP MATERIALIZED VIEW recent;

-- ===================================================================
-- Read only, row locks
-- ===================================================================
INSERT INTO alert (id) VALUES ('x');                                   -- ERROR
UPDATE alert SET status = 'resolved' WHERE id = :'sample';             -- ERROR
DELETE FROM alert WHERE id = :'sample';                                -- ERROR
TRUNCATE alert;                                                        -- ERROR
MERGE INTO alert AS a USING (VALUES ('x')) AS v(id) ON a.id = v.id WHEN MATCHED THEN DELETE; -- ERROR
COPY alert (id) FROM '/dev/null';                                      -- ERROR
CREATE TRIGGER no AFTER INSERT ON alert FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
DROP TRIGGER no ON alert;
CREATE INDEX ON alert (id);                                            -- ERROR
SELECT is_insertable_into FROM information_schema.tables WHERE table_name = 'alert';
SELECT pg_relation_is_updatable('alert', false);
-- a lock locks nothing remotely; local rows joined to it are locked
SELECT id FROM alert WHERE id = :'sample' FOR UPDATE;
SELECT id FROM alert WHERE severity = 'unknown' ORDER BY id LIMIT 1 FOR SHARE;
CREATE TEMP TABLE owners AS SELECT :'sample' AS id, 'me' AS owner;
SELECT o.owner, a.severity FROM owners AS o JOIN alert AS a USING (id) FOR UPDATE;
UPDATE owners AS o SET owner = a.severity FROM alert AS a WHERE a.id = o.id RETURNING o.*;
DELETE FROM owners AS o USING alert AS a WHERE a.id = o.id AND a.severity = 'low' RETURNING o.*, a.title;
COPY (SELECT id, severity FROM alert WHERE id = 'da637578995287051192_756343937') TO stdout;

-- ===================================================================
-- Set operations, windows, grouping sets, sampling
-- ===================================================================
SELECT severity FROM alert WHERE id = :'sample' UNION ALL SELECT status FROM alert WHERE id = :'sample' ORDER BY 1;
SELECT severity FROM alert INTERSECT SELECT 'high';
SELECT count(*) FROM (SELECT id FROM alert EXCEPT SELECT id FROM alert_copy) AS d;
SELECT severity, status, count(*) FROM alert WHERE severity IN ('high', 'low') AND status IN ('new', 'resolved')
GROUP BY ROLLUP (severity, status) ORDER BY 1, 2;
SELECT severity, rank() OVER (ORDER BY count(*) DESC) FROM alert GROUP BY severity ORDER BY 2;
SELECT count(*) FROM alert TABLESAMPLE SYSTEM (10);                    -- ERROR
WITH high AS MATERIALIZED (SELECT id, status FROM alert WHERE severity = 'high')
SELECT (SELECT count(*) FROM high), (SELECT count(*) FROM high WHERE status = 'new');
