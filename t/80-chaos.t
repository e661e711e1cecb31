#!/usr/bin/perl

# Copyright (C) Delta contributors

# Chaos: while Redis, the link to it, nginx and the clients fail in all ways
# at random, every event reaches every client in order, or the client is told.
#
#   SEED=7             the faults of that seed again
#   CHAOS_SECONDS=20   how long things go wrong
#   CHAOS_BREAK=drop   a client that forgets, to see that it would be noticed;
#                      also: swap, alter
#   CHAOS_WITHOUT=flush,kill   faults that are left out
#   DELTA_LEAVE=1      keeps the directory; chaos.log has what happened when

use Delta;
use Delta::Chaos;

my $seed = $ENV{SEED} || 1 + int rand 1e6;
my $seconds = $ENV{CHAOS_SECONDS} || 90;

diag("SEED=$seed");

my $t = Delta->new;
my $chaos = Delta::Chaos->new($t, seed => $seed, seconds => $seconds,
                              without => { map { $_ => 1 }
                                  split /,/, $ENV{CHAOS_WITHOUT} // '' },
                              break => scalar broken($ENV{CHAOS_BREAK} // ''));

$chaos->run;

diag($_) for $chaos->summary;

my %must = (
    lost => 'row 1.5: every event came, or its loss was told',
    order => 'on each connection, each channel comes in order and once',
    cursor => 'no cursor promised what had not been sent',
    id => 'an event has the same id everywhere',
    content => 'and the content that was published',
    unknown => 'nothing came that was not published',
    state => 'the state of each entity is right at the end',
    resync => 'nobody was told resync without a reason',
    protocol => 'clients were answered as the protocol says',
    settle => 'in the end everyone has caught up',
);

for my $kind (sort keys %must) {
    my @wrong = @{ $chaos->{record}{wrong}{$kind} || [] };

    ok(!@wrong, $must{$kind})
        or diag("SEED=$seed, $kind, " . @wrong . ":\n"
                . join "\n", @wrong > 15 ? @wrong[0 .. 14] : @wrong);
}

cmp_ok($chaos->{record}{g}, '>', 30 * $seconds / $Delta::SLOW,
       'there was something to lose');

# what is needed to find out, where nobody can repeat it
my @story = $chaos->story(map { @{ $chaos->{record}{wrong}{$_} || [] } }
                           sort keys %must);
diag(join "\n", @story) if @story;

done_testing;


# What makes a client forget what it got, once, in the middle of the run.

sub broken {
    my ($how) = @_;

    my $done = 0;
    my %break = (
        drop => sub { 1 },
        swap => sub {
            my ($client, $channel, $g) = @_;
            my $seen = $client->{seen}{$channel};
            splice @$seen, $#$seen, 0, $g;
            return 1;
        },
        alter => sub {
            my ($client, $channel, $g) = @_;
            return $done = 0 if !defined $chaos->{record}{entity}[$g];
            $client->{merged}{$g} = '{"entity_id":"0","diff":{"g":1}}';
            return 0;
        },
    );

    my $break = $break{$how} or return;

    return sub {
        my ($client, $channel) = @_;

        return 0 if $done || @{ $client->{seen}{$channel} } < 50;
        $done = 1;

        return $break->(@_);
    };
}
