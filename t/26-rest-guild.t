#!/usr/bin/perl

# Copyright (C) Delta contributors

# Guilds at the reference upstream: channels, overrides, settings, members,
# roles and bans, and who sees what of them, through the gateway.

use Delta;
use Delta::Rest;

# ada owns g1, ben has the role r1 and views c3, cleo is a plain member, erin
# becomes a moderator, finn is banned later, dan follows ada, gwen is a
# stranger.

my $r = Delta::Rest->start(qw(ada ben cleo dan erin finn gwen));
my $g = '/api/guilds/g1';
my $all = 'ada ben cleo erin finn';

$r->api(dan => PUT => '/api/users/me/follows/ada');
$r->seen(dan => 'subscribed');

joins();
channels();
hidden();
settings();
roles();
overrides();
rank();
kicks();
bans();
ip_bans();

$r->finish('192.0.2.', '2001:db8', '198.51.100');


sub joins {
    $r->does('row 3.2: workspace_member_add, joined',
        [ erin => POST => "$g/join" ], 200,
        wait => { erin => 'workspace_member_add' },
        subscribed => 'erin', workspace_member_add => 'ada ben cleo erin');
    is($r->from('workspace_member_add'), 'guild:g1', 'to the guild');

    $r->does('workspace_member_add, added',
        [ ada => POST => "$g/members/finn" ], 201,
        wait => { finn => 'workspace_member_add' },
        subscribed => 'finn', workspace_member_add => $all);
    is_deeply($r->{last}{workspace_member_add},
              { guild_id => 'g1', user_id => 'finn' },
              'by whom is not told');

    $r->does('added twice', [ ada => POST => "$g/members/finn" ], 409);
    $r->does('nobody', [ ada => POST => "$g/members/nobody" ], 404);
    $r->does('without the right', [ cleo => POST => "$g/members/gwen" ], 403);

    $r->does('row 3.2: workspace_member_update',
        [ ada => PATCH => "$g/members/erin", { role => 'moderator' } ], 200,
        workspace_member_update => $all);
    is_deeply($r->{last}{workspace_member_update},
              { guild_id => 'g1', user_id => 'erin', role => 'moderator' },
              'with the role');

    $r->does('no change', [ ada => PATCH => "$g/members/erin",
             { role => 'moderator' } ], 200);
    $r->does('without the right', [ erin => PATCH => "$g/members/cleo",
             { role => 'moderator' } ], 403);
    $r->does('of oneself', [ cleo => PATCH => "$g/members/cleo",
             { role => 'moderator' } ], 403);

    my $me = $r->api(erin => GET => "$g/members/me")->{json};
    is($me->{role}, 'moderator', 'erin is a moderator');
    ok(scalar(grep { $_ eq 'ban_member' } @{ $me->{permissions} }),
       'and may ban');
    is($r->api(gwen => GET => "$g/members/me")->{status}, 403,
       'strangers are nothing');

    is($r->subscribe($_, 'channel:c1'), 'subscribed', "$_ opens c1")
        for qw(ada ben cleo erin finn);
    is($r->subscribe($_, 'channel:c3'), 'subscribed', "$_ opens c3")
        for qw(ada ben);
}


