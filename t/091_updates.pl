
# Writes: after each statement, is the service's state what SQL says, were no
# more requests made than rows changed, and had each body only what differs?
#
# The alerts are a01 to a40.
#
#	GRAPH_CHANGING_ALERTS=3000 prove ... t/091_updates.pl

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(alert evidence minute);
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $characters = JSON::PP->new->canonical->allow_nonref;
my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { updatable => 'true' }, conf => "fsync = off\njit = off");

sub alert_number
{
	my ($number, %members) = @_;
	return alert(
		id                 => sprintf('a%02d', $number),
		title              => "Title $number",
		status             => $number % 2 ? 'new' : 'inProgress',
		severity           => $number <= 10 ? 'high' : 'low',
		classification     => undef,
		determination      => undef,
		assignedTo         => $number % 4 ? undef : "o'neil\@contoso.test",
		customDetails      => undef,
		createdDateTime    => minute($number),
		lastUpdateDateTime => minute($number),
		evidence           => [ evidence('deviceEvidence', deviceDnsName => "ws-$number") ],
		comments           => [],
		%members);
}

sub reset_service
{
	$emulator->reset;
	$emulator->set_alerts(map { alert_number($_) } 1 .. 40);
	$emulator->add_incidents({
		id => '900', displayName => 'Nine', status => 'active', severity => 'medium', customTags => ['x'], comments => [],
		description => undef, summary => undef, resolvingComment => undef, assignedTo => undef, classification => undef,
		determination => undef, createdDateTime => minute(1), lastUpdateDateTime => minute(1) });
	$emulator->clear;
	return;
}

# What the service has of an alert.
sub state_of
{
	my ($id) = @_;
	my ($found) = grep { $_->{id} eq $id } map { $json->decode($_) } $id =~ /^\d/ ? $emulator->incidents : $emulator->alerts;
	return $found;
}

# The writes since the last time: "PATCH id {json}", sorted.
sub writes
{
	my @writes = map {
		my $body = $characters->encode($characters->decode($_->{body}));
		utf8::encode($body);
		my ($id) = $_->{path} =~ m{/security/\w+/([^/]+)};
		"$_->{method} $id $body";
	} grep { $_->{method} ne 'GET' && $_->{path} =~ /security/ } $emulator->records;
	$emulator->clear;
	return sort @writes;
}

