
# One limit for all sessions: they share what they know of it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use GraphCluster qw(options);
use GraphEmulator qw(alert %APP $TENANT);
use GraphLimit;
use List::Util qw(max min sum);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $emulator = GraphEmulator->new('--alerts', 0);
my $node = GraphCluster->connected_to($emulator,
	conf => GraphCluster->preload . "max_connections = 120\n",
	server => { page_size => 10, concurrency => 4, tenant_id => $TENANT },
	mapping => $APP{main});
my $bin = $node->config_data('--bindir');
my $lookups = sub { "SELECT count(*) FROM (SELECT id FROM defender.alerts WHERE id = ANY (ARRAY(SELECT 'k' || n FROM generate_series(1, $_[0]) AS n)) OFFSET 0) AS a" };

# A scene: settings of the emulator; no request so far, and nothing that is known.
sub scene
{
	my (%settings) = @_;

	$emulator->reset;
	$emulator->set_alerts(map { alert(id => "k$_", createdDateTime => sprintf('2026-07-01T10:%02d:%02dZ', $_ / 60, $_ % 60)) } 1 .. 200);
	$emulator->settings(latency_ms => 40, %settings);
	$node->restart;
	$emulator->clear;
	return;
}

# The requests to the service so far.
sub records
{
	return grep { $_->{path} !~ /oauth2/ } $emulator->records;
}

# Several sessions with a query each, and whatever is done meanwhile: what they print.
sub together
{
	my ($count, $query, $meanwhile) = @_;
	my (@runs, @out);

	foreach my $i (0 .. $count - 1)
	{
		$out[$i] = '';
		push @runs, IPC::Run::start([ "$bin/psql", '-XAtq', '-d', $node->connstr('postgres'), '-c', $query ],
			'<', \undef, '>', \$out[$i], '2>&1');
	}
	$meanwhile->() if $meanwhile;
	$_->finish foreach @runs;
	chomp @out;
	return @out;
}

#------------------------------------------------------------------------------
# What is said of it
#------------------------------------------------------------------------------

scene();
like($node->sql("SELECT detail FROM graph_fdw_check('graph') WHERE step = 'options'"), qr/sessions share what they know/, 'graph_fdw_check()');

#------------------------------------------------------------------------------
# A limit
#------------------------------------------------------------------------------

# Eight sessions of four lanes; the second finds what is known of no limit yet.
my $limit = GraphLimit->new($node);
foreach my $case ([ 0, 'exact' ], [ 1, 'none' ])
{
	my ($refused, $retry_after) = @$case;
	$limit->scene(requests => 40, seconds => 5, refused => $refused, retry_after => $retry_after);
	my $result = $limit->measure(8);

	is_deeply($result->{failed}, [], "a limit, @$case: every query succeeds");
	cmp_ok($result->{share}, '<=', 0.15, "a limit, @$case: few are refused") or diag($result->{text});
	cmp_ok($result->{ratio}, '<=', 1.6, "a limit, @$case: it is used") or diag($result->{text});
	note "a limit, @$case: $result->{text}";
	is($node->sql('SELECT count(*) FROM graph_fdw_activity'), 0, "a limit, @$case: nobody waits any more");
}

# The same as it is to be judged.  Beside it, a lookup does not wait for a list of
# 180 pages, once the limit is known.
if ($ENV{GRAPH_FDW_MEASURE})
{
	$limit->judge('together', share => 0.1, ratio => 1.15);
	$limit->scene(requests => 40, seconds => 15, alerts => 9000);
	my $result = $limit->measure(1, lookups => 9, every => 5);
	is_deeply($result->{failed}, [], 'lookups beside a list: it ends');
	cmp_ok(max(map { $_->[1] } grep { $_->[0] > 16 } @{ $result->{waits} }), '<', 4, 'lookups beside a list: a few seconds at most');
	diag("lookups: $result->{text}: " . join ' ', map { sprintf '%.0f:%.1f', @$_ } @{ $result->{waits} });
}


# A full window, and nobody says for how long: who comes looks often, and is not given
# up for that.
my $name = $limit->scene(requests => 10, seconds => 12, retry_after => 'none', latency => 10, alerts => 100, options => ", max_retries '3'");
is($node->sql($limit->count(1, 10)), 10, 'a window is filled');
is($node->sql("SELECT count(title) FROM $name WHERE id = 'a000050'"), 1, 'the next waits for the end of it');
cmp_ok(scalar(grep { $_->[2] } $limit->requests), '>', 4, 'and has looked more than max_retries times');

