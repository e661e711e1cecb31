#!/usr/bin/perl

# Copyright (C) Delta contributors

# delta_channel window=: what goes out at once, what waits, what it is reduced
# to, whose id is told, and that nothing is lost on any way back.  A window of
# a minute never ends by itself here: what arrives was let go by something.

use Delta;

my $t = Delta->new;
my $users = 0;

$t->start_redis;

my $http = 'delta_redis %%REDIS%%;
    delta_jwt_key_file jwks.json;
    delta_channel long:* window=1m;
    delta_channel few:* window=1m max=4;
    delta_channel short:* window=100ms;';

my $locations = join '', map { "location = /$_ {
        delta_gateway;
        delta_envelope $_;
        delta_subscribe long:* from=user:\$delta_user:long;
        delta_subscribe few:* from=user:\$delta_user:few;
        delta_subscribe short:* from=user:\$delta_user:short;
    }" } qw(vtd op type compact);

my $conf = $t->conf(http => $http,
    server => "delta_jwt; delta_drain 1s; $locations
               location = /metrics { delta_jwt off; delta_metrics; }");

$t->start_nginx($conf, workers => 1);

for my $transport (qw(ws sse)) {
    first($transport);
    patches($transport);
    interleaved($transport);
    order($transport);
    splits($transport);
    shapes($transport);
    timer($transport);
    plain($transport);
    inside($transport);
    ahead($transport);
    revoked($transport);
}

left();
bounded();
cursor();
link_lost();
gap();

$t->stop_nginx;
$t->start_nginx($conf, workers => 2);
drain($_) for qw(ws sse);

done_testing;


sub first {
    my ($transport) = @_;

    my ($c, $client) = open_new($transport, 'long');
    my $id = patch($c, 'e', { a => 1 });
    my $event = $client->read_json;

    is($event->{id}, $id, "$transport: the first event leaves at once");
    patch($c, 'e', { a => 2 });
    remark($c, 1);
    remark($c, 2);
    is_deeply([ map { $client->read_json->{t} } 1 .. 3 ],
              [ 'patch', 'note', 'note' ],
              'later ones wait, but not for what cannot be merged');
}


sub patches {
    my ($transport) = @_;

    my ($c, $client) = open_started($transport, 'long');
    my @ids = map { patch($c, 'e', { "m$_" => $_, last => $_ }) } 1 .. 20;

    push @ids, patch($c, 'e', { m1 => undef, deep => { x => 1 } });
    push @ids, patch($c, 'e', { deep => { y => 2 } });
    remark($c, 1);

    my $event = $client->read_json;

    is_deeply($event->{d}, {
        entity_type => 'user', entity_id => 'e',
        diff => { (map { ("m$_" => $_) } 2 .. 20), last => 20, m1 => undef,
                  deep => { x => 1, y => 2 } },
    }, "$transport: many patches of an entity are one");
    is($event->{id}, $ids[-1], 'that has the id of the newest');
    is($client->read_json->{t}, 'note', 'and nothing else');
}


sub interleaved {
    my ($transport) = @_;

    my ($c, $client) = open_started($transport, 'long');
    my %state = (a => { a => 0 });
    my (@ids, %by);

    for my $n (1 .. 9) {
        my $entity = (qw(a b c))[$n % 3];
        my %diff = ($n % 4 == 0 ? (k => undef) : (k => $n), "n$n" => $n);
        merge($state{$entity} //= {}, \%diff);
        push @ids, patch($c, $entity, \%diff);
    }

    my $note = remark($c, 1);
    my @got = map { $client->read_json } 1 .. 4;

    is(join(' ', map { $_->{d}{entity_id} // 'note' } @got), 'b c a note',
       "$transport: entities stand where their newest patch stood");
    is_deeply([ map { $_->{id} } @got ], [ undef, undef, $ids[8], $note ],
              'and only behind what is whole there is an id');

    # from every id that was told, and from every one that exists

    for my $from ($note, @ids, $client->{first}) {
        my %seen = (a => { a => 0 });
        my $at = 0;

        for my $n (1 .. 9) {
            last if above($ids[$n - 1], $from);
            my $entity = (qw(a b c))[$n % 3];
            merge($seen{$entity} //= {},
                  { $n % 4 == 0 ? (k => undef) : (k => $n), "n$n" => $n });
            $at = $n;
        }

        my $back = open_at($transport, $client->{user}, "$c=$from");
        $back->read_until('ready');
        my $end = remark($c, 'end');
        my @notes = apply($back, \%seen, $end, $from);

        is_deeply(\%seen, \%state, "$transport: resumed behind event $at");
        is(join(' ', grep { $_ ne 'end' } @notes),
           above($note, $from) ? '1' : '', 'no note is lost, none comes twice')
            if $from ne $note;
        $back->disconnect;
    }
}


sub order {
    my ($transport) = @_;

    my ($c, $client) = open_started($transport, 'long');

    patch($c, 'e', { x => 1 });
    patch($c, 'f', { x => 1 });
    remark($c, 1);
    patch($c, 'e', { x => 2 });
    patch($c, 'e', { x => 3 });
    publish($c, 'presence_update', { id => 'p', s => 'on' });
    publish($c, 'presence_update', { id => 'p', s => 'off' });
    patch($c, 'f', { x => undef });
    patch($c, 'f', { x => { y => 1 } });
    publish($c, 'patch', { odd => 1 });
    patch($c, 'e', { x => 4 });
    remark($c, 2);

    is(join(' ', map { brief($client->read_json) } 1 .. 10),
       'e1 f1 note1 e3 poff fnull fobject odd e4 note2',
       "$transport: nothing crosses an event that cannot be merged");
}


sub splits {
    my ($transport) = @_;

    my ($c, $client) = open_started($transport, 'few');

    my @ids = map { patch($c, 'e', { x => $_ }) } 1 .. 8;
    my @got = map { $client->read_json } 1 .. 2;

    is_deeply([ map { $_->{d}{diff}{x} } @got ], [ 4, 8 ],
              "$transport: max= lets the window go earlier");
    is_deeply([ map { $_->{id} } @got ], [ @ids[3, 7] ], 'with its id');
}


sub shapes {
    my ($transport) = @_;

    my $c = 'long:' . ++$users;
    my %client;

    # that of "type" says no ready, but is live before those that come later

    for my $shape (qw(type op compact vtd)) {
        my $user = 'u' . ++$users;
        $t->redis('SADD', "user:$user:long", $c =~ /(\d+)/);
        $client{$shape} = connect_as($transport, $user, '', $shape);
        $client{$shape}->read_json if $shape ne 'type';
    }

    space($c, { deleted => [ 'zero' ] });
    $_->read_json for values %client;

    space($c, { created => [ { id => 'x', n => 1 }, { id => 'y', n => 1 } ] });
    space($c, { updated => [ { id => 'x', n => 2 } ], deleted => [ 'y' ] });
    space($c, { deleted => [ 'z' ], timestamp => '2' });
    space($c, { created => [ { id => 'z', n => 3 } ], timestamp => '3' });
    my $id = remark($c, 1);

    my %d = (created => [ { id => 'x', n => 2 }, { id => 'z', n => 3 } ],
             deleted => [ 'y' ], timestamp => '3');
    my %want = (
        vtd => [ t => 'space_delta', 'd' ],
        compact => [ t => 'space_delta', 'd' ],
        op => [ op => 'SpaceDelta', 'd' ],
        type => [ type => 'space-delta', '' ],
    );

    for my $shape (sort keys %client) {
        my ($name, $type, $in) = @{ $want{$shape} };
        my $event = $client{$shape}->read_json;
        my %got = %{ $in ? $event->{d} : $event };

        is($event->{$name}, $type, "$transport, $shape: space deltas are one");
        delete @got{grep { !@{ $got{$_} } } grep { ref $got{$_} } keys %got};
        delete $got{type};
        @{ $got{created} } = sort { $a->{id} cmp $b->{id} } @{ $got{created} };
        is_deeply(\%got, \%d, 'netted by id');
        $client{$shape}->disconnect;
    }
}


sub timer {
    my ($transport) = @_;

    my ($c, $client) = open_started($transport, 'short');

    # at once, or the window ends before the last of them; the first leaves
    # without waiting if it has ended by now
    $t->redis('MULTI');
    patch($c, 'e', { x => $_ }) for 1 .. 3;
    $t->redis('EXEC');

    my $x = $client->read_json->{d}{diff}{x};
    $x = $client->read_json->{d}{diff}{x} if $x == 1;
    is($x, 3, "$transport: the window ends");
    patch($c, 'f', { x => 1 });
    is(brief($client->read_json), 'f1', 'and the next one does');
}


# Events by plain PUBLISH: no id, no log.

sub plain {
    my ($transport) = @_;

    my ($c, $client) = open_new($transport, 'long');
    my $say = sub {
        my ($entity, $x) = @_;
        $t->redis('PUBLISH', $c, json_encode({ t => 'patch', d => {
            entity_type => 'user', entity_id => $entity,
            diff => { x => $x } } }));
    };

    $say->('e', 0);
    is(brief($client->read_json), 'e0', "$transport: PUBLISH: at once");
    $say->('e', $_) for 1 .. 5;
    remark($c, 1);
    my $event = $client->read_json;
    is(brief($event), 'e5', 'then merged');
    ok(!exists $event->{id}, 'without an id');
    is($client->read_json->{t}, 'note', 'before a note');

    # what is in a log is not merged with what is in none
    my $id = patch($c, 'e', { x => 6 });
    $say->('e', $_) for 7, 8;
    my $last = patch($c, 'e', { x => 9 });
    remark($c, 2);
    my @got = map { $client->read_json } 1 .. 4;
    is(join(' ', map { brief($_) } @got), 'e6 e8 e9 note2',
       'and kept apart from logged ones');
    is_deeply([ map { $_->{id} } @got[0 .. 2] ], [ $id, undef, $last ],
              'which keep their ids');
}


# A client that was elsewhere, and has seen a part of what is held here.

sub inside {
    my ($transport) = @_;

    my ($c, $client) = open_started($transport, 'long');
    my @ids = map { patch($c, 'e', { "x$_" => $_ }) } 1 .. 4;

    my $back = open_at($transport, $client->{user}, "$c=$ids[1]");
    is_deeply($client->read_json->{d}{diff}, { map { ("x$_" => $_) } 1 .. 4 },
              "$transport: who resumes inside a window lets it go");
    is_deeply([ ($back->read_json, $back->read_json)[1]{d}{diff} ],
              [ { x3 => 3, x4 => 4 } ], 'and gets what is behind its place');

    push @ids, map { patch($c, 'e', { "x$_" => $_ }) } 5 .. 6;
    my $early = open_at($transport, $client->{user}, "$c=$ids[0]");
    $early->read_json;
    is_deeply($early->read_json->{d}{diff}, { map { ("x$_" => $_) } 2 .. 4 },
              'who was away before it is replayed up to it');
    remark($c, 1);

    for my $each ($client, $back, $early) {
        my $event = $each->read_json;
        is_deeply([ $event->{d}{diff}, $event->{id} ],
                  [ { x5 => 5, x6 => 6 }, $ids[5] ], 'and joins it');
        is($each->read_json->{t}, 'note', 'once');
    }
}


# The log may be read before its newest events have come live.

sub ahead {
    my ($transport) = @_;

    my ($c, $client) = open_started($transport, 'long');
    my $previous = $client->{first};
    my @late;

    for ([ e => 1 ], [ f => 1 ], [ e => 2 ], [], [ e => 3 ]) {
        my ($entity, $x) = @$_;

        push @late, add($c, \$previous, !$entity
            ? { t => 'note', d => { n => 1 } }
            : { t => 'patch', d => { entity_type => 'user',
                entity_id => $entity, diff => { x => $x } } });
    }

    my $back = open_at($transport, $client->{user}, "$c=$previous");
    $back->read_until('ready');
    $t->redis('PUBLISH', $c, $_) for @late;
    remark($c, 2);

    is(join(' ', map { brief($client->read_json) } 1 .. 5),
       'f1 e2 note1 e3 note2', "$transport: events that come late")
        or return;
    is(brief($back->read_json), 'note2',
       'are not sent again to who has seen the log');
}


sub revoked {
    my ($transport) = @_;

    my ($c, $client) = open_started($transport, 'long');
    my $other = open_on($transport, $c);

    patch($c, 'e', { x => 1 });
    $t->redis('SREM', "user:$client->{user}:long", $c =~ /(\d+)/);
    publish("user:$client->{user}:control", 'revoke', { channel => $c });
    is($client->read_json->{t}, 'unsubscribed',
       "$transport: who is revoked while a window is open");
    remark($c, 1);
    is(brief($other->read_until('note')), 'note1', '(others have it)');
    publish("user:$client->{user}:control", 'disconnect', {});
    my $event = $client->read_json;
    ok(!$event || $event->{code}, 'gets nothing of it');
}


sub left {
    my ($c, $client) = open_started('ws', 'long');
    my $other = open_on('ws', $c);
    $other->{first} = $client->{first};

    patch($c, 'e', { x => 1 });
    $client->send_json({ t => 'unsubscribe', d => { channel => $c } });
    is($client->read_json->{t}, 'unsubscribed', 'who leaves');
    remark($c, 1);
    $other->read_until('note');
    $client->send_json({ t => 'heartbeat' });
    is($client->read_json->{t}, 'heartbeat_ack', 'gets nothing held either');

    # the last one takes the window along; the log keeps what it held
    my $id = patch($c, 'e', { x => 2 });
    $_->disconnect for $client, $other;
    my $back = open_at('ws', $other->{user}, "$c=$other->{first}");
    ok($back->read_until(sub { ($_[0]{id} // '') eq $id }),
       'what a window held that nobody waited for is replayed');
}


sub bounded {
    my ($c, $client) = open_started('ws', 'long');
    my $text = 'x' x 50_000;

    patch($c, 'e', { x => $_, text => $text }) for 1 .. 22;
    ok($client->read_json->{d}{diff}{x} >= 19, 'a megabyte does not wait');
}


sub cursor {
    my ($c, $client) = open_started('ws', 'long');
    my ($d, $other) = open_started('ws', 'long');
    my $before = $client->{first};

    ok(wait_for(sub { ms(heartbeat($client)) >= ms($before) }),
       'a cursor passes what has gone');

    my $id = patch($c, 'e', { x => 1 });
    patch($d, 'e', { x => 1 });

    # until Redis has told its time for sure
    my $tick = ms($id) + 2100;
    wait_for(sub { now() > $tick });
    my $at = ms(heartbeat($client));
    ok($at < ms($id) && $at >= ms($before),
       'but not an event that is held');
    remark($c, 1);
    my $missed = remark($d, 1);
    ok(wait_for(sub { ms(heartbeat($client)) >= ms($id) }),
       'and does when it has gone');

    # a repair brings one that is older than what another channel holds

    add($d, \$missed, { t => 'patch', d => { entity_type => 'user',
        entity_id => 'e', diff => { x => 4 } } });
    my $now = now();
    wait_for(sub { now() > $now + 5 });
    remark($c, 2);
    patch($c, 'e', { x => 5 });
    $id = patch($d, 'e', { x => 6 });
    wait_for(sub { now() > ms($id) + 2100 });
    ok(ms(heartbeat($client)) < ms($missed), 'nor one that a repair brought');
}


sub link_lost {
    for my $transport (qw(ws sse)) {
        my ($c, $client) = open_started($transport, 'long');

        patch($c, 'e', { "x$_" => 1 }) for 1 .. 3;
        cut();
        is_deeply($client->read_json->{d}{diff},
                  { map { ("x$_" => 1) } 1 .. 3 },
                  "$transport: a window goes when the link to Redis is lost");
        patch($c, 'e', { x4 => 1 });
        remark($c, 1);
        my %state;
        my @notes = apply($client, \%state, remark($c, 'end'));
        is_deeply($state{e}, { x4 => 1 }, 'and what came meanwhile after it');
        is("@notes", '1 end', 'once');
    }
}


# "resync" means that what comes behind it is newer.

sub gap {
    my ($c, $client) = open_started('ws', 'long');

    patch($c, 'e', { x => 'held' });
    $t->redis('MULTI');
    $t->redis('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes')
        for qw(normal pubsub);
    $t->redis('XTRIM', "delta:{$c}", 'MAXLEN', 0);
    $t->redis('FCALL', 'delta_publish', 1, $c,
              json_encode({ t => 'note', d => { n => 1 } }));
    $t->redis('XTRIM', "delta:{$c}", 'MAXLEN', 0);
    $t->redis('FCALL', 'delta_publish', 1, $c,
              json_encode({ t => 'note', d => { n => 2 } }));
    $t->redis('EXEC');

    is(join(' ', map { brief($client->read_json) } 1 .. 2), 'eheld resync',
       'what was held comes before a resync');

    # the same without a lost link

    ($c, $client) = open_started('ws', 'long');
    my $previous = patch($c, 'e', { x => 'held' });

    add($c, \$previous, { t => 'note', d => { n => 1 } });
    $t->redis('XTRIM', "delta:{$c}", 'MAXLEN', 0);
    remark($c, 2);
    is(join(' ', map { brief($client->read_json) } 1 .. 3),
       'eheld resync note2', 'and what comes then behind it');
}


sub drain {
    my ($transport) = @_;

    my ($c, $client) = open_started($transport, 'long');
    my %state;

    patch($c, 'e', { "x$_" => $_ }) for 1 .. 3;
    $t->reload;

    my $closed;
    while (my $event = $client->read_json) {
        $closed ||= $event->{t} ? $event->{t} eq 'reconnect' : 1;
        merge($state{e}, $event->{d}{diff})
            if ($event->{t} // '') eq 'patch';
    }

    ok($closed, "$transport: a session is closed while its window is open");
    patch($c, 'e', { x4 => 4 });
    my $back = open_at($transport, $client->{user}, "$c=$client->{first}");
    apply($back, \%state, remark($c, 'end'));
    is_deeply($state{e}, { map { ("x$_" => $_) } 1 .. 4 },
              'and has everything when it comes back');
}


# Adds an event to the log alone; what its message would be.

sub add {
    my ($c, $previous, $event) = @_;

    my $text = json_encode($event);
    my $before = $$previous;

    $$previous = $t->redis('XADD', "delta:{$c}", '*', 'p', $before, 'e', $text);

    $t->redis('HSET', "delta:{$c}:once", '', $$previous);

    return "$$previous $before $text";
}


# A channel and a user of their own, connected; the first event has been seen
# if it is started.

sub open_new {
    my ($transport, $kind) = @_;

    my $c = "$kind:" . ($users + 1);

    return ($c, open_on($transport, $c));
}


sub open_on {
    my ($transport, $c) = @_;

    my ($kind, $n) = $c =~ /(\w+):(\d+)/;
    my $user = 'u' . ++$users;

    $t->redis('SADD', "user:$user:$kind", $n);

    my $client = connect_as($transport, $user, '');
    $client->read_until('ready');

    return $client;
}


sub open_started {
    my ($c, $client) = open_new(@_);

    $client->{first} = patch($c, 'a', { a => 0 });
    $client->read_json;

    return ($c, $client);
}


sub open_at {
    my ($transport, $user, $at) = @_;

    return connect_as($transport, $user, "at=$at");
}


sub connect_as {
    my ($transport, $user, $query, $shape) = @_;

    my $client = $t->$transport('/' . ($shape // 'vtd') . "?$query",
                                token => $t->token($user));
    $client->{user} = $user;

    return $client;
}


sub publish {
    my ($c, $type, $d) = @_;

    return $t->publish($c, { t => $type, d => $d });
}


sub patch {
    my ($c, $entity, $diff) = @_;

    return publish($c, 'patch', { entity_type => 'user', entity_id => $entity,
                                  diff => $diff });
}


sub space {
    my ($c, $d) = @_;

    return publish($c, 'space_delta', { timestamp => '1', %$d });
}


sub remark {
    my ($c, $n) = @_;

    return publish($c, 'note', { n => $n });
}


# Applies what comes up to the event of that id; answers the notes.

sub apply {
    my ($client, $state, $end, $last) = @_;

    my @notes;

    while (my $event = $client->read_json) {
        my $id = $event->{id};

        next if $id && $last && !above($id, $last);
        $last = $id // $last;
        push @notes, $event->{d}{n} if $event->{t} eq 'note';
        merge($state->{ $event->{d}{entity_id} } //= {}, $event->{d}{diff})
            if $event->{t} eq 'patch';
        last if ($id // '') eq $end;
    }

    return @notes;
}


# RFC 7396.

sub merge {
    my ($target, $patch) = @_;

    for my $key (keys %$patch) {
        my $value = $patch->{$key};

        if (!defined $value) {
            delete $target->{$key};
        } elsif (ref $value eq 'HASH') {
            $target->{$key} = {} if ref $target->{$key} ne 'HASH';
            merge($target->{$key}, $value);
        } else {
            $target->{$key} = $value;
        }
    }
}


sub brief {
    my ($event) = @_;

    my ($type, $d) = @{$event // {}}{qw(t d)};

    return 'nothing' if !$type;
    return "note$d->{n}" if $type eq 'note';
    return "p$d->{s}" if $type eq 'presence_update';
    return $type if $type ne 'patch';
    return 'odd' if $d->{odd};

    my $x = $d->{diff}{x};

    return $d->{entity_id} . (ref $x ? 'object' : $x // 'null');
}


sub heartbeat {
    my ($client) = @_;

    $client->send_json({ t => 'heartbeat' });

    return $client->read_until('heartbeat_ack')->{d}{cursor} // '';
}


sub now {
    my ($seconds, $usec) = @{ $t->redis('TIME') };

    return $seconds * 1000 + $usec / 1000;
}


sub ms {
    my ($text) = @_;

    return $text =~ /^(\d+)-/ ? $1 : $text =~ /\.(\d+)$/ ? $1 : 0;
}


sub above {
    my ($one, $two) = map { [ split /-/ ] } @_;

    return $one->[0] > $two->[0]
           || $one->[0] == $two->[0] && $one->[1] > $two->[1];
}


sub cut {
    $t->redis('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes')
        for qw(normal pubsub);
}
