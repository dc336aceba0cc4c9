# Does a copy lose anything, however the service changes?
#
# In each round alerts come, come late, are updated, get evidence and comments,
# between refreshes and while they are read; requests are refused, cut and broken,
# and now and then the server is killed.  In the end the copy is what the service
# has, row by row, and there is nothing to repair.  The service is
# changing_server.py; its clock is months or a year from ours, two hours from that
# of its alerts, and now and then goes wrong; and some alerts have times that
# cannot be.
#
# GRAPH_ROUNDS=500 runs more rounds, GRAPH_SEED=2 others.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use HTTP::Tiny;
use JSON::PP;
use PythonService;
use Test::More;

my $ROUNDS = $ENV{GRAPH_ROUNDS} || 40;
my $SEED = $ENV{GRAPH_SEED} || 1;
srand $SEED;
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $http = HTTP::Tiny->new(proxy => undef, http_proxy => undef);
my $service = PythonService->new('changing_server.py', $SEED, $SEED % 2 ? 2026 : 2028);
my $date = (0, -120, 120)[ $SEED % 3 ];
my $url = $service->url;
my $node = GraphCluster->connected_to(GraphEmulator->new('--alerts', 0, '--no-sample'), import => 0);

sub step
{
	my (%what) = @_;
	my $answer = $http->post("$url/step", { content => $json->encode(\%what) });

	die $answer->{content} unless $answer->{success};
	return;
}

# What a value is when all of it is compared as text: of the service, and of the copy.
sub rows_of_service
{
	my $alerts = $json->decode($http->get("$url/alerts")->{content});
	my @rows;

	foreach my $alert (@$alerts)
	{
		push @rows, $json->encode([ 'alert', @$alert{qw(id title severity status)}, microseconds($alert->{createdDateTime}), microseconds($alert->{lastUpdateDateTime}) ]);
		my $ordinal = 0;
		push @rows, map { $json->encode([ 'evidence', $alert->{id}, ++$ordinal, $_->{'@odata.type'} =~ s/.*\.//r, $_->{deviceDnsName}, $_->{verdict}, $alert->{title}, $alert->{status} ]) } @{ $alert->{evidence} };
		$ordinal = 0;
		push @rows, map { $json->encode([ 'comment', $alert->{id}, ++$ordinal, $_->{comment} ]) } @{ $alert->{comments} };
	}
	return join "\n", sort @rows;
}

# A time as PostgreSQL has it, to the microsecond.
sub microseconds
{
	my ($time) = @_;

	return undef unless defined $time;
	my ($day, $clock, $fraction) = $time =~ /^(.*)T([^.]*)(?:\.(\d+))?Z$/;
	my $units = substr(($fraction // '') . '0000000', 0, 7);

	return "$day $clock " . int(($units + 5) / 10);
}

sub rows_of_copy
{
	my $rows = $node->sql(<<'SQL');
SET timezone = 'UTC';
SELECT json_build_array('alert', id, title, severity, status,
	to_char(created_date_time, 'YYYY-MM-DD HH24:MI:SS ') || extract(microsecond FROM created_date_time)::int % 1000000,
	to_char(last_update_date_time, 'YYYY-MM-DD HH24:MI:SS ') || extract(microsecond FROM last_update_date_time)::int % 1000000)::jsonb FROM kept.alerts WHERE removed_at IS NULL
UNION ALL SELECT json_build_array('evidence', alert_id, ordinal, evidence_type, device_dns_name, verdict, alert_title, alert_status)::jsonb FROM kept.alert_evidence
UNION ALL SELECT json_build_array('comment', alert_id, ordinal, comment)::jsonb FROM kept.alert_comments
SQL
	return join "\n", sort map { $json->encode($json->decode($_)) } split /\n/, $rows;
}

# The rows that only one of two texts has.
sub difference
{
	my ($left, $right) = @_;
	my %count;

	$count{$_}++ foreach split /\n/, $left;
	$count{$_}-- foreach split /\n/, $right;
	my @differ = sort grep { $count{$_} } keys %count;
	return join "\n", scalar(@differ), map { "$count{$_} $_" } @differ[ 0 .. ($#differ < 9 ? $#differ : 9) ];
}

sub refresh
{
	my ($full) = @_;
	my (undef, undef, $messages) = $node->psql('postgres', "CALL graph_fdw_refresh_copy('kept', full => " . ($full ? 'true' : 'false') . ')');
	return $messages;
}

sub restart
{
	$node->kill9;
	foreach (1 .. 100)
	{
		last if $node->start(fail_ok => 1);
		$node->{_pid} = undef;
		select undef, undef, undef, 0.1;
	}
	return;
}

step(date => $date, changes => 300);
$node->sql(<<"SQL");
CREATE SERVER changing FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url/x', max_retries '2');
CREATE USER MAPPING FOR CURRENT_USER SERVER changing OPTIONS (access_token 'x');
CREATE SCHEMA tenant;
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_evidence, alert_comments) FROM SERVER changing INTO tenant;
SELECT graph_fdw_create_copy('tenant', 'kept');
SQL

my ($failed, $killed, $repaired, $wrong) = (0, 0, 0, 0);
foreach my $round (1 .. $ROUNDS)
{
	my $bad = rand() < 0.4;

	step(changes => int rand 25, late => 50, odd => 0.1, date => $date - ($round % 7 || $date > 0 ? 0 : 180), during => $round % 3 ? 2 : 0, page => (20, 100, 1000)[ $round % 3 ],
		reversed => $round % 5 == 0 ? JSON::PP::true : JSON::PP::false, faults => $bad ? 0.5 : 0);
	if ($round % 13 == 0)
	{
		# killed while it refreshes
		my $session = $node->session;
		$session->query_until(qr/begun/, "\\echo begun\nCALL graph_fdw_refresh_copy('kept');\n");
		select undef, undef, undef, rand 0.2;
		restart();
		eval { $session->quit };
		$killed++;
	}
	my $messages = refresh($round % 10 == 0);
	$failed++ if $messages =~ /ERROR/;
	if ($messages =~ /repaired ([1-9]\d*)/)
	{
		$repaired += $1;
		diag "round $round: $messages";
	}
	if ($round % 8 == 0 || $round == $ROUNDS)
	{
		# Nothing changes for a moment: then they are the same.
		step(date => $date, changes => 0, late => 50, page => 1000);
		refresh(0);
		my $differ = difference(rows_of_service(), rows_of_copy());
		next if $differ eq '0';
		$wrong++;
		diag "round $round: $differ";
	}
}
is($wrong, 0, "after each of $ROUNDS rounds the copy is what the service has");
is($repaired, 0, 'nothing was ever to be repaired');
cmp_ok($failed, '>', 0, "though refreshes failed ($failed)");
cmp_ok($killed, '>', 0, "and the server was killed ($killed)");
is($node->sql("SELECT requests FROM graph_fdw_copy"), 1, 'the last refresh was one request');
like(refresh(1), qr/compared [1-9]\d*, repaired 0, gone 0/, 'a last comparison');

done_testing();
