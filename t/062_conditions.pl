
# Is whatever is about one enum column, or about a row of columns, sent as far
# as the service can answer it, and is the answer right?
#
# The alerts have members that are new, words that are written otherwise, and
# NULLs.  Each condition is asked of a copy as well; all that comes for it may
# be too much, but little of it is.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use Test::More;
use Time::HiRes qw(time);

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, conf => "jit = off\nfsync = off\nmax_parallel_workers = 2");
my @severity = qw(high medium low informational unknown critical);
my @status = qw(new inProgress resolved);
my @class = (undef, qw(truePositive falsePositive), undef, 'newKind');
my @source = qw(microsoftDefenderForEndpoint microsoft365Defender microsoftSentinel);

$emulator->set_alerts(map {
	alert(
		id => sprintf('a%03d', $_), severity => $severity[ $_ % 6 ], status => $status[ $_ % 3 ],
		classification => $class[ $_ % 5 ], serviceSource => $source[ int($_ / 3) % 3 ],
		assignedTo => $_ % 50 ? undef : 'Robin@contoso.test',
		createdDateTime => sprintf('2026-07-%02dT%02d:%02d:00Z', 30 - int($_ / 60), 23 - int($_ / 20) % 24, 59 - int($_ / 7)),
		lastUpdateDateTime => sprintf('2026-07-30T%02d:%02d:00Z', $_ / 60, $_ % 60),
		evidence => [ evidence('deviceEvidence', hostName => "ws-$_") ])
} 0 .. 299);
$node->sql(<<'SQL');
ALTER DATABASE postgres SET search_path = defender, public;
ALTER DATABASE postgres SET TimeZone = 'UTC';
CREATE TABLE public.copy AS SELECT * FROM defender.alerts;
ANALYZE public.copy;
SQL
$emulator->clear;

# The filters of the requests since the last time.
sub filters
{
	my @filters = map { s/%([0-9A-F]{2})/chr hex $1/gier =~ /\$filter=(.*?)(?:&|$)/ ? $1 : '-' } $emulator->requests;
	$emulator->clear;
	return @filters;
}

sub none_of { my ($property, @words) = @_; return join ' and ', map { "$property ne '$_'" } @words }

# A condition gives the rows of the copy, by one request with this filter.
sub check
{
	my ($condition, $filter) = @_;
	my @got = map { $node->sql("SELECT count(*), md5(string_agg(id, ',' ORDER BY id)) FROM $_ WHERE $condition") } qw(alerts copy);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($got[0], $got[1], "$condition: rows");
	is(join("\n", filters()), $filter, "$condition: filter");
	return;
}

#------------------------------------------------------------------------------
# What is sent
#------------------------------------------------------------------------------

my $high = none_of('severity', qw(unknown informational low medium));

check(q{severity ILIKE 'high'}, $high);
check(q{lower(severity) IN ('high', 'critical')}, $high);
check(q{severity LIKE 'H%'}, $high);
check(q{severity LIKE 'crit%'}, none_of('severity', qw(unknown informational low medium high)));
check(q{severity NOT LIKE '%o%'}, none_of('severity', qw(unknown informational low)));
check(q{severity > 'low'}, none_of('severity', qw(informational low high)));
check(q{severity ~ '^[hc]' OR severity = 'low'}, none_of('severity', qw(unknown informational medium)));
check(q{severity IN ('high', 'critical')}, $high);
check(q{severity NOT IN ('high', 'critical')}, none_of('severity', 'high'));
check(q{severity = 'critical' OR severity IS NULL}, none_of('severity', qw(unknown informational low medium high)));
check(q{CASE severity WHEN 'high' THEN true WHEN 'low' THEN true END}, q{(severity eq 'low' or severity eq 'high')});
check(q{CASE severity WHEN 'high' THEN false ELSE true END}, q{severity ne 'high'});
check(q{classification LIKE 'true%'}, 'classification ne null and ' . none_of('classification', qw(unknown falsePositive informationalExpectedActivity)));
check(q{(classification LIKE 'true%') IS NOT TRUE}, q{(classification eq null or classification ne 'truePositive')});
check(q{COALESCE(classification, 'truePositive') = 'truePositive'},
	'(classification eq null or ' . none_of('classification', qw(unknown falsePositive informationalExpectedActivity)) . ')');
