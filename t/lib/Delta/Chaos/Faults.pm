package Delta::Chaos::Faults;

# Copyright (C) Delta contributors

# What goes wrong, and when: three streams of faults, all drawn from the seed
# before the run begins.  Redis and the link to it fail one at a time, so do
# nginx's processes, and clients are cut and stalled meanwhile.  {without} names
# kinds that are left out.
#
# %MAY says which resyncs a fault excuses; everything else excuses none.

use strict;
use warnings;

use Delta::Process qw(wait_for);
use Delta::Redis;
use Time::HiRes qw(time);

# kind => [ least, most seconds ] from its begin to its end
my %REDIS = (
    kill => [ 0.05, 2 ],                # and again from the append only file
    restart => [ 0.05, 0.5 ],           # in good order
    kill_pubsub => [ 0, 0 ],
    kill_normal => [ 0, 0 ],
    pause => [ 0.2, 2.5 ],
    swallow => [ 0.3, 4 ],
    mute => [ 0.3, 4 ],
    forget => [ 1.5, 3 ],
    reset => [ 0, 0 ],
    overflow => [ 0.3, 0.6 ],
    trim => [ 0.3, 0.3 ],
);

my %SERVER = (
    reload => [ 0, 0 ],
    reloads => [ 0, 0 ],                # three within a second
    kill_worker => [ 0, 0 ],
    stop_worker => [ 1, 3 ],
);

our %MAY = (
    trim => { history_gap => 20 },      # seconds after it, on that channel
    delete => { history_gap => 20 },
    flush => { history_gap => 30, epoch_changed => 1000 },
);


sub new {
    my ($class, %opt) = @_;

    my $self = bless { happened => [], count => {}, later => [], %opt }, $class;
    my $random = $self->{random};

    $self->{plan} = [ sort { $a->[0] <=> $b->[0] }
        $self->draw(\%REDIS, 0.3, 2.5), $self->draw(\%SERVER, 1, 4),
        $self->draw_clients ];

    return $self;
}


# Each kind once before any comes again; [ time, kind, length, number ].

sub draw {
    my ($self, $kinds, $least, $most) = @_;

    my $random = $self->{random};
    my $without = $self->{without} || {};
    my $time = $random->between(1, 3);
    my (@plan, @deck);

    while (1) {
        if (!@deck) {
            @deck = $random->shuffle(sort keys %$kinds);

            # rarely, as all clients that were away must fetch after it
            push @deck, $random->one(qw(flush delete))
                if $kinds == \%REDIS && @plan && $random->number < 0.7;
        }

        my $kind = shift @deck;
        my $length = $random->between(@{ $kinds->{$kind} || [ 0.3, 0.3 ] });

        last if $time + $length > $self->{seconds} - 2;

        my $number = $random->number;

        push @plan, [ $time, $kind, $length, $number ]
            unless $without->{$kind};
        $time += $length + $random->between($least, $most);
    }

    return @plan;
}


sub draw_clients {
    my ($self) = @_;

    my $random = $self->{random};
    my $time = 1;
    my @plan;

    while (($time += $random->between(0.02, 0.4)) < $self->{seconds}) {
        my $kind = $random->one(qw(rst rst rst fin fin fin stall));
        push @plan, [ $time, $kind, $random->between(1, 8), $random->number ];
    }

    return @plan;
}


# What is due by now begins or ends; false when all is over.

sub tick {
    my ($self, $now) = @_;

    my @due = grep { $_->[0] <= $now } @{ $self->{later} };
    @{ $self->{later} } = grep { $_->[0] > $now } @{ $self->{later} };
    $_->[1]->() for @due;

    while (@{ $self->{plan} } && $self->{plan}[0][0] <= $now - $self->{start}) {
        my ($time, $kind, $length, $number) = @{ shift @{ $self->{plan} } };
        my $begin = "do_$kind";

        $self->{count}{$kind}++;

        if ($kind =~ /^(?:rst|fin|stall)$/) {
            my $clients = $self->{clients};
            my $client = $clients->[ $number * @$clients ];
            $kind eq 'stall' ? $client->stall($length) : $client->cut($kind);
            next;
        }

        my $fault = { kind => $kind, at => $now, end => $now + $length };
        push @{ $self->{happened} }, $fault;
        $self->$begin($length, $number, $fault);
    }

    return @{ $self->{plan} } || @{ $self->{later} };
}


sub later {
    my ($self, $seconds, $code) = @_;

    push @{ $self->{later} }, [ time + $seconds, $code ];
}


# Whether a resync is excused; by what, or nothing.

