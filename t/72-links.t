#!/usr/bin/perl

# Copyright (C) Delta contributors

# The two links to Redis have one fate: what is asked on one proves nothing
# about what is not heard on the other.  And who ends before it is ready hears
# of its end, and of nothing else.

use Delta;
use Delta::Proxy;

my $t = Delta->new;

$t->start_redis;
$t->allow(qr/delta: .*link to Redis .* is down/);

my $proxy = Delta::Proxy->start($t, 'proxy', $t->{redis_port}, undef,
                                qr/delta_log/);

$t->start_nginx($t->conf(
    http => "delta_redis redis://127.0.0.1:$proxy->{port} read_timeout=30s;
             delta_user \$arg_user;",
    server => 'location = /gateway {
            delta_gateway;
            delta_drain 1s;
            delta_subscribe room:* from=user:$delta_user:rooms;
        }
        location = /metrics { delta_metrics; }'));

$t->redis('SADD', 'user:ben:rooms', 'memory');

my %last;
my $n = 0;
my $live = $t->ws('/gateway?user=ben');
is($live->read_json->{t}, 'ready', 'somebody is there');

together($_) for 'pubsub', 'normal';
$live->disconnect;

early(ws => 'revoke');
early(sse => 'revoke');
early(ws => 'leave');
early(ws => 'drain');
early(sse => 'drain');

done_testing;


# One is cut while the log is read on the command link: a repair that ended by
# its answer would find the channel whole while nobody listens.

sub together {
    my ($cut) = @_;

    my $other = $cut eq 'pubsub' ? 'command' : 'pub/sub';
    my $gaps = metric('log_gaps_total');
    my $seen = length $t->log;
    my $from = $n + 1;

    publish('memory');
    is(($live->read_json || {})->{d}{n}, $n, "$cut: an event");

    $proxy->mode('hold');
    unheard('memory');
    publish('memory');
    ok(wait_for(sub { metric('log_gaps_total') > $gaps }),
       'one was missed, and the log is to be read');

    $t->redis('CLIENT', 'KILL', 'TYPE', $cut, 'SKIPME', 'yes');
    ok(wait_for(sub {
        substr($t->log, $seen)
            =~ m{\Q$other\E link to Redis \S+ is down: the other link is down};
    }), "the $other link goes with it, and with it what was asked");

    publish('memory');
    $proxy->mode('pass');

    my @got = map { $live->read_json || { t => 'nothing' } } 1 .. 3;

    is(join(' ', map { $_->{d}{n} // $_->{t} } @got),
       join(' ', $n - 2 .. $n), 'then all is read that comes behind the first');
    is(scalar(() = substr($t->log, $seen) =~ /link to Redis \S+ is down/g), 2,
       'each was lost once');
}


# What was found in memory is queued for a session that must wait for another
# channel's log, and so is what it asks or is told meanwhile.

sub early {
    my ($transport, $how) = @_;

    my $name = "$transport-$how";
    $t->redis('SADD', "user:$name:rooms", 'memory', $name);

    my $old = publish($name);
    publish($name);

    my $live = $t->ws('/gateway?user=ben');
    $live->read_until('ready');
    my $place = publish('memory');
    publish('memory');
    $live->read_json for 1 .. 2;

    my $memory = metric('catchups_total{from="memory"}');
    my $redis = metric('catchups_total{from="redis"}');

    $proxy->mode('hold');
    my $client = $t->$transport("/gateway?user=$name&at=room:memory%3D$place,"
                                . "room:$name%3D$old");
    ok(wait_for(sub {
        metric('catchups_total{from="memory"}') > $memory
            && metric('catchups_total{from="redis"}') > $redis;
    }), "$name: one channel is read, and one to be read");

    $client->send_json({ t => 'heartbeat', ref => 'early' })
        if $transport eq 'ws';

    if ($how eq 'revoke') {
        $t->publish("user:$name:control", { t => 'disconnect', d => {} });

    } elsif ($how eq 'drain') {
        $t->reload;

    } else {
        $client->send_frame(8, pack 'n', 1000);
    }

    my $code = { revoke => 4501, drain => 4001, leave => 1000 }->{$how};

    if ($transport eq 'ws') {
        my $frame = $client->read_frame;
        is($frame->{opcode}, 8, 'nothing comes before its close');
        is(unpack('n', $frame->{payload}), $code, "which tells $code");
        $client->got_close($frame->{payload}) if $how ne 'leave';
        ok($client->closed && $client->{in} eq '', 'nor behind it');

    } else {
        my @blocks;

        while (my $block = $client->read_block) {
            push @blocks, $block;
        }

        is(join(' ', map { $_->{event} // $_->{raw} } @blocks),
           'retry: 2000 close', 'its close is all that comes');
        is(json_decode($blocks[-1]{data})->{code}, $code, "which tells $code");
    }

    $_->disconnect for $client, $live;
    $proxy->mode('pass');
    ok(wait_for(sub {
        !metric('sessions{transport="ws"}')
            && !metric('sessions{transport="sse"}');
    }), 'and it is gone');
}


sub publish {
    my ($room) = @_;

    return $last{$room} = $t->publish("room:$room", event(++$n));
}


# Its PUBLISH is lost.

sub unheard {
    my ($room) = @_;

    $last{$room} = $t->redis('XADD', "delta:{room:$room}", '*',
                             'p', $last{$room}, 'e', event(++$n));
    $t->redis('HSET', "delta:{room:$room}:once", '', $last{$room});
}


sub event {
    my ($value) = @_;

    return json_encode({ t => 'note', d => { n => $value } });
}


sub metric {
    my ($name) = @_;

    my ($value) = $t->http(GET => '/metrics')->body
        =~ /^delta_\Q$name\E (\d+)/m;

    return $value;
}
