#!/usr/bin/perl

# Copyright (C) Delta contributors

# The link to Redis is lost while a session resumes: what was found by then is
# no proof of what follows; and more comes while it resumes than it can take.

use Delta;
use Delta::Proxy;

my $t = Delta->new;

$t->start_redis;

my $proxy = Delta::Proxy->start($t, 'proxy', $t->{redis_port}, undef,
                                qr/delta_log/);

$t->redis('SADD', 'user:ben:rooms', 'held', 'read');
$t->start_nginx($t->conf(
    http => "delta_redis redis://127.0.0.1:$proxy->{port} read_timeout=1500ms;
             delta_user \$arg_user;
             delta_channel merged:* window=20s;",
    server => 'location = /gateway {
            delta_gateway;
            delta_subscribe room:* from=user:$delta_user:rooms;
        }
        location = /small {
            delta_gateway;
            delta_queue events=40;
            delta_subscribe merged:* from=user:$delta_user:merged;
            delta_subscribe room:* from=user:$delta_user:rooms;
        }
        location = /metrics { delta_metrics; }'));

wait_for(sub { eval { $t->redis('FCALL_RO', 'delta_version', 0) } })
    or die 'the function library is not there';

# the worker holds the newest of one channel, and must read the other
my $old = publish('room:read', 0);
publish('room:read', 1);

my $first = $t->ws('/gateway?user=ben');
is($first->read_json->{t}, 'ready', 'one is there');
my $place = publish('room:held', 0);
publish('room:held', 1);
is($first->read_json->{c}, 'room:held', 'and gets what is new') for 1 .. 2;

$proxy->mode('hold');
my $reads = reads();
my $second = $t->ws("/gateway?user=ben&at=room:held%3D$place,"
                    . "room:read%3D$old");
ok(wait_for(sub { reads() > $reads }), 'the other resumes, and must wait');

# while nothing goes through, the log loses what nobody has seen
$proxy->mode('swallow');
publish('room:held', 2);
$t->redis('DEL', 'delta:{room:held}', 'delta:{room:held}:once');
publish('room:held', 3);

ok(wait_for(sub { $t->log =~ /is down/ }), 'the link is lost');
$proxy->mode('pass');

is($second->read_json->{t}, 'ready', 'ready comes first');

my @got = map { $second->read_json } 1 .. 2;
my ($told) = grep { $_->{t} eq 'resync' } @got;
my ($note) = grep { $_->{t} eq 'note' } @got;

is($told && $told->{d}{channel}, 'room:held', 'one channel is to be fetched');
is($note && "$note->{c} $note->{d}{n}", 'room:read 1', 'the other is whole');

is($first->read_until('resync')->{d}{channel}, 'room:held',
   'who was there before is told, too');
$second->disconnect;

overflow();

$t->allow(qr/delta: .*link to Redis .* is down/);
done_testing;


# A window that is let go for a session fills its queue: what is older than the
# window is still to come.

sub overflow {
    $t->redis('SADD', 'user:eve:merged', 'one');
    $t->redis('SADD', 'user:eve:rooms', 'busy');

    my $epoch = wait_for(sub {
        $first->send_json({ t => 'heartbeat' });
        my $cursor = $first->read_until('heartbeat_ack')->{d}{cursor};
        return $1 if ($cursor // '') =~ /^(\d+)\./;
    });
    my ($ms) = publish('room:busy', 0) =~ /^(\d+)/;
    patch($_) for 1 .. 3;

    # the first goes out at once, and opens the window
    my $live = $t->ws('/small?user=eve');
    $live->read_until('ready');
    patch(4);
    $live->read_until('patch');
    patch($_) for 5 .. 14;

    $proxy->mode('hold');
    my $reads = reads();
    my $late = $t->sse("/small?user=eve&since=$epoch.$ms");
    ok(wait_for(sub { reads() > $reads }), 'a log is to be read');

    publish('room:busy', $_) for 1 .. 35;
    $live->read_until(sub { ($_[0]{d}{n} // 0) == 35 });
    $proxy->mode('pass');

    my %got;
    my $resync = 0;

    while (keys %got < 14 and my $event = $late->read_json) {
        $got{ $event->{d}{entity_id} } = 1 if $event->{t} eq 'patch';
        $resync++ if ($event->{d}{channel} // '') eq 'merged:one';
    }

    is(join(' ', sort { $a <=> $b } keys %got), join(' ', 1 .. 14),
       'before the window, and in it: all of it');
    is($resync, 0, 'and nothing to fetch');
    $_->disconnect for $live, $late;
}


sub patch {
    my ($entity) = @_;

    $t->publish('merged:one', { t => 'patch',
        d => { entity_type => 'e', entity_id => "$entity",
               diff => { k => 1 } } });
}


sub publish {
    my ($channel, $n) = @_;

    return $t->publish($channel, { t => 'note', d => { n => $n } });
}


sub reads {
    my ($n) = $t->http(GET => '/metrics')->body
        =~ /^delta_catchups_total\{from="redis"\} (\d+)/m;

    return $n;
}
