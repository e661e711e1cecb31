#!/usr/bin/perl

# Copyright (C) Delta contributors

# Coming back to more than the queue takes, and to channels whose events are
# merged.

use Delta;

my $t = Delta->new;
my @rooms = map { "room:$_" } 0 .. 9;

$t->start_redis;
$t->redis('SADD', 'user:ben:rooms', 0 .. 9);
$t->redis('SADD', 'user:ben:merged', 'one');

$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%%;
             delta_channel merged:* window=50ms;
             delta_user $arg_user;
             delta_limit rate=6000r/m;',
    server => 'location = /small {
            delta_gateway;
            delta_queue events=20;
            delta_subscribe room:* from=user:$delta_user:rooms;
        }
        location = /large {
            delta_gateway;
            delta_subscribe room:* from=user:$delta_user:rooms;
        }
        location = /bytes {
            delta_gateway;
            delta_queue bytes=2900;
            delta_subscribe room:* from=user:$delta_user:rooms;
        }
        location = /merged {
            delta_gateway;
            delta_subscribe merged:* from=user:$delta_user:merged;
        }'));

wait_for(sub { eval { $t->redis('FCALL_RO', 'delta_version', 0) } })
    or die 'the function library is not there';

my %id;

for my $n (0 .. 15) {
    push @{ $id{$_} }, publish($_, note => { n => $n }) for @rooms;
}


# What a full queue leaves to say is said: ready and the resyncs.

for my $open (sub { $t->ws("/small?user=ben&$_[0]") },
              sub { $t->sse("/small?user=ben&$_[0]") })
{
    my $client = $open->('at=' . join '%2C', map { "$_%3D$id{$_}[0]" } @rooms);
    my %got;

    is($client->read_json->{t}, 'ready', 'ready comes first');

    while (keys %got < 10) {
        my $event = $client->read_json // last;
        my $name = $event->{c} // $event->{d}{channel};
        push @{ $got{$name} }, $event->{d}{n} // $event->{d}{reason};
        delete $got{$name}, last if $event->{t} eq 'close';
    }

    # the rest of what was begun
    for my $name (grep { $got{$_}[0] ne 'too_many' } sort keys %got) {
        push @{ $got{$name} }, $client->read_json->{d}{n}
            while @{ $got{$name} } < 15;
    }

    my @whole = grep { "@{ $got{$_} }" eq join ' ', 1 .. 15 } keys %got;
    my @many = grep { "@{ $got{$_} }" eq 'too_many' } keys %got;

    is(@whole . ' ' . @many, '1 9', 'one channel, and nine to fetch');

    $t->redis('PUBLISH', $rooms[0], '{"t":"note","d":{"n":16}}');
    is($client->read_json->{d}{n}, 16, 'then what is live');
    $client->disconnect;
}


# What counts is what this client gets: a frame of SSE is longer.

my @events = map { publish('room:0', note => { n => $_ }) } 1 .. 40;
my $at = "at=room%3A0%3D$events[0]";

for my $client ($t->sse("/large?user=ben&$at"), $t->ws("/large?user=ben&$at")) {
    ok($client->read_until(sub { ($_[0]{d}{n} // 0) == 40 }),
       'frames of both kinds are made');
    $client->disconnect;
}

my $short = $t->ws("/bytes?user=ben&$at");
my $long = $t->sse("/bytes?user=ben&$at");
is($short->read_until(sub { $_[0]{t} ne 'ready' })->{t}, 'note',
   'forty events are less than delta_queue');
is($long->read_until(sub { $_[0]{t} ne 'ready' })->{t}, 'resync',
   'and more, as a stream of SSE');
$_->disconnect for $short, $long;


# Who says a position gets what came after it merged; who says a cursor gets
# it as it was, as he may know some of it and must be able to tell.

my $ws = $t->ws('/merged?user=ben');
$ws->read_until('ready');

my $before = publish('merged:one', note => { n => 0 });
my $cursor = wait_for(sub {
    $ws->send_json({ t => 'heartbeat' });
    my $now = $ws->read_until('heartbeat_ack')->{d}{cursor} // '';
    return $now if $now =~ /\.(\d+)$/ && $1 >= ($before =~ /^(\d+)/)[0];
});
ok($cursor, 'a cursor');
$ws->disconnect;

patch(@$_) for [ 1, 1 ], [ 2, 1 ], [ 1, 2 ];
publish('merged:one', note => { n => 1 });
patch(2, 2);

is(resumed("at=merged%3Aone%3D$before"), '2:1 1:2+ note+ 2:2+',
   'merged, behind a position: one comes without an id');
is(resumed("since=$cursor"), '1:1+ 2:1+ 1:2+ note+ 2:2+',
   'not merged, behind a cursor: all have their ids');

done_testing;


sub publish {
    my ($channel, $kind, $d) = @_;

    return $t->publish($channel, { t => $kind, d => $d });
}


sub patch {
    my ($entity, $value) = @_;

    publish('merged:one', patch => { entity_type => 'e', entity_id => "$entity",
                                     diff => { k => $value } });
}


# Entity and value, + for an id, of all from the first patch to the last.

sub resumed {
    my ($query) = @_;

    my $client = $t->ws("/merged?user=ben&$query");
    my @got;

    while (!@got || $got[-1] ne '2:2+') {
        my $event = $client->read_json // last;
        my $d = $event->{d};
        my $id = $event->{id} ? '+' : '';

        push @got, "$d->{entity_id}:$d->{diff}{k}$id" if $event->{t} eq 'patch';
        push @got, "note$id" if $event->{t} eq 'note' && $d->{n};
    }

    $client->disconnect;

    return join ' ', @got;
}
