#!/usr/bin/perl

# Copyright (C) Delta contributors

# Where Redis is: its name is resolved again before each connect, and what is
# wrong with an address or a password is said once, with what to do.

use Delta;
use Delta::Process qw(free_port);
use IO::Socket::INET;

my $t = Delta->new;
my $port = free_port();
my $dns = free_port();
my $name = '127.1';             # for libc an address, for nginx a name
my $second = '127.0.1';         # as good, to tell them apart in the log
my %open;

$t->file(password => "wrong\n");
$t->file(answer => '127.0.0.1');
start_dns();
start_at('127.0.0.1');

my $conf = $t->conf(http => <<"END", server => <<"END");
    resolver 127.0.0.1:$dns ipv6=off;
    delta_redis redis://$name:$port read_timeout=1s connect_timeout=1s;
    delta_jwt_key_file jwks.json;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        delta_redis redis://$second:$port/3 password_file=password prefix=a:
                    read_timeout=1s;
        delta_jwt;
        location = /gateway { delta_gateway; delta_subscribe a; }
    }
END
    delta_jwt optional;
    location = /gateway { delta_gateway; delta_subscribe user:\$delta_user; }
    location = /metrics { delta_metrics; }
END

$t->start_nginx($conf);

my $ws = $t->ws('/gateway', token => $t->token('ben'));
is($ws->read_json->{t}, 'ready', 'a session');
heard('127.0.0.1');

moved();
unresolved();
torn();
several();
password();

kill_at($_) for keys %open;
is_deeply([ $t->log =~ /(wrong|right)/g ], [], 'no password is in the log');
done_testing;


# Whole lines of the log from $seen on that match.

my $seen = 0;

sub lines {
    my ($pattern) = @_;

    return grep { $_ =~ $pattern } substr($t->log, $seen) =~ /(.*)\n/g;
}


sub moved {
    my ($first) = $t->log =~ /connected to (Redis \S+ \(\S+\))/;

    is($first, "Redis $name:$port (127.0.0.1:$port)",
       'the log has the name and the address');

    $seen = length $t->log;
    kill_at('127.0.0.1');
    ok(wait_for(sub { lines(qr/\[error\].* cannot be reached/) }),
       'Redis is away: an error');
    wait_losses(6);

    # one that was being made says first that it was closed
    my @refused = grep { !/cannot be used: / } lines(qr/\[error\].*\Q$name:/);
    is(scalar(grep { /\Q$name:$port (127.0.0.1:$port) cannot be reached: /
                     && /connect\(\) failed \(111: Connection refused\)/ }
              @refused), scalar @refused, 'it names the address, and only so');
    is(scalar @refused, 1, 'and is not repeated at each attempt');

    start_at('127.0.0.2');
    $t->file(answer => '127.0.0.2');
    ok(wait_for(sub { status() == 200 }), 'it is found at another address');
    is(scalar lines(qr/Redis \S+ \(127\.0\.0\.2:$port\) is back/), 1,
       'which the log tells');
    heard('127.0.0.2');
}


