
# Do the statements that people and their tools write make few requests?
#
# Each shape stands here with the fewest requests that can answer it (it may make
# one more) and with what must be in the text of each.  Its answer is compared
# with that of local copies of the tables.  The tenant has 2500 alerts, a0001
# being the newest: three pages.  What exactly is sent, t/031_requests.pl and the
# tests of each mechanism say.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert_of_three_pages evidence);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator);

$emulator->add_alerts(
	map {
		alert_of_three_pages($_,
			changed  => $_ - $_ % 3,
			evidence => [
				evidence('deviceEvidence', deviceDnsName => "ws-" . $_ % 50),
				($_ % 3 ? evidence('userEvidence', userAccount => { accountName => 'u' . $_ % 9 }) : ())
			],
			comments => [ map { { comment => "c$_", createdByDisplayName => 'x', createdDateTime => '2026-07-30T00:00:00Z' } } 1 .. $_ % 2 ])
	} 1 .. 2500);

my @TENANTS = 1 .. 3;
$node->sql(<<'SQL');
CREATE TABLE five (id text, severity text, at timestamptz, host text);
INSERT INTO five SELECT 'a000' || n, 'low', '2026-07-30 23:00Z', 'ws-' || n FROM generate_series(1, 5) AS n;
CREATE TABLE severities (name text);
INSERT INTO severities VALUES ('high'), ('medium'), ('low'), ('informational');
CREATE TABLE cases (id text, n integer);
INSERT INTO cases SELECT 'a' || lpad((n * 7)::text, 4, '0'), n FROM generate_series(1, 300) AS n;
ANALYZE five, severities, cases;
CREATE FUNCTION present() RETURNS timestamptz LANGUAGE sql STABLE AS $$SELECT timestamptz '2026-07-30 22:30Z'$$;
CREATE SCHEMA copy;
CREATE TABLE copy.alerts AS TABLE defender.alerts;
CREATE TABLE copy.alert_evidence AS TABLE defender.alert_evidence;
CREATE TABLE copy.device_evidence AS TABLE defender.device_evidence;
CREATE TABLE copy.user_evidence AS TABLE defender.user_evidence;
CREATE TABLE copy.alert_comments AS TABLE defender.alert_comments;
CREATE TABLE copy.every (tenant text, id text, title text, severity text, created_date_time timestamptz);
CREATE TABLE defender.every (LIKE copy.every) PARTITION BY LIST (tenant);
CREATE FOREIGN TABLE defender.declared (id text, created timestamp OPTIONS (property 'createdDateTime'), day date OPTIONS (property 'createdDateTime')) SERVER graph;
CREATE TABLE copy.declared AS TABLE defender.declared;
SQL
foreach my $tenant (@TENANTS)
{
	my $url = $emulator->url . "/at/tenant$tenant";
	$node->sql(<<"SQL");
CREATE SERVER tenant$tenant FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url');
CREATE USER MAPPING FOR CURRENT_USER SERVER tenant$tenant OPTIONS (access_token 'emulator-access-token');
CREATE FOREIGN TABLE defender.alerts$tenant (tenant text OPTIONS (property 'tenantId'), id text, title text, severity text, created_date_time timestamptz) SERVER tenant$tenant;
ALTER TABLE defender.every ATTACH PARTITION defender.alerts$tenant FOR VALUES IN ('tenant$tenant');
INSERT INTO copy.every SELECT 'tenant$tenant', id, title, severity, created_date_time FROM copy.alerts;
CREATE VIEW copy.alerts$tenant AS TABLE copy.alerts;
SQL
}
$node->sql('ANALYZE; ANALYZE defender.alerts, defender.device_evidence, defender.user_evidence, defender.alert_comments');
$emulator->clear;

my $UNION = '(' . join(' UNION ALL ', map { "SELECT id, severity, created_date_time FROM alerts$_" } @TENANTS) . ') AS u';
my $TIMES = qr/createdDateTime g[et]/;
my $ENUM = qr/severity (?:eq|ne)/;
my $ONE = qr/\$top=(?:1|20|21|100)\b/;
my $KEY = qr{alerts_v2/a\d+};

