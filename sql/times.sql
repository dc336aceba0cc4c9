--
-- Functions of a time that keep its order: which times does the service get?
--
-- Each line is what is sent, what each clause is labelled, and how many rows
-- there are; the function sees to it that they are the rows of the copy.
--
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;

-- a user's own columns of the same time
CREATE FOREIGN TABLE moment (
  id text,
  created timestamptz(0) OPTIONS (property 'createdDateTime'),
  local_time timestamp OPTIONS (property 'createdDateTime'),
  local_second timestamp(0) OPTIONS (property 'createdDateTime'),
  day date OPTIONS (property 'createdDateTime'),
  changed timestamptz OPTIONS (property 'lastUpdateDateTime')
) SERVER graph;
CREATE TABLE moment_copy AS SELECT * FROM moment;

\pset format unaligned
\pset fieldsep ' | '
\pset tuples_only on
\pset null 'none'

-- ===================================================================
-- Days, in the session's time zone
-- ===================================================================
SELECT * FROM clause($$created_date_time::date = '2026-10-25'$$);
SET timezone = 'Europe/Berlin';
SELECT * FROM clause($$created_date_time::date = '2026-10-20'$$);
-- a day of 25 hours, and days around a hole
SELECT * FROM clause($$created_date_time::date = '2026-10-25'$$);
SELECT * FROM clause($$created_date_time::date = '2026-03-29'$$);
SELECT * FROM clause($$'2026-10-30' < created_date_time::date$$);
SELECT * FROM clause($$NOT created_date_time::date < '2026-10-30'$$);
SELECT * FROM clause($$created_date_time::date BETWEEN '2026-10-01' AND '2026-10-03'$$);
SELECT * FROM clause($$created_date_time::date IN ('2026-10-01', '2026-10-25', NULL)$$);
SELECT * FROM clause($$created_date_time::date = ANY (ARRAY(SELECT '2026-10-01'::date + n FROM generate_series(0, 30) AS n))$$);
SELECT * FROM clause($$created_date_time::date = ANY ('{2026-10-01,2026-10-02,2026-10-03,2026-10-04,2026-10-05,2026-10-06,2026-10-07,2026-10-08,2026-10-09,2026-10-10,2026-10-11,2026-10-12,2026-10-13,2026-10-14,2026-10-15,2026-10-16,2026-10-17,2026-10-18,2026-10-19,2026-10-20,2026-10-25}'::date[])$$);
SELECT * FROM clause($$created_date_time::date > current_date + 100000$$);
SELECT * FROM clause($$created_date_time::date >= '2026-10-30' AND severity = 'high' OR created_date_time::date = '2026-10-01'$$);
SELECT * FROM clause($$created_date_time::date = '2026-10-30'::timestamptz$$);
SELECT * FROM clause($$created_date_time::date + 1 > '2026-10-31'$$);
SELECT * FROM clause($$'2026-11-01'::date - created_date_time::date <= 3$$);
SELECT * FROM clause($$created_date_time::date - '2026-10-01'::date >= 28$$);
SELECT * FROM clause($$created_date_time::timestamp >= '2026-10-30 12:00'$$);
SELECT * FROM clause($$created_date_time::timestamp = '2026-10-30 12:00'::timestamptz$$);

-- ===================================================================
-- date_trunc, date_bin
-- ===================================================================
SELECT * FROM clause($$date_trunc('day', created_date_time) = '2026-10-25'$$);
SELECT * FROM clause($$date_trunc('WEEK', created_date_time) > '2026-10-20'$$);
SELECT * FROM clause($$date_trunc('hour', created_date_time) <= '2026-08-10 12:30'$$);
SELECT * FROM clause($$date_trunc('hour', created_date_time) > '2026-10-25 02:30'$$);
SELECT * FROM clause($$date_trunc('month', created_date_time, 'America/New_York') = '2026-10-01 04:00Z'$$);
SELECT * FROM clause($$date_trunc('quarter', created_date_time AT TIME ZONE 'Asia/Kathmandu') = '2026-10-01'$$);
SELECT * FROM clause($$date_trunc('century', created_date_time::timestamp) < '2101-01-01'$$);
SELECT * FROM clause($$date_trunc('year', created_date_time)::date = '2025-01-01'$$);
SELECT * FROM clause($$date_trunc('dayz', created_date_time) IS NULL AND false$$);
SELECT * FROM clause($$date_trunc((SELECT 'day'), created_date_time) = '2026-10-25'$$);
SELECT * FROM clause($$date_trunc('day', created_date_time) = date_trunc('day', now() + interval '1000 years')$$);
SELECT * FROM clause($$date_bin('15 min', created_date_time, '2001-01-01') = '2026-10-25 00:15Z'$$);
SELECT * FROM clause($$date_bin('1 week', created_date_time, '2040-01-01Z') > '2026-10-25 00:15Z'$$);

