
# Does a scan need the memory of an alert, whatever the number of alerts, and
# give back all that it took?
#
# Measured from outside, by what the kernel says of the backend.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'there is no /proc' unless -r '/proc/self/status' && -d '/proc/self/fd';

my $MANY = 20_000;
my $MORE = 32 * 1024;    # kB above an idle backend

# Ten of each: that is quicker than to make so many.
my $data = PostgreSQL::Test::Utils::tempdir() . '/alerts.jsonl';
{
	my $few = GraphEmulator->new('--alerts', $MANY / 10, '--no-sample');

	open my $file, '>', $data or die "$data: $!";
	foreach my $alert ($few->alerts)
	{
		print $file $alert =~ s/"id": ?"/$&copy-$_-/r, "\n" foreach 0 .. 9;
	}
	close $file or die "$data: $!";
}
my $emulator = GraphEmulator->new('--data', $data, '--no-sample', '--set', 'gzip=false');
unlink $data;
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 0 });
my $key = q{SELECT title FROM defender.alerts WHERE id = 'x'};

# A session that has made a request, and its process.
sub warm_session
{
	my $session = $node->session;

	$session->query("SET jit = off; $key");
	return ($session, $session->query('SELECT pg_backend_pid()'));
}

# The most memory that a process has had, in kB.
sub peak
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m ? $1 : die 'no VmHWM';
}

# What it has now; without pages of files and shared memory.
sub resident
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m ? $1 : die 'no RssAnon';
}

sub descriptors
{
	my ($pid) = @_;
	return scalar(my @files = glob "/proc/$pid/fd/*");
}

#------------------------------------------------------------------------------
# Many alerts
#------------------------------------------------------------------------------

# A compiler for expressions would need more than all the rest.
unlike($node->sql('EXPLAIN SELECT count(title) FROM defender.alerts'),
	qr{JIT}, 'a list is not worth a compiler');

# Every column of every alert; then evidence, of which there is more.
foreach my $query (
	[ 'alerts', 'SELECT count(*), count(DISTINCT id) FROM (SELECT * FROM defender.alerts OFFSET 0) AS a', "$MANY|$MANY" ],
	[ 'evidence', 'SELECT count(DISTINCT alert_id) > 0 FROM (SELECT * FROM defender.alert_evidence OFFSET 0) AS e', 't' ])
{
	my ($name, $sql, $expected) = @$query;
	my ($session, $pid) = warm_session();
	my $before = peak($pid);

	$emulator->clear;
	is($session->query($sql), $expected, "$name: rows");
	cmp_ok(scalar(my @pages = $emulator->requests), '>=', $MANY / 1000, "$name: pages");
	my $more = peak($pid) - $before;
	cmp_ok($more, '<', $MORE, "$name: memory") or diag("idle: $before kB");
	note "$name: $more kB more than $before kB";
	$session->quit;
}

#------------------------------------------------------------------------------
# What is given back
#------------------------------------------------------------------------------

my ($session, $pid) = warm_session();
$emulator->control('DELETE', 'alerts');
$emulator->add_alerts(map { GraphEmulator::alert(id => "m$_", title => 'x' x 2000) } 1 .. 300);
$node->sql(<<'SQL');
CREATE FUNCTION attempt(query text, times integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	failed integer := 0;
	row record;
BEGIN
	FOR i IN 1 .. times LOOP
		BEGIN
			FOR row IN EXECUTE query LOOP
				EXIT WHEN query ~ 'FIRST ONLY';
			END LOOP;
		EXCEPTION WHEN OTHERS THEN
			failed := failed + 1;
		END;
	END LOOP;
	RETURN failed || ' of ' || times;
END $$;
CREATE FOREIGN TABLE misfit (id text, title uuid) SERVER graph;
CREATE SERVER closed FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint 'http://127.0.0.1:1', max_retries '0');
CREATE USER MAPPING FOR CURRENT_USER SERVER closed OPTIONS (access_token 'x');
CREATE FOREIGN TABLE refused (id text) SERVER closed;
SQL

# Failures at every stage, 300 of each kind; and queries that end early.
foreach my $case (
	[ 'a lookup that is refused', $key, 300, kind => 'status', code => 403 ],
	[ 'a list that is refused', 'SELECT * FROM defender.alerts', 300, kind => 'status', code => 500 ],
	[ 'a body that is cut', 'SELECT * FROM defender.alerts', 300, kind => 'cut', after => 50_000 ],
	[ 'a body that is no JSON', 'SELECT * FROM defender.alerts', 300, kind => 'malformed' ],
	[ 'a connection that is closed', $key, 300, kind => 'close' ],
	[ 'a value that does not fit', 'SELECT * FROM misfit', 300 ],
	[ 'no connection', 'SELECT * FROM refused', 300 ],
	[ 'FIRST ONLY', 'SELECT * FROM defender.alerts -- FIRST ONLY', 0 ],
	[ 'all rows', 'SELECT * FROM defender.alerts', 0 ])
{
	my ($name, $query, $failures, @fault) = @$case;
	my $times = $failures || 50;

	$emulator->no_fault;
	$emulator->fault(@fault, times => -1) if @fault;
	$session->query("SELECT attempt('" . $query =~ s/'/''/gr . "', 20)");
	my ($files, $memory) = (descriptors($pid), resident($pid));
	is($session->query("SELECT attempt('" . $query =~ s/'/''/gr . "', $times)"),
		"$failures of $times", $name);
	cmp_ok(descriptors($pid) - $files, '<=', 2, "$name: descriptors");
	cmp_ok(resident($pid) - $memory, '<', 2048, "$name: memory");
}

# Cursors, left open and closed, in a transaction that goes on or does not.
$emulator->no_fault;
my $files = descriptors($pid);
foreach my $i (1 .. 20)
{
	my $end = (qw(COMMIT ROLLBACK), 'SELECT 1/0; ROLLBACK', 'CLOSE ALL; COMMIT')[ $i % 4 ];

	$session->query(join ';', 'BEGIN',
		(map { "DECLARE c$_ CURSOR FOR SELECT * FROM defender.alerts; MOVE 2 c$_" } 1 .. 5), $end);
}
cmp_ok(descriptors($pid) - $files, '<=', 6, 'cursors: descriptors');
is($session->query('SELECT count(*) FROM (SELECT * FROM defender.alerts OFFSET 0) AS a'), 300, 'and the session is well');
is($session->query("SELECT pg_backend_pid() = $pid"), 't', 'and the same');
$session->quit;

# As many scans at a time as there are connections, and more.
$node->sql(join ' ', 'SELECT * FROM (SELECT 1) AS one',
	map { "JOIN LATERAL (SELECT id AS id$_ FROM (SELECT * FROM defender.alerts OFFSET 0) AS a LIMIT 1) AS a$_ ON true" } 1 .. 50);
pass('fifty scans in a query');

done_testing();
