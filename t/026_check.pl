
# graph_fdw_check(): a row for each step, and what to do about the first that
# fails.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use GraphLogin qw(set_mapping);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $emulator = GraphEmulator->new('--alerts', 5);
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 0 },
	mapping => { tenant_id => $TENANT, %{ $APP{main} } });
my $check = q{SELECT step, ok, detail, hint FROM graph_fdw_check('graph')};

# The check is good up to a step, and says this of the next one.
sub fails_at
{
	my ($name, $failing, @patterns) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @steps = ('options', 'login', 'permission', 'first page', 'access');
	my %row = map { my @columns = split /\|/, $_, 4; $columns[0] => \@columns } split /\n/, $node->sql($check);
	my $seen = 0;
	my @expected = map { my $before = !$seen; $seen ||= $_ eq $failing; [ $_, $before && $_ ne $failing ? 't' : 'f' ] } @steps;

	is_deeply([ map { [ @{ $row{$_} }[ 0, 1 ] ] } @steps ], \@expected, $name) || diag explain \%row;
	like(join("\n", @{ $row{$failing} }[ 2, 3 ]), $_, $name) foreach @patterns;
	is($row{access}[2], 'not tried', "$name: the rest is not tried") if $failing ne 'access';
	return;
}

like($node->sql($check), qr/^options\|t\|cloud "global", service .*, login by client secret at \Q@{[ $emulator->url ]}\E in tenant 1111.*\|
login\|t\|the token is used until 20\d\d.*\|
permission\|t\|.*\(status 200\)\|
first page\|t\|an alert was read\|
access\|t\|alerts: read, incidents: read \(the token does not say whether they may be written\)\|$/, 'all is well');
$emulator->is_requests('three requests', "POST /$TENANT/oauth2/v2.0/token", map { "GET /v1.0/security/$_?\$top=1" } qw(alerts_v2 incidents));
$node->sql("$check; $check");
is(scalar(grep { /oauth2/ } $emulator->requests), 2, 'each check logs in anew');

# What may be done: by what the token says, else by a request
sub access { return (grep { /^access/ } split /\n/, $node->sql($check))[0] }

