#!/usr/bin/perl

# Copyright (C) Delta contributors

# Presence under chance: clients of two gateways that come, are cut, come back
# by token (or an old one) on either host, set a status, log out, and workers
# that are killed, against a model of what friends must see: nobody goes
# offline who is there or within the window (no flap), nobody stays who is not
# (no ghost), and each friend sees exactly what Redis was told since its
# presence_sync, on a host with a window at least the last of it (nothing
# missing, nothing double).  SEED=… repeats a run, up to what time does.

use Delta;
use List::Util qw(max);
use Time::HiRes qw(sleep time);

my $runs = $ENV{SEED} ? 1 : 2;
my $seconds = $ENV{SECONDS} || 20;

# sure within that after a cut, and after a killed worker; gone by then
my ($sure, $sure_killed) = (2, 2);
my ($gone, $gone_killed) = (3 + 1 + 3, 6 + 1 + 3);

my @users = map { "u$_" } 1 .. 6;

my $t = Delta->new;
$t->allow(qr/worker process \d+ exited on signal 9/);

my $redis = $t->start_redis;
$t->redis('SADD', "user:$_:follows", @users) for @users;

start_host(0, 'delta_channel presence:*;');
start_host(1, 'delta_channel presence:* window=30ms;');

my ($judge, %session, %seq, %version, %broken, %count, $beat);

for my $run (1 .. $runs) {
    my $seed = $ENV{SEED} || (time . $$ . $run) % 1_000_000_007;

    srand $seed;
    note("seed $seed");

    my $ok = eval { run(); 1 };
    diag($@) unless $ok;
    ok($ok, "what friends see is right ($seconds s, SEED=$seed)") or last;

    note(join ', ', map { "$_ $count{$_}" } sort keys %count);
}

if (!$ENV{SEED}) {
    ok($count{$_}, "$_ has happened") for qw(online offline changed open cut
        resumed elsewhere refused logout status killed observer);
}

done_testing();


