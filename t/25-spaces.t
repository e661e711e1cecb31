#!/usr/bin/perl

# Copyright (C) Delta contributors

# Spaces from end to end: intentions by REST, SQL, outbox, Redis and nginx, to
# clients that only do what seed 001 describes.  DELTA_SEED repeats.

use Delta;
use Delta::Chaos::Random;
use Delta::Space qw(start_space_servers);

use Time::HiRes qw(sleep time);

my $t = Delta->new;
my $seed = $ENV{DELTA_SEED} || 1 + int rand 1e6;
my $random = Delta::Chaos::Random->new($seed);
my $long = $ENV{DELTA_SECONDS} || 8;

start_space_servers($t, '--appendonly', 'yes');

my $space = make_space();

rest();
indexes_1_6();
since_1_6();
stream_1_1();
expired_log_1_6();
recent_1_3();
denied_1_1();
exactly_once_1_5();
always_ends_in_its_state_1_5();

done_testing;


sub api {
    my ($user, $method, $path, $json) = @_;

    my $answer;

    # while the upstream is away nginx says 502

    wait_for(sub {
        $answer = $t->http($method => $path, token => $t->token($user),
                           $json ? (json => $json) : ());
        return $answer && $answer->status < 500;
    }, 10);

    return $answer;
}


# A space with ada and ben in it.

sub make_space {
    my $answer = api(ada => POST => '/api/spaces', { name => 'A place' });
    my $id = $answer->json->{id} // die 'no space';

    api(ben => PUT => "/api/spaces/$id/members/me");
    wait_for(sub { $t->redis('SISMEMBER', 'user:ben:spaces', $id) });
    wait_for(sub { $t->redis('SISMEMBER', 'user:ada:spaces', $id) });
    wait_for(sub { $t->redis('EXISTS', 'delta:{user:ben:control}') });

    return $id;
}


sub intend {
    my ($text, $user) = @_;

    return api($user // 'ada', POST => "/api/spaces/$space/intentions",
               { content => $text })->json;
}


sub edit {
    my ($id, $text) = @_;

    return api(ada => PATCH => "/api/spaces/$space/intentions/$id",
               { content => $text });
}


sub remove {
    my ($id) = @_;

    return api(ada => DELETE => "/api/spaces/$space/intentions/$id");
}


sub list {
    return api(ben => GET => "/api/spaces/$space/intentions")
        ->json->{intentions};
}


sub since {
    my ($since) = @_;

    return $t->http(GET => "/internal/intentions?spaceId=$space"
                           . (defined $since ? "&since=$since" : ''),
                    port => $t->{upstream_port},
                    headers => [ 'X-User' => 'ben' ]);
}


