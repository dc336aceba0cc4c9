
# Does all that holds for alerts hold for incidents too, when things go wrong?
#
# They come in pages of 50, so that there are more of them: cancels, answers that
# break, tokens that end, a list that moves, the memory that a long one takes,
# what the log says, and what the service does not take.
#
#	GRAPH_MOVING=20 prove ... t/083_incident_faults.pl    # more lists that move

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(minute alert %APP $TENANT);
use GraphLogin qw(set_mapping);
use HTTP::Tiny;
use JSON::PP;
use PostgreSQL::Test::Utils;
use PythonService;
use Test::More;
use Time::HiRes qw(sleep time);

my $AT_ONCE = 1.0;    # seconds; it is milliseconds unless the machine is busy
my $json = JSON::PP->new->utf8->canonical;
my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 3 },
	conf => "fsync = off\njit = off\nlog_statement = none\nlog_min_messages = debug5\nlog_min_error_statement = panic");

sub incident
{
	my ($number, %members) = @_;
	return { id => "$number", displayName => "Incident $number", status => $number % 2 ? 'active' : 'resolved', severity => 'high',
		createdDateTime => minute($number), lastUpdateDateTime => minute($number), comments => $number % 5 ? [] : [ { comment => "c$number" } ], %members };
}
my @incidents = map { incident($_) } 1 .. 180;
my @alerts = map { alert(id => sprintf('a%03d', $_), title => "Title $_", incidentId => '' . (7 + ($_ > 50)), createdDateTime => minute($_)) } 1 .. 60;

sub calm
{
	$emulator->reset;
	$emulator->settings(page_size => 20);    # of an incident's alerts
	$emulator->add_incidents(@incidents);
	$emulator->add_alerts(@alerts);
	$emulator->clear;
	return;
}

# Some of a list, others each time.
my $turn = 0;
sub some { my ($number, @list) = @_; return map { $list[ $turn++ % @list ] } 1 .. $number }

calm();

# What is asked, and what is right.
my %QUERY = (
	list     => [ 'SELECT count(DISTINCT display_name), count(*), md5(string_agg(id, $$ $$ ORDER BY id)) FROM defender.incidents AS i WHERE display_name IS NOT NULL' ],
	ordered  => [ 'SELECT count(*), md5(string_agg(id, $$ $$)) FROM (SELECT id FROM defender.incidents ORDER BY created_date_time LIMIT 120) AS t' ],
	filtered => [ q{SELECT count(*), max(display_name) FROM defender.incidents WHERE status = 'active'} ],
	counted  => [ q{SELECT count(*) FROM defender.incidents WHERE status = 'active' AND severity = 'high'} ],
	comments => [ 'SELECT count(*), max(comment) FROM defender.incident_comments' ],
	alerts   => [ q{SELECT count(*), count(DISTINCT title) FROM defender.alerts WHERE incident_id = '7'} ],
	devices  => [ q{SELECT count(*), max(a.title) FROM defender.incidents AS i JOIN defender.alerts AS a ON a.incident_id = i.id WHERE i.id IN ('7', '8')} ],
	one      => [ q{SELECT display_name FROM defender.incidents WHERE id = '7'} ],
	several  => [ q{SELECT string_agg(display_name, ',' ORDER BY id) FROM defender.incidents WHERE id IN ('7', '8', '9', '10')} ]);