sub start_host {
    my ($n, $more) = @_;

    my $conf = $t->conf(
        http => "delta_redis %%REDIS%%; delta_jwt_key_file jwks.json; $more",
        server => 'delta_jwt optional;
            delta_presence ttl=3s refresh=1s;
            delta_resume 3s;
            delta_heartbeat 2s missed=2;
            location = /gateway {
                delta_gateway;
                delta_subscribe presence:* from=user:$delta_user:follows;
            }');

    $conf =~ s/%%PORT%%/%%PORT_$n%%/;
    $t->start_nginx($conf, name => "nginx$n", workers => 2);
}


sub run {
    $judge = Delta::Redis->new($redis);
    $judge->send('PSUBSCRIBE', 'presence:*');
    $judge->read;

    %$_ = () for \(%session, %seq, %version, %broken);
    $seq{$_} = [ 'offline' ] for @users;
    $beat = 0;

    my $end = time + $seconds;

    while (time < $end) {
        step();
        beat();
        judge();
    }

    finish();
}


sub step {
    my $dice = rand;
    my @live = grep { $_->{conn} } values %session;

    return sleep rand 0.15 if $dice < 0.3;
    return enter($users[ rand @users ]) if $dice < 0.42 && @live < 14;
    return come_back() if $dice < 0.62;
    return kill_worker() if $dice > 0.995;

    @live = sort { $a->{id} cmp $b->{id} } @live;
    my $s = $live[ rand @live ] or return;

    return cut($s) if $dice < 0.80;
    return logout($s) if $dice < 0.87;
    return status($s);
}


# Connections.  Each is a friend of all, and keeps what it has seen.

sub connect_to {
    my ($user, $host, $token) = @_;

    my $ws = $t->ws('/gateway' . ($token ? "?resume=$token" : ''),
                    token => $t->token($user), port => $t->port($host));
    my $ready = $ws->read_json;

    die "$user: no ready" if !$ready || $ready->{t} ne 'ready';

    my $next = $ws->read_json;
    my $resumed = $next->{t} eq 'resumed';

    $next = $ws->read_json if $resumed;
    die "$user: no presence_sync" if $next->{t} ne 'presence_sync';

    my %sync;

    for my $one (@{ $next->{d}{presence} }) {
        die "$user: $one->{id} twice in a sync" if $sync{ $one->{id} };
        die "$user: offline in a sync" if $one->{s} eq 'offline';
        $sync{ $one->{id} } = $one->{s};
    }

    my $conn = { ws => $ws, user => $user, host => $host,
                 seen => { map { $_ => [ $sync{$_} // 'offline' ] } @users } };

    return ($conn, $ready->{d}, $resumed);
}


sub read_some {
    my ($conn) = @_;

    my $ws = $conn->{ws};

    while (my $event = $ws->read_json(0.001)) {
        next if $event->{t} eq 'heartbeat_ack';
        die "$conn->{user}: $event->{t}"
            if $event->{t} !~ /^(?:presence_update|reconnect)$/;
        push @{ $conn->{seen}{ $event->{d}{id} } }, $event->{d}{s};
    }
}


# Whatever was sent before has arrived when the heartbeat is answered.

sub answers {
    my ($conn) = @_;

    my $ws = $conn->{ws};

    $ws->send_json({ t => 'heartbeat' });

    while (my $event = $ws->read_json) {
        return 1 if $event->{t} eq 'heartbeat_ack';
        push @{ $conn->{seen}{ $event->{d}{id} } }, $event->{d}{s}
            if $event->{t} eq 'presence_update';
    }

    return 0;
}


sub enter {
    my ($user) = @_;

    my ($conn, $ready, $resumed) = connect_to($user, int rand 2);

    die "$user: resumed without a token" if $resumed;
    opened($user, $conn, $ready);
    $count{open}++;
}


sub opened {
    my ($user, $conn, $ready) = @_;

    covered($user);
    $session{ $ready->{session_id} } = {
        id => $ready->{session_id}, user => $user, conn => $conn,
        token => $ready->{resume_token},
    };
}


sub come_back {
    my @away = grep { !$_->{conn} } map { $session{$_} } sort keys %session;
    my $s = @away ? $away[ rand @away ] : return;

    my $token = rand() < 0.1 ? $s->{old} || 'x.1' : $s->{token};
    my $good = $token eq $s->{token};
    my $host = int rand 2;

    my ($conn, $ready, $resumed) = connect_to($s->{user}, $host, $token);
    my $now = time;

    if (!$resumed) {
        die "$s->{user}: a good token is refused after "
            . ($now - $s->{cut}) if $good && $now < $s->{sure};
        opened($s->{user}, $conn, $ready);
        delete $session{ $s->{id} } if $now > $s->{gone};
        $count{refused}++;
        return;
    }

    die "$s->{user}: a used token is good" if !$good;
    die "$s->{user}: resumed as another" if $ready->{session_id} ne $s->{id};
    die "$s->{user}: too late, after " . ($now - $s->{cut})
        if $now > $s->{gone} + 5 * $Delta::SLOW;

    covered($s->{user});
    $s->{old} = $s->{token};
    $s->{token} = $ready->{resume_token};
    $s->{conn} = $conn;
    $count{resumed}++;
    $count{elsewhere}++ if $host != $s->{host};
}


# Somebody has come: was there a moment in which nobody was surely there?

sub covered {
    my ($user) = @_;

    $broken{$user} = 1 if !sure($user, time);
}


sub sure {
    my ($user, $now) = @_;

    return grep { $_->{user} eq $user && ($_->{conn} || $_->{sure} > $now) }
        values %session;
}


sub cut {
    my ($s) = @_;

    my $conn = $s->{conn};
    my $now = time;

    if (rand() < 0.3) {
        read_some($conn);
        $conn->{ws}->send_frame(8, pack 'n', 1001);
    }

    gone($s, $now, $sure, $gone);
    $conn->{ws}->disconnect;
    $count{cut}++;
}


sub gone {
    my ($s, $now, $sure, $gone) = @_;

    my $conn = delete $s->{conn};

    @$s{qw(host cut sure gone)} = ($conn->{host}, $now, $now + $sure,
                                   time + $gone * $Delta::SLOW);
    $broken{ $s->{user} } = 1 if !sure($s->{user}, $now);
    judge();
    check($conn);
}


sub logout {
    my ($s) = @_;

    my $ws = $s->{conn}{ws};

    $ws->send_json({ t => 'logout' }) if rand() < 0.5;
    $ws->close(3000);
    gone($s, time, -1, 0);
    $ws->disconnect;
    delete $session{ $s->{id} };
    $count{logout}++;
}


sub status {
    my ($s) = @_;

    my @status = qw(online busy coding);

    $s->{conn}{ws}->send_json({ t => 'status',
                                d => { status => $status[ rand @status ] } });
    $count{status}++;
}


sub kill_worker {
    my @pids = $t->workers('nginx' . int rand 2);
    my $pid = $pids[ rand @pids ] or return;
    my $now = time;

    kill 'KILL', $pid;

    for my $s (grep { $_->{conn} } values %session) {
        next if answers($s->{conn});
        gone($s, $now, $sure_killed, $gone_killed);
    }

    $count{killed}++;
}


# All that is connected is heard, and not closed by the gateway.

sub beat {
    my $now = time;

    if ($beat && $now - $beat > 2) {
        note('a stall of ', $now - $beat, ' s');
    }

    return if $now - $beat < 0.4;

    $beat = $now;

    for my $s (grep { $_->{conn} } values %session) {
        my $conn = $s->{conn};

        $conn->{ws}->send_frame(10, '');
        read_some($conn);
        die "$s->{user}: closed with $conn->{ws}{close_code}"
            if $conn->{ws}{close_code};
    }
}


# What Redis was told since: contiguous, different, and nobody offline who is
# surely there.

sub judge {
    $judge->send('PING');

    while ((my $reply = $judge->read)->[0] ne 'pong') {
        my ($user) = $reply->[2] =~ /^presence:(.*)/;
        my ($v, $json) = split / /, $reply->[3], 2;
        my $s = json_decode($json)->{d}{s};
        my $was = $seq{$user}[-1];

        die "$user: $s is told twice" if $s eq $was;
        die "$user: version $v after $version{$user}"
            if $version{$user} && $v != $version{$user} + 1;
        die "$user: $s, while it is surely there"
            if $s eq 'offline' && !$broken{$user} && sure($user, time);

        push @{ $seq{$user} }, $s;
        $version{$user} = $v;
        $count{ $s eq 'offline' ? 'offline'
                : $was eq 'offline' ? 'online' : 'changed' }++;
    }

    my $now = time;

    for my $user (@users) {
        $broken{$user} = 0 if sure($user, $now);
    }

    for my $s (values %session) {
        delete $session{ $s->{id} } if !$s->{conn} && $s->{gone} < $now - 10;
    }

    ghosts($now);
}


sub ghosts {
    my ($now) = @_;

    for my $user (@users) {
        next if $seq{$user}[-1] eq 'offline';
        next if grep { $_->{user} eq $user
                       && ($_->{conn} || $_->{gone} > $now) } values %session;
        next if ($version{"$user quiet"} //= $now) > $now - 2 * $Delta::SLOW;

        die "$user: is $seq{$user}[-1] and nobody is there";
    }

    for my $user (@users) {
        delete $version{"$user quiet"}
            if $seq{$user}[-1] eq 'offline'
               || grep { $_->{user} eq $user && $_->{conn} } values %session;
    }
}


# What a friend has seen, from its sync on, is what Redis was told; all: to
# the end.  Behind a window some may be left out, and so the same come twice.

sub check {
    my ($conn, $all) = @_;

    for my $user (@users) {
        my @seen = @{ $conn->{seen}{$user} };
        my @told = @{ $seq{$user} };

        for my $i (1 .. $#seen) {
            die "$conn->{user}: sees $user $seen[$i] twice"
                if $seen[$i] eq $seen[ $i - 1 ] && !$conn->{host};
        }

        next if $all ? ends(\@seen, \@told, $conn->{host})
                     : among(\@seen, \@told, $conn->{host});

        die "$conn->{user} on host $conn->{host} has seen of $user: @seen; "
            . "told was: @told";
    }

    $count{observer}++;
}


sub ends {
    my ($seen, $told, $windows) = @_;

    return $seen->[-1] eq $told->[-1] if $windows;
    return 0 if @$seen > @$told;

    return "@$seen" eq "@$told[ @$told - @$seen .. $#$told ]";
}


sub among {
    my ($seen, $told, $windows) = @_;

    my $all = join ' ', '', @$told, '';
    my $pattern = join $windows ? ' (?:(?:\w+ )*)?' : ' ', @$seen;

    return $all =~ / $pattern /;
}


# Those who are still there must have seen all; then all go.

sub finish {
    my @live = grep { $_->{conn} } values %session;

    # behind the last window, and whoever was cut has gone
    my $end = time + 1 + max(map({ $_->{conn} ? 0 : $_->{gone} - time }
                                 values %session), 0);

    while (time < $end) {
        sleep 0.1;
        beat();
        judge();
    }

    for my $s (@live) {
        answers($s->{conn}) or die "$s->{user}: does not answer";
    }

    judge();
    check($_->{conn}, 1) for @live;
    logout($_) for @live;

    wait_for(sub {
        judge();
        return !grep { $seq{$_}[-1] ne 'offline' } @users;
    }, 5);

    for my $user (@users) {
        die "$user: is $seq{$user}[-1] at the end"
            if $seq{$user}[-1] ne 'offline';
        die "$user: has a lease at the end"
            if grep { /^s:/ } @{ $t->redis('HKEYS',
                                           "delta:{presence:$user}") };
    }

    wait_for(sub { !$t->redis('ZCARD', 'delta:leases') }, 10)
        or die 'the index is not empty at the end';
}
