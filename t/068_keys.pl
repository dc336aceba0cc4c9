
# Is what is asked for by id asked for in the cheapest way, and is a test for
# null of what is never null answered without a request?
#
# Ids that are many are read from a list, and then the other clauses go with it.
# How many there are is known while planning, or when the query runs, or anew for
# each outer row.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { page_size => 100 });
my @SEVERITIES = qw(high low medium low informational);

# The first is the newest; one in twelve is of August.
$emulator->set_alerts(
	map {
		alert(
			id              => sprintf('a%03d', $_),
			title           => 'Title ' . $_ % 7,
			severity        => $SEVERITIES[ $_ % 5 ],
			assignedTo      => $_ % 3 ? undef : 'adele@contoso.test',
			createdDateTime => sprintf('2026-%s-%02dT%02d:%02d:00Z', $_ < 50 ? '08' : '07', 28 - $_ / 60, $_ % 24, $_ % 60),
			evidence        => [ map { evidence('deviceEvidence', deviceDnsName => "ws-$_") } 1 .. $_ % 3 ],
			comments        => [ ({ comment => 'c', createdByDisplayName => 'x', createdDateTime => '2026-07-30T00:00:00Z' }) x ($_ % 2) ])
	} 1 .. 600);
$node->sql(<<'SQL');
ALTER DATABASE postgres SET timezone = 'UTC';
CREATE SCHEMA copies;
CREATE TABLE copies.alerts AS TABLE defender.alerts;
CREATE TABLE copies.device_evidence AS TABLE defender.device_evidence;
CREATE TABLE copies.alert_comments AS TABLE defender.alert_comments;
ANALYZE;
ANALYZE defender.alerts, defender.device_evidence;
-- a name for the ids from one number to another
CREATE FUNCTION ids(first int, last int) RETURNS text[] LANGUAGE sql IMMUTABLE AS
	$$ SELECT array_agg('a' || lpad(n::text, 3, '0')) FROM generate_series(first, last) AS n $$;
CREATE FUNCTION later(first int, last int) RETURNS text[] LANGUAGE sql STABLE AS
	$$ SELECT array_agg('a' || lpad(n::text, 3, '0')) FROM generate_series(first, last) AS n $$;
SQL

# The requests since the last time: lookups as their number, a list as its filter.
sub asked
{
	my @requests = map { s/%([0-9A-F]{2})/chr hex $1/gier } $emulator->requests;
	my $lookups = grep { m{/alerts_v2/} } @requests;
	my @lists = map { m{\$filter=([^&]*)} ? $1 : m{/alerts_v2\?} ? 'all' : () } @requests;

	$emulator->clear;
	return join ' + ', ($lookups ? "$lookups lookups" : ()), @lists;
}

