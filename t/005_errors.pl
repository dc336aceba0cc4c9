
# Does every failure become the right error, one that says what to do?
#
# The SQLSTATE tells a program, the DETAIL what the service said and under which
# request id, the HINT what a person can do.  What the service says is its own
# text, and harmless.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(alert %APP $TENANT);
use PostgreSQL::Test::Utils;
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 3, '--no-sample');
my $node = GraphCluster->connected_to($emulator, server => { max_retries => 0 });
my $session = $node->session;
my $shared = $node->shares_limit;
my $list = 'SELECT * FROM defender.alerts';
my $key  = q{SELECT * FROM defender.alerts WHERE id = 'x'};
my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

# How a query fails when a fault befalls every request.
sub error_with
{
	my ($query, %fault) = @_;

	$emulator->reset;
	$emulator->fault(times => -1, %fault);
	return $node->error($query, session => $session);
}

# Does it fail with this SQLSTATE, and with these words in this order?
sub fails
{
	my ($name, $error, $state, @words) = @_;
	my $words = join '.*', map { quotemeta } @words;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	(ref $state ? like($error->{state}, $state, $name) : is($error->{state}, $state, $name))
	  || diag($error->{text});
	like($error->{text}, qr/$words/s, "$name: text") if @words;
	return;
}

#------------------------------------------------------------------------------
# Statuses
#------------------------------------------------------------------------------

my %state = (
	(map { $_ => 'HV00L' } 400, 402, 405, 406, 409, 410, 412, 415, 418, 422, 423, 451, 499),
	(map { $_ => 'HV00N' } 300, 301, 302, 303, 307, 308, 407),
	(map { $_ => 'HV000' } 500, 501, 505, 507, 509, 511, 599),
	(map { $_ => '08006' } 408, 502, 504),
	(map { $_ => '54000' } 413, 414),
	(map { $_ => 'HV00M' } 201, 202, 203, 204, 206, 226),
	401 => '28000', 403 => '42501', 404 => 'HV00R', 429 => '53400', 503 => '57P03');
my %hint = (
	302 => '"endpoint"',
	401 => '"access_token"',
	403 => 'SecurityAlert.Read.All',
	404 => '"api_version"',
	429 => 'later');

foreach my $status (sort keys %state)
{
	my $error = error_with($list, kind => 'status', code => 0 + $status,
		error => 'someCode', message => 'Some message.');

	is($error->{state}, $state{$status}, "status $status");
	like($error->{message} . $error->{detail}, qr/\b$status\b/, "status $status: it is named");
	like($error->{context}, qr{^Microsoft Graph request: GET /security/alerts_v2\?}m,
		"status $status: the request");
	like($error->{detail}, qr/^Error "someCode": Some message\.  Request id: $uuid\.$/,
		"status $status: what the service says") if $status >= 300;
	like($error->{hint}, qr/\Q$hint{$status}\E/, "status $status: hint") if $hint{$status};

	is(error_with($key, kind => 'status', code => 0 + $status)->{state},
		$status == 404 ? undef : $state{$status}, "status $status by key");
}

# Not from Graph: the request id is the header's, the rest is what can be known.
my $error = error_with($list, kind => 'status', code => 503, body => JSON::PP::false);
fails('no body', $error, '57P03');
like($error->{detail}, qr/^Request id: $uuid\.$/, 'no body: detail');
fails('HTML with 503', error_with($list, kind => 'html', code => 503), '57P03', 'text/html');
fails('HTML with 404 by key', error_with($key, kind => 'html', code => 404), 'HV00R', 'text/html');
fails('HTML with 200', error_with($list, kind => 'html'), 'HV024', 'text/html');
fails('HTML with 200 by key', error_with($key, kind => 'html'), 'HV024', 'text/html');

