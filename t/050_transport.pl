
# Is what a server sends bounded in time as well, and goes waiting by a clock
# that does not step?
#
# A small body that unpacks to a large one must not cost a minute of the
# processor; an answer that never begins must not be waited for longer than a
# silence; and setting the clock back must not make a wait longer.

use strict;
use warnings;

use Compress::Raw::Zlib;
use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert %APP $TENANT);
use IO::Compress::Gzip qw(gzip);
use IPC::Run qw(run);
use OddServer;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $SLOW = $ENV{GRAPH_SLOW} || 1;

# A time of day that can be set back, if there is a compiler for it.
my $folder = PostgreSQL::Test::Utils::tempdir();
my $shim = "$folder/stepping_clock.so";
my $has_clock = !$ENV{LD_PRELOAD} && eval {
	run([ 'cc', '-O2', '-shared', '-fPIC', '-o', $shim, "$FindBin::RealBin/stepping_clock.c" ], '>', '/dev/null', '2>', '/dev/null') };

#------------------------------------------------------------------------------
# Answers
#------------------------------------------------------------------------------

# A gzip of some text with a megabyte in it, so many times over.
sub bomb
{
	my ($before, $megabyte, $times, $after) = @_;
	my @pieces;

	foreach my $text ($before, $megabyte, $after)
	{
		my $deflate = Compress::Raw::Zlib::Deflate->new(-WindowBits => -MAX_WBITS, -Level => 9);
		$deflate->deflate($text, my $first);
		$deflate->flush(my $second, Z_FULL_FLUSH);
		push @pieces, $first . $second;
	}
	return "\x1f\x8b\x08" . "\0" x 6 . "\x03" . $pieces[0] . $pieces[1] x $times . $pieces[2] . "\x03\0" . "\0" x 8;
}

my $blanks = ' ' x 1_048_576;
my $record = '{"id":"b","createdDateTime":"2026-07-01T10:00:00Z","title":"';
my $letters = join '', map { chr(97 + int rand 16) } 1 .. 65536;
my $large = gzip_of($record . $letters x (16 * 60) . '"}');
my $members = gzip_of($record) . gzip_of('x') x 20_000 . gzip_of('"}');
my %body = (
	blanks  => bomb('{', $blanks, 1024, '}'),
	between => bomb("{\"value\":[$record\"}", $blanks, 1024, ']}'),
	behind  => bomb("{\"value\":[$record\"}]}", $blanks, 1024, ''),
	large   => gzip_of('{"value":[') . $large . gzip_of(']}'),
	members => gzip_of('{"value":[') . $members . gzip_of(']}'));

sub gzip_of { my ($text) = @_; gzip(\$text => \my $packed); return $packed }

# The path begins with what is wanted.
my $server = OddServer->new(sub {
	my ($socket, $request) = @_;
	my ($what) = $request =~ m{^\w+ /(\w+)/} or return;

	$socket->autoflush(1);
	$SIG{PIPE} = 'DEFAULT';
	if ($body{$what})
	{
		OddServer::answer($socket, 200, $body{$what}, 'Content-Encoding: gzip');
	}
	elsif ($what eq 'interim')
	{
		for (1 .. 600) { print $socket "HTTP/1.1 102 Processing\r\n\r\n"; sleep 0.1 }
	}
	elsif ($what eq 'lines')
	{
		print $socket "HTTP/1.1 200 OK\r\n";
		for (1 .. 600) { print $socket "X-Line: $_\r\n"; sleep 0.1 }
	}
	elsif ($what eq 'early')
	{
		for (1 .. 3) { print $socket "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"; sleep 0.4 }
		OddServer::answer($socket, 200, "{\"value\":[$record\"}]}");
	}
	elsif ($what eq 'slow')
	{
		my $text = "{\"value\":[$record" . 'x' x 8 . '"}]}';
		printf $socket "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length $text;
		foreach my $piece ($text =~ /(.{1,12})/gs) { print $socket $piece; sleep 0.4 }
	}
	elsif ($what eq 'cut' && $request =~ /^POST/)
	{
		# a token, which is cut the first time
		my $nth = OddServerCount("$folder/tokens");
		my $token = '{"token_type":"Bearer","expires_in":3599,"access_token":"emulator-access-token"}';
		print $socket "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" . substr $token, 0, $nth == 1 ? 50 : 999;
	}
	elsif ($what eq 'cut')
	{
		OddServer::answer($socket, 200, "{\"value\":[$record\"}]}");
	}
	elsif ($what eq 'silent')
	{
		sleep 30;
	}
	return;
}, read => 1);

# How often was this asked for?
sub OddServerCount
{
	my ($name) = @_;

	open my $file, '>>', $name or die;
	syswrite $file, 'x';
	return -s $file;
}

#------------------------------------------------------------------------------
# The session
#------------------------------------------------------------------------------

my $emulator = GraphEmulator->new('--alerts', 1);
if ($has_clock)
{
	$ENV{LD_PRELOAD} = $shim;
	$ENV{STEPPING_CLOCK} = "$folder/set_back";
	chmod 0755, $folder, $shim;
}
my $node = GraphCluster->connected_to($emulator, conf => 'jit = off');
delete $ENV{LD_PRELOAD};
$node->sql(sprintf <<'SQL', $server->url, $server->url);
CREATE SERVER odd FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '%s', authority '%s', max_retries '0', request_timeout '1s', count_pushdown 'false');
CREATE USER MAPPING FOR CURRENT_USER SERVER odd OPTIONS (access_token 'x');
CREATE FOREIGN TABLE odd_alerts (id text, title text, raw jsonb OPTIONS (property '.')) SERVER odd;
SQL
my $session = $node->session;
my $pid = $session->query('SELECT pg_backend_pid()');