sub channels {
    my $answer = $r->does('row 3.2: channel_create',
        [ ada => POST => "$g/channels", { name => 'news', topic => 'What' } ],
        201, channel_create => $all);
    my $id = $answer->{json}{channel_id};

    is($r->from('channel_create'), 'guild:g1', 'of a channel for all');
    is_deeply($r->{last}{channel_create},
              { guild_id => 'g1', channel_id => $id, name => 'news',
                kind => 'text', topic => 'What', position => 4,
                created_at => $answer->{json}{created_at},
                actor_user_id => 'ada' }, 'with all of it');

    is($r->subscribe(cleo => "channel:$id"), 'subscribed', 'and can be opened');

    $r->does('row 3.2: channel_update',
        [ ada => PATCH => "$g/channels/$id",
          { name => 'newer', topic => undef } ], 200,
        channel_update => $all);
    is_deeply($r->{last}{channel_update},
              { guild_id => 'g1', channel_id => $id, name => 'newer',
                topic => undef, actor_user_id => 'ada' }, 'what has changed');

    $r->does('no change', [ ada => PATCH => "$g/channels/$id",
             { name => 'newer', topic => undef } ], 200);
    $r->does('without the right', [ cleo => PATCH => "$g/channels/$id",
             { name => 'x' } ], 403);
    $r->does('a stranger', [ gwen => DELETE => "$g/channels/$id" ], 403);

    $r->does('row 3.2: channel_reorder, each with their own view',
        [ ada => POST => "$g/channels/reorder",
          { channel_ids => [ 'c2', 'c1', $id, 'c3' ] } ], 200,
        channel_reorder => $all);
    is_deeply($r->{each}{cleo}{channel_reorder}{channel_ids},
              [ 'c2', 'c1', $id ], 'cleo does not learn of c3');
    is_deeply($r->{each}{ben}{channel_reorder}{channel_ids},
              [ 'c2', 'c1', $id, 'c3' ], 'ben does');

    $r->does('the same order', [ ada => POST => "$g/channels/reorder",
             { channel_ids => [ 'c2', 'c1', $id, 'c3' ] } ], 200);
    $r->does('one is missing', [ ada => POST => "$g/channels/reorder",
             { channel_ids => [ 'c2', 'c1', $id ] } ], 400);
    $r->does('one is unknown', [ ada => POST => "$g/channels/reorder",
             { channel_ids => [ 'c2', 'c1', $id, 'c99' ] } ], 400);

    $r->does('row 3.2: channel_delete, and those in it are put out',
        [ ada => DELETE => "$g/channels/$id" ], 204,
        channel_delete => $all, unsubscribed => 'cleo');
    is_deeply($r->{last}{channel_delete}, { guild_id => 'g1',
              channel_id => $id, actor_user_id => 'ada' }, 'which one');
    is($r->subscribe(cleo => "channel:$id"), 'error', 'it cannot be opened');

    is($r->{t}->redis('SISMEMBER', "user:$_:channels", $id), 0,
       "and is not in the set of $_") for qw(ada cleo);

    my $next = $r->does('the next one',
        [ ada => POST => "$g/channels", { name => 'x', kind => 'voice' } ],
        201, channel_create => $all)->{json}{channel_id};
    isnt($next, $id, 'has an id of its own');
    $r->does('and goes', [ ada => DELETE => "$g/channels/$next" ], 204,
             channel_delete => $all);
}


sub hidden {
    my $answer = $r->does('row 3.4: a hidden channel is created for some',
        [ ada => POST => "$g/channels", { name => 'secret', hidden =>
          JSON::PP::true, role_ids => [ 'r1' ] } ], 201,
        channel_create => 'ada ben');
    my $id = $answer->{json}{channel_id};

    is($r->from('channel_create'), 'user:ada:inbox user:ben:inbox',
       'through inboxes');

    $r->does('row 3.4: changed for some',
        [ ada => PATCH => "$g/channels/$id", { name => 'hush' } ], 200,
        channel_update => 'ada ben');
    $r->does('who may not view it finds nothing',
        [ erin => PATCH => "$g/channels/$id", { name => 'x' } ], 404);

    my @names = map { $_->{name} }
        @{ $r->api(cleo => GET => "$g/channels")->{json}{channels} };
    is_deeply(\@names, [ qw(plans general) ], 'nor in the list');

    $r->does('row 3.4: deleted for some', [ ada => DELETE =>
             "$g/channels/$id" ], 204, channel_delete => 'ada ben');

    $r->does('role_ids without hidden', [ ada => POST => "$g/channels",
             { name => 'x', role_ids => [ 'r1' ] } ], 400);
    $r->does('no such role', [ ada => POST => "$g/channels", { name => 'x',
             hidden => JSON::PP::true, role_ids => [ 'r9' ] } ], 404);
}


