
# Is a lookup by key one request, for the alert with that id and nothing else?
#
# An id is data: whatever is in it, the request asks for the alert of that id
# or is not made at all.  The other clauses of the query still count.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use OddServer;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator);
my $root = '/v1.0/security/alerts_v2';
my $list = qr{^GET $root\?};

$emulator->add_alerts(
	map {
		alert(
			id              => "a$_",
			title           => "Title $_",
			severity        => $_ % 2 ? 'high' : 'low',
			createdDateTime => sprintf('2026-07-01T10:%02d:00Z', $_),
			evidence        => [
				evidence('deviceEvidence', hostName  => "host-$_"),
				evidence('ipEvidence',     ipAddress => "192.0.2.$_")
			],
			comments => [ { comment => "Comment $_" } ])
	} 1 .. 9);
$emulator->clear;

# Does the query give these rows with these requests?
sub check
{
	my ($name, $query, $rows, @requests) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($node->result($query), $rows, $name);

	# several may be under way at once, and come in any order
	return $emulator->is_requests($name, @requests) if grep { ref } @requests;
	is(join("\n", sort $emulator->requests), join("\n", sort @requests), "$name: requests");
	$emulator->clear;
	return;
}

#------------------------------------------------------------------------------
# Where the key's value comes from
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE TABLE watch (alert text, note varchar(20), padded char(4));
INSERT INTO watch VALUES ('a1', 'one', 'a1'), ('a2', 'two', 'a2'), (NULL, 'none', NULL), ('gone', 'gone', 'gone');
CREATE FUNCTION title_sql(key text) RETURNS text LANGUAGE sql AS
	'SELECT title FROM defender.alerts WHERE id = key';
CREATE FUNCTION title_plpgsql(key text) RETURNS text LANGUAGE plpgsql AS
	'BEGIN RETURN (SELECT title FROM defender.alerts WHERE id = key); END';
CREATE FUNCTION stable_key() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'a5' $$;
CREATE FUNCTION volatile_key() RETURNS text LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN 'a5'; END $$;
CREATE VIEW titles AS SELECT id, title FROM defender.alerts;
ANALYZE watch;
SQL

my $select = 'SELECT title FROM defender.alerts WHERE';
check('constant', "$select id = 'a1'", 'Title 1', "GET $root/a1");
check('constant on the left', "$select 'a1' = id", 'Title 1', "GET $root/a1");
check('varchar constant', "$select id = 'a1'::varchar", 'Title 1', "GET $root/a1");
check('no such alert', "$select id = 'gone'", '', "GET $root/gone");
check('constant NULL', "$select id = NULL", '');
check('constant NULL of a type', "$select id = NULL::text", '');
check('expression', "$select id = 'a' || (1 + 1)", 'Title 2', "GET $root/a2");
check('setting', "SET my.key = 'a3'; $select id = current_setting('my.key')",
	'Title 3', "GET $root/a3");
check('stable function', "$select id = stable_key()", 'Title 5', "GET $root/a5");
check('volatile function', "$select id = volatile_key()", 'Title 5', $list);
check('sub-select', "$select id = (SELECT alert FROM watch WHERE note = 'two')",
	'Title 2', "GET $root/a2");
check('sub-select without rows', "$select id = (SELECT alert FROM watch WHERE false)", '');
check('SQL function', q{SELECT title_sql('a4')}, 'Title 4', "GET $root/a4");
check('PL/pgSQL function', q{SELECT title_plpgsql(k) FROM unnest('{a4,NULL,gone}'::text[]) AS k},
	"Title 4\n\n", "GET $root/a4", "GET $root/gone");
check('view', q{SELECT title FROM titles WHERE id = 'a6'}, 'Title 6', "GET $root/a6");

foreach my $mode (qw(force_custom_plan force_generic_plan auto))
{
	check("parameter, $mode",
		"SET plan_cache_mode = $mode; PREPARE p(text) AS $select id = \$1;"
		  . join('', map { "EXECUTE p('a$_');" } 1 .. 7)
		  . "EXECUTE p(NULL); EXECUTE p('gone');",
		join("\n", map { "Title $_" } 1 .. 7),
		(map { "GET $root/a$_" } 1 .. 7), "GET $root/gone");
}

