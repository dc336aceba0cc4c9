--
-- Evidence by the names in it: IN, = ANY and joins, where the server's option
-- evidence_filter says that the service may be asked so.
--
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
ALTER SERVER graph OPTIONS (ADD evidence_filter 'true');
\pset format unaligned
\pset fieldsep ' | '
\pset tuples_only on
\pset null 'none'

-- ===================================================================
-- Lists: any() for each, as Microsoft's guide shows one
-- ===================================================================
SELECT * FROM clause($$device_dns_name IN ('ws-0007.contoso.test', 'ws-0008.contoso.test')$$, 'device');
SELECT * FROM clause($$device_dns_name IN ('ws-0007.contoso.test', 'ws-0007.contoso.test')$$, 'device');
SELECT * FROM clause($$device_dns_name = ANY ('{ws-0007.contoso.test,NULL,it''s,nobody}')$$, 'device');
SELECT * FROM clause($$NOT (device_dns_name <> ALL ('{ws-0007.contoso.test,ws-0008.contoso.test}'))$$, 'device');
SELECT * FROM clause($$device_dns_name = 'ws-0007.contoso.test' OR device_dns_name = 'ws-0008.contoso.test'$$, 'device');
SELECT * FROM clause($$device_dns_name IN ('ws-0007.contoso.test', 'ws-0008.contoso.test') AND alert_severity = 'high' AND ordinal = 1$$, 'device');
SELECT * FROM clause($$device_dns_name IN ('ws-0007.contoso.test', 'ws-0008.contoso.test') OR alert_severity = 'low'$$, 'device');
SELECT * FROM clause($$device_dns_name IN ('ws-0007.contoso.test', 'ws-0008.contoso.test') AND host_name = ANY ('{ws-0007,ws-0008}')$$, 'device');
-- values that are known later
SELECT * FROM clause($$device_dns_name = ANY (ARRAY(SELECT 'ws-000' || n || '.contoso.test' FROM generate_series(1, 3) AS n))$$, 'device');
SELECT * FROM clause($$device_dns_name IN ('ws-0007.contoso.test', (SELECT 'ws-0008.contoso.test'))$$, 'device');
-- no request
SELECT * FROM clause($$device_dns_name = ANY ('{}')$$, 'device');
SELECT * FROM clause($$device_dns_name = ANY ('{NULL,NULL}')$$, 'device');
SELECT * FROM clause($$device_dns_name = ANY (NULL::text[])$$, 'device');
-- too many, too long, odd, or what would lose rows
SELECT * FROM clause($$device_dns_name = ANY (ARRAY['ws-0007.contoso.test'] || array_fill('ws-0008.contoso.test'::text, '{100}'))$$, 'device');
SELECT left(filter, 60), label, rows FROM clause((
  SELECT 'device_dns_name IN (' || string_agg(quote_literal('ws-' || n), ', ') || ')' FROM generate_series(1, 20) AS n), 'device');
SELECT left(filter, 60), label, rows FROM clause((
  SELECT 'device_dns_name IN (' || string_agg(quote_literal('w' || n), ', ') || ')' FROM generate_series(1, 21) AS n), 'device');
SELECT * FROM clause(format($$device_dns_name IN ('ws-0007.contoso.test', %L)$$, repeat('x', 257)), 'device');
SELECT * FROM clause($$device_dns_name IN ('ws-0007.contoso.test', U&'a\FFFDb')$$, 'device');
SELECT * FROM clause($$device_dns_name NOT IN ('ws-0007.contoso.test', 'ws-0008.contoso.test')$$, 'device');
SELECT * FROM clause($$device_dns_name = ALL ('{ws-0007.contoso.test,ws-0008.contoso.test}')$$, 'device');
SELECT * FROM clause($$device_dns_name COLLATE "C" = ANY ('{ws-0007.contoso.test}')$$, 'device');
SELECT * FROM clause($$device_dns_name LIKE ANY ('{ws-0007%,ws-0008%}')$$, 'device');
\pset tuples_only off

-- ===================================================================
-- Columns that change their value, or have another one's
-- ===================================================================
CREATE FOREIGN TABLE other (
  cut varchar(20) OPTIONS (property 'deviceDnsName'),
  name varchar OPTIONS (property 'deviceDnsName'),
  either text OPTIONS (property 'deviceDnsName|hostName'),
  build text OPTIONS (property 'osBuild'),
  tags text OPTIONS (property 'tags'),
  vm text OPTIONS (property 'vmMetadata/vmId')
) SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
EXPLAIN (VERBOSE, COSTS OFF) SELECT 1 FROM other
WHERE cut = ANY ('{a,b}') AND name = ANY ('{a,b}') AND either = ANY ('{a,b}')
  AND build = ANY ('{a,b}') AND tags = ANY ('{a,b}') AND vm = ANY ('{a,b}');
DROP FOREIGN TABLE other;

-- ===================================================================
-- Joins: few local rows ask for their names, many take the list
-- ===================================================================
CREATE TEMP TABLE assets AS
SELECT 'ws-' || lpad(n::text, 4, '0') || '.contoso.test' AS host, n FROM generate_series(1, 3) AS n
UNION ALL VALUES (NULL, 4), ('it''s', 5);
CREATE TEMP TABLE many AS SELECT 'ws-' || n AS host FROM generate_series(1, 3000) AS n;
ANALYZE assets, many;
-- which side PostgreSQL puts first depends on its version
SELECT replace(replace(line, 'd.device_dns_name = a.host', 'a.host = d.device_dns_name'), 'd.device_dns_name = $N', '$N = d.device_dns_name') AS line
FROM explained($$SELECT d.ordinal FROM assets AS a JOIN device AS d ON d.device_dns_name = a.host$$) AS line;
SELECT count(*), count(DISTINCT d.alert_id) FROM assets AS a JOIN device AS d ON d.device_dns_name = a.host;
SELECT count(*), count(DISTINCT d.alert_id) FROM assets AS a JOIN device_copy AS d ON d.device_dns_name = a.host;
SELECT * FROM cost_of($$SELECT d.ordinal FROM assets AS a JOIN device AS d ON d.device_dns_name = a.host$$);
SELECT line FROM explained($$SELECT d.ordinal FROM many AS a JOIN device AS d ON d.device_dns_name = a.host$$) AS line WHERE line ~ 'Join|Loop|Request';
SELECT count(d.ordinal), count(*) FROM assets AS a LEFT JOIN device AS d ON d.device_dns_name = a.host AND d.alert_severity = 'high';
SELECT count(d.ordinal), count(*) FROM assets AS a LEFT JOIN device_copy AS d ON d.device_dns_name = a.host AND d.alert_severity = 'high';
SELECT count(*) FROM assets AS a WHERE EXISTS (SELECT FROM device AS d WHERE d.device_dns_name = a.host);
SELECT count(*) FROM assets AS a WHERE EXISTS (SELECT FROM device_copy AS d WHERE d.device_dns_name = a.host);
ALTER SERVER graph OPTIONS (DROP evidence_filter);
SELECT line FROM explained($$SELECT d.ordinal FROM assets AS a JOIN device AS d ON d.device_dns_name = a.host$$) AS line WHERE line ~ 'Join|Loop|Request';
