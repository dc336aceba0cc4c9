
# Whichever allocation fails, is the answer right, or the error one of memory?
#
# An allocator that fails at the n-th call of graph_fdw and the libraries below
# it runs for each n over a list, a lookup and logins.  It must never end in a
# crash, in other rows, or in an error that blames something else; and the same
# session must be well right afterwards.
#
# Every second of them is tried, and every one with GRAPH_LONG=1;
# GRAPH_FDW_EVERY_ALLOCATION=1 leaves none out where there are thousands.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert %APP $TENANT);
use GraphLogin qw(certificate);
use IPC::Run qw(run);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $EVERY = $ENV{GRAPH_FDW_EVERY_ALLOCATION};

# A sanitizer has an allocator of its own.
plan skip_all => 'another library is loaded ahead of everything' if $ENV{LD_PRELOAD};
plan skip_all => 'there is no C compiler' unless run([qw(cc --version)], '>', '/dev/null', '2>', '/dev/null');
my $shim = PostgreSQL::Test::Utils::tempdir() . '/failing_malloc.so';
my $include = `pg_config --includedir-server`;
chomp $include;
my $complaints;
run([ 'cc', '-O2', '-shared', '-fPIC', "-I$include", '-o', $shim, "$FindBin::RealBin/failing_malloc.c", '-ldl' ],
	'2>', \$complaints)
  or plan skip_all => "the allocator cannot be built here: $complaints";

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $gone = 'da637578995287051192_756343937';
$emulator->set_alerts(map { alert(id => "a$_", title => "t$_", createdDateTime => sprintf '2026-07-01T10:%02d:00Z', $_) } 1 .. 25);
$ENV{LD_PRELOAD} = $shim;
my $node = GraphCluster->connected_to($emulator, conf => 'jit = off',
	server => { page_size => 10, max_retries => 2, request_timeout => '10s', order_pushdown => 'false', concurrency => 2 });
delete $ENV{LD_PRELOAD};
chmod 0755, $shim;

$node->sql(<<"SQL");
CREATE FUNCTION fail_at(integer, boolean) RETURNS void AS '$shim' LANGUAGE C;
CREATE FUNCTION failures() RETURNS integer AS '$shim' LANGUAGE C;

-- Run a query with each n in turn, and say for which of them it did not end
-- as it should; the last row has how many n there are.
CREATE FUNCTION outcomes(query text, expected text, lasting boolean, first integer, step integer) RETURNS SETOF text LANGUAGE plpgsql AS \$\$
DECLARE
	n integer := first; result text; outcome text; state text; message text; since timestamptz;
BEGIN
	FOR attempt IN 1 .. 50 LOOP
		PERFORM graph_fdw_disconnect();
		since := clock_timestamp();
		PERFORM fail_at(n, lasting);
		BEGIN
			EXECUTE query INTO result;
			outcome := CASE WHEN result = expected THEN 'right' ELSE 'rows ' || coalesce(result, 'null') END;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
			outcome := CASE WHEN state = '53200' OR message ~ '^could not (sign|prepare|hash)' THEN 'memory' ELSE state || ' ' || message END;
		END;
		IF failures() = 0 THEN
			RETURN NEXT 'end: ' || n || ' ' || outcome;
			RETURN;
		END IF;
		IF outcome NOT IN ('right', 'memory') THEN
			RETURN NEXT n || ': ' || outcome;
		END IF;
		-- and right afterwards
		BEGIN
			EXECUTE query INTO result;
			IF result IS DISTINCT FROM expected THEN
				RETURN NEXT n || ': afterwards rows ' || coalesce(result, 'null');
			END IF;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
			RETURN NEXT n || ': afterwards ' || state || ' ' || message;
		END;
		-- nor is anything waited for that does not come
		IF clock_timestamp() - since > '9s' THEN
			RETURN NEXT n || ': it took ' || clock_timestamp() - since || ' ' || outcome;
		END IF;
		n := n + step;
	END LOOP;
	RETURN NEXT 'more: ' || n || ' ' || outcome;
