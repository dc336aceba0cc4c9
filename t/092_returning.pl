
# RETURNING: is it what the service has answered, whatever that is, and is
# nothing read for it that nobody has asked for?

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence minute);
use JSON::PP;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { updatable => 'true', max_retries => 1 }, conf => "fsync = off\njit = off");
my $ALERTS = '/v1.0/security/alerts_v2';

sub reset_service
{
	$emulator->reset;
	$emulator->set_alerts(map {
		alert(id => "r$_", title => "Title $_", status => 'new', classification => undef, assignedTo => undef, customDetails => undef,
			createdDateTime => minute($_), lastUpdateDateTime => minute($_), resolvedDateTime => undef,
			evidence => [ evidence('deviceEvidence', deviceDnsName => "ws-$_") ],
			comments => [ { comment => 'old', createdByDisplayName => 'Adele', createdDateTime => '2026-07-01T00:00:00Z' } ]) } 1 .. 4);
	$emulator->add_incidents({
		id => '900', displayName => 'Nine', status => 'Active', severity => 'medium', customTags => [], comments => [],
		assignedTo => 'Adele@contoso.test', createdDateTime => minute(1), lastUpdateDateTime => minute(1) });
	$emulator->clear;
	return;
}

# The result, and all requests after the one that finds the row.
sub is_returned
{
	my ($statement, $expected, @requests) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $name = $statement =~ s/\s+/ /gr;

	is($node->result($statement), $expected, $name);
	my @made = $emulator->requests;
	@made = @made[ grep { $made[$_] !~ m{^GET /v1.0/security/\w+(?:\?|/\w+$)} || grep { /^(?:PATCH|POST)/ } @made[ 0 .. $_ - 1 ] } 0 .. $#made ];
	is(join("\n", sort @made), join("\n", sort @requests), "$name: requests");
	$emulator->clear;
	return;
}

my $PATCH = "PATCH $ALERTS/r1";
my $GET = "GET $ALERTS/r1";
my $POST = "POST $ALERTS/r1/comments";

#------------------------------------------------------------------------------
# What the answer to a PATCH has
#------------------------------------------------------------------------------

# name, setting, what makes a GET necessary: the evidence, a time
foreach my $case ([ 'record', 1, 0 ], [ 'whole', 0, 0 ], [ 'empty', 1, 1 ], [ 'changes', 1, 1 ])
{
	my ($answer, $evidence, $other) = @$case;

	reset_service();
	$emulator->settings(update_answer => $answer);
	is_returned(q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'r1' RETURNING last_update_date_time > '2026-07-31', resolved_date_time IS NOT NULL, title},
		't|t|Title 1', $PATCH, $other ? $GET : ());
	is_returned(q{UPDATE defender.alerts SET status = 'new' WHERE id = 'r1' RETURNING id, status}, 'r1|new', $PATCH, $answer eq 'empty' ? $GET : ());
	is_returned(q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'r1' RETURNING evidence->0->>'deviceDnsName', status}, 'ws-1|resolved',
		$PATCH, $evidence ? $GET : ());
	is_returned(q{UPDATE defender.alerts SET status = 'new' WHERE id = 'r1' RETURNING raw->'evidence'->0->>'deviceDnsName', raw->>'status', raw ? '@odata.context'},
		'ws-1|new|f', $PATCH, $evidence ? $GET : ());
	is_returned(q{UPDATE defender.alerts SET status = 'inProgress' WHERE id = 'r1'}, '', $PATCH, $answer eq 'empty' ? $GET : ());
	# a join is written one row after the other
	is_returned(q{UPDATE defender.alerts a SET status = 'resolved' FROM (VALUES ('r1', 'one')) AS v(id, name) WHERE v.id = a.id RETURNING name, status, last_update_date_time > '2026-07-31'},
		'one|resolved|t', $PATCH, $answer eq 'empty' ? $GET : ());
	# nothing differs: the row as it was found
	is_returned(q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'r1' RETURNING evidence->0->>'deviceDnsName', raw->>'status'}, 'ws-1|resolved');
}
reset_service();
is($node->sql(q{WITH u AS (UPDATE defender.alerts SET status = 'resolved' RETURNING alerts) SELECT count(*), count((u.alerts).evidence), min((u.alerts).status) FROM u}),
	'4|4|resolved', 'a whole row');

