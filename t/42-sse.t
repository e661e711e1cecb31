#!/usr/bin/perl

# Copyright (C) Delta contributors

# Server-Sent Events over HTTP/1.0 and 1.1, plain, gzipped and encrypted.

use Delta;
use Compress::Raw::Zlib qw(WANT_GZIP Z_STREAM_END);
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
    location = /sse { delta_gateway sse; }
    location = /beat { delta_gateway; delta_heartbeat 1s; }
    location = /slow { delta_gateway; delta_queue bytes=300k age=2s; }
    location = /gzip {
        delta_gateway;
        delta_queue bytes=300k age=2s;
        gzip on;
        gzip_types *;
        gzip_min_length 0;
    }
    location = /metrics { delta_metrics; }
    location = /plain { return 200 plain; }
END

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

my $users = 0;

stream($_) for '', 'TLS';
forgery();
heartbeats();
http10();
keepalive();
leaving();
zipped();
slow($_) for qw(plain TLS gzip);
revoked_while_full();
never();

done_testing;


# A stream and its user's name.

sub stream_of {
    my ($path, %opt) = @_;

    my $user = 'u' . ++$users;
    my $sse = $t->sse("$path?user=$user", %opt);

    return ($sse, $user);
}


# The same, ready.

sub ready {
    my ($sse, $user) = stream_of(@_);

    $sse->read_until('ready') or die 'no ready';

    return ($sse, $user);
}


sub disconnect {
    my ($user) = @_;

    $t->redis('PUBLISH', "user:$user:control",
              json_encode({ t => 'disconnect', d => {} }));
}


# What must hold of the end of every stream.

