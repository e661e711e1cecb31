#!/usr/bin/perl

# Copyright (C) Delta contributors

# Random events on channels with windows, clients on both transports that are
# cut and come back at random: in the end each has the publisher's state, and
# each event that cannot be merged once.  SEED= repeats a run.

use Delta;
use IO::Select;
use Time::HiRes qw(time);

my $seed = $ENV{SEED} || int rand 1_000_000;
my $t = Delta->new;
my @channels = qw(prop:1 prop:2 prop:3);
my (%truth, %published, $n);

diag("SEED=$seed");
srand $seed;

$t->start_redis;
$t->redis('SADD', 'props', 1 .. 3);
$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%%;
             delta_jwt_key_file jwks.json;
             delta_channel prop:* window=50ms max=16 replay=10000;',
    server => 'delta_jwt; delta_queue bytes=4m events=16384;
        location = /gateway {
            delta_gateway;
            delta_subscribe prop:* from=props;
        }'), workers => 2);

# "full" says cursor and positions, "since" the cursor alone

my @all = map {
    my $transport = $_;
    map { { transport => $transport, name => "$transport, $_", by => $_,
            state => {}, notes => {}, last => {} } }
        qw(full full since since);
} qw(ws sse);

# what has no cursor cannot come back

for my $client (@all) {
    wait_for(sub {
        come($client);
        my $ready = $client->{stream}->read_until('ready') or return;
        return $client->{cursor} = $ready->{d}{cursor};
    }, 10);
}

my $end = time + 6 * ($ENV{ROUNDS} || 1);

while (time < $end) {
    emit() for 1 .. int rand 4;

    my $select = IO::Select->new(map { $_->{stream}{socket} }
                                 grep { $_->{stream} } @all);
    $select->can_read(0.001 + rand 0.03);

    for my $client (@all) {
        if (!$client->{stream}) {
            come($client) if rand() < 0.2;

        } elsif (rand() < 0.03) {
            look($client, 0.01, int rand 5) if rand() < 0.5;
            $client->{cuts}++;
            delete($client->{stream})->disconnect;

        } else {
            look($client, 0.0001) if rand() < 0.9;
            $client->{stream}->send_json({ t => 'heartbeat' })
                if $client->{stream} && $client->{transport} eq 'ws'
                   && rand() < 0.1;
        }
    }
}

my %last = map { $_ => publish($_, 'note', { n => 'end' }) } @channels;

