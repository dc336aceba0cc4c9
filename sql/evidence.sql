--
-- Evidence and comments: the elements of an alert as rows.
--
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '(null)'

-- ===================================================================
-- All evidence of an alert, whatever its type
-- ===================================================================
SELECT ordinal, evidence_type, verdict, remediation_status, created_date_time, roles
FROM defender.alert_evidence WHERE alert_id = 'da637578995287051192_756343937' ORDER BY ordinal;
\x on
SELECT ordinal, device_dns_name, host_name, mde_device_id, azure_ad_device_id, ip_address, url, file_name, file_path,
       sha1, sha256, process_id, process_command_line, registry_key, account_name, domain_name, user_principal_name,
       user_sid, azure_ad_user_id, primary_address, sender_ip, recipient_email_address
FROM defender.alert_evidence WHERE alert_id = 'da637578995287051192_756343937' ORDER BY ordinal;
SELECT alert_title, alert_severity, alert_status, alert_created_date_time, alert_last_update_date_time,
       alert_service_source, incident_id, raw->>'@odata.type' AS type
FROM defender.alert_evidence WHERE alert_id = 'da637578995287051192_756343937' AND ordinal = 1;
\x off

-- ===================================================================
-- A table for each type, nested values flattened one level
-- ===================================================================
SELECT alert_id, ordinal, device_dns_name, os_build, os_platform, version, rbac_group_id, defender_av_status,
       health_status, onboarding_status, risk_score, first_seen_date_time
FROM defender.device_evidence WHERE alert_id = 'da637578995287051192_756343937';
SELECT vm_metadata, vm_metadata_vm_id, vm_metadata_cloud_provider, vm_metadata_resource_id, logged_on_users
FROM defender.device_evidence WHERE alert_id = 'da637578995287051192_756343937';
SELECT ordinal, file_details_file_name, file_details_sha256, file_details_file_size, detection_status, mde_device_id
FROM defender.file_evidence WHERE alert_id = 'da637578995287051192_756343937';
SELECT ordinal, process_id, parent_process_id, image_file_file_name, user_account_account_name,
       process_creation_date_time
FROM defender.process_evidence WHERE alert_id = 'da637578995287051192_756343937';
SELECT ordinal, registry_hive, registry_key
FROM defender.registry_key_evidence WHERE alert_id = 'da637578995287051192_756343937';
SELECT count(*) FROM defender.ip_evidence WHERE alert_id = 'da637578995287051192_756343937';

-- ===================================================================
-- The tables agree with each other and with the alerts
-- ===================================================================
CREATE TEMP TABLE elements AS
  SELECT id, ordinality AS ordinal, element
  FROM defender.alerts, jsonb_array_elements(evidence) WITH ORDINALITY AS e(element);
CREATE TEMP TABLE evidence AS SELECT alert_id, ordinal, evidence_type, verdict, roles, raw FROM defender.alert_evidence;
SELECT count(*), count(DISTINCT evidence_type) AS types FROM evidence;
SELECT count(*) FROM (
  (SELECT id, ordinal::int, substring(element->>'@odata.type' FROM '[^.]*$'), element->>'verdict', element FROM elements
   EXCEPT ALL SELECT alert_id, ordinal, evidence_type, verdict, raw FROM evidence)
  UNION ALL
  (SELECT alert_id, ordinal, evidence_type, verdict, raw FROM evidence
   EXCEPT ALL SELECT id, ordinal::int, substring(element->>'@odata.type' FROM '[^.]*$'), element->>'verdict', element FROM elements)
) AS d;
SELECT count(*) FROM evidence WHERE to_jsonb(roles) <> raw->'roles';
-- each type's table has the rows of that type, and only those
CREATE FUNCTION pg_temp.differences() RETURNS TABLE (table_name name, differences bigint) LANGUAGE plpgsql AS $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT relname, (SELECT option_value FROM pg_options_to_table(ftoptions) WHERE option_name = 'evidence_type') AS type
    FROM pg_foreign_table JOIN pg_class c ON c.oid = ftrelid
    WHERE relnamespace = 'defender'::regnamespace AND relname IN
      ('device_evidence', 'file_evidence', 'user_evidence', 'io_t_device_evidence', 'kubernetes_pod_evidence',
       'git_hub_repo_evidence', 'mailbox_evidence', 'analyzed_message_evidence')
    ORDER BY relname
  LOOP
    RETURN QUERY EXECUTE format('WITH t AS MATERIALIZED (SELECT alert_id, ordinal, raw FROM defender.%1$I)
      SELECT %1$L::name, count(*) FROM (
        (TABLE t EXCEPT ALL SELECT alert_id, ordinal, raw FROM evidence WHERE evidence_type = %2$L) UNION ALL
        (SELECT alert_id, ordinal, raw FROM evidence WHERE evidence_type = %2$L EXCEPT ALL TABLE t)) AS d',
      t.relname, t.type);
  END LOOP;
