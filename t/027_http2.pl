
# Is HTTP/2 used where the server offers it, one connection for all requests?
#
# The server is nghttpd, which serves files and says which frames it received.
# A list is a file, a nextLink leads to another one, and an alert by its id is
# a file in a folder of that name; so the two have roots of their own.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use GraphLogin qw(certificate);
use IPC::Run ();
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $nghttpd = (grep { -x } map { "$_/nghttpd" } split /:/, $ENV{PATH})[0];
plan skip_all => 'there is no nghttpd' unless $nghttpd;

my $PAGES = 6;
my $PER_PAGE = 1000;
my $KEYS = 60;
my $json = JSON::PP->new->utf8->canonical;
my $folder = PostgreSQL::Test::Utils::tempdir();
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $root = "https://127.0.0.1:$port";

sub write_file
{
	my ($path, $value) = @_;
	my $file = "$folder/$path";

	system_or_bail('mkdir', '-p', $file =~ s{/[^/]*$}{}r);
	append_to_file($file, $json->encode($value));
	return;
}

foreach my $page (1 .. $PAGES)
{
	my %link = $page < $PAGES ? ('@odata.nextLink' => "$root/list/page-" . ($page + 1)) : ();

	write_file($page == 1 ? 'list/v1.0/security/alerts_v2' : "list/page-$page",
		{ %link, value => [ map { alert(id => "p$page-$_", title => 'x' x 1000) } 1 .. $PER_PAGE ] });
}

# so large that one is under way when the next is asked for
write_file("keys/v1.0/security/alerts_v2/k$_", alert(id => "k$_", title => "t$_ " x 50_000)) foreach 1 .. $KEYS;

my $certificate = certificate('http2', alternative => 'IP:127.0.0.1', subject => '127.0.0.1');
my $log = "$folder/frames";
my $read = 0;
my $server = start_server();

my $emulator = GraphEmulator->new('--alerts', 1);
my $node = GraphCluster->connected_to($emulator,
	server => { ca_file => $certificate->{file}, max_retries => 3, concurrency => 8 });

# It writes to a file: nobody would empty a pipe while a query runs.
sub start_server
{
	return IPC::Run::start([ $nghttpd, '--verbose', '--address=127.0.0.1', "--htdocs=$folder",
		$port, $certificate->{key}, $certificate->{file} ], '<', \undef, '>>', $log, '2>&1');
}

# What the server has said since the last time: how many connections there
# were, how many requests, and how many of these were under way at most.
sub frames
{
	my $text = '';

	for (my $last = -1; $last != length $text; sleep 0.2)
	{
		$last = length $text;
		$text = substr slurp_file($log), $read;
	}
	$read += length $text;
	my %connections = map { $_ => 1 } $text =~ /^\[id=(\d+)\] \[[ .\d]+\] recv \(/mg;
	my $requests = () = $text =~ / recv \(stream_id=\d+\) :path:/g;
	my ($under_way, $most) = (0, 0);
	while ($text =~ /( recv \(stream_id=\d+\) :path:)| send DATA frame <length=\d+, flags=0x01/g)
	{
		$under_way += defined $1 ? 1 : -1;
		$most = $under_way if $under_way > $most;
	}
	return (scalar(keys %connections), $requests, $most);
}

my $session = $node->session;
$node->set_server(endpoint => "$root/list");
for (1 .. 100) { last if $session->query('SELECT id FROM defender.alerts LIMIT 1') eq 'p1-1'; sleep 0.1 }
frames();

# A list of pages, of which the next is asked for while one is read.
is($session->query('SELECT count(*), count(DISTINCT id), count(title) FROM (SELECT * FROM defender.alerts OFFSET 0) AS a'),
	join('|', ($PAGES * $PER_PAGE) x 3), 'a list') or diag($session->{stderr});
my ($connections, $requests, $most) = frames();
is($connections, 1, 'a list: one connection');

# A cursor that rests in the middle of a page does not keep others from their bytes.
is($session->query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM defender.alerts; FETCH 1 c; SELECT count(title) FROM (SELECT * FROM defender.alerts OFFSET 0) AS a; MOVE 10 c; FETCH 1 c; COMMIT"),
	'p1-1' . "\n" . $PAGES * $PER_PAGE . "\np1-12", 'two lists side by side') or diag($session->{stderr});
frames();

# Lookups, as streams of one connection.
$node->set_server(endpoint => "$root/keys");
is($session->query("SELECT count(*), count(DISTINCT id) FROM (SELECT id, title FROM defender.alerts WHERE id = ANY (ARRAY(SELECT 'k' || n FROM generate_series(1, $KEYS) AS n)) OFFSET 0) AS a"),
	"$KEYS|$KEYS", 'lookups') or diag($session->{stderr});
($connections, $requests, $most) = frames();
is($connections, 1, 'lookups: one connection');
is($requests, $KEYS, 'lookups: one request each');
cmp_ok($most, '>', 1, 'lookups: several at a time');
note "$most at a time";

# A cancel ends a stream, and the next query goes on.
$node->set_server(endpoint => "$root/list");
$session->query("BEGIN; DECLARE c CURSOR FOR SELECT * FROM defender.alerts; MOVE 10 c; ROLLBACK") for 1 .. 5;
is($session->query('SELECT count(*) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a'), $PAGES * $PER_PAGE, 'after lists that were left');

# The server ends, and another one begins, between two queries.
$server->signal('TERM');
$server->finish;
$server = start_server();
is($session->query('SELECT count(*) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a'), $PAGES * $PER_PAGE, 'a server that was restarted') or diag($session->{stderr});
frames();

$session->quit;
$server->signal('TERM');
$server->finish;
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|WARNING|terminated by signal/, 'nothing in the log');
done_testing();
