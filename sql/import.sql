--
-- IMPORT FOREIGN SCHEMA: which tables, with which columns?
--
SET client_min_messages = warning;
CREATE SCHEMA imported;

-- ===================================================================
-- Everything
-- ===================================================================
SELECT relname, count(*) AS columns, (SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = c.oid)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE relnamespace = 'defender'::regnamespace
GROUP BY c.oid, relname ORDER BY relname COLLATE "C";
\d defender.alerts
\d defender.alert_evidence
\d defender.alert_comments
\d defender.device_evidence
-- no column is declared NOT NULL, whatever the metadata promises, but those
-- without which there is no row
SELECT attname, count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = 'defender'::regnamespace AND attnum > 0 AND attnotnull
GROUP BY 1 ORDER BY 1;
-- types
SELECT format_type(atttypid, atttypmod) AS type, count(*)
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = 'defender'::regnamespace AND attnum > 0
GROUP BY 1 ORDER BY format_type(atttypid, atttypmod) COLLATE "C";

-- ===================================================================
-- LIMIT TO and EXCEPT
-- ===================================================================
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, device_evidence) FROM SERVER graph INTO imported;
SELECT relname FROM pg_class WHERE relnamespace = 'imported'::regnamespace ORDER BY 1;
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts) FROM SERVER graph INTO imported; -- ERROR
DROP FOREIGN TABLE imported.alerts, imported.device_evidence;
IMPORT FOREIGN SCHEMA security EXCEPT (alerts, alert_comments) FROM SERVER graph INTO imported;
SELECT count(*), count(*) FILTER (WHERE relname IN ('alerts', 'alert_comments'))
FROM pg_class WHERE relnamespace = 'imported'::regnamespace;

-- the rows are the same, whatever the table is called
DROP SCHEMA imported CASCADE;
CREATE SCHEMA "Odd ""schema";
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts) FROM SERVER graph INTO "Odd ""schema";
SELECT count(*) FROM "Odd ""schema".alerts WHERE severity = 'high';
DROP SCHEMA "Odd ""schema" CASCADE;

-- ===================================================================
-- Mistakes
-- ===================================================================
CREATE SCHEMA imported;
IMPORT FOREIGN SCHEMA securty FROM SERVER graph INTO imported;         -- ERROR
IMPORT FOREIGN SCHEMA "Security" FROM SERVER graph INTO imported;      -- ERROR
IMPORT FOREIGN SCHEMA security LIMIT TO (alert) FROM SERVER graph INTO imported; -- ERROR
IMPORT FOREIGN SCHEMA security LIMIT TO (devices_evidence) FROM SERVER graph INTO imported; -- ERROR
IMPORT FOREIGN SCHEMA security LIMIT TO (unicorns) FROM SERVER graph INTO imported; -- ERROR
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, tickets) FROM SERVER graph INTO imported; -- ERROR
IMPORT FOREIGN SCHEMA security EXCEPT (alertcomments) FROM SERVER graph INTO imported; -- ERROR
IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO nowhere;         -- ERROR
SELECT count(*) FROM pg_class WHERE relnamespace = 'imported'::regnamespace;

-- ===================================================================
-- A column's name finds its property, in snake case, exactly or carelessly
-- ===================================================================
CREATE FOREIGN TABLE imported.names (
  id text, created_date_time text, "createdDateTime" text, createddatetime text,
  mitre_techniques text[], "alertWebUrl" text
) SERVER graph;
SELECT created_date_time = "createdDateTime" AND created_date_time = createddatetime AS same,
       mitre_techniques, "alertWebUrl" LIKE 'https://security.microsoft.com/%' AS url
FROM imported.names WHERE id = 'da637578995287051192_756343937';
-- a name that the metadata does not have needs the option
CREATE FOREIGN TABLE imported.unknown_name (id text, no_such_thing text) SERVER graph;
SELECT * FROM imported.unknown_name WHERE id = 'x';                    -- ERROR
SELECT id FROM imported.unknown_name WHERE id = 'x';
ALTER FOREIGN TABLE imported.unknown_name ALTER no_such_thing OPTIONS (ADD property 'noSuchThing');
SELECT * FROM imported.unknown_name WHERE id = 'da637578995287051192_756343937';
-- in evidence, nested properties and the alert's
CREATE FOREIGN TABLE imported.mine (
  alert_id text,
  ordinal int,
  host text OPTIONS (property 'deviceDnsName'),
  cloud text OPTIONS (property 'vmMetadata/cloudProvider'),
  name_or_id text OPTIONS (property 'noSuchThing|mdeDeviceId'),
  first_user jsonb OPTIONS (property 'loggedOnUsers'),
  rank text OPTIONS (property '../severity')
) SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
SELECT * FROM imported.mine WHERE alert_id = 'da637578995287051192_756343937';
DROP SCHEMA imported CASCADE;
