#!/usr/bin/perl

# Copyright (C) Delta contributors

# 10,000 ticks through nginx, with clients that come, load and go, leave nothing
# behind in the worker.

use Delta;
use Delta::World qw(rss without_quarantine);

use Time::HiRes qw(time);

my ($FIRST, $LAST, $STEP) = (2000, 10_000, 50);

my $t = Delta->new;

$t->start_redis;

without_quarantine(sub {
    $t->start_nginx($t->conf(
        http => 'delta_redis %%REDIS%%; delta_channel world:* keep=10s;',
        server => $Delta::World::LOCATIONS), workers => 1);
    $t->start_upstream(qw(--world default --tick 3 --archive-interval 50
                          --archive-keep 4 --npcs 20 --snapshot-ttl 10
                          --backlog 1000));
});

my ($worker) = $t->workers;
my $world = Delta::World->new($t)->open;
my $start = $world->{tick};
my %count = (inits => 0, ranges => 0, streams => 0);

go_on($FIRST);
my @rss = rss($worker);

# what is kept for a client that is slow for once grows once, a leak always
for my $part (1 .. 4) {
    go_on($FIRST + $part * ($LAST - $FIRST) / 4);
    push @rss, rss($worker);
}

diag("10,000 ticks: kB at 2,000, 4,000 and so on: @rss; ", join ', ',
     map { "$count{$_} $_" } sort keys %count);

my ($least) = sort { $a <=> $b } map { $rss[$_] - $rss[$_ - 1] } 1 .. $#rss;
cmp_ok($least, '<', 128, 'no growth');
cmp_ok($world->{ticks}, '>', 0.9 * ($LAST - $FIRST), 'of all these ticks');
is($world->{wrong}, 0, 'which were right');
cmp_ok($count{streams}, '>=', ($LAST - $FIRST) / $STEP / 2,
       'while others came and went');

$world->cut;
done_testing;


# To the tick that is so many behind the first one.

sub go_on {
    my ($to) = @_;

    my $end = time + 120 * $Delta::SLOW;

    while ($world->{tick} < $start + $to && time < $end) {
        $world->read(5, $world->{tick} + $STEP);
        $world->open if !$world->{sse} || defined $world->{sse}{close};
        visit();
    }

    cmp_ok($world->{tick}, '>=', $start + $to, "$to ticks");
}


sub visit {
    my $init = $world->get('/world/init');
    my $from = $init->{currentTick} - 30;

    $count{inits}++ if $init->{fullState};
    $count{ranges}++
        if @{ $world->get("/world/snapshots?from=$from&to=$init->{currentTick}")
              ->{snapshots} };

    my $sse = $t->sse('/events');

    $count{streams}++ if $sse->read_json;
    $sse->disconnect;
}
