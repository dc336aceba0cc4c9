
# Is all of a list given where its pages are not all that it has?
#
# Links that end, a link that is missing, alerts without a time or not where
# their time says, filters, orders and counts that a service ignores or refuses:
# the short form of what t/041_recovery.pl does with many alerts.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use JSON::PP;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { page_size => 10, max_retries => 1 });
my @severity = qw(low high medium);
my @alerts = map {
	alert(id => sprintf('r%03d', $_), severity => $severity[ $_ % 3 ],
		createdDateTime => sprintf('2026-07-01T10:%02d:%02dZ', 59 - $_ / 5, 59 - $_ % 5 - $_ % 2),
		lastUpdateDateTime => $_ % 4 ? sprintf('2026-07-02T10:%02d:00Z', $_ % 60) : undef)
} 0 .. 119;
my $rows = '(SELECT id, severity, created_date_time FROM defender.alerts OFFSET 0) AS a';

# The alerts are there, and the service does this.
sub service
{
	my ($settings, @there) = @_;

	$emulator->reset;
	$emulator->set_alerts(@there ? @there : @alerts);
	$emulator->settings(%$settings);
	$emulator->clear;
	return;
}

sub ids_of { return $node->result("SELECT count(*) || ':' || coalesce(string_agg(id, ',' ORDER BY id), '') FROM $_[0]") }
sub ids { return @_ . ':' . join ',', sort map { $_->{id} } @_ }

# The list and a part of it are complete, in so many requests at most.
sub complete
{
	my ($name, $most, @there) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	@there = @alerts unless @there;
	is(ids_of($rows), ids(@there), "$name: all");
	my @asked = $emulator->requests;
	cmp_ok(scalar(@asked), '<=', $most, "$name: requests") or diag(join "\n", @asked);
	is(ids_of("(SELECT * FROM defender.alerts WHERE severity = 'high' OFFSET 0) AS a"), ids(grep { $_->{severity} eq 'high' } @there), "$name: the high ones");
	return;
}

foreach my $concurrency (1, 4)
{
	my $lanes = "concurrency $concurrency";

	$node->set_server(concurrency => $concurrency);

	# what the pages leave out
	service({});
	complete("all that there is, $lanes", 20);
	service({ max_pages => 1 });
	complete("links that end, $lanes", 30);
	service({ max_pages => 1, count => 'ignore' });
	complete("links that end and no count, $lanes", 30);
	service({ top_max => 7, max_pages => 2 });
	complete("small pages and links that end, $lanes", 50);
	foreach my $nth (2, 5)
	{
		service({});
		$emulator->fault(kind => 'missing_next_link', nth => $nth);
		complete("a link that is missing on page $nth, $lanes", 30);
	}

	# what stands where its time does not say, or has none
	foreach my $place (0, 5, 25, 110)
	{
		foreach my $id ($alerts[0]{id}, $alerts[119]{id})
		{
			service({ misplaced => "$id $place" });
			is(ids_of($rows), ids(@alerts), "$id at place $place, $lanes");
		}
	}
	my @timeless = (@alerts[ 0 .. 69 ], map { alert(%$_, createdDateTime => undef) } @alerts[ 70 .. 89 ]);
	service({}, @timeless);
	complete("some without a time, $lanes", 30, @timeless);
	service({}, @timeless[ 67 .. 72 ]);
	complete("some without a time on the only page, $lanes", 10, @timeless[ 67 .. 72 ]);
	service({ max_pages => 2 }, @timeless);
	complete("some without a time and links that end, $lanes", 40, @timeless);
	my @unreadable = (@alerts[ 0 .. 79 ], map { alert(%$_, createdDateTime => 'soon') } @alerts[ 80 .. 83 ]);
	service({}, @unreadable);
	is(ids_of('(SELECT id FROM defender.alerts OFFSET 0) AS a'), ids(@unreadable), "some that no bound of a time finds, $lanes");

	# what the service does not do
	service({ filter => 'refuse' });
	is(ids_of($rows), ids(@alerts), "filters refused, $lanes");
	service({ filter => 'ignore' });
	complete("filters ignored, $lanes", $concurrency == 1 ? 12 : 40);
	service({ orderby => 'ignore' });
	complete("orders ignored, $lanes", 30);
	service({ orderby => 'refuse' });
	complete("orders refused, $lanes", 30);

	# links are not followed where the service can sort: they may be offsets
	service({ unsorted => JSON::PP::true });
	complete("a list in no order, $lanes", 30);
	cmp_ok(scalar(grep { /orderby=createdDateTime/ } $emulator->requests), '>', 1, "a list in no order is asked for in order, $lanes");
	is(scalar(grep { /skiptoken/ } $emulator->requests), 0, "a list in no order is not followed by its links, $lanes");

	# by links, where the order is not looked at
	$node->set_server(order_pushdown => 'false');
	service({});
	$emulator->fault(kind => 'missing_next_link', nth => 3);
	complete("a link that is missing once, by links, $lanes", 30);
	service({ max_pages => 2 });
	like(ids_of($rows), qr/ERROR:.*incomplete answer.*counts 120/s, "links that end, by links, $lanes");
	service({});
	$emulator->fault(kind => 'duplicate_rows', rows => 3, times => -1);
	complete("the end of a page again, by links, $lanes", 30);
	$node->set_server(order_pushdown => undef);
}

