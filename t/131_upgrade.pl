
# ALTER EXTENSION graph_fdw UPDATE: does an installation of 1.0 become what a new
# one is, and keep what it has? And is the library's number the same everywhere?

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use JSON::PP;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 5, '--no-sample');
my $node = GraphCluster->connected_to($emulator, conf => "fsync = off\njit = off");
my $url = $emulator->url;

# All that belongs to the extension, each as it was made, with its comment, its
# rights, and whether pg_dump takes its rows.
my $objects = <<'SQL';
SELECT what || ' | ' || coalesce(made, '') || ' | ' || coalesce(said, '') || ' | ' || coalesce(rights, '')
FROM pg_depend AS d
CROSS JOIN LATERAL (SELECT
	pg_describe_object(d.classid, d.objid, 0) AS what, obj_description(d.objid, d.classid::regclass::name) AS said,
	CASE d.classid
		WHEN 'pg_proc'::regclass THEN (SELECT CASE WHEN prokind IN ('f', 'p') THEN pg_get_functiondef(oid) END FROM pg_proc WHERE oid = d.objid)
		WHEN 'pg_class'::regclass THEN (SELECT relkind::text || coalesce(pg_get_viewdef(oid), '') || coalesce(array_to_string(reloptions, ' '), '') || relrowsecurity::text
				|| coalesce((SELECT string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull, attacl, pg_get_expr(adbin, adrelid)), ', ' ORDER BY attnum)
					FROM pg_attribute AS a LEFT JOIN pg_attrdef AS f ON adrelid = attrelid AND adnum = attnum WHERE attrelid = c.oid AND attnum > 0), '')
				|| coalesce((SELECT string_agg(pg_get_triggerdef(t.oid), ', ' ORDER BY tgname) FROM pg_trigger AS t WHERE tgrelid = c.oid AND NOT tgisinternal), '')
				|| coalesce((SELECT string_agg(conname || pg_get_constraintdef(k.oid), ', ' ORDER BY conname) FROM pg_constraint AS k WHERE conrelid = c.oid), '')
				|| coalesce((SELECT string_agg(pg_get_indexdef(indexrelid), ', ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = c.oid), '')
			FROM pg_class AS c WHERE oid = d.objid)
		WHEN 'pg_foreign_data_wrapper'::regclass THEN (SELECT fdwhandler::regproc || ' ' || fdwvalidator::regproc FROM pg_foreign_data_wrapper WHERE oid = d.objid)
	END AS made,
	CASE d.classid
		WHEN 'pg_proc'::regclass THEN (SELECT proacl::text FROM pg_proc WHERE oid = d.objid)
		WHEN 'pg_class'::regclass THEN (SELECT relacl::text FROM pg_class WHERE oid = d.objid)
	END AS rights) AS o
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'graph_fdw')
ORDER BY 1
SQL
my $kept = q{SELECT extversion, (SELECT string_agg(c::regclass::text || w, ', ') FROM unnest(extconfig, extcondition) AS u(c, w)), extrelocatable FROM pg_extension WHERE extname = 'graph_fdw'};

#------------------------------------------------------------------------------
# One that was in use, and one that is new
#------------------------------------------------------------------------------

$node->sql('CREATE DATABASE old');
$node->sql(<<"SQL", database => 'old');
CREATE EXTENSION graph_fdw VERSION '1.0';
CREATE SERVER graph FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url', authority '$url');
CREATE USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (access_token 'emulator-access-token');
CREATE SCHEMA defender;
IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO defender;
CREATE ROLE reader;
GRANT USAGE ON SCHEMA defender TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA defender TO reader;
CREATE VIEW high AS SELECT id, title FROM defender.alerts WHERE severity = 'high';
CREATE MATERIALIZED VIEW held AS SELECT id, severity FROM defender.alerts;
SQL
my $use = "SELECT count(*) FROM defender.alerts; SELECT count(*) FROM high; SELECT count(*) FROM held; SELECT count(*) > 0 FROM graph_fdw_check('graph')";
my $before = $node->sql($use, database => 'old');
my $session = $node->session(database => 'old');