# A reader that does something else, with a cursor open, holds up nobody: not where no
# limit is known, and not for long where one is.
my $idle = sub {
	my @sessions = map { $node->session } 1 .. 4;
	foreach my $session (@sessions)
	{
		$session->query('BEGIN; DECLARE c CURSOR FOR ' . $limit->some(1, 60));
		$session->query('FETCH 1 FROM c');
	}
	return @sessions;
};
$limit->scene(requests => 1000, latency => 100, alerts => 100);
my @idle = $idle->();
my ($answer, $seconds) = $limit->took($limit->count(70, 70));
is($answer, 1, 'beside cursors that nobody reads');
cmp_ok($seconds, '<', 2, 'one does not wait');
@idle = ();
$limit->scene(requests => 12, seconds => 4, latency => 20, alerts => 100, retry_after => 'exact');
is($node->sql($limit->count(1, 30)), 30, 'a limit is known');
@idle = $idle->();
($answer, $seconds) = $limit->took($limit->count(70, 70));
is($answer, 1, 'beside cursors that nobody reads, where a limit is known');
cmp_ok($seconds, '<', 9, 'one does not wait long');
@idle = ();

# Two servers are one client: who waits for the ceiling of one is not in the way of
# those who use the other.
$name = $limit->scene(requests => 1000, latency => 10, alerts => 100);
$node->sql("CREATE SERVER low FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '" . $limit->{service}->url . "/$name', requests_per_minute '2');
	CREATE USER MAPPING FOR CURRENT_USER SERVER low OPTIONS (access_token 'a-token-of-nobody');
	CREATE FOREIGN TABLE low (id text, title text) SERVER low");
my $waiter = $limit->start(q{SET statement_timeout = '8s'; SELECT count(*) FROM (SELECT id FROM low WHERE id = ANY (ARRAY(SELECT 'a' || to_char(n, 'FM000000') FROM generate_series(1, 6) AS n)) OFFSET 0) AS a});
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM graph_fdw_activity WHERE state = 'waits'});
($answer, $seconds) = $limit->took($limit->count(50, 52));
is($answer, 3, 'beside one who waits for a ceiling of his own');
cmp_ok($seconds, '<', 3, 'one does not wait');
like(GraphLimit::finish($waiter), qr/timeout|takes no requests/, 'who does');

# Nor do these leave him nothing.
is($node->sql($limit->count(1, 40)), 40, 'many requests without a ceiling');
$node->sql("ALTER SERVER low OPTIONS (SET requests_per_minute '30')");
($answer, $seconds) = $limit->took("SELECT count(title) FROM low WHERE id = 'a000050'");
is($answer, 1, 'one with a ceiling below that');
cmp_ok($seconds, '<', 6, 'has a share');
$waiter = $limit->start("SET statement_timeout = '4s'; " . ($limit->count(1, 40) =~ s/$name/low/r));
like(GraphLimit::finish($waiter), qr/timeout|takes no requests/, 'and no more than that');

# Two hiccups of a service that has no limit are forgotten soon.
$limit->scene(requests => 1000, latency => 10, alerts => 100);
foreach my $id (1, 2)
{
	$limit->get('fail?count=3&retry_after=1');
	is($node->sql($limit->count($id, $id)), 1, "hiccup $id");
}
($answer, $seconds) = $limit->took($limit->count(10, 60));
is($answer, 51, 'after two hiccups');
cmp_ok($seconds, '<', 5, 'it is as if there had been none');
$limit->scene(requests => 1000, latency => 10, alerts => 100);
foreach my $from (1, 31)
{
	$limit->get('fail?count=6&retry_after=1');
	is($node->sql($limit->count($from, $from + 29)), 30, 'a hiccup in the middle');
}
($answer, $seconds) = $limit->took(join '; ', map { $limit->count(1, 99) } 1 .. 6);
is($answer, join("\n", (99) x 6), 'after two hiccups in the middle');
cmp_ok($seconds, '<', 60, 'requests go faster again');
note "after two hiccups in the middle: $seconds s";