for my $client (@all) {
    my $late = time + 30 * $Delta::SLOW;

    come($client) if !$client->{stream};

    while (time < $late
           && grep { ($client->{notes}{$_}[-1] // '') ne 'end' } @channels)
    {
        look($client, 0.1);
    }

    for my $c (@channels) {
        is_deeply($client->{state}{$c}, $truth{$c},
                  "$client->{name}: the state of $c after "
                  . ($client->{cuts} // 0) . ' cuts');
        is(join(' ', @{ $client->{notes}{$c} }),
           join(' ', @{ $published{$c} }), 'and every note once, in order');
    }

    is(join(', ', @{ $client->{resyncs} || [] }), '', 'no resync');
}

cmp_ok(scalar(map { @{ $published{$_} } } @channels), '>', 30, 'many notes');
diag("SEED=$seed, $n events") if !Test::More->builder->is_passing;

done_testing;


sub come {
    my ($client) = @_;

    my $query = $client->{cursor} ? "since=$client->{cursor}" : '';

    if ($client->{by} eq 'full' && $client->{cursor}) {
        $query .= join ',', '&at=', map { "$_=$client->{last}{$_}" }
            grep { ms($client->{last}{$_}) > ms($client->{cursor}) }
            sort keys %{ $client->{last} };
        $query =~ s/&at=,?/&at=/;
        $query =~ s/&at=$//;
    }

    my $transport = $client->{transport};
    $client->{stream} = $t->$transport("/gateway?$query",
                                       token => $t->token('ben'));
}


# Takes what is there, at most that many.

sub look {
    my ($client, $wait, $most) = @_;

    my $stream = $client->{stream};

    for (my $i = 0; !defined $most || $i < $most; $i++) {
        my $event;

        if ($client->{transport} eq 'ws') {
            $event = $stream->read_json($wait);

        } elsif (my $block = $stream->read_block($wait)) {
            $client->{cursor} = $block->{id} if defined $block->{id};
            next if !defined $block->{data};
            $event = json_decode($block->{data});
        }

        last if !$event;
        took($client, $event);
    }
}


sub took {
    my ($client, $event) = @_;

    my ($type, $c, $id, $d) = @$event{qw(t c id d)};

    if (!defined $c) {
        push @{ $client->{resyncs} }, "$d->{reason} after $n events"
            if $type eq 'resync';
        $client->{cursor} = $d->{cursor}
            if $d->{cursor} && ms($d->{cursor}) >= ms($client->{cursor} // '')
               && $type eq 'heartbeat_ack';
        return;
    }

    return if $id && $client->{last}{$c} && !above($id, $client->{last}{$c});
    $client->{last}{$c} = $id if $id;
    push @{ $client->{trace}{$c} }, ($id // '-') . " $type";

    if ($type eq 'note') {
        push @{ $client->{notes}{$c} }, $d->{n};
    } else {
        change($client->{state}{$c} //= {}, $type, $d);
    }
}


# One random event.

sub emit {
    my $c = $channels[rand @channels];
    my $what = rand;

    $n++;

    if ($what < 0.1) {
        publish($c, 'note', { n => $n });

    } elsif ($what < 0.2) {
        publish($c, 'presence_update', { id => 'p' . int rand 3, s => "s$n" });

    } elsif ($what < 0.4) {
        my $space = $truth{$c}{space} //= {};
        my $id = 'o' . int rand 5;
        my $object = { id => $id, n => $n, (rand() < 0.3 ? (x => $n) : ()) };

        publish($c, 'space_delta', {
            timestamp => "$n",
            !$space->{$id} ? (created => [ $object ])
            : rand() < 0.5 ? (updated => [ $object ]) : (deleted => [ $id ]),
        });

    } else {
        publish($c, 'patch', {
            entity_type => 'user', entity_id => 'e' . int rand 4,
            diff => { map { ('k' . int rand 3) => random() } 1 .. 2 },
        });
    }
}


sub random {
    my $what = rand;

    return $what < 0.2 ? undef
         : $what < 0.5 ? { 'm' . int rand 2 => $n,
                           v => rand() < 0.5 ? undef : 1 }
         : $n;
}


sub publish {
    my ($c, $type, $d) = @_;

    if ($type eq 'note') {
        push @{ $published{$c} }, $d->{n};
    } else {
        change($truth{$c} //= {}, $type, json_decode(json_encode($d)));
    }

    return $t->publish($c, { t => $type, d => $d });
}


sub change {
    my ($state, $type, $d) = @_;

    if ($type eq 'patch') {
        merge($state->{patch}{ $d->{entity_id} } //= {}, $d->{diff});

    } elsif ($type eq 'presence_update') {
        $state->{presence}{ $d->{id} } = $d->{s};

    } else {
        my $space = $state->{space} //= {};

        delete @$space{ @{ $d->{deleted} || [] } };
        $space->{ $_->{id} } = $_
            for @{ $d->{created} || [] }, @{ $d->{updated} || [] };
    }
}


# RFC 7396.

sub merge {
    my ($target, $patch) = @_;

    for my $key (keys %$patch) {
        my $value = $patch->{$key};

        if (!defined $value) {
            delete $target->{$key};
        } elsif (ref $value eq 'HASH') {
            $target->{$key} = {} if ref $target->{$key} ne 'HASH';
            merge($target->{$key}, $value);
        } else {
            $target->{$key} = $value;
        }
    }
}


sub ms {
    my ($text) = @_;

    return $text =~ /^(\d+)-/ ? $1 : $text =~ /\.(\d+)$/ ? $1 : 0;
}


sub above {
    my ($one, $two) = map { [ split /-/ ] } @_;

    return $one->[0] > $two->[0]
           || $one->[0] == $two->[0] && $one->[1] > $two->[1];
}
