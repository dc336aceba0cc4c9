
# Does a scan give every row when others run between its rows?
#
# A row is read from bytes that a transfer keeps.  Whoever waits lets all
# transfers go on, so these bytes are in danger each time that something else
# is asked between two rows of a record, or between two values of a row: in a
# loop, between two cursors, in a function, in a check constraint.  Here the
# lists arrive slowly and in small pieces, so that there is always something
# to receive, and each row and each value is compared with what the service
# was given.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(alert evidence);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $ALERTS   = 100;
my $EVIDENCE = 30;           # of each alert
my $COMMENTS = 5;
my $PIECE    = 9000;         # bytes that arrive together
my $PAUSE    = 20;           # milliseconds between two pieces

#------------------------------------------------------------------------------
# The alerts, and copies of them that owe nothing to the extension
#------------------------------------------------------------------------------

# The lengths differ, so that a row that is read from the wrong place is wrong;
# and what is asked for of any of them is more than a transfer keeps at a time.
sub device { my ($a, $e) = @_; return sprintf '%s-%d-%d.contoso.test', 'h' x (1 + ($a * 7 + $e * 13) % 40), $a, $e }
sub title { my ($a) = @_; return "Alert $a " . 't' x (1500 + $a % 23) }
sub comment { my ($a, $c) = @_; return "Comment $c of $a " . 'c' x (400 + ($a + $c) % 17) }
sub severity { my ($a) = @_; return is_large($a) ? 'informational' : (qw(high low low low low medium))[ $a % 6 ] }

# Some are larger than any window, so that room is made for them.
sub is_large { my ($a) = @_; return $a % 25 == 2 }

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample', '--set', 'gzip=false');
my (@alerts, @copy);

push @copy, map { "CREATE TABLE local.$_;" } 'alerts (id text, title text, severity text)',
	'device_evidence (alert_id text, ordinal int, device_dns_name text, host_name text, alert_title text, alert_severity text)',
	'alert_comments (alert_id text, ordinal int, comment text)';
foreach my $a (1 .. $ALERTS)
{
	my $host = is_large($a) ? 'long' x 1300 : "host-$a";
	my ($title, $severity) = (title($a), severity($a));

	push @alerts, alert(id => "a$a", title => $title, severity => $severity,
		createdDateTime => sprintf('2026-07-01T%02d:%02d:00Z', 23 - int($a / 60), 59 - $a % 60),
		evidence => [ map { evidence('deviceEvidence', deviceDnsName => device($a, $_), hostName => "$host-$_", remediationStatusDetails => 'r' x 200) } 1 .. $EVIDENCE ],
		comments => [ map { { comment => comment($a, $_), createdByDisplayName => 'x', createdDateTime => '2026-07-02T00:00:00Z' } } 1 .. $COMMENTS ]);
	push @copy, "INSERT INTO local.alerts VALUES ('a$a', '$title', '$severity');",
		map({ my $device = device($a, $_); "INSERT INTO local.device_evidence VALUES ('a$a', $_, '$device', '$host-$_', '$title', '$severity');" } 1 .. $EVIDENCE),
		map({ my $comment = comment($a, $_); "INSERT INTO local.alert_comments VALUES ('a$a', $_, '$comment');" } 1 .. $COMMENTS);
}
$emulator->set_alerts(@alerts);

# The table is asked for in the path: a list has "alerts_v2?", a lookup
# "alerts_v2/".
sub slow
{
	my ($pause) = @_;

	$emulator->no_fault;
	$emulator->fault(kind => 'trickle', path => 'alerts_v2?', bytes => $PIECE, ms => $pause, times => -1);
	$emulator->fault(kind => 'latency', path => 'alerts_v2/', ms => 2, times => -1);
	return;
}

#------------------------------------------------------------------------------
# Two servers, and whatever can run between two rows
#------------------------------------------------------------------------------

my $node = GraphCluster->connected_to($emulator, conf => "fsync = off\njit = off\nrestart_after_crash = on",
	server => { max_retries => 0 });
my $other = options(endpoint => $emulator->url . '/at/other', max_retries => 0);

