#!/usr/bin/perl

# Copyright (C) Delta contributors

# The command auth where delta_user says which name is the user's: a new token
# must be the same user's by every rule there is.

use Delta;

my $t = Delta->new;

$t->start_redis;

$t->start_nginx($t->conf(http => <<'HTTP', server => <<'SERVER'));
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
map $delta_claim_uid $mapped { default $delta_claim_uid; }
HTTP
delta_jwt;
delta_subscribe user:$delta_user;

location = /claim { delta_gateway; delta_user $delta_claim_uid; }
location = /mapped { delta_gateway; delta_user x-$mapped; }
location = /set {
    set $who $http_x_user;
    delta_gateway;
    delta_user $who;
}
location = /optional {
    delta_gateway;
    delta_jwt optional;
    delta_user $http_x_user;
}
location = /plain { delta_gateway; }
location = /none { delta_gateway; delta_jwt off; delta_user $http_x_user; }
SERVER

is($t->ws('/plain', token => token(sub => 'ben'))->status, 101,
   'the gateway is up');

# where, the first token, others that are the same user's, or another's

my @named = (sub => 'ben', uid => 'u1');
my @bare = (uid => 'u1');

for (
    [ '/claim', [ @named ],
      [ [ @named ], [ @named, role => 'x' ] ],
      [ [ sub => 'ben', uid => 'u2' ], [ sub => 'ada', uid => 'u1' ],
        [ @bare ], [ sub => 'ben' ], [ sub => 'be', uid => 'u1' ] ] ],
    [ '/claim', [ @bare ], [ [ @bare ] ],
      [ [ uid => 'u2' ], [ @named ], [ ] ] ],
    [ '/mapped', [ @named ], [ [ @named ] ], [ [ sub => 'ada', @bare ] ] ],
    [ '/mapped', [ @bare ], [ [ @bare ] ], [ [ uid => 'u2' ], [ ] ] ],
    [ '/set', [ sub => 'ben' ], [ [ sub => 'ben' ], [ @named ] ],
      [ [ sub => 'ada' ], [ ] ] ],
    [ '/set', [ @bare ], [ ], [ [ uid => 'u2' ], [ @bare ] ] ],
    [ '/optional', undef, [ ], [ [ sub => 'ada' ], [ sub => 'ben' ] ] ],
    [ '/plain', [ sub => 'ben' ], [ [ sub => 'ben' ], [ @named ] ],
      [ [ sub => 'ada' ], [ @bare ], [ sub => 'benn' ] ] ],
) {
    my ($path, $first, $same, $others) = @$_;
    my $name = "$path, " . json_encode($first);

    my $ws = $t->ws($path, headers => [ 'X-User' => 'ben' ],
                    token => $first && token(@$first));
    my $user = $ws->read_json->{d}{user_id};

    ok($user, "$name: a session of " . ($user // 'nobody'));

    # twice, as what is asked once must leave nothing behind
    for my $round (1, 2) {
        for my $claims (@$others) {
            my $answer = auth($ws, @$claims);

            is($answer->{d}{code}, 'bad_token', "$name: another user's "
               . json_encode($claims));
            is($answer->{d}{message}, 'The token is another user\'s.',
               'and is called so');
        }

        is(auth($ws, @$_)->{t}, 'authenticated', "$name: the same user's "
           . json_encode($_)) for @$same;
    }

    $t->redis('PUBLISH', "user:$user", '{"t":"x","d":{}}');
    is($ws->read_json->{t}, 'x', "$name: the session goes on");
}

my $ws = $t->ws('/none', headers => [ 'X-User' => 'ben' ]);
is($ws->read_json->{t}, 'ready', 'no tokens are taken');
is(auth($ws, sub => 'ben')->{d}{code}, 'no_token', 'which auth is told');

done_testing;


sub token {
    my (%claims) = @_;

    return jwt({ exp => int(time) + 600, %claims }, $t->{key}, kid => 'test');
}


sub auth {
    my ($ws, @claims) = @_;

    $ws->send_json({ t => 'auth', d => { token => token(@claims) } });

    return $ws->read_json;
}
