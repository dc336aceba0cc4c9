--
-- Copies: what SQL shows of them.  t/100_copies.pl and t/101_copies_rounds.pl
-- have the rest.
--
SET client_min_messages = warning;
SET timezone = 'UTC';
\set SHOW_CONTEXT never

-- ===================================================================
-- Made
-- ===================================================================
SELECT graph_fdw_create_copy('defender', 'copies', since => NULL,
  tables => '{alerts,alert_evidence,device_evidence,alert_comments}');
\d copies.alert_comments
SELECT indexdef FROM pg_indexes WHERE schemaname = 'copies' ORDER BY 1;
SELECT resource, jsonb_pretty(tables) FROM graph_fdw_copy;
-- nothing is known of it yet
SELECT state, loaded_from, up_to, rows, requests, last_error FROM graph_fdw_copies;
SELECT graph_fdw_create_copy('defender', 'copies', tables => '{alerts}');       -- ERROR
SELECT graph_fdw_create_copy('defender', 'defender');                           -- ERROR
SELECT graph_fdw_create_copy('nowhere', 'copies');                              -- ERROR
SELECT graph_fdw_create_copy('defender', 'wrong', tables => '{assets}');        -- ERROR
SELECT graph_fdw_create_copy('defender', 'wrong', tables => '{alert_evidence}'); -- ERROR
SELECT graph_fdw_create_copy('defender', 'wrong', removed => 'forget');         -- ERROR
SELECT graph_fdw_create_copy('defender', 'wrong', overlap => '-1 s');           -- ERROR
SELECT graph_fdw_create_copy('defender', 'wrong', overlap => NULL);             -- ERROR
SELECT graph_fdw_create_copy('defender', 'wrong', since => '10000 years');      -- ERROR
CREATE SCHEMA narrow;
CREATE FOREIGN TABLE narrow.alerts (id text, title text, created_date_time date) SERVER graph;
SELECT graph_fdw_create_copy('narrow', 'wrong');                                -- ERROR
ALTER FOREIGN TABLE narrow.alerts ADD last_update_date_time timestamptz;
SELECT graph_fdw_create_copy('narrow', 'wrong');                                -- ERROR
CREATE FOREIGN TABLE narrow.other (id text) SERVER graph;
SELECT graph_fdw_create_copy('narrow', 'wrong', tables => '{alerts,other}');    -- ERROR
ALTER FOREIGN TABLE narrow.alerts DROP created_date_time, ADD created_date_time timestamptz, DROP id, ADD id bigint;
SELECT graph_fdw_create_copy('narrow', 'wrong');                                -- ERROR
ALTER FOREIGN TABLE narrow.alerts ALTER id TYPE text;
ALTER FOREIGN TABLE narrow.alerts RENAME TO a3;
SELECT graph_fdw_create_copy('narrow', 'wrong');                                -- ERROR
SELECT graph_fdw_create_copy('narrow', 'wrong', tables => '{}');                -- ERROR
DROP FOREIGN TABLE narrow.a3;
SELECT graph_fdw_create_copy('narrow', 'wrong');                                -- ERROR
DROP SCHEMA narrow CASCADE;
SELECT to_regnamespace('wrong');
-- what is left out, and intervals that may be meant otherwise
SET client_min_messages = notice;
SELECT graph_fdw_create_copy('defender', 'noted', since => '180', overlap => '0');
SELECT graph_fdw_alter_copy('noted', overlap => '100 ms');
SELECT graph_fdw_drop_copy('noted');
SET client_min_messages = warning;

