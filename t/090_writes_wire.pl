
# What goes over the wire for a write, how often, and what is said of it?
#
# Methods, headers and bodies; which failure is tried again for a change, and
# which for a comment; how many are under way; and what an error, a cancel or
# the end of the session leaves behind and tells.

use strict;
use warnings;

use Encode ();
use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw(%APP $TENANT alert minute);
use GraphLogin qw(certificate);
use JSON::PP;
use MIME::Base64 ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->utf8;
my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator,
	conf   => "log_min_messages = debug3\nlog_statement = none\nlog_min_error_statement = panic\n",
	server => { updatable => 'true', max_retries => 2, concurrency => 1 });
my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $service = '/v1.0/security/alerts_v2';

# Nine alerts w1 to w9, of which w1 is the newest.
sub begin
{
	$emulator->reset;
	$emulator->set_alerts(map { alert(id => "w$_", createdDateTime => minute($_), lastUpdateDateTime => minute($_)) } 1 .. 9);
	$emulator->clear;
	return;
}

# The requests that change something, each as "METHOD id status".
sub writes
{
	return map { my ($id) = $_->{path} =~ m{alerts_v2/([^/]+)}; "$_->{method} $id $_->{status}" }
	  grep { $_->{method} ne 'GET' && $_->{path} =~ /security/ } $emulator->records;
}

# How many comments with this text the service has.
sub comments
{
	my ($text) = @_;
	return scalar grep { $_->{comment} eq $text } map { @{ $json->decode($_)->{comments} } } $emulator->alerts;
}

# The rows, warnings and errors of some statements, each a psql of its own.
sub outcome
{
	my (@statements) = @_;
	my (undef, $rows, $messages) = $node->psql('postgres', join(";\n", @statements), on_error_stop => 0);

	$messages =~ s/^psql:<stdin>:\d+: //mg;
	return "$rows\n$messages";
}

#------------------------------------------------------------------------------
# Byte for byte
#------------------------------------------------------------------------------

begin();
$emulator->add_alerts(alert(id => "o d+d%\x{e9}?", createdDateTime => '2026-01-01T00:00:00Z'));
$node->sql(q{UPDATE defender.alerts SET status = 'resolved', assigned_to = 'o"neil' WHERE id = 'w1'});
$node->sql(q{INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('w2', E'a "b" \\\\ \n é')});
my ($patch, $post) = grep { $_->{method} ne 'GET' } $emulator->records;
is("$patch->{method} $patch->{target}", "PATCH $service/w1", 'UPDATE: a PATCH of the record');
is_deeply($json->decode(Encode::encode_utf8($patch->{body})), { status => 'resolved', assignedTo => 'o"neil' }, 'UPDATE: its body has what differs');
is("$post->{method} $post->{target}", "POST $service/w2/comments", 'INSERT: a POST to the comments');
is_deeply($json->decode(Encode::encode_utf8($post->{body})),
	{ '@odata.type' => 'microsoft.graph.security.alertComment', comment => "a \"b\" \\ \n \x{e9}" }, 'INSERT: its body');
foreach my $record ($patch, $post)
{
	my $headers = $record->{headers};

	is($headers->{'content-type'}, 'application/json', "$record->{method}: Content-Type");
	like($headers->{'user-agent'}, qr{^graph_fdw/\d+\.\d+\.\d+ PostgreSQL/\d+}, "$record->{method}: User-Agent");
	like($headers->{'client-request-id'}, qr/^$uuid$/, "$record->{method}: client-request-id");
	is($headers->{'content-length'}, length Encode::encode_utf8($record->{body}), "$record->{method}: Content-Length");
	is($headers->{prefer}, 'include-unknown-enum-members', "$record->{method}: Prefer");
}
isnt($patch->{headers}{'client-request-id'}, $post->{headers}{'client-request-id'}, 'each has an id of its own');
$emulator->clear;
$node->sql(q{SET client_encoding = 'UTF8'; UPDATE defender.alerts SET status = 'resolved' WHERE id = E'o d+d%\u00e9?'});
is((map { $_->{target} } grep { $_->{method} eq 'PATCH' } $emulator->records)[0], "$service/o%20d%2Bd%25%C3%A9%3F", 'an id is escaped');

