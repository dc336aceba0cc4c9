
# Whole statements at random, over foreign tables and over copies of them.
#
#	my $statement = GraphStatements->statement($seed, $number);
#	print $statement->{text};
#
# A statement depends on its seed and number alone.  It names its tables without
# a schema, so that the same text runs over the foreign tables and over the
# copies.  It is a hash of
#
#	kind        what it tries
#	text        all of it, to be shown
#	settings    statements that come before it: planner switches and the like
#	statements  its parts, which give rows or none
#	compare     "rows" (of each part, in any order), "order" (the order counts),
#	            "all" (rows of all parts together, in any order), "none"
#	servers     options of each foreign server
#	service     which one is asked: "emulator", "moving" or "sqlite"
#	view        with "moving", what keeps the alerts out that come and go
#	estimate    how many rows the planner takes foreign tables to have; -1: unknown
#	behaviour   settings of the emulator
#	faults      rules of faults of the emulator
#
# Where SQL leaves a choice (LIMIT, DISTINCT ON, row_number()), it is made by a
# unique key, or the statement is written so that every choice gives the same.

package GraphStatements;

use strict;
use warnings;
use utf8;

use GraphEmulator qw(evidence);
use GraphQueries;

our @ISA = ('GraphQueries');

#------------------------------------------------------------------------------
# Data
#------------------------------------------------------------------------------

# What the moving alerts have, by which they are told apart.
our $NOISE_TITLE  = 'Noise';
our $NOISE_SOURCE = 'microsoftSentinel';

my @HOSTS = ('ws-0001.contoso.test', 'WS-0001.contoso.test', "o'host", 'höst', 'ws-0002.contoso.test', '');
my @NAMES = ('adele', 'ADELE', "o'brien", 'Zoë', '山田', '', 'robin');

# Alerts of the tenants "a" and "b"; some ids are in both.  They are the same
# for every seed.
sub alerts
{
	my ($class, $tenant) = @_;
	my $chance = GraphQueries->new($tenant eq 'a' ? 11 : 12);
	my $self = bless $chance, 'GraphStatements';

	return map { $self->whole_alert($tenant, $_) } 1 .. ($tenant eq 'a' ? 120 : 60);
}

# Their incidents, and some more.
sub incidents
{
	my ($class, $tenant) = @_;
	my $self = bless GraphQueries->new($tenant eq 'a' ? 15 : 16), 'GraphStatements';

	return map { $self->random_incident($_) } 1 .. ($tenant eq 'a' ? 70 : 45);
}

sub whole_alert
{
	my ($self, $tenant, $number) = @_;
	my $alert = $self->random_alert($number);

	$alert->{id} = sprintf 'q%s%03d', ($tenant eq 'a' || $number <= 25 ? 'a' : 'b'), $number;
	$alert->{tenantId} = $tenant;

	# equal times are few: where a page is not longer than they are many, nobody can go on by time
	$alert->{createdDateTime} = sprintf '2026-07-%02dT%02d:%02d:%02d.%07dZ', $self->pick(18 .. 22), map { $self->pick_number($_) } 24, 60, 60, 10_000_000
	  if $self->chance(75);
	$alert->{serviceSource} = 'microsoft365Defender' if $alert->{serviceSource} eq $NOISE_SOURCE;
	my $count = $self->pick(0, 0, 0, 1, 1, 2, 3, 4, 5, 9, $self->chance(40) ? 30 : 2);
	$alert->{evidence} = [ map { $self->whole_evidence } 1 .. $count ];
	delete $alert->{evidence} if $count == 0 && $self->chance(20);
	$alert->{comments} = undef if !@{ $alert->{comments} } && $self->chance(30);
	$alert->{description} = $self->pick('x', 'déjà ', '日本') x $self->pick(0, 10, 300) if $self->chance(60);
	$alert->{mitreTechniques} = [ map { "T10$_" } 0 .. $self->pick_number(3) ] if $self->chance(50);
	return $alert;
}

sub whole_evidence
{
	my ($self) = @_;
	my %common = (verdict => $self->pick(qw(unknown suspicious malicious)), tags => $self->chance(20) ? ['x'] : []);
	my $way = $self->pick_number(100);

	return { %{ $self->random_evidence }, %common } if $way < 30;
	return evidence('deviceEvidence', %common, deviceDnsName => $self->pick(@HOSTS, undef), hostName => $self->pick(@HOSTS),
		riskScore => $self->pick(qw(low medium high)), version => 'v' x $self->pick(1, 100), osBuild => $self->pick(1, 22631, undef)) if $way < 65;
	return evidence('userEvidence', %common, userAccount => { accountName => $self->pick(@NAMES, undef), domainName => 'contoso' }) if $way < 78;
	return evidence('fileEvidence', %common, fileDetails => { fileName => $self->pick('a.exe', 'b.dll', undef), fileSize => $self->pick(0, 12345678901, undef) }) if $way < 90;
	return evidence('fileEvidence', %common, fileDetails => undef) if $way < 93;
	return evidence('ipEvidence', %common, ipAddress => $self->pick('10.0.0.1', '::1'));
}

# Alerts that come and go.
sub noise
{
	my ($class) = @_;
	my $self = bless GraphQueries->new(13), 'GraphStatements';

	return map { +{
		%{ $self->whole_alert('a', $_) }, id => "noise-$_", title => $NOISE_TITLE, serviceSource => $NOISE_SOURCE } } 1 .. 40;
}

# Tables of one's own, beside those of GraphQueries.
sub local_tables_sql
{
	return <<'SQL';
CREATE TABLE common.known (n integer, id text, sev text, owner text, seen timestamptz);
INSERT INTO common.known SELECT i, CASE WHEN i % 13 <> 0 THEN 'qa' || lpad((i * 7 % 150)::text, 3, '0') END,
	(ARRAY['low', 'medium', 'high', 'LOW', NULL, 'unheard'])[1 + i % 6], (ARRAY['adele', 'Zoë', NULL, ''])[1 + i % 4],
	timestamptz '2026-07-20 10:00:00Z' + i * interval '1 hour' FROM generate_series(1, 200) AS i;
CREATE TABLE common.cases (n integer, incident text, sev text, owner text, seen timestamptz);
INSERT INTO common.cases SELECT i, CASE WHEN i % 11 <> 0 THEN (i * 3 % 80)::text END,
	(ARRAY['low', 'medium', 'high', 'High', NULL])[1 + i % 5], (ARRAY['adele', 'Zoë', NULL, ''])[1 + i % 4],
	timestamptz '2026-07-20 10:00:00Z' + i * interval '1 hour' FROM generate_series(1, 40) AS i;
CREATE TABLE common.rank (sev text PRIMARY KEY, value integer);
INSERT INTO common.rank VALUES ('unknown', 0), ('low', 1), ('medium', 2), ('high', 3), ('unheard', 9);
ANALYZE common.known, common.cases, common.rank;
SQL
}

# Foreign tables and copies have these names; each has a table of the import,
# a server and a tenant.
our %FOREIGN = (
	alerts            => [ 'alerts',          'one' ],
	alerts_other      => [ 'alerts',          'other' ],
	alerts_b          => [ 'alerts',          'two' ],
	alert_evidence    => [ 'alert_evidence',  'one' ],
	device_evidence   => [ 'device_evidence', 'one' ],
	devices_other     => [ 'device_evidence', 'other' ],
	devices_b         => [ 'device_evidence', 'two' ],
	user_evidence     => [ 'user_evidence',   'one' ],
	file_evidence     => [ 'file_evidence',   'one' ],
	alert_comments    => [ 'alert_comments',  'one' ],
	comments_b        => [ 'alert_comments',  'two' ],
	incidents         => [ 'incidents',       'one' ],
	incidents_b       => [ 'incidents',       'two' ],
	incident_comments => [ 'incident_comments', 'one' ]);

# A partitioned table and views over them, in any schema that has them.
my $EVERY = 'tenant text, id text, title text, severity text, status text, service_source text, assigned_to text, created_date_time timestamptz';

sub derived_sql
{
	my ($class, $schema, $foreign) = @_;
	my $sql = "CREATE TABLE $schema.every_alert ($EVERY) PARTITION BY LIST (tenant);\n";

	foreach my $tenant (qw(a b))
	{
		my $server = $tenant eq 'a' ? 'one' : 'two';
		my $own = $EVERY =~ s/tenant text/tenant text OPTIONS (property 'tenantId')/r;
		$sql .= $foreign
		  ? "CREATE FOREIGN TABLE $schema.every_$tenant ($own) SERVER $server;\n"
		  : "CREATE TABLE $schema.every_$tenant AS SELECT tenant_id AS tenant, id, title, severity, status, service_source,"
		  . " assigned_to, created_date_time FROM $schema." . ($tenant eq 'a' ? 'alerts' : 'alerts_b') . ";\n";
		$sql .= "ALTER TABLE $schema.every_alert ATTACH PARTITION $schema.every_$tenant FOR VALUES IN ('$tenant');\n";
	}
	return $sql . <<"SQL";
CREATE TABLE $schema.every_local PARTITION OF $schema.every_alert FOR VALUES IN ('local', NULL);
INSERT INTO $schema.every_alert VALUES ('local', 'qa001', 'here', 'low', 'new', 'unknown', 'adele', '2026-07-20 10:00:00Z'),
	('local', 'l2', 'there', 'unheard', NULL, 'unknown', NULL, NULL), (NULL, 'l3', NULL, NULL, NULL, 'unknown', '', 'infinity');
SQL
}

