# Do copies keep up with the service, at the price of what changed?
#
# A copy is made, loaded in slices, refreshed with one request, compared with
# everything and dropped; and it gets over errors, cancels, a crash, two
# refreshes at once, other roles, several tenants, a dump and an upgrade.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence minute);
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 300, '--no-sample');
my $node = GraphCluster->connected_to($emulator);
my $url = $emulator->url;

# Is the copy what the service has, row by row?
sub is_copied
{
	my ($name, $copy, $source, @tables) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	@tables = qw(alerts alert_evidence alert_comments incidents incident_comments) unless @tables;
	foreach my $table (@tables)
	{
		my $gone = $table =~ /_/ ? '' : 'WHERE removed_at IS NULL';
		my $differ = $node->sql(<<"SQL");
WITH s AS MATERIALIZED (SELECT to_jsonb(s)::text AS row FROM $source.$table AS s),
     c AS MATERIALIZED (SELECT (to_jsonb(c) - 'removed_at')::text AS row FROM $copy.$table AS c $gone)
SELECT count(*) || ' of ' || (SELECT count(*) FROM s) FROM ((TABLE s EXCEPT ALL TABLE c) UNION ALL (TABLE c EXCEPT ALL TABLE s)) AS d
SQL
		like($differ, qr/^0 of [1-9]/, "$name: $table");
	}
	$emulator->clear;
	return;
}

sub catalog
{
	my ($columns, $copy, $resource) = @_;

	return $node->sql("SELECT $columns FROM graph_fdw_copy WHERE target_schema = '$copy' AND resource = '" . ($resource || 'alerts') . "'");
}

# A time of the emulator's last day.
sub lately { my ($minute) = @_; return sprintf '2026-08-01T%02d:%02d:00.1234567Z', 11 + int($minute / 60), $minute % 60 }

#------------------------------------------------------------------------------
# Made, and loaded
#------------------------------------------------------------------------------

$node->sql("SELECT graph_fdw_create_copy('defender', 'kept')");
is($emulator->asked(''), 0, 'creating asks nothing');
is($node->sql("SELECT state, rows FROM graph_fdw_copies WHERE target_schema = 'kept'"), 'new|0', 'a new copy');
is($node->sql(q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'kept'::regnamespace AND relkind = 'r'}),
	'alert_comments alert_evidence alerts incident_comments incidents', 'its tables');
is($node->sql(q{SELECT count(*) FROM pg_indexes WHERE schemaname = 'kept' AND indexdef ~ '\((id|alert_id, ordinal|incident_id, ordinal|created_date_time|last_update_date_time|severity, status|incident_id|device_dns_name)\)'}),
	13, 'its indexes');
like($node->said("SELECT graph_fdw_create_copy('defender', 'kept')"), qr/ERROR:  relation "kept\.alerts" already exists|already/, 'not twice');

my $messages = $node->said("CALL graph_fdw_refresh_copy('kept')");
like($messages, qr/NOTICE:  copy "kept" of "defender": alerts from .* up to .*, rows \d+, requests \d+/, 'progress');
unlike($messages, qr/<NULL>/, 'without what is not known yet');
like($messages, qr/NOTICE:  copy "kept" of "defender": alerts: inserted 300, updated 0, unchanged 0, requests \d+, seconds/, 'a result');
is_copied('the first load', 'kept', 'defender');
is($node->sql("SELECT state, rows = (SELECT count(*) FROM kept.alerts) + (SELECT count(*) FROM kept.incidents), up_to BETWEEN '2026-07-31' AND '2026-08-01 12:00', last_error IS NULL, inserted = rows FROM graph_fdw_copies"),
	'ready|t|t|t|t', 'a loaded copy');

#------------------------------------------------------------------------------
# A refresh
#------------------------------------------------------------------------------

# Every row where it is, and how often it was written.
sub places { return $node->sql("SELECT md5(string_agg(format('%s %s %s', ctid, xmin, xmax), ',' ORDER BY ctid)) FROM kept." . $_[0]) }

