--
-- What may be said where, by whom, and what is said about mistakes.
--
SET client_min_messages = warning;
CREATE ROLE regress_graph_owner;
CREATE ROLE regress_graph_user;
GRANT USAGE ON FOREIGN DATA WRAPPER graph_fdw TO regress_graph_owner;
RESET client_min_messages;

-- ===================================================================
-- The wrapper itself has no options
-- ===================================================================
ALTER FOREIGN DATA WRAPPER graph_fdw OPTIONS (cloud 'global');         -- ERROR

-- ===================================================================
-- Servers
-- ===================================================================
CREATE SERVER s FOREIGN DATA WRAPPER graph_fdw;
DROP SERVER s;
-- everything at once
CREATE SERVER s FOREIGN DATA WRAPPER graph_fdw OPTIONS (
  cloud 'usgov', endpoint 'https://gateway.example/graph/', authority 'https://login.example',
  api_version 'beta', tenant_id '11111111-2222-3333-4444-555555555555',
  ca_file '/etc/ssl/certs/ca-certificates.crt', proxy 'http://proxy.example:3128',
  connect_timeout '2s', request_timeout '5min', max_retries '0', page_size '100', concurrency '32',
  requests_per_minute '150',
  select_pushdown 'off', order_pushdown 'no', count_pushdown '0', join_pushdown 'off', evidence_filter 'yes',
  max_record_size '1MB', on_partial 'warning');
SELECT unnest(srvoptions) AS option FROM pg_foreign_server WHERE srvname = 's';
ALTER SERVER s OPTIONS (SET cloud 'china', DROP proxy, DROP ca_file);
ALTER SERVER s OPTIONS (SET cloud 'usgovdod');
ALTER SERVER s OPTIONS (SET cloud 'mars');                             -- ERROR
ALTER SERVER s OPTIONS (ADD cluod 'global');                           -- ERROR
ALTER SERVER s OPTIONS (ADD cloud 'global');                           -- ERROR
ALTER SERVER s OPTIONS (SET api_version 'v2.0');                       -- ERROR
ALTER SERVER s OPTIONS (SET on_partial 'ignore');                      -- ERROR
-- table, mapping and column options do not belong here
ALTER SERVER s OPTIONS (ADD resource 'alerts');                        -- ERROR
ALTER SERVER s OPTIONS (ADD client_id 'x');                            -- ERROR
ALTER SERVER s OPTIONS (ADD property 'id');                            -- ERROR
-- nor does a secret, which is not repeated
ALTER SERVER s OPTIONS (ADD client_secret 'hunter2hunter2');           -- ERROR
ALTER SERVER s OPTIONS (ADD access_token 'hunter2hunter2');            -- ERROR

-- numbers, with their units and ranges
ALTER SERVER s OPTIONS (SET page_size '1000');
ALTER SERVER s OPTIONS (SET page_size '0');                            -- ERROR
ALTER SERVER s OPTIONS (SET page_size '1001');                         -- ERROR
ALTER SERVER s OPTIONS (SET page_size '');                             -- ERROR
ALTER SERVER s OPTIONS (SET page_size 'many');                         -- ERROR
ALTER SERVER s OPTIONS (SET page_size '99999999999');                  -- ERROR
ALTER SERVER s OPTIONS (SET page_size '10s');                          -- ERROR
ALTER SERVER s OPTIONS (SET concurrency '33');                         -- ERROR
ALTER SERVER s OPTIONS (SET max_retries '-1');                         -- ERROR
ALTER SERVER s OPTIONS (SET connect_timeout '1500ms');
ALTER SERVER s OPTIONS (SET connect_timeout '1500');
ALTER SERVER s OPTIONS (SET connect_timeout '0');                      -- ERROR
ALTER SERVER s OPTIONS (SET connect_timeout '2d');                     -- ERROR
ALTER SERVER s OPTIONS (SET connect_timeout '5 parsecs');              -- ERROR
ALTER SERVER s OPTIONS (SET max_record_size '8kB');
ALTER SERVER s OPTIONS (SET max_record_size '1GB');                    -- ERROR
ALTER SERVER s OPTIONS (SET max_record_size '1');                      -- ERROR
ALTER SERVER s OPTIONS (SET select_pushdown 'maybe');                  -- ERROR

