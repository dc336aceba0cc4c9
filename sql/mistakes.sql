--
-- What somebody does wrong in the first hour, and what is said then: each
-- message has to tell what to do.  Mistakes that take another service than the
-- emulator are in t/121_mistakes.pl.
--
\getenv port GRAPH_EMULATOR_PORT
\set endpoint 'http://127.0.0.1:' :port
SET timezone = 'UTC';
\set SHOW_CONTEXT never
\pset format unaligned

CREATE ROLE regress_graph_newcomer;
CREATE SCHEMA mistakes;
GRANT USAGE ON SCHEMA mistakes TO regress_graph_newcomer;
SET search_path = mistakes, public;

-- ===================================================================
-- Options
-- ===================================================================
-- a name that is misspelled, or of another object
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpont 'https://graph.microsoft.com'); -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (client_id 'x');     -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (client_secret 'x'); -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (password 'x');      -- ERROR
CREATE USER MAPPING FOR regress_graph_newcomer SERVER graph OPTIONS (clientid 'x'); -- ERROR
CREATE USER MAPPING FOR regress_graph_newcomer SERVER graph OPTIONS ("user" 'x', password 'y'); -- ERROR
CREATE FOREIGN TABLE wrong (id text) SERVER graph OPTIONS (table_name 'alerts'); -- ERROR
CREATE FOREIGN TABLE wrong (id text) SERVER graph OPTIONS (resource 'alert');   -- ERROR
CREATE FOREIGN TABLE wrong (id text OPTIONS (column_name 'id')) SERVER graph;   -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (evidence_type 'deviceEvidence'); -- ERROR
CREATE USER MAPPING FOR regress_graph_newcomer SERVER graph OPTIONS (page_size '10'); -- ERROR
-- a value that is out of range, or in other words
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (page_size '5000');  -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (updatable 'ja');    -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (request_timeout '2 minutes'); -- ERROR
CREATE USER MAPPING FOR regress_graph_newcomer SERVER graph OPTIONS (access_token 'Bearer x'); -- ERROR
CREATE USER MAPPING FOR regress_graph_newcomer SERVER graph OPTIONS (client_id 'x', client_secret 'y', access_token 'z'); -- ERROR
CREATE USER MAPPING FOR regress_graph_newcomer SERVER graph OPTIONS (client_secret 'y'); -- ERROR
-- the version, the tenant or a name of the service within the address
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint 'https://graph.microsoft.com/v1.0'); -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint 'https://graph.microsoft.com/beta/security/alerts_v2'); -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint 'https://graph.microsoft.us/security'); -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint 'https://gateway.example/v1.0/'); -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (authority 'https://login.microsoftonline.com/common/oauth2/v2.0/token'); -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint 'graph.microsoft.com'); -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint 'http://graph.microsoft.com'); -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (cloud 'gov');       -- ERROR
CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (tenant_id 'https://contoso.test'); -- ERROR
-- a gateway may have a path of its own
CREATE SERVER fine FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint 'https://gateway.example/graph/v1.0', authority 'https://gateway.example/login');
ALTER SERVER fine OPTIONS (SET endpoint 'https://graph.microsoft.com/', SET authority 'https://login.microsoftonline.com');
-- an address of another cloud than the login and its tokens are for
ALTER SERVER fine OPTIONS (SET endpoint 'https://graph.microsoft.us/');
ALTER SERVER fine OPTIONS (ADD cloud 'usgovdod', DROP endpoint, SET authority 'https://login.microsoftonline.us');
ALTER SERVER fine OPTIONS (SET cloud 'usgov', ADD endpoint 'https://dod-graph.microsoft.us');
ALTER SERVER fine OPTIONS (SET cloud 'china', DROP endpoint, SET authority 'https://gateway.example/login');
ALTER SERVER fine OPTIONS (DROP cloud);
-- milliseconds, where seconds were meant
ALTER SERVER fine OPTIONS (ADD request_timeout '30');
ALTER SERVER fine OPTIONS (SET request_timeout '30ms', ADD connect_timeout '5000', ADD throttle_timeout '999');
ALTER SERVER fine OPTIONS (DROP connect_timeout, DROP throttle_timeout);
-- who asks goes not into the address of a proxy
ALTER SERVER fine OPTIONS (ADD proxy 'http://svc:hunter2@proxy.example:8080');  -- ERROR
-- what was copied with the id or the secret
CREATE USER MAPPING FOR regress_graph_newcomer SERVER fine OPTIONS (client_id '“x”', client_secret E'hunter2\n');
ALTER USER MAPPING FOR regress_graph_newcomer SERVER fine OPTIONS (SET client_id '"cccccccc-dddd-eeee-ffff-000000000000"', SET client_secret ' hunter2');
ALTER USER MAPPING FOR regress_graph_newcomer SERVER fine OPTIONS (SET client_id 'cccccccc-dddd-eeee-ffff-000000000000', SET client_secret 'hunter2~._-Q/=+');
-- files that are not there yet, as when a dump is restored, and relative ones
ALTER SERVER fine OPTIONS (ADD ca_file '/nowhere/ca.pem');
ALTER SERVER fine OPTIONS (SET ca_file 'nowhere/ca.pem');
ALTER SERVER fine OPTIONS (SET ca_file 'PG_VERSION');
ALTER SERVER fine OPTIONS (SET ca_file '/nowhere/somebody:hunter2@ca.pem');
CREATE USER MAPPING FOR CURRENT_USER SERVER fine OPTIONS (client_id 'x', certificate_file 'cert.pem', private_key_file '/');
SET client_min_messages = warning;
DROP SERVER fine CASCADE;
RESET client_min_messages;

