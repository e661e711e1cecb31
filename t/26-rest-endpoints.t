#!/usr/bin/perl

# Copyright (C) Delta contributors

# Every endpoint of the contract, one after the other at the reference upstream:
# each publishes the events that the contract has for it, and no others, and of
# each role those hear of it whom the contract lets see it.

use Delta;
use Delta::Rest;

# ada owns g1, ben has a role there, cleo none, erin is a moderator, gwen a
# stranger; dan is whom it is done to, and comes and goes.

my $r = Delta::Rest->start(qw(ada ben cleo dan erin gwen));
my $contract = json_decode(Delta::Rest::slurp("$Delta::TOP/conf/events.json"));
my %id = (guild_id => 'g1', user_id => 'dan', emoji => 'x');
my $png = "\x89PNG\r\n\x1a\n" . 'x' x 40;

my %may = (moderators => 'ada erin', the_user => 'ada',
           map { $_ => 'ada ben cleo erin' }
           qw(guild_members entitled_members channel_viewers observers));

my (%events, %called);

for my $type (keys %{ $contract->{events} }) {
    push @{ $events{$_} }, $type
        for @{ $contract->{events}{$type}{endpoints} || [] };
}

my $guild = '/api/guilds/{guild_id}';
my $channel = "$guild/channels/{channel_id}";
my $message = "$channel/messages/{message_id}";

$r->api(erin => POST => '/api/guilds/g1/join');
$r->api(ada => PATCH => '/api/guilds/g1/members/erin',
        { role => 'moderator' });
$r->seen(erin => 'workspace_member_update');

is($r->subscribe(gwen => $_), 'error', "row 3.4: gwen cannot open $_")
    for qw(user:ada user:ada:inbox user:ada:control guild:g1 channel:c1);
is($r->subscribe(ben => $_), 'error', "row 3.4: nor ben $_")
    for qw(user:ada:inbox user:ada:control);

people();
channels();
messages();
members();
roles();
bans();

is(join("\n", grep { !$called{$_} } sort keys %events), '',
   'row 3.2: every endpoint of the contract was called');
cmp_ok(scalar keys %called, '>=', 36, keys(%called) . ' of them');

$r->finish('192.0.2.');


# as => user; query => behind the path; headers.  What the answer calls an id
# is one from then on.

sub call {
    my ($endpoint, $body, %opt) = @_;

    my ($method, $path) = split / /, $endpoint;

    $path =~ s/\{(\w+)\}/$id{$1}/g;
    $path .= $opt{query} // '';

    my $answer = $r->api($opt{as} || 'ada', $method => $path, $body,
                         %{ $opt{headers} || {} });

    like($answer->status, qr/^20[014]$/, "$endpoint is done")
        or diag($answer->body);

    # membership of one's own is changed beside the events

    my $seen = $r->seen;
    my %who;

    for my $watcher (sort keys %$seen) {
        for my $type (map { $_->{t} } @{ $seen->{$watcher} }) {
            push @{ $who{$type} }, $watcher
                if $type !~ /^(?:un)?subscribed$/;
        }
    }

    is("@{[ sort keys %who ]}", "@{[ sort @{ $events{$endpoint} || ['?'] } ]}",
       "row 3.2: $endpoint: @{[ sort keys %who ]}");

    for my $type (sort keys %who) {
        my $see = $contract->{events}{$type}{visibility};

        is(join(' ', grep { $_ ne 'dan' } @{ $who{$type} }), $may{$see},
           "row 3.4: $type is for $see, once");
    }

    $called{$endpoint}++;

    my $json = $answer->{json};

    if (ref $json eq 'HASH') {
        $id{$_} = $json->{$_} for grep { defined $json->{$_} }
            grep { /_id$/ && !/^(?:guild|user|author|actor)/ } keys %$json;
    }
}


sub people {
    call('POST /api/friends/requests', { user_id => 'dan' });
    call('DELETE /api/friends/requests/{request_id}');
    call('POST /api/friends/requests', { user_id => 'dan' });
    call('POST /api/friends/requests/{request_id}/accept', undef,
         as => 'dan');
    call('DELETE /api/friends/{user_id}');

    call('PATCH /api/users/me', { bio => 'b' });
    call('PATCH /api/users/me/profile', { bio => 'c' });
    call('POST /api/users/me/profile/avatar', $png);
}


sub channels {
    call("POST $guild/channels", { name => 'walk' });
    is($r->subscribe($_, "channel:$id{channel_id}"), 'subscribed',
       "$_ opens the channel") for qw(ada ben cleo erin);
    is($r->subscribe($_, "channel:$id{channel_id}"), 'error',
       "$_ cannot") for qw(dan gwen);
    call("POST $guild/channels/reorder",
         { channel_ids => [ $id{channel_id}, qw(c1 c2 c3) ] });
    call("PATCH $channel", { topic => 't' });
}


sub messages {
    call("POST $channel/messages", { content => 'one' });
    call("PATCH $message", { content => 'two' });
    call("POST $message/reactions/{emoji}");
    call("DELETE $message/reactions/{emoji}");
    call("POST $message/attachments", $png, query => '?filename=a.png',
         headers => { 'Content-Type' => 'image/png' });
    call("DELETE $message/attachments/{attachment_id}");
    call("DELETE $message");

    $id{role_id} = 'r1';
    call("POST $channel/overrides/{role_id}",
         { allow => [ 'send_message' ], deny => [] });
    call("DELETE $channel");
}


sub members {
    call("PATCH $guild", { name => 'N1' });
    call("PATCH $guild/settings", { name => 'N2' });
    call("POST $guild/join", undef, as => 'dan');
    call("DELETE $guild/members/me", undef, as => 'dan');
    call("POST $guild/members/{user_id}");
    call("PATCH $guild/members/{user_id}", { role => 'moderator' });
    call("PATCH $guild/members/me", { nick => 'n' });
}


sub roles {
    call("POST $guild/roles", { name => 'walkers' });
    call("PATCH $guild/roles/{role_id}", { color => 7 });
    call("POST $guild/roles/reorder",
         { role_ids => [ $id{role_id}, 'r1' ] });
    call("POST $guild/roles/{role_id}/members/{user_id}");
    call("DELETE $guild/roles/{role_id}/members/{user_id}");
    call("DELETE $guild/roles/{role_id}");
}


sub bans {
    call("POST $guild/members/{user_id}/kick");
    call("POST $guild/join", undef, as => 'dan');
    call("POST $guild/members/{user_id}/ban", { reason => 'spam' });
    call("POST $guild/ip-bans", { address => '192.0.2.1/24' });
    call("DELETE $guild/ip-bans/{ban_id}");
}
