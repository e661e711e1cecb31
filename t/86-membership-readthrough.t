#!/usr/bin/perl

# Copyright (C) Delta contributors

# Follows, guilds, spaces and channels are asked of the application when
# Redis does not have them, once, before the session opens; an answer that has
# been overtaken by a change is not written; sets of live users stay.

use Delta;
use Delta::Process qw(free_port);
use Fcntl qw(:flock);
use IO::Select;
use Time::HiRes qw(time);

my $t = Delta->new;
my $redis = $t->start_redis;
my $port = free_port();
$t->{procs}{application} = application($port);
my @sets = qw(follows guilds spaces channels);
my $conf = $t->conf(http => <<"END", server => <<'END');
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
upstream app { server 127.0.0.1:$port; }
END
listen 127.0.0.1:%%PORT_2%% http2;
delta_jwt;
delta_subscribe user:$delta_user;
delta_subscribe user:* from=user:$delta_user:follows;
delta_subscribe guild:* from=user:$delta_user:guilds;
delta_subscribe space:* from=user:$delta_user:spaces;
delta_subscribe channel:* from=user:$delta_user:channels on_request;
delta_membership /internal/membership max=2 ttl=3s;

location = /gateway { delta_gateway; }
location = /in {
    delta_gateway;
    delta_membership /internal/membership ttl=100s;
    delta_subscribe hall:$arg_id in=user:$delta_user:spaces;
    delta_subscribe board:all in=public:boards on_request;
}
location = /file {
    delta_gateway;
    delta_membership /internal/file;
}
location = /slow {
    delta_gateway;
    delta_membership /internal/slow;
}
location = /nowhere {
    delta_gateway;
    delta_membership /internal/nowhere;
}
location = /without { delta_gateway; delta_membership off; }

location /internal/ {
    internal;
    proxy_pass http://app;
    proxy_pass_request_headers off;
    proxy_set_header X-User $delta_user;
    proxy_read_timeout 30s;
}
location = /internal/file {
    internal;
    alias %%DIR%%/file.json;
}
location = /internal/slow {
    internal;
    proxy_pass http://app;
    proxy_set_header X-User $delta_user;
    proxy_read_timeout 200ms;
}
location = /internal/nowhere {
    internal;
    proxy_pass http://127.0.0.1:1;
    proxy_set_header X-User $delta_user;
}
location = /asked {
    delta_jwt off;
    auth_request /check;
    auth_request_set $who $upstream_http_x_who;
    delta_user $who;
    delta_gateway;
}
location = /check {
    internal;
    delta_jwt off;
    proxy_pass http://app;
    proxy_set_header X-User $http_x_name;
}
location = /metrics { delta_jwt off; delta_metrics; }
END

$t->start_nginx($conf, workers => 1);

reads();
nobody();
others();
checks();
partial();
numbers();
large();
hostile();
down();
bound();
generation();
faster();
gone();
kept();
lost();
events_in_flight();

done_testing;


# What the application answers for a user, and how often it was asked.

sub answer {
    my ($user, $answer, $status) = @_;

    $answer = json_encode($answer) if ref $answer;
    $t->file("answer-$user", ($status || 200) . "\n$answer");
}


sub everything {
    my (%sets) = @_;

    return { (map { $_ => [] } @sets), %sets };
}


sub asked {
    my ($user) = @_;

    return scalar grep { $_ eq $user } split /\n/,
        $t->read_file('asked') // '';
}


sub forget {
    my ($user) = @_;

    $t->redis('DEL', "delta:gen:$user", map { "user:$user:$_" } @sets);
}


sub set {
    my ($user, $set) = @_;

    return join ' ', sort @{ $t->redis('SMEMBERS', "user:$user:$set") };
}


