#!/usr/bin/perl

# Copyright (C) Delta contributors

# Messages, reactions and attachments at the reference upstream: who sees what,
# through the gateway.

use Delta;
use Delta::Rest;

# ada owns g1, ben has a role that may delete messages and view c3, cleo is a
# plain member, dan follows ada, gwen is a stranger.

my $r = Delta::Rest->start(qw(ada ben cleo dan gwen));
my $c1 = '/api/guilds/g1/channels/c1/messages';
my $c3 = '/api/guilds/g1/channels/c3/messages';
my $png = "\x89PNG\r\n\x1a\n" . 'x' x 40;

$r->api(dan => PUT => '/api/users/me/follows/ada');
$r->seen(dan => 'subscribed');

for my $user (qw(ada ben cleo)) {
    is($r->subscribe($user, 'channel:c1'), 'subscribed', "$user opens c1");
}

for my $user (qw(ada ben)) {
    is($r->subscribe($user, 'channel:c3'), 'subscribed', "$user opens c3");
}

is($r->subscribe($_, 'channel:c3'), 'error', "row 3.4: $_ cannot open c3")
    for qw(cleo dan gwen);
is($r->subscribe($_, 'channel:c1'), 'error', "nor $_ c1") for qw(dan gwen);

$r->seen;
messages();
hidden();
reactions();
attachments();
pages();

$r->finish;


sub messages {
    my $answer = $r->does('row 3.2: message_create',
        [ cleo => POST => $c1, { content => "hi \"all\" \x{1f600}",
                                 nonce => 'n1' } ], 201,
        message_create => 'ada ben cleo');

    my $id = $answer->{json}{message_id};
    my $d = $r->{last}{message_create};

    like($d->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
         'with a time');
    is_deeply($d, { guild_id => 'g1', channel_id => 'c1', message_id => $id,
                    author_id => 'cleo', content => "hi \"all\" \x{1f600}",
                    nonce => 'n1', created_at => $d->{created_at} },
              'and all that a client needs');
    is($r->from('message_create'), 'channel:c1', 'on the channel\'s stream');
    like($answer->header('Delta-Cursor'), qr/^\d+-\d+$/, 'and a cursor');

    $r->does('row 3.2: message_update',
        [ cleo => PATCH => "$c1/$id", { content => 'hello' } ], 200,
        message_update => 'ada ben cleo');
    is($r->{last}{message_update}{content}, 'hello', 'with the new content');

    $r->does('an edit that changes nothing',
        [ cleo => PATCH => "$c1/$id", { content => 'hello' } ], 200);
    $r->does('an edit of another\'s message',
        [ ada => PATCH => "$c1/$id", { content => 'x' } ], 403);
    $r->does('a deletion without the right',
        [ cleo => DELETE => "$c1/m1" ], 403);

    $r->does('row 3.2: message_delete, by whoever has the right',
        [ ben => DELETE => "$c1/$id" ], 204,
        message_delete => 'ada ben cleo');
    is_deeply($r->{last}{message_delete},
              { guild_id => 'g1', channel_id => 'c1', message_id => $id },
              'who deleted it is not told');

    $r->does('once', [ ben => DELETE => "$c1/$id" ], 404);
    $r->does('strangers', [ gwen => POST => $c1, { content => 'x' } ], 403);
    $r->does('another guild', [ ada => POST =>
        '/api/guilds/g9/channels/c1/messages', { content => 'x' } ], 404);
}


sub hidden {
    my $answer = $r->does('row 3.4: in a hidden channel',
        [ ben => POST => $c3, { content => 'psst' } ], 201,
        message_create => 'ada ben');
    my $id = $answer->{json}{message_id};

    $r->does('who may not view it', [ cleo => POST => $c3,
        { content => 'x' } ], 404);
    is($r->api(cleo => GET => $c3)->{status}, 404, 'nor read');
    is($r->api(cleo => GET => '/api/guilds/g1/channels/c2/messages?before='
               . $id)->{status}, 400, 'not by way of another channel');
    $r->does('nor by its id', [ cleo => POST => "$c1/$id/reactions/x" ], 404);
}


sub reactions {
    my $path = "$c1/m2/reactions/%F0%9F%91%8D";

    for my $case ([ ben => 1 ], [ cleo => 2 ]) {
        my ($user, $count) = @$case;

        $r->does('row 3.2: message_reaction', [ $user => POST => $path ], 200,
                 message_reaction => 'ada ben cleo');
        is_deeply($r->{last}{message_reaction},
                  { guild_id => 'g1', channel_id => 'c1', message_id => 'm2',
                    emoji => "\x{1f44d}", count => $count,
                    actor_user_id => $user }, "count $count");
    }

    $r->does('the same once more', [ ben => POST => $path ], 200);

    $r->does('taken back', [ ben => DELETE => $path ], 200,
             message_reaction => 'ada ben cleo');
    $r->does('row 3.2: count 0 removes', [ cleo => DELETE => $path ], 200,
             message_reaction => 'ada ben cleo');
    is($r->{last}{message_reaction}{count}, 0, 'count 0');

    $r->does('which is not there', [ cleo => DELETE => $path ], 404);
    $r->does('no such message', [ ben => POST =>
             "$c1/m99/reactions/x" ], 404);
    $r->does('no emoji', [ ben => POST => "$c1/m2/reactions/%0A" ], 404);
    $r->does('no text', [ ben => POST => "$c1/m2/reactions/%ff" ], 404);
}


