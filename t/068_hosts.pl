
# Are evidence's own names asked for, one or several, by constants, parameters and
# the rows of other tables, and does a service that refuses it cost no more than
# a request for the session?

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use JSON::PP ();
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { page_size => 100, evidence_filter => 'true' });

$emulator->set_alerts(
	map {
		my $n = $_;
		alert(
			id              => sprintf('a%03d', $n),
			severity        => (qw(high low medium))[ $n % 3 ],
			createdDateTime => sprintf('2026-07-%02dT%02d:%02d:00Z', 28 - $n / 60, $n % 24, $n % 60),
			evidence        => [
				evidence('deviceEvidence', deviceDnsName => $n % 40 == 7 ? 'WS-' . $n % 40 : 'ws-' . $n % 40, hostName => "h" . $n % 3),
				evidence('userEvidence', userAccount => { userPrincipalName => 'ws-' . $n % 50 }),
				($n % 20 ? () : evidence('deviceEvidence', deviceDnsName => "o'host")),
				($n % 9 ? () : evidence('deviceEvidence')) ],
			comments => [])
	} 1 .. 600);
$node->sql(<<'SQL');
CREATE SCHEMA copies;
CREATE TABLE copies.alerts AS TABLE defender.alerts;
CREATE TABLE copies.device_evidence AS TABLE defender.device_evidence;
CREATE TABLE copies.user_evidence AS TABLE defender.user_evidence;
CREATE TABLE assets (host text, owner int);
INSERT INTO assets VALUES ('ws-1', 1), ('ws-2', 2), ('o''host', 3), (NULL, 4), ('nobody', 5), ('ws-1', 6);
CREATE FUNCTION hosts(int) RETURNS text[] LANGUAGE sql IMMUTABLE AS
	$$ SELECT array_agg('ws-' || n) FROM generate_series(1, $1) AS n $$;
CREATE TABLE many (host text);
INSERT INTO many SELECT 'ws-' || n % 50 FROM generate_series(1, 2000) AS n;
ANALYZE;
SQL

