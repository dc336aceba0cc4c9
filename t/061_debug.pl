
# Somebody follows what happens by the messages of DEBUG1 to DEBUG3: logins,
# tokens, connections, requests and how they end.  No secret is in them.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(%APP $TENANT);
use GraphLogin qw(set_mapping);
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 25, '--no-sample');
my $node = GraphCluster->connected_to($emulator, conf => "log_min_messages = debug3\nlog_statement = none\n",
	server  => { page_size => 10, concurrency => 1, tenant_id => $TENANT },
	mapping => $APP{main});
my $count = 'SELECT count(*) FROM (SELECT * FROM defender.alerts OFFSET 0) AS a;';
my $id = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

# What a session that sees everything prints, and what the log has of it.  The
# secrets of the emulator are in neither: its tokens are long words.
sub follow
{
	my ($name, $query) = @_;
	my $from = -s $node->logfile;

	$emulator->clear;
	my ($status, $rows, $messages) = $node->psql('postgres', "SET client_min_messages = debug3;\n$query");
	my $log = slurp_file($node->logfile, $from);
	my @tokens = grep { defined } map { $_->{headers}{authorization} } $emulator->records;

	foreach my $text ($messages, $log)
	{
		my $where = $text eq $log ? 'the log' : 'what the client sees';

		like($text, qr/DEBUG:  graph_fdw: /, "$name: $where has messages");
		is(scalar(grep { index($text, $_) >= 0 } map { s/^Bearer //r } @tokens), 0, "$name: $where has no token of a request");
		unlike($text, qr/[\w-]{60,}/, "$name: nothing in $where could be one");
		unlike($text, qr/emulator-secret|Bearer/, "$name: $where has no secret");
	}
	return ($messages, $rows);
}

# A login and a list of three pages, twice.
my ($messages) = follow('a list', "$count\n$count");
my @ids = map { $_->{headers}{'client-request-id'} } $emulator->records;
is(scalar @ids, 7, 'a login and six pages');
like($messages, qr/graph_fdw: logging in to server "graph" by client secret.*graph_fdw: logged in to server "graph" by client secret; the token is used until 20\d\d-/s,
	'a login begins and ends');
is(scalar(() = $messages =~ /logging in to/g), 1, 'there is one');
like($messages, qr/the token for server "graph" was in the cache/, 'later the token is in the cache');
is_deeply([ $messages =~ /request ($id) begins/g ], \@ids, 'requests begin in the order in which they arrive');
is_deeply([ $messages =~ /request ($id) ended: status 200, \d+ bytes of body, No error/g ], \@ids, 'and end');
is_deeply([ $messages =~ /request $id went over a (new|kept) connection/g ], [ 'new', ('kept') x 6 ], 'the connection is kept');

# What fails and is tried again.
$emulator->fault(kind => 'status', code => 503, path => '/oauth2/', times => 1);
($messages) = follow('a login at the second attempt', $count);
@ids = map { $_->{headers}{'client-request-id'} } $emulator->records;
like($messages, qr/token request \(client-request-id $ids[0]\) to server "graph" failed \(status 503\); next attempt in \d+ ms/,
	'the first attempt');
like($messages, qr/request $ids[1] ended: status 200/, 'the second');

# What is refused.
set_mapping($node, %{ $APP{main} }, client_secret => 'emulator-secret-of-another');
($messages) = follow('a login that is refused', $count);
like($messages, qr/logging in to server.*ERROR:  could not log in to server "graph"/s, 'a login that is refused');
unlike($messages, qr/logged in/, 'is none');

# What a scan does: requests, statuses, pages, a wait, windows, the end.
set_mapping($node, %{ $APP{main} });
$node->set_server(concurrency => 3, page_size => 3);
$emulator->fault(kind => 'status', code => 503, path => '/alerts_v2', times => 1);
($messages) = follow('a long list', 'SELECT count(*) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a;');
my $name = qr{GET /security/alerts_v2\?\S+ \(client-request-id $id\)};
my $sent = () = $messages =~ /graph_fdw: sent $name/g;
is($sent, scalar(grep { $_->{path} =~ /alerts_v2/ } $emulator->records), 'each request of a scan is told');
like($messages, qr/graph_fdw: status 503: $name.*graph_fdw: again in \d+ ms, attempt 2: $name.*graph_fdw: status 200: $name/s, 'one that is sent again');
like($messages, qr/graph_fdw: 3 alerts, 3 of them new, and more to come: $name/, 'a page');
like($messages, qr/graph_fdw: leaving what is older than \S+ \S+ to others/, 'a window');
like($messages, qr/graph_fdw: end of scan, 25 alerts by $sent requests/, 'the end');
$node->set_server(concurrency => 1, page_size => 10);

# Somebody at the keyboard; the code that polls is a secret.
set_mapping($node, client_id => $APP{main}{client_id});
$emulator->settings(device_code_polls => 1, device_code_interval => 1);
($messages, my $rows) = follow('a login by device code', "SELECT account FROM graph_fdw_login('graph');\n$count");
is($rows, "adele\@contoso.test\n25", 'a login by device code');
like($messages, qr/logging in to server "graph" by graph_fdw_login\(\).*nobody has entered the code of server "graph" yet; asking again in 1 seconds.*logged in to server "graph" by graph_fdw_login\(\)/s,
	'begins, polls and ends');
done_testing();
