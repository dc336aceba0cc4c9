
# Is every row and every column what the service has?
#
# The alerts are asked from the emulator as the JSON text that they are, put
# into a table, and taken apart there with jsonb.  What the tables are to hold
# follows from the files in metadata/, read here anew.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use GraphMetadata qw(tables);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 120);
my $node = GraphCluster->connected_to($emulator);
my %table = tables();
my %list = map { $_ => qr{^GET /v1\.0/security/@{[ /^incident/ ? 'incidents' : 'alerts_v2' ]}\?} } keys %table;

# A view with a table's right rows.
sub create_view
{
	my ($name) = @_;
	my ($from, @columns) = @{ $table{$name} };
	my $list = join ', ', map { qq{$_->[2] AS "$_->[0]"} } @columns;

	return "CREATE VIEW source.$name AS SELECT $list FROM $from;\n";
}

# Load the alerts that the service has now.
sub load_source
{
	my $file = PostgreSQL::Test::Utils::tempdir() . '/alerts.jsonl';

	append_to_file($file, join '', map { "$_\n" } $emulator->alerts);
	append_to_file("$file.incidents", join '', map { "$_\n" } $emulator->incidents);
	$node->sql(<<"SQL");
TRUNCATE source.alert, source.evidence, source.comments, source.incident, source.comments_of_incident;
\\copy source.alert from '$file' with (format csv, quote e'\\x01', delimiter e'\\x02')
\\copy source.incident from '$file.incidents' with (format csv, quote e'\\x01', delimiter e'\\x02')
INSERT INTO source.comments_of_incident SELECT a, e, o FROM source.incident, elements_of(a, 'comments') AS t(e, o);
INSERT INTO source.evidence SELECT a - '{evidence,comments}'::text[], e, o
	FROM source.alert, elements_of(a, 'evidence') AS t(e, o);
INSERT INTO source.comments SELECT a - '{evidence,comments}'::text[], e, o
	FROM source.alert, elements_of(a, 'comments') AS t(e, o);
SQL
	unlink $file, "$file.incidents";
	return;
}

$node->sql(<<'SQL' . join '', map { create_view($_) } sort keys %table);
CREATE SCHEMA source;
CREATE TABLE source.alert (a jsonb);
CREATE TABLE source.evidence (a jsonb, e jsonb, o integer);
CREATE TABLE source.comments (LIKE source.evidence);
CREATE TABLE source.incident (LIKE source.alert);
CREATE TABLE source.comments_of_incident (LIKE source.evidence);

-- the elements of a member with their places, none if it is no array
CREATE FUNCTION elements_of(a jsonb, name text, OUT jsonb, OUT bigint)
RETURNS SETOF record LANGUAGE sql IMMUTABLE AS $$
	SELECT * FROM jsonb_array_elements(
		CASE jsonb_typeof(a->name) WHEN 'array' THEN a->name END)
		WITH ORDINALITY $$;
