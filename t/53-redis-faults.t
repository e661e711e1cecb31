#!/usr/bin/perl

# Copyright (C) Delta contributors

# Redis is away, slow, full of errors or no Redis at all: nginx runs on,
# sessions stay, and what was taken away meanwhile is gone when it is back.

use Delta;
use Delta::Process qw(free_port);
use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(time);

my $t = Delta->new;
my @fakes = fakes();
my $relay = free_port();

$t->{redis_port} = free_port();
$t->{ports}[1] = $relay;

my $fake_pid = start_fake();
my $began = time;

# each has a Redis of its own: one gateway for each kind of nonsense
my $nonsense = join "\n", map { <<"END" } 0 .. $#fakes;
server {
    listen 127.0.0.1:%%PORT_9%%;
    server_name fake$_;
    delta_redis unix:%%DIR%%/fake$_.sock read_timeout=500ms;
    @{[ { @{ $fakes[$_] }[ 1 .. $#{ $fakes[$_] } ] }->{conf} // '' ]}
    location = /gateway {
        delta_gateway;
        delta_subscribe user:* from=user:\$delta_user:follows;
        delta_subscribe guild:* from=user:\$delta_user:guilds on_request;
        delta_subscribe space:s1 in=user:\$delta_user:spaces on_request;
    }
    location = /in {
        delta_gateway;
        delta_subscribe space:s1 in=user:\$delta_user:spaces;
    }
    location = /stream {
        delta_gateway sse;
        delta_envelope space;
        delta_subscribe space:s1;
    }
}
END

my $http = <<"END";
server_names_hash_bucket_size 128;
delta_jwt_key_file jwks.json;
delta_jwt;
delta_drain 2s;
$nonsense
END

$t->start_nginx($t->conf(http => $http, server => <<'END'));
delta_redis redis://127.0.0.1:%%PORT_1%% read_timeout=500ms;
location = /gateway {
    delta_gateway;
    delta_subscribe user:$delta_user;
    delta_subscribe guild:* from=user:$delta_user:guilds;
}
location = /metrics { delta_jwt off; delta_metrics; }
END

my $worker = wait_for(sub { ($t->workers)[0] });
my %ben = (token => $t->token('ben'));

down_at_start();

my $ws = $t->ws('/gateway', %ben);
is($ws->read_json->{t}, 'ready', 'then it is there and sessions open');

killed();
kicked();
cut();
stalled();
paused();
refused();
library();
hostile();

is_deeply([ $t->workers ], [ $worker ], 'it is the same worker all the time');
kill 'TERM', $fake_pid;
waitpid $fake_pid, 0;

done_testing;


sub status {
    my ($path) = @_;

    return $t->http(HEAD => $path || '/gateway', %ben)->status;
}


# Whether a heartbeat is answered: the session lives.

sub alive {
    my ($client) = @_;

    $client->send_json({ t => 'heartbeat', ref => 'beat' });

    return $client->read_until(sub { ($_[0]{d}{ref} // '') eq 'beat' }) ? 1 : 0;
}


# An event of the channel reaches the client; what came before it, as text.

my $n = 0;

sub heard {
    my ($channel) = @_;

    my $mark = ++$n;
    my @seen;

    ok(wait_for(sub { $t->redis('PUBSUB', 'NUMSUB', $channel)->[1] }),
       "$channel is subscribed to");
    $t->publish($channel, { t => 'patch', d => { n => $mark } });

    $ws->read_until(sub {
        my $d = $_[0]{d};
        return 1 if ($d->{n} // '') eq $mark;
        push @seen, join ' ', $_[0]{t},
            grep { defined } @$d{qw(channel reason n)};
        return 0;
    }) or push @seen, 'nothing';

    return join ', ', @seen;
}


sub down_at_start {
    for my $answer ($t->http(GET => '/gateway', %ben),
                    $t->ws('/gateway', %ben, retry => 0),
                    $t->sse('/gateway', %ben, retry => 0))
    {
        is($answer->status, 503, 'Redis is down at the start: 503');
        like($answer->header('Retry-After'), qr/^[1-5]$/, 'with Retry-After');
    }

    is($t->http(GET => '/gateway')->status, 401, 'without a token still 401');
    is($t->http(GET => '/metrics')->status, 200, 'and nginx serves the rest');

    $t->start_redis;
    $t->start_relay('relay', $t->{redis_port}, $relay);
    $t->redis('SADD', 'user:ben:guilds', 'g1');
    ok(wait_for(sub { status() == 200 }), 'Redis comes up');
}


sub killed {
    $t->stop_redis('KILL');
    ok(wait_for(sub { status() == 503 }), 'Redis is killed: 503');
    ok(alive($ws), 'a session stays, and is answered');
    $ws->send_json({ t => 'subscribe', d => { channel => 'guild:g2' } });
    is($ws->read_json->{d}{code}, 'unavailable', 'but for what needs Redis');

    $t->start_redis;
    $t->redis('SADD', 'user:ben:guilds', 'g1');

    my $resync = $ws->read_until(sub {
        $_[0]{t} eq 'resync' && ($_[0]{d}{channel} // '') eq 'user:ben';
    });
    is($resync->{d}{reason}, 'history_gap', 'it came back empty: resync');
    heard('user:ben');
    like(heard('user:ben'), qr/^(?:resync guild:g1 history_gap)?$/,
         'then events flow again, when each channel has been told');

    # the set may have been read before it was there
    $t->publish('user:ben:control', { t => 'membership_changed', d => {} });
    heard('guild:g1');
    is(heard('guild:g1'), '', 'on all channels');
}


# Nobody says so on the control channel: the sets are read again.

sub kicked {
    $t->stop('relay');
    ok(wait_for(sub { status() == 503 }), 'the link is cut');

    $t->redis('SREM', 'user:ben:guilds', 'g1');
    $t->publish('guild:g1', { t => 'patch', d => { n => 'secret' } });
    $t->start_relay('relay', $t->{redis_port}, $relay);

    my @seen;
    my $gone = 0;

    while (!$gone) {
        $t->publish('guild:g1', { t => 'patch', d => { n => 'secret' } });
        $t->redis('PUBLISH', 'guild:g1', '{"t":"patch","d":{"n":"secret"}}');
        my $event = $ws->read_json(0.05) or $ws->{timed_out} ? next : last;
        push @seen, $event;
        $gone = $event->{t} eq 'unsubscribed';
    }

    ok($gone, 'a kick during the cut takes effect when the link is back');
    is($seen[-1]{d}{channel}, 'guild:g1', 'on that channel');
    is(heard('user:ben'), '', 'and nothing comes behind it');
    is(scalar(grep { ($_->{d}{n} // '') eq 'secret' } @seen), 0,
       'nor came before');

    $t->redis('SADD', 'user:ben:guilds', 'g1');
    $t->publish('user:ben:control', { t => 'grant',
                                      d => { channel => 'guild:g1' } });
    is($ws->read_until('subscribed')->{d}{channel}, 'guild:g1', 'let in again');
    is(heard('guild:g1'), '', 'and events flow');
}


sub cut {
    for my $kind (qw(pubsub normal pubsub)) {
        my $losses = metric('delta_redis_losses_total');

        $t->redis('CLIENT', 'KILL', 'TYPE', $kind, 'SKIPME', 'yes');
        ok(wait_for(sub { metric('delta_redis_losses_total') > $losses }),
           "CLIENT KILL TYPE $kind is noticed");
        ok(wait_for(sub { status() == 200 }), 'and made good');
        is(heard($_), '', 'nothing is missing') for qw(user:ben guild:g1);
    }
}


sub metric {
    my ($name) = @_;

    my $body = $t->http(GET => '/metrics')->body;

    return $body =~ /^\Q$name\E (\d+)/m ? $1 : -1;
}


sub stalled {
    for my $name (qw(relay redis)) {
        my $pid = $t->pid($name);
        my $best;

        # the machine may be late, but not always
        for (1 .. 5) {
            my $start = time;

            kill 'STOP', $pid;
            ok(wait_for(sub { status() == 503 }),
               "$name stalls: it is noticed");

            my $time = time - $start;
            $best = $time if !defined $best || $time < $best;

            ok(alive($ws), 'the session stays');
            kill 'CONT', $pid;
            ok(wait_for(sub { status() == 200 }), 'it goes on: all is well');
            is(heard($_), '', 'nothing is missing') for qw(user:ben guild:g1);
            last if $best < 1.25 * $Delta::SLOW;
        }

        cmp_ok($best, '<', 2 * $Delta::SLOW,
               'after two read_timeout and a little');
    }
}


sub paused {
    $t->redis('CLIENT', 'PAUSE', 300, 'ALL');
    is(heard('user:ben'), '', 'a short pause does no harm');
    $t->redis('CLIENT', 'PAUSE', 2000, 'ALL');
    ok(wait_for(sub { status() == 503 }), 'a long one is as if it were away');
    ok(alive($ws), 'the session stays');
    ok(wait_for(sub { status() == 200 }), 'until it is over');
    is(heard($_), '', 'nothing is missing') for qw(user:ben guild:g1);
}


sub refused {
    $t->redis('CONFIG', 'SET', 'requirepass', 'x');
    $t->redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    ok(wait_for(sub { $t->log =~ /cannot be used: NOAUTH/ }),
       'Redis wants a password: the log says so');
    is(status(), 503, 'and clients 503');
    ok(alive($ws), 'the session stays');
    $t->redis('CONFIG', 'SET', 'requirepass', '');
    ok(wait_for(sub { status() == 200 }), 'until it is let in');
    is(heard('user:ben'), '', 'nothing is missing');
}


# The function library: loaded if it is missing or older, else left alone.

sub library {
    my $version = version();
    my $text = $t->library;

    ok($version, 'the library was loaded by the gateway');
    $t->redis('FUNCTION', 'DELETE', 'delta');
    reconnect();
    ok(wait_for(sub { version() == $version }), 'it is loaded when missing');

    for my $other (0, $version - 1) {
        $t->redis('FUNCTION', 'LOAD', 'REPLACE',
                  $text =~ s/^local VERSION = \K\d+/$other/mr);
        is(version(), $other, "the version of before, $other");
        reconnect();
        ok(wait_for(sub { version() == $version }), 'is replaced');
    }

    $t->redis('FUNCTION', 'LOAD', 'REPLACE',
              $text =~ s/^local VERSION = \K\d+/9999/mr);
    reconnect();
    is(heard('user:ben'), '', 'a newer version works');
    is(version(), 9999, 'and is kept');
}


sub version {
    return eval { $t->redis('FCALL_RO', 'delta_version', 0) } // 0;
}


sub reconnect {
    my $connects = metric('delta_redis_connects_total');

    $t->redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    ok(wait_for(sub { metric('delta_redis_connects_total') > $connects
                      && status() == 200 }), 'the gateway reconnects');
}


# All that pretends to be a Redis.

sub fakes {
    my $ack = sub { [ 'subscribe', $_[1], \1 ] };
    my $sub = sub { (SUBSCRIBE => $_[0]) };
    my $members = sub { (SRANDMEMBER => $_[0], SISMEMBER => $_[0]) };
    my $log = sub { (XRANGE => $_[0], FCALL => $_[0], INFO => $_[0]) };
    my $huge = '9' x 18;
    my ($broken, $epochs) = (0, 0);

    return (
        [ 'a web server', raw => "HTTP/1.1 400 Bad Request\r\n\r\n" ],
        [ 'noise', raw => join('', map { chr(($_ * 7919) % 251) } 1 .. 9000) ],
        [ 'nothing but the end', raw => '', end => 1 ],
        [ 'silence', raw => '' ],
        [ 'one byte', raw => '*', end => 1 ],
        [ 'a negative length', raw => "\$-5\r\n" ],
        [ 'a negative array', raw => "*-7\r\n" ],
        [ 'a huge string', raw => "\$9$huge\r\nx" ],
        [ 'half a gigabyte', raw => "\$536870912\r\nx" ],
        [ 'a huge array', raw => "*9$huge\r\n:1\r\n" ],
        [ 'a long array', raw => "*1048577\r\n:1\r\n" ],
        [ 'the longest array', raw => "*2147483647\r\n:1\r\n" ],
        [ 'the longest in others', raw => "*2\r\n*2\r\n*2147483647\r\n" ],
        [ 'no number', raw => "*x\r\n" ],
        [ 'depth', raw => "*1\r\n" x 5000 ],
        [ 'a line without an end', raw => '+' . 'x' x 90000 ],
        [ 'a line of controls', raw => "-\0\1\2\r\n" ],
        [ 'too many replies', raw => "+OK\r\n" x 500 ],
        [ 'messages before a subscription',
          raw => "*3\r\n\$7\r\nmessage\r\n\$1\r\nx\r\n\$1\r\ny\r\n" x 99 ],
        [ 'messages of nothing before a subscription',
          raw => "*3\r\n\$7\r\nmessage\r\n\$-1\r\n\$-1\r\n" x 9 ],
        [ 'half a reply', CLIENT => "\$7\r\nabc" ],
        [ 'half a reply and the end', CLIENT => "\$7\r\nabc", end => 1 ],
        [ 'loading', map { $_ => "-LOADING Redis is loading\r\n" }
          qw(CLIENT FCALL_RO PING FUNCTION) ],
        [ 'loading, as Redis says it', map { $_ => "-LOADING it is\r\n" }
          qw(FCALL_RO FCALL FUNCTION INFO PING SRANDMEMBER XRANGE) ],
        [ 'no rights to functions', FCALL_RO => "-NOPERM no\r\n" ],
        [ 'a version that is none', FCALL_RO => [ undef, [] ] ],
        [ 'errors for all', map { $_ => "-ERR no\r\n" } qw(CLIENT FCALL_RO
          FUNCTION SUBSCRIBE PING INFO FCALL SRANDMEMBER XRANGE) ],
        [ 'acks of nothing', $sub->([]) ],
        [ 'acks without a name', $sub->([ 'subscribe', undef, \1 ]) ],
        [ 'acks of numbers', $sub->([ \1, \2, \3 ]) ],
        [ 'acks in acks', $sub->([ [ 'subscribe' ], [ 'x' ], [] ]) ],
        [ 'acks of others', $sub->([ 'subscribe', 'x', \1 ]) ],
        [ 'acks twice', $sub->(sub { $ack->(@_), $ack->(@_) }) ],
        [ 'acks and the contrary',
          $sub->(sub { $ack->(@_), [ 'unsubscribe', $_[1], \0 ] }) ],
        [ 'messages of nothing', $sub->(sub { $ack->(@_),
          map { [ 'message', $_[1], $_ ] } undef, \1, [ 'x' ], '', "\0",
              '9' x 40, '-1', ' ', '1-1', '1-1 0-0', '1-1 0-0 ', '{' }) ],
        [ 'messages to nobody', $sub->(sub { $ack->(@_),
          map { [ 'message', $_, '{"t":"x","d":{}}' ] } undef, '', 'x', [] }) ],
        [ 'something like a message', $sub->(sub { $ack->(@_),
          [ 'message', $_[1] ], [ 'pmessage', '*', $_[1], 'x' ] }) ],
        [ 'members: a number', $members->(\7) ],
        [ 'members: one', $members->(\1) ],
        [ 'members: text', $members->('1') ],
        [ 'members: null', $members->(undef) ],
        [ 'members: an empty list', $members->([]) ],
        [ 'members: of all kinds', $members->([ \1, undef, [ 'x' ], '',
                                                'ada', 'ada', 'x:y' ]) ],
        [ 'members: a great many', $members->([ map { "u$_" } 1 .. 9000 ]) ],
        [ 'members: an error', $members->("-\r\n") ],
        [ 'a log: a number', $log->(\-1) ],
        [ 'a log: text', $log->("run_id:\r\nmaster_replid:x\nmaxmemory:") ],
        [ 'a log: null', $log->(undef) ],
        [ 'a log: of numbers', $log->([ \1, \2 ]) ],
        [ 'a log: of halves', $log->([ [], [ '1-1' ], [ '1-1', undef ],
          [ undef, [] ], [ '2-1', [ 'e' ] ], [ '3-1', [ 'p', 'x', 'e', '{' ] ],
          [ '4-1', [ \1, \2 ] ], [ '5-1', 'x' ], 'x', undef,
          [ '6-1', [ 'p', '5-1', 'e', undef ] ], [ 'x', [ 'e', '{}' ] ] ]) ],
        [ 'a log of nothing, without an end',
          FCALL_RO => sub { $_[1] eq 'delta_log' ? [ '1', '0-0',
                            [ map { [ 'x', [] ] } 1 .. 256 ] ] : \9999 } ],
        [ 'the last day of all', TIME => [ $huge, $huge ],
          PING => sub { $broken++ < 4 ? "\$-5\r\n" : "+PONG\r\n" },
          FCALL => $huge, INFO => "x\nrun_id:"
          . 'x' x 40 . "\nmaster_replid:" . 'y' x 40 . "\naof_enabled:1\n"
          . "server_time_usec:1700000000000000\nmaxmemory:0\n"
          . "uptime_in_seconds:$huge\n" ],
        [ 'an epoch that is gone', FCALL => sub {
              $_[1] eq 'delta_epoch' ? \($epochs++ ? 0 : 5) : '1' } ],
        [ 'more leases than were asked for', conf => 'delta_resume 2s;
              delta_presence ttl=2s refresh=1s; delta_heartbeat 1s missed=1;',
          FCALL => sub { $_[1] ne 'delta_leases_claim' ? '1'
              : [ 'm' x 400_000, [ map { "u$_" } 1 .. 1000 ] ] } ],
        [ 'a log without an end', $log->([ map { [ '1-1', [ p => '0-0',
          e => '{"t":"x","d":{}}' ] ] } 1 .. 256 ]) ],
    );
}


sub hostile {
    my @codes = map { [] } @fakes;

    $t->{ports}[9] or die 'no port';
    ok(wait_for(sub { !grep { connects($_) < 2 } 0 .. $#fakes }),
       'the gateway has tried each of them');

    for my $path ('/gateway?at=space:s1=1-1', '/in') {
        my @open = map {
            $t->ws($path, %ben, retry => 0, port => $t->{ports}[9],
                   host_header => "fake$_");
        } 0 .. $#fakes;

        for my $i (grep { $open[$_]->status eq 101 } 0 .. $#fakes) {
            $open[$i]->send_json({ t => 'subscribe', d => { channel => $_ } })
                for 'guild:g1', 'space:s1', 'user:ada';
        }

        for my $i (0 .. $#fakes) {
            my $status = $open[$i]->status;
            push @{ $codes[$i] }, $status;
            $open[$i]->read_json(0.02) for 1 .. 4 * ($status eq 101);
        }
    }

    my @streams = map {
        $t->sse('/stream?since=' . ($_ % 2 ? '1.1-1' : '1.1'), %ben,
                retry => 0, port => $t->{ports}[9], host_header => "fake$_",
                timeout => 3 * $Delta::SLOW);
    } 0 .. $#fakes;

    push @{ $codes[$_] }, $streams[$_]->status == 200
                          ? 101 : $streams[$_]->status for 0 .. $#fakes;

    for my $i (0 .. $#fakes) {
        ok(!grep({ !/^(?:101|503|403)$/ } @{ $codes[$i] }),
           "$fakes[$i][0]: a session, or 503") or diag("@{ $codes[$i] }");
        cmp_ok(connects($i), '<', 40 + 2 * (time - $began),
               'and it is not asked all the time')
            or diag($fakes[$i][0]);
    }

    is_deeply([ grep { $fakes[$_][0] =~ /^loading/
                       && "@{ $codes[$_] }" ne '503 503 503' } 0 .. $#fakes ],
              [], 'who is loading is not there yet');
    is_deeply([ grep { -s $t->file("fake$_.loads") } 0 .. $#fakes ],
              [ grep { $fakes[$_][0] =~ /version|errors/ } 0 .. $#fakes ],
              'the library is loaded only where it is missing');

    for my $i (grep { $fakes[$_][0] =~ /^the longest/ } 0 .. $#fakes) {
        ok($t->log =~ /fake$i\.sock\S* cannot be used: reply is too large/,
           "$fakes[$i][0]: the log says so");
    }

    is_deeply([ map { $fakes[$_][0] }
                grep { -s $t->file("fake$_.nameless") } 0 .. $#fakes ], [],
              'no session has a channel without a name');
    memory() unless $Delta::ASAN;
    is_deeply([ map { $fakes[$_][0] }
                grep { (-s $t->file("fake$_.epochs") // 0)
                       > 40 + 4 * (time - $began) } 0 .. $#fakes ], [],
              'nor is Redis asked for its epoch all the time');
    is(heard('user:ben'), '', 'a good Redis beside them is not disturbed');
}


# What is announced takes no memory before it is there.

sub memory {
    my ($leases) = grep { $fakes[$_][0] =~ /leases/ } 0 .. $#fakes;

    ok(wait_for(sub { -s $t->file("fake$leases.claims") }),
       'leases are swept');

    open my $fh, '<', "/proc/$worker/status" or die $!;
    my ($peak) = map { /^VmPeak:\s+(\d+)/ } <$fh>;
    cmp_ok($peak, '<', 300_000, 'nor does the worker take much memory');
}


sub connects {
    my ($i) = @_;

    return -s $t->file("fake$i.connects") // 0;
}


# One process, a socket for each kind; it leaves marks in files.

sub start_fake {
    my %listen = map { $_ => IO::Socket::UNIX->new(Listen => 9,
        Local => $t->dir . "/fake$_.sock") // die $! } 0 .. $#fakes;

    chmod 0777, $t->dir . "/fake$_.sock" for 0 .. $#fakes;

    my $pid = fork // die $!;
    return $pid if $pid;

    $SIG{ALRM} = 'DEFAULT';
    $SIG{TERM} = sub { POSIX::_exit(0) };

    my %kind = map { $listen{$_} => $_ } keys %listen;
    my $select = IO::Select->new(values %listen);
    my (%in, %of);

    while (1) {
        for my $fh ($select->can_read) {
            if (defined(my $i = $kind{$fh})) {
                my $new = $listen{$i}->accept or next;
                my (undef, %fake) = @{ $fakes[$i] };

                mark($i, 'connects');
                syswrite $new, $fake{raw} if defined $fake{raw};
                next if defined $fake{raw} && $fake{end};
                $select->add($new);
                @of{$new} = $i;
                $in{$new} = '';
                next;
            }

            if (!sysread $fh, $in{$fh}, 65536, length $in{$fh}) {
                $select->remove($fh);
                close $fh;
                next;
            }

            while ($in{$fh} =~ /^\*(\d+)\r\n/) {
                my ($count, $at, @args) = ($1, $+[0]);

                while (@args < $count
                       && substr($in{$fh}, $at, 24) =~ /^\$(\d+)\r\n/)
                {
                    my $head = $+[0];
                    last if length $in{$fh} < $at + $head + $1 + 2;
                    push @args, substr $in{$fh}, $at + $head, $1;
                    $at += $head + $1 + 2;
                }

                last if @args < $count;
                substr $in{$fh}, 0, $at, '';
                answer($fh, $of{$fh}, @args);
            }
        }
    }
}


sub answer {
    my ($fh, $i, @args) = @_;

    my (undef, %fake) = @{ $fakes[$i] };
    my %good = (FCALL_RO => \9999, CLIENT => "+OK\r\n", PING => "+PONG\r\n",
                SUBSCRIBE => sub { [ 'subscribe', $_[1], \1 ] },
                INFO => "x\nrun_id:" . 'x' x 40 . "\nmaster_replid:"
                        . 'y' x 40 . "\naof_enabled:0\nmaxmemory:0\n",
                FCALL => '1', SRANDMEMBER => [ 'ada' ], SISMEMBER => \1,
                XRANGE => []);

    return if defined $fake{raw};

    mark($i, 'loads') if "@args" =~ /^FUNCTION LOAD /;
    mark($i, 'epochs') if "@args" =~ /delta_epoch/;
    mark($i, 'claims') if "@args" =~ /delta_leases_claim/;
    mark($i, 'nameless') if "@args" eq 'SUBSCRIBE ';

    my $reply = exists $fake{ $args[0] } ? $fake{ $args[0] }
                                         : $good{ $args[0] } // "+OK\r\n";
    my @reply = ref $reply eq 'CODE' ? $reply->(@args) : $reply;

    syswrite $fh, join '', map {
        !ref && defined && /^[-+\$].*\r\n/s && $_ ne '' ? $_ : resp($_)
    } @reply;

    shutdown $fh, 2 if $fake{end};
}


sub resp {
    my ($value) = @_;

    return "\$-1\r\n" if !defined $value;
    return ":$$value\r\n" if ref $value eq 'SCALAR';
    return '*' . @$value . "\r\n" . join '', map { resp($_) } @$value
        if ref $value;
    return "\$" . length($value) . "\r\n$value\r\n";
}


sub mark {
    my ($i, $what) = @_;

    open my $fh, '>>', $t->dir . "/fake$i.$what";
    syswrite $fh, '.';
}