# a PATCH may go over a connection that is kept, a POST never does
begin();
my $session = $node->session;
$session->query(q{UPDATE defender.alerts SET status = 'inProgress'});
$session->query(q{INSERT INTO defender.alert_comments (alert_id, comment) SELECT 'w' || i, 'x' FROM generate_series(1, 3) i});
my %connections;
push @{ $connections{ $_->{method} } }, $_->{connection} foreach $emulator->records;
my %shared = map { $_ => 1 } @{ $connections{PATCH} };
is(join(' ', scalar(@{ $connections{PATCH} }), scalar keys %shared), '9 1', 'PATCH: all over one connection');
%shared = map { $_ => 1 } map { @{ $connections{$_} || [] } } qw(GET PATCH POST);
is(scalar(keys %shared), 4, 'POST: each over its own');
$session->quit;

#------------------------------------------------------------------------------
# What is tried again
#------------------------------------------------------------------------------

# The failure; what becomes of a PATCH and of a POST: the statuses of its
# requests, "?" at the end if it is said that the comment may be there.
my @failures = (
	[ '429', { kind => 'status', code => 429 }, '429 200', '429 200' ],
	[ '429 with Retry-After', { kind => 'status', code => 429, retry_after => 1 }, '429 200', '429 200' ],
	[ '500', { kind => 'status', code => 500 }, '500 200', '500 ?' ],
	[ '502', { kind => 'status', code => 502 }, '502 200', '502 ?' ],
	[ '503', { kind => 'status', code => 503 }, '503 200', '503 ?' ],
	[ '503 with Retry-After', { kind => 'status', code => 503, retry_after => 1 }, '503 200', '503 200' ],
	[ '504', { kind => 'status', code => 504 }, '504 200', '504 ?' ],
	[ '501', { kind => 'status', code => 501 }, '501 ?', '501 ?' ],
	[ '408', { kind => 'status', code => 408 }, '408 200', '408 ?' ],
	[ '400', { kind => 'status', code => 400 }, '400', '400' ],
	[ '409', { kind => 'status', code => 409 }, '409', '409' ],
	[ 'a redirect', { kind => 'redirect' }, '302 ?', '302 ?' ],
	[ 'closed before it was taken', { kind => 'close' }, '200 200', '200 ?' ],
	[ 'closed after it was taken', { kind => 'lost' }, '200 200', '200 ?' ],
	[ 'reset', { kind => 'reset' }, '200 200', '200 ?' ],
	[ 'no HTTP', { kind => 'garbage' }, undef, '200 ?' ],
	[ 'a page of a gateway', { kind => 'html' }, '200 ?', '200 ?' ],
	[ 'an error in 200', { kind => 'error_in_200' }, '200 ?', '200 ?' ]);
foreach my $failure (@failures)
{
	my ($name, $fault, $patched, $posted) = @$failure;

	foreach my $method (qw(PATCH POST))
	{
		my $expected = $method eq 'PATCH' ? $patched : $posted;
		next unless defined $expected;
		begin();
		$emulator->fault(%$fault, method => $method);
		my $error = $node->error($method eq 'PATCH' ? q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'w1'}
			: q{INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('w1', 'once')});
		my @statuses = map { (split)[2] } writes();
		my $doubt = ($error->{detail} // '') =~ ($method eq 'PATCH' ? qr/it is not known: "w1"/ : qr/^(?:.*  )?The comment may have been added to alert "w1"\.$/);

		is(join(' ', @statuses, $doubt ? '?' : ()), $expected, "$method, $name") || diag($error->{text} // 'no error');
		if ($expected =~ / 200$/)
		{
			is($error->{message}, undef, "$method, $name: it succeeds");
		}
		else
		{
			isnt($error->{message}, undef, "$method, $name: an error");
			like($error->{context}, qr{Microsoft Graph request: $method /security/alerts_v2/w1\S* \(client-request-id $uuid\)}, "$method, $name: with the id of the request");
		}
		is(comments('once'), $name =~ /closed after|reset|error in 200/ ? 1 : $expected =~ / 200$/ ? 1 : 0, "$method, $name: comments") if $method eq 'POST';
	}
}

# not more often than max_retries says
begin();
$emulator->fault(kind => 'status', code => 503, method => 'PATCH', times => -1);
my $error = $node->error(q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'w1'});
is(join(',', writes()), join(',', ('PATCH w1 503') x 3), 'max_retries: requests');
like($error->{message}, qr/^could not change alert "w1": server "graph" answered with status 503 \(Service Unavailable\)$/, 'max_retries: the error');
like($error->{detail}, qr/It was tried 3 times\.  Of 1 alert it is not known: "w1"\.$/, 'max_retries: its detail');

