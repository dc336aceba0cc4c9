
# Does a secret stay where it belongs: in the user mapping and on its way to
# the service?
#
# Secrets are looked for wherever something could show them, also when the
# service repeats them; and whoever may not choose where they are sent does not.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT);
use JSON::PP;
use OddServer;
use PostgreSQL::Test::Utils;
use Test::More;

# What the environment of the server says of proxies must not matter.
$ENV{$_} = 'http://127.0.0.1:1' foreach qw(http_proxy https_proxy all_proxy ALL_PROXY);

my $emulator = GraphEmulator->new('--alerts', 20, '--no-sample');
my $node = GraphCluster->connected_to($emulator,
	conf   => "log_statement = none\nlog_error_verbosity = verbose\nlog_min_error_statement = panic\n",
	server => { max_retries => 0 });
my $list    = 'SELECT * FROM defender.alerts';
my %login   = (%{ $APP{main} }, tenant_id => $TENANT);
my $token   = 'issued-' . 'aB3_-x9' x 200;
my @secrets = (
	$login{client_secret}, 'emulator-secret-~Q8%2B%2F%3D%26%25',
	'emulator-access-token', substr($token, 0, 40));

# None of the secrets is in the text, and no token of the emulator's.
sub no_secret
{
	my ($text, $name) = @_;
	my ($found) = grep { index($text, $_) >= 0 } @secrets;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	($found) = $text =~ /([\w-]{300,})/ unless defined $found;
	is($found, undef, $name);
	return;
}

