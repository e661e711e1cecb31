#!/usr/bin/perl

# Copyright (C) Delta contributors

# An identity holds by the rules of the location that the request came to,
# however it came there and whoever has asked before.

use Delta;

my $t = Delta->new;

$t->start_redis;

$t->start_nginx($t->conf(http => <<'HTTP', server => <<'SERVER'));
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
limit_req_zone $delta_user zone=req:1m rate=1000r/s;
HTTP
delta_jwt aud=web;
delta_subscribe user:$delta_user;
set $early $delta_user/$delta_claim_role;
limit_req zone=req burst=100;

location = /gateway { delta_gateway; }
location = /metrics { delta_jwt off; delta_metrics; if ($arg_a) { set $b 1; } }

location = /admin { delta_jwt aud=admin; delta_gateway; }
location = /gate { delta_jwt aud=admin; empty_gif; }
location = /other { delta_jwt off; delta_user guest; delta_gateway; }
location = /cookie { delta_jwt aud=web token=$cookie_t; delta_gateway; }
location = /who {
    delta_jwt off;
    proxy_set_header X-Who "$early $delta_user/$delta_claim_role";
    proxy_pass http://127.0.0.1:%%PORT_1%%;
}

location = /rewritten { set $a $delta_user; rewrite ^ /admin last; }
location = /failed { error_page 404 = /admin; return 404; }
location = /named { error_page 404 = @admin; return 404; }
location @admin { delta_jwt aud=admin; delta_gateway; }
location = /tried { try_files /none /admin; }

location = /sub { delta_jwt off; auth_request /gateway; empty_gif; }
location = /mirrored { delta_jwt off; mirror /gateway; empty_gif; }
location = /after { delta_jwt off; post_action /gateway; empty_gif; }
}

server {
    listen 127.0.0.1:%%PORT_1%%;
    location / { return 200 "$http_x_who"; }
SERVER

my @web = (token => $t->token('ben', aud => 'web', role => 'mod'));
my @admin = (token => $t->token('ben', aud => [ 'web', 'admin' ]));
my @sse = (headers => [ Accept => 'text/event-stream' ]);

is($t->ws('/gateway', @web)->read_json->{d}{user_id}, 'ben',
   'a user of the server is one of its gateway');

for my $path (qw(/admin /rewritten /failed /named /tried)) {
    is($t->ws($path, @web)->status, 401,
       "$path: what the outer delta_jwt took is not enough for the inner");
    is($t->ws($path, @admin)->status, 101, "$path: what the inner wants is");
}

is($t->http(GET => '/gate', @web)->status, 401, 'a gate is as strict');
is($t->http(GET => '/gate', @admin)->status, 200, 'and as open');
is($t->ws('/other', @web)->read_json->{d}{user_id}, 'guest',
   'a token that is not asked for does not name the user');
is($t->ws('/cookie', @web)->status, 401, 'nor one from another place');
is($t->http(GET => '/who', @web)->body, 'ben/mod /',
   'its claims are gone, too');
is($t->http(GET => '/metrics?a=1')->status, 200,
   'an "if" beside delta_metrics is no file');

my $opened = opened();

is($t->http(GET => '/sub', @web, @sse)->status, 403,
   'a gateway as auth_request is a refusal');
is($t->http(GET => "/$_", @web, @sse)->status, 200, "$_: it has no say")
    for qw(mirrored after);

ok(wait_for(sub {
    (() = $t->log =~ /a gateway cannot answer a subrequest/g) >= 3;
}), 'the log says that it cannot be one');
is(opened(), $opened, 'and no session was opened');

done_testing;


sub opened {
    my ($n) = $t->http(GET => '/metrics')->body
        =~ /^delta_sessions_opened_total (\d+)/m;

    return $n;
}
