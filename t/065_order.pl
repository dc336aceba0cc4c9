
# How much is asked for where a part of the rows is wanted?
#
# With LIMIT, max() and row_number() over one table, over partitions and over
# UNION ALL, each below an Append is asked for no more than the whole query
# wants; what is more than a page comes side by side, and its last page is as
# small as can be.  There are two tenants: of 12,000 alerts, and of 2500.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(alert);
use JSON::PP;
use Test::More;

my @emulators = map { GraphEmulator->new('--alerts', 0, '--no-sample') } 1, 2;
my $node = GraphCluster->connected_to($emulators[0], conf => "jit = off\n");

sub minute
{
	my ($number) = @_;
	return sprintf '2026-07-%02dT%02d:%02d:00Z', 30 - int($number / 1440),
	  int((1439 - $number % 1440) / 60), (1439 - $number % 1440) % 60;
}

sub alerts
{
	my ($letter, $count) = @_;
	return map {
		alert(
			id                 => sprintf('%s%05d', $letter, $_),
			title              => "Title $_",
			severity           => $_ % 2 ? 'high' : 'low',
			createdDateTime    => minute($_),
			lastUpdateDateTime => minute($_),
			comments           => [ { comment => 'x', createdByDisplayName => 'y', createdDateTime => minute($_) } ])
	} 1 .. $count;
}

$emulators[0]->add_alerts(alerts('a', 12000));
$emulators[1]->add_alerts(alerts('b', 2500));
my $options = options(endpoint => $emulators[1]->url, authority => $emulators[1]->url);
$node->sql(<<"SQL");
CREATE SERVER other FOREIGN DATA WRAPPER graph_fdw $options;
CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (access_token 'emulator-access-token');
CREATE TABLE tenants (tenant_id text, id text, title text, severity text,
	created_date_time timestamptz, last_update_date_time timestamptz) PARTITION BY LIST (tenant_id);
CREATE FOREIGN TABLE tenant_a PARTITION OF tenants FOR VALUES IN ('a') SERVER graph;
CREATE FOREIGN TABLE tenant_b PARTITION OF tenants FOR VALUES IN ('b') SERVER other;
CREATE FOREIGN TABLE alerts_b (id text, title text, severity text, created_date_time timestamptz,
	last_update_date_time timestamptz) SERVER other;
CREATE VIEW both_tenants AS
	SELECT id, title, created_date_time FROM defender.alerts UNION ALL SELECT id, title, created_date_time FROM alerts_b;
ALTER DATABASE postgres SET search_path = defender, public;
SQL

# A copy, to compare with.
$node->sql('CREATE TABLE copied AS SELECT id, title, severity, created_date_time, last_update_date_time FROM defender.alerts; ANALYZE copied');
$_->clear foreach @emulators;

# What was asked of a tenant, as in 031_requests.pl.
sub asked
{
	my ($emulator) = @_;
	my @requests = map {
		s/%([0-9A-F]{2})/chr hex $1/gier =~ s{^GET /v1\.0/security/alerts_v2}{}r
		  =~ s/([?&])\$select=[^&]*(&|$)/$2 ? $1 : ''/er
		  =~ s/\$count=true&(?=\$top=)//r
	} $emulator->requests;

	$emulator->clear;
	return @requests;
}

sub is_asked
{
	my ($name, $query, $first, $second) = @_;
	my $rows = $node->result($query);
	my @requests = map { join "\n", sort(asked($_)) } @emulators;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($requests[0], join("\n", @$first), "$name: requests");
	is($requests[1], join("\n", @$second), "$name: requests of the other tenant");
	return $rows;
}

#------------------------------------------------------------------------------
# Partitions and UNION ALL
#------------------------------------------------------------------------------

my $NEWEST = '?$orderby=createdDateTime desc&$top=20';
my $LATEST = '?$filter=createdDateTime ne null&$orderby=createdDateTime desc&$top=20';

