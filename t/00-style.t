#!/usr/bin/perl

# Copyright (C) Delta contributors

# The rules of the house that a machine can check.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use File::Find qw(find);
use Test::More;

chdir dirname(__FILE__) . '/..' or die "no top directory: $!";

my $max_width = 80;
my $max_file = 800;
my $max_function = 100;

# The levels of docs/architecture.md: a file may include its own and lower.

my %level = (
    delta => 0, header => 0,
    metrics => 1, link => 1, redis => 1, event => 1, list => 1,
    lua => 1, contract => 1,
    channel => 2,
    log => 2, epoch => 2,
    repair => 2, audit => 2, history => 2, window => 2, state => 2,
    auth => 3, queue => 3, answer => 3, origin => 4,
    session => 4, stream => 4,
    resume => 4, replay => 4, say => 4, membership => 4, command => 4,
    sets => 4, keep => 4, grant => 4,
    control => 4, wheel => 4,
    lease => 4, presence => 4, refresh => 4, status => 4, sweep => 3,
    sse => 5, ws => 5,
    handler => 6, health => 6, publish => 6, world => 6, conf => 6,
    conf_redis => 6, conf_contract => 6, conf_membership => 6,
    conf_presence => 6,
    conf_gateway => 6, conf_subscribe => 6,
    module => 7,
);

my (@c, @text);

find({ no_chdir => 1, wanted => sub {
    $File::Find::prune = 1 if m{^\./(?:build|\.git|node_modules)$};
    return unless -f && !-l;
    s{^\./}{};
    push @c, $_ if /\.[ch]$/;
    push @text, $_ if /\.(?:[ch]|lua|p[lm]|t|js|html|conf|map)$
                       |^(?:config|config\.make)$
                       |^t\/(?:bin|bench)\/[^.\/]+$|^\.ci\//x;
} }, '.');

@c = sort @c;
@text = sort @text;

my %content = map { $_ => slurp($_) } @c, @text;

layout();
comments();
lengths();
levels();
core();
listed();
directives();

done_testing();


sub layout {
    my (@wide, @blank, @tabs, @head);

    for my $file (@text) {
        my @lines = split /\n/, $content{$file};

        for my $n (1 .. @lines) {
            (my $line = $lines[$n - 1]) =~ s/[\x80-\xbf]//g;
            push @wide, "$file:$n" if length $line > $max_width;
            push @blank, "$file:$n" if $line =~ /[ \t\r]$/;
            push @tabs, "$file:$n"
                if $line =~ /\t/ && $file ne 'config.make';
        }

        push @blank, "$file: no newline at the end"
            if $content{$file} !~ /[^\n]\n\z/;
    }

    for my $file (@c) {
        push @head, $file
            if $content{$file} !~ m{\A\n/\*\n \* Copyright \(C\) Delta };
    }

    none("lines are at most $max_width columns", @wide);
    none('no blanks at the end of a line or file', @blank);
    none('no tabs', @tabs);
    none('C files begin with the copyright', @head);
}


sub comments {
    my (@slashes, @todo);

    for my $file (@c) {
        my $code = code($content{$file});
        push @slashes, $file if $code =~ m{//};
    }

    for my $file (grep { $_ ne 't/00-style.t' } @text) {
        push @todo, $file if $content{$file} =~ /\b(?:TODO|FIXME|XXX)\b/;
    }

    none('no // comments', @slashes);
    none('nothing is left to be done', @todo);
}


sub lengths {
    my (@files, @functions);

    for my $file (@text) {
        my $lines = () = $content{$file} =~ /\n/g;
        push @files, "$file: $lines" if $lines > $max_file;
    }

    for my $file (@c) {
        my ($start, $name, $n) = (0, '', 0);

        for (split /\n/, $content{$file}) {
            $n++;
            $name = $1 if /^(\w+)\(/;
            $start = $n if /^\{/;

            if (/^\}$/ && $start) {
                push @functions, "$file: $name: " . ($n - $start)
                    if $n - $start > $max_function;
                $start = 0;
            }
        }
    }

    none("files have at most $max_file lines", @files);
    none("functions have at most $max_function lines", @functions);
}


sub levels {
    my @bad;

    for my $file (grep { m{^src/ngx_http_delta\w*\.[ch]$} } @c) {
        my $own = noun($file);

        push @bad, "$file: no level is known for it" unless exists $level{$own};

        for my $include (includes($file)) {
            next if $include =~ m{^core/};

            my $level = $level{ noun($include) };

            push @bad, "$file includes $include"
                if !defined $level || $level > ($level{$own} // 99);
        }
    }

    none('the module includes only its own level and lower', @bad);
}


sub noun {
    my ($file) = @_;

    return basename($file) =~ /^ngx_http_delta_(\w+)\.[ch]$/ ? $1 : 'delta';
}


sub core {
    my @bad;

    for my $file (grep { m{^src/core/} } @c) {
        push @bad, map { "$file includes $_" }
            grep { !-f "src/core/$_" } includes($file);

        push @bad, map { "$file includes <$_>" }
            grep { m{^(?:ngx|nginx|hiredis|sys/socket|netinet|poll)} }
            $content{$file} =~ /^#include\s+<([^>]+)>/mg;

        push @bad, "$file: a global that changes"
            if code($content{$file})
               =~ /^static\s+(?!const|inline)[\w\s*]+=\s/m;
    }

    none('core knows neither nginx nor sockets nor globals', @bad);

    @bad = ();

    for my $file (grep { m{^src/(?:publisher|upstream)/} } @c) {
        my $dir = dirname($file);

        push @bad, map { "$file includes $_" }
            grep { !-f "$dir/$_" && !-f "src/core/" . basename($_)
                   && !-f "src/publisher/" . basename($_)
                   || m{ngx_} } includes($file);
    }

    none('publisher and upstream know nothing of the module', @bad);
}


sub includes {
    my ($file) = @_;

    return $content{$file} =~ /^#include\s+"([^"]+)"/mg;
}


# The module is built of what config lists: no file is forgotten or too many.

sub listed {
    my $config = slurp('config');

    my %listed = map { $_ => 1 } map {
        my $name = $_;
        $name =~ s{^\$delta_core/}{src/core/};
        $name =~ s{^\$delta_src/}{src/};
        $name;
    } $config =~ m{(\$delta_(?:src|core)/\w+\.[ch])\b}g;

    my @files = grep { m{^src/(?:core/)?\w+\.[ch]$} } @c;

    none('config lists every source', grep { !$listed{$_} } @files);
    none('config lists nothing else', grep { !-f } sort keys %listed);
}


sub directives {
    my $docs = 'docs/directives.md';

    my @names = $content{'src/ngx_http_delta_module.c'}
        =~ /ngx_string\("(delta_\w+)"\),\s+(?:NGX_HTTP|NGX_CONF)/g;

    ok(@names > 5, 'the directives are found in the module');

    SKIP: {
        skip "no $docs", 1 unless -f $docs;

        my $text = slurp($docs);

        none("every directive is in $docs",
             grep { $text !~ /^#+\s+`?$_\b/m } @names);
    }
}


# The text without comments, strings and characters.

sub code {
    my ($text) = @_;

    $text =~ s{/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])+'}{ }gs;

    return $text;
}


sub none {
    my ($name, @bad) = @_;

    ok(!@bad, $name) or diag(join "\n", @bad[0 .. ($#bad > 19 ? 19 : $#bad)]);
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<:raw', $file or die "$file: $!";
    local $/;

    return scalar <$fh>;
}
