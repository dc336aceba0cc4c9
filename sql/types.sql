--
-- Columns of any type: a value goes through the type's own input.
--
\getenv port GRAPH_EMULATOR_PORT
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '(null)'
\set sample 'da637578995287051192_756343937'

-- ===================================================================
-- The same property as various types
-- ===================================================================
CREATE TYPE level AS ENUM ('informational', 'low', 'medium', 'high', 'unknown');
CREATE DOMAIN short AS varchar(10);
CREATE DOMAIN known_level AS level CHECK (VALUE <> 'unknown');
CREATE FOREIGN TABLE typed (
  id text,
  title varchar(100),
  cut varchar(8) OPTIONS (property 'status'),
  padded char(8) OPTIONS (property 'status'),
  severity level,
  domain_severity known_level OPTIONS (property 'severity'),
  status short,
  detector_id uuid,
  tenant_id uuid,
  incident_id bigint,
  incident numeric OPTIONS (property 'incidentId'),
  created_date_time timestamptz,
  day date OPTIONS (property 'createdDateTime'),
  local timestamp OPTIONS (property 'createdDateTime'),
  millis timestamptz(3) OPTIONS (property 'createdDateTime'),
  as_text text OPTIONS (property 'createdDateTime'),
  mitre_techniques text[],
  techniques varchar(20)[] OPTIONS (property 'mitreTechniques'),
  techniques_json jsonb OPTIONS (property 'mitreTechniques'),
  techniques_text text OPTIONS (property 'mitreTechniques'),
  evidence json,
  raw json OPTIONS (property '.'),
  raw_text text OPTIONS (property '.'),
  status_json jsonb OPTIONS (property 'status')
) SERVER graph;
\x on
SELECT id, title, cut, padded, severity, domain_severity, status, detector_id, tenant_id, incident_id, incident,
       created_date_time, day, local, millis, as_text, mitre_techniques, techniques, techniques_json, techniques_text::jsonb,
       json_array_length(evidence) AS evidence, raw->>'id' AS raw_id, raw_text::jsonb = raw::jsonb AS same, status_json
FROM typed WHERE id = :'sample';
\x off
SELECT id FROM typed WHERE id = :'sample' AND severity < 'medium' AND incident_id > 28000;
-- the enum's order, not the alphabet's
SELECT severity, count(*) FROM typed GROUP BY severity ORDER BY severity;
-- comparisons of types that the service does not have stay here; of a date, they are a range of times
EXPLAIN (VERBOSE, COSTS OFF)
SELECT id FROM typed WHERE severity = 'high' AND day = '2026-10-31' AND created_date_time > '2026-10-31' AND status = 'new';
SELECT count(*) FROM typed WHERE severity = 'high' AND created_date_time > '2026-10-31' AND status = 'new';
SELECT count(*) FROM alert_copy WHERE severity = 'high' AND created_date_time > '2026-10-31' AND status = 'new';

-- ===================================================================
-- Evidence: addresses, numbers, arrays
-- ===================================================================
CREATE FOREIGN TABLE typed_device (
  alert_id text, ordinal smallint, evidence_type name,
  os_build numeric, rbac_group_id smallint OPTIONS (property 'rbacGroupId'),
  ip_interfaces inet[], tags text[],
  vm_id uuid OPTIONS (property 'vmMetadata/vmId'), cloud text OPTIONS (property 'vmMetadata/cloudProvider')
) SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
SELECT * FROM typed_device WHERE alert_id = :'sample';
CREATE FOREIGN TABLE typed_process (
  alert_id text, ordinal int, process_id bigint, process numeric OPTIONS (property 'processId'),
  process_text text OPTIONS (property 'processId'), process_json jsonb OPTIONS (property 'processId')
) SERVER graph OPTIONS (resource 'evidence', evidence_type 'processEvidence');
SELECT * FROM typed_process WHERE alert_id = :'sample';
-- every digit
SELECT count(*), bool_and(process_id = process AND process_text = process::text AND process_json = to_jsonb(process)) AS same,
       max(process_id), min(process_id)
