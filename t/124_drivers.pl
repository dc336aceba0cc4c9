
# What do drivers make of their parameters, cursors and portions, and what does
# that cost?
#
# Programs in t/drivers/ and t/npm/ do what applications do, and tell for each
# step what it gave and which requests it made: psycopg 2 and 3, SQLAlchemy,
# psqlODBC, JDBC, node-postgres.  What is not installed is skipped.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use JSON::PP;
use lib $FindBin::RealBin;
use GraphClients;
use GraphNpm;
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphClients::service();
my $node = GraphClients::database($emulator, conf => "fsync = off\nlisten_addresses = '127.0.0.1'");
my %given = (host => '127.0.0.1', port => $node->port, emulator => $emulator->url);

# What a program prints, a hash for each line; or why it does not run.
sub steps
{
	my (@command) = @_;
	my ($output, $errors) = ('', '');
	local %ENV = %ENV;

	delete @ENV{ grep { /proxy$/i || /^PG/ } keys %ENV };
	eval { IPC::Run::run(\@command, '<', \undef, '>', \$output, '2>', \$errors, IPC::Run::timeout(120)) } or return $errors || $@;
	return map { decode_json($_) } split /\n/, $output;
}

#------------------------------------------------------------------------------
# What each step should give
#------------------------------------------------------------------------------

my @ALL = ('all', map { "?\$filter=createdDateTime lt $_.000001Z&\$orderby=createdDateTime desc" } '2026-07-30T07:19:00', '2026-07-29T14:40:00');
my $SINCE = 'createdDateTime ge 2026-07-30T11:59:59.999999Z';
my $HIGH = "?\$filter=$SINCE and severity eq 'high'";
my $MEMBERS = q{?$filter=(severity eq 'high' or severity eq 'low') and status eq 'new'&$count=true&$top=20};
my @TWELVE = (1) x 12;

# Answers that are numbers, by the plain tables.
sub number { return $node->sql("SELECT count(*) FROM copy.alerts WHERE $_[0]") }
my $since = "created_date_time >= '2026-07-30 12:00Z'";
my ($high, $low) = map { number("severity = '$_' AND $since") } qw(high low);
my $new = number(q{severity IN ('high', 'low') AND status = 'new'});
my $high_new = number(q{severity = 'high' AND status = 'new'});
my $later = number($since);

# The answer and the requests of a step.  A driver has those of its own, and
# those of all.
my %every = (
	'values'  => [ $high, $HIGH ],
	'id'      => [ 'Title 0', '/a0007' ],
	'ids'     => [ '2', '/a0007', '/a0008' ],
	'members' => [ $new, $MEMBERS ],
	'latest'  => [ 'a0001', '?$orderby=createdDateTime desc&$top=20' ],
	'error'   => ['22012']);
my %expected = (
	psycopg2 => {
		'latest'                      => [ '10 a0001', '?$orderby=createdDateTime desc&$top=20' ],
		'optional'                    => [ $later, "?\$filter=$SINCE" ],
		'tuple'                       => [ $high + $low, "?\$filter=(severity eq 'high' or severity eq 'low') and $SINCE" ],
		'cursor'                      => [ '300', $ALL[0] ],
		'the rest'                    => [ '2200', @ALL[1, 2] ],
		'half of a cursor'            => [ '0', $ALL[0] ],
		'with hold'                   => [ '5', $ALL[0] ],
		'with hold, after the commit' => [ '2495', @ALL[1, 2] ] },
	psycopg => {
		'latest'   => [ '10 a0001', '?$orderby=createdDateTime desc&$top=20' ],
		'optional' => [ $later, "?\$filter=$SINCE" ],
		'prepared' => [ "12 $high", map { $HIGH } @TWELVE ],
		'cursor'   => [ '100', q{?$filter=severity eq 'high'} ],
		'copy'     => [ $high_new, q{?$filter=severity eq 'high' and status eq 'new'} ],
		'pipeline' => [ "$high $low", $HIGH, $HIGH =~ s/high/low/r ] },
	sqlalchemy => {
		'names in live'   => ['0 0'],
		'names in seen'   => ['0 6'],
		'names in kept'   => ['6 0'],
		(map { ("columns in $_" => ['TEXT TIMESTAMP ARRAY JSONB']) } qw(live seen kept)),
		'a chart'         => [ $high + $low, "?\$filter=$SINCE and (severity eq 'high' or severity eq 'low')" ],
		'a stream'        => [ '100', $ALL[0] ] },
	pyodbc => {
		(map { ("the type of a foreign table, $_" => ['FOREIGN TABLE']) } 'all rows', 'portions'),
		'all rows' => [ '10', @ALL ],
		'portions' => [ '10', $ALL[0] ] },
	jdbc => {
		'tables and views in live'      => ['0'],
		'tables and views in seen'      => ['6'],
		'tables and views in kept'      => ['6'],
		'the type of a foreign table'   => ['FOREIGN TABLE'],
		'columns'                       => ['37'],
		'the type of a time'            => ['timestamptz'],
		'key of a copy'                 => ['2'],
		'maxRows'                       => [ '200', $ALL[0] ],
		'fetchSize'                     => [ '300', $ALL[0] ],
		'fetchSize, the rest'           => [ '2200', @ALL[1, 2] ],
		'fetchSize, half'               => [ '0', $ALL[0] ],
		'scroll'                        => [ '500', q{?$filter=severity eq 'high'} ],
		'values'                        => [ "[$high]", map { $HIGH } @TWELVE ],
		'id'                            => [ '[Title 0]', map { '/a0007' } @TWELVE ],
		'ids'                           => [ '[2]', map { ('/a0007', '/a0008') } @TWELVE ],
		'members'                       => [ "[$new]", map { $MEMBERS } @TWELVE ],
		'latest'                        => [ '[a0001]', map { '?$orderby=createdDateTime desc&$top=20' } @TWELVE ],
		'a time with an offset'         => [ "[$later]", map { "?\$filter=$SINCE" } @TWELVE ] },
	'node-postgres' => {
		'members'        => [ $new, map { $MEMBERS } @TWELVE ],
		'cursor'         => [ '300', '?$filter=createdDateTime lt 2026-08-01T00:00:00Z' ],
		'cursor, closed' => ['0'],
		'types'          => [ '2026-07-30T23:52:00.000Z 2', '/a0007' ] });

