
# Incidents that sit on every edge, with the alerts that belong to them, and
# copies of both that owe nothing to the extension.
#
#	my $data = GraphIncidents->new(2000, 900);
#	$data->write($folder);                    # alerts.jsonl, incidents.jsonl
#	$node->sql($data->source_sql($folder) . copy_sql('copy', 'incidents', ...));
#
# They are the same in every run.  Incidents "1" to "2000": the first is the
# newest.  Alerts are of the first incidents, more or fewer of each, and 230 of
# incident "1900".

package GraphIncidents;

use strict;
use warnings;
use utf8;

use Exporter 'import';
use GraphEmulator qw(evidence);
use GraphMetadata qw(tables);
use GraphQueries;
use JSON::PP;
use PostgreSQL::Test::Utils;

our @EXPORT_OK = qw(copy_sql);

my $json = JSON::PP->new->utf8->canonical;
my @STATUS = qw(active active active inProgress resolved resolved redirected awaitingAction);
my @SEVERITY = qw(informational low medium medium high high);
my @PEOPLE = ('adele@contoso.test', 'Adele@contoso.test', "o'brien\@contoso.test", 'Zoë Núñez', '山田 太郎', '');
my @TAGS = ([], [], ['Ransomware'], [ 'VIP', "it's" ], [ 'späť', '"', 'a,b', '{}' ], undef);

sub new
{
	my ($class, $incidents, $alerts) = @_;
	my $self = bless { chance => GraphQueries->new(14) }, $class;

	$self->{incidents} = [ map { $self->incident($_) } 1 .. $incidents ];
	$self->{alerts} = [ map { $self->alert($_) } 1 .. $alerts ];

	# one has more than a page
	push @{ $self->{alerts} }, map { +{ %{ $self->alert($alerts + $_) }, id => sprintf('many%03d', $_), incidentId => '1900' } } 1 .. 230;
	return $self;
}

