
# Does everything that can go wrong with an answer end in the right rows or in
# an error that says what it was?
#
# What an emulator of a service can do wrong is in the second part; the first
# is a server that writes bytes.  Each fault befalls a list and a lookup by id,
# as often as somebody asks.  All of it happens in one session, which has to
# stay well, and requests are counted: what may work when tried again is tried
# again, and nothing else.

use strict;
use warnings;

use Compress::Raw::Zlib;
use Encode ();
use FindBin;
use lib $FindBin::RealBin;
use GraphCluster;
use GraphEmulator qw(alert);
use IO::Compress::Gzip qw(gzip);
use JSON::PP;
use OddServer;
use PostgreSQL::Test::Utils;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->utf8->canonical;
my $log  = PostgreSQL::Test::Utils::tempdir();

#------------------------------------------------------------------------------
# Answers
#------------------------------------------------------------------------------

my $now = '"createdDateTime":"2026-07-01T10:00:00Z"';

# An alert; a page of some; the last page of a list, or one that has a next.
sub record { my ($id) = @_; return qq({"id":"$id","title":"t$id",$now}) }
sub page { return '{"value":[' . join(',', map { record($_) } @_) . ']}' }

sub linked
{
	my ($link, @ids) = @_;
	return '{"@odata.nextLink":"' . $link . '",' . substr page(@ids), 1;
}

# A whole answer: status, headers, body.
sub http
{
	my ($status, $body, @headers) = @_;
	return join "\r\n", "HTTP/1.1 $status X", 'Content-Type: application/json',
	  (grep({ /^(?:Content-Length|Transfer-Encoding)/i } @headers) ? () : 'Content-Length: ' . length $body),
	  'Connection: close', @headers, '', $body;
}
sub ok_with { return http(200, @_) }

sub zipped { my ($text) = @_; gzip(\$text => \my $packed); return $packed }

# A gzip of a text with a megabyte of one letter in it, so many times over:
# pieces that end at a byte can be repeated without compressing them again.
sub bomb
{
	my ($before, $letter, $times, $after) = @_;
	my @pieces;

	foreach my $text ($before, $letter x 1_048_576, $after)
	{
		my $deflate = Compress::Raw::Zlib::Deflate->new(-WindowBits => -MAX_WBITS, -Level => 9);
		my $packed = '';
		$deflate->deflate($text, my $first);
		$deflate->flush(my $second, Z_FULL_FLUSH);
		push @pieces, $first . $second;
	}
	return "\x1f\x8b\x08" . "\0" x 6 . "\x03" . $pieces[0] . $pieces[1] x $times . $pieces[2]
	  . "\x03\0" . "\0" x 8;
}

# End a connection with RST.
sub reset_socket
{
	my ($socket) = @_;
	setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'll', 1, 0;
	return;
}

#------------------------------------------------------------------------------
# The server of the first part
#------------------------------------------------------------------------------

# A fault: its name, what it sends, and what becomes of a list and of a lookup
# of "b".  What it sends is bytes, or a function of what is asked: "body" is
# the right answer's, "list" whether a list is wanted, "link" a URL that leads
# to it again, "nth" counts the requests and "socket" is there to write to
# oneself.  An outcome is the ids, or the SQLSTATE and a part of the error; a
# third element counts the requests, of which there is otherwise one (-1: they
# are not counted, as a list may be begun anew).
my $ALL = 'a,b,c';
my ($MALFORMED, $PARTIAL, $CUT, $LOST, $ODD, $LARGE, $UNPACK) = (
	[ HV024 => 'malformed' ], [ HV00M => 'incomplete' ], [ HV00M => 'incomplete', 2 ], [ '08006' => 'lost', 2 ],
	[ HV000 => 'exchange data' ], [ 54000 => 'oversized' ], [ HV024 => 'decompress' ]);

