#!/usr/bin/perl

# Copyright (C) Delta contributors

# Who a client is: tokens and auth_request at the gate and at the gateway, how
# long they hold, what is counted by them, and that no secret is ever logged.

use Delta;

use Crypt::JWT qw(encode_jwt);
use Crypt::PK::ECC;
use Crypt::PK::Ed25519;
use Crypt::PK::RSA;
use MIME::Base64 qw(encode_base64url decode_base64url);
use Time::HiRes qw(time);

my $t = Delta->new;
my %pk = (RS256 => Crypt::PK::RSA->new, ES256 => Crypt::PK::ECC->new,
          EdDSA => Crypt::PK::Ed25519->new);

$pk{RS256}->generate_key(256);
$pk{ES256}->generate_key('secp256r1');
$pk{EdDSA}->generate_key;

my $jwks = json_decode($t->read_file('jwks.json'));

push @{ $jwks->{keys} }, map {
    { %{ $pk{$_}->export_key_jwk('public', 1) }, kid => $_, alg => $_ };
} sort keys %pk;

$t->file('jwks.json', json_encode($jwks));
$t->file('password', 'a-password-of-redis');
$t->start_redis('--requirepass', 'a-password-of-redis');
$t->redis('AUTH', 'a-password-of-redis');

my $http = <<'END';
delta_redis %%REDIS%% password_file=%%DIR%%/password;
delta_jwt_key_file jwks.json;
delta_subscribe user:$delta_user;

limit_conn_zone $delta_user zone=conn:1m;
limit_req_zone $delta_user zone=req:1m rate=1r/m;
limit_conn_status 429;
limit_req_status 429;

log_format seen '$uri|$status|$delta_user|$delta_session|$delta_transport|'
    '$delta_events_sent|$delta_close_code|$delta_claim_role|$delta_claim_n';
access_log %%DIR%%/seen.log seen;

server {
    listen 127.0.0.1:%%PORT_1%%;
    add_header X-User $http_x_ok;
    location = /whoami {
        if ($http_x_ok = "") { return 401; }
        return 204;
    }
    location / { return 200 "$http_x_user,$http_x_role"; }
}
END

my $proxy = 'proxy_set_header Authorization "";
             proxy_set_header X-User $delta_user;
             proxy_set_header X-Role $delta_claim_role;
             proxy_pass http://127.0.0.1:%%PORT_1%%;';

my $main = 'error_log %%DIR%%/debug.log debug;';

$t->start_nginx($t->conf(main => $main, http => $http, server => <<"END"));
delta_jwt;
location = /gateway { delta_gateway; }
location = /optional { delta_gateway; delta_jwt optional; }
location = /strict {
    delta_gateway;
    delta_jwt aud=app iss=https://id.example leeway=0s;
}
location = /short { delta_gateway; delta_jwt leeway=0s grace=1s; }
location = /who {
    auth_request /whoami;
    auth_request_set \$who \$upstream_http_x_user;
    delta_gateway;
    delta_jwt off;
    delta_user \$who;
}
location = /whoami { internal; $proxy }
location = /conn { delta_gateway; limit_conn conn 1; }
location = /req { $proxy limit_req zone=req; }
location = /api/ { $proxy }
location = /api/optional { $proxy delta_jwt optional; }
location = /api/off { $proxy delta_jwt off; }
END

my %all;                                # every token that was ever sent

is($t->ws('/gateway', token => token('ben'))->status, 101,
   'the gateway is up');

algorithms();
forgeries();
claims();
gate();
names();
requests();
expiry();
limits();
variables();
secrets();

done_testing;


# A token of the user, by any of the keys; it is looked for in the logs.

sub token {
    my ($user, %claims) = @_;

    return seen($t->token($user, %claims));
}


sub seen {
    $all{ $_[0] } = 1;

    return $_[0];
}


sub signed {
    my ($alg, $claims, %header) = @_;

    return seen(encode_jwt(payload => $claims, alg => $alg, key => $pk{$alg},
                           extra_headers => { kid => $alg, %header }));
}


sub status {
    my ($path, $token) = @_;

    return $t->http(HEAD => $path, token => $token)->status;
}


sub algorithms {
    for my $alg (sort keys %pk) {
        my $token = signed($alg, { sub => "u-$alg", exp => int(time) + 60 });
        my $ws = $t->ws('/gateway', token => $token);

        is($ws->read_json->{d}{user_id}, "u-$alg",
           "$alg opens a session of its user");
        is($t->http(GET => '/api/', token => $token)->body, "u-$alg,",
           "and $alg passes the gate");
    }

    is($t->ws('/gateway', token => token('ben'))->read_json->{d}{user_id},
       'ben', 'so does HS256');
}


