
# Many tenants over several servers, behind one hub.
#
# Three servers have twenty tenants each, as foreign tables and as a copy.  A
# fourth has tables that are partitioned by tenant, whose partitions are those
# servers' tables, by postgres_fdw.  Every answer is compared with a plain table
# of all rows, and the requests say which tenants were asked for what.
# docs/scale-out.md says how to make the like.

use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use JSON::PP;
use lib $FindBin::RealBin;
use GraphCluster;
use PostgreSQL::Test::Utils;
use PythonService;
use Test::More;

my $TENANTS = 60;
my $http = HTTP::Tiny->new(proxy => undef, http_proxy => undef, keep_alive => 0);

#------------------------------------------------------------------------------
# The service, and what it has
#------------------------------------------------------------------------------

# The columns of the tables, without tenant_id, which is the first.
my $COLUMNS = 'id text, created_date_time timestamptz, last_update_date_time timestamptz, severity text, status text, title text';
my @NAMES = qw(tenantId id createdDateTime lastUpdateDateTime severity status title);
my @alerts;

sub tenant { return sprintf 't%02d', $_[0] }

foreach my $tenant (0 .. $TENANTS - 1)
{
	foreach my $number (0 .. 9 + $tenant % 5)
	{
		# one id is the same everywhere
		push @alerts, {
			tenantId           => tenant($tenant),
			id                 => $number ? tenant($tenant) . "-$number" : 'same',
			createdDateTime    => sprintf('2026-07-%02dT%02d:%02d:00Z', 10 + $number % 15, $tenant % 24, $number),
			lastUpdateDateTime => sprintf('2026-07-%02dT%02d:%02d:30Z', 10 + $number % 15, $tenant % 24, $number),
			severity           => (qw(high medium low))[ ($tenant + $number) % 3 ],
			status             => (qw(new inProgress resolved))[ $number % 3 ],
			title              => 'Title ' . $number % 4 };
	}
}

my $folder = PostgreSQL::Test::Utils::tempdir();
append_to_file("$folder/alerts.jsonl", join '', map { encode_json($_) . "\n" } @alerts);
append_to_file("$folder/alerts.tsv", join '', map { join("\t", @$_{@NAMES}) . "\n" } @alerts);
my $service = PythonService->new('odata_sqlite.py', "$folder/alerts.jsonl");

# The requests since the last time, as "tenant what?options"; $select and a $top
# of a whole page are left out.
sub asked
{
	my $text = $http->get($service->url . '/requests')->{content};

	return sort map {
		s/%([0-9A-F]{2})/chr hex $1/gier =~ s{^/tenant/(t\d\d)/v1\.0/security/alerts_v2}{$1 }r
		  =~ s/([?&])\$select=[^&]*(&|$)/$2 ? $1 : ''/er =~ s/\$count=true&(?=\$top=(?!1$|20$))//r =~ s/[?&]\$top=1000$//r
	} split /\n/, $text;
}

#------------------------------------------------------------------------------
# The servers
#------------------------------------------------------------------------------

my @names = qw(north south west);
my %node;

# The tenants of a server.
sub tenants_of
{
	my ($number) = @_;
	return map { tenant($_) } grep { $_ % @names == $number } 0 .. $TENANTS - 1;
}

sub add_tenant
{
	my ($tenant) = @_;
	my $url = $service->url;

	return <<"SQL";
CREATE SERVER $tenant FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url/tenant/$tenant', authority '$url');
CREATE USER MAPPING FOR hub SERVER $tenant OPTIONS (access_token 'token');
CREATE USER MAPPING FOR CURRENT_USER SERVER $tenant OPTIONS (access_token 'token');
CREATE FOREIGN TABLE live.$tenant PARTITION OF live.alerts FOR VALUES IN ('$tenant') SERVER $tenant;
CREATE SCHEMA $tenant;
CREATE FOREIGN TABLE $tenant.alerts (tenant_id text, $COLUMNS) SERVER $tenant;
SELECT graph_fdw_create_copy('$tenant', 'kept', since => '1 year', removed => 'delete', tenant_id => '$tenant');
SQL
}

