
# Does a value reach a column of any type, whole or with a clear error?
#
# Tables of a user's own pick properties in any order and of any type.  The
# alert that is read here has a value for each case.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(evidence);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator);

$emulator->add_alerts(<<'JSON');
{"id": "t1", "title": "A title", "severity": "high", "incidentId": "28282", "assignedTo": null,
 "createdDateTime": "2026-07-01T10:00:00.1234567Z", "systemTags": ["a", "b"],
 "additionalData": {
  "zero": 0, "minus": -1, "one": 1, "int2": 32767, "int4": -2147483648, "int8": 9223372036854775807,
  "least": -9223372036854775808, "over": 9223372036854775808, "beyondDouble": 9007199254740993,
  "digits": 123456789012345678901234567890.123456789012345678901234567890, "text_number": "9007199254740993",
  "tenth": 0.1, "half": 1.5, "long_tenth": 0.1000000000000000055511151231257827, "hundred": 1e2, "huge": 1e400,
  "minus_zero": -0.0, "third": 1.239, "true": true, "false": false, "yes": "yes", "nil": null, "empty": "",
  "word": "abcdef", "short": "ab", "spaces": "ab    ", "umlaut": "\u00fc\u00f6\u00e4", "mood": "happy",
  "uuid": "B3C1B5FC-828C-45FA-A1E1-10D74F6D6E9C", "ip": "192.0.2.1", "ip6": "2001:db8::1", "net": "10.0.0.0/8",
  "mac": "00-11-22-AA-BB-CC", "date": "2026-07-01", "time": "10:20:30.5", "day": "1 day 02:00:00",
  "instant": "2026-07-01T10:20:30.1234565Z", "offset": "2026-07-01T10:20:30+02:00", "zero_day": "2026-07-01T00:00:00Z",
  "last": "9999-12-31T23:59:59.9999999Z", "leap": "2024-02-29T23:59:60Z", "no_day": "2026-02-30T00:00:00Z",
  "hex": "\\xdead", "pair": "(1,\"two, three\")", "range": "[1,5)", "point": "(1,2)",
  "object": {"b": 1.50, "a": [1, 2], "b": 2}, "list": ["x", null, "y,z", "{}", "\"", "", "NULL", 1, {"a": [1]}],
  "uuids": ["b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c"], "ints": [1, null, "3"], "bigs": [9223372036854775807, -1],
  "nested": [[1, 2], [3]], "none": [], "instants": ["2026-07-01T10:00:00Z"], "words": ["happy", "sad"],
  "pairs": ["(1,x)"], "Mixed Case/step": 7},
 "evidence": [
  {"@odata.type": "#microsoft.graph.security.deviceEvidence", "hostName": "ws-1", "osBuild": 22424,
   "vmMetadata": {"vmId": "vm-1"}, "severity": "own"},
  {"@odata.type": "#microsoft.graph.security.ipEvidence", "ipAddress": "192.0.2.7"}]}
JSON

$node->sql(<<'SQL');
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (n integer, t text);
CREATE DOMAIN present AS text NOT NULL;
CREATE DOMAIN small AS integer CHECK (VALUE < 100);
CREATE DOMAIN tiny AS small CHECK (VALUE > 0);
CREATE DOMAIN three AS varchar(3);
CREATE DOMAIN words AS text[] CHECK (cardinality(VALUE) < 3);

-- The value at a path as a column of a type, or "SQLSTATE: message".
CREATE FUNCTION probe(type text, path text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE probe (c %s OPTIONS (property %L), id text) SERVER graph',
				   type, 'additionalData/' || path);
	EXECUTE $q$ SELECT COALESCE(c::text, 'NULL') FROM probe WHERE id = 't1' $q$ INTO result;
	DROP FOREIGN TABLE probe;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
SQL

#------------------------------------------------------------------------------
# Every type
#------------------------------------------------------------------------------

