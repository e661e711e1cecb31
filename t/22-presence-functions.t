#!/usr/bin/perl

# Copyright (C) Delta contributors

# Sessions and presence in Redis, function by function: answers, what friends
# are told, what is kept, what is refused.  The clock is a key.

use Delta;

my $t = Delta->new;
my $port = $t->start_redis;
my $now = int(time) * 1000;
my $key = 'delta:{presence:ben}';
my $channel = 'presence:ben';
my $index = 'delta:leases';
my $seen = 'delta:last_seen';
my $friend = Delta::Redis->new($port)->subscribe($channel);

load($t->library =~ s/redis\.call\('TIME'\)(?=\ --\@clock)
                     /redis.call('HMGET', 'clock', 's', 'us')/xr);

sessions();
statuses();
dues();
refreshes();
index_of_leases();
races();
last_seen();
texts();
refusals();
types();
rights();

done_testing();


sub sessions {
    my $first = open_session('a', 'online', 'delta');

    is($first->[0], 1, 'a session begins with generation 1');
    is($first->[1], $now, 'a version begins with the time');
    told('online', 'delta', 'friends are told');
    is_deeply($t->redis('HMGET', $key, 'v', 'a'),
              [ $first->[1], '{"id":"ben","s":"online","p":"delta"}' ],
              'who reads v and a has the same');
    is($t->redis('HGET', $key, 's:a'),
       '1|' . ($now + 90000) . "|$now|$now|6|onlinedelta", 'the lease');

    my $ttl = $t->redis('PTTL', $key);
    ok($ttl > 690000 && $ttl <= 750000, 'the key outlives it by 10 minutes');

    is_deeply(open_session('b', 'online', 'delta'), [ 1, $first->[1] ],
              'another one, and nothing new');
    is_deeply(call('delta_session_resume', 1, $key, $channel, 'a', 1, 30000,
                   60000), [ 2, $first->[1], 'online', 'delta' ],
              'a token is good');
    is_deeply(call('delta_session_resume', 1, $key, $channel, 'a', 1, 30000,
                   60000), [ 0 ], 'once');
    is_deeply(call('delta_session_resume', 1, $key, $channel, 'x', 1, 30000,
                   60000), [ 0 ], 'and for its session');
    is_deeply(open_session('a', 'online', 'delta'), [ 3, $first->[1] ],
              'a session opened again is fenced');
    is_deeply(leave('a', 2, 0), [ $first->[1] ], 'the old one cannot end it');
    is_deeply(leave('x', 1, 0), [ $first->[1] ], 'nor one that is none');
    is_deeply(leave('a', 3, 0), [ $first->[1] ], 'one of two logs out');
    silent('and nobody hears of all that');
    is_deeply(leave('b', 1, 0), [ $first->[1] + 1 ], 'the last one');
    told('offline', undef, 'is told at once');
    is_deeply(leave('b', 1, 0), [ $first->[1] + 1 ], 'twice changes nothing');
    is_deeply([ sort @{ $t->redis('HKEYS', $key) } ], [ 'v' ],
              'the version is kept');
    silent('nor is it told twice');

    $t->redis('DEL', $key);
    pass_time(10);
    ok(open_session('c')->[1] > $first->[1] + 1,
       'a version rises though the key was gone');
    told('online', undef, 'without a project it is null');
    leave('c', 1, 0);
    heard();
}


sub statuses {
    open_session('a', 'online', '');
    heard();
    pass_time(5);
    open_session('b', 'busy', 'x');
    told('busy', 'x', 'the status set last wins');
    is(status('a', 1, 'away', 'y')->[0], $t->redis('HGET', $key, 'v'),
       'a status answers the version');
    told('away', 'y', 'of the older session, too');
    status('a', 1, 'away', 'y');
    silent('the same again is not told');
    status('b', 1, 'idle', '');
    told('idle', undef, 'of two in one ms the later one wins');
    pass_time(-5000);
    status('a', 1, 'back', '');
    told('back', undef, 'also when the clock was set back');
    pass_time(5000);

    is_deeply(status('a', 2, 'x', ''), [ 0, 'replaced' ], 'not the holder');
    is_deeply(status('z', 1, 'x', ''), [ 0, 'gone' ], 'no session');
    leave('a', 1, 0);
    told('idle', undef, 'the status left is that of the other');
    leave('b', 1, 0);
    heard();
}


