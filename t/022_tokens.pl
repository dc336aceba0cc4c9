
# Tokens: kept for whom, for how long, renewed when.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use GraphLogin qw(set_mapping);
use OddServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 40);
my $count = q{SELECT count(DISTINCT id || '') FROM defender.alerts};
my %main = (tenant_id => $TENANT, %{ $APP{main} });
my $node = GraphCluster->connected_to($emulator, mapping => \%main);
my $session = $node->session;

sub run
{
	my ($query) = @_;
	my ($output) = $session->query($query);
	my $error = $session->{stderr};

	$session->{stderr} = '';
	return $output . $error;
}

# The logins since the last call.
sub logins
{
	my $found = grep { m{/oauth2/} } $emulator->requests;
	$emulator->clear;
	return $found;
}

# The tokens that came with the requests since the last call.
sub bearers
{
	my %found;

	$found{ $_->{headers}{authorization} }++
	  foreach grep { $_->{path} =~ m{/security/} } $emulator->records;
	$emulator->clear;
	return %found;
}

$emulator->clear;
run($count) foreach 1 .. 3;
is(logins(), 1, 'one login serves the session');
run('SELECT count(*) FROM defender.alerts a JOIN defender.alerts b USING (id) JOIN defender.alert_evidence e ON e.alert_id = a.id');
is(logins(), 0, 'and several scans');

#------------------------------------------------------------------------------
# Renewal
#------------------------------------------------------------------------------

# without order_pushdown the list is followed by its links
$node->set_server(page_size => 10, order_pushdown => 'false');
run($count);
$emulator->clear;
$emulator->fault(kind => 'expired_token', path => 'skiptoken', nth => 2);
is(run($count), 41, 'a token that expires in the middle is replaced, and nothing is lost');
is(logins(), 1, 'by one login');

$emulator->control('POST', 'tokens/expire');
run(<<'SQL');
BEGIN;
DECLARE a CURSOR FOR SELECT id FROM defender.alerts;
DECLARE b CURSOR FOR SELECT id FROM defender.alerts;
SQL
$emulator->clear;
run('FETCH 1 FROM a; FETCH 1 FROM b;');
is(scalar(my @a = split(/\n/, run('FETCH ALL FROM a'))), 40, 'one of two scans');
is(scalar(my @b = split(/\n/, run('FETCH ALL FROM b'))), 40, 'the other');
is(logins(), 1, 'share one renewal');
run('COMMIT');

my @ids = map { /"id":"([^"]+)"/ } ($emulator->alerts)[ 0 .. 11 ];
my $lookups = 'SELECT count(title) FROM defender.alerts WHERE id IN (' . join(', ', map { "'$_'" } @ids) . ')';
run($lookups);
$emulator->control('POST', 'tokens/expire');
$emulator->settings(latency_ms => 50);
$emulator->clear;
is(run($lookups), 12, 'several requests at once are refused');
my @refused = grep { $_->{status} == 401 } $emulator->records;
cmp_ok(scalar(@refused), '>', 1, 'all of them');
is(logins(), 1, 'and share one renewal');
$emulator->settings(latency_ms => 0);

$emulator->fault(kind => 'status', code => 401, path => '/security/', times => -1);
like(run($count), qr/28000.*status 401/s, 'a token that is refused again is an error');
is(logins(), 1, 'after one renewal');
$emulator->no_fault;

# One that was taken before may be taken again, but not for ever.
$node->set_server(max_retries => 1);
$emulator->fault(kind => 'status', code => 401, path => 'skiptoken', times => -1);
like(run("SET statement_timeout = '20s'; $count"), qr/28000.*status 401/s, 'a token that is refused from the second page on is an error');
is(scalar(grep { /skiptoken/ } $emulator->requests), 3, 'after one renewal and one attempt more');
run('RESET statement_timeout');
$node->set_server(max_retries => undef);
$emulator->no_fault;
$emulator->clear;

$emulator->settings(token_lifetime => 1);
$node->set_server(page_size => undef);
run($count);
$emulator->clear;
run($count);
run('SELECT pg_sleep(1.1)');
run($count);
cmp_ok(logins(), '>=', 1, 'a token is not used after its time');
$emulator->settings(token_lifetime => 3599);

