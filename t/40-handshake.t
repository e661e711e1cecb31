#!/usr/bin/perl

# Copyright (C) Delta contributors

# What comes before a session: which requests open one, what the others are
# told, and that no byte of theirs is ever taken for something else.

use Delta;

my $t = Delta->new;

$t->start_redis;
$t->redis('SADD', 'user:ben:groups', 'g1');

my $http = <<'END';
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
log_format seen '$request_method $uri $status';
access_log %%DIR%%/seen.log seen;
END

my $gateway = 'delta_subscribe user:$delta_user; delta_gateway';

$t->start_nginx($t->conf(http => $http, server => <<"END"));
delta_jwt optional;
keepalive_requests 10000;

location = /gateway { $gateway; }
location = /ws { $gateway websocket; }
location = /sse { $gateway sse; }
location = /cookie { $gateway; delta_jwt optional token=\$cookie_t; }
location = /none { $gateway; delta_jwt off; delta_user \$arg_user; }
location = /one { $gateway; delta_limit connections=1; }

location = /group {
    delta_subscribe group:\$arg_id in=user:\$delta_user:groups;
    delta_gateway;
}

location = /metrics { delta_metrics; }
location / { return 200 "plain\\n"; }
}

server {
    listen 127.0.0.1:%%PORT_1%%;
    delta_redis redis://127.0.0.1:%%PORT_2%%;
    delta_jwt optional;
    location = /gateway { $gateway; }
END

my $token = $t->token('ben');
my %ws = (Upgrade => 'websocket', Connection => 'Upgrade',
          'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==',
          'Sec-WebSocket-Version' => 13);

# it says 503 until the links to Redis are up
is($t->sse('/gateway', token => $token)->status, 200, 'the gateway is up');

good();
methods();
negatives();
probes();
locations();
subprotocols();
identity();
bodies();
limits();

# "bearer" is what a log would hold a token behind
for my $log (qw(error.log access.log seen.log)) {
    unlike($t->read_file($log), qr/eyJ|bearer\.|Bearer ./,
           "no token is in $log");
}

done_testing;


sub good {
    my $ws = ws();

    is($ws->status, 101, 'a handshake is answered by 101');
    is($ws->header('Upgrade'), 'websocket', 'with Upgrade');
    is(lc $ws->header('Connection'), 'upgrade', 'and Connection');
    is($ws->header('Sec-WebSocket-Accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
       "and the RFC's own Accept for the RFC's own key");
    is($ws->header($_), undef, "without $_") for qw(Content-Length
        Transfer-Encoding Sec-WebSocket-Protocol Sec-WebSocket-Extensions);
    is($ws->read_json->{t}, 'ready', 'and by ready');

    is(status(Upgrade => 'WebSocket'), 101, 'Upgrade in any case');
    is(status(Upgrade => 'h2c, websocket'), 101, 'Upgrade as a list');
    is(status(Connection => 'keep-alive, UPGRADE'), 101,
       'Connection as a list, in any case');
    is(status(Connection => 'keep-alive',
              -more => [ Connection => 'Upgrade' ]), 101,
       'Connection in two lines');
    is(status(-more => [ 'Content-Length' => 0 ]), 101,
       'Content-Length: 0 is no body');
    is(status(-more => [ 'Sec-WebSocket-Extensions' =>
                         'permessage-deflate; client_max_window_bits' ]), 101,
       'an extension that nobody takes');

    $ws = $t->ws('/gateway', token => $token, pipelined =>
        Delta::Client::WS->frame(9, 'early')
        . Delta::Client::WS->frame(1, '{"t":"heartbeat","ref":1}')
        . substr Delta::Client::WS->frame(1, '{"t":"heartbeat","ref":2}'),
                 0, 9);
    is($ws->read_json->{t}, 'ready',
       'frames in the packet of the handshake: ready comes first');
    is($ws->read_json->{d}{ref}, 1, 'then their answers');
    $ws->send_raw(substr Delta::Client::WS->frame(1,
        '{"t":"heartbeat","ref":2}'), 9);
    is($ws->read_json->{d}{ref}, 2, 'and half a frame is kept');

    $ws = $t->ws('/gateway', token => $token,
                 pipelined => Delta::Client::WS->frame(8, pack 'n', 1000));
    is(($ws->read_close)[0], 1000, 'a close in the packet of the handshake');
    ok($ws->closed, 'ends it');
}


sub methods {
    for my $method (qw(POST PUT DELETE PATCH PROPFIND)) {
        for my $path (qw(/gateway /sse /ws)) {
            my $answer = $t->http($method => $path, token => $token);
            is($answer->status, 405, "$method $path is 405");
            is($answer->header('Allow'), 'GET, HEAD, OPTIONS',
               'and says what is allowed');
        }
    }

    is(status(-method => 'POST'), 405, 'POST with a handshake is 405');
    is($t->http(POST => '/gateway')->status, 405, 'whoever asks');

    my $answer = $t->http(GET => '/gateway', token => $token);

    is($answer->status, 426, 'a plain GET is 426');
    is($answer->header('Sec-WebSocket-Version'), 13, 'with the version');
    like($answer->header('Upgrade'), qr/^websocket$/i, 'and Upgrade');
}


sub negatives {
    for my $version (qw(8 0 14 013 1 13.0 x), '13, 8', '') {
        my $ws = ws('Sec-WebSocket-Version' => $version);
        is($ws->status, 426, "version \"$version\" is 426");
        is($ws->header('Sec-WebSocket-Version'), 13, 'and names 13');
    }

    is(status('Sec-WebSocket-Version' => undef), 426, 'no version is 426');

    is(status(Upgrade => undef), 426, 'no Upgrade is a plain GET: 426');
    is(status(Upgrade => $_), 426, "Upgrade \"$_\" is one, too")
        for qw(h2c websockets xwebsocket websocket/8), '';

    is(status(Connection => $_), 400,
       'Connection ' . ($_ // 'missing') . ' is 400')
        for undef, '', qw(close keep-alive upgraded);

    my %key = (
        missing => undef, empty => '', short => 'dGhlIHNhbXBsZQ==',
        'of 15 octets' => 'AAAAAAAAAAAAAAAAAAAA',
        'of 17 octets' => 'AAAAAAAAAAAAAAAAAAAAAAA=',
        'of 18 octets' => 'AAAAAAAAAAAAAAAAAAAAAAAA',
        'not base64' => 'dGhlIHNhbXBsZSBub25jZ!==',
        'without padding' => 'dGhlIHNhbXBsZSBub25jZQ',
        'long' => 'A' x 6000,
    );

    is(status('Sec-WebSocket-Key' => $key{$_}), 400, "a key $_ is 400")
        for sort keys %key;
    is(status(-more => [ 'Sec-WebSocket-Key' => $ws{'Sec-WebSocket-Key'} ]),
       400, 'a key given twice is 400');

    is(status(-http => '1.0'), 400, 'HTTP/1.0 is 400');
}


# A probe says what GET would say and opens nothing.

sub probes {
    my $opened = opened();
    my %port = (redis => $t->port(1));

    my @cases = (
        [ 401, '/gateway' ],
        [ 401, '/gateway', token => substr $token, 0, -2 ],
        [ 403, '/gateway', token => $token,
          headers => [ Origin => 'https://evil.example' ] ],
        [ 403, '/group?id=g2', token => $token ],
        [ 403, '/group?id=', token => $token ],
        [ 403, '/group?id=a%3Ab', token => $token ],
        [ 403, '/none?user=a:b' ],
        [ 401, '/none?user=' ],
        [ 503, '/gateway', token => $token, port => $port{redis} ],
        [ 200, '/gateway', token => $token ],
        [ 200, '/group?id=g1', token => $token ],
        [ 200, '/ws', token => $token ],
        [ 200, '/sse', token => $token ],
    );

    for my $case (@cases) {
        my ($status, $path, %opt) = @$case;

        my $head = $t->http(HEAD => $path, %opt);
        is($head->status, $status, "HEAD $path is $status");
        is($head->{in}, '', 'and has no body');

        next if $status == 200;

        is($t->http(GET => $path, %opt)->status, $status, 'as GET is');
        is($t->ws($path, %opt, retry => 0)->status, $status,
           'and a handshake');
        like($head->header('Retry-After'), qr/^[1-9]$/, 'with Retry-After')
            if $status == 503;
    }

    my $head = start(HEAD => '/gateway', [], token => $token);
    $head->send_raw("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    is($head->status, 200, 'HEAD keeps the connection');
    $head->read_head;
    is($head->status, 200, 'for the next request');

    is($t->http(HEAD => '/gateway', token => $token, http => '1.0')->status,
       200, 'HEAD in HTTP/1.0');
    is(opened(), $opened, 'no session was opened');
}


sub locations {
    my $sse = $t->sse('/sse', token => $token);
    is($sse->status, 200, 'sse: Accept: text/event-stream');

    for my $accept ('*/*', 'text/*', 'Text/Event-Stream;q=0.9, x/y', '') {
        is(accepts('/sse', $accept), 200, "sse: Accept \"$accept\" will do");
    }

    is(accepts('/sse', undef), 200, 'sse: so will none');
    is(accepts('/sse', $_), 406, "sse: Accept $_ is 406")
        for qw(application/json text/html image/*);

    is(accepts('/gateway', $_), 426, 'both: Accept ' . ($_ // 'missing')
       . ' is 426') for undef, '*/*', 'text/*', 'text/html';
    is(accepts('/gateway', 'text/html, text/event-stream'), 200,
       'both: text/event-stream in a list');
    is(accepts('/ws', 'text/event-stream'), 426,
       'websocket: text/event-stream is 426');

    is(status(-path => '/ws'), 101, 'websocket: a handshake');
    is(status(-more => [ Accept => 'text/event-stream' ]), 101,
       'a handshake goes before Accept');
}


sub accepts {
    my ($path, $accept) = @_;

    my $client = start(GET => $path,
                           [ defined $accept ? (Accept => $accept) : () ],
                           token => $token);

    like($client->header('Content-Type'), qr{^text/event-stream$},
         'the answer is a stream') if $client->status eq '200';

    return $client->status;
}


sub subprotocols {
    my $protocol = 'Sec-WebSocket-Protocol';

    my $ws = ws($protocol => 'delta.v1.json');
    is($ws->status, 101, 'delta.v1.json is taken');
    is($ws->header($protocol), 'delta.v1.json', 'and echoed');

    $ws = ws($protocol => 'graphql-ws, delta.v1.json,x');
    is($ws->header($protocol), 'delta.v1.json', 'out of several, too');

    for (['delta.v1.msgpack', 'msgpack'],
         ['delta.v1.msgpack, delta.v1.json', 'msgpack'],
         ['delta.v1.json,delta.v1.msgpack', 'json'],
         ["x, bearer.$token, delta.v1.msgpack", 'msgpack'],
         ['Delta.v1.msgpack, delta.v1.json', 'json'],
         ['delta.v1.msgpackx, delta.v1.json', 'json'])
    {
        is(ws($protocol => $_->[0])->header($protocol), "delta.v1.$_->[1]",
           "$_->[1] is the first known of \"$_->[0]\"" =~ s/$token/x/r);
    }

    $ws = ws($protocol => 'x, delta.v1.msgpack',
             -more => [ $protocol => 'delta.v1.json' ]);
    is($ws->header($protocol), 'delta.v1.msgpack', 'and of two lines');

    is(status($protocol => $_), 400, "\"$_\" alone is 400")
        for 'graphql-ws', 'delta.v2.json', 'delta.v1.jsonx', 'Delta.V1.Json',
            'Delta.v1.msgpack', '';
    is(status($protocol => "bearer.$token"), 400,
       'a token without a protocol to echo is 400');

    for my $offer ("delta.v1.json, bearer.$token",
                   "bearer.$token,delta.v1.json",
                   "x,bearer.$token\t,\tdelta.v1.json")
    {
        $ws = ws(-token => undef, $protocol => $offer);
        is($ws->status, 101, 'a token as a subprotocol authenticates');
        is($ws->header($protocol), 'delta.v1.json', 'and is not echoed');
        is($ws->read_json->{d}{user_id}, 'ben', 'its user is known');
    }

    is(status(-token => undef, $protocol => 'delta.v1.json, bearer.x.y.z'),
       401, 'a bad one is 401');
    is(status($protocol => ('x' x 200 . ', ') x 30 . 'delta.v1.json'), 101,
       'a long offer');

    $ws = ws(-token => undef, $protocol => 'delta.v1.json',
             -more => [ $protocol => "bearer.$token" ]);
    is($ws->status, 101, 'an offer in two lines');
    $ws = ws(-token => undef, $protocol => "bearer.$token",
             -more => [ $protocol => 'delta.v1.json' ]);
    is($ws->header($protocol), 'delta.v1.json', 'in either order');
}


sub identity {
    my $answer = $t->http(GET => '/gateway');

    is($answer->status, 401, 'nobody is 401');
    is($answer->header('WWW-Authenticate'), 'Bearer', 'WWW-Authenticate');

    for my $bad ('x', 'a.b.c', "$token.x", $t->token('ben', exp => 1000),
                 'A' x 6000)
    {
        my $ws = ws(-token => $bad);
        is($ws->status, 401, 'a bad token is 401');
        is($ws->header('WWW-Authenticate'), 'Bearer error="invalid_token"',
           'and is said to be the reason');
        is(index($ws->{in} . join('', %{ $ws->{headers} }), $bad), -1,
           'and is not repeated') if length $bad > 9;
    }

    is($t->ws('/cookie', headers => [ Cookie => "a=b; t=$token" ])->status,
       101, 'a token in a named cookie');
    is($t->ws('/cookie', token => $token)->status, 401,
       'is then the only one');
    is($t->ws('/gateway', token => $t->token('a:b'))->status, 403,
       'a user that cannot stand in a channel name is 403');
    is($t->ws('/gateway', token => $t->token('*'))->status, 403,
       'not even a star');
}


# A body never becomes a request or a frame.

sub bodies {
    my $evil = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    my $chunked = sprintf "%x\r\n%s\r\n0\r\n\r\n", length $evil, $evil;

    my %frame = ('Content-Length: ' . length($evil) => $evil,
                 'Transfer-Encoding: chunked' => $chunked);

    my %expect = ('POST /gateway' => 405, 'PUT /sse' => 405,
                  'OPTIONS /gateway' => 204, 'GET /gateway' => 426,
                  'HEAD /gateway' => 200, 'GET /group?id=no' => 403);

    for my $request (sort keys %expect) {
        for my $kind (sort keys %frame) {
            for my $more ('', "Expect: 100-continue\r\n") {
                my @got = talk("$request HTTP/1.1\r\nHost: a\r\n$kind\r\n"
                               . "Authorization: Bearer $token\r\n$more\r\n"
                               . $frame{$kind});

                is(shift @got, $expect{$request},
                   "$request with a body by $kind" . ($more && ', expected'));
                is_deeply(\@got, [ 200 ], 'is followed by what follows');
            }
        }
    }

    # nobody: the answer is an error page of nginx's own
    for my $kind (sort keys %frame) {
        is_deeply([ talk("GET /gateway HTTP/1.1\r\nHost: a\r\n$kind\r\n\r\n"
                         . $frame{$kind}) ], [ 401, 200 ], "401, $kind");
    }

    my $upgrade = join '', map { "$_: $ws{$_}\r\n" } sort keys %ws;

    for my $kind (sort keys %frame) {
        my $client = start(GET => '/gateway', [ %ws,
            split(/: /, $kind) ], token => $token, pipelined => $frame{$kind});
        is($client->status, 400, "a handshake with a body is 400, $kind");
        ok($client->closed, 'and the end of the connection');

        # its body comes after the answer, if it was awaited
        $client = start(GET => '/gateway', [ %ws, split(/: /, $kind) ],
                            token => $token);
        is($client->status, 400, 'also if the body is late');
        $client->send_raw($frame{$kind});
        ok($client->closed, 'and the end of the connection');
    }

    # a stream: the body arrives with the header, or while it streams
    for my $cut (0, 5, length $evil) {
        my $sse = start(GET => '/sse', [ Accept => 'text/event-stream',
            'Content-Length' => length $evil ], token => $token,
            pipelined => substr $evil, 0, $cut);
        bless $sse, 'Delta::Client::SSE';

        is($sse->status, 200, "a stream asked for with a body, $cut first");
        is($sse->read_json->{t}, 'ready', 'begins');
        $sse->send_raw(substr $evil, $cut);
        $sse->send_raw("GET /after HTTP/1.1\r\nHost: a\r\n"
                       . "Connection: close\r\n\r\n");

        $t->publish('user:ben', { t => 'x', d => {} });
        ok($sse->read_until('x'), 'and streams');
        $t->redis('PUBLISH', 'user:ben:control',
                  json_encode({ t => 'disconnect', d => {} }));
        ok($sse->read_until(sub { $sse->{close} }), 'and ends');
        $sse->closed;
    }

    unlike($t->read_file('seen.log'), qr/smuggled/,
           'no body was taken for a request');
}


# The statuses of what is answered to these bytes and one more request.

sub talk {
    my ($bytes) = @_;

    my $client = Delta::Client->start($t->port, '', '', [], raw => $bytes
        . "GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");

    $client->closed;

    my @status = grep { $_ != 100 } $client->{status},
        $client->{in} =~ m{HTTP/1\.1 (\d{3}) }g;

    return @status;
}


sub limits {
    my $user = $t->token('lim');

    my $first = $t->ws('/one', token => $user);
    is($first->read_json->{t}, 'ready', 'the only connection of a user');

    for my $method (qw(HEAD GET)) {
        my $answer = $t->http($method => '/one', token => $user);
        is($answer->status, 429, "one more is 429 by $method");
        like($answer->header('Retry-After'), qr/^[1-9]$/, 'with Retry-After');
    }

    $first->close(1000);
    ok(wait_for(sub {
        $t->http(HEAD => '/one', token => $user)->status == 200;
    }), 'until the first has left');

    is($t->http(GET => '/gateway', headers => [ 'X-Long' => 'a' x 20000 ])
           ->status, 400, 'a header of 20000 bytes is 400');
    is($t->http(GET => '/gateway?' . 'a' x 20000)->status, 414,
       'a URI of 20000 bytes is 414');
    is(status(-more => [ map { ("X-$_" => 'y' x 700) } 1 .. 30 ]), 101,
       'many headers below the limits');
}


# A handshake with other headers (undef: left out) and its status; -path,
# -token, -method, -http and -more (a list) are not headers.

sub ws {
    my %opt = (-path => '/gateway', -token => $token, -more => [], @_);
    my %header = (%ws, map { $_ => $opt{$_} } grep { !/^-/ } keys %opt);

    return bless start($opt{-method} || 'GET', $opt{-path},
        [ map { $_ => $header{$_} } grep { defined $header{$_} }
          sort keys %header ],
        token => $opt{-token}, headers => $opt{-more}, http => $opt{-http}),
        'Delta::Client::WS';
}


sub start {
    my ($method, $path, $headers, %opt) = @_;

    return Delta::Client->start($t->port, $method, $path, $headers, %opt);
}


sub status {
    return ws(@_)->status;
}


sub opened {
    my ($n) = $t->http(GET => '/metrics')->body
        =~ /^delta_sessions_opened_total (\d+)/m;

    return $n;
}