sub dues {
    open_session('a');
    heard();
    my $v = $t->redis('HGET', $key, 'v');

    leave('a', 1, 60000);
    is(expire(), $now + 60000, 'expire answers the next due');
    silent('a lost connection is not told');
    pass_time(59999);
    is_deeply(call('delta_session_resume', 1, $key, $channel, 'a', 1, 30000,
                   60000), [ 2, $v, 'online', '' ],
              'resumed in the last ms');
    silent('and friends saw nothing');

    pass_time(90000);
    is_deeply(call('delta_session_resume', 1, $key, $channel, 'a', 2, 30000,
                   60000), [ 0 ], 'not at its due');
    is_deeply(status('a', 2, 'x', ''), [ 0, 'gone' ], 'nor a status');
    silent('which tells nobody');
    open_session('b');
    silent('so that a session opened then shows no gap');
    ok(!$t->redis('HEXISTS', $key, 's:a'), 'the old one has gone');

    pass_time(90000);
    is(expire(), 0, 'nothing is due after the last one');
    told('offline', undef, 'which is told');
    is(expire(), 0, 'once');
    silent('by whoever sweeps');

    open_session('a', 'old', '');
    open_session("s$_") for 1 .. 260;
    ok($t->redis('HLEN', $key) <= 258, 'leases of a user are bounded');
    $t->redis('DEL', $key);
    heard();
}


sub refreshes {
    my @more = map { "delta:{presence:u$_}" } 1 .. 3;

    open_session('a');
    call('delta_session_open', 1, $more[0], 'presence:u1', 'b', 30000, 60000,
         'online', '');
    heard();
    pass_time(1000);
    $t->redis('SET', $more[2], 'x');

    is_deeply(call('delta_session_refresh', 4, $key, @more, 30000, 60000,
                   'a', 1, 700, 'b', 2, 0, 'c', 1, 0, 'd', 1, 0),
              [ [ 2, 'replaced' ], [ 3, 'gone' ], [ 4, 'gone' ] ],
              'a batch answers what is not there, by number');
    is((split /\|/, $t->redis('HGET', $key, 's:a'))[1], $now + 89300,
       'a due counts from when the client was heard');
    is((split /\|/, $t->redis('HGET', $more[0], 's:b'))[1], $now + 89000,
       'the lease of another holder is left alone');
    is_deeply(refresh('a', 1, 90000), [ [ 1, 'gone' ] ],
              'a client not heard for so long is not kept');
    is((split /\|/, $t->redis('HGET', $key, 's:a'))[1], $now + 89300,
       'its lease neither');

    pass_time(100_000);
    is_deeply(refresh('a', 1, 0), [], 'past its due a lease lives on');
    is(expire(), $now + 90000, 'if nobody has dropped it');
    ok($t->redis('PTTL', $key) > 690000 + 100_000, 'so does the key');
    silent('and nothing is told');
    $t->redis('DEL', $key, @more);
}


sub index_of_leases {
    my $score = sub { $t->redis('ZSCORE', $index, 'ben') };

    is(add(90000), 1, 'a user is added');
    is($score->(), $now + 90000, 'at the due');
    pass_time(10000);
    add(90000);
    is($score->(), $now + 80000, 'an earlier one is kept');
    add(60000);
    is($score->(), $now + 60000, 'a later one is not');
    is_deeply(claim(), [ $now + 7000 . '.5', [] ], 'nobody is due');
    pass_time(60000);
    add(90000);
    is($score->(), $now + 2000, 'who is added is not swept for a moment');
    pass_time(500);
    add(1);
    is($score->(), $now + 2000, 'not even if the next one is in a hurry');
    pass_time(2000);

    my ($mark, $who) = @{ claim() };
    is_deeply($who, [ 'ben' ], 'then it is');
    is($mark, $now + 7000 . '.5', 'under a mark');
    is_deeply(claim()->[1], [], 'by one');
    is(finish($mark, $now + 100), 1, 'who says what is next');
    is($score->(), $now + 100, 'and so it is');
    is(finish($mark, 0), 0, 'once');

    pass_time(100);
    claim();
    pass_time(7001);
    ($mark, $who) = @{ claim() };
    is_deeply($who, [ 'ben' ], 'a claim ends if who made it crashed');
    is(finish($mark, 0), 1, 'the last one');
    is($score->(), undef, 'takes the user away');
    is(call('delta_leases_add', 1, $index, map { ("u$_", 1) } 1 .. 20), 20,
       'many at once');
    pass_time(1);
    is(@{ call('delta_leases_claim', 1, $index, 7, 1000)->[1] }, 7,
       'not more than asked for');
    $t->redis('DEL', $index);
}