# Outer columns.
my $nested = 'SET enable_hashjoin = off; SET enable_mergejoin = off;'
  . 'SET enable_material = off; SET enable_memoize = off;';
check('outer column',
	"$nested SELECT note, title FROM watch JOIN defender.alerts ON id = alert ORDER BY note",
	"one|Title 1\ntwo|Title 2",
	"GET $root/a1", "GET $root/a2", "GET $root/gone");
check('outer join',
	"$nested SELECT note, title FROM watch LEFT JOIN defender.alerts ON id = alert ORDER BY note",
	"gone|\nnone|\none|Title 1\ntwo|Title 2",
	"GET $root/a1", "GET $root/a2", "GET $root/gone");
check('lateral',
	'SELECT note, t FROM watch, LATERAL (SELECT title || note AS t FROM defender.alerts WHERE id = alert OFFSET 0) AS l',
	"one|Title 1one\ntwo|Title 2two",
	"GET $root/a1", "GET $root/a2", "GET $root/gone");
check('correlated sub-select',
	q{SELECT note, (SELECT title FROM defender.alerts WHERE id = alert) FROM watch WHERE note < 'p'},
	"one|Title 1\nnone|\ngone|", "GET $root/a1", "GET $root/gone");
check('EXISTS', "$nested SELECT note FROM watch WHERE EXISTS "
	  . '(SELECT FROM defender.alerts WHERE id = alert)',
	"one\ntwo", "GET $root/a1", "GET $root/a2", "GET $root/gone");
check('outer column that is computed',
	"$nested SELECT note, title FROM watch JOIN defender.alerts ON id = lower(alert) || '' WHERE note = 'two'",
	'two|Title 2', "GET $root/a2");
is($node->result(q{SELECT a.title, e.host_name FROM defender.alerts a JOIN defender.device_evidence e
	ON e.alert_id = a.id WHERE a.id = 'a3'}), 'Title 3|host-3', 'a join of two tables of one alert');
is(join(' ', grep { $_ ne "GET $root/a3" } $emulator->requests), '', 'a join of two tables of one alert: requests');
$emulator->clear;
is($node->result("$nested SELECT note, a.title, host_name, comment FROM watch
	JOIN defender.alerts a ON a.id = alert JOIN defender.device_evidence e ON e.alert_id = a.id
	JOIN defender.alert_comments c ON c.alert_id = e.alert_id ORDER BY note"),
	"one|Title 1|host-1|Comment 1\ntwo|Title 2|host-2|Comment 2", 'a join of four tables');
$emulator->clear;

# Both are under way at once, so either may come first, as row and as request.
is(join(' ', sort split /\n/, $node->result("$select id = 'a1' UNION ALL $select id = 'a2'")),
	'Title 1 Title 2', 'UNION ALL');
is(join(' ', sort $emulator->requests), "GET $root/a1 GET $root/a2", 'UNION ALL: requests');
$emulator->clear;

#------------------------------------------------------------------------------
# Evidence and comments
#------------------------------------------------------------------------------

check('evidence',
	q{SELECT ordinal, evidence_type, alert_title FROM defender.alert_evidence WHERE alert_id = 'a2'},
	"1|deviceEvidence|Title 2\n2|ipEvidence|Title 2", "GET $root/a2");
check('evidence of a type',
	q{SELECT ordinal, ip_address FROM defender.ip_evidence WHERE alert_id = 'a2'},
	'2|192.0.2.2', "GET $root/a2");
check('comments', q{SELECT alert_id, ordinal, comment FROM defender.alert_comments WHERE alert_id = 'a2'},
	'a2|1|Comment 2', "GET $root/a2");
check('evidence of no alert', q{SELECT * FROM defender.alert_evidence WHERE alert_id = 'gone'},
	'', "GET $root/gone");
check('evidence of NULL', q{SELECT * FROM defender.alert_evidence WHERE alert_id = NULL}, '');
check('evidence by an outer column',
	"$nested SELECT note, host_name FROM watch JOIN defender.device_evidence ON alert_id = alert",
	"one|host-1\ntwo|host-2", "GET $root/a1", "GET $root/a2", "GET $root/gone");

# Columns that are the key under another name, and some that are not.
$node->sql(<<'SQL');
CREATE FOREIGN TABLE renamed (a int OPTIONS (property '.'), k varchar OPTIONS (property 'id'), title text) SERVER graph;
ALTER FOREIGN TABLE renamed DROP COLUMN a;
CREATE FOREIGN TABLE not_key (
	padded char(4) OPTIONS (property 'id'), either text OPTIONS (property 'id|title'),
	nested text OPTIONS (property 'id/id'), folded text OPTIONS (property 'id') COLLATE "C", title text) SERVER graph;
CREATE FOREIGN TABLE own_id (alert_id text, mine text OPTIONS (property '../id'), host_name text)
	SERVER graph OPTIONS (resource 'evidence');
SQL
check('another name', q{SELECT title FROM renamed WHERE k = 'a1'}, 'Title 1', "GET $root/a1");
check('char(n)', q{SELECT title FROM not_key WHERE padded = 'a1'}, 'Title 1', $list);
check('alternatives', q{SELECT title FROM not_key WHERE either = 'a1'}, 'Title 1', $list);
check('nested', q{SELECT title FROM not_key WHERE nested = 'a1'}, '', $list);
check('collation C', q{SELECT title FROM not_key WHERE folded = 'a1'}, 'Title 1', "GET $root/a1");
check('path to the key', q{SELECT host_name FROM own_id WHERE mine = 'a1' AND host_name <> ''},
	'host-1', "GET $root/a1");

SKIP:
{
	skip 'this PostgreSQL knows no ICU', 2
	  if $node->sql(q{SELECT count(*) FROM pg_collation WHERE collprovider = 'i'}) eq '0';
	$node->sql(q{CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false)});
	check('a collation in which other strings are equal',
		"$select id = 'A1' COLLATE folding", 'Title 1', $list);
}

