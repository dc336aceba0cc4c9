
# Is the number of alerts asked for, wherever a query wants no more than that?
#
# Each statement runs over the foreign tables and over local copies of them: the
# rows are the same, and so many requests are made, each of which asks for a
# count or for a few alerts.  Below them stand those that must not be left to the
# service, and services that count in their own way.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { page_size => 100 });
my @severity = qw(high medium low informational medium);
my @status = qw(new inProgress resolved);

sub at { my ($seconds, $fraction) = @_; return sprintf '2026-07-%02dT%02d:%02d:%02d.%07dZ', 1 + $seconds / 86400, $seconds / 3600 % 24, $seconds / 60 % 60, $seconds % 60, $fraction }

# a minute apart, from 2026-07-01 on; some are less than a microsecond from a minute
sub some_alert
{
	my ($n) = @_;
	my $odd = $n % 50;
	return alert(
		id => sprintf('a%04d', $n), title => 'Title ' . $n % 7, severity => $severity[ $n % 5 ], status => $status[ $n % 3 ],
		serviceSource => $n % 90 ? 'microsoftDefenderForEndpoint' : 'microsoftSentinel',
		($n % 4 ? () : (classification => 'truePositive')), assignedTo => $n % 10 ? undef : 'Adele@contoso.test',
		createdDateTime => $odd == 1 ? at(60 * $n - 1, 9_999_996) : $odd == 2 ? at(60 * $n, 4) : $odd == 3 ? at(60 * $n - 1, 9_999_994) : at(60 * $n, 0),
		lastUpdateDateTime => $n % 6 ? at(60 * $n + 30, 0) : undef);
}
$emulator->set_alerts(map { some_alert($_) } 0 .. 599);

my $columns = 'id, title, severity, status, service_source, classification, assigned_to, created_date_time, last_update_date_time';
$node->sql(<<"SQL");
ALTER DATABASE postgres SET timezone = 'UTC';
CREATE SCHEMA copies;
SET timezone = 'UTC';
CREATE TABLE copies.alerts AS SELECT $columns FROM defender.alerts;
ALTER TABLE copies.alerts ALTER id SET NOT NULL;
CREATE TABLE levels (name text, rank int);
INSERT INTO levels VALUES ('low', 1), ('medium', 2), ('high', 3), (NULL, 4), ('High', 5), ('unheard of', 6);
ANALYZE levels, copies.alerts;
SQL

# What a statement gives over the foreign tables, or over their copies.
sub answer { my ($schema, @statements) = @_; return $node->sql(join ";\n", "SET search_path = $schema, public", @statements) }

# Is the answer right, and does it take so many requests?  Each asks for 20
# alerts at most, unless the number is negative, and then for any.
sub check
{
	my ($name, $requests, @statements) = @_;
	my @parts = map { split /;\s*/ } @statements;
	my $expected = answer('copies', @parts);

	$emulator->clear;
	my $got = answer('defender', @parts);
	my @asked = $emulator->requests;
	my $size = $requests < 0 || $requests > 5 ? qr/./ : qr/top=(1|20)$/;

	is($got, $expected, "$name: the rows");
	is(scalar(@asked) . ' requests: ' . join(', ', grep { !/$size/ } @asked), abs($requests) . ' requests: ', "$name: the requests")
	  or note(join "\n", @asked);
}

#------------------------------------------------------------------------------
# Expressions
#------------------------------------------------------------------------------

