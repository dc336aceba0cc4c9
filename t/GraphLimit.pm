
# A service with a limit that nobody tells, and sessions that meet it together:
# how many requests are refused, and how long does it take?
#
#	my $limit = GraphLimit->new($node);
#	$limit->scene(requests => 40, seconds => 15, retry_after => 'exact');
#	my $result = $limit->measure(8);      # sessions, each with a list
#
# The service is throttling_server.py, whose opening has the settings.

package GraphLimit;

use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PythonService;
use Test::More;
use Time::HiRes qw(time sleep);

sub new
{
	my ($class, $node) = @_;
	my $self = bless { node => $node, service => PythonService->new('throttling_server.py'), number => 0 }, $class;

	$self->{psql} = $node->config_data('--bindir') . '/psql';
	return $self;
}

# A service of its own, of which nobody knows anything, and a table of its list.
sub scene
{
	my ($self, %settings) = @_;
	my $name = 'limit' . ++$self->{number};
	my $options = delete $settings{options} // '';

	$self->{name} = $name;
	$self->{settings} = { requests => 40, seconds => 15, latency => 50, alerts => 500, %settings };
	$self->get('reset?' . join '&', map { "$_=$self->{settings}{$_}" } sort keys %{ $self->{settings} });
	$self->{node}->sql("CREATE SERVER $name FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '" . $self->{service}->url . "/$name', page_size '50'$options);
		CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (access_token 'a-token-of-nobody');
		CREATE FOREIGN TABLE $name (id text, title text) SERVER $name");
	return $name;
}

sub get
{
	my ($self, $what) = @_;
	my $answer = HTTP::Tiny->new->get($self->{service}->url . "/$self->{name}/$what");

	die $answer->{content} unless $answer->{success};
	return decode_json($answer->{content});
}

# What has come so far: [seconds, path, was it refused?].
sub requests
{
	my ($self) = @_;
	my $log = $self->get('log');

	return map { [ $_->[0] - $log->[0][0], $_->[1], $_->[2] ? 1 : 0 ] } @$log;
}

# A query in a session of its own: what finishes it, and its output.
sub start
{
	my ($self, $query) = @_;
	my $out = '';
	my $run = IPC::Run::start([ $self->{psql}, '-XAtq', '-d', $self->{node}->connstr('postgres'), '-c', $query ],
		'<', \undef, '>', \$out, '2>&1');

	return { run => $run, out => \$out, since => time };
}

sub finish
{
	my ($session) = @_;

	$session->{run}->finish;
	chomp(my $out = ${ $session->{out} });
	return $out;
}

# A query of alerts by their ids, from one number to another; how many it gives; and
# what any query gives, and in how many seconds.
sub some
{
	my ($self, $from, $to) = @_;
	return "SELECT id FROM $self->{name} WHERE id = ANY (ARRAY(SELECT 'a' || to_char(n, 'FM000000') FROM generate_series($from, $to) AS n))";
}

sub count
{
	my ($self, $from, $to) = @_;
	return 'SELECT count(*) FROM (' . $self->some($from, $to) . ' OFFSET 0) AS a';
}

sub took
{
	my ($self, $query) = @_;
	my $begin = time;

	return ($self->{node}->result($query), time - $begin);
}

# So many sessions, each with the list, and lookups meanwhile, if wanted.
sub measure
{
	my ($self, $count, %more) = @_;
	my $settings = $self->{settings};
	my @sessions = map { $self->start("SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM $self->{name} OFFSET 0) AS a") } 1 .. $count;
	my @waits;

	foreach my $i (1 .. $more{lookups} // 0)
	{
		sleep $more{every};
		my $lookup = $self->start("SELECT count(*) FROM $self->{name} WHERE id = 'a00000$i'");
		push @waits, [ $lookup->{since} - $sessions[0]{since}, finish($lookup) eq '1' ? time - $lookup->{since} : 9999 ];
	}
	my @out = map { finish($_) } @sessions;
	my @log = $self->requests;
	my $refused = grep { $_->[2] } @log;
	my $taken = @log - $refused;
	my $ideal = int(($taken - 1) / $settings->{requests}) * $settings->{seconds};

	return {
		failed => [ grep { $_ ne "$settings->{alerts}|$settings->{alerts}" } @out ],
		requests => scalar @log,
		refused => $refused,
		share => $refused / @log,
		seconds => $log[-1][0],
		ratio => $ideal ? $log[-1][0] / $ideal : 0,
		waits => \@waits,
		text => sprintf('%d of %d refused (%.0f %%), %.1f s, %.2f of the ideal %.0f s',
			$refused, scalar(@log), 100 * $refused / @log, $log[-1][0], $ideal ? $log[-1][0] / $ideal : 0, $ideal)
	};
}

# As it is to be judged: so much may be refused at most, and so much longer than the
# ideal it may take, if that is told.  GRAPH_FDW_MEASURE says with how many sessions,
# such as "8 32", which takes half an hour.
sub judge
{
	my ($self, $title, %most) = @_;

	foreach my $count (split ' ', $ENV{GRAPH_FDW_MEASURE})
	{
		foreach my $case ([ 0, 'exact' ], [ 0, 'none' ], [ 1, 'exact' ], [ 1, 'none' ])
		{
			my ($refused, $retry_after) = @$case;

			$self->scene(requests => 40, seconds => 15, refused => $refused, retry_after => $retry_after, alerts => 1000);
			my $result = $self->measure($count);
			is_deeply($result->{failed}, [], "$title: $count @$case: every query succeeds");
			cmp_ok($result->{share}, '<=', $most{share}, "$title: $count @$case: few are refused");
			cmp_ok($result->{ratio}, '<=', $most{ratio}, "$title: $count @$case: it takes little longer than it has to") if $most{ratio};
			diag("$title: $count @$case: $result->{text}");
		}
	}
	return;
}

1;
