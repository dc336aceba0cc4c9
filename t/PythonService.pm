
# A service that one of the Python programs in t/ is, for as long as this lives.
#
#	my $service = PythonService->new('moving_server.py', @arguments);
#	$node->sql("CREATE SERVER ... (endpoint '" . $service->url . "')");
#
# The program prints the port that it listens on, and ends with its standard
# input.

package PythonService;

use strict;
use warnings;

use FindBin;
use IPC::Open2;

sub new
{
	my ($class, $program, @arguments) = @_;
	my ($output, $input);
	my $pid = open2($output, $input, 'env', 'PYTHONDONTWRITEBYTECODE=1', 'python3', "$FindBin::RealBin/$program", @arguments);
	my $port = <$output>;

	die "$program did not start" unless defined $port && $port =~ /^\d+$/;
	chomp $port;
	return bless { pid => $pid, owner => $$, input => $input, output => $output, port => $port }, $class;
}

sub url
{
	my ($self) = @_;
	return "http://127.0.0.1:$self->{port}";
}

# A process that was forked has a copy of this, and must not end the service.
sub DESTROY
{
	my ($self) = @_;
	local ($?, $@, $!);

	return unless $self->{owner} == $$;
	close $self->{input};
	waitpid $self->{pid}, 0;
	return;
}

1;
