
# What a service repeats of a secret is not shown, however it has encoded it;
# and nothing that it says tells a terminal what to do, in any encoding.

use strict;
use warnings;
use utf8;

use Encode qw(encode decode);
use FindBin;
use lib $FindBin::RealBin;
use GraphCluster qw(options);
use GraphEmulator qw($TENANT);
use GraphLogin qw(set_mapping);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use OddServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $token = q{tok~Q8+/=&%"<>'\\%2Bu0041;x-_9,bQz8Kk3Vw7};
my $secret = q{sé 日😀~Q8+/=&%"<>'\\%2B&amp;\\u0041 x};

# The units of UTF-16 of a character.
sub units { return unpack 'n*', encode('UTF-16BE', $_[0]) }

# Ways to write a character; each gives what a decoder would understand.
my %write;
%write = (
	raw     => sub { $_[0] },
	percent => sub { join '', map { sprintf '%%%02x', ord } split //, encode('UTF-8', $_[0]) },
	PERCENT => sub { join '', map { sprintf '%%%02X', ord } split //, encode('UTF-8', $_[0]) },
	decimal => sub { sprintf '&#%d;', ord $_[0] },
	hex     => sub { sprintf '&#x%x;', ord $_[0] },
	HEX     => sub { sprintf '&#X%05X;', ord $_[0] },
	named   => sub {
		my %names = ('&' => 'amp', '<' => 'lt', '>' => 'gt', '"' => 'quot', "'" => 'apos', '+' => 'plus', '/' => 'sol', '=' => 'equals', '%' => 'percnt', '\\' => 'bsol');
		return $names{ $_[0] } ? "&$names{$_[0]};" : $_[0];
	},
	json => sub { join '', map { sprintf '\\u%04x', $_ } units($_[0]) },
	JSON => sub { join '', map { sprintf '\\u%04X', $_ } units($_[0]) },
	slash => sub { my ($c) = @_; $c =~ m{["\\/]} ? "\\$c" : $c },
	script => sub { ord $_[0] < 256 ? sprintf('\\x%02x', ord $_[0]) : $write{json}->($_[0]) });
my @ways = sort keys %write;

# A text with each character written in one of the ways, by a number.
sub write_text
{
	my ($text, $number) = @_;
	return join '', map { $number = ($number * 1103515245 + 12345) % 2147483648; $write{ $ways[ ($number >> 8) % @ways ] }->($_) } split //, $text;
}

# The cases: a name, and what is done with a secret.
my @cases;
foreach my $way (@ways)
{
	push @cases, [ $way, sub { join '', map { $write{$way}->($_) } split //, $_[0] } ];
	next if $way eq 'raw';
	push @cases, [ "only what is no letter: $way", sub { $_[0] =~ s/([^\w-])/$write{$way}->($1)/ger } ];
	foreach my $again (grep { $_ ne 'raw' } @ways)
	{
		push @cases, [ "$way, then $again",
			sub { join '', map { $write{$again}->($_) } split //, $_[0] =~ s/([^\w-])/$write{$way}->($1)/ger } ];
		push @cases, [ "$way, then $again where it must be",
			sub { $_[0] =~ s/([^\w-])/$write{$way}->($1)/ger =~ s/([^\w-])/$write{$again}->($1)/ger } ];
	}
}
push @cases, [ 'a form', sub { join '', map { $_ eq ' ' ? '+' : /[\w]/ && ord $_ < 128 ? $_ : $write{PERCENT}->($_) } split //, $_[0] } ];
push @cases, [ 'JSON in JSON', sub { encode_json([ decode('UTF-8', encode_json([ $_[0] ])) ]) =~ s/^\["(.*)"\]$/decode('UTF-8', $1)/er }, qr/^begin \[\\"\*\*\*\\"\] end\./ ];
push @cases, [ 'three times', sub { my $t = $_[0]; $t =~ s/([^\w-])/$write{percent}->($1)/ge foreach 1 .. 3; $t } ];
push @cases, [ 'three ways', sub { $_[0] =~ s/([^\w-])/$write{json}->($1)/ger =~ s/([^\w-])/$write{named}->($1)/ger =~ s/([^\w-])/$write{percent}->($1)/ger } ];
foreach my $seed (1 .. 60)
{
	push @cases, [ "a mixture, $seed", sub { write_text($_[0], $seed) } ];
	push @cases, [ "a mixture of mixtures, $seed", sub { write_text(write_text($_[0], $seed), $seed + 1) } ];
}
foreach my $before ('', 'a', 'ab', 'client-id:')
{
	push @cases, [ "base64, after '$before'", sub { encode_base64(encode('UTF-8', "$before$_[0]"), '') =~ s/=+$//r } ];
	push @cases, [ "base64url, after '$before'", sub { encode_base64(encode('UTF-8', "$before$_[0]"), '') =~ tr{+/=}{-_}dr } ];
	push @cases, [ "base64, encoded, after '$before'", sub { encode_base64(encode('UTF-8', "$before$_[0]&"), '') =~ s/([^\w])/$write{percent}->($1)/ger } ];
}
push @cases, [ 'in front of hexadecimal digits', sub { "$_[0]41" }, qr/^begin \*\*\*41 end/ ];
push @cases, [ 'behind a percent sign', sub { "%$_[0]" }, qr/^begin %\*\*\* end/ ];
push @cases, [ 'a long beginning', sub { substr($_[0], 0, 18) . '... and more' }, qr/^begin \*\*\*\.\.\. and more end/ ];
push @cases, [ 'two of them', sub { "$_[0] and $_[0]" }, qr/^begin \*\*\* and \*\*\* end/ ];
push @cases, [ 'a field of somebody else', sub { qq({"refresh_token": "other-secret-1"} client_secret%3dother-secret-2 \\"access_token\\":\\"other-secret-3\\") }, qr/^(?!.*other-secret).*refresh_token.*client_secret.*access_token/ ];
push @cases, [ 'cut off', sub { substr $_[0], 0, 11 }, qr/^begin \*\*\*/, 1 ];
push @cases, [ 'cut off within an escape', sub { $write{percent}->($_[0] =~ s/.{22}\K.*//r) =~ s/.$//r }, qr/^begin \*\*\*\.?$/, 1 ];

# The service says what case/NUMBER of the path wants of the secret that came.
my $echo = OddServer->new(
	sub {
		my ($socket, $request) = @_;
		my ($number, $code) = $request =~ m{case/(\d+)/};
		my $value = $request =~ /^POST / ? $secret : $token;
		my $said;

		if (defined $number)
		{
			$said = 'begin ' . $cases[$number][1]->($value) . ($cases[$number][3] ? '' : ' end');
		}
		else
		{
			# all characters that are to be kept from a terminal, and some that are not
			$said = join ' ', 'begin', (map { "<" . chr($_) . ">" } 1 .. 0x1f, 0x7f .. 0x9f, 0x61c, 0x200b .. 0x200f, 0x2028 .. 0x202e, 0x2060 .. 0x2069, 0xfeff, 0xe0041),
			  'é', "\x{9b}31mred", "\x{1b}[31mred", 'end';
		}
		return OddServer::answer($socket, 400, encode_json({ error => 'invalid', error_description => $said }))
		  if $request =~ /^POST /;
		return OddServer::answer($socket, 403, encode_json({ error => { code => 'x', message => $said } }));
	},
	read => 1);

my $nowhere = bless {}, 'Echo';
sub Echo::url { return $echo->url; }
my $node = GraphCluster->connected_to($nowhere, server => { max_retries => 0 }, mapping => { access_token => $token });
my $list = 'SELECT id FROM defender.alerts';

# What an error shows of what the service said.
sub said
{
	my ($database) = @_;
	my (undef, undef, $messages) = $node->psql($database || 'postgres', $list);
	my ($detail) = $messages =~ /^DETAIL:  (?:Error "[^"]*"|The service says): (.*)/m;
	return $detail // $messages;
}

foreach my $login ([ 'a token', access_token => $token ], [ 'a client secret', tenant_id => $TENANT, client_id => 'client-id', client_secret => encode('UTF-8', $secret) ])
{
	my ($name, %mapping) = @$login;
	my @wrong;

	set_mapping($node, %mapping);
	foreach my $number (0 .. $#cases)
	{
		$node->set_server(endpoint => $echo->url . "/case/$number", authority => $echo->url . "/case/$number");
		my $pattern = $cases[$number][2] // qr/^begin [\w:]{0,14}\*\*\*[\w%=]{0,9} end\./;
		my $said = said();
		push @wrong, "$cases[$number][0]: $said" if $said !~ $pattern;
	}
	is_deeply(\@wrong, [], "$name, in all of " . @cases . ' ways');
}

#------------------------------------------------------------------------------
# Encodings of databases
#------------------------------------------------------------------------------

foreach my $encoding (qw(UTF8 LATIN1 LATIN2 LATIN9 ISO_8859_5 WIN1252 WIN1256 KOI8R EUC_JP EUC_KR SQL_ASCII))
{
	my $database = lc "in_$encoding";

	$node->sql("CREATE DATABASE $database ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	$node->connect_database($nowhere, database => $database, server => { max_retries => 0 }, mapping => { access_token => $token });
	my $said = said($database);
	like($said, qr/^begin < > < > .*31mred.*31mred end/, "$encoding: what is harmless");
	unlike($said, qr/[\x00-\x1f\x7f]/, "$encoding: no C0");
	my $text = $encoding =~ /UTF8|ASCII/ ? decode('UTF-8', $said) : $said;
	# there, these begin longer characters or are letters
	my $letters = $encoding =~ /^(WIN|KOI)/ ? qr/[\x80-\x9f]/ : $encoding eq 'EUC_JP' ? qr/[\x8e\x8f]/ : qr/(?!)/;
	unlike($text =~ s/$letters//gr, qr/[\x80-\x9f]/, "$encoding: no C1");
	unlike($text, qr/[\x{61c}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{206f}\x{feff}\x{e0041}]/, "$encoding: nothing invisible");
	like($text, qr/ é /, "$encoding: a letter") if $encoding =~ /UTF8|LATIN|WIN1252|ASCII/;
	foreach my $number (grep { $cases[$_][0] =~ /^(raw|hex, then percent|a mixture, [1-5]|base64, after 'a')$/ } 0 .. $#cases)
	{
		$node->sql("ALTER SERVER graph OPTIONS (SET endpoint '" . $echo->url . "/case/$number')", database => $database);
		like(said($database), qr/^begin [\w:]{0,14}\*\*\*[\w%=]{0,9} end\./, "$encoding: $cases[$number][0]");
	}
}
done_testing();
