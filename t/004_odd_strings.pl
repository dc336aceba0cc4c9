
# What becomes of strings, and of structures, that nobody expects?
#
# A character that PostgreSQL cannot hold becomes U+FFFD, or '?' where the
# database's encoding lacks that; nothing odd in one alert hides another one.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Digest::MD5 qw(md5_hex);
use Encode qw(decode encode);
use GraphCluster;
use GraphEmulator;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 3, '--no-sample');
my $node = GraphCluster->connected_to($emulator);

#------------------------------------------------------------------------------
# Strings
#------------------------------------------------------------------------------

my $odd = "\x{fffd}";

# Name, the string as it stands in the JSON text (bytes), what it is (characters).
my @strings = (
	[ 'plain',             'abc',                  'abc' ],
	[ 'empty',             '',                     '' ],
	[ 'U+0000',            'a\u0000b',             "a${odd}b" ],
	[ 'U+0000 alone',      '\u0000',               $odd ],
	[ 'high surrogate',    'a\ud83d',              "a$odd" ],
	[ 'high, then text',   '\uD83Db',              "${odd}b" ],
	[ 'low surrogate',     '\ude00b',              "${odd}b" ],
	[ 'low, then high',    '\ude00\ud83d',         $odd x 2 ],
	[ 'high, then a pair', '\ud83d\ud83d\ude00',   "$odd\x{1f600}" ],
	[ 'high, then escape', '\ud83d\u0041\n',       "${odd}A\n" ],
	[ 'a pair',            '\ud83d\ude00',         "\x{1f600}" ],
	[ 'high and raw low',  "\\ud83d\xed\xb8\x80",  $odd x 4 ],
	[ 'no UTF-8 at all',   "a\xff\xfeb",           "a$odd${odd}b" ],
	[ 'Latin-1',           "caf\xe9 ",             "caf$odd " ],
	[ 'continuation',      "\x80a",                "${odd}a" ],
	[ 'too short',         "\xe2\x82a",            "${odd}a" ],
	[ 'too short at end',  "a\xf0\x9f\x98",        "a$odd" ],
	[ 'overlong',          "\xc0\x80\xe0\x80\x80", $odd x 5 ],
	[ 'raw surrogate',     "\xed\xa0\xbd",         $odd x 3 ],
	[ 'past U+10FFFF',     "\xf4\x90\x80\x80",     $odd x 4 ],
	[ 'five bytes',        "\xf8\x88\x80\x80\x80", $odd x 5 ],
	[ 'invalid, escaped',  "\xff\\u0000\xff\\n",   "$odd$odd$odd\n" ],
	[ 'escapes',           '\"\\\\\/\b\f\n\r\t',   "\"\\/\b\f\n\r\t" ],
	[ 'controls',          '\u0001\u001f\u007f\u0085', "\x01\x1f\x7f\x{85}" ],
	[ 'directions',        '\u202e\u2066\u200f',   "\x{202e}\x{2066}\x{200f}" ],
	[ 'no characters',     '\uffff\ufffe\ufdd0',   "\x{ffff}\x{fffe}\x{fdd0}" ],
	[ 'a mark at start',   '\ufeffa',              "\x{feff}a" ],
	[ 'Latin letters',     "\xc3\xa9\\u00e9\xc3\xbf", "\x{e9}\x{e9}\x{ff}" ],
	[ 'others',            "\xe2\x82\xac\\u20ac\xe6\x97\xa5", "\x{20ac}\x{20ac}\x{65e5}" ],
	[ 'long and odd', 'x' x 5000 . '\u0000' . "\xc3\xa9" x 500 . "\xff", 'x' x 5000 . $odd . "\x{e9}" x 500 . $odd ]);

