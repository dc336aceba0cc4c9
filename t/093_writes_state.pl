
# Does a service hold, after a statement, exactly what the statement says?
#
# Each statement runs over the foreign tables and over ordinary tables with the
# same rows.  Those say what it returns, which properties of which record differ
# after it, and so which requests are to be made: one PATCH for each such record,
# with these properties and no others, and one POST for each comment.  Then the
# same with a service that refuses first tries, loses answers, answers without a
# body, sorts by what each write changes.
#
# The service is writing_server.py, which shares nothing with the emulator.
#
#	GRAPH_WRITES=all prove ... t/093_writes_state.pl	each statement with each
#	GRAPH_WRITES=12,15	these statements only

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use JSON::PP;
use POSIX ();
use Test::More;
use WritingService qw(alert incident %WRITABLE);

sub bytes { my ($text) = @_; utf8::encode($text); return $text }

my $json = JSON::PP->new->ascii->canonical->allow_nonref;
my $utf8 = JSON::PP->new->utf8;
my $service = WritingService->new;
my $node = GraphCluster->connected_to(GraphEmulator->new('--alerts', 0, '--no-sample'), import => 0, conf => "fsync = off\njit = off");
my @numbers;
my $ALL = ($ENV{GRAPH_WRITES} // '') eq 'all';
my %ONLY = map { ($_ => 1) } grep { /^\d+$/ } split /,/, $ENV{GRAPH_WRITES} // '';

my @ALERTS = map { alert($_) } 1 .. 40;
my @INCIDENTS = map { incident($_) } 1 .. 12;

#------------------------------------------------------------------------------
# The statements
#------------------------------------------------------------------------------

# Local tables, and what both sides have besides the tables themselves.
my $COMMON = <<'SQL';
CREATE SCHEMA common;
CREATE TABLE common.watch (id text, owner text, verdict text, n integer);
INSERT INTO common.watch VALUES ('a01', 'adele', 'falsePositive', 1), ('a02', 'robin', 'truePositive', 2), ('a 07', NULL, 'unknown', 3),
	('a''08', 'adele', NULL, 4), ('ä09', 'robin', 'falsePositive', 5), ('a?13', '', 'truePositive', 6), ('nobody', 'x', 'unknown', 7), (NULL, 'y', 'unknown', 8);
CREATE TABLE common.owners (sev text, owner text);
INSERT INTO common.owners VALUES ('high', 'head@contoso.test'), ('medium', 'desk@contoso.test'), ('low', NULL);
CREATE TYPE common.state AS ENUM ('new', 'inProgress', 'resolved');
SQL

my $BOTH = <<'SQL';
CREATE VIEW plain_view AS SELECT id, status AS state, assigned_to, severity FROM alerts WHERE severity IN ('high', 'medium');
CREATE VIEW barrier_view WITH (security_barrier) AS SELECT id, status, classification, assigned_to FROM alerts WHERE severity = 'high';
CREATE VIEW checked_view AS SELECT id, status, assigned_to FROM alerts WHERE status <> 'resolved' WITH CHECK OPTION;
CREATE VIEW cascaded_view AS SELECT id, status, assigned_to FROM checked_view WHERE assigned_to IS NULL WITH CASCADED CHECK OPTION;
CREATE VIEW closing AS SELECT id FROM alerts WHERE status = 'resolved';
CREATE RULE close AS ON INSERT TO closing DO INSTEAD UPDATE alerts SET status = 'resolved' WHERE id = NEW.id;
CREATE VIEW comments_view AS SELECT alert_id, comment FROM alert_comments;
CREATE FUNCTION close_all(sev text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE n integer; BEGIN
	UPDATE alerts SET status = 'resolved' WHERE severity = sev;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;
CREATE FUNCTION one_by_one(owner text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE r record; n integer := 0; BEGIN
	FOR r IN SELECT id, title FROM alerts WHERE severity = 'high' ORDER BY id LOOP
		UPDATE alerts SET assigned_to = owner || r.title WHERE id = r.id;
		IF FOUND THEN n := n + 1; END IF;
	END LOOP;
	RETURN n;
END $$;
CREATE FUNCTION caught() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		UPDATE alerts SET status = 'resolved' WHERE id = 'a03';
		UPDATE alerts SET status = 'nonsense' WHERE id = 'a04';
	EXCEPTION WHEN OTHERS THEN RETURN 'caught';
	END;
	RETURN 'none';
END $$;
CREATE FUNCTION upper_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id = 'a06' THEN RETURN NULL; END IF;
	NEW.assigned_to := upper(NEW.assigned_to);
	RETURN NEW;
END $$;
SQL

# name => [ statements ].  Options: "writes", how many requests are made when
# that is not told by what differs; "foreign", what has to be said of the
# foreign tables first.
my @STATEMENTS = (
	[ 'status of one', q{UPDATE alerts SET status = 'resolved' WHERE id = 'a01'} ],
	[ 'classification', q{UPDATE alerts SET classification = 'informationalExpectedActivity' WHERE id = 'a02'} ],
	[ 'determination', q{UPDATE alerts SET determination = 'lineOfBusinessApplication' WHERE id = 'a03'} ],
	[ 'assigned_to', q{UPDATE alerts SET assigned_to = 'eve@contoso.test' WHERE severity = 'low'} ],
	[ 'assigned_to to null', q{UPDATE alerts SET assigned_to = NULL WHERE assigned_to IS NOT NULL AND severity = 'high'} ],
	[ 'odd text', q{UPDATE alerts SET assigned_to = E'a "b" \\\\ \n\t\x01 é 😀 {}' WHERE id IN ('a01', 'a02')} ],
	[ 'an empty text', q{UPDATE alerts SET assigned_to = '' WHERE id IN ('a01', 'a05', 'a 07', 'a14')} ],
	[ 'custom_details', q{UPDATE alerts SET custom_details = '{"a": {"b": [1, 2.50, "ü", null, true]}}' WHERE id = 'a04'} ],
	[ 'custom_details that is equal in another spelling', q{UPDATE alerts SET custom_details = ('{ "Host" :' || CASE WHEN custom_details ? 'Host' THEN '"h' || regexp_replace(provider_alert_id, '\D', '', 'g') || '"' ELSE '1' END || ', "Host": ' || COALESCE(custom_details -> 'Host', '1')::text || '}')::jsonb WHERE custom_details IS NOT NULL} ],
	[ 'custom_details to null and to empty', q{UPDATE alerts SET custom_details = CASE WHEN severity = 'high' THEN '{}'::jsonb END WHERE severity IN ('high', 'low')} ],
	[ 'several', q{UPDATE alerts SET status = 'resolved', classification = 'falsePositive', determination = 'notMalicious' WHERE severity = 'medium'} ],
	[ 'all properties', q{UPDATE alerts SET (status, classification, determination, assigned_to, custom_details) = ('inProgress', 'truePositive', 'apt', 'me', '{"x": "y"}') WHERE id = 'a05'} ],
	[ 'no difference', q{UPDATE alerts SET status = status, assigned_to = assigned_to, custom_details = custom_details} ],
	[ 'all of them', q{UPDATE alerts SET status = 'resolved'} ],
	[ 'nulls that stay', q{UPDATE alerts SET classification = NULL, assigned_to = NULL WHERE severity = 'informational'} ],
	[ 'a list of ids', q{UPDATE alerts SET status = 'inProgress' WHERE id IN ('a01', 'a 07', 'a''08', 'ä09', 'a+10', 'a&11', 'a#12', 'a?13', 'nobody', NULL)} ],
	[ 'an array of ids', q{UPDATE alerts SET status = 'new' WHERE id = ANY (ARRAY(SELECT id FROM watch)) AND classification IS NOT NULL} ],
	[ 'no ids', q{UPDATE alerts SET status = 'new' WHERE id = NULL OR id = ANY ('{}')} ],
	[ 'a range of creation', q{UPDATE alerts SET status = 'inProgress' WHERE created_date_time >= '2026-07-01 00:10:00Z' AND created_date_time < '2026-07-01 00:20:00.5Z'} ],
	[ 'a range of the last update', q{UPDATE alerts SET status = 'inProgress' WHERE last_update_date_time BETWEEN '2026-08-01 00:10:00Z' AND '2026-08-01 00:25:00Z'} ],
	[ 'what is changed is asked for', q{UPDATE alerts SET status = 'resolved', classification = COALESCE(classification, 'unknown') WHERE status = 'new'} ],
	[ 'from a local table', q{UPDATE alerts AS a SET classification = w.verdict, assigned_to = w.owner FROM watch AS w WHERE a.id = w.id} ],
	[ 'from a local table that is outer joined', q{UPDATE alerts AS a SET assigned_to = w.owner FROM alerts AS b LEFT JOIN watch AS w ON w.id = b.id WHERE a.id = b.id AND a.severity = 'high'} ],
	[ 'from a local table by severity', q{UPDATE alerts AS a SET assigned_to = o.owner FROM owners AS o WHERE a.severity = o.sev AND a.status <> 'resolved'} ],
	[ 'exists', q{UPDATE alerts AS a SET status = 'inProgress' WHERE EXISTS (SELECT FROM watch AS w WHERE w.id = a.id AND w.owner IS NOT NULL)} ],
	[ 'not in', q{UPDATE alerts AS a SET status = 'inProgress' WHERE a.id NOT IN (SELECT id FROM watch WHERE id IS NOT NULL)} ],
	[ 'a sub-select as a value', q{UPDATE alerts SET assigned_to = (SELECT owner FROM owners WHERE sev = severity) WHERE status = 'new'} ],
	[ 'a row of a sub-select', q{UPDATE alerts SET (classification, assigned_to) = (SELECT verdict, owner FROM watch WHERE watch.id = alerts.id) WHERE id IN (SELECT id FROM watch)} ],
	[ 'an expression of columns', q{UPDATE alerts SET assigned_to = lower(title) || '/' || severity, classification = CASE WHEN severity = 'high' THEN 'truePositive' ELSE classification END WHERE service_source = 'microsoftSentinel'} ],
	[ 'a loop in PL/pgSQL', q{SELECT one_by_one('x ')} ],
	[ 'a function that counts', q{SELECT close_all('high'), close_all('none')} ],
	[ 'a prepared statement', q{SET plan_cache_mode = force_generic_plan}, q{PREPARE p (text, text) AS UPDATE alerts SET status = $1 WHERE severity = $2},
		q{EXECUTE p ('resolved', 'high')}, q{EXECUTE p ('new', 'low')}, q{EXECUTE p ('new', NULL)}, q{DEALLOCATE p}, q{RESET plan_cache_mode} ],
	[ 'a prepared statement by id', q{SET plan_cache_mode = force_generic_plan}, q{PREPARE q (text, text[]) AS UPDATE alerts SET assigned_to = $1 WHERE id = ANY ($2)},
		q{EXECUTE q ('x', '{a01,a02,"a 07"}')}, q{EXECUTE q (NULL, '{a03,a06}')}, q{EXECUTE q ('x', '{}')}, q{DEALLOCATE q}, q{RESET plan_cache_mode} ],
	[ 'a CTE that chooses', q{WITH w AS (SELECT id FROM alerts WHERE severity = 'high' ORDER BY created_date_time, id LIMIT 4) UPDATE alerts SET status = 'resolved' FROM w WHERE alerts.id = w.id} ],
	[ 'a CTE that updates', q{WITH u AS (UPDATE alerts SET status = 'resolved' WHERE severity = 'high' RETURNING id, status) SELECT * FROM u ORDER BY id COLLATE "C"} ],
	[ 'a CTE that is not read', q{WITH u AS (UPDATE alerts SET status = 'resolved' WHERE severity = 'high' RETURNING id) SELECT 1} ],
	[ 'a CTE that is read in part', q{WITH u AS (UPDATE alerts SET status = 'resolved' WHERE severity = 'high' RETURNING id) SELECT count(*) > 0 FROM (SELECT FROM u LIMIT 1) AS x} ],
	[ 'a CTE that updates two tables', q{WITH u AS (UPDATE alerts SET status = 'resolved' WHERE severity = 'high' RETURNING incident_id) UPDATE incidents SET summary = 'seen' WHERE id IN (SELECT incident_id FROM u)} ],
	[ 'returning', q{UPDATE alerts SET status = 'inProgress', assigned_to = 'me' WHERE id = ANY ('{a01,a02,a03,a04}') RETURNING id, status, assigned_to, title, classification, custom_details} ],
	[ 'returning what did not differ', q{UPDATE alerts SET status = status WHERE id = 'a01' RETURNING id, status, severity, evidence -> 0 ->> 'deviceDnsName'} ],
	[ 'returning expressions with a joined table', q{UPDATE alerts AS a SET assigned_to = w.owner FROM watch AS w WHERE a.id = w.id AND w.n < 3 RETURNING w.n, a.id || COALESCE(a.assigned_to, '-'), w.owner} ],
	[ 'returning of many', q{WITH u AS (UPDATE alerts SET classification = 'truePositive' RETURNING *) SELECT id, status, classification, determination, assigned_to, custom_details, title, jsonb_array_length(comments) FROM u ORDER BY id COLLATE "C"} ],
	[ 'a view', q{UPDATE plain_view SET state = 'resolved' WHERE assigned_to IS NULL} ],
	[ 'a view, returning', q{UPDATE plain_view SET state = 'resolved' WHERE id = 'a01' RETURNING *} ],
	[ 'a security-barrier view', q{UPDATE barrier_view SET status = 'resolved', assigned_to = 'x' WHERE classification IS NOT NULL} ],
	[ 'a view with check option', q{UPDATE checked_view SET status = 'inProgress'} ],
	[ 'a view with check option that is broken', q{UPDATE checked_view SET status = 'resolved' WHERE id = 'a01'} ],
	[ 'a view with check option, two levels', q{UPDATE cascaded_view SET assigned_to = NULL, status = 'inProgress'} ],
	[ 'a view with check option that is broken by null', q{UPDATE cascaded_view SET assigned_to = 'x' WHERE id = 'a21'} ],
	[ 'incidents, each property', q{UPDATE incidents SET status = 'resolved', classification = 'falsePositive', determination = 'other', assigned_to = 'x', custom_tags = '{a,"b c"}', description = 'd', display_name = 'n', severity = 'low', summary = 's', resolving_comment = 'r' WHERE id = 'i1'} ],
	[ 'incidents, tags', q{UPDATE incidents SET custom_tags = array_append(custom_tags, 'new') WHERE severity = 'high'} ],
	[ 'incidents, tags that do not differ, and none', q{UPDATE incidents SET custom_tags = CASE WHEN severity = 'low' THEN '{}' ELSE custom_tags END} ],
	[ 'incidents of alerts', q{UPDATE incidents SET status = 'resolved', resolving_comment = 'all closed' WHERE id IN (SELECT incident_id FROM alerts WHERE severity = 'high')} ],
	[ 'alerts of incidents', q{UPDATE alerts AS a SET status = 'resolved', assigned_to = i.assigned_to FROM incidents AS i WHERE a.incident_id = i.id AND i.severity = 'high'} ],
	[ 'a comment', q{INSERT INTO alert_comments (alert_id, comment) VALUES ('a01', 'seen')} ],
	[ 'comments', q{INSERT INTO alert_comments (comment, alert_id) VALUES ('one', 'a01'), ('two', 'a01'), (E'three\n"3" \\ é 😀', 'a 07'), ('four', 'ä09'), ('five', 'a01')} ],
	[ 'comments of a query', q{INSERT INTO alert_comments (alert_id, comment) SELECT id, title || ' of ' || severity FROM alerts WHERE severity = 'high' ORDER BY id COLLATE "C"} ],
	[ 'comments of a table', q{INSERT INTO alert_comments (alert_id, comment) SELECT id, verdict FROM watch WHERE verdict IS NOT NULL AND n < 7 ORDER BY n} ],
	[ 'comments of incidents', q{INSERT INTO incident_comments (incident_id, comment) VALUES ('i1', 'seen'), ('i2', 'too')} ],
	[ 'a comment, returning', q{INSERT INTO alert_comments (alert_id, comment) VALUES ('a03', 'x'), ('a04', 'y') RETURNING alert_id, comment} ],
	[ 'a comment through a view', q{INSERT INTO comments_view VALUES ('a01', 'by a view')} ],
	[ 'updates that are commented', q{WITH u AS (UPDATE alerts SET status = 'resolved' WHERE severity = 'high' AND status <> 'resolved' RETURNING id) INSERT INTO alert_comments (alert_id, comment) SELECT id, 'closed' FROM u ORDER BY id COLLATE "C"} ],
	[ 'comments in a loop', q{DO $$ BEGIN FOR i IN 1 .. 3 LOOP INSERT INTO alert_comments (alert_id, comment) VALUES ('a02', 'number ' || i); END LOOP; END $$} ],
	[ 'no comments', q{INSERT INTO alert_comments (alert_id, comment) SELECT id, 'x' FROM alerts WHERE severity = 'none'} ],
	[ 'two statements in a transaction', q{BEGIN}, q{UPDATE alerts SET status = 'inProgress' WHERE id IN ('a01', 'a02')}, q{UPDATE alerts SET assigned_to = status WHERE id IN ('a01', 'a02', 'a03')}, q{COMMIT}, { writes => 4 } ],
	[ 'triggers', q{UPDATE alerts SET assigned_to = 'owner of ' || id WHERE id IN ('a04', 'a05', 'a06')},
		{ before => q{CREATE TRIGGER t BEFORE UPDATE ON alerts FOR EACH ROW EXECUTE FUNCTION upper_owner()}, after => q{DROP TRIGGER t ON alerts} } ],
	[ 'a CHECK constraint that is broken', q{UPDATE alerts SET assigned_to = 'x' WHERE id = 'a01'},
		{ before => q{ALTER TABLE alerts ADD CONSTRAINT c CHECK (assigned_to <> 'x') NOT VALID}, after => q{ALTER TABLE alerts DROP CONSTRAINT c} } ],
	[ 'a partitioned table', q{UPDATE tenants SET status = 'resolved' WHERE severity IN ('high', 'low')} ],
	[ 'a partitioned table, one of them', q{UPDATE tenants SET assigned_to = tenant || severity WHERE tenant = 'one' AND status = 'new' RETURNING tenant, id, assigned_to} ],
	[ 'a table of one\'s own', q{UPDATE mine SET "The State" = 'resolved', o = NULL WHERE sev <> 'low' AND "The State" > 'new'} ],
	[ 'a conversion of types', q{UPDATE mine SET o = (length(i) * 2)::text::varchar(3) WHERE sev = 'low'} ],
	[ 'a loop over what is returned', q{DO $$ DECLARE r record; BEGIN FOR r IN UPDATE alerts SET status = 'resolved' WHERE severity = 'high' RETURNING id, status LOOP
		INSERT INTO alert_comments (alert_id, comment) VALUES (r.id, 'now ' || r.status); END LOOP; END $$} ],
	[ 'a loop that ends early', q{DO $$ DECLARE r record; BEGIN FOR r IN UPDATE alerts SET status = 'resolved' WHERE severity = 'high' RETURNING id LOOP EXIT; END LOOP; END $$} ],
	[ 'a rule', q{INSERT INTO closing VALUES ('a01'), ('a 07')} ],
	[ 'a cursor is open on the same table', q{BEGIN}, q{DECLARE c CURSOR FOR SELECT id FROM alerts ORDER BY id COLLATE "C"}, q{FETCH 3 FROM c},
		q{UPDATE alerts SET status = 'resolved' WHERE severity = 'high'}, q{FETCH 2 FROM c}, q{COMMIT} ],
	[ 'a function that updates while its table is read', q{SELECT count(close_all(severity)) FROM (SELECT DISTINCT severity FROM alerts) AS s} ]);

# Tables that the import does not make, and what an ordinary table is in their place.
my $OWN_FOREIGN = <<'SQL';
CREATE FOREIGN TABLE mine (gone integer, i text OPTIONS (property 'id'), "The State" common.state OPTIONS (property 'status'), sev varchar(20) OPTIONS (property 'severity'),
	o varchar(40) OPTIONS (property 'assignedTo')) SERVER %1$s OPTIONS (resource 'alerts');
ALTER FOREIGN TABLE mine DROP COLUMN gone;
CREATE TABLE tenants (tenant text, id text, status text, severity text, assigned_to text) PARTITION BY LIST (tenant);
CREATE FOREIGN TABLE tenant_one PARTITION OF tenants FOR VALUES IN ('one') SERVER %1$s OPTIONS (resource 'alerts');
ALTER FOREIGN TABLE tenant_one ALTER tenant OPTIONS (ADD property 'tenantId');
CREATE TABLE tenant_two PARTITION OF tenants FOR VALUES IN ('two');
SQL

@numbers = grep { !%ONLY || $ONLY{$_} } 0 .. $#STATEMENTS;

#------------------------------------------------------------------------------
# Worlds and what is in them
#------------------------------------------------------------------------------

# JSON of each record's writable properties, by id.
sub writable
{
	my ($kind, $record) = @_;
	return { map { ($_ => $record->{$_}) } values %{ $WRITABLE{$kind} } };
}

# The properties that differ.
sub difference
{
	my ($old, $new) = @_;
	return { map { ($_ => $new->{$_}) } grep { $json->encode([ $old->{$_} ]) ne $json->encode([ $new->{$_} ]) } keys %$new };
}

# What the ordinary tables hold: the same as of_service().
sub of_model
{
	my ($session, $schema) = @_;
	my $sql = '';

	foreach my $kind (qw(alerts incidents))
	{
		my $columns = join ', ', map { "'$WRITABLE{$kind}{$_}', $_" } sort keys %{ $WRITABLE{$kind} };
		my $name = $kind eq 'alerts' ? 'alert' : 'incident';
		$sql .= "SELECT '$kind', jsonb_build_object('id', id, 'values', jsonb_build_object($columns), 'comments', (SELECT jsonb_agg(comment ORDER BY c.ctid) FROM $schema.${name}_comments AS c WHERE ${name}_id = t.id)) FROM $schema.$kind AS t;\n";
	}
	my %state;
	foreach my $line (split /\n/, $session->query($sql))
	{
		my ($kind, $text) = split /\|/, $line, 2;
		my $record = $utf8->decode($text);
		$state{$kind}{ $record->{id} } = { %{ $record->{values} }, comments => $record->{comments} // [] };
	}
	return \%state;
}

sub of_service
{
	my ($world) = @_;
	my $state = $world->held;

	foreach my $kind (keys %$state)
	{
		$_ = { %{ writable($kind, $_) }, comments => $_->{comments} } foreach values %{ $state->{$kind} };
	}
	return $state;
}

$node->sql(bytes($COMMON));

# A world, its tables, and ordinary tables beside them; a session for it.
sub make_world
{
	my ($name, %options) = @_;
	my $world = $service->world($name);
	my $url = $world->url;
	my $more = join '', map { ", $_ '$options{$_}'" } sort keys %options;

	$world->set_state(alerts => \@ALERTS, incidents => \@INCIDENTS);
	my $own = $OWN_FOREIGN =~ s/%1\$s/$name/gr;
	$node->sql(<<"SQL");
CREATE SERVER $name FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url', updatable 'true'$more);
CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (access_token 'writer');
CREATE SCHEMA $name;
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_comments, incidents, incident_comments) FROM SERVER $name INTO $name;
SET search_path = $name, common;
$BOTH
$own
SQL
	return $world;
}

# The ordinary tables, from what one of the worlds has.
sub make_model
{
	my ($name) = @_;
	my $tables = join '', map { "CREATE TABLE base.$_ AS SELECT * FROM $name.$_;\nCREATE TABLE model.$_ (LIKE base.$_);\n" }
	  qw(alerts incidents alert_comments incident_comments);

	$node->sql(<<"SQL");
CREATE SCHEMA base;
CREATE SCHEMA model;
$tables
CREATE TABLE base.order_of_comments AS SELECT 1;
SET search_path = model, common;
$BOTH
CREATE VIEW tenants AS SELECT tenant_id AS tenant, id, status, severity, assigned_to FROM alerts;
CREATE FUNCTION update_mine() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	UPDATE alerts SET status = NEW."The State"::text, assigned_to = NEW.o WHERE id = NEW.i;
	RETURN NEW;
END \$\$;
CREATE VIEW mine AS SELECT id AS i, status::common.state AS "The State", severity::varchar(20) AS sev, assigned_to::varchar(40) AS o FROM alerts;
CREATE TRIGGER t INSTEAD OF UPDATE ON mine FOR EACH ROW EXECUTE FUNCTION update_mine();
SQL
	return;
}

# The sides of one statement: what each prints and leaves.
my $RESET = join '', map { "TRUNCATE model.$_; INSERT INTO model.$_ SELECT * FROM base.$_" . (/comments/ ? ' ORDER BY ordinal' : '') . ";\n" }
  qw(alerts incidents alert_comments incident_comments);

sub run_over
{
	my ($session, $schema, $statements, $options) = @_;
	my $before = $options->{before} // '';
	my $after = $options->{after} // '';

	if ($schema ne 'model')
	{
		s/ALTER TABLE/ALTER FOREIGN TABLE/, s/ NOT VALID// foreach $before, $after;
	}
	$session->query("SET search_path = $schema, common; $before");
	$session->{stderr} = '';
	my $printed = '';
	foreach my $statement (@$statements)
	{
		$printed .= $session->query(bytes("$statement;\n\\echo rows :ROW_COUNT")) . "\n";
	}
	my $error = $session->{stderr};
	$session->{stderr} = '';
	$session->query($after) if $after ne '';
	return ($printed, $error);
}

# What the model says of each statement: made once, used in every world.
my (%expected, $base);

sub expect
{
	my ($session, $number) = @_;
	my ($name, @statements) = @{ $STATEMENTS[$number] };
	my $options = ref $statements[-1] ? pop @statements : {};

	$session->query($RESET);
	$base //= of_model($session, 'base');
	my ($printed, $error) = run_over($session, 'model', \@statements, $options);
	my $after = of_model($session, 'model');
	my (@requests, %kind);
	foreach my $kind (sort keys %$after)
	{
		foreach my $id (sort keys %{ $after->{$kind} })
		{
			my %old = %{ $base->{$kind}{$id} };
			my %new = %{ $after->{$kind}{$id} };
			my @old = @{ delete $old{comments} };
			my @new = @{ delete $new{comments} };
			my $changes = difference(\%old, \%new);
			push @requests, "PATCH $kind $id " . $json->encode($changes) if %$changes;
			push @requests, map { "POST $kind $id " . $json->encode($_) } @new[ @old .. $#new ];
		}
	}
	$expected{$number} = { printed => sorted($printed), error => $error =~ /(ERROR: .*)/ ? 1 : 0, state => $after, requests => [ sort @requests ], text => $error };
	note "$number $name: " . @requests . ' requests, ' . $printed =~ s/\n+/ /gr . $error if $ENV{GRAPH_SHOW_EXPECTED};
	return;
}

# Rows that a statement returns have no order.
sub sorted { return join "\n", sort split /\n/, $_[0] }

# Which writes were taken, spelled as those that are expected.
sub taken
{
	my ($world, @log) = @_;
	return sort map {
		my %members = %{ $_->{members} };
		my $type = delete $members{'@odata.type'};
		"$_->{method} $_->{kind} $_->{id} " . $json->encode($_->{method} eq 'POST' ? $members{comment} : \%members);
	} grep { $_->{taken} } @log ? $world->writes(@log) : ();
}

sub run_statement
{
	my ($session, $world, $number, $title, %want) = @_;
	my ($name, @statements) = @{ $STATEMENTS[$number] };
	my $options = ref $statements[-1] ? pop @statements : {};
	my $expected = $expected{$number};
	my @wrong;

	$world->restore;
	$world->switches(%{ $want{switches} || {} });
	$world->clear;
	my ($printed, $error) = run_over($session, $world->{name}, \@statements, $options);
	my $failed = $error =~ /ERROR: / ? 1 : 0;
	my $state = of_service($world);
	my @log = $world->log;
	my @taken = taken($world, @log);

	push @wrong, "error: $error" if $failed != $expected->{error};
	push @wrong, "said: $error" if $error =~ /WARNING(?!.*undone by ROLLBACK)/ || $error =~ /WARNING/ && "@statements" !~ /BEGIN/;
	push @wrong, "printed: $printed\nexpected: $expected->{printed}" if sorted($printed) ne $expected->{printed} && !$failed;
	foreach my $kind (sort keys %$state)
	{
		foreach my $id (sort keys %{ $state->{$kind} })
		{
			my $got = $json->encode($state->{$kind}{$id});
			my $should = $json->encode($expected->{state}{$kind}{$id});
			push @wrong, "state of $id: $got\nexpected: $should" if $got ne $should;
		}
	}
	my @once = $want{again} ? sort keys %{ { map { ($_ => 1) } @taken } } : @taken;
	my @should = $want{again} ? sort keys %{ { map { ($_ => 1) } @{ $expected->{requests} } } } : @{ $expected->{requests} };
	push @wrong, "writes:\n  " . join("\n  ", @taken) . "\nexpected:\n  " . join("\n  ", @should)
	  if defined $options->{writes} ? @once != $options->{writes} : "@once" ne "@should";
	my @comments = map { $_->[0] } grep { $_->[1] > 1 } do { my %times; $times{$_}++ foreach grep { /^POST/ } @taken; my %should; $should{$_}++ foreach grep { /^POST/ } @{ $expected->{requests} };
		map { [ $_, $times{$_} - ($should{$_} // 0) + 1 ] } keys %times };
	push @wrong, "comments that are there more often than once: @comments" if @comments;
	push @wrong, 'no client-request-id' if grep { !$_->{client_request_id} } @log;
	push @wrong, 'User-Agent' if grep { ($_->{user_agent} // '') !~ /graph_fdw\/\d/ } @log;
	ok(!@wrong, bytes("$title: $number, $name")) or diag(join("\n", bytes(join "\n", @statements), map({ bytes($_) } @wrong))
		. ($ENV{GRAPH_SHOW_REQUESTS} ? "\n" . join "\n", map { "$_->{method} $_->{path}?$_->{query} $_->{body} $_->{status}" } @log : ''));
	return;
}

#------------------------------------------------------------------------------
# Worlds that behave in a way of their own
#------------------------------------------------------------------------------

my $REFUSED = { status => 429, retry_after => 1 };
my $BUSY = { status => 503, retry_after => 1 };

sub first_try { my ($methods, $do, %more) = @_; return (rules => [ { method => $methods, when => 'first', do => $do, %more } ]) }

# name => what is switched, options of the server, and which statements: one of so many.
my @WORLDS = (
	[ refused      => { first_try('PATCH POST', $REFUSED) }, 12 ],
	[ refused_soon => { first_try('PATCH POST', { status => 429 }) }, 12 ],
	[ busy         => { first_try('PATCH POST', $BUSY) }, 12 ],
	[ third        => { rules => [ { method => 'GET PATCH', when => 3, do => { status => 500 } } ] }, 6 ],
	[ third_write  => { rules => [ { method => 'PATCH', when => 3, do => { status => 502 } } ] }, 6 ],
	[ lost_closed  => { first_try('PATCH', { lose => 'close' }) }, 12, again => 1 ],
	[ lost_reset   => { first_try('PATCH', { lose => 'reset' }) }, 12, again => 1 ],
	[ lost_head    => { first_try('PATCH', { lose => 'head' }) }, 12, again => 1 ],
	[ lost_body    => { first_try('PATCH', { lose => 'body' }) }, 12, again => 1 ],
	[ lost_kept    => { first_try('PATCH', { lose => 'close' }, on => 'kept') }, 12, again => 1 ],
	[ lost_new     => { first_try('PATCH', { lose => 'close' }, on => 'new') }, 12, again => 1 ],
	[ lost_before  => { first_try('PATCH', { lose => 'close', taken => JSON::PP::false }) }, 12 ],
	[ no_body      => { answer => 204 }, 3 ],
	[ no_evidence  => { answer_without => [ 'evidence', 'comments' ] }, 3 ],
	[ no_values    => { answer_without => [ 'status', 'assignedTo', 'lastUpdateDateTime' ] }, 6 ],
	[ zipped       => { gzip => JSON::PP::true, chunked => JSON::PP::true }, 4 ],
	[ closed       => { close_idle => JSON::PP::true }, 2 ],
	[ moving       => { order => 'lastUpdateDateTime', latency => 0.003, links => 'skip' }, 2, server => { page_size => 3, concurrency => 8 } ],
	[ one_at_once  => {}, 4, server => { concurrency => 1, page_size => 7 } ]);

# Run statements in a process of its own; the results are lines of JSON.
sub start_world
{
	my ($world, $case, $index) = @_;
	my ($name, $switches, $one_of, %more) = @$case;

	pipe my $reader, my $writer or die $!;
	my $pid = fork // die $!;
	return { pid => $pid, reader => $reader, name => $name } if $pid && close $writer;
	close $reader;
	my $own = $node->session;
	my @results;
	{
		no warnings 'redefine';
		local *ok = sub { push @results, [ $_[0] ? 1 : 0, $_[1] ]; return $_[0] };
		local *diag = sub { push @{ $results[-1] }, @_; return };
		foreach my $number (grep { $ALL || %ONLY || ($_ + $index) % $one_of == 0 } @numbers)
		{
			eval { run_statement($own, $world, $number, $name, switches => $switches, %more); 1 } or push @results, [ 0, "$name: $number", "$@" ];
		}
	}
	print $writer JSON::PP->new->ascii->encode(\@results);
	close $writer;
	eval { $own->quit };
	POSIX::_exit(0);
}

sub end_world
{
	my ($running) = @_;
	my $reader = $running->{reader};
	my $results = eval { $json->decode(do { local $/; <$reader> }) } // [ [ 0, "$running->{name} ended early" ] ];

	waitpid $running->{pid}, 0;
	foreach my $result (@$results)
	{
		ok($result->[0], $result->[1]);
		diag($_) foreach @$result[ 2 .. $#$result ];
	}
	return;
}

#------------------------------------------------------------------------------
# All of it
#------------------------------------------------------------------------------

my $plain = make_world('plain', concurrency => 4, page_size => 10);
make_model('plain');
my $session = $node->session;
foreach my $number (@numbers)
{
	expect($session, $number);
	run_statement($session, $plain, $number, 'plain');
}
$session->quit;

my @running;
foreach my $index (0 .. $#WORLDS)
{
	my $case = $WORLDS[$index];
	my %more = @$case[ 3 .. $#$case ];
	next if $ENV{GRAPH_WORLD} && $ENV{GRAPH_WORLD} ne $case->[0];
	my $world = make_world($case->[0], concurrency => 4, page_size => 10, %{ $more{server} || {} });
	push @running, start_world($world, $case, $index);
	end_world(shift @running) if @running > 7;
}
end_world($_) foreach @running;

done_testing();
