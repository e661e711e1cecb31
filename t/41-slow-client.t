#!/usr/bin/perl

# Copyright (C) Delta contributors

# WebSocket clients that do not read, do not answer or vanish: bounded, told
# so and let go, while the others get everything.

use Delta;
use Socket qw(SOL_SOCKET SO_LINGER);

my $t = Delta->new;

$t->start_redis;

system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost'
       . " -keyout $t->{dir}/key.pem -out $t->{dir}/cert.pem"
       . ' >/dev/null 2>&1') == 0 or die 'openssl';

my $server = <<'END';
    delta_user $arg_user;
    delta_subscribe user:$delta_user;
    delta_subscribe room:one;

    location = /gateway { delta_gateway; }
    location = /bytes {
        delta_gateway; delta_queue bytes=100k events=100000 age=2s;
    }
    location = /events {
        delta_gateway; delta_queue bytes=100m events=30 age=2s;
    }
    location = /age {
        delta_gateway; delta_queue bytes=100m events=100000 age=1s;
    }
    location = /metrics { delta_metrics; }
END

# what a client does not read must soon be the gateway's to keep
$t->start_nginx($t->conf(http => <<'END', server => <<"END"));
delta_redis %%REDIS%%;
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
    listen 127.0.0.1:%%PORT_2%% ssl sndbuf=16k;
$server
END

my $F = 'Delta::Client::WS';
our %tls;
my @never;

my $mute = unanswered();

vanish();
flood();
slow();
never();
gone();

done_testing;


sub client {
    my ($path, %opt) = @_;

    my $ws = $t->ws("$path?user=ben", %tls, %opt);
    $ws->read_until('ready') or die 'no ready';

    return $ws;
}


# The gateway's close, and a client that does not answer it.

sub unanswered {
    my $ws = client('/gateway');

    $ws->{mute} = 1;
    $t->redis('PUBLISH', 'user:ben:control',
              json_encode({ t => 'disconnect', d => {} }));
    is(($ws->read_close)[0], 4501, 'a close that nobody answers');

    return $ws;
}


sub vanish {
    my $open = metric('sessions{transport="ws"}');
    my $closed = metric('sessions_closed_total{by="client"}');
    my @ws = map { client('/gateway') } 1 .. 4;

    $ws[0]->send_raw(substr $F->frame(1, '{"t":"heartbeat"}'), 0, 9);
    $ws[1]->send_raw($F->frame(1, '{', fin => 0));
    setsockopt $ws[2]->{socket}, SOL_SOCKET, SO_LINGER,
        pack 'II', 1, 0;
    is(metric('sessions{transport="ws"}'), $open + 4, 'sessions are counted');
    $_->disconnect for @ws;

    ok(wait_for(sub { metric('sessions{transport="ws"}') == $open }),
       'who vanishes, within a frame or by a reset, is noticed');
    is(metric('sessions_closed_total{by="client"}'), $closed + 4,
       'and is said to have left');
}


sub flood {
    for my $port (0, 2) {
        local %tls = (port => $t->port($port), $port ? (ssl => 1) : ());

        my $ws = client('/bytes');
        my $pings = $F->frame(9, 'p' x 100) x 500;
        my $before = memory();

        for (1 .. 200) {
            $ws->send_raw($pings) or last;
        }

        my $grown = memory() - $before;

        cmp_ok($grown, '<', ($Delta::ASAN ? 65536 : 2048),
               "10 MB of pings to port $port by who does not read: $grown KB");

        my ($pongs, $frame) = 0;
        $pongs++ while ($frame = $ws->read_frame) && $frame->{opcode} == 10;
        is(unpack('n', $frame->{payload} // ''), 4003,
           "who is closed by 4003 behind $pongs pongs");
        cmp_ok($pongs, '<', 100000, 'and had not got them all');
    }
}


# Of two clients of one channel one never reads.

sub slow {
    my $reader = client('/gateway');
    my %n = (bytes => 4000, events => 4000, age => 120);

    for my $port (1, 2) {
        for my $why (sort keys %n) {
            local %tls = (port => $t->port($port),
                          $port == 2 ? (ssl => 1) : ());
            my $slow = client("/$why");
            my $fine = client("/$why");
            my $name = "$why, port $port";
            my $count = metric('sessions_closed_total{by="slow"}');
            my ($sent, $missed) = (0, 0);

            # a goodbye is waited for, but not for long: who has been closed is
            # to be read at once
            my $step = $why eq 'age' ? 1 : 5;

            while ($sent < $n{$why}
                   && ($sent % $step
                       || metric('sessions_closed_total{by="slow"}') == $count))
            {
                $t->publish('room:one', { t => 'x',
                    d => { n => ++$sent, pad => 'x' x 9000 } });

                for my $ws ($reader, $fine) {
                    my $event = $ws->read_json;
                    $missed++ if !$event || $event->{d}{n} != $sent;
                }
            }

            ok(wait_for(sub { metric('sessions_closed_total{by="slow"}')
                              == $count + 1 }),
               "$name: who never reads is closed after $sent events");
            is($missed, 0, 'row 3.5: the others got everything');

            my ($n, $wrong) = (0, 0);
            $slow->{mute} = 1;

            while (my $event = $slow->read_json) {
                $wrong++ if $event->{d}{n} != ++$n;
            }

            is_deeply([ $slow->read_close ],
                      [ 4003, 'The connection is too slow.' ],
                      "$name: 4003, whole, behind $n events");
            is($wrong, 0, 'a prefix without a gap');
            cmp_ok($n, '<', $sent, 'the rest was dropped');
            $_->disconnect for $slow, $fine;
        }
    }

    $reader->close(1000);
}


# One that does not even read its close, plain and encrypted.

sub never {
    my $reader = client('/gateway');
    my $count = metric('sessions_closed_total{by="slow"}');

    for my $port (1, 2) {
        local %tls = (port => $t->port($port), $port == 2 ? (ssl => 1) : ());
        push @never, client('/events');
    }

    wait_for(sub {
        $t->publish('room:one', { t => 'x', d => { pad => 'x' x 50000 } });
        $reader->read_json;
        return metric('sessions_closed_total{by="slow"}') == $count + 2;
    });

    $reader->close(1000);
}


sub gone {
    ok(wait_for(sub { metric('sessions{transport="ws"}') == 0 }),
       'who does not answer or read a close is let go');
    ok($mute->closed, 'its connection ends');
}


sub metric {
    my ($name) = @_;

    my ($n) = $t->http(GET => '/metrics')->body =~ /^delta_\Q$name\E (\d+)/m;

    return $n;
}


# Private memory of the worker, in KB.

sub memory {
    my ($pid) = $t->workers;
    my $sum = 0;

    open my $fh, '<', "/proc/$pid/smaps_rollup" or die "smaps: $!";
    /^Private_\w+:\s+(\d+)/ and $sum += $1 while <$fh>;

    return $sum;
}
