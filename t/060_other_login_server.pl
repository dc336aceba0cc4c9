
# A login server from elsewhere: what we send is OAuth 2.0 and not only what our
# own emulator takes for it.
#
# t/npm/login_server.mjs is oidc-provider behind TLS, whose certificate comes
# from an authority of the test's own.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw($TENANT);
use GraphLogin qw(certificate run_openssl set_mapping);
use GraphNpm;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $npm = GraphNpm->install('oidc-provider');
plan skip_all => $npm->{missing} if $npm->{missing};

my $folder = PostgreSQL::Test::Utils::tempdir();
my $secret = 'other secret & more=%41+/';
my $client = certificate('client');
my $stranger = certificate('stranger');
my $count = 'SELECT count(*) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a';

# An authority of our own, and the server's certificate from it.
append_to_file("$folder/names", "subjectAltName = IP:127.0.0.1\n");
run_openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 30, '-subj', '/CN=Private Authority',
	'-keyout', "$folder/authority.key", '-out', "$folder/authority.pem");
run_openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=login', '-keyout', "$folder/server.key", '-out', "$folder/server.csr");
run_openssl('x509', '-req', '-in', "$folder/server.csr", '-CA', "$folder/authority.pem", '-CAkey', "$folder/authority.key",
	'-CAcreateserial', '-days', 30, '-extfile', "$folder/names", '-out', "$folder/server.pem");

my $process = $npm->start('login_server.mjs', {
		tenant         => $TENANT,
		tls_cert       => "$folder/server.pem",
		tls_key        => "$folder/server.key",
		secret         => $secret,
		certificate    => $client->{file},
		token_file     => "$folder/federated",
		log            => "$folder/log",
		device_seconds => 6
	});
my $server = decode_json($process->{line});
my %refresh = %{ $server->{refresh_token} };

my $node = GraphCluster->connected_to(bless({ %$server }, 'OtherServer'),
	server => { ca_file => "$folder/authority.pem", tenant_id => $TENANT, max_retries => 0 });

sub OtherServer::url { return $_[0]{url} }

# What the server has noted since the last call: its logins, then its alerts.
my $noted = 0;

