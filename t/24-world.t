#!/usr/bin/perl

# Copyright (C) Delta contributors

# delta_snapshot: what nginx serves of a world, of one that stands still and of
# one that ticks while all is cut off, reloaded and killed.  DELTA_SEED repeats.

use Delta;
use Delta::Chaos::Random;
use Delta::World;

use Time::HiRes qw(sleep time);

my $t = Delta->new;
my $seed = $ENV{DELTA_SEED} || 1 + int rand 1e6;
my $random = Delta::Chaos::Random->new($seed);
my $secret = '"oldValue":{"hunger":1}';

$t->start_redis;

$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%% read_timeout=1s;
             delta_jwt_key_file jwks.json;',
    server => $Delta::World::LOCATIONS . <<'END'));
    location = /any/init { delta_snapshot world=$arg_world; }
    location = /any/snapshots {
        delta_snapshot world=$arg_world range max=1000;
        delta_origin http://friend.example;
    }
    location = /guarded/init { delta_jwt; delta_snapshot world=still; }
    location = /full/init { delta_snapshot world=still full; }
    location = /full/snapshots { delta_snapshot world=still range full; }
END

wait_for(sub { $t->http(GET => '/any/init?world=none')->status != 503 });

init_2_3();
range_2_4();
bounds_2_4();
pages_2_4();
revalidated();
other_sites();
not_as_written();
redis_away();
consistent_2_3();
stands_still();
always_ends_in_its_state();

done_testing;


# A world that stands still.

sub still {
    my ($world, $tick, @ticks) = @_;

    $t->redis('SET', "latest_tick:$world", $tick);
    $t->redis('SET', "full_state:$world", '{"worldId":"' . $world . '",'
        . '"tick":3,"entities":[{"id":"a,\"full\":","type":"x",'
        . '"position":{"x":1,"y":2}}],"full":[' . "{$secret}]}");
    $t->redis('SET', "snapshot:$world:$_", snapshot($_)) for @ticks;
}


