#!/usr/bin/perl

# Copyright (C) Delta contributors

# nginx.conf: what nginx -t takes, refuses (with what to do instead) and warns
# of.

use Delta;
use MIME::Base64 qw(encode_base64url);

my $t = Delta->new;
my $secret = 'correct-horse-battery';

$t->file('secret', "$secret\n");
$t->file('wrong', "no-$secret\n");
$t->file('empty', "\n");
$t->file('events.json', '{"version":1,"events":{"e":{"scope":["user"],'
                        . '"d":{"type":"object"}}}}');
$t->file('long', 'x' x 1100);

my $redis = 'delta_redis redis://127.0.0.1;';
my $base = "$redis delta_user \$remote_user; delta_subscribe a;";


# Every directive: its contexts (http, server, location), a good form and
# argument lists of a wrong length.

my @directives = (
    [ delta_redis => 'hs', 'redis://127.0.0.1', '' ],
    [ delta_channel => 'h', 'guild:*', '' ],
    [ delta_contracts => 'h', 'events.json', '', 'a unknown=pass b' ],
    [ delta_max_event => 'h', '32k', '', '1k 2k' ],
    [ delta_jwt => 'hsl', 'off' ],
    [ delta_jwt_key_file => 'hsl', 'jwks.json', '', 'a b' ],
    [ delta_user => 'hsl', '$remote_user', '', 'a b' ],
    [ delta_gateway => 'l', '', 'websocket sse sse' ],
    [ delta_origin => 'hsl', 'https://a.example', '' ],
    [ delta_subscribe => 'hsl', 'world:default', '' ],
    [ delta_membership => 'hsl', '/internal/membership max=8 ttl=1m', '',
      '/a max=1 ttl=1m x' ],
    [ delta_envelope => 'hsl', 'op', '', 'op op' ],
    [ delta_backfill => 'hsl', '/a', '', '/a /b' ],
    [ delta_heartbeat => 'hsl', 'off', '', '1s missed=1 x' ],
    [ delta_drain => 'hsl', '5s', '', '1s 2s' ],
    [ delta_resume => 'hsl', 'overlap=1s', '',
      '1s overlap=1s spread=1s spread=2s' ],
    [ delta_presence => 'hsl', 'off', 'ttl=1s refresh=1s off' ],
    [ delta_queue => 'hsl', 'bytes=1m', '', 'bytes=1 bytes=1 bytes=1 x' ],
    [ delta_max_command => 'hsl', '1k', '', '1k 2k' ],
    [ delta_limit => 'hsl', 'rate=1r/m', '' ],
    [ delta_metrics => 'l', '', 'on' ],
    [ delta_publish => 'l', '', 'on' ],
    [ delta_health => 'l', '', 'deadline=2s x' ],
    [ delta_snapshot => 'l', 'world=a', '' ],
);

my %list = map { $_ => 1 } qw(delta_channel delta_origin delta_subscribe);

open my $source, '<', "$Delta::TOP/src/ngx_http_delta_module.c" or die $!;
is_deeply([ map { $_->[0] } @directives ],
          [ join('', <$source>)
            =~ /ngx_string\("(delta_\w+)"\),\s+(?:NGX_HTTP|NGX_CONF)/g ],
          'every directive of the module is tested here');

for my $level (qw(h s l)) {
    my @text = map { "$_->[0] $_->[2];" }
        grep { $_->[1] =~ $level
               && $_->[0] !~ /gateway|metrics|health|publish|snapshot/ }
        @directives;

    good("every directive that may stand there: $level", "@text", $level);
}

for (@directives) {
    my ($name, $where, $form, @wrong) = @$_;
    my $text = "$name $form;";
    my $outer = $name =~ /gateway|health|publish|snapshot/ ? $base : '';

    bad("$name in the main context", qr/"$name" directive is not allowed here/,
        $text, 'm');
    bad("$name directly in \"if\"", qr/"$name" directive is not allowed here/,
        "if (\$arg_x) { $text }", 'l', $outer);

    for my $level (grep { index($where, $_) < 0 } qw(h s l)) {
        bad("$name in $level", qr/"$name" directive is not allowed here/,
            $text, $level, $outer);
    }

    bad("$name with \"$_\"",
        qr/invalid number of arguments in "$name" directive/,
        "$name $_;", substr($where, 0, 1), $outer) for @wrong;

    next if $list{$name};

    bad("$name given twice", qr/"$name" directive is duplicate in .*:\d+/,
        "$text $text", substr($where, 0, 1), $outer);
}

