
# Is what belongs to an incident read by that incident's own list, and the same
# as the list of all alerts has?
#
# The copy to compare with is made of the list of all, without a condition.
#
#	GRAPH_INCIDENT_QUERIES=3000 GRAPH_SEED=7 prove ... t/081_incident_alerts.pl

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(alert evidence minute %APP $TENANT);
use GraphLogin qw(set_mapping);
use GraphQueries;
use JSON::PP;
use OddServer;
use Test::More;
use Time::HiRes qw(time);

my $count = $ENV{GRAPH_INCIDENT_QUERIES} || 120;
my $chance = GraphQueries->new($ENV{GRAPH_SEED} || 1);
my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, conf => "fsync = off\njit = off");

# Incidents i1 to i30, of three alerts each but for i2, which has 230; and some
# whose ids are odd, or none at all.
my @ODD = ('', ' ', 'a b', ' i3', 'a/b', '..', '50%', '%2e%2e', '$count', "o'neil", 'x\\y', '#?&=+', 'I4', "\x{FC}", "\x{FFFD}", 'q' x 1100, 'q' x 1000, undef);
my $number = 0;

sub of_incident
{
	my ($incident, %members) = @_;
	$number++;
	return alert(
		id => sprintf('a%04d', $number), incidentId => $incident, title => 'Title ' . $number % 7,
		severity => (qw(high medium low))[ $number % 3 ], status => $number % 4 ? 'new' : 'resolved',
		createdDateTime => minute($number), lastUpdateDateTime => minute($number),
		evidence => [ map { evidence($_ % 2 ? 'deviceEvidence' : 'ipEvidence', $_ % 2 ? 'deviceDnsName' : 'ipAddress', "x-$number-$_") } 1 .. $number % 4 ],
		comments => [ map { { comment => "c$_", createdByDisplayName => 'Adele', createdDateTime => minute(0) } } 1 .. $number % 3 ],
		%members);
}

sub all_alerts
{
	$number = 0;
	return (map { my $incident = $_; map { of_incident("i$incident") } 1 .. ($incident == 2 ? 230 : 3) } 1 .. 30), map { of_incident($_) } @ODD, @ODD;
}

$emulator->add_alerts(all_alerts());
$node->copy_tables('defender', 'copy');
$node->sql(<<'SQL');
CREATE TABLE five (incident text, n integer);
INSERT INTO five SELECT 'i' || n, n FROM generate_series(1, 5) AS n;
CREATE TABLE cases (n integer, incident text, v varchar(20), c char(8), severity text);
INSERT INTO cases SELECT n, 'i' || n % 6 + 1, 'i' || n % 4 + 1, 'i' || n % 3 + 1, (ARRAY['low', 'high'])[n % 2 + 1] FROM generate_series(1, 30) AS n;
INSERT INTO cases VALUES (41, NULL, NULL, NULL, NULL), (42, 'a b', '%2e%2e', '50%', 'low'), (43, 'none', 'ü', 'I4', 'low'), (44, repeat('q', 1000), 'i3', ' i3', 'high');
ANALYZE five, cases;
SQL

# The requests since the last time, in short and in order.
sub asked
{
	my @requests = map { s{^GET /v1\.0/security/}{}r =~ s{^alerts_v2\?.*}{list}r =~ s{%24skiptoken=.*|\$skiptoken=.*}{more}r } $emulator->requests;

	$emulator->clear;
	return sort @requests;
}

sub lists_of { return map { "incidents/$_/alerts" } @_ }