sub ends {
    my ($sse, $code, $reason, $name) = @_;

    my $block;
    while (my $next = $sse->read_block) {
        $block = $next;
    }

    is($block->{event}, 'close', "$name: the last event is close");
    is_deeply(json_decode($block->{data} // 'null'),
              { code => $code, reason => $reason },
              'with the code and the whole sentence');
    is($sse->{body}, '', 'nothing follows it');
}


sub stream {
    my ($kind) = @_;

    my %opt = $kind ? (ssl => 1, port => $t->port(2)) : ();
    my ($sse, $user) = stream_of('/gateway', %opt);

    is($sse->status, 200, "a stream over HTTP/1.1 $kind");
    is($sse->header('Content-Type'), 'text/event-stream', 'its type');
    like($sse->header('Cache-Control'), qr/no-store/, 'is not to be stored');
    is($sse->header('X-Accel-Buffering'), 'no', 'or buffered by an nginx');
    is($sse->header('Transfer-Encoding'), 'chunked', 'comes in chunks');
    is($sse->header('Content-Length'), undef, 'of an unknown length');

    is_deeply($sse->read_block, { raw => 'retry: 2000', retry => 2000 },
              'retry comes first');

    my $block = $sse->read_event;
    my $ready = json_decode($block->{data});

    is($block->{event}, 'ready', 'then ready');
    is($ready->{t}, 'ready', 'in its envelope');
    is($ready->{d}{user_id}, $user, 'for this user');
    is_deeply([ sort @{ $ready->{d}{channels} } ],
              [ 'room:one', "user:$user" ], 'and these channels');

    for my $channel ('room:one', "user:$user") {
        my $id = $t->publish($channel, { t => 'note.made', d => { n => 1 } });
        $block = $sse->read_event;

        is($block->{event}, 'note.made', 'an event has its type');
        is_deeply(json_decode($block->{data}),
                  { v => 1, t => 'note.made', c => $channel, d => { n => 1 },
                    id => json_decode($block->{data})->{id} }, 'and data');
        like($block->{raw}, qr/\Aevent: note\.made\ndata: \{.*\}\z/,
             'on two lines');
    }

    $t->publish('room:one', { t => 'x', d => { n => $_ } }) for 1 .. 200;
    is(join(' ', map { $sse->read_json->{d}{n} } 1 .. 200), "@{[ 1 .. 200 ]}",
       '200 events come in order');

    disconnect($user);
    ends($sse, 4501, 'The access was revoked.', 'a revoked user');
    ok($sse->{ended}, 'then the last chunk');
    ok(!$sse->{reset}, 'and no reset');
}


# Whatever whitespace stands in a published event, it forges no line.

sub forgery {
    my ($sse) = ready('/gateway');

    for my $eol ("\n", "\r", "\r\n", "\n\n", "\r\r\n\n\r", "\n\r") {
        my $evil = join $eol, '{', '"t"', ':', '"x"', ',', '"d"', ':', '{',
            '"event: close"', ':', '"data: \n\nid: 7\r\nretry: 1"', ',',
            '"retry: 1\u2028\u0000"', ':', '[', '1', ']', '}', '}', '';

        $t->redis('PUBLISH', 'room:one', $evil);
        $t->redis('PUBLISH', 'room:one', '{"t":"y","d":{}}');

        my $block = $sse->read_event;
        my @lines = split /\r\n|\r|\n/, $block->{raw};
        my $name = unpack 'H*', $eol;

        is(shift @lines, 'event: x', "lines ended by $name: the type");
        is(scalar(grep { !/^data: / } @lines), 0, 'and but data');
        is_deeply(json_decode($block->{data})->{d},
                  json_decode($evil)->{d}, 'unharmed');
        is($sse->read_event->{event}, 'y', 'in one block');
    }

    for my $type ("x\\ny", 'x\r\ndata: 1', 'close ', 'x:y') {
        $t->redis('PUBLISH', 'room:one', qq({"t":"$type","d":{}}));
    }

    $t->redis('PUBLISH', 'room:one', '{"t":"end","d":{}}');
    is($sse->read_event->{event}, 'end', 'a type with more is no type');
}


sub heartbeats {
    my ($sse) = ready('/beat');

    for (1 .. 2) {
        my $block = $sse->read_block;
        like($block->{raw}, qr/\A(?::|id: \d+\.\d+)\z/,
             'a comment or a position keeps the connection open');
    }

    $t->publish('room:one', { t => 'x', d => {} });
    is($sse->read_event->{event}, 'x', 'between events');
}


sub http10 {
    my ($sse, $user) = stream_of('/sse', http => '1.0');

    is($sse->header('Transfer-Encoding'), undef, 'HTTP/1.0: no chunks');
    is($sse->header('Connection'), 'close', 'the end is the end');
    is($sse->read_block->{raw}, 'retry: 2000', 'retry');
    is($sse->read_block->{event}, 'ready', 'ready');
    $t->publish("user:$user", { t => 'x', d => {} });
    is($sse->read_event->{event}, 'x', 'an event');
    disconnect($user);
    ends($sse, 4501, 'The access was revoked.', 'HTTP/1.0');
    ok($sse->{eof} && !$sse->{reset}, 'and of the connection');
}


sub keepalive {
    my $user = 'u' . ++$users;
    my $stream = "/sse?user=$user HTTP/1.1\r\nHost: a\r\n\r\n";
    my $sse = Delta::Client::SSE->connect($t->port, '/',
                                          raw => "HEAD $stream");

    is($sse->status, 200, 'a probe');

    for (1 .. 3) {
        @$sse{qw(in body ended headers)} = ('', '', 0, {});
        $sse->send_raw("GET $stream");
        $sse->read_head;
        is($sse->status, 200, 'a stream on the same connection');
        ok($sse->read_until('ready'), 'is ready');
        disconnect($user);
        ends($sse, 4501, 'The access was revoked.', 'a stream');
        ok($sse->{ended} && !$sse->{eof}, 'the connection stays');
    }

    # asked for while the stream runs, answered behind it
    @$sse{qw(in body ended headers)} = ('', '', 0, {});
    $sse->send_raw("GET $stream");
    $sse->read_head;
    $sse->read_until('ready');
    $sse->send_raw("GET /plain HTTP/1.1\r\nHost: a\r\n"
                   . "Connection: close\r\n\r\n");
    $t->publish("user:$user", { t => 'x', d => {} });
    is($sse->read_json->{t}, 'x', 'a pipelined request waits');
    disconnect($user);
    ends($sse, 4501, 'The access was revoked.', 'a stream before a request');
    $sse->closed;
    like($sse->{in}, qr{^HTTP/1\.1 200 .*\r\n\r\nplain\z}s,
         'then it is served');
}


sub leaving {
    my %opt = (ssl => 1, port => $t->port(2));
    my $open = sessions();
    my @sse = map { (ready('/gateway', @$_))[0] } [], [], [ %opt ];

    is(sessions(), $open + 3, 'streams are counted');
    $sse[0]->disconnect;
    shutdown $sse[1]->{socket}, 1;
    $sse[2]->disconnect;
    ok(wait_for(sub { sessions() == $open }), 'who leaves is noticed');
}


sub zipped {
    my ($sse, $user) = stream_of('/gzip',
                                 headers => [ 'Accept-Encoding' => 'gzip' ]);

    is($sse->header('Content-Encoding'), 'gzip', 'a stream may be gzipped');

    my $z = inflater($sse);
    my $n = 0;

    like($z->(qr/event: ready\n.*\n\n/), qr/\Aretry: 2000\n\nevent: ready\n/,
         'each event is flushed: ready');

    for my $n (1 .. 20) {
        $t->publish("user:$user", { t => 'x', d => { n => $n } });
        $z->(qr/"n":$n\}\}\n\n/) or last;
        $n == 20 and pass('and 20 events one by one');
    }

    disconnect($user);
    like($z->(undef), qr/\n\nevent: close\ndata: .*\n\n\z/, 'close is last');
    ok($sse->{ended}, 'with the last chunk');
}


