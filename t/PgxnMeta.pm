
# The rules of the PGXN Meta Spec 1.0.0 (https://pgxn.org/spec/) for META.json,
# as PGXN's own validator reads them.
#
#	is_deeply([PgxnMeta::faults($meta)], []);
#
# A rule is a function that says what is wrong with a value at a path, or
# nothing.

package PgxnMeta;

use strict;
use warnings;

my %LICENSES = map { $_ => 1 } qw(
	agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd gfdl_1_2 gfdl_1_3 gpl_1 gpl_2 gpl_3 lgpl_2_1
	lgpl_3_0 mit mozilla_1_0 mozilla_1_1 open_source openssl perl_5 postgresql qpl_1_0 restricted ssleay sun unknown
	unrestricted zlib);

# https://semver.org: three numbers without leading zeroes, and what may follow
my $NUMBER = qr/0|[1-9][0-9]*/;
my $SEMVER = qr/$NUMBER\.$NUMBER\.$NUMBER(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?/;

#------------------------------------------------------------------------------
# Rules for a value
#------------------------------------------------------------------------------

# A text of which something is to be true.
sub text
{
	my ($what, $pattern) = @_;

	return sub {
		my ($path, $value) = @_;

		return if defined $value && !ref $value && $value =~ /\A$pattern\z/;
		return "$path is not $what";
	};
}

my $string   = text('a text', qr/.+/s);
my $lower    = text('a text in lower case', qr/[^[:upper:]]+/);
my $term     = text('a term', qr{[^[:space:][:cntrl:]/\\]{2,}});
my $tag      = text('a tag', qr{[^[:cntrl:]/\\]{1,256}});
my $version  = text('a version', $SEMVER);
my $range    = text('a range of versions', qr/0|(?:(?:==|!=|[<>]=?)?\s*(?:0|$SEMVER))(?:,\s*(?:==|!=|[<>]=?)?\s*$SEMVER)*/);
my $url      = text('a URL', qr{[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]+[^\s]*});
my $email    = text('a mail address', qr/[^\s@]+@[^\s@]+/);
my $custom   = text('a key of the specification, nor begins with x_', qr/[xX]_.+/);
my $phase    = text('a phase', qr/configure|build|test|runtime|develop|[xX]_.+/);
my $relation = text('a relation', qr/requires|recommends|suggests|conflicts|[xX]_.+/);
my $status   = text('a release status', qr/stable|testing|unstable/);

sub anything
{
	return;
}

sub license
{
	my ($path, $value) = @_;

	return !ref $value && $LICENSES{ $value // '' } ? () : "$path is not a license that PGXN knows";
}

#------------------------------------------------------------------------------
# Rules for lists and objects
#------------------------------------------------------------------------------

# One or several.
sub list
{
	my ($rule) = @_;

	return sub {
		my ($path, $value) = @_;

		return $rule->($path, $value) if ref $value ne 'ARRAY';
		return "$path is empty" unless @$value;
		return map { $rule->("$path\[$_]", $value->[$_]) } 0 .. $#$value;
	};
}

# An object whose keys and values all obey the same rules.
sub map_of
{
	my ($key, $rule) = @_;

	return object({}, [], $key, $rule);
}

# An object: rules for keys, which of them it must have, and rules for others.
sub object
{
	my ($known, $required, $key, $rule) = @_;

	$key  //= $custom;
	$rule //= \&anything;
	return sub {
		my ($path, $value) = @_;

		return "$path is no object" if ref $value ne 'HASH';
		return (
			(map { "$path/$_ is missing" } grep { !defined $value->{$_} } @$required),
			map { ($known->{$_} ? () : $key->("$path/$_", $_)), ($known->{$_} || $rule)->("$path/$_", $value->{$_}) }
			  sort keys %$value);
	};
}

my $one_extension = object(
	{ file => $string, version => $version, abstract => $string, docfile => $string }, [qw(file version)]);

my $spec = object(
	{
		name           => $term,
		version        => $version,
		abstract       => $string,
		description    => $string,
		generated_by   => $string,
		maintainer     => list($string),
		license        => sub { ref $_[1] eq 'HASH' ? map_of($string, $url)->(@_) : list(\&license)->(@_) },
		provides       => map_of($term, $one_extension),
		'meta-spec'    => object({ version => $version, url => $url }, ['version']),
		release_status => $status,
		tags           => list($tag),
		no_index       => object({ file => list($string), directory => list($string) }, []),
		prereqs        => map_of($phase, map_of($relation, map_of($term, $range))),
		resources      => object(
			{
				homepage   => $url,
				license    => list($url),
				bugtracker => object({ web => $url, mailto => $email }, []),
				repository => object({ web => $url, url => $url, type => $lower }, [])
			},
			[],
			undef,
			$string)
	},
	[qw(name version abstract maintainer license provides meta-spec)]);

# What is wrong with what a META.json says.
sub faults
{
	my ($meta) = @_;

	return $spec->('', $meta);
}

1;
