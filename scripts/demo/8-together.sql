SELECT count(*) FROM defender.alerts WHERE severity = 'high';

\echo 'That took its turn, too.  What it has asked, and what all have ("all_waited" adds up, in ms):'
\echo
SELECT server_name, requests, all_requests, all_throttled, round(all_waited) AS all_waited
FROM graph_fdw_stats();
