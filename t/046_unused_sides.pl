
# Is a join right whatever of its sides is used?
#
# A table of a joined scan may give many columns, one, or none: then its rows
# only count.  Each query runs over the foreign tables and over a local copy.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, import => 0, server => { page_size => 7 });
$emulator->set_alerts(map {
	my $n = $_;
	alert(
		id => "s$n", title => "t$n", severity => (qw(low medium high))[ $n % 3 ], status => (qw(new resolved))[ $n % 2 ],
		createdDateTime => sprintf('2026-07-01T10:%02d:00Z', $n),
		evidence => [ map { evidence($_ % 2 ? 'deviceEvidence' : 'ipEvidence', hostName => "h$n-$_", ipAddress => '192.0.2.1') } 1 .. $n % 5 ],
		comments => [ map { { comment => "c$n-$_" } } 1 .. $n % 3 ])
} 1 .. 30);

# Wide and narrow tables, one whose first columns are gone, and one without any.
$node->sql(<<'SQL');
CREATE SCHEMA r;
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, device_evidence, alert_evidence, alert_comments) FROM SERVER graph INTO r;
CREATE FOREIGN TABLE r.narrow (alert_id text) SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
CREATE FOREIGN TABLE r.gone (a int, b int, alert_id text, c int, ordinal int) SERVER graph OPTIONS (resource 'evidence');
ALTER FOREIGN TABLE r.gone DROP COLUMN a, DROP COLUMN b, DROP COLUMN c;
CREATE FOREIGN TABLE r.nothing () SERVER graph;
SQL
$node->copy_tables('r', 'l');
is($node->sql('SELECT count(*), count(DISTINCT alert_id) FROM l.device_evidence'), '36|24', 'the copy');

my $session = $node->session;

# Does the query give the same over the foreign tables and the copy?  joined
# says whether one scan is to read all tables.
sub same
{
	my ($query, $joined) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %rows;

	foreach my $schema ('l', 'r')
	{
		$rows{$schema} = $node->printed_with($session, $schema, $query);
	}
	is($rows{r}, $rows{l}, $query =~ s/\s+/ /gr);
	return unless defined $joined;
	my @scans = $session->query("EXPLAIN (COSTS OFF) $query") =~ /Foreign Scan/g;
	$joined ? is(scalar(@scans), 1, 'that is one scan') : cmp_ok(scalar(@scans), '>', 1, 'that is more than one scan');
	return;
}

foreach my $inner (qw(device_evidence alert_evidence alert_comments narrow gone))
{
	foreach my $join ('JOIN', 'LEFT JOIN')
	{
		my $both = "alerts AS a $join $inner AS e ON e.alert_id = a.id";

		same("SELECT a.severity, count(*) FROM $both GROUP BY 1 ORDER BY 1", 1);
		same("SELECT a.severity, count(*), min(a.title), max(a.created_date_time), bool_and(a.id IS NOT NULL) FROM $both GROUP BY 1 ORDER BY 1", 1);
		same("SELECT count(*) FROM $both", 1);
		same("SELECT 1 FROM $both", 1);
		same("SELECT count(a.id) FROM $both", 1);
		same("SELECT count(e.alert_id) FROM $both", 1);
		same("SELECT a.id, e.alert_id FROM $both ORDER BY 1, 2", 1);
		same("SELECT a.severity, count(*) FROM $both WHERE a.severity = 'high' GROUP BY 1", 1);
		same("SELECT count(*) FROM $both WHERE a.id = 's4'", 1);
		same("SELECT count(*), count(a.title) FROM $both WHERE a.status = 'new' AND a.id = 's4'", 1);
		same("SELECT a.title FROM $both ORDER BY a.created_date_time DESC, a.title LIMIT 5");
		same("SELECT DISTINCT a.status FROM $both ORDER BY 1", 1);
		same("SELECT a.id, a FROM $both ORDER BY 1 LIMIT 3");
		same("SELECT count(*) FROM $both AND e.alert_id <> 's3'");
		same("SELECT a.title, (SELECT count(*) FROM alerts AS x $join $inner AS e ON e.alert_id = x.id WHERE x.severity = a.severity) FROM alerts AS a ORDER BY 1 LIMIT 3");
	}
	same("SELECT severity, count(*) FROM alerts AS a WHERE EXISTS (SELECT FROM $inner AS e WHERE e.alert_id = a.id) GROUP BY 1 ORDER BY 1");
	same("SELECT severity, count(*) FROM alerts AS a WHERE NOT EXISTS (SELECT FROM $inner AS e WHERE e.alert_id = a.id) GROUP BY 1 ORDER BY 1");
	same("SELECT severity, count(*) FROM alerts AS a WHERE id IN (SELECT alert_id FROM $inner) GROUP BY 1 ORDER BY 1");
	same("SELECT a.severity, count(*) FROM $inner AS e RIGHT JOIN alerts AS a ON e.alert_id = a.id GROUP BY 1 ORDER BY 1", 1);
	same("SELECT count(*), count(a.id) FROM $inner AS e LEFT JOIN alerts AS a ON e.alert_id = a.id", 1);
	same("SELECT count(*), count(a.id), count(e.alert_id) FROM $inner AS e FULL JOIN alerts AS a ON e.alert_id = a.id");
}