#------------------------------------------------------------------------------
# The other clauses
#------------------------------------------------------------------------------

check('another clause', "$select id = 'a1' AND severity = 'low'", '', "GET $root/a1");
check('another clause that holds', "$select id = 'a1' AND severity = 'high'",
	'Title 1', "GET $root/a1");
check('two ids', "$select id = 'a1' AND id = 'a2'", '');
check('two ids that are not constants',
	"SET my.one = 'a1'; SET my.two = 'a2'; $select id = current_setting('my.one') AND id = current_setting('my.two')",
	'');
check('OR', "$select id = 'a1' OR severity = 'none'", 'Title 1', $list);
check('NOT', "SELECT count(*) FROM defender.alerts WHERE NOT id = 'a1'", 8, $list);
check('<>', "SELECT count(*) FROM defender.alerts WHERE id <> 'a1'", 8, $list);
check('LIKE', "$select id LIKE 'a1'", 'Title 1', $list);
check('false', "$select id = 'a1' AND false", '');
check('a condition on no column', "$select id = 'a1' AND current_setting('is_superuser') = 'no'", '');
check('LIMIT 0', "$select id = 'a1' LIMIT 0", '');
check('a column of the same row', "$select id = title", '', $list);
like($node->result("EXPLAIN (VERBOSE, COSTS OFF) $select id = 'a1' AND severity = 'low'"),
	qr{^  Filter: .*'a1'.*'low'.*^  Graph Request: GET /security/alerts_v2/a1$}ms, 'EXPLAIN');
$emulator->is_requests('EXPLAIN');
check('a cursor read to and fro', "BEGIN; DECLARE c SCROLL CURSOR FOR $select id = 'a1';"
	  . 'FETCH c; FETCH c; FETCH BACKWARD c; COMMIT', "Title 1\nTitle 1", "GET $root/a1");

#------------------------------------------------------------------------------
# Ids that are hostile
#------------------------------------------------------------------------------