sub attachments {
    my $path = "$c1/m3/attachments";

    my $answer = $r->does('row 3.2: attachment_create',
        [ cleo => POST => "$path?filename=a%20b.png", $png ], 201,
        headers => { 'Content-Type' => 'image/png' },
        attachment_create => 'ada ben cleo');
    my $one = $answer->{json};

    is_deeply($r->{last}{attachment_create},
              { guild_id => 'g1', channel_id => 'c1', message_id => 'm3',
                %$one, actor_user_id => 'cleo' }, 'the file, described');
    is_deeply([ @$one{qw(filename media_type size)} ],
              [ 'a b.png', 'image/png', length $png ], 'as it is');

    my $file = $r->api(ben => GET => $one->{url});
    is($file->{body}, $png, 'and fetched');
    is_deeply([ map { $file->header($_) } 'Content-Type',
                'Content-Disposition', 'X-Content-Type-Options' ],
              [ qw(image/png inline nosniff) ], 'as an image');
    is($r->api(gwen => GET => $one->{url})->{status}, 403,
       'not by strangers');
    is($r->api(undef, GET => $one->{url})->{status}, 401, 'nor by nobody');

    $answer = $r->does('a page', [ cleo => POST => "$path?filename=x.html",
        '<script>alert(1)</script>' ], 201,
        headers => { 'Content-Type' => 'text/html' },
        attachment_create => 'ada ben cleo');
    my $two = $answer->{json};

    $file = $r->api(ben => GET => $two->{url});
    is_deeply([ map { $file->header($_) } 'Content-Type',
                'Content-Disposition', 'Content-Security-Policy' ],
              [ 'application/octet-stream', 'attachment',
                "default-src 'none'; sandbox" ], 'runs nowhere');

    my %type = ('Content-Type' => 'image/png');

    for my $case ([ 415, "$path?filename=x.png", 'no image', %type ],
                  [ 415, "$path?filename=x.svg", '<svg/>',
                    'Content-Type' => 'image/svg+xml' ],
                  [ 400, "$path?filename=x", $png, 'Content-Type' => 'png' ],
                  [ 400, $path, $png, %type ],
                  [ 400, "$path?filename=..%2Fx", $png, %type ],
                  [ 400, "$path?filename=%00", $png, %type ],
                  [ 400, "$path?filename=" . 'x' x 256, $png, %type ],
                  [ 400, "$path?filename=x", '' ],
                  [ 413, "$path?filename=x", 'x' x 1048577 ])
    {
        my ($status, $to, $body, %headers) = @$case;
        $r->does('bad file ' . substr($to, length $path, 30),
                 [ cleo => POST => $to, $body ], $status,
                 headers => \%headers);
    }

    $r->does('on another\'s message', [ ben => POST => "$path?filename=x",
             'x' ], 403);

    my $dir = $r->{t}->dir . '/upstream.db.files';
    is(scalar(() = glob "$dir/*"), 2, 'two files are kept');

    $r->does('who may not delete it', [ ben => DELETE => "$path/none" ], 404);
    $r->does('row 3.2: attachment_delete', [ cleo => DELETE =>
             "$path/$one->{attachment_id}" ], 204,
             attachment_delete => 'ada ben cleo');
    is(scalar(() = glob "$dir/*"), 1, 'and the file is gone');

    $r->does('a message with a file', [ cleo => DELETE => "$c1/m3" ], 204,
             message_delete => 'ada ben cleo');
    is(scalar(() = glob "$dir/*"), 0, 'takes it along');

    my @ids = map { $r->api(cleo => POST => $c1, { content => "m$_" })
                        ->{json}{message_id} } 1, 2;
    my $post = sub { $r->api(cleo => POST =>
                             "$c1/$_[0]/attachments?filename=x", 'x') };

    is(scalar(grep { $post->($ids[0])->{status} == 201 } 1 .. 10), 10,
       'ten of a message');
    is($post->($ids[0])->{status}, 409, 'and no more');
    $r->seen;

    system('sqlite3', '-cmd', '.timeout 5000', $r->{t}->dir . '/upstream.db',
           'UPDATE attachments SET size = (1 << 30) / 10');
    $r->does('a gigabyte of all', [ cleo => POST =>
             "$c1/$ids[1]/attachments?filename=x", 'x' x 5 ], 409);
    is(scalar(() = glob "$dir/*"), 10, 'of which nothing is kept');
    $r->api(cleo => DELETE => "$c1/$_") for @ids;
    $r->seen;
}


sub pages {
    for my $n (1 .. 3) {
        $r->does("page $n", [ ada => POST => $c1, { content => "p$n" } ], 201,
                 message_create => 'ada ben cleo');
    }

    my $page = $r->api(cleo => GET => "$c1?limit=2")->{json};

    is_deeply([ map { $_->{content} } @{ $page->{messages} } ], [ qw(p2 p3) ],
              'the newest page');
    ok($page->{has_more}, 'and there is more');

    my $first = $page->{messages}[0]{message_id};
    $page = $r->api(cleo => GET => "$c1?before=$first&limit=50")->{json};

    is($page->{messages}[-1]{content}, 'p1', 'before it');
    ok(!$page->{has_more}, 'and nothing behind');
    is_deeply($page->{messages}[0]{reactions},
              [ { emoji => "\x{1f44b}", count => 2, me => 1 } ],
              'with reactions');

    is($r->api(cleo => GET => "$c1?$_")->{status}, 400, "bad: $_")
        for qw(limit=0 limit=101 limit=x limit= before=m999 before=%00);
}
