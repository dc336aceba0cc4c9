
# How long do many writes take, and is a list that they change read right?
#
# Several are under way at once, and rows are sent while the scan finds more of
# them.  Each write changes when its alert was last updated, which may be what
# the list is sorted by, and takes it out of the list if that is what the
# condition says.
#
#	GRAPH_WRITES=20000 prove ... t/095_writes_speed.pl	the memory of so many

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WritingService qw(alert);

my $many = $ENV{GRAPH_WRITES} || 2000;
my $service = WritingService->new;
my $world = $service->world('fast');
my $url = $world->url;
my $node = GraphCluster->connected_to(GraphEmulator->new('--alerts', 0, '--no-sample'), import => 0, conf => "fsync = off\njit = off");

$node->sql(<<"SQL");
CREATE SERVER fast FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url', updatable 'true', page_size '100', concurrency '8');
CREATE USER MAPPING FOR CURRENT_USER SERVER fast OPTIONS (access_token 'writer');
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_comments) FROM SERVER fast INTO public;
SQL

#------------------------------------------------------------------------------
# 200 writes of 100 ms, 8 at once
#------------------------------------------------------------------------------

my ($WRITES, $AT_ONCE, $LATENCY, $BOUND) = (200, 8, 0.1, 1.3);
my $ideal = $WRITES / $AT_ONCE * $LATENCY;

