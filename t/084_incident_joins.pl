
# Are joins of incidents, alerts, evidence and local tables planned as a person
# would: few incidents by one request each, many by the two lists?
#
# Without statistics and with them, each compared with local copies; that no
# list is expanded is seen by every request.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use Test::More;

# 500 incidents of three alerts each
my $emulator = GraphEmulator->new('--alerts', 1500, '--no-sample');
my $node = GraphCluster->connected_to($emulator, conf => "fsync = off\njit = off");
my $session = $node->session;

$node->sql(<<'SQL');
CREATE SCHEMA copy;
CREATE TABLE copy.alerts AS SELECT id, incident_id, title, severity, status, created_date_time FROM defender.alerts;
CREATE TABLE copy.device_evidence AS SELECT alert_id, ordinal, incident_id, device_dns_name FROM defender.device_evidence;
CREATE TABLE copy.alert_comments AS SELECT alert_id, ordinal, incident_id, comment FROM defender.alert_comments;
CREATE TABLE copy.incidents AS SELECT id, display_name, severity, status, created_date_time FROM defender.incidents;
CREATE TABLE five AS SELECT incident_id AS incident, row_number() OVER (ORDER BY incident_id)::integer AS n
	FROM (SELECT DISTINCT incident_id FROM copy.alerts ORDER BY 1 LIMIT 5) AS t;
CREATE TABLE twelve AS SELECT incident, n FROM five, generate_series(1, 2);
INSERT INTO twelve VALUES (NULL, 6), ('none', 7);
CREATE TABLE many AS SELECT DISTINCT incident_id AS incident FROM copy.alerts;
CREATE TABLE assets AS SELECT DISTINCT device_dns_name AS name, md5(device_dns_name) AS owner FROM copy.device_evidence WHERE device_dns_name IS NOT NULL;
ANALYZE five, twelve, many, assets, copy.alerts, copy.device_evidence, copy.alert_comments, copy.incidents;
SQL
my @five = split /\n/, $node->sql('SELECT incident FROM five ORDER BY n');
my $first = $five[0];

# The requests since the last time: how many of each kind.
my $all = '';

sub asked
{
	my %number;

	foreach my $request ($emulator->requests)
	{
		$all .= "$request\n";
		$number{ $request =~ m{/incidents/[^/?]+/alerts} ? 'alerts of an incident' : $request =~ m{/incidents/} ? 'an incident'
			  : $request =~ m{/incidents\?} ? 'incidents' : $request =~ m{/alerts_v2/} ? 'an alert' : 'alerts' }++;
	}
	$emulator->clear;
	return \%number;
}

