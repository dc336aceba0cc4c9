
# Alerts that sit on every edge, and random queries about them.
#
#	my $queries = GraphQueries->new(42);
#	$emulator->add_alerts($queries->alerts);
#	my $query = $queries->next;
#
# A query names its tables without a schema, so that the same text runs over
# the foreign tables and over copies of them.  It is a hash of "settings"
# (statements that come before), "statements" (the last of which, or all, give
# rows) and "text" (all of it, to be shown).  Rows are to be compared without
# regard to their order; where a LIMIT could choose between equals, the query
# is written so that every choice gives the same rows.
#
# The same seed gives the same queries.

package GraphQueries;

use strict;
use warnings;
use utf8;

use GraphEmulator qw(alert evidence);

# Words of the enums: members, new ones behind the Prefer header, and none.
my %ENUM = (
	severity => [qw(unknown informational low medium high unknownFutureValue)],
	status   => [qw(unknown new inProgress resolved unknownFutureValue)],
	incident_status => [qw(active inProgress resolved redirected awaitingAction unknownFutureValue Active RESOLVED)],
	classification => [
		qw(unknown falsePositive truePositive informationalExpectedActivity
		  unknownFutureValue)
	],
	determination => [
		qw(unknown apt malware phishing other multiStagedAttack notMalicious
		  unknownFutureValue)
	],
	service_source => [
		qw(unknown microsoftDefenderForEndpoint microsoft365Defender
		  dataLossPrevention microsoftSentinel microsoftDefenderForCloud
		  microsoftSecurityForAI unknownFutureValue)
	]);
my @NO_MEMBER = (
	'LOW', 'High', 'newest', '', ' ', 'low ', "lo'w", "''", 'low%', 'l_w',
	'ünbekannt', 'lo\\w', 'x' x 300, '1', 'null', "low' or severity ne 'x",
	"tab\there", "line\nend", '日本', '🦊', 'a&b=c#d+e');

my @PEOPLE = (
	'adele@contoso.test', 'Adele@contoso.test', 'ADELE@CONTOSO.TEST',
	"o'brien\@contoso.test", "o''brien\@contoso.test", 'straße', 'STRASSE',
	'strasse', 'Zoë Núñez', "Zoe\x{308} Nu\x{301}n\x{303}ez", 'İstanbul',
	'istanbul', '山田 太郎', 'Robin 🦊 Fuchs', ' leading', 'trailing ', '', "'",
	'a+b@contoso.test', '100%', 'back\\slash', "new\nline", 'null', 'low');

# Times around which alerts are made: on a microsecond, halfway between two,
# at the ends of seconds, days, years, and of what can be said.
my @TIMES = (
	(map { "2026-07-20T10:00:00${_}Z" } '', qw(.0000004 .0000005 .0000006
		.000001 .0000014 .0000015 .0000016 .000002 .0000025 .9999994 .9999995
		.9999999)),
	'2026-07-20T10:00:01Z', '2021-04-27T12:19:27.7211305Z',
	'2021-04-27T12:19:27.7211315Z', '2021-04-27T12:19:27.721131Z',
	'2026-07-19T22:00:00Z', '2026-07-19T21:59:59.9999995Z',
	'2026-07-20T00:00:00Z', '2026-07-19T23:59:59.9999994Z',
	'2026-03-29T00:59:59.9999999Z', '2026-03-29T01:00:00Z',
	'2026-10-25T00:30:00Z', '2026-10-25T01:30:00.5Z',
	'1999-12-31T23:59:59.9999995Z', '2000-01-01T00:00:00.0000005Z',
	'1969-12-31T23:59:59.9999999Z', '2026-07-20T10:00:00.0004995Z',
	'2026-07-20T10:00:00.0005Z', '2026-07-20T10:00:00.5Z',
	'0001-01-01T00:00:00Z', '0001-01-01T00:00:00.0000004Z',
	'9999-12-31T23:59:59.9999999Z', '9999-12-31T23:59:59.999999Z');

# Times that no alert has.
my @NO_TIMES = (
	'infinity', '-infinity', '0044-03-15 12:00:00+00 BC',
	'4713-01-01 00:00:00+00 BC', '0001-12-31 23:59:59.999999+00 BC',
	'10000-01-01 00:00:00+00', '10000-01-01 00:00:00.000001+00',
	'294276-12-31 23:59:59.999999+00', '2026-07-20 12:34:56.7+00', 'epoch');

my @HOSTS = ('ws-0001.contoso.test', 'WS-0001.contoso.test', "o'host", 'höst',
	'ws-0002.contoso.test', '');
my @ZONES = ('UTC', 'UTC', 'Europe/Berlin', 'America/New_York',
	'Asia/Kathmandu', 'Pacific/Kiritimati', '-11');

#------------------------------------------------------------------------------
# Chance
#------------------------------------------------------------------------------

sub new
{
	my ($class, $seed) = @_;
	my $self = bless { state => 88172645463325252 ^ ($seed * 2654435761 + 1) },
	  $class;

	$self->chance foreach 1 .. 20;
	return $self;
}

# A number from 0 to n - 1: xorshift, so that it is the same for every perl.
sub pick_number
{
	my ($self, $n) = @_;
	my $x = $self->{state};

	{
		no warnings 'overflow';
		$x ^= $x << 13;
		$x ^= $x >> 7;
		$x ^= $x << 17;
	}
	$self->{state} = $x;
	return ($x >> 11) % $n;
}

