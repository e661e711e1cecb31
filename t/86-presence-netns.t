#!/usr/bin/perl

# Copyright (C) Delta contributors

# Two hosts, each in a network namespace with one link to Redis and one to its
# clients, and the link of one to Redis is cut: who goes to the other host in
# time is not seen to, who does not is offline, once, and when the link is back
# nobody is there who is not, or is told of twice.  All of it lives in the
# namespace of this process and ends with it.

use strict;
use warnings;

use Delta::Netns needs => 'ip', try => 'ip link add one type veth '
    . 'peer name two && nsenter -t $$ -n true';

use Delta;
use Delta::Presence;
use Scalar::Util ();
use Time::HiRes qw(time);

my $window = 8;                         # ttl and resume

my $t = Delta->new;
my $redis = $t->start_redis('--bind', '0.0.0.0', '--protected-mode', 'no');

$t->redis('SADD', "user:$_:follows", qw(ada cleo dan fay gil hal))
    for 'ben', 'cleo';

my %at = (a => start_host(1), b => start_host(2));

my $judge = Delta::Presence->new($redis);

my (%ws, @told);

everybody();
short_cut();
long_cut();
link_is_back();
killed_without_link();

done_testing();


# A host: its namespace is that of a process that sleeps.  10.77.<2n>.2 is its
# side of the link to Redis, 10.77.<2n+1>.2 where clients reach it.