# nobody there, or nobody who speaks TLS: then a comment is certainly not there
foreach my $endpoint ('http://127.0.0.1:1', 'https://127.0.0.1:' . $emulator->port)
{
	begin();
	$node->set_server(endpoint => $endpoint, max_retries => 1);
	$error = $node->error(q{INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('w1', 'x')});
	like($error->{message}, qr/^could not (?:connect|establish a trusted TLS)/, "$endpoint: the error");
	# what speaks no TLS will not do so a moment later
	$endpoint =~ /^https/ ? unlike($error->{detail} // '', qr/tried/, "$endpoint: not tried again")
	  : like($error->{detail}, qr/^It was tried 2 times\.$/, "$endpoint: tried again");
}
$node->set_server(endpoint => $emulator->url, max_retries => 2);

#------------------------------------------------------------------------------
# Who may
#------------------------------------------------------------------------------

sub log_in_with
{
	my $options = options(@_);

	$node->sql("DROP USER MAPPING FOR CURRENT_USER SERVER graph; CREATE USER MAPPING FOR CURRENT_USER SERVER graph $options");
	return;
}

begin();
log_in_with(%{ $APP{main} }, tenant_id => $TENANT);
$session = $node->session;
$session->query(q{UPDATE defender.alerts SET status = 'inProgress' WHERE id = 'w1'});
$emulator->clear;
$emulator->control('POST', 'tokens/expire');
$session->query(q{INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('w1', 'renewed'), ('w2', 'renewed')});
is(join(',', writes()), 'POST w1 401,POST w1 200,POST w2 200', '401: the token is renewed, once');
is(scalar(grep { m{/token$} } $emulator->requests), 1, '401: one login');
$session->quit;
begin();
$emulator->fault(kind => 'expired_token', method => 'PATCH', times => -1);
$error = $node->error(q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'w1'});
is(join(',', writes()), 'PATCH w1 401,PATCH w1 401', '401 again: an error');
like($error->{message}, qr/status 401/, '401 again: its message');
foreach my $table (qw(alert incident))
{
	begin();
	$emulator->add_incidents({ id => '1', status => 'active', displayName => 'x', createdDateTime => minute(1), lastUpdateDateTime => minute(1) });
	log_in_with(%{ $APP{read_only} }, tenant_id => $TENANT);
	$error = $node->error("UPDATE defender.${table}s SET assigned_to = 'x' WHERE id = '" . ($table eq 'alert' ? 'w1' : 1) . "'");
	is($error->{state}, '42501', "403, $table: SQLSTATE");
	like($error->{hint}, qr/^Grant the application permission Security${\ucfirst $table}\.ReadWrite\.All /, "403, $table: which permission");
}
log_in_with(access_token => 'emulator-access-token');

begin();
$emulator->fault(kind => 'status', code => 404, error => 'ResourceNotFound', method => 'PATCH', path => '/w4');
$error = $node->error(q{UPDATE defender.alerts SET status = 'resolved'});
is(join(',', writes()), 'PATCH w1 200,PATCH w2 200,PATCH w3 200,PATCH w4 404', '404: no further write');
like($error->{message}, qr/^could not change alert "w4": server "graph" answered with status 404 \(Not Found\)$/, '404: which');
like($error->{detail}, qr/  3 alerts were changed before the error: "w1", "w2", "w3"\.$/, '404: what was done');

