#!/usr/bin/perl

# Copyright (C) Delta contributors

# The subprotocol delta.v1.msgpack: whatever a client of JSON is told, one of
# MessagePack is told the same in binary frames, and commands come in either.

use utf8;

use Delta;
use Delta::MessagePack;
use File::Basename qw(dirname);

my $t = Delta->new;

$t->start_redis;

my $rules = <<'END';
    delta_user $arg_user;
    delta_subscribe user:$delta_user;
    delta_subscribe room:one;
    delta_subscribe group:* from=user:$delta_user:groups on_request;
    delta_limit rate=1000000r/m connections=1000;
END

my $locations = join '', map { "location = /$_ {
    delta_gateway; delta_envelope $_; }\n" }
    qw(vtd op type compact);

$t->start_nginx($t->conf(http => <<'END', server => <<"END"), workers => 1);
delta_redis %%REDIS%%;
delta_max_event 128k;
delta_channel room:window window=50ms;
delta_channel room:one replay=100;
delta_channel room:slow replay=5000;
END
$rules
$locations
location = /small { delta_gateway; delta_max_command 100; }
location = /rate { delta_gateway; delta_limit rate=3r/m; }
location = /window { delta_gateway; delta_subscribe room:window; }
location = /metrics { delta_metrics; }
}

