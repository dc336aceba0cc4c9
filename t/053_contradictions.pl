
# What if the service contradicts itself, or does not do what it was asked for?
#
# A count is evidence and not truth, an order is one only while it is seen, a
# filter may be ignored.  The answer is right all the same, or it is an error
# that names the remedy that fits; and what is odd but right is no error.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use JSON::PP;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator);
my @SEVERITIES = qw(high low medium low);

# Newest first; the severities by turns, so that one in four is high, but of the
# first ones all are.
sub made
{
	my ($number, %more) = @_;
	my $seconds = 100_000 - 7 * $number;

	return alert(
		id                 => sprintf('c%04d', $number),
		title              => "Title $number",
		severity           => $number < 3 ? 'high' : $SEVERITIES[ $number % 4 ],
		status             => $number % 3 ? 'new' : 'resolved',
		createdDateTime    => time_of($seconds),
		lastUpdateDateTime => time_of(($seconds * 7919) % 99_991),
		%more);
}

sub time_of
{
	my ($seconds, $fraction) = @_;
	return sprintf '2026-07-%02dT%02d:%02d:%02d%sZ', 1 + int($seconds / 86400), int($seconds / 3600) % 24,
	  int($seconds / 60) % 60, $seconds % 60, $fraction // '';
}

sub set_up
{
	my ($count, %settings) = @_;

	$emulator->reset;
	$emulator->set_alerts(map { made($_) } 1 .. $count);
	$emulator->settings(%settings) if %settings;
	$emulator->clear;
	return;
}

# A query in a session of its own, with what a session has learned of the service.
sub answer
{
	my ($query) = @_;
	my $session = $node->session;
	my $result = $session->query($query);

	$result = "ERROR $session->{stderr}" if $session->{stderr} =~ /ERROR/;
	$session->quit;
	return $result;
}

#------------------------------------------------------------------------------
# Counts
#------------------------------------------------------------------------------

set_up(2500);
my $high = grep { $_ < 3 || $_ % 4 == 0 } 1 .. 2500;
my $filtered = q{SELECT count(*) FROM defender.alerts WHERE severity = 'high'};
is(answer($filtered), $high, 'a count that is right');
is(scalar(my @one = $emulator->requests), 1, 'a count that is right: one request');
foreach my $case (
	[ 'one, with a link beside it' => 1 ],
	[ 'none, with alerts beside it' => 0 ],
	[ 'fewer than there are beside it' => 7 ],
	[ 'a negative one' => -5 ],
	[ 'a text' => '"many"' ],
	[ 'a fraction' => '17.5' ],
	[ 'null' => 'null' ])
{
	my ($name, $count) = @$case;

	set_up(2500);
	$emulator->fault(kind => 'count', text => "$count");
	is(answer($filtered), $high, "count(*), the service says $name: counted here");
	set_up(2500);
	$emulator->fault(kind => 'count', text => "$count");
	is(answer('SELECT count(*) FROM defender.alerts'), 2500, "count(*) of all, the service says $name: counted here")
	  unless $count eq 7;
}
set_up(0);
$emulator->fault(kind => 'count', text => '12');
is(answer($filtered), 0, 'count(*), some are counted and none is there: counted here');

# The newest two are high, so that of a page of two it would not be seen.
set_up(2500, filter => 'ignore');
is(answer($filtered), $high, 'count(*), the filter is ignored: counted here, clause by clause');
is(answer(q{SELECT count(*) FROM defender.alerts WHERE severity <> 'high' AND status = 'new'}),
	scalar(grep { $_ >= 3 && $_ % 4 && $_ % 3 } 1 .. 2500), 'count(*), the filter of two clauses is ignored');
is(answer(q{PREPARE p (text) AS SELECT count(*) FROM defender.alerts WHERE severity = 'high' AND status = $1; SET plan_cache_mode = force_generic_plan; EXECUTE p ('new')}),
	scalar(grep { ($_ < 3 || $_ % 4 == 0) && $_ % 3 } 1 .. 2500), 'count(*) with a parameter, the filter is ignored');

