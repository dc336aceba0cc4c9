
# One limit for all sessions: who comes and goes leaves nothing behind, and a
# standby has a table of its own.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use GraphCluster;
use GraphEmulator qw(alert);
use GraphLimit;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

# From PostgreSQL 17 on nothing is preloaded for it.
my ($version) = qx(pg_config --version) =~ /(\d+)/;
my $preload = $version < 17 ? GraphCluster->preload : '';
my $emulator = GraphEmulator->new('--alerts', 3);
my $node = GraphCluster->connected_to($emulator,
	conf => "${preload}max_connections = 60\nwal_level = replica\nmax_wal_senders = 4\n");
my $limit = GraphLimit->new($node);

# For the end: a query gives up at a refusal, and nobody asks for half a minute.
my $given_up = $limit->scene(requests => 1000, latency => 10, alerts => 100, options => ", max_retries '0'");
my $given_up_at = time;
$limit->get('fail?count=1&retry_after=1');
like($node->error($limit->some(1, 1))->{message}, qr/status 429/, 'a query gives up');

#------------------------------------------------------------------------------
# Sessions in turn
#------------------------------------------------------------------------------

# Each makes a connection, asks for one alert, and ends; some in the middle of it.
my $sessions = $ENV{GRAPH_LONG} ? 10_000 : 300;
my $name = $limit->scene(requests => 1_000_000, latency => 1, alerts => 100);
my $script = PostgreSQL::Test::Utils::tempdir . '/lookup.sql';
append_to_file($script, "SELECT title FROM $name WHERE id = 'a000001';\n");
my $pgbench = $node->config_data('--bindir') . '/pgbench';
SKIP:
{
	skip 'no pgbench', 3 unless -x $pgbench;
	my $out = '';
	ok(IPC::Run::run([ $pgbench, '-n', '-C', '-c', 2, '-t', $sessions / 2, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ], '>', \$out, '2>&1'),
		"$sessions sessions in turn") or diag($out);
	is($node->sql('SELECT count(*) FROM graph_fdw_activity'), 0, 'leave no place');
	# a few may have been sent again, where the machine is slow
	is($node->sql($limit->count(1, 1) . "; SELECT all_requests BETWEEN $sessions + 1 AND $sessions * 1.01 + 1, all_waiting FROM graph_fdw_stats() WHERE server_name = '$name'") =~ s/^1\n//r,
		't|0', 'and their requests are counted');
}

#------------------------------------------------------------------------------
# A lookup beside lists
#------------------------------------------------------------------------------

# Six lists of four lanes wait for a limit: who asks for one alert does not wait
# behind them all; and the lists go on.
$limit->scene(requests => 20, seconds => 3, latency => 20, alerts => 1000);
my $result = $limit->measure(6, lookups => 5, every => 2);
is_deeply($result->{failed}, [], 'lists, and lookups beside them');
my @waits = map { $_->[1] } grep { $_->[0] > 4 } @{ $result->{waits} };
cmp_ok(max(@waits), '<', 3.5, 'a lookup beside lists waits little') or diag("@waits");
note "lookups: $result->{text}: " . join ' ', map { sprintf '%.0f:%.1f', @$_ } @{ $result->{waits} };

# Lists that have just begun have asked for as little as a lookup: it goes first.
$limit->scene(requests => 20, seconds => 3, latency => 20, alerts => 200);
$result = $limit->measure(16, lookups => 3, every => 0.7);
is_deeply($result->{failed}, [], 'many lists, and lookups beside them');
@waits = map { $_->[1] } @{ $result->{waits} };
cmp_ok(max(@waits), '<', 5, 'a lookup beside lists that begin waits little') or diag("@waits");

# A ceiling has a part for those who begin.
$limit->scene(requests => 1000, latency => 10, alerts => 500, options => ", requests_per_minute '40'");
$node->result("SET statement_timeout = '3s'; " . $limit->count(1, 60));
is(scalar($limit->requests), 36, 'a list leaves a part of a ceiling');
my ($answer, $seconds) = $limit->took($limit->count(100, 100));
is($answer, 1, 'to a lookup');
cmp_ok($seconds, '<', 3, 'which does not wait');

#------------------------------------------------------------------------------
# Refusals that say nothing
#------------------------------------------------------------------------------

# A gateway refuses each request once, and asks for a second: each waits by itself.
$limit->scene(first => 1, retry_after => 1, latency => 10);
my $begin = time;
my @runs = map { $limit->start($limit->count($_ * 20 + 1, $_ * 20 + 20)) } 0 .. 5;
is(GraphLimit::finish($_), 20, 'each is refused once') foreach @runs;
cmp_ok(time - $begin, '<', 28, 'which is no limit for all');
note sprintf 'six sessions, each request refused once: %.1f s', time - $begin;

# One in twenty is refused by chance: that is no limit.
$limit->scene(requests => 1000, chance => 0.05, latency => 20);
$begin = time;
@runs = map { $limit->start($limit->count($_ * 40 + 1, $_ * 40 + 40)) } 0 .. 3;
is(GraphLimit::finish($_), 40, 'some are refused by chance') foreach @runs;
# where the numbers happen to be alike it is taken for one: seldom, and it grows soon
cmp_ok(time - $begin, '<', 60, 'which is no limit');
note sprintf 'four sessions, one in twenty refused: %.1f s', time - $begin;

