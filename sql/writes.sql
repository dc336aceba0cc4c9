--
-- What can be written: options, errors before anything is sent, plans.  What is
-- sent, t/091_updates.pl says.
--
SET search_path = defender, public;
\set VERBOSITY default

-- ===================================================================
-- Off until it is asked for
-- ===================================================================
UPDATE alerts SET status = 'resolved';
INSERT INTO alert_comments (alert_id, comment) VALUES ('a', 'b');
SELECT relname, pg_relation_is_updatable(oid, false) FROM pg_class
WHERE relname IN ('alerts', 'incidents', 'alert_comments', 'incident_comments', 'alert_evidence', 'device_evidence')
ORDER BY 1;
ALTER SERVER graph OPTIONS (ADD updatable 'perhaps');
ALTER SERVER graph OPTIONS (ADD updatable 'true');
SELECT relname, pg_relation_is_updatable(oid, false) FROM pg_class
WHERE relname IN ('alerts', 'incidents', 'alert_comments', 'incident_comments', 'alert_evidence', 'device_evidence')
ORDER BY 1;
SELECT table_name, is_insertable_into FROM information_schema.tables
WHERE table_schema = 'defender' AND table_name IN ('alerts', 'incidents', 'alert_comments', 'incident_comments', 'alert_evidence')
ORDER BY 1;
-- a table's own option comes first
ALTER FOREIGN TABLE alerts OPTIONS (ADD updatable 'false');
SELECT pg_relation_is_updatable('alerts', false);
UPDATE alerts SET status = 'resolved';
ALTER FOREIGN TABLE alerts OPTIONS (DROP updatable);

-- ===================================================================
-- What PostgreSQL refuses, and what nobody can write
-- ===================================================================
DELETE FROM alerts;
DELETE FROM alert_comments;
TRUNCATE alerts;
INSERT INTO alerts (id) VALUES ('a');
INSERT INTO alert_evidence (alert_id) VALUES ('a');
UPDATE alert_evidence SET evidence_type = 'x';
UPDATE alert_comments SET comment = 'x';
MERGE INTO alerts USING alert_copy c ON c.id = alerts.id WHEN MATCHED THEN UPDATE SET status = 'resolved';
COPY alerts (id) FROM stdin;
\.
INSERT INTO alert_comments (alert_id, comment) VALUES ('a', 'b') ON CONFLICT (alert_id) DO NOTHING;

-- ===================================================================
-- Columns and constants
-- ===================================================================
UPDATE alerts SET title = 'x';
UPDATE alerts SET raw = '{}', status = 'resolved';
UPDATE alerts SET id = id;
UPDATE incidents SET priority_score = 1;
INSERT INTO alert_comments (alert_id, comment, created_by_display_name) VALUES ('a', 'b', 'me');
INSERT INTO alert_comments SELECT * FROM alert_comments;
INSERT INTO alert_comments (alert_id) VALUES ('a');
INSERT INTO alert_comments (comment) VALUES ('b');
UPDATE alerts SET status = 'Resolved';
UPDATE alerts SET status = 'unknownFutureValue';
UPDATE alerts SET status = 'active';
UPDATE incidents SET status = 'new';
UPDATE incidents SET severity = 'critical';
UPDATE alerts SET determination = 'compromisedUser';
UPDATE alerts SET determination = 'clean';
UPDATE alerts SET determination = 'insufficientData';
UPDATE incidents SET determination = 'confirmedUserActivity';
UPDATE alerts SET determination = CASE severity WHEN 'high' THEN determination ELSE coalesce(determination, 'clean') END;
UPDATE alerts SET status = NULL;
UPDATE incidents SET severity = NULL;
UPDATE incidents SET custom_tags = NULL;
UPDATE incidents SET custom_tags = '{{a},{b}}';
UPDATE incidents SET custom_tags = '{a,NULL}';
UPDATE alerts SET custom_details = '[1]';
-- no value comes from here
EXPLAIN (COSTS OFF) UPDATE alerts SET status = CASE WHEN severity = 'high' THEN 'resolved' WHEN severity = 'low' THEN 'new' END;

