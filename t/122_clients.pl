
# Do the queries that dashboards, BI tools and pipelines send cost what they
# should, and is their answer right?
#
# Each shape runs over the foreign tables, over views of them, over a copy that
# the extension has made, and over plain tables of the same rows.  The answers
# must be the same, the views must ask for the same as the tables, and the copy
# must ask for nothing.  docs/clients.md says what this is about.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphClients;
use GraphCluster;
use GraphEmulator;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphClients::service();
my $node = GraphClients::database($emulator);

# The list of all alerts: its first page, and from there on by time.
my @ALL = ('all', map { "?\$filter=createdDateTime lt $_.000001Z&\$orderby=createdDateTime desc" } '2026-07-30T07:19:00', '2026-07-29T14:40:00');

#------------------------------------------------------------------------------
# How a shape is tried
#------------------------------------------------------------------------------

# try_shape('name', 'query', requests...): "some" before the requests means that
# the query does not say which rows come, so that only their number is compared.
sub try_shape
{
	my ($name, $query, @expected) = @_;
	my $only_count = @expected && $expected[0] eq 'some' ? shift @expected : '';
	my %rows;
	my %asked;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $schema (qw(copy live seen kept))
	{
		$rows{$schema} = GraphClients::rows_of($node, $schema, $query);
		$rows{$schema} = 1 + $rows{$schema} =~ tr/\n// if $only_count && $rows{$schema} !~ /ERROR/;
		$asked{$schema} = join "\n", GraphClients::asked($emulator);
	}
	is($asked{live}, join("\n", @expected), "$name: requests");
	is($rows{live}, $rows{copy}, "$name: the answer");
	is("$asked{seen}\n$rows{seen}", "$asked{live}\n$rows{copy}", "$name: a view");
	is("$asked{kept}\n$rows{kept}", "\n$rows{copy}", "$name: a copy");
	unlike($rows{copy}, qr/ERROR/, "$name: a query");
	return;
}

my $FROM = '2026-07-30T12:00:00Z';
my $TO = '2026-07-31T00:00:00Z';
my $WITHIN = 'createdDateTime ge 2026-07-30T11:59:59.999999Z and createdDateTime lt 2026-07-31T00:00:00.000001Z';

#------------------------------------------------------------------------------
# Grafana: every query of the dashboard, as Grafana expands it
#------------------------------------------------------------------------------

# What Grafana makes of variables and macros; an interval is in seconds.
sub expanded
{
	my ($sql, %variables) = @_;
	my $seconds = sub {
		my ($number, $unit) = $_[0] =~ /^'?(\d+)([smhd])'?$/ or die "interval $_[0]";
		return $number * { s => 1, m => 60, h => 3600, d => 86400 }->{$unit};
	};
	my %macro = (
		timeFilter     => sub { "$_[0] BETWEEN '$FROM' AND '$TO'" },
		timeFrom       => sub { "'$FROM'" },
		timeTo         => sub { "'$TO'" },
		timeGroup      => sub { my $s = $seconds->($_[1]); "floor(extract(epoch from $_[0])/$s)*$s" },
		timeGroupAlias => sub { my $s = $seconds->($_[1]); qq{floor(extract(epoch from $_[0])/$s)*$s AS "time"} });

	$sql =~ s/\$__interval\b/$variables{__interval}/g;
	$sql =~ s/\$\{?(?!__)(\w+)\}?/$variables{$1} \/\/ die "variable $1"/ge;
	$sql =~ s/\$__(\w+)\(([^)]*)\)/($macro{$1} || die "macro $1")->(split m{\s*,\s*}, $2)/ge;
	return $sql;
}

my $dashboard = decode_json(slurp_file("$FindBin::RealBin/../clients/grafana/defender.json"));
my %panel = map { $_->{title} => $_ } @{ $dashboard->{panels} };
my $all_severities = join ',', map { "'$_'" } split /,/, (grep { $_->{name} eq 'severity' } @{ $dashboard->{templating}{list} })[0]{query};
my $SEVERITIES = '(' . join(' or ', map { "severity eq $_" } split /,/, $all_severities) . ')';

