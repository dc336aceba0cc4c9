\echo
\echo :bold'9. Triage'      :plain' Off until the server says so: what is written is not undone.'
\echo
ALTER SERVER graph OPTIONS (ADD updatable 'true');
\echo

\echo 'It takes an application that may write; so far it was one that may read:'
ALTER USER MAPPING FOR CURRENT_USER SERVER graph
  OPTIONS (SET client_id :'writer_id', SET client_secret :'writer_secret');
\echo

EXPLAIN (VERBOSE, COSTS OFF)
UPDATE defender.alerts SET status = 'resolved', classification = 'falsePositive', determination = 'notMalicious'
WHERE severity = 'low' AND status = 'new' AND created_date_time >= now() - interval '3 days';

WITH closed AS (
  UPDATE defender.alerts SET status = 'resolved', classification = 'falsePositive', determination = 'notMalicious'
  WHERE severity = 'low' AND status = 'new' AND created_date_time >= now() - interval '3 days'
  RETURNING id, title
)
INSERT INTO defender.alert_comments (alert_id, comment)
SELECT id, 'Closed with others of low severity: ' || title FROM closed
RETURNING alert_id, ordinal, comment, created_by_display_name;