# More than there are: an error, whose hint is about counts.
set_up(95);
$node->set_server(page_size => 10);
$emulator->fault(kind => 'count', text => '200', times => -1);
my $error = $node->error('SELECT count(title) FROM defender.alerts');
is($error->{state}, 'HV00M', 'the list ends before its count');
like($error->{hint}, qr/count_pushdown/, 'the list ends before its count: the hint is about counts');
$node->set_server(count_pushdown => 'false');
is(answer('SELECT count(title) FROM defender.alerts'), 95, 'the list ends before its count: and the hint helps');
$node->set_server(count_pushdown => undef, page_size => undef);
$emulator->no_fault;
$emulator->fault(kind => 'partial');
like($node->error('SELECT count(title) FROM defender.alerts')->{hint}, qr/on_partial/, 'a part of the answer: the hint is about that');

# The whole list is counted too high, its parts are not: an error, also if the
# counts that are to explain it are refused.
$node->set_server(page_size => 10);
foreach my $refused (0, 1)
{
	set_up(95);
	$emulator->fault(kind => 'count', text => '105', times => -1, path => 'alerts_v2?$select');
	$emulator->fault(kind => 'count', text => '105', times => -1, path => 'alerts_v2?$count');
	$emulator->fault(kind => 'status', code => 400, times => -1, path => 'ge 0001-01-01') if $refused;
	is($node->error('SELECT count(title) FROM defender.alerts')->{state}, 'HV00M',
		'more are counted than listed' . ($refused ? ', and counts by time are refused' : ''));
}
$node->set_server(page_size => undef);

#------------------------------------------------------------------------------
# Order
#------------------------------------------------------------------------------

set_up(600);
my %newest = map { $_ => [ sort { $b->[0] cmp $a->[0] } map { [ made($_)->{lastUpdateDateTime}, made($_)->{id} ] } 1 .. 600 ] } 1;
my $latest = $newest{1}[0][0] =~ s/T/ /r =~ s/Z/+00/r;
foreach my $orderby (qw(honour ignore refuse))
{
	set_up(600, orderby => $orderby);
	is(answer(q{SET TimeZone = 'UTC'; SELECT max(last_update_date_time) FROM defender.alerts}), $latest, "\$orderby: $orderby: max()");
	is(answer('SELECT id FROM defender.alerts ORDER BY last_update_date_time DESC LIMIT 3'),
		join("\n", map { $_->[1] } @{ $newest{1} }[ 0 .. 2 ]), "\$orderby: $orderby: the three that were changed last");
	is(answer('SELECT id FROM defender.alerts ORDER BY created_date_time LIMIT 3'), "c0600\nc0599\nc0598", "\$orderby: $orderby: the three oldest");
	is(answer('SELECT id FROM defender.alerts ORDER BY created_date_time OFFSET 250 LIMIT 2'), "c0350\nc0349", "\$orderby: $orderby: some in the middle");
	is(answer("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM defender.alerts ORDER BY created_date_time LIMIT 30; FETCH 2 FROM c; FETCH BACKWARD 1 FROM c; FETCH 2 FROM c; CLOSE c; COMMIT"),
		"c0600\nc0599\nc0600\nc0599\nc0598", "\$orderby: $orderby: a cursor back and forth");
	is(answer(q{SELECT (SELECT id FROM defender.alerts AS a WHERE a.severity = v ORDER BY created_date_time LIMIT 1) FROM (VALUES ('high'), ('low'), (NULL), ('high')) AS t (v)}),
		"c0600\nc0599\n\nc0600", "\$orderby: $orderby: the oldest for each of some, a rescan each");
}