# Tried again, or not; but it may be the count that a service does not know.
foreach my $status (400, 403, 404, 501)
{
	$node->set_server(max_retries => 5);
	error_with($list, kind => 'status', code => $status);
	is(scalar(my @requests = $emulator->requests), $status == 400 ? 2 : 1, "status $status is not tried again");
	is(scalar(grep { /count/ } @requests), 1, "status $status: not with the count");
}
$node->set_server(max_retries => 1);
foreach my $status (408, 429, 500, 502, 503, 504)
{
	# a limit that is shared: a service that has just taken a request may take more
	my $patient = $shared && $status == 429;

	$node->set_server(throttle_timeout => $patient ? '5s' : undef);
	$error = error_with($list, kind => 'status', code => $status);
	# 408 on a kept connection may have been said before there was a request
	my $made = scalar(my @requests = $emulator->requests) - ($status == 408);

	fails("status $status twice", $error, $state{$status}, $patient ? 'seconds no request was taken' : 'tried 2 times');
	if ($patient) { cmp_ok($made, '>=', 2, "status $status twice: requests") }
	else { is($made, 2, "status $status twice: requests") }
}
$emulator->reset;
$emulator->fault(kind => 'status', code => 503);
is($node->result("SELECT count(*) FROM ($list) AS a"), 3, 'status 503 once');
foreach my $after (1, 'date:2')
{
	$emulator->reset;
	$emulator->fault(kind => 'status', code => 429, retry_after => $after);
	$node->result($key);
	my @times = map { $_->{seconds} } $emulator->records;
	cmp_ok($times[1] - $times[0], '>=', 0.99, "Retry-After: $after");
	cmp_ok($times[1] - $times[0], '<=', 10, "Retry-After: $after: no longer than that");
}
fails('more than anybody waits', error_with($list, kind => 'status', code => 503, retry_after => 3600),
	'57P03', '3600 seconds');
$emulator->reset;
$emulator->fault(kind => 'status', code => 429, retry_after => 15);
fails('more than statement_timeout leaves', $node->error($list, before => "SET statement_timeout = '5s'"),
	'53400', 'statement_timeout');
$node->set_server(max_retries => 0);

#------------------------------------------------------------------------------
# Answers that are not what they should be
#------------------------------------------------------------------------------

my @answers = (
	[ '08006', 'lost', kind => 'close' ],
	[ '08006', 'lost', kind => 'reset' ],
	[ '08006', 'lost', kind => 'reset', after => 5000 ],
	[ '08006', 'lost', kind => 'cut', after => 5000 ],
	[ '08006', 'lost', kind => 'cut', after => 0 ],
	[ '08006', 'lost', kind => 'wrong_length', delta => 10 ],
	[ '08006', '', kind => 'bad_chunk' ],
	[ 'HV000', '', kind => 'garbage' ],
	# a damaged byte may reach a value, or the structure, before the checksum
	# does: whichever is noticed first, it is an error
	[ qr/^(?:HV024|HV00M|22\w{3})$/, '', kind => 'gzip_corrupt' ],
	[ 'HV024', 'decompress', kind => 'gzip_corrupt', how => 'plain' ],
	[ '54000', 'oversized', kind => 'huge_header', kb => 200 ],
	[ '08006', 'timed out', kind => 'stall' ],
	[ '08006', 'timed out', kind => 'stall', before_headers => JSON::PP::true ],
	[ 'HV024', 'malformed', kind => 'malformed', at => 'start' ],
	[ 'HV024', 'malformed', kind => 'malformed', at => 'middle', text => '"' ],
	[ 'HV024', 'malformed', kind => 'malformed', at => 'end' ],
	[ 'HV00M', 'in the middle', kind => 'truncated' ],
	[ 'HV00M', 'empty', kind => 'empty' ],
	[ 'HV00M', 'holds an "error"', kind => 'error_in_200' ],
	[ 'HV00M', 'holds an "error"', kind => 'error_in_200', beside_value => JSON::PP::true ],
	[ 'HV00M', 'Microsoft/Windows', kind => 'partial' ],
	[ 'HV00M', 'Microsoft/Windows', kind => 'warning' ],
	[ 'HV00M', '"value"', kind => 'value_missing' ],
	[ 'HV00M', '"value"', kind => 'value_null' ],
	[ 'HV00M', '"value"', kind => 'value_not_array' ],
	[ 'HV00M', '"id"', kind => 'alert_without_id' ],
	[ 'HV024', '', kind => 'element' ],
	[ 'HV024', '', kind => 'element', text => 'null' ],
	[ 'HV024', '', kind => 'element', text => '[]' ],
	[ 'HV024', 'nested', kind => 'deep', levels => 1000 ],
	[ 'HV00M', 'read before', kind => 'next_link_loop' ],
	[ 'HV00M', 'read before', kind => 'next_link_loop', cycle => 2 ],
	[ 'HV024', 'nextLink', kind => 'next_link', form => 'empty' ],
	[ 'HV024', 'nextLink', kind => 'next_link', form => 'number' ],
	[ 'HV024', 'nextLink', kind => 'next_link', form => 'object' ]);

