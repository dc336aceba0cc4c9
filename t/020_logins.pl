
# Every way to log in: what is sent, who accepts it, and what is said of a login
# that is not whole or is refused.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use GraphLogin qw(certificate set_mapping);
use JSON::PP;
use OddServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 5);
my $folder = PostgreSQL::Test::Utils::tempdir();
my $count = 'SELECT count(*) FROM defender.alerts';
my %app = (tenant_id => $TENANT, client_id => $APP{main}{client_id});

delete @ENV{qw(IDENTITY_ENDPOINT IDENTITY_HEADER IMDS_ENDPOINT)};
$ENV{AZURE_POD_IDENTITY_AUTHORITY_HOST} = $emulator->url . '/at/machine/';
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 1 });

# The query works with these options of the user mapping.
sub accepted
{
	my ($name, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	set_mapping($node, %options);
	is($node->result($count), 6, $name);
	return;
}

# It does not, and says all of this.
sub refused
{
	my ($name, $options, @patterns) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	set_mapping($node, %$options);
	my $text = $node->error($count)->{text};
	like($text, $_, $name) foreach @patterns;
	return;
}

# The statement is refused.
sub ddl_refused
{
	my ($name, $options, @patterns) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $text = $node->error('CREATE USER MAPPING FOR ordinary SERVER graph ' . options(%$options))->{text};

	like($text, $_, $name) foreach @patterns;
	return;
}

$node->sql('CREATE ROLE ordinary');

#------------------------------------------------------------------------------
# Exactly one login, and a whole one
#------------------------------------------------------------------------------

ddl_refused('a tenant alone', { tenant_id => $TENANT }, qr/user mapping has no login/);
ddl_refused('two logins', { %app, client_secret => 'x', access_token => 'y' },
	qr/options "client_secret" and "access_token" cannot be set together/);
ddl_refused('two others', { %app, federated_token_file => '/x', managed_identity => 'on' },
	qr/options "federated_token_file" and "managed_identity" cannot be set together/);
ddl_refused('a refresh token and two proofs', { %app, client_secret => 'x', federated_token_file => '/x', refresh_token => 'y' },
	qr/options "client_secret" and "federated_token_file" cannot be set together/);
ddl_refused('a refresh token and another login', { %app, access_token => 'x', refresh_token => 'y' },
	qr/options "refresh_token" and "access_token" cannot be set together/);
ddl_refused('a refresh token and a secret, without their application', { client_secret => 'x', refresh_token => 'y' },
	qr/option "client_id" is missing/);
ddl_refused('a refresh token and half a certificate', { %app, certificate_file => '/x', refresh_token => 'y' },
	qr/option "private_key_file" is missing/);
ddl_refused('a secret without its application', { client_secret => 'x' }, qr/option "client_id" is missing/);
ddl_refused('a certificate without its key', { %app, certificate_file => '/x' }, qr/option "private_key_file" is missing/);
ddl_refused('a key without its certificate', { %app, private_key_file => '/x' }, qr/option "certificate_file" is missing/);
ddl_refused('a password without a key', { %app, client_secret => 'x', private_key_password => 'y' },
	qr/option "private_key_file" is missing/);
ddl_refused('a refresh token without its application', { refresh_token => 'x' }, qr/option "client_id" is missing/);
ddl_refused('an empty secret', { %app, client_secret => '' }, qr/invalid value for option "client_secret"/);
ddl_refused('an identity that is no Boolean', { managed_identity => 'vm' }, qr/must be a Boolean/);
ddl_refused('an identity that is switched off', { managed_identity => 'false' }, qr/no login/);

# What pg_dump writes of a mapping whose options are hidden from who runs it is
# accepted, and an error only where a login is needed.
my (undef, undef, $notice) = $node->psql('postgres', 'CREATE USER MAPPING FOR ordinary SERVER graph');
like($notice, qr/NOTICE:  user mapping has no login.*"client_id" and "client_secret" are missing.*graph_fdw_login/s, 'no options');
$node->sql('GRANT USAGE ON SCHEMA defender TO ordinary; GRANT SELECT ON defender.alerts TO ordinary; GRANT USAGE ON FOREIGN SERVER graph TO ordinary');
$emulator->clear;
foreach my $use ($count, q{SELECT * FROM graph_fdw_login('graph')})
{
	my $error = $node->error($use, before => 'SET ROLE ordinary');

	is($error->{state}, 'HV002', "no options: $use");
	like($error->{text}, qr/user mapping has no login\n.*"client_id".*missing.*\n.*"access_token"/, 'the options that make one are named');
}
like($node->result("SET ROLE ordinary; SELECT * FROM graph_fdw_check('graph')"), qr/^options\|f\|user mapping has no login/m, 'graph_fdw_check() says so too');
is($node->result("SET ROLE ordinary; EXPLAIN (COSTS OFF) $count"), "Foreign Scan", 'a plan needs no login');
$emulator->is_requests('no options');
like($node->error("ALTER USER MAPPING FOR ordinary SERVER graph OPTIONS (ADD tenant_id '$TENANT')")->{text}, qr/user mapping has no login/,
	'whoever sets options has to make a login of them');
$node->sql(q{ALTER USER MAPPING FOR ordinary SERVER graph OPTIONS (ADD access_token 'emulator-access-token')});
is($node->result("SET ROLE ordinary; $count"), 6, 'and then it works');
$node->sql('DROP USER MAPPING FOR ordinary SERVER graph; DROP OWNED BY ordinary');

(undef, undef, $notice) = $node->psql('postgres',
	'CREATE USER MAPPING FOR ordinary SERVER graph ' . options(%app));
like($notice, qr/NOTICE:  user mapping has no login of its own.*client_secret.*graph_fdw_login/s,
	'an application alone is for a person');

refused('no tenant', { client_id => 'x', client_secret => 'y' },
	qr/option "tenant_id" is missing/, qr/on the user mapping or on server "graph"/);

#------------------------------------------------------------------------------
# Client secret
#------------------------------------------------------------------------------

accepted('client secret', %app, client_secret => $APP{main}{client_secret});
refused('a wrong secret', { %app, client_secret => 'planted-wrong-secret' },
	qr/^28000/, qr/could not log in to server "graph"/, qr/AADSTS7000215/, qr/the secret's value and not its id/);
$emulator->clear;
refused('a secret that is longer than the room a form begins with', { %app, client_secret => 'planted+' x 1000 }, qr/AADSTS7000215/);
my ($long) = grep { $_->{body_fields} && @{ $_->{body_fields} } } $emulator->records;
is(join(' ', sort @{ $long->{body_fields} || [] }), 'client_id client_secret grant_type scope', 'a long secret: the form is whole');
refused('an application that is not there', { %app, client_id => '00000000-0000-0000-0000-000000000001', client_secret => 'x' },
	qr/AADSTS700016/, qr/"client_id" and "tenant_id"/);
refused('a tenant that is not there', { %app, tenant_id => 'fabrikam.test', client_secret => 'x' },
	qr/AADSTS90002/, qr/Check the option "tenant_id", and that the server's option "cloud"/);

#------------------------------------------------------------------------------
# Certificate
#------------------------------------------------------------------------------

my $good = certificate('good');
my $locked = certificate('locked', password => 'planted-key-password');
my $expired = certificate('expired', until => '20210101000000Z');
my $early = certificate('early', from => '20390101000000Z');
my $curve = certificate('curve', type => 'ec');

sub with
{
	my ($certificate, %more) = @_;
	return (%app, certificate_file => $certificate->{file}, private_key_file => $certificate->{key}, %more);
}

foreach my $certificate ($good, $locked)
{
	$emulator->control('POST', 'certificates',
		encode_json({ client_id => $app{client_id}, certificate => slurp_file($certificate->{file}) }));
}
accepted('certificate', with($good));
accepted('certificate with an encrypted key', with($locked, private_key_password => 'planted-key-password'));
$emulator->control('POST', 'tokens/expire');
accepted('each login has an assertion of its own', with($good));

refused('a certificate that is not registered', { with(certificate('stranger')) },
	qr/^28000/, qr/AADSTS700027/, qr/among those of the app registration/);
refused('another key', { with($good, private_key_file => $expired->{key}) },
	qr/^28000/, qr/the private key in file ".*expired.key" does not match the certificate in file ".*good.pem"/);
refused('an expired certificate', { with($expired) },
	qr/^28000/, qr/the certificate in file ".*" has expired/, qr/valid until 2021-01-01 00:00:00 UTC/);
refused('a certificate from the future', { with($early) },
	qr/is not valid yet/, qr/valid from 2039-01-01/, qr/clock/);
refused('a wrong password', { with($locked, private_key_password => 'planted-wrong-password') },
	qr/^28000/, qr/could not decrypt private key file/, qr/is not the key's password/);
refused('no password', { with($locked) }, qr/could not decrypt/, qr/has no option "private_key_password"/);
refused('another kind of key', { with($curve) }, qr/is not an RSA key/);
refused('no such file', { with($good, certificate_file => "$folder/none.pem") },
	qr/could not open certificate file ".*none.pem": No such file or directory/);
refused('a folder', { with($good, certificate_file => $folder) }, qr/is not a regular file/);
append_to_file("$folder/text", "this is no certificate\n");
refused('no certificate', { with($good, certificate_file => "$folder/text") },
	qr/could not load certificate file/, qr/PEM format/);
refused('no key', { with($good, private_key_file => $good->{file}) },
	qr/group or world access|could not load private key file/);
chmod 0640, $good->{key};
refused('a key that others can read', { with($good) }, qr/private key file ".*" has group or world access/);
chmod 0600, $good->{key};
POSIX::mkfifo("$folder/pipe", 0600) if require POSIX;
refused('a pipe is not waited for', { with($good, private_key_file => "$folder/pipe") }, qr/is not a regular file/);

$emulator->settings(clock_offset => 1200);
refused('a clock that is behind', { with($good) },
	qr/AADSTS700024/, qr/The clock of this machine is (19|20) minutes behind that of the service/, qr/Check the clock/);
$emulator->settings(clock_offset => 0);

#------------------------------------------------------------------------------
# A server that owes nothing to us verifies with OpenSSL's command
#------------------------------------------------------------------------------

sub connect_to
{
	my ($url) = @_;
	$node->set_server(endpoint => $url, authority => $url);
	return;
}

{
	my $server = IndependentServer->new('--certificate', $good->{file});
	my $secret = 'independent secret & more=%41';

	connect_to($server->url);
	set_mapping($node, %app, client_secret => $secret);
	is($node->result($count), 2, 'independent server: client secret');
	set_mapping($node, with($good));
	is($node->result($count), 2, 'independent server: certificate');
	like($server->arrived, qr/Bearer independent-access-token/, 'its token is used');

	refused('independent server: a wrong secret', { %app, client_secret => 'planted-wrong-secret' },
		qr/^28000/, qr/"invalid_client"/, qr/Check the option "client_secret"/);
	unlike($node->error($count)->{text}, qr/planted/, 'what it repeats of the secret is blotted out');
	refused('independent server: another certificate', { with($locked, private_key_password => 'planted-key-password') },
		qr/^28000/, qr/Check that the certificate/);

	$server = IndependentServer->new('--certificate', $good->{file}, '--clock', -900);
	connect_to($server->url);
	refused('independent server: a clock that is ahead', { with($good) },
		qr/The clock of this machine is 15 minutes ahead of that of the service/);
	my $text = $node->error($count)->{text};
	my ($assertion) = $server->arrived =~ /client_assertion=([\w.-]{100,})/;
	ok($assertion && index($text, substr($assertion, 0, 60)) < 0, 'no assertion in the message');
	connect_to($emulator->url);
}

# What Entra says of an audience with a domain name, where it wants the GUID; and
# of a proof that a public client brings.
{
	my $entra = OddServer->new(sub {
			my ($socket, $request) = @_;
			my ($tenant) = $request =~ m{^POST /([^/]+)};
			my $number = $tenant eq 'contoso.test' ? 700023 : 700025;
			return OddServer::answer($socket, 401, encode_json({ error => 'invalid_client',
				error_description => "AADSTS$number: refused", error_codes => [$number] }));
		}, read => 1);

	$node->set_server(authority => $entra->url);
	refused('an audience with a domain name', { with($good), tenant_id => 'contoso.test' },
		qr/AADSTS700023/, qr/"tenant_id" to the tenant's GUID in place of a domain name/);
	refused('a proof of a public client', { %app, refresh_token => 'x', client_secret => 'planted-wrong-secret' },
		qr/AADSTS700025/, qr/remove what proves the application/);
	$node->set_server(authority => $emulator->url);
}

#------------------------------------------------------------------------------
# Federated token file
#------------------------------------------------------------------------------

my $token_file = "$folder/federated";
my $large_file = "$folder/large";

append_to_file($large_file, 'planted' x 200_000);
refused('a federated token of a megabyte', { %app, federated_token_file => $large_file }, qr/federated token file "\Q$large_file\E" is larger than \d+ bytes/);
refused('a federated token that cannot be read', { %app, federated_token_file => '/proc/self/mem' }, qr/could not read federated token file/)
  if -f '/proc/self/mem';

append_to_file($token_file, "emulator-federated-token\n");
accepted('federated token', %app, federated_token_file => $token_file);
{
	my $session = $node->session;

	is($session->query_safe($count), 6, 'a session logs in');
	$emulator->control('POST', 'tokens/expire');
	truncate $token_file, 0;
	append_to_file($token_file, 'planted-wrong-token');
	like(($session->query($count))[0] . ($session->{stderr} || ''), qr/AADSTS70021/, 'a new file is read by the next login');
	$session->{stderr} = '';
	truncate $token_file, 0;
	append_to_file($token_file, 'emulator-federated-token');
	is($session->query_safe($count), 6, 'and again');
	$session->quit;
}
truncate $token_file, 0;
refused('an empty file', { %app, federated_token_file => $token_file }, qr/federated token file ".*" does not hold a token/);
append_to_file($token_file, "root:*:19000:0:99999:7:::\ndaemon:*:19000\n");
refused('a file that is no token', { %app, federated_token_file => $token_file }, qr/does not hold a token/);
unlike($node->error($count)->{text}, qr/daemon|19000/, 'whose content is not shown');
refused('no file', { %app, federated_token_file => "$folder/none" }, qr/could not open federated token file/);

#------------------------------------------------------------------------------
# Managed identity
#------------------------------------------------------------------------------

# The requests for the machine's identity since the last call.
sub identity_requests
{
	my @found = grep { $_->{path} =~ m{^/metadata/} } $emulator->records;
	$emulator->clear;
	return @found;
}

# Another machine: the server's environment is another.
sub move_to
{
	my ($host, %environment) = @_;

	$emulator->settings(identity_host => $host);
	local %ENV = (%ENV, %environment);
	$node->restart;
	return;
}

my $identity = $emulator->url . '/metadata/identity/oauth2/token';

$node->set_server(proxy => 'http://127.0.0.1:1', endpoint => 'https://graph.example');
$emulator->clear;
set_mapping($node, managed_identity => 'true');
like($node->error($count)->{text}, qr/could not connect/, 'a proxy is in the way of the service');
my ($request) = identity_requests();
is($request->{params}{resource}, 'https://graph.microsoft.com', 'virtual machine: resource');
is($request->{params}{'api-version'}, '2018-02-01', 'virtual machine: version');
is($request->{headers}{metadata}, 'true', 'virtual machine: header');
ok(!$request->{proxied}, 'virtual machine: not through the proxy');
$node->set_server(proxy => undef, endpoint => $emulator->url);
accepted('virtual machine: its identity', managed_identity => 'true');
accepted('virtual machine: user-assigned', managed_identity => 'on', client_id => $APP{read_only}{client_id});
is((identity_requests())[-1]{params}{client_id}, $APP{read_only}{client_id}, 'which client_id names');
refused('virtual machine: another identity', { managed_identity => 'true', client_id => 'x' },
	qr/Identity not found/, qr/has a managed identity, and the option "client_id"/);
$emulator->fault(kind => 'status', code => 410, path => '/metadata/', times => 1);
accepted('virtual machine: it is asked again while it is updated', managed_identity => 'true');
is(scalar(identity_requests()), 3, 'once more');

move_to('app_service', IDENTITY_ENDPOINT => "$identity?x=1", IDENTITY_HEADER => 'emulator-identity-header');
accepted('App Service', managed_identity => 'true');
accepted('App Service: user-assigned', managed_identity => 'true', client_id => $APP{read_only}{client_id});
move_to('app_service', IDENTITY_ENDPOINT => $identity, IDENTITY_HEADER => 'planted-wrong-header');
refused('App Service: another header', { managed_identity => 'true' }, qr/status 401/);
foreach my $header ('planted header', "planted\rX: y", "planted\xe9")
{
	move_to('app_service', IDENTITY_ENDPOINT => $identity, IDENTITY_HEADER => $header);
	refused('App Service: no header at all', { managed_identity => 'true' }, qr/environment variable "IDENTITY_HEADER" is not valid/);
	unlike($node->error($count)->{text}, qr/planted/, 'App Service: no header at all: it is not repeated');
}

my $arc = "$folder/arc";
mkdir $arc;
append_to_file("$arc/challenge.key", 'emulator-arc-secret');
append_to_file("$folder/outside.key", 'emulator-arc-secret');
my %arc = (IDENTITY_ENDPOINT => $identity, IMDS_ENDPOINT => 'http://127.0.0.1:40342', GRAPH_FDW_ARC_TOKENS => $arc);

move_to('arc', %arc);
$emulator->settings(identity_challenge => "$arc/challenge.key");
accepted('Azure Arc', managed_identity => 'true');
refused('Azure Arc: user-assigned', { managed_identity => 'true', client_id => 'x' }, qr/one identity only/);
foreach my $path ("$folder/outside.key", "$arc/../outside.key", '/etc/passwd', "$arc/.key", "${arc}x/challenge.key")
{
	$emulator->settings(identity_challenge => $path);
	refused("Azure Arc: challenge with $path", { managed_identity => 'true' }, qr/refused the challenge/);
}
$emulator->settings(identity_challenge => qq("$arc/challenge.key"));
accepted('Azure Arc: a challenge in quotes', managed_identity => 'true');
$emulator->settings(identity_challenge => qq("$arc/challenge.key", charset="UTF-8"));
accepted('Azure Arc: a challenge with more behind the quotes', managed_identity => 'true');
{
	# one that names no file, and one that is of another kind
	my $odd = OddServer->new(sub {
			my ($socket, $request) = @_;
			my ($kind) = $request =~ m{^GET /(\w+)/};
			return OddServer::answer($socket, 401, '{}', $kind eq 'digest' ? "WWW-Authenticate: Digest realm=$arc/challenge.key" : 'WWW-Authenticate: Basic charset=x');
		}, read => 1);

	foreach my $kind ('digest', 'basic')
	{
		move_to('arc', %arc, IDENTITY_ENDPOINT => $odd->url . "/$kind/token");
		refused("Azure Arc: a challenge of kind $kind", { managed_identity => 'true' }, qr/refused the challenge/, qr/does not name a file that Azure Arc uses/);
	}
}
move_to('arc', IDENTITY_ENDPOINT => $identity, IMDS_ENDPOINT => 'http://127.0.0.1:40342');
refused("Azure Arc: a file that is not in its own folder", { managed_identity => 'true' }, qr/refused the challenge/);
move_to('arc', %arc);
truncate "$arc/challenge.key", 0;
append_to_file("$arc/challenge.key", 'planted-wrong-arc-secret');
$emulator->settings(identity_challenge => "$arc/challenge.key");
refused('Azure Arc: another secret', { managed_identity => 'true' }, qr/status 401/);

move_to('vm', IDENTITY_ENDPOINT => 'http://192.0.2.1/x', IDENTITY_HEADER => 'x');
refused('a machine whose identity is elsewhere', { managed_identity => 'true' },
	qr/refused to ask for the machine's identity at an address that is not local/);
move_to('vm', AZURE_POD_IDENTITY_AUTHORITY_HOST => 'http://127.0.0.1:1');
refused('a machine without identity', { managed_identity => 'true' }, qr/could not connect/, qr/Azure virtual machines, App Services/);
move_to('vm');

#------------------------------------------------------------------------------
# Refresh token, access token
#------------------------------------------------------------------------------

accepted('refresh token', %app, refresh_token => 'emulator-refresh-token');
$emulator->settings(rotate_refresh_tokens => JSON::PP::true);
{
	my $session = $node->session;

	is($session->query_safe($count), 6, 'the stored token is used once');
	foreach my $n (1 .. 2)
	{
		$emulator->control('POST', 'tokens/expire');
		is($session->query_safe($count), 6, "and then the newest ($n)");
	}
	$session->quit;
}
$emulator->settings(rotate_refresh_tokens => JSON::PP::false);

# The application is a confidential client, and has to prove itself each time.
$emulator->control('POST', 'certificates',
	encode_json({ client_id => $app{client_id}, certificate => slurp_file($good->{file}) }));
my %refresh = (%app, refresh_token => 'emulator-refresh-token');
$emulator->settings(public_clients => JSON::PP::false);
truncate $token_file, 0;
append_to_file($token_file, 'emulator-federated-token');
foreach my $case (
	[ 'a secret', [qw(client_id client_secret grant_type refresh_token scope)], client_secret => $APP{main}{client_secret} ],
	[ 'a certificate', [qw(client_assertion client_assertion_type client_id grant_type refresh_token scope)], with($good) ],
	[ 'a federated token', [qw(client_assertion client_assertion_type client_id grant_type refresh_token scope)],
		federated_token_file => $token_file ])
{
	my ($proof, $fields, %options) = @$case;

	$emulator->control('POST', 'reset');
	$emulator->settings(public_clients => JSON::PP::false, rotate_refresh_tokens => JSON::PP::true);
	$emulator->control('POST', 'certificates',
		encode_json({ client_id => $app{client_id}, certificate => slurp_file($good->{file}) })) if $proof eq 'a certificate';
	set_mapping($node, %refresh, %options);
	my $session = $node->session;
	is($session->query_safe($count), 6, "a refresh token beside $proof");
	$emulator->control('POST', 'tokens/expire');
	is($session->query_safe($count), 6, "the newest refresh token beside $proof");
	my @logins = grep { $_->{path} =~ /oauth2/ } $emulator->records;
	is_deeply([ map { [ sort @{ $_->{body_fields} } ] } @logins ], [ ($fields) x 2 ], "$proof: goes with each");
	$session->quit;
}
$emulator->reset;
$emulator->settings(public_clients => JSON::PP::false);
refused('a refresh token alone', \%refresh, qr/^28000/, qr/AADSTS7000218/, qr/"client_secret" beside "refresh_token"/);
refused('a refresh token beside a wrong secret', { %refresh, client_secret => 'planted-wrong-secret' },
	qr/^28000/, qr/AADSTS7000215/, qr/the secret's value and not its id/);
unlike($node->error($count)->{text}, qr/planted|emulator-refresh/, 'neither is shown');
refused('a dead refresh token beside a secret', { %refresh, refresh_token => 'dead-refresh-token', client_secret => $APP{main}{client_secret} },
	qr/^28000/, qr/invalid_grant/, qr/The refresh token has expired or was revoked/);
$emulator->settings(public_clients => JSON::PP::true, rotate_refresh_tokens => JSON::PP::true);
set_mapping($node, %refresh);
$node->result($count);
refused('a stored token that is dead', { %app, refresh_token => 'emulator-refresh-token' },
	qr/^28000/, qr/invalid_grant/, qr/The refresh token has expired or was revoked/);
$emulator->reset;

accepted('access token', access_token => 'emulator-access-token');
refused('an access token that is not', { access_token => 'planted-wrong-access-token' },
	qr/^28000/, qr/status 401/, qr/option "access_token" has expired/);

#------------------------------------------------------------------------------
# Clouds
#------------------------------------------------------------------------------

$emulator->clear;
set_mapping($node, access_token => 'emulator-access-token');
$node->set_server(cloud => 'china');
like($node->error($count)->{text}, qr/^0A000\nMicrosoft Graph does not offer security alerts in cloud "china"/, 'china says so');
is(scalar($emulator->requests), 0, 'and is not asked');
$node->set_server(cloud => 'usgov');
refused('another cloud', { %app, client_secret => $APP{main}{client_secret} },
	qr/AADSTS70011/, qr/does not know Microsoft Graph by this address: check the server's option "cloud"/);

#------------------------------------------------------------------------------
# A dump by somebody who may not see everybody's options
#------------------------------------------------------------------------------

my $dump = "$folder/dump.sql";
$node->sql('CREATE ROLE dumper LOGIN; CREATE ROLE analyst LOGIN');
foreach my $database ('dumped', 'restored')
{
	$node->sql("CREATE DATABASE $database OWNER dumper");
	$node->sql('CREATE EXTENSION graph_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER graph_fdw TO dumper', database => $database);
}
$node->sql(<<"SQL", database => 'dumped');
SET ROLE dumper;
CREATE SERVER s FOREIGN DATA WRAPPER graph_fdw OPTIONS (tenant_id '$TENANT');
CREATE USER MAPPING FOR dumper SERVER s OPTIONS (client_id 'mine', client_secret 'mine');
CREATE USER MAPPING FOR analyst SERVER s OPTIONS (client_id 'theirs', client_secret 'hidden-secret');
CREATE SCHEMA d;
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts) FROM SERVER s INTO d;
SQL
$node->command_ok([ 'pg_dump', '-U', 'dumper', '--no-comments', '--no-privileges', '-f', $dump, $node->connstr('dumped') ], 'pg_dump');
like(slurp_file($dump), qr/^CREATE USER MAPPING FOR analyst SERVER s;$/m, 'the options of others are not in it');
unlike(slurp_file($dump), qr/hidden-secret/, 'nor is their secret');
$node->command_ok([ 'psql', '-X', '-U', 'dumper', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'it is restored');
is($node->result('SELECT usename, umoptions IS NULL FROM pg_user_mappings ORDER BY 1', database => 'restored'),
	"analyst|t\ndumper|f", 'with all mappings');
$node->sql('GRANT USAGE ON SCHEMA d TO analyst; GRANT SELECT ON d.alerts TO analyst', database => 'restored');
like($node->result('SET ROLE analyst; SELECT count(*) FROM d.alerts', database => 'restored'), qr/ERROR:  user mapping has no login/, 'one that has to be completed');
$node->sql("ALTER SERVER s OPTIONS (ADD endpoint '" . $emulator->url . "'); ALTER USER MAPPING FOR analyst SERVER s OPTIONS (ADD access_token 'emulator-access-token')", database => 'restored');
is($node->result('SET ROLE analyst; SELECT count(*) FROM d.alerts', database => 'restored'), 6, 'and then it works');

done_testing();
