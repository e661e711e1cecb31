#!/usr/bin/perl

# Copyright (C) Delta contributors

# RFC 6455 as a hostile client sees it, through nginx, with and without TLS;
# and commands.

use Delta;
use Encode qw(encode_utf8);

my $t = Delta->new;

$t->start_redis;

system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost'
       . " -keyout $t->{dir}/key.pem -out $t->{dir}/cert.pem"
       . ' >/dev/null 2>&1') == 0 or die 'openssl';

my $server = <<'END';
    delta_user $arg_user;
    delta_subscribe user:$delta_user;
    delta_subscribe room:one;
    delta_subscribe group:* from=user:$delta_user:groups on_request;
    delta_limit rate=1000000r/m connections=1000;

    location = /gateway { delta_gateway; }
    location = /small { delta_gateway; delta_max_command 100; }
    location = /big { delta_gateway; delta_max_command 128k; }
    location = /rate { delta_gateway; delta_limit rate=3r/m; }
    location = /jwt { delta_gateway; delta_jwt optional; }
END

$t->start_nginx($t->conf(http => <<'END', server => <<"END"));
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
ssl_certificate cert.pem;
ssl_certificate_key key.pem;
END
$server
}

server {
    listen 127.0.0.1:%%PORT_1%% ssl;
$server
END

my $F = 'Delta::Client::WS';
my %tls;
my $end = $F->frame(8, pack 'n', 1000);

for my $kind ('', 'TLS') {
    %tls = $kind ? (ssl => 1, port => $t->port(1)) : ();
    note('with ' . ($kind || 'plain TCP'));

    frames();
    control_frames();
    fragments();
    utf8();
    lengths();
    closes();
    server_close();
    splits();
}

%tls = ();
limit();
commands();
rate();

done_testing;


sub client {
    my ($path, %opt) = @_;

    my $ws = $t->ws(($path || '/gateway') . '?user=ben', %tls, %opt);
    $ws->read_until('ready') or die 'no ready';

    return $ws;
}


# What the gateway says to these bytes: its frames up to the close, in short.

sub says {
    my ($bytes, $path) = @_;

    my $ws = client($path);
    my @said;

    $ws->send_raw($bytes);

    while (my $frame = $ws->read_frame) {
        my $payload = $frame->{payload};

        push @said, 'not whole' if !$frame->{fin} || $frame->{rsv};

        if ($frame->{opcode} == 8) {
            push @said, length $payload ? unpack 'n', $payload : 1005;
            push @said, 'a broken close' if length $payload == 1;
            $ws->send_frame(8, $payload) if $said[-1] == 1003;
            push @said, 'data after close' if $ws->closed && $ws->{in} ne '';
            push @said, 'open' unless $ws->{eof};
            push @said, 'reset' if $ws->{reset};
            return "@said";
        }

        push @said, $frame->{opcode} == 10 ? "pong:$payload"
            : $frame->{opcode} == 9 ? 'ping'
            : short(json_decode($payload));
    }

    return "@said nothing";
}


sub short {
    my ($event) = @_;

    my $d = $event->{d};

    return $event->{t} eq 'heartbeat_ack' ? 'ack' . ($d->{ref} // '')
         : $event->{t} eq 'error' ? "error:$d->{code}" : $event->{t};
}


sub beat {
    my ($ref, $length) = @_;

    my $text = qq({"t":"heartbeat","ref":"$ref"});

    return sprintf '%-*s', $length // 0, $text;
}


sub frames {
    is(says($F->frame(1, beat('a')) . $end), 'acka 1000', 'a text');
    is(says($F->frame(1, beat('a'), mask => "\0\0\0\0") . $end),
       'acka 1000', 'a mask of zeros is a mask');

    for my $opcode (0 .. 2, 8 .. 10) {
        is(says($F->frame($opcode, '', mask => 0)), 1002,
           "no mask on opcode $opcode: 1002");
    }

    for my $rsv (1 .. 7) {
        is(says($F->frame(1, beat('a'), rsv => $rsv)), 1002,
           "reserved bits $rsv: 1002");
    }

    is(says($F->frame(9, 'x', rsv => 4)), 1002, 'also on a ping');
    is(says($F->frame(1, '{', fin => 0) . $F->frame(0, '}', rsv => 4)), 1002,
       'and on a continuation');
    is(says($F->frame($_, 'x')), 1002, "opcode $_ is reserved: 1002")
        for 3 .. 7, 11 .. 15;
    is(says($F->frame(2, 'x')), 1003, 'binary: 1003');
    is(says($F->frame(2, '')), 1003, 'even if empty');
    is(says($F->frame(2, 'x', fin => 0) . $F->frame(0, "\xff")), 1003,
       'or in fragments');
    is(says(join('', map { $F->frame(1, beat($_)) } 1 .. 50) . $end),
       join(' ', map({ "ack$_" } 1 .. 50), 1000), '50 frames in a packet');
    is(says("GET / HTTP/1.1\r\n\r\n"), 1002, 'HTTP is not WebSocket');

    my $ws = client();
    $ws->send_frame(3, 'x');
    is_deeply([ $ws->read_close ], [ 1002, 'The opcode is reserved.' ],
              'the reason is a whole sentence');
}


sub control_frames {
    my $max = 'p' x 125;

    is(says($F->frame(9, $_) . $end), "pong:$_ 1000",
       'a ping of ' . length($_) . ' bytes is echoed')
        for '', 'x', "\0\xff", $max;
    is(says($F->frame(9, "${max}p")), 1002, 'of 126 bytes: 1002');
    is(says($F->frame(9, 'x', form => 16)), 1002, 'a long form: 1002');
    is(says($F->frame(8, pack('n', 1000) . $max)), 1002, 'a long close: 1002');
    is(says($F->frame($_, '', fin => 0)), 1002, "opcode $_ in fragments: 1002")
        for 8 .. 10;
    is(says($F->frame(10, 'unasked') . $end), 1000,
       'a pong that nobody asked for is ignored');
    is(says(join('', map { $F->frame(9, "$_") } 1 .. 100) . $end),
       join(' ', map({ "pong:$_" } 1 .. 100), 1000), 'in order');
}


sub fragments {
    my @c = split //, beat('a');
    my $last = pop @c;
    my $first = shift @c;

    is(says($F->frame(1, $first, fin => 0)
            . join('', map { $F->frame(0, $_, fin => 0)
                             . $F->frame(9, $_) . $F->frame(10, 'z')
                             . $F->frame(0, '', fin => 0) } @c)
            . $F->frame(0, $last) . $end),
       join(' ', map({ "pong:$_" } @c), 'acka', 1000),
       'fragments with control frames in between');

    is(says($F->frame(0, 'x')), 1002, 'a continuation of nothing: 1002');
    is(says($F->frame(0, '', fin => 0)), 1002, 'even if it is empty');
    is(says($F->frame(1, beat('a')) . $F->frame(0, 'x')), 'acka 1002',
       'or follows a whole message');

    for my $opcode (1, 2) {
        is(says($F->frame(1, '{', fin => 0) . $F->frame($opcode, 'x')), 1002,
           "opcode $opcode within a message: 1002");
        is(says($F->frame(2, '{', fin => 0) . $F->frame($opcode, 'x')), 1002,
           'and within a binary one');
    }

    is(says($F->frame(1, '{"t":', fin => 0) . $end), 1000,
       'a close within a message');
    is(says($F->frame(1, '', fin => 0) . $F->frame(0, beat('b')) . $end),
       'ackb 1000', 'an empty first fragment');
}


sub utf8 {
    my $text = encode_utf8("\x{e9}\x{20ac}\x{1f600}\x{ffff}\x{10ffff}");
    my $beat = beat($text);
    my $ws = client();

    for my $at (0 .. length $beat) {
        $ws->send_raw($F->frame(1, substr($beat, 0, $at), fin => 0)
                      . $F->frame(9, "$at") . $F->frame(0, substr $beat, $at));
    }

    my $wrong = grep { $ws->read_frame->{payload} ne $_
                       || index($ws->read_frame->{payload}, "\"$text\"") < 0 }
        0 .. length $beat;
    is($wrong, 0, 'UTF-8 split over fragments at every byte');

    my %bad = (
        'a lone continuation' => "\x80", 'too many' => "\xc3\xa9\xa9",
        'two bytes for /' => "\xc0\xaf", 'three bytes for /' => "\xe0\x80\xaf",
        'four bytes for EUR' => "\xf0\x82\x82\xac",
        'a surrogate' => "\xed\xa0\x80", 'a pair' => "\xed\xa0\xbd\xed\xb8\x80",
        'above 10FFFF' => "\xf4\x90\x80\x80", 'F5' => "\xf5\x80\x80\x80",
        'FE' => "\xfe", 'FF' => "\xff", 'a cut one' => "\xe2\x82 ",
    );

    for my $name (sort keys %bad) {
        is(says($F->frame(1, beat($bad{$name}))), 1007, "$name: 1007");

        # fails at once: the message is never finished
        is(says($F->frame(1, substr($bad{$name}, 0, 1), fin => 0)
                . $F->frame(0, substr($bad{$name}, 1) . ' ', fin => 0)),
           1007, 'in an unfinished message, too');
    }

    is(says($F->frame(1, "\xe2\x82")), 1007, 'a message cut in a character');
    is(says($F->frame(1, "\xe2", fin => 0) . $F->frame(0, '')), 1007,
       'or over fragments');
    is(says($F->frame(8, pack('n', 1000) . "\xff")), 1007,
       'in the reason of a close');
    is(says($F->frame(8, pack('n', 1000) . "\xe2\x82")), 1007, 'or cut');
}


sub lengths {
    for my $length (125, 126, 127, 65535, 65536, 65537) {
        is(says($F->frame(1, beat('a', $length)) . $end, '/big'),
           'acka 1000', "a message of $length bytes");
    }

    is(says($F->frame(1, beat('a'), form => $_)), 1002,
       "$_ bits for a short length: 1002") for 16, 64;
    is(says($F->frame(1, beat('a', 65535), form => 64), '/big'), 1002,
       '64 bits for 65535: 1002');
    is(says($F->frame(1, '', form => 16, length => 125)), 1002,
       '16 bits for 125: 1002');
    is(says($F->frame(1, '', form => 64, length => $_ )), 1002,
       'the top bit of 64: 1002') for 1 << 63, ~0;
    is(says($F->frame(1, '', form => 64, length => $_)), 1009,
       "$_ bytes are announced: 1009 at once") for (1 << 63) - 1, 1 << 32;
}


sub closes {
    is(says($F->frame(8, pack 'n', $_)), $_, "close $_ is echoed")
        for 1000 .. 1003, 1007 .. 1014, 3000, 3999, 4000, 4999;
    is(says($F->frame(8, pack 'n', $_)), 1002, "close $_ is none: 1002")
        for 0, 1, 999, 1004 .. 1006, 1015, 1016, 1100, 2999, 5000, 65535;
    is(says($F->frame(8, '')), 1005, 'an empty close');
    is(says($F->frame(8, 'x')), 1002, 'a close of one byte: 1002');
    is(says($F->frame(8, pack('n', 4000) . 'r' x 123)), 4000,
       'a reason of 123 bytes');
    is(says($end . $F->frame(9, 'x') . $F->frame(1, beat('a')) . $end
            . "\xff" x 100), 1000, 'what follows a close is ignored');
    is(says($F->frame(1, beat('a')) . $end . $F->frame(1, beat('b'))),
       'acka 1000', 'what came before is not');
    is(says($F->frame(3, '') . $F->frame(9, 'x') x 1000), 1002,
       'after an error, too');
}


# A ping in the packet of the first part: its pong says that this was read.

sub splits {
    my $text = beat(encode_utf8("long\x{e9}\x{20ac}\x{1f600}"), 200);
    my $bytes = $F->frame(9, 'inner') . $F->frame(1, $text)
        . $F->frame(1, beat('b'), mask => "\x81\xff\0\x8a")
        . $F->frame(1, substr($text, 0, 7), fin => 0) . $F->frame(9, '')
        . $F->frame(0, substr $text, 7);
    my $ws = client();
    my @wrong;

    for my $at (0 .. length $bytes) {
        $ws->send_raw($F->frame(9, "$at") . substr $bytes, 0, $at);
        my $frame = $ws->read_frame or last;
        push @wrong, $at if $frame->{payload} ne $at;
        $ws->send_raw(substr $bytes, $at);

        my @got = map { $ws->read_frame->{payload} } 1 .. 5;
        push @wrong, $at
            if $got[0] ne 'inner' || $got[1] !~ /"long/ || $got[2] !~ /"b"/
               || $got[3] ne '' || $got[4] !~ /"long/;
    }

    is("@wrong", '', 'frames split at every byte');

    $ws = client();
    $ws->send_raw($_) for split //, $F->frame(1, $text) . $end;
    is($ws->read_json->{d}{ref}, "long\x{e9}\x{20ac}\x{1f600}",
       'byte by byte');
    is(($ws->read_close)[0], 1000, 'and the close');
}


sub limit {
    my $at = beat('a', 100);
    my $over = "$at ";

    is(says($F->frame(1, $at) . $end, '/small'), 'acka 1000',
       'a command of delta_max_command bytes');
    is(says($F->frame(1, $over), '/small'), 1009, 'one more: 1009');
    is(says($F->frame(1, '', length => 101), '/small'), 1009,
       'said by its header');

    for my $size (1, 33, 99) {
        my @part = map { substr $over, $_ * $size, $size }
            0 .. (length($over) - 1) / $size;
        my $first = shift @part;

        is(says($F->frame(1, $first, fin => 0)
                . join('', map { $F->frame(0, $_, fin => 0) } @part),
                '/small'), 1009, "in fragments of $size bytes: 1009");
    }

    is(says($F->frame(1, substr($at, 0, 50), fin => 0)
            . $F->frame(9, 'p' x 125) . $F->frame(0, substr $at, 50) . $end,
            '/small'), 'pong:' . 'p' x 125 . ' acka 1000',
       'a ping within does not count');
    is(says($F->frame(1, $at) x 3 . $end, '/small'), 'acka acka acka 1000',
       'each message counts by itself');
    is(says($F->frame(2, 'x' x 101), '/small'), 1009, 'binary, too');
}


sub commands {
    my $ws = client('/jwt');
    my $token = $t->token('eve', exp => 1000);
    my $deep = '[' x 5000;

    my @bad = (
        [ '', 'bad_json' ], [ 'x', 'bad_json' ], [ "{\"t\":\0}", 'bad_json' ],
        [ '{"t":"heartbeat"', 'bad_json' ], [ '{}{}', 'bad_json' ],
        [ $deep, 'bad_json' ], [ '{"t":"heartbeat",}', 'bad_json' ],
        [ '[]', 'bad_command' ], [ '1', 'bad_command' ],
        [ 'null', 'bad_command' ], [ '{}', 'bad_command' ],
        [ '{"ref":7}', 'bad_command', 7 ],
        [ '{"t":"heartbeat","d":[],"ref":"x"}', 'bad_command', 'x' ],
        [ '{"t":"heartbeat","t":"logout"}', 'bad_command' ],
        [ '{"t":"heartbeat","\u0074":"logout"}', 'bad_command' ],
        [ '{"t":"nope","ref":-1.5e3}', 'unknown_command', -1500 ],
        [ '{"t":"","ref":"\u00e9\\"\\\\"}', 'unknown_command', "\xe9\"\\" ],
        [ '{"t":7,"ref":1}', 'unknown_command', 1 ],
        [ '{"t":"Heartbeat"}', 'unknown_command' ],
        [ '{"t":"heartbeat","ref":{}}', 'bad_ref' ],
        [ '{"t":"heartbeat","ref":true}', 'bad_ref' ],
        [ '{"t":"heartbeat","ref":"' . 'x' x 63 . '"}', 'bad_ref' ],
        [ '{"t":"subscribe","ref":1}', 'bad_channel', 1 ],
        [ '{"t":"subscribe","d":{"channel":"a b"},"ref":2}', 'bad_channel',
          2 ],
        [ '{"t":"subscribe","d":{"channel":"group:*"},"ref":2}',
          'bad_channel', 2 ],
        [ '{"t":"subscribe","d":{"channel":7},"ref":3}', 'bad_channel', 3 ],
        [ '{"t":"subscribe","d":{"channel":"group:no"},"ref":4}',
          'forbidden', 4 ],
        [ '{"t":"subscribe","d":{"channel":"user:ben:control"},"ref":4}',
          'forbidden', 4 ],
        [ '{"t":"unsubscribe","d":{"channel":"user:ben:control"},"ref":5}',
          'not_subscribed', 5 ],
        [ '{"t":"unsubscribe","d":{"channel":"group:no"},"ref":5}',
          'not_subscribed', 5 ],
        [ '{"t":"subscribe","d":{"channel":"room:one","since":1},"ref":6}',
          'bad_since', 6 ],
        [ '{"t":"status","d":{"status":1},"ref":8}', 'bad_status', 8 ],
        [ '{"t":"status","d":{"status":"away"},"ref":8}', 'no_presence', 8 ],
        [ '{"t":"auth","ref":9}', 'bad_token', 9 ],
        [ '{"t":"auth","d":{"token":"' . $token . '"},"ref":9}', 'bad_token',
          9 ],
    );

    for (@bad) {
        my ($text, $code, $ref) = @$_;
        my $name = length $text > 60 ? substr($text, 0, 60) . '...' : $text;
        $name =~ s/[^ -~]/?/g;

        $ws->send_text($text);
        $ws->send_text(beat('next'));

        my $event = $ws->read_json or last;
        is_deeply([ @{ $event->{d} }{qw(code ref)} ], [ $code, $ref ],
                  "$name is $code");
        is($event->{t}, 'error', 'an error');
        like($event->{d}{message}, qr/^\w.*\.$/, 'with a sentence');
        is(short($ws->read_json), 'acknext', 'and but one');
    }

    unlike($t->log, qr/\Q$token/, 'no token is in the log');

    $ws->send_text('{"t":"heartbeat","ref":"' . 'x' x 62 . '"}');
    is(length $ws->read_json->{d}{ref}, 62, 'a ref of 64 bytes is echoed');
    $ws->send_text('{"t":"logout"}');
    is_deeply([ $ws->read_close ], [ 1000, 'Logged out.' ], 'logout');
    ok($ws->closed, 'ends the connection');
}


sub rate {
    my $ws = client('/rate');

    $ws->send_text($_) for map({ beat($_) } 1 .. 3), 'x', beat(4);
    is(join(' ', map { short($ws->read_json) } 1 .. 4),
       'ack1 ack2 ack3 error:rate_limited', 'over the rate: an error');
    is_deeply([ $ws->read_close ], [ 4004, 'Too many commands.' ],
              'then 4004');
    is($ws->{skipped}, undef, 'and nothing else');

    $ws = client('/rate');
    $ws->send_raw($F->frame(9, 'x') x 20 . $end);
    is(($ws->read_close)[0], 1000, 'pings are no commands');
}


# The gateway's own close.

sub server_close {
    my $ws = client();

    $ws->{mute} = 1;
    $t->redis('PUBLISH', 'user:ben:control',
              json_encode({ t => 'disconnect', d => {} }));

    is_deeply([ $ws->read_close ], [ 4501, 'The access was revoked.' ],
              "the gateway's close has a code and a whole sentence");

    $t->publish('room:one', { t => 'x', d => {} });
    $ws->send_raw($F->frame(1, beat('a')) . $F->frame(9, 'x')
                  . $F->frame(2, 'x') . $F->frame(8, pack 'n', 4501));
    ok($ws->closed, "the client's answer ends the connection");
    is($ws->{in}, '', 'nothing follows a close');
    ok(!$ws->{reset}, 'no reset either');
}
