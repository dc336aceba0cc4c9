--
-- Alerts by their ids: one request for each, and none that leads elsewhere.
--
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set sample 'da637578995287051192_756343937'

-- ===================================================================
-- One id
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, title FROM alert WHERE id = 'da637578995287051192_756343937';
SELECT id, title FROM alert WHERE id = 'da637578995287051192_756343937';
SELECT * FROM cost_of($$SELECT id, title FROM alert WHERE id = 'da637578995287051192_756343937'$$);
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, title FROM alert WHERE 'no such alert' = id;
SELECT id, title FROM alert WHERE 'no such alert' = id;
-- NULL: no request
SELECT id FROM alert WHERE id = NULL;
SELECT * FROM cost_of($$SELECT id FROM alert WHERE id = (SELECT NULL::text)$$);

-- ===================================================================
-- Together with other clauses: still one request, the rest is checked here
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF)
SELECT id FROM alert WHERE id = 'da637578995287051192_756343937' AND severity = 'low' AND title LIKE 'S%';
SELECT id FROM alert WHERE id = 'da637578995287051192_756343937' AND severity = 'low' AND title LIKE 'S%';
SELECT id FROM alert WHERE id = 'da637578995287051192_756343937' AND severity = 'high';
SELECT id FROM alert WHERE id = 'da637578995287051192_756343937' AND id = 'another';
SELECT id FROM alert WHERE id = 'da637578995287051192_756343937' AND id <> 'da637578995287051192_756343937';

-- ===================================================================
-- Several ids: each once, nulls and unknown ones left out
-- ===================================================================
CREATE TEMP TABLE keys AS
  SELECT id, row_number() OVER (ORDER BY id) AS n FROM alert_copy ORDER BY id LIMIT 30;
SELECT string_agg(quote_literal(id), ', ' ORDER BY n) AS three FROM keys WHERE n <= 3 \gset
EXPLAIN (VERBOSE, COSTS OFF)
SELECT id FROM alert WHERE id IN ('a', 'b', 'a');
EXPLAIN (VERBOSE, COSTS OFF)
SELECT id FROM alert WHERE id = ANY ('{a,NULL,b,c,d}') AND status = 'new';
EXPLAIN (VERBOSE, COSTS OFF)
SELECT id FROM alert WHERE id = 'a' OR id = 'b' OR id IN ('b', 'c');
EXPLAIN (VERBOSE, COSTS OFF)
SELECT id FROM alert WHERE (id = 'a' AND severity = 'high') OR (id = 'b' AND severity = 'low');
SELECT count(*), count(DISTINCT id), bool_and(id IN (SELECT id FROM keys)) AS right_ones
FROM alert WHERE id = ANY (ARRAY[:three, :three, NULL, 'no such alert', '']);
SELECT * FROM cost_of(format('SELECT id FROM alert WHERE id = ANY (ARRAY[%s])',
  $$'da637578995287051192_756343937', 'da637578995287051192_756343937', NULL, 'no such alert', ''$$));
SELECT count(*) FROM alert WHERE id = ANY (ARRAY(SELECT id FROM keys));
SELECT * FROM cost_of('SELECT id FROM alert WHERE id = ANY (ARRAY(SELECT id FROM keys))');
SELECT * FROM cost_of($$SELECT id FROM alert WHERE id = ANY ('{}')$$);
SELECT * FROM cost_of($$SELECT id FROM alert WHERE id = ANY ('{NULL}')$$);
-- some of them are known when the query runs
SELECT * FROM explained($$SELECT id FROM alert WHERE id = (SELECT max(id) FROM keys)$$) AS line WHERE line LIKE '% Graph %';
SELECT * FROM explained($$SELECT id FROM alert WHERE id = 'a' OR id = (SELECT max(id) FROM keys)$$) AS line WHERE line LIKE '% Graph %';
SELECT * FROM explained($$SELECT id FROM alert WHERE id = (SELECT max(id) FROM keys) OR id = 'a'$$) AS line WHERE line LIKE '% Graph %';
SELECT (SELECT array_agg(id) FROM alert WHERE id = 'no such alert' OR id = (SELECT max(id) FROM keys)) = ARRAY[max(id)] AS same FROM keys;
SELECT * FROM cost_of($$SELECT id FROM alert WHERE id = 'no such alert' OR id = (SELECT max(id) FROM keys)$$);
-- what is no list of ids
EXPLAIN (VERBOSE, COSTS OFF)
SELECT id FROM alert WHERE id = 'a' OR severity = 'high';
EXPLAIN (VERBOSE, COSTS OFF)
SELECT id FROM alert WHERE id NOT IN ('a', 'b') AND id LIKE 'da%' AND id > 'a';
SELECT count(*) FROM alert WHERE id <> :'sample';
-- so many ids that the list costs less
SELECT * FROM cost_of('SELECT id FROM alert WHERE id = ANY (ARRAY(SELECT id FROM alert_copy))');
SELECT count(*) FROM alert WHERE id = ANY (ARRAY(SELECT id FROM alert_copy UNION ALL SELECT 'no such alert'));