sub chance
{
	my ($self, $percent) = @_;
	return $self->pick_number(100) < ($percent // 50);
}

sub pick
{
	my ($self, @choices) = @_;
	return $choices[ $self->pick_number(scalar @choices) ];
}

# Call the method that is picked; those that come twice are likelier.
sub pick_method
{
	my ($self, $names, @arguments) = @_;
	my $method = $self->pick(@$names);
	return $self->$method(@arguments);
}

#------------------------------------------------------------------------------
# Data
#------------------------------------------------------------------------------

# Alerts for the service to have, the same ones for every seed.
sub alerts
{
	my ($self) = @_;
	my $chance = GraphQueries->new(7);
	return map { $chance->random_alert($_) } 1 .. 170;
}

# And incidents: those of the alerts, and more.  They have an enum's members in
# any case, too.
sub incidents
{
	my ($self) = @_;
	my $chance = GraphQueries->new(8);
	return map { $chance->random_incident($_) } 1 .. 70;
}

sub random_incident
{
	my ($self, $number) = @_;
	my %incident = (
		id                 => "$number",
		createdDateTime    => $self->chance(60) ? sprintf('2026-07-%02dT%02d:%02d:%02d.%07dZ', $self->pick(18 .. 22), map { $self->pick_number($_) } 24, 60, 60, 10_000_000) : $self->pick(@TIMES),
		lastUpdateDateTime => $self->chance(90) ? $self->pick(@TIMES) : undef,
		displayName        => $self->pick('Incident one', 'incident two', "L'incident", undef),
		assignedTo         => $self->chance(80) ? $self->pick(@PEOPLE) : undef,
		status             => $self->pick(@{ $ENUM{incident_status} }, qw(active active inProgress resolved)),
		redirectIncidentId => $self->chance(20) ? '' . (1 + $self->pick_number(80)) : undef,
		customTags         => $self->pick([], ['x'], [ "it's", 'ü' ], undef),
		comments           => [ map { {
			comment => $self->pick('ok', "it's", 'déjà vu', undef), createdByDisplayName => $self->pick(@PEOPLE),
			createdDateTime => $self->pick(@TIMES) } } 1 .. $self->pick(0, 0, 1, 3) ]);

	foreach my $name (qw(severity classification determination))
	{
		my $member = $self->pick(@{ $ENUM{$name} }, (@{ $ENUM{$name} })[ 1 .. 3 ]);
		$incident{$name} = $self->chance(5) ? ucfirst $member : $self->chance(3) ? uc $member : $member;
		$incident{$name} = undef if $name ne 'severity' && $self->chance(30);
	}
	delete $incident{ $self->pick(qw(comments classification customTags)) } if $self->chance(10);
	return \%incident;
}

# The id of an incident that alerts may have, and of one that may not be there.
sub any_owner
{
	my ($self) = @_;
	return $self->pick(map({ $_ } 1 .. 30), 1, 2, 3, 65, 99, '', 'x', "1'", '1 ', '0001');
}

# Ids that are asked for; not all are there.
sub ids
{
	return (
		(map { sprintf 'qa%03d', $_ } 1 .. 30),
		'da637578995287051192_756343937', 'QA001', 'qa1', 'qa001 ', '',
		"qa'x", 'qa/1', 'qä', 'qa%30', 'a b', '..', 'x' x 2000);
}

sub random_alert
{
	my ($self, $number) = @_;
	my %alert = (
		id              => sprintf('qa%03d', $number),
		createdDateTime => $self->pick(@TIMES),
		title           => $self->pick('Alert one', 'alert two', "L'alerte"));

	foreach my $name (qw(severity status classification determination
		service_source))
	{
		my @members = @{ $ENUM{$name} };
		$alert{ $name =~ s/_(.)/\U$1/r } =
		  $self->pick(@members, @members[ 1 .. 3 ]);
	}
	foreach my $name (qw(classification determination))
	{
		$alert{$name} = undef if $self->chance(30);
		delete $alert{$name} if $self->chance(10);
	}
	$alert{assignedTo} = $self->pick(@PEOPLE) if $self->chance(80);
	$alert{assignedTo} = undef if $self->chance(15);
	$alert{lastUpdateDateTime} = $self->pick(@TIMES) if $self->chance(90);
	$alert{firstActivityDateTime} = $self->pick(@TIMES) if $self->chance(70);
	$alert{category} = $self->pick('Malware', 'Impact', undef);
	$alert{incidentId} = $self->pick('1', '2', '3', map({ "$_" } 4 .. 40), undef, undef);
	$alert{evidence} = [ map { $self->random_evidence } 1 .. $self->pick_number(4) ];
	$alert{comments} = [
		map {
			{
				comment => $self->pick('ok', "it's", 'déjà vu', undef),
				createdByDisplayName => $self->pick(@PEOPLE),
				createdDateTime      => $self->pick(@TIMES)
			}
		} 1 .. $self->pick(0, 0, 1, 2)
	];
	return alert(%alert);
}

sub random_evidence
{
	my ($self) = @_;
	my %common = (
		createdDateTime => $self->pick(@TIMES),
		verdict         => $self->pick(qw(unknown suspicious malicious)));

	return $self->chance(60)
	  ? evidence(
		'deviceEvidence', %common,
		deviceDnsName => $self->pick(@HOSTS, undef),
		hostName      => $self->pick(@HOSTS, 'low'),
		riskScore     => $self->pick(qw(low medium high)))
	  : $self->chance(50)
	  ? evidence('ipEvidence', %common, ipAddress => $self->pick('10.0.0.1', '::1'))
	  : evidence('userEvidence', %common,
		userAccount => { accountName => $self->pick(@PEOPLE) });
}

# Columns of types and collations that are not those of the import: each a
# name, a type, and the property.
my @ODD_COLUMNS = (
	[ id          => 'varchar(3000)',              'id' ],
	[ id_text     => 'text',                       'id' ],
	[ id_c        => 'text COLLATE "C"',           'id' ],
	[ id_ci       => 'text COLLATE common.ci',     'id' ],
	[ sev         => 'varchar(40)',                'severity' ],
	[ sev_c       => 'text COLLATE "C"',           'severity' ],
	[ sev_ci      => 'text COLLATE common.ci',     'severity' ],
	[ sev_pad     => 'char(20)',                   'severity' ],
	[ sev_name    => 'name',                       'severity' ],
	[ stat_enum   => 'common.status_type',         'status' ],
	[ stat_domain => 'common.word',                'status' ],
	[ who         => 'varchar',                    'assignedTo' ],
	[ who_ci      => 'text COLLATE common.ci',     'assignedTo' ],
	[ made        => 'timestamp(3) with time zone', 'createdDateTime' ],
	[ made_0      => 'timestamp(0) with time zone', 'createdDateTime' ],
	[ made_local  => 'timestamp',                  'createdDateTime' ],
	[ made_day    => 'date',                       'createdDateTime' ],
	[ made_text   => 'text',                       'createdDateTime' ],
	[ made_domain => 'common.moment',              'createdDateTime' ],
	[ changed     => 'timestamptz',                'lastUpdateDateTime' ],
	[ other       => 'text',                       'assignedTo|title' ]);

# Types, collations and a small table of one's own.
sub common_sql
{
	my $status = join ', ', map { "'$_'" } @{ $ENUM{status} };
	my $sql = <<"SQL";
CREATE SCHEMA common;
CREATE COLLATION common.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE common.status_type AS ENUM ($status);
CREATE DOMAIN common.word AS text;
CREATE DOMAIN common.moment AS timestamptz;
CREATE TABLE common.w (n integer, key text, sev text, stat varchar, who text,
	at timestamptz, day date, ts timestamp, host text, keys text[], sevs text[],
	times timestamptz[], inc text, incs varchar[]);
INSERT INTO common.w VALUES
	(1, 'qa001', 'low', 'new', 'adele\@contoso.test', '2026-07-20 10:00:00Z', '2026-07-20', '2026-07-20 10:00', 'ws-0001.contoso.test', '{qa001,qa002}', '{low,high}', '{2026-07-20 10:00:00Z,2026-07-20 10:00:01Z}', '1', '{1,2}'),
	(2, 'qa002', 'high', 'resolved', 'stra\x{df}e', '2026-07-20 10:00:00.000001Z', '2026-07-19', '2026-07-19 22:00', 'ws-0001.contoso.test', '{qa001,NULL}', '{NULL,low}', '{infinity,NULL}', '2', '{3,NULL,3}'),
	(3, 'qa002', 'medium', NULL, NULL, '2021-04-27 12:19:27.721131Z', NULL, NULL, NULL, '{}', '{}', '{}', '2', '{}'),
	(4, 'none', 'LOW', 'NEW', 'Adele\@contoso.test', 'infinity', 'infinity', 'infinity', 'h\x{f6}st', NULL, NULL, NULL, '99', NULL),
	(5, NULL, NULL, 'inProgress', '', NULL, '2026-03-29', '2026-03-29 02:30', '', '{NULL}', '{NULL}', '{NULL}', NULL, '{NULL}'),
	(6, 'qa010', 'unheard', 'new', 'o''brien\@contoso.test', '9999-12-31 23:59:59.999999Z', '10000-01-01', '9999-12-31 23:59:59.999999', 'o''host', '{qa010,qa011,qa012,zz}', '{unheard,low}', '{9999-12-31 23:59:59.999999Z}', '7', '{5,99,x}'),
	(7, 'qa010', 'low', 'new', 'null', '2000-01-01 00:00:00Z', '0044-03-15 BC', '2000-01-01', 'ws-0002.contoso.test', '{"",..,qa020}', '{"lo''w",low}', '{-infinity,2000-01-01 00:00:00Z}', '', '{40,39,38,37,36,35}');
ANALYZE common.w;
SQL
	utf8::encode($sql);
	return $sql;
}

# The odd columns as a foreign table of the server, or as a copy.
sub odd_table_sql
{
	my ($self, $schema, $server) = @_;
	my $columns = join ', ', map {
		my ($name, $type, $property) = @$_;
		my $collation = $type =~ s/( COLLATE .*)// ? $1 : '';
		"$name $type OPTIONS (property '$property')$collation"
	} @ODD_COLUMNS;
	return "CREATE FOREIGN TABLE $schema.odd_alerts ($columns) SERVER $server";
}

sub odd_copy_sql
{
	my ($self, $schema) = @_;
	my $columns = join ', ', map { "$_->[0] $_->[1]" } @ODD_COLUMNS;
	my $values  = join ', ', map {
		my ($name, $type, $property) = @$_;
		my $text = join ', ', map { "a->>'$_'" } split /\|/, $property;
		"(COALESCE($text))::" . $type =~ s/ COLLATE .*//r
	} @ODD_COLUMNS;
	return "CREATE TABLE $schema.odd_alerts ($columns);"
	  . " INSERT INTO $schema.odd_alerts SELECT $values FROM source.alert;";
}

#------------------------------------------------------------------------------
# Tables: for each kind of value the columns that have it
#------------------------------------------------------------------------------

my %TABLE = (
	alerts => {
		key  => ['id'],
		word => [qw(severity status classification determination service_source)],
		text => [qw(assigned_to assigned_to title category incident_id)],
		owner => ['incident_id'],
		time => [
			qw(created_date_time created_date_time last_update_date_time
			  first_activity_date_time)
		],
		shown => [qw(severity status assigned_to created_date_time title
			  classification last_update_date_time mitre_techniques)]
	},
	alert_evidence => {
		owner => ['incident_id'],
		key  => ['alert_id'],
		word => [qw(alert_severity alert_status alert_service_source)],
		text => [qw(verdict evidence_type device_dns_name account_name
			  ip_address alert_title)],
		time => [qw(alert_created_date_time alert_last_update_date_time
			  created_date_time)],
		shown => [qw(ordinal evidence_type alert_severity host_name)],
		order => 'ordinal'
	},
	device_evidence => {
		owner => ['incident_id'],
		key  => ['alert_id'],
		word => [qw(alert_severity alert_status alert_service_source)],
		text => [qw(device_dns_name device_dns_name host_name risk_score
			  verdict incident_id)],
		time => [qw(alert_created_date_time alert_last_update_date_time
			  created_date_time)],
		shown => [qw(ordinal device_dns_name alert_status risk_score)],
		order => 'ordinal'
	},
	alert_comments => {
		owner => ['incident_id'],
		key   => ['alert_id'],
		word  => [qw(alert_severity alert_status alert_service_source)],
		text  => [qw(comment created_by_display_name alert_title)],
		time  => [qw(alert_created_date_time created_date_time)],
		shown => [qw(ordinal comment alert_severity)],
		order => 'ordinal'
	},
	incidents => {
		key  => ['id'],
		word => [qw(status severity status classification determination)],
		text => [qw(assigned_to assigned_to display_name redirect_incident_id)],
		time => [qw(created_date_time created_date_time last_update_date_time)],
		shown => [qw(severity status assigned_to created_date_time display_name
			classification last_update_date_time custom_tags)]
	},
	incident_comments => {
		key   => ['incident_id'],
		word  => [qw(incident_severity incident_status)],
		text  => [qw(comment created_by_display_name incident_display_name)],
		time  => [qw(incident_created_date_time created_date_time)],
		shown => [qw(ordinal comment incident_severity)],
		order => 'ordinal'
	},
	odd_alerts => {
		key   => [qw(id id id_text id_c id_ci)],
		word  => [qw(sev sev_c sev_ci sev_pad sev_name stat_domain stat_enum)],
		text  => [qw(who who_ci other made_text)],
		time  => [qw(made made_0 made_local made_day made_domain changed)],
		shown => [qw(id sev sev_pad stat_enum who made made_0 made_local)]
	});

sub pick_table
{
	my ($self) = @_;
	return $self->pick(('alerts') x 7, qw(alert_evidence device_evidence
		device_evidence alert_comments odd_alerts odd_alerts incidents incidents incidents incident_comments));
}

# A column of a kind, with the alias of its table.
sub column
{
	my ($self, $kind) = @_;
	my $name = $self->pick(@{ $TABLE{ $self->{table} }{$kind} });

	$self->{name} = $name;
	return "$self->{alias}.$name";
}

#------------------------------------------------------------------------------
# Values
#------------------------------------------------------------------------------

sub quote
{
	my ($text) = @_;
	$text =~ s/'/''/g;
	return "'$text'";
}

# A word that the column may have, or not.
sub any_word
{
	my ($self) = @_;
	my $name = ($self->{name} // 'severity') =~ s/^(alert|incident)_//r;

	$name = 'status' if $name =~ /^stat/;
	$name = 'incident_status' if $name eq 'status' && ($self->{table} // '') =~ /^incident/;
	return $self->pick(@NO_MEMBER) if $self->chance(12) && $name ne 'stat_enum';
	return $self->pick(@{ $ENUM{$name} || $ENUM{severity} });
}

sub any_text
{
	my ($self) = @_;
	my $name = $self->{name} // '';

	return $self->pick(@HOSTS) if $name =~ /host|dns/;
	return $self->pick(qw(unknown suspicious malicious low medium deviceEvidence
		ipEvidence 10.0.0.1))
	  if $name =~ /verdict|risk|type|ip_/;
	return $self->pick('1', '2', 'Malware', 'alert two', "it's", "L'alerte")
	  if $name =~ /title|category|incident|comment$/;
	return $self->pick(@PEOPLE);
}

sub any_key
{
	my ($self) = @_;
	return $self->any_owner if ($self->{table} // '') =~ /^incident/;
	return $self->pick($self->ids);
}

# A time as PostgreSQL reads it: one of the alerts', or close to it.
sub any_time
{
	my ($self) = @_;
	my $time = $self->pick(@TIMES);

	return $self->pick(@NO_TIMES) if $self->chance(12);
	if ($self->chance(70))
	{
		my ($clock, $fraction) = $time =~ /^([^.Z]*)(?:\.(\d+))?Z$/;
		my $ticks = substr(($fraction // '') . '0' x 7, 0, 7);
		my $moved = $ticks + $self->pick(-10, -10, 10, 10, -1, 1, -5, 5, 9, -9);

		$time = sprintf '%s.%07dZ', $clock, $moved
		  if $moved >= 0 && $moved < 10_000_000;
	}
	return $time =~ s/T/ /r =~ s/Z$/+00/r;
}

my %ANY = (
	word => \&any_word,
	text => \&any_text,
	key  => \&any_key,
	owner => \&any_owner,
	time => \&any_time);

# A literal of a kind.
sub literal
{
	my ($self, $kind) = @_;
	return quote($ANY{$kind}->($self));
}

# A parameter of the prepared statement.
sub parameter
{
	my ($self, $type, $value) = @_;

	push @{ $self->{types} },  $type;
	push @{ $self->{values} }, $value;
	return '$' . scalar @{ $self->{types} };
}

# What a text column is compared with.
sub text_value
{
	my ($self, $kind) = @_;
	my $literal = $self->literal($kind);
	my $way = $self->pick_number(100);

	return $self->parameter($self->pick(qw(text text varchar)),
		$self->chance(8) ? 'NULL' : $literal)
	  if $self->{types} && $way < 40;
	return $literal if $way < 60;
	return 'NULL' if $way < 63;
	return 'NULL::text' if $way < 65;
	return "${literal}::text" if $way < 68;
	return "(SELECT $literal" . ' OFFSET 0)' if $way < 70;
	return "(SELECT ${literal}::text OFFSET 0)" if $way < 73;
	return $self->sub_select($self->local_column($kind))
	  if $way < 79;
	return "lower($literal)" if $way < 82;
	return "upper($literal)" if $way < 83;
	return "concat($literal, '')" if $way < 86;
	return "COALESCE(NULL, $literal)" if $way < 87;
	return "${literal}::varchar" if $way < 90;
	return "${literal}::varchar(3)" if $way < 91;
	return "left(${literal}, 60)::name" if $way < 93;
	return "${literal}::char(20)" if $way < 94;
	return "NULLIF(${literal}, 'low')" if $way < 96;
	return "(${literal} COLLATE \"C\")" if $way < 98;
	return "(${literal} COLLATE common.ci)";
}

# The column of a local table that has values of a kind.
sub local_column
{
	my ($self, $kind) = @_;
	return 'inc' if $kind eq 'owner' || ($kind eq 'key' && ($self->{table} // '') =~ /^incident/);
	return $kind eq 'key' ? 'key' : $kind eq 'word' ? 'sev' : 'who';
}

# One value from a local table; without rows it is null.
sub sub_select
{
	my ($self, $column) = @_;
	my $n = 1 + $self->pick_number(8);

	return $self->chance(40)
	  ? sprintf('(SELECT %s(x.%s) FROM common.w AS x)', $self->pick(qw(min max)), $column)
	  : "(SELECT x.$column FROM common.w AS x WHERE x.n = $n)";
}

sub time_value
{
	my ($self) = @_;
	my $literal = $self->literal('time');
	my $way = $self->pick_number(100);

	if ($self->{types} && $way < 40)
	{
		my $type = $self->pick(qw(timestamptz timestamptz timestamptz timestamp date));
		return $self->parameter($type, $self->chance(8) ? 'NULL' : "${literal}::$type");
	}
	return $literal if $way < 50;
	return 'NULL' if $way < 52;
	return "timestamptz $literal" if $way < 58;
	return "timestamp $literal" if $way < 63;
	return "date $literal" if $way < 67;
	return "(timestamptz $literal AT TIME ZONE 'Asia/Kathmandu')" if $way < 69;
	return "(SELECT timestamptz $literal OFFSET 0)" if $way < 73;
	return $self->sub_select($self->pick(qw(at at day ts))) if $way < 79;
	return "(now() - (now() - timestamptz '2026-07-20 10:00:00.000001+00'))" if $way < 84;
	return "(timestamptz '2026-07-20 10:00:00+00' + interval '"
	  . $self->pick('1 microsecond', '1 day', '-1 month', '0.0000015 s') . "')"
	  if $way < 87;
	return "date_trunc('" . $self->pick(qw(day second milliseconds)) . "', timestamptz '2026-07-20 10:00:00.5+00')"
	  if $way < 90;
	return "to_timestamp(1784541600.0000005)" if $way < 92;
	return "timestamptz(3) $literal" if $way < 94;
	return "make_timestamptz(2026, 7, 20, 10, 0, 0.0000015)" if $way < 96;
	return "('2026-07-20'::date + 0)" if $way < 98;
	return "COALESCE(NULL::timestamptz, $literal)";
}

sub value
{
	my ($self, $kind) = @_;
	return $kind eq 'time' ? $self->time_value : $self->text_value($kind);
}

# An array to compare a column with.
sub array_value
{
	my ($self, $kind) = @_;
	my $type = $kind eq 'time' ? $self->pick(qw(timestamptz timestamptz timestamp date))
	  : $self->pick(qw(text text text varchar));
	my $count = $self->pick(0, 1, 1, 2, 2, 3, 4, $self->chance(10) ? 30 : 5);
	my @items = map { $self->chance(10) ? 'NULL' : $self->literal($kind) . "::$type" } 1 .. $count;
	# so many that a list may cost less
	@items = map { sprintf "'qa%03d'::text", $_ } 1 .. $self->pick(18, 25, 90) if $kind eq 'key' && $self->chance(15);
	my $array = 'ARRAY[' . join(', ', @items) . "]::${type}[]";
	my $way = $self->pick_number(100);

	return $self->parameter("${type}[]", $self->chance(8) ? 'NULL' : $array)
	  if $self->{types} && $way < 40;
	return $array if $way < 65;
	return "NULL::${type}[]" if $way < 67;
	return "(SELECT $array OFFSET 0)" if $way < 68;    # a row of one array
	return "(ARRAY[$array, $array])" if $way < 70 && $count > 0;
	return 'ARRAY(SELECT x.' . ($kind eq 'time' ? 'at' : $kind =~ /key|owner/ ? $self->local_column($kind) : 'sev')
	  . ' FROM common.w AS x WHERE x.n ' . $self->pick('< 4', '> 3', '> 10', '< 9') . ')'
	  if $way < 82;
	return '(SELECT x.' . ($kind eq 'time' ? 'times' : $kind =~ /key|owner/ ? $self->local_column($kind) . 's' : 'sevs')
	  . ' FROM common.w AS x WHERE x.n = ' . (1 + $self->pick_number(8)) . ")::${type}[]"
	  if $way < 90;
	return "($array || NULL::$type)" if $way < 93;
	return "array_remove($array, NULL)" if $way < 96;
	return "string_to_array('low,high,qa001,', ',')" if $kind ne 'time';
	return $array;
}

#------------------------------------------------------------------------------
# Clauses
#------------------------------------------------------------------------------

my @DIRECTIONS = ('', '', ' DESC', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST');
my %MIRROR = ('=' => '=', '<>' => '<>', '<' => '>', '<=' => '>=', '>' => '<', '>=' => '<=');

sub kind
{
	my ($self) = @_;
	return $self->pick(qw(word word word time time time text text key), $TABLE{ $self->{table} }{owner} ? qw(owner owner) : ());
}

sub comparison
{
	my ($self) = @_;
	my $kind = $self->kind;
	my $column = $self->column($kind);
	my $value = $self->value($kind);
	my $operator = $self->pick(
		$kind eq 'time' ? qw(= <> < <= > >=) : (qw(= = = = <> <>), $self->pick(qw(< >= = =))));

	$operator = $MIRROR{$operator}, return "$value $operator $column"
	  if $self->chance(25);
	return "$column $operator $value";
}

sub between
{
	my ($self) = @_;
	my $kind = $self->pick(qw(time time time word));
	my $column = $self->column($kind);
	return "$column " . $self->pick('BETWEEN', 'BETWEEN', 'NOT BETWEEN', 'BETWEEN SYMMETRIC')
	  . ' ' . $self->value($kind) . ' AND ' . $self->value($kind);
}

sub in_list
{
	my ($self) = @_;
	my $kind = $self->kind;
	my $column = $self->column($kind);
	my $items = join ', ',
	  map { $self->chance(70) ? $self->literal($kind) : $self->value($kind) }
	  0 .. $self->pick(0, 1, 1, 2, 3, $self->chance(10) ? 24 : 4);
	return "$column " . $self->pick('IN', 'IN', 'NOT IN') . " ($items)";
}

sub array_clause
{
	my ($self) = @_;
	my $kind = $self->kind;
	my $column = $self->column($kind);
	my $operator = $self->pick('= ANY', '= ANY', '= ANY', '<> ALL', '<> ALL', '<> ANY', '= ALL',
		$kind eq 'time' ? ('> ANY', '<= ALL') : ());
	return "$column $operator (" . $self->array_value($kind) . ')';
}

sub null_test
{
	my ($self) = @_;
	return $self->column($self->kind) . $self->pick(' IS NULL', ' IS NOT NULL');
}

sub distinct
{
	my ($self) = @_;
	my $kind = $self->kind;
	my $column = $self->column($kind);
	my $value = $self->value($kind);
	my $operator = $self->pick('IS DISTINCT FROM', 'IS NOT DISTINCT FROM');
	return $self->chance(25) ? "$value $operator $column" : "$column $operator $value";
}

# Functions of a time that keep its order, in zones where clocks and days jump.
sub time_function
{
	my ($self) = @_;
	my $zone = sub { $self->pick("'UTC'", "'Europe/Berlin'", "'America/Sao_Paulo'", "'Pacific/Apia'", "'MSK'", "interval '-03:30'", '(SELECT \'Asia/Kathmandu\' OFFSET 0)') };
	my $unit = sub { $self->pick("'day'", "'day'", "'week'", "'hour'", "'month'", "'second'", "'decade'", "(SELECT 'day' OFFSET 0)") };
	my $interval = sub { $self->pick("interval '1 day'", "interval '-1 month'", "interval '1 month 2 days -3 hours'", "interval '36 hours'", "interval '0.000001'") };
	my $time = $self->column('time');

	$time = "($time)::timestamptz";
	$time = "$time " . $self->pick('+', '-') . ' ' . $interval->() if $self->chance(15);
	$time = "($time AT TIME ZONE " . $zone->() . ')' if $self->chance(25);
	$time = "($time AT TIME ZONE 'UTC' AT TIME ZONE " . $zone->() . ')' if $time !~ /ZONE/ && $self->chance(15);
	$time = "date_trunc(" . $unit->() . ", $time)" if $self->chance(35);
	$time = "date_bin(interval '17 min', $time, '2027-01-01')" if $self->chance(10);
	return "($time)::date" if $self->chance(40);
	return $self->chance(50) ? "$time" : "($time)::timestamp";
}

sub function_clause
{
	my ($self) = @_;
	my $time = $self->time_function;
	my $operator = $self->pick(qw(= = < <= > >= <>));
	my $seconds = "extract(epoch FROM $time)";
	my $number = 1784541600 + $self->pick(-86400, -1, 0, 0, 1, 300, 86400);

	return "$seconds $operator $number" if $self->chance(10);
	return "floor($seconds / 300) * 300 $operator floor($number / 300) * 300" if $self->chance(8);
	return "${seconds}::bigint / 3600 $operator $number / 3600" if $self->chance(5);
	return "date_part('epoch', $time) $operator ${number}.5" if $self->chance(5);
	return "timestamptz '2026-07-21 10:00:00+00' - ($time)::timestamptz $operator interval '1 day'" if $self->chance(8);
	return "$time IS " . $self->pick('', 'NOT ') . 'NULL' if $self->chance(6);
	return "$time BETWEEN " . $self->time_value . '::timestamptz AND ' . $self->time_value . '::timestamptz' if $self->chance(10);
	return "($time)::date IN ('2026-07-20', '2026-07-19', (" . $self->time_value . ')::date)' if $self->chance(10);
	return "(" . $self->time_value . ")::timestamptz $operator $time" if $self->chance(20);
	return "$time $operator (" . $self->time_value . ')::' . $self->pick(qw(timestamptz timestamp date));
}

# What stays here.
sub local_clause
{
	my ($self) = @_;
	my $word = $self->column('word');
	my $text = $self->column('text');
	my $time = $self->column('time');
	my $key = $self->column('key');
	my $n = $self->pick(1, 2, 3);

	$word = "${word}::text";
	return $self->pick(
		"$text LIKE '%a%'",
		"$word NOT LIKE 'l_w'",
		"lower($text COLLATE \"C\") = 'adele\@contoso.test'",
		"length($text) > 7",
		"extract(hour FROM $time) = 10",
		"$word = $text",
		"$time = $time",
		"$time <> $time",
		"$word || 'x' = 'lowx'",
		"COALESCE($word, 'low') = 'low'",
		"$key > " . $self->literal('key'),
		"$key LIKE 'qa00%'",
		"CASE WHEN $word = 'low' THEN $time > '2026-07-01+00' ELSE $text IS NULL END",
		"($word, $key) > ('low', 'qa030')",
		"ROW($word, $text) IS NOT NULL",
		"$word = ANY (ARRAY[$text, 'low'])",
		"EXISTS (SELECT FROM common.w AS x WHERE x.sev = $word)",
		"NOT EXISTS (SELECT FROM common.w AS x WHERE x.key = $key AND x.n > $n)",
		"$word IN (SELECT x.sev FROM common.w AS x WHERE x.n <> $n)",
		"$word NOT IN (SELECT x.sev FROM common.w AS x WHERE x.sev IS NOT NULL AND x.n <> $n)",
		"$word = (SELECT x.sev FROM common.w AS x WHERE x.key = $key LIMIT 1)",
		"random() >= 0", 'TRUE', 'FALSE', 'NULL::boolean', "clock_timestamp() > '2000-01-01'",
		"1 = $n", "now() > '2000-01-01'");
}

# What an enum's members are tried for, and rows, of which the first column is.
sub members_clause
{
	my ($self) = @_;
	my $word = $self->column('word');
	my ($one, $two, $three) = map { quote($self->any_word) } 1 .. 3;
	my $start = quote(substr($self->any_word, 0, $self->pick(1, 1, 2, 4)) =~ s/[\\()*+?.\[\]{}|^\$%]//gr . '%');
	my ($plain, $not) = ("$word\::text COLLATE \"C\"", $self->pick('', '', 'NOT '));

	return $self->pick(
		"$plain ${not}LIKE $start", "$plain ${not}ILIKE $start", "$plain ILIKE $one", "$plain ~* ('^' || left($start, -1))",
		"lower($plain) ${not}IN (lower($one), $two)", "upper($plain) = upper($one)", "$plain " . $self->pick(qw(< <= > >=)) . " $one",
		"$plain ${not}BETWEEN $one AND $two", "$plain > ANY (ARRAY[$one, $two])", "length($plain) " . $self->pick('>', '=', '<') . ' length(' . $one . ')',
		"CASE $plain WHEN $one THEN true WHEN $two THEN NULL ELSE " . $self->pick('true', 'false', 'NULL') . ' END',
		"CASE WHEN $word = $one THEN $word <> $two ELSE $word IS NULL END", "COALESCE($plain, $one) ${not}IN ($one, $two)",
		"NULLIF($plain, $one) IS ${not}NULL", "($word = $one) IS ${not}TRUE", "($word <> $one) IS ${not}UNKNOWN",
		"($word = $one OR $plain LIKE $start OR $word = $two)", "NOT ($plain LIKE $start AND $word <> $one)",
		"($plain ILIKE $start OR " . $self->comparison . ')', "($plain ILIKE $start AND " . $self->comparison . ')',
		"(($word = $one) = ($plain < $two))", "($plain > $one) IS DISTINCT FROM ($plain > $two)",
		"CASE WHEN $plain LIKE $start THEN 1 / (length($plain COLLATE \"C\") + 1) = 0 ELSE $word = $three END");
}

sub row_clause
{
	my ($self) = @_;
	my ($kind, $operator) = ($self->pick(qw(time time time word key)), $self->pick(qw(< <= > >= = <>)));
	my ($first, $value) = ($self->column($kind), $self->value($kind));
	my ($key, $id) = ($self->column('key'), $self->literal('key'));
	my @sides = $self->chance(20) ? ("($value, $id, 1)", "($first, $key, 1)") : ("($first, $key)", "($value, $id)");

	return $self->pick('', '', 'NOT ') . "($sides[0] $operator $sides[1])" if $self->chance(85);
	return "($first, $key) IN (($value, $id), (" . $self->value($kind) . ", $id))";
}

sub leaf
{
	my ($self) = @_;
	return $self->pick_method([
		('comparison') x 8, ('in_list') x 4, ('array_clause') x 4, ('between') x 2,
		('null_test') x 2, ('distinct') x 2, ('local_clause') x 2, ('function_clause') x 3,
		('members_clause') x 4, 'row_clause' ]);
}

# A clause, nested to a depth.
sub clause
{
	my ($self, $depth) = @_;
	my $way = $self->pick_number(100);

	return $self->leaf if $depth <= 0 || $way < 15;
	return '(' . join(' AND ', map { $self->clause($depth - 1) } 0 .. $self->pick(1, 1, 2)) . ')'
	  if $way < 42;
	return '(' . join(' OR ', map { $self->clause($depth - 1) } 0 .. $self->pick(1, 1, 2)) . ')'
	  if $way < 68;
	return 'NOT (' . $self->clause($depth - 1) . ')' if $way < 82;
	return '((' . $self->clause($depth - 1) . ') '
	  . $self->pick('IS TRUE', 'IS NOT TRUE', 'IS FALSE', 'IS NOT FALSE', 'IS UNKNOWN', 'IS NOT UNKNOWN') . ')'
	  if $way < 94;
	return '((' . $self->clause($depth - 1) . ') = (' . $self->clause($depth - 1) . '))'
	  if $way < 97;
	return '((' . $self->clause($depth - 1) . ') IS DISTINCT FROM (' . $self->clause($depth - 1) . '))';
}

# A WHERE clause for a table under an alias.
sub where
{
	my ($self, $table, $alias, $depth) = @_;

	$self->{table} = $table;
	$self->{alias} = $alias;
	return $self->clause($depth // $self->pick(0, 0, 1, 1, 2, 2, 3, 4));
}

#------------------------------------------------------------------------------
# Queries
#------------------------------------------------------------------------------

# Some columns with the table's key.
sub columns
{
	my ($self, $table, $alias) = @_;
	my @shown = @{ $TABLE{$table}{shown} };
	my @list = ($TABLE{$table}{key}[0], $TABLE{$table}{order} // ());

	push @list, $self->pick(@shown) foreach 1 .. $self->pick_number(4);
	return join ', ', (map { "$alias.$_" } @list),
	  $self->chance(25) ? $self->computed($alias, @list) : ();
}

# An expression over them.
sub computed
{
	my ($self, $alias, @list) = @_;
	my ($key, $other) = map { "$alias.$_" } @list[ 0, -1 ];

	return $self->pick(
		"concat($other, '/', $key)",
		"lower($key) || 'x'",
		"COALESCE($other\::text, $key)",
		"$other IS NULL",
		"CASE WHEN $other\::text < $key THEN 1 ELSE 2 END",
		'1 + 1',
		'now() > \'2026-01-01\'',
		"(SELECT max(x.n) FROM common.w AS x WHERE x.key = $key)",
		"$alias IS NULL",
		"md5((to_jsonb($alias) - 'raw')::text)");
}

sub plain_query
{
	my ($self) = @_;
	my $table = $self->pick_table;
	return 'SELECT ' . $self->columns($table, 't') . " FROM $table AS t WHERE "
	  . $self->where($table, 't');
}

# Sorted, with the key last, so that there is one answer.
sub sorted_query
{
	my ($self) = @_;
	my $table = $self->pick_table;
	my $where = $self->where($table, 't', $self->pick(0, 0, 1, 2));
	my $key   = $TABLE{$table}{key}[0];
	my $last  = join ', ', map { "t.$_" } $key, $TABLE{$table}{order} // ();
	my @order = map {
		$self->column($self->pick(qw(time time time word)))
		  . $self->pick(@DIRECTIONS)
	} 1 .. $self->pick(0, 1, 1, 1, 2);
	my $limit = $self->pick('', map { "LIMIT $_" } qw(0 1 3 10 50 NULL), '(SELECT 3)');
	my $offset = $self->chance(25) ? 'OFFSET ' . $self->pick(1, 5, 30) : '';

	if ($self->chance(15))
	{
		# equals are all taken, or look the same
		my $column = $self->column('time');
		return "SELECT $last, $column FROM $table AS t WHERE $where"
		  . " ORDER BY $column DESC FETCH FIRST 5 ROWS WITH TIES"
		  if $self->chance(50);
		return "SELECT $column FROM $table AS t WHERE $where ORDER BY $column $limit $offset";
	}
	if ($self->chance(15))
	{
		my $column = $self->column('time');
		my $direction = $self->pick(@DIRECTIONS);
		my $also = $self->where($table, 't', 0);
		return $self->pick(
			"SELECT DISTINCT ON ($column) $column, $last FROM $table AS t WHERE $where ORDER BY $column $direction, $last $limit",
			"(SELECT $column AS c FROM $table AS t WHERE $where ORDER BY c $direction $limit)"
			  . " UNION ALL (SELECT $column AS c FROM $table AS t WHERE $also ORDER BY c $direction LIMIT 3)",
			"SELECT c FROM (SELECT $column AS c FROM $table AS t WHERE $where"
			  . " UNION ALL SELECT $column FROM $table AS t WHERE $also) AS q ORDER BY c $direction $limit $offset",
			"SELECT $last, $column, rank() OVER (ORDER BY $column $direction) FROM $table AS t WHERE $where",
			"SELECT DISTINCT $column FROM $table AS t WHERE $where ORDER BY 1 $direction $limit",
			"SELECT w.n, (SELECT $column FROM $table AS t WHERE $also AND t.$key >= w.key ORDER BY 1 $direction LIMIT 1) FROM common.w AS w");
	}
	return 'SELECT ' . $self->columns($table, 't') . " FROM $table AS t"
	  . ($self->chance(80) ? " WHERE $where" : '')
	  . ' ORDER BY ' . join(', ', @order, $last) . " $limit $offset";
}

sub limited_query
{
	my ($self) = @_;
	my $table = $self->pick_table;
	my $where = $self->where($table, 't', $self->pick(0, 0, 1, 2));
	my $word  = $self->column('word');
	my $limit = $self->pick(0, 1, 2, 5, 40);

	return $self->pick(
		"SELECT count(*) FROM (SELECT $word FROM $table AS t WHERE $where LIMIT $limit) AS q",
		"SELECT count(*) FROM (SELECT FROM $table AS t WHERE $where LIMIT $limit OFFSET 3) AS q",
		"SELECT EXISTS (SELECT FROM $table AS t WHERE $where)",
		"SELECT count(*) FROM (SELECT DISTINCT $word FROM $table AS t WHERE $where LIMIT $limit) AS q",
		"SELECT DISTINCT $word FROM $table AS t WHERE $where",
		"SELECT count(*) FROM (SELECT generate_series(1, 2) FROM $table AS t WHERE $where LIMIT $limit) AS q");
}

sub count_query
{
	my ($self) = @_;
	my $table = $self->pick('alerts', 'alerts', $self->pick_table);
	my $where = $self->where($table, 't', $self->pick(0, 0, 0, 1, 2));
	my $other = $self->where($table, 't', 0);
	my $word  = $self->column('word');
	my $time  = $self->column('time');

	return $self->pick(
		("SELECT count(*) FROM $table AS t WHERE $where") x 3,
		"SELECT count(*), count(1) FROM $table AS t WHERE $where",
		"SELECT count(*) + 1, 'x' FROM $table AS t WHERE $where",
		"SELECT count(*) FILTER (WHERE $other) FROM $table AS t WHERE $where",
		"SELECT count($word), count(DISTINCT $word) FROM $table AS t WHERE $where",
		"SELECT count(*), min($time), max($time) FROM $table AS t WHERE $where",
		"SELECT max($time) FROM $table AS t WHERE $where",
		"SELECT min($time) FROM $table AS t WHERE $where",
		"SELECT count(*) FROM $table AS t WHERE $where HAVING count(*) > 3",
		"SELECT count(*) FROM $table AS t",
		"SELECT (SELECT count(*) FROM $table AS t WHERE $where), n FROM common.w",
		"SELECT count(*) OVER (), $word FROM $table AS t WHERE $where",
		"SELECT $word, count(*) FROM $table AS t WHERE $where GROUP BY 1",
		"SELECT $word, count(*) FROM $table AS t WHERE $where GROUP BY ROLLUP (1)",
		"SELECT date_trunc('day', $time), count(*) FROM $table AS t WHERE $where GROUP BY 1 HAVING count(*) > 1");
}

# A column of "w" that fits a column of a table, with an operator between.
sub join_clause
{
	my ($self, $table, $alias) = @_;
	my $kind = $self->pick(qw(key key key word word text time), $TABLE{$table}{owner} ? qw(owner owner) : ());
	$self->{table} = $table;
	$self->{alias} = $alias;
	my $column = $self->column($kind);

	$column .= '::text' if $self->{name} =~ /^stat_/;
	return "$column " . $self->pick('=', '=', '=', '<', '>=') . ' ' . $self->pick(qw(w.at w.at w.day w.ts))
	  if $kind eq 'time';
	my $local = $self->local_column($kind);
	my $other =
	  $kind =~ /key|owner/ ? "w.$local" : $kind eq 'word' ? $self->pick(qw(w.sev w.stat)) : $self->pick(qw(w.who w.host));
	return $self->pick(
		("$column = $other") x 5,
		"$other = $column",
		"$column = ANY (" . ($kind =~ /key|owner/ ? "w.${local}s" : 'w.sevs') . ')',
		"($column = $other OR $column = 'low')",
		"($column = $other AND w.n < 5)",
		"$column IS NOT DISTINCT FROM $other",
		"$column <> $other");
}

sub join_query
{
	my ($self) = @_;
	my $table = $self->pick_table;
	my $columns = $self->columns($table, 't') . ', w.n';
	my $on = $self->join_clause($table, 't');
	my $where = $self->where($table, 't', $self->pick(0, 0, 1));

	$on .= ' AND ' . $self->where($table, 't', 0) if $self->chance(25);
	return $self->pick(
		("SELECT $columns FROM common.w AS w JOIN $table AS t ON $on WHERE $where") x 2,
		"SELECT $columns FROM common.w AS w JOIN $table AS t ON $on",
		"SELECT $columns FROM common.w AS w LEFT JOIN $table AS t ON $on WHERE w.n <> 3",
		"SELECT $columns FROM common.w AS w LEFT JOIN $table AS t ON $on AND $where",
		"SELECT $columns FROM common.w AS w LEFT JOIN $table AS t ON $on WHERE ($where) IS NOT TRUE",
		"SELECT $columns FROM $table AS t LEFT JOIN common.w AS w ON $on WHERE $where",
		"SELECT w.n FROM common.w AS w WHERE EXISTS (SELECT FROM $table AS t WHERE $on AND $where)",
		"SELECT w.n FROM common.w AS w WHERE NOT EXISTS (SELECT FROM $table AS t WHERE $on AND $where)",
		'SELECT ' . $self->columns($table, 't') . " FROM $table AS t WHERE ($where) AND EXISTS (SELECT FROM common.w AS w WHERE $on)",
		'SELECT ' . $self->columns($table, 't') . " FROM $table AS t WHERE ($where) AND NOT EXISTS (SELECT FROM common.w AS w WHERE $on)",
		"SELECT w.n, (SELECT count(*) FROM $table AS t WHERE $on AND $where) FROM common.w AS w",
		"SELECT w.n, l.* FROM common.w AS w, LATERAL (SELECT " . $self->columns($table, 't') . " FROM $table AS t WHERE $on AND $where OFFSET 0) AS l",
		"SELECT w.n, l.* FROM common.w AS w LEFT JOIN LATERAL (SELECT count(*) FROM (SELECT FROM $table AS t WHERE $on AND $where LIMIT 2) AS q) AS l ON w.n > 2",
		"SELECT w.n, l.* FROM common.w AS w, LATERAL (SELECT count(*) FROM $table AS t WHERE $on) AS l");
}

# Alerts with their evidence or comments, or two of a kind.
sub family_query
{
	my ($self) = @_;
	my $child = $self->pick(qw(alert_evidence device_evidence alert_comments));
	my $columns = $self->columns('alerts', 'a') . ', ' . $self->columns($child, 'e');
	my $a = $self->where('alerts', 'a', $self->pick(0, 0, 1));
	my $e = $self->where($child, 'e', $self->pick(0, 0, 1));
	my $time = $self->pick('a.created_date_time', 'a.last_update_date_time');
	my $direction = $self->pick(@DIRECTIONS);
	my ($one, $other) = map { $self->pick("'qa001'", "'qa001'", "'qa002'", "(SELECT 'qa001' OFFSET 0)") } 1, 2;
	my $join = $self->pick('', 'LEFT');

	return $self->pick(
		("SELECT $columns FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id WHERE $a AND $e") x 2,
		"SELECT $columns FROM $child AS e JOIN alerts AS a ON a.id = e.alert_id WHERE $e",
		"SELECT $columns FROM alerts AS a LEFT JOIN $child AS e ON e.alert_id = a.id AND $e WHERE $a",
		"SELECT $columns FROM alerts AS a LEFT JOIN $child AS e ON e.alert_id = a.id WHERE ($e) IS NOT TRUE AND $a",
		"SELECT $columns, w.n FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id JOIN common.w AS w ON "
		  . $self->join_clause($child, 'e') . " WHERE $a",
		"SELECT $columns, w.n FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id LEFT JOIN common.w AS w ON "
		  . $self->join_clause('alerts', 'a') . " AND $e WHERE $a",
		"SELECT count(*) FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id WHERE $a AND $e",
		"SELECT a.id FROM alerts AS a WHERE $a AND EXISTS (SELECT FROM $child AS e WHERE e.alert_id = a.id AND $e)",
		"SELECT a.id FROM alerts AS a WHERE $a AND NOT EXISTS (SELECT FROM $child AS e WHERE e.alert_id = a.id AND $e)",
		"SELECT a.id, e.ordinal, f.ordinal FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id"
		  . " JOIN alert_evidence AS f ON f.alert_id = a.id WHERE $a AND $e",
		"SELECT w.n, (SELECT count(*) FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id WHERE $a AND $e) FROM common.w AS w",
		"SELECT w.n, (SELECT max(e.ordinal) FROM alerts AS a LEFT JOIN $child AS e ON e.alert_id = a.id WHERE a.severity = w.sev AND $a) FROM common.w AS w",
		"SELECT q.* FROM (SELECT a.id, e.ordinal FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id WHERE $a"
		  . " UNION ALL SELECT a.id, 0 FROM alerts AS a WHERE $a) AS q",
		"SELECT o.id, (SELECT count(*) FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id WHERE $e) FROM odd_alerts AS o WHERE o.id_text = 'qa001'",
		"SELECT a.id, b.id FROM alerts AS a JOIN alerts AS b ON a.id = b.id AND a.severity <> b.status WHERE $a",
		"SELECT a.id, e.ordinal, f.ordinal FROM alerts AS a LEFT JOIN $child AS e ON e.alert_id = a.id AND e.alert_id = $one"
		  . " $join JOIN alert_evidence AS f ON f.alert_id = $other WHERE $a",
		"SELECT a.id, e.ordinal FROM alerts AS a $join JOIN $child AS e ON e.alert_id = a.id WHERE a.id = $one AND e.alert_id = $other",
		"SELECT a.id, b.id FROM alerts AS a JOIN alerts AS b ON a.created_date_time = b.last_update_date_time WHERE $a",
		"SELECT a.id, e.ordinal, $time FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id WHERE $a AND $e"
		  . " ORDER BY $time $direction, a.id, e.ordinal LIMIT 7",
		"SELECT a.id, e.ordinal, $time FROM alerts AS a LEFT JOIN $child AS e ON e.alert_id = a.id WHERE $a"
		  . " ORDER BY $time $direction, a.id, e.ordinal OFFSET 2 LIMIT 7",
		"SELECT count(*) FROM (SELECT FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id WHERE $a AND $e LIMIT 9) AS q",
		"SELECT EXISTS (SELECT FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id WHERE $a AND $e)",
		"SELECT w.n, l.* FROM common.w AS w, LATERAL (SELECT a.id, e.ordinal FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id"
		  . " WHERE a.id = w.key AND $e ORDER BY $time $direction, a.id, e.ordinal LIMIT 2) AS l",
		"UPDATE common.w SET n = n FROM alerts AS a JOIN $child AS e ON e.alert_id = a.id WHERE w.key = a.id AND $a RETURNING w.key",
		"SELECT w.n, a.id, e.ordinal FROM common.w AS w JOIN alerts AS a ON w.key = a.id JOIN $child AS e ON e.alert_id = a.id WHERE $e FOR UPDATE OF w",
		"SELECT $columns FROM alerts AS a FULL JOIN (SELECT * FROM $child AS e WHERE $e) AS e ON e.alert_id = a.id");
}

# Incidents with their alerts, what is inside these, and local tables.
sub incident_query
{
	my ($self) = @_;
	my $child = $self->pick(qw(alerts alerts alerts alert_evidence device_evidence alert_comments));
	my $key = $child eq 'alerts' ? 'a.id' : 'a.alert_id, a.ordinal';
	my $columns = $self->columns('incidents', 'i') . ', ' . $self->columns($child, 'a');
	my $i = $self->where('incidents', 'i', $self->pick(0, 0, 1));
	my $a = $self->where($child, 'a', $self->pick(0, 0, 1));
	my $c = $self->where('incident_comments', 'c', $self->pick(0, 0, 1));
	my ($one, $other) = map { $self->pick("'1'", "'2'", "'7'", "'99'", "(SELECT '3' OFFSET 0)", "(SELECT x.inc FROM common.w AS x WHERE x.n = 2)") } 1, 2;
	my $some = $self->pick("IN ('1', '2', '40')", "= ANY ('{3,NULL,4,99}')", '= ANY (ARRAY(SELECT x.inc FROM common.w AS x))',
		"IN (SELECT x.inc FROM common.w AS x WHERE x.n > 2)", "IN (SELECT i.id FROM incidents AS i WHERE $i)");
	my $join = $self->pick('', '', 'LEFT', 'RIGHT');
	my $direction = $self->pick(@DIRECTIONS);

	return $self->pick(
		("SELECT $columns FROM incidents AS i $join JOIN $child AS a ON a.incident_id = i.id WHERE $i AND $a") x 2,
		"SELECT $columns FROM incidents AS i $join JOIN $child AS a ON i.id = a.incident_id AND $a",
		("SELECT $columns FROM incidents AS i $join JOIN $child AS a ON i.id = a.incident_id WHERE i.id = $one") x 2,
		"SELECT $columns FROM incidents AS i $join JOIN $child AS a ON i.id = a.incident_id AND a.incident_id = $other WHERE i.id = $one",
		("SELECT " . $self->columns($child, 'a') . " FROM $child AS a WHERE a.incident_id = $one AND $a") x 2,
		("SELECT " . $self->columns($child, 'a') . " FROM $child AS a WHERE a.incident_id $some") x 2,
		"SELECT count(*), max(a.incident_id) FROM $child AS a WHERE a.incident_id $some AND $a",
		"SELECT " . $self->columns($child, 'a') . " FROM $child AS a WHERE a.incident_id $some AND a.incident_id = $one",
		"SELECT $key FROM $child AS a WHERE a.incident_id $some OR a.incident_id IS NULL",
		"SELECT $columns, w.n FROM common.w AS w JOIN incidents AS i ON i.id = w.inc $join JOIN $child AS a ON a.incident_id = i.id WHERE $i",
		"SELECT w.n, $key FROM common.w AS w $join JOIN $child AS a ON a.incident_id = w.inc AND $a",
		"SELECT w.n FROM common.w AS w WHERE " . $self->pick('', 'NOT ') . "EXISTS (SELECT FROM $child AS a WHERE a.incident_id = w.inc AND $a)",
		"SELECT w.n, (SELECT count(*) FROM $child AS a WHERE a.incident_id = w.inc AND $a) FROM common.w AS w",
		"SELECT w.n, l.* FROM common.w AS w, LATERAL (SELECT $key FROM $child AS a WHERE a.incident_id = w.inc ORDER BY $key LIMIT 2) AS l",
		"SELECT w.n, l.* FROM common.w AS w LEFT JOIN LATERAL (SELECT count(*) FROM $child AS a WHERE a.incident_id = ANY (w.incs) AND $a) AS l ON true",
		"SELECT i.id, (SELECT count(*) FROM $child AS a WHERE a.incident_id = i.id) FROM incidents AS i WHERE $i",
		"SELECT i.id FROM incidents AS i WHERE $i AND " . $self->pick('', 'NOT ') . "EXISTS (SELECT FROM $child AS a WHERE a.incident_id = i.id AND $a)",
		"SELECT i.id, c.ordinal, $key FROM incidents AS i LEFT JOIN incident_comments AS c ON c.incident_id = i.id AND $c JOIN $child AS a ON a.incident_id = i.id WHERE $i",
		"SELECT i.id, c.ordinal, c.comment FROM incidents AS i $join JOIN incident_comments AS c ON c.incident_id = i.id WHERE $i AND $c",
		"SELECT i.id, c.ordinal FROM incidents AS i JOIN incident_comments AS c ON c.incident_id = i.id WHERE $i ORDER BY i.created_date_time $direction, i.id, c.ordinal LIMIT 7",
		"SELECT i.id FROM incidents AS i WHERE $i AND " . $self->pick('', 'NOT ') . "EXISTS (SELECT FROM incident_comments AS c WHERE c.incident_id = i.id AND $c)",
		"SELECT i.id, r.id FROM incidents AS i $join JOIN incidents AS r ON r.id = i.redirect_incident_id WHERE $i",
		"SELECT a.id, e.ordinal, i.status FROM alerts AS a JOIN device_evidence AS e ON e.alert_id = a.id $join JOIN incidents AS i ON i.id = a.incident_id WHERE a.incident_id = $one",
		"SELECT a.id, e.ordinal FROM alerts AS a $join JOIN alert_evidence AS e ON e.alert_id = a.id WHERE a.incident_id = $one" . $self->pick('', ' AND e.incident_id = a.incident_id', " AND e.incident_id = $other"),
		"SELECT a.id, c.ordinal FROM alerts AS a JOIN alert_comments AS c ON c.alert_id = a.id AND c.incident_id $some",
		"SELECT $key, a.incident_id FROM $child AS a WHERE a.incident_id = $one ORDER BY " . ($child eq 'alerts' ? 'a.created_date_time' : 'a.alert_created_date_time') . "$direction, $key LIMIT 3",
		"SELECT count(*) FROM (SELECT FROM $child AS a WHERE a.incident_id $some LIMIT 2) AS q",
		"SELECT a.incident_id, count(*) FROM $child AS a WHERE a.incident_id $some GROUP BY 1",
		"SELECT i.status, count(DISTINCT a.incident_id), count(*) FROM incidents AS i JOIN $child AS a ON a.incident_id = i.id WHERE $i GROUP BY 1",
		"SELECT i.id, $key FROM incidents AS i FULL JOIN (SELECT * FROM $child AS a WHERE a.incident_id $some) AS a ON a.incident_id = i.id",
		"SELECT $key FROM $child AS a WHERE a.incident_id = $one UNION ALL SELECT $key FROM $child AS a WHERE a.incident_id = $other",
		"UPDATE common.w SET n = n FROM $child AS a WHERE a.incident_id = w.inc AND $a RETURNING w.n");
}

sub compound_query
{
	my ($self) = @_;
	my ($one, $two) = map { $self->pick_table } 1, 2;
	my $first = "SELECT t.$TABLE{$one}{key}[0] AS k FROM $one AS t WHERE " . $self->where($one, 't', 1);
	my $second = "SELECT t.$TABLE{$two}{key}[0] AS k FROM $two AS t WHERE " . $self->where($two, 't', 1);

	return $self->pick(
		"$first UNION ALL $second", "$first UNION $second", "$first EXCEPT $second",
		"SELECT * FROM ($first UNION ALL $second) AS u WHERE k = 'qa001'",
		"SELECT count(*) FROM ($first UNION ALL $second) AS u WHERE k IN ('qa001', 'qa002', NULL)",
		"WITH c AS MATERIALIZED ($first) SELECT k FROM c WHERE k < 'qa020' UNION ALL SELECT max(k) FROM c",
		"WITH c AS NOT MATERIALIZED ($first) SELECT k FROM c WHERE k = ANY ('{qa001,qa003,NULL}')",
		"SELECT k FROM ($first) AS s WHERE k NOT IN (SELECT k FROM ($second) AS q WHERE k IS NOT NULL)",
		"SELECT k, row_number() OVER (ORDER BY k) FROM (SELECT DISTINCT k FROM ($first) AS s) AS q");
}

#------------------------------------------------------------------------------
# One query with everything around it
#------------------------------------------------------------------------------

sub next
{
	my ($self) = @_;
	my $prepared = $self->chance(30);
	my $zone = $self->pick(@ZONES);
	my @settings = ("SET LOCAL TimeZone = '$zone'");
	my @statements;

	$self->{types} = $prepared ? [] : undef;
	$self->{values} = [];
	my $query = $self->pick_method([
		('plain_query') x 6, ('sorted_query') x 3, ('limited_query') x 2, ('count_query') x 3,
		('join_query') x 3, ('family_query') x 2, 'compound_query', ('incident_query') x 3 ]);
	push @settings, "SET LOCAL enable_$_ = off"
	  foreach grep { $self->chance(12) } qw(nestloop hashjoin mergejoin memoize material sort
		incremental_sort hashagg);
	@statements = ($query);
	if ($prepared)
	{
		my $types = join ', ', @{ $self->{types} };
		my $values = join ', ', @{ $self->{values} };

		push @settings, 'SET LOCAL plan_cache_mode = ' . $self->pick(qw(auto force_generic_plan
			force_generic_plan force_custom_plan));
		@statements = (
			'PREPARE q' . ($types eq '' ? '' : " ($types)") . " AS $query",
			('EXECUTE q' . ($values eq '' ? '' : " ($values)")) x ($self->chance(10) ? 6 : 1),
			'DEALLOCATE q');
	}
	elsif ($query =~ / ORDER BY [^()]*$/ && $query !~ / WITH TIES/ && $self->chance(12))
	{
		# there and back again, where one order only is right
		@statements = ("DECLARE c SCROLL CURSOR FOR $query", 'FETCH 3 FROM c', 'FETCH ALL FROM c',
			'FETCH BACKWARD 4 FROM c', 'MOVE ABSOLUTE 1 FROM c', 'FETCH 2 FROM c', 'CLOSE c');
	}
	return {
		settings   => \@settings,
		statements => \@statements,
		text       => join(";\n", @settings, @statements) . ";\n"
	};
}

1;