# The numbers and words of an answer.
sub as_text
{
	my ($answer) = @_;
	return ref $answer ? join ' ', map { as_text($_) } @$answer : $answer // '';
}

sub try_driver
{
	my ($driver, @steps) = @_;
	my %known = (%every, %{ $expected{$driver} });

	foreach my $step (grep { $_->{driver} eq $driver } @steps)
	{
		my ($answer, @requests) = @{ $known{ $step->{step} } || ['a step that is expected'] };

		is(as_text($step->{answer}), $answer, "$driver, $step->{step}: the answer");
		# what is asked side by side comes in any order
		is(join("\n", sort(GraphClients::shortened(@{ $step->{requests} }))), join("\n", sort @requests), "$driver, $step->{step}: requests");
	}
	return;
}

# Ask something of a driver's steps only if there are any.
sub try_program
{
	my ($drivers, @steps) = @_;

	foreach my $driver (@$drivers)
	{
		my @own = grep { ref && $_->{driver} eq $driver } @steps;

	  SKIP: {
			skip "$driver is not installed", 1 if grep { $_->{step} eq 'missing' } @own;
			is(scalar(grep { !ref } @steps), 0, "$driver: the program runs") || diag(grep { !ref } @steps);
			my $missing = join ', ', grep { my $name = $_; !grep { $_->{step} eq $name } @own } keys %{ $expected{$driver} };
			is($missing, '', "$driver: all steps were made");
			try_driver($driver, @own);
		}
	}
	return;
}

#------------------------------------------------------------------------------
# Python
#------------------------------------------------------------------------------

# the distribution's, which has the modules
my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';

try_program([qw(psycopg2 psycopg sqlalchemy pyodbc)], steps($python, '-B', "$FindBin::RealBin/drivers/drivers.py", encode_json(\%given)));

#------------------------------------------------------------------------------
# Java
#------------------------------------------------------------------------------

my ($jar) = grep { -r } '/usr/share/java/postgresql.jar', '/usr/share/java/postgresql-jdbc.jar';
my $modules = '';

eval { IPC::Run::run([qw(java --list-modules)], '<', \undef, '>', \$modules, '2>', \my $errors) };
SKIP: {
	skip 'there is no JDBC driver', 1 unless $jar;
	skip 'there is no JDK', 1 unless $modules =~ /^jdk\.compiler/m && $modules =~ /^java\.net\.http/m;
	try_program(['jdbc'], steps('java', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', $jar, "$FindBin::RealBin/drivers/Drivers.java", $given{port}, $given{emulator}));
}

#------------------------------------------------------------------------------
# Node.js
#------------------------------------------------------------------------------

my $npm = GraphNpm->install('pg', 'pg-cursor');
SKIP: {
	skip $npm->{missing}, 1 if $npm->{missing};
	my ($status, $output) = $npm->run('drivers.mjs', \%given);

	is($status, 0, 'node-postgres: the program ends well') || diag($output);
	try_program(['node-postgres'], map { /^\{/ ? decode_json($_) : $_ } split /\n/, $output);
}

done_testing();
