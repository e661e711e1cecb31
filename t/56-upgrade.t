#!/usr/bin/perl

# Copyright (C) Delta contributors

# A new nginx binary takes over from the running one, or gives up again, with
# sessions open: by USR2, WINCH, HUP and QUIT, as nginx's manual has it.

use Delta;
use Delta::Follower;
use POSIX ();

my $t = Delta->new;
my @channels = qw(user:ada user:eve);

# Orphans become ours, so that nobody is left and every status is seen.

my %prctl = (x86_64 => 157, aarch64 => 167, armv7l => 172, i686 => 172,
             ppc64le => 171, s390x => 172, riscv64 => 167);
my $prctl = $prctl{ (POSIX::uname())[4] } || 0;

if (!$prctl || syscall($prctl, 36, 1, 0, 0, 0) != 0) {
    plan(skip_all => 'no child subreaper here');
}

$t->start_redis;
$t->redis('SADD', 'user:ben:follows', 'ada', 'eve');

start_daemon();

my @all = map { (follower('ws'), follower('sse')) } 1 .. 3;
my $old = master('nginx.pid');

ok(watch(sub { sessions() }), 'sessions on both transports');

my $publisher = Delta::Publisher->start($t, @channels);
my $had;


# Upgrade and back: the new binary is started and given up.

my @workers = children($old);
my $new = upgrade('rollback');

gone('WINCH', $old, @workers);
ok(watch(sub { progress() > $had + 10 }),
   'all get events, from the new binary');
is(scalar(grep { running($_) } children($old)), 0,
   'the old master has no workers');

# "HUP old, QUIT new": it starts workers of its own again
kill 'HUP', $old;
ok(watch(sub { children($old) >= 2 }), 'the old master starts workers');
forget();
@workers = children($new);
kill 'QUIT', $new;
ok(watch(sub { !running($new) && !grep { running($_) } @workers }),
   'the new binary ends by itself');
told('back to the old binary');
ok(watch(sub { sessions() && progress() > $had + 10 }),
   'all get events, from the old binary');
ok(watch(sub { master('nginx.pid') == $old }), 'which has its pid file again');


# Upgrade for good: with the workers first, or with all at once.

for my $how ('WINCH and QUIT', 'QUIT') {
    my @workers = children($old);
    my $new = upgrade($how);

    gone('WINCH', $old, @workers) if $how =~ /WINCH/;

    forget();
    kill 'QUIT', $old;
    ok(watch(sub { !running($old) && !grep { running($_) } @workers }),
       "$how: the old binary ends by itself");

    if ($how eq 'QUIT') {
        told('QUIT');
    } else {
        is(scalar(grep { @{ $_->{closes} } } @all), 0,
           'sessions of the new binary do not notice');
    }

    ok(watch(sub { sessions() && progress() > $had + 10 }),
       'all get events, from the new binary');
    ok(watch(sub { master('nginx.pid') == $new }), 'which has the pid file');
    $old = $new;
}

my $n = $publisher->stop;
ok(watch(sub { !grep { !$_->has($n, @channels) } @all }),
   "all of $n events came, on each channel");

my @wrong = Delta::Follower->wrong(@all);
is("@wrong", '', 'nothing lost, no order broken, no resync');

my %now = $t->http(GET => '/metrics')->body =~ /^(delta_\S+) (\d+)$/mg;
is($now{'delta_sessions{transport="ws"}'}, 3, 'the gauges are right');
is($now{'delta_sessions{transport="sse"}'}, 3, 'for both transports');

$_->{stay} = 1, $_->leave for @all;
kill 'QUIT', $old;
ok(wait_for(sub { !running($old) }), 'the end');

done_testing;


# nginx heeds USR2 only where who started it has gone.