sub start_host {
    my ($n) = @_;

    my $name = "nginx$n";
    my $pid = $t->spawn("host$n", 'host.log', 'unshare', '-n', $^X,
                       '-e', '$SIG{TERM} = sub { exit 0 }; sleep 600');

    wait_for(sub { (readlink "/proc/$pid/ns/net" // '')
                   ne readlink '/proc/self/ns/net' }) or die "no namespace";
    ip($pid, 'link set lo up');
    veth($pid, "redis$n", 2 * $n);
    veth($pid, "web$n", 2 * $n + 1);

    my $nginx = $t->file("in$n", "#!/bin/sh\n"
                         . "exec nsenter -t $pid -n $Delta::NGINX \"\$@\"\n");
    chmod 0755, $nginx;
    local $Delta::NGINX = $nginx;

    my $host = '10.77.' . (2 * $n + 1) . '.2';
    my $conf = $t->conf(
        http => "delta_redis redis://10.77.@{[ 2 * $n ]}.1:$redis
                     connect_timeout=200ms read_timeout=1s;
                 delta_jwt_key_file jwks.json;",
        server => 'delta_jwt optional;
            delta_presence ttl=2s refresh=1s;
            delta_resume 6s;
            delta_heartbeat 2s missed=3;
            location = /gateway {
                delta_gateway;
                delta_subscribe presence:* from=user:$delta_user:follows;
            }
            location = /metrics { delta_metrics; }');

    $conf =~ s/127\.0\.0\.1:%%PORT%%/$host:8080/;
    $t->start_nginx($conf, name => $name);

    return { n => $n, host => $host, name => $name };
}


sub ip {
    my ($pid, $command) = @_;

    system('nsenter', '-t', $pid, '-n', 'ip', split / /, $command) == 0
        or die "ip $command";
}


sub veth {
    my ($pid, $name, $net) = @_;

    ip($$, "link add $name type veth peer name $name netns $pid");
    ip($$, "addr add 10.77.$net.1/30 dev $name");
    ip($$, "link set $name up");
    ip($pid, "addr add 10.77.$net.2/30 dev $name");
    ip($pid, "link set $name up");
}


sub cut {
    my ($host) = @_;

    ip($$, "link set redis$host->{n} down");
    ok(meanwhile(sub { up($host) == 0 }, 15), 'the host has lost Redis');
}


sub mend {
    my ($host) = @_;

    ip($$, "link set redis$host->{n} up");
    ok(meanwhile(sub { up($host) == 1 }, 15), 'the host has Redis again');
}


sub up {
    my ($host) = @_;

    my ($up) = $t->http('GET', '/metrics', host => $host->{host}, port => 8080)
        ->{body} =~ /^delta_redis_up (\d+)/m;

    return $up;
}


# A session: {resumed}, or not.

sub client {
    my ($user, $host, $token) = @_;

    my $ws = $t->ws('/gateway' . ($token ? "?resume=$token" : ''),
                    token => $t->token($user), host => $host->{host},
                    port => 8080) or return;
    my $ready = $ws->read_until('ready') or return $ws;

    $ws->{id} = $ready->{d}{session_id};
    $ws->{token} = $ready->{d}{resume_token};
    $ws->read_until('presence_sync');
    $ws->{resumed} = grep { $_->{t} eq 'resumed' } @{ $ws->{skipped} };

    return $ws;
}


# As wait_for, with clients that are heard meanwhile.

sub meanwhile {
    return Delta::Presence::meanwhile(sub { values %ws }, @_);
}


# What Redis has told since the last time, "user status" each.

sub told {
    push @told, $judge->news;

    return @told;
}


# Exactly these, and a friend on the other host has them too.

sub these {
    my ($name, $expected, $timeout) = @_;

    meanwhile(sub { told() >= @$expected }, $timeout);
    is(join(', ', sort @told), join(', ', sort @$expected), $name);
    is(join(', ', sort(seen($ws{ben}))), join(', ', sort @told),
       'and that is what a friend on the other host sees');
    @told = ();
}


# And for so long nobody is told anything else.

sub nothing {
    my ($name, $seconds) = @_;

    my $end = time + ($seconds || 0);

    meanwhile(sub { told() && 0 || time >= $end }, 10 + ($seconds || 0));
    these($name, []);
}


# What the client was told of presence until now.

sub seen {
    my ($ws) = @_;

    $ws->{skipped} = [];
    $ws->send_json({ t => 'heartbeat' });
    ok($ws->read_until('heartbeat_ack'), 'a friend is connected');

    return map { "$_->{d}{id} $_->{d}{s}" }
        grep { $_->{t} eq 'presence_update' } @{ $ws->{skipped} };
}


sub leases {
    my ($user) = @_;

    return scalar grep { /^s:/ }
        @{ $t->redis('HKEYS', "delta:{presence:$user}") };
}


sub everybody {
    $ws{ben} = client('ben', $at{b});

    for my $user (qw(ada cleo dan fay gil)) {
        $ws{$user} = client($user, $at{a});
    }

    $ws{hal} = client('hal', $at{b});
    @told = grep { !/^ben/ } told();
    these('all come, to both hosts',
          [ map { "$_ online" } qw(ada cleo dan fay gil hal) ]);
}


# Clients go to the other host; one leaves a connection behind that is alive.

sub short_cut {
    cut($at{a});

    $ws{ada}->disconnect;
    $ws{ada} = client('ada', $at{b}, $ws{ada}{token});
    ok($ws{ada}{resumed}, 'row 4.8: a session goes on on the other host');

    my $old = $ws{old} = $ws{fay};
    $ws{fay} = client('fay', $at{b}, $old->{token});
    ok($ws{fay}{resumed}, 'also while its old connection is alive');

    mend($at{a});
    is(($old->read_close)[0], 4502,
       'which is closed when its host has Redis again');
    delete $ws{old};
    is_deeply([ map { leases($_) } 'ada', 'fay' ], [ 1, 1 ],
              'each has one session');

    nothing('nobody is told anything, nor when the window has passed',
            $window + 1);
    ok(!$_->{eof}, 'who stayed is connected') for @ws{qw(cleo dan gil)};
}


sub long_cut {
    my $start = time;

    seen($ws{cleo});
    cut($at{a});

    my $answer = $t->http('GET', '/gateway', host => $at{a}{host}, port => 8080,
                          token => $t->token('ada'),
                          headers => [ Accept => 'text/event-stream' ]);
    is($answer->status, 503, 'the host takes nobody');
    cmp_ok($answer->header('Retry-After') // 0, '>', 0, 'and says when to try');

    $ws{dan}->disconnect;               # and the host can tell nobody
    $ws{hal}->send_json({ t => 'status', d => { status => 'busy' } });

    these('row 4.1: who is on that host is offline for friends, once each',
          [ 'hal busy', map { "$_ offline" } qw(cleo dan gil) ], 20);
    cmp_ok(time - $start, '<', 3 * $window * $Delta::SLOW,
           'after ttl and resume, and a sweep');

    # one comes too late
    $ws{gil}->disconnect;
    $ws{gil} = client('gil', $at{b}, $ws{gil}{token});
    ok(!$ws{gil}{resumed}, 'a token of before is too old');
    these('but its user is there, once', ['gil online']);
}


sub link_is_back {
    mend($at{a});
    these('who stayed is online again, once', ['cleo online'], 15);
    is(join(', ', sort grep { !/^cleo/ } seen($ws{cleo})),
       'dan offline, hal busy',
       'and is told what is not as it was, once each');

    nothing('nobody is told of twice, and nobody is a ghost', $window + 1);
    is_deeply([ map { leases($_) } qw(cleo dan gil) ], [ 1, 0, 1 ],
              'one session each of those who are there');
    is($t->redis('ZSCORE', 'delta:leases', 'dan'), undef,
       'and who is gone is not looked for');
}


# The host dies while it is cut off: nobody could tell less.

sub killed_without_link {
    $ws{gil}->disconnect;
    $ws{gil} = client('gil', $at{a}, $ws{gil}{token});
    ok($ws{gil}{resumed}, 'and may go back');
    nothing('without being seen to');

    cut($at{a});
    my @pids = ($t->pid('nginx1'), $t->workers('nginx1'));
    kill 'KILL', $_ for @pids;
    ok(wait_for(sub { !$t->alive('nginx1') }), 'the host is killed');

    $ws{gil} = client('gil', $at{b}, $ws{gil}{token});
    ok($ws{gil}{resumed}, 'one goes on');
    delete $ws{cleo};
    these('the other is offline, once', ['cleo offline'], 20);
    nothing('and that is all', 2);
}
