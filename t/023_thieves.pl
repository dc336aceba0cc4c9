
# What a role without rights tries, that owns a server and may use another one.
#
# "graph" is the superuser's, with a login for PUBLIC and one of a victim's by
# certificate; "given" was set up by the superuser and handed to mallory, who
# owns "hers" from the beginning.  All that is stolen would arrive at the sink.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use GraphLogin;
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 5);
my $sink = IndependentServer->new;
my $sink_url = $sink->url;
my $secret = $APP{main}{client_secret};
my $shadow = PostgreSQL::Test::Utils::tempdir() . '/shadow';

append_to_file($shadow, 'planted-file-content');
$ENV{AZURE_POD_IDENTITY_AUTHORITY_HOST} = $emulator->url . '/at/machine';
my $node = GraphCluster->connected_to($emulator, conf => "log_statement = none\n",
	mapping => { tenant_id => $TENANT, %{ $APP{main} } });
my $app = options(tenant_id => $TENANT, %{ $APP{main} });
my $place = options(endpoint => $emulator->url, authority => $emulator->url);
my $handler = '';
if ($node->sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'file_fdw'}) eq '1')
{
	$node->sql('CREATE EXTENSION file_fdw');
	$handler = 'HANDLER file_fdw_handler';
}
my $by_file = options(tenant_id => $TENANT, client_id => $APP{main}{client_id}, federated_token_file => $shadow);

$node->sql(<<"SQL");
CREATE ROLE mallory LOGIN;
CREATE ROLE victim LOGIN;
CREATE USER MAPPING FOR PUBLIC SERVER graph $app;
CREATE USER MAPPING FOR victim SERVER graph $by_file;
GRANT USAGE ON FOREIGN DATA WRAPPER graph_fdw TO mallory;
GRANT USAGE ON FOREIGN SERVER graph TO mallory, victim;
CREATE SCHEMA work AUTHORIZATION mallory;
GRANT CREATE ON SCHEMA public TO mallory;
CREATE SERVER given FOREIGN DATA WRAPPER graph_fdw $place;
CREATE USER MAPPING FOR victim SERVER given $app;
ALTER SERVER given OWNER TO mallory;

-- a wrapper that somebody made without a validator
CREATE FOREIGN DATA WRAPPER loose $handler;
GRANT USAGE ON FOREIGN DATA WRAPPER loose TO mallory;
SQL

# Mallory's statement is refused.
sub refused
{
	my ($name, $sql, @patterns) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $text = $node->error($sql, before => 'SET SESSION AUTHORIZATION mallory')->{text} // '';

	like($text, $_, $name) foreach @patterns;
	unlike($text, qr/\Q$secret\E|planted/, "$name: it shows no secret");
	return;
}

# Mallory's statement is allowed.
sub allowed
{
	my ($sql) = @_;
	return $node->result("SET SESSION AUTHORIZATION mallory; $sql");
}

is(allowed('CREATE SERVER hers FOREIGN DATA WRAPPER graph_fdw'), '', 'a server of one\'s own');
is(allowed("CREATE USER MAPPING FOR PUBLIC SERVER hers OPTIONS (tenant_id 'contoso.test', client_id 'x', client_secret 'y')"),
	'', 'with a mapping for PUBLIC');

# 1 to 4: lead the secrets of others elsewhere
foreach my $option ("endpoint '$sink_url'", "authority '$sink_url'", "proxy '$sink_url'", "ca_file '$shadow'")
{
	my ($name) = $option =~ /(\w+)/;

	refused("$name, a new server", "CREATE SERVER new FOREIGN DATA WRAPPER graph_fdw OPTIONS ($option)", qr/^42501\npermission denied to set option "$name"/);
	refused("$name, her server", "ALTER SERVER hers OPTIONS (ADD $option)", qr/^42501\npermission denied to set option "$name"/);
	refused("$name, the superuser's server", "ALTER SERVER graph OPTIONS (ADD $option)", qr/^42501\nmust be owner/);
	refused("$name, in a table", "CREATE FOREIGN TABLE work.t (id text) SERVER hers OPTIONS ($option)", qr/^HV00D/);
	refused("$name, in a mapping", "CREATE USER MAPPING FOR victim SERVER hers OPTIONS ($option)", qr/^HV00D/);
}

