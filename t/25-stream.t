#!/usr/bin/perl

# Copyright (C) Delta contributors

# delta_envelope space: /api/stream as clients of seed 001 know it, before a
# backend that is a file.

use Delta;

use Time::HiRes qw(time);

my $t = Delta->new;
my $n = 0;

$t->start_redis;

$t->start_nginx($t->conf(http => <<'END', server => <<'END'), workers => 1);
    delta_redis %%REDIS%%;
    delta_jwt_key_file jwks.json;
    log_format asked '$uri $args';
    delta_channel space:* replay=50 keep=1h;
    delta_channel quick:* window=300ms max=10 replay=50 keep=1h;
END
    delta_jwt;
    location = /api/stream {
        delta_gateway sse;
        delta_envelope space;
        delta_subscribe space:$arg_spaceId in=user:$delta_user:spaces;
    }
    location = /api/quick {
        delta_gateway sse;
        delta_envelope space;
        delta_subscribe quick:$arg_spaceId;
    }
    location = /api/backed {
        delta_gateway sse;
        delta_envelope space;
        delta_subscribe space:$arg_spaceId in=user:$delta_user:spaces;
        delta_backfill /internal/intentions/$arg_spaceId?since=$delta_since;
    }
    location /internal/intentions/ {
        internal;
        delta_jwt off;
        alias %%DIR%%/answers/;
        access_log %%DIR%%/asked.log asked;
        log_subrequest on;
        subrequest_output_buffer_size 64k;
    }
    location /internal/intentions/broken {
        internal;
        return 500;
    }
    location = /metrics { delta_jwt off; delta_metrics; }
END

mkdir $t->file('answers');
$t->redis(qw(SADD user:ben:spaces), 7, 8, 'quiet', 'gone', 'broken', 'bad',
          'many', 'race', 'partly');
wait_for(sub { $t->http(GET => '/metrics')->body =~ /delta_redis_up 1/ });
wait_for(sub { $t->redis('EXISTS', 'delta:epoch') });
after_second($t->redis('HGET', 'delta:epoch', 'v'));

at_connect_1_1();
deltas_1_1();
refused_1_1();
since_1_3();
exact_1_3();
window_1_2();
too_many_1_4();
event_source_1_5();
unprovable_1_5();
backfill_1_6();
backfill_race_1_6();
backfill_fails_1_6();
emptied_1_5();
redis_away();

done_testing;


sub stream {
    my ($space, $since, %opt) = @_;

    my $path = ($opt{path} || '/api/stream') . "?spaceId=$space";

    $path .= "&since=$since" if defined $since;

    return $t->sse($path, token => $t->token('ben'), %opt);
}


# Publishes; answers the id.

sub change {
    my ($space, %d) = @_;

    return $t->publish(($space =~ /:/ ? '' : 'space:') . $space,
                       { t => 'space_delta', d => { %d } });
}


sub created {
    my ($space, @ids) = @_;

    return change($space, created => [ map { { id => $_ } } @ids ]);
}


sub timestamp {
    my ($id) = @_;

    my ($ms, $seq) = split /-/, $id;
    my @time = gmtime $ms / 1000;

    return POSIX::strftime('%Y-%m-%dT%H:%M:%S', @time)
        . sprintf '.%03d%06dZ', $ms % 1000, $seq;
}


sub ids {
    return join ' ', map { $_->{id} } @{ $_[0]{created} };
}


# Epochs are seconds: what is of the same one as its Redis may be of another.

sub after_second {
    my ($second) = @_;

    wait_for(sub { $t->redis('TIME')->[0] > $second });
}


sub at_connect_1_1 {
    my $sse = stream('quiet');
    my $first = $sse->read_json;

    is($sse->status, 200, 'a stream');
    is_deeply([ sort keys %$first ],
              [ sort qw(type created updated deleted timestamp) ],
              'row 1.1: one delta at connect, of these members');
    is_deeply([ @$first{qw(type created updated deleted)} ],
              [ 'space-delta', [], [], [] ], 'which is empty');
    like($first->{timestamp}, qr/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{9}Z$/,
         'but for the timestamp');

    $sse->disconnect;

    my $again = stream('quiet', $first->{timestamp})->read_json;
    is($again->{type}, 'space-delta', 'going on from there');
    is_deeply($again->{created}, [], 'nothing was missed');
    cmp_ok($again->{timestamp}, 'ge', $first->{timestamp}, 'nor goes back');
}


