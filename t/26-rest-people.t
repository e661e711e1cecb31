#!/usr/bin/perl

# Copyright (C) Delta contributors

# Profiles, avatars and friends at the reference upstream, and who sees what of
# them, through the gateway.

use Delta;
use Delta::Rest;

# ada, ben and cleo are in g1, where ben follows ada; dan follows ada from
# outside, gwen becomes a friend of ada, finn is a stranger.

my $r = Delta::Rest->start(qw(ada ben cleo dan finn gwen));
my $png = "\x89PNG\r\n\x1a\n" . 'x' x 40;
my $observers = 'ada ben cleo dan gwen';

$r->api(dan => PUT => '/api/users/me/follows/ada');
$r->api(cleo => DELETE => '/api/users/me/follows/ada');
$r->seen(dan => 'subscribed', cleo => 'unsubscribed');

friends();
profile();
avatar();
removal();

$r->finish;


sub friends {
    my $answer = $r->does('row 3.2: friend_request_create',
        [ gwen => POST => '/api/friends/requests', { user_id => 'ada' } ],
        201, friend_request_create => 'ada gwen');
    my $id = $answer->{json}{request_id};
    my $at = $answer->{json}{created_at};

    is_deeply($r->{each}{ada}{friend_request_create},
              { request_id => $id, user_id => 'gwen', direction => 'incoming',
                created_at => $at }, 'ada reads who asks');
    is_deeply($r->{each}{gwen}{friend_request_create},
              { request_id => $id, user_id => 'ada', direction => 'outgoing',
                created_at => $at }, 'gwen whom');

    is_deeply($r->api(ada => GET => '/api/friends/requests')
                  ->{json}{requests},
              [ { request_id => $id, user_id => 'gwen',
                  direction => 'incoming', created_at => $at } ],
              'the list');
    is_deeply($r->api(finn => GET => '/api/friends/requests')
                  ->{json}{requests}, [], 'nothing for others');

    $r->does('again', [ gwen => POST => '/api/friends/requests',
             { user_id => 'ada' } ], 409);
    $r->does('the other way round', [ ada => POST => '/api/friends/requests',
             { user_id => 'gwen' } ], 409);
    $r->does('oneself', [ ada => POST => '/api/friends/requests',
             { user_id => 'ada' } ], 400);
    $r->does('nobody', [ ada => POST => '/api/friends/requests',
             { user_id => 'nobody' } ], 404);

    $r->does('accepted by who has asked',
             [ gwen => POST => "/api/friends/requests/$id/accept" ], 403);
    $r->does('accepted by a third',
             [ finn => POST => "/api/friends/requests/$id/accept" ], 404);
    $r->does('deleted by a third',
             [ finn => DELETE => "/api/friends/requests/$id" ], 404);

    $r->does('row 3.2: friend_request_update',
        [ ada => POST => "/api/friends/requests/$id/accept" ], 200,
        friend_request_update => 'ada gwen');
    is_deeply($r->{each}{gwen}{friend_request_update},
              { request_id => $id, user_id => 'ada', state => 'accepted' },
              'gwen reads who accepts');

    is_deeply([ map { $_->{user_id} } map {
        @{ $r->api($_ => GET => '/api/friends')->{json}{friends} }
    } qw(ada gwen finn) ], [ 'gwen', 'ada' ], 'the two are friends');

    $r->does('accepted twice',
             [ ada => POST => "/api/friends/requests/$id/accept" ], 404);
    $r->does('friends ask again', [ ada => POST => '/api/friends/requests',
             { user_id => 'gwen' } ], 409);

    for my $who (qw(ben cleo)) {
        $id = $r->does('another request', [ ben => POST =>
            '/api/friends/requests', { user_id => 'cleo' } ], 201,
            friend_request_create => 'ben cleo')->{json}{request_id};

        $r->does("row 3.2: friend_request_delete by $who",
            [ $who => DELETE => "/api/friends/requests/$id" ], 204,
            friend_request_delete => 'ben cleo');
        is_deeply($r->{each}{cleo}{friend_request_delete},
                  { request_id => $id, user_id => 'ben' }, 'not by whom');
    }
}


sub profile {
    $r->does('row 3.9: profile_update reaches followers, friends and members',
        [ ada => PATCH => '/api/users/me/profile',
          { display_name => 'Ada L.', bio => 'Numbers' } ], 200,
        profile_update => $observers);
    is_deeply($r->{last}{profile_update},
              { user_id => 'ada', display_name => 'Ada L.', bio => 'Numbers' },
              'row 3.2: what has changed');
    is($r->from('profile_update'),
       'user:ada user:cleo:inbox user:gwen:inbox', 'once each');

    $r->does('null empties', [ ada => PATCH => '/api/users/me/profile',
             { bio => undef, status_text => 'here' } ], 200,
             profile_update => $observers);
    is_deeply($r->{last}{profile_update},
              { user_id => 'ada', bio => undef, status_text => 'here' },
              'and says so');
    $r->does('row 0.2: nothing changed, nothing said',
             [ ada => PATCH => '/api/users/me/profile',
               { bio => undef, status_text => 'here' } ], 200);
    $r->does('row 0.1: the older path says patch', [ ada => PATCH =>
             '/api/users/me', { status_text => 'there' } ], 200,
             patch => $observers);
    is_deeply($r->{last}{patch}, { entity_type => 'user', entity_id => 'ada',
              diff => { status_text => 'there' } }, 'with the difference');
    $r->does('row 0.2: null travels', [ ada => PATCH => '/api/users/me',
             { status_text => undef } ], 200, patch => $observers);

    $r->does('a user without observers', [ finn => PATCH =>
             '/api/users/me/profile', { bio => 'x' } ], 200,
             profile_update => 'finn');
}


sub avatar {
    my $path = '/api/users/me/profile/avatar';

    for my $version (1, 2) {
        my $answer = $r->does('row 3.2: profile_avatar_update',
            [ ada => POST => $path, $png . $version ], 200,
            profile_avatar_update => $observers);
        my $url = "/api/users/ada/avatar?v=$version";

        is_deeply($r->{last}{profile_avatar_update},
                  { user_id => 'ada', avatar_url => $url,
                    avatar_version => $version }, "version $version");
        is($answer->{json}{avatar_url}, $url, 'in the answer, too');

        my $file = $r->api(gwen => GET => $url);
        is($file->{body}, $png . $version, 'the image');
        is($file->header('Content-Type'), 'image/png', 'as what it is');
    }

    is(scalar(() = glob $r->{t}->dir . '/upstream.db.files/*'), 1,
       'the one before is gone');

    $r->does('no image', [ ada => POST => $path, '<svg onload="x"/>' ], 415);
    $r->does('nothing', [ ada => POST => $path, '' ], 415);
    $r->does('too large', [ ada => POST => $path, $png . 'x' x 262144 ], 413);
    is($r->api(ada => GET => '/api/users/ben/avatar')->{status}, 404,
       'who has none');
}


sub removal {
    $r->does('row 3.2: friend_remove', [ gwen => DELETE =>
             '/api/friends/ada' ], 204, friend_remove => 'ada gwen');
    is_deeply($r->{each}{ada}{friend_remove}, { user_id => 'gwen' },
              'the other one');
    $r->does('once', [ gwen => DELETE => '/api/friends/ada' ], 404);
    $r->does('row 3.9: who is no friend any more sees nothing',
             [ ada => PATCH => '/api/users/me/profile', { bio => 'x' } ], 200,
             profile_update => 'ada ben cleo dan');
}
