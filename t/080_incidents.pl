
# Incidents: are rows and columns what the service has, in as few requests as
# can be, whatever it refuses or ignores?
#
# The copy to compare with is made of their JSON text, without the extension.
#
#	GRAPH_INCIDENT_QUERIES=3000 GRAPH_SEED=7 prove ... t/080_incidents.pl

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(alert %APP $TENANT);
use GraphLogin qw(set_mapping);
use GraphMetadata qw(tables);
use GraphQueries;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $count = $ENV{GRAPH_INCIDENT_QUERIES} || 150;
my $chance = GraphQueries->new($ENV{GRAPH_SEED} || 1);

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, conf => "fsync = off\njit = off");
my $file = PostgreSQL::Test::Utils::tempdir() . '/incidents.jsonl';

my @STATUS = qw(active inProgress resolved redirected awaitingAction);
my @SEVERITY = qw(unknown informational low medium high);
my @PEOPLE = ("o'neil\@contoso.test", 'Adele@contoso.test', 'adele@contoso.test', undef);

sub minute
{
	my ($number) = @_;
	return sprintf '2026-07-%02dT%02d:%02d:00Z', 30 - int($number / 1440),
	  int((1439 - $number % 1440) / 60), (1439 - $number % 1440) % 60;
}

# i0001 is the newest.
sub incident
{
	my ($number, %members) = @_;
	return {
		id                 => sprintf('i%04d', $number),
		displayName        => "Incident $number",
		status             => $STATUS[ $number % 5 ],
		severity           => $SEVERITY[ int($number / 5) % 5 ],
		classification     => $number % 4 ? undef : 'truePositive',
		determination      => $number % 3 ? 'malware' : undef,
		assignedTo         => $PEOPLE[ $number % 4 ],
		createdDateTime    => minute($number),
		lastUpdateDateTime => minute(int($number / 3)),
		comments           => [ map { { comment => "c$_", createdByDisplayName => 'Adele' } } 1 .. $number % 3 ],
		%members
	};
}

# The columns of a foreign table, in order.
sub columns_of
{
	my ($table) = @_;
	return split /\n/, $node->sql(qq{SELECT attname FROM pg_attribute WHERE attrelid = 'defender.$table'::regclass AND attnum > 0 ORDER BY attnum});
}