# Sorted here by one time, and read in windows of the other: of a list of several
# pages the first one is in order by chance.
foreach my $orderby (qw(honour ignore refuse))
{
	$emulator->reset;
	$emulator->set_alerts(map { alert(id => sprintf('w%02d', $_), createdDateTime => time_of(90_000 - $_),
				lastUpdateDateTime => time_of($_ < 10 ? 90_100 - $_ : 90_000 + ($_ * 37) % 500)) } 0 .. 29);
	$emulator->settings(orderby => $orderby);
	$node->set_server(page_size => 10);
	my @by_update = sort { $b->[0] <=> $a->[0] } map { [ $_ < 10 ? 90_100 - $_ : 90_000 + ($_ * 37) % 500, sprintf 'w%02d', $_ ] } 0 .. 29;
	# ten in order are all that a page of ten can show
	foreach my $limit ($orderby eq 'ignore' ? 25 : (5, 9, 25))
	{
		is(answer("SELECT string_agg(id, ' ') FROM (SELECT id FROM defender.alerts ORDER BY last_update_date_time DESC LIMIT $limit) AS a"),
			join(' ', map { $_->[1] } @by_update[ 0 .. $limit - 1 ]), "\$orderby: $orderby: the $limit that were changed last, of three pages");
	}
	$node->set_server(page_size => undef);
}

# Those without a time come first, and once.
foreach my $orderby (qw(honour ignore refuse))
{
	$emulator->reset;
	$emulator->set_alerts(map { made($_, $_ % 40 == 1 ? (lastUpdateDateTime => undef) : ()) } 1 .. 100);
	$emulator->settings(orderby => $orderby);
	my @timed = sort { $b->[0] cmp $a->[0] } map { [ made($_)->{lastUpdateDateTime}, made($_)->{id} ] } grep { $_ % 40 != 1 } 1 .. 100;
	is(answer(q{SELECT string_agg(id, ' ') FROM (SELECT id FROM (SELECT id, last_update_date_time AS t FROM defender.alerts ORDER BY last_update_date_time DESC LIMIT 8) AS a ORDER BY t DESC, id) AS b}),
		join(' ', 'c0001', 'c0041', 'c0081', map { $_->[1] } @timed[ 0 .. 4 ]), "\$orderby: $orderby: those without a time first");
}

# What makes a list look out of order, and does not.
set_up(95);
$node->set_server(page_size => 10);
$emulator->fault(kind => 'repeat_first', times => -1);
is(answer('SELECT min(last_update_date_time) IS NOT NULL, count(*) FROM defender.alerts'), 't|95', 'each page ends with its first alert again');
is(answer('SELECT min(last_update_date_time) IS NOT NULL FROM defender.alerts'), 't', 'each page ends with its first alert again: min()');
is(answer('SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM defender.alerts ORDER BY created_date_time DESC OFFSET 0) AS a'), '95|95',
	'each page ends with its first alert again, in order');

# Ten to twelve digits of a second, which no timestamptz tells apart.
$emulator->reset;
$emulator->set_alerts(map { made($_, createdDateTime => time_of(50_000 - $_, '.' . substr('123456789012345', $_ % 3, 10 + $_ % 3))) } 1 .. 95);
foreach my $concurrency (1, 4)
{
	$node->set_server(concurrency => $concurrency);
	is(answer('SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a'), '95|95',
		"fractions of ten to twelve digits, concurrency $concurrency");
	is(answer('SELECT string_agg(id, chr(32)) FROM (SELECT id FROM defender.alerts ORDER BY created_date_time DESC LIMIT 40) AS a'),
		join(' ', map { sprintf 'c%04d', $_ } 1 .. 40), "fractions of ten to twelve digits, in order, concurrency $concurrency");
}
$node->set_server(concurrency => undef, page_size => undef);

# A first page that is small, and does not have what is looked for.
foreach my $settings ({}, { misplaced => 'c1900 3' })
{
	foreach my $pushdown ('false', 'true')
	{
		set_up(2000, %$settings);
		$node->set_server(order_pushdown => $pushdown);
		is(answer(q{SELECT title FROM defender.alerts WHERE title = 'nonexistent' LIMIT 5}), '', "a small first page in vain, order_pushdown $pushdown, " . join ' ', %$settings);
		is(answer(q{SELECT title FROM defender.alerts WHERE title LIKE 'Title 19_9' LIMIT 5}), join("\n", map { "Title 19${_}9" } 0 .. 4),
			"a small first page, order_pushdown $pushdown, " . join ' ', %$settings);
	}
}
$node->set_server(order_pushdown => undef);