# A query over the foreign tables and over the copy, with its requests.
sub is_same
{
	my ($name, $query, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $right = $node->printed_with($session, 'copy', $query);

	asked();
	is($node->printed_with($session, 'defender', $query), $right, $name);
	my $found = asked();
	my $ok = ref $expected eq 'CODE' ? ok($expected->($found), "$name: requests") : is_deeply($found, $expected, "$name: requests");
	diag(join(', ', map { "$_: $found->{$_}" } sort keys %$found) . "\n" . $node->printed_with($session, 'defender', "EXPLAIN (VERBOSE) $query") =~ s/ *Output: .*\n//gr) unless $ok;
	return;
}

# Only lists: no lookups.
sub lists { my ($found) = @_; return !grep { /^an |of an/ } keys %$found }

# in a session that has seen such a list
$session->query("SELECT count(*) FROM defender.alerts WHERE incident_id = '$first'");

my $I = q{incidents AS i JOIN alerts AS a ON a.incident_id = i.id};
my @SHAPES = (
	[ 'one incident with its alerts', "SELECT i.display_name, a.title FROM $I WHERE i.id = '$first' ORDER BY 1, 2", { 'an incident' => 1, 'alerts of an incident' => 1 } ],
	[ 'two', "SELECT i.display_name, a.title FROM $I WHERE i.id IN ('$first', '$five[1]') ORDER BY 1, 2", { 'an incident' => 2, 'alerts of an incident' => 2 } ],
	[ 'one, said of its alerts', "SELECT i.display_name, a.title FROM $I WHERE a.incident_id = '$first' ORDER BY 1, 2", { 'an incident' => 1, 'alerts of an incident' => 1 } ],
	[ 'the devices of one', "SELECT DISTINCT device_dns_name FROM device_evidence WHERE incident_id = '$first' ORDER BY 1", { 'alerts of an incident' => 1 } ],
	[ 'one with devices', "SELECT i.display_name, d.device_dns_name FROM incidents AS i JOIN device_evidence AS d ON d.incident_id = i.id WHERE i.id = '$first' ORDER BY 1, 2",
		{ 'an incident' => 1, 'alerts of an incident' => 1 } ],
	[ 'one with alerts and devices', "SELECT i.display_name, a.title, d.device_dns_name FROM $I JOIN device_evidence AS d ON d.alert_id = a.id WHERE i.id = '$first' ORDER BY 1, 2, 3",
		{ 'an incident' => 1, 'alerts of an incident' => 1 } ],
	[ 'and with assets', "SELECT a.title, d.device_dns_name, owner FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id LEFT JOIN assets ON name = device_dns_name WHERE a.incident_id = '$first' ORDER BY 1, 2, 3",
		{ 'alerts of an incident' => 1 } ],
	[ 'alerts of five', 'SELECT f.n, a.id FROM five AS f JOIN alerts AS a ON a.incident_id = f.incident ORDER BY 1, 2', { 'alerts of an incident' => 5 } ],
	[ 'five with their alerts', "SELECT f.n, i.display_name, a.id FROM five AS f JOIN incidents AS i ON i.id = f.incident JOIN alerts AS a ON a.incident_id = i.id ORDER BY 1, 2, 3",
		{ 'an incident' => 5, 'alerts of an incident' => 5 } ],
	[ 'the same, told by the other', "SELECT f.n, i.display_name, a.id FROM five AS f JOIN alerts AS a ON a.incident_id = f.incident JOIN incidents AS i ON i.id = f.incident ORDER BY 1, 2, 3",
		{ 'an incident' => 5, 'alerts of an incident' => 5 } ],
	[ 'five with alerts and devices', "SELECT f.n, i.display_name, a.id, d.ordinal FROM five AS f JOIN incidents AS i ON i.id = f.incident JOIN alerts AS a ON a.incident_id = i.id JOIN device_evidence AS d ON d.alert_id = a.id ORDER BY 1, 2, 3, 4",
		{ 'an incident' => 5, 'alerts of an incident' => 5 } ],
	[ 'devices of five', "SELECT f.n, d.device_dns_name, owner FROM five AS f JOIN device_evidence AS d ON d.incident_id = f.incident JOIN assets ON name = device_dns_name ORDER BY 1, 2, 3", { 'alerts of an incident' => 5 } ],
	[ 'comments of five', 'SELECT f.n, c.comment FROM five AS f LEFT JOIN alert_comments AS c ON c.incident_id = f.incident ORDER BY 1, 2', { 'alerts of an incident' => 5 } ],
	[ 'repeated, unknown and null', 'SELECT t.n, count(a.id) FROM twelve AS t LEFT JOIN alerts AS a ON a.incident_id = t.incident GROUP BY 1 ORDER BY 1', { 'alerts of an incident' => 6 } ],
	[ 'numbers of five', "SELECT f.n, count(*), max(a.severity) FROM five AS f JOIN alerts AS a ON a.incident_id = f.incident GROUP BY 1 ORDER BY 1", { 'alerts of an incident' => 5 } ],
	[ 'in', 'SELECT id FROM alerts WHERE incident_id IN (SELECT incident FROM twelve) ORDER BY 1', { 'alerts of an incident' => 6 } ],
	[ 'exists', "SELECT n FROM five AS f WHERE EXISTS (SELECT FROM alerts AS a WHERE a.incident_id = f.incident AND a.severity = 'high') ORDER BY 1", sub { ($_[0]{'alerts of an incident'} // 0) == 5 || ($_[0]{alerts} // 0) == 1 } ],
	[ 'not exists', "SELECT n FROM twelve AS t WHERE NOT EXISTS (SELECT FROM device_evidence AS d WHERE d.incident_id = t.incident) ORDER BY 1", { 'alerts of an incident' => 6 } ],
	[ 'counted for each', 'SELECT n, (SELECT count(*) FROM alerts AS a WHERE a.incident_id = f.incident) FROM five AS f ORDER BY 1', { 'alerts of an incident' => 5 } ],
	[ 'alerts of an alert\'s incident', "SELECT b.id FROM alerts AS a JOIN alerts AS b ON b.incident_id = a.incident_id WHERE a.id = (SELECT min(id) FROM copy.alerts) ORDER BY 1", { 'an alert' => 1, 'alerts of an incident' => 1 } ],
	[ 'locked rows', "SELECT f.n, a.id FROM five AS f JOIN alerts AS a ON a.incident_id = f.incident WHERE n < 3 ORDER BY 1, 2 FOR UPDATE OF f", sub { ($_[0]{'alerts of an incident'} // 0) == 2 || lists($_[0]) } ],
	[ 'all incidents with their alerts', "SELECT count(*), count(DISTINCT i.id) FROM $I", \&lists ],
	[ 'incidents of local rows, too many', 'SELECT count(*), count(DISTINCT a.incident_id) FROM many AS m JOIN alerts AS a ON a.incident_id = m.incident', { alerts => 2 } ],
	[ 'an array of too many', 'SELECT count(*) FROM alerts WHERE incident_id = ANY (ARRAY(SELECT incident FROM many))', { alerts => 2 } ],
);

foreach my $statistics ('', ', analyzed')
{
	is_same("$$_[0]$statistics", @$_[ 1, 2 ]) foreach @SHAPES;
	is_same("a day's incidents with all their alerts$statistics", "SELECT count(*), count(DISTINCT i.id) FROM $I WHERE i.created_date_time >= '2026-07-01'", \&lists);
	is_same("those of high severity$statistics", "SELECT count(*), count(DISTINCT i.id) FROM $I WHERE i.severity = 'high' AND i.status = 'active'", sub { 1 });
	$session->query('ANALYZE defender.alerts, defender.device_evidence, defender.incidents, defender.alert_comments') unless $statistics;
}

# Two of all in one page are not worth two requests.
$emulator->set_alerts(map { GraphEmulator::alert(id => "s$_", incidentId => $_ % 2 ? '1' : '2') } 1 .. 8);
$node->sql('ANALYZE defender.alerts');
asked();
is($node->sql("SELECT count(*) FROM defender.alerts WHERE incident_id IN ('1', '2', '3')"), 8, 'a small tenant');
is_deeply(asked(), { alerts => 1 }, 'a small tenant: requests');

unlike($all, qr/expand/, 'nothing is expanded');
$session->quit;

done_testing();