sub make_server
{
	my ($number) = @_;
	my $node = GraphCluster->new($names[$number]);

	$node->init(extra => [ '--no-locale', '--encoding=UTF8', '--no-sync' ]);
	$node->append_conf('postgresql.conf', "fsync = off\nmax_connections = 20\n");
	$node->start;
	$node->sql(<<"SQL" . join '', map { add_tenant($_) } tenants_of($number));
CREATE EXTENSION graph_fdw;
CREATE ROLE hub LOGIN;
CREATE SCHEMA live;
CREATE TABLE live.alerts (tenant_id text NOT NULL, $COLUMNS) PARTITION BY LIST (tenant_id);
SQL
	$node->sql(<<'SQL');
SET client_min_messages = warning;
CALL graph_fdw_refresh_copy('kept');
GRANT USAGE ON SCHEMA live, kept TO hub;
GRANT SELECT ON ALL TABLES IN SCHEMA live, kept TO hub;
ANALYZE kept.alerts;
SQL
	$node{ $names[$number] } = $node;
	return;
}

make_server($_) foreach 0 .. $#names;
my @loading = asked();

is(scalar(grep { !/^t\d\d (?:\?|$)/ } @loading), 0, 'copies are loaded by lists') || diag(join "\n", @loading[0 .. 9]);
note(scalar(@loading) . ' requests for the first load');

