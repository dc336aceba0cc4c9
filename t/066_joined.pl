
# Are alerts and what is in them one stream of requests, however they are joined,
# and is the answer right?
#
# Each statement runs over the foreign tables and over a local copy, and the
# requests of the one over the foreign tables are counted: one list is one
# request here.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, import => 0);
my @kinds = qw(deviceEvidence userEvidence ipEvidence);
my @alerts = map {
	my $n = $_;
	alert(
		id => "s$n", title => "t$n", severity => (qw(low medium high futureSeverity))[ $n % 4 ], status => (qw(new resolved))[ $n % 2 ],
		assignedTo      => $n % 3 ? "h" . $n % 5 : undef,
		createdDateTime => sprintf('2026-07-01T10:%02d:00Z', $n), lastUpdateDateTime => sprintf('2026-07-02T10:%02d:00Z', 60 - $n),
		evidence => [ map { evidence($kinds[ $_ * $n % 3 ], deviceDnsName => ($_ % 4 ? 'h' . $_ % 5 : undef), ipAddress => "192.0.2.$_") } 1 .. $n % 6 ],
		comments => [ map { { comment => "h" . ($_ + $n) % 5, createdByDisplayName => "t$n" } } 1 .. $n % 3 ])
} 1 .. 40;
$emulator->set_alerts(@alerts);

