#!/usr/bin/perl

# Copyright (C) Delta contributors

# Clients that send anything: handshakes, frames, commands, tokens, arguments
# and bodies that are almost right, in pieces, cut off, reset.  Those beside
# them notice nothing, and when they have gone nothing of them is left.
# SEED= repeats a run, ROUNDS= and TIME= (seconds) make it longer.

use Delta;

use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(time);

my $seed = $ENV{SEED} // (time * 1000 ^ $$ << 20) & 0x7fffffff;
my $rounds = $ENV{ROUNDS} // 400;
my $time = $ENV{TIME} // 10;
my $state = $seed;

note("SEED=$seed");

my $t = Delta->new;
my $marks = 0;

$t->start_redis;
$t->redis(qw(SADD user:mallory:rooms two three));
$t->redis('SET', 'latest_tick:w', 7);
$t->redis('SET', "snapshot:w:$_", qq({"tick":$_,"fullCast":[]})) for 5 .. 7;
$t->redis('SET', 'full_state:w', '{"cast":[],"full":{}}');
mkdir $t->file('answers');
$t->file('answers/two', '{"created":[{"id":"a"}],"complete":true}');
$t->file('answers/three', '{"created":[{"id":');

$t->start_nginx($t->conf(http => <<"END", server => <<'END'), workers => 2);
    delta_redis %%REDIS%%;
    delta_contracts $Delta::TOP/conf/events.json unknown=pass;
    delta_jwt_key_file jwks.json;
    delta_jwt;
    delta_presence ttl=4s refresh=1s;
    delta_heartbeat 2s missed=2;
    delta_resume 2s;
    delta_drain 1s;
    delta_limit rate=1000000r/m connections=1000;
END
    location = /gateway {
        delta_gateway;
        delta_jwt token=$arg_token;
        delta_subscribe user:$delta_user;
        delta_subscribe room:one;
        delta_subscribe presence:$delta_user;
        delta_subscribe room:* from=user:$delta_user:rooms on_request;
    }
    location = /header { delta_gateway; delta_subscribe user:$delta_user; }
    location = /stream {
        delta_gateway sse;
        delta_envelope space;
        delta_subscribe room:$arg_room;
        delta_backfill /answers/$arg_room?since=$delta_since;
    }
    location /answers/ { internal; delta_jwt off; alias %%DIR%%/answers/; }
    location = /publish { delta_publish; delta_jwt off; }
    location = /handed {
        delta_gateway;
        delta_subscribe user:$delta_user;
        error_page 405 = @publish;
    }
    location @publish { delta_publish; delta_jwt off; }
    location = /health { delta_jwt off; delta_health; }
    location = /world { delta_jwt off; delta_snapshot world=$arg_w; }
    location = /range { delta_jwt off; delta_snapshot world=$arg_w range; }
    location = /metrics { delta_jwt off; delta_metrics; }
END

my $TOKEN = $t->token('mallory');
my @words = (
    "\0", "\xff", "\xc3", "\xed\xa0\x80", "\r\n", "\r\n\r\n", '"', '\\',
    '\\u0000', '\\ud800', '{', '}', '[', ']', ',', ':', '*', '%00', '%', '%2',
    '&', '=', '9' x 25, '-1', '1e999', '0', 'null', ' ', '../', 'A' x 300,
    '{"a":' x 70, '[' x 2000, 'delta.v1.msgpack', 'bearer.', 'chunked',
    "\x7f" . "\xff" x 7, "\x81\xfe\xff\xff", "\x88\x80", "\xdf",
);

my @commands = (
    '{"t":"heartbeat","ref":1}', '{"t":"status","d":{"status":"busy"}}',
    '{"t":"subscribe","d":{"channel":"room:two","since":"1-1"},"ref":"a"}',
    '{"t":"unsubscribe","d":{"channel":"room:two"},"ref":2}',
    '{"t":"logout"}', qq({"t":"auth","d":{"token":"$TOKEN"},"ref":3}),
);

my @packed = ("\x81\xa1t\xa9heartbeat", "\x83\xa1t\xa9subscribe\xa1d\x81\xa7"
              . "channel\xa8room:two\xa3ref\x07");

