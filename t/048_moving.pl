
# Does a list that moves while it is read lose an alert, or give one twice?
#
# Links are offsets: what leaves the list shifts the rest to where nobody looks,
# and what arrives shifts it the other way.  Whatever comes and goes, each alert
# that was in the list from beginning to end is given, once; and a busy tenant
# is no reason for an error.  The service is moving_server.py.
#
# Each list is read with one request at a time or with several, by turns;
# GRAPH_LONG=1 has more of them; GRAPH_MOVING=N runs each of them with N seeds both ways.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use HTTP::Tiny;
use JSON::PP;
use PythonService;
use Test::More;

my $SEEDS = $ENV{GRAPH_MOVING} || 0;
my $apart = $ENV{GRAPH_LONG} ? 3 : 6;
my $json = JSON::PP->new->utf8->canonical;
my $http = HTTP::Tiny->new(proxy => undef, http_proxy => undef);
my $service = PythonService->new('moving_server.py');
my $url = $service->url;
my $node = GraphCluster->connected_to(GraphEmulator->new('--alerts', 0, '--no-sample'), import => 0);
$node->sql(<<"SQL");
CREATE SERVER moving FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url/x', page_size '100', concurrency '4', max_retries '8');
CREATE USER MAPPING FOR CURRENT_USER SERVER moving OPTIONS (access_token 'x');
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts) FROM SERVER moving INTO defender;
SQL
my $session = $node->session;

sub percent { my ($text) = @_; return $text =~ s/([^A-Za-z0-9_.-])/sprintf '%%%02X', ord $1/ger }

# Read a list that moves as the options say: the ids, the error, and what was
# there from beginning to end.
sub read_list
{
	my ($options, $query) = @_;
	my $key = percent($json->encode($options));

	$session->{stderr} = '';
	$session->query("ALTER SERVER moving OPTIONS (SET endpoint '$url/$key')");
	my @ids = split /\n/, $session->query($query);
	my $state = $json->decode($http->get("$url/$key/kept")->{content});
	return (\@ids, $session->{stderr}, $state);
}

# Was every alert given that was there all the time, and none twice?
sub check_list
{
	my ($options, $concurrency, $title, $query) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$session->query("ALTER SERVER moving OPTIONS (SET concurrency '$concurrency')");
	my ($ids, $error, $state) = read_list($options, $query);
	my %times;

	$times{$_}++ foreach @$ids;
	my @missing = grep { !$times{$_} } @{ $state->{kept} };
	my @twice = grep { $times{$_} > 1 } keys %times;
	is(@missing . ' missing, ' . @twice . " twice, $error", '0 missing, 0 twice, ',
		"$title, concurrency $concurrency: " . $json->encode($options))
	  or diag("$state->{requests} requests; @missing[0 .. ($#missing > 5 ? 5 : $#missing)]");
	return;
}

my @lists;
foreach my $links (qw(skip skiptoken))
{
	foreach my $from (qw(given rest any))
	{
		push @lists,
		  { links => $links, leave => 3, from => $from },
		  { links => $links, leave => 3, from => $from, arrive => 2, to => 'any', how => 'resolve' },
		  { links => $links, leave => 5, from => $from, arrive => 4, cut => 8 },
		  { links => $links, leave => 3, from => $from, ties => 7 };
	}
	push @lists, { links => $links, leave => 3, arrive => 3, to => 'any', empty => 1 };
	push @lists, { links => $links, leave => 1, from => 'any', arrive => 1 }, { links => $links, arrive => 5 }, { links => $links, arrive => 9, to => 'any', cut => 6 };
}
my @queries = (
	[ 'all', 'SELECT id FROM defender.alerts OFFSET 0' ],
	[ 'the new ones', q{SELECT id FROM defender.alerts WHERE status = 'new' OFFSET 0} ],
	[ 'newest first', 'SELECT id FROM defender.alerts ORDER BY created_date_time DESC' ],
	[ 'oldest first', q{SELECT id FROM defender.alerts WHERE status = 'new' ORDER BY created_date_time} ],
	[ 'a clause that stays here', q{SELECT id FROM defender.alerts WHERE title <> 'x' LIMIT 100000} ]);
my $number = 0;
foreach my $list (@lists)
{
	foreach my $case (@queries)
	{
		foreach my $seed ($SEEDS ? map({ ($_, -$_) } 1 .. $SEEDS) : $number % 2 ? 1 : -1)
		{
			check_list({ %$list, alerts => (480, 1000, 1430)[ $number % 3 ], seed => abs($seed) + 10 * $number, name => ++$number },
				$seed < 0 ? 1 : 4, @$case);
		}
	}
}

# More alerts of one time than pages hold, of which one leaves while those after
# them are read.
$session->query("ALTER SERVER moving OPTIONS (SET page_size '10')");
foreach my $block (30, 100)
{
	foreach my $order ('', ' DESC')
	{
		foreach my $leave (grep { $SEEDS || $_ % $apart == $block % $apart } 1 .. $block / 10 * 2 + 12)
		{
			check_list({ links => 'skip', block => $block, leave_at => $leave, alerts => $block + 65, name => ++$number }, 1,
				"many of one time$order", "SELECT id FROM defender.alerts ORDER BY created_date_time$order");
		}
	}
}
$session->query("ALTER SERVER moving OPTIONS (SET page_size '100')");

# A list that nobody changes is read with as few requests as its pages have.
my ($ids, $error, $state) = read_list({ alerts => 1000, name => 'still' }, 'SELECT id FROM defender.alerts OFFSET 0');
is(scalar(@$ids), 1000, 'a list that does not move');
cmp_ok($state->{requests}, '<=', 14, 'a list that does not move: its pages, and one that is not full for each window');

$session->quit;
done_testing();
