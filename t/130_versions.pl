
# What later versions of PostgreSQL brought, and a foreign data wrapper may
# trip over: is it as with PostgreSQL's own tables, and with no more requests?

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence minute);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { updatable => 'true' }, conf => "fsync = off\njit = off");
my $version = int($node->sql('SHOW server_version_num') / 10000);

$emulator->set_alerts(map {
	alert(id => "v$_", title => "Title $_", status => 'new', severity => $_ % 2 ? 'high' : 'low', classification => undef,
		createdDateTime => minute($_), lastUpdateDateTime => minute($_),
		evidence => [ map { evidence('deviceEvidence', deviceDnsName => "ws-$_") } 1 .. $_ % 3 ]) } 1 .. 9);
$node->sql(<<'SQL');
CREATE TABLE cases (n int, id text);
INSERT INTO cases SELECT n, 'v' || n FROM generate_series(1, 12) AS n;
CREATE SCHEMA copy;
CREATE TABLE copy.alerts AS SELECT * FROM defender.alerts;
CREATE TABLE copy.device_evidence AS SELECT * FROM defender.device_evidence;
ANALYZE cases, copy.alerts, copy.device_evidence;
SQL

# The same rows from the foreign tables and from the copies; and, if that is
# told, as many requests.
sub is_same
{
	my ($query, $requests, %params) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = join '', map { "$_;" } @{ $params{before} || [] };
	my $expected = $node->sql("$before SET search_path = copy, public; $query");

	$emulator->clear;
	is($node->result("$before SET search_path = defender, public; $query"), $expected, $query);
	is(scalar(my @made = $emulator->requests), $requests, "$query: requests") if defined $requests;
	return;
}

# What needs a later version than this one.
sub from
{
	my ($needed, $what, $test) = @_;

	SKIP:
	{
		skip "$what: PostgreSQL $needed and later", 1 if $version < $needed;
		subtest $what => $test;
	}
	return;
}

#------------------------------------------------------------------------------
# 16: a column says which outer joins make it null
#------------------------------------------------------------------------------

foreach my $settings ([], [ 'SET enable_hashjoin = off', 'SET enable_mergejoin = off' ],
	[ 'SET enable_hashjoin = off', 'SET enable_mergejoin = off', 'SET enable_nestloop = off' ])
{
	my @before = (before => $settings);

	# the same column in ON, in WHERE and in the result
	is_same("SELECT n, a.id, a.title FROM cases AS c LEFT JOIN alerts AS a ON a.id = c.id AND a.title > 'Title 3' AND c.n < 9 WHERE a.id IS NULL OR a.title < 'Title 6' ORDER BY 1, 2", undef, @before);
	is_same("SELECT a.id, d.ordinal, d.device_dns_name FROM alerts AS a LEFT JOIN device_evidence AS d ON d.alert_id = a.id AND d.ordinal > 1 AND a.severity = 'high' WHERE coalesce(d.ordinal, 9) > 1 ORDER BY 1, 2", undef, @before);
	# what is null for one join is an argument of the next
	is_same("SELECT c.n, a.id, d.ordinal FROM cases AS c LEFT JOIN alerts AS a ON a.id = c.id AND a.severity = 'low' LEFT JOIN device_evidence AS d ON d.alert_id = a.id ORDER BY 1, 2, 3", undef, @before);
	is_same("SELECT c.n, s.id, s.ordinal FROM cases AS c LEFT JOIN (SELECT a.id, d.ordinal, coalesce(d.device_dns_name, 'none') AS name FROM alerts AS a LEFT JOIN device_evidence AS d ON d.alert_id = a.id AND d.ordinal < 2) AS s ON s.id = c.id AND s.name <> 'ws-3' ORDER BY 1, 2, 3", undef, @before);
	is_same("SELECT c.n FROM cases AS c LEFT JOIN alerts AS a ON a.id = c.id AND a.severity = 'low' WHERE a.id IS NULL ORDER BY 1", undef, @before);
	is_same("SELECT c.n, a.title FROM alerts AS a RIGHT JOIN cases AS c ON a.id = c.id ORDER BY 1", undef, @before);
	is_same("SELECT c.n, a.title FROM alerts AS a FULL JOIN cases AS c ON a.id = c.id ORDER BY 1", undef, @before);
	is_same("SELECT c.n, l.title, l.n2 FROM cases AS c LEFT JOIN LATERAL (SELECT a.title, c.n + 1 AS n2 FROM alerts AS a WHERE a.id = c.id) AS l ON true ORDER BY 1", undef, @before);
	is_same("SELECT a.severity, count(d.ordinal) FROM alerts AS a LEFT JOIN device_evidence AS d ON d.alert_id = a.id AND d.ordinal = 1 GROUP BY a.severity ORDER BY 1", undef, @before);
}

