
# Is what README.md and the pages of docs/ print what comes?  The pages are the
# input: each block of SQL or shell is run, in a database and against alerts of
# its page, and what is printed below it is compared.  A block that cannot be
# run has a mark that says why (t/GraphPages.pm).
#
# GRAPH_DOCS_WRITE=folder writes the pages there with the output that comes.
# GRAPH_DOCS_ONLY=name runs the pages whose name has this in it.

use strict;
use warnings;
use utf8;

use File::Basename qw(basename dirname);
use File::Spec;
use FindBin;
use IPC::Run;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(%APP $TENANT);
use GraphPages qw(items links anchors);
use PostgreSQL::Test::Utils;
use Test::More;

my $top = File::Spec->catdir($FindBin::RealBin, '..');
my @pages = ('README.md', map { 'docs/' . basename($_) } sort glob "$top/docs/*.md");
my $only = $ENV{GRAPH_DOCS_ONLY};
my $write = $ENV{GRAPH_DOCS_WRITE};
my %count = (run => 0, compared => 0, skipped => 0);

# What the pages say that they were made with
my $emulator = GraphEmulator->new('--alerts', 2000, '--seed', 1, '--now', '2026-11-01T00:00:00Z');
my $node = GraphCluster->new('main');

$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;
my $roles = $node->sql('SELECT string_agg(quote_literal(rolname), $$, $$) FROM pg_roles');

sub text_of
{
	my ($name) = @_;
	open my $file, '<:encoding(UTF-8)', "$top/$name" or die "$name: $!";
	local $/;
	return scalar <$file>;
}

#------------------------------------------------------------------------------
# One psql for a page
#------------------------------------------------------------------------------

my ($psql, $input, $output);

sub open_psql
{
	my ($database) = @_;

	($input, $output) = ('', '');
	local $ENV{PGTZ} = 'UTC';
	local $ENV{PGCLIENTENCODING} = 'UTF8';
	local $ENV{GRAPH_SECRET} = $APP{read_only}{client_secret};
	$psql = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr($database) ],
		'<', \$input, '>&', \$output, IPC::Run::timeout(120));
	return;
}

# What statements print, errors and notices included.
sub printed
{
	my ($statements) = @_;
	my $end = 'this is the end of the block';

	utf8::encode($statements);
	$output = '';
	$input .= "$statements\n\\echo '$end'\n";
	eval { $psql->pump until $output =~ /^$end\n/m || !$psql->pumpable; 1 } or return "psql: $@\n$output";
	my $printed = $output =~ s/^$end\n//mr;

	utf8::decode($printed);
	return $printed;
}

# A server that a page makes is the emulator.
sub at_emulator
{
	my ($statements) = @_;
	my $url = $emulator->url;

	$statements =~ s/\b(127\.0\.0\.1:)PORT\b/$1 . $emulator->port/ge;
	$statements =~ s{(CREATE SERVER (\w+) FOREIGN DATA WRAPPER graph_fdw\b([^;]*);)([^\n]*)}{
		my ($statement, $server, $options, $rest) = ($1, $2, $3, $4);
		$options =~ /endpoint/ ? "$statement$rest"
		  : "$statement$rest\nSELECT current_user AS docs_role \\gset\nRESET ROLE;\n"
		  . "ALTER SERVER $server OPTIONS (ADD endpoint '$url', ADD authority '$url');\nSET ROLE :\"docs_role\";"
	}ge;
	return $statements;
}

#------------------------------------------------------------------------------
# Comparing
#------------------------------------------------------------------------------

# What differs from run to run or between versions of the server.
sub tidy
{
	my ($text) = @_;
	my $port = $emulator->port;

	$text =~ s/127\.0\.0\.1:$port\b/127.0.0.1:PORT/g;
	# the heading of a plan is as wide as its longest line
	$text =~ s/\A\n*\s*QUERY PLAN\s*\n-+\n(.*?)^\(\d+ rows?\)\n/$1/ms;
	$text =~ s/\b(rows=\d+)\.\d+/$1/g;
	$text =~ s/^ *(?:Buffers|Planning|Storage|Disabled):.*\n//gm;
	$text =~ s/[ \t]+$//gm;
	$text =~ s/\n+\z/\n/;
	$text =~ s/\A\n+//;
	return $text;
}

