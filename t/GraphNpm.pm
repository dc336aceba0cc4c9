
# Programs of others, from npm, for one test file.
#
#	my $npm = GraphNpm->install('oidc-provider');
#	plan skip_all => $npm->{missing} if $npm->{missing};
#	my $process = $npm->start('login_server.mjs', { port => 0 }, NODE_EXTRA_CA_CERTS => $file);
#
# t/npm/package.json has their versions; they are installed into a temporary
# folder.  Where there is no npm, or no registry answers, "missing" says so.

package GraphNpm;

use strict;
use warnings;

use File::Copy qw(copy);
use FindBin;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;

# The oldest Node.js that the packages want, and the longest that an
# installation or a program may take.
my $OLDEST_NODE = 20;
my $LONGEST_SECONDS = 120;

# How npm says that it is not the package's fault.
my $UNREACHABLE = qr/\b(?:ENOTFOUND|EAI_AGAIN|ECONN\w+|ENET\w+|EHOST\w+|ETIMEDOUT|ERR_SOCKET_TIMEOUT|E40[1378]|E429|E50\d|\w*CERT\w*)\b/;

sub install
{
	my ($class, @names) = @_;
	my $self = bless { folder => PostgreSQL::Test::Utils::tempdir() }, $class;

	$self->{missing} = _missing_program() || $self->_install(@names);
	return $self;
}

# What is not there, or undef.
sub _missing_program
{
	foreach my $program ('node', 'npm')
	{
		my ($status, $version) = _run(20, {}, $program, '--version');

		return "$program is not installed" if $status;
		return "Node.js is older than $OLDEST_NODE"
		  if $program eq 'node' && $version =~ /^v(\d+)/ && $1 < $OLDEST_NODE;
	}
	return;
}

# Install packages; undef, or why that cannot be.
sub _install
{
	my ($self, @names) = @_;
	my $all = decode_json(slurp_file("$FindBin::RealBin/npm/package.json"));
	my %versions = map {
		$_ => $all->{dependencies}{$_} // die "t/npm/package.json has no $_"
	} @names;

	append_to_file("$self->{folder}/package.json",
		JSON::PP->new->canonical->encode({ private => JSON::PP::true, dependencies => \%versions }));
	my ($status, $output) = _run($LONGEST_SECONDS, {}, 'npm', 'install',
		'--prefix', $self->{folder}, '--no-audit', '--no-fund',
		'--no-package-lock', '--ignore-scripts', '--no-update-notifier',
		'--fetch-retries=1', '--fetch-retry-mintimeout=1000', '--fetch-timeout=30000');

	return if !$status;
	return 'the registry of npm is out of reach'
	  if $status eq 'timeout' || $output =~ $UNREACHABLE;
	die "npm install: $output";
}

# Run a program of t/npm with a configuration to its end: its exit status, or
# "timeout", and what it printed.
sub run
{
	my ($self, $program, $configuration, %environment) = @_;
	return _run($LONGEST_SECONDS, _environment(%environment), $self->_command($program, $configuration));
}

# Start one that ends when its standard input does: an object with the first
# line that it prints.
sub start
{
	my ($self, $program, $configuration, %environment) = @_;
	my $process = bless { input => '', output => '', errors => '' }, 'GraphNpm::Process';
	local %ENV = (%ENV, %{ _environment(%environment) });

	delete @ENV{ grep { !defined $ENV{$_} } keys %ENV };
	$process->{timer} = IPC::Run::timeout(60);
	$process->{harness} = IPC::Run::start([ $self->_command($program, $configuration) ],
		'<', \$process->{input}, '>', \$process->{output}, '2>', \$process->{errors}, $process->{timer});
	$process->{harness}->pump
	  until $process->{output} =~ /\n/ || !$process->{harness}->pumpable;
	die "$program did not start: $process->{errors}" unless $process->{output} =~ /^(.*)\n/;
	$process->{line} = $1;
	$process->{timer}->reset;
	return $process;
}

# The command line; the program is copied to where it finds its packages.
sub _command
{
	my ($self, $program, $configuration) = @_;

	copy("$FindBin::RealBin/npm/$program", "$self->{folder}/$program") or die "$program: $!";
	return ('node', "$self->{folder}/$program", JSON::PP->new->canonical->encode($configuration));
}

# What is different in the environment: everything is on loopback.
sub _environment
{
	my (%changes) = @_;
	return { (map { $_ => undef } grep { /^(?:https?_proxy|all_proxy|node_options|azure_\w+|identity_\w+|imds_\w+|msi_\w+)$/i } keys %ENV), %changes };
}

sub _run
{
	my ($seconds, $environment, @command) = @_;
	my $output = '';
	local %ENV = (%ENV, %$environment);

	delete @ENV{ grep { !defined $ENV{$_} } keys %ENV };
	eval {
		IPC::Run::run(\@command, '<', \undef, '>&', \$output, IPC::Run::timeout($seconds));
		1;
	} or return ($@ =~ /timeout/ ? 'timeout' : 127, $output);
	return ($? >> 8 || $? & 127, $output);
}

package GraphNpm::Process;

use strict;
use warnings;

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@, $!);

	return unless $self->{harness};
	eval { $self->{harness}->kill_kill(grace => 2) };
	return;
}

1;
