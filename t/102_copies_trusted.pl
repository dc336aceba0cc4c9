# Whom does a refresh trust, and what may others do to a copy?
#
# A refresh runs as whoever calls it, often a superuser's job, so that nobody
# else may put anything into its way: schemas made anew, tables, triggers, types,
# rows of the catalog.  Then what a copy gets over: lost columns and tables,
# tenants that differ, alerts that are gone, lists that are refused.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 60, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 0 });
my $url = $emulator->url;

my $messages;
my $refused = qr/ERROR:  copy "k" of "defender" is not refreshed, since code of another role could run as "\w+"/;
my $new_copy = "SELECT graph_fdw_create_copy('defender', 'k', tables => '{alerts,alert_evidence}')";

$node->sql(<<'SQL');
CREATE ROLE attacker LOGIN; CREATE ROLE victim LOGIN; CREATE ROLE stranger LOGIN;
GRANT CREATE ON DATABASE postgres TO attacker, victim;
GRANT USAGE ON FOREIGN SERVER graph TO attacker, victim;
CREATE USER MAPPING FOR victim SERVER graph OPTIONS (access_token 'emulator-access-token');
GRANT USAGE ON SCHEMA defender TO victim;
GRANT SELECT ON ALL TABLES IN SCHEMA defender TO victim;
CREATE TABLE shape (LIKE defender.alerts, removed_at timestamptz, PRIMARY KEY (id));
GRANT SELECT ON shape TO PUBLIC;
SET ROLE attacker;
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.pwn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'attacker runs as %', current_user; RETURN NEW; END $$;
CREATE FUNCTION evil.pwn(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'attacker runs as %', current_user; RETURN true; END $$;
CREATE DOMAIN evil.words AS text CHECK (evil.pwn(VALUE));
SQL

#------------------------------------------------------------------------------
# Schemas and tables made anew
#------------------------------------------------------------------------------

foreach my $owner ('postgres', 'victim')
{
	$node->sql("SET ROLE $owner; $new_copy; CALL graph_fdw_refresh_copy('k')");
	$node->sql(<<'SQL');
DROP SCHEMA k CASCADE;
SET ROLE attacker;
CREATE SCHEMA k;
CREATE TABLE k.alerts (LIKE public.shape INCLUDING ALL);
CREATE TABLE k.alert_evidence ();
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON k.alerts FOR EACH STATEMENT EXECUTE FUNCTION evil.pwn();
GRANT ALL ON SCHEMA k TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA k TO PUBLIC;
SQL
	foreach my $who ('postgres', $owner)
	{
		$messages = $node->said("SET ROLE $who; CALL graph_fdw_refresh_copy('k')");
		like($messages, qr/$refused.*Schema "k" belongs to role "attacker", and the copy to "$owner"/s, "a schema made anew, copy of $owner, refreshed by $who");
		unlike($messages, qr/attacker runs/, 'nothing runs');
	}
	# one table is enough
	$node->sql("ALTER SCHEMA k OWNER TO $owner");
	like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*Table "k\.alert_evidence" belongs to role "attacker"/s, 'a table made anew');
	$node->sql("DROP SCHEMA k CASCADE");
	like($node->said("SET ROLE $owner; $new_copy"), qr/NOTICE:  copy "k" of "defender" had lost its table of alerts, and is made anew/, 'made anew by its owner');
	$node->sql("DROP SCHEMA k CASCADE; SELECT graph_fdw_drop_copy('k')");
}

# A superuser is trusted, and roles that have the owner's privileges anyway.
$node->sql("GRANT victim TO attacker; SET ROLE victim; $new_copy; RESET ROLE");
$node->sql('ALTER TABLE k.alerts OWNER TO attacker; ALTER TABLE k.alert_evidence OWNER TO postgres; GRANT ALL ON ALL TABLES IN SCHEMA k TO victim');
like($node->said("SET ROLE victim; CALL graph_fdw_refresh_copy('k')"), qr/inserted 60/, 'of a role that is a member of the owner');
$node->sql("REVOKE victim FROM attacker; GRANT attacker TO victim");
like($node->said("SET ROLE victim; CALL graph_fdw_refresh_copy('k')"), qr/$refused.*Table "k\.alerts" belongs to role "attacker"/s, 'not of one that the owner is a member of');
$node->sql('REVOKE attacker FROM victim; GRANT victim TO attacker');
$node->sql("SELECT graph_fdw_drop_copy('k'); REVOKE victim FROM attacker");

#------------------------------------------------------------------------------
# What belongs to others in a copy of one's own
#------------------------------------------------------------------------------

$node->sql("$new_copy; CALL graph_fdw_refresh_copy('k'); GRANT USAGE ON SCHEMA k TO PUBLIC; GRANT TRIGGER ON k.alerts TO attacker");
$node->sql('SET ROLE attacker; CREATE TRIGGER t BEFORE INSERT OR UPDATE ON k.alerts FOR EACH STATEMENT EXECUTE FUNCTION evil.pwn()');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*The right to make triggers of "alerts", which has some, belongs to role "attacker"/s, 'a trigger');
$node->sql('REVOKE TRIGGER ON k.alerts FROM attacker');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*The function of trigger "t" of "alerts" belongs to role "attacker"/s, 'of who may make none any more');
$node->sql('DROP TRIGGER t ON k.alerts; GRANT TRIGGER ON k.alerts TO attacker');
$node->sql('SET ROLE attacker; CREATE TRIGGER t BEFORE INSERT OR UPDATE ON k.alerts FOR EACH ROW WHEN (evil.pwn(NEW.id)) EXECUTE FUNCTION suppress_redundant_updates_trigger(); RESET ROLE; REVOKE TRIGGER ON k.alerts FROM attacker');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*Something in the condition of trigger "t" of "alerts" belongs to role "attacker"/s, 'a condition of a trigger');
$node->sql('DROP TRIGGER t ON k.alerts; CREATE TRIGGER t BEFORE UPDATE ON k.alerts FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/inserted 0/, 'a trigger of one\'s own');
$node->sql('DROP TRIGGER t ON k.alerts');

