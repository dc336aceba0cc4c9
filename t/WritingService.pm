
# The service of writing_server.py, and worlds in it.
#
#	my $service = WritingService->new;
#	my $world = $service->world('one');
#	$world->set_state(alerts => [ alert(1), alert(2) ], incidents => []);
#	$node->sql("CREATE SERVER one ... OPTIONS (endpoint '" . $world->url . "')");
#	$world->switches(latency => 0.1);
#	is_deeply([ map { $_->{body} } $world->writes ], [ ... ]);

package WritingService;

use strict;
use warnings;

use Exporter 'import';
use HTTP::Tiny;
use JSON::PP;
use PythonService;

our @ISA = ('PythonService');
our @EXPORT_OK = qw(alert incident told %WRITABLE);

# What may be written, by the names of the columns and of the properties.
our %WRITABLE = (
	alerts => {
		status         => 'status',
		classification => 'classification',
		determination  => 'determination',
		assigned_to    => 'assignedTo',
		custom_details => 'customDetails'
	},
	incidents => {
		status            => 'status',
		classification    => 'classification',
		determination     => 'determination',
		assigned_to       => 'assignedTo',
		custom_tags       => 'customTags',
		description       => 'description',
		display_name      => 'displayName',
		severity          => 'severity',
		summary           => 'summary',
		resolving_comment => 'resolvingComment'
	});

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub new
{
	my ($class) = @_;
	my $self = $class->SUPER::new('writing_server.py');

	$self->{http} = HTTP::Tiny->new(proxy => undef, http_proxy => undef, timeout => 120);
	return $self;
}

sub world
{
	my ($self, $name) = @_;
	return bless { service => $self, name => $name }, 'WritingService::World';
}

# Plain records, some members replaced or added.  Of each enum there are some of
# every member that the tests ask for, and nulls.
my @IDS = map { sprintf 'a%02d', $_ } 0 .. 99;
@IDS[ 7 .. 13 ] = ('a 07', "a'08", "\x{e4}09", 'a+10', 'a&11', 'a#12', 'a?13');

sub alert
{
	my ($number, %members) = @_;
	return {
		id                 => $number < @IDS ? $IDS[$number] : sprintf('a%06d', $number),
		providerAlertId    => "p$number",
		tenantId           => 'one',
		incidentId         => 'i' . (1 + $number % 12),
		status             => (qw(new inProgress resolved))[ $number % 3 ],
		severity           => (qw(high medium low informational))[ int($number / 3) % 4 ],
		classification     => (undef, 'unknown', 'falsePositive', 'truePositive')[ int($number / 2) % 4 ],
		determination      => (undef, 'malware', 'phishing', 'notMalicious', 'unknown')[ $number % 5 ],
		assignedTo         => (undef, "o'neil\@contoso.test", '', "B\x{e4}rbel")[ int($number / 5) % 4 ],
		customDetails      => (undef, { Host => "h$number" }, {})[ $number % 3 ],
		serviceSource      => $number % 7 ? 'microsoftDefenderForEndpoint' : 'microsoftSentinel',
		title              => 'Title ' . $number % 6,
		category           => 'Malware',
		createdDateTime    => sprintf('2026-07-%02dT%02d:%02d:00.%dZ', 1 + int($number / 1440) % 28, int($number / 60) % 24, $number % 60, 1 + $number % 9),
		lastUpdateDateTime => sprintf('2026-08-%02dT%02d:%02d:00Z', 1 + int($number / 720) % 28, int($number / 30) % 24, $number % 30),
		resolvedDateTime   => undef,
		comments           => [ map { { comment => "c$_", createdByDisplayName => 'Adele', createdDateTime => '2026-08-01T00:00:00Z' } } 1 .. $number % 3 ],
		evidence           => [ { '@odata.type' => '#microsoft.graph.security.deviceEvidence', createdDateTime => '2026-07-01T10:00:00Z',
				verdict => 'unknown', remediationStatus => 'none', roles => [], deviceDnsName => "h$number" } ],
		%members
	};
}

