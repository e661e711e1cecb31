#!/usr/bin/perl

# Copyright (C) Delta contributors

# delta_contracts: what is as conf/events.json says arrives, what is not is
# dropped, counted, and told once a minute and type; live and out of a log.

use Delta;
use Delta::Variants qw(variants);
use List::Util qw(sum0);

my $t = Delta->new;
my $marks = 0;

$t->start_redis;

open my $fh, '<:raw', "$Delta::TOP/conf/events.json" or die $!;
my $contract = do { local $/; <$fh> };
my %events = %{ json_decode($contract)->{events} };

$t->file('events.json', $contract);

conf_test();

$t->start_nginx(gateway('events.json'));
examples();
broken();
unknown('pass');
junk();
position();
replay();


compile_check() and do {
    everywhere();
    own_words();
    words_of_presence(gateway('events.json'));
};

reload(gateway('events.json unknown=drop'));
unknown('drop');

$t->file('other.json', own_contract());
reload(gateway('other.json'));
rules();

reload(gateway(''));
without();
a_minute();

done_testing;


sub gateway {
    my ($parameters) = @_;

    return $t->conf(
        http => 'delta_redis %%REDIS%%;
                 delta_max_event 4k;
                 delta_jwt_key_file jwks.json;
                 delta_channel window:* window=1m;'
            . ($parameters ? "delta_contracts $parameters;" : ''),
        server => 'delta_drain 1s;
            location = /gateway {
                delta_gateway;
                delta_user ben;
                delta_subscribe guild:42;
                delta_subscribe window:1;
                delta_subscribe room:* from=rooms;
            }
            location = /presence {
                delta_gateway;
                delta_jwt;
                delta_presence;
                delta_subscribe presence:$delta_user;
            }
            location = /metrics { delta_metrics; }');
}


# Until the old worker is gone, so that it answers nobody any more.

sub reload {
    my ($conf) = @_;

    $t->reload($conf);
    ok(wait_for(sub { 1 == $t->workers }), 'nginx reloads');
}


sub open_gateway {
    my ($query) = @_;

    my $ws = $t->ws('/gateway' . ($query // ''));
    is($ws->read_json->{t}, 'ready', 'a session') or return;

    return $ws;
}


sub publish {
    my ($type, $d, $channel) = @_;

    $d = json_encode($d) if ref $d;

    return $t->publish($channel || 'guild:42', qq({"t":"$type","d":$d}));
}


# Publishes an event that arrives; returns its id and what came before it.

sub mark {
    my ($ws) = @_;

    my $n = ++$marks;
    my $id = publish('message_delete', { guild_id => '42', channel_id => '7',
                                         message_id => "mark-$n" });

    return $id unless $ws;

    my @before;

    $ws->read_until(sub {
        return 1 if ($_[0]{d}{message_id} // '') eq "mark-$n";
        push @before, $_[0];
        return 0;
    });

    return ($id, @before);
}


sub metric {
    my ($name) = @_;

    my $body = $t->http(GET => '/metrics')->body;

    return $body =~ /^\Q$name\E (\d+)/m ? $1 : -1;
}


sub dropped {
    return metric("delta_events_dropped_total{reason=\"$_[0]\"}");
}


# Of a type, for whatever reason; or for one.

sub rejected {
    my ($type, $reason) = @_;

    $reason //= '\w+';

    my $labels = qr/\{type="\Q$type\E",reason="$reason"\}/;
    my $body = $t->http(GET => '/metrics')->body;

    return sum0($body =~ /^delta_parse_rejected_total$labels (\d+)/mg);
}


sub emitted {
    return metric("delta_events_emitted_total{type=\"$_[0]\"}");
}


# Every event of the contract by its example; what only the gateway says does
# not come out of Redis.

sub examples {
    my ($ws, $other) = (open_gateway(), open_gateway());

    for my $type (sort keys %events) {
        my $own = "@{ $events{$type}{scope} }" eq 'session';
        my $count = emitted($type);

        is($count, $type eq 'message_delete' ? $marks : 0,
           "$type is counted by its name") if $own || $type !~ /^m/;

        my $id = publish($type, $events{$type}{example});
        my (undef, @came) = mark($ws);

        if ($own) {
            is(scalar @came, 0, "$type: not from Redis");
            is(rejected($type), 1, 'and it is counted');
            next;
        }

        is_deeply(\@came, [ { v => 1, t => $type, c => 'guild:42', id => $id,
                              d => $events{$type}{example} } ],
                  "$type: the example arrives as it is");
        is(emitted($type) - $count, $type eq 'message_delete' ? 2 : 1,
           'and is counted, once for both');
    }

    is(dropped('reserved'),
       scalar grep({ "@{ $_->{scope} }" eq 'session' } values %events),
       'what only the gateway says is dropped');
    $_->disconnect for $ws, $other;
}


# Each field removed, of a type it cannot have, one too many, one that is
# privileged: none of them arrives.

sub broken {
    my $ws = open_gateway();
    my ($sum, $leaks) = (0, 0);
    my $invalid = dropped('invalid');

    for my $type (sort keys %events) {
        next if "@{ $events{$type}{scope} }" eq 'session';

        my $schema = $events{$type}{d};
        my %example = %{ $events{$type}{example} };
        my @bad = map { { %example, $_ => { no => [ 1 ] } } }
            sort keys %{ $schema->{properties} };

        for my $name (@{ $schema->{required} || [] }) {
            my %rest = %example;
            delete $rest{$name};
            push @bad, \%rest;
        }

        push @bad, { %example, not_known => 1 }
            if !($schema->{additionalProperties} // 1);

        my ($count, $odd, $leaky) = (rejected($type),
            map { rejected($type, $_) } qw(invalid privileged));

        publish($type, $_) for @bad;
        publish($type, { %example, $_ => '192.0.2.1' }) for qw(ip email);
        $leaks += 2;

        my (undef, @came) = mark($ws);

        is_deeply(\@came, [], "$type: broken in " . @bad . ' ways, and leaky');
        is(rejected($type) - $count, 2 + @bad, 'row 3.6: each by type');
        is_deeply([ rejected($type, 'invalid') - $odd,
                    rejected($type, 'privileged') - $leaky ], [ 0 + @bad, 2 ],
                  'row 3.6: and reason');
        $sum += @bad;

        my @lines = $t->log =~ /dropped an event "$type" on .*/g;
        is(scalar @lines, 1, 'and told once') or diag(@lines);
        like($lines[0], qr{on "guild:42": /d/[\w/]+ (?:is|has) \w+}, 'why');
    }

    is(dropped('invalid') - $invalid, $sum, 'invalid ones are counted');
    is(dropped('privileged'), $leaks, 'row 3.5: and privileged ones');
    unlike($t->log, qr/192\.0\.2\.1|dropped.*mark-/, 'no log has a payload');
    is(metric('delta_log_gaps_total'), 0, 'and nothing was taken for a gap');
    $ws->disconnect;
}


# Types of a newer backend.

sub unknown {
    my ($what) = @_;

    my $ws = open_gateway();
    my ($count, $dropped) = (metric('delta_unknown_received_total'),
                             dropped('unknown'));
    my ($emitted, $rejected) = (emitted('*'), rejected('*'));

    publish("stage_$_", { n => $_ }) for 1 .. 3;
    publish('stage_4', { n => { email => 'a' } });

    my (undef, @came) = mark($ws);
    my $passes = $what eq 'pass' ? 3 : 0;

    is(scalar @came, $passes, "row 3.1: unknown=$what, $passes arrive");
    is(metric('delta_unknown_received_total') - $count, 4, 'all are counted');
    is(dropped('unknown') - $dropped, $passes ? 0 : 4,
       'as dropped, if they are');
    is(emitted('*') - $emitted, $passes, 'by type: none of the contract');
    is(rejected('*') - $rejected, 4 - $passes,
       'what is privileged is dropped in any case');

    my @lines = $t->log =~ /dropped an event "stage_\d+" on .*/g;
    is(scalar @lines, $passes ? 1 : 2, 'told once each');
    like($lines[-1], $passes ? qr{stage_4.*: /d/n/email is privileged}
                             : qr{: /t is not in the contract}, 'why');
    $ws->disconnect;
}


# What is no event, too large, or on a control channel.

sub junk {
    my $ws = open_gateway();
    my ($size, $json, $any) = (dropped('size'), dropped('json'),
                               rejected('*'));
    my $large = rejected('message_create');
    my $big = '{"guild_id":"42","channel_id":"7","message_id":"m","author_id"'
        . ':"ada","content":"' . 'x' x 4096 . '"}';

    publish('message_create', $big) for 1, 2;
    publish('x' x 64, $big);
    publish('x' x 4096, '{}');
    $t->publish('guild:42', qq({"d":$big,"t":"message_create"}));
    $t->redis('PUBLISH', 'guild:42', $_) for '{', '1-1 x', 'x';

    my (undef, @came) = mark($ws);

    is(scalar @came, 0, 'nothing of it arrives');
    is(dropped('size') - $size, 5, 'row 3.5: over delta_max_event');
    is(rejected('message_create', 'size'), 2, 'by type, if it comes first');
    is(rejected('message_create') - $large, 2, 'and for no other reason');
    is(dropped('json') - $json, 3, 'no JSON: counted');
    is(rejected('*') - $any, 6, 'the others as of no type');
    is(rejected('*', 'size'), 3, 'too large');
    is(rejected('*', 'json'), dropped('json'), 'or no JSON');

    my @lines = $t->log =~ /dropped an event on "guild:42": over .*/g;
    is(scalar @lines, 1, 'and told once');

    my $count = metric('delta_unknown_received_total');
    $t->publish('user:ben:control',
                '{"t":"grant","d":{"channel":"room:1","more":1}}');
    mark($ws);
    is(metric('delta_unknown_received_total'), $count,
       'control channels have their own words');
    $ws->disconnect;
}


# A dropped event has its place: who was there can come back to it.

sub position {
    my $ws = open_gateway();
    my ($first) = mark($ws);
    my $bad = publish('message_create', { nothing => 1 });
    my ($last) = mark($ws);

    $ws->disconnect;

    for my $from ([ $first, 1 ], [ $bad, 1 ], [ $last, 0 ]) {
        my ($at, $n) = @$from;
        my $back = open_gateway("?at=guild:42=$at");
        my (undef, @came) = mark($back);

        is_deeply([ map { $_->{id} } grep { $_->{t} ne 'message_create' }
                    @came[0 .. $n - 1] ], [ ($last) x $n ],
                  'back from there: what was good, and no resync');
        is(scalar(grep { $_->{t} =~ /resync|message_create/ } @came), 0,
           'nothing else');
        $back->disconnect;
    }
}


# A worker that has seen nothing of it reads the log.

sub replay {
    my ($first) = mark();

    $t->stop_nginx;

    publish('message_create', { nothing => 1 });
    publish('profile_update', { %{ $events{profile_update}{example} },
                                email => 'ada@example.com' });
    publish('ready', $events{ready}{example});
    my $good = publish('patch', $events{patch}{example});

    $t->start_nginx;

    my $ws = open_gateway("?at=guild:42=$first");
    my (undef, @came) = mark($ws);

    is_deeply([ map { "$_->{t} $_->{id}" } @came ], [ "patch $good" ],
              'only what is valid is replayed out of a log');
    is(metric('delta_resumes_total{result="complete"}'), 1, 'completely');
    $ws->disconnect;
}


# The same code in a program of its own, for what is to be expected.

sub compile_check {
    chdir $Delta::TOP;

    return is(system(qw(cc -std=gnu11 -O1 -Isrc/core -o), $t->file('check'),
              't/bin/contract-check.c', glob('src/core/delta_contract*.c'),
              glob('src/core/delta_json*.c'),
              'src/core/delta_cursor.c', 'src/core/delta_name.c',
              qw(src/core/delta_envelope.c src/core/delta_utf8.c -ljansson)),
              0, 't/bin/contract-check.c builds');
}


sub verdicts {
    my $events = $t->file('said', join "\n", @_, '');
    my $check = $t->file('check');

    chomp(my @verdicts = `$check conf/events.json < $events`);

    return @verdicts;
}


# Whatever is wrong in any place of an event: what is right arrives, and it
# alone.

sub everywhere {
    my $ws = open_gateway();
    my ($published, $passed, $refused) = (0, 0, 0);
    my @bad;

    for my $type (sort keys %events) {
        next if "@{ $events{$type}{scope} }" eq 'session';

        my @cases = grep { length() <= 4096 }
            variants($type, $events{$type}{example});
        my @verdicts = verdicts(@cases);
        my @good = @cases[grep { $verdicts[$_] eq 'ok' } 0 .. $#cases];
        my $count = rejected($type);

        $t->publish('guild:42', $_) for @cases;
        my (undef, @came) = mark($ws);

        push @bad, $type if join("\n", map { json_encode(json_decode($_)) }
                                 @good)
            ne join("\n", map { json_encode({ t => $_->{t}, d => $_->{d} }) }
                    @came);

        $published += @cases;
        $passed += @came;
        $refused += rejected($type) - $count;
    }

    is("@bad", '', "$published events: what is right arrives, and only that");
    is($passed + $refused, $published, 'the others are counted');
    cmp_ok($refused, '>', 4000, "$refused of them were wrong");
    $ws->disconnect;
}


# What the gateway itself says is in the contract, too.

sub own_words {
    my $ws = $t->ws('/gateway?at=guild:42=1-1&since=1.1');

    $ws->send_json({ t => 'heartbeat', ref => 1 });
    $ws->send_json({ t => 'subscribe', ref => 'a',
                     d => { channel => 'guild:42' } });
    $ws->send_json({ t => 'unsubscribe', d => { channel => 'guild:42' } });
    $ws->send_json({ t => 'subscribe', ref => 2, d => { channel => 'no' } });
    $ws->send_json({ t => 'nothing' });
    $t->redis('SADD', 'rooms', 1);
    $t->publish('user:ben:control', '{"t":"membership_changed","d":{}}');
    $t->publish('user:ben:control',
                '{"t":"revoke","d":{"channel":"room:1"}}');

    my (%said, @lines);

    $ws->read_until(sub {
        push @lines, json_encode({ t => $_[0]{t}, d => $_[0]{d} });
        $said{$_[0]{t}}++;
        $_[0]{t} eq 'unsubscribed' && $_[0]{d}{channel} eq 'room:1';
    });

    is(join(' ', sort keys %said), 'error heartbeat_ack ready resync '
       . 'subscribed unsubscribed', 'the gateway says much');

    is_deeply([ verdicts(@lines) ], [ ('ok') x @lines ],
              'all of it as the contract says') or diag(@lines);
    $ws->disconnect;
}


# So is what a session with presence hears, from its first word to its last.

sub words_of_presence {
    my ($conf) = @_;

    my $ws = $t->ws('/presence', token => $t->token('eva'));
    my ($token, @lines);

    my $until = sub {
        my ($type) = @_;

        return $ws->read_until(sub {
            push @lines, json_encode({ t => $_[0]{t}, d => $_[0]{d} });
            $_[0]{t} eq $type;
        }) || fail("$type does not come");
    };

    $token = $until->('ready')->{d}{resume_token};
    $until->('presence_sync');
    $ws->send_json({ t => 'status',
                     d => { status => 'busy', project => 'x' } });
    $until->('presence_update');
    $ws->send_json({ t => 'auth', d => { token => $t->token('eva') } });
    $until->('authenticated');
    $ws->disconnect;

    $ws = $t->ws("/presence?resume=$token", token => $t->token('eva'));
    $until->('resumed');
    $until->('presence_sync');
    $t->reload($conf);
    $until->('reconnect');
    $ws->disconnect;
    ok(wait_for(sub { 1 == $t->workers }), 'nginx reloads');

    cmp_ok(scalar @lines, '>=', 8, 'a session with presence');
    is_deeply([ verdicts(@lines) ], [ ('ok') x @lines ],
              'hears nothing that is off the contract') or diag(@lines);
}


sub own_contract {
    my %any = (scope => [ 'channel' ]);
    my %id = (id => { type => 'string' });

    return json_encode({ version => 1, events => {
        message_delete => $events{message_delete}
            ? { %any, d => { type => 'object' } } : {},
        status => { %any, merge => 'last',
                    d => { type => 'object', properties => \%id,
                           required => [ 'id' ] } },
        presence_update => { %any, merge => 'none', d => { type => 'object' } },
        space_delta => { %any, merge => 'space', d => {
            type => 'object', properties => { created => {
                type => 'array', maxItems => 2 } } } },
    } });
}


# How events are merged is up to the contract, and so is what comes of it.

sub rules {
    my $ws = open_gateway();
    my $send = sub { publish(@_, 'window:1') };
    my $names = sub {
        publish('other', { end => 1 }, 'window:1');
        my @came;
        $ws->read_until(sub { push @came, $_[0]; $_[0]{t} eq 'other' });
        return join ' ', map { $_->{t} . ($_->{d}{n} // '') } @came;
    };

    $send->('status', { id => 'a', n => 0 });
    $send->('status', { id => 'a', n => $_ }) for 1 .. 3;
    is($names->(), 'status0 status3 other', 'a rule of the contract\'s own');

    $send->('presence_update', { id => 'a', n => $_ }) for 1 .. 2;
    is($names->(), 'presence_update1 presence_update2 other',
       'what it does not merge stays');

    my @sizes;

    $send->('space_delta', { created => [ { id => "x$_" } ] }) for 0 .. 3;
    publish('other', { end => 1 }, 'window:1');
    $ws->read_until(sub {
        push @sizes, scalar @{ $_[0]{d}{created} || [] }
            if $_[0]{t} eq 'space_delta';
        $_[0]{t} eq 'other';
    });
    is("@sizes", '1 1 1 1', 'together they would be too many: they stay');

    is(emitted('status'), 4, 'its types are counted');
    is(emitted('patch'), -1, 'and those of the contract before are gone');
    $ws->disconnect;
}


sub without {
    my $ws = open_gateway();

    publish('message_create', { anything => 1 });
    publish('ready', { anything => 1 });
    my (undef, @came) = mark($ws);

    is(join(' ', map { $_->{t} } @came), 'message_create ready',
       'without a contract whatever is an event passes');
    is(emitted('message_create'), -1, 'and types are not counted');
    $ws->disconnect;
}


# The clocks of nginx go on by a minute, as if it had passed.

sub a_minute {
    SKIP: {
        skip 'the sanitizers are preloaded already', 2 if $Delta::ASAN;

        my $lib = $t->file('clock.so');
        my $clock = $t->file(clock => pack 'q', 0);

        is(system($ENV{CC} || 'cc', '-shared', '-fPIC', '-o', $lib,
                  "$Delta::TOP/t/lib/clock.c"), 0, 't/lib/clock.c builds');

        $t->allow(qr/delta: .*link to Redis .* is down/);
        $t->stop_nginx;

        {
            local @ENV{qw(LD_PRELOAD DELTA_CLOCK DELTA_CLOCK_ALL)}
                = ($lib, $clock, 1);
            $t->start_nginx(gateway('events.json'));
        }

        my @told;

        for my $ms (0, 1000, 61000) {
            open my $fh, '+<:raw', $clock or die "$clock: $!";
            syswrite $fh, pack 'q', $ms;
            close $fh;

            my $ws;
            wait_for(sub { $ws = $t->ws('/gateway');
                           $ws->status == 101 && $ws->read_json });
            my $before = () = $t->log =~ /dropped an event "friend_remove"/g;
            publish('friend_remove', { no => 1 }) for 1, 2;
            mark($ws);
            my $after = () = $t->log =~ /dropped an event "friend_remove"/g;
            push @told, $after - $before;
            $ws->disconnect;
        }

        is("@told", '1 0 1', 'row 3.6: told once, and again after a minute');
    }
}


# Contracts that nginx -t refuses: with the file, the place and the reason.

sub conf_test {
    my $d = '{"type":"object","properties":{"x":%s}}';
    my $event = sub { '{"version":1,"events":{"e":{"scope":["user"],"d":'
                      . sprintf($d, $_[0]) . '}}}' };

    for (
        [ 'empty', '', qr/line \d+: / ],
        [ 'no JSON', "{\n\"version\":1,\n}", qr/line 3: / ],
        [ 'no object', '[]', qr/a contract is an object/ ],
        [ 'a name twice', '{"version":1,"version":1}', qr/line 1: duplicate/ ],
        [ 'another version', '{"version":2,"events":{}}',
          qr{/version: the version is not 1} ],
        [ 'no events', '{"version":1}', qr{/events: .*1 to 1024 events} ],
        [ 'a word at the top', '{"version":1,"event":{}}',
          qr{/event: the keyword is not known} ],
        [ 'a word of an event', '{"version":1,"events":{"e":{"scop":1}}}',
          qr{/events/e/scop: the keyword is not known} ],
        [ 'a type', '{"version":1,"events":{"E e":{}}}',
          qr{/events/E e: a type is 1 to 64 of a-z} ],
        [ 'a scope', '{"version":1,"events":{"e":{"scope":["all"]}}}',
          qr{/events/e/scope: the word is not known} ],
        [ 'no scope', '{"version":1,"events":{"e":{"d":{}}}}',
          qr{/events/e/scope: this is not a list of scopes} ],
        map({ [ "channels: $_", '{"version":1,"events":{"e":{"scope":["user"],'
                . qq("channels":$_,"d":{"type":"object"}}}}),
                qr{/events/e/channels: this is no } ] }
            '[]', '"a"', '[1]', '["a b"]', '["a:{B}"]', '["a{b}"]', '["{b"]',
            '["' . 'x' x 257 . '"]'),
        [ 'a merge rule', '{"version":1,"events":{"e":{"scope":["user"],'
          . '"merge":"sum","d":{"type":"object"}}}}',
          qr{/events/e/merge: the word is not known} ],
        [ 'no schema', '{"version":1,"events":{"e":{"scope":["user"]}}}',
          qr{/events/e/d: } ],
        [ 'a keyword', $event->('{"type":"string","format":"date"}'),
          qr{/events/e/d/properties/x/format: .*not known} ],
        [ 'a pattern', $event->('{"type":"string","pattern":"^a+$"}'),
          qr{/events/e/d/properties/x/pattern: } ],
        [ 'a type of JSON', $event->('{"type":"text"}'),
          qr{/events/e/d/properties/x/type: } ],
        [ 'a reference', $event->('{"$ref":"#/$defs/no"}'),
          qr{/events/e/d/properties/x.*there is no such definition} ],
        [ 'a bound', $event->('{"type":"string","maxLength":-1}'),
          qr{/events/e/d/properties/x/maxLength: } ],
        [ 'a privileged property', '{"version":1,"privileged":["x"],"events":'
          . '{"e":{"scope":["user"],"d":' . sprintf($d, '{}') . '}}}',
          qr{/events/e/d/properties/x: .*privileged} ],
        [ 'an example', '{"version":1,"events":{"e":{"scope":["user"],"d":'
          . sprintf($d, '{"type":"null"}') . ',"example":{"x":1}}}}',
          qr{/events/e/example: /x has the wrong type} ],
    ) {
        my ($what, $text, $reason) = @$_;

        $t->file('broken.json', $text);

        my ($status, $output) = $t->nginx_t(gateway('broken.json'));

        my $place = qr{cannot use the contract "\S+/broken.json": };

        ok($status == 1
           && $output =~ m{\[emerg\] .*$place$reason.* in \S+test.conf:\d+},
           "refused: $what") or diag($output);
    }

    unlink $t->file('broken.json');
    mkdir $t->file('folder');

    for ([ 'broken.json', qr/broken.json" \(2: No such file/ ],
         [ 'folder', qr/folder", it is not a file of at most 4 MB/ ])
    {
        my ($status, $output) = $t->nginx_t(gateway($_->[0]));
        ok($status == 1 && $output =~ /cannot read the contract .*$_->[1]/,
           "refused: $_->[0]") or diag($output);
    }
}
