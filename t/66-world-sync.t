#!/usr/bin/perl

# Copyright (C) Delta contributors

# The client library's part of a world, in Node before the whole of Delta: a
# client that is cut off at random ends with the backend's visible state.
# DELTA_SEED repeats.

use Delta;

use Delta::Node qw(relay);
use Delta::World;

my $node = `node --version 2>&1` // '';
$node =~ /^v(\d+)/ && $1 >= 18
    or plan(skip_all => 'node 18 or newer is needed (package nodejs)');

my $t = Delta->new;
my $seed = $ENV{DELTA_SEED} || 1 + int rand 1e6;

$t->start_redis;
$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%%; delta_channel world:* keep=2s;',
    server => $Delta::World::LOCATIONS), workers => 2);

my @world = qw(--world default --tick 20 --npcs 30 --archive-interval 50
               --snapshot-ttl 2);

$t->start_upstream(@world);

ok(wait_for(sub { $t->http(GET => '/world/init')->{status} == 200 }),
   'there is a world');
note("seed $seed");

my %env = (
    DELTA_URL => 'http://127.0.0.1:' . $t->port,
    DELTA_SEED => $seed,
    DELTA_SLOW => $Delta::SLOW,
    DELTA_TOP => $Delta::TOP,
);

my $file = "$Delta::TOP/t/client/live/world.test.js";

subtest 'cut off at random' => sub { relay($file, 60, %env) };

# Behind its kill the world goes on with an older state and other numbers.

$t->stop('upstream', 'KILL');
$t->start_upstream(@world);

subtest 'after a kill of the backend' => sub { relay($file, 60, %env) };

# Of a world that was stopped there is its last tick; of one that was killed,
# the last whole state.

for my $signal (qw(TERM KILL)) {
    $t->start_upstream(@world) if !$t->alive('upstream');
    wait_for(sub { $t->redis('EXISTS', 'snapshot:default:' . latest()) });
    $t->stop('upstream', $signal);
    wait_for(sub { !@{ $t->redis('KEYS', 'snapshot:default:*') } });

    my $init = $t->http(GET => '/world/init')->json;

    $env{DELTA_TICK_EXPECTED} = $signal eq 'TERM' ? latest()
                                                  : $init->{fullState}{tick};
    subtest "stopped by $signal" => sub {
        relay("$Delta::TOP/t/client/live/still.test.js", 20, %env);
    };
}

done_testing;


sub latest {
    return $t->redis('GET', 'latest_tick:default') // 0;
}
