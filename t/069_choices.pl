
# Does the planner choose as a person would?
#
# Each situation is told in words, with what somebody would do who knows that a
# request is what costs.  It is tried in a tenant of 50, of 2000 and of 100,000
# alerts, as far as it says, before anybody has run ANALYZE and after.  Where the
# tenant is not there, only the plan is looked at: its statistics say how large it
# is.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, conf => "jit = off\n");
my @SEVERITIES = qw(high medium low informational);

# A tenant of so many alerts, a00001 being the newest; every severity is as
# frequent, every 25th alert is new, every device has as many alerts.
sub tenant
{
	my ($count) = @_;

	$emulator->set_alerts(
		map {
			alert(
				id                 => sprintf('a%05d', $_),
				title              => "Title $_",
				severity           => $SEVERITIES[ $_ % 4 ],
				status             => $_ % 25 ? 'resolved' : 'new',
				createdDateTime    => sprintf('2026-07-%02dT%02d:%02d:00Z', 30 - int($_ / 1440), 23 - int($_ % 1440 / 60), 59 - $_ % 60),
				lastUpdateDateTime => sprintf('2026-07-31T%02d:%02d:00Z', 23 - int($_ % 1440 / 60), 59 - $_ % 60),
				evidence           => [
					evidence('deviceEvidence', deviceDnsName => 'ws-' . $_ % 50),
					evidence('userEvidence', userAccount => { accountName => 'u' . $_ % 9 }) ])
		} 1 .. $count);
	return;
}

$node->sql(<<'SQL');
CREATE TABLE local1 AS SELECT 'a00001' AS id, 'ws-1' AS host, 'high' AS severity;
CREATE TABLE local5 AS SELECT 'a0000' || n AS id, 'ws-' || n AS host FROM generate_series(1, 5) AS n;
CREATE TABLE local50 AS SELECT 'a' || lpad(n::text, 5, '0') AS id, 'ws-' || n AS host FROM generate_series(1, 50) AS n;
CREATE TABLE local5000 AS SELECT 'a' || lpad(n::text, 5, '0') AS id, n FROM generate_series(1, 5000) AS n;
ANALYZE local1, local5, local50, local5000;
ALTER DATABASE postgres SET search_path = defender, public;
SQL

# The statistics of tables in a tenant: what ANALYZE would say of 100,000
# alerts is written here, as they are not served.
sub pretend
{
	my ($alerts) = @_;

	$node->sql(<<"SQL");
UPDATE pg_class SET reltuples = $alerts * CASE WHEN relname = 'alerts' THEN 1 WHEN relname = 'alert_comments' THEN 0.5 ELSE 2 END, relpages = $alerts
WHERE relkind = 'f' AND relnamespace = 'defender'::regnamespace;
SQL
	return;
}

sub forget
{
	$node->sql(<<"SQL");
UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relkind = 'f' AND relnamespace = 'defender'::regnamespace;
DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relkind = 'f');
SQL
	return;
}

#------------------------------------------------------------------------------
# The situations: what is wanted, and what one would do
#------------------------------------------------------------------------------