my $hub = GraphCluster->new('hub');
$hub->init(extra => [ '--no-locale', '--encoding=UTF8', '--no-sync' ]);
$hub->append_conf('postgresql.conf', "fsync = off\nenable_partitionwise_aggregate = on\n");
$hub->start;
$hub->sql(<<"SQL");
CREATE EXTENSION postgres_fdw;
CREATE SCHEMA live;
CREATE SCHEMA kept;
CREATE SCHEMA plain;
CREATE TABLE live.alerts (tenant_id text NOT NULL, $COLUMNS) PARTITION BY LIST (tenant_id);
CREATE TABLE kept.alerts (tenant_id text NOT NULL, $COLUMNS) PARTITION BY LIST (tenant_id);
CREATE TABLE plain.alerts (tenant_id text NOT NULL, $COLUMNS);
COPY plain.alerts FROM '$folder/alerts.tsv';
ANALYZE plain.alerts;
SQL
foreach my $number (0 .. $#names)
{
	my $node = $node{ $names[$number] };
	my $bounds = join ', ', map { "'$_'" } tenants_of($number);

	$hub->sql(<<"SQL");
CREATE SERVER $names[$number] FOREIGN DATA WRAPPER postgres_fdw
	OPTIONS (host '@{[ $node->host ]}', port '@{[ $node->port ]}', dbname 'postgres', async_capable 'true', use_remote_estimate 'true', fetch_size '1000');
CREATE USER MAPPING FOR CURRENT_USER SERVER $names[$number] OPTIONS (user 'hub');
CREATE FOREIGN TABLE live.$names[$number] PARTITION OF live.alerts FOR VALUES IN ($bounds)
	SERVER $names[$number] OPTIONS (schema_name 'live', table_name 'alerts');
CREATE FOREIGN TABLE kept.$names[$number] PARTITION OF kept.alerts FOR VALUES IN ($bounds)
	SERVER $names[$number] OPTIONS (schema_name 'kept', table_name 'alerts');
SQL
}

#------------------------------------------------------------------------------
# Questions
#------------------------------------------------------------------------------

sub rows_of
{
	my ($schema, $query) = @_;
	return join "\n", sort split /\n/, $hub->result("SET search_path = $schema; SET timezone = 'UTC'; $query");
}

# Is the answer right, over the foreign tables and over the copies, and were these
# the requests?  "each ..." is one for each tenant.
sub is_answered
{
	my ($name, $query, @expected) = @_;
	my $plain = rows_of('plain', $query);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	unlike($plain, qr/ERROR/, "$name: a query");
	is(rows_of('kept', $query), $plain, "$name: over copies");
	is(join("\n", asked()), '', "$name: which ask nothing");
	is(rows_of('live', $query), $plain, "$name: over the foreign tables");
	@expected = map { my $each = $_; $each =~ s/^each// ? map { tenant($_) . $each } 0 .. $TENANTS - 1 : $each } @expected;
	my @asked = asked();
	my @different = grep { ($asked[$_] // '') ne ($expected[$_] // '') } 0 .. ($#asked > $#expected ? $#asked : $#expected);
	is(scalar @different, 0, "$name: requests")
	  || diag(scalar(@asked) . ' requests, the first that differ:', map { "\ngot:      " . ($asked[$_] // '') . "\nexpected: " . ($expected[$_] // '') } @different[ 0 .. ($#different < 2 ? $#different : 2) ]);
	return;
}

sub plan_of
{
	my ($schema, $query) = @_;
	return $hub->sql("SET search_path = $schema; EXPLAIN (VERBOSE, COSTS OFF) $query");
}

is_answered('an alert of a tenant', q{SELECT title, severity FROM alerts WHERE tenant_id = 't07' AND id = 't07-3'}, 't07 /t07-3');
is_answered('an id that all have', q{SELECT tenant_id, title FROM alerts WHERE id = 'same'}, 'each /same');
is_answered('two tenants of two servers', q{SELECT tenant_id, id FROM alerts WHERE tenant_id IN ('t03', 't04') AND severity = 'high' AND created_date_time >= '2026-07-12'},
	map { "$_ ?\$filter=createdDateTime ge 2026-07-11T23:59:59.999999Z and severity eq 'high'" } qw(t03 t04));
is_answered('what is new everywhere', q{SELECT tenant_id, id FROM alerts WHERE created_date_time >= '2026-07-20' AND status <> 'resolved'},
	q{each ?$filter=createdDateTime ge 2026-07-19T23:59:59.999999Z and status ne 'resolved'});
# a tenant's own column is a clause that only the server checks, so its list is
# read; the number of alerts of all tenants is known only when all have come
is_answered('how many of a tenant', q{SELECT count(*) FROM alerts WHERE tenant_id = 't11' AND severity = 'high'}, q{t11 ?$filter=severity eq 'high'});
is_answered('how many of each tenant', 'SELECT tenant_id, severity, count(*) FROM alerts GROUP BY tenant_id, severity', 'each ');
is_answered('how many of all', 'SELECT count(*) FROM alerts', 'each ');
is_answered('the latest of all', 'SELECT id, tenant_id, created_date_time FROM alerts ORDER BY created_date_time DESC, tenant_id LIMIT 7', 'each ?$orderby=createdDateTime desc');
is_answered('what is joined with a table of the hub', q{SELECT a.tenant_id, a.id FROM (VALUES ('t00', 't00-1'), ('t31', 't31-2')) AS w(tenant_id, id) JOIN alerts AS a USING (tenant_id, id)}, 't00 /t00-1', 't31 /t31-2');
is_answered('a time that is known later', q{SELECT tenant_id, id FROM alerts WHERE tenant_id IN ('t03', 't04') AND created_date_time >= (SELECT timestamptz '2026-07-31' - interval '12 days')},
	map { "$_ ?\$filter=createdDateTime ge 2026-07-18T23:59:59.999999Z" } qw(t03 t04));
# now() is the hub's, and is not sent
is_answered('a time that the hub computes', q{SELECT tenant_id, id FROM alerts WHERE tenant_id = 't03' AND created_date_time >= now() - interval '1000 years' AND severity = 'high'},
	q{t03 ?$filter=severity eq 'high'});

# What can be distributed by tenant, here or by Citus, has it in each key.
is($node{south}->sql(<<'SQL'), '21|0', 'the tenant is in each key of a copy');
SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
	WHERE a.attrelid = i.indrelid AND a.attname = 'tenant_id' AND a.attnum = ANY (i.indkey::int2[])))
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
WHERE c.relnamespace = 'kept'::regnamespace AND i.indisunique
SQL

#------------------------------------------------------------------------------
# Plans
#------------------------------------------------------------------------------

my $plan = plan_of('live', q{SELECT tenant_id, id FROM alerts WHERE severity = 'high'});
is(() = $plan =~ /Async Foreign Scan/g, scalar @names, 'the servers are asked side by side');
like($plan, qr/Remote SQL: SELECT tenant_id, id FROM live\.alerts WHERE \(\(severity = 'high'/, 'with the clause');
is(() = $node{north}->sql(q{EXPLAIN SELECT tenant_id, id FROM live.alerts WHERE severity = 'high'}) =~ /Async Foreign Scan/g, $TENANTS / @names, 'and each of them asks its tenants side by side');
foreach my $schema (qw(live kept))
{
	$plan = plan_of($schema, 'SELECT tenant_id, severity, count(*) FROM alerts GROUP BY tenant_id, severity');
	is(() = $plan =~ /Async Foreign Scan\n.*\n +Relations: Aggregate/g, scalar @names, "$schema: groups by tenant are made by the servers");
	$plan = plan_of($schema, q{SELECT * FROM alerts WHERE tenant_id IN ('t03', 't06')});
	like($plan, qr/^Foreign Scan on $schema\.north/, "$schema: other servers are left out while planning");
}
is($node{north}->sql('SELECT count(*) FROM live.alerts'), scalar(grep { substr($_->{tenantId}, 1) % 3 == 0 } @alerts), 'a server counts its tenants');
is(join("\n", asked()), join("\n", map { "$_ ?\$count=true&\$top=1" } tenants_of(0)), 'by requests that count');

# A prepared statement whose plan was made for any tenant leaves out the servers
# of others when it is executed.
my $session = $hub->session;
$session->query(q{SET search_path = live; SET plan_cache_mode = force_generic_plan; PREPARE of(text, text) AS SELECT title FROM alerts WHERE tenant_id = $1 AND id = $2});
asked();
is($session->query(q{EXECUTE of('t05', 't05-2')}), 'Title 2', 'a generic plan');
is(join("\n", asked()), 't05 /t05-2', 'asks one tenant');
like($session->query(q{EXPLAIN (COSTS OFF) EXECUTE of('t05', 't05-2')}), qr/Subplans Removed: 2/, 'and one server');

#------------------------------------------------------------------------------
# A tenant that moves, a server that is gone
#------------------------------------------------------------------------------

# From north to south: there it is made, and then the hub asks there.
$node{south}->sql(add_tenant('t00'));
$node{south}->sql(q{SET client_min_messages = warning; CALL graph_fdw_refresh_copy('kept', source_schema => 't00'); GRANT SELECT ON ALL TABLES IN SCHEMA live, kept TO hub});
my %bounds = map { my $number = $_; $names[$number] => join ', ', map { "'$_'" } grep { $_ ne 't00' } tenants_of($number) } 0, 1;
$bounds{south} .= ", 't00'";
$hub->sql('BEGIN; ' . join('', map { my $schema = $_; map { "ALTER TABLE $schema.alerts DETACH PARTITION $schema.$_;" } qw(north south) } qw(live kept))
	. join('', map { my $schema = $_; map { "ALTER TABLE $schema.alerts ATTACH PARTITION $schema.$_ FOR VALUES IN ($bounds{$_});" } qw(north south) } qw(live kept)) . 'COMMIT');
$node{north}->sql(q{DROP FOREIGN TABLE live.t00; SET client_min_messages = warning; SELECT graph_fdw_drop_copy('kept', source_schema => 't00'); DROP SERVER t00 CASCADE; DROP SCHEMA t00});
asked();
is_answered('after a tenant has moved', q{SELECT tenant_id, id, title FROM alerts WHERE severity = 'low'}, q{each ?$filter=severity eq 'low'});

$node{west}->stop('immediate');
like($hub->result('SELECT count(*) FROM kept.alerts'), qr/could not connect to server "west"/, 'a server that is gone is named');
is_answered('tenants of the others', q{SELECT title FROM alerts WHERE tenant_id = 't04' AND id = 't04-1'}, 't04 /t04-1');

done_testing();
