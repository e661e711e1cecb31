#!/usr/bin/perl

# Copyright (C) Delta contributors

# keep= is in the library that was loaded first: a gateway that is configured
# otherwise says so, and what to do.

use Delta;

my $t = Delta->new;
my $warning = qr/\[warn\] .*127\.0\.0\.1:\d+ were loaded with another delta_ch/;

$t->start_redis;
$t->redis('SADD', 'all', 'x');

is(warned(''), 0, 'the one who loads the library is content');
is(warned(''), 0, 'and so is the next with the same');
is(warned('delta_channel a keep=2h;', 2), 1,
   'another keep= is warned of, by one worker');

my $from = length $t->log;
my $ws = start('delta_channel a keep=2h;');
$t->redis('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes')
    for qw(normal pubsub);
ok(wait_for(sub {
    (() = substr($t->log, $from) =~ /delta: Redis \S+ is back/g) >= 1;
}), 'Redis is connected again');
asked();
is(warnings($from), 1, 'and it is not said again');
like(substr($t->log, $from),
     qr/run "redis-cli FUNCTION DELETE delta" and reload nginx/,
     'the warning says what to do');
$t->stop_nginx('TERM');

$t->redis('FUNCTION', 'DELETE', 'delta');
is(warned('delta_channel a keep=2h;'), 0, 'which is the end of it');
like($t->redis('FUNCTION', 'LIST', 'WITHCODE')->[0][-1], qr/'a',7200000/,
     'as that value is in Redis now');

$t->redis('ACL', 'SETUSER', 'default', '-function|list');
is(warned('delta_channel a keep=3h;'), 0, 'who may not look says nothing');

done_testing;


# How many warnings a gateway with that line gives until it can answer.

sub warned {
    my ($line, $workers) = @_;

    my $from = length $t->log;

    start($line, workers => $workers || 1);
    wait_for(sub { warnings($from) }) if ($workers || 1) > 1;
    $t->stop_nginx('TERM');

    return warnings($from);
}


sub start {
    my ($line, %opt) = @_;

    $t->start_nginx($t->conf(http => "delta_redis %%REDIS%%; $line",
                             server => <<'END'), %opt);
delta_user ben;
location = /gateway { delta_gateway; delta_subscribe y:x in=all; }
END

    return asked();
}


# Redis answers in order: who has an answer about a set has one before.

sub asked {
    my $ws = $t->ws('/gateway');

    is($ws->read_json->{t}, 'ready', 'a session');

    return $ws;
}


sub warnings {
    my ($from) = @_;

    return scalar(() = substr($t->log, $from) =~ /$warning/g);
}
