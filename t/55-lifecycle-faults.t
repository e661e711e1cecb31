#!/usr/bin/perl

# Copyright (C) Delta contributors

# The same where things go wrong: a request pins the old worker, Redis is away
# while nginx reloads, a worker is killed.

use Delta;
use Delta::Follower;
use IO::Socket::INET;
use Time::HiRes qw(time);

my $t = Delta->new;
my @channels = qw(user:ada user:eve);
my @durable = ('--appendonly', 'yes', '--appendfsync', 'always');

my $slow = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16,
                                 LocalPort => $t->port(5), ReuseAddr => 1)
    or die "listen: $!";

$t->start_redis(@durable);
$t->redis('SADD', 'user:ben:follows', 'ada', 'eve');

$t->start_nginx(conf('1s'));

my @all = map { (follower('ws'), follower('sse')) } 1 .. 3;

ok(watch(sub { sessions() }), 'sessions on both transports');

my $publisher = Delta::Publisher->start($t, @channels);


my $epoch = $t->redis('HGET', 'delta:epoch', 'v');


# A slow request of somebody else keeps the old worker.  A Redis that comes back
# while nobody who knew it is there cannot be told from another one.

for my $redis ('works', 'is stopped', 'is killed') {
    my ($worker) = $t->workers;
    my ($client, $upstream) = pin();
    my $pid = $t->pid('redis');

    forget();
    watch(sub { progress() > 1 });
    my $had = progress();

    kill 'STOP', $pid if $redis eq 'is stopped';
    $t->stop_redis('KILL') if $redis eq 'is killed';

    ok($t->reload, "Redis $redis: reload");

    ok(watch(sub { !grep { !@{ $_->{closes} } } @all }),
       'all sessions are closed');
    is(join(' ', map { $_->{closes}[0] } @all), join(' ', (4001) x @all),
       'by 4001');
    is(scalar(grep { !@{ $_->{after} } } @all), 0, 'having been told');

    if ($redis eq 'works') {
        ok(watch(sub { sessions() && progress() > $had + 10 }),
           'they are back and get events');
        ok(wait_for(sub {
            my $count = { @{ $t->redis('PUBSUB', 'NUMSUB', @channels) } };
            return !grep { $count->{$_} != 1 } @channels;
        }), 'the old worker no longer listens to their channels');
    }

    ok(running($worker), 'the old worker is still there');
    answer($client, $upstream);
    ok(wait_for(sub { !running($worker) }), 'and ends with its last request');

    kill 'CONT', $pid if $redis eq 'is stopped';
    $t->start_redis if $redis eq 'is killed';

    ok(watch(sub { sessions() && progress() > $had + 10 }),
       'all are back and get events');

    if ($redis eq 'is killed') {
        my @wrong = grep { !/resync epoch_changed/ }
            Delta::Follower->wrong(@all);
        is("@wrong", '', 'or are told to fetch anew');
        next;
    }

    nothing_wrong("Redis $redis");
}

ok(watch(sub {
    my $now = $t->redis('HGET', 'delta:epoch', 'v');
    return $now != $epoch && !grep { $_->{cursor} !~ /^$now\./ } @all;
}), 'the epoch is another one then');
Delta::Follower->wrong(@all);


# The link is cut after "reconnect" was said: made anew for those who are left.

$t->reload(conf('20s'));
forget();
ok(watch(sub { !grep { !@{ $_->{closes} } } @all }) &&
   watch(sub { sessions() }), 'a longer drain');

my ($worker) = $t->workers;

forget();
$_->{stay} = 1 for @all;
kill 'HUP', $t->pid('nginx');
ok(watch(sub { !grep { !@{ $_->{after} } } @all }), 'all are told');

$t->redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
$_->{parting} = 0 for @all;

my @left = grep { $_->{after}[0] > 8000 } @all;
ok(watch(sub { !grep { $_->{client} && $_->{parting} < 20 } @left }, 8),
   'a draining worker whose link was cut goes on delivering')
   or diag("only @{[ map { $_->{parting} } @left ]}");

$_->leave for @all;
ok(wait_for(sub { !running($worker) }), 'and ends when all have left');
$_->{stay} = 0 for @all;
$t->reload(conf('1s'));
ok(watch(sub { sessions() }), 'all are back');
nothing_wrong('a cut link');


# A request that waits for Redis when the worker is told to leave: an answer.

$_->{stay} = 1, $_->leave for @all;
($worker) = $t->workers;
ok(wait_for(sub { !{ metrics() }->{'delta_sessions{transport="ws"}'} }),
   'a worker without sessions');
kill 'STOP', $t->pid('redis');

my $waiting = IO::Socket::INET->new('127.0.0.1:' . $t->port) or die $!;

print $waiting "GET /in HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n"
    . 'Authorization: Bearer ' . $t->token('ben') . "\r\n\r\n";

# whoever asks behind it is answered behind it
is($t->http(GET => '/ok')->body, 'ok', 'the worker has read it');
kill 'HUP', $t->pid('nginx');

my $answer = '';
ok(wait_for(sub {
    sysread $waiting, $answer, 4096, length $answer
        if IO::Select->new($waiting)->can_read(0.05);
    return $answer =~ /\r\n/;
}), 'it is answered');
like($answer, qr{^HTTP/1\.1 503 }, 'by 503');
close $waiting;