my $high = "FROM alerts WHERE severity = 'high'";
check('a cast', 1, "SELECT count(*)::int $high");
check('with a constant', 1, "SELECT 'x', count(*) $high");
check('a comparison', 1, "SELECT count(*) > 0, count(*) > 120 $high");
check('HAVING', 1, "SELECT count(*) $high HAVING count(*) > 100");
check('HAVING that is false', 1, "SELECT count(*) $high HAVING count(*) > 1000");
check('HAVING alone', 1, "SELECT 'many' $high HAVING count(*) > 100");
check('HAVING of a constant that is false', 0, "SELECT count(*) $high HAVING 1 = 2");
check('no column', 1, "SELECT $high HAVING count(*) > 100");
check('several times', 1, "SELECT count(*), count(*) + count(*), count(1), -count(*), count('x') $high");
check('CASE', 1, "SELECT CASE WHEN count(*) > 5 THEN 'many' ELSE 'few' END, coalesce(count(*), 0), greatest(count(*), 7) $high");
check('in text', 1, "SELECT 'there are ' || count(*) || ' alerts' $high");
check('count(id)', 1, "SELECT count(id) $high");
check('count(DISTINCT id)', 1, "SELECT count(DISTINCT id), count(id), count(*) $high");
check('of all', 1, 'SELECT count(*) * 2 FROM alerts');
check('a parameter', 1, "PREPARE p (int) AS SELECT count(*) > \$1, \$1 $high HAVING count(*) > \$1 - 1000; SET plan_cache_mode = force_generic_plan; EXECUTE p (5)");
check('with a sub-select', 1, "SELECT count(*) + (SELECT max(rank) FROM levels) $high");
check('with a correlated sub-select', 1, "SELECT (SELECT max(name) FROM levels WHERE rank > count(alerts.id) - 118) $high");
check('in a sub-select', 1, "SELECT n, n + 1 FROM (SELECT count(*) AS n $high) AS c WHERE n > 1");
check('in a WITH', 1, "WITH c AS MATERIALIZED (SELECT count(*)::int AS n $high) SELECT a.n, b.n FROM c AS a, c AS b");
check('a set', 1, "SELECT generate_series(1, count(*) / 40) $high");
check('a window', 1, "SELECT sum(count(*)) OVER () $high");
check('ORDER BY, DISTINCT, LIMIT', 1, "SELECT DISTINCT count(*) AS n $high ORDER BY n LIMIT 5");
check('into a table', 1, "CREATE TEMP TABLE t AS SELECT count(*)::int AS n $high; SELECT n FROM t");
check('in PL/pgSQL', 1, "DO \$\$ DECLARE n int; BEGIN SELECT count(*)::int INTO n $high; PERFORM set_config('my.n', n::text, false); END \$\$; SELECT current_setting('my.n')");
check('a cursor', 1, "BEGIN; DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT count(*)::int $high; FETCH 2 FROM c; FETCH BACKWARD 2 FROM c; COMMIT; FETCH FORWARD ALL FROM c");
check('a view with a barrier', -1, "CREATE TEMP VIEW v WITH (security_barrier) AS SELECT id, severity, status $high; SELECT count(*)::text FROM v WHERE status = 'new'");
check('twice in one statement', 2, "SELECT (SELECT count(*)::int $high), (SELECT count(*) > 3 FROM alerts WHERE status = 'new')");

# not the number of rows
check('count() of what may be null', -2, "SELECT count(classification) $high");
check('count(DISTINCT) of something else', -2, "SELECT count(DISTINCT status) $high");
check('count(NULL)', -2, "SELECT count(NULL) $high");
check('beside another aggregate', -2, "SELECT count(*), max(title) $high");
check('ids that are cut', -2, "CREATE FOREIGN TABLE pg_temp.cut (id varchar(4), severity text) SERVER graph OPTIONS (resource 'alerts'); SELECT count(DISTINCT left(id, 4)) $high");

#------------------------------------------------------------------------------
# EXISTS
#------------------------------------------------------------------------------

check('EXISTS', 1, "SELECT EXISTS (SELECT $high)");
check('EXISTS of none', 1, "SELECT EXISTS (SELECT 1 FROM alerts WHERE severity = 'unknown')");
check('NOT EXISTS', 1, "SELECT rank FROM levels WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE severity = 'unknown') ORDER BY rank");
check('EXISTS in WHERE', 1, "SELECT rank FROM levels WHERE EXISTS (SELECT * $high AND status = 'new') ORDER BY rank");
check('EXISTS by a time', -1, "SELECT EXISTS (SELECT FROM alerts WHERE created_date_time >= '2026-07-01 05:00' AND severity = 'high')");