#------------------------------------------------------------------------------
# Comments
#------------------------------------------------------------------------------

reset_service();
is_returned(q{INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('r1', 'one') RETURNING alert_id, ordinal, comment, created_by_display_name, created_date_time > '2026-07-31'},
	'r1|2|one|graph-emulator-app|t', $POST);
is_returned(q{INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('r1', 'old') RETURNING ordinal, created_by_display_name}, '3|graph-emulator-app', $POST);
is_returned(q{INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('r1', 'three') RETURNING ordinal, alert_title, raw->>'comment'}, '4|Title 1|three', $POST, $GET);
is_returned(q{INSERT INTO defender.alert_comments (alert_id, comment) SELECT 'r1', 'n' || n FROM generate_series(1, 3) AS n RETURNING ordinal, comment},
	"5|n1\n6|n2\n7|n3", ($POST) x 3);
is_returned(q{INSERT INTO defender.incident_comments (incident_id, comment) VALUES ('900', 'x') RETURNING incident_id, ordinal, comment}, '900|1|x',
	'POST /v1.0/security/incidents/900/comments');
is_returned(q{INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('r1', 'echo') RETURNING comment || '!'}, 'echo!', $POST);

#------------------------------------------------------------------------------
# What was not taken
#------------------------------------------------------------------------------

foreach my $answer (qw(record whole empty changes))
{
	reset_service();
	$emulator->settings(update_answer => $answer, not_taken => 'classification');
	my $error = $node->error(q{UPDATE defender.alerts SET status = 'resolved', classification = 'falsePositive' WHERE id = 'r1'});
	like($error->{text}, qr/alert "r1".*"classification"/s, "$answer: says which property was not taken");
	unlike($error->{text}, qr/"status"/, "$answer: and only that");
}
# in another case it was taken, where the service has other cases
reset_service();
is_returned(q{UPDATE defender.incidents SET assigned_to = 'adele@contoso.test', status = 'resolved' WHERE id = '900' RETURNING assigned_to}, 'adele@contoso.test',
	'PATCH /v1.0/security/incidents/900');

#------------------------------------------------------------------------------
# EXPLAIN
#------------------------------------------------------------------------------

reset_service();
my $plan = $node->sql(q{EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF) UPDATE defender.alerts SET status = 'resolved' WHERE id IN ('r1', 'r2') RETURNING id});
like($plan, qr/Graph Request: PATCH \/security\/alerts_v2\/\{id\} \{status\}/, 'EXPLAIN shows the request');
like($plan, qr/Graph Writes: 2\b/, '... and counts writes');
like($plan, qr/Graph Client Request Ids: [0-9a-f]{8}-[0-9a-f-]{27}, [0-9a-f]{8}-/, '... and how the service\'s log names them');
$plan = $node->sql(q{EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) INSERT INTO defender.alert_comments (alert_id, comment) SELECT 'r' || n, 'x' FROM generate_series(1, 3) AS n});
like($plan, qr/Graph Writes: 3\b/, 'those of an INSERT');
unlike($plan, qr/Request Ids/, '... ids with VERBOSE only');
$emulator->clear;
$emulator->fault(kind => 'status', code => 429, retry_after => 1, path => '/security/alerts_v2/r1', method => 'PATCH', times => 1);
$plan = $node->sql(q{EXPLAIN (ANALYZE) UPDATE defender.alerts SET status = 'new' WHERE id IN ('r1', 'r2')});
like($plan, qr/Graph Write Time Throttled: [1-9]\d{3}\./, 'and what a write waited for its turn');
$emulator->reset_faults if $emulator->can('reset_faults');
$emulator->clear;
$node->sql(q{EXPLAIN (VERBOSE) UPDATE defender.alerts SET status = 'new'});
$emulator->is_requests('EXPLAIN alone');

done_testing();