#------------------------------------------------------------------------------
# The token endpoint has its troubles
#------------------------------------------------------------------------------

run('SELECT graph_fdw_disconnect()');
$emulator->clear;
$emulator->fault(kind => 'status', code => 429, path => '/oauth2/', times => 1, retry_after => 1);
is(run($count), 41, 'throttled: later');
is(logins(), 2, 'once');
run('SELECT graph_fdw_disconnect()');
$emulator->fault(kind => 'close', path => '/oauth2/', times => 1);
is(run($count), 41, 'no answer: again');
run('SELECT graph_fdw_disconnect()');
$emulator->fault(kind => 'html', path => '/oauth2/', times => 1);
like(run($count), qr/could not read the answer of server "graph"/, 'a page of a gateway is no token');
$emulator->fault(kind => 'redirect', path => '/oauth2/', times => 1, url => 'http://127.0.0.1:1/');
like(run($count), qr/a redirect.*Redirects are not followed/s, 'a redirect is not followed');
$emulator->fault(kind => 'status', code => 503, path => '/oauth2/', times => -1, retry_after => 3600);
like(run($count), qr/could not log in.*status 503.*asks to wait 3600 seconds/s, 'and nobody waits for an hour');
$emulator->no_fault;

#------------------------------------------------------------------------------
# What ends a token
#------------------------------------------------------------------------------

sub ended_by
{
	my ($name, $logins, $query) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	run($count);
	$emulator->clear;
	$query->();
	run($count);
	is(logins(), $logins, $name);
	return;
}

ended_by('nothing', 0, sub { });
ended_by('a change of the mapping', 1,
	sub { $node->sql(q{ALTER USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (SET tenant_id 'contoso.test')}) });
ended_by('a change of the server', 1, sub { $node->set_server(connect_timeout => '9s') });
ended_by('a change of another mapping', 0,
	sub { $node->sql(q{CREATE ROLE somebody; CREATE USER MAPPING FOR somebody SERVER graph OPTIONS (access_token 'x')}) });
ended_by('graph_fdw_disconnect(server)', 1, sub { is(run(q{SELECT graph_fdw_disconnect('graph')}), 't', 'there was something') });
ended_by('graph_fdw_disconnect()', 1, sub { run('SELECT graph_fdw_disconnect()') });
ended_by('another server', 0, sub {
		$node->sql('CREATE SERVER other FOREIGN DATA WRAPPER graph_fdw');
		run(q{SELECT graph_fdw_disconnect('other')});
	});

# with a scan under way
run("BEGIN; DECLARE c CURSOR FOR SELECT id FROM defender.alerts;");
run('FETCH 1 FROM c');
run('SELECT graph_fdw_disconnect()');
is(scalar(my @rest = split(/\n/, run('FETCH ALL FROM c'))), 40, 'a scan under way goes on');
run('COMMIT');
$emulator->clear;
run($count);
run($count);
my %connections = map { $_->{connection} => 1 } $emulator->records;
is(scalar(keys %connections), 1, 'connections are kept');
run('SELECT graph_fdw_disconnect()');
run($count);
isnt(($emulator->records)[-1]{connection}, (keys %connections)[0], 'until they are dropped');

#------------------------------------------------------------------------------
# Whose token
#------------------------------------------------------------------------------