$node->sql(<<"SQL");
CREATE SERVER other FOREIGN DATA WRAPPER graph_fdw $other;
CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (access_token 'emulator-access-token');
CREATE SCHEMA other;
IMPORT FOREIGN SCHEMA security FROM SERVER other INTO other;
CREATE SCHEMA local;
BEGIN;
@copy
COMMIT;
CREATE VIEW local.joined AS SELECT a.id, a.title, e.ordinal, e.device_dns_name, c.ordinal AS comment_ordinal, c.comment
	FROM local.alerts a JOIN local.device_evidence e ON e.alert_id = a.id JOIN local.alert_comments c ON c.alert_id = a.id;
CREATE VIEW defender.joined AS SELECT a.id, a.title, e.ordinal, e.device_dns_name, c.ordinal AS comment_ordinal, c.comment
	FROM defender.alerts a JOIN defender.device_evidence e ON e.alert_id = a.id JOIN defender.alert_comments c ON c.alert_id = a.id;
SQL
$node->sql(<<'SQL');
CREATE TABLE got (a text, b text, c text, d text, e text, f text);

CREATE FUNCTION title_of(wanted text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT title FROM defender.alerts WHERE id = wanted);
END $$;

-- another list, read to its end or not
CREATE FUNCTION number_of(level text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT count(*) FROM (SELECT title FROM other.alerts WHERE severity = level OFFSET 0) AS a);
END $$;

