
# Is a list complete, whatever happens while it is read?
#
# Pages that break, links that end, alerts that arrive meanwhile, alerts at the
# same time, connections that are closed between two queries.  What is expected
# is what the service has, by its own account.

use strict;
use warnings;

use Encode ();
use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my ($TRUE, $FALSE) = (JSON::PP::true, JSON::PP::false);
my $json = JSON::PP->new->utf8;
my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator);
my $list = '(SELECT id, created_date_time, severity, title FROM defender.alerts OFFSET 0) AS a';

# The ids, in order, and how many there are, so that nothing comes twice.
sub ids_of
{
	my ($from, %params) = @_;
	return $node->result("SELECT count(*) || ':' || coalesce(string_agg(id, ',' ORDER BY id), '') FROM $from", %params);
}

# The same of alerts that one has.
sub ids
{
	return @_ . ':' . join ',', sort map { $_->{id} } @_;
}

# The alerts stay, and everything else is as at the start but these settings.
sub calm
{
	my (%settings) = @_;

	$emulator->no_fault;
	$emulator->settings(max_pages => 0, skip_ceiling => 0, next_link_by => 'skiptoken',
		next_link_after_value => $FALSE, gzip => $TRUE,
		(map { $_ => 'honour' } qw(filter orderby count)), %settings);
	$emulator->clear;
	return;
}

#------------------------------------------------------------------------------
# A page that breaks
#------------------------------------------------------------------------------

# At many places, among them some in the middle of a letter of two bytes.
my @few = map { alert(id => sprintf('c%03d', $_), title => "\x{e9}\x{1f600}\"\\" x 20, createdDateTime => "2026-07-01T10:00:00Z") } 1 .. 40;
$node->set_server(max_retries => 2, page_size => 20, request_timeout => '2s');
$emulator->set_alerts(@few);
$emulator->settings(gzip => $FALSE);
my @places = (0, 1, 10, 77, 78, 79, 80, map { 100 + 397 * $_ } 0 .. 14);
foreach my $place (@places)
{
	my $how = (qw(cut reset stall))[ $place % 3 ];

	next if $how eq 'stall' && $place % 2;
	$emulator->no_fault;
	$emulator->fault(kind => $how, after => $place, nth => $place % 2 + 1);
	is(ids_of($list), ids(@few), "$how after $place bytes");
}

# More than once, and not more often than max_retries says.
$emulator->reset;
$emulator->set_alerts(@few);
$emulator->settings(gzip => $FALSE);
$emulator->fault(kind => 'cut', after => 3000);
$emulator->fault(kind => 'cut', after => 1500, nth => 2);
is(ids_of($list), ids(@few), 'cut twice, the second time earlier');
$emulator->no_fault;
$emulator->fault(kind => 'cut', after => 1500, times => -1);
like($node->error("SELECT id FROM $list")->{text}, qr/08006.*tried 3 times/s, 'cut three times');

# Compressed: what was inflated before the cut counts.
$emulator->no_fault;
$emulator->settings(gzip => $TRUE);
foreach my $place (20, 60, 100)
{
	$emulator->fault(kind => 'cut', after => $place);
	is(ids_of($list), ids(@few), "gzip, cut after $place bytes");
}

#------------------------------------------------------------------------------
# How long is waited
#------------------------------------------------------------------------------

# Twice as long each time, half of it by chance.
$node->set_server(max_retries => 3);
$emulator->no_fault;
$emulator->clear;
$emulator->fault(kind => 'status', code => 503, times => 3);
is(ids_of($list), ids(@few), 'three times 503');
my @times = map { $_->{seconds} } $emulator->records;
foreach my $i (0 .. 2)
{
	my $wait = $times[ $i + 1 ] - $times[$i];
	cmp_ok($wait, '>=', 0.25 * 2**$i - 0.02, "wait $i");
	cmp_ok($wait, '<', 0.5 * 2**$i + 1, "wait $i: not too long");
}
is(scalar(grep { $_->{connection} == ($emulator->records)[0]{connection} } ($emulator->records)[ 1, 2 ]), 0,
	'503: tried again on a new connection');