$node->sql(<<'SQL');
CREATE SCHEMA r;
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, device_evidence, user_evidence, ip_evidence, alert_evidence, alert_comments) FROM SERVER graph INTO r;
CREATE FUNCTION public.noisy(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 6 / $1; END';
SQL
$node->copy_tables('r', 'l');
cmp_ok($node->sql('SELECT count(*) FROM l.alert_evidence'), '>', 80, 'the copy');

my $session = $node->session;

# Does the statement give the same over the foreign tables and the copy, with so
# many requests (undef: any number)?
sub same
{
	my ($query, $requests) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %rows;

	foreach my $schema ('l', 'r')
	{
		$emulator->clear;
		$rows{$schema} = $node->printed_with($session, $schema, $query);
	}
	is($rows{r}, $rows{l}, $query =~ s/\s+/ /gr);
	return unless defined $requests;
	my @made = $emulator->requests;
	is(scalar(@made), $requests, 'that is so many requests') or diag(join "\n", @made, $session->query("EXPLAIN (VERBOSE) $query"));
	return;
}

my $all = 'alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id';

# Clauses of each table, between two, among three; NULLs on either side.
foreach my $where ('TRUE', 'e.ordinal = 1', "a.severity = 'high'", "a.severity <> 'high' AND e.ordinal > 2", 'e.device_dns_name = a.assigned_to', 'e.device_dns_name <> a.assigned_to',
	'e.device_dns_name IS DISTINCT FROM a.assigned_to', "e.alert_severity = 'low'", "e.device_dns_name IS NULL", "NOT (e.device_dns_name = 'h1' AND a.assigned_to = 'h1')",
	'e.ordinal + length(a.title) = 4', "a.id = 's5'", "e.alert_id IN ('s5', 's7', 'none')", 'e.ordinal = 99', 'random() < 2')
{
	my $requests = $where =~ /'s7'/ ? 3 : 1;
	same("SELECT a.id, e.ordinal, e.device_dns_name FROM $all WHERE $where ORDER BY 1, 2", $requests);
	same("SELECT count(*), count(d.ordinal), sum(e.ordinal * d.ordinal) FROM $all JOIN device_evidence AS d ON d.alert_id = a.id WHERE $where", $requests);
	same("SELECT count(*), count(d.ordinal), sum(e.ordinal * d.ordinal) FROM $all JOIN device_evidence AS d ON d.alert_id = a.id AND d.ordinal <= e.ordinal JOIN alert_comments AS c ON c.alert_id = d.alert_id AND c.comment <> e.device_dns_name WHERE $where", $requests);
	same("SELECT e.alert_id, e.ordinal, a.title, c.comment, d.ordinal FROM $all LEFT JOIN device_evidence AS d ON d.alert_id = a.id LEFT JOIN alert_comments AS c ON c.alert_id = a.id WHERE $where ORDER BY 1, 2, 3, 4, 5", $requests);
	same("SELECT e.alert_id, e.ordinal, a.title, u.ordinal, d.ordinal FROM $all LEFT JOIN device_evidence AS d ON d.alert_id = a.id JOIN user_evidence AS u ON u.alert_id = a.id WHERE $where AND (d.ordinal IS NULL OR d.ordinal < u.ordinal) ORDER BY 1, 2, 3, 4, 5", $requests);
}

# One table twice and more.
same('SELECT x.alert_id, x.ordinal, y.ordinal FROM alert_evidence AS x JOIN alert_evidence AS y USING (alert_id) WHERE x.ordinal < y.ordinal ORDER BY 1, 2, 3', 1);
same('SELECT count(*) FROM alert_evidence AS x JOIN alert_evidence AS y USING (alert_id) JOIN alert_evidence AS z USING (alert_id) WHERE x.ordinal = y.ordinal AND y.ordinal = z.ordinal', 1);
same('SELECT count(*) FROM alert_evidence AS x JOIN alert_evidence AS y USING (alert_id, ordinal) JOIN alerts AS a ON a.id = x.alert_id JOIN alerts AS b ON b.id = a.id', 1);
same('SELECT count(*) FROM device_evidence AS d JOIN user_evidence AS u USING (alert_id) JOIN ip_evidence AS i USING (alert_id) WHERE i.ordinal < 5', 1);

# Left joins: what makes a match, and what is asked of the result.
foreach my $inner (qw(device_evidence alert_evidence user_evidence))
{
	foreach my $on ('', 'AND e.ordinal = 1', "AND a.severity = 'high'", 'AND e.device_dns_name = a.assigned_to', 'AND e.ordinal > 99', "AND a.severity = 'high' AND e.ordinal > 1", 'AND FALSE', 'AND a.assigned_to IS NULL')
	{
		next if $on =~ /dns/ && $inner eq 'user_evidence';
		my $both = "alerts AS a LEFT JOIN $inner AS e ON e.alert_id = a.id $on";
		my $requests = $on =~ /FALSE/ ? undef : 1;
		same("SELECT a.id, e.ordinal FROM $both ORDER BY 1, 2", $requests);
		same("SELECT a.id, e.ordinal FROM $both WHERE e.ordinal IS NULL ORDER BY 1, 2", $requests);
		same("SELECT a.id, e.ordinal, e.alert_id FROM $both WHERE e.alert_id IS NULL ORDER BY 1, 2", $requests);
		same("SELECT a.id, e.ordinal FROM $both WHERE COALESCE(e.ordinal, 1) = 1 AND a.status = 'new' ORDER BY 1, 2", $requests);
		same("SELECT a.id, e.ordinal, c.comment FROM $both LEFT JOIN alert_comments AS c ON c.alert_id = a.id AND c.ordinal IS DISTINCT FROM e.ordinal WHERE a.severity <> 'low' ORDER BY 1, 2, 3", $requests);
		same("SELECT a.id, e.ordinal, c.comment FROM $both JOIN alert_comments AS c ON c.alert_id = a.id AND c.ordinal >= e.ordinal ORDER BY 1, 2, 3", $requests);
		same("SELECT d.ordinal, e.ordinal, a.title FROM device_evidence AS d LEFT JOIN ($both) ON a.id = d.alert_id ORDER BY d.alert_id, 1, 2, 3");
		same("SELECT COALESCE(x.n, -1), count(*) FROM (SELECT a.id, CASE WHEN e.ordinal > 1 THEN e.ordinal ELSE 0 END AS n FROM $both) AS x GROUP BY 1 ORDER BY 1", $requests);
		same("SELECT a.id, x.n FROM alerts AS a LEFT JOIN (SELECT alert_id, COALESCE(ordinal, 7) AS n FROM $inner AS e WHERE ordinal < 3) AS x ON x.alert_id = a.id ORDER BY 1, 2");
	}
}

# Is there some, is there none?  In both directions.
foreach my $inner (qw(device_evidence alert_evidence alert_comments))
{
	foreach my $more ('', 'AND e.ordinal = 2', "AND a.severity = 'high'", $inner eq 'alert_comments' ? 'AND e.comment = a.assigned_to' : 'AND e.device_dns_name <> a.assigned_to', 'AND e.ordinal > 99', 'AND e.ordinal < length(a.title)')
	{
		foreach my $not ('', 'NOT ')
		{
			my $exists = "${not}EXISTS (SELECT FROM $inner AS e WHERE e.alert_id = a.id $more)";
			same("SELECT a.id FROM alerts AS a WHERE $exists ORDER BY 1", 1);
			same("SELECT count(*) FROM alerts AS a WHERE $exists AND a.status = 'new'", 1);
			same("SELECT a.id, d.ordinal FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id WHERE $exists ORDER BY 1, 2", 1);
			same("SELECT a.id, d.ordinal FROM alerts AS a LEFT JOIN device_evidence AS d ON d.alert_id = a.id AND d.ordinal < 3 WHERE $exists ORDER BY 1, 2", 1);
			same("SELECT a.id FROM alerts AS a WHERE $exists AND EXISTS (SELECT FROM user_evidence AS u WHERE u.alert_id = a.id) ORDER BY 1", 1);
			same("SELECT a.id FROM alerts AS a WHERE $exists AND NOT EXISTS (SELECT FROM user_evidence AS u WHERE u.alert_id = a.id AND u.ordinal > 1) ORDER BY 1", 1);
			same("SELECT a.id FROM alerts AS a WHERE a.id = 's4' AND $exists", 1);
			same("SELECT x.alert_id, x.ordinal FROM alert_evidence AS x WHERE ${not}EXISTS (SELECT FROM alerts AS a JOIN $inner AS e ON e.alert_id = a.id $more WHERE a.id = x.alert_id) ORDER BY 1, 2");
		}
		same("SELECT a.id FROM alerts AS a WHERE a.id IN (SELECT e.alert_id FROM $inner AS e WHERE TRUE $more) ORDER BY 1", $more =~ /a\./ ? undef : 1);
		same("SELECT a.id FROM alerts AS a WHERE a.id NOT IN (SELECT e.alert_id FROM $inner AS e WHERE TRUE $more) ORDER BY 1");
	}
	foreach my $not ('', 'NOT ')
	{
		same("SELECT e.alert_id, e.ordinal FROM $inner AS e WHERE ${not}EXISTS (SELECT FROM alerts AS a WHERE a.id = e.alert_id AND a.severity = 'high') ORDER BY 1, 2", 1);
		same("SELECT e.alert_id, e.ordinal FROM $inner AS e WHERE ${not}EXISTS (SELECT FROM user_evidence AS u WHERE u.alert_id = e.alert_id AND u.ordinal > e.ordinal) ORDER BY 1, 2", 1);
		same("SELECT e.alert_id, e.ordinal FROM $inner AS e WHERE ${not}EXISTS (SELECT FROM $inner AS u WHERE u.alert_id = e.alert_id AND u.ordinal = e.ordinal + 1) ORDER BY 1, 2", 1);
	}
	same("SELECT e.alert_id, e.ordinal FROM $inner AS e WHERE e.alert_id IN (SELECT id FROM alerts WHERE severity = 'high' AND title <> 't2') ORDER BY 1, 2", 1);
	same("SELECT e.alert_id, e.ordinal FROM $inner AS e WHERE e.alert_id IN (SELECT id FROM alerts WHERE title = e.alert_id OR assigned_to = 'h1') ORDER BY 1, 2");
}

# What restricts the alerts of a semi join is sent; that of an anti or left join
# is not.
sub request_is
{
	my ($query, $request) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	same($query, 1);
	my ($made) = map { s/^GET \S*?alerts_v2//r =~ s/\+|%20/ /gr =~ s/%27/'/gr =~ s/%24/\$/gr } $emulator->requests;
	like($made, $request, 'that request');
	return;
}
request_is(q{SELECT count(*) FROM device_evidence WHERE alert_id IN (SELECT id FROM alerts WHERE severity = 'high')}, qr/\$filter=severity eq 'high'/);
request_is(q{SELECT count(*) FROM alerts AS a WHERE EXISTS (SELECT FROM device_evidence AS d WHERE d.alert_id = a.id AND d.alert_severity = 'high')}, qr/\$filter=severity eq 'high'/);
request_is(q{SELECT count(*) FROM alerts AS a WHERE NOT EXISTS (SELECT FROM device_evidence AS d WHERE d.alert_id = a.id AND d.alert_severity = 'high')}, qr/^(?!.*\$filter)/);
request_is(q{SELECT count(*), count(d.ordinal) FROM alerts AS a LEFT JOIN device_evidence AS d ON d.alert_id = a.id AND d.alert_severity = 'high'}, qr/^(?!.*\$filter)/);
request_is(q{SELECT count(*), count(d.ordinal) FROM alerts AS a LEFT JOIN device_evidence AS d ON d.alert_id = a.id AND a.severity = 'high' WHERE a.status = 'new'}, qr/\$filter=status eq 'new'/);

# Rows that go somewhere.
$session->query('CREATE TABLE public.kept (id text, n integer)');
foreach my $statement (
	"INSERT INTO kept SELECT a.id, e.ordinal FROM $all WHERE e.ordinal < 4",
	"INSERT INTO kept SELECT a.id, e.ordinal FROM alerts AS a LEFT JOIN device_evidence AS e ON e.alert_id = a.id WHERE a.severity = 'low' RETURNING id IS NULL",
	"INSERT INTO kept SELECT a.id FROM alerts AS a WHERE NOT EXISTS (SELECT FROM device_evidence AS e WHERE e.alert_id = a.id)",
	"WITH x AS (INSERT INTO kept SELECT a.id, e.ordinal FROM $all RETURNING *) SELECT count(*), sum(n) FROM x",
	"CREATE TABLE pg_temp.made AS SELECT a.id, e.ordinal FROM $all; INSERT INTO kept SELECT * FROM pg_temp.made; DROP TABLE pg_temp.made",
	"CREATE MATERIALIZED VIEW made AS SELECT a.id, e.ordinal FROM $all; INSERT INTO kept SELECT * FROM made; DROP MATERIALIZED VIEW made")
{
	$session->query('SET client_min_messages = warning');
	same("TRUNCATE kept; $statement; SELECT id, n FROM kept ORDER BY 1, 2", 1);
}

# Statements that change or lock rows of local tables by what is joined.
$session->query('CREATE TABLE public.owned (id text PRIMARY KEY, n integer, host text)');
foreach my $statement (
	"MERGE INTO owned AS o USING (SELECT a.id, count(*) AS n FROM $all GROUP BY 1) AS s ON s.id = o.id WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, -s.n)",
	"MERGE INTO owned AS o USING (SELECT a.id, a.title, e.device_dns_name FROM $all WHERE e.ordinal = 2) AS s ON s.id = o.id WHEN MATCHED THEN UPDATE SET host = s.device_dns_name WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0, s.title)",
	"MERGE INTO owned AS o USING (SELECT a.id, e.device_dns_name FROM alerts AS a LEFT JOIN device_evidence AS e ON e.alert_id = a.id AND e.ordinal = 1) AS s ON s.id = o.id WHEN MATCHED AND s.device_dns_name IS NULL THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id)",
	"UPDATE owned AS o SET host = e.device_dns_name, n = length(a.title) FROM $all WHERE o.id = a.id AND e.ordinal = 1",
	"UPDATE owned AS o SET host = (e).ip_address::text FROM $all WHERE o.id = a.id AND e.ordinal = 1",
	"UPDATE owned AS o SET n = -1 FROM alerts AS a LEFT JOIN user_evidence AS u ON u.alert_id = a.id AND u.ordinal < 3 WHERE o.id = a.id AND u.ordinal IS NULL",
	"DELETE FROM owned AS o USING alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id WHERE o.id = a.id AND d.ordinal = 1 RETURNING o.id IS NULL",
	"SELECT o.id, e.ordinal FROM owned AS o JOIN alerts AS a ON a.id = o.id JOIN alert_evidence AS e ON e.alert_id = a.id ORDER BY 1, 2 FOR UPDATE OF o",
	"SELECT o.id, e, a.title FROM owned AS o JOIN alerts AS a ON a.id = o.id JOIN alert_evidence AS e ON e.alert_id = a.id AND e.ordinal = 2 ORDER BY 1, 3 FOR UPDATE")
{
	same("TRUNCATE owned; INSERT INTO owned SELECT 's' || n, n, 'none' FROM generate_series(1, 30) AS n; ANALYZE owned; SET enable_nestloop = off; $statement; RESET enable_nestloop; SELECT id, n, host FROM owned ORDER BY 1, 2", $statement =~ /^SELECT|IS NULL$/ ? undef : 1);
}

# A row that another session changes meanwhile is checked again, with the same
# rows of alerts and evidence.
{
	my $other = $node->session;
	foreach my $query (
		["UPDATE owned AS o SET n = o.n + e.ordinal, host = a.title FROM $all WHERE o.id = a.id AND e.ordinal = 2 AND o.n < 2000", '1006|t4'],
		["UPDATE owned AS o SET n = o.n + e.ordinal, host = a.title FROM $all WHERE o.id = a.id AND e.ordinal = 2 AND o.n < 1000", '1004|none'],
		["UPDATE owned AS o SET n = o.n + COALESCE(e.ordinal, 0), host = a.title FROM alerts AS a LEFT JOIN alert_evidence AS e ON e.alert_id = a.id AND e.ordinal = 99 WHERE o.id = a.id AND o.n < 2000", '1004|t4'],
		['UPDATE owned AS o SET n = o.n + (SELECT count(*) FROM alert_evidence AS e JOIN alerts AS a ON a.id = e.alert_id WHERE e.alert_id = o.id AND e.ordinal < o.n)', '1008|none'],
		["UPDATE owned AS o SET n = o.n + (SELECT count(*) FROM alerts AS a WHERE a.severity = CASE WHEN o.n > 1 THEN 'low' END)", '1014|none'],
		["MERGE INTO owned AS o USING (SELECT a.id, a.title, e.ordinal FROM $all WHERE e.ordinal = 3) AS s ON s.id = o.id WHEN MATCHED AND o.n > 1000 THEN UPDATE SET host = s.title, n = o.n + s.ordinal WHEN MATCHED THEN UPDATE SET host = 'too few'", '1007|t4'])
	{
		my ($statement, $expected) = @$query;
		foreach my $join ('', 'SET enable_hashjoin = off', 'SET enable_mergejoin = off; SET enable_hashjoin = off')
		{
			$session->query("SET search_path = r, public; TRUNCATE owned; INSERT INTO owned SELECT 's' || n, n, 'none' FROM generate_series(1, 30) AS n; ANALYZE owned");
			$session->query("BEGIN; UPDATE owned SET n = n + 1000 WHERE id = 's4'");
			$other->query("RESET ALL; SET search_path = r, public; $join");
			$other->query_until(qr/begun/, "\\echo begun\n$statement;\n\\echo done\n");
			$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'});
			$session->query('COMMIT');
			$other->query_until(qr/done/, '');
			is($session->query("SELECT n, host FROM owned WHERE id = 's4'"), $expected, "checked again, $join: $statement");
		}
	}
	$other->quit;
}

# The newest first: few alerts are asked for, whatever of them is dropped; and an
# order that the service does not keep is made here.
sub newest
{
	my ($query, $request) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	request_is($query, $request);
	foreach my $orderby (qw(ignore refuse))
	{
		$emulator->settings(orderby => $orderby);
		same($query);
		$session->query("ALTER SERVER graph OPTIONS (ADD max_retries '5'); ALTER SERVER graph OPTIONS (DROP max_retries)");
	}
	$emulator->settings(orderby => 'honour');
	return;
}
newest('SELECT a.id, e.ordinal FROM alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id ORDER BY a.created_date_time DESC, e.ordinal LIMIT 10', qr/\$orderby=createdDateTime desc&.*\$top=100$/);
newest('SELECT a.id, e.ordinal FROM alerts AS a LEFT JOIN alert_evidence AS e ON e.alert_id = a.id ORDER BY a.created_date_time DESC, e.ordinal LIMIT 10', qr/\$orderby=createdDateTime desc&.*\$top=21$/);
newest(q{SELECT a.id, e.ordinal FROM alerts AS a LEFT JOIN alert_evidence AS e ON e.alert_id = a.id AND e.ordinal = 3 WHERE a.severity = 'high' ORDER BY a.created_date_time, e.ordinal LIMIT 25}, qr/\$filter=severity eq 'high'.*\$orderby=createdDateTime asc&.*\$top=26$/);
newest('SELECT e.alert_id, e.ordinal FROM alert_evidence AS e JOIN device_evidence AS d USING (alert_id) WHERE d.ordinal < 3 ORDER BY e.alert_created_date_time DESC, e.ordinal, d.ordinal LIMIT 7', qr/\$orderby=createdDateTime desc&.*\$top=100$/);
newest('SELECT a.id FROM alerts AS a WHERE EXISTS (SELECT FROM alert_comments AS c WHERE c.alert_id = a.id) ORDER BY a.created_date_time DESC, a.id LIMIT 7', qr/\$orderby=createdDateTime desc&.*\$top=100$/);
same('SELECT a.id, e.ordinal FROM alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id ORDER BY a.last_update_date_time DESC, e.ordinal LIMIT 10');
same(q{SELECT a.id, e.ordinal FROM alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id WHERE a.id = 's4' ORDER BY a.created_date_time DESC, e.ordinal LIMIT 10}, 1);
same('SELECT e.ordinal, a.id FROM alert_evidence AS e LEFT JOIN alerts AS a ON e.alert_id = a.id AND e.ordinal = 2 ORDER BY a.created_date_time DESC, e.alert_id, e.ordinal LIMIT 10', 1);

# Errors of a clause are the user's, and only for rows that it sees.
same('SELECT count(*) FROM alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id WHERE noisy(e.ordinal) > 1', 1);
$session->{stderr} = '';
$session->query('SELECT count(*) FROM alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id JOIN user_evidence AS u ON u.alert_id = a.id WHERE noisy(u.ordinal - 2) > 0');
like($session->{stderr}, qr/division by zero/, 'an error in a clause');
same('SELECT count(*) FROM alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id JOIN user_evidence AS u ON u.alert_id = a.id WHERE u.ordinal > 2', 1);

# Parameters, rescans, cursors, a generic plan.
$session->query('SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off');
same("SELECT v, (SELECT count(*) FROM alert_evidence AS e JOIN user_evidence AS u USING (alert_id) WHERE u.ordinal < v AND e.ordinal > v) FROM (VALUES (1), (3), (NULL), (2), (3)) AS x(v)");
same('SELECT v, n FROM generate_series(1, 6) AS v, LATERAL (SELECT count(*) AS n FROM alerts AS a LEFT JOIN user_evidence AS e ON e.alert_id = a.id AND e.ordinal > v WHERE a.id = \'s\' || v) AS s');
$session->query('RESET ALL');
$session->query('SET plan_cache_mode = force_generic_plan');
same('PREPARE p(integer, text) AS SELECT e.alert_id, e.ordinal, u.ordinal FROM alert_evidence AS e JOIN user_evidence AS u USING (alert_id) WHERE e.ordinal = $1 AND u.ordinal > $1 AND e.alert_severity <> $2 ORDER BY 1, 2, 3; EXECUTE p(1, \'low\'); EXECUTE p(2, NULL); EXECUTE p(NULL, \'low\'); EXECUTE p(2, \'high\'); DEALLOCATE p');
$session->query('RESET ALL');
same('BEGIN; DECLARE c CURSOR FOR SELECT e.alert_id, e.ordinal, u.ordinal FROM alert_evidence AS e JOIN user_evidence AS u USING (alert_id); DECLARE d CURSOR FOR SELECT e.alert_id, e.ordinal, u.ordinal FROM alert_evidence AS e JOIN user_evidence AS u USING (alert_id); MOVE 5 IN c; MOVE 9 IN d; SELECT count(*) FROM alert_evidence; MOVE 20 IN c; MOVE ALL IN d; MOVE ALL IN c; COMMIT');

# Rows that do not fit into work_mem go to a file; columns of an alert in each of
# its rows.
$emulator->set_alerts(
	map {
		my $n = $_;
		alert(id => "big$n", title => 'x' x 2000, evidence => [ map { evidence($kinds[ $_ % 3 ], deviceDnsName => "h$_" . 'y' x 500) } 1 .. 300 ])
	} 1 .. 3);
$session->query('SET search_path = r; DROP SCHEMA l CASCADE; CREATE SCHEMA l');
$session->query("CREATE TABLE l.$_ AS SELECT * FROM r.$_; ANALYZE l.$_") foreach qw(alerts alert_evidence device_evidence user_evidence);
$session->query("SET work_mem = '64kB'");
same('SELECT count(*), count(DISTINCT e.device_dns_name), sum(length(d.alert_title)) FROM alert_evidence AS e JOIN device_evidence AS d USING (alert_id) WHERE e.ordinal % 7 = 0 AND d.ordinal <> e.ordinal', 1);
same('SELECT count(*), sum(u.ordinal * e.ordinal) FROM alert_evidence AS e JOIN device_evidence AS d USING (alert_id) JOIN user_evidence AS u USING (alert_id) WHERE e.ordinal = 1 AND d.ordinal < 30 AND u.ordinal < 30', 1);

# The product of three tables of long arrays is made of what passes.
my $start = time;
same('SELECT count(*) FROM alert_evidence AS e JOIN device_evidence AS d USING (alert_id) JOIN user_evidence AS u USING (alert_id) WHERE e.ordinal = 1 AND d.ordinal < 3 AND u.ordinal < 3', 1);
cmp_ok(time - $start, '<', 3, 'in no time');

# Without the option PostgreSQL joins.
$node->set_server(join_pushdown => 'false');
same('SELECT count(*) FROM alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id', 2);
unlike($session->query('EXPLAIN SELECT count(*) FROM alerts AS a JOIN alert_evidence AS e ON e.alert_id = a.id'), qr/Graph Relations/, 'no joined scan');
$node->set_server(join_pushdown => undef);
like($session->query('EXPLAIN (COSTS OFF) SELECT count(*) FROM alerts AS a LEFT JOIN alert_evidence AS e ON e.alert_id = a.id AND e.ordinal = 1 WHERE a.title <> e.device_dns_name OR e.ordinal IS NULL'),
	qr/Graph Relations: alerts a, LEFT alert_evidence e.*Graph Join Filter: \(e.ordinal = 1\).*Graph Filter: .*IS NULL/s, 'a joined scan explained');

$session->quit;
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|XX000|terminated by signal|leak/, 'nothing in the log');
done_testing();
