#!/usr/bin/perl

# Copyright (C) Delta contributors

# The main job: a REST mutation at the upstream reaches WebSocket and SSE
# clients as a patch, through nginx and Redis; and nobody else.

use Delta;

my $t = Delta->new;

$t->start_redis('--appendonly', 'yes');

# What the upstream says is as the contract has it, down to the last type.

my $upstream = <<"END";
delta_contracts $Delta::TOP/conf/events.json unknown=drop;
upstream app { server %%UPSTREAM%%; keepalive 8; }
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
END

my $rules = <<'END';
delta_subscribe user:$delta_user;
delta_subscribe user:$delta_user:inbox;
delta_subscribe user:* from=user:$delta_user:follows;
delta_subscribe guild:* from=user:$delta_user:guilds;
END

$t->start_nginx($t->conf(http => $upstream, server => <<"END"), workers => 2);
delta_jwt optional;

location = /gateway { delta_gateway; $rules }
location = /op { delta_gateway; delta_envelope op; $rules }

location = /api/login {
    delta_jwt off;
    proxy_pass http://app;
    proxy_set_header X-User "";
}

location /api/ {
    proxy_pass http://app;
    proxy_set_header X-User \$delta_user;
}
END

# The gateway loads the functions; the upstream may start at any time.

$t->start_upstream;

my %token;

for my $user (qw(ada ben cleo dan)) {
    my $answer = $t->http(POST => '/api/login', json => { user => $user });
    $token{$user} = $answer->{json}{token};
}

is(scalar(grep { $_ } values %token), 4, 'everybody of the seeds can log in');

wait_for(sub { $t->redis('SISMEMBER', 'user:ben:follows', 'ada')
               && $t->redis('SCARD', 'user:cleo:guilds') })
    or diag('the membership sets did not come');

my %ws = map { $_ => $t->ws('/gateway', token => $token{$_}) } keys %token;
my $sse = $t->sse('/gateway', token => $token{ben});
my $op = $t->ws('/op', token => $token{ben});

my %ready = map { $_ => $ws{$_}->read_json } keys %ws;
$sse->read_json;
$op->read_json;

is_deeply([ sort @{ $ready{ben}{d}{channels} } ],
          [ qw(guild:g1 user:ada user:ben user:ben:inbox) ],
          'ready names the channels of ben');
is_deeply([ sort @{ $ready{dan}{d}{channels} } ],
          [ qw(user:dan user:dan:inbox) ], 'and those of dan, who has few');


# The patch of the seeds, literally.

my $answer = api(ada => PATCH => '/api/users/me', { avatar_url => 'new.png' });

is($answer->{status}, 200, 'a mutation is answered');
is($answer->{json}{avatar_url}, 'new.png', 'with the whole entity');

my $patch = { entity_type => 'user', entity_id => 'ada',
              diff => { avatar_url => 'new.png' } };
my ($cursor) = $answer->{headers}{'delta-cursor'};

for my $user (qw(ben cleo ada)) {
    my $event = $ws{$user}->read_until('patch');

    is_deeply($event, { v => 1, t => 'patch', c => 'user:ada',
                        id => $event->{id}, d => $patch },
              "row 0.1: the patch reaches $user on a WebSocket");
    is($event->{id}, $cursor, 'Delta-Cursor names it') if defined $cursor;
}

ok(defined $cursor, 'the answer has a Delta-Cursor');

is_deeply($sse->read_until('patch')->{d}, $patch, 'and on SSE');
is_deeply($op->read_until(sub { $_[0]{op} }), { op => 'Patch', d => $patch },
          'row 0.4: and in the literal shape {"op":"Patch","d":...}');


# Empty diffs and null.

api(ada => PATCH => '/api/users/me', { avatar_url => 'new.png' });
api(ada => PATCH => '/api/users/me', { bio => 'hello' });
is_deeply($ws{ben}->read_json->{d}{diff}, { bio => 'hello' },
          'row 0.2: an empty diff publishes nothing');