sub stream {
    my ($since, %opt) = @_;

    my $path = '/api/stream?spaceId=' . ($opt{space} // $space);

    $path .= "&since=$since" if defined $since;

    return $t->sse($path, token => $t->token('ben'), %opt);
}


sub rest {
    my $made = api(ada => POST => "/api/spaces/$space/intentions",
                   { content => 'one' });

    is($made->status, 201, 'an intention');
    ok(wait_for(sub { logged() == 1 }), 'is published');
    is_deeply([ sort keys %{ $made->json } ],
              [ sort qw(id space_id author_id content created_at changed_at) ],
              'what it is');

    my $id = $made->json->{id};

    is(edit($id, 'two')->json->{content}, 'two', 'edited');
    is(api(ben => PATCH => "/api/spaces/$space/intentions/$id",
           { content => 'x' })->status, 403, 'by its author only');
    is(edit('i999', 'x')->status, 404, 'that is not there');
    is(edit('x', 'x')->status, 404, 'that is none');
    is(api(ada => POST => "/api/spaces/$space/intentions", {})->status, 400,
       'without content');
    is(api(cleo => GET => "/api/spaces/$space/intentions")->status, 403,
       'who is not in the space');
    is(api(ada => GET => '/api/spaces/s99/intentions')->status, 404,
       'no such space');
    is(scalar @{ list() }, 1, 'the list');
    is(remove($id)->status, 204, 'deleted');
    is(remove($id)->status, 404, 'once');
    is(scalar @{ list() }, 0, 'and gone from the list');
    is($t->http(GET => '/internal/intentions?spaceId=s1',
                token => $t->token('ada'))->status, 404,
       'clients cannot ask as nginx does');

    wait_for(sub { logged() == 3 });
    my @events = map { json_decode($_->[1][3]) }
        @{ $t->redis('XRANGE', "delta:{space:$space}", '-', '+') };

    is(join(' ', map { $_->{t} } @events), 'space_delta ' x 2 . 'space_delta',
       'three deltas');
    is_deeply([ map { my $d = $_->{d};
                      [ map { scalar @{ $d->{$_} } }
                        qw(created updated deleted) ] } @events ],
              [ [ 1, 0, 0 ], [ 0, 1, 0 ], [ 0, 0, 1 ] ], 'one of each kind');
}


sub logged {
    return $t->redis('XLEN', "delta:{space:$space}");
}


sub indexes_1_6 {
    my $db = $t->file('upstream.db');
    my $plan = `sqlite3 $db "EXPLAIN QUERY PLAN SELECT * FROM intentions
        WHERE location_id = 's1' AND created_at > 5 ORDER BY created_at"`;

    like($plan, qr/SEARCH.*intentions_location_created.*created_at>/,
         'row 1.6: the index over (location_id, created_at)');

    $plan = `sqlite3 $db "EXPLAIN QUERY PLAN SELECT * FROM intentions
        WHERE location_id = 's1' AND changed_at > 5"`;

    like($plan, qr/SEARCH.*intentions_location_changed.*changed_at>/,
         'row 1.6: and over (location_id, changed_at)');
}


sub since_1_6 {
    my @made = map { intend("s$_") } 1 .. 3;
    my @id = map { $_->{id} } @made;
    my $from;

    # a time of which none of them is

    wait_for(sub {
        $from = since()->json->{timestamp};
        return !@{ since($from)->json->{created} };
    });

    edit($id[0], 'changed');
    remove($id[1]);
    my $new = intend('new')->{id};
    remove(intend('short')->{id});
    edit($new, 'newer');

    my $answer = since($from)->json;

    is(join(' ', map { "$_->{id} $_->{content}" } @{ $answer->{created} }),
       "$new newer", 'created since then, as it is now');
    is(join(' ', map { "$_->{id} $_->{content}" } @{ $answer->{updated} }),
       "$id[0] changed", 'edited');
    is(scalar @{ $answer->{deleted} }, 2, 'row 1.6: by their tombstones');
    is($answer->{deleted}[0], $id[1], 'with their ids');
    ok($answer->{complete}, 'all of it');

    intend("m$_") for 1 .. 50;
    ok(!since($from)->json->{complete}, 'more than 50 are not complete');
    cmp_ok(scalar @{ since($from)->json->{created} }, '<=', 51, 'nor sent');

    my $newest = since()->json;
    is(scalar @{ $newest->{created} }, 50, 'the newest');
    is($newest->{created}[49]{content}, 'm50', 'up to the last');

    is(since($_)->status, 400, "no time: $_") for 'x', '5', '2025-01-01';
    is($t->http(GET => '/internal/intentions?spaceId=s99',
                port => $t->{upstream_port},
                headers => [ 'X-User' => 'ben' ])->status, 404,
       'no such space');
}


sub stream_1_1 {
    my $sse = stream();
    my $first = $sse->read_json;
    my $made = intend('live');
    my $delta = $sse->read_json;

    is_deeply($delta->{created}, [ $made ], 'an intention reaches the stream');
    cmp_ok($delta->{timestamp}, 'gt', $first->{timestamp}, 'as a delta');
    $sse->disconnect;

    edit($made->{id}, 'edited');
    $sse = stream($delta->{timestamp});
    $delta = $sse->read_json;
    is($delta->{updated}[0]{content}, 'edited', 'an edit after coming back');

    remove($made->{id});
    is_deeply($sse->read_json->{deleted}, [ $made->{id} ], 'a deletion');
    $sse->disconnect;
}


sub recent_1_3 {
    my $recent = stream()->read_json;

    is(scalar @{ $recent->{created} }, 50, 'row 1.3: the newest 50');
    is($recent->{created}[49]{id}, list()->[-1]{id}, 'up to the last');
}


# The log is gone: SQL knows.

sub expired_log_1_6 {
    # the overlap: what was made before it counts as missed, too

    ok(wait_for(sub {
        my $ago = POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime time - 3);
        my $answer = since($ago)->json;
        return !map { @{ $answer->{$_} } } qw(created updated deleted);
    }), 'nothing has happened for a while');

    my $sse = stream();
    my $first = $sse->read_json;
    my $kept = intend('kept');
    my $last = $sse->read_json;
    $sse->disconnect;

    my $missed = intend('missed');
    edit($kept->{id}, 'edited');
    $t->redis('XTRIM', "delta:{space:$space}", 'MAXLEN', 0);
    $t->reload;

    my $delta = stream($last->{timestamp})->read_json;

    is($delta->{created}[-1]{id}, $missed->{id},
       'row 1.6: what the log has no more comes from SQL');
    is(join(' ', grep { /edited/ } map { $_->{content} }
            @{ $delta->{created} }, @{ $delta->{updated} }), 'edited',
       'edits, too');

    intend("more $_") for 1 .. 51;
    $t->redis('XTRIM', "delta:{space:$space}", 'MAXLEN', 0);
    $t->reload;

    is(stream($last->{timestamp})->read_json->{type}, 'resync',
       'row 1.4: more than 50, resync');
}