# "…" stands for a part of a line, and a line "..." for any number of lines.
sub pattern
{
	my ($expected) = @_;
	my $pattern = '';

	foreach my $line (split /\n/, $expected)
	{
		$pattern .= $line =~ /^\s*\.\.\.$/ ? '(?:[^\n]*\n)*?'
		  : join('[^\n]*', map { quotemeta } split /…/, $line, -1) . "\n";
	}
	return qr/\A$pattern\z/;
}

# Say what came, which may be text of any language.
sub show
{
	my ($text) = @_;

	utf8::encode($text);
	diag($text);
	return;
}

sub is_printed
{
	my ($name, $expected, $printed) = @_;
	my $same = tidy($printed) =~ pattern(tidy($expected));

	ok($same, $name) or show("it prints:\n" . tidy($printed) . "the page has:\n" . tidy($expected));
	return $same;
}

my $error = qr/^(?:ERROR|FATAL|PANIC|WARNING|psql|invalid command|\\\w+):|^invalid command/m;

#------------------------------------------------------------------------------
# Blocks
#------------------------------------------------------------------------------

# Run a script of the shell in the checkout.
sub run_shell
{
	my ($script, $database) = @_;
	my $printed;

	local @ENV{qw(PGHOST PGPORT PGDATABASE)} = ($node->host, $node->port, $database);
	IPC::Run::run([ 'bash', '-e', '-c', "cd '$top'\n" . at_emulator($script) ], '<', \undef, '>&', \$printed,
		IPC::Run::timeout(60));
	utf8::decode($printed);
	return ($printed, $? >> 8);
}

# The number of requests without logins.
sub requests
{
	return scalar grep { !/oauth2/ } $emulator->requests;
}

sub run_block
{
	my ($block, $name, $database) = @_;
	my ($requests) = map { /^requests (\d+)/ ? $1 : () } @{ $block->{marks} };
	my $expected = $block->{output};
	my $printed;

	$emulator->clear;
	$count{run}++;
	if ($block->{language} eq 'sql')
	{
		$printed = printed(at_emulator($block->{text}));
		$printed =~ s/^\n// unless defined $expected;
		ok($printed !~ $error, $name) || show($printed) unless $expected;
	}
	elsif ($block->{language} eq 'console')
	{
		my @commands = map { /^\$ (.*)/s ? $1 : () } split /^(?=\$ )/m, $block->{text};

		foreach my $command (@commands)
		{
			my ($first, $rest) = split /(?<!\\)\n/, $command, 2;

			($printed) = run_shell($first, $database);
			is_printed("$name: $first", $rest, $printed);
		}
	}
	else
	{
		($printed, my $status) = run_shell($block->{text}, $database);
		is($status, 0, $name) || show($printed) unless $expected;
	}
	if ($expected)
	{
		if (grep { /^output differs/ } @{ $block->{marks} })
		{
			ok($printed !~ $error, $name) || show($printed);
		}
		else
		{
			$count{compared}++;
			is_printed($name, $expected->{text}, $printed)
			  || do { $expected->{written} = tidy($printed) };
		}
	}
	is(requests(), $requests, "$name: so many requests") || diag(join "\n", $emulator->requests) if defined $requests;
	return;
}

# Does the page of tables have the columns that the imported ones have?
sub check_columns
{
	my ($text, $database) = @_;
	my ($heading, %listed, %imported) = ('');

	foreach (split /\n/, $text)
	{
		$heading = $1 if /^#+ (.*)/;
		push @{ $listed{$heading} }, "$1 $2" if /^\| `(\w+)` \| (\S[^|]*?) \|/;
	}
	foreach (split /\n/, $node->sql(<<'SQL', database => $database))
SELECT c.relname, a.attname, replace(format_type(a.atttypid, -1), 'timestamp with time zone', 'timestamptz')
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'defender'::regnamespace AND c.relkind = 'f'
SQL
	{
		my ($table, $column, $type) = split /\|/;

		push @{ $imported{$table} }, "$column $type";
	}
	foreach my $table (sort keys %imported)
	{
		push @{ $listed{$table} }, @{ $listed{Evidence} || [] } if $table =~ /evidence$/;
		is_deeply([ sort @{ $listed{$table} || [] } ], [ sort @{ $imported{$table} } ], "columns of $table");
	}
	return;
}

