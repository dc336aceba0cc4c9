
# Lists that are read a second time, or that end at a link: what was given is
# known, what is refused is an error, and nothing goes round for ever.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use OddServer;
use Test::More;
use Time::HiRes qw(sleep time);

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { page_size => 1000, concurrency => 1 });

# More alerts than are remembered of a list in order: each second of a day.
sub add_alerts
{
	my ($count) = @_;
	my @alerts = map { alert(id => sprintf('a%05d', $_), createdDateTime => sprintf('2026-07-01T%02d:%02d:%02dZ', int($_ / 3600), int($_ / 60) % 60, $_ % 60)) } 1 .. $count;

	while (my @some = splice @alerts, 0, 2000)
	{
		$emulator->add_alerts(@some);
	}
}

# The service takes no bounds and counts one too many, so that the list is read
# by its links, and once more.
add_alerts(15_000);
$emulator->settings(filter => 'refuse');
$emulator->fault(kind => 'count', text => '15001');
my ($status, $rows, $messages) = $node->psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a');
is($rows, '15000|15000', 'read twice: each alert is given once');
cmp_ok(scalar($emulator->requests), '>', 25, 'read twice: it was');
$emulator->settings(filter => 'honour');

# More alerts of one time than a page holds, which nobody counts, and no link.
$emulator->set_alerts((map { alert(id => sprintf('a%03d', $_), createdDateTime => sprintf('2026-07-01T11:00:%02dZ', $_)) } 1 .. 5),
	map { alert(id => sprintf('t%03d', $_), createdDateTime => '2026-07-01T10:00:00Z') } 1 .. 60);
$node->set_server(page_size => 10, count_pushdown => 'false', max_retries => 1);
is($node->sql('SELECT count(title) FROM defender.alerts'), 65, 'many of one time, not counted: all');
foreach my $order ('', ' ORDER BY created_date_time DESC NULLS LAST')
{
	$emulator->clear;
	$emulator->fault(kind => 'status', code => 400, times => -1, path => 'skiptoken');
	my $error = $node->error("SET statement_timeout = '20s'; SELECT count(title) FROM (SELECT title FROM defender.alerts$order OFFSET 0) AS a");
	like($error->{message}, qr/answered with status 400/, "many of one time, not counted, their link refused: an error$order");
	cmp_ok(scalar($emulator->requests), '<', 10, "... after few requests$order");
	$emulator->no_fault;
}

# A service whose own order is nearly that of creation, and that does not sort or
# count: an old alert stands last on the first page, as if nothing came between.
my @hundred = map { alert(id => sprintf('h%03d', $_), createdDateTime => sprintf('2026-07-01T10:%02d:00Z', $_ % 60), lastUpdateDateTime => '2026-07-02T00:00:00Z') } 0 .. 59;

$node->set_server(page_size => 10, count_pushdown => 'true', max_retries => 2, concurrency => 4);
$emulator->set_alerts(@hundred);
foreach my $counts (qw(ignore refuse))
{
	foreach my $orders (qw(ignore refuse))
	{
		foreach my $fault (0, 1)
		{
			$emulator->settings(count => $counts, orderby => $orders, misplaced => 'h001 9');
			$emulator->fault(kind => 'status', code => 503, path => 'skiptoken', times => 1) if $fault;
			is($node->sql('SELECT count(id), count(DISTINCT id) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a'),
				'60|60', "an old alert on the first page, \$count: $counts, \$orderby: $orders, faults: $fault");
			$emulator->no_fault;
		}
	}
}

# A count that is the size of the page is none.
$emulator->settings(count => 'honour', orderby => 'ignore');
$emulator->fault(kind => 'count', text => 'page', times => -1);
is($node->sql('SELECT count(id), count(DISTINCT id) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a'), '60|60', 'the size of the page for a count');
$emulator->no_fault;

# Bounds are refused, and the list does not come newest first: it is read by its links.
$emulator->settings(orderby => 'honour', misplaced => '', listed => 'oldest', filter => 'refuse');
foreach my $concurrency (1, 4)
{
	$node->set_server(concurrency => $concurrency);
	is($node->sql('SELECT count(id), count(DISTINCT id) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a'), '60|60', "oldest first, bounds refused, concurrency $concurrency");
}
$emulator->settings(listed => 'newest', filter => 'honour');

# A page that holds nothing costs nothing to make up: there is a little while
# between two of them, also where the next one is asked for early.
my $odd = OddServer->new(
	sub {
		my ($socket, $request) = @_;
		my ($number) = $request =~ /\bn=(\d+)/;
		my ($host) = $request =~ /^host: (\S+)/im;

		$number = ($number // 0) + 1;
		$socket->autoflush(1);
		print $socket "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"\@odata.nextLink\":\"http://$host/v1.0/security/alerts_v2?n=$number\",\"value\":[";
		sleep 0.002;
		print $socket ']}';
	},
	read => 1);
$node->sql(<<"SQL");
CREATE SERVER odd FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '@{[ $odd->url ]}', order_pushdown 'false', concurrency '4');
CREATE USER MAPPING FOR CURRENT_USER SERVER odd OPTIONS (access_token 'x');
CREATE SCHEMA odd;
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts) FROM SERVER odd INTO odd;
SQL
my $since = time;
my $error = $node->error('SELECT count(title) FROM odd.alerts');
my $took = time - $since;
like($error->{detail}, qr/1000 pages in a row/, 'pages without alerts: they end');
cmp_ok($took, '>', 9.9, '... and there are ten milliseconds between them');

done_testing();