# Tables of others that refer to the copy: their deferred triggers would run as
# whoever refreshes.
my $tied = qr/which a foreign key or a rule ties to the copy,/;
$node->sql('GRANT REFERENCES (alert_id, ordinal), SELECT ON k.alert_evidence TO attacker; GRANT REFERENCES (id) ON k.alerts TO attacker');
foreach my $action ('CASCADE', 'SET NULL', 'NO ACTION')
{
	$node->sql("SET ROLE attacker; CREATE TABLE evil.far (a text, o int, FOREIGN KEY (a, o) REFERENCES k.alert_evidence ON DELETE $action);
		INSERT INTO evil.far SELECT alert_id, ordinal FROM k.alert_evidence;
		CREATE CONSTRAINT TRIGGER t AFTER UPDATE OR DELETE ON evil.far DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil.pwn()");
	$node->sql("UPDATE k.alerts SET title = 'spoilt'") if $action eq 'CASCADE';
	my $messages = $node->said("CALL graph_fdw_refresh_copy('k', full => true)");
	like($messages, qr/$refused.*Table "evil\.far", $tied belongs to role "attacker"/s, "a foreign key of somebody else, $action");
	unlike($messages, qr/attacker runs/, 'whose trigger does not run');
	$node->sql('DROP TABLE evil.far');
}
$node->sql('SET ROLE attacker; CREATE TABLE evil.far (a text REFERENCES k.alerts, o int) PARTITION BY LIST (o); CREATE TABLE evil.leaf PARTITION OF evil.far DEFAULT; RESET ROLE; ALTER TABLE evil.far OWNER TO postgres');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*Table "evil\.leaf", $tied belongs to role "attacker"/s, 'a partition of one that is one\'s own');
$node->sql('DROP TABLE evil.far');
# of one's own, but what refers to that is not
$node->sql('CREATE TABLE mine (id text PRIMARY KEY REFERENCES k.alerts ON DELETE CASCADE)');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/inserted 0/, 'a foreign key of one\'s own');
$node->sql('GRANT REFERENCES (id) ON mine TO attacker');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*The right to make triggers or foreign keys of "public\.mine", $tied belongs to role "attacker"/s, 'to which others may make some');
$node->sql('SET ROLE attacker; CREATE TABLE evil.far (a text REFERENCES mine ON DELETE CASCADE); RESET ROLE; REVOKE REFERENCES (id) ON mine FROM attacker');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*Table "evil\.far", $tied belongs to role "attacker"/s, 'or have made some');
$node->sql('DROP TABLE evil.far; GRANT TRIGGER ON mine TO PUBLIC');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*The right to make triggers or foreign keys of "public\.mine", $tied belongs to role "public"/s, 'or triggers');
$node->sql('REVOKE TRIGGER ON mine FROM PUBLIC; CREATE CONSTRAINT TRIGGER t AFTER DELETE ON mine DEFERRABLE FOR EACH ROW EXECUTE FUNCTION evil.pwn()');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*The function of trigger "t" of "mine" belongs to role "attacker"/s, 'and their functions');
$node->sql('DROP TABLE mine; REVOKE ALL ON k.alerts, k.alert_evidence FROM attacker');