sub log_in_with
{
	my (%mapping) = @_;
	my $options = options(%mapping);

	$node->sql("DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER graph;
		CREATE USER MAPPING FOR CURRENT_USER SERVER graph $options");
	return;
}

#------------------------------------------------------------------------------
# What can be seen
#------------------------------------------------------------------------------

my $verbose = join ' ', map { "SET $_;" } 'log_min_messages = debug5',
  'client_min_messages = debug5', 'debug_print_plan = on', 'debug_print_parse = on',
  'debug_print_rewritten = on', 'log_min_duration_statement = 0', 'log_executor_stats = on';
my $log_start = -s $node->logfile;

foreach my $mapping (\%login, { access_token => 'emulator-access-token' })
{
	my ($name) = grep { /secret|token/ } sort keys %$mapping;

	log_in_with(%$mapping);
	$emulator->reset;
	my ($status, $rows, $messages) = $node->psql('postgres',
		"$verbose SELECT count(*) FROM defender.alerts WHERE raw IS NOT NULL;"
		  . q{PREPARE p(text) AS SELECT title FROM defender.alerts WHERE id = $1; EXECUTE p('x'); EXECUTE p('x');});
	is("$status $rows", "0 20", "$name: a query") || diag($messages =~ s{^.*?(?=ERROR)}{}sr);
	no_secret($messages, "$name: messages at DEBUG5");

	foreach my $format (qw(text json xml yaml))
	{
		foreach my $query ($list, "$list WHERE id = 'x'", 'SELECT * FROM defender.alert_evidence')
		{
			no_secret($node->sql("EXPLAIN (ANALYZE, VERBOSE, SETTINGS, FORMAT $format) $query"),
				"$name: EXPLAIN, $format");
		}
	}

	# while it runs
	$emulator->fault(kind => 'stall', times => -1);
	my $session = $node->session;
	$session->query_until(qr/running/, "\\echo running\n$list;\n");
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE state = 'active' AND wait_event_type = 'Extension' AND query ~ 'alerts' AND pid <> pg_backend_pid()}),
		"$name: a query waits");
	no_secret($node->sql('SELECT string_agg(a::text, chr(10)) FROM pg_stat_activity a'), "$name: pg_stat_activity");
	$node->sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND pid <> pg_backend_pid()});
	$session->quit;
}
no_secret($node->sql('SELECT s::text FROM pg_foreign_server s UNION ALL SELECT t::text FROM pg_foreign_table t
	UNION ALL SELECT f::text FROM pg_foreign_data_wrapper f UNION ALL SELECT attfdwoptions::text FROM pg_attribute'),
	'catalogs that everybody reads');

#------------------------------------------------------------------------------
# What the service repeats
#------------------------------------------------------------------------------

# A login that gives the token, and a service that says all that it was told;
# the login says the same if the tenant asks for that.
my $echo = OddServer->new(
	sub {
		my ($socket, $request) = @_;
		my ($secret) = $request =~ /client_secret=([^&\s]*)/;
		my $plain = $secret ? $secret =~ s/%(..)/chr hex $1/ger : '';
		my $message = "you said: $request, decoded: $plain";

		return OddServer::answer($socket, 200, encode_json({ access_token => $token, expires_in => 3600, token_type => 'Bearer' }))
		  if $request =~ m{^POST /good\.test/};
		return OddServer::answer($socket, 400, encode_json({ error => "code $plain", error_description => $message, trace_id => $plain, error_codes => [1] }))
		  if $request =~ m{^POST /error\.test/};
		return OddServer::answer($socket, 200, encode_json({ access_token => "$plain $request", token_type => $request }))
		  if $request =~ m{^POST };
		my ($bearer, $bare) = $request =~ /^authorization: (\S+ (.*?))\r/im;
		return OddServer::answer($socket, 206, '{"value":[]}', "Warning: 199 - \"$bare\"", "request-id: $bearer")
		  if $request =~ m{/header/};
		return OddServer::answer($socket, 503, "no JSON: $message", "request-id: $bare")
		  if $request =~ m{/plain/};
		return OddServer::answer($socket, 200, "{\"value\":[],\"\@odata.nextLink\":\"https://$token.example/$bearer\"}")
		  if $request =~ m{/link/};
		return OddServer::answer($socket, 403, encode_json({ error => { code => $bearer, message => $message, innerError => { 'request-id' => $bearer } } }));
	},
	read => 1);

foreach my $case (
	[ good => '' ], [ good => '/header' ], [ good => '/plain' ], [ good => '/link' ],
	[ error => '' ], [ other => '' ])
{
	my ($tenant, $path) = @$case;

	$node->set_server(endpoint => $echo->url . $path, authority => $echo->url);
	log_in_with(%login, tenant_id => "$tenant.test");
	my (undef, undef, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\n$verbose $list");
	like($error, qr/^(?:psql:\S+ )?ERROR:  \w{5}: /m, "$tenant$path: an error");
	no_secret($error, "$tenant$path: the error");
	like($error, qr/you said: .*\*\*\*/, "$tenant: the rest of it") if $tenant ne 'other' && $path eq '';
	next if $tenant ne 'good';

	log_in_with(access_token => $token);
	(undef, undef, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\n$verbose $list");
	no_secret($error, "$tenant$path: the error, with a token");
}
no_secret(slurp_file($node->logfile, $log_start), 'the server log at DEBUG5');
$node->set_server(endpoint => $emulator->url, authority => $emulator->url);

#------------------------------------------------------------------------------
# Where a secret may be given, and what is said of a bad one
#------------------------------------------------------------------------------

foreach my $option (qw(client_secret access_token client_id))
{
	foreach my $ddl (
		'CREATE SERVER s FOREIGN DATA WRAPPER graph_fdw OPTIONS (%s)',
		'ALTER SERVER graph OPTIONS (ADD %s)',
		'CREATE FOREIGN TABLE t (id text) SERVER graph OPTIONS (%s)',
		'CREATE FOREIGN TABLE t (id text OPTIONS (%s)) SERVER graph',
		'ALTER FOREIGN DATA WRAPPER graph_fdw OPTIONS (ADD %s)')
	{
		my $error = $node->error(sprintf $ddl, "$option 'hush-hush'");

		is($error->{state}, 'HV00D', "$option: " . $ddl =~ s/ (FOR|OPT|\().*//r);
		unlike($error->{message} . $error->{detail} . $error->{hint}, qr/hush/, 'it is not repeated');
		like($error->{hint}, qr/user mapping/, 'where it may be') if $option ne 'client_id';
	}
}
foreach my $options (
	q{access_token e'hush-hush\n'}, q{access_token 'hush-hush '}, q{access_token ''}, q{client_secret '', client_id 'x'},
	q{client_secret 'hush-hush'}, q{client_secret 'hush-hush', client_id 'x', access_token 'hush-hush'},
	q{tenant_id 'y'}, q{secret 'hush-hush'})
{
	my $error = $node->error("CREATE USER MAPPING FOR PUBLIC SERVER graph OPTIONS ($options)");

	like($error->{state} // '', qr/^HV0/, "a mapping with $options");
	unlike($error->{message} . $error->{detail} . $error->{hint}, qr/hush/, 'no secret is repeated');
}

#------------------------------------------------------------------------------
# Who chooses where secrets are sent, and what may be chosen
#------------------------------------------------------------------------------

$node->sql('CREATE ROLE clerk; GRANT USAGE ON FOREIGN DATA WRAPPER graph_fdw TO clerk;
	CREATE ROLE somebody; SET ROLE clerk; CREATE SERVER plain FOREIGN DATA WRAPPER graph_fdw;');
foreach my $option ("endpoint 'https://x.test'", "authority 'https://x.test'", "ca_file '/x'", "proxy 'http://x.test:1'")
{
	my ($name) = $option =~ /(\w+)/;

	foreach my $ddl ("CREATE SERVER s FOREIGN DATA WRAPPER graph_fdw OPTIONS ($option)", "ALTER SERVER plain OPTIONS (ADD $option)")
	{
		my $error = $node->error($ddl, before => 'SET ROLE clerk');
		is($error->{state}, '42501', "$name, as an ordinary role");
		like($error->{message}, qr/"$name"/, 'which option that is');
	}
}
is($node->error("ALTER SERVER plain OPTIONS (ADD cloud 'usgov', tenant_id 'contoso.test', page_size '10')",
		before => 'SET ROLE clerk')->{state}, undef, 'other options are the owner\'s');

my @refused = (
	'http://graph.microsoft.com', 'http://127.0.0.1.evil.test', 'http://localhost.evil.test', 'http://10.0.0.1',
	'http://0.0.0.0', 'http://[::2]', 'http://[::ffff:10.0.0.1]', 'http://127.0.0.1@evil.test', 'http://evil.test/127.0.0.1',
	'http://128.0.0.1', 'https://user@graph.microsoft.com', 'https://user:word@graph.microsoft.com',
	'https://graph.microsoft.com?x=1', 'https://graph.microsoft.com#x', 'https://graph.microsoft.com?', 'graph.microsoft.com',
	'ftp://127.0.0.1', 'file:///etc/passwd', '//graph.microsoft.com', 'https://', 'https://a b.test', "https://a.test\nHost: b");
foreach my $url (@refused)
{
	foreach my $option (qw(endpoint authority))
	{
		my $error = $node->error("ALTER SERVER plain OPTIONS (ADD $option '$url')");
		is($error->{state}, 'HV024', "$option $url") || diag($error->{text});
	}
}
foreach my $url ('http://127.0.0.1:80', 'http://127.9.8.7', 'http://localhost:8080/at/x/', 'http://[::1]:1', 'https://gateway.test/graph/')
{
	is($node->error("ALTER SERVER plain OPTIONS (ADD endpoint '$url'); ALTER SERVER plain OPTIONS (DROP endpoint)")->{state},
		undef, "endpoint $url");
}

# A mapping is its owner's to see.
$node->sql('GRANT USAGE ON FOREIGN SERVER graph TO somebody');
is($node->sql(q{SET ROLE somebody; SELECT count(umoptions) FROM pg_user_mappings WHERE srvname = 'graph'}), 0,
	'others do not see the options of a mapping');

#------------------------------------------------------------------------------
# A token goes to one origin
#------------------------------------------------------------------------------

my $other = GraphEmulator->new('--alerts', 1);
my $url = $emulator->url;
log_in_with(access_token => 'emulator-access-token');
foreach my $link (
	$other->url . '/v1.0/security/alerts_v2?$skip=1',
	$url =~ s/127\.0\.0\.1/localhost/r . '/v1.0/security/alerts_v2?$skip=1',
	$url =~ s/http/https/r . '/v1.0/security/alerts_v2?$skip=1',
	"http://127.0.0.1:" . $emulator->port . '@127.0.0.1:' . $other->port . '/v1.0/security/alerts_v2',
	"$url\@127.0.0.1:" . $other->port . '/', 'http://elsewhere.example/', 'file:///etc/passwd', 'ftp://127.0.0.1/',
	"$url\\\@elsewhere.example/", "$url /", '//elsewhere.example/', 'http://127.0.0.1/', '')
{
	$emulator->reset;
	$emulator->fault(kind => 'next_link', text => encode_json([$link]) =~ s/^\[(.*)\]$/$1/r);
	like($node->error($list)->{state} // '', qr/^HV0/, "a link to $link");
	$emulator->is_requests('it is not followed', qr{^GET /v1\.0/security/alerts_v2\?});
	$other->is_requests('nor asked for');
}
foreach my $code (301, 302, 307, 308)
{
	$emulator->reset;
	$emulator->fault(kind => 'redirect', code => $code, url => $other->url . '/v1.0/security/alerts_v2');
	is($node->error($list)->{state}, 'HV00N', "a redirect, $code");
	$other->is_requests('it is not followed');
}

done_testing();