FROM typed_process WHERE process_id IS NOT NULL;

-- ===================================================================
-- What does not fit is an error that names column, table and alert
-- ===================================================================
CREATE FOREIGN TABLE misfit (
  id text,
  title int,
  description varchar(10),
  status uuid,
  severity known_level,
  mitre_techniques int[],
  created_date_time inet,
  comments timestamptz
) SERVER graph;
SELECT id FROM misfit WHERE id = :'sample';
SELECT title FROM misfit WHERE id = :'sample';                         -- ERROR
SELECT description FROM misfit WHERE id = :'sample';                   -- ERROR
SELECT status FROM misfit WHERE id = :'sample';                        -- ERROR
SELECT mitre_techniques FROM misfit WHERE id = :'sample';              -- ERROR
SELECT created_date_time FROM misfit WHERE id = :'sample';             -- ERROR
SELECT comments FROM misfit WHERE id = :'sample';                      -- ERROR
SELECT severity FROM misfit WHERE id = :'sample';
SELECT id FROM alert_copy WHERE severity = 'unknown' ORDER BY id LIMIT 1 \gset unknown_
SELECT severity FROM misfit WHERE id = :'unknown_id';                  -- ERROR
CREATE FOREIGN TABLE misfit_evidence (alert_id text, ordinal int, device_dns_name uuid)
  SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
SELECT device_dns_name FROM misfit_evidence WHERE alert_id = :'sample'; -- ERROR

-- ===================================================================
-- Alerts made up for the purpose, through a fault of the emulator
-- ===================================================================
-- a server whose lists begin with the alert in the JSON text
CREATE PROCEDURE pg_temp.serve(alert text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER SERVER made_up OPTIONS (SET endpoint %L)',
    format('http://127.0.0.1:%s/fault/%s', current_setting('test.port'),
      translate(encode(convert_to(jsonb_build_object('fault', jsonb_build_object('kind', 'element', 'at', 0, 'text', alert),
                                                     'match', jsonb_build_object('path', 'alerts_v2'))::text, 'UTF8'), 'base64'),
                E'+/=\n', '-_')));
END $$;
SELECT set_config('test.port', :'port', false) IS NOT NULL AS set;
\set endpoint 'http://127.0.0.1:' :port
CREATE SERVER made_up FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint :'endpoint', authority :'endpoint');
CREATE USER MAPPING FOR CURRENT_USER SERVER made_up OPTIONS (access_token 'emulator-access-token');
CREATE FOREIGN TABLE made (
  id text, title text, description text, severity text, system_tags text[], created_date_time timestamptz,
  resolved_date_time timestamptz, additional_data jsonb, custom_details json, raw jsonb OPTIONS (property '.')
) SERVER made_up OPTIONS (page_size '1');
CREATE FOREIGN TABLE made_evidence (
  alert_id text, ordinal int, evidence_type text, verdict text, host_name text, process_id bigint,
  ip_address text OPTIONS (property 'ipAddress/ipAddress|ipAddress'), alert_severity text, raw jsonb OPTIONS (property '.')
) SERVER made_up OPTIONS (resource 'evidence', page_size '1');