# What the service asks for, unless statement_timeout ends before.
$emulator->no_fault;
foreach my $after (30, 'date:30')
{
	$emulator->fault(kind => 'status', code => 429, retry_after => $after);
	my $since = time;
	my $error = $node->error("SELECT id FROM $list", before => "SET statement_timeout = '10s'");
	is($error->{state}, '53400', "Retry-After: $after: not within statement_timeout");
	like($error->{detail}, qr/statement_timeout/, "Retry-After: $after: and it says so");
	cmp_ok(time - $since, '<', 5, "Retry-After: $after: at once");
}
$emulator->no_fault;
$emulator->clear;

#------------------------------------------------------------------------------
# Links that end
#------------------------------------------------------------------------------

# 20,000 alerts: of every three, two are at one microsecond, and 700 at another.
# What is between two microseconds is rounded here and not there.
my @many;
foreach my $i (1 .. 20_000)
{
	my $second = int(($i - $i % 3) / 2);
	my $fraction = $i % 7 == 0 ? '.1234565' : $i % 7 == 1 ? '.1234564' : $i % 3 == 0 ? '.5' : '';
	my $time = sprintf '2026-06-%02dT%02d:%02d:%02d%sZ', 1 + $second / 86400, $second / 3600 % 24, $second / 60 % 60, $second % 60, $fraction;

	$time = '2026-06-01T01:00:00.1234567Z' if $i > 9000 && $i <= 9700;
	push @many, alert(id => sprintf('m%05d', $i), createdDateTime => $time, title => 'x', severity => (qw(low medium high))[ $i % 3 ]);
}
$emulator->reset;
$emulator->set_alerts(@many);
my $all = ids(@many);
my $high = ids(grep { $_->{severity} eq 'high' } @many);
my $since = '2026-06-01T01:30:00Z';
my $late = ids(grep { $_->{createdDateTime} ge substr $since, 0, -1 } @many);

foreach my $concurrency (1, 4)
{
	$node->set_server(page_size => 500, concurrency => $concurrency, max_retries => 1);
	foreach my $settings ({ max_pages => 10 }, { next_link_by => 'skip', skip_ceiling => 4000, next_link_after_value => $TRUE })
	{
		my $name = "concurrency $concurrency, " . join ' ', %$settings;

		calm(%$settings);
		is(ids_of($list), $all, "$name: all");
		is(ids_of("(SELECT * FROM defender.alerts WHERE severity = 'high' OFFSET 0) AS a"), $high, "$name: filtered");
		is(ids_of("(SELECT * FROM defender.alerts WHERE created_date_time >= '$since' OFFSET 0) AS a"), $late, "$name: late ones")
		  if $settings->{max_pages};
		next unless ($settings->{max_pages} || 0) == 10;
		foreach my $order ($concurrency == 1 ? 'created_date_time' : 'created_date_time DESC')
		{
			is($node->result(<<"SQL"), "$all|t", "$name: ORDER BY $order");
WITH rows AS MATERIALIZED (SELECT id, created_date_time, row_number() OVER () AS n
	FROM (SELECT id, created_date_time FROM defender.alerts ORDER BY $order OFFSET 0) AS a)
SELECT count(*) || ':' || string_agg(id, ',' ORDER BY id),
	(SELECT bool_and(ok) FROM (SELECT (lag(created_date_time) OVER (ORDER BY n)
		@{[ $order =~ /DESC/ ? '>=' : '<=' ]} created_date_time) IS NOT FALSE AS ok FROM rows) AS o)
FROM rows
SQL
		}
	}
}

# A page that breaks in a window, or a request that is throttled.
calm(max_pages => 10, gzip => $FALSE);
$node->set_server(max_retries => 2);	# one that is tried again may be hit again
$emulator->fault(kind => 'cut', after => 30_000, nth => $_) foreach 5, 9, 20;
$emulator->fault(kind => 'status', code => 503, nth => 12);
is(ids_of($list), $all, 'windows with faults');