-- a token goes to https, or to loopback
ALTER SERVER s OPTIONS (SET endpoint 'https://graph.microsoft.com');
ALTER SERVER s OPTIONS (SET endpoint 'https://[2001:db8::1]:8443/a/b');
ALTER SERVER s OPTIONS (SET endpoint 'http://127.0.0.1:8080');
ALTER SERVER s OPTIONS (SET endpoint 'http://localhost:8080/at/x');
ALTER SERVER s OPTIONS (SET endpoint 'http://[::1]:8080');
ALTER SERVER s OPTIONS (SET endpoint 'http://graph.microsoft.com');    -- ERROR
ALTER SERVER s OPTIONS (SET endpoint 'http://127.0.0.1.example.com');  -- ERROR
ALTER SERVER s OPTIONS (SET endpoint 'http://localhost@example.com');  -- ERROR
ALTER SERVER s OPTIONS (SET endpoint 'https://user@example.com');      -- ERROR
ALTER SERVER s OPTIONS (SET endpoint 'https://example.com/?x=1');      -- ERROR
ALTER SERVER s OPTIONS (SET endpoint 'https://example.com/#x');        -- ERROR
ALTER SERVER s OPTIONS (SET endpoint 'ftp://example.com');             -- ERROR
ALTER SERVER s OPTIONS (SET endpoint 'file:///etc/passwd');            -- ERROR
ALTER SERVER s OPTIONS (SET endpoint 'graph.microsoft.com');           -- ERROR
ALTER SERVER s OPTIONS (SET endpoint 'https://');                      -- ERROR
ALTER SERVER s OPTIONS (SET endpoint E'https://example.com/\r\nX: y'); -- ERROR
ALTER SERVER s OPTIONS (SET authority 'http://login.example');         -- ERROR
ALTER SERVER s OPTIONS (ADD proxy 'socks5h://127.0.0.1:1080');
ALTER SERVER s OPTIONS (SET proxy 'http://user@proxy.example');           -- ERROR
ALTER SERVER s OPTIONS (SET proxy 'gopher://proxy.example');           -- ERROR
ALTER SERVER s OPTIONS (SET proxy '');                                 -- ERROR
-- a tenant becomes a part of a path
ALTER SERVER s OPTIONS (SET tenant_id 'contoso.onmicrosoft.com');
ALTER SERVER s OPTIONS (SET tenant_id '../common');                    -- ERROR
ALTER SERVER s OPTIONS (SET tenant_id '..');                           -- ERROR
ALTER SERVER s OPTIONS (SET tenant_id 'a b');                          -- ERROR
ALTER SERVER s OPTIONS (SET tenant_id '');                             -- ERROR