$_->[1] = $node->sql($_->[0]) foreach values %QUERY;
is($QUERY{counted}[1], 90, 'a count');
is($QUERY{alerts}[1], '50|50', 'alerts of one');
is($QUERY{devices}[1], '60|Title 9', 'of two');
is($QUERY{list}[1] =~ s/\|[0-9a-f]+$//r, '180|180', 'a list');

#------------------------------------------------------------------------------
# Cancel
#------------------------------------------------------------------------------

my $control = $node->session;
my $session = $node->session;
my $slowest = 0;

foreach my $fault (
	{ kind => 'stall', before_headers => JSON::PP::true }, { kind => 'stall', after => 900 }, { kind => 'stall', after => 900, nth => 2 },
	{ kind => 'trickle', ms => 20, bytes => 1 }, { kind => 'status', code => 429, retry_after => 60 })
{
	foreach my $name (some(3, grep { !$fault->{nth} || !/^(one|counted)$/ } sort keys %QUERY))
	{
		my $waits = q{SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND pid <> pg_backend_pid()};

		$emulator->no_fault;
		$emulator->fault(%$fault, times => -1);
		$session->{stderr} = '';
		$session->query_until(qr/^go$/m, "\\echo go\n$QUERY{$name}[0];\n\\warn done\n");
		for (1 .. 300) { last if $control->query($waits) ne ''; sleep 0.01 }
		sleep 0.05;
		my $since = time;
		$control->query($waits =~ s/pid/pg_cancel_backend(pid)/r);
		pump_until($session->{run}, $session->{timeout}, \$session->{stderr}, qr/^(?:psql:\S+ )?done$/m);
		my $seconds = time - $since;
		$slowest = $seconds if $seconds > $slowest;
		like($session->{stderr}, qr/57014: canceling statement due to user request/, "$name, $fault->{kind}: canceled");
		cmp_ok($seconds, '<', $AT_ONCE, "$name, $fault->{kind}: at once");
		$emulator->no_fault;
		$session->{stdout} = $session->{stderr} = '';
		is($session->query($QUERY{$name}[0]), $QUERY{$name}[1], "$name, $fault->{kind}: and the session goes on");
	}
}
note sprintf 'the slowest took %.0f ms', $slowest * 1000;

# A pause of a minute has taught this session of a limit, or all of them where they
# share it, and it is slower for some minutes; that is t/110's subject.  Another
# mapping is another client.
$session->quit;
set_mapping($node, access_token => 'emulator-access-token');
$session = $node->session;

#------------------------------------------------------------------------------
# Answers that break: right rows, or an error that says what it was
#------------------------------------------------------------------------------

# by which classes of errors; none: it is got over
my @FAULTS = (
	[ { kind => 'cut', after => 700 } ], [ { kind => 'cut', after => 2500, chunked => JSON::PP::false } ], [ { kind => 'reset' } ],
	[ { kind => 'reset', after => 1500 } ], [ { kind => 'close' } ], [ { kind => 'close_after' } ],
	[ { kind => 'status', code => 500 } ], [ { kind => 'status', code => 503, retry_after => 0 } ], [ { kind => 'status', code => 504 } ],
	[ { kind => 'status', code => 429, retry_after => 0 } ], [ { kind => 'wrong_length' } ], [ { kind => 'bad_chunk' } ],
	[ { kind => 'gzip_corrupt', how => 'truncate' } ], [ { kind => 'whitespace' } ],
	[ { kind => 'duplicate_rows', rows => 2 } ], [ { kind => 'repeat_first' } ], [ { kind => 'out_of_order' }, qr/HV00M.*did not keep the order/s ], [ { kind => 'empty_page' } ],
	[ { kind => 'partial' }, qr/HV00M.*incomplete answer/s ], [ { kind => 'warning' }, qr/HV00M/ ], [ { kind => 'malformed' }, qr/HV0/ ],
	[ { kind => 'truncated', after => 400 }, qr/HV0|08006/ ], [ { kind => 'error_in_200' }, qr/HV0/ ], [ { kind => 'value_missing' }, qr/HV00M/ ],
	[ { kind => 'value_null' }, qr/HV0/ ], [ { kind => 'value_not_array', text => '{}' }, qr/HV0/ ], [ { kind => 'element', text => 17 }, qr/HV0/ ],
	[ { kind => 'alert_without_id' }, qr/HV00M/ ], [ { kind => 'html' }, qr/HV0/ ], [ { kind => 'next_link' }, qr/HV0/ ],
	[ { kind => 'next_link_loop' }, qr/HV0/ ], [ { kind => 'redirect', url => 'http://127.0.0.1:1/' }, qr/HV00N/ ]);
my %times_right;

foreach my $case (@FAULTS)
{
	my ($fault, $error) = @$case;
	my $title = join ' ', grep { !/true|false/ } map { ($_ eq 'kind' ? () : $_), $fault->{$_} } sort keys %$fault;

	foreach my $nth (1, 2)
	{
		foreach my $name ('list', some(1, grep { $nth == 1 || !/^(one|counted)$/ } grep { $_ ne 'list' } sort keys %QUERY))
		{
			$emulator->no_fault;
			$emulator->fault(%$fault, nth => $nth, times => 1);
			$session->{stderr} = '';
			my $got = $session->query($QUERY{$name}[0]) . $session->{stderr};
			my $right = $got eq $QUERY{$name}[1];

			$times_right{$title} += $right;
			ok($right || ($error && $got =~ $error), "$name: $title, $nth") || diag("$QUERY{$name}[1] should be\n$got");
		}
	}
}
cmp_ok($times_right{'partial'}, '<=', 2, 'what is incomplete is told');
$node->set_server(on_partial => 'warning');
calm();
$emulator->fault(kind => 'partial', times => 1);
is($node->sql($QUERY{list}[0]), $QUERY{list}[1], 'or warned of');
$node->set_server(on_partial => undef);

# more than max_retries
calm();
$node->set_server(max_retries => 1);
$emulator->fault(kind => 'status', code => 503, retry_after => 0, times => -1);
like($node->error($QUERY{one}[0])->{text}, qr/status 503.*tried 2 times/s, 'tried twice');
is(scalar(my @tried = $emulator->requests), 2, 'tried twice: requests');
$node->set_server(max_retries => 3);

# what is not there, or may not be seen
foreach my $case ([ 404, 'HV00R' ], [ 403, '42501' ], [ 400, 'HV00L' ])
{
	calm();
	$emulator->fault(kind => 'status', code => $case->[0], times => -1);
	is($node->error($QUERY{$_}[0])->{state}, $case->[1], "status $case->[0]: $_") foreach qw(list comments);
}

# links that lead in a circle, where they are followed
calm();
$emulator->settings(unsorted => JSON::PP::true, orderby => 'refuse');
$emulator->fault(kind => 'next_link_loop', times => -1);
like($node->error($QUERY{list}[0])->{text}, qr/HV00M.*read before/s, 'links in a circle');

#------------------------------------------------------------------------------
# 429, 401
#------------------------------------------------------------------------------

calm();
$emulator->fault(kind => 'status', code => 429, retry_after => 1, nth => 2, times => 1);
my $since = time;
is($node->sql($QUERY{list}[0]), $QUERY{list}[1], 'throttled');
cmp_ok(time - $since, '>=', 0.9, 'throttled: it waits');
my @records = $emulator->records;
my ($refused) = grep { $records[$_]{status} == 429 } 0 .. $#records;
cmp_ok($records[ $refused + 1 ]{seconds} - $records[$refused]{seconds}, '>=', 0.9, 'throttled: nothing is sent meanwhile') if $refused < $#records;

set_mapping($node, tenant_id => $TENANT, %{ $APP{main} });
calm();
{
	my $logged_in = $node->session;
	my $logins = sub { return scalar grep { m{^POST .*/token$} } $emulator->requests };

	is($logged_in->query($QUERY{one}[0]), $QUERY{one}[1], 'logged in');
	foreach my $name (sort keys %QUERY)
	{
		$emulator->control('POST', 'tokens/expire', '{}');
		$emulator->clear;
		is($logged_in->query($QUERY{$name}[0]), $QUERY{$name}[1], "$name: the token has ended");
		is($logins->(), 1, "$name: one login");
		$emulator->clear;
		$emulator->fault(kind => 'expired_token', nth => 2, times => 1);
		is($logged_in->query($QUERY{$name}[0]), $QUERY{$name}[1], "$name: the token ends on the way");
		cmp_ok($logins->(), '<=', 1, "$name: at most one login");
		$emulator->no_fault;
	}
	$emulator->fault(kind => 'status', code => 401, times => -1);
	$logged_in->{stderr} = '';
	$logged_in->query($QUERY{list}[0]);
	like($logged_in->{stderr}, qr/28000/, 'no token is good');
	cmp_ok(scalar(my @asked = $emulator->requests), '<=', 20, 'and there is an end');
	$logged_in->quit;
}
set_mapping($node, access_token => 'emulator-access-token');

#------------------------------------------------------------------------------
# What is refused or ignored for incidents, and not for alerts
#------------------------------------------------------------------------------

$node->set_server(select_pushdown => 'false');
foreach my $treatment (qw(refuse ignore))
{
	foreach my $case ([ '$orderby' => 'ordered' ], [ '$count' => 'list' ], [ '$count' => 'counted' ], [ '$filter' => 'filtered' ])
	{
		my ($part, $name) = @$case;
		my %of_alerts = (ordered => 'SELECT id FROM defender.alerts ORDER BY created_date_time LIMIT 3', list => 'SELECT id FROM defender.alerts',
			counted => q{SELECT count(*) FROM defender.alerts WHERE severity = 'low'}, filtered => q{SELECT id FROM defender.alerts WHERE severity = 'low'});
		my $one = $node->session;

		next if $part eq '$filter' && $treatment eq 'refuse';    # there is nothing to do without
		calm();
		$emulator->add_alerts(map { alert(id => "a$_") } 1 .. 5);
		if ($treatment eq 'ignore')
		{
			$emulator->settings($part =~ s/\$//r => 'ignore');
		}
		else
		{
			$emulator->fault(kind => 'status', code => 400, path => $name eq 'ordered' ? "/incidents?$part" : '/incidents?', times => $name eq 'ordered' ? -1 : 1);
		}
		is($one->query($QUERY{$name}[0]), $QUERY{$name}[1], "$part, $treatment: $name");
		is($one->query($QUERY{$name}[0]), $QUERY{$name}[1], "$part, $treatment: $name again");
		$emulator->no_fault;
		$emulator->clear;
		$one->query($of_alerts{$name});
		like(join("\n", $emulator->requests), qr/alerts_v2\?.*\Q$part\E/, "$part, $treatment: $name: alerts are asked with it");
		$one->quit;
	}
}
$node->set_server(select_pushdown => undef);
{
	my $one = $node->session;

	calm();
	$emulator->fault(kind => 'status', code => 400, path => '/incidents?$select', times => -1);
	is($one->query($QUERY{list}[0]), $QUERY{list}[1], '$select is refused');
	$emulator->clear;
	is($one->query($QUERY{list}[0]), $QUERY{list}[1], '$select is refused again');
	unlike(join("\n", $emulator->requests), qr/select/, '$select is not sent again');
	$one->quit;
}

#------------------------------------------------------------------------------
# A list that moves
#------------------------------------------------------------------------------

{
	my $service = PythonService->new('moving_server.py');
	my $url = $service->url;
	my $http = HTTP::Tiny->new(proxy => undef, http_proxy => undef);
	my $number = 0;
	my @lists = map {
		my $links = $_;
		(map { ({ links => $links, leave => 3, from => $_ }, { links => $links, leave => 2, from => $_, arrive => 2, to => 'any', how => 'resolve', cut => 9 }) } qw(given rest any)),
		  { links => $links, arrive => 5 }, { links => $links, leave => 2, arrive => 2, ties => 7 }, { links => $links, leave => 1, empty => 1 }
	} qw(skip skiptoken);
	my @queries = ('SELECT id FROM moving.incidents OFFSET 0', q{SELECT id FROM moving.incidents WHERE severity = 'high' OFFSET 0},
		'SELECT id FROM moving.incidents ORDER BY created_date_time DESC', 'SELECT id FROM moving.incidents ORDER BY created_date_time');

	$node->sql(<<"SQL");
CREATE SCHEMA moving;
CREATE SERVER moving FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url/x', concurrency '4', max_retries '8');
CREATE USER MAPPING FOR CURRENT_USER SERVER moving OPTIONS (access_token 'x');
IMPORT FOREIGN SCHEMA security LIMIT TO (incidents) FROM SERVER moving INTO moving;
SQL
	foreach my $list (@lists)
	{
		foreach my $query ($ENV{GRAPH_MOVING} ? @queries : some(1, @queries))
		{
			foreach my $seed (1 .. $ENV{GRAPH_MOVING} || 1)
			{
				my $options = $json->encode({ %$list, alerts => (230, 410)[ $number % 2 ], seed => $seed + 10 * $number, name => ++$number });
				my $key = $options =~ s/([^A-Za-z0-9_.-])/sprintf '%%%02X', ord $1/ger;

				$session->{stderr} = '';
				$session->query("ALTER SERVER moving OPTIONS (SET endpoint '$url/$key', SET concurrency '" . ($number % 3 ? 4 : 1) . "')");
				my %times;
				$times{$_}++ foreach split /\n/, $session->query($query);
				my $state = $json->decode($http->get("$url/$key/kept")->{content});
				my @kept = grep { $query !~ /high/ || substr($_, 1) % 2 } @{ $state->{kept} };
				my @missing = grep { !$times{$_} } @kept;
				my @twice = grep { $times{$_} > 1 } keys %times;
				cmp_ok(scalar(@kept), '>', 80, "some stay: $options");
				is(@missing . ' missing, ' . @twice . " twice, $session->{stderr}", '0 missing, 0 twice, ', "$query: $options");
			}
		}
	}
}

#------------------------------------------------------------------------------
# Memory
#------------------------------------------------------------------------------

SKIP:
{
	skip 'there is no /proc', 4 unless -r '/proc/self/status';
	my $many = 3000;
	my $peak = sub { my ($pid) = @_; return slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m ? $1 : die 'no VmHWM' };
	my $measured = $node->session;
	my $pid = $measured->query('SELECT pg_backend_pid()');

	$emulator->reset;
	$emulator->add_incidents(map { incident($_, description => 'd' x 6000) } 1 .. $many);
	$measured->query($QUERY{one}[0]);
	my $before = $peak->($pid);
	is($measured->query('SELECT count(*), count(DISTINCT id) FROM (SELECT * FROM defender.incidents OFFSET 0) AS i'), "$many|$many", 'many');
	my $more = $peak->($pid) - $before;
	cmp_ok($more, '<', 12 * 1024, 'many: memory');
	note "$more kB more than $before kB";
	is($measured->query('SELECT count(*) FROM (SELECT * FROM defender.incident_comments OFFSET 0) AS c'), $many / 5, 'many: comments');
	cmp_ok($peak->($pid) - $before, '<', 12 * 1024, 'many: memory for comments');
	$measured->quit;
}

#------------------------------------------------------------------------------
# Secrets
#------------------------------------------------------------------------------

set_mapping($node, tenant_id => $TENANT, %{ $APP{main} });
calm();
my $text = '';
foreach my $name (sort keys %QUERY)
{
	$text .= join "\n", $node->psql('postgres', "SET client_min_messages = debug5; SET debug_print_plan = on; $QUERY{$name}[0]; EXPLAIN (ANALYZE, VERBOSE) $QUERY{$name}[0]");
	$emulator->fault(kind => 'status', code => 403, message => "it was $APP{main}{client_secret}", times => 1);
	$text .= join "\n", $node->psql('postgres', "\\set VERBOSITY verbose\n$QUERY{$name}[0]");
	$emulator->no_fault;
}
like($text, qr/GET .*security\/incidents/, 'messages say what is asked');
foreach my $where ([ messages => $text ], [ log => slurp_file($node->logfile) ])
{
	is(index($where->[1], $APP{main}{client_secret}), -1, "no secret is in the $where->[0]");
	is(index($where->[1], 'emulator-secret-~Q8%2B'), -1, "nor encoded in the $where->[0]");
	is(index($where->[1], 'emulator-access-token'), -1, "nor the token in the $where->[0]");
	is(scalar(() = $where->[1] =~ /Bearer [\w-]{8}/g), 0, "nor one that was issued in the $where->[0]");
}
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal/, 'nothing in the log');
$session->quit;
$control->quit;
done_testing();