bad('delta_channel twice for one pattern', qr/is duplicate for this channel/,
    'delta_channel a:*; delta_channel a:* keep=1m;', 'h');


# Good forms beside those above, all values of each parameter.

good($_, $_, 'h') for
    'delta_redis redis://127.0.0.1:7000/0;',
    'delta_redis redis://[::1]:6379/;',
    'delta_redis redis://localhost/15 prefix=app-1:a: connect_timeout=500ms
                 read_timeout=2s;',
    'delta_redis unix:/run/redis.sock user=app password_file=secret;',
    'delta_channel guild:*; delta_channel user:*:inbox keep=10m;
     delta_channel world:default keep=1d; delta_channel *;
     delta_channel a:* window=0 max=2; delta_channel b:* window=1m max=256;
     delta_channel c:* window=50ms; delta_channel d:* window=60 max=32
                       keep=1h replay=1;',
    'delta_contracts events.json unknown=pass;',
    'delta_contracts events.json unknown=drop;',
    'delta_jwt off;',
    'delta_jwt_key_file jwks.json; delta_jwt;',
    'delta_jwt_key_file jwks.json; delta_jwt required;',
    'delta_jwt_key_file jwks.json; delta_jwt optional aud=a iss=https://i/
     token=$cookie_token leeway=0 grace=1m;',
    'delta_user x-$remote_user;', 'delta_user $http_x_user;',
    'auth_request_set $delta_user_id $upstream_http_x_user;
     delta_user $delta_user_id;',
    'delta_origin https://a.example:8443 *.b.example https://*.c.example *;',
    'delta_backfill /a/$arg_a?since=$delta_since&b;',
    'delta_membership off;', 'delta_membership /a?b=c;',
    'delta_membership /a ttl=3s;', 'delta_membership /a ttl=1d max=1;',
    'delta_envelope vtd;', 'delta_envelope type;', 'delta_envelope compact;',
    'delta_heartbeat 10s;', 'delta_heartbeat 1m missed=3;',
    'delta_drain 1s;', 'delta_drain 1m;', 'delta_drain 1h;',
    'delta_resume 1s;', 'delta_resume 1h spread=0 overlap=1m;',
    'delta_presence;', 'delta_presence ttl=10s;',
    'delta_queue bytes=64k events=10 age=1m;', 'delta_queue age=5s;',
    'delta_limit connections=1 channels=2 rate=3r/m;',
    'delta_limit admit=500r/s;', 'delta_limit spread=1h admit=1r/s rate=1r/m;',
    'delta_subscribe user:$remote_user:inbox;',
    'delta_subscribe user:${remote_user}-x;',
    'delta_subscribe guild:*:log from=user:$remote_user:guilds on_request;',
    'delta_subscribe space:$arg_id in=user:$remote_user:spaces;';

good("delta_gateway $_", "delta_gateway $_;", 'l', $base)
    for '', 'websocket', 'sse', 'sse websocket';

good("delta_presence $_", "delta_gateway; $_;", 'l', $base)
    for 'delta_presence', 'delta_presence ttl=1h refresh=1s',
        'delta_presence; delta_resume 1m; delta_heartbeat 45s missed=1',
        'delta_presence off; delta_heartbeat off';

bad("delta_presence, $_", qr/"delta_heartbeat time missed=number"/,
    "delta_gateway; delta_presence; $_;", 'l', $base)
    for 'delta_heartbeat off', 'delta_heartbeat 31s', 'delta_resume 59s';

good('delta_metrics', 'delta_metrics;', 'l');
good($_, $_, 'l', $redis) for 'delta_health;', 'delta_health deadline=2s;',
    'delta_health deadline=1m; if ($arg_a) { set $b 1; }',
    'delta_publish; if ($arg_a) { set $b 1; }',
    'delta_snapshot world=default;', 'delta_snapshot world=$arg_world full;',
    'delta_snapshot range max=10000 world=a-$arg_a full;
     if ($arg_a) { set $b 1; }';


# Bad values: the message says what to do.

