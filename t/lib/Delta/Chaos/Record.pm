package Delta::Chaos::Record;

# Copyright (C) Delta contributors

# What was published, and whether a client's story fits it.
#
# Each event has a number g, in the order of being made; its id comes with
# Redis's answer.  What a client has seen of a channel is a list of
#
#   g         the event was accepted
#   "P<g> d"  a merged patch without an id, its last part is g
#   -g        a resync: whatever was made up to g has been fetched anew
#   "K<ms>"   a cursor: all up to ms was sent before it
#
# Each id must be in the list, in order.  What is jumped over must be covered
# by a resync just before, or, if it is a patch, be part of this patch, or of
# one without an id before it, with no unmergeable event in between.

use strict;
use warnings;

use JSON::PP ();

my $json = JSON::PP->new->canonical->utf8;


sub new {
    my ($class) = @_;

    return bless { g => 0, channel => [], entity => [], d => [], id => [],
                   claimed => [], of => {}, wrong => {}, merged => 0 }, $class;
}


# An event that is going to be published; an entity makes it a patch.

sub create {
    my ($self, $channel, $entity, $value) = @_;

    my $g = ++$self->{g};

    $self->{channel}[$g] = $channel;
    $self->{entity}[$g] = $entity;
    $self->{d}[$g] = defined $entity
        ? qq({"entity_type":"e","entity_id":"$entity","diff":)
          . qq({"g":$g,"k$value":$g,"o":{"x$value":$g}}})
        : qq({"n":$g});

    push @{ $self->{of}{$channel} }, $g;

    return $g;
}


sub event {
    my ($self, $g) = @_;

    my $t = defined $self->{entity}[$g] ? 'patch' : 'note';

    return qq({"t":"$t","d":$self->{d}[$g]});
}


# An id as one number, to be compared.

sub number {
    my ($id) = @_;

    my ($ms, $seq) = split /-/, $id;

    return $ms << 20 | $seq;
}


sub text {
    my ($number) = @_;

    return defined $number ? ($number >> 20) . '-' . ($number & 0xfffff)
                           : 'unanswered';
}


sub answered {
    my ($self, $g, $id) = @_;

    my $number = number($id);
    my $claimed = $self->{claimed}[$g];

    $self->wrong('id', "event $g is $id to its publisher and "
                       . text($claimed) . ' to a client')
        if defined $claimed && $claimed != $number;

    $self->{id}[$g] = $number;
}


# A client has got this; nothing is wrong with it if an id is returned.

sub received {
    my ($self, $who, $channel, $number, $t, $d) = @_;

    my $g = $self->claimed($who, $channel, $t, $d) // return;

    my $known = $self->{id}[$g] // $self->{claimed}[$g];

    if (!defined $known) {
        $self->{claimed}[$g] = $number;

    } elsif ($known != $number) {
        $self->wrong('id', "$who: $channel: event $g came as "
                           . text($number) . ', it is ' . text($known));
    }

    if ($d ne $self->{d}[$g] && $t eq 'note') {
        $self->wrong('content', "$who: $channel: $d");
    }

    return $g;
}


# The event that this claims to be, or to be the last part of.

sub claimed {
    my ($self, $who, $channel, $t, $d) = @_;

    my ($g) = $d =~ /"[gn]":(\d+)/;

    if (!defined $g || $g > $self->{g}
        || $self->{channel}[$g] ne $channel
        || ($t eq 'note') != !defined $self->{entity}[$g])
    {
        $self->wrong('unknown', "$who: $channel: $t $d");
        return;
    }

    return $g;
}


sub wrong {
    my ($self, $kind, $text) = @_;

    push @{ $self->{wrong}{$kind} }, $text;
}


# Once all is answered: each channel's events in the order of its log.

sub settle {
    my ($self) = @_;

    for my $channel (keys %{ $self->{of} }) {
        my @g = sort { $self->{id}[$a] <=> $self->{id}[$b] }
            @{ $self->{of}{$channel} };

        $self->{order}{$channel} = \@g;
        @{ $self->{rank} }[@g] = 0 .. $#g;
    }
}


# A client's story of one channel.  {merged} holds what differed from what was
# published, by g.

