--
-- Which clauses does the service get, and do the rows stay the same?
--
-- Each line is what is sent, what each clause is labelled, and how many rows
-- there are; the function sees to it that they are the rows of the copy.
--
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;

-- ===================================================================
-- As EXPLAIN shows it
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF)
SELECT id FROM alert
WHERE severity = 'high' AND created_date_time >= '2026-10-31' AND title LIKE 'A%';
SELECT id, created_date_time, title FROM alert
WHERE severity = 'high' AND created_date_time >= '2026-10-31' AND title LIKE 'A%'
ORDER BY created_date_time, id;
SELECT * FROM explained($$SELECT id FROM alert WHERE severity = 'high' AND assigned_to = 'o''brien@contoso.test'$$,
  'VERBOSE, COSTS OFF, FORMAT YAML');

\pset format unaligned
\pset fieldsep ' | '
\pset tuples_only on
\pset null 'none'

-- ===================================================================
-- Enums: exact for known members, nulls counted
-- ===================================================================
SELECT * FROM clause($$severity = 'high'$$);
SELECT * FROM clause($$'high' = severity$$);
SELECT * FROM clause($$severity <> 'high'$$);
SELECT * FROM clause($$NOT severity = 'high'$$);
SELECT * FROM clause($$status = 'inProgress'$$);
SELECT * FROM clause($$service_source = 'microsoftDefenderForEndpoint'$$);
-- nullable ones: "ne" keeps the nulls, SQL's <> does not
SELECT * FROM clause($$classification = 'truePositive'$$);
SELECT * FROM clause($$classification <> 'truePositive'$$);
SELECT * FROM clause($$classification IS DISTINCT FROM 'truePositive'$$);
SELECT * FROM clause($$classification IS NOT DISTINCT FROM 'truePositive'$$);
SELECT * FROM clause($$classification IS DISTINCT FROM NULL$$);
SELECT * FROM clause($$determination IS NULL$$);
SELECT * FROM clause($$determination IS NOT NULL$$);
SELECT * FROM clause($$NOT (determination IS NULL)$$);
-- members that the service is not known to take, or that are none at all
SELECT * FROM clause($$service_source = 'microsoftSentinel'$$);
SELECT * FROM clause($$service_source <> 'microsoftSentinel'$$);
SELECT * FROM clause($$severity = 'critical'$$);
SELECT * FROM clause($$severity <> 'critical'$$);
SELECT * FROM clause($$severity = 'High'$$);
SELECT * FROM clause($$severity = ''$$);
SELECT * FROM clause($$severity = 'unknownFutureValue'$$);
-- NULL: no row, and no request
SELECT * FROM clause($$severity = NULL$$);
SELECT * FROM clause($$severity <> NULL::text$$);
SELECT * FROM clause($$severity IS NOT DISTINCT FROM NULL$$);

-- ===================================================================
-- Lists
-- ===================================================================
SELECT * FROM clause($$severity IN ('high', 'medium')$$);
SELECT * FROM clause($$severity NOT IN ('high', 'medium')$$);
SELECT * FROM clause($$NOT severity IN ('high', 'medium')$$);
SELECT * FROM clause($$severity = ANY ('{high,NULL,high}')$$);
SELECT * FROM clause($$severity <> ALL ('{high,NULL}')$$);
SELECT * FROM clause($$severity = ANY ('{}')$$);
SELECT * FROM clause($$severity <> ALL ('{}')$$);
SELECT * FROM clause($$severity = ANY (NULL::text[])$$);
SELECT * FROM clause($$classification NOT IN ('truePositive', 'unknown')$$);
SELECT * FROM clause($$service_source IN ('microsoftSentinel', 'microsoft365Defender')$$);
SELECT * FROM clause($$service_source NOT IN ('microsoftSentinel', 'microsoft365Defender')$$);
-- = ALL and <> ANY are seldom meant
SELECT * FROM clause($$severity = ALL ('{high}')$$);
SELECT * FROM clause($$severity <> ANY ('{high,low}')$$);
SELECT * FROM clause($$created_date_time IN ('2026-10-31 20:00Z', '2026-11-01 00:00Z')$$);
SELECT * FROM clause($$created_date_time NOT IN ('2026-10-31 20:00Z', '2026-11-01 00:00Z')$$);
SELECT * FROM clause($$created_date_time = ANY (ARRAY(SELECT generate_series('2026-10-01Z'::timestamptz, '2026-10-31Z', '1 day')))$$);
SELECT * FROM clause($$created_date_time > ANY ('{2026-10-31 20:00Z}'::timestamptz[])$$);

