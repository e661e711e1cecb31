#!/usr/bin/perl

# Copyright (C) Delta contributors

# The link to Redis is lost while a session resumes: what was found by then is
# no proof of what follows.

use Delta;
use Delta::Proxy;

my $t = Delta->new;

$t->start_redis;

my $proxy = Delta::Proxy->start($t, 'proxy', $t->{redis_port});

$t->redis('SADD', 'user:ben:rooms', 'held', 'read');
$t->start_nginx($t->conf(
    http => "delta_redis redis://127.0.0.1:$proxy->{port} read_timeout=500ms;
             delta_user \$arg_user;",
    server => 'location = /gateway {
            delta_gateway;
            delta_subscribe room:* from=user:$delta_user:rooms;
        }
        location = /metrics { delta_metrics; }'));

wait_for(sub { eval { $t->redis('FCALL_RO', 'delta_version', 0) } })
    or die 'the function library is not there';

# the worker holds the newest of one channel, and must read the other
my $old = publish('room:read', 0);
publish('room:read', 1);

my $first = $t->ws('/gateway?user=ben');
is($first->read_json->{t}, 'ready', 'one is there');
my $place = publish('room:held', 0);
publish('room:held', 1);
is($first->read_json->{c}, 'room:held', 'and gets what is new') for 1 .. 2;

$proxy->mode('unread');
my $reads = reads();
my $second = $t->ws("/gateway?user=ben&at=room:held%3D$place,"
                    . "room:read%3D$old");
ok(wait_for(sub { reads() > $reads }), 'the other resumes, and must wait');

# while nothing goes through, the log loses what nobody has seen
$proxy->mode('swallow');
publish('room:held', 2);
$t->redis('DEL', 'delta:{room:held}', 'delta:{room:held}:once');
publish('room:held', 3);

ok(wait_for(sub { $t->log =~ /is down/ }), 'the link is lost');
$proxy->mode('pass');

is($second->read_json->{t}, 'ready', 'ready comes first');

my @got = map { $second->read_json } 1 .. 2;
my ($told) = grep { $_->{t} eq 'resync' } @got;
my ($note) = grep { $_->{t} eq 'note' } @got;

is($told && $told->{d}{channel}, 'room:held', 'one channel is to be fetched');
is($note && "$note->{c} $note->{d}{n}", 'room:read 1', 'the other is whole');

is($first->read_until('resync')->{d}{channel}, 'room:held',
   'who was there before is told, too');

$t->allow(qr/delta: .*link to Redis .* is down/);
done_testing;


sub publish {
    my ($channel, $n) = @_;

    return $t->publish($channel, { t => 'note', d => { n => $n } });
}


sub reads {
    my ($n) = $t->http(GET => '/metrics')->body
        =~ /^delta_catchups_total\{from="redis"\} (\d+)/m;

    return $n;
}
