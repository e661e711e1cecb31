#!/usr/bin/perl

# Copyright (C) Delta contributors

# Presence under chance: gateways that open, lose, resume, refresh and sweep
# sessions, and crash in the midst of it, against a model of what a friend
# must see after each single call.  The clock is a key.  SEED=… repeats a run.

use Delta;
use List::Util qw(max min shuffle);

my $users = 30;
my $gateways = 4;
my $steps = $ENV{STEPS} || 6000;
my $runs = $ENV{SEED} ? 1 : 3;

my ($ttl, $resume, $hold, $settle) = (3000, 6000, 2000, 2000);
my $window = $ttl + $resume;
my $sweep_every = 500;
my $patience = 1500;

my $t = Delta->new;
my $port = $t->start_redis;
my $seen = 'delta:last_seen';

my ($now, $observer, $swept_at, $outage, $ending);
my (%lease, %view, %version, %heard, %until);           # the model
my (%session, @live, @tasks, %count, $sid_count);

for my $run (1 .. $runs) {
    my $seed = $ENV{SEED} || (time . $$ . $run) % 1_000_000_007;

    srand $seed;
    note("seed $seed");

    my $ok = eval { run(); 1 };
    diag($@) unless $ok;
    ok($ok, "what friends see is right ($steps steps, SEED=$seed)") or last;

    note(join ', ', map { "$_ $count{$_}" } sort keys %count);
}

ok($count{$_}, "$_ has happened")
    for qw(online offline resumed refused replaced gone revived crash
           sweeper_crash lost_open logout status);

done_testing();


sub run {
    $t->redis('FLUSHALL');

    my $text = $t->library;
    $text =~ s/redis\.call\('TIME'\)(?=\ --\@clock)
              /redis.call('HMGET', 'clock', 's', 'us')/x or die 'no clock';
    $t->redis('FUNCTION', 'LOAD', 'REPLACE', $text);

    $now = (int(time / 86400) + 1) * 86_400_000;    # a repetition's, too
    $swept_at = $now;
    $outage = $now;
    $ending = $sid_count = 0;
    %$_ = () for \(%lease, %view, %version, %heard, %until, %session);
    @tasks = ();
    @live = map { {} } 1 .. $gateways;

    $observer = Delta::Redis->new($port);
    $observer->send('PSUBSCRIBE', 'presence:*');
    $observer->read;

    for (1 .. $steps) {
        step();
        late();
    }

    end();
}


sub step {
    my $dice = rand;

    if ($now - $swept_at >= $sweep_every) {
        return sweep();
    }

    return advance(1 + int rand 300) if $dice < 0.15;
    return outage() if $dice < 0.152;
    return work() if @tasks && $dice < 0.6;

    my ($g) = int rand $gateways;

    return refresh($g) if $dice < 0.70;
    return crash($g) if $dice < 0.703;
    return enter('u' . int rand $users) if $dice < 0.77;

    my @here = sort keys %{ $live[$g] };
    my $sid = @here ? $here[ rand @here ] : return;

    return status($g, $sid) if $dice < 0.81;
    return drop($g, $sid) if $dice < 0.86;
    return logout($g, $sid) if $dice < 0.88;

    if ($dice < 0.90) {
        $live[$g]{$sid}{half_open} ||= $now;
        return away($live[$g]{$sid}, $sid);
    }

    return come_back();
}


# Clock and calls.

sub advance {
    $now += $_[0];

    while (my @old = grep { $now - $_->{at} > $patience } @tasks) {
        @tasks = grep { $_ != $old[0] } @tasks;
        run_task($old[0]);
    }
}


# Nobody reaches Redis, and time passes.

sub outage {
    advance(int rand 2 * $window);
    $outage = $now;
}


# One call, and what the observer heard of it: [ user, version, text ] each.

sub call {
    my (@command) = @_;

    my $redis = $t->{redis};

    $redis->send('HSET', 'clock', 's', int($now / 1000),
                 'us', $now % 1000 * 1000);
    $redis->send('FCALL', @command);
    $redis->read;

    my $answer = $redis->read;
    my @heard;

    $observer->send('PING');

    while ((my $reply = $observer->read)->[0] ne 'pong') {
        my ($user) = $reply->[2] =~ /^presence:(.*)/;
        my ($v, $json) = split / /, $reply->[3], 2;

        push @heard, [ $user, $v, $json ];
    }

    return ($answer, @heard);
}


sub key {
    return "delta:{presence:$_[0]}";
}


# What is told of a user, with the leases as they are.

