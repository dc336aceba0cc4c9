
# Is every statement's answer right, whatever the planner and the service do?
#
# Random statements (GraphStatements) run over the foreign tables and over
# copies that were made of the alerts' JSON without the extension: in one
# session, with the same settings.  The service is the emulator, with faults
# that leave the data right; the emulator while alerts come and go that the
# statement leaves alone; or another service, whose filters are SQLite's.
#
#	GRAPH_STATEMENTS=20000 GRAPH_SEED=77 prove ... t/033_statements.pl
#
# Each mismatch is shown with how to repeat it.  By hand:
#
#	GRAPH_STATEMENTS, GRAPH_SEED, GRAPH_FROM  how many, which ones, from number
#	GRAPH_STATEMENT=12,34                     only these numbers; one: with its
#	                                          plans and requests
#	GRAPH_SERVICE='emulator|sqlite'           only those for these services
#	GRAPH_BEHAVIOUR=filter=ignore,top_max=5   settings that the emulator has in
#	                                          any case
#	GRAPH_SQL='SELECT ...'                    this in the surroundings of each
#	                                          number, in place of its statement
#	GRAPH_SHOWN, GRAPH_SLOW                   how many mismatches are shown, and
#	                                          statements of how many seconds
#	GRAPH_REFUSED=1, GRAPH_KEEP_GOING=1       show what PostgreSQL refuses; run
#	                                          on after many mismatches

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator;
use GraphMetadata qw(tables);
use GraphQueries;
use GraphStatements;
use IO::Select;
use IPC::Open2;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Utils;
use PythonService;
use Test::More;
use Time::HiRes qw(time);

my $count = $ENV{GRAPH_STATEMENTS} || ($ENV{GRAPH_LONG} ? 1000 : 400);
my $seed  = $ENV{GRAPH_SEED}       || 1;
my $from  = $ENV{GRAPH_FROM}       || 1;
my $only  = $ENV{GRAPH_STATEMENT};
my $shown = $ENV{GRAPH_SHOWN}      || 5;
my $service = $ENV{GRAPH_SERVICE};
my $most  = $ENV{GRAPH_KEEP_GOING} ? 1_000_000 : 50;

# Seconds for one statement, over the copies and over the foreign tables, and
# for psql to answer at all.
my ($COPY_TIMEOUT, $FOREIGN_TIMEOUT, $LOST) = (3, 10, 60);
my $LONGEST = $ENV{GRAPH_STATEMENTS} ? 1_000_000 : 270;

my $json = JSON::PP->new->utf8->canonical;

#------------------------------------------------------------------------------
# The services
#------------------------------------------------------------------------------

my $folder = PostgreSQL::Test::Utils::tempdir();
my (%alerts, %incidents, %emulator, %sqlite, @sqlite);

foreach my $tenant (qw(a b))
{
	$alerts{$tenant} = [ map { $json->encode($_) } GraphStatements->alerts($tenant) ];
	$incidents{$tenant} = [ map { $json->encode($_) } GraphStatements->incidents($tenant) ];
	append_to_file("$folder/$tenant.jsonl", join '', map { "$_\n" } @{ $alerts{$tenant} });
	append_to_file("$folder/$tenant-incidents.jsonl", join '', map { "$_\n" } @{ $incidents{$tenant} });
	$emulator{$tenant} = emulator($tenant, @{ $alerts{$tenant} });

	push @sqlite, PythonService->new('odata_sqlite.py', "$folder/$tenant.jsonl", "$folder/$tenant-incidents.jsonl");
	$sqlite{$tenant} = $sqlite[-1]->url;
}

# In one more, alerts come and go.
my @moving = (@{ $alerts{a} }, map { $json->encode($_) } GraphStatements->noise);
$emulator{moving} = emulator('a', @moving);

sub emulator
{
	my ($tenant, @alerts) = @_;
	my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
	$emulator->set_alerts(@alerts);
	$emulator->add_incidents(@{ $incidents{$tenant} });
	return $emulator;
}

#------------------------------------------------------------------------------
# The tables
#------------------------------------------------------------------------------

