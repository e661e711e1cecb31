#!/usr/bin/perl

# Copyright (C) Delta contributors

# Redis loses all while a gateway is cut off from it, and others go on: what
# is in the logs then proves nothing about before.

use Delta;
use Delta::Proxy;

my $t = Delta->new;

$t->start_redis;
sets();
$t->allow(qr/delta: .*link to Redis .* is down/);

my $proxy = Delta::Proxy->start($t, 'proxy', $t->{redis_port}, undef,
                                qr/delta_log/);

# the same Redis, once behind the proxy
my $location = 'location = /gateway {
            delta_gateway;
            delta_subscribe room:* from=user:$delta_user:rooms;
        }';

$t->start_nginx($t->conf(
    http => "delta_user \$arg_user;
        server {
            listen 127.0.0.1:%%PORT_1%%;
            delta_redis redis://127.0.0.1:$proxy->{port} read_timeout=500ms;
            $location
        }",
    server => "delta_redis %%REDIS%%;
        $location"));

for my $round (1 .. 3) {
    my $there = $t->ws('/gateway?user=ben');
    my $cut = $t->ws('/gateway?user=ben', port => $t->port(1));
    my $down = down();
    $_->read_until('ready') for $there, $cut;

    # nothing was heard of the channel yet
    $proxy->mode('swallow');
    publish('lost');

    ok(wait_for(sub { down() > $down }), 'one gateway is cut off');
    my $epoch = epoch();
    $t->redis('FLUSHALL');
    sets();
    ok(wait_for(sub { (epoch() || $epoch) ne $epoch }),
       'the other has seen that Redis has lost all');
    publish('kept');
    $proxy->mode('pass');

    is($there->read_until('note')->{d}{what}, 'lost', 'who was there saw it');
    is($cut->read_until(sub { $_[0]{t} =~ /^(?:note|resync)$/ })->{t},
       'resync', 'who was cut off is told');
    publish('new');
    is($cut->read_until(sub { ($_[0]{d}{what} // '') eq 'new' })->{t}, 'note',
       'and goes on');
    $_->disconnect for $there, $cut;
}

done_testing;


sub sets {
    $t->redis('SADD', 'user:ben:rooms', 'quiet');
}


sub publish {
    $t->publish('room:quiet', { t => 'note', d => { what => $_[0] } });
}


sub down {
    return scalar(() = $t->log =~ /link to Redis .* is down/g);
}


sub epoch {
    return join ' ', @{ $t->redis('HGETALL', 'delta:epoch') || [] };
}