sub incident
{
	my ($number, %members) = @_;
	return {
		id                 => "i$number",
		displayName        => "Incident $number",
		status             => (qw(active inProgress resolved))[ $number % 3 ],
		severity           => (qw(high medium low))[ $number % 3 ],
		classification     => (undef, 'truePositive')[ $number % 2 ],
		determination      => (undef, 'malware', 'phishing')[ $number % 3 ],
		assignedTo         => (undef, 'adele@contoso.test')[ $number % 2 ],
		description        => (undef, "About $number")[ $number % 2 ],
		summary            => undef,
		resolvingComment   => undef,
		customTags         => [ map { "t$_" } 1 .. $number % 4 ],
		systemTags         => [],
		createdDateTime    => sprintf('2026-07-%02dT10:00:00Z', 1 + $number % 28),
		lastUpdateDateTime => sprintf('2026-08-%02dT10:00:00Z', 1 + $number % 28),
		comments           => [],
		%members
	};
}

# What an error or a warning says of what was done before it: how many, which
# ids, of how many it is not known, and of which.
my $IDS = qr/((?:"[^"]*"(?:, )?)+)(?: and (\d+) more)?/;

sub told
{
	my ($text) = @_;
	my %told = (done => 0, ids => [], unknown => 0, unknown_ids => []);

	while ($text =~ /(\d+) (?:(?:alert|incident)s? (?:was|were) changed before the error:|comments? (?:was|were) added before the error, to (?:alert|incident)s?) $IDS\./g)
	{
		$told{done} += $1;
		push @{ $told{ids} }, $2 =~ /"([^"]*)"/g;
	}
	while ($text =~ /(?:Of (\d+) (?:more|alerts?|incidents?) it is not known:|(The|One more|\d+(?: more)?) comments? may have been added to (?:alert|incident)s?) $IDS\./g)
	{
		$told{unknown} += defined $1 ? $1 : $2 =~ /(\d+)/ ? $1 : 1;
		push @{ $told{unknown_ids} }, $3 =~ /"([^"]*)"/g;
	}
	return \%told;
}

package WritingService::World;

sub url
{
	my ($self) = @_;
	return $self->{service}->url . "/$self->{name}";
}

sub control
{
	my ($self, $method, $what, $content) = @_;
	my $answer = $self->{service}{http}->request($method, $self->url . "/_/$what",
		{ defined $content ? (content => $json->encode($content)) : () });

	die "the service refuses $method $what: $answer->{content}" unless $answer->{success};
	return $json->decode($answer->{content});
}

sub set_state
{
	my ($self, %state) = @_;
	$self->control('POST', 'state', \%state);
	return;
}

sub state
{
	my ($self) = @_;
	return $self->control('GET', 'state');
}

# What the last set_state() said.
sub restore
{
	my ($self) = @_;
	$self->control('POST', 'restore');
	return;
}

# The state, only of what writes change, and of comments their texts.
sub held
{
	my ($self) = @_;
	return $self->control('GET', 'held');
}

sub switches
{
	my ($self, %switches) = @_;
	$self->control('POST', 'switches', \%switches);
	return;
}

# What was asked since the last time that somebody wanted to forget it.
sub log
{
	my ($self) = @_;
	return @{ $self->control('GET', 'log') };
}

# The same (or some of it), writes only, each with its body read and the id of
# its record.
sub writes
{
	my ($self, @log) = @_;
	my @writes = grep { $_->{method} ne 'GET' } @log ? @log : $self->log;

	foreach my $write (@writes)
	{
		my ($kind, $id) = $write->{path} =~ m{^/v1\.0/security/(alerts_v2|incidents)/([^/]+)} or next;
		$write->{kind} = $kind eq 'incidents' ? $kind : 'alerts';
		utf8::decode($write->{id} = $id =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger);
		$write->{members} = eval { JSON::PP->new->decode($write->{body}) };
	}
	return @writes;
}

sub clear
{
	my ($self) = @_;
	$self->control('DELETE', 'log');
	return;
}

1;
