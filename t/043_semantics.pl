
# Is a foreign table a table, wherever the executor takes it?
#
# Rescans with and without other parameters, cursors, scans side by side,
# locking, system columns, columns that are gone or made, partitions, plans
# that are parallel around it, prepared statements, errors that are caught.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { page_size => 4 });
$emulator->set_alerts(map { alert(
		id => "s$_", title => "t$_", severity => (qw(low medium high))[ $_ % 3 ], createdDateTime => sprintf('2026-07-01T10:%02d:00Z', $_),
		evidence => [ map { evidence('deviceEvidence', hostName => "h$_") } 1 .. $_ % 3 ]) } 1 .. 10);
$node->sql(<<'SQL');
CREATE TABLE local AS SELECT id, title, severity FROM defender.alerts;
INSERT INTO local VALUES ('none', 'x', 'low'), (NULL, NULL, NULL);
ANALYZE local;
CREATE FOREIGN TABLE few (id text NOT NULL, title text, gone int, severity text, made text OPTIONS (property 'status') GENERATED ALWAYS AS (upper(title)) STORED) SERVER graph;
ALTER FOREIGN TABLE few DROP COLUMN gone;
SQL

my $session = $node->session;

# Does this statement give this result, which may be an error's SQLSTATE?
sub gives
{
	my ($sql, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$session->{stderr} = '';
	my $got = $session->query($sql);
	$got = $1 if $session->{stderr} =~ /ERROR:  (\w{5})/;
	return is($got, $expected, $name || $sql) || diag($session->{stderr});
}

# The same of a query on the foreign table and on a local copy of it.
sub same
{
	my ($sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return gives($sql =~ s/REMOTE/defender.alerts/gr, $session->query($sql =~ s/REMOTE/copy/gr), $name || $sql);
}
$session->query('CREATE TEMP TABLE copy AS SELECT * FROM defender.alerts; ANALYZE copy');

#------------------------------------------------------------------------------
# Rescans
#------------------------------------------------------------------------------

foreach my $off ('', 'enable_hashjoin', 'enable_mergejoin', 'enable_material')
{
	$session->query("SET $off = off") if $off;
	same('SELECT l.id, r.title FROM local AS l JOIN REMOTE AS r USING (id) ORDER BY 1', "join, without $off");
	same('SELECT l.id, r.title FROM local AS l LEFT JOIN REMOTE AS r ON r.id = l.id AND r.severity = l.severity ORDER BY 1, 2', "left join, without $off");
	same('SELECT l.id, r.id FROM local AS l JOIN REMOTE AS r ON r.title > l.title ORDER BY 1, 2', "unequal join, without $off");
	same('SELECT id FROM local AS l WHERE EXISTS (SELECT FROM REMOTE AS r WHERE r.id = l.id) ORDER BY 1', "EXISTS, without $off");
	same('SELECT id FROM local AS l WHERE NOT EXISTS (SELECT FROM REMOTE AS r WHERE r.id = l.id) ORDER BY 1', "NOT EXISTS, without $off");
}
$session->query('RESET ALL');
same('SELECT id, (SELECT r.title FROM REMOTE AS r WHERE r.id = l.id) FROM local AS l ORDER BY 1', 'a correlated sub-select by id');
same('SELECT id, (SELECT max(r.title) FROM REMOTE AS r WHERE r.severity = l.severity) FROM local AS l ORDER BY 1', 'a correlated sub-select by filter');
same('SELECT id, (SELECT count(*) FROM REMOTE AS r WHERE r.severity = l.severity) FROM local AS l ORDER BY 1', 'a correlated count');
same('SELECT n, (SELECT count(*) FROM REMOTE) FROM generate_series(1, 3) AS n', 'a sub-select that is not');
same('SELECT count(*) FROM REMOTE GROUP BY severity ORDER BY 1', 'a count of groups that are not named');
same('SELECT count(*) FROM REMOTE HAVING count(*) > 100', 'a count that HAVING leaves out');
gives(q{SELECT count(*), count(e.ordinal) FROM defender.alerts a LEFT JOIN defender.device_evidence e ON e.alert_id = a.id AND e.alert_id = 's1'
	JOIN defender.device_evidence c ON c.alert_id = 's1'}, '10|1', 'an id that restricts the nullable side of a join, and another table');
same('SELECT n, a.id FROM generate_series(1, 3) AS n CROSS JOIN LATERAL (SELECT id FROM REMOTE ORDER BY created_date_time, n LIMIT 2) AS a ORDER BY 1, 2', 'LATERAL, with LIMIT');
same('SELECT n, a.id FROM generate_series(1, 12) AS n CROSS JOIN LATERAL (SELECT id FROM REMOTE WHERE id = \'s\' || n OFFSET 0) AS a ORDER BY 1', 'LATERAL, by id');
same(q{SELECT id FROM REMOTE WHERE id IN (SELECT id FROM local) ORDER BY 1}, 'IN');
same(q{SELECT id FROM REMOTE WHERE id NOT IN (SELECT id FROM local WHERE id <> 's3') ORDER BY 1}, 'NOT IN');
same(q{SELECT id FROM REMOTE WHERE id = ANY (SELECT NULL::text) ORDER BY 1}, '= ANY of null');
same(q{WITH RECURSIVE r(n, id) AS (SELECT 1, 's1' UNION ALL SELECT n + 1, a.id FROM r JOIN REMOTE AS a ON a.id = 's' || (n + 1)) SELECT * FROM r}, 'a recursive query');
same(q{SELECT a.id, b.id FROM REMOTE AS a, REMOTE AS b WHERE a.severity = b.severity AND a.id < b.id ORDER BY 1, 2}, 'two scans of one table');
same(q{SELECT id FROM REMOTE UNION ALL SELECT id FROM REMOTE ORDER BY 1}, 'two scans, appended');
same(q{SELECT a.id, b.id FROM REMOTE AS a FULL JOIN REMOTE AS b ON a.id = 's' || substr(b.id, 2)::int + 1 ORDER BY 1, 2}, 'a full join');
gives('SELECT alert_id, count(*) FROM defender.alert_evidence AS e WHERE EXISTS (SELECT FROM defender.alerts AS a WHERE a.id = e.alert_id AND a.severity = \'high\') GROUP BY 1 ORDER BY 1',
	"s2|2\ns5|2\ns8|2", 'evidence of some alerts');

# Rows that are held while others come.
same('SELECT array_agg(title ORDER BY id) FROM REMOTE', 'rows in an aggregate');
same('SELECT id, lag(title, 3) OVER (ORDER BY created_date_time), first_value(title) OVER (ORDER BY created_date_time) FROM REMOTE ORDER BY id', 'rows in a window');
same('SELECT DISTINCT ON (severity) severity, id FROM REMOTE ORDER BY severity, id', 'DISTINCT ON');
same('SELECT id FROM REMOTE ORDER BY random() * 0, id FETCH FIRST 3 ROWS WITH TIES', 'WITH TIES');

#------------------------------------------------------------------------------
# Cursors
#------------------------------------------------------------------------------

my $by_id = 'SELECT id FROM defender.alerts ORDER BY created_date_time';
gives("BEGIN; DECLARE c SCROLL CURSOR FOR $by_id; FETCH 2 c; FETCH PRIOR c; FETCH LAST c; FETCH FIRST c; FETCH ABSOLUTE 5 c; FETCH RELATIVE -2 c; FETCH BACKWARD ALL c; COMMIT",
	join("\n", qw(s1 s2 s1 s10 s1 s5 s3 s2 s1)), 'SCROLL');
gives("BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT id FROM defender.alerts; FETCH 1 c; FETCH PRIOR c", '55000', 'NO SCROLL');
gives('ROLLBACK', '');
gives("BEGIN; DECLARE h CURSOR WITH HOLD FOR $by_id; FETCH 1 h; COMMIT; FETCH 2 h", "s1\ns2\ns3", 'WITH HOLD');
gives('FETCH ALL FROM h', join("\n", map { "s$_" } 4 .. 10), 'WITH HOLD: the rest');
gives('CLOSE h', '');
gives("BEGIN; DECLARE a CURSOR FOR $by_id; DECLARE b CURSOR FOR $by_id DESC; FETCH a; FETCH b; FETCH 3 a; FETCH 3 b; CLOSE a; FETCH b; COMMIT",
	join("\n", qw(s1 s10 s2 s3 s4 s9 s8 s7 s6)), 'two cursors side by side');
gives("BEGIN; DECLARE c CURSOR FOR $by_id; FETCH ALL c; FETCH c; FETCH c; COMMIT", join("\n", map { "s$_" } 1 .. 10), 'after the end');
gives("BEGIN; DECLARE c CURSOR FOR $by_id; FETCH 1 c; SAVEPOINT s; FETCH 1 c; ROLLBACK TO s; FETCH 1 c; COMMIT", "s1\ns2\ns3", 'a savepoint');

#------------------------------------------------------------------------------
# Locking, EvalPlanQual, system columns, whole rows
#------------------------------------------------------------------------------

same("SELECT id FROM REMOTE WHERE id = 's1' FOR UPDATE", 'FOR UPDATE');
same("SELECT l.id, r.title FROM local AS l JOIN REMOTE AS r USING (id) ORDER BY 1 FOR UPDATE", 'FOR UPDATE of a join');

# A local row changes while it is waited for: the foreign row is judged again.
my $other = $node->session;
$other->query("BEGIN; UPDATE local SET severity = 'changed' WHERE id = 's4'");
$session->{stdout} = $session->{stderr} = '';
$session->query_until(qr/^go$/m, "\\echo go\nSELECT l.id, l.severity, r.title FROM local AS l JOIN defender.alerts AS r ON r.id = l.id AND (r.severity = l.severity OR l.severity = 'changed') WHERE l.id IN ('s4', 's5') ORDER BY 1 FOR UPDATE OF l;\n\\echo over\n");
for (1 .. 200) { last if $other->query("SELECT count(*) FROM pg_locks WHERE NOT granted") eq '1'; select undef, undef, undef, 0.02 }
$other->query('COMMIT');
pump_until($session->{run}, $session->{timeout}, \$session->{stdout}, qr/^over$/m);
like($session->{stdout}, qr/^s4\|changed\|t4\ns5\|high\|t5\nover/m, 'EvalPlanQual') or diag($session->{stderr});
$session->{stdout} = '';
$other->query("BEGIN; UPDATE local SET severity = 'nothing' WHERE id = 's4'");
$session->query_until(qr/^go$/m, "\\echo go\nUPDATE local AS l SET title = r.title || '!' FROM defender.alerts AS r WHERE r.id = l.id AND l.severity = 'changed' RETURNING l.id;\n\\echo over\n");
for (1 .. 200) { last if $other->query("SELECT count(*) FROM pg_locks WHERE NOT granted") eq '1'; select undef, undef, undef, 0.02 }
$other->query('COMMIT');
pump_until($session->{run}, $session->{timeout}, \$session->{stdout}, qr/^over$/m);
unlike($session->{stdout}, qr/^s4/m, 'EvalPlanQual of an UPDATE: no row any more');
$session->{stdout} = '';
$other->quit;

gives("SELECT tableoid::regclass, id FROM defender.alerts WHERE id = 's1'", 'defender.alerts|s1', 'tableoid');
gives("SELECT count(*) FROM defender.alerts WHERE tableoid = 'defender.alerts'::regclass", 10, 'tableoid in a condition');
gives("SELECT count(ctid) >= 0 FROM defender.alerts", 't', 'ctid does no harm');
same("SELECT (r).title, r IS NOT NULL FROM REMOTE AS r WHERE id = 's1'", 'a whole row');
gives("SELECT f FROM few AS f WHERE id = 's1'", '(s1,t1,medium,new)', 'a whole row with dropped and generated columns');
gives("SELECT count(*), max(made), max(severity) FROM few", '10|new|medium', 'dropped and generated columns');
gives('ALTER FOREIGN TABLE few ADD COLUMN created_date_time timestamptz; SELECT count(created_date_time) FROM few', 10, 'a column that is new');
gives("INSERT INTO few (id) VALUES ('x')", '55000', 'INSERT');
gives("UPDATE few SET title = 'x'", '55000', 'UPDATE') if $node->sql("SELECT pg_relation_is_updatable('few'::regclass, false)") eq '0';
gives('DELETE FROM few', '0A000', 'DELETE');

#------------------------------------------------------------------------------
# Partitions, inheritance, parallel plans
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE TABLE parts (id text, title text, severity text) PARTITION BY LIST (severity);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES IN ('low');
CREATE FOREIGN TABLE parts_rest PARTITION OF parts DEFAULT SERVER graph;
INSERT INTO parts_low VALUES ('p1', 'local', 'low');
CREATE TABLE parent (id text, title text);
CREATE FOREIGN TABLE child () INHERITS (parent) SERVER graph;
INSERT INTO parent VALUES ('p2', 'local');
CREATE TABLE big AS SELECT 's' || n AS id, n FROM generate_series(1, 20000) AS n;
ANALYZE big;
SQL
gives("SELECT count(*) FROM parts WHERE severity = 'low'", 1, 'a partition that is not the foreign one');
gives("SELECT tableoid::regclass, count(*) FROM parts GROUP BY 1 ORDER BY 1", "parts_low|1\nparts_rest|10", 'partitions');
gives("SELECT tableoid::regclass, count(*) FROM parent GROUP BY 1 ORDER BY 1", "parent|1\nchild|10", 'inheritance');
gives("SELECT count(*) FROM ONLY parent", 1, 'ONLY');
gives("SELECT p.id FROM parts AS p JOIN local AS l USING (id) WHERE p.title = 't7' ORDER BY 1", 's7', 'a partition in a join');
$session->query('SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET max_parallel_workers_per_gather = 2');
gives('SELECT count(*), sum(n) FROM big JOIN defender.alerts USING (id)', '10|55', 'a parallel plan around it');
gives('SELECT count(*) FROM big WHERE id IN (SELECT id FROM defender.alerts)', 10, 'a parallel plan with a semi-join');
$session->query('RESET ALL');

#------------------------------------------------------------------------------
# Statements that are kept
#------------------------------------------------------------------------------

gives('PREPARE by_id(text) AS SELECT title FROM defender.alerts WHERE id = $1', '');
gives("EXECUTE by_id('s$_')", "t$_") foreach 1 .. 7;
gives('EXECUTE by_id(NULL)', '', 'a parameter that is null');
gives('ALTER FOREIGN TABLE defender.alerts ALTER title OPTIONS (ADD property \'severity\')', '');
gives("EXECUTE by_id('s1')", 'medium', 'a column option that is new');
gives('ALTER FOREIGN TABLE defender.alerts ALTER title OPTIONS (DROP property)', '');
gives("EXECUTE by_id('s1')", 't1', 'and gone');
gives('PREPARE all_of AS SELECT * FROM few; EXECUTE all_of; ALTER FOREIGN TABLE few DROP COLUMN created_date_time; EXECUTE all_of', '0A000', 'a result that changes');
gives('CREATE VIEW v AS SELECT id, title FROM defender.alerts; SELECT count(*) FROM v', 10, 'a view');
gives('CREATE MATERIALIZED VIEW m AS SELECT id, title FROM defender.alerts; REFRESH MATERIALIZED VIEW m; SELECT count(*) FROM m', 10, 'a materialized view');
gives('COPY (SELECT id FROM defender.alerts WHERE id = \'s2\') TO STDOUT', 's2', 'COPY');

#------------------------------------------------------------------------------
# Errors that are caught
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE FUNCTION caught() RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record; s record; result text := '';
BEGIN
	FOR r IN SELECT id FROM defender.alerts ORDER BY created_date_time LOOP
		BEGIN
			FOR s IN SELECT title::int FROM defender.alerts WHERE id = r.id LOOP END LOOP;
		EXCEPTION WHEN invalid_text_representation THEN
			result := result || r.id;
		END;
		BEGIN
			PERFORM 1 / 0 FROM defender.alerts WHERE id = r.id;
		EXCEPTION WHEN division_by_zero THEN
			result := result || '!';
		END;
	END LOOP;
	RETURN result;
END $$;
CREATE FUNCTION early() RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
	FOR r IN SELECT id FROM defender.alerts LOOP
		RETURN 'left';
	END LOOP;
END $$;
SQL
gives('SELECT caught()', join('', map { "s$_!" } 1 .. 10), 'errors within an outer scan');
gives('SELECT early() FROM generate_series(1, 3)', "left\nleft\nleft", 'loops that are left');
gives('SELECT 1 / (substr(id, 2)::int - 5) IS NULL FROM defender.alerts', '22012', 'an error of somebody else in the middle');
gives('SELECT count(*) FROM defender.alerts', 10, 'and on it goes');
# PostgreSQL 19 says what would be read
is($session->query('EXPLAIN (COSTS OFF) SELECT 1 FROM defender.alerts WHERE false') =~ s/^ *Replaces: .*\n//mr,
	"Result\n  One-Time Filter: false", 'nothing is asked for nothing');

$session->quit;
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|WARNING|XX000|terminated by signal/, 'nothing in the log');
done_testing();
