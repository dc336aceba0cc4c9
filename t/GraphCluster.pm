
# A PostgreSQL that is connected to an emulator of Microsoft Graph.
#
#	my $node = GraphCluster->connected_to($emulator);
#	$node->sql('SELECT count(*) FROM defender.alerts');
#	like($node->error('SELECT 1/0')->{message}, qr/zero/);
#
# It is a PostgreSQL::Test::Cluster, and its database postgres has the
# extension, the server "graph", a user mapping by access token, and everything
# imported into the schema "defender".

package GraphCluster;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP;
use PostgreSQL::Test::Cluster;
use Test::Builder;

our @ISA       = ('PostgreSQL::Test::Cluster');
our @EXPORT_OK = qw(options);

my $json = JSON::PP->new->utf8;

# Where it only matters whether a test fails (scripts/mutate.sh), it ends with
# its first failure.
if ($ENV{GRAPH_FIRST_FAILURE})
{
	my $ok = \&Test::Builder::ok;

	no warnings 'redefine';
	*Test::Builder::ok = sub { my $passed = &$ok; exit 1 unless $passed; return $passed };
}

# Make and start one.  %params may have conf, lines for postgresql.conf, and
# what connect_database() knows.
sub connected_to
{
	my ($class, $emulator, %params) = @_;
	my $node = $class->new($params{name} || 'main');

	$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf', $params{conf}) if $params{conf};
	$node->start;
	$node->connect_database($emulator, %params);
	return $node;
}

# Do sessions share what they know of the service's limit?
sub shares_limit
{
	my ($self) = @_;

	return $self->sql('DO $$ BEGIN PERFORM FROM defender.alerts; END $$; SELECT all_requests IS NOT NULL FROM graph_fdw_stats()') eq 't';
}

# The line of postgresql.conf with which they do; from PostgreSQL 17 on they do so anyway.
sub preload
{
	# where it is not in the server's own folder, dynamic_library_path or extension_destdir finds it
	my $found_by_path = $ENV{TEMP_CONFIG} && PostgreSQL::Test::Utils::slurp_file($ENV{TEMP_CONFIG}) =~ /^dynamic_library_path/m;

	return "shared_preload_libraries = '" . ($found_by_path ? 'graph_fdw' : '$libdir/graph_fdw') . "'\n";
}

# Connect a database to an emulator.
#
# database => 'other', server => { page_size => 10 }, mapping => { ... },
# import => 0 or text that comes before FROM SERVER
sub connect_database
{
	my ($self, $emulator, %params) = @_;
	my $server  = options(
		endpoint  => $emulator->url,
		authority => $emulator->url,
		%{ $params{server} || {} });
	my $mapping = options(
		%{ $params{mapping} || { access_token => 'emulator-access-token' } });

	$self->sql(<<"SQL", %params);
CREATE EXTENSION graph_fdw;
CREATE SERVER graph FOREIGN DATA WRAPPER graph_fdw $server;
CREATE USER MAPPING FOR CURRENT_USER SERVER graph $mapping;
CREATE SCHEMA defender;

-- Run a query to its end, and say how it failed, or null.
CREATE FUNCTION query_error(query text) RETURNS json LANGUAGE plpgsql AS \$\$
DECLARE
	state text; message text; detail text; hint text; context text;
BEGIN
	EXECUTE query;
	RETURN NULL;
EXCEPTION WHEN OTHERS OR query_canceled THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
		message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
	RETURN json_build_object('state', state, 'message', message,
		'detail', detail, 'hint', hint, 'context', context);
END \$\$;
SQL
	$self->sql('IMPORT FOREIGN SCHEMA security FROM SERVER graph INTO defender', %params)
	  if $params{import} // 1;
	return;
}

# An OPTIONS clause.
sub options
{
	my (%options) = @_;
	my @items;

	foreach my $option (sort keys %options)
	{
		my $value = $options{$option};
		$value =~ s/'/''/g;
		push @items, "$option '$value'";
	}
	return @items ? 'OPTIONS (' . join(', ', @items) . ')' : '';
}

