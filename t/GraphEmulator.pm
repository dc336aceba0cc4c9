
# A Microsoft Graph for one test file.
#
#	my $emulator = GraphEmulator->new('--alerts', 100);
#	my $node = GraphCluster->connected_to($emulator);
#	$emulator->fault(kind => 'status', code => 503);
#	$node->sql(q{SELECT * FROM defender.alerts WHERE id = 'x'});
#	$emulator->is_requests('a lookup', ('GET /v1.0/security/alerts_v2/x') x 2);
#
# The emulator is the program in emulator/, whose README has the faults, the
# settings and the credentials.  It ends with the object, and with the test.

package GraphEmulator;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use HTTP::Tiny;
use IPC::Open2;
use JSON::PP;
use Scalar::Util qw(weaken);
use Test::More;

our @EXPORT_OK = qw(alert alert_of_three_pages minute evidence %APP $TENANT);

# Credentials that the emulator knows.
our $TENANT = '11111111-2222-3333-4444-555555555555';
our %APP = (
	main => {
		client_id     => 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
		client_secret => 'emulator-secret-~Q8+/=&%'
	},
	no_roles => {
		client_id     => 'bbbbbbbb-cccc-dddd-eeee-ffffffffffff',
		client_secret => 'emulator-secret-no-roles'
	},
	read_only => {
		client_id     => 'cccccccc-dddd-eeee-ffff-000000000000',
		client_secret => 'emulator-secret-read-only'
	},
	alerts_only => {
		client_id     => 'dddddddd-eeee-ffff-0000-111111111111',
		client_secret => 'emulator-secret-alerts-only'
	});

# The alerts lead up to this time, and are the same ones in every run.
my @PINNED = ('--now', '2026-08-01T12:00:00Z', '--seed', 1);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my @running;

#------------------------------------------------------------------------------
# The process
#------------------------------------------------------------------------------

# Start one; the arguments are those of its command line.
sub new
{
	my ($class, @arguments) = @_;
	my $program = "$FindBin::RealBin/../emulator/graph_emulator.py";
	my ($output, $input);
	my $pid = open2($output, $input, 'env', 'PYTHONDONTWRITEBYTECODE=1',
		'python3', $program, '--until-stdin-closes', @PINNED, @arguments);
	my $port = <$output>;

	die "the emulator did not start" unless defined $port && $port =~ /^\d+$/;
	chomp $port;
	my $self = bless {
		pid    => $pid,
		owner  => $$,
		input  => $input,
		port   => $port,
		scheme => (grep { $_ eq '--tls-cert' } @arguments) ? 'https' : 'http',
		http   => HTTP::Tiny->new(
			proxy      => undef,
			http_proxy => undef,
			keep_alive => 0,
			timeout    => 60)
	}, $class;
	push @running, $self;
	weaken $running[-1];
	return $self;
}

# End it; it stops when its standard input does.
sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid};

	return unless defined $pid && $self->{owner} == $$;
	close $self->{input};
	eval {
		local $SIG{ALRM} = sub { die "it hangs\n" };
		alarm 10;
		waitpid $pid, 0;
		alarm 0;
	};
	if ($@)
	{
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@, $!);

	$self->stop;
	return;
}

END
{
	my $exit_code = $?;

	$_->stop foreach grep { defined } @running;
	$? = $exit_code;
}

sub port
{
	my ($self) = @_;
	return $self->{port};
}

# The root of the service, which is that of the login as well.
sub url
{
	my ($self) = @_;
	return "$self->{scheme}://127.0.0.1:$self->{port}";
}

#------------------------------------------------------------------------------
# The control protocol
#------------------------------------------------------------------------------

# A control request; a mistake in it is the test's, and ends it.
sub control
{
	my ($self, $method, $path, $body) = @_;
	my $answer = $self->{http}->request($method, $self->url . "/_emulator/$path",
		{ defined $body ? (content => $body) : () });

	die "the emulator refuses $method $path: $answer->{content}"
	  unless $answer->{success};
	return $answer->{content};
}

# The requests so far, each as "METHOD /path?query".  A $skiptoken is a number
# that only the service understands, and so shown as "N".
sub requests
{
	my ($self) = @_;
	return map {
		my $query = $_->{query} eq '' ? '' : "?$_->{query}";
		$query =~ s/(\$skiptoken=)[^&]+/$1N/;
		"$_->{method} $_->{path}$query";
	} $self->records;
}

# The same with all that is known of them.
sub records
{
	my ($self) = @_;
	return @{ $json->decode($self->control('GET', 'requests')) };
}

