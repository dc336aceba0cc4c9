
# What is told of writes that fail, who writes, and what is refused before
# anything is sent.
#
# After each failure the records that differ are counted: that has to be what the
# error says, or the WARNING if the error is not ours.  A comment is never there
# twice.  The service is writing_server.py.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use IPC::Run qw(start);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use WritingService qw(alert incident told);

my $json = JSON::PP->new->ascii->canonical->allow_nonref;
my $service = WritingService->new;
my ($one, $two) = map { $service->world($_) } qw(one two);
my $node = GraphCluster->connected_to(GraphEmulator->new('--alerts', 0, '--no-sample'), import => 0, conf => "fsync = off\njit = off");

sub bytes { my ($text) = @_; utf8::encode($text); return $text }

foreach my $world ($one, $two)
{
	my ($name, $url) = ($world->{name}, $world->url);
	$node->sql(<<"SQL");
CREATE SERVER $name FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url', authority '${\ $service->url}', updatable 'true', page_size '10', concurrency '4');
CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (access_token 'writer');
CREATE SCHEMA $name;
IMPORT FOREIGN SCHEMA security FROM SERVER $name INTO $name;
SQL
}
$node->sql(q{ALTER DATABASE postgres SET search_path = one, public});
my $session = $node->session;

# The records of a world, as far as writes change them.
sub held
{
	my ($world) = @_;
	my $state = $world->held;

	return { %{ $state->{alerts} }, %{ $state->{incidents} } };
}

# How many changes there are, and of which records: a comment is a change.
sub changes
{
	my ($before, $after) = @_;
	my %changes;

	foreach my $id (keys %$after)
	{
		next if $json->encode($before->{$id}) eq $json->encode($after->{$id});
		my $comments = @{ $after->{$id}{comments} } - @{ $before->{$id}{comments} };
		$changes{$id} = $comments || 1;
	}
	return \%changes;
}

sub reset_worlds
{
	foreach my $world ($one, $two)
	{
		$world->{filled}++ ? $world->restore : $world->set_state(alerts => [ map { alert($_) } 1 .. 40 ], incidents => [ map { incident($_) } 1 .. 12 ]);
		$world->switches;
		$world->clear;
	}
	return;
}

# Wait until the service has nothing under way.
sub quiet
{
	foreach (1 .. 200)
	{
		return unless grep { !$_->{end} } map { $_->log } $one, $two;
		sleep 0.02;
	}
	return;
}