#------------------------------------------------------------------------------
# Answers
#------------------------------------------------------------------------------

# what is missing is read, once, and only if somebody wants it
my @answers = (
	[ 'no body', { kind => 'no_content' }, 1 ],
	[ 'cut',     { kind => 'cut', after => 50 }, 1 ],
	[ '206',     { kind => 'partial' }, 1 ],
	[ 'a Warning', { kind => 'warning' }, 1 ],
	[ 'broken JSON', { kind => 'malformed' }, 1 ],
	[ 'a damaged gzip', { kind => 'gzip_corrupt' }, 1 ],
	[ 'trickling', { kind => 'trickle', ms => 1, bytes => 50 }, 0 ]);
foreach my $answer (@answers)
{
	my ($name, $fault, $reads) = @$answer;

	begin();
	$emulator->fault(%$fault, method => 'PATCH');
	is($node->result(q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'w3' RETURNING id || status}), 'w3resolved', "$name: RETURNING");
	is(join(',', writes()), $name eq 'no body' ? 'PATCH w3 204' : $name eq '206' ? 'PATCH w3 206' : 'PATCH w3 200', "$name: one PATCH");
	is(scalar(grep { $_ eq "GET $service/w3" } $emulator->requests), 1 + $reads, "$name: GETs");
}

# an alert that is larger than what is received at a time, and one that is too large
begin();
my $large = 'x' x 3_000_000;
$emulator->add_alerts(alert(id => 'large', description => $large, createdDateTime => '2026-01-01T00:00:00Z'));
is($node->result(q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'large' RETURNING status || length(description)}),
	'resolved3000000', 'a large answer');
$node->set_server(max_record_size => '1MB');
$error = $node->error(q{UPDATE defender.alerts SET status = 'new' FROM (VALUES ('large')) AS v(id) WHERE alerts.id = v.id});
like($error->{message}, qr/larger than/, 'an answer that is too large');
$node->set_server(max_record_size => undef);

# a comment whose answer was lost is not sent again, also on a kept connection
begin();
$session = $node->session;
$session->query('SELECT count(*) FROM defender.alerts');
$emulator->clear;
$emulator->fault(kind => 'lost', method => 'POST', nth => 2);
$session->query(q{INSERT INTO defender.alert_comments (alert_id, comment) SELECT 'w' || i, 'never twice' FROM generate_series(1, 3) i});
like($session->{stderr}, qr/ERROR: .*lost the connection/, 'a lost answer: an error');
like($session->{stderr}, qr/DETAIL:  1 comment was added before the error, to alert "w1"\.  One more comment may have been added to alert "w2"\./, 'a lost answer: what is known');
is(join(',', writes()), 'POST w1 200,POST w2 200', 'a lost answer: requests');
is(comments('never twice'), 2, 'a lost answer: comments');
$session->quit;

#------------------------------------------------------------------------------
# How many at once
#------------------------------------------------------------------------------

begin();
$emulator->set_alerts(map { alert(id => "c$_", createdDateTime => minute($_)) } 1 .. 48);
$emulator->settings(latency_ms => 200);
$node->set_server(concurrency => 8);
$node->sql('SELECT 1');
my $started = time;
$node->sql(q{UPDATE defender.alerts SET status = 'resolved'});
my $took = time - $started;
%shared = map { $_->{connection} => 1 } grep { $_->{method} eq 'PATCH' } $emulator->records;
is(scalar(writes()), 48, 'concurrency: writes');
cmp_ok(scalar(keys %shared), '<=', 9, 'concurrency: connections');
cmp_ok($took, '<', 4, 'concurrency: the time of six in turn, and a list') || diag($took);
$node->set_server(concurrency => 1);
$emulator->settings(latency_ms => 0);

