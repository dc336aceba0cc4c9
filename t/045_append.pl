
# Are several tables below one Append read side by side?
#
# Tenants are servers of their own: a table of all of them is partitioned, or a
# UNION ALL.  What is asked of one must not wait for the others; whatever
# happens to one, the rows of all are right, or there is an error.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $TENANTS = 4;
my $PER_TENANT = 300;
my $LATENCY = 200;    # milliseconds
my $AT_ONCE = 1.0;    # seconds

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
$emulator->set_alerts(map { alert(id => "t$_", title => "x$_", severity => (qw(low high))[ $_ % 2 ],
		createdDateTime => sprintf '2026-07-01T%02d:%02d:00Z', $_ / 60, $_ % 60) } 1 .. $PER_TENANT);
my $node = GraphCluster->connected_to($emulator, server => { page_size => 100, concurrency => 2 });

# Each tenant is told apart by the beginning of its paths.
$node->sql('CREATE TABLE every (tenant text, id text, title text, severity text, created_date_time timestamptz) PARTITION BY LIST (tenant)');
foreach my $tenant (1 .. $TENANTS)
{
	my $url = $emulator->url . "/at/tenant$tenant";
	$node->sql(<<"SQL");
CREATE SERVER tenant$tenant FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url', page_size '100', concurrency '2', max_retries '2', request_timeout '2s');
CREATE USER MAPPING FOR CURRENT_USER SERVER tenant$tenant OPTIONS (access_token 'emulator-access-token');
CREATE FOREIGN TABLE alerts$tenant (tenant text OPTIONS (property 'tenantId'), id text, title text, severity text, created_date_time timestamptz) SERVER tenant$tenant;
ALTER TABLE every ATTACH PARTITION alerts$tenant FOR VALUES IN ('tenant$tenant');
SQL
}
$node->sql(<<'SQL');
CREATE TABLE local (tenant text, id text, title text, severity text, created_date_time timestamptz);
INSERT INTO local VALUES ('local', 'l1', 'here', 'low', now());
ALTER TABLE every ATTACH PARTITION local FOR VALUES IN ('local');
CREATE VIEW all_of_them AS SELECT id, title FROM alerts1 UNION ALL SELECT id, title FROM alerts2 UNION ALL SELECT id, title FROM alerts3 UNION ALL SELECT id, title FROM alerts4;
SQL
my $all = $TENANTS * $PER_TENANT;
my $session = $node->session;

sub seconds_of
{
	my ($sql) = @_;
	my $since = time;

	$session->{stderr} = '';
	my $result = $session->query($sql);
	return ($session->{stderr} =~ /ERROR:  (\w{5}: [^\n]*)/ ? $1 : $result, time - $since);
}

#------------------------------------------------------------------------------
# Time
#------------------------------------------------------------------------------

my $count = 'SELECT count(*), count(DISTINCT title) FROM every WHERE title IS NOT NULL';
my $expected = $all + 1 . '|' . ($PER_TENANT + 1);
like($node->sql("EXPLAIN (COSTS OFF) $count"), qr/Async Foreign Scan on alerts$TENANTS\b/, 'the plan');
$emulator->settings(latency_ms => $LATENCY);
$emulator->clear;
my ($rows, $together) = seconds_of($count);
is($rows, $expected, 'together');
is(scalar(my @requests = grep { $_->{prefix} =~ /tenant1/ } $emulator->records), 3, 'together: requests of one');
my ($one_by_one, $alone) = seconds_of("SET enable_async_append = off; $count; RESET enable_async_append");
is($one_by_one, $expected, 'one by one');
cmp_ok($together, '<', 0.5 * $alone, 'together it takes less time') or diag("$together and $alone");
note sprintf '%.2f s and %.2f s', $together, $alone;

($rows) = seconds_of('SELECT count(*), count(DISTINCT id) FROM all_of_them');
is($rows, "$all|$PER_TENANT", 'UNION ALL');
$emulator->settings(latency_ms => 0);

#------------------------------------------------------------------------------
# Requests that are not wanted
#------------------------------------------------------------------------------

# A few rows of the first are enough.
$emulator->clear;
unlike($node->sql('EXPLAIN (COSTS OFF) SELECT id FROM all_of_them LIMIT 5'), qr/Async/, 'LIMIT: the plan');
($rows) = seconds_of('SELECT count(*) FROM (SELECT id FROM all_of_them LIMIT 5) AS a');
is($rows, 5, 'LIMIT');
is(scalar(@requests = $emulator->requests), 1, 'LIMIT: one request');

