#!/usr/bin/perl

# Copyright (C) Delta contributors

# generate.pl [--check]: writes all that is made of conf/events.json, or says
# which of it is not current, with status 1.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Contract;
use Client;
use Docs;
use Publisher;

chdir "$FindBin::Bin/../.." or die "no top directory: $!\n";

my $check = @ARGV && $ARGV[0] eq '--check';
my $c = Contract->new('conf/events.json');

my %made = (
    'docs/GATEWAY_EVENTS.md'
        => Docs->generate($c, 'src/contract/events.md.in'),
    'src/client/contract/events.js' => Client->data($c),
    'src/client/contract/index.d.ts' => Client->types($c),
    'src/publisher/delta_events.h' => Publisher->header($c),
    'src/publisher/delta_events.c' => Publisher->source($c),
    't/unit/publisher_events.h' => Publisher->examples($c),
);

my $stale = 0;

for my $file (sort keys %made) {
    my $old = '';

    if (open my $fh, '<:raw', $file) {
        local $/;
        $old = <$fh> // '';
    }

    next if $old eq $made{$file};

    if ($check) {
        print "$file is not what conf/events.json says: make contract\n";
        $stale = 1;
        next;
    }

    open my $fh, '>:raw', $file or die "$file: $!\n";
    print $fh $made{$file};
    close $fh or die "$file: $!\n";
    print "$file\n";
}

exit $stale;