# Type, property, value or error.
my @cases = (
	[ 'text',       'word',   'abcdef' ],
	[ 'text',       'empty',  '' ],
	[ 'text',       'nil',   'NULL' ],
	[ 'text',       'absent', 'NULL' ],
	[ 'text',       'true',   'true' ],
	[ 'text',       'digits', '123456789012345678901234567890.123456789012345678901234567890' ],
	[ 'text',       'hundred', '1e2' ],
	[ 'text',       'object', '{"b": 1.50, "a": [1, 2], "b": 2}' ],
	[ 'text',       'ints',   '[1, null, "3"]' ],
	[ 'text',       'word/deeper', 'NULL' ],
	[ 'text',       'list/0', 'NULL' ],
	[ 'text',       'object/b', '2' ],
	[ 'name',       'word',   'abcdef' ],
	[ 'varchar',    'word',   'abcdef' ],
	[ 'varchar(6)', 'word',   'abcdef' ],
	[ 'varchar(3)', 'umlaut', "\xc3\xbc\xc3\xb6\xc3\xa4" ],
	[ 'varchar(3)', 'spaces', 'ab ' ],
	[ 'varchar(3)', 'word',   '22001: value too long for type character varying(3)' ],
	[ 'char(4)',    'short',  'ab' ],
	[ 'char(4)',    'word',   '22001: value too long for type character(4)' ],
	[ '"char"',     'short',  'a' ],
	[ 'bytea',      'hex',    '\xdead' ],
	[ 'mood',       'mood',   'happy' ],
	[ 'mood',       'word',   '22P02: invalid input value for enum mood: "abcdef"' ],
	[ 'mood',       'nil',   'NULL' ],
	[ 'present',    'word',   'abcdef' ],
	[ 'present',    'nil',   '23502: domain present does not allow null values' ],
	[ 'present',    'absent', '23502: domain present does not allow null values' ],
	[ 'small',      'one',    '1' ],
	[ 'small',      'int2',   '23514: value for domain small violates check constraint "small_check"' ],
	[ 'tiny',       'one',    '1' ],
	[ 'tiny',       'minus',  '23514: value for domain tiny violates check constraint "tiny_check"' ],
	[ 'three',      'short',  'ab' ],
	[ 'three',      'word',   '22001: value too long for type character varying(3)' ],
	[ 'smallint',   'int2',   '32767' ],
	[ 'smallint',   'int4',   qr/^22003: .*-2147483648.* out of range/ ],
	[ 'integer',    'int4',   '-2147483648' ],
	[ 'integer',    'int8',   qr/^22003: .*9223372036854775807.* out of range/ ],
	[ 'integer',    'half',   qr/^22P02: .*"1\.5"/ ],
	[ 'integer',    'hundred', qr/^22P02: .*"1e2"/ ],
	[ 'integer',    'word',   qr/^22P02: .*"abcdef"/ ],
	[ 'integer',    'empty',  qr/^22P02: .*""/ ],
	[ 'bigint',     'int8',   '9223372036854775807' ],
	[ 'bigint',     'least',  '-9223372036854775808' ],
	[ 'bigint',     'over',   qr/^22003: .*9223372036854775808.* out of range/ ],
	[ 'bigint',     'beyondDouble', '9007199254740993' ],
	[ 'bigint',     'text_number',  '9007199254740993' ],
	[ 'bigint',     'zero',   '0' ],
	[ 'oid',        'int2',   '32767' ],
	[ 'numeric',    'digits', '123456789012345678901234567890.123456789012345678901234567890' ],
	[ 'numeric',    'long_tenth', '0.1000000000000000055511151231257827' ],
	[ 'numeric',    'hundred', '100' ],
	[ 'numeric(5,2)', 'third', '1.24' ],
	[ 'numeric(5,2)', 'int2', '22003: numeric field overflow' ],
	[ 'real',       'tenth',  '0.1' ],
	[ 'float8',     'tenth',  '0.1' ],
	[ 'float8',     'long_tenth', '0.1' ],
	[ 'float8',     'hundred', '100' ],
	[ 'float8',     'minus_zero', '-0' ],
	[ 'float8',     'huge',   '22003: "1e400" is out of range for type double precision' ],
	[ 'boolean',    'true',   'true' ],
	[ 'boolean',    'false',  'false' ],
	[ 'boolean',    'yes',    'true' ],
	[ 'boolean',    'one',    'true' ],
	[ 'boolean',    'word',   '22P02: invalid input syntax for type boolean: "abcdef"' ],
	[ 'uuid',       'uuid',   'b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c' ],
	[ 'uuid',       'word',   '22P02: invalid input syntax for type uuid: "abcdef"' ],
	[ 'inet',       'ip',     '192.0.2.1/32' ],
	[ 'inet',       'ip6',    '2001:db8::1/128' ],
	[ 'inet',       'empty',  '22P02: invalid input syntax for type inet: ""' ],
	[ 'cidr',       'net',    '10.0.0.0/8' ],
	[ 'macaddr',    'mac',    '00:11:22:aa:bb:cc' ],
	[ 'date',       'date',   '2026-07-01' ],
	[ 'date',       'instant', '2026-07-01' ],
	[ 'time',       'time',   '10:20:30.5' ],
	[ 'interval',   'day',    '1 day 02:00:00' ],
	[ 'timestamp',  'instant', '2026-07-01 10:20:30.123456' ],
	[ 'timestamptz', 'instant', '2026-07-01 10:20:30.123456+00' ],
	[ 'timestamptz', 'offset', '2026-07-01 08:20:30+00' ],
	[ 'timestamptz', 'date',  '2026-07-01 00:00:00+00' ],
	[ 'timestamptz', 'last',  '10000-01-01 00:00:00+00' ],
	[ 'timestamptz', 'leap',  '2024-03-01 00:00:00+00' ],
	[ 'timestamptz', 'no_day', '22008: date/time field value out of range: "2026-02-30T00:00:00Z"' ],
	[ 'timestamptz', 'word',  '22007: invalid input syntax for type timestamp with time zone: "abcdef"' ],
	[ 'timestamptz', 'one',   qr/^22/ ],
	[ 'timestamptz(0)', 'instant', '2026-07-01 10:20:30+00' ],
	[ 'jsonb',      'object', '{"a": [1, 2], "b": 2}' ],
	[ 'jsonb',      'digits', '123456789012345678901234567890.123456789012345678901234567890' ],
	[ 'jsonb',      'word',   '"abcdef"' ],
	[ 'jsonb',      'nil',   'NULL' ],
	[ 'json',       'object', '{"b": 1.50, "a": [1, 2], "b": 2}' ],
	[ 'json',       'hundred', '1e2' ],
	[ 'point',      'point',  '(1,2)' ],
	[ 'int4range',  'range',  '[1,5)' ],
	[ 'pair',       'pair',   '(1,"two, three")' ],
	[ 'pair',       'object', qr/^22P02: malformed record literal/ ],
	[ 'text[]',     'list',   '{x,NULL,"y,z","{}","\"","","NULL",1,"{\"a\": [1]}"}' ],
	[ 'text[]',     'none',   '{}' ],
	[ 'text[]',     'nil',   'NULL' ],
	[ 'text[]',     'word',   qr/^HV004: cannot convert a JSON string to type text\[\]/ ],
	[ 'text[]',     'object', qr/^HV004: cannot convert a JSON object to type text\[\]/ ],
	[ 'text[]',     'nested', '{"[1, 2]",[3]}' ],
	[ 'int[]',      'nested', qr/^22P02: .*"\[1, 2\]"/ ],
	[ 'int[]',      'ints',   '{1,NULL,3}' ],
	[ 'bigint[]',   'bigs',   '{9223372036854775807,-1}' ],
	[ 'int[]',      'bigs',   qr/^22003: / ],
	[ 'uuid[]',     'uuids',  '{b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c}' ],
	[ 'timestamptz[]', 'instants', '{"2026-07-01 10:00:00+00"}' ],
	[ 'jsonb[]',    'list',   '{"\"x\"",NULL,"\"y,z\"","\"{}\"","\"\\\\\"\"","\"\"","\"NULL\"",1,"{\"a\": [1]}"}' ],
	[ 'varchar(3)[]', 'words', '22001: value too long for type character varying(3)' ],
	[ 'mood[]',     'words',  '{happy,sad}' ],
	[ 'small[]',    'ints',   '{1,NULL,3}' ],
	[ 'present[]',  'ints',   '23502: domain present does not allow null values' ],
	[ 'words',      'words',  '{happy,sad}' ],
	[ 'words',      'list',   '23514: value for domain words violates check constraint "words_check"' ],
	[ 'pair[]',     'pairs',  '{"(1,x)"}' ]);