sub deltas_1_1 {
    my $sse = stream(7);
    my $first = $sse->read_json;
    my $id = change(7, created => [ { id => 'a', text => 'x' } ],
                    timestamp => 'its own');
    my $block = $sse->read_block;

    $block = $sse->read_block while !defined $block->{data};

    is($block->{event}, undef, 'no event:, for onmessage');
    like($block->{id}, qr/^\d+\.\Q$id\E$/, 'an id: for Last-Event-ID');
    is_deeply(json_decode($block->{data}),
              { type => 'space-delta',
                created => [ { id => 'a', text => 'x' } ], updated => [],
                deleted => [], timestamp => timestamp($id) },
              'a delta, with the timestamp of its place');
    cmp_ok(timestamp($id), 'gt', $first->{timestamp}, 'that is later');

    $t->publish('space:7', { t => 'typing', d => {} });
    $id = change(7, deleted => [ 'a' ]);
    is_deeply($sse->read_json,
              { type => 'space-delta', created => [], updated => [],
                deleted => [ 'a' ], timestamp => timestamp($id) },
              'row 1.1: nothing but deltas');

    $t->publish('space:7', { t => 'resync', d => {} });
    is($sse->read_json->{type}, 'resync', 'and resyncs');
}


sub refused_1_1 {
    for ([ 9, undef, 403, 'not in the space' ],
         [ '7:control', undef, 403, 'no segment' ],
         [ '', undef, 403, 'no space' ],
         [ 7, 'yesterday', 400, 'no time' ],
         [ 7, '2025-07-28T10:30:16', 400, 'no zone' ],
         [ 7, '%ff', 400, 'no text' ],
         [ 7, '1-2', 400, 'no cursor' ])
    {
        my ($space, $since, $status, $why) = @$_;
        is(stream($space, $since)->status, $status, "$status: $why");
    }

    is($t->sse('/api/stream?spaceId=7')->status, 401, '401: nobody');

    for my $conf ('delta_gateway; delta_subscribe a;',
                  'delta_gateway sse; delta_subscribe a; delta_subscribe b;',
                  'delta_gateway sse; delta_subscribe a:* from=b;',
                  'delta_gateway sse; delta_subscribe a on_request;')
    {
        my ($status, $text) = $t->nginx_t($t->conf(
            http => 'delta_redis %%REDIS%%; delta_user x;',
            server => "location / { delta_envelope space; $conf }"));
        like($text, qr/is for "delta_gateway sse" with one "delta_subscribe"/,
             "refused: $conf");
    }
}


sub since_1_3 {
    my @id = map { created(8, "m$_") } 1 .. 5;
    my $epoch = $t->redis('HGET', 'delta:epoch', 'v');

    for ([ "$epoch.$id[2]", 'm4 m5' ],
         [ "$epoch%2e$id[2]" =~ s/-/%2D/r, 'm4 m5' ],
         [ timestamp($id[2]), 'm4 m5' ],
         [ timestamp($id[2]) =~ s/:/%3A/gr, 'm4 m5' ],
         [ timestamp($id[0] =~ s/-.*/-0/r) =~ s/\d{6}Z/Z/r, undef ])
    {
        my ($since, $want) = @$_;
        my @got = map { ids($_) } @{ all(stream(8, $since)) };

        if (defined $want) {
            is("@got", $want, "since $since");

        } else {
            like("@got", qr/m5$/, "since $since, in milliseconds");
        }
    }
}


# What was there at connect.

sub all {
    my ($sse) = @_;

    my @got;

    while (my $event = $sse->read_json(@got ? 0.3 : 5)) {
        push @got, $event;
    }

    $sse->disconnect;

    return \@got;
}


# Many in one millisecond: not one twice, not one too few.

sub exact_1_3 {
    my @id = map { [ split / /, $_ ] } @{ $t->redis('EVAL', <<'END', 0) };
local ids = {}
for n = 1, 40 do
    local p = redis.call('HGET', 'delta:{space:8}:once', '')
    local e = '{"t":"space_delta","d":{"created":[{"id":"n' .. n .. '"}]}}'
    ids[n] = redis.call('XADD', 'delta:{space:8}', '*', 'p', p, 'e', e)
    redis.call('PUBLISH', 'space:8', ids[n] .. ' ' .. p .. ' ' .. e)
    redis.call('HSET', 'delta:{space:8}:once', '', ids[n])
end
return ids
END
    my %ms = map { $_->[0] =~ /^(\d+)/ => 1 } @id;

    cmp_ok(scalar keys %ms, '<', 40, 'some are of one millisecond');

    my $wrong = 0;

    for my $i (0 .. 39) {
        my @got = map { split / /, ids($_) }
            @{ all_at_once(stream(8, timestamp($id[$i][0])), 39 - $i) };
        $wrong++ if "@got" ne join ' ', map { "n$_" } $i + 2 .. 40;
    }

    is($wrong, 0, 'row 1.3: since each of 40, exactly those behind it');
}


sub all_at_once {
    my ($sse, $count) = @_;

    my @got;

    while ($count > 0 or !@got) {
        my $event = $sse->read_json(5) or last;
        push @got, $event;
        $count -= @{ $event->{created} };
    }

    $sse->disconnect;

    return \@got;
}


