# What does a copy cost that is large, or whose alerts came all at once?
#
# A refresh of 100 changes of 100,000 alerts: one request, no other row and no
# table written, and little memory.  A first load of 26,000 alerts that were
# created within a second: pages and a few requests.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator);

# Private memory of a process in kB, or undef where nobody tells.
sub memory
{
	my ($pid) = @_;

	open my $status, '<', "/proc/$pid/status" or return;
	my ($size) = map { /^RssAnon:\s+(\d+)/ } <$status>;
	close $status;
	return $size;
}

#------------------------------------------------------------------------------
# A large copy
#------------------------------------------------------------------------------

my @ids = map { "changed $_" } 1 .. 100;
$emulator->add_alerts(map { alert(id => $_, createdDateTime => '2026-08-01T10:00:00Z', lastUpdateDateTime => '2026-08-01T11:00:00Z',
			evidence => [ map { evidence('deviceEvidence', deviceDnsName => "ws-$_") } 1 .. 3 ]) } @ids);
$node->sql(<<'SQL');
SELECT graph_fdw_create_copy('defender', 'kept', tables => '{alerts,alert_evidence,alert_comments}');
CALL graph_fdw_refresh_copy('kept');
INSERT INTO kept.alerts
SELECT (jsonb_populate_record(a, jsonb_build_object('id', i, 'created_date_time', timestamptz '2026-08-01 10:00Z' - i * interval '2 minutes'))).*
FROM (SELECT a FROM kept.alerts AS a LIMIT 1) AS s, generate_series(1, 100000) AS i;
INSERT INTO kept.alert_evidence
SELECT (jsonb_populate_record(e, jsonb_build_object('alert_id', i))).*
FROM (SELECT e FROM kept.alert_evidence AS e LIMIT 1) AS s, generate_series(1, 100000) AS i;
VACUUM ANALYZE kept.alerts, kept.alert_evidence;
SQL

my $places = q{SELECT md5(string_agg(format('%s %s', ctid, xmin), ',' ORDER BY ctid)) FROM kept.alerts WHERE id NOT LIKE 'changed %'};
my $files = q{SELECT string_agg(relfilenode::text, ' ' ORDER BY oid) FROM pg_class WHERE relnamespace = 'kept'::regnamespace};
my ($rows_before, $files_before) = ($node->sql($places), $node->sql($files));
my $session = $node->session;
my $pid = $session->query('SELECT pg_backend_pid()');
$session->query('SELECT count(*) FROM defender.alerts');
my $idle = memory($pid);
my ($most, $seconds) = (0, 0);
foreach my $nr (1 .. 10)
{
	$node->sql("UPDATE kept.alerts SET title = 'another $nr' WHERE id LIKE 'changed %'; UPDATE kept.alert_evidence SET device_dns_name = 'another' WHERE alert_id LIKE 'changed %'");
	$emulator->clear;
	$session->query("CALL graph_fdw_refresh_copy('kept')");
	is($emulator->asked('alerts_v2'), 1, '100 changes: one request') if $nr == 1;
	my $now = memory($pid) // 0;
	$most = $now if $now > $most;
	$seconds = $node->sql("SELECT extract(epoch FROM duration) FROM graph_fdw_copies");
}
$session->quit;
is($node->sql('SELECT inserted, updated FROM graph_fdw_copies'), '0|100', 'they are written');
is($node->sql($places), $rows_before, 'no other row');
is($node->sql($files), $files_before, 'no other file');
cmp_ok($seconds, '<', 5, "in $seconds seconds");
SKIP:
{
	skip 'nobody tells how much memory it is, or a server is built for tests', 1
		if !defined $idle || $node->sql('SHOW debug_assertions') eq 'on';
	cmp_ok(($most - $idle) / 1024, '<', 10, sprintf 'ten of them in a session: %.1f MB more than before', ($most - $idle) / 1024);
}

#------------------------------------------------------------------------------
# Storms
#------------------------------------------------------------------------------

foreach my $part (0 .. 12)
{
	$emulator->add_alerts(map { alert(id => "s$_", createdDateTime => sprintf('2026-07-20T10:00:00.%06dZ', $_ * 30), lastUpdateDateTime => '2026-07-20T10:00:01Z') } $part * 2000 + 1 .. $part * 2000 + 2000);
}
$emulator->clear;
$node->sql(<<'SQL');
SELECT graph_fdw_create_copy('defender', 'storm', tables => '{alerts}');
CALL graph_fdw_refresh_copy('storm');
SQL
is($node->sql('SELECT count(*), count(DISTINCT id) FROM storm.alerts'), '26100|26100', 'all of a storm');
cmp_ok($emulator->asked('alerts_v2'), '<', 26 * 3, 'in pages and a few requests');
is($node->sql("SELECT load_sorted, loaded FROM graph_fdw_copy WHERE target_schema = 'storm'"), 't|t', 'since the list is seen to be in order');
my (undef, undef, $messages) = $node->psql('postgres', "CALL graph_fdw_refresh_copy('storm', full => true)");
like($messages, qr/compared 26100, repaired 0, gone 0/, 'nothing to repair');

done_testing();