my @probed = split /\x02/, $node->sql(
	"SET TimeZone = 'UTC'; SELECT string_agg(probe(type, path), e'\\x02' ORDER BY o) FROM unnest('{"
	  . join(',', map { $_->[0] =~ s/"/\\"/gr =~ s/.*/"$&"/r } @cases) . "}'::text[], '{"
	  . join(',', map { $_->[1] } @cases)
	  . "}'::text[]) WITH ORDINALITY AS t(type, path, o)"), -1;

foreach my $case (@cases)
{
	my ($type, $path, $expected) = @$case;
	my $value = shift @probed;

	if (ref $expected) { like($value, $expected, "$type, $path"); }
	else { is($value, $expected, "$type, $path"); }
}

# Nothing that a session may set changes a value.
$node->sql(<<'SQL');
CREATE FOREIGN TABLE times (
	i timestamptz OPTIONS (property 'additionalData/instant'), t timestamp OPTIONS (property 'additionalData/instant'),
	d date OPTIONS (property 'additionalData/instant'), f float8 OPTIONS (property 'additionalData/tenth')) SERVER graph;
SQL
foreach my $setting ("TimeZone = 'Asia/Kathmandu'", "TimeZone = 'America/St_Johns'",
	"DateStyle = 'SQL, DMY'", "DateStyle = 'German'", 'extra_float_digits = -15',
	'standard_conforming_strings = off')
{
	# 19 has no other strings
	next if $setting =~ /^standard_conforming_strings/ && $node->sql('SHOW server_version_num') >= 190000;
	is( $node->result("SET $setting; SELECT extract(epoch FROM i), t - timestamp 'epoch', d - date 'epoch', f = 0.1 FROM times"),
		'1782901230.123456|20635 days 10:20:30.123456|20635|t', $setting);
}

