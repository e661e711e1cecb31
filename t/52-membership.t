#!/usr/bin/perl

# Copyright (C) Delta contributors

# Membership of live sessions: what a client may ask for, what the control
# channel of its user gives and takes, and what must not come in between.

use Delta;
use Delta::Process qw(free_port);
use IO::Select;

my $t = Delta->new;
my $redis = $t->start_redis;
my $n = 0;

$t->redis('SADD', 'user:ben:guilds', 'g1');
$t->redis('SADD', 'user:ben:channels', map { "c$_" } 1 .. 40);
$t->redis('SADD', 'user:ben:halls', 'h1');
$t->redis('SADD', 'user:ben:boxes', 'control', 'main');
$t->redis('SADD', 'user:ben:others', 'ada');

my $http = 'delta_redis redis://127.0.0.1:%%PORT_1%%;
            delta_jwt_key_file jwks.json; delta_limit rate=9000r/m;';

# a second nginx reaches Redis by way of a link that can be held
my $conf = $t->conf(http => $http, server => <<'END');
delta_jwt;
location = /gateway {
    delta_gateway;
    delta_subscribe user:$delta_user;
    delta_subscribe guild:* from=user:$delta_user:guilds;
    delta_subscribe channel:* from=user:$delta_user:channels on_request;
    delta_subscribe hall:h1 in=user:$delta_user:halls on_request;
    delta_subscribe hall:h2 in=user:$delta_user:halls on_request;
    delta_subscribe lobby on_request;
    delta_limit channels=12 rate=9000r/m;
}
location = /tricky {
    delta_gateway;
    delta_subscribe user:$delta_user:* from=user:$delta_user:boxes;
    delta_subscribe user:*:control from=user:$delta_user:others on_request;
}
location = /in {
    delta_gateway;
    delta_subscribe hall:$arg_id in=user:$delta_user:halls;
}
location = /metrics { delta_jwt off; delta_metrics; }
END

$t->{ports}[1] = $redis;
$t->start_nginx($conf, workers => 2);

my ($near, $far) = ($t->port, free_port());

$t->{ports} = [ $far, held_relay($redis) ];
$t->start_nginx($conf, name => 'nginx-far');
$t->{ports}[0] = $near;

commands();
named();
limits();
grants();
bursts();
changes();
disconnects();
controls();
pending();
loading();
handshakes();

done_testing;


sub session {
    my ($user, %opt) = @_;

    my $class = delete $opt{class} || 'ws';
    my $client = $t->$class(delete $opt{path} || '/gateway',
                            token => $t->token($user), %opt);

    $client->{channels} = $client->read_json->{d}{channels};

    return $client;
}


# A command's answer, which must carry its ref.