my %before = map { $_ => places($_) } qw(alerts alert_evidence alert_comments incidents incident_comments);
$node->sql("CALL graph_fdw_refresh_copy('kept')");
is($emulator->asked('alerts_v2'), 1, 'nothing has changed: one request');
is_deeply({ map { $_ => places($_) } keys %before }, \%before, 'no row was written');
like(catalog('inserted, updated, requests', 'kept'), qr/^0\|0\|1$/, 'the catalog says so');

# Evidence that grows and shrinks, an update, a new alert, one without a last
# update, two of one time, one that is late.
my $of_three = $node->sql('SELECT alert_id FROM kept.alert_evidence GROUP BY 1 HAVING count(*) >= 3 ORDER BY 1 LIMIT 1');
$emulator->add_alerts(
	alert(id => 'new', createdDateTime => lately(5), lastUpdateDateTime => lately(5), evidence => [ map { evidence('deviceEvidence', deviceDnsName => "ws-$_") } 1 .. 3 ]),
	alert(id => 'twin', createdDateTime => lately(5), lastUpdateDateTime => lately(5), comments => [ { comment => 'x' } ]),
	alert(id => 'null', createdDateTime => lately(6), lastUpdateDateTime => undef, evidence => [ evidence('userEvidence') ]),
	alert(id => $of_three, createdDateTime => '2026-07-01T00:00:00Z', lastUpdateDateTime => lately(7), evidence => [ evidence('fileEvidence'), evidence('deviceEvidence', deviceDnsName => 'ws-9') ]));
$emulator->clear;
$node->sql("CALL graph_fdw_refresh_copy('kept')");
is($emulator->asked('alerts_v2'), 1, 'changes: one request');
is(catalog('inserted, updated', 'kept'), '3|1', 'three are new, one is another');
is_copied('changes', 'kept', 'defender', qw(alerts alert_evidence alert_comments));
is($node->sql("SELECT count(*) FROM kept.alert_evidence WHERE alert_id = '$of_three'"), 2, 'evidence that is gone is gone');
$emulator->add_alerts(
	alert(id => 'late', createdDateTime => lately(2), lastUpdateDateTime => lately(2)),
	alert(id => 'new', createdDateTime => lately(5), lastUpdateDateTime => lately(30), status => 'resolved', evidence => [ map { evidence('deviceEvidence', deviceDnsName => "ws-$_") } 1 .. 4 ]));
$emulator->clear;
$node->sql("CALL graph_fdw_refresh_copy('kept')");
is($emulator->asked('alerts_v2'), 1, 'a late one: one request');
is_copied('a late one', 'kept', 'defender', qw(alerts alert_evidence alert_comments));

# A server that leaves out what it did not get would have the copy lose it.
$node->sql("ALTER SERVER graph OPTIONS (ADD on_partial 'warning')");
like($node->said("CALL graph_fdw_refresh_copy('kept')"), qr/DETAIL:.*answers of server "graph" may be incomplete/, 'on_partial');
$node->sql("ALTER SERVER graph OPTIONS (DROP on_partial)");

# A time that cannot be is not the end of all others.
$emulator->add_alerts(alert(id => 'future', createdDateTime => lately(31), lastUpdateDateTime => '2099-01-01T00:00:00Z'));
$node->sql("CALL graph_fdw_refresh_copy('kept')");
is($node->sql(q{SELECT count(*) FROM kept.alerts WHERE id = 'future'}), 1, 'an alert of the future');
is(catalog("up_to < '2026-09-01'", 'kept'), 't', 'it does not move the copy into the future');
my @future = map { "future $_" } 1 .. 9;
foreach my $id (@future)
{
	$emulator->add_alerts(alert(id => $id, createdDateTime => '2026-07-20T00:00:00Z', lastUpdateDateTime => '2099-01-01T00:00:00Z'));
	$node->sql("CALL graph_fdw_refresh_copy('kept')") if $id =~ /[369]/;
}
is(catalog("up_to < '2026-09-01'", 'kept'), 't', 'nor do many, one after the other');
$emulator->clear;
$node->sql("CALL graph_fdw_refresh_copy('kept')");
is($emulator->asked('alerts_v2'), 1, 'they cost no other request');
$emulator->control('DELETE', 'alerts?id=' . s/ /%20/r) foreach @future;
$node->sql("DELETE FROM kept.alerts WHERE id LIKE 'future %'");
# A copy that stands in the future nevertheless comes back.
$node->sql("UPDATE graph_fdw_copy SET up_to = '2098-12-31' WHERE target_schema = 'kept' AND resource = 'alerts'");
$emulator->add_alerts(alert(id => 'back', createdDateTime => lately(32), lastUpdateDateTime => lately(32)));
$emulator->clear;
$node->sql("CALL graph_fdw_refresh_copy('kept')");
is($emulator->asked('alerts_v2'), 2, 'a copy of the future: two requests');
is($node->sql("SELECT id FROM kept.alerts WHERE id = 'back'"), 'back', 'and nothing is lost');
is(catalog("up_to < '2026-09-01'", 'kept'), 't', 'as it comes back');
$emulator->control('DELETE', 'alerts?id=back');
$node->sql("DELETE FROM kept.alerts WHERE id = 'back'");
$emulator->control('DELETE', 'alerts?id=future');