-- ===================================================================
-- User mappings
-- ===================================================================
-- as pg_dump writes it for somebody who may not see the options
CREATE USER MAPPING FOR regress_graph_user SERVER s;
DROP USER MAPPING FOR regress_graph_user SERVER s;
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (tenant_id 'contoso.test');                                  -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (client_secret 'hunter2hunter2');                            -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (client_id 'x', client_secret '');                           -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (client_id 'x', client_secret 'hunter2hunter2', access_token 'hunter3hunter3'); -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (client_id 'x', client_secret 'hunter2hunter2', access_token 'hunter3hunter3'); -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (client_id 'x', client_secret 'hunter2hunter2', managed_identity 'true'); -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (client_id 'x', certificate_file '/x/cert.pem');             -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (client_id 'x', private_key_file '/x/key.pem');              -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (client_id 'x', private_key_password 'hunter2hunter2');      -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (client_id 'x', federated_token_file '/x/token', client_secret 'hunter2hunter2'); -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (managed_identity 'perhaps');                                -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (access_token E'hunter2\r\nX-Injected: yes');                -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (access_token 'hunter2 hunter2');                            -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (access_token 'hunter2', user 'x');                          -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (access_token 'hunter2', endpoint 'https://example.com');    -- ERROR
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (client_id 'x', client_secret 'hunter2', tenant_id '../common'); -- ERROR
-- one of each login
CREATE USER MAPPING FOR regress_graph_user SERVER s OPTIONS (access_token 'hunter2');
DROP USER MAPPING FOR regress_graph_user SERVER s;
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (client_id 'x', certificate_file '/x/cert.pem', private_key_file '/x/key.pem', private_key_password 'hunter2');
DROP USER MAPPING FOR regress_graph_user SERVER s;
CREATE USER MAPPING FOR regress_graph_user SERVER s OPTIONS (client_id 'x', federated_token_file '/x/token');
DROP USER MAPPING FOR regress_graph_user SERVER s;
CREATE USER MAPPING FOR regress_graph_user SERVER s OPTIONS (managed_identity 'true');
DROP USER MAPPING FOR regress_graph_user SERVER s;
CREATE USER MAPPING FOR regress_graph_user SERVER s OPTIONS (client_id 'x', refresh_token 'hunter2');
-- and with what the application proves itself by, but no more than one thing
ALTER USER MAPPING FOR regress_graph_user SERVER s OPTIONS (ADD client_secret 'hunter3');
ALTER USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (ADD federated_token_file '/x/token');                       -- ERROR
ALTER USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (DROP client_secret, ADD certificate_file '/x/cert.pem');    -- ERROR
ALTER USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (DROP client_secret, ADD certificate_file '/x/cert.pem', ADD private_key_file '/x/key.pem');
ALTER USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (DROP certificate_file, DROP private_key_file, ADD managed_identity 'true'); -- ERROR
DROP USER MAPPING FOR regress_graph_user SERVER s;
CREATE USER MAPPING FOR regress_graph_user SERVER s OPTIONS (client_id 'x');
DROP USER MAPPING FOR regress_graph_user SERVER s;
CREATE USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (tenant_id 'contoso.test', client_id 'x', client_secret 'hunter2hunter2');
-- ALTER looks at what remains
ALTER USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (DROP client_id);                                            -- ERROR
ALTER USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (DROP client_secret, DROP client_id);                        -- ERROR
ALTER USER MAPPING FOR regress_graph_user SERVER s
  OPTIONS (DROP client_secret, DROP client_id, DROP tenant_id, ADD access_token 'hunter3');
DROP USER MAPPING FOR regress_graph_user SERVER s;

-- ===================================================================
-- Tables and columns
-- ===================================================================
CREATE FOREIGN TABLE t (id text) SERVER s;
ALTER FOREIGN TABLE t OPTIONS (ADD resource 'alerts', page_size '10', select_pushdown 'false',
                               order_pushdown 'false', count_pushdown 'false');
ALTER FOREIGN TABLE t OPTIONS (SET resource 'tickets');              -- ERROR
ALTER FOREIGN TABLE t OPTIONS (SET page_size '1001');                  -- ERROR
ALTER FOREIGN TABLE t OPTIONS (ADD evidence_type 'deviceEvidence');    -- ERROR
ALTER FOREIGN TABLE t OPTIONS (ADD cloud 'global');                    -- ERROR
ALTER FOREIGN TABLE t OPTIONS (ADD client_secret 'hunter2hunter2');    -- ERROR
ALTER FOREIGN TABLE t OPTIONS (SET resource 'evidence', ADD evidence_type 'deviceEvidence');
-- the service adds types of evidence, so an unknown one is no error
ALTER FOREIGN TABLE t OPTIONS (SET evidence_type 'quantumEvidence');
ALTER FOREIGN TABLE t OPTIONS (SET evidence_type 'device_evidence');
ALTER FOREIGN TABLE t OPTIONS (SET evidence_type '');                  -- ERROR
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (ADD property 'vmMetadata/vmId');
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property '../id');
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property 'a/b|c');
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property '.');
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property '');       -- ERROR
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property 'a//b');   -- ERROR
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property '/a');     -- ERROR
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property 'a|');     -- ERROR
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property '../../a'); -- ERROR
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property 'a/.');    -- ERROR
DO $$
BEGIN
  EXECUTE format('ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property %L)', repeat('a/', 127) || 'a');
  EXECUTE format('ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property %L)', repeat('a/', 128) || 'a'); -- ERROR
EXCEPTION WHEN fdw_invalid_attribute_value THEN
  RAISE NOTICE 'length %: %', length(SQLERRM), regexp_replace(SQLERRM, '(a/)+', 'a/.../');