# So many minutes before the last one, with all digits of a tick; some are equal.
sub time_of
{
	my ($self, $number, $ticks) = @_;
	my $minute = 44_000 - $number;

	return sprintf '2026-07-%02dT%02d:%02d:%02d.%s', 1 + int($minute / 1440), int($minute / 60) % 24, $minute % 60, $ticks % 60,
	  (sprintf('%07d', $ticks % 10_000_000) =~ s/0+$//r || '0') . 'Z';
}

sub incident
{
	my ($self, $number) = @_;
	my $chance = $self->{chance};
	my %incident = (
		id                 => "$number",
		tenantId           => '11111111-2222-3333-4444-555555555555',
		displayName        => $chance->pick('Ransomware', "it's \"one\"", 'Über', "two\nlines", '') . " $number",
		status             => $chance->pick(@STATUS),
		severity           => $chance->pick(@SEVERITY),
		classification     => $chance->pick('truePositive', 'falsePositive', 'unknown', undef),
		determination      => $chance->pick('malware', 'phishing', 'other', undef, undef),
		assignedTo         => $chance->pick(@PEOPLE, undef, undef),
		createdDateTime    => $self->time_of($number % 40 == 7 ? $number - 1 : $number, $number % 40 == 7 || $number % 40 == 6 ? 5 : $chance->pick_number(90_000_000)),
		lastUpdateDateTime => $chance->chance(90) ? $self->time_of(int($number / 3), $chance->pick(0, 5, 9_999_995)) : undef,
		incidentWebUrl     => "https://security.microsoft.com/incidents/$number?tid=x",
		redirectIncidentId => undef,
		customTags         => $chance->pick(@TAGS),
		systemTags         => $chance->pick(@TAGS),
		description        => $chance->pick(undef, 'x' x 300, "tab\there"),
		summary            => $chance->pick(undef, '<b>what happened</b>'),
		lastModifiedBy     => $chance->pick(undef, 'Microsoft 365 Defender'),
		resolvingComment   => undef,
		comments           => [ map { {
			'@odata.type' => '#microsoft.graph.security.alertComment', comment => $chance->pick('ok', 'déjà vu', undef),
			createdByDisplayName => $chance->pick(@PEOPLE), createdDateTime => $self->time_of($number, $_) } } 1 .. $chance->pick(0, 0, 0, 1, 3) ]);

	# what came later, what nobody knows, what is written otherwise, what was merged
	$incident{priorityScore} = $chance->pick(0, 17, 100, undef) if $chance->chance(80);
	$incident{assignedGroup} = { name => 'new' } if $chance->chance(5);
	$incident{ $chance->pick(qw(status severity determination)) } = $chance->pick(qw(unknownFutureValue escalated)) if $chance->chance(3);
	if ($number % 31 == 0)
	{
		my $name = $chance->pick(qw(status severity classification));
		$incident{$name} = $chance->chance(60) ? ucfirst $incident{$name} : uc $incident{$name} if defined $incident{$name};
	}
	@incident{qw(status redirectIncidentId)} = ('redirected', $number + 1 . '') if $number % 50 == 3;
	delete $incident{ $chance->pick(qw(customTags comments description summary determination)) } if $chance->chance(10);
	return \%incident;
}

sub alert
{
	my ($self, $number) = @_;
	my $chance = $self->{chance};
	my $incident = $chance->chance(92) ? '' . (1 + int($number / $chance->pick(3, 5))) : undef;

	return {
		id                 => sprintf('ia%04d', $number),
		incidentId         => $incident,
		title              => $chance->pick('Alert one', "L'alerte", 'Über'),
		status             => $chance->pick(qw(new inProgress resolved)),
		severity           => $chance->pick(@SEVERITY),
		serviceSource      => $chance->pick(qw(microsoftDefenderForEndpoint microsoft365Defender)),
		classification     => undef,
		assignedTo         => $chance->pick(@PEOPLE, undef),
		createdDateTime    => $self->time_of($number, $number % 3 ? $chance->pick_number(90_000_000) : 5),
		lastUpdateDateTime => $self->time_of(int($number / 4), 5),
		comments           => [ map { { comment => "c$_", createdByDisplayName => 'Adele', createdDateTime => $self->time_of($number, $_) } } 1 .. $chance->pick(0, 0, 1, 2) ],
		evidence           => [ map {
			$chance->chance(60)
			  ? evidence('deviceEvidence', deviceDnsName => 'ws-' . $chance->pick_number(40) . '.contoso.test', riskScore => $chance->pick(qw(low high)))
			  : evidence('userEvidence', userAccount => { accountName => $chance->pick('adele', "o'brien", 'Zoë') })
		} 1 .. $chance->pick(0, 1, 1, 2, 4) ]
	};
}

# The records as JSON texts.
sub texts { my ($self, $kind) = @_; return map { $json->encode($_) } @{ $self->{$kind} } }

# A file of each kind in a folder, a record on a line.
sub write
{
	my ($self, $folder) = @_;
	foreach my $kind (qw(alerts incidents))
	{
		unlink "$folder/$kind.jsonl";
		append_to_file("$folder/$kind.jsonl", join '', map { "$_\n" } $self->texts($kind));
	}
	return;
}

# Their documents, and what is inside them, in the schema "source".
sub source_sql
{
	my ($self, $folder) = @_;
	return <<"SQL";
CREATE SCHEMA source;
SET search_path = source;
CREATE FUNCTION elements_of(a jsonb, name text, OUT jsonb, OUT bigint)
RETURNS SETOF record LANGUAGE sql IMMUTABLE AS \$\$
	SELECT * FROM jsonb_array_elements(CASE jsonb_typeof(a->name) WHEN 'array' THEN a->name END) WITH ORDINALITY \$\$;
CREATE FUNCTION elements(a jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS \$\$
	SELECT CASE jsonb_typeof(a) WHEN 'array' THEN ARRAY(SELECT t FROM jsonb_array_elements_text(a) WITH ORDINALITY AS e(t, o) ORDER BY o) END \$\$;
CREATE FUNCTION scalar(a jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS \$\$ SELECT CASE WHEN jsonb_typeof(a) <> 'object' THEN a #>> '{}' END \$\$;
CREATE TABLE alert (a jsonb);
\\copy alert from '$folder/alerts.jsonl' with (format csv, quote e'\\x01', delimiter e'\\x02')
CREATE TABLE incident (a jsonb);
\\copy incident from '$folder/incidents.jsonl' with (format csv, quote e'\\x01', delimiter e'\\x02')
CREATE TABLE evidence AS SELECT a - '{evidence,comments}'::text[] AS a, e, o::integer FROM alert, elements_of(a, 'evidence') AS t(e, o);
CREATE TABLE comments AS SELECT a - '{evidence,comments}'::text[] AS a, e, o::integer FROM alert, elements_of(a, 'comments') AS t(e, o);
CREATE TABLE comments_of_incident AS SELECT a, e, o::integer FROM incident, elements_of(a, 'comments') AS t(e, o);
SQL
}

# Tables of the import as local ones, made of these documents as the metadata says.
sub copy_sql
{
	my ($schema, @names) = @_;
	my %table = tables();
	my $sql = "CREATE SCHEMA $schema;\n";

	foreach my $name (@names)
	{
		my ($from, @columns) = @{ $table{$name} };
		my $list = join ', ', map { qq{$_->[2] AS "$_->[0]"} } @columns;
		$sql .= "CREATE TABLE $schema.$name AS SELECT $list FROM $from; ANALYZE $schema.$name;\n";
	}
	return "SET search_path = source;\n${sql}RESET search_path;\n";
}

1;