# Forget the requests.
sub clear
{
	my ($self) = @_;
	$self->control('DELETE', 'requests');
	return;
}

# How many requests were made for this ('alerts_v2', '' for any) since the last time.
sub asked
{
	my ($self, $entity_set) = @_;
	my $count = grep { m{/security/$entity_set} } $self->requests;

	$self->clear;
	return $count;
}

# Let something go wrong: fault(kind => 'status', code => 503, times => 2).
# path, method, nth and times say which requests it befalls, the rest is the
# fault's own.
sub fault
{
	my ($self, %fault) = @_;
	my %rule;

	foreach my $name (qw(path method nth))
	{
		$rule{match}{$name} = delete $fault{$name} if exists $fault{$name};
	}
	$rule{times} = delete $fault{times} if exists $fault{times};
	$rule{fault} = \%fault;
	$self->control('POST', 'faults', $json->encode(\%rule));
	return;
}

# Remove the faults.
sub no_fault
{
	my ($self) = @_;
	$self->control('DELETE', 'faults');
	return;
}

# Change settings.
sub settings
{
	my ($self, %settings) = @_;
	$self->control('POST', 'settings', $json->encode(\%settings));
	return;
}

# Everything as at the start.
sub reset
{
	my ($self) = @_;
	$self->control('POST', 'reset');
	return;
}

# Add alerts, each in place of the one with its id: JSON text, or hashes.
sub add_alerts
{
	my ($self, @alerts) = @_;
	my $text = join ',', map { ref $_ ? $json->encode($_) : $_ } @alerts;

	$self->control('POST', 'alerts', "[$text]");
	return;
}

# These alerts and no others.
sub set_alerts
{
	my ($self, @alerts) = @_;

	$self->control('DELETE', 'alerts');
	$self->add_alerts(@alerts);
	return;
}

# All alerts as the service has them: a text for each.
sub alerts
{
	my ($self) = @_;
	return split /\n/, $self->control('GET', 'alerts');
}

# Add incidents, as they are; and all of them, those of the alerts included.
sub add_incidents
{
	my ($self, @incidents) = @_;
	my $text = join ',', map { ref $_ ? $json->encode($_) : $_ } @incidents;

	$self->control('POST', 'incidents', "[$text]");
	return;
}

sub incidents
{
	my ($self) = @_;
	return split /\n/, $self->control('GET', 'incidents');
}

# Were these the requests since the last time that somebody asked?  What is
# expected is a string or a pattern.
sub is_requests
{
	my ($self, $name, @expected) = @_;
	my @requests = $self->requests;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $i (0 .. $#expected)
	{
		$expected[$i] = $requests[$i]
		  if ref $expected[$i] && ($requests[$i] // '') =~ $expected[$i];
	}
	is(join("\n", @requests), join("\n", @expected), "$name: requests");
	$self->clear;
	return;
}

#------------------------------------------------------------------------------
# Alerts of one's own
#------------------------------------------------------------------------------

# A plain alert with some members replaced or added.
sub alert
{
	my (%members) = @_;
	return {
		status          => 'new',
		severity        => 'low',
		title           => 'Test',
		createdDateTime => '2026-07-01T10:00:00Z',
		evidence        => [],
		comments        => [],
		%members
	};
}

# A time in July: so many minutes before the end of its 30th day.
sub minute
{
	my ($number) = @_;
	return sprintf '2026-07-%02dT%02d:%02d:00Z', 30 - int($number / 1440),
	  int((1439 - $number % 1440) / 60), (1439 - $number % 1440) % 60;
}

# One of the alerts a0001 to a2500, of which a0001 is the newest: three pages.
# changed => the number of the minute of its last update.
sub alert_of_three_pages
{
	my ($number, %members) = @_;
	my @severities = qw(high medium low medium informational);
	my $changed = delete $members{changed} // $number;

	return alert(
		id                 => sprintf('a%04d', $number),
		title              => 'Title ' . $number % 7,
		severity           => $severities[ $number % 5 ],
		status             => $number % 10 ? 'resolved' : 'new',
		classification     => $number % 4 ? undef : 'truePositive',
		assignedTo         => $number % 100 ? undef : "o'neil\@contoso.test",
		createdDateTime    => minute($number),
		lastUpdateDateTime => minute($changed),
		%members);
}

# An element of evidence: evidence('deviceEvidence', hostName => 'ws-1').
sub evidence
{
	my ($type, %members) = @_;
	return {
		'@odata.type'   => "#microsoft.graph.security.$type",
		createdDateTime => '2026-07-01T10:00:00Z',
		verdict         => 'unknown',
		%members
	};
}

1;