CREATE FUNCTION is_all(level text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN number_of(level) = (SELECT count(*) FROM local.alerts WHERE severity = level);
END $$;

-- rows of one query, and for each what another has
CREATE FUNCTION looped(query text, inner_query text) RETURNS SETOF got LANGUAGE plpgsql AS $$
DECLARE
	r got;
	x got;
BEGIN
	FOR r IN EXECUTE query LOOP
		FOR x IN EXECUTE inner_query USING r.a LOOP
			r.f := x.a;
			RETURN NEXT r;
		END LOOP;
	END LOOP;
END $$;

-- rows of two queries by turns
CREATE FUNCTION by_turns(one text, two text, step_one int, step_two int) RETURNS SETOF got LANGUAGE plpgsql AS $$
DECLARE
	c refcursor;
	d refcursor;
	r got;
	open_one boolean := true;
	open_two boolean := true;
BEGIN
	OPEN c FOR EXECUTE one;
	OPEN d FOR EXECUTE two;
	WHILE open_one OR open_two LOOP
		FOR i IN 1 .. step_one LOOP
			EXIT WHEN NOT open_one;
			FETCH c INTO r;
			open_one := FOUND;
			IF FOUND THEN
				RETURN NEXT r;
			END IF;
		END LOOP;
		FOR i IN 1 .. step_two LOOP
			EXIT WHEN NOT open_two;
			FETCH d INTO r;
			open_two := FOUND;
			IF FOUND THEN
				RETURN NEXT r;
			END IF;
		END LOOP;
	END LOOP;
END $$;

-- what is read while a value is converted
CREATE DOMAIN looked_up AS text CHECK (title_of('a' || substring(VALUE FROM '-(\d+)-')) IS NOT NULL);
CREATE DOMAIN with_title AS text CHECK (title_of('a1') LIKE 'Alert 1 %');
CREATE DOMAIN listed AS text CHECK (is_all('medium'));
CREATE FOREIGN TABLE checked_evidence (ordinal int, alert_id text, device_dns_name looked_up, host_name text, alert_title with_title, alert_severity text)
	SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
CREATE FOREIGN TABLE checked_alerts (severity listed, id text, title text) SERVER graph;
CREATE FOREIGN TABLE checked_comments (comment with_title, alert_id text, ordinal int) SERVER graph OPTIONS (resource 'comments');

-- several servers below one Append
CREATE TABLE every (alert_id text, ordinal int, device_dns_name text, host_name text, alert_title text, alert_severity text);
CREATE FOREIGN TABLE every_graph () INHERITS (every) SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
CREATE FOREIGN TABLE every_other () INHERITS (every) SERVER other OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
SQL

my $session = $node->session;

# Rows of two queries: how many the second gives and how many the first, and how
# many are in one of them only.
sub counts
{
	my ($query, $expected) = @_;

	$session->query('DROP TABLE IF EXISTS answer, wanted');
	$session->query("CREATE TEMP TABLE answer AS SELECT q::text AS t FROM ($query) AS q");
	$session->query("CREATE TEMP TABLE wanted AS SELECT q::text AS t FROM ($expected) AS q");
	return $session->query(<<'SQL');
SELECT (SELECT count(*) FROM wanted), (SELECT count(*) FROM answer),
	(SELECT count(*) FROM (TABLE wanted EXCEPT ALL TABLE answer) AS m), (SELECT count(*) FROM (TABLE answer EXCEPT ALL TABLE wanted) AS m)
SQL
}

# A query gives what another one over the copies gives: how many rows, what is
# missing and what is too much.  Columns are compared as text.
sub same
{
	my ($name, $query, $expected, $rows, $pause) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	slow($pause // $PAUSE);
	my $since = time;
	$session->{stderr} = '';
	my $counts = eval { counts($query, $expected) };
	my ($error) = $session->{stderr} =~ /((?:ERROR|FATAL|PANIC|connection|server closed)[^\n]*)/;
	if ($@)
	{
		# the backend has ended, and with it the session
		$error //= $@;
		$node->poll_query_until('postgres', 'SELECT true');
		$session = $node->session;
	}
	is($error // $counts, "$rows|$rows|0|0", "$name: rows there are, rows given, missing, too much");
	note sprintf '%.1f s', time - $since;
	return;
}

# A literal.
sub quoted { my ($text) = @_; return "'" . $text =~ s/'/''/gr . "'" }

# The requests that a query makes, as how many lists and how many lookups.
sub requests
{
	my @all = $emulator->requests;
	my $lists = grep { /alerts_v2\?/ } @all;

	return $lists . '|' . (@all - $lists);
}

my $few = q{severity = 'high'};
my $few_of = q{alert_severity = 'high'};
my $FEW = grep { severity($_) eq 'high' } 1 .. $ALERTS;
my $lookup = 'SELECT title, NULL, NULL, NULL, NULL, NULL FROM defender.alerts WHERE id = $1';
my $elsewhere = 'SELECT title, NULL, NULL, NULL, NULL, NULL FROM other.alerts WHERE id = $1';

#------------------------------------------------------------------------------
# Loops
#------------------------------------------------------------------------------

# evidence of a schema, in the shape of "got"
sub of { my ($schema, $where) = @_; return "SELECT alert_id, ordinal::text, device_dns_name, host_name, alert_title, NULL FROM $schema.device_evidence" . ($where ? " WHERE $where" : '') }

# The shape that lost ten rows of three thousand.
same('a lookup for each row of evidence',
	'SELECT a, b, c, f FROM looped(' . quoted('SELECT alert_id, ordinal::text, device_dns_name, NULL, NULL, NULL FROM defender.device_evidence') . ', ' . quoted($lookup) . ')',
	'SELECT alert_id, ordinal::text, device_dns_name, alert_title FROM local.device_evidence', $ALERTS * $EVIDENCE);
$emulator->clear;
same('a lookup on another server for each row of evidence, of few alerts',
	'SELECT * FROM looped(' . quoted(of('defender', $few_of)) . ', ' . quoted($elsewhere) . ')',
	"SELECT alert_id, ordinal::text, device_dns_name, host_name, alert_title, alert_title FROM local.device_evidence WHERE $few_of", $FEW * $EVIDENCE);
is(requests(), '1|' . $FEW * $EVIDENCE, 'the requests of that: the list is not asked for again');
same('a lookup for each row of evidence of alerts that are larger than a window',
	'SELECT * FROM looped(' . quoted(of('defender', "alert_severity = 'informational'")) . ', ' . quoted($elsewhere) . ')',
	"SELECT alert_id, ordinal::text, device_dns_name, host_name, alert_title, alert_title FROM local.device_evidence WHERE alert_severity = 'informational'", 4 * $EVIDENCE, 3);

# A body that is inflated as it comes moves them no more than one that is plain.
$PIECE = 100;
$emulator->settings(gzip => JSON::PP::true);
same('a lookup for each row of evidence, compressed',
	'SELECT * FROM looped(' . quoted(of('defender', $few_of)) . ', ' . quoted($elsewhere) . ')',
	"SELECT alert_id, ordinal::text, device_dns_name, host_name, alert_title, alert_title FROM local.device_evidence WHERE $few_of", $FEW * $EVIDENCE, 20);
$emulator->settings(gzip => JSON::PP::false);
$PIECE = 9000;

# Loops in loops: each level is in the middle of a record.
my $inner = 'SELECT device_dns_name, NULL, NULL, NULL, NULL, NULL FROM other.device_evidence WHERE alert_id = $1';
same('evidence of another server for each row of evidence',
	'SELECT a, b, c, f FROM looped(' . quoted(of('defender', "$few_of AND ordinal <= 5")) . ', ' . quoted($inner) . ')',
	"SELECT d.alert_id, d.ordinal::text, d.device_dns_name, i.device_dns_name FROM local.device_evidence d JOIN local.device_evidence i USING (alert_id) WHERE d.$few_of AND d.ordinal <= 5",
	$FEW * 5 * $EVIDENCE);
my $loop_in_loop = 'SELECT a || f, NULL, NULL, NULL, NULL, NULL FROM looped('
  . quoted("SELECT alert_id, device_dns_name, NULL, NULL, NULL, NULL FROM other.device_evidence WHERE alert_severity = 'medium' AND ordinal <= 3") . ', ' . quoted($lookup) . ')';
same('a list within a list, and lookups in that',
	'SELECT a, b, c, f FROM looped(' . quoted(of('defender', "$few_of AND ordinal <= 2") . ' LIMIT 8') . ', ' . quoted($loop_in_loop) . ')',
	"SELECT d.alert_id, d.ordinal::text, d.device_dns_name, i.alert_id || i.alert_title FROM (SELECT * FROM local.device_evidence WHERE $few_of AND ordinal <= 2 ORDER BY substring(alert_id FROM 2)::int, ordinal LIMIT 8) AS d, local.device_evidence i WHERE i.alert_severity = 'medium' AND i.ordinal <= 3",
	8 * 3 * grep({ severity($_) eq 'medium' } 1 .. $ALERTS), 1);

same('a lookup for each comment',
	'SELECT a, b, c, f FROM looped(' . quoted('SELECT alert_id, ordinal::text, comment, NULL, NULL, NULL FROM defender.alert_comments') . ', ' . quoted($lookup) . ')',
	'SELECT c.alert_id, c.ordinal::text, c.comment, a.title FROM local.alert_comments c JOIN local.alerts a ON a.id = c.alert_id', $ALERTS * $COMMENTS, 40);
same('a lookup for each alert',
	'SELECT a, b, f FROM looped(' . quoted('SELECT id, title, NULL, NULL, NULL, NULL FROM defender.alerts') . ', ' . quoted($lookup) . ')',
	'SELECT id, title, title FROM local.alerts', $ALERTS);
same('a lookup that fails for each row, and is caught',
	'SELECT a, b, c FROM looped(' . quoted(of('defender', "$few_of AND ordinal <= 10")) . ', '
	  . quoted(q{SELECT coalesce(query_error('SELECT title::int FROM defender.alerts WHERE id = ' || quote_literal($1))->>'state', 'none'), NULL, NULL, NULL, NULL, NULL}) . ')',
	"SELECT alert_id, ordinal::text, device_dns_name FROM local.device_evidence WHERE $few_of AND ordinal <= 10", $FEW * 10);

#------------------------------------------------------------------------------
# Joins
#------------------------------------------------------------------------------

foreach my $pushed (1, 0)
{
	my $how = $pushed ? 'joined there' : 'joined here';

	$session->query($pushed ? 'RESET ALL' : 'SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off') if !$pushed;
	my $where = $pushed ? q{id LIKE 'a%'} : q{id IN ('a6', 'a12', 'a52')};
	my $alerts = $pushed ? $ALERTS : 3;
	same("alerts with evidence and comments, $how, and a lookup for some of the rows",
		'SELECT a, b, c, d, f FROM looped(' . quoted("SELECT id, title, ordinal::text || comment_ordinal, device_dns_name, comment, NULL FROM defender.joined WHERE $where AND (ordinal + comment_ordinal) % 30 = 0") . ', ' . quoted($lookup) . ')',
		"SELECT id, title, ordinal::text || comment_ordinal, device_dns_name, title FROM local.joined WHERE $where AND (ordinal + comment_ordinal) % 30 = 0",
		$alerts * grep({ ($_ % $EVIDENCE + 1 + int($_ / $EVIDENCE) + 1) % 30 == 0 } 0 .. $EVIDENCE * $COMMENTS - 1), 10);
}
$session->query('RESET ALL');
like($node->sql('EXPLAIN (COSTS OFF) SELECT a.title, e.device_dns_name FROM defender.alerts a JOIN defender.device_evidence e ON e.alert_id = a.id'),
	qr/^Foreign Scan/, 'a join of an alert with its evidence is one scan');
same('alerts with evidence, a function for each row',
	"SELECT a.id, a.title, e.ordinal, e.device_dns_name, title_of(a.id) FROM defender.alerts a JOIN defender.device_evidence e ON e.alert_id = a.id WHERE a.$few",
	"SELECT a.id, a.title, e.ordinal, e.device_dns_name, a.title FROM local.alerts a JOIN local.device_evidence e ON e.alert_id = a.id WHERE a.$few", $FEW * $EVIDENCE);
same('alerts without evidence of a kind, a function for each row',
	"SELECT a.id, a.title, e.ordinal, title_of(a.id) FROM defender.alerts a LEFT JOIN defender.file_evidence e ON e.alert_id = a.id",
	'SELECT id, title, NULL::int, title FROM local.alerts', $ALERTS, 5);

#------------------------------------------------------------------------------
# Cursors
#------------------------------------------------------------------------------

foreach my $steps ([ 1, 1 ], [ 7, 11 ], [ 31, 2 ])
{
	my ($one, $two) = @$steps;

	same("two cursors, $one and $two rows by turns",
		'SELECT * FROM by_turns(' . quoted(of('defender')) . ', ' . quoted(of('other')) . ", $one, $two)",
		of('local') . ' UNION ALL ' . of('local'), 2 * $ALERTS * $EVIDENCE, 1);
}
same('two cursors on one server, evidence and comments by turns',
	'SELECT * FROM by_turns(' . quoted(of('defender')) . ', ' . quoted('SELECT alert_id, ordinal::text, comment, NULL, NULL, NULL FROM defender.alert_comments') . ', 3, 1)',
	of('local') . ' UNION ALL SELECT alert_id, ordinal::text, comment, NULL, NULL, NULL FROM local.alert_comments', $ALERTS * ($EVIDENCE + $COMMENTS), 1);

# One that is left in the middle of a record, while everything else goes on.
$session->query('BEGIN; DECLARE c CURSOR FOR SELECT alert_id, ordinal, device_dns_name FROM defender.device_evidence');
my @rows = split /\n/, $session->query('FETCH 45 FROM c');
is($session->query('SELECT count(*), count(DISTINCT device_dns_name) FROM other.device_evidence'), join('|', ($ALERTS * $EVIDENCE) x 2), 'a whole list between two fetches');
push @rows, split /\n/, $session->query('FETCH 70 FROM c');
$session->query(q{SAVEPOINT s; SELECT title::int FROM defender.alerts WHERE id = 'a7'; ROLLBACK TO s});
push @rows, split /\n/, $session->query('FETCH ALL FROM c; COMMIT');
is(join("\n", @rows), join("\n", map { my $a = $_; map { "a$a|$_|" . device($a, $_) } 1 .. $EVIDENCE } 1 .. $ALERTS), 'the rows of that cursor');

#------------------------------------------------------------------------------
# Functions and checks: others run between two values of a row
#------------------------------------------------------------------------------

same('a function for each row, in the list of columns',
	"SELECT alert_id, ordinal, title_of(alert_id), device_dns_name, host_name FROM defender.device_evidence WHERE $few_of",
	"SELECT alert_id, ordinal, alert_title, device_dns_name, host_name FROM local.device_evidence WHERE $few_of", $FEW * $EVIDENCE);
same('a function for each row, in the condition',
	"SELECT alert_id, ordinal, device_dns_name FROM defender.device_evidence WHERE $few_of AND title_of(alert_id) = alert_title",
	"SELECT alert_id, ordinal, device_dns_name FROM local.device_evidence WHERE $few_of", $FEW * $EVIDENCE);
same('a function that reads a list',
	"SELECT alert_id, ordinal, device_dns_name, number_of('low') FROM defender.device_evidence WHERE alert_id IN ('a3', 'a52') OR alert_severity = 'medium' AND ordinal = 2",
	"SELECT alert_id, ordinal, device_dns_name, (SELECT count(*) FROM local.alerts WHERE severity = 'low') FROM local.device_evidence WHERE alert_id IN ('a3', 'a52') OR alert_severity = 'medium' AND ordinal = 2",
	2 * $EVIDENCE + grep { severity($_) eq 'medium' } 1 .. $ALERTS);

my $checked = 'SELECT ordinal, alert_id, device_dns_name, host_name, alert_title, alert_severity FROM';
same('a domain whose check looks something up, in the middle of a row',
	"$checked checked_evidence WHERE $few_of", "$checked local.device_evidence WHERE $few_of", $FEW * $EVIDENCE);
same('the same of comments',
	'SELECT comment, alert_id, ordinal FROM checked_comments', 'SELECT comment, alert_id, ordinal FROM local.alert_comments', $ALERTS * $COMMENTS);
same('a domain whose check reads a list',
	'SELECT severity, id, title FROM checked_alerts', 'SELECT severity, id, title FROM local.alerts', $ALERTS);
same('such a domain in a join',
	"SELECT e.alert_id, e.ordinal, e.device_dns_name, e.host_name, a.title FROM checked_evidence e JOIN defender.alerts a ON a.id = e.alert_id WHERE a.$few",
	"SELECT e.alert_id, e.ordinal, e.device_dns_name, e.host_name, e.alert_title FROM local.device_evidence e WHERE e.$few_of", $FEW * $EVIDENCE);

#------------------------------------------------------------------------------
# Several scans of one query
#------------------------------------------------------------------------------

my $every = 'SELECT alert_id, ordinal, device_dns_name, host_name, alert_title FROM';
like($node->sql("EXPLAIN (COSTS OFF) $every every"), qr/Async Foreign Scan/, 'Append is asynchronous');
same('Append', "$every every", "$every local.device_evidence UNION ALL $every local.device_evidence", 2 * $ALERTS * $EVIDENCE, 5);
same('Append below a loop',
	'SELECT a, b, c, f FROM looped(' . quoted("SELECT alert_id, ordinal::text, device_dns_name, NULL, NULL, NULL FROM every WHERE $few_of") . ', ' . quoted($lookup) . ')',
	"SELECT d.alert_id, d.ordinal::text, d.device_dns_name, d.alert_title FROM local.device_evidence d, generate_series(1, 2) WHERE d.$few_of", 2 * $FEW * $EVIDENCE);
same('UNION ALL with a function that looks something up',
	"SELECT alert_id, ordinal, device_dns_name, title_of(alert_id) FROM defender.device_evidence WHERE $few_of UNION ALL SELECT alert_id, ordinal, device_dns_name, title_of(alert_id) FROM other.device_evidence WHERE $few_of",
	"SELECT d.alert_id, d.ordinal, d.device_dns_name, d.alert_title FROM local.device_evidence d, generate_series(1, 2) WHERE d.$few_of", 2 * $FEW * $EVIDENCE);
same('Append with a function in its conditions',
	"SELECT alert_id, ordinal, device_dns_name FROM every WHERE $few_of AND title_of(alert_id) = alert_title",
	"SELECT d.alert_id, d.ordinal, d.device_dns_name FROM local.device_evidence d, generate_series(1, 2) WHERE d.$few_of", 2 * $FEW * $EVIDENCE);
$session->query('SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off');
same('a nested loop whose inner side is a list',
	"SELECT e.alert_id, e.ordinal, e.device_dns_name, a.title FROM defender.device_evidence e JOIN other.alerts a ON a.title = e.alert_title AND a.severity = 'medium' WHERE e.alert_id IN ('a5', 'a11')",
	"SELECT alert_id, ordinal, device_dns_name, alert_title FROM local.device_evidence WHERE alert_id IN ('a5', 'a11')", 2 * $EVIDENCE);
$session->query('RESET ALL');

$session->quit;
$node->stop;
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|WARNING|terminated by signal/, 'nothing in the log');
done_testing();
