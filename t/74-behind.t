#!/usr/bin/perl

# Copyright (C) Delta contributors

# Clients that are too slow: they fall behind, in bounded memory, and when they
# read again they are caught up in order, or told what cannot be.

use Delta;
use Delta::Proxy;
use IO::Select;
use POSIX ();

my $t = Delta->new;

$t->start_redis;

system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost'
       . " -keyout $t->{dir}/key.pem -out $t->{dir}/cert.pem"
       . ' >/dev/null 2>&1') == 0 or die 'openssl';

my $proxy = Delta::Proxy->start($t, 'proxy', $t->{redis_port}, undef,
                                qr/SUBSCRIBE\r\n\$\d+\r\nroom:held/);

my $server = <<'END';
    delta_user $arg_user;
    delta_subscribe room:one;
    delta_subscribe room:two;

    location = /gateway {
        delta_gateway;
        delta_subscribe room:one;
        delta_subscribe room:two;
        delta_subscribe user:$delta_user:* from=user:$delta_user:own;
        delta_queue bytes=200k events=500 age=1m;
        delta_limit connections=100;
        delta_drain 1s;
    }
    location = /wide {
        delta_gateway;
        delta_queue bytes=10m events=10000;
    }
    location = /small {
        delta_gateway;
        delta_subscribe room:one;
        delta_subscribe room:$arg_room;
        delta_queue bytes=1m events=12 age=1m;
        delta_limit connections=100;
    }
    location = /metrics { delta_metrics; }
END

$t->start_nginx($t->conf(http => <<'END', server => <<"END"));
delta_redis %%REDIS%% read_timeout=20s;
delta_channel room:* replay=5000;
delta_channel user:*:few replay=20;
delta_channel user:* replay=5000;
ssl_certificate cert.pem;
ssl_certificate_key key.pem;
END
$server
}

server {
    listen 127.0.0.1:%%PORT_1%% sndbuf=16k;
$server
}

server {
    listen 127.0.0.1:%%PORT_3%%;
    delta_redis redis://127.0.0.1:$proxy->{port} read_timeout=20s;
$server
}