# Run statements that fail.  "error" and "detail" are patterns, "changed" how
# many changes are found (or a function of that), "unknown" of how many the
# error does not know.
sub fails
{
	my ($title, $statements, %want) = @_;
	my @wrong;

	reset_worlds();
	$one->switches(%{ $want{switches} || {} });
	my $before = held($one);
	my $before_two = held($two);
	my $own = $want{session} || $session;
	$own->{stderr} = '';
	$own->query(bytes("$_;")) foreach ref $statements ? @$statements : $statements;
	my $said = $own->{stderr};
	quiet();
	my $changes = changes($before, held($one));
	my $more = changes($before_two, held($two));
	my ($found, @ids) = (0, keys %$changes, keys %$more);
	$found += $_ foreach values %$changes, values %$more;
	my $told = told($said);

	push @wrong, "not $want{error}" if $said !~ $want{error};
	push @wrong, "$found changes, not $want{changed}" if defined $want{changed} && $found != $want{changed};
	push @wrong, "$found changes" if $want{some} && ($found == 0 || $found >= $want{some});
	push @wrong, "$found changes, but it says $told->{done} and perhaps $told->{unknown}" if ($want{told} // 1) && ($told->{done} > $found || $told->{done} + $told->{unknown} < $found);
	push @wrong, "of $told->{unknown} it does not know, not of " . ($want{unknown} // 0) if $told->{unknown} != ($want{unknown} // 0);
	foreach my $id (@{ $told->{ids} })
	{
		push @wrong, "$id was not changed" unless grep { bytes($_) eq $id } @ids;
	}
	push @wrong, 'ids' if @{ $told->{ids} } != ($told->{done} > 10 ? 10 : $told->{done}) && !%$more;
	push @wrong, 'a request that was sent' if $want{nothing} && grep { $_->{method} ne 'GET' || $want{nothing} eq 'at all' } $one->log;
	my $requests = grep { $_->{method} ne 'GET' } $one->log;
	push @wrong, "$requests writes sent" if defined $want{requests} && $requests != $want{requests};
	push @wrong, "$requests writes sent, more than $want{at_most}" if defined $want{at_most} && $requests > $want{at_most};
	push @wrong, $want{also}->($said) if $want{also};
	push @wrong, 'a secret' if $said =~ /Bearer|access_token|\bwriter\b(?!\.c)/;
	ok(!@wrong, bytes($title)) or diag(join "\n", bytes(ref $statements ? join '; ', @$statements : $statements), @wrong, $said);
	return $said;
}

#------------------------------------------------------------------------------
# Refused before anything is sent
#------------------------------------------------------------------------------

my %nothing = (nothing => 'at all', changed => 0);
my $LIST = qr/status.*classification.*determination.*assigned_to.*custom_details|(?=.*status)(?=.*classification)(?=.*determination)(?=.*assigned_to)(?=.*custom_details)/;

fails('a column that cannot be set', q{UPDATE alerts SET severity = 'low'}, %nothing, error => qr/ERROR.*"severity".*cannot be set.*HINT.*$LIST/s);
fails('the id', q{UPDATE alerts SET id = 'x' WHERE id = 'a01'}, %nothing, error => qr/ERROR.*"id"/);
fails('one among others', q{UPDATE alerts SET status = 'new', title = 'x'}, %nothing, error => qr/ERROR.*"title"/);
fails('no member', q{UPDATE alerts SET status = 'closed'}, %nothing, error => qr/ERROR.*closed.*HINT.*inProgress/s);
fails('a member in another case', q{UPDATE alerts SET status = 'Resolved'}, %nothing, error => qr/ERROR.*Resolved/);
fails('a member of another enum', q{UPDATE alerts SET status = 'active'}, %nothing, error => qr/ERROR.*active/);
fails('the sentinel', q{UPDATE alerts SET status = 'unknownFutureValue'}, %nothing, error => qr/ERROR.*unknownFutureValue/);
fails('a status of null', q{UPDATE alerts SET status = NULL WHERE id = 'a01'}, changed => 0, nothing => 1, error => qr/ERROR.*null/);
fails('an empty status', q{UPDATE alerts SET status = '' WHERE id = 'a01'}, %nothing, error => qr/ERROR/);
foreach my $pair ([ compromisedUser => 'compromisedAccount' ], [ clean => 'notMalicious' ], [ insufficientData => 'notEnoughDataToValidate' ], [ confirmedUserActivity => 'confirmedActivity' ])
{
	fails("determination $pair->[0]", qq{UPDATE alerts SET determination = '$pair->[0]' WHERE id = 'a01'}, %nothing, error => qr/ERROR.*$pair->[0].*HINT.*$pair->[1]/s);
}
fails('a member that is prepared', q{PREPARE p AS UPDATE alerts SET status = 'shut' WHERE id = $1; EXECUTE p ('a01')}, %nothing, error => qr/ERROR.*shut/);
fails('a parameter that is no member', q{SET plan_cache_mode = force_generic_plan; PREPARE q AS UPDATE alerts SET status = $1 WHERE severity = 'high'; EXECUTE q ('shut'); RESET plan_cache_mode},
	changed => 0, nothing => 1, error => qr/ERROR.*shut/);
$session->query('DEALLOCATE ALL; RESET plan_cache_mode');
fails('custom_details that are no object', q{UPDATE alerts SET custom_details = '[1]' WHERE id = 'a01'}, changed => 0, nothing => 1, error => qr/ERROR/);
fails('tags with a null', q{UPDATE incidents SET custom_tags = '{a,NULL}' WHERE id = 'i1'}, changed => 0, nothing => 1, error => qr/ERROR/);
fails('DELETE', q{DELETE FROM alerts WHERE id = 'a01'}, %nothing, error => qr/ERROR.*(?:delete|DELETE)/);
fails('DELETE of comments', q{DELETE FROM alert_comments}, %nothing, error => qr/ERROR.*(?:delete|DELETE)/);
fails('INSERT of an alert', q{INSERT INTO alerts (id, status) VALUES ('x', 'new')}, %nothing, error => qr/ERROR.*insert/);
fails('UPDATE of a comment', q{UPDATE alert_comments SET comment = 'x'}, %nothing, error => qr/ERROR.*update/);
fails('UPDATE of evidence', q{UPDATE alert_evidence SET verdict = 'x'}, %nothing, error => qr/ERROR.*update/);
fails('INSERT of evidence', q{INSERT INTO device_evidence (alert_id) VALUES ('a01')}, %nothing, error => qr/ERROR.*insert/);
fails('TRUNCATE', q{TRUNCATE alerts}, %nothing, error => qr/ERROR/);
fails('more columns of a comment', q{INSERT INTO alert_comments (alert_id, comment, ordinal) VALUES ('a01', 'x', 7)}, %nothing, error => qr/ERROR.*"ordinal"/);
fails('a comment of nothing', q{INSERT INTO alert_comments (alert_id, comment) VALUES ('a01', NULL)}, %nothing, error => qr/ERROR/);
fails('an empty comment', q{INSERT INTO alert_comments (alert_id, comment) VALUES ('a01', 'x'), ('a02', '')}, error => qr/ERROR/);
fails('a comment to nobody', q{INSERT INTO alert_comments (alert_id, comment) VALUES (NULL, 'x')}, %nothing, error => qr/ERROR/);
fails('a comment to an alert that no path can name', q{INSERT INTO alert_comments (alert_id, comment) VALUES ('', 'x')}, %nothing, error => qr/ERROR/);
fails('a comment to ..', q{INSERT INTO alert_comments (alert_id, comment) VALUES ('..', 'x')}, %nothing, error => qr/ERROR/);
fails('MERGE', q{MERGE INTO alerts AS a USING (VALUES ('a01')) AS v (i) ON a.id = v.i WHEN MATCHED THEN UPDATE SET status = 'new'}, %nothing, error => qr/ERROR/);
fails('WHERE CURRENT OF', [ 'BEGIN', 'DECLARE c CURSOR FOR SELECT * FROM alerts', 'FETCH c', q{UPDATE alerts SET status = 'new' WHERE CURRENT OF c}, 'ROLLBACK' ], changed => 0, nothing => 1, error => qr/ERROR/);
fails('READ ONLY', [ 'BEGIN READ ONLY', q{UPDATE alerts SET status = 'new'}, 'ROLLBACK' ], %nothing, error => qr/ERROR.*read-only transaction/);
fails('READ ONLY, a comment', [ 'BEGIN READ ONLY', q{INSERT INTO alert_comments (alert_id, comment) VALUES ('a01', 'x')}, 'ROLLBACK' ], %nothing, error => qr/ERROR.*read-only transaction/);
fails('default_transaction_read_only', [ 'SET default_transaction_read_only = on', q{UPDATE alerts SET status = 'new'}, 'SET default_transaction_read_only = off' ], %nothing, error => qr/ERROR.*read-only transaction/);
fails('ON CONFLICT DO UPDATE', q{INSERT INTO alert_comments (alert_id, comment) VALUES ('a01', 'x') ON CONFLICT (alert_id) DO UPDATE SET comment = 'x'}, %nothing, error => qr/ERROR/);

# "updatable": what the table says comes before what the server says.
my $updatable = q{SELECT pg_relation_is_updatable('alerts'::regclass, false) || ' ' || pg_relation_is_updatable('alert_comments'::regclass, false) || ' ' || pg_relation_is_updatable('alert_evidence'::regclass, false)};
is($node->sql($updatable), '4 8 0', 'pg_relation_is_updatable()');
is($node->sql(q{SELECT is_insertable_into FROM information_schema.tables WHERE table_schema = 'one' AND table_name = 'alert_comments'}), 'YES', 'information_schema.tables');
is($node->sql(q{SELECT string_agg(DISTINCT is_updatable, ',') FROM information_schema.columns WHERE table_schema = 'one' AND table_name = 'alert_comments'}), 'NO', 'information_schema.columns of comments');
$node->sql('ALTER SERVER one OPTIONS (DROP updatable)');
is($node->sql($updatable), '0 0 0', 'pg_relation_is_updatable() of what is not');
fails('not updatable', q{UPDATE alerts SET status = 'new'}, %nothing, error => qr/ERROR: .*55000.*(?:not allow|cannot) update.*HINT.*updatable/s);
fails('not updatable, a comment', q{INSERT INTO alert_comments (alert_id, comment) VALUES ('a01', 'x')}, %nothing, error => qr/ERROR: .*insert.*HINT.*updatable/s);
$node->sql(q{ALTER FOREIGN TABLE one.alerts OPTIONS (ADD updatable 'true')});
is($node->sql($updatable), '4 0 0', 'pg_relation_is_updatable() of one table');
$node->sql(q{ALTER FOREIGN TABLE one.alerts OPTIONS (SET updatable 'false'); ALTER SERVER one OPTIONS (ADD updatable 'true')});
is($node->sql($updatable), '0 8 0', 'pg_relation_is_updatable() of all tables but one');
fails('a table that is not updatable', q{UPDATE alerts SET status = 'new'}, %nothing, error => qr/ERROR: .*update.*HINT.*updatable/s);
$node->sql(q{ALTER FOREIGN TABLE one.alerts OPTIONS (DROP updatable)});

#------------------------------------------------------------------------------
# Failures in the middle
#------------------------------------------------------------------------------

fails('one is missing', q{UPDATE alerts SET status = 'resolved'}, switches => { missing => ['a06'] }, some => 27, error => qr/ERROR.*a06/);
fails('one is missing, one at a time', [ q{ALTER SERVER one OPTIONS (SET concurrency '1')}, q{UPDATE alerts SET status = 'resolved'}, q{ALTER SERVER one OPTIONS (SET concurrency '4')} ],
	switches => { missing => ['a06'] }, some => 27, error => qr/ERROR.*a06/);
fails('one is missing, returning', q{UPDATE alerts SET status = 'resolved' RETURNING id}, switches => { missing => ['a06'] }, some => 27, error => qr/ERROR.*a06/);
fails('the only one is missing', q{UPDATE alerts SET status = 'new' WHERE id = 'a04'}, switches => { missing => ['a04'] }, changed => 0, requests => 1, error => qr/ERROR.*a04/);
fails('a comment to one that is missing', q{INSERT INTO alert_comments (alert_id, comment) VALUES ('a01', 'x'), ('nobody', 'y')}, error => qr/ERROR.*nobody/, changed => 1);
fails('a change that is not taken', q{UPDATE alerts SET status = 'resolved', classification = 'truePositive' WHERE id = 'a04'}, switches => { ignore => ['classification'] }, error => qr/ERROR.*"classification"/s, told => 0, requests => 1,
	also => sub { $_[0] =~ /"status"/ ? 'status is named' : () });
fails('a change that becomes another', q{UPDATE alerts SET assigned_to = 'me' WHERE id = 'a04'}, switches => { alter => { assignedTo => 'someone else' } }, error => qr/ERROR.*"assignedTo"/s, told => 0, requests => 1);
fails('a change that is not taken, and no body', q{UPDATE alerts SET status = 'new' WHERE id = 'a04'}, switches => { ignore => ['status'], answer => 204 }, error => qr/ERROR.*"status"/s, told => 0, requests => 1);
fails('a comment that is not taken', q{INSERT INTO alert_comments (alert_id, comment) VALUES ('a01', 'x')}, switches => { ignore => ['comment'] }, error => qr/ERROR.*comment/, requests => 1, changed => 0);
fails('a division by zero at one row', q{UPDATE alerts SET assigned_to = (1 / CASE WHEN id = 'a20' THEN 0 ELSE 1 END)::text}, some => 40, error => qr/ERROR.*division by zero/);
fails('a division by zero in a condition', q{UPDATE alerts SET assigned_to = 'x' WHERE 1 / CASE WHEN id = 'a20' THEN 0 ELSE 1 END = 1}, some => 40, error => qr/ERROR.*division by zero/);
fails('a division by zero in RETURNING', q{UPDATE alerts SET assigned_to = 'x' RETURNING 1 / CASE WHEN id = 'a20' THEN 0 ELSE 1 END}, error => qr/ERROR.*division by zero/);
fails('a value that is no member at one row', q{UPDATE alerts SET status = CASE WHEN id = 'a20' THEN 'sh' || 'ut' || id ELSE 'resolved' END}, some => 27, error => qr/ERROR.*shut/);
fails('a division by zero after comments', q{INSERT INTO alert_comments (alert_id, comment) SELECT id, (1 / CASE WHEN id = 'a20' THEN 0 ELSE 1 END)::text FROM alerts}, some => 40, error => qr/ERROR.*division by zero/);
fails('an error that is caught', q{DO $$ BEGIN BEGIN UPDATE alerts SET status = 'resolved', assigned_to = (1 / CASE WHEN id = 'a20' THEN 0 ELSE 1 END)::text; EXCEPTION WHEN division_by_zero THEN
	DECLARE told text; BEGIN GET STACKED DIAGNOSTICS told = PG_EXCEPTION_DETAIL; RAISE NOTICE 'caught: %', told; END; END; END $$}, some => 40, error => qr/NOTICE.*caught: \d+ alerts were/);
fails('statement_timeout', [ q{SET statement_timeout = 250}, q{UPDATE alerts SET status = 'resolved'}, q{SET statement_timeout = 0} ], switches => { latency => 0.06 }, some => 27, error => qr/ERROR: +57014.*statement timeout/);
fails('statement_timeout and comments', [ q{SET statement_timeout = 250}, q{INSERT INTO alert_comments (alert_id, comment) SELECT id, 'x' FROM alerts}, q{SET statement_timeout = 0} ], switches => { latency => 0.06 }, some => 40, error => qr/ERROR: +57014.*statement timeout/);
fails('statement_timeout while the answer is far', [ q{SET statement_timeout = 200}, q{UPDATE alerts SET status = 'new' WHERE id = 'a04'}, q{SET statement_timeout = 0} ], switches => { latency => 3 }, error => qr/ERROR: +57014/, unknown => 1, changed => 1,
	also => sub { $_[0] =~ /"a04"/ ? () : 'it does not name the alert' });
fails('statement_timeout and a savepoint', [ 'BEGIN', 'SAVEPOINT s', q{SET LOCAL statement_timeout = 250}, q{UPDATE alerts SET status = 'resolved'}, 'ROLLBACK TO s', 'COMMIT' ], switches => { latency => 0.06 }, some => 27,
	error => qr/WARNING.*ROLLBACK.*ERROR: +57014/s);
fails('the list breaks', q{UPDATE alerts SET assigned_to = 'x'}, switches => { rules => [ { method => 'GET', when => 3, do => { status => 403 } } ] }, error => qr/ERROR/);
fails('the list is refused for long', [ q{ALTER SERVER one OPTIONS (ADD max_retries '1')}, q{UPDATE alerts SET assigned_to = 'x'}, q{ALTER SERVER one OPTIONS (DROP max_retries)} ],
	switches => { rules => [ map { { method => 'GET', do => { status => 503 }, when => $_ } } 3 .. 9 ] }, error => qr/ERROR/);
fails('two tenants, of which one fails', q{WITH a AS (UPDATE one.alerts SET status = 'resolved' WHERE severity = 'high' RETURNING id), b AS (UPDATE two.alerts SET assigned_to = (1 / CASE WHEN id = 'a20' THEN 0 ELSE 1 END)::text RETURNING id) SELECT count(*) FROM a, b},
	error => qr/ERROR.*division by zero/);

# What a read-only login is told, once for a statement.
$node->sql(q{ALTER USER MAPPING FOR CURRENT_USER SERVER one OPTIONS (SET access_token 'reader')});
fails('a read-only token', q{UPDATE alerts SET status = 'resolved'}, changed => 0, at_most => 4, error => qr/ERROR: +42501.*SecurityAlert\.ReadWrite\.All/s);
fails('a read-only token, a comment', q{INSERT INTO incident_comments (incident_id, comment) VALUES ('i1', 'x')}, changed => 0, requests => 1, error => qr/ERROR: +42501.*SecurityIncident\.ReadWrite\.All/s);
$node->sql(q{ALTER USER MAPPING FOR CURRENT_USER SERVER one OPTIONS (SET access_token 'alerts-writer')});
fails('a token for alerts', q{WITH u AS (UPDATE alerts SET status = 'resolved' WHERE id = 'a04' RETURNING incident_id) UPDATE incidents SET summary = 'x' WHERE id IN (SELECT incident_id FROM u)}, changed => 1, error => qr/ERROR: +42501/);
$node->sql(q{ALTER USER MAPPING FOR CURRENT_USER SERVER one OPTIONS (SET access_token 'writer')});

#------------------------------------------------------------------------------
# Answers that are lost
#------------------------------------------------------------------------------

my $comment = q{INSERT INTO alert_comments (alert_id, comment) VALUES ('a03', 'once')};
foreach my $how (qw(close reset head body))
{
	foreach my $on (qw(new kept any))
	{
		# a connection is kept open by what was read before
		my $rule = { method => 'POST', times => 1, do => { lose => $how }, $on eq 'any' ? () : (on => $on) };
		reset_worlds();
		$one->switches(rules => [$rule]);
		$session->{stderr} = '';
		$session->query(q{SELECT count(*) FROM alerts; SELECT id FROM alerts WHERE id = 'a03'});
		$session->query("$comment;");
		my $said = $session->{stderr};
		my @log = grep { $_->{method} eq 'POST' } $one->log;
		my $lost = grep { !$_->{status} } @log;
		my $there = grep { $_->{comment} eq 'once' } @{ $one->state->{alerts}{a03}{comments} };
		my $told = told($said);

		# half an answer may say that it was taken, and then all is well
		ok($there == 1 && @log == 1 && ($lost ? ($said =~ /ERROR/ && $told->{unknown} + $told->{done} == 1 || $how eq 'body' || $how eq 'head') : $said eq ''), "a comment whose answer is lost ($how, on $on)")
		  or diag("there $there times, sent " . @log . " times, lost $lost: $said");
	}
	fails("a comment that was not taken ($how)", $comment, switches => { rules => [ { method => 'POST', times => 1, do => { lose => $how, taken => JSON::PP::false } } ] }, error => qr/ERROR/, changed => 0, requests => 1, unknown => 1)
	  unless $how eq 'head' || $how eq 'body';
}
foreach my $status (500, 502, 503, 504)
{
	fails("a comment and status $status", $comment, switches => { rules => [ { method => 'POST', do => { status => $status } } ] }, error => qr/ERROR/, changed => 0, requests => 1, unknown => $status == 503 ? 1 : 1);
}
fails('comments of which one is lost', q{INSERT INTO alert_comments (alert_id, comment) SELECT id, 'x' FROM alerts}, switches => { rules => [ { method => 'POST', when => 7, do => { lose => 'close' } } ] }, some => 40, error => qr/ERROR/, unknown => 1);
fails('a comment that is never taken', $comment, switches => { rules => [ { method => 'POST', do => { status => 400 } } ] }, error => qr/ERROR/, changed => 0, requests => 1);

# Kept connections that the service closes are no reason for an error.
reset_worlds();
$one->switches(close_idle => JSON::PP::true);
$session->{stderr} = '';
foreach my $i (1 .. 8)
{
	$session->query(qq{SELECT id FROM alerts WHERE id = 'a03'; INSERT INTO alert_comments (alert_id, comment) VALUES ('a03', 'number $i'); UPDATE alerts SET assigned_to = 'x$i' WHERE id = 'a03'});
}
is($session->{stderr} . join(',', map { $_->{comment} } @{ $one->state->{alerts}{a03}{comments} }), join(',', map { "number $_" } 1 .. 8), 'connections that are closed in between');
is(scalar(grep { $_->{method} eq 'POST' } $one->log), 8, 'connections that are closed in between: each comment is sent once');

#------------------------------------------------------------------------------
# The session ends
#------------------------------------------------------------------------------

reset_worlds();
$one->switches(latency => 0.1);
my $before = held($one);
my $position = -s $node->logfile;
my ($out, $err) = ('', '');
my $running = start [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{UPDATE alerts SET status = 'resolved'} ], '>', \$out, '2>', \$err;
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'UPDATE alerts%'});
sleep 0.35;
$node->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'UPDATE alerts%'});
eval { $running->finish };
quiet();
my $changed = keys %{ changes($before, held($one)) };
my $log = slurp_file($node->logfile, $position);
my $told = told($log);
ok($log =~ /FATAL.*terminating connection/ && $changed > 0 && $told->{done} <= $changed && $told->{done} + $told->{unknown} >= $changed, 'a session that is ended says in the log what was done')
  or diag("$changed were changed, told: $told->{done} and $told->{unknown}\n$log");

