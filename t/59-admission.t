#!/usr/bin/perl

# Copyright (C) Delta contributors

# All come at once: delta_limit admit= lets in as many as it says, and tells the
# others apart when to come back.

use Delta;
use IO::Socket::INET;
use Time::HiRes qw(time);

my $t = Delta->new;
my $all = 200;
my $rate = 60;
my $spread = 3;

$t->start_redis;

$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%%; delta_jwt_key_file jwks.json; delta_jwt;
             delta_drain 1s;',
    server => <<"END"));
delta_subscribe world;
delta_limit connections=1000 admit=${rate}r/s spread=${spread}s;
location = /gateway { delta_gateway; }
location /own {
    delta_limit admit=1r/s;
    location = /own/a { delta_gateway; }
    location = /own/b { delta_gateway; }
}
location = /free { delta_gateway; delta_limit connections=1000; }
location = /metrics { delta_jwt off; delta_metrics; }
END

my %ben = (token => $t->token('ben'));
my $refused = 0;

ok(wait_for(sub { metric('delta_redis_up') == 1 }), 'Redis is there');

at_once();
buckets();
no_redis();

done_testing;


# As many handshakes as wanted before the first answer is read.

sub connect_all {
    my ($count, $path) = @_;

    my @sockets = map {
        IO::Socket::INET->new('127.0.0.1:' . $t->port) or die "connect: $!";
    } 1 .. $count;

    syswrite $_, "GET $path HTTP/1.1\r\nHost: 127.0.0.1:" . $t->port . "\r\n"
        . "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        . "Sec-WebSocket-Version: 13\r\n"
        . "Authorization: Bearer $ben{token}\r\n\r\n" for @sockets;

    return map {
        my $head = '';

        while ($head !~ /\r\n\r\n/) {
            sysread $_, $head, 4096, length $head or last;
        }

        { socket => $_, status => $head =~ m{^HTTP/1\.1 (\d+)} ? "$1" : 0,
          after => $head =~ /^Retry-After: (\d+)\r$/m ? $1 : 0 }
    } @sockets;
}


sub at_once {
    my $start = time;
    my @answers = connect_all($all, '/gateway');
    my @in = grep { $_->{status} == 101 } @answers;
    my @out = grep { $_->{status} == 503 } @answers;
    my %after = map { $_->{after} => 1 } @out;

    is(@in + @out, $all, 'each is let in, or told 503');
    cmp_ok(@in, '>=', $rate, "a second's worth is let in at once");
    cmp_ok(@in, '<=', $rate * (1 + time - $start) + 1, 'and not more');
    is(join(' ', sort keys %after), join(' ', 1 .. $spread),
       'Retry-After is spread');

    $refused += @out;
    is(metric('delta_refused_total{reason="admission"}'), $refused,
       'the refusals are counted');

    # as they were told
    my @due = map { $start + $_->{after} } @out;

    ok(wait_for(sub {
        my $now = time;
        my $count = grep { $_ <= $now } @due;
        @due = grep { $_ > $now } @due;

        for (connect_all($count, '/gateway')) {
            push @in, $_ if $_->{status} == 101;
            next if $_->{status} != 503;
            push @due, $now + $_->{after};
            $refused++;
        }

        return @in == $all;
    }), 'all are in, later');

    is(metric('delta_sessions{transport="ws"}'), $all, 'and stay');
    is(metric('delta_refused_total{reason="admission"}'), $refused,
       'nobody else was refused');
}


# A location without admit= has none; a level that has it shares one bucket.

sub buckets {
    is(scalar(grep { $_->{status} == 101 } connect_all($all, '/free')), $all,
       'without admit= nobody waits');

    # unless a second passes in between, as one is let in by then
    my $both;

    for (1 .. 5) {
        $both = join ' ', map { $_->{status} }
            map { connect_all(1, $_) } '/own/a', '/own/b';
        last if $both eq '101 503';
        wait_for(sub { (connect_all(1, '/own/b'))[0]{status} == 503 });
    }

    is($both, '101 503', 'the locations of a delta_limit share its bucket');
    is($t->http(HEAD => '/own/a', %ben)->status, 200,
       'HEAD opens nothing and is let through');
    ok(wait_for(sub { (connect_all(1, '/own/b'))[0]{status} == 101 }),
       'it fills again');

    my $start = time;
    my @slow;

    wait_for(sub {
        push @slow, connect_all(1, '/gateway')
            if @slow < (time - $start) * $rate / 2;
        return @slow == $rate;
    });
    is(scalar(grep { $_->{status} == 101 } @slow), $rate,
       'below the rate nobody waits');
}


sub no_redis {
    $t->stop_redis;
    ok(wait_for(sub { metric('delta_redis_up') == 0 }), 'Redis goes away');

    my @answers = connect_all(60, '/free');
    my %after = map { $_->{after} => 1 } @answers;

    is(scalar(grep { $_->{status} == 503 } @answers), 60, '503 for all');
    is(join(' ', sort keys %after), '1 2 3 4 5', 'spread as well');
}


sub metric {
    my ($name) = @_;

    my $body = $t->http(GET => '/metrics')->body;

    return $body =~ /^\Q$name\E (\d+)$/m ? $1 : -1;
}