# A sweeper stands between looking and removing while a session comes.

sub races {
    add(90000);
    pass_time(90000);
    my ($mark) = @{ claim() };
    is(expire(), 0, 'nothing is there');
    add(90000);
    open_session('a');
    is(finish($mark, 0), 0, 'the index of who came meanwhile stays');
    ok($t->redis('ZSCORE', $index, 'ben') <= $now + 90000, 'in time');
    leave('a', 1, 0);

    $t->redis('DEL', $index);
    add(90000);
    pass_time(90001);
    add(90000);
    ($mark, my $who) = @{ claim() };
    is_deeply($who, [], 'between index and hash nobody sweeps');
    $t->redis('DEL', $index);
    heard();
}


sub last_seen {
    my $score = sub { $t->redis('ZSCORE', $seen, 'ben') };

    open_session('a');
    pass_time(1000);
    call('delta_session_refresh', 2, $key, $seen, 30000, 60000, 'a', 1, 400);
    my $heard = $now - 400;
    $t->redis('DEL', $seen);
    call('delta_session_refresh', 2, $key, $seen, 30000, 60000, 'a', 1, 400);
    is($score->(), undef, 'not with every refresh');
    pass_time(60000);
    call('delta_session_refresh', 2, $key, $seen, 30000, 60000, 'a', 1, 30);
    is($score->(), $now - 30, 'but once in a minute');
    $heard = $now - 30;
    $t->redis('DEL', $seen);
    call('delta_session_leave', 2, $key, $seen, $channel, 'a', 1, 500);
    is($score->(), undef, 'a lost connection is no end');
    is($t->redis('EXISTS', "$seen:ended"), 0, 'and none is told');
    pass_time(500);
    call('delta_presence_expire', 2, $key, $seen, $channel);
    is($score->(), $heard, 'the end is when it was heard last');
    is($t->redis('ZSCORE', "$seen:ended", 'ben'), $heard, 'it is told apart');

    open_session('a');
    call('delta_session_leave', 2, $key, $seen, $channel, 'a', 1, 0);
    is($score->(), $now, 'or when it logged out');
    is($t->redis('ZSCORE', "$seen:ended", 'ben'), $now, 'which is told, too');
    is(call('delta_last_seen_done', 1, "$seen:ended", 'ben', $now), 1,
       'and is done in the same way');
    is(call('delta_last_seen_done', 1, $seen, 'ben', $now - 1, 'x', 5), 0,
       'what is newer than what was stored stays');
    is(call('delta_last_seen_done', 1, $seen, 'ben', $now), 1,
       'what was stored goes');
    is($score->(), undef, 'for good');
    heard();
}


# Separators and quotes are text like any other.

