use strict; use warnings; use FindBin; use lib $FindBin::RealBin;
use GraphCluster; use GraphEmulator; use OddServer; use PostgreSQL::Test::Utils; use Test::More; use Time::HiRes qw(time sleep);
my $server = OddServer->new(sub { my ($s,$r)=@_; print STDERR "got ".time."\n"; }, read=>1);
my $e = GraphEmulator->new('--alerts',0,'--no-sample');
my $node = GraphCluster->connected_to($e, server=>{max_retries=>0,request_timeout=>'3s'});
my $u=$server->url;
$node->sql("ALTER SERVER graph OPTIONS (SET endpoint '$u')");
my $s=$node->session;
my $pid=$s->query('select pg_backend_pid()');
for (1..4) { my $t=time; my $r=$s->query("select query_error('select * from defender.alerts')"); diag(sprintf "%.2f %s", time-$t, substr $r,0,120); 
 diag(`ls -l /proc/$pid/fd | grep -E 'socket|event'; ss -tnp 2>/dev/null | grep $server->{port}`); }
ok(1); done_testing();
