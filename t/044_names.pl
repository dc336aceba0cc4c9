
# Does a query end at once while a name is looked up?
#
# The resolver is libc's, in a thread that libcurl starts and that nobody can
# stop.  So that it takes as long as it likes, the server is started with a
# getaddrinfo() that sleeps over one name.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $AT_ONCE = 0.5;    # seconds
my $NAME = 'silent.graph.example';

my $folder = PostgreSQL::Test::Utils::tempdir();
append_to_file("$folder/names.c", <<"C");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	int			(*real) (const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (node && strcmp(node, "$NAME") == 0)
		for (int i = 0; i < 60; i++)
			sleep(1);
	*(void **) &real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(node, service, hints, result);
}
C
my $compiler = (grep { -x } map { ("$_/cc", "$_/gcc") } split /:/, $ENV{PATH})[0];
plan skip_all => 'there is no C compiler' unless $compiler;
system_or_bail($compiler, '-shared', '-fPIC', '-o', "$folder/names.so", "$folder/names.c", '-ldl');

my $emulator = GraphEmulator->new('--alerts', 10, '--no-sample');
my $node;
{
	local $ENV{LD_PRELOAD} = join ':', "$folder/names.so", grep { defined } $ENV{LD_PRELOAD};
	$node = GraphCluster->connected_to($emulator, server => { max_retries => 0 });
}
my $list = 'SELECT count(*) FROM (SELECT id FROM defender.alerts OFFSET 0) AS a';
my $control = $node->session;

# A session whose query waits for the name.
sub waiting
{
	my $session = $node->session;
	my $pid = $session->query('SELECT pg_backend_pid()');

	is($session->query($list), 10, 'before');
	$node->set_server(endpoint => "https://$NAME");
	$session->{stdout} = $session->{stderr} = '';
	$session->query_until(qr/^go$/m, "\\echo go\n$list;\n\\warn done\n");
	for (1 .. 500)
	{
		last if $control->query("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Extension'") eq '1';
		sleep 0.01;
	}
	sleep 0.1;
	return ($session, $pid);
}

sub error_of
{
	my ($session) = @_;

	pump_until($session->{run}, $session->{timeout}, \$session->{stderr}, qr/^(?:psql:\S+ )?done$|FATAL/m);
	return $session->{stderr} =~ /(?:ERROR|FATAL):  (\w{5})/ ? $1 : 'no error';
}

sub is_gone
{
	my ($pid) = @_;

	for (1 .. 300)
	{
		return 1 if $control->query("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid") eq '0';
		sleep 0.01;
	}
	return 0;
}

# Canceled; and the session asks the next question, and ends.
my ($session, $pid) = waiting();
my $since = time;
$control->query("SELECT pg_cancel_backend($pid)");
is(error_of($session), '57014', 'cancel');
cmp_ok(time - $since, '<', $AT_ONCE, 'cancel: at once');
$node->set_server(endpoint => $emulator->url);
$session->{stdout} = '';
is($session->query($list), 10, 'cancel: the next query');
$since = time;
$session->quit;
ok(is_gone($pid), 'cancel: the session ends');
cmp_ok(time - $since, '<', 2, 'cancel: without waiting for the resolver');

# By connect_timeout: it is a part of connecting.
$node->set_server(connect_timeout => '300ms', endpoint => "https://$NAME");
$since = time;
like($node->error($list)->{text}, qr/^HV00N.*(?:timed out|resolve)/si, 'connect_timeout');
cmp_ok(time - $since, '<', 0.3 + $AT_ONCE, 'connect_timeout: in time');
$node->set_server(connect_timeout => undef, endpoint => $emulator->url);

# Terminated, and left alone.
foreach my $how ('terminate', 'the client goes away')
{
	($session, $pid) = waiting();
	$since = time;
	if ($how eq 'terminate')
	{
		$control->query("SELECT pg_terminate_backend($pid)");
	}
	else
	{
		$session->{run}->signal('KILL');
	}
	ok(is_gone($pid), $how);
	cmp_ok(time - $since, '<', 2 * $AT_ONCE, "$how: at once");
	eval { $session->{run}->finish };
	$node->set_server(endpoint => $emulator->url);
}

# Shut down.
($session, $pid) = waiting();
$control->quit;
$since = time;
$node->stop('fast');
cmp_ok(time - $since, '<', 2 + $AT_ONCE, 'shutdown');
eval { $session->quit };
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|WARNING|terminated by signal/, 'nothing in the log');
done_testing();
