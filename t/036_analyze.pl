
# What does ANALYZE of a foreign table ask, and what are the statistics then?
#
# It reads 5000 alerts at most, and if those are not all, asks how many there
# are.  Rows are chosen from those at random, and counted as if the other alerts
# were like them.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use Test::More;
use Time::HiRes qw(time);

# The requests of a list, newest first, and of a count.
my $FIRST = 'GET /v1.0/security/alerts_v2?$count=true&$top=1000';
my $NEXT = qr{^GET /v1\.0/security/alerts_v2\?\$filter=createdDateTime%20lt%20[\w%.-]+&\$orderby=createdDateTime%20desc&\$count=true&\$top=1000$};
my $COUNT = 'GET /v1.0/security/alerts_v2?$select=id&$count=true&$top=1';

# ANALYZE one table of "defender", and what it said.
sub analyze
{
	my ($node, $table, %params) = @_;
	my $target = $params{target} // 100;
	my (undef, undef, $said) =
	  $node->psql('postgres', "SET default_statistics_target = $target; ANALYZE VERBOSE defender.$table");

	$said =~ s/^psql:<stdin>:\d+: //gm;
	# PostgreSQL 18 tells the time and the buffers of a foreign table, too
	$said =~ s/^INFO:  finished analyzing .*?(?=^[A-Z]+:  |\z)//gms;
	return join "\n", grep { !/INFO:  analyzing/ } split /\n/, $said;
}