#------------------------------------------------------------------------------
# Who writes
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE ROLE owner LOGIN;
CREATE ROLE analyst LOGIN;
CREATE ROLE stranger LOGIN;
GRANT USAGE ON FOREIGN SERVER one TO owner, analyst;
GRANT ALL ON SCHEMA one TO owner;
GRANT USAGE ON SCHEMA one TO analyst, stranger;
GRANT ALL ON one.alerts, one.alert_comments TO owner, analyst;
CREATE USER MAPPING FOR owner SERVER one OPTIONS (access_token 'second-writer');
CREATE USER MAPPING FOR analyst SERVER one OPTIONS (access_token 'alerts-writer');
SET ROLE owner;
CREATE VIEW one.owned AS SELECT alert_id, comment FROM one.alert_comments;
CREATE VIEW one.invoked WITH (security_invoker) AS SELECT alert_id, comment FROM one.alert_comments;
CREATE VIEW one.owned_alerts AS SELECT id, status, assigned_to FROM one.alerts;
CREATE FUNCTION one.defined() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = one AS $$INSERT INTO alert_comments (alert_id, comment) VALUES ('a03', 'defined')$$;
GRANT ALL ON one.owned, one.invoked, one.owned_alerts TO analyst, stranger;
SQL
reset_worlds();
$node->sql($_) foreach
  q{SET ROLE analyst; INSERT INTO one.alert_comments (alert_id, comment) VALUES ('a03', 'direct')},
  q{SET ROLE analyst; INSERT INTO one.owned VALUES ('a03', 'owned')},
  q{SET ROLE stranger; INSERT INTO one.owned VALUES ('a03', 'owned by a stranger')},
  q{SET ROLE analyst; INSERT INTO one.invoked VALUES ('a03', 'invoked')},
  q{SET ROLE analyst; SELECT one.defined()},
  q{INSERT INTO one.alert_comments (alert_id, comment) VALUES ('a03', 'superuser')};