# Each: words; the query; for each size of the tenant the kind of requests, which
# is "lookups" or "list", and how many at most (0: it is not asked how many).
# Where "unknown" is there, that is what is done before ANALYZE.
my @SITUATIONS = (
	[ 'one alert of a case: look it up',
		'SELECT a.title FROM local1 AS l JOIN alerts AS a ON a.id = l.id',
		50 => [ lookups => 1 ], 2000 => [ lookups => 1 ], 100_000 => ['lookups'] ],
	[ 'five alerts of a case: look them up, where the list has pages',
		'SELECT a.title FROM local5 AS l JOIN alerts AS a ON a.id = l.id',
		50 => [ any => 5 ], 2000 => [ lookups => 5 ], 100_000 => ['lookups'] ],
	[ 'fifty ids of a report, of a tenant with fifty alerts: one page has them all',
		'SELECT a.title FROM local50 AS l JOIN alerts AS a ON a.id = l.id',
		50 => [ list => 1 ], 2000 => [ any => 50 ], 100_000 => ['lookups'] ],
	[ '5000 ids: the list has fewer pages, unless it has a hundred of them',
		'SELECT a.title FROM local5000 AS l JOIN alerts AS a ON a.id = l.id',
		50 => [ list => 1 ], 2000 => [ list => 3 ] ],
	[ 'twenty ids as a list of constants, of fifty alerts: one page',
		"SELECT title FROM alerts WHERE id IN (" . join(', ', map { sprintf "'a%05d'", $_ } 1 .. 20) . ')',
		50 => [ list => 1 ], 2000 => [ lookups => 20 ], 100_000 => ['lookups'] ],
	[ 'twenty ids that are known later, of fifty alerts: one page',
		'SELECT title FROM alerts WHERE id = ANY (ARRAY(SELECT id FROM local50 LIMIT 20))',
		50 => [ any => 1 ], 2000 => [ any => 20 ] ],
	[ 'evidence of five alerts: look those up, although evidence has many rows',
		'SELECT e.ordinal FROM local5 AS l JOIN alert_evidence AS e ON e.alert_id = l.id',
		50 => [ any => 5 ], 2000 => [ lookups => 5 ], 100_000 => ['lookups'] ],
	[ 'all evidence with what we know of 50 hosts: read the list once',
		'SELECT count(*) FROM local50 AS l JOIN device_evidence AS e ON e.device_dns_name = l.host',
		50 => [ list => 1 ], 2000 => [ list => 3 ], 100_000 => ['list'] ],
	[ 'alerts and their evidence: one list serves both',
		'SELECT count(a.title) FROM alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id',
		50 => [ list => 1 ], 2000 => [ list => 3 ], 100_000 => ['list'] ],
	[ 'high alerts: the filter goes along',
		q{SELECT title FROM alerts WHERE severity = 'high'},
		50 => [ list => 1 ], 2000 => [ list => 1 ], 100_000 => ['list'] ],
	[ 'the cases whose alert is high: look five up rather than list a quarter of all',
		q{SELECT l.id FROM local5 AS l JOIN alerts AS a ON a.id = l.id WHERE a.severity = 'high'},
		50 => [ any => 5 ], 2000 => [ lookups => 5 ], 100_000 => ['lookups'] ],
	[ 'which of five cases has no alert any more: five lookups',
		'SELECT l.id FROM local5 AS l WHERE NOT EXISTS (SELECT FROM alerts AS a WHERE a.id = l.id)',
		50 => [ any => 5 ], 2000 => [ lookups => 5 ], 100_000 => ['lookups'] ],
	[ 'which alerts have no case: the list',
		'SELECT count(*) FROM alerts AS a WHERE NOT EXISTS (SELECT FROM local5000 AS l WHERE l.id = a.id)',
		50 => [ list => 1 ], 2000 => [ list => 3 ], 100_000 => ['list'] ],
	[ 'the newest ten: a small page',
		'SELECT title FROM alerts ORDER BY created_date_time DESC LIMIT 10',
		50 => [ list => 1 ], 2000 => [ list => 1 ], 100_000 => ['list'] ],
	[ 'the newest ten high ones: a small page with the filter',
		q{SELECT title FROM alerts WHERE severity = 'high' ORDER BY created_date_time DESC LIMIT 10},
		50 => [ list => 1 ], 2000 => [ list => 1 ], 100_000 => ['list'] ],
	[ 'any five alerts that a case is of, of 5000 cases: not all of the list',
		'SELECT a.title FROM alerts AS a JOIN local5000 AS l ON l.id = a.id LIMIT 5',
		50 => [ any => 5 ], 2000 => [ any => 5 ] ],
	[ 'the last hour: a filter by time',
		q{SELECT title FROM alerts WHERE created_date_time >= '2026-07-30 23:00Z'},
		50 => [ list => 1 ], 2000 => [ list => 1 ], 100_000 => ['list'] ],
	[ 'an alert and its evidence: one lookup serves both',
		q{SELECT a.title, e.ordinal FROM alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id WHERE a.id = 'a00001'},
		50 => [ lookups => 1 ], 2000 => [ lookups => 1 ], 100_000 => ['lookups'] ],
	[ 'the alerts of the severity that a rule names: one list with a filter',
		'SELECT count(a.title) FROM local1 AS l JOIN alerts AS a ON a.severity = l.severity',
		50 => [ list => 1 ], 2000 => [ list => 3 ] ],
	[ 'how many alerts: the service counts',
		'SELECT count(*) FROM alerts',
		50 => [ count => 1 ], 2000 => [ count => 1 ], 100_000 => ['count'] ],
	[ 'what changed last: a small page, not all',
		'SELECT title FROM alerts ORDER BY last_update_date_time DESC NULLS LAST LIMIT 5',
		50 => [ list => 1 ], 2000 => [ list => 1 ], 100_000 => ['list'] ],
	[ 'two thousand rows to look at: two pages, and not the whole tenant',
		'SELECT title FROM alerts LIMIT 1500',
		50 => [ list => 1 ], 2000 => [ list => 2 ], 100_000 => ['list'] ]);