# Seconds of the processor that the backend has used.
sub processor
{
	my @fields = split ' ', slurp_file("/proc/$pid/stat") =~ s/^.*\) //sr;
	return ($fields[11] + $fields[12]) / 100;
}

# The result or the error of a query, and how long it took.
sub ask
{
	my ($what, $select) = @_;

	$session->query("ALTER SERVER odd OPTIONS (SET endpoint '" . $server->url . "/$what')");
	my ($since, $before) = (time, processor());
	$session->{stderr} = '';
	my $result = $session->query($select || 'SELECT count(*), max(length(title)) FROM (SELECT id, title FROM odd_alerts OFFSET 0) AS a');
	my $error = $session->{stderr} =~ /ERROR:  (\w{5}: [^\n]*)/ ? $1 : undef;
	my ($seconds, $cpu) = (time - $since, processor() - $before);
	note sprintf '%s: %.1f s, %.1f s of the processor', $what, $seconds, $cpu;
	return ($error // $result, $seconds, $cpu);
}

plan skip_all => 'there is no /proc' unless -r "/proc/$pid/stat";

#------------------------------------------------------------------------------
# What unpacks to more than was sent
#------------------------------------------------------------------------------

foreach my $case (
	[ 'blanks',  qr/^54000: an alert .* is larger than/, 'a gigabyte of blanks' ],
	[ 'between', qr/^54000: an alert .* is larger than/, 'a gigabyte of blanks behind a record' ],
	[ 'behind',  qr/^54000: an alert .* is larger than/, 'a gigabyte of blanks behind the document' ],
	[ 'large',   qr/^1\|62914560$/, 'a record of 60 MB is read' ],
	[ 'members', qr/^1\|20000$/, 'a record in 20,000 members is read' ])
{
	my ($what, $expected, $name) = @$case;
	my ($result, $seconds, $cpu) = ask($what);

	like($result, $expected, $name);
	cmp_ok($cpu, '<', 6 * $SLOW, "$name: it costs little");
}

#------------------------------------------------------------------------------
# What never begins
#------------------------------------------------------------------------------

foreach my $case ([ 'interim', 'interim answers without end' ], [ 'lines', 'header lines without end' ])
{
	my ($what, $name) = @$case;
	my ($result, $seconds) = ask($what);

	like($result, qr/^08006: timed out while waiting/, $name);
	cmp_ok($seconds, '<', 5 * $SLOW, "$name: they are no sign of life");
}
is((ask('slow', 'SELECT count(*) FROM (SELECT raw FROM odd_alerts OFFSET 0) AS a'))[0], 1, 'a body that comes slowly is waited for');
$session->query(q{ALTER SERVER odd OPTIONS (SET request_timeout '3s')});
is((ask('early', 'SELECT count(*) FROM (SELECT raw FROM odd_alerts OFFSET 0) AS a'))[0], 1, 'interim answers before one that comes');
$session->query(q{ALTER SERVER odd OPTIONS (SET request_timeout '1s')});

#------------------------------------------------------------------------------
# A token that is cut
#------------------------------------------------------------------------------

$session->query("ALTER SERVER odd OPTIONS (SET authority '" . $server->url . "/cut', SET max_retries '1')");
$session->query("DROP USER MAPPING FOR CURRENT_USER SERVER odd; CREATE USER MAPPING FOR CURRENT_USER SERVER odd OPTIONS (tenant_id '$TENANT', client_id '$APP{main}{client_id}', client_secret 'x')");
is((ask('cut'))[0], '1|0', 'a token whose answer is cut is asked for again');
is(-s "$folder/tokens", 2, 'a token whose answer is cut: requests');

#------------------------------------------------------------------------------
# The clock
#------------------------------------------------------------------------------

SKIP:
{
	skip 'no time of day that can be set back', 4 unless $has_clock;
	$session->query("ALTER SERVER odd OPTIONS (SET endpoint '" . $server->url . "/silent', SET request_timeout '2s', SET max_retries '0')");
	my $since = time;
	$session->{stdout} = $session->{stderr} = '';
	$session->query_until(qr/^go$/m, "\\echo go\nSELECT count(*) FROM (SELECT id FROM odd_alerts OFFSET 0) AS a;\n\\warn done\n");
	sleep 0.5;
	append_to_file("$folder/set_back", '');
	pump_until($session->{run}, $session->{timeout}, \$session->{stderr}, qr/^(?:psql:\S+ )?done$/m);
	like($session->{stderr}, qr/08006: timed out while waiting/, 'the clock is set back in a silence');
	cmp_ok(time - $since, '<', 10 * $SLOW, 'the silence ends nevertheless');
	unlink "$folder/set_back";

	# a pause before another attempt
	$session->{stdout} = $session->{stderr} = '';
	$emulator->fault(kind => 'status', code => 503, retry_after => 2);
	$since = time;
	$session->query_until(qr/^go$/m, "\\echo go\nSELECT 'rows', count(*) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a;\n\\warn done\n");
	sleep 0.5;
	append_to_file("$folder/set_back", '');
	pump_until($session->{run}, $session->{timeout}, \$session->{stderr}, qr/^(?:psql:\S+ )?done$/m);
	cmp_ok(time - $since, '<', 10 * $SLOW, 'a pause ends nevertheless');
	like($session->{stdout}, qr/^rows\|2$/m, 'and the answer is right') or diag($session->{stderr});
}

$session->{stdout} = '';
is($session->query('SELECT pg_backend_pid()'), $pid, 'it is the same session');
$session->quit;
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal|XX000/, 'nothing in the log');
done_testing();
