\echo :bold'9. Triage'      :plain' Off until the server says so: what is written is not undone.'
\echo
ALTER SERVER graph OPTIONS (ADD updatable 'true');

\echo
\echo 'It takes an application that may write; so far it was one that may read:'
\echo
ALTER USER MAPPING FOR CURRENT_USER SERVER graph
  OPTIONS (SET client_id :'writer_id',
           SET client_secret :'writer_secret');

\echo
\echo 'Look first:'
\echo
SELECT id, created_date_time::timestamptz(0) AS created, left(title, 28) AS title
FROM defender.alerts
WHERE severity = 'low' AND status = 'new' AND created_date_time >= now() - interval '3 days'
ORDER BY created_date_time;

\echo 'Then close these, by the same WHERE.  This is what will be sent for each of them:'
\echo
\o | eval "$GRAPH_DEMO_PLAN"
EXPLAIN (VERBOSE, COSTS OFF)
UPDATE defender.alerts
SET status = 'resolved', classification = 'falsePositive', determination = 'notMalicious'
WHERE severity = 'low' AND status = 'new' AND created_date_time >= now() - interval '3 days';
\o

\echo
\echo 'Close them, and say so in a comment on each:'
\echo
WITH closed AS (
  UPDATE defender.alerts
  SET status = 'resolved', classification = 'falsePositive', determination = 'notMalicious'
  WHERE severity = 'low' AND status = 'new' AND created_date_time >= now() - interval '3 days'
  RETURNING id, title
)
INSERT INTO defender.alert_comments (alert_id, comment)
SELECT id, 'Closed: ' || title FROM closed
RETURNING alert_id, comment;

\echo
\echo 'What this session has asked the service for:'
\echo
SELECT server_name, requests, retries, throttled, records, writes FROM graph_fdw_stats();
