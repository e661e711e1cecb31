#!/usr/bin/perl

# Copyright (C) Delta contributors

# Pings without end from a client that reads nothing: what it is owed is
# bounded, also while its session waits to be caught up.

use Delta;

use Time::HiRes qw(time);

my $t = Delta->new;

$t->start_redis;

# a cursor waits for the epoch, which this Redis never tells

(my $library = $t->library) =~ s/'delta_epoch'/'delta_other'/;
my ($have) = $library =~ /^local VERSION = (\d+)/m;
$library =~ s/^local VERSION = \d+/local VERSION = @{[ $have + 1 ]}/m;
$t->redis('FUNCTION', 'LOAD', $library);

$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%%; delta_user ben; delta_queue bytes=64k;',
    server => 'location = /gateway {
            delta_gateway;
            delta_subscribe user:$delta_user;
        }'));

my $ws = $t->ws('/gateway?since=1.1');
is($ws->status, 101, 'a session');
ok(wait_for(sub { $t->redis('PUBSUB', 'NUMSUB', 'user:ben')->[1] }),
   'that has its channels');

my ($worker) = $t->workers;
my $before = memory();
my $pings = $ws->frame(9, 'x' x 120) x 1000;

$ws->send_raw($pings) or last for 1 .. 200;
ok(wait_for(sub { idle() }), 'all of them are read');
ok(!grep({ $_->{opcode} == 1 } frames()), 'and it waits still');

my $more = memory() - $before;

SKIP: {
    skip 'sanitizers keep what is freed', 1 if $Delta::ASAN;
    cmp_ok($more, '<', 8_000, '25 MB of pings take no memory');
}

done_testing;


# What is there.

sub frames {
    my @frames;

    while (my $frame = $ws->read_frame(0.1)) {
        push @frames, $frame;
    }

    return @frames;
}


# Whether the worker has read what was sent: its time does not go on.

sub idle {
    my $at = ticks();
    my $end = time + 0.2;

    wait_for(sub { time > $end });

    return ticks() == $at;
}


sub ticks {
    open my $fh, '<', "/proc/$worker/stat" or die "$worker: $!";
    my @field = split ' ', <$fh>;

    return $field[13] + $field[14];
}


sub memory {
    open my $fh, '<', "/proc/$worker/status" or die "$worker: $!";

    return (map { /^VmRSS:\s+(\d+)/ } <$fh>)[0];
}
