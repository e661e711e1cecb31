package Delta::Follower;

# Copyright (C) Delta contributors

# Clients that do what an SDK does: remember the cursor and the last id of each
# channel, drop what is not above it, and come back when they were closed.  They
# check that the events of Delta::Publisher are all there, one by one.
#
#   my $pub = Delta::Publisher->start($t, 'user:ada', 'user:eve');
#   my @all = map { Delta::Follower->new($t, ws => '/gateway', token => …) } …;
#   Delta::Follower->until(sub { … }, 10, @all);
#
#   is_deeply([ Delta::Follower->wrong(@all) ], []);
#
# Of each: {closes} codes, {after} of its "reconnect"s, {parting} events that
# came between "reconnect" and the close, {sessions}, {twice}, {wrong}.

use strict;
use warnings;

use IO::Select;
use Time::HiRes qw(time);


sub new {
    my ($class, $t, $kind, $path, %opt) = @_;

    return bless {
        t => $t, kind => $kind, path => $path, opt => \%opt,
        cursor => '', last => {}, next => {}, sessions => 0, twice => 0,
        parting => 0, closes => [], after => [], wrong => [], pause => 0,
    }, $class;
}


# Reads for all of them, and lets them come back, until the condition holds.

sub until {
    my ($class, $condition, $timeout, @all) = @_;

    my $end = time + ($timeout || 60) * ($Delta::SLOW || 1);
    my $value;

    while (!($value = $condition->()) && time < $end) {
        $_->connect for grep { !$_->{client} } @all;

        my %by = map { fileno $_->{client}{socket} => $_ }
            grep { $_->{client} } @all;

        my @ready = IO::Select->new(keys %by)->can_read(0.02);

        $by{$_}->read for @ready;
        $_->beat for grep { $_->{client} } @all;
    }

    return $value;
}


# What was lost, out of order, refused or to be fetched anew; forgets it.

sub wrong {
    my ($class, @all) = @_;

    return map {
        my $kind = $_->{kind};
        map { "$kind: $_" } splice @{ $_->{wrong} };
    } @all;
}


sub connect {
    my ($self) = @_;

    return if $self->{stay} || time < $self->{pause};

    $self->{pause} = time + 0.05;

    my ($kind, %opt) = ($self->{kind}, %{ $self->{opt} });
    my ($path, $query) = ($self->{path}, '');

    if ($kind eq 'sse') {
        $opt{headers} = [ 'Last-Event-ID' => $self->{cursor} ]
            if $self->{cursor};

    } elsif ($self->{cursor}) {
        my $at = join ',', map { "$_=$self->{last}{$_}" }
            sort keys %{ $self->{last} };
        $query = "?since=$self->{cursor}" . ($at && "&at=$at");
    }

    my $client = $self->{t}->$kind("$path$query", retry => 0, %opt) or return;

    if ($client->status !~ /^(?:101|200)$/) {
        push @{ $self->{wrong} }, 'refused by ' . $client->status
            if $client->status !~ /^(?:0|503)$/;
        $client->disconnect;
        return;
    }

    @$self{qw(client leaving ready)} = ($client, 0, 0);
    $self->read;
}


# A heartbeat now and then, for the cursor.

sub beat {
    my ($self) = @_;

    return if $self->{kind} eq 'sse' || time < ($self->{beaten} // 0) + 1;

    $self->{beaten} = time;
    $self->{client}->send_json({ t => 'heartbeat' });
}


# All that has come.

sub read {
    my ($self) = @_;

    my $client = $self->{client};

    while (my $event = $client->read_json(0.001)) {
        if ($self->{kind} eq 'sse' && defined $client->{close}) {
            $client->{close_code} = $event->{code};
            last;
        }

        $self->event($event);
    }

    $self->{cursor} = $client->{last_id} if defined $client->{last_id};

    if (defined $client->{close_code}) {
        push @{ $self->{closes} }, $client->{close_code};

    } elsif ($client->{eof} || $client->{ended}) {
        push @{ $self->{closes} }, 1006;

    } else {
        return;
    }

    $self->leave;
}


sub leave {
    my ($self) = @_;

    my $client = delete $self->{client} or return;

    $client->disconnect;
    $self->{pause} = 0;
}


sub event {
    my ($self, $event) = @_;

    my ($t, $c, $id, $d) = @$event{qw(t c id d)};

    $self->{cursor} = $d->{cursor} if !defined $c && defined $d->{cursor};

    if ($t eq 'ready') {
        $self->{sessions}++;
        $self->{ready} = 1;
        $self->{granted}{$_} = 1 for @{ $d->{channels} };

    } elsif ($t eq 'subscribed') {
        $self->{granted}{ $d->{channel} } = 1;

    } elsif ($t eq 'reconnect') {
        push @{ $self->{after} }, $d->{after_ms};
        $self->{leaving} = 1;

    } elsif (defined $c) {
        $self->number($c, $id, $d->{n});

    } elsif ($t eq 'resync') {
        push @{ $self->{wrong} }, "resync $d->{reason}";
        @$self{qw(last next fresh)} = ({}, {}, 1);

    } elsif ($t ne 'heartbeat_ack') {
        push @{ $self->{wrong} }, "$t " . ($d->{reason} // $d->{code} // '');
    }
}


sub number {
    my ($self, $c, $id, $n) = @_;

    if (!above($id, $self->{last}{$c})) {
        $self->{twice}++;
        return;
    }

    my $next = $self->{next}{$c} // ($self->{fresh} ? $n : 1);

    push @{ $self->{wrong} }, "$c: $n, not $next" if $n != $next;

    $self->{last}{$c} = $id;
    $self->{next}{$c} = $n + 1;
    $self->{parting}++ if $self->{leaving};
}


sub above {
    my ($id, $last) = @_;

    return 1 unless defined $last;

    my ($ms, $seq) = split /-/, $id;
    my ($last_ms, $last_seq) = split /-/, $last;

    return $ms > $last_ms || ($ms == $last_ms && $seq > $last_seq);
}


# Whether all of the channels came up to this number.

sub has {
    my ($self, $n, @channels) = @_;

    return !grep { ($self->{next}{$_} // 1) <= $n } @channels;
}


package Delta::Publisher;

use strict;
use warnings;

use POSIX ();


# A process that publishes 1, 2, 3 … on each channel until stop.

sub start {
    my ($class, $t, @channels) = @_;

    my $self = bless { t => $t, channels => \@channels }, $class;
    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        my $stop = 0;

        POSIX::setpgid(0, 0);
        $SIG{TERM} = sub { $stop = 1 };
        $SIG{ALRM} = 'DEFAULT';
        alarm 300;

        my $n = 0;

        until ($stop) {
            $n++;
            publish($t, $_, $n) for @channels;
            select undef, undef, undef, 0.02;
        }

        $t->file('published', $n);
        POSIX::_exit(0);
    }

    $t->{procs}{publisher} = $pid;

    return $self;
}


# Over and over until Redis took it: the source makes it once.

sub publish {
    my ($t, $channel, $n) = @_;

    for (1 .. 500) {
        $t->{own} = eval { Delta::Redis->new($t->{redis_port}) }
            unless $t->{own};

        return if $t->{own} && eval {
            $t->{own}->command('FCALL', 'delta_publish', 1, $channel,
                               qq({"t":"n","d":{"n":$n}}), "test/$n");
        };

        delete $t->{own};
        select undef, undef, undef, 0.05;
    }

    POSIX::_exit(1);
}


# Ends it; answers the last number.

sub stop {
    my ($self) = @_;

    return unless $self->{t}->stop('publisher');
    return $self->{t}->read_file('published');
}

1;