sub forgeries {
    my $claims = { sub => 'ben', exp => int(time) + 60 };
    my $good = token('ben');
    my ($head, $body, $mac) = split /\./, $good;
    my %other = (RS256 => Crypt::PK::RSA->new, EdDSA => Crypt::PK::Ed25519
                 ->new);

    $other{RS256}->generate_key(256);
    $other{EdDSA}->generate_key;

    my $ada = encode_base64url('{"sub":"ada","exp":' . (time + 60) . '}', '');
    my $none = encode_base64url('{"alg":"none","typ":"JWT"}', '');
    my $key = $pk{RS256}->export_key_pem('public');

    my %bad = (
        'another user in the payload' => "$head.$ada.$mac",
        'alg none' => "$none.$ada.",
        'alg none with a signature' => "$none.$ada.$mac",
        'no signature' => "$head.$body.",
        'two parts' => "$head.$body",
        'four parts' => "$good.$mac",
        'a signature with one bit changed' => "$head.$body." . encode_base64url(
            decode_base64url($mac) ^ ("\0" x 31 . "\1"), ''),
        'a key that is nobody\'s' => jwt($claims, 'x' x 40, kid => 'test'),
        'an unknown kid' => jwt($claims, $t->{key}, kid => 'other'),
        'the public RSA key as a shared secret' =>
            jwt($claims, $key, kid => 'RS256'),
        'HS256 by the right key under another key\'s kid' =>
            jwt($claims, $t->{key}, kid => 'ES256'),
        'RS256 of another key' => encode_jwt(payload => $claims,
            alg => 'RS256', key => $other{RS256},
            extra_headers => { kid => 'RS256' }),
        'EdDSA of another key' => encode_jwt(payload => $claims,
            alg => 'EdDSA', key => $other{EdDSA},
            extra_headers => { kid => 'EdDSA' }),
        'the key in the header' => encode_jwt(payload => $claims,
            alg => 'EdDSA', key => $other{EdDSA}, extra_headers => {
                jwk => $other{EdDSA}->export_key_jwk('public', 1) }),
        'crit' => jwt($claims, $t->{key}, kid => 'test', crit => ['exp']),
        'garbage' => 'x' x 400,
        'dots' => '..',
    );

    for my $name (sort keys %bad) {
        seen($bad{$name}) if length $bad{$name} > 10;

        my $answer = $t->http(HEAD => '/gateway', token => $bad{$name});

        is($answer->status, 401, "refused at the gateway: $name");
        is($answer->header('WWW-Authenticate'),
           'Bearer error="invalid_token"', 'and told why');
        is(status('/api/', $bad{$name}), 401, "refused at the gate: $name");
    }
}


sub claims {
    my %good = (aud => 'app', iss => 'https://id.example');
    my $now = int time;

    is(status('/strict', token('ben', %good)), 200, 'aud and iss fit');
    is(status('/strict', token('ben', %good, aud => [ 'x', 'app' ])), 200,
       'aud is one of a list');
    is(status('/strict', token('ben', %good, nbf => $now - 1)), 200,
       'nbf is past');

    my %bad = (
        'no aud' => [ aud => undef ], 'another aud' => [ aud => 'ap' ],
        'an empty list as aud' => [ aud => [] ],
        'no iss' => [ iss => undef ],
        'another iss' => [ iss => 'https://id.example/' ],
        'expired' => [ exp => $now - 1 ],
        'not yet valid' => [ nbf => $now + 60 ],
        'exp is text' => [ exp => 'never' ], 'exp is null' => [ exp => undef ],
        'nbf is text' => [ nbf => 'now' ],
    );

    for my $name (sort keys %bad) {
        my %claims = (%good, @{ $bad{$name} });
        delete $claims{$_} for grep { $_ ne 'exp' && !defined $claims{$_} }
            keys %claims;

        is(status('/strict', token('ben', %claims)), 401, "refused: $name");
    }

    is(status('/gateway', token('ben', exp => int(time) - 2)), 200,
       'leeway forgives two seconds');
    is(status('/gateway', token('ben', exp => $now - 60)), 401,
       'but not a minute');
}