# A service that does not filter, order or count, and does not say so or does.
my @some = @many[ 0 .. 2999 ];
$emulator->set_alerts(@some);
foreach my $settings ({ filter => 'ignore' }, { orderby => 'ignore' }, { orderby => 'refuse' }, { count => 'refuse' }, { filter => 'refuse' }, { count => 'ignore' })
{
	calm(%$settings);
	my $got = ids_of($list);
	ok($got eq ids(@some) || ($got =~ /ERROR/ && !$settings->{filter}), 'complete or an error: ' . join ' ', %$settings);
	note substr $got, 0, 300 if $got =~ /ERROR/;
}

# More alerts at one time than can be told apart: complete, or an error.
my @tied = map { alert(id => sprintf('t%05d', $_), createdDateTime => '2026-06-01T00:00:00Z') } 1 .. 7000;
calm();
$emulator->set_alerts(@tied);
is(ids_of($list), ids(@tied), '7000 at one time');
$emulator->settings(max_pages => 4);
like(ids_of($list), qr/ERROR:.*gave an incomplete answer/, '7000 at one time, and links that end');

# The end of a page again at the beginning of the next: also there where the ids
# of the page before are no longer among the last that are kept.
$emulator->reset;
$emulator->set_alerts(@many[ 0 .. 10_199 ]);
$node->set_server(page_size => undef, concurrency => 1, order_pushdown => 'false', count_pushdown => 'false');
$emulator->fault(kind => 'duplicate_rows', rows => 3, times => -1);
is(ids_of($list), ids(@many[ 0 .. 10_199 ]), 'rows again on the page after ten thousand alerts');
$node->set_server(page_size => 500, order_pushdown => undef, count_pushdown => undef);

# Without a time.
my @timeless = ((map { alert(id => sprintf('n%05d', $_), createdDateTime => undef) } 1 .. 300), @many[ 0 .. 5999 ]);
$emulator->reset;
$emulator->set_alerts(@timeless);
foreach my $concurrency (1, 4)
{
	$node->set_server(concurrency => $concurrency);
	is(ids_of($list), ids(@timeless), "some without a time, concurrency $concurrency");
	$emulator->settings(max_pages => 5);
	is(ids_of($list), ids(@timeless), "some without a time, links that end, concurrency $concurrency");
	foreach my $order ('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST')
	{
		# Where the service sorts them it does not say: in the wrong place they are an error.
		my $got = ids_of("(SELECT * FROM defender.alerts ORDER BY created_date_time$order OFFSET 0) AS a");
		ok($got eq ids(@timeless) || $got =~ /ERROR:.*did not keep the order/,
			"some without a time, ordered$order, concurrency $concurrency") or diag(substr $got, 0, 100);
	}
	$emulator->settings(max_pages => 0);
}

#------------------------------------------------------------------------------
# Ends that come too early
#------------------------------------------------------------------------------

# A page that is not full, and is the last that the service gives, although it
# counts more: the rest is found by time, or it is an error.
my @hundred = @many[ 0 .. 599 ];
$emulator->reset;
$emulator->set_alerts(@hundred);
$emulator->settings(gzip => $FALSE);
foreach my $concurrency (1, 4)
{
	$node->set_server(page_size => 50, concurrency => $concurrency, max_retries => 1);
	foreach my $case (
		[ 'pages of 30 that end after the first', { top_max => 30, max_pages => 1 } ],
		[ 'pages of 30 that end after three', { top_max => 30, max_pages => 3 } ],
		[ 'links that end after one page', { max_pages => 1 } ],
		[ 'links that skip, as far as 100', { next_link_by => 'skip', skip_ceiling => 100 } ])
	{
		my ($name, $settings) = @$case;

		calm(top_max => 1000, %$settings);
		is(ids_of($list), ids(@hundred), "$name, concurrency $concurrency");
		is(ids_of("(SELECT * FROM defender.alerts WHERE severity = 'high' OFFSET 0) AS a"),
			ids(grep { $_->{severity} eq 'high' } @hundred), "$name, concurrency $concurrency, filtered");
		is($node->result('SELECT count(*) FROM (SELECT id FROM defender.alerts ORDER BY created_date_time DESC OFFSET 0) AS a'),
			600, "$name, concurrency $concurrency, ordered");
		$node->set_server(order_pushdown => 'false');
		like(ids_of($list), qr/ERROR:.*incomplete answer.*counts 600/s, "$name, concurrency $concurrency, without order_pushdown")
		  if $settings->{max_pages};
		$node->set_server(order_pushdown => undef);
	}
	foreach my $nth (2, 3, 5)
	{
		calm(top_max => 1000);
		$emulator->fault(kind => 'missing_next_link', nth => $nth);
		is(ids_of($list), ids(@hundred), "a link that is missing on page $nth, concurrency $concurrency");
	}

	# One that does not stand where its time says, old or new, near or far.
	foreach my $id ($hundred[599]{id}, $hundred[300]{id}, $hundred[0]{id})
	{
		foreach my $place (0, 20, 70, 260, 590)
		{
			calm(top_max => 1000, misplaced => "$id $place");
			is(ids_of($list), ids(@hundred), "$id at place $place, concurrency $concurrency");
		}
	}
}

