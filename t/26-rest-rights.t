#!/usr/bin/perl

# Copyright (C) Delta contributors

# Rights, at random: after any change of roles, overrides and members, the set
# in Redis, the list of channels, reading, and what a live subscription still
# gets say the same, and the same as a model of a few lines does.

use Delta;
use Delta::Rest;

my @users = qw(ada ben cleo erin);
my @roles = ('r1');
my @channels = qw(c1 c2 c3);
my $seed = $ENV{DELTA_SEED} || 26;
my $rounds = 120;

my $r = Delta::Rest->start(@users);
my $t = $r->{t};
my $g = '/api/guilds/g1';

srand $seed;

my %member = map { $_ => 1 } qw(ada ben cleo);
my %has = (ben => { r1 => 1 });
my %gives = (g1 => 1);                          # view_channel, by role
my %override = (c3 => { g1 => 'deny', r1 => 'allow' });

for my $name (qw(two three)) {
    push @roles, $r->api(ada => POST => "$g/roles", { name => $name })
        ->{json}{role_id};
}

my %count;
my %open;                                       # user => channel => 1

for my $role (@roles) {                         # so that some contradict
    $r->api(ada => POST => "$g/roles/$role/members/cleo");
    $has{cleo}{$role} = 1;
}

for my $round (1 .. $rounds) {
    my $what = change();
    my $bad = judge();

    $count{ $what->[0] }++;

    if ($bad) {
        fail("round $round of seed $seed: @$what: $bad");
        last;
    }
}

pass("$rounds rounds of " . join ', ', map { "$count{$_} $_" }
     sort keys %count);

$r->finish;


sub change {
    my $user = $users[ 1 + int rand @users - 1 ];
    my $role = $roles[ int rand @roles ];
    my $channel = $channels[ int rand @channels ];
    my $what = int rand 10;

    if ($what < 1) {
        my $to = $member{$user} ? "$g/members/$user/kick"
                                : "$g/members/$user";
        ok_status(ada => POST => $to);
        $member{$user} = !$member{$user};
        $has{$user} = {};
        return [ members => $user ];
    }

    if ($what < 4 && $member{$user}) {
        my $method = $has{$user}{$role} ? 'DELETE' : 'POST';
        ok_status(ada => $method => "$g/roles/$role/members/$user");
        $has{$user}{$role} = $method eq 'POST';
        return [ assignments => $user, $role ];
    }

    my $whose = rand() < 0.4 ? 'g1' : $role;

    if ($what < 6) {
        $gives{$whose} = !$gives{$whose};
        ok_status(ada => PATCH => "$g/roles/$whose", { permissions =>
            [ 'send_message', $gives{$whose} ? 'view_channel' : () ] });
        return [ roles => $whose ];
    }

    my $how = (qw(allow deny), '')[ int rand 3 ];
    my %lists = (allow => [], deny => []);

    $lists{$how} = [ 'view_channel' ] if $how;
    $override{$channel}{$whose} = $how;
    ok_status(ada => POST => "$g/channels/$channel/overrides/$whose",
              \%lists);

    return [ overrides => $channel, $whose, $how ];
}


sub ok_status {
    my $answer = $r->api(@_);

    fail("@_[0 .. 2]: $answer->{body}") if $answer->{status} >= 300;
}


sub may {
    my ($user, $channel) = @_;

    return 0 unless $member{$user};
    return 1 if $user eq 'ada';

    my @mine = grep { $has{$user}{$_} } @roles;
    my %said = map { ($override{$channel}{$_} || '') => 1 } @mine;
    my $all = $override{$channel}{g1} || '';

    return 1 if $said{allow};
    return 0 if $said{deny};
    return $all eq 'allow' ? 1 : 0 if $all;
    return scalar(grep { $gives{$_} } 'g1', @mine) ? 1 : 0;
}


# What is wrong now, or nothing.

sub judge {
    my $seen = $r->seen;

    for my $user (@users) {
        my @may = grep { may($user, $_) } @channels;
        my @set = $r->set("user:$user:channels");
        my $list = $r->api($user => GET => "$g/channels");
        my @list = sort map { $_->{channel_id} }
            @{ $list->{json}{channels} || [] };
        my @blind = grep {
            !grep { $_ eq 'view_channel' } @{ $_->{permissions} }
        } @{ $list->{json}{channels} || [] };

        return "$user: set @set, not @may" if "@set" ne "@may";
        return "$user: list @list, not @may" if "@list" ne "@may";
        return "$user: a channel without the right to view it" if @blind;

        for my $channel (@channels) {
            my $may = may($user, $channel);
            my $reads = $r->api($user => GET =>
                "$g/channels/$channel/messages")->{status} == 200;
            my $lost = grep { $_->{t} eq 'unsubscribed'
                && $_->{d}{channel} eq "channel:$channel" }
                @{ $seen->{$user} };

            return "$user reads $channel" if $reads && !$may;
            return "$user does not read $channel" if !$reads && $may;
            return "$user keeps $channel"
                if $open{$user}{$channel} && !$may && !$lost;
            return "$user is put out of $channel"
                if $open{$user}{$channel} && $may && $lost;

            my $answer = $r->subscribe($user, "channel:$channel");
            $open{$user}{$channel} = $answer eq 'subscribed';
            return "$user: $channel $answer" if $open{$user}{$channel} != $may;
        }
    }

    return;
}