# Each is as patient as its own server says, also while another one looks.
$limit->scene(requests => 0, latency => 10, alerts => 100, retry_after => 'none', options => ", throttle_timeout '3s'");
my $begin = time;
my @patient = map { $limit->start($limit->count($_, $_)) } 1 .. 4;
like(GraphLimit::finish($_), qr/ERROR/, 'a service that takes nothing') foreach @patient;
cmp_ok(time - $begin, '<', 7, 'ends the patience of all at once');

# A request that is refused for itself stops nobody else.
$limit->scene(requests => 1000, latency => 10, alerts => 100, never => 'a000007', options => ", throttle_timeout '30s'");
$waiter = $limit->start("SET statement_timeout = '25s'; " . $limit->count(5, 9));
sleep 2;
foreach my $id (50, 51)
{
	($answer, $seconds) = $limit->took($limit->count($id, $id));
	is($answer, 1, 'beside one that is refused for itself');
	cmp_ok($seconds, '<', 6, 'one does not wait long');
}
($answer, $seconds) = $limit->took($limit->count(20, 60));
is($answer, 41, 'nor do many');
cmp_ok($seconds, '<', 10, 'wait long');
like(GraphLimit::finish($waiter), qr/timeout|takes no requests|refused|too many/i, 'which ends by itself');

# Retry-After may be too short: who finds a window full that others have filled, waits.
$limit->scene(requests => 20, seconds => 10, retry_after => 1, latency => 10, alerts => 100);
is($node->sql($limit->count(1, 20)), 20, 'a window is filled');
is($node->sql($limit->count(50, 50)), 1, 'and the next waits, whatever Retry-After says');