$node->sql(<<'SQL' . 'CREATE USER MAPPING FOR reader SERVER graph ' . options(tenant_id => $TENANT, %{ $APP{read_only} }));
CREATE ROLE reader;
GRANT USAGE ON SCHEMA defender TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA defender TO reader;
CREATE VIEW defender.seen AS SELECT id FROM defender.alerts;
GRANT SELECT ON defender.seen TO reader;
CREATE FUNCTION defender.counted() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM defender.alerts';
CREATE MATERIALIZED VIEW defender.kept AS SELECT id FROM defender.alerts;
CREATE TABLE defender.guarded AS SELECT 1 AS n;
ALTER TABLE defender.guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON defender.guarded USING ((SELECT count(*) FROM defender.alerts) = 41);
GRANT SELECT ON defender.guarded TO reader;
SQL
$emulator->clear;
run($count);
my ($owners) = keys %{ { bearers() } };
run('SET ROLE reader');
run($count);
my ($readers) = keys %{ { bearers() } };
isnt($readers, $owners, 'roles with mappings of their own have tokens of their own');
run('SELECT count(*) FROM defender.seen');
is_deeply([ keys %{ { bearers() } } ], [$owners], 'a view asks as its owner');
run('SELECT defender.counted()');
is_deeply([ keys %{ { bearers() } } ], [$owners], 'so does a security definer function');
is(run('SELECT n FROM defender.guarded'), 1, 'a policy');
is_deeply([ keys %{ { bearers() } } ], [$readers], 'asks as whoever it is applied to');
run('SELECT count(*) FROM defender.seen JOIN defender.alerts USING (id)');
is_deeply([ sort(keys %{ { bearers() } }) ], [ sort $owners, $readers ], 'in one query, each as its own');
run('SELECT count(*) FROM defender.alerts a JOIN defender.alert_evidence e ON e.alert_id = a.id');
is_deeply([ keys %{ { bearers() } } ], [$readers], 'a join of two tables');
run('RESET ROLE');
run('REFRESH MATERIALIZED VIEW defender.kept');
is_deeply([ keys %{ { bearers() } } ], [$owners], 'a materialized view as its owner');

run('CREATE ROLE nobody; GRANT USAGE ON SCHEMA defender TO nobody; GRANT SELECT ON ALL TABLES IN SCHEMA defender TO nobody; SET ROLE nobody');
like(run($count), qr/42704.*user mapping not found.*for the role that the query runs as/s, 'a role without a mapping');

#------------------------------------------------------------------------------
# Answers with a token and without
#------------------------------------------------------------------------------

run('RESET ROLE');
my $good = '"access_token":"emulator-access-token"';
my @answers = (
	[ 'a token and nothing else' => "{$good}" ],
	[ 'a byte order mark'        => "\xEF\xBB\xBF{$good}" ],
	[ 'Bearer in any case'       => qq({$good,"token_type":"bEARER"}) ],
	[ 'a life in a string'       => qq({$good,"expires_in":"3599"}) ],
	[ 'a life in words'          => qq({$good,"expires_in":"an hour"}) ],
	[ 'a life of a millennium'   => qq({$good,"expires_in":1e300}) ],
	[ 'an end in 2100'           => qq({$good,"expires_on":"4102444800"}) ],
	[ 'a life that is over'      => qq({$good,"expires_in":-5}) ],
	[ 'an end that is over'      => qq({$good,"expires_on":17}) ],
	[ 'no JSON'                  => '<html>', 'the answer is not a JSON object' ],
	[ 'an array'                 => "[$good]" =~ tr/:/,/r, 'the answer is not a JSON object' ],
	[ 'no token'                 => '{"token_type":"Bearer"}', 'access_token is missing' ],
	[ 'a token that is a number' => '{"access_token":17}', 'access_token is missing' ],
	[ 'an empty token'           => '{"access_token":""}', 'access_token is empty' ],
	[ 'a token of two lines'     => '{"access_token":"a\r\nX: y"}', 'access_token has characters that a header cannot have' ],
	[ 'a token with a zero'      => '{"access_token":"a\u0000b"}', 'access_token has characters that a header cannot have' ],
	[ 'a token with a letter'    => '{"access_token":"\u00e9"}', 'access_token has characters that a header cannot have' ],
	[ 'another type'             => qq({$good,"token_type":"mac"}), 'token_type is not Bearer' ],
	[ 'a type that is a number'  => qq({$good,"token_type":1}), 'token_type is not Bearer' ]);
my $authority = OddServer->new(
	sub {
		my ($socket, $request) = @_;
		my ($case) = $request =~ m{^POST /(\d+)/};

		OddServer::answer($socket, 200, $answers[$case][1]);
	},
	read => 1);

$node->set_server(max_retries => 0);
set_mapping($node, %main);
foreach my $i (0 .. $#answers)
{
	my ($name, undef, $problem) = @{ $answers[$i] };

	$node->set_server(authority => $authority->url . "/$i");
	my $text = run($count);
	if ($problem) { like($text, qr/The token answer is not valid: \Q$problem\E\./, "answer of the token endpoint: $name"); }
	else { is($text, 41, "answer of the token endpoint: $name"); }
}
$session->quit;
done_testing();
