SELECT status, return_message, start_time, end_time - start_time AS duration
FROM cron.job_run_details
ORDER BY runid DESC
LIMIT 1;

\echo 'The alert in the copy, and what the refresh did; a request is for alerts, the others are for incidents, 50 at a time:'
SELECT id, status, last_update_date_time FROM defender_copy.alerts WHERE id = :'resolved';
SELECT resource, up_to, inserted, updated, unchanged, requests FROM graph_fdw_copy ORDER BY resource;

SELECT cron.unschedule('refresh the copy');