# A statement, what psql prints, and the writes that it makes.
sub is_written
{
	my ($statement, $printed, @expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $result = $node->result($statement);
	is(join("\n", sort split /\n/, $result), $printed, "$statement: result");
	is(join("\n", writes()), join("\n", sort @expected), "$statement: writes");
	return;
}

sub is_refused
{
	my ($statement, $pattern, %params) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($node->error($statement, %params)->{text} // 'no error', $pattern, "$statement: refused");
	is(join("\n", $emulator->requests), '', "$statement: nothing is asked") unless $params{asks};
	is(join("\n", writes()), '', "$statement: nothing is written");
	return;
}

#------------------------------------------------------------------------------
# One statement after the other
#------------------------------------------------------------------------------

reset_service();
is_written(q{UPDATE defender.alerts SET status = 'resolved', classification = 'falsePositive' WHERE id IN ('a01', 'a02')}, '',
	map { qq[PATCH $_ {"classification":"falsePositive","status":"resolved"}] } qw(a01 a02));
is(state_of('a01')->{status}, 'resolved', 'the service has it');
is(state_of('a03')->{status}, 'new', 'and not more');
is_written(q{UPDATE defender.alerts SET status = 'resolved', classification = 'truePositive' WHERE id IN ('a01', 'a03')}, '',
	q[PATCH a01 {"classification":"truePositive"}], q[PATCH a03 {"classification":"truePositive","status":"resolved"}]);
is_written(q{UPDATE defender.alerts SET status = 'resolved', classification = 'truePositive' WHERE id IN ('a01', 'a03') RETURNING id, status},
	"a01|resolved\na03|resolved");
is_written(q{WITH u AS (UPDATE defender.alerts SET assigned_to = NULL WHERE severity = 'high' RETURNING id) SELECT count(*) FROM u}, '10',
	map { qq[PATCH $_ {"assignedTo":null}] } qw(a04 a08));
is_written(q{UPDATE defender.alerts SET custom_details = '{"a": "x", "b": "y"}' WHERE id = 'a01'}, '',
	q[PATCH a01 {"customDetails":{"a":"x","b":"y"}}]);
is_written(q{UPDATE defender.alerts SET custom_details = '{"b": "y",  "a": "x"}' WHERE id = 'a01'}, '');
is_written(q{UPDATE defender.alerts SET custom_details = custom_details - 'a' WHERE id = 'a01' RETURNING custom_details}, '{"b": "y"}',
	q[PATCH a01 {"customDetails":{"b":"y"}}]);
is_written(q{UPDATE defender.alerts SET custom_details = NULL WHERE id = 'a01'}, '', q[PATCH a01 {"customDetails":null}]);
is_written(q{UPDATE defender.alerts SET assigned_to = E'tab\t"quote" \\\\ é' WHERE id = 'a01' RETURNING assigned_to}, qq{tab\t"quote" \\ é},
	qq[PATCH a01 {"assignedTo":"tab\\t\\"quote\\" \\\\ é"}]);
is_written(q{UPDATE defender.incidents SET custom_tags = custom_tags || ARRAY['y z'], display_name = 'Neun', severity = 'high', status = 'resolved',
	resolving_comment = 'done', summary = '', description = 'd', determination = 'malware', classification = 'truePositive', assigned_to = 'me'
	WHERE id = '900' RETURNING custom_tags, display_name, severity}, '{x,"y z"}|Neun|high',
	q[PATCH 900 {"assignedTo":"me","classification":"truePositive","customTags":["x","y z"],"description":"d","determination":"malware","displayName":"Neun","resolvingComment":"done","severity":"high","status":"resolved","summary":""}]);
is_written(q{UPDATE defender.incidents SET custom_tags = '{}' WHERE id = '900'}, '', q[PATCH 900 {"customTags":[]}]);
is_written(q{UPDATE defender.alerts SET status = 'resolved' WHERE false}, '');
is_written(q{UPDATE defender.alerts SET status = 'resolved' WHERE id = NULL}, '');
is_written(q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'nobody'}, '');
# values that are known when it runs
is_written(q{UPDATE defender.alerts SET status = CASE WHEN title LIKE '%1' THEN 'resolved' ELSE status END WHERE id IN ('a11', 'a12')}, '',
	q[PATCH a11 {"status":"resolved"}]);
is_written(q{UPDATE defender.alerts SET assigned_to = upper(title) WHERE id = 'a12'}, '', q[PATCH a12 {"assignedTo":"TITLE 12"}]);
is_written(q{UPDATE defender.alerts SET assigned_to = (SELECT max(title) FROM defender.alerts WHERE id = 'a12') WHERE id = 'a12'}, '',
	q[PATCH a12 {"assignedTo":"Title 12"}]);
is_written(q{UPDATE defender.alerts a SET assigned_to = (SELECT host_name FROM (VALUES ('a12', 'ws')) AS v(id, host_name) WHERE v.id = a.id) WHERE id = 'a12'}, '',
	q[PATCH a12 {"assignedTo":"ws"}]);
is_written(q{UPDATE defender.alerts a SET (assigned_to, classification) = (SELECT 'x', 'unknown' WHERE a.id = 'a12') WHERE id = 'a12'}, '',
	q[PATCH a12 {"assignedTo":"x","classification":"unknown"}]);

#------------------------------------------------------------------------------
# Comments
#------------------------------------------------------------------------------

reset_service();
my $TYPE = q["@odata.type":"microsoft.graph.security.alertComment"];
sub comment { my ($text) = @_; return qq[{$TYPE,"comment":"$text"}] }
is_written(q{INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('a01', 'one')}, '', 'POST a01 ' . comment('one'));
is_written(q{INSERT INTO defender.alert_comments (comment, alert_id) VALUES ('two', 'a01'), ('three', 'a01'), ('one', 'a02')}, '',
	'POST a01 ' . comment('two'), 'POST a01 ' . comment('three'), 'POST a02 ' . comment('one'));
is(join(' ', map { $_->{comment} } @{ state_of('a01')->{comments} }), 'one two three', 'in their order');
is_written(q{INSERT INTO defender.alert_comments (alert_id, comment) SELECT id, 'high ' || id FROM defender.alerts WHERE severity = 'high' AND id > 'a08'}, '',
	'POST a09 ' . comment('high a09'), 'POST a10 ' . comment('high a10'));
is_written(q{INSERT INTO defender.incident_comments (incident_id, comment) VALUES ('900', 'é "x"') RETURNING ordinal, comment, created_by_display_name},
	'1|é "x"|graph-emulator-app', 'POST 900 ' . comment('é \\"x\\"'));
is($node->sql("COPY defender.alert_comments (alert_id, comment) FROM stdin;\na03\tc1\na03\tc2\na04\tc1\n\\.\n"), '', 'COPY');
is(join("\n", writes()), join("\n", 'POST a03 ' . comment('c1'), 'POST a03 ' . comment('c2'), 'POST a04 ' . comment('c1')), 'COPY: writes');
is_refused(q{INSERT INTO defender.alert_comments (alert_id, comment, ordinal) SELECT 'a01', 'x', 1}, qr/0A000.*"ordinal".*cannot be given.*"alert_id", "comment"/s);
is_refused(q{INSERT INTO defender.alert_comments (alert_id, comment) SELECT 'a01', NULL::text || n FROM generate_series(1, 2) AS n}, qr/23502/);
is_refused(q{INSERT INTO defender.alert_comments (alert_id, comment) SELECT 'a/b', 'x'}, qr/no alert can have the id "a\/b"/);

#------------------------------------------------------------------------------
# Checked before anything is sent
#------------------------------------------------------------------------------

reset_service();
is_refused(q{UPDATE defender.alerts SET status = 'bogus'}, qr/22P02.*"bogus".*"resolved"/s);
is_refused(q{UPDATE defender.alerts SET determination = 'clean'}, qr/"notMalicious"/);
is_refused(q{UPDATE defender.alerts SET title = 'x'}, qr/0A000.*"title".*"status", "classification"/s);
is_refused(q{DELETE FROM defender.alerts}, qr/cannot delete/);
is_refused(q{UPDATE defender.alerts SET status = lower('BOGUS') || (SELECT '') WHERE id = 'a01'}, qr/22P02.*alert "a01"/s, asks => 1);
is_refused(q{UPDATE defender.alerts SET status = CASE id WHEN 'a01' THEN 'bo' || title END WHERE id = 'a01'}, qr/"boTitle 1"/, asks => 1);
is_refused(q{UPDATE defender.alerts SET status = nullif(title, 'Title 1') WHERE id = 'a01'}, qr/23502/, asks => 1);

# read only
is_refused(q{UPDATE defender.alerts SET status = 'resolved'}, qr/25006/, before => 'BEGIN READ ONLY');
is_refused(q{UPDATE defender.alerts SET status = 'resolved'}, qr/25006/, before => 'SET default_transaction_read_only = on');
is_refused(q{INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('a01', 'x')}, qr/25006/, before => 'BEGIN READ ONLY');

# CHECK and NOT NULL, also where PostgreSQL leaves them to the other side
$node->sql(<<'SQL');
CREATE FOREIGN TABLE checked (id text, status text NOT NULL, assigned_to text, title text NOT NULL,
	CONSTRAINT owned CHECK (status <> 'resolved' OR assigned_to IS NOT NULL), CONSTRAINT titled CHECK (title LIKE 'Never%')) SERVER graph;
CREATE FOREIGN TABLE checked_comments (alert_id text CHECK (alert_id LIKE 'a%'), comment text CHECK (length(comment) < 10),
	author text OPTIONS (property 'createdByDisplayName') CHECK (author IS NOT NULL)) SERVER graph OPTIONS (resource 'comments');
CREATE VIEW unresolved AS SELECT * FROM defender.alerts WHERE status <> 'resolved' WITH CHECK OPTION;
CREATE VIEW short_comments AS SELECT alert_id, comment FROM defender.alert_comments WHERE length(comment) < 10 WITH CHECK OPTION;
SQL
is_refused(q{UPDATE checked SET status = 'resolved' WHERE id = 'a01'}, qr/23514.*"owned"/s, asks => 1);
is_written(q{UPDATE checked SET status = 'resolved', assigned_to = 'me' WHERE id = 'a01'}, '', q[PATCH a01 {"assignedTo":"me","status":"resolved"}]);
is_refused(q{UPDATE checked SET assigned_to = NULL WHERE id = 'a01'}, qr/23514.*"owned"/s, asks => 1);
is_refused(q{UPDATE checked SET status = v.status FROM (VALUES ('a04', NULL)) AS v(id, status) WHERE v.id = checked.id}, qr/23502/, asks => 1);
is_refused(q{INSERT INTO checked_comments (alert_id, comment) VALUES ('a01', 'much too long')}, qr/23514/);
is_written(q{INSERT INTO checked_comments (alert_id, comment) VALUES ('a01', 'short')}, '', 'POST a01 ' . comment('short'));
is_refused(q{UPDATE unresolved SET status = 'resolved' WHERE id = 'a03'}, qr/44000/, asks => 1);
is_written(q{UPDATE unresolved SET status = 'inProgress' WHERE id = 'a03'}, '', q[PATCH a03 {"status":"inProgress"}]);
is_refused(q{INSERT INTO short_comments VALUES ('a01', 'much too long')}, qr/44000/);
is_written(q{INSERT INTO short_comments VALUES ('a01', 'fits')}, '', 'POST a01 ' . comment('fits'));

#------------------------------------------------------------------------------
# Triggers
#------------------------------------------------------------------------------

reset_service();
$node->sql(<<'SQL');
CREATE FOREIGN TABLE watched (id text, status text, assigned_to text, title text, last_update_date_time timestamptz) SERVER graph;
CREATE TABLE seen (what text, old text, new text, fresh boolean);
CREATE FUNCTION sign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.status = 'new' THEN RETURN NULL; END IF;
	IF NEW.assigned_to = 'title' THEN NEW.title := 'x'; END IF;
	IF NEW.status = 'resolved' THEN NEW.assigned_to := 'closer'; END IF;
	RETURN NEW;
END $$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO seen VALUES (TG_OP, OLD.status, NEW.status, NEW.last_update_date_time > OLD.last_update_date_time);
	RETURN NULL;
END $$;
CREATE TRIGGER sign BEFORE UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION sign();
CREATE TRIGGER note AFTER UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION note();
SQL
is_written(q{UPDATE watched SET status = 'resolved' WHERE id IN ('a01', 'a02')}, '',
	map { qq[PATCH $_ {"assignedTo":"closer","status":"resolved"}] } qw(a01 a02));
is($node->sql('TABLE seen ORDER BY 2'), "UPDATE|inProgress|resolved|t\nUPDATE|new|resolved|t", 'AFTER ROW triggers see what the service has');
is_written(q{UPDATE watched SET status = 'new' WHERE id IN ('a01', 'a02')}, '');
is_refused(q{UPDATE watched SET assigned_to = 'title' WHERE id = 'a04'}, qr/0A000.*"title".*trigger/s, asks => 1);

#------------------------------------------------------------------------------
# Joins, CTEs, prepared statements, functions
#------------------------------------------------------------------------------

reset_service();
$node->sql(<<'SQL');
CREATE TABLE duty (id text, who text);
INSERT INTO duty VALUES ('a01', 'ann'), ('a02', 'bob'), ('a02', 'bert'), ('zz', 'nobody');
SQL
is_written(q{UPDATE defender.alerts a SET assigned_to = who FROM duty WHERE duty.id = a.id AND who <> 'bert'}, '',
	q[PATCH a01 {"assignedTo":"ann"}], q[PATCH a02 {"assignedTo":"bob"}]);
is($node->result(q{UPDATE defender.alerts a SET assigned_to = 'x' || length(who) FROM duty WHERE duty.id = a.id RETURNING a.id}), "a01\na02", 'a record is changed once');
is(scalar(grep { /a02/ } writes()), 1, '... by one request');
is_written(q{WITH closed AS (UPDATE defender.alerts SET status = 'resolved' WHERE id = 'a05' RETURNING id, status)
	INSERT INTO defender.alert_comments (alert_id, comment) SELECT id, 'is ' || status FROM closed}, '',
	q[PATCH a05 {"status":"resolved"}], 'POST a05 ' . comment('is resolved'));
is_written(q{WITH u AS (UPDATE defender.alerts a SET assigned_to = 'cte' FROM duty WHERE duty.id = a.id AND who = 'ann') SELECT 1}, '1', q[PATCH a01 {"assignedTo":"cte"}]);
is_written(q{UPDATE defender.alerts a SET status = 'resolved' FROM defender.alert_evidence e WHERE e.alert_id = a.id AND e.device_dns_name = 'ws-7'}, '',
	q[PATCH a07 {"status":"resolved"}]);
{
	my $session = $node->session;
	$session->query(q{PREPARE close (text, text) AS UPDATE defender.alerts SET status = $2 WHERE id = $1 RETURNING id, status});
	foreach my $mode (qw(force_generic_plan force_custom_plan auto))
	{
		$session->query("SET plan_cache_mode = $mode");
		is($session->query(q{EXECUTE close('a11', 'resolved')}), 'a11|resolved', "$mode: RETURNING");
		is(join("\n", writes()), q[PATCH a11 {"status":"resolved"}], "$mode: writes");
		is($session->query(q{EXECUTE close('a11', 'new')}), 'a11|new', "$mode: RETURNING again");
		writes();
		$session->{stderr} = '';
		$session->query(q{EXECUTE close('a11', 'bogus')});
		like($session->{stderr}, qr/"bogus"/, "$mode: no member");
		is(join("\n", writes()), '', "$mode: nothing is written");
	}
	$node->sql(q{ALTER SERVER graph OPTIONS (SET updatable 'false')});
	$session->{stderr} = '';
	$session->query(q{EXECUTE close('a11', 'resolved')});
	like($session->{stderr}, qr/does not allow updates/, 'a plan of before is none after');
	$node->sql(q{ALTER SERVER graph OPTIONS (SET updatable 'true')});
	$session->quit;
}
is($node->sql(<<'SQL'), '2', 'PL/pgSQL');
CREATE FUNCTION close_high(who text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE n integer;
BEGIN
	UPDATE defender.alerts SET assigned_to = who WHERE id IN ('a21', 'a22');
	GET DIAGNOSTICS n = ROW_COUNT;
	BEGIN
		UPDATE defender.alerts SET status = 'bogus' WHERE id = 'a23';
	EXCEPTION WHEN invalid_text_representation THEN NULL;
	END;
	RETURN n;
END $$;
SELECT close_high('fn');
SQL
is(join("\n", writes()), join("\n", map { qq[PATCH $_ {"assignedTo":"fn"}] } qw(a21 a22)), 'PL/pgSQL: writes');

# the role of the view's owner
$node->sql(<<'SQL');
CREATE ROLE analyst;
GRANT USAGE ON SCHEMA defender TO analyst;
CREATE VIEW shared AS SELECT id, status FROM defender.alerts;
GRANT SELECT, UPDATE ON shared TO analyst;
GRANT SELECT, UPDATE ON defender.alerts TO analyst;
SQL
is_written(q{SET ROLE analyst; UPDATE shared SET status = 'resolved' WHERE id = 'a31'}, '', q[PATCH a31 {"status":"resolved"}]);
like($node->error(q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'a32'}, before => 'SET ROLE analyst')->{text}, qr/user mapping not found/, 'a login of one\'s own');
$node->sql(q{CREATE USER MAPPING FOR analyst SERVER graph OPTIONS (access_token 'wrong')});
like($node->error(q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'a32'}, before => 'SET ROLE analyst')->{text}, qr/401/, '... is the one that is used');
is(join("\n", grep { !/401/ } writes()), '', 'nothing is written');