# A statement gives the rows of the copies, by these requests.
sub check
{
	my ($name, $statement, $expected, $before) = @_;
	my $rows = "SET search_path = copies, public; " . ($before // '') . ' ' . $statement;
	my $right = $node->result($rows);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$emulator->clear;
	is(join("\n", sort split /\n/, $node->result($rows =~ s/copies/defender/r)),
		join("\n", sort split /\n/, $right), "$name: rows");
	my $asked = asked();
	ref $expected ? like($asked, $expected, "$name: requests") : is($asked, $expected, "$name: requests");
	return;
}

my $AUGUST = q{created_date_time >= '2026-08-01'};
my $SENT = q{createdDateTime ge 2026-07-31T23:59:59.999999Z};

#------------------------------------------------------------------------------
# Ids and other clauses
#------------------------------------------------------------------------------

# Ids that are constants
check('five ids', "SELECT id FROM alerts WHERE id = ANY (ids(1, 5)) AND $AUGUST", '5 lookups');
check('as many ids as the whole list has pages', "SELECT id FROM alerts WHERE id = ANY (ids(47, 52)) AND $AUGUST", '6 lookups');
check('more of them than a list costs', "SELECT id FROM alerts WHERE id = ANY (ids(41, 70)) AND $AUGUST", $SENT);
check('as many without the clause', 'SELECT id FROM alerts WHERE id = ANY (ids(41, 70))', '30 lookups');
check('as many, and a clause that is not sent', "SELECT id FROM alerts WHERE id = ANY (ids(41, 70)) AND title = 'Title 3'", '30 lookups');
check('as many, and a clause that leaves most', "SELECT id FROM alerts WHERE id = ANY (ids(41, 70)) AND created_date_time > '2026-01-01'", '30 lookups');
check('in order', "SELECT id, title FROM alerts WHERE id = ANY (ids(31, 70)) AND $AUGUST ORDER BY created_date_time DESC LIMIT 3", qr/^\Q$SENT\E$/);
check('two lists of ids, and the shorter is written first', "SELECT id FROM alerts WHERE id = ANY (ids(41, 44)) AND id = ANY (ids(40, 70)) AND $AUGUST", '4 lookups');
check('no id', "SELECT id FROM alerts WHERE id = ANY ('{}') AND $AUGUST", '');

# Ids that are known when the query runs
my $generic = 'SET plan_cache_mode = force_generic_plan;';
my $prepared = "$generic PREPARE p(text[], timestamptz) AS SELECT id, severity FROM alerts WHERE id = ANY (\$1) AND created_date_time >= \$2;";
check('a few, in a generic plan', "EXECUTE p(ids(48, 52), '2026-08-01')", '5 lookups', $prepared);
check('many, in a generic plan', "EXECUTE p(ids(1, 400), '2026-08-01')", qr/^\Q$SENT\E$/, $prepared);
check('many, and nothing but NULLs beside', "EXECUTE p(ids(1, 400) || array_fill(NULL::text, '{900}'), '2026-08-01')", qr/^\Q$SENT\E$/, $prepared);
check('one of them many times', "EXECUTE p(array_fill('a001'::text, '{900}'), '2026-08-01')", '1 lookups', $prepared);
check('none', "EXECUTE p('{}', '2026-08-01')", '', $prepared);
check('NULLs', "EXECUTE p('{NULL,NULL}', '2026-08-01')", '', $prepared);
check('NULL', "EXECUTE p(NULL, '2026-08-01')", '', $prepared);
check('many, and a time that is NULL', 'EXECUTE p(ids(1, 400), NULL)', '', $prepared);
check('many, before all times', "EXECUTE p(ids(1, 400), '-infinity')", qr/^all/, $prepared);
check('many, and both again', "EXECUTE p(ids(1, 3), '2026-08-01'); EXECUTE p(ids(1, 400), '2026-08-01'); EXECUTE p(ids(598, 600), '-infinity')",
	qr/^6 lookups \+ \Q$SENT\E$/, $prepared);
check('a sub-select', "SELECT id FROM alerts WHERE id = ANY (ARRAY(SELECT id FROM copies.alerts WHERE id < 'a400')) AND severity = 'high' AND $AUGUST",
	qr/^severity eq 'high' and \Q$SENT\E$|^\Q$SENT\E and severity eq 'high'$/);
check('a stable function', "SELECT id FROM alerts WHERE id = ANY (later(1, 300)) AND title <> 'Title 3' AND severity = 'high'", qr/^severity eq 'high'( |$)/);
check('one of the clauses says more than ids', "SELECT id FROM alerts WHERE (id = ANY (later(1, 300)) AND severity = 'high') OR (id = ANY (later(300, 600)) AND severity = 'medium')",
	qr/^\(severity eq 'high' or severity eq 'medium'\)/);
check('where an arm has ids only', "SELECT id FROM alerts WHERE (id = ANY (later(1, 300)) AND severity = 'high') OR id = ANY (later(300, 600))", qr/^all/);
check('many constants and one that is known later', "SELECT id FROM alerts WHERE (id = ANY (ids(1, 300)) OR id = (SELECT max(id) FROM copies.alerts)) AND $AUGUST", qr/^\Q$SENT\E$/);

# What a filter compares with is evaluated where it is sent, and not where ids are looked up.
my $divided = "$generic PREPARE p(text[], int) AS SELECT id FROM alerts WHERE id = ANY (\$1) AND created_date_time >= '2026-08-01'::timestamptz + 1 / \$2 * interval '1 s';";
check('a value that is an error, and no ids', "EXECUTE p('{}', 0)", '', $divided);
check('a value that is an error, and an id that no alert has', "EXECUTE p('{x}', 0)", '1 lookups', $divided);
check('a value that is none', "EXECUTE p(ids(1, 400), 2)", qr/^\Q$SENT\E$/, $divided);
like($node->result("SET search_path = defender, public; $divided EXECUTE p(ids(1, 400), 0)"), qr/division by zero/, 'a value that is an error, and many ids');
$emulator->clear;

# An outer row after another
check('lookups, a list, and no id, for one outer row each',
	"SELECT t.n, a.id FROM (VALUES (1, ids(1, 3)), (2, ids(1, 300)), (3, NULL), (4, ids(48, 51))) AS t(n, ids), LATERAL (SELECT id FROM alerts WHERE id = ANY (t.ids) AND $AUGUST OFFSET 0) AS a",
	qr/^7 lookups \+ \Q$SENT\E$/);

# Tables of the same alerts
check('a join, and a few ids', "SELECT a.id, ordinal FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id WHERE a.id = ANY (later(48, 52)) AND a.$AUGUST", '5 lookups');
check('a join, and many ids', "SELECT a.id, ordinal FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id WHERE a.id = ANY (later(1, 400)) AND a.$AUGUST", qr/^\Q$SENT\E$/);
check('a join, and the clause of another table', "SELECT a.id, ordinal FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id WHERE a.id = ANY (later(1, 400)) AND d.alert_severity = 'high' AND a.$AUGUST",
	qr/^\Q$SENT\E and severity eq 'high'$|^severity eq 'high' and \Q$SENT\E$/);
check('the nullable side restricts no other', "SELECT a.id, ordinal FROM alerts AS a LEFT JOIN device_evidence AS d ON d.alert_id = a.id AND d.alert_severity = 'high' WHERE a.id = ANY (later(1, 400)) AND a.$AUGUST", qr/^\Q$SENT\E$/);
check('both tables name ids', "SELECT a.id, ordinal FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id WHERE a.id = ANY (later(1, 400)) AND d.alert_id = ANY (later(47, 52)) AND a.$AUGUST", qr/^\Q$SENT\E$|^6 lookups$/);

# What EXPLAIN says
my $plan = $node->sql("$generic SET search_path = defender; PREPARE p(text[], text) AS SELECT id FROM alerts WHERE id = ANY (\$1) AND severity = \$2 AND title = 'x'; EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p('{a}', 'high')");
like($plan, qr/Graph Request: GET \S+\{\$1\}, or for many ids GET .*\$filter=severity eq \{\$2\}&/, 'EXPLAIN: both requests');
like($plan, qr/= \$2\): sent, superset, if the list is read instead of lookups/, 'EXPLAIN: what goes with the list');
like($plan, qr/'x'::text\): local: alerts are asked for by their id|'x'::text\): local: the service does not filter/, 'EXPLAIN: what does not');
$plan = $node->sql("EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM defender.alerts WHERE id = ANY (ids(41, 70)) AND $AUGUST");
like($plan, qr/Graph Request: GET \S+\?\$filter=\Q$SENT\E&/, 'EXPLAIN: a list');
unlike($plan, qr/instead|their id/, 'EXPLAIN: and nothing else');
is(asked(), '', 'EXPLAIN: no requests');

