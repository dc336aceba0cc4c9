
# Is what has come remembered as long as it may come again, and no longer held
# against the list than it should be?
#
# Of a list the last ten or twenty thousand alerts are known by their ids.  What
# a request under way may meet again is known whatever others give meanwhile,
# and so is the beginning of the list; and what comes again is no other alert,
# where as many are to come as the service counts.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use JSON::PP;
use List::Util qw(max);
use Test::More;

my ($TRUE, $FALSE) = (JSON::PP::true, JSON::PP::false);
my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 2 });
my $rows = '(SELECT id FROM defender.alerts OFFSET 0) AS a';

sub counts { return $node->result("SELECT count(*), count(DISTINCT id) FROM $rows") }

#------------------------------------------------------------------------------
# More than is remembered
#------------------------------------------------------------------------------

# One a second, newest first: pages of a thousand, and four windows of ten of
# them, each of which ends at the very time of an alert, as it is rounded here.
my $MANY = 41_000;
$emulator->set_alerts(map { alert(id => sprintf('m%05d', $_),
			createdDateTime => sprintf '2026-07-01T%02d:%02d:%02d.9999996Z', int($_ / 3600), int($_ / 60) % 60, $_ % 60) } 0 .. $MANY - 1);
$node->set_server(page_size => 1000, concurrency => 4);

# The newest window breaks after some two hundred alerts, and goes on from there
# when all others have been read: the last of them comes again.
$emulator->settings(gzip => $FALSE);
$emulator->fault(kind => 'cut', after => 12_000, path => 'lt 2026-07-01T11:06:41');
$emulator->fault(kind => 'latency', ms => 10_000, path => 'lt 2026-07-01T11:0', nth => 2);
is(counts(), "$MANY|$MANY", 'a window that breaks, and all others are read meanwhile');
my @late = grep { "@{ $_->{faults} }" =~ /latency/ } $emulator->records;
is(scalar(@late), 1, 'it went on where it broke');
cmp_ok(scalar(grep { $late[0] && $_->{seconds} < $late[0]{seconds} + 10 } $emulator->records), '>', 25, 'and others were read meanwhile');

# The newest alert stands far down in the list, so that its beginning is asked
# for once more at the end.
$emulator->no_fault;
$emulator->settings(gzip => $TRUE, misplaced => sprintf 'm%05d 25000', $MANY - 1);
is(counts(), "$MANY|$MANY", 'the beginning again, after all the rest');

#------------------------------------------------------------------------------
# By the link of the beginning
#------------------------------------------------------------------------------

foreach my $concurrency (1, 4)
{
	# The service takes no window's filter; the last page is missed, and the second one
	# begins with as many alerts of the first.
	$emulator->reset;
	$emulator->set_alerts(map { alert(id => sprintf('l%03d', $_), createdDateTime => sprintf '2026-07-01T10:%02d:%02dZ', int($_ / 60), $_ % 60) } 1 .. 119);
	$emulator->settings(filter => 'refuse');
	$node->set_server(page_size => 10, concurrency => $concurrency);
	$emulator->clear;
	is(counts(), '119|119', "by links after all, concurrency $concurrency");
	is(scalar(grep { !/filter|skiptoken/ } $emulator->requests), 1, "by links after all, concurrency $concurrency: from the second page on")
	  or diag(join "\n", $emulator->requests);
	$emulator->fault(kind => 'duplicate_rows', rows => 9, times => -1);
	$emulator->fault(kind => 'missing_next_link', path => '$skiptoken', nth => 10);
	is(counts(), '119|119', "the end of the first page again, and the last one is missed, concurrency $concurrency");
}

#------------------------------------------------------------------------------
# A pause for all
#------------------------------------------------------------------------------

$emulator->reset;
$emulator->set_alerts(map { alert(id => "k$_") } 1 .. 100);
$emulator->settings(latency_ms => 80);
$emulator->fault(kind => 'status', code => 429, retry_after => 2, nth => 10);
$node->set_server(concurrency => 4);
$emulator->clear;
is($node->result(q{SELECT count(*) FROM (SELECT id FROM defender.alerts WHERE id = ANY (ARRAY(SELECT 'k' || n FROM generate_series(1, 100) AS n)) OFFSET 0) AS a}),
	100, 'one request of many is to wait');
my @times = sort { $a <=> $b } map { $_->{seconds} } $emulator->records;
cmp_ok(max(map { $times[$_] - $times[ $_ - 1 ] } 1 .. $#times), '>', 1.5, 'and the others wait with it');

$node->stop;
done_testing();
