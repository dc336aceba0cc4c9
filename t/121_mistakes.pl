
# What somebody does wrong in the first hour that takes a network, another
# service or a login to be seen: each has a message that says what to do, by a
# query and by graph_fdw_check().  sql/mistakes.sql has what SQL alone can show.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use GraphLogin qw(certificate set_mapping);
use OddServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 3, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 0 });
my $list = 'SELECT id FROM defender.alerts';
my %right = (tenant_id => $TENANT, %{ $APP{main} });
my @there = (endpoint => $emulator->url, authority => $emulator->url, ca_file => undef, proxy => undef, cloud => undef);

# A query fails so, and so does a step of the check, with the same hint: what
# is wrong and what to do are in both.
sub told
{
	my ($name, $wrong, $right) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $error = $node->error($list)->{text};
	my $rows = $node->sql(q{SELECT detail, hint FROM graph_fdw_check('graph') WHERE NOT ok LIMIT 1});

	foreach my $text ($error, $rows)
	{
		like($text // '', $wrong, "$name: what is wrong");
		like($text // '', $right, "$name: what to do");
		unlike($text // '', qr/\Q$APP{main}{client_secret}\E|planted/, "$name: no secret");
	}
	return;
}

# What a client is told while a command succeeds
sub notices_of
{
	my ($sql) = @_;
	my ($result, $out, $err) = $node->psql('postgres', $sql);
	return $err;
}

is($node->sql("SELECT count(*) FROM ($list OFFSET 0) AS a"), 3, 'it works');

# The network
$node->set_server(@there, endpoint => 'https://graph.invalid', authority => 'https://login.invalid');
set_mapping($node, %right);
told('a name that does not resolve', qr/could not resolve the name of "https:\/\/login\.invalid:443"/, qr/The host of the PostgreSQL server has to resolve it: .*"endpoint"/);
$node->set_server(@there, endpoint => 'http://127.0.0.1:1', authority => 'http://127.0.0.1:1');
told('nobody listens', qr/could not connect to "http:\/\/127\.0\.0\.1:1"/, qr/Something has to listen there/);
$node->set_server(@there, endpoint => 'https://127.0.0.1:1', authority => 'https://127.0.0.1:1');
told('nobody listens, by https', qr/could not connect to "https:\/\/127\.0\.0\.1:1"/, qr/has to reach it, .*"proxy"/);
$node->set_server(@there, endpoint => 'https://127.0.0.1:1', authority => 'https://127.0.0.1:1', proxy => 'http://proxy.invalid:1');
told('a proxy that does not resolve', qr/could not resolve the name of the proxy for "https:.*proxy\.invalid/, qr/check its DNS, and the server's option "proxy"\./);
$node->set_server(@there, endpoint => 'https://127.0.0.1:1', authority => 'https://127.0.0.1:1', proxy => 'http://127.0.0.1:1');
told('a proxy that is not there', qr/could not connect/, qr/(?:^|\|)The connection goes through the proxy that the server's option "proxy" names: is it that one, and can/m);
$node->set_server(@there, endpoint => 'https://127.0.0.1:1', authority => 'https://127.0.0.1:1', proxy => $emulator->url);
told('a proxy that is none', qr/the proxy refused to connect to "https.* 501/, qr/The server's option "proxy" names the proxy/);
$node->set_server(@there, endpoint => 'https://127.0.0.1:1', authority => 'https://127.0.0.1:1', proxy => $emulator->url =~ s/^http/https/r);
told('a proxy that is asked by https and has none', qr/trusted TLS connection/, qr/does not speak TLS.*goes through the proxy that the server's option "proxy" names/);
$node->set_server(@there, endpoint => 'https://127.0.0.1:' . $emulator->port, authority => 'https://127.0.0.1:' . $emulator->port);
told('https where there is http', qr/could not establish a trusted TLS connection/, qr/The other side does not speak TLS 1\.2 or later: .* plain HTTP/);

# What does not pass is not waited for, whatever queries do; what may pass is
sub attempts
{
	my ($name, $code, $state) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $proxy = OddServer->new(sub { print { $_[0] } "HTTP/1.1 $code Said\r\nContent-Length: 0\r\n\r\n" }, read => 1);

	$node->set_server(@there, max_retries => 1, endpoint => 'https://127.0.0.1:1', authority => 'https://127.0.0.1:1', proxy => $proxy->url);
	like($node->error($list)->{text}, $state, $name);
	return;
}
attempts('a proxy that knows no tunnels', 501, qr/the proxy refused to connect to "https:\/\/127\.0\.0\.1:1".* 501(?!.*tried)/s);
attempts('a proxy that forbids it', 403, qr/the proxy refused to connect to "https:\/\/127\.0\.0\.1:1".* 403(?!.*tried)/s);
attempts('a proxy that cannot just now', 503, qr/the proxy could not connect to "https:\/\/127\.0\.0\.1:1".* 503.*It was tried 2 times/s);
$node->set_server(@there, endpoint => 'https://127.0.0.1:' . $emulator->port, authority => 'https://127.0.0.1:' . $emulator->port);
unlike($node->error($list)->{text}, qr/tried/, 'no TLS is found out once');
$node->set_server(max_retries => 0);

# Certificates
SKIP:
{
	skip 'there is no openssl to make a certificate with', 34 if system('openssl version >/dev/null 2>&1');
	my %own = (alternative => 'IP:127.0.0.1', subject => '127.0.0.1');
	my $good = certificate('good', %own);
	my $expired = certificate('expired', %own, until => '20210101000000Z');
	my $other = certificate('other', alternative => 'DNS:other.test', subject => 'other.test');
	my ($own, $old, $of_other) = map { GraphEmulator->new('--alerts', 1, '--tls-cert', $_->{file}, '--tls-key', $_->{key}) } $good, $expired, $other;

	$node->set_server(@there, endpoint => $own->url, authority => $own->url);
	told('an authority of one\'s own', qr/trusted TLS connection.*(?:self-signed|unable to get)/, qr/"ca_file" to a file that the PostgreSQL server can read/);
	$node->set_server(@there, endpoint => $own->url, authority => $own->url, ca_file => '/none.pem');
	told('a ca_file that is missing', qr/none\.pem/, qr/a file that the PostgreSQL server can read/);
	$node->set_server(@there, endpoint => $old->url, authority => $old->url, ca_file => $expired->{file});
	told('a certificate that has expired', qr/expired/, qr/One that has expired or is not yet valid may be due to the clock/);
	$node->set_server(@there, endpoint => $of_other->url, authority => $of_other->url, ca_file => $other->{file});
	told('a certificate for another name', qr/trusted TLS connection.*127\.0\.0\.1/, qr/has to be for the host that "endpoint", "authority" or "proxy" names/);
	$node->set_server(@there, endpoint => $own->url =~ s/^https/http/r, authority => $own->url =~ s/^https/http/r);
	told('http where there is https', qr/lost the connection/, qr/it may want to be asked by https/);
	$node->set_server(@there, ca_file => $other->{file});
	like(notices_of(q{ALTER SERVER graph OPTIONS (SET ca_file '/none.pem')}), qr/WARNING:  could not access file "\/none\.pem" of option "ca_file": No such file/, 'it was told when it was set');
	is(notices_of("ALTER SERVER graph OPTIONS (SET ca_file '$good->{file}')"), '', 'and not where it is there');
	$_->stop foreach $own, $old, $of_other;
}

# Addresses
$node->set_server(@there, endpoint => $emulator->url . '/graph');
told('a path that is not there', qr/status 400.*Invalid version: graph/s, qr/Check the server's options "cloud", "endpoint" and "api_version"/);
$node->set_server(@there, authority => $emulator->url . '/nothing');
$node->sql('SELECT graph_fdw_disconnect()');
told('an authority that is none', qr/token endpoint answered with status 40[04]/, qr/check the server's options "authority" and "cloud"/);

# Logins
$node->set_server(@there);
set_mapping($node, %right, client_secret => 'planted-secret');
told('a wrong secret', qr/AADSTS7000215/, qr/the secret's value and not its id/);
set_mapping($node, %right, client_id => '00000000-0000-0000-0000-000000000000');
told('a wrong application', qr/AADSTS700016/, qr/"client_id" and "tenant_id": the application is not known/);
set_mapping($node, %right, tenant_id => 'nowhere.test');
told('a wrong tenant', qr/AADSTS90002/, qr/Check the option "tenant_id", and that the server's option "cloud"/);
set_mapping($node, %{ $APP{main} });
told('no tenant', qr/option "tenant_id" is missing/, qr/on the user mapping or on server "graph"/);
set_mapping($node, tenant_id => $TENANT, %{ $APP{no_roles} });
told('no permission, or no consent', qr/status 403/, qr/Grant the application permission SecurityAlert\.Read\.All .* admin consent/);
set_mapping($node, access_token => 'planted-token');
told('a token that has expired', qr/status 401/, qr/"access_token" has expired/);
set_mapping($node, tenant_id => $TENANT, client_id => $APP{main}{client_id});
told('nobody has logged in', qr/not logged in/, qr/graph_fdw_login/);
$node->set_server(@there, cloud => 'china');
set_mapping($node, %right);
told('a cloud without it', qr/does not offer security alerts in cloud "china"/, qr/set the option "cloud" of server "graph"/);

# A file that the server's user cannot read
$node->set_server(@there);
$node->sql('DROP USER MAPPING FOR CURRENT_USER SERVER graph');
like(notices_of("CREATE USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (tenant_id '$TENANT', client_id 'x', certificate_file 'cert.pem', private_key_file '/none.pem')"),
	qr/WARNING:  could not access file "cert\.pem" of option "certificate_file".*HINT:  The server looks for a relative path in its data directory.*WARNING:  could not access file "\/none\.pem" of option "private_key_file"/s,
	'files of a certificate');
told('a certificate that is not there', qr/could not open certificate file "cert\.pem"/, qr/looks for a relative path in its data directory/);
$node->sql('DROP USER MAPPING FOR CURRENT_USER SERVER graph');
told('no mapping', qr/user mapping not found for user ".*", server "graph"/, qr/The command is CREATE USER MAPPING FOR \w+ SERVER graph OPTIONS/);

# A ceiling of one's own, and no time to wait for it
set_mapping($node, %right);
$node->set_server(requests_per_minute => 1);
my $late = $node->error('SELECT count(*) FROM defender.alerts a, defender.alerts b, defender.incidents c', before => q{SET statement_timeout = '1500ms'});
is($late->{state}, '57014', 'statement_timeout while it waits for its turn');
like($late->{context}, qr/^waiting for the turn of a request, below "requests_per_minute"/m, 'says what it waited for');
$node->set_server(requests_per_minute => undef);
$emulator->fault(kind => 'stall', times => -1, path => '/alerts_v2');
unlike($node->error($list, before => q{SET statement_timeout = '1500ms'})->{text}, qr/waiting for the turn/, 'but not of the service');
$emulator->no_fault;

# What is probably a mistake costs no request more, and no row
set_mapping($node, %right);
$node->sql("SELECT count(*) FROM ($list OFFSET 0) AS a");
$emulator->clear;
like(notices_of(q{SELECT count(*) FROM (SELECT id FROM defender.alerts WHERE severity = 'High' AND created_date_time > '2020-01-01' OFFSET 0) AS a}), qr/Perhaps you meant "high"/, 'a word in another case');
is(scalar(grep { /alerts_v2/ } $emulator->requests), 1, 'one request, as before');
is($node->sql(q{SET client_min_messages = error; SELECT count(*) FROM defender.alerts WHERE severity = 'High'}), 0, 'and no row');
is(notices_of(q{SET client_min_messages = warning; SELECT count(*) FROM defender.alerts WHERE severity = 'High'}), '', 'a client can turn it off');

# A service that has the word after all, as ANALYZE has seen, is not told of it
$emulator->set_alerts(map { GraphEmulator::alert(id => "a$_", severity => $_ % 2 ? 'High' : 'low') } 1 .. 20);
$node->sql('ANALYZE defender.alerts');
is(notices_of(q{SELECT id FROM defender.alerts WHERE severity = 'High' AND id = 'x'}), '', 'what ANALYZE has seen');
like(notices_of(q{SELECT id FROM defender.alerts WHERE severity = 'critical' AND id = 'x'}), qr/"critical" is not among the values/, 'but another word');

# An UPDATE without WHERE ends where the option says, and tells what it has done
sub patches { return scalar grep { /^PATCH/ } $emulator->requests }

$node->set_server(updatable => 'true', max_writes => 5, concurrency => 2);
$emulator->clear;
my $error = $node->error(q{UPDATE defender.alerts SET assigned_to = 'ana@contoso.test'});
is($error->{state}, '54000', 'more than max_writes');
like($error->{text}, qr/statement would change more than 5 alerts of server "graph"\n5 alerts were changed before the error: .*\nIts condition may match more than was meant\./, 'says so, and what was done');
is(patches(), 5, 'and nothing more was sent');
$emulator->clear;
$node->sql(q{UPDATE defender.alerts SET assigned_to = 'ben@contoso.test' WHERE id IN ('a1', 'a2', 'a3', 'a4', 'a5')});
is(patches(), 5, 'so many may be');
$emulator->clear;
like($node->error(q{INSERT INTO defender.alert_comments (alert_id, comment) SELECT 'a1', n::text FROM generate_series(1, 6) AS n})->{text}, qr/statement would add more than 5 comments/, 'comments are counted, too');
$node->sql(q{ALTER FOREIGN TABLE defender.alerts OPTIONS (ADD max_writes '0')});
$emulator->clear;
$node->sql(q{UPDATE defender.alerts SET assigned_to = 'cleo@contoso.test'});
is(patches(), 20, 'a table may have an option of its own');

done_testing();