#------------------------------------------------------------------------------
# Tenants as partitions
#------------------------------------------------------------------------------

my $root = $emulator->url;
$node->sql(<<"SQL");
CREATE TABLE every (tenant text, id text, status text, title text) PARTITION BY LIST (tenant);
CREATE TABLE every_comment (tenant text, alert_id text, comment text) PARTITION BY LIST (tenant);
SQL
foreach my $tenant (1 .. 2)
{
	$node->sql(<<"SQL");
CREATE SERVER tenant$tenant FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$root/at/tenant$tenant', updatable 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER tenant$tenant OPTIONS (access_token 'emulator-access-token');
CREATE FOREIGN TABLE every_$tenant PARTITION OF every FOR VALUES IN ('t$tenant') SERVER tenant$tenant;
ALTER FOREIGN TABLE every_$tenant ALTER tenant OPTIONS (property 'tenantId');
CREATE FOREIGN TABLE every_comment_$tenant PARTITION OF every_comment FOR VALUES IN ('t$tenant') SERVER tenant$tenant OPTIONS (resource 'comments');
ALTER FOREIGN TABLE every_comment_$tenant ALTER tenant OPTIONS (property '../tenantId');
SQL
}
reset_service();
is_written(q{UPDATE every SET status = 'resolved' WHERE id = 'a01'}, '', q[PATCH a01 {"status":"resolved"}]);
is_written(q{UPDATE every SET status = 'new' WHERE tableoid = 'every_1'::regclass AND id = 'a01' OR tableoid = 'every_2'::regclass AND id = 'a02' RETURNING tableoid::regclass, id, status},
	"every_1|a01|new\nevery_2|a02|new", q[PATCH a01 {"status":"new"}], q[PATCH a02 {"status":"new"}]);