sub snapshot {
    my ($tick, $more) = @_;

    return '{"worldId":"still","tick":' . $tick . ',"limitedCast":{"entity'
        . 'Removed":["' . ($more // 'b,\"fullCast\":') . '"]},"fullCast":{'
        . "$secret}}";
}


sub get {
    my ($path, %opt) = @_;

    return $t->http(GET => $path, %opt);
}


sub init_2_3 {
    still(still => 5, 4, 5);

    my $answer = get('/any/init?world=still');
    my $json = $answer->json;

    is($answer->status, 200, '/world/init');
    is($answer->header('content-type'), 'application/json', 'its type');
    is($answer->header('cache-control'), 'no-cache', 'to be asked again');
    is_deeply([ sort keys %$json ],
              [ sort qw(fullState currentTick latestSnapshot) ],
              'the members of the seed');
    is($json->{currentTick}, 5, 'the latest tick');
    is($json->{fullState}{tick}, 3, 'row 2.3: the state\'s own');
    is($json->{latestSnapshot}{tick}, 5, 'and the snapshot the latest');
    unlike($answer->body, qr/hunger/, 'what is hidden stays hidden');
    is($json->{fullState}{entities}[0]{id}, 'a,"full":',
       'whatever an entity is called');

    like(get('/full/init')->json->{fullState}{full}[0]{oldValue}{hunger},
         qr/^1$/, 'but for "full"');

    for my $gone (4, 5) {
        still(still => 5, grep { $_ != $gone } 4, 5);
        $t->redis('DEL', "snapshot:still:$gone");
        $json = get('/any/init?world=still')->json;

        ok(exists $json->{latestSnapshot} && !defined $json->{latestSnapshot},
           "snapshot $gone has expired: there is no latest one");
        is($json->{currentTick}, 3, 'and the tick is that of the state');
    }

    $t->redis('SET', 'full_state:still', '{"tick":3,"full":0}');
    is(get('/any/init?world=still')->json->{currentTick}, 5,
       'unless it does not begin with it');

    $t->redis('SET', 'latest_tick:still', 0);
    is_deeply(get('/any/init?world=still')->json,
              { fullState => { tick => 3 }, currentTick => 0,
                latestSnapshot => undef }, 'no tick yet');

    $t->redis('DEL', 'full_state:still');
    is(get('/any/init?world=still')->status, 503, 'no state yet: later');
    like(get('/any/init?world=still')->header('retry-after'), qr/^[1-5]$/,
         'with Retry-After');

    is(get('/guarded/init')->status, 401, 'a token is asked for');
    is(get('/guarded/init', token => $t->token('ben'))->status, 503,
       'and looked at');

    is(get("/any/init?world=$_")->status, 404, "no world \"$_\"")
        for '', 'none', 'a:b', '%2e%2f', 'x' x 129;

    my $head = $t->http(HEAD => '/full/init');
    ok($head->status == 503 && $head->body eq '', 'HEAD');
    is($t->http(POST => '/any/init?world=still')->status, 405, 'POST');
    is($t->http(POST => '/any/init')->header('allow'), 'GET, HEAD', 'Allow');
}


sub range_2_4 {
    still(still => 9, 4, 5, 7, 9);

    my $answer = get('/any/snapshots?world=still&from=4&to=9');
    my $json = $answer->json;

    is($answer->status, 200, 'row 2.4: /world/snapshots');
    is(join(' ', map { $_->{tick} } @{ $json->{snapshots} }), '4 5 7 9',
       'in the order of their ticks');
    is_deeply($json->{missing}, [ 6, 8 ], 'row 2.4: and the gaps');
    is("$json->{from} $json->{to}", '4 9', 'from and to');
    unlike($answer->body, qr/hunger/, 'nothing hidden');
    is($json->{snapshots}[0]{limitedCast}{entityRemoved}[0],
       'b,"fullCast":', 'whatever an entity is called');
    is(get('/full/snapshots?from=4&to=4')->json->{snapshots}[0]{fullCast}
           {oldValue}{hunger}, 1, 'but for "full"');

    for ([ '9&to=12', '9', '', '9 9' ], [ '10&to=12', '', '', '10 9' ],
         [ '1&to=3', '', '1 2 3', '1 3' ], [ '007&to=7', '7', '', '7 7' ])
    {
        my ($args, $there, $missing, $covers) = @$_;
        $json = get("/any/snapshots?world=still&from=$args")->json;

        is(join(' ', map { $_->{tick} } @{ $json->{snapshots} }), $there,
           "from=$args: what is there");
        is("@{ $json->{missing} }", $missing, 'what is not');
        is("$json->{from} $json->{to}", $covers, 'how far it reaches');
    }

    is(get('/any/snapshots?world=none&from=1&to=2')->status, 404,
       'no such world');
}


sub bounds_2_4 {
    is(get("/any/snapshots?world=still$_")->status, 400, "400: $_")
        for '', '&from=1', '&to=1', '&from=&to=1', '&from=1&to=',
            '&from=2&to=1', '&from=0&to=1', '&from=-1&to=1',
            '&from=1.5&to=2', '&from=1&to=x',
            '&from=1e1&to=20', '&from=+1&to=2', '&from=%31&to=2',
            '&from=1&to=1001', '&from=1&to=9999999999999999',
            '&from=1&to=' . '9' x 400;

    is(get('/any/snapshots?world=still&from=1&to=1000')->status, 200,
       'as many as max= allows');
    is(get('/world/snapshots?from=1&to=65')->status, 400,
       'and no more of another location');
}


# More than one question to Redis, and more than fits into an answer.

sub pages_2_4 {
    still(many => 1000, 1 .. 300, 302 .. 1000);

    my $json = get('/any/snapshots?world=many&from=1&to=1000')->json;

    is(join(' ', map { $_->{tick} } @{ $json->{snapshots} }),
       join(' ', 1 .. 300, 302 .. 1000), 'a thousand, less one');
    is("@{ $json->{missing} }", '301', 'that is gone');

    my $big = snapshot(7, 'x' x 1e6);

    still(big => 5);
    $t->redis('SET', "snapshot:big:$_", $big) for 1 .. 5;

    my ($from, $total, $requests) = (1, 0, 0);

    while ($from <= 5 && $requests < 5) {
        $json = get("/any/snapshots?world=big&from=$from&to=5")->json;
        $requests++;
        $total += @{ $json->{snapshots} };
        $from = $json->{to} + 1;
    }

    is($total, 5, 'five large ones');
    is($requests, 2, 'in two requests');
    $t->redis('DEL', map { "snapshot:big:$_" } 1 .. 5);
}


sub revalidated {
    still(still => 9, 4, 5, 7, 9);

    for my $path ('/any/init?world=still',
                  '/any/snapshots?world=still&from=4&to=9')
    {
        my $answer = get($path);
        my $etag = $answer->header('etag');

        like($etag, qr/^"[\w-]+"$/, 'an ETag');

        my $same = get($path, headers => [ 'If-None-Match' => $etag ]);
        is($same->status, 304, 'the same is 304');
        is($same->header('etag'), $etag, 'with it');

        $t->redis('SET', 'snapshot:still:9', snapshot(9, 'other'));
        my $other = get($path, headers => [ 'If-None-Match' => $etag ]);
        is($other->status, 200, 'another one is not');
        like($other->body, qr/other/, 'and is sent');
        $t->redis('SET', 'snapshot:still:9', snapshot(9));
    }
}


sub other_sites {
    my $path = '/any/snapshots?world=still&from=4&to=5';
    my @friend = (Origin => 'http://friend.example');

    is(get($path, headers => \@friend)
           ->header('access-control-allow-origin'), $friend[1],
       'a listed site may read it');
    is(get($path, headers => [ Origin => 'http://foe.example' ])
           ->header('access-control-allow-origin'), undef, 'others may not');
    is($t->http(OPTIONS => $path, headers => [ @friend,
        'Access-Control-Request-Method' => 'GET' ])->status, 204,
       'a preflight');
}


# Never more than what stands before the hidden member.

sub not_as_written {
    my @bad = ('', '{', 'null', '[1,"fullCast":]', '{"a":1}',
               '{"a":1, "fullCast": {}}', '{"a":1,"fullCast":');

    for (@bad) {
        $t->redis('SET', 'snapshot:still:7', $_);
        is(get('/any/snapshots?world=still&from=7&to=7')->status, 502,
           "502: $_");
    }

    $t->redis('DEL', 'snapshot:still:7');
    $t->redis('LPUSH', 'snapshot:still:7', 'x');
    is_deeply(get('/any/snapshots?world=still&from=7&to=7')->json->{missing},
              [ 7 ], 'a list is no snapshot');

    $t->redis('SET', 'full_state:still', '{"tick":1}');
    is(get('/any/init?world=still')->status, 502, '502: a state');
    $t->redis('SET', 'latest_tick:still', 'x');
    is(get('/any/init?world=still')->status, 502, '502: a tick');
    like($t->log, qr/is not an object with "full":, of which clients get/,
         'the log says why');
}


sub redis_away {
    still(still => 5, 4, 5);
    kill 'STOP', $t->pid('redis');

    my $start = time;
    my $answer = get('/any/init?world=still');

    is($answer->status, 503, 'Redis says nothing: 503');
    cmp_ok(time - $start, '<', 3 * $Delta::SLOW, 'in time');
    like($answer->header('retry-after'), qr/^[1-5]$/, 'with Retry-After');

    # whoever goes away meanwhile is no reader of the answer

    my $gone = Delta::Client::open_socket($t->port);
    print $gone "GET /any/init?world=still HTTP/1.1\r\nHost: a\r\n\r\n";
    is(get('/none')->status, 404, 'one that came later has its answer');
    close $gone;

    kill 'CONT', $t->pid('redis');
    ok(wait_for(sub { get('/any/init?world=still')->status == 200 }),
       'it is back');

    $t->stop_redis;
    is(get('/any/init?world=still')->status, 503, 'Redis is away: 503');
    $t->start_redis;
    ok(wait_for(sub { get('/any/init?world=still')->status == 404 }),
       'another one');
}


# At any moment all of an answer belongs together.

sub consistent_2_3 {
    start();
    wait_for(sub { get('/world/init')->status == 200 });

    my ($wrong, $moved, $before) = (0, 0, 0);

    for (1 .. 150) {
        my $init = get('/world/init')->json;
        my $state = $init->{fullState};

        $wrong++ if $init->{currentTick} != $init->{latestSnapshot}{tick}
                    || $state->{tick} > $init->{currentTick}
                    || $state->{tick} < $init->{currentTick} - 50;
        $moved++ if $init->{currentTick} != $before;
        $before = $init->{currentTick};
    }

    is($wrong, 0, 'row 2.3: 150 times while it ticks, all is of one tick');
    cmp_ok($moved, '>', 10, "$moved of them of another one");

    my $world = Delta::World->new($t)->open;

    $world->read(2);
    is($world->{wrong}, 0, 'a client that loads and applies is right');
    cmp_ok($world->{ticks}, '>', 20, 'tick by tick');
    is($world->{loads}, 1, 'and has loaded once');

    $world->cut;
    wait_for(sub { latest() > $world->{tick} + 10 });
    $world->open->read(1);
    is($world->{wrong}, 0, 'a short time away');
    is($world->{loads}, 1, 'is repaired by snapshots');
    cmp_ok($world->{ranges}, '>', 0, 'of a range');

    $world->cut;

    my $next = 'snapshot:default:' . ($world->{tick} + 1);
    wait_for(sub { latest() > $world->{tick} && !$t->redis('EXISTS', $next) });
    $world->open->read(1);
    is($world->{wrong}, 0, 'longer than snapshots live');
    is($world->{loads}, 2, 'the state is loaded again');
    $world->cut;
}


# A world that stands still longer than its snapshots live.

sub stands_still {
    my $old = Delta::World->new($t)->open;
    my $tick = expired('TERM');

    my $new = Delta::World->new($t)->open;
    is($new->{tick}, $tick, 'it was stopped: who comes has the last tick');
    is($new->{wrong} + $new->{loads}, 1, 'and its state, at once');

    start();
    $_->read(10, $tick + 10) for $old, $new;
    is("$new->{loads} $new->{wrong}", '1 0', 'then it goes on, tick by tick');
    is("$old->{loads} $old->{wrong}", '1 0', 'also for who has stayed');

    $tick = expired('KILL');
    my $init = get('/world/init')->json;
    my $third = Delta::World->new($t)->open;

    is($third->{tick}, $init->{fullState}{tick},
       'it was killed: the whole state is what there is');
    is($init->{currentTick}, $third->{tick}, 'and the current tick');
    is($third->{wrong} + $third->{loads}, 1, 'at once');

    start();
    ok(wait_for(sub { latest() > $tick }),
       'it is there again');
    $tick = latest();

    for my $world ($old, $new, $third) {
        $world->read(10, $tick + 10);
        cmp_ok($world->{tick}, '>=', $tick + 10, 'and all go on with it');
        is("$world->{loads} $world->{wrong}", '2 0', 'from its new state');
        $world->cut;
    }
}


sub latest {
    return $t->redis('GET', 'latest_tick:default');
}


# Its last tick.

sub expired {
    my ($signal) = @_;

    $t->stop('upstream', $signal);

    ok(wait_for(sub { !@{ $t->redis('KEYS', 'snapshot:default:*') } }),
       'it has ended, and its snapshots have expired');

    return latest();
}


# Whatever happens, whoever applies what there is ends in the world's state.

sub always_ends_in_its_state {
    my $world = Delta::World->new($t)->open;
    my $end = time + 12;
    my %did;

    # each once at least, the others by chance

    my @plan = $random->shuffle(qw(cut cut away reload kill stop redis));

    while (@plan || time < $end) {
        my $what = shift @plan // $random->one(qw(cut cut away reload));

        $world->read($random->number(0.8));
        $did{$what}++;
        disturb($world, $what);
        $world->open if !$world->{sse} || !$world->read(0.01);
    }

    # once it stands still, its snapshots expire

    $world->read(1);
    $world->open if !$world->{sse} || !$world->read(0.01);
    $t->stop('upstream');

    my $last = latest();

    $world->read(5, $last);

    is($world->{tick}, $last, 'the client has the last tick');
    is($world->{wrong}, 0, 'and was right in each');

    my $state = state();

    is($state->{tick}, $last, 'which is archived');
    is_deeply([ map { fixed($_) } sort { $a->{id} cmp $b->{id} }
                values %{ $world->{entities} } ],
              [ map { fixed($_) } sort { $a->{id} cmp $b->{id} }
                @{ $state->{entities} } ],
              'row 2.7: it has what the world has');

    diag("seed $seed: $world->{ticks} ticks, $world->{ranges} ranges, "
         . "$world->{loads} loads; "
         . join ', ', map { "$_ $did{$_}" } sort keys %did);
    $world->cut;
}


sub disturb {
    my ($world, $what) = @_;

    if ($what eq 'reload') {
        $t->reload;
        return;
    }

    $world->cut if $what ne 'redis';

    if ($what eq 'kill') {
        $t->stop('upstream', 'KILL');
        start();

    } elsif ($what eq 'stop') {
        $t->stop('upstream');
        start();

    } elsif ($what eq 'redis') {
        $t->stop_redis;
        sleep $random->number(0.5);
        $t->start_redis;

    } else {
        sleep $random->number($what eq 'away' ? 2 : 0.4);
    }
}


sub start {
    $t->start_upstream(qw(--world default --tick 20 --archive-interval 25
                          --snapshot-ttl 1 --npcs 20));
}


# The archive's: the world's own, when it ended.

sub state {
    my $path = $t->dir . '/upstream.db';

    return json_decode(scalar `sqlite3 $path 'SELECT state FROM world_archive
                               ORDER BY tick DESC LIMIT 1'`);
}


sub fixed {
    my ($entity) = @_;

    return join ':', @$entity{qw(id type)},
        map { sprintf '%.3f', $_ } @{ $entity->{position} }{qw(x y)};
}