# A query over the foreign tables and over the copy, with its requests.
sub is_same
{
	my ($name, $query, @expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	asked();
	my ($right, $found) = split /^\@\n?/m, $node->result("SET search_path = copy, public;\n$query;\n\\echo \@\nSET search_path = defender, public;\n$query");
	is($found, $right =~ s/\n\z//r, $name);
	is_deeply([ asked() ], [ sort @expected ], "$name: requests") if @expected;
	return;
}

#------------------------------------------------------------------------------
# Shapes
#------------------------------------------------------------------------------

my $rows = q{count(*), md5(string_agg(t::text, ' ' ORDER BY t::text COLLATE "C"))};

# in a session that has seen such a list
my $primed = $node->session;

$primed->query("SET search_path = defender, public; SELECT id FROM alerts WHERE incident_id = 'i1'");
foreach my $shape (
	[ 'a constant', "SELECT $rows FROM alerts AS t WHERE incident_id = 'i1'", lists_of('i1') ],
	[ 'with links', "SELECT $rows FROM alerts AS t WHERE incident_id = 'i2'", lists_of('i2', 'i2', 'i2') ],
	[ 'the other way round', "SELECT id FROM alerts WHERE 'i1' = incident_id ORDER BY 1", lists_of('i1') ],
	[ 'none', "SELECT id FROM alerts WHERE incident_id = 'none'", lists_of('none') ],
	[ 'null', 'SELECT id FROM alerts WHERE incident_id = NULL::text' ],
	[ 'several', "SELECT id FROM alerts WHERE incident_id IN ('i1', 'i3', 'i1') ORDER BY 1", lists_of('i1', 'i3') ],
	[ 'an array', "SELECT id FROM alerts WHERE incident_id = ANY ('{i1,NULL,i3,none}') ORDER BY 1", lists_of('i1', 'i3', 'none') ],
	[ 'or', "SELECT id FROM alerts WHERE incident_id = 'i1' OR incident_id = 'i4' ORDER BY 1", lists_of('i1', 'i4') ],
	[ 'or with more', "SELECT id FROM alerts WHERE (incident_id = 'i1' AND severity = 'high') OR (incident_id = 'i4' AND title LIKE '%1') ORDER BY 1", lists_of('i1', 'i4') ],
	[ 'or with something else', "SELECT id FROM alerts WHERE incident_id = 'i1' OR severity = 'high' ORDER BY 1", 'list' ],
	[ 'not', "SELECT count(*) FROM alerts WHERE incident_id <> 'i1'", 'list' ],
	[ 'two at once', "SELECT id FROM alerts WHERE incident_id = 'i1' AND incident_id = 'i3'" ],
	[ 'two arrays', "SELECT id FROM alerts WHERE incident_id IN ('i1', 'i3') AND incident_id IN ('i3', 'i4', 'i5') ORDER BY 1", lists_of('i1', 'i3') ],
	[ 'other clauses', "SELECT id FROM alerts WHERE incident_id = 'i1' AND severity = 'high' AND status = 'new' AND created_date_time > '2026-07-30 23:00Z' ORDER BY 1", lists_of('i1') ],
	[ 'a parameter', q{PREPARE p(text) AS SELECT id FROM alerts WHERE incident_id = $1 ORDER BY 1; SET plan_cache_mode = force_generic_plan; EXECUTE p('i3'); EXECUTE p(NULL); DEALLOCATE p}, lists_of('i3') ],
	[ 'an array that is a parameter', q{PREPARE p(text[]) AS SELECT id FROM alerts WHERE incident_id = ANY ($1) ORDER BY 1; SET plan_cache_mode = force_generic_plan; EXECUTE p('{i3,i4,NULL}'); EXECUTE p('{}'); EXECUTE p(NULL); DEALLOCATE p}, lists_of('i3', 'i4') ],
	[ 'a sub-select', "SELECT id FROM alerts WHERE incident_id = (SELECT incident FROM five WHERE n = 4) ORDER BY 1", lists_of('i4') ],
	[ 'an array of a sub-select', "SELECT id FROM alerts WHERE incident_id = ANY (ARRAY(SELECT incident FROM five WHERE n > 3)) ORDER BY 1", lists_of('i4', 'i5') ],
	[ 'no rows of a sub-select', "SELECT id FROM alerts WHERE incident_id = (SELECT incident FROM five WHERE n = 9)" ],
	[ 'a correlated sub-select', "SELECT n, (SELECT count(*) FROM alerts WHERE incident_id = f.incident AND n > 2) FROM five AS f WHERE n <> 2 ORDER BY 1", lists_of('i3', 'i4', 'i5') ],
	[ 'in a sub-select', "SELECT id FROM alerts WHERE incident_id IN (SELECT incident FROM five WHERE n > 2) ORDER BY 1", lists_of('i3', 'i4', 'i5') ],
	[ 'exists', "SELECT n FROM five AS f WHERE EXISTS (SELECT FROM alerts WHERE incident_id = f.incident AND severity = 'high') ORDER BY 1", lists_of(map { "i$_" } 1 .. 5) ],
	[ 'not exists', "SELECT n FROM five AS f WHERE n <> 2 AND NOT EXISTS (SELECT FROM alerts WHERE incident_id = f.incident AND severity = 'none') ORDER BY 1", lists_of(map { "i$_" } 1, 3 .. 5) ],
	[ 'lateral', "SELECT n, a.id FROM five AS f, LATERAL (SELECT id FROM alerts WHERE incident_id = f.incident ORDER BY id LIMIT 1) AS a WHERE n <> 2 ORDER BY 1", lists_of(map { "i$_" } 1, 3 .. 5) ],
	[ 'a join', "SELECT n, a.id FROM five AS f JOIN alerts AS a ON a.incident_id = f.incident WHERE n <> 2 ORDER BY 1, 2", lists_of(map { "i$_" } 1, 3 .. 5) ],
	[ 'a left join', "SELECT n, a.id FROM five AS f LEFT JOIN alerts AS a ON a.incident_id = f.incident AND a.severity = 'high' WHERE n <> 2 ORDER BY 1, 2", lists_of(map { "i$_" } 1, 3 .. 5) ],
	[ 'one alert of it', "SELECT id FROM alerts WHERE incident_id = 'i1' AND id = 'a0001'", 'alerts_v2/a0001' ],
	[ 'one that is not', "SELECT id FROM alerts WHERE incident_id = 'i1' AND id = 'a0300'", 'alerts_v2/a0300' ],
	[ 'more ids than incidents', "SELECT id FROM alerts WHERE id IN ('a0001', 'a0002', 'a0300') AND incident_id = 'i1' ORDER BY 1", lists_of('i1') ],
	[ 'as many', "SELECT id FROM alerts WHERE incident_id IN ('i1', 'i3') AND id IN ('a0001', 'a0300') ORDER BY 1", 'alerts_v2/a0001', 'alerts_v2/a0300' ],
	[ 'evidence', "SELECT $rows FROM alert_evidence AS t WHERE incident_id = 'i1'", lists_of('i1') ],
	[ 'of one type', "SELECT $rows FROM device_evidence AS t WHERE incident_id IN ('i1', 'i3')", lists_of('i1', 'i3') ],
	[ 'of another', "SELECT $rows FROM ip_evidence AS t WHERE incident_id = 'i3' AND alert_severity = 'high'", lists_of('i3') ],
	[ 'comments', "SELECT $rows FROM alert_comments AS t WHERE incident_id = 'i1'", lists_of('i1') ],
	[ 'a stream', "SELECT a.id, device_dns_name FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id WHERE a.incident_id = 'i1' ORDER BY 1, 2", lists_of('i1') ],
	[ 'a stream by its evidence', "SELECT a.id, comment FROM alerts AS a LEFT JOIN alert_comments AS c ON c.alert_id = a.id JOIN alert_evidence AS e ON e.alert_id = a.id WHERE e.incident_id = 'i3' ORDER BY 1, 2", lists_of('i3') ],
	[ 'a stream, one alert of it', "SELECT a.id, device_dns_name FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id WHERE a.incident_id IN ('i1', 'i2') AND d.alert_id = 'a0001' ORDER BY 1, 2", 'alerts_v2/a0001' ],
	[ 'a stream, more ids', "SELECT a.id FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id WHERE a.incident_id = 'i1' AND d.alert_id IN ('a0001', 'a0300') ORDER BY 1", lists_of('i1') ],
	[ 'a batched stream', "SELECT n, a.id, device_dns_name FROM five AS f JOIN alerts AS a ON a.incident_id = f.incident JOIN device_evidence AS d ON d.alert_id = a.id WHERE n <> 2 ORDER BY 1, 2, 3", lists_of(map { "i$_" } 1, 3 .. 5) ],
	[ 'not one stream', "SELECT count(*) FROM alerts AS a JOIN alerts AS b ON a.severity = b.severity WHERE a.incident_id = 'i1' AND b.incident_id = 'i1'", lists_of('i1', 'i1') ],
	[ 'a count', "SELECT count(*) FROM alerts WHERE incident_id = 'i2'", lists_of('i2', 'i2', 'i2') ],
	[ 'groups', "SELECT severity, count(*) FROM alerts WHERE incident_id IN ('i1', 'i3') GROUP BY 1 ORDER BY 1", lists_of('i1', 'i3') ],
	[ 'an order', "SELECT id FROM alerts WHERE incident_id IN ('i1', 'i3') ORDER BY created_date_time DESC LIMIT 4", lists_of('i1', 'i3') ],
	[ 'a limit', "SELECT count(*) FROM (SELECT id FROM alerts WHERE incident_id = 'i2' LIMIT 3) AS t", lists_of('i2') ],
	[ 'a larger limit', "SELECT count(*) FROM (SELECT id FROM alerts WHERE incident_id = 'i2' LIMIT 130) AS t", lists_of('i2', 'i2') ],
	[ 'a limit with a clause', "SELECT count(*) FROM (SELECT id FROM alerts WHERE incident_id IN ('i1', 'i2') AND title = 'Title 1' LIMIT 30) AS t" ],
	[ 'union', "SELECT id FROM alerts WHERE incident_id = 'i1' UNION ALL SELECT id FROM alerts WHERE incident_id = 'i3' ORDER BY 1", lists_of('i1', 'i3') ],
	[ 'a row', "SELECT id FROM alerts WHERE (incident_id, severity) = ('i1', 'high') ORDER BY 1", lists_of('i1') ],
	[ 'not distinct', "SELECT id FROM alerts WHERE incident_id IS NOT DISTINCT FROM 'i1' ORDER BY 1", 'list' ],
	[ 'a pattern', "SELECT count(*) FROM alerts WHERE incident_id LIKE 'i1%'", 'list' ],
	[ 'another collation', q{SELECT id FROM alerts WHERE incident_id = 'i1' COLLATE "C" ORDER BY 1}, lists_of('i1') ],
	[ 'volatile', "SELECT count(*) FROM alerts WHERE incident_id = 'i' || (1 + floor(random() * 0))::text", 'list' ])
{
	my ($name, $query, @expected) = @$shape;

	is_same($name, $query);
	asked();
	$primed->query($query);
	is_deeply([ map { s/\?more$//r } asked() ], [ sort @expected ], "$name: requests") unless $name eq 'a limit with a clause';
}
$primed->quit;

# Ids that no path can hold are looked for in the list; the others are asked for.
foreach my $id (grep { defined } @ODD)
{
	my $quoted = "'" . $id =~ s/'/''/gr . "'";
	my $list = $id eq '' || length $id > 1024 || $id =~ m{^(?:\.\.|%2e%2e|\$count)$|[/\\\x{FFFD}]};
	my $name = length $id > 20 ? length($id) . ' characters' : "'$id'";

	$name =~ s/([^ -~])/sprintf 'U+%04X', ord $1/ge;
	utf8::encode($quoted);
	is_same("id $name", "SELECT id, title FROM alerts WHERE incident_id = $quoted ORDER BY 1");
	is_same("id $name of run time", "PREPARE p(text) AS SELECT id, title FROM alerts WHERE incident_id = \$1 ORDER BY 1; SET plan_cache_mode = force_generic_plan; EXECUTE p($quoted); DEALLOCATE p");
	asked();
	$node->sql("SELECT id FROM defender.alerts WHERE incident_id = $quoted");
	is((grep { /^list$/ } asked()) ? 1 : 0, $list ? 1 : 0, "id $name: " . ($list ? 'the list' : 'no list'));
	is_same("id $name with others", "SELECT id, title FROM alert_evidence JOIN alerts ON alerts.id = alert_id WHERE alerts.incident_id IN ('i1', $quoted) ORDER BY 1, 2");
}

# Where there are too many, the list costs less.
is_same('too many', "SELECT $rows FROM alerts AS t WHERE incident_id = ANY (ARRAY(SELECT 'i' || n FROM generate_series(1, 400) AS n))", 'list');
is_same('too many constants', "SELECT $rows FROM alerts AS t WHERE severity = 'high' AND incident_id IN (" . join(', ', map { "'i$_'" } 1 .. 400) . ')', 'list');

#------------------------------------------------------------------------------
# What EXPLAIN shows; the option
#------------------------------------------------------------------------------

sub plan { return $node->sql('SET search_path = defender, public; EXPLAIN (VERBOSE) ' . $_[0]) }

like(plan("SELECT id FROM alerts WHERE incident_id = 'i1'"), qr{Graph Request: GET /security/incidents/i1/alerts\n.*sent, exact\n.*Graph Estimate: 10 alerts, 1 request}, 'EXPLAIN');
like(plan('SELECT id FROM alerts WHERE incident_id = (SELECT incident FROM five LIMIT 1)'), qr{Graph Request: GET /security/incidents/\{(?:\$0|\(InitPlan \w+\)\.col1)\}/alerts\n}, 'EXPLAIN: of run time');
like(plan("SELECT id FROM alerts WHERE incident_id = 'i1' AND severity = 'high'"), qr{severity = 'high'.*: sent, exact, if the list is read instead of lookups}, 'EXPLAIN: what else');
unlike(plan("SELECT id FROM alerts WHERE incident_id = 'i1'"), qr{\$select|\$top}, 'without options');
like(plan('SELECT a.id FROM five JOIN alerts AS a ON a.incident_id = five.incident'), qr{Graph Batch.*Graph Cond: \(a.incident_id = five.incident\).*GET /security/incidents/\{a.incident_id\}/alerts}s, 'EXPLAIN: in batches');

is($node->sql("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM defender.alerts WHERE incident_id = 'i1'") =~ /Graph Requests: (\d+)/ && $1, 1, 'EXPLAIN ANALYZE');
foreach my $where ('SERVER graph', 'FOREIGN TABLE defender.alerts')
{
	$node->sql("ALTER $where OPTIONS (ADD incident_lookup 'false')");
	is_same("$where: off", "SELECT id FROM alerts WHERE incident_id = 'i1' ORDER BY 1", 'list');
	is_same("$where: off, a join", 'SELECT n, a.id FROM five AS f JOIN alerts AS a ON a.incident_id = f.incident ORDER BY 1, 2', 'list');
	like(plan("SELECT id FROM alerts WHERE incident_id = 'i1'"), qr/local: the service does not filter by this column/, "$where: EXPLAIN");
	$node->sql("ALTER $where OPTIONS (DROP incident_lookup)");
}
$node->sql("ALTER SERVER graph OPTIONS (ADD incident_lookup 'false'); ALTER FOREIGN TABLE defender.alerts OPTIONS (ADD incident_lookup 'true')");
is_same('on for one table', "SELECT id FROM alerts WHERE incident_id = 'i1' ORDER BY 1", lists_of('i1'));
$node->sql('ALTER SERVER graph OPTIONS (DROP incident_lookup); ALTER FOREIGN TABLE defender.alerts OPTIONS (DROP incident_lookup)');

# A table of one's own.
$node->sql(<<'SQL');
CREATE FOREIGN TABLE own (gone text, nr text OPTIONS (property 'incidentId'), name varchar(9) OPTIONS (property 'incidentId'), key text OPTIONS (property 'id'),
	either text OPTIONS (property 'incidentId|title'), loose varchar OPTIONS (property 'incidentId')) SERVER graph OPTIONS (resource 'alerts');
ALTER FOREIGN TABLE own DROP COLUMN gone;
CREATE FOREIGN TABLE own_evidence (of_incident text OPTIONS (property '../incidentId'), ordinal integer, own_incident text OPTIONS (property 'incidentId'))
	SERVER graph OPTIONS (resource 'evidence');
CREATE FOREIGN TABLE own_incidents (id text, "incidentId" text) SERVER graph OPTIONS (resource 'incidents');
CREATE VIEW careful WITH (security_barrier) AS SELECT * FROM defender.alerts WHERE severity <> 'low';
SQL
foreach my $case (
	[ q{SELECT key FROM own WHERE nr = 'i1' ORDER BY 1}, lists_of('i1') ],
	[ q{SELECT key FROM own WHERE loose = 'i1' ORDER BY 1}, lists_of('i1') ],
	[ q{SELECT nr FROM own WHERE either = 'i1' ORDER BY 1}, 'list' ],
	[ q{SELECT count(*) FROM own_evidence WHERE of_incident = 'i1'}, lists_of('i1') ],
	[ q{SELECT count(*) FROM own_evidence WHERE own_incident = 'i1'}, 'list' ],
	[ q{SELECT id FROM careful WHERE incident_id = 'i1' ORDER BY 1}, lists_of('i1') ])
{
	my ($query, @expected) = @$case;

	asked();
	$node->sql($query);
	is_deeply([ asked() ], \@expected, "own: $query");
}
is($node->sql(q{SELECT string_agg(key, ' ' ORDER BY key) FROM own WHERE nr = 'i1' AND name = 'i1'}), 'a0001 a0002 a0003', 'own: rows');

#------------------------------------------------------------------------------
# At once, again, and interleaved
#------------------------------------------------------------------------------

{
	my $session = $node->session;

	$session->query("SELECT count(*) FROM defender.alerts WHERE incident_id = 'i1'");
	$emulator->settings(latency_ms => 200);
	my $start = time;
	is($session->query('SELECT count(*) FROM defender.alerts WHERE incident_id IN (' . join(', ', map { "'i$_'" } 3 .. 10) . ')'), 24, 'eight incidents');
	cmp_ok(time - $start, '<', 1.2, 'several at once');
	$emulator->settings(latency_ms => 0);
	$session->quit;
}
is_same('a nested loop', <<"SQL");
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off; SET join_collapse_limit = 1;
SELECT n, a.id FROM cases AS c JOIN alerts AS a ON a.incident_id = c.v AND a.severity = c.severity ORDER BY 1, 2
SQL
is_same('a cursor that is left', <<"SQL");
BEGIN;
DECLARE one CURSOR FOR SELECT id FROM alerts WHERE incident_id IN ('i2', 'i3') ORDER BY id COLLATE "C";
FETCH 2 FROM one;
SELECT count(*) FROM alerts WHERE incident_id = 'i4';
FETCH 2 FROM one;
COMMIT
SQL
is_same('a cursor that is held', <<"SQL");
BEGIN;
DECLARE one SCROLL CURSOR WITH HOLD FOR SELECT id FROM alerts WHERE incident_id IN ('i3', 'i4') ORDER BY id COLLATE "C";
FETCH 2 FROM one;
COMMIT;
FETCH BACKWARD 1 FROM one;
FETCH 4 FROM one;
CLOSE one
SQL
is_same('a function', <<"SQL");
CREATE OR REPLACE FUNCTION pg_temp.walk() RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE r record; result text := ''; n bigint;
BEGIN
	FOR r IN SELECT id, incident_id FROM alerts WHERE incident_id IN ('i3', 'i4', 'i5') ORDER BY id COLLATE "C" LOOP
		SELECT count(*) INTO n FROM alert_evidence AS e WHERE e.incident_id = r.incident_id AND e.alert_id = r.id;
		result := result || ' ' || r.id || '=' || n;
	END LOOP;
	RETURN result;
END \$\$;
SELECT pg_temp.walk()
SQL
is_same('every kind of key', "SELECT n, a.id FROM cases AS c LEFT JOIN alerts AS a ON a.incident_id = c.$_ ORDER BY 1, 2") foreach qw(incident v c);
is_same('a batch, and a clause between', 'SELECT n, a.id FROM cases AS c LEFT JOIN alerts AS a ON a.incident_id = c.incident AND a.severity = c.severity WHERE n <> 44 ORDER BY 1, 2');
is_same('updates that look', "DROP TABLE IF EXISTS seen; CREATE TEMP TABLE seen AS TABLE five; UPDATE seen SET n = 100 FROM alerts AS a WHERE a.incident_id = seen.incident AND a.severity = 'high'; SELECT * FROM seen ORDER BY 1");

#------------------------------------------------------------------------------
# What the service spoils
#------------------------------------------------------------------------------

my @QUERIES = ("SELECT $rows FROM alerts AS t WHERE incident_id IN ('i1', 'i2', 'i3')", "SELECT $rows FROM alert_evidence AS t WHERE incident_id = 'i2'");
foreach my $fault ([ kind => 'cut', after => 3000 ], [ kind => 'reset', after => 2000 ], [ kind => 'status', code => 503, retry_after => 0 ], [ kind => 'status', code => 500 ],
	[ kind => 'status', code => 429, retry_after => 0 ], [ kind => 'duplicate_rows', rows => 3 ], [ kind => 'out_of_order' ], [ kind => 'empty_page' ],
	[ kind => 'count', text => '9999' ], [ kind => 'whitespace' ])
{
	foreach my $nth (1, 2)
	{
		$emulator->fault(@$fault, path => '/incidents/i2/alerts', nth => $nth, times => 1);
		is_same("@$fault, $nth: $_", $_) foreach @QUERIES;
		$emulator->no_fault;
	}
}
foreach my $fault ([ 'partial', qr/incomplete answer/ ], [ 'warning', qr/incomplete answer/ ], [ 'value_missing', qr/incomplete answer/ ], [ 'error_in_200', qr/incomplete answer/ ],
	[ 'next_link_loop', qr/incomplete answer/ ], [ 'next_link', qr/refused to follow a nextLink to another origin/ ], [ 'alert_without_id', qr/incomplete answer/ ],
	[ 'malformed', qr/could not read the answer/ ], [ 'value_null', qr/./ ])
{
	my ($kind, $message) = @$fault;

	$emulator->fault(kind => $kind, path => '/incidents/i2/alerts', times => -1);
	like($node->error($QUERIES[0] =~ s/FROM alerts/FROM defender.alerts/r)->{message}, $message, $kind);
	$emulator->no_fault;
}
$node->set_server(on_partial => 'warning');
$emulator->fault(kind => 'next_link_loop', path => '/incidents/i2/alerts', nth => 2, times => 1);
is($node->sql("SELECT count(*) FROM defender.alerts WHERE incident_id = 'i2'"), 200, 'on_partial');
$emulator->no_fault;
$node->set_server(on_partial => undef, max_retries => 0);
$emulator->fault(kind => 'stall', path => '/incidents/', times => -1);
is($node->error("SELECT id FROM defender.alerts WHERE incident_id = 'i1'", before => q{SET statement_timeout = '300ms'})->{state}, '57014', 'canceled');
$emulator->no_fault;
$emulator->fault(kind => 'status', code => 500, path => '/incidents/i2/alerts?', nth => 2, times => -1);
like($node->error("SELECT id FROM defender.alerts WHERE incident_id = 'i2'")->{text}, qr{status 500.*GET /security/incidents/i2/alerts, page 2}s, 'an error names the page');
$emulator->no_fault;
$emulator->fault(kind => 'status', code => 404, error => 'ResourceNotFound', path => '/incidents/i2/alerts?', nth => 2, times => -1);
like($node->error("SELECT id FROM defender.alerts WHERE incident_id = 'i2'")->{text}, qr{status 404}, 'a link that leads nowhere');
$emulator->no_fault;
$node->set_server(max_retries => undef);

#------------------------------------------------------------------------------
# A service that does not know these lists
#------------------------------------------------------------------------------

# What a session asks, statement by statement.
sub session_asks
{
	my ($name, @statements) = @_;
	my $session = $node->session;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$session->query('SET search_path = defender, public');
	while (my ($query, $expected) = splice @statements, 0, 2)
	{
		my $right = $node->sql("SET search_path = copy, public; $query");

		asked();
		is($session->query($query), $right, "$name: $query");
		is_deeply([ asked() ], [ sort @$expected ], "$name: $query: requests") if $expected;
	}
	$session->quit;
	return;
}

my $of_one = q{SELECT string_agg(id, ' ' ORDER BY id) FROM alerts WHERE incident_id = 'i1'};
my $of_three = q{SELECT string_agg(id, ' ' ORDER BY id) FROM alerts WHERE incident_id IN ('i3', 'i4', 'i5')};
my $of_none = q{SELECT count(*) FROM alerts WHERE incident_id IN ('none', 'neither')};

$emulator->settings(incident_alerts => 'unknown');
session_asks('unknown', $of_one, [ lists_of('i1'), 'incidents/i1', 'list' ], $of_three, ['list'], $of_none, ['list'],
	q{SELECT string_agg(alert_id, ' ' ORDER BY alert_id, ordinal) FROM device_evidence WHERE incident_id = 'i1'}, ['list'],
	q{SELECT string_agg(id, ' ' ORDER BY id) FROM five JOIN alerts ON incident_id = incident WHERE n < 4}, ['list']);
session_asks('unknown, three', $of_three, [ lists_of('i3'), 'incidents/i3', 'list' ], $of_one, ['list']);
session_asks('unknown, none', $of_none, [ lists_of('none', 'neither'), 'incidents/none', 'incidents/neither', 'incidents?$top=1' ], $of_one, [ lists_of('i1'), 'incidents/i1', 'list' ]);
session_asks('unknown, a batch', q{SELECT string_agg(id, ' ' ORDER BY id) FROM five JOIN alerts ON incident_id = incident}, [ lists_of('i1'), 'incidents/i1', 'list' ]);
session_asks('unknown, a loop', q{SELECT string_agg(n || ' ' || (SELECT count(*) FROM alerts WHERE incident_id = incident), ' ' ORDER BY n) FROM five}, [ lists_of('i1'), 'incidents/i1', ('list') x 5 ]);
session_asks('unknown, a filter', q{SELECT string_agg(id, ' ' ORDER BY id) FROM alerts WHERE incident_id = 'i1' AND severity = 'high'}, [ lists_of('i1'), 'incidents/i1', 'list' ]);
session_asks('unknown, a limit', q{SELECT count(*) FROM (SELECT id FROM alerts WHERE incident_id = 'i29' LIMIT 2) AS t}, [ lists_of('i29'), 'incidents/i29', 'list' ]);
like($node->sql("EXPLAIN (ANALYZE, VERBOSE) SELECT id FROM defender.alerts WHERE incident_id = 'i1' AND severity = 'high'"),
	qr{Graph Request: GET /security/incidents/i1/alerts.*Graph Request Made: GET /security/alerts_v2\?\$filter=severity eq 'high'}s, 'unknown: EXPLAIN ANALYZE');
{
	my $session = $node->session;

	$session->query("SELECT count(*) FROM defender.alerts WHERE incident_id = 'i1'");
	$emulator->settings(incident_alerts => 'serve');
	$node->set_server(max_retries => 4);
	asked();
	$session->query("SELECT count(*) FROM defender.alerts WHERE incident_id = 'i1'");
	is_deeply([ asked() ], [ lists_of('i1') ], 'until a server is altered');
	$node->set_server(max_retries => undef);
	$session->quit;
}
session_asks('known', $of_none, [ lists_of('none', 'neither'), 'incidents/none', 'incidents/neither', 'incidents?$top=1' ], $of_one, [ lists_of('i1') ], $of_none, [ lists_of('none', 'neither') ]);
session_asks('known, one of them', q{SELECT count(*) FROM alerts WHERE incident_id IN ('none', 'i1', 'neither', 'i3')}, [ lists_of('none', 'i1', 'neither', 'i3'), 'incidents/none', 'incidents?$top=1' ]);

# As other services may say it: with another status, without a word, or not knowing incidents at all.
foreach my $case (
	[ '400', { path => '/alerts?', code => 400, error => 'BadRequest', message => "Resource not found for the segment 'alerts'." }, [ lists_of('i1'), 'incidents/i1', 'list' ] ],
	[ 'no words', { path => '/alerts?', code => 404, body => JSON::PP::false }, [ lists_of('i1'), 'incidents/i1', 'list' ] ],
	[ 'no incidents', { path => '/incidents', code => 404, error => 'ResourceNotFound' }, [ lists_of('i1'), 'incidents/i1', 'incidents?$top=1', 'list' ] ],
	[ 'no incidents, 400', { path => '/incidents', code => 400, error => 'BadRequest' }, [ lists_of('i1'), 'incidents/i1', 'incidents?$top=1', 'list' ] ],
	[ 'no incidents, no words', { path => '/incidents', code => 404, body => JSON::PP::false }, [ lists_of('i1'), 'incidents/i1', 'list' ] ])
{
	my ($name, $fault, $expected) = @$case;

	$emulator->fault(kind => 'status', times => -1, %$fault);
	session_asks($name, $of_one, $expected, $of_three, ['list']);
	$emulator->no_fault;
}

# It is not unknown because it fails.
$node->set_server(max_retries => 1);
$emulator->fault(kind => 'status', code => 503, retry_after => 0, path => '/incidents/i1/alerts', times => 2);
is($node->error('SELECT id FROM defender.alerts WHERE incident_id = $$i1$$')->{message} =~ /status 503/, 1, 'a failure is an error');
$emulator->no_fault;
$node->set_server(max_retries => undef);

#------------------------------------------------------------------------------
# Permissions
#------------------------------------------------------------------------------

set_mapping($node, tenant_id => $TENANT, %{ $APP{alerts_only} });
my $denied = $node->error("SELECT id FROM defender.alerts WHERE incident_id = 'i1'");
is($denied->{state}, '42501', 'without the permission');
like($denied->{hint}, qr/SecurityIncident\.Read\.All.*"incident_lookup".*false/s, 'which is named, and how to do without');
unlike($denied->{text}, qr/emulator-secret/, 'and no secret is told');
$node->set_server(incident_lookup => 'false');
is($node->sql("SELECT count(*) FROM defender.alerts WHERE incident_id = 'i1'"), 3, 'it is done without');
$node->set_server(incident_lookup => undef);
set_mapping($node, access_token => 'emulator-access-token');

#------------------------------------------------------------------------------
# Alerts that move between incidents, and lists that have others
#------------------------------------------------------------------------------

my $json = JSON::PP->new->canonical;
my %lists = (
	5 => [ alert(id => 'a', incidentId => '5'), alert(id => 'b', incidentId => '6'), alert(id => 'c', incidentId => '7'), alert(id => 'd', incidentId => undef), alert(id => 'e', incidentId => 6) ],
	6 => [ alert(id => 'b', incidentId => '6'), alert(id => 'c', incidentId => '6'), alert(id => 'a', incidentId => '6'), alert(id => 'f', incidentId => '6') ]);
my $moving = OddServer->new(sub {
	my ($socket, $request) = @_;
	my ($incident) = $request =~ m{^GET /v1\.0/security/incidents/(\d+)/alerts };

	OddServer::answer($socket, 200, $json->encode({ value => $lists{ $incident // 0 } // [] }));
}, read => 1);
my $odd = options(endpoint => $moving->url, authority => $moving->url);
$node->sql(<<"SQL");
CREATE SCHEMA odd;
CREATE SERVER odd FOREIGN DATA WRAPPER graph_fdw $odd;
CREATE USER MAPPING FOR CURRENT_USER SERVER odd OPTIONS (access_token 'emulator-access-token');
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts) FROM SERVER odd INTO odd;
SQL
is($node->sql(q{SELECT string_agg(id, ' ' ORDER BY id) FROM odd.alerts WHERE incident_id = '5'}), 'a', 'what has left is not there');
is($node->sql(q{SELECT string_agg(id, ' ' ORDER BY id) FROM odd.alerts WHERE incident_id IN ('5', '6')}), 'a b c e f', 'what is in two lists comes once');
is($node->sql(q{SELECT string_agg(id, ' ' ORDER BY id) FROM odd.alerts WHERE incident_id IN ('6', '5')}), 'a b c e f', 'in any order');
is($node->sql(q{SELECT string_agg(id, ' ' ORDER BY id) FROM odd.alerts WHERE incident_id IN ('6', '9')}), 'a b c f', 'none of others');

#------------------------------------------------------------------------------
# Generated queries
#------------------------------------------------------------------------------

sub quoted { my ($text) = @_; return 'NULL' unless defined $text; utf8::encode($text); return "'" . $text =~ s/'/''/gr . "'" }
sub any_id { return quoted($chance->pick('none', 'i1', 'i3', 'i4', 'i5', 'i30', @ODD)) }

sub clause
{
	my ($depth, $incident, $alert) = @_;
	my $kind = $chance->pick_number($depth > 2 ? 6 : 9);

	return '(' . join($chance->pick(' AND ', ' AND ', ' OR '), clause($depth + 1, $incident, $alert), clause($depth + 1, $incident, $alert)) . ')' if $kind >= 7;
	return 'NOT ' . clause($depth + 1, $incident, $alert) if $kind == 6;
	return "$incident = " . any_id() if $kind < 2;
	return "$incident IN (" . join(', ', map { any_id() } 1 .. 3) . ')' if $kind == 2;
	return "$incident = ANY (ARRAY(SELECT incident FROM five WHERE n > " . $chance->pick(2, 4, 9) . '))' if $kind == 3;
	return $chance->pick("$incident IS NULL", "$incident > 'i2'", "$incident <> " . any_id(), "$incident IS DISTINCT FROM " . any_id(), "$incident LIKE 'i1%'") if $kind == 4;
	return $chance->pick("$alert IN ('a0001', 'a0300', 'none')", "$alert = 'a0002'", "$alert > 'a02'");
}

sub generated
{
	my $where = clause(0, 'incident_id', 'id');
	my $of_evidence = clause(0, 'incident_id', 'alert_id');
	my $joined = clause(0, 'a.incident_id', 'a.id');

	return $chance->pick(
		"SELECT count(*) FROM alerts WHERE $where",
		"SELECT $rows FROM alerts AS t WHERE $where",
		"SELECT id FROM alerts WHERE $where AND severity = 'high' ORDER BY created_date_time DESC, id LIMIT 5",
		"SELECT $rows FROM device_evidence AS t WHERE $of_evidence",
		"SELECT count(*) FROM alert_comments WHERE $of_evidence",
		"SELECT a.id, e.ordinal FROM alerts AS a " . $chance->pick('', 'LEFT ') . "JOIN alert_evidence AS e ON e.alert_id = a.id WHERE $joined ORDER BY 1, 2",
		"SELECT n, a.id FROM cases AS c " . $chance->pick('', 'LEFT ') . 'JOIN alerts AS a ON a.incident_id = c.' . $chance->pick(qw(incident v)) . " AND $joined WHERE n > 25 ORDER BY 1, 2",
		"SELECT n FROM cases AS c WHERE " . $chance->pick('', 'NOT ') . "EXISTS (SELECT FROM alert_evidence AS e WHERE e.incident_id = c.incident AND $of_evidence) ORDER BY 1" =~ s/\b(?=alert_id)/e./r,
		"SELECT n, (SELECT max(id) FROM alerts AS a WHERE a.incident_id = f.incident AND $joined) FROM five AS f ORDER BY 1",
		"PREPARE q(text, text[]) AS SELECT count(*), max(id) FROM alerts WHERE (incident_id = \$1 OR incident_id = ANY (\$2)) AND $where; SET plan_cache_mode = force_generic_plan; EXECUTE q("
		  . any_id() . ', ARRAY[' . join(', ', any_id(), any_id()) . ']::text[]); DEALLOCATE q');
}

my %services = (plain => { incident_lookup => 'false', join_pushdown => 'false' }, small => { page_size => 40, concurrency => 3 });
foreach my $name (sort keys %services)
{
	my $server = options(endpoint => $emulator->url, authority => $emulator->url, %{ $services{$name} });

	$node->sql(<<"SQL");
CREATE SCHEMA $name;
CREATE SERVER $name FOREIGN DATA WRAPPER graph_fdw $server;
CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (access_token 'emulator-access-token');
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_evidence, device_evidence, alert_comments) FROM SERVER $name INTO $name;
SQL
}
my @generated = map { generated() } 1 .. $count;
my ($wrong, $answers) = $node->compare_schemas(\@generated, qw(copy defender plain small));
is($wrong, 0, "$count generated queries");
is($answers, $count + 1, 'all of them have an answer');
cmp_ok(scalar(grep { m{^incidents/[^/]+/alerts} } asked()), '>', $count / 4, 'and many were asked by incident');

done_testing();