# Views over the tables of a schema: all that are asked for in "high", and a
# union.  Made last, over what the schema shows.
sub views_sql
{
	my ($class, $schema) = @_;
	return <<"SQL";
CREATE VIEW $schema.high_alerts AS SELECT id, title, severity, status, created_date_time, last_update_date_time, assigned_to
	FROM $schema.alerts WHERE severity IN ('high', 'medium', 'low');
CREATE VIEW $schema.barred_alerts WITH (security_barrier) AS SELECT id, title, severity, status, created_date_time, assigned_to
	FROM $schema.alerts WHERE status <> 'resolved' OR length(title) > 8;
CREATE VIEW $schema.all_devices AS SELECT 'a' AS tenant, alert_id, ordinal, device_dns_name, alert_severity, alert_created_date_time FROM $schema.device_evidence
	UNION ALL SELECT 'b', alert_id, ordinal, device_dns_name, alert_severity, alert_created_date_time FROM $schema.devices_b
	UNION ALL SELECT 'w', key, n, host, sev, at FROM common.w;
CREATE VIEW $schema.alert_devices AS SELECT a.id, a.title, a.severity, a.created_date_time, e.ordinal, e.device_dns_name, e.verdict
	FROM $schema.alerts AS a LEFT JOIN $schema.device_evidence AS e ON e.alert_id = a.id;
SQL
}

#------------------------------------------------------------------------------
# Tables: which columns are of which kind
#------------------------------------------------------------------------------

my %ALERT = (
	key  => ['id'], id => 'id', count => 'alerts', owner => 'incident_id',
	word => [qw(severity status service_source classification determination)],
	text => [qw(assigned_to title category incident_id)],
	time => [qw(created_date_time created_date_time last_update_date_time first_activity_date_time)],
	more => [qw(mitre_techniques tenant_id description comments)]);
my %EVIDENCE = (
	key  => [qw(alert_id ordinal)], id => 'alert_id', owner => 'incident_id',
	word => [qw(alert_severity alert_status alert_service_source)],
	time => [qw(alert_created_date_time alert_last_update_date_time created_date_time)],
	int  => ['ordinal'],
	more => [qw(tags alert_title raw)]);
my %INCIDENT = (
	key  => ['id'], id => 'id', incident => 'id', like => 'incidents',
	word => [qw(severity status classification determination)],
	text => [qw(assigned_to display_name redirect_incident_id)],
	time => [qw(created_date_time created_date_time last_update_date_time)],
	more => [qw(custom_tags comments tenant_id)]);
my %TABLE = (
	incidents       => { %INCIDENT },
	incidents_b     => { %INCIDENT },
	incident_comments => { key => [qw(incident_id ordinal)], id => 'incident_id', incident => 'incident_id', like => 'incident_comments', int => ['ordinal'],
		word => [qw(incident_severity incident_status)], text => [qw(comment created_by_display_name)], time => [qw(incident_created_date_time created_date_time)], more => [qw(incident_display_name raw)] },
	alerts          => { %ALERT, like => 'alerts' },
	alerts_other    => { %ALERT, like => 'alerts' },
	alerts_b        => { %ALERT, like => 'alerts' },
	alert_evidence  => { %EVIDENCE, like => 'alert_evidence', text => [qw(evidence_type device_dns_name account_name verdict file_name)] },
	device_evidence => { %EVIDENCE, like => 'device_evidence', text => [qw(device_dns_name host_name risk_score verdict)] },
	devices_other   => { %EVIDENCE, like => 'device_evidence', text => [qw(device_dns_name host_name risk_score verdict)] },
	devices_b       => { %EVIDENCE, like => 'device_evidence', text => [qw(device_dns_name host_name risk_score verdict)] },
	user_evidence   => { %EVIDENCE, text => [qw(user_account_account_name verdict user_account_domain_name)] },
	file_evidence   => { %EVIDENCE, text => [qw(file_details_file_name verdict)], more => [qw(file_details_file_size)] },
	alert_comments  => { %EVIDENCE, like => 'alert_comments', text => [qw(comment created_by_display_name)], more => ['alert_title'] },
	comments_b      => { %EVIDENCE, like => 'alert_comments', text => [qw(comment created_by_display_name)], more => ['alert_title'] },
	every_alert     => { key => [qw(tenant id)], id => 'id', word => [qw(severity status service_source)], text => [qw(title tenant assigned_to)], time => ['created_date_time'] },
	odd_alerts      => { key => ['id'], id => 'id', like => 'odd_alerts', word => [qw(sev stat_domain)], text => [qw(who other)], time => [qw(made changed)], more => [qw(made_0 made_day made_local sev_pad sev_name stat_enum)] },
	barred_alerts   => { key => ['id'], id => 'id', word => [qw(severity status)], text => [qw(title assigned_to)], time => ['created_date_time'] },
	high_alerts     => { key => ['id'], id => 'id', word => [qw(severity status)], text => [qw(title assigned_to)], time => [qw(created_date_time last_update_date_time)] },
	all_devices     => { key => [qw(tenant alert_id ordinal)], id => 'alert_id', word => ['alert_severity'], text => [qw(device_dns_name tenant)], time => ['alert_created_date_time'], int => ['ordinal'] },
	alert_devices   => { key => [qw(id ordinal)], id => 'id', word => ['severity'], text => [qw(title device_dns_name verdict)], time => ['created_date_time'], int => ['ordinal'] },
	'common.w'      => { key => ['n'], id => 'key', word => [qw(sev stat)], text => [qw(who host)], time => ['at'], int => ['n'], small => 1 },
	'common.known'  => { key => ['n'], id => 'id', word => ['sev'], text => ['owner'], time => ['seen'], int => ['n'] },
	'common.cases'  => { key => ['n'], id => 'incident', incident => 'incident', word => ['sev'], text => ['owner'], time => ['seen'], int => ['n'], small => 1 },
	'common.rank'   => { key => ['sev'], word => ['sev'], text => ['sev'], int => ['value'], small => 1 });
my @ALERTS   = qw(alerts alerts alerts alerts alerts alerts_other alerts_other alerts_b alerts_b every_alert every_alert high_alerts odd_alerts barred_alerts);
my @EVIDENCE = qw(device_evidence device_evidence device_evidence alert_evidence alert_evidence user_evidence file_evidence
  alert_comments alert_comments devices_other devices_b comments_b all_devices alert_devices);
my @INCIDENTS = qw(incidents incidents incidents incident_comments incidents_b);
my @LOCAL = qw(common.w common.known common.known common.cases common.cases common.rank);

#------------------------------------------------------------------------------
# Pieces
#------------------------------------------------------------------------------

# Some of a list, in its order.
sub some
{
	my ($self, $percent, @list) = @_;
	return grep { $self->chance($percent) } @list;
}

sub any_table
{
	my ($self) = @_;
	my $way = $self->pick_number(100);
	return $self->pick($way < 36 ? @ALERTS : $way < 68 ? @EVIDENCE : $way < 83 ? @INCIDENTS : @LOCAL);
}

sub foreign_table
{
	my ($self) = @_;
	return $self->pick($self->chance(45) ? @ALERTS : $self->chance(70) ? @EVIDENCE : @INCIDENTS);
}

# A table with the next alias.
sub item
{
	my ($self, $table) = @_;
	return { alias => 't' . ++$self->{aliases}, spec => $TABLE{$table}, table => $table };
}

# A column of an item: of a kind, or of that one if it has none.
sub col
{
	my ($self, $item, @kinds) = @_;

	foreach my $kind (@kinds, qw(text word int))
	{
		my $names = $item->{spec}{$kind};
		next unless $names;
		my $name = ref $names ? $self->pick(@$names) : $names;
		@$self{qw(name incident)} = ($name, $item->{spec}{incident});
		$self->{table} = $item->{spec}{incident} ? 'incidents' : 'alerts';
		return "$item->{alias}.$name";
	}
	die "no column of $item->{alias}";
}

sub id_of
{
	my ($self, $item) = @_;
	return $item->{spec}{id} ? "$item->{alias}.$item->{spec}{id}" : undef;
}

sub key_of
{
	my ($item) = @_;
	return map { "$item->{alias}.$_" } @{ $item->{spec}{key} || [] };
}

