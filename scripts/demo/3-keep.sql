\echo :bold'5. Join'        :plain' Which of our machines do this week''s alerts concern, and whose are they?'
\echo
CREATE TABLE assets (host text PRIMARY KEY, owner text NOT NULL, purpose text NOT NULL);
\echo

INSERT INTO assets VALUES
  ('srv-0008.contoso.test', 'Infrastructure', 'file server'),
  ('srv-0010.contoso.test', 'Infrastructure', 'mail relay'),
  ('ws-0027.contoso.test', 'Finance', 'payroll'),
  ('ws-0032.contoso.test', 'Sales', 'laptop'),
  ('ws-0046.contoso.test', 'Legal', 'laptop'),
  ('ws-0050.contoso.test', 'Reception', 'kiosk');
\echo

SELECT a.host, a.owner, a.purpose, count(DISTINCT e.alert_id) AS alerts,
       max(e.alert_created_date_time)::timestamptz(0) AS latest
FROM assets a
JOIN defender.device_evidence e ON e.device_dns_name = a.host
WHERE e.alert_created_date_time >= now() - interval '7 days'
GROUP BY a.host
ORDER BY alerts DESC, a.host;

\echo :bold'6. Incidents'   :plain' What Defender has made of alerts that belong together.'
\echo
SELECT id, severity, created_date_time::timestamptz(0) AS created, left(display_name, 50) AS display_name
FROM defender.incidents
WHERE status = 'active' AND severity = 'high'
ORDER BY created_date_time DESC NULLS LAST
LIMIT 5;

\echo 'From the newest to its machines, and whose they are.  One request, for the alerts of this incident:'
\echo
\set ECHO none
SELECT id AS incident
FROM defender.incidents
WHERE status = 'active' AND severity = 'high'
ORDER BY created_date_time DESC NULLS LAST
LIMIT 1 \gset
\set ECHO queries
SELECT e.device_dns_name, a.owner, count(DISTINCT e.alert_id) AS alerts,
       left(max(e.alert_title), 40) AS title
FROM defender.device_evidence e
LEFT JOIN assets a ON a.host = e.device_dns_name
WHERE e.incident_id = :'incident'
GROUP BY e.device_dns_name, a.owner
ORDER BY alerts DESC, e.device_dns_name;

\echo :bold'7. Keep a copy' :plain' Dashboards read the copy; a refresh asks for what has changed.'
\echo
SELECT graph_fdw_create_copy('defender', 'defender_copy');

\echo 'It has five tables: alerts, alert_evidence, alert_comments, incidents, incident_comments.  Others, such as'
\echo 'device_evidence, are copied if they are named.'
\echo
\echo 'The first refresh loads 180 days, in slices.  Its notices, shortened here, say how far it is.  At the end it'
\echo 'asks once more for the last hour, in case something came late, and finds it "unchanged":'
\echo
CALL graph_fdw_refresh_copy('defender_copy');

\echo
\echo 'The copy is made of ordinary tables.  Reading them asks nobody:'
\echo
SELECT severity, count(*), max(created_date_time) AS latest
FROM defender_copy.alerts
GROUP BY severity
ORDER BY count(*) DESC;

\echo :bold'8. Schedule'    :plain' pg_cron, another extension, refreshes the copy from now on.'
\echo
CREATE EXTENSION pg_cron;
\echo

SELECT cron.schedule('refresh the copy', :'schedule',
                     $$CALL graph_fdw_refresh_copy('defender_copy')$$);

\echo 'A colleague is about to resolve the newest alert in the portal:'
\echo
SELECT id, status, last_update_date_time
FROM defender_copy.alerts
WHERE status = 'new'
ORDER BY created_date_time DESC, id
LIMIT 1;