$node->sql("SELECT graph_fdw_create_copy('defender', 'ahead', tables => '{alerts}'); CALL graph_fdw_refresh_copy('ahead')");
$node->sql("UPDATE graph_fdw_copy SET up_to = '2026-08-01 11:55' WHERE target_schema = 'ahead'; SELECT graph_fdw_alter_copy('ahead', overlap => '0')");
$emulator->add_alerts(alert(id => 'alone', createdDateTime => '2026-08-01T00:00:00Z', lastUpdateDateTime => '2099-01-01T00:00:00Z'));
$node->sql("CALL graph_fdw_refresh_copy('ahead')");
is(catalog("up_to < '2026-09-01'", 'ahead'), 't', 'nor does one that is all that has changed');
$emulator->control('DELETE', 'alerts?id=alone');
$node->sql("SELECT graph_fdw_drop_copy('ahead')");

#------------------------------------------------------------------------------
# Everything
#------------------------------------------------------------------------------

$messages = $node->said("CALL graph_fdw_refresh_copy('kept', full := true)");
like($messages, qr/alerts: compared 304, repaired 0, gone 1/, 'nothing was lost; one is gone');
is($node->sql("SELECT id FROM kept.alerts WHERE removed_at IS NOT NULL"), 'future', 'it is marked');
$emulator->clear;
like($node->said("CALL graph_fdw_refresh_copy('kept', full => true)"), qr/alerts: compared 304, repaired 0, gone 0/, 'once');
my ($list) = grep { !/lastUpdateDateTime ge|lastUpdateDateTime%20ge/ } grep { /alerts_v2/ } $emulator->requests;
unlike($list, qr/evidence|raw/, 'evidence is not read');
like($list, qr/\$select=/, 'only the other properties');
$emulator->clear;
like($node->said("SELECT graph_fdw_copy_step('kept', 'defender', 'alerts', true, true, NULL, 'comparing') IS NULL"), qr/^t.*another session has finished the comparison: compared 304, repaired 0/s, 'one that another session has finished');
is($emulator->asked(''), 0, 'is not begun anew');

# What the service changes without a word, and what happened to the copy.
$emulator->add_alerts(alert(id => 'quiet', createdDateTime => '2026-07-20T00:00:00Z', lastUpdateDateTime => '2026-07-20T00:00:00Z', comments => [ { comment => 'y' } ]));
$node->sql(<<"SQL");
UPDATE kept.alerts SET title = 'spoilt' WHERE id = 'twin';
DELETE FROM kept.alerts WHERE id = 'null';
DELETE FROM kept.alert_evidence WHERE ordinal = 1 AND alert_id = (SELECT alert_id FROM kept.alert_evidence WHERE alert_last_update_date_time < '2026-07-25' ORDER BY alert_id LIMIT 1);
SQL
like($node->said("CALL graph_fdw_refresh_copy('kept', full => true)"), qr/alerts: inserted 2, updated 2, .*alerts: compared 305, repaired 2, gone 0/s, 'repaired, as far as it is not in the overlap');
is_copied('repairs', 'kept', 'defender', qw(alerts alert_evidence alert_comments));
$emulator->add_alerts(alert(id => 'future', createdDateTime => lately(31), lastUpdateDateTime => lately(32)));
$node->sql("CALL graph_fdw_refresh_copy('kept')");
is($node->sql("SELECT count(*) FROM kept.alerts WHERE removed_at IS NOT NULL"), 0, 'what comes again is marked no more');

