
# A person logs in: what they see and when, what the session has of it, and how
# it ends when they do not.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use GraphLogin qw(set_mapping);
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use OddServer;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $emulator = GraphEmulator->new('--alerts', 5);
my $count = 'SELECT count(*) FROM defender.alerts';
my $login = q{SELECT * FROM graph_fdw_login('graph')};
my %app = (tenant_id => $TENANT, client_id => $APP{main}{client_id});
my $node = GraphCluster->connected_to($emulator, mapping => \%app,
	server => { max_retries => 1 });

# What a query prints, errors and messages included.
sub run
{
	my ($session, $query) = @_;
	my ($output) = $session->query($query);
	my $error = $session->{stderr};

	$session->{stderr} = '';
	return $output . $error;
}

like($node->error($count)->{text},
	qr/^28000\nnot logged in to server "graph"\n.*no login of its own.*\n.*SELECT \* FROM graph_fdw_login\('graph'\)/,
	'nobody has logged in');
is(scalar(grep { /oauth2/ } $emulator->requests), 0, 'and nobody was asked');

#------------------------------------------------------------------------------
# It goes well
#------------------------------------------------------------------------------

my $session = $node->session;

$emulator->settings(device_code_polls => 1, device_code_slow_down => JSON::PP::false);
my $text = run($session, $login);
like($text, qr/INFO:.*to log in to server "graph", open http:\S+ and enter the code [0-9A-F]{8}/, 'address and code are shown');
like($text, qr/adele\@contoso\.test\|20\d\d-.*\|t/, 'the row says who, until when, and whether it can be renewed');
is(run($session, $count), 6, 'the session is logged in');
like($node->error($count)->{text}, qr/not logged in/, 'another session is not');

$emulator->clear;
$emulator->control('POST', 'tokens/expire');
is(run($session, $count), 6, 'a token that has expired is renewed');
is(scalar(grep { /oauth2/ } $emulator->requests), 1, 'without a person');
$emulator->control('POST', 'reset');
like(run($session, $count), qr/invalid_grant.*graph_fdw_login\(\)/s, 'until that ends too');

#------------------------------------------------------------------------------
# What is shown is shown at once
#------------------------------------------------------------------------------

$emulator->settings(device_code_polls => 2);
my $patient = $node->session;
my $start = time;
my $shown;

$patient->{stdin} .= "$login\\; SELECT 'over';\n";
$patient->{timeout}->reset if $patient->{timeout};
$patient->{run}->pump until $patient->{stderr} =~ /enter the code/;
$shown = time - $start;
cmp_ok($shown, '<', 1.0, 'the code is shown while the function waits');
$patient->{run}->pump until $patient->{stdout} =~ /over/;
cmp_ok(time - $start, '>', 2.0, 'which it does');
$patient->{stdout} = $patient->{stderr} = '';
is(run($patient, 'SET client_min_messages = error; ' . $count), 6, 'and it is logged in');
like(run($patient, $login), qr/enter the code/, 'the code is shown whatever client_min_messages says');

#------------------------------------------------------------------------------
# It is asked as often as the service wants
#------------------------------------------------------------------------------

$emulator->settings(device_code_polls => 0, device_code_slow_down => JSON::PP::true);
$emulator->clear;
run($session, $login);
my @asked = map { $_->{seconds} } grep { $_->{path} =~ /token$/ } $emulator->records;
cmp_ok($asked[1] - $asked[0], '>', 5.5, 'slow_down adds five seconds');
$emulator->settings(device_code_slow_down => JSON::PP::false);

$emulator->fault(kind => 'status', code => 503, path => '/token', times => 1);
like(run($session, $login), qr/adele/, 'a failure while asking is no refusal');

#------------------------------------------------------------------------------
# It does not go well
#------------------------------------------------------------------------------

