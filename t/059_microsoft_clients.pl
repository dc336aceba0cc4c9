
# Microsoft's own clients log in at the emulator and read from it, unchanged: so
# it is not only our idea of the service that it follows.
#
# The cases are those of t/npm/microsoft_clients.mjs.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphEmulator qw(%APP $TENANT);
use GraphLogin qw(certificate);
use GraphNpm;
use PostgreSQL::Test::Utils;
use Test::More;

my $npm = GraphNpm->install('@azure/identity', '@azure/msal-node', '@microsoft/microsoft-graph-client');
plan skip_all => $npm->{missing} if $npm->{missing};

my $server = certificate('server', alternative => 'IP:127.0.0.1', subject => '127.0.0.1');
my $client = certificate('client');
my $emulator = GraphEmulator->new('--alerts', 40, '--tls-cert', $server->{file}, '--tls-key', $server->{key});
my $plain = GraphEmulator->new('--alerts', 40);
my $folder = PostgreSQL::Test::Utils::tempdir();

append_to_file("$folder/client.pem", slurp_file($client->{file}) . slurp_file($client->{key}));
append_to_file("$folder/token", 'emulator-federated-token');

my ($status, $output) = $npm->run('microsoft_clients.mjs', {
		url         => $emulator->url,
		plain_url   => $plain->url,
		tenant      => $TENANT,
		client_id   => $APP{main}{client_id},
		secret      => $APP{main}{client_secret},
		certificate => "$folder/client.pem",
		token_file  => "$folder/token"
	}, NODE_EXTRA_CA_CERTS => $server->{file});

foreach my $line (split /\n/, $output)
{
	if    ($line =~ /^ok (.*)/)               { pass($1); }
	elsif ($line =~ /^not ok ([^:]*): (.*)/) { fail($1); diag $2; }
	else                                      { diag $line unless $line eq 'the end'; }
}
is($status, 0, 'the clients have ended well');
like($output, qr/^the end$/m, 'all cases were run');
done_testing();
