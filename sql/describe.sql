--
-- What other programs show of foreign tables: comments on them and on their
-- columns, and views of them.
--
SET client_min_messages = warning;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
\pset format unaligned

CREATE ROLE regress_graph_owner;
GRANT USAGE ON FOREIGN SERVER graph TO regress_graph_owner;
CREATE SCHEMA described AUTHORIZATION regress_graph_owner;
SET ROLE regress_graph_owner;
IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO described;

-- ===================================================================
-- Comments
-- ===================================================================
-- by the owner, who need not be a superuser; what somebody wrote stays
COMMENT ON COLUMN described.alerts.title IS 'mine';
COMMENT ON FOREIGN TABLE described.incidents IS 'mine, too';
SELECT graph_fdw_comment('described') > 1000 AS many;
SELECT graph_fdw_comment('described');
SELECT graph_fdw_comment('described', overwrite => NULL) IS NULL AS nothing;
-- every table and every column of it has one
SELECT c.relname, a.attname
FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'described'::regnamespace
  AND (obj_description(c.oid, 'pg_class') IS NULL OR col_description(c.oid, a.attnum) IS NULL);
-- what the service filters by is said, and which words there are
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 'described.alerts'::regclass AND attnum > 0
  AND attname IN ('created_date_time', 'severity', 'determination', 'title', 'evidence', 'raw', 'incident_id') ORDER BY attnum;
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 'described.device_evidence'::regclass AND attnum > 0
  AND attname IN ('alert_id', 'ordinal', 'created_date_time', 'alert_created_date_time', 'vm_metadata', 'vm_metadata_vm_id', 'risk_score') ORDER BY attnum;
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 'described.alert_evidence'::regclass AND attnum > 0
  AND attname IN ('evidence_type', 'ip_address', 'sha256', 'url', 'alert_title') ORDER BY attnum;
SELECT obj_description(('described.' || t)::regclass, 'pg_class')
FROM unnest('{alerts,alert_evidence,alert_comments,incidents,incident_comments,device_evidence}'::text[]) AS t;
-- all anew, where that is asked for
SELECT graph_fdw_comment('described', overwrite => true) > 1000 AS many;
SELECT col_description('described.alerts'::regclass, attnum) FROM pg_attribute
WHERE attrelid = 'described.alerts'::regclass AND attname = 'title';

-- a table of one's own, by what its columns read
CREATE FOREIGN TABLE described."My ""own"" table" (
  "key" text OPTIONS (property '../id'), "the ""name" text OPTIONS (property 'deviceDnsName'),
  new_one text OPTIONS (property 'newerThanWeAre'), whole jsonb OPTIONS (property '..'), dropped text
) SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
ALTER FOREIGN TABLE described."My ""own"" table" DROP dropped;
SELECT graph_fdw_comment('described');
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 'described."My ""own"" table"'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

SELECT graph_fdw_comment('nowhere');                                            -- ERROR
SELECT graph_fdw_comment('public');                                             -- ERROR
SELECT graph_fdw_describe('pg_class');                                      -- ERROR
RESET ROLE;
CREATE ROLE regress_graph_other;
SET ROLE regress_graph_other;
SELECT graph_fdw_comment('described', overwrite => true);                       -- ERROR
RESET ROLE;

-- ===================================================================
-- Views
-- ===================================================================
GRANT CREATE ON DATABASE :DBNAME TO regress_graph_owner;
SET ROLE regress_graph_owner;
-- in the schema itself, what is read most of alerts and incidents
SELECT graph_fdw_create_views('described');
SELECT graph_fdw_create_views('described');
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 'described.alerts_summary'::regclass AND attnum > 0 ORDER BY attnum;
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 'described.incidents_summary'::regclass AND attnum > 0 ORDER BY attnum;
-- in another, all of them
SELECT graph_fdw_create_views('described', 'shown', '{alerts,device_evidence,"My \"own\" table"}');
SELECT c.relname, c.relkind, c.reloptions, obj_description(c.oid, 'pg_class')
FROM pg_class AS c WHERE c.relnamespace = 'shown'::regnamespace ORDER BY 1;
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 'shown."My ""own"" table"'::regclass AND attnum > 0 ORDER BY attnum;
SELECT graph_fdw_create_views('described', 'shown', '{assets}');                -- ERROR
SELECT graph_fdw_create_views(NULL);                                            -- ERROR
-- a summary has the columns that the table has
CREATE SCHEMA narrow AUTHORIZATION regress_graph_owner;
CREATE FOREIGN TABLE narrow.al (name text OPTIONS (property 'title'), "ID" text, again text OPTIONS (property 'title')) SERVER graph;
CREATE FOREIGN TABLE narrow.nothing (description text) SERVER graph;
SELECT graph_fdw_create_views('narrow');
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 'narrow.al_summary'::regclass AND attnum > 0 ORDER BY attnum;
DROP SCHEMA narrow CASCADE;
RESET ROLE;

-- What a view is asked for is asked of the service, as whoever reads it:
-- without a mapping of its own a role gets nothing.
SELECT explained('SELECT id, title FROM described.alerts_summary WHERE severity = ''high''
                  AND created_date_time >= ''2026-10-30'' ORDER BY created_date_time DESC LIMIT 5');
SELECT explained('SELECT count(*) FROM described.alerts_summary WHERE severity = ''high''');
SELECT explained('SELECT title FROM shown.alerts WHERE id = ''da637578995287051192_756343937''');
SELECT * FROM cost_of('SELECT title FROM shown.alerts_summary WHERE id = ''da637578995287051192_756343937''');
SELECT title, severity, status FROM described.alerts_summary WHERE id = 'da637578995287051192_756343937';
SET ROLE regress_graph_owner;
SELECT * FROM error_of('SELECT title FROM shown.alerts WHERE id = ''da637578995287051192_756343937''');
RESET ROLE;
-- Or as their owner, with whose mapping they read, for roles that have none: of a
-- view that somebody else owns that would be somebody else's.
SELECT graph_fdw_create_views('described', 'shown', '{alerts}', as_owner => true); -- ERROR
DROP VIEW shown.alerts, shown.alerts_summary;
SELECT graph_fdw_create_views('described', 'shown', '{alerts}', as_owner => true);
SELECT relname, reloptions FROM pg_class WHERE oid IN ('shown.alerts'::regclass, 'shown.alerts_summary'::regclass) ORDER BY relname;
GRANT SELECT ON shown.alerts_summary TO regress_graph_owner;
SET ROLE regress_graph_owner;
SELECT title FROM shown.alerts_summary WHERE id = 'da637578995287051192_756343937';
SELECT * FROM error_of('SELECT title FROM shown.alerts WHERE id = ''da637578995287051192_756343937''');
RESET ROLE;
-- what is asked for is asked of the service there, too
SELECT explained('SELECT title FROM shown.alerts_summary WHERE severity = ''high'' ORDER BY created_date_time DESC LIMIT 5');
-- and back
SELECT graph_fdw_create_views('described', 'shown', '{alerts}');
SET ROLE regress_graph_owner;
SELECT * FROM error_of('SELECT title FROM shown.alerts_summary WHERE id = ''da637578995287051192_756343937''');
RESET ROLE;

DROP SCHEMA described, shown CASCADE;
REVOKE ALL ON FOREIGN SERVER graph FROM regress_graph_owner;
REVOKE ALL ON DATABASE :DBNAME FROM regress_graph_owner;
DROP ROLE regress_graph_owner, regress_graph_other;
