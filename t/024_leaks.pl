
# Nothing that proves an identity is in the log at DEBUG5, in messages, or in a
# statement that failed: the logins beside client secret and access token.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use GraphLogin qw(certificate set_mapping);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 30);
my $folder = PostgreSQL::Test::Utils::tempdir();
my $list = 'SELECT * FROM defender.alerts';
my %app = (tenant_id => $TENANT, client_id => $APP{main}{client_id});

$ENV{AZURE_POD_IDENTITY_AUTHORITY_HOST} = $emulator->url;
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 0, page_size => 10 },
	conf => "log_statement = none\nlog_error_verbosity = verbose\n");
my $certificate = certificate('client', password => 'planted-key-password');
my $key_text = slurp_file($certificate->{key});
my ($key_line) = grep { /^\S{60}/ } split /\n/, $key_text;

append_to_file("$folder/federated", 'emulator-federated-token');
append_to_file("$folder/wrong", 'planted-wrong-federated-token');
$emulator->control('POST', 'certificates',
	encode_json({ client_id => $app{client_id}, certificate => slurp_file($certificate->{file}) }));

my $verbose = join ' ', map { "SET $_;" } 'log_min_messages = debug5', 'client_min_messages = debug5', 'debug_print_plan = on',
  'debug_print_parse = on', 'log_min_duration_statement = 0';
my %logins = (
	certificate => { %app, certificate_file => $certificate->{file}, private_key_file => $certificate->{key},
		private_key_password => 'planted-key-password' },
	'wrong password' => { %app, certificate_file => $certificate->{file}, private_key_file => $certificate->{key},
		private_key_password => 'planted-wrong-password' },
	'federated token'       => { %app, federated_token_file => "$folder/federated" },
	'wrong federated token' => { %app, federated_token_file => "$folder/wrong" },
	'managed identity'      => { managed_identity => 'true' },
	'refresh token'         => { %app, refresh_token => 'emulator-refresh-token' },
	'wrong refresh token'   => { %app, refresh_token => 'planted-wrong-refresh-token' },
	'refresh token beside a certificate' => { %app, refresh_token => 'emulator-refresh-token',
		certificate_file => $certificate->{file}, private_key_file => $certificate->{key}, private_key_password => 'planted-key-password' },
	'refresh token beside a wrong secret' => { %app, refresh_token => 'emulator-refresh-token', client_secret => 'planted-wrong-secret' },
	'wrong secret'          => { %app, client_secret => 'planted-wrong-secret' },
	person                  => {%app});
my @secrets = ('planted-', $key_line, 'emulator-federated-token', 'emulator-refresh-token', 'client_assertion=ey', 'skiptoken=');
my $from = -s $node->logfile;

# None of the secrets, and nothing that looks like a token.
sub no_secret
{
	my ($text, $name) = @_;
	my ($found) = grep { index($text, $_) >= 0 } @secrets;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	($found) = $text =~ /((?:eyJ)[\w-]{20,}\.[\w.-]+|[\w-]{300,})/ unless defined $found;
	is($found, undef, $name);
	return;
}