# How many rows the planner now thinks that there are.
sub is_rows
{
	my ($node, $table, $rows, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($node->sql("SELECT reltuples FROM pg_class WHERE oid = 'defender.$table'::regclass"), $rows, $name);
	return;
}

# A statistic of a column.
sub statistic
{
	my ($node, $table, $column, $what) = @_;
	return $node->sql("SELECT $what FROM pg_stats WHERE schemaname = 'defender' AND tablename = '$table' AND attname = '$column'");
}

#------------------------------------------------------------------------------
# All of the alerts are read
#------------------------------------------------------------------------------

my $emulator = GraphEmulator->new('--alerts', 2400, '--no-sample');
my $node = GraphCluster->connected_to($emulator);

$emulator->clear;
is_rows($node, 'alerts', -1, 'nothing is known at first');
is(analyze($node, 'alerts'), 'INFO:  "alerts": read 2400 of about 2400 alerts, containing 2400 rows; 2400 rows in sample', 'alerts: what it says');
$emulator->is_requests('alerts', $FIRST, $NEXT, $NEXT);
is_rows($node, 'alerts', 2400, 'alerts: rows');
$node->sql('CREATE TABLE alert_copy AS SELECT * FROM defender.alerts; ANALYZE alert_copy');
is(statistic($node, 'alerts', $_, "null_frac, n_distinct, most_common_vals, most_common_freqs, most_common_elems"),
	$node->sql("SELECT null_frac, n_distinct, most_common_vals, most_common_freqs, most_common_elems FROM pg_stats WHERE tablename = 'alert_copy' AND attname = '$_'"),
	"alerts: statistics of $_ are those of a copy")
  foreach qw(id severity classification mitre_techniques created_date_time);
like($node->sql(q{EXPLAIN SELECT FROM defender.alerts WHERE title LIKE 'x%' OR true}), qr/rows=2400 /, 'the planner uses it');

foreach my $table ('alert_evidence', 'device_evidence', 'alert_comments')
{
	my $rows = $node->sql("SELECT count(*) FROM defender.$table");

	$emulator->clear;
	cmp_ok($rows, '>', 100, "$table: rows");
	is(analyze($node, $table), "INFO:  \"$table\": read 2400 of about 2400 alerts, containing $rows rows; $rows rows in sample", "$table: what it says");
	$emulator->is_requests($table, $COUNT, $FIRST, $NEXT, $NEXT);
	like($node->sql("EXPLAIN (VERBOSE) SELECT * FROM defender.$table"), qr/Graph Estimate: 2400 alerts, 3 requests/, "$table: alerts that the planner sees");
	is_rows($node, $table, $rows, "$table: rows that the planner sees");
}
is(statistic($node, 'alert_evidence', 'alert_severity', 'n_distinct'), $node->sql('SELECT count(DISTINCT severity) FROM alert_copy'),
	"alert_evidence: what is the alert's is there");

# A smaller sample: any row may be in it, the first as well as the last.
is(analyze($node, 'alerts', target => 1), 'INFO:  "alerts": read 2400 of about 2400 alerts, containing 2400 rows; 300 rows in sample', 'a small sample: what it says');
is_rows($node, 'alerts', 2400, 'a small sample: all rows are counted');
is(statistic($node, 'alerts', 'created_date_time', <<"SQL"), 't|t', 'a small sample: from old ones and new ones');
	(histogram_bounds::text::timestamptz[])[1] < (SELECT percentile_disc(0.2) WITHIN GROUP (ORDER BY created_date_time) FROM alert_copy),
	(histogram_bounds::text::timestamptz[])[2] > (SELECT percentile_disc(0.8) WITHIN GROUP (ORDER BY created_date_time) FROM alert_copy)
SQL
$emulator->clear;

# Columns that were dropped, and some only.
$node->sql('ALTER FOREIGN TABLE defender.device_evidence DROP COLUMN verdict');
like(analyze($node, 'device_evidence(host_name)'), qr/^INFO:  "device_evidence": read 2400 of about 2400 alerts.*\Z/, 'a table without a column');
is(statistic($node, 'device_evidence', 'host_name', 'n_distinct > 0 OR n_distinct < 0'), 't', 'a table without a column: statistics');
$emulator->clear;

#------------------------------------------------------------------------------
# What goes wrong leaves the statistics as they were
#------------------------------------------------------------------------------

$emulator->fault(kind => 'stall', after => 5000, path => '$filter', times => -1);
my $session = $node->session;
my $start = time;

$session->query(q{SET statement_timeout = '1s'; ANALYZE defender.alerts;});
like($session->{stderr}, qr/canceling statement due to statement timeout/, 'a cancel');
cmp_ok(time - $start, '<', 10, 'a cancel: at once');
$emulator->no_fault;
$session->{stderr} = '';
is($session->query(q{RESET statement_timeout; ANALYZE defender.alerts; SELECT 'done'}), 'done', 'a cancel: the session goes on');
is($session->{stderr}, '', 'a cancel: without an error');
$session->quit;

$emulator->set_alerts(map { alert(id => "a$_", title => "Title $_") } 1 .. 10);
$emulator->fault(kind => 'status', code => 403, times => -1);
like(analyze($node, 'alerts'), qr/ERROR:.* 403/, 'a refusal');
is_rows($node, 'alerts', 2400, 'a refusal: the rows that are known');
$emulator->no_fault;
$node->sql('CREATE FOREIGN TABLE defender.numbers (id text, title int) SERVER graph');
like(analyze($node, 'numbers'), qr/ERROR:  invalid input syntax for type integer: "Title \d+"/, 'a value of another type');
is_rows($node, 'numbers', -1, 'a value of another type: nothing is known');
$emulator->clear;

# It is done in the name of the table's owner.
$node->sql('CREATE ROLE owner; GRANT ALL ON SCHEMA defender TO owner; ALTER FOREIGN TABLE defender.alert_comments OWNER TO owner');
like(analyze($node, 'alert_comments'), qr/ERROR:  user mapping not found for user "owner"/, "somebody else's table");
$emulator->is_requests("somebody else's table");

#------------------------------------------------------------------------------
# Few alerts, and none
#------------------------------------------------------------------------------

is(analyze($node, 'alerts'), 'INFO:  "alerts": read 10 of about 10 alerts, containing 10 rows; 10 rows in sample', 'ten alerts');
is_rows($node, 'alerts', 10, 'ten alerts: rows');
is(analyze($node, 'alert_evidence'), 'INFO:  "alert_evidence": read 10 of about 10 alerts, containing 0 rows; 0 rows in sample', 'no evidence');
is_rows($node, 'alert_evidence', 0, 'no evidence: rows');
$emulator->set_alerts(alert(id => 'a', evidence => []));
$emulator->control('DELETE', 'alerts');
is(analyze($node, 'alerts'), 'INFO:  "alerts": read 0 of about 0 alerts, containing 0 rows; 0 rows in sample', 'no alert');
is_rows($node, 'alerts', 0, 'no alert: rows');
is($node->sql('SELECT count(*) FROM defender.alerts AS a JOIN alert_copy USING (id)'), 0, 'no alert: a join');

#------------------------------------------------------------------------------
# More than are read: 5000, two pieces of evidence each, of 6000
#------------------------------------------------------------------------------

my @pieces = (evidence('deviceEvidence', hostName => 'a'), evidence('ipEvidence', ipAddress => '192.0.2.1'));

$emulator->set_alerts(
	map {
		alert(id => "a$_", title => 'x' x ($_ % 7), evidence => \@pieces,
			createdDateTime => sprintf '2026-07-%02dT%02d:%02d:%02dZ', 1 + $_ / 1000, $_ % 24, $_ % 60, $_ % 59)
	} 1 .. 6000);
$emulator->clear;
is(analyze($node, 'alerts'), 'INFO:  "alerts": read 5000 of about 6000 alerts, containing 5000 rows; 5000 rows in sample', 'many alerts');
my @requests = $emulator->requests;
is_deeply([ @requests[ 0, -1 ] ], [ $FIRST, $COUNT ], 'many alerts: a list and a count');
cmp_ok(scalar @requests, '<=', 5 + 4 + 1, 'many alerts: the pages that are needed, and those that others read by then');
is_rows($node, 'alerts', 6000, 'many alerts: rows');
is(analyze($node, 'alert_evidence'), 'INFO:  "alert_evidence": read 5000 of about 6000 alerts, containing 10000 rows; 10000 rows in sample', 'much evidence');
is_rows($node, 'alert_evidence', 12000, 'much evidence: rows');
is(analyze($node, 'device_evidence'), 'INFO:  "device_evidence": read 5000 of about 6000 alerts, containing 5000 rows; 5000 rows in sample', 'evidence of a type');
is_rows($node, 'device_evidence', 6000, 'evidence of a type: rows');

# The service does not count, or may not be asked.
$node->set_server(count_pushdown => 'false');
$emulator->clear;
is(analyze($node, 'alerts'), 'INFO:  "alerts": read 5000 of about 5000 alerts, containing 5000 rows; 5000 rows in sample', 'without a count');
is(scalar(grep { /count/ } $emulator->requests), 0, 'without a count: none is asked for');
is_rows($node, 'alerts', 5000, 'without a count: rows');
$node->set_server(count_pushdown => undef, select_pushdown => 'false');
$emulator->clear;
is(analyze($node, 'alerts'), 'INFO:  "alerts": read 5000 of about 6000 alerts, containing 5000 rows; 5000 rows in sample', 'without $select');
is(scalar(grep { $_ eq 'GET /v1.0/security/alerts_v2?$count=true&$top=1' } $emulator->requests), 1, 'without $select: the count');
$emulator->settings(count => 'ignore');
is(analyze($node, 'alerts'), 'INFO:  "alerts": read 5000 of about 5000 alerts, containing 5000 rows; 5000 rows in sample', 'a service that does not count');
done_testing();