# writes of one record keep their order
begin();
$node->set_server(concurrency => 8);
$emulator->fault(kind => 'latency', ms => 300, method => 'POST');
$node->sql(q{INSERT INTO defender.alert_comments (alert_id, comment) SELECT 'w1', 'c' || i FROM generate_series(1, 5) i});
is(join(',', map { $_->{comment} } @{ $json->decode((grep { /"w1"/ } $emulator->alerts)[0])->{comments} }), 'c1,c2,c3,c4,c5', 'order of comments');
$node->set_server(concurrency => 1);

# requests_per_minute counts writes as well; by another name the service is one
# of which nothing was asked, by any session
begin();
$node->set_server(requests_per_minute => 4, endpoint => $emulator->url =~ s/127\.0\.0\.1/localhost/r);
$started = time;
$error = $node->error(q{UPDATE defender.alerts SET status = 'resolved'}, before => q{SET statement_timeout = '1s'});
cmp_ok(time - $started, '<', 3, 'requests_per_minute: it waits, and can be canceled');
is(join(',', writes()), 'PATCH w1 200,PATCH w2 200,PATCH w3 200', 'requests_per_minute: writes');
like($error->{message}, qr/statement timeout/, 'requests_per_minute: the error');
like($error->{detail}, qr/^3 alerts were changed before the error: "w1", "w2", "w3"\.$/, 'requests_per_minute: what was done');
$node->set_server(requests_per_minute => undef, endpoint => $emulator->url);

# an answer is released when it was looked at: each comment says how many writes
# were kept when it was made
begin();
$node->set_server(concurrency => 4);
$node->sql(q{INSERT INTO defender.alert_comments (alert_id, comment) SELECT 'w' || 1 + i % 9,
	(SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'graph_fdw write' AND i > 0) FROM generate_series(1, 100) AS i});
my @kept = map { $_->{comment} } map { @{ $json->decode($_)->{comments} } } $emulator->alerts;
is(scalar(@kept), 100, 'memory: all are there');
cmp_ok((sort { $b <=> $a } @kept)[0], '<=', 8, 'memory: those that were answered are released');
$node->set_server(concurrency => 1);

# TLS, with several at once.  The root says what is to go wrong.
{
	my $certificate = certificate('writes', alternative => 'IP:127.0.0.1', subject => '127.0.0.1');
	my $secure = GraphEmulator->new('--alerts', 9, '--no-sample', '--tls-cert', $certificate->{file}, '--tls-key', $certificate->{key});
	my $fault = MIME::Base64::encode_base64url($json->encode({ match => { method => 'POST', nth => 5 }, times => 1, fault => { kind => 'lost' } }));

	$node->set_server(endpoint => $secure->url . "/fault/$fault", ca_file => $certificate->{file}, concurrency => 4);
	is($node->result(q{WITH u AS (UPDATE defender.alerts SET assigned_to = 'tls' RETURNING assigned_to) SELECT assigned_to, count(*) > 8 FROM u GROUP BY 1}),
		'tls|t', 'TLS: changes');
	$error = $node->error(q{INSERT INTO defender.alert_comments (alert_id, comment) SELECT id, 'once' FROM defender.alerts});
	like($error->{message}, qr/^lost the connection/, 'TLS: an answer that was lost');
	like($error->{detail}, qr/ comments were added before the error, .*One more comment may have been added to alert "[^"]+"\.$/, 'TLS: what is known');
	my ($added) = $error->{detail} =~ /^(\d+) comments/;
	is($node->result(q{SELECT count(*) FROM defender.alert_comments WHERE comment = 'once'}), $added + 1, 'TLS: none is there twice');
	$node->set_server(endpoint => $emulator->url, ca_file => undef, concurrency => 1);
}

#------------------------------------------------------------------------------
# Ends
#------------------------------------------------------------------------------