$emulator->settings(device_code_outcome => 'decline');
like(run($session, $login), qr/28000.*the login to server "graph" was declined/s, 'declined');
$emulator->settings(device_code_outcome => 'expire');
like(run($session, $login), qr/28000.*nobody logged in to server "graph" before the code expired/s, 'not in time');
$emulator->settings(device_code_outcome => 'approve', device_code_polls => 1000);
$start = time;
like(run($session, "SET statement_timeout = '1500ms'; $login; "), qr/57014.*statement timeout/s, 'canceled');
cmp_ok(time - $start, '<', 3, 'at once');
run($session, 'RESET statement_timeout');
$emulator->settings(device_code_polls => 0);
like(run($session, q{SELECT * FROM graph_fdw_login('none')}), qr/server "none" does not exist/, 'no such server');

# Answers that are none: what asks for the code, what asks for the token, what
# the person sees.  The first part of the path says which.
my %code = (device_code => 'd3vice', user_code => 'ABCD1234', verification_uri => 'https://entra.example/device', expires_in => 900, interval => 1);
my %token = (access_token => 'emulator-access-token', token_type => 'Bearer', expires_in => 3600);
sub lacking { my ($of, @changes) = @_; my %answer = (%$of, @changes); delete @answer{ grep { !defined $answer{$_} } keys %answer }; return encode_json(\%answer) }
sub claims { return join '.', 'e30', encode_base64url(encode_json({@_})), 'x' }
my @answers = (
	[ 'no code'             => [ 400, '{"error":"unauthorized_client","error_description":"Not this one."}' ], undef, qr/device code request.*status 400|status 400.*device code request/s ],
	[ 'a page'              => [ 200, '<html>' ], undef, qr/The answer is not valid: device_code is missing/ ],
	[ 'no device_code'      => [ 200, lacking(\%code, device_code => undef) ], undef, qr/device_code is missing/ ],
	[ 'a device_code that no form can hold' => [ 200, lacking(\%code, device_code => "a\nb") ], undef, qr/device_code is missing/ ],
	[ 'no user_code'        => [ 200, lacking(\%code, user_code => '') ], undef, qr/user_code is missing/ ],
	[ 'no verification_uri' => [ 200, lacking(\%code, verification_uri => 17) ], undef, qr/verification_uri is missing/ ],
	[ 'too large'           => [ 200, ' ' x 4_000_000 ], undef, qr/refused an oversized answer/ ],
	[ 'declined'            => undef, [ 400, '{"error":"access_denied"}' ], qr/was declined/ ],
	[ 'expired'             => undef, [ 400, '{"error":"code_expired"}' ], qr/before the code expired/ ],
	[ 'another error'       => undef, [ 400, '{"error":"invalid_grant","error_description":"No."}' ], qr/invalid_grant/ ],
	[ 'an error without a name' => undef, [ 418, 'teapot' ], qr/status 418/ ],
	[ 'no token'            => undef, [ 200, '{}' ], qr/The token answer is not valid: access_token is missing/ ],
	[ 'the clock'           => [ 200, lacking(\%code, expires_in => 1) ], [ 400, '{"error":"authorization_pending"}' ], qr/nobody logged in to server "graph" before the code expired/ ],
	[ 'no id token'         => undef, [ 200, lacking(\%token) ], qr/^\|20\S+ \S+\|f(?:psql:|$)/m ],
	[ 'an id token without parts' => undef, [ 200, lacking(\%token, id_token => 'abc.def') ], qr/^\|20\S+ \S+\|f(?:psql:|$)/m ],
	[ 'an id token that is no base64' => undef, [ 200, lacking(\%token, id_token => 'a.*.c') ], qr/^\|20\S+ \S+\|f(?:psql:|$)/m ],
	[ 'an id token of nothing' => undef, [ 200, lacking(\%token, id_token => 'a..c') ], qr/^\|20\S+ \S+\|f(?:psql:|$)/m ],
	[ 'an id token that is no JSON' => undef, [ 200, lacking(\%token, id_token => 'a.AAAA.c') ], qr/^\|20\S+ \S+\|f(?:psql:|$)/m ],
	[ 'an id token that names nobody' => undef, [ 200, lacking(\%token, id_token => claims(aud => 'x')) ], qr/^\|20\S+ \S+\|f(?:psql:|$)/m ],
	[ 'an id token with a subject' => undef, [ 200, lacking(\%token, id_token => claims(sub => 's1', upn => JSON::PP::null)) ], qr/^s1\|20\S+ \S+\|f(?:psql:|$)/m ],
	[ 'an id token with a mail' => undef, [ 200, lacking(\%token, refresh_token => 'r', id_token => claims(sub => 's1', email => 'bob@contoso.test')) ], qr/^bob\@contoso\.test\|20\S+ \S+\|t(?:psql:|$)/m ]);
