
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
use IPC::Open2;
use PostgreSQL::Test::Utils;
use Test::More;

my @TABLES = qw(incidents incident_comments alerts alert_evidence device_evidence alert_comments);
my $folder = PostgreSQL::Test::Utils::tempdir();
my $data = GraphIncidents->new(2000, 900);
$data->write($folder);

# The service ends with its standard input.
my $pid = open2(my $output, my $input, 'env', 'PYTHONDONTWRITEBYTECODE=1', 'python3', "$FindBin::RealBin/odata_sqlite.py",
	"$folder/alerts.jsonl", "$folder/incidents.jsonl");
my $port = <$output> // die 'the service did not start';
chomp $port;
my $service = "http://127.0.0.1:$port";
my $http = HTTP::Tiny->new(proxy => undef, http_proxy => undef);

# The token is given, so that nobody is asked for one.
my $emulator = GraphEmulator->new('--alerts', 0);
my $node = GraphCluster->connected_to($emulator, import => 0, conf => "fsync = off\njit = off\nautovacuum = off");
my %servers = (
	pushed => {},
	plain => { map { ("${_}_pushdown" => 'false') } qw(select order count join) });

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
CREATE TABLE owners (name text, owner text); INSERT INTO owners VALUES ('adele@contoso.test', 'IT'), ('none', 'nobody');
ANALYZE five, owners;
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
	my ($name, $query, @expected) = @$shape;
	my $right = answer('copy', $query);

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
}

# 2,000 incidents: pages of 50 in windows of time
is($node->sql('SELECT count(DISTINCT raw) FROM pushed.incidents'), 2000, 'a long list');
my @pages = asked();
my %lower = map { /createdDateTime ge (\S+)/ ? ($1 => 1) : () } @pages;
cmp_ok(scalar(@pages), '<=', 46, 'a long list: pages');
cmp_ok(scalar(keys %lower), '>=', 2, 'a long list: windows');
is_deeply([ grep { !/\$top=\d+/ || $& !~ /=([1-9]|[1-4]\d|50)$/ } @pages ], [], 'a long list: no page is larger than 50');

close $input;
waitpid $pid, 0;
$node->stop;
done_testing();
