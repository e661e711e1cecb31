#!/usr/bin/perl

# Copyright (C) Delta contributors

# A presence that is nested as deeply as JSON may be here is nested more deeply
# in presence_sync: it is none, and nobody's session ends for it.

use Delta;

my $t = Delta->new;

$t->start_redis;
$t->redis('SADD', 'user:ben:follows', 'ada', 'eve');

$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%%;
             delta_presence ttl=6s refresh=2s;
             delta_heartbeat 2s missed=2;
             delta_resume 10s;
             delta_user $arg_user;',
    server => 'location = /gateway {
            delta_gateway;
            delta_subscribe presence:* from=user:$delta_user:follows;
        }'));

my @open;

for my $depth (62, 61) {
    my $p = '{"a":' x $depth . '1' . '}' x $depth;

    $t->redis('HSET', 'delta:{presence:eve}', v => 1000 - $depth, a => $p);

    my $json = open_one();
    my $msgpack = open_one(protocol => 'delta.v1.msgpack');

    $t->redis('PUBLISH', 'presence:ada', (1000 - $depth)
              . qq( {"t":"presence_update","d":$p}));

    push @open, $json;

    for my $ws ($json, $msgpack) {
        $ws->send_frame($ws == $json ? 1 : 2, $ws == $json
            ? '{"t":"heartbeat"}' : "\x81\xa1t\xa9heartbeat");
        ok($ws->read_frame, "depth $depth: a session is told something");
    }

    # who comes now is told what is kept

    for my $ws (open_one(), open_one(protocol => 'delta.v1.msgpack')) {
        ok($ws->read_frame, 'and so is one that comes now');
    }
}

my $late = open_one();
my $sync = $late->read_until('presence_sync');
is(scalar @{ $sync->{d}{presence} }, 1, 'that of 61 was kept, no other');

done_testing;


sub open_one {
    return $t->ws('/gateway?user=ben', @_);
}
