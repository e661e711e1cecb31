#!/usr/bin/perl

# Copyright (C) Delta contributors

# The targets of make fuzz, built without clang, on the inputs they begin with
# and on those that once broke one.  ASAN=1 adds the sanitizers.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use File::Temp qw(tempdir);
use Test::More;

chdir dirname(__FILE__) . '/..' or die "no top directory: $!";

my $cc = $ENV{CC} || 'cc';
my $dir = tempdir('delta-fuzz-XXXXXX', TMPDIR => 1, CLEANUP => 1);

my @flags = qw(-std=gnu11 -Wall -Wextra -Werror -g -O1
               -Isrc/core -Isrc/publisher -It/unit -It/fuzz);

push @flags, '-fsanitize=address,undefined', '-fno-sanitize-recover=all'
    if $ENV{ASAN};

my @targets = map { basename($_, '.c') } sort glob 't/fuzz/*.c';
my @objects;

plan tests => 3 + @targets;

for my $source (sort(glob 'src/core/*.c'), 'src/publisher/delta_publish_url.c',
                't/fuzz/replay/replay.c')
{
    push @objects, "$dir/" . basename($source, '.c') . '.o';

    system($cc, @flags, '-c', '-o', $objects[-1], $source) == 0
        or BAIL_OUT("$source does not build");
}

ok(@targets > 15, scalar @targets . ' targets');
is(system('t/bin/fuzz', 0, 1, $dir, @targets), 0, 'inputs are written');

is_deeply([ grep { !-f "t/fuzz/$_.c" } map { basename($_) }
            glob 't/fuzz/found/*' ], [], 'what was found has a target');

for my $target (@targets) {
    my @inputs = glob "$dir/seeds/$target/*";

    if (system($cc, @flags, '-o', "$dir/$target", "t/fuzz/$target.c", @objects,
               '-ljansson', '-lcrypto') != 0)
    {
        fail("$target builds");
        next;
    }

    my $status = system("$dir/$target @inputs 2> $dir/$target.log");

    ok($status == 0 && @inputs > 4, "$target on " . @inputs . ' inputs')
        or diag(`tail -n 20 $dir/$target.log`);
}