server {
    listen 127.0.0.1:%%PORT_1%% sndbuf=16k;
    delta_user \$arg_user;
    location = /slow {
        delta_gateway; delta_queue bytes=200k events=500 age=20s;
        delta_subscribe room:slow;
    }
END

my $F = 'Delta::Client::WS';

$t->redis('SADD', 'user:ben:groups', 'g');

own_words();
events();
shapes();
windows();
back();
behind();
commands();
bad_commands();
other_frames();
bytes();

done_testing;


sub client {
    my ($path, $user, $query, %opt) = @_;

    my $ws = $t->ws("$path?user=$user" . ($query // ''),
                    protocol => 'delta.v1.msgpack', %opt);
    is($ws->header('Sec-WebSocket-Protocol'), 'delta.v1.msgpack', 'agreed')
        if $ws->header('Sec-WebSocket-Protocol') ne 'delta.v1.msgpack';

    return $ws;
}


sub ready {
    my $ws = client(@_);

    $ws->read_until('ready') or die 'no ready';

    return $ws;
}


sub json_client {
    my ($path, $user) = @_;

    my $ws = $t->ws("$path?user=$user");
    $ws->read_until($path =~ /op/ ? sub { $_[0]{op} eq 'Ready' } : 'ready')
        unless $path eq '/type';

    return $ws;
}


sub say_to {
    my ($ws, $command) = @_;

    $ws->send_frame(2, Delta::MessagePack::encode($command));
}


# A message as it came: one whole binary frame.

sub raw {
    my ($ws) = @_;

    my $frame = $ws->read_frame or return 'nothing';

    return $frame->{payload}
        if $frame->{opcode} == 2 && $frame->{fin} && !$frame->{rsv};

    return "a frame of opcode $frame->{opcode}";
}


sub own_words {
    my $ws = client('/vtd', 'ben');
    my $ready = raw($ws);

    is(substr($ready, 0, 12), "\x83\xa1v\x01\xa1t\xa5ready",
       'ready is a binary frame');

    my $d = Delta::MessagePack::decode($ready)->{d};

    is($d->{user_id}, 'ben', 'with its members');
    is($d->{heartbeat_ms}, 30000, 'numbers among them');
    is_deeply([ sort @{ $d->{channels} } ], [ 'room:one', 'user:ben' ],
              'and lists');

    say_to($ws, { t => 'heartbeat', ref => 7 });
    my $ack = Delta::MessagePack::decode(raw($ws));
    is_deeply([ $ack->{t}, $ack->{d}{ref} ], [ 'heartbeat_ack', 7 ],
              'heartbeat_ack');

    say_to($ws, { t => 'subscribe', d => { channel => 'group:g' },
                  ref => 'x' });
    is(raw($ws), "\x83\xa1v\x01\xa1t\xaasubscribed\xa1d\x82\xa7channel"
       . "\xa7group:g\xa3ref\xa1x", 'subscribed, byte for byte');

    $t->redis('PUBLISH', 'user:ben:control',
              '{"t":"revoke","d":{"channel":"group:g"}}');
    is_deeply($ws->read_json, { v => 1, t => 'unsubscribed', d => {
        channel => 'group:g', reason => 'revoked' } }, 'unsubscribed');

    $t->redis('PUBLISH', 'user:ben:control', '{"t":"disconnect","d":{}}');
    is_deeply([ $ws->read_close ], [ 4501, 'The access was revoked.' ],
              'a close is a close');
}


# The same to all: a client of JSON and two of MessagePack at each event.

sub events {
    my $json = json_client('/vtd', 'ada');
    my $one = ready('/vtd', 'ada');
    my $two = ready('/vtd', 'ada');

    my @data = (
        '{}', '{ "a" : [ 1 , 2 , { } ] , "b" : null }',
        '{"n":[0,127,128,255,256,65535,65536,4294967295,4294967296,-1,-32,'
            . '-33,-128,-129,-32768,-32769,-2147483648,-2147483649,'
            . '9007199254740993,18446744073709551615]}',
        '{"f":[0.5,-1.25,1e3,0.1,3.141592653589793,1e-300]}',
        '{"s":"\u00e9\ud83d\ude00 é😀 \"\\\\\/\b\f\n\r\t\u0001"}',
        '{"é":{"":true,"x y":false}}',
        '{"l":"' . 'x' x 300 . '","m":"' . 'y' x 70000 . '"}',
        '{"k":[' . join(',', 1 .. 300) . '],"o":{'
            . join(',', map { "\"k$_\":$_" } 1 .. 40) . '}}',
        '[' x 60 . ']' x 60,
    );

    $data[-1] = "{\"deep\":$data[-1]}";

    for my $d (@data) {
        my $id = $t->publish('room:one', "{\"t\":\"note\",\"d\":$d}");
        my $want = $json->read_json;
        my $bytes = raw($one);
        my $short = length $d > 50 ? substr($d, 0, 50) . '...' : $d;

        is($want->{id}, $id, 'the client of JSON has it');
        $short =~ s/[^ -~]/?/g;
        is_deeply(Delta::MessagePack::decode($bytes), $want, $short);
        ok(raw($two) eq $bytes, 'and the same bytes for the next');
    }

    $t->redis('PUBLISH', 'room:one', '{"t":"note","d":{"a":1,"a":2.0}}');
    is(raw($one), "\x84\xa1v\x01\xa1t\xa4note\xa1c\xa8room:one\xa1d\x82\xa1a"
       . "\x01\xa1a\xcb\x40\0\0\0\0\0\0\0",
       'a key that comes twice comes twice, 2.0 is a float');
}


sub shapes {
    for my $shape (qw(op type compact)) {
        my $json = json_client("/$shape", 'eve');
        my $ws = client("/$shape", 'eve');

        ok(wait_for(sub {
            $t->redis('PUBLISH', 'user:eve', '{"t":"hello","d":{}}');
            return 0 unless $ws->read_until(sub {
                ($_[0]{t} // $_[0]{op} // $_[0]{type}) =~ /^hello$/i }, 0.2);
            return $json->read_until(sub {
                ($_[0]{t} // $_[0]{op} // $_[0]{type}) =~ /^hello$/i }, 0.2);
        }), "$shape: both are there");

        $t->redis('PUBLISH', 'room:one', $_) for
            '{"t":"space_delta","d":{"id":1,"type":"z","created":[{"x":0.5}]}}',
            '{"t":"presence_update","d":{"id":7,"s":"on","t":3}}';

        my $other = sub {
            ($_[0]{t} // $_[0]{op} // $_[0]{type}) !~ /^hello$/i };

        for my $what ('a delta', 'presence') {
            my $want = $json->read_until($other);
            is_deeply($ws->read_until($other), $want, "$shape: $what");
        }
    }
}


# What is merged was no one's JSON.

sub windows {
    my $ws = ready('/window', 'win');

    for my $n (1 .. 40) {
        $t->publish('room:window', { t => 'patch', d => {
            entity_type => 'user', entity_id => 'x',
            diff => { "k$n" => $n, last => $n } } });
    }

    my (%state, $messages);

    while (($state{last} // 0) < 40) {
        my $event = $ws->read_json or last;
        %state = (%state, %{ $event->{d}{diff} });
        $messages++;
    }

    is_deeply(\%state, { last => 40, map { ("k$_" => $_) } 1 .. 40 },
              'merged events say it all');
    cmp_ok($messages, '<', 40, 'in fewer messages');
}


sub back {
    my $ws = ready('/vtd', 'kim');

    $t->publish('room:one', { t => 'note', d => { n => 0 } });
    my $first = $ws->read_json;
    $ws->disconnect;

    $t->publish('room:one', { t => 'note', d => { n => $_ } }) for 1 .. 5;

    $ws = ready('/vtd', 'kim', "&at=room:one=$first->{id}");
    is_deeply([ map { $ws->read_json->{d}{n} } 1 .. 5 ], [ 1 .. 5 ],
              'what was missed is replayed');

    $t->publish('room:one', { t => 'note', d => { n => $_ } }) for 1 .. 120;
    $ws = ready('/vtd', 'kim', "&at=room:one=$first->{id}");
    my $resync = $ws->read_json;
    is_deeply([ @{$resync}{qw(v t)}, @{ $resync->{d} }{qw(channel reason)} ],
              [ 1, 'resync', 'room:one', 'too_many' ], 'or it is a resync');
}


# More than queue and socket hold: the frames are dropped and made again.

sub behind {
    my $ws = ready('/slow', 'sam', '', port => $t->port(1));
    my $fell = sub {
        $t->http(GET => '/metrics')->body =~ /fell_behind_total (\d+)/;
        return $1;
    };
    my $n = 0;

    while (!$fell->() && $n < 3000) {
        $n++;
        $t->publish('room:slow', { t => 'patch', d => {
            entity_type => 'user', entity_id => 'x',
            diff => { "k$n" => $n, pad => 'x' x 20000 } } });
    }

    my %state;

    while (!$state{"k$n"}) {
        my $event = $ws->read_json or last;
        %state = (%state, %{ $event->{d}{diff} });
    }

    delete $state{pad};
    is_deeply(\%state, { map { ("k$_" => $_) } 1 .. $n },
              "a slow client gets all $n, some merged");
    cmp_ok($fell->(), '==', 1, 'after it fell behind');
}


sub commands {
    my $ws = ready('/vtd', 'ben');

    $ws->send_text('{"t":"heartbeat","ref":"text"}');
    is($ws->read_json->{d}{ref}, 'text', 'a command as JSON, in a text frame');

    for my $ref ('', 'x', 0, 300, -5, "\x01\"\\é😀") {
        say_to($ws, { t => 'heartbeat', d => {}, ref => $ref });
        is($ws->read_json->{d}{ref}, $ref, 'a ref comes back')
    }

    $ws->send_raw($F->frame(2, "\x82\xa1t\xa9hear", fin => 0)
        . $F->frame(9, 'p') . $F->frame(0, "tbeat\xa3ref\xcb\x40\0\0\0\0\0\0",
                                        fin => 0) . $F->frame(0, "\0"));
    is_deeply($ws->read_frame, { fin => 1, rsv => 0, opcode => 10,
                                 payload => 'p' }, 'within fragments');
    like(raw($ws), qr/\xa3ref\xcb\x40\0{7}\z/, 'a float remains one');

    say_to($ws, { t => 'unsubscribe', d => { channel => 'room:one' } });
    is_deeply($ws->read_json, { v => 1, t => 'unsubscribed', d => {
        channel => 'room:one', reason => 'requested' } }, 'unsubscribe');
    say_to($ws, { t => 'subscribe', d => { channel => 'group:no' },
                  ref => 1 });
    is($ws->read_json->{d}{code}, 'forbidden', 'a refusal');
    say_to($ws, { t => 'logout' });
    is_deeply([ $ws->read_close ], [ 1000, 'Logged out.' ], 'logout');
}


sub bad_commands {
    my $ws = ready('/vtd', 'ben');

    my @bad = (
        [ '', 'bad_msgpack', 'ends too soon' ],
        [ "\x81\xa1t", 'bad_msgpack', 'ends too soon' ],
        [ "\xdf\xff\xff\xff\xff", 'bad_msgpack', 'ends too soon' ],
        [ "\x91" x 90 . "\xc0", 'bad_msgpack', 'deeply' ],
        [ "\x81\xa1t\xa9heartbeat\xc0", 'bad_msgpack', 'behind' ],
        [ "\x82\xa1t\xa9heartbeat\xa1t\xa6logout", 'bad_msgpack', 'twice' ],
        [ "\x82\xa1t\xa9heartbeat\xd9\x01t\xa6logout", 'bad_msgpack',
          'twice' ],
        [ "\x82\xa1t\xa9heartbeat\x01\x02", 'bad_msgpack', 'no.*string' ],
        [ "\x82\xa1t\xa9heartbeat\xa1x\xc4\x00", 'bad_msgpack', 'JSON' ],
        [ "\x82\xa1t\xa9heartbeat\xa1x\xd6\xff\0\0\0\0", 'bad_msgpack',
          'JSON' ],
        [ "\x82\xa1t\xa9heartbeat\xa1x\xcb\x7f\xf0\0\0\0\0\0\0",
          'bad_msgpack', 'finite' ],
        [ "\x81\xa1t\xa1\xff", 'bad_msgpack', 'UTF-8' ],
        [ '{"t":"heartbeat"}', 'bad_msgpack', 'behind' ],
        [ "\x90", 'bad_command' ], [ "\xc0", 'bad_command' ],
        [ "\x80", 'bad_command' ],
        [ "\x82\xa1t\xa4nope\xa3ref\x05", 'unknown_command', '', 5 ],
        [ "\x81\xa1t\xa5a\0b\xc3\xa9", 'unknown_command' ],
        [ "\x82\xa1t\xa9heartbeat\xa3ref\x80", 'bad_ref' ],
        [ "\x83\xa1t\xa9subscribe\xa1d\x81\xa7channel\xa1 \xa3ref\x07",
          'bad_channel', '', 7 ],
    );

    for (@bad) {
        my ($bytes, $code, $message, $ref) = @$_;
        my $name = unpack 'H*', substr $bytes, 0, 24;

        $ws->send_frame(2, $bytes);
        say_to($ws, { t => 'heartbeat', ref => 'next' });

        my $d = ($ws->read_json or last)->{d};
        is_deeply([ @$d{qw(code ref)} ], [ $code, $ref ], "$name is $code");
        like($d->{message}, qr/^[A-Zcrst].*$message.*\.$/,
             'with a sentence') if $message;
        is(($ws->read_json or last)->{d}{ref}, 'next',
           'exactly one, and the session goes on');
    }

    srand 1;

    for (1 .. 300) {
        my $noise = join '', map { chr int rand 256 } 0 .. rand 40;
        $noise = "\x81" . $noise if rand() < 0.3;
        $noise = "\x82\xa1t\xa9heartbeat\xa3ref" . $noise if rand() < 0.5;
        $ws->send_frame(2, $noise);
    }

    say_to($ws, { t => 'heartbeat', ref => 'last' });
    ok($ws->read_until(sub { ($_[0]{d}{ref} // '') eq 'last' }),
       'noise harms nobody');
    is(scalar(grep { $_->{t} !~ /^(?:error|heartbeat_ack)$/ }
              @{ $ws->{skipped} }), 0, 'and means nothing');
    is(scalar @{ $ws->{skipped} }, 300, 'one answer to each');
}


sub other_frames {
    my $ws = ready('/small', 'ben');
    $ws->send_frame(2, "\xd9" . chr(99) . 'x' x 99);
    is(($ws->read_close)[0], 1009, 'over delta_max_command');

    $ws = ready('/rate', 'ben');
    say_to($ws, { t => 'heartbeat' }) for 1 .. 4;
    is_deeply([ map { $ws->read_json->{t} } 1 .. 3 ],
              [ ('heartbeat_ack') x 3 ], 'what the rate allows');
    is($ws->read_json->{d}{code}, 'rate_limited', 'and the next');
    is(($ws->read_close)[0], 4004, 'closes');

    $ws = ready('/rate', 'ben');
    $ws->send_frame(2, "\xc1") for 1 .. 4;
    $ws->read_json for 1 .. 4;
    is(($ws->read_close)[0], 4004, 'bad ones count, too');

    $ws = ready('/vtd', 'ben');
    $ws->send_frame(1, "\xff");
    is(($ws->read_close)[0], 1007, 'text is still checked');

    for my $protocol (undef, 'delta.v1.json') {
        $ws = $t->ws('/vtd?user=ben', protocol => $protocol);
        $ws->read_until('ready');
        $ws->send_frame(2, Delta::MessagePack::encode({ t => 'heartbeat' }));
        is_deeply([ $ws->read_close ], [ 1003, 'Commands are text messages.' ],
                  'without the subprotocol binary is 1003');
    }
}


# The measurement holds its goal, and has a line for every event that changes
# an entity.

sub bytes {
    my $top = dirname(__FILE__) . '/..';
    my $said = qx("$^X" "-I$top/t/lib" "$top/t/bench/bytes" 2>&1);

    is($?, 0, 'row 4.4: an update of presence is 90 % below the list')
        or diag($said);

    my %below = $said =~ /^  (\S[\w ]*\w) +\d+ bytes, +([\d.]+) % below/mg;

    is(join(', ', sort keys %below),
       'JSON, MessagePack, compact, compact MessagePack', 'each as');
    is(scalar(grep { $_ < 90 } values %below), 0, 'of any kind');
    cmp_ok($below{MessagePack}, '>', $below{JSON}, 'MessagePack is smaller');

    open my $fh, '<', "$top/conf/events.json" or die "events.json: $!";
    my @names = grep { $_ ne 'presence_update'
        && /_(?:update|reaction|reorder|assignment_\w+)$|^attachment_/ }
        keys %{ json_decode(join '', <$fh>)->{events} };

    is(scalar(grep { $said !~ /^  $_ +\d+  JSON /m } @names), 0,
       'row 0.5: each change is measured');
}