-- ===================================================================
-- Free text: a superset, since the service may ignore case
-- ===================================================================
SELECT * FROM clause($$assigned_to = 'leeg@contoso.test'$$);
SELECT * FROM clause($$assigned_to = 'Leeg@Contoso.Test'$$);
SELECT * FROM clause($$assigned_to = 'o''brien@contoso.test'$$);
SELECT * FROM clause($$assigned_to IN ('leeg@contoso.test', 'O''Brien@Contoso.Test', NULL)$$);
SELECT * FROM clause($$assigned_to <> 'leeg@contoso.test'$$);
SELECT * FROM clause($$assigned_to NOT IN ('leeg@contoso.test')$$);
SELECT * FROM clause($$assigned_to IS DISTINCT FROM 'leeg@contoso.test'$$);
SELECT * FROM clause($$assigned_to IS NULL$$);
SELECT * FROM clause($$assigned_to = 'x'' or severity eq ''high'$$);
SELECT * FROM clause($$assigned_to = 'a&$top=1#+%'$$);
SELECT * FROM clause($$assigned_to = repeat('x', 300)$$);
SELECT * FROM clause($$assigned_to = '' OR assigned_to = E'\n'$$);
-- text is not compared for order, nor by another collation or operator
SELECT * FROM clause($$assigned_to >= 'o'$$);
SELECT * FROM clause($$severity > 'high'$$);
SELECT * FROM clause($$assigned_to LIKE 'leeg%'$$);
SELECT * FROM clause($$assigned_to ILIKE 'LEEG@contoso.test'$$);
SELECT * FROM clause($$lower(assigned_to) = 'leeg@contoso.test'$$);
SELECT * FROM clause($$severity::char(4) = 'high'$$);
SELECT * FROM clause($$severity::varchar = 'high'$$);
SELECT * FROM clause($$severity::varchar(3) = 'hig'$$);
CREATE COLLATION IF NOT EXISTS no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT * FROM clause($$severity = 'HIGH' COLLATE no_case$$);
SELECT * FROM clause($$severity = 'high' COLLATE "C"$$);
DROP COLLATION no_case;

-- ===================================================================
-- Times: a microsecond wider than asked, since rounding hides 100 ns
-- ===================================================================
SELECT * FROM clause($$created_date_time >= '2026-10-31 12:00Z'$$);
SELECT * FROM clause($$created_date_time > '2026-10-31 12:00Z'$$);
SELECT * FROM clause($$created_date_time <= '2026-08-10 12:00Z'$$);
SELECT * FROM clause($$created_date_time < '2026-08-10 12:00Z'$$);
SELECT * FROM clause($$'2026-10-31 12:00Z' <= created_date_time$$);
SELECT * FROM clause($$created_date_time = '2026-11-01 00:00Z'$$);
SELECT * FROM clause($$created_date_time <> '2026-11-01 00:00Z'$$);
SELECT * FROM clause($$created_date_time BETWEEN '2026-10-31 12:00Z' AND '2026-10-31 18:00Z'$$);
SELECT * FROM clause($$created_date_time NOT BETWEEN '2026-08-05Z' AND '2026-10-31Z'$$);
SELECT * FROM clause($$NOT created_date_time < '2026-10-31 12:00Z'$$);
SELECT * FROM clause($$created_date_time IS NOT DISTINCT FROM '2026-11-01 00:00Z'$$);
SELECT * FROM clause($$last_update_date_time >= '2026-10-31 23:30Z'$$);
SELECT * FROM clause($$created_date_time = '2021-04-27 12:19:27.72113Z'$$);
-- the 100 ns before an hour are that hour here
SELECT created_date_time FROM alert_copy WHERE id = (
  SELECT id FROM defender.alerts WHERE raw->>'createdDateTime' LIKE '%:59:59.9999999Z'
  ORDER BY created_date_time LIMIT 1) \gset
