#!/usr/bin/perl

# Copyright (C) Delta contributors

# Coming back: a client says up to where it has seen its channels, and gets
# what came after, before anything live, on any worker, on both transports.

use Delta;

my $t = Delta->new;

$t->start_redis;
$t->redis('SADD', 'user:ben:follows', 'ada', 'eve');

my $conf = $t->conf(
    http => 'delta_redis %%REDIS%%;
             delta_jwt_key_file jwks.json;
             delta_channel user:* replay=20;',
    server => 'delta_jwt optional;
        location = /gateway {
            delta_gateway;
            delta_subscribe user:* from=user:$delta_user:follows;
        }
        location = /metrics { delta_metrics; }');

$t->start_nginx($conf, workers => 2);

my $n = 0;
my $ws = open_ws('');
my $ready = $ws->read_json;

ok(wait_for(sub { cursor($ws) =~ /^\d+\.\d+$/ }),
   'a heartbeat is answered with a cursor');

publish('user:ada', 3);
my @seen = map { $ws->read_json } 1 .. 3;
is(join(' ', map { $_->{d}{n} } @seen), '1 2 3', 'events are seen');

# a cursor that covers what was seen
my $id = $seen[2]{id};
my $cursor = wait_for(sub {
    my $now = cursor($ws);
    return $now if ms($now) >= ms($id);
});
ok($cursor, 'the cursor passes what was seen');
$ws->disconnect;

publish('user:ada', 4);
publish('user:eve', 2);


# WebSocket, by cursor.

$ws = open_ws("since=$cursor");
is($ws->read_json->{t}, 'ready', 'ready comes first');

my @missed;
my %by;

while (!grep { $_->{d}{n} == 9 } @missed or !grep { $_->{d}{n} == 7 } @missed) {
    push @missed, $ws->read_json // last;
}

push @{ $by{ $_->{c} } }, $_->{d}{n} for @missed;

is("@{ $by{'user:eve'} }", '8 9', 'what was missed of one channel');
like("@{ $by{'user:ada'} }", qr/^(?:1 2 3 )?4 5 6 7$/,
     'and of the other, at most with the overlap before the cursor');

publish('user:ada', 1);
is($ws->read_json->{d}{n}, $n, 'then what is live');
$ws->disconnect;


# By position: exactly what comes after it.

my $at = "user:ada=$missed[-1]{id}";
($at) = map { "user:ada=$_->{id}" } grep { $_->{d}{n} == 5 } @missed;

$ws = open_ws("since=$cursor&at=" . escape($at));
$ws->read_json;
%by = ();
push @{ $by{ $_->{c} } }, $_->{d}{n} for map { $ws->read_json } 1 .. 5;
is("@{ $by{'user:ada'} }", '6 7 10', 'a position replays exactly after it');
$ws->disconnect;


# SSE, by Last-Event-ID, which is a cursor that the stream itself gave.

my $sse = $t->sse('/gateway', token => $t->token('ben'));
$sse->read_json;
publish('user:ada', 1);
is($sse->read_json->{d}{n}, $n, 'an event on SSE');

my $last;
wait_for(sub {
    my $block = $sse->read_block or return;
    $last = $block->{id} if defined $block->{id} && !defined $block->{data};
    return $last && ms($last) >= ms($t->redis('XREVRANGE', 'delta:{user:ada}',
                                      '+', '-', 'COUNT', 1)->[0][0]);
});
ok($last, 'is followed by a block that holds only a cursor');
$sse->disconnect;

publish('user:eve', 1);
$sse = $t->sse('/gateway', token => $t->token('ben'),
               headers => [ 'Last-Event-ID' => $last ]);
$sse->read_json;
ok($sse->read_until(sub { ($_[0]{d}{n} // 0) == $n }),
   'Last-Event-ID brings what was missed');
$sse->disconnect;


# Too much, too old, another epoch.

publish('user:eve', 30);
$ws = open_ws("since=$last");
$ws->read_json;
is_deeply([ @{ $ws->read_until('resync')->{d} }{qw(channel reason)} ],
          [ 'user:eve', 'too_many' ], 'more than replay= is a resync');
publish('user:eve', 1);
is($ws->read_until(sub { ($_[0]{c} // '') eq 'user:eve' })->{d}{n}, $n,
   'and nothing of it but what is live');
$ws->disconnect;

$t->redis('XTRIM', 'delta:{user:ada}', 'MAXLEN', 1);

# a worker that was there still has it in memory
$t->stop_nginx('TERM');
$t->start_nginx($conf, workers => 2);
$ws = open_ws("since=$cursor&at=" . escape($at));
$ws->read_json;
is($ws->read_until(sub { $_[0]{t} eq 'resync'
                         && $_[0]{d}{channel} eq 'user:ada' })->{d}{reason},
   'history_gap', 'a position that is no longer in the log is a resync');
$ws->disconnect;

my ($epoch, $ms) = split /\./, $cursor;
$ws = open_ws('since=' . ($epoch - 1) . ".$ms");
$ws->read_json;
is_deeply([ @{ $ws->read_json->{d} }{qw(channel reason)} ],
          [ undef, 'epoch_changed' ], 'a cursor of another epoch is a resync');
$ws->disconnect;


# A time, percent-encoded.

$ws = open_ws('since=' . escape('2020-01-01T00:00:00Z'));
is($ws->read_json->{t}, 'ready', 'since= takes a time of ISO 8601');
is($ws->read_json->{d}{reason}, 'history_gap',
   'and says so if the log does not reach back');
$ws->disconnect;


# Hostile cursors.

for my $query ('since=1', 'since=x', 'since=1.', 'since=-1.5', 'since=1.2.3',
               'since=99999999999999999999.1', 'since=1.' . '9' x 40,
               'since=2020-13-01T00:00:00Z', 'at=x', 'at=user:ada=1',
               'at=user:ada=1-1,', 'at==1-1', 'at=user:%00=1-1',
               'at=' . join(',', map { "a:$_=1-1" } 1 .. 129),
               'at=' . 'a' x 7000 . '=1-1')
{
    is($t->http(GET => "/gateway?$query", token => $t->token('ben'),
                headers => [ Accept => 'text/event-stream' ])->{status}, 400,
       'refused: ' . substr $query, 0, 40);
}


# Reload and a killed worker: another one brings what was missed.

for my $how ('reload', 'kill -9') {
    $ws = open_ws('');
    $ws->read_json;
    publish('user:ada', 1);
    my $event = $ws->read_until('patch');
    my $since = wait_for(sub { cursor($ws) });

    if ($how eq 'reload') {
        $t->reload;
    } else {
        $t->allow(qr/exited on signal 9/);
        my @old = $t->workers;
        kill 'KILL', @old;
        wait_for(sub {
            my %now = map { $_ => 1 } $t->workers;
            return keys %now == @old && !grep { $now{$_} } @old;
        });
    }

    $ws->disconnect;
    publish('user:ada', 2);

    $ws = open_ws("since=$since&at=" . escape("user:ada=$event->{id}"));
    $ws->read_json;
    my @got = map { $ws->read_until(sub { ($_[0]{c} // '') eq 'user:ada' })
                        ->{d}{n} } 1 .. 2;
    is("@got", join(' ', $n - 1, $n), "$how: nothing is lost, nothing twice");
    $ws->disconnect;
}

for ([ 'delta_resyncs_total', reason => qw(history_gap too_many) ],
     [ 'delta_resyncs_total', reason => 'epoch_changed' ],
     [ 'delta_resumes_total', result => qw(complete resync) ],
     [ 'delta_catchups_total', from => 'redis' ])
{
    my ($name, $label, @values) = @$_;
    my $body = $t->http(GET => '/metrics')->body;

    cmp_ok($body =~ /^$name\{$label="$_"\} (\d+)$/m ? $1 : -1, '>', 0,
           "counted: $name, $_") for @values;
}

done_testing;


sub open_ws {
    my ($query) = @_;

    return $t->ws("/gateway?$query", token => $t->token('ben'));
}


sub publish {
    my ($channel, $count) = @_;

    for (1 .. $count) {
        $n++;
        $t->publish($channel, { t => 'patch', d => { n => $n } });
    }
}


sub cursor {
    my ($client) = @_;

    $client->send_json({ t => 'heartbeat' });

    return $client->read_until('heartbeat_ack')->{d}{cursor} // '';
}


sub ms {
    my ($text) = @_;

    return $text =~ /^(\d+)-/ ? $1 : $text =~ /\.(\d+)$/ ? $1 : 0;
}


sub escape {
    my ($text) = @_;

    $text =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ge;

    return $text;
}
