
# Does the service do what a plan relies on?
#
# A plan leaves a count, an order or a first page to the service only if each
# condition is sent, and means the same there.  What a request has no room for,
# or must not say, is left out; so each form of a condition is tried at lengths
# around the limits, with constants, with parameters that the planner sees, with
# such that it does not, and with NULLs: all counts are those of a local copy.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { page_size => 300 });
my @severity = qw(high medium low informational);
my @status = qw(new inProgress resolved);
my @source = qw(microsoftDefenderForEndpoint microsoftDefenderForIdentity azureAdIdentityProtection microsoftSentinel);
my @class = qw(truePositive falsePositive unknown);

# An assignee of so many bytes, in UTF-8.
sub assignee { my ($len) = @_; return substr("o'brien\@contoso.test " x 20, 0, $len) }

$emulator->set_alerts(map {
	my $n = $_;
	alert(
		id => sprintf('a%03d', $n), severity => $severity[ $n % 4 ], status => $status[ $n % 3 ],
		serviceSource => $source[ int($n / 3) % 4 ], ($n % 5 ? (classification => $class[ $n % 3 ]) : ()),
		assignedTo => $n % 4 == 0 ? undef : $n % 4 == 1 ? assignee(250 + $n % 12) : "user$n\@contoso.test",
		createdDateTime => sprintf('2026-07-01T%02d:%02d:00Z', $n / 60, $n % 60),
		lastUpdateDateTime => $n % 7 ? sprintf('2026-07-02T%02d:%02d:00Z', $n / 60, $n * 7 % 60) : undef)
} 0 .. 259);
my $columns = 'id, severity, status, service_source, classification, assigned_to, created_date_time, last_update_date_time';
$node->sql("SET TimeZone = 'UTC'; CREATE TABLE copy AS SELECT $columns FROM defender.alerts; ANALYZE copy");

my $session = $node->session;
# a value that a column cannot have is meant to be there
$session->query('SET client_min_messages = warning');
$session->query("SET TimeZone = 'UTC'");

sub literal
{
	my ($value) = @_;
	return 'NULL' unless defined $value;
	return 'ARRAY[' . join(', ', map { literal($_) } @$value) . ']' if ref $value;
	return "'" . $value =~ s/'/''/gr . "'";
}

# Some questions about the rows for which a condition holds; all of them, or
# those that an order and a limit have no part in.
sub questions
{
	my ($table, $condition, $all) = @_;
	return map { s/TABLE/$table/r =~ s/WHERE/WHERE $condition/r } (
		'SELECT count(*) FROM TABLE WHERE',
		'SELECT count(id) FROM TABLE WHERE',
		q{SELECT md5(string_agg(id, ',' ORDER BY id)) FROM TABLE WHERE},
		$all ? (
			'SELECT count(*) FROM (SELECT id FROM TABLE WHERE LIMIT 30) AS x',
			q{SELECT string_agg(id, ',') FROM (SELECT id FROM TABLE WHERE ORDER BY last_update_date_time DESC, id LIMIT 40) AS x},
			q{SELECT string_agg(id, ',') FROM (SELECT id FROM TABLE WHERE ORDER BY created_date_time, id LIMIT 7) AS x}) : ());
}

# What statements print.
sub run { return scalar $session->query(join(";\n", @_)) }

# Is everything the same for a condition, given as SQL with $1 and so on, and the
# type and values of those?
sub same
{
	my ($name, $condition, $type, @values) = @_;
	my @literal = map { literal($_) . "::$type" } @values;
	my $constant = $condition =~ s/\$(\d+)/$literal[$1 - 1]/gr;
	my $types = @values ? '(' . join(', ', ($type) x @values) . ')' : '';
	my $expected = run(questions('copy', $constant, 1));
	my @wrong;
	my $got;

	$session->{stderr} = '';
	$got = run(questions('defender.alerts', $constant, 1));
	push @wrong, "constant:\n$got" if $got ne $expected;
	foreach my $mode (@values ? qw(force_custom_plan force_generic_plan) : ())
	{
		my $part = join "\n", (split /\n/, $expected, -1)[ 0 .. 2 ];

		$got = run("SET plan_cache_mode = $mode",
			map { ("PREPARE p$types AS $_", 'EXECUTE p(' . join(', ', @literal) . ')', 'DEALLOCATE p') } questions('defender.alerts', $condition));
		push @wrong, "$mode:\n$got" if $got ne $part;
	}
	run('RESET plan_cache_mode');
	is(join("\n", @wrong) . $session->{stderr}, '', $name . ': ' . (split /\n/, $expected)[0]) or diag("should be:\n$expected");
	return;
}

# What EXPLAIN says is done with the clauses of a condition.
sub labels
{
	my ($condition) = @_;
	my $plan = run("EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM defender.alerts WHERE $condition");
	return join ', ', sort $plan =~ /Graph Clause: .*: ((?:sent|local).*)$/mg;
}

#------------------------------------------------------------------------------
# Chains of OR and AND
#------------------------------------------------------------------------------

