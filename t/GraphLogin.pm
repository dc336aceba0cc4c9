
# What the tests of logins share: certificates, an independent server, and the
# user mapping of a session.
#
#	my $certificate = certificate('client', password => 'x');
#	my $server = IndependentServer->new('--certificate', $certificate->{file});
#	set_mapping($node, client_id => 'x', client_secret => 'y');

package GraphLogin;

use strict;
use warnings;

use Exporter 'import';
use GraphCluster qw(options);
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT_OK = qw(certificate set_mapping run_openssl check_rows);

my $folder;

# Run the openssl command, which must succeed.
sub run_openssl
{
	my (@arguments) = @_;
	my ($output, $error) = ('', '');

	IPC::Run::run([ 'openssl', @arguments ], '<', \undef, '>', \$output, '2>', \$error)
	  or die "openssl @arguments: $error";
	return $output;
}

# A self-signed certificate and its key: a hash with file and key.
#
# from and until are times such as 20200101000000Z, password encrypts the key,
# alternative is a subjectAltName, type the algorithm of the key.
sub certificate
{
	my ($name, %params) = @_;
	my $type = $params{type} || 'rsa:2048';

	$folder ||= PostgreSQL::Test::Utils::tempdir();
	my $base = "$folder/$name";
	append_to_file("$base.cnf", <<"CONF");
[ca]
default_ca = own
[own]
database = $base.index
serial = $base.serial
new_certs_dir = $folder
default_md = sha256
policy = policy
copy_extensions = copy
unique_subject = no
[policy]
commonName = supplied
[req]
distinguished_name = name
[name]
CONF
	append_to_file("$base.index", '');
	append_to_file("$base.serial", "01\n");
	run_openssl('req', '-config', "$base.cnf", '-new', '-newkey', $type,
		$type eq 'ec' ? ('-pkeyopt', 'ec_paramgen_curve:P-256') : (),
		$params{password} ? ('-passout', "pass:$params{password}") : ('-nodes'),
		'-keyout', "$base.key", '-out', "$base.csr",
		'-subj', "/CN=" . ($params{subject} || $name),
		$params{alternative} ? ('-addext', "subjectAltName=$params{alternative}") : ());
	run_openssl('ca', '-batch', '-notext', '-config', "$base.cnf", '-selfsign',
		'-keyfile', "$base.key",
		$params{password} ? ('-passin', "pass:$params{password}") : (),
		'-in', "$base.csr", '-out', "$base.pem",
		'-startdate', $params{from}  || '20200101000000Z',
		'-enddate', $params{until} || '20400101000000Z');
	chmod 0600, "$base.key";
	return { file => "$base.pem", key => "$base.key" };
}

# The user mapping of the current user.
sub set_mapping
{
	my ($node, %options) = @_;

	$node->sql('DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER graph;'
		  . 'CREATE USER MAPPING FOR CURRENT_USER SERVER graph '
		  . options(%options));
	return;
}

# The rows of graph_fdw_check() as "step ok", each on a line.
sub check_rows
{
	my ($node) = @_;
	return $node->sql(q{SELECT step, ok FROM graph_fdw_check('graph')});
}

package IndependentServer;

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use PythonService;

our @ISA = ('PythonService');
my $count = 0;

sub new
{
	my ($class, @arguments) = @_;
	my $log = PostgreSQL::Test::Utils::tempdir() . '/requests' . $count++;
	my $self = $class->SUPER::new($class->program, '--log', $log, @arguments);

	$self->{log} = $log;
	$self->{tls} = grep { $_ eq '--tls' } @arguments;
	return $self;
}

sub program
{
	return 'independent_server.py';
}

sub url
{
	my ($self, $host) = @_;
	return ($self->{tls} ? 'https' : 'http') . '://' . ($host || '127.0.0.1')
	  . ":$self->{port}";
}

# All that has arrived.
sub arrived
{
	my ($self) = @_;
	return slurp_file($self->{log});
}

# A proxy, with what has arrived there in the same way.

package ProxyServer;

our @ISA = ('IndependentServer');

sub program
{
	return 'proxy_server.py';
}

1;
