
# What goes through a proxy, who may say so, and what the proxy and the service
# see of each other's secrets.

use strict;
use warnings;
use utf8;

use Encode qw(encode);
use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use GraphLogin qw(certificate set_mapping);
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 3, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 0 },
	conf => "log_statement = none\nlog_error_verbosity = verbose\n");
my $list = 'SELECT id FROM defender.alerts';
my %app = (tenant_id => $TENANT, client_id => 'client', client_secret => 'independent secret & more=%41');
my $password = encode('UTF-8', 'paß wört:%41+/=');
my %proxy_login = (proxy_user => 'someone', proxy_password => $password);
my $user = "someone:$password";
my $basic = encode_base64($user, '');
my $token = 'independent-access-token-7f3a9c';
my $good = certificate('good', alternative => 'IP:127.0.0.1', subject => '127.0.0.1');
my $other = certificate('other', alternative => 'IP:127.0.0.1', subject => '127.0.0.1');
my $log_start = -s $node->logfile;

# Nothing of either secret is in the text.
sub no_secret
{
	my ($text, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	unlike($text, qr/\Q$basic\E|pa\S+ w\S+rt|independent[ +%]|\Q$token\E/, $name);
	return;
}

# Ask a service that speaks TLS, through a proxy.
sub ask
{
	my ($origin, $proxy, $ca_file) = @_;

	$node->set_server(endpoint => $origin->url, authority => $origin->url, proxy => $proxy, ca_file => $ca_file || $good->{file});
	return $node->error($list)->{text} // $node->result("SELECT count(*) FROM ($list OFFSET 0) AS a");
}

#------------------------------------------------------------------------------
# Not through a proxy
#------------------------------------------------------------------------------

my $watching = ProxyServer->new;
$node->set_server(proxy => $watching->url);
set_mapping($node, tenant_id => $TENANT, %{ $APP{main} }, %proxy_login);
is($node->sql("SELECT count(*) FROM ($list OFFSET 0) AS a"), 3, 'http on loopback, with a proxy: rows');
like($node->sql(q{SELECT string_agg(ok::text, ' ') FROM graph_fdw_check('graph')}), qr/^true( true)*$/, 'and graph_fdw_check()');
set_mapping($node, tenant_id => $TENANT, client_id => $APP{main}{client_id});
$emulator->settings(device_code_polls => 0, device_code_outcome => 'decline');
like($node->error(q{SELECT * FROM graph_fdw_login('graph')})->{text}, qr/declined/, 'and graph_fdw_login()');
is($watching->arrived, '', 'nothing of it arrived at the proxy');
ok((grep { /^POST .*token/ } $emulator->requests), 'the login arrived where it belongs');
ok(!(grep { $_->{headers}{'proxy-authorization'} } $emulator->records), 'without the credentials of the proxy');

#------------------------------------------------------------------------------
# Through one
#------------------------------------------------------------------------------

my $origin = IndependentServer->new('--tls', $good->{file}, $good->{key});

foreach my $kind ('http', 'https', 'socks5', 'socks5h')
{
	my @kind = $kind eq 'https' ? ('--tls', $good->{file}, $good->{key}) : $kind =~ /socks/ ? ('--socks') : ();
	my $open = ProxyServer->new(@kind);
	my $closed = ProxyServer->new('--user', $user, @kind);

	set_mapping($node, %app);
	is(ask($origin, $open->url =~ s/^https?/$kind/r), 2, "$kind: a proxy for everybody");
	like($open->arrived, $kind =~ /socks/ ? qr/127\.0\.0\.1:/ : qr/^"CONNECT 127\.0\.0\.1:/, "$kind: a tunnel is asked for");
	unlike($open->arrived, qr/authorization/i, "$kind: without any token");
	no_secret($open->arrived, "$kind: nor secret");

	my $text = ask($origin, $closed->url =~ s/^https?/$kind/r);
	like($text, $kind =~ /socks/ ? qr/^HV/ : qr/^HV00N\nthe proxy refused to connect to .*"proxy_user" and "proxy_password"/s, "$kind: a proxy that wants a login");

	set_mapping($node, %app, proxy_user => 'someone', proxy_password => "wrong $password");
	$text = ask($origin, $closed->url =~ s/^https?/$kind/r);
	like($text, qr/^HV/, "$kind: a wrong password");
	no_secret($text, "$kind: which is not shown");

	set_mapping($node, %app, %proxy_login);
	is(ask($origin, $closed->url =~ s/^https?/$kind/r), 2, "$kind: the right password");
	my $arrived = $closed->arrived;
	ok(index($arrived, $kind =~ /socks/ ? 'someone:pa' : $basic) >= 0, "$kind: it has arrived at the proxy");
	unlike($arrived, qr/"(?!CONNECT)[A-Z]+ /, "$kind: which is asked for nothing but tunnels");
	unlike($arrived, qr/\Q$token\E|Bearer|client_secret/, "$kind: and sees no token");
}
no_secret(slurp_file($node->logfile, $log_start) =~ s/^.*(CREATE|DROP) USER MAPPING.*$//mgr, 'nothing of it is in the log');
unlike($origin->arrived, qr/proxy-/i, 'the service never sees the credentials of the proxy');
my @arrived = split /\n/, $origin->arrived;
is(scalar(grep { /\Q$basic\E|someone/ } @arrived), 0, 'in any form');

# A tunnel is for those whose password opened it, also in the same session.
my $guarded = ProxyServer->new('--user', $user);
$node->sql('CREATE ROLE guest; GRANT USAGE ON SCHEMA defender TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA defender TO guest;
	CREATE USER MAPPING FOR guest SERVER graph ' . options(%app));
ask($origin, $guarded->url);
my $session = $node->session;
is($session->query("SELECT count(*) FROM ($list OFFSET 0) AS a"), 2, 'a tunnel with a password');
$session->query('SET ROLE guest');
$session->query("SELECT count(*) FROM ($list OFFSET 0) AS a");
like($session->{stderr}, qr/HV00N: the proxy refused to connect/, 'is not used by a role without one');
$session->query('RESET ROLE');
is($session->query("SELECT count(*) FROM ($list OFFSET 0) AS a"), 2, 'but by the other again');
$session->quit;

# who proves that it is the proxy
my $stranger = ProxyServer->new('--user', $user, '--tls', $other->{file}, $other->{key});
like(ask($origin, $stranger->url), qr/^HV00N\ncould not establish a trusted TLS connection/, 'a proxy whose certificate is another authority\'s');
is($stranger->arrived, '', 'gets no password');

#------------------------------------------------------------------------------
# Who may say so, and what is said of it
#------------------------------------------------------------------------------

$node->sql('CREATE ROLE clerk; GRANT USAGE ON FOREIGN SERVER graph TO clerk');
foreach my $option ("proxy_user 'hush', proxy_password 'hush'", "proxy_password 'hush', proxy_user 'hush'")
{
	my $error = $node->error("CREATE USER MAPPING FOR clerk SERVER graph OPTIONS (client_id 'x', client_secret 'hush', $option)", before => 'SET ROLE clerk');
	is($error->{state}, '42501', 'an ordinary role may not set them');
	unlike($error->{text}, qr/hush/, 'and nothing is repeated');
}
foreach my $case ([ "proxy_user 'x'", qr/option "proxy_password" is missing/ ], [ "proxy_password 'hush'", qr/option "proxy_user" is missing/ ],
	[ "proxy_user 'a:b', proxy_password 'hush'", qr/must not contain a colon/ ], [ "proxy_user 'x', proxy_password ''", qr/must not be empty/ ])
{
	my ($options, $pattern) = @$case;
	my $error = $node->error("CREATE USER MAPPING FOR clerk SERVER graph OPTIONS (client_id 'x', client_secret 'hush', $options)");

	like($error->{text}, $pattern, $options);
	unlike($error->{text}, qr/hush/, 'no secret is repeated');
}
like($node->error("ALTER SERVER graph OPTIONS (ADD proxy_password 'hush')")->{text}, qr/may be set on a user mapping only/, 'not on a server');
done_testing();