is(scalar keys %panel, scalar @{ $dashboard->{panels} }, 'each panel has a title of its own');
is(scalar(keys %{ { map { $_->{id} => 1 } values %panel } }), scalar keys %panel, 'and an id');
my %place;
foreach my $panel (values %panel)
{
	my ($x, $y, $w, $h) = @{ $panel->{gridPos} }{qw(x y w h)};
	my @cells = map { my $row = $_; map { "$row $_" } $x .. $x + $w - 1 } $y .. $y + $h - 1;

	is(scalar(grep { $place{$_}++ } @cells), 0, "$panel->{title}: lies over no other");
	cmp_ok($x + $w, '<=', 24, "$panel->{title}: within the grid");
	is_deeply([ map { $_->{datasource}{uid} } $panel, @{ $panel->{targets} } ], [ ('${datasource}') x 2 ], "$panel->{title}: of the chosen data source");
}

my %expected = (
	'Open alerts of this severity'            => [ "?\$filter=(status eq 'new' or status eq 'inProgress') and $SEVERITIES&\$count=true&\$top=20" ],
	'New in this time'                        => [ "?\$filter=$WITHIN and $SEVERITIES" ],
	'Active incidents'                        => [ q{incidents?$filter=status eq 'active'&$top=50} ],
	'Last change that is known'               =>
	  [ '?$filter=lastUpdateDateTime ne null and createdDateTime ge 2026-07-30T11:59:59.999999Z&$orderby=lastUpdateDateTime desc&$top=100' ],
	'Alerts by severity'                      => [ "?\$filter=$WITHIN and $SEVERITIES" ],
	'Alerts by product'                       => [ "?\$filter=$WITHIN and $SEVERITIES" ],
	'Latest alerts'                           => [ "?\$filter=$WITHIN and $SEVERITIES&\$orderby=createdDateTime desc&\$top=100" ],
	'Devices with most alerts'                => [ "?\$filter=$WITHIN and $SEVERITIES" ],
	'Hours until resolved, by day of creation' => [ "?\$filter=$WITHIN and status eq 'resolved' and $SEVERITIES" ],
	'Open incidents of this time'             => [ "incidents?\$filter=$WITHIN and status eq 'active' and $SEVERITIES&\$orderby=createdDateTime desc&\$top=50" ],
	'Incidents of high severity'              => [ "incidents?\$filter=$WITHIN and severity eq 'high'&\$orderby=createdDateTime asc&\$top=50" ]);
