#!/usr/bin/perl

# Copyright (C) Delta contributors

# nginx comes and goes under live sessions on both transports: they hear of it
# in time, come back, and have every event that was published meanwhile.

use Delta;
use Delta::Follower;
use Time::HiRes qw(time);

my $t = Delta->new;
my @channels = qw(user:ada user:eve);

$t->start_redis;
$t->redis('SADD', 'user:ben:follows', 'ada', 'eve');

my $conf = conf('drain' => '1s');

$t->start_nginx($conf, workers => 2);

my @all = map { (follower('ws'), follower('sse')) } 1 .. 4;

ok(watch(sub { sessions(1) }), 'sessions on both transports');


# Ten reloads in a row under a steady publisher.

my $publisher = Delta::Publisher->start($t, @channels);

for my $round (1 .. 10) {
    my @old = $t->workers;
    my $had = $all[0]{next}{'user:ada'} // 1;

    ok($t->reload, "reload $round: new workers");

    # every other one comes while old workers are still there
    next if $round % 2;

    ok(watch(sub { !grep { running($_) } @old }),
       "reload $round: the old workers have ended by themselves");
    ok(watch(sub { sessions(1) && $all[0]{next}{'user:ada'} > $had }),
       "reload $round: all sessions are back and get events");
}

my $n = $publisher->stop;
ok(watch(sub { all_have($n) }), "row 1.5: all of $n events came");
nothing_wrong('ten reloads');

my @closes = map { @{ $_->{closes} } } @all;
my @after = map { @{ $_->{after} } } @all;

is(scalar(grep { $_ != 4001 } @closes), 0, 'every session was closed by 4001');
cmp_ok(scalar @closes, '>=', 5 * @all, 'at least each time that was waited');
is(scalar @after, scalar @closes, 'each was told "reconnect" before');
is(scalar(grep { $_ !~ /^\d+$/ || $_ >= 1000 } @after), 0,
   'after_ms is within delta_drain');
cmp_ok(keys %{{ map { $_ => 1 } @after }}, '>', @after / 2,
       'and another one each time');
is(scalar(grep { $_->{parting} == 0 } @all), 0,
   'all got events between "reconnect" and the close');


# The time until the close is the session's own, whatever it is sent.

$_->{closes} = [] for @all;
$t->reload(conf(drain => '6s'));
ok(watch(sub { ended() }), 'as configured at the reload: another drain');

my @old = $t->workers;
$publisher = restart_publisher('user:busy');
ok(watch(sub { !grep { !$_->{next}{'user:busy'} } @all }),
   'all get a busy channel');

my %closed;
$_->{stay} = 1, $_->{closes} = [], $_->{after} = [] for @all;
my $asked = time;               # nobody is told before
$t->reload;
ok(watch(sub {
    for (0 .. $#all) {
        $closed{$_} ||= time if @{ $all[$_]{closes} };
    }
    return keys %closed == @all;
}), 'all are closed');