# a statement that is cut off waits a second at most for what is under way
begin();
$node->set_server(concurrency => 4);
$emulator->fault(kind => 'latency', ms => 4000, method => 'PATCH', path => '/w2');
$emulator->fault(kind => 'latency', ms => 700, method => 'PATCH', path => '/w3');
$started = time;
$error = $node->error(q{UPDATE defender.alerts SET status = 'resolved' WHERE id IN ('w1', 'w2', 'w3')}, before => q{SET statement_timeout = '500ms'});
cmp_ok(time - $started, '<', 3, 'statement_timeout: it is quick');
like($error->{detail}, qr/^2 alerts were changed before the error: "w1", "w3"\.  Of 1 more it is not known: "w2"\.$/, 'statement_timeout: what is known');

# errors that are not the writer's are followed by a warning, once
begin();
$node->set_server(concurrency => 1);
$node->sql(q{CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 'w3' THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$;
	CREATE TRIGGER refuse BEFORE UPDATE ON defender.alerts FOR EACH ROW EXECUTE FUNCTION refuse()});
my $said = outcome(q{UPDATE defender.alerts SET status = 'resolved'});
like($said, qr/ERROR:  not this one/, 'a trigger that refuses: its error');
like($said, qr/WARNING:  changes on server "graph" are not undone\nDETAIL:  2 alerts were changed before the error: "w1", "w2"\./, 'a trigger that refuses: what was done');
is(scalar(() = $said =~ /WARNING/g), 1, 'a trigger that refuses: it is said once');
$node->sql('DROP TRIGGER refuse ON defender.alerts');

# a division by zero in a later row
begin();
$said = outcome(q{UPDATE defender.alerts SET status = CASE WHEN 1 / (ltrim(id, 'w')::int - 4) > 9 THEN 'new' ELSE 'resolved' END});
like($said, qr/ERROR:  division by zero/, 'a later row fails');
like($said, qr/^DETAIL:  3 alerts were changed before the error: "w1", "w2", "w3"\.$/m, 'a later row fails: what was done');
is(scalar(() = $said =~ /WARNING/g), 0, 'a later row fails: it is said once');

# the list that is read fails, or is cut off, while others are under way
begin();
$node->set_server(page_size => 3, concurrency => 4);
$emulator->fault(kind => 'status', code => 403, method => 'GET', nth => 2);
$emulator->fault(kind => 'latency', ms => 500, method => 'PATCH');
$error = $node->error(q{UPDATE defender.alerts SET status = 'resolved'});
like($error->{message}, qr/status 403/, 'the list fails');
like($error->{detail}, qr/  3 alerts were changed before the error: (?:"w[123]"(?:, |\.$)){3}/, 'the list fails: those under way are waited for');
begin();
$emulator->fault(kind => 'stall', method => 'GET', nth => 2);
$error = $node->error(q{UPDATE defender.alerts SET status = 'resolved'}, before => q{SET statement_timeout = '500ms'});
like($error->{message}, qr/statement timeout/, 'the list stalls');
like($error->{detail}, qr/^3 alerts were changed before the error: /, 'the list stalls: what was done');
$node->set_server(page_size => undef, concurrency => 1);

# what a function did before it fails, though that statement of it has ended
begin();
$said = outcome(q{DO $$ BEGIN UPDATE defender.alerts SET status = 'resolved' WHERE id = 'w1'; PERFORM 1 / 0; END $$});
like($said, qr/WARNING:  changes on server "graph" are not undone\nDETAIL:  1 alert was changed before the error: "w1"\./, 'a function that fails later');

# a block: one warning; a savepoint that is rolled back; then it goes on
begin();
$emulator->fault(kind => 'status', code => 404, method => 'PATCH', path => '/w2');
$said = outcome('BEGIN', q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'nobody'}, q{UPDATE defender.alerts SET status = 'new' WHERE id = 'w1'},
	'SELECT $$here$$', q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'w9'}, 'SAVEPOINT s',
	q{UPDATE defender.alerts SET status = 'resolved' WHERE id IN ('w1', 'w2')}, 'ROLLBACK TO s',
	q{UPDATE defender.alerts SET status = 'resolved' WHERE id = 'w8'}, 'COMMIT');
