
# The pages of the documentation, as a list of what is in them.
#
#	foreach my $item (items($text)) { ... }
#	my @links = links($text);
#	my %anchors = map { $_ => 1 } anchors($text);
#
# An item is a fenced block ({ kind => 'block', language, text, line, marks,
# output }), or a mark that stands for itself ({ kind => 'run' or 'control',
# text, line }), or a mistake ({ kind => 'mistake', text, line }).  A block
# without a language that comes right after one with a language is its output.
#
# Marks are comments of HTML, which no reader sees:
#
#	<!-- test: skip, REASON -->             the next block is not run
#	<!-- test: output differs, REASON -->   it is run, its output not compared
#	<!-- test: requests N -->               running it takes N requests
#	<!-- test: run
#	STATEMENTS
#	-->                                     these are run by psql
#	<!-- test: control METHOD PATH BODY --> the emulator is told so

package GraphPages;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(items links anchors);

sub items
{
	my ($text) = @_;
	my @lines = split /\n/, $text, -1;
	my (@items, @marks, $in_list);
	my $number = 0;
	my $after_block = 0;	# only blank lines since a block with a language
	my $blank = 1;
	my $mistake = sub { push @items, { kind => 'mistake', text => $_[0], line => $number } };

	while ($number < @lines)
	{
		my $line = $lines[ $number++ ];

		if ($line =~ /^\s*<!--\s*test:\s*(.*)$/)
		{
			my ($mark, $start) = ($1, $number);

			$mark .= "\n" . $lines[ $number++ ] while $mark !~ /-->/ && $number < @lines;
			$mark =~ s/\s*-->\s*$//;
			if ($mark =~ s/^(run|control)\s+//)
			{
				push @items, { kind => $1, text => $mark, line => $start };
			}
			elsif ($mark =~ /^(?:skip, \S|output differs, \S|requests \d+$)/)
			{
				push @marks, $mark;
			}
			else
			{
				&$mistake("what is \"$mark\"?");
			}
			$after_block = 0;
		}
		elsif ($line =~ /^(\s*)(```+)\s*([\w-]*)\s*$/)
		{
			my ($indent, $fence, $language, $start, @block) = ($1, $2, $3, $number);

			push @block, $lines[ $number++ ] =~ s/^$indent//r
			  while $number < @lines && $lines[$number] !~ /^\s*$fence\s*$/;
			&$mistake('a block without an end') if $number >= @lines;
			$number++;
			my $block = { kind => 'block', language => $language, text => join('', map { "$_\n" } @block),
				line => $start, marks => [@marks] };
			if ($language eq '' && $after_block && !@marks)
			{
				$items[-1]{output} = $block;
				$after_block = 0;
			}
			else
			{
				push @items, $block;
				$after_block = $language ne '';
			}
			@marks = ();
			$blank = 0;
			next;
		}
		elsif ($line =~ /\S/)
		{
			&$mistake('a mark without a block') if @marks;
			@marks = ();
			$after_block = 0;
			&$mistake('a block that is indented and not fenced') if $line =~ /^(?:    |\t)/ && $blank && !$in_list;
			$in_list = $line =~ /^\s*(?:[*+-]|\d+\.)\s/ || ($in_list && ($line =~ /^\s/ || !$blank));
		}
		$blank = $line !~ /\S/;
	}
	return @items;
}

# What is left of a page without its blocks and comments.
sub prose
{
	my ($text) = @_;

	$text =~ s/^(\s*)(```+)[^\n]*\n.*?^\s*\2\s*$//gms;
	$text =~ s/<!--.*?-->//gs;
	return $text;
}

# Targets of links and pictures that are no addresses of the web.
sub links
{
	my ($text) = @_;

	return grep { !/^[a-z]+:/ } prose($text) =~ /\]\(([^)\s]+)\)/g;
}

# What a link can name in a page: its headings, as GitHub does it.
sub anchors
{
	my ($text) = @_;
	my (%seen, @anchors);

	foreach my $heading (prose($text) =~ /^#+ +(.*?) *$/gm)
	{
		my $anchor = lc $heading;

		$anchor =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
		$anchor =~ s/[^\w\- ]//g;
		$anchor =~ s/ /-/g;
		push @anchors, $seen{$anchor}++ ? "$anchor-" . ($seen{$anchor} - 1) : $anchor;
	}
	return @anchors;
}

1;
