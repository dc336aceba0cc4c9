
# Does IMPORT FOREIGN SCHEMA make the tables that were asked for, ones that can
# be read by a person, dumped and restored?

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 100);
my $node = GraphCluster->connected_to($emulator, import => 0);
my $all = $node->sql(q{CREATE SCHEMA everything; IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO everything;
	SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'everything'::regnamespace});

# The tables that an import makes, or how it fails.
sub imported
{
	my ($what) = @_;
	my $error = $node->error("IMPORT FOREIGN SCHEMA $what FROM SERVER graph INTO attempt",
		before => 'DROP SCHEMA IF EXISTS attempt CASCADE; CREATE SCHEMA attempt');

	return "$error->{state}: $error->{message} ($error->{hint})" if $error->{state};
	return $node->sql(q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'attempt'::regnamespace});
}

#------------------------------------------------------------------------------
# Which tables
#------------------------------------------------------------------------------

is(scalar(my @tables = split / /, $all), 53, 'everything');
$emulator->is_requests('nothing is asked of the service');
is(imported('security LIMIT TO (alerts)'), 'alerts', 'LIMIT TO');
is(imported('security LIMIT TO (url_evidence, alert_comments, alert_evidence)'), 'alert_comments alert_evidence url_evidence', 'LIMIT TO several');
is(imported('security EXCEPT (alerts, device_evidence)'), $all =~ s/ (?:alerts|device_evidence)\b//gr, 'EXCEPT');
is(imported('security EXCEPT (' . join(', ', @tables) . ')'), '', 'EXCEPT all');

like(imported('nonsense'), qr/^HV00Q: .*"nonsense".*"graph".*"security"/, 'no such schema');
like(imported('"Security"'), qr/^HV00Q: /, 'a schema in other case');
like(imported('security LIMIT TO (alert)'), qr/^HV00R: .*"alert".*\(Perhaps you meant the table "alerts"/, 'no such table');
like(imported('security LIMIT TO (alerts, devices)'), qr/^HV00R: .*"devices"/, 'one of two is no such table');
like(imported('security EXCEPT (device_evidences)'), qr/^HV00R: .*"device_evidence"/, 'no such table to leave out');
like(imported('security LIMIT TO ("Alerts")'), qr/^HV00R: /, 'a table in other case');
is($node->error('IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO everything')->{state}, '42P07', 'they are there already');
is($node->error("IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO attempt OPTIONS (x 'y')")->{state}, 'HV00D', 'an option');

#------------------------------------------------------------------------------
# What they look like
#------------------------------------------------------------------------------

$node->sql('CREATE SCHEMA "Odd ""name"; IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, process_evidence, alert_evidence) FROM SERVER graph INTO "Odd ""name"');
is($node->result('SELECT count(*) FROM "Odd ""name".alerts'), 101, 'a schema with an odd name');
is($node->result(q{SELECT count(*) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	WHERE relnamespace = 'everything'::regnamespace AND attnum > 0 AND attname !~ '^[a-z][a-z0-9_]*$'}), 0, 'no name needs quotes');
is($node->result(q{SELECT count(*) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	WHERE relnamespace = 'everything'::regnamespace AND attnum > 0 AND atthasdef}), 0, 'nothing has a default');
is($node->result(q{SELECT string_agg(DISTINCT CASE WHEN relname IN ('alerts', 'incidents', 'incident_comments') THEN relname ELSE 'other' END || '.' || attname, ' ' ORDER BY CASE WHEN relname IN ('alerts', 'incidents', 'incident_comments') THEN relname ELSE 'other' END || '.' || attname)
	FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	WHERE relnamespace = 'everything'::regnamespace AND attnum > 0 AND attnotnull}), 'alerts.id incident_comments.incident_id incident_comments.ordinal incidents.id other.alert_id other.ordinal', 'no more is promised than that there is a row');
is($node->result(q{SELECT string_agg(DISTINCT format_type(atttypid, atttypmod), ' ' ORDER BY format_type(atttypid, atttypmod))
	FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'everything'::regnamespace AND attnum > 0}),
	'bigint boolean double precision integer jsonb text text[] timestamp with time zone uuid', 'the types');
is($node->result(q{SELECT string_agg(attname || COALESCE(' ' || array_to_string(attfdwoptions, ' '), ''), ', ' ORDER BY attnum)
	FROM pg_attribute WHERE attrelid = 'everything.process_evidence'::regclass AND attnum BETWEEN 1 AND 3
	OR attrelid = 'everything.alert_evidence'::regclass AND attname IN ('host_name', 'incident_id')}),
	'alert_id, ordinal, created_date_time, host_name property=hostName|host/hostName, incident_id property=../incidentId',
	'what a column reads');

my $described = $node->result('\pset format aligned
\pset tuples_only off
\d everything.url_evidence');
like($described, qr/^\s*Column\s*\|\s*Type\s*\|.*FDW options/m, 'psql describes a table');
like($described, qr/^ url\s*\|\s*text\s*\|/m, 'a column');
like($described, qr/^ alert_title\s*\|\s*text.*\(property '\.\.\/title'\)/m, 'a column with an option');
like($described, qr/^Server: graph$/m, 'the server');
like($described, qr/^FDW options: \(resource 'evidence', evidence_type 'urlEvidence'\)$/m, 'the options of the table');
cmp_ok((sort { $b <=> $a } map { length } split /\n/, $described)[0], '<', 130, 'its lines are not long');

# Every table and every column can be read.
my @unread = grep { $node->error("SELECT * FROM everything.$_")->{state} } @tables;
is("@unread", '', 'all can be read');

#------------------------------------------------------------------------------
# Dump and restore
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE FOREIGN TABLE everything.own ("a ""b" text OPTIONS (property 'it''s/a "path"|..\odd'), id varchar(40)) SERVER graph OPTIONS (page_size '7');
CREATE MATERIALIZED VIEW everything.kept AS SELECT id, title FROM everything.alerts WITH NO DATA;
CREATE UNIQUE INDEX ON everything.kept (id);
DROP SCHEMA IF EXISTS attempt CASCADE;
CREATE DATABASE restored;
SQL
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$emulator->clear;
$node->command_ok([ 'pg_dump', '--no-sync', '--file', $dump, $node->connstr('postgres') ], 'a dump');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'restored');
$emulator->is_requests('without a request');

my $definition = q{SELECT d FROM (
	SELECT concat_ws('|', relnamespace::regnamespace, relname, attnum, attname, format_type(atttypid, atttypmod), attfdwoptions,
		(SELECT array_agg(o ORDER BY o) FROM unnest(ftoptions) AS o))
	FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_foreign_table ON ftrelid = c.oid WHERE attnum > 0
	UNION ALL SELECT concat_ws('|', srvname, (SELECT array_agg(o ORDER BY o) FROM unnest(srvoptions) AS o)) FROM pg_foreign_server) AS t(d) ORDER BY d COLLATE "C"};
is($node->result($definition, database => 'restored'), $node->result($definition), 'the same definitions');
is($node->result('SELECT umoptions FROM pg_user_mappings', database => 'restored'),
	'{access_token=emulator-access-token}', 'and the user mapping');
foreach my $table (qw(alerts alert_evidence alert_comments process_evidence))
{
	my $rows = qq{SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text COLLATE "C")) FROM everything.$table AS t};

	is($node->result($rows, database => 'restored'), $node->result($rows), "the same rows of $table");
}
is($node->result('REFRESH MATERIALIZED VIEW everything.kept; REFRESH MATERIALIZED VIEW CONCURRENTLY everything.kept; SELECT count(*) FROM everything.kept', database => 'restored'),
	101, 'a materialized view');

# The extension goes as it came.
is($node->result('SELECT graph_fdw_version()'), '1.1.0', 'the version');
is($node->error('DROP EXTENSION graph_fdw')->{state}, '2BP01', 'the extension is needed');
is($node->result('DROP EXTENSION graph_fdw CASCADE; SELECT count(*) FROM pg_foreign_table', database => 'restored') =~ s/^.*\n//sr, 0, 'unless all of it goes');
is($node->result('CREATE EXTENSION graph_fdw; CREATE EXTENSION IF NOT EXISTS graph_fdw; DROP EXTENSION graph_fdw', database => 'restored'), '', 'and comes back');

done_testing();
