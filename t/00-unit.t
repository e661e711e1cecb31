#!/usr/bin/perl

# Copyright (C) Delta contributors

# Builds and runs t/unit/*.c.  ASAN=1 adds the address and undefined behaviour
# sanitizers.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use File::Temp qw(tempdir);
use Test::More;

chdir dirname(__FILE__) . '/..' or die "no top directory: $!";

my $cc = $ENV{CC} || 'cc';
my $dir = tempdir('delta-unit-XXXXXX', TMPDIR => 1, CLEANUP => 1);

my @flags = qw(-std=gnu11 -Wall -Wextra -Werror -g -O1
               -Isrc/core -Isrc/publisher -It/unit);

push @flags, '-fsanitize=address,undefined', '-fno-sanitize-recover=all'
    if $ENV{ASAN};

my @tests = sort glob 't/unit/*.c';
my @sources = sort glob 'src/core/*.c';

plan tests => @tests + 1;

my $core = compile('core', @sources);
is(scalar @$core, scalar @sources, 'all of src/core builds');

my $publisher;

for my $test (@tests) {
    my $name = basename($test, '.c');
    my @objects = @$core;
    my @libs;

    if ($name =~ /^publisher_/) {
        $publisher ||= compile('publisher',
                               sort glob 'src/publisher/delta_*.c');
        push @objects, @$publisher;
        push @libs, '-l:libhiredis.a';
    }

    subtest $name => sub {
        my $binary = "$dir/$name";

        if (system($cc, @flags, '-o', $binary, $test, @objects, @libs,
                   '-ljansson', '-lcrypto') != 0)
        {
            fail("$test builds");
            return;
        }

        relay($binary);
    };
}


# Objects of these sources; a broken one is missed by the tests that need it.

sub compile {
    my ($part, @sources) = @_;

    my @objects;

    for my $source (@sources) {
        my $object = "$dir/$part-" . basename($source, '.c') . '.o';

        if (system($cc, @flags, '-c', '-o', $object, $source) == 0) {
            push @objects, $object;

        } else {
            diag("$source does not build");
        }
    }

    return \@objects;
}


# Repeats the TAP of a program as tests of this one.

sub relay {
    my ($binary) = @_;

    my ($planned, $seen, $failed) = (undef, 0, 0);

    open my $out, '-|', $binary or return fail("cannot run $binary: $!");

    while (my $line = <$out>) {
        chomp $line;

        if ($line =~ /^(not )?ok (\d+)(?: - (.*))?$/) {
            $seen++;
            $failed++ if $1;
            fail("number $2 is test $seen") if $2 != $seen;
            ok(!$1, $3);

        } elsif ($line =~ /^1\.\.(\d+)$/) {
            $planned = $1;

        } elsif ($line =~ /^Bail out!/) {
            fail($line);

        } elsif ($line =~ /^#\s?(.*)/) {
            $failed ? diag($1) : note($1);

        } else {
            fail("a line that is not TAP: $line");
        }
    }

    close $out;

    is($?, 0, 'exit status') unless $failed;
    is($seen, $planned, 'as many tests as planned');
}
