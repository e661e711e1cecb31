package Contract;

# Copyright (C) Delta contributors

# Reads conf/events.json for the generators, and refuses what they could not
# make sense of.

use strict;
use warnings;

use JSON::PP;
use Scalar::Util qw(refaddr);


my $json = JSON::PP->new->allow_nonref;


sub new {
    my ($class, $file) = @_;

    open my $fh, '<:encoding(UTF-8)', $file or die "$file: $!\n";
    local $/;
    my $text = <$fh>;

    my $self = bless {}, $class;

    $self->{root} = $self->read(\$text);
    $text =~ /\G\s*\z/gc or die "$file: there is more behind the end\n";

    $self->check($_) for $self->types;

    return $self;
}


# A JSON value at pos(); unlike JSON::PP it remembers the order of members.

sub read {
    my ($self, $text) = @_;

    $$text =~ /\G\s*/gc;

    if ($$text =~ /\G\{\s*/gc) {
        my ($object, @names) = {};

        until ($$text =~ /\G\s*\}/gc) {
            @names and ($$text =~ /\G\s*,\s*/gc or fault($text));
            push @names, $self->read($text);
            $$text =~ /\G\s*:/gc or fault($text);
            $object->{ $names[-1] } = $self->read($text);
        }

        $self->{order}{ refaddr $object } = \@names;

        return $object;
    }

    if ($$text =~ /\G\[\s*/gc) {
        my @list;

        until ($$text =~ /\G\s*\]/gc) {
            @list and ($$text =~ /\G\s*,/gc or fault($text));
            push @list, $self->read($text);
        }

        return \@list;
    }

    $$text =~ /\G("(?:[^"\\]|\\.)*"|[\w.+-]+)/gc or fault($text);

    return $json->decode($1);
}


sub fault {
    my ($text) = @_;

    my $before = substr $$text, 0, pos $$text;

    die 'not JSON in line ' . (1 + $before =~ tr/\n//) . "\n";
}


# JSON text in UTF-8, in the order of the contract.

sub encode {
    my ($self, $value) = @_;

    return '{' . join(',', map {
        $json->encode($_) . ':' . $self->encode($value->{$_})
    } $self->names($value)) . '}' if ref $value eq 'HASH';

    return '[' . join(',', map { $self->encode($_) } @$value) . ']'
        if ref $value eq 'ARRAY';

    my $text = $json->encode($value);
    utf8::encode($text);

    return $text;
}


sub types   { $_[0]->names($_[0]{root}{events}) }
sub event   { $_[0]{root}{events}{ $_[1] } }
sub text    { $_[0]{root}{ $_[1] }{ $_[2] } }
sub d       { $_[0]->resolve($_[0]->event($_[1])->{d}) }

# What a backend may publish; the rest only a gateway says.
sub published {
    my ($self) = @_;

    return grep { grep { $_ ne 'session' } @{ $self->event($_)->{scope} } }
        $self->types;
}


sub names {
    my ($self, $object) = @_;

    my $order = $self->{order}{ refaddr $object };

    return $order ? @$order : sort keys %$object;
}


sub resolve {
    my ($self, $schema) = @_;

    while (my $ref = $schema->{'$ref'}) {
        $schema = $self->{root}{'$defs'}{ $self->def($schema) }
            // die "$ref is not defined\n";
    }

    return $schema;
}


# The name of the definition that is referred to, or undef.

sub def {
    my ($self, $schema) = @_;

    return ($schema->{'$ref'} // '') =~ m{^#/\$defs/(\w+)$} ? $1 : undef;
}


sub required {
    my ($self, $schema, $name) = @_;

    return scalar grep { $_ eq $name } @{ $schema->{required} || [] };
}


sub kinds {
    my ($self, $schema) = @_;

    my $type = $schema->{type};

    return ref $type ? @$type : $type // ();
}


sub check {
    my ($self, $type) = @_;

    my $event = $self->event($type);
    my $d = $self->d($type);
    my $properties = $d->{properties};

    for (qw(description scope visibility actor merge example)) {
        defined $event->{$_} or die "$type has no $_\n";
    }

    for ([visibility => 'visibility'], [actor => 'actors']) {
        defined $self->text($_->[1], $event->{ $_->[0] })
            or die "$type: no such $_->[0]\n";
    }

    my %actor = (
        included => $self->required($d, 'actor_user_id'),
        author => $self->required($d, 'author_id'),
        self => $self->required($d, 'user_id'),
        withheld => 1, none => 1,
    );

    $actor{ $event->{actor} } or die "$type: the actor is not required\n";

    die "$type: actor_user_id against the policy\n"
        if $properties->{actor_user_id} && $event->{actor} ne 'included';

    die "$type is published to no channel\n"
        if !$event->{channels} && grep { $_ ne 'session' }
                                       @{ $event->{scope} };
}


1;
