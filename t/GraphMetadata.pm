
# Which columns does each table of "security" have, and what do they hold?
#
# An answer that owes nothing to the extension: it is read from the files in
# metadata/ and written as SQL over jsonb, for a test to compare with.

package GraphMetadata;

use strict;
use warnings;

use Exporter 'import';
use FindBin;

our @EXPORT_OK = qw(tables);

my %SQL_TYPE = (
	'Edm.Boolean'        => 'boolean',
	'Edm.DateTimeOffset' => 'timestamp with time zone',
	'Edm.Double'         => 'double precision',
	'Edm.Guid'           => 'uuid',
	'Edm.Int32'          => 'integer',
	'Edm.Int64'          => 'bigint');

# Columns by which people join to tables of their own, and the paths at which
# the types of evidence have them; the first that is there counts.
my %JOIN = (
	account_name => 'userAccount/accountName account/userAccount/accountName',
	azure_ad_device_id => 'azureAdDeviceId host/azureAdDeviceId',
	azure_ad_user_id =>
	  'userAccount/azureAdUserId account/userAccount/azureAdUserId',
	device_dns_name => 'deviceDnsName host/deviceDnsName',
	domain_name => 'domainName activeDirectoryDomainName'
	  . ' userAccount/domainName account/userAccount/domainName',
	file_name     => 'fileDetails/fileName imageFile/fileName',
	file_path     => 'fileDetails/filePath imageFile/filePath',
	host_name     => 'hostName host/hostName',
	ip_address    => 'ipAddress/ipAddress ipAddress podIp/ipAddress'
	  . ' clusterIP/ipAddress lastIpAddress host/lastIpAddress'
	  . ' pod/podIp/ipAddress',
	mde_device_id           => 'mdeDeviceId host/mdeDeviceId',
	primary_address         => 'primaryAddress mailboxPrimaryAddress',
	process_command_line    => 'processCommandLine',
	process_id              => 'processId',
	recipient_email_address => 'recipientEmailAddress recipient',
	registry_key            => 'registryKey',
	sender_ip               => 'senderIp senderIP',
	sha1                    => 'fileDetails/sha1 imageFile/sha1',
	sha256                  => 'fileDetails/sha256 imageFile/sha256',
	url                     => 'url',
	user_principal_name     => 'userAccount/userPrincipalName upn'
	  . ' account/userAccount/userPrincipalName',
	user_sid => 'userAccount/userSid account/userAccount/userSid');

# Properties of the alert or incident that a row of evidence or comments repeats.
my %PARENT = (
	incident_created_date_time     => 'createdDateTime',
	incident_display_name          => 'displayName',
	incident_last_update_date_time => 'lastUpdateDateTime',
	incident_severity              => 'severity',
	incident_status                => 'status',
	alert_created_date_time     => 'createdDateTime',
	alert_last_update_date_time => 'lastUpdateDateTime',
	alert_service_source        => 'serviceSource',
	alert_severity              => 'severity',
	alert_status                => 'status',
	alert_title                 => 'title',
	incident_id                 => 'incidentId');

my $TYPE_NAME = q{substring(e->>'@odata.type' from '[^.]*$')};

my %own;    # properties that a type declares, "alert" and "incident" being two

