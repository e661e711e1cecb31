#!/usr/bin/perl

# Copyright (C) Delta contributors

# For a minute the way to Redis swallows every packet: nothing is refused and
# nothing is closed.  Sessions stay, nobody new is let in, and in the end every
# event of that minute arrives, but not those of a channel taken away meanwhile.
#
#   BLACK_HOLE_SECONDS=5   for so long

use Delta;
use Delta::Follower;
use Delta::Proxy;
use Time::HiRes qw(time);

my $seconds = $ENV{BLACK_HOLE_SECONDS} || 60;
my $t = Delta->new;

$t->start_redis;

my $proxy = Delta::Proxy->start($t, 'proxy', $t->{redis_port});

$t->redis('SADD', "user:$_:rooms", 'one', 'two') for qw(ben cleo);
$t->redis('SADD', 'user:cleo:rooms', 'lost');
$t->allow(qr/delta: .*link to Redis .* is down/);
$t->allow(qr/delta: Redis .* cannot be (?:used|reached)/);

$t->start_nginx($t->conf(
    http => "delta_redis redis://127.0.0.1:$proxy->{port} read_timeout=1s
                 connect_timeout=1s;
             delta_user \$arg_user;
             delta_channel room:* replay=20000;",
    server => 'location = /gateway {
            delta_gateway;
            delta_subscribe room:* from=user:$delta_user:rooms;
        }
        location = /metrics { delta_metrics; }'), workers => 2);

wait_for(sub { eval { $t->redis('FCALL_RO', 'delta_version', 0) } })
    or die 'the function library is not there';

my @channels = qw(room:one room:two);
my @all = map { Delta::Follower->new($t, $_ => '/gateway?user=ben') }
    qw(ws sse);
my $cleo = $t->ws('/gateway?user=cleo');

is($cleo->read_json->{t}, 'ready', 'a session that will lose a channel');
Delta::Follower->until(sub { !grep { !$_->{sessions} } @all }, 20, @all);

my $published = Delta::Publisher->start($t, @channels);

ok(Delta::Follower->until(sub { !grep { !$_->has(20, @channels) } @all }, 20,
                          @all), 'sessions on both transports get events');

my $start = time;

$proxy->mode('swallow');

ok(Delta::Follower->until(sub { links() == 0 }, 20, @all),
   'each worker notices');

# somebody is kicked, and something is said after it that is not for them
$t->redis('SREM', 'user:cleo:rooms', 'lost');
$t->publish('user:cleo:control', { t => 'revoke',
    d => { channel => 'room:lost' } });
$t->publish('room:lost', { t => 'n', d => { n => 'secret' } });

is($t->http(GET => '/gateway?user=ben')->status, 503, 'nobody is let in');

Delta::Follower->until(sub { time > $start + $seconds }, $seconds + 1, @all);
is(Delta::Follower->until(sub { 1 }, 1, @all) && $t->http(
       GET => '/gateway?user=ben')->status, 503, 'all the time');

my @lines = $t->log =~ /^.*\[error\].*delta: Redis.*$/mg;
cmp_ok(scalar @lines, '<', 20, 'without filling the log')
    or diag(join "\n", @lines);

$proxy->mode('pass');

my $now = $published->stop;

ok($now, 'events were published all the time');
ok(Delta::Follower->until(sub { !grep { !$_->has($now, @channels) } @all }, 30,
                          @all), "each gets all $now on each channel");
is_deeply([ Delta::Follower->wrong(@all) ], [],
          'in order, without a gap or a resync');
is_deeply([ map { @{ $_->{closes} } } @all ], [], 'and nobody was cut off');

my ($taken, $secret) = (0, 0);

$cleo->send_json({ t => 'heartbeat' });
$cleo->read_until(sub {
    $taken++ if $_[0]{t} eq 'unsubscribed';
    $secret++ if ($_[0]{c} // '') eq 'room:lost';
    $_[0]{c} && $_[0]{c} eq 'room:one' && $_[0]{d}{n} == $now;
}, 30);

is($taken, 1, 'what was taken away meanwhile is gone');
is($secret, 0, 'and nothing of it was sent');

$_->leave for @all;
done_testing;


sub links {
    my ($up) = $t->http(GET => '/metrics')->body =~ /^delta_redis_up (\d+)/m;

    return $up;
}