# What kind of requests a plan makes for alerts.
sub planned
{
	my ($query) = @_;
	my $plan = $node->sql("EXPLAIN (VERBOSE) $query");
	my %kinds;

	foreach my $request ($plan =~ /Graph Request: (.*)/g)
	{
		my $kind = $request =~ m{alerts_v2/} ? 'lookups'
		  : $request =~ /\$count=true&\$top=(1|20)$/ ? 'count' : 'list';

		$kinds{$kind} = 1;
	}
	return (join(' and ', sort keys %kinds), $plan);
}

# What kind of requests were made.
sub made
{
	my @requests = $emulator->requests;
	my %kinds = map {
		(m{alerts_v2/} ? 'lookups' : /\$count=true&\$top=(1|20)$/ ? 'count' : 'list') => 1
	} @requests;

	$emulator->clear;
	return (join(' and ', sort keys %kinds), scalar(@requests), join "\n", @requests);
}

# Try all situations in a tenant of so many alerts; which is served, or not.
sub try_situations
{
	my ($alerts, $how, $is_served) = @_;

	foreach my $situation (@SITUATIONS)
	{
		my ($words, $query, %expected) = @$situation;
		my ($kind, $most) = @{ $expected{$alerts} || next };
		my $name = "$alerts alerts, $how: $words";
		my ($planned, $plan) = planned($query);

		# before anybody has counted, fifty alerts may be many
		$kind = 'any' if $how eq 'unknown' && $alerts == 50 && $kind eq 'list' && $query =~ /local50 |IN \(/;
		is($planned, $kind, "$name: the plan") or diag($plan) unless $kind eq 'any';
		next unless $is_served;

		$emulator->clear;
		$node->sql($query);
		my ($made, $count, $requests) = made();
		is($made, $kind, "$name: what was asked") or diag("$plan\n$requests") unless $kind eq 'any';
		$most = 50 if $how eq 'unknown' && $kind eq 'any';
		cmp_ok($count, '<=', $most, "$name: how often") or diag("$plan\n$requests");
	}
	return;
}

foreach my $alerts (50, 2000)
{
	tenant($alerts);
	forget();
	try_situations($alerts, 'unknown', 1);
	$node->sql('ANALYZE alerts, alert_evidence, device_evidence');
	try_situations($alerts, 'analyzed', 1);
}
forget();
try_situations(100_000, 'unknown', 0);
pretend(100_000);
try_situations(100_000, 'analyzed', 0);

#------------------------------------------------------------------------------
# What the plan says that it expects
#------------------------------------------------------------------------------

sub estimate
{
	my ($query) = @_;
	return join '; ', $node->sql("EXPLAIN (VERBOSE) $query") =~ /Graph Estimate: (.*)/g;
}

is(estimate('SELECT title FROM alerts'), '100000 alerts, 100 requests', 'what is assumed of a list');
is(estimate(q{SELECT title FROM alerts WHERE id = 'a00001'}), '1 alert, 1 request', 'what is assumed of a lookup');
is(estimate(q{SELECT title FROM alerts WHERE id IN ('a00001', 'a00002')}), '2 alerts, 2 requests', 'what is assumed of two');
is(estimate('SELECT title FROM alerts ORDER BY created_date_time DESC LIMIT 5'), '20 alerts, 1 request', 'what is assumed of a beginning');
is(estimate('SELECT ordinal FROM alert_evidence'), '100000 alerts, 100 requests', 'what is assumed of evidence');
is(estimate('SELECT count(*) FROM alerts') =~ /, (.*)/ ? $1 : '', '1 request', 'what is assumed of a count');
is(estimate('SELECT count(a.title) FROM alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id'), '100000 alerts, 100 requests', 'what is assumed of two tables');
is(estimate(q{SELECT title FROM alerts WHERE severity = 'high'}), '20000 alerts, 20 requests', 'an enum has as many values as members');
is(estimate(q{SELECT title FROM alerts WHERE severity <> 'high'}), '80000 alerts, 80 requests', 'and one less');
like($node->sql('EXPLAIN (VERBOSE, FORMAT JSON) SELECT title FROM alerts'), qr/"Graph Estimated Alerts": 100000,\s+"Graph Estimated Requests": 100\b/, 'the same as JSON');
unlike($node->sql('EXPLAIN (VERBOSE, COSTS OFF) SELECT title FROM alerts'), qr/Graph Estimate/, 'without costs there is none');
done_testing();