is_refused(q{UPDATE every SET tenant = 't2' WHERE id = 'a01'}, qr/"tenant".*cannot be set/);
is_written(q{INSERT INTO every_comment VALUES ('t1', 'a01', 'p1'), ('t2', 'a02', 'p2')}, '', 'POST a01 ' . comment('p1'), 'POST a02 ' . comment('p2'));
is_written(q{INSERT INTO every_comment VALUES ('t1', 'a03', 'p3') RETURNING alert_id, comment}, 'a03|p3', 'POST a03 ' . comment('p3'));
is_refused(q{INSERT INTO every_comment_1 VALUES ('t2', 'a01', 'x')}, qr/23514/);
is_refused(q{INSERT INTO every_comment VALUES ('t3', 'a01', 'x')}, qr/no partition/);
is_refused(q{INSERT INTO every VALUES ('t1', 'a01', 'new', 'x')}, qr/does not allow inserts/);

#------------------------------------------------------------------------------
# Tables of one's own
#------------------------------------------------------------------------------

reset_service();
$node->sql(<<'SQL');
CREATE TYPE state AS ENUM ('new', 'inProgress', 'resolved');
CREATE DOMAIN person AS varchar(20);
CREATE FOREIGN TABLE own (gone int, key char(40) OPTIONS (property 'id'), state state OPTIONS (property 'status'), again text OPTIONS (property 'status'),
	owner person OPTIONS (property 'assignedTo'), verdict char(40) OPTIONS (property 'determination'), details json OPTIONS (property 'customDetails'),
	loud text OPTIONS (property 'title') GENERATED ALWAYS AS (upper(owner)) STORED) SERVER graph;