# What the partitions' bounds exclude is not asked.
$emulator->clear;
($rows) = seconds_of(q{SELECT count(*) FROM every WHERE tenant IN ('tenant2', 'tenant3')});
is(scalar(grep { $_->{prefix} !~ /tenant[23]/ } $emulator->records), 0, 'a partition that is excluded');

#------------------------------------------------------------------------------
# Where the executor goes
#------------------------------------------------------------------------------

foreach my $case (
	[ q{SELECT count(*) FROM every WHERE severity = 'high'}, $TENANTS * $PER_TENANT / 2 ],
	[ q{SELECT count(*) FROM every WHERE id = 't7'}, $TENANTS ],
	[ q{SELECT count(*) FROM every WHERE id = 't7' AND severity = 'low'}, 0 ],
	[ q{SELECT string_agg(id, ',' ORDER BY id) FROM (SELECT id FROM every ORDER BY created_date_time, id LIMIT 3) AS a}, 't1,t1,t1' ],
	[ q{SELECT sum(n) FROM generate_series(1, 3) AS g, LATERAL (SELECT count(*) AS n FROM every WHERE severity = 'high' OFFSET 0 * g) AS a}, 3 * $TENANTS * $PER_TENANT / 2 ],
	[ q{SELECT count(*) FROM generate_series(1, 3) AS g WHERE EXISTS (SELECT FROM every AS e WHERE e.id = 't' || g)}, 3 ],
	[ q{SELECT count(*) FROM every AS a JOIN every AS b USING (id) WHERE a.severity = 'high'}, $TENANTS * $TENANTS * $PER_TENANT / 2 ],
	[ q{SELECT count(*) FROM (SELECT id FROM every UNION ALL SELECT id FROM all_of_them) AS u}, 2 * $all + 1 ],
	[ q{BEGIN; DECLARE c CURSOR FOR SELECT id FROM every; MOVE 150 c; DECLARE d CURSOR FOR SELECT id FROM every; MOVE 700 d; MOVE ALL c; MOVE ALL d; COMMIT; SELECT 'done'}, 'done' ],
	[ q{BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT id FROM every; MOVE 10 c; COMMIT; MOVE ALL c; CLOSE c; SELECT 'held'}, 'held' ],
	[ q{PREPARE p(text) AS SELECT count(*) FROM every WHERE severity = $1; EXECUTE p('high')}, $TENANTS * $PER_TENANT / 2 ],
	[ q{EXECUTE p('low')}, $TENANTS * $PER_TENANT / 2 + 1 ])
{
	my ($sql, $result) = @$case;
	is((seconds_of($sql))[0], $result, $sql);
}
like($node->sql('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM every'),
	qr/Append \(actual rows=@{[ $all + 1 ]}(?:\.00)? loops=1\).*Async Foreign Scan on alerts1 every_\d \(actual rows=$PER_TENANT(?:\.00)? loops=1\)\s+Graph Requests: \d/s, 'EXPLAIN ANALYZE');

# One that cannot be read in turns goes to its end first, while an answer that is
# larger than what is read ahead of it waits.
$emulator->settings(gzip => JSON::PP::false);
$emulator->add_alerts(map { alert(id => "large$_", description => 'x' x 50_000, comments => [ { comment => 'c' } ],
		createdDateTime => '2026-06-01T00:00:00Z') } 1 .. 40);
$node->sql('CREATE TABLE large AS SELECT id FROM defender.alerts');
# In a session of its own, which has no connection yet.
$node->set_server(order_pushdown => 'false', page_size => 1000);
$rows = $node->result(<<'SQL');
SET statement_timeout = '20s';
SELECT count(*), count(DISTINCT id) FROM (SELECT a.id, description FROM defender.alerts AS a JOIN defender.alert_comments AS c ON c.alert_id = a.id
	UNION ALL SELECT id, description FROM defender.alerts) AS u;
SQL
$node->set_server(order_pushdown => undef, page_size => 100);
is($rows, $node->sql('SELECT count(*) + 40, count(*) FROM large'), 'an answer that waits for another');
$emulator->set_alerts(map { alert(id => "t$_", title => "x$_", severity => (qw(low high))[ $_ % 2 ],
		createdDateTime => sprintf '2026-07-01T%02d:%02d:00Z', $_ / 60, $_ % 60) } 1 .. $PER_TENANT);

