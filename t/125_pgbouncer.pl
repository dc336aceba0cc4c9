
# What goes with pgbouncer, in session and in transaction pooling, and what does
# not?  Above all: is a person's login seen by the next client?

use strict;
use warnings;

use FindBin;
use IPC::Run;
use lib $FindBin::RealBin;
use GraphClients;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;

my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
plan skip_all => 'pgbouncer is not installed' unless $program;

my $emulator = GraphClients::service(200);
my $node = GraphClients::database($emulator, conf => "fsync = off\nlisten_addresses = '127.0.0.1'");
my $folder = PostgreSQL::Test::Utils::tempdir();
my $person = options(tenant_id => $TENANT, client_id => $APP{main}{client_id});
my $url = $emulator->url;

$emulator->settings(device_code_polls => 0);
$node->sql(<<"SQL");
CREATE SERVER people FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url', authority '$url');
CREATE USER MAPPING FOR CURRENT_USER SERVER people $person;
CREATE SCHEMA people;
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts) FROM SERVER people INTO people;
SQL

#------------------------------------------------------------------------------
# Pools
#------------------------------------------------------------------------------

my @bouncers;

# A pool of one session: its port.
sub pool
{
	my (%settings) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $file = "$folder/$port.ini";
	my $log = '';

	append_to_file($file, <<"INI" . join '', map { "$_ = $settings{$_}\n" } sort keys %settings);
[databases]
postgres = host=127.0.0.1 port=@{[ $node->port ]} dbname=postgres user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
default_pool_size = 1
ignore_startup_parameters = extra_float_digits
INI
	push @bouncers, IPC::Run::start([ $program, $file ], '<', \undef, '>&', \$log);
	foreach (1 .. 100)
	{
		last if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
		select undef, undef, undef, 0.1;
	}
	return $port;
}

END { my $code = $?; eval { $_->kill_kill(grace => 2) } foreach @bouncers; $? = $code }

# What a client that comes and goes is told.
sub client
{
	my ($port, @statements) = @_;
	my $output = '';
	local $ENV{PGSSLMODE} = 'disable';

	IPC::Run::run([ 'psql', '-XAtq', '-h', '127.0.0.1', '-p', $port, '-U', 'postgres', '-d', 'postgres', map { ('-c', $_) } @statements ],
		'<', \undef, '>&', \$output, IPC::Run::timeout(60));
	return $output;
}

sub logins { return scalar grep { m{/token} } $emulator->requests }

my $count = 'SELECT count(*) FROM live.alerts';
my $mine = 'SELECT count(*) FROM people.alerts';
my $login = q{SELECT 'logged in' FROM graph_fdw_login('people')};
my $reset = do {
	local $/;
	open my $page, '<', "$FindBin::RealBin/../docs/security.md" or die "docs/security.md: $!";
	<$page> =~ /^server_reset_query = (.*)$/m ? $1 : die 'docs/security.md has no server_reset_query';
};

#------------------------------------------------------------------------------
# Session pooling
#------------------------------------------------------------------------------

my $port = pool(pool_mode => 'session', server_reset_query => $reset);

is(client($port, $count), "200\n", 'session pooling: an answer');
like(client($port, $mine), qr/not logged in to server "people"/, 'a person has not logged in');
like(client($port, $login, $mine), qr/^logged in\n200$/m, 'they do, and are');
like(client($port, $mine), qr/not logged in to server "people"/, 'the next client is not');
is(client($port, 'PREPARE p AS SELECT title FROM live.alerts WHERE id = $1', q{EXECUTE p('a0007')}, "SET search_path = live", 'SHOW search_path'),
	"Title 0\nlive\n", 'prepared statements and settings last for a client');
like(client($port, q{EXECUTE p('a0007')}, 'SHOW search_path'), qr/does not exist.*public/s, 'and no longer');
is(client($port, "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT id FROM live.alerts WHERE severity = 'high' ORDER BY created_date_time DESC; COMMIT", 'FETCH 1 FROM c'),
	"a0005\n", 'a cursor WITH HOLD');

# With what pgbouncer does without a setting, they would be.
$port = pool(pool_mode => 'session');
like(client($port, $login, $mine), qr/^logged in\n200$/m, 'without the reset query: a person logs in');
is(client($port, $mine), "200\n", 'and the next client of the same role is that person');
like(client($port, q{SELECT graph_fdw_disconnect('people')}, $mine), qr/not logged in/, 'until somebody forgets it');

#------------------------------------------------------------------------------
# Transaction pooling
#------------------------------------------------------------------------------

$port = pool(pool_mode => 'transaction', server_reset_query => $reset);
$emulator->clear;
is(client($port, $count, "SELECT title FROM live.alerts WHERE id = 'a0007'"), "200\nTitle 0\n", 'transaction pooling: an answer');
is(join("\n", GraphClients::asked($emulator)), "?\$count=true&\$top=1\n/a0007", 'and what it takes');
is(client($port, "BEGIN; DECLARE c CURSOR FOR SELECT id FROM live.alerts ORDER BY created_date_time DESC; FETCH 2 FROM c; COMMIT"), "a0001\na0002\n", 'a cursor in a transaction');
like(client($port, q{CALL graph_fdw_refresh_copy('kept')}, 'SELECT state, last_error IS NULL FROM graph_fdw_copies'), qr/inserted 0, updated 0.*^ready\|t$/ms, 'a statement of several transactions');
like(client($port, $login, $mine), qr/^logged in\n200$/m, 'a person logs in');
is(client($port, $mine), "200\n", 'and every client of that role is that person: the reset query is not run');
like(client(pool(pool_mode => 'transaction', server_reset_query => $reset, server_reset_query_always => 1), $login, $mine), qr/^logged in\n.*not logged in/ms,
	'if it is run always, the login is forgotten with its transaction');

#------------------------------------------------------------------------------
# An application's login is kept by the pool's sessions
#------------------------------------------------------------------------------

$node->sql('ALTER USER MAPPING FOR CURRENT_USER SERVER people ' . options() . "OPTIONS (ADD client_secret '$APP{main}{client_secret}')");
foreach my $mode (qw(transaction session))
{
	$port = pool(pool_mode => $mode, $mode eq 'session' ? (server_reset_query => 'DISCARD ALL') : ());
	$emulator->clear;
	is(client($port, $mine) . client($port, $mine) . client($port, $mine), "200\n" x 3, "$mode pooling, an application: three clients");
	is(logins(), 1, 'log in once');
}

done_testing();