sub settings {
    $r->does('row 3.2: workspace_update',
        [ ada => PATCH => "$g/settings",
          { name => 'One', visibility => 'private' } ], 200,
        workspace_update => $all);
    is_deeply($r->{last}{workspace_update},
              { guild_id => 'g1', name => 'One', visibility => 'private',
                actor_user_id => 'ada' }, 'what has changed');

    $r->does('private: nobody joins', [ gwen => POST => "$g/join" ], 404);
    is($r->api(gwen => GET => $g)->{status}, 404, 'and nobody sees it');
    is($r->api(gwen => GET => "$g/channels")->{status}, 404, 'or its channels');
    is($r->api(cleo => GET => $g)->{json}{visibility}, 'private',
       'but members do');

    $r->does('without the right', [ erin => PATCH => "$g/settings",
             { name => 'x' } ], 403);
    $r->does('public again', [ ada => PATCH => "$g/settings",
             { visibility => 'public' } ], 200, workspace_update => $all);
    $r->does('row 0.1: the older path says patch',
             [ ada => PATCH => $g, { name => 'Guild One' } ], 200,
             patch => $all);
    $r->does('row 0.2: nothing changed, nothing said',
             [ ada => PATCH => $g, { name => 'Guild One' } ], 200);
}


sub roles {
    my $answer = $r->does('row 3.2: workspace_role_create',
        [ ada => POST => "$g/roles", { name => 'Cooks', color => 255,
          permissions => [ 'manage_channels' ] } ], 201,
        workspace_role_create => $all);
    my $id = $answer->{json}{role_id};

    is_deeply($r->{last}{workspace_role_create},
              { guild_id => 'g1', role_id => $id, name => 'Cooks',
                color => 255, permissions => [ 'manage_channels' ],
                position => 1 }, 'all of it');

    $r->does('row 3.2: workspace_role_update',
        [ ada => PATCH => "$g/roles/$id", { color => undef } ], 200,
        workspace_role_update => $all);
    is_deeply($r->{last}{workspace_role_update},
              { guild_id => 'g1', role_id => $id, color => undef },
              'what has changed');
    $r->does('no change', [ ada => PATCH => "$g/roles/$id",
             { color => undef, permissions => [ 'manage_channels' ] } ], 200);

    $r->does('without it', [ cleo => POST => "$g/channels", { name => 'x' } ],
             403);
    $r->does('row 3.2: workspace_role_assignment_add',
        [ ada => POST => "$g/roles/$id/members/cleo" ], 204,
        workspace_role_assignment_add => $all);
    is_deeply($r->{last}{workspace_role_assignment_add},
              { guild_id => 'g1', role_id => $id, user_id => 'cleo' },
              'whose role');
    my $channel = $r->does('with it', [ cleo => POST => "$g/channels",
        { name => 'kitchen' } ], 201, channel_create => $all)
        ->{json}{channel_id};
    $r->does('it is hers', [ cleo => DELETE => "$g/channels/$channel" ], 204,
             channel_delete => $all);
    $r->does('twice', [ ada => POST => "$g/roles/$id/members/cleo" ], 409);
    $r->does('a stranger', [ ada => POST => "$g/roles/$id/members/gwen" ],
             404);

    $r->does('row 3.2: workspace_role_reorder',
        [ ada => POST => "$g/roles/reorder", { role_ids => [ $id, 'r1' ] } ],
        200, workspace_role_reorder => $all);
    is_deeply($r->{last}{workspace_role_reorder},
              { guild_id => 'g1', role_ids => [ $id, 'r1' ] }, 'the order');
    $r->does('the same order', [ ada => POST => "$g/roles/reorder",
             { role_ids => [ $id, 'r1' ] } ], 200);
    $r->does('not all', [ ada => POST => "$g/roles/reorder",
             { role_ids => [ $id ] } ], 400);

    $r->does('row 3.2: workspace_role_assignment_remove',
        [ ada => DELETE => "$g/roles/$id/members/cleo" ], 204,
        workspace_role_assignment_remove => $all);
    $r->does('she has it no more', [ ada => DELETE =>
             "$g/roles/$id/members/cleo" ], 404);

    $r->does('row 3.4: a role that is lost takes its channels along',
        [ ada => DELETE => "$g/roles/r1/members/ben" ], 204,
        unsubscribed => 'ben', workspace_role_assignment_remove => $all);
    is_deeply($r->{each}{ben}{unsubscribed},
              { channel => 'channel:c3', reason => 'revoked' }, 'at once');
    $r->does('a message there', [ ada => POST => "$g/channels/c3/messages",
             { content => 'alone' } ], 201, message_create => 'ada');

    $r->does('given back', [ ada => POST => "$g/roles/r1/members/ben" ], 204,
             workspace_role_assignment_add => $all);
    is($r->subscribe(ben => 'channel:c3'), 'subscribed', 'ben opens c3 again');

    $r->does('row 3.2: workspace_role_delete',
        [ ada => DELETE => "$g/roles/$id" ], 204,
        workspace_role_delete => $all);
    $r->does('everybody\'s role stays', [ ada => DELETE => "$g/roles/g1" ],
             409);
}


