
# Are incidents what the service has, in as few requests as there can be?
#
# The service is not the emulator: odata_sqlite.py, which answers $filter by
# SQLite, refuses a $top above 50, and takes an enum's members in any case.  It
# has 2,000 incidents with whatever can be odd about them.  Rows and columns are
# held against a reading of their JSON by jsonb; the shapes of queries run over
# tables with all that is pushed down, over tables without, and over the copy.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator;
use GraphIncidents qw(copy_sql);
use HTTP::Tiny;
use PostgreSQL::Test::Utils;
use PythonService;
use Test::More;

my @TABLES = qw(incidents incident_comments alerts alert_evidence device_evidence alert_comments);
my $folder = PostgreSQL::Test::Utils::tempdir();
my $data = GraphIncidents->new(2000, 900);
$data->write($folder);

my $sqlite = PythonService->new('odata_sqlite.py', "$folder/alerts.jsonl", "$folder/incidents.jsonl");
my $service = $sqlite->url;
my $http = HTTP::Tiny->new(proxy => undef, http_proxy => undef);

# The token is given, so that nobody is asked for one.
my $emulator = GraphEmulator->new('--alerts', 0);
my $node = GraphCluster->connected_to($emulator, import => 0, conf => "fsync = off\njit = off\nautovacuum = off");
my %servers = (
	pushed => {},
	plain => { incident_lookup => 'false', map { ("${_}_pushdown" => 'false') } qw(select order count join) });

foreach my $name (sort keys %servers)
{
	my $server = options(endpoint => $service, authority => $service, %{ $servers{$name} });
	my $tables = join ', ', @TABLES;

	$node->sql(<<"SQL");
CREATE SCHEMA $name;
CREATE SERVER $name FOREIGN DATA WRAPPER graph_fdw $server;
CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (access_token 'independent-token');
IMPORT FOREIGN SCHEMA security LIMIT TO ($tables) FROM SERVER $name INTO $name;
SQL
}
$node->sql($data->source_sql($folder) . copy_sql('copy', @TABLES) . <<'SQL');
CREATE TABLE five (id text); INSERT INTO five VALUES ('11'), ('12'), ('13'), ('14'), ('9999');
CREATE TABLE watched (id text); INSERT INTO watched VALUES ('11'), ('12'), ('13'), ('14'), ('15');
CREATE TABLE owners (name text, owner text); INSERT INTO owners VALUES ('adele@contoso.test', 'IT'), ('none', 'nobody');
ANALYZE five, watched, owners;
SQL

sub asked
{
	return map { s/%([0-9A-F]{2})/chr hex $1/gier =~ s{^/v1\.0/security/}{}r =~ s/([?&])\$select=[^&]*(&|$)/$2 ? $1 : ''/er }
	  split /\n/, $http->get("$service/requests")->{content};
}

sub answer
{
	my ($schema, $query) = @_;
	return $node->result("SET search_path = $schema, public; SET timezone = 'UTC'; $query");
}

# Is the answer right, whatever is pushed down, and are these the requests?  A
# number: so many at most.
sub check_shape
{
	my ($name, $query, @expected) = @_;
	my $right = answer('copy', $query);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	unlike($right, qr/ERROR/, "$name: it can be asked");
	is(answer('pushed', $query), $right, $name);
	my @asked = asked();
	if (@expected == 1 && $expected[0] =~ /^\d+$/)
	{
		cmp_ok(scalar(@asked), '<=', $expected[0], "$name: requests") || diag(join "\n", @asked);
	}
	else
	{
		is_deeply([ sort @asked ], [ sort @expected ], "$name: requests") || diag(join "\n", @asked);
	}
	is(answer('plain', $query), $right, "$name, without pushdown");
	asked();
	return;
}

#------------------------------------------------------------------------------
# Rows and columns
#------------------------------------------------------------------------------

