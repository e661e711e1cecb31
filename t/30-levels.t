#!/usr/bin/perl

# Copyright (C) Delta contributors

# A running nginx does what its nginx.conf says: levels, lists, addresses.

use Delta;

my $t = Delta->new;
my $secret = 'correct-horse-battery';


# In a running nginx: nearer levels win, lists are all-or-nothing.

$t->start_redis;
$t->redis('SELECT', 3);
$t->redis('SADD', 'spaces', 'three');
$t->redis('SELECT', 0);
$t->redis('SADD', 'spaces', 'zero');

$t->start_nginx($t->conf(http => <<'HTTP', server => <<'SERVER'));
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
delta_jwt aud=app;
delta_limit connections=2 channels=2 rate=4r/m;
delta_queue events=2;
delta_heartbeat 7s missed=9;
delta_drain 1s;
delta_origin https://http.example;
delta_envelope op;
delta_max_command 200;
log_format who '$uri $delta_user';

server {
    listen 127.0.0.1:%%PORT_1%%;
    delta_redis %%REDIS%%/3 prefix=app1:;
    delta_jwt;
    delta_envelope vtd;
    delta_limit connections=9;
    delta_subscribe user:$delta_user;

    location = /prefix { delta_gateway; }
    location = /set {
        delta_gateway;
        delta_subscribe space:$arg_id in=spaces;
        delta_subscribe team:* from=spaces;
    }
}