is($session->query('SELECT count(*) FROM defender.alerts; SELECT writes FROM graph_fdw_stats()') . ($session->{stderr} =~ /column "writes" does not exist/ ? 'as 1.0 is' : ''),
	'5as 1.0 is', 'the library serves the objects of 1.0');
$session->{stderr} = '';
is($node->sql("SELECT requests > 0 FROM graph_fdw_stats(), (SELECT count(*) FROM defender.alerts) AS a OFFSET 0", database => 'old'), '', 'statistics of 1.0, of a session that has asked nothing');
is($node->sql("SELECT string_agg(source || ' ' || target || ' ' || path, ', ') FROM pg_extension_update_paths('graph_fdw') WHERE path IS NOT NULL"),
	'1.0 1.1 1.0--1.1', 'the path of updates');
$node->sql('ALTER EXTENSION graph_fdw UPDATE', database => 'old');
my @new = split /\n/, $node->sql($objects);
is($node->sql($objects, database => 'old'), join("\n", @new), 'the same objects as a new installation');
cmp_ok(scalar @new, '>', 10, 'there are some');
is($node->sql($kept, database => 'old'), $node->sql($kept), 'the version, and what pg_dump keeps');
is($node->sql($use, database => 'old'), $before, 'what was made before works');
is($session->query('SELECT count(*) FROM defender.alerts; SELECT writes FROM graph_fdw_stats()'), "5\n0", 'in a session from before, too');
is($session->{stderr}, '', 'without a word');
is($node->sql('SET ROLE reader; SELECT has_table_privilege($$defender.alerts$$, $$SELECT$$)', database => 'old'), 't', 'rights are kept');
$node->sql("SELECT graph_fdw_create_copy('defender', 'copied'); CALL graph_fdw_refresh_copy('copied')", database => 'old');
is($node->sql('SELECT count(*) FROM copied.alerts', database => 'old'), '5', 'what 1.1 brings works');
$session->quit;

# Nothing of the extension is left when it goes.
$node->sql('DROP EXTENSION graph_fdw CASCADE', database => 'old');
is($node->sql("SELECT count(*) FROM pg_proc WHERE proname LIKE 'graph\\_fdw%'", database => 'old'), '0', 'DROP EXTENSION takes all of it');
is($node->sql('SELECT count(*) FROM copied.alerts', database => 'old'), '5', 'but no copies');

#------------------------------------------------------------------------------
# The number
#------------------------------------------------------------------------------

open my $file, '<', "$FindBin::RealBin/../META.json" or die "META.json: $!";
my $meta = JSON::PP->new->decode(join '', <$file>);
my $number = $meta->{version};
like($number, qr/^\d+\.\d+\.\d+$/, 'three numbers');
is($meta->{provides}{graph_fdw}{version}, $number, 'META.json says it twice');
is($node->sql("SELECT '$number' LIKE extversion || '.%' FROM pg_extension WHERE extname = 'graph_fdw'"), 't', 'the SQL objects have the first two');
my $version = $node->sql('SHOW server_version_num');
SKIP:
{
	skip 'a server that tells the numbers of its modules: PostgreSQL 18 and later', 1 if $version < 180000;
	is($node->sql("LOAD 'graph_fdw'; SELECT version FROM pg_get_loaded_modules() WHERE module_name = 'graph_fdw'"), $number, 'the server knows it');
}
$emulator->clear;
$node->sql('SELECT count(*) FROM defender.alerts');
my ($record) = $emulator->records;
my ($agent) = map { $record->{headers}{$_} } grep { lc eq 'user-agent' } keys %{ $record->{headers} };
like($agent, qr{^graph_fdw/\Q$number\E PostgreSQL/}, 'and so does the service');

done_testing();