sub excuse {
    my ($self, $client, $channel, $reason) = @_;

    my $now = time;

    for my $fault (reverse @{ $self->{happened} }) {
        my $span = ($MAY{ $fault->{kind} } || {})->{$reason} or next;

        # or it comes back to a place of before, however late; a cursor is read
        # from two seconds earlier
        my ($ms) = ($client->{cursor} // '') =~ /\.(\d+)$/;

        next if $now > $fault->{end} + $span
                && ($reason ne 'history_gap'
                    || ($ms // 0) - 2000 > 1000 * $fault->{end});
        next if $fault->{channels} && defined $channel
                && !exists $fault->{channels}{$channel};

        return $fault->{kind};
    }

    return $reason eq 'epoch_changed' ? $self->nobody_left : undef;
}


# A new worker cannot tell a restarted Redis from another; an old one can, but
# does not connect any more if it was told to quit while Redis was away.

sub nobody_left {
    my ($self) = @_;

    my @happened = @{ $self->{happened} };

    for my $away (grep { $_->{kind} =~ /^(?:kill|restart)$/ } @happened) {
        return 'reload while Redis was away'
            if grep { $_->{kind} =~ /reload|kill_worker/
                      && $_->{end} > $away->{at} - 1
                      && $_->{at} < $away->{end} + 6 } @happened;
    }

    return;
}


sub redis {
    my ($self, @command) = @_;

    my $reply;

    # one that was just started may be loading still; one that is down is
    # trouble enough
    wait_for(sub {
        $reply = eval {
            Delta::Redis->new($self->{t}{redis_port})->command(@command);
        };
        die $@ if $@ && $@ !~ /LOADING|refused|lost/;
        return $@ !~ /LOADING/;
    }) or die 'Redis is loading for ever';

    return $reply;
}


sub do_kill {
    my ($self, $length) = @_;

    $self->{t}->stop_redis('KILL');
    $self->later($length, sub { $self->redis_up });
}


sub do_restart {
    my ($self, $length) = @_;

    $self->{t}->stop_redis('TERM');
    $self->later($length, sub { $self->redis_up });
}


# Without waiting: clients and publishers find out by themselves.

sub redis_up {
    my ($self) = @_;

    my $t = $self->{t};

    $t->spawn('redis', 'redis.log', 'redis-server', '--port', $t->{redis_port},
              '--bind', '127.0.0.1', '--dir', $t->dir,
              @{ $t->{redis_args} });
}


sub do_kill_pubsub {
    my ($self) = @_;

    $self->redis(qw(CLIENT KILL TYPE pubsub));
}


sub do_kill_normal {
    my ($self) = @_;

    $self->redis(qw(CLIENT KILL TYPE normal SKIPME yes));
}


sub do_pause {
    my ($self, $length, $number) = @_;

    $self->redis('CLIENT', 'PAUSE', int($length * 1000),
                 $number < 0.3 ? 'WRITE' : 'ALL');
    $self->later($length, sub { });
}


sub link_fails {
    my ($self, $mode, $length) = @_;

    $self->{proxy}->tell($mode);
    $self->later($length, sub { $self->{proxy}->tell('pass') });
}


sub do_swallow {
    my ($self, $length) = @_;

    $self->link_fails('swallow', $length);
}


sub do_mute {
    my ($self, $length) = @_;

    $self->link_fails('mute', $length);
}


sub do_forget {
    my ($self, $length) = @_;

    $self->link_fails('forget', $length);
}


sub do_reset {
    my ($self) = @_;

    $self->{proxy}->tell('reset');
}


# More than Redis wants to hold for a subscriber.

sub do_overflow {
    my ($self, $length) = @_;

    my $set = sub {
        $self->redis('CONFIG', 'SET', 'client-output-buffer-limit',
                     "pubsub $_[0]");
    };

    $set->('1 1 1');
    $self->{burst}->();
    $self->later($length, sub { $set->('32mb 8mb 60') });
}


# What happens to logs happens while some are away, who have missed events
# before it and are back soon after it.

sub meanwhile {
    my ($self, $number, $code) = @_;

    for my $client (@{ $self->{clients} }) {
        $number = $number * 7.3 + 0.17;
        $number -= int $number;
        next if $number > 0.4 || !$client->{fh};

        $client->cut('rst');
        $client->{due} += 0.4;
    }

    $self->later(0.3, $code);
}


# Logs that end above what some have seen; what is cut off differs.

sub do_trim {
    my ($self, $length, $number, $fault) = @_;

    for my $channel (@{ $self->{channels} }) {
        $number = $number * 3.7 + 0.13;
        $number -= int $number;
        next if $number > 0.4;

        $fault->{channels}{$channel} = 1 + int $number * 50;
    }

    my $channels = $fault->{channels} ||= {};

    $self->meanwhile($number, sub {
        $self->redis('XTRIM', "delta:{$_}", 'MAXLEN', $channels->{$_})
            for keys %$channels;
    });
}


# A log is gone, but not the channel.

sub do_delete {
    my ($self, $length, $number, $fault) = @_;

    my $channels = $self->{channels};
    my @gone = map { $channels->[ ($number * @$channels + $_) % @$channels ] }
        0 .. 4;

    @{ $fault->{channels} }{@gone} = ();

    $self->meanwhile($number, sub {
        $self->redis('DEL', map { "delta:{$_}" } @gone);
    });
}


# All gone but what the backend knows how to make again.

sub do_flush {
    my ($self, $length, $number) = @_;

    my @sets = @{ $self->{sets} };

    $self->meanwhile($number, sub {
        my $redis = Delta::Redis->new($self->{t}{redis_port});

        $redis->send(@$_) for [ 'MULTI' ], [ 'FLUSHALL' ], @sets, [ 'EXEC' ];
        $redis->read for 1 .. 3 + @sets;
    });
}


sub do_reload {
    my ($self) = @_;

    kill 'HUP', $self->{t}->pid('nginx');
}


sub do_reloads {
    my ($self) = @_;

    $self->do_reload;
    $self->later(0.3 * $_, sub { $self->do_reload }) for 1, 2;
}


sub worker {
    my ($self, $number) = @_;

    my @workers = $self->{t}->workers;

    return $workers[ $number * @workers ];
}


sub do_kill_worker {
    my ($self, $length, $number) = @_;

    kill 'KILL', $self->worker($number) // return;
}


sub do_stop_worker {
    my ($self, $length, $number) = @_;

    my $pid = $self->worker($number) // return;

    kill 'STOP', $pid;
    $self->later($length, sub { kill 'CONT', $pid });
}

1;