kill 'CONT', $t->pid('redis');
$_->{stay} = 0 for @all;
ok(watch(sub { !running($worker) && sessions() }), 'the worker ends');
nothing_wrong('a waiting request');


# kill -9: another worker takes over, the counters go on.

$t->allow(qr/exited on signal 9/);
forget();
kill 'QUIT', $t->pid('nginx');
watch(sub { !$t->alive('nginx') });
$t->start_nginx(conf('1s'), workers => 2);
ok(watch(sub { !grep { !@{ $_->{closes} } } @all }) &&
   watch(sub { sessions() }), 'two workers');
forget();

my %was = metrics();
my @back;

for my $victim ($t->workers) {
    my $had = progress();

    kill 'KILL', $victim;
    ok(watch(sub { scrape(); !grep { $_ == $victim } $t->workers }),
       'a worker is killed');
    ok(watch(sub { scrape(); $t->workers == 2 }), 'the master starts another');
    ok(watch(sub { scrape(); sessions() && progress() > $had + 10 }),
       'row 1.5: its clients are back');
}

is(scalar(grep { !@{ $_->{closes} } } @all), 0, 'each was cut off');
is(scalar(grep { $_ != 1006 } map { @{ $_->{closes} } } @all), 0,
   'without a word');
is("@back", '', 'no counter ever went back');

my $n = $publisher->stop;
ok(watch(sub { !grep { !$_->has($n, @channels) } @all }),
   "all of $n events came, on each channel");
nothing_wrong('kill -9');

my %now = metrics();
is($now{'delta_sessions{transport="ws"}'}, 3, 'the gauges say who is there');
is($now{'delta_sessions{transport="sse"}'}, 3, 'on both transports');
cmp_ok($now{delta_sessions_opened_total} - $was{delta_sessions_opened_total},
       '==', sum(map { scalar @{ $_->{closes} } } @all),
       'every session was counted, those of the dead as well');

$_->{stay} = 1, $_->leave for @all;

ok(wait_for(sub {
    my %now = metrics();
    return !grep { $now{$_} } 'delta_channels', grep { /^delta_sessions\{/ }
                                                     keys %now;
}), 'nothing is left over when they have gone');
is_deeply([ grep { !/^delta/ } @{ $t->redis('PUBSUB', 'CHANNELS') } ], [],
          'in Redis, too');

done_testing;


sub conf {
    my ($drain) = @_;

    return $t->conf(
        http => "delta_redis %%REDIS%% read_timeout=1s;
                 delta_jwt_key_file jwks.json;
                 delta_channel user:* replay=20000;
                 delta_drain $drain;",
        server => 'location = /gateway {
            delta_gateway;
            delta_jwt;
            delta_subscribe user:* from=user:$delta_user:follows;
            delta_limit connections=100;
        }
        location = /in {
            delta_gateway;
            delta_jwt;
            delta_subscribe world:one in=user:$delta_user:worlds;
        }
        location = /slow { proxy_pass http://127.0.0.1:%%PORT_5%%; }
        location = /ok { return 200 ok; }
        location = /metrics { delta_metrics; }');
}


sub follower {
    my ($kind) = @_;

    return Delta::Follower->new($t, $kind => '/gateway',
                                token => $t->token('ben'));
}


sub watch {
    my ($condition, $timeout) = @_;

    return Delta::Follower->until($condition, $timeout, @all);
}


sub sessions {
    return !grep { !$_->{client} || !$_->{ready} } @all;
}


# What the last of them has of the first channel.

sub progress {
    my ($least) = sort { $a <=> $b } map { $_->{next}{'user:ada'} // 0 } @all;

    return $least;
}


sub forget {
    $_->{closes} = [], $_->{after} = [] for @all;
}


sub nothing_wrong {
    my ($what) = @_;

    my @wrong = Delta::Follower->wrong(@all);

    is(scalar @wrong, 0, "$what: nothing lost, no order broken, no resync")
        or diag(map { "$_\n" } @wrong > 20 ? @wrong[0 .. 19] : @wrong);
}


# A request that waits for its upstream, in the worker of now.

sub pin {
    my $client = IO::Socket::INET->new('127.0.0.1:' . $t->port) or die $!;

    print $client "GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

    my $upstream = $slow->accept or die $!;

    return ($client, $upstream);
}


sub answer {
    my ($client, $upstream) = @_;

    print $upstream "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate";
    close $upstream;

    my $text = do { local $/; <$client> };

    like($text, qr/^HTTP\/1\.1 200 .*late$/s, 'the slow request is served');
}


sub metrics {
    my $body = $t->http(GET => '/metrics')->body;

    return $body =~ /^(delta_\S+) (\d+)$/mg;
}


# Notes each counter that is lower than before.

my %seen;

sub scrape {
    my %now = metrics();

    for my $name (grep { /_total/ } keys %now) {
        push @back, $name if $now{$name} < ($seen{$name} // 0);
        $seen{$name} = $now{$name};
    }

    return;
}


sub sum {
    my $sum = 0;

    $sum += $_ for @_;

    return $sum;
}


sub running {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/stat" or return 0;

    return (<$fh> // '') !~ /^\d+ \(.*\) Z/;
}
