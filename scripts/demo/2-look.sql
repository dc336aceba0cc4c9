\echo
\echo :bold'2. One alert'   :plain' An id makes it a request for that alert and nothing else.'
\echo
EXPLAIN (VERBOSE, COSTS OFF)
SELECT id, title, severity, status, created_date_time
FROM defender.alerts
WHERE id = 'da637578995287051192_756343937';

\set QUIET on
\x on
SELECT id, title, severity, status, created_date_time
FROM defender.alerts
WHERE id = 'da637578995287051192_756343937';
\x off
\set QUIET off

\echo
\echo :bold'3. Today'       :plain' Severity and time are filtered by the service, not here.'
\echo
EXPLAIN (VERBOSE, COSTS OFF)
SELECT created_date_time, service_source, title
FROM defender.alerts
WHERE severity = 'high' AND created_date_time >= now() - interval '1 day';

SELECT created_date_time, service_source, title
FROM defender.alerts
WHERE severity = 'high' AND created_date_time >= now() - interval '1 day'
ORDER BY created_date_time DESC
LIMIT 10;

\echo
\echo :bold'4. Evidence'    :plain' One row for each thing that an alert points at, whatever its type.'
\echo
SELECT ordinal, evidence_type, device_dns_name, file_name, process_id, registry_key
FROM defender.alert_evidence
WHERE alert_id = 'da637578995287051192_756343937'
ORDER BY ordinal;