is(join(', ', map { "$_->{comment}: $_->{createdByDisplayName}" } @{ $one->state->{alerts}{a03}{comments} }),
	'direct: App alerts-writer, owned: App second-writer, owned by a stranger: App second-writer, invoked: App alerts-writer, defined: App second-writer, superuser: App writer', 'whose login writes');
like($node->result(q{SET ROLE stranger; UPDATE one.alerts SET status = 'new'}), qr/permission denied/, 'without a privilege');
like($node->result(q{GRANT ALL ON one.alerts TO stranger; SET ROLE stranger; UPDATE one.alerts SET status = 'new' WHERE id = 'a04'}), qr/user mapping/, 'without a mapping');
is($node->sql(q{SET ROLE stranger; UPDATE one.owned_alerts SET status = 'new', assigned_to = 's' WHERE id = 'a04' RETURNING status, assigned_to}), 'new|s', 'through a view of another owner');

#------------------------------------------------------------------------------
# A login that is renewed, two servers, concurrent changes, odd values
#------------------------------------------------------------------------------

$node->sql(q{ALTER USER MAPPING FOR CURRENT_USER SERVER one OPTIONS (DROP access_token, ADD tenant_id 'tenant', ADD client_id 'writer', ADD client_secret 'secret of writer')});
reset_worlds();
$one->switches(rules => [ { method => 'PATCH', when => 3, do => { revoke => 1 } }, { method => 'POST', when => 1, do => { revoke => 1 } } ]);
is($node->result(q{UPDATE alerts SET status = 'resolved'; INSERT INTO alert_comments (alert_id, comment) VALUES ('a03', 'again') RETURNING comment}), 'again', 'a token that is renewed');
is(scalar(grep { $_->{status} eq 'resolved' } values %{ $one->state->{alerts} }) . ' ' . @{ $one->state->{alerts}{a03}{comments} }, '40 1', 'a token that is renewed: all is done, once');
$node->sql(q{ALTER USER MAPPING FOR CURRENT_USER SERVER one OPTIONS (ADD access_token 'writer', DROP tenant_id, DROP client_id, DROP client_secret)});

