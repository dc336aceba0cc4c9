
# Does any query at all make it crash?
#
# sqlsmith (Debian: package sqlsmith) writes random SQL over the tables here,
# most of which is senseless and much of which fails.  Failing is fine; a
# crash, an assertion and an "internal error" are not.
#
#	GRAPH_SMITH_SECONDS=600 GRAPH_SEED=5 prove ... t/032_sqlsmith.pl

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator;
use GraphQueries;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'sqlsmith is not installed'
  unless grep { -x "$_/sqlsmith" } split /:/, $ENV{PATH};

my $seconds = $ENV{GRAPH_SMITH_SECONDS} || 10;
my $seed    = $ENV{GRAPH_SEED}          || 1;

# Internal errors that PostgreSQL's own functions report for senseless
# arguments; sqlsmith calls them all.
my $not_ours = qr{cache\ lookup\ failed\ for\ (?!foreign\ table|type\ 0$|relation\ 0$)
	| could\ not\ (?:find\ tuple|determine)
	| invalid\ (?:relkind|attribute\ number|attnum|index)
	| unexpected\ (?:classid|null|end\ of\ flag\ array)
	| missing\ support\ function
	| unrecognized\ (?:object\ class|privilege|class)
	| unsupported\ object\ class
	| pg_(?:parse_tree|node_tree)
	| bogus
	| plpgsql
	| failed\ to\ find\ conversion\ function}x;

my $queries  = GraphQueries->new($seed);
my $emulator = GraphEmulator->new('--alerts', 20);
$emulator->settings(gzip => JSON::PP::false);
$emulator->add_alerts($queries->alerts);

my $node = GraphCluster->connected_to($emulator, import => 0,
	conf => "fsync = off\nlog_line_prefix = '%m [%p] %e '\nlog_statement = none\nlog_error_verbosity = verbose\n"
	  . "log_min_error_statement = error\nrestart_after_crash = on");
my $server = options(endpoint => $emulator->url, authority => $emulator->url,
	evidence_filter => 'true', max_retries => 0);

# A role that may read, and write to tables of its own.
$node->sql($queries->common_sql);
$node->sql(<<"SQL");
CREATE ROLE smith LOGIN;
CREATE SCHEMA small;
CREATE SERVER small FOREIGN DATA WRAPPER graph_fdw $server;
CREATE USER MAPPING FOR PUBLIC SERVER graph OPTIONS (access_token 'emulator-access-token');
CREATE USER MAPPING FOR PUBLIC SERVER small OPTIONS (access_token 'emulator-access-token');
ALTER SERVER small OPTIONS (ADD page_size '9');
IMPORT FOREIGN SCHEMA security LIMIT TO (alerts, alert_evidence, alert_comments, device_evidence, user_evidence)
	FROM SERVER graph INTO defender;
CREATE VIEW defender.high AS SELECT id, title, created_date_time FROM defender.alerts WHERE severity = 'high';
CREATE VIEW defender.devices AS SELECT a.*, e.device_dns_name, e.risk_score
	FROM defender.alerts AS a JOIN defender.device_evidence AS e ON e.alert_id = a.id;
CREATE MATERIALIZED VIEW common.kept AS SELECT id, severity, created_date_time FROM defender.alerts;
SQL
$node->sql($queries->odd_table_sql('small', 'small'));
$node->sql(<<'SQL');
GRANT USAGE ON SCHEMA defender, small, common TO smith;
GRANT SELECT ON ALL TABLES IN SCHEMA defender, small, common TO smith;
SQL

my $log_size = -s $node->logfile;
my $target = $node->connstr('postgres') . ' user=smith';
my ($output, $error) = ('', '');
my $smith = IPC::Run::start(
	[ 'sqlsmith', "--target=$target", "--seed=$seed", '--exclude-catalog', '--verbose' ],
	'>', \$output, '2>', \$error, my $timer = IPC::Run::timeout($seconds));

# It runs until it is stopped; should it end by itself, the server is gone.
eval { $smith->finish };
my $stopped = $timer->is_expired;
$smith->kill_kill;

ok($stopped, 'sqlsmith ran all the time') or diag(substr $error, -2000);
is($node->sql('SELECT 1'), 1, 'the server is still there');

my $log = slurp_file($node->logfile, $log_size);
my @entries = split /^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)/m, $log;

unlike($log, qr/was terminated by signal|PANIC|TRAP:|server process .* exited with exit code/, 'no crash');

# What a mistake of ours can lead to: errors of our files, and of those of the
# server that work on our plans, paths and rows.  The others complain about
# arguments that sqlsmith made up.
my %where = map { m{(\w+)\.c$}; ($1 => 1) } glob("'$FindBin::RealBin'/../*.c");
$where{$_} = 1 foreach qw(setrefs createplan planner subselect pathnode joinpath costsize relnode tlist var clauses
  execMain execProcnode execScan execExpr execExprInterp execTuples execUtils execQual heaptuple
  nodeForeignscan nodeNestloop nodeHash nodeHashjoin nodeAgg nodeSort nodeMaterial nodeMemoize nodeSubplan
  equalfuncs copyfuncs outfuncs list bitmapset foreign lsyscache relation relcache table syscache typcache
  mcxt aset latch fd);

# Each internal error once, with the statement behind it.
my %internal;
for my $i (0 .. $#entries)
{
	next unless $entries[$i] =~ /^\S+ \S+ \S+ \[\d+\] (XX\d\d\d|58\w+) (?:ERROR|FATAL): (.*)/;
	my $message = $2;
	next if $message =~ $not_ours;
	next unless grep { /LOCATION: +\w+, (\w+)\.c:/ && $where{$1} } @entries[ $i + 1 .. ($i + 2 < $#entries ? $i + 2 : $#entries) ];
	my ($statement) = grep { /STATEMENT:/ } @entries[ $i + 1 .. ($i + 4 < $#entries ? $i + 4 : $#entries) ];
	$internal{ $message =~ s/\d+/N/gr } //= $entries[$i] . ($statement // '');
}
is(scalar keys %internal, 0, 'no internal error');
diag(substr $internal{$_}, 0, 6000) foreach sort keys %internal;

my $asked = $emulator->records;
cmp_ok($asked, '>', 0, 'the service was asked');
my ($done) = $error =~ /.*queries: (\d+)/s;
diag(($done // 'some') . " queries, $asked requests");

$node->stop;
done_testing();