is(scalar(() = $said =~ /WARNING/g), 1, 'a block: one warning') || diag($said);
like($said, qr/WARNING:  changes on server "graph" are not undone by ROLLBACK/, 'a block: which says so');
is(scalar(() = $said =~ /were changed|was changed/g), 1, 'a savepoint: what was done is said once');
is(join(',', grep { !/w2/ } writes()), 'PATCH w9 200,PATCH w1 200,PATCH w8 200', 'a block: writes');
is(outcome(q{UPDATE defender.alerts SET status = 'new' WHERE id = 'w8'}), "\n", 'no block: no warning');

# an exception block in a function
begin();
$said = outcome(q{DO $$ BEGIN
	BEGIN UPDATE defender.alerts SET status = 'resolved' WHERE id = 'w1'; PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
	UPDATE defender.alerts SET status = 'resolved' WHERE id = 'w2'; END $$});
is(scalar(() = $said =~ /1 alert was changed before the error: "w1"/g), 1, 'an exception block: what stays');
is(join(',', writes()), 'PATCH w1 200,PATCH w2 200', 'an exception block: writes');

# two writers and a scan at once
begin();
$node->sql(q{CREATE FUNCTION close_alert(which text) RETURNS text LANGUAGE sql AS
	$$ UPDATE defender.alerts SET status = 'resolved' WHERE id = which RETURNING status $$});
$node->set_server(page_size => 3);
is($node->result(q{SELECT string_agg(close_alert(id), ',') FROM (SELECT id FROM defender.alerts ORDER BY created_date_time DESC OFFSET 0) a}),
	join(',', ('resolved') x 9), 'a writer in a function below a scan');
is(scalar(writes()), 9, 'a writer in a function below a scan: writes');
begin();
is($node->result(q{UPDATE defender.alerts SET classification = 'truePositive' WHERE id < 'w5' AND close_alert(id) = 'resolved'}), '', 'a writer below a writer');
is(scalar(grep { $json->decode($_)->{status} eq 'resolved' && ($json->decode($_)->{classification} // '') eq 'truePositive' } $emulator->alerts), 4, 'a writer below a writer: both took effect');
$node->set_server(page_size => undef);

# the end of the session
begin();
my $log_start = -s $node->logfile;
$emulator->fault(kind => 'latency', ms => 5000, method => 'PATCH', path => '/w3');
$session = $node->session;
$session->query_until(qr/begun/, "\\echo begun\nUPDATE defender.alerts SET status = 'resolved' WHERE id IN ('w1', 'w2', 'w3');\n");
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ 'UPDATE def' AND wait_event_type = 'Extension' AND pid <> pg_backend_pid()}), 'a session waits');
sleep 0.3;
$node->sql(q{SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query ~ 'UPDATE def' AND pid <> pg_backend_pid()});
my $log = substr slurp_file($node->logfile), $log_start;
like($log, qr/FATAL:  terminating connection.*\n.*DETAIL:  2 alerts were changed before the error: "w1", "w2"\.  Of 1 more it is not known: "w3"\./, 'pg_terminate_backend: what is known is in the log');
eval { $session->{run}->kill_kill };

#------------------------------------------------------------------------------
# Counters and secrets
#------------------------------------------------------------------------------

begin();
$session = $node->session;
$emulator->fault(kind => 'status', code => 500, method => 'PATCH');
$session->query(q{UPDATE defender.alerts SET status = 'resolved'});
$session->query(q{INSERT INTO defender.alert_comments (alert_id, comment) VALUES ('w1', 'hush hush')});
is($session->query('SELECT server_name, requests, retries, writes FROM graph_fdw_stats()'), 'graph|12|1|10', 'graph_fdw_stats()');
$session->quit;

$log = slurp_file($node->logfile);
foreach my $secret ('emulator-access-token', $APP{main}{client_secret}, $APP{read_only}{client_secret}, 'hush hush')
{
	is(index($log, $secret), -1, "the log at DEBUG3 has no \"" . substr($secret, 0, 12) . '..."');
}
unlike($log, qr/[\w-]{300,}/, 'nor a token that was issued');

done_testing();