-- ===================================================================
-- An id is data
-- ===================================================================
CREATE TEMP TABLE odd AS SELECT * FROM unnest(ARRAY[
  '', ' ', '.', '..', '../alerts_v2', '../users', '../../me', 'a/b', '/', '//', '\', '..\users', '?', '#',
  'a?$top=1', 'a#b', '%', '%2e%2e', '%2E%2E%2Fusers', '%252e%252e', 'a%00b', 'it''s', '"', E'a\nb', E'\r\nX: y', E'\t',
  'a b', 'a+b', '&', ';', ':', '@', '*', 'é', '日本', repeat('x', 1000), repeat('x', 10000), repeat('../', 300),
  'DA637578995287051192_756343937', ' da637578995287051192_756343937', 'da637578995287051192_756343937 ',
  'da637578995287051192_756343937/', 'da637578995287051192_756343937/comments',
  'da637578995287051192_756343937?x', 'da637578995287051192%5F756343937'
]) WITH ORDINALITY AS o(id, n);
SELECT left(o.id, 40) AS id, a.id
FROM odd AS o, LATERAL (SELECT id FROM alert WHERE id = o.id OFFSET 0) AS a;
SELECT count(*) FROM alert WHERE id = ANY (ARRAY(SELECT id FROM odd));
SELECT left(o.id, 40) AS id, l.*
FROM odd AS o, LATERAL explained(format('SELECT title FROM alert WHERE id = %L', o.id)) AS l
WHERE l LIKE '%Graph Request%' AND length(l) < 200
ORDER BY n;

-- ===================================================================
-- Evidence and comments by the id of their alert
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF)
SELECT ordinal, device_dns_name FROM device WHERE alert_id = 'da637578995287051192_756343937';
SELECT ordinal, device_dns_name FROM device WHERE alert_id = 'da637578995287051192_756343937';
SELECT * FROM cost_of($$SELECT FROM defender.alert_comments WHERE alert_id IN ('da637578995287051192_756343937', 'x')$$);
SELECT ordinal, evidence_type FROM defender.alert_evidence WHERE alert_id = 'da637578995287051192_756343937' ORDER BY 1;

-- ===================================================================
-- Which columns are ids?
-- ===================================================================
CREATE DOMAIN alert_id AS text;
CREATE FOREIGN TABLE ids (
  id text, v varchar(80) OPTIONS (property 'id'), c char(40) OPTIONS (property 'id'),
  d alert_id OPTIONS (property 'id'), n name OPTIONS (property 'id'), provider_alert_id text
) SERVER graph;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ids WHERE v = 'a';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ids WHERE c = 'a';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ids WHERE d = 'a';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ids WHERE n = 'a';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ids WHERE provider_alert_id = 'a';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ids WHERE id = 'a'::varchar;
SELECT id, v, c, d, n FROM ids WHERE v = :'sample';
SELECT count(*) FROM ids WHERE c = :'sample';
DROP FOREIGN TABLE ids;
DROP DOMAIN alert_id;
