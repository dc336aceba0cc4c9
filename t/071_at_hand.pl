
# Does a sub-select read the alert that the outer scan has in its hands?
#
# What a row's own alert is looked up for has come with the list already.  Such a
# lookup must make no request, and must give what a lookup would have given,
# however the scans are interleaved.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert evidence);
use Test::More;

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
my $node = GraphCluster->connected_to($emulator);
my $url = $emulator->url . '/at/tenant2';

$emulator->add_alerts(
	map {
		alert(
			id              => ($_ == 7 ? "a7 \x{e4}\"q" : "a$_"),
			title           => "Title $_",
			severity        => (qw(low high))[ $_ % 2 ],
			createdDateTime => sprintf('2026-07-01T%02d:%02d:00Z', $_ / 60, $_ % 60),
			evidence        => [ map { evidence('deviceEvidence', deviceDnsName => "ws-$_") } 1 .. $_ % 4 ],
			comments        => [ map { { comment => "c$_", createdByDisplayName => 'x', createdDateTime => '2026-07-30T00:00:00Z' } } 1 .. $_ % 3 ])
	} 1 .. 60);
$node->sql(<<"SQL");
CREATE SERVER two FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '$url');
CREATE USER MAPPING FOR CURRENT_USER SERVER two OPTIONS (access_token 'emulator-access-token');
CREATE SCHEMA copy;
CREATE TABLE copy.alerts AS TABLE defender.alerts;
CREATE TABLE copy.device_evidence AS TABLE defender.device_evidence;
CREATE TABLE copy.alert_comments AS TABLE defender.alert_comments;
CREATE TABLE copy.elsewhere AS TABLE copy.alert_comments;
IMPORT FOREIGN SCHEMA security LIMIT TO (alert_comments) FROM SERVER two INTO public;
ALTER FOREIGN TABLE public.alert_comments RENAME TO elsewhere;
ALTER FOREIGN TABLE public.elsewhere SET SCHEMA defender;
CREATE TABLE public.few (id text);
INSERT INTO few VALUES ('a1'), ('a2'), ('a3'), ('none');
ANALYZE;
SQL

# name, requests, statement
my @SHAPES = (
	[ 'a count of comments', 1, 'SELECT id, (SELECT count(*) FROM alert_comments AS c WHERE c.alert_id = a.id) FROM alerts AS a' ],
	[ 'a list of comments', 1, 'SELECT id, ARRAY(SELECT comment FROM alert_comments AS c WHERE c.alert_id = a.id) FROM alerts AS a' ],
	[ 'all of its own', 1, 'SELECT id, (SELECT raw FROM alerts AS b WHERE b.id = a.id) FROM alerts AS a' ],
	[ 'two tables', 1, 'SELECT id, (SELECT count(*) FROM alert_comments AS c WHERE c.alert_id = a.id), (SELECT max(device_dns_name) FROM device_evidence AS e WHERE e.alert_id = a.id) FROM alerts AS a' ],
	[ 'a clause', 1, 'SELECT id FROM alerts AS a WHERE (SELECT count(*) FROM alert_comments AS c WHERE c.alert_id = a.id) > 1' ],
	[ 'an alert of evidence', 1, 'SELECT alert_id, ordinal, (SELECT title FROM alerts AS a WHERE a.id = e.alert_id) FROM device_evidence AS e' ],
	[ 'a sub-select below another', 1, 'SELECT id, (SELECT string_agg(x, \',\') FROM (SELECT comment AS x FROM alert_comments AS c WHERE c.alert_id = a.id OFFSET 0) AS s) FROM alerts AS a' ],
	# PostgreSQL reads the other table once, and looks in that.
	[ 'EXISTS', 2, 'SELECT id, EXISTS (SELECT FROM alert_comments AS c WHERE c.alert_id = a.id AND c.comment = \'c2\') FROM alerts AS a WHERE id IS NOT NULL OR title = \'x\'' ],
	[ 'a part of the alerts', 1, q{SELECT id, (SELECT count(*) FROM alert_comments AS c WHERE c.alert_id = a.id) FROM alerts AS a WHERE severity = 'high' AND title <> 'Title 3'} ],
	[ 'lookups, and what they look up', 4, 'SELECT f.id, a.title, (SELECT count(*) FROM alert_comments AS c WHERE c.alert_id = a.id) FROM few AS f JOIN alerts AS a ON a.id = f.id' ],
	[ 'a join of both', 1, 'SELECT a.id, ordinal, (SELECT count(*) FROM alert_comments AS c WHERE c.alert_id = a.id) FROM alerts AS a JOIN device_evidence AS e ON e.alert_id = a.id' ],
	[ 'a sub-select that is a join', 1, 'SELECT id, (SELECT count(*) FROM alert_comments AS c JOIN device_evidence AS e USING (alert_id) WHERE c.alert_id = a.id) FROM alerts AS a' ],
	# Sorted, the scan is at its end, with no alert in its hands.
	[ 'after a sort', undef, 'SELECT id, (SELECT count(*) FROM alert_comments AS c WHERE c.alert_id = a.id) FROM (SELECT id FROM alerts ORDER BY title OFFSET 0) AS a' ],
	# Another tenant's alert of the same id is another alert.
	[ 'another server', 61, 'SELECT id, (SELECT count(*) FROM elsewhere AS c WHERE c.alert_id = a.id) FROM alerts AS a' ],
	# The scan that has the alert goes on while its copy is read.
	[ 'a scan that goes on', undef, q{WITH a AS MATERIALIZED (SELECT id FROM alerts)
		SELECT f.id, e.device_dns_name, (SELECT count(*) FROM a WHERE id > e.device_dns_name) FROM a AS f, LATERAL (SELECT device_dns_name FROM device_evidence AS e WHERE e.alert_id = f.id OFFSET 0) AS e} ],
);

sub sorted
{
	return join "\n", sort split /\n/, $_[0];
}

foreach my $select (qw(true false))
{
	$node->set_server(select_pushdown => $select);
	foreach my $shape (@SHAPES)
	{
		my ($name, $requests, $statement) = @$shape;
		my $expected = $node->sql("SET search_path = copy, public; $statement");

		$emulator->clear;
		is(sorted($node->sql("SET search_path = defender, public; $statement")), sorted($expected), "$name: rows, \$select $select");
		is(scalar(my @found = $emulator->requests), $requests, "$name: requests, \$select $select") if defined $requests;
	}
}
$node->set_server(select_pushdown => undef);

# A cursor that is left open, and another query meanwhile.
my $session = $node->session;
$emulator->clear;
$session->query(<<'SQL');
BEGIN; SET LOCAL search_path = defender;
DECLARE c CURSOR FOR SELECT id, (SELECT count(*) FROM alert_comments AS c WHERE c.alert_id = a.id) FROM alerts AS a ORDER BY created_date_time;
FETCH 1 FROM c;
SQL
is($session->query("SELECT count(*) FROM alert_comments WHERE alert_id = 'a1'"), '1', 'another query');
is($session->query('FETCH 1 FROM c'), 'a2|2', 'the cursor goes on');
is($session->query('FETCH ALL FROM c; ROLLBACK') =~ tr/\n//, 57, 'to the end');
is(scalar(grep { m{/a1$|/a1\?} } $emulator->requests), 1, 'another query asks for itself');

# EXPLAIN ANALYZE says that nothing was asked.
my $plan = $node->sql('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id, (SELECT count(*) FROM defender.alert_comments AS c WHERE c.alert_id = a.id) FROM defender.alerts AS a');
like($plan, qr/SubPlan.*Graph Requests: 0/s, 'EXPLAIN ANALYZE');

done_testing();
