
# Is the answer the same, whatever is sent to the service?
#
# Random queries run over the foreign tables and over a local copy of the same
# alerts and incidents, made of their JSON text without the extension.  The tables are there
# several times: as they are by default, with what is optional switched off,
# with filters on evidence and small pages that are read in windows of time, and
# over another service, whose filters are evaluated by SQLite, by one lane.
#
#	GRAPH_QUERIES=10000 GRAPH_SEED=77 prove ... t/030_same_answer.pl
#
# Each mismatch is shown with its number, the query, what is missing and what
# is too much, and the requests.  GRAPH_ONLY=123 runs only this number, and
# shows its plans as well.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator;
use GraphMetadata qw(tables);
use GraphQueries;
use HTTP::Tiny;
use IPC::Run;
use PostgreSQL::Test::Utils;
use PythonService;
use Test::More;

my $count = $ENV{GRAPH_QUERIES} || 450;
my $seed  = $ENV{GRAPH_SEED}    || 1;
my $only  = $ENV{GRAPH_ONLY};
my $shown = $ENV{GRAPH_SHOWN} || 5;

my $queries = GraphQueries->new($seed);
my $emulator = GraphEmulator->new('--alerts', 20);
$emulator->settings(gzip => JSON::PP::false);
$emulator->add_alerts($queries->alerts);
$emulator->add_incidents($queries->incidents);

my $alerts = PostgreSQL::Test::Utils::tempdir() . '/alerts.jsonl';
my $incidents = $alerts =~ s/alerts\.jsonl/incidents.jsonl/r;
append_to_file($alerts, join '', map { "$_\n" } $emulator->alerts);
append_to_file($incidents, join '', map { "$_\n" } $emulator->incidents);

# The service that is SQLite.
my $service = PythonService->new('odata_sqlite.py', $alerts, $incidents);
my $sqlite = $service->url;

#------------------------------------------------------------------------------
# The tables
#------------------------------------------------------------------------------

my $node = GraphCluster->connected_to($emulator, import => 0,
	conf => "fsync = off\njit = off\nautovacuum = off\nrestart_after_crash = on");

my @imported = qw(alerts alert_evidence device_evidence alert_comments incidents incident_comments);
my %services = (
	usual   => { endpoint => $emulator->url },
	plain   => {
		endpoint         => $emulator->url,
		select_pushdown  => 'false',
		order_pushdown   => 'false',
		count_pushdown   => 'false',
		incident_lookup  => 'false',
		page_size        => 1000
	},
	small   => { endpoint => $emulator->url, evidence_filter => 'true', page_size => 15, concurrency => 3 },
	another => { endpoint => $sqlite, evidence_filter => 'true', page_size => 60, concurrency => 1 });
my @services = sort keys %services;

$node->safe_psql('postgres', $queries->common_sql);
foreach my $name (@services)
{
	my $server = options(authority => $emulator->url, %{ $services{$name} });
	my $tables = join ', ', @imported;

	$node->safe_psql('postgres', <<"SQL" . $queries->odd_table_sql($name, $name));
CREATE SCHEMA $name;
CREATE SERVER $name FOREIGN DATA WRAPPER graph_fdw $server;
CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (access_token 'emulator-access-token');
IMPORT FOREIGN SCHEMA security LIMIT TO ($tables) FROM SERVER $name INTO $name;
SQL
}