server {
    listen 127.0.0.1:%%PORT_2%%;
    delta_redis %%REDIS_UNIX%%;
    delta_jwt;
    delta_envelope vtd;
    delta_limit connections=9;

    location = /unix { delta_gateway; delta_subscribe user:$delta_user; }
    location = /own {
        delta_gateway;
        delta_subscribe app1:user:$delta_user;
        if ($arg_away) { proxy_pass http://127.0.0.1:%%PORT_5%%; }
        if ($arg_slow) { set $limit 1; }
    }
}

server { listen 127.0.0.1:%%PORT_5%%; return 200 hello; }
HTTP
delta_envelope vtd;
delta_subscribe one;
delta_subscribe two;

location = /inherit { delta_gateway; }
location /replace {
    delta_gateway;
    delta_subscribe three;
    delta_jwt;
    delta_limit channels=3;
    delta_queue age=5s;
    delta_heartbeat 9s;
    delta_drain 1h;
    delta_origin https://own.example;
    delta_max_command 1k;

    location = /replace/below { delta_gateway sse; delta_envelope type; }
    location = /replace/plain { return 200 plain; }
}
location = /many { delta_gateway; delta_subscribe a; delta_subscribe b;
                   delta_subscribe c; }
location = /user { delta_gateway; delta_jwt off; delta_user $arg_user; }
SERVER

my @aud = (token => $t->token('ben', aud => 'app'));
my @plain = (token => $t->token('ben'));

my $ws = $t->ws('/inherit', @aud);
my $ready = $ws->read_json;

is_deeply($ready->{d}{channels}, [ qw(one two) ],
          'delta_subscribe of the server is inherited, all of it');
is($ready->{d}{heartbeat_ms}, 7000, 'delta_heartbeat of http is inherited');
is($t->ws('/inherit', @plain)->status, 401, 'delta_jwt aud= is inherited');
is($t->http(HEAD => '/inherit', @aud,
            headers => [ Origin => 'https://http.example' ])->status, 200,
   'delta_origin is inherited');

my $second = $t->ws('/inherit', @aud);
is($second->read_json->{t}, 'ready', 'delta_limit of http: the second is in');
is($t->ws('/inherit', @aud)->status, 429, 'and the third one is not');
burst('one', 20);
is($_->read_until('resync')->{d}{channel}, 'one',
   'delta_queue of http bounds the queue') for $ws, $second;
burst('one', 20);
is(($_->read_close)[0], 4003, 'a second time is too slow') for $ws, $second;

$ws = $t->ws('/inherit', @aud);
$ws->read_json;
$ws->send_text('x' x 201);
is(($ws->read_close)[0], 1009, 'delta_max_command of http is inherited');

$ws = $t->ws('/inherit', @aud);
$ws->read_json;

for (1 .. 5) {
    # one by one: the queue is small, too
    $ws->send_json({ t => 'heartbeat' });
    last unless $ws->read_until('heartbeat_ack');
}

is(($ws->read_close)[0], 4004, 'delta_limit rate= of http is inherited');

is(($t->ws('/many', @aud)->read_close)[0], 1011,
   'delta_limit channels= of http is inherited');

my @own = map { $t->ws('/replace', @plain) } 1 .. 3;
my @ready = map { $_->read_json } @own;

is_deeply($ready[0]{d}{channels}, [ 'three' ],
          'delta_subscribe of a location replaces the whole list');
is($ready[0]{d}{heartbeat_ms}, 9000, 'delta_heartbeat is replaced');
is($ready[2]{t}, 'ready', 'delta_limit is replaced: connections= has its '
   . 'default again');
is($t->http(HEAD => '/replace', @plain,
            headers => [ Origin => 'https://http.example' ])->status, 403,
   'delta_origin is replaced: the outer origin is no longer listed');
is($t->http(HEAD => '/replace', @plain,
            headers => [ Origin => 'https://own.example' ])->status, 200,
   'but the inner one is');

burst('three', 50);
is($own[0]->read_until(sub { $_[0]{d}{n} == 50 })->{t}, 'burst',
   'delta_queue is replaced: events= has its default again');
$own[0]->send_text('x' x 900);
is($own[0]->read_json->{t}, 'error', 'delta_max_command is replaced');

$_->disconnect for @own;
is($t->sse('/replace/below', @plain)->header('Content-Type'),
   'text/event-stream', 'a location below has its own delta_gateway');
is($t->http(GET => '/replace/plain', @plain)->{body}, 'plain',
   'delta_gateway is not inherited');
is($t->ws('/user?user=ada')->read_json->{d}{user_id}, 'ada',
   'delta_user is enough where delta_jwt is off');


# Prefix, database, unix socket: two servers with two delta_redis.

my @at = (@plain, port => $t->port(1));
my @also = (@plain, port => $t->port(2));

my @prefix = map { $t->ws('/prefix', @at) } 1 .. 2;
my $unix = $t->ws('/unix', @also);
my $raw = $t->ws('/own', @also);

is_deeply($_->read_json->{d}{channels}, [ 'user:ben' ],
          'the client does not see the prefix') for @prefix;
is_deeply($unix->read_json->{d}{channels}, [ 'user:ben' ],
          'Redis is reached by its unix socket');
is_deeply($raw->read_json->{d}{channels}, [ 'app1:user:ben' ],
          'who has no prefix may have such a name');

is_deeply({ @{ $t->redis('PUBSUB', 'NUMSUB', 'app1:user:ben', 'user:ben') } },
          { 'app1:user:ben' => 2, 'user:ben' => 1 },
          'the names in Redis have the prefix, where there is one');

$t->publish('user:ben', { t => 'a', d => { n => 1 } });
$t->publish('app1:user:ben', { t => 'b', d => { n => 2 } });

is_deeply(seen($_->read_json), [ 'b', 'user:ben', 2 ],
          'with prefix= only prefixed events come, under their plain name')
    for @prefix;
is_deeply(seen($unix->read_json), [ 'a', 'user:ben', 1 ],
          'the other server hears of its own channel only');
is_deeply(seen($raw->read_json), [ 'b', 'app1:user:ben', 2 ],
          'and of the long name as it stands');

$prefix[0]->send_json({ t => 'subscribe', d => { channel => 'user:ben' } });
is($prefix[0]->read_json->{t}, 'subscribed', 'commands name it plainly, too');
$prefix[0]->send_json({ t => 'subscribe',
                        d => { channel => 'app1:user:ben' } });
is($prefix[0]->read_json->{t}, 'error', 'and cannot name it with the prefix');

is($t->ws('/set?id=zero', @at)->status, 403, 'a set of database 0 is not seen');
is_deeply([ sort @{ $t->ws('/set?id=three', @at)->read_json->{d}{channels} } ],
          [ qw(space:three team:three) ],
          'sets are read from the database of delta_redis');

$t->redis('PUBLISH', 'user:ben', json_encode({ t => 'last', d => {} }));
is($unix->read_json->{t}, 'last', 'nothing else came in between');

is($t->http(GET => '/own?away=1', @also)->{body}, 'hello',
   'an "if" in the location with a handler of its own goes there');
is($t->ws('/own?slow=1', @also)->read_json->{t}, 'ready',
   'an "if" without one stays a gateway');


# Relative names: key files and passwords are found beside nginx.conf.

mkdir $t->file($_) for 'sub', 'sub/keys';
$t->file('sub/keys/jwks.json', $t->read_file('jwks.json'));
$t->file('sub/keys/secret', "$secret\n");

my $closed = Delta->new;
my $port = $closed->start_redis('--requirepass', $secret);

$closed->redis('AUTH', $secret);
$closed->redis('ACL', 'SETUSER', 'app', 'on', ">a$secret", '~*', '&*', '+@all');
$t->file('sub/keys/app', "a$secret\r\n");

$t->start_nginx(<<"END", name => 'sub/site');
%%GLOBALS%%
events { }
http {
    %%HTTP%%
    delta_jwt_key_file keys/jwks.json;
    delta_subscribe user:\$delta_user;
    delta_jwt;
    server {
        listen 127.0.0.1:%%PORT_3%%;
        delta_redis redis://127.0.0.1:$port password_file=keys/secret;
        location / { delta_gateway; }
    }
    server {
        listen 127.0.0.1:%%PORT_4%%;
        delta_redis redis://127.0.0.1:$port user=app password_file=keys/app;
        location / { delta_gateway; }
    }
}
END

for my $n (3, 4) {
    my $ws = $t->ws('/', @plain, port => $t->port($n));

    is($ws->read_json->{t}, 'ready', 'password_file= opens the Redis');
    $closed->publish('user:ben', { t => 'hi', d => {} });
    is($ws->read_json->{t}, 'hi', 'for events, too');
    $ws->disconnect;
}

ok($t->stop_nginx('QUIT', 'sub/site'), 'relative names are below nginx.conf');


# A wrong password, or none where one is due.

$closed->file('wrong', "no-$secret");

for (
    [ 'the wrong password', 'password_file=wrong', 'WRONGPASS' ],
    [ 'no password', '', 'NOAUTH' ],
) {
    my ($what, $param, $error) = @$_;
    my $from = length $closed->log;

    $closed->start_nginx($closed->conf(server => <<"END"));
delta_redis %%REDIS%% $param;
location /closed { delta_gateway; delta_user ben; delta_subscribe a; }
END

    ok(wait_for(sub {
        substr($closed->log, $from)
            =~ /\[error\] .*127\.0\.0\.1:$port cannot be used: $error/;
    }), "$what: the log says which Redis and why");

    my $answer = $closed->http(GET => '/closed');
    is($answer->status, 503, "$what: 503");
    like($answer->header('Retry-After') // '', qr/^[1-5]$/, 'with Retry-After');
    unlike(substr($closed->log, $from), qr/does not take the function library/,
           'and no other complaint hides the cause');
    $closed->stop_nginx;
}

# Leaving, last of all: whose share of which time is told.

my @inherit = map { $t->ws('/inherit', @aud) } 1 .. 2;
@own = map { $t->ws('/replace', @plain) } 1 .. 3;
$_->read_json for @inherit, @own;
ok($t->reload, 'reload');

my @after = map { $_->read_until('reconnect')->{d}{after_ms} } @inherit, @own;
is(scalar(grep { $_ < 1000 } @after[0, 1]), 2, 'delta_drain is inherited');
ok((grep { $_ >= 1000 } @after[2 .. 4]), 'delta_drain is replaced');

my @told = grep { ($t->read_file($_) // '') =~ /\Q$secret\E/
                  || ($closed->read_file($_) // '') =~ /\Q$secret\E/ }
    qw(error.log access.log stderr.log redis.log);
is_deeply(\@told, [], 'no password is in any log');

done_testing;


sub burst {
    my ($channel, $n) = @_;

    $t->redis('EVAL', 'for i = 1, ARGV[2] do redis.call("PUBLISH", ARGV[1], '
        . '"{\"t\":\"burst\",\"d\":{\"n\":" .. i .. "}}") end', 0, $channel,
        $n);
}


sub seen {
    my ($event) = @_;

    return [ $event->{t}, $event->{c}, $event->{d}{n} ];
}
