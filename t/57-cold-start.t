#!/usr/bin/perl

# Copyright (C) Delta contributors

# A client that is back before its new worker knows whose cursors are good: it
# waits for that, and is not told to fetch everything anew.

use Delta;

my $t = Delta->new;

$t->start_redis;

# the library of a newer gateway, which can be made to hesitate

my $library = $t->library;

$library =~ s/^local VERSION = \d+/local VERSION = 99/m or die;
$library =~ s/^local function epoch\(keys, args\)\n/$&
    if redis.call('EXISTS', 'hold') == 1 then return 0 end\n/m or die;
$t->redis('FUNCTION', 'LOAD', $library);

$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%%; delta_jwt_key_file jwks.json;
             delta_drain 1s;',
    server => 'location = /gateway {
        delta_gateway;
        delta_jwt;
        delta_subscribe user:ada;
    }'));

my $n = 0;
my %cursor;
my $ws = $t->ws('/gateway', token => $t->token('ben'));
my $sse = $t->sse('/gateway', token => $t->token('eva'));

$_->read_json for $ws, $sse;
publish();
my $first = $ws->read_json;
is($first->{d}{n}, 1, 'an event');

ok(wait_for(sub {
    $ws->send_json({ t => 'heartbeat' });
    $cursor{ws} = $ws->read_until('heartbeat_ack')->{d}{cursor} // '';
    return ($cursor{ws} =~ /\.(\d+)/)[0] >= ($first->{id} =~ /(\d+)/)[0];
}), 'a cursor behind it');

$_->disconnect for $ws, $sse;
publish() for 1 .. 2;


# Held up, then let go: nothing is missing and nothing has to be fetched.

restart_held();

$ws = $t->ws("/gateway?since=$cursor{ws}&at=user:ada=$first->{id}",
             token => $t->token('ben'));
$sse = $t->sse('/gateway', token => $t->token('eva'),
               headers => [ 'Last-Event-ID' => $cursor{ws} ]);
is($ws->status . $sse->status, '101200', 'sessions that come back are let in');
ok(subscribed(), 'and have their channel');
publish();
$t->redis('DEL', 'hold');

my @events = map { $ws->read_json } 1 .. 4;
is($events[0]{t}, 'ready', 'ready comes first');
is($events[0]{d}{cursor}, $cursor{ws}, 'with the cursor as it was');
is(join(' ', map { $_->{d}{n} // $_->{t} } @events[1 .. 3]), '2 3 4',
   'then what was missed, without a resync');
is($sse->read_json->{t}, 'ready', 'on SSE, too, ready comes first');
ok($sse->read_until(sub { ($_[0]{d}{n} // 0) == 4 }), 'then what was missed');
like(join(' ', map { $_->{d}{n} // $_->{t} } @{ $sse->{skipped} }),
     qr/^(?:1 )?2 3$/, 'all of it, without a resync');
$_->disconnect for $ws, $sse;


# For ever: not longer than it takes.

restart_held();

$ws = $t->ws("/gateway?since=$cursor{ws}", token => $t->token('ben'));
is($ws->read_json->{t}, 'ready', 'after some time a session goes on');
is($ws->read_json->{d}{reason}, 'epoch_changed', 'by a resync');
publish();
is($ws->read_json->{d}{n}, $n, 'and is live');
$ws->disconnect;

# nobody waits where nothing hangs on it
restart_held();
$ws = $t->ws('/gateway', token => $t->token('ben'));
is(($ws->read_json(6) || {})->{t}, 'ready', 'who is new does not wait');

# gone while it waits
$ws = $t->ws("/gateway?since=$cursor{ws}", token => $t->token('ben'));
$ws->disconnect;
$t->redis('DEL', 'hold');
$ws = $t->ws("/gateway?since=$cursor{ws}", token => $t->token('ben'));
is($ws->read_json->{t}, 'ready', 'one that left while it waited harms nobody');

done_testing;


sub publish {
    $n++;
    $t->publish('user:ada', { t => 'n', d => { n => $n } });
}


# A worker that does not know the epoch.

sub restart_held {
    my @old = $t->workers;

    $t->redis('SET', 'hold', 1);
    ok($t->reload, 'a new worker');
    ok(wait_for(sub { !grep { -d "/proc/$_" } @old }), 'instead of the old');
}


sub subscribed {
    return wait_for(sub {
        return $t->redis('PUBSUB', 'NUMSUB', 'user:ada')->[1];
    });
}