ALTER FOREIGN TABLE own DROP COLUMN gone;
SQL
is_written(q{UPDATE own SET state = 'resolved', owner = 'ann', verdict = 'malware', details = '{"z": 1, "a" : 2}' WHERE key = 'a01' RETURNING state, owner, verdict = 'malware', details},
	'resolved|ann|t|{"a":2,"z":1}', q[PATCH a01 {"assignedTo":"ann","customDetails":{"a":2,"z":1},"determination":"malware","status":"resolved"}]);
is_written(q{UPDATE own SET again = 'new' WHERE key = 'a01' RETURNING state, again}, 'new|new', q[PATCH a01 {"status":"new"}]);
is_written(q{UPDATE own SET again = 'resolved', state = 'resolved' WHERE key = 'a01'}, '', q[PATCH a01 {"status":"resolved"}]);
is_refused(q{UPDATE own SET again = 'new', state = 'inProgress' WHERE key = 'a01'}, qr/"state" and "again".*different.*"status"/s, asks => 1);

#------------------------------------------------------------------------------
# A list that changes while it is read
#------------------------------------------------------------------------------

my $many = $ENV{GRAPH_CHANGING_ALERTS};
foreach my $case ([ 100, $many || 600, q{status = 'new'} ], [ 100, $many || 600, q{status <> 'new' AND last_update_date_time > '2026-01-01'} ],
	[ 1000, $many || 1100, q{status = 'new'} ])
{
	my ($size, $count, $where) = @$case;
	my $from = $where =~ /^status = 'new'/ ? 'new' : 'resolved';
	my $to = $from eq 'new' ? 'resolved' : 'new';

	$emulator->reset;
	$emulator->set_alerts(map { alert(id => sprintf('m%04d', $_), status => $from, severity => 'low', createdDateTime => minute($_), lastUpdateDateTime => minute($_)) } 1 .. $count);
	$emulator->clear;
	$node->set_server(page_size => $size, concurrency => 8);
	is($node->result("UPDATE defender.alerts SET status = '$to' WHERE $where"), '', "$count alerts by $size, $where: no error");
	my %times;
	$times{$_}++ foreach map { /PATCH (\w+)/ } writes();
	is(scalar(keys %times), $count, '... none is skipped');
	is((grep { $_ > 1 } values %times) + 0, 0, '... or changed twice');
}
$node->set_server(page_size => undef);

#------------------------------------------------------------------------------
# How fast
#------------------------------------------------------------------------------

foreach my $returning ('', ' RETURNING id')
{
	$emulator->reset;
	$emulator->set_alerts(map { alert(id => sprintf('m%04d', $_), status => 'new', createdDateTime => minute($_), lastUpdateDateTime => minute($_)) } 1 .. 200);
	$node->sql('SELECT 1');
	my $session = $node->session;
	$session->query('SELECT count(*) FROM defender.alerts LIMIT 1');
	$emulator->settings(latency_ms => 100);
	my $start = time;
	$session->query("UPDATE defender.alerts SET status = 'resolved'$returning");
	my $took = time - $start;
	$emulator->settings(latency_ms => 0);
	$session->quit;
	my @writes = grep { /^PATCH/ } writes();
	is(scalar @writes, 200, "200 updates$returning");
	cmp_ok($took - 0.1, '<=', 1.3 * 200 / 8 * 0.1, sprintf "... in %.2f s, the first page included", $took);
}

done_testing();
