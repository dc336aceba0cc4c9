--
-- Incidents and their comments.
--
SET search_path = defender, public;

-- ===================================================================
-- Rows
-- ===================================================================
\d incidents
\d incident_comments
SELECT count(*) FROM incidents;
SELECT status, count(*) FROM incidents GROUP BY 1 ORDER BY 1;
SELECT severity, count(*), count(redirect_incident_id) FROM incidents GROUP BY 1 ORDER BY 1;
SELECT id, status, severity, created_date_time AT TIME ZONE 'UTC' AS created, assigned_to, custom_tags, system_tags,
       priority_score, raw->>'displayName' = display_name AS same
FROM incidents WHERE id = '28001';
SELECT incident_id, ordinal, comment, created_by_display_name, created_date_time AT TIME ZONE 'UTC' AS created, incident_status
FROM incident_comments WHERE incident_id IN ('28001', '28005', '28010') ORDER BY incident_id, ordinal;
-- they agree with the alerts
SELECT count(*), count(*) FILTER (WHERE i.created_date_time <> a.first)
FROM incidents i JOIN (SELECT incident_id, min(created_date_time) AS first FROM alerts GROUP BY 1) a ON a.incident_id = i.id
WHERE i.status <> 'redirected';
SELECT count(*) FROM incidents i JOIN incidents into_this ON into_this.id = i.redirect_incident_id WHERE i.status = 'redirected';

-- ===================================================================
-- What is sent
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM incidents;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM incidents WHERE id = '28001';
EXPLAIN (VERBOSE, COSTS OFF) SELECT comment FROM incident_comments WHERE incident_id = '28001';
-- a member may come in another case, so that none of these is exact
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM incidents WHERE status = 'active' AND severity IN ('high', 'medium');
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM incidents WHERE status <> 'resolved' AND classification IS DISTINCT FROM 'truePositive';
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM incidents WHERE status = 'active';
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM incidents WHERE determination IS NULL;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM incidents;
-- no member, one that hides behind the Prefer header, one of an alert's status
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM incidents WHERE status IN ('Active', 'awaitingAction') OR status = 'new';
-- what only alerts can be filtered by
CREATE FOREIGN TABLE mistaken (id text, service_source text OPTIONS (property 'serviceSource')) SERVER graph OPTIONS (resource 'incidents');
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM mistaken WHERE service_source = 'microsoftSentinel';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM incidents WHERE last_update_date_time >= '2026-10-31Z' AND assigned_to = 'nobody@contoso.test';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM incidents ORDER BY created_date_time DESC LIMIT 5;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i.id, c.comment FROM incidents i JOIN incident_comments c ON c.incident_id = i.id WHERE i.status = 'active';
-- one scan reads tables of the same incidents, not alerts beside them
EXPLAIN (VERBOSE, COSTS OFF) SELECT i.id, a.title FROM incidents i JOIN alerts a ON a.id = i.id WHERE i.id = '28001';

-- ===================================================================
-- Tables of one's own
-- ===================================================================
CREATE FOREIGN TABLE own_comments (
  incident text OPTIONS (property 'incidentId'), nr int OPTIONS (property 'ordinal'), said text OPTIONS (property 'comment'),
  name text OPTIONS (property '../displayName'), incident_assigned_to text, "incidentWebUrl" text
) SERVER graph OPTIONS (resource 'incident_comments', page_size '1000');
SELECT incident, nr, said IS NOT NULL AS said, name IS NOT NULL AS named, "incidentWebUrl" LIKE 'https://security.microsoft.com/incidents/28%' AS url
FROM own_comments WHERE incident IN ('28001', '28005', '28010') ORDER BY 1, 2;
EXPLAIN (VERBOSE, COSTS OFF) SELECT said FROM own_comments;
CREATE FOREIGN TABLE wrong (id text, parent text OPTIONS (property '../id')) SERVER graph OPTIONS (resource 'incidents');
SELECT * FROM wrong;                                                   -- ERROR
CREATE FOREIGN TABLE wrong_evidence (id text) SERVER graph OPTIONS (resource 'incidents', evidence_type 'deviceEvidence'); -- ERROR
CREATE FOREIGN TABLE wrong_name (id text, title text) SERVER graph OPTIONS (resource 'incidents');
SELECT title FROM wrong_name;                                          -- ERROR
DROP FOREIGN TABLE mistaken, own_comments, wrong, wrong_name;
