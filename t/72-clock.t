#!/usr/bin/perl

# Copyright (C) Delta contributors

# Redis's clock is set: forward is no matter; back, and new events have ids
# below the cursors that clients hold, so those are void, and say so.

use Delta;
use Time::HiRes qw(time);

my $t = Delta->new;
my $cc = $ENV{CC} || 'cc';
my $lib = $t->dir . '/clock.so';

system($cc, '-shared', '-fPIC', '-o', $lib, "$Delta::TOP/t/lib/clock.c") == 0
    or die "t/lib/clock.c does not build\n";

my $offset = 0;

$t->file(clock => pack 'q', 0);

{
    local $ENV{LD_PRELOAD} = $lib;
    local $ENV{DELTA_CLOCK} = $t->dir . '/clock';
    $t->start_redis('--appendonly', 'yes', '--appendfsync', 'always');
}

my @members = map { "u$_" } 1 .. 9;
$t->redis('SADD', 'user:ben:follows', @members);

my $conf = $t->conf(
    http => 'delta_redis %%REDIS%% read_timeout=1s;
             delta_jwt_key_file jwks.json;',
    server => 'delta_jwt;
        location = /gateway {
            delta_gateway;
            delta_limit rate=6000r/m;
            delta_subscribe user:* from=user:$delta_user:follows;
        }
        location = /metrics { delta_jwt off; delta_metrics; }');

$t->start_nginx($conf, workers => 2);

my $n = 0;
my $ws = open_ws();
is($ws->read_json->{t}, 'ready', 'a session');
my ($epoch) = split /\./, cursor();
is($epoch, epoch(), 'its cursor is of the epoch in Redis');

harmless();
back();
fresh();
cut();

done_testing;


# Sets the clock by that many ms.

sub step {
    my ($by) = @_;

    $offset += $by;

    my ($before, $more) = skew();

    open my $fh, '+<:raw', $t->dir . '/clock' or die $!;
    syswrite $fh, pack 'q', $offset;
    close $fh;

    my ($after, $less) = skew();

    cmp_ok(abs($after - $before - $by / 1000), '<', $more + $less + 0.1,
           "the clock of Redis is set by $by ms");
}


# By how much it is ahead of ours, give or take what it took to ask.

sub skew {
    my $start = time;
    my $now = now();
    my $took = time - $start;

    return ($now - $start - $took / 2, $took);
}


# That of Redis.

sub now {
    my ($seconds, $us) = @{ $t->redis('TIME') };

    return $seconds + $us / 1e6;
}


sub epoch {
    return $t->redis('HGET', 'delta:epoch', 'v');
}


sub open_ws {
    my ($args) = @_;

    return $t->ws('/gateway' . ($args ? "?$args" : ''),
                  token => $t->token('ben'));
}


# The cursor that a heartbeat is answered with, once there is one.

sub cursor {
    my ($client) = @_;

    $client ||= $ws;

    return wait_for(sub {
        $client->send_json({ t => 'heartbeat' });
        $client->read_until('heartbeat_ack')->{d}{cursor};
    });
}


sub ms {
    return (split /\./, cursor())[1];
}


# As many ticks have come, one a second.

sub ticks {
    my ($count) = @_;

    for (1 .. $count) {
        my $last = cursor();
        wait_for(sub { cursor() ne $last });
    }
}


sub publish {
    my ($channel) = @_;

    $t->publish($channel, { t => 'patch', d => { n => ++$n } });
}


# What was missed since a cursor, n of a patch or a resync's reason: so many, or
# until it looks like that.

sub missed {
    my ($since, $count) = @_;

    my $client = open_ws("since=$since");
    my @seen;

    $client->read_until(sub {
        push @seen, $_[0]{d}{reason} // $_[0]{d}{n} // ();
        return ref $count ? "@seen" =~ $count : @seen == $count;
    });

    return join ' ', sort @seen;
}


sub logged {
    return [ $t->log =~ /went back by (\d+) ms/g ];
}


sub harmless {
    my $cursor = cursor();

    publish('user:u1');
    step(-600);
    publish('user:u2');
    ticks(2);
    is(missed($cursor, 2), join(' ', $n - 1, $n),
       'a little back is covered by the overlap');

    my $before = ms();
    publish('user:u1');
    step(7000);
    publish('user:u2');
    ok(wait_for(sub { ms() > $before + 6500 }), 'a step forward');
    is(missed($cursor, 4), join(' ', $n - 3 .. $n), 'is no matter either');
    ticks(1);
    is(epoch(), $epoch, 'the epoch stays');
    is(scalar @{ logged() }, 0, 'nothing is logged');

    # a tick is late because Redis is, then because its readers are
    kill 'STOP', $t->pid('redis');
    ok(wait_for(sub {
        $t->http(GET => '/metrics')->body
            =~ /^delta_redis_tick_age_seconds ([\d.]+)/m && $1 > 1.3;
    }), 'Redis hangs');
    kill 'CONT', $t->pid('redis');

    my $start = now();
    kill 'STOP', $_ for $t->workers;
    ok(wait_for(sub { now() > $start + 1.3 }), 'nginx does');
    kill 'CONT', $_ for $t->workers;
    ticks(2);
    is(epoch(), $epoch, 'nor are delays a step');
}


sub back {
    my $cursor = cursor();
    my $high = ms();
    my $sse = $t->sse('/gateway', token => $t->token('ben'));

    ok($sse->read_until('ready'), 'an event stream');
    step(-5000);
    publish('user:u1');
    is($ws->read_until('patch')->{d}{n}, $n, 'live events go on');

    ok(wait_for(sub { epoch() ne $epoch }), 'the epoch is raised');
    ok(wait_for(sub { @{ logged() } == 2 }), 'each worker says so');

    for my $by (@{ logged() }) {
        ok($by > 4800 && $by <= 5000, "with the figure, $by ms");
    }

    ticks(2);
    is(epoch(), $epoch + 1, 'once for both workers');
    is(scalar @{ logged() }, 2, 'and not again');

    my $new = wait_for(sub { my $now = cursor(); $now =~ /^$epoch\./ ? 0
                                                                     : $now });
    like($new, qr/^@{[ $epoch + 1 ]}\./, 'new cursors are of the new epoch');
    cmp_ok((split /\./, $new)[1], '<', $high, 'and of the new time');
    is(missed($cursor, 1), 'epoch_changed',
       'cursors of before are a resync');

    # past the overlap of what came with the step
    publish('user:u3');
    like(missed($new, qr/\b$n\b/), qr/^[\d ]+$/, 'the new ones work');

    publish('user:u2');
    $epoch++;

    my $id = '';
    while ($id !~ /^$epoch\./ and my $block = $sse->read_block) {
        $id = $block->{id} // '';
    }
    like($id, qr/^$epoch\./, 'an event stream is given one, too');
}


# Workers that did not see the step know the epoch; they see the next one.

sub fresh {
    my %old = map { $_ => 1 } $t->workers;

    $ws->disconnect;
    $t->reload;
    ok(wait_for(sub { !grep { $old{$_} } $t->workers }), 'a reload');
    $ws = open_ws();
    like(cursor(), qr/^$epoch\./, 'new workers know the epoch');

    my $old = cursor();
    step(-3000);
    ok(wait_for(sub { @{ logged() } == 4 }), 'and see the next step');
    ticks(1);
    is(epoch(), ++$epoch, 'raised again, once');
    is(missed($old, 1), 'epoch_changed', 'a resync');
}


# The link is cut meanwhile: what a quiet channel missed has a low id.

sub cut {
    ok(wait_for(sub { cursor() =~ /^$epoch\./ }), 'all is well');
    kill 'STOP', $_ for $t->workers;
    $t->redis('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes')
        for 'pubsub', 'normal';
    step(-60000);
    publish('user:u9');
    kill 'CONT', $_ for $t->workers;

    my $event = $ws->read_until(sub {
        ($_[0]{c} // $_[0]{d}{channel} // '') eq 'user:u9'
    });
    is($event->{d}{reason} // $event->{d}{n}, 'history_gap',
       'what cannot be proven is a resync')
        or diag(json_encode($event));
    ok(wait_for(sub { epoch() == $epoch + 1 }), 'the epoch is raised');
    publish('user:u9');
    is($ws->read_until(sub { ($_[0]{d}{n} // 0) == $n })->{d}{n}, $n,
       'and events flow');
}