sub overrides {
    my $path = "$g/channels/c1/overrides";

    $r->does('row 3.2: workspace_channel_override_update',
        [ ada => POST => "$path/r1", { allow => [ 'send_message' ],
          deny => [] } ], 200,
        workspace_channel_override_update => $all);
    is($r->from('workspace_channel_override_update'), 'guild:g1',
       'of a channel for all');
    is_deeply($r->{last}{workspace_channel_override_update},
              { guild_id => 'g1', channel_id => 'c1', role_id => 'r1',
                allow => [ 'send_message' ], deny => [] }, 'what it is');

    $r->does('row 3.4: all but r1 may not view c1 any more',
        [ ada => POST => "$path/r1", { allow => [ 'view_channel' ],
          deny => [] } ], 200, workspace_channel_override_update => $all);
    $r->does('row 3.4: and lose it at once',
        [ ada => POST => "$path/g1", { allow => [],
          deny => [ 'view_channel' ] } ], 200,
        unsubscribed => 'cleo erin finn',
        workspace_channel_override_update => $all);
    $r->does('what follows is for the others',
        [ ada => POST => "$path/r1", { allow => [ 'view_channel',
          'send_message' ], deny => [] } ], 200,
        workspace_channel_override_update => 'ada ben');
    $r->does('as are messages', [ ben => POST => "$g/channels/c1/messages",
             { content => 'x' } ], 201, message_create => 'ada ben');
    is($r->subscribe(cleo => 'channel:c1'), 'error', 'cleo cannot come back');

    is_deeply($r->api(ada => GET => $path)->{json}{overrides},
              [ { role_id => 'g1', allow => [], deny => [ 'view_channel' ] },
                { role_id => 'r1', allow => [ 'view_channel',
                  'send_message' ], deny => [] } ], 'the overrides');
    is($r->api(ben => GET => $path)->{status}, 403, 'not for ben');

    $r->does('no change', [ ada => POST => "$path/g1", { allow => [],
             deny => [ 'view_channel' ] } ], 200);
    $r->does('visible again', [ ada => POST => "$path/g1",
             { allow => [], deny => [] } ], 200,
             workspace_channel_override_update => $all);
    is($r->subscribe($_, 'channel:c1'), 'subscribed', "$_ opens c1 again")
        for qw(cleo erin finn);

    $r->does('both', [ ada => POST => "$path/r1", { allow => [
             'view_channel' ], deny => [ 'view_channel' ] } ], 400);
    $r->does('no such right', [ ada => POST => "$path/r1", { allow => [ 'x' ],
             deny => [] } ], 400);
    $r->does('no such role', [ ada => POST => "$path/r9", { allow => [],
             deny => [] } ], 404);
    $r->does('without the right', [ ben => POST => "$path/r1", { allow => [],
             deny => [] } ], 403);
}


# ben manages roles, below ada and above nobody of his rank.