# A reader finds late that a request of his was refused: others have been taken since.
$limit->scene(requests => 1000, latency => 200, alerts => 500);
my $reader = $node->session;
$reader->query("BEGIN; DECLARE c CURSOR FOR " . $limit->some(1, 60));
$reader->query('FETCH 1 FROM c');
$limit->get('fail?count=1&retry_after=20');
my $is_refused = 0;
foreach my $row (1 .. 8)
{
	# the next request is sent, and nobody waits for its answer
	$reader->query('FETCH 1 FROM c');
	$is_refused = grep { $_->[2] } $limit->requests;
	last if $is_refused;
	sleep 0.05;
}
sleep 1.5;
($answer, $seconds) = $limit->took($limit->count(400, 400));
SKIP:
{
	skip "it was not read late: $seconds s", 2 unless $is_refused && $answer eq "1" && $seconds < 10;
	my $late = time;
	$reader->query('FETCH ALL FROM c');
	cmp_ok(time - $late, '<', 15, 'after a refusal that was read late one does not pause anew');
	($answer, $seconds) = $limit->took($limit->count(401, 401));
	is($answer, 1, 'nor do others');
}
$reader->quit;

# Sixty-one lookups, one after the other with a pause.
my $one_by_one = sub {
	return 'SELECT count(l.title) FROM generate_series(20, 80) AS n, LATERAL (SELECT pg_sleep(0.2), (SELECT title FROM '
	  . $limit->{name} . q{ AS t WHERE id = 'a' || to_char(n, 'FM000000')) AS title OFFSET 0) AS l};
};

# One alert is always refused, slowly, while others are taken: it is not asked for
# again and again, and the others do not wait for it.
$limit->scene(latency => 10, requests => 1000, never => 'a000007', never_after => 1, never_latency => 1500, options => ", throttle_timeout '18s'");
my $others = $limit->start($one_by_one->());
$begin = time;
is($node->error($limit->some(7, 7))->{state}, '53400', 'an alert that is always refused, slowly, is an error');
my $tried = grep { $_->[1] =~ /a000007/ } $limit->requests;
cmp_ok($tried, '>', 1, 'an alert that is refused slowly is asked for again');
cmp_ok($tried, '<', 8, 'when the service says');
is(GraphLimit::finish($others), 61, 'others are read');
cmp_ok(time - $begin, '<', 60, 'meanwhile');

# Or soon: it waits longer each time.
$limit->scene(latency => 10, requests => 1000, never => 'a000007', never_after => 'none', options => ", throttle_timeout '12s'");
$others = $limit->start($one_by_one->());
like($node->error($limit->some(7, 7))->{detail}, qr/It was refused \d+ times, while others were taken\.$/, 'an alert that is always refused is an error');
$tried = grep { $_->[1] =~ /a000007/ } $limit->requests;
cmp_ok($tried, '<', 10, 'and is not asked for again and again');
is(GraphLimit::finish($others), 61, 'others are read meanwhile');

# What was given up does not matter any more.
sleep 30 - (time - $given_up_at) if time - $given_up_at < 30;
$node->sql("ALTER SERVER $given_up OPTIONS (SET max_retries '5')");
{
	local $limit->{name} = $given_up;
	$limit->get('fail?count=1&retry_after=1');
	($answer, $seconds) = $limit->took($limit->count(2, 2));
}
is($answer, 1, 'a refusal long after one that made a query give up');
cmp_ok($seconds, '<', 5, 'is a first one');

#------------------------------------------------------------------------------
# A standby
#------------------------------------------------------------------------------

$node->backup('base');
my $standby = GraphCluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$name = $limit->scene(requests => 12, seconds => 3, latency => 20, alerts => 100);
$node->wait_for_catchup($standby);
is($standby->sql('SELECT pg_is_in_recovery()'), 't', 'a standby');
is($standby->sql("SELECT count(*) FROM $name"), 100, 'reads foreign tables');
is($standby->sql($limit->count(1, 30)), 30, 'waits for the limit');
is($standby->sql('SELECT count(*) FROM graph_fdw_activity'), 0, 'graph_fdw_activity');
cmp_ok($standby->sql($limit->count(1, 2) . "; SELECT all_requests FROM graph_fdw_stats() WHERE server_name = '$name'") =~ s/^2\n//r,
	'>', 30, 'all of its sessions are counted');
is($node->sql($limit->count(1, 1) . "; SELECT all_requests FROM graph_fdw_stats() WHERE server_name = '$name'") =~ s/^1\n//r =~ /^[1-9]$/ ? 1 : 0, 1,
	'and none of those of the primary');
like($standby->sql("SELECT string_agg(detail, ' ') FROM graph_fdw_check('graph') WHERE step = 'options'"), qr/sessions share/, 'graph_fdw_check()');
$standby->stop;

$node->stop;
done_testing();
