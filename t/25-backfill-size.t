#!/usr/bin/perl

# Copyright (C) Delta contributors

# delta_backfill before a backend that is asked by HTTP: what does and does not
# fit into subrequest_output_buffer_size, whole and cut off, for clients that
# come by HTTP/1.1 and by HTTP/2.

use Delta;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(time);

my $BUFFER = 65536;

my $t = Delta->new;
my $backend = $t->port(3);

$t->start_redis;

my $child = backend($backend);

system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost'
       . " -keyout $t->{dir}/key.pem -out $t->{dir}/cert.pem"
       . ' >/dev/null 2>&1') == 0 or die 'openssl';

my $locations = <<"END";
    delta_user ben;
    location = /api/stream {
        delta_gateway sse;
        delta_envelope space;
        delta_subscribe space:\$arg_spaceId;
        delta_backfill /internal/\$arg_spaceId?since=\$delta_since;
    }
    location /internal/ {
        internal;
        proxy_pass http://127.0.0.1:$backend;
        proxy_http_version 1.1;
        proxy_pass_request_headers off;
        proxy_read_timeout 1s;
        subrequest_output_buffer_size $BUFFER;
    }
    location = /ok { return 200 fine; }
    location = /metrics { delta_metrics; }
END

$t->start_nginx($t->conf(http => <<'END', server => <<"END"), workers => 1);
delta_redis %%REDIS%%;
delta_channel space:* replay=50;
ssl_certificate cert.pem;
ssl_certificate_key key.pem;
END
$locations
}