sub verify {
    my ($self, $who, $channel, $seen, $merged) = @_;

    my $order = $self->{order}{$channel} || [];
    my ($entity, $id, $rank) = @$self{qw(entity id rank)};

    my ($next, $covered, %state, %early) = (0, 0);

    my $at = -1;
    my $lost = sub {
        my ($kind, $why, @g) = @_;
        $self->wrong($kind, join ' ', "$who: $channel: $why:",
            (map { "$_=" . text($id->[$_]) } @g > 6 ? @g[0 .. 5] : @g),
            @g > 6 ? '… ' . @g . ' in all' : (), 'it saw',
            map { /^(?:P?)(\d+)/ ? "$_=" . text($id->[$1]) : $_ }
                @$seen[ ($at > 12 ? $at - 12 : 0) .. $at ]);
    };

    # what is still to come of those before this one
    my $missing = sub {
        my ($end) = @_;
        return grep { $_ > $covered && !$early{$_} } @$order[ $next .. $end ];
    };

    for my $item (@$seen) {
        $at++;
        if ($item =~ /^K(\d+)/) {
            my $end = ($1 + 1) << 20;
            my $i = $next;

            $i++ while $i < @$order && $id->[ $order->[$i] ] < $end;

            my @early = $missing->($i - 1);
            $lost->('cursor', "not sent before cursor $1", @early) if @early;
            next;
        }

        if ($item =~ /^-|^0/) {
            $covered = -$item;
            %state = $self->state($channel, $covered);
            next;
        }

        my ($g, $d) = $item =~ /^P(\d+) (.*)/;
        my $part = defined $d;

        $g //= $item;
        $d //= $merged->{$g} // $self->{d}[$g];

        # a part may come again, and late, after another connection
        my @before = $missing->($rank->[$g] - 1);
        my $name = $entity->[$g];
        my (@parts, @gone);

        for my $one (@before) {
            my $mine = defined $name && ($entity->[$one] // '') eq $name;

            $mine ? push @parts, $one
                : push @gone, grep { !$part || !defined $entity->[$_] } $one;
        }

        if (defined $name && (@parts || $d ne $self->{d}[$g])) {
            $self->{merged}++;

            if (!$self->fits($order, $d, @parts, $g)) {
                push @gone, @parts;
                $self->wrong('content', "$who: $channel: $item: $d, parts "
                                        . "@parts");
            }
        }

        apply($state{$name} ||= {}, $d) if defined $name;

        $lost->('lost', "before $g=" . text($id->[$g]), @gone) if @gone;

        if ($part) {
            @early{ @parts, $g } = (1) x (@parts + 1);
            next;
        }

        $next = $rank->[$g] + 1;
        $covered = 0;
    }

    my @tail = $missing->($#$order);

    $lost->('lost', 'at the end', @tail) if @tail;

    my %truth = $self->state($channel, $self->{g});
    my @differ = grep { $json->encode($truth{$_})
                        ne $json->encode($state{$_} || {}) } sort keys %truth;

    $self->wrong('state', "$who: $channel: entities @differ") if @differ;
}


# Whether this is what these patches of one entity come to; what the client had
# fetched in between may be in it, too, and earlier ones, back to the last
# unmergeable event.

sub fits {
    my ($self, $order, $d, @g) = @_;

    my $got = canonical($d);
    my $name = $self->{entity}[ $g[0] ];

    return 1 if $got eq $self->fold(@g);

    @g = grep { ($self->{entity}[$_] // '') eq $name }
        @$order[ $self->{rank}[ $g[0] ] .. $self->{rank}[ $g[-1] ] ];

    return 1 if $got eq $self->fold(@g);

    for my $one (reverse @$order[ 0 .. $self->{rank}[ $g[0] ] - 1 ]) {
        my $other = $self->{entity}[$one] // last;
        next if $other ne $name;
        unshift @g, $one;
        return 1 if $got eq $self->fold(@g);
    }

    return 0;
}


# Merge patches as one, as text.

sub fold {
    my ($self, @g) = @_;

    my $whole = $json->decode($self->{d}[ shift @g ]);

    merge($whole->{diff}, $json->decode($self->{d}[$_])->{diff}) for @g;

    return $json->encode($whole);
}


sub canonical {
    my ($text) = @_;

    my $data = eval { $json->decode($text) };

    return $data ? $json->encode($data) : $text;
}


sub merge {
    my ($to, $from) = @_;

    for my $key (keys %$from) {
        if (ref $from->{$key} && ref $to->{$key}) {
            merge($to->{$key}, $from->{$key});
        } else {
            $to->{$key} = $from->{$key};
        }
    }
}


# The numbers of a diff, flat: its values are numbers and one object of them.

sub apply {
    my ($state, $d) = @_;

    $state->{$1} = $2 while $d =~ /"(\w+)":(\d+)/g;
}


# What a fetch finds when the events up to this one have been made.

sub state {
    my ($self, $channel, $g) = @_;

    my %state;

    for my $one (@{ $self->{order}{$channel} || [] }) {
        my $name = $self->{entity}[$one] // next;
        apply($state{$name} ||= {}, $self->{d}[$one]) if $one <= $g;
    }

    return %state;
}

1;
