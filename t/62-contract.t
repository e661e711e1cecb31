#!/usr/bin/perl

# Copyright (C) Delta contributors

# What is made of conf/events.json is current, and the gateway's check and the
# client's validators say the same of whatever comes.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

use lib dirname(__FILE__) . '/lib';
use Delta::Variants qw(variants);

chdir dirname(__FILE__) . '/..' or die "no top directory: $!";

my $dir = tempdir('delta-contract-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

my $contract = $json->decode(slurp('conf/events.json'));
my %events = %{ $contract->{events} };

current();
seeds();
privileged();
verdicts();

done_testing();


sub current {
    my $said = `$^X src/contract/generate.pl --check 2>&1`;

    is($?, 0, 'row 3.3: what is made of it is current') or diag($said);
}


# Every event that a client of the gateway is promised.

sub seeds {
    my @missing = grep { !$events{$_} } qw(
        ready subscribed patch space_delta snapshot presence_sync
        presence_update message_create message_update message_delete
        message_reaction attachment_create attachment_delete channel_create
        channel_update channel_delete channel_reorder workspace_update
        workspace_member_add workspace_member_update workspace_member_remove
        workspace_member_ban workspace_role_create workspace_role_update
        workspace_role_delete workspace_role_reorder
        workspace_role_assignment_add workspace_role_assignment_remove
        workspace_channel_override_update workspace_ip_ban_sync
        profile_update profile_avatar_update friend_request_create
        friend_request_update friend_request_delete friend_remove);

    is("@missing", '', 'row 3.2: no event is missing');

    my @endless = grep { $_ ne 'space_delta' && open_objects($events{$_}{d}) }
        sort keys %events;

    is("@endless", '', 'only spaces have members that are not listed');

    is_deeply($events{workspace_ip_ban_sync}{scope}, ['user'],
              'IP bans go to inboxes');
    is_deeply($events{workspace_member_ban}{scope}, ['user'],
              'bans go to inboxes');
}


sub open_objects {
    my ($schema) = @_;

    $schema = $contract->{'$defs'}{$1}
        while ($schema->{'$ref'} // '') =~ m{^#/\$defs/(\w+)$};

    return 1 if ($schema->{type} // '') eq 'object'
        && ($schema->{additionalProperties} // 1);

    return grep { open_objects($_) } values %{ $schema->{properties} || {} },
        $schema->{items} || ();
}


sub privileged {
    my %secret = map { $_ => 1 } @{ $contract->{privileged} };

    ok($secret{$_}, "$_ is privileged")
        for qw(ip ip_address email password token);

    my @found;
    my @todo = (values %events, values %{ $contract->{'$defs'} });

    while (my $one = shift @todo) {
        push @todo, @$one if ref $one eq 'ARRAY';
        next if ref $one ne 'HASH';
        push @found, grep { $secret{$_} || /(?:^|_)ip$/i } keys %$one;
        push @todo, values %$one;
    }

    is("@found", '', 'no schema and no example has a privileged member');
}


sub verdicts {
    my $cc = $ENV{CC} || 'cc';
    my @san = $ENV{ASAN}
        ? ('-fsanitize=address,undefined', '-fno-sanitize-recover=all') : ();

    is(system($cc, qw(-std=gnu11 -Wall -Wextra -Werror -g -O1 -Isrc/core),
              @san, '-o', "$dir/check", 't/bin/contract-check.c',
              glob('src/core/delta_contract*.c'),
              glob('src/core/delta_json*.c'),
              qw(src/core/delta_cursor.c src/core/delta_envelope.c
                 src/core/delta_name.c src/core/delta_utf8.c -ljansson)),
       0, 't/bin/contract-check.c builds') or return;

    my @cases = ('{"t":"no_such_event","d":{}}', '{"t":"constructor","d":{}}',
                 map { variants($_, $events{$_}{example}) } sort keys %events);

    open my $fh, '>:raw', "$dir/events" or die "$dir/events: $!";
    print $fh map { "$_\n" } @cases;
    close $fh or die "$dir/events: $!";

    my @gateway = `$dir/check conf/events.json < $dir/events`;
    is($?, 0, 'the gateway\'s check runs') or return;

    my $node = `node --version 2>&1` // '';
    ok($? == 0 && $node =~ /^v(?:1[89]|[2-9]\d)\./, 'node 18 or later runs')
        or return diag('the client\'s validators need node: '
                       . "apt-get install nodejs ($node)");

    my $error = "$dir/error";
    my @client = `node t/contract/check.js < $dir/events 2> $error`;
    is($?, 0, 'the client\'s validators run') or return diag(slurp($error));

    is(scalar @gateway, scalar @cases, 'a verdict on every event');
    my @rest = splice @client, scalar @cases;

    my @differ = grep { $gateway[$_] ne $client[$_] } 0 .. $#cases;
    is(scalar @differ, 0, @cases . ' events: the same verdicts')
        or diag(map { "$cases[$_]\n  gateway: $gateway[$_]  client:  "
                      . ($client[$_] // "none\n") }
                grep defined, @differ[0 .. 9]);

    my %kinds;
    $kinds{ s{^\S+ }{}r }++ for @gateway;
    chomp(my @kinds = sort keys %kinds);

    for my $kind ('is missing', 'has the wrong type', 'is too long',
                  'is not in the contract', 'does not match the pattern',
                  'is not one of the values', 'has too many items',
                  'is too small', 'is too large', 'is too short',
                  'is not a whole number', 'is privileged', 'ok', 'unknown')
    {
        ok((grep { $_ eq $kind } @kinds), "among them: $kind");
    }

    chomp @rest;
    is((scalar grep { /^tolerant / } @rest), scalar keys %events,
       'row 3.8: clients allow what other servers may send') or diag("@rest");
    is($rest[-1], 'unknown ignored', 'row 3.1: ignore types they do not know');
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<:raw', $file or die "$file: $!";
    local $/;

    return scalar <$fh>;
}