# Three and four tables, of which some, the first too, give nothing.
foreach my $columns ('count(*)', 'count(*), count(a.title)', 'count(*), count(d.host_name)', 'count(*), count(c.comment)',
	'count(*), min(a.title), max(c.comment)', 'count(*), min(a.title), max(d.host_name)', 'count(*), min(g.ordinal)',
	'count(*), min(a.severity), max(d.ordinal), min(c.ordinal), max(g.ordinal)')
{
	same("SELECT $columns FROM alerts AS a LEFT JOIN device_evidence AS d ON d.alert_id = a.id LEFT JOIN alert_comments AS c ON c.alert_id = a.id LEFT JOIN gone AS g ON g.alert_id = a.id", 1);
	same("SELECT $columns FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id LEFT JOIN alert_comments AS c ON c.alert_id = a.id JOIN gone AS g ON g.alert_id = a.id", 1);
	same("SELECT a.severity, $columns FROM alerts AS a LEFT JOIN device_evidence AS d ON d.alert_id = a.id JOIN alert_comments AS c ON c.alert_id = a.id LEFT JOIN gone AS g ON g.alert_id = a.id GROUP BY 1 ORDER BY 1", 1);
}

# What a joined scan does not read, and what is not a column.
same('SELECT count(*) FROM nothing');
same('SELECT n FROM nothing AS n LIMIT 2');
same('SELECT count(*) FROM nothing, narrow');
same('SELECT count(*) FROM nothing AS n LEFT JOIN alerts AS a ON a.severity = \'high\'');
same("SELECT a.tableoid::regclass::text <> '', count(*) FROM alerts AS a LEFT JOIN narrow AS e ON e.alert_id = a.id GROUP BY 1", 0);
same('SELECT e.tableoid IS NULL, count(*) FROM alerts AS a LEFT JOIN narrow AS e ON e.alert_id = a.id GROUP BY 1 ORDER BY 1', 0);
same('SELECT e, count(*) FROM alerts AS a LEFT JOIN gone AS e ON e.alert_id = a.id GROUP BY 1 ORDER BY 1 LIMIT 5', 0);
same('SELECT e IS NULL, count(*) FROM alerts AS a LEFT JOIN gone AS e ON e.alert_id = a.id GROUP BY 1 ORDER BY 1', 0);

# With nested loops, rescans and generic plans.
$session->query('SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off');
same("SELECT v, (SELECT count(*) FROM alerts AS a LEFT JOIN narrow AS e ON e.alert_id = a.id WHERE a.severity = v) FROM (VALUES ('low'), ('high'), (NULL), ('low')) AS x(v)");
same('SELECT v, n FROM generate_series(1, 6) AS v, LATERAL (SELECT count(*) AS n FROM alerts AS a LEFT JOIN gone AS e ON e.alert_id = a.id WHERE a.id = \'s\' || v) AS s');
$session->query('RESET ALL');

$session->quit;
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|WARNING|XX000|terminated by signal/, 'nothing in the log');
done_testing();