# set_mapping() before the log is looked at: the statement itself may be there
foreach my $name (sort keys %logins)
{
	set_mapping($node, %{ $logins{$name} });
	$from = -s $node->logfile;
	my $login = $name eq 'person' ? q{SELECT * FROM graph_fdw_login('graph');} : '';
	my (undef, $rows, $messages) = $node->psql('postgres', "$verbose $login $list; $list; SELECT * FROM graph_fdw_check('graph');");

	no_secret($messages, "$name: messages");
	no_secret($rows =~ s/.*(?=\noptions\|)//sr, "$name: graph_fdw_check()") if $rows =~ /\noptions\|/;
	no_secret($node->sql("EXPLAIN (ANALYZE, VERBOSE) $list"), "$name: EXPLAIN") if $name !~ /wrong|person/;
	no_secret($node->sql('SELECT string_agg(a::text, chr(10)) FROM pg_stat_activity a'), "$name: pg_stat_activity");
	no_secret(slurp_file($node->logfile, $from), "$name: log at DEBUG5");
}

#------------------------------------------------------------------------------
# What the service says of a skip token
#------------------------------------------------------------------------------

# (without order_pushdown the list is followed by its links)
set_mapping($node, access_token => 'emulator-access-token');
$node->set_server(order_pushdown => 'false');
$from = -s $node->logfile;
$emulator->fault(kind => 'status', code => 403, path => 'skiptoken', times => -1,
	message => 'Invalid URL https://graph/?$skiptoken=planted-skip-token&$top=1 or %24skiptoken%3Dplanted-skip-token');
my (undef, undef, $messages) = $node->psql('postgres', "$verbose $list");
like($messages =~ s{^.*?(?=ERROR:)}{}sr, qr/Invalid URL.*\*\*\*/, 'an error of a page');
no_secret($messages =~ s/skiptoken=\*//gr, 'has no skip token');
no_secret(slurp_file($node->logfile, $from) =~ s/skiptoken=\*//gr, 'nor the log');
$emulator->no_fault;
$emulator->fault(kind => 'next_link', times => 1,
	text => encode_json([ $emulator->url . '/v1.0/security/alerts_v2?$skiptoken=planted%2Fskip&$top=10' ]) =~ s/^\[(.*)\]$/$1/r);
$emulator->fault(kind => 'status', code => 403, path => 'planted%2Fskip', times => -1, message => 'planted/skip, or planted%2Fskip, is too old');
(undef, undef, $messages) = $node->psql('postgres', "$verbose $list");
like($messages =~ s{^.*?(?=ERROR:)}{}sr, qr/\*\*\*, or \*\*\*, is too old/, 'a skip token that has no name beside it');
no_secret($messages =~ s/skiptoken=\*//gr, 'is not shown');
no_secret(slurp_file($node->logfile, $from) =~ s/skiptoken=\*//gr, 'nor logged');
$emulator->no_fault;

#------------------------------------------------------------------------------
# Statements that fail
#------------------------------------------------------------------------------

$from = -s $node->logfile;
foreach my $sql (
	q{CREATE USER MAPPING FOR PUBLIC SERVER graph OPTIONS (client_secret 'planted-1')},
	q{CREATE USER MAPPING FOR PUBLIC SERVER graph OPTIONS (client_id 'x', client_secret 'planted-2', access_token 'planted-3')},
	q{CREATE USER MAPPING FOR PUBLIC SERVER graph OPTIONS (client_id 'x', client_secrt 'planted-4')},
	q{CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (client_secret 'planted-5')},
	q{ALTER USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (SET access_token 'planted 6')})
{
	$node->psql('postgres', $sql);
}
my $log = slurp_file($node->logfile, $from);
is(() = $log =~ /ERROR:/g, 5, 'five statements failed');
no_secret($log, 'none of them is in the log');
$node->psql('postgres', q{CREATE SERVER wrong FOREIGN DATA WRAPPER graph_fdw OPTIONS (page_size '0')});
like(slurp_file($node->logfile, $from), qr/STATEMENT:  CREATE SERVER wrong.*page_size/, 'one without a secret is');

#------------------------------------------------------------------------------
# Dumps
#------------------------------------------------------------------------------

$node->sql('CREATE ROLE dumper LOGIN; GRANT USAGE ON SCHEMA defender TO dumper; GRANT SELECT ON ALL TABLES IN SCHEMA defender TO dumper');
set_mapping($node, %app, client_secret => 'planted-in-the-catalog');
my $dump = $node->basedir . '/dump.sql';
IPC::Run::run([ 'pg_dump', '-U', 'dumper', '--schema-only', '-h', $node->host, '-p', $node->port, 'postgres' ], '>', $dump, '2>', \my $error);
no_secret(slurp_file($dump), 'a dump by an ordinary role');
done_testing();