check(q{classification <> 'noKind'}, 'classification ne null');
check(q{service_source ILIKE '%sentinel'}, none_of('serviceSource', qw(unknown microsoftDefenderForEndpoint microsoftDefenderForIdentity
	microsoftDefenderForCloudApps microsoftDefenderForOffice365 microsoft365Defender azureAdIdentityProtection microsoftAppGovernance dataLossPrevention)));
check(q{severity LIKE 'h%' OR assigned_to = 'robin@contoso.test'}, "(assignedTo eq 'robin\@contoso.test' or $high)");
check(q{NOT (severity LIKE 'h%' OR status ILIKE 'NEW')}, q{severity ne 'high' and status ne 'new'});
check(q{severity LIKE '%i%' AND severity LIKE 'h%' OR severity = 'low'}, none_of('severity', qw(unknown informational medium)));
check(q{severity LIKE 'h%' OR title LIKE 'x%'}, '-');
check(q{severity LIKE left(title, 1)}, '-');
check(q{severity <> 'hgih'}, '-');

# rows: the first column decides
check(q{(created_date_time, id) < ('2026-07-28Z', 'b')}, 'createdDateTime lt 2026-07-28T00:00:00.000001Z');
check(q{(created_date_time, id) >= ('2026-07-29 20:30Z', 'b')}, 'createdDateTime ge 2026-07-29T20:29:59.999999Z');
check(q{NOT (created_date_time, id) < ('2026-07-29 20:30Z', 'b')}, 'createdDateTime ge 2026-07-29T20:29:59.999999Z');
check(q{('2026-07-29 20:30Z', 'b') < (created_date_time, id)}, 'createdDateTime ge 2026-07-29T20:29:59.999999Z');
check(q{(id, created_date_time) < ('a100', '2026-07-28Z')}, '-');
check(q{(severity, id) <= ('informational', 'a100')}, none_of('severity', qw(unknown low medium)));
check(q{(created_date_time, severity) IN (('2026-07-30 23:59Z', 'high'), ('2026-07-30 23:58Z', 'medium'))},
	'(createdDateTime ge 2026-07-30T23:58:59.999999Z and createdDateTime lt 2026-07-30T23:59:00.000001Z and severity eq \'high\''
	  . ' or createdDateTime ge 2026-07-30T23:57:59.999999Z and createdDateTime lt 2026-07-30T23:58:00.000001Z and severity eq \'medium\')');

# keyset paging, as an application does it: each page is one request
my ($last, $seen, $pages) = ("'infinity'::timestamptz, ''", 0, 0);
while (my $page = $node->sql("SELECT count(*), (array_agg(quote_literal(created_date_time) || '::timestamptz, ' || quote_literal(id) ORDER BY n DESC))[1]"
		  . " FROM (SELECT id, created_date_time, row_number() OVER () AS n FROM (SELECT id, created_date_time FROM alerts"
		  . " WHERE (created_date_time, id) < ($last) ORDER BY created_date_time DESC, id DESC LIMIT 70) AS p) AS q HAVING count(*) > 0"))
{
	(my $count, $last) = split /\|/, $page;
	$seen += $count;
	last if ++$pages > 9;
}
is("$seen in $pages", '300 in 5', 'keyset paging gives each alert once');

is(scalar(my @paged = filters()), 6, 'by one request for each page, and one for the end');

#------------------------------------------------------------------------------
# What a plan relies on
#------------------------------------------------------------------------------

