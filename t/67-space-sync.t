#!/usr/bin/perl

# Copyright (C) Delta contributors

# The client library's part of a space, in Node before the whole of Delta: a
# client that is cut off at random ends with the backend's list.  DELTA_SEED
# repeats.

use Delta;

use Delta::Node qw(relay);

my $node = `node --version 2>&1` // '';
$node =~ /^v(\d+)/ && $1 >= 18
    or plan(skip_all => 'node 18 or newer is needed (package nodejs)');

my $t = Delta->new;
my $seed = $ENV{DELTA_SEED} || 1 + int rand 1e6;

$t->start_redis;
$t->start_upstream;
$t->start_nginx($t->conf(http => <<'END', server => <<'END'), workers => 2);
    delta_redis %%REDIS%%;
    delta_jwt_key_file jwks.json;
    delta_channel space:* keep=1h window=100ms max=10 replay=50;
    upstream app { server %%UPSTREAM%%; }
END
    delta_jwt optional;
    location = /api/stream {
        delta_gateway sse;
        delta_envelope space;
        delta_subscribe space:$arg_spaceId in=user:$delta_user:spaces;
        delta_backfill
            /internal/intentions?spaceId=$arg_spaceId&since=$delta_since;
    }
    location /internal/ {
        internal;
        delta_jwt off;
        proxy_pass http://app;
        proxy_set_header X-User $delta_user;
        proxy_pass_request_headers off;
        proxy_pass_request_body off;
        subrequest_output_buffer_size 256k;
    }
    location /api/ {
        proxy_pass http://app;
        proxy_set_header X-User $delta_user;
    }
END

my $space;

ok(wait_for(sub {
    my $answer = $t->http(POST => '/api/spaces', token => $t->token('ada'),
                          json => { name => 'A place' });
    $space = $answer->{json}{id};
}), 'there is a space');

$t->http(PUT => "/api/spaces/$space/members/me", token => $t->token('ben'));
wait_for(sub { $t->redis('SISMEMBER', 'user:ben:spaces', $space) });
note("seed $seed");

subtest 'cut off at random' => sub {
    relay("$Delta::TOP/t/client/live/space.test.js", 60,
          DELTA_URL => 'http://127.0.0.1:' . $t->port,
          DELTA_SPACE => $space,
          DELTA_SEED => $seed,
          DELTA_SLOW => $Delta::SLOW,
          map { ("DELTA_TOKEN_\U$_" => $t->token($_)) } qw(ada ben));
};

done_testing;
