--
-- Joins that look up their alerts in batches: plans.  t/067_batch.pl has the
-- requests and the rows.
--
CREATE TEMP TABLE cases AS
SELECT id, row_number() OVER (ORDER BY id) AS n FROM alert_copy ORDER BY id LIMIT 30;
ANALYZE cases;

EXPLAIN (VERBOSE, COSTS OFF) SELECT c.n, a.title FROM cases AS c JOIN alert AS a ON a.id = c.id;
EXPLAIN (COSTS OFF) SELECT c.n, a.title FROM cases AS c LEFT JOIN alert AS a ON a.id = c.id AND a.title > 'M' AND c.n < 9 WHERE a.id IS NULL OR c.n = 1;
EXPLAIN (COSTS OFF) SELECT n FROM cases AS c WHERE EXISTS (SELECT FROM device AS d WHERE d.alert_id = c.id AND d.ordinal > c.n);
EXPLAIN (COSTS OFF) SELECT n FROM cases AS c WHERE NOT EXISTS (SELECT FROM device AS d WHERE d.alert_id = c.id);
EXPLAIN (COSTS OFF) SELECT title FROM alert WHERE id IN (SELECT id FROM cases);
-- in the order of the other side
EXPLAIN (COSTS OFF) SELECT c.n, a.title FROM (SELECT * FROM cases ORDER BY n OFFSET 0) AS c JOIN alert AS a ON a.id = c.id ORDER BY c.n LIMIT 3;
-- what asks for alert after alert is not wanted
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT c.n, a.title FROM cases AS c JOIN alert AS a ON a.id = c.id;
RESET enable_nestloop;

SELECT c.n, a.severity = b.severity AS same FROM cases AS c JOIN alert AS a ON a.id = c.id JOIN alert_copy AS b ON b.id = c.id WHERE c.n < 4 ORDER BY c.n;
