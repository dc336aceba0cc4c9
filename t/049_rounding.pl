
# Is an alert in a window of time, wherever its time is rounded to?
#
# The service has times of 100 ns, and a time here is rounded to microseconds.
# A long list is read in windows, whose bounds are times as they are here: what
# is rounded up to a bound is before it at the service.  Here there is such an
# alert at each microsecond, and so at each bound.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use Test::More;

my $ALERTS = 4000;
my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample', '--set', 'gzip=false');
my $node = GraphCluster->connected_to($emulator, server => { page_size => 100, concurrency => 4 });

foreach my $digit (0, 4, 5, 7, 9)
{
	$emulator->set_alerts(map { alert(id => "w$_", createdDateTime => sprintf '2026-07-01T10:00:00.%06d%dZ', $_, $digit) } 1 .. $ALERTS);
	$emulator->clear;
	is($node->sql('SELECT count(*), count(DISTINCT id) FROM (SELECT id, created_date_time FROM defender.alerts OFFSET 0) AS a'),
		"$ALERTS|$ALERTS", "with $digit at the end");
	cmp_ok(scalar(grep { /filter=/ } $emulator->requests), '>', 3, "with $digit at the end: in windows");
}

# The same of bounds that a query has.
$emulator->set_alerts(map { alert(id => "b$_", createdDateTime => sprintf '2026-07-01T10:00:00.%07dZ', $_) } 1 .. 40);
$node->sql('CREATE TABLE copy AS SELECT id, created_date_time FROM defender.alerts');
foreach my $operator ('<', '<=', '=', '>=', '>')
{
	my $wrong = 0;

	foreach my $microsecond (0 .. 4)
	{
		my $query = "SELECT string_agg(id, ',' ORDER BY id) FROM TABLE WHERE created_date_time $operator '2026-07-01 10:00:00.00000${microsecond}Z'";
		$wrong++ if $node->sql($query =~ s/TABLE/defender.alerts/r) ne $node->sql($query =~ s/TABLE/copy/r);
	}
	is($wrong, 0, "what is $operator a time");
}

$node->stop;
done_testing();
