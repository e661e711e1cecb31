#!/usr/bin/perl

# Copyright (C) Delta contributors

# The reference upstream serves every endpoint of the contract, and what it
# refuses it refuses with a status, a code and a sentence, changing nothing.

use Delta;
use Delta::Rest;

my $r = Delta::Rest->start(qw(ada ben cleo dan));
my $t = $r->{t};
my $g = '/api/guilds/g1';
my $messages = "$g/channels/c1/messages";

endpoints();
refused();
bodies();
strangers();
restart();

$r->finish;


# 404 "there is nothing here" and 405 are what the router says.

sub endpoints {
    my $contract = json_decode(Delta::Rest::slurp(
        "$Delta::TOP/conf/events.json"));
    my %seen;

    for my $event (values %{ $contract->{events} }) {
        for my $endpoint (@{ $event->{endpoints} || [] }) {
            next if $seen{$endpoint}++;

            my ($method, $path) = split / /, $endpoint;
            my $at = $path =~ s/\{\w+\}/none/gr;

            my $answer = $r->api(ada => $method => $at, 'x');
            my $text = $answer->{json}{error}{message} // '';

            ok($answer->{status} != 405 && $text ne 'there is nothing here',
               "row 3.2: $endpoint") or diag($answer->{body});
            is($r->api(undef, $method => $at, 'x')->{status}, 401,
               'for users only');
        }
    }

    cmp_ok(scalar keys %seen, '>', 30, keys(%seen) . ' endpoints');
}


