
# Is a count of the service believed only where nothing contradicts it?
#
# Services that ignore $filter, or count otherwise than they list, are reported
# of Graph's endpoints.  A count comes with the beginning of what is counted;
# what does not match the clauses, or the number, shows that it is wrong, and
# then the list is read and counted here.  The tenant has four alerts, two of
# them high.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use OddServer;
use Test::More;

my %severity = (a => 'high', b => 'low', c => 'high', d => 'informational');
my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator);

#------------------------------------------------------------------------------
# Filters that are ignored, by the emulator
#------------------------------------------------------------------------------

$emulator->set_alerts(map { alert(id => $_, severity => $severity{$_}) } sort keys %severity);
foreach my $case (
	[ 'an ignored filter', { filter => 'ignore' }, 2, 2 ],
	[ 'a filter that is minded', {}, 2, 1 ],
	[ 'an ignored filter and no count', { filter => 'ignore', count => 'ignore' }, 2, 2 ])
{
	my ($name, $settings, $rows, $requests) = @$case;

	$emulator->reset;
	$emulator->set_alerts(map { alert(id => $_, severity => $severity{$_}) } sort keys %severity);
	$emulator->settings(%$settings);
	$emulator->clear;
	is($node->result(q{SELECT count(*) FROM defender.alerts WHERE severity = 'high'}), $rows, "$name: the count");
	my @asked = $emulator->requests;
	is(scalar(@asked), $requests, "$name: requests") or diag(join "\n", @asked);
	is($node->result(q{SELECT count(*), count(1) FROM defender.alerts WHERE severity = 'high' OR severity = 'low'}), '3|3', "$name: of two");
}

#------------------------------------------------------------------------------
# Numbers that are contradicted, by a server that writes them
#------------------------------------------------------------------------------

# For a count: what it says, the ids beside it, and whether a link is there.
my %answer = (
	link     => [ 1, ['a'], 1 ],
	zero     => [ 0, ['a'], 0 ],
	none     => [ 2, [], 0 ],
	negative => [ -1, ['a'], 0 ],
	fewer    => [ 1, [qw(a c)], 0 ],
	text     => [ '"4"', ['a'], 1 ],
	fraction => [ '4.0', ['a'], 1 ],
	null     => [ 'null', ['a'], 1 ],
	digits   => [ '9' x 25, ['a'], 1 ],
	right    => [ 4, ['a'], 1 ],
	other    => [ 2, [qw(a b)], 0 ]);

sub record { my ($id) = @_; return qq({"id":"$id","severity":"$severity{$id}","createdDateTime":"2026-07-01T10:00:00Z"}) }

# The path begins with one of those; a page of 1000 is the list.
my $server = OddServer->new(sub {
	my ($socket, $request) = @_;
	my ($name, $query) = $request =~ m{^GET /(\w+)/v1\.0/security/alerts_v2(\S*)} or return;
	my @ids = grep { $query !~ /high/ || $severity{$_} eq 'high' } sort keys %severity;
	my ($count, $link) = (scalar @ids, '');

	($count, @ids) = ($answer{$name}[0], @{ $answer{$name}[1] }) if $query !~ /top=1000/;
	$link = $query !~ /top=1000/ && $answer{$name}[2] ? qq("\@odata.nextLink":"?page=2",) : '';
	OddServer::answer($socket, 200, qq({"\@odata.count":$count,$link"value":[) . join(',', map { record($_) } @ids) . ']}');
}, read => 1);

sub counted
{
	my ($name, $condition) = @_;

	$node->set_server(endpoint => $server->url . "/$name");
	return $node->result("SELECT count(*) FROM defender.alerts $condition");
}

my $high = q{WHERE severity = 'high'};
is(counted('link', ''), 4, 'one is counted, and there is a link to more');
is(counted('link', $high), 2, 'one is counted, and there is a link to more: with a filter');
is(counted('zero', ''), 4, 'none is counted, and there is one');
is(counted('zero', $high), 2, 'none is counted, and there is one: with a filter');
is(counted('none', ''), 4, 'two are counted, and there is none');
is(counted('none', $high), 2, 'two are counted, and there is none: with a filter');
is(counted('negative', ''), 4, 'less than none is counted');
is(counted('fewer', $high), 2, 'one is counted, and there are two');
is(counted('text', ''), 4, 'a count that is a text');
is(counted('fraction', ''), 4, 'a count that is a fraction');
is(counted('null', ''), 4, 'a count that is null');
is(counted('digits', ''), 4, 'a count of 25 digits');
is(counted('right', ''), 4, 'a count that is right');
is(counted('other', $high), 2, 'a count of two, one of which does not match');

$node->stop;
done_testing();
