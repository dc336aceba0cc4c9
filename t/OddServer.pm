
# A server on loopback that does what no emulator of a service does.
#
#	my $silent = OddServer->new(sub { sleep 60 });
#	my $echo = OddServer->new(sub { my ($socket, $request) = @_; ... }, read => 1);
#
# The function runs in a process of its own for each connection, which ends
# with it.  With "read" it is given the request, as the text that came.

package OddServer;

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();

my @running;

sub new
{
	my ($class, $function, %params) = @_;
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1',
		Listen    => 64) or die "cannot listen: $!";
	my $pid = fork // die "cannot fork: $!";

	serve($listener, $function, %params) if $pid == 0;
	my $self = bless { pid => $pid, port => $listener->sockport }, $class;
	push @running, $pid;
	return $self;
}

sub port
{
	my ($self) = @_;
	return $self->{port};
}

sub url
{
	my ($self) = @_;
	return "http://127.0.0.1:$self->{port}";
}

# The server's process: never returns, and leaves no END block to run.
sub serve
{
	my ($listener, $function, %params) = @_;

	# what others wait for the end of is not to stay open here
	foreach my $descriptor (3 .. 255)
	{
		POSIX::close($descriptor) if $descriptor != fileno $listener;
	}
	setpgrp;
	$SIG{CHLD} = 'IGNORE';
	$SIG{TERM} = 'DEFAULT';
	while (my $socket = $listener->accept)
	{
		if (fork)
		{
			# so that it ends when the other closes it; perl's own close()
			# counts users of the descriptors that were closed above
			POSIX::close(fileno $socket);
			next;
		}
		close $listener;
		eval { $function->($socket, $params{read} ? request($socket) : ()); };
		close $socket;
		POSIX::_exit(0);
	}
	POSIX::_exit(1);
}

# All of a request: its head, and a body as long as that says.
sub request
{
	my ($socket) = @_;
	my $text = '';

	until ($text =~ /\r\n\r\n/)
	{
		sysread $socket, $text, 65536, length $text or return $text;
	}
	my ($length) = $text =~ /^content-length: (\d+)/im;
	until ($text =~ /\r\n\r\n(.*)/s && length $1 >= ($length // 0))
	{
		sysread $socket, $text, 65536, length $text or return $text;
	}
	return $text;
}

# Send a whole answer.
sub answer
{
	my ($socket, $status, $body, @headers) = @_;

	print $socket join "\r\n", "HTTP/1.1 $status Status",
	  'Content-Type: application/json', 'Content-Length: ' . length($body),
	  'Connection: close', @headers, '', $body;
	$socket->flush;
	return;
}

END
{
	my $exit_code = $?;

	foreach my $pid (@running)
	{
		kill 'TERM', -$pid, $pid;
		waitpid $pid, 0;
	}
	$? = $exit_code;
}

1;