# the requests since the last time, as their filters without what is common
sub asked
{
	my @requests = map { s/%([0-9A-F]{2})/chr hex $1/gier } $emulator->requests;
	$emulator->clear;
	return map { m{\$filter=([^&]*)} ? $1 =~ s{evidence/any\(e: e/microsoft\.graph\.security\.(\w+?)Evidence/(\w+(?:/\w+)?) eq ('(?:''|[^'])*')\)}{$1:$3}gr : 'all' } @requests;
}

# The rows are those of the copies, by requests with these filters.
sub check
{
	my ($name, $statement, $expected, $before) = @_;
	my $rows = 'SET search_path = copies, public; ' . ($before // '') . ' ' . $statement;
	my $right = $node->result($rows);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$emulator->clear;
	is(join("\n", sort split /\n/, $node->result($rows =~ s/copies/defender/r)), join("\n", sort split /\n/, $right), "$name: rows");
	my @asked = asked();
	ref $expected eq 'CODE' ? ok($expected->(@asked), "$name: requests") || diag(join "\n", @asked)
	  : is(join(' + ', @asked), $expected, "$name: requests");
	return;
}

#------------------------------------------------------------------------------
# Constants and parameters
#------------------------------------------------------------------------------

my $select = 'SELECT alert_id, ordinal FROM device_evidence WHERE';
check('IN', "$select device_dns_name IN ('ws-1', 'ws-2')", "(device:'ws-1' or device:'ws-2')");
check('IN, other case', "$select device_dns_name IN ('ws-7', 'WS-7')", "(device:'ws-7' or device:'WS-7')");
check('an OR', "$select device_dns_name = 'ws-1' OR device_dns_name = 'ws-2'", "(device:'ws-1' or device:'ws-2')");
check('IN, and the alert', "$select device_dns_name IN ('ws-1', 'ws-2') AND alert_severity = 'high'", "(device:'ws-1' or device:'ws-2') and severity eq 'high'");
check('a nested property', "SELECT alert_id, ordinal FROM user_evidence WHERE user_account_user_principal_name = ANY ('{ws-1,ws-2}')", "(user:'ws-1' or user:'ws-2')");
check('NOT IN', "$select device_dns_name NOT IN ('ws-1', 'ws-2')", sub { !grep { /device/ } @_ });
check('a count', "SELECT count(*) FROM device_evidence WHERE device_dns_name IN ('ws-1', 'ws-2')", "(device:'ws-1' or device:'ws-2')");
check('a join', "SELECT a.id, d.ordinal, a.severity FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id WHERE d.device_dns_name IN ('ws-1', 'ws-2')", "(device:'ws-1' or device:'ws-2')");
check('a left join', "SELECT a.id, d.ordinal, a.severity FROM alerts AS a LEFT JOIN device_evidence AS d ON d.alert_id = a.id AND d.device_dns_name IN ('ws-1', 'ws-2')", sub { !grep { /device/ } @_ });
check('the alerts that have some', "SELECT id FROM alerts AS a WHERE EXISTS (SELECT FROM device_evidence AS d WHERE d.alert_id = a.id AND d.device_dns_name IN ('ws-1', 'ws-2'))", "(device:'ws-1' or device:'ws-2')");
check('the alerts that have none', "SELECT id FROM alerts AS a WHERE NOT EXISTS (SELECT FROM device_evidence AS d WHERE d.alert_id = a.id AND d.device_dns_name IN ('ws-1', 'ws-2'))", sub { $_[0] !~ /device/ });

my $prepared = "SET plan_cache_mode = force_generic_plan; PREPARE p(text[]) AS $select device_dns_name = ANY (\$1);";
check('a parameter', q{EXECUTE p('{ws-1,NULL,ws-2,ws-1}')}, "(device:'ws-1' or device:'ws-2')", $prepared);
check('one of them', q{EXECUTE p('{o''host}')}, "device:'o''host'", $prepared);
check($_, "EXECUTE p($_)", '', $prepared) foreach ("'{}'", "'{NULL}'", 'NULL');
check('too many', 'EXECUTE p(hosts(60))', sub { @_ > 0 && !grep { /device/ } @_ }, $prepared);
check('too long', q{EXECUTE p(ARRAY[repeat('x', 255), repeat('y', 255)] || array_fill('ws-1'::text, '{100}') || repeat('z', 300))}, sub { @_ > 0 && !grep { /device/ } @_ }, $prepared);
check('after each other', q{EXECUTE p('{ws-1}'); EXECUTE p('{}'); EXECUTE p('{ws-2}')}, "device:'ws-1' + device:'ws-2'", $prepared);
like($node->sql("$prepared EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p('{a}')" =~ s/SELECT alert_id/SET search_path = defender; SELECT alert_id/r =~ s/AS SET search_path = defender; /AS /r =~ s/FROM device/FROM defender.device/r),
	qr/deviceDnsName eq \{any of \$1\}\)/, 'EXPLAIN');

#------------------------------------------------------------------------------
# Rows of other tables
#------------------------------------------------------------------------------

check('a few rows', 'SELECT s.owner, d.alert_id, d.ordinal FROM assets AS s JOIN device_evidence AS d ON d.device_dns_name = s.host',
	sub { @_ <= 6 && join(' ', sort @_) =~ /^device:'nobody' device:'o''host'.* device:'ws-1' .*device:'ws-2'$/ });
check('a few rows, and what is not there', 'SELECT s.owner, d.alert_id, d.ordinal FROM assets AS s LEFT JOIN device_evidence AS d ON d.device_dns_name = s.host',
	sub { @_ <= 6 && !grep { /all/ } @_ });
check('many rows', 'SELECT m.host, d.alert_id, d.ordinal FROM many AS m JOIN device_evidence AS d ON d.device_dns_name = m.host WHERE d.ordinal = 1',
	sub { @_ <= 14 && !grep { /device/ } @_ });
check('IN another table', 'SELECT alert_id, ordinal FROM device_evidence WHERE device_dns_name IN (SELECT host FROM assets WHERE owner < 3)',
	sub { @_ <= 2 && !grep { !/device/ } @_ });
check('a lateral array', "SELECT t.n, d.* FROM (VALUES (1, '{ws-1,ws-2}'::text[]), (2, NULL), (3, '{ws-3}')) AS t(n, hosts), LATERAL (SELECT alert_id, ordinal FROM device_evidence WHERE device_dns_name = ANY (t.hosts) OFFSET 0) AS d",
	"(device:'ws-1' or device:'ws-2') + device:'ws-3'");
$node->set_server(evidence_filter => undef);
check('without the option', 'SELECT s.owner, d.alert_id, d.ordinal FROM assets AS s JOIN device_evidence AS d ON d.device_dns_name = s.host', sub { !grep { /device/ } @_ });
check('without it, IN', "$select device_dns_name IN ('ws-1', 'ws-2')", sub { !grep { /device/ } @_ });
$node->set_server(evidence_filter => 'true');

#------------------------------------------------------------------------------
# A service that refuses or ignores it
#------------------------------------------------------------------------------

my $in = "$select device_dns_name IN ('ws-1', 'ws-2')";
my $right = $node->sql("SET search_path = copies; SELECT count(*) FROM ($in) AS s");
my $session = $node->session;
$session->query('SET search_path = defender, public');
my $count = sub { my ($more) = @_; return $session->query("SELECT count(*) FROM ($in" . ($more // '') . ') AS s') };

$emulator->settings(filter => 'ignore');
is($count->(), $right, 'a service that ignores the filter');
$emulator->settings(filter => 'honour', filter_any => JSON::PP::false());
asked();
is($count->(), $right, 'a service that refuses any()');
my @asked = asked();
is($asked[0], "(device:'ws-1' or device:'ws-2')", 'it was asked once');
ok(!(grep { /device/ } @asked[ 1 .. $#asked ]), 'and then without');
is($count->(), $right, 'the same again');
ok(!(grep { /device/ } asked()), 'it is not asked again');
is($count->(" AND alert_severity = 'high'"), $node->sql("SET search_path = copies; SELECT count(*) FROM ($in AND alert_severity = 'high') AS s"), 'with another filter');
ok(!(grep { !/severity eq 'high'/ } asked()), 'which stays');
is($session->query(q{SELECT count(*) FROM assets AS s JOIN device_evidence AS d ON d.device_dns_name = s.host}),
	$node->sql('SELECT count(*) FROM assets AS s JOIN copies.device_evidence AS d ON d.device_dns_name = s.host'), 'a join');
$session->quit;

# something else is refused as well
foreach my $also ([ select => 'refuse' ], [ count => 'refuse' ], [ orderby => 'refuse' ])
{
	$emulator->settings(filter_any => JSON::PP::true(), @$also);
	my $fresh = $node->session;
	$fresh->query('SET search_path = defender, public');
	is($fresh->query("SELECT count(*) FROM ($in) AS s"), $right, "$also->[0] is refused, any() is not");
	asked();
	is($fresh->query("SELECT count(*) FROM ($in) AS s"), $right, 'again');
	ok(!(grep { !/device/ } asked()), 'any() is still sent');
	$fresh->quit;

	$emulator->settings(filter_any => JSON::PP::false());
	$fresh = $node->session;
	$fresh->query('SET search_path = defender, public');
	is($fresh->query("SELECT count(*) FROM ($in) AS s"), $right, "$also->[0] and any() are refused");
	is($fresh->query("SELECT count(*) FROM ($in AND alert_created_date_time > '2026-07-20') AS s"),
		$node->sql("SET search_path = copies; SELECT count(*) FROM ($in AND alert_created_date_time > '2026-07-20') AS s"), 'again');
	is($fresh->query("SELECT string_agg(alert_id, ',') FROM ($in ORDER BY alert_created_date_time DESC, alert_id LIMIT 5) AS s"),
		$node->sql("SET search_path = copies; SELECT string_agg(alert_id, ',') FROM ($in ORDER BY alert_created_date_time DESC, alert_id LIMIT 5) AS s"), 'in order');
	$fresh->quit;
	$emulator->settings($also->[0] => 'honour');
}

# a filter that is refused for other reasons is an error
$emulator->settings(filter_any => JSON::PP::true(), filter => 'refuse');
like($node->result("SET search_path = defender; SELECT count(*) FROM ($in AND alert_severity = 'high') AS s"), qr/ERROR:.*400/, 'every filter is refused');

done_testing();
