
# Does a query end at once when it is told to, whatever the service is doing?
#
# By pg_cancel_backend(), by statement_timeout, by pg_terminate_backend(), by a
# client that goes away and by the server's shutdown, while a connection does
# not come about, while nothing is said, or too little, and between two
# attempts.  The session goes on, and so does the next query.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Fcntl;
use GraphCluster;
use GraphEmulator qw(%APP $TENANT);
use IO::Socket::INET;
use OddServer;
use PostgreSQL::Test::Utils;
use Socket;
use Test::More;
use Time::HiRes qw(sleep time);

my $AT_ONCE = 1.0;    # seconds; it is milliseconds unless the machine is busy

my $emulator = GraphEmulator->new('--alerts', 30, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { tenant_id => $TENANT, max_retries => 5 });
my $control = $node->session;
my $list = 'SELECT count(*) FROM (SELECT * FROM defender.alerts OFFSET 0) AS a';
my $slowest = 0;

#------------------------------------------------------------------------------
# Where nothing happens
#------------------------------------------------------------------------------

# A port that takes no more connections: its backlog is full.
my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
  or die "cannot listen: $!";
my @waiting;
for (1 .. 8)
{
	socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "no socket: $!";
	fcntl $socket, F_SETFL, O_NONBLOCK;
	connect $socket, sockaddr_in($full->sockport, INADDR_LOOPBACK);
	push @waiting, $socket;
}

# A server that accepts, and then says nothing.
my $silent = OddServer->new(sub { sleep 300 });

my @cases = (
	{ name => 'connecting', endpoint => 'http://127.0.0.1:' . $full->sockport },
	{ name => 'TLS handshake', endpoint => 'https://127.0.0.1:' . $silent->port },
	{ name => 'through a silent proxy', endpoint => 'https://graph.example', proxy => $silent->url },
	{ name => 'before the header', fault => { kind => 'stall', before_headers => JSON::PP::true } },
	{ name => 'in the body', fault => { kind => 'stall', after => 5000 } },
	{ name => 'at the end of the body', fault => { kind => 'stall', after => 1_000_000 } },
	{ name => 'by key', fault => { kind => 'stall', after => 10 },
		query => q{SELECT raw FROM defender.alerts WHERE id = (SELECT id FROM one_id)} },
	{ name => 'a trickle', fault => { kind => 'trickle', ms => 20, bytes => 1 } },
	{ name => 'Retry-After', fault => { kind => 'status', code => 429, retry_after => 60 } },
	{ name => 'back-off', fault => { kind => 'status', code => 503 }, patient => 1 },
	{ name => 'login', fault => { kind => 'stall', before_headers => JSON::PP::true, path => 'oauth2' }, login => 1 },
	{ name => 'back-off of a login', fault => { kind => 'status', code => 503, path => 'oauth2' }, login => 1, patient => 1 });

$node->sql('CREATE TABLE one_id AS SELECT id FROM defender.alerts LIMIT 1');

# Set the scene of a case.
sub prepare
{
	my ($case) = @_;
	my $endpoint = $case->{endpoint} // $emulator->url;
	my $retries = $case->{patient} ? 20 : 5;
	my $proxy = $case->{proxy} ? ", ADD proxy '$case->{proxy}'" : '';
	my $login = $case->{login}
	  ? "client_id '$APP{main}{client_id}', client_secret '$APP{main}{client_secret}'"
	  : q{access_token 'emulator-access-token'};

	$emulator->reset;
	$emulator->fault(%{ $case->{fault} }, times => -1) if $case->{fault};
	$control->query(<<"SQL");
ALTER SERVER graph OPTIONS (SET endpoint '$endpoint', SET max_retries '$retries'$proxy);
DROP USER MAPPING FOR CURRENT_USER SERVER graph;
CREATE USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS ($login);
SQL
	return;
}

# Nothing is wrong any more.
sub set_free
{
	my ($case) = @_;
	my $endpoint = $emulator->url;
	my $proxy = $case->{proxy} ? ', DROP proxy' : '';

	$emulator->reset;
	$control->query("ALTER SERVER graph OPTIONS (SET endpoint '$endpoint'$proxy)");
	return;
}

#------------------------------------------------------------------------------
# Queries that are ended
#------------------------------------------------------------------------------

sub pid_of
{
	my ($session) = @_;
	return $session->query('SELECT pg_backend_pid()');
}

# Start a query, and come back when it waits for the service.
sub start
{
	my ($session, $query) = @_;
	my $pid = pid_of($session);
	my $waits = "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Extension'";

	$session->{stderr} = '';
	$session->query_until(qr/^go$/m, "\\echo go\n$query;\n\\warn done\n");
	for (1 .. 500)
	{
		last if $control->query($waits) eq '1';
		sleep 0.01;
	}
	sleep 0.1;    # whatever it waits for first is over
	is($control->query($waits), 1, 'it waits');
	return $pid;
}

# How a query ended: its error, once all of it is there; and how long it took.
sub end_of
{
	my ($session, $since) = @_;

	pump_until($session->{run}, $session->{timeout}, \$session->{stderr}, qr/^(?:psql:\S+ )?done$|FATAL/m);
	my $seconds = time - $since;
	$slowest = $seconds if $seconds > $slowest;
	return ($session->{stderr} =~ /(?:ERROR|FATAL):  (\w{5}: [^\n]*)/ ? $1 : 'no error', $seconds);
}