#------------------------------------------------------------------------------
# Values that are known when the scan starts
#------------------------------------------------------------------------------

my $each = '(SELECT count(*) FROM alerts AS a WHERE a.severity = s.name)';
check('a count for each value', 3, "SELECT name, $each FROM levels AS s WHERE rank < 4 ORDER BY rank");
check('a count for NULL', 0, "SELECT name, $each FROM levels AS s WHERE rank = 4");
check('a count for what is no member', -7, "SELECT name, $each FROM levels AS s WHERE rank = 5");
check('a count for all of these', -17, "SELECT name, $each FROM levels AS s ORDER BY rank");
check('a count in a condition', 3, "SELECT name FROM levels AS s WHERE rank < 4 AND $each > 120 ORDER BY rank");
check('LATERAL', 3, "SELECT name, n FROM levels AS s, LATERAL (SELECT count(*)::int AS n FROM alerts AS a WHERE a.severity = s.name AND a.status = 'new') AS c WHERE rank < 4 ORDER BY rank");
check('an array of the row', 1, "SELECT (SELECT count(*) FROM alerts AS a WHERE a.severity = ANY (ARRAY['low', s.name])) FROM levels AS s WHERE rank = 3");
check('a value of a sub-select', 1, "SELECT count(*) FROM alerts WHERE severity = (SELECT name FROM levels WHERE rank = 2)");
check('not a value', 1, "SELECT count(*) FROM alerts WHERE severity <> (SELECT name FROM levels WHERE rank = 2)");
check('DISTINCT FROM a value', 2, "SELECT (SELECT count(*) FROM alerts AS a WHERE a.classification IS NOT DISTINCT FROM CASE rank WHEN 1 THEN 'truePositive' END) FROM levels WHERE rank < 3 ORDER BY rank");
check('a person', -1, "SELECT count(*) FROM alerts WHERE assigned_to = (SELECT 'adele\@contoso.test' FROM levels WHERE rank = 2)");
for my $mode (qw(force_generic_plan force_custom_plan auto))
{
	check("a parameter, $mode", 3, "SET plan_cache_mode = $mode; PREPARE p (text, text[]) AS SELECT count(*)::int FROM alerts WHERE severity = \$1 AND status = ANY (\$2) HAVING count(*) >= 0",
		"EXECUTE p ('high', '{new,resolved}'); EXECUTE p ('low', '{new}'); EXECUTE p (NULL, '{new}'); EXECUTE p ('low', NULL); EXECUTE p ('low', '{}'); EXECUTE p ('medium', '{new,NULL}')");
	check("a parameter that is no member, $mode", $mode eq 'force_generic_plan' ? -9 : -4, "SET plan_cache_mode = $mode; PREPARE p (text, text[]) AS SELECT count(*)::int FROM alerts WHERE severity = \$1 AND status = ANY (\$2)",
		"EXECUTE p ('HIGH', '{new,resolved}'); EXECUTE p ('low', '{new,NEW}'); EXECUTE p ('', '{new}'); EXECUTE p ('low', '{resolved}')");
}
$node->sql('SET search_path = defender, public; CREATE FUNCTION public.how_many(text) RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT count(*) FROM alerts WHERE severity = $1 $$');
check('a function', 3, 'SELECT name, how_many(name) FROM levels WHERE rank < 4 ORDER BY rank');
check('an update', 3, "BEGIN; UPDATE levels AS s SET rank = $each WHERE rank < 4; SELECT * FROM levels ORDER BY rank; ROLLBACK");

#------------------------------------------------------------------------------
# Several tables, of two tenants
#------------------------------------------------------------------------------

