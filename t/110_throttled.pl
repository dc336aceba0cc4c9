
# A service that refuses what is too much: what one session does, that knows of
# no other.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use GraphCluster;
use GraphEmulator qw(alert);
use GraphLimit;
use List::Util qw(max);
use Test::More;
use Time::HiRes qw(time sleep);

my $emulator = GraphEmulator->new('--alerts', 0);
my $node = GraphCluster->connected_to($emulator, server => { page_size => 10, concurrency => 4 });
my $list = '(SELECT id FROM defender.alerts OFFSET 0) AS a';
my $lookups = sub { "(SELECT id FROM defender.alerts WHERE id = ANY (ARRAY(SELECT 'k' || n FROM generate_series(1, $_[0]) AS n)) OFFSET 0) AS a" };

# A scene: settings of the emulator; no request so far, no fault, and nobody knows
# anything.
sub scene
{
	my (%settings) = @_;

	$emulator->reset;
	$emulator->set_alerts(map { alert(id => "k$_", createdDateTime => sprintf('2026-07-01T10:%02d:%02dZ', $_ / 60, $_ % 60)) } 1 .. 200);
	$emulator->settings(latency_ms => 60, %settings);
	$emulator->clear;
	# where sessions share what they know, it is of one user mapping
	$node->sql("DROP USER MAPPING FOR CURRENT_USER SERVER graph;
		CREATE USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (access_token 'emulator-access-token')");
	return;
}

# The times of the requests so far, and the statuses.
sub log_of
{
	my @records = $emulator->records;
	return ([ map { $_->{seconds} } @records ], [ map { $_->{status} } @records ]);
}

#------------------------------------------------------------------------------
# One probes
#------------------------------------------------------------------------------

# Nothing is taken for a while: the other lanes hold back, and one looks.
scene();
$emulator->fault(kind => 'status', code => 429, retry_after => 1, nth => 5, times => 1);
$emulator->fault(kind => 'status', code => 429, retry_after => 1, nth => 6, times => 1);
$emulator->fault(kind => 'status', code => 429, retry_after => 1, nth => 7, times => 1);
$emulator->fault(kind => 'status', code => 429, retry_after => 1, nth => 8, times => 1);
is($node->result('SELECT count(*) FROM ' . $lookups->(40)), 40, 'four lanes are refused at once');
my ($times, $statuses) = log_of();
my @refused = grep { $statuses->[$_] == 429 } 0 .. $#$statuses;
is(scalar(@refused), 4, 'four refusals');
my $gap = max(map { $times->[ $_ + 1 ] - $times->[$_] } 0 .. $#$times - 1);
cmp_ok($gap, '>=', 0.99, 'all lanes wait as long as the service asks');
my ($first) = grep { $times->[ $_ + 1 ] - $times->[$_] == $gap } 0 .. $#$times - 1;
cmp_ok($times->[ $first + 2 ] - $times->[ $first + 1 ], '>=', 0.05, 'one request goes, and the others wait for its answer');
is(scalar(@$statuses), 44, 'each is sent once more');

# The same for all scans of a session: what one has learnt, the next knows.
scene();
$emulator->fault(kind => 'status', code => 429, retry_after => 2, nth => 2, times => 1);
my $session = $node->session;
$session->query("SET statement_timeout = '1s'");
$session->query('SELECT count(*) FROM ' . $lookups->(2));
like($session->{stderr}, qr/status 429|57014/, 'a query is given up in a pause');
$session->query('RESET statement_timeout');
my $since = time;
is($session->query('SELECT count(*) FROM ' . $lookups->(1)), 1, 'the next one');
cmp_ok(time - $since, '>', 0.5, 'waits for the end of the pause');
$session->quit;

#------------------------------------------------------------------------------
# How long is waited
#------------------------------------------------------------------------------

# Without Retry-After, the waits grow to a minute, and a part of each is random.
# Where sessions share what they know, they grow with the time that nothing is taken.
scene();
my $shared = $node->shares_limit;
scene();
$node->set_server(max_retries => 2);
$emulator->fault(kind => 'status', code => 429, times => 2);
is($node->result('SELECT count(*) FROM ' . $lookups->(1)), 1, 'two times 429');
($times) = log_of();
foreach my $i (0 .. 1)
{
	my $wait = $times->[ $i + 1 ] - $times->[$i];
	cmp_ok($wait, '>=', $shared ? 0.25 : 0.5 * 4.5**$i, "wait $i");
	cmp_ok($wait, '<=', 0.5 * 4.5**$i * (1 + 0.4 * 2**$i) + ($shared ? 1.2 : 0.5), "wait $i: not too long");
}
cmp_ok(0.5 * (1 + 4.5 + 4.5**2 + 4.5**3) + 60, '>', 60, 'five of them take a minute');

# max_retries is for a service that takes nothing.
scene();
$node->set_server(max_retries => 2);
$emulator->fault(kind => 'status', code => 429, retry_after => 1, times => -1);
like($node->error('SELECT count(*) FROM ' . $lookups->(1))->{text}, qr/53400.*tried 3 times/s, 'nothing is taken');
is(scalar(my @requests = $emulator->requests), 3, 'and no more was sent');
scene();
$node->set_server(max_retries => 0);
$emulator->fault(kind => 'status', code => 429, retry_after => 1, times => -1);
like($node->error('SELECT count(*) FROM ' . $lookups->(1))->{text}, qr/53400/, 'max_retries 0');
is(scalar(@requests = $emulator->requests), 1, 'max_retries 0: once');

# A scan that goes on is not ended by it, as the refusals are for others.
scene();
$node->set_server(max_retries => 1, concurrency => 1);
$emulator->fault(kind => 'status', code => 429, retry_after => 1, nth => 3, times => 1);
$emulator->fault(kind => 'status', code => 429, retry_after => 1, nth => 4, times => 1);
$emulator->fault(kind => 'status', code => 429, retry_after => 1, nth => 5, times => 1);
is($node->result("SELECT count(*) FROM $list"), 200, 'a page is refused more often than max_retries');

# throttle_timeout says how long nothing may be taken.
scene();
$node->set_server(throttle_timeout => '2500ms');
$emulator->fault(kind => 'status', code => 429, retry_after => 1, nth => $_ + 3, times => 1) foreach 0 .. 20;
$since = time;
like($node->error("SELECT count(*) FROM $list")->{text}, qr/53400.*For \d+ seconds no request was taken/s, 'throttle_timeout');
cmp_ok(time - $since, '<', 6, 'throttle_timeout: in time');
$emulator->reset;
$emulator->fault(kind => 'status', code => 429, retry_after => 3, times => -1);
like($node->error("SELECT count(*) FROM $list")->{text}, qr/53400.*asks to wait 3 seconds/s, 'throttle_timeout: the service asks for more');
$node->set_server(throttle_timeout => undef, max_retries => undef, concurrency => 4);

#------------------------------------------------------------------------------
# A service that refuses each request once
#------------------------------------------------------------------------------

# That is no limit: it costs little more than the waits that it asks for, of which
# all lanes make each together, or none.
my $limit = GraphLimit->new($node);
foreach my $case ([ 0, 40, 8 ], [ 1, 8, 8 ], [ 'none', 30, 12 ])
{
	my ($retry_after, $count, $most) = @$case;
	my $name = $limit->scene(first => 1, retry_after => $retry_after, latency => 20);

	$since = time;
	is($node->result("SELECT count(*) FROM (SELECT id FROM $name WHERE id = ANY (ARRAY(SELECT 'a' || to_char(n, 'FM000000') FROM generate_series(1, $count) AS n)) OFFSET 0) AS a"),
		$count, "each once, Retry-After $retry_after");
	my $seconds = time - $since;
	cmp_ok($seconds, '<', $most, "each once, Retry-After $retry_after: in time");
	is(scalar(@requests = $limit->requests), 2 * $count, "each once, Retry-After $retry_after: each twice");
	note sprintf 'each once, Retry-After %s: %.1f s for %d', $retry_after, $seconds, $count;
}

#------------------------------------------------------------------------------
# A limit
#------------------------------------------------------------------------------

# Six sessions that know nothing of each other.
foreach my $refused ($ENV{GRAPH_FDW_MEASURE} ? (0, 1) : 1)
{
	$limit->scene(requests => 40, seconds => 4, refused => $refused);
	my $result = $limit->measure(5);
	is_deeply($result->{failed}, [], "a limit, refused $refused: every query succeeds");
	cmp_ok($result->{share}, '<=', 0.25, "a limit, refused $refused: a quarter is refused at most") or diag($result->{text});
	note "a limit, refused $refused: $result->{text}";
}

# As it is to be judged.
$limit->judge('alone', share => 0.25) if $ENV{GRAPH_FDW_MEASURE};

$node->stop;
done_testing();