my @faults = (
	# the way the answer begins
	[ 'nothing at all', sub { '' }, $LOST, $LOST ],
	[ 'a reset before the answer', sub { reset_socket($_[0]{socket}); '' }, $LOST, $LOST ],
	[ 'a reset in the status line', sub { print { $_[0]{socket} } 'HTTP/1.'; sleep 0.05; reset_socket($_[0]{socket}); '' }, $LOST, $LOST ],
	[ 'a reset in the header', sub { print { $_[0]{socket} } "HTTP/1.1 200 OK\r\nContent-"; sleep 0.05; reset_socket($_[0]{socket}); '' }, $LOST, $LOST ],
	[ 'a reset after the header', sub { print { $_[0]{socket} } "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"; sleep 0.05; reset_socket($_[0]{socket}); '' }, $LOST, $LOST ],
	[ 'bytes before the status line', sub { "\0\1\2\r\n" . ok_with($_[0]{body}) }, $ODD, $ODD ],
	[ 'empty lines before the status line', sub { "\r\n\r\n" . ok_with($_[0]{body}) }, $ODD, $ODD ],
	[ 'HTTP/0.9', sub { $_[0]{body} }, $ODD, $ODD ],
	[ 'HTTP/7.1', sub { ok_with($_[0]{body}) =~ s{HTTP/1.1}{HTTP/7.1}r }, $ODD, $ODD ],
	[ 'HTTP/1.0', sub { "HTTP/1.0 200 OK\r\n\r\n$_[0]{body}" }, $ALL, 'b' ],
	[ 'a status of two digits', sub { http(20, $_[0]{body}) }, $ODD, $ODD ],
	[ 'a status of 999', sub { http(999, $_[0]{body}) }, [ HV00M => 'status 999' ], [ HV00M => 'status 999' ] ],
	[ 'no reason', sub { ok_with($_[0]{body}) =~ s/ X\r/\r/r }, $ALL, 'b' ],

	# the header
	[ 'a header that does not end', sub { "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" }, $LOST, $LOST ],
	[ 'a header line of 90 kB', sub { ok_with($_[0]{body}, 'X-Long: ' . 'x' x 90_000) }, $ALL, 'b' ],
	[ 'a header line of 110 kB', sub { ok_with($_[0]{body}, 'X-Long: ' . 'x' x 110_000) }, $LARGE, $LARGE ],
	[ 'a megabyte of headers', sub { ok_with($_[0]{body}, map { "X-$_: " . 'x' x 1000 } 1 .. 1000) }, $LARGE, $LARGE ],
	[ 'ten thousand interim answers', sub { "HTTP/1.1 102 X\r\nX-Y: 1234567890\r\n\r\n" x 10_000 . ok_with($_[0]{body}) }, $LARGE, $LARGE ],
	[ 'three interim answers', sub { "HTTP/1.1 103 X\r\nWarning: 199 - \"x\"\r\n\r\n" x 3 . ok_with($_[0]{body}) }, $ALL, 'b' ],
	[ 'an interim answer and no other', "HTTP/1.1 100 Continue\r\n\r\n", $LOST, $LOST ],
	[ 'a zero byte in the header', sub { ok_with($_[0]{body}, "X-Zero: a\0b") }, $ODD, $ODD ],
	[ 'a header line without colon', sub { ok_with($_[0]{body}, 'no colon here') }, $ODD, $ODD ],
	[ 'folded header lines', sub { ok_with($_[0]{body}, "X-Fold: a\r\n  b") }, $ALL, 'b' ],
	[ 'lines that end in LF', sub { my $body = $_[0]{body}; "HTTP/1.1 200 OK\nContent-Length: " . length($body) . "\n\n$body" }, $ALL, 'b' ],

	# how long it is
	[ 'no length, closed', sub { "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n$_[0]{body}" }, $ALL, 'b' ],
	[ 'no length, closed too early', sub { "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" . substr $_[0]{body}, 0, 60 }, $CUT, $CUT ],
	[ 'no length, closed too early, then the answer', sub { "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" . ($_[0]{nth} == 1 ? substr $_[0]{body}, 0, 60 : $_[0]{body}) }, [ $ALL, '', 2 ], [ 'b', '', 2 ] ],
	[ 'no length and nothing', "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", $CUT, $CUT ],
	[ 'a header that ends in a line, then the answer', sub { $_[0]{nth} == 1 ? "HTTP/1.1 200 OK\r\nContent-T" : ok_with($_[0]{body}) }, [ $ALL, '', 2 ], [ 'b', '', 2 ] ],
	[ 'a length too long by one', sub { ok_with($_[0]{body}, 'Content-Length: ' . (1 + length $_[0]{body})) }, $LOST, $LOST ],
	[ 'a length of 5 GB', sub { ok_with($_[0]{body}, 'Content-Length: 5368709120') }, $LOST, $LOST ],
	[ 'a length too short by one', sub { ok_with($_[0]{body}, 'Content-Length: ' . (length($_[0]{body}) - 1)) }, $PARTIAL, $PARTIAL ],
	[ 'a length of zero', sub { ok_with($_[0]{body}, 'Content-Length: 0') }, $PARTIAL, $PARTIAL ],
	[ 'a length below zero', sub { ok_with($_[0]{body}, 'Content-Length: -1') }, $ODD, $ODD ],
	[ 'a length of 40 digits', sub { ok_with($_[0]{body}, 'Content-Length: ' . 9 x 40) }, 'rows or error', 'rows or error' ],
	[ 'two lengths, the shorter last', sub { ok_with($_[0]{body}, 'Content-Length: ' . length $_[0]{body}, 'Content-Length: 20') }, $PARTIAL, $PARTIAL ],
	[ 'the same length twice', sub { ok_with($_[0]{body}, ('Content-Length: ' . length $_[0]{body}) x 2) }, $ALL, 'b' ],
	[ 'two lengths, the longer last', sub { ok_with($_[0]{body}, 'Content-Length: 20', 'Content-Length: ' . length $_[0]{body}) }, $PARTIAL, $PARTIAL ],
	[ 'a length and chunks', sub { ok_with(sprintf("%x\r\n%s\r\n0\r\n\r\n", length $_[0]{body}, $_[0]{body}), 'Content-Length: 3', 'Transfer-Encoding: chunked') }, $ALL, 'b' ],
	[ 'chunks of one byte, with extensions', sub { ok_with(join('', map { "1;" . 'x' x 50 . "=\"y\"\r\n$_\r\n" } split //, $_[0]{body}) . "0\r\nX-Trailer: 1\r\n\r\n", 'Transfer-Encoding: chunked') }, $ALL, 'b' ],
	[ 'a chunk extension of a megabyte', sub { ok_with(sprintf("%x;%s\r\n%s\r\n0\r\n\r\n", length $_[0]{body}, 'x' x 1_000_000, $_[0]{body}), 'Transfer-Encoding: chunked') }, 'rows or error', 'rows or error' ],
	[ 'a chunk of 2^64 bytes', sub { ok_with("10000000000000000\r\n$_[0]{body}", 'Transfer-Encoding: chunked') }, $LOST, $LOST ],
	[ 'a chunk below zero', sub { ok_with("-5\r\n$_[0]{body}", 'Transfer-Encoding: chunked') }, $LOST, $LOST ],
	[ 'chunks without the last', sub { ok_with(sprintf("%x\r\n%s\r\n", length $_[0]{body}, $_[0]{body}), 'Transfer-Encoding: chunked') }, $LOST, $LOST ],
	[ 'an unknown transfer encoding', sub { ok_with($_[0]{body}, 'Transfer-Encoding: rot13') }, 'rows or error', 'rows or error' ],
	[ 'text behind the document', sub { ok_with("$_[0]{body} x") }, $MALFORMED, $MALFORMED ],
	[ 'a second document', sub { ok_with($_[0]{body} x 2) }, $MALFORMED, $MALFORMED ],
	[ 'a trailer that warns', sub { ok_with(sprintf("%x\r\n%s\r\n0\r\nWarning: 199 - \"x\"\r\n\r\n", length $_[0]{body}, $_[0]{body}), 'Transfer-Encoding: chunked') }, 'rows or error', 'rows or error' ],

	# how it is packed
	[ 'gzip', sub { ok_with(zipped($_[0]{body}), 'Content-Encoding: gzip') }, $ALL, 'b' ],
	[ 'gzip in two members', sub { my $body = $_[0]{body}; ok_with(zipped(substr $body, 0, 30) . zipped(substr $body, 30), 'Content-Encoding: gzip') }, $ALL, 'b' ],
	[ 'gzip in a member for each byte', sub { ok_with(join('', map { zipped($_) } split //, $_[0]{body}), 'Content-Encoding: x-gzip') }, $ALL, 'b' ],
	[ 'gzip of nothing before and after', sub { ok_with(zipped('') . zipped($_[0]{body}) . zipped(''), 'Content-Encoding: GZIP') }, $ALL, 'b' ],
	[ 'gzip with zeros behind it', sub { ok_with(zipped($_[0]{body}) . "\0" x 500, 'Content-Encoding: gzip') }, $ALL, 'b' ],
	[ 'gzip whose checksum is wrong', sub { ok_with(zipped($_[0]{body}) =~ s/.{8}\z/x.x.x.x./sr, 'Content-Encoding: gzip') }, $UNPACK, $UNPACK ],
	[ 'the encoding identity', sub { ok_with($_[0]{body}, 'Content-Encoding: identity') }, $ALL, 'b' ],
	[ 'gzip and no length, cut', sub { "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" . substr zipped($_[0]{body}), 0, $_[0]{nth} == 1 ? 40 : 9999 }, [ $ALL, '', 2 ], [ 'b', '', 2 ] ],
	[ 'gzip that is cut', sub { ok_with(substr(zipped($_[0]{body}), 0, 50), 'Content-Encoding: gzip') }, $PARTIAL, $PARTIAL ],
	[ 'gzip that is empty', sub { ok_with('', 'Content-Encoding: gzip') }, $PARTIAL, $PARTIAL ],
	[ 'gzip with text behind it', sub { ok_with(zipped($_[0]{body}) . 'x' x 50, 'Content-Encoding: gzip') }, 'rows or error', 'rows or error' ],
	[ 'gzip that is none', sub { ok_with($_[0]{body}, 'Content-Encoding: gzip') }, $UNPACK, $UNPACK ],
	[ 'gzip that nobody announces', sub { ok_with(zipped($_[0]{body})) }, $MALFORMED, $MALFORMED ],
	[ 'gzip in gzip', sub { ok_with(zipped(zipped($_[0]{body})), 'Content-Encoding: gzip, gzip') }, 'rows or error', 'rows or error' ],
	[ 'a hundred encodings', sub { ok_with(zipped($_[0]{body}), 'Content-Encoding: ' . join ', ', ('gzip') x 100) }, $UNPACK, $UNPACK ],
	[ 'an unknown encoding', sub { ok_with($_[0]{body}, 'Content-Encoding: rot13') }, $UNPACK, $UNPACK ],
	[ 'a bomb in a record', sub { ok_with(bomb($_[0]{list} ? '{"value":[{"id":"' : '{"id":"', 'A', 10_240, '"}'), 'Content-Encoding: gzip') }, [ 54000 => 'larger than' ], [ 54000 => 'larger than' ] ],
	[ 'a bomb beside the records', sub { ok_with(bomb('{"x":"', 'A', 10_240, '"}'), 'Content-Encoding: gzip') }, [ 54000 => 'larger than' ], [ 54000 => 'larger than' ] ],
	[ 'a bomb of blanks', sub { ok_with(bomb('{', ' ', 10_240, '}'), 'Content-Encoding: gzip') }, [ 54000 => '' ], [ 54000 => '' ] ],

	# other encodings than UTF-8
	[ 'UTF-16', sub { ok_with(Encode::encode('UTF-16', $_[0]{body})) }, $MALFORMED, $MALFORMED ],
	[ 'a byte order mark', sub { ok_with("\xef\xbb\xbf$_[0]{body}") }, $ALL, 'b' ],
	[ 'two byte order marks', sub { ok_with("\xef\xbb\xbf" x 2 . $_[0]{body}) }, $MALFORMED, $MALFORMED ],
	[ 'zero bytes', sub { ok_with($_[0]{body} =~ s/"t/"\0t/gr) }, $MALFORMED, $MALFORMED ],
	[ 'zero bytes behind the document', sub { ok_with($_[0]{body} . "\0" x 10) }, $MALFORMED, $MALFORMED ],
	[ 'bytes that are not UTF-8', sub { ok_with($_[0]{body} =~ s/"(?=t[abc]")/"\xff\xfe/gr) }, $ALL, 'b' ],

	# JSON
	[ 'the document {}', ok_with('{}'), $PARTIAL, $PARTIAL ],
	(map { [ "the document $_", ok_with($_), $MALFORMED, $PARTIAL ] } 'null', '17', '"text"', '[]', '[{"id":"b"}]', 'true'),
	(map { [ "the document $_", ok_with($_), $MALFORMED, $MALFORMED ] } '{"value":[],}', '{"value":[,]}', '{value:[]}', "{'value':[]}", '{"value":[]', '[}', '}', 'nul', '01', '"', '{"id":"b"}}')[ 0 .. 3, 5 .. 6, 8, 10 ],
	[ 'comments in it', sub { ok_with($_[0]{body} =~ s/,/,\/* x *\//r) }, $MALFORMED, $MALFORMED ],
	[ '150 levels', sub { ok_with($_[0]{body} =~ s/"title"/'"x":' . '[' x 150 . ']' x 150 . ',"title"'/er) }, [ HV024 => 'nested' ], [ HV024 => 'nested' ] ],
	[ '100,000 levels', sub { ok_with($_[0]{body} =~ s/"title"/'"x":' . '{"y":[' x 50_000 . ']}' x 50_000 . ',"title"'/er) }, [ HV024 => 'nested' ], [ HV024 => 'nested' ] ],
	[ '100,000 levels beside the records', sub { ok_with('{"x":' . '[' x 100_000 . ']' x 100_000 . ',' . substr $_[0]{body}, 1) }, [ HV024 => 'nested' ], [ HV024 => 'nested' ] ],
	[ 'an "error" and nothing else', ok_with('{"error":{"code":"generalException","message":"x"}}'), $PARTIAL, $PARTIAL ],
	[ 'an "error" that is null', sub { ok_with('{"error":null,' . substr $_[0]{body}, 1) }, $ALL, 'b' ],

	# lists
	[ 'a list instead of an alert, and back', sub { ok_with($_[0]{list} ? record('b') : page(qw(a b c))) }, $PARTIAL, $PARTIAL ],
	[ 'no "value"', sub { ok_with($_[0]{list} ? '{"values":[]}' : '{"ID":"b"}') }, $PARTIAL, $PARTIAL ],
	[ 'two "value"', sub { ok_with('{"value":[' . record('a') . '],"value":[]}') }, $MALFORMED, $PARTIAL ],
	[ 'a "value" that is an object', sub { ok_with('{"value":' . record('a') . '}') }, $PARTIAL, $PARTIAL ],
	[ 'a "value" in a "value"', sub { ok_with('{"value":[{"value":[' . record('a') . ']}]}') }, $PARTIAL, $PARTIAL ],
	(map { my $element = $_; [ "an element $_", sub { ok_with(page(qw(a b c)) =~ s/\]\}$/,$element]}/r) }, $element eq '{}' ? $PARTIAL : $MALFORMED, $PARTIAL ] }
		qw(null 17 "x" [] {} true)),
	(map { my $id = $_; [ "an id $_", sub { ok_with($_[0]{list} ? qq({"value":[{"id":$id,$now}]}) : qq({"id":$id})) }, $PARTIAL, $PARTIAL ] }
		qw(17 null {} [] true)),
	[ 'a warning', sub { ok_with($_[0]{body}, 'Warning: 199 - "Microsoft/X/504/10000"') }, $PARTIAL, $PARTIAL ],
	[ 'a part', sub { http(206, $_[0]{body}) }, $PARTIAL, $PARTIAL ],
	[ 'a range', sub { http(206, $_[0]{body}, 'Content-Range: bytes 0-99/1000') }, $PARTIAL, $PARTIAL ],
	[ 'no content', "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", [ HV00M => 'status 204' ], [ HV00M => 'status 204' ] ],
	[ 'not modified', "HTTP/1.1 304 X\r\nConnection: close\r\n\r\n", [ HV00N => 'status 304' ], [ HV00N => 'status 304' ] ],
	[ 'a switch of protocols', "HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 'an error', 'an error' ],
	[ 'HTML', "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>no</html>", [ HV024 => 'text/html' ], [ HV024 => 'text/html' ] ],
	[ 'times that are none', sub { ok_with($_[0]{body} =~ s/"2026[^"]*"/"yesterday"/gr) }, $ALL, 'b' ],
	[ 'times that are numbers', sub { ok_with($_[0]{body} =~ s/"2026[^"]*"/1785499200/gr) }, $ALL, 'b' ],
	[ 'times in another zone', sub { ok_with($_[0]{body} =~ s/00Z"/00+02:00"/gr) }, $ALL, 'b' ],

	# links
	(map { my $cycle = $_; [ "a loop of $cycle", sub {
			my ($page) = $_[0]{request} =~ /page=(\d+)/;
			$page //= 0;
			return ok_with($_[0]{list} ? linked("$_[0]{link}?page=" . ($page % $cycle + 1), "a$page") : record('b'));
		}, [ HV00M => 'read before', '<=' . 2 * ($cycle + 1) ], 'b' ] } 1, 2, 5, 20),
	[ 'a loop without rows', sub { ok_with($_[0]{list} ? linked("$_[0]{link}?same=1") : record('b')) }, [ HV00M => 'read before', 2 ], 'b' ],
	[ 'empty pages between', sub {
			my ($page) = $_[0]{request} =~ /page=(\d+)/;
			$page //= 0;
			return ok_with(!$_[0]{list} ? record('b') : $page == 9 ? page(qw(c)) :
				  linked("$_[0]{link}?page=" . ($page + 1), $page == 0 ? 'a' : $page == 5 ? 'b' : ()));
		}, [ $ALL, '', -1 ], 'b' ],
	[ 'empty pages without end', sub { ok_with($_[0]{list} ? linked("$_[0]{link}?page=$_[0]{nth}") : record('b')) }, [ HV00M => 'held no alert', 1000 ], undef ],
	[ 'the same rows without end', sub { ok_with($_[0]{list} ? linked("$_[0]{link}?page=$_[0]{nth}", qw(a b c)) : record('b')) }, [ HV00M => 'held no alert', '<=2002' ], undef ],
	[ 'the same rows again ten pages later', sub {
			my ($page) = $_[0]{request} =~ /page=(\d+)/;
			$page //= 0;
			return ok_with(!$_[0]{list} ? record('b') : $page == 30 ? page(qw(c)) :
				  linked("$_[0]{link}?page=" . ($page + 1), map { "r$_" } $page % 10));
		}, [ 'c,r0,r1,r2,r3,r4,r5,r6,r7,r8,r9', '', -1 ], undef ],
	[ 'another alert than the one that is looked up', sub { ok_with($_[0]{list} ? $_[0]{body} : record('c')) }, $ALL, [ HV00M => 'another alert, "c"' ] ],
	[ 'an id in capitals', sub { ok_with($_[0]{list} ? $_[0]{body} : record('B')) }, $ALL, '' ],
	[ 'the last row again on the next page', sub { ok_with(!$_[0]{list} ? record('b') : $_[0]{request} =~ /page=2/ ? page(qw(b c)) : linked("$_[0]{link}?page=2", qw(a b))) }, [ $ALL, '', -1 ], 'b' ],
	[ 'a row twice on a page', sub { ok_with($_[0]{list} ? page(qw(a b b c c)) : record('b')) }, $ALL, 'b' ],
	(map { my ($name, $link, @expected) = @$_; [ "a link that is $name", sub { ok_with($_[0]{list} ? '{"@odata.nextLink":' . ($link =~ s/HOST/$_[0]{host}/r) . ',' . substr(page('a'), 1) : record('b')) }, [ @expected, (undef) x (2 - @expected), -1 ], 'b' ] }
		[ 'on another host', '"http://elsewhere.example/x"', HV00N => 'another origin' ],
		[ 'on another port', '"http://127.0.0.1:1/x"', HV00N => 'another origin' ],
		[ 'https', '"https://HOST/x"', HV00N => 'another origin' ],
		[ 'a file', '"file:///etc/passwd"', 'HV' => '' ],
		[ 'with a password', '"http://a:b@HOST/x"', HV024 => 'absolute URL' ],
		[ 'with a host in the user', '"http://HOST@elsewhere.example/x"', HV024 => 'absolute URL' ],
		[ 'a host with a suffix', '"http://127.0.0.1.elsewhere.example/x"', HV00N => 'another origin' ],
		[ 'with a backslash', '"http://elsewhere.example\\\\@HOST/x"', 'HV' => '' ],
		[ 'with a line end', '"http://HOST/x\\r\\nX-Y: 1"', HV024 => 'absolute URL' ],
		[ 'with a zero byte', '"http://HOST/x\\u0000"', '08006' => 'lost' ],
		[ 'a path elsewhere', '"/v1.0/security/alerts_v2?x=1"', '08006' => 'lost' ],
		[ 'odd: https:', '"https:alerts_v2?x=1"', HV024 => 'absolute URL' ],
		[ 'odd: http:', '"http:alerts_v2?x=1"', HV024 => 'absolute URL' ],
		[ 'a script', '"javascript:alert(1)"', HV024 => 'absolute URL' ],
		[ 'a host alone', '"//elsewhere.example/x"', HV00N => 'another origin' ],
		[ 'a port alone', '"//127.0.0.1:1/x"', HV00N => 'another origin' ],
		[ 'relative with a blank', '"alerts_v2? x"', HV024 => 'absolute URL' ],
		[ 'empty', '""', HV024 => 'absolute URL' ],
		[ 'a number', '17', HV024 => 'absolute URL' ],
		[ 'an object', '{"href":"x"}', HV024 => 'absolute URL' ],
		[ 'a list', '["x"]', HV024 => 'absolute URL' ],
		[ 'false', 'false', HV024 => 'absolute URL' ],
		[ 'null', 'null', a => '' ],
		[ '100 kB long', '"http://HOST/' . 'x' x 100_000 . '"', HV024 => 'too long' ]),

	(map { my ($name, $link) = @$_; [ "a link that is relative: $name", sub { ok_with(!$_[0]{list} ? record('b') : $_[0]{request} =~ /page=2/ ? page('c') : '{"@odata.nextLink":"' . ($link =~ s/HOST/$_[0]{host}/r =~ s/ROOT/$_[0]{root}/r) . '",' . substr page(qw(a b)), 1) }, [ $ALL, '', -1 ], 'b' ] }
		[ 'a query', '?$skiptoken=page=2' ], [ 'the last segment', 'alerts_v2?page=2' ], [ 'a path', 'ROOT/v1.0/security/alerts_v2?page=2' ],
		[ 'dots', '../security/./alerts_v2?page=2' ], [ 'a host', '//HOSTROOT/v1.0/security/alerts_v2?page=2' ], [ 'an absolute URL', 'http://HOSTROOT/v1.0/security/alerts_v2?page=2' ]),

	# statuses that pass
	[ '503, then the answer', sub { $_[0]{nth} == 1 ? http(503, '{}') : ok_with($_[0]{body}) }, [ $ALL, '', 2 ], [ 'b', '', 2 ] ],
	[ '429 without Retry-After', sub { $_[0]{nth} == 1 ? http(429, '{}') : ok_with($_[0]{body}) }, [ $ALL, '', 2 ], [ 'b', '', 2 ] ],
	[ '429 with Retry-After: 1', sub { $_[0]{nth} == 1 ? http(429, '{}', 'Retry-After: 1') : ok_with($_[0]{body}) }, [ $ALL, '', 2, 1 ], [ 'b', '', 2, 1 ] ],
	[ '429 with a Retry-After that has passed', sub { $_[0]{nth} == 1 ? http(429, '{}', 'Retry-After: Fri, 31 Dec 1999 23:59:59 GMT') : ok_with($_[0]{body}) }, [ $ALL, '', 2 ], [ 'b', '', 2 ] ],
	[ '429 with a Retry-After that is none', sub { $_[0]{nth} == 1 ? http(429, '{}', 'Retry-After: soon') : ok_with($_[0]{body}) }, [ $ALL, '', 2 ], [ 'b', '', 2 ] ],
	[ '429 with a Retry-After below zero', sub { $_[0]{nth} == 1 ? http(429, '{}', 'Retry-After: -5') : ok_with($_[0]{body}) }, [ $ALL, '', 2 ], [ 'b', '', 2 ] ],
	[ '429 with Retry-After: 99999', http(429, '{}', 'Retry-After: 99999'), [ 53400 => 'asks to wait' ], [ 53400 => 'asks to wait' ] ],
	[ '429 with a Retry-After of 30 digits', http(429, '{}', 'Retry-After: ' . 9 x 30), 'an error', 'an error' ],
	[ '500 again and again', http(500, '{"error":{"code":"x","message":"y"}}'), [ HV000 => 'tried 2 times', 2 ], [ HV000 => 'tried 2 times', 2 ] ],
	[ '503 with a body that is cut', "HTTP/1.1 503 X\r\nContent-Length: 500\r\n\r\n{", [ '57P03' => 'status 503', 2 ], [ '57P03' => 'status 503', 2 ] ],
	[ '404', http(404, '{"error":{"code":"ResourceNotFound","message":"x"}}'), [ HV00R => 'status 404' ], '' ],
	[ '404 with a code that is empty', http(404, '{"error":{"code":"","message":"x"}}'), [ HV00R => 'status 404' ], '' ],
	[ '404 with a body that is none', http(404, 'x' x 10), [ HV00R => 'status 404' ], [ HV00R => 'status 404' ] ],
	[ '404 with a body of 10 MB', sub { http(404, 'x' x 10_000_000) }, [ HV00R => 'status 404' ], [ HV00R => 'status 404' ] ],
	[ '404 of a gateway', http(404, '{"message":"no Route matched"}'), [ HV00R => 'status 404' ], [ HV00R => 'status 404' ] ],
	[ '404 and nothing', "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", [ HV00R => 'status 404' ], [ HV00R => 'status 404' ] ],
	[ '401', http(401, '{}'), [ 28000 => 'status 401' ], [ 28000 => 'status 401' ] ],
	[ '302', http(302, '', 'Location: http://127.0.0.1:1/'), [ HV00N => 'redirect' ], [ HV00N => 'redirect' ] ],
	[ 'a reset, then the answer', sub { $_[0]{nth} == 1 ? do { reset_socket($_[0]{socket}); '' } : ok_with($_[0]{body}) }, [ $ALL, '', 2 ], [ 'b', '', 2 ] ],

	# an answer that breaks when rows were given, and what comes then
	[ 'a cut, then the same', sub { my $body = $_[0]{body}; ok_with($_[0]{nth} == 1 ? substr $body, 0, -20 : $body, 'Content-Length: ' . length $body) }, [ $ALL, '', 2 ], [ 'b', '', 2 ] ],
	[ 'a cut, then other rows', sub { my $body = $_[0]{nth} == 1 ? page(qw(a b c)) : page(qw(x y z)); ok_with($_[0]{nth} == 1 ? substr $body, 0, -20 : $body, 'Content-Length: ' . length $body) }, [ 'a,b,x,y,z', '', 2 ], undef ],
	[ 'a cut, then fewer rows', sub { my $body = $_[0]{nth} == 1 ? page(qw(a b c)) : page(qw(a)); ok_with($_[0]{nth} == 1 ? substr $body, 0, -20 : $body, 'Content-Length: ' . length $body) }, [ 'a,b', '', 2 ], undef ],
	[ 'a cut, then a broken document', sub { my $body = $_[0]{body}; ok_with($_[0]{nth} == 1 ? substr $body, 0, -20 : "{$body", 'Content-Length: ' . (length($body) + ($_[0]{nth} > 1))) }, [ HV024 => 'malformed', 2 ], [ HV024 => 'malformed', 2 ] ],
);

my $server = OddServer->new(\&serve, read => 1);

# Answer one request: the path begins with the number of the fault.
sub serve
{
	my ($socket, $request) = @_;
	my ($number, $rest) = $request =~ m{^GET /(\d+)/v1\.0/security/alerts_v2([^ ]*) } or return;
	my $list = $rest !~ m{^/};

	open my $file, '>>', "$log/$number";
	syswrite $file, 'x';
	my ($host) = $request =~ /^host: (\S+)/im;
	my $send = $faults[$number][1];
	my $answer = ref $send ? $send->({
			socket  => $socket,
			request => $request,
			list    => $list,
			body    => $list ? page(qw(a b c)) : record('b'),
			host    => $host,
			root    => "/$number",
			link    => "http://$host/$number/v1.0/security/alerts_v2",
			nth     => -s $file }) : $send;

	$socket->autoflush(1);
	$SIG{PIPE} = 'IGNORE';
	print $socket $answer;
	return;
}

#------------------------------------------------------------------------------
# The session
#------------------------------------------------------------------------------

my $emulator = GraphEmulator->new('--alerts', 0, '--no-sample');
$emulator->set_alerts(map { alert(id => $_) } qw(a b c));
my $node = GraphCluster->connected_to($emulator);
my $page = '(SELECT id, title FROM TABLE OFFSET 0) AS page';
my %query = (
	list   => "SELECT string_agg(id, ',' ORDER BY id) FROM $page",
	lookup => q{SELECT string_agg(id, ',') FROM TABLE WHERE id = 'b' AND title IS NOT NULL});

$node->sql(sprintf <<'SQL', $server->url, $server->url);
CREATE FUNCTION outcome(query text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
	result text; state text; message text; detail text; context text;
BEGIN
	EXECUTE query INTO result;
	RETURN json_build_object('state', coalesce(result, ''), 'text', '');
EXCEPTION WHEN OTHERS OR query_canceled THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
		message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
	RETURN json_build_object('state', state, 'text', concat_ws(' | ', message, detail, context));
END $$;
CREATE SERVER odd FOREIGN DATA WRAPPER graph_fdw OPTIONS (endpoint '%s', max_retries '1', request_timeout '5s', throttle_timeout '5s');
CREATE USER MAPPING FOR CURRENT_USER SERVER odd OPTIONS (access_token 'emulator-access-token');
CREATE FOREIGN TABLE odd_alerts (id text, title text, raw jsonb OPTIONS (property '.')) SERVER odd;
SQL

my $session = $node->session;
my $backend = $session->query('SELECT pg_backend_pid()');

# How a query ends; "table" is what it reads.
sub outcome
{
	my ($kind, $table) = @_;
	my $query = $query{$kind} =~ s/TABLE/$table/r;

	$session->{stderr} = '';
	return $json->decode(Encode::encode_utf8($session->query("SELECT outcome(\$query\$$query\$query\$)")));
}

# Is this what was expected?
sub is_outcome
{
	my ($name, $outcome, $expected) = @_;
	my ($state, $words) = ref $expected ? @$expected : ($expected, '');
	my $is_error = $outcome->{text} ne '';
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	if ($state eq 'an error' || $state eq 'rows or error')
	{
		return ok(($is_error && $outcome->{state} !~ /^XX/) || ($state eq 'rows or error' && $outcome->{state} =~ /^(?:a,b,c|b)$/), $name)
		  || diag("$outcome->{state} $outcome->{text}");
	}
	$words //= '';
	my $same = $state eq 'HV' ? $outcome->{state} =~ /^HV/ : $outcome->{state} eq $state;
	return ok($same && index($outcome->{text}, $words) >= 0, $name)
	  || diag("expected $state $words: $outcome->{state} $outcome->{text}");
}

# And is the session well, and in no hurry to ask again?
sub is_well
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is(outcome('list', 'defender.alerts')->{state}, 'a,b,c', "$name: the session afterwards");
}

#------------------------------------------------------------------------------
# Bytes
#------------------------------------------------------------------------------

my $slowest = [ 0, '' ];
foreach my $number (0 .. $#faults)
{
	my ($name, undef, @expected) = @{ $faults[$number] };

	$session->query('ALTER SERVER odd OPTIONS (SET endpoint \'' . $server->url . "/$number')");
	# what one service has refused is nothing to the next: another mapping is another client
	$session->query(q{DROP USER MAPPING FOR CURRENT_USER SERVER odd; CREATE USER MAPPING FOR CURRENT_USER SERVER odd OPTIONS (access_token 'emulator-access-token')})
	  if $number > 0 && $faults[$number - 1][0] =~ /^429/;
	foreach my $kind (qw(list lookup))
	{
		my $expected = $kind eq 'list' ? $expected[0] : $expected[1];
		next unless defined $expected;
		unlink "$log/$number";
		my $since = time;
		my $outcome = outcome($kind, 'odd_alerts');
		my $seconds = time - $since;

		is_outcome("$kind: $name", $outcome, $expected);
		my $requests = ref $expected && $expected->[2] || 1;
		if ($requests =~ /^<=(\d+)$/)
		{
			cmp_ok(-s "$log/$number", '<=', $1, "$kind: $name: requests");
		}
		elsif ($requests > 0 && (ref $expected || $expected !~ /error/))
		{
			is(-s "$log/$number", $requests, "$kind: $name: requests");
		}
		cmp_ok($seconds, '>=', $expected->[3] - 0.1, "$kind: $name: it waits") if ref $expected && $expected->[3];
		$slowest = [ $seconds, "$kind: $name" ] if $seconds > $slowest->[0];
	}
	is_well($name);
}
note sprintf 'the slowest took %.1f s: %s', @$slowest;
cmp_ok($slowest->[0], '<', 120 * ($ENV{GRAPH_SLOW} || 1), 'none takes long') or diag($slowest->[1]);

# TLS that does not come about.
my $silent = OddServer->new(sub { sleep 60 });
my $rude = OddServer->new(sub { reset_socket($_[0]) }, read => 0);
my $babbler = OddServer->new(sub { print { $_[0] } "\x16\x03\x01" . 'x' x 10_000 });
foreach my $case ([ $silent, 'HV00N', 'timed out while connecting' ], [ $rude, 'HV00N', '' ], [ $babbler, 'HV00N', '' ])
{
	my ($other, @expected) = @$case;

	$session->query("ALTER SERVER odd OPTIONS (SET endpoint 'https://127.0.0.1:" . $other->port
		  . "', " . ($other == $silent ? 'ADD' : 'SET') . " connect_timeout '300ms')");
	is_outcome("TLS: $expected[1]", outcome('list', 'odd_alerts'), [@expected]);
	is_well('TLS');
}

#------------------------------------------------------------------------------
# With a warning
#------------------------------------------------------------------------------

# What is incomplete is given as far as it goes, and nothing twice.
$session->query("ALTER SERVER odd OPTIONS (ADD on_partial 'warning', SET endpoint 'http://127.0.0.1:1')");
my %given = (
	'a part' => [ $ALL, 'b' ], 'a warning' => [ $ALL, 'b' ], 'a length of zero' => [ '', '' ],
	'a length too short by one' => [ $ALL, '' ], 'gzip that is cut' => [ undef, '' ], 'an element {}' => [ $ALL, '' ],
	'an id 17' => [ '', '' ], 'a "value" that is an object' => [ '', '' ], 'an "error" and nothing else' => [ '', '' ],
	'no "value"' => [ '', '' ], 'a loop of 1' => [ 'a0,a1', undef ], 'a loop of 2' => [ 'a0,a1,a2', undef ],
	'a loop of 5' => [ 'a0,a1,a2,a3,a4,a5', undef ],
	'no length, closed too early' => [ '', '' ]);
foreach my $number (grep { exists $given{ $faults[$_][0] } } 0 .. $#faults)
{
	my $name = $faults[$number][0];
	my @rows = @{ $given{$name} };

	$session->query("ALTER SERVER odd OPTIONS (SET endpoint '" . $server->url . "/$number')");
	foreach my $kind (qw(list lookup))
	{
		my $rows = $kind eq 'list' ? $rows[0] : $rows[1];
		unlink "$log/$number";
		my $outcome = outcome($kind, 'odd_alerts');
		my $messages = $session->{stderr};

		next if $kind eq 'lookup' && $name =~ /loop|fewer/;
		is($outcome->{text}, '', "on_partial, $kind: $name");
		is($outcome->{state}, $rows, "on_partial, $kind: $name: rows") if defined $rows;
		my @warnings = $messages =~ /WARNING:  (?:\w{5}: )?server "odd" gave an incomplete answer/g;
		cmp_ok(scalar(@warnings), $name =~ /loop/ ? '>=' : '==', 1, "on_partial, $kind: $name: a warning") or diag($messages);
	}
}
# What is broken is still an error.
foreach my $number (grep { $faults[$_][0] =~ /^(?:text behind|an element null|gzip that is none|a link that is on another host|500 again)/ } 0 .. $#faults)
{
	my ($name, undef, $expected) = @{ $faults[$number] };

	$session->query("ALTER SERVER odd OPTIONS (SET endpoint '" . $server->url . "/$number')");
	is_outcome("on_partial: $name", outcome('list', 'odd_alerts'), $expected);
}

#------------------------------------------------------------------------------
# A service that errs
#------------------------------------------------------------------------------

# Pages of 10 in which something happens, by a server that knows what is asked.
my $many = join ',', map { sprintf 'p%03d', $_ } 1 .. 95;
my @pages = map { alert(id => sprintf('p%03d', $_), title => "t$_", createdDateTime => sprintf '2026-07-01T10:%02d:00Z', 59 - $_ % 60) } 1 .. 95;
foreach my $case (
	[ 'rows again on the next page', $many, kind => 'duplicate_rows', rows => 3, times => -1 ],
	[ 'rows from last to first', $many, kind => 'out_of_order', times => -1 ],
	[ 'an empty page with a link', $many, kind => 'empty_page', nth => 3 ],
	[ 'blanks', $many, kind => 'whitespace', times => -1 ],
	[ 'a missing link, so that the list is read again', $many, kind => 'missing_next_link', nth => 4 ],
	[ 'a token that expires', [ '28000', 'status 401' ], kind => 'expired_token', nth => 4 ],
	[ '503 on the fourth page', $many, kind => 'status', code => 503, nth => 4 ],
	[ 'an error on the fourth page', [ 'HV000', 'page 4' ], kind => 'status', code => 501, nth => 4 ],
	[ 'a cut of the fourth page', $many, kind => 'cut', after => 1000, nth => 4 ],
	[ 'a stall of the fourth page', $many, kind => 'stall', after => 1000, nth => 4 ],
	[ 'each page cut once', $many, map({ ({ kind => 'cut', after => 700, nth => 2 * $_ - 1 }) } 1 .. 10) ],
	[ 'connections that close', $many, kind => 'close_after', times => -1 ],
	[ 'a trickle', $many, kind => 'trickle', ms => 1, bytes => 100, times => 3 ])
{
	my ($name, $expected, @fault) = @$case;

	$emulator->reset;
	$emulator->settings(gzip => JSON::PP::false);
	$emulator->set_alerts(@pages);
	$emulator->fault(%$_) foreach ref $fault[0] ? @fault : ({@fault});
	$session->query(q{ALTER SERVER graph OPTIONS (ADD page_size '10', ADD order_pushdown 'false', ADD request_timeout '500ms', ADD concurrency '1')})
	  if $name eq 'rows again on the next page';
	is_outcome("pages: $name", outcome('list', 'defender.alerts'), $expected);
}
$emulator->reset;
$emulator->set_alerts(map { alert(id => $_) } qw(a b c));
is_well('pages');

#------------------------------------------------------------------------------
# The end
#------------------------------------------------------------------------------

is($session->query('SELECT pg_backend_pid()'), $backend, 'it is the same session');
$session->quit;
my $server_log = slurp_file($node->logfile);
unlike($server_log, qr/^.*(?:TRAP|PANIC|FATAL|terminated by signal|XX000).*$/m, 'nothing broke');
unlike($server_log, qr/WARNING:  (?!.*gave an incomplete answer)/, 'no warning of our own making');
done_testing();