my $other = GraphEmulator->new('--alerts', 0, '--no-sample');
$other->set_alerts(map { some_alert($_) } 300 .. 720);
my $url = $other->url;
my $every = '(tenant_id text, id text, severity text, status text, title text) PARTITION BY LIST (tenant_id)';
$node->sql(<<"SQL");
SET timezone = 'UTC';
CREATE SERVER other FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url', authority '$url', page_size '100');
CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (access_token 'emulator-access-token');
CREATE FOREIGN TABLE defender.others (id text, severity text, status text, title text, created_date_time timestamptz) SERVER other OPTIONS (resource 'alerts');
CREATE TABLE copies.others AS SELECT * FROM defender.others;
CREATE TABLE defender.every $every;
CREATE FOREIGN TABLE defender.every_a PARTITION OF defender.every FOR VALUES IN ('a') SERVER graph OPTIONS (resource 'alerts');
CREATE TABLE defender.every_b PARTITION OF defender.every FOR VALUES IN ('b', 'c') PARTITION BY LIST (tenant_id);
CREATE FOREIGN TABLE defender.every_b1 PARTITION OF defender.every_b FOR VALUES IN ('b') SERVER other OPTIONS (resource 'alerts');
CREATE TABLE defender.every_b2 PARTITION OF defender.every_b FOR VALUES IN ('c');
INSERT INTO defender.every_b2 SELECT 'c', 'c' || n, CASE n % 3 WHEN 0 THEN 'high' WHEN 1 THEN 'low' END FROM generate_series(1, 30) AS n;
CREATE TABLE copies.every $every;
CREATE TABLE copies.every_a PARTITION OF copies.every FOR VALUES IN ('a');
CREATE TABLE copies.every_b PARTITION OF copies.every FOR VALUES IN ('b');
CREATE TABLE copies.every_c PARTITION OF copies.every FOR VALUES IN ('c');
INSERT INTO copies.every SELECT 'a', id, severity, status, title FROM copies.alerts UNION ALL SELECT 'b', id, severity, status, title FROM copies.others
	UNION ALL SELECT tenant_id, id, severity, status, title FROM defender.every_b2;
CREATE TABLE defender.base (id text, severity text);
INSERT INTO defender.base VALUES ('x', 'high');
CREATE FOREIGN TABLE defender.derived () INHERITS (defender.base) SERVER graph OPTIONS (resource 'alerts');
CREATE TABLE copies.base AS SELECT id, severity FROM copies.alerts UNION ALL VALUES ('x', 'high');
ANALYZE copies.alerts, copies.others, copies.every, copies.base;
SQL
for my $schema (qw(defender copies))
{
	$node->sql("CREATE VIEW $schema.two AS SELECT 'a' AS tenant, id, severity, title FROM $schema.alerts UNION ALL SELECT 'b', id, severity, title FROM $schema.others");
}

# The same with the requests of both tenants.
sub check_both
{
	my ($name, $requests, @statements) = @_;

	foreach my $setting ('SET enable_partitionwise_aggregate = off', 'SET enable_partitionwise_aggregate = on', $name eq 'UNION ALL' ? 'SET enable_async_append = off' : ())
	{
		$other->clear;
		check("$name, $setting", $requests->[0], $setting, @statements);
		is(scalar(grep { $requests->[1] < 0 || $requests->[1] > 3 || /top=(1|20)$/ } $other->requests), abs($requests->[1]), "$name, $setting: the other's requests") or note(join "\n", $other->requests);
	}
}

