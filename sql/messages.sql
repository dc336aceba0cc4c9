--
-- What is said when something goes wrong, as far as SQL alone can show it.
--
\getenv port GRAPH_EMULATOR_PORT
\set endpoint 'http://127.0.0.1:' :port
SET timezone = 'UTC';
\pset format unaligned
\pset tuples_only on

-- servers that fail as the JSON of the emulator's fault says
SELECT set_config('test.endpoint', :'endpoint', false) = '' AS is_empty;
CREATE SERVER failing FOREIGN DATA WRAPPER graph_fdw
  OPTIONS (endpoint :'endpoint', authority :'endpoint', max_retries '0', tenant_id 'contoso.test');
CREATE USER MAPPING FOR CURRENT_USER SERVER failing OPTIONS (access_token 'emulator-access-token');
CREATE FOREIGN TABLE broken (id text, title text) SERVER failing;
CREATE PROCEDURE pg_temp.fail(fault text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER SERVER failing OPTIONS (SET endpoint %L)', current_setting('test.endpoint') || '/fault/' ||
    translate(encode(convert_to(fault, 'UTF8'), 'base64'), E'+/=\n', '-_'));
END $$;
CREATE PROCEDURE pg_temp.log_in(options text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER SERVER failing OPTIONS (SET endpoint %L)', current_setting('test.endpoint'));
  DROP USER MAPPING FOR CURRENT_USER SERVER failing;
  EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER failing OPTIONS (%s)', options);
END $$;
\set list 'SELECT count(title) FROM broken'
\set one 'SELECT title FROM broken WHERE id = ''da637578995287051192_756343937'''
SELECT * FROM error_of(:'list');

-- ===================================================================
-- Answers of Graph
-- ===================================================================
CALL pg_temp.fail('{"kind":"status","code":400,"error":"BadRequest","message":"Could not find a property named \u0027x\u0027."}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"status","code":401,"error":"InvalidAuthenticationToken","message":"Access token has expired or is not yet valid."}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"status","code":403,"error":"Forbidden","message":"Missing application roles. API required roles: SecurityAlert.Read.All,SecurityAlert.ReadWrite.All, application roles: ."}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"status","code":404,"error":"ResourceNotFound","message":"Nothing here."}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"status","code":414}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"status","code":429,"error":"TooManyRequests","message":"Please retry again later."}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"status","code":429,"error":"TooManyRequests","message":"Please retry again later.","retry_after":86400}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"status","code":500,"error":"InternalServerError","message":"","body":true}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"status","code":503,"body":false}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"status","code":504,"error":"UnknownError","message":""}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"status","code":418}');
SELECT * FROM error_of(:'one');
CALL pg_temp.fail('{"kind":"html","code":502}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"html","code":200}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"redirect","url":"https://evil.example/"}');
SELECT * FROM error_of(:'list');
-- an unknown id is no error; an unknown path is
CALL pg_temp.fail('{"kind":"status","code":404,"error":"ResourceNotFound","message":"Nothing here."}');
SELECT * FROM error_of(:'one');
-- remote text on one line, and not without bound
CALL pg_temp.fail('{"kind":"status","code":400,"error":"Bad\u0007Request","message":"line\r\nLOG:  forged\ttab\u001b[31mred\u202eright to left"}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail(jsonb_build_object('kind', 'status', 'code', 400, 'message', repeat('long ', 500))::text);
SELECT length(e), right(e, 60) FROM error_of(:'list') AS e WHERE e LIKE 'DETAIL%';

-- ===================================================================
-- Short answers are errors, or warnings where that is wanted
-- ===================================================================
CALL pg_temp.fail('{"kind":"partial","text":"199 - \"Microsoft/WDATP/504/10000\""}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"value_missing"}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"value_null"}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"error_in_200"}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"truncated","after":5000}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"malformed","at":"start"}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"empty"}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"alert_without_id"}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"element","text":"17"}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"next_link","form":"other_host"}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"next_link","form":"number"}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"fault":{"kind":"next_link_loop"},"times":-1}');
SELECT * FROM error_of(:'list');
CALL pg_temp.fail('{"kind":"out_of_order"}');
CREATE FOREIGN TABLE broken_times (id text, created_date_time timestamptz) SERVER failing;
-- nothing was handed out yet: it is sorted here
SELECT * FROM error_of('SELECT created_date_time FROM broken_times ORDER BY created_date_time DESC');
CALL pg_temp.fail('{"match":{"nth":2},"fault":{"kind":"out_of_order"}}');
SELECT * FROM error_of('SELECT created_date_time FROM broken_times ORDER BY created_date_time DESC');
CALL pg_temp.fail('{"kind":"deep","levels":500}');
SELECT * FROM error_of(:'list');
ALTER SERVER failing OPTIONS (ADD max_record_size '1kB');
CALL pg_temp.fail('{"kind":"oversize","mb":1}');
SELECT * FROM error_of(:'list');
ALTER SERVER failing OPTIONS (DROP max_record_size);
-- as a warning: what there is
ALTER SERVER failing OPTIONS (ADD on_partial 'warning');
CALL pg_temp.fail('{"match":{"path":"createdDateTime lt"},"times":-1,"fault":{"kind":"partial","text":"199 - \"Microsoft/WDATP/504/10000\""}}');
SELECT count(*) FROM (SELECT id FROM broken OFFSET 0) AS t;
ALTER SERVER failing OPTIONS (DROP on_partial);

-- ===================================================================
-- No answer; how libcurl puts it is left out
-- ===================================================================
ALTER SERVER failing OPTIONS (SET endpoint 'http://127.0.0.1:1');
SELECT regexp_replace(e, '(PORT").*', '\1') FROM error_of(:'list') AS e;
CALL pg_temp.fail('{"kind":"close"}');
SELECT regexp_replace(e, '(PORT").*', '\1') FROM error_of(:'list') AS e;
CALL pg_temp.fail('{"kind":"cut","after":3000}');
SELECT regexp_replace(e, '(PORT").*', '\1') FROM error_of(:'list') AS e;
ALTER SERVER failing OPTIONS (ADD request_timeout '100ms');
CALL pg_temp.fail('{"kind":"latency","ms":5000}');
SELECT regexp_replace(e, '(PORT").*', '\1') FROM error_of(:'list') AS e;
ALTER SERVER failing OPTIONS (DROP request_timeout);

-- ===================================================================
-- Logins
-- ===================================================================
CALL pg_temp.log_in($$access_token 'wrong-token-wrong-token'$$);
SELECT * FROM error_of(:'list');
CALL pg_temp.log_in($$client_id 'cccccccc-dddd-eeee-ffff-000000000000', client_secret 'wrong-secret-wrong-secret'$$);
SELECT * FROM error_of(:'list');
CALL pg_temp.log_in($$client_id 'dddddddd-dddd-dddd-dddd-dddddddddddd', client_secret 'wrong-secret-wrong-secret'$$);
SELECT * FROM error_of(:'list');
CALL pg_temp.log_in($$tenant_id 'nowhere.test', client_id 'cccccccc-dddd-eeee-ffff-000000000000', client_secret 'emulator-secret-read-only'$$);
SELECT * FROM error_of(:'list');
-- an app without the permission
CALL pg_temp.log_in($$client_id 'bbbbbbbb-cccc-dddd-eeee-ffffffffffff', client_secret 'emulator-secret-no-roles'$$);
SELECT * FROM error_of(:'list');
-- no tenant anywhere
ALTER SERVER failing OPTIONS (DROP tenant_id);
CALL pg_temp.log_in($$client_id 'cccccccc-dddd-eeee-ffff-000000000000', client_secret 'emulator-secret-read-only'$$);
SELECT * FROM error_of(:'list');
ALTER SERVER failing OPTIONS (ADD tenant_id 'contoso.test');
SELECT * FROM error_of(:'list');

-- ===================================================================
-- Whose mapping?
-- ===================================================================
SET client_min_messages = warning;
CREATE ROLE regress_graph_reader;
GRANT SELECT ON broken TO regress_graph_reader;
CREATE VIEW broken_view AS SELECT id, title FROM broken;
CREATE VIEW invoker_view WITH (security_invoker) AS SELECT id, title FROM broken;
GRANT SELECT ON broken_view, invoker_view TO regress_graph_reader;
GRANT USAGE ON FOREIGN SERVER failing TO regress_graph_reader;
SET ROLE regress_graph_reader;
SELECT * FROM error_of('SELECT title FROM broken WHERE id = ''da637578995287051192_756343937'''); -- ERROR
-- a view uses its owner's
SELECT title FROM broken_view WHERE id = 'da637578995287051192_756343937';
SELECT * FROM error_of('SELECT title FROM invoker_view WHERE id = ''da637578995287051192_756343937'''); -- ERROR
-- EXPLAIN needs none
EXPLAIN (VERBOSE, COSTS OFF) SELECT title FROM broken WHERE id = 'x';
CREATE USER MAPPING FOR CURRENT_USER SERVER failing OPTIONS (access_token 'my-own-token-is-wrong');
SELECT * FROM error_of('SELECT title FROM broken WHERE id = ''da637578995287051192_756343937'''); -- ERROR
SELECT title FROM broken_view WHERE id = 'da637578995287051192_756343937';
ALTER USER MAPPING FOR CURRENT_USER SERVER failing OPTIONS (SET access_token 'emulator-access-token');
SELECT title FROM broken WHERE id = 'da637578995287051192_756343937';
DROP USER MAPPING FOR CURRENT_USER SERVER failing;
-- others' options are hidden
SELECT srvname, umoptions FROM pg_user_mappings WHERE srvname = 'failing';
RESET ROLE;
-- a mapping for all
CREATE USER MAPPING FOR PUBLIC SERVER failing OPTIONS (access_token 'emulator-access-token');
SET ROLE regress_graph_reader;
SELECT title FROM broken WHERE id = 'da637578995287051192_756343937';
RESET ROLE;
-- no permission on the table: nothing is asked
REVOKE SELECT ON broken FROM regress_graph_reader;
SET ROLE regress_graph_reader;
SELECT title FROM broken WHERE id = 'x';                               -- ERROR
RESET ROLE;

-- ===================================================================
-- Tables that cannot work
-- ===================================================================
CREATE FOREIGN TABLE no_column () SERVER failing;
SELECT count(*) FROM (SELECT FROM no_column OFFSET 0) AS t;
CREATE FOREIGN TABLE wrong_ordinal (id text, ordinal int) SERVER failing;
SELECT ordinal FROM wrong_ordinal;                                     -- ERROR
CREATE FOREIGN TABLE wrong_parent (id text OPTIONS (property '../id')) SERVER failing;
SELECT id FROM wrong_parent;                                           -- ERROR
CREATE FOREIGN TABLE wrong_evidence (alert_id text, file_name text)
  SERVER failing OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
SELECT file_name FROM wrong_evidence;                                  -- ERROR

DROP SERVER failing CASCADE;
DROP ROLE regress_graph_reader;