sub session {
    my ($user, %opt) = @_;

    my $path = delete $opt{path} || '/gateway';
    my $client = $t->ws($path, token => $t->token($user), retry => 0, %opt);

    return $client if $client->status ne 101;

    my $ready = $client->read_json;
    $client->{channels} = $ready ? join ' ', sort @{ $ready->{d}{channels} }
                                 : '';

    return $client;
}


sub metric {
    my ($name) = @_;

    my ($n) = $t->http(GET => '/metrics')->body
        =~ /^\Qdelta_$name\E (\d+)/m;

    return $n;
}


sub reads {
    answer(ben => everything(follows => [ 'ada', 'cleo' ], guilds => [ 'g1' ],
                             spaces => [ 's1' ], channels => [ 'c1' ]));

    $t->ws("/without", token => $t->token("ben"))->disconnect;

    my $ws = session("ben");

    is($ws->{channels}, 'guild:g1 space:s1 user:ada user:ben user:cleo',
       'row 4.5: a miss is asked of the application before that');
    is(asked('ben'), 1, 'once');
    is(set('ben', 'follows'), '(whole) ada cleo', 'the sets are in Redis');
    is(set('ben', 'guilds'), '(whole) g1', 'with a mark');

    $ws->send_json({ t => 'subscribe', d => { channel => 'channel:c1' } });
    is($ws->read_until('subscribed')->{d}{channel}, 'channel:c1',
       'what is on request is read, too');
    $ws->send_json({ t => 'subscribe', d => { channel => 'channel:(whole)' } });
    is($ws->read_until('error')->{d}{code}, 'bad_channel',
       'the mark is no channel');

    is(session('ben')->{channels}, $ws->{channels}, 'the second time');
    is($t->sse('/gateway', token => $t->token('ben'))->read_json->{t}, 'ready',
       'and as an event stream');
    is(asked('ben'), 1, 'Redis has them');
    is(metric('membership_reads_total{result="filled"}'), 1, 'counted: filled');
    is(metric('membership_reads_total{result="hit"}'), 2, 'and found');

    my $head = (grep { /^asked ben / } split /\n/, $t->read_file('heads'))[0];
    unlike($head, qr/sec-websocket|upgrade: *websocket|authorization/i,
           'the application does not get the headers of the handshake');
    is(metric('membership_bad_ids_total'), 0, 'the mark is no bad id');

    forget('ben');
    is(session('ben', path => '/without')->{channels}, 'user:ben',
       'without the directive what Redis has is all there is');
    is(asked('ben'), 1, 'and nobody is asked');
    is(set('ben', 'guilds'), '', 'nothing is written');
}


sub nobody {
    answer(dan => everything());
    session('dan')->disconnect;
    is(session('dan')->{channels}, 'user:dan', 'nobody is followed');
    is(asked('dan'), 1, 'which is asked once, too');
    is(set('dan', 'follows'), '(whole)', 'the mark alone is none');
}


# With another subrequest before it, and a body that nobody wants.

sub others {
    answer(ann => everything(guilds => [ 'g1' ]));

    my @name = (headers => [ 'X-Name' => 'ann' ]);

    is(session('nobody', path => '/asked', @name)->{channels},
       'guild:g1 user:ann', 'the user may be the word of auth_request');
    is(asked('ann'), 2, 'both were asked');
    is(session('nobody', path => '/asked', omit => [ 'Authorization' ])
       ->status, 401, 'who is refused there');
    is(asked('nobody'), 0, 'is not asked for');

    forget('ann');
    is($t->sse('/gateway', token => $t->token('ann'), body => 'x' x 9e4,
               retry => 0)->status, 200, 'a body does not matter');

    for my $held (0, 1) {
        forget('ann');
        my $before = asked('ann');
        $t->file('hold', '') if $held;

        open my $out, '-|', 'curl', '-sNi', '--http2-prior-knowledge',
            '--max-time', 4, '-H', 'Accept: text/event-stream', '-H',
            'Authorization: Bearer ' . $t->token('ann'),
            'http://127.0.0.1:' . $t->port(2) . '/gateway' or die $!;

        wait_for(sub { asked('ann') > $before });

        if ($held) {
            $t->http(HEAD => '/gateway', token => $t->token('dan'));
            is(() = <$out>, 0, 'HTTP/2: it goes away while it waits');
            release();

        } else {
            like(join('', <$out>), qr/HTTP\/2 200.*event: ready.*guild:g1/s,
                 'HTTP/2: as in HTTP/1.1');
        }

        close $out;
    }
}


