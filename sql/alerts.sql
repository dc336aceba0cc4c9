--
-- Alerts: the sample of Microsoft's documentation, and lists.
--
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- ===================================================================
-- One alert, every column
-- ===================================================================
\x on
\pset null '(null)'
SELECT id, provider_alert_id, incident_id, status, severity, classification, determination, service_source,
       detection_source, product_name, detector_id, tenant_id, title, category, categories, assigned_to,
       alert_web_url, incident_web_url, actor_display_name, threat_display_name, threat_family_name,
       mitre_techniques, created_date_time, last_update_date_time, resolved_date_time, first_activity_date_time,
       last_activity_date_time, comments, custom_details, additional_data, system_tags, alert_policy_id,
       investigation_state
FROM defender.alerts WHERE id = 'da637578995287051192_756343937';
\x off
-- prose, with its line ends, tabs and U+FFFD as they came
SELECT length(description) AS description, length(recommended_actions) AS length,
       length(recommended_actions) - length(replace(recommended_actions, U&'\FFFD', '')) AS replacements,
       length(recommended_actions) - length(replace(recommended_actions, E'\t', '')) AS tabs,
       length(recommended_actions) - length(replace(recommended_actions, E'\n', '')) AS lines
FROM defender.alerts WHERE id = 'da637578995287051192_756343937';
SELECT jsonb_array_length(evidence) AS evidence, evidence->0->>'@odata.type' AS first_type,
       jsonb_typeof(raw) AS raw, raw->>'id' = id AS same_id, raw->'evidence' = evidence AS same_evidence
FROM defender.alerts WHERE id = 'da637578995287051192_756343937';
-- raw has what no column has
SELECT key FROM defender.alerts, jsonb_object_keys(raw) AS key
WHERE id = 'da637578995287051192_756343937'
  AND key NOT IN (SELECT (regexp_replace(initcap(replace(attname, '_', ' ')), ' ', '', 'g')) FROM pg_attribute
                  WHERE attrelid = 'defender.alerts'::regclass)
  AND lower(key) NOT IN (SELECT replace(attname, '_', '') FROM pg_attribute
                         WHERE attrelid = 'defender.alerts'::regclass)
ORDER BY 1;

-- ===================================================================
-- Lists
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF)
SELECT severity FROM alert;
SELECT severity, count(*) FROM alert GROUP BY severity ORDER BY count(*) DESC, severity;
SELECT * FROM cost_of('SELECT severity, count(*) FROM alert GROUP BY severity');
SELECT status, classification, count(*) FROM alert GROUP BY 1, 2 ORDER BY 1, 2;
SELECT service_source, count(*) FROM alert GROUP BY service_source ORDER BY service_source COLLATE "C";
-- today's high alerts
SELECT created_date_time, service_source, title FROM defender.alerts
WHERE severity = 'high' AND created_date_time >= '2026-11-01'
ORDER BY created_date_time DESC, title, id;
-- what the service documents: its own order is newest first; nothing relies on it
SELECT count(*) FROM (
  SELECT created_date_time > lag(created_date_time) OVER () AS later FROM alert) AS a WHERE later;
-- no column at all
EXPLAIN (VERBOSE, COSTS OFF) SELECT FROM alert WHERE severity = 'unknown';
SELECT count(*) FROM (SELECT FROM alert WHERE severity = 'unknown') AS a;
-- everything, twice
SELECT count(*), count(DISTINCT id), count(raw), sum(jsonb_array_length(evidence)) AS evidence,
       sum(cardinality(mitre_techniques)) AS techniques
FROM defender.alerts;
SELECT md5(string_agg(raw::text, '' ORDER BY id)) = (
  SELECT md5(string_agg(raw::text, '' ORDER BY id)) FROM defender.alerts) AS same
FROM defender.alerts;

-- ===================================================================
-- Page sizes; page by page, since a long list may be read in several parts
-- ===================================================================
ALTER SERVER graph OPTIONS (ADD concurrency '1');
CREATE FOREIGN TABLE small_pages (id text, severity text) SERVER graph OPTIONS (page_size '150');
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM small_pages WHERE severity = 'high';
SELECT count(DISTINCT id || ''), count(*) FROM small_pages;
SELECT * FROM cost_of('SELECT id FROM small_pages');
ALTER FOREIGN TABLE small_pages OPTIONS (DROP page_size);
ALTER SERVER graph OPTIONS (ADD page_size '500');
SELECT * FROM cost_of('SELECT id FROM small_pages');
-- the table's own goes first
ALTER FOREIGN TABLE small_pages OPTIONS (ADD page_size '700');
SELECT * FROM cost_of('SELECT id FROM small_pages');
ALTER SERVER graph OPTIONS (DROP page_size, DROP concurrency);
DROP FOREIGN TABLE small_pages;

-- ===================================================================
-- The beta endpoint
-- ===================================================================
ALTER SERVER graph OPTIONS (ADD api_version 'beta');
SELECT id, title FROM alert WHERE id = 'da637578995287051192_756343937';
ALTER SERVER graph OPTIONS (DROP api_version);