END $$;
SELECT * FROM pg_temp.differences();

-- ===================================================================
-- A type that is not known here: the rows of that name, none of them here
-- ===================================================================
SET client_min_messages = warning;
CREATE FOREIGN TABLE quantum (alert_id text, ordinal int, qubits jsonb OPTIONS (property 'qubits'), raw jsonb OPTIONS (property '.'))
  SERVER graph OPTIONS (resource 'evidence', evidence_type 'quantumEvidence');
RESET client_min_messages;
SELECT * FROM quantum;
DROP FOREIGN TABLE quantum;

-- ===================================================================
-- Comments
-- ===================================================================
EXPLAIN (VERBOSE, COSTS OFF)
SELECT alert_id, ordinal, comment FROM defender.alert_comments WHERE alert_severity = 'unknown';
SELECT alert_id, ordinal, comment, created_by_display_name, created_date_time
FROM defender.alert_comments WHERE alert_severity = 'unknown' ORDER BY alert_id, ordinal LIMIT 8;
SELECT count(*), count(DISTINCT alert_id), (SELECT sum(jsonb_array_length(comments)) FROM defender.alerts) AS in_alerts
FROM defender.alert_comments;

-- ===================================================================
-- Joins to tables of one's own
-- ===================================================================
CREATE TEMP TABLE assets (host text PRIMARY KEY, owner text);
INSERT INTO assets VALUES ('ws-0007.contoso.test', 'Finance'), ('ws-0008.contoso.test', 'Sales'), ('srv-0001.contoso.test', 'IT');
ANALYZE assets;
EXPLAIN (VERBOSE, COSTS OFF)
SELECT a.owner, d.alert_id FROM assets AS a JOIN device AS d ON d.device_dns_name = a.host
WHERE d.alert_severity = 'high';
SELECT a.owner, count(*), count(DISTINCT alert_id) AS alerts
FROM assets AS a JOIN device AS d ON d.device_dns_name = a.host
WHERE d.alert_severity = 'high' GROUP BY a.owner ORDER BY a.owner;
SELECT a.owner, count(*), count(DISTINCT alert_id) AS alerts
FROM assets AS a JOIN device_copy AS d ON d.device_dns_name = a.host
WHERE d.alert_severity = 'high' GROUP BY a.owner ORDER BY a.owner;
-- alerts without, and with, evidence of a type
SELECT count(*) FROM alert AS a LEFT JOIN device AS d ON d.alert_id = a.id WHERE a.severity = 'high' AND d.alert_id IS NULL;
SELECT count(*) FROM alert_copy AS a LEFT JOIN device_copy AS d ON d.alert_id = a.id WHERE a.severity = 'high' AND d.alert_id IS NULL;
SELECT count(*), count(DISTINCT a.id) FROM alert AS a JOIN device AS d ON d.alert_id = a.id WHERE a.status = 'new';
SELECT count(*), count(DISTINCT a.id) FROM alert_copy AS a JOIN device_copy AS d ON d.alert_id = a.id WHERE a.status = 'new';