END $$;
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (SET property 'a/../b'); -- ERROR
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (ADD resource 'alerts'); -- ERROR
ALTER FOREIGN TABLE t ALTER COLUMN id OPTIONS (ADD access_token 'hunter2'); -- ERROR
DROP FOREIGN TABLE t;

-- ===================================================================
-- An ordinary role: no option that says where secrets go, or reads a file
-- ===================================================================
SET ROLE regress_graph_owner;
CREATE SERVER own FOREIGN DATA WRAPPER graph_fdw
  OPTIONS (cloud 'usgov', page_size '10', tenant_id 'contoso.test');
CREATE USER MAPPING FOR CURRENT_USER SERVER own
  OPTIONS (client_id 'x', certificate_file '/x/cert.pem', private_key_file '/x/key.pem'); -- ERROR
CREATE USER MAPPING FOR CURRENT_USER SERVER own
  OPTIONS (client_id 'x', federated_token_file '/x/token');            -- ERROR
CREATE USER MAPPING FOR CURRENT_USER SERVER own
  OPTIONS (managed_identity 'true');                                   -- ERROR
CREATE USER MAPPING FOR CURRENT_USER SERVER own OPTIONS (access_token 'hunter2');
ALTER SERVER own OPTIONS (ADD endpoint 'https://evil.example');        -- ERROR
ALTER SERVER own OPTIONS (ADD authority 'https://evil.example');       -- ERROR
ALTER SERVER own OPTIONS (ADD ca_file '/etc/passwd');                  -- ERROR
ALTER SERVER own OPTIONS (ADD proxy 'http://evil.example');            -- ERROR
CREATE SERVER own2 FOREIGN DATA WRAPPER graph_fdw
  OPTIONS (endpoint 'https://evil.example');                           -- ERROR
ALTER SERVER own OPTIONS (SET cloud 'global', SET page_size '20');
-- a server's owner may not keep what a superuser has set and change the rest
RESET ROLE;
ALTER SERVER own OPTIONS (ADD endpoint 'http://127.0.0.1:1');
SET ROLE regress_graph_owner;
ALTER SERVER own OPTIONS (SET page_size '30');                         -- ERROR
ALTER SERVER own OPTIONS (DROP endpoint);
SET ROLE regress_graph_user;
CREATE SERVER mine FOREIGN DATA WRAPPER graph_fdw;                     -- ERROR
SELECT umoptions FROM pg_user_mappings WHERE srvname = 'own';
RESET ROLE;

-- ===================================================================
-- What the catalog says otherwise than by DDL, or said to another version
-- ===================================================================
ALTER SERVER s OPTIONS (SET cloud 'global', SET endpoint 'http://127.0.0.1:1', SET authority 'http://127.0.0.1:1');
CREATE FOREIGN TABLE t (id text) SERVER s;
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (access_token 'hunter2');
BEGIN;
UPDATE pg_foreign_server SET srvoptions = '{page_size=5000}' WHERE srvname = 's';
SELECT * FROM t;                                                       -- ERROR
ROLLBACK;
BEGIN;
UPDATE pg_foreign_table SET ftoptions = '{tidiness=high}' WHERE ftrelid = 't'::regclass;
SELECT * FROM t;                                                       -- ERROR
ROLLBACK;
BEGIN;
UPDATE pg_attribute SET attfdwoptions = '{property=a//b}' WHERE attrelid = 't'::regclass AND attname = 'id';
SELECT * FROM t;                                                       -- ERROR
ROLLBACK;
BEGIN;
UPDATE pg_user_mapping SET umoptions = '{"access_token=hunter2 hunter2"}' FROM pg_foreign_server AS s WHERE s.oid = umserver AND srvname = 's';
SELECT * FROM t;                                                       -- ERROR
ROLLBACK;

DROP USER MAPPING FOR CURRENT_USER SERVER s;
DROP FOREIGN TABLE t;
DROP SERVER own CASCADE;
DROP SERVER s CASCADE;
REVOKE USAGE ON FOREIGN DATA WRAPPER graph_fdw FROM regress_graph_owner;
DROP ROLE regress_graph_owner, regress_graph_user;
