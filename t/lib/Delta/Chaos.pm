package Delta::Chaos;

# Copyright (C) Delta contributors

# A run of chaos: publishers, clients and faults in one loop of events, and
# at its end the question whether everyone has seen everything.
#
#   my $chaos = Delta::Chaos->new($t, seed => 7, seconds => 90);
#   $chaos->run;
#   $chaos->{record}{wrong}             # kind => [ texts ]

use strict;
use warnings;

use Delta::Chaos::Client;
use Delta::Chaos::Faults;
use Delta::Chaos::Publisher;
use Delta::Chaos::Random;
use Delta::Chaos::Record;
use Delta::Proxy;
use Delta::Process qw(free_port wait_for);
use Time::HiRes qw(time);

my $RATE = 600;                         # events a second
my $LITTLE = 40;                        # replay= of the channels little:*
my %KINDS = (ch => 7, merged => 4, little => 3);
my @CHANNELS = map { my $kind = $_; map { "$kind:$_" } 0 .. $KINDS{$kind} - 1 }
    qw(ch merged little);


sub new {
    my ($class, $t, %opt) = @_;

    my $self = bless { t => $t, stats => {}, resyncs => {}, excused => {},
                       newest => {}, credit => 0, %opt }, $class;

    $self->{record} = Delta::Chaos::Record->new;
    $self->{random} = Delta::Chaos::Random->new($self->{seed});

    return $self;
}


sub run {
    my ($self) = @_;

    $self->start_servers;
    $self->people;

    my $faults = $self->{faults} = Delta::Chaos::Faults->new(
        t => $self->{t}, proxy => $self->{proxy}, seconds => $self->{seconds},
        random => Delta::Chaos::Random->new($self->{seed} + 1),
        without => $self->{without},
        clients => $self->{clients}, channels => \@CHANNELS,
        sets => $self->{sets}, burst => sub { $self->{credit} += 300 });

    $faults->{start} = $self->{start} = time;

    $self->loop(sub { !$faults->tick($_[0])
                      && $_[0] > $self->{start} + $self->{seconds} }, 1);

    $self->{settling} = time;
    $_->{cuts} = 0 for @{ $self->{clients} };

    $self->loop(sub { $self->settled || $_[0] > $self->{settling}
                                                + 120 * $Delta::SLOW });

    $self->{settled_in} = time - $self->{settling};
    $self->judge;
}


sub start_servers {
    my ($self) = @_;

    my $t = $self->{t};
    my $redis = $t->{redis_port} = free_port();

    $t->start_redis('--appendonly', 'yes', '--appendfsync', 'always',
                    '--unixsocket', '', '--save', '');
    $self->{proxy} = Delta::Proxy->start($t, 'proxy', $redis);
    $t->{ports}[2] = $self->{proxy}{port};
    $t->allow(qr/exited on signal 9/);

    # a second port for those who may be slow
    my $http = <<"END";
delta_redis redis://127.0.0.1:%%PORT_2%% read_timeout=500ms
            connect_timeout=500ms;
delta_jwt_key_file jwks.json;
delta_jwt;
delta_channel ch:* replay=3000;
delta_channel merged:* replay=3000 window=150ms max=10;
delta_channel little:* replay=$LITTLE;
delta_drain 2s;
delta_subscribe ch:* from=user:\$delta_user:ch;
delta_subscribe merged:* from=user:\$delta_user:merged;
delta_subscribe little:* from=user:\$delta_user:little;
delta_limit rate=6000r/m;
delta_queue bytes=8m events=20000;

server {
    listen 127.0.0.1:%%PORT_1%% sndbuf=16k;
    location = /gateway {
        delta_gateway;
        delta_queue bytes=200k events=1500 age=3s;
    }
}
END

    $t->start_nginx($t->conf(http => $http, server => <<'END'), workers => 2);
location = /gateway { delta_gateway; }
location = /metrics { delta_jwt off; delta_metrics; }
END
}


