
# What is left of secrets in the memory of a backend, after a query, an error,
# a login and graph_fdw_disconnect().
#
# A core of the backend is searched, without the memory that all share: there
# the pages of pg_user_mapping are.  Whose copies they are, docs/security.md says.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use GraphLogin qw(certificate set_mapping);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use OddServer;
use PostgreSQL::Test::Utils;
use Test::More;

foreach my $program ('gdb', 'gcore')
{
	plan skip_all => "$program is not there" unless IPC::Run::run([ 'sh', '-c', "command -v $program" ], '>', \my $out, '2>', \my $err);
}
plan skip_all => 'no /proc' unless -e '/proc/self/coredump_filter';

my $folder = PostgreSQL::Test::Utils::tempdir();
my $token = 'tok3n.' . join '', map { chr(97 + ($_ * 7919 + int($_ / 13)) % 26) } 1 .. 900;
my $rotated = 'r0tated.' . join '', map { chr(97 + ($_ * 6361 + int($_ / 11)) % 26) } 1 .. 500;
my $refresh = 'refr3sh.' . join '', map { chr(97 + ($_ * 5381 + int($_ / 17)) % 26) } 1 .. 500;
my $secret = 's3cret~in+the/mapping=with&all%of it';
my $escaped = $secret =~ s/([^\w.~-])/sprintf '%%%02X', ord $1/ger;
my $key_password = 'k3y-password-of-the-certificate';
my $proxy_password = 'pr0xy-password-of-somebody';
my $proxy_basic = encode_base64("someone:$proxy_password", '');

# A login that gives tokens, and a service that says all that it was told.
my $echo = OddServer->new(
	sub {
		my ($socket, $request) = @_;
		my $said = "you said: $request";
		return OddServer::answer($socket, 401, encode_json({ error => 'invalid_client', error_description => "$said $secret" }))
		  if $request =~ m{^POST /bad\.test/};
		return OddServer::answer($socket, 200, encode_json({ access_token => $token, expires_in => 3600, token_type => 'Bearer',
			$request =~ /refresh_token/ ? (refresh_token => $rotated) : () }))
		  if $request =~ m{^POST };
		return OddServer::answer($socket, 403, encode_json({ error => { code => $request, message => $said, innerError => { 'request-id' => $said } } }))
		  if $request =~ m{/refuse/};
		return OddServer::answer($socket, 200, encode_json({ value => [ { id => '1', createdDateTime => '2026-01-01T00:00:00Z' } ] }));
	},
	read => 1);

sub Echo::url { return $echo->url; }
my $node = GraphCluster->connected_to(bless({}, 'Echo'), server => { max_retries => 0 }, conf => "log_statement = none\nshared_buffers = 16MB\n");
my $count = q{SELECT count(*) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a};
my $certificate = certificate('client', password => $key_password);
my $login_key = slurp_file($certificate->{key});

# How often texts are in the memory of a process.
sub copies
{
	my ($pid, @texts) = @_;
	my $core = "$folder/core.$pid";

	# what is private and written to
	open my $filter, '>', "/proc/$pid/coredump_filter" or return;
	print $filter "0x1\n";
	close $filter;
	IPC::Run::run([ 'gcore', '-o', "$folder/core", $pid ], '<', \undef, '>', \my $out, '2>', \my $err);
	return unless -s $core;
	my $bytes = slurp_file($core);
	unlink $core;
	return map { scalar(() = $bytes =~ /\Q$_\E/g) } @texts;
}

# What is found after some statements in a session of their own; the texts are
# of no statement of its.
sub left
{
	my ($statements, @texts) = @_;
	my $session = $node->session;
	my $pid = $session->query('SELECT pg_backend_pid()');

	$session->query($_) foreach @$statements;
	my @copies = copies($pid, @texts);
	$session->quit;
	return @copies;
}

my %app = (tenant_id => 'good.test', client_id => 'client');
plan skip_all => 'gcore does not work here' unless left(['SELECT 1'], 'graph_fdw no such text');

# What PostgreSQL keeps of the row of a mapping: the catalog cache, and where it
# took that apart.
my $IN_CATALOG = 3;

# What OpenSSL may keep of what it sent and received last.
my $BY_OPENSSL = 1;

# Of each text there are at most so many copies.
sub is_left
{
	my ($name, $statements, %most) = @_;
	my @texts = sort keys %most;
	my @found = left($statements, @texts);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $i (0 .. $#texts)
	{
		my $short = substr($texts[$i], 0, 12);
		ok($found[$i] <= $most{ $texts[$i] }, "$name: $short: $found[$i] of at most $most{$texts[$i]}");
	}
	return;
}

foreach my $service ('', '/refuse')
{
	my $what = $service ? 'an error that repeats everything' : 'a query';

	$node->set_server(endpoint => $echo->url . $service, authority => $echo->url);
	set_mapping($node, %app, client_secret => $secret, proxy_user => 'someone', proxy_password => $proxy_password);
	is_left("client secret, $what", [$count], $token => 1, $secret => $IN_CATALOG, $escaped => 0, $proxy_password => $IN_CATALOG, $proxy_basic => 0);
	is_left("client secret, $what, disconnected", [ $count, 'SELECT graph_fdw_disconnect()' ], $token => 0, $secret => $IN_CATALOG, $escaped => 0);
	set_mapping($node, access_token => $token);
	is_left("access token, $what", [ $count, 'SELECT graph_fdw_disconnect()' ], $token => $IN_CATALOG, "Bearer $token" => 0);
	set_mapping($node, %app, refresh_token => $refresh);
	is_left("refresh token, $what", [$count], $token => 1, $rotated => 1, $refresh => $IN_CATALOG);
	is_left("refresh token, $what, disconnected", [ $count, 'SELECT graph_fdw_disconnect()' ], $token => 0, $rotated => 0, $refresh => $IN_CATALOG);
	set_mapping($node, %app, certificate_file => $certificate->{file}, private_key_file => $certificate->{key}, private_key_password => $key_password);
	is_left("certificate, $what", [ $count, 'SELECT graph_fdw_disconnect()' ], $token => 0, $key_password => $IN_CATALOG, 'client_assertion=ey' => 0,
		(split /\n/, $login_key)[3] => 0);
}
set_mapping($node, %app, tenant_id => 'bad.test', client_secret => $secret);
is_left('a login that is refused', [$count], $secret => $IN_CATALOG, $escaped => 0);

# The same over TLS, while the connection is kept and after it is closed.
my $own = certificate('own', alternative => 'IP:127.0.0.1', subject => '127.0.0.1');
my $tls = IndependentServer->new('--tls', $own->{file}, $own->{key});
$secret = 'independent secret & more=%41';
$token = 'independent-access-token-7f3a9c';
$node->set_server(endpoint => $tls->url, authority => $tls->url, ca_file => $own->{file});
set_mapping($node, %app, tenant_id => $TENANT, client_secret => $secret);
is_left('over TLS', [$count], "Bearer $token" => $BY_OPENSSL, 'independent%20secret' => $BY_OPENSSL, $secret => $IN_CATALOG);
is_left('over TLS, disconnected', [ $count, 'SELECT graph_fdw_disconnect()' ], $token => $BY_OPENSSL, 'independent%20secret' => $BY_OPENSSL);
is_deeply([ glob "$folder/core*" ], [], 'no core is left behind');
done_testing();