-- ===================================================================
-- IMPORT
-- ===================================================================
IMPORT FOREIGN SCHEMA public FROM SERVER graph INTO mistakes;                   -- ERROR
IMPORT FOREIGN SCHEMA security LIMIT TO (alert) FROM SERVER graph INTO mistakes; -- ERROR
IMPORT FOREIGN SCHEMA security LIMIT TO (emails) FROM SERVER graph INTO mistakes; -- ERROR
IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO mistakes OPTIONS (prefix 'x'); -- ERROR

-- ===================================================================
-- Who?
-- ===================================================================
CREATE FOREIGN TABLE alerts (id text, title text, severity text) SERVER graph;
GRANT SELECT ON alerts TO regress_graph_newcomer;
SET ROLE regress_graph_newcomer;
SELECT * FROM error_of('SELECT * FROM alerts');
SELECT * FROM graph_fdw_check('graph') LIMIT 1;
RESET ROLE;
REVOKE SELECT ON alerts FROM regress_graph_newcomer;
SET ROLE regress_graph_newcomer;
SELECT * FROM graph_fdw_check('graph');
SELECT * FROM error_of($$SELECT graph_fdw_login('graph')$$);
SELECT * FROM error_of($$SELECT graph_fdw_check('grap')$$);
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER graph TO regress_graph_newcomer;
SET ROLE regress_graph_newcomer;
SELECT * FROM graph_fdw_check('graph') LIMIT 1;
CREATE USER MAPPING FOR CURRENT_USER SERVER graph;
SELECT * FROM graph_fdw_check('graph') LIMIT 1;
DROP USER MAPPING FOR CURRENT_USER SERVER graph;
CREATE SERVER mine FOREIGN DATA WRAPPER graph_fdw;                              -- ERROR
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER graph FROM regress_graph_newcomer;

-- ===================================================================
-- Queries
-- ===================================================================
\set nobody '''da0'''
-- words that no alert has: once for each, and in each statement
SELECT count(*) FROM alerts WHERE severity = 'High' AND id = :nobody;
SELECT count(*) FROM alerts WHERE severity IN ('High', 'critical', 'low', 'High', NULL) AND NOT severity <> 'Low' AND id = :nobody;
SELECT count(*) FROM alerts AS a, alerts AS b WHERE a.severity = 'High' AND b.severity = 'High' AND a.id = :nobody AND b.id = :nobody;
EXPLAIN (COSTS OFF) SELECT FROM alerts WHERE 'urgent' = severity OR severity IS DISTINCT FROM 'urgent';
-- what is no constant by then is not looked at, and what is true for a member neither
SELECT count(*) FROM alerts WHERE severity = (SELECT 'High') AND id = :nobody;
SELECT count(*) FROM alerts WHERE severity ILIKE 'High' AND id = :nobody;
SELECT count(*) FROM alerts WHERE lower(severity) = lower('High') AND id = :nobody;
-- conditions that are true for no known word, because of what they compare it with
SELECT count(*) FROM alerts WHERE lower(severity) = 'High' AND severity LIKE 'High%' AND severity ~ '^Med' AND id = :nobody;
SELECT count(*) FROM alerts WHERE (severity SIMILAR TO '(High|Medium)' OR severity LIKE ANY ('{H%,M%}')) AND id = :nobody;
SELECT count(*) FROM alerts WHERE severity = 'High' AND severity || '' = 'High' AND id = :nobody;
-- but who looks for nulls or for what is new gets it, and no constant is to blame
SELECT count(*) FROM alerts WHERE severity NOT IN ('unknown', 'informational', 'low', 'medium', 'high') AND id = :nobody;
SELECT count(*) FROM alerts WHERE coalesce(severity, 'none') = 'none' AND severity IS NULL AND id = :nobody;
SELECT count(*) FROM alerts WHERE severity LIKE 'h%' AND severity !~ 'H' AND severity <> severity AND upper(severity) = severity AND id = :nobody;
-- in what is made of the rows
SELECT count(*) FILTER (WHERE severity = 'High') AS high, sum((severity = 'Low')::int) AS low,
  count(CASE severity WHEN 'Medium' THEN 1 WHEN 'low' THEN 2 END) AS others FROM alerts WHERE id = :nobody HAVING bool_or(severity = 'Informational');
