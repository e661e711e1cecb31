#!/usr/bin/perl

# Copyright (C) Delta contributors

# Membership with the reference upstream: sets that are missing are read
# through, follows and kicks reach live sessions, whatever Redis has lost.

use Delta;

my $t = Delta->new;

$t->start_redis;
$t->start_nginx($t->conf(http => <<'END', server => <<'END'));
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
END
delta_jwt;
location = /gateway {
    delta_gateway;
    delta_subscribe user:$delta_user;
    delta_subscribe user:* from=user:$delta_user:follows;
    delta_subscribe guild:* from=user:$delta_user:guilds;
    delta_subscribe space:* from=user:$delta_user:spaces;
    delta_subscribe channel:* from=user:$delta_user:channels on_request;
    delta_membership /internal/membership;
}
location = /friends {
    delta_gateway;
    delta_presence;
    delta_subscribe presence:* from=user:$delta_user:follows;
    delta_limit rate=9000r/m;
    delta_membership /internal/membership;
}
location = /internal/membership {
    internal;
    proxy_pass http://%%UPSTREAM%%;
    proxy_pass_request_headers off;
    proxy_set_header X-User $delta_user;
}
location /api/ {
    proxy_pass http://%%UPSTREAM%%;
    proxy_set_header X-User $delta_user;
}
END

$t->start_upstream;
ok(wait_for(sub { call(cleo => GET => '/api/users/me')->status eq 200
                  && $t->redis('EXISTS', 'user:dan:guilds') }),
   'all is there');

whole();
read_through();
live();
friends();
banned();
flushed();
down();

done_testing;


sub call {
    my ($user, $method, $path, %opt) = @_;

    return $t->http($method, $path, token => $t->token($user), %opt);
}


sub session {
    my ($user, %opt) = @_;

    my $ws = $t->ws('/gateway', token => $t->token($user), %opt);

    return $ws if $ws->status ne 101;

    my $ready = $ws->read_json;
    $ws->{channels} = join ' ', sort @{ $ready->{d}{channels} || [] };

    return $ws;
}


sub next_change {
    my ($ws) = @_;

    my $e = $ws->read_until(sub { $_[0]{t} =~ /subscribed$/ }) or return '';

    return "$e->{t} $e->{d}{channel}";
}


# What the relay writes holds: the marker is there, nobody is asked.

sub whole {
    is(join(' ', sort @{ $t->redis('SMEMBERS', 'user:dan:follows') }),
       '(whole)', 'the relay writes the marker, also for nobody');
    is(session('ben')->{channels}, 'guild:g1 user:ada user:ben',
       'a session has the seeds');
    is($t->redis('TTL', 'user:ben:guilds'), -1, 'and takes them as they are');
    is($t->redis('SMEMBERS', 'user:ben:spaces')->[0], '(whole)',
       'row 4.5: what the relay does not keep is read through');
}


sub read_through {
    $t->redis('DEL', 'user:ben:guilds', 'user:ben:follows');
    is(session('ben')->{channels}, 'guild:g1 user:ada user:ben',
       'sets that have gone come from the database');
    ok($t->redis('TTL', 'user:ben:guilds') > 290, 'and will go again');

    $t->redis('DEL', 'user:cleo:follows');
    is(call(cleo => PUT => '/api/users/me/follows/dan')->status, 200,
       'a follow while the set is not in Redis');
    is(session('cleo')->{channels}, 'guild:g1 user:ada user:cleo user:dan',
       'does not hide those before it');
    call(cleo => DELETE => '/api/users/me/follows/dan');

    is(session('someone')->{channels}, 'user:someone',
       'of a user whom the database does not know there is nothing');
}


sub live {
    my $ben = session('ben');

    call(ben => PUT => '/api/users/me/follows/cleo');
    is(next_change($ben), 'subscribed user:cleo', 'a follow subscribes');
    call(cleo => PATCH => '/api/users/me', json => { bio => 'hello' });
    is($ben->read_until('patch')->{d}{entity_id}, 'cleo', 'its events come');

    call(ben => DELETE => '/api/users/me/follows/cleo');
    is(next_change($ben), 'unsubscribed user:cleo', 'an unfollow ends it');

    call(ada => POST => '/api/guilds/g1/members/ben/kick');
    is(next_change($ben), 'unsubscribed guild:g1', 'so does a kick');
    call(cleo => PATCH => '/api/users/me', json => { bio => 'again' });
    call(ada => PATCH => '/api/guilds/g1', json => { name => 'New' });
    call(ada => PATCH => '/api/users/me', json => { bio => 'end' });
    is($ben->read_json->{d}{entity_id}, 'ada',
       'nothing comes of what has ended');
    is(session('ben')->{channels}, 'user:ada user:ben', 'nor the next time');

    call(ben => POST => '/api/guilds/g1/join');
    is(next_change($ben), 'subscribed guild:g1', 'he comes back');
}


# A follow brings whom it is about, and an unfollow nothing more, with changes
# on their way.

