
# TLS: who is trusted, and that nobody else sees a secret or a token.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw($TENANT);
use GraphLogin qw(certificate set_mapping);
use PostgreSQL::Test::Utils;
use Test::More;

# What the environment of the server says of TLS, and of names, must not matter.
my $folder = PostgreSQL::Test::Utils::tempdir();
my $keys = "$folder/keys";
my $stranger = certificate('stranger', alternative => 'IP:127.0.0.1', subject => '127.0.0.1');
@ENV{qw(SSLKEYLOGFILE SSL_CERT_FILE CURL_CA_BUNDLE SSL_CERT_DIR CURL_HOME HOME)} =
  ($keys, $stranger->{file}, $stranger->{file}, $folder, $folder, $folder);
append_to_file("$folder/.curlrc", "insecure\ncacert = $stranger->{file}\n");
append_to_file("$folder/.netrc", "machine 127.0.0.1 login x password y\n");

my $emulator = GraphEmulator->new('--alerts', 1);
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 0 });
my $count = 'SELECT count(*) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a';
my $secret = 'independent secret & more=%41';
my $sent = 'independent%20secret';
my $token = 'independent-access-token-7f3a9c';
my %own = (alternative => 'IP:127.0.0.1', subject => '127.0.0.1');
my $good = certificate('good', %own);
my $wrong_host = certificate('wrong_host', alternative => 'DNS:graph.example', subject => 'graph.example');
my $expired = certificate('expired', %own, until => '20210101000000Z');
my $early = certificate('early', %own, from => '20390101000000Z');

set_mapping($node, tenant_id => $TENANT, client_id => 'client', client_secret => $secret);

sub tls
{
	my ($certificate, @more) = @_;
	return IndependentServer->new('--tls', $certificate->{file}, $certificate->{key}, @more);
}

# Ask a server for both, or for one of login and service with the other good.
sub ask
{
	my ($login, $service, $ca_file) = @_;

	$node->set_server(endpoint => $service, authority => $login, ca_file => $ca_file);
	return $node->error($count)->{text} // $node->result($count);
}

my $server = tls($good);
is(ask($server->url, $server->url, $good->{file}), 2, 'a certificate that the file has');
like($server->arrived, qr/\Q$sent\E/, 'the secret has arrived');
like($server->arrived, qr/\Q$token\E/, 'and the token');

unlike($server->arrived, qr/Basic/, 'and nothing of .netrc');

# The common name is no name of a host: with a CA and without.
my $common = certificate('common', subject => '127.0.0.1');
my $mail = certificate('mail', subject => '127.0.0.1', alternative => 'email:127.0.0.1@example.test');
my $plain = IndependentServer->new;
foreach my $case (
	[ 'an unknown certificate', tls($good), undef, qr/self-signed|unable to get/, qr/"ca_file"/ ],
	[ 'another authority', tls($good), $wrong_host->{file}, qr/self-signed|unable to get/, qr/"ca_file"/ ],
	[ 'another host', tls($wrong_host), $wrong_host->{file}, qr/no alternative certificate subject name matches|does not match/ ],
	[ 'an expired certificate', tls($expired), $expired->{file}, qr/expired/ ],
	[ 'a certificate from the future', tls($early), $early->{file}, qr/not yet valid/ ],
	[ 'TLS 1.1', tls($good, '--tls-1-1-only'), $good->{file}, qr/protocol version|unsupported protocol/ ],
	[ 'a common name alone', tls($common), $common->{file}, qr/[Hh]ostname mismatch|no alternative/ ],
	[ 'a common name and an address of mail', tls($mail), $mail->{file}, qr/[Hh]ostname mismatch|no alternative/ ],
	[ 'what the environment trusts', tls($stranger), undef, qr/self-signed|unable to get/ ],
	[ 'no such file', tls($good), '/none.pem', qr/CAfile|certificate|error setting/ ])
{
	my ($name, $bad, $ca_file, @patterns) = @$case;

	my $text = ask($bad->url, $bad->url, $ca_file);
	like($text, qr/^HV00N\ncould not establish a trusted TLS connection to "https:/, "$name: refused");
	like($text, $_, "$name: says why") foreach @patterns;
	is($bad->arrived, '', "$name: it got nothing");
	like(ask($plain->url, $bad->url, $ca_file), qr/^HV00N\ncould not establish a trusted/, "$name: after a good login");
	is($bad->arrived, '', "$name: it got no token");
}

# plain HTTP behind the address of a TLS server, and the other way round
like(ask($plain->url =~ s/http/https/r, $plain->url, $good->{file}), qr/^HV00N/, 'a server without TLS');
unlike($plain->arrived, qr/CONNECT/, 'it is not asked in the clear');
is($node->error("ALTER SERVER graph OPTIONS (SET endpoint 'http://graph.example')")->{state}, 'HV024', 'no http elsewhere');

#------------------------------------------------------------------------------
# Other places
#------------------------------------------------------------------------------

my $sink = tls($good);

foreach my $case (
	[ 'the login redirects', qr/^HV00N\n.*a redirect/s, '--redirect-login' ],
	[ 'the service redirects', qr/^HV00N\n.*a redirect/s, '--redirect-graph' ],
	[ 'a nextLink to another port', qr/refused to follow a nextLink to another origin/, '--next-link' ])
{
	my ($name, $pattern, $option) = @$case;
	my $leading = tls($good, $option, $sink->url);

	like(ask($leading->url, $leading->url, $good->{file}), $pattern, $name);
	is($sink->arrived, '', "$name: not followed");
}
foreach my $link ($sink->url('localhost') . '/v1.0/security/alerts_v2', 'http://127.0.0.1/', 'https://127.0.0.1.evil.test/', 'https://169.254.169.254/')
{
	my $leading = tls($good, '--next-link', $link);

	like(ask($leading->url, $leading->url, $good->{file}), qr/refused to follow a nextLink to another origin|not an absolute URL/, "a nextLink to $link");
}
is($sink->arrived, '', 'nothing arrived elsewhere');

ok(!-e $keys || -s $keys == 0, 'no keys of connections in SSLKEYLOGFILE');
done_testing();
