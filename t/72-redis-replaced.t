#!/usr/bin/perl

# Copyright (C) Delta contributors

# Another Redis in the old one's place, or the same one with less in it: what
# it can still prove goes on, everything else is a resync, never silence.

use Delta;
use Delta::Process qw(free_port);
use Delta::Proxy;

my $t = Delta->new;
my $n = 0;

$t->start_redis('--appendonly', 'yes', '--appendfsync', 'always',
                '--repl-diskless-sync-delay', '0');
$t->redis('SADD', 'user:ben:follows', 'ada', 'eve');
$t->allow(qr/delta: .*link to Redis .* is down/);

my $proxy = Delta::Proxy->start($t, 'proxy', $t->{redis_port}, undef,
                                qr/\r\nINFO\r\n/);

$t->start_nginx($t->conf(
    http => "delta_redis redis://127.0.0.1:$proxy->{port} read_timeout=1s;
             delta_user \$arg_user;",
    server => 'location = /gateway {
            delta_gateway;
            delta_subscribe user:* from=user:$delta_user:follows;
        }
        location = /metrics { delta_metrics; }'));

my $live = $t->ws('/gateway?user=ben');
is($live->read_json->{t}, 'ready', 'somebody is there');

restarted();
twice();
evicting();
full();
promoted();

done_testing;


# With everything it had: nobody is told to fetch anything.

sub restarted {
    my $cursor = seen();

    $t->stop_redis;
    $t->start_redis;
    publish();

    is(told($live), $n, 'row 1.5: restarted, the live one misses nothing');
    is(back($cursor), $n, 'nor does who comes back with a cursor');
    is(resyncs(), 0, 'and nobody fetches anew');
}


# And is lost again before anybody could see which one it is.

sub twice {
    my $cursor = seen();
    my $down = () = $t->log =~ /command link to Redis .* is down/g;

    $proxy->mode('hold');
    $t->stop_redis;
    $t->start_redis;

    ok(wait_for(sub {
        (() = $t->log =~ /command link to Redis .* is down/g) > $down + 3;
    }), 'restarted, and its answers do not come');
    $proxy->mode('pass');
    publish();

    is(told($live), $n, 'then they do: the live one misses nothing');
    is(back($cursor), $n, 'nor does who comes back with a cursor');
    is(resyncs(), 0, 'it is the same Redis');
}


# A log that may have been evicted is no proof that nothing was in it.

sub evicting {
    my $cursor = seen();

    is(silent($cursor), '', 'a channel without a log had no events');

    $t->redis('CONFIG', 'SET', 'maxmemory', '1gb');
    $t->redis('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    links_anew();
    is(silent($cursor), 'user:eve history_gap',
       'where Redis may evict, nobody knows');

    is($live->read_until('resync')->{d}{channel}, 'user:eve',
       'nor what was missed when the link was made anew');

    $t->redis('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    links_anew();
    is(silent($cursor), '', 'until it must not any more');
}


# The publisher is refused, and tries again; the readers are served.

sub full {
    my $cursor = seen();
    my $before = resyncs();

    $t->redis('CONFIG', 'SET', 'maxmemory', 1);
    ok(!eval { publish(); 1 }, 'Redis is full: the publisher is told');
    like($@, qr/OOM|maxmemory/, 'why');
    $n--;

    is(back($cursor), $n, 'who comes back meanwhile is served');
    $live->send_json({ t => 'heartbeat' });
    ok($live->read_until('heartbeat_ack'), 'and who is there stays');

    $t->redis('CONFIG', 'SET', 'maxmemory', 0);
    publish();
    is(told($live), $n, 'then all goes on');
    is(resyncs(), $before, 'without anything to fetch');
}


# What the replica did not get is gone: those who saw it must be told.

sub promoted {
    my $port = free_port();
    my $cursor = seen();

    $t->spawn('replica', 'replica.log', 'redis-server', '--port', $port,
              '--bind', '127.0.0.1', '--save', '', '--dir', $t->dir,
              '--replicaof', '127.0.0.1', $t->{redis_port});

    my $replica = wait_for(sub { eval { Delta::Redis->new($port) } });
    ok(wait_for(sub {
        eval { $replica->command('INFO', 'replication') }
            =~ /master_link_status:up/;
    }), 'a replica has all');

    # lost with the primary: it was seen, and never replicated
    $replica->command('REPLICAOF', 'NO', 'ONE');
    publish();
    is(told($live), $n, 'one event more is seen');

    $t->stop('proxy');
    my $other = Delta::Proxy->start($t, 'other', $port, $proxy->{port});

    ok(wait_for(sub { subscriber($replica) }),
       'the gateway is at the replica');

    $replica->command('FCALL', 'delta_publish', 1, 'user:ada',
                      json_encode({ t => 'note', d => { n => ++$n } }));

    my %told;
    my $event;

    while ($event = $live->read_json and $event->{t} eq 'resync') {
        $told{ $event->{d}{channel} } = $event->{d}{reason};
    }

    is($told{'user:ada'}, 'history_gap',
       'row 1.5: who saw what is gone is told');
    is($event->{d}{n}, $n, 'before what is new');

    my $ws = $t->ws("/gateway?user=ben&since=$cursor");
    $ws->read_until('ready');
    $event = $ws->read_json;
    is($event->{d}{reason}, 'epoch_changed', 'a cursor of before is void');
    $ws->disconnect;
}


sub publish {
    return $t->publish('user:ada', { t => 'note', d => { n => ++$n } });
}


# One event, and a cursor that passes it.

sub seen {
    my ($ms) = publish() =~ /^(\d+)/;

    is(told($live), $n, 'an event arrives');

    return wait_for(sub {
        $live->send_json({ t => 'heartbeat' });
        my $cursor = $live->read_until('heartbeat_ack')->{d}{cursor} // '';
        return $cursor if $cursor =~ /\.(\d+)$/ && $1 >= $ms;
    });
}


sub told {
    my ($ws) = @_;

    my $event = $ws->read_json;

    return $event->{t} eq 'note' ? $event->{d}{n}
        : "$event->{t} " . ($event->{d}{reason} // '');
}


# The last event of who comes back; the overlap may bring older ones first.

sub back {
    my ($cursor) = @_;

    my $ws = $t->ws("/gateway?user=ben&since=$cursor");
    my $got;

    $ws->read_until('ready');
    $ws->send_json({ t => 'heartbeat' });

    while (my $event = $ws->read_json) {
        last if $event->{t} eq 'heartbeat_ack';
        $got = $event->{t} eq 'note' ? $event->{d}{n} : $event->{t};
    }

    $ws->disconnect;

    return $got // '';
}


# What is said of channels that nothing was published on.

sub silent {
    my ($cursor) = @_;

    my $ws = $t->ws("/gateway?user=ben&since=$cursor");
    my @got;

    $ws->read_until('ready');
    $ws->send_json({ t => 'heartbeat' });

    while (my $event = $ws->read_json) {
        last if $event->{t} eq 'heartbeat_ack';
        push @got, "$event->{d}{channel} $event->{d}{reason}"
            if $event->{t} eq 'resync';
    }

    $ws->disconnect;

    return "@got";
}


# INFO is read when a link is made.

sub links_anew {
    my ($old) = subscriber($t->{redis});

    $t->redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
    wait_for(sub { my ($id) = subscriber($t->{redis}); $id && $id != $old })
        or die 'the gateway does not come back';
}


# The gateway's connection there, once it has all its channels.

sub subscriber {
    my ($redis) = @_;

    return $redis->command('CLIENT', 'LIST', 'TYPE', 'pubsub')
        =~ /^id=(\d+) .* sub=(?:[4-9]|\d\d)/m;
}


sub resyncs {
    my $sum = 0;

    $sum += $_ for $t->http(GET => '/metrics')->body
        =~ /^delta_resyncs_total\S* (\d+)/gm;

    return $sum;
}
