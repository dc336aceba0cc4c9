
# Does a service hold what random statements say, and is what they tell true?
#
# A model in memory says what each statement does: which rows it returns, how
# many it counts, which records have which values afterwards.  After each the
# service has to hold that.  In between the service refuses, loses answers,
# ignores changes; statements fail at a row, run into statement_timeout or are
# cancelled, in transactions with savepoints too.  After an error each record has
# its old values or its new ones, and what the error says of how many were
# changed, and which, is counted.
#
# The service is writing_server.py, which shares nothing with the emulator.
#
#	GRAPH_WRITES=1000 GRAPH_SEED=7 prove ... t/094_writes_model.pl

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use JSON::PP;
use List::Util qw(shuffle);
use Test::More;
use Time::HiRes qw(sleep time);
use WritingService qw(alert incident told %WRITABLE);

my $count = $ENV{GRAPH_WRITES} || ($ENV{GRAPH_LONG} ? 150 : 60);
my $seed  = $ENV{GRAPH_SEED}   || 1;
my $json  = JSON::PP->new->ascii->canonical->allow_nonref;
my $utf8  = JSON::PP->new->utf8->allow_nonref;

sub bytes { my ($text) = @_; utf8::encode($text); return $text }

#------------------------------------------------------------------------------
# The service, the database, the model
#------------------------------------------------------------------------------

my $service = WritingService->new;
my $world = $service->world('random');
my $url = $world->url;
my $node = GraphCluster->connected_to(GraphEmulator->new('--alerts', 0, '--no-sample'), import => 0, conf => "fsync = off\njit = off");

# n, id, owner, verdict
my @LOCAL = map { [ $_, $_ % 5 ? alert($_ * 2)->{id} : undef, (undef, 'adele', "o'neil", '')[ $_ % 4 ], (undef, 'unknown', 'falsePositive')[ $_ % 3 ] ] } 1 .. 15;

sub literal
{
	my ($value) = @_;
	return 'NULL' unless defined $value;
	$value =~ s/'/''/g;
	return "'$value'";
}

my $rows = join ', ', map { "($_->[0], " . join(', ', map { literal($_) } @$_[ 1 .. 3 ]) . ')' } @LOCAL;
$world->set_state(alerts => [ map { alert($_) } 1 .. 36 ], incidents => [ map { incident($_) } 1 .. 12 ]);
$node->sql(bytes(<<"SQL"));
CREATE SERVER random FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url', updatable 'true', page_size '7', concurrency '4');
CREATE USER MAPPING FOR CURRENT_USER SERVER random OPTIONS (access_token 'writer');
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_comments, incidents, incident_comments) FROM SERVER random INTO public;
CREATE TABLE local (n integer, id text, owner text, verdict text);
INSERT INTO local VALUES $rows;
CREATE VIEW alerts_checked AS SELECT * FROM alerts WHERE status <> 'resolved' WITH CHECK OPTION;
CREATE VIEW alerts_barrier WITH (security_barrier) AS SELECT * FROM alerts WHERE severity <> 'low';
SQL

# What the service has: { kind => { id => { property => value, ... comments => [ texts ] } } }
my $all = $world->state;

sub held
{
	my $state = $world->held;

	foreach my $kind (keys %$state)
	{
		$state->{$kind}{$_} = { %{ $all->{$kind}{$_} }, %{ $state->{$kind}{$_} } } foreach keys %{ $state->{$kind} };
	}
	return $state;
}

sub copy { return $json->decode($json->encode($_[0])) }
sub same { return $json->encode([ $_[0] ]) eq $json->encode([ $_[1] ]) }

my $model = held();
my $session = $node->session;
my ($pid) = $session->query('SELECT pg_backend_pid()') =~ /(\d+)/;

#------------------------------------------------------------------------------
# Chance
#------------------------------------------------------------------------------

sub pick   { return $_[ int rand @_ ] }
sub chance { return rand(100) < $_[0] }

my %MEMBERS = (
	alerts    => { status => [qw(new inProgress resolved)] },
	incidents => { status => [qw(active inProgress resolved)], severity => [qw(low medium high)] });
my @CLASSIFICATIONS = qw(unknown falsePositive truePositive informationalExpectedActivity);
my @DETERMINATIONS = qw(unknown malware phishing notMalicious other);
my @TEXTS = ('adele', "o'neil", '', 'Bärbel', "two\nlines \\ \"x\"", 'x' x 300);

