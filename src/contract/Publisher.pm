package Publisher;

# Copyright (C) Delta contributors

# For C backends: src/publisher/delta_events.{h,c}, a struct and a function
# for each event, and for their test the examples as such structs.

use strict;
use warnings;


my $made = "\n/*\n * Copyright (C) Delta contributors\n *\n"
    . " * Made of conf/events.json by make contract.\n";


# What becomes of a member: its kind, its declarations and its shape.

sub field {
    my ($c, $type, $schema, $name) = @_;

    my $one = $schema->{properties}{$name};
    my $real = $c->resolve($one);
    my ($kind, $null) = ('', 0);

    for ($c->kinds($real)) {
        $_ eq 'null' ? $null = 1 : ($kind ||= $_);
    }

    my $required = $c->required($schema, $name);
    my $raw = grep { $_ eq $name } @{ $c->event($type)->{raw} || [] };
    my %f = (name => $name, required => $required, kind => $kind);

    if ($raw) {
        return { %f, kind => 'JSON', decl => ["const char *$name"],
                 note => "JSON: $kind" };
    }

    if ($kind eq 'string') {
        return { %f, kind => 'STRING', decl => ["const char *$name"],
                 null => $null };
    }

    if ($kind eq 'integer') {
        return $required && !$null
            ? { %f, kind => 'INTEGER', decl => ["int64_t $name"] }
            : { %f, kind => 'INTEGER_AT', decl => ["const int64_t *$name"],
                null => $null };
    }

    if ($kind eq 'array') {
        my $item = $c->resolve($real->{items});
        my $n = "size_t ${name}_n";

        return { %f, kind => 'STRINGS', count => 1,
                 decl => ["const char *const *$name", $n] }
            if ($item->{type} // '') eq 'string';

        my $shape = $c->def($real->{items});

        return { %f, kind => 'OBJECTS', count => 1, shape => $shape,
                 decl => ["const delta_events_${shape}_t *$name", $n] }
            if $shape && ($item->{type} // '') eq 'object';
    }

    die "$type: $name cannot be a parameter; is it raw?\n";
}


sub fields {
    my ($c, $type, $schema) = @_;

    return map { field($c, $type, $schema, $_) }
        $c->names($schema->{properties});
}


# Objects that are members of events, each with an event that has it.

sub shapes {
    my ($c) = @_;

    my (%seen, @shapes);

    for my $type ($c->published) {
        for (fields($c, $type, $c->d($type))) {
            my $shape = $_->{shape} // next;
            push @shapes, [$shape, $type] unless $seen{$shape}++;
        }
    }

    return @shapes;
}


sub shape { $_[0]->resolve({ '$ref' => "#/\$defs/$_[1]" }) }


sub struct {
    my ($name, @fields) = @_;

    my $text = "typedef struct {\n";

    for my $f (@fields) {
        my @notes = $f->{note} // ();
        push @notes, 'or null' if $f->{null};
        push @notes, 'optional' unless $f->{required};

        for (@{ $f->{decl} }) {
            my ($left, $right) = /^(.*?)(\**\w+)$/;
            $left =~ s/ $//;
            $right =~ s/^(\**)//;
            my $gap = 18 - length($left) - length($1);
            my $line = "    $left " . ' ' x ($gap > 0 ? $gap : 0)
                . "$1$right;";

            $line = sprintf('%-46s', $line) . ' /* '
                . join(', ', splice @notes) . ' */' if @notes;

            $text .= "$line\n";
        }
    }

    return $text . "} delta_events_${name}_t;\n\n";
}


sub header {
    my ($class, $c) = @_;

    my $text = $made . <<'END';
 *
 * A function for each event that a backend may publish.  It writes
 * {"t":...,"d":{...}} for delta_publish() from
 * a struct, which is best filled by names:
 *
 *     n = delta_events_message_delete(buf, sizeof(buf),
 *             &(delta_events_message_delete_t) {
 *                 .guild_id = "42", .channel_id = "7", .message_id = "m1" });
 *
 * Strings are UTF-8 with a NUL; bytes that are not become U+FFFD.  NULL leaves
 * an optional member out, delta_events_null (delta_events_null_integer) writes
 * null.  A list has its length beside it.
 *
 * Returns the bytes of the event, without a NUL, of which nothing can be used
 * if they are more than size (out may be NULL then); -1 if a required pointer
 * is NULL or JSON is not what it must be.  How long texts may be, and what
 * ids are made of, is left to delta_contract_check().
 */

#ifndef _DELTA_EVENTS_H_INCLUDED_
#define _DELTA_EVENTS_H_INCLUDED_


#include "delta_events_write.h"


END

    $text .= struct($_->[0], fields($c, $_->[1], shape($c, $_->[0])))
        for shapes($c);

    for ($c->published) {
        $text .= struct($_, fields($c, $_, $c->d($_)));
    }

    $text .= "\n";

    for ($c->published) {
        $text .= "ssize_t delta_events_$_(char *out, size_t size,\n"
            . "    const delta_events_${_}_t *d);\n";
    }

    return $text . "\n\n#endif /* _DELTA_EVENTS_H_INCLUDED_ */\n";
}


sub source {
    my ($class, $c) = @_;

    my $text = $made . " */\n\n" . <<'END';
#include "delta_events.h"


#define FIELD(event, kind, name, required)                                    \
    { #name, DELTA_EVENTS_##kind, required,                                   \
      offsetof(delta_events_##event##_t, name), 0, NULL }

#define LIST(event, kind, name, required, shape)                              \
    { #name, DELTA_EVENTS_##kind, required,                                   \
      offsetof(delta_events_##event##_t, name),                               \
      offsetof(delta_events_##event##_t, name##_n), shape }

#define SHAPE(event)                                                          \
    static const delta_events_shape_t  delta_events_shape_##event = {         \
        delta_events_fields_##event,                                          \
        sizeof(delta_events_fields_##event) / sizeof(delta_events_field_t),   \
        sizeof(delta_events_##event##_t)                                      \
    }

#define EVENT(event)                                                          \
    SHAPE(event);                                                             \
    ssize_t                                                                   \
    delta_events_##event(char *out, size_t size,                              \
        const delta_events_##event##_t *d)                                    \
    {                                                                         \
        return delta_events_write(out, size, #event,                          \
                                  &delta_events_shape_##event, d);            \
    }

#define FIELDS(event)                                                         \
    static const delta_events_field_t  delta_events_fields_##event[]


END

    $text .= table($_->[0], 'SHAPE', fields($c, $_->[1], shape($c, $_->[0])))
        for shapes($c);

    $text .= table($_, 'EVENT', fields($c, $_, $c->d($_)))
        for $c->published;

    $text =~ s/\n+\z/\n/;

    return $text;
}


sub table {
    my ($name, $end, @fields) = @_;

    my $text = "FIELDS($name) = {\n";

    for (@fields) {
        my $required = $_->{required} ? 1 : 0;
        my $shape = $_->{shape} ? "&delta_events_shape_$_->{shape}" : 'NULL';

        my @words = ($name, $_->{kind}, $_->{name}, $required);
        push @words, $shape if $_->{count};

        my $line = '    ' . ($_->{count} ? 'LIST' : 'FIELD') . '('
            . join(', ', @words) . '),';
        $line =~ s/, (?=[^,]*\),$)/,\n         / if length $line > 80;

        $text .= "$line\n";
    }

    return "$text};\n\n$end($name)" . ($end eq 'SHAPE' ? ';' : '') . "\n\n";
}


sub examples {
    my ($class, $c) = @_;

    my $text = $made . " */\n\n";

    for my $type ($c->published) {
        my $example = $c->event($type)->{example};

        $text .= "\nstatic ssize_t\nexample_$type(char *out, size_t size)\n{\n"
            . "    return delta_events_$type(out, size,\n"
            . "        &(delta_events_${type}_t) {\n"
            . join('', map { initial($c, $type, $_, $example, ' ' x 12) }
                   fields($c, $type, $c->d($type)))
            . "        });\n}\n\n";
    }

    $text .= "\n#define EXAMPLE(type)  { #type, example_##type }\n\n"
        . "static const struct {\n    const char  *type;\n"
        . "    ssize_t    (*make)(char *out, size_t size);\n} examples[] = {\n"
        . join('', map { "    EXAMPLE($_),\n" } $c->published)
        . "};\n";

    return $text;
}


sub initial {
    my ($c, $type, $f, $example, $pad) = @_;

    my $name = $f->{name};
    return '' unless exists $example->{$name};

    my $value = $example->{$name};
    my $kind = $f->{kind};

    return "$pad.$name = " . ($kind eq 'INTEGER_AT'
                              ? '&delta_events_null_integer'
                              : 'delta_events_null') . ",\n"
        unless defined $value;
    return "$pad.$name =" . lines($c->encode($value), "$pad    ") . ",\n"
        if $kind eq 'JSON';
    return "$pad.$name =" . lines(utf8($value), "$pad    ") . ",\n"
        if $kind eq 'STRING';
    return "$pad.$name = $value,\n" if $kind eq 'INTEGER';
    return "$pad.$name = &(int64_t) { $value },\n" if $kind eq 'INTEGER_AT';

    my $n = @$value;

    return "$pad.$name = (const char *[]) {\n"
        . join('', map { "$pad    $_,\n" }
               (map { c_string(utf8($_)) } @$value), 'NULL')
        . "$pad},\n$pad.${name}_n = $n,\n" if $kind eq 'STRINGS';

    my @inner = fields($c, $type, shape($c, $f->{shape}));

    return "$pad.$name = (delta_events_$f->{shape}_t[]) {\n" . join('', map {
        my $one = $_;
        "$pad    {\n" . join('', map {
            initial($c, $type, $_, $one, "$pad        ")
        } @inner) . "$pad    },\n"
    } @$value) . "$pad},\n$pad.${name}_n = $n,\n";
}


sub utf8 {
    my ($text) = @_;

    utf8::encode($text);

    return $text;
}


# A C string, in lines if it is long.

sub lines {
    my ($text, $pad) = @_;

    return ' ' . c_string($text) if length $text < 32;

    return "\n" . join "\n", map { $pad . c_string($_) }
        $text =~ /(.{1,34})/gs;
}


sub c_string {
    my ($text) = @_;

    $text =~ s/(["\\])/\\$1/g;
    $text =~ s/([^\x20-\x7e])/sprintf '\\%03o', ord $1/ge;

    return "\"$text\"";
}


1;