-- ===================================================================
-- AT TIME ZONE
-- ===================================================================
SELECT * FROM clause($$created_date_time AT TIME ZONE 'UTC' >= '2026-10-30'$$);
SELECT * FROM clause($$(created_date_time AT TIME ZONE 'Asia/Tokyo')::date = '2026-10-30'$$);
SELECT * FROM clause($$(created_date_time AT TIME ZONE INTERVAL '-03:30')::date = '2026-10-30'$$);
SELECT * FROM clause($$(created_date_time AT TIME ZONE 'EST') < '2026-08-10'$$);
SELECT * FROM clause($$(created_date_time AT TIME ZONE 'MSK') < '2026-08-10'$$);
SELECT * FROM clause($$created_date_time AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin' > '2026-10-25 02:30+02'$$);
SELECT * FROM clause($$date_trunc('day', created_date_time AT TIME ZONE 'America/New_York') = '2026-11-01'$$);
SELECT * FROM clause($$created_date_time AT TIME ZONE (SELECT 'Asia/Tokyo') >= '2026-10-30'$$);

-- ===================================================================
-- Seconds
-- ===================================================================
SELECT * FROM clause($$extract(epoch FROM created_date_time) >= 1793300000$$);
SELECT * FROM clause($$date_part('epoch', created_date_time) < 1786000000.5$$);
SELECT * FROM clause($$extract(epoch FROM created_date_time)::bigint BETWEEN 1793300000 AND 1793400000$$);
SELECT * FROM clause($$extract(epoch FROM created_date_time)::double precision > 1793300000$$);
SELECT * FROM clause($$floor(extract(epoch FROM created_date_time) / 86400) * 86400 = 1793318400$$);
SELECT * FROM clause($$extract(epoch FROM created_date_time)::bigint / 86400 * 86400 = 1793318400$$);
SELECT * FROM clause($$1000 * extract(epoch FROM created_date_time) >= 1793318400000$$);
SELECT * FROM clause($$extract(epoch FROM created_date_time) * -1 >= -1786000000$$);
SELECT * FROM clause($$to_timestamp(floor(extract(epoch FROM created_date_time) / 3600) * 3600) > '2026-10-30'$$);
SELECT * FROM clause($$extract(epoch FROM created_date_time) > 'NaN'$$);
SELECT * FROM clause($$extract(epoch FROM created_date_time) <= 'Infinity'$$);
SELECT * FROM clause($$extract(year FROM created_date_time) = 2026$$);
SELECT * FROM clause($$extract(year FROM created_date_time) < 2026$$);
SELECT * FROM clause($$extract(dow FROM created_date_time) = 3$$);

-- ===================================================================
-- Intervals
-- ===================================================================
SELECT * FROM clause($$created_date_time + interval '1 day' > '2026-10-31 12:00'$$);
SELECT * FROM clause($$created_date_time - interval '1 month' > '2026-09-28'$$);
SELECT * FROM clause($$created_date_time + interval '1 month' <= '2026-09-30'$$);
SELECT * FROM clause($$created_date_time + interval '170000 years' > now()$$);
SELECT * FROM clause($$'2026-11-01'::timestamptz - created_date_time < interval '1 day'$$);
SELECT * FROM clause($$now() - created_date_time < interval '-100000 days'$$);
SELECT * FROM clause($$created_date_time - '2026-10-01'::timestamptz > interval '1 month'$$);
SELECT * FROM clause($$extract(epoch FROM '2026-11-01'::timestamptz - created_date_time) / 3600 < 24$$);
SELECT * FROM clause($$date_part('day', '2026-11-01'::timestamptz - created_date_time) < 2$$);

-- ===================================================================
-- NULL, infinity, inequality, zones that are none
-- ===================================================================
SELECT * FROM clause($$created_date_time::date IS NULL$$);
SELECT * FROM clause($$NOT date_trunc('day', created_date_time) IS NULL$$);
SELECT * FROM clause($$date_trunc((SELECT 'day'), created_date_time) IS NULL$$);
SELECT * FROM clause($$created_date_time::date = NULL$$);
SELECT * FROM clause($$date_trunc((SELECT NULL), created_date_time) > '2026-01-01'$$);
SELECT * FROM clause($$created_date_time::date <> '2026-10-30'$$);
SELECT * FROM clause($$NOT created_date_time::date = '2026-10-30'$$);
SELECT * FROM clause($$created_date_time::date <> ALL ('{2026-10-30}')$$);
SELECT * FROM clause($$created_date_time::date IS NOT DISTINCT FROM '2026-10-30'$$);
SELECT * FROM clause($$created_date_time::date < 'infinity'$$);
SELECT * FROM clause($$created_date_time::date = '-infinity'$$);
SELECT * FROM clause($$created_date_time::date > '0044-03-15 BC'$$);
SELECT * FROM clause($$created_date_time::date > '5000000-01-01'$$);
SELECT * FROM clause($$created_date_time::date = last_update_date_time::date AND created_date_time::date = '2026-10-30'$$);
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM alert WHERE created_date_time AT TIME ZONE 'Nowhere/Land' > '2026-10-30';

-- ===================================================================
-- Columns that are declared otherwise
-- ===================================================================
SELECT * FROM clause($$created = '2026-10-31 13:00:00'$$, 'moment');
SELECT * FROM clause($$created >= '2026-10-31'$$, 'moment');
SELECT * FROM clause($$local_time >= '2026-10-31'$$, 'moment');
SELECT * FROM clause($$local_time >= '2026-10-31'::timestamptz$$, 'moment');
SELECT * FROM clause($$local_second::date = '2026-10-31'$$, 'moment');
SELECT * FROM clause($$day = '2026-10-31'$$, 'moment');
SELECT * FROM clause($$day IN ('2026-10-01', '2026-10-31')$$, 'moment');
SELECT * FROM clause($$'2026-10-30 12:00'::timestamptz < day$$, 'moment');
SELECT * FROM clause($$day IS NULL$$, 'moment');
SELECT * FROM clause($$changed::date = '2026-10-31'$$, 'moment');

-- ===================================================================
-- As tools write it
-- ===================================================================
-- Grafana: $__timeFilter, $__unixEpochFilter, $__timeGroup
SELECT * FROM clause($$created_date_time BETWEEN '2026-10-30T08:00:00Z' AND '2026-10-31T08:00:00Z'$$);
SELECT * FROM clause($$extract(epoch from created_date_time) >= 1793300000 AND extract(epoch from created_date_time) <= 1793400000$$);
SELECT * FROM clause($$floor(extract(epoch from created_date_time)/300)*300 >= 1793300100$$);
-- Metabase
SELECT * FROM clause($$CAST(created_date_time AS date) BETWEEN CAST('2026-10-30' AS date) AND CAST('2026-10-31' AS date)$$);
SELECT * FROM clause($$created_date_time >= DATE_TRUNC('month', CAST((CAST(timestamptz '2026-11-15' AS timestamp) + (INTERVAL '-1 month')) AS timestamp))$$);
SELECT * FROM clause($$CAST(DATE_TRUNC('week', CAST(created_date_time AS timestamp)) AS date) = '2026-10-26'$$);
SELECT * FROM clause($$DATE_TRUNC('day', created_date_time AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin') = timestamp '2026-10-30'$$);
-- Power BI, Tableau
SELECT * FROM clause($$cast(created_date_time as timestamp) >= timestamp '2026-10-30 00:00:00' AND cast(created_date_time as timestamp) < timestamp '2026-10-31 00:00:00'$$);
SELECT * FROM clause($$DATE_TRUNC('QUARTER', CAST(created_date_time AS TIMESTAMP)) = (TIMESTAMP '2026-10-01 00:00:00.000')$$);
SELECT * FROM clause($$CAST(TRUNC(EXTRACT(YEAR FROM created_date_time)) AS INTEGER) = 2026 AND created_date_time::date = '2026-10-30'$$);
