
# Is what a backend needs bounded, whatever the service sends, however often a
# query fails and however many sessions there are?
#
# GRAPH_FDW_ALERTS=1000000 and GRAPH_FDW_FAILURES=10000 make it thorough.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use OddServer;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'there is no /proc' unless -r '/proc/self/status' && -d '/proc/self/fd';

my $ALERTS   = $ENV{GRAPH_FDW_ALERTS}   || 50_000;
my $FAILURES = $ENV{GRAPH_FDW_FAILURES} || 1000;
my $SESSIONS = $ENV{GRAPH_FDW_SESSIONS} || 32;
my $MORE     = 32 * 1024;    # kB above an idle backend

#------------------------------------------------------------------------------
# A list of any length
#------------------------------------------------------------------------------

# One page is made once; only the ids and the times differ.  The path says how
# many pages there are: /PAGES/v1.0/security/alerts_v2?$skiptoken=NUMBER.
my $evidence = join ',', map { qq({"\@odata.type":"#microsoft.graph.security.deviceEvidence","hostName":"h$_","x":") . 'y' x 500 . '"}' } 1 .. 2;
my $generator = OddServer->new(sub {
	my ($socket) = @_;

	while (my $request = OddServer::request($socket))
	{
		my ($pages, $query) = $request =~ m{^GET /(\d+)/v1\.0/security/alerts_v2(\S*) } or return;
		my ($number) = $query =~ /skiptoken=(\d+)/;
		$number //= 1;
		my ($host) = $request =~ /^host: (\S+)/im;
		my $link = $number < $pages ? qq("\@odata.nextLink":"http://$host/$pages/v1.0/security/alerts_v2?\\u0024skiptoken=@{[ $number + 1 ]}",) : '';
		my $n = $number * 1000;
		my $body = qq({$link"value":[) . join(',', map { $n++; sprintf '{"id":"g%08d","createdDateTime":"%04d-01-01T00:%02d:%02dZ","title":"t","comments":[],"evidence":[%s]}', $n, 9000 - $number % 8000, 59 - $_ / 17, 0, $evidence } 0 .. 999) . ']}';
		print $socket "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body" or return;
		$socket->flush;
	}
});

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
$emulator->set_alerts(map { alert(id => "b$_", title => 'x' x 500) } 1 .. 100);
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 0 }, conf => "jit = off\nmax_connections = 100");
$node->sql(<<"SQL");
CREATE SERVER endless FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '@{[ $generator->url ]}/1', order_pushdown 'false');
CREATE USER MAPPING FOR CURRENT_USER SERVER endless OPTIONS (access_token 'x');
CREATE SCHEMA many;
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_comments, alert_evidence) FROM SERVER endless INTO many;
SQL

# What the kernel says of a process, in kB; and its descriptors.
sub memory
{
	my ($pid, $what) = @_;
	return slurp_file("/proc/$pid/status") =~ /^$what:\s+(\d+)/m ? $1 : die "no $what";
}
sub descriptors { my ($pid) = @_; return scalar(my @files = glob "/proc/$pid/fd/*") }

my %peak;
foreach my $alerts (int($ALERTS / 10), $ALERTS)
{
	my $pages = $alerts / 1000;

	$node->sql("ALTER SERVER endless OPTIONS (SET endpoint '" . $generator->url . "/$pages')");
	foreach my $case (
		[ 'alerts',   "SELECT count(*), min(id), max(title) FROM (SELECT * FROM many.alerts OFFSET 0) AS a", qr/^$alerts\|/ ],
		[ 'comments', 'SELECT count(*) FROM (SELECT * FROM many.alert_comments OFFSET 0) AS c', qr/^0$/ ],
		[ 'evidence', 'SELECT count(*) FROM (SELECT * FROM many.alert_evidence OFFSET 0) AS e', qr/^@{[ 2 * $alerts ]}$/ ])
	{
		my ($name, $query, $expected) = @$case;
		my $session = $node->session;
		my $pid = $session->query('SELECT pg_backend_pid()');

		$session->query(q{SELECT title FROM defender.alerts WHERE id = 'b1'});
		my $idle = memory($pid, 'VmHWM');
		like($session->query($query), $expected, "$name of $alerts alerts") or diag($session->{stderr});
		$peak{$name}{$alerts} = memory($pid, 'VmHWM') - $idle;
		cmp_ok($peak{$name}{$alerts}, '<', $MORE, "$name of $alerts alerts: memory");
		note "$name of $alerts alerts: $peak{$name}{$alerts} kB";
		$session->quit;
	}
}
foreach my $name (sort keys %peak)
{
	cmp_ok($peak{$name}{$ALERTS} - $peak{$name}{ int($ALERTS / 10) }, '<', 2048, "$name: the same for ten times as many");
}

