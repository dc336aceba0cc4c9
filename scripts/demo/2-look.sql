\echo
\echo :bold'2. One alert'   :plain' An id makes it a request for that alert and nothing else.'
\echo
\echo 'EXPLAIN tells what the service will be asked, without asking it.  Of the plan only this is shown.'
\echo '"sent, exact": the service does what this clause says, just as PostgreSQL would.'
\echo
\o | eval "$GRAPH_DEMO_PLAN"
EXPLAIN (VERBOSE, COSTS OFF)
SELECT id, title, severity, status, created_date_time
FROM defender.alerts
WHERE id = 'da637578995287051192_756343937';
\o

\echo
\echo 'And this is the alert:'
\echo
\set QUIET on
\pset expanded on
\set QUIET off
SELECT id, title, severity, status, created_date_time
FROM defender.alerts
WHERE id = 'da637578995287051192_756343937';
\set QUIET on
\pset expanded auto
\set QUIET off

\echo :bold'3. Today'       :plain' Severity, time, order and limit are the service''s work, not ours.'
\echo
\o | eval "$GRAPH_DEMO_PLAN"
EXPLAIN (VERBOSE, COSTS OFF)
SELECT created_date_time::timestamptz(0) AS created, service_source, left(title, 40) AS title
FROM defender.alerts
WHERE severity = 'high' AND created_date_time >= now() - interval '1 day'
ORDER BY created_date_time DESC
LIMIT 10;
\o

\echo
\echo '"sent, superset": what is sent is a little wider, here by a microsecond, as the service has 100 ns.'
\echo 'It returns all rows that are wanted, and PostgreSQL leaves out what is too much.  So a few more than 10 are'
\echo 'asked for ($top=100), in the same request.  The first 10:'
\echo
SELECT created_date_time::timestamptz(0) AS created, service_source, left(title, 40) AS title
FROM defender.alerts
WHERE severity = 'high' AND created_date_time >= now() - interval '1 day'
ORDER BY created_date_time DESC
LIMIT 10;

\echo :bold'4. Evidence'    :plain' One row for each thing that an alert points at, whatever its type.'
\echo
SELECT ordinal, evidence_type, device_dns_name AS device, file_name, process_id,
       left(registry_key, 27) AS registry_key
FROM defender.alert_evidence
WHERE alert_id = 'da637578995287051192_756343937'
ORDER BY ordinal;