# What one session has met, the others know: nobody asks in a pause.
scene();
$emulator->fault(kind => 'status', code => 429, retry_after => 2, path => '/security/', times => 1);
my @out = together(6, $lookups->(1));
is(join(' ', @out), join(' ', (1) x 6), 'a pause for all');
my @times = map { $_->{seconds} } records();
my @statuses = map { $_->{status} } records();
my ($refused) = grep { $statuses[$_] == 429 } 0 .. $#statuses;
my @within = grep { $times[$_] > $times[$refused] + 0.5 && $times[$_] < $times[$refused] + 1.9 } 0 .. $#times;
is(scalar(@within), 0, 'a pause for all: nobody asks in it') or diag(join ' ', map { sprintf '%.2f:%d', $times[$_] - $times[0], $statuses[$_] } 0 .. $#times);

# Another client does not wait.
$node->sql('CREATE SERVER other FOREIGN DATA WRAPPER graph_fdw '
	  . options(endpoint => $emulator->url, authority => $emulator->url, tenant_id => $TENANT)
	  . '; CREATE USER MAPPING FOR CURRENT_USER SERVER other ' . options(%{ $APP{read_only} })
	  . '; CREATE FOREIGN TABLE other_alerts (id text, title text) SERVER other');
scene();
$emulator->fault(kind => 'status', code => 429, retry_after => 5, path => '/security/', times => 1);
$node->result("SET statement_timeout = '500ms'; " . $lookups->(1));
my $since = time;
is($node->result(q{SELECT count(title) FROM other_alerts WHERE id = 'k1'}), 1, 'another application');
cmp_ok(time - $since, '<', 3, 'does not wait');

#------------------------------------------------------------------------------
# requests_per_minute is of all sessions
#------------------------------------------------------------------------------

scene();
$node->set_server(requests_per_minute => 5);
foreach my $database (1 .. 3)
{
	$node->result("SET statement_timeout = '1s'; " . $lookups->(3));
}
is(scalar(my @sent = records()), 5, 'requests_per_minute: of all sessions');
$node->set_server(requests_per_minute => 8);
$node->result("SET statement_timeout = '1s'; " . $lookups->(6));
is(scalar(@sent = records()), 8, 'requests_per_minute: each goes by its own ceiling');
$node->set_server(requests_per_minute => undef);

# In two databases.
$node->sql('CREATE DATABASE second');
$node->connect_database($emulator, database => 'second', server => { tenant_id => $TENANT, requests_per_minute => 10 }, mapping => $APP{main});
$node->result("SET statement_timeout = '1s'; " . $lookups->(6), database => 'second');
is(scalar(@sent = records()), 10, 'two databases are one client');

#------------------------------------------------------------------------------
# Who waits, and is no more
#------------------------------------------------------------------------------

scene();
$emulator->fault(kind => 'status', code => 429, retry_after => 4, path => '/security/', times => 1);
$node->set_server(max_retries => 0);
$node->result($lookups->(1));
$node->set_server(max_retries => undef);
@out = together(4, $lookups->(2), sub {
	sleep 1;
	cmp_ok($node->sql(q{SELECT count(*) FROM graph_fdw_activity WHERE state = 'waits'}), '>=', 4, 'they wait');
	is($node->sql(q{SELECT DISTINCT method || ' ' || resource || ' ' || usename || ' ' || datname FROM graph_fdw_activity}),
		'GET /security/alerts_v2 ' . $node->sql('SELECT CURRENT_USER') . ' postgres', 'what, who and where');
	$node->sql('SELECT pg_terminate_backend(min(pid)) FROM graph_fdw_activity');
	sleep 0.3;
	is($node->sql(q{SELECT count(DISTINCT pid) FROM graph_fdw_activity}), 3, 'one that is ended waits no more');
	$node->sql('SELECT pg_cancel_backend(min(pid)) FROM graph_fdw_activity');
	sleep 0.3;
	is($node->sql(q{SELECT count(DISTINCT pid) FROM graph_fdw_activity}), 2, 'one that is canceled neither');
});
is(scalar(grep { $_ eq '2' } @out), 2, 'the others go on');
is($node->sql('SELECT count(*) FROM graph_fdw_activity'), 0, 'and leave nothing');

#------------------------------------------------------------------------------
# Statistics
#------------------------------------------------------------------------------

my ($all, $mine) = split /\|/, $node->sql($lookups->(3) . '; SELECT all_requests, requests FROM graph_fdw_stats()') =~ s/^3\n//r;
is($mine, 3, 'statistics: of this session');
cmp_ok($all, '>', $mine, 'statistics: of all');

# Another role does not see what is asked.
scene();
$emulator->fault(kind => 'status', code => 429, retry_after => 3, path => '/security/', times => 1);
$node->sql('CREATE ROLE somebody LOGIN');
@out = together(1, $lookups->(1), sub {
	sleep 1;
	is($node->sql(q{SET ROLE somebody; SELECT count(pid) > 0, count(state), count(method), count(resource) FROM graph_fdw_activity}), 't|0|0|0', 'another role');
	is($node->sql(q{GRANT pg_read_all_stats TO somebody; SET ROLE somebody; SELECT count(state) > 0 FROM graph_fdw_activity}), 't', 'one that may read all');
});

#------------------------------------------------------------------------------
# What else may happen
#------------------------------------------------------------------------------

# More clients than the table has places: the others are alone.
scene();
$limit->scene(requests => 1000, latency => 0, alerts => 10);
my $url = $limit->{service}->url . "/$limit->{name}";
$node->sql("DO \$\$ BEGIN FOR n IN 1 .. 34 LOOP
	EXECUTE format('CREATE SERVER many%s FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint %L)', n, '$url');
	EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER many%s OPTIONS (access_token %L)', n, 'a-token-of-nobody');
	EXECUTE format('CREATE FOREIGN TABLE many%s (id text, title text) SERVER many%1\$s', n); END LOOP; END \$\$");
is($node->sql(join('; ', map { "SELECT count(title) FROM many$_ WHERE id = 'a000001'" } 1 .. 34)
	  . '; SELECT count(*), count(all_requests) FROM graph_fdw_stats()'), join("\n", (1) x 34, '34|32'), 'more clients than places');

# A backend is killed: the server makes all anew, and nobody waits any more.
scene();
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
$emulator->fault(kind => 'status', code => 429, retry_after => 20, path => '/security/', times => 1);
together(1, $lookups->(1), sub {
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM graph_fdw_activity WHERE state = 'waits'});
	if ($node->sql("SELECT current_setting('server_version_num')::int >= 170000") eq 't')
	{
		is($node->sql(q{SELECT wait_event FROM pg_stat_activity WHERE pid = (SELECT pid FROM graph_fdw_activity)}), 'GraphLimit', 'a wait for the limit has a name');
	}
	kill 'KILL', $node->sql('SELECT pid FROM graph_fdw_activity');
});
$node->poll_query_until('postgres', 'SELECT true');
is($node->sql('SELECT count(*) FROM graph_fdw_activity'), 0, 'a killed backend leaves nothing');
is($node->sql($lookups->(1)), 1, 'and the next asks at once');

$node->stop;
done_testing();