my $url = qr{give redis://host:port/db or unix:/path};
my $takes = qr/it takes prefix=, user=, password_file=, connect_timeout=/;
my $name = qr/give segments of \[A-Za-z0-9/;
my $number = qr/give a number above 0/;
my $jwt = qr/it takes off alone, or any of optional, aud=, iss=/;
my $r = 'redis://127.0.0.1';

for (
    [ 'delta_redis 127.0.0.1:6379', $url ], [ 'delta_redis redis://', $url ],
    [ 'delta_redis http://127.0.0.1', $url ], [ 'delta_redis unix:', $url ],
    [ 'delta_redis ""', $url ],
    [ "delta_redis $r:0", qr/invalid port in "redis/ ],
    [ "delta_redis $r:65536", qr/invalid port in "redis/ ],
    [ 'delta_redis redis://:6379', qr/no host in "redis/ ],
    [ "delta_redis $r/x", qr/invalid database "x" .* give a number/ ],
    [ "delta_redis $r/-1", qr/invalid database "-1" .* give a number/ ],
    [ "delta_redis redis://a:$secret\@127.0.0.1",
      qr/no password in the URL, use user= and password_file=/ ],
    [ "delta_redis $r pool=2", $takes ],
    [ "delta_redis $r user=", $takes ],
    [ "delta_redis $r connect_timeout=0", $takes ],
    [ "delta_redis $r read_timeout=x", $takes ],
    [ "delta_redis $r prefix=app", qr/ends with ":", as in prefix=app1:/ ],
    [ "delta_redis $r prefix=:", qr/ends with ":", as in prefix=app1:/ ],
    [ "delta_redis $r prefix=a*:", qr/ends with ":", as in prefix=app1:/ ],
    [ "delta_redis $r user=app", qr/has user= without password_file=/ ],
    [ "delta_redis $r password_file=none", qr{cannot read .*/none".*No such} ],
    [ "delta_redis $r password_file=empty", qr{/empty" is empty} ],
    [ "delta_redis $r password_file=long", qr{/long" is longer than 1024} ],
    [ 'delta_channel a::b', qr/give a channel name such as guild:\*/ ],
    [ 'delta_channel guild:a*', qr/give a channel name such as guild:\*/ ],
    [ 'delta_channel $arg_a', qr/give a channel name such as guild:\*/ ],
    [ 'delta_channel a keep=0', qr/it takes keep=time/ ],
    [ 'delta_channel a keep=x', qr/it takes keep=time/ ],
    [ 'delta_channel a window=2m', qr/it takes keep=time.*window=time/ ],
    [ 'delta_channel a window=x', qr/it takes keep=time.*window=time/ ],
    [ 'delta_channel a window=', qr/it takes keep=time.*window=time/ ],
    [ 'delta_channel a window=-1', qr/it takes keep=time.*window=time/ ],
    [ 'delta_channel a window=61', qr/it takes keep=time.*window=time/ ],
    [ 'delta_channel a max=', qr/max=number from 2 to 256/ ],
    [ 'delta_channel a max=x', qr/max=number from 2 to 256/ ],
    [ 'delta_channel a max=1', qr/max=number from 2 to 256/ ],
    [ 'delta_resume overlap=2m', qr/overlap=time and spread=time, each up/ ],
    [ 'delta_resume 999ms', qr/it takes a time from 1s to 1h, then/ ],
    [ 'delta_resume 61m', qr/it takes a time from 1s to 1h, then/ ],
    [ 'delta_resume spread=1s 60s', qr/it takes a time from 1s to 1h, then/ ],
    [ 'delta_presence on', qr/it takes ttl=time and refresh=time, each from/ ],
    [ 'delta_presence ttl=', qr/it takes ttl=time and refresh=time/ ],
    [ 'delta_presence ttl=999ms', qr/it takes ttl=time and refresh=time/ ],
    [ 'delta_presence refresh=61m', qr/it takes ttl=time and refresh=time/ ],
    [ 'delta_presence off ttl=2s', qr/it takes ttl=time and refresh=time/ ],
    [ 'delta_presence ttl=9s', qr/a lease would end before it is refreshed/ ],
    [ 'delta_channel a max=257', qr/max=number from 2 to 256/ ],
    [ 'delta_contracts events.json unknown=', qr/unknown=pass or unknown=dr/ ],
    [ 'delta_contracts events.json drop', qr/it takes unknown=pass or unkn/ ],
    [ 'delta_contracts none', qr{cannot read the contract ".*/none".*No such} ],
    [ 'delta_contracts empty', qr{the contract ".*/empty": line 2} ],
    [ 'delta_max_event x', qr/"delta_max_event" directive invalid value/ ],
    [ 'delta_max_command -1', qr/"delta_max_command" directive invalid/ ],
    [ 'delta_max_command 0', qr/out of bounds, give a size from 1 to 16m/ ],
    [ 'delta_max_command 17m', qr/out of bounds, give a size from 1 to 16m/ ],
    [ 'delta_max_event 0', qr/out of bounds, give a size from 1 to 16m/ ],
    [ 'delta_max_event 99m', qr/out of bounds, give a size from 1 to 16m/ ],
    [ 'delta_jwt on', $jwt ], [ 'delta_jwt aud=', $jwt ],
    [ 'delta_jwt off optional', $jwt ], [ 'delta_jwt optional off', $jwt ],
    [ 'delta_jwt leeway=x', $jwt ], [ 'delta_jwt grace=-1', $jwt ],
    [ 'delta_jwt token=', $jwt ],
    [ 'delta_jwt_key_file jwks.json; delta_jwt token=$nothing',
      qr/unknown "nothing" variable/ ],
    [ 'delta_user $delta_user', qr/cannot be made of \$delta_user/ ],
    [ 'delta_user $Delta_User', qr/cannot be made of \$delta_user/ ],
    [ 'delta_user a${delta_user}', qr/cannot be made of \$delta_user/ ],
    [ 'delta_user $nothing', qr/unknown "nothing" variable/ ],
    [ 'delta_origin null', qr{give scheme://host\[:port\] without a path} ],
    [ 'delta_origin https://a/', qr{give scheme://host\[:port\] without} ],
    [ 'delta_origin https://', qr{give scheme://host\[:port\] without} ],
    [ 'delta_origin ""', qr{give scheme://host\[:port\] without} ],
    [ 'delta_origin https://*.a.*', qr/with one \* at most/ ],
    [ 'delta_origin **', qr/with one \* at most/ ],
    [ 'delta_origin *://a.example', qr{give scheme://host\[:port\] without} ],
    [ 'delta_subscribe ""', $name ], [ 'delta_subscribe a::b', $name ],
    [ 'delta_subscribe a:', $name ], [ 'delta_subscribe "a b"', $name ],
    [ 'delta_subscribe *:a from=', $name ], [ 'delta_subscribe a in=', $name ],
    [ 'delta_subscribe ' . 'a' x 129, $name ],
    [ 'delta_subscribe ' . join(':', ('a' x 99) x 3), qr/longer than 256/ ],
    [ 'delta_subscribe a:*', qr/has a "\*" that no from= fills/ ],
    [ 'delta_subscribe a in=b:*', qr/has a "\*" that no from= fills/ ],
    [ 'delta_subscribe a from=b', qr/needs exactly one segment "\*"/ ],
    [ 'delta_subscribe *:* from=b', qr/needs exactly one segment "\*"/ ],
    [ 'delta_subscribe a:* from=b in=c', qr/cannot have both from= and in=/ ],
    [ 'delta_subscribe a to=b', qr/it takes from=set, in=set and on_request/ ],
    [ 'delta_subscribe $nothing', qr/unknown "nothing" variable/ ],
    [ 'delta_subscribe room:$1', qr/"room:\$1" .* give the group a name/ ],
    [ 'delta_subscribe a:$9x on_request', qr/give the group a name/ ],
    [ 'delta_subscribe a in=user:$2', qr/give the group a name/ ],
    [ 'delta_subscribe a:* from=user:$2', qr/give the group a name/ ],
    [ 'delta_user x-$1', qr/cannot be made of \$1 to \$9/ ],
    [ join('; ', map { "delta_subscribe a$_" } 1 .. 33),
      qr/more than 32 times/ ],
    [ 'delta_envelope json', qr/give vtd, op, type, compact or space/ ],
    [ 'delta_membership a', qr{"a" in "delta_membership", give that of an} ],
    [ 'delta_membership ""', qr/give that of an internal location, such as/ ],
    [ 'delta_membership /a$arg_a', qr/it makes of variables itself/ ],
    [ 'delta_membership @a', qr/give that of an internal location, such as/ ],
    [ 'delta_membership off max=1', qr/give that of an internal location/ ],
    [ 'delta_membership /a max=0', $number ],
    [ 'delta_membership /a max=x', $number ],
    [ 'delta_membership /a ttl=2s', qr/and ttl=time, from 3s to 1d/ ],
    [ 'delta_membership /a ttl=2d', qr/and ttl=time, from 3s to 1d/ ],
    [ 'delta_membership /a ttl=', qr/it takes a URI, max=number and ttl=time/ ],
    [ 'delta_membership /a x', qr/it takes a URI, max=number and ttl=time/ ],
    [ 'delta_drain 0', qr/give a time from 1s to 1h/ ],
    [ 'delta_drain 10ms', qr/give a time from 1s to 1h/ ],
    [ 'delta_drain 2h', qr/give a time from 1s to 1h/ ],
    [ 'delta_drain off', qr/give a time from 1s to 1h/ ],
    [ 'delta_heartbeat 0', qr/give a time, or off/ ],
    [ 'delta_heartbeat soon', qr/give a time, or off/ ],
    [ 'delta_heartbeat 1s beats=2', qr/it takes missed=number/ ],
    [ 'delta_heartbeat 1s missed=0', $number ],
    [ 'delta_heartbeat 1s missed=', $number ],
    [ 'delta_queue bytes=0', qr/it takes bytes=size, events=number and age/ ],
    [ 'delta_queue age=0', qr/it takes bytes=size, events=number and age/ ],
    [ 'delta_queue size=1', qr/it takes bytes=size, events=number and age/ ],
    [ 'delta_queue events=-1', $number ],
    [ 'delta_limit connections=0', $number ],
    [ 'delta_limit channels=99999999999999999999', $number ],
    [ 'delta_limit rate=0r/m', $number ],
    [ 'delta_limit rate=1', qr/it takes connections=number, channels=num/ ],
    [ 'delta_limit rate=1r/s', qr/it takes connections=number, channels=n/ ],
    [ 'delta_limit admit=0r/s', $number ],
    [ 'delta_limit admit=10r/m', qr/it takes connections=number, channels=n/ ],
    [ 'delta_limit admit=10', qr/it takes connections=number, channels=n/ ],
    [ 'delta_limit admit=1r/s spread=0', qr/give a time from 1s to 1h/ ],
    [ 'delta_limit admit=1r/s spread=2h', qr/give a time from 1s to 1h/ ],
    [ 'delta_limit spread=2s', qr/has spread= without admit=/ ],
    [ 'delta_limit users=1', qr/it takes connections=number, channels=n/ ],
) {
    bad(substr($_->[0], 0, 50), $_->[1], "$_->[0];", 'h');
}

# A parameter given twice would silently be the second one.

for (
    [ "delta_redis $r prefix=a: prefix=b:", 'prefix=b:' ],
    [ "delta_redis $r read_timeout=1s read_timeout=1s", 'read_timeout=1s' ],
    [ 'delta_channel a keep=1h keep=2h', 'keep=2h' ],
    [ 'delta_channel a keep=1h replay=1 replay=2', 'replay=2' ],
    [ 'delta_jwt aud=a aud=b', 'aud=b' ],
    [ 'delta_jwt optional optional', 'optional' ],
    [ 'delta_jwt token=$arg_a iss=a token=$arg_b', 'token=$arg_b' ],
    [ 'delta_subscribe a on_request on_request', 'on_request' ],
    [ 'delta_subscribe a in=b in=c', 'in=c' ],
    [ 'delta_subscribe a:* from=b from=c', 'from=c' ],
    [ 'delta_queue age=1s age=2s', 'age=2s' ],
    [ 'delta_limit rate=1r/m channels=1 rate=2r/m', 'rate=2r/m' ],
    [ 'delta_membership /a max=1 max=2', 'max=2' ],
    [ 'delta_limit admit=1r/s admit=2r/s', 'admit=2r/s' ],
) {
    my ($name) = split / /, $_->[0];

    bad("given twice: $_->[0]",
        qr/duplicate parameter "\Q$_->[1]\E" of "$name", give each once in /,
        "$_->[0];", 'h');
}

bad('delta_jwt optional and required', qr/cannot be both optional and requ/,
    "delta_jwt $_;", 'h') for 'optional required', 'required optional';

for my $transport (qw(websocket sse)) {
    bad("$transport given twice", qr/duplicate parameter "$transport"/,
        "delta_gateway $transport $transport;", 'l', $base);
}


# One location, one that answers.

my $shares = qr/shares its location with another .* a location of its own in/;
my $shared = qr/in \S+:\d+ shares its location with another/;

bad('delta_gateway and delta_metrics', $shares,
    'delta_gateway; delta_metrics;', 'l', $base);
bad('delta_metrics and delta_gateway', $shares,
    'delta_metrics; delta_gateway;', 'l', $base);
bad('proxy_pass and delta_gateway', $shares,
    'proxy_pass http://127.0.0.1; delta_gateway;', 'l', $base);
bad('delta_gateway and proxy_pass', qr/"delta_gateway" $shared/,
    'delta_gateway; proxy_pass http://127.0.0.1;', 'l', $base);
bad('delta_health and delta_gateway', $shares,
    'delta_health; delta_gateway;', 'l', $base);
bad('delta_health and empty_gif', qr/"delta_health" $shared/,
    'delta_health; empty_gif;', 'l', $redis);
bad('delta_publish and delta_metrics', $shares,
    'delta_publish; delta_metrics;', 'l', $base);
bad('delta_publish and empty_gif', qr/"delta_publish" $shared/,
    'delta_publish; empty_gif;', 'l', $redis);
bad('delta_metrics and empty_gif', qr/"delta_metrics" $shared/,
    'delta_metrics; empty_gif;', 'l');

good('a gateway with what is no handler', 'delta_gateway; auth_request /a;
     if ($arg_a) { set $b 1; } limit_except GET { deny all; }
     if ($arg_b) { proxy_pass http://127.0.0.1; } location /b { empty_gif; }',
     'l', $base);


bad('delta_gateway polling', qr/give websocket, sse, or nothing for both/,
    'delta_gateway polling;', 'l', $base);


bad('delta_membership without a set', qr/has nothing to ask for: none/,
    "delta_gateway; delta_membership /a; $_;", 'l', $base)
    for 'delta_subscribe b', 'delta_subscribe b:* from=boards',
        'delta_subscribe b:* from=user:$remote_user:boards',
        'delta_subscribe b:* from=boards:$delta_user';

good('delta_membership with one', 'delta_gateway; delta_membership /a;
     delta_subscribe b:* from=user:$delta_user:boards;', 'l', $base);


# Missing companions: the gateway's place and what it lacks.

my $user = 'delta_user $remote_user;';
my $in = qr{"delta_gateway" in \S+/test\.conf:\d+ needs};

bad('a gateway without Redis', qr/$in "delta_redis redis:/,
    "delta_gateway; delta_subscribe a; $user", 'l');
bad('delta_health without Redis',
    qr{"delta_health" in \S+/test\.conf:\d+ needs "delta_redis redis:},
    'delta_health;', 'l');
bad('delta_publish without Redis',
    qr{"delta_publish" in \S+/test\.conf:\d+ needs "delta_redis redis:},
    'delta_publish;', 'l');
bad("delta_health $_", qr/"\Q$_\E" of "delta_health", it takes deadline=time, /,
    "delta_health $_;", 'l', $redis)
    for '5s', 'deadline=1999ms', 'deadline=2m', 'deadline=', 'deadline=-1',
        'max=3s';
bad("delta_backfill $_", qr/of "delta_backfill", give the URI of an internal/,
    "delta_backfill $_;", 'l') for 'a', '""', 'http://a/';
bad('delta_snapshot without Redis',
    qr{"delta_snapshot" in \S+/test\.conf:\d+ needs "delta_redis redis:},
    'delta_snapshot world=a;', 'l');
bad("delta_snapshot $_", qr/of "delta_snapshot", it takes world=name, range,/,
    "delta_snapshot $_;", 'l', $redis)
    for 'a', 'world=', 'world=a:b', 'world=a ranges', 'world=a=b',
        'world=a range max=10001';
bad("delta_snapshot $_", qr/"delta_snapshot" directive .*, give "world=name"/,
    "delta_snapshot $_;", 'l', $redis) for 'range', 'full';
bad('delta_snapshot max= without range', qr/"max=", which is for "range"/,
    'delta_snapshot world=a max=5;', 'l', $redis);
bad('delta_snapshot and empty_gif', qr/"delta_snapshot" $shared/,
    'delta_snapshot world=a; empty_gif;', 'l', $redis);
bad('a gateway without a channel', qr/$in "delta_subscribe channel"/,
    "delta_gateway; $user", 'l', $redis);
bad('a gateway without identity', qr/$in an identity, by "delta_jwt" or/,
    'delta_gateway; delta_subscribe a;', 'l', $redis);
bad('a gateway with delta_jwt off', qr/$in an identity/,
    'delta_gateway; delta_subscribe a; delta_jwt off;', 'l',
    "$redis delta_jwt_key_file jwks.json; delta_jwt;");
bad('delta_jwt without keys',
    qr{"delta_jwt" in \S+/test\.conf:\d+ needs "delta_jwt_key_file", },
    'delta_jwt;', 'l');
bad('delta_jwt without keys says where it stands, not where it reaches',
    qr{"delta_jwt" in \S+/test\.conf:8 needs}, "\ndelta_jwt;", 'top');
bad('delta_jwt optional without keys', qr/needs "delta_jwt_key_file", the JWK/,
    'delta_jwt optional;', 'h');


# Key files.

my $k = encode_base64url('k' x 32, '');
my $p = encode_base64url("\x01" x 32, '');
my $ed = "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"$p\"";

for (
    [ 'is none', undef, qr/cannot use the key file ".*": No such file/ ],
    [ 'is a folder', '/', qr/not a file of at most 256 KB/ ],
    [ 'is empty', '', qr/The key set is not JSON: line 1/ ],
    [ 'is PEM', "-----BEGIN PUBLIC KEY-----\n", qr/is not JSON: line 1/ ],
    [ 'is too large', '{"keys":[]}' . ' ' x 300_000, qr/at most 256 KB/ ],
    [ 'is no set', '[]', qr/neither an object with an array "keys" nor/ ],
    [ 'has no key', '{"keys":[]}', qr/has no usable key/ ],
    [ 'has another\'s keys only',
      qq({"keys":[{"kty":"oct","use":"enc","k":"$k"}]}), qr/no usable key/ ],
    [ 'has a short secret', '{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}',
      qr/Key 1 of the set has a k shorter than/ ],
    [ 'has a private key', qq({"keys":[{$ed},{$ed,"d":"$p"}]}),
      qr/Key 2 of the set has private parts/ ],
    [ 'is a private key', qq({"kty":"RSA","n":"$p","e":"AQAB","d":"$p"}),
      qr/Key 1 of the set has private parts/ ],
) {
    my ($what, $content, $message) = @$_;

    unlink $t->file('keys');
    mkdir $t->file('folder');
    $t->file('keys', $content) if defined $content;

    my $output = bad("a key file that $what", $message, 'delta_jwt_key_file '
        . (($content // '') eq '/' ? 'folder;' : 'keys;'), 'h');
    unlike($output, qr/\Q$k\E|\Q$p\E/, 'nothing of the keys is told');
}

$t->file('keys', qq({$ed}));
good('a key file of one bare public key', 'delta_jwt_key_file keys;', 'h');


# Warnings.

for (
    [ 'delta_subscribe space:$arg_id',
      qr/the client chooses "space:\$arg_id" freely, add in=set/ ],
    [ 'delta_subscribe ${http_x}:a', qr/freely, add in=set/ ],
    [ 'delta_subscribe a:$cookie_a on_request', qr/freely, add in=set/ ],
    [ 'delta_subscribe space:$ARG_id', qr/freely, add in=set/ ],
    [ 'delta_subscribe a:$request_uri', qr/freely, add in=set/ ],
    [ 'delta_subscribe space:$arg_id in=user:$arg_user:spaces',
      qr/chooses the set "user:\$arg_user:spaces" freely, name it by what/ ],
    [ 'delta_subscribe space:* from=user:${http_x}:spaces',
      qr/chooses the set "user:\$\{http_x\}:spaces" freely/ ],
    [ 'delta_subscribe $arg_kind:$arg_id in=user:$remote_user:spaces',
      qr/chooses "\$arg_kind:" freely, in= checks the last segment/ ],
    [ 'delta_user $upstream_http_x_user',
      qr/header of whichever upstream .* take it over with auth_request_set/ ],
    [ 'delta_user ${upstream_http_x_user}', qr/with auth_request_set/ ],
    [ 'delta_user u-$upstream_http_x', qr/with auth_request_set/ ],
    [ "delta_redis $r/3", qr/pub\/sub ignores the database 3, .* prefix=/ ],
) {
    my ($status, $output) = test("$_->[0];", 'h');

    ok($status == 0 && $output =~ /\[warn\] .*$_->[1].* in \S+:\d+/,
       "$_->[0] is taken with a warning") or diag($output);
}


# The time that nginx leaves its workers, wherever it stands.

for (
    [ 1, '15s', '' ],
    [ 0, '16s', '' ],
    [ 1, '20s', 'lingering_timeout 10s;' ],
    [ 0, '8s', 'delta_drain 2s;' ],
    [ 1, '7s', 'delta_drain 2s;' ],
) {
    my ($warns, $time, $text) = @$_;

    for my $behind (0, 1) {
        my $conf = $t->conf(http => $base,
                            server => "location / { delta_gateway; $text }");
        my $line = "worker_shutdown_timeout $time;\n";
        my ($status, $output) = $t->nginx_t($behind ? "$conf$line"
                                            : $conf =~ s/^events/$line$&/mr);
        my $told = $output =~ /\[warn\] .*"worker_shutdown_timeout"\ of\ \d+ms
                               .*the\ \d+ms\ of\ "delta_drain"/x;

        ok($status == 0 && ($warns xor !$told),
           "worker_shutdown_timeout $time $text "
           . ($warns ? 'is too short' : 'is enough')) or diag($output);
    }
}

unlike(($t->nginx_t("worker_shutdown_timeout 1s;\n" . $t->conf))[1],
       qr/warn/, 'without a gateway it is nobody\'s business');


{
    my $location = 'location ~ "^/(?<room>[a-z]+)$"';
    my $text = "$base $location { delta_gateway; delta_subscribe";

    my ($status, $output) = test("$text room:\$room; }", 's');
    ok($status == 0 && $output =~ /chooses "room:\$room" freely/,
       'a named group of the location is the client\'s choice')
        or diag($output);

    ($status, $output) = test("$text room:\$room in=rooms; }", 's');
    ok($status == 0 && $output !~ /\[warn\]/, 'which in= checks')
        or diag($output);
}


# No warning where there is nothing to be warned of.

for (
    'set $args_x 1; delta_subscribe a:$args_x;',
    'delta_subscribe space:$arg_id in=user:$remote_user:spaces;',
    'auth_request_set $who $upstream_http_x_user; delta_user $who;',
    "delta_redis $r/0;", "delta_redis $r/3 prefix=a:;",
) {
    my ($status, $output) = test($_, 's');

    ok($status == 0 && $output !~ /\[warn\]/, "no warning of: $_")
        or diag($output);
}


done_testing;


# The text at that level of a configuration: its status and output.

sub test {
    my ($text, $level, $outer) = @_;

    my %at = map { $_ => $_ eq $level ? $text : '' } qw(m h s l);

    return $t->nginx_t("%%GLOBALS%% events { }\nhttp { $text "
                       . "server { location /a { } } }")
        if $level eq 'top';

    return $t->nginx_t($t->conf(main => $at{m},
        http => ($outer // '') . $at{h},
        server => "$at{s} location / { $at{l} }"));
}


sub good {
    my ($title, $text, $level, $outer) = @_;

    my ($status, $output) = test($text, $level, $outer);

    ok($status == 0 && $output =~ /test is successful/, "good: $title")
        or diag($output);
}


sub bad {
    my ($title, $message, $text, $level, $outer) = @_;

    my ($status, $output) = test($text, $level, $outer);

    ok($status == 1 && $output =~ /\[emerg\] .*$message/, "refused: $title")
        or diag($output);
    fail("$title: the password is told") if $output =~ /\Q$secret\E/;

    return $output;
}