# Many ids that are not there, in one scan.
my $session = $node->session;
my $pid = $session->query('SELECT pg_backend_pid()');
my $missing = q{SELECT count(*) FROM (SELECT raw FROM defender.alerts WHERE id = ANY (ARRAY(SELECT 'no' || n FROM generate_series(1, COUNT) AS n)) OFFSET 0) AS a};
$session->query($missing =~ s/COUNT/50/r);
my $before = memory($pid, 'RssAnon');
is($session->query($missing =~ s/COUNT/800/r), 0, 'ids that are not there');
cmp_ok(memory($pid, 'RssAnon') - $before, '<', 4096, 'ids that are not there: memory');

#------------------------------------------------------------------------------
# A value that is larger as jsonb than jsonb can be
#------------------------------------------------------------------------------

# Bytes that are no character become three.
my $huge = OddServer->new(
	sub {
		my ($socket, $request) = @_;
		my ($open, $close) = $request =~ m{^GET /array/} ? ('[', ']') : ('{"k":', '}');

		OddServer::answer($socket, 200, '{"value":[{"id":"h","additionalData":' . $open . '"' . "\xff" x (90 * 1024 * 1024) . '"' . $close . '}]}');
	},
	read => 1);
foreach my $what ('array', 'object')
{
	$node->set_server(endpoint => $huge->url . "/$what", max_record_size => '200MB');
	my $error = $node->error('SELECT additional_data FROM defender.alerts');

	is($error->{state}, '54000', "an $what that is too large for jsonb");
	is($error->{message}, "total size of jsonb $what elements exceeds the maximum of 268435455 bytes", "an $what that is too large for jsonb: the message");
	like($error->{context}, qr/column "additional_data".*alert "h"/, "an $what that is too large for jsonb: where");
}
$node->set_server(endpoint => $emulator->url, max_record_size => undef);

# One with many members, after which their room is given back.
$emulator->set_alerts(
	alert(id => 'large', createdDateTime => '2026-06-20T10:00:00Z', additionalData => { map { ("key$_" => 1) } 1 .. 200_000 }),
	map { alert(id => "small$_", createdDateTime => sprintf '2026-06-%02dT10:00:00Z', $_) } 1 .. 19, 21 .. 30);
my $kept = q{SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name LIKE 'graph_fdw%' OR name LIKE 'Executor%'};
$session->query('BEGIN; DECLARE c CURSOR FOR SELECT id, additional_data FROM defender.alerts');
is($session->query('FETCH 5 FROM c') =~ /large/, '', 'many members: before them');
$before = $session->query($kept);
$session->query('MOVE 5 FROM c');
like($session->query('FETCH 1 FROM c'), qr/large/, 'many members: they are read');
is($session->query('FETCH 1 FROM c'), 'small19|', 'many members: after them');
cmp_ok($session->query($kept) - $before, '<', 1024 * 1024, 'many members: their room is given back');
$session->query('COMMIT');
$emulator->set_alerts(map { alert(id => "b$_", title => 'x' x 500) } 1 .. 100);