my $authority = OddServer->new(
	sub {
		my ($socket, $request) = @_;
		my ($case, $kind) = $request =~ m{^POST /(\d+)/.*/(devicecode|token) };

		OddServer::answer($socket, @{ $kind eq 'token' ? $answers[$case][2] : $answers[$case][1] // [ 200, encode_json(\%code) ] });
	},
	read => 1);

foreach my $i (0 .. $#answers)
{
	my ($name, undef, undef, $expected) = @{ $answers[$i] };

	$node->set_server(authority => $authority->url . "/$i");
	$text = run($session, $login);
	like($text, $expected, "an answer of another kind: $name");
	unlike($text, qr/d3vice|emulator-access-token/, "an answer of another kind: $name: no secret");
}
is(run($session, $count), 6, 'an answer of another kind: the last one had a token');
$node->set_server(authority => $emulator->url);

#------------------------------------------------------------------------------
# Whose it is
#------------------------------------------------------------------------------

$node->sql(<<'SQL');
CREATE ROLE analyst;
CREATE ROLE other;
CREATE ROLE stranger;
GRANT USAGE ON SCHEMA defender TO analyst, other;
GRANT SELECT ON defender.alerts TO analyst, other;
GRANT USAGE ON FOREIGN SERVER graph TO analyst, other;
DROP USER MAPPING FOR CURRENT_USER SERVER graph;
SQL
$node->sql('CREATE USER MAPPING FOR PUBLIC SERVER graph ' . options(%app));
run($session, 'SET ROLE analyst');
like(run($session, $login), qr/adele/, 'by the mapping for PUBLIC');
is(run($session, $count), 6, 'a role logs in');
run($session, 'SET ROLE other');
like(run($session, $count), qr/not logged in/, 'another role of the session does not have its token');
run($session, 'RESET ROLE');
like(run($session, $count), qr/not logged in/, 'nor has a superuser');
run($session, 'SET ROLE stranger');
like(run($session, $login), qr/42501.*permission denied for foreign server graph/s, 'the use of the server must be granted');
run($session, 'SET ROLE analyst');
like(run($session, q{SELECT graph_fdw_disconnect('graph')}), qr/^t$/, 'disconnecting');
like(run($session, $count), qr/not logged in/, 'logs out');
like(run($session, q{SELECT graph_fdw_disconnect('graph')}), qr/^f$/, 'and says when there was nothing');

run($session, $login);
is(run($session, $count), 6, 'logged in once more');
$node->sql(q{CREATE SERVER unrelated FOREIGN DATA WRAPPER graph_fdw; CREATE USER MAPPING FOR other SERVER unrelated OPTIONS (access_token 'x')});
is(run($session, $count), 6, 'other servers and mappings come and go');
$node->sql(q{ALTER USER MAPPING FOR PUBLIC SERVER graph OPTIONS (SET client_id 'x')});
like(run($session, $count), qr/not logged in/, 'a change of the mapping ends it');

run($session, 'RESET ROLE');
set_mapping($node, %app, client_secret => $APP{main}{client_secret});
like(run($session, $login), qr/55000.*has a login of its own.*client secret/s, 'not where the application proves itself');

$session->quit;
$patient->quit;
done_testing();