-- ===================================================================
-- Tables of one's own
-- ===================================================================
CREATE FOREIGN TABLE no_key (status text) SERVER graph;
SELECT pg_relation_is_updatable('no_key', false);
UPDATE no_key SET status = 'resolved';
CREATE FOREIGN TABLE no_comment_key (comment text, ordinal int) SERVER graph OPTIONS (resource 'comments');
INSERT INTO no_comment_key VALUES ('x');
CREATE FOREIGN TABLE nothing_to_set (id text, title text) SERVER graph;
SELECT pg_relation_is_updatable('nothing_to_set', false);
UPDATE nothing_to_set SET title = 'x';
CREATE TYPE own_status AS ENUM ('new', 'inProgress', 'resolved', 'done');
CREATE DOMAIN person AS varchar(20) CHECK (value LIKE '%@%');
CREATE FOREIGN TABLE own (
  key varchar(40) OPTIONS (property 'id'),
  state own_status OPTIONS (property 'status'),
  owner person OPTIONS (property 'assignedTo'),
  verdict char(30) OPTIONS (property 'determination'),
  part text OPTIONS (property 'customDetails/a'),
  either text OPTIONS (property 'status|classification'),
  details text OPTIONS (property 'customDetails'),
  gone int,
  again text OPTIONS (property 'status')
) SERVER graph;
ALTER FOREIGN TABLE own DROP COLUMN gone;
SELECT pg_relation_is_updatable('own', false);
UPDATE own SET key = 'x';
UPDATE own SET part = 'x';
UPDATE own SET either = 'x';
UPDATE own SET state = 'done';
UPDATE own SET state = 'other';
UPDATE own SET owner = 'nobody';
UPDATE own SET verdict = 'clean';
UPDATE own SET details = 'x';
EXPLAIN (VERBOSE, COSTS OFF) UPDATE own SET state = 'resolved', owner = 'a@b', verdict = 'malware', again = 'resolved' WHERE key = 'a';
-- one whose columns are wrong does not hide the others
CREATE FOREIGN TABLE wrong (id text, nonsense text, status text) SERVER graph;
SELECT pg_relation_is_updatable('wrong', false);
SELECT count(*) > 0 FROM information_schema.tables WHERE table_schema = 'defender';
EXPLAIN (COSTS OFF) UPDATE wrong SET status = 'resolved';

-- ===================================================================
-- Plans
-- ===================================================================
-- the scan writes itself, and reads what somebody looks at
EXPLAIN (VERBOSE, COSTS OFF) UPDATE alerts SET status = 'resolved', classification = 'falsePositive' WHERE severity = 'high';
EXPLAIN (VERBOSE, COSTS OFF) UPDATE alerts SET assigned_to = NULL WHERE id IN ('a', 'b') AND title ~ 'x' RETURNING id, last_update_date_time;
SELECT * FROM explained($$UPDATE alerts SET status = 'new' WHERE id = 'a'$$, 'VERBOSE, COSTS OFF, FORMAT JSON');
EXPLAIN (VERBOSE, COSTS OFF) UPDATE alerts SET custom_details = custom_details || '{"a": "b"}' WHERE id = 'a';
EXPLAIN (VERBOSE, COSTS OFF) UPDATE incidents SET custom_tags = array_append(custom_tags, 'x'), display_name = 'y' WHERE id = '1';
-- one row after the other
EXPLAIN (VERBOSE, COSTS OFF) UPDATE alert SET status = c.status FROM alert_copy c WHERE c.id = alert.id AND c.severity = 'high';
SELECT * FROM explained('UPDATE alert SET (status, assigned_to) = (SELECT status, assigned_to FROM alert_copy c WHERE c.id = alert.id)') AS explained WHERE explained !~ 'SubPlan';
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO alert_comments (alert_id, comment) VALUES ('a', 'b'), ('c', 'd') RETURNING created_by_display_name;
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO incident_comments (incident_id, comment) SELECT id, 'x' FROM incidents WHERE severity = 'high';
-- views
CREATE VIEW high AS SELECT id, status, severity FROM alert WHERE severity = 'high';
SELECT pg_relation_is_updatable('high', false);
EXPLAIN (VERBOSE, COSTS OFF) UPDATE high SET status = 'resolved' WHERE id > 'a';
CREATE VIEW unresolved WITH (security_barrier) AS SELECT * FROM alert WHERE status <> 'resolved' WITH CHECK OPTION;
EXPLAIN (VERBOSE, COSTS OFF) UPDATE unresolved SET status = 'inProgress' WHERE title ~ 'x';
UPDATE high SET severity = 'low';

DROP VIEW high, unresolved;
DROP FOREIGN TABLE no_key, no_comment_key, nothing_to_set, own, wrong;
DROP DOMAIN person;
DROP TYPE own_status;
ALTER SERVER graph OPTIONS (DROP updatable);