sub people {
    my ($self) = @_;

    my $t = $self->{t};
    my $random = $self->{random};
    my $record = $self->{record};

    for my $i (0 .. ($self->{nclients} // 28) - 1) {
        my $tight = $i % 7 == 6;
        my @order = $random->shuffle(@CHANNELS);
        my @mine = sort $i % 9 == 0 ? @order
            : @order[ 0 .. int $random->number(4) ];
        my $user = "u$i";

        for my $kind (sort keys %KINDS) {
            my @ids = map { /^$kind:(.*)/ ? $1 : () } @mine;
            push @{ $self->{sets} }, [ 'SADD', "user:$user:$kind", @ids ]
                if @ids;
        }

        push @{ $self->{clients} }, Delta::Chaos::Client->new(
            name => $user, channels => \@mine, kind => $i % 2 ? 'sse' : 'ws',
            token => $t->token($user, exp => time + 3600),
            port => $t->port($tight ? 1 : 0), path => '/gateway',
            tight => $tight, record => $record, cuts => 0.3,
            random => Delta::Chaos::Random->new($self->{seed} * 100 + $i),
            stats => $self->{stats}, judge => sub { $self->resync(@_) },
            break => $self->{break});
    }

    $t->redis(@$_) for @{ $self->{sets} };

    wait_for(sub { eval { $t->redis('FCALL_RO', 'delta_version', 0) } })
        or die "the function library is not there\n";

    $self->{publishers} = [ map {
        Delta::Chaos::Publisher->new(source => "p$_", record => $record,
                                     port => $t->{redis_port})
    } 0 .. 2 ];
}


# One turn of the loop after the other until the condition holds.

sub loop {
    my ($self, $until, $publishing) = @_;

    my $before = time;

    while (1) {
        my $now = time;

        last if $until->($now);

        $self->make($now - $before) if $publishing;
        $before = $now;

        $_->tick($now), $_->flush for @{ $self->{publishers} };
        $_->tick($now) for @{ $self->{clients} };

        $self->turn;
    }
}


sub turn {
    my ($self) = @_;

    my ($in, $out) = ('', '');
    my (@all);

    for my $one (@{ $self->{publishers} }) {
        vec($in, fileno $one->{fh}, 1) = 1 if $one->{fh};
        push @all, $one if $one->{fh};
    }

    for my $one (@{ $self->{clients} }) {
        my ($read, $write) = $one->wants or next;
        vec($in, fileno $one->{fh}, 1) = 1 if $read;
        vec($out, fileno $one->{fh}, 1) = 1 if $write;
        push @all, $one;
    }

    return if select($in, $out, undef, 0.01) <= 0;

    for my $one (@all) {
        my $fd = fileno $one->{fh};
        $one->readable if vec $in, $fd, 1;
        $one->writable if $one->{fh} && vec $out, $fd, 1;
    }
}


# New events, at a steady rate, each by a publisher that is free for it.

sub make {
    my ($self, $seconds) = @_;

    my $random = $self->{random};
    my $credit = \$self->{credit};

    $$credit += $RATE * ($seconds > 0.5 ? 0.5 : $seconds);
    $$credit = 400 if $$credit > 400;

    for (1 .. $$credit) {
        my $channel = $random->one(@CHANNELS);
        my ($publisher) = grep { !$_->busy($channel) }
            $random->shuffle(@{ $self->{publishers} });

        # what cannot be said now may be said later
        next unless $publisher;

        my $entity = $random->number < 0.5 ? int $random->number(3) : undef;
        my $g = $self->{record}->create($channel, $entity,
                                        int $random->number(4));

        $publisher->publish($channel, $g);
        $$credit--;
    }
}


sub resync {
    my ($self, $client, $channel, $reason) = @_;

    my $excuse = $self->{faults}->excuse($client, $channel, $reason);

    $excuse ||= 'far behind'
        if $reason eq 'too_many'
           && ($client->{tight} || $channel =~ /^little:/
               || $self->behind($client, $channel) > 2000);

    $self->{resyncs}{ "$reason: " . ($excuse || 'no excuse') }++;

    return if $excuse;

    my ($last) = grep { $_->{kind} ne 'trim' }
        reverse @{ $self->{faults}{happened} };

    $self->{record}->wrong('resync', sprintf '%s: %s %s at %.2f s, last %s '
        . 'at %.2f s', $client->{name}, $channel // 'all', $reason,
        time - $self->{start}, $last ? ($last->{kind},
        $last->{at} - $self->{start}) : ('nothing', 0));
}


sub behind {
    my ($self, $client, $channel) = @_;

    my $record = $self->{record};
    my $last = $client->{last}{$channel} // 0;

    return scalar grep { ($record->{id}[$_] // 1e18) > $last }
        @{ $record->{of}{$channel} };
}


# Everything answered, everyone caught up.

sub settled {
    my ($self) = @_;

    return 0 if grep { !$_->idle } @{ $self->{publishers} };

    if (!$self->{record}{order}) {
        my $record = $self->{record};
        $record->settle;
        $self->{newest} = { map { $_ => $record->{order}{$_}[-1] }
                            keys %{ $record->{order} } };
    }

    return !grep { !$_->caught_up($self->{newest}) } @{ $self->{clients} };
}


sub judge {
    my ($self) = @_;

    my $record = $self->{record};

    if (!$record->{order}) {
        $record->wrong('settle', 'the publishers did not come to an end');
        return;
    }

    for my $client (@{ $self->{clients} }) {
        $record->wrong('settle', "$client->{name}: is not caught up, "
                                 . "$client->{state}")
            unless $client->caught_up($self->{newest});

        $record->verify($client->{name}, $_, $client->{seen}{$_},
                        $client->{merged}) for sort keys %{ $client->{mine} };
    }

    $self->write_journal;

    # who does not answer keeps nginx from ending
    $_->disconnect('the end') for @{ $self->{clients} };
}


# All that happened, by time, for whom something is wrong.

sub write_journal {
    my ($self) = @_;

    $self->{t}->file('chaos.log', join '',
                     map { "$_\n" } $self->journal(@{ $self->{clients} }));
}


# Of some clients, with all faults.

sub journal {
    my ($self, @clients) = @_;

    my @lines = map { my $c = $_;
        map { [ $_->[0], "$c->{name} $c->{kind}: $_->[1]" ] }
            @{ $c->{journal} } } @clients;

    push @lines, map { [ $_->{at}, sprintf 'FAULT %s %.2f s %s', $_->{kind},
        $_->{end} - $_->{at}, join ' ', sort keys %{ $_->{channels} || {} } ] }
        @{ $self->{faults}{happened} };

    return map {
        sprintf '%8.3f %.3f %s', $_->[0] - $self->{start}, @$_
    } sort { $a->[0] <=> $b->[0] } @lines;
}


# What the first client went through of whom something is wrong; the faults, if
# nobody has a name.

sub story {
    my ($self, @wrong) = @_;

    return unless @wrong;

    my ($name) = map { /^(u\d+): / ? $1 : () } @wrong;
    $name //= 'nobody';
    my @lines = $self->journal(grep { $_->{name} eq $name }
                               @{ $self->{clients} });

    splice @lines, 0, -400 if @lines > 400;

    return "what happened to $name:", @lines;
}


sub summary {
    my ($self) = @_;

    my $record = $self->{record};
    my $list = sub {
        my ($hash) = @_;
        return join ', ', map { "$_ $hash->{$_}" } sort keys %$hash;
    };

    my %stats = %{ $self->{stats} };
    my $connections = 0;
    $connections += $_->{connections} for @{ $self->{clients} };
    my $retries = 0;
    $retries += $_->{lost} // 0 for @{ $self->{publishers} };

    return (
        sprintf('%d events, %d deliveries, %d dropped as known, %d merged; '
                . '%d clients, %d connections; settled in %.1f s',
                $record->{g}, delete $stats{deliveries} // 0,
                delete $stats{'dropped as known'} // 0, $record->{merged},
                scalar @{ $self->{clients} }, $connections,
                $self->{settled_in}),
        'faults: ' . $list->($self->{faults}{count}),
        "publishers' lost links: $retries",
        'resyncs: ' . $list->($self->{resyncs}),
        'clients: ' . $list->(\%stats),
    );
}

1;