#------------------------------------------------------------------------------
# What is never null
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE FOREIGN TABLE own (id text, same varchar(40) OPTIONS (property 'id'), padded char(10) OPTIONS (property 'id'), title text, either text OPTIONS (property 'id|title')) SERVER graph;
CREATE FOREIGN TABLE devices (alert text OPTIONS (property '../id'), ordinal smallint, also text OPTIONS (property '../id'), device_dns_name text) SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
CREATE TABLE copies.own AS TABLE own;
CREATE TABLE copies.devices AS TABLE devices;
ALTER FOREIGN TABLE own SET SCHEMA defender;
ALTER FOREIGN TABLE devices SET SCHEMA defender;
CREATE TABLE few (id text);
INSERT INTO few VALUES ('a001'), ('none');
ANALYZE few;
SQL
foreach my $clause ('id IS NULL', 'same IS NULL', 'padded IS NULL', 'NOT (id IS NOT NULL)', 'id IS NOT DISTINCT FROM NULL', "id IS NULL AND title = 'Title 3'",
	"(id IS NULL OR same IS NULL)", "id = 'a001' AND id IS NULL", "id = ANY (later(1, 400)) AND id IS NULL", "id IS NULL IS TRUE")
{
	check($clause, "SELECT id FROM own AS t WHERE $clause", '');
	check("count(*) $clause", "SELECT count(*) FROM own AS t WHERE $clause", '');
}
check('an imported table', 'SELECT id FROM alerts WHERE id IS NULL', '');
check("ordinal of $_", "SELECT * FROM $_ WHERE ordinal IS NULL", '') foreach qw(devices device_evidence alert_comments);
check('the id of evidence', 'SELECT ordinal FROM devices WHERE also IS NULL', '');
check('an arm', q{SELECT id FROM own AS t WHERE id IS NULL OR id = 'a003'}, qr/^1 lookups$|^all/);
check('an arm that is sent', q{SELECT id FROM alerts AS t WHERE id IS NULL OR severity = 'high'}, qr/^\(?severity eq 'high'/);
check('a path of two', 'SELECT id FROM own AS t WHERE either IS NULL', qr/^all/);
check('what may be null', 'SELECT id FROM own AS t WHERE title IS NULL', qr/^all/);

# a count is the service's
foreach my $clause ('id IS NOT NULL', 'NOT (id IS NULL)', 'id IS DISTINCT FROM NULL', 'id IS NOT NULL AND same IS NOT NULL')
{
	$emulator->clear;
	is($node->sql("SELECT count(*) FROM defender.own WHERE $clause"), 600, "$clause: the count");
	like(join("\n", $emulator->requests), qr/^[^\n]*\$count=true&\$top=(1|20)$/i, "$clause: one request");
	asked();
}
check('a count with a filter', q{SELECT count(*) FROM alerts WHERE id IS NOT NULL AND severity = 'high'}, q{severity eq 'high'});

# the nullable side of joins has NULLs that are wanted
check('a left join and IS NULL above it', 'SELECT a.id FROM alerts AS a LEFT JOIN devices AS d ON d.alert = a.id WHERE d.alert IS NULL', qr/all/);
check('the same by the ordinal', 'SELECT a.id FROM alerts AS a LEFT JOIN devices AS d ON d.alert = a.id WHERE d.ordinal IS NULL', qr/all/);
check('IS NULL within it', 'SELECT a.id, d.ordinal FROM own AS a LEFT JOIN devices AS d ON d.alert = a.id AND d.alert IS NULL', qr/^all( \+ all)*$|^all.*createdDateTime/);
check('a local table', 'SELECT f.id, a.id FROM few AS f LEFT JOIN own AS a ON a.id = f.id WHERE a.id IS NULL', qr/^2 lookups$/);
check('a whole row', 'SELECT f.id, a FROM few AS f LEFT JOIN alerts AS a ON a.id = f.id WHERE a IS NULL', qr/^2 lookups$/);
check('a full join', 'SELECT f.id, a.id FROM few AS f FULL JOIN own AS a ON a.id = f.id WHERE f.id IS NULL OR a.id IS NULL', qr/^all/);
check('NOT IN', q{SELECT id FROM few WHERE id NOT IN (SELECT id FROM own WHERE id IS NOT NULL)}, qr/^all/);

# copies of the definition
$node->sql('CREATE TABLE kept (LIKE defender.alerts); INSERT INTO kept TABLE defender.alerts; CREATE FOREIGN TABLE mine (LIKE defender.alerts) SERVER graph')
  if $node->result('SHOW server_version_num') >= 180000;
$node->sql('CREATE TABLE liked (LIKE defender.device_evidence); INSERT INTO liked TABLE defender.device_evidence');
is($node->sql('SELECT count(*) FROM liked'), 600, 'CREATE TABLE LIKE');
$emulator->clear;

#------------------------------------------------------------------------------
# What the declarations promise: an alert without an id is an error in each
# reading of a list (t/002_keys.pl has lookups)
#------------------------------------------------------------------------------

my %readings = (
	'a list'        => 'SELECT id FROM defender.alerts',
	'its evidence'  => 'SELECT alert_id, ordinal FROM defender.device_evidence',
	'its comments'  => 'SELECT alert_id, ordinal FROM defender.alert_comments',
	'all evidence'  => 'SELECT alert_id FROM defender.alert_evidence',
	'another column' => 'SELECT title FROM defender.alerts',
	'a filter'      => q{SELECT title FROM defender.alerts WHERE severity = 'low'},
	'an order'      => 'SELECT title FROM defender.alerts ORDER BY created_date_time DESC LIMIT 5',
	'a join'        => 'SELECT a.title, d.ordinal FROM defender.alerts AS a JOIN defender.device_evidence AS d ON d.alert_id = a.id',
	'a left join'   => 'SELECT a.title, d.ordinal FROM defender.alerts AS a LEFT JOIN defender.device_evidence AS d ON d.alert_id = a.id',
	'a count'       => 'SELECT count(*) FROM defender.alerts WHERE id IS NOT NULL',
	'a count of rows' => q{SELECT count(*) FROM defender.alerts WHERE title <> 'x'},
	'COPY'          => 'COPY (SELECT * FROM defender.alerts) TO PROGRAM \'cat > /dev/null\'',
	'ANALYZE'       => 'ANALYZE defender.alerts');
foreach my $id ('null', '7', undef)
{
	my $body = '"title":"x","severity":"low","createdDateTime":"2026-07-01T10:00:00Z","evidence":[{"@odata.type":"#microsoft.graph.security.deviceEvidence"}],"comments":[{"comment":"c"}]';
	my $record = defined $id ? "{\"id\":$id,$body}" : "{$body}";

	foreach my $name (sort keys %readings)
	{
		$emulator->fault(kind => 'element', at => 0, text => $record, times => 9);
		my $error = $node->error($readings{$name});
		$emulator->no_fault;
		like($error->{text} // '', qr/has no "id"/, "$name: an alert " . (defined $id ? "whose id is $id" : 'without an id'));
	}
}


# EXPLAIN ANALYZE shows the request that was made, where it is not the planned one.
foreach my $case (
	[ 'the list instead', q{SELECT title FROM defender.alerts WHERE id = ANY (later(1, 500)) AND severity = 'high'}, qr/Graph Request Made: GET \S+\?\$filter=severity eq 'high'&/ ],
	[ 'lookups',          q{SELECT title FROM defender.alerts WHERE id = ANY (later(1, 2)) AND severity = 'high'}, qr{Graph Request Made: GET \S+/a001, \S+/a002\n} ],
	[ 'a value',          q{SELECT title FROM defender.alerts WHERE severity = (SELECT 'high' OFFSET 0)}, qr/Graph Request Made: GET \S+\?\$filter=severity eq 'high'&/ ],
	[ 'a long value',     q{SELECT title FROM defender.alerts WHERE assigned_to = (SELECT repeat('x', 3000) OFFSET 0)}, qr/Graph Request Made: GET \S+\?\$select=/ ],
	[ 'no value',         q{SELECT title FROM defender.alerts WHERE severity = (SELECT NULL::text OFFSET 0)}, qr/Graph Request Made: none/ ],
	[ 'nothing else',     q{SELECT title FROM defender.alerts WHERE severity = 'high'}, qr/^(?!.*Graph Request Made)/s ])
{
	my ($name, $query, $line) = @$case;
	like($node->sql("EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF) $query"), $line, "the request that was made: $name");
}

done_testing();