# Run what is in a page, in a database of its own.
sub run_page
{
	my ($page) = @_;
	my $text = text_of($page);
	my $database = basename($page, '.md') =~ s/\W/_/gr;
	my @items = items($text);

	$emulator->control('POST', 'reset');
	$node->sql("CREATE DATABASE \"$database\"");
	$node->connect_database($emulator, database => $database,
		mapping => { tenant_id => $TENANT, %{ $APP{read_only} } });
	open_psql($database);
	foreach my $item (@items)
	{
		my $name = "$page:$item->{line}";

		if ($item->{kind} eq 'mistake')
		{
			fail("$name: $item->{text}");
		}
		elsif ($item->{kind} eq 'run')
		{
			my $printed = printed(at_emulator($item->{text}));
			ok($printed !~ /^(?:ERROR|FATAL|PANIC):/m, "$name: what comes before") || show($printed);
		}
		elsif ($item->{kind} eq 'control')
		{
			$emulator->control(split ' ', $item->{text}, 3);
		}
		elsif (grep { /^skip/ } @{ $item->{marks} })
		{
			$count{skipped}++;
		}
		elsif ($item->{language} =~ /^(?:sql|sh|console)$/)
		{
			run_block($item, $name, $database);
		}
		else
		{
			fail("$name: a block of \"$item->{language}\" is neither run nor marked");
		}
	}
	$input .= "\\q\n";
	eval { $psql->finish };
	check_columns($text, $database) if $page eq 'docs/tables.md';
	$node->sql("DROP DATABASE \"$database\" WITH (FORCE)");
	foreach my $role (split /\n/, $node->sql("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname NOT IN ($roles)"))
	{
		$node->sql("DROP ROLE $role");
	}
	write_page($page, $text, @items) if $write;
	return;
}

sub write_page
{
	my ($page, $text, @items) = @_;
	my @lines = split /\n/, $text, -1;

	foreach my $output (sort { $b->{line} <=> $a->{line} } grep { defined && defined $_->{written} } map { $_->{output} } @items)
	{
		my $length = () = $output->{text} =~ /\n/g;

		splice @lines, $output->{line}, $length, split /\n/, $output->{written};
	}
	mkdir "$write/docs";
	open my $file, '>:encoding(UTF-8)', "$write/$page" or die "$write/$page: $!";
	print $file join "\n", @lines;
	close $file;
	return;
}

foreach my $page (grep { !defined $only || /$only/ } @pages)
{
	run_page($page);
}
note("$count{run} blocks were run, $count{compared} of them compared with what is printed; $count{skipped} are marked as not to be run");

is(system('python3', "$top/scripts/tables_page.py", '--check'), 0, 'docs/tables.md is what the metadata says');

#------------------------------------------------------------------------------
# Links
#------------------------------------------------------------------------------

my %anchors;

foreach my $page (@pages, qw(CONTRIBUTING.md SECURITY.md))
{
	my @broken;

	foreach my $link (links(text_of($page)))
	{
		my ($path, $anchor) = split /#/, $link, 2;
		my $file = $path eq '' ? $page : dirname($page) eq '.' ? $path : dirname($page) . "/$path";

		$file =~ s{[^/]+/\.\./}{};
		if (!-e "$top/$file")
		{
			push @broken, $link;
		}
		elsif (defined $anchor)
		{
			$anchors{$file} //= { map { $_ => 1 } anchors(text_of($file)) };
			push @broken, $link unless $anchors{$file}{$anchor};
		}
	}
	is_deeply(\@broken, [], "$page: each link leads somewhere");
}

done_testing();