# 5: a server that was handed over
foreach my $change ("SET endpoint '$sink_url'", "SET authority '$sink_url'", "ADD proxy '$sink_url'", "ADD tenant_id 'hers.test'", "ADD page_size '7'")
{
	refused("given server: $change", "ALTER SERVER given OPTIONS ($change)", qr/^42501\npermission denied to set option "(endpoint|authority|proxy)"/);
}

# 6: a host by way of another option
foreach my $tenant ('../../evil.test', '..', '.', 'x/../../y', 'evil.test#', 'evil.test?', '%2e%2e', 'a@evil.test', 'a:b@evil.test', "a\tb", 'a b', '\\\\evil')
{
	refused("tenant $tenant", "ALTER SERVER hers OPTIONS (ADD tenant_id '$tenant')", qr/^HV024\ninvalid value for option "tenant_id"/);
}
refused('cloud', "ALTER SERVER hers OPTIONS (ADD cloud '$sink_url')", qr/^HV024/);
refused('version', "ALTER SERVER hers OPTIONS (ADD api_version '../\@evil.test')", qr/^HV024/);
refused('a property', "CREATE FOREIGN TABLE work.t (id text OPTIONS (property '../../\@evil')) SERVER hers", qr/^HV/);

# 7: files of the server, in any mapping
foreach my $whom ('mallory', 'PUBLIC', 'victim')
{
	my $server = $whom eq 'PUBLIC' ? 'given' : 'hers';

	foreach my $option ("federated_token_file '$shadow'", "certificate_file '$shadow', private_key_file '$shadow'")
	{
		refused("a file, for $whom", "CREATE USER MAPPING FOR $whom SERVER $server OPTIONS (tenant_id 'x', client_id 'x', $option)",
			qr/^42501\npermission denied to set option "\w+_file"/);
	}

	# 8: the machine's identity
	refused("the machine's identity, for $whom", "CREATE USER MAPPING FOR $whom SERVER $server OPTIONS (managed_identity '$_')",
		qr/^42501\npermission denied to set option "managed_identity"/)
	  foreach qw(true on 1);
}
refused('a file, added later', "ALTER USER MAPPING FOR PUBLIC SERVER hers OPTIONS (DROP client_secret, ADD federated_token_file '$shadow')",
	qr/^42501\npermission denied to set option "federated_token_file"/);

# 9: another tenant or application for somebody's file
$node->sql("CREATE USER MAPPING FOR mallory SERVER given $by_file");
refused('the tenant of a login by file', "ALTER USER MAPPING FOR mallory SERVER given OPTIONS (SET tenant_id 'hers.test')",
	qr/^42501\npermission denied to set option "federated_token_file"/);
$node->sql('DROP USER MAPPING FOR mallory SERVER given');

# 10: read what others have
is(allowed(q{SELECT count(umoptions) FROM pg_user_mappings WHERE srvname = 'graph'}), 0, 'pg_user_mappings shows nothing');
is(allowed(q{SELECT count(umoptions) FROM pg_user_mappings WHERE srvname = 'given'}), 0, 'not even of a server that is hers');
is(allowed(q{SELECT count(option_value) FROM information_schema.user_mapping_options WHERE foreign_server_name = 'graph'}), 0,
	'nor does the information schema');
refused('pg_user_mapping', 'SELECT umoptions FROM pg_user_mapping', qr/^42501\npermission denied for table/);
refused('pg_read_file', "SELECT pg_read_file('$shadow')", qr/^42501/);

