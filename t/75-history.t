#!/usr/bin/perl

# Copyright (C) Delta contributors

# Catching up: from a worker's memory if it can be, by one reading of the log
# if not, and by a resync where the log is no proof.

use Delta;
use POSIX ();

my $t = Delta->new;

$t->start_redis;

my $conf = $t->conf(
    http => 'delta_redis %%REDIS%%;
             delta_channel room:* replay=400;',
    server => 'delta_user $arg_user;
        location = /gateway {
            delta_gateway;
            delta_subscribe room:$arg_room;
            delta_limit connections=200;
            delta_drain 1s;
        }
        location = /metrics { delta_metrics; }');

$t->start_nginx($conf);

my %n;
my %ids;                                # room => [ id of n = 1, ... ]

memory();
storm();
ahead();
meanwhile();
strange();
gone();
refused();
bounded();

done_testing;


sub memory {
    my $ws = client('a');

    publish('a', 20);
    read_to($ws, 'a');
    my $calls = calls();

    for my $i (1, 5, 19, 20) {
        is(seen(back('a', $i), 'a'), join(' ', $i + 1 .. $n{a}),
           "what came after $i is in memory");
    }

    $ws->disconnect;
    wait_for(sub { metric('sessions{transport="ws"}') == 0 });
    publish('a', 3);
    is(seen(back('a', 20), 'a'), '21 22 23', 'also of a channel that lingers');
    is(calls(), $calls, 'and Redis was not asked');

    is(seen(client('a', since => '2020-01-01T00:00:00Z'), 'a'),
       'resync history_gap', 'but for what is not there');
    is(calls(), $calls + 1, 'once');
}


# All who come back at once, with different positions, are one reading.

sub storm {
    publish('b', 300);

    # nobody is ahead of the others: the log is read when all have asked
    kill 'STOP', $t->pid('redis');
    my @open = map { open_raw("room=b&at=" . at('b', 10 * $_)) } 1 .. 25;
    kill 'CONT', $t->pid('redis');
    my $calls = calls();

    my $bad = 0;

    for my $i (1 .. @open) {
        $open[$i - 1]->read_until('ready');
        my $got = seen($open[$i - 1], 'b');
        $bad++ if $got ne join ' ', 10 * $i + 1 .. $n{b};
    }

    is($bad, 0, 'everybody gets what came after his place');
    $calls = calls() - $calls;
    cmp_ok($calls, '<=', 4, "by a reading, or one more for the late: $calls");
}


# A place that this worker has not heard of yet: what is there does not come
# again when it is repaired for the others.

sub ahead {
    my $ws = client('c');
    publish('c', 3);
    read_to($ws, 'c');

    my $id = log_only('c');
    my $other = client('c', at => "room:c=$id");
    publish('c', 1);
    is(seen($other, 'c', 1), '5', 'a place ahead of the worker is proven');
    is(seen($ws, 'c', 2), '4 5', 'the others get all of it');

    my $first = log_only('c');
    log_only('c');
    $other = client('c', at => "room:c=$first");
    publish('c', 1);
    is(seen($other, 'c', 2), '7 8',
       'and what comes after it comes');
    $_->disconnect for $ws, $other;

    # further back than what is in memory, behind a place ahead of it
    is(seen(back('c', 2), 'c'), '3 4 5 6 7 8', 'and what was there stays');
    fresh();
    is(seen(back('c', 2), 'c'), join(' ', 3 .. $n{c}), 'a fresh worker reads');
    my $calls = calls();
    is(seen(back('c', 3), 'c'), join(' ', 4 .. $n{c}), 'and keeps it');
    is(calls(), $calls, 'for the next');
}


# Live events come while the log is read.

sub meanwhile {
    my $bad = 0;

    publish('d', 40);
    my $pid = publisher('d', 3000);

    for my $i (1 .. 20) {
        my $n = 20 + $i;
        my $ws = back('d', $n);
        my ($last, $tries) = ($n, 0);

        while ($last < $n + 300) {
            my $event = $ws->read_json or last;
            last if $event->{t} eq 'resync';        # over replay=
            next if $event->{d}{n} <= $last;        # twice is once
            $bad++ if $event->{d}{n} != $last + 1;
            $last = $event->{d}{n};
        }

        $ws->disconnect;
    }

    waitpid $pid, 0;
    is($bad, 0, 'live events and a reading: none is missing');
}


# What is no event, or not for anybody, keeps the chain whole.

sub strange {
    publish('e', 2);

    for my $text ('{"t":"X","d":{}}', '{"t":"x"}', '{' . 'x' x 100000) {
        $t->publish('room:e', $text);
    }

    publish('e', 1);
    fresh();
    is(seen(back('e', 1), 'e'), '2 3', 'invalid events are passed over');
    is(seen(back('e', 2), 'e'), '3', 'in memory, too');

    # somebody else's entries: pages of them
    publish('f', 1);
    other()->command('EVAL', 'for i = 1, 600 do redis.call("XADD", KEYS[1], '
                     . '"*", "x", "y") end', 1, 'delta:{room:f}');
    publish('f', 1);
    fresh();
    is(seen(back('f', 1), 'f'), '2', 'pages of foreign entries are read over');

    $t->publish('room:g', { t => 'x', d => { n => ++$n{g},
                                             pad => 'x' x 60000 } })
        for 1 .. 12;
    $ids{g} = [ map { $_->[0] } @{ $t->redis('XRANGE', 'delta:{room:g}',
                                             '-', '+') } ];
    is(seen(back('g', 8), 'g'), '9 10 11 12', 'big events');
    is(seen(back('g', 1), 'g'), 'resync too_many',
       'which are not kept without end');
}


# A log that is gone is no silence.

sub gone {
    my %how = (
        DEL => sub { $t->redis('DEL', 'delta:{room:h}') },
        XTRIM => sub { $t->redis('XTRIM', 'delta:{room:h}', 'MAXLEN', 0) },
        'wrong type' => sub {
            $t->redis('SET', 'delta:{room:h}', 'x');
        },
        'DEL of both' => sub {
            $t->redis('DEL', 'delta:{room:h}', 'delta:{room:h}:once');
        },
        FLUSHALL => sub { $t->redis('FLUSHALL') },
    );

    for my $how (sort keys %how) {
        for my $later (0, 1) {
            my $name = $later ? "$how and a later event" : $how;

            $t->redis('DEL', 'delta:{room:h}');
            publish('h', 5);
            my $cursor = cursor();
            fresh();
            $how{$how}->();
            eval { publish('h', 1) } if $later;

            is(seen(back('h', $n{h} - 2), 'h'), 'resync history_gap',
               "$name: resync to a position");

            # within keep= no log at all is one that was never written
            next if $how eq 'DEL of both';

            like(seen(client('h', since => $cursor), 'h'),
                 qr/^resync (?:history_gap|epoch_changed)$/,
                 "$name: and to a cursor");
        }
    }

    $t->redis('DEL', 'delta:{room:h}');
    $t->redis('CONFIG', 'SET', 'maxmemory', '500mb');
    $t->redis('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    publish('h', 3);
    my $cursor = cursor();
    fresh();
    client('h')->disconnect;
    $t->redis('DEL', 'delta:{room:h}', 'delta:{room:h}:once');
    is(seen(client('h', since => $cursor), 'h'), 'resync history_gap',
       'a Redis that evicts: an empty log proves nothing');
    $t->redis('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
}


sub refused {
    publish('i', 3);
    fresh();
    client('i')->disconnect;
    $t->redis('ACL', 'SETUSER', 'default', '-fcall_ro');
    my $lines = () = $t->log =~ /the log of "room:i" cannot be read/g;
    is(seen(back('i', 1), 'i'), 'resync history_gap',
       'delta_log is refused: resync');
    my @lines = $t->log =~ /(the log of "room:i" cannot be read.*)/g;
    is(@lines - $lines, 1, 'and one line in the log');
    like($lines[-1], qr/NOPERM/, 'which says why');
    $t->redis('ACL', 'SETUSER', 'default', '+fcall_ro');

    my $library = Delta::library();
    $library =~ s/'delta_log'/'delta_other'/;
    $t->redis('FUNCTION', 'LOAD', 'REPLACE', $library);
    is(seen(back('i', 1), 'i'), 'resync history_gap', 'it is missing: resync');
    like($t->log, qr/the log of "room:i" cannot be read: .*not found/i,
         'and a line');
    $t->redis('FUNCTION', 'LOAD', 'REPLACE', Delta::library());
    is(seen(back('i', 1), 'i'), '2 3', 'and all is well again');
}


# Many channels with much in each.

sub bounded {
    fresh();
    my $ws = client('z');
    my @ws;
    my $before;

    for my $i (1 .. 120) {
        push @ws, client("m$i");
        $before = memory_kb() if $i == 20;
        my $redis = other();

        $redis->send('FCALL', 'delta_publish', 1, "room:m$i",
                     '{"t":"x","d":{"n":' . $_ . ',"pad":"' . 'x' x 60000
                     . '"}}')
            for 1 .. 10;
        $redis->read for 1 .. 10;

        my $message = { payload => '' };
        $message = $ws[-1]->read_message
            while $message && $message->{payload} !~ /"n":10,/;
    }

    # 120 x 600 KB went through; 32 MB may stay, and what is encoded of them
    my $grown = memory_kb() - $before;
    cmp_ok($grown, '<', ($Delta::ASAN ? 400_000 : 75_000),
           "120 channels of 600 KB: $grown KB");
}


# Helpers.

sub client {
    my ($room, %query) = @_;

    my $ws = open_raw(join '&', "room=$room",
                      map { "$_=" . escape($query{$_}) } sort keys %query);
    $ws->read_until('ready') or die 'no ready';

    return $ws;
}


# Workers that know nothing, and no others.

sub fresh {
    my %old = map { $_ => 1 } $t->workers;

    $t->reload;
    wait_for(sub { !grep { $old{$_} } $t->workers });
}


sub open_raw {
    my ($query) = @_;

    return $t->ws("/gateway?user=ben&$query", timeout => 15);
}


sub back {
    my ($room, $n) = @_;

    return client($room, at => "room:$room=$ids{$room}[$n - 1]");
}


sub at {
    my ($room, $n) = @_;

    return escape("room:$room=$ids{$room}[$n - 1]");
}


sub publish {
    my ($room, $count) = @_;

    for (1 .. $count) {
        my $n = ($n{$room} // 0) + 1;
        push @{ $ids{$room} },
            $t->publish("room:$room", { t => 'x', d => { n => $n } });
        $n{$room} = $n;
    }
}


# An event whose PUBLISH this worker never gets.

sub log_only {
    my ($room) = @_;

    my $n = ++$n{$room};
    my $id = $t->redis('XADD', "delta:{room:$room}", '*',
        'p', $ids{$room}[-1], 'e', json_encode({ t => 'x', d => { n => $n } }));
    push @{ $ids{$room} }, $id;

    return $id;
}


sub publisher {
    my ($room, $count) = @_;

    my $pid = fork // die "fork: $!";
    return $pid if $pid;

    my $redis = other();
    my $n = $n{$room};

    while ($count > 0) {
        $redis->send('FCALL', 'delta_publish', 1, "room:$room",
                     json_encode({ t => 'x', d => { n => ++$n } }))
            for 1 .. 5;
        $redis->read for 1 .. 5;
        $count -= 5;
        select undef, undef, undef, 0.002;
    }

    POSIX::_exit(0);
}


# The n of the events up to the channel's last, or what else came; with count,
# of so many.

sub seen {
    my ($ws, $room, $count) = @_;

    my @seen;
    my $end = $n{$room};

    # a heartbeat is answered behind what is replayed
    $ws->send_json({ t => 'heartbeat', ref => 7 }) unless $count;

    while (my $event = $ws->read_json) {
        last if $event->{t} eq 'heartbeat_ack';

        if ($event->{t} eq 'resync') {
            push @seen, $count ? 'resync' : "resync $event->{d}{reason}";
            last;
        }

        push @seen, $event->{d}{n};
        last if $count ? @seen == $count : $event->{d}{n} == $end;
    }

    $ws->disconnect unless $count;

    return join ' ', @seen;
}


sub read_to {
    my ($ws, $room) = @_;

    return $ws->read_until(sub { ($_[0]{d}{n} // 0) == $n{$room} });
}


sub cursor {
    my $ws = client('z');

    my $cursor = wait_for(sub {
        $ws->send_json({ t => 'heartbeat' });
        my $c = $ws->read_until('heartbeat_ack')->{d}{cursor} // return;
        return $c;
    });
    $ws->disconnect;

    return $cursor;
}


# How often delta_log was called: nothing else is, but at a start.

sub calls {
    my $info = $t->redis('INFO', 'commandstats');

    return $info =~ /cmdstat_fcall_ro:calls=(\d+)/ ? $1 : 0;
}


sub other {
    return Delta::Redis->new($t->{redis_port});
}


sub metric {
    my ($name) = @_;

    my ($n) = $t->http(GET => '/metrics')->body =~ /^delta_\Q$name\E (\d+)/m;

    return $n;
}


sub memory_kb {
    my $sum = 0;

    for my $pid ($t->workers) {
        open my $fh, '<', "/proc/$pid/smaps_rollup" or next;
        /^Private_\w+:\s+(\d+)/ and $sum += $1 while <$fh>;
    }

    return $sum;
}


sub escape {
    my ($text) = @_;

    $text =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ge;

    return $text;
}