#------------------------------------------------------------------------------
# 17: rows of the right side once each (19: as a relation of its own), IN and
# NOT IN of sub-selects, orders of GROUP BY
#------------------------------------------------------------------------------

is_same('SELECT title FROM alerts WHERE id IN (SELECT id FROM cases WHERE n < 4) ORDER BY 1', 3);
is_same('SELECT title FROM alerts WHERE id IN (SELECT c.id FROM cases AS c, generate_series(1, 5) WHERE n < 4) ORDER BY 1', 3);
is_same("SELECT count(*) FROM alerts AS a WHERE a.id IN (SELECT alert_id FROM device_evidence) AND a.severity IN (SELECT severity FROM alerts)");
is_same('SELECT d.ordinal, d.alert_id FROM device_evidence AS d WHERE d.alert_id IN (SELECT id FROM cases WHERE n > 2) ORDER BY 2, 1');
is_same("SELECT severity, status, count(*) FROM alerts GROUP BY status, severity ORDER BY severity DESC");
is_same("SELECT DISTINCT severity, status FROM alerts ORDER BY 1, 2");
is_same("SELECT status, severity, count(*) FROM alerts GROUP BY GROUPING SETS ((status), (severity), ()) ORDER BY 1, 2");
is_same("SELECT count(*) FILTER (WHERE severity = 'high'), count(*) FROM alerts HAVING count(*) > 3");

#------------------------------------------------------------------------------
# 18: a table joined with itself, conditions with OR, IN (VALUES ...)
#------------------------------------------------------------------------------

is_same('SELECT a.id, b.title FROM alerts AS a JOIN alerts AS b ON a.id = b.id ORDER BY 1');
is_same("SELECT a.id FROM alerts AS a JOIN alerts AS b USING (id) WHERE a.severity = 'high' AND b.status = 'new' ORDER BY 1");
is_same("SELECT id FROM alerts WHERE id = 'v1' OR id = 'v2' OR id = 'nobody' ORDER BY 1", 3);
is_same("SELECT id FROM alerts WHERE severity = 'high' OR severity = 'low' OR severity = 'Low' ORDER BY 1");
is_same("SELECT id FROM alerts WHERE id IN (VALUES ('v1'), ('v3')) ORDER BY 1", 2);
is_same("SELECT id FROM alerts WHERE severity IN (VALUES ('high'), (NULL)) ORDER BY 1");
is_same("SELECT id FROM alerts WHERE NOT (id = 'v1' OR id = 'v2') ORDER BY 1");