SELECT * FROM clause(format($$created_date_time >= %L$$, :'created_date_time'));
SELECT * FROM clause(format($$created_date_time > %L$$, :'created_date_time'));
SELECT * FROM clause(format($$created_date_time = %L$$, :'created_date_time'));
SELECT * FROM clause(format($$created_date_time < %L$$, :'created_date_time'));
-- what the service cannot write is folded here
SELECT * FROM clause($$created_date_time > '-infinity'$$);
SELECT * FROM clause($$created_date_time < 'infinity'$$);
SELECT * FROM clause($$created_date_time > 'infinity'$$);
SELECT * FROM clause($$created_date_time = 'infinity'$$);
SELECT * FROM clause($$created_date_time > '4713-01-01 BC'$$);
SELECT * FROM clause($$created_date_time <= '0044-03-15 BC'$$);
SELECT * FROM clause($$created_date_time < '12026-01-01'$$);
SELECT * FROM clause($$created_date_time > '12026-01-01'$$);
SELECT * FROM clause($$created_date_time BETWEEN '-infinity' AND '2026-08-05Z'$$);
SELECT * FROM clause($$created_date_time >= '0001-01-01Z' AND created_date_time <= '9999-12-31 23:59:59.999999Z'$$);
-- other types, in the session's time zone
SELECT * FROM clause($$created_date_time >= date '2026-10-31'$$);
SELECT * FROM clause($$created_date_time >= timestamp '2026-10-31 12:00'$$);
SET timezone = 'America/New_York';
SELECT * FROM clause($$created_date_time >= date '2026-10-31'$$);
SELECT * FROM clause($$created_date_time >= timestamp '2026-10-31 12:00'$$);
SELECT * FROM clause($$created_date_time >= date 'infinity'$$);
SELECT * FROM clause($$created_date_time > timestamp '-infinity'$$);
SET timezone = 'UTC';
-- what timestamptz cannot hold lies beyond all that it can
SELECT * FROM clause($$created_date_time < date '5000000-01-01'$$);
SELECT * FROM clause($$created_date_time >= date '5000000-01-01'$$);
SELECT * FROM clause($$created_date_time = date '5000000-01-01'$$);
SELECT * FROM clause($$created_date_time <> date '5000000-01-01'$$);
SET timezone = 'Asia/Tokyo';
SELECT * FROM clause($$created_date_time > date '4714-11-24 BC'$$);
SELECT * FROM clause($$created_date_time <= date '4714-11-24 BC'$$);
SELECT * FROM clause($$created_date_time <= timestamp '4714-11-24 00:00 BC'$$);
SET timezone = 'UTC';
SELECT * FROM clause($$created_date_time::date = '2026-10-31'$$);
SELECT * FROM clause($$created_date_time::timestamp >= '2026-10-31'$$);
SELECT * FROM clause($$date_trunc('day', created_date_time) = '2026-10-31'$$);
SELECT * FROM clause($$extract(hour FROM created_date_time) = 3$$);

-- ===================================================================
-- AND, OR, NOT in any nesting
-- ===================================================================
SELECT * FROM clause($$severity = 'high' AND status = 'new'$$);
SELECT * FROM clause($$severity = 'high' OR status = 'new'$$);
SELECT * FROM clause($$NOT (severity = 'high' AND status = 'new')$$);
SELECT * FROM clause($$NOT (severity = 'high' OR status = 'new')$$);
SELECT * FROM clause($$NOT (classification = 'truePositive' AND severity = 'high')$$);
SELECT * FROM clause($$NOT (assigned_to = 'leeg@contoso.test' AND severity = 'high')$$);
SELECT * FROM clause($$NOT (assigned_to = 'leeg@contoso.test' OR severity = 'high')$$);
SELECT * FROM clause($$severity = 'high' AND (status = 'new' OR status = 'inProgress' AND classification IS NULL)$$);
SELECT * FROM clause($$(severity = 'high' AND title LIKE 'A%') OR status = 'inProgress'$$);
SELECT * FROM clause($$(severity = 'high' AND title LIKE 'A%') AND status = 'inProgress'$$);
SELECT * FROM clause($$severity = 'high' OR title LIKE 'A%'$$);
SELECT * FROM clause($$(severity = 'high') IS TRUE$$);
SELECT * FROM clause($$(severity = 'high') IS FALSE$$);
SELECT * FROM clause($$(severity = 'high') IS NOT TRUE$$);
SELECT * FROM clause($$(classification = 'truePositive') IS NOT TRUE$$);
SELECT * FROM clause($$(classification = 'truePositive') IS UNKNOWN$$);
SELECT * FROM clause($$(severity = 'high') = (status = 'new')$$);
SELECT * FROM clause($$CASE severity WHEN 'high' THEN status = 'new' ELSE false END$$);
SELECT * FROM clause($$coalesce(classification, 'unknown') = 'unknown'$$);
SELECT * FROM clause($$severity = 'high' OR severity = NULL$$);
SELECT * FROM clause($$created_date_time > 'infinity' OR severity = 'high'$$);
SELECT * FROM clause($$created_date_time < 'infinity' OR severity = 'high'$$);
SELECT * FROM clause($$severity = status$$);
SELECT * FROM clause($$(severity, status) = ('high', 'new')$$);
SELECT * FROM clause($$(severity, status) IN (('high', 'new'), ('low', 'resolved'))$$);