sub gate {
    my $good = token('ben', role => 'admin');
    my $bad = token('ben', exp => 1);

    is($t->http(GET => '/api/', token => $good)->body, 'ben,admin',
       'the gate lets a user through, with claims');
    is(status('/api/', undef), 401, 'and nobody else');
    is($t->http(GET => '/api/')->header('WWW-Authenticate'), 'Bearer',
       'who hears what is wanted');
    is($t->http(GET => '/api/', headers => [ 'X-User' => 'ada',
                                             'X-Role' => 'root' ])->status,
       401, 'a header of the client is no identity');

    for my $path ('/api/optional', '/api/off') {
        is($t->http(GET => $path, token => $bad, headers => [
               'X-User' => 'ada', 'X-Role' => 'root' ])->body, ',',
           "$path: a bad token is nobody, and its claims are nothing");
    }

    is($t->http(GET => '/api/optional', token => $good)->body, 'ben,admin',
       'optional knows who shows a token');
    is($t->http(GET => '/api/off', token => $good)->body, ',',
       'off does not look at it');
    is(status('/optional', $bad), 401, 'a gateway wants a user even then');
    is(status('/optional', undef), 401, 'and not nobody');
    is(status('/optional', $good), 200, 'which optional can find');
}


# Ids that cannot stand in a channel name.

sub names {
    my %status = ('' => 401, '*' => 403, 'a:b' => 403, 'ben:inbox' => 403,
                  'a b' => 403, ' ' => 403, "a\nb" => 403, 'a/b' => 403,
                  'x' x 129 => 403, 'x' x 128 => 200, 'a{b}' => 403,
                  "\x{e4}" => 403, '%3A' => 403, "a\0b" => 401, '.' => 200,
                  'a@b.example' => 200);

    for my $user (sort keys %status) {
        my $name = json_encode(substr $user, 0, 12);

        is(status('/gateway', token($user)), $status{$user},
           "the id $name: $status{$user}");
    }

    is(status('/gateway', token({ a => 1 })), 401, 'an object is no id');
    is(status('/gateway', token(undef)), 401, 'null is no id');
    is($t->ws('/gateway', token => token(7))->read_json->{d}{user_id}, '7',
       'a number is one');
}


# An identity that nginx has from elsewhere.

sub requests {
    my $ws = $t->ws('/who', headers => [ 'X-Ok' => 'ada' ]);

    is($ws->status, 101, 'auth_request and delta_user open a session');
    is($ws->read_json->{d}{user_id}, 'ada', 'of the user it names');
    is($t->ws('/who')->status, 401, 'it refuses');
    is($t->http(HEAD => '/who', headers => [ 'X-Ok' => 'a:b' ])->status, 403,
       'its ids are judged, too');
    is($t->http(HEAD => '/who', token => token('ben'))->status, 401,
       'a token counts nothing there');

    $ws->send_json({ t => 'auth', d => { token => token('ada') } });
    is($ws->read_json->{d}{code}, 'no_token', 'nor on the live connection');
}


# A token that runs out under a live session.

sub expiry {
    my ($exp, @short, %ws, $sse);
    my $never = token('ben');
    my $shorter = $t->ws('/short', token => token('ben'));

    # all of them must be in before it ends
    for my $seconds (3, 6, 12, 24) {
        $exp = int(time) + $seconds;
        @short = (token => token('ben', exp => $exp));
        %ws = map { $_ => $t->ws('/short', @short) }
            qw(left renewed stolen broken);
        $sse = $t->sse('/short', @short);
        last if time < $exp - 1;
        $_->disconnect for values %ws, $sse;
    }

    $_->read_json for values %ws, $sse, $shorter;

    is(auth('renewed', \%ws, $never)->{t}, 'authenticated',
       'auth takes a new token');
    is(auth('renewed', \%ws, $never, 'r1')->{d}{ref}, 'r1', 'and echoes ref');
    is(auth('stolen', \%ws, token('ada'))->{d}{message},
       'The token is another user\'s.', 'not another user\'s');

    for my $bad (token('ben', exp => 1), token('ben') . 'x', 'x', '') {
        is(auth('broken', \%ws, $bad)->{d}{code}, 'bad_token',
           'nor a bad one');
    }

    $shorter->send_json({ t => 'auth', d => { token => $short[1] } });
    is($shorter->read_json->{d}{expires}, $exp, 'a shorter life is obeyed');

    for my $name (qw(left stolen broken)) {
        my ($code, $reason) = $ws{$name}->read_close;

        is($code, 4005, "the session that was $name is closed with 4005");
        is($reason, 'The token has expired.', 'and a sentence');
    }

    ok(time >= $exp + 1, 'not before exp and grace');
    is(($shorter->read_close)[0], 4005, 'also the one with the shorter life');
    is_deeply($sse->read_until(sub { $sse->{close} }),
              { code => 4005, reason => 'The token has expired.' },
              'and the SSE session, by an event');

    $ws{renewed}->send_json({ t => 'heartbeat', ref => 'still' });
    is($ws{renewed}->read_json->{d}{ref}, 'still',
       'the renewed session goes on');
}