# Alerts that leave the list while it is read, where links say how many to skip:
# the others do not leave with them.
foreach my $concurrency (1, 4)
{
	$node->set_server(page_size => 20, concurrency => $concurrency);
	$emulator->reset;
	$emulator->set_alerts(@hundred);
	$emulator->settings(next_link_by => 'skip');
	my $session = $node->session;
	my (%got, %gone);
	$session->query('BEGIN; DECLARE c CURSOR FOR SELECT id FROM defender.alerts');
	foreach my $round (1 .. 12)
	{
		my @rows = split /\n/, $session->query('FETCH 30 FROM c');
		$got{$_}++ foreach @rows;
		$gone{$_} = 1 foreach @rows[ 0 .. 2 ];
		$emulator->control('DELETE', "alerts?id=$_") foreach @rows[ 0 .. 2 ];
	}
	$got{$_}++ foreach split /\n/, $session->query('FETCH ALL FROM c');
	is(scalar(grep { !$got{ $_->{id} } } @hundred), 0, "leaving, concurrency $concurrency: nothing is missing") or diag($session->{stderr});
	is(scalar(grep { $_ > 1 } values %got), 0, "leaving, concurrency $concurrency: nothing is given twice");
	$session->quit;
}

# A service whose count is wrong: complete, or an error that says so.
$emulator->reset;
$emulator->set_alerts(@hundred);
calm(top_max => 1000, count => 'ignore');
is(ids_of($list), ids(@hundred), 'no count');
calm(count => 'refuse');
my $refused = $node->session;
is($refused->query("SELECT count(*) FROM $list"), 600, 'a count that is refused') for 1 .. 2;
is(scalar(grep { /count=true/ } $emulator->requests), 2, 'a count that is refused: with $select and without, once a session') or diag(join "\n", $emulator->requests);
$refused->quit;

#------------------------------------------------------------------------------
# A list that moves
#------------------------------------------------------------------------------

# New alerts push the list down while it is read: what was there when the query
# began is given, and nothing twice.
$emulator->reset;
my @first = @many[ 0 .. 4999 ];
$emulator->set_alerts(@first);
foreach my $concurrency (1, 4)
{
	foreach my $order ('', 'ORDER BY created_date_time DESC', 'ORDER BY created_date_time')
	{
		my $session = $node->session;

		$node->set_server(page_size => 100, concurrency => $concurrency);
		$session->query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM defender.alerts $order; CREATE TEMP TABLE got (id text)");
		my @got;
		foreach my $round (1 .. 25)
		{
			push @got, split /\n/, $session->query('FETCH 130 FROM c');
			$emulator->add_alerts(map { alert(id => "new$concurrency-$round-$_-" . length $order, createdDateTime => "2026-07-02T10:00:${round}Z") } 10 .. 16)
			  if $round >= 10 && $round < 20;
		}
		push @got, split /\n/, $session->query('FETCH ALL FROM c');
		my %times;
		$times{$_}++ foreach @got;
		is(scalar(grep { !$times{ $_->{id} } } @first), 0, "moving, concurrency $concurrency $order: nothing is missing");
		is(scalar(grep { $_ > 1 } values %times), 0, "moving, concurrency $concurrency $order: nothing is given twice");
		$session->quit;
		$emulator->set_alerts(@first);
	}
}