$node->sql(<<'SQL');
CREATE TABLE both_of (tenant text, id text, status text, severity text, assigned_to text) PARTITION BY LIST (tenant);
CREATE FOREIGN TABLE both_one PARTITION OF both_of FOR VALUES IN ('one') SERVER one OPTIONS (resource 'alerts');
CREATE FOREIGN TABLE both_two PARTITION OF both_of FOR VALUES IN ('two') SERVER two OPTIONS (resource 'alerts');
ALTER FOREIGN TABLE both_one ALTER tenant OPTIONS (ADD property 'tenantId');
ALTER FOREIGN TABLE both_two ALTER tenant OPTIONS (ADD property 'tenantId');
SQL
reset_worlds();
$two->{filled} = 0, $two->set_state(alerts => [ map { alert($_, tenantId => 'two') } 1 .. 40 ]);
is($node->sql(q{WITH u AS (UPDATE both_of SET status = 'resolved' WHERE severity = 'high' RETURNING tenant, status) SELECT tenant, status, count(*) FROM u GROUP BY 1, 2 ORDER BY 1}), "one|resolved|11\ntwo|resolved|11", 'partitions of two tenants');
is(scalar($one->writes) . ' ' . scalar($two->writes), '7 7', 'partitions of two tenants: requests');
reset_worlds();
$two->{filled} = 0, $two->set_state(alerts => [ map { alert($_, tenantId => 'two') } 1 .. 40 ]);
$node->sql(q{UPDATE both_of SET assigned_to = 'x' WHERE tenant = 'two' AND id = 'a01'});
is(scalar($one->log) . ' ' . scalar($two->writes), '0 1', 'a partition that is not meant is not asked');
like($node->result(q{UPDATE both_of SET tenant = 'two' WHERE id = 'a01'}), qr/ERROR/, 'a row does not change its partition');
is($node->sql(q{UPDATE one.alerts AS a SET assigned_to = 'of ' || b.id FROM two.alerts AS b WHERE b.provider_alert_id = a.provider_alert_id AND b.severity = 'high' RETURNING a.assigned_to = 'of ' || a.id}),
	join("\n", ('t') x 11), 'a join of two servers');

