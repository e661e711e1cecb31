#!/usr/bin/perl

# Copyright (C) Delta contributors

# Clients whose network is gone without a word: no FIN, no RST, no
# pong.  The connection ends, and friends see them offline, within the bound.
# In a network namespace of its own, for packets are dropped.

use strict;
use warnings;

use Delta::Netns needs => 'iptables',
    try => 'iptables -w -A OUTPUT -p tcp --sport 1 -j DROP';

use Delta;
use Time::HiRes qw(time);

my $t = Delta->new;

$t->start_redis;
$t->redis('SADD', 'user:ben:follows', 'ada', 'eve', 'dan');

$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%%; delta_jwt_key_file jwks.json;',
    server => 'delta_jwt optional;
        delta_presence ttl=3s refresh=1s;
        delta_resume 3s;
        delta_heartbeat 2s missed=1;
        location = /gateway {
            delta_gateway;
            delta_subscribe presence:* from=user:$delta_user:follows;
        }
        location = /pongs {
            delta_gateway;
            delta_heartbeat 2s missed=2;
            delta_subscribe user:$delta_user;
        }
        location = /default {
            delta_gateway;
            delta_presence;
            delta_resume 60s;
            delta_heartbeat 30s;
            delta_subscribe user:$delta_user;
        }'));

my $ben = $t->ws('/gateway', token => $t->token('ben'));
my %client = (
    ada => $t->ws('/gateway', token => $t->token('ada')),
    eve => $t->sse('/gateway', token => $t->token('eve')),
    dan => $t->sse('/gateway', token => $t->token('dan')),
);

is($client{$_}->read_json->{t}, 'ready', "$_ is there") for sort keys %client;

my (%is, %end);
ok(until_seen(sub { 3 == grep { ($is{$_} // '') eq 'online' } keys %client }),
   'ben sees them');

# who only listens is there as long as the network is
ok(!until_seen(sub { grep { $_ eq 'offline' } values %is }, 8),
   'and nobody goes by itself');

my $start = time;

for my $user ('ada', 'eve') {
    my $port = $client{$user}{socket}->sockport;

    system("iptables -w -A OUTPUT -p tcp --$_ $port -j DROP") == 0
        or die 'iptables' for 'sport', 'dport';
}

ok(until_seen(sub { 2 == grep { $_ eq 'offline' } values %is }, 30),
   'two lose their network');
is($is{dan}, 'online', 'the third one does not');

for my $user ('ada', 'eve') {
    cmp_ok(($end{$user} // 999) - $start, '<', (6 + 14) * $Delta::SLOW,
           "row 4.7: $user is offline within the bound");
}

ok(wait_for(sub {
    my $log = $t->read_file('access.log') // '';
    return 2 <= (() = $log =~ /GET/g);
}), 'and their connections are given up');

ninety_seconds();
pongs();
crowd();
done_testing();


# As it is by default: a lease ends so early that the sweep, whose interval is a
# quarter of refresh=, finds it in time, with ticks and clocks of whole seconds.

sub ninety_seconds {
    my $fay = $t->ws('/default', token => $t->token('fay'));
    $fay->read_until('ready');

    my ($lease) = grep { /^\d+\|/ }
        @{ $t->redis('HVALS', 'delta:{presence:fay}') };
    my (undef, $due, $heard) = split /\|/, $lease;

    cmp_ok($due - $heard + 2500 + 2000, '<=', 90_000,
           'row 4.7: offline at most 90 s after the last byte');
    cmp_ok($due - $heard, '>=', 80_000, 'and not much before');
    $fay->close(3000);
}


# Two pongs in a row that are missing end it, one does not.

sub pongs {
    my %ws = map { $_ => $t->ws('/pongs', token => $t->token($_)) }
        'none', 'some';
    my %pings;

    $_->read_until('ready') for values %ws;

    wait_for(sub {
        for my $user (keys %ws) {
            my $frame = $ws{$user}->read_frame(0.05) or next;

            if ($frame->{opcode} == 8) {
                $ws{$user}->got_close($frame->{payload});

            } elsif ($frame->{opcode} == 9 && ++$pings{$user} % 2 == 0
                     && $user eq 'some')
            {
                $ws{$user}->send_frame(10, $frame->{payload});
            }
        }

        return ($pings{some} // 0) >= 4;
    }, 20);

    is($ws{none}{close_code}, 4002, 'row 4.7: who answers no ping is closed');
    is($pings{none}, 2, 'after two of them');
    is($ws{some}{close_code}, undef, 'who answers each second one is not');
    $ws{some}->close(3000);
}


# A host with many users has died: they are not offline a hundred a second.

sub crowd {
    my $n = 2000;
    my $judge = Delta::Redis->new($t->{redis_port});

    $judge->send('PSUBSCRIBE', 'presence:w*');
    $judge->read;

    for my $i (1 .. $n) {
        $t->redis('FCALL', 'delta_leases_add', 1, 'delta:leases', "w$i", 3000);
        $t->redis('FCALL', 'delta_session_open', 2, "delta:{presence:w$i}",
                  'delta:last_seen', "presence:w$i", "w$i", 1, 2999, 'on', '');
    }

    my ($first, %gone);

    while (keys %gone < $n) {
        my $reply = eval { $judge->read } or last;
        next if $reply->[3] !~ /"offline"/;
        $gone{ $reply->[2] }++;
        $first ||= time;
    }

    is(scalar keys %gone, $n, "row 4.1: $n users of a host that died");
    is(scalar(grep { $_ > 1 } values %gone), 0, 'each once');
    cmp_ok(time - $first, '<', 15 * $Delta::SLOW, 'at once');
    note(sprintf 'the last %.1f s after the first', time - $first);
}


sub until_seen {
    my ($condition, $timeout) = @_;

    return wait_for(sub {
        if (my $event = $ben->read_json(0.2)) {
            if ($event->{t} eq 'presence_update') {
                $is{ $event->{d}{id} } = $event->{d}{s};
                $end{ $event->{d}{id} } = time if $event->{d}{s} eq 'offline';
            } elsif ($event->{t} eq 'presence_sync') {
                $is{ $_->{id} } = $_->{s} for @{ $event->{d}{presence} };
            }
        }

        # dan reads, ada answers pings as long as they reach it
        $client{dan}->read_block(0.01);
        $client{ada}->read_message(0.01) if !%end;

        return $condition->();
    }, ($timeout || 10) / $Delta::SLOW);
}
