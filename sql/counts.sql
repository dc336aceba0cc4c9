--
-- Is the number of alerts left to the service, where a query wants no more?
--
SET search_path = public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- the aggregates are the scan's, what is made of them is computed above it
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*)::int, 'x', count(*) > 5, count(id), count(DISTINCT id) FROM alert WHERE severity = 'high' HAVING count(*) > 0;
SELECT count(*)::int, 'x', count(*) > 5, count(id), count(DISTINCT id) FROM alert WHERE severity = 'high' HAVING count(*) > 0;
SELECT count(*)::int, 'x', count(*) > 5, count(id), count(DISTINCT id) FROM alert_copy WHERE severity = 'high' HAVING count(*) > 0;
SELECT * FROM cost_of($$SELECT count(*)::int, 'x' FROM alert WHERE severity = 'high' HAVING count(*) > 0$$);

-- values that are known when the scan starts: one request for each that the service knows
SELECT v, (SELECT count(*) FROM alert WHERE severity = v) - (SELECT count(*) FROM alert_copy WHERE severity = v) AS zero
FROM (VALUES ('high'), ('low'), (NULL), ('HIGH'), ('unheard of')) AS s (v);
SELECT * FROM cost_of($$SELECT v, (SELECT count(*) FROM alert WHERE severity = v) FROM (VALUES ('high'), ('low')) AS s (v)$$);

-- table by table
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) * 2 FROM (SELECT id, severity FROM alert UNION ALL SELECT id, severity FROM alert_copy) AS u WHERE severity = 'high' HAVING count(*) > 1;
SELECT count(*) * 2 FROM (SELECT id, severity FROM alert UNION ALL SELECT id, severity FROM alert_copy) AS u WHERE severity = 'high' HAVING count(*) > 1;
SELECT count(*) * 4 FROM alert_copy WHERE severity = 'high';