SELECT severity = 'low' AS low, CASE severity WHEN 'high' THEN 1 END AS high FROM alerts WHERE id = :nobody;
PREPARE of_severity(text) AS SELECT count(*) FROM alerts WHERE severity = $1 AND id = 'da0';
EXECUTE of_severity('High');
EXECUTE of_severity('high');
SET plan_cache_mode = force_generic_plan;
EXECUTE of_severity('Low');
RESET plan_cache_mode;
DEALLOCATE of_severity;
-- a client's statement is told once, whatever it calls
DO $$
BEGIN
  FOR i IN 1..3 LOOP
    EXECUTE 'SELECT FROM alerts WHERE severity = ''High'' AND id = ''da0''';
  END LOOP;
END
$$;
-- nobody who does not want to know
SET client_min_messages = warning;
SELECT count(*) FROM alerts WHERE severity = 'High' AND id = :nobody;
RESET client_min_messages;
-- other types and collations that have no case
CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE level AS ENUM ('High', 'low');
CREATE FOREIGN TABLE other_types (id text, severity text COLLATE no_case, status varchar, level level OPTIONS (property 'severity'),
  classification varchar(20)) SERVER graph;
SELECT count(*) FROM other_types WHERE severity = 'High' AND level = 'High' AND id = :nobody;
SELECT count(*) FROM other_types WHERE status = 'closed' AND classification = 'TruePositive' AND id = :nobody;
-- partitions
CREATE TABLE tenants (tenant int, id text, severity text) PARTITION BY LIST (tenant);
CREATE FOREIGN TABLE tenant_1 PARTITION OF tenants FOR VALUES IN (1) SERVER graph;
CREATE FOREIGN TABLE tenant_2 PARTITION OF tenants FOR VALUES IN (2) SERVER graph;
ALTER FOREIGN TABLE tenant_1 ALTER tenant OPTIONS (property 'tenantNumber');
ALTER FOREIGN TABLE tenant_2 ALTER tenant OPTIONS (property 'tenantNumber');
SELECT count(*) FROM tenants WHERE severity = 'High' AND id = :nobody;
-- evidence; a type that is newer than this version is said when the table is made
CREATE FOREIGN TABLE evidence (alert_id text, evidence_type text, verdict text, roles text[]) SERVER graph OPTIONS (resource 'evidence');
SELECT count(*) FROM evidence WHERE evidence_type = 'device' AND verdict = 'Malicious' AND 'Attacker' = ANY (roles) AND alert_id = :nobody;
SELECT count(*) FROM evidence WHERE evidence_type = 'DeviceEvidence' AND alert_id = :nobody;
SELECT count(*) FROM evidence WHERE evidence_type LIKE 'Device%' AND roles @> '{Compromised,attacker}' AND verdict ILIKE 'mal%' AND alert_id = :nobody;
-- members that the service shows under another name, and those of incidents,
-- which come in more than one case: they are looked for as written
CREATE FOREIGN TABLE incident (id text, status text, severity text) SERVER graph OPTIONS (resource 'incidents');
SELECT count(*) FROM incident WHERE status = 'Active' AND severity IN ('unknownFutureValue', 'urgent') AND id = '0';
SELECT count(*) FROM incident WHERE status IN ('Active', 'active') AND severity LIKE 'Hi%' AND id = '0';
SELECT count(*) FILTER (WHERE status = 'Resolved') FROM incident WHERE id = '0';