# The copy, as the metadata says.
sub copy_sql
{
	my %table = tables();
	my $sql = <<"SQL";
CREATE SCHEMA source;
CREATE SCHEMA copy;
CREATE TABLE source.alert (a jsonb);
CREATE FUNCTION source.elements_of(a jsonb, name text, OUT jsonb, OUT bigint)
RETURNS SETOF record LANGUAGE sql IMMUTABLE AS \$\$
	SELECT * FROM jsonb_array_elements(
		CASE jsonb_typeof(a->name) WHEN 'array' THEN a->name END) WITH ORDINALITY \$\$;
CREATE FUNCTION source.elements(a jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS \$\$
	SELECT CASE jsonb_typeof(a) WHEN 'array' THEN
		ARRAY(SELECT t FROM jsonb_array_elements_text(a) WITH ORDINALITY AS e(t, o) ORDER BY o) END \$\$;
CREATE FUNCTION source.scalar(a jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS \$\$
	SELECT CASE WHEN jsonb_typeof(a) <> 'object' THEN a #>> '{}' END \$\$;
\\copy source.alert from '$alerts' with (format csv, quote e'\\x01', delimiter e'\\x02')
CREATE TABLE source.incident (a jsonb);
\\copy source.incident from '$incidents' with (format csv, quote e'\\x01', delimiter e'\\x02')
CREATE TABLE source.comments_of_incident AS SELECT a, e, o::integer
	FROM source.incident, source.elements_of(a, 'comments') AS t(e, o);
CREATE TABLE source.evidence AS SELECT a - '{evidence,comments}'::text[] AS a, e, o::integer
	FROM source.alert, source.elements_of(a, 'evidence') AS t(e, o);
CREATE TABLE source.comments AS SELECT a - '{evidence,comments}'::text[] AS a, e, o::integer
	FROM source.alert, source.elements_of(a, 'comments') AS t(e, o);
SET search_path = source;
SQL
	foreach my $name (@imported)
	{
		my ($from, @columns) = @{ $table{$name} };
		my $list = join ', ', map { qq{$_->[2] AS "$_->[0]"} } @columns;
		$sql .= "CREATE TABLE copy.$name AS SELECT $list FROM $from;\n";
	}
	return $sql . $queries->odd_copy_sql('copy') . 'ANALYZE;';
}

$node->safe_psql('postgres', copy_sql());

#------------------------------------------------------------------------------
# Running and comparing
#------------------------------------------------------------------------------

# A psql script that runs a query once for each schema.  Within a transaction
# now() stays the same.
sub script
{
	my ($number, $query, @schemas) = @_;
	my $text = join '', 'BEGIN;', map { "$_;\n" } @{ $query->{settings} };

	foreach my $schema (@schemas)
	{
		$text .= "SET LOCAL search_path = $schema, common;\n\\echo '\@\@' $number $schema\n";
		$text .= "$_;\n\\echo '\@=' :ERROR :SQLSTATE :LAST_ERROR_MESSAGE\n"
		  foreach @{ $query->{statements} };
	}
	return $text . "DEALLOCATE ALL; ROLLBACK;\n";
}

# What a script gives: number => schema => [error or '', rows in order].
sub run_script
{
	my ($script) = @_;
	my ($output, $error) = ('', '');
	my %result;

	utf8::encode($script) if utf8::is_utf8($script);
	IPC::Run::run(
		[ 'psql', '-XAtq', '-R', "\x1e", '-F', "\x1f", '-v', 'ON_ERROR_ROLLBACK=on',
			'-d', $node->connstr('postgres'), '-f', '-' ],
		'<', \$script, '>', \$output, '2>', \$error);
	$output =~ s/^@@ //;
	foreach my $part (split /^@@ /m, $output)
	{
		my ($number, $schema, $rest) = $part =~ /^(\d+) (\w+)\n(.*)/s or next;
		my (@rows, $problem);

		# each statement ends with "@=" and how it went
		while ($rest =~ /\G(.*?)^@= (\w+) (\w+)([^\n]*)\n/gsm)
		{
			my ($text, $failed, $state, $message) = ($1, $2, $3, $4);
			chomp $text;
			$problem //= "$state$message" if $failed eq 'true';
			push @rows, sort split /\x1e/, $text, -1 if $text ne '';
			push @rows, "\x1d";
		}
		$result{$number}{$schema} = [ $problem // '', \@rows ];
	}
	return \%result;
}

# Rows that are in one list only, or there more often.
sub surplus
{
	my ($rows, $other) = @_;
	my %left;

	$left{$_}++ foreach @$other;
	return map { s/\x1f/|/gr } grep { !($left{$_} && $left{$_}--) } @$rows;
}

sub excerpt
{
	my ($title, @rows) = @_;
	my $more = @rows > 4 ? "   ... (" . @rows . ")\n" : '';
	return '' unless @rows;
	return join('', "-- $title:\n", map { '   ' . substr($_, 0, 300) . "\n" } splice @rows, 0, 4) . $more;
}

# The requests that a query makes, readable.
sub requests_of
{
	my ($number, $query, $schema) = @_;
	my $http = HTTP::Tiny->new;
	my @requests;

	$emulator->clear;
	$http->get("$sqlite/requests");
	run_script(script($number, $query, $schema));
	@requests = $schema eq 'another'
	  ? split(/\n/, $http->get("$sqlite/requests")->{content})
	  : map { s/^GET //r } $emulator->requests;
	return map { s/%([0-9A-F]{2})/chr hex $1/gier =~ s{^/v1.0/security}{}r } @requests;
}

my ($wrong, $refused, $lost, $empty) = (0, 0, 0, 0);

# Show what differs over each of some schemas; what differs alike, once.
sub report
{
	my ($number, $query, $expected, $found, @schemas) = @_;
	my ($text, %alike) = ("-- seed $seed, query $number\n$query->{text}");

	return if $wrong++ >= $shown;
	utf8::encode($text) if utf8::is_utf8($text);
	foreach my $schema (@schemas)
	{
		my $rows = $found->{$schema};
		my $difference =
		    !$rows ? "-- no answer: the session was lost\n"
		  : $rows->[0] ne '' ? "-- error: $rows->[0]\n"
		  : excerpt('missing', surplus($expected->[1], $rows->[1]))
		  . excerpt('too much', surplus($rows->[1], $expected->[1]));

		push @{ $alike{ $difference =~ s/server "\w+"/server/r } }, $schema;
	}
	foreach my $difference (sort keys %alike)
	{
		my ($first, @others) = @{ $alike{$difference} };

		$text .= "-- over $first @others\n$difference";
		$text .= excerpt('requests', requests_of($number, $query, $first))
		  if $found->{$first};
	}
	diag($text);
	return;
}

my $batch = 200;
my $number = 0;
while ($number < $count)
{
	my (%query, $script);

	$emulator->clear;
	for (my $i = 0; $i < $batch && $number < $count; $i++)
	{
		my $query = $queries->next;
		$number++;
		next if defined $only && $only != $number;
		$query{$number} = $query;
		$script .= script($number, $query, 'copy', @services);
	}
	next unless %query;
	my $result = run_script("SET statement_timeout = '60s';\n$script");

	foreach my $n (sort { $a <=> $b } keys %query)
	{
		my $expected = $result->{$n}{copy};

		$lost++, next unless $expected;
		$refused++, ($ENV{GRAPH_REFUSED} && diag("$n: $expected->[0]\n$query{$n}{text}")), next if $expected->[0] ne '';
		$empty++ if @{ $expected->[1] } <= 1;
		my @wrong = grep {
			my $found = $result->{$n}{$_};
			!$found || $found->[0] ne '' || "@{$found->[1]}" ne "@{$expected->[1]}"
		} @services;
		report($n, $query{$n}, $expected, $result->{$n}, @wrong) if @wrong;
	}
}

is($wrong, 0, "$count queries from seed $seed: mismatches");
is($lost, 0, 'queries whose session was lost');
cmp_ok($refused, '<=', $count / 20, 'queries that PostgreSQL itself refuses');
cmp_ok($empty, '<=', $count / 2, 'queries without rows');
diag("refused $refused, empty $empty");

if (defined $only)
{
	$queries = GraphQueries->new($seed);
	my $query;
	$query = $queries->next foreach 1 .. $only;
	my %explain = %$query;
	$explain{statements} = [ map { /^(PREPARE|DEALLOCATE)/ ? $_ : "EXPLAIN (VERBOSE, COSTS OFF) $_" } @{ $query->{statements} } ];
	diag(join "\n", map { tr/\x1e/\n/r } @{ run_script(script($only, \%explain, $_))->{$only}{$_}[1] }) foreach $ENV{GRAPH_SCHEMA} || 'usual';
}

$node->stop;
done_testing();