# Reads on until what was unzipped matches, or (undef) to the end.

sub inflater {
    my ($sse) = @_;

    my ($z) = Compress::Raw::Zlib::Inflate->new(WindowBits => WANT_GZIP,
                                                -AppendOutput => 1);
    my ($text, $status) = ('', 0);

    return sub {
        my ($want) = @_;

        my $end = time + 30 * $Delta::SLOW;

        while (1) {
            $sse->unchunk;
            $status = $z->inflate($sse->{body}, $text)
                if length $sse->{body};

            return $text if defined $want ? $text =~ $want
                                          : $status == Z_STREAM_END;
            return if $sse->{ended} || !$sse->fill($end);
        }
    };
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


sub slow {
    my ($kind) = @_;

    my %opt = (port => $t->port(1));
    %opt = (port => $t->port(2), ssl => 1) if $kind eq 'TLS';
    $opt{headers} = [ 'Accept-Encoding' => 'gzip' ] if $kind eq 'gzip';

    my ($slow) = stream_of($kind eq 'gzip' ? '/gzip' : '/slow', %opt);
    my $z = inflater($slow);
    my @n;

    $kind eq 'gzip' ? $z->(qr/event: ready/) : $slow->read_until('ready');

    my $sent = fill();

    if ($kind eq 'gzip') {
        my $text = $z->(undef) // '';
        @n = $text =~ /^data: .*"n":(\d+)/mg;
        like($text, qr/\n\nevent: close\ndata: \{"code":4003,.*\}\n\n\z/,
             'gzip: 4003');

    } else {
        while (my $event = $slow->read_json) {
            push @n, $event->{d}{n};
            last if $slow->{close};
            next if $event->{t} ne 'resync';

            # too far behind: told so, and live again for a moment
            splice @n, -1;
            while ($event = $slow->read_json) { last if $slow->{close} }
            push @n, undef;
            last;
        }

        is(json_decode($slow->{close} // 'null')->{code}, 4003,
           "$kind: 4003");
        pop @n;
        ends_here($slow);
    }

    is("@n", join(' ', 1 .. @n), "behind a prefix, of @{[ scalar @n ]} events");
    cmp_ok(scalar @n, '<', $sent, 'the rest was dropped');
}


sub ends_here {
    my ($sse) = @_;

    ok(!$sse->read_block && $sse->{ended}, 'and the last chunk');
}


# What is on its way out of a full socket stays whole.

sub revoked_while_full {
    my %opt = (port => $t->port(1));
    my ($full, $user) = ready('/slow', %opt);
    my $delivered = metric('events_delivered_total');

    $t->publish('room:one', { t => 'x', d => { n => $_, pad => 'x' x 9000 } })
        for 1 .. 30;
    wait_for(sub { metric('events_delivered_total') >= $delivered + 30 });

    $t->redis('PUBLISH', "user:$user:control", json_encode({ t => 'revoke',
        d => { channel => 'room:one' } }));
    $t->publish('room:one', { t => 'x', d => { n => 'never' } });
    $t->publish("user:$user", { t => 'last', d => {} });

    my $last = $full->read_until('last');
    my @seen = map { $_->{d}{n} // $_->{t} } @{ $full->{skipped} };

    shift @seen if $seen[0] eq 'ready';
    is(pop @seen, 'unsubscribed', 'a revoke while the socket is full');
    is("@seen", join(' ', 1 .. @seen), 'leaves a prefix of whole events');
    ok($last, 'and the stream goes on');
}


sub never {
    my @slow = map { (ready('/slow', port => $t->port($_),
                            $_ == 2 ? (ssl => 1) : ()))[0] } 1, 2;
    my $before = slow_closes();

    wait_for(sub {
        $t->publish('room:one', { t => 'x', d => { pad => 'x' x 50000 } });
        return slow_closes() == $before + 2;
    });

    ok(wait_for(sub { sessions() == 0 }),
       'who does not even read the close is let go');
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