foreach my $condition (q{severity ILIKE 'high'}, q{CASE severity WHEN 'high' THEN true ELSE false END}, q{(severity = 'high') IS NOT TRUE},
	q{(classification = 'truePositive') IS NOT TRUE}, q{severity IN ('high', 'critical')}, q{classification NOT LIKE 'new%'},
	q{(severity, id) < ('low', 'a100')}, q{CASE severity WHEN 'critical' THEN true ELSE false END})
{
	foreach my $query ('SELECT count(*) FROM TABLE WHERE', 'SELECT id FROM TABLE WHERE C ORDER BY last_update_date_time DESC LIMIT 11',
		'SELECT id FROM TABLE WHERE C ORDER BY created_date_time DESC, id LIMIT 30',
		'SELECT count(*) FROM (SELECT id FROM TABLE WHERE C LIMIT 40) AS q')
	{
		my $text = $query =~ s/ C / $condition /r =~ s/WHERE$/WHERE $condition/r;
		is($node->sql($text =~ s/TABLE/alerts/r), $node->sql($text =~ s/TABLE/copy/r), $text);
	}
}
$emulator->clear;
is($node->sql(q{SELECT count(*) FROM alerts WHERE CASE severity WHEN 'high' THEN true ELSE false END}), 50, 'a count of what only compares');
like(join(' ', $emulator->requests), qr/\$count=true/, 'is the service\'s');
$emulator->clear;

# a beginning in the order of a time that changes is only read where it is one answer
unlike($node->sql(q{EXPLAIN (COSTS OFF) SELECT id FROM alerts WHERE severity LIKE 'crit%' ORDER BY last_update_date_time DESC LIMIT 5}),
	qr/^(?!.*Sort).*$/s, 'a loose superset is sorted here');

#------------------------------------------------------------------------------
# When values are known, and where a query is planned
#------------------------------------------------------------------------------

my $session = $node->session;
$session->query(q{PREPARE q (text) AS SELECT count(*) FROM alerts WHERE severity ILIKE $1; PREPARE w (text) AS SELECT count(*) FROM alerts WHERE severity = $1;
	PREPARE r (timestamptz, text) AS SELECT count(*) FROM alerts WHERE (created_date_time, id) > ($1, $2)});
foreach my $mode (qw(force_custom_plan force_generic_plan))
{
	my $custom = $mode =~ /custom/;
	my $known = none_of('severity', qw(unknown informational low medium high));

	$session->query("SET plan_cache_mode = $mode");
	is($session->query("EXECUTE q ('h%')"), 50, "$mode: a pattern");
	is(join(' ', filters()), $custom ? $high : '-', "$mode: its filter");
	is($session->query("EXECUTE q (NULL)"), 0, "$mode: NULL");
	filters();
	is($session->query("EXECUTE w ('critical')"), 50, "$mode: a word that is no member");
	is(join(' ', filters()), $custom ? $known : '-', "$mode: its filter");
	is($session->query("EXECUTE w ('high')"), 50, "$mode: a member");
	is(join(' ', filters()), q{severity eq 'high'}, "$mode: its filter");
	is($session->query("EXECUTE r ('2026-07-30 23:00Z', 'a')"), $node->sql(q{SELECT count(*) FROM copy WHERE (created_date_time, id) > ('2026-07-30 23:00Z', 'a')}), "$mode: a row");
	is(join(' ', filters()), 'createdDateTime ge 2026-07-30T22:59:59.999999Z', "$mode: its filter");
}

# an error that no row causes is none, wherever the query is planned
$node->sql(<<'SQL');
CREATE FUNCTION strict_high(text) RETURNS boolean IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql AS
	$$BEGIN IF $1 = 'unknown' THEN RAISE EXCEPTION 'unknown: %', $1; END IF; RETURN $1 = 'high'; END$$;