sub rank {
    my $id = $r->does('a role that manages', [ ada => POST => "$g/roles",
        { name => 'Chiefs', permissions => [ 'manage_roles' ] } ], 201,
        workspace_role_create => $all)->{json}{role_id};
    my $low = $r->does('a lower one', [ ada => POST => "$g/roles",
        { name => 'Low' } ], 201, workspace_role_create => $all)
        ->{json}{role_id};

    $r->does('in order', [ ada => POST => "$g/roles/reorder",
             { role_ids => [ 'r1', $id, $low ] } ], 200,
             workspace_role_reorder => $all);
    $r->does('for cleo', [ ada => POST => "$g/roles/$id/members/cleo" ], 204,
             workspace_role_assignment_add => $all);

    $r->does('cleo gives what is below her', [ cleo => POST =>
             "$g/roles/$low/members/finn" ], 204,
             workspace_role_assignment_add => $all);
    $r->does('but not her own', [ cleo => POST =>
             "$g/roles/$id/members/finn" ], 403);
    $r->does('nor what is above', [ cleo => POST =>
             "$g/roles/r1/members/finn" ], 403);
    $r->does('nor rights that she lacks', [ cleo => PATCH =>
             "$g/roles/$low", { permissions => [ 'ban_member' ] } ], 403);
    $r->does('nor to those above', [ cleo => POST =>
             "$g/roles/$low/members/ben" ], 403);
    $r->does('nor in a new role', [ cleo => POST => "$g/roles",
             { name => 'x', permissions => [ 'ban_member' ] } ], 403);
    $r->does('nor does she move what is above', [ cleo => POST =>
             "$g/roles/reorder", { role_ids => [ $id, 'r1', $low ] } ], 403);
    $r->does('nor makes moderators', [ cleo => PATCH => "$g/members/finn",
             { role => 'moderator' } ], 403);
    $r->does('but names those below her', [ cleo => PATCH =>
             "$g/members/finn", { nick => 'F' } ], 200,
             workspace_member_update => $all);
    $r->does('and takes rights from nobody above', [ cleo => POST =>
             "$g/channels/c1/overrides/r1", { allow => [], deny => [] } ],
             403);

    $r->does("$_ goes", [ ada => DELETE => "$g/roles/$_" ], 204,
             workspace_role_delete => $all) for $id, $low;
}


sub kicks {
    $r->does('without the right', [ cleo => POST => "$g/members/finn/kick" ],
             403);
    $r->does('of one of the same rank', [ erin => POST =>
             "$g/members/erin/kick" ], 403);
    $r->does('of the owner', [ erin => POST => "$g/members/ada/kick" ], 409);

    $r->does('row 3.2: workspace_member_remove, kicked',
        [ erin => POST => "$g/members/finn/kick" ], 204,
        workspace_member_remove => $all, unsubscribed => 'finn finn');
    is($r->from('workspace_member_remove'), 'guild:g1 user:finn:inbox',
       'finn reads it in the inbox');
    is_deeply($r->{last}{workspace_member_remove},
              { guild_id => 'g1', user_id => 'finn' }, 'not by whom');

    $r->does('what follows is not for finn', [ cleo => POST =>
             "$g/channels/c1/messages", { content => 'x' } ], 201,
             message_create => 'ada ben cleo erin');
    is($r->subscribe(finn => 'channel:c1'), 'error', 'who cannot come back');

    $r->does('until he joins again', [ finn => POST => "$g/join" ], 200,
             wait => { finn => 'workspace_member_add' },
             subscribed => 'finn', workspace_member_add => $all);
}


