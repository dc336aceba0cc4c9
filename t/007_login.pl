
# Whose token goes with a request, and when is there a new one?
#
# A login costs a request, so a token is kept as long as it is good; but never
# for another role, and not after the user mapping has changed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 25, '--no-sample');
my $node = GraphCluster->connected_to($emulator,
	server  => { page_size => 10, concurrency => 1, tenant_id => $TENANT },
	mapping => $APP{main});
my $log_in = "POST /$TENANT/oauth2/v2.0/token";
my $page = qr{^GET /v1\.0/security/alerts_v2\?};
my $lookup = 'GET /v1.0/security/alerts_v2/x';
my $list = 'SELECT count(*) FROM (SELECT * FROM defender.alerts OFFSET 0) AS a';
my $key = q{SELECT title FROM defender.alerts WHERE id = 'x'};

# The result of a query in a session, or the message of its error.
sub ask
{
	my ($session, $query) = @_;

	$session->{stderr} = '';
	my $rows = $session->query($query);
	return $session->{stderr} =~ /^(?:psql:\S+ )?ERROR:  (.*)/m ? $1 : $rows;
}

# The tokens of the requests to the service so far, each as a letter.
sub tokens
{
	my %letter;
	my $next = 'A';

	return join '', map { $letter{$_} //= $next++ }
	  grep { defined } map { $_->{headers}{authorization} } $emulator->records;
}

sub statuses
{
	return join ' ', map { $_->{status} } $emulator->records;
}

#------------------------------------------------------------------------------
# One role, one token
#------------------------------------------------------------------------------

my $session = $node->session;
is(ask($session, $list), 25, 'a login and a list');
my @records = $emulator->records;
is_deeply([ sort @{ $records[0]{body_fields} } ], [qw(client_id client_secret grant_type scope)], 'the login: its form');
is($records[0]{headers}{'content-type'}, 'application/x-www-form-urlencoded', 'the login: its type');
ok(!exists $records[0]{headers}{authorization}, 'the login: no token');
is($records[0]{headers}{'x-ms-lib-capability'}, 'retry-after, h429', 'the login: that we wait when we are asked to');
foreach my $record (@records[ 1 .. 3 ])
{
	like($record->{headers}{authorization}, qr/^Bearer /, 'a page: the token');
	is($record->{headers}{prefer}, 'include-unknown-enum-members', 'a page: all members of enums');
	like($record->{headers}{accept}, qr{^application/json}, 'a page: JSON');
	ok(!exists $record->{headers}{'x-ms-lib-capability'}, 'a page: nothing that is meant for the login');
}
my @ids = map { $_->{headers}{'client-request-id'} // '' } @records;
is(scalar(grep { /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/ } @ids), 4, 'login and pages: each has an id');
is(scalar(keys %{ { map { $_ => 1 } @ids } }), 4, 'each its own');
is(scalar(keys %{ { map { $_->{connection} => 1 } @records } }), 1, 'all on one connection');
$emulator->is_requests('a login and a list', $log_in, ($page) x 3);

ask($session, "$key; $key; $list");
$emulator->is_requests('the token is kept', ($lookup) x 2, ($page) x 3);
ask($session, "$key UNION ALL $key");
$emulator->is_requests('also for two scans of a query', ($lookup) x 2);
ask($session, "BEGIN; $key; ROLLBACK; $key");
$emulator->is_requests('also over a rollback', ($lookup) x 2);
$node->result($key);
$emulator->is_requests('another session has its own', $log_in, $lookup);
ask($session, "EXPLAIN (VERBOSE) $key; SELECT 1");
$emulator->is_requests('no login for a plan');
ask($session, "SELECT title FROM defender.alerts WHERE id = NULL");
$emulator->is_requests('no login without a request');

# Renewed in time, so that no request is refused.
$emulator->settings(token_lifetime => 2);
my $short = $node->session;
ask($short, "$key; $key; SELECT pg_sleep(2.1); $key");
is(statuses(), '200 404 404 200 404', 'a token that expires: none refused');
$emulator->is_requests('a token that expires', $log_in, ($lookup) x 2, $log_in, $lookup);
$short->quit;
$emulator->reset;

# Refused nevertheless: one new token, one more try.
$session->quit;
$session = $node->session;
$emulator->fault(kind => 'expired_token', nth => 2);
is(ask($session, $list), 25, '401 in a list');
is(statuses(), '200 200 401 200 200 200', '401 in a list: answers');
is(tokens(), 'AABB', '401 in a list: tokens');
$emulator->is_requests('401 in a list', $log_in, ($page) x 2, $log_in, ($page) x 2);
$emulator->fault(kind => 'expired_token');
is(ask($session, $key), '', '401 on a lookup');
$emulator->is_requests('401 on a lookup', $lookup, $log_in, $lookup);
$emulator->fault(kind => 'expired_token', times => -1);
like(ask($session, $key), qr/^28000: .*status 401/, '401 again and again');
$emulator->is_requests('401 again and again', $lookup, $log_in, $lookup);
$emulator->reset;

# A token that dies while a cursor is open.
is(ask($session, 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM defender.alerts; MOVE 10 c'), '', 'a cursor');
$emulator->clear;
$emulator->control('POST', 'tokens/expire');
is(ask($session, 'MOVE ALL c; COMMIT'), '', 'a cursor goes on');
like(join(' ', statuses()), qr/^401 200 200 200$|^200 401 200 200$/, 'with another token');
$session->quit;
$emulator->reset;

# The id that was sent is in the error, whatever has become of the request.
sub names_request
{
	my ($name, $query, %fault) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$emulator->clear;
	$emulator->fault(times => 1, %fault);
	my $text = $node->error($query)->{text};
	my $id = ($emulator->records)[-1]{headers}{'client-request-id'};
	like($text, qr/^Microsoft Graph request: .*\(client-request-id $id\)$/m, "$name: its id");
	$emulator->no_fault;
	$emulator->clear;
	return;
}

$node->set_server(max_retries => 0, request_timeout => '500ms');
names_request('a refusal', $list, kind => 'status', code => 400, times => -1);
names_request('a refused lookup', $key, kind => 'status', code => 403);
names_request('a lost connection', $list, kind => 'cut');
names_request('a silence', $list, kind => 'stall', after => 100);
names_request('an incomplete answer', $list, kind => 'partial');
names_request('a warning', $list, kind => 'warning');
names_request('the third page', $list, kind => 'value_missing', nth => 3);
names_request('a link that leads back', $list, kind => 'next_link_loop', times => -1);
names_request('a link that is none', $list, kind => 'next_link', form => 'number');
names_request('an answer that is none', $list, kind => 'html');
names_request('a login that is refused', $list, kind => 'status', code => 400, path => 'oauth2');
names_request('a login without an answer', $list, kind => 'close', path => 'oauth2');
names_request('a login whose answer is none', $list, kind => 'html', path => 'oauth2');
$emulator->fault(kind => 'status', code => 400, times => 1);
my $checked = $node->sql(q{SELECT detail FROM graph_fdw_check('graph') WHERE step = 'permission'});
my $checked_id = ($emulator->records)[-1]{headers}{'client-request-id'};
like($checked, qr/status 400.*\(client-request-id $checked_id\)\.$/, 'graph_fdw_check() shows it as well');
$node->set_server(max_retries => undef, request_timeout => undef);
$emulator->reset;

#------------------------------------------------------------------------------
# The other login
#------------------------------------------------------------------------------

sub map_role
{
	my ($role, %options) = @_;
	my $options = options(%options);

	$node->sql("DROP USER MAPPING IF EXISTS FOR $role SERVER graph; CREATE USER MAPPING FOR $role SERVER graph $options");
	$emulator->clear;
	return;
}

map_role('CURRENT_USER', access_token => 'emulator-access-token');
is($node->result($list), 25, 'a token that is given');
$emulator->is_requests('a token that is given', ($page) x 3);
$emulator->fault(kind => 'expired_token', times => -1);
my $error = $node->error($key);
is($error->{state}, '28000', 'a token that is given, 401');
like($error->{hint}, qr/"access_token" has expired/, 'a token that is given, 401: hint');
$emulator->is_requests('a token that is given, 401', $lookup);
$emulator->reset;

map_role('CURRENT_USER', %{ $APP{main} }, tenant_id => 'contoso.test');
$node->result($key);
$emulator->is_requests('the tenant of the mapping', 'POST /contoso.test/oauth2/v2.0/token', $lookup);
$node->set_server(tenant_id => undef);
map_role('CURRENT_USER', %{ $APP{main} });
$error = $node->error($key);
is($error->{state}, 'HV002', 'no tenant');
like($error->{hint}, qr/"tenant_id"/, 'no tenant: hint');
$emulator->is_requests('no tenant');
$node->set_server(tenant_id => $TENANT);

#------------------------------------------------------------------------------
# A mapping that changes
#------------------------------------------------------------------------------

$session = $node->session;
ask($session, "SET plan_cache_mode = force_generic_plan; PREPARE p AS $key; EXECUTE p; $key");
$emulator->is_requests('before', $log_in, ($lookup) x 2);
foreach my $by ($session, undef)
{
	my $name = $by ? 'changed here' : 'changed elsewhere';
	my $change = sub { $by ? ask($by, $_[0]) : $node->sql($_[0]) };

	$change->(q{ALTER USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (SET client_secret 'wrong')});
	like(ask($session, $key), qr/^28000: could not log in/, "$name: wrong");
	like(ask($session, 'EXECUTE p'), qr/^28000: could not log in/, "$name: wrong, prepared");
	$emulator->is_requests("$name: wrong", ($log_in) x 2);
	$change->(qq{ALTER USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (SET client_secret '$APP{main}{client_secret}')});
	is(ask($session, $key), '', "$name: right");
	is(ask($session, 'EXECUTE p'), '', "$name: right, prepared");
	$emulator->is_requests("$name: right", $log_in, ($lookup) x 2);
	$change->(qq{ALTER USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (ADD tenant_id 'contoso.test')});
	is(ask($session, $key), '', "$name: another tenant");
	$emulator->is_requests("$name: another tenant", 'POST /contoso.test/oauth2/v2.0/token', $lookup);
	$change->('ALTER USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (DROP tenant_id)');
	ask($session, $key);
	$emulator->clear;
}
$node->set_server(authority => $emulator->url . '/at/elsewhere');
ask($session, $key);
is(join(' ', map { $_->{prefix} } $emulator->records), '/at/elsewhere ', 'another authority');
$node->set_server(authority => $emulator->url, endpoint => $emulator->url . '/at/other');
ask($session, $key);
is((map { $_->{prefix} } $emulator->records)[-1], '/at/other', 'another endpoint');
$node->set_server(endpoint => $emulator->url);
$node->sql('DROP USER MAPPING FOR CURRENT_USER SERVER graph');
like(ask($session, 'EXECUTE p'), qr/^42704: user mapping not found/, 'dropped');
$session->quit;
$emulator->clear;

#------------------------------------------------------------------------------
# Roles
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE ROLE reader; CREATE ROLE other; CREATE ROLE nobody;
GRANT USAGE ON SCHEMA defender TO PUBLIC; GRANT SELECT ON defender.alerts TO PUBLIC;
CREATE VIEW owned AS SELECT title FROM defender.alerts WHERE id = 'x';
CREATE VIEW invoked WITH (security_invoker = true) AS SELECT title FROM defender.alerts WHERE id = 'x';
CREATE FUNCTION defined() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$ SELECT count(*) FROM defender.alerts WHERE id = 'x' $$;
CREATE MATERIALIZED VIEW kept AS SELECT title FROM defender.alerts WHERE id = 'x' WITH NO DATA;
GRANT SELECT ON owned, invoked, kept TO PUBLIC;
SQL
map_role('CURRENT_USER', %{ $APP{main} });
map_role('reader', %{ $APP{read_only} });
map_role('other', %{ $APP{no_roles} });

$error = $node->error($key, before => 'SET ROLE nobody');
is($error->{state}, '42704', 'no mapping');
like($error->{message}, qr/^user mapping not found/, 'no mapping: message');
like($error->{hint}, qr/user mapping.*owner/, 'no mapping: hint');
$emulator->is_requests('no mapping');

is($node->result("SET ROLE nobody; SELECT * FROM owned; SELECT defined()"), '0', 'by a view, and by a function');
is(tokens(), 'AA', 'the mapping of its owner');
$emulator->clear;
is($node->error('SELECT * FROM invoked', before => 'SET ROLE nobody')->{state}, '42704', 'a view of the invoker\'s');
$emulator->is_requests('a view of the invoker\'s');
is($node->result('REFRESH MATERIALIZED VIEW kept'), '', 'a materialized view');
$emulator->is_requests('a materialized view', $log_in, $lookup);
is($node->result('SET ROLE reader; SELECT title FROM owned; SELECT * FROM invoked; RESET ROLE; SELECT * FROM invoked'), '', 'owner and invoker');
is(tokens(), 'ABA', 'each by the right token');
$emulator->clear;

# In one session, in one query, and in a prepared statement.
$session = $node->session;
is(ask($session, "SET ROLE reader; $key"), '', 'one role');
like(ask($session, "SET ROLE other; $key"), qr/^42501: .*status 403/, 'one that may not');
is(ask($session, "RESET ROLE; $key"), '', 'one that may');
is(ask($session, "SET ROLE reader; $key"), '', 'the first again');
is(tokens(), 'ABCA', 'each with its own token');
$emulator->is_requests('roles', ($log_in, $lookup) x 3, $lookup);
is(ask($session, 'SELECT count(*) FROM (SELECT * FROM owned UNION ALL SELECT * FROM invoked) AS v'), 0, 'two in one query');
is(tokens(), 'AB', 'two in one query: tokens');
$emulator->is_requests('two in one query', ($lookup) x 2);
is(ask($session, "SET plan_cache_mode = force_generic_plan; PREPARE p AS $key; EXECUTE p"), '', 'prepared by one');
like(ask($session, 'SET ROLE other; EXECUTE p'), qr/^42501/, 'executed by another');
is(ask($session, 'RESET ROLE; EXECUTE p'), '', 'and by a third');
is(tokens(), 'ABC', 'prepared: tokens');
$emulator->clear;

# The same application for two roles: still two tokens.
map_role('other', %{ $APP{read_only} });
ask($session, "SET ROLE reader; $key; SET ROLE other; $key");
is(tokens(), 'AB', 'one application, two roles');
map_role('PUBLIC', %{ $APP{main} });
is(ask($session, "SET ROLE nobody; $key"), '', 'a mapping for all');
$session->quit;

done_testing();