# Is the session as it was, and the next answer right?
sub goes_on
{
	my ($session, $name, $case) = @_;

	set_free($case || {});
	$session->{stdout} = $session->{stderr} = '';
	is($session->query($list), 30, "$name: the next query");
	return;
}

my $session = $node->session;
foreach my $case (@cases)
{
	my $name = $case->{name};
	my $query = $case->{query} // $list;

	prepare($case);
	start($session, $query);
	my $since = time;
	$control->query(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Extension'});
	my ($error, $seconds) = end_of($session, $since);
	is($error, '57014: canceling statement due to user request', "$name: cancel");
	cmp_ok($seconds, '<', $AT_ONCE, "$name: cancel: at once");
	goes_on($session, "$name: cancel", $case);

	prepare($case);
	$session->query("SET statement_timeout = '250ms'");
	$session->{stderr} = '';
	$since = time;
	$session->{stdin} .= "$query;\n\\warn done\n";
	($error, $seconds) = end_of($session, $since);
	$slowest = 0 if $slowest == $seconds;
	# What cannot be had before the time is up is not waited for.
	like($error, qr/^57014: canceling statement due to statement timeout$|^5\w{4}: .*status (?:429|503)/, "$name: statement_timeout");
	like($error, qr/^57014/, "$name: statement_timeout ends it") if $name !~ /Retry|back-off/;
	cmp_ok($seconds, '<', 0.25 + $AT_ONCE, "$name: statement_timeout: at once");
	$session->query('RESET statement_timeout');
	goes_on($session, "$name: statement_timeout", $case);

	prepare($case);
	my $victim = $node->session;
	start($victim, $query);
	$since = time;
	$control->query(q{SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event_type = 'Extension'});
	$seconds = time - $since;
	is($control->query(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Extension'}), 0, "$name: terminate");
	cmp_ok($seconds, '<', $AT_ONCE, "$name: terminate: at once");
	($error) = end_of($victim, $since);
	is($error, '57P01: terminating connection due to administrator command', "$name: terminate: error");
	eval { $victim->quit };
	set_free($case);

	prepare($case);
	$victim = $node->session;
	my $pid = start($victim, $query);
	$since = time;
	$victim->{run}->signal('KILL');
	for (1 .. 500)
	{
		last if $control->query("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid") eq '0';
		sleep 0.01;
	}
	$seconds = time - $since;
	is($control->query("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid"), 0, "$name: the client goes away");
	cmp_ok($seconds, '<', $AT_ONCE, "$name: the client goes away: at once");
	eval { $victim->{run}->finish };
	set_free($case);
}
note sprintf 'the slowest took %.0f ms', $slowest * 1000;

#------------------------------------------------------------------------------
# What a cancel leaves
#------------------------------------------------------------------------------

# A connection on which an answer was under way is not used again.
set_free({});
is($session->query($list), 30, 'before');
my $before = ($emulator->records)[-1]{connection};
$emulator->fault(kind => 'stall', after => 5000);
start($session, $list);
$control->query(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Extension'});
end_of($session, time);
goes_on($session, 'a connection');
my @connections = map { $_->{connection} } $emulator->records;
isnt($connections[-1], $before, 'a connection is not used again');

# In a subtransaction.
$emulator->fault(kind => 'stall', after => 5000);
is($node->error($list, before => "SET statement_timeout = '250ms'")->{state}, '57014', 'caught');
$emulator->no_fault;
is($session->query("BEGIN; SELECT 1; SAVEPOINT s; $list; ROLLBACK TO s; $list; COMMIT"), "1\n30\n30", 'savepoints');

# Other signals do not end what waits.
$emulator->fault(kind => 'stall', after => 5000, seconds => 0.7);
my $pid = start($session, $list);
$control->query("SELECT pg_reload_conf(), pg_log_backend_memory_contexts($pid)") for 1 .. 5;
my ($error) = end_of($session, time);
is($error, 'no error', 'other signals');
like($session->{stdout}, qr/^30$/m, 'other signals: the answer');
$session->{stdout} = '';

# A cursor that is not read to its end stops what is under way.
$emulator->fault(kind => 'stall', after => 20_000);
my $since = time;
is($session->query('BEGIN; DECLARE c CURSOR FOR SELECT id IS NOT NULL FROM (SELECT * FROM defender.alerts OFFSET 0) AS a; FETCH c; CLOSE c; COMMIT'),
	't', 'a row of an answer that stalls');
cmp_ok(time - $since, '<', $AT_ONCE, 'a row, at once');

$session->quit;

# The server is shut down.
prepare($cases[4]);
$session = $node->session;
start($session, $list);
$control->quit;
$since = time;
$node->stop('fast');
cmp_ok(time - $since, '<', 2 + $AT_ONCE, 'shutdown: at once');
eval { $session->quit };

unlike(slurp_file($node->logfile), qr/TRAP|PANIC|WARNING|terminated by signal/, 'nothing in the log');
done_testing();