check_both('partitions', [ 1, 1 ], 'SELECT count(*) FROM every');
check_both('partitions by severity', [ 1, 1 ], "SELECT count(*)::int, count(1) > 5, 'x' FROM every WHERE severity = 'high' HAVING count(*) > 1");
check_both('ids of partitions', [ 1, 1 ], "SELECT count(id) FROM every WHERE severity = 'high'");
check_both('UNION ALL', [ 1, 1 ], "SELECT count(*) FROM two");
check_both('UNION ALL by severity', [ 1, 1 ], "SELECT count(*), count(id) FROM two WHERE severity IN ('high', 'low')");
check_both('UNION ALL by an unknown value', [ 1, 1 ], "SELECT (SELECT count(*) FROM two WHERE severity = s.name) FROM levels AS s WHERE rank = 3");
check_both('UNION ALL of one', [ 1, 0 ], "SELECT count(*) FROM two WHERE tenant = 'a'");
check_both('UNION ALL with NULL', [ 0, 0 ], "SELECT (SELECT count(*) FROM two WHERE severity = s.name) FROM levels AS s WHERE rank = 4");
check_both('UNION ALL by a parameter', [ 1, 1 ], "SET plan_cache_mode = force_generic_plan; PREPARE p (text) AS SELECT count(*) FROM two WHERE severity = \$1; EXECUTE p ('low')");
check_both('UNION ALL by group', [ 7, 5 ], "SELECT severity, count(*) FROM two GROUP BY severity ORDER BY 1");
check_both('inheritance', [ 1, 0 ], "SELECT count(*), count(*) - 1 FROM base WHERE severity = 'high'");
check_both('UNION ALL of an expression', [ 1, -5 ], "SELECT count(id) FROM (SELECT id FROM alerts UNION ALL SELECT nullif(title, 'Title 1') FROM others) AS u");
check_both('UNION ALL in a loop', [ 3, 3 ], "SELECT s.rank, n FROM levels AS s CROSS JOIN LATERAL (SELECT count(*) AS n FROM two WHERE severity = s.name) AS b WHERE rank < 4 ORDER BY 1");
check_both('an update by UNION ALL', [ 1, 1 ], "BEGIN; UPDATE levels SET rank = (SELECT count(*) FROM two WHERE severity = levels.name) WHERE rank = 1; SELECT * FROM levels ORDER BY rank; ROLLBACK");

#------------------------------------------------------------------------------
# Between times: the count, and what is near a bound
#------------------------------------------------------------------------------

check('not analyzed', -7, "SELECT count(*) FROM alerts WHERE created_date_time >= '2026-07-01 01:00'");
$node->sql('ANALYZE defender.alerts');
$emulator->clear;
is($node->sql("SELECT count(*) FROM defender.alerts WHERE created_date_time >= '2026-07-01 01:00'"), 540, 'since a time');
is_deeply([ sort map { s/%([0-9A-F]{2})/chr hex $1/gier =~ s/.*\$filter=(.*?)&.*(\$count)/$1 $2/r } $emulator->requests ], [
		'createdDateTime ge 2026-07-01T00:59:59.999999Z $count=true&$top=20',
		'createdDateTime ge 2026-07-01T00:59:59.999999Z and (createdDateTime lt 2026-07-01T01:00:00.002000Z) $count=true&$top=20' ],
	'the requests') or note(join "\n", $emulator->requests);

