
# Are functions of a time that keep its order sent as ranges that lose nothing?
#
# Clocks are changed, zones skip days, a session changes its zone between the
# planning and the execution of a query, values are known late: whatever is
# sent has to have all rows for which the clause is true, and little more.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator);

# One alert every ten minutes around the change of clocks in Europe and the New
# Year that Samoa skipped a day before, with the edges of 100 ns.
my @times = map { sprintf '2026-10-%02dT%02d:%02d:00Z', 24 + int($_ / 144), int($_ / 6) % 24, 10 * ($_ % 6) } 0 .. 359;
push @times, map { sprintf '2011-12-%02dT%02d:30:00Z', 29 + int($_ / 24), $_ % 24 } 0 .. 70;
push @times, qw(2026-10-24T21:59:59.9999999Z 2026-10-24T21:59:59.9999994Z 2026-10-25T22:59:59.9999996Z 2026-10-25T23:00:00.0000001Z
  0001-01-01T00:00:00Z 9999-12-31T23:59:59.9999999Z 1900-01-01T00:00:00Z);
my @alerts = map { alert(id => sprintf('t%03d', $_), createdDateTime => $times[$_], lastUpdateDateTime => $times[ $_ * 7 % @times ]) } 0 .. $#times;
push @alerts, alert(id => 'none', createdDateTime => $times[0], lastUpdateDateTime => undef);
$emulator->set_alerts(@alerts);

$node->sql(<<'SQL');
SET search_path = public;
CREATE FOREIGN TABLE moments (
	id text,
	c timestamptz OPTIONS (property 'createdDateTime'),
	u timestamptz OPTIONS (property 'lastUpdateDateTime'),
	c0 timestamp(0) with time zone OPTIONS (property 'createdDateTime'),
	l timestamp OPTIONS (property 'createdDateTime'),
	d date OPTIONS (property 'createdDateTime')) SERVER graph OPTIONS (resource 'alerts');
CREATE TABLE copies AS SELECT * FROM moments;
CREATE TABLE days (day date, zone text, unit text);
INSERT INTO days VALUES ('2026-10-25', 'Europe/Berlin', 'day'), ('2026-10-26', 'Pacific/Apia', 'hour'), ('2011-12-30', 'Pacific/Apia', 'week'), (NULL, 'UTC', NULL);
ANALYZE copies, days;
SQL