foreach my $table (qw(incidents incident_comments))
{
	my $key = $table eq 'incidents' ? 'id' : 'incident_id, ordinal';
	my @columns = split /\n/, $node->sql("SELECT attname FROM pg_attribute WHERE attrelid = 'pushed.$table'::regclass AND attnum > 0 ORDER BY attnum");

	cmp_ok(scalar(@columns), '>=', 10, "$table: columns");
	foreach my $schema (qw(pushed plain))
	{
		$node->sql("CREATE TEMP TABLE got AS SELECT * FROM $schema.$table;"
			. "SELECT 1 / (CASE WHEN (SELECT count(*) FROM got) = (SELECT count(*) FROM copy.$table) THEN 1 ELSE 0 END)");
		is($node->sql("CREATE TEMP TABLE got AS SELECT * FROM $schema.$table; SELECT string_agg(c, ',') FROM (VALUES "
			. join(', ', map { "('$_', (SELECT count(*) FROM got FULL JOIN copy.$table AS c USING (" . ($key =~ s/,//r =~ s/ /, /r) . ") WHERE got.$_ IS DISTINCT FROM c.$_ OR got.raw IS NULL OR c.raw IS NULL))" } grep { !/^(id|incident_id|ordinal)$/ } @columns)
			. ') AS v(c, n) WHERE n <> 0'), '', "$schema.$table: each column is what jsonb reads");
	}
}
is($node->sql('SELECT count(*), count(DISTINCT id) FROM pushed.incidents AS i WHERE raw IS NOT NULL'), '2000|2000', 'each once');
is($node->sql(q{SELECT count(*) FROM ((SELECT raw FROM pushed.incidents EXCEPT ALL SELECT a FROM source.incident) UNION ALL (SELECT a FROM source.incident EXCEPT ALL SELECT raw FROM pushed.incidents)) AS t}), 0, 'raw');
like($node->sql(q{SELECT string_agg(DISTINCT status, ' ' ORDER BY status) FROM pushed.incidents}), qr/ACTIVE.*Active.*active.*escalated/i, 'there are odd ones');

#------------------------------------------------------------------------------
# Shapes: name, query, requests (their number, or what they are)
#------------------------------------------------------------------------------

asked();
foreach my $shape (
	[ 'one', q{SELECT id, display_name, status, redirect_incident_id FROM incidents WHERE id = '53'}, 'incidents/53' ],
	[ 'one that is not there', q{SELECT id FROM incidents WHERE id = '9999'}, 'incidents/9999' ],
	[ 'five by IN', q{SELECT id, severity FROM incidents WHERE id IN ('11', '12', '13', '14', '15') ORDER BY 1}, map { "incidents/$_" } 11 .. 15 ],
	[ 'five in an array', q{SELECT id, severity FROM incidents WHERE id = ANY ('{11,12,NULL,13,14,15,11}') ORDER BY 1}, map { "incidents/$_" } 11 .. 15 ],
	[ 'five of a local table', 'SELECT f.id, i.display_name FROM five AS f LEFT JOIN incidents AS i ON i.id = f.id ORDER BY 1', map { "incidents/$_" } 11 .. 14, 9999 ],
	[ 'a parameter', q{PREPARE p(text) AS SELECT display_name FROM incidents WHERE id = $1; SET plan_cache_mode = force_generic_plan; EXECUTE p('17'); DEALLOCATE p}, 'incidents/17' ],
	[ 'what one was merged into', q{SELECT b.id, b.display_name FROM incidents AS a JOIN incidents AS b ON b.id = a.redirect_incident_id WHERE a.id = '53'}, 'incidents/53', 'incidents/54' ],
	[ 'comments of one', q{SELECT incident_id, ordinal, comment, incident_status, raw FROM incident_comments WHERE incident_id = '12' ORDER BY ordinal}, 'incidents/12' ],
	[ 'one with its comments', q{SELECT i.display_name, c.comment FROM incidents AS i LEFT JOIN incident_comments AS c ON c.incident_id = i.id WHERE i.id = '12' ORDER BY c.ordinal}, 'incidents/12' ],
	[ 'all, counted', 'SELECT count(*) FROM incidents', 'incidents?$count=true&$top=1' ],
	[ 'active and high, counted', q{SELECT count(*) FROM incidents WHERE status = 'active' AND severity = 'high' AND classification = 'unknown' AND determination = 'malware'},
		q{incidents?$filter=status eq 'active' and severity eq 'high' and classification eq 'unknown' and determination eq 'malware'&$count=true&$top=50} ],
	[ 'without a determination, counted', 'SELECT count(*) FROM incidents WHERE determination IS NULL', 'incidents?$filter=determination eq null&$count=true&$top=20' ],
	[ 'redirected or escalated, counted', q{SELECT count(*) FROM incidents WHERE status IN ('redirected') AND assigned_to IS NULL}, 1 ],
	[ 'the first ten', 'SELECT created_date_time FROM incidents ORDER BY created_date_time LIMIT 10', 'incidents?$orderby=createdDateTime asc&$top=20' ],
	[ 'the first 45', 'SELECT created_date_time FROM incidents ORDER BY created_date_time LIMIT 45', 'incidents?$orderby=createdDateTime asc&$top=45' ],
	[ 'the last ten', 'SELECT created_date_time FROM incidents ORDER BY created_date_time DESC NULLS LAST LIMIT 10', 'incidents?$orderby=createdDateTime desc&$top=20' ],
	[ 'the last ten that are active', q{SELECT created_date_time FROM incidents WHERE status = 'active' ORDER BY created_date_time DESC NULLS LAST LIMIT 10}, q{incidents?$filter=status eq 'active'&$orderby=createdDateTime desc&$count=true&$top=50} ],
	[ 'any ten', 'SELECT count(*) FROM (SELECT id FROM incidents LIMIT 10) AS t', 'incidents?$top=10' ],
	[ 'is there one', q{SELECT EXISTS (SELECT FROM incidents WHERE severity = 'high')}, 1 ],
	[ 'the latest', 'SELECT max(created_date_time) FROM incidents', 'incidents?$filter=createdDateTime ne null&$orderby=createdDateTime desc&$top=20' ],
	[ 'the earliest', 'SELECT min(created_date_time) FROM incidents', 'incidents?$filter=createdDateTime ne null&$orderby=createdDateTime asc&$top=20' ],
	[ 'the latest update', 'SELECT max(last_update_date_time) FROM incidents', 1 ],
	[ 'half an hour', q{SELECT id FROM incidents WHERE created_date_time >= '2026-07-31 12:30Z' AND created_date_time < '2026-07-31 13:00Z' ORDER BY 1}, 1 ],
	[ 'an hour of updates', q{SELECT id FROM incidents WHERE last_update_date_time > '2026-07-31 13:05Z' ORDER BY 1}, 1 ],
	[ 'none', q{SELECT id FROM incidents WHERE id = NULL OR status = NULL} ],
	[ 'none of no ids', q{SELECT id FROM incidents WHERE id = ANY ('{}')} ],
	[ 'by group', 'SELECT severity, count(*) FROM incidents GROUP BY 1 ORDER BY severity COLLATE "C"', 46 ],
	[ 'not active', q{SELECT count(*), count(DISTINCT id) FROM incidents WHERE status <> 'active'}, 46 ],
	[ 'all of them', q{SELECT count(*), md5(string_agg(id || display_name, ',' ORDER BY id COLLATE "C")) FROM incidents}, 46 ],
	[ 'all comments', q{SELECT count(*), md5(string_agg(concat(incident_id, ordinal, comment), ',' ORDER BY incident_id COLLATE "C", ordinal)) FROM incident_comments}, 46 ],
	[ 'owners', q{SELECT o.owner, count(i.id) FROM owners AS o LEFT JOIN incidents AS i ON i.assigned_to = o.name AND i.created_date_time >= '2026-07-31 12:30Z' GROUP BY 1 ORDER BY 1}, 2 ])
{
	check_shape(@$shape);
}

#------------------------------------------------------------------------------
# What is of incidents: their alerts, and what is inside these
#------------------------------------------------------------------------------

my @of_five = map { "incidents/$_/alerts" } 11 .. 15;
foreach my $shape (
	[ "one's alerts", q{SELECT id, title, status FROM alerts WHERE incident_id = '12' ORDER BY 1}, 'incidents/12/alerts' ],
	[ "one's alerts, in pages", q{SELECT count(DISTINCT id), count(*) FROM alerts WHERE incident_id = '1900'}, 3 ],
	[ "alerts of one that is not there", q{SELECT id FROM alerts WHERE incident_id = '9999'}, 'incidents/9999/alerts', 'incidents/9999', 'incidents?$top=1' ],
	[ "one's high alerts, counted", q{SELECT count(*) FROM alerts WHERE incident_id = '12' AND severity = 'high'}, 'incidents/12/alerts' ],
	[ "one's devices", q{SELECT DISTINCT device_dns_name FROM device_evidence WHERE incident_id = '13' ORDER BY 1}, 'incidents/13/alerts' ],
	[ "one's evidence", q{SELECT alert_id, ordinal, evidence_type, account_name FROM alert_evidence WHERE incident_id = '13' ORDER BY 1, 2}, 'incidents/13/alerts' ],
	[ "comments on one's alerts", q{SELECT alert_id, ordinal, comment FROM alert_comments WHERE incident_id = '14' ORDER BY 1, 2}, 'incidents/14/alerts' ],
	[ "one's alerts and devices", q{SELECT a.id, a.title, e.device_dns_name FROM alerts AS a JOIN device_evidence AS e ON e.alert_id = a.id WHERE a.incident_id = '12' ORDER BY 1, 3}, 'incidents/12/alerts' ],
	[ 'one, with its alerts', q{SELECT i.display_name, a.id FROM incidents AS i JOIN alerts AS a ON a.incident_id = i.id WHERE i.id = '12' ORDER BY 2}, 'incidents/12', 'incidents/12/alerts' ],
	[ "five's alerts", q{SELECT id FROM alerts WHERE incident_id IN ('11', '12', '13', '14', '15') ORDER BY 1}, @of_five ],
	[ "five's devices", q{SELECT incident_id, count(*) FROM device_evidence WHERE incident_id = ANY ('{11,12,13,14,15,NULL}') GROUP BY 1 ORDER BY 1}, @of_five ],
	[ 'alerts of five of a local table', 'SELECT w.id, a.id FROM watched AS w LEFT JOIN alerts AS a ON a.incident_id = w.id ORDER BY 1, 2', @of_five ],
	[ 'five of a local table and their alerts', 'SELECT w.id, i.status, a.id FROM watched AS w JOIN incidents AS i ON i.id = w.id JOIN alerts AS a ON a.incident_id = i.id ORDER BY 1, 3',
		@of_five, map { "incidents/$_" } 11 .. 15 ],
	[ 'a parameter of alerts', q{PREPARE q(text) AS SELECT id FROM alerts WHERE incident_id = $1 ORDER BY 1; SET plan_cache_mode = force_generic_plan; EXECUTE q('14'); DEALLOCATE q}, 'incidents/14/alerts' ],
	[ 'by a sub-select, and a time', q{SELECT id FROM alerts WHERE incident_id IN ((SELECT '14' OFFSET 0)) AND created_date_time >= '2026-01-01' ORDER BY 1}, 'incidents/14/alerts' ],
	[ 'of a local table, and a time', q{SELECT a.id FROM watched AS w JOIN alerts AS a ON a.incident_id = w.id AND a.severity IN ('low', 'high') AND a.created_date_time >= '2026-01-01' ORDER BY 1}, @of_five ],
	[ 'is there an alert', q{SELECT EXISTS (SELECT FROM alerts WHERE incident_id = '15')}, 'incidents/15/alerts' ],
	[ "one's latest alert", q{SELECT max(created_date_time) FROM alerts WHERE incident_id = '15'}, 'incidents/15/alerts' ],
	[ 'alerts in a row', q{SELECT w.id, l.n FROM watched AS w, LATERAL (SELECT count(*) AS n FROM alerts AS a WHERE a.incident_id = w.id) AS l ORDER BY 1}, @of_five ],
	[ 'alerts of none', q{SELECT id FROM alerts WHERE incident_id = NULL} ])
{
	check_shape(@$shape);
}

# who knows how many there are reads two lists: 40 pages and 2, and what meets there comes twice
$node->sql('ANALYZE pushed.incidents, pushed.alerts');
asked();
check_shape('all with their alerts', 'SELECT count(*), count(DISTINCT i.id) FROM incidents AS i JOIN alerts AS a ON a.incident_id = i.id', 50);
check_shape("some hours' with their alerts", q{SELECT i.id, a.id FROM incidents AS i JOIN alerts AS a ON a.incident_id = i.id WHERE i.created_date_time >= '2026-07-31 11:00Z' ORDER BY 1, 2}, 8);

# 2,000 incidents: pages of 50 in windows of time
is($node->sql('SELECT count(DISTINCT raw) FROM pushed.incidents'), 2000, 'a long list');
my @pages = asked();
my %lower = map { /createdDateTime ge (\S+)/ ? ($1 => 1) : () } @pages;
cmp_ok(scalar(@pages), '<=', 46, 'a long list: pages');
cmp_ok(scalar(keys %lower), '>=', 2, 'a long list: windows');
is_deeply([ grep { !/\$top=\d+/ || $& !~ /=([1-9]|[1-4]\d|50)$/ } @pages ], [], 'a long list: no page is larger than 50');

$node->stop;
done_testing();