foreach my $case (@answers)
{
	my ($state, $words, @fault) = @$case;

	$node->set_server(request_timeout => '300ms') if "@fault" =~ /stall/;
	fails("@fault", error_with($list, @fault), $state, $words);
	$node->set_server(request_timeout => undef) if "@fault" =~ /stall/;
}

# What is left over after such an answer would come before the next one, in
# the same session.
$emulator->reset;
$emulator->fault(kind => 'wrong_length', delta => -200);
fails('a length that is too small', $node->error($list), 'HV00M', 'in the middle');

# With a warning, the query goes on with what there is.
$node->set_server(on_partial => 'warning');
foreach my $case ([ 3, kind => 'partial' ], [ 3, kind => 'warning' ], [ 3, kind => 'value_missing' ],
	[ 2, kind => 'alert_without_id' ], [ 0, kind => 'truncated' ])
{
	my ($rows, @fault) = @$case;

	$emulator->reset;
	$emulator->fault(@fault);
	my (undef, $count, $messages) = $node->psql('postgres', "SELECT count(*) FROM ($list OFFSET 0) AS a");
	is($count, $rows, "on_partial, @fault");
	like($messages, qr/^(?:psql:\S+ )?WARNING:  server "graph" gave an incomplete answer$/m, "on_partial, @fault: a warning");
}
$node->set_server(on_partial => undef, max_retries => 3);

# A page that breaks is asked for again, and goes on where it was.
my @alerts = map { alert(id => sprintf('r%03d', $_), title => 'x' x 1000, createdDateTime => "2026-07-01T10:00:00Z") } 1 .. 200;
foreach my $after (0, 10_000, 150_000)
{
	$emulator->reset;
	$emulator->settings(gzip => JSON::PP::false);
	$emulator->set_alerts(@alerts);
	$emulator->fault(kind => 'cut', after => $after);
	is($node->result("SELECT count(*), count(DISTINCT id) FROM ($list OFFSET 0) AS a"), '200|200', "cut after $after");
	is(scalar(my @requests = $emulator->requests), 2, "cut after $after: requests");
}
$node->set_server(max_retries => 0);

#------------------------------------------------------------------------------
# What the service says is harmless
#------------------------------------------------------------------------------

my $ugly = "red \e[31m\x07 line\r\nERROR:  forged\tC1 \x{9b}31m bidi \x{202e}\x{2066}\x{200f} mark \x{feff} \x{2028}end %s %n 'quote' \x{1f600}";
$error = error_with($list, kind => 'status', code => 500, error => "code\e[2J\n", message => $ugly);
$error->{detail} =~ s/ +/ /g;
unlike($error->{detail}, qr/[\x00-\x1f\x7f-\x9f\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}\x{feff}]/,
	'control characters');
