
# Statements that fail with a secret in them, inside of functions and not: what
# does the client see, and what the log?

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use PostgreSQL::Test::Utils;
use Test::More;

# No request is made here.
sub Nowhere::url { return 'https://graph.example'; }

my $node = GraphCluster->connected_to(bless({}, 'Nowhere'), import => 0, server => { proxy => 'http://proxy.example:1' },
	mapping => { client_id => 'x', client_secret => 'y', proxy_user => 'x', proxy_password => 'y' },
	conf => "log_statement = none\nlog_error_verbosity = verbose\nlog_min_error_statement = debug5\n"
	  . "log_min_messages = notice\nlog_min_duration_statement = -1\n");
$node->sql(<<'SQL');
CREATE ROLE somebody LOGIN;
CREATE FUNCTION run(statement text) RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE statement; END$$;
CREATE FUNCTION run_deeply(statement text) RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM run(statement); EXECUTE 'SELECT 1'; END$$;
CREATE FUNCTION run_by_sql(statement text) RETURNS void LANGUAGE sql AS $$SELECT run_deeply(statement)$$;
CREATE FUNCTION again(statement text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN PERFORM run(statement); EXCEPTION WHEN OTHERS THEN RAISE; END$$;
CREATE PROCEDURE run_procedure(statement text) LANGUAGE plpgsql AS $$BEGIN PERFORM run(statement); COMMIT; END$$;
CREATE FUNCTION in_trigger() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM run(NEW.statement); RETURN NEW; END$$;
CREATE TABLE todo (statement text);
CREATE TRIGGER do_it BEFORE INSERT ON todo FOR EACH ROW EXECUTE FUNCTION in_trigger();
SQL

# The statements have a mistake each, and HUSH as what nobody may read.
my $mapping = 'CREATE USER MAPPING FOR PUBLIC SERVER graph OPTIONS';
my $alter = 'ALTER USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS';
my $table = 'CREATE FOREIGN TABLE t (id text) SERVER graph OPTIONS';
my @statements = (
	"$mapping (client_secret 'HUSH')", "$mapping (client_id 'x', client_secret 'HUSH', access_token 'HUSH')",
	"$mapping (client_id 'x', client_secrt 'HUSH')", "$mapping (client_id 'x', \"Client_Secret\" 'HUSH')",
	"$mapping (client_id 'x', client_secret 'HUSH', tenant_id 'a b')", "$mapping (access_token 'HUSH HUSH')",
	"$mapping (client_id 'x', client_secret 'HUSH', proxy_password 'HUSH')", "$mapping (refresh_token 'HUSH')",
	"$mapping (client_id 'x', private_key_password 'HUSH')", "$mapping (client_id 'x', client_secret 'HUSH', endpoint 'https://h')",
	"$alter (ADD access_token 'HUSH')", "$alter (SET client_secret 'HUSH', ADD tenant_id '..')", "$alter (SET proxy_password 'HUSH', DROP proxy_user)",
	(map { ("CREATE SERVER s FOREIGN DATA WRAPPER graph_fdw OPTIONS ($_)", "$table ($_)",
			"CREATE FOREIGN TABLE t (id text OPTIONS ($_)) SERVER graph",
			"ALTER SERVER graph OPTIONS (ADD $_)", "ALTER FOREIGN DATA WRAPPER graph_fdw OPTIONS ($_)",
			"IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO public OPTIONS ($_)",
			"IMPORT FOREIGN SCHEMA security LIMIT TO (alerts) FROM SERVER graph INTO public OPTIONS (x '1', $_)") }
		"client_secret 'HUSH'", "access_token 'HUSH'", "proxy_password 'HUSH'", "password 'HUSH'"),
	(map { ("ALTER SERVER graph OPTIONS (SET proxy '$_')", "ALTER SERVER graph OPTIONS (SET endpoint '$_')",
			"CREATE SERVER s FOREIGN DATA WRAPPER graph_fdw OPTIONS (page_size 'x', authority '$_')") }
		'http://u:HUSH@h', 'http://u:HUSH@h:3128', 'u:HUSH@h:3128', 'https://HUSH@h', 'http://u:HUSH', 'http://u:12HUSH', 'http://u:HUSH%40h',
		'https://h?key=HUSH', 'http://h#HUSH', 'http://[::1]:HUSH', 'socks5://u:HUSH@h:1', 'http://u:HUSH@[fe80::1]:1', 'gopher://u:HUSH@h'),
	"ALTER SERVER graph OPTIONS (ADD ca_file 'http://u:HUSH\@h', ADD page_size '0')",
	"ALTER SERVER graph OPTIONS (ADD cloud 'u:HUSH\@h')");
my $from = -s $node->logfile;
my $failed = 0;
my @shown;

# Run something that must fail; what is wrong goes into @shown.
sub fails
{
	my ($name, $sql) = @_;
	my $start = -s $node->logfile;
	my (undef, $rows, $messages) = $node->psql('postgres', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n$sql");
	my $log = slurp_file($node->logfile, $start);

	$failed++;
	push @shown, "$name: no error of ours: $messages" if $messages !~ /ERROR:  (HV...|42501): /;
	push @shown, "$name: to the client: $messages" if "$rows$messages" =~ /HUSH/;
	push @shown, "$name: to the log: $log" if $log =~ /HUSH/ || $log !~ /ERROR/;
	return;
}

foreach my $statement (@statements)
{
	fails("plain: $statement", $statement);
	fails("in a DO block: $statement", "DO \$a\$ BEGIN EXECUTE \$b\$$statement\$b\$; END \$a\$");
}
is_deeply(\@shown, [], 'statements that fail, plain and in a DO block: ' . @statements);

# What is around one.
@shown = ();
my $hush = $statements[0];
fails('directly in a block', "DO \$a\$ BEGIN $hush; END \$a\$");
fails('nested blocks', "DO \$a\$ BEGIN EXECUTE \$b\$DO \$c\$ BEGIN $hush; END \$c\$\$b\$; END \$a\$");
fails("$_()", "SELECT $_(\$a\$$hush\$a\$)") foreach qw(run run_deeply run_by_sql again);
fails('a procedure', "CALL run_procedure(\$a\$$hush\$a\$)");
fails('a trigger', "INSERT INTO todo VALUES (\$a\$$hush\$a\$)");
fails('a prepared statement', "PREPARE p AS SELECT run(\$a\$$hush\$a\$); EXECUTE p");
fails('a parameter', "PREPARE p AS SELECT run(\$1); EXECUTE p(\$a\$$hush\$a\$)");
fails('an event trigger in between', "BEGIN; CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
	CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION see(); SELECT run(\$a\$$hush\$a\$)");
fails('log_error_verbosity = default', "SET log_error_verbosity = default; SELECT run_deeply(\$a\$$hush\$a\$)");
fails('everything in the log of errors', "SET log_parameter_max_length_on_error = -1; SELECT run_deeply(\$a\$$hush\$a\$)");
is_deeply(\@shown, [], "what is around one, $failed in all");

# Somebody who calls a function that knows the secret.
foreach my $statement ($hush, "$mapping (client_id 'x', client_secret 'HUSH', tenant_id 'a b')", "$table (access_token 'HUSH')",
	q{ALTER SERVER graph OPTIONS (SET proxy 'http://u:HUSH@h')})
{
	$node->sql("CREATE OR REPLACE FUNCTION helpful() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS \$a\$ BEGIN EXECUTE \$b\$$statement\$b\$; END \$a\$;
		REVOKE ALL ON FUNCTION helpful() FROM PUBLIC; GRANT EXECUTE ON FUNCTION helpful() TO somebody");
	my $error = $node->error('SELECT helpful()', before => 'SET SESSION AUTHORIZATION somebody');
	like($error->{state}, qr/^HV/, "a security definer function fails: $statement");
	unlike($error->{text}, qr/HUSH/, 'its caller does not see the secret');
	(undef, undef, my $messages) = $node->psql('postgres', "\\set SHOW_CONTEXT always\nSET SESSION AUTHORIZATION somebody;\nSELECT helpful()");
	unlike($messages, qr/HUSH/, 'nor by psql');
}

# A notice is no reason to show it.
(undef, undef, my $messages) = $node->psql('postgres', "\\set SHOW_CONTEXT always\nDO \$a\$ BEGIN EXECUTE 'CREATE USER MAPPING FOR PUBLIC SERVER graph OPTIONS (client_id ''x'', proxy_user ''x'', proxy_password ''HUSH'')'; END \$a\$");
like($messages, qr/NOTICE: .*no login of its own/, 'a notice');
unlike($messages, qr/HUSH/, 'without the secret');
my $log = slurp_file($node->logfile, $from) =~ s/^.*CREATE OR REPLACE FUNCTION helpful.*$//mgr;
like($log, qr/NOTICE: .*no login of its own/, 'in the log as well');
unlike($log, qr/HUSH/, 'nothing of it is in the log');

# Where there is no secret, nothing is hidden.
$from = -s $node->logfile;
my $error = $node->error(q{ALTER SERVER graph OPTIONS (ADD page_size '0')});
like($error->{context}, qr/SQL statement "ALTER SERVER.*PL\/pgSQL function query_error/s, 'other errors have a context');
$node->psql('postgres', q{ALTER SERVER graph OPTIONS (ADD page_size '0')});
like(slurp_file($node->logfile, $from), qr/STATEMENT:  ALTER SERVER/, 'and a statement in the log');
like($node->error(q{ALTER SERVER graph OPTIONS (SET endpoint 'http://graph.example:80/x')})->{message}, qr/: "http:/, 'and show the value');
like($node->error(q{ALTER SERVER graph OPTIONS (SET endpoint 'http://[2001:db8::1]:80/x')})->{message}, qr/: "http:/, 'an IPv6 address');
done_testing();