-- ===================================================================
-- Values that are known when the scan starts
-- ===================================================================
SELECT * FROM clause($$created_date_time > now() + interval '100 years'$$);
SELECT * FROM clause($$created_date_time > (SELECT max(created_date_time) - interval '1 day' FROM alert_copy)$$);
SELECT * FROM clause($$severity = (SELECT 'high')$$);
SELECT * FROM clause($$severity = (SELECT 'critical')$$);
SELECT * FROM clause($$severity = (SELECT NULL::text)$$);
SELECT * FROM clause($$severity = ANY (ARRAY(SELECT unnest('{high,low,NULL}'::text[])))$$);
SELECT * FROM clause($$severity <> ALL (ARRAY(SELECT unnest('{high,low}'::text[])))$$);
SELECT * FROM clause($$severity = ANY (string_to_array(current_setting('server_version_num') || ',high', ','))$$);
-- not before each row is read
SELECT * FROM clause($$severity = CASE WHEN random() < 0 THEN 'low' ELSE 'high' END$$);
SELECT * FROM clause($$created_date_time < clock_timestamp() AND severity = 'high'$$);
SELECT * FROM clause($$created_date_time > last_update_date_time - interval '1 minute'$$);
SELECT * FROM clause($$EXISTS (SELECT FROM alert_copy c WHERE c.id = alert.id AND c.severity = 'high')$$);

-- ===================================================================
-- Columns that the service does not filter by
-- ===================================================================
SELECT * FROM clause($$title = 'Suspicious execution of hidden file'$$);
SELECT * FROM clause($$title IS NULL$$);
SELECT * FROM clause($$id IS NOT NULL$$);
SELECT * FROM clause($$id > 'da6'$$);
SELECT * FROM clause($$alert IS NOT NULL$$);

-- ===================================================================
-- Too much to send
-- ===================================================================
SELECT left(filter, 60) || ' ...', label, rows FROM clause((
  SELECT 'assigned_to IN (''leeg@contoso.test'', ' || string_agg(quote_literal('user' || n || '@contoso.test'), ', ') || ')'
  FROM generate_series(1, 200) AS n));
SELECT filter, label, rows FROM clause((
  SELECT 'created_date_time IN (' || string_agg(quote_literal(d), ', ') || ')'
  FROM generate_series('2026-10-01Z'::timestamptz, '2026-10-30Z', '1 day') AS d));

-- ===================================================================
-- Evidence: filters of the alert around it
-- ===================================================================
\pset tuples_only off
EXPLAIN (VERBOSE, COSTS OFF)
SELECT device_dns_name FROM device WHERE alert_severity = 'high' AND alert_created_date_time >= '2026-10-31';
\pset tuples_only on
SELECT * FROM clause($$alert_severity = 'high' AND alert_created_date_time >= '2026-10-31'$$, 'device');
SELECT * FROM clause($$alert_severity IN ('high', 'low') AND host_name = 'ws-0001'$$, 'device');
SELECT * FROM clause($$NOT (alert_severity = 'high' OR ordinal = 1)$$, 'device');
-- of the evidence itself: only if the server's option evidence_filter says so
SELECT * FROM clause($$device_dns_name = 'ws-0007.contoso.test'$$, 'device');
ALTER SERVER graph OPTIONS (ADD evidence_filter 'true');
SELECT * FROM clause($$device_dns_name = 'ws-0007.contoso.test'$$, 'device');
SELECT * FROM clause($$device_dns_name = 'it''s'$$, 'device');
SELECT * FROM clause($$device_dns_name = (SELECT 'ws-0007.contoso.test') AND alert_severity = 'high'$$, 'device');
SELECT * FROM clause($$device_dns_name = 'ws-0007.contoso.test' OR alert_severity = 'low'$$, 'device');
SELECT * FROM clause($$device_dns_name = NULL$$, 'device');
SELECT * FROM clause($$device_dns_name <> 'ws-0007.contoso.test'$$, 'device');
SELECT * FROM clause($$device_dns_name IN ('ws-0007.contoso.test', 'ws-0008.contoso.test')$$, 'device');
SELECT * FROM clause($$device_dns_name IS NULL$$, 'device');
SELECT * FROM clause($$ordinal = 1$$, 'device');
ALTER SERVER graph OPTIONS (DROP evidence_filter);