# A condition on a record: [ SQL, function: true, false or undef ].
sub condition
{
	my ($kind, $depth) = @_;
	my $way = int rand($depth > 0 ? 24 : 18);

	return compare($kind, $way) if $way < 18;
	my $one = condition($kind, $depth - 1);
	return [ "NOT ($one->[0])", sub { my $is = $one->[1]->(@_); return defined $is ? !$is : undef } ] if $way < 20;
	my $two = condition($kind, $depth - 1);
	return [ "($one->[0] AND $two->[0])", sub {
			my @is = ($one->[1]->(@_), $two->[1]->(@_));
			return 0 if grep { defined && !$_ } @is;
			return (grep { !defined } @is) ? undef : 1;
		} ] if $way < 22;
	return [ "($one->[0] OR $two->[0])", sub {
			my @is = ($one->[1]->(@_), $two->[1]->(@_));
			return 1 if grep { $_ } @is;
			return (grep { !defined } @is) ? undef : 0;
		} ];
}

# One of a column and constants.
sub simple
{
	my ($column, $property, @values) = @_;
	my $value = pick(@values);
	my $text = literal($value);

	return [ "a.$column = $text", sub { defined $_[0]{$property} ? $_[0]{$property} eq $value : undef } ] if chance(40);
	return [ "a.$column <> $text", sub { defined $_[0]{$property} ? $_[0]{$property} ne $value : undef } ] if chance(40);
	return [ "a.$column IS NULL", sub { !defined $_[0]{$property} } ] if chance(25);
	return [ "a.$column IS DISTINCT FROM $text", sub { !defined $_[0]{$property} || $_[0]{$property} ne $value } ] if chance(25);
	my @some = map { pick(@values) } 1 .. 2;
	return [ "a.$column IN (" . join(', ', map { literal($_) } @some) . ')', sub { my $own = $_[0]{$property}; defined $own ? scalar(grep { $_ eq $own } @some) : undef } ];
}

sub compare
{
	my ($kind, $way) = @_;
	my $alerts = $kind eq 'alerts';

	return simple('status', 'status', @{ $MEMBERS{$kind}{status} }) if $way < 3;
	return simple('classification', 'classification', @CLASSIFICATIONS) if $way < 5;
	return simple('assigned_to', 'assignedTo', @TEXTS) if $way == 5;
	return simple('severity', 'severity', qw(low medium high)) if $way < 8;
	if ($way < 11)
	{
		my @ids = map { pick('nobody', sort keys %{ $model->{$kind} }) } 1 .. pick(1, 1, 3, 8);
		return [ 'a.id IN (' . join(', ', map { literal($_) } sort @ids) . ')', sub { my $own = $_[0]{id}; scalar grep { $_ eq $own } @ids } ];
	}
	return [ q{a.last_update_date_time > '2026-10-01Z'}, sub { $_[0]{lastUpdateDateTime} gt '2026-10-01' } ] if $way == 11;
	return [ q{a.last_update_date_time < '2026-10-01Z'}, sub { $_[0]{lastUpdateDateTime} lt '2026-10-01' } ] if $way == 12;
	if ($way == 13)
	{
		return simple('title', 'title', map { "Title $_" } 0 .. 5) if $alerts;
		return simple('display_name', 'displayName', map { "Incident $_" } 1 .. 12);
	}
	if ($way == 14)
	{
		my $most = int rand 16;
		return [ "EXISTS (SELECT FROM local AS l WHERE l.id = a.id AND l.n < $most)", sub { my $own = $_[0]{id}; scalar grep { $_->[0] < $most && defined $_->[1] && $_->[1] eq $own } @LOCAL } ];
	}
	return [ 'a.id IN (SELECT id FROM local WHERE id IS NOT NULL AND n % 2 = 0)', sub { my $own = $_[0]{id}; scalar grep { $_->[0] % 2 == 0 && defined $_->[1] && $_->[1] eq $own } @LOCAL } ] if $way == 15;
	if ($way == 16)
	{
		my $minute = int rand 36;
		my $from = sprintf '2026-07-01T00:%02d:30Z', $minute;
		return [ "a.created_date_time > '$from'", sub { $_[0]{createdDateTime} gt $from } ];
	}
	my $status = pick(@{ $MEMBERS{incidents}{status} });
	return $alerts
	  ? [ "a.incident_id IN (SELECT i.id FROM incidents AS i WHERE i.status = '$status')", sub { $model->{incidents}{ $_[0]{incidentId} }{status} eq $status } ]
	  : [ "a.id IN (SELECT incident_id FROM alerts WHERE severity = 'high')", sub { my $own = $_[0]{id}; scalar grep { $_->{severity} eq 'high' && $_->{incidentId} eq $own } values %{ $model->{alerts} } } ];
}