sub denied_1_1 {
    is($t->sse("/api/stream?spaceId=$space", token => $t->token('cleo'))
           ->status, 403, 'who is not in the space: 403');

    $t->redis('SADD', 'user:ben:spaces', 's99');
    is(stream(undef, space => 's99')->status, 404, 'the backend says 404');
    is(stream('2020-01-01T00:00:00Z', space => 's99')->status, 404,
       'behind a time, too');

    api(cleo => PUT => "/api/spaces/$space/members/me");
    wait_for(sub { $t->redis('SISMEMBER', 'user:cleo:spaces', $space) });

    my $sse = $t->sse("/api/stream?spaceId=$space",
                      token => $t->token('cleo'));
    is($sse->read_json->{type}, 'space-delta', 'who has joined is let in');
    api(cleo => DELETE => "/api/spaces/$space/members/me");
    ok(wait_for(sub { !$t->redis('SISMEMBER', 'user:cleo:spaces', $space) }),
       'and who has left');
    intend('not for cleo');
    is($sse->read_json(0.5), undef, 'hears nothing more');
    $sse->disconnect;
}


# Who comes and goes, and only appends what was created, has each once.

sub exactly_once_1_5 {
    my %client = client(push => 1);
    my $end = time + $long;
    my %did;

    while (time < $end) {
        my $what = $random->one(qw(cut cut cut stay reload crash upstream));

        $did{$what}++;
        mutate() for 1 .. 1 + $random->number(3);
        take(\%client, $random->number(0.3));
        disturb(\%client, $what);
        mutate() for 1 .. $random->number(4);
    }

    settled(\%client);
    is($client{resyncs}, 0, 'row 1.5: no resync was needed');
    is($client{twice}, 0, 'row 1.5: nothing created twice');
    diag("seed $seed: ", join ', ', map { "$_ $did{$_}" } sort keys %did);
}


# Whatever happens, with resyncs and the backend's help.

sub always_ends_in_its_state_1_5 {
    my %client = client();
    my %did;

    for my $what ($random->shuffle(qw(cut many redis lost long crash))) {
        mutate() for 1 .. 1 + $random->number(3);
        take(\%client, $random->number(0.3));

        $did{$what}++;
        disturb(\%client, $what);
        mutate() for 1 .. $random->number(4);
    }

    settled(\%client);
    cmp_ok($client{resyncs}, '>', 0, "$client{resyncs} resyncs");
}


sub client {
    my (%opt) = @_;

    my %client = (list => list(), twice => 0, resyncs => 0);

    $client{sse} = stream(undef, timeout => 1);
    my $first = $client{sse}->read_json;

    # it has them by REST already, and begins where the stream begins

    merge(\%client, $first);
    @client{qw(twice push)} = (0, $opt{push});

    return %client;
}