my @queries = map { "/gateway?token=$TOKEN$_" } (
    '', '&since=1735689000.1735689600000', '&since=2025-07-28T10:30:16.123Z',
    '&at=room:one=1-1,user:mallory=2-0', '&resume=abc123.4', '&since=1.2-3',
    '&subscribe=room:two,room:three', '&since=%31.2&at=room%3Aone=1-1',
);

my @posts = map { json_encode($_) } (
    { channel => 'room:two', t => 'note', d => { a => [ 1, 'x', undef ] } },
    [ map { { channel => 'room:three', t => 'note', d => {}, source => 's',
              n => $_ } } 1 .. 3 ],
);

my @attacks = (\&handshake, \&frames, \&frames, \&frames, \&commands,
               \&commands, \&packed, \&tokens, \&streams, \&arguments,
               \&posts, \&published, \&others);

my @seen = ([], []);
my @workers;

wait_for(sub { (@workers = sort { $a <=> $b } $t->workers) == 2 });

my @ben = map { $t->$_('/gateway?token=' . $t->token('ben')) } qw(ws sse);
$_->read_until('ready') for @ben;

my %before = gauges();

attack() for 1 .. 20;
gone('after some');

my @before = memory();
my $end = time + $time * ($Delta::ASAN ? 1.5 : 1);
my $done = 0;

while (!$ENV{SEED} && $done < 20 || $done < $rounds && time < $end) {
    attack();
    mark() if ++$done % 10 == 0;

    # ten of them may take longer than one may be silent
    $ben[0]->send_json({ t => 'heartbeat' });
}

note("$done rounds");
cmp_ok($done, '>=', $ENV{SEED} ? 1 : 20, 'so many were there');

for my $i (0, 1) {
    read_marks($i);
    is_deeply($seen[$i], [ 1 .. $marks ],
              'an ordinary session has seen its events, ' . ref $ben[$i]);
}

gone('after all');
my @after = memory();

is($t->http(GET => '/health')->status, 200, 'the gateway is well');
is_deeply([ sort { $a <=> $b } $t->workers ], \@workers, 'no worker has died');

SKIP: {
    skip 'sanitizers keep what is freed', 1 if $Delta::ASAN;

    my @more = map { $after[$_] - $before[$_] } 0 .. $#after;
    cmp_ok((sort { $b <=> $a } @more)[0], '<', 16_000,
           'nor has one grown by 16 MB') or diag("KB: @more");
}

diag("SEED=$seed") unless Test::More->builder->is_passing;
done_testing;


# Decisions.

sub any {
    use integer;

    $state = $state * 6364136223846793005 + 1442695040888963407;

    return (($state >> 33) & 0x3fffffff) % $_[0];
}


sub one_of {
    return $_[any(scalar @_)];
}


