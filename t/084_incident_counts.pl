
# Are incidents counted in one request, and rightly if some of them have a
# member of an enum in another case?
#
# To the service "Active" is what "active" is, and to SQL it is not.  So the
# largest page comes with the count; one such member on it, or one that was seen
# before, and the list is read.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(minute);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, conf => "fsync = off\njit = off");
my $COUNT = q{SELECT count(*) FROM defender.incidents WHERE status = 'active' AND severity = 'high'};
my $BOTH = q{SELECT count(*) FROM (SELECT * FROM defender.incidents UNION ALL SELECT * FROM defender.incidents) AS t WHERE status = 'active' AND severity = 'high'};
my $WHERE = q{$filter=status eq 'active' and severity eq 'high'&};
my $COUNTED = "?$WHERE\$count=true&\$top=50";

# i0001 is the newest.
sub incident
{
	my ($number, %members) = @_;
	return { id => sprintf('i%04d', $number), displayName => "Incident $number", status => 'active', severity => 'high',
		classification => undef, createdDateTime => minute($number), lastUpdateDateTime => minute($number), comments => [], %members };
}

# The requests since the last time, readable.
sub asked
{
	my @requests = map {
		s/%([0-9A-F]{2})/chr hex $1/gier =~ s{^GET /v1\.0/security/incidents}{}r =~ s/([?&])\$select=[^&]*(&|$)/$2 ? $1 : ''/er
	} $emulator->requests;

	$emulator->clear;
	return @requests;
}