#------------------------------------------------------------------------------
# Shapes of tables
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE FOREIGN TABLE odd (
	"systemTags" text[], gone1 jsonb, SEVERITY text, "Created_Date_Time" timestamptz, gone2 text, title varchar(10),
	whole jsonb OPTIONS (property '.'), "Mixed" int OPTIONS (property 'additionalData/nil|additionalData/one'),
	either text OPTIONS (property 'assignedTo|nothing/at/all|title|severity'), id text,
	fixed text DEFAULT 'unused', incidentid int NOT NULL) SERVER graph;
ALTER FOREIGN TABLE odd DROP COLUMN gone1, DROP COLUMN gone2, DROP COLUMN fixed,
	ADD COLUMN last_one text OPTIONS (property 'status');
CREATE FOREIGN TABLE inside (
	severity text OPTIONS (property 'severity'), parent text OPTIONS (property '../severity'), alert jsonb OPTIONS (property '..'),
	whole json OPTIONS (property '.'), place bigint OPTIONS (property 'ordinal'), kind text OPTIONS (property 'evidenceType'),
	vm text OPTIONS (property 'vmMetadata/vmId'), name text OPTIONS (property 'hostName|ipAddress|../title'), alert_id text,
	"alertTitle" text, incident_id int, tag text[] OPTIONS (property '../systemTags')) SERVER graph OPTIONS (resource 'evidence');