server {
    listen 127.0.0.1:%%PORT_2%% ssl http2 sndbuf=16k;
$server
END

my $users = 0;
my $n = 0;
my %transport = (
    ws => sub { $t->ws(@_, port => $t->port(1)) },
    wss => sub { $t->ws(@_, port => $t->port(2), ssl => 1) },
    sse => sub { $t->sse(@_, port => $t->port(1)) },
    sses => sub { $t->sse(@_, port => $t->port(2), ssl => 1) },
    h2 => \&h2,
);

caught_up($_) for sort keys %transport;
other_events();
second_time();
revoked();
link_lost();
reloaded();
memory();
overflow();
attaching();

done_testing;


# A client that has stopped reading, and what was published until it fell.

sub behind {
    my ($how, $channel, $set) = @_;

    my $user = 'u' . ++$users;
    $t->redis('SADD', "user:$user:own", ref $set ? @$set : $set) if $set;
    $channel =~ s/%u/$user/;

    my $client = $transport{$how}->("/gateway?user=$user");
    ready($client);

    my $first = $n + 1;
    my $before = metric('fell_behind_total');
    my @ids;

    while (metric('fell_behind_total') == $before && $n - $first < 3000) {
        push @ids, publish($channel) for 1 .. 20;
    }

    return ($client, $first, \@ids, $user);
}


# In order and whole; patches of one entity come folded, so that the state is
# the sum of what came.

sub caught_up {
    my ($how) = @_;

    my ($client, $first, $ids) = behind($how, 'room:one');
    my $to = publish('room:two', 'x');
    push @$ids, publish('room:one') for 1 .. 30;
    my $last = $n;

    kill 'CONT', $client->{curl} if $client->{curl};

    my (%state, @order, @resync);
    my $got = 0;

    while (my $event = $client->read_json) {
        push @resync, $event->{d} if $event->{t} eq 'resync';
        next unless $event->{t} =~ /^(?:patch|x)$/;
        $got++;
        push @order, $event if $event->{c} eq 'room:one';
        $state{$_} = 1 for $event->{t} eq 'x' ? $event->{d}{n}
                                              : numbers($event);
        last if $state{$last} && keys %state == $last - $first + 1;
    }

    is(scalar @resync, 0, "$how: no resync") or diag(json_encode(\@resync));
    is(join(' ', sort { $a <=> $b } keys %state), join(' ', $first .. $last),
       "$how: all that was published has come");
    cmp_ok($got, '<', $last - $first + 1, "$how: some of it folded: $got");

    my @ids = map { $_->{id} } grep { defined $_->{id} } @order;
    my @sorted = sort { above($a, $b) } @ids;
    is("@ids", "@sorted", "$how: in the order of their ids");

    publish('room:one');
    my $live = $client->read_until(sub { ($_[0]{t} // '') eq 'patch' });
    is(join(' ', numbers($live)), $n, "$how: then what is live");

    # every place the client had is one to resume from
    my %have;
    my $wrong = 0;
    my @steps = @order;
    my $step = int(@steps / 6) || 1;

    for my $i (0 .. $#steps) {
        $have{$_} = 1 for numbers($steps[$i]);
        next if $i % $step && $i != $#steps || !defined $steps[$i]{id};

        my $again = $t->ws("/wide?user=again&at="
                           . "room:one%3D$steps[$i]{id}");
        ready($again);
        my %sum = %have;

        while (my $event = $again->read_json) {
            last if $event->{t} eq 'resync';
            $sum{$_} = 1 for numbers($event);
            last if $sum{$n};
        }

        # room:two has one of the numbers
        $wrong++ if keys %sum < $n - $first;
        $again->disconnect;
    }

    is($wrong, 0, "$how: resuming from any id lacks nothing");

    # the end of curl is waited for
    kill 'TERM', $client->{curl} if $client->{curl};
    $client->disconnect;
}


# What is in no log, and what is more than replay=.

sub other_events {
    my ($ws, $ids, $user, %resync, %x);

    # a client that takes more than was thought is not behind any more
    for (1 .. 5) {
        ($ws, undef, $ids, $user) = behind('ws', 'room:one', 'few');
        %resync = %x = ();

        $t->redis('PUBLISH', 'room:two', '{"t":"typing","d":{}}');
        publish("user:$user:few", 'x') for 1 .. 21;
        publish('room:two', 'x');

        while (my $event = $ws->read_json) {
            $resync{ $event->{d}{channel} } = $event->{d}
                if $event->{t} eq 'resync';
            $x{ $event->{c} }++ if $event->{t} eq 'x';
            last if $x{'room:two'}
                    && (keys %resync == 2
                        || ($x{"user:$user:few"} // 0) == 21);
        }

        last if keys %resync == 2;
        $ws->disconnect;
    }

    is($resync{'room:two'}{reason}, 'slow',
       'an event of no log was dropped: resync');
    is($resync{"user:$user:few"}{reason}, 'too_many',
       'more than replay= were: resync');
    is($x{"user:$user:few"}, undef, 'and none of them');
    is($x{'room:two'}, 1, 'but what is in the log comes');

    my $cursor = $resync{'room:two'}{cursor};

    if (ok($cursor, 'the resync has a cursor')) {
        my $ms = (split /\./, $cursor)[1];
        cmp_ok($ms, '<', (split /-/, $ids->[-1])[0],
               'which does not promise what was dropped');
    }

    $ws->disconnect;
}


sub second_time {
    my ($ws, $first) = behind('ws', 'room:one');
    my $last = $n;

    $ws->read_until(sub { ($_[0]{d}{diff} || {})->{$last} });
    my $closed = metric('sessions_closed_total{by="slow"}');

    for (1 .. 100) {
        publish('room:one') for 1 .. 20;
        last if metric('sessions_closed_total{by="slow"}') > $closed;
    }

    $ws->{mute} = 1;
    is(($ws->read_close)[0], 4003, 'the second time within a minute: 4003');
    $ws->disconnect;
}


sub revoked {
    my ($ws, $first, $ids, $user) = behind('ws', 'user:%u:a', [ 'a', 'b' ]);

    publish("user:$user:b", 'x') for 1 .. 3;
    my $before = metric('membership_changes_total{kind="revoke"}');
    $t->redis('SREM', "user:$user:own", 'a');
    $t->publish("user:$user:control", { t => 'revoke',
        d => { channel => "user:$user:a" } });
    wait_for(sub { metric('membership_changes_total{kind="revoke"}')
                   > $before });
    publish("user:$user:a") for 1 .. 3;
    publish("user:$user:b", 'x');
    my $last = $n;

    my ($told, $after, %b);

    while (my $event = $ws->read_json) {
        $told = 1 if $event->{t} eq 'unsubscribed';
        $after++ if $told && ($event->{c} // '') eq "user:$user:a";
        $b{ $event->{d}{n} } = 1 if $event->{t} eq 'x';
        last if $b{$last};
    }

    ok($told, 'a revoke while behind is told');
    is($after, undef, 'and nothing of that channel comes later');
    is(scalar keys %b, 4, 'but all of the others');
    $ws->disconnect;
}


# The link is cut while behind, and while the log is read.

sub link_lost {
    for my $when ('behind', 'catching up') {
        my ($ws, $first) = behind('ws', 'room:one');

        if ($when eq 'catching up') {
            # long enough behind that the reading meets the cut
            $t->redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
            drain($ws, 100);
            $t->redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

        } else {
            $t->redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        }

        publish('room:one') for 1 .. 10;
        is(lacking($ws, $first), '', "link lost while $when: nothing is lost");
        $ws->disconnect;
    }

    # one that resumes: ready first, each resync behind it
    for my $kind ('pubsub', 'normal') {
        my $at = publish('room:one');
        my $first = $n + 1;

        # what is still on its way counts twice: as live, and as missed
        publish('room:one') for 1 .. 20;

        # without its links the gateway takes nobody
        my $there = $t->ws('/gateway?user=there');
        ready($there);
        $there->disconnect;

        kill 'STOP', $t->pid('redis');
        my @ws = map { $t->ws("/gateway?user=back$_&at=room:one%3D$at") }
            1 .. 5;
        kill 'CONT', $t->pid('redis');
        $t->redis('CLIENT', 'KILL', 'TYPE', $kind, 'SKIPME', 'yes');

        my $wrong = 0;
        for my $ws (@ws) {
            $wrong++ if $ws->read_json->{t} ne 'ready';
            my $lacks = lacking($ws, $first);
            $wrong++, diag("lacking: $lacks") if $lacks ne '';
            $ws->disconnect;
        }
        is($wrong, 0, "$kind link lost within replays: ready, then all of it");
    }
}


sub reloaded {
    my ($ws, $first) = behind('ws', 'room:one');

    ok($t->reload, 'a reload');
    publish('room:one') for 1 .. 10;
    is(lacking($ws, $first), '', 'while behind: the old worker catches up');
    $ws->{mute} = 1;
    is(($ws->read_close)[0], 4001, 'and says goodbye');
    $ws->disconnect;
}


# Clients that never read; what they take is theirs alone.

sub memory {
    my @old = $t->workers;
    wait_for(sub { $t->workers == 1 });

    my $reader = $t->ws('/gateway?user=reader');
    ready($reader);
    my $feed = sub {
        for (1 .. 200) {
            publish('room:one', 'x');
            $reader->read_until('x');
        }
    };

    $feed->();                          # what the channel remembers
    my @never = map { $t->ws("/gateway?user=n$_", port => $t->port(1)) }
        1 .. 30;
    ready($_) for @never;

    my $before = memory_kb();
    $feed->();
    wait_for(sub { metric('fell_behind_total') >= 30 });
    $feed->() for 1 .. 5;
    my $grown = memory_kb() - $before;

    # 300 KB each, of events that all share, and some for the sessions
    cmp_ok($grown, '<', $Delta::ASAN ? 120_000 : 6_000,
           "30 clients that never read 7 MB: $grown KB");
    $_->disconnect for @never, $reader;
}


# More comes while a session waits for one channel than its queue takes, and
# what it missed before is still to be read.

sub overflow {
    # a cursor that is read from behind what came before, and is not folded
    my ($old) = publish('room:one') =~ /^(\d+)/;
    my $later = sub {
        my $cursor = cursor($_[0]) // return;
        return $cursor =~ /\.(\d+)$/ && $1 > $old + 2000 ? $cursor : undef;
    };

    for my $how ('at', 'since') {
        my $other = $t->ws('/wide?user=o', port => $t->port(3));
        ready($other);

        my $at = publish('room:one');
        my $from = $n + 1;
        my $cursor = wait_for(sub { $later->($other) });

        $proxy->mode('hold');
        my $before = metric('sessions{transport="ws"}');
        my $ws = $t->ws("/small?user=o&room=held" . ++$users . '&'
                        . ($how eq 'at' ? "at=room:one%3D$at"
                                        : "since=$cursor"),
                        port => $t->port(3));
        is(metric('sessions{transport="ws"}'), $before + 1,
           "$how=: a session waits for a channel");
        publish('room:one') for 1 .. 50;
        $other->read_until(sub { grep { $_ == $n } numbers($_[0]) });
        $proxy->mode('pass');
        is(lacking($ws, $from), '', 'too much came meanwhile: it catches up');
        publish('room:one');
        is(lacking($ws, $n), '', 'and what is live comes');
        $_->disconnect for $ws, $other;
    }

    my $first = $t->ws('/wide?user=o');
    ready($first);

    # it depends on who is first; either is right
    for my $how (('at', 'since') x 4) {
        my $at = publish('room:one');
        my $from = $n + 1;
        my $cursor = wait_for(sub { cursor($first) });
        publish('room:one') for 1 .. 5;
        $first->read_until(sub { grep { $_ == $n } numbers($_[0]) });

        my $redis = Delta::Redis->new($t->{redis_port});
        kill 'STOP', $t->pid('redis');
        $redis->send('FCALL', 'delta_publish', 1, 'room:one', patch(++$n))
            for 1 .. 50;
        my $ws = $t->ws("/small?user=o&room=" . ++$users . '&'
                        . ($how eq 'at' ? "at=room:one%3D$at"
                                        : "since=$cursor"));
        kill 'CONT', $t->pid('redis');
        $redis->read for 1 .. 50;

        # where the ack came first it is more than the queue holds: resync, or
        # too slow twice
        my $lacking = lacking($ws, $from);
        like($lacking, qr/^(?:resync|closed)?$/,
             "$how=: too much parked before the reading, or behind it");

        publish('room:one');
        like(lacking($ws, $n), qr/^(?:closed)?$/, 'and what is live comes');
        $ws->disconnect;
    }

    # the cursor is of another epoch: all is to be fetched, and live goes on
    my $redis = Delta::Redis->new($t->{redis_port});
    kill 'STOP', $t->pid('redis');
    $redis->send('FCALL', 'delta_publish', 1, 'room:one', patch(++$n))
        for 1 .. 50;
    my $ws = $t->ws('/small?user=o&room=epoch&since=1.1');
    kill 'CONT', $t->pid('redis');
    $redis->read for 1 .. 50;
    is($ws->read_until('resync')->{d}{reason}, 'epoch_changed',
       'another epoch, and too much parked: resync');
    publish('room:one');
    like(lacking($ws, $n), qr/^(?:closed)?$/, 'and what is live comes');
    $_->disconnect for $ws, $first;
}


# The same, as it happens.

sub attaching {
    publish('room:one');

    my ($wrong, $resyncs, $closes) = (0, 0, 0);
    my $count = 30_000;
    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        my $redis = Delta::Redis->new($t->{redis_port});

        for (1 .. $count / 30) {
            $redis->send('FCALL', 'delta_publish', 1, 'room:one',
                         patch(++$n, 20)) for 1 .. 30;
            $redis->read for 1 .. 30;
            select undef, undef, undef, 0.004;
        }

        POSIX::_exit(0);
    }

    for my $i (1 .. 60) {
        my $entry = $t->redis('XREVRANGE', 'delta:{room:one}', '+', '-',
                              'COUNT', 1)->[0];
        my ($at, $first) = ($entry->[0], $entry->[1][3] =~ /"(\d+)":1/);
        $first++;
        my $ws = $t->ws("/small?user=a$i&room=a&at=room:one%3D$at");
        my ($ready, %state) = (0);

        while (1) {
            my $event = $ws->read_json;

            if (!$event) {
                # fell twice in a minute: that is no overflow while attaching
                $closes++ if !$ready;
                last;
            }

            $ready = 1 if $event->{t} eq 'ready';

            if ($event->{t} eq 'resync') {
                $resyncs++;
                last;
            }

            my ($top) = sort { $b <=> $a } numbers($event) or next;
            $state{$_} = 1 for numbers($event);

            # each event continues those before it
            for ($first .. $top) {
                $wrong++, last if !$state{$_};
            }

            last if $wrong || $top > $first + 100;
        }

        $ws->disconnect;
    }

    kill 'TERM', $pid;
    waitpid $pid, 0;
    is($wrong, 0, 'too much while attaching: nothing is skipped');
    is($closes, 0, 'and nobody is closed for it');
    cmp_ok($resyncs, '<', 30, "nor is a resync the way out: $resyncs of 60");
}


# Helpers.

# curl with HTTP/2, its output read as a stream of events.

sub h2 {
    my ($path) = @_;

    my $pid = open(my $out, '-|', 'setpriv', '--pdeathsig', 'TERM', 'curl',
        '-skN', '--http2', '-H', 'Accept: text/event-stream',
        'https://127.0.0.1:' . $t->port(2) . $path) or die $!;

    return bless { socket => $out, in => '', body => '', headers => {},
                   status => 200, timeout => 10 * $Delta::SLOW, curl => $pid },
        'Delta::Client::SSE';
}


sub ready {
    my ($client) = @_;

    $client->read_until('ready') or die 'no ready';
    kill 'STOP', $client->{curl} if $client->{curl};
}


sub patch {
    my ($i, $size) = @_;

    return '{"t":"patch","d":{"entity_type":"e","entity_id":"1","diff":{"' . $i
           . '":1,"pad":"' . 'x' x ($size // 2000) . '"}}}';
}


sub publish {
    my ($channel, $type) = @_;

    $n++;

    return $t->publish($channel, !$type ? patch($n)
        : '{"t":"' . $type . '","d":{"n":' . $n . ',"pad":"' . 'x' x 6000
          . '"}}');
}


# What a patch says but for its padding.

sub numbers {
    my ($event) = @_;

    return grep { $_ ne 'pad' } keys %{ $event->{d}{diff} || {} };
}


# Reads so many events.

sub drain {
    my ($ws, $count) = @_;

    for (1 .. $count) {
        my $event = $ws->read_json(1) or last;
        push @{ $ws->{drained} }, $event;
    }
}


# The numbers of room:one, from first on, that have not come.

sub lacking {
    my ($ws, $first) = @_;

    my %state;
    my @events = @{ $ws->{drained} || [] };

    while (my $event = shift @events || $ws->read_json) {
        return 'resync' if $event->{t} eq 'resync';
        $state{$_} = 1 for numbers($event);
        last if $state{$n};
    }

    return 'closed' if ($ws->{close_code} // 0) == 4003;

    return join ' ', grep { !$state{$_} } $first .. $n;
}


sub cursor {
    my ($ws) = @_;

    $ws->send_json({ t => 'heartbeat' });

    return $ws->read_until('heartbeat_ack')->{d}{cursor};
}


sub above {
    my ($one, $two) = @_;

    my ($x, $i) = split /-/, $one;
    my ($y, $j) = split /-/, $two;

    return $x <=> $y || $i <=> $j;
}


sub metric {
    my ($name) = @_;

    my ($value) = $t->http(GET => '/metrics')->body
        =~ /^delta_\Q$name\E (\d+)/m;

    return $value;
}


sub memory_kb {
    my $sum = 0;

    for my $pid ($t->workers) {
        open my $fh, '<', "/proc/$pid/smaps_rollup" or next;
        /^Private_\w+:\s+(\d+)/ and $sum += $1 while <$fh>;
    }

    return $sum;
}