sub start_daemon {
    my $conf = $t->expand($t->conf(
        main => 'env LD_PRELOAD; env ASAN_OPTIONS; env UBSAN_OPTIONS;
                 env LSAN_OPTIONS;',
        http => 'delta_redis %%REDIS%%;
                 delta_jwt_key_file jwks.json;
                 delta_channel user:* replay=20000;
                 delta_drain 2s;',
        server => 'location = /gateway {
            delta_gateway;
            delta_jwt;
            delta_subscribe user:* from=user:$delta_user:follows;
            delta_limit connections=100;
        }
        location = /metrics { delta_metrics; }'), workers => 2);

    $conf =~ s/^daemon off;\n//m;
    $t->file('nginx.conf', $conf);

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        POSIX::setpgid(0, 0);
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $t->file('stderr.log');
        open STDERR, '>&', \*STDOUT;
        { exec $t->sanitizer_env, $Delta::NGINX, '-p', $t->dir . '/', '-c',
               'nginx.conf', '-e', $t->dir . '/error.log' }
        POSIX::_exit(127);
    }

    waitpid $pid, 0;
    is($?, 0, 'nginx is a daemon');
    ok(wait_for(sub { master('nginx.pid') }), 'with a pid file');
}


# A second binary beside the first.

sub upgrade {
    my ($what) = @_;

    $had = progress();
    kill 'USR2', $old;

    my $new;
    ok(watch(sub {
        $new = master('nginx.pid');
        return $new && $new != $old && master('nginx.pid.oldbin') == $old
               && children($new) >= 2;
    }), "$what: a new binary runs beside the old one") or die;

    return $new;
}


# The workers are told to go and take leave of their sessions.

sub gone {
    my ($signal, $master, @workers) = @_;

    forget();
    kill $signal, $master;
    ok(watch(sub { !grep { running($_) } @workers }),
       "$signal: the old workers end by themselves");
    told($signal);
    ok(running($master), 'their master stays');
    ok(watch(sub { sessions() }), 'all are back');
}


# Those of the leaving side, be they all, have had their goodbye.  The last
# bytes may still be on their way when the worker has gone.

sub told {
    my ($what) = @_;

    watch(sub { !grep { @{ $_->{after} } != @{ $_->{closes} } } @all });

    my @closes = map { @{ $_->{closes} } } @all;

    ok(@closes && !(grep { $_ != 4001 } @closes),
       "$what: sessions are closed by 4001") or diag("@closes");
    is(scalar(grep { @{ $_->{after} } != @{ $_->{closes} } } @all), 0,
       'and were told before');
}


sub follower {
    my ($kind) = @_;

    return Delta::Follower->new($t, $kind => '/gateway',
                                token => $t->token('ben'));
}


sub watch {
    my ($condition, $timeout) = @_;

    return Delta::Follower->until($condition, $timeout, @all);
}


sub sessions {
    return !grep { !$_->{client} || !$_->{ready} } @all;
}


sub progress {
    my ($least) = sort { $a <=> $b } map { $_->{next}{'user:ada'} // 0 } @all;

    return $least;
}


sub forget {
    $had = progress();
    $_->{closes} = [], $_->{after} = [] for @all;
}


# The process of a pid file, or 0.

sub master {
    my ($file) = @_;

    my ($pid) = ($t->read_file($file) // '') =~ /(\d+)/;

    return $pid && running($pid) ? $pid : 0;
}


# The workers of a master.

sub children {
    my ($master) = @_;

    open my $fh, '<', "/proc/$master/task/$master/children" or return;

    return grep { Delta::worker($_) } split ' ', <$fh> // '';
}


# Takes the status of what has become ours.

sub running {
    my ($pid) = @_;

    waitpid $pid, POSIX::WNOHANG();

    open my $fh, '<', "/proc/$pid/stat" or return 0;

    return (<$fh> // '') !~ /^\d+ \(.*\) Z/;
}


END {
    # whatever went wrong: none of them stays
    if ($t && $old) {
        kill 'KILL', map { ($_, children($_)) } grep { $_ }
            master('nginx.pid'), master('nginx.pid.oldbin');
    }
}