sub auth {
    my ($name, $ws, $token, $ref) = @_;

    seen($token) if length $token > 10;
    $ws->{$name}->send_json({ t => 'auth', d => { token => $token },
                              ($ref ? (ref => $ref) : ()) });

    return $ws->{$name}->read_json;
}


sub limits {
    my $first = $t->ws('/conn', token => token('ben'));

    is($first->read_json->{t}, 'ready', 'limit_conn by user: the first');
    is($t->ws('/conn', token => token('ben'))->status, 429,
       'the second is refused');

    my $other = $t->ws('/conn', token => token('ada'));
    is($other->status, 101, 'another user has a limit of its own');

    $first->close(1000);
    $first->disconnect;
    ok(wait_for(sub { $t->ws('/conn', token => token('ben'))->status eq 101 }),
       'a place is free when the session has ended');

    is(status('/req', token('cleo')), 200, 'limit_req by user: the first');
    is(status('/req', token('cleo')), 429, 'the second is refused');
    is(status('/req', token('dan')), 200, 'another user is not');
    is(status('/req', undef), 401, 'and nobody is not counted') for 1 .. 2;
}


sub variables {
    my $ws = $t->ws('/gateway', token => token('eve', role => 'mod', n => 5));
    my $id = $ws->read_json->{d}{session_id};

    $t->redis('PUBLISH', 'user:eve', '{"t":"x","d":{}}') for 1 .. 3;
    $ws->read_json for 1 .. 3;
    $ws->close(1000);
    $ws->disconnect;

    line("/gateway|101|eve|$id|websocket|3|1000|mod|5",
         'a line of the access log tells of a session');

    my $sse = $t->sse('/gateway', token => token('fay'));
    $id = $sse->read_json->{d}{session_id};
    $sse->disconnect;
    line("/gateway|200|fay|$id|sse|0|1006|-|-", 'and of one that was cut');

    $ws = $t->ws('/gateway', token => token('gus'));
    $id = $ws->read_json->{d}{session_id};
    $t->redis('PUBLISH', 'user:gus:control', '{"t":"disconnect","d":{}}');
    $ws->read_close;
    $ws->disconnect;
    line("/gateway|101|gus|$id|websocket|0|4501|-|-",
         'and of one that was revoked');

    status('/gateway', undef);
    line('/gateway|401|-|-|-|-|-|-|-', 'where no session was, nothing stands');
    ok(!grep({ !/^[0-9a-f]{24}$/ && $_ ne '-' }
             map { (split /\|/)[3] } split /\n/, $t->read_file('seen.log')),
       'every id of a session has 24 digits');
}


sub line {
    my ($want, $name) = @_;

    ok(wait_for(sub {
        ($t->read_file('seen.log') // '') =~ /^\Q$want\E$/m;
    }), $name) or diag((split /\n/, $t->read_file('seen.log'))[-1]);
}


# At level debug nginx itself writes each request header; we add nothing.

sub secrets {
    my %parts;

    for my $token (keys %all) {
        $parts{$_} = 1 for grep { length > 30 } split /\./, $token;
    }

    my %secret = (
        'key of JWKS' => [ $t->{key}, encode_base64url($t->{key}, '') ],
        'password of Redis' => [ 'a-password-of-redis' ],
        'token' => [ grep { !/^eyJhbGciOi/ } keys %parts ],
    );

    for my $log (qw(error.log access.log seen.log debug.log stderr.log)) {
        my $text = $t->read_file($log) // '';

        if ($log eq 'debug.log') {
            ok(length $text, 'there is a debug log');
            $text =~ s/^.*http header: ".*\n//mg;
        }

        for my $name (sort keys %secret) {
            my ($found) = grep { index($text, $_) >= 0 } @{ $secret{$name} };

            ok(!defined $found, "no $name is in $log")
                or diag((grep { /\Q$found\E/ } split /\n/, $text)[0]);
        }
    }
}
