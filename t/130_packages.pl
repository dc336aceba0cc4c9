
# Do the files that packages are made of agree?
#
# One version in all of them, the same home, a META.json as PGXN wants it, and
# lists of files that are what "make install" installs.  Without a server, and
# nothing is built.

use strict;
use warnings;

use File::Find;
use FindBin;
use lib $FindBin::RealBin;
use GraphEmulator qw(%APP $TENANT);
use JSON::PP;
use PgxnMeta;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/..";

# A file of the checkout.
sub text
{
	my ($name) = @_;

	return slurp_file("$top/$name");
}

# What a pattern finds first in a file.
sub found
{
	my ($name, $pattern) = @_;

	return text($name) =~ $pattern ? $1 : "nothing in $name";
}

my $meta = decode_json(text('META.json'));
my $version = $meta->{version};
my ($minor) = $version =~ /^(\d+\.\d+)\./;

#------------------------------------------------------------------------------
# META.json
#------------------------------------------------------------------------------

is_deeply([ PgxnMeta::faults($meta) ], [], 'META.json is as the specification says');

# does the check see anything?
foreach my $case (
	[ 'no license', sub { delete $_[0]{license} }, '/license is missing' ],
	[ 'a license of its own', sub { $_[0]{license} = 'PostgreSQL' }, '/license is not a license that PGXN knows' ],
	[ 'two numbers', sub { $_[0]{version} = '1.1' }, '/version is not a version' ],
	[ 'a leading zero', sub { $_[0]{provides}{graph_fdw}{version} = '1.01.0' }, '/provides/graph_fdw/version is not a version' ],
	[ 'a name with a space', sub { $_[0]{name} = 'graph fdw' }, '/name is not a term' ],
	[ 'no file', sub { delete $_[0]{provides}{graph_fdw}{file} }, '/provides/graph_fdw/file is missing' ],
	[ 'a tag that is a path', sub { $_[0]{tags}[0] = 'a/b' }, '/tags[0] is not a tag' ],
	[ 'no tags in the list', sub { $_[0]{tags} = [] }, '/tags is empty' ],
	[ 'a phase', sub { $_[0]{prereqs}{run} = {} }, '/prereqs/run is not a phase' ],
	[ 'a prerequisite', sub { $_[0]{prereqs}{runtime}{requires}{PostgreSQL} = '>15' }, '/prereqs/runtime/requires/PostgreSQL is not a range of versions' ],
	[ 'an address', sub { $_[0]{resources}{homepage} = 'graph_fdw' }, '/resources/homepage is not a URL' ],
	[ 'an issue tracker', sub { $_[0]{resources}{bugtracker} = 'x' }, '/resources/bugtracker is no object' ],
	[ 'Git', sub { $_[0]{resources}{repository}{type} = 'Git' }, '/resources/repository/type is not a text in lower case' ],
	[ 'a status', sub { $_[0]{release_status} = 'final' }, '/release_status is not a release status' ],
	[ 'an unknown key', sub { $_[0]{author} = 'x' }, '/author is not a key of the specification, nor begins with x_' ])
{
	my ($name, $break, $fault) = @$case;
	my $broken = decode_json(text('META.json'));

	$break->($broken);
	is_deeply([ PgxnMeta::faults($broken) ], [$fault], "seen: $name");
}

foreach my $extension (values %{ $meta->{provides} })
{
	ok(-e "$top/$extension->{$_}", "$extension->{$_} is there") foreach qw(file docfile);
}

#------------------------------------------------------------------------------
# Versions and addresses
#------------------------------------------------------------------------------