# By more than two of its pages between one and the next: they are small.
$node->set_server(page_size => 10, concurrency => 1);
$emulator->set_alerts(my @short = @many[ 0 .. 199 ]);
$emulator->settings(next_link_by => 'skip');
my $moving = $node->session;
$moving->query('BEGIN; DECLARE c CURSOR FOR SELECT id FROM defender.alerts');
my %given;
foreach my $round (1 .. 6)
{
	$given{$_}++ foreach split /\n/, $moving->query('FETCH 20 FROM c');
	$emulator->add_alerts(map { alert(id => "more$round-$_", createdDateTime => "2026-07-03T10:0$round:${_}Z") } 10 .. 44);
}
$given{$_}++ foreach split /\n/, $moving->query('FETCH ALL FROM c');
is(scalar(grep { !$given{ $_->{id} } } @short), 0, 'moving by pages: nothing is missing');
is(scalar(grep { $_ > 1 } values %given), 0, 'moving by pages: nothing is given twice');
$moving->quit;

#------------------------------------------------------------------------------
# One that says nothing, among others that talk
#------------------------------------------------------------------------------

# It is given up in its own time, and asked again, while the others go on.
$emulator->reset;
$emulator->set_alerts(map { alert(id => "k$_") } 1 .. 60);
$emulator->settings(latency_ms => 100);
$emulator->fault(kind => 'stall', before_headers => $TRUE, path => '/k1', times => 1);
$node->set_server(page_size => 100, concurrency => 2, request_timeout => '1s');
$emulator->clear;
is($node->result(q{SELECT count(*) FROM (SELECT id FROM defender.alerts WHERE id = ANY (ARRAY(SELECT 'k' || n FROM generate_series(1, 60) AS n)) OFFSET 0) AS a}),
	60, 'a silent request among others');
my @asked = grep { $_->{path} =~ m{/k1$} } $emulator->records;
is(scalar(@asked), 2, 'a silent request: asked again');
cmp_ok($asked[1]{seconds} - $asked[0]{seconds}, '<', 2.5, 'a silent request: in its own time');
$node->set_server(request_timeout => undef);

#------------------------------------------------------------------------------
# Requests per minute, counters
#------------------------------------------------------------------------------

$emulator->reset;
$emulator->set_alerts(@few);
$node->set_server(page_size => 6, requests_per_minute => 3, concurrency => 1);
# another client, of whose last minute nothing is known
$node->sql(q{DROP USER MAPPING FOR CURRENT_USER SERVER graph;
	CREATE USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (access_token 'emulator-access-token')});
my $session = $node->session;
$session->query("SET statement_timeout = '1s'");
$emulator->clear;
$session->query("SELECT count(*) FROM $list");
like($session->{stderr}, qr/57014/, 'requests_per_minute: the fourth page waits');
is(scalar(my @sent = $emulator->requests), 3, 'requests_per_minute: and only three were sent');
$node->set_server(requests_per_minute => undef);
$session->{stderr} = '';
is($session->query("SELECT count(*) FROM $list"), 40, 'requests_per_minute: without it, at the next scan');
$session->quit;