from(18, 'virtual generated columns' => sub {
	$node->sql(<<'SQL');
CREATE FOREIGN TABLE defender.virtual (id text NOT NULL, title text, severity text, status text,
	loud text GENERATED ALWAYS AS (upper(title)) VIRTUAL,
	grave boolean GENERATED ALWAYS AS (severity = 'high') VIRTUAL,
	CONSTRAINT calm CHECK (NOT grave OR status <> 'resolved')) SERVER graph;
CREATE TABLE copy.virtual (LIKE defender.virtual INCLUDING GENERATED);
INSERT INTO copy.virtual SELECT id, title, severity, status FROM copy.alerts;
SQL
	$emulator->clear;
	is($node->result('ANALYZE defender.virtual'), '', 'ANALYZE');
	is($node->sql("SELECT count(*) FROM pg_stats WHERE tablename = 'virtual' AND schemaname = 'defender' AND attname IN ('loud', 'grave')"), 0,
		'no statistics of what is not there');
	is_same('SELECT * FROM virtual ORDER BY id');
	is_same("SELECT v, v.loud FROM virtual AS v WHERE loud = 'TITLE 3'");
	is_same('SELECT id FROM virtual WHERE grave ORDER BY id', 1);
	is_same('SELECT id, grave FROM virtual WHERE id IN (SELECT id FROM cases WHERE n < 3) ORDER BY 1', 2);
	is_same('SELECT c.n, v.grave, v.loud FROM cases AS c LEFT JOIN virtual AS v ON v.id = c.id ORDER BY 1');
	is_same('SELECT count(*) FROM virtual WHERE grave');
	is_same("SELECT a.id, v.grave FROM alerts AS a JOIN virtual AS v ON v.id = a.id ORDER BY 1");
	is($node->sql("UPDATE defender.virtual SET status = 'inProgress' WHERE id = 'v1' RETURNING status, loud, grave"), 'inProgress|TITLE 1|t', 'RETURNING');
	is($node->sql("UPDATE defender.virtual AS v SET status = 'new' FROM cases AS c WHERE c.id = v.id AND c.n = 1 RETURNING v.status, v.loud, v.grave, v"),
		'new|TITLE 1|t|(v1,"Title 1",high,new,"TITLE 1",t)', 'RETURNING by way of a join');
	$emulator->clear;
	foreach my $update ("UPDATE defender.virtual SET status = 'resolved' WHERE id = 'v1'",
		"UPDATE defender.virtual AS v SET status = 'resolved' FROM cases AS c WHERE c.id = v.id AND c.n = 1")
	{
		like($node->error($update)->{message}, qr/violates check constraint "calm"/, "$update: a CHECK of a virtual column");
	}
	is(scalar(grep { /^PATCH/ } $emulator->requests), 0, 'nothing is written');
	is($node->sql("UPDATE defender.virtual SET status = 'resolved' WHERE id = 'v2' RETURNING grave"), 'f', 'one that keeps to it');
	is($node->sql("UPDATE defender.virtual SET status = 'new' WHERE id = 'v2' RETURNING grave"), 'f', 'and back');
	like($node->error("UPDATE defender.virtual SET loud = 'x'")->{message}, qr/can only be updated to DEFAULT/, 'it cannot be set');
	is($node->result('SELECT count(*) FROM graph_fdw_check(\'graph\')') > 0, 1, 'graph_fdw_check()');
	$node->sql('DROP FOREIGN TABLE defender.virtual; DROP TABLE copy.virtual');
});

from(18, 'RETURNING old and new' => sub {
	foreach my $update ("UPDATE defender.alerts SET status = 'resolved' WHERE id = 'v3'",
		"UPDATE defender.alerts AS alerts SET status = 'resolved' FROM cases AS c WHERE c.id = alerts.id AND c.n = 3")
	{
		is($node->sql("$update RETURNING old.status, new.status, alerts.status, old.title = new.title, (old).severity"),
			'new|resolved|resolved|t|high', $update);
		is($node->sql("SELECT status FROM defender.alerts WHERE id = 'v3'"), 'resolved', 'it is written');
		is($node->sql("UPDATE defender.alerts SET status = 'new' WHERE id = 'v3' RETURNING WITH (OLD AS o, NEW AS n) o.status || n.status"),
			'resolvednew', 'other names');
		# of a column that is not set, the service says what it is now
		is($node->sql("UPDATE defender.alerts SET status = 'new' WHERE id = 'v3' RETURNING old.status, new.status"), 'new|new', 'no change');
	}
	is($node->sql("INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('v3', 'x') RETURNING old.comment IS NULL, new.comment, comment"),
		't|x|x', 'INSERT');
	is($node->sql("WITH u AS (UPDATE defender.alerts SET status = 'inProgress' WHERE id IN ('v4', 'v5') RETURNING old.status AS before, new.status AS after, new.id) SELECT * FROM u ORDER BY id"),
		"new|inProgress|v4\nnew|inProgress|v5", 'several');
});

