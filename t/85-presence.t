#!/usr/bin/perl

# Copyright (C) Delta contributors

# Presence through the gateway: what friends see
# when a user comes, changes status, is cut, comes back by token, logs out;
# leases, what a grant brings, and a Redis that was away.

use Delta;
use Delta::Presence;
use Scalar::Util ();
use Time::HiRes qw(time);

my $t = Delta->new;

$t->start_redis;
$t->redis('SADD', "user:$_:follows", 'ada', 'eve') for qw(ben cleo);

my $gateway = 'delta_gateway;
    delta_subscribe presence:$delta_user;
    delta_subscribe presence:* from=user:$delta_user:follows;
    delta_subscribe user:* from=user:$delta_user:follows;';

my $conf = $t->conf(
    http => 'delta_redis %%REDIS%%;
             delta_jwt_key_file jwks.json;',
    server => "delta_jwt optional;
        delta_presence ttl=2s refresh=1s;
        delta_resume 4s;
        delta_heartbeat 2s missed=2;
        location = /gateway { $gateway }
        location = /compact { $gateway delta_envelope compact; }
        location = /alone { $gateway delta_presence off; }
        location = /slow { $gateway delta_queue events=16; }
        location = /metrics { delta_metrics; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        delta_redis %%REDIS%% prefix=app1:;
        delta_jwt;
        delta_presence ttl=2s refresh=1s;
        location = /gateway { $gateway delta_heartbeat 2s; }");

$t->start_nginx($conf, workers => 2);

my @all;                                # who must not be silent for too long

my $ben = friend('ben');
is_deeply($ben->{sync}, [ { id => 'ben', s => 'online', p => undef } ],
          'row 4.10: oneself, on all devices, and nobody else');

come_and_go();
status();
resume();
bad_tokens();
fence();
grant();
sync();
compact();
msgpack();
loss_of_redis();
loss_of_memory();
half_open();
logout_is_final();
event_stream();
prefix();
burst();
damaged();
idle();
metrics();

done_testing();


# A client that reads up to its presence_sync.

sub friend {
    my ($user, %opt) = @_;

    my $path = $opt{path} || '/gateway';
    my $query = $opt{query} ? "?$opt{query}" : '';
    my $ws = $t->ws("$path$query", token => $t->token($user));
    my $ready = $ws->read_json or return;

    my $next = $ws->read_json;

    push @all, $ws;
    Scalar::Util::weaken($all[-1]);

    $ws->{ready} = $ready->{d};
    $ws->{resumed} = $next->{t} eq 'resumed' ? $next->{d} : undef;
    $next = $ws->read_json if $ws->{resumed};
    $ws->{sync} = $next->{t} eq 'presence_sync'
        ? [ sort { $a->{id} cmp $b->{id} } @{ $next->{d}{presence} } ]
        : "no sync but $next->{t}";

    return $ws;
}


# As wait_for, with clients that are heard meanwhile.

sub meanwhile {
    return Delta::Presence::meanwhile(sub { @all }, @_);
}


sub token {
    return $_[0]{ready}{resume_token} // '';
}


# What that client is told next of somebody else than itself.

sub told {
    my ($ws, $text, $name, $timeout) = @_;

    my $event;

    meanwhile(sub {
        $event = $ws->read_until(sub {
            $_[0]{t} eq 'presence_update' && $_[0]{d}{id} ne 'ben'
        }, 0.2);
    }, $timeout);

    is($event ? "$event->{d}{id} $event->{d}{s} " . ($event->{d}{p} // '-')
              : 'nothing', $text, $name);

    return $event;
}


# Nothing of others until the answer to a heartbeat, or for so long.

sub silent {
    my ($ws, $name, $time) = @_;

    my $end = time + ($time || 0);
    my @events;

    meanwhile(sub {
        $ws->send_json({ t => 'heartbeat' });

        while (my $event = $ws->read_json) {
            last if $event->{t} eq 'heartbeat_ack';
            push @events, $event if $event->{t} =~ /^presence/
                && ($event->{d}{id} // '') ne 'ben';
        }

        return time >= $end;
    });

    is(join(' ', map { "$_->{d}{id} $_->{d}{s}" } @events), '', $name);
}


# A place behind everything that was published so far.

sub settled {
    my ($user) = @_;

    return wait_for(sub {
        my $a = $t->redis('HGET', "delta:{presence:$user}", 'a');
        return defined $a ? $a : 'none';
    });
}


sub leases {
    my ($user) = @_;

    return { map { /^s:(.*)/ ? ($1, 1) : () }
             @{ $t->redis('HKEYS', "delta:{presence:$user}") } };
}


sub come_and_go {
    my $ada = friend('ada');

    like(token($ada), qr/^[0-9a-f]{24}\.1$/, 'ready has a token');
    like(token($ada), qr/^\Q$ada->{ready}{session_id}\E\./,
         'of the session');
    is($ada->{ready}{resume_window_ms}, 4000, 'and how long it is good');

    my $event = told($ben, 'ada online -', 'friends see who comes');
    is($event->{c}, 'presence:ada', 'on the channel');
    is_deeply(leases('ada'), { $ada->{ready}{session_id} => 1 },
              'the lease is the session');

    my $cleo = friend('cleo');
    is_deeply([ map { $_->{id} } @{ $cleo->{sync} } ], [ 'ada', 'cleo' ],
              'row 4.3: those who are online and followed');

    my $second = friend('ada');
    silent($ben, 'a second session is no news');
    $second->close(3000);
    silent($ben, 'nor its end');

    my $due = due('ada', $ada);
    ok(meanwhile(sub { due('ada', $ada) > $due }), 'row 4.1: refreshed');

    $ada->close(3000);
    told($ben, 'ada offline -', 'close 3000 is a logout: offline at once');
    told($cleo, 'ada offline -', 'for all friends');
    is_deeply(leases('ada'), {}, 'no lease is left');
    $cleo->close(3000);
}


sub due {
    my ($user, $ws) = @_;

    my $lease = $t->redis('HGET', "delta:{presence:$user}",
                          "s:$ws->{ready}{session_id}") // '';

    return (split /\|/, $lease)[1] // 0;
}


sub status {
    my $ada = friend('ada');

    told($ben, 'ada online -', 'ada is there');
    $ada->send_json({ t => 'status',
                      d => { status => 'coding', project => 'delta' } });
    told($ben, 'ada coding delta', 'a status');
    $ada->send_json({ t => 'status', d => { status => "\x{e9}t\x{e9}\"\\" } });
    told($ben, "ada \x{e9}t\x{e9}\"\\ -", 'of any text');

    for my $bad ('offline', '', "a\nb", 'x' x 65) {
        $ada->send_json({ t => 'status', d => { status => $bad }, ref => 7 });
        my $error = $ada->read_until('error');
        is_deeply([ @{ $error->{d} }{qw(code ref)} ], [ 'bad_status', 7 ],
                  'but not of that');
    }

    $ada->send_json({ t => 'logout' });
    is(($ada->read_close)[0], 1000, 'logout');
    told($ben, 'ada offline -', 'is seen at once');

    my $alone = $t->ws('/alone', token => $t->token('ada'));
    my $ready = $alone->read_json;
    ok(!exists $ready->{d}{resume_token}, 'without delta_presence no token');
    is($alone->read_json->{t}, 'presence_sync', 'friends can be seen still');
    $alone->send_json({ t => 'status', d => { status => 'here' } });
    is($alone->read_until('error')->{d}{code}, 'no_presence',
       'and there is no status');
    $alone->close(3000);
    silent($ben, 'nobody saw that one');
}


sub resume {
    my $ada = friend('ada');

    told($ben, 'ada online -', 'ada is there');
    $ada->send_json({ t => 'status', d => { status => 'busy' } });
    told($ben, 'ada busy -', 'and busy');

    my ($id, $gen) = split /\./, token($ada);

    for my $how (sub { $_[0]->disconnect }, sub { $_[0]->close(1001) },
                 sub { $_[0]->close(1000) }, sub { $_[0]->disconnect })
    {
        $how->($ada);
        $ada = friend('ada', query => 'resume=' . token($ada));
        is($ada->{ready}{session_id}, $id, 'row 4.8: a session goes on');
        is(token($ada), "$id." . ++$gen, 'with the next token');
        is_deeply($ada->{resumed}, { replayed => 0 }, 'and is told so');
    }

    $ada->disconnect;
    my $cursor = cursor($ben);
    $t->publish('user:ada', { t => 'note', d => { n => 1 } });
    $t->publish('user:eve', { t => 'note', d => { n => 2 } });
    $t->redis('SADD', 'user:ada:follows', 'eve');

    $ada = friend('ada', query => 'resume=' . token($ada)
                                  . "&since=$cursor");
    is_deeply($ada->{resumed}, { replayed => 1 }, 'what was missed is counted');
    is($ada->read_json->{d}{n}, 2, 'and comes behind the sync');

    silent($ben, 'and friends see nothing of all that', 1);
    is(settled('ada'), '{"id":"ada","s":"busy","p":null}',
       'the status has stayed');

    $ada->disconnect;
    told($ben, 'ada offline -', 'one who does not come back is offline');
    is_deeply($t->redis('ZRANGE', 'delta:leases', 0, -1), [ 'ben' ],
              'and nobody looks for it any more') if meanwhile(sub {
                  !defined $t->redis('ZSCORE', 'delta:leases', 'ada')
              });
}


sub cursor {
    my ($ws) = @_;

    return wait_for(sub {
        $ws->send_json({ t => 'heartbeat' });
        return $ws->read_until('heartbeat_ack')->{d}{cursor};
    });
}


sub bad_tokens {
    my $ada = friend('ada');
    told($ben, 'ada online -', 'ada is there');
    my $eve = friend('eve');
    told($ben, 'eve online -', 'and eve');

    my $token = token($ada);
    my ($id, $gen) = split /\./, $token;
    my $refused = metric('delta_resume_tokens_total{result="refused"}');

    $ada->disconnect;
    $ada = friend('ada', query => "resume=$token");
    is($ada->{ready}{session_id}, $id, 'a token is good');

    my @bad = ($token, "$id.9", "$id.", "$id.x", 'x.1', '.', '%00.1', 'x' x 80,
               "$id.99999999999999999999", token($eve));

    for my $bad (@bad) {
        my $other = friend('ada', query => "resume=$bad");

        isnt($other->{ready}{session_id}, $id, "$bad: a fresh session");
        like(token($other), qr/^[0-9a-f]{24}\.1$/, 'with a token of its own');
        ok(!$other->{resumed}, 'not resumed');
        is(ref $other->{sync}, 'ARRAY', 'but synced');
        $other->close(3000);
    }

    is(metric('delta_resume_tokens_total{result="refused"}') - $refused,
       scalar @bad, 'each is counted');
    silent($ben, 'friends see nothing of them');
    is_deeply(leases('eve'), { $eve->{ready}{session_id} => 1 },
              'and nobody else has lost a session');

    my $head = $t->http('HEAD', '/gateway?resume=' . token($ada),
                        token => $t->token('ada'));
    is($head->{status}, 200, 'HEAD');
    $ada->disconnect;
    my $again = friend('ada', query => 'resume=' . token($ada));
    is($again->{ready}{session_id}, $id, 'does not use a token up');

    $_->close(3000) for $again, $eve;
    told($ben, 'ada offline -', 'ada goes');
    told($ben, 'eve offline -', 'and eve');
}


sub fence {
    my $ada = friend('ada');
    told($ben, 'ada online -', 'ada is there');

    my $new = friend('ada', query => 'resume=' . token($ada));
    is($new->{ready}{session_id}, $ada->{ready}{session_id},
       'a session can go on elsewhere while it still lives');
    is_deeply([ $ada->read_close ], [ 4502, 'The session goes on elsewhere.' ],
              'the old connection is closed, for good');
    silent($ben, 'friends see nothing');
    is_deeply(leases('ada'), { $new->{ready}{session_id} => 1 },
              'its end does not end the session');

    # no word of it: the refresh finds out
    my ($id, $gen) = split /\./, token($new);
    $t->redis('FCALL', 'delta_session_resume', 1, 'delta:{presence:ada}',
              'presence:ada', $id, $gen, 1000, 4000);
    meanwhile(sub { ($new->read_close(0.2))[0] });
    is($new->{close_code}, 4502, 'also if only the lease tells so');
    told($ben, 'ada offline -', 'who resumed it and went away is offline');
}


sub grant {
    my $dan = friend('dan');
    $t->redis('SADD', 'user:ben:follows', 'dan', 'fay');

    for my $user ('dan', 'fay') {
        $t->redis('PUBLISH', 'user:ben:control', json_encode({
            t => 'grant', d => { channel => "presence:$user" } }));
        is($ben->read_until('subscribed')->{d}{channel}, "presence:$user",
           'a new friend is subscribed to');
        told($ben, $user eq 'dan' ? 'dan online -' : 'fay offline -',
             'and its presence is sent');
    }

    $t->redis('PUBLISH', 'user:ben:control', json_encode({
        t => 'revoke', d => { channel => "presence:$_" } })) for 'dan', 'fay';
    $t->redis('SREM', 'user:ben:follows', 'dan', 'fay');
    $ben->read_until('unsubscribed') for 1 .. 2;
    $dan->close(3000);
    settled('dan');
    silent($ben, 'nothing of one who is unfollowed');
}


# Many read their friends: once per worker and channel.

sub sync {
    my $reads = metric('delta_presence_reads_total');
    my @all = map { friend('cleo') } 1 .. 10;

    is(scalar(grep { ref $_->{sync} eq 'ARRAY' } @all), 10, 'ten sessions');
    cmp_ok(metric('delta_presence_reads_total') - $reads, '<=', 6,
           'read each friend once per worker');
    $_->close(3000) for @all;
}


sub compact {
    my $cleo = friend('cleo', path => '/compact');
    my $ada = friend('ada');

    told($ben, 'ada online -', 'ada is there');
    is($cleo->read_frame->{payload},
       '{"t":"u","id":"ada","s":"online","p":null}',
       'row 4.4: the compact shape of an update');
    $ada->close(3000);
    told($ben, 'ada offline -', 'ada goes');
    $cleo->close(3000);
}


# The same in MessagePack: the answers of friends who read JSON, and exactly
# these bytes where a shape has few of them.

sub msgpack {
    my $ada = friend('ada');
    told($ben, 'ada online -', 'ada is there');

    my ($plain, $packed, $compact, $short) = map {
        my ($path, $protocol) = @$_;
        my $ws = $t->ws($path, token => $t->token('cleo'),
                        protocol => $protocol);
        $ws->{ready} = $ws->read_json;
        $ws->{sync} = $ws->read_message;
        $ws;
    } map { [ $_, 'delta.v1.json' ], [ $_, 'delta.v1.msgpack' ] }
        '/gateway', '/compact';

    for ([ $packed, $plain ], [ $short, $compact ]) {
        my ($ws, $json) = @$_;

        is($ws->{sync}{opcode}, 2, 'presence_sync in MessagePack');

        my ($is, $want) = map {
            my $sync = $_->{sync}{opcode} == 2
                ? Delta::MessagePack::decode($_->{sync}{payload})
                : json_decode($_->{sync}{payload});
            [ $sync->{t}, sort map { join ' ', %$_{'id', 's'} }
                  @{ $sync->{d}{presence} } ];
        } $ws, $json;

        is_deeply($is, $want, 'as in JSON');
        is(scalar(grep { /ada/ } @$is), 1, 'with those who are there');
    }

    $ada->send_json({ t => 'status', d => { status => 'busy',
                                            project => 'delta' } });
    told($ben, 'ada busy delta', 'a change');

    my $of_ada = sub { ($_[0]{d}{id} // $_[0]{id} // '') eq 'ada' };
    my ($update, $same) = map { $_->read_until($of_ada) } $plain, $packed;

    is_deeply($same, $update, 'presence_update in MessagePack, as in JSON');
    is($same->{d}{p}, 'delta', 'with all it has');

    my $bytes;

    meanwhile(sub {
        my $frame = $short->read_frame(0.2) or return;
        return ($bytes = $frame->{payload}) =~ /busy/ && $frame->{opcode} == 2;
    });
    is($bytes, "\x84\xa1t\xa1u\xa2id\xa3ada\xa1s\xa4busy\xa1p\xa5delta",
       'the compact shape is 25 bytes (4.4)');

    $ada->close(3000);
    told($ben, 'ada offline -', 'ada goes');
    is($packed->read_until($of_ada)->{d}{s}, 'offline', 'seen in MessagePack');
    $_->close(3000) for $plain, $packed, $compact, $short;
}


sub loss_of_redis {
    my $ada = friend('ada');
    my $eve = friend('eve');
    told($ben, 'ada online -', 'ada is there');
    told($ben, 'eve online -', 'and eve');

    my $ups = metric('delta_redis_connects_total');
    $t->redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
    $t->redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

    # while nobody listens
    $t->redis('FCALL', 'delta_session_status', 1, 'delta:{presence:eve}',
              'presence:eve', split(/\./, token($eve)), 'away', '');

    ok(meanwhile(sub {
        metric('delta_redis_connects_total') >= $ups + 4
    }), 'all links are back');
    told($ben, 'eve away -', 'only what has changed is told');
    silent($ben, 'and nothing else', 2);

    $_->close(3000) for $ada, $eve;
    told($ben, 'ada offline -', 'ada goes');
    told($ben, 'eve offline -', 'and eve');
}


# Redis has lost all: leases are opened again.

sub loss_of_memory {
    my $ada = friend('ada');
    told($ben, 'ada online -', 'ada is there');
    $ada->send_json({ t => 'status', d => { status => 'busy' } });
    told($ben, 'ada busy -', 'and busy');

    $t->redis('DEL', 'delta:{presence:ada}');
    $t->redis('DEL', 'delta:leases');

    ok(meanwhile(sub { keys %{ leases('ada') } }), 'the lease is opened again');
    is(settled('ada'), '{"id":"ada","s":"busy","p":null}', 'as it was');
    ok(defined $t->redis('ZSCORE', 'delta:leases', 'ada'), 'and in the index');
    silent($ben, 'friends see nothing');
    $ada->close(3000);
    told($ben, 'ada offline -', 'ada goes');
}


# A client that answers no ping (4.7).

sub half_open {
    my $ada = friend('ada');
    told($ben, 'ada online -', 'ada is there');

    my $start = time;
    $ada->{mute} = 1;
    meanwhile(sub { ($ada->read_close(0.2))[0] });
    is($ada->{close_code}, 4002, 'row 4.7: two missed pongs end it');
    cmp_ok(time - $start, '<', 20 * $Delta::SLOW, 'in the bound');
    told($ben, 'ada offline -', 'friends see it');
    cmp_ok(time - $start, '<', 21 * $Delta::SLOW,
           'within ttl and resume after the last byte');
}


sub logout_is_final {
    my $ada = friend('ada');
    told($ben, 'ada online -', 'ada is there');
    $ada->close(3000);
    told($ben, 'ada offline -', 'logs out');

    my $again = friend('ada', query => 'resume=' . token($ada));
    isnt($again->{ready}{session_id}, $ada->{ready}{session_id},
         'and cannot go on');
    told($ben, 'ada online -', 'but begin anew');

    $t->redis('PUBLISH', 'user:ada:control',
              json_encode({ t => 'disconnect', d => {} }));
    is(($again->read_close)[0], 4501, 'a disconnect');
    told($ben, 'ada offline -', 'is final, too');
}


# Over SSE: the same token, the same words.

sub event_stream {
    my $cleo = $t->sse('/gateway', token => $t->token('cleo'));
    my ($ready, $sync) = map { $cleo->read_json } 1 .. 2;

    is($sync->{t}, 'presence_sync', 'an event stream is synced');

    my $ada = friend('ada');
    told($ben, 'ada online -', 'ada is there');
    is($cleo->read_until('presence_update')->{d}{id}, 'ada', 'and told');

    $cleo->disconnect;
    $cleo = $t->sse("/gateway?resume=$ready->{d}{resume_token}",
                    token => $t->token('cleo'));
    my $again = $cleo->read_json;

    is($again->{d}{session_id}, $ready->{d}{session_id}, 'it goes on');
    is($cleo->read_json->{t}, 'resumed', 'as resumed');
    is(scalar(grep { $_->{id} eq 'ada' }
              @{ $cleo->read_json->{d}{presence} }), 1, 'and is synced');

    my $ws = friend('cleo', query => "resume=$again->{d}{resume_token}");
    ok($ws->{resumed}, 'or goes on over WebSocket');
    is($cleo->read_until(sub { exists $_[0]{code} })->{code}, 4502,
       'and the stream ends');

    $_->close(3000) for $ws, $ada;
    told($ben, 'ada offline -', 'ada goes');
}


sub prefix {
    my ($ws, $friend) = map {
        my $ws = $t->ws('/gateway', token => $t->token($_),
                        port => $t->port(1));
        $ws->{ready} = $ws->read_json;
        $ws;
    } 'ada', 'ben';

    is_deeply([ sort grep { !/^delta:\{user:|epoch|:follows/ }
                @{ $t->redis('KEYS', '*app1*') } ],
              [ 'delta:app1:leases', 'delta:{app1:presence:ada}',
                'delta:{app1:presence:ben}' ],
              'each prefix has keys of its own');
    silent($ben, 'and nobody of another one hears of it');
    $ws->close(3000);

    my $event = $friend->read_until(sub {
        $_[0]{t} eq 'presence_update' && $_[0]{d}{id} eq 'ada'
    });
    is($event->{c}, 'presence:ada', 'who sees channels without it');
    is($event->{d}{s}, 'offline', 'and their events');
    ok($t->redis('ZSCORE', 'delta:app1:last_seen', 'ada'), 'last seen is kept');
    $friend->close(3000);
}


# More at once than a queue takes: the newest of each, and no resync.

sub burst {
    my $cleo = friend('cleo', path => '/slow');
    my $v = $t->redis('HGET', 'delta:{presence:ada}', 'v');

    $t->redis('MULTI');

    for my $n (1 .. 100) {
        $t->redis('PUBLISH', 'presence:' . ($n % 2 ? 'ada' : 'eve'),
            ($v + 1_000_000 + $n) . ' {"t":"presence_update","d":{"id":"'
            . ($n % 2 ? 'ada' : 'eve') . qq(","s":"s$n","p":null}}));
    }

    $t->redis('EXEC');

    my (%is, @others);

    ok(meanwhile(sub {
        my $event = $cleo->read_json(0.2) or return;

        $event->{t} eq 'presence_update'
            ? $is{ $event->{d}{id} } = $event->{d}{s}
            : push @others, $event->{t};
        return $is{ada} && $is{eve} && "$is{ada} $is{eve}" eq 's99 s100';
    }), 'a session that fell behind has the newest of each');
    is("@others", '', 'and was told nothing else');
    cmp_ok(metric('delta_fell_behind_total'), '>', 0, 'it did fall behind');
    is(metric('delta_resyncs_total{reason="slow"}'), 0, 'without a resync');

    # the worker that was told so would not believe the old versions
    $cleo->close(3000);
    $t->redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
    ok(meanwhile(sub { metric('delta_redis_up') == 4 }), 'Redis is back');
    meanwhile(sub { !$ben->read_json(0.5) });
}


# What is in Redis is not ours to trust.

sub damaged {
    $t->redis('DEL', 'delta:{presence:eve}');
    $t->redis('SET', 'delta:{presence:eve}', 'x');

    my $eve = $t->ws('/gateway', token => $t->token('eve'));
    my $ready = $eve->read_json;
    is($ready->{t}, 'ready', 'a key of another type keeps nobody out');
    ok(!exists $ready->{d}{resume_token}, 'but there is no token');
    $eve->send_json({ t => 'status', d => { status => 'busy' } });
    is($eve->read_until('error')->{d}{code}, 'no_presence', 'and no status');
    $eve->close(3000);
    $t->redis('DEL', 'delta:{presence:eve}');

    for my $a ('x', '', '{"id":1},{}', '{"s":', '[]', '"x"', 'x' x 5000) {
        $t->redis('HSET', 'delta:{presence:eve}', 'v', 5, 'a', $a);
        $t->redis('SADD', 'user:zoe:follows', 'eve');

        my $n = metric('delta_redis_connects_total');
        $t->redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
        meanwhile(sub { metric('delta_redis_connects_total') >= $n + 4 });

        my $zoe = friend('zoe');
        is_deeply([ grep { $_->{id} ne 'zoe' } @{ $zoe->{sync} } ], [],
                  'nor is what it has taken for a friend: '
                  . substr $a, 0, 20);
        $zoe->close(3000);
    }

    $t->redis('DEL', 'delta:{presence:eve}');

    for my $text ('', 'x', '1', '1 ', '-1 {}', '1 {}', '9' x 20 . ' {}',
                  '9999999999999 {"t":"patch","d":{}}',
                  '9999999999999 {"t":"presence_update","d":1}',
                  '9999999999999 {"t":"presence_update","d":{"x":"'
                  . 'x' x 2000 . '"}}')
    {
        $t->redis('PUBLISH', 'presence:eve', $text);
    }

    for my $text ('x', '{"t":"replaced","d":{}}',
                  '{"t":"replaced","d":{"session":1,"gen":"x"}}',
                  '{"t":"replaced","d":{"session":"' . $ben->{ready}{session_id}
                  . '","gen":0}}', '{"t":"replaced","d":{"session":"'
                  . $ben->{ready}{session_id} . '","gen":-9}}')
    {
        $t->redis('PUBLISH', 'user:ben:control', $text);
    }

    silent($ben, 'nothing of what is no presence is sent on');
}


# Idle sessions cost Redis a batch in each interval, and nothing else.

sub idle {
    my @crowd = map { friend('w' . $_ % 20) } 1 .. 60;

    meanwhile(sub { metric('delta_leases') == 61 });

    my $rate;

    # once more where the machine was too busy for that
    for (1 .. 3) {
        my $before = calls();
        my $start = time;

        meanwhile(sub { time - $start > 5 }, 20);
        $rate = (calls() - $before) / (time - $start);
        last if $rate < 40;
    }

    # two workers: refreshes, a tick, a canary, a sweep, the audit, a ping
    cmp_ok($rate, '<', 40, 'sixty idle sessions cost Redis ' . int($rate)
           . ' commands a second');
    $_->send_json({ t => 'logout' }) for @crowd;
    meanwhile(sub { metric('delta_leases') == 1 });
}


# Commands from outside of functions.

sub calls {
    my $info = $t->redis('INFO', 'commandstats');
    my $sum = 0;

    $sum += $1 while $info =~ /^cmdstat_(?:fcall|fcall_ro|publish|hmget|ping
                               |xrevrange|subscribe|srandmember):calls=(\d+)
                              /xmg;

    return $sum;
}


sub metric {
    my ($name) = @_;

    my ($value) = $t->http('GET', '/metrics')->{body}
        =~ /^\Q$name\E (\S+)$/m;

    return $value // 0;
}


sub metrics {
    ok(wait_for(sub { metric('delta_leases') == 1 }), 'one lease is held')
        or diag(metric('delta_leases'));
    cmp_ok(metric('delta_lease_refreshes_total'), '>', 1, 'refreshes');
    cmp_ok(metric('delta_leases_swept_total'), '>', 0, 'sweeps');
    is(metric('delta_sessions_closed_total{by="replaced"}'), 3, 'replaced');
}