#------------------------------------------------------------------------------
# In order
#------------------------------------------------------------------------------

service({});
$node->sql('CREATE TABLE copy AS SELECT id, severity, created_date_time, last_update_date_time FROM defender.alerts');

# What ORDER BY and LIMIT give, beside a copy.
sub ordered
{
	my ($name, $order) = @_;
	my $query = q{SELECT string_agg(id, ',') FROM (SELECT id FROM TABLE WHERE severity = 'high' } . "ORDER BY $order) AS a";
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($node->result($query =~ s/TABLE/defender.alerts/r), $node->sql($query =~ s/TABLE/copy/r), "$name: $order");
	return;
}

foreach my $settings ({}, { orderby => 'ignore' }, { orderby => 'refuse' })
{
	my $name = join(' ', %$settings) || 'ordered';

	service($settings);
	ordered($name, 'last_update_date_time DESC, id LIMIT 15');
	ordered($name, 'last_update_date_time DESC NULLS LAST, id LIMIT 35');
	ordered($name, 'last_update_date_time NULLS FIRST, id LIMIT 15');
	ordered($name, 'last_update_date_time, id');
	ordered($name, 'created_date_time, id');
	ordered($name, 'created_date_time DESC, id LIMIT 25');
}
# An order that is ignored, where the first ten stand in it by chance.
service({ orderby => 'ignore' }, map { alert(id => "o$_", createdDateTime => sprintf('2026-07-01T10:%02d:00Z', 59 - $_),
			lastUpdateDateTime => sprintf '2026-07-02T%02d:%02d:00Z', $_ <= 10 ? 12 : 6, $_) } 1 .. 30);
$node->set_server(page_size => 100);
is($node->result(q{SELECT min(last_update_date_time) = '2026-07-02 06:11Z' FROM defender.alerts}), 't', 'an order that the first ten stand in by chance');

# Disorder that begins later: no row is lost for it, be it after a cut.
my $all = 'SELECT count(*) FROM (SELECT id FROM defender.alerts ORDER BY created_date_time DESC OFFSET 0) AS a';
$node->set_server(page_size => 30);
foreach my $cut (0, 1)
{
	service({});
	$emulator->fault(kind => 'cut', after => 300, nth => 2) if $cut;
	$emulator->fault(kind => 'out_of_order', nth => 3 + $cut);
	like($node->result($all), qr/ERROR:.*did not keep the order/, 'a page out of order' . ($cut ? ', after a cut' : ''));
}

# What changes while it is read would move to where nobody looks.
service({});
is($node->result('SELECT count(*) FROM (SELECT id FROM defender.alerts ORDER BY last_update_date_time OFFSET 0) AS a'), 120, 'by a time that changes: all');
is(scalar(grep { /orderby=lastUpdate/ } $emulator->requests), 0, 'by a time that changes: sorted here');

$node->stop;
done_testing();