# Nulls last: they are asked for by themselves, wherever the service has them.
foreach my $settings ({}, { top_max => 7 }, { max_pages => 1 }, { count => 'ignore' }, { count => 'refuse' })
{
	$emulator->reset;
	$emulator->set_alerts(map { made($_, $_ % 13 == 1 ? (lastUpdateDateTime => undef) : ()) } 1 .. 78);
	$emulator->settings(%$settings) if %$settings;
	foreach my $order ('ASC', 'DESC NULLS LAST', 'DESC', 'ASC NULLS FIRST')
	{
		foreach my $limit (5, 75, 90)
		{
			is(answer("SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE t IS NULL) FROM (SELECT id, last_update_date_time AS t FROM defender.alerts ORDER BY last_update_date_time $order LIMIT $limit) AS a"),
				join('|', ($limit > 78 ? 78 : $limit) x 2, $limit >= 78 ? 6 : $order =~ /LAST|^ASC$/ ? $limit == 75 ? 3 : 0 : $limit == 5 ? 5 : 6),
				"six without a time, $order LIMIT $limit, " . join ' ', %$settings);
		}
	}
}
$emulator->reset;
$emulator->set_alerts(map { made($_, $_ > 3 ? (lastUpdateDateTime => undef) : ()) } 1 .. 6);
$emulator->fault(kind => 'empty_page', nth => 1, times => 1);
is(answer('SELECT count(*) FROM (SELECT id FROM defender.alerts ORDER BY last_update_date_time LIMIT 5) AS a'), 5, 'three of six without a time, and an empty page');
$emulator->reset;
$emulator->set_alerts(map { made($_, $_ > 3 ? (lastUpdateDateTime => undef) : ()) } 1 .. 6);
$emulator->settings(filter => 'ignore');
is(answer('SELECT count(*) FROM (SELECT id FROM defender.alerts WHERE last_update_date_time IS NOT NULL ORDER BY last_update_date_time DESC LIMIT 5) AS a'), 3,
	'the filter that leaves them out is ignored: no disorder');

# A list in another order than newest first, from a service that does not sort.
foreach my $orderby (qw(honour ignore refuse))
{
	foreach my $count (qw(honour ignore))
	{
		foreach my $top (10, 1)
		{
			$emulator->reset;
			$emulator->set_alerts(map { made($_) } 1 .. 40);
			$emulator->settings(listed => 'oldest', orderby => $orderby, count => $count, top_max => $top);
			is(answer('SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a'), '40|40',
				"oldest first, \$orderby: $orderby, \$count: $count, pages of $top");
			is(answer('SELECT string_agg(id, chr(32)) FROM (SELECT id FROM defender.alerts ORDER BY created_date_time DESC LIMIT 3) AS a'), 'c0001 c0002 c0003',
				"oldest first, \$orderby: $orderby, \$count: $count, pages of $top: the newest");
		}
	}
}

# Equal times show no order.
$emulator->reset;
$emulator->set_alerts(map { made($_, createdDateTime => time_of(90_000 - ($_ < 25 ? 0 : $_))) } 1 .. 100);
foreach my $orderby (qw(honour ignore refuse))
{
	$emulator->settings(orderby => $orderby);
	is(answer('SELECT string_agg(id, chr(32)) FROM (SELECT id FROM defender.alerts ORDER BY created_date_time LIMIT 3) AS a'), 'c0100 c0099 c0098',
		"\$orderby: $orderby: the oldest, and the newest have one time");
	$node->set_server(page_size => 20);
	is(answer('SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM defender.alerts ORDER BY created_date_time OFFSET 0) AS a'), '100|100',
		"\$orderby: $orderby: all, and the newest have one time");
	$node->set_server(page_size => undef);
}

# The first statement of a session, where counts are refused.
set_up(150, count => 'refuse');
$node->set_server(page_size => 60);
is(answer('SELECT count(*) FROM defender.alerts; SELECT count(*) FROM defender.alerts'), "150\n150", 'counts are refused: counted here, several pages');
$node->set_server(page_size => undef);

#------------------------------------------------------------------------------
# Ids, tokens
#------------------------------------------------------------------------------

