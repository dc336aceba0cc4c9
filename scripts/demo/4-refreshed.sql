\echo 'How pg_cron''s run went:'
\echo
SELECT status, return_message, start_time, end_time - start_time AS duration
FROM cron.job_run_details
ORDER BY runid DESC
LIMIT 1;

\echo 'The alert in the copy is resolved:'
\echo
SELECT id, status, last_update_date_time
FROM defender_copy.alerts
WHERE id = :'resolved';

\echo 'What the refresh did: one request for alerts, and one for each 50 incidents that may have changed:'
\echo
SELECT resource, up_to, inserted, updated, unchanged, requests FROM graph_fdw_copy ORDER BY resource;

SELECT cron.unschedule('refresh the copy');
