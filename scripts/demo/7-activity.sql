SELECT pid, state, count(*) AS requests, min(resource) AS resource, max(page) AS page
FROM graph_fdw_activity
GROUP BY pid, state
ORDER BY pid, state;