is($meta->{provides}{graph_fdw}{version}, $version, 'the version of the extension in META.json');
is(found('graph_fdw.control', qr/^default_version = '(.+)'$/m), $minor, 'graph_fdw.control');
is(found('CHANGELOG.md', qr/^## (\S+)/m), $version, 'CHANGELOG.md');
is(found('debian/changelog', qr/^graph-fdw \((.+)-\d+\)/), $version, 'debian/changelog');
is(found('packaging/graph_fdw.spec', qr/^Version:\s*(\S+)$/m), $version, 'graph_fdw.spec');
is(found('packaging/graph_fdw.spec', qr/^%changelog\n\*.* (\S+)-\d+$/m), $version, "graph_fdw.spec's changelog");
is(found('Dockerfile', qr/^ *org\.opencontainers\.image\.version="(.+?)"/m), $version, "the label of Dockerfile's image");
is(found('docs/packages.md', qr/_(\d+\.\d+\.\d+)-1_amd64\.deb/), $version, 'docs/packages.md');
like(found('src/base/graph_base.h', qr/^#define GRAPH_FDW_VERSION\s+"(.+)"$/m), qr/^\Q$minor\E(?:$|\.)/, 'the library');

my ($home) = $meta->{resources}{homepage} =~ m{^(https://[^/]+/)};
my %addresses = (
	'META.json'                 => qr/"(https:[^"]+)"/,
	'debian/control.in'         => qr/^(?:Homepage|Vcs-\S+): (\S+)$/m,
	'debian/copyright'          => qr/^Source: (\S+)$/m,
	'debian/upstream/metadata'  => qr/^\S+: (https:\S+)$/m,
	'packaging/graph_fdw.spec'  => qr/^(?:URL|Source0): *(\S+)$/m);

foreach my $name (sort keys %addresses)
{
	my @found = text($name) =~ /$addresses{$name}/g;

	ok(scalar @found, "$name has addresses");
	is_deeply([ grep { !/^\Q$home\E/ && !/^https:\/\/pgxn\.org\// } @found ], [], "$name: they begin with $home");
}

# as pg_buildext makes it, for whatever versions
my $control = text('debian/control.in');
my ($source, $package) = $control =~ /^(.*?\n)(\nPackage: .*)$/s;
my @packages = text('debian/control') =~ /^Package: postgresql-(\d+)-graph-fdw$/mg;

is(text('debian/control'), join('', $source, map { $package =~ s/PGVERSION/$_/gr } @packages), 'debian/control is of control.in');

#------------------------------------------------------------------------------
# What they name
#------------------------------------------------------------------------------

foreach my $name (qw(.github/workflows/ci.yml Dockerfile compose.yaml debian/rules debian/tests/control scripts/package.sh docs/packages.md))
{
	# an archive of a release may have no files whose names begin with a dot
	next unless -e "$top/$name";
	my %named = map { $_ => 1 } text($name) =~ m{(?<![\w/.-])((?:scripts|docker|debian|packaging|emulator|fuzz)/[\w./-]*\w)}g;

	# what a fuzzer finds is not there, one hopes
	is_deeply([ grep { $_ ne 'fuzz/found' && !-e "$top/$_" } sort keys %named ], [], "$name: what it names is there");
}

# the image is built of what .dockerignore lets through
my @kept = map { s/^!//r } grep { /^!/ } split /\n/, text('.dockerignore');
my @copied = map { my @words = split; @words[0 .. $#words - 1] } grep { !/--from/ } text('Dockerfile') =~ /^COPY (.+)$/mg;

foreach my $copied (@copied)
{
	ok((grep { $copied eq $_ || $copied =~ m{^\Q$_\E/} } @kept), "Dockerfile: $copied gets into the image");
	ok((grep { -e } glob "$top/$copied"), "Dockerfile: $copied is there");
}

# the emulator's credentials are public, and these
my $compose = text('compose.yaml');

is(($compose =~ /^ +GRAPH_$_->[0]: (\S+)$/m)[0], $_->[1], "compose.yaml: $_->[0]")
  foreach [ TENANT_ID => $TENANT ], [ CLIENT_ID => $APP{main}{client_id} ], [ CLIENT_SECRET => $APP{main}{client_secret} ];

my %initdb = map { $_ => 1 } text('docker/initdb/graph.sh') =~ /\b(GRAPH_[A-Z_]+)\b/g;

is_deeply([ grep { !$initdb{$_} } $compose =~ /^ +(GRAPH_\w+):/mg ], [], 'docker/initdb/graph.sh knows what compose.yaml sets');
is_deeply([ grep { text('docs/packages.md') !~ /`$_`/ } sort keys %initdb ], [], 'docs/packages.md has its variables');

#------------------------------------------------------------------------------
# What is installed
#------------------------------------------------------------------------------

my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
my %folder = map { my $dir = `$pg_config --$_`; chomp $dir; ($_ => $dir) } qw(sharedir pkglibdir docdir);

# make install, below a folder of its own: the files, by what the folders are
# called in a spec file
sub installed
{
	my (@arguments) = @_;
	my $destdir = PostgreSQL::Test::Utils::tempdir;
	my @files;
	local %ENV = %ENV;

	delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS)};
	is(system_log('make', '-s', '-C', $top, "PG_CONFIG=$pg_config", 'with_llvm=no', "DESTDIR=$destdir", @arguments),
		0, "make @arguments");
	find({ no_chdir => 1, wanted => sub { push @files, $_ if -f } }, $destdir);
	foreach (@files)
	{
		s/^\Q$destdir\E//;
		s/^\Q$folder{docdir}\E/%{docdir}/;
		s/^\Q$folder{pkglibdir}\E/%{pglibdir}/;
		s/^\Q$folder{sharedir}\E/%{pgsharedir}/;
	}
	return sort @files;
}

my ($listed) = text('packaging/graph_fdw.spec') =~ /^%files\n(.*?)\n\n/ms;
my @installed = installed('docdir=', 'install');

is_deeply(\@installed, [ sort grep { !/^%(?:license|doc) / } split /\n/, $listed ], "graph_fdw.spec lists what is installed");
ok((grep { m{/extension/graph_fdw--1\.0--\Q$minor\E\.sql$} } @installed), 'and there is a script to the version');

# the documentation: all pages, where links among them lead somewhere
my @documentation = map { m{^%\{docdir\}/extension/graph_fdw/(.+)$} ? $1 : () } installed('install');
my %is_there = map { $_ => 1 } @documentation;

is_deeply([ grep { m{^docs/} } @documentation ], [ map { s{^\Q$top\E/}{}r } sort glob "$top/docs/*.*" ], 'every page of docs/ is installed');
ok($is_there{$_}, "$_ is installed") foreach qw(README.md CHANGELOG.md LICENSE), $meta->{provides}{graph_fdw}{docfile};

my @doc = map { split ' ' } $listed =~ /^%(?:license|doc) (.+)$/mg;

ok(-e "$top/$_", "graph_fdw.spec's $_ is there") foreach @doc;

# nothing stays behind
my $left = PostgreSQL::Test::Utils::tempdir;

is(system_log('make', '-s', '-C', $top, "PG_CONFIG=$pg_config", 'with_llvm=no', "DESTDIR=$left", $_), 0, "make $_")
  foreach qw(install uninstall);
my @left;
find({ no_chdir => 1, wanted => sub { push @left, $_ if -f } }, $left);
is_deeply(\@left, [], 'uninstall removes what install has installed');

done_testing();
