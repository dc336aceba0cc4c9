
# Lists in forms of which the emulator has none: documents in pieces, broken
# ones, many alerts of one time, counts that contradict each other, links
# without end.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use IO::Handle;
use OddServer;
use Test::More;
use Time::HiRes qw(sleep);

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 0, page_size => 10 });
my $ids = q{SELECT string_agg(id, ' ' ORDER BY id) FROM (SELECT id, raw FROM defender.alerts OFFSET 0) AS a};

#------------------------------------------------------------------------------
# Documents, whole and byte by byte
#------------------------------------------------------------------------------

my $two = '{"id":"a","title":"\u00e9"},{"x":[1,{"y":null}],"id":"b"}';
my @good = (
	[ 'members of all kinds' => qq({"\@odata.count":2,"n":-12.5e+3,"t":true,"f":false,"z":null,"s":"\\"]}","o":{"a":[{}]},"a":[1,[]],"value":[$two],"last":0}) ],
	[ 'blanks'               => qq( \r\n\t{ "value" : [ $two ] , "x" : 1 } \r\n\t ) ],
	[ 'a byte order mark'    => qq(\xEF\xBB\xBF{"value":[$two]}) ],
	[ 'escapes in a key'     => qq({"\\u0076alue":[$two]}) ]);
my @bad = (
	[ 'a word that is too short'    => qq({"t":tru,"value":[$two]}) ],
	[ 'a word that is too long'     => qq({"t":trueish,"value":[$two]}) ],
	[ 'a number that is none'       => qq({"n":1e,"value":[$two]}) ],
	[ 'no number'                   => qq({"n":-,"value":[$two]}) ],
	[ 'a record that is cut'        => qq({"value":[$two,{"id":"c","t":fals}]}) ],
	[ 'a record that is no object'  => qq({"value":[$two,tru]}) ],
	[ 'the wrong bracket'           => qq({"value":[$two,{"id":"c","x":[1}]}) ],
	[ 'nested too deeply'           => qq({"x":) . '[' x 200 . ']' x 200 . qq(,"value":[$two]}) ],
	[ 'a record nested too deeply'  => qq({"value":[$two,{"id":"c","x":) . '[' x 200 . ']' x 200 . '}]}' ],
	[ 'text after the end'          => qq({"value":[$two]} x) ],
	[ 'a document after the end'    => qq({"value":[$two]}{}) ],
	[ 'a mark that is cut'          => qq(\xEF\xBB{"value":[$two]}) ],
	[ 'no colon'                    => qq({"value"[$two]}) ],
	[ 'no comma'                    => qq({"value":[$two]"x":1}) ]);
my @documents = (@good, @bad);
my $server = OddServer->new(
	sub {
		my ($socket, $request) = @_;
		my ($how, $number) = $request =~ m{^GET /(\w+)/(\d+)/};
		my $document = $documents[$number][1];

		return OddServer::answer($socket, 200, $document) if $how eq 'whole';
		$socket->autoflush(1);
		print $socket "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " . length($document) . "\r\nConnection: close\r\n\r\n";
		foreach my $byte (split //, $document)
		{
			print $socket $byte;
			sleep 0.001;
		}
	},
	read => 1);

foreach my $how ('whole', 'slow')
{
	foreach my $i (0 .. $#documents)
	{
		my ($name) = @{ $documents[$i] };

		$node->set_server(endpoint => $server->url . "/$how/$i");
		if ($i < @good) { is($node->result($ids), 'a b', "$how: $name"); }
		else { is($node->error($ids)->{state}, 'HV024', "$how: $name"); }
	}
}

#------------------------------------------------------------------------------
# An answer that is another alert, where that is only a warning
#------------------------------------------------------------------------------

my $other = OddServer->new(sub { OddServer::answer($_[0], 200, '{"id":"z","title":"Another"}') }, read => 1);
$node->set_server(endpoint => $other->url);
is($node->error(q{SELECT title FROM defender.alerts WHERE id = 'a'})->{state}, 'HV00M', 'another alert');
$node->set_server(on_partial => 'warning');
my (undef, $rows, $said) = $node->psql('postgres', q{SELECT title FROM defender.alerts WHERE id = 'a'});
is($rows, '', 'another alert, with a warning: no row');
like($said, qr/WARNING:.*\nDETAIL:  The answer is another alert, "z"/, 'another alert, with a warning');

# A service that ignores the case of an id has no other alert for it: one that is
# looked up by both spellings comes once.
my $folding = OddServer->new(
	sub {
		my ($socket, $request) = @_;
		my ($id) = $request =~ m{/alerts_v2/(\w+)};
		OddServer::answer($socket, 200, '{"id":"' . lc($id) . '","title":"Once","createdDateTime":"2026-07-01T10:00:00Z"}');
	},
	read => 1);
$node->set_server(endpoint => $folding->url);
is($node->result(q{SELECT id, title FROM defender.alerts WHERE id IN ('a7', 'A7')}), 'a7|Once', 'an id in two cases');
is($node->result(q{SELECT id FROM defender.alerts WHERE id = 'A7'}), '', 'an id in another case');
foreach my $batches (qw(true false))
{
	$node->set_server(join_pushdown => $batches);
	is($node->result(q{SET enable_hashjoin = off; SET enable_mergejoin = off; SELECT k, id FROM (VALUES ('A7'), ('a7'), ('A8')) AS x(k) LEFT JOIN defender.alerts ON id = k ORDER BY k COLLATE "C"}),
		"A7|\nA8|\na7|a7", "ids in two cases, join_pushdown $batches");
}
$node->set_server(join_pushdown => undef);

#------------------------------------------------------------------------------
# Links without end
#------------------------------------------------------------------------------

my $endless = OddServer->new(
	sub {
		my ($socket) = @_;

		while (my $request = OddServer::request($socket))
		{
			my ($n) = $request =~ /skiptoken=(\d+)/;
			my ($host) = $request =~ /^host: (\S+)/im;
			my $body = qq({"value":[{"id":"a"}],"\@odata.nextLink":"http://$host/v1.0/security/alerts_v2?\$skiptoken=) . (($n // 0) + 1) . '"}';
			print $socket "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body" or return;
			$socket->flush;
		}
	});
$node->set_server(endpoint => $endless->url, on_partial => undef);
my $error = $node->error($ids);
is($error->{state}, 'HV00M', 'links without end');
is($error->{detail}, '1000 pages in a row held no alert that was new.', 'links without end: why');
$node->set_server(on_partial => 'warning');
(undef, $rows, $said) = $node->psql('postgres', $ids);
is($rows, 'a', 'links without end, with a warning: the row');
like($said, qr/WARNING:.*\nDETAIL:  1000 pages in a row/, 'links without end, with a warning');
$node->set_server(endpoint => $emulator->url, on_partial => undef);

#------------------------------------------------------------------------------
# More alerts of one time than a page holds
#------------------------------------------------------------------------------

sub at { my ($n, $time) = @_; return alert(id => sprintf('a%02d', $n), createdDateTime => $time, lastUpdateDateTime => $time) }
my $tied = '2026-07-10T10:00:00Z';
my %lists = (
	'at the beginning' => [ map { at($_, $_ <= 35 ? '2026-07-20T10:00:00Z' : sprintf '2026-07-%02dT10:00:00Z', 56 - $_) } 1 .. 50 ],
	'in the middle'    => [ map { at($_, $_ <= 12 ? sprintf('2026-07-%02dT10:00:00Z', 31 - $_) : $_ <= 45 ? $tied : '2026-07-09T10:00:00Z') } 1 .. 50 ],
	'at the end'       => [ map { at($_, $_ <= 12 ? sprintf('2026-07-%02dT10:00:00Z', 31 - $_) : $tied) } 1 .. 50 ],
	'all of them'      => [ map { at($_, $tied) } 1 .. 50 ]);
my $all = join ' ', map { sprintf 'a%02d', $_ } 1 .. 50;

foreach my $name (sort keys %lists)
{
	$emulator->set_alerts(@{ $lists{$name} });
	foreach my $settings ({}, { next_link_by => 'skip' })
	{
		my $how = join(' ', $name, map { "$_ $settings->{$_}" } sort keys %$settings);

		$emulator->settings(next_link_by => 'skiptoken', skip_ceiling => 0, count => 'honour', %$settings);
		foreach my $count ('true', 'false')
		{
			$node->set_server(count_pushdown => $count);
			foreach my $query ($ids,
				map { "SELECT string_agg(id, ' ' ORDER BY id) FROM (SELECT id FROM defender.alerts ORDER BY $_ OFFSET 0) AS a" }
				'created_date_time', 'created_date_time DESC', 'last_update_date_time')
			{
				my $result = $node->result($query);

				is($result, $all, "one time: $how, counted $count: $query");
			}
		}
	}
}
$emulator->reset;
$node->set_server(count_pushdown => undef);

# Times so far apart that there is no time before them to divide.
$emulator->set_alerts(map { at($_, sprintf '%04d-07-10T10:00:00Z', 2026 - 40 * $_) } 1 .. 50);
is($node->result($ids), $all, 'times that are 40 years apart');

#------------------------------------------------------------------------------
# Counts of one list that differ from each other
#------------------------------------------------------------------------------

$emulator->set_alerts(map { at($_, sprintf '2026-07-%02dT%02d:00:00Z', 30 - $_ / 2, $_ % 24) } 1 .. 50);
foreach my $counts ([51], [ 51, 52, 'null' ], [ 51, 52, 53, 'null' ], [ 51, 52, 53, 54, 'null' ], [ 51, 52, 52, 52, 52 ], [ 51, 'null' ], [ 51, 50 ], [ 51, 52, 50, 52, 50 ])
{
	my ($first, @later) = @$counts;

	foreach my $query ($ids, "SELECT string_agg(id, ' ' ORDER BY id) FROM (SELECT id FROM defender.alerts ORDER BY created_date_time DESC OFFSET 0) AS a")
	{
		$emulator->no_fault;
		$emulator->fault(kind => 'count', text => "$first", path => '$top=10', nth => 1);
		$emulator->fault(kind => 'count', text => "$later[$_]", path => '$top=1', nth => $_ + 2) foreach 0 .. $#later;
		like($node->result($query), qr/^\Q$all\E$|ERROR:  server "graph" gave an incomplete answer/, "counts @$counts: $query");
	}
}
done_testing();