# A local row that is changed meanwhile: its new version counts.
$node->sql(q{CREATE TABLE public.watch (id text, verdict text); INSERT INTO public.watch VALUES ('a01', 'unknown'), ('a02', 'unknown')});
reset_worlds();
my $other = $node->session;
$other->query(q{BEGIN; UPDATE watch SET verdict = 'truePositive' WHERE id = 'a01'; DELETE FROM watch WHERE id = 'a02'});
$running = start [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{WITH w AS (SELECT * FROM watch FOR UPDATE) UPDATE alerts AS a SET classification = w.verdict FROM w WHERE w.id = a.id} ], '>', \$out, '2>', \$err;
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted});
$other->query('COMMIT');
$running->finish;
is(join(', ', map { $json->encode($_->{members}) } $one->writes), '{"classification":"truePositive"}', 'a local row that is changed meanwhile');
reset_worlds();
$other->query(q{BEGIN; UPDATE watch SET verdict = 'falsePositive' WHERE id = 'a01'});
$running = start [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{WITH u AS (UPDATE alerts SET status = 'new' WHERE id = 'a01' RETURNING id, status) UPDATE watch AS w SET verdict = u.status || w.verdict FROM u WHERE w.id = u.id} ], '>', \$out, '2>', \$err;
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted});
$other->query('COMMIT');
$running->finish;
is($err . join(', ', map { $json->encode($_->{members}) } $one->writes) . $node->sql(q{SELECT verdict FROM watch}), '{"status":"new"}newfalsePositive', 'EvalPlanQual writes nothing twice');
$other->quit;