# So many, by these requests, of which a pattern stands for any that are like it.
sub is_counted
{
	my ($name, $sql, $number, @expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$emulator->clear;
	my @lines = split /\n/, ref $sql ? $sql->[0]->query($sql->[1]) : $node->result($sql);
	is($lines[-1], $number, $name);
	my @asked = asked();
	foreach my $i (0 .. $#expected)
	{
		$expected[$i] = $asked[$i] if ref $expected[$i] && ($asked[$i] // '') =~ $expected[$i];
	}
	is_deeply(\@asked, \@expected, "$name: requests");
	return;
}

sub set_incidents
{
	my (@incidents) = @_;
	$emulator->reset;
	$emulator->add_incidents(@incidents);
	return;
}

# Half of them are active and of high severity.
my @many = map { incident($_, $_ % 2 ? () : (status => 'resolved', severity => 'low')) } 1 .. 300;
my $page = qr/^\?\Q$WHERE\E.*\$top=50$/;
my $next = qr/^\?\$filter=status eq 'active' and severity eq 'high' and createdDateTime/;

#------------------------------------------------------------------------------
# One request
#------------------------------------------------------------------------------

set_incidents(@many);
is_counted('more than a page', $COUNT, 150, $COUNTED);
is_counted('the ids', $COUNT =~ s/\*/id/r, 150, $COUNTED);
is_counted('one of several', q{SELECT count(*) FROM defender.incidents WHERE status IN ('active', 'inProgress')}, 150,
	q{?$filter=(status eq 'active' or status eq 'inProgress')&$count=true&$top=50});
is_counted('either', q{SELECT count(*) FROM defender.incidents WHERE status = 'active' OR severity = 'low'}, 300,
	q{?$filter=(status eq 'active' or severity eq 'low')&$count=true&$top=50});
is_counted('with NULL', q{SELECT count(*) FROM defender.incidents WHERE classification IS NULL AND status = 'resolved'}, 150,
	q{?$filter=classification eq null and status eq 'resolved'&$count=true&$top=50});
is_counted('or NULL', q{SELECT count(*) FROM defender.incidents WHERE classification IS NOT DISTINCT FROM 'truePositive'}, 0,
	q{?$filter=classification eq 'truePositive'&$count=true&$top=50});
is_counted('none', q{SELECT count(*) FROM defender.incidents WHERE status = 'redirected'}, 0, q{?$filter=status eq 'redirected'&$count=true&$top=50});
is_counted('two tables', "SELECT sum(n) FROM ($COUNT UNION ALL $COUNT) AS t(n)", 300, $COUNTED, $COUNTED);
is_counted('below an Append', $BOTH, 300, $COUNTED, $COUNTED);
is_counted('a parameter', q{PREPARE p(text) AS SELECT count(*) FROM defender.incidents WHERE status = $1; SET plan_cache_mode = force_generic_plan; EXECUTE p('active')},
	150, q{?$filter=status eq 'active'&$count=true&$top=50});
is_counted('a parameter in another case', q{PREPARE p(text) AS SELECT count(*) FROM defender.incidents WHERE status = $1 AND severity = 'high'; SET plan_cache_mode = force_generic_plan; EXECUTE p('Active')},
	0, q{?$filter=severity eq 'high'&$count=true&$top=50}, (qr/^\?\$filter=severity eq 'high' and createdDateTime/) x 3);
is_counted('a local table', q{SELECT sum((SELECT count(*) FROM defender.incidents AS i WHERE i.status = s)) FROM (VALUES ('active'), ('resolved')) AS v(s)},
	300, q{?$filter=status eq 'active'&$count=true&$top=50}, q{?$filter=status eq 'resolved'&$count=true&$top=50});

# a page that is small proves less, and one of few proves nothing
$node->set_server(page_size => 20);
is_counted('a page of 20', $COUNT, 150, "?$WHERE\$count=true&\$top=20");
$node->set_server(page_size => 19);
$emulator->clear;
is($node->sql($COUNT), 150, 'a page of 19');
cmp_ok(scalar(my @pages = asked()), '>', 7, 'a page of 19: the list is read');
$node->set_server(page_size => undef);

# what is no equality is read
foreach my $clause ("status <> 'resolved' AND severity = 'high'", "status LIKE 'a%' AND severity = 'high'", "lower(status) = 'active' AND severity = 'high'")
{
	$emulator->clear;
	is($node->sql("SELECT count(*) FROM defender.incidents WHERE $clause"), 150, $clause);
	cmp_ok(scalar(my @list = asked()), '>=', 3, "$clause: pages");
}

# LIMIT is no more than a page
is_counted('LIMIT', q{SELECT count(*) FROM (SELECT id FROM defender.incidents WHERE status = 'active' LIMIT 3) AS t}, 3, q{?$filter=status eq 'active'&$count=true&$top=50});

#------------------------------------------------------------------------------
# A member in another case
#------------------------------------------------------------------------------

# all that match are on the page
set_incidents(map { incident($_, $_ == 7 ? (status => 'Active') : $_ == 9 ? (severity => 'HIGH') : $_ > 40 ? (status => 'resolved') : ()) } 1 .. 300);
is_counted('all on one page', $COUNT, 38, $COUNTED);
is_counted('as it is written', q{SELECT count(*) FROM defender.incidents WHERE status = 'Active' AND severity = 'high'}, 1,
	(qr/^\?\$filter=severity eq 'high'/) x 7);

# one on the page
set_incidents(map { $_->{id} eq 'i0007' ? { %$_, status => 'Active' } : $_ } @many);
is_counted('one on the page', $COUNT, 149, $COUNTED, $page, $next, $next, $next);

# one that is on no page of a count, but was seen
set_incidents(map { $_->{id} eq 'i0277' ? { %$_, status => 'Active' } : $_ } @many);
{
	my $session = $node->session;

	$session->query(q{PREPARE p AS } . $COUNT . q{; SET plan_cache_mode = force_generic_plan});
	$session->query(q{SELECT id, display_name FROM defender.incidents WHERE id = 'i0277'});
	is_counted('looked up', [ $session, 'EXECUTE p' ], 149, qr/^\?.*select|^\?\Q$WHERE\E\$count=true&\$top=50/, $next, $next, $next);
	is_counted('severity was not seen', [ $session, q{SELECT count(*) FROM defender.incidents WHERE severity = 'high'} ], 150,
		q{?$filter=severity eq 'high'&$count=true&$top=50});
	is_counted('below an Append', [ $session, $BOTH ], 298, (qr/^\?/) x 8);
	$node->sql(q{ALTER SERVER graph OPTIONS (ADD max_retries '4')});
	$session->query('SELECT 1');
	is_counted('forgotten as the server changes', [ $session, q{SELECT count(*) FROM defender.incidents WHERE status = 'resolved'} ], 150,
		q{?$filter=status eq 'resolved'&$count=true&$top=50});
	is_counted('all was read', [ $session, q{SELECT count(DISTINCT raw) FROM defender.incidents} ], 300, (qr/^\?/) x 7);
	is_counted('so it is known', [ $session, $COUNT ], 149, (qr/^\?/) x 4);
	$session->quit;
}
{
	my $session = $node->session;

	$session->query('BEGIN; DECLARE c CURSOR FOR SELECT id, status FROM defender.incidents');
	$session->query('FETCH 1 FROM c');
	$session->query('FETCH ALL FROM c');
	is_counted('by a cursor', [ $session, $COUNT ], 149, (qr/^\?/) x 4);
	$session->quit;
}
{
	my $session = $node->session;

	$session->query(q{SELECT count(incident_status) FROM defender.incident_comments});
	is_counted('by another table', [ $session, $COUNT ], 149, (qr/^\?/) x 4);
	$session->quit;
}

# ... or is in what ANALYZE has found
set_incidents(map { $_->{id} =~ /^i0(177|181)$/ ? { %$_, status => 'Active' } : $_ } @many);
$node->sql('ANALYZE defender.incidents');
is_counted('analyzed', $COUNT, 148, (qr/^\?/) x 4);
like($node->sql("EXPLAIN (VERBOSE) $COUNT"), qr/Aggregate/, 'analyzed: it is counted here');
unlike($node->sql(q{EXPLAIN (VERBOSE) SELECT count(*) FROM defender.incidents WHERE severity = 'high'}), qr/Aggregate/, 'analyzed: another column');

# between times, and by group
set_incidents(map { $_->{id} eq 'i0003' ? { %$_, severity => 'High' } : $_ } @many);
$node->sql('ANALYZE defender.incidents');
my $between = q{created_date_time >= '2026-07-30 20:00Z' AND created_date_time < '2026-07-30 23:58Z'};
is($node->sql("SELECT count(*) FROM defender.incidents WHERE $between AND status = 'active'"),
	$node->sql("SELECT count(*) FROM defender.incidents WHERE $between AND status || '' = 'active'"), 'between times');
is($node->sql(q{SELECT string_agg(s || n, ' ' ORDER BY s COLLATE "C") FROM (SELECT severity, count(*) FROM defender.incidents GROUP BY 1) AS t(s, n)}),
	'High1 high149 low150', 'by group');
is($node->sql(q{SELECT count(*) FILTER (WHERE severity = 'high') FROM defender.incidents}), 149, 'FILTER');
is($node->sql(q{SELECT sum((severity = 'high')::int) FROM defender.incidents}), 149, 'a sum');
is($node->sql(q{SELECT count(*) FROM defender.incidents WHERE severity = 'high' HAVING count(*) = 149}), 149, 'HAVING');
$node->sql('DROP FOREIGN TABLE defender.incidents; IMPORT FOREIGN SCHEMA security LIMIT TO (incidents) FROM SERVER graph INTO defender');

#------------------------------------------------------------------------------
# What the service does about it
#------------------------------------------------------------------------------

set_incidents(@many);
$emulator->settings(filter => 'ignore');
is($node->sql($COUNT), 150, 'the filter is ignored');
$emulator->settings(filter => 'honour', count => 'ignore');
is($node->sql($COUNT), 150, 'the count is');
$emulator->settings(count => 'refuse');
is($node->sql($COUNT), 150, 'it is refused');
$emulator->settings(count => 'honour');
$emulator->fault(kind => 'cut', after => 3000, times => 1);
is($node->sql($COUNT), 150, 'the answer is cut');

# one that is cut after it has held all, and comes again, is not counted twice
set_incidents(map { incident($_, $_ > 40 ? (status => 'resolved') : $_ % 2 ? (status => 'Active') : ()) } 1 .. 60);
foreach my $after (map { 500 * $_ } 1 .. 16)
{
	$emulator->fault(kind => 'cut', after => $after, times => 1);
	is($node->sql($COUNT), 20, "cut after $after bytes");
	$emulator->no_fault;
}
$emulator->fault(kind => 'count', text => 20, times => 1);
is($node->sql($COUNT), 20, 'a count that is too small');
$emulator->fault(kind => 'count', text => 41, times => 1);
is($node->sql($COUNT), 20, 'a count that is too large');

# a table of one's own, whose column is no text
$node->sql(q{CREATE DOMAIN word AS text; CREATE FOREIGN TABLE own (number text OPTIONS (property 'id') NOT NULL, state word OPTIONS (property 'status'), "severity" varchar) SERVER graph OPTIONS (resource 'incidents')});
is_counted('varchar', q{SELECT count(number) FROM own WHERE severity = 'high'}, 60, q{?$filter=severity eq 'high'&$count=true&$top=50});
is_counted('a domain', q{SELECT count(number) FROM own WHERE state = 'active'}, 20, (qr/^\?/) x 2);
$node->sql('ANALYZE own');
is($node->sql(q{SELECT count(*) FROM own WHERE state = 'active' AND severity = 'high'}), 20, 'analyzed');

done_testing();