# name, fewest requests, what is in each of them, statement
my @SHAPES = (
	# conditions on an enum
	[ 'ILIKE', 1, $ENUM, q{SELECT id FROM alerts WHERE severity ILIKE 'high'} ],
	[ 'lower() IN', 1, $ENUM, q{SELECT id FROM alerts WHERE lower(severity) IN ('high', 'low')} ],
	[ 'LIKE', 1, $ENUM, q{SELECT id FROM alerts WHERE severity LIKE 'h%'} ],
	[ 'NOT LIKE', 2, $ENUM, q{SELECT id FROM alerts WHERE severity NOT LIKE 'm%'} ],
	[ 'an order of an enum', 2, $ENUM, q{SELECT id FROM alerts WHERE severity > 'low'} ],
	[ 'a regular expression', 1, $ENUM, q{SELECT id FROM alerts WHERE severity ~* '^(HIGH|LOW)$'} ],
	[ 'CASE', 1, $ENUM, q{SELECT id FROM alerts WHERE CASE severity WHEN 'high' THEN 3 WHEN 'low' THEN 2 ELSE 1 END > 2} ],
	[ 'CASE and OR', 1, $ENUM, q{SELECT id FROM alerts WHERE NOT (upper(severity) <> 'HIGH' OR title = 'x')} ],
	[ 'coalesce', 1, qr/classification (?:eq|ne)/, q{SELECT id FROM alerts WHERE coalesce(classification, 'none') = 'truePositive'} ],
	[ 'an OR of enums of two columns', 1, qr/severity.*status/, q{SELECT id FROM alerts WHERE severity ILIKE 'HIGH' OR status LIKE 'n%'} ],
	[ 'position in an array', 1, $ENUM, q{SELECT id FROM alerts WHERE array_position('{informational,low,medium,high}', severity) >= 4} ],
	# times
	[ '::date', 2, $TIMES, q{SELECT id FROM alerts WHERE created_date_time::date = '2026-07-30'} ],
	[ '::date BETWEEN', 2, $TIMES, q{SELECT id FROM alerts WHERE created_date_time::date BETWEEN date '2026-07-30' AND '2026-07-31'} ],
	[ '::date, the other way', 2, $TIMES, q{SELECT id FROM alerts WHERE date '2026-07-30' <= created_date_time::date} ],
	[ '::date IN', 2, $TIMES, q{SELECT id FROM alerts WHERE created_date_time::date IN ('2026-07-30', '2026-07-31')} ],
	[ 'date_trunc', 1, $TIMES, q{SELECT id FROM alerts WHERE date_trunc('hour', created_date_time) = '2026-07-30 22:00Z'} ],
	[ 'date_trunc in a zone', 2, $TIMES, q{SELECT id FROM alerts WHERE date_trunc('day', created_date_time, 'Europe/Berlin') >= '2026-07-30 22:00Z'} ],
	[ 'date_trunc and now()', 2, $TIMES, q{SELECT id FROM alerts WHERE date_trunc('day', created_date_time) = date_trunc('day', present())} ],
	[ 'date_bin', 1, $TIMES, q{SELECT id FROM alerts WHERE date_bin('15 minutes', created_date_time, '2026-01-01') >= '2026-07-30 23:00Z'} ],
	[ 'AT TIME ZONE', 1, $TIMES, q{SELECT id FROM alerts WHERE created_date_time AT TIME ZONE 'America/New_York' >= '2026-07-30 19:00'} ],
	[ 'AT TIME ZONE ::date', 2, $TIMES, q{SELECT id FROM alerts WHERE (created_date_time AT TIME ZONE 'Europe/Berlin')::date = '2026-07-31'} ],
	[ 'epoch', 1, $TIMES, q{SELECT id FROM alerts WHERE extract(epoch FROM created_date_time) BETWEEN 1785452400 AND 1785456000} ],
	[ 'a group of times', 1, $TIMES, q{SELECT floor(extract(epoch FROM created_date_time) / 300) * 300 AS "time", count(*) FROM alerts WHERE created_date_time BETWEEN '2026-07-30T22:00:00Z' AND '2026-07-30T23:00:00Z' GROUP BY 1} ],
	[ 'a filter on a group of times', 1, $TIMES, q{SELECT id FROM alerts WHERE floor(extract(epoch FROM created_date_time) / 300) * 300 >= 1785452400} ],
	[ 'plus an interval', 1, $TIMES, q{SELECT id FROM alerts WHERE created_date_time + interval '1 hour' > present()} ],
	[ 'minus an interval', 1, $TIMES, q{SELECT id FROM alerts WHERE present() - interval '1 hour' < created_date_time - interval '30 minutes'} ],
	[ 'a column that is a timestamp', 1, $TIMES, q{SELECT id FROM declared WHERE created >= '2026-07-30 22:00'} ],
	[ 'a column that is a date', 2, $TIMES, q{SELECT id FROM declared WHERE day = '2026-07-30'} ],
	[ 'a month of a tool', 3, $TIMES, q{SELECT id FROM alerts WHERE created_date_time >= date_trunc('month', CAST((CAST(present() AS timestamp) + (INTERVAL '-1 month')) AS timestamp)) AND created_date_time < date_trunc('month', present() + interval '1 month')} ],
	[ 'a row comparison', 1, qr/createdDateTime l[et]/, q{SELECT id FROM alerts WHERE (created_date_time, id) < ('2026-07-30 23:00Z', 'a0059') ORDER BY created_date_time DESC, id DESC LIMIT 10} ],
	# keys
	[ 'many keys and a time', 1, $TIMES, q{SELECT id FROM alerts WHERE id = ANY (ARRAY(SELECT 'a' || lpad(n::text, 4, '0') FROM generate_series(1, 2500) AS n)) AND created_date_time >= '2026-07-30 22:00Z'} ],
	[ 'a key that is NULL', 0, undef, q{SELECT id FROM alerts WHERE id IS NULL} ],
	[ 'an ordinal that is NULL', 0, undef, q{SELECT alert_id FROM alert_evidence WHERE ordinal IS NULL} ],
	# counts
	[ 'count(*)::int', 1, $ONE, q{SELECT count(*)::int FROM alerts} ],
	[ 'count(*) and text', 1, $ONE, q{SELECT 'x', count(*), count(*) + 1 FROM alerts WHERE severity = 'high'} ],
	[ 'count(*) > 0', 1, $ONE, q{SELECT count(*) > 0 FROM alerts WHERE severity = 'high'} ],
	[ 'HAVING', 1, $ONE, q{SELECT count(*) FROM alerts WHERE severity = 'high' HAVING count(*) > 10} ],
	[ 'count(id)', 1, $ONE, q{SELECT count(id) FROM alerts} ],
	[ 'count(DISTINCT id)', 1, $ONE, q{SELECT count(DISTINCT id), count(*) FROM alerts} ],
	[ 'EXISTS', 1, $ONE, q{SELECT 1 WHERE EXISTS (SELECT FROM alerts WHERE severity = 'high')} ],
	[ 'NOT EXISTS', 1, $ONE, q{SELECT 1 WHERE NOT EXISTS (SELECT * FROM alerts WHERE severity = 'high')} ],
	[ 'a count between times', 2, $TIMES, q{SELECT count(*) FROM alerts WHERE created_date_time >= '2026-07-29' AND created_date_time < '2026-07-31'} ],
	[ 'a count since', 2, $TIMES, q{SELECT count(*) FROM alerts WHERE created_date_time >= present() - interval '1 day' AND severity <> 'low'} ],
	[ 'a count for each value', 4, $ONE, q{SELECT s.name, (SELECT count(*) FROM alerts AS a WHERE a.severity = s.name) FROM severities AS s} ],
	[ 'a count of partitions', 3, $ONE, q{SELECT count(*) FROM every} ],
	[ 'a count of partitions, each', 3, $ONE, q{SET enable_partitionwise_aggregate = on; SELECT count(*) FROM every WHERE severity = 'high'} ],
	[ 'a count of UNION ALL', 3, $ONE, qq{SELECT count(*) FROM $UNION} ],
	[ 'GROUP BY an enum', 3, undef, q{SELECT severity, count(*) FROM alerts GROUP BY severity} ],
	# extremes
	[ 'max() of partitions', 3, $ONE, q{SELECT max(created_date_time) FROM every} ],
	[ 'min() of UNION ALL', 3, $ONE, qq{SELECT min(created_date_time) FROM $UNION} ],
	[ 'the newest of partitions', 3, $ONE, q{SELECT created_date_time FROM every ORDER BY created_date_time DESC LIMIT 5} ],
	[ 'the newest of UNION ALL', 3, $ONE, qq{SELECT created_date_time FROM $UNION ORDER BY created_date_time DESC LIMIT 5} ],
	[ 'LIMIT of one more than a page', 2, undef, q{SELECT created_date_time FROM alerts ORDER BY created_date_time DESC LIMIT 1001} ],
	[ 'row_number()', 1, $ONE, q{SELECT id, row_number() OVER (ORDER BY created_date_time DESC) FROM alerts LIMIT 5} ],
	# joins
	[ 'CREATE TABLE AS', 3, undef, q{BEGIN; CREATE TEMP TABLE t AS SELECT a.title, e.device_dns_name FROM alerts AS a JOIN device_evidence AS e ON e.alert_id = a.id; SELECT * FROM t; ROLLBACK} ],
	[ 'INSERT ... SELECT', 3, undef, q{BEGIN; CREATE TEMP TABLE t (a text, b text); INSERT INTO t SELECT a.title, e.device_dns_name FROM alerts AS a JOIN device_evidence AS e ON e.alert_id = a.id; SELECT * FROM t; ROLLBACK} ],
	[ 'alerts with evidence', 3, undef, q{SELECT id FROM alerts AS a WHERE EXISTS (SELECT FROM user_evidence AS u WHERE u.alert_id = a.id)} ],
	[ 'alerts with evidence, IN', 3, undef, q{SELECT id FROM alerts WHERE id IN (SELECT alert_id FROM device_evidence WHERE device_dns_name = 'ws-1')} ],
	[ 'alerts without evidence', 3, undef, q{SELECT id FROM alerts AS a WHERE NOT EXISTS (SELECT FROM user_evidence AS u WHERE u.alert_id = a.id)} ],
	[ 'evidence of alerts', 3, undef, q{SELECT alert_id, ordinal FROM device_evidence AS e WHERE alert_id IN (SELECT id FROM alerts WHERE title = 'Title 1')} ],
	[ 'the newest of a join', 1, undef, q{SELECT a.id, e.ordinal FROM alerts AS a JOIN device_evidence AS e ON e.alert_id = a.id ORDER BY a.created_date_time DESC LIMIT 10} ],
	[ 'local ids, alerts and evidence', 5, $KEY, q{SELECT f.id, a.title, e.device_dns_name FROM five AS f JOIN alerts AS a ON a.id = f.id LEFT JOIN device_evidence AS e ON e.alert_id = a.id} ],
	[ 'local ids and evidence', 5, $KEY, q{SELECT f.id, e.device_dns_name FROM five AS f LEFT JOIN device_evidence AS e ON e.alert_id = f.id} ],
	[ 'ids of a sub-select', 3, undef, q{SELECT id, title FROM alerts WHERE id IN (SELECT id FROM cases)} ],
	[ 'local ids that are gone', 5, $KEY, q{SELECT id FROM five AS f WHERE NOT EXISTS (SELECT FROM alerts AS a WHERE a.id = f.id)} ],
	[ 'a correlated count of comments', 3, undef, q{SELECT a.id, (SELECT count(*) FROM alert_comments AS c WHERE c.alert_id = a.id) FROM alerts AS a WHERE a.severity = 'high' AND a.status = 'new'} ],
	[ 'a correlated count of five', 5, $KEY, q{SELECT f.id, (SELECT count(*) FROM alert_comments AS c WHERE c.alert_id = f.id) FROM five AS f} ],
	# evidence_filter
	[ 'hosts IN', 1, qr/any\(/, q{SELECT alert_id FROM device_evidence WHERE device_dns_name IN ('ws-1', 'ws-2')}, 'evidence_filter' ],
	[ 'hosts of a local table', 5, qr/any\(/, q{SELECT f.id, d.alert_id FROM five AS f JOIN device_evidence AS d ON d.device_dns_name = f.host}, 'evidence_filter' ],
);

sub sorted
{
	return join "\n", sort split /\n/, $_[0];
}

# What this server cannot do alike: none is left out.
foreach my $shape (@SHAPES)
{
	my ($name, $fewest, $in_each, $statement, $option) = @$shape;
	my ($found, $expected, @requests);

	$node->set_server($option => 'true') if $option;
	$emulator->clear;
	$found = eval { $node->sql("SET search_path = defender, public; $statement") } // $@;
	@requests = map { s/%([0-9A-F]{2})/chr hex $1/gier } $emulator->requests;
	$expected = $node->sql("SET search_path = copy, public; $statement");
	$node->set_server($option => undef) if $option;

	is(sorted($found), sorted($expected), "$name: rows");
	cmp_ok(scalar @requests, '<=', $fewest + ($fewest > 0 ? 1 : 0), "$name: requests")
	  or diag(join "\n", $statement, map { substr $_, 0, 200 } @requests[ 0 .. ($#requests < 9 ? $#requests : 9) ]);
	is(scalar(grep { defined $in_each && $_ !~ $in_each } @requests), 0, "$name: what is asked")
	  or diag(join "\n", $statement, map { substr $_, 0, 200 } @requests[ 0 .. ($#requests < 9 ? $#requests : 9) ]);
}
cmp_ok(scalar @SHAPES, '>=', 60, 'shapes');

done_testing();