server {
    listen 127.0.0.1:%%PORT_2%% ssl http2;
$locations
END

wait_for(sub { $t->http(GET => '/metrics')->body =~ /delta_redis_up 1/ });
wait_for(sub { $t->redis('EXISTS', 'delta:epoch') });

my ($small, $fits, $over, $far)
    = (100, $BUFFER, $BUFFER + 1, 40 * $BUFFER);

meanwhile();
by_http1();
one_connection();
by_http2();
one_connection_http2();
gone();

kill 'TERM', $child;
waitpid $child, 0;
done_testing();


# The end of the log is looked up before: what is published while the backend
# thinks, and is not in its answer, follows it.

sub meanwhile {
    my $sse = $t->sse("/api/stream?spaceId=publish-$small");

    is(join(' ', map { $_->{id} } @{ $sse->read_json->{created} }), 'a b',
       'what the backend has');
    is(join(' ', map { $_->{id} } @{ $sse->read_json->{created} }), 'c',
       'and what came while it was asked');
    $sse->disconnect;
}


sub by_http1 {
    for my $how (qw(length chunked close)) {
        for ($small, $fits, $over, $far) {
            my $status = $_ > $BUFFER ? 503 : 200;
            my $sse = $t->sse("/api/stream?spaceId=$how-$_", retry => 0);

            is($sse->status, $status, "$how, $_ bytes: $status");

            if ($status == 200) {
                is(join(' ', map { $_->{id} }
                        @{ $sse->read_json->{created} }),
                   'a b', 'all of it');
            } else {
                like($sse->header('retry-after'), qr/^[1-5]$/,
                     'with Retry-After');
            }

            $sse->disconnect;
        }
    }

    for my $how (qw(short half stuck)) {
        my $sse = $t->sse("/api/stream?spaceId=$how-$small", retry => 0);
        is($sse->status, 503, "$how: 503");
        $sse->disconnect;
    }
}


# What does not fit is no reason to close the client's connection.

sub one_connection {
    for my $how (qw(length chunked close short)) {
        my $size = $how eq 'short' ? $small : $over;
        my $fh = IO::Socket::INET->new('127.0.0.1:' . $t->port) or die $!;

        print $fh "GET /api/stream?spaceId=$how-$size HTTP/1.1\r\n",
            "Host: a\r\nAccept: text/event-stream\r\n\r\n",
            "GET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

        my $text = '';
        my $end = time + 5 * $Delta::SLOW;

        while (IO::Select->new($fh)->can_read($end - time)) {
            sysread $fh, $text, 65536, length $text or last;
        }

        like($text, qr{^HTTP/1\.1 503 .*\r\n\r\n.*HTTP/1\.1 200 .*fine\z}s,
             "$how, $size bytes: the connection goes on");
    }
}


sub by_http2 {
    for my $how (qw(length chunked close)) {
        for ($small, $fits) {
            like(curl(qr/"deleted".*\n\n/,
                      "/api/stream?spaceId=$how-$_"),
                 qr{^HTTP/2\ 200.*"id":"a".*"id":"b"}xs,
                 "HTTP/2: $how, $_ bytes");
        }

        for ($over, $far) {
            like(curl(undef, "/api/stream?spaceId=$how-$_"),
                 qr{^HTTP/2\ 503.*^retry-after:\ [1-5]\b}xsm,
                 "HTTP/2: $how, $_ bytes: 503 with Retry-After");
        }
    }

    like(curl(undef, "/api/stream?spaceId=$_-$small"), qr{^HTTP/2 503},
         "HTTP/2: $_: 503") for qw(short half stuck);
}


# Nor are other streams of the same connection cut off.

sub one_connection_http2 {
    for my $how (qw(length chunked close short)) {
        my $size = $how eq 'short' ? $small : $over;
        my $text = curl(undef, "/api/stream?spaceId=$how-$size", '/ok',
                        "/api/stream?spaceId=$how-$size", '/ok');

        is(join(' ', $text =~ m{^HTTP/2 (\d+)}mg), '503 200 503 200',
           "HTTP/2: $how, $size bytes: the connection goes on");
        is($text =~ /^connects: (\d+)/m && $1, 1, 'which is one');
    }
}


# A client that goes while the backend is asked is nobody's fault.

sub gone {
    my $fh = IO::Socket::INET->new('127.0.0.1:' . $t->port) or die $!;

    print $fh "GET /api/stream?spaceId=gone-$small HTTP/1.1\r\nHost: a\r\n",
        "Accept: text/event-stream\r\n\r\n";
    ok(wait_for(sub { $t->redis('GET', 'asked') }), 'the backend is asked');
    close $fh;

    ok(wait_for(sub { $t->redis('GET', 'left') }), 'the client has gone');
    is($t->http(GET => '/ok')->status, 200, 'others are served');
    unlike($t->log, qr/space:gone-\d+" was answered/, 'no error is logged');
}


# What curl says until that, or until it ends.

sub curl {
    my ($want, @paths) = @_;

    my $base = 'https://127.0.0.1:' . $t->port(2);
    my $pid = open(my $out, '-|', 'setpriv', '--pdeathsig', 'TERM', 'curl',
        '-skNi', '--http2', '-H', 'Accept: text/event-stream',
        '-w', "\nmade %{num_connects}\n", map { "$base$_" } @paths) or die $!;

    my $text = '';
    my $end = time + 10 * $Delta::SLOW;

    while ((!defined $want || $text !~ $want)
           && IO::Select->new($out)->can_read($end - time))
    {
        sysread $out, $text, 65536, length $text or last;
    }

    kill 'TERM', $pid;
    close $out;

    my $made = 0;
    $made += $_ for $text =~ /^made (\d+)/mg;

    return "$text\nconnects: $made\n";
}


# Answers /internal/{how}-{size}: two objects in so many bytes.

sub backend {
    my ($port) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 99,
        LocalPort => $port, ReuseAddr => 1) or die $!;
    my $pid = fork // die $!;

    return $pid if $pid;

    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = sub { POSIX::_exit(0) };
    alarm 300;

    my @stuck;

    while (my $fh = $listen->accept) {
        my $n = sysread $fh, my $head, 65536;
        my ($how, $size) = ($head // '') =~ m{^GET /internal/(\w+)-(\d+)}
            or next;

        $t->publish("space:$how-$size", { t => 'space_delta',
                                          d => { created => [ { id => 'c' } ],
                                                 updated => [],
                                                 deleted => [] } })
            if $how eq 'publish';

        if ($how eq 'gone') {
            $t->redis('SET', 'asked', 1);
            sysread $fh, $head, 1;
            $t->redis('SET', 'left', 1);
            next;
        }

        my $body = answer($size);
        my $part = substr $body, 0, $size / 2;

        print $fh "HTTP/1.1 200 OK\r\nConnection: close\r\n",
            $how eq 'length' ? "Content-Length: $size\r\n\r\n$body"
            : $how eq 'chunked' ? "Transfer-Encoding: chunked\r\n\r\n"
                . sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n",
                          length $part, $part, $size - length $part,
                          substr $body, length $part)
            : $how =~ /^(?:close|publish)$/ ? "\r\n$body"
            : $how eq 'half' ? "Transfer-Encoding: chunked\r\n\r\n"
                . sprintf("%x\r\n%s\r\n", length $part, $part)
            : "Content-Length: $size\r\n\r\n$part";

        $fh->flush;
        push @stuck, $fh if $how eq 'stuck';
    }

    POSIX::_exit(0);
}


sub answer {
    my ($size) = @_;

    my @text = ('{"complete":true,"created":[{"id":"a","text":"',
                '"},{"id":"b"}]}');

    return $text[0] . 'x' x ($size - length join '', @text) . $text[1];
}
