package Delta::Node;

# Copyright (C) Delta contributors

# Tests that Node runs (node:test), as subtests of ours.

use strict;
use warnings;

use Exporter qw(import);
use IPC::Open3 qw(open3);
use Test::More ();

our @EXPORT_OK = qw(relay);


# One test here for each of a file's; it has so many seconds, and this in its
# environment.

sub relay {
    my ($test, $seconds, %env) = @_;

    local @ENV{keys %env} = values %env;
    my ($seen, @detail) = (0);

    my $pid = open3(my $in, my $out, undef, 'node', '--test-reporter=tap',
                    $test);
    close $in;

    local $SIG{ALRM} = sub { kill 'KILL', $pid };
    alarm $seconds * $Delta::SLOW;

    while (my $line = <$out>) {
        chomp $line;
        push @detail, $line;

        if ($line =~ /^(not )?ok \d+ - (.*)/) {
            $seen++;
            my $name = $2 =~ s/\\#/#/gr;
            Test::More::ok(!$1, $name) or push @detail, '';
            Test::More::diag(join "\n", @detail) if $1 && @detail > 1;
            @detail = $1 ? ("of: $name") : ();
        } elsif ($line eq '  ...' && $detail[0] =~ /^of: /) {
            Test::More::diag(join "\n", @detail);
            @detail = ();
        } elsif ($line eq '  ...') {
            @detail = ();
        }
    }

    waitpid $pid, 0;
    alarm 0;
    Test::More::is($?, 0, 'node ended with status 0')
        or Test::More::diag(join "\n", @detail);
    Test::More::cmp_ok($seen, '>', 0, 'it had tests');
}


1;
