package Delta::World;

# Copyright (C) Delta contributors

# A client of a world that does what docs/protocol.md says, and no more:
#
#   my $world = Delta::World->new($t);
#   $world->open;                       # stream and state
#   $world->read(1);                    # events for a second
#   $world->cut;
#   $world->{entities}, {tick}, {loads}, {ranges}, {wrong}

use strict;
use warnings;

use Delta;
use Exporter qw(import);
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(apply checksum rss without_quarantine);

# What nginx serves of it.

our $LOCATIONS = <<'END';
    location = /world/init { delta_snapshot world=default; }
    location = /world/snapshots { delta_snapshot world=default range max=64; }
    location = /events {
        delta_gateway sse;
        delta_user visitor;
        delta_envelope type;
        delta_subscribe world:default;
    }
END


sub new {
    my ($class, $t, %opt) = @_;

    return bless { t => $t, entities => {}, tick => 0, loads => 0,
                   ranges => 0, ticks => 0, wrong => 0, %opt }, $class;
}


sub open {
    my ($self) = @_;

    $self->{sse} = $self->{t}->sse('/events');
    $self->load unless $self->{tick};

    return $self;
}


sub cut {
    my ($self) = @_;

    $self->{sse}->disconnect if $self->{sse};
    $self->{sse} = undef;
}


# Events until that time is over, or until a tick; false if the stream ended.

sub read {
    my ($self, $seconds, $tick) = @_;

    my $end = time + $seconds;

    while ($self->{tick} < ($tick // 9e15)) {
        my $left = $end - time;
        return 1 if $left <= 0;

        my $event = $self->{sse} && $self->{sse}->read_json($left);
        return time >= $end if !$event || defined $self->{sse}{close};

        $self->event($event);
    }

    return 1;
}


sub event {
    my ($self, $event) = @_;

    return $self->load if $event->{type} eq 'resync';
    return if $event->{tick} <= $self->{tick};

    if ($event->{tick} > $self->{tick} + 1
        && !$self->range($self->{tick} + 1, $event->{tick} - 1))
    {
        $self->load;
        return if $event->{tick} <= $self->{tick};
        return $self->load if $event->{tick} != $self->{tick} + 1;
    }

    apply($self->{entities}, $event->{changes});
    $self->{tick} = $event->{tick};
    $self->{ticks}++;
    $self->{wrong}++ if checksum($self->{entities}) ne $event->{checksum};
}


# Beginning anew: nothing of what was known stays.

sub load {
    my ($self) = @_;

    for (1 .. 200) {
        my $init = $self->get('/world/init');

        $self->{loads}++;
        $self->{entities} = { map { $_->{id} => $_ }
                              @{ $init->{fullState}{entities} } };
        $self->{tick} = $init->{fullState}{tick};
        $self->{wrong}++ if checksum($self->{entities})
                            ne $init->{fullState}{checksum};

        return if $self->range($self->{tick} + 1, $init->{currentTick});
    }

    die 'a world that cannot be loaded';
}


# False: some of them are not there any more.

sub range {
    my ($self, $from, $to) = @_;

    while ($from <= $to) {
        my $most = $from + 63 < $to ? $from + 63 : $to;
        my $answer = $self->get("/world/snapshots?from=$from&to=$most");

        $self->{ranges}++;
        return 0 if @{ $answer->{missing} } || $answer->{to} < $from;

        for my $snapshot (@{ $answer->{snapshots} }) {
            $self->{wrong}++ if $snapshot->{tick} != $self->{tick} + 1;

            apply($self->{entities}, $snapshot->{limitedCast});
            $self->{tick} = $snapshot->{tick};
            $self->{wrong}++
                if checksum($self->{entities}) ne $snapshot->{checksum};
        }

        $from = $answer->{to} + 1;
    }

    return 1;
}


# 404: Redis came back empty, and the world has not ticked yet.

sub get {
    my ($self, $path) = @_;

    my $answer;

    wait_for(sub {
        $answer = $self->{t}->http(GET => $path);
        return $answer && $answer->status !~ /^(?:404|503)$/;
    }, 20);

    die "$path: ", $answer ? $answer->status : 'no answer', "\n"
        if !$answer || $answer->status != 200;

    return $answer->json;
}


# Functions.

sub apply {
    my ($entities, $cast) = @_;

    delete @$entities{ @{ $cast->{entityRemoved} || [] } };

    $entities->{ $_->{id} } = $_ for @{ $cast->{entityCreated} || [] };
    $entities->{ $_->{id} }{position} = $_->{position}
        for @{ $cast->{entityMoved} || [] };
}


# As docs/publishing.md has it.

sub checksum {
    my ($entities) = @_;

    my $sum = 0;

    for (values %$entities) {
        $sum += mix(join ':', @$_{qw(id type)},
                    map { sprintf '%.0f', $_ * 1000 }
                        @{ $_->{position} }{qw(x y)});
    }

    return sprintf '%08x', $sum & 0xffffffff;
}


sub mix {
    use integer;

    my $h = 0x811c9dc5;

    $h = ($h ^ $_) * 0x01000193 & 0xffffffff for unpack 'C*', $_[0];
    $h = ($h ^ $h >> 16) * 0x85ebca6b & 0xffffffff;
    $h = ($h ^ $h >> 13) * 0xc2b2ae35 & 0xffffffff;

    return $h ^ $h >> 16;
}


# What a process has in memory, in kB.

sub rss {
    my ($pid) = @_;

    CORE::open my $fh, '<', "/proc/$pid/status" or die "status: $!";

    return (map { /^VmRSS:\s+(\d+)/ } <$fh>)[0];
}


# Servers started therein have what is freed free at once, or every run with
# AddressSanitizer grows.

sub without_quarantine {
    my ($start) = @_;

    my $env = \&Delta::sanitizer_env;
    my $more = 'quarantine_size_mb=0:thread_local_quarantine_size_kb=0:';

    no warnings 'redefine';
    local *Delta::sanitizer_env = sub {
        return map { s/^ASAN_OPTIONS=/$&$more/r } $env->(@_);
    };

    $start->();
}

1;