sub effective {
    my ($user) = @_;

    my ($top) = sort {
        $b->{set_at} <=> $a->{set_at} || $b->{sid} cmp $a->{sid}
    } values %{ $lease{$user} };

    return offline($user) unless $top;

    return told($user, $top->{status}, $top->{project});
}


sub told {
    my ($user, $status, $project) = @_;

    $project = $project eq '' ? 'null' : qq{"$project"};
    $project =~ s/\\/\\\\/g;

    return qq({"t":"presence_update","d":{"id":"$user","s":"$status",)
           . qq("p":$project}});
}


sub offline {
    return told($_[0], 'offline', '');
}


# A call that may announce: leases past their due go, and friends hear of the
# difference, once.

sub announces {
    my ($user, $change, $answer, @heard) = @_;

    for my $old (values %{ $lease{$user} }) {
        if ($old->{due} <= $now) {
            $heard{$user} = max($heard{$user} // 0, $old->{heard});
            delete $lease{$user}{ $old->{sid} };
        }
    }

    $change->() if $change;

    my $is = effective($user);
    my $was = $view{$user} // offline($user);

    if ($is eq $was) {
        die "$user: told without a change: $heard[0][2]" if @heard;
    } else {
        die "$user: told @{[ scalar @heard ]} times of $is" if @heard != 1;

        my ($whom, $v, $json) = @{ $heard[0] };

        die "$user: told $json for $is" if $whom ne $user || $json ne $is;
        die "$user: version $v after $version{$user}"
            if $version{$user} && $v != $version{$user} + 1;

        $view{$user} = $is;
        $version{$user} = $v;
        $count{ $is eq offline($user) ? 'offline'
                : $was eq offline($user) ? 'online' : 'changed' }++;
    }

    my ($v, $a) = @{ $t->redis('HMGET', key($user), 'v', 'a') };

    die "$user: sync has version " . ($v // 'none')
        if ($v // 0) != ($version{$user} // 0);
    die "$user: sync has " . ($a // 'none')
        if (defined $a ? qq({"t":"presence_update","d":$a})
                       : offline($user)) ne $is;
}


sub silent {
    my ($answer, @heard) = @_;

    die "$heard[0][0]: told of nothing: $heard[0][2]" if @heard;

    return $answer;
}


# Sessions.  A gateway may hold one that is elsewhere by now.

sub away {
    my ($here, $sid) = @_;

    my $session = $session{$sid};

    $session->{away} = 1 if $session && $session->{gen} == $here->{gen};
}


sub enter {
    my ($user) = @_;

    return if keys %{ $lease{$user} } > 4;

    my $g = int rand $gateways;
    my $sid = 's' . ++$sid_count;
    my $added;

    task($g, sub {
        my ($again) = @_;

        if ($added && $now - $added < $settle / 2) {
            return opened($g, $user, $sid);
        }

        silent(call('delta_leases_add', 1, 'delta:leases', $user, $window));
        $until{$user} = $now + $settle;
        $added = $now;
        $again->();
        sweep() if rand() < 0.3;            # the moment that could hurt

    }, sub { $count{lost_open}++ });
}


sub opened {
    my ($g, $user, $sid) = @_;

    my ($status, $project) = words();
    my @answer = call('delta_session_open', 2, key($user), $seen,
                      "presence:$user", $sid, $ttl, $resume, $status,
                      $project);

    announces($user, sub {
        $lease{$user}{$sid} = {
            sid => $sid, gen => 1, due => $now + $window, heard => $now,
            set_at => set_at($user), status => $status, project => $project,
        };
    }, @answer);

    die "$user: open answers $answer[0][0]" if $answer[0][0] != 1;
    die "$user: version $answer[0][1]" if $answer[0][1] != $version{$user};

    $session{$sid} = { user => $user, sid => $sid, gen => 1 };
    $live[$g]{$sid} = { gen => 1, user => $user };
    $count{opened}++;
}


sub words {
    my @status = ('online', 'busy', 'a|b');
    my @project = ('', 'delta', '7|9|x', '\\');

    return ($status[ rand @status ], $project[ rand @project ]);
}


sub set_at {
    my ($user) = @_;

    return max($now, map { $_->{set_at} + 1 } values %{ $lease{$user} });
}


sub status {
    my ($g, $sid) = @_;

    my ($user, $gen) = @{ $live[$g]{$sid} }{qw(user gen)};
    my $lease = $lease{$user}{$sid};
    my ($status, $project) = words();

    my @answer = call('delta_session_status', 2, key($user), $seen,
                      "presence:$user", $sid, $gen, $status, $project);

    if (!$lease || $lease->{due} <= $now || $lease->{gen} != $gen) {
        my $what = !$lease || $lease->{due} <= $now ? 'gone' : 'replaced';
        die "$user: status answers $answer[0][1], not $what"
            if silent(@answer)->[0] != 0 || $answer[0][1] ne $what;
        return;
    }

    announces($user, sub {
        @$lease{qw(set_at status project)} = (set_at($user), $status,
                                              $project);
    }, @answer);

    die "$user: version $answer[0][0]" if $answer[0][0] != $version{$user};
    $count{status}++;
}


# The connection is lost, and the gateway knows; now and then it tells twice.

sub drop {
    my ($g, $sid) = @_;

    my $here = delete $live[$g]{$sid};
    my $user = $here->{user};
    my $since = $here->{half_open} || $now;
    my $grace = max(0, min($resume, $window - ($now - $since)));

    away($here, $sid);
    $count{drop}++;

    task($g, sub {
        silent(call('delta_leases_add', 1, 'delta:leases', $user,
                    max(1, $grace)));
        $until{$user} = $now + $settle;

        for (0 .. int rand 1.2) {
            leave($user, $sid, $here->{gen}, $grace);
        }
    });
}


sub logout {
    my ($g, $sid) = @_;

    my $here = delete $live[$g]{$sid};

    leave($here->{user}, $sid, $here->{gen}, 0);
    delete $session{$sid}
        if $session{$sid} && $session{$sid}{gen} == $here->{gen};
    $count{logout}++;
}


sub leave {
    my ($user, $sid, $gen, $grace) = @_;

    my $lease = $lease{$user}{$sid};
    my @answer = call('delta_session_leave', 2, key($user), $seen,
                      "presence:$user", $sid, $gen, $grace);

    if (!$lease || $lease->{gen} != $gen) {
        silent(@answer);
        return;
    }

    announces($user, sub {
        if ($grace == 0) {
            delete $lease{$user}{$sid};
            $heard{$user} = max($heard{$user} // 0, $now);
        } elsif ($lease{$user}{$sid}) {
            $lease->{due} = $now + $grace;
        }
    }, @answer);
}


sub come_back {
    my @away = sort grep { $session{$_}{away} } keys %session;
    my $session = @away ? $session{ $away[ rand @away ] } : return;

    my ($user, $sid, $gen) = @$session{qw(user sid gen)};
    my $g = int rand $gateways;
    my $lease = $lease{$user}{$sid};

    $gen += int(rand 3) - 1 if rand() < 0.15;
    $gen = 1 if $gen < 1;

    my @answer = call('delta_session_resume', 2, key($user), $seen,
                      "presence:$user", $sid, $gen, $ttl, $resume);

    if (!$lease || $lease->{due} <= $now || $lease->{gen} != $gen) {
        die "$user: resume answers $answer[0][0]"
            if silent(@answer)->[0] != 0;

        $count{refused}++;
        delete $session{$sid};
        return enter($user);
    }

    announces($user, sub {
        $lease->{gen}++;
        $lease->{due} = $now + $window;
        $lease->{heard} = $now;
    }, @answer);

    die "$user: resume answers $answer[0][0]" if $answer[0][0] != $gen + 1;

    $live[$g]{$sid} = { gen => $gen + 1, user => $user };
    $session->{gen} = $gen + 1;
    $session->{away} = 0;
    $count{resumed}++;
}


sub refresh {
    my ($g) = @_;

    for my $sid (sort keys %{ $live[$g] }) {
        drop($g, $sid)
            if $now - ($live[$g]{$sid}{half_open} || $now) >= $window;
    }

    my @sids = shuffle(sort keys %{ $live[$g] }) or return;
    my (@keys, @args, %expect);

    for my $i (1 .. @sids) {
        my $sid = $sids[ $i - 1 ];
        my $here = $live[$g]{$sid};
        my $user = $here->{user};
        my $lease = $lease{$user}{$sid};
        my $quiet = $now - ($here->{half_open} || $now);

        push @keys, key($user);
        push @args, $sid, $here->{gen}, $quiet;

        if (!$lease) {
            $expect{$i} = 'gone';
        } elsif ($lease->{gen} != $here->{gen}) {
            $expect{$i} = 'replaced';
        } else {
            $count{revived}++ if $lease->{due} <= $now;
            $lease->{heard} = $now - $quiet;
            $lease->{due} = $lease->{heard} + $window;
        }
    }

    my $answer = silent(call('delta_session_refresh', @keys + 1, @keys,
                             $seen, $ttl, $resume, @args));
    my %is = map { $_->[0] => $_->[1] } @$answer;
    my $text = sub { join ' ', map { "$_=$_[0]{$_}" } sort keys %{ $_[0] } };

    die 'refresh answers ' . $text->(\%is) . ' for ' . $text->(\%expect)
        if $text->(\%is) ne $text->(\%expect);

    for my $i (sort { $a <=> $b } keys %expect) {
        my $sid = $sids[ $i - 1 ];
        my $here = delete $live[$g]{$sid};

        $count{ $expect{$i} }++;

        enter($here->{user})
            if $expect{$i} eq 'gone' && !$here->{half_open};
    }
}


# The gateway dies with all it was about to do; its clients may come back.

sub crash {
    my ($g) = @_;

    away($live[$g]{$_}, $_) for keys %{ $live[$g] };
    $live[$g] = {};

    $_->{lost}->() for grep { $_->{g} == $g } @tasks;
    @tasks = grep { $_->{g} != $g } @tasks;
    $count{crash}++;
}


# Sweeps, in pieces between which anything may happen.

sub sweep {
    my $g = int rand $gateways;

    $swept_at = $now;

    my ($answer, @heard) = call('delta_leases_claim', 1, 'delta:leases', 50,
                                $hold);
    my ($mark, $who) = @$answer;
    my @who = @$who;
    my $next;

    silent($answer, @heard);
    return unless @who;

    $until{$_} = max($until{$_} // 0, $now + $hold) for @who;

    if (rand() < 0.05) {
        $count{sweeper_crash}++;
        return;
    }

    # what is not done within the hold, another sweep does

    task($g, sub {
        my ($again) = @_;

        if (!defined $next) {
            $next = expire($who[0]);
            enter($who[0]) if !$next && !$ending && rand() < 0.3;
        } else {
            silent(call('delta_leases_done', 1, 'delta:leases', $who[0],
                        $mark, $next));
            shift @who;
            undef $next;
        }

        $again->() if @who;
    }, sub {
        $count{sweeper_crash}++;
    });
}


sub expire {
    my ($user) = @_;

    my @answer = call('delta_presence_expire', 2, key($user), $seen,
                      "presence:$user");

    announces($user, undef, @answer);

    my $due = min(map { $_->{due} } values %{ $lease{$user} }) // 0;

    die "$user: next due $answer[0], not $due" if $answer[0] != $due;

    return $answer[0];
}


# What a gateway is about to do: done in pieces, or lost with it.

sub task {
    my ($g, $code, $lost) = @_;

    push @tasks, { g => $g, at => $now, code => $code,
                   lost => $lost || sub { } };
}


sub work {
    run_task(splice @tasks, rand @tasks, 1);
}


sub run_task {
    my ($task) = @_;

    $task->{code}->(sub { push @tasks, $task });
}


# Nobody is shown for long without a lease, and none is without an index.

sub late {
    my %index = @{ $t->redis('ZRANGE', 'delta:leases', 0, -1, 'WITHSCORES') };

    for my $user (keys %lease) {
        die "$user: a lease without an index"
            if %{ $lease{$user} } && !$index{$user};
    }

    for my $user (keys %view) {
        next if $view{$user} eq offline($user);

        # since when a sweep could find it: see leases_add and leases_claim

        my $end = max($outage, $until{$user} // 0,
                      map { $_->{due} } values %{ $lease{$user} });

        die "$user: a ghost for " . ($now - $end) . ' ms'
            if $now - $end > 2 * $sweep_every + $patience;
    }
}


# Everybody goes; what is left in Redis must be nothing.

sub end {
    $ending = 1;
    work() while @tasks;

    for (my $i = 0; $i < 12; $i++) {
        advance($i ? $hold : $window);
        sweep();
        work() while @tasks;
    }

    for my $user (sort keys %version) {
        die "$user: a ghost: $view{$user}" if $view{$user} ne offline($user);

        my $fields = join ' ', sort @{ $t->redis('HKEYS', key($user)) };
        die "$user: left behind: $fields" if $fields ne 'v';

        my $ms = $t->redis('ZSCORE', $seen, $user);
        die "$user: last seen $ms, not $heard{$user}"
            if $ms != $heard{$user};
    }

    die 'the index is not empty' if $t->redis('ZCARD', 'delta:leases') != 0;
}