api(ada => PATCH => '/api/users/me', { bio => undef });
is_deeply($ws{ben}->read_json->{d}{diff}, { bio => undef },
          'row 0.2: a removed field travels as null');
$ws{cleo}->read_json for 1 .. 2;


# Guild and member patches go to the guild.

api(ada => PATCH => '/api/guilds/g1', { name => 'Renamed' });

is_deeply($ws{$_}->read_until(sub { $_[0]{c} eq 'guild:g1' })->{d},
          { entity_type => 'guild', entity_id => 'g1',
            diff => { name => 'Renamed' } },
          "$_ of the guild sees its new name") for qw(ben cleo);

api(ben => PATCH => '/api/guilds/g1/members/me', { nick => 'benny' });

my $member = $ws{cleo}->read_json->{d};
is_deeply([ @$member{qw(entity_type entity_id guild_id user_id)} ],
          [ qw(member g1/ben g1 ben) ], 'row 0.6: a member\'s has both ids');
is_deeply($member->{diff}, { nick => 'benny' }, 'and what changed');
$ws{ben}->read_json;


# Membership on the live connection.

is(api(dan => PUT => '/api/users/me/follows/ada')->{status} < 300, 1,
   'dan follows ada');
is($ws{dan}->read_until('subscribed')->{d}{channel}, 'user:ada',
   'and is subscribed on the live connection');

api(ada => PATCH => '/api/users/me', { display_name => 'Ada L.' });
is_deeply($ws{dan}->read_until('patch')->{d}{diff},
          { display_name => 'Ada L.' }, 'and sees the next patch');

api(dan => DELETE => '/api/users/me/follows/ada');
is_deeply($ws{dan}->read_until('unsubscribed')->{d},
          { channel => 'user:ada', reason => 'revoked' },
          'unfollowing takes the channel away');

api(ada => POST => '/api/guilds/g1/members/cleo/kick', {});
is($ws{cleo}->read_until('unsubscribed')->{d}{channel}, 'guild:g1',
   'a kick takes the guild away');

api(ada => PATCH => '/api/guilds/g1', { name => 'Without cleo' });
is($ws{ben}->read_until(sub { ($_[0]{d}{diff}{name} // '') eq 'Without cleo' })
       ->{c}, 'guild:g1', 'those who stay see the next patch');

# what cleo still has shows that nothing of the guild came before it
api(ada => PATCH => '/api/users/me', { display_name => 'Ada' });
my @seen;
$ws{cleo}->read_until(sub { push @seen, $_[0];
    ($_[0]{d}{diff}{display_name} // '') eq 'Ada' });
is(scalar(grep { ($_->{c} // '') eq 'guild:g1' } @seen), 0,
   'who was kicked sees nothing more of it');


# Identity is nginx's word, never the client's.

is(api(undef, GET => '/api/users/me')->{status}, 401,
   'the API wants a user');
is($t->http(GET => '/api/users/me', headers => [ 'X-User' => 'ada' ])
       ->{status}, 401, 'which a client cannot name itself');
is(api(ben => PATCH => '/api/guilds/g1', { name => 'mine' })->{status}, 403,
   'rights are checked');


# Redis away: the mutation is kept, and published once, later.

$t->stop_redis;

$answer = api(ada => PATCH => '/api/users/me', { display_name => 'Later' });
is($answer->{status}, 200, 'a mutation succeeds without Redis');
is($answer->{headers}{'delta-cursor'}, undef, 'but names no position');

$t->start_redis;

my $again = $ws{ben}->read_until(sub {
    $_[0]{t} eq 'resync' || ($_[0]{d}{diff}{display_name} // '') eq 'Later'
}, 20);
ok($again, 'the session outlives Redis and hears of it');

done_testing;


sub api {
    my ($user, $method, $path, $json) = @_;

    return $t->http($method => $path,
                    ($user ? (token => $token{$user}) : ()),
                    ($json ? (json => $json) : ()));
}
