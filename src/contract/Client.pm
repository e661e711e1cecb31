package Client;

# Copyright (C) Delta contributors

# For src/client/contract: events.js, what the validators walk over, and
# index.d.ts, the types.

use strict;
use warnings;

use JSON::PP;


my $json = JSON::PP->new->allow_nonref;


sub data {
    my ($class, $c) = @_;

    my $text = "// Copyright (C) Delta contributors\n\n"
        . "// Made of conf/events.json by make contract.\n\n"
        . "export const privileged = "
        . value($c, $c->{root}{privileged}, 4, 0) . "\n\n";

    my $defs = $c->{root}{'$defs'};

    $text .= "export const defs = {\n" . join('', map {
        "    $_: " . value($c, $defs->{$_}, 8, length) . ",\n"
    } $c->names($defs)) . "}\n\n";

    return $text . "export const events = {\n" . join('', map {
        "    $_: " . value($c, $c->event($_)->{d}, 8, length) . ",\n"
    } $c->types) . "}\n";
}


# JavaScript in lines of at most 80 columns.

sub value {
    my ($c, $value, $indent, $before) = @_;

    my $flat = flat($c, $value);
    my $pad = ' ' x $indent;
    my $end = ' ' x ($indent - 4);

    return $flat if length($flat) + $indent + $before < 74;

    if (ref $value eq 'HASH') {
        return "{\n" . join('', map {
            my $key = key($_);
            my $one = value($c, $value->{$_}, $indent + 4, length $key);
            "$pad$key:" . ($one =~ /^\n/ ? '' : ' ') . "$one,\n"
        } $c->names($value)) . "$end}";
    }

    if (ref $value eq 'ARRAY') {
        my ($text, $line) = ('', $pad);

        for (map { flat($c, $_) . ',' } @$value) {
            if (length($line) + length($_) > 78) {
                $text .= "$line\n";
                $line = $pad;
            }

            $line .= ($line =~ /\S/ ? ' ' : '') . $_;
        }

        return "[\n$text$line\n$end]";
    }

    my @part = $value =~ /(.{1,40})/g;

    return "\n$pad" . join " +\n$pad", map { quoted($_) } @part;
}


sub flat {
    my ($c, $value) = @_;

    return '{ ' . join(', ', map { key($_) . ': ' . flat($c, $value->{$_}) }
                       $c->names($value)) . ' }' if ref $value eq 'HASH';
    return '[' . join(', ', map { flat($c, $_) } @$value) . ']'
        if ref $value eq 'ARRAY';
    return $value ? 'true' : 'false' if JSON::PP::is_bool($value);
    return $value if $json->encode($value) =~ /^-?\d/;

    return quoted($value);
}


sub key { $_[0] =~ /^[A-Za-z_]\w*$/ ? $_[0] : quoted($_[0]) }

sub quoted {
    my ($text) = @_;

    $text =~ s/([\\'])/\\$1/g;

    return "'$text'";
}


sub types {
    my ($class, $c) = @_;

    my $text = "// Copyright (C) Delta contributors\n\n"
        . "// Made of conf/events.json by make contract.\n\n";

    my $defs = $c->{root}{'$defs'};

    for (grep { ($defs->{$_}{type} // '') eq 'object' } $c->names($defs)) {
        $text .= 'export interface ' . camel($_) . ' '
            . object($c, $defs->{$_}, '') . "\n\n";
    }

    for ($c->types) {
        my $e = $c->event($_);
        my $def = $c->def($e->{d});

        $text .= "/** $e->{description} */\n";
        $text .= $def
            ? 'export type ' . event_name($_) . ' = ' . camel($def) . "\n\n"
            : 'export interface ' . event_name($_) . ' '
              . object($c, $e->{d}, '') . "\n\n";
    }

    return $text . "/** Payloads by type. */\nexport interface ContractEvents {"
        . "\n" . join('', map { "    $_: " . event_name($_) . "\n" } $c->types)
        . "}\n\nexport type EventType = keyof ContractEvents\n\n" . <<'END';
export interface Fault {
    /** A JSON pointer into d. */
    readonly path: string
    readonly what: string
}

/** All types of the contract. */
export const types: readonly EventType[]

/**
 * null: as the contract says. undefined: it does not know the type. Members
 * that it does not know are allowed, as a newer server may send them, but not
 * if strict.
 */
export function check(t: string, d: unknown, options?: { strict?: boolean }):
    Fault | null | undefined

/** For `validate` of createClient(): false for what is known and broken. */
export function validate(event: { t: string, d: unknown }): boolean

/** Whether d is the payload of such an event. */
export function isEvent<T extends EventType>(t: T, d: unknown):
    d is ContractEvents[T]
END
}


sub object {
    my ($c, $schema, $indent) = @_;

    my $open = $schema->{additionalProperties} // 1;

    return "{\n" . join('', map {
        my $one = $schema->{properties}{$_};
        "$indent    $_" . ($c->required($schema, $_) ? '' : '?') . ': '
            . type($c, $one, "$indent    ") . "\n"
    } $c->names($schema->{properties} || {}))
        . ($open ? "$indent    [name: string]: unknown\n" : '') . "$indent}";
}


sub type {
    my ($c, $schema, $indent) = @_;

    my $def = $c->def($schema);
    my $real = $c->resolve($schema);

    return camel($def) if $def && ($real->{type} // '') eq 'object';
    return join ' | ', map { quoted($_) } @{ $real->{enum} } if $real->{enum};

    my %type = (integer => 'number', number => 'number', string => 'string',
                boolean => 'boolean', null => 'null');

    return join(' | ', map {
        $_ eq 'object' ? object($c, $real, $indent)
        : $_ eq 'array' ? list($c, $real, $indent)
        : $type{$_} // die "no type for $_\n"
    } $c->kinds($real)) || 'unknown';
}


sub list {
    my ($c, $schema, $indent) = @_;

    my $item = type($c, $schema->{items} || {}, $indent);

    return $item =~ /^\w+$/ ? "${item}[]" : "($item)[]";
}


sub camel { join '', map { ucfirst } split /[_.]/, $_[0] }
sub event_name { camel($_[0]) . 'Event' }


1;