sub noted
{
	my @lines = map { decode_json($_) } split /\n/, -e "$folder/log" ? slurp_file("$folder/log") : '';
	my @new = @lines[ $noted .. $#lines ];

	$noted = @lines;
	return @new;
}

# An own session, or that of a test, with these options of the mapping.
sub accepted
{
	my ($name, $client_id, $grant, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	set_mapping($node, client_id => $client_id, %options);
	noted();
	is($node->result($count), 2, $name);
	my @new = noted();
	my ($login) = grep { $_->{grant} } @new;
	is("$login->{client} $login->{grant} $login->{status}", "$client_id $grant 200", "$name: one login");
	is((grep { ($_->{path} // '') eq 'alerts' } @new)[-1]{client}, $client_id, "$name: its token for Graph");
	return @new;
}

sub refused
{
	my ($name, $options, @patterns) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	set_mapping($node, %$options);
	my $text = $node->error($count)->{text} // 'no error';
	like($text, $_, $name) foreach @patterns;
	unlike($text, qr/\Q$secret\E|planted|$refresh{confidential}/, "$name: no secret is shown");
	return;
}

my %certificate = (certificate_file => $client->{file}, private_key_file => $client->{key});

#------------------------------------------------------------------------------
# Secret
#------------------------------------------------------------------------------

my ($login) = grep { $_->{grant} } accepted('secret', 'confidential', 'client_credentials', client_secret => $secret);
like($login->{id}, qr/^[0-9a-f-]{36}$/, 'a login has an id');
is($login->{capability}, 'retry-after, h429', 'and says that we wait when asked to');
refused('a wrong secret', { client_id => 'confidential', client_secret => 'planted' },
	qr/^28000/, qr/invalid_client/, qr/Check the option "client_secret"/, qr/\(client-request-id [0-9a-f-]{36}\)/);
refused('another application', { client_id => 'nobody', client_secret => $secret }, qr/^28000/, qr/invalid_client/);
$node->set_server(ca_file => undef);
refused('without its authority', { client_id => 'confidential', client_secret => $secret }, qr/^HV00N/, qr/could not establish a trusted TLS connection/);
$node->set_server(ca_file => "$folder/authority.pem");

#------------------------------------------------------------------------------
# Certificate: PS256, x5t#S256
#------------------------------------------------------------------------------

my ($assertion) = grep { $_->{assertion} } accepted('certificate', 'certified', 'client_credentials', %certificate);
is_deeply([ @$assertion{qw(alg aud exp)} ], [ 'PS256', "$server->{url}/$TENANT/oauth2/v2.0/token", 600 ], 'what it asserts');
accepted('certificate: an assertion is used once', 'certified', 'client_credentials', %certificate);
refused('another certificate', { client_id => 'certified', certificate_file => $stranger->{file}, private_key_file => $stranger->{key} },
	qr/^28000/, qr/invalid_client/, qr/Check that the certificate/);

#------------------------------------------------------------------------------
# Federated: somebody else's assertion in a file
#------------------------------------------------------------------------------

accepted('federated', 'federated', 'client_credentials', federated_token_file => "$folder/federated");
accepted('federated: a fresh one each time', 'federated', 'client_credentials', federated_token_file => "$folder/federated");
append_to_file("$folder/stale", slurp_file("$folder/federated"));
accepted('federated: from another file', 'federated', 'client_credentials', federated_token_file => "$folder/stale");
refused('federated: used before', { client_id => 'federated', federated_token_file => "$folder/stale" },
	qr/^28000/, qr/invalid_client/, qr/federated credentials/);

#------------------------------------------------------------------------------
# Refresh, with rotation
#------------------------------------------------------------------------------

foreach my $case (
	[ 'public' ],
	[ 'confidential', client_secret => $secret ],
	[ 'certified', %certificate ])
{
	my ($name, %proof) = @$case;
	my %options = (client_id => $name, refresh_token => $refresh{$name}, %proof);

	set_mapping($node, %options);
	noted();
	my $session = $node->session;
	is($session->query_safe($count), 2, "refresh, $name client");
	is($session->query_safe(q{SELECT bool_and(ok) FROM graph_fdw_check('graph')}), 't', "refresh, $name client: by the next one ($_)")
	  foreach 1 .. 2;
	my @first = noted();
	is((grep { ($_->{path} // '') eq 'alerts' } @first)[-1]{person}, 'adele@contoso.test', "refresh, $name client: as the person");
	is(join(' ', map { "$_->{grant} $_->{status}" } grep { $_->{grant} } @first), join(' ', ('refresh_token 200') x 3),
		"refresh, $name client: each by the newest token");
	$session->quit;

	# that session had the new token, and the stored one is used up
	refused("refresh, $name client: used up", \%options, qr/^28000/, qr/invalid_grant/, qr/The refresh token has expired or was revoked/);
}
refused('refresh, confidential client without its secret', { client_id => 'confidential', refresh_token => $refresh{confidential} },
	qr/^28000/, qr/invalid_client/);

#------------------------------------------------------------------------------
# Device code, and what is renewed after it
#------------------------------------------------------------------------------

{
	set_mapping($node, client_id => 'public');
	noted();
	my $session = $node->session;
	my ($row) = $session->query(q{SELECT account, renewable FROM graph_fdw_login('graph')});
	my $message = $session->{stderr};
	$session->{stderr} = '';
	like($message, qr/INFO:.*open \Q$server->{url}\E\S* and enter the code \S+/, 'device code: where to go');
	is($row, 'adele@contoso.test|t', 'device code: who has signed in');
	is($session->query_safe($count), 2, 'device code: logged in');
	my @new = noted();
	is(join(' ', map { $_->{error} // $_->{status} } grep { ($_->{path} // '') =~ /oauth2/ } @new),
		'200 authorization_pending 200', 'device code: asked until somebody had');
	$session->quit;
}
done_testing();
