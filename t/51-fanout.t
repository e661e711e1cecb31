#!/usr/bin/perl

# Copyright (C) Delta contributors

# Who gets an event: everybody entitled to its channel, on every worker, once
# and in order; nobody else; and nothing that Redis may hold breaks that.

use Delta;

my $t = Delta->new;

$t->start_redis;
$t->redis('SADD', 'user:ben:follows', 'ada', 'cleo');
$t->redis('SADD', 'user:cleo:follows', 'ada');
$t->redis('SADD', "user:$_:guilds", 'g1') for qw(ben dan);
$t->redis('SADD', 'user:ben:spaces', 's1', 'ada');

my $rules = <<'END';
delta_subscribe user:$delta_user;
delta_subscribe user:$delta_user:inbox;
delta_subscribe user:* from=user:$delta_user:follows;
delta_subscribe guild:* from=user:$delta_user:guilds;
END

my $conf = $t->conf(http => <<'END', server => <<"END");
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
delta_max_event 2k;
END
delta_jwt;
location = /gateway { delta_gateway; $rules }
location = /space {
    delta_gateway;
    delta_subscribe space:\$arg_id in=user:\$delta_user:spaces;
    delta_subscribe user:\$delta_user:\$arg_box in=user:\$delta_user:boxes;
}
location = /all {
    delta_gateway;
    delta_limit connections=600;
    delta_queue events=3000;
    delta_subscribe world;
}
location = /metrics { delta_jwt off; delta_metrics; }
END

$t->start_nginx($conf, workers => 2);
ok(wait_for(sub { metric('delta_redis_up') == 2 }), 'both workers have Redis');

fanout();
exposition();
workers();
linger();
positions();
junk();
order();
burst();
many();
members();
arguments();
wrong_type();

done_testing;


sub metric {
    my ($name) = @_;

    my $body = $t->http(GET => '/metrics')->body;

    return $body =~ /^\Q$name\E (\d+)/m ? $1 : -1;
}


# Prometheus's text format: each family has its HELP and TYPE once, before all
# of its samples, and no sample comes twice.

sub exposition {
    my $answer = $t->http(GET => '/metrics');
    my ($family, $type, $help, @bad) = ('', '', '');
    my (%family, %sample);

    for my $line (split /^/, $answer->body) {
        if ($line =~ /^# HELP (delta_[a-z_]+) (?:[^\\\n]+[.])\n\z/) {
            ($help, $type) = ($1, '');
            push @bad, $line if $family{$help}++;

        } elsif ($line =~ /^# TYPE (delta_[a-z_]+) (counter|gauge)\n\z/) {
            ($family, $type) = ($1, $2);
            push @bad, $line if $family ne $help
                                || ($family =~ /_total$/) ne
                                   ($type eq 'counter');

        } elsif ($line =~ /^(([a-z_]+)(?:\{[a-z]+="[a-z_]+"\})?)
                           [ ]\d+(?:\.\d+)?\n\z/x)
        {
            push @bad, $line if $2 ne $family || !$type || $sample{$1}++;

        } else {
            push @bad, $line;
        }
    }

    is_deeply(\@bad, [], 'metrics are in the text format of Prometheus');
    cmp_ok(keys %sample, '>', 40, 'all of them');
    is($answer->header('Content-Type'), 'text/plain; version=0.0.4',
       'and say so');
}


sub session {
    my ($user, $path, $class) = @_;

    $class ||= 'ws';

    my $client = $t->$class($path || '/gateway', token => $t->token($user));
    $client->{channels} = $client->read_json->{d}{channels};

    return $client;
}


sub patch {
    my ($channel, $n) = @_;

    return $t->publish($channel, { t => 'patch', d => { n => $n } });
}


# What came up to the event n, as text: "<channel> <n>".