sub refused {
    my @cases = (
        [ POST => "$g/channels", { name => '' }, 400, 'bad_field' ],
        [ POST => "$g/channels", {}, 400, 'bad_field' ],
        [ POST => "$g/channels", { name => 'x' x 129 }, 400, 'bad_field' ],
        [ POST => "$g/channels", { name => 'x', kind => 'tv' }, 400,
          'bad_field' ],
        [ POST => "$g/channels", { name => 'x', kind => 'text voice' }, 400,
          'bad_field' ],
        [ POST => "$g/channels", { name => 'x', hidden => 1 }, 400,
          'bad_field' ],
        [ POST => "$g/channels", { name => 'x', topic => 'x' x 1025 }, 400,
          'bad_field' ],
        [ POST => "$g/channels", { name => 'x', id => 'c1' }, 400,
          'unknown_field' ],
        [ PATCH => "$g/channels/c1", { name => undef }, 400, 'bad_field' ],
        [ PATCH => "$g/channels/c99", { name => 'x' }, 404, 'not_found' ],
        [ DELETE => "$g/channels/c99", undef, 404, 'not_found' ],
        [ POST => "$g/channels/reorder", {}, 400, 'bad_field' ],
        [ POST => "$g/channels/reorder", { channel_ids => 'c1' }, 400,
          'bad_field' ],
        [ POST => "$g/channels/reorder", { channel_ids => [ 'c1', 'c1' ] },
          400, 'bad_field' ],
        [ POST => "$g/channels/reorder", { channel_ids => [ 'c:1' ] }, 400,
          'bad_field' ],
        [ POST => "$g/channels/reorder", { channel_ids => [ {} ] }, 400,
          'bad_field' ],
        [ POST => $messages, {}, 400, 'bad_field' ],
        [ POST => $messages, '', 400, 'bad_field' ],
        [ POST => $messages, '{', 400, 'bad_json' ],
        [ POST => $messages, { content => '' }, 400, 'bad_field' ],
        [ POST => $messages, { content => 'x' x 8193 }, 400, 'bad_field' ],
        [ POST => $messages, { content => 'x', nonce => 'x' x 65 }, 400,
          'bad_field' ],
        [ POST => $messages, { content => 'x', author_id => 'ben' }, 400,
          'unknown_field' ],
        [ POST => $messages, 'x' x 65537, 413, 'too_large' ],
        [ PATCH => "$messages/m1", { content => undef }, 400, 'bad_field' ],
        [ PATCH => "$messages/m99", { content => 'x' }, 404, 'not_found' ],
        [ PATCH => "$messages/m4", { content => 'x' }, 404, 'not_found' ],
        [ DELETE => "$messages/m4", undef, 404, 'not_found' ],
        [ POST => "$messages/m1/reactions/" . 'x' x 65, undef, 404,
          'not_found' ],
        [ DELETE => "$messages/m1/attachments/a9", undef, 404, 'not_found' ],
        [ GET => "$messages/m1/attachments/a9", undef, 404, 'not_found' ],
        [ GET => "$messages/m1/attachments/..%2Fupstream.db", undef, 404,
          'not_found' ],
        [ PATCH => "$g/settings", { visibility => 'secret' }, 400,
          'bad_field' ],
        [ PATCH => "$g/settings", { name => undef }, 400, 'bad_field' ],
        [ PATCH => "$g/settings", { owner_id => 'ben' }, 400,
          'unknown_field' ],
        [ PATCH => "$g/members/ben", { role => 'owner' }, 400, 'bad_field' ],
        [ PATCH => "$g/members/ben", { role => undef }, 400, 'bad_field' ],
        [ PATCH => "$g/members/dan", { role => 'member' }, 404,
          'not_found' ],
        [ PATCH => "$g/members/ada", { nick => 'x' }, 403, 'forbidden' ],
        [ POST => "$g/members/ada/kick", undef, 409, 'conflict' ],
        [ POST => "$g/members/dan/kick", undef, 404, 'not_found' ],
        [ POST => "$g/members/ada/ban", undef, 409, 'conflict' ],
        [ POST => "$g/members/ben/ban", { reason => 'x' x 513 }, 400,
          'bad_field' ],
        [ POST => "$g/members/ben/ban", '[]', 400, 'bad_json' ],
        [ DELETE => "$g/bans/ben", undef, 404, 'not_found' ],
        [ POST => "$g/roles", {}, 400, 'bad_field' ],
        [ POST => "$g/roles", { name => 'x', color => -1 }, 400,
          'bad_field' ],
        [ POST => "$g/roles", { name => 'x', color => 16777216 }, 400,
          'bad_field' ],
        [ POST => "$g/roles", { name => 'x', permissions => 'all' }, 400,
          'bad_field' ],
        [ POST => "$g/roles", { name => 'x', permissions => [ 'root' ] },
          400, 'bad_field' ],
        [ PATCH => "$g/roles/g1", { name => 'x' }, 400, 'bad_field' ],
        [ PATCH => "$g/roles/r9", { name => 'x' }, 404, 'not_found' ],
        [ PATCH => "$g/roles/r1", { position => 9 }, 400, 'unknown_field' ],
        [ DELETE => "$g/roles/r9", undef, 404, 'not_found' ],
        [ POST => "$g/roles/reorder", { role_ids => [ 'r1', 'g1' ] }, 400,
          'bad_field' ],
        [ POST => "$g/roles/g1/members/ben", undef, 409, 'conflict' ],
        [ POST => "$g/roles/r1/members/dan", undef, 404, 'not_found' ],
        [ POST => "$g/channels/c1/overrides/r1", { allow => [] }, 400,
          'bad_field' ],
        [ POST => "$g/ip-bans", {}, 400, 'bad_field' ],
        [ POST => "$g/ip-bans", { address => 1 }, 400, 'bad_field' ],
        [ DELETE => "$g/ip-bans/b9", undef, 404, 'not_found' ],
        [ PATCH => '/api/users/me/profile', { display_name => '' }, 400,
          'bad_field' ],
        [ PATCH => '/api/users/me/profile', { avatar_url => 'x' }, 400,
          'unknown_field' ],
        [ POST => '/api/friends/requests', {}, 400, 'bad_field' ],
        [ POST => '/api/friends/requests', { user_id => 'a:b' }, 400,
          'bad_field' ],
        [ DELETE => '/api/friends/requests/f9', undef, 404, 'not_found' ],
        [ DELETE => '/api/friends/ben', undef, 404, 'not_found' ],
    );

    for my $case (@cases) {
        my ($method, $path, $body, $status, $code) = @$case;

        my $answer = $r->api(ada => $method => $path, $body);
        my $text = ref $body ? json_encode($body) : $body // '';
        my $error = $answer->{json}{error} || {};

        is("$answer->{status} " . ($error->{code} // $answer->{body}),
           "$status $code", "$method $path " . substr($text, 0, 40));
        like($error->{message} // '', qr/^\w.{8,}/, 'in words');
    }

    is_deeply($r->seen, { map { $_ => [] } qw(ada ben cleo dan) },
              'and nobody hears of it');
}


# The longest that is taken is an event that the gateway forwards.

sub bodies {
    $r->subscribe(ben => 'channel:c1');
    $r->seen;

    $r->does('row 3.5: the longest message', [ ada => POST => $messages,
             { content => "\x01" x 8192 } ], 201, message_create => 'ben');
    is($r->{last}{message_create}{content}, "\x01" x 8192, 'arrives');

    $r->does('the longest profile', [ ada => PATCH =>
             '/api/users/me/profile', { bio => "\x01" x 4096,
             status_text => "\x01" x 256 } ], 200,
             profile_update => 'ada ben cleo');
    $r->does('the longest patch', [ ada => PATCH => '/api/users/me',
             { bio => "\x02" x 4096, avatar_url => "\x02" x 2048 } ], 200,
             patch => 'ada ben cleo');
}


# dan is in no guild: whatever he asks for is refused, and changes nothing.

sub strangers {
    for my $request ([ GET => "$g/channels" ], [ GET => "$g/members" ],
                     [ GET => "$g/roles" ], [ GET => "$g/bans" ],
                     [ GET => $messages ], [ GET => "$g/members/me" ],
                     [ PATCH => "$g/settings", { name => 'x' } ],
                     [ POST => $messages, { content => 'x' } ],
                     [ DELETE => "$messages/m1" ],
                     [ POST => "$messages/m1/reactions/x" ],
                     [ POST => "$messages/m1/attachments?filename=x", 'x' ],
                     [ POST => "$g/channels", { name => 'x' } ],
                     [ POST => "$g/members/dan" ],
                     [ POST => "$g/members/ben/ban" ],
                     [ POST => "$g/ip-bans", { address => '192.0.2.1' } ],
                     [ POST => "$g/roles", { name => 'x' } ])
    {
        $r->does("row 3.4: $request->[0] $request->[1] by a stranger",
                 [ dan => @$request ], 403);
    }

    is_deeply($r->api(dan => GET => '/api/users/me/guilds')->{json}{guilds},
              [], 'dan has no guild');
    is_deeply([ map { $_->{id} }
                @{ $r->api(ben => GET => '/api/users/me/guilds')->{json}
                   {guilds} } ], [ 'g1' ], 'ben has one');
}


# What Redis has lost is written again, the channels of each user, too.

sub restart {
    is_deeply([ $r->set('user:cleo:channels') ], [ qw(c1 c2) ],
              'the channels of cleo');
    $t->redis('FLUSHALL');
    $t->redis('FUNCTION', 'LOAD', 'REPLACE', $t->library);

    ok(wait_for(sub { $r->set('user:dan:channels') == 0
                      && $r->set('user:ben:channels') == 3
                      && $r->set('user:cleo:channels') == 2 }),
       'an empty Redis gets them back');
}