like($error->{detail}, qr/^Error "code \[2J": red \[31m line ERROR: forged C1 31m bidi mark end %s %n 'quote' \x{1f600}\./,
	'all others');
foreach my $size (5_000, 100_000, 1_000_000)
{
	$error = error_with($list, kind => 'status', code => 500, error => 'c' x $size, message => "\x{e9}" x $size);
	is($error->{state}, 'HV000', "$size letters");
	cmp_ok(length $error->{text}, '<', 4000, "$size letters: those shown");
}
$error = error_with($list, kind => 'header', name => 'Content-Type', value => "text/\e[31m" . 'x' x 3000);
cmp_ok(length $error->{text}, '<', 2000, 'a header is bounded') if $error->{text};
unlike($error->{text} // '', qr/\e/, 'a header is harmless');
$error = error_with($list, kind => 'partial', text => "199 - \"\e[31m\x85" . 'x' x 3000 . '"');
is($error->{state}, 'HV00M', 'a long Warning');
cmp_ok(length $error->{text}, '<', 2000, 'a Warning is bounded');
unlike($error->{text}, qr/[\e\x85]/, 'a Warning is harmless');


#------------------------------------------------------------------------------
# The login
#------------------------------------------------------------------------------

# How a query fails with this user mapping.
sub error_as
{
	my (%mapping) = @_;
	my $options = options(%{ $APP{main} }, tenant_id => $TENANT, %mapping);

	$node->sql("DROP USER MAPPING FOR CURRENT_USER SERVER graph;
		CREATE USER MAPPING FOR CURRENT_USER SERVER graph $options");
	return $node->error($list);
}

$emulator->reset;
is(error_as()->{state}, undef, 'a login');
fails('wrong secret', error_as(client_secret => 'wrong'), '28000', 'status 401', '"invalid_client": AADSTS7000215', '"client_secret"');
fails('unknown tenant', error_as(tenant_id => 'fabrikam.test'), '28000', 'AADSTS90002', '"tenant_id"', '"cloud"');
fails('unknown client', error_as(client_id => 'x y&z'), '28000', "AADSTS700016: Application with identifier 'x y&z'", '"client_id"');
fails('no roles', error_as(%{ $APP{no_roles} }), '42501', 'status 403', 'API required roles: SecurityAlert.Read.All', 'Grant the application permission');
like(error_as(client_secret => 'wrong')->{detail}, qr/Request id: $uuid\./, 'the id of a refused login');

error_as();
foreach my $case (
	[ '28000', 'status 400', kind => 'status', code => 400, error => 'invalid_request' ],
	[ '53400', 'status 429', kind => 'status', code => 429 ],
	[ 'HV000', 'status 500', kind => 'status', code => 500 ],
	[ '57P03', 'status 503', kind => 'status', code => 503 ],
	[ '57P03', 'text/html',  kind => 'html', code => 503 ],
	[ 'HV024', 'token request', kind => 'html' ],
	[ 'HV024', 'token request', kind => 'empty' ],
	[ 'HV024', 'token request', kind => 'truncated', after => 20 ],
	[ qr/^(?:HV000|08006)$/, 'token request', kind => 'garbage' ],	# on a kept connection: lost
	[ '08006', 'token request', kind => 'close' ],
	[ 'HV00N', 'redirect', kind => 'redirect' ])
{
	my ($state, $words, @fault) = @$case;

	fails("login: @fault", error_with($list, @fault, path => 'oauth2'), $state, $words);
	$emulator->is_requests("login: @fault", "POST /$TENANT/oauth2/v2.0/token");
}

#------------------------------------------------------------------------------
# The way to the service
#------------------------------------------------------------------------------

my $closed = PostgreSQL::Test::Cluster::get_free_port();
$emulator->reset;
$node->sql(q{DROP USER MAPPING FOR CURRENT_USER SERVER graph;
	CREATE USER MAPPING FOR CURRENT_USER SERVER graph OPTIONS (access_token 'emulator-access-token')});
foreach my $case (
	[ "http://127.0.0.1:$closed", 'could not connect' ],
	[ 'https://127.0.0.1:' . $emulator->port, 'could not establish a trusted TLS connection', 'TLS 1.2' ],
	[ 'https://graph.invalid', '' ])
{
	my ($endpoint, @words) = @$case;

	$node->set_server(endpoint => $endpoint, connect_timeout => '5s');
	fails($endpoint, $node->error($list), 'HV00N', $words[0], $endpoint, @words[ 1 .. $#words ]);
}

SKIP:
{
	my $folder = PostgreSQL::Test::Utils::tempdir();
	skip 'there is no openssl to make a certificate with', 6
	  if system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
		  . " -addext subjectAltName=DNS:localhost -keyout $folder/key.pem -out $folder/cert.pem >/dev/null 2>&1");
	my $secure = GraphEmulator->new('--alerts', 3, '--no-sample',
		'--tls-cert', "$folder/cert.pem", '--tls-key', "$folder/key.pem");
	my $port = $secure->port;

	$node->set_server(endpoint => "https://localhost:$port", authority => "https://localhost:$port");
	fails('a certificate that nobody vouches for', $node->error($list), 'HV00N', 'trusted TLS', '"ca_file"');
	$node->set_server(ca_file => "$folder/cert.pem");
	is($node->result("SELECT count(*) FROM ($list) AS a"), 3, 'a certificate of ca_file');
	$node->set_server(endpoint => "https://127.0.0.1:$port");
	fails('a certificate for another host', $node->error($list), 'HV00N', 'trusted TLS');
	$node->set_server(ca_file => "$folder/missing.pem", endpoint => "https://localhost:$port");
	is($node->error($list)->{state}, 'HV00N', 'a ca_file that is missing');
}

$session->quit;
done_testing();
