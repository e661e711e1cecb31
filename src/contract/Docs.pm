package Docs;

# Copyright (C) Delta contributors

# docs/GATEWAY_EVENTS.md: events.md.in with the tables put in.

use strict;
use warnings;


sub generate {
    my ($class, $c, $template) = @_;

    my %part = (
        LIST => list($c), EVENTS => join("\n", map { event($c, $_) } $c->types),
        ENDPOINTS => endpoints($c),
        VISIBILITY => words($c, 'visibility'), ACTORS => words($c, 'actors'),
        PRIVILEGED => join(', ', map { "`$_`" } @{ $c->{root}{privileged} }),
        PATTERNS => patterns($c),
    );

    open my $fh, '<:raw', $template or die "$template: $!\n";
    local $/;
    my $text = <$fh>;

    $text =~ s/^\@(\w+)\@\n/$part{$1} . "\n"/gem;

    return $text;
}


sub words {
    my ($c, $what) = @_;

    return join "\n", "| | |", "|---|---|",
        map { "| `$_` | " . $c->text($what, $_) . ' |' }
        $c->names($c->{root}{$what});
}


sub list {
    my ($c) = @_;

    return join "\n", '| event | scope | who may see it | actor | merge |',
        '|---|---|---|---|---|',
        map {
            my $e = $c->event($_);
            sprintf '| [`%s`](#%s) | %s | `%s` | `%s` | %s |', $_, $_,
                join(', ', @{ $e->{scope} }), @$e{qw(visibility actor merge)};
        } $c->types;
}


sub endpoints {
    my ($c) = @_;

    my %events;

    for my $type ($c->types) {
        push @{ $events{$_} }, $type for @{ $c->event($type)->{endpoints} };
    }

    my $key = sub { my ($m, $p) = split ' ', $_[0]; "$p $m" };

    return join "\n", '| endpoint | events |', '|---|---|',
        map { "| `$_` | " . join(', ', map { "`$_`" } @{ $events{$_} }) . ' |' }
        sort { $key->($a) cmp $key->($b) } keys %events;
}


sub patterns {
    my ($c) = @_;

    my $defs = $c->{root}{'$defs'};

    return join "\n", '| name | pattern |', '|---|---|',
        map {
            (my $pattern = $defs->{$_}{pattern}) =~ s/\|/\\|/g;
            "| $_ | `$pattern` |";
        } grep { $defs->{$_}{pattern} } $c->names($defs);
}


sub event {
    my ($c, $type) = @_;

    my $e = $c->event($type);
    my $d = $c->d($type);

    my $text = "### $type\n\n$e->{description}\n\n";

    $text .= '- Scope: ' . join(', ', @{ $e->{scope} })
        . ($e->{channels}
           ? '; on ' . join(', ', map { "`$_`" } @{ $e->{channels} }) : '')
        . "\n";
    $text .= "- Seen by: `$e->{visibility}`. Actor: `$e->{actor}`."
        . " Merge: $e->{merge}.\n";
    $text .= '- Caused by: '
        . join(', ', map { "`$_`" } @{ $e->{endpoints} }) . "\n"
        if $e->{endpoints};

    $text .= "\n| member | | |\n|---|---|---|\n" . rows($c, $d, '');

    return "$text\n```json\n{\"t\":\"$type\",\"d\":"
        . $c->encode($e->{example}) . "}\n```\n";
}


sub rows {
    my ($c, $schema, $path) = @_;

    my $text = '';

    for my $name ($c->names($schema->{properties})) {
        my $one = $schema->{properties}{$name};
        my $real = $c->resolve($one);

        $text .= "| `$path$name` | "
            . ($c->required($schema, $name) ? 'required' : 'optional')
            . ' | ' . what($c, $one) . " |\n";

        my $inner = $real->{items} ? $c->resolve($real->{items}) : $real;
        $text .= rows($c, $inner,
                      "$path$name" . ($real->{items} ? '[].' : '.'))
            if $inner->{properties};
    }

    return $text;
}


sub what {
    my ($c, $schema) = @_;

    my $real = $c->resolve($schema);
    my $name = $c->def($schema);
    my @what = join ' or ', $c->kinds($real);

    push @what, $name if $real->{pattern};
    push @what, 'one of ' . join(', ', map { "`$_`" } @{ $real->{enum} })
        if $real->{enum};
    push @what, $real->{minLength} == 1 ? 'not empty'
        : "at least $real->{minLength} characters" if $real->{minLength};
    push @what, "at most $real->{maxLength} characters"
        if defined $real->{maxLength};
    push @what, "at most $real->{maxItems}" if defined $real->{maxItems};
    push @what, "$real->{minimum} to $real->{maximum}"
        if defined $real->{minimum};
    push @what, 'of ' . what($c, $real->{items}) if $real->{items};
    push @what, 'open to other members'
        if ($real->{type} // '') eq 'object'
           && !exists $real->{additionalProperties};

    return join ', ', @what;
}


1;