#------------------------------------------------------------------------------
# Failures
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE FUNCTION attempts(query text, times integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE failed integer := 0;
BEGIN
	FOR i IN 1 .. times LOOP
		BEGIN
			EXECUTE query;
		EXCEPTION WHEN OTHERS THEN
			failed := failed + 1;
		END;
	END LOOP;
	RETURN failed || ' of ' || times;
END $$;
SQL
foreach my $case (
	[ 'refused', kind => 'status', code => 403 ],
	[ 'cut',     kind => 'cut', after => 20_000 ],
	[ 'broken',  kind => 'malformed' ],
	[ 'reset',   kind => 'reset', after => 3000 ])
{
	my ($name, @fault) = @$case;
	my $call = "SELECT attempts('SELECT count(*) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a', TIMES)";
	my $times = int($FAILURES / 4);

	$emulator->no_fault;
	$emulator->settings(gzip => JSON::PP::false);
	$emulator->fault(@fault, times => -1);
	$session->query($call =~ s/TIMES/30/r);
	my ($files, $memory) = (descriptors($pid), memory($pid, 'RssAnon'));
	is($session->query($call =~ s/TIMES/$times/r), "$times of $times", "$name, $times times") or diag($session->{stderr});
	cmp_ok(descriptors($pid) - $files, '<=', 2, "$name: descriptors");
	cmp_ok(memory($pid, 'RssAnon') - $memory, '<', 1024, "$name: memory");
}
$emulator->no_fault;
is($session->query('SELECT count(*) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a'), 100, 'the session is well');
$session->quit;

#------------------------------------------------------------------------------
# Many sessions
#------------------------------------------------------------------------------

# One request in five fails: every answer is right, or its error is the fault's.
$node->set_server(max_retries => 5, page_size => 30, concurrency => 4);
$emulator->fault(kind => 'status', code => 503, retry_after => 0, nth => 5 * $_) foreach 1 .. 200;
my @sessions = map { $node->session } 1 .. $SESSIONS;
my @pids = map { $_->query('SELECT pg_backend_pid()') } @sessions;
my $query = q{SELECT string_agg(r::text, ',') FROM (SELECT (SELECT count(*) FROM (SELECT id FROM defender.alerts OFFSET 0 * n) AS a) + count(*) FILTER (WHERE b.id IS NOT NULL) AS r
	FROM generate_series(1, 4) AS n LEFT JOIN LATERAL (SELECT id FROM defender.alerts WHERE id = 'b' || n) AS b ON true GROUP BY n) AS all_r};
$_->{stdin} .= "$query;\n\\echo over\n" foreach @sessions;
$_->{run}->pump_nb foreach @sessions;
foreach my $i (0 .. $#sessions)
{
	pump_until($sessions[$i]{run}, $sessions[$i]{timeout}, \$sessions[$i]{stdout}, qr/^over$/m);
	like($sessions[$i]{stdout}, qr/^101,101,101,101$/m, "session $i of $SESSIONS") or diag($sessions[$i]{stderr});
	cmp_ok(descriptors($pids[$i]), '<', 60, "session $i: descriptors");
}
$_->quit foreach @sessions;
$emulator->no_fault;

#------------------------------------------------------------------------------
# Sockets
#------------------------------------------------------------------------------

# Sockets of this process.
sub sockets { my ($pid) = @_; return scalar(grep { (readlink // '') =~ /^socket/ } glob "/proc/$pid/fd/*") }

$session = $node->session;
$pid = $session->query('SELECT pg_backend_pid()');
$session->query('SELECT count(*) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a');
$session->query('SELECT graph_fdw_disconnect(); SELECT id FROM defender.alerts WHERE id = \'b1\'');
my $none = sockets($pid) - 1;    # that one is kept
$emulator->fault(kind => 'stall', after => 10_000, times => -1);
foreach my $end ('CLOSE c', 'ROLLBACK', 'COMMIT', 'SELECT 1/0', 'SAVEPOINT s; MOVE c; ROLLBACK TO s; CLOSE c', 'DISCARD ALL')
{
	$session->query('BEGIN; DECLARE c CURSOR FOR SELECT id FROM defender.alerts; MOVE 3 c');
	cmp_ok(sockets($pid), '>', $none, "$end: a socket is in use");
	$session->query($end);
	$session->query('ROLLBACK');
	cmp_ok(sockets($pid), '<=', $none, "$end: and released");
}
$session->query('BEGIN; DECLARE c CURSOR FOR SELECT id FROM defender.alerts; MOVE 3 c');
$session->quit;
for (1 .. 100) { last unless -d "/proc/$pid"; sleep 0.05 }
ok(!-d "/proc/$pid", 'a session with an open cursor ends');

unlike(slurp_file($node->logfile), qr/TRAP|PANIC|WARNING:  (?!there is no transaction)|terminated by signal/, 'nothing in the log');
done_testing();
