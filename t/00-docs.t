#!/usr/bin/perl

# Copyright (C) Delta contributors

# The documents say what the code has: the same directives, variables, close
# codes, errors, messages and metrics, no more and no fewer; each feature has
# tests that are named after it; links lead somewhere.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Find qw(find);
use Test::More;

chdir dirname(__FILE__) . '/..' or die "no top directory: $!";

my $code = join '', map { slurp($_) } glob 'src/*.[ch] src/core/*.[ch]';
my $directives = slurp('docs/directives.md');
my $protocol = slurp('docs/protocol.md');

directives();
variables();
closes();
words();
metrics();
features();
links();

done_testing();


sub directives {
    my ($any) = $code =~ /define NGX_HTTP_DELTA_ANY\s[\s\\]*\(([^)]+)\)/;
    my (%code, %docs);

    while ($code =~ /\{ ngx_string\("(delta_\w+)"\),\s+(NGX_HTTP_[\w|\s]+),/g) {
        my ($name, $flags) = ($1, $2);
        my @flags = (http => 'MAIN', server => 'SRV', location => 'LOC');
        my @context;

        $flags =~ s/NGX_HTTP_DELTA_ANY/$any/;

        while (my ($context, $flag) = splice @flags, 0, 2) {
            push @context, $context if $flags =~ /NGX_HTTP_${flag}_CONF\b/;
        }

        $code{$name} = join ', ', @context;
    }

    for my $part (split /^(?=### )/m, $directives) {
        my ($name) = $part =~ /\A### (delta_\w+)\n/ or next;
        ($docs{$name}) = $part =~ /^    Context: +(.+)$/m;
        like($part, qr/^    Syntax:   $name[ ;].*^    Default: /ms,
             "$name: syntax and default");
    }

    is_deeply(\%docs, \%code, 'directives and where they may stand');
}


sub variables {
    my ($table) = $code =~ /ngx_http_delta_variables\[\] = \{(.*?)\n\};/s;
    my ($part) = $directives =~ /^## Variables\n(.*?)(?:^## |\z)/ms;

    same('variables', [ $part =~ /^- `\$(delta_\w+)`/mg ],
         [ map { s/_$/_NAME/r } $table =~ /ngx_string\("(\w+)"\)/g ]);
}


# With their sentences; of those of one code that have several, none.

sub closes {
    my ($part) = $protocol =~ /^## Closing\n(.*?)(?:^## |\z)/ms;
    my (%docs, %code);

    $docs{$1} = $2 while $part =~ /^\| (\d{4}) \| (.*?) \|/mg;

    while ($code =~ /X\(\w+, +(\d{4}), [\w\s,]*"(.*?)"\)/g) {
        $code{$1} = exists $code{$1} ? "\xe2\x80\xa6" : $2;
    }

    $code{$1} = $2
        while $code =~ /_close_code\(s, (\d{4}),\s+"(.*?)"/g;

    is_deeply(\%docs, \%code, 'close codes and their sentences');
}


sub words {
    my ($says) = $protocol =~ /^## What the gateway says\n(.*?)^## /ms;
    my ($commands) = $protocol =~ /^## Commands\n(.*?)^## /ms;

    my ($bad) = $code =~ /define DELTA_COMMAND_ERRORS\(X\)(.*?)\n\n/s;
    my ($asked, $errors) = split /^\| code \|/m, $commands;

    same('messages of the gateway', [ table($says) ],
         [ $code =~ /_s(?:ession_send|ay(?:_first)?)\(s, "(\w+)"/g ]);

    my ($names) = $code =~ /= \{\s+("subscribe", "unsubscribe"[^}]*)/;
    same('commands', [ table($asked) ], [ $names =~ /"(\w+)"/g ]);

    same('errors of commands', [ table($errors) ],
         [ $code =~ /_say_error\(s,\s+"(\w+)"/g,
           $bad =~ /X\(\w+, +"(\w+)"/g ]);

    my ($resyncs) = $code =~ /define NGX_HTTP_DELTA_RESYNCS\(X\)(.*?)\n\n/s;
    my ($reasons) = $says =~ /^- `resync`: (.*?)A backend/ms;

    same('reasons of resync', [ grep { !/^(?:channel|replay|null)$/ }
                                $reasons =~ /`(\w+)`/g ],
         [ $resyncs =~ /"(\w+)"/g ]);
}


# The first column of all tables.

sub table {
    my ($text) = @_;

    return $text =~ /^\| `(\w+)` \|/mg;
}


sub metrics {
    my ($table) = $code =~ /define NGX_HTTP_DELTA_METRICS\(X\)(.*?)\n\n/s;
    my ($part) = $directives =~ /^### delta_metrics\n(.*?)^### /ms;
    my (%docs, %code);

    while ($part =~ /^\| `(delta_\w+)(?:\{([\w,=]+)=\})?` \| (.*) \|$/mg) {
        my ($name, $label, $text) = ($1, $2, $3);
        $docs{$name} = $label
            ? join(' ', $label, sort $text =~ /`(\w+)`/g) : '';
    }

    while ($table =~ /"(delta_\w+)(?:\{(\w+)=\\"(\w+)\\"\})?"/g) {
        my ($name, $label, $value) = ($1, $2, $3);
        my (undef, @others) = split / /, $code{$name} // '';
        $code{$name} = $label ? join(' ', $label, sort @others, $value) : '';
    }

    # by type: the types are the contract's, and "*"

    while ($code =~ /"(delta_\w+_total)\{(\w+=)\\"%\*s\\"(,\w+)?/g) {
        my $name = $1;
        $code{$name} = $3 ? "$2$3" : $2 =~ tr/=//dr;
        $docs{$name} =~ s/ .*// if $docs{$name};
    }

    is_deeply(\%docs, \%code, 'metrics and their labels');
}


# The title of a test is a string that begins with its row.

sub features {
    my (%rows, %has, @bad);

    for (split /\n/, slurp('docs/features.md')) {
        my ($row, $text, $files) = /^\| ([\d.]+) \| (.*) \| (.*) \|$/ or next;

        push @bad, "row $row twice" if $rows{$row};
        push @bad, "row $row: no sentence" if $text !~ /^[A-Z`].{20,}\.$/;
        $rows{$row} = [ $files =~ /`(.*?)`/g ];
    }

    find({ no_chdir => 1, wanted => sub {
        return if !/\.(?:t|pm|c|js)$/ || m{/00-docs\.t$};

        my $text = slurp($_);

        $has{$1}{$File::Find::name}++
            while $text =~ /['"`]row (\d+\.\d+): (?=[\w"`'\$\/])/g;

        my $titles = () = $text =~ /['"`]row \d+\.\d+: /g;
        my $all = () = $text =~ /\brows? \d+\.\d/g;

        push @bad, "$_: a row that is in no title" if $titles != $all;
    } }, 't');

    for my $row (sort keys %rows) {
        push @bad, "row $row: no test" if !@{ $rows{$row} };
        push @bad, map { "row $row: not in $_" }
            grep { !$has{$row}{$_} } @{ $rows{$row} };
    }

    push @bad, map { "row $_ is not in docs/features.md" }
        grep { !$rows{$_} } sort keys %has;

    is(join("\n", @bad), '', 'each feature has tests, and each row of a test');
    cmp_ok(scalar keys %rows, '>=', 40, keys(%rows) . ' rows');
}


sub links {
    my (@files, @bad);

    find({ no_chdir => 1, wanted => sub {
        $File::Find::prune = 1 if m{^\./(?:build|\.git|node_modules)$};
        push @files, s{^\./}{}r if /\.md$/;
    } }, '.');

    for my $file (sort @files) {
        my $text = slurp($file);
        my $dir = dirname($file);

        while ($text =~ /\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)/g) {
            my ($path, $anchor) = ($1, $2);
            my $to = length $path ? "$dir/$path" : $file;

            push @bad, "$file: $path" if !-e $to;
            push @bad, "$file: $path#$anchor"
                if $anchor && -f $to && !grep { $_ eq $anchor } anchors($to);
        }

        my $bare = $text =~ s{\w+://\S+}{}gr;

        push @bad, map { "$file: $_" } grep { !(() = glob) }
            $bare =~ m{(?<![\w/.-])((?:src|t|conf|docs)/[\w./*-]*\w)}g;
    }

    is(join("\n", @bad), '', 'links and names of files lead somewhere');
}


sub anchors {
    my ($file) = @_;

    return map { s/[^\w\s-]//gr =~ s/ /-/gr } map { lc }
        slurp($file) =~ /^#+ +(.+)$/mg;
}


sub same {
    my ($what, $docs, $code) = @_;

    my %docs = map { $_ => 1 } @$docs;
    my %code = map { $_ => 1 } @$code;

    is_deeply([ sort keys %docs ], [ sort keys %code ], $what);
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<:raw', $file or die "$file: $!";
    local $/;

    return scalar <$fh>;
}