sub texts {
    for my $case ([ 'a|b', '|9|9|' ], [ '"\\"', '"},{' ], [ '7|x', '0' ],
                  [ "\xc3\xa4\xf0\x9f\x98\x80", "\xe2\x82\xac" ],
                  [ 's' x 64, 'p' x 128 ])
    {
        my ($status, $project) = @$case;

        my $answer = open_session('a', $status, $project);
        my ($text) = heard();
        my $event = json_decode($text =~ s/^\d+ //r);

        utf8::decode(my $s = $status);
        utf8::decode(my $p = $project);
        is_deeply($event, { t => 'presence_update',
                            d => { id => 'ben', s => $s, p => $p } },
                  'text of ' . length($status) . ' bytes arrives as it was');
        pass_time(1);
        is_deeply(call('delta_session_resume', 1, $key, $channel, 'a',
                       $answer->[0], 30000, 60000),
                  [ $answer->[0] + 1, $answer->[1], $status, $project ],
                  'and is read back as it was');
        silent('without a difference');
    }

    $t->redis('DEL', $key);
}


sub refusals {
    my @open = ('delta_session_open', 1, $key, $channel, 'a', 30000, 60000,
                'online', '');
    my @good = (
        \@open,
        [ 'delta_session_resume', 1, $key, $channel, 'a', 1, 30000, 60000 ],
        [ 'delta_session_status', 1, $key, $channel, 'a', 1, 'x', '' ],
        [ 'delta_session_leave', 1, $key, $channel, 'a', 1, 0 ],
        [ 'delta_presence_expire', 1, $key, $channel ],
        [ 'delta_session_refresh', 1, $key, 30000, 60000, 'a', 1, 0 ],
        [ 'delta_leases_add', 1, $index, 'ben', 90000 ],
        [ 'delta_leases_claim', 1, $index, 10, 1000 ],
        [ 'delta_leases_done', 1, $index, 'ben', '1.5', 0 ],
        [ 'delta_last_seen_done', 1, $seen, 'ben', 1 ],
    );

    for my $good (@good) {
        my ($name, $n, @args) = @$good;

        refused("$name: an argument too few", $name, 1, @args[0 .. $#args - 1]);
        refused("$name: one too many", $name, 1, @args, 'x');
        refused("$name: no key", $name, 0, @args[1 .. $#args]);

        for my $i (0 .. $#args) {
            next if $i == 0 && $args[0] !~ /\{/;
            my @try = @args;

            for my $bad ("\n", "\xff", 'x' x 300) {
                $try[$i] = $bad;
                refused("$name: argument $i", $name, 1, @try);
            }
        }
    }

    for my $case ([ 3, 'a b', '', 'x' x 65, 'a|b', "a\n" ],
                  [ 4, '', '-1', '1.5', '1e3', '0x1', ' 1', '0', '86400001' ],
                  [ 5, '-1', 'x', '86400001' ],
                  [ 6, '', 'offline', 'x' x 65, "a\0", "\xc0\x80",
                    "\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80", "a\x7f" ],
                  [ 7, 'x' x 129, "\x01", "\x80" ])
    {
        my ($i, @bad) = @$case;

        for my $bad (@bad) {
            my @try = @open[0 .. $#open];
            $try[ $i + 1 ] = $bad;
            refused("delta_session_open: argument $i", @try);
        }
    }

    for my $bad ('delta:presence:ben', 'delta:{}', 'delta:{a b}', 'x{a}',
                 'delta:{a"}', 'delta:{a}x')
    {
        refused("the key $bad", @open[0, 1], $bad, @open[3 .. 8]);
    }

    for my $bad ('7', '7.25', 'x.5', '.5', '') {
        refused("the mark '$bad'", 'delta_leases_done', 1, $index, 'ben',
                $bad, 0);
    }

    refused('a user with a colon', 'delta_leases_add', 1, $index, 'a:b', 1);
    refused('a generation of 0', 'delta_session_leave', 1, $key, $channel,
            'a', 0, 0);
    refused('too many', 'delta_leases_claim', 1, $index, 1001, 1000);

    is($t->redis('EXISTS', $key, $index, $seen), 0, 'nothing was written');
    silent('nor told');
}


sub types {
    $t->redis('SET', $key, 'x');

    for my $call ([ 'delta_session_open', 1, $key, $channel, 'a', 3, 6, 'x',
                    '' ], [ 'delta_presence_expire', 1, $key, $channel ])
    {
        like(failed(@$call), qr/^WRONGTYPE/, "$call->[0]: another type");
    }

    $t->redis('DEL', $key);
    open_session('a');
    heard();
    $t->redis('SET', $seen, 'x');
    like(failed('delta_session_leave', 2, $key, $seen, $channel, 'a', 1, 0),
         qr/^WRONGTYPE/, 'last_seen of another type');
    ok($t->redis('HEXISTS', $key, 's:a'), 'is found out before');
    silent('anything is done');

    $t->redis('HSET', $key, 's:bad', 'x|y', 's:worse', '1|2', 'v', 7);
    pass_time(90000);
    $t->redis('DEL', $seen);
    is(expire(), 0, 'leases that are none go');
    told('offline', undef, 'with the others');
    $t->redis('DEL', $key, $seen);
}


# With the clock of Redis, as the gateway loads it.

sub rights {
    load($t->library);

    my @rights = qw(hget hgetall hset hdel pexpireat zadd zscore publish
                    time);

    $t->redis('ACL', 'SETUSER', 'gateway', 'on', 'nopass', 'resetchannels',
              '&presence:*', '~delta:{presence:*', "~$seen*", '+fcall',
              map { "+$_" } @rights);

    my $gateway = Delta::Redis->new($port);
    $gateway->command('AUTH', 'gateway', '');

    my @open = ('FCALL', 'delta_session_open', 2, $key, $seen, $channel, 'a',
                30000, 60000, 'online', '');

    ok($gateway->command(@open), 'the rights that docs name suffice');
    is_deeply($gateway->command('FCALL', 'delta_session_refresh', 2, $key,
                                $seen, 30000, 60000, 'a', 1, 0), [],
              'for a refresh, too');
    $t->redis('DEL', $key);

    for my $less (qw(hgetall hset hdel pexpireat zadd zscore publish)) {
        $t->redis('ACL', 'SETUSER', 'gateway', "-$less");
        like(eval { $gateway->command(@open) } // $@, qr/^NOPERM/,
             "refused without $less");
        $t->redis('ACL', 'SETUSER', 'gateway', "+$less");
    }

    $t->redis('ACL', 'SETUSER', 'gateway', 'resetchannels');
    like(eval { $gateway->command(@open) } // $@, qr/^NOPERM/,
         'refused without the channel');
    is($t->redis('EXISTS', $key), 0, 'before anything was written');
}


# The clock and the calls.

sub load {
    $t->redis('FUNCTION', 'LOAD', 'REPLACE', $_[0]);
    pass_time(0);
}


sub pass_time {
    $now += $_[0];
    $t->redis('HSET', 'clock', 's', int($now / 1000),
              'us', $now % 1000 * 1000);
}


sub call {
    return $t->redis('FCALL', @_);
}


sub failed {
    return eval { call(@_); 'no error' } // $@;
}


sub refused {
    my ($name, @call) = @_;

    like(failed(@call), qr/^DELTA /, $name);
}


sub open_session {
    my ($sid, $status, $project) = @_;

    return call('delta_session_open', 1, $key, $channel, $sid, 30000, 60000,
                $status // 'online', $project // '');
}


sub status {
    return call('delta_session_status', 1, $key, $channel, @_);
}


sub leave {
    return call('delta_session_leave', 1, $key, $channel, @_);
}


sub refresh {
    return call('delta_session_refresh', 1, $key, 30000, 60000, @_);
}


sub expire {
    return call('delta_presence_expire', 1, $key, $channel);
}


sub add {
    return call('delta_leases_add', 1, $index, 'ben', @_);
}


sub claim {
    return call('delta_leases_claim', 1, $index, 100, 7000);
}


sub finish {
    return call('delta_leases_done', 1, $index, 'ben', @_);
}


# What the friend has heard since it was asked last.

sub heard {
    my @heard;

    $friend->send('PING');

    while ((my $reply = $friend->read)->[0] ne 'pong') {
        push @heard, $reply->[2];
    }

    return @heard;
}


sub silent {
    is(join(' ', heard()), '', $_[0]);
}


sub told {
    my ($status, $project, $name) = @_;

    $project = defined $project ? qq{"$project"} : 'null';

    my $v = $t->redis('HGET', $key, 'v');

    is(join(' ', heard()), qq($v {"t":"presence_update","d":{"id":"ben",)
       . qq("s":"$status","p":$project}}), $name);
}
