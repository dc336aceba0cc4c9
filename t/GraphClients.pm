
# What the tests of clients have in common.
#
#	my $emulator = GraphClients::service();
#	my $node = GraphClients::database($emulator);		# schemas live, kept, copy, seen
#	$emulator->clear;
#	$node->sql('...');
#	is_deeply([ GraphClients::asked($emulator) ], [ q{?$filter=severity eq 'high'} ]);
#
# The tenant has 2500 alerts, a0001 being the newest: three pages.  Its times
# are in July 2026, and pairwise different.

package GraphClients;

use strict;
use warnings;

use GraphCluster;
use GraphEmulator qw(alert_of_three_pages evidence minute);

# The tables that the tests of clients use.
our @TABLES = qw(alerts alert_evidence device_evidence alert_comments incidents incident_comments);

# The emulator with these alerts, or with the newest of them.
sub service
{
	my ($number) = @_;
	my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');

	$emulator->add_alerts(
		map {
			alert_of_three_pages($_,
				incidentId         => 100 + $_ % 60,
				serviceSource      => (qw(microsoftDefenderForEndpoint microsoftDefenderForIdentity microsoftDefenderForOffice365))[ $_ % 3 ],
				firstActivityDateTime => minute($_),
				resolvedDateTime   => $_ % 10 ? minute($_) =~ s/:00Z/:30Z/r : undef,
				evidence => [
					evidence('deviceEvidence', deviceDnsName => 'ws-' . $_ % 50),
					evidence('userEvidence', userAccount => { accountName => 'u' . $_ % 9 })
				],
				comments => [])
		} 1 .. ($number || 2500));
	return $emulator;
}

# A cluster whose database postgres has the foreign tables in the schema "live",
# copies that the extension has made in "kept", plain tables of the same rows in
# "copy", and views in "seen".
sub database
{
	my ($emulator, %params) = @_;
	my $node = GraphCluster->connected_to($emulator, import => 0, conf => 'fsync = off', %params);
	my $tables = join ', ', @TABLES;

	$node->sql(<<"SQL");
CREATE SCHEMA live;
IMPORT FOREIGN SCHEMA security LIMIT TO ($tables) FROM SERVER graph INTO live;
SQL
	$node->copy_tables('live', 'copy');
	$node->sql(<<"SQL");
SET client_min_messages = warning;
SELECT graph_fdw_create_copy('live', 'kept', since => NULL, tables => '{$tables}');
CALL graph_fdw_refresh_copy('kept');
CREATE SCHEMA seen;
SELECT format('CREATE VIEW seen.%1\$I AS SELECT * FROM live.%1\$I', relname)
FROM pg_class WHERE relnamespace = 'live'::regnamespace AND relkind = 'f' \\gexec
SQL
	$emulator->clear;
	return $node;
}

# Requests without what all have in common: "/a0001", "?$filter=severity eq
# 'low'", "all".  $select, $count and a $top of a whole page are left out.
sub shortened
{
	return map {
		my $text = s/%([0-9A-F]{2})/chr hex $1/gier;

		$text =~ s{^(?:GET )?/v1\.0/security/(?:alerts_v2)?}{};
		$text =~ s/([?&])\$select=[^&]*(&|$)/$2 ? $1 : ''/e;
		$text =~ s/\$count=true&(?=\$top=(?!1$|20$))//;
		$text =~ s/[?&]\$top=1000$//;
		$text eq '' ? 'all' : $text;
	} @_;
}

# The requests since the last time.
sub asked
{
	my ($emulator) = @_;
	my @requests = shortened($emulator->requests);

	$emulator->clear;
	return @requests;
}

# What a query gives with one schema in the search path: its rows in the order of
# their text, or how it fails.
sub rows_of
{
	my ($node, $schema, $query) = @_;
	my (undef, $rows, $errors) = $node->psql('postgres', "SET search_path = $schema, public; SET timezone = 'UTC';\n$query");

	return $errors =~ /ERROR|FATAL/ ? $errors : join "\n", sort split /\n/, $rows;
}

1;