is(is_asked('LIMIT over partitions', 'SELECT id FROM tenants LIMIT 5', ['?$top=5'], []) =~ tr/\n//, 4, 'LIMIT over partitions');
is(is_asked('LIMIT over UNION ALL', 'SELECT id FROM both_tenants LIMIT 5', ['?$top=5'], []) =~ tr/\n//, 4, 'LIMIT over UNION ALL');
is(is_asked('the newest of partitions', 'SELECT id FROM tenants ORDER BY created_date_time DESC, id LIMIT 3',
	['?$orderby=createdDateTime desc&$top=21'], ['?$orderby=createdDateTime desc&$top=21']), "a00001\nb00001\na00002", 'the newest of partitions');
is(is_asked('the newest of UNION ALL', 'SELECT id FROM both_tenants ORDER BY created_date_time DESC LIMIT 30 OFFSET 5',
	['?$orderby=createdDateTime desc&$top=35'], ['?$orderby=createdDateTime desc&$top=35']) =~ tr/\n//, 29, 'the newest of UNION ALL');
is(is_asked('the latest change of partitions', 'SELECT id FROM tenants ORDER BY last_update_date_time DESC NULLS LAST LIMIT 1',
	['?$orderby=lastUpdateDateTime desc&$top=20'], ['?$orderby=lastUpdateDateTime desc&$top=20']), 'a00001', 'the latest change of partitions');
is(is_asked('max() over partitions', 'SELECT max(created_date_time) FROM tenants', [$LATEST], [$LATEST]),
	$node->sql('SELECT max(created_date_time) FROM copied'), 'max() over partitions');
is(is_asked('max() over UNION ALL', 'SELECT max(created_date_time) FROM both_tenants', [$LATEST], [$LATEST]),
	$node->sql('SELECT max(created_date_time) FROM copied'), 'max() over UNION ALL');
is(is_asked('min() over partitions', 'SELECT min(created_date_time) FROM tenants',
	[$LATEST =~ s/desc/asc/r], [$LATEST =~ s/desc/asc/r]), $node->sql('SELECT min(created_date_time) FROM copied'), 'min() over partitions');
is(is_asked('a join with partitions', q{SELECT count(*) FROM (SELECT t.id FROM tenants AS t JOIN copied AS c ON c.id = t.id WHERE t.title <> '' AND t.created_date_time > '2026-07-30 12:00Z' LIMIT 5) AS s},
	['?$filter=createdDateTime ge 2026-07-30T12:00:00Z&$top=1000'], []), 5, 'LIMIT of a join is no limit of its tables');

#------------------------------------------------------------------------------
# LIMIT of more than a page
#------------------------------------------------------------------------------

# The $top of each request, in the order of their number.
sub tops
{
	return join ' ', sort { $b <=> $a } map { /\$top=(\d+)/ } asked($emulators[0]);
}

# What is of the last time of a page comes again, so that full pages hold a few
# less.
my @LIMITED = (
	[ 1001, '1000 22' ], [ 1500, '1000 521' ], [ 2000, qr/^1000 1000 2\d$/ ], [ 2100, qr/^1000 1000 1\d\d$/ ],
	[ 5000, qr/^1000 1000 1000 1000 1000 2\d$/ ], [ 6980, qr/^1000( 1000){6}$/ ]);
foreach my $case (@LIMITED)
{
	my ($limit, $tops) = @$case;
	my $compare = ref $tops ? \&like : \&is;

	is($node->sql("SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM alerts LIMIT $limit) AS s"), "$limit|$limit", "LIMIT $limit: rows");
	$compare->(tops(), $tops, "LIMIT $limit: pages");
	is($node->sql("SELECT count(*), min(created_date_time) = (SELECT min(created_date_time) FROM (SELECT created_date_time FROM copied ORDER BY 1 DESC LIMIT $limit) AS c) FROM (SELECT created_date_time FROM alerts ORDER BY created_date_time DESC LIMIT $limit) AS s"),
		"$limit|t", "LIMIT $limit in order: rows");
	$compare->(tops(), $tops, "LIMIT $limit in order: pages");
}

# Side by side: with a second for each answer, seven pages take two seconds.
$emulators[0]->fault(kind => 'latency', ms => 300, times => 100);
my $took = $node->sql(q{EXPLAIN (ANALYZE, FORMAT JSON) SELECT id FROM alerts LIMIT 6980}) =~ /"Graph Time Waited": ([\d.]+)/ ? $1 : -1;
cmp_ok($took, '<', 5.9 * 300, 'LIMIT of seven pages: read side by side');
$emulators[0]->no_fault;
is(tops(), join(' ', (1000) x 7), 'LIMIT of seven pages: requests');

# More rows than there are, and rows that are dropped here.
is($node->sql('SELECT count(*) FROM (SELECT id FROM alerts LIMIT 20000) AS s'), 12000, 'LIMIT of more than there are');
is($node->sql(q{SELECT count(*) FROM (SELECT id FROM alerts WHERE title LIKE '%7' LIMIT 1100) AS s}), 1100, 'LIMIT and a local clause');
is($node->sql(q{SELECT count(DISTINCT id) FROM (SELECT id FROM alerts WHERE created_date_time < '2026-07-30Z' LIMIT 3001) AS s}), 3001, 'LIMIT and a superset');
is($node->sql(q{SELECT count(*), count(DISTINCT alert_id) FROM (SELECT alert_id FROM alert_comments LIMIT 2500) AS s}), '2500|2500', 'LIMIT over comments');
$emulators[0]->clear;

# A cursor goes on after what LIMIT asked for at first.
is($node->sql(<<'SQL'), "1001\n1001", 'a cursor that is fetched twice');
CREATE FUNCTION fetched_twice() RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
	c SCROLL CURSOR FOR SELECT id FROM defender.alerts LIMIT 1001;
	n bigint;
BEGIN
	OPEN c;
	MOVE FORWARD ALL FROM c; GET DIAGNOSTICS n = ROW_COUNT; RETURN NEXT n;
	MOVE BACKWARD ALL FROM c; MOVE FORWARD ALL FROM c; GET DIAGNOSTICS n = ROW_COUNT; RETURN NEXT n;
END $$;
SELECT fetched_twice();
SQL
$emulators[0]->clear;

# More alerts of one time than a page holds.
$emulators[1]->set_alerts(
	map { alert(id => sprintf('c%05d', $_), createdDateTime => $_ <= 900 || $_ > 2100 ? minute($_) : minute(900)) } 1 .. 4000);
foreach my $limit (1050, 1950, 2005, 2110, 3333)
{
	is($node->sql("SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM alerts_b LIMIT $limit) AS s"), "$limit|$limit", "LIMIT $limit of alerts of one time");
	is($node->sql("SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM alerts_b ORDER BY created_date_time DESC LIMIT $limit) AS s"), "$limit|$limit", "LIMIT $limit of alerts of one time, in order");
}
$emulators[1]->clear;

#------------------------------------------------------------------------------
# Window functions
#------------------------------------------------------------------------------

my $ROWS = 'SELECT row_number() OVER (ORDER BY created_date_time DESC) AS rn, id FROM alerts';
my $TOP5 = join "\n", map { "$_|a0000$_" } 1 .. 5;
my @FEW = (['?$orderby=createdDateTime desc&$top=20'], []);

is(is_asked('row_number() and LIMIT', "$ROWS LIMIT 5", @FEW), $TOP5, 'row_number() and LIMIT');
is(is_asked('row_number() and ORDER BY', "$ROWS ORDER BY created_date_time DESC LIMIT 5", @FEW), $TOP5, 'row_number() and ORDER BY');
is(is_asked('a bound of row_number()', "SELECT * FROM ($ROWS) AS s WHERE rn <= 5", @FEW), $TOP5, 'a bound of row_number()');
is(is_asked('a bound on the left', "SELECT * FROM ($ROWS) AS s WHERE 6 > rn", @FEW), $TOP5, 'a bound on the left');
is(is_asked('a bound of row_number() above a page', "SELECT count(*) FROM ($ROWS) AS s WHERE rn <= 30",
	['?$orderby=createdDateTime desc&$top=32'], []), 30, 'a bound of row_number() above the smallest page');
is(is_asked('rank()', 'SELECT rank() OVER (ORDER BY created_date_time DESC), id FROM alerts LIMIT 5', @FEW), $TOP5, 'rank()');

# Those that need all rows do not begin with a small page.
foreach my $query (
	'SELECT ntile(4) OVER (ORDER BY created_date_time DESC), id FROM alerts LIMIT 5',
	'SELECT count(*) OVER (), id FROM alerts LIMIT 5',
	'SELECT count(*) OVER (ORDER BY created_date_time ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING), id FROM alerts LIMIT 5',
	'SELECT row_number() OVER (PARTITION BY severity ORDER BY created_date_time DESC), id FROM alerts LIMIT 5',
	"$ROWS ORDER BY title LIMIT 5",
	'SELECT max(title) FROM alerts LIMIT 1')
{
	my $local = $query =~ s/\balerts\b/copied/r;

	is($node->sql("SELECT count(s::text) FROM ($query) AS s"), $node->sql("SELECT count(s::text) FROM ($local) AS s"), "rows: $query");
	unlike(join("\n", asked($emulators[0])), qr/\$top=(?!1000|100\d)/, "no small page: $query");
}

#------------------------------------------------------------------------------
# What EXPLAIN counts
#------------------------------------------------------------------------------

# What of an answer was received, although it was not read to its end.
$emulators[0]->settings(bandwidth => 200_000, gzip => JSON::PP::false);
my $plan = $node->sql('EXPLAIN (ANALYZE) SELECT raw FROM alerts LIMIT 1 OFFSET 3');
cmp_ok($plan =~ /Graph Bytes: (\d+)/ ? $1 : 0, '>', 1000, 'bytes of a page that LIMIT ends');
done_testing();