# A value to compare with a column of a kind.
sub simple_value
{
	my ($self, $kind) = @_;
	my $literal = $kind eq 'int' ? $self->pick(1, 1, 2, 3, 5, 9) : $self->own_literal($kind);
	my %type = (int => 'integer', time => 'timestamptz');

	return $self->parameter($type{$kind} // 'text', $self->chance(10) ? 'NULL' : $literal)
	  if $self->{types} && $self->chance(50);
	return $literal if $kind eq 'int' || $self->chance(80);
	return "(SELECT $literal" . ($kind eq 'time' ? '::timestamptz' : '::text') . ' OFFSET 0)';
}

# GraphQueries knows what the columns hold, by the name of the one at hand.
sub own_literal
{
	my ($self, $kind) = @_;
	my $name = $self->{name} // '';

	return "'" . (1 + $self->pick_number(75)) . "'" if $kind =~ /^(id|owner)$/ && ($kind eq 'owner' || $self->{incident}) && $self->chance(85);
	return $self->literal('owner') if $kind eq 'owner' || ($kind eq 'text' && $name =~ /incident_id/);
	return "'" . sprintf('qa%03d', 1 + $self->pick_number(130)) . "'" if $kind eq 'id' && $self->chance(85);
	return $self->literal('key') if $kind eq 'id';
	return "'" . ($self->pick('adele', 'Zoë', 'a.exe', '') =~ s/'/''/gr) . "'" if $kind eq 'text' && $name =~ /account|file|owner/;
	return $self->literal($kind);
}

# A plain condition on one item.
sub simple
{
	my ($self, $item) = @_;
	my $kind = $self->pick(grep { $item->{spec}{$_} } qw(word word word time time text id id int owner owner));
	my $column = $self->col($item, $kind);
	my $way = $self->pick_number(100);

	return $self->pick("$column\::date", "date_trunc('hour', $column)", "($column AT TIME ZONE 'Asia/Tokyo')\::date", "$column + interval '1 day'")
	  . ' ' . $self->pick(qw(= < >=)) . ' (' . $self->simple_value($kind) . ')::date' if $kind eq 'time' && $self->chance(20);
	return "$column IS " . ($self->chance(50) ? 'NOT ' : '') . 'NULL' if $way < 8;
	return "$column = ANY (ARRAY(SELECT " . ($kind eq 'owner' || $item->{spec}{incident} ? 'i::text' : "'qa' || lpad(i::text, 3, '0')") . ' FROM generate_series(' . $self->pick(1, 90) . ', ' . $self->pick(3, 60, 200) . ') AS i))' if $way < 14 && $kind =~ /^(id|owner)$/;
	return "$column " . $self->pick('IN', 'IN', 'NOT IN') . ' (' . join(', ', map { $self->simple_value($kind) } 0 .. $self->pick(1, 2, 4)) . ')' if $way < 28;
	return "$column = ANY (ARRAY[" . join(', ', map { $self->simple_value($kind) } 0 .. $self->pick(1, 2, 4)) . '])' if $way < 33 && $kind ne 'time';
	return "$column IS " . $self->pick('', 'NOT ') . 'DISTINCT FROM ' . $self->simple_value($kind) if $way < 40;
	return "$column BETWEEN " . $self->simple_value($kind) . ' AND ' . $self->simple_value($kind) if $way < 48 && $kind =~ /time|int/;
	return "length($column) > " . $self->pick(3, 6) if $way < 50 && $kind eq 'text';
	return "$column " . ($kind =~ /time|int/ ? $self->pick(qw(= < <= > >= <>)) : $self->pick(qw(= = = = <>))) . ' ' . $self->simple_value($kind);
}

# Members of enums that the service filters by in any case.
my %MEMBER = (
	severity       => [qw(unknown informational low medium high)],
	status         => [qw(new inProgress resolved)],
	incident_status => [qw(active inProgress resolved redirected)],
	service_source => [qw(microsoftDefenderForEndpoint microsoft365Defender dataLossPrevention)],
	classification => [qw(falsePositive truePositive)],
	determination  => [qw(apt malware phishing)]);

# Many arms, too long for some request; mostly such that the service knows all.
sub arms
{
	my ($self, $item) = @_;
	my @names = @{ $item->{spec}{word} };
	my $count = $self->pick(3, 12, 24, 24, 40);
	my $known = $self->chance(75);

	@names = @names[ 0 .. ($#names < 2 ? $#names : 2) ];
	return '(' . join(' OR ', map { $self->arm($item, $known, @names) } 1 .. $count) . ')';
}

sub arm
{
	my ($self, $item, $known, @names) = @_;
	my @clauses;

	foreach my $name (@names)
	{
		$self->{name} = $name;
		my $members = $MEMBER{ ($item->{spec}{incident} && $name =~ /status/ ? 'incident_' : '') . $name =~ s/^(alert|incident)_//r };
		push @clauses, "$item->{alias}.$name = " . ($known && $members ? "'" . $self->pick(@$members) . "'" : $self->literal('word'));
	}
	return '(' . join(' AND ', @clauses) . ')';
}

# A condition that looks into another table.
sub looking
{
	my ($self, $item) = @_;
	my $other = $self->item($self->any_table);
	my $table = "$other->{table} AS $other->{alias}";
	my $on = $self->on($item, $other, 1);
	my $where = $self->chance(60) ? ' AND ' . $self->simple($other) : '';
	my ($id, $their) = ($self->id_of($item), $self->id_of($other));

	return "($id, $item->{alias}.ordinal) " . $self->pick('IN', 'NOT IN') . " (SELECT $their, $other->{alias}.ordinal FROM $table WHERE $their IS NOT NULL$where)"
	  if $id && $their && $self->chance(25) && 2 == grep { grep { $_ eq 'ordinal' } @{ $_->{spec}{key} || [] } } $item, $other;
	if ($id && $their && $self->chance(45))
	{
		my $list = "(SELECT $their FROM $table WHERE TRUE$where)";
		return $self->pick("$id IN $list", "$id IN $list", "$id = ANY $list",
			"$id NOT IN (SELECT $their FROM $table WHERE $their IS NOT NULL$where)", "$id NOT IN $list",
			"$id <> ALL (SELECT $their FROM $table WHERE $their IS NOT NULL$where)",
			"($id = ANY (ARRAY$list))", "($id IN $list OR " . $self->simple($item) . ')', "($id IN $list) IS NOT TRUE");
	}
	my $what = $self->pick('', 1, '*', $self->col($other, 'time'));
	my $exists = "EXISTS (SELECT $what FROM $table WHERE $on$where)";
	return $self->pick($exists, $exists, "NOT $exists", "NOT $exists", "($exists OR " . $self->simple($item) . ')',
		"(SELECT count(*) FROM $table WHERE $on$where) " . $self->pick('> 1', '= 0', '= 1'))
	  if !$item->{spec}{time} || !$other->{spec}{time} || $self->chance(80);
	return $self->col($item, 'time') . ' ' . $self->pick('=', '>=', '<') . ' (SELECT ' . $self->pick('min', 'max') . '('
	  . $self->col($other, 'time') . ") FROM $table WHERE $on$where)";
}

# A condition on one of the items, or between them.
sub condition
{
	my ($self, @items) = @_;
	my $item = $self->pick(@items);
	my $way = $self->pick_number(100);

	return $self->where($item->{spec}{like}, $item->{alias}, $self->pick(0, 0, 1, 2)) if $item->{spec}{like} && $way < 25;
	return $self->looking($item) if $way < 42 && !$self->{plain};
	return '(' . $self->simple($item) . ' OR ' . $self->simple($self->pick(@items)) . ')' if $way < 50;
	return 'NOT (' . $self->simple($item) . ' AND ' . $self->simple($self->pick(@items)) . ')' if $way < 54;
	return $self->arms($item) if $way < 57 && $item->{spec}{like};
	if (@items > 1 && $way < 66)
	{
		my $other = $self->pick(grep { $_ != $item } @items);
		my $kind = $self->shared($item, $other, qw(word text));
		return $self->col($item, $kind) . ' ' . $self->pick('=', '<>', 'IS DISTINCT FROM', '<') . ' ' . $self->col($other, $kind) if $kind;
	}
	return $self->pick(map { "$_ IS NULL" } key_of($item)) if $way < 72 && @items > 1 && key_of($item);
	return $self->simple($item);
}

# One of some kinds that both items have columns of.
sub shared
{
	my ($self, $left, $right, @kinds) = @_;

	@kinds = grep { $left->{spec}{$_} && $right->{spec}{$_} } @kinds;
	return @kinds ? $self->pick(@kinds) : undef;
}

# An incident's id is what alerts and their evidence have as theirs.
sub linked
{
	my ($self, $incident, $other) = @_;
	my $its = $incident->{spec}{incident};

	return unless $its && $other->{spec}{owner};
	return "$incident->{alias}.$its = $other->{alias}.$other->{spec}{owner}" if $self->chance(50);
	return "$other->{alias}.$other->{spec}{owner} = $incident->{alias}.$its";
}

# How two items are joined.  What is not by their keys gives many rows, and is
# noted.
sub on
{
	my ($self, $left, $right, $by_key) = @_;
	my ($one, $two) = ($self->id_of($left), $self->id_of($right));
	my $way = $self->pick_number(100);

	# incidents and what is of them
	if (my $link = $self->linked($left, $right) // $self->linked($right, $left))
	{
		return $link if $by_key || $way < 90;
	}
	if ($one && $two && ($by_key ? $way < 92 : $way < 80))
	{
		my $on = $self->chance(50) ? "$one = $two" : "$two = $one";
		$on .= " AND $left->{alias}.ordinal = $right->{alias}.ordinal"
		  if $self->chance(25) && grep({ $_ eq 'ordinal' } @{ $left->{spec}{int} || [] }) && grep { $_ eq 'ordinal' } @{ $right->{spec}{int} || [] };
		my ($parent) = grep { my $name = $_; grep { $_ eq "alert_$name" } @{ $right->{spec}{word} || [] } } @{ $left->{spec}{word} || [] };
		$on .= " AND $left->{alias}.$parent = $right->{alias}.alert_$parent" if $parent && $self->chance(15);
		return $on;
	}
	return "lower($one) = $two" if $one && $two && $self->chance(20);
	return "$one\::varchar = $two AND " . $self->simple($right) if $one && $two && $self->chance(15);
	$self->{big}++ unless $left->{spec}{small} || $right->{spec}{small};
	my $kind = $self->shared($left, $right, qw(word word text time));
	return $self->col($left, $kind) . ' = ' . $self->col($right, $kind) if $kind;
	return $self->col($left, 'text') . '::text = ' . $self->col($right, 'text') . '::text';
}

# A table, or what stands for one.
sub relation
{
	my ($self) = @_;
	my $way = $self->pick_number(100);

	return $self->sub_query if $way < 9;
	return $self->grouped_leaf if $way < 13;
	return $self->values_leaf if $way < 16;
	my $item = $self->item($self->any_table);
	$item->{sql} = "$item->{table} AS $item->{alias}";
	return $item;
}

# (SELECT some columns FROM table WHERE ...) AS alias; correlated with an outer
# item, if there is one.
sub sub_query
{
	my ($self, $outer) = @_;
	my $inner = $self->item($outer ? $self->foreign_table : $self->any_table);
	my $spec = $inner->{spec};
	my %columns = map { $_ => [ $self->some(60, @{ $spec->{$_} || [] }) ] } qw(word text time int);
	my %kept = map { @{ $columns{$_} } ? ($_ => $columns{$_}) : () } keys %columns;
	my %seen;
	my @names = grep { !$seen{$_}++ } @{ $spec->{key} }, $spec->{id} // (), map { @{ $columns{$_} } } qw(word text time int);
	my $shared = $outer && $self->chance(30) ? $self->shared($outer, $inner, qw(word word time)) : undef;
	my @where = ($shared ? $self->col($inner, $shared) . $self->pick(' = ', ' = ', ' <= ') . $self->col($outer, $shared) : $outer ? $self->on($outer, $inner, 1) : (), $self->chance(60) ? $self->simple($inner) : ());
	my $order = join ', ', key_of($inner);
	$self->{big}++ if $shared;
	my $end = $self->pick('', '', ' OFFSET 0', " ORDER BY $order LIMIT " . $self->pick(1, 3, 20), $outer ? " ORDER BY $order LIMIT 1" : " ORDER BY $order OFFSET 2");
	my $alias = 't' . ++$self->{aliases};

	$kept{word} //= $kept{text} // [ $spec->{key}[0] ] unless $kept{text};
	return { alias => $alias, spec => { %kept, key => $spec->{key}, id => $spec->{id}, incident => $spec->{incident} },
		sql => ($outer ? 'LATERAL ' : '') . '(SELECT ' . ($self->chance(10) ? 'DISTINCT ' : '') . join(', ', map { "$inner->{alias}.$_" } @names)
		  . " FROM $inner->{table} AS $inner->{alias}" . (@where ? ' WHERE ' . join(' AND ', @where) : '') . "$end) AS $alias" };
}

# The elements of an array of alerts, now and then.
sub unnested
{
	my ($self, @outer) = @_;
	my @alerts = grep { $_->{table} && grep { $_ eq 'mitre_techniques' } @{ $_->{spec}{more} || [] } } @outer;
	return unless @alerts && $self->chance(15);
	my $alert = $self->pick(@alerts);
	my $alias = 't' . ++$self->{aliases};

	return { alias => $alias, spec => { key => ['n'], int => ['n'], text => ['v'], small => 1 },
		sql => 'LATERAL ' . $self->pick("unnest($alert->{alias}.mitre_techniques) WITH ORDINALITY AS $alias (v, n)",
			"(SELECT e->>'\@odata.type', n FROM jsonb_array_elements($alert->{alias}.evidence) WITH ORDINALITY AS x (e, n)) AS $alias (v, n)") };
}

sub grouped_leaf
{
	my ($self) = @_;
	my $inner = $self->item($self->foreign_table);
	my $alias = 't' . ++$self->{aliases};
	my $where = $self->chance(50) ? ' WHERE ' . $self->simple($inner) : '';

	return { alias => $alias, spec => { key => ['id'], id => 'id', int => ['n'], time => ['t'], text => ['id'], incident => $inner->{spec}{incident} && 'id' },
		sql => '(SELECT ' . $self->id_of($inner) . ' AS id, count(*) AS n, max(' . $self->col($inner, 'time')
		  . ") AS t FROM $inner->{table} AS $inner->{alias}$where GROUP BY 1) AS $alias" };
}

sub values_leaf
{
	my ($self) = @_;
	my $alias = 't' . ++$self->{aliases};
	my $n = 0;
	my $incident = $self->{incident} = $self->chance(25) ? 'id' : undef;
	my $rows = join ', ', map { '(' . ++$n . ', ' . $self->own_literal('id') . ')' } 0 .. $self->pick(1, 3, 20);

	return { alias => $alias, spec => { key => ['n'], id => 'id', int => ['n'], text => ['id'], incident => $incident, small => $n < 5 },
		sql => "(VALUES $rows) AS $alias (n, id)" };
}

# Something of a few rows.
sub small_leaf
{
	my ($self) = @_;
	return $self->values_leaf if $self->chance(40);
	my $inner = $self->item($self->pick('alerts', 'alerts_b', 'device_evidence', 'common.w', 'common.rank'));
	my $alias = 't' . ++$self->{aliases};
	my @key = @{ $inner->{spec}{key} };
	my $columns = join ', ', map { "$inner->{alias}.$_" } @key;
	my $id = $inner->{spec}{id};
	my $where = $id && $id ne 'key' && $self->chance(50) ? "WHERE $inner->{alias}.$id IN ('qa001', 'qa002', " . $self->own_literal('id') . ')' : '';

	return { alias => $alias, spec => { key => \@key, ($key[0] eq 'n' ? 'int' : 'text') => [ $key[0] ], small => 1 },
		sql => "(SELECT $columns FROM $inner->{table} AS $inner->{alias} $where ORDER BY $columns LIMIT " . $self->pick(1, 3, 5) . ") AS $alias" };
}

# A FROM clause of some items: its text and the items.
sub tree
{
	my ($self, $count) = @_;

	if ($count == 1)
	{
		my $leaf = $self->relation;
		return ($leaf->{sql}, $leaf);
	}
	my $right_count = $self->chance(70) ? 1 : 1 + $self->pick_number($count - 1);
	my ($left, @left) = $self->tree($count - $right_count);
	my $way = $self->pick_number(100);

	if ($way < 6)
	{
		my $small = $self->small_leaf;
		return ("$left CROSS JOIN $small->{sql}", @left, $small);
	}
	if ($way < 15)
	{
		my $lateral = $self->unnested(@left) // $self->sub_query($self->pick(@left));
		return ($self->chance(50) ? "$left CROSS JOIN $lateral->{sql}" : "$left LEFT JOIN $lateral->{sql} ON " . $self->pick('TRUE', 'TRUE', $self->simple($lateral)), @left, $lateral);
	}
	my ($right, @right) = $self->tree($right_count);
	my $kind = $self->pick(qw(JOIN JOIN JOIN LEFT LEFT LEFT RIGHT RIGHT FULL));
	if (@left == 1 && @right == 1 && $self->chance(12) && ($left[0]{spec}{id} // '') eq ($right[0]{spec}{id} // '-'))
	{
		return ("$left " . ($kind eq 'JOIN' ? '' : "$kind ") . "JOIN $right USING ($left[0]{spec}{id})", @left, @right);
	}
	my $on = $self->on($self->pick(@left), $self->pick(@right));
	$on .= ' AND ' . $self->condition(@left, @right) if $kind ne 'FULL' && $self->chance(25);
	$on .= ' AND ' . $self->on($self->pick(@left), $self->pick(@right)) if $kind ne 'FULL' && $self->chance(8);
	$right = "($right)" if $right_count > 1;
	return ("$left " . ($kind eq 'JOIN' ? 'JOIN' : "$kind JOIN") . " $right ON $on", @left, @right);
}

#------------------------------------------------------------------------------
# SELECT
#------------------------------------------------------------------------------

# Columns of some of the items: none, one or several of each.
sub shown
{
	my ($self, @items) = @_;
	my @list;

	foreach my $item (@items)
	{
		next if @items > 1 && $self->chance(40);
		push @list, $self->some(60, key_of($item));
		push @list, $self->col($item, $_) foreach $self->some(35, qw(word text time int more));
	}
	push @list, $self->computed_of($self->pick(@items)) if $self->chance(25);
	return @list ? @list : $self->col($self->pick(@items), $self->pick(qw(word text time id)));
}

sub computed_of
{
	my ($self, $item) = @_;
	my $word = $self->col($item, 'word');
	my $time = $self->col($item, 'time', 'word');
	my $other = $self->item($self->foreign_table);
	my $on = $self->on($item, $other, 1);
	my $from = "FROM $other->{table} AS $other->{alias} WHERE $on";

	return "CASE WHEN $word\::text = 'high' THEN 1 ELSE 2 END" if $self->{plain} || $self->chance(40);
	return $self->pick(
		"(SELECT count(*) $from)",
		"(SELECT count(*) $from AND " . $self->simple($other) . ')',
		'(SELECT max(' . $self->col($other, 'time') . ") $from)",
		'(SELECT ' . $self->col($other, 'word') . " $from ORDER BY " . join(', ', key_of($other)) . ' LIMIT 1)',
		"EXISTS (SELECT $from)",
		"$item->{alias} IS NULL",
		"$item->{alias} IS NOT NULL",
		"to_jsonb($item->{alias}) IS NULL",
		"md5((to_jsonb($item->{alias}) - 'raw')::text)",
		"ARRAY(SELECT " . $self->col($other, 'text') . " $from ORDER BY 1)",
		"COALESCE($time\::text, $word\::text, 'none')");
}

# FROM and WHERE.
sub body
{
	my ($self, $count) = @_;
	my ($from, @items) = $self->tree($count // $self->pick(1, 1, 2, 2, 2, 2, 3, 3, 4));
	my @where = map { $self->condition(@items) } 1 .. $self->pick(0, 0, 1, 1, 2, 3);

	return ("FROM $from" . (@where ? ' WHERE ' . join(' AND ', @where) : ''), @items);
}

# All keys of the items, by which every order is total; none, if one has none.
sub total
{
	my ($self, @items) = @_;
	return join ', ', map { key_of($_) } @items;
}

# A SELECT that is wrapped if it could give too many rows.
sub select_plain
{
	my ($self, $count) = @_;
	my ($body, @items) = $self->body($count);
	$body .= $self->pick(' FOR UPDATE', ' FOR SHARE') if $self->chance(8) && $body !~ /LEFT|RIGHT|FULL/ && !grep { !$_->{table} || $_->{table} =~ /all_devices|alert_devices/ } @items;
	return $self->bounded('SELECT ' . join(', ', $self->shown(@items)) . " $body");
}

sub bounded
{
	my ($self, $select) = @_;
	return $select unless $self->{big};
	my $columns = "md5(q::text)";
	return "SELECT count(*), sum(('x' || left($columns, 8))::bit(32)::bigint) FROM ($select) AS q";
}

# Rows that many arms keep.
sub select_arms
{
	my ($self) = @_;
	my $item = $self->item($self->pick(qw(alerts alerts alerts_b alert_evidence device_evidence alert_comments incidents incidents)));
	my $where = $self->arms($item);
	return 'SELECT ' . $self->pick(('count(*)') x 3, "count(*), max($item->{alias}.$item->{spec}{time}[0])", join(', ', key_of($item)))
	  . " FROM $item->{table} AS $item->{alias} WHERE $where" . ($self->chance(25) ? ' AND ' . $self->simple($item) : '');
}

sub select_count
{
	my ($self) = @_;
	my ($body, @items) = $self->body($self->pick(1, 1, 2, 2, 3));
	my $item = $self->pick(@items);
	my $text = $self->col($item, 'text', 'word');
	return 'SELECT ' . $self->pick(('count(*)') x 5, "count($text)", "count($item->{alias})", "count(*), count($text), count(DISTINCT $text)",
		'count(*) FILTER (WHERE ' . $self->condition(@items) . '), count(*)',
		'bool_or(' . $self->simple($item) . '), count(*)',
		'min(' . $self->col($item, 'time') . '), max(' . $self->col($item, 'time') . ')',
		"md5(array_agg($text ORDER BY " . $self->total(@items) . ')::text), percentile_disc(0.5) WITHIN GROUP (ORDER BY ' . $self->col($item, 'time') . ')',
		'max(' . $self->col($item, 'time') . ')') . " $body";
}

sub select_grouped
{
	my ($self) = @_;
	my ($body, @items) = $self->body;
	my %seen;
	my @by = grep { !$seen{$_}++ } map { $self->col($self->pick(@items), $self->pick(qw(word word text time int))) } 1 .. $self->pick(1, 1, 2, 3);
	my $item = $self->pick(@items);
	my @aggregates = $self->some(50, 'count(*)', 'count(*) FILTER (WHERE ' . $self->simple($item) . ')', 'count(DISTINCT ' . $self->col($item, 'text') . ')',
		'min(' . $self->col($item, 'time') . ')', 'max(' . $self->col($item, 'word') . ')');
	my $group = join ', ', @by;
	$group = $self->pick("ROLLUP ($group)", "CUBE ($group)", 'GROUPING SETS ((' . join('), (', @by) . '), ())') if $self->chance(20);
	my $having = $self->chance(25) ? ' HAVING ' . $self->pick('count(*) > 1', 'count(*) = 1', "min($by[0]\::text) IS NOT NULL", 'count(*) > (SELECT count(*) / 10 FROM common.w)') : '';
	my $select = 'SELECT ' . join(', ', $self->chance(90) ? @by : $by[0], @aggregates) . " $body GROUP BY $group$having";

	return $select unless $self->chance(20);
	return "SELECT count(*), sum(c) FROM (SELECT count(*) AS c $body GROUP BY $group$having) AS q";
}

sub select_distinct
{
	my ($self) = @_;
	my ($body, @items) = $self->body;
	my $column = $self->col($self->pick(@items), $self->pick(qw(word text time)));
	my $total = $self->total(@items);

	return "SELECT DISTINCT $column, " . $self->col($self->pick(@items), 'word') . " $body" if $self->chance(50);
	my @shown = $self->shown(@items);
	return $self->bounded("SELECT DISTINCT ON ($column) $column, " . join(', ', @shown)
		. " $body ORDER BY $column" . $self->pick('', ' DESC', ' NULLS FIRST') . ", $total");
}

sub select_window
{
	my ($self) = @_;
	my ($body, @items) = $self->body;
	my $by = $self->col($self->pick(@items), $self->pick(qw(word text)));
	my $time = $self->col($self->pick(@items), 'time', 'word');
	my $total = $self->total(@items);
	my $window = $self->pick(
		"row_number() OVER (PARTITION BY $by ORDER BY $total)",
		"row_number() OVER (ORDER BY $time DESC, $total)",
		"rank() OVER (PARTITION BY $by ORDER BY $time)",
		"dense_rank() OVER (ORDER BY $time)",
		"count(*) OVER (PARTITION BY $by)",
		'count(*) OVER ()',
		"lag($time) OVER (ORDER BY $total)",
		"first_value($time) OVER (PARTITION BY $by ORDER BY $time DESC, $total)",
		"count(*) FILTER (WHERE " . $self->simple($self->pick(@items)) . ") OVER (PARTITION BY $by ORDER BY $total ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)");
	my $select = 'SELECT ' . join(', ', $self->shown(@items)) . ", $window AS w $body";

	$select = "SELECT * FROM ($select) AS x WHERE w " . $self->pick('= 1', '<= 3')
	  if $window =~ /^(?:row_number|rank|dense_rank|count)/ && $self->chance(25);
	return $self->bounded($select);
}

# One that is sorted by a total order; the second result says so.
sub select_sorted
{
	my ($self) = @_;
	my ($body, @items) = $self->body($self->pick(1, 1, 1, 2, 2, 3));
	my @by = map { $self->col($self->pick(@items), $self->pick(qw(time time time word text))) . $self->pick('', '', ' DESC', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST') } 1 .. $self->pick(0, 1, 1, 1, 2);
	my $order = join ', ', @by, $self->total(@items);
	my $limit = $self->pick('', map({ " LIMIT $_" } 1, 3, 10, 50), ' LIMIT (SELECT 4)', ' FETCH FIRST 6 ROWS ONLY');
	my $offset = $self->chance(25) ? ' OFFSET ' . $self->pick(1, 4, 30) : '';
	$limit = $self->{big} && $limit eq '' ? ' LIMIT 100' : $limit;
	return ('SELECT ' . join(', ', $self->shown(@items)) . " $body ORDER BY $order$offset$limit", 'order');
}

# LIMIT where only the number of rows counts, or equals are all taken.
sub select_limited
{
	my ($self) = @_;
	my ($body, @items) = $self->body($self->pick(1, 1, 2, 2, 3));
	my $limit = $self->pick(0, 1, 2, 5, 40);
	my $time = $self->col($self->pick(@items), $self->pick(qw(time time word)), 'word');

	return $self->pick(
		"SELECT count(*) FROM (SELECT " . join(', ', $self->shown(@items)) . " $body LIMIT $limit) AS q",
		"SELECT count(*) FROM (SELECT $body OFFSET 2 LIMIT $limit) AS q",
		"SELECT EXISTS (SELECT $body)",
		"SELECT count(*) FROM (SELECT DISTINCT $time $body LIMIT $limit) AS q",
		"SELECT $time $body ORDER BY 1 DESC LIMIT $limit",
		"SELECT $time $body ORDER BY 1 LIMIT $limit",
		$self->bounded("SELECT $time, " . join(', ', $self->shown(@items)) . " $body ORDER BY $time" . $self->pick('', ' DESC') . " FETCH FIRST $limit ROWS WITH TIES"));
}

sub select_set
{
	my ($self) = @_;
	my @arms = map {
		my ($body, @items) = $self->body($self->pick(1, 1, 2));
		my $item = $self->pick(@items);
		'SELECT ' . join(', ', map { $self->col($item, $_) . '::text' } qw(id word)) . " $body"
	} 1 .. $self->pick(2, 2, 3);
	my $sql = shift @arms;
	$sql = "($sql) " . $self->pick('UNION', 'UNION ALL', 'UNION ALL', 'EXCEPT', 'EXCEPT ALL', 'INTERSECT', 'INTERSECT ALL') . " ($_)" foreach @arms;
	return $self->pick($sql, "SELECT count(*) FROM ($sql) AS q", "SELECT q.*, r.value FROM ($sql) AS q (k, v) LEFT JOIN common.rank AS r ON r.sev = q.v",
		"SELECT v, count(*) FROM ($sql) AS q (k, v) WHERE k = 'qa001' OR v = 'low' GROUP BY 1") unless $self->{big};
	return "SELECT v, count(*) FROM ($sql) AS q (k, v) GROUP BY 1";
}

sub select_cte
{
	my ($self) = @_;
	my ($body, @items) = $self->body($self->pick(1, 1, 2, 2));
	my $item = $self->pick(@items);
	my $inner = 'SELECT ' . join(', ', $self->col($item, 'id') . '::text AS k', $self->col($item, 'word') . '::text AS v', $self->col($item, 'time', 'word') . '::text AS t') . " $body";
	my $other = $self->item($self->foreign_table);
	my $how = $self->pick('', '', 'MATERIALIZED', 'NOT MATERIALIZED', 'NOT MATERIALIZED');
	my $their = $self->id_of($other);

	return "WITH c AS $how ($inner) " . ($self->{big}
		? $self->pick('SELECT v, count(*) FROM c GROUP BY 1', 'SELECT count(*) FROM c UNION ALL SELECT count(*) FROM c WHERE t IS NULL')
		: $self->pick(
			'SELECT * FROM c UNION ALL SELECT max(k), min(v), NULL FROM c',
			'SELECT c.k, count(*) FROM c JOIN c AS d ON d.k = c.k GROUP BY 1',
			'SELECT c.v, count(*) FROM c LEFT JOIN c AS d ON d.k = c.k AND d.v <> c.v GROUP BY 1',
			"SELECT c.k, $their FROM c LEFT JOIN $other->{table} AS $other->{alias} ON $their = c.k",
			"SELECT count(*) FROM $other->{table} AS $other->{alias} WHERE $their IN (SELECT k FROM c) AND NOT EXISTS (SELECT FROM c WHERE c.k = $their AND c.v = 'low')",
			"SELECT c.k, c.v FROM c WHERE c.v = 'high' OR c.k IN (SELECT $their FROM $other->{table} AS $other->{alias} WHERE " . $self->simple($other) . ')',
			'SELECT (SELECT count(*) FROM c), v FROM c GROUP BY v'));
}

# What the use of links by one another needs: an order of ids, step by step.
sub select_recursive
{
	my ($self) = @_;
	my $item = $self->item($self->pick(qw(alerts alerts_b high_alerts)));
	my $where = $self->simple($item);
	return "WITH RECURSIVE r (n, id) AS (SELECT 1, min($item->{alias}.id) FROM $item->{table} AS $item->{alias} WHERE $where"
	  . " UNION ALL SELECT r.n + 1, (SELECT min($item->{alias}.id) FROM $item->{table} AS $item->{alias} WHERE $where AND $item->{alias}.id > r.id) FROM r WHERE r.id IS NOT NULL AND r.n < 8)"
	  . ' SELECT n, id FROM r';
}

# Any SELECT, and how its rows are compared.
sub any_select
{
	my ($self) = @_;
	my $method = $self->pick(('select_plain') x 7, ('select_count') x 5, ('select_grouped') x 4, 'select_distinct', ('select_window') x 2,
		('select_sorted') x 4, ('select_limited') x 2, ('select_set') x 2, ('select_cte') x 2, 'select_arms', ($self->chance(30) ? 'select_recursive' : 'select_plain'));
	my ($select, $compare) = $self->$method;
	return ($select, $compare // 'rows', $method =~ s/select_//r);
}

#------------------------------------------------------------------------------
# Statements of other kinds
#------------------------------------------------------------------------------

sub prepared
{
	my ($self) = @_;

	$self->{types} = [];
	$self->{values} = [];
	my ($select, $compare, $kind) = $self->any_select;
	my $types = @{ $self->{types} } ? ' (' . join(', ', @{ $self->{types} }) . ')' : '';
	my @executions = ($self->{values});
	foreach (1 .. $self->pick(0, 1, 1, 2, $self->chance(30) ? 6 : 1))
	{
		push @executions, [ map { $self->another_value($self->{types}[$_], $self->{values}[$_]) } 0 .. $#{ $self->{types} } ];
	}
	push @{ $self->{settings} }, 'SET plan_cache_mode = ' . $self->pick(qw(auto force_generic_plan force_generic_plan force_custom_plan));
	return ("prepared $kind", $compare, "PREPARE p$types AS $select", (map { 'EXECUTE p' . (@$_ ? ' (' . join(', ', @$_) . ')' : '') } @executions));
}

sub another_value
{
	my ($self, $type, $value) = @_;

	return 'NULL' if $self->chance(15);
	return $value if $type =~ /\[\]/ || $self->chance(30);
	return $self->pick(1, 2, 7) if $type eq 'integer';
	return $self->literal('time') . "::$type" if $type =~ /^(timestamp|date)/;
	$self->{name} = $self->pick(qw(severity status host title who));
	return $self->own_literal($self->pick(qw(word word id text)));
}

sub cursors
{
	my ($self) = @_;
	my ($select, $compare, $kind) = $self->any_select;

	# there and back again, where one order only is right
	if ($compare eq 'order' && $self->chance(60))
	{
		return ("scroll $kind", 'order', "DECLARE c SCROLL CURSOR FOR $select", 'FETCH 3 FROM c', 'FETCH ALL FROM c', 'FETCH BACKWARD 4 FROM c',
			'MOVE ABSOLUTE 1 FROM c', 'FETCH 2 FROM c', 'FETCH LAST FROM c', 'FETCH FIRST FROM c', 'CLOSE c');
	}
	if ($self->chance(35))
	{
		return ("holdable $kind", $compare eq 'order' ? 'order' : 'all', "DECLARE c CURSOR WITH HOLD FOR $select", 'FETCH ' . $self->pick(1, 7) . ' FROM c', 'COMMIT', 'FETCH 5 FROM c', 'FETCH ALL FROM c', 'CLOSE c')
		  if $self->chance(60);
		return ("cursor $kind", $compare eq 'order' ? 'order' : 'all', "DECLARE c CURSOR FOR $select", (map { 'FETCH ' . $self->pick(1, 2, 7, 40) . ' FROM c' } 1 .. 3), 'FETCH ALL FROM c');
	}

	# several, each a step at a time
	my @selects = map { $self->cursor_select($_) } 1 .. $self->pick(2, 2, 3);
	my @steps = map { 'FETCH ' . $self->pick(1, 1, 3, 7, 25) . ' FROM c' . (1 + $self->pick_number(scalar @selects)) } 1 .. $self->pick(6, 14, 30);
	my @rest = map { "FETCH ALL FROM c$_" } 1 .. @selects;
	return ('interleaved', 'all', (map { "DECLARE c$_ CURSOR FOR $selects[$_ - 1]" } 1 .. @selects), @steps, $self->chance(50) ? reverse @rest : @rest);
}

sub cursor_select
{
	my ($self, $number) = @_;
	local $self->{big} = 0;
	my ($body, @items) = $self->chance(60) ? $self->family : $self->body($self->pick(1, 1, 2));
	return "SELECT $number, " . join(', ', $self->shown(@items)) . " $body" unless $self->{big};
	return "SELECT $number, count(*) $body";
}

# Rows of evidence, alone or with their alerts.
sub family
{
	my ($self) = @_;
	return $self->incident_family if $self->chance(25);
	my $item = $self->item($self->pick(qw(device_evidence device_evidence alert_evidence alert_comments devices_other devices_b)));
	my $alert = $self->item($item->{table} =~ /_b$/ ? 'alerts_b' : $item->{table} =~ /other/ ? 'alerts_other' : 'alerts');
	my $where = $self->chance(40) ? ' WHERE ' . $self->simple($item) : '';
	return ("FROM $item->{table} AS $item->{alias}$where", $item) if $self->chance(60);
	return ("FROM $alert->{table} AS $alert->{alias} " . $self->pick('JOIN', 'LEFT JOIN') . " $item->{table} AS $item->{alias} ON $item->{alias}.alert_id = $alert->{alias}.id$where", $alert, $item);
}

# What there is of incidents: with these, or by their ids alone.
sub incident_family
{
	my ($self) = @_;
	my $item = $self->item($self->pick(qw(alerts alerts device_evidence alert_evidence alert_comments alerts_other incident_comments)));
	my $incident = $self->item('incidents');
	my $on = $item->{table} eq 'incident_comments' ? "$incident->{alias}.id = $item->{alias}.incident_id" : $self->linked($incident, $item);
	my $ids = join ', ', map { $self->own_literal('owner') } 1 .. $self->pick(1, 1, 2, 5);

	return ("FROM $item->{table} AS $item->{alias} WHERE $item->{alias}.incident_id IN ($ids)" . ($self->chance(30) ? ' AND ' . $self->simple($item) : ''), $item) if $self->chance(50);
	return ("FROM incidents AS $incident->{alias} " . $self->pick('JOIN', 'LEFT JOIN') . " $item->{table} AS $item->{alias} ON $on WHERE " . $self->pick("$incident->{alias}.id IN ($ids)", $self->simple($incident)), $incident, $item);
}

# A function of a session that queries while another scan is open.
sub loops
{
	my ($self) = @_;
	my $item = $self->item($self->pick(qw(device_evidence device_evidence alert_evidence alert_comments devices_other devices_b all_devices)));
	my $outer = "SELECT $item->{alias}.alert_id AS k, $item->{alias}.ordinal AS o, " . $self->col($item, 'text') . " AS x FROM $item->{table} AS $item->{alias}"
	  . ($self->chance(60) ? ' WHERE ' . $self->simple($item) : '');
	my $alerts = $self->pick(qw(alerts alerts alerts_other alerts_b high_alerts));
	my $devices = $self->pick(qw(device_evidence devices_other alert_evidence devices_b));
	my $b = $self->item($self->pick(qw(alerts_b alert_comments devices_b alerts)));
	my $second = 'SELECT ' . join(" || '/' || ", map { "COALESCE($_\::text, '')" } key_of($b)) . " FROM $b->{table} AS $b->{alias}" . ($self->chance(40) ? ' WHERE ' . $self->simple($b) : '');
	my $function = sub {
		my ($declare, $code, $returns) = @_;
		return 'CREATE FUNCTION pg_temp.f() RETURNS ' . ($returns // 'SETOF text') . " LANGUAGE plpgsql AS \$f\$ DECLARE $declare; BEGIN $code END \$f\$";
	};
	my $look = $self->pick(
		"SELECT title INTO x FROM $alerts WHERE id = r.k;",
		"SELECT string_agg(COALESCE(device_dns_name, '-'), ',' ORDER BY ordinal) INTO x FROM $devices WHERE alert_id = r.k;",
		"SELECT count(*)::text INTO x FROM $alerts AS a JOIN $devices AS e ON e.alert_id = a.id WHERE a.id = r.k;",
		"x := (SELECT max(ordinal) FROM $devices WHERE alert_id = r.k AND ordinal < r.o);",
		"SELECT owner INTO x FROM common.known WHERE id = r.k ORDER BY n LIMIT 1;",
		"SELECT title INTO x FROM $alerts WHERE id = r.k AND severity <> 'low';",
		"SELECT string_agg(id, ',' ORDER BY id) INTO x FROM alerts WHERE incident_id = r.o::text;",
		"SELECT display_name INTO x FROM incidents WHERE id = r.o::text;",
		"SELECT count(*)::text INTO x FROM device_evidence AS e JOIN incidents AS i ON i.id = e.incident_id WHERE i.id = r.o::text AND i.status <> 'resolved';");
	my $way = $self->pick_number(100);

	return ('loop', 'all', $function->('r record; x text', "FOR r IN $outer LOOP $look RETURN NEXT concat_ws('|', r.k, r.o, r.x, x); END LOOP;"), 'SELECT * FROM pg_temp.f()') if $way < 40;
	return ('nested loop', 'all', $function->('r record; s record', "FOR r IN SELECT id AS k, title AS x FROM $alerts" . ($self->chance(50) ? " WHERE severity IN ('low', 'high')" : '')
		. " LOOP FOR s IN SELECT ordinal AS o, device_dns_name AS d FROM $devices WHERE alert_id = r.k LOOP RETURN NEXT concat_ws('|', r.k, r.x, s.o, s.d); END LOOP; END LOOP;"), 'SELECT * FROM pg_temp.f()') if $way < 55;
	return ('two cursors', 'all', $function->('c refcursor; d refcursor; r record; x text; p boolean := true; q boolean := true',
		"OPEN c FOR $outer; OPEN d FOR $second; WHILE p OR q LOOP"
		. " IF p THEN FETCH c INTO r; p := FOUND; IF p THEN RETURN NEXT concat_ws('|', 'c', r.k, r.o, r.x); END IF; END IF;"
		. " IF q THEN FETCH d INTO x; q := FOUND; IF q THEN RETURN NEXT concat_ws('|', 'd', x); END IF; END IF;"
		. ' END LOOP;'), 'SELECT * FROM pg_temp.f()') if $way < 70;
	return ('failing loop', 'all', $function->('r record; x text', "FOR r IN $outer LOOP BEGIN $look IF r.o % 3 = 0 THEN PERFORM 1 / (r.o - r.o); END IF; EXCEPTION WHEN division_by_zero THEN x := 'caught'; END;"
		. " RETURN NEXT concat_ws('|', r.k, r.o, r.x, x); END LOOP;"), 'SELECT * FROM pg_temp.f()') if $way < 80;
	return ('function', 'rows', 'CREATE FUNCTION pg_temp.f(k text, o integer) RETURNS text LANGUAGE plpgsql AS $f$ DECLARE r record; x text; BEGIN SELECT k, o INTO r; ' . $look . ' RETURN x; END $f$',
		"SELECT q.*, pg_temp.f(q.k, q.o) FROM ($outer) AS q") if $way < 92;
	return ('filtering function', 'rows', "CREATE FUNCTION pg_temp.f(k text) RETURNS boolean LANGUAGE sql STABLE AS \$f\$ SELECT EXISTS (SELECT FROM $alerts WHERE id = k AND severity <> 'low') \$f\$",
		"SELECT q.* FROM ($outer) AS q WHERE pg_temp.f(q.k)");
}

# Statements that write to local tables.
sub writing
{
	my ($self) = @_;
	my $item = $self->item($self->foreign_table);
	my ($id, $word, $on) = ($self->id_of($item), $self->col($item, 'word'), "$item->{table} AS $item->{alias}");
	my $where = $self->simple($item);
	my ($body, @items) = $self->body($self->pick(1, 2));
	my @text = map { $self->col($self->pick(@items), $_) . '::text' } qw(id word);
	my $way = $self->pick_number(10);

	return $self->writing_by_joined if $way > 7;
	return ('failing', 'rows', 'SELECT ' . join(', ', $self->shown(@items)) . ", 1 / (length($text[0]) - 5) $body") if $way == 5;
	return ('copy', 'rows', 'COPY (SELECT ' . join(', ', @text) . " $body) TO STDOUT") if $way == 6 && !$self->{big};
	return ('explain', 'none', 'EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) SELECT ' . join(', ', @text) . " $body") if $way == 7 && !$self->{big};
	return ('insert', 'rows', 'CREATE TEMP TABLE kept (k text, v text)', "INSERT INTO kept SELECT " . join(', ', @text) . " $body", 'SELECT k, v, count(*) FROM kept GROUP BY 1, 2') if $way == 0 || $way > 5;
	return ('create', 'rows', 'CREATE TEMP TABLE kept AS SELECT ' . join(', ', "$text[0] AS k", "$text[1] AS v") . " $body", 'SELECT v, count(*), max(k) FROM kept GROUP BY 1') if $way == 1;
	return ('delete', 'rows', "DELETE FROM common.known AS k USING $on WHERE k.id = $id AND $where RETURNING k.n, k.id") if $way == 2;
	return ('update', 'rows', "UPDATE common.known AS k SET owner = (SELECT max($word) FROM $on WHERE $id = k.id AND $where) WHERE k.n < 60 RETURNING k.n, k.owner") if $way == 3;
	return ('merge', 'rows', "MERGE INTO common.known AS k USING (SELECT $id AS id, max($word) AS v FROM $on WHERE $where GROUP BY 1) AS s ON s.id = k.id WHEN MATCHED AND s.v = 'low' THEN DELETE"
		. ' WHEN MATCHED THEN UPDATE SET owner = s.v WHEN NOT MATCHED THEN INSERT VALUES (0, s.id, s.v)', 'SELECT n, id, sev, owner FROM common.known');
}

# The same by tables that are read together; each local row has one match.
sub writing_by_joined
{
	my ($self) = @_;
	my ($alert, $item) = ($self->item('alerts'), $self->item($self->pick(qw(alert_evidence alert_comments))));
	my ($a, $i) = ($alert->{alias}, $item->{alias});
	my $kind = $self->pick('JOIN', 'JOIN', 'LEFT JOIN');
	my $from = "alerts AS $a $kind $item->{table} AS $i ON $i.alert_id = $a.id AND $i.ordinal = " . $self->pick(1, 1, 2);
	my $where = "$a.id = k.id" . ($self->chance(60) ? ' AND ' . $self->simple($self->pick($alert, $item)) : '');

	return $self->pick(
		[ 'update from', 'rows', "UPDATE common.known AS k SET owner = concat_ws('-', $a.severity, $i.ordinal) FROM $from WHERE $where RETURNING k.n, k.owner" ],
		[ 'delete using', 'rows', "DELETE FROM common.known AS k USING $from WHERE $where RETURNING k.n, $i.ordinal" ],
		[ 'merge using', 'rows', "MERGE INTO common.known AS k USING (SELECT $a.id, $a.severity, $i.ordinal FROM $from) AS s ON s.id = k.id WHEN MATCHED AND s.ordinal IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET owner = s.severity"
			. ' WHEN NOT MATCHED THEN INSERT VALUES (s.ordinal, s.id, s.severity)', 'SELECT n, id, sev, owner FROM common.known' ])->@*;
}

#------------------------------------------------------------------------------
# What is around a statement
#------------------------------------------------------------------------------

my @SWITCHES = qw(hashjoin nestloop mergejoin material memoize sort incremental_sort hashagg async_append);

sub planner_settings
{
	my ($self) = @_;
	my @settings = map { "SET enable_$_ = off" } $self->some(11, @SWITCHES);

	push @settings, 'SET enable_partitionwise_join = on' if $self->chance(25);
	push @settings, 'SET enable_partitionwise_aggregate = on' if $self->chance(25);
	push @settings, 'SET join_collapse_limit = 1' if $self->chance(15);
	push @settings, 'SET from_collapse_limit = 1' if $self->chance(15);
	push @settings, 'SET geqo_threshold = 2' if $self->chance(10);
	push @settings, "SET work_mem = '64kB'" if $self->chance(15);
	push @settings, 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0' if $self->chance(2);
	push @settings, "SET TimeZone = '" . $self->pick('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu') . "'" if $self->chance(50);
	push @settings, 'SET cursor_tuple_fraction = ' . $self->pick('0.01', '1') if $self->chance(10);
	return @settings;
}

sub server_options
{
	my ($self) = @_;
	return {
		page_size       => $self->pick(1000, 1000, 100, 40, 15, $self->chance(20) ? 4 : 60),
		concurrency     => $self->pick(4, 4, 1, 2, 8),
		select_pushdown => $self->chance(85) ? 'true' : 'false',
		order_pushdown  => $self->chance(85) ? 'true' : 'false',
		count_pushdown  => $self->chance(85) ? 'true' : 'false',
		evidence_filter => $self->chance(35) ? 'true' : 'false',
		incident_lookup => $self->chance(85) ? 'true' : 'false'
	};
}

# How the emulator behaves, in ways that leave the data right.
sub behaviour
{
	my ($self) = @_;
	return {
		top_max               => $self->pick(1000, 1000, 1000, 50, 13),
		count                 => $self->chance(85) ? 'honour' : 'ignore',
		select                => $self->chance(92) ? 'honour' : 'ignore',
		orderby               => $self->chance(92) ? 'honour' : $self->pick(qw(ignore ignore refuse)),
		next_link_by          => $self->pick(qw(skiptoken skiptoken skip)),
		page_size             => $self->pick(100, 100, 3),
		incident_alerts       => $self->chance(90) ? 'serve' : 'unknown',
		unsorted              => $self->chance(15) ? 1 : 0,
		next_link_after_value => $self->chance(15) ? 1 : 0,
		chunked               => $self->chance(80) ? 1 : 0,
		gzip                  => $self->chance(8) ? 1 : 0,
		latency_ms            => $self->chance(8) ? 2 : 0,
		requests_per_connection => $self->chance(5) ? 3 : 0
	};
}

# Faults that are got over.  Those that are waited for are rare.
sub faults
{
	my ($self, $slow) = @_;
	my @rules;
	my $rule = sub {
		my ($fault, %more) = @_;
		my %match = map { exists $more{$_} ? ($_ => delete $more{$_}) : () } qw(nth path);
		push @rules, { %more, (%match ? (match => \%match) : ()), fault => $fault };
	};

	$rule->({ kind => 'trickle', bytes => 9000, ms => $self->pick(1, 2) }, times => -1, path => 'alerts_v2?') if $slow ? $self->chance(60) : $self->chance(8);
	$rule->({ kind => 'latency', ms => 2 }, times => -1, path => 'alerts_v2/') if $slow && $self->chance(60);
	if ($self->chance(6))
	{
		# before what repeats rows, which must have come; not with what is begun again, which must come again
		$rule->({ kind => 'empty_page' }, times => $self->pick(1, 3), nth => $self->pick(1, 2));
		$rule->({ kind => 'duplicate_rows', rows => $self->pick(1, 3) }, times => -1) if $self->chance(30);
		return \@rules;
	}
	$rule->({ kind => 'duplicate_rows', rows => $self->pick(1, 1, 3) }, times => -1) if $self->chance(12);
	$rule->({ kind => 'whitespace' }, times => -1) if $self->chance(4);
	return \@rules unless $self->chance(5);
	$rule->($self->pick({ kind => 'cut', after => $self->pick(100, 4000, 30000) }, { kind => 'cut', after => $self->pick(2000, 20000) },
			{ kind => 'status', code => 503 }, { kind => 'status', code => 429 }, { kind => 'status', code => 500 },
			{ kind => 'close' }, { kind => 'close_after' }, { kind => 'reset', after => 3000 }, { kind => 'reset' }),
		times => 1, nth => $self->pick(1, 1, 2, 3)) foreach 1 .. $self->pick(1, 1, 2);
	return \@rules;
}

# The statement of a number.
sub statement
{
	my ($class, $seed, $number) = @_;
	my $self = bless GraphQueries->new($seed * 1_000_003 + $number), $class;
	my $way = $self->pick_number(100);
	my ($kind, $compare, @statements);

	@$self{qw(aliases big types settings)} = (0, 0, undef, [ $self->planner_settings ]);
	if ($way < 70)
	{
		(my $select, $compare, $kind) = $self->any_select;
		@statements = ($select);
	}
	else
	{
		my $method = $way < 79 ? 'prepared' : $way < 88 ? 'cursors' : $way < 97 ? 'loops' : 'writing';
		($kind, $compare, @statements) = $self->$method;
	}
	my %result = (
		number     => $number,
		kind       => $kind,
		compare    => $compare,
		statements => \@statements,
		settings   => $self->{settings},
		service    => $self->pick(('emulator') x 6, 'sqlite', 'sqlite', 'moving', 'moving'),
		servers    => { map { $_ => $self->server_options } qw(one other two) },
		behaviour  => $self->behaviour,
		faults     => $self->faults($way >= 79),
		estimate   => $self->pick(-1, -1, 120, 4, 100_000));
	if ($result{service} eq 'moving')
	{
		$result{view} = $self->pick(qw(sent local));

		# what leaves a list whose order is not looked at, or whose pages are not
		# longer than equal times are many, cannot be made up for
		# (an incident's own list, of which nothing says that it has an order, is on one page)
		@{ $result{behaviour} }{qw(unsorted orderby page_size)} = (0, 'honour', 100);
		foreach my $options (values %{ $result{servers} })
		{
			$options->{order_pushdown} = 'true';
			$options->{page_size} = 15 if $options->{page_size} < 15;
		}
		unshift @{ $result{faults} }, { times => -1, fault => { kind => 'moving', arrive => $self->pick(0, 1, 3), leave => $self->pick(0, 1, 1, 3) } };
	}
	$result{text} = join ";\n", @{ $self->{settings} }, @statements, '';
	return \%result;
}

1;
