#!/usr/bin/perl

# Copyright (C) Delta contributors

# delta_publish: what is posted arrives like what FCALL publishes, with the ids
# that are answered; what is wrong is refused with its place, and as a whole.

use Delta;

my $t = Delta->new;
my $marks = 0;

$t->start_redis;

open my $fh, '<:raw', "$Delta::TOP/conf/events.json" or die $!;
$t->file('events.json', do { local $/; <$fh> });

my %create = (guild_id => '42', channel_id => '7', message_id => 'm1',
              author_id => 'ada', content => 'hello',
              created_at => '2025-07-28T10:30:16Z');

my $gateway = 'location = /gateway {
    delta_gateway;
    delta_user ben;
    delta_drain 1s;
    delta_subscribe channel:8;
    delta_subscribe channel:7;
}
location = /metrics { delta_metrics; }';

my $conf = $t->conf(
    http => 'delta_redis %%REDIS%% prefix=app: read_timeout=3s;
             delta_contracts events.json;
             delta_max_event 4k;
             delta_jwt_key_file jwks.json;',
    server => "$gateway
        location = /publish { delta_publish; client_max_body_size 512k; }
        location = /denied { delta_publish; deny all; }
        location = /token { delta_publish; delta_jwt; }
        location = /handed {
            delta_gateway;
            delta_user ben;
            delta_subscribe guild:42;
            error_page 405 = \@publish;
        }
        location \@publish { delta_publish; }
        location = /sub { auth_request /publish; empty_gif; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% http2;
        location = /publish { delta_publish; }");

$t->start_nginx($conf);

my $ws = $t->ws('/gateway');
is($ws->read_json->{t}, 'ready', 'a session');

good();
large();
http2();
bad();
methods();
thrown_away();
redis_says();
redis_away();
without();

done_testing;


sub post {
    my ($data, %opt) = @_;

    $data = json_encode($data) if ref $data;

    return $t->http(POST => $opt{path} || '/publish', body => $data,
                    headers => [ 'Content-Type' => $opt{type}
                                                   // 'application/json' ],
                    %opt);
}


sub event {
    my ($channel, $t, $d, @source) = @_;

    return { channel => $channel, t => $t, d => $d,
             @source ? (source => $source[0], n => $source[1]) : () };
}


sub metric {
    my ($name) = @_;

    my $body = $t->http(GET => '/metrics')->body;

    return $body =~ /^\Q$name\E (\d+)/m ? $1 : -1;
}


# What came before this one.

sub before {
    my $name = 'mark-' . ++$marks;
    my @came;

    $t->publish('app:channel:7', { t => 'message_delete', d => {
        guild_id => '42', channel_id => '7', message_id => $name } });

    $ws->read_until(sub {
        return 1 if ($_[0]{d}{message_id} // '') eq $name;
        push @came, $_[0];
        return 0;
    });

    return @came;
}


sub good {
    my $answer = post(event('channel:7', 'message_create', \%create));

    is($answer->status, 200, 'one event');
    is($answer->header('content-type'), 'application/json', 'is answered');
    is(scalar @{ $answer->json->{ids} }, 1, 'by one id');
    is_deeply([ before() ], [ { v => 1, t => 'message_create', id =>
        $answer->json->{ids}[0], c => 'channel:7', d => \%create } ],
              'which the event has');

    my @list = map { event($_ % 2 ? 'channel:8' : 'channel:7', 'message_delete',
        { guild_id => '42', channel_id => $_ % 2 ? '8' : '7',
          message_id => "n$_" }) } 1 .. 9;

    $answer = post(\@list);
    is($answer->status, 200, 'a list');
    is_deeply([ map { "$_->{id} $_->{c} $_->{d}{message_id}" } before() ],
              [ map { $answer->json->{ids}[$_ - 1]
                      . ($_ % 2 ? ' channel:8' : ' channel:7') . " n$_" }
                1 .. 9 ],
              'arrives in its order, with the ids');

    my $text = '{ "content" : "\u00e4\n\ud83d\ude00", "message_id":"m"'
        . ',"channel_id":"7","guild_id":"42" , "author_id":"ada",'
        . '"created_at":"2025-07-28T10:30:16Z"}';
    post(qq( [ {"d":$text,"t":"message_create","channel":"channel:7"}\n] ));
    my $log = $t->redis('XREVRANGE', 'delta:{app:channel:7}', '+', '-',
                        'COUNT', 1);
    is($log->[0][1][3], qq({"t":"message_create","d":$text}),
       'd is left as it is');
    before();

    my @twice = map { post(event('channel:7', 'message_create', \%create,
                                 'shop', 17))->json->{ids}[0] } 1, 2;
    is($twice[0], $twice[1], 'source and n: the same id again');
    is(scalar before(), 1, 'and published once');

    @twice = map { post([ map { event('channel:7', 'message_create', \%create,
        'shop', $_) } 18 .. 20 ])->json->{ids} } 1, 2;
    is_deeply($twice[1], [ ($twice[0][2]) x 3 ],
              'also in a list: the id of the last');
    is(scalar before(), 3, 'published once');

    is(post(event('user:ben:control', 'grant', { channel => 'x' }))->status,
       200, 'control events are not in the contract');
    is(post(event('channel:7', 'of_later', { a => 1 }))->status, 200,
       'unknown=pass holds here, too');
    is(scalar before(), 1, 'it arrives');
    is(post(event($_, 'resync', {}))->status, 200, "resync on $_")
        for qw(guild:42 user:ben:inbox);
    is(metric('delta_published_total'), 1 + 9 + 1 + 2 + 6 + 2 + 2,
       'all are counted');
}


# More than nginx keeps in memory; in chunks; several on one connection.

sub large {
    my @list = map { event('channel:7', 'message_create', { %create,
        content => 'x' x 1000, message_id => "l$_" }) } 1 .. 256;
    my $answer = post(\@list);

    is($answer->status, 200, '300 KB');
    is(scalar @{ $answer->json->{ids} }, 256, 'of 256 events');
    is(join(' ', map { $_->{d}{message_id} } before()),
       join(' ', map { "l$_" } 1 .. 256), 'arrive');

    my $text = json_encode(event('channel:7', 'message_create', \%create));
    my $chunks = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
        $text =~ /(.{1,7})/gs;

    my $head = "POST /publish HTTP/1.1\r\nHost: a\r\n"
        . "Content-Type: application/json; charset=utf-8\r\n";
    my $first = "${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n";
    my $second = $head . "Content-Length: " . length($text)
        . "\r\nConnection: close\r\n\r\n$text";

    $answer = Delta::Client->start($t->port, POST => '/publish', [],
                                   raw => $first . $second);
    $answer->read_body;
    is($answer->status, 200, 'in chunks');
    substr $answer->{in}, 0, $answer->header('content-length'), '';
    $answer->read_head;
    is($answer->status, 200, 'and another one behind it');
    is(scalar before(), 2, 'both arrive');
}


# Without TLS, which curl is told.

sub http2 {
    my $list = $t->file('list', json_encode([ map { event('channel:7',
        'message_create', { %create, content => 'x' x 900 }) } 1 .. 100 ]));
    my $url = 'http://127.0.0.1:' . $t->port(2) . '/publish';
    my $type = "-H 'Content-Type: application/json' --data-binary \@$list";

    for my $chunked ('', '-H Content-Length:') {
        my $said = `curl -s --http2-prior-knowledge $chunked $type $url`;

        is(scalar @{ (eval { json_decode($said) } || {})->{ids} || [] }, 100,
           'HTTP/2' . ($chunked && ', of unknown length')) or diag($said);
    }

    is(scalar before(), 200, 'all arrive');
}


# Refused: the status, the path, the reason; and nothing of a list goes out.

sub bad {
    my $fine = event('channel:7', 'message_create', \%create);
    my $big = event('channel:7', 'message_create',
                    { %create, content => 'x' x 4096 });
    my $of = sub { event('channel:7', 'message_create', { %create, @_ }) };
    my $nowhere = 'is none that the contract has for this type';
    my $count = metric('delta_publish_errors_total');
    my $n = 0;

    for (
        [ '', 400, '', 'is not JSON' ],
        [ 'x' x 70000, 400, '', 'is not JSON' ],
        [ '"a"', 400, '', 'is not an object' ],
        [ [], 400, '', 'has no events' ],
        [ [ $fine, 1 ], 400, '/1', 'is not an object' ],
        [ { %$fine, more => 1 }, 400, '', qr/a member other than channel, t/ ],
        [ { %$fine, channel => 'a b' }, 400, '/channel', qr/not the name/ ],
        [ { %$fine, channel => join ':', ('x' x 84) x 3 }, 400, '/channel',
          'is too long' ],
        [ { %$fine, t => 'X' }, 400, '/t', qr/1 to 64 characters/ ],
        [ { %$fine, d => [] }, 400, '/d', 'is not an object' ],
        [ { %$fine, n => 1 }, 400, '/source', 'is missing' ],
        [ [ $fine, { %$fine, source => 'a', n => -1 } ], 400, '/1/n',
          qr/is not a whole number/ ],
        [ $of->(content => 7), 400, '/d/content', 'has the wrong type' ],
        [ $of->(guild_id => 'a b'), 400, '/d/guild_id', qr/the pattern/ ],
        [ $of->(email => 1), 400, '/d/email', 'is not in the contract' ],
        [ $of->("a\"\\/~\x{e4}" => 1), 400, '/d/a"\\~1~0??',
          'is not in the contract' ],
        [ event('space:1', 'space_delta', { created => [ { id => '1',
            deep => [ { token => 1 } ] } ] }), 400,
          '/d/created/0/deep/0/token', 'is privileged' ],
        [ [ ($fine) x 255, event('channel:7', 'message_create', {}) ], 400,
          qr{^/255/d/\w+$}, 'is missing' ],
        [ event('channel:7', 'ready', { a => 1 }), 400, '/t', qr/gateway alo/ ],
        [ event('channel:7', 'of_later', { ip => 1 }), 400, '/d/ip',
          'is privileged' ],
        [ { %$fine, channel => 'guild:42' }, 400, '/channel', $nowhere ],
        [ { %$fine, channel => 'channel:8' }, 400, '/channel',
          'is not the one that d is about' ],
        [ [ $fine, { %$fine, channel => 'channel:7:x' } ], 400, '/1/channel',
          $nowhere ],
        map({ [ event($_, 'workspace_member_ban', { guild_id => '42',
                user_id => 'ben', actor_user_id => 'ada' }), 400, '/channel',
                $nowhere ] } qw(guild:42 user:ben user:ben:inbox:a)),
        [ $big, 413, '', 'is larger than delta_max_event' ],
        [ [ $fine, $big ], 413, '/1', 'is larger than delta_max_event' ],
        [ [ ($fine) x 257 ], 413, '', 'has too many events' ],
    ) {
        my ($body, $status, $path, $error) = @$_;
        my $answer = post($body);
        my $said = $answer->json || {};

        $error = qr/^\Q$error\E$/ if !ref $error;
        $path = qr/^\Q$path\E$/ if !ref $path;
        $n++;

        ok($answer->status == $status && ($said->{path} // 'none') =~ $path
           && ($said->{error} // '') =~ $error,
           "refused: $status $path $error")
            or diag($answer->status, ' ', $answer->body);
    }

    is(scalar before(), 0, 'nothing of it arrives');
    is(metric('delta_publish_errors_total') - $count, $n, 'each is counted');

    my $answer = post('[' . ' ' x 600000 . ']');
    is($answer->status, 413, 'over client_max_body_size');
}


sub methods {
    my $event = event('channel:7', 'message_create', \%create);

    for my $method (qw(GET PUT DELETE OPTIONS)) {
        my $answer = $t->http($method => '/publish');
        is($answer->status, 405, $method);
        is($answer->header('allow'), 'POST', 'says what is allowed');
    }

    is($t->http(HEAD => '/publish')->status, 405, 'HEAD');
    is(post($event, type => $_)->status, 415, "415: $_")
        for 'text/plain', 'application/jsonp', 'application/json5', '';
    is(post($event, type => $_)->status, 200, "200: $_")
        for 'APPLICATION/JSON', 'application/json ; charset=utf-8';
    is(scalar before(), 2, 'the two arrive');

    is(post($event, path => '/denied')->status, 403, 'deny');
    is(post($event, path => '/token')->status, 401, 'delta_jwt');
    is(post($event, path => '/token', token => $t->token('shop'))->status, 200,
       'with a token');
    is(post($event, path => '/sub')->status, 403, 'no subrequest');
    is(scalar before(), 1, 'one of them arrives');
}


# Another location has begun to throw the body away when this one is asked.

sub thrown_away {
    for my $sent (0, 5, 90_000) {
        my $socket = IO::Socket::INET->new('127.0.0.1:' . $t->port) or die $!;

        print $socket join("\r\n", 'POST /handed HTTP/1.1', 'Host: a',
            'Connection: close', 'Content-Type: application/json',
            'Content-Length: 90000', '', ' ' x $sent);
        $socket->shutdown(1) if $sent == 90_000;

        like(scalar <$socket>, qr/ 400 /, "a body of which $sent bytes came");
    }
}


# What Redis refuses, for now or for ever.

sub redis_says {
    my $event = event('channel:7', 'message_create', \%create);
    my @all = ($event, [ ($event) x 3 ]);

    $t->redis(qw(CONFIG SET maxmemory 1));
    my @answers = map { post($_) } @all;
    $t->redis(qw(CONFIG SET maxmemory 0));

    for my $answer (@answers) {
        is($answer->status, 503, 'Redis\'s memory is full: 503');
        like($answer->header('retry-after'), qr/^[1-5]$/, 'come back later');
    }

    like($t->log, qr/Redis refuses delta_publish: OOM/, 'the log says why');

    my $library = $t->redis(qw(FUNCTION DUMP));
    $t->redis(qw(FUNCTION FLUSH));
    is(post($_)->status, 503, 'the functions are gone: 503') for @all;

    for my $id ("'\"],\"x\":[\"'", "'1'", '{}', 'false', '1') {
        $t->redis(qw(FUNCTION LOAD), "#!lua name=delta\n"
                  . "redis.register_function('delta_publish', "
                  . "function() return $id end)");
        is(post($_)->status, 500, "an id that is none, $id: 500") for @all;
        $t->redis(qw(FUNCTION FLUSH));
    }

    $t->redis(qw(FUNCTION RESTORE), $library);

    $t->redis('SET', 'delta:{app:channel:43}', 'no log');
    $event = event('channel:43', 'message_create',
                   { %create, channel_id => '43' });

    for my $answer (map { post($_) } $event, [ $event, $event ]) {
        is($answer->status, 500, 'what is no log: 500');
        is($answer->json->{error}, 'is refused by Redis, the error log says '
           . 'why', 'Redis\'s words are for the log');
    }

    like($t->log, qr/Redis refuses delta_publish: .*WRONGTYPE/, 'which has it');

    is(scalar before(), 0, 'nothing has arrived');
    is(post($_)->status, 200, 'and all is well again') for @all;
    is(scalar before(), 4, 'it arrives');
}


sub redis_away {
    my $event = event('channel:7', 'message_create', \%create);
    my $body = json_encode([ $event, $event ]);

    # one that does not wait for the answer
    kill 'STOP', $t->pid('redis');
    my $gone = IO::Socket::INET->new('127.0.0.1:' . $t->port);
    print $gone "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Type: "
        . "application/json\r\nContent-Length: " . length($body)
        . "\r\n\r\n$body";
    $gone->flush;
    $t->http(GET => '/metrics');
    close $gone;
    $t->http(GET => '/metrics');
    kill 'CONT', $t->pid('redis');
    is(scalar before(), 2, 'who goes away has published');

    kill 'STOP', $t->pid('redis');
    my $answer = post($body);               # until the link's read_timeout
    kill 'CONT', $t->pid('redis');
    is($answer->status, 503, 'Redis does not answer: 503');
    is($answer->json->{error}, 'the link to Redis was lost', 'says why');

    $t->stop_redis;
    ok(wait_for(sub { metric('delta_redis_up') == 0 }), 'Redis is gone');
    $answer = post($event);
    is($answer->status, 503, 'without Redis: 503');
    like($answer->header('retry-after'), qr/^[1-5]$/, 'come back later');

    $t->start_redis;
    ok(wait_for(sub { post($event)->status == 200 }), 'it is back');
}


sub without {
    $ws->disconnect;
    $t->reload($conf =~ s/delta_contracts.*?;//r);
    ok(wait_for(sub { 1 == $t->workers }), 'nginx reloads');
    ok(wait_for(sub { metric('delta_redis_up') == 1 }), 'and has Redis');
    is(post(event('guild:42', 'message_create', { anything => 1 }))->status,
       200, 'without a contract any event passes');
}