-- ===================================================================
-- Columns of one's own tables, found by their names alone
-- ===================================================================
-- a property in any spelling, one of its value, one of the alert
CREATE FOREIGN TABLE own_device (
  alert_id text, "Ordinal" int, evidence_type text, "osBuild" bigint, dns_domain text, vm_metadata_vm_id text,
  "vmMetadataCloudProvider" text, alert_severity text, "incidentId" text, raw jsonb
) SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
SELECT count(*), count(vm_metadata_vm_id) AS vm, count("vmMetadataCloudProvider") AS cloud,
       bool_and((vm_metadata_vm_id, "vmMetadataCloudProvider", dns_domain, "osBuild") IS NOT DISTINCT FROM
                (raw #>> '{vmMetadata,vmId}', raw #>> '{vmMetadata,cloudProvider}', raw->>'dnsDomain', (raw->>'osBuild')::bigint)) AS same
FROM own_device;
SELECT count(*) FROM own_device AS o JOIN defender.device_evidence AS d ON (o.alert_id, o."Ordinal") = (d.alert_id, d.ordinal)
WHERE (o.raw, o.evidence_type, o.alert_severity, o."incidentId") = (d.raw, 'deviceEvidence', d.alert_severity, d.incident_id);
-- what some type of evidence has; ipAddress is what it is in any of them
CREATE FOREIGN TABLE own_evidence (
  alert_id text, ordinal int, dns_domain text, "osBuild" bigint, "operatingSystem" text, session_id text, "ipAddress" text,
  alert_title text, raw jsonb
) SERVER graph OPTIONS (resource 'evidence');
SELECT count(*), count(dns_domain) AS domains, count("osBuild") AS builds, count("operatingSystem") AS systems, count(session_id) AS sessions,
       bool_and((dns_domain, "osBuild", "operatingSystem", session_id) IS NOT DISTINCT FROM
                (raw->>'dnsDomain', (raw->>'osBuild')::bigint, raw->>'operatingSystem', raw->>'sessionId')) AS same
FROM own_evidence;
SELECT count(*) FROM own_evidence AS o JOIN defender.alert_evidence AS e USING (alert_id, ordinal)
WHERE (o."ipAddress", o.alert_title, o.raw) IS NOT DISTINCT FROM (e.ip_address, e.alert_title, e.raw);
-- raw is the whole object of alerts and comments, too
CREATE FOREIGN TABLE own_alert (id text, raw json) SERVER graph;
SELECT count(*), bool_and(raw->>'id' = id) AS same FROM own_alert;
CREATE FOREIGN TABLE own_comment (alert_id text, ordinal int, raw jsonb) SERVER graph OPTIONS (resource 'comments');
SELECT count(*), bool_and(o.raw->>'comment' = c.comment) AS same FROM own_comment AS o JOIN defender.alert_comments AS c USING (alert_id, ordinal);
-- what nothing has
ALTER FOREIGN TABLE own_device ADD COLUMN vm_metadata_nothing text;
SELECT vm_metadata_nothing FROM own_device;                            -- ERROR
ALTER FOREIGN TABLE own_device ADD COLUMN risk_score_of_host text;
SELECT risk_score_of_host FROM own_device;                             -- ERROR
ALTER FOREIGN TABLE own_evidence ADD COLUMN no_such_property text;
SELECT no_such_property FROM own_evidence;                             -- ERROR
ALTER FOREIGN TABLE own_alert ADD COLUMN ordinal int;
SELECT ordinal FROM own_alert;                                         -- ERROR
ALTER FOREIGN TABLE own_comment ADD COLUMN evidence_type text;
SELECT evidence_type FROM own_comment;                                 -- ERROR
DROP FOREIGN TABLE own_device, own_evidence, own_alert, own_comment;