foreach my $query ((map { [ $_->{title}, $_->{targets}[0]{rawSql} ] } @{ $dashboard->{panels} }),
	(map { [ $_->{name}, $_->{target}{rawSql} ] } @{ $dashboard->{annotations}{list} }))
{
	my ($title, $sql) = @$query;

	# the schema is the one in the search path
	unlike($sql =~ s/\$\{schema\}\.//gr, qr/\$\{?schema/, "$title: each table is of the chosen schema");
	try_shape("Grafana, $title", expanded($sql =~ s/\$\{schema\}\.//gr, severity => $all_severities, __interval => '1h'), @{ delete $expected{$title} });
}
is_deeply([ keys %expected ], [], 'all of the dashboard was tried');


# Grafana's editor lists what is in the search path, of any kind; a person may
# see only what is granted.
is($node->sql(<<'SQL'), 'alerts incidents', 'Grafana lists foreign tables that are in the search path');
SET search_path = live;
SELECT string_agg(quote_ident(table_name), ' ' ORDER BY table_name) FROM information_schema.tables
WHERE table_schema IN (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
	FROM generate_series(1, 9) AS i, (SELECT string_to_array(current_setting('search_path'), ',') AS s) AS p)
	AND table_name IN ('alerts', 'incidents')
SQL

#------------------------------------------------------------------------------
# Metabase
#------------------------------------------------------------------------------

try_shape('Metabase, a summary by day', <<'SQL', map { "?\$filter=createdDateTime lt 2026-07-31T00:00:00Z and createdDateTime ge 2026-07-29T23:59:59.999999Z$_" } '', ' and createdDateTime lt 2026-07-30T07:19:00.000001Z&$orderby=createdDateTime desc');
SELECT DATE_TRUNC('day', "alerts"."created_date_time") AS "created_date_time", COUNT(*) AS "count" FROM "alerts"
WHERE ("alerts"."created_date_time" >= DATE_TRUNC('day', ('2026-07-31'::timestamptz + INTERVAL '-1 day')))
	AND ("alerts"."created_date_time" < DATE_TRUNC('day', '2026-07-31'::timestamptz))
GROUP BY DATE_TRUNC('day', "alerts"."created_date_time") ORDER BY DATE_TRUNC('day', "alerts"."created_date_time") ASC
SQL
try_shape('Metabase, a fingerprint of a table', <<'SQL', @ALL);
SELECT "alerts"."severity", SUBSTRING("alerts"."title", 1, 1234) AS "substring", "alerts"."created_date_time" FROM "alerts" LIMIT 10000
SQL
try_shape('Metabase, the values of a field', <<'SQL', @ALL);
SELECT "alerts"."severity" AS "severity" FROM "alerts" GROUP BY "alerts"."severity" ORDER BY "alerts"."severity" ASC LIMIT 1000
SQL
try_shape('Metabase, a table that is looked at', <<'SQL', 'some', @ALL[0, 1], "$ALL[2]&\$top=22");
SELECT "alerts"."id", "alerts"."title", "alerts"."severity" FROM "alerts" LIMIT 2000
SQL
try_shape('Metabase, a filter that contains', <<'SQL', join ' and ', map { $_ eq 'unknown' ? "?\$filter=severity ne 'unknown'" : "severity ne '$_'" } qw(unknown informational low medium));
SELECT COUNT(*) AS "count" FROM "alerts" WHERE (LOWER("alerts"."severity") LIKE '%hig%')
SQL
try_shape('Metabase, a detail', 'SELECT "alerts"."id", "alerts"."title" FROM "alerts" WHERE "alerts"."id" = \'a0007\' LIMIT 1048575', '/a0007');
try_shape('Metabase, a question over a question', <<'SQL', "?\$filter=createdDateTime ge 2026-07-29T23:59:59.999999Z and severity eq 'high'");
SELECT "source"."status" AS "status", COUNT(*) AS "count"
FROM (SELECT "alerts"."id" AS "id", "alerts"."status" AS "status", "alerts"."severity" AS "severity", "alerts"."created_date_time" AS "created_date_time" FROM "alerts" WHERE "alerts"."severity" = 'high') AS "source"
WHERE "source"."created_date_time" >= timestamp with time zone '2026-07-30 00:00:00.000Z'
GROUP BY "source"."status" ORDER BY "source"."status" ASC
SQL

#------------------------------------------------------------------------------
# Superset
#------------------------------------------------------------------------------

my $SUPERSET = "created_date_time >= TO_TIMESTAMP('2026-07-30 12:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') AND created_date_time < TO_TIMESTAMP('2026-07-31 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')";
my $HALF_OPEN = 'createdDateTime ge 2026-07-30T11:59:59.999999Z and createdDateTime lt 2026-07-31T00:00:00Z';

try_shape('Superset, a time series', <<"SQL", "?\$filter=(severity eq 'high' or severity eq 'medium') and $HALF_OPEN");
SELECT DATE_TRUNC('hour', created_date_time) AS created_date_time, severity AS severity, COUNT(*) AS count FROM alerts
WHERE $SUPERSET AND severity IN ('high', 'medium')
GROUP BY DATE_TRUNC('hour', created_date_time), severity ORDER BY count DESC LIMIT 10000
SQL
try_shape('Superset, a virtual dataset', <<"SQL", "?\$filter=$HALF_OPEN");
SELECT severity AS severity, COUNT(*) AS count FROM (SELECT id, severity, created_date_time FROM alerts) AS virtual_table
WHERE $SUPERSET GROUP BY severity ORDER BY count DESC LIMIT 1000
SQL
try_shape('Superset, a series limit', <<"SQL", "?\$filter=$HALF_OPEN", "?\$filter=serviceSource ne 'microsoftDefenderForOffice365' and $HALF_OPEN");
SELECT DATE_TRUNC('day', created_date_time) AS __timestamp, service_source AS service_source, COUNT(*) AS count FROM alerts
JOIN (SELECT service_source AS service_source__, COUNT(*) AS mme_inner__ FROM alerts WHERE $SUPERSET AND service_source <> 'microsoftDefenderForOffice365'
	GROUP BY service_source ORDER BY mme_inner__ DESC LIMIT 2) AS series_limit ON service_source = service_source__
WHERE $SUPERSET GROUP BY DATE_TRUNC('day', created_date_time), service_source LIMIT 10000
SQL
try_shape('Superset, samples', 'SELECT id, title FROM alerts LIMIT 1000 OFFSET 0', 'some', 'all');

#------------------------------------------------------------------------------
# Power BI, by DirectQuery and by import
#------------------------------------------------------------------------------

try_shape('Power BI, an aggregate', <<'SQL', '?$filter=createdDateTime ge 2026-07-30T11:59:59.999999Z and createdDateTime lt 2026-07-31T00:00:00Z');
select "rows"."severity" as "severity", count(1) as "a0"
from (select "_"."id", "_"."severity", "_"."title", "_"."created_date_time" from "alerts" "_"
	where "_"."created_date_time" >= timestamp '2026-07-30 12:00:00' and "_"."created_date_time" < timestamp '2026-07-31 00:00:00') "rows"
group by "severity" limit 1000001
SQL
try_shape('Power BI, a slicer', <<'SQL', q{?$filter=severity ne null and status ne null and severity eq 'high' and status eq 'new'});
select "_"."severity", "_"."title", "_"."status" from (select "_"."id", "_"."severity", "_"."title", "_"."status" from "alerts" "_"
	where ("_"."severity" = 'high' and "_"."severity" is not null) and ("_"."status" = 'new' and "_"."status" is not null)) "_"
order by "_"."title" limit 1000001
SQL
try_shape('Power BI, a preview', 'select "$Table"."id" as "id", "$Table"."title" as "title" from "alerts" "$Table" limit 1000', 'some', 'all');
try_shape('Power BI, a partition of an incremental refresh', <<'SQL', '?$filter=createdDateTime ge 2026-07-29T23:59:59.999999Z and createdDateTime lt 2026-07-30T12:00:00Z');
select "_"."id", "_"."severity", "_"."created_date_time" from "alerts" "_"
where "_"."created_date_time" >= timestamptz '2026-07-30 00:00:00+00' and "_"."created_date_time" < timestamptz '2026-07-30 12:00:00+00'
SQL
try_shape('Power BI, whether a partition has changed', <<'SQL', '?$filter=lastUpdateDateTime ne null and createdDateTime ge 2026-07-29T23:59:59.999999Z and createdDateTime lt 2026-07-30T12:00:00Z&$orderby=lastUpdateDateTime desc&$top=100');
select max("_"."last_update_date_time") as "a0" from "alerts" "_"
where "_"."created_date_time" >= timestamp '2026-07-30 00:00:00' and "_"."created_date_time" < timestamp '2026-07-30 12:00:00'
SQL

#------------------------------------------------------------------------------
# dbt
#------------------------------------------------------------------------------

try_shape('dbt, freshness of a source', <<'SQL', '?$filter=lastUpdateDateTime ne null&$orderby=lastUpdateDateTime desc&$top=20');
select max(last_update_date_time) as max_loaded_at, timestamptz '2026-07-31' as snapshotted_at from "alerts"
SQL
try_shape('dbt, freshness with a filter', <<'SQL', '?$filter=lastUpdateDateTime ne null and createdDateTime ge 2026-07-29T23:59:59.999999Z&$orderby=lastUpdateDateTime desc&$top=100');
select max(last_update_date_time) as max_loaded_at, timestamptz '2026-07-31' as snapshotted_at from "alerts" where created_date_time >= '2026-07-30'
SQL
try_shape('dbt, the test not_null', <<'SQL');
select count(*) as failures, count(*) != 0 as should_warn, count(*) != 0 as should_error
from (select id from "alerts" where id is null) dbt_internal_test
SQL
try_shape('dbt, the test unique', <<'SQL', @ALL);
select count(*) as failures from (select id as unique_field, count(*) as n_records from "alerts"
	where id is not null group by id having count(*) > 1) dbt_internal_test
SQL
try_shape('dbt, the test accepted_values', <<'SQL', '?$filter=' . join ' and ', map { "severity ne '$_'" } qw(unknown informational low medium high));
select count(*) as failures from (with all_values as (select severity as value_field, count(*) as n_records from "alerts" group by severity)
	select * from all_values where value_field not in ('unknown', 'informational', 'low', 'medium', 'high')) dbt_internal_test
SQL
try_shape('dbt, the test relationships', <<'SQL', @ALL);
select count(*) as failures from (with child as (select alert_id as from_field from "device_evidence" where alert_id is not null),
	parent as (select id as to_field from "alerts")
	select from_field from child left join parent on child.from_field = parent.to_field where parent.to_field is null) dbt_internal_test
SQL
try_shape('dbt, an empty run', 'select * from (select id, title from "alerts" where false limit 0) as __dbt_sbq where false limit 0');
try_shape('dbt, show', 'select * from (select id, title from "alerts") as model_limit_subq limit 5', 'some', '?$top=5');

# An incremental model: the statement that fills the temporary table, then the
# two that put it in the place of what is older.  With an empty target max() is
# null, and coalesce() is what makes the first run read everything.
sub incremental
{
	my ($schema) = @_;

	return $node->sql(<<"SQL");
SET search_path = $schema;
CREATE TABLE IF NOT EXISTS public.stg_alerts (id text, title text, status text, last_update_date_time timestamptz);
CREATE TEMPORARY TABLE "stg_alerts__dbt_tmp" AS (
	with source as (select * from "alerts")
	select id, title, status, last_update_date_time from source
	where last_update_date_time >= (select coalesce(max(last_update_date_time) - interval '1 hour', '1970-01-01') from public.stg_alerts));
DELETE FROM public.stg_alerts USING "stg_alerts__dbt_tmp" WHERE "stg_alerts__dbt_tmp".id = public.stg_alerts.id;
INSERT INTO public.stg_alerts (id, title, status, last_update_date_time) (SELECT id, title, status, last_update_date_time FROM "stg_alerts__dbt_tmp");
SELECT count(*), count(*) FILTER (WHERE status = 'inProgress') FROM public.stg_alerts;
SQL
}
my $differ = q{SELECT count(*) FROM ((SELECT id, title, status, last_update_date_time FROM live.alerts EXCEPT TABLE public.stg_alerts) UNION ALL (TABLE public.stg_alerts EXCEPT SELECT id, title, status, last_update_date_time FROM live.alerts)) AS d};
is(incremental('live'), '2500|0', 'dbt, the first run of an incremental model');
is_deeply([ GraphClients::asked($emulator) ], [ '?$filter=lastUpdateDateTime ge 1969-12-31T23:59:59.999999Z', map { "?\$filter=lastUpdateDateTime ge 1969-12-31T23:59:59.999999Z and createdDateTime lt $_.000001Z&\$orderby=createdDateTime desc" } '2026-07-30T07:19:00', '2026-07-29T14:40:00' ],
	'dbt, the first run: requests');
$emulator->add_alerts(GraphEmulator::alert_of_three_pages(2400, status => 'inProgress', lastUpdateDateTime => '2026-07-31T00:30:00Z'),
	GraphEmulator::alert_of_three_pages(3000, id => 'new', lastUpdateDateTime => '2026-07-31T00:40:00Z'));
is(incremental('seen'), '2501|1', 'dbt, the second run, over views');
is_deeply([ GraphClients::asked($emulator) ], [ '?$filter=lastUpdateDateTime ge 2026-07-30T22:57:59.999999Z' ], 'dbt, the second run: one request');
is($node->sql($differ), 0, 'dbt, the model is what the service has');
$emulator->clear;

#------------------------------------------------------------------------------
# Who sees what
#------------------------------------------------------------------------------

# What a tool lists that knows tables and views only, as by JDBC's TABLE and
# VIEW, SQLAlchemy's get_table_names() and get_view_names(), dbt's list of
# relations; and what information_schema calls them.
sub listed
{
	my ($schema) = @_;

	return $node->sql(<<"SQL");
SELECT (SELECT count(*) FROM (SELECT FROM pg_tables WHERE schemaname = '$schema' UNION ALL SELECT FROM pg_views WHERE schemaname = '$schema') AS r)
	|| ' ' || (SELECT string_agg(DISTINCT table_type, ',') FROM information_schema.tables WHERE table_schema = '$schema')
SQL
}
is_deeply([ map { listed($_) } qw(live seen kept) ], [ '0 FOREIGN', '6 VIEW', '6 BASE TABLE' ], 'foreign tables are on no list of tables and views');

# The views that the extension makes: a dozen columns of alerts are asked for, and
# nothing else.
is($node->sql(q{SELECT graph_fdw_create_views('live', 'made', '{alerts,device_evidence}')}), 3, 'views of tables, and of what is looked at');
is(listed('made'), '3 VIEW', 'they are listed');
$emulator->clear;
is(GraphClients::rows_of($node, 'made', q{SELECT title FROM alerts_summary WHERE id = 'a0007'}), 'Title 0', 'one of them is read');
unlike(join("\n", $emulator->requests), qr/evidence/, 'without evidence');
$emulator->clear;

# A role of a dashboard: it has no login of its own.
$node->sql(<<'SQL');
CREATE ROLE dashboard LOGIN;
GRANT USAGE ON SCHEMA live, seen, kept, copy TO dashboard;
GRANT SELECT ON ALL TABLES IN SCHEMA live, seen, kept, copy TO dashboard;
CREATE SCHEMA behind;
CREATE VIEW behind.alerts WITH (security_barrier) AS SELECT * FROM live.alerts WHERE severity <> 'unknown';
CREATE VIEW behind.own WITH (security_invoker) AS SELECT * FROM live.alerts;
GRANT USAGE ON SCHEMA made TO dashboard;
GRANT SELECT ON made.alerts_summary TO dashboard;
GRANT USAGE ON SCHEMA behind TO dashboard;
GRANT SELECT ON ALL TABLES IN SCHEMA behind TO dashboard;
SQL
my $high = "created_date_time >= '2026-07-30 20:00Z' AND severity = 'high' AND title LIKE '%1'";
my $number = $node->sql("SELECT count(*) FROM copy.alerts WHERE $high");
foreach my $relation (qw(seen.alerts behind.alerts kept.alerts))
{
	is($node->sql("SET ROLE dashboard; SELECT count(*) FROM $relation WHERE $high"), $number, "$relation for a role without a login");
}
is_deeply([ GraphClients::asked($emulator) ], [ map { "?\$filter=${_}createdDateTime ge 2026-07-30T19:59:59.999999Z and severity eq 'high'" } '', "severity ne 'unknown' and " ],
	'its clauses are sent through a view, and through one that is a security barrier');
foreach my $relation (qw(live.alerts behind.own made.alerts_summary))
{
	like($node->error("SELECT count(*) FROM $relation", before => 'SET ROLE dashboard')->{text}, qr/^42704\n.*user mapping/, "$relation needs a login");
}

# A dashboard of another time zone and search path asks for the same.
$node->sql("ALTER ROLE dashboard SET search_path = live, public; ALTER ROLE dashboard SET timezone = 'Pacific/Auckland'; CREATE USER MAPPING FOR dashboard SERVER graph OPTIONS (access_token 'emulator-access-token')");
is($node->safe_psql('postgres', "SELECT count(*) FROM alerts WHERE created_date_time BETWEEN '$FROM' AND '$TO'", extra_params => [ '-U', 'dashboard' ]), 719, 'a role with a login');
is_deeply([ GraphClients::asked($emulator) ], [ "?\$filter=$WITHIN" ], 'and another time zone');

done_testing();