like($node->sql("EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM defender.alerts WHERE created_date_time >= now() - interval '90 years'"),
	qr/Graph Request: GET \S+\?\$filter=createdDateTime ge \{\(now\(\).*\}&\$select=.*&\$top=20, GET \S+\?\$filter=createdDateTime ge \{.*\} and \(createdDateTime lt \{.*\}\)&/, 'EXPLAIN');

my @many = map { my $n = $_; map { [ $n, $_ ] } '>=', '>', '<', '<=' } 0, 101, 102, 103, 110;
check('bounds at what is rounded', -2 * @many,
	map { my ($n, $operator) = @$_; sprintf "SELECT count(*) FROM alerts WHERE created_date_time $operator timestamptz '2026-07-01 00:00Z' + $n * interval '1 minute' AND created_date_time < '2026-07-01 09:00'" } @many);
check('two bounds', 2, "SELECT count(*)::int, 'x' FROM alerts WHERE created_date_time >= '2026-07-01 01:00' AND created_date_time < '2026-07-01 08:00' HAVING count(*) > 0");
check('BETWEEN', 2, "SELECT count(*) FROM alerts WHERE created_date_time BETWEEN '2026-07-01 01:41' AND '2026-07-01 08:22'");
check('the other way round', 2, "SELECT count(id) FROM alerts WHERE '2026-07-01 01:41:00.000001' < created_date_time");
check('with other clauses', 2, "SELECT count(*) FROM alerts WHERE created_date_time >= '2026-07-01 01:41' AND status <> 'resolved' AND severity IN ('medium', 'high')");
check('a date', 2, "SELECT count(*) FROM alerts WHERE created_date_time > date '2026-07-01'");
check('another time', 2, "SELECT count(*) FROM alerts WHERE last_update_date_time <= '2026-07-01 08:00:30'");
check('of two times', 2, "SELECT count(*) FROM alerts WHERE last_update_date_time <= '2026-07-01 08:00:30' AND created_date_time >= '2026-07-01 01:42'");
check('an interval', 2, "SELECT count(*) FROM alerts WHERE created_date_time > now() - interval '100 years'");
check('a sub-select', 2, "SELECT count(*) FROM alerts WHERE created_date_time < (SELECT timestamptz '2026-07-01 08:22' FROM levels WHERE rank = 3)");
check('NULL', 0, "SELECT count(*) FROM alerts WHERE created_date_time < (SELECT timestamptz '2026-07-01 08:22' FROM levels WHERE rank = 7)");
for my $mode (qw(force_generic_plan force_custom_plan))
{
	check("a parameter of time, $mode", -10, "SET plan_cache_mode = $mode; PREPARE p (timestamptz, text) AS SELECT count(*) FROM alerts WHERE created_date_time > \$1 AND severity <> \$2",
		"EXECUTE p ('2026-07-01 01:42', 'low'); EXECUTE p ('2026-07-01 01:43', 'low'); EXECUTE p (NULL, 'low'); EXECUTE p ('infinity', 'low'); EXECUTE p ('-infinity', 'low'); EXECUTE p ('2026-07-01 01:43', NULL)");
}
$node->sql("ALTER SERVER graph OPTIONS (SET page_size '2')");
for my $bounds ([ '05:00', '05:00' ], [ '05:00', '05:00:00.000001' ], [ '05:01', '05:00' ], [ '05:00', '05:00:00.003' ], [ '05:01', '05:03' ])
{
	check("bounds @$bounds", -2, "SET plan_cache_mode = force_generic_plan; PREPARE p (timestamptz, timestamptz) AS SELECT count(*) FROM alerts WHERE created_date_time >= \$1 AND created_date_time < \$2",
		"EXECUTE p ('2026-07-01 $bounds->[0]', '2026-07-01 $bounds->[1]')");
}
$node->sql("ALTER SERVER graph OPTIONS (SET page_size '100')");

# what is not a bound
check('a time that is equal', -1, "SELECT count(*) FROM alerts WHERE created_date_time = '2026-07-01 05:00'");
check('an OR of times', -7, "SELECT count(*) FROM alerts WHERE created_date_time < '2026-07-01 05:00' OR created_date_time > '2026-07-01 05:10'");
check('a time and what is local', -5, "SELECT count(*) FROM alerts WHERE created_date_time < '2026-07-01 08:00' AND title <> 'Title 3'");
check('few alerts', -1, "SELECT count(*) FROM alerts WHERE created_date_time < '2026-07-01 00:50'");

# more at a bound than come with a count
my @thick = map { { %{ some_alert($_) }, createdDateTime => at(60 * 300, $_ * 7) } } 1000 .. 1030;
$emulator->add_alerts(@thick);
$node->sql("SET timezone = 'UTC'; TRUNCATE copies.alerts; INSERT INTO copies.alerts SELECT $columns FROM defender.alerts");
check('many alerts at a bound', -6, "SELECT count(*) FROM alerts WHERE created_date_time < '2026-07-01 05:00:00.000715' AND severity <> 'unknown'");
check('many alerts, not at a bound', 2, "SELECT count(*) FROM alerts WHERE created_date_time < '2026-07-01 05:00:00.1'");

# services that do not count or filter as they are asked
my $between = "SELECT count(*) FROM alerts WHERE created_date_time >= '2026-07-01 01:42' AND created_date_time <= '2026-07-01 08:20'";
for my $setting ([ count => 'ignore' ], [ filter => 'ignore' ], [ count => 'refuse' ])
{
	$emulator->settings(@$setting);
	is(answer('defender', $between), answer('copies', $between), "$setting->[0]: $setting->[1]");
	$emulator->settings($setting->[0] => 'honour');
	$node->sql("ALTER SERVER graph OPTIONS (SET page_size '100')");
}
check('all is well again', 2, $between);

#------------------------------------------------------------------------------
# By group: a count for each member, and one of all
#------------------------------------------------------------------------------

check('few pages by group', -7, 'SELECT severity, count(*) FROM alerts GROUP BY severity ORDER BY 1');
$node->sql("ALTER SERVER graph OPTIONS (SET page_size '20'); ANALYZE defender.alerts");
check('by severity', 6, 'SELECT severity, count(*) FROM alerts GROUP BY severity ORDER BY 1');
check('by severity, without it', 6, 'SELECT count(*)::int, count(id) FROM alerts GROUP BY severity ORDER BY 1');
check('HAVING and ORDER BY', 6, "SELECT upper(severity), 'x', count(*) * 2 FROM alerts GROUP BY severity HAVING count(*) > 120 ORDER BY count(*) DESC, 1 LIMIT 2");
check('with a clause', 6, "SELECT count(*), severity FROM alerts WHERE status <> 'new' GROUP BY 2 ORDER BY 2");
check('of some members', 6, "SELECT severity, count(*) FROM alerts WHERE severity IN ('high', 'low', 'medium') AND status <> 'new' GROUP BY severity ORDER BY 1");
check('in a join', 6, 'SELECT rank, n FROM levels JOIN (SELECT severity, count(*) AS n FROM alerts GROUP BY severity) AS c ON c.severity = levels.name ORDER BY 1');
check('a cursor by group', 6, "BEGIN; DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT severity, count(*) FROM alerts GROUP BY severity ORDER BY 1; FETCH 2 FROM c; FETCH BACKWARD 2 FROM c; COMMIT; FETCH FORWARD ALL FROM c");
$emulator->clear;
is(answer('defender', 'SELECT classification, count(*) FROM alerts GROUP BY classification ORDER BY 1'), answer('copies', 'SELECT classification, count(*) FROM alerts GROUP BY classification ORDER BY 1'), 'those without a value');
my @asked = $emulator->requests;
ok((!grep { !/top=20$/ } @asked) && (grep { /eq%20null/ } @asked), 'the requests') or note(join "\n", @asked);
for my $by ('severity, status', 'upper(severity)', 'service_source', 'GROUPING SETS (severity, ())', 'severity COLLATE "C"')
{
	my $columns = $by =~ /SETS/ ? 'severity' : $by;
	my $sql = "SELECT $columns, count(*) FROM alerts GROUP BY $by ORDER BY 1, 2";
	is(answer('defender', $sql), answer('copies', $sql), "by $by");
}
is(answer('defender', 'SELECT severity, count(*), max(title) FROM alerts GROUP BY severity ORDER BY 1'), answer('copies', 'SELECT severity, count(*), max(title) FROM alerts GROUP BY severity ORDER BY 1'), 'beside another aggregate');

# a member that is new, alerts without one
for my $odd ('brandNew', undef)
{
	$emulator->add_alerts(map { { %{ some_alert($_) }, severity => $odd } } 2000 .. 2002);
	$node->sql("SET timezone = 'UTC'; TRUNCATE copies.alerts; INSERT INTO copies.alerts SELECT $columns FROM defender.alerts");
	my $sql = "SELECT severity, count(*) FROM alerts GROUP BY severity ORDER BY 1";
	is(answer('defender', $sql), answer('copies', $sql), 'an odd member: ' . ($odd // 'NULL'));
	is(answer('defender', "$sql LIMIT 3"), answer('copies', "$sql LIMIT 3"), 'LIMIT');
}
for my $setting ([ count => 'ignore' ], [ filter => 'ignore' ])
{
	my $sql = "SELECT severity, count(*) FROM alerts WHERE status = 'new' GROUP BY severity ORDER BY 1";
	$emulator->settings(@$setting);
	is(answer('defender', $sql), answer('copies', $sql), "by group, $setting->[0]: $setting->[1]");
	$emulator->settings($setting->[0] => 'honour');
}

done_testing;