# Set options of the server: set_server(page_size => 10).  undef drops one.
sub set_server
{
	my ($self, %options) = @_;
	my $changes = '';

	foreach my $option (sort keys %options)
	{
		my $value = $options{$option};
		my $alter = sub {
			my $change = 'ALTER SERVER graph OPTIONS (' . "$_[0] $option"
			  . (defined $value && $_[0] ne 'DROP' ? " '$value'" : '') . ')';
			return "EXECUTE \$e\$$change\$e\$;";
		};

		$changes .= "IF '$option' = ANY (present) THEN "
		  . $alter->(defined $value ? 'SET' : 'DROP')
		  . (defined $value ? ' ELSE ' . $alter->('ADD') : '') . " END IF;\n";
	}
	$self->sql(<<"SQL");
DO \$\$ DECLARE
	present text[] := ARRAY(SELECT split_part(o, '=', 1) FROM pg_foreign_server, unnest(srvoptions) AS o WHERE srvname = 'graph');
BEGIN
$changes
END \$\$
SQL
	return;
}

# Local copies of the foreign tables of one schema in another, which is made.
sub copy_tables
{
	my ($self, $from, $to) = @_;
	$self->sql(<<"SQL");
CREATE SCHEMA $to;
DO \$\$
DECLARE t name;
BEGIN
	FOR t IN SELECT relname FROM pg_class WHERE relnamespace = '$from'::regnamespace AND relkind = 'f' LOOP
		EXECUTE format('CREATE TABLE $to.%1\$I AS SELECT * FROM $from.%1\$I; ANALYZE $to.%1\$I', t);
	END LOOP;
END \$\$;
SQL
	return;
}

# What a statement in an open session prints with one schema in the search path,
# an error included.
sub printed_with
{
	my ($self, $session, $schema, $statement) = @_;

	$session->{stderr} = '';
	$session->query("SET search_path = $schema, public");
	return $session->query($statement) . $session->{stderr};
}

# The result of statements that must succeed.
sub sql
{
	my ($self, $sql, %params) = @_;
	return $self->safe_psql($params{database} || 'postgres', $sql);
}

# What statements print, an error included.
sub result
{
	my ($self, $sql, %params) = @_;
	my (undef, $rows, $error) =
	  $self->psql($params{database} || 'postgres', $sql);

	return $error =~ /ERROR|FATAL|PANIC/ ? $rows . $error : $rows;
}

# The same with what they say besides, as notices.
sub said
{
	my ($self, $sql, %params) = @_;
	my (undef, $rows, $messages) = $self->psql($params{database} || 'postgres', $sql);

	return $rows . $messages;
}

# How a query fails: a hash of state, message, detail, hint and context, and
# "text", all of it; empty if it does not fail.  before => statements that come
# first; session => one that is open, instead of a new one.
sub error
{
	my ($self, $query, %params) = @_;
	my $before = $params{before} ? "$params{before};" : '';
	my $attempt = "$before SELECT query_error(\$query\$$query\$query\$)";
	my $text = $params{session} ? $params{session}->query($attempt)
	  : $self->sql($attempt, %params);

	# what "before" printed comes first
	$text = (split /\n/, $text)[-1];
	return {} unless defined $text && $text ne '';
	my $error = $json->decode($text);
	$error->{text} = join "\n", @$error{qw(state message detail hint context)};
	return $error;
}

# A session that stays open, and goes on after an error.
sub session
{
	my ($self, %params) = @_;
	my $session =
	  $self->background_psql($params{database} || 'postgres',
		on_error_stop => 0);

	$session->set_query_timer_restart;
	$session->query('\set VERBOSITY verbose');
	return $session;
}

# Compare what some queries give in several schemas to what they give in the
# first, and show the first few that differ: how many do, and how many pieces
# there are in the first schema's answer, one more than queries.
sub compare_schemas
{
	my ($self, $queries, $first, @others) = @_;
	my %answer;
	my $wrong = 0;

	foreach my $schema ($first, @others)
	{
		my $script = "SET search_path = $schema, public;\n" . join '', map { "\\echo \@\n$_;\n" } @$queries;
		my (undef, $output) = $self->psql('postgres', $script, on_error_stop => 0);

		$answer{$schema} = [ split /^\@\n?/m, $output ];
	}
	foreach my $number (0 .. $#$queries)
	{
		my $expected = $answer{$first}[ $number + 1 ];
		my @different = grep { ($answer{$_}[ $number + 1 ] // 'none') ne $expected } @others;

		next unless @different;
		Test::Builder->new->diag("$queries->[$number]\n-- over @different, which should be:\n$expected\n-- and is:\n" . ($answer{ $different[0] }[ $number + 1 ] // 'nothing')) if $wrong++ < 4;
	}
	return ($wrong, scalar @{ $answer{$first} });
}

1;