# Assignments to one property: [ column, property, SQL, function ], whose
# function dies where the statement fails.
sub assignment
{
	my ($kind, $column) = @_;
	my $property = $WRITABLE{$kind}{$column};
	my $literal = sub { my ($value) = @_; return [ $column, $property, literal($value), sub { $value } ] };

	return [ $column, $property, "a.$column", sub { $_[0]{$property} } ] if chance(8);
	if ($column eq 'status')
	{
		my @members = @{ $MEMBERS{$kind}{status} };
		my $to = pick(@members);
		return [ $column, $property, "CASE WHEN a.severity = 'high' THEN '$to' ELSE a.status END", sub { $_[0]{severity} eq 'high' ? $to : $_[0]{status} } ] if chance(25);
		if (chance(6))
		{
			my $id = pick(sort keys %{ $model->{$kind} });
			return [ $column, $property, 'CASE WHEN a.id = ' . literal($id) . " THEN 'bogus' || a.id ELSE '$to' END", sub { die "bogus\n" if $_[0]{id} eq $id; return $to } ];
		}
		return $literal->($to);
	}
	return $literal->(pick(@{ $MEMBERS{$kind}{severity} })) if $column eq 'severity';
	if ($column eq 'classification')
	{
		return [ $column, $property, q{COALESCE(a.classification, 'unknown')}, sub { $_[0]{classification} // 'unknown' } ] if chance(25);
		return $literal->(pick(@CLASSIFICATIONS, undef));
	}
	return $literal->(pick(@DETERMINATIONS, undef)) if $column eq 'determination';
	if ($column eq 'custom_details')
	{
		my $value = pick(undef, {}, { k => int rand 5 }, { text => "ü'\"\\\n", deep => { list => [ 1, JSON::PP::true, undef, 'x' ] } });
		return [ $column, $property, q{a.custom_details || '{"more": "1"}'}, sub { defined $_[0]{customDetails} ? { %{ $_[0]{customDetails} }, more => '1' } : undef } ] if chance(25);
		return [ $column, $property, literal(defined $value ? JSON::PP->new->encode($value) : undef), sub { $value } ];
	}
	if ($column eq 'custom_tags')
	{
		return [ $column, $property, q{a.custom_tags || '{more}'::text[]}, sub { [ @{ $_[0]{customTags} }, 'more' ] } ] if chance(25);
		my @tags = @{ pick([], ['a'], [ 'b c', 'ü', '"q"', 'x,y' ]) };
		return [ $column, $property, 'ARRAY[' . join(', ', map { literal($_) } @tags) . ']::text[]', sub { [@tags] } ];
	}
	if ($column eq 'assigned_to')
	{
		return [ $column, $property, q{a.assigned_to || '+'}, sub { defined $_[0]{assignedTo} ? "$_[0]{assignedTo}+" : undef } ] if chance(15);
		return [ $column, $property, '(SELECT l.owner FROM local AS l WHERE l.id = a.id)', sub { my $own = $_[0]{id}; (map { $_->[2] } grep { defined $_->[1] && $_->[1] eq $own } @LOCAL)[0] } ] if chance(15);
		if (chance(6))
		{
			my $id = pick(sort keys %{ $model->{$kind} });
			return [ $column, $property, '(1 / CASE WHEN a.id = ' . literal($id) . ' THEN 0 ELSE 1 END)::text', sub { die "division\n" if $_[0]{id} eq $id; return '1' } ];
		}
	}
	return $literal->(pick(@TEXTS, undef));
}

#------------------------------------------------------------------------------
# Statements: { text, kind, rows (a function: what is returned), changes
# (id => record), comments ([ id, text ]...), count, fails }
#------------------------------------------------------------------------------

# What an update does to the rows that it is for.
sub update_of
{
	my ($kind, $matched, $assignments) = @_;
	my (%changes, $fails);

	foreach my $id (@$matched)
	{
		my $old = $model->{$kind}{$id};
		my $new = eval { my %values = map { ($_->[1] => scalar $_->[3]->($old)) } @$assignments; \%values };
		$fails = 1, next unless $new;
		my @differ = grep { !same($old->{$_}, $new->{$_}) } keys %$new;
		$changes{$id} = { %$old, map { ($_ => copy($new->{$_})) } @differ } if @differ;
	}
	return { kind => $kind, changes => \%changes, fails => $fails, count => scalar @$matched, matched => $matched };
}

# The columns that may be returned, as SQL and as a function of a record.
my %RETURNED = (
	alerts    => [ [ 'id', 'id' ], [ 'status', 'status' ], [ 'classification', 'classification' ], [ 'assigned_to', 'assignedTo' ], [ 'custom_details', 'customDetails' ],
		[ 'severity', 'severity' ], [ 'title', 'title' ], [ 'determination', 'determination' ], [ 'last_update_date_time', 'lastUpdateDateTime' ], [ 'resolved_date_time', 'resolvedDateTime' ] ],
	incidents => [ [ 'id', 'id' ], [ 'status', 'status' ], [ 'custom_tags', 'customTags' ], [ 'assigned_to', 'assignedTo' ], [ 'summary', 'summary' ],
		[ 'last_update_date_time', 'lastUpdateDateTime' ], [ 'last_modified_by', 'lastModifiedBy' ], [ 'display_name', 'displayName' ] ]);

# jsonb of columns, so that what is printed can be compared; rows of one record each.
sub returning
{
	my ($kind) = @_;
	my @columns = ([ 'id', 'id' ], grep { chance(40) } @{ $RETURNED{$kind} }[ 1 .. $#{ $RETURNED{$kind} } ]);
	my $sql = 'jsonb_build_array(' . join(', ', map { $_->[0] =~ /time/ ? "to_char(a.$_->[0] AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')" : "a.$_->[0]" } @columns) . ')';

	return ($sql, sub {
		my ($record) = @_;
		return $json->encode([ map { $_->[0] =~ /time/ ? micros($record->{ $_->[1] }) : $record->{ $_->[1] } } @columns ]);
	});
}

sub micros
{
	my ($text) = @_;
	return undef unless defined $text;
	my ($clock, $fraction) = $text =~ /^([^.Z]+)(?:\.(\d+))?Z$/;
	return sprintf '%s.%s', $clock, substr(($fraction // '') . '000000', 0, 6);
}

sub make_update
{
	my $kind = chance(70) ? 'alerts' : 'incidents';
	my $where = condition($kind, 2);
	my @columns = (shuffle sort keys %{ $WRITABLE{$kind} })[ 0 .. pick(0, 0, 0, 1, 1, 2) ];
	my @assignments = map { assignment($kind, $_) } sort @columns;
	my $target = $kind;
	my $also = sub { 1 };

	if ($kind eq 'alerts' && chance(12))
	{
		$target = 'alerts_barrier';
		$also = sub { $_[0]{severity} ne 'low' };
	}
	my @matched = grep { my $record = $model->{$kind}{$_}; $also->($record) && $where->[1]->($record) } sort keys %{ $model->{$kind} };
	my $set = join ', ', map { "$_->[0] = $_->[2]" } @assignments;
	my $statement = "UPDATE $target AS a SET $set WHERE $where->[0]";
	my $from = $kind eq 'alerts' && $target eq 'alerts' && chance(12);

	if ($from)
	{
		@matched = grep { my $own = $_; grep { defined $_->[1] && $_->[1] eq $own } @LOCAL } @matched;
		$statement = "UPDATE $target AS a SET $set FROM local AS f WHERE f.id = a.id AND $where->[0]";
	}
	my $update = update_of($kind, \@matched, \@assignments);
	my $way = rand 100;
	if ($way < 45)
	{
		@$update{qw(text prints)} = ($statement, sub { () });
	}
	elsif ($way < 80)
	{
		my ($sql, $of) = returning($kind);
		$statement .= " RETURNING $sql";
		$update->{prints} = sub { my ($state) = @_; return map { $of->($state->{$kind}{$_}) } @matched };
		$update->{text} = $way < 70 ? $statement : "WITH u AS ($statement) SELECT * FROM u";
	}
	elsif ($way < 90)
	{
		@$update{qw(text prints count)} = ("DO \$do\$ BEGIN $statement; END \$do\$", sub { () }, 0);
	}
	else
	{
		$update->{text} = "EXECUTE generic";
		$update->{before} = "SET plan_cache_mode = force_generic_plan; PREPARE generic AS $statement";
		$update->{after} = 'DEALLOCATE generic; RESET plan_cache_mode';
		$update->{prints} = sub { () };
	}
	return $update;
}

sub make_insert
{
	my $kind = chance(70) ? 'alerts' : 'incidents';
	my $name = $kind eq 'alerts' ? 'alert' : 'incident';
	my (@comments, $source);

	if (chance(50))
	{
		@comments = map { [ pick(sort keys %{ $model->{$kind} }), pick(@TEXTS[ 0, 1, 3, 4 ]) . int rand 1000 ] } 1 .. pick(1, 1, 3, 6);
		$source = 'VALUES ' . join ', ', map { '(' . join(', ', map { literal($_) } @$_) . ')' } @comments;
	}
	else
	{
		my $where = condition($kind, 1);
		@comments = map { [ $_, "about $model->{$kind}{$_}{severity}" ] } grep { $where->[1]->($model->{$kind}{$_}) } sort keys %{ $model->{$kind} };
		$source = "SELECT a.id, 'about ' || a.severity FROM $kind AS a WHERE $where->[0] ORDER BY a.id COLLATE \"C\"";
	}
	my $insert = "INSERT INTO ${name}_comments (${name}_id, comment) $source";
	my $returning = chance(40);
	return { kind => $kind, changes => {}, comments => \@comments, count => scalar @comments,
		text => $returning ? "$insert RETURNING jsonb_build_array(${name}_id, comment)" : $insert,
		prints => sub { return $returning ? map { $json->encode($_) } @comments : () } };
}

sub make_select
{
	my $kind = pick(qw(alerts incidents));
	my $where = condition($kind, 2);
	my @found = grep { $where->[1]->($model->{$kind}{$_}) } sort keys %{ $model->{$kind} };
	my ($sql, $of) = returning($kind);
	my $way = rand 100;

	return { text => "SELECT $sql FROM $kind AS a WHERE $where->[0]", count => scalar @found, prints => sub { my ($state) = @_; map { $of->($state->{$kind}{$_}) } @found } } if $way < 60;
	return { text => "SELECT jsonb_build_array(count(*)) FROM $kind AS a WHERE $where->[0]", count => 1, prints => sub { '[' . @found . ']' } } if $way < 80;
	my $name = $kind eq 'alerts' ? 'alert' : 'incident';
	return { text => "SELECT jsonb_build_array(c.comment) FROM ${name}_comments AS c WHERE c.${name}_id IN (SELECT a.id FROM $kind AS a WHERE $where->[0])", no_count => 1,
		prints => sub { my ($state) = @_; map { map { $json->encode([$_]) } @{ $state->{$kind}{$_}{comments} } } @found } };
}

# Statements that are refused before anything is sent.
sub make_refused
{
	my $where = condition('alerts', 1)->[0];
	return { kind => 'alerts', changes => {}, refused => 1, text => pick(
		"UPDATE alerts AS a SET severity = 'low' WHERE $where",
		"UPDATE alerts AS a SET status = 'Resolved' WHERE $where",
		"UPDATE alerts AS a SET determination = 'clean' WHERE $where",
		"UPDATE alerts AS a SET status = CASE WHEN a.id = 'a01' THEN 'bogus' ELSE 'new' END WHERE $where",
		"UPDATE alerts AS a SET id = 'x', status = 'new' WHERE $where",
		"UPDATE alerts AS a SET last_update_date_time = now() WHERE $where",
		"INSERT INTO alert_comments (alert_id, comment, ordinal) VALUES ('a01', 'x', 1)",
		"INSERT INTO alerts (id, status) VALUES ('a99', 'new')",
		"DELETE FROM alerts AS a WHERE $where",
		"UPDATE alert_comments SET comment = 'x' WHERE alert_id = 'a01'") };
}

#------------------------------------------------------------------------------
# What goes wrong: { switches, ... }
#------------------------------------------------------------------------------

sub fault
{
	my ($statement) = @_;
	my $inserts = $statement->{comments} && @{ $statement->{comments} };
	my @ids = (($inserts ? map { $_->[0] } @{ $statement->{comments} } : ()), sort keys %{ $statement->{changes} || {} });
	my $way = int rand 100;
	my $first = sub { my ($methods, $do, %more) = @_; return { name => "first try of $methods: " . $json->encode($do), again => $do->{lose} ? 1 : 0, switches => { rules => [ { method => $methods, when => 'first', do => $do, %more } ] } } };

	return {} if $way < 45;
	return $first->('PATCH POST', { status => 429 }) if $way < 49;
	return $first->('PATCH', { status => pick(500, 502, 503, 504) }) if $way < 53;
	return $first->('PATCH', { lose => pick(qw(close reset head body)) }, chance(50) ? (on => pick(qw(new kept))) : ()) if $way < 60;
	return { name => 'closed', switches => { close_idle => JSON::PP::true } } if $way < 63;
	return { name => 'no body', switches => { answer => 204 } } if $way < 67;
	return { name => 'moving', switches => { order => 'lastUpdateDateTime', links => 'skip' } } if $way < 71;
	if ($way < 75)
	{
		my $property = pick(@{ $WRITABLE{alerts} }{ qw(status assigned_to classification) });
		return { name => "ignores $property", ignore => $property, switches => { ignore => [$property] } };
	}
	if ($way < 80 && @ids)
	{
		my $id = pick(@ids);
		return { name => bytes("$id is missing"), missing => $id, switches => { missing => [$id] } };
	}
	return { name => 'a comment is lost', fails_post => 1, switches => { rules => [ { method => 'POST', when => pick('each', 1, 2), times => 1, do => { lose => pick(qw(close reset head body)), taken => pick(JSON::PP::true, JSON::PP::false) },
					chance(50) ? (on => 'kept') : () } ] } } if $way < 88;
	my $latency = pick(0.01, 0.02, 0.05);
	return { name => 'statement_timeout', slow => 1, timeout => 5 + int rand 150, switches => { latency => $latency } } if $way < 94;
	return { name => 'cancel', slow => 1, cancel => rand(0.25), switches => { latency => $latency } };
}

#------------------------------------------------------------------------------
# One statement
#------------------------------------------------------------------------------

my ($in_transaction, $warned, $failed_transaction, @savepoints, @history) = (0, 0, 0);
my %seen;

sub run_statement
{
	my ($number, $statement, $fault) = @_;
	my @wrong;

	$world->switches(%{ $fault->{switches} || {} });
	$session->query($statement->{before}) if $statement->{before};
	$session->query("SET statement_timeout = $fault->{timeout}") if $fault->{timeout};
	$world->clear;
	$session->{stderr} = '';
	my $canceller = fork_canceller($fault->{cancel}) if defined $fault->{cancel};
	my $printed = $session->query(bytes("$statement->{text};\n\\echo rows :ROW_COUNT"));
	waitpid $canceller, 0 if $canceller;
	my $said = $session->{stderr};
	utf8::decode($said);
	my $failed = $said =~ /ERROR: / ? 1 : 0;
	if ($fault->{timeout} || defined $fault->{cancel})
	{
		# a cancel that came too late is this one's
		$session->query('SELECT pg_sleep(0)');
		$session->query('SET statement_timeout = 0') unless $in_transaction && $failed;
	}
	my @log;
	foreach (1 .. 200)
	{
		@log = $world->writes;
		last unless grep { !$_->{end} } @log;
		sleep 0.02;
	}
	my $state = held();

	my $must_fail = must_fail($statement, $fault, \@log);
	push @wrong, "it failed: $said" if $failed && !$must_fail && !$fault->{slow};
	push @wrong, 'it did not fail' if !$failed && $must_fail;
	push @wrong, $failed ? check_failed($statement, $fault, $state, $said, \@log) : check_done($statement, $fault, $state, $printed, \@log);
	push @wrong, check_warnings($statement, $said, \@log);
	push @wrong, 'no client-request-id' if grep { !$_->{client_request_id} } @log;
	push @wrong, 'a secret' if $said =~ /Bearer|\bwriter\b(?!\.c)/;
	$seen{ $failed ? 'failed' : 'done' }++;
	$seen{writes} += grep { $_->{taken} } @log;
	push @history, "$statement->{text}" . ($fault->{name} ? "  -- $fault->{name}" : '');
	if (@wrong)
	{
		fail("seed $seed, number $number");
		diag(bytes(join "\n", "in a transaction: $in_transaction", $statement->{before} // (), $statement->{text}, 'fault: ' . ($fault->{name} // 'none') . ' ' . ($fault->{timeout} // $fault->{cancel} // ''), @wrong, "said: $said",
				map { "$_->{method} $_->{path} $_->{body} -> $_->{status}" . ($_->{taken} ? ' taken' : '') } @log[ 0 .. ($#log > 60 ? 60 : $#log) ]));
	}
	$model = $state;
	$failed_transaction = 1 if $failed && $in_transaction;
	$session->query($statement->{after}) if $statement->{after} && !$failed_transaction;
	return !@wrong;
}

sub fork_canceller
{
	my ($seconds) = @_;
	my $child = fork // die $!;

	return $child if $child;
	sleep $seconds;
	exec 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SELECT pg_cancel_backend($pid)" or POSIX::_exit(1);
}

# Has it to fail?  An error of a later row need not be reached if another is.
sub must_fail
{
	my ($statement, $fault, $log) = @_;

	return 1 if $statement->{fails} || $statement->{refused};
	return 1 if $fault->{missing} && ($statement->{changes}{ $fault->{missing} } || grep { $_->[0] eq $fault->{missing} } @{ $statement->{comments} || [] });
	return 1 if $fault->{fails_post} && grep { $_->{method} eq 'POST' && !$_->{status} } @$log;
	if ($fault->{ignore})
	{
		my $kind = $statement->{kind} // '';
		return 1 if grep { !same($model->{$kind}{$_}{ $fault->{ignore} }, $statement->{changes}{$_}{ $fault->{ignore} }) } keys %{ $statement->{changes} || {} };
	}
	return 0;
}

# The writable values and the comments of a record.
sub values_of { my ($kind, $record) = @_; return { comments => $record->{comments}, map { ($_ => $record->{$_}) } values %{ $WRITABLE{$kind} } } }

# What is to be seen after success.
sub check_done
{
	my ($statement, $fault, $state, $printed, $log) = @_;
	my (@wrong, %texts);

	my ($count) = $printed =~ /^rows (\d+)$/m;
	my @printed = sort { $a cmp $b } map { $json->encode($utf8->decode($_)) } grep { !/^rows/ && $_ ne '' } split /\n/, $printed;
	my @should = sort { $a cmp $b } $statement->{prints}->($state);
	push @wrong, "it returned\n  " . join("\n  ", @printed) . "\nin place of\n  " . join("\n  ", @should) if "@printed" ne "@should";
	push @wrong, "it counted $count, not $statement->{count}" if !$statement->{no_count} && ($count // -1) != $statement->{count};
	push @{ $texts{ $_->[0] } }, $_->[1] foreach @{ $statement->{comments} || [] };
	foreach my $kind (qw(alerts incidents))
	{
		foreach my $id (sort keys %{ $state->{$kind} })
		{
			my $own = ($statement->{kind} // '') eq $kind;
			my $should = values_of($kind, $own && $statement->{changes}{$id} || $model->{$kind}{$id});
			$should->{comments} = [ @{ $should->{comments} }, @{ $texts{$id} || [] } ] if $own;
			my $is = values_of($kind, $state->{$kind}{$id});
			push @wrong, "$id is " . $json->encode($is) . ', not ' . $json->encode($should) unless same($is, $should);
		}
	}

	# one request for each that changes, with what differs
	my %sent;
	foreach my $write (grep { $_->{taken} } @$log)
	{
		if ($write->{method} eq 'PATCH')
		{
			my $old = $model->{ $write->{kind} }{ $write->{id} };
			$sent{ $write->{id} }++;
			push @wrong, "a body with what does not differ: $write->{body}" if grep { same($old->{$_}, $write->{members}{$_}) } keys %{ $write->{members} };
		}
	}
	my @once = grep { $sent{$_} > 1 } keys %sent;
	push @wrong, "written more than once: @once" if @once && !$fault->{again};
	my $posts = grep { $_->{taken} && $_->{method} eq 'POST' } @$log;
	push @wrong, "$posts comments written" if $posts != @{ $statement->{comments} || [] };
	return @wrong;
}

# What is to be seen after an error: records as they were or as they are to be,
# and as many of them as it says.
sub check_failed
{
	my ($statement, $fault, $state, $said, $log) = @_;
	my (@wrong, %changed, %perhaps, %texts);
	my $kind = $statement->{kind} // '';

	push @{ $texts{ $_->[0] } }, $_->[1] foreach @{ $statement->{comments} || [] };
	push @wrong, 'something was sent' if $statement->{refused} && @$log;
	foreach my $id (map { keys %{ $state->{$_} } } qw(alerts incidents))
	{
		my $of = $state->{alerts}{$id} ? 'alerts' : 'incidents';
		my $is = values_of($of, $state->{$of}{$id});
		my $old = values_of($of, $model->{$of}{$id});
		next if same($is, $old) && $state->{$of}{$id}{lastUpdateDateTime} eq $model->{$of}{$id}{lastUpdateDateTime};
		my $new = $of eq $kind && $statement->{changes}{$id} ? values_of($of, $statement->{changes}{$id}) : $old;
		my @more = @{ $is->{comments} }[ @{ $old->{comments} } .. $#{ $is->{comments} } ];
		my @texts = @{ $texts{$id} || [] };
		$new = { %$new, $fault->{ignore} => $old->{ $fault->{ignore} } }, $perhaps{$id} = 1 if $fault->{ignore} && !same($new->{ $fault->{ignore} }, $old->{ $fault->{ignore} });
		$new = { %$new, comments => [ @{ $old->{comments} }, @texts[ 0 .. $#more ] ] } if @more && @more <= @texts;
		push @wrong, "$id is " . $json->encode($is) . ', not ' . $json->encode($new) unless same($is, $new);
		$changed{$id} = @more || 1;
	}
	my $told = told($said);
	my ($actual, $least) = (0, 0);
	$actual += $_ foreach values %changed;
	$least += $changed{$_} foreach grep { !$perhaps{$_} } keys %changed;
	push @wrong, "it says that $told->{done} were changed and $told->{unknown} perhaps; $actual were"
	  if $told->{done} > $actual || $told->{done} + $told->{unknown} < $least;
	foreach my $id (@{ $told->{ids} })
	{
		push @wrong, "it says that $id was changed" unless $changed{$id};
	}
	push @wrong, 'it names ' . @{ $told->{ids} } . ' ids' if @{ $told->{ids} } != ($told->{done} > 10 ? 10 : $told->{done});
	foreach my $id (@{ $told->{unknown_ids} })
	{
		push @wrong, "it says that $id is not known" unless ($statement->{changes}{$id} || $texts{$id}) && grep { !$_->{status} && $_->{id} eq $id } @$log;
	}
	my %times;
	$times{"$_->{id}\0$_->{body}"}++ foreach grep { $_->{method} eq 'POST' && $_->{taken} } @$log;
	my %wanted;
	$wanted{"$_->[0]"}++ foreach @{ $statement->{comments} || [] };
	foreach my $one (keys %times)
	{
		my ($id) = split /\0/, $one;
		push @wrong, "a comment of $id more than once" if $times{$one} > ($wanted{$id} // 0);
	}
	return @wrong;
}

# One warning in a transaction that ROLLBACK does not undo what is sent.
sub check_warnings
{
	my ($statement, $said, $log) = @_;
	my $warnings = () = $said =~ /^.*WARNING: .*undone by ROLLBACK/mg;
	my $should = $in_transaction && !$warned && grep({ $_->{method} ne 'GET' } @$log) ? 1 : 0;

	$warned = 1 if $warnings;
	return $warnings == $should ? () : ("$warnings warnings of ROLLBACK, not $should");
}

#------------------------------------------------------------------------------
# Transactions around them
#------------------------------------------------------------------------------

sub control
{
	my ($sql) = @_;
	$session->{stderr} = '';
	$session->query($sql);
	push @history, $sql;
	return;
}

sub change_transaction
{
	if (!$in_transaction)
	{
		return unless chance(15);
		control('BEGIN');
		($in_transaction, $warned, $failed_transaction, @savepoints) = (1, 0, 0);
		return;
	}
	if ($failed_transaction && @savepoints && chance(60) || @savepoints && chance(15))
	{
		control("ROLLBACK TO $savepoints[-1]");
		$failed_transaction = 0;
		control('SET statement_timeout = 0; DEALLOCATE ALL; RESET plan_cache_mode');
	}
	elsif ($failed_transaction || chance(25))
	{
		control($failed_transaction || chance(50) ? 'ROLLBACK' : 'COMMIT');
		($in_transaction, $failed_transaction) = (0, 0);
		control('SET statement_timeout = 0; DEALLOCATE ALL; RESET plan_cache_mode');
	}
	elsif (chance(30))
	{
		push @savepoints, 's' . @savepoints;
		control("SAVEPOINT $savepoints[-1]");
	}
	return;
}

note "seed $seed";
my ($good, $start) = (0, time);
foreach my $number (1 .. $count)
{
	srand($seed * 1_000_003 + $number);
	change_transaction();
	my $way = $ENV{GRAPH_READS} ? 80 : rand 100;
	my $statement = $way < 55 ? make_update() : $way < 73 ? make_insert() : $way < 96 ? make_select() : make_refused();
	$good += run_statement($number, $statement, fault($statement)) ? 1 : 0;
}
note "seed $seed: " . join(', ', map { "$seen{$_} $_" } sort keys %seen) . sprintf ', %.1f s', time - $start;
is($good, $count, "$count statements of seed $seed: the service holds what they say, and what they say is true");
$session->quit;

done_testing();