CREATE FUNCTION below(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RETURN $1 = 'high'; END$$;
CREATE FUNCTION above(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RETURN below($1); END$$;
CREATE TYPE word AS ENUM ('critical', 'high', 'low', 'medium', 'informational', 'unknown');
CREATE FOREIGN TABLE words (id text, word word OPTIONS (property 'severity')) SERVER graph;
CREATE FUNCTION counted() RETURNS bigint PARALLEL SAFE LANGUAGE plpgsql AS
	$$DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM defender.alerts WHERE id = ''a000'' AND severity ~ ''^h'' AND defender.alerts.status LIKE ''n%'''; 
	SELECT count(*) INTO n FROM defender.alerts WHERE severity ~ '^h'; RETURN n; END$$;
CREATE VIEW behind WITH (security_barrier) AS SELECT id, severity FROM defender.alerts WHERE status = 'new';
CREATE TABLE big AS SELECT n FROM generate_series(1, 20000) AS n;
ANALYZE big;
SQL
$emulator->clear;
is($node->sql(q{SELECT count(*) FROM alerts WHERE severity <> 'unknown' AND strict_high(severity)}), 50, 'a function that raises an error for a member');
is(join(' ', filters()), q{severity ne 'unknown'}, 'is not sent');
is($node->sql(q{BEGIN READ ONLY; SELECT count(*) FROM alerts WHERE severity ~ '^h'; SAVEPOINT s; SELECT count(*) FROM alerts WHERE strict_high(severity) AND severity <> 'unknown';
	ROLLBACK TO s; SELECT count(*) FROM alerts WHERE severity ~ '^m'; COMMIT}), "50\n50\n50", 'in a transaction that only reads');
filters();

# what somebody may change below a plan that is kept is not evaluated for it
my $kept = $node->session;
$kept->query(q{SET plan_cache_mode = force_generic_plan; PREPARE f AS SELECT count(*) FROM alerts WHERE above(severity); PREPARE w AS SELECT count(*), max(word) FROM words WHERE word = 'high'});
is($kept->query('EXECUTE f'), $node->sql(q{SELECT count(*) FROM copy WHERE severity = 'high'}), 'a function that calls another');
is($kept->query('EXECUTE w'), $node->sql(q{SELECT count(*), max(severity) FROM copy WHERE severity = 'high'}), 'a word of an enum here');
$node->sql(q{CREATE OR REPLACE FUNCTION below(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RETURN $1 <> 'high'; END$$;
	ALTER TYPE word RENAME VALUE 'low' TO 'other'; ALTER TYPE word RENAME VALUE 'high' TO 'low'; ALTER TYPE word RENAME VALUE 'other' TO 'high'});
is($kept->query('EXECUTE f'), $node->sql(q{SELECT count(*) FROM copy WHERE severity <> 'high'}), '... which is replaced');
is($kept->query('EXECUTE w'), $node->sql(q{SELECT count(*), max(severity) FROM copy WHERE severity = 'low'}), '... which is renamed');
$kept->quit;
filters();
my $forced = $node->sql('SHOW server_version_num') >= 160000 ? 'debug_parallel_query' : 'force_parallel_mode';
is($node->sql("SET $forced = on; " . q{SET parallel_setup_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_tuple_cost = 0;
	SELECT DISTINCT counted() FROM big WHERE n < 3}), 50, 'in a worker');
like(join(' ', filters()), qr/^(?:-|severity ne)/, 'what is asked there');
is($node->sql(q{SELECT count(*) FROM behind WHERE severity ~ '^h'}), $node->sql(q{SELECT count(*) FROM copy WHERE severity ~ '^h' AND status = 'new'}), 'behind a security barrier');
is($node->sql(q{DO $$BEGIN FOR i IN 1 .. 3 LOOP BEGIN PERFORM count(*) FROM alerts WHERE severity ~ 'h(' ; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END$$;
	SELECT count(*) FROM alerts WHERE severity ~ '^h'}), 50, 'a regular expression that is none');
like($node->error(q{SELECT count(*) FROM alerts WHERE severity ~ 'h('})->{text}, qr/regular expression/, 'which is an error when rows come');
filters();

# in children, joins and partitions
is($node->sql(q{SELECT count(*) FROM device_evidence WHERE alert_severity ~ '^h'}), 50, 'evidence');
is(join(' ', filters()), $high, 'evidence: filter');
is($node->sql(q{SELECT count(*) FROM alerts AS a JOIN device_evidence AS d ON d.alert_id = a.id WHERE a.severity ILIKE 'H%' AND d.alert_status LIKE 'n%'}),
	$node->sql(q{SELECT count(*) FROM copy WHERE severity ILIKE 'H%' AND status LIKE 'n%'}), 'a join');
my ($joined) = filters();
like($joined, qr/severity ne 'low'/, 'a join: filter');

#------------------------------------------------------------------------------
# Services that do it otherwise
#------------------------------------------------------------------------------

foreach my $settings ([ 'filter', 'ignore', 'honour' ], [ 'fold_case', \0, \1 ], [ 'top_max', 20, 1000 ])
{
	my ($name, $odd, $usual) = @$settings;

	$emulator->settings($name => $odd);
	foreach my $condition (q{severity ILIKE 'high'}, q{severity LIKE 'crit%'}, q{(classification LIKE 'true%') IS NOT TRUE}, q{(created_date_time, id) < ('2026-07-28Z', 'b')})
	{
		is($node->sql("SELECT string_agg(id, ',' ORDER BY id) FROM alerts WHERE $condition"),
			$node->sql("SELECT string_agg(id, ',' ORDER BY id) FROM copy WHERE $condition"), "$name: $condition");
	}
	$emulator->settings($name => $usual);
}

#------------------------------------------------------------------------------
# Planning is linear
#------------------------------------------------------------------------------

my %LONG = (
	'words'        => sub { join ' OR ', map { "severity = 'x$_'" } 1 .. $_[0] },
	'members'      => sub { join ' OR ', map { "severity = '$severity[ $_ % 5 ]'" } 1 .. $_[0] },
	'patterns'     => sub { join ' OR ', map { "severity ILIKE 'x$_%'" } 1 .. $_[0] },
	'people'       => sub { join ' OR ', map { "assigned_to = 'x$_'" } 1 .. $_[0] },
	'ids'          => sub { join ' OR ', map { "(id = 'x$_' AND severity = 'high')" } 1 .. $_[0] },
	'ids in'       => sub { 'id IN (' . join(', ', map { "'x$_'" } 1 .. $_[0]) . ')' },
	'words not in' => sub { 'severity NOT IN (' . join(', ', map { "'x$_'" } 1 .. $_[0]) . ')' },
	'rows'         => sub { join ' OR ', map { "(created_date_time, id) < ('2026-07-01Z', 'x$_')" } 1 .. $_[0] },
	'two columns'  => sub { join ' OR ', map { "severity LIKE 'x$_%' OR status = 'y$_'" } 1 .. $_[0] / 2 });

# The best of three, in milliseconds.
sub planning_time
{
	my ($table, $condition) = @_;
	my @times = sort { $a <=> $b } $node->sql("EXPLAIN (SUMMARY) SELECT id FROM $table WHERE $condition;\n" x 3) =~ /Planning Time: ([\d.]+)/g;
	return $times[0];
}

# PostgreSQL itself takes its time for so much, the more the busier the machine is.
foreach my $name (sort keys %LONG)
{
	my ($few, $many, $local) = map { planning_time($_->[0], $LONG{$name}->($_->[1])) } [ alerts => 1000 ], [ alerts => 10_000 ], [ copy => 10_000 ];

	cmp_ok($many, '<', 100 * $few + 100, "10,000 $name: linear");
	cmp_ok($many, '<', 15 * $local + 100, "10,000 $name: $many ms, $local ms without us");
}
$emulator->clear;
is($node->sql('SELECT count(*) FROM alerts WHERE ' . $LONG{patterns}->(3000) . q{ OR severity LIKE 'h%'}), 50, 'a long OR gives its rows');
is(join(' ', filters()), $high, 'and is one set of members');

$session->quit;
done_testing();