END \$\$;
SQL

#------------------------------------------------------------------------------
# A session that has asked before
#------------------------------------------------------------------------------

my %query = (
	list   => [ q{SELECT count(*) || min(id) || max(title) FROM (SELECT id, title FROM defender.alerts OFFSET 0) AS a}, '25a1t9' ],
	lookup => [ q{SELECT string_agg(id || title, ',') FROM defender.alerts WHERE id = 'a7'}, 'a7t7' ],
	none   => [ qq{SELECT 'none' || count(*) FROM defender.alerts WHERE id = '$gone'}, 'none0' ],
	ids    => [ q{SELECT count(*)::text FROM (SELECT title FROM defender.alerts WHERE id IN ('a1', 'a2', 'a3', 'x y')) AS a}, '3' ]);
my $session = $node->session;
$session->query("SELECT fail_at(1, false); $query{lookup}[0]");
plan skip_all => 'the allocator is not in place' if $session->query('SELECT failures()') eq '0';
my $backend = $session->query('SELECT pg_backend_pid()');

# What is not right, and how many allocations there are, in any session.
sub is_right
{
	my ($name, $query, $lasting, %params) = @_;
	my ($sql, $expected) = @$query;
	my $step = $EVERY ? 1 : ($params{step} || 1) * ($ENV{GRAPH_LONG} ? 1 : 2);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$session->{stderr} = '';
	my (@rows, $last, $n, $outcome);
	for ($n = 1;;)
	{
		push @rows, split /\n/, $session->query("SELECT outcomes(\$q\$$sql\$q\$, '$expected', " . ($lasting ? 'true' : 'false') . ", $n, $step)");
		$last = pop(@rows) // '';
		($n, $outcome) = $last =~ /: (\d+) (.*)$/;
		last unless $last =~ /^more/;
	}
	is($outcome, 'right', "$name: the end") or diag("$last $session->{stderr}");
	is(join("\n", @rows), '', "$name: " . ($n // '?') . ' allocations');
	cmp_ok($n // 0, '>', $params{least} // 20, "$name: there are some");
	return;
}

foreach my $lasting (0, 1)
{
	my $how = $lasting ? 'from then on' : 'once';

	is_right("$_, $how", $query{$_}, $lasting, step => $_ eq 'ids' ? 5 : 1) foreach sort keys %query;
}

# A body that is not compressed.
$emulator->settings(gzip => JSON::PP::false);
is_right('plain list, once', $query{list}, 0);
$emulator->reset;
$emulator->set_alerts(map { alert(id => "a$_", title => "t$_", createdDateTime => sprintf '2026-07-01T10:%02d:00Z', $_) } 1 .. 25);

#------------------------------------------------------------------------------
# Another query that is under way
#------------------------------------------------------------------------------

# A cursor whose page is larger than what is kept of it, and a lookup that fails
# in the middle.
$emulator->settings(gzip => JSON::PP::false);
$emulator->add_alerts(map { alert(id => "a$_", title => "t$_", description => 'd' x 30_000, createdDateTime => sprintf '2026-07-01T10:%02d:00Z', $_) } 1 .. 25);
$session->query(<<'SQL');
CREATE FUNCTION interrupted(n integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c CURSOR FOR SELECT id, description FROM defender.alerts; r record; rows integer := 0; outcome text := 'right';
BEGIN
	OPEN c;
	LOOP
		FETCH c INTO r;
		EXIT WHEN NOT FOUND;
		rows := rows + (length(r.description) = 30000)::integer;
		IF rows = 3 THEN
			PERFORM fail_at(n, false);
			BEGIN
				PERFORM title FROM defender.alerts WHERE id = 'a7';
			EXCEPTION WHEN out_of_memory THEN
				outcome := 'memory';
			END;
			IF failures() = 0 THEN outcome := 'end'; END IF;
		END IF;
	END LOOP;
	CLOSE c;
	RETURN outcome || ' ' || rows;
EXCEPTION WHEN OTHERS THEN
	PERFORM failures();
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SQL
# The lookup's wait drives the list's transfer too: what fails can be the list's
# memory, and then the cursor says so.
my (%ends, @odd);
for (my $n = 1; $n < 2000; $n += $EVERY ? 1 : $ENV{GRAPH_LONG} ? 5 : 10)
{
	$session->{stderr} = '';
	my $end = $session->query("SELECT graph_fdw_disconnect(); SELECT interrupted($n)") =~ s/^[tf]\n//r;
	$ends{$end}++;
	push @odd, "$n: $end $session->{stderr}" if $end !~ /^(?:(?:right|memory|end) 25|53200 out of memory)$/;
	last if $end =~ /^end/;
}
is(join("\n", @odd), '', 'a cursor beside a lookup that fails: ' . join ', ', map { "$_: $ends{$_}" } sort keys %ends);
cmp_ok($ends{'memory 25'} // 0, '>', 3, 'a cursor beside a lookup that fails: some have');
$emulator->reset;
$emulator->set_alerts(map { alert(id => "a$_", title => "t$_", createdDateTime => sprintf '2026-07-01T10:%02d:00Z', $_) } 1 .. 25);

#------------------------------------------------------------------------------
# Logins
#------------------------------------------------------------------------------

my $certificate = certificate('client');
my %login = (
	secret      => "client_secret '$APP{main}{client_secret}'",
	certificate => "certificate_file '$certificate->{file}', private_key_file '$certificate->{key}'");
$emulator->control('POST', 'certificates',
	encode_json({ client_id => $APP{main}{client_id}, certificate => slurp_file($certificate->{file}) }));
foreach my $how (sort keys %login)
{
	$session->query('DROP USER MAPPING FOR CURRENT_USER SERVER graph');
	$session->query("CREATE USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (tenant_id '$TENANT', client_id '$APP{main}{client_id}', $login{$how})");
	foreach my $lasting (0, 1)
	{
		is_right("login by $how, " . ($lasting ? 'from then on' : 'once'), $query{lookup}, $lasting,
			step => $how eq 'certificate' ? 29 : 1);
	}
}

#------------------------------------------------------------------------------
# A server that is made, and one that was never asked
#------------------------------------------------------------------------------

is_right('options, once', [ q{SELECT 'made' FROM query_error('CREATE SERVER made FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint ''https://graph.example'', proxy ''http://proxy.example:3128''); DROP SERVER made') AS e WHERE e IS NULL OR e->>'state' = '53200'}, 'made' ], 0, least => 5);

# The first request of a backend initializes the libraries.
foreach my $lasting ('false', 'true')
{
	my @wrong;
	my $n = 1;

	for (;; $n += $EVERY ? 1 : $n < 60 ? 3 : 41)
	{
		my ($status, $rows, $error) = $node->psql('postgres', <<"SQL", on_error_stop => 0);
SELECT fail_at($n, $lasting);
$query{lookup}[0];
SELECT failures() > 0;
$query{lookup}[0];
SQL
		my $first = $rows =~ /^a7t7\n[tf]\n/m;
		push @wrong, "$n: $status $rows $error"
		  if $status != 0 || $rows !~ /a7t7\z/ || (!$first && $error !~ /ERROR:  out of memory/)
		  || ($error =~ /ERROR/ && $error !~ /ERROR:  out of memory/);
		last if $rows !~ /^t$/m;
	}
	is(join("\n", @wrong), '', "a first request, $lasting: up to $n");
}

is($session->query('SELECT pg_backend_pid()'), $backend, 'it is the same session');
$session->quit;
unlike(slurp_file($node->logfile), qr/^.*(?:TRAP|PANIC|FATAL|terminated by signal|XX000).*$/m, 'nothing broke');
done_testing();
