# Does a copy get there under a timeout that is shorter than what there is to read?
#
# Each call of a refresh may be cut off by statement_timeout; what it has read in
# pieces stays, and the next one goes on.  A storm after a quiet time, one within
# the overlap, a comparison of everything, a service that refuses "or"; what
# becomes visible behind a piece that was read; and settings that are changed
# while a refresh runs.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use POSIX qw(strftime);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample', '--set', 'top_max=25');
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 0 });

# A time so many minutes ago, by the clock that the service's answers show.
sub ago { my ($minutes) = @_; return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time - 60 * $minutes)) }

sub catalog { my ($columns) = @_; return $node->sql("SELECT $columns FROM graph_fdw_copy WHERE target_schema = 'k'") }

# Calls with a timeout until one succeeds: how many, or 0 for too many.
sub calls
{
	my ($arguments, $timeout, $between) = @_;

	$emulator->settings(latency_ms => 50);
	foreach my $call (1 .. 25)
	{
		my $messages = $node->said("SET statement_timeout = '$timeout'; CALL graph_fdw_refresh_copy('k'$arguments)");

		note catalog('changes_width, changes_from, up_to, compare_parts, compared_to');
		next if $messages =~ /ERROR:  canceling statement due to statement timeout/ && (!$between || &$between($call));
		$emulator->settings(latency_ms => 0);
		return $call if $messages !~ /ERROR/;
		diag $messages;
		return 0;
	}
	$emulator->settings(latency_ms => 0);
	return 0;
}

# Is each alert of the service in the copy as it is?
sub is_copied
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($node->sql("SELECT count(*) FROM (SELECT id, title, last_update_date_time FROM defender.alerts EXCEPT SELECT id, title, last_update_date_time FROM k.alerts) AS d"), 0, $name);
	$emulator->clear;
	return;
}

# Alerts that were all updated within some minutes; some have no last update.
sub storm
{
	my ($title, $number, $first, $last) = @_;

	return map {
		my $minutes = $first - ($first - $last) * $_ / $number;
		alert(id => "$title $_", title => $title, lastUpdateDateTime => $_ % 7 ? ago($minutes) : undef,
			createdDateTime => $_ % 7 ? ago(24 * 60 * (1 + $_ % 100)) : ago($minutes))
	} 1 .. $number;
}

$node->sql("SELECT graph_fdw_create_copy('defender', 'k', tables => '{alerts}')");
$emulator->add_alerts(alert(id => 'first', createdDateTime => ago(24 * 60 * 120), lastUpdateDateTime => ago(24 * 60 * 100)),
	alert(id => 'newest', createdDateTime => ago(240), lastUpdateDateTime => ago(240)));
$node->sql("CALL graph_fdw_refresh_copy('k')");

#------------------------------------------------------------------------------
# A storm after a quiet time, longer than the overlap
#------------------------------------------------------------------------------

$emulator->add_alerts(storm('quiet', 250, 50, 1));
my $needed = calls('', '500ms');
cmp_ok($needed, '>', 1, 'a storm after a quiet time is read in pieces');
is_copied('all of it');
is(catalog('changes_width IS NULL, changes_from IS NULL, changes_started IS NULL, last_error IS NULL'), 't|t|t|t', 'and that was it');
is($node->sql("SELECT state FROM graph_fdw_copies WHERE target_schema = 'k'"), 'ready', 'the copy is ready');

#------------------------------------------------------------------------------
# One within the overlap, of a service that refuses "or"; and what comes late
#------------------------------------------------------------------------------

$emulator->add_alerts(storm('overlap', 250, 55, 0.5));
$emulator->fault(kind => 'status', code => 400, path => ' or ', times => -1);
my $late;
$needed = calls('', '500ms', sub {
	# behind what was read, by a refresh that began half an hour ago
	if (!$late && catalog("changes_from > now() - interval '50 minutes'") eq 't')
	{
		$late = 1;
		$node->sql("UPDATE graph_fdw_copy SET changes_started = now() - interval '30 minutes', up_to = now() - interval '40 minutes'");
		$emulator->add_alerts(alert(id => 'late', title => 'late', createdDateTime => ago(80), lastUpdateDateTime => ago(75)));
	}
	return 1;
});
cmp_ok($needed, '>', 1, 'a storm within the overlap');
ok($late, 'something came behind a piece');
$emulator->no_fault;
is($node->sql("SELECT count(*) FROM k.alerts WHERE id = 'late'"), 0, 'which that refresh could not see');
$node->sql("CALL graph_fdw_refresh_copy('k')");
is_copied('but the next one does');

#------------------------------------------------------------------------------
# A comparison
#------------------------------------------------------------------------------

$node->sql("DELETE FROM k.alerts WHERE id LIKE 'quiet 11%' AND last_update_date_time IS NOT NULL; UPDATE graph_fdw_copy SET up_to = now() - interval '1 second', overlap = '1 second'");
$needed = calls(', full => true', '500ms');
cmp_ok($needed, '>', 1, 'a comparison is made in parts');
is_copied('and repairs all');
is(catalog('compared_to IS NULL, compare_parts, last_full IS NOT NULL, repaired > 5, gone'), 't|1|t|t|0', 'each once');
like($node->said("CALL graph_fdw_refresh_copy('k', full => true)"), qr/repaired 0, gone 0/, 'nothing is left to repair');

#------------------------------------------------------------------------------
# Without a timeout
#------------------------------------------------------------------------------

$emulator->settings(top_max => 1000);
$emulator->add_alerts(storm('last', 300, 0.1, 0));
$node->sql("UPDATE graph_fdw_copy SET by_update = false, overlap = '1 hour'");
$emulator->clear;
$node->sql("CALL graph_fdw_refresh_copy('k')");
is($emulator->asked('alerts_v2'), 1, 'one request for 300 changes');
is_copied('which are copied');

#------------------------------------------------------------------------------
# Settings that are changed while a refresh runs
#------------------------------------------------------------------------------

# A step of a refresh has the row first, and then its tables.
foreach my $call ("graph_fdw_alter_copy('k', overlap => '2 hours')", "graph_fdw_drop_copy('k')")
{
	$node->sql("ALTER FOREIGN TABLE defender.alerts ADD again text OPTIONS (property 'title')") if $call =~ /alter/;
	my $step = $node->session;
	$step->query("BEGIN; SELECT FROM graph_fdw_copy WHERE target_schema = 'k' FOR UPDATE");
	my $other = $node->session;
	$other->query_until(qr/begun/, "\\echo begun\nSELECT $call;\n");
	my ($name) = $call =~ /(\w+)/;
	$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ '$name'");
	like($step->query("SET lock_timeout = '5s'; LOCK TABLE ONLY k.alerts IN ROW EXCLUSIVE MODE; SELECT 'has both'"), qr/has both/, "$call waits for the row, without the tables");
	$step->query('COMMIT');
	$step->quit;
	like($other->query("SELECT 'goes on'"), qr/goes on/, 'and goes on');
	is(catalog('overlap'), $call =~ /alter/ ? '02:00:00' : '', 'to its end');
	$other->quit;
}
done_testing();
