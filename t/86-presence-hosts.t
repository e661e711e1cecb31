#!/usr/bin/perl

# Copyright (C) Delta contributors

# Presence and sessions across hosts: ten gateways on
# one Redis, sessions that go on elsewhere, workers and hosts that are killed,
# reload, TERM, and one host that loses its way to Redis.  What Redis was told
# is the judge: each change once, none that should not be.

use Delta;
use Delta::Presence;
use Delta::Process qw(free_port);
use Scalar::Util ();
use Time::HiRes qw(time);

my $hosts = 10;

my $t = Delta->new;
my $redis = $t->start_redis;
my $way = $t->start_relay('relay', $redis);     # of host 9

my @users = map { "u$_" } 0 .. $hosts - 1;
$t->redis('SADD', "user:$_:follows", @users) for @users, 'ben';

my $text = $t->conf(
    http => 'delta_redis %%REDIS%% connect_timeout=200ms;
             delta_jwt_key_file jwks.json;',
    server => 'delta_jwt optional;
        delta_presence ttl=2s refresh=1s;
        delta_resume 5s;
        delta_heartbeat 2s missed=2;
        delta_drain 1s;
        location = /gateway {
            delta_gateway;
            delta_subscribe presence:* from=user:$delta_user:follows;
            delta_subscribe user:* from=user:$delta_user:follows;
        }
        location = /metrics { delta_metrics; }');

start_host($_) for 0 .. $hosts - 1;

my $judge = Delta::Presence->new($redis);

my (@clients, @told);

my $ben = client('ben', 0);
my %at;

everybody();
elsewhere();
lost_reply();
two_tabs();
killed_worker();
reload();
term();
way_to_redis();
killed_host();
flat();
everywhere();
memory();

$t->stop('relay', 'KILL');
done_testing();


sub start_host {
    my ($n) = @_;

    my $conf = $text;
    my $port = $n ? "%%PORT_$n%%" : '%%PORT%%';

    $conf =~ s/%%PORT%%/$port/;
    $conf =~ s/%%REDIS%%/redis:\/\/127.0.0.1:$way/ if $n == 9;

    $t->start_nginx($conf, name => "nginx$n", workers => $n < 2 ? 2 : 1);
}


sub client {
    my ($user, $host, $token, $query) = @_;

    my $ws = $t->ws('/gateway?' . ($token ? "resume=$token" : '')
                    . ($query // ''),
                    token => $t->token($user), port => $t->port($host));
    my $ready = $ws->read_json // return;

    push @clients, $ws;
    Scalar::Util::weaken($clients[-1]);

    $ws->{id} = $ready->{d}{session_id};
    $ws->{token} = $ready->{d}{resume_token};
    $ws->{cursor} = $ready->{d}{cursor};
    my $next = $ws->read_json;
    $ws->{resumed} = $next->{t} eq 'resumed';
    $next = $ws->read_json if $ws->{resumed};
    $ws->{sync} = { map { $_->{id} => $_->{s} } @{ $next->{d}{presence} } };

    return $ws;
}


# As wait_for, with clients that are heard meanwhile.

sub meanwhile {
    return Delta::Presence::meanwhile(sub { @clients }, @_);
}


sub pass_time {
    my ($seconds) = @_;

    my $end = time + $seconds;
    meanwhile(sub { time >= $end }, $seconds + 5);
}


# What Redis has told since the last time, "user status" each.

sub told {
    push @told, $judge->news;

    return @told;
}


sub nothing {
    my ($name) = @_;

    is(join(', ', told()), '', $name);
    @told = ();
}


sub these {
    my ($expected, $name, $timeout) = @_;

    my $want = join ', ', sort @$expected;

    meanwhile(sub { told() >= @$expected }, $timeout);
    is(join(', ', sort @told), $want, $name);
    @told = ();
}


# The same, as a friend has it.

sub seen {
    my ($ws, @expected) = @_;

    my @seen;

    for (@expected) {
        my $event = $ws->read_until(sub {
            $_[0]{t} eq 'presence_update' && $_[0]{d}{id} ne 'ben'
        }) or last;
        push @seen, "$event->{d}{id} $event->{d}{s}";
    }

    is(join(', ', sort @seen), join(', ', sort @expected),
       'and that is what a friend sees');
}


sub everybody {
    these(['ben online'], 'ben comes');

    $at{"u$_"} = client("u$_", $_) for 0 .. $hosts - 1;
    these([ map { "$_ online" } @users ], 'one comes on each of ten hosts');
    seen($ben, map { "$_ online" } @users);

    $at{u9}->send_json({ t => 'status', d => { status => 'busy' } });
    these(['u9 busy'], 'a change on one host');

    for my $user (@users) {
        my $event = $at{$user}->read_until(sub {
            $_[0]{t} eq 'presence_update' && $_[0]{d}{s} eq 'busy'
        });
        is($event->{d}{id}, 'u9', "row 4.9: is seen on that of $user");
    }

    seen($ben, 'u9 busy');
}


sub elsewhere {
    my $ws = $at{u1};

    for my $host (2, 5, 0, 7, 1) {
        $ws->disconnect;
        $ws = client('u1', $host, $ws->{token});
        ok($ws->{resumed}, "row 4.8: goes on on host $host");
        is(scalar keys %{ $ws->{sync} }, 10, 'with those who are there');
    }

    my $new = client('u1', 3, $ws->{token});
    ok($new->{resumed}, 'also while it lives on another host');
    is(($ws->read_close)[0], 4502, 'which closes it');
    $at{u1} = $new;

    pass_time(1.5);
    nothing('nobody is told anything');
}


# The answer to a resume is lost, with the host or on the way to the client: its
# token is used, the next try is fresh, and has what was missed all the same.

sub lost_reply {
    for my $way ('host', 'client') {
        my $ws = $at{u1};
        my ($id, $gen) = split /\./, $ws->{token};

        # a host that has just begun has none to give
        ok(meanwhile(sub {
            $ws->send_json({ t => 'heartbeat' });
            $ws->{cursor} = $ws->read_until('heartbeat_ack')->{d}{cursor};
        }), 'a cursor');

        $ws->disconnect;
        $t->publish('user:u2', { t => 'note', d => { way => $way } });

        if ($way eq 'host') {
            $t->redis('FCALL', 'delta_session_resume', 1,
                      'delta:{presence:u1}', 'presence:u1', $id, $gen, 2000,
                      5000);

        } else {
            my $lost = $t->ws("/gateway?resume=$ws->{token}",
                              port => $t->port(3), token => $t->token('u1'));
            ok(meanwhile(sub {
                my $lease = $t->redis('HGET', 'delta:{presence:u1}', "s:$id");
                return $lease =~ /^(\d+)/ && $1 == $gen + 1;
            }), 'a token is used');
            $lost->disconnect;
        }

        $at{u1} = client('u1', 4, $ws->{token}, "&since=$ws->{cursor}");
        ok(!$at{u1}{resumed}, 'a token whose answer was lost does not resume');
        isnt($at{u1}{id}, $id, 'but begins a session');
        ok(meanwhile(sub {
            $at{u1}->read_until(sub { ($_[0]{d}{way} // '') eq $way }, 0.2);
        }), 'which gets what was missed')
            or diag(json_encode($at{u1}{skipped} // []));
    }

    pass_time(8);
    nothing('and nobody is told anything, nor when the old ones end');
    is(scalar leases('u1'), 1, 'which they do');
}


sub leases {
    my ($user) = @_;

    return grep { /^s:/ } @{ $t->redis('HKEYS', "delta:{presence:$user}") };
}


sub two_tabs {
    my $ws = $at{u2};
    $ws->disconnect;

    my @tabs = map { client('u2', $_, $ws->{token}) } 3, 6;

    is(join(' ', map { $_->{resumed} ? 1 : 0 } @tabs), '1 0',
       'of two tabs with one token one goes on');
    $tabs[0]->close(3000);
    pass_time(1);
    nothing('the other one keeps the user online');
    $at{u2} = $tabs[1];
}


sub killed_worker {
    $t->allow(qr/worker process \d+ exited on signal 9/);

    # of the two of host 1 one may have none of them
    my @ws = map { client('u1', 1) } 1 .. 6;
    my @dead;

    for my $pid ($t->workers('nginx1')) {
        kill 'KILL', $pid;
        @dead = grep { !alive($_) } @ws and last;
    }

    ok(scalar @dead, 'a worker is killed, with ' . @dead . ' of 6');

    for my $ws (@dead) {
        my $new = client('u1', 8, $ws->{token});
        ok($new->{resumed}, 'its sessions go on elsewhere');
        $new->close(3000);
    }

    $_->close(3000) for grep { alive($_) } @ws;
    pass_time(1);
    nothing('nobody is told anything');
}


sub alive {
    my ($ws) = @_;

    $ws->send_json({ t => 'heartbeat' });

    return $ws->read_until('heartbeat_ack', 1) ? 1 : 0;
}


sub reload {
    my $ws = $at{u5};

    $t->reload(undef, name => 'nginx5');
    ok($ws->read_until('reconnect'), 'a reload: reconnect is said');
    is(($ws->read_close)[0], 4001, 'and closed');
    $at{u5} = client('u5', 5, $ws->{token});
    ok($at{u5}{resumed}, 'the next worker takes the session over');
    is(scalar leases('u5'), 1, 'which is one');
    nothing('nobody is told anything');

    my $start = time;
    my $gone = client('u5', 5);
    $t->reload(undef, name => 'nginx5');
    $_->read_close for $gone, $at{u5};
    these(['u5 offline'], 'who does not come back goes offline');
    cmp_ok(time - $start, '<', 25 * $Delta::SLOW, 'after the window');
    $at{u5} = client('u5', 6);
    these(['u5 online'], 'and can come again');
}


sub term {
    my $ws = $at{u6};

    $t->stop_nginx('TERM', 'nginx6');
    $at{u6} = client('u6', 7, $ws->{token});
    ok($at{u6}{resumed}, 'TERM: a session goes on elsewhere');

    for my $user ('u2', 'u5') {
        $at{$user} = client($user, 7, $at{$user}{token});
        ok($at{$user}{resumed}, 'and all others');
    }

    start_host(6);
    pass_time(1);
    nothing('nobody is told anything');
}


sub way_to_redis {
    # for a moment: it must be back before the leases end
    $t->stop('relay', 'KILL');
    ok(wait_for(sub {
        $t->http('GET', '/gateway', port => $t->port(9),
                 token => $t->token('u9'),
                 headers => [ Accept => 'text/event-stream' ])->{status} == 503
    }), 'a host that is cut from Redis takes nobody');
    $t->start_relay('relay', $redis, $way);
    ok(meanwhile(sub { alive($at{u9}) && leases('u9') && due('u9') > 5000 }),
       'when it is back it refreshes');
    nothing('nobody is told anything');

    $t->stop('relay', 'KILL');
    these(['u9 offline'], 'cut for too long, its users go offline, once');
    $t->start_relay('relay', $redis, $way);
    these(['u9 busy'], 'and come back as they were');

    $at{u9}->disconnect;
    $at{u9} = client('u9', 2, $at{u9}{token});
    ok($at{u9}{resumed}, 'that session can go on elsewhere, too');
    nothing('nobody is told anything');
}


# How long the user's leases last yet, in ms.

sub due {
    my ($user) = @_;

    my ($lease) = grep { /^\d+\|/ }
        @{ $t->redis('HVALS', "delta:{presence:$user}") } or return 0;
    my ($s, $us) = @{ $t->redis('TIME') };

    return (split /\|/, $lease)[1] - $s * 1000 - int $us / 1000;
}


# With its master, and nobody tells Redis.  Some come back.

sub killed_host {
    my %old = map { $_ => client($_, 8) } 'v1' .. 'v8';
    these([ map { "$_ online" } keys %old ], 'eight more come');

    my $start = time;
    my @pids = ($t->pid('nginx8'), $t->workers('nginx8'));
    kill 'KILL', $_ for @pids;
    ok(wait_for(sub { !$t->alive('nginx8') }), 'a host is killed');

    my @back = map { client($_, 2, $old{$_}{token}) } 'v1' .. 'v4';
    is(scalar(grep { $_->{resumed} } @back), 4, 'some go on elsewhere');
    these([ 'u8 offline', map { "$_ offline" } 'v5' .. 'v8' ],
          'all others go offline, each once (4.1)');
    cmp_ok(time - $start, '<', 25 * $Delta::SLOW,
           'within ttl and resume after the last byte, and a sweep');
    pass_time(3);
    nothing('row 4.1: and never again');

    my $zset = $t->redis('ZRANGE', 'delta:leases', 0, -1);
    is(join(' ', grep { /^v[5-8]|u8/ } @$zset), '',
       'nobody looks for them any more');

    $_->close(3000) for @back;
    these([ map { "$_ offline" } 'v1' .. 'v4' ], 'the others log out');
    start_host(8);
}


# What a change costs is a matter of who follows (4.2).

sub flat {
    my (@cost, @asked);

    for my $n (10, 300) {
        my @crowd = map { client("w$_", $_ % 3 + 2) } 1 .. $n;
        these([ map { "w$_ online" } 1 .. $n ], "$n are there");

        my $before = cost();
        my $monitor = Delta::Redis->new($redis);
        $monitor->command('MONITOR');
        $at{u3}->send_json({ t => 'status', d => { status => "with $n" } });
        these(["u3 with $n"], 'one changes');
        push @cost, cost() - $before;
        push @asked, asked($monitor, 'u3');

        $_->send_json({ t => 'logout' }) for @crowd;
        these([ map { "w$_ offline" } 1 .. $n ], 'and all go');
    }

    is($cost[1], $cost[0], 'row 4.2: as often among more users');
    cmp_ok($cost[0], '<=', 2 * (10 + 1), 'to those who follow');
    is($asked[0], 'FCALL HGETALL HSET HSET PUBLISH TIME ZSCORE',
       'and asks this of Redis');
    is($asked[1], $asked[0], 'and nothing else among more users');
}


# After all that, each host by what its workers know.

sub everywhere {
    my %is;

    for my $user (@users) {
        my $a = $t->redis('HGET', "delta:{presence:$user}", 'a') // next;
        $is{$user} = json_decode($a)->{s};
    }

    cmp_ok(scalar keys %is, '>=', 7, 'most are there');

    for my $host (0 .. $hosts - 1) {
        my $ws = client('ben', $host);
        is_deeply($ws->{sync}, \%is, "row 4.9: right on host $host");
        $ws->close(3000);
    }

    nothing('at the end');
}


# Redis has lost all that it knew of presence, and every connection: who is
# there is there again, as before, on each host, and in the index.

sub memory {
    my @keys = map { "delta:{presence:$_}" } 'ben', @users;
    my $known = sub {
        return join ' ', map { $t->redis('HGET', $_, 'a') // '-' } @keys;
    };

    my $before = $known->();
    $t->redis('DEL', @keys, 'delta:leases');
    $t->redis('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes')
        for 'pubsub', 'normal';

    $judge = Delta::Presence->new($redis);

    ok(meanwhile(sub { $known->() eq $before }, 15),
       'Redis has lost its memory: all are there again, as they were')
        or diag($before, "\n", $known->());
    ok(wait_for(sub { $t->redis('ZCARD', 'delta:leases') >= 8 }),
       'and in the index');
    pass_time(2);
    told();
    @told = ();
    everywhere();
}


# What was asked about that user, but for refreshes and what else is not said
# when something changes.

sub asked {
    my ($monitor, $user) = @_;

    my (@asked, $function);

    $t->redis('PUBLISH', 'the-end', '');

    while (1) {
        my ($by, $name, $rest) =
            $monitor->read =~ /\[\d+ (\S+)\] "(\w+)"(.*)/s or next;

        last if $rest =~ /"the-end"/;

        if ($by ne 'lua') {
            ($function) = $name =~ /^fcall/i ? $rest =~ /^ "(\w+)"/ : ('');
        }

        push @asked, uc $name
            if $function eq 'delta_session_status'
               || ($function eq '' && $rest =~ /presence:$user\b/);
    }

    return join ' ', sort @asked;
}


sub cost {
    my $sum = 0;

    for my $host (0 .. $hosts - 1) {
        my ($n) = $t->http('GET', '/metrics', port => $t->port($host))->{body}
            =~ /^delta_events_delivered_total (\d+)/m;
        $sum += $n;
    }

    return $sum;
}