# The copy, of what the service has now.
sub load_copy
{
	my %table = tables();

	unlink $file;
	append_to_file($file, join '', map { "$_\n" } $emulator->incidents);
	$node->sql(<<"SQL" . join '', map {
DROP SCHEMA IF EXISTS source CASCADE;
DROP SCHEMA IF EXISTS copy CASCADE;
CREATE SCHEMA source;
CREATE SCHEMA copy;
CREATE OR REPLACE FUNCTION elements(a jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS \$\$
	SELECT CASE jsonb_typeof(a) WHEN 'array' THEN
		ARRAY(SELECT t FROM jsonb_array_elements_text(a) WITH ORDINALITY AS e(t, o) ORDER BY o) END \$\$;
CREATE TABLE source.incident (a jsonb);
\\copy source.incident from '$file' with (format csv, quote e'\\x01', delimiter e'\\x02')
CREATE TABLE source.comments_of_incident AS SELECT a, e, o::integer FROM source.incident,
	jsonb_array_elements(a->'comments') WITH ORDINALITY AS t(e, o);
SQL
		my ($from, @columns) = @{ $table{$_} };
		my %expression = map { @$_[ 0, 2 ] } @columns;
		"CREATE TABLE copy.$_ AS SELECT " . join(', ', map { qq{$expression{$_} AS "$_"} } columns_of($_)) . " FROM $from;\n"
	} qw(incidents incident_comments));
	return;
}

# The requests since the last time, without what all have in common.
sub asked
{
	my @requests = map {
		s/%([0-9A-F]{2})/chr hex $1/gier =~ s{^GET /v1\.0/security/incidents}{}r
		  =~ s/([?&])\$select=[^&]*(&|$)/$2 ? $1 : ''/er
		  =~ s/\$count=true&(?=\$top=(?!1$|20$))//r
	} $emulator->requests;

	$emulator->clear;
	return @requests;
}

# A query over the foreign tables and over the copy, with its requests.
sub is_same
{
	my ($name, $query, @expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$emulator->clear;
	my ($right, $found) = split /^\@\n?/m, $node->result("SET search_path = copy, public;\n$query;\n\\echo \@\nSET search_path = defender, public;\n$query");
	is($found, $right =~ s/\n\z//r, $name);
	is_deeply([ sort(asked()) ], [ sort @expected ], "$name: requests") if @expected;
	return;
}

#------------------------------------------------------------------------------
# Shapes, with 120 incidents: three pages
#------------------------------------------------------------------------------

$emulator->add_incidents(map { incident($_) } 1 .. 120);
load_copy();
$node->sql(q{CREATE TABLE three (id text); INSERT INTO three VALUES ('i0003'), ('i0004'), ('none'); ANALYZE three});

my $rows = q{count(*), md5(string_agg(t::text, ' ' ORDER BY t::text COLLATE "C"))};
my @ALL = ('?$top=50', '?$filter=createdDateTime lt 2026-07-30T23:09:00.000001Z&$orderby=createdDateTime desc&$top=50',
	'?$filter=createdDateTime lt 2026-07-30T22:20:00.000001Z&$orderby=createdDateTime desc&$top=50');
my $ACTIVE = '$filter=status eq \'active\'';

foreach my $shape (
	[ 'everything', "SELECT $rows FROM incidents AS t", @ALL ],
	[ 'comments', "SELECT $rows FROM incident_comments AS t", @ALL ],
	[ 'one', q{SELECT id, display_name, priority_score FROM incidents WHERE id = 'i0007'}, '/i0007' ],
	[ 'one that is not there', q{SELECT id FROM incidents WHERE id = 'none'}, '/none' ],
	[ 'several', q{SELECT id FROM incidents WHERE id IN ('i0007', 'i0009') ORDER BY 1}, '/i0007', '/i0009' ],
	[ 'an array', q{SELECT id FROM incidents WHERE id = ANY ('{i0007,NULL,i0009,i0007}') ORDER BY 1}, '/i0007', '/i0009' ],
	[ 'a parameter', q{PREPARE p(text) AS SELECT id FROM incidents WHERE id = $1; SET plan_cache_mode = force_generic_plan; EXECUTE p('i0007'); DEALLOCATE p}, '/i0007' ],
	[ 'a join', q{SELECT t.id, display_name FROM three AS t JOIN incidents AS i ON i.id = t.id ORDER BY 1}, '/i0003', '/i0004', '/none' ],
	[ 'comments of one', q{SELECT * FROM incident_comments WHERE incident_id = 'i0002' ORDER BY ordinal}, '/i0002' ],
	[ 'incidents and their comments', q{SELECT count(*), count(comment) FROM incidents AS i LEFT JOIN incident_comments AS c ON c.incident_id = i.id}, @ALL ],
	[ 'an enum', "SELECT id FROM incidents WHERE status = 'active' ORDER BY 1", "?$ACTIVE&\$top=50" ],
	[ 'enums of comments', "SELECT count(*) FROM incident_comments WHERE incident_status = 'active'", "?$ACTIVE&\$top=50" ],
	[ 'two enums', "SELECT count(*) FROM incidents WHERE status = 'active' AND severity = 'high'", "?$ACTIVE and severity eq 'high'&\$top=50" ],
	[ 'a list', "SELECT count(*) FROM incidents WHERE status IN ('redirected', 'resolved')", '?$filter=(status eq \'redirected\' or status eq \'resolved\')&$top=50' ],
	[ 'not', "SELECT count(*) FROM incidents WHERE status <> 'resolved'", @ALL ],
	[ 'not distinct', "SELECT count(*) FROM incidents WHERE classification IS DISTINCT FROM 'truePositive'", @ALL ],
	[ 'a gated member', "SELECT count(*) FROM incidents WHERE status = 'awaitingAction'", @ALL ],
	[ 'a member of an alert', "SELECT count(*) FROM incidents WHERE status = 'new'", @ALL ],
	[ 'one that alerts have', "SELECT count(*) FROM incidents WHERE status = 'inProgress'", '?$filter=status eq \'inProgress\'&$top=50' ],
	[ 'another case', "SELECT count(*) FROM incidents WHERE status = 'Active'", @ALL ],
	[ 'null', 'SELECT count(*) FROM incidents WHERE classification IS NULL', '?$filter=classification eq null&$count=true&$top=20' ],
	[ 'not null', 'SELECT count(*) FROM incidents WHERE determination IS NOT NULL', '?$filter=determination ne null&$count=true&$top=20' ],
	[ 'a person', q{SELECT count(*) FROM incidents WHERE assigned_to = 'o''neil@contoso.test'}, '?$filter=assignedTo eq \'o\'\'neil@contoso.test\'&$top=50' ],
	[ 'a time', q{SELECT count(*) FROM incidents WHERE created_date_time >= '2026-07-30 23:50Z'}, '?$filter=createdDateTime ge 2026-07-30T23:49:59.999999Z&$top=50' ],
	[ 'the other time', q{SELECT count(*) FROM incidents WHERE last_update_date_time > '2026-07-30 23:50Z'}, '?$filter=lastUpdateDateTime ge 2026-07-30T23:50:00Z&$top=50' ],
	[ 'what only alerts have', q{SELECT count(*) FROM incidents WHERE tenant_id IS NOT NULL}, @ALL ],
	[ 'a count', 'SELECT count(*) FROM incidents', '?$count=true&$top=1' ],
	[ 'the newest', 'SELECT id FROM incidents ORDER BY created_date_time DESC LIMIT 3', '?$orderby=createdDateTime desc&$top=20' ],
	[ 'the oldest', 'SELECT id FROM incidents ORDER BY created_date_time LIMIT 3', '?$orderby=createdDateTime asc&$top=20' ],
	[ 'the newest 45', 'SELECT id FROM incidents ORDER BY created_date_time DESC LIMIT 45', '?$orderby=createdDateTime desc&$top=45' ],
	[ 'the newest active', "SELECT id FROM incidents WHERE status = 'active' ORDER BY created_date_time DESC LIMIT 3", "?$ACTIVE&\$orderby=createdDateTime desc&\$top=50" ],
	[ 'few', 'SELECT count(*) FROM (SELECT id FROM incidents LIMIT 3) AS t', '?$top=3' ])
{
	my ($name, $query, @expected) = @$shape;

	is_same($name, $query, $name eq 'the newest' || $name eq 'the newest active' || $name eq 'the newest 45'
		? () : @expected);
	asked();
	if ($name =~ /^the newest/)
	{
		$node->sql("SET search_path = defender; $query");
		is_deeply([ grep { !/eq null/ } asked() ], \@expected, "$name: requests");
	}
}

# a page is the smaller of what was said and what there is
foreach my $case ([ 1000, 50, 50, 50 ], [ 51, 50, 50, 50 ], [ 40, 40, 41, 41 ])
{
	my ($said, @top) = @$case;	# one more: the last of the page before comes again

	$node->set_server(page_size => $said);
	$emulator->clear;
	is($node->sql('SELECT count(DISTINCT display_name) FROM defender.incidents'), 120, "page_size $said");
	is_deeply([ map { /\$top=(\d+)/ } $emulator->requests ], \@top, "page_size $said: \$top");
}
$node->set_server(page_size => undef);
like($node->sql('EXPLAIN (VERBOSE) SELECT id FROM defender.incidents'), qr/\$top=50$/m, 'EXPLAIN shows the page');
like($node->sql("EXPLAIN (VERBOSE) SELECT id FROM defender.incidents WHERE status <> 'active'"), qr/local: the service may ignore case/, 'and why');
like($node->sql(q{EXPLAIN (VERBOSE) SELECT id FROM defender.incidents WHERE id = 'i0001' AND status = 'active'}), qr/local: incidents are asked for by their id/, 'and for an id');
$emulator->clear;
like($node->result('ANALYZE VERBOSE defender.incidents'), qr/^/, 'ANALYZE');
is(scalar(my @sampled = $emulator->requests), 3, 'ANALYZE: requests');
cmp_ok($node->sql("SELECT reltuples FROM pg_class WHERE oid = 'defender.incidents'::regclass"), '==', 120, 'ANALYZE: the number of rows');
$node->sql('DROP FOREIGN TABLE defender.incidents; IMPORT FOREIGN SCHEMA security LIMIT TO (incidents) FROM SERVER graph INTO defender');

#------------------------------------------------------------------------------
# Members in another case, as in the examples of the documentation
#------------------------------------------------------------------------------

$emulator->reset;
$emulator->add_incidents(map { incident($_, $_ % 40 == 15 ? (status => 'Active', severity => 'HIGH', classification => 'TruePositive') : ()) } 1 .. 120);
load_copy();
foreach my $clause ("status = 'active'", "status = 'Active'", "status <> 'active'", "status <> 'Active'", "severity = 'high'",
	"severity IN ('high', 'HIGH')", "severity NOT IN ('low', 'high')", "classification IS DISTINCT FROM 'truePositive'",
	"classification IS NOT DISTINCT FROM 'truePositive'", "NOT (status = 'active' OR severity = 'high')",
	"status LIKE 'a%'", "status ILIKE 'a%'", "lower(status) = 'active'", "status > 'active'", "NOT (status LIKE 'a%')",
	"CASE status WHEN 'active' THEN 1 ELSE 2 END = 2", "coalesce(classification, 'x') = 'x'", "severity ~ '^[a-z]'",
	"status <> 'active' AND status <> 'resolved'", "status = 'active' OR status LIKE 'r%'", "length(status) = 6",
	"status = ANY ('{active,resolved}')", "status <> ALL ('{active,resolved}')", "classification = 'truePositive' OR classification IS NULL")
{
	is_same("$clause: count", "SELECT count(*) FROM incidents WHERE $clause");
	is_same("$clause: rows", "SELECT $rows FROM incidents AS t WHERE $clause");
	is_same("$clause: of comments", "SELECT count(*) FROM incident_comments WHERE " . $clause =~ s/\b(status|severity|classification)\b/incident_$1/gr)
	  unless $clause =~ /classification/;
}


# nor are they counted by member, where that would take fewer requests
$node->set_server(page_size => 5);
$node->sql('ANALYZE defender.incidents');
is_same('by group', 'SELECT severity, count(*) FROM incidents GROUP BY severity ORDER BY severity COLLATE "C"');
is(scalar(grep { /severity eq/ } asked()), 0, 'by group: none is counted by its member');
is_same('by another', 'SELECT classification, count(*) FROM incidents GROUP BY classification ORDER BY classification COLLATE "C"');
$node->set_server(page_size => undef);

#------------------------------------------------------------------------------
# A long list, in windows
#------------------------------------------------------------------------------

$emulator->reset;
$emulator->add_incidents(map { incident($_) } 1 .. 2000);
$emulator->clear;
is($node->sql('SELECT count(DISTINCT display_name), count(*) FROM defender.incidents WHERE display_name IS NOT NULL'), '2000|2000', 'a long list');
my @pages = $emulator->records;
cmp_ok(scalar(@pages), '<=', 46, 'a long list: pages') || diag(scalar @pages);
my %lower = map { ($_->{params}{'$filter'} // '') =~ /createdDateTime ge (\S+)/ ? ($1 => 1) : () } @pages;
cmp_ok(scalar(keys %lower), '>=', 2, 'a long list: windows');
is(scalar(grep { $_->{status} != 200 } @pages), 0, 'a long list: nothing is refused');
$emulator->clear;
is($node->sql('SELECT count(*) FROM defender.incidents'), 2000, 'counted');
is(scalar(my @counted = $emulator->requests), 1, 'counted: requests');
$node->set_server(concurrency => 1);
$emulator->clear;
is($node->sql('SELECT count(DISTINCT display_name) FROM defender.incidents WHERE display_name IS NOT NULL'), 2000, 'by one chain');
# each page but the first has the last incident of the page before
is(scalar(@pages = $emulator->requests), 41, 'by one chain: pages');
$node->set_server(concurrency => undef);

# many of one time: more than a page
$emulator->reset;
$emulator->add_incidents(map { incident($_, createdDateTime => $_ < 150 ? minute(10) : minute($_)) } 1 .. 400);
foreach my $listed ('newest', 'oldest')
{
	$emulator->settings(listed => $listed);
	is($node->sql('SELECT count(DISTINCT display_name), count(*) FROM defender.incidents WHERE display_name IS NOT NULL'), '400|400', "many of one time, $listed first");
	is($node->sql('SELECT md5(string_agg(id, $$ $$ ORDER BY created_date_time, id)) FROM (SELECT id, created_date_time FROM defender.incidents ORDER BY created_date_time LIMIT 350) AS t') =~ /^[0-9a-f]{32}$/, 1, "many of one time, $listed first: in order");
}

#------------------------------------------------------------------------------
# What the service refuses, ignores and spoils
#------------------------------------------------------------------------------

$emulator->reset;
$emulator->add_incidents(map { incident($_) } 1 .. 120);
$emulator->add_alerts(map { alert(id => "a$_", incidentId => "i000$_") } 1 .. 3);
load_copy();
my @QUERIES = (
	'SELECT count(*) FROM incidents',
	"SELECT count(*), max(id) FROM incidents WHERE status = 'active' AND severity = 'high'",
	'SELECT count(*) FROM incidents WHERE classification IS NULL',
	q{SELECT id FROM incidents WHERE created_date_time >= '2026-07-30 23:30Z' ORDER BY id},
	'SELECT id FROM incidents ORDER BY created_date_time DESC LIMIT 60',
	"SELECT $rows FROM incident_comments AS t",
	q{SELECT display_name FROM incidents WHERE id = 'i0005'});
foreach my $name (qw(filter orderby select count))
{
	foreach my $treatment (qw(ignore refuse))
	{
		next if "$name $treatment" eq 'filter refuse';
		$emulator->settings($name => $treatment);
		is_same("$name: $treatment: $_", $_) foreach @QUERIES;
		$emulator->settings($name => 'honour');
	}
}
foreach my $setting ([ unsorted => JSON::PP::true ], [ listed => 'oldest' ], [ next_link_by => 'skip' ], [ page_size => 7 ])
{
	$emulator->settings(@$setting);
	is_same("$setting->[0]: $_", $_) foreach @QUERIES;
	$emulator->settings(unsorted => JSON::PP::false, listed => 'newest', next_link_by => 'skiptoken', page_size => 100);
}
foreach my $fault ([ kind => 'cut', after => 3000 ], [ kind => 'reset', after => 2000 ], [ kind => 'status', code => 503, retry_after => 0 ],
	[ kind => 'duplicate_rows', rows => 3 ], [ kind => 'out_of_order' ], [ kind => 'empty_page' ], [ kind => 'expired_token' ])
{
	$emulator->fault(@$fault, path => '/incidents?', nth => 2, times => 1);
	is_same("$fault->[1]: $QUERIES[5]", $QUERIES[5]) unless $fault->[1] eq 'expired_token';
	$emulator->no_fault;
}
$emulator->fault(kind => 'missing_next_link', times => -1);
is_same('no links', $QUERIES[5]);
$emulator->no_fault;
$emulator->fault(kind => 'count', text => '9999', times => -1);
like($node->error('SELECT id FROM defender.incidents')->{text}, qr/incomplete answer\n.*\d incidents,? and the service counts 9999/, 'a count that is too high');
$emulator->no_fault;
$emulator->fault(kind => 'alert_without_id', times => -1);
like($node->error('SELECT id FROM defender.incidents')->{detail}, qr/^An incident has no "id"/, 'without an id');
$emulator->no_fault;
$emulator->fault(kind => 'partial', times => 1);
like($node->error('SELECT id FROM defender.incidents')->{message}, qr/incomplete answer/, 'partial');
$emulator->add_incidents(incident(9, comments => 17));
like($node->error(q{SELECT * FROM defender.incident_comments WHERE incident_id = 'i0009'})->{message}, qr/^property "comments" of incident "i0009" is not an array/, 'no array');
$emulator->add_incidents(incident(9, priorityScore => 'x'));
like($node->error(q{SELECT priority_score FROM defender.incidents WHERE id = 'i0009'})->{context}, qr/^column "priority_score" of foreign table "incidents", incident "i0009"/m, 'no number');
$emulator->add_incidents(incident(9));

# What is refused for one of the two is not for the other.
{
	my $session = $node->session;
	my $list = sub { my ($table) = @_; $emulator->clear; $session->query("SELECT id FROM defender.$table"); return ($emulator->requests)[-1] };

	$emulator->fault(kind => 'status', code => 400, path => '/incidents?$select', times => 1);
	unlike($list->('incidents'), qr/select/, '$select is refused for incidents');
	unlike($list->('incidents'), qr/select/, 'and remembered');
	like($list->('alerts'), qr/select/, 'but not for alerts');
	$session->quit;
}

#------------------------------------------------------------------------------
# Permissions and secrets
#------------------------------------------------------------------------------

set_mapping($node, tenant_id => $TENANT, %{ $APP{alerts_only} });
my $denied = $node->error('SELECT id FROM defender.incidents');
is($denied->{state}, '42501', 'without the permission');
like($denied->{hint}, qr/SecurityIncident\.Read\.All/, 'which is named');
unlike($denied->{text}, qr/emulator-secret/, 'and no secret is told');
is($node->sql('SELECT count(*) FROM defender.alerts'), 3, 'alerts are another permission');
set_mapping($node, access_token => 'emulator-access-token');
$emulator->fault(kind => 'status', code => 500, message => 'it was emulator-access-token', times => -1);
$node->set_server(max_retries => 0);
unlike($node->error('SELECT id FROM defender.incidents')->{text}, qr/emulator-access-token/, 'a token that comes back is not shown');
$emulator->no_fault;
$emulator->fault(kind => 'stall', times => -1);
is($node->error('SELECT id FROM defender.incidents', before => q{SET statement_timeout = '300ms'})->{state}, '57014', 'canceled');
$emulator->no_fault;
$node->set_server(max_retries => undef);

#------------------------------------------------------------------------------
# Generated queries
#------------------------------------------------------------------------------

$emulator->reset;
my @TIMES = ((map { "2026-07-20T10:00:00${_}Z" } '', qw(.0000004 .0000005 .000001 .0000015 .000002 .9999999)), '2026-07-20T10:00:01Z',
	'2026-07-19T22:00:00Z', '1999-12-31T23:59:59.9999995Z', '9999-12-31T23:59:59.9999999Z');
my %MEMBERS = (
	status => [ @STATUS, qw(unknownFutureValue Active RESOLVED brandNew) ],
	severity => [ @SEVERITY, 'High', 'unknownFutureValue' ],
	classification => [ qw(unknown truePositive falsePositive TruePositive), undef ],
	determination => [ qw(malware phishing Malware other), undef ],
	assignedTo => [ @PEOPLE, '' ]);
$emulator->add_incidents(map {
	my $number = $_;
	incident($number, createdDateTime => $chance->pick(@TIMES), lastUpdateDateTime => $chance->pick(@TIMES, undef),
		map { $_ => $chance->pick(@{ $MEMBERS{$_} }) } keys %MEMBERS)
} 1 .. 140);
load_copy();

sub quoted { my ($text) = @_; return defined $text ? "'" . $text =~ s/'/''/gr . "'" : 'NULL' }

sub clause
{
	my ($depth) = @_;
	my $kind = $chance->pick_number($depth > 2 ? 6 : 9);

	return '(' . join($chance->pick(' AND ', ' OR '), clause($depth + 1), clause($depth + 1)) . ')' if $kind >= 7;
	return 'NOT ' . clause($depth + 1) if $kind == 6;
	if ($kind == 0)
	{
		my $column = $chance->pick(qw(created_date_time last_update_date_time));
		return "$column " . $chance->pick(qw(< <= > >= = <>)) . ' ' . quoted($chance->pick(@TIMES));
	}
	my ($column, $name) = @{ $chance->pick(map { [ /To/ ? 'assigned_to' : $_, $_ ] } sort keys %MEMBERS) };
	my @words = (@{ $MEMBERS{$name} }, 'new', 'nonsense');
	return "$column IS " . $chance->pick('', 'NOT ') . 'NULL' if $kind == 1;
	return "$column " . $chance->pick('IN', 'NOT IN') . ' (' . join(', ', map { quoted($chance->pick(@words)) } 1 .. 3) . ')' if $kind == 2;
	return "$column IS " . $chance->pick('', 'NOT ') . 'DISTINCT FROM ' . quoted($chance->pick(@words)) if $kind == 3;
	return "$column " . $chance->pick('LIKE', 'ILIKE', 'NOT LIKE', '<', '>=') . ' ' . quoted($chance->pick('a%', 'A%', '%e', 'high', 'malware')) if $kind == 4;
	return "$column " . $chance->pick('=', '=', '<>') . ' ' . quoted($chance->pick(@words));
}

sub generated
{
	my $where = clause(0);

	return $chance->pick(
		"SELECT count(*) FROM incidents WHERE $where",
		"SELECT $rows FROM incidents AS t WHERE $where",
		"SELECT id, status FROM incidents WHERE $where ORDER BY id COLLATE \"C\"",
		"SELECT created_date_time FROM incidents WHERE $where ORDER BY created_date_time " . $chance->pick('', 'DESC', 'DESC NULLS LAST') . ' LIMIT 9',
		"SELECT last_update_date_time FROM incidents WHERE $where ORDER BY last_update_date_time " . $chance->pick('', 'DESC') . ' LIMIT 9',
		"SELECT count(*), count(comment), max(display_name) FROM incidents AS i LEFT JOIN incident_comments AS c ON c.incident_id = i.id WHERE $where" =~ s/\bcreated_date_time\b/i.created_date_time/gr,
		"SELECT count(*) FROM incidents AS i JOIN three AS t ON t.id = i.id WHERE $where",
		"SELECT id FROM incidents WHERE id IN ('i0003', 'i0140', 'none') AND $where ORDER BY 1",
		"SELECT count(*) FROM incidents WHERE status = " . quoted($chance->pick(@{ $MEMBERS{status} })) . " AND severity = " . quoted($chance->pick(@{ $MEMBERS{severity} })));
}

my %services = (plain => { select_pushdown => 'false', order_pushdown => 'false', count_pushdown => 'false', join_pushdown => 'false' },
	small => { page_size => 15, concurrency => 3 });
foreach my $name (sort keys %services)
{
	my $server = options(endpoint => $emulator->url, authority => $emulator->url, %{ $services{$name} });

	$node->sql(<<"SQL");
CREATE SCHEMA $name;
CREATE SERVER $name FOREIGN DATA WRAPPER graph_fdw $server;
CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (access_token 'emulator-access-token');
IMPORT FOREIGN SCHEMA security LIMIT TO (incidents, incident_comments) FROM SERVER $name INTO $name;
SQL
}
my @generated = map { generated() } 1 .. $count;
my ($wrong, $answers) = $node->compare_schemas(\@generated, qw(copy defender plain small));
is($wrong, 0, "$count generated queries");
is($answers, $count + 1, 'all of them have an answer');

done_testing();
