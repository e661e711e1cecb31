#!/usr/bin/perl

# Copyright (C) Delta contributors

# Server-Sent Events over HTTP/2.

use Delta;
use IO::Select;
use Time::HiRes qw(time);

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
    location = /slow { delta_gateway; delta_queue bytes=300k age=2s; }
    location = /metrics { delta_metrics; }
END

$t->start_nginx($t->conf(http => <<'END', server => <<"END"));
delta_redis %%REDIS%%;
ssl_certificate cert.pem;
ssl_certificate_key key.pem;
END
$server
}

server {
    listen 127.0.0.1:%%PORT_2%% ssl http2 sndbuf=16k;
$server
END

my $users = 0;

is($t->sse('/gateway?user=up')->status, 200, 'the gateway is up');

http2();
slow();
never();

done_testing;


# curl with HTTP/2: its pid and a reader as above.

sub curl {
    my ($path, $accept) = @_;

    my $user = 'u' . ++$users;
    my $pid = open(my $out, '-|', 'setpriv', '--pdeathsig', 'TERM', 'curl',
        '-skNi', '--http2', '-H',
        'Accept: ' . ($accept || 'text/event-stream'),
        'https://127.0.0.1:' . $t->port(2) . "$path?user=$user") or die $!;

    my $text = '';

    return ($pid, $user, sub {
        my ($want) = @_;

        my $end = time + 30 * $Delta::SLOW;

        while (!defined $want || $text !~ $want) {
            IO::Select->new($out)->can_read($end - time) or return;
            sysread $out, $text, 65536, length $text or last;
        }

        return !defined $want || $text =~ $want ? $text : undef;
    }, sub { close $out; $? });
}


sub http2 {
    my $open = sessions();
    my ($pid, $user, $read, $status) = curl('/gateway');

    like($read->(qr/event: ready\n.*\n\n/),
         qr/\AHTTP\/2 200.*\r\n\r\nretry: 2000\n\nevent: ready/s,
         'HTTP/2: a stream');
    $t->publish("user:$user", { t => 'x', d => { n => 1 } });
    ok($read->(qr/event: x\ndata: .*\n\n/), 'an event');
    disconnect($user);
    like($read->(undef), qr/\n\nevent: close\ndata: \{"code":4501,.*\}\n\n\z/,
         'close is last');
    is($status->(), 0, 'and the stream ends well');

    ($pid, $user, $read, $status) = curl('/gateway');
    $read->(qr/event: ready/);
    is(sessions(), $open + 1, 'a stream is counted');
    kill 'INT', $pid;
    $status->();
    ok(wait_for(sub { sessions() == $open }), 'its abort is noticed');

    ($pid, $user, $read, $status) = curl('/gateway', 'text/html');
    my $head = $read->(undef) // '';
    like($head, qr/^HTTP\/2 426/, 'what is no stream is 426');
    unlike($head, qr/^(?:upgrade|connection):/mi,
           'without what HTTP/2 does not know');
    $status->();
}


# Many frames, and a window that is not opened: the session is dropped.

sub slow {
    my ($pid, $user, $read, $status) = curl('/slow');

    $read->(qr/event: ready/);
    kill 'STOP', $pid;
    my $sent = fill();
    kill 'CONT', $pid;

    my $text = $read->(undef) // '';
    my @n = $text =~ /^data: .*"n":(\d+)/mg;
    is("@n", join(' ', 1 .. @n), 'HTTP/2: a slow reader gets a prefix');
    cmp_ok(scalar @n, '<', $sent, 'the rest was dropped');
    like($text, qr/\nevent: close\ndata: \{"code":4003,[^\n]*\}\n\n\z/,
         'and 4003');
    is($status->(), 0, 'and the stream ends well');
}


sub never {
    my ($pid, $user, $read, $status) = curl('/slow');

    $read->(qr/event: ready/);
    kill 'STOP', $pid;
    fill();

    ok(wait_for(sub { sessions() == 0 }),
       'who does not even read the close is let go');
    kill 'CONT', $pid;
    kill 'TERM', $pid;
    $status->();
}


sub disconnect {
    my ($user) = @_;

    $t->redis('PUBLISH', "user:$user:control",
              json_encode({ t => 'disconnect', d => {} }));
}


# Publishes until a session more is closed for being slow; how many events.

sub fill {
    my $before = slow_closes();
    my $n = 0;

    while ($n < 2000 && slow_closes() == $before) {
        $t->publish('room:one', { t => 'x',
            d => { n => ++$n, pad => noise() } }) for 1 .. 5;
    }

    ok(wait_for(sub { slow_closes() == $before + 1 }),
       "who does not read is closed, $n events");

    return $n;
}


# What gzip cannot make small.

sub noise {
    return join '', map { chr(48 + int rand 75) =~ s/\\/x/r } 1 .. 3000;
}


sub sessions {
    return metric('sessions{transport="sse"}');
}


sub slow_closes {
    return metric('sessions_closed_total{by="slow"}');
}


sub metric {
    my ($name) = @_;

    my ($n) = $t->http(GET => '/metrics')->body =~ /^delta_\Q$name\E (\d+)/m;

    return $n;
}