# The $filter of each request since the last time.
sub filters
{
	my @filters = map { my ($f) = s/%([0-9A-F]{2})/chr hex $1/gier =~ /\$filter=([^&]*)/; $f // 'all' }
	  $emulator->requests;

	$emulator->clear;
	return @filters;
}

sub ids { return join ',', sort grep { !/^SET$/ } split /\n/, $_[0] }

# Is the answer that of the copy, and what was asked?
sub same
{
	my ($name, $where, %params) = @_;
	my $before = $params{before} ? "$params{before};" : '';
	my $from = $params{from} // '';
	my $wrong = ids($node->sql("$before SELECT m.id FROM copies AS m $from WHERE $where"));

	$emulator->clear;
	is(ids($node->sql("$before SELECT m.id FROM moments AS m $from WHERE $where")), $wrong, "$name: the rows");
	is(join(' | ', filters()), $params{filter}, "$name: the request") if defined $params{filter};
	return;
}

my $BERLIN = "SET timezone = 'Europe/Berlin'";
my $LONG_DAY = 'createdDateTime ge 2026-10-24T21:59:59.999999Z and createdDateTime lt 2026-10-25T23:00:00Z';

#------------------------------------------------------------------------------
# Values that are known when the scan starts
#------------------------------------------------------------------------------

same('a day of 25 hours', "c::date = '2026-10-25'", before => $BERLIN, filter => $LONG_DAY);
same('a sub-select', "c::date = (SELECT max(day) - 1 FROM days)", before => $BERLIN, filter => $LONG_DAY);
same('now()', "c::date = (now() - (now() - '2026-10-25 12:00'))::date", before => $BERLIN, filter => $LONG_DAY);
same('days in an array', "c::date = ANY (ARRAY(SELECT day FROM days WHERE day > '2026-01-01' ORDER BY 1))", before => $BERLIN,
	filter => "($LONG_DAY or createdDateTime ge 2026-10-25T22:59:59.999999Z and createdDateTime lt 2026-10-26T23:00:00Z)");
same('a day that was not', "(c AT TIME ZONE 'Pacific/Apia')::date = '2011-12-30'",
	filter => 'createdDateTime ge 2011-12-29T09:59:59.999999Z and createdDateTime lt 2011-12-31T10:00:00Z');
same('the day after', "(c AT TIME ZONE 'Pacific/Apia')::date = '2011-12-31'");
same('a zone, a unit and a day from a row', "date_trunc(d.unit, m.c, d.zone)::date = d.day", from => 'CROSS JOIN days AS d');
same('the same for few rows', "date_trunc(d.unit, m.c AT TIME ZONE d.zone) = d.day", from => 'CROSS JOIN LATERAL (SELECT * FROM days OFFSET 1 LIMIT 1) AS d');
same('NULL for a zone', "c AT TIME ZONE (SELECT NULL) < '2026-10-25'", filter => '');
same('the last second of the calendar', "c + interval '1 day' > '9999-12-31'", filter => 'createdDateTime ge 9999-12-30T00:00:00Z');
same('the first', "date_trunc('millennium', c) < '0002-01-01'");
same('an interval too large to add', "c - interval '4000 years' < '2000-01-01 BC'", before => "SET timezone = 'America/New_York'");
same('a month that does not have the day', "c + interval '4 months' <= '2027-02-28 23:59Z'", before => "SET timezone = 'UTC'");
same('NULL for a zone, asked for NULL', "c AT TIME ZONE (SELECT NULL) IS NULL");
same('a column with fewer decimals', "c0 = '2026-10-25 00:00:00+02'");
same('a column of another type, NULL', "u::date IS NULL", filter => 'lastUpdateDateTime eq null');

# a count relies on the service only where its filter is exact
is($node->sql("$BERLIN; SELECT count(*) FROM moments WHERE c::date = '2026-10-25'"), $node->sql("$BERLIN; SELECT count(*) FROM copies WHERE c::date = '2026-10-25'"),
	'a count of a day');
is($node->sql("SELECT count(*) FROM moments WHERE d = '2026-10-25'"), $node->sql("SELECT count(*) FROM copies WHERE d = '2026-10-25'"), 'of a date column');
is($node->sql("SELECT count(*), max(c) FROM moments WHERE c AT TIME ZONE 'UTC' < '2011-12-30'"), $node->sql("SELECT count(*), max(c) FROM copies WHERE c AT TIME ZONE 'UTC' < '2011-12-30'"),
	'with the last of them');
is(ids($node->sql("SELECT id FROM moments WHERE c::date >= '2026-10-25' ORDER BY c DESC, id LIMIT 3")),
	ids($node->sql("SELECT id FROM copies WHERE c::date >= '2026-10-25' ORDER BY c DESC, id LIMIT 3")), 'the newest of them');

# plans for a nested loop
{
	my $set = 'SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET timezone = \'Europe/Berlin\'';

	same('a day of another table', 'm.c::date = d.day', from => "JOIN (SELECT day FROM days WHERE day < '2026-10-26' AND day > '2026-01-01') AS d ON true", before => $set);
	like($node->sql("$set; EXPLAIN (VERBOSE) SELECT 1 FROM days AS d JOIN moments AS m ON m.c::date = d.day"), qr/createdDateTime ge \{first for \$\d+\}/,
		'a function of a time takes the values of an outer row');
}

#------------------------------------------------------------------------------
# The zone is that of the execution
#------------------------------------------------------------------------------

foreach my $mode (qw(force_generic_plan force_custom_plan))
{
	my $session = $node->session;
	my $prepared = "date_trunc('day', c) = date_trunc('day', timestamptz '2026-10-25 12:00Z') AND c::date >= \$1";

	$session->query("SET plan_cache_mode = $mode; SET timezone = 'Asia/Tokyo'");
	$session->query("PREPARE q(date) AS SELECT id FROM moments WHERE $prepared; PREPARE w(date) AS SELECT id FROM copies WHERE $prepared");
	foreach my $zone (qw(Asia/Tokyo America/Los_Angeles Europe/Berlin))
	{
		$session->query("SET timezone = '$zone'");
		is(ids($session->query("EXECUTE q('2026-10-25')")), ids($session->query("EXECUTE w('2026-10-25')")), "$mode in $zone");
	}
	$session->quit;
}
{
	my $session = $node->session;

	$session->query("SET plan_cache_mode = force_generic_plan; PREPARE q(text, text) AS SELECT id FROM moments WHERE date_trunc(\$1, c AT TIME ZONE \$2) = '2026-10-25'");
	$session->query("PREPARE w(text, text) AS SELECT id FROM copies WHERE date_trunc(\$1, c AT TIME ZONE \$2) = '2026-10-25'");
	foreach my $of ("'day', 'Europe/Berlin'", "'hour', 'MSK'", "'month', 'UTC'", "'DAY', 'america/new_york'", "NULL, 'UTC'", "'day', '<ODD>-30:15'")
	{
		is(ids($session->query("EXECUTE q($of)")), ids($session->query("EXECUTE w($of)")), "unit and zone are parameters: $of");
	}
	unlike($session->query("EXPLAIN (VERBOSE) EXECUTE q('day', 'UTC')"), qr/ge \{\}/, 'EXPLAIN names them');
	$session->quit;
}
{
	my $session = $node->session;

	$session->query("$BERLIN; BEGIN; DECLARE k SCROLL CURSOR WITH HOLD FOR SELECT id FROM moments WHERE c::date = '2026-10-25' ORDER BY id");
	$session->query('COMMIT');
	is(ids($session->query('FETCH ALL FROM k')), ids($node->sql("$BERLIN; SELECT id FROM copies WHERE c::date = '2026-10-25'")), 'a cursor that is held');
	$session->quit;
}

#------------------------------------------------------------------------------
# What is wrong about a zone or a unit is an error where a row meets it, only
#------------------------------------------------------------------------------

is($node->error("SELECT 1 FROM public.moments WHERE c AT TIME ZONE 'Nowhere/Land' > '2026-01-01'")->{message}, 'time zone "Nowhere/Land" not recognized',
	'a zone that is none');
$emulator->set_alerts;
foreach my $never ("c AT TIME ZONE 'Nowhere/Land' > '2026-01-01'", "date_trunc('eon', c) > now()", "date_bin('1 month', c, now()) > now()",
	"date_bin('-1 day', c, '2001-01-01') > now()", "c + interval '290000 years' > now()", "c AT TIME ZONE interval '1 month' > now()",
	"extract(epoch FROM c) / 0 > 1", "extract(epoch FROM c)::int > 1", "extract(nonsense FROM c) > 1", "date_bin('0', c, 'infinity') > '-infinity'")
{
	is($node->result("SELECT count(*) FROM moments WHERE $never"), 0, "no rows, no error: $never");
}
$emulator->set_alerts(@alerts);

# times with an offset, which the input of timestamp and date does not look at
{
	my $far = alert(id => 'far', createdDateTime => '2026-10-25T01:00:00+14:00', lastUpdateDateTime => '2026-10-24T23:30:00-12:00');

	$emulator->set_alerts($far);
	is($node->sql("SELECT id FROM moments WHERE d = '2026-10-25'"), 'far', 'a date column of a time with an offset');
	is($node->sql("SELECT id FROM moments WHERE l >= '2026-10-25 00:30' AND l < '2026-10-25 01:30'"), 'far', 'a timestamp column of one');
	$emulator->set_alerts(@alerts);
}

#------------------------------------------------------------------------------
# Every zone: what is true is within what is sent, around changes of the clock
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE FUNCTION utc(timestamptz) RETURNS text LANGUAGE sql AS $$ SELECT ($1 AT TIME ZONE 'UTC')::text || 'Z' $$;
CREATE TABLE lost (zone text, clause text, filter text, c timestamptz);
CREATE FUNCTION check_clause(zone text, clause text, around timestamptz, at_most interval) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan json; filter text; lower timestamptz; upper timestamptz; n int;
BEGIN
	EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT id FROM moments WHERE ' || clause INTO plan;
	filter := substring(plan->0->'Plan'->>'Graph Request' FROM '\$filter=([^&]*)');
	lower := coalesce(substring(filter FROM 'createdDateTime ge (\S+)')::timestamptz, '-infinity');
	upper := coalesce(substring(filter FROM 'createdDateTime lt (\S+)')::timestamptz, 'infinity');
	EXECUTE format($q$
		WITH times AS (
			SELECT $1 + i * interval '887 s' + (hashint4(i) %% 1000000) * interval '1 us' AS c FROM generate_series(-250, 250) AS i
			UNION ALL SELECT edge + i * interval '1 us' FROM (VALUES ($2), ($3), ($1)) AS e(edge), generate_series(-2, 2) AS i WHERE isfinite(edge)
			UNION ALL SELECT $1 + i * interval '1 hour' + j * interval '1 us' FROM generate_series(-40, 40) AS i, generate_series(-1, 1) AS j),
		found AS (SELECT c FROM times WHERE %s),
		bad AS (INSERT INTO lost SELECT $4, $5, $6, c FROM found WHERE c < $2 + interval '1 us' OR c >= $3)
		SELECT count(*) FROM found$q$, clause) INTO n USING around, lower, upper, zone, clause, filter;
	IF filter IS NULL OR isfinite(lower) AND isfinite(upper) AND upper - lower > at_most THEN
		INSERT INTO lost VALUES (zone, clause, coalesce(filter, 'nothing') || ': too much');
	END IF;
	RETURN n;
END $$;
SQL

my ($seed) = ($ENV{GRAPH_SEED} // 63) =~ /(\d+)/;
my $found = $node->sql(<<"SQL");
SELECT setseed(0.$seed) \\g /dev/null
CREATE TEMP TABLE checked (n int);
DO \$\$
DECLARE
	name text; change record; form text; at timestamptz; i int;
	forms text[] := ARRAY[
		'c::date = %1\$L::timestamp::date', 'c::date > %1\$L::timestamp::date', 'c::timestamp < %1\$L::timestamp', 'c::timestamp >= %1\$L::timestamp',
		'c AT TIME ZONE %2\$L = %1\$L::timestamp', 'c AT TIME ZONE %2\$L <= %1\$L::timestamp',
		'(c AT TIME ZONE ''UTC'' AT TIME ZONE %2\$L) = %3\$L::timestamptz', '(c AT TIME ZONE ''UTC'')::timestamptz > %3\$L::timestamptz', '(c AT TIME ZONE ''UTC'')::timestamptz < %3\$L::timestamptz',
		'date_trunc(''day'', c) = %4\$L::timestamptz', 'date_trunc(''hour'', c) <= %5\$L::timestamptz', 'date_trunc(''hour'', c) > %5\$L::timestamptz',
		'date_trunc(''day'', c, %2\$L) < %3\$L::timestamptz', 'date_trunc(''week'', c, %2\$L) >= %3\$L::timestamptz',
		'c + interval ''1 day'' >= %3\$L::timestamptz', 'c - interval ''1 month -3 hours'' <= %3\$L::timestamptz', 'c + interval ''1 month -1 day'' > %3\$L::timestamptz',
		'extract(year from c) >= %6\$s', 'c::timestamp = %3\$L::timestamptz', 'c::date >= %3\$L::timestamptz', '(c + interval ''1 day'')::date = %1\$L::timestamp::date'];
BEGIN
	FOR name IN
		SELECT z.name FROM pg_timezone_names AS z WHERE z.name !~ '^(posix|right)/' AND hashtext(z.name || $seed) % 25 = 0
		UNION SELECT unnest(ARRAY['Pacific/Apia', 'Pacific/Kwajalein', 'Europe/Berlin', 'Australia/Lord_Howe', 'America/Sao_Paulo', 'Europe/Dublin',
			'Africa/Casablanca', 'Africa/Monrovia', 'America/Juneau', 'Asia/Manila', 'Antarctica/Troll', '<A>-100<B>-101,M3.2.0,M11.1.0', '<A>+30'])
	LOOP
		PERFORM set_config('TimeZone', name, false);
		FOR change IN
			SELECT * FROM (
				SELECT d AS at, extract(timezone FROM d) AS was, lead(extract(timezone FROM d)) OVER (ORDER BY d) AS later
				FROM generate_series('1845-01-01Z'::timestamptz, '2040-01-01Z', interval '240 hours') AS d) AS o
			WHERE o.was <> o.later OR o.later IS NULL ORDER BY random() LIMIT 3
		LOOP
			SELECT max(d) INTO at FROM generate_series(change.at, change.at + interval '240 hours', interval '15 min') AS d
			WHERE extract(timezone FROM d) = change.was;
			at := coalesce(at, change.at) + (random() * 6 - 3) * interval '1 hour' + (random() < 0.3)::int * (random() * 60 - 30) * interval '1 hour';
			IF random() < 0.5 THEN
				at := date_trunc(CASE WHEN random() < 0.5 THEN 'hour' ELSE 'day' END, at);
			END IF;
			FOREACH form IN ARRAY forms LOOP
				CONTINUE WHEN random() < 0.5;
				INSERT INTO checked SELECT check_clause(name, format(form, at::timestamp, name, utc(at), utc(date_trunc('day', at)), utc(date_trunc('hour', at)), extract(year FROM at)), at, interval '4 days 1 hour');
			END LOOP;
		END LOOP;
	END LOOP;
END \$\$;
SELECT count(*) FILTER (WHERE n > 0) > 200 FROM checked;
SQL
is($found, 't', 'clauses in many zones were true for some times');
is($node->sql('SELECT * FROM lost LIMIT 5'), '', 'and each of these times is within what is sent');

# abbreviations, which mean different things at different times
$found = $node->sql(<<'SQL');
SET timezone = 'UTC';
SELECT sum(check_clause(abbrev, format('c AT TIME ZONE %L %s %L', abbrev, op, at::timestamp), at, interval '2 days')) > 1000
FROM (SELECT abbrev FROM pg_timezone_abbrevs WHERE hashtext(abbrev) % 4 = 0 OR abbrev IN ('MSK', 'MSD', 'EST', 'IRKT', 'VET')) AS a,
	(VALUES ('=', '2011-03-27 02:00Z'::timestamptz), ('>=', '2014-10-25 22:00Z'), ('<', '1930-06-21 02:00Z')) AS v(op, at);
SQL
is($found, 't', 'abbreviations');
is($node->sql('SELECT * FROM lost LIMIT 5'), '', 'are looked up as AT TIME ZONE does it');

done_testing();