from(18, 'constraints that are not enforced, or not valid' => sub {
	$node->sql(<<'SQL');
CREATE FOREIGN TABLE defender.loose (id text, status text, severity text,
	CONSTRAINT never CHECK (status = 'new') NOT ENFORCED) SERVER graph;
ALTER FOREIGN TABLE defender.loose ADD CONSTRAINT kept CHECK (status <> 'resolved') NOT VALID;
ALTER FOREIGN TABLE defender.loose ADD CONSTRAINT given NOT NULL id;
SQL
	is($node->sql("UPDATE defender.loose SET status = 'inProgress' WHERE id = 'v6' RETURNING status"), 'inProgress', 'not enforced');
	like($node->error("UPDATE defender.loose SET status = 'resolved' WHERE id = 'v6'")->{message}, qr/violates check constraint "kept"/, 'not valid, but enforced');
	$emulator->clear;
	is($node->sql('SELECT count(*) FROM defender.loose WHERE id IS NULL'), 0, 'NOT NULL as a constraint with a name');
	is(scalar(my @none = $emulator->requests), 0, 'asks nothing');
	is($node->sql("SELECT status FROM defender.alerts WHERE id = 'v6'"), 'inProgress', 'nothing else is written');
	$node->sql('DROP FOREIGN TABLE defender.loose');
});

from(17, 'EXPLAIN with MEMORY and SERIALIZE' => sub {
	foreach my $query ('SELECT * FROM defender.alerts', 'SELECT c.n, a.title FROM cases AS c JOIN defender.alerts AS a ON a.id = c.id')
	{
		my $plan = $node->sql("EXPLAIN (ANALYZE, MEMORY, SERIALIZE TEXT, BUFFERS, WAL) $query");

		like($plan, qr/Graph Requests: \d/, "$query: requests");
		like($plan, qr/Serialization: /, 'serialized');
	}
});

from(17, 'COPY FROM that goes on after errors' => sub {
	my $file = $node->basedir . '/comments';

	open my $out, '>', $file or die;
	print $out "v7\tfirst\nv7\n\nv7\tsecond\n";
	close $out;
	$emulator->clear;
	like($node->error("COPY defender.alert_comments (alert_id, comment) FROM '$file'")->{message}, qr/missing data/, 'a line that is no row');
	is(scalar(grep { /^POST/ } $emulator->requests) <= 1, 1, 'nothing after it is written');
});

from(17, 'MERGE' => sub {
	like($node->error("MERGE INTO defender.alerts AS a USING cases AS c ON a.id = c.id WHEN MATCHED THEN UPDATE SET status = 'new'")->{message},
		qr/cannot execute MERGE|not supported/, 'into a foreign table is refused');
	is($node->sql("CREATE TABLE target (id text, title text); MERGE INTO target AS t USING defender.alerts AS a ON a.id = t.id WHEN NOT MATCHED THEN INSERT VALUES (a.id, a.title) RETURNING merge_action(), a.id = t.id"),
		join("\n", ('INSERT|t') x 9), 'from one');
});

from(19, 'rows of the other side once each, with an outer join above' => sub {
	is_same('SELECT c.n, s.title FROM cases AS c LEFT JOIN (SELECT a.id, a.title FROM alerts AS a WHERE a.id IN (SELECT id FROM cases WHERE n > 5)) AS s ON s.id = c.id ORDER BY 1');
});

done_testing();