# 11: a wrapper that validates nothing
is(allowed("CREATE SERVER trap FOREIGN DATA WRAPPER loose OPTIONS (endpoint '$sink_url', authority '$sink_url')"), '', 'a trap is set');
allowed("CREATE USER MAPPING FOR mallory SERVER trap OPTIONS (managed_identity 'true')");
refused('graph_fdw_login with it', q{SELECT graph_fdw_login('trap')}, qr/server "trap" is not a server of graph_fdw/);
like(allowed(q{SELECT step, ok, detail FROM graph_fdw_check('trap')}), qr/^options\|f\|server "trap" is not a server of graph_fdw\nlogin\|f\|not tried$/m,
	'graph_fdw_check with it');
refused('a table with it', 'CREATE FOREIGN TABLE work.t (id text) SERVER trap; SELECT * FROM work.t', qr/has no handler|filename/);

# with the handler of graph_fdw too, but without its validator
foreach my $validator ('', 'VALIDATOR postgresql_fdw_validator')
{
	$node->sql("DROP FOREIGN DATA WRAPPER IF EXISTS looser CASCADE; CREATE FOREIGN DATA WRAPPER looser HANDLER graph_fdw_handler $validator;
		GRANT USAGE ON FOREIGN DATA WRAPPER looser TO mallory");
	allowed($validator ? 'CREATE SERVER looser FOREIGN DATA WRAPPER looser'
		: "CREATE SERVER looser FOREIGN DATA WRAPPER looser OPTIONS (endpoint '$sink_url', authority '$sink_url')");
	allowed($validator ? 'CREATE USER MAPPING FOR PUBLIC SERVER looser'
		: "CREATE USER MAPPING FOR PUBLIC SERVER looser OPTIONS (tenant_id 'x', client_id 'x', federated_token_file '$shadow')");
	allowed('DROP FOREIGN TABLE IF EXISTS work.loose; CREATE FOREIGN TABLE work.loose (id text) SERVER looser');
	foreach my $statement ('SELECT * FROM work.loose', 'EXPLAIN SELECT * FROM work.loose', 'ANALYZE work.loose', q{SELECT graph_fdw_login('looser')},
		'IMPORT FOREIGN SCHEMA security FROM SERVER looser INTO work')
	{
		refused("$statement, $validator", $statement, qr/server "looser" is not a server of graph_fdw/);
	}
	like(allowed(q{SELECT detail FROM graph_fdw_check('looser')}), qr/^server "looser" is not/, 'graph_fdw_check with it');
}
$node->sql('DROP FOREIGN DATA WRAPPER looser CASCADE');

# 12: functions for servers that she may not use
$node->sql('REVOKE USAGE ON FOREIGN SERVER graph FROM mallory');
refused('graph_fdw_login', q{SELECT graph_fdw_login('graph')}, qr/^42501\npermission denied for foreign server graph/);
like(allowed(q{SELECT ok, detail FROM graph_fdw_check('graph')}), qr/^f\|permission denied for foreign server graph\nf\|not tried/, 'graph_fdw_check');
refused('a table of hers', 'CREATE FOREIGN TABLE work.t (id text) SERVER graph', qr/^42501\npermission denied for foreign server/);
$node->sql('GRANT USAGE ON FOREIGN SERVER graph TO mallory');

# 13: the service of the machine, by any spelling, for anybody, and by any road
foreach my $host (
	'169.254.169.254', '169.254.169.254:443', '169.254.43518', '2852039166', '0xA9FEA9FE', '0251.0376.0251.0376',
	'0xa9.0xfe.0xa9.0xfe', '0xa9.254.0251.254', '169.16689662', '0250.63.0x81.16', '2822734096',
	'[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '[fe80::1]', '[febf::1%251]', '[fd00:ec2::254]', '[FD00:EC2:0:0::23]',
	'[fd20:ce::254]', '169.254.0.1', '168.63.129.16', '100.100.100.200', '192.0.0.192',
	'[::a9fe:a9fe]', '[::169.254.169.254]', '[::a83f:8110]', '[::ffff:168.63.129.16]', '[::ffff:0:a9fe:a9fe]',
	'[64:ff9b::a9fe:a9fe]', '[64:ff9b::168.63.129.16]', '[64:ff9b:1::a9fe:a9fe]', '[64:ff9b:1:a9fe:a9:fe00::]',
	'[64:ff9b:1:a9:fe:a9fe::]', '[64:ff9b:1:0:a9:fea9:fe00:0]', '[64:ff9b:1:abcd::a9fe:a9fe]',
	'[2002:a9fe:a9fe::]', '[2002:a83f:8110::1]', '[2001:0:a9fe:a9fe::1]', '[2001::1:2:5601:5601]',
	'[2001:db8::5efe:a9fe:a9fe]', '[2001:db8::200:5efe:a9fe:a9fe]', '[2001:db8::5efe:168.63.129.16]')
{
	foreach my $option (qw(endpoint authority proxy))
	{
		like($node->error("ALTER SERVER graph OPTIONS (" . ($option eq 'proxy' ? 'ADD' : 'SET') . " $option 'https://$host/')")->{text} // '',
			qr/^HV024/, "$option at $host, as superuser");
	}
}

# what only looks like them
foreach my $host (
	'169.253.255.255', '169.255.0.0', '168.63.129.17', '[2001:db8::a9fe:a9fe]', '[64:ff9b::5db8:d822]', '[64:ff9b:1::5db8:d822]',
	'[2002:5db8:d822::]', '[2001:db8:a9fe:a9fe::1]', '[2003:a9fe:a9fe::]', '[fd00:ec3::254]', '[::ffff:93.184.216.34]')
{
	is($node->error("ALTER SERVER graph OPTIONS (ADD proxy 'https://$host/'); ALTER SERVER graph OPTIONS (DROP proxy)")->{text}, undef, "a proxy at $host");
}

# 14: other people's tokens in the same session
is(allowed(q{SELECT ok FROM graph_fdw_check('graph') WHERE step = 'login'}), 't', 'she may log in as PUBLIC');
is($node->result(q{SELECT ok FROM graph_fdw_check('graph') WHERE step = 'login'; SET ROLE mallory; SELECT detail FROM graph_fdw_check('graph') WHERE step = 'options'})
	=~ /secret-|planted|eyJ/ ? 'shown' : 'hidden', 'hidden', 'what is shown is no secret');
refused('a role that she has not', 'SET ROLE victim', qr/^42501\npermission denied to set role/);

# 15: a login that goes where it always went
$emulator->clear;
allowed("ALTER USER MAPPING FOR victim SERVER given OPTIONS (SET tenant_id 'hers.test')");
$node->sql('CREATE FOREIGN TABLE given_alerts (id text) SERVER given; GRANT SELECT ON given_alerts TO victim');
like($node->error('SELECT * FROM given_alerts', before => 'SET SESSION AUTHORIZATION victim')->{text}, qr/AADSTS90002/,
	'another tenant for a victim gives an error');
is_deeply([ $emulator->requests ], ['POST /hers.test/oauth2/v2.0/token'], 'of the same authority');

# 16: a name that leads to the machine's service, whoever wrote it into the DNS
SKIP:
{
	my $shim = PostgreSQL::Test::Utils::tempdir() . '/strange_names.so';
	skip 'there is no compiler, or something is preloaded already', 1
	  if $ENV{LD_PRELOAD} || system("cc -O2 -shared -fPIC -o $shim $FindBin::RealBin/strange_names.c >/dev/null 2>&1 -ldl") != 0;
	local $ENV{LD_PRELOAD} = $shim;
	my $misled = GraphCluster->connected_to($emulator, name => 'misled', import => 0,
		server => { endpoint => 'https://graph.metadata.test', max_retries => 0, connect_timeout => '300ms' });
	$misled->sql('CREATE FOREIGN TABLE led_astray (id text) SERVER graph');
	like($misled->error('SELECT * FROM led_astray')->{text}, qr/its address is one of the local link/, 'a name of an address of the local link');
	$misled->stop;
}

is($sink->arrived, '', 'nothing arrived where it should not');
is(scalar(grep { ($_->{prefix} // '') eq '/at/machine' } $emulator->records), 0, 'nobody had the machine\'s identity');
unlike(slurp_file($node->logfile), qr/\Q$secret\E|planted-file/, 'no secret in the log');
done_testing();