sub unresolved {
    for my $how ('fail', 'nothing', 'silence') {
        $t->file(answer => $how);
        forgotten();
        $seen = length $t->log;
        kill_at('127.0.0.2');
        my $line = qr/"\Q$name\E" could not be resolved/;

        ok(wait_for(sub { lines(qr/$line.*, 127\.0\.0\.2:$port is tried/) }),
           "the resolver answers with $how: the log says so")
            or diag($t->log);
        my $said = qr/, 127\.0\.0\.2:$port is tried: check "resolver" and /;
        is(scalar(grep { !/$said/ } lines($line)), 0,
           'with what is done and what to do');
        start_at('127.0.0.2');
        ok(wait_for(sub { status() == 200 }), 'the address of before is kept');

        # once of each kind: a query may be answered too late
        my %kind = map { /\((\d+): / ? ($1 => 1) : () } lines($line);
        cmp_ok(scalar lines($line), '<=', keys(%kind) + 1,
               'this is not repeated, either');
        heard('127.0.0.2');
    }
}


# One link is cut when the name has moved: the other must follow it.

sub torn {
    start_at('127.0.0.1');
    $t->file(answer => '127.0.0.1');

    # who asks while a query has no answer waits for nginx to send that again,
    # which takes longer than a connect may
    ok(wait_for(sub { ($t->read_file('answered') // '') eq '127.0.0.1' }),
       'the name server is asked again');

    for my $type ('pubsub', 'normal') {
        my ($from, $to) = $type eq 'pubsub' ? (2, 1) : (1, 2);

        $t->file(answer => "127.0.0.$to");
        forgotten();
        $seen = length $t->log;
        client("127.0.0.$from")->command('CLIENT', 'KILL', 'TYPE', $type,
                                         'SKIPME', 'yes');
        ok(wait_for(sub { lines(qr/\(127\.0\.0\.$to:$port\) is back/) }),
           "the $type link goes where the name points to now");
        is(scalar lines(qr/link to \S+ \S+ \S+ is down: the other link is/),
           1, 'and the other one follows');
        heard("127.0.0.$to");
    }

    kill_at('127.0.0.1');
}


sub several {
    $t->file(answer => '127.0.0.3 127.0.0.2 127.0.0.4');
    forgotten();
    $seen = length $t->log;
    client('127.0.0.2')->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    ok(wait_for(sub { lines(qr/\(127\.0\.0\.2:$port\) is back/) }),
       'of several addresses the one of the other link is taken');
    ok(!lines(qr/\Q$name:\E.* cannot be reached/), 'at once');

    kill_at('127.0.0.2');
    start_at('127.0.0.2');
    ok(wait_for(sub { status() == 200 }), 'without one, each in its turn');
    heard('127.0.0.2');
}


sub password {
    $seen = length $t->log;
    client('127.0.0.2')->command('CONFIG', 'SET', 'requirepass', 'right');
    client('127.0.0.2', 1);
    $t->file(answer => '127.0.0.2');
    kill_links('127.0.0.2');

    ok(wait_for(sub { lines(qr/cannot be used: WRONGPASS/)
                      && lines(qr/cannot be used: NOAUTH/) }),
       'a password is wrong, another missing: both are errors');
    wait_losses(8);
    is(scalar lines(qr/cannot be used: $_/), 1, "$_ once, with what to do")
        for qr/WRONGPASS.*, check user= and password_file=/,
            qr/NOAUTH.*, check user= and password_file=/;
    is(scalar(grep { !/connection closed/ } lines(qr/cannot be used/)), 2,
       'and nothing else');

    client('127.0.0.2')->command('CONFIG', 'SET', 'requirepass', '');
    ok(wait_for(sub { lines(qr/Redis \S+ \S+ is back/) }),
       'the one without is let in again');
    heard('127.0.0.2');

    $t->file(password => "right\r\n");
    client('127.0.0.2')->command('CONFIG', 'SET', 'requirepass', 'right');
    client('127.0.0.2', 1);
    $t->reload;
    ok(wait_for(sub { status(1) == 200 }),
       'a new password file is read at a reload');
}


# Tools.

sub status {
    my ($server) = @_;

    return $t->http(HEAD => '/gateway', token => $t->token('ben'),
                    port => $t->port($server || 0))->status;
}


my $n = 0;

sub heard {
    my ($address) = @_;

    my $mark = ++$n;
    my $redis = client($address);

    ok(wait_for(sub {
        $redis->command('PUBSUB', 'NUMSUB', 'user:ben')->[1];
    }), "subscribed to at $address");

    $redis->command('PUBLISH', 'user:ben',
                    json_encode({ t => 'patch', d => { n => $mark } }));
    ok($ws->read_until(sub { ($_[0]{d}{n} // '') eq $mark }),
       'and its events arrive');
}


sub metric {
    my ($metric) = @_;

    return ($t->http(GET => '/metrics')->body =~ /^\Q$metric\E (\d+)/m)[0];
}


sub wait_losses {
    my ($count) = @_;

    my $name = 'delta_redis_losses_total';
    my $before = metric($name);

    ok(wait_for(sub { metric($name) >= $before + $count }),
       "$count more attempts");
}


sub kill_links {
    my ($address) = @_;

    eval {
        client($address)->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME',
                                  'yes') for 'pubsub', 'normal';
    };
}


# Redis at an address, all with the same port.

sub start_at {
    my ($address) = @_;

    $t->spawn("redis-$address", 'redis.log', 'redis-server', '--port', $port,
              '--bind', $address, '--save', '', '--dir', $t->dir);
    $t->started("redis-$address", 'redis.log',
                sub { eval { client($address)->command('PING') } });
}


sub kill_at {
    my ($address) = @_;

    delete $open{$address};
    $t->stop("redis-$address", 'KILL');
}


sub client {
    my ($address, $login) = @_;

    $open{$address} ||= bless {
        in => '',
        socket => IO::Socket::INET->new("$address:$port") // die "no redis\n",
    }, 'Delta::Redis';
    $open{$address}->command('AUTH', 'right') if $login;

    return $open{$address};
}


# A name server of one name; the file "answer" says what it answers.

sub start_dns {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $dns, Proto => 'udp') or die "dns: $!";

    my $pid = fork // die "fork: $!";

    if ($pid) {
        $t->{procs}{dns} = $pid;
        return;
    }

    $SIG{TERM} = sub { POSIX::_exit(0) };

    while (1) {
        my $from = recv $socket, my $query, 512, 0;
        my $answer = $t->read_file('answer');

        next if $answer eq 'silence' || length $query < 12;

        my ($id) = unpack 'n', $query;
        my @addresses = $answer =~ /(\d+\.\d+\.\d+\.\d+)/g;
        my $code = $answer eq 'fail' ? 2 : $answer eq 'nothing' ? 3 : 0;

        send $socket, pack('n6', $id, 0x8180 | $code, 1, scalar @addresses,
                           0, 0) . substr($query, 12)
            . join('', map { "\xc0\x0c" . pack('nnNn', 1, 1, 0, 4)
                             . IO::Socket::INET::inet_aton($_) } @addresses),
            0, $from;
        $t->file(answered => $answer);
    }
}


# The resolver has forgotten its answers: they hold for the same second.

sub forgotten {
    my $now = int time;

    wait_for(sub { int time > $now });
}