$session = $node->session;
$node->set_server(max_retries => 2);
is($session->query('SELECT * FROM graph_fdw_stats()'), '', 'counters: none');
$emulator->clear;
$emulator->fault(kind => 'status', code => 429, nth => 2);
$emulator->fault(kind => 'status', code => 503, nth => 4);
$session->query("SELECT count(*) FROM $list");
my @records = $emulator->records;
is($session->query('SELECT server_name, requests, retries, throttled, records FROM graph_fdw_stats()')
	  =~ s/^\w+\|//r, @records . '|2|1|40', 'counters') or diag($session->{stderr});
is($session->query("SELECT bytes > 0 FROM graph_fdw_stats()"), 't', 'counters: bytes');
is($session->query("SELECT title IS NULL FROM defender.alerts WHERE id = 'c001'"), 'f', 'counters: a lookup');
is($session->query('SELECT requests, records FROM graph_fdw_stats()'), (@records + 1) . '|41', 'counters: and it counts');

#------------------------------------------------------------------------------
# Connections
#------------------------------------------------------------------------------

# The connections of the requests since the last time.
sub connections
{
	my %numbers = map { $_->{connection} => 1 } $emulator->records;
	$emulator->clear;
	return keys %numbers;
}

$emulator->no_fault;
connections();
$session->query("SELECT count(*) FROM $list") foreach 1 .. 3;
is(scalar(my @used = connections()), 1, 'one connection for three queries');

# Closed by the server after each answer, or after some, unannounced.
foreach my $setting ([ requests_per_connection => 1 ], [ requests_per_connection => 3 ])
{
	$emulator->settings(@$setting);
	my $since = time;
	is($session->query("SELECT count(*) FROM $list"), 40, "@$setting") foreach 1 .. 4;
	cmp_ok(time - $since, '<', 2, "@$setting: without a pause");
	cmp_ok(scalar(my @c = connections()), '>', 4, "@$setting: connections");
}
$emulator->settings(requests_per_connection => 0);
is($session->query('SELECT retries FROM graph_fdw_stats()'), 2, 'it is no retry of ours');

# Closed on purpose.
$session->query("SELECT count(*) FROM $list");
connections();
$session->query("SELECT graph_fdw_disconnect(); SELECT count(*) FROM $list");
is(scalar(@used = connections()), 1, 'disconnected: one');
$session->query("SELECT graph_fdw_disconnect('graph'); SELECT count(*) FROM $list");
my $fresh = (connections())[0];
isnt($fresh, $used[0], 'disconnected: another');

# The next connections fail once.
$session->query('SELECT graph_fdw_disconnect()');
$emulator->settings(close_on_accept => 1);
is($session->query("SELECT count(*) FROM $list"), 40, 'the first connection is closed at once');

# A cursor goes on when its connections are given up meanwhile.
is($session->query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM defender.alerts; MOVE 5 c; SELECT graph_fdw_disconnect() IS NULL; MOVE ALL c; COMMIT; SELECT count(*) FROM $list"),
	"f\n40", 'disconnected in the middle of a cursor') or diag($session->{stderr});

#------------------------------------------------------------------------------
# ALTER takes effect in every session, at the next scan
#------------------------------------------------------------------------------

my $other = GraphEmulator->new('--alerts', 0, '--no-sample');
$other->set_alerts(map { alert(id => "o$_") } 1 .. 7);
my $count = "SELECT count(*) FROM $list";
$session->query("PREPARE list AS $count");
is($session->query('EXECUTE list'), 40, 'prepared') foreach 1 .. 6;
$node->sql("ALTER SERVER graph OPTIONS (SET endpoint '" . $other->url . "', SET authority '" . $other->url . "')");
is($session->query('EXECUTE list'), 7, 'ALTER SERVER in another session');
$node->sql(q{ALTER USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (SET access_token 'wrong')});
$session->{stderr} = '';
$session->query('EXECUTE list');
like($session->{stderr}, qr/28000/, 'ALTER USER MAPPING in another session');
$node->sql(q{ALTER USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (SET access_token 'emulator-access-token')});
is($session->query('EXECUTE list'), 7, 'ALTER USER MAPPING: and back');
$other->clear;
$node->sql('ALTER FOREIGN TABLE defender.alerts OPTIONS (ADD page_size \'3\')');
is($session->query('EXECUTE list'), 7, 'ALTER FOREIGN TABLE');
is(join(' ', map { /\$top=(\d+)/ } $other->requests), '3 6 9 3', 'ALTER FOREIGN TABLE in another session: pages of three, and of three more than are known');
$node->sql('DROP USER MAPPING FOR CURRENT_USER SERVER graph');
$session->{stderr} = '';
$session->query('EXECUTE list');
like($session->{stderr}, qr/ERROR:  \w{5}: .*user mapping/, 'DROP USER MAPPING');
$session->quit;

unlike(slurp_file($node->logfile), qr/TRAP|PANIC|WARNING/, 'nothing in the log');
done_testing();