sub checks {
    answer(eve => everything(spaces => [ 's1' ]));

    my %opt = (token => $t->token('eve'), retry => 0);

    is($t->http(HEAD => '/in?id=s1', %opt)->status, 200,
       'in= is checked against what was read through');
    is($t->http(HEAD => '/in?id=s2', %opt)->status, 403, 'in it or not');
    is(session('eve', path => '/in?id=s1')->{channels}, 'hall:s1',
       'and a session opens');
    is(asked('eve'), 1, 'asked once');
    is($t->redis('EXISTS', 'user:eve:guilds', 'public:boards'), 0,
       'of the sets of its own rules that are its own');
    my $ttl = $t->redis('TTL', 'user:eve:spaces');
    ok($ttl > 90 && $ttl <= 100, 'for ttl= seconds');

    forget('eve');
    answer(eve => { ttl => 250, spaces => [ 's1' ] });
    is($t->http(HEAD => '/in?id=s1', %opt)->status, 200, 'an answer with ttl');
    $ttl = $t->redis('TTL', 'user:eve:spaces');
    ok($ttl > 240 && $ttl <= 250, 'may make it longer');
    forget('eve');
}


# A backend that adds to a set which is not there makes no whole one.

sub partial {
    answer(fay => everything(guilds => [ 'g1', 'g2' ]));
    $t->redis('INCR', 'delta:gen:fay');
    $t->redis('SADD', 'user:fay:guilds', 'g2');
    is(session('fay')->{channels}, 'guild:g1 guild:g2 user:fay',
       'a set without the mark is asked for');
    is(set('fay', 'guilds'), '(whole) g1 g2', 'and replaced');
}


sub numbers {
    my $bad = metric('membership_bad_ids_total');

    answer(gus => '{"follows":[7,9007199254740993,"x y","","a:b",null,[],'
                  . '-1,1.5,true,"*","(whole)"],"guilds":["7"],"spaces":[],'
                  . '"channels":[]}');
    is(session('gus')->{channels},
       'guild:7 user:7 user:9007199254740993 user:gus',
       'ids may be numbers; what cannot be one is left out');
    is(metric('membership_bad_ids_total') - $bad, 10, 'and counted');
}


sub large {
    my @ids = map { sprintf 'c%030d', $_ } 1 .. 4000;

    answer(hal => everything(channels => \@ids));

    my $ws = session('hal');

    is($ws->{channels}, 'user:hal', 'an answer of 130 kB');
    is($t->redis('SCARD', 'user:hal:channels'), 4001, 'is in Redis');
    $ws->send_json({ t => 'subscribe', d => { channel => "channel:$ids[-1]" }
                   });
    ok($ws->read_until('subscribed'), 'and holds');

    forget('hal');
    answer(hal => everything(follows => [ map { "u$_" } 1 .. 600 ]));
    $ws = session('hal');
    is(($ws->read_close)[0], 1011, 'more channels than delta_limit: 1011');
}