# Values go as they are.
reset_worlds();
$node->result(q{UPDATE alerts SET custom_details = '{"n": 12345678901234567890.125, "big": 123456789012345678901234567890, "small": 1e-400, "two": 2.50}' WHERE id = 'a01'});
like(($one->writes)[0]{body}, qr/12345678901234567890\.125\b.*|123456789012345678901234567890/, 'numbers keep their digits');
$node->sql(q{CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0});
my $url = $one->url;
$node->sql(bytes(<<"SQL"), database => 'latin');
SET client_encoding = 'UTF8';
CREATE EXTENSION graph_fdw;
CREATE SERVER one FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url', updatable 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER one OPTIONS (access_token 'writer');
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_comments) FROM SERVER one INTO public;
UPDATE alerts SET assigned_to = 'Jürgen' WHERE id = 'ä09';
INSERT INTO alert_comments (alert_id, comment) VALUES ('ä09', 'für später');
SQL
is($json->encode([ map { $_->{members}{assignedTo} // $_->{members}{comment} // () } ($one->writes)[ -2, -1 ] ]), $json->encode([ 'Jürgen', 'für später' ]), 'a database in another encoding');

# COPY and partitions that route a row: each is one comment, or an error.
reset_worlds();
$node->sql("COPY alert_comments (alert_id, comment) FROM STDIN;\na01\tcopied\na02\ttoo\n\\.\n");
is(join(',', map { map { $_->{comment} } @{ $one->state->{alerts}{$_}{comments} } } qw(a01 a02)), 'c1,copied,c1,c2,too', 'COPY');
$node->sql(<<'SQL');
CREATE TABLE notes (tenant text, alert_id text, comment text) PARTITION BY LIST (tenant);
CREATE FOREIGN TABLE notes_one PARTITION OF notes FOR VALUES IN ('one') SERVER one OPTIONS (resource 'comments');
ALTER FOREIGN TABLE notes_one ALTER tenant OPTIONS (ADD property '../tenantId');
CREATE TABLE notes_two PARTITION OF notes FOR VALUES IN ('two');
SQL
reset_worlds();
my $routed = $node->result(q{INSERT INTO notes VALUES ('one', 'a03', 'routed'), ('two', 'a03', 'local') RETURNING tenant, comment});
is(join(',', map { $_->{comment} } @{ $one->state->{alerts}{a03}{comments} }), $routed =~ /ERROR/ ? '' : 'routed', "a row that is routed to a partition: $routed");

# AFTER triggers see what the service has.
$node->sql(<<'SQL');
CREATE TABLE public.seen (id text, old text, new text, changed timestamptz);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (NEW.id, OLD.status, NEW.status, NEW.last_update_date_time); RETURN NULL; END $$;
CREATE TRIGGER n AFTER UPDATE ON alerts FOR EACH ROW EXECUTE FUNCTION note();
SQL
reset_worlds();
$node->sql(q{UPDATE alerts SET status = 'resolved' WHERE id IN ('a01', 'a02')});
is($node->sql(q{SELECT id, old, new, changed > '2026-11-01' FROM seen ORDER BY id}), "a01|inProgress|resolved|t\na02|resolved|resolved|f", 'AFTER triggers');
$node->sql('DROP TRIGGER n ON alerts');

# Warnings of ROLLBACK: one for a transaction, none where nothing is sent.
reset_worlds();
$session->{stderr} = '';
$session->query($_) foreach 'BEGIN', q{UPDATE alerts SET status = status}, q{UPDATE alerts SET status = 'resolved' WHERE id = 'a01'}, q{UPDATE alerts SET status = 'new' WHERE id = 'a01'}, $comment, 'ROLLBACK';
is(scalar(() = $session->{stderr} =~ /WARNING/g), 1, 'one warning in a transaction') or diag($session->{stderr});
$session->{stderr} = '';
$session->query($_) foreach 'BEGIN', q{UPDATE alerts SET status = status}, 'COMMIT', q{UPDATE alerts SET status = 'resolved' WHERE id = 'a01'}, 'BEGIN', q{SELECT count(*) FROM alerts}, 'COMMIT';
is($session->{stderr}, '', 'no warning where nothing is sent, and outside of a block');
$session->quit;

# No secret anywhere.
my $all = slurp_file($node->logfile);
ok($all !~ /Bearer|issued-\d|access_token writer/, 'no secret in the log');

done_testing();