#------------------------------------------------------------------------------
# What happens to one of them
#------------------------------------------------------------------------------

foreach my $case (
	[ 'a refusal', qr/^42501: server "tenant3" answered with status 403/, kind => 'status', code => 403, times => -1 ],
	[ '503 once', $expected, kind => 'status', code => 503 ],
	[ 'a cut page', $expected, kind => 'cut', after => 3000 ],
	[ 'silence once', $expected, kind => 'stall', before_headers => JSON::PP::true ],
	[ 'silence', qr/^08006: timed out while waiting/, kind => 'stall', after => 2000, times => -1 ],
	[ 'no JSON', qr/^HV024/, kind => 'malformed', times => -1 ],
	[ 'a throttled one', $expected, kind => 'status', code => 429, retry_after => 1 ])
{
	my ($name, $result, %fault) = @$case;

	# below a root of its own, it befalls this tenant only
	my $rule = JSON::PP->new->canonical->encode({ name => $name, times => delete $fault{times} // 1, fault => \%fault });
	$node->sql("ALTER SERVER tenant3 OPTIONS (SET endpoint '" . $emulator->url . '/fault/' . encode_base64url($rule) . "')");
	$emulator->settings(gzip => JSON::PP::false);
	$emulator->clear;
	my ($got, $seconds) = seconds_of($count);
	ref $result ? like($got, $result, $name) : is($got, $result, $name);
	cmp_ok($seconds, '<', 15, "$name: in time");
	is(scalar(grep { @{ $_->{faults} } } $emulator->records) > 0, 1, "$name: it happened");
	$node->sql("ALTER SERVER tenant3 OPTIONS (SET endpoint '" . $emulator->url . "/at/tenant3')");
	is((seconds_of($count))[0], $expected, "$name: and then");
}

# A ceiling of requests, which makes a scan wait without a transfer.
$node->sql(q{ALTER SERVER tenant1 OPTIONS (ADD requests_per_minute '1')});
my $limited = $node->session;
$limited->query("SET statement_timeout = '1500ms'; $count");
like($limited->{stderr}, qr/57014/, 'requests_per_minute: waits for one of them');
$limited->quit;
$node->sql(q{ALTER SERVER tenant1 OPTIONS (DROP requests_per_minute)});

#------------------------------------------------------------------------------
# The end, before it is over
#------------------------------------------------------------------------------

my $control = $node->session;
foreach my $how (qw(cancel timeout terminate leave))
{
	my $victim = $node->session;
	my $pid = $victim->query('SELECT pg_backend_pid()');

	$emulator->fault(kind => 'stall', after => 2000, times => -1);
	$node->sql("ALTER SERVER tenant$_ OPTIONS (SET request_timeout '60s')") foreach 1 .. $TENANTS;
	$victim->query("SET statement_timeout = '700ms'") if $how eq 'timeout';
	$victim->{stdout} = $victim->{stderr} = '';
	$victim->query_until(qr/^go$/m, "\\echo go\n$count;\n\\warn done\n");
	sleep 0.5;
	my $since = time;
	$control->query("SELECT pg_cancel_backend($pid)") if $how eq 'cancel';
	$control->query("SELECT pg_terminate_backend($pid)") if $how eq 'terminate';
	$victim->{run}->signal('KILL') if $how eq 'leave';
	if ($how ne 'leave')
	{
		pump_until($victim->{run}, $victim->{timeout}, \$victim->{stderr}, qr/^(?:psql:\S+ )?done$|FATAL/m);
		like($victim->{stderr}, $how eq 'terminate' ? qr/57P01/ : qr/57014/, $how);
	}
	for (1 .. 300) { last if $how !~ /terminate|leave/ || $control->query("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid") eq '0'; sleep 0.01 }
	cmp_ok(time - $since, '<', $AT_ONCE, "$how: at once");
	$emulator->no_fault;
	if ($how =~ /cancel|timeout/)
	{
		$victim->{stdout} = '';
		is($victim->query("RESET statement_timeout; $count"), $expected, "$how: the next query");
		my @files = map { readlink // '' } glob "/proc/$pid/fd/*";
		cmp_ok(scalar(grep { /eventpoll/ } @files), '<=', 4, "$how: descriptors");
	}
	eval { $how eq 'leave' ? $victim->{run}->finish : $victim->quit };
}

$session->quit;
$control->quit;
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|WARNING|terminated by signal/, 'nothing in the log');
done_testing();