sub window_1_2 {
    my $sse = stream('w', undef, path => '/api/quick');
    $sse->read_json;

    created('quick:w', 'first');
    is(ids($sse->read_json), 'first', 'after a quiet time, at once');

    created('quick:w', "b$_") for 1 .. 4;
    change('quick:w', updated => [ { id => 'b4', x => 1 } ]);
    my $id = change('quick:w', deleted => [ 'b2' ]);
    my $delta = $sse->read_json;

    is(ids($delta), 'b1 b3 b4', 'row 1.2: a window is one delta');
    is($delta->{created}[2]{x}, 1, 'of the newest');
    is_deeply($delta->{deleted}, [ 'b2' ],
              'row 1.2: created and deleted in it is deleted only');
    is($delta->{timestamp}, timestamp($id), 'with the timestamp of the last');
    is(json_encode(all(stream('w', $delta->{timestamp}, path => '/api/quick'))
                       ->[0]{created}), '[]', 'behind which nothing comes');

    created('quick:w', "c$_") for 1 .. 13;
    is(ids($sse->read_json), 'c1', 'after a quiet time again');
    is(scalar @{ $sse->read_json->{created} }, 10, 'row 1.2: max= at once');
    is(scalar @{ $sse->read_json->{created} }, 2, 'and the rest');
}


sub too_many_1_4 {
    my $before = created(7, 'before');

    created(7, "x$_") for 1 .. 50;
    my $got = all(stream(7, timestamp($before)));
    is(scalar(map { @{ $_->{created} } } @$got), 50, '50 are replayed');

    my $last = created(7, 'x51');
    $got = all(stream(7, timestamp($before)));

    is($got->[0]{type}, 'resync', 'row 1.4: 51 are a resync');
    is($got->[0]{reason}, 'too_many', 'which says why');
    is(scalar @$got, 1, 'and nothing else');

    my $after = all(stream(7, $got->[0]{timestamp}));
    cmp_ok($got->[0]{timestamp}, 'ge', timestamp($before), 'with a timestamp');
    is($after->[0]{type}, 'resync', 'of the place before')
        if $got->[0]{timestamp} eq timestamp($before);
}


# EventSource repeats its URL, with the id: of the last block.

sub event_source_1_5 {
    my $sse = stream('quiet');
    my $block = $sse->read_block;

    $block = $sse->read_block while !defined $block->{data};
    like($block->{id}, qr/^\d+\.\d+-\d+$/, 'the first delta has an id:, too');
    $sse->disconnect;

    created('quiet', 'q1');
    my $got = all(stream('quiet', '2020-01-01T00:00:00Z',
                         headers => [ 'Last-Event-ID' => $block->{id} ]));
    is(join(' ', map { ids($_) } @$got), 'q1', 'Last-Event-ID goes before');

    my $other = $block->{id} =~ s/^\d+/1/r;
    $got = all(stream('quiet', undef,
                      headers => [ 'Last-Event-ID' => $other ]));
    is($got->[0]{type}, 'resync', 'that of another Redis is a resync');
}