set_mapping($node, tenant_id => $TENANT, %{ $APP{alerts_only} });
like(access(), qr/^access\|t\|alerts: read, incidents: nothing \(the token does not say.*\|To read incidents, grant .*SecurityIncident\.Read\.All /, 'incidents are refused');
$emulator->settings(token_form => 'jwt');
$emulator->clear;
like(access(), qr/^access\|t\|alerts: read, incidents: nothing \(as the token says\)\|To read incidents, /, 'as the token says');
is(scalar(grep { /incidents/ } $emulator->requests), 0, 'which makes no request');
set_mapping($node, tenant_id => $TENANT, %{ $APP{read_only} });
like(access(), qr/\|alerts: read, incidents: read \(as the token says\)\|$/, 'an app that reads');
$node->set_server(updatable => 'true');
like(access(), qr/\|alerts: read, incidents: read \(as the token says\)\|To change alerts, .*SecurityAlert\.ReadWrite\.All /, 'an app that reads, where writing is allowed');
$node->set_server(updatable => undef);
set_mapping($node, tenant_id => $TENANT, %{ $APP{main} });
like(access(), qr/\|alerts: read and write, incidents: read and write \(as the token says\)\|$/, 'an app that writes');
set_mapping($node, tenant_id => $TENANT, client_id => $APP{main}{client_id}, refresh_token => 'emulator-refresh-token');
like(access(), qr/\|alerts: read and write, incidents: read and write \(as the token says\)\|$/, 'a person that writes');
$emulator->settings(token_form => 'opaque');
set_mapping($node, tenant_id => $TENANT, %{ $APP{main} });
$emulator->fault(kind => 'status', code => 404, path => '/incidents', times => 1);
like(access(), qr/^access\|t\|alerts: read, incidents: nothing/, 'a cloud without incidents');
$emulator->fault(kind => 'status', code => 500, path => '/incidents', times => 1);
like(access(), qr/^access\|f\|.*status 500/, 'nobody can tell');
$emulator->no_fault;
$emulator->settings(token_form => 'odd');
like(access(), qr/^access\|t\|alerts: read, incidents: read \(the token does not say/, 'a token that looks like one that says it');
$emulator->settings(token_form => 'opaque');

set_mapping($node, tenant_id => $TENANT, %{ $APP{no_roles} });
fails_at('no permission', 'permission', qr/status 403/, qr/SecurityAlert\.Read\.All.*admin consent/s);
set_mapping($node, tenant_id => $TENANT, client_id => $APP{main}{client_id}, client_secret => 'planted-wrong-secret');
fails_at('a wrong secret', 'login', qr/AADSTS7000215/, qr/the secret's value/);
unlike($node->sql($check), qr/planted/, 'it shows no secret');
set_mapping($node, %{ $APP{main} });
fails_at('no tenant', 'options', qr/option "tenant_id" is missing/, qr/on the user mapping or on server/);
$node->sql('DROP USER MAPPING FOR CURRENT_USER SERVER graph');
fails_at('no mapping', 'options', qr/user mapping not found/, qr/Create a user mapping for the role/);
set_mapping($node, tenant_id => $TENANT, client_id => $APP{main}{client_id});
fails_at('nobody logged in', 'login', qr/not logged in/, qr/graph_fdw_login/);
set_mapping($node, access_token => 'planted-wrong-token');
fails_at('a wrong access token', 'permission', qr/status 401/, qr/"access_token" has expired/);
set_mapping($node, access_token => 'emulator-access-token');
$emulator->fault(kind => 'value_missing', times => 1);
fails_at('an answer without alerts', 'first page', qr/no array "value"/);
$emulator->fault(kind => 'partial', times => 1);
fails_at('an incomplete answer', 'first page', qr/incomplete answer/, qr/\nThe column "detail" has the cause\.$/);
$emulator->fault(kind => 'html', times => 1);
fails_at('a gateway', 'first page', qr/malformed/);
$node->set_server(endpoint => 'http://127.0.0.1:1');
fails_at('nobody there', 'permission', qr/could not connect to "http:\/\/127.0.0.1:1"/);
$node->set_server(endpoint => $emulator->url, cloud => 'china');
fails_at('china', 'options', qr/does not offer security alerts in cloud "china"/, qr/set the option "cloud"/);
$node->set_server(cloud => 'global');
is($node->error(q{SELECT * FROM graph_fdw_check('none')})->{state}, '42704', 'no such server');

$emulator->control('DELETE', 'alerts');
like($node->sql($check), qr/^first page\|t\|there are no alerts\|$/m, 'an empty service');

# It tries once, whatever queries do
$node->set_server(max_retries => undef, endpoint => 'http://127.0.0.1:1', authority => 'http://127.0.0.1:1');
set_mapping($node, tenant_id => $TENANT, %{ $APP{main} });
my $begun = time;
fails_at('nobody there, asked once', 'login', qr/could not connect/);
cmp_ok(time - $begun, '<', 2, 'which is known at once');
set_mapping($node, access_token => 'emulator-access-token');
$node->set_server(max_retries => 0, endpoint => $emulator->url, authority => $emulator->url);

# A role that has a mapping and SELECT, and no USAGE, may check as it may query:
# it is told nothing of the mapping, nor of what it cannot select
sub as_ben { return $node->sql("SET ROLE ben; $_[0]") }

$node->sql('CREATE ROLE ben; GRANT USAGE ON SCHEMA defender TO ben; CREATE USER MAPPING FOR ben SERVER graph ' . options(tenant_id => $TENANT, %{ $APP{main} }));
$emulator->clear;
like(as_ben($check), qr/^options\|f\|permission denied for foreign server graph\|A role that has a user mapping needs SELECT .* and no more\..*GRANT USAGE .* Then ben also sees and can change the options .*, and a secret in it\.$/m, 'no SELECT: the hint says what it gives away');
$emulator->is_requests('nothing is asked');
$node->sql('GRANT SELECT (id) ON defender.incidents TO ben');
my $seen = as_ben($check);
like($seen, qr/^options\|t\|cloud "global", service .*, login by a user mapping that this role may not see; .*\|
login\|t\|the token is used until 20\d\d.*\|
permission\|t\|the service lets the application read incidents \(status 200\)\|
first page\|t\|the answer is whole\|
access\|t\|incidents: read \(the token does not say whether they may be written\)\|$/, 'a column of a table is enough');
unlike($seen, qr/alerts|\Q$TENANT\E|client secret/, 'and nothing is told of the rest');
$emulator->is_requests('nor asked', "POST /$TENANT/oauth2/v2.0/token", 'GET /v1.0/security/incidents?$top=1');
$node->sql('REVOKE ALL ON defender.incidents FROM ben; GRANT SELECT ON defender.device_evidence TO ben');
like(as_ben($check), qr/^permission\|t\|the service lets the application read alerts .*^access\|t\|alerts: read \(/ms, 'a part of alerts is read with them');
$node->sql('REVOKE USAGE ON SCHEMA defender FROM ben');
like(as_ben($check), qr/^options\|f\|permission denied for foreign server graph/, 'a table that cannot be named is none');
$node->sql('GRANT USAGE ON SCHEMA defender TO ben; DROP USER MAPPING FOR ben SERVER graph; CREATE USER MAPPING FOR PUBLIC SERVER graph ' . options(tenant_id => $TENANT, %{ $APP{main} }));
like(as_ben($check), qr/^options\|t\|.*^access\|t\|alerts: read \(/ms, 'the mapping may be for PUBLIC');
$node->sql('DROP USER MAPPING FOR PUBLIC SERVER graph');
like(as_ben($check), qr/^options\|f\|user mapping not found/, 'but there has to be one');

# a step that fails leaves nothing behind, and a cancel is a cancel
is($node->sql(q{BEGIN; CREATE TEMP TABLE kept AS SELECT 1 AS n; SELECT count(*) FROM graph_fdw_check('graph') WHERE NOT ok; SELECT n FROM kept; COMMIT}),
	"0\n1", 'in a transaction');
$emulator->fault(kind => 'stall', times => -1);
my $start = time;
is($node->error($check, before => q{SET statement_timeout = '500ms'})->{state}, '57014', 'canceled');
cmp_ok(time - $start, '<', 3, 'at once');
$emulator->no_fault;
is($node->sql(q{DO $$BEGIN FOR i IN 1 .. 50 LOOP PERFORM graph_fdw_check('graph'); END LOOP; END$$; SELECT 1}), 1, 'again and again');
done_testing();