sub bans {
    $r->does('without the right', [ cleo => POST => "$g/members/finn/ban" ],
             403);

    is($r->subscribe(finn => 'channel:c1'), 'subscribed', 'finn opens c1');
    $r->does('row 3.2: a ban sends member_ban and member_remove',
        [ erin => POST => "$g/members/finn/ban", { reason => 'spam' } ], 204,
        workspace_member_ban => 'ada erin', workspace_member_remove => $all,
        unsubscribed => 'finn finn');
    is($r->from('workspace_member_ban'), 'user:ada:inbox user:erin:inbox',
       'row 3.4: to moderators only');
    is_deeply($r->{last}{workspace_member_ban},
              { guild_id => 'g1', user_id => 'finn', reason => 'spam',
                actor_user_id => 'erin' }, 'by whom, and why');
    ok(!exists $r->{each}{finn}{workspace_member_ban},
       'finn has seen no reason');

    $all = 'ada ben cleo erin';

    $r->does('finn does not come back', [ finn => POST => "$g/join" ], 403);
    $r->does('nor is he added', [ ada => POST => "$g/members/finn" ], 409);
    $r->does('twice', [ erin => POST => "$g/members/finn/ban" ], 409);
    $r->does('somebody who is not here', [ erin => POST =>
             "$g/members/gwen/ban" ], 204, workspace_member_ban =>
             'ada erin');
    $r->does('nobody', [ erin => POST => "$g/members/nobody/ban" ], 404);

    is_deeply([ map { "$_->{user_id} $_->{actor_user_id}" }
                @{ $r->api(erin => GET => "$g/bans")->{json}{bans} } ],
              [ 'finn erin', 'gwen erin' ], 'the list');
    is($r->api(cleo => GET => "$g/bans")->{status}, 403, 'not for cleo');

    $r->does('lifted', [ erin => DELETE => "$g/bans/gwen" ], 204);
    $r->does('once', [ erin => DELETE => "$g/bans/gwen" ], 404);
}


sub ip_bans {
    my $answer = $r->does('row 3.2: workspace_ip_ban_sync, redacted',
        [ erin => POST => "$g/ip-bans", { address => '192.0.2.99/24' } ],
        201, workspace_ip_ban_sync => 'ada erin');
    my $id = $answer->{json}{ban_id};

    is($answer->{json}{address}, '192.0.2.0/24', 'the network');
    is_deeply($r->{last}{workspace_ip_ban_sync},
              { guild_id => 'g1', count => 1, action => 'add', ban_id => $id,
                actor_user_id => 'erin' }, 'row 3.5: no address leaves');
    is($r->from('workspace_ip_ban_sync'), 'user:ada:inbox user:erin:inbox',
       'and nothing to the guild');

    $r->does('who comes from there does not join',
        [ gwen => POST => "$g/join" ], 403);
    $r->does('the same once more', [ erin => POST => "$g/ip-bans",
             { address => '192.0.2.1/24' } ], 409);

    for my $address ('192.0.2', '192.0.2.0/0', '192.0.2.0/33', '::1/129',
                     '192.0.2.1/x', 'host', '1.2.3.4/24/1', '/24')
    {
        $r->does("bad address $address", [ erin => POST => "$g/ip-bans",
                 { address => $address } ], 400);
    }

    $r->does('IPv6', [ ada => POST => "$g/ip-bans",
             { address => '2001:db8::1/32' } ], 201,
             workspace_ip_ban_sync => 'ada erin');
    is($r->{last}{workspace_ip_ban_sync}{count}, 2, 'count');

    is_deeply([ map { $_->{address} }
                @{ $r->api(erin => GET => "$g/ip-bans")->{json}{ip_bans} } ],
              [ '192.0.2.0/24', '2001:db8::/32' ], 'the list');
    is($r->api($_ => GET => "$g/ip-bans")->{status}, 403, "not for $_")
        for qw(cleo gwen);
    $r->does('cleo may not', [ cleo => POST => "$g/ip-bans",
             { address => '198.51.100.1' } ], 403);

    $r->does('removed', [ erin => DELETE => "$g/ip-bans/$id" ], 204,
             workspace_ip_ban_sync => 'ada erin');
    is($r->{last}{workspace_ip_ban_sync}{action}, 'remove', 'said so');
    $r->does('once', [ erin => DELETE => "$g/ip-bans/$id" ], 404);

    $r->does('gwen joins', [ gwen => POST => "$g/join" ], 200,
             wait => { gwen => 'workspace_member_add' },
             subscribed => 'gwen', workspace_member_add => "$all gwen");
    $r->does('and leaves', [ gwen => DELETE => "$g/members/me" ], 204,
             workspace_member_remove => "$all gwen", unsubscribed => 'gwen');
    $r->does('row 0.1: a member\'s patch', [ ben => PATCH =>
             "$g/members/me", { nick => 'benny' } ], 200, patch => $all);
}