sub unprovable_1_5 {
    my $old = timestamp((time * 1000 - 7200e3 =~ s/\..*//r) . '-0');

    $old =~ s/\.\d+Z/Z/;
    my $got = all(stream(8, $old));
    is($got->[0]{type}, 'resync', 'before the log begins');
    is($got->[0]{reason}, 'history_gap', 'which says why');

    my $ahead = timestamp(int((time + 3600) * 1000) . '-0');
    is(all(stream(8, $ahead))->[0]{type}, 'resync', 'a time to come');

    my $id = created(8, 'last');
    $t->redis('DEL', 'delta:{space:8}');
    is(all(stream(8, timestamp($id)))->[0]{type}, 'space-delta',
       'a log that was deleted, behind its last id');
    my $next = created(8, 'next');
    $got = all(stream(8, timestamp($id)));
    is(ids($got->[0]), 'next', 'and those that came since');
    $t->redis('DEL', 'delta:{space:8}');
    is(all(stream(8, timestamp($id)))->[0]{type}, 'resync',
       'but not what is in none');
}


sub answer {
    my ($space, $answer) = @_;

    $t->file("answers/$space", ref $answer ? json_encode($answer) : $answer);
}


sub asked {
    my ($asked) = (split /\n/, $t->read_file('asked.log') // '')[-1];

    return $asked // '';
}


sub backed {
    return stream($_[0], $_[1], path => '/api/backed', @_[2 .. $#_]);
}


sub backfill_1_6 {
    answer(7, { created => [ map { { id => "old$_" } } 1 .. 3 ],
                updated => [], deleted => [], complete => \0 });

    my $got = all(backed(7));
    is(ids($got->[0]), 'old1 old2 old3', 'without since: the recent ones');
    is(scalar @$got, 1, 'once');
    is(asked(), '/internal/intentions/7 since=', 'the backend was asked');

    my $next = all(backed(7, $got->[0]{timestamp}));
    is_deeply($next->[0]{created}, [], 'the timestamp goes on from there');

    answer(7, { created => [ { id => 'n' } ], updated => [ { id => 'u' } ],
                deleted => [ 'd' ], complete => \1, timestamp => 'x' });
    $got = all(backed(7, '2025-01-02T03:04:05.678Z'));
    is_deeply([ @{ $got->[0] }{qw(created updated deleted)} ],
              [ [ { id => 'n' } ], [ { id => 'u' } ], [ 'd' ] ],
              'before the log begins: what the backend says');
    is(asked(), '/internal/intentions/7 since=2025-01-02T03:04:03.678000000Z',
       'which is asked from a bit before');

    answer(7, { created => [], complete => \0 });
    $got = all(backed(7, '2025-01-02T03:04:05.678Z'));
    is($got->[0]{type}, 'resync', 'it does not know all: resync');
    is(scalar @$got, 1, 'and nothing else');
    is_deeply(all(backed(7, $got->[0]{timestamp}))->[0]{created}, [],
              'with a timestamp to go on from');

    answer(7, { created => [ map { { id => $_ } } 1 .. 51 ],
                complete => \1 });
    is(all(backed(7, '2025-01-02T03:04:05.678Z'))->[0]{reason}, 'too_many',
       'more than 50: resync');

    my $head = $t->http(HEAD => '/api/backed?spaceId=7',
                        token => $t->token('ben'));
    is($head->status, 200, 'HEAD asks all the same');
}


# SQL has what is not published yet: that is created once.

sub backfill_race_1_6 {
    my $before = created('race', 'r0');

    answer('race', { created => [ { id => 'r1' }, { id => 'r2' } ],
                     complete => \1 });

    my $sse = backed('race');
    is(ids($sse->read_json), 'r1 r2', 'the backend has two');

    my $id = created('race', 'r2');
    created('race', 'r3');
    my $event = $sse->read_json;

    is(ids($event), '', 'one of them comes by the log: not again');
    is($event->{timestamp}, timestamp($id), 'but its timestamp');
    is(ids($sse->read_json), 'r3', 'a new one does');

    $sse->disconnect;
    is(ids(all(backed('race', $event->{timestamp}))->[0]), 'r3',
       'and going on from there');
}


sub backfill_fails_1_6 {
    is(backed('gone')->status, 404, '404 of the backend is passed on');

    my $broken = backed('broken', undef, retry => 0);
    is($broken->status, 503, 'an error is 503');
    like($broken->header('retry-after'), qr/^[1-5]$/, 'with Retry-After');

    for ('', 'no json', '[]', '{"created":[1]}', 'x' x 70000,
         '{"created":"' . 'x' x 70000 . '"}')
    {
        answer('bad', $_);
        is(backed('bad', undef, retry => 0)->status, 503,
           'no delta: ' . substr $_, 0, 20);
    }

    answer('bad', { created => [ map { { id => "l$_", t => 'x' x 1000 } }
                                 1 .. 40 ], complete => \1 });
    is(scalar @{ backed('bad')->read_json->{created} }, 40, 'a long one');
    like($t->http(GET => '/metrics')->body,
         qr/delta_refused_total\{reason="backfill"\} [1-9]/, 'counted');
}


# An empty log proves nothing behind a time of before.

sub emptied_1_5 {
    my $seen = created(8, 'seen');
    created(8, 'unseen');

    after_second(int($seen =~ s/-.*//r / 1000));
    $t->redis('FLUSHALL');
    $t->redis(qw(SADD user:ben:spaces), 8);
    $t->stop_nginx;
    $t->start_nginx;
    wait_for(sub { $t->redis('EXISTS', 'delta:epoch') });
    wait_for(sub { $t->http(GET => '/metrics')->body =~ /delta_redis_up 1/ });

    is(stream(8, timestamp($seen))->read_json->{type}, 'resync',
       'Redis has lost all: resync');
}


# What cannot be asked now is to be asked later.

sub redis_away {
    $t->stop_redis;

    for my $path ('/api/stream', '/api/backed') {
        my $sse = stream(8, undef, path => $path, retry => 0);

        is($sse->status, 503, "$path without Redis: 503");
        like($sse->header('retry-after'), qr/^[1-5]$/, 'with Retry-After');
        $sse->disconnect;
    }

    $t->start_redis;
    $t->redis(qw(SADD user:ben:spaces), 8);
    ok(wait_for(sub {
        my $sse = stream(8, undef, retry => 0);
        my $status = $sse->status;
        $sse->disconnect;
        return $status == 200;
    }), 'and with it again');
}