sub mutated {
    my ($bytes, $most) = @_;

    for (1 .. any(($most // 4) + 1)) {
        my $at = any(length($bytes) + 1);
        my $n = any(1 + one_of(1, 4, 30));
        my $how = any(7);

        substr($bytes, $at, 1) = chr any(256) if $how == 0;
        substr($bytes, $at, 0) = one_of(@words) if $how == 1;
        substr($bytes, $at, $n) = '' if $how == 2;
        substr($bytes, $at, $n) = substr($bytes, $at, $n) x (2 + any(40))
            if $how == 3;
        substr($bytes, $at) = '' if $how == 4 && any(3) == 0;
        substr($bytes, $at, 0) = substr $bytes, any(length($bytes) + 1), $n
            if $how == 5;
        substr($bytes, $at, 1) ^= chr(1 << any(8))
            if $how == 6 && $at < length $bytes;
    }

    return $bytes;
}


# Connections.

sub attack {
    my $socket = one_of(@attacks)->() or return;

    hear($socket, 0.01);
    reset_it($socket) if any(3) == 0;
    close $socket;
}


# The answer so far; what the other side has closed is fine.

sub hear {
    my ($socket, $wait, $until) = @_;

    my ($got, $end) = ('', time + $wait);

    while (IO::Select->new($socket)->can_read($end - time > 0 ? $end - time
                                                              : 0))
    {
        sysread $socket, $got, 65536, length $got or last;
        last if $until && $got =~ $until;
    }

    return $got;
}


sub reset_it {
    my ($socket) = @_;

    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'll', 1, 0;
}


# In pieces, or as much of it as is taken.

sub send_bytes {
    my ($socket, $bytes) = @_;

    local $SIG{PIPE} = 'IGNORE';

    utf8::encode($bytes) unless utf8::downgrade($bytes, 1);

    for my $i (1 .. 1 + any(4)) {
        my $n = $i < 4 ? any(1 + length $bytes) : length $bytes;
        my $piece = substr $bytes, 0, $n, '';
        last if $n && !syswrite $socket, $piece;
    }

    syswrite $socket, $bytes if any(8);
}


sub request {
    my ($text, $body) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $t->port, Timeout => 10) or die "no connection: $!";

    send_bytes($socket, $text . ($body // ''));

    return $socket;
}


sub upgrade {
    my ($path, @more) = @_;

    return join "\r\n", "GET $path HTTP/1.1", 'Host: a', 'Upgrade: websocket',
        'Connection: keep-alive, Upgrade', 'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', @more, '', '';
}


sub session {
    my ($path, @more) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $t->port, Timeout => 10) or die "no connection: $!";

    syswrite $socket, upgrade($path, @more);
    hear($socket, any(4) ? 2 : 0.001, qr/\r\n\r\n.+ready|HTTP.*? [345]/s);

    return $socket;
}


# Attacks; each returns its connection.

sub handshake {
    return request(mutated(upgrade(one_of(@queries), one_of(
        'Origin: http://a', 'Sec-WebSocket-Protocol: delta.v1.json, x',
        'Sec-WebSocket-Protocol: delta.v1.msgpack', 'Content-Length: 5',
        'Transfer-Encoding: chunked', 'Sec-WebSocket-Key: x', 'X: y',
        'Last-Event-ID: 1.2'))));
}


sub frames {
    my $socket = session(one_of(@queries));

    my $bytes = join '', map {
        Delta::Client::WS->frame(one_of(0, 1, 1, 1, 2, 8, 9, 10, any(16)),
            one_of(@commands, "\x03\xe8bye", '', 'x' x any(200)),
            any(4) ? () : (fin => any(2)), any(9) ? () : (rsv => any(8)),
            any(9) ? () : (form => one_of(7, 16, 64)),
            any(9) ? () : (length => one_of(0, 125, 126, 65536, 1 << 40)),
            any(9) ? () : (mask => 0))
    } 1 .. 1 + any(6);

    send_bytes($socket, mutated($bytes, one_of(0, 3)));

    return $socket;
}


sub commands {
    my $socket = session(one_of(@queries));

    send_bytes($socket, join '', map {
        Delta::Client::WS->frame(1, mutated(one_of(@commands)))
    } 1 .. 1 + any(12));

    return $socket;
}


sub packed {
    my $socket = session(one_of(@queries),
                         'Sec-WebSocket-Protocol: delta.v1.msgpack');

    send_bytes($socket, join '', map {
        Delta::Client::WS->frame(2, mutated(one_of(@packed), 6))
    } 1 .. 1 + any(8));

    return $socket;
}


sub tokens {
    my ($head, $payload, $sign) = split /\./, $TOKEN;

    my $token = one_of(
        mutated($TOKEN), mutated($head) . ".$payload.$sign",
        "$head." . mutated($payload) . ".$sign",
        "$head.$payload." . mutated($sign), join('.', (one_of(@words)) x 3),
        jwt({ sub => one_of(@words), exp => 1e12 }, $t->{key}),
        jwt({ sub => one_of('a', 1, [ 1 ], { a => 1 }), iat => one_of(@words),
              exp => one_of(0, -1, 1e300, 'x', 1e18) }, $t->{key}),
        jwt({ map { $_ => 'x' x any(2000) } 'sub', 'aud' }, $t->{key},
            kid => one_of(@words)));

    return request(any(2)
        ? "GET /header HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n"
          . "Authorization: Bearer $token\r\n\r\n"
        : upgrade('/header', "Sec-WebSocket-Protocol: delta.v1.json, "
                             . "bearer.$token"));
}


sub streams {
    my $path = any(2) ? one_of(@queries)
             : '/stream?room=' . one_of(qw(two three four ../x))
               . '&since=' . mutated('2025-07-28T10:30:16.123Z', 2);

    return request(mutated(join("\r\n",
        'GET ' . mutated($path, 1) . ' HTTP/1.1', 'Host: a',
        "Authorization: Bearer $TOKEN", 'Accept: text/event-stream',
        'Last-Event-ID: ' . mutated('1735689000.1735689600000-3', 2),
        '', ''), one_of(0, 0, 2)));
}


sub arguments {
    my $path = mutated(one_of(@queries), 6);

    $path =~ s/[\0\r\n ]/+/g if any(4);

    return request(any(2) ? upgrade($path)
                          : "GET $path HTTP/1.1\r\nHost: a\r\n"
                            . "Accept: text/event-stream\r\n\r\n");
}


sub posts {
    my $body = mutated(one_of(@posts), 5);
    my $length = length($body) + (any(6) ? 0 : any(9) - 4);

    return request(mutated("POST " . one_of('/publish', '/handed', '/health')
        . " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        . (any(5) ? "Content-Length: $length\r\n\r\n"
                  : "Transfer-Encoding: chunked\r\n\r\n"
                    . sprintf("%x\r\n", $length)), one_of(0, 0, 1)), $body);
}


# Not by delta_publish, and not what it would write.

sub published {
    for (1 .. 1 + any(5)) {
        $t->redis('PUBLISH', one_of('room:two', 'user:mallory', 'presence:ben',
                                    'presence:mallory', 'user:mallory:control'),
                  mutated(one_of('1-1 0-0 {"t":"note","d":{}}',
                      '{"t":"note","d":{"a":1}}', '99 {"t":"presence_update",'
                      . '"d":{"id":"mallory","s":"busy","p":null}}',
                      '{"t":"grant","d":{"channel":"room:two"}}',
                      '{"t":"replaced","d":{"session":"x","gen":5}}'), 3));
    }

    return;
}


sub others {
    my $path = one_of('/world?w=w', '/range?w=w&from=5&to=7', '/health',
                      '/range?w=x&from=1&to=999999999999999', '/metrics');

    return request(one_of(qw(GET HEAD POST OPTIONS), 'X' x 40) . ' '
                   . mutated($path, 3) . " HTTP/1.1\r\nHost: a\r\n\r\n");
}


# Those beside them.

sub mark {
    $t->publish('room:one', { t => 'mark', d => { n => ++$marks } });
}


sub read_marks {
    my ($i) = @_;

    while (@{ $seen[$i] } < $marks) {
        my $event = $ben[$i]->read_until('mark') or last;
        push @{ $seen[$i] }, $event->{d}{n};
    }
}


# Nobody is left but ben, who is still alive.

sub gone {
    my ($when) = @_;

    my %now;

    wait_for(sub {
        $ben[0]->send_json({ t => 'heartbeat' });
        %now = gauges();
        return !grep { $now{$_} != $before{$_} } keys %before;
    });

    is_deeply(\%now, \%before,
              "sessions, channels and leases are as at the start $when");
}


sub gauges {
    my $text = $t->http(GET => '/metrics')->body;

    return (
        ws => $text =~ /^delta_sessions\{transport="ws"\} (\d+)/m,
        sse => $text =~ /^delta_sessions\{transport="sse"\} (\d+)/m,
        leases => $text =~ /^delta_leases (\d+)/m,
        channels => $text =~ /^delta_channels (\d+)/m,
    );
}


sub memory {
    return map {
        open my $fh, '<', "/proc/$_/status" or die "$_: $!";
        map { /^VmRSS:\s+(\d+)/ } <$fh>;
    } @workers;
}
