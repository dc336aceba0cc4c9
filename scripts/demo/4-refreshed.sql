SELECT status, return_message, start_time, end_time - start_time AS duration
FROM cron.job_run_details
ORDER BY runid DESC
LIMIT 1;

\echo 'The alert in the copy:'
SELECT id, status, last_update_date_time FROM recent_alerts WHERE id = :'resolved';

SELECT cron.unschedule('refresh recent alerts');