sub until_n {
    my ($client, $n) = @_;

    my @seen;

    $client->read_until(sub {
        push @seen, "$_[0]{c} $_[0]{d}{n}" if defined $_[0]{d}{n};
        ($_[0]{d}{n} // '') eq $n;
    });

    return \@seen;
}


sub fanout {
    my %ws = map { $_ => session($_) } qw(ada ben cleo dan);
    my $sse = session('ben', '/gateway', 'sse');

    is_deeply([ sort @{ $ws{ben}{channels} } ],
              [ qw(guild:g1 user:ada user:ben user:ben:inbox user:cleo) ],
              'ready names all channels of a user');

    patch('user:ada', 1);
    patch('guild:g1', 2);
    patch('user:cleo', 3);
    patch("user:$_:inbox", 4) for qw(ada ben cleo dan);
    patch("user:$_:inbox", 'end') for qw(ada ben cleo dan);

    my %want = (
        ada => [ 'user:ada 1', 'user:ada:inbox 4' ],
        ben => [ 'user:ada 1', 'guild:g1 2', 'user:cleo 3',
                 'user:ben:inbox 4' ],
        cleo => [ 'user:ada 1', 'user:cleo 3', 'user:cleo:inbox 4' ],
        dan => [ 'guild:g1 2', 'user:dan:inbox 4' ],
    );

    for my $user (sort keys %want) {
        is_deeply(until_n($ws{$user}, 'end'),
                  [ @{ $want{$user} }, "user:$user:inbox end" ],
                  "$user sees what is followed, the guilds and the inbox");
    }

    is_deeply(until_n($sse, 'end'), [ @{ $want{ben} }, 'user:ben:inbox end' ],
              'so does SSE');
}


# Sessions on both workers, one SUBSCRIBE of each.

sub workers {
    my @ws = map { session('eve', '/all') } 1 .. 40;

    # one worker may be quicker than the other, and take them all
    push @ws, session('eve', '/all')
        while subscriptions() < 2 && @ws < 400;

    my $got = metric('delta_events_received_total');

    is(subscriptions(), 2,
       scalar @ws . ' sessions on two workers are two subscriptions');

    patch('world', 1);
    is(scalar(grep { until_n($_, 1)->[0] eq 'world 1' } @ws), scalar @ws,
       'and all of them get an event');
    is(metric('delta_events_received_total') - $got, 2,
       'which each worker has received once');
    is(metric('delta_sessions{transport="ws"}'), scalar @ws,
       'metrics count the sessions of both workers');

    $_->disconnect for @ws;
    ok(wait_for(sub { metric('delta_sessions{transport="ws"}') == 0 }),
       'and none when they have gone');
}


sub subscriptions {
    return $t->redis('PUBSUB', 'NUMSUB', 'world')->[1];
}


sub linger {
    is(subscriptions(), 2,
       'the subscriptions outlive the last session for a while');

    my $again = session('eve', '/all');
    patch('world', 2);
    is_deeply(until_n($again, 2), [ 'world 2' ],
              'a session that comes meanwhile hears each event once');

    ok(wait_for(sub { subscriptions() == 1 }),
       'then the worker without sessions unsubscribes');
    $again->disconnect;
    ok(wait_for(sub { subscriptions() == 0 }),
       'and the other when its last one has gone');
    ok(wait_for(sub { metric('delta_channels') == 0 }),
       'nothing is kept of it');

    $again = session('eve', '/all');
    patch('world', 3);
    is_deeply(until_n($again, 3), [ 'world 3' ], 'it can be had again');
}


sub positions {
    my $ws = session('ben');
    my @ids = map { patch('user:ada', $_) } 1 .. 3;
    my @events = map { $ws->read_json } 1 .. 3;

    is_deeply([ map { $_->{id} } @events ], \@ids,
              'an event has the id that delta_publish answered');
    is_deeply($events[0], { v => 1, t => 'patch', c => 'user:ada',
                            id => $ids[0], d => { n => 1 } },
              'row 3.1: v, t, c, id and d, nothing more');

    $t->redis('PUBLISH', 'user:ada', '{"t":"typing","d":{"x":null},"y":1}');
    is_deeply($ws->read_json, { v => 1, t => 'typing', c => 'user:ada',
                                d => { x => undef } },
              'a plain PUBLISH comes without an id');

    my $last = $ids[2];
    my ($ms, $seq) = split /-/, $last;
    my @next = map { $ms + $_ . '-0' } 1, 2;

    $t->redis('PUBLISH', 'user:ada', "$next[0] $last "
                                     . '{"t":"patch","d":{"n":4}}');
    is($ws->read_json->{id}, $next[0], 'who keeps the chain is believed');
    $t->redis('PUBLISH', 'user:ada', "$ids[0] 0-1 "
                                     . '{"t":"patch","d":{"n":"old"}}');
    $t->redis('PUBLISH', 'user:ada', "$next[1] $next[0] "
                                     . '{"t":"patch","d":{"n":5}}');
    is($ws->read_json->{d}{n}, 5, 'an older event is not sent again');
}


sub junk {
    my $ws = session('ben');
    my $big = '{"t":"x","d":{"x":"' . 'x' x 3000 . '"}}';
    my $pad = 2048 - length '{"t":"x","d":{"x":""}}';

    my %junk = (
        json => [ '', 'x', '{', '{"t":"x","d":{}', '{"t":"x","d":{}}x', '"',
                  "\0", "\xff\xfe", '{"t":"x","d":{"x":"' . "\xc3(" . '"}}',
                  '[' x 1500, '{"t":"x","d":{"x":01}}', "{'t':'x','d':{}}",
                  '12 {"t":"x","d":{}}', '1-1 {"t":"x","d":{}}',
                  '1-2 1-1', '1-2 0-0 ', '1-3 0-0 x', '1-2-3 0-0 {}',
                  '99999999999999999999-1 0-0 {"t":"x","d":{}}' ],
        object => [ '[]', 'null', 'true', '"x"', '[{"t":"x","d":{}}]', '{}',
                    '{"t":"x"}', '{"d":{}}', '{"T":"x","d":{}}',
                    '{"t":"x","t":"y","d":{}}',
                    '{"t":"x","\u0064":{},"d":{}}' ],
        type => [ map { '{"t":' . $_ . ',"d":{}}' } 'null', 1, '""', '"X"',
                  '"a b"', '"a-b"', '"\u0061"', '"' . 'x' x 65 . '"', '{}' ],
        data => [ map { '{"t":"x","d":' . $_ . '}' } 'null', '[]', '"{}"', 1 ],
        size => [ $big, "1-4 0-0 $big", ' ' x 2049 ],
    );

    my $sum = 0;

    for my $reason (sort keys %junk) {
        my $name = "delta_events_dropped_total{reason=\"$reason\"}";
        my $before = metric($name);

        $t->redis('PUBLISH', 'guild:g1', $_) for @{ $junk{$reason} };
        $t->redis('PUBLISH', 'guild:g1', '{"t":"patch","d":{"n":"on"}}');

        is_deeply(until_n($ws, 'on'), [ 'guild:g1 on' ],
                  "junk of kind $reason reaches nobody, what follows does");
        is(metric($name) - $before, scalar @{ $junk{$reason} },
           'and it is counted by its reason');
    }

    $t->redis('PUBLISH', 'guild:g1', '{"t":"x","d":{"x":"' . 'x' x $pad
                                     . '"}}');
    is(length $ws->read_json->{d}{x}, $pad, 'delta_max_event bytes pass');
    unlike($t->log, qr/x{100}/, 'no log repeats an event');
}


sub order {
    my @ws = map { session('eve', '/all', $_) } qw(ws ws ws sse);

    for my $n (1 .. 2000) {
        $t->redis('PUBLISH', 'world', '{"t":"x","d":{"n":' . $n . '}}')
            if $n % 3 == 0;
        patch('world', $n) if $n % 3;
    }

    for my $ws (@ws) {
        is_deeply(until_n($ws, 2000), [ map { "world $_" } 1 .. 2000 ],
                  '2,000 events come in order, none twice, none is missing');
    }
}


# All at once: the sessions read, so that none of them is slow.

sub burst {
    my @ws = map { session('ben', '/gateway', $_) } qw(ws sse);

    $t->redis('EVAL', 'for n = 1, 2000 do redis.call("PUBLISH", KEYS[1], '
              . '\'{"t":"x","d":{"n":\' .. n .. "}}") end', 1, 'guild:g1');

    for my $ws (@ws) {
        is_deeply(until_n($ws, 2000), [ map { "guild:g1 $_" } 1 .. 2000 ],
                  'more events at a time than delta_queue holds reach who '
                  . 'reads');
    }
}


sub many {
    my @ws = map { $t->ws('/all', token => $t->token('mob')) } 1 .. 500;

    is(scalar(grep { $_->read_json->{t} eq 'ready' } @ws), 500,
       'five hundred sessions');

    my $id = patch('world', 'all');

    is(scalar(grep { $_->read_json->{id} eq $id } @ws), 500,
       'an event reaches each of them');
    is(subscriptions(), 2, 'still by two subscriptions');
    $_->disconnect for @ws;
}


# Members of sets that would reach into other channels if they were believed.

sub members {
    my @bad = ('x:inbox', '*', '', 'ada:inbox', 'x' x 200, 'a b', ' ', "a\n",
               "a\0b", 'a/b', '{a}', '%3A', "\xc3\xa4", '"', ':', 'ada:');
    my $before = metric('delta_membership_bad_ids_total');

    $t->redis('SADD', 'user:fay:follows', @bad, 'ada', 'x' x 128);
    $t->redis('SADD', 'user:fay:guilds', 'g1:x', 'g1');

    my $ws = session('fay');

    is_deeply([ sort @{ $ws->{channels} } ],
              [ 'guild:g1', 'user:ada', 'user:fay', 'user:fay:inbox',
                'user:' . 'x' x 128 ],
              'ids that cannot stand in a channel name are skipped');
    is(metric('delta_membership_bad_ids_total') - $before, @bad + 1,
       'and counted');

    $t->redis('PUBLISH', $_, '{"t":"x","d":{"n":"stolen"}}')
        for 'user:x:inbox', 'user:*', 'user:ada:inbox', 'user:', '*';
    patch('user:ada', 'fine');
    is_deeply(until_n($ws, 'fine'), [ 'user:ada fine' ],
              'nothing of other channels comes through');
}


sub status {
    my ($query, $user) = @_;

    return $t->http(HEAD => "/space?box=main&$query",
                    token => $t->token($user || 'ben'))->status;
}


sub arguments {
    $t->redis('SADD', 'user:ben:boxes', 'main', 'control');

    is(status('id=s1'), 200, 'in=: a member may');
    is(status('id=s2'), 403, 'another may not');
    is(status('id=s1', 'ada'), 403, 'nor another user');
    is(status('box=main'), 403, 'without the argument nobody may');

    for my $id ('', '*', 's1:x', 's1%3Ax', '%73%31', 's1%00', 's1%20', 's1/',
                '../s1', 'S1', 's1,s2', '$arg_x', '%2A', 'x' x 129, "s1\xc3")
    {
        is(status("id=$id"), 403, 'refused: ' . substr $id, 0, 12);
    }

    is(status('id=s1&id=s2'), 200, 'of two the first one counts');
    is(status('id=s2&id=s1'), 403, 'also if it is not allowed');

    my $ws = session('ben', '/space?id=s1&box=main');

    is($ws->status, 101, 'a member may connect');
    is_deeply($ws->{channels}, [ 'space:s1', 'user:ben:main' ],
              'to this channel');
    is($t->ws('/space?id=s2&box=main', token => $t->token('ben'))->status, 403,
       'another may not');

    patch('space:s1', 1);
    is_deeply(until_n($ws, 1), [ 'space:s1 1' ], 'and hears it');

    my $by = metric('delta_refused_total{reason="membership"}');
    status('id=s2');
    is(metric('delta_refused_total{reason="membership"}') - $by, 1,
       'a refusal is counted');
}


sub wrong_type {
    $t->redis('SET', 'user:gus:guilds', 'no set');
    $t->redis('SET', 'user:gus:spaces', 'no set');

    my $ws = $t->ws('/gateway', token => $t->token('gus'));

    is($ws->status, 101, 'a set of the wrong type');
    is(($ws->read_close)[0], 1011, 'closes the session with 1011');
    like($t->log, qr/"gus" cannot be read from "user:gus:guilds": WRONGTYPE/,
         'and the log says which');

    is($t->http(HEAD => '/space?id=s1&box=main', token => $t->token('gus'))
           ->status, 503, 'in= with a set of the wrong type: 503');
    like($t->log, qr/a set of in= cannot be read: WRONGTYPE/,
         'and the log says why');

    is(session('ben')->status, 101, 'others are not concerned');
}