$emulator->set_alerts(
	map {
		my $string = $strings[$_][1];
		sprintf '{"id":"s%03d","title":"%s","systemTags":["%s",null,"%s"],'
		  . '"additionalData":{"k":"%s","o%s":1},"evidence":[{"@odata.type":"#microsoft.graph.security.urlEvidence","url":"%s"}]}',
		  $_, ($string) x 6
	} 0 .. $#strings);

# The string in text, text[], jsonb, as a key of jsonb, in all of the alert as
# jsonb; and, asked for by key, in json and in an element: each as the bytes
# that it is, in hexadecimal.
my $strings = <<'SQL';
CREATE FOREIGN TABLE as_json (id text, raw json OPTIONS (property '.')) SERVER graph;
CREATE FUNCTION hex(text) RETURNS text LANGUAGE sql AS
	$$ SELECT encode(convert_to($1, getdatabaseencoding()), 'hex') $$;
SELECT concat_ws(',', hex(title), hex(system_tags[1]), hex(system_tags[3]), cardinality(system_tags),
	hex(additional_data->>'k'), (SELECT hex(substr(max(o), 2)) FROM jsonb_object_keys(additional_data) o WHERE o <> 'k'),
	hex(a.raw->>'title'), (SELECT hex(j.raw->>'title') FROM as_json j WHERE j.id = a.id),
	(SELECT hex(e.url) || ',' || hex(e.raw->>'url') FROM defender.url_evidence e WHERE alert_id = a.id))
FROM (SELECT * FROM defender.alerts) AS a ORDER BY id
SQL

# What a string is in the encoding of a database.
my %in = (
	UTF8      => sub { encode('UTF-8', $_[0]) },
	LATIN1    => sub { encode('iso-8859-1', $_[0]) },
	SQL_ASCII => sub { encode('UTF-8', $_[0]) });

foreach my $encoding ('UTF8', 'LATIN1', 'SQL_ASCII')
{
	my $database = lc "in_$encoding";

	$node->sql("CREATE DATABASE $database ENCODING '$encoding' TEMPLATE template0");
	$node->connect_database($emulator, database => $database);
	my @rows = split /\n/, $node->sql($strings, database => $database);
	is(scalar(@rows), scalar(@strings), "$encoding: as many as there are");
	foreach my $case (@strings)
	{
		my ($name, undef, $characters) = @$case;
		# noncharacters are characters; Perl would replace them
		my $hex = unpack 'H*', $encoding eq 'LATIN1'
		  ? join('', map { ord > 255 ? '?' : chr ord } split //, $characters)
		  : do { my $bytes = $characters; utf8::encode($bytes); $bytes };

		is(shift @rows, join(',', ($hex) x 3, 3, ($hex) x 6), "$encoding: $name");
	}

	# A key is text of the database, too.
	my $letter = $encoding eq 'SQL_ASCII' ? 'chr(195) || chr(169)' : 'chr(233)';
	$emulator->clear;
	is($node->result("SELECT id FROM defender.alerts WHERE id = $letter", database => $database),
		'', "$encoding: a key");
	$emulator->is_requests("$encoding: a key", 'GET /v1.0/security/alerts_v2/%C3%A9');
}
$emulator->clear;
is($node->result('SELECT id FROM defender.alerts WHERE id = chr(233) OR id = chr(195)', database => 'in_sql_ascii'), '', 'a key that is no text in Unicode');
is($node->result('SELECT id FROM defender.alerts WHERE assigned_to = chr(233)', database => 'in_sql_ascii'), '', 'a value that is no text in Unicode');
$emulator->is_requests('no text in Unicode');

#------------------------------------------------------------------------------
# Strings to look for
#------------------------------------------------------------------------------

# What is shown in the place of another string finds it, in each database: as a
# value, an id, a value of evidence, and beside others.  Of each of these
# strings, another one is shown in the same way somewhere.
# (No id has a slash or a backslash.)
my @sought = grep { $_->[0] !~ /^(?:empty|escapes)$/ && length $_->[1] < 100 } @strings;
push @sought, [ 'escapes', '\"\b\f\n\r\t' ], [ 'a question mark', 'a?b' ], [ 'no question mark', 'a\u20acb' ], [ 'U+FFFD itself', 'a\ufffdb' ],
	[ 'one code in EUC_JP', 'a\u00a6b' ], [ 'the same code in EUC_JP', 'a\uffe4b' ], [ 'nothing odd', 'plain' ];
$emulator->set_alerts(
	map {
		my $string = $sought[$_][1];
		sprintf '{"id":"%s-%d","title":"n%d","assignedTo":"%s","severity":"low","createdDateTime":"2026-07-01T10:00:%02dZ",'
		  . '"evidence":[{"@odata.type":"#microsoft.graph.security.urlEvidence","url":"%s"}]}',
		  $string, $_, $_, $string, $_, $string
	} 0 .. $#sought);

$node->sql(q{CREATE DATABASE in_euc_jp ENCODING 'EUC_JP' TEMPLATE template0});
$node->connect_database($emulator, database => 'in_euc_jp');
foreach my $encoding ('UTF8', 'LATIN1', 'SQL_ASCII', 'EUC_JP')
{
	my $database = lc "in_$encoding";

	$node->sql(q{ALTER SERVER graph OPTIONS (ADD evidence_filter 'true');
		CREATE TABLE shown AS SELECT a.id, a.assigned_to, a.title, e.url FROM defender.alerts AS a JOIN defender.url_evidence AS e ON e.alert_id = a.id;
		CREATE FUNCTION found(query text) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN EXECUTE query INTO n; RETURN n; END $$},
		database => $database);
	is($node->sql('SELECT count(*) FROM shown', database => $database), scalar(@sought), "$encoding: as many as there are");
	foreach my $case (
		[ 'a value'             => 'alerts', 'assigned_to', 'assigned_to = %2$L' ],
		[ 'a value or another'  => 'alerts', 'assigned_to', q{(assigned_to = %2$L OR assigned_to = 'nobody')} ],
		[ 'a value in an array' => 'alerts', 'assigned_to', q{assigned_to = ANY (ARRAY[%2$L, 'nobody', NULL])} ],
		[ 'not distinct'        => 'alerts', 'assigned_to', 'assigned_to IS NOT DISTINCT FROM %2$L' ],
		[ 'a value, in time'    => 'alerts', 'assigned_to', q{assigned_to = (SELECT %2$L::text)} ],
		[ 'an id'               => 'alerts', 'id', 'id = %1$L' ],
		[ 'an id or another'    => 'alerts', 'id', q{(id = %1$L OR id = 'nobody')} ],
		[ 'an id in an array'   => 'alerts', 'id', q{id = ANY (ARRAY[%1$L, 'nobody'])} ],
		[ 'an id, in time'      => 'alerts', 'id', 'id = (SELECT %1$L::text)' ],
		[ 'evidence'            => 'url_evidence', 'url', 'url = %3$L' ],
		[ 'evidence of an id'   => 'url_evidence', 'alert_id', 'alert_id = %1$L' ])
	{
		my ($name, $table, $column, $condition) = @$case;
		my $of = { assigned_to => 'assigned_to', id => 'id', url => 'url', alert_id => 'id' }->{$column};

		is( $node->result("SELECT string_agg(title, ' ') FROM (SELECT title, $of AS v,
				found(format('SELECT count(*) FROM defender.$table WHERE ' || \$c\$$condition\$c\$, id, assigned_to, url)) AS n FROM shown) AS s
			WHERE n <> (SELECT count(*) FROM shown AS o WHERE o.$of = s.v)", database => $database),
			'', "$encoding: $name");
	}
	# a nested loop asks for each id, and reads a list for those that it cannot ask for
	is( $node->result("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
		SELECT count(*) FROM shown JOIN defender.alerts AS a ON a.id = shown.id", database => $database),
		$node->sql('SELECT count(*) FROM shown AS a JOIN shown AS b USING (id)', database => $database), "$encoding: ids of a nested loop");
	$emulator->clear;
	is($node->result("SELECT title FROM defender.alerts WHERE assigned_to = 'plain'", database => $database), "n$#sought", "$encoding: what is not odd");
	is(scalar(grep { /assignedTo%20eq%20%27plain%27/ } $emulator->requests), 1, "$encoding: what is not odd is sent");
}
# A string of 20 MB, wherever it is.
my $long = "0123456789\xc3\xa9\\n" x 1_600_000;
my $text = "0123456789\xc3\xa9\n" x 1_600_000;
$emulator->set_alerts(qq{{"id":"l1","title":"$long"}},
	qq{{"id":"l2","systemTags":["$long","x"]}},
	qq{{"id":"l3","additionalData":{"k":"$long"}}});
is( $node->result(q{SELECT id, octet_length(COALESCE(title, system_tags[1], additional_data->>'k')),
	md5(COALESCE(title, system_tags[1], additional_data->>'k')),
	md5(COALESCE(raw->>'title', raw->'systemTags'->>0, raw->'additionalData'->>'k')) FROM defender.alerts ORDER BY id}),
	join("\n", map { join '|', "l$_", length $text, (md5_hex($text)) x 2 } 1 .. 3),
	'20 MB');
is($node->result(q{SELECT md5(title) FROM defender.alerts WHERE id = 'l1'}),
	md5_hex($text), '20 MB by key');
$node->set_server(max_record_size => '16MB');
foreach my $query ('SELECT raw FROM defender.alerts', q{SELECT raw FROM defender.alerts WHERE id = 'l1'})
{
	my $error = $node->error($query);
	is($error->{state}, '54000', 'more than is allowed');
	like($error->{message} . $error->{hint}, qr/16777216.*max_record_size/s, 'how much that is');
}
$node->set_server(max_record_size => undef);

#------------------------------------------------------------------------------
# Structures
#------------------------------------------------------------------------------

my @structures = qw(quantum untyped-evidence bare-evidence type-without-hash type-last odd-elements evidence-null
  evidence-missing extra bare empty-arrays duplicate-keys escaped-keys whitespace deep sql
  empty-strings far-times numbers int64-as-text);
$emulator->reset;
$emulator->set_alerts();
$emulator->control('POST', 'ugly', JSON::PP::encode_json({ names => \@structures }));

# What a column of an alert is.
sub is_column
{
	my ($id, $expression, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($node->result("SET TimeZone = 'UTC'; SELECT $expression FROM defender.alerts WHERE raw->>'id' = '$id'"),
		$expected, "$id: $expression");
	return;
}

# All evidence of an alert.
sub is_evidence
{
	my ($id, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is( $node->result("SELECT ordinal, evidence_type, ip_address, url, raw = alert.e FROM defender.alert_evidence,
		LATERAL (SELECT a.raw->'evidence'->(ordinal - 1) FROM defender.alerts a WHERE id = alert_id) AS alert(e)
		WHERE alert_id = '$id' ORDER BY ordinal"),
		$expected, "$id: evidence");
	return;
}

is($node->result('SELECT count(*), count(DISTINCT id), count(DISTINCT t) FROM (SELECT * FROM defender.alerts) AS t'),
	join('|', (scalar @structures) x 3), 'every alert and every column');
$emulator->control('POST', 'ugly', '{"names":["brackets-in-strings","odd-id"]}');
is_evidence('ugly-quantum', "1|quantumEvidence|||t\n2|ipEvidence|192.0.2.17||t");
is($node->result(q{SELECT host_name, raw #>> '{qubits,0,spin}' FROM defender.alert_evidence WHERE evidence_type = 'quantumEvidence'}),
	'ws-0001|up', 'a type that nobody knows');
is_evidence('ugly-untyped-evidence', '1||192.0.2.18||t');
is_evidence('ugly-bare-evidence',    '1|alertEvidence|||t');
is_evidence('ugly-type-without-hash', '1|urlEvidence||https://example.test/|t');
is_evidence('ugly-type-last',        '1|deviceEvidence|||t');
is_evidence('ugly-odd-elements',
	"1||||\n2||||t\n3||||t\n4||||t\n5||||t\n6|urlEvidence||x|t");
is_evidence('ugly-evidence-null',    '');
is_evidence('ugly-evidence-missing', '');
is($node->result(q{SELECT url FROM defender.url_evidence ORDER BY 1}), "https://example.test/\nx", 'a type without its hash');
is($node->result(q{SELECT device_dns_name FROM defender.device_evidence}), 'ws-0001.contoso.test', 'a type that comes last');
$node->sql(q{CREATE FOREIGN TABLE quantum (alert_id text, host_name text OPTIONS (property 'hostName'), qubits jsonb OPTIONS (property 'qubits'))
	SERVER graph OPTIONS (resource 'evidence', evidence_type 'quantumEvidence')});
is($node->result('SELECT alert_id, host_name, jsonb_array_length(qubits) FROM quantum'),
	'ugly-quantum|ws-0001|2', 'a table of a type that nobody knows');

is_column('ugly-evidence-null', 'evidence IS NULL, comments IS NULL', 't|t');
is_column('ugly-bare', q{created_date_time, title IS NULL, num_nonnulls(raw)}, '2020-01-22 00:00:00+00|t|1');
is_column('ugly-empty-arrays', 'system_tags, mitre_techniques, categories', '{}|{}|{NULL,"","A,B","\"","{}"}');
is_column('ugly-empty-strings', q{title = '', description = '', assigned_to = ''}, 't|t|t');
is_column('ugly-extra', q{raw->'newProperty'->>'nested', raw->>'Title', raw->>''}, 'true|another case|empty name');
is_column('ugly-extra', 'title', 'Ugly: extra');
is_column('ugly-duplicate-keys', q{title, severity, title = raw->>'title'}, 'the last title|low|t');
is_column('ugly-escaped-keys', 'id, title, evidence', 'ugly-escaped-keys|Ugly: escaped-keys|[]');
is_column('ugly-whitespace', 'id, title', 'ugly-whitespace|Ugly: whitespace');
is_column('ugly-brackets-in-strings', 'title, description', q(}]},"value":[{"id":"no\"|\\\\"]}));
is_column('ugly-sql', 'title, assigned_to', q{'; DROP TABLE alerts; --|o'brien\"$1%s{}@contoso.test});
is_column('ugly-far-times', 'first_activity_date_time, last_activity_date_time',
	'0001-01-01 00:00:00+00|10000-01-01 00:00:00+00');
is_column('ugly-numbers', q{additional_data->'most', additional_data->'exact', additional_data->'beyondDouble'},
	'9223372036854775807|0.1000000000000000055511151231257827|9007199254740993');
is($node->result(q{SELECT process_id, parent_process_id FROM defender.process_evidence WHERE alert_id = 'ugly-int64-as-text'}),
	'9223372036854775807|-1', 'an integer that is a string');
is($node->result(q{SELECT id FROM defender.alerts WHERE id = 'odd/../id with space+%2F?#&''é;\\'}), '',
	'an id that no request can carry');

# What has another form than it must have fails, and says where.
$emulator->control('POST', 'ugly', '{"names":["evidence-object"]}');
my $error = $node->error('SELECT ordinal FROM defender.alert_evidence');
is($error->{state}, 'HV024', 'evidence that is no array');
like($error->{message}, qr/"evidence".*"ugly-evidence-object"/, 'which alert that is');
is_column('ugly-evidence-object', q{evidence->>'url'}, 'https://example.test/');
$emulator->control('POST', 'ugly', '{"names":["raw-control"]}');
$error = $node->error('SELECT raw FROM defender.alerts');
is($error->{state}, 'HV024', 'a bare control character');
like($error->{detail}, qr/control character/, 'what is wrong');

done_testing();