sub ask {
    my ($ws, $command, $channel) = @_;

    command($ws, $command, $channel);

    my $answer = $ws->read_until(sub { ($_[0]{d}{ref} // '') eq "r$n" });

    return $answer->{d}{code} || "$answer->{t} $answer->{d}{channel}";
}


sub command {
    my ($ws, $command, $channel) = @_;

    $ws->send_json({ t => $command, d => { channel => $channel },
                     ref => 'r' . ++$n });
}


sub control {
    my ($user, $type, $channel) = @_;

    $t->publish("user:$user:control",
                { t => $type, d => $channel ? { channel => $channel } : {} });
}


sub event {
    my ($channel, $value) = @_;

    $t->redis('PUBLISH', $channel, '{"t":"x","d":{"n":"' . $value . '"}}');
}


# All that comes up to a mark on the user's own channel, as text.

sub heard {
    my ($ws, $user) = @_;

    my $mark = 'mark' . ++$n;
    my @seen;

    event('user:' . ($user || 'ben'), $mark);
    $ws->read_until(sub {
        my $d = $_[0]{d};
        return 1 if ($d->{n} // '') eq $mark;
        return 0 if ($d->{n} // '') =~ /^mark/;
        push @seen, defined $d->{n} ? "$_[0]{c} $d->{n}"
            : join ' ', $_[0]{t}, grep { defined } @$d{qw(channel reason code)};
        return 0;
    });

    return join ', ', @seen;
}


sub commands {
    my $ws = session('ben');

    is_deeply([ sort @{ $ws->{channels} } ], [ 'guild:g1', 'user:ben' ],
              'what is on request is not there at first');

    for my $channel (qw(channel:c1 hall:h1 lobby)) {
        is(ask($ws, 'subscribe', $channel), "subscribed $channel",
           "$channel can be had, and the answer carries ref");
        event($channel, 1);
        is(heard($ws), "$channel 1", 'then its events come');
    }

    is(ask($ws, 'subscribe', 'lobby'), 'subscribed lobby',
       'asked for twice, answered twice');
    event('lobby', 2);
    is(heard($ws), 'lobby 2', 'but each event comes once');

    is(ask($ws, 'subscribe', 'guild:g1'), 'subscribed guild:g1',
       'what is there anyway may be asked for');

    for my $channel (qw(channel:c99 hall:h2 guild:g2 user:ada user:ben:inbox
                        user:ben:control user:ada:control channel:c1:x lobby:x
                        channel other:c1 delta:tick))
    {
        is(ask($ws, 'subscribe', $channel), 'forbidden', "$channel cannot");
    }

    is(ask($ws, 'subscribe', $_), 'bad_channel', 'no name: '
       . json_encode($_)) for '*', 'channel:*', '', 'a b', "x\n", 'x' x 129, 7;

    $t->redis('SET', 'user:ada:channels', 'no set');
    my $ada = session('ada');
    is(ask($ada, 'subscribe', 'channel:c1'), 'unavailable',
       'a set of the wrong type: the command fails');
    is(heard($ada, 'ada'), '', 'the session goes on');

    is(ask($ws, 'unsubscribe', 'lobby'), 'unsubscribed lobby', 'given back');
    event('lobby', 3);
    is(heard($ws), '', 'no event of it comes any more');
    is(ask($ws, 'unsubscribe', 'lobby'), 'not_subscribed', 'twice is an error');
    is(ask($ws, 'unsubscribe', 'channel:c2'), 'not_subscribed',
       'so is what was never asked for');
    is(ask($ws, 'subscribe', 'lobby'), 'subscribed lobby', 'and had again');

    $ws->send_json({ t => 'subscribe', d => { channel => 'lobby' } });
    is_deeply($ws->read_json, { v => 1, t => 'subscribed',
                                d => { channel => 'lobby' } },
              'without ref there is none in the answer');
}


# An event stream names what it would ask for, and is answered alike.

sub named {
    my $sse = $t->sse('/gateway?subscribe=channel:c1,lobby%2Cchannel:zz,a%2Fb,'
                      . 'hall%3Ah1', token => $t->token('ben'));

    is($sse->read_json->{t}, 'ready', 'an event stream that names channels');

    my %answer;

    for (1 .. 5) {
        my $message = $sse->read_json;
        $answer{ $message->{d}{ref} } = $message->{d}{channel}
            // $message->{d}{code};
    }

    is_deeply(\%answer, { 0 => 'channel:c1', 1 => 'lobby', 2 => 'forbidden',
                          3 => 'bad_channel', 4 => 'hall:h1' },
              'each is answered as the command would be');

    $t->publish('channel:c1', { t => 'x', d => {} });
    is($sse->read_until('x')->{c}, 'channel:c1', 'and gets its events');
    $sse->disconnect;
}


sub limits {
    my $ws = session('ben');

    command($ws, 'subscribe', "channel:c$_") for 1 .. 30;

    my %count;
    $count{ $_->{d}{code} || $_->{t} }++ for map { $ws->read_json } 1 .. 30;

    is_deeply(\%count, { subscribed => 10, too_many_channels => 20 },
              'delta_limit channels= holds for commands in one packet, too');
    is(ask($ws, 'subscribe', 'channel:c31'), 'too_many_channels',
       'and for the next one');
    is(ask($ws, 'unsubscribe', 'channel:c1'), 'unsubscribed channel:c1',
       'one is given back');
    is(ask($ws, 'subscribe', 'channel:c31'), 'subscribed channel:c31',
       'another can be had for it');
}


sub grants {
    my @all = (session('ben'), session('ben', class => 'sse'));
    my $ada = session('ada');

    event('guild:g5', 0);
    control('ben', grant => 'guild:g5');
    $_->read_until('subscribed') for @all;
    event('guild:g5', 1);
    is(heard($_), 'guild:g5 1', 'a grant opens a channel') for @all;

    control('ben', grant => $_) for qw(guild:g5 channel:c1 lobby other:1
        user:ada user:ben:control guild:* guild:a:b);
    event($_, 2) for qw(channel:c1 lobby other:1 user:ada guild:*);
    is(heard($_), '', 'but none that is open already, on request or of no rule')
        for @all;

    control('ben', revoke => $_) for qw(guild:g5 guild:g9 user:ben:control);
    is_deeply($_->read_until('unsubscribed'), {
                  v => 1, t => 'unsubscribed', d => {
                  channel => 'guild:g5', reason => 'revoked' } },
              'a revoke closes it') for @all;
    event('guild:g5', 3);
    is(heard($_), '', 'for good') for @all;

    ask($all[0], 'subscribe', 'channel:c1');
    control('ben', revoke => 'channel:c1');
    is($all[0]->read_until('unsubscribed')->{d}{reason}, 'revoked',
       'what was asked for is revoked, too');
    is(heard($ada, 'ada'), 'user:ada 2', 'others hear nothing of all that');
}


# In one turn of Redis: nothing is forwarded behind the revoke.

sub bursts {
    my $script = <<'END';
for i = 1, 40 do
    for n = 1, 20 do
        redis.call('PUBLISH', 'guild:g1', '{"t":"x","d":{"n":"before"}}')
    end
    redis.call('PUBLISH', 'user:ben:control',
        '{"t":"revoke","d":{"channel":"guild:g1"}}')
    for n = 1, 20 do
        redis.call('PUBLISH', 'guild:g1', '{"t":"x","d":{"n":"behind"}}')
    end
    redis.call('PUBLISH', 'user:ben:control',
        '{"t":"grant","d":{"channel":"guild:g1"}}')
end
END

    my @all = (session('ben'), session('ben', class => 'sse'));

    $t->redis('EVAL', $script =~ s/40/1/r, 0);
    is(heard($_) =~ s/guild:g1 before, //gr, 'unsubscribed guild:g1 revoked, '
       . 'subscribed guild:g1', 'no event is forwarded behind a revoke')
        for @all;

    $t->redis('EVAL', $script, 0);

    for my $client (@all) {
        my $text = heard($client);

        is(() = $text =~ /unsubscribed guild:g1 revoked/g, 40,
           'row 3.4: forty revokes between forty bursts');
        unlike($text, qr/behind/, 'let nothing through');
    }
}


sub changes {
    my @all = (session('ben'), session('ben', class => 'sse'));

    ask($all[0], 'subscribe', 'channel:c1');
    ask($all[0], 'subscribe', 'channel:c2');
    $t->redis('SREM', 'user:ben:guilds', 'g1');
    $t->redis('SREM', 'user:ben:channels', 'c1');
    $t->redis('SADD', 'user:ben:guilds', 'g2', 'g3');
    control('ben', 'membership_changed');

    for my $client (@all) {
        my @want = ('subscribed guild:g2', 'subscribed guild:g3',
                    'unsubscribed guild:g1 membership',
                    $client == $all[0]
                        ? 'unsubscribed channel:c1 membership' : ());
        my @seen;

        $client->read_until(sub {
            push @seen, join ' ', $_[0]{t},
                grep { defined } @{ $_[0]{d} }{qw(channel reason)};
            return @seen == @want;
        });

        is_deeply([ sort @seen ], [ sort @want ],
                  'membership_changed reads the sets again');
    }

    event($_, 1) for qw(guild:g1 guild:g2 channel:c1 channel:c2);
    is(heard($all[0]), 'guild:g2 1, channel:c2 1', 'and events follow them');
    is(heard($all[1]), 'guild:g2 1', 'on SSE, too');

    control('ben', 'membership_changed') for 1 .. 20;
    is(heard($all[0]), '', 'without a change nothing is said');

    $t->redis('SADD', 'user:ben:guilds', map { "m$_" } 1 .. 20);
    control('ben', 'membership_changed');
    is(($_->read_close)[0], 1011, 'over delta_limit: 1011') for $all[0];
    like($t->log, qr/user "ben" has more than 12 channels/, 'and a log line');
    $t->redis('DEL', 'user:ben:guilds');
    $t->redis('SADD', 'user:ben:guilds', 'g1');
    $t->redis('SADD', 'user:ben:channels', 'c1');
}


sub disconnects {
    my @ben = map { session('ben') } 1 .. 12;
    my $sse = session('ben', class => 'sse');
    my %other = map { $_ => session($_) } qw(ada benjamin be);

    control('ben', 'disconnect');

    is(scalar(grep { ($_->read_close)[0] == 4501 } @ben), 12,
       'disconnect closes all sessions of the user with 4501');
    is($ben[0]{close_reason}, 'The access was revoked.', 'and says why');
    is_deeply($sse->read_until(sub { $sse->{close} }), { code => 4501,
              reason => 'The access was revoked.' }, 'SSE by an event');
    is(heard($other{$_}, $_), '', "and none of $_") for sort keys %other;
}


# The control channel itself stays out of reach.

sub controls {
    my $ws = session('ben', path => '/tricky');

    is_deeply($ws->{channels}, [ 'user:ben:main' ],
              'a set cannot name the control channel');
    is(ask($ws, 'subscribe', $_), 'forbidden', "nor can a command: $_")
        for qw(user:ben:control user:ada:control);
    is(ask($ws, 'unsubscribe', 'user:ben:control'), 'not_subscribed',
       'and it cannot be given back');

    control('ada', 'disconnect');

    for my $d ('{}', '{"channel":7}', '{"channel":null}', '{"channel":""}',
               '{"channel":"*"}', '{"channel":"user:ben:control"}',
               '{"channel":"user:ada:control"}',
               '{"channel":"user:ben:m\u0061in"}', '{"channel":["x"]}')
    {
        $t->redis('PUBLISH', 'user:ben:control', qq({"t":"$_","d":$d}))
            for qw(grant revoke nonsense);
    }

    $t->redis('PUBLISH', 'user:ben:control', $_)
        for 'junk', '[]', '{"t":"disconnect"}', '1-1 0-0 x', '';
    $t->redis('PUBLISH', 'user:ben:main', '{"t":"x","d":{"n":"end"}}');
    is($ws->read_json->{d}{n}, 'end',
       'nothing of it is forwarded, and junk on it does nothing');

    control('ben', 'disconnect');
    is(($ws->read_close)[0], 4501, 'it still works');
}


# Redis has been asked and its answer is on the way when something changes.

sub pending {
    my $ws = session('ben', port => $far);

    hold();
    command($ws, 'subscribe', 'channel:c1');
    $t->redis('SREM', 'user:ben:channels', 'c1');
    control('ben', revoke => 'channel:c1');
    is(heard($ws), '', 'a revoke overtakes the answer to a subscribe');
    release();
    is($ws->read_json->{d}{code}, 'forbidden', 'the subscribe is refused');
    event('channel:c1', 'secret');
    is(heard($ws), '', 'nothing of the channel comes');
    $t->redis('SADD', 'user:ben:channels', 'c1');

    hold();
    command($ws, 'subscribe', 'channel:c1') for 1 .. 3;
    control('ben', 'grant', 'guild:g7');
    $ws->read_until('subscribed');
    release();
    is($ws->read_json->{d}{channel}, 'channel:c1',
       'a subscribe is answered even if the membership changed') for 1 .. 3;

    hold();
    control('ben', 'membership_changed');
    $t->redis('SADD', 'user:ben:guilds', 'g8');
    control('ben', 'membership_changed');
    $t->redis('SREM', 'user:ben:guilds', 'g8', 'g1');
    control('ben', 'membership_changed');
    is(heard($ws), '', 'three changes while Redis is slow');
    release();
    $ws->read_until(sub { $_[0]{t} eq 'unsubscribed'
                          && $_[0]{d}{channel} eq 'guild:g1' });
    event($_, 'x') for qw(guild:g1 guild:g7 guild:g8);
    is(heard($ws), '', 'the last one counts');
    $t->redis('SADD', 'user:ben:guilds', 'g1');

    hold();
    command($ws, 'subscribe', 'channel:c3');
    control('ben', 'disconnect');
    is(($ws->read_close)[0], 4501, 'disconnect does not wait for Redis');
    $ws->disconnect;

    $ws = session('ada');
    is(heard($ws, 'ada'), '', 'others are well');
    release();
}


# The same while a session is being attached.

sub loading {
    my $token = $t->token('ben');

    hold();

    my $ws = $t->ws('/gateway', token => $token, port => $far);
    my $gone = $t->ws('/gateway', token => $token, port => $far);
    my $closed = $t->ws('/gateway', token => $t->token('cleo'), port => $far);

    # the question is asked once the control channel is acknowledged
    ok(wait_for(sub { numsub('user:ben:control') && numsub('user:cleo:control')
       }), 'sessions wait for their membership');
    $gone->disconnect;
    command($ws, 'subscribe', 'channel:c4');
    $t->redis('SREM', 'user:ben:guilds', 'g1');
    control('ben', revoke => 'guild:g1');
    event('guild:g1', 'secret');

    # what was said before it has been heard, too, by then
    control('cleo', 'disconnect');
    is(($closed->read_close)[0], 4501, 'disconnect ends even such a session');
    release();

    my $ready = $ws->read_json;

    is($ready->{t}, 'ready', 'it is opened when Redis answers');
    is_deeply($ready->{d}{channels}, [ 'user:ben' ],
              'with the membership as it is now');
    is($ws->read_json->{d}{code}, 'unavailable',
       'a command that came too early is answered');
    event('guild:g1', 'secret');
    is(heard($ws), '', 'nothing of the revoked channel comes');
}


sub handshakes {
    hold();

    my $waiting = Delta::Client::open_socket($far);
    my $token = $t->token('ben');

    syswrite $waiting, "HEAD /in?id=h1 HTTP/1.1\r\nHost: x\r\n"
        . "Authorization: Bearer $token\r\n\r\n";
    close $waiting;

    my $live = Delta::Client::open_socket($far);
    syswrite $live, "HEAD /in?id=h1 HTTP/1.1\r\nHost: x\r\n"
        . "Authorization: Bearer $token\r\n\r\n";

    is($t->http(GET => '/metrics', port => $far)->status, 200,
       'requests that wait for Redis block nobody');
    ok(!IO::Select->new($live)->can_read(0), 'they wait');
    release();
    ok(IO::Select->new($live)->can_read(10), 'and are answered');
    sysread $live, my $answer, 4096;
    like($answer, qr/^HTTP\/1.1 200/, 'as the set says');
}


sub numsub {
    return $t->redis('PUBSUB', 'NUMSUB', $_[0])->[1];
}


# A relay that can hold back what Redis answers to commands, not what it
# publishes.  It tells by a byte on a pipe that it does.

my ($relay, $told);

sub held_relay {
    my ($target) = @_;

    my $port = free_port();
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 9,
        LocalPort => $port, ReuseAddr => 1) or die $!;

    pipe $told, my $tell or die $!;
    $relay = fork // die $!;

    if ($relay) {
        $t->{procs}{relay} = $relay;
        return $port;
    }

    my ($held, $change) = (0, 0);
    my $select = IO::Select->new($listen);
    my (%peer, %kind);

    $SIG{ALRM} = 'DEFAULT';
    $SIG{TERM} = sub { POSIX::_exit(0) };
    $SIG{USR1} = sub { ($held, $change) = (1, 1) };
    $SIG{USR2} = sub { ($held, $change) = (0, 1) };

    while (1) {
        my @ready = $select->can_read(0.05);

        if ($change) {
            $change = 0;

            for my $fh (grep { ($kind{$_} // '') eq 'answers' } keys %peer) {
                $held ? $select->remove($peer{ $peer{$fh} })
                      : $select->add($peer{ $peer{$fh} });
            }

            syswrite $tell, '.';
            next;
        }

        for my $fh (@ready) {
            if ($fh == $listen) {
                my $in = $listen->accept or next;
                my $out = IO::Socket::INET->new("127.0.0.1:$target");
                @peer{ $in, $out } = ($out, $in);
                $kind{$out} = 'answers';
                $select->add($in, $out);
                next;
            }

            my $peer = $peer{$fh} or next;

            if (sysread $fh, my $bytes, 65536) {
                delete $kind{$peer} if $bytes =~ /SUBSCRIBE/;
                syswrite $peer, $bytes;
                next;
            }

            $select->remove($fh, $peer);
            delete @peer{ $fh, $peer };
            close $_ for $fh, $peer;
        }
    }
}


sub hold {
    kill 'USR1', $relay;
    sysread $told, my $byte, 1;
}


sub release {
    kill 'USR2', $relay;
    sysread $told, my $byte, 1;
}
