package Delta::Chaos::Random;

# Copyright (C) Delta contributors

# Numbers that a seed repeats, whatever else calls rand.

use strict;
use warnings;


sub new {
    my ($class, $seed) = @_;

    my $self = bless { state => $seed * 2862933555 + 3037000493 }, $class;
    $self->number for 1 .. 8;

    return $self;
}


# 0 <= number < below, a real one.

sub number {
    my ($self, $below) = @_;

    {
        use integer;
        $self->{state} = $self->{state} * 6364136223846793005
            + 1442695040888963407;
    }

    return ($self->{state} >> 33 & 0x7fffffff) / 0x80000000 * ($below // 1);
}


sub between {
    my ($self, $from, $to) = @_;

    return $from + $self->number($to - $from);
}


sub one {
    my ($self, @of) = @_;

    return $of[ $self->number(scalar @of) ];
}


sub shuffle {
    my ($self, @list) = @_;

    for my $i (reverse 1 .. $#list) {
        my $j = int $self->number($i + 1);
        @list[$i, $j] = @list[$j, $i];
    }

    return @list;
}

1;