# Deleted instead, but not what the service may only keep no longer.
$node->sql("SELECT graph_fdw_create_copy('defender', 'deleting', tables => '{alerts,alert_evidence}', removed => 'delete');
	ALTER TABLE deleting.alert_evidence ADD FOREIGN KEY (alert_id) REFERENCES deleting.alerts; CALL graph_fdw_refresh_copy('deleting')");
my $oldest = $node->sql('SELECT id FROM kept.alerts ORDER BY created_date_time LIMIT 1');
$emulator->control('DELETE', "alerts?id=$_") foreach 'new', $oldest;
$messages = $node->said("CALL graph_fdw_refresh_copy('deleting', full => true)");
like($messages, qr/repaired 0, gone 1/, 'deleted');
is($node->sql("SELECT count(*) FILTER (WHERE id = 'new'), count(*) FILTER (WHERE id = '$oldest'), (SELECT count(*) FROM deleting.alert_evidence WHERE alert_id = 'new') FROM deleting.alerts"),
	'0|1|0', 'with its evidence; not what is older than all others');
$node->sql("SELECT graph_fdw_drop_copy('deleting')");
is($node->sql("SELECT to_regnamespace('deleting') IS NULL AND NOT EXISTS (SELECT FROM graph_fdw_copy WHERE target_schema = 'deleting')"), 't', 'dropped');

#------------------------------------------------------------------------------
# Errors, and going on
#------------------------------------------------------------------------------

$node->sql("ALTER SERVER graph OPTIONS (ADD max_retries '0')");
$emulator->fault(kind => 'status', code => 503, path => 'alerts_v2');
my ($state, $rows, $error) = $node->psql('postgres', "CALL graph_fdw_refresh_copy('kept')", extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($error, qr/ERROR:  57P03: /, 'a refresh that fails says how');
like($error, qr/DETAIL:  This was alerts of "defender".*Microsoft Graph request: GET/s, 'and where');
is($node->sql("SELECT state, last_error ~ '^alerts: 57P03: ', last_error_at IS NOT NULL FROM graph_fdw_copies"), 'failed|t|t', 'the view says so');
$emulator->no_fault;
$node->sql("CALL graph_fdw_refresh_copy('kept')");
is($node->sql("SELECT state, last_error IS NULL FROM graph_fdw_copies"), 'ready|t', 'and forgets it');
foreach my $code (410, 500)
{
	$emulator->fault(kind => 'status', code => $code, path => 'alerts_v2', nth => 1);
	$node->psql('postgres', "CALL graph_fdw_refresh_copy('kept')");
	is(catalog('by_update', 'kept'), 'f', "$code does not refuse a filter");
	$emulator->no_fault;
}
$node->sql("CALL graph_fdw_refresh_copy('kept')");

# The first load is interrupted, in all ways, and goes on where it was.
$node->sql("SELECT graph_fdw_create_copy('defender', 'slow', tables => '{alerts,alert_evidence,alert_comments}')");

sub next_slice { $node->sql("UPDATE graph_fdw_copy SET load_width = $_[0] WHERE target_schema = 'slow'"); $emulator->no_fault; return }

next_slice("now() - '2026-07-31Z'");
$emulator->fault(kind => 'status', code => 500, path => 'alerts_v2', nth => 2);
$node->psql('postgres', "CALL graph_fdw_refresh_copy('slow')");
is(catalog("loaded_from BETWEEN '2026-07-31Z' AND '2026-07-31 00:01Z', row_count > 0, NOT loaded, last_error ~ '^HV000', up_to IS NOT NULL", 'slow'), 't|t|t|t|t', 'an error leaves what was loaded')
  or diag catalog('*', 'slow');
next_slice("'1 hour'");
$emulator->fault(kind => 'stall', path => 'alerts_v2', nth => 3);
like($node->said("SET statement_timeout = '1s'; CALL graph_fdw_refresh_copy('slow')"), qr/canceling statement due to statement timeout/, 'a timeout');
is(catalog("last_error ~ '^57014: canceling statement due to statement timeout', loaded_from < '2026-07-31Z', load_width = '16 hours'", 'slow'), 't|t|t', 'is an error too, it went on, and will in smaller pieces');
my $from = catalog('loaded_from', 'slow');
next_slice("'1 hour'");
$emulator->fault(kind => 'stall', path => 'alerts_v2', nth => 3);
my $session = $node->session;
$session->query_until(qr/begun/, "\\echo begun\nCALL graph_fdw_refresh_copy('slow');\n");
$node->poll_query_until('postgres', "SELECT loaded_from < '$from' FROM graph_fdw_copy WHERE target_schema = 'slow'");
$node->kill9;
eval { $session->quit };
foreach (1 .. 100)
{
	last if $node->start(fail_ok => 1);
	$node->{_pid} = undef;      # of the file that was left; its backends go now
	select undef, undef, undef, 0.1;
}
is(catalog("loaded_from < '$from'", 'slow'), 't', 'a crash leaves what was loaded');
$emulator->no_fault;
$node->sql("CALL graph_fdw_refresh_copy('slow')");
is_copied('after all that', 'slow', 'defender', qw(alerts alert_evidence alert_comments));
like($node->said("CALL graph_fdw_refresh_copy('slow', full => true)"), qr/repaired 0, gone 0/, 'nothing to repair');

# What took too long is read in pieces, and one that is too small grows.
foreach my $width ('1 minute', '1 day')
{
	$emulator->add_alerts(map { alert(id => "piece $width $_", createdDateTime => lately(10 + $_), lastUpdateDateTime => lately(10 + $_)) } 1 .. 20);
	$node->sql("UPDATE graph_fdw_copy SET changes_width = '$width', up_to = up_to - interval '1 hour' WHERE target_schema = 'slow'; CALL graph_fdw_refresh_copy('slow')");
	is(catalog('inserted, changes_width IS NULL', 'slow'), '20|t', "in pieces of $width");
}
is_copied('in pieces', 'slow', 'defender', qw(alerts alert_evidence alert_comments));

# In a transaction, and in a function.
$node->sql("SELECT graph_fdw_drop_copy('slow'); SELECT graph_fdw_create_copy('defender', 'slow', tables => '{alerts,alert_evidence,alert_comments}')");
like($node->said("BEGIN; CALL graph_fdw_refresh_copy('slow'); ROLLBACK"), qr/NOTICE:  the refresh is part of its caller's transaction/, 'in a transaction');
is($node->sql("SELECT state, (SELECT count(*) FROM slow.alerts) FROM graph_fdw_copies WHERE target_schema = 'slow'"), 'new|0', 'undone with it');
$node->sql("DO \$\$ BEGIN CALL graph_fdw_refresh_copy('slow'); END \$\$; CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN CALL graph_fdw_refresh_copy('slow'); END \$\$; SELECT f()");
is_copied('in a function', 'slow', 'defender', qw(alerts alert_evidence alert_comments));

# Two at once.
$session = $node->session;
$session->query("BEGIN; CALL graph_fdw_refresh_copy('slow')");
like($node->said("CALL graph_fdw_refresh_copy('slow', wait => false)"), qr/NOTICE:  copy "slow" of "defender": another session is refreshing alerts/, 'the second says so');
like($node->said("SET statement_timeout = '500ms'; CALL graph_fdw_refresh_copy('slow')"), qr/NOTICE: .*waiting for another session.*canceling statement/s, 'or waits');
is($node->sql("SELECT count(*) > 0 FROM slow.alerts"), 't', 'readers do not');
$session->query('COMMIT');
$session->quit;
like($node->said("CALL graph_fdw_refresh_copy('slow', wait => false)"), qr/inserted 0, updated 0/, 'and goes on after it');

#------------------------------------------------------------------------------
# Other roles, other columns
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE ROLE refresher LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN;
GRANT USAGE ON FOREIGN SERVER graph TO refresher;
CREATE USER MAPPING FOR refresher SERVER graph OPTIONS (access_token 'emulator-access-token');
GRANT USAGE ON SCHEMA defender, slow TO refresher; GRANT USAGE ON SCHEMA slow TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA defender TO refresher;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA slow TO refresher;
GRANT SELECT ON ALL TABLES IN SCHEMA slow TO reader;
SQL
like($node->said("SET ROLE refresher; CALL graph_fdw_refresh_copy('slow', full => true)"), qr/repaired 0, gone 0/, 'a role that may only refresh');
like($node->said("SET ROLE reader; CALL graph_fdw_refresh_copy('slow')"), qr/ERROR:  permission denied for copy "slow"/, 'one that may only read');
is($node->sql("SET ROLE reader; SELECT target_schema FROM graph_fdw_copies"), 'slow', 'sees what it may read');
is($node->sql("SET ROLE stranger; SELECT count(*) FROM graph_fdw_copies"), 0, 'another one does not');
like($node->said("SET ROLE stranger; CALL graph_fdw_refresh_copy('slow')"), qr/ERROR:  there is no copy "slow" that this role may see/, 'and cannot refresh');
foreach my $change ("UPDATE graph_fdw_copy_rows SET source_schema = 'x'", 'DELETE FROM graph_fdw_copy_rows',
	"UPDATE graph_fdw_copy_rows SET overlap = '0'", "INSERT INTO graph_fdw_copy_drop VALUES ('slow', 'defender', 'alerts')",
	"INSERT INTO graph_fdw_copy_rows (target_schema, source_schema, resource, owner, tables, overlap, removed, made_schema) VALUES ('slow', 'x', 'alerts', 'refresher', '[{\"target\": \"alerts\"}]', '0', 'keep', false)")
{
	unlike($node->said("SET ROLE refresher; $change"), qr/^(UPDATE|DELETE|INSERT) .*[1-9]/, "who may refresh may not: $change");
}
is($node->sql("SELECT count(*) FROM graph_fdw_copy WHERE source_schema = 'x'"), 0, 'nothing of that');
is($node->sql("SELECT count(*) FROM graph_fdw_copy"), 3, 'nothing is missing');
$node->sql("ALTER FOREIGN TABLE defender.alerts ADD COLUMN description_again text OPTIONS (property 'description')");
like($node->said("CALL graph_fdw_refresh_copy('slow')"), qr/WARNING:  copy "slow" of "defender" lacks columns of "alerts": description_again\nHINT:  SELECT graph_fdw_alter_copy\('slow'\)/, 'a new column');
$node->sql("SELECT graph_fdw_alter_copy('slow', overlap => '2 hours'); CALL graph_fdw_refresh_copy('slow')");
is(catalog('overlap', 'slow'), '02:00:00', 'another overlap');
is_copied('a new column', 'slow', 'defender', 'alerts');
$node->sql("ALTER FOREIGN TABLE defender.alerts DROP COLUMN description_again, DROP COLUMN description; SET ROLE refresher; CALL graph_fdw_refresh_copy('slow', full => true)");
is($node->sql('SELECT count(*) > 0, count(description) > 0 FROM slow.alerts'), 't|t', 'fewer columns: what is there stays');

# Tables of one's own, with other names and types.
$node->sql(<<'SQL');
CREATE SCHEMA "own one";
CREATE FOREIGN TABLE "own one".alarm ("The id" varchar(200) OPTIONS (property 'id'), changed timestamptz OPTIONS (property 'lastUpdateDateTime'),
  born timestamptz OPTIONS (property 'createdDateTime'), everything json OPTIONS (property '.')) SERVER graph;
CREATE FOREIGN TABLE "own one".machine (alert text OPTIONS (property 'alertId'), nr int OPTIONS (property 'ordinal'), name text OPTIONS (property 'deviceDnsName'))
  SERVER graph OPTIONS (resource 'evidence', evidence_type 'deviceEvidence');
SELECT graph_fdw_create_copy('own one', 'own copy', tables => '{machine,alarm}', since => NULL);
SQL
$emulator->clear;
$node->sql("CALL graph_fdw_refresh_copy('own copy')");
cmp_ok($emulator->asked('alerts_v2'), '<', 12, 'tables of one\'s own: requests');
is($node->sql(q{SELECT (SELECT count(*) FROM "own one".machine) - (SELECT count(*) FROM "own copy".machine), (SELECT count(*) FROM "own one".alarm) - (SELECT count(*) FROM "own copy".alarm)}), '0|0', 'rows');
like($node->said("CALL graph_fdw_refresh_copy('own copy', full => true)"), qr/repaired 0, gone 0/, 'nothing to repair');
like($node->said(q{SELECT graph_fdw_create_copy('own one', 'x', tables => '{machine}')}), qr/ERROR:  "machine" cannot be copied without a table of the alerts that it is in/, 'evidence alone');
like($node->said(q{SELECT graph_fdw_create_copy('own one', 'x', tables => '{}')}), qr/ERROR:  "tables" names no table to copy/, 'no table');
like($node->said(q{SELECT graph_fdw_create_copy('own one', 'x', tables => '{alarm,NULL}')}), qr/ERROR:  only "since", "tables" and "tenant_id" of a copy may be null/, 'a null one');
like($node->said(q{SELECT graph_fdw_create_copy('own one', 'x')}), qr/ERROR:  schema "own one" has no tables that could be copied/, 'no known names');
like($node->said(q{SELECT graph_fdw_create_copy('public', 'x', tables => '{f}')}), qr/ERROR:  there is no foreign table "public.f" of graph_fdw/, 'no such table');
like($node->said(q{ALTER TABLE "own copy".alarm DROP CONSTRAINT alarm_pkey; CALL graph_fdw_refresh_copy('own copy')}), qr/HINT:  Somebody may have changed the tables of the copy/, 'no primary key');
like($node->said(q{ALTER FOREIGN TABLE "own one".alarm RENAME TO alarms; CALL graph_fdw_refresh_copy('own copy')}), qr/ERROR:  source "own one.alarm" of copy "own copy" of "own one" does not exist/, 'no source');
$node->sql("SELECT graph_fdw_drop_copy('own copy')");

# A role makes a copy of its own, and does everything with it.
$node->sql('GRANT CREATE ON DATABASE postgres TO refresher');
like($node->said(q{SET ROLE refresher; SELECT graph_fdw_create_copy('defender', 'mine', tables => '{alerts,alert_evidence}'); CALL graph_fdw_refresh_copy('mine');
	SELECT graph_fdw_alter_copy('mine', removed => 'keep'); CALL graph_fdw_refresh_copy('mine', full => true); SELECT count(*) > 0 FROM mine.alerts}),
	qr/^\s*t(?:psql|NOTICE).*repaired 0, gone 0/ms, 'a role\'s own copy');
like($node->said(q{SET ROLE refresher; SELECT graph_fdw_drop_copy('mine'); SELECT to_regnamespace('mine') IS NULL}), qr/^t$/m, 'dropped by it');

#------------------------------------------------------------------------------
# Many tenants
#------------------------------------------------------------------------------

$node->sql(<<"SQL");
SELECT graph_fdw_drop_copy('slow');
CREATE SERVER fabrikam FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url/at/fabrikam', max_retries '0');
CREATE USER MAPPING FOR CURRENT_USER SERVER fabrikam OPTIONS (access_token 'emulator-access-token');
CREATE SCHEMA fabrikam;
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_evidence) FROM SERVER fabrikam INTO fabrikam;
SELECT graph_fdw_create_copy('defender', 'tenants', tables => '{alerts,alert_evidence}', tenant_id => 'contoso');
SELECT graph_fdw_create_copy('fabrikam', 'tenants', tables => '{alerts,alert_evidence}', tenant_id => 'fabrikam');
CALL graph_fdw_refresh_copy('tenants', source_schema => 'fabrikam');
SQL
is($node->sql('SELECT tenant_id, count(*) > 0 FROM tenants.alerts GROUP BY 1'), 'fabrikam|t', 'one of two tenants');
$emulator->fault(kind => 'status', code => 403, path => 'alerts_v2', nth => 1);
like($node->said("CALL graph_fdw_refresh_copy('tenants')"), qr/fabrikam": alerts: inserted 0.*ERROR/s, 'one fails, the other does not');
is($node->sql("SELECT string_agg(source_schema || ' ' || state, ', ' ORDER BY source_schema) FROM graph_fdw_copies WHERE target_schema = 'tenants'"), 'defender failed, fabrikam ready', 'the view says which');
$emulator->no_fault;
$emulator->fault(kind => 'status', code => 403, path => 'alerts_v2', nth => 1);
like($node->said("BEGIN; CALL graph_fdw_refresh_copy('tenants'); COMMIT"), qr/WARNING:  alerts of "defender": .*fabrikam": alerts: inserted 0/s, 'in a transaction too');
$emulator->no_fault;
like($node->said("CALL graph_fdw_refresh_copy('tenants', full => true)"), qr/repaired 0, gone 0.*repaired 0, gone 0/s, 'both');
is($node->sql('SELECT string_agg(tenant_id || (n = m)::text, $$ $$ ORDER BY tenant_id) FROM (SELECT tenant_id, count(*) AS n, (SELECT count(*) FROM defender.alerts) AS m FROM tenants.alerts GROUP BY 1) AS s'), 'contosotrue fabrikamtrue', 'all of both');
like($node->said("SELECT graph_fdw_create_copy('fabrikam', 'tenants', tenant_id => 'again')"), qr/ERROR:  copy "tenants" of "fabrikam" already exists/, 'none twice');
my $long = 'a_long_name_of_a_schema_with_all_that_there_is_of_a_tenant';
foreach my $end (1, 2)
{
	$node->sql("CREATE SCHEMA ${long}_$end; IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_evidence) FROM SERVER fabrikam INTO ${long}_$end;
		SELECT graph_fdw_create_copy('${long}_$end', 'tenants', tenant_id => 'long $end')");
}
$node->sql("CALL graph_fdw_refresh_copy('tenants')");
is($node->sql("SELECT count(*) FROM (SELECT tenant_id FROM tenants.alert_evidence WHERE tenant_id ~ 'long' GROUP BY 1) AS s"), 2, 'two of names that begin alike');
$node->sql("SELECT graph_fdw_drop_copy('tenants', '${long}_$_')") foreach 1, 2;
$node->sql("SELECT graph_fdw_drop_copy('tenants', 'defender')");
is($node->sql('SELECT tenant_id FROM tenants.alert_evidence GROUP BY 1'), 'fabrikam', 'one is dropped');

#------------------------------------------------------------------------------
# A dump, another schema, an upgrade
#------------------------------------------------------------------------------

my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'a dump');
$node->sql('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'is restored');
$emulator->clear;
$node->sql("ALTER EXTENSION graph_fdw SET SCHEMA tenants; SET search_path = pg_catalog; CALL tenants.graph_fdw_refresh_copy('kept')", database => 'restored');
is($emulator->asked('alerts_v2'), 1, 'goes on there with one request, in another schema');
$node->sql("CALL graph_fdw_refresh_copy('kept')");
is($node->sql("SELECT count(*) FROM kept.alerts", database => 'restored'), $node->sql('SELECT count(*) FROM kept.alerts'), 'the same rows');
$node->sql('CREATE DATABASE old');
$node->sql("CREATE EXTENSION graph_fdw VERSION '1.0'; ALTER EXTENSION graph_fdw UPDATE; SELECT * FROM graph_fdw_copies", database => 'old');
is($node->sql("SELECT string_agg(pg_describe_object(classid, objid, 0), ' ' ORDER BY 1) FROM (SELECT * FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass) AS d WHERE pg_describe_object(classid, objid, 0) ~ 'copy|copies'", database => 'old'),
	$node->sql("SELECT string_agg(pg_describe_object(classid, objid, 0), ' ' ORDER BY 1) FROM (SELECT * FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass) AS d WHERE pg_describe_object(classid, objid, 0) ~ 'copy|copies'"), 'the same by an upgrade');

done_testing();