-- ===================================================================
-- Kept
-- ===================================================================
CALL graph_fdw_refresh_copy('nothing');                                         -- ERROR
CALL graph_fdw_refresh_copy(NULL);                                              -- ERROR
CALL graph_fdw_refresh_copy('defender');                                        -- ERROR
CALL graph_fdw_refresh_copy('copies', owner => 'no such role');                 -- ERROR
CALL graph_fdw_refresh_copy('copies', source_schema => 'nowhere');              -- ERROR
CALL graph_fdw_refresh_copy('copies');
SELECT state, up_to > '2026-10-31 23:59Z' AS up_to_now, rows, inserted, updated, last_error FROM graph_fdw_copies;
-- they are the same
SELECT count(*) FROM (TABLE defender.alert_comments EXCEPT TABLE copies.alert_comments) AS d;
SELECT count(*) FROM (TABLE defender.device_evidence EXCEPT TABLE copies.device_evidence) AS d;
SELECT count(*), count(removed_at) FROM copies.alerts;
-- the second time nothing is written
CREATE TEMPORARY TABLE before AS SELECT id, ctid::text AS place, xmin::text AS writer FROM copies.alerts;
CALL graph_fdw_refresh_copy('copies');
SELECT inserted, updated, requests FROM graph_fdw_copies;
SELECT count(*) FROM copies.alerts AS a JOIN before AS b USING (id) WHERE (a.ctid::text, a.xmin::text) <> (b.place, b.writer);
-- everything, with what is damaged in the copy
DELETE FROM copies.alerts WHERE id = (SELECT min(id) FROM copies.alerts WHERE last_update_date_time < '2026-10-01');
UPDATE copies.alerts SET title = 'x' WHERE id = (SELECT max(id) FROM copies.alerts WHERE last_update_date_time < '2026-10-01');
INSERT INTO copies.alerts (id, created_date_time) VALUES ('of nobody', '2026-10-31');
CALL graph_fdw_refresh_copy('copies', full := true);
SELECT state, rows, repaired, removed FROM graph_fdw_copies;
SELECT id FROM copies.alerts WHERE removed_at IS NOT NULL;
-- what is rounded is the same, what is too long is an error, and what was cut is repaired
ALTER TABLE copies.alerts ALTER created_date_time TYPE timestamptz(0), ALTER severity TYPE char(20), ALTER status TYPE varchar(20);
CALL graph_fdw_refresh_copy('copies', full := true);
SELECT inserted, updated, repaired FROM graph_fdw_copies;
ALTER TABLE copies.alerts ALTER title TYPE varchar(5) USING left(title, 5);
CALL graph_fdw_refresh_copy('copies', full := true);                            -- ERROR
SELECT state, repaired FROM graph_fdw_copies;
ALTER TABLE copies.alerts ALTER title TYPE text, ALTER severity TYPE text, ALTER status TYPE text;
CALL graph_fdw_refresh_copy('copies', full := true);
SELECT state, updated > 1900 AS updated, repaired > 1900 AS repaired FROM graph_fdw_copies;
SELECT count(*) FROM copies.alerts AS c JOIN defender.alerts AS a USING (id) WHERE c.title <> a.title;
-- and what is lost altogether comes back, but for what the service has not
CREATE TEMPORARY TABLE counted AS SELECT rows FROM graph_fdw_copies;
TRUNCATE copies.alerts;
CALL graph_fdw_refresh_copy('copies');
SELECT state, c.rows = counted.rows - 1 AS all_rows, c.inserted = counted.rows - 1 AS loaded, unchanged FROM graph_fdw_copies AS c, counted;
-- a procedure and a block that may not commit
DO $$ BEGIN CALL graph_fdw_refresh_copy('copies'); END $$;
DO $$ BEGIN CALL graph_fdw_refresh_copy('copies'); EXCEPTION WHEN OTHERS THEN RAISE; END $$;
SELECT graph_fdw_may_commit();

-- ===================================================================
-- Altered, dropped
-- ===================================================================
SELECT graph_fdw_alter_copy('copies', overlap => '10 min', removed => 'keep');
SELECT overlap, removed, loaded FROM graph_fdw_copy;
SELECT graph_fdw_alter_copy('nothing');                                         -- ERROR
SELECT graph_fdw_alter_copy('copies', removed => 'forget');                     -- ERROR
-- what depends on a copy keeps it
CREATE VIEW on_copy AS SELECT id FROM copies.alerts;
SELECT graph_fdw_drop_copy('copies');                                           -- ERROR
DROP VIEW on_copy;
-- so does nothing that was dropped by hand
DROP TABLE copies.alert_comments;
CALL graph_fdw_refresh_copy('copies');                                          -- ERROR
SELECT graph_fdw_drop_copy('copies');
SELECT graph_fdw_drop_copy('copies');                                           -- ERROR
SELECT count(*), to_regnamespace('copies') FROM graph_fdw_copy;
