package Delta::Netns;

# Copyright (C) Delta contributors

# The rest of the test in a network namespace of its own, which ends with it,
# or none of it if that, or what is tried there, cannot be done:
#
#   use Delta::Netns needs => 'iptables', try => 'iptables -w -L';

use strict;
use warnings;


sub import {
    my ($class, %opt) = @_;

    return if $ENV{DELTA_NETNS};

    my $up = 'ip link set lo up';

    if ($> != 0 || system('sh', '-c', 'exec unshare -n sh -c "$1" '
                          . '> /dev/null 2>&1', 'sh',
                          "$up && $opt{try}") != 0)
    {
        require Test::More;
        Test::More->import(skip_all => "needs root, unshare and $opt{needs}");
    }

    $ENV{DELTA_NETNS} = 1;
    exec 'unshare', '-n', 'sh', '-c', "$up; " . 'exec "$@"', 'sh', $^X,
        (map { "-I$_" } @INC), $0;
}

1;