sub refused {
    my ($r, $name) = @_;

    is($r->status, 503, "$name: 503");
    ok(($r->header('Retry-After') // 0) > 0, "$name: with Retry-After");
}


# Whatever comes, the client gets an answer, and nothing is written.

sub hostile {
    my @long = ('x') x 70_000;
    my %bad = (
        'no JSON' => [ 'junk' ], 'nothing' => [ '' ],
        'cut' => [ '{"follows":["ada"],"guilds":["g1"' ],
        'an array' => [ '[]' ], 'text' => [ '"x"' ], 'a null' => [ 'null' ],
        'zeroes' => [ "\0" x 100 ],
        'a set is missing' => [ '{"follows":[],"guilds":[],"spaces":[]}' ],
        'a set is text' => [ everything(guilds => 'g1') ],
        'a set is an object' => [ everything(guilds => { g1 => 1 }) ],
        'a set twice' => [ '{"guilds":[],"guilds":["g1"],"follows":[],'
                           . '"spaces":[],"channels":[]}' ],
        'ttl is text' => [ { %{ everything() }, ttl => 'x' } ],
        'ttl is below 1' => [ { %{ everything() }, ttl => -1 } ],
        'deep' => [ '{"follows":' . '[' x 100_000 ],
        'too many ids' => [ everything(guilds => \@long) ],
        'too large' => [ ' ' x 1_100_000 . json_encode(everything()) ],
        'still larger' => [ 'x' x 5_000_000 ],
        'status 404' => [ everything(), 404 ],
        'status 500' => [ everything(), 500 ],
        'status 204' => [ '', 204 ], 'status 302' => [ everything(), 302 ],
        'status 201' => [ everything(), 201 ],
        'status 206' => [ everything(), 206 ],
        'junk instead of HTTP' => [ '', 'raw' ],
        'a connection that ends' => [ '', 'close' ],
    );

    my $failed = metric('membership_reads_total{result="failed"}');
    my $refused = metric('refused_total{reason="upstream"}');

    for my $name (sort keys %bad) {
        answer(ivy => @{ $bad{$name} });
        refused(session('ivy'), $name);
    }

    is($t->redis('EXISTS', map { "user:ivy:$_" } @sets), 0,
       'nothing of it is written');
    is(metric('membership_reads_total{result="failed"}') - $failed,
       scalar keys %bad, 'all are counted');
    is(metric('refused_total{reason="upstream"}') - $refused,
       scalar keys %bad, 'as refused, too');

    answer(ivy => everything(guilds => [ 'g1' ]));
    is(session('ivy')->{channels}, 'guild:g1 user:ivy',
       'and the next one is well');
    forget('ivy');

    is($t->http(HEAD => '/nowhere', token => $t->token('ivy'))->status, 503,
       'HEAD, too');

    $t->file('file.json', json_encode(everything(guilds => [ 'g2' ])));
    is(session('ivy', path => '/file')->{channels}, 'guild:g2 user:ivy',
       'what answers may be any location');
    forget('ivy');
}


sub down {
    answer(jon => everything());
    $t->file('hold', '');
    refused(session('jon', path => '/slow'), 'an application that hangs');
    unlink $t->file('hold');
    refused(session('jon', path => '/nowhere'), 'one that is not there');
    is(session('jon')->{channels}, 'user:jon', 'when it is back');
    is(session('jon', path => '/nowhere')->{channels}, 'user:jon',
       'it need not be there for what Redis has');
}


# Requests that wait while the application is held.

sub waiting {
    my ($user, $path) = @_;

    my $socket = Delta::Client::open_socket($t->port);

    syswrite $socket, 'HEAD ' . ($path || '/gateway') . " HTTP/1.1\r\n"
        . "Host: x\r\nAuthorization: Bearer " . $t->token($user) . "\r\n\r\n";

    return $socket;
}


sub status {
    my ($socket) = @_;

    IO::Select->new($socket)->can_read(30 * $Delta::SLOW) or return 'nothing';
    sysread $socket, my $head, 4096 or return 'closed';

    return $head =~ /^HTTP\/1.1 (\d+)/ ? $1 : $head;
}


sub hold {
    my ($user, @path) = @_;
    my $before = asked($user);

    $t->file('hold', '');
    my $socket = waiting($user, @path);
    wait_for(sub { asked($user) > $before }) or die 'it is not asked';

    return $socket;
}


sub release {
    unlink $t->file('hold');
}


# Above max= no more are asked, and none waits for ever.

sub bound {
    answer($_ => everything()) for qw(k1 k2 k3 k4);

    my @held = map { hold($_) } qw(k1 k2);

    is(status(waiting('k3')), 503, 'the third one at once is refused');
    refused(session('k3'), 'above max=');
    is(metric('refused_total{reason="busy"}'), 2, 'counted as busy');
    is(status(waiting('ben', '/without')), 200, 'others are served meanwhile');
    is(session('jon')->{channels}, 'user:jon', 'and those whom Redis knows');

    close $held[1];
    wait_for(sub { metric('membership_reads_total{result="failed"}') })
        or die;

    my $held = wait_for(sub {
        my $socket = waiting('k4');
        wait_for(sub { asked('k4') || IO::Select->new($socket)->can_read(0) });
        return asked('k4') ? $socket : undef;
    });

    ok($held, 'who goes away makes room');
    release();
    is(status($held[0]), 200, 'those that waited are answered');
    is(session('k3')->{channels}, 'user:k3', 'then there is room');
    is(asked('k3'), 1, 'who was refused had not been asked for');
}


# An unfollow between the application's answer and its writing.

sub generation {
    answer(lea => everything(follows => [ 'ada', 'eve' ]));

    my $held = hold('lea');

    # as the relay does it: the answer that is on its way is from before
    answer(lea => everything(follows => [ 'ada' ]));
    $t->redis('INCR', 'delta:gen:lea');
    $t->redis('SREM', 'user:lea:follows', 'eve');
    $t->publish('user:lea:control',
                { t => 'revoke', d => { channel => 'user:eve' } });
    release();

    is(status($held), 200, 'the request is answered');
    is(set('lea', 'follows'), '(whole) ada',
       'the revoke wins: what was known before it is not written');
    is(asked('lea'), 2, 'the application is asked again');
    is(session('lea')->{channels}, 'user:ada user:lea', 'the new one holds');
    is(metric('membership_reads_total{result="raced"}'), 1, 'counted as raced');
}


sub faster {
    answer(max => everything(), 'change');
    refused(session('max'), 'changed each time while it is asked');
    is(asked('max'), 3, 'it is asked three times');
    is($t->redis('EXISTS', 'user:max:follows'), 0, 'and nothing is written');
}


# Clients that go away, Redis that does.

sub gone {
    answer(ned => everything());
    close hold('ned') for 1 .. 3;
    release();
    ok(wait_for(sub { session('ned')->status eq 101 }),
       'those who went away while it was asked hold nothing');

    forget('ned');
    my $held = hold('ned');
    $t->stop_redis('KILL');
    release();
    is(status($held), 503, 'Redis went away while it was asked');
    $t->start_redis;
    ok(wait_for(sub { session('ned')->status eq 101 }), 'it is back');
    is(set('ned', 'guilds'), '(whole)', 'and filled');
}


# Sets live 3 seconds here, and longer while a session does.

sub kept {
    answer($_ => everything(guilds => [ 'g1' ])) for qw(oda pia);
    session('pia')->disconnect;

    my $ws = session('oda');
    my @keys = map { "user:oda:$_" } @sets;

    $t->redis('SET', 'mark', 'x', 'PX', 4500);
    $t->redis('PERSIST', 'user:oda:spaces');

    ok(wait_for(sub { !$t->redis('EXISTS', 'mark') }), 'after 4.5 seconds');
    is($t->redis('EXISTS', @keys), 4, 'the sets of a live user are there');
    is($t->redis('TTL', 'user:oda:spaces'), -1, 'what has no end gets none');
    is($t->redis('EXISTS', 'user:pia:guilds'), 0, 'those of others are not');
    is(asked('oda'), 1, 'the application was asked but once');
    $ws->disconnect;
    $t->redis('PEXPIRE', 'user:oda:spaces', 1);
    ok(wait_for(sub { !$t->redis('EXISTS', @keys) }),
       'without a session they end');
}


# Redis loses the sets of a live user: nothing is concluded from that.

sub lost {
    answer(quin => everything(guilds => [ 'g1' ], channels => [ 'c1' ]));

    my @all = (session('quin'), session('quin'));
    my $sse = $t->sse('/gateway', token => $t->token('quin'));

    $sse->read_json;
    forget('quin');
    $t->redis('SADD', 'user:quin:guilds', 'g2');
    $t->publish('user:quin:control', { t => 'membership_changed', d => {} });

    $all[0]->send_json({ t => 'subscribe',
                         d => { channel => 'channel:c1' } });
    is($all[0]->read_until('error')->{d}{code}, 'unavailable',
       'a subscribe cannot be decided');
    $t->publish('guild:g1', { t => 'x', d => { n => 1 } });
    is($_->read_until(sub { $_[0]{t} eq 'x' })->{d}{n}, 1, 'what it has it '
       . 'keeps') for @all;
    is(scalar(grep { $_->{t} eq 'unsubscribed' }
              map { @{ $_->{skipped} || [] } } @all), 0, 'nothing is taken');

    is(($_->read_close)[0], 4001, 'it is to come back soon') for @all;
    is($sse->read_until(sub { $sse->{close} })->{code}, 4001,
       'so is an event stream');
    is(session('quin')->{channels}, 'guild:g1 user:quin', 'which cures it');

    my $ws = session('quin');
    $t->redis('DEL', 'user:quin:guilds', 'user:quin:channels');
    $ws->send_json({ t => 'subscribe', d => { channel => 'channel:c1' } });
    is($ws->read_until('error')->{d}{code}, 'unavailable', 'lost once more');
    $t->redis('SADD', 'user:quin:guilds', 'g2', '(whole)');
    $t->redis('SADD', 'user:quin:channels', '(whole)');
    $t->publish('user:quin:control', { t => 'membership_changed', d => {} });
    is(join(' ', sort map { my $e = $ws->read_json;
                            "$e->{t} $e->{d}{channel}" } 1, 2),
       'subscribed guild:g2 unsubscribed guild:g1',
       'sets that somebody writes again hold at once');
    ok(!defined(($ws->read_close(11.5))[0]), 'and it may stay');
}


# A publisher at full speed while rights are taken and given.

sub events_in_flight {
    answer(rob => everything(guilds => [ 'g1' ], follows => [ 'ada' ]));

    my @all = (session('rob'), session('rob'));
    my $sse = $t->sse('/gateway', token => $t->token('rob'));
    $sse->read_json;
    push @all, $sse;

    my $publisher = fork // die;

    if ($publisher == 0) {
        my $own = Delta::Redis->new($redis);
        my $n = 0;

        $SIG{TERM} = sub { POSIX::_exit(0) };

        while (1) {
            for my $channel ('guild:g1', 'user:ada') {
                $own->send('FCALL', 'delta_publish', 1, $channel,
                           '{"t":"x","d":{"n":' . ++$n . '}}');
            }

            $own->read for 1, 2;
            select undef, undef, undef, 0.001;
        }
    }

    # until events have come behind what was said
    my $more = sub {
        my ($channel) = @_;
        my $newest = sub {
            $t->redis('XREVRANGE', "delta:{$channel}", '+', '-', 'COUNT', 1)
                ->[0][1][3] =~ /"n":(\d+)/ ? $1 : 0;
        };
        my $n = $newest->() + 10;
        wait_for(sub { $newest->() > $n }) or die 'the publisher is gone';
    };

    for my $round (1 .. 20) {
        for my $what ([ guilds => 'g1', 'guild:g1' ],
                      [ follows => 'ada', 'user:ada' ])
        {
            my ($set, $member, $channel) = @$what;

            $t->redis('INCR', 'delta:gen:rob');
            $t->redis('SREM', "user:rob:$set", $member);
            $t->publish('user:rob:control',
                        { t => 'revoke', d => { channel => $channel } });
            $more->($channel);
            $t->redis('INCR', 'delta:gen:rob');
            $t->redis('SADD', "user:rob:$set", $member);
            $t->publish('user:rob:control',
                        { t => 'grant', d => { channel => $channel } });
            $more->($channel);
        }
    }

    $t->redis('SREM', 'user:rob:guilds', 'g1');
    $t->publish('user:rob:control',
                { t => 'revoke', d => { channel => 'guild:g1' } });
    $more->('guild:g1');
    $t->publish('user:rob', { t => 'end', d => {} });
    my ($ended, %seen);

    for my $client (@all) {
        my (%open, $bad, $events, $changes);

        $open{$_} = 1 for 'guild:g1', 'user:ada', 'user:rob';

        $client->read_until(sub {
            my ($e) = @_;

            if ($e->{t} eq 'x') {
                $bad++ unless $open{ $e->{c} };
                $events++;

            } elsif ($e->{t} =~ /^(un)?subscribed$/) {
                $open{ $e->{d}{channel} } = !$1;
                $changes++;
            }

            return $e->{t} eq 'end';
        });

        ok($events > 100, "many events ($events)");
        is($changes, 81, 'all changes are told');
        is($bad // 0, 0, 'nothing of a channel comes behind "unsubscribed"');
        is($open{'guild:g1'}, '', 'which is the last word');
    }

    kill 'TERM', $publisher;
    waitpid $publisher, 0;
}


# The application: answers with what the file says when the question comes,
# and, as long as there is a file "hold", not before it is gone.

sub application {
    my ($port) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 99,
        LocalPort => $port, ReuseAddr => 1) or die $!;
    my $child = fork // die $!;

    return $child if $child;

    $SIG{ALRM} = "DEFAULT";
    $SIG{TERM} = sub { POSIX::_exit(0) };
    alarm 300;

    my $own;
    my @held;
    my $select = IO::Select->new($listen);

    while (1) {
        for my $fh ($select->can_read(@held ? 0.02 : undef)) {
            if ($fh == $listen) {
                $select->add($fh->accept);
                next;
            }

            my $n = sysread $fh, my $head, 65536;
            my ($user) = ($head // '') =~ /^X-User: (\w+)/mi;

            $select->remove($fh);

            if (($head // '') =~ m{^GET /check} && !$user) {
                syswrite $fh, "HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n";
                next;
            }

            next unless $n && $user;

            my ($status, $body) = split /\n/,
                $t->read_file("answer-$user") // "404\n", 2;

            if ($status eq 'change') {
                $own ||= Delta::Redis->new($redis);
                $own->command('INCR', "delta:gen:$user");
                $status = 200;
            }

            push @held, [ $fh, $status, $body, $user ];

            for my $file ([ asked => "$user\n" ],
                          [ heads => "asked $user " . $head =~ s/\s+/ /gr
                                     . "\n" ])
            {
                open my $log, '>>', $t->file($file->[0]) or die $!;
                syswrite $log, $file->[1];
            }
        }

        next if -e $t->file('hold');

        for (splice @held) {
            my ($fh, $status, $body, $user) = @$_;

            next if $status eq 'close';

            my $bytes = $status eq 'raw' ? "junk\r\n\r\n"
                : "HTTP/1.1 $status X\r\nContent-Type: application/json\r\n"
                  . 'Content-Length: ' . length($body) . "\r\n"
                  . "X-Who: $user\r\nConnection: close\r\n\r\n$body";

            while (length $bytes) {
                my $sent = syswrite $fh, $bytes or last;
                substr $bytes, 0, $sent, '';
            }
        }
    }
}