# Rows of a CSV file, as hashes.  Only the last column, a sentence, may have
# quotes and commas; nobody here wants it.
sub read_csv
{
	my ($name) = @_;
	open my $file, '<', "$FindBin::RealBin/../metadata/$name"
	  or die "$name: $!";
	my ($header, @lines) = map { s/\r?\n//r } <$file>;
	my @names = split /,/, $header;

	return map { my %row; @row{@names} = split /,/, $_, -1; \%row } @lines;
}

foreach my $row (
	(map { { %$_, type => 'alert' } } read_csv('alert-properties.csv')),
	(map { { %$_, type => 'incident' } } grep { $_->{isNavigation} ne 'true' } read_csv('incident-properties.csv')),
	read_csv('complex-types.csv'),
	read_csv('evidence-types.csv'))
{
	my $type = $row->{type};

	s/^microsoft\.graph\.security\.// foreach $type, $row->{edmType};
	$own{$type} //= [];
	push @{ $own{$type} }, $row if $row->{property} ne '';
}
my @evidence_types =
  sort grep { /Evidence$/ && $_ ne 'alertEvidence' } keys %own;

# All properties of a type, those of the base of all evidence first.
sub properties
{
	my ($type) = @_;
	my $base = (grep { $_ eq $type } @evidence_types) ? 'alertEvidence' : undef;

	return ($base ? @{ $own{$base} } : (), @{ $own{$type} });
}

# deviceDnsName is device_dns_name, externalIPs is external_ips
sub snake
{
	my ($name) = @_;

	$name =~ s/([a-z0-9])([A-Z])/$1_$2/g;
	$name =~ s/([A-Z])([A-Z][a-z])(?!$)/$1_$2/g;
	return lc $name;
}

# The column of a property, as name, type and expression.  $object is what has
# the value that $outer is the name of, if that is given.
sub column_of
{
	my ($property, $object, $outer) = @_;
	my $name = snake($property->{property});
	my $path = $property->{property};
	my $type = $SQL_TYPE{ $property->{edmType} } // 'text';

	if ($outer)
	{
		$name = snake($outer) . "_$name";
		$path = "$outer,$path";
	}
	return [ $name, 'jsonb', "NULLIF($object #> '{$path}', 'null')" ]
	  if $property->{typeKind} eq 'complex';
	return [ $name, "${type}[]", "elements($object #> '{$path}')::${type}[]" ]
	  if $property->{isCollection} eq 'true';
	return [ $name, $type, "($object #>> '{$path}')::$type" ];
}

# Those of a type's properties, nested ones flattened one level.
sub columns_of
{
	my ($type, $object) = @_;
	my @columns;

	foreach my $property (properties($type))
	{
		push @columns, column_of($property, $object);
		next
		  if $property->{typeKind} ne 'complex'
		  || $property->{isCollection} eq 'true';
		push @columns, map { column_of($_, $object, $property->{property}) }
		  properties($property->{edmType});
	}
	return @columns;
}

sub join_column
{
	my ($name) = @_;
	my $type  = $name eq 'process_id' ? 'bigint' : 'text';
	my $tries = join ', ',
	  map { "scalar(e #> '{" . s{/}{,}gr . "}')" } split / /, $JOIN{$name};

	return [ $name, $type, "COALESCE($tries)::$type" ];
}

sub parent_column
{
	my ($name) = @_;
	my $type =
	  $name =~ /date_time$/ ? 'timestamp with time zone' : 'text';

	return [ $name, $type, "(a->>'$PARENT{$name}')::$type" ];
}

# The tables: for each name its source, a FROM clause that has the alert or
# incident as "a" and an element as "e" with its place "o", and its columns, each a name, a
# type and an expression.
sub tables
{
	my @place =
	  ([ 'alert_id', 'text', q{a->>'id'} ], [ 'ordinal', 'integer', 'o' ]);
	my @incident_place =
	  ([ 'incident_id', 'text', q{a->>'id'} ], [ 'ordinal', 'integer', 'o' ]);
	my @parent =
	  map { parent_column($_) } grep { /^alert_|^incident_id$/ } keys %PARENT;
	my @incident_parent =
	  map { parent_column($_) } grep { /^incident_/ && $_ ne 'incident_id' } keys %PARENT;
	my @common = columns_of('alertEvidence', 'e');
	my @raw = [ 'raw', 'jsonb', 'e' ];

	return (
		alerts => [
			'source.alert', columns_of('alert', 'a'), [ 'raw', 'jsonb', 'a' ]
		],
		incidents => [
			'source.incident', columns_of('incident', 'a'), [ 'raw', 'jsonb', 'a' ]
		],
		incident_comments => [
			'source.comments_of_incident', @incident_place,
			columns_of('alertComment', 'e'), @incident_parent, @raw
		],
		alert_comments => [
			'source.comments', @place, columns_of('alertComment', 'e'),
			@parent, @raw
		],
		alert_evidence => [
			'source.evidence', @place,
			[ 'evidence_type', 'text', $TYPE_NAME ], @common,
			(map { join_column($_) } keys %JOIN), @parent, @raw
		],
		map {
			snake($_) => [
				"source.evidence WHERE $TYPE_NAME = '$_'",
				@place, columns_of($_, 'e'), @parent, @raw
			]
		} @evidence_types);
}

1;