-- the texts of a JSON array
CREATE FUNCTION elements(a jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE jsonb_typeof(a) WHEN 'array' THEN
		ARRAY(SELECT t FROM jsonb_array_elements_text(a)
			  WITH ORDINALITY AS e(t, o) ORDER BY o) END $$;
-- the text of a JSON value, unless it is an object
CREATE FUNCTION scalar(a jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN jsonb_typeof(a) <> 'object' THEN a #>> '{}' END $$;
SQL
load_source();

#------------------------------------------------------------------------------
# Are the tables right?
#------------------------------------------------------------------------------

# Rows that only one of two queries has, or that one has more often.
sub differences
{
	my ($one, $other) = @_;
	return $node->result(<<"SQL");
CREATE TEMP TABLE one AS $one;
CREATE TEMP TABLE other AS $other;
SELECT left(d, 2000) FROM (
	(SELECT 'lacks ' || t::text FROM (TABLE one EXCEPT ALL TABLE other) AS t LIMIT 2)
	UNION ALL
	(SELECT 'has ' || t::text FROM (TABLE other EXCEPT ALL TABLE one) AS t LIMIT 2)) AS d(d);
SQL
}

sub column_list
{
	my ($name) = @_;
	return $node->result(<<"SQL");
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = 'defender.$name'::regclass AND attnum > 0 ORDER BY attname COLLATE "C"
SQL
}

is(scalar(keys %table), 53, 'five tables and 48 types of evidence');
is($node->result(q{SELECT string_agg(relname, ' ' ORDER BY relname)
	FROM pg_class WHERE relnamespace = 'defender'::regnamespace}),
	join(' ', sort keys %table), 'the tables that are imported');
is($node->result('SELECT count(*) FROM source.alert'),
	121, 'alerts of the service');

foreach my $name (sort keys %table)
{
	my (undef, @columns) = @{ $table{$name} };

	is( column_list($name),
		join("\n", map { "$_->[0]|$_->[1]" } sort { $a->[0] cmp $b->[0] } @columns),
		"$name: columns");
	$emulator->clear;
	my $columns = join ', ', map { qq{"$_->[0]"} } @columns;
	is(differences("SELECT $columns FROM source.$name",
			"SELECT $columns FROM defender.$name"), '', "$name: rows");
	$emulator->is_requests($name, $list{$name});
	cmp_ok($node->result("SELECT count(*) FROM source.$name"),
		'>', 0, "$name: there are some");
}

# By key, the alert or incident comes with a context of its own.
foreach my $name (qw(alerts alert_evidence alert_comments device_evidence incidents incident_comments))
{
	my (undef, @columns) = @{ $table{$name} };
	my $incident = $name =~ /^incident/;
	my $key = $name =~ /^(?:alert|incident)s$/ ? 'id' : $incident ? 'incident_id' : 'alert_id';
	my $source = $incident ? 'incident' : 'alert';
	my $columns = join ', ', map { qq{t."$_->[0]"} } @columns;
	my $fetched = $columns =~ s/t\."raw"/t.raw - '\@odata.context'/r;
	my $keys = q{(SELECT a->>'id' AS key FROM source.}
	  . qq{$source ORDER BY md5(a->>'id') LIMIT 40) AS k};

	$emulator->clear;
	is(differences("SELECT $columns FROM $keys JOIN source.$name AS t ON t.$key = k.key",
			"SELECT $fetched FROM $keys, LATERAL (SELECT * FROM defender.$name WHERE $key = k.key OFFSET 0) AS t"),
		'', "$name: rows by key");
	is( scalar(grep { m{^GET /v1\.0/security/(?:alerts_v2|incidents)/[^?]+$} } $emulator->requests),
		40, "$name: requests by key");
	$emulator->clear;
}

#------------------------------------------------------------------------------
# Other ways to the same rows
#------------------------------------------------------------------------------

my $sample = 'da637578995287051192_756343937';
is( $node->result(qq{SELECT severity, status, incident_id,
	created_date_time AT TIME ZONE 'UTC', detector_id, category, mitre_techniques,
	jsonb_array_length(evidence), actor_display_name IS NULL, description LIKE 'Somebody%'
	FROM defender.alerts WHERE id = '$sample'}),
	'low|new|28282|2021-04-27 12:19:27.72113|e0da400f-affd-43ef-b1d5-afc2eb6f2756|'
	  . 'DefenseEvasion|{T1564.001}|4|t|t',
	'the sample alert');
$emulator->is_requests('the sample alert',
	"GET /v1.0/security/alerts_v2/$sample");
is( $node->result(qq{SELECT string_agg(evidence_type, ' ' ORDER BY ordinal)
	FROM defender.alert_evidence WHERE alert_id = '$sample'}),
	'deviceEvidence fileEvidence processEvidence registryKeyEvidence',
	'evidence of the sample alert');
$emulator->clear;

# A column by itself, in any order, twice, computed, whole row, none.
is( $node->result(qq{SELECT title = (t).title, (t).severity, tableoid::regclass, t IS NULL
	FROM defender.alerts t WHERE id = '$sample'}),
	't|low|defender.alerts|f', 'a whole row and a system column');
is($node->result('SELECT count(*) FROM defender.alerts'),
	121, 'no column at all');
is($node->result(q{SELECT count(*) FROM defender.alerts a
	JOIN defender.alert_evidence e ON e.alert_id = a.id}),
	$node->sql('SELECT count(*) FROM source.alert_evidence'),
	'a join of two of the tables');

# Pages of any size and form give the same, one after the other or several at
# a time.
foreach my $case (
	[ 5,  5,  'page_size' ],
	[ 50, 50, 'next_link_by', 'skip' ],
	[ 50, 50, 'next_link_after_value', JSON::PP::true ],
	[ 50, 50, 'chunked', JSON::PP::false ],
	[ 50, 50, 'gzip', JSON::PP::false ],
	[ 50, 30, 'top_max', 30 ])
{
	my ($asked, $given, $name, @value) = @$case;

	$emulator->reset;
	$emulator->settings($name => @value) if @value;
	foreach my $concurrency (4, 1)
	{
		$node->set_server(page_size => $asked, concurrency => $concurrency);
		$emulator->clear;
		is(differences('SELECT id, raw FROM source.alerts', 'SELECT id, raw FROM defender.alerts'),
			'', "pages: $name, $concurrency at a time");
	}
	is(scalar(my @pages = $emulator->requests), int(120 / $given) + 1,
		"pages: $name: requests");
}
$node->set_server(page_size => undef, concurrency => undef);

# Pages, rows and bytes in odd ways, none of which changes anything.
foreach my $fault ([ kind => 'whitespace' ], [ kind => 'empty_page' ],
	[ kind => 'bom' ], [ kind => 'out_of_order' ],
	[ kind => 'trickle', bytes => 4096, ms => 0 ])
{
	$emulator->reset;
	$emulator->fault(@$fault, times => -1);
	is(differences('SELECT id, raw FROM source.alerts',
			'SELECT id, raw FROM defender.alerts'), '', "an answer with $fault->[1]");
}

# The answer that Microsoft documents, where it is at hand.
SKIP:
{
	my $checkout = $ENV{GRAPH_FDW_CHECKOUT} || "$FindBin::RealBin/..";
	my $file = "$checkout/../shared/reference/graph/sample-alert.json";
	skip 'the original sample is not here', 3 unless -e $file;
	my $original = slurp_file($file);

	$emulator->reset;
	$emulator->set_alerts($original);
	load_source();
	foreach my $name (qw(alerts alert_evidence alert_comments))
	{
		my $columns = join ', ',
		  map { qq{"$_->[0]"} } @{ $table{$name} }[ 1 .. $#{ $table{$name} } ];
		is(differences("SELECT $columns FROM source.$name",
				"SELECT $columns FROM defender.$name"), '', "the original sample: $name");
	}
}

done_testing();