CREATE TABLE parent (title text, severity text);
CREATE FOREIGN TABLE child (id text, severity text, title text) INHERITS (parent) SERVER graph;
CREATE FOREIGN TABLE generated (title text,
	shout text OPTIONS (property 'title') GENERATED ALWAYS AS (upper(title)) STORED) SERVER graph;
CREATE FOREIGN TABLE no_columns () SERVER graph;
SQL
is( $node->result(q{SET TimeZone = 'UTC'; SELECT "systemTags", severity, "Created_Date_Time", title, whole->>'id', "Mixed", either, id, incidentid, last_one IS NULL FROM odd}),
	'{a,b}|high|2026-07-01 10:00:00.123457+00|A title|t1|1|A title|t1|28282|t',
	'columns in any order and of any spelling');
is($node->result('SELECT o.*, o FROM odd AS o') =~ s/\|.*//sr, '{a,b}', 'all of them, and a whole row');
is( $node->result(q{SELECT severity, parent, alert->>'id', whole->>'hostName', place, kind, vm, name, alert_id, "alertTitle", incident_id, tag FROM inside}),
	"own|high|t1|ws-1|1|deviceEvidence|vm-1|ws-1|t1|A title|28282|{a,b}\n"
	  . '|high|t1||2|ipEvidence||192.0.2.7|t1|A title|28282|{a,b}',
	'an element and its alert');
is($node->result('SELECT title, severity FROM parent'), 'A title|high', 'a child table');
is($node->result('SELECT title, shout FROM generated'), 'A title|A title',
	'a generated column is what the property says');
is($node->result('SELECT count(*), count(n) FROM no_columns n'), '1|1', 'no columns');

#------------------------------------------------------------------------------
# Values that do not fit, and properties that cannot be
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE FOREIGN TABLE misfit (id text, title text, bad uuid OPTIONS (property 'title')) SERVER graph;
CREATE FOREIGN TABLE misfit_inside (bad int OPTIONS (property 'hostName|ipAddress'), place int OPTIONS (property 'ordinal'))
	SERVER graph OPTIONS (resource 'evidence');
CREATE FOREIGN TABLE misnamed (id text, nonsense text) SERVER graph;
SQL
my $error = $node->error('SELECT bad FROM misfit');
is($error->{state}, '22P02', 'a value that does not fit');
like($error->{context}, qr/^column "bad" of foreign table "misfit", alert "t1"$/m, 'which value that is');
like($node->error('SELECT bad FROM misfit_inside')->{context},
	qr/^column "bad" of foreign table "misfit_inside", alert "t1"$/m, 'which value of an element');
is($node->result(q{SELECT title FROM misfit WHERE id = 't1'}), 'A title', 'unless nobody asks for it');
is($node->result('SELECT count(place) FROM misfit_inside'), 2, 'nor in an element');

$error = $node->error('SELECT * FROM misnamed');
is($error->{state}, 'HV005', 'a column that matches nothing');
like($error->{message}, qr/"nonsense".*"misnamed"/, 'its name');
like($error->{hint}, qr/"property"/, 'what to do');

foreach my $path ('', '/a', 'a/', 'a//b', 'a||b', '|a', 'a|', 'a/..', '../../a', './a', 'a/./b', '../')
{
	is($node->error("CREATE FOREIGN TABLE bad (a text OPTIONS (property '$path')) SERVER graph")->{state},
		'HV024', "no path: '$path'");
}
foreach my $path ('..', '../title', 'title|../title')
{
	$node->sql("DROP FOREIGN TABLE IF EXISTS orphan; CREATE FOREIGN TABLE orphan (a text OPTIONS (property '$path')) SERVER graph");
	$error = $node->error('SELECT * FROM orphan');
	is($error->{state}, 'HV024', "an alert has no parent: '$path'");
	like($error->{text}, qr/"a".*"orphan".*no parent/s, "the column is named: '$path'");
}

done_testing();