-- a property that is misspelled, said once; one that is new, and what is inside
-- of a dictionary
CREATE FOREIGN TABLE properties (
  id text, name text OPTIONS (property 'titel'), dns text OPTIONS (property 'newerThanWeAre'),
  detail text OPTIONS (property 'customDetails/anything'), first_one text OPTIONS (property 'newOne|title'), raw jsonb) SERVER graph;
SELECT name FROM properties WHERE id = :nobody;
SELECT name, detail, first_one FROM properties WHERE id = :nobody;
SELECT * FROM properties WHERE id = :nobody;
CREATE FOREIGN TABLE of_device (alert_id text, severity text OPTIONS (property '../severty')) SERVER graph
  OPTIONS (resource 'evidence', evidence_type 'deviceEvidences');
ALTER FOREIGN TABLE of_device OPTIONS (SET evidence_type 'Device');
ALTER FOREIGN TABLE of_device OPTIONS (SET evidence_type 'DeviceEvidence');
ALTER FOREIGN TABLE of_device OPTIONS (SET evidence_type 'gadget');
ALTER FOREIGN TABLE of_device OPTIONS (SET evidence_type 'deviceEvidences');
SELECT severity FROM of_device WHERE alert_id = :nobody;
ALTER FOREIGN TABLE of_device OPTIONS (SET evidence_type 'deviceEvidence');
SELECT severity FROM of_device WHERE alert_id = :nobody;
-- a name that is no property's
CREATE FOREIGN TABLE no_property (id text, create_time timestamptz) SERVER graph;
SELECT create_time FROM no_property;                                            -- ERROR
ALTER FOREIGN TABLE no_property ADD titel text, ADD alert_id text, ADD device_dns_name text, ADD severty text, ADD nonsense text;
SELECT titel FROM no_property;                                                  -- ERROR
SELECT alert_id FROM no_property;                                               -- ERROR
SELECT device_dns_name FROM no_property;                                        -- ERROR
SELECT severty FROM no_property;                                                -- ERROR
SELECT nonsense FROM no_property;                                               -- ERROR
CREATE FOREIGN TABLE no_evidence (alert_id text, severity text, file_name text, device_dns_nme text, verdikt text) SERVER graph
  OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
SELECT severity FROM no_evidence;                                               -- ERROR
SELECT file_name FROM no_evidence;                                              -- ERROR
SELECT device_dns_nme FROM no_evidence;                                         -- ERROR
SELECT verdikt FROM no_evidence;                                                -- ERROR
-- the evidence's own time is not the one by which the service filters
CREATE FOREIGN TABLE times (alert_id text, created_date_time timestamptz,
  alert_time timestamptz OPTIONS (property '../createdDateTime')) SERVER graph OPTIONS (resource 'evidence');
SELECT explained('SELECT alert_id FROM times WHERE created_date_time >= ''2026-10-31''');
SELECT explained('SELECT alert_id FROM times WHERE alert_time >= ''2026-10-31''');
-- a column of another type than text
ALTER FOREIGN TABLE incident ADD number int OPTIONS (property 'id'), ADD level level OPTIONS (property 'severity');
SELECT explained('SELECT FROM incident WHERE number = 1 AND level = ''low''');
CREATE FOREIGN TABLE numbered (id int) SERVER graph;
SELECT * FROM numbered LIMIT 1;                                                 -- ERROR
-- times and quotes
\set VERBOSITY terse
SELECT count(*) FROM times WHERE alert_time > '31.31.2026';                     -- ERROR
\set VERBOSITY default
SELECT count(*) FROM alerts WHERE severity = high;                              -- ERROR
SELECT count(*) FROM alerts WHERE severity = "high";                            -- ERROR

-- ===================================================================
-- Changes
-- ===================================================================
UPDATE alerts SET severity = 'low' WHERE id = :nobody;                          -- ERROR
DELETE FROM alerts WHERE id = :nobody;                                          -- ERROR
INSERT INTO alerts (id) VALUES ('x');                                           -- ERROR
INSERT INTO evidence (alert_id) VALUES ('x');                                   -- ERROR
DELETE FROM incident;                                                           -- ERROR
CREATE FOREIGN TABLE comments (alert_id text, comment text) SERVER graph OPTIONS (resource 'comments');
INSERT INTO comments VALUES ('x', 'y');                                         -- ERROR

SET client_min_messages = warning;
RESET search_path;
DROP SCHEMA mistakes CASCADE;
DROP ROLE regress_graph_newcomer;
