#!/usr/bin/perl

# Copyright (C) Delta contributors

# Gaps: what was published while the gateway did not hear it is taken from the
# channel's log, in order and once; what cannot be proven is a resync.

use Delta;

my $t = Delta->new;
my @aof = ('--appendonly', 'yes', '--appendfsync', 'always');

$t->start_redis(@aof);
$t->redis('SADD', 'user:ben:follows', 'ada', 'eve');

$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%% read_timeout=1s;
             delta_jwt_key_file jwks.json;',
    server => 'delta_jwt optional;
        location = /gateway {
            delta_gateway;
            delta_subscribe user:* from=user:$delta_user:follows;
        }
        location = /metrics { delta_metrics; }'));

my $ws = $t->ws('/gateway', token => $t->token('ben'));
is($ws->read_json->{t}, 'ready', 'a session');

my $n = 0;
publish(1);
is(take(1), '1', 'hears an event');


# The pub/sub link is cut, events are published before it is back.

for my $kind (qw(pubsub normal)) {
    my $from = $n + 1;

    $t->redis('CLIENT', 'KILL', 'TYPE', $kind, 'SKIPME', 'yes');
    publish(5);
    is(take(5), join(' ', $from .. $n),
       "$kind link killed: everything arrives, in order and once");
}

$t->redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
publish(700);
is(take(700), join(' ', $n - 699 .. $n), 'also over several pages');


# A PUBLISH that was lost on a link that stayed up.

my $last = $t->redis('XREVRANGE', 'delta:{user:ada}', '+', '-',
                     'COUNT', 1)->[0][0];
$t->redis('XADD', 'delta:{user:ada}', '*', 'p', $last, 'e', event(++$n));
publish(1);
is(take(2), join(' ', $n - 1, $n), 'a lost PUBLISH is noticed by the next');
ok(metric('delta_log_gaps_total') >= 1, 'and counted');

for my $channel (qw(user:ada user:eve)) {
    my $entry = $t->redis('XREVRANGE', "delta:{$channel}", '+', '-',
                          'COUNT', 1)->[0];

    $t->redis('XADD', "delta:{$channel}", '*',
              'p', $entry ? $entry->[0] : '0-0', 'e', event(++$n));
    is(take(1), $n, "or, when $channel is quiet, by comparing with the log");
}


# Redis restarts with everything it had.

$t->stop_redis;
$t->start_redis;
publish(3);
is(take(3), join(' ', $n - 2 .. $n), 'Redis restarted with its log: no loss');
is(resyncs(), 0, 'nobody was told to refetch so far');


# What was missed on the control channel is done before anything else.

$t->redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
$t->redis('SREM', 'user:ben:follows', 'eve');
$t->publish('user:ben:control',
            { t => 'revoke', d => { channel => 'user:eve' } });
$t->publish('user:eve', { t => 'patch', d => { n => 'secret' } });
publish(1);

my @seen;
$ws->read_until(sub { push @seen, $_[0]; ($_[0]{d}{n} // '') eq $n });
is(scalar(grep { $_->{t} eq 'unsubscribed' && $_->{d}{channel} eq 'user:eve' }
          @seen), 1, 'a revoke during the cut takes effect');
is(scalar(grep { ($_->{c} // '') eq 'user:eve' } @seen), 0,
   'before any event of that channel');


# Proof is impossible: reported, then on with what there is.

$t->redis('DEL', 'delta:{user:ada}');
$t->redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
publish(1);
is(take(2), "resync $n", 'the log was deleted: resync');

$t->redis('DEL', 'delta:{user:ada}');
$t->redis('SET', 'delta:{user:ada}', 'no log');
$t->redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
is(take(1), 'resync', 'the log is of the wrong type: resync');
like($t->log, qr/the log of "user:ada" cannot be read: WRONGTYPE/,
     'and a line in the log');
$t->redis('DEL', 'delta:{user:ada}');

publish(1);
is(take(1), $n, 'events flow on');

$t->stop_redis;
unlink glob $t->dir . '/appendonlydir/*';
$t->start_redis('--appendonly', 'no');
$t->redis('SADD', 'user:ben:follows', 'ada');

# the gateway may be back before the set is
like(take(1), qr/^(?:resync|unsubscribed)$/, 'Redis came back empty: reported');

cmp_ok(resyncs('history_gap'), '>=', 3, 'resyncs are counted by reason');
is(resyncs('too_many') + resyncs('epoch_changed'), 0, 'and by no other');

done_testing;


sub event {
    my ($value) = @_;

    return json_encode({ t => 'patch', d => { n => $value } });
}


sub publish {
    my ($count) = @_;

    for (1 .. $count) {
        $t->publish('user:ada', event(++$n));
    }
}


# The next events as text: n of a patch, else the type.

sub take {
    my ($count) = @_;

    return join ' ', map {
        my $event = $ws->read_json;
        $event ? $event->{d}{n} // $event->{t} : 'nothing';
    } 1 .. $count;
}


sub resyncs {
    my ($reason) = @_;

    my $sum = 0;

    $sum += metric("delta_resyncs_total{reason=\"$_\"}")
        for $reason || qw(history_gap too_many epoch_changed slow);

    return $sum;
}


sub metric {
    my ($name) = @_;

    my $body = $t->http(GET => '/metrics')->{body};

    return $body =~ /^\Q$name\E (\d+)/m ? $1 : undef;
}