# Those that no request can carry, safely or at all, so that no alert has them:
# Graph takes a path apart at an encoded slash, too.  None is made.
my %refused = (
	'empty'            => '',
	'dot'              => '.',
	'dots'             => '..',
	'up'               => '../users',
	'down and up'      => 'x/../../users',
	'ends in dots'     => 'x/..',
	'backslash and up' => '..\users',
	'encoded dots'     => '%2e%2e',
	'encoded up'       => '..%2fusers',
	'dot and slash'    => './a1',
	'slash'            => 'a/b',
	'not available'    => 'N/A',
	'backslash'        => 'a\b',
	'header and path'  => "a HTTP/1.1\r\nHost: x",
	'URL'              => 'http://a@b:1/',
	'very long'        => 'x' x 10_240);

# Those that one can.
my %asked = (
	'query'          => [ 'a?$top=1',      'a%3F%24top%3D1' ],
	'only a query'   => [ '?$filter=a',    '%3F%24filter%3Da' ],
	'quote'          => [ q{o'brien},      'o%27brien' ],
	'double quote'   => [ 'say "no"',      'say%20%22no%22' ],
	'newline'        => [ "a\nb",          'a%0Ab' ],
	'header'         => [ "a\r\nHost: x",  'a%0D%0AHost%3A%20x' ],
	'tab'            => [ "a\tb",          'a%09b' ],
	'percent'        => [ '100%',          '100%25' ],
	'encoded slash'  => [ 'a%2fb',         'a%252fb' ],
	'encoded twice'  => [ '%252e%252e',    '%25252e%25252e' ],
	'encoded letter' => [ '%61',           '%2561' ],
	'hash'           => [ '#a',            '%23a' ],
	'space'          => [ ' a ',           '%20a%20' ],
	'blank'          => [ ' ',             '%20' ],
	'plus'           => [ 'a+b',           'a%2Bb' ],
	'ampersand'      => [ 'a&b=c;d',       'a%26b%3Dc%3Bd' ],
	'brackets'       => [ q{('a')},        '%28%27a%27%29' ],
	'at and colon'   => [ 'x:a@b:1',       'x%3Aa%40b%3A1' ],
	'dots and more'  => [ '...',           '...' ],
	'dot at the end' => [ 'a..',           'a..' ],
	'unicode'        => [ "\xc3\xa9\xe6\x97\xa5\xf0\x9f\x92\xa3", '%C3%A9%E6%97%A5%F0%9F%92%A3' ],
	'control'        => [ "\x01\x7f",      '%01%7F' ],
	'a kilobyte'     => [ 'x' x 1024,      'x' x 1024 ]);

# An SQL literal.
sub literal
{
	my ($text) = @_;
	return "'" . $text =~ s/'/''/gr . "'";
}

foreach my $name (sort keys %refused)
{
	my $id = literal($refused{$name});
	check("$name", "$select id = $id", '');
	check("$name, evidence", "SELECT * FROM defender.alert_evidence WHERE alert_id = $id", '');
}

foreach my $name (sort keys %asked)
{
	my ($id, $encoded) = @{ $asked{$name} };
	my $literal = literal($id);
	my $decoded = $id;

	check("$name, no such alert", "$select id = $literal", '', "GET $root/$encoded");
	utf8::decode($decoded);
	$emulator->add_alerts(alert(id => $decoded, title => "The $name",
			evidence => [ evidence('urlEvidence', url => 'u') ]));
	check($name, "$select id = $literal", "The $name", "GET $root/$encoded");
	check("$name, evidence",
		"SELECT alert_id = $literal, url FROM defender.url_evidence WHERE alert_id = $literal",
		't|u', "GET $root/$encoded");
}
is($node->result('SELECT count(*) FROM defender.alerts'),
	9 + scalar(keys %asked), 'the list has them all');
$emulator->clear;

# One that cannot be hides no other one, however they come.
foreach my $junk (qw(N/A / \\ .. $count), '')
{
	my $ids = "ARRAY[" . literal($junk) . ", 'a1', 'gone', 'a3']";

	foreach my $plan ("$select id = ANY ($ids)", "$select id = 'a1' OR id = 'a3' OR id = " . literal($junk),
		"SET plan_cache_mode = force_generic_plan; PREPARE p(text[]) AS $select id = ANY (\$1); EXECUTE p($ids)",
		"$nested SELECT title FROM unnest($ids) AS u(k) JOIN defender.alerts ON id = k")
	{
		is(join(' ', sort split /\n/, $node->result($plan)), 'Title 1 Title 3', "'$junk' among others: $plan");
		is(join(' ', grep { !m{/a1$|/a3$|/gone$} } $emulator->requests), '', "'$junk' is not asked for");
		$emulator->clear;
	}
}

# One that the service finds malformed, which it says with 400, is no alert's;
# where it has not answered before, it is asked for something that it must know.
foreach my $query ("$select id = ANY ('{a1,odd,a3}')", "$select id = 'odd'")
{
	$emulator->fault(kind => 'status', code => 400, path => '/odd', times => -1, error => 'BadRequest', message => 'Malformed.');
	is(join(' ', sort split /\n/, $node->result($query)), $query =~ /ANY/ ? 'Title 1 Title 3' : '', "an id that is refused: $query");
	my @others = grep { !m{/(?:a1|odd|a3)$} } $emulator->requests;
	cmp_ok(scalar(@others), $query =~ /ANY/ ? '<=' : '==', 1, 'an id that is refused: whether the service answers otherwise');
	$emulator->no_fault;
	$emulator->clear;
}
$emulator->fault(kind => 'status', code => 400, times => -1, error => 'BadRequest', message => 'Malformed.');
like($node->result("$select id = 'a1'"), qr/ERROR:.*status 400/, 'a service that refuses everything');
$emulator->no_fault;
$emulator->clear;

# What is a resource of its own below a collection, and no alert.
foreach my $segment ('$count', '$value', '$ref')
{
	my (undef, $rows, $error) = $node->psql('postgres', "$select id = '$segment'");

	is("$rows$error", '', "$segment is no alert");
	$emulator->is_requests($segment);
}

#------------------------------------------------------------------------------
# The answer: the alert as a list has it, without what belongs to the envelope
#------------------------------------------------------------------------------

my $rest = '"id":"k","title":"T","additionalData":{"@odata.context":"inner"}';
my $whole = '{"id": "k", "title": "T", "additionalData": {"@odata.context": "inner"}}';
my @answers = (
	[ 'no context'                => "{$rest}" ],
	[ 'a context'                 => qq({"\@odata.context":"https://graph.example/\$metadata#a/\$entity",$rest}) ],
	[ 'blanks'                    => qq( \r\n{ "\@odata.context"\t: "x"\n ,\n$rest}\n) ],
	[ 'a byte order mark'         => qq(\xEF\xBB\xBF{"\@odata.context":"x",$rest}) ],
	[ 'a mark and no context'     => qq(\xEF\xBB\xBF{$rest}) ],
	[ 'escapes in the key'        => qq({"\\u0040odata.\\u0063ontext":"x",$rest}) ],
	[ 'escapes in the URL'        => qq({"\@odata.context":"https:\\/\\/x\\/\\u0024metadata\\"},{\\"id\\":\\"z\\",",$rest}) ],
	[ 'a context that is null'    => qq({"\@odata.context":null,$rest}) ],
	[ 'a context that is a number' => qq({"\@odata.context":-1.5e3,$rest}) ],
	[ 'a context that is an object' => qq({"\@odata.context":{"a":["}",{"id":"z"}]},$rest}) ],
	[ 'a longer name'             => qq({"\@odata.contexts":"x",$rest}), '{"@odata.contexts": "x"}' ],
	[ 'a shorter name'            => qq({"\@odata":"x",$rest}), '{"@odata": "x"}' ],
	[ 'a zero in the name'        => qq({"\@odata.context\\u0000":"x",$rest}), qq({"\@odata.context\xEF\xBF\xBD": "x"}) ],
	[ 'a context that comes last' => qq({$rest,"\@odata.context":"x"}), '{"@odata.context": "x"}' ]);
my @broken = (
	[ 'a context alone'       => '{"@odata.context":"x"}', 'An alert has no "id".' ],
	[ 'a context without end' => '{"@odata.context":"x', 'The answer ends in the middle of the alert.' ],
	[ 'no value'              => '{"@odata.context":}', 'unexpected character' ],
	[ 'nothing after it'      => '{"@odata.context":"x",}', 'An alert has no "id".' ],
	[ 'no comma'              => qq({"\@odata.context":"x"$rest}), 'unexpected character' ],
	[ 'an array'              => qq(["\@odata.context",{$rest}]), 'An alert has no "id".' ],
	[ 'blanks only'           => '  ', 'The answer ends in the middle of the alert.' ],
	[ 'a key without end'     => '{"@odata.context', 'The answer ends in the middle of the alert.' ]);
my $document = '{"@odata.context":"x","id":"cut","title":"\\u00e9\\\\","x":[-0.5e+3,true,{"a":null},[],{},false],"y":{"z":"1","w":[0]}}';
my @bad = (
	[ '"\x"'     => 'invalid escape in a string' ],
	[ '"\u12g4"' => 'invalid escape in a string' ],
	[ "\"\t\""   => 'control character in a string' ],
	map({ [ $_ => 'invalid number' ] } '-', '-x', '1.', '1.x', '1e', '1e+', '-.5'),
	map({ [ $_ => 'invalid literal' ] } 'tru', 'nil', 'truE', 'falsy'),
	map({ [ $_ => 'unexpected character' ] } '', 'x', '+1', '01', '.5', '[1 2]', '[1,]', '[,1]', '[1}', '{"a":1]', '{"a"}', '{"a",1}', '{a:1}', '{"a":}', '{"a":1,}', '{1:1}', '{:1}', '"a" "b"', '1true'),
	map({ [ $_ => 'nested too deeply' ] } '[' x 128 . ']' x 128, '{"a":' x 128 . '1' . '}' x 128));
my $server = OddServer->new(
	sub {
		my ($socket, $request) = @_;
		my ($kind, $number) = $request =~ m{^GET /(\w+)/(\d+)/};

		OddServer::answer($socket, 200,
			$request =~ m{/cut(\d+) } ? substr($document, 0, $1)
			: $request =~ m{/bad(\d+) } ? qq({"id":"bad$1","title":$bad[$1][0]})
			: $kind eq 'whole' ? $answers[$number][1] : $broken[$number][1]);
	},
	read => 1);

$node->set_server(max_retries => 0);
foreach my $i (0 .. $#answers)
{
	my ($name, undef, $more) = @{ $answers[$i] };

	$more //= '{}';
	$node->set_server(endpoint => $server->url . "/whole/$i");
	is($node->result("SELECT title, raw = '$whole'::jsonb || '$more', raw ? '\@odata.context' FROM defender.alerts WHERE id = 'k'"),
		'T|t|' . ($name =~ /last/ ? 't' : 'f'), "answer to a key: $name");
}
foreach my $i (0 .. $#broken)
{
	my ($name, undef, $detail) = @{ $broken[$i] };

	$node->set_server(endpoint => $server->url . "/broken/$i");
	like($node->error(q{SELECT raw FROM defender.alerts WHERE id = 'k'})->{detail}, qr/\Q$detail\E/, "answer to a key: $name");
}

# One that ends anywhere, and one that is wrong somewhere.
is($node->sql("SELECT string_agg(n || ' ' || coalesce(query_error(format('SELECT raw FROM defender.alerts WHERE id = %L', 'cut' || n))->>'detail', 'nothing'), ', ')
	FROM generate_series(1, @{[ length($document) - 1 ]}) AS n"),
	join(', ', map { "$_ The answer ends in the middle of the alert." } 1 .. length($document) - 1), 'answer to a key: cut anywhere');
foreach my $i (0 .. $#bad)
{
	my ($value, $detail) = @{ $bad[$i] };

	like($node->error("SELECT raw FROM defender.alerts WHERE id = 'bad$i'")->{detail}, qr/\Q$detail\E/,
		'answer to a key: ' . (length $value > 20 ? substr($value, 0, 20) . '...' : $value));
}
is($node->error(q{SELECT raw FROM defender.alerts WHERE id = 'bad0'})->{state}, 'HV024', 'answer to a key: the state of what is wrong');

done_testing();