cmp_ok((sort { $b <=> $a } map { $_->{after}[0] // 0 } @all)[0], '>', 1000,
       'the new delta_drain holds');

my @early = grep { $closed{$_} - $asked < $all[$_]{after}[0] / 1000 - 1.2 }
    0 .. $#all;
is("@early", '', 'none is closed before its time because events came')
    or diag(map { sprintf "%s: told %d ms, closed after %.2f s\n",
                  $all[$_]{kind}, $all[$_]{after}[0], $closed{$_} - $asked }
            @early);

ok(wait_for(sub { !grep { running($_) } @old }), 'the old workers end');
$publisher->stop;
$_->{stay} = 0 for @all;
ok($t->reload(conf(drain => '1s')) && watch(sub { sessions(1) }),
   'back again');


# A broken configuration changes nothing for anybody.

@old = sort $t->workers;
my $before = join ' ', map { $_->{sessions} } @all;
my $from = length $t->log;

$t->write_conf(conf(drain => 'soon'), workers => 2);
kill 'HUP', $t->pid('nginx');
ok(wait_for(sub { substr($t->log, $from) =~ /\[emerg\].*delta_drain/ }),
   'a reload with a broken configuration is refused');
$t->allow(qr/invalid parameter "soon"/);

$publisher = restart_publisher('user:more');
ok(watch(sub { $all[0]->has(20, 'user:more') }), 'events go on');
$n = $publisher->stop;
ok(watch(sub { all_have($n, 'user:more') }), 'to all sessions');
is(join(' ', map { $_->{sessions} } @all), $before, 'which are the same');
is("@{[ sort $t->workers ]}", "@old", 'and so are the workers');
$t->write_conf(conf(drain => '1s'), workers => 2);
nothing_wrong('a broken reload');


# QUIT: the same drain, then nginx is gone by itself.

$publisher = restart_publisher('user:quit');
ok(watch(sub { all_have(5, 'user:quit') }), 'a steady publisher');
$_->{closes} = [], $_->{after} = [], $_->{parting} = 0 for @all;
kill 'QUIT', $t->pid('nginx');
ok(watch(sub { !$t->alive('nginx') }), 'QUIT: nginx exits by itself');
is($t->{status}{nginx} // -1, 0, 'with status 0');
watch(sub { !grep { $_->{client} } @all });
is(join(' ', map { "@{ $_->{closes} }" } @all), join(' ', (4001) x @all),
   'every session was closed by 4001');
is(scalar(grep { @{ $_->{after} } != 1 } @all), 0, 'having been told');
cmp_ok(scalar(grep { $_->{parting} } @all), '>=', @all / 2,
       'and having got events up to then');

$t->start_nginx(undef, workers => 2);
ok(watch(sub { sessions(1) }), 'on the next nginx they come back');
nothing_wrong('QUIT');


# TERM and stop: at once, and no goodbye.  What was missed comes all the same.

for my $signal ('TERM', 'nginx -s stop') {
    my $had = $all[0]{next}{'user:quit'};

    $_->{closes} = [], $_->{after} = [] for @all;

    if ($signal eq 'TERM') {
        kill 'TERM', $t->pid('nginx');
    } else {
        stop_by_command();
    }

    ok(watch(sub { !$t->alive('nginx') }), "$signal: nginx exits");
    is($t->{status}{nginx} // -1, 0, 'with status 0');
    watch(sub { !grep { $_->{client} } @all });

    # also by the second worker, if that took in whom the first had cut
    is(scalar(grep { "@{ $_->{closes} }" !~ /^1006(?: 1006)*$/ } @all), 0,
       'sessions are cut without a word');

    $t->start_nginx(undef, workers => 2);
    ok(watch(sub { sessions(1)
                   && $all[0]{next}{'user:quit'} > $had + 20 }),
       'on the next nginx they come back');
}

$n = $publisher->stop;
ok(watch(sub { all_have($n, 'user:quit') }), "all of $n events came");
nothing_wrong('TERM');


# What a reload changes holds for those who come after it.

my $other = Delta->new;
$other->start_redis;

my $ws;
my $got;

# its end may come before anything is published
for my $try (1 .. 5) {
    ok($t->reload(conf(drain => '1s')), 'again') if $try > 1;

    $ws = $t->ws('/live?user=eva');
    is_deeply(channels($ws), [ 'user:eva' ],
              'a session of the old configuration');

    ok($t->reload(conf(drain => '1s',
                       rules => 'delta_subscribe world:one;
                                 delta_subscribe user:$arg_user;',
                       channel => 'delta_channel user:* keep=2h replay=3;')),
       'other rules');
    ok($ws->read_until('reconnect'), 'the old session');
    $t->publish('user:eva', { t => 'n', d => { n => 1 } });
    $got = $ws->read_until('n');
    last if $got;
    is($ws->{close_code}, 4001, 'too late');
}

is($got && $got->{c}, 'user:eva', 'still gets what it is entitled to');
is(($ws->read_close)[0], 4001, 'up to its end');

$ws = $t->ws('/live?user=eva');
is_deeply(channels($ws), [ 'user:eva', 'world:one' ],
          'delta_subscribe: the new one holds for a new session');
$ws->disconnect;

$t->publish('user:eva', { t => 'n', d => { n => $_ } }) for 2 .. 9;
$ws = $t->ws('/live?user=eva&since=2020-01-01T00:00:00Z');
ok($ws->read_until('resync'), 'delta_channel: the new replay= holds');
$ws->disconnect;

my $ttl = $t->redis('PTTL', 'delta:{user:eva}');
$t->redis('FUNCTION', 'DELETE', 'delta');
ok($t->reload, 'with the library deleted, and a reload');
ok(wait_for(sub {
    return eval { $t->publish('user:eva', { t => 'n', d => { n => 10 } }) }
           && $t->redis('PTTL', 'delta:{user:eva}') > $ttl + 3_000_000;
}), 'the new keep= holds for whoever publishes');

ok($t->reload(conf(drain => '1s', redis => $other->{redis_port})),
   'another Redis');
ok(wait_for(sub {
    $ws = $t->ws('/live?user=eva') or return;
    $ws->read_json;
    $other->publish('user:eva', { t => 'n', d => { n => 77 } });
    my $event = $ws->read_json(1);
    $ws->disconnect;
    return $event && ($event->{d}{n} // 0) == 77;
}), 'delta_redis: new sessions listen to the new one');

$_->{stay} = 1, $_->leave for @all;

done_testing;


sub conf {
    my (%opt) = @_;

    my $rules = $opt{rules} || 'delta_subscribe user:$arg_user;';
    my $channel = $opt{channel} || 'delta_channel user:* replay=20000;';
    my $redis = $opt{redis} ? "redis://127.0.0.1:$opt{redis}" : '%%REDIS%%';

    return $t->conf(
        http => "delta_redis $redis;
                 delta_jwt_key_file jwks.json;
                 delta_drain $opt{drain};
                 $channel",
        server => 'location = /gateway {
            delta_gateway;
            delta_jwt;
            delta_subscribe user:* from=user:$delta_user:follows;
            delta_limit connections=100;
        }
        location = /live {
            delta_gateway;
            delta_user $arg_user;
            ' . $rules . '
        }
        location = /metrics { delta_metrics; }');
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


# All are open, and have been so at least that often.

sub sessions {
    my ($n) = @_;

    return !grep { !$_->{client} || !$_->{ready} || $_->{sessions} < $n } @all;
}


sub all_have {
    my ($n, @which) = @_;

    return !grep { !$_->has($n, @which ? @which : @channels) } @all;
}


sub nothing_wrong {
    my ($what) = @_;

    my @wrong = Delta::Follower->wrong(@all);

    is(scalar @wrong, 0, "$what: nothing lost, no order broken, no resync")
        or diag(map { "$_\n" } @wrong > 20 ? @wrong[0 .. 19] : @wrong);
}


# Every session has been closed once more and is back.

sub ended {
    my $ended = !grep { !@{ $_->{closes} } } @all;

    return $ended && sessions(1);
}


# A channel of its own for each publisher: all count from 1.

sub restart_publisher {
    my ($channel) = @_;

    my ($name) = $channel =~ /:(\w+)/;

    $t->redis('SADD', 'user:ben:follows', $name);
    $t->redis('FCALL', 'delta_publish', 1, 'user:ben:control',
              qq({"t":"grant","d":{"channel":"$channel"}}));

    watch(sub {
        !grep { !$_->{granted}{$channel} } @all;
    });

    return Delta::Publisher->start($t, $channel);
}


sub channels {
    my ($client) = @_;

    return [ sort @{ $client->read_json->{d}{channels} } ];
}


sub stop_by_command {
    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        open STDERR, '>>', $t->file('stderr.log');
        { exec $t->sanitizer_env, $Delta::NGINX, '-p', $t->dir . '/', '-c',
               'nginx.conf', '-e', $t->dir . '/error.log', '-s', 'stop' }
        POSIX::_exit(127);
    }

    waitpid $pid, 0;
    is($?, 0, 'nginx -s stop');
}


sub running {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/stat" or return 0;

    return (<$fh> // '') !~ /^\d+ \(.*\) Z/;
}
