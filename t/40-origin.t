#!/usr/bin/perl

# Copyright (C) Delta contributors

# Which sites may open a session from a browser, and what CORS says of it.

use Delta;

my $t = Delta->new;

$t->start_redis;

$t->start_nginx($t->conf(http => <<'END', server => <<'END'));
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
END
delta_jwt optional;
delta_subscribe user:$delta_user;

location = /gateway { delta_gateway; }
location = /any { delta_gateway; delta_origin *; }

location = /cors {
    delta_gateway;
    delta_origin https://app.example.com *.example.net
                 https://*.example.org:8443;
}

location = /group {
    delta_gateway;
    delta_origin https://app.example.com;
    delta_subscribe group:$arg_id in=nobody;
}

location = /asked {
    delta_gateway;
    delta_jwt off;
    delta_user $http_x_user;
    delta_origin https://app.example.com;
    auth_request /auth;
    error_page 429 /busy;
    delta_limit connections=1;
}

location = /denied {
    delta_gateway;
    delta_origin https://app.example.com;
    limit_except GET { deny all; }
    deny all;
}

location = /auth { if ($http_x_user = "") { return 401; } return 204; }
location = /busy { internal; return 200 busy; }
}

server {
    listen 127.0.0.1:%%PORT_1%%;
    delta_redis redis://127.0.0.1:%%PORT_2%%;
    delta_jwt;
    delta_subscribe user:$delta_user;
    location = /down { delta_gateway; delta_origin https://app.example.com; }
END

my $token = $t->token('ben');

# it says 503 until the links to Redis are up
is($t->sse('/gateway', token => $token)->status, 200, 'the gateway is up');

origins();
cors();
refusals();
preflights();

done_testing;


sub origins {
    my $host = '127.0.0.1:' . $t->port;

    my @cases = (
        [ 101, '/gateway', "http://$host", 'the same origin' ],
        [ 101, '/gateway', "https://$host", 'and behind TLS of another' ],
        [ 403, '/gateway', 'http://127.0.0.1', 'another port' ],
        [ 403, '/gateway', "http://${host}0", 'a longer port' ],
        [ 403, '/gateway', 'http://evil.example', 'another host' ],
        [ 403, '/gateway', "http://$host.evil.example", 'a longer host' ],
        [ 403, '/gateway', "http://evil.example/$host", 'a path' ],
        [ 403, '/gateway', "http://x\@$host", 'a user' ],
        [ 403, '/gateway', $host, 'no scheme' ],
        [ 403, '/gateway', 'null', 'null' ],
        [ 403, '/gateway', '', 'an empty one' ],
        [ 403, '/gateway', '://', 'hardly one' ],
        [ 403, '/gateway', 'h' x 6000, 'a long one' ],
        [ 101, '/cors', 'https://app.example.com', 'listed' ],
        [ 101, '/cors', 'HTTPS://App.Example.com', 'in any case' ],
        [ 101, '/cors', "http://$host", 'the same origin beside a list' ],
        [ 403, '/cors', 'http://app.example.com', 'another scheme' ],
        [ 403, '/cors', 'https://app.example.com:444', 'another port' ],
        [ 403, '/cors', 'https://xapp.example.com', 'a longer host' ],
        [ 403, '/cors', 'https://app.example.com.evil.example', 'longer' ],
        [ 101, '/cors', 'https://a.example.net', 'a wildcard' ],
        [ 101, '/cors', 'http://a.b.example.net', 'over several labels' ],
        [ 403, '/cors', 'https://example.net', 'but not over none' ],
        [ 403, '/cors', 'https://.example.net', 'or an empty one' ],
        [ 403, '/cors', 'https://evilexample.net', 'or half of one' ],
        [ 403, '/cors', 'https://a.example.net:81', 'or a port' ],
        [ 403, '/cors', 'https://evil.example/.example.net', 'or a path' ],
        [ 101, '/cors', 'https://a.example.org:8443', 'one with all' ],
        [ 403, '/cors', 'http://a.example.org:8443', 'without its scheme' ],
        [ 403, '/cors', 'https://a.example.org', 'without its port' ],
        [ 403, '/cors', 'null', 'null' ],
        [ 101, '/any', 'https://who.ever', 'any where any may' ],
        [ 403, '/any', 'null', 'but null' ],
    );

    for (@cases) {
        my ($status, $path, $origin, $name) = @$_;
        is(status($path, Origin => $origin), $status,
           "origin of $path: $name: $status");
    }

    is(status('/gateway', Origin => "http://$host", Origin => $_), 403,
       'two origins are refused') for "http://$host", 'http://evil.example';

    for my $pair ([ 'app', 'http://app', 101 ], [ 'app:80', 'http://app', 101 ],
                  [ 'app:443', 'https://app', 101 ],
                  [ 'app:443', 'http://app', 403 ],
                  [ 'app:80', 'https://app', 403 ],
                  [ 'app:8080', 'http://app', 403 ],
                  [ 'APP:8080', 'http://app:8080', 101 ])
    {
        my ($name, $origin, $status) = @$pair;
        is(status('/gateway', Host => $name, Origin => $origin), $status,
           "Host $name, Origin $origin: $status");
    }
}


sub cors {
    my $origin = 'https://app.example.com';

    my $sse = $t->sse('/cors', token => $token,
                      headers => [ Origin => $origin ]);
    is($sse->header('Access-Control-Allow-Origin'), $origin,
       'a stream to another site says that it may read it');
    is($sse->header('Access-Control-Allow-Credentials'), 'true',
       'with credentials');
    like($sse->header('Vary'), qr/\bOrigin\b/, 'and varies');

    $sse = $t->sse('/cors', token => $token);
    is($sse->header('Access-Control-Allow-Origin'), undef,
       'without Origin there is nothing to be said');
    like($sse->header('Vary'), qr/\bOrigin\b/, 'but caches must know');

    my $pre = $t->http(OPTIONS => '/cors', headers => [ Origin => $origin,
        'Access-Control-Request-Method' => 'GET',
        'Access-Control-Request-Headers' => 'authorization' ]);

    is($pre->status, 204, 'a preflight, which has no credentials, is 204');
    is($pre->header('Access-Control-Allow-Origin'), $origin, 'and may');
    like($pre->header('Access-Control-Allow-Headers'), qr/Authorization/,
         'with Authorization');
    like($pre->header('Access-Control-Allow-Methods'), qr/GET/, 'GET');
    is($pre->{in}, '', 'and has no body');

    $pre = $t->http(OPTIONS => '/cors',
                    headers => [ Origin => 'https://evil.example' ]);
    is($pre->status, 403, 'a preflight of any other is 403');
    is(scalar(grep { /^access-control/ } keys %{ $pre->{headers} }), 0,
       'and is told nothing');
    is($t->http(OPTIONS => '/gateway')->status, 204, 'OPTIONS by itself');
}


# A script reads the status of a refusal, if its site is an allowed one.

sub refusals {
    my @user = ('X-User' => 'ben');
    my @sse = (Accept => 'text/event-stream');
    my $bad = $t->token('ben', exp => 1);
    my $first = $t->ws('/asked', headers => [ @user ]);

    is($first->read_json->{t}, 'ready', 'one session is open');

    my @cases = (
        [ 400, GET => '/cors?since=x', $token, [ @sse ] ],
        [ 401, GET => '/cors', undef, [ @sse ] ],
        [ 401, HEAD => '/cors', $bad, [] ],
        [ 401, GET => '/asked', undef, [ @sse ] ],
        [ 403, GET => '/group?id=7', $token, [ @sse ] ],
        [ 403, GET => '/group?id=a:b', $token, [ @sse ] ],
        [ 403, GET => '/denied', $token, [ @sse ] ],
        [ 405, POST => '/cors', $token, [] ],
        [ 426, GET => '/cors', $token, [] ],
        [ 429, GET => '/asked', undef, [ @user, @sse ] ],
        [ 503, GET => '/down', $token, [ @sse ] ],
    );

    for (@cases) {
        my ($status, $method, $path, $with, $headers) = @$_;
        my @request = ($method => $path, token => $with, headers => $headers);
        my $name = "$method $path: $status";

        my $answer = ask(@request, 'https://app.example.com');
        is($answer->status, $status, $name);
        is($answer->header('Access-Control-Allow-Origin'),
           'https://app.example.com', "$name may be read, and is said so once");
        is($answer->header('Access-Control-Allow-Credentials'), 'true',
           'also with credentials');
        like($answer->header('Access-Control-Expose-Headers'),
             qr/Retry-After/, 'and when to try again');
        like($answer->header('Retry-After'), qr/^[1-5]$/, 'which it says')
            if $status =~ /429|503/;
        is($answer->header('Vary'), 'Origin', 'and it varies');

        for my $origin ('https://evil.example', undef) {
            $answer = ask(@request, $origin);
            is(scalar(grep { /^access-control/ }
                      keys %{ $answer->{headers} }), 0,
               "$name: " . ($origin // 'nobody') . ' is told nothing');
        }
    }

    my $answer = $t->http(GET => '/auth',
                          headers => [ Origin => 'https://app.example.com' ]);
    is($answer->header('Access-Control-Allow-Origin'), undef,
       'what is no gateway is left alone');
}


sub ask {
    my ($method, $path, %opt) = (@_[0, 1], @_[2 .. $#_ - 1]);
    my $origin = $_[-1];

    push @{ $opt{headers} = [ @{ $opt{headers} } ] }, Origin => $origin
        if $origin;

    $opt{port} = $t->port(1) if $path eq '/down';

    return $t->http($method => $path, %opt);
}


# They bear no credentials and must not be asked for some.

sub preflights {
    my @wants = ('Access-Control-Request-Method' => 'GET',
                 'Access-Control-Request-Headers' => 'authorization');
    my $origin = 'https://app.example.com';

    for my $path ('/cors', '/asked', '/denied', '/group') {
        my $pre = $t->http(OPTIONS => $path,
                           headers => [ Origin => $origin, @wants ]);

        is($pre->status, 204, "$path: a preflight is 204");
        is($pre->header('Access-Control-Allow-Origin'), $origin, 'and may');
        is($pre->header('Access-Control-Allow-Headers'),
           'Authorization, Last-Event-ID', 'with these');
        is($pre->header('Access-Control-Max-Age'), 3600, 'for an hour');
        is($pre->header('Vary'), 'Origin', 'and it varies');
        is($pre->{in}, '', 'and has no body');

        $pre = $t->http(OPTIONS => $path,
                        headers => [ Origin => 'https://evil.example',
                                     @wants ]);
        like($pre->status, qr/^40[13]$/, "$path: not for any other");
        is(scalar(grep { /^access-control/ } keys %{ $pre->{headers} }), 0,
           'who is told nothing');
    }

    my $body = 'GET /smuggled HTTP/1.1';
    my $pre = $t->http(OPTIONS => '/asked', body => $body,
                       headers => [ Origin => $origin, @wants ]);
    is($pre->status, 204, 'a preflight with a body');

    is($t->http(OPTIONS => '/asked', headers => [ Origin => $origin ])
           ->status, 401, 'OPTIONS that is no preflight is asked');
}


# The status of a handshake with these headers.

sub status {
    my ($path, @headers) = @_;

    my $omit = { @headers }->{Host} ? [ 'Host' ] : [];

    return $t->ws($path, token => $token, headers => \@headers,
                  omit => $omit, retry => 0)->status;
}
