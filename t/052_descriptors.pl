
# Is the answer right where there are fewer descriptors than requests could be
# made at once?
#
# A backend may have few of them, by max_files_per_process or by the system's
# limit.  Then the transfers that there are go on, and the others take their
# turns; a scan that nobody else can go on before gets one in any case.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $TENANTS = 200;
my $EACH = 100;

# A page is larger than what is kept of it while nobody reads.
my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
$emulator->settings(gzip => JSON::PP::false);
$emulator->set_alerts(map { alert(id => "t$_", title => "x$_", description => 'd' x 3000, severity => (qw(low high))[ $_ % 2 ],
		createdDateTime => sprintf '2026-07-01T%02d:%02d:00Z', $_ / 60, $_ % 60) } 1 .. $EACH);

my $node = GraphCluster->connected_to($emulator, conf => "max_files_per_process = 70\njit = off\nmax_parallel_workers_per_gather = 0",
	server => { page_size => 60, concurrency => 32 });
my $ddl = 'CREATE TABLE every (tenant text, id text, title text, description text, severity text, created_date_time timestamptz) PARTITION BY LIST (tenant);';
foreach my $tenant (1 .. $TENANTS)
{
	my $url = $emulator->url . "/at/tenant$tenant";
	$ddl .= <<"SQL";
CREATE SERVER tenant$tenant FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url', page_size '60', concurrency '32', max_retries '2', request_timeout '60s');
CREATE USER MAPPING FOR CURRENT_USER SERVER tenant$tenant OPTIONS (access_token 'emulator-access-token');
CREATE FOREIGN TABLE alerts$tenant (tenant text OPTIONS (property 'tenantId'), id text, title text, description text, severity text, created_date_time timestamptz) SERVER tenant$tenant;
ALTER TABLE every ATTACH PARTITION alerts$tenant FOR VALUES IN ('tenant$tenant');
SQL
}
$node->sql($ddl);
my $session;
my $backend;

# A new session, if need be with a limit of its own.
sub open_session
{
	my ($limit) = @_;

	$session->quit if $session;
	$session = $node->session;
	$backend = $session->query('SELECT pg_backend_pid()');
	system_or_bail('prlimit', "--pid=$backend", "--nofile=$limit:$limit") if $limit;
	return;
}

sub is_answer
{
	my ($name, $sql, $expected) = @_;
	my $since = time;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$session->{stderr} = '';
	my $result = $session->query($sql);
	is($session->{stderr} =~ /(?:ERROR|FATAL):  ([^\n]*)/ ? $1 : $result, $expected, $name);
	note sprintf '%s: %.1f s', $name, time - $since;
	is($session->query('SELECT count(*) FROM alerts1 WHERE id = \'t7\''), 1, "$name: and then");
	return;
}

sub sockets { return scalar(grep { (readlink // '') =~ /^socket/ } glob "/proc/$backend/fd/*") }

my $ids = join ',', map { "'t$_'" } 1 .. 64;
my $all = $TENANTS * $EACH;
my $twelve = join ' UNION ALL ', map { "SELECT id, severity, description FROM alerts$_" } 1 .. 12;
my $few = join ' UNION ALL ', map { "SELECT id, description FROM alerts$_" } 1 .. 40;
$node->sql("CREATE VIEW twelve AS $twelve");
my $cursors = join ' ', map { "DECLARE c$_ CURSOR FOR SELECT id, description FROM alerts$_; MOVE 1 c$_;" } 1 .. 60;
my $rest = join ' ', map { "MOVE ALL c$_;" } reverse 1 .. 60;
my $nested = <<'SQL';
DO $$
DECLARE r record; n bigint; sum bigint := 0;
BEGIN
	FOR r IN SELECT id FROM alerts1 ORDER BY created_date_time DESC LIMIT 20 LOOP
		SELECT count(*) INTO n FROM twelve WHERE id = r.id;
		sum := sum + n;
	END LOOP;
	RAISE 'sum %', sum;
END $$
SQL

foreach my $limit (0, 90)
{
	my $name = $limit ? "ulimit -n $limit" : 'max_files_per_process';

	plan skip_all => 'there is no prlimit' if $limit && system('prlimit --version >/dev/null 2>&1') != 0;
	open_session($limit);
	is_answer("$name: $TENANTS partitions", 'SELECT count(*), count(DISTINCT id) FROM every WHERE description IS NOT NULL', "$all|$EACH");
	cmp_ok(sockets(), '<', 30, "$name: few are left open") if -d "/proc/$backend/fd";
	is_answer("$name: one after the other", 'SET enable_async_append = off; SELECT count(description) FROM every; RESET enable_async_append', $all);
	is_answer("$name: 64 ids each in 12 partitions", "SELECT count(*) FROM twelve WHERE id IN ($ids)", 64 * 12);
	is_answer("$name: 64 ids of one", "SELECT count(*) FROM alerts1 WHERE id IN ($ids)", 64);
	is_answer("$name: UNION ALL", "SELECT count(description) FROM ($few) AS a", 40 * $EACH);
	is_answer("$name: a nested query", $nested, 'P0001: sum ' . 20 * 12);
	is_answer("$name: a hash join of two Appends", q{SELECT count(a.description || b.description) FROM twelve AS a JOIN twelve AS b USING (id) WHERE a.severity = 'high'}, 12 * 12 * $EACH / 2);
	next if $limit;
	is_answer("$name: Merge Append", 'SELECT string_agg(id, \',\') FROM (SELECT id, description FROM every ORDER BY created_date_time DESC LIMIT 400) AS a',
		join ',', map { ("t$_") x $TENANTS } reverse $EACH - 1 .. $EACH);
	is_answer("$name: 60 cursors", "BEGIN; $cursors $rest COMMIT; SELECT 'done'", 'done');
}

# Where even one is too many, the error says so; it is no wrong answer.
open_session(60);
$session->query("SELECT count(*) FROM alerts1");
$session->{stderr} = '';
$session->query("BEGIN; $cursors");
like($session->{stderr}, qr/ERROR:  53000: out of file descriptors.*HINT:/s, 'more cursors than descriptors');
$session->query('ROLLBACK');
is($session->query('SELECT count(*) FROM alerts1'), $EACH, 'and then');

$session->quit;
unlike(slurp_file($node->logfile), qr/^.*(?:TRAP|PANIC|terminated by signal|XX000|epoll_create1).*$/m, 'nothing in the log');
done_testing();