set_up(5);
my $ids = q{SELECT string_agg(id, ' ' ORDER BY id) FROM defender.alerts WHERE id = ANY (ARRAY['N/A', 'c0001', 'strange', 'c0002', '-', 'n\a', 'c0001 '])};
$emulator->fault(kind => 'status', code => 400, path => '/strange', times => -1);
is(answer($ids), 'c0001 c0002', 'ids that are none among others');
is(scalar(my @asked = grep { m{/N|%2F|%5C} } $emulator->requests), 0, 'ids that are none among others: with a slash they are not asked for');
foreach my $after (0, 1, 60, 100)
{
	$emulator->fault(kind => 'cut', after => $after, path => '/none');
	is(answer(q{SELECT count(*) FROM defender.alerts WHERE id = 'none'}), 0, "an unknown id, of which the answer is cut after $after bytes");
}
is(answer(q{SELECT count(*) FROM defender.alerts WHERE id = 'strange'}), 0, 'an id alone that the service refuses');
is(answer(q{SELECT count(a.id) FROM (VALUES ('strange'), ('c0003')) AS v (id) LEFT JOIN defender.alerts AS a ON a.id = v.id}), 1, 'an id that the service refuses in a join');
$emulator->fault(kind => 'status', code => 400, times => -1);
is($node->error(q{SELECT title FROM defender.alerts WHERE id = 'c0001'})->{state}, 'HV00L', 'a service that refuses everything is not one without alerts');

# What one scan has learned is not taken for more than it is.
set_up(60);
$node->set_server(page_size => 20);
my $session = $node->session;
$emulator->fault(kind => 'status', code => 400, path => '/strange', times => -1);
is($session->query(q{SELECT count(a.id) FROM (VALUES (ARRAY(SELECT 'c' || lpad(n::text, 4, '0') FROM generate_series(1, 400) AS n)), (ARRAY['strange', 'c0007'])) AS v (ids),
	LATERAL (SELECT id FROM defender.alerts AS a WHERE a.id = ANY (v.ids) OFFSET 0) AS a}), 61, 'many ids, and then one that is none');
$emulator->clear;
$session->query('SELECT title FROM defender.alerts LIMIT 1');
like(($emulator->requests)[0], qr/\$select/, 'a lookup that was refused says nothing of $select');
$emulator->no_fault;
$emulator->settings(filter => 'refuse');
is($session->query('SELECT count(title) FROM defender.alerts'), 60, 'a service that refuses the bounds of a window');
$emulator->clear;
$session->query('SELECT id FROM defender.alerts ORDER BY created_date_time LIMIT 3');
is(join(' ', map { /orderby/ ? 'ordered' : 'not' } $emulator->requests), 'ordered', 'refused bounds say nothing of $orderby');
$emulator->settings(filter => 'honour');
$session->query(q{ALTER SERVER graph OPTIONS (SET page_size '21')});
$emulator->clear;
is($session->query('SELECT count(title) FROM defender.alerts'), 60, 'after ALTER SERVER');
is(scalar(grep { /skiptoken/ } $emulator->requests), 0, 'after ALTER SERVER what was refused is tried again');
$session->quit;
$node->set_server(page_size => undef);

# A token that is refused twice for one page, after the first had been accepted.
set_up(95);
$node->sql(q{ALTER USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (DROP access_token, ADD tenant_id '} . $GraphEmulator::TENANT
	  . q{', ADD client_id '} . $GraphEmulator::APP{main}{client_id} . q{', ADD client_secret '} . $GraphEmulator::APP{main}{client_secret} . q{')});
$node->set_server(page_size => 10, max_retries => 3);
$emulator->fault(kind => 'expired_token', nth => 4, times => 2);
is(answer('SELECT count(title) FROM defender.alerts'), 95, 'a token is refused, and so is the next');
$emulator->no_fault;
$emulator->fault(kind => 'expired_token', nth => 4, times => -1);
like(answer('SELECT count(title) FROM defender.alerts'), qr/ERROR.*28000/s, 'all tokens are refused from some page on');

$node->stop;
done_testing();