# Functions of others that a table of one's own calls.
$node->sql(q{SET ROLE attacker; CREATE TABLE evil.log (id text);
	CREATE FUNCTION evil.pure(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'attacker runs as %', current_user; RETURN $1; END $$;
	CREATE FUNCTION evil.same(text, text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'attacker runs as %', current_user; RETURN true; END $$});
foreach my $case (
	[ 'CHECK (evil.pwn(id)) NOT VALID', 'constraint c on table k.alerts', 'ALTER TABLE k.alerts ADD CONSTRAINT c %s', 'ALTER TABLE k.alerts DROP CONSTRAINT c' ],
	[ 'CHECK (id OPERATOR(public.===) id) NOT VALID', 'constraint c on table k.alerts', 'CREATE OPERATOR public.=== (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text); ALTER TABLE k.alerts ADD CONSTRAINT c %s', 'DROP OPERATOR public.=== (text, text) CASCADE' ],
	[ 'EXCLUDE (evil.pure(id) WITH =)', 'index k.c', 'ALTER TABLE k.alerts ADD CONSTRAINT c %s', 'ALTER TABLE k.alerts DROP CONSTRAINT c' ],
	[ 'DEFAULT evil.pwn(NULL)', 'default value for column mine of table k.alerts', 'ALTER TABLE k.alerts ADD mine boolean; ALTER TABLE k.alerts ALTER mine SET %s', 'ALTER TABLE k.alerts DROP mine' ],
	[ 'GENERATED ALWAYS AS (evil.pure(id)) STORED', 'default value for column mine of table k.alerts', 'ALTER TABLE k.alerts ADD mine text %s', 'ALTER TABLE k.alerts DROP mine' ],
	[ '(evil.pure(id))', 'index k.i', 'CREATE INDEX i ON k.alerts %s', 'DROP INDEX k.i' ],
	[ 'WHERE evil.pure(alert_id) IS NOT NULL', 'index k.i', 'CREATE INDEX i ON k.alert_evidence (alert_id) %s', 'DROP INDEX k.i' ],
	[ 'USING (evil.pwn(id))', 'policy p on table k.alerts', 'CREATE POLICY p ON k.alerts %s', 'DROP POLICY p ON k.alerts' ],
	[ 'WHERE evil.pwn(OLD.id) DO ALSO NOTHING', 'rule r on table k.alerts', 'CREATE RULE r AS ON DELETE TO k.alerts %s', 'DROP RULE r ON k.alerts' ],
	[ 'CHECK (evil.pwn(VALUE))', 'constraint c', 'CREATE DOMAIN word AS text CONSTRAINT c %s; ALTER TABLE k.alerts ADD mine word', 'DROP DOMAIN word CASCADE' ])
{
	my ($what, $where, $make, $drop) = @$case;

	$node->sql(sprintf $make, $what);
	my $messages = $node->said("CALL graph_fdw_refresh_copy('k')");
	like($messages, qr/$refused.*The function evil\.\w+\([a-z,]*\) that \Q$where\E calls belongs to role "attacker"/s, $what);
	unlike($messages, qr/attacker runs/, 'does not run');
	$node->sql($drop);
}
$node->sql('CREATE RULE r AS ON DELETE TO k.alerts DO ALSO DELETE FROM evil.log');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*Table "evil\.log", $tied belongs to role "attacker"/s, 'a rule');
$node->sql('DROP RULE r ON k.alerts');
like($node->said("CALL graph_fdw_refresh_copy('k', full => true)"), qr/inserted 0, .*repaired \d/s, 'and all is well');

# What somebody else has put beside a copy in its schema, or in its place.
$node->sql('DROP SCHEMA k CASCADE; SET ROLE attacker; CREATE SCHEMA k; CREATE TABLE k.incidents (id text, created_date_time timestamptz, last_update_date_time timestamptz, removed_at timestamptz);
	CREATE TRIGGER t BEFORE INSERT OR UPDATE ON k.incidents FOR EACH STATEMENT EXECUTE FUNCTION evil.pwn(); GRANT ALL ON SCHEMA k TO PUBLIC; GRANT SELECT, INSERT, UPDATE, DELETE ON k.incidents TO PUBLIC;
	' . q{INSERT INTO graph_fdw_copy_rows (target_schema, source_schema, resource, tables, overlap, removed, made_schema) VALUES ('k', 'defender', 'incidents', '[{"source":"incidents","target":"incidents","id":"id","created":"created_date_time","updated":"last_update_date_time"}]', '1 hour', 'mark', true)});
foreach my $arguments ("'k'", "'k', source_schema => 'defender'", "'k', owner => 'postgres'")
{
	$messages = $node->said("CALL graph_fdw_refresh_copy($arguments)");
	like($messages, qr/ERROR/, "a copy of others: $arguments");
	unlike($messages, qr/attacker runs/, 'nothing runs');
}
$node->sql('DROP TRIGGER t ON k.incidents; CREATE TABLE k.alerts (precious text); INSERT INTO k.alerts VALUES (1)');
like($node->said("SELECT graph_fdw_drop_copy('k')"), qr/NOTICE:  "k\.alerts" is not the copy's any more, and stays/, 'a table in the place of a copy\'s');
is($node->sql('SELECT count(*) FROM k.alerts'), 1, 'is not dropped');
$node->sql("DROP SCHEMA k CASCADE; $new_copy; CALL graph_fdw_refresh_copy('k')");

# Columns of a row that somebody else has put there, and the parent of partitions.
$node->sql('SET ROLE attacker; CREATE SCHEMA aevil; CREATE SCHEMA k3; CREATE DOMAIN k3.d AS text CHECK (evil.pwn(VALUE)) DEFAULT $$x$$; CREATE TABLE k3.alerts (id text, created_date_time timestamptz, last_update_date_time timestamptz);
	CREATE TABLE aevil.alerts (boom k3.d); ' . q{INSERT INTO graph_fdw_copy_rows (target_schema, source_schema, resource, tables, overlap, removed, made_schema) VALUES ('k3', 'aevil', 'alerts', '[{"source":"alerts","target":"alerts","id":"id","created":"created_date_time","updated":"last_update_date_time"}]', '1 hour', 'keep', true)});
my $altered = $node->said("SELECT graph_fdw_alter_copy('k3', overlap => '2 hours')");
like($altered, qr/ERROR:  copy "k3" cannot be changed\nDETAIL:  alerts of "aevil": .*"attacker"/, 'altering a copy of others');
unlike($altered, qr/attacker runs/, 'runs nothing');
$node->sql("DELETE FROM graph_fdw_copy WHERE target_schema = 'k3'");
$node->sql('CREATE SCHEMA shared; GRANT ALL ON SCHEMA shared TO attacker; SET ROLE attacker; CREATE TABLE shared.alerts (LIKE public.shape, CHECK (evil.pwn(id)), PRIMARY KEY (id, tenant_id)) PARTITION BY LIST (tenant_id)');
like($node->said("SELECT graph_fdw_create_copy('defender', 'shared', tables => '{alerts}', tenant_id => 'a')"), qr/ERROR:  must be owner of table shared\.alerts/, 'a parent of others');

# A copy of another role.
$node->sql("SET ROLE victim; SELECT graph_fdw_create_copy('defender', 'theirs', tables => '{alerts}')");
like($node->said("CALL graph_fdw_refresh_copy('theirs')"), qr/ERROR:.*DETAIL:.*The copy belongs to role "victim", whose code would run as "postgres"\.\nHINT:.*owner => 'victim'/s, 'a superuser does not trust everybody');
like($node->said("CALL graph_fdw_refresh_copy('theirs', owner => 'victim')"), qr/inserted 60/, 'but whom it names');
like($node->said("CALL graph_fdw_refresh_copy('theirs', owner => 'stranger')"), qr/ERROR:  copy "theirs" is not of role "stranger"\nDETAIL:  It belongs to: victim\./, 'not whom it does not belong to');
$node->sql("SELECT graph_fdw_drop_copy('theirs')");

# Of other roles' foreign tables, in a schema of its group: it has chosen them.
$node->sql(q{CREATE ROLE dba; CREATE ROLE team; GRANT team TO victim; GRANT CREATE ON DATABASE postgres TO dba, team; GRANT USAGE ON FOREIGN SERVER graph TO dba; SET ROLE dba; CREATE SCHEMA fs;
	IMPORT FOREIGN SCHEMA security LIMIT TO (alerts) FROM SERVER graph INTO fs; GRANT USAGE ON SCHEMA fs TO victim; GRANT SELECT ON fs.alerts TO victim; SET ROLE team; CREATE SCHEMA ours; RESET ROLE; GRANT CREATE, USAGE ON SCHEMA ours TO victim});
like($node->said("SET ROLE victim; SELECT graph_fdw_create_copy('fs', 'ours'); CALL graph_fdw_refresh_copy('ours')"), qr/inserted 60/, 'chosen');
like($node->said("CALL graph_fdw_refresh_copy('ours')"), qr/ERROR.*The copy belongs to role "victim"/s, 'by that role');
$node->sql('ALTER SCHEMA fs OWNER TO attacker');
$messages = $node->said("SET ROLE victim; CALL graph_fdw_refresh_copy('ours')");
like($messages, qr/ERROR.*Schema "fs" belongs to role "attacker".*HINT:  .*ALTER \.\.\. OWNER TO changes that\.$/sm, 'but nobody who comes after them');
unlike($messages, qr/owner =>/, 'with a hint that helps');
$node->sql("SELECT graph_fdw_drop_copy('ours'); DROP SCHEMA fs CASCADE");

# A role that is called something else is still who it was.
$node->sql("CREATE ROLE before; GRANT CREATE ON DATABASE postgres TO before; GRANT USAGE ON SCHEMA defender TO before; GRANT SELECT ON ALL TABLES IN SCHEMA defender TO before;
	GRANT USAGE ON FOREIGN SERVER graph TO before; CREATE USER MAPPING FOR before SERVER graph OPTIONS (access_token 'emulator-access-token');
	SET ROLE before; SELECT graph_fdw_create_copy('defender', 'renamed', tables => '{alerts}'); CALL graph_fdw_refresh_copy('renamed'); RESET ROLE; ALTER ROLE before RENAME TO after");
like($node->said("SET ROLE after; CALL graph_fdw_refresh_copy('renamed')"), qr/ERROR.*Role "before" does not exist/s, 'a role that was renamed');
like($node->said("SET ROLE after; SELECT graph_fdw_alter_copy('renamed'); CALL graph_fdw_refresh_copy('renamed'); SELECT graph_fdw_drop_copy('renamed')"),
	qr/NOTICE:  copy "renamed" of "defender" was of role "before", and is of "after" now.*inserted 0, updated 0/s, 'takes its copy over');

# Overloads, where others may create functions.
$node->sql('GRANT CREATE ON SCHEMA public TO attacker; SET ROLE attacker;' . join ';', map { my ($name, $returns) = /(\w+\(.*\)) (.*)/;
	"CREATE FUNCTION public.graph_fdw_$name RETURNS $returns LANGUAGE plpgsql AS \$\$ BEGIN RAISE NOTICE 'attacker runs as %', current_user; RETURN NULL; END \$\$" }
	'copy_distrust(graph_fdw_copy_rows, name) text', 'copy_distrust(record, name) text', 'copy_distrust(graph_fdw_copy_rows) text', 'clock_ahead(name) interval', 'clock_ahead(varchar) interval', 'copy_statement(record, text, boolean, text) text',
	'copy_statement(jsonb, text, boolean, int) text', 'copy_level(graph_fdw_copy) int', 'copy_level(graph_fdw_copy_rows) int', 'copy_level(record) int', 'copy_difference(record, text) text', 'copy_has(jsonb, name, text[], "char") boolean',
	'copy_source(text, text) jsonb', 'copy_columns(oid, oid, text) jsonb', 'copy_entry(jsonb, text, jsonb, text) jsonb', 'copy_step(name, name, name, boolean, boolean, name, text) text');
unlike($node->said("CALL graph_fdw_refresh_copy('k', full => true); SELECT graph_fdw_create_copy('defender', 'other'); SELECT graph_fdw_alter_copy('other', overlap => '2 hours'); SELECT graph_fdw_drop_copy('other')"),
	qr/attacker runs|ERROR/, 'functions of the same name');
$node->sql('SET client_min_messages = error; DROP OWNED BY attacker CASCADE; GRANT CREATE ON DATABASE postgres TO attacker; GRANT USAGE ON FOREIGN SERVER graph TO attacker;
	SET ROLE attacker; CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC; CREATE FUNCTION evil.pwn(text) RETURNS boolean LANGUAGE sql RETURN true; CREATE DOMAIN evil.words AS text CHECK (evil.pwn(VALUE))');
$node->sql('GRANT USAGE ON SCHEMA k TO PUBLIC');
foreach my $type ('evil.words', 'evil.words[]')
{
	$node->sql("ALTER FOREIGN TABLE defender.alerts ADD evil $type OPTIONS (property 'title')");
	like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*Type "$type" of a column belongs to role "attacker"/s, "a column of $type") if $type !~ /\[/;
	like($node->said("SELECT graph_fdw_create_copy('defender', 'other', tables => '{alerts}')"), qr/ERROR:  alerts of "defender" cannot be copied to "other".*belongs to role "attacker"/s, 'nor is it copied at all');
	$node->sql('ALTER FOREIGN TABLE defender.alerts DROP evil');
}
$node->sql("CREATE DOMAIN words AS text CHECK (VALUE <> ''); ALTER FOREIGN TABLE defender.alerts ADD good words OPTIONS (property 'title')");
like($node->said("SELECT graph_fdw_alter_copy('k'); CALL graph_fdw_refresh_copy('k'); SELECT count(good) FROM k.alerts"), qr/^60/m, 'a domain of one\'s own');
$node->sql('ALTER FOREIGN TABLE defender.alerts DROP good');
$node->sql('ALTER FOREIGN TABLE defender.alerts OWNER TO attacker');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/$refused.*Table "defender\.alerts" belongs to role "attacker"/s, 'the source');
$node->sql('ALTER FOREIGN TABLE defender.alerts OWNER TO postgres');
$node->sql('ALTER TABLE k.alert_evidence ENABLE ROW LEVEL SECURITY; GRANT ALL ON ALL TABLES IN SCHEMA k TO victim; CREATE POLICY p ON k.alert_evidence USING (false)');
like($node->said("SET ROLE victim; CALL graph_fdw_refresh_copy('k')"), qr/ERROR:  row-level security would keep rows of "alert_evidence"/, 'row-level security');
$node->sql('ALTER TABLE k.alert_evidence DISABLE ROW LEVEL SECURITY');

# Children of the tables are no part of them.
$node->sql(<<'SQL');
CREATE TABLE source_child () INHERITS (defender.alerts);
INSERT INTO source_child (id, created_date_time, last_update_date_time) VALUES ('child of the source', now(), now());
CREATE TABLE child () INHERITS (k.alerts);
INSERT INTO child (id, created_date_time) VALUES ('child of the copy', '2026-07-20');
SQL
like($node->said("CALL graph_fdw_refresh_copy('k', full => true)"), qr/compared 60, repaired 0, gone 0/, 'children are not compared');
is($node->sql('SELECT count(*) FROM ONLY k.alerts'), 60, 'nor copied');
$node->sql('DROP TABLE source_child, child');

#------------------------------------------------------------------------------
# The catalog
#------------------------------------------------------------------------------

foreach my $statement ('SELECT * FROM graph_fdw_copy', 'SELECT * FROM graph_fdw_copy FOR UPDATE', 'LOCK TABLE graph_fdw_copy IN ACCESS EXCLUSIVE MODE',
	'LOCK TABLE graph_fdw_copy_rows IN SHARE MODE', 'LOCK TABLE graph_fdw_copies IN SHARE MODE', 'LOCK TABLE graph_fdw_copy_drop IN SHARE MODE', 'DELETE FROM graph_fdw_copy_rows',
	'UPDATE graph_fdw_copies SET state = NULL', 'TRUNCATE graph_fdw_copy')
{
	like($node->said("SET ROLE stranger; BEGIN; $statement"), qr/ERROR:  (?:permission denied|cannot)/, "a stranger: $statement");
}
is($node->sql('SET ROLE stranger; SELECT (SELECT count(*) FROM graph_fdw_copies), (SELECT count(*) FROM graph_fdw_copy_rows)'), '0|0', 'sees nothing');
$node->sql('GRANT SELECT ON k.alerts TO stranger');
is($node->sql('SET ROLE stranger; SELECT target_schema FROM graph_fdw_copies'), 'k', 'who may read a copy sees it');
is($node->sql('BEGIN; SET LOCAL ROLE stranger; WITH l AS (SELECT FROM graph_fdw_copy_rows FOR UPDATE) SELECT count(*) FROM l'), 0, 'and cannot lock it');
$node->sql("SET ROLE stranger; INSERT INTO graph_fdw_copy_drop VALUES ('k', 'defender', 'alerts')");
is($node->sql('SELECT count(*) FROM graph_fdw_copy'), 1, 'nor drop it');

# Rows are made for what one owns.
my $row = q{INSERT INTO graph_fdw_copy_rows (target_schema, source_schema, resource, tables, overlap, removed, made_schema, owner) VALUES ('%s', 'evil', 'alerts', '%s', '1 hour', 'mark', true, '%s')};
foreach my $tables ('[]', '{}', '[{"target": "alerts"}]')
{
	like($node->said('SET ROLE attacker; ' . sprintf($row, 'k', $tables, 'attacker')), qr/ERROR:  must be owner of schema k and of the tables/, "a row for another's schema: $tables");
}
like($node->said('SET ROLE attacker; ' . sprintf($row, 'k', '[{"target": "alerts"}]', 'postgres')), qr/WARNING:  copy "k" of "evil" is left out, since it is of role "postgres"/, 'nor as somebody else');
is($node->sql('SELECT count(*) FROM graph_fdw_copy'), 1, 'there is none');
like($node->said("SET ROLE attacker; SELECT graph_fdw_create_copy('defender', 'k')"), qr/ERROR:  must be owner of schema k/, 'a copy in a schema of others');

# What somebody has left there for a schema that was made later.
$node->sql('SET ROLE attacker; CREATE SCHEMA later; CREATE TABLE later.alerts (); CREATE TABLE later.other (); '
	. sprintf($row, 'later', '[{"source": "a", "target": "alerts"}]', 'attacker') . '; DROP SCHEMA later CASCADE');
$node->sql("SET ROLE victim; SELECT graph_fdw_create_copy('defender', 'later', tables => '{alerts}')");
is($node->sql("SELECT string_agg(source_schema, ',') FROM graph_fdw_copy WHERE target_schema = 'later'"), 'defender', 'goes when the copy is made');
$node->sql(q{INSERT INTO graph_fdw_copy (target_schema, source_schema, resource, tables, overlap, removed, made_schema, owner) VALUES ('later', 'evil', 'alerts', '[{"source": "a", "target": "alerts"}]', '1 hour', 'mark', true, 'attacker')});
like($node->said("SET ROLE victim; CALL graph_fdw_refresh_copy('later')"), qr/inserted 60.*WARNING:  alerts of "evil" are not copied to "later"\nDETAIL:  .*later.*belongs to role "victim", and the copy to "attacker"/s, 'or is left out, and the others are refreshed');
$node->sql("SET ROLE victim; SELECT graph_fdw_drop_copy('later', 'evil')");
is($node->sql("SELECT count(*) FROM later.alerts"), 60, 'and is dropped without the tables of others');
$node->sql("UPDATE graph_fdw_copy SET owner = 'nobody_any_more' WHERE target_schema = 'later'");
like($node->said('SET ROLE stranger; SELECT count(*) FROM graph_fdw_copies'), qr/^1$/m, 'an owner that is gone');
like($node->said("CALL graph_fdw_refresh_copy('later')"), qr/ERROR: .*Role "nobody_any_more" does not exist/s, 'is nobody to trust');
$node->sql("SELECT graph_fdw_drop_copy('later')");

# A dump by the database's owner, restored by another role with what is its own.
$node->sql(<<'SQL');
CREATE ROLE keeper LOGIN; CREATE DATABASE kept OWNER keeper;
\c kept
CREATE EXTENSION graph_fdw; SET ROLE keeper; CREATE SCHEMA k; CREATE TABLE k.alerts ();
COPY graph_fdw_copy (target_schema, source_schema, resource, owner, tables, overlap, removed, made_schema) FROM STDIN;
k	defender	alerts	nobody	[{"target": "alerts"}]	01:00:00	mark	t
x	defender	alerts	postgres	[{"target": "alerts"}]	01:00:00	mark	t
\.
SQL
is($node->sql('SELECT target_schema, owner FROM graph_fdw_copy', database => 'kept'), 'k|keeper', 'restored by another role');
my ($host, $port) = ($node->host, $node->port);
$node->command_like([ 'pg_dump', '-d', "host=$host port=$port dbname=kept user=keeper", '-t', 'graph_fdw_copy', '-e', 'graph_fdw' ], qr/COPY public\.graph_fdw_copy .*\nk\tdefender\talerts\tkeeper/, 'a dump by the owner of the database');

#------------------------------------------------------------------------------
# Lost columns, tenants that differ
#------------------------------------------------------------------------------

$node->sql('ALTER TABLE k.alerts DROP COLUMN evidence');
like($node->said("CALL graph_fdw_refresh_copy('k'); CALL graph_fdw_refresh_copy('k', full => true)"), qr/WARNING: .*lacks columns of "alerts": evidence.*compared 60, repaired 0, gone 0/s, 'a column that was dropped');
my $alert = $node->sql("SELECT alert_id FROM k.alert_evidence GROUP BY 1 ORDER BY 1 LIMIT 1");
$emulator->add_alerts(alert(id => $alert, createdDateTime => '2026-07-31T00:00:00Z', lastUpdateDateTime => '2026-08-01T11:59:00Z', evidence => [ map { evidence('deviceEvidence') } 1 .. 7 ]));
$node->sql("CALL graph_fdw_refresh_copy('k')");
is($node->sql("SELECT count(*) FROM k.alert_evidence WHERE alert_id = '$alert'"), 7, 'evidence is kept nevertheless');
$node->sql('ALTER TABLE k.alerts DROP COLUMN removed_at');
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/ERROR:  copy "k" of "defender" lacks the column "removed_at"\n.*HINT:  SELECT graph_fdw_alter_copy\('k'\) adds it\./s, 'removed_at was dropped');
like($node->said("SELECT graph_fdw_alter_copy('k'); CALL graph_fdw_refresh_copy('k', full => true)"), qr/repaired 0, gone 0/, 'and is added');

$node->sql(<<"SQL");
CREATE SERVER fabrikam FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url/at/fabrikam', max_retries '0');
CREATE USER MAPPING FOR CURRENT_USER SERVER fabrikam OPTIONS (access_token 'emulator-access-token');
CREATE SCHEMA fabrikam;
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_evidence) FROM SERVER fabrikam INTO fabrikam;
SELECT graph_fdw_create_copy('defender', 'tenants', tables => '{alerts}', tenant_id => 'a', removed => 'keep');
SELECT graph_fdw_create_copy('fabrikam', 'tenants', tables => '{alerts}', tenant_id => 'b');
SQL
like($node->said("CALL graph_fdw_refresh_copy('tenants', full => true)"), qr/(repaired 0, gone 0.*){2}/s, 'tenants that do not do the same with what is gone');
# What is refused of one is no reason to leave the others.
$node->sql('ALTER SCHEMA fabrikam RENAME TO away');
like($node->said("SELECT graph_fdw_alter_copy('tenants', overlap => '2 hours'); SELECT source_schema, overlap FROM graph_fdw_copy WHERE target_schema = 'tenants' ORDER BY 1"),
	qr/defender\|02:00:00\nfabrikam\|01:00:00.*WARNING:  a part of copy "tenants" is not changed\nDETAIL:  alerts of "fabrikam": "fabrikam\.alerts" does not exist\./s, 'one whose source is gone');
like($node->said("SELECT graph_fdw_alter_copy('tenants', 'fabrikam')"), qr/ERROR:  copy "tenants" cannot be changed\nDETAIL:  alerts of "fabrikam": "fabrikam\.alerts" does not exist\./, 'it alone');
like($node->said("CALL graph_fdw_refresh_copy('tenants', source_schema => 'fabrikam')"), qr/HINT:  If the table or its schema was renamed, rename it back/, 'a schema that was renamed');
$node->sql('ALTER SCHEMA away RENAME TO fabrikam');
$node->sql("SELECT graph_fdw_drop_copy('tenants')");

# A tenant is what its alerts say, as far as that can be seen.
my ($right, $wrong) = ($node->sql("SELECT tenant_id FROM defender.alerts LIMIT 1"), '99999999-8888-7777-6666-555555555555');
$node->sql("ALTER SERVER fabrikam OPTIONS (ADD tenant_id '$right')");
foreach my $case ([ $wrong, '{alerts}', 1, 1 ], [ uc $right, '{alerts}', 0, 0 ], [ 'contoso.com', '{alerts}', 0, 0 ])
{
	my ($tenant, $tables, $at_create, $at_refresh) = @$case;
	$messages = $node->said("SELECT graph_fdw_create_copy('fabrikam', 'tenants', tables => '$tables', tenant_id => '$tenant')");
	is(() = $messages =~ /NOTICE:  "tenant_id" of the copy is "$tenant", and of the login "$right"/g, $at_create, "made as $tenant");
	$messages = $node->said("CALL graph_fdw_refresh_copy('tenants')");
	is(() = $messages =~ /WARNING:  copy "tenants" of "fabrikam" has alerts of tenant "$right" as of "$tenant"/g, $at_refresh, 'refreshed');
	like($messages, qr/inserted 6\d/, 'all of it');
	$node->sql("SELECT graph_fdw_drop_copy('tenants')");
}
$node->sql("ALTER SERVER fabrikam OPTIONS (DROP tenant_id); CREATE SCHEMA plain;
	CREATE FOREIGN TABLE plain.alerts (id text, created_date_time timestamptz, last_update_date_time timestamptz) SERVER fabrikam;
	SELECT graph_fdw_create_copy('plain', 'tenants', tenant_id => '$wrong')");
unlike($node->said("CALL graph_fdw_refresh_copy('tenants')"), qr/WARNING/, 'nothing tells');
$node->sql("SELECT graph_fdw_drop_copy('tenants'); DROP SCHEMA plain CASCADE");
like($node->said("SELECT graph_fdw_create_copy('defender', 'x', since => '10000 years')"), qr/ERROR:  value out of range for a copy/, 'since');
like($node->said("SELECT graph_fdw_create_copy('defender', 'x', overlap => '11 years')"), qr/ERROR:  value out of range for a copy/, 'overlap');
like($node->said("SET default_transaction_read_only = on; CALL graph_fdw_refresh_copy('k')"), qr/ERROR:  cannot refresh a copy in a read-only transaction/, 'read-only');

#------------------------------------------------------------------------------
# Requests of a comparison; a service without "or"
#------------------------------------------------------------------------------

foreach my $removed (qw(mark keep delete))
{
	$node->sql("SELECT graph_fdw_create_copy('defender', 'gone', tables => '{alerts,alert_evidence}', since => NULL, removed => '$removed'); CALL graph_fdw_refresh_copy('gone')");
	my $oldest = $removed eq 'delete' ? '2020-01-01' : '2026-07-31 12:00';
	$node->sql("INSERT INTO gone.alerts (id, created_date_time, last_update_date_time) SELECT 'gone ' || i, '$oldest', '2026-07-20' FROM generate_series(1, 300) AS i");
	foreach my $time (1, 2)
	{
		$emulator->clear;
		$messages = $node->said("CALL graph_fdw_refresh_copy('gone', full => true)");
		my $gone = $time == 1 && $removed eq 'mark' ? 300 : 0;
		like($messages, qr/repaired 0, gone $gone/, "$removed: 300 are gone, time $time");
		cmp_ok($emulator->asked('alerts_v2'), '<=', 7, 'requests');
	}
	$node->sql("SELECT graph_fdw_drop_copy('gone')");
}
# What a list lacks may be in another.
$node->sql("SELECT graph_fdw_create_copy('defender', 'gone', tables => '{alerts}'); CALL graph_fdw_refresh_copy('gone')");
$node->sql("UPDATE gone.alerts SET created_date_time = '2026-02-20' WHERE id IN (SELECT id FROM gone.alerts WHERE created_date_time > '2026-06-01' ORDER BY id LIMIT 20)");
like($node->said("CALL graph_fdw_refresh_copy('gone', full => true)"), qr/repaired \d+, gone 0/, 'what is listed elsewhere is not gone');
# nor what is listed nowhere, as long as the service knows it
$node->sql("UPDATE gone.alerts SET created_date_time = now() WHERE id IN (SELECT id FROM gone.alerts ORDER BY id LIMIT 15); UPDATE graph_fdw_copy SET compared_to = '2026-08-02' WHERE target_schema = 'gone'");
like($node->said("CALL graph_fdw_refresh_copy('gone', full => true)"), qr/repaired [12]\d, gone 0/, 'nor what has another time of creation');
$emulator->add_alerts(map { alert(id => "moved $_", createdDateTime => '2026-03-01T00:00:00Z', lastUpdateDateTime => '2026-03-01T00:00:00Z') } 1 .. 15);
$node->sql("INSERT INTO gone.alerts (id, created_date_time, last_update_date_time) SELECT 'moved ' || i, '2026-07-01', '2026-03-01' FROM generate_series(1, 15) AS i; SELECT count(*) FROM gone.alerts; UPDATE graph_fdw_copy SET load_end = '2026-05-01' WHERE target_schema = 'gone'");
like($node->said("CALL graph_fdw_refresh_copy('gone', full => true)"), qr/repaired [12]\d, gone 0/, 'which may be before all that is compared');
$emulator->control('DELETE', "alerts?id=moved%20$_") foreach 1 .. 15;
$node->sql("DELETE FROM gone.alerts WHERE id LIKE 'moved %'; UPDATE graph_fdw_copy SET load_end = NULL WHERE target_schema = 'gone'");
# what was marked is not for ever, whatever the setting is now
$node->sql("UPDATE gone.alerts SET removed_at = now(); SELECT graph_fdw_alter_copy('gone', removed => 'keep')");
$node->sql("CALL graph_fdw_refresh_copy('gone', full => true)");
is($node->sql('SELECT count(removed_at) FROM gone.alerts'), 0, 'marks are taken back');
$node->sql("SELECT graph_fdw_drop_copy('gone')");
# much that differs is no request each
$node->sql("UPDATE k.alerts SET title = 'spoilt' WHERE last_update_date_time < '2026-08-01 10:00'");
$emulator->clear;
$messages = $node->said("CALL graph_fdw_refresh_copy('k', full => true)");
like($messages, qr/repaired [1-5]\d, gone 0/, 'much that differs');
cmp_ok($emulator->asked('alerts_v2'), '<=', 4, 'is read as a list');

$emulator->add_alerts(alert(id => 'without', createdDateTime => '2026-08-01T11:58:00Z', lastUpdateDateTime => undef),
	alert(id => 'with', createdDateTime => '2026-08-01T11:58:00Z', lastUpdateDateTime => '2026-08-01T11:58:00Z'));
$emulator->fault(kind => 'status', code => 501, path => ' or ', times => -1);
$node->sql("CALL graph_fdw_refresh_copy('k')");
is($node->sql("SELECT by_update, inserted FROM graph_fdw_copy WHERE target_schema = 'k'"), 'f|2', 'an error of the service');
$node->sql("DELETE FROM k.alerts WHERE id LIKE 'with%'");
$emulator->no_fault;
$emulator->fault(kind => 'status', code => 400, path => ' or ', times => -1);
$node->sql("CALL graph_fdw_refresh_copy('k')");
is($node->sql("SELECT string_agg(id, ' ' ORDER BY id) FROM k.alerts WHERE id LIKE 'with%'"), 'with without', 'a service that refuses "or"');
is($node->sql("SELECT by_update, inserted FROM graph_fdw_copy WHERE target_schema = 'k'"), 't|2', 'which is remembered');
$emulator->no_fault;
$emulator->add_alerts(alert(id => 'without any', createdDateTime => '2026-08-01T11:57:00Z', lastUpdateDateTime => undef));
$emulator->clear;
$node->sql("CALL graph_fdw_refresh_copy('k')");
is($emulator->asked('alerts_v2'), 2, 'two requests from then on');
is($node->sql("SELECT count(*) FROM k.alerts WHERE id = 'without any'"), 1, 'and nothing is lost');
$node->sql("UPDATE graph_fdw_copy SET by_update = false WHERE target_schema = 'k'");

# A service that is throttled is not asked for pieces.
foreach my $code (429, 503)
{
	$emulator->fault(kind => 'status', code => $code, path => 'alerts_v2', nth => 1);
	like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/ERROR/, "status $code");
	$emulator->no_fault;
	$emulator->clear;
	$node->sql("CALL graph_fdw_refresh_copy('k')");
	is($emulator->asked('alerts_v2'), 1, 'no more requests than before');
}
# nor is one for which a refresh was cancelled
$node->sql("UPDATE graph_fdw_copy SET by_update = false, changes_width = '1 day'");
$emulator->add_alerts(alert(id => 'now', createdDateTime => '2026-08-01T00:00:00Z', lastUpdateDateTime => $node->sql(q{SELECT to_char(now() AT TIME ZONE 'UTC' - interval '5 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')})));
$node->sql("CALL graph_fdw_refresh_copy('k')");
$node->sql("UPDATE graph_fdw_copy SET changes_width = '1 day'");
$emulator->clear;
$node->sql("CALL graph_fdw_refresh_copy('k')");
is($emulator->asked('alerts_v2'), 2, 'a piece that goes beyond now, and one without an end');

# What would fail with COMMIT fails in time.
$node->sql(q{CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
	CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON k.alerts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse(); REVOKE TRIGGER ON k.alerts FROM victim; DELETE FROM k.alerts WHERE id = 'now'; });
like($node->said("CALL graph_fdw_refresh_copy('k')"), qr/ERROR:  refused/, 'a deferred constraint');
is($node->sql("SELECT state, last_error ~ 'refused' FROM graph_fdw_copies WHERE target_schema = 'k'"), 'failed|t', 'the view says so');
$node->sql('DROP TRIGGER refuse ON k.alerts');

# Two at once, each with a snapshot that stays.
$node->sql("ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'repeatable read'");
my $session = $node->session;
$session->query("BEGIN; CALL graph_fdw_refresh_copy('k')");
my $second = $node->session;
$second->query_until(qr/begun/, "\\echo begun\nCALL graph_fdw_refresh_copy('k');\n");
$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'refresh_copy'");
$session->query('COMMIT');
$session->quit;
is($second->query("SELECT 'goes on'"), 'goes on', 'the second waits');
is($node->sql("SELECT last_error IS NULL, state FROM graph_fdw_copies WHERE target_schema = 'k'"), 't|ready', 'and refreshes');
$second->quit;
$node->sql('ALTER ROLE CURRENT_USER RESET default_transaction_isolation');

# An answer that is cut is no warning here.
$emulator->fault(kind => 'value_missing', path => 'alerts_v2', nth => 1);
$messages = $node->said("CALL graph_fdw_refresh_copy('k')");
like($messages, qr/ERROR/, 'an incomplete answer');
unlike($messages, qr/on_partial/, 'has no hint that does not help');
$emulator->no_fault;

# Everything has no end.
$emulator->add_alerts(
	alert(id => 'unset', createdDateTime => '0001-01-01T00:00:00Z', lastUpdateDateTime => '2026-06-01T00:00:00Z'),
	alert(id => 'old', createdDateTime => '1965-01-01T00:00:00Z', lastUpdateDateTime => '2026-06-01T00:00:00Z'),
	alert(id => 'none', createdDateTime => undef, lastUpdateDateTime => '2026-06-01T00:00:00Z'));
$node->sql("SELECT graph_fdw_create_copy('defender', 'all_of_it', tables => '{alerts}', since => NULL); CALL graph_fdw_refresh_copy('all_of_it')");
my $odd = "SELECT string_agg(id, ' ' ORDER BY id) FROM all_of_it.alerts WHERE id IN ('unset', 'old', 'none') AND removed_at IS NULL";
is($node->sql($odd), 'none old unset', 'alerts of no time that is to be expected');
like($node->said("CALL graph_fdw_refresh_copy('all_of_it', full => true)"), qr/repaired 0, gone 0/, 'are compared');
$node->sql("DELETE FROM all_of_it.alerts WHERE id IN ('unset', 'old', 'none')");
like($node->said("CALL graph_fdw_refresh_copy('all_of_it', full => true)"), qr/repaired 3, gone 0/, 'and repaired');
is($node->sql($odd), 'none old unset', 'all');

done_testing();