# Arms with three values each, all of them different.
sub arms
{
	my ($count, $operator, $first) = @_;
	my (@arms, @values);

	foreach my $i (0 .. $count - 1)
	{
		my $n = 3 * $i + ($first // 0);

		push @arms, "(severity $operator \$" . ($n + 1) . " AND status $operator \$" . ($n + 2) . " AND service_source $operator \$" . ($n + 3) . ')';
		push @values, $severity[ $i % 4 ], $status[ $i / 4 % 3 ], $source[ $i / 12 % 4 ];
	}
	return (join(' OR ', @arms), @values);
}

foreach my $count (1, 21, 22, 23, 24, 48)
{
	my ($or, @values) = arms($count, '=');

	same("$count arms of three", $or, 'text', @values);
	same("$count arms of three, negated", "NOT ($or)", 'text', @values);
	same("$count arms of three and more", "($or) AND severity = \$1 AND classification IS NOT DISTINCT FROM \$" . (@values + 1),
		'text', @values, $count % 2 ? undef : 'unknown');
	same("$count arms of three, one of a NULL", $or, 'text', @values[ 0 .. $#values - 1 ], undef);
	same("$count arms that are distinct", (arms($count, 'IS DISTINCT FROM'))[0], 'text', @values);
	same("$count arms of an assignee", join(' OR ', map { "assigned_to = \$$_" } 1 .. $count), 'text',
		map { $_ == $count ? 'user2@contoso.test' : assignee(40) . $_ } 1 .. $count);
	same("$count conditions", join(' AND ', map { "(severity <> \$$_ OR status <> \$" . ($_ + 1) . ')' } 1 .. $count), 'text',
		map { $_ % 2 ? $severity[ $_ / 2 % 4 ] : $status[ $_ / 8 % 3 ] } 1 .. $count + 1);
}
foreach my $count (9, 11, 12)
{
	my ($first, @one) = arms($count, '=');
	my ($second, @two) = arms(24 - $count, '=', scalar @one);

	same("$count arms and others beside", "($first) AND ($second)", 'text', @one, @two);
}
my @long = arms(24, '=');
my $long = $long[0] =~ s/\$(\d+)/literal($long[$1])/ger;
is(labels($long), 'local: the filter would be too long', 'EXPLAIN does not call a clause sent that is too long');
is(labels("($long) AND severity = 'high'"), 'local: the filter would be too long, sent, exact', 'but the others are');
is(labels("severity = 'high' OR (status = 'new' AND ($long))"), 'sent, superset', 'nor one exact of which a part is left out');
my @half = arms(15, '=');
my $half = $half[0] =~ s/\$(\d+)/literal($half[$1])/ger;
is(labels("($half) AND (($half) OR status = 'new')"), 'local: the filter would be too long, sent, exact', 'nor one for which there is no room any more');
like(run("EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM defender.alerts WHERE $long"), qr/^Aggregate/, 'nothing is counted with it');
like(run("EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM defender.alerts WHERE $half"), qr/^Foreign Scan/, 'but what fits is');

# What is known later takes the room that is left.
$session->query(qq{PREPARE p(text) AS SELECT count(*) FROM defender.alerts WHERE (assigned_to = \$1 OR ($half)) AND ($half)});
$session->query("SET plan_cache_mode = force_generic_plan");
$emulator->clear;
is(run(q{EXECUTE p('nobody')}), run("SELECT count(*) FROM copy WHERE $half"), 'a parameter beside constants');
is(scalar(grep { /assignedTo%20eq/ } $emulator->requests), 0, 'the constant condition comes first');
is(scalar(grep { /severity%20eq/ } $emulator->requests), 1, 'and is sent');
$session->query('DEALLOCATE p; RESET plan_cache_mode');

#------------------------------------------------------------------------------
# Texts, arrays, members of enums, times
#------------------------------------------------------------------------------

foreach my $len (253 .. 259, 3000)	# some have 251, 255 or 259
{
	same("a text of $len", 'assigned_to = $1', 'text', assignee($len));
	same("a text of $len or another one", 'assigned_to = $1 OR assigned_to = $2', 'text', assignee($len), 'user2@contoso.test');
	same("a text of $len in an array", 'assigned_to = ANY ($1)', 'text[]', [ assignee($len), 'user2@contoso.test', undef ]);
}
same('no text', 'assigned_to = $1', 'text', undef);
foreach my $count (0, 1, 19, 20, 21, 30, 45, 50, 55, 60, 65, 70, 500)
{
	same("$count texts", 'assigned_to = ANY ($1)', 'text[]', [ map { "user$_\@contoso.test" } 1 .. $count ]);
	next if $count > 21;
	same("$count times", 'created_date_time = ANY ($1)', 'timestamptz[]',
		[ map { sprintf '2026-07-01 %02d:%02d:00Z', $_ * 5 / 60, $_ * 5 % 60 } 1 .. $count ]);
	same("$count times and NULL", 'created_date_time = ANY ($1) AND severity = \'high\'', 'timestamptz[]',
		[ undef, map { sprintf '2026-07-01 %02d:%02d:00Z', $_ * 5 / 60, $_ * 5 % 60 } 1 .. $count ]);
}
foreach my $column ('severity', 'classification')
{
	# a member that is known, a newer one, the one for all newer ones, none, NULL
	foreach my $value ($severity[0], $class[2], 'unknownFutureValue', 'HIGH', undef)
	{
		my $name = "$column and " . ($value // 'NULL');

		same("$name: $_", "$column $_ \$1", 'text', $value) foreach '=', '<>', 'IS DISTINCT FROM', 'IS NOT DISTINCT FROM';
		same("$name: = ANY", "$column = ANY (\$1)", 'text[]', [ $value, $severity[0], $status[0], $source[0] ]);
		same("$name: <> ALL", "$column <> ALL (\$1)", 'text[]', [ $value, $severity[0], $status[0], $source[0] ]);
		same("$name: NOT = ANY", "NOT $column = ANY (\$1) AND status = 'new'", 'text[]', [ $value, @severity[ 0, 1 ] ]);
	}
	same("$column and an array", "$column $_ (\$1)", 'text[]', undef) foreach '= ANY', '<> ALL';
	same("$column and many", "$column = ANY (\$1)", 'text[]', [ (@severity, @status, @source, @class) x 40 ]);
	same("$column and not many", "$column <> ALL (\$1)", 'text[]', [ (@severity[ 0, 1 ], $status[0], $source[0], $class[0]) x 40 ]);
	same("$column IS NULL", "$column IS NULL", '');
	same("$column IS NOT NULL", "$column IS NOT NULL AND severity = 'low'", '');
}
foreach my $column ('created_date_time', 'last_update_date_time')
{
	foreach my $time ('2026-07-01 02:00Z', '2026-07-02 02:00Z', '-infinity', 'infinity', '0001-01-01Z', '20000-01-01Z', undef)
	{
		my $name = "$column and " . ($time // 'NULL');

		same("$name: $_", "$column $_ \$1", 'timestamptz', $time) foreach '=', '<>', '<', '<=', '>', '>=', 'IS DISTINCT FROM', 'IS NOT DISTINCT FROM';
		same("$name: OR", "$column >= \$1 OR severity = 'high'", 'timestamptz', $time);
		same("$name: AND", "$column >= \$1 AND severity = 'high'", 'timestamptz', $time);
	}
	same("$column between", "$column BETWEEN \$1 AND \$2", 'timestamptz', '-infinity', 'infinity');
}

#------------------------------------------------------------------------------
# Ids, of which a list is read if there are many
#------------------------------------------------------------------------------

foreach my $count (1, 21, 40, 700)
{
	my @ids = map { sprintf 'a%03d', $_ } 1 .. $count;

	same("$count ids", 'id = ANY ($1)', 'text[]', \@ids);
	same("$count ids and more", 'id = ANY ($1) AND severity = \'high\'', 'text[]', \@ids);
	same("$count ids and a text", 'id = ANY ($1) AND assigned_to = \'user2@contoso.test\'', 'text[]', [ @ids, undef ]);
	same("$count ids one by one", join(' OR ', map { "id = \$$_" } 1 .. $count), 'text', @ids) if $count < 50;
}
same('no ids', 'id = ANY ($1)', 'text[]', undef);
same('only NULL', 'id = ANY ($1)', 'text[]', [undef]);
my $many = literal([ map { sprintf 'a%03d', $_ } 1 .. 1000 ]);
is(labels("id = ANY ($many) AND severity = 'high'"), 'local: the service does not filter by this column, sent, exact', 'more ids than a list is worth');
$emulator->clear;
is(run("SELECT count(*) FROM defender.alerts WHERE id = ANY ($many) AND severity = 'high'"), 64, 'the list is read');
is(scalar(grep { !/severity%20eq/ } $emulator->requests), 0, 'with the other condition');

#------------------------------------------------------------------------------
# Long statements
#------------------------------------------------------------------------------

# Ten thousand values, which would take seconds if each were held against all.
foreach my $case (
	[ 'ids',         join ' OR ', map { "id = 'x$_'" } 1 .. 10_000 ],
	[ 'assignees',   join ' OR ', map { "assigned_to = 'x$_'" } 1 .. 10_000 ],
	[ 'arms',        join ' OR ', map { "(severity = 'high' AND assigned_to = 'x$_')" } 1 .. 10_000 ],
	[ 'array',       'id = ANY (' . literal([ map { "x$_" } 1 .. 10_000 ]) . ')' ],
	[ 'conditions',  join ' AND ', map { "NOT (severity = 'low' AND assigned_to = 'x$_')" } 1 .. 2_000 ])
{
	my ($name, $condition) = @$case;
	my ($time) = sort { $a <=> $b } map {
		run("EXPLAIN (SUMMARY ON, FORMAT JSON) SELECT title FROM defender.alerts WHERE $condition") =~ /"Planning Time": ([\d.]+)/
	} 1 .. 2;

	cmp_ok($time, '<', 1000, "$name: milliseconds to plan");
	is(run("SELECT count(*) FROM defender.alerts WHERE $condition"), run("SELECT count(*) FROM copy WHERE $condition"), "$name: count");
}

$session->quit;
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|XX000|terminated by signal/, 'nothing in the log');
done_testing();