sub take {
    my ($client, $seconds) = @_;

    my $end = time + $seconds;

    while (1) {
        if (!$client->{sse}) {
            $client->{sse} = stream($client->{since});

            if (!$client->{sse} || $client->{sse}->status != 200) {
                delete $client->{sse};
                return if time > $end;
                sleep 0.05;
                next;
            }
        }

        my $left = $end - time;
        return if $left <= 0;

        my $event = $client->{sse}->read_json($left);

        if ($event && !defined $client->{sse}{close}) {
            merge($client, $event);

        } elsif (time < $end - 0.02) {
            drop($client);
        }
    }
}


sub drop {
    my ($client) = @_;

    $client->{sse}->disconnect if $client->{sse};
    delete $client->{sse};
}


sub merge {
    my ($client, $event) = @_;

    $client->{since} = $event->{timestamp};

    if ($event->{type} eq 'resync') {
        $client->{resyncs}++;
        $client->{list} = list();
        return;
    }

    my %at = map { $client->{list}[$_]{id} => $_ } 0 .. $#{ $client->{list} };

    for (@{ $event->{created} }) {
        if (defined $at{ $_->{id} }) {
            $client->{twice}++;
            $client->{list}[$at{ $_->{id} }] = $_ if !$client->{push};
            next if !$client->{push};
        }

        push @{ $client->{list} }, $_;
        $at{ $_->{id} } = $#{ $client->{list} };
    }

    for (@{ $event->{updated} }) {
        $client->{list}[$at{ $_->{id} }] = $_ if defined $at{ $_->{id} };
    }

    my %gone = map { $_ => 1 } @{ $event->{deleted} };
    $client->{list} = [ grep { !$gone{ $_->{id} } } @{ $client->{list} } ];
}


my @mine;

sub mutate {
    my $what = $random->one(qw(new new new edit delete));

    if ($what eq 'new' || !@mine) {
        push @mine, intend('p' . int $random->number(1e6))->{id};

    } elsif ($what eq 'edit') {
        edit($random->one(@mine), 'e' . int $random->number(1e6));

    } else {
        my $i = int $random->number(scalar @mine);
        remove(splice @mine, $i, 1);
    }
}


sub disturb {
    my ($client, $what) = @_;

    return if $what eq 'stay';

    if ($what eq 'reload') {
        $t->reload;

    } elsif ($what eq 'crash') {
        my @workers = $t->workers;
        kill 'KILL', $workers[0];
        $t->allow(qr/exited on signal 9/);

    } elsif ($what eq 'upstream') {
        $t->stop('upstream', 'KILL');
        $t->start_upstream;

    } elsif ($what eq 'redis') {
        $t->stop_redis;
        $t->start_redis;

    } elsif ($what eq 'lost') {
        drop($client);
        $t->stop_redis;
        system 'rm', '-rf', $t->dir . '/appendonlydir';
        $t->start_redis;
        wait_for(sub { $t->redis('SISMEMBER', 'user:ben:spaces', $space) },
                 20);

    } elsif ($what eq 'many') {
        drop($client);
        push @mine, intend("many $_")->{id} for 1 .. 60;

    } elsif ($what eq 'long') {
        drop($client);
        push @mine, intend("long $_")->{id} for 1 .. 5;
        $t->redis('XTRIM', "delta:{space:$space}", 'MAXLEN', 0);

    } else {
        drop($client);
        sleep $random->number(0.5);
    }
}


# It has what the list of the backend has.

sub settled {
    my ($client) = @_;

    my %count;

    ok(wait_for(sub {
        take($client, 0.3);
        %count = ();
        $count{"$_->{id} $_->{content}"}++ for @{ $client->{list} };
        $count{"$_->{id} $_->{content}"}-- for @{ list() };
        return !grep { $_ } values %count;
    }, 20), 'it ends with what the backend has')
        or diag(map { "$_: $count{$_}\n" }
                grep { $count{$_} } sort keys %count);
}