my $node = GraphCluster->connected_to($emulator{a}, import => 0,
	conf => "fsync = off\njit = off\nautovacuum = off\nrestart_after_crash = on\nmax_prepared_transactions = 0\nlog_statement = none");

# The copies, as the metadata says, from the JSON text.
sub copy_sql
{
	my %table = tables();
	my $sql = 'CREATE SCHEMA copy;';

	foreach my $tenant (qw(a b))
	{
		my $source = "source_$tenant";
		$sql .= <<"SQL";
CREATE SCHEMA $source;
CREATE TABLE $source.alert (a jsonb);
CREATE FUNCTION $source.elements_of(a jsonb, name text, OUT jsonb, OUT bigint)
RETURNS SETOF record LANGUAGE sql IMMUTABLE AS \$\$
	SELECT * FROM jsonb_array_elements(CASE jsonb_typeof(a->name) WHEN 'array' THEN a->name END) WITH ORDINALITY \$\$;
CREATE FUNCTION $source.elements(a jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS \$\$
	SELECT CASE jsonb_typeof(a) WHEN 'array' THEN ARRAY(SELECT t FROM jsonb_array_elements_text(a) WITH ORDINALITY AS e(t, o) ORDER BY o) END \$\$;
CREATE FUNCTION $source.scalar(a jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS \$\$
	SELECT CASE WHEN jsonb_typeof(a) <> 'object' THEN a #>> '{}' END \$\$;
\\copy $source.alert from '$folder/$tenant.jsonl' with (format csv, quote e'\\x01', delimiter e'\\x02')
CREATE TABLE $source.incident (a jsonb);
\\copy $source.incident from '$folder/$tenant-incidents.jsonl' with (format csv, quote e'\\x01', delimiter e'\\x02')
CREATE TABLE $source.comments_of_incident AS SELECT a, e, o::integer
	FROM $source.incident, $source.elements_of(a, 'comments') AS t(e, o);
CREATE TABLE $source.evidence AS SELECT a - '{evidence,comments}'::text[] AS a, e, o::integer
	FROM $source.alert, $source.elements_of(a, 'evidence') AS t(e, o);
CREATE TABLE $source.comments AS SELECT a - '{evidence,comments}'::text[] AS a, e, o::integer
	FROM $source.alert, $source.elements_of(a, 'comments') AS t(e, o);
SET search_path = $source;
SQL
		foreach my $name (sort keys %GraphStatements::FOREIGN)
		{
			my ($imported, $server) = @{ $GraphStatements::FOREIGN{$name} };
			next unless ($server eq 'two') == ($tenant eq 'b');
			my ($rows, @columns) = @{ $table{$imported} };
			my $list = join ', ', map { qq{$_->[2] AS "$_->[0]"} } @columns;
			$sql .= "CREATE TABLE copy.$name AS SELECT $list FROM " . $rows =~ s/\bsource\./$source./gr . ";\n";
		}
	}
	$sql .= 'SET search_path = source_a;' . GraphQueries->odd_copy_sql('copy') =~ s/\bsource\./source_a./gr;
	return $sql . GraphStatements->derived_sql('copy', 0) . GraphStatements->views_sql('copy') . 'ANALYZE;';
}

# Foreign tables on three servers, and views of them that keep out the alerts
# that come and go: by what the service filters, and by what is filtered here.
sub foreign_sql
{
	my $options = options(authority => $emulator{a}->url, endpoint => $emulator{a}->url, page_size => 1000, concurrency => 4,
		select_pushdown => 'true', order_pushdown => 'true', count_pushdown => 'true', evidence_filter => 'false', incident_lookup => 'true');
	my $sql = 'CREATE SCHEMA raw; CREATE SCHEMA sent; CREATE SCHEMA local;';

	foreach my $server (qw(one other two))
	{
		my @names = grep { $GraphStatements::FOREIGN{$_}[1] eq $server } sort keys %GraphStatements::FOREIGN;
		my $imported = join ', ', map { $GraphStatements::FOREIGN{$_}[0] } @names;

		$sql .= "CREATE SERVER $server FOREIGN DATA WRAPPER graph_fdw $options; CREATE SCHEMA $server;\n"
		  . "CREATE USER MAPPING FOR CURRENT_USER SERVER $server OPTIONS (access_token 'emulator-access-token');\n"
		  . "IMPORT FOREIGN SCHEMA security LIMIT TO ($imported) FROM SERVER $server INTO $server;\n";
		foreach my $name (@names)
		{
			my $old = $GraphStatements::FOREIGN{$name}[0];
			$sql .= "ALTER FOREIGN TABLE $server.$old RENAME TO $name;" if $old ne $name;
			$sql .= "ALTER FOREIGN TABLE $server.$name SET SCHEMA raw;\n";
		}
	}
	$sql .= GraphQueries->odd_table_sql('raw', 'one') . ";\n"
	  . join('', map { "CREATE VIEW $_.odd_alerts AS SELECT * FROM raw.odd_alerts WHERE id_c NOT LIKE 'noise-%';\n" } qw(sent local));
	$sql .= GraphStatements->derived_sql('raw', 1) . GraphStatements->views_sql('raw');
	foreach my $name (sort(keys %GraphStatements::FOREIGN), 'every_alert')
	{
		my $server = $name eq 'every_alert' ? 'one' : $GraphStatements::FOREIGN{$name}[1];
		my $prefix = $name =~ /alerts|every/ ? '' : 'alert_';
		my %where = (
			sent  => "WHERE ${prefix}service_source <> '$GraphStatements::NOISE_SOURCE'",
			local => "WHERE ${prefix}title IS DISTINCT FROM '$GraphStatements::NOISE_TITLE'");

		$sql .= "CREATE VIEW $_.$name AS SELECT * FROM raw.$name " . ($server eq 'two' || $name =~ /^incident/ ? '' : $where{$_}) . ";\n" foreach sort keys %where;
	}
	return $sql . GraphStatements->views_sql('sent') . GraphStatements->views_sql('local');
}

$node->safe_psql('postgres', GraphQueries->common_sql . GraphStatements->local_tables_sql);
$node->safe_psql('postgres', copy_sql());
$node->safe_psql('postgres', foreign_sql());

#------------------------------------------------------------------------------
# A session of psql
#------------------------------------------------------------------------------

my ($psql_pid, $psql_in, $psql_out, $psql_text);
my $marks = 0;

sub connect_session
{
	$psql_text = '';
	$psql_pid = open2($psql_out, $psql_in, 'sh', '-c', "exec \"\$0\" \"\$@\" 2>>$folder/errors", 'psql', '-XAtq', '-R', "\x1e", '-F', "\x1f", '-P', 'null=~', '-d', $node->connstr('postgres'), '-f', '-');
	return;
}

sub disconnect_session
{
	close $psql_in if $psql_in;
	kill 'TERM', $psql_pid if $_[0];
	waitpid $psql_pid, 0;
	return;
}

# What a script prints, up to the mark at its end; undef if the session is lost.
sub run_script
{
	my ($script) = @_;
	my $mark = '@@end ' . ++$marks;
	local $SIG{PIPE} = 'IGNORE';

	utf8::encode($script) if utf8::is_utf8($script);
	print {$psql_in} "$script\n\\echo '$mark'\n" or return;
	$psql_in->flush;
	my $select = IO::Select->new($psql_out);
	my $until = time + $LOST;
	while ($psql_text !~ /^\Q$mark\E\n/m)
	{
		return unless $select->can_read($until - time > 0 ? $until - time : 0);
		sysread $psql_out, $psql_text, 1 << 20, length $psql_text or return;
	}
	(my $result, $psql_text) = split /^\Q$mark\E\n/m, $psql_text, 2;
	return $result;
}

# Run the parts of a statement in a schema.  The answer is a hash of state and
# message of its first error, and of the parts, each a list of rows.
sub answer
{
	my ($statement, $schema, $timeout) = @_;
	my $script = "SET statement_timeout = '${timeout}s'; SET search_path = $schema;\n"
	  . join('', map { "$_;\n" } @{ $statement->{settings} }) . "BEGIN;\n"
	  . join('', map { "\\echo '\@\@part'\n$_;\n\\echo '\@\@=' :ERROR :SQLSTATE :LAST_ERROR_MESSAGE\n" } @{ $statement->{statements} })
	  . "ROLLBACK; \\set QUIET on\nCLOSE ALL; DEALLOCATE ALL; RESET ALL;";
	my $known = -s "$folder/errors" // 0;
	my $text = run_script($script);
	my %answer = (state => '', message => '', parts => [], time => time);

	if (!defined $text)
	{
		disconnect_session('kill');
		for (1 .. 300)
		{
			last if ($node->psql('postgres', 'SELECT 1'))[0] == 0;
			Time::HiRes::sleep(0.1);
		}
		connect_session();
		return { %answer, state => 'lost', message => 'the session was lost' };
	}
	foreach my $part (split /^\@\@part\n/m, $text)
	{
		my ($rows, $failed, $state, $message) = $part =~ /^(.*?)^\@\@= (\w+) (\w+) ?(.*)/sm or next;
		chomp($rows, $message);
		@answer{qw(state message)} = ($state, $message =~ s/\n.*//sr) if $failed eq 'true' && $answer{state} eq '';
		my $end = $statement->{kind} eq 'copy' ? qr/\n/ : qr/\x1e/;
		push @{ $answer{parts} }, [ $rows eq '' ? () : split $end, $rows, -1 ];
	}
	$answer{details} = join '', grep { !/current transaction is aborted/ } split /^/, slurp_file("$folder/errors", $known) if $answer{state} ne '';
	return \%answer;
}

#------------------------------------------------------------------------------
# Comparing
#------------------------------------------------------------------------------

# An answer as one text; equal ones are right.
sub in_order
{
	my ($statement, $answer) = @_;
	my @parts = @{ $answer->{parts} };

	@parts = ([ map { @$_ } @parts ]) if $statement->{compare} eq 'all';
	@parts = map { [ sort @$_ ] } @parts if $statement->{compare} ne 'order';
	return join "\x1d", map { join "\x1e", @$_ } @parts;
}

sub all_rows
{
	my ($answer) = @_;
	return map { @$_ } @{ $answer->{parts} };
}

# Rows that are in one answer only, or there more often.
sub surplus
{
	my ($title, $answer, $other) = @_;
	my %left;

	$left{$_}++ foreach all_rows($other);
	my @rows = grep { !($left{$_} && $left{$_}--) } all_rows($answer);
	my $more = @rows > 6 ? "   ... (" . @rows . ")\n" : '';
	return '' unless @rows;
	return "-- $title:\n" . join('', map { '   ' . substr(s/\x1f/|/gr, 0, 300) . "\n" } splice @rows, 0, 6) . $more;
}

# What is wrong with the answer of the foreign tables, or nothing.
sub mistake
{
	my ($statement, $expected, $found) = @_;

	return "the session was lost, before that: $found->{message}" if $found->{state} eq 'lost';
	return "internal error: $found->{message}" if $found->{state} =~ /^XX/;
	return if $expected->{state} ne '' && ($found->{state} eq $expected->{state} || $found->{state} !~ /^(HV|08|58|42|28)/);
	return if $found->{message} =~ /did not keep the order/ && $statement->{service} eq 'emulator' && $statement->{behaviour}{orderby} ne 'honour';
	return "$found->{state} $found->{message}" if $found->{state} ne '';
	return if $statement->{compare} eq 'none';
	return if in_order($statement, $expected) eq in_order($statement, $found);
	return 'another answer';
}

#------------------------------------------------------------------------------
# The services of one statement
#------------------------------------------------------------------------------

my %behaves;    # what each emulator was last told

sub behave
{
	my ($name, %settings) = @_;
	my $wanted = $json->encode({ map { $_ => $settings{$_} } keys %settings });

	return if ($behaves{$name} // '') eq $wanted;
	$settings{$_} = $settings{$_} ? JSON::PP::true : JSON::PP::false foreach qw(unsorted next_link_after_value chunked gzip);
	$emulator{$name}->settings(%settings);
	$behaves{$name} = $wanted;
	return;
}

# Where each server is from now on.
sub arrange
{
	my ($statement) = @_;
	my $service = $statement->{service};
	my $sql = '';

	if ($service ne 'sqlite')
	{
		my %behaviour = %{ $statement->{behaviour} };
		my $name = $service eq 'moving' ? 'moving' : 'a';
		behave($_, %behaviour) foreach $name, 'b';
		$emulator{moving}->control('POST', 'alerts?replace=true', '[' . join(',', @moving) . ']') if $service eq 'moving';
	}
	foreach my $server (qw(one other two))
	{
		my $tenant = $server eq 'two' ? 'b' : 'a';
		my $emulator = $emulator{ $service eq 'moving' && $tenant eq 'a' ? 'moving' : $tenant };
		my @faults = grep { $tenant eq 'a' || $_->{fault}{kind} ne 'moving' } @{ $statement->{faults} };
		my @named = map { +{ %{ $faults[$_] }, name => "$seed.$statement->{number}.$server.$_" } } 0 .. $#faults;
		my $root = $service eq 'sqlite' ? $sqlite{$tenant}
		  : @faults ? $emulator->url . '/fault/' . encode_base64url($json->encode(\@named))
		  : $emulator->url;
		my %options = (endpoint => $root, %{ $statement->{servers}{$server} });
		$sql .= "ALTER SERVER $server OPTIONS (" . join(', ', map { "SET $_ '$options{$_}'" } sort keys %options) . ");\n";
	}
	$sql .= "UPDATE pg_class SET reltuples = $statement->{estimate} WHERE relkind = 'f' AND reltuples <> $statement->{estimate};\n";
	run_script($sql);
	return;
}

sub schema_of
{
	my ($statement) = @_;
	return $statement->{service} eq 'moving' ? $statement->{view} : 'raw';
}

# How a statement's surroundings are shown.
sub described
{
	my ($statement) = @_;
	my %behaviour = %{ $statement->{behaviour} };
	my $servers = '';

	foreach my $server (qw(one other two))
	{
		my %options = %{ $statement->{servers}{$server} };
		$servers .= "--   $server: " . join(' ', map { "$_=$options{$_}" } sort keys %options) . "\n";
	}
	return "-- $statement->{kind}; service $statement->{service}" . ($statement->{view} ? ", view $statement->{view}" : '') . ", estimate $statement->{estimate}\n$servers"
	  . "--   emulator: " . join(' ', map { "$_=$behaviour{$_}" } sort keys %behaviour) . "\n"
	  . "--   faults: " . $json->encode($statement->{faults}) . "\n$statement->{text}";
}

# The plans and the requests.
sub explained
{
	my ($statement) = @_;
	my %explain = %$statement;
	my ($text, $http) = ('', HTTP::Tiny->new);

	$explain{statements} = [ map { /^(SELECT|WITH|\(|EXECUTE|INSERT|UPDATE|DELETE|MERGE)/ ? "EXPLAIN (VERBOSE, COSTS OFF) $_"
		  : /^DECLARE \S+ (?:SCROLL )?CURSOR (?:WITH HOLD )?FOR (.*)/s ? ($_, "EXPLAIN (VERBOSE, COSTS OFF) $1") : $_ } @{ $statement->{statements} } ];
	$text .= join "\n", all_rows(answer(\%explain, schema_of($statement), $FOREIGN_TIMEOUT));
	$_->clear foreach values %emulator;
	$http->get("$_/requests") foreach values %sqlite;
	arrange($statement);
	answer($statement, schema_of($statement), $FOREIGN_TIMEOUT);
	my @requests = $statement->{service} eq 'sqlite'
	  ? map { split /\n/, $http->get("$_/requests")->{content} } values %sqlite
	  : map { $_->requests } values %emulator;
	return "$text\n-- requests:\n" . join '', map { s/%([0-9A-F]{2})/chr hex $1/gier . "\n" } @requests;
}

#------------------------------------------------------------------------------
# All of them
#------------------------------------------------------------------------------

my ($wrong, $refused, $slow, $skipped, $empty, $done, %kinds, %alike, %spent) = (0, 0, 0, 0, 0, 0);
my $start = time;

connect_session();
for my $number (defined $only ? split(/,/, $only) : $from .. $from + $count - 1)
{
	last if $wrong >= $most || time - $start > $LONGEST;
	my $statement = GraphStatements->statement($seed, $number);
	@$statement{qw(kind compare settings statements text)} = ('given', 'rows', [], [ $ENV{GRAPH_SQL} ], $ENV{GRAPH_SQL}) if $ENV{GRAPH_SQL};
	$statement->{behaviour} = { %{ $statement->{behaviour} }, map { /^\d+$/ ? $_ + 0 : $_ } split /[=,]/, $ENV{GRAPH_BEHAVIOUR} // '' };
	next if $service && $statement->{service} !~ /^(?:$service)$/;
	my $expected = answer($statement, 'copy', $COPY_TIMEOUT);

	$skipped++, next if $expected->{state} eq '57014';
	my $since = time;
	arrange($statement);
	my $found = answer($statement, schema_of($statement), $FOREIGN_TIMEOUT);
	my $took = time - $since;

	$done++;
	$kinds{ $statement->{kind} }++;
	$spent{ $statement->{service} } += $took;
	diag(sprintf 'number %d took %.1f s', $number, $took) if $ENV{GRAPH_SLOW} && $took > $ENV{GRAPH_SLOW};
	$refused++, ($ENV{GRAPH_REFUSED} && diag("$number: $expected->{state} $expected->{message}\n$statement->{text}")) if $expected->{state} ne '';
	$empty++ unless all_rows($expected);
	# the second says before that it will be: sessions may share what they know of a limit
	$slow++, next if $found->{state} eq '57014' || ($found->{state} eq '53400' && $found->{details} =~ /after statement_timeout has ended/);
	my $mistake = mistake($statement, $expected, $found);
	if (defined $mistake)
	{
		my $text = "-- seed $seed, number $number (GRAPH_SEED=$seed GRAPH_STATEMENT=$number): $mistake\n" . described($statement)
		  . ($found->{state} ne '' ? ($found->{details} // '') : surplus('missing', $expected, $found) . surplus('too much', $found, $expected));
		utf8::encode($text) if utf8::is_utf8($text);
		$wrong++;
		$alike{ $mistake =~ s/"[^"]*"|\d+/N/gr }++;
		diag($text) if $wrong <= $shown;
	}
	diag(join '', map { utf8::encode($_) if utf8::is_utf8($_); $_ } explained($statement)) if defined $only && $only !~ /,/;
}

is($wrong, 0, "$count statements from seed $seed: mismatches");
if (!defined $only && !$service)
{
	cmp_ok($done, '>=', $count / 2, 'statements that ran') unless $wrong >= $most;
	cmp_ok($skipped, '<=', $count / 20, 'statements that take too long over the copies');
	cmp_ok($refused, '<=', $count / 20, 'statements that PostgreSQL itself refuses');
	# sessions that share what they know of a limit wait for what a fault has taught them
	cmp_ok($slow, '<=', $count / 50, 'statements that take too long');
	cmp_ok($empty, '<=', $count / 2, 'statements without rows');
}
diag(sprintf '%d done in %.0f s, %d wrong, %d refused, %d slow, %d skipped, %d empty; %s', $done, time - $start, $wrong, $refused, $slow, $skipped, $empty,
	join ', ', map { sprintf "$_ %.0f s", $spent{$_} } sort keys %spent);
diag(join "\n", map { "$alike{$_} x $_" } sort keys %alike) if %alike;
note(join ', ', map { "$_ $kinds{$_}" } sort keys %kinds);

disconnect_session();
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal/, 'no crash');
$node->stop;
done_testing();