# What a plain client needs for the same, which says what this machine can do.
my $client = PostgreSQL::Test::Utils::tempdir() . '/client.py';
append_to_file($client, <<'PYTHON');
import http.client, sys, threading, time
port, writes, at_once = map(int, sys.argv[1:])
def work(numbers):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in numbers:
        connection.request("PATCH", f"/fast/v1.0/security/alerts_v2/a{number:06d}", b'{"status": "resolved"}',
                           {"Authorization": "Bearer writer", "Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
threads = [threading.Thread(target=work, args=(range(1000 + first, 1000 + writes, at_once),)) for first in range(at_once)]
start = time.time()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(time.time() - start)
PYTHON

sub fill
{
	my ($number, %members) = @_;
	$world->set_state(alerts => [ map { alert(1000 + $_, status => 'new', assignedTo => undef, comments => [], %members) } 0 .. $number - 1 ]);
	$world->clear;
	return;
}

sub at_once { my $most = 0; foreach ($world->writes) { $most = $_->{at_once} if $_->{at_once} > $most } return $most }

my $slow = 0;
foreach my $case (
	[ 'UPDATE', q{UPDATE alerts SET status = 'resolved' WHERE status = 'new'} ],
	[ 'UPDATE with RETURNING', q{WITH u AS (UPDATE alerts SET status = 'resolved' RETURNING id, last_update_date_time) SELECT count(*) FROM u} ],
	[ 'UPDATE of ids', q{UPDATE alerts SET status = 'resolved' WHERE id IN (SELECT 'a' || lpad(i::text, 6, '0') FROM generate_series(1000, 1199) AS i)} ],
	[ 'UPDATE of joined rows', q{UPDATE alerts AS a SET status = 'resolved' FROM generate_series(1000, 1199) AS i WHERE a.id = 'a' || lpad(i::text, 6, '0')} ],
	[ 'INSERT', q{INSERT INTO alert_comments (alert_id, comment) SELECT 'a' || lpad(i::text, 6, '0'), 'x' FROM generate_series(1000, 1199) AS i} ])
{
	my ($name, $sql) = @$case;
	my ($best, $plain) = (1e6, 1e6);

	# the machine has other work: the best of some
	foreach my $try (1 .. 5)
	{
		fill($WRITES);
		$world->switches(latency => $LATENCY);
		chomp(my $seconds = `python3 $client $service->{port} $WRITES $AT_ONCE`);
		$plain = $seconds if $seconds < $plain;
		fill($WRITES);
		my $start = time;
		$node->sql($sql);
		$seconds = time - $start;
		$best = $seconds if $seconds < $best;
		last if $best <= $BOUND * $ideal;
	}
	my @writes = $world->writes;
	my %once = map { ($_->{id} => 1) } @writes;
	is(@writes . ' writes, ' . keys(%once) . ' alerts', "$WRITES writes, $WRITES alerts", "$name: each is written once");
	cmp_ok(at_once(), '<=', $AT_ONCE + ($name =~ /ids|joined/ ? $AT_ONCE : 1), "$name: no more at once than concurrency says, and the scan");
  SKIP:
	{
		skip sprintf('a plain client needs %.2f s here, more than %.2f s', $plain, $BOUND * $ideal), 1 if $plain > $BOUND * $ideal && $best > $BOUND * $ideal;
		cmp_ok($best, '<=', $BOUND * ($plain > $ideal ? $plain : $ideal), sprintf '%s: %.2f s, a plain client %.2f s, ideal %.2f s', $name, $best, $plain, $ideal);
	}
}

#------------------------------------------------------------------------------
# A list that is read and written
#------------------------------------------------------------------------------

$world->switches;
my $session = $node->session;
my ($pid) = $session->query('SELECT pg_backend_pid()') =~ /(\d+)/;

# The most memory that the backend has had, in kB.
sub peak { return slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m ? $1 : 0 }

foreach my $case (
	[ 'a list by what is changed', { order => 'lastUpdateDateTime', links => 'skip' }, 100, q{UPDATE alerts SET status = 'resolved' WHERE status = 'new'}, 3000 ],
	[ 'a list by what is changed, which nothing leaves', { order => 'lastUpdateDateTime', links => 'skiptoken' }, 100, q{UPDATE alerts SET assigned_to = 'me' WHERE last_update_date_time < '2026-10-01'}, 700 ],
	[ 'a long page', { links => 'skip' }, 1000, q{UPDATE alerts SET status = 'resolved' WHERE status = 'new'}, 1700 ],
	[ 'a condition that stays here', { order => 'lastUpdateDateTime' }, 100, q{UPDATE alerts SET assigned_to = 'me' WHERE title <> 'x'}, 700 ])
{
	my ($name, $switches, $page, $sql, $number) = @$case;

	fill($number);
	$world->switches(%$switches);
	$session->{stderr} = '';
	my $start = time;
	$session->query("ALTER SERVER fast OPTIONS (SET page_size '$page')");
	my $printed = $session->query("$sql;\n\\echo rows :ROW_COUNT");
	my %times;
	$times{ $_->{id} }++ foreach grep { $_->{taken} } $world->writes;
	my $twice = grep { $_ > 1 } values %times;
	my $gets = grep { $_->{method} eq 'GET' } $world->log;
	is("$printed$session->{stderr}, " . keys(%times) . " written, $twice more than once", "rows $number, $number written, 0 more than once", "$name: each alert is written once");
	note sprintf '%s: %.1f s, %d requests read it', $name, time - $start, $gets;
}

#------------------------------------------------------------------------------
# Memory
#------------------------------------------------------------------------------

SKIP:
{
	skip 'no /proc', 1 unless -r "/proc/$pid/status";
	$session->quit;
	$session = $node->session;
	($pid) = $session->query('SELECT pg_backend_pid()') =~ /(\d+)/;
	fill($many, evidence => []);
	$world->switches(links => 'skip');
	$session->query("UPDATE alerts SET assigned_to = 'one' WHERE created_date_time < '2026-07-01 20:00Z'");
	my $before = peak();
	my $first = grep { $_->{taken} } $world->writes;
	$world->clear;
	$session->query("UPDATE alerts SET assigned_to = 'two'");
	my $writes = grep { $_->{taken} } $world->writes;
	my $grown = peak() - $before;
	is($writes, $many, 'many updates');
	cmp_ok($grown, '<', 2048 + $many * 0.3, sprintf 'memory of %d updates: %d kB more than that of %d', $writes, $grown, $first);
}
$session->quit;

done_testing();