sub friends {
    my ($cleo, $ben) = map { $t->ws('/friends', token => $t->token($_)) }
        'cleo', 'ben';

    is_deeply($ben->read_until('presence_sync')->{d}{presence}, [],
              'cleo is there, but no friend yet');

    for my $round (1 .. 5) {
        my $status = 'online';

        if ($round > 1) {
            $status = "left $round";
            $cleo->send_json({ t => 'status', d => { status => $status } });
            ok(wait_for(sub {
                $t->redis('HGET', 'delta:{presence:cleo}', 'a') =~ /$status/
            }), 'cleo changes while nobody listens');
        }

        call(ben => PUT => '/api/users/me/follows/cleo');
        is(next_change($ben), 'subscribed presence:cleo', 'a follow');
        my $update = $ben->read_until('presence_update');
        is("$update->{d}{id} $update->{d}{s}", "cleo $status",
           'row 4.5: and the presence of who is followed');

        $cleo->send_json({ t => 'status', d => { status => "n$_" } })
            for 1 .. 20;
        call(ben => DELETE => '/api/users/me/follows/cleo');
        $cleo->send_json({ t => 'status', d => { status => "m$_" } })
            for 1 .. 20;
        is(next_change($ben), 'unsubscribed presence:cleo', 'an unfollow');

        wait_for(sub { $t->redis('HGET', 'delta:{presence:cleo}', 'a')
                       =~ /"m20"/ }) or die 'no status';
        $ben->{skipped} = [];
        $ben->send_json({ t => 'heartbeat' });
        $ben->read_until('heartbeat_ack');
        is(scalar @{ $ben->{skipped} }, 0, 'and nothing behind it');
    }

    is(call(cleo => GET => '/api/users/me/last_seen')->json->{last_seen},
       undef, 'who is there has no last seen yet');

    my $now = 1000 * time;
    $_->close(3000) for $cleo, $ben;
    ok(wait_for(sub {
        (call(cleo => GET => '/api/users/me/last_seen')->json->{last_seen}
         // 0) >= $now;
    }), 'row 4.6: a logout at the gateway is in SQL');
}


# Messages at full speed, and a ban in the middle of them.

sub banned {
    my $ben = session('ben');
    my $made = call(ada => POST => '/api/guilds/g1/channels',
                    json => { name => 'talk' });
    my $id = $made->json->{channel_id} or die $made->body;
    my $channel = "channel:$id";

    ok(wait_for(sub { $t->redis('SISMEMBER', 'user:ben:channels', $id) }),
       'a channel that ben may see');
    $t->redis('DEL', 'user:ben:channels');
    $ben = session('ben');
    is($t->redis('SISMEMBER', 'user:ben:channels', $id), 1,
       'is read through, too');
    $ben->send_json({ t => 'subscribe', d => { channel => $channel } });
    is($ben->read_until('subscribed')->{d}{channel}, $channel, 'on request');

    my $writer = fork // die;

    if ($writer == 0) {
        $SIG{TERM} = sub { POSIX::_exit(0) };
        alarm 60;

        for (my $n = 1; ; $n++) {
            call(ada => POST => "/api/guilds/g1/channels/$id/messages",
                 json => { content => "message $n" });
        }
    }

    $ben->read_until('message_create') for 1 .. 20;
    is(call(ada => POST => '/api/guilds/g1/members/ben/ban', json => {})
       ->status =~ /^20[04]$/, 1, 'ben is banned');

    my %ended;
    $ben->read_until(sub {
        $ended{ $_[0]{d}{channel} }++ if $_[0]{t} eq 'unsubscribed';
        return keys %ended == 2;
    });
    is(join(' ', sort keys %ended), "$channel guild:g1", 'all of it ends');

    my $latest = $t->redis('XLEN', "delta:{$channel}");
    wait_for(sub { $t->redis('XLEN', "delta:{$channel}") > $latest + 20 });
    kill 'TERM', $writer;
    waitpid $writer, 0;

    call(ada => PATCH => '/api/users/me', json => { bio => 'after' });
    my $next = $ben->read_until(sub { ($_[0]{c} // '') =~ /^(?:guild|channel):
                                      |^user:ada$/x });
    is($next->{c}, 'user:ada', 'row 3.4: no message comes behind it');
    is(session('ben')->{channels}, 'user:ada user:ben', 'nor next time');

    $t->redis('DEL', map { "user:ben:$_" } qw(guilds channels));
    is(session('ben')->{channels}, 'user:ada user:ben',
       'nor by reading through');
    call(ada => DELETE => '/api/guilds/g1/bans/ben');
    call(ben => POST => '/api/guilds/g1/join');
    ok(wait_for(sub { $t->redis('SISMEMBER', 'user:ben:guilds', 'g1') }),
       'until it is lifted');
}


# The relay writes again what Redis has lost; who is connected stays so.

sub flushed {
    my $ben = session('ben');

    $t->redis('FLUSHALL');
    call(ben => PUT => '/api/users/me/follows/cleo');
    is(next_change($ben), 'subscribed user:cleo',
       'Redis has forgotten all, and a change comes');
    ok(wait_for(sub {
        $t->redis('SISMEMBER', 'user:ben:guilds', '(whole)')
            && $t->redis('SISMEMBER', 'user:ben:follows', '(whole)');
    }), 'the sets are written again');
    is(join(' ', sort @{ $t->redis('SMEMBERS', 'user:ben:follows') }),
       '(whole) ada cleo', 'as they are now');

    call(ada => PATCH => '/api/guilds/g1', json => { name => 'Old' });
    is($ben->read_until('patch')->{d}{entity_id}, 'g1',
       'the session has its channels');
    is(scalar(grep { $_->{t} eq 'unsubscribed' } @{ $ben->{skipped} || [] }),
       0, 'all the time');
}


sub down {
    session('ben')->disconnect;
    $t->stop('upstream');
    $t->redis('DEL', 'user:cleo:guilds');

    is(session('ben')->{channels}, 'guild:g1 user:ada user:ben user:cleo',
       'without the upstream those get in whose sets Redis has');

    my $refused = session('cleo', retry => 0);

    is($refused->status, 503, 'and the others are told to come back');
    ok($refused->header('Retry-After') > 0, 'later');
    $t->start_upstream;
    is(session('cleo')->{channels}, 'guild:g1 user:ada user:cleo',
       'when it is there again they do');
}