-- null, missing and empty
CALL pg_temp.serve('{"id":"x1","title":null,"description":"","systemTags":[],"additionalData":{},"extra":{"a":1}}');
SELECT id, title, description, severity, system_tags, additional_data, raw FROM made LIMIT 1;
-- strings that text cannot hold become U+FFFD, in text and jsonb alike
CALL pg_temp.serve('{"id":"x2","title":"n\u0000l","description":"high \ud83d low \ude00 pair \ud83d\ude00","systemTags":["\u0000","a\tb",null,"{}"],"additionalData":{"\u0000":"\udfff"}}');
SELECT id, title, description, system_tags, additional_data FROM made LIMIT 1;
SELECT title = U&'n\FFFDl' AS nul, length(description) FROM made LIMIT 1;
-- escapes
CALL pg_temp.serve('{"id":"x3","title":"q\" b\\ s\/ n\n t\t u\u00e9 \u65e5","\u0064escription":"escaped key"}');
SELECT id, title, description FROM made LIMIT 1;
-- values of another type than the metadata has
CALL pg_temp.serve('{"id":"x4","title":17,"description":{"a":[1, null]},"severity":["high"],"systemTags":"one","additionalData":[1.50, true]}');
SELECT id, title, description, severity, additional_data FROM made LIMIT 1;
SELECT system_tags FROM made LIMIT 1;                                  -- ERROR
CALL pg_temp.serve('{"id":"x4","systemTags":{}}');
SELECT system_tags FROM made LIMIT 1;                                  -- ERROR
CALL pg_temp.serve('{"id":"x4","systemTags":true}');
SELECT system_tags FROM made LIMIT 1;                                  -- ERROR
CALL pg_temp.serve('{"id":"x4","systemTags":false}');
SELECT system_tags FROM made LIMIT 1;                                  -- ERROR
CALL pg_temp.serve('{"id":"x4","systemTags":-1}');
SELECT system_tags FROM made LIMIT 1;                                  -- ERROR
-- an array of many elements, some of them null
SELECT format('{"id":"x4","systemTags":[%s]}', string_agg(CASE WHEN n % 7 = 0 THEN 'null' ELSE format('"t%s"', n) END, ',' ORDER BY n)) AS many
FROM generate_series(1, 100) AS n \gset
CALL pg_temp.serve(:'many');
SELECT array_length(system_tags, 1), array_agg(n ORDER BY n) FILTER (WHERE n % 7 = 0) AS nulls,
       bool_and(CASE WHEN n % 7 = 0 THEN tag IS NULL ELSE tag = 't' || n END) AS same
FROM (SELECT system_tags FROM made LIMIT 1) AS m, unnest(system_tags) WITH ORDINALITY AS t(tag, n) GROUP BY system_tags;
-- times
CALL pg_temp.serve('{"id":"x5","createdDateTime":"9999-12-31T23:59:59.9999999Z","resolvedDateTime":"0001-01-01T00:00:00Z"}');
SELECT id, created_date_time, resolved_date_time FROM made LIMIT 1;
CALL pg_temp.serve('{"id":"x6","resolvedDateTime":"2026-02-29T00:00:00Z"}');
SELECT resolved_date_time FROM made LIMIT 1;                           -- ERROR
CALL pg_temp.serve('{"id":"x6","resolvedDateTime":0}');
SELECT resolved_date_time FROM made LIMIT 1;                           -- ERROR
-- numbers keep their digits
CALL pg_temp.serve('{"id":"x7","additionalData":{"most":9223372036854775807,"over":9223372036854775808,"exact":0.1000000000000000055511151231257827,"zeros":2.50,"minus":-0,"exponent":1E+2},"customDetails":{"b": 1.0, "a": 1e5, "a":2}}');
SELECT id, additional_data, custom_details FROM made LIMIT 1;
-- evidence in odd shapes
CALL pg_temp.serve('{"id":"x8","severity":"low","evidence":[{"@odata.type":"#microsoft.graph.security.quantumEvidence","hostName":"q","spin":[1]},{"ipAddress":"192.0.2.1","@odata.type":"microsoft.graph.security.ipEvidence"},{"ipAddress":{"ipAddress":"192.0.2.2"}},{}]}');
SELECT * FROM made_evidence LIMIT 4;
CALL pg_temp.serve('{"id":"x9","evidence":[null, {"hostName":"after null"}]}');
SELECT ordinal, host_name, raw FROM made_evidence LIMIT 2;
CALL pg_temp.serve('{"id":"x10","evidence":{"hostName":"not in an array"}}');
SELECT ordinal, host_name, raw FROM made_evidence LIMIT 1;             -- ERROR
SET client_min_messages = warning;
DROP SERVER made_up CASCADE;

DROP FOREIGN TABLE typed, typed_device, typed_process, misfit, misfit_evidence;
DROP DOMAIN known_level, short;
DROP TYPE level;
