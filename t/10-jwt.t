#!/usr/bin/perl

# Copyright (C) Delta contributors

# Tokens made by Crypt::JWT against the verifier of src/core: every algorithm
# with every key, and forgeries made of good tokens.

use strict;
use warnings;

use Crypt::JWT qw(encode_jwt);
use Crypt::PK::ECC;
use Crypt::PK::Ed25519;
use Crypt::PK::RSA;
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use JSON::PP;
use MIME::Base64 qw(encode_base64url decode_base64url);
use Test::More;

chdir dirname(__FILE__) . '/..' or die "no top directory: $!";

my $dir = tempdir('delta-jwt-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $json = JSON::PP->new->canonical;

build();

my %wrong = (
    format    => 'The token is malformed.',
    algorithm => 'The token\'s algorithm is not one its key allows.',
    critical  => 'The token demands an extension that is not supported.',
    key       => 'No key of the set fits the token.',
    signature => 'The token\'s signature is wrong.',
    claims    => 'A claim of the token has the wrong type.',
    expired   => 'The token has expired.',
    early     => 'The token is not valid yet.',
    audience  => 'The token is for another audience.',
    issuer    => 'The token is from another issuer.',
);

# name => [what signs, the public or shared JWK, algorithms without alg]

my %keys = (
    rsa  => rsa(2048, qw(RS256 RS384 RS512 PS256 PS384 PS512)),
    rsa3 => rsa(3072, qw(RS256 RS384 RS512 PS256 PS384 PS512)),
    p256 => ec('secp256r1', 'ES256'),
    p384 => ec('secp384r1', 'ES384'),
    p521 => ec('secp521r1', 'ES512'),
    ed   => ed(),
    oct  => oct_key(64, qw(HS256 HS384 HS512)),
    oct2 => oct_key(32, qw(HS256)),
);

my @names = sort keys %keys;
my $all = jwks(map { named($_) } @names);

every_algorithm();
binding();
forgeries();
confusion();
kids();
claims();
sets();

done_testing();


sub every_algorithm {
    my $claims = { sub => "ad\x{e4}", exp => time + 60, n => 7 };
    my $want = 'OK ' . $json->utf8->encode($claims);

    for my $name (@names) {
        my ($private, $jwk, @algorithms) = @{ $keys{$name} };

        for my $alg (@algorithms) {
            my $token = token($name, $alg, $claims);

            is(verify($jwk, $token), $want, "$alg with $name");
            is(verify($all, $token), $want, "$alg with $name of a set");

            is(verify({ %$jwk, alg => $alg, use => 'sig' }, $token), $want,
               "$alg with $name for it alone");
        }
    }

    # ES signatures have random lengths as DER

    my @bad = grep { verify($keys{p521}[1], token('p521', 'ES512', $claims))
                     ne $want } 1 .. 30;
    is(@bad, 0, 'many signatures of ES512');
}


# A key verifies nothing but its own algorithms.

sub binding {
    my %token;

    for my $name (@names) {
        my (undef, undef, @algorithms) = @{ $keys{$name} };
        $token{$_} = token($name, $_, {}) for @algorithms;
    }

    for my $name (@names) {
        my ($private, $jwk, @algorithms) = @{ $keys{$name} };
        my %own = map { $_ => 1 } @algorithms;

        my @accepted = grep { !$own{$_}
                              && verify($jwk, $token{$_}) ne $wrong{algorithm}
                            } sort keys %token;

        is("@accepted", '', "$name takes no other algorithm");
    }

    for my $alg (qw(RS256 PS256)) {
        my $other = $alg eq 'RS256' ? 'PS256' : 'RS256';

        is(verify({ %{ $keys{rsa}[1] }, alg => $other },
                  token('rsa', $alg, {})),
           $wrong{algorithm}, "$alg with an RSA key for $other");
    }

    is(verify(rsa(2048)->[1], token('rsa', 'RS256', {})), $wrong{signature},
       'another RSA key');
    is(verify(rsa(2048)->[1], token('rsa', 'PS256', {})), $wrong{signature},
       'another RSA key, PSS');
    is(verify(ec('secp256r1')->[1], token('p256', 'ES256', {})),
       $wrong{signature}, 'another EC key');
    is(verify(ed()->[1], token('ed', 'EdDSA', {})), $wrong{signature},
       'another Ed25519 key');
    is(verify(oct_key(64)->[1], token('oct', 'HS256', {})), $wrong{signature},
       'another secret');
}


sub forgeries {
    for my $name (@names) {
        my ($private, $jwk, @algorithms) = @{ $keys{$name} };

        for my $alg (@algorithms) {
            my $token = token($name, $alg, { sub => 'ben' });
            my ($header, $payload, $signature) = split /\./, $token;
            my $ada = encode_base64url('{"sub":"ada"}');
            my $bytes = decode_base64url($signature);

            my $flipped = $bytes;
            substr($flipped, length($bytes) / 2, 1) ^= "\1";

            my @cases = (
                "$header.$ada.$signature" => 'signature',
                sign($header, $payload, $flipped) => 'signature',
                sign($header, $payload, substr($bytes, 0, -1)) => 'signature',
                sign($header, $payload, "$bytes\0") => 'signature',
                sign($header, $payload, "\0$bytes") => 'signature',
                sign($header, $payload, "\0" x length $bytes) => 'signature',
                "$header.$payload." => 'format',
                "$header.$payload" => 'format',
                "$header..$signature" => 'signature',
                ".$payload.$signature" => 'format',
                "$token=" => 'format',
                "$token==" => 'format',
                "$token." => 'format',
                "$token.$signature" => 'format',
                "$token\n" => 'format',
                " $token" => 'format',
                "$header=.$payload.$signature" => 'format',
                "$header.$payload=.$signature" => 'format',
                recoded($token, 'none') . $signature => 'algorithm',
                recoded($token, 'none') => 'algorithm',
            );

            my @bad;

            while (my ($forged, $why) = splice @cases, 0, 2) {
                my $got = verify($jwk, $forged);
                push @bad, "$forged: $got" if $got ne $wrong{$why};
            }

            is("@bad", '', "forgeries of $alg with $name");
        }
    }

    # JOSE's r and s are not in DER

    my ($header, $payload, $signature)
        = split /\./, token('p256', 'ES256', {});
    my $der = $keys{p256}[0]->sign_message("$header.$payload", 'SHA256');

    is(verify($keys{p256}[1], sign($header, $payload, $der)),
       $wrong{signature}, 'ES256 with a signature in DER');

    # nor are they wider than the curve

    my ($r, $s) = unpack 'a32 a32', decode_base64url($signature);

    is(verify($keys{p256}[1], sign($header, $payload, $r . $s)), 'OK {}',
       'ES256 with r and s');
    is(verify($keys{p256}[1], sign($header, $payload, "\0$r\0$s")),
       $wrong{signature}, 'ES256 with r and s of 33 bytes');

    # PSS, but not with the salt that RFC 7518 asks for

    my $head = encode_base64url('{"alg":"PS256"}');
    my $none = encode_base64url('{}');
    my $rsa = $keys{rsa}[0];

    is(verify($keys{rsa}[1],
              sign($head, $none, $rsa->sign_message("$head.$none", 'SHA256',
                                                    'pss', 32))),
       'OK {}', 'PS256 with a salt of 32 bytes');
    is(verify($keys{rsa}[1],
              sign($head, $none, $rsa->sign_message("$head.$none", 'SHA256',
                                                    'pss', 8))),
       $wrong{signature}, 'PS256 with a salt of 8 bytes');

    is(verify($all, token('rsa', 'RS256', {}, crit => ['exp'], exp => 1)),
       $wrong{critical}, 'crit');
    is(verify($all, 'A' x 9000), $wrong{format}, 'an oversized token');
}


# The public key as an HMAC secret, in every form somebody might have it.

sub confusion {
    for my $name (qw(rsa p256 ed)) {
        my ($private, $jwk) = @{ $keys{$name} };

        my @secrets = (
            $private->export_key_pem($name eq 'rsa' ? 'public_x509'
                                                    : 'public'),
            $private->export_key_der('public'),
            $private->export_key_jwk('public'),
            decode_base64url($jwk->{n} || $jwk->{x}),
        );

        push @secrets, $private->export_key_pem('public') if $name eq 'rsa';

        for my $secret (@secrets) {

            for my $alg (qw(HS256 HS512)) {
                my $forged = encode_jwt(payload => { sub => 'ada' },
                                        alg => $alg, key => $secret);

                is(verify($jwk, $forged), $wrong{algorithm},
                   "$alg keyed with the public key of $name");
                is(verify(jwks($jwk, $keys{oct}[1]), $forged),
                   $wrong{signature},
                   "$alg keyed with the public key of $name beside an oct");
            }
        }
    }

    my $own = rsa(2048);
    my $forged = encode_jwt(payload => {}, alg => 'RS256', key => $own->[0],
                            extra_headers => { jwk => $own->[1],
                                               jku => 'http://127.0.0.1/' });

    is(verify($keys{rsa}[1], $forged), $wrong{signature},
       'a token that brings its key');
}


sub kids {
    my $token = token('rsa', 'RS256', {}, kid => 'rsa');

    is(verify($all, $token), 'OK {}', 'kid');
    is(verify(jwks(named('p256'), $keys{rsa}[1]), $token), 'OK {}',
       'kid and a key without one');
    is(verify(jwks(named('p256'), named('rsa3')), $token), $wrong{key},
       'a kid that no key has');
    is(verify(jwks({ %{ $keys{rsa3}[1] }, kid => 'rsa' }, named('rsa')),
              $token),
       'OK {}', 'a kid that two keys have');
    is(verify($all, token('rsa', 'RS256', {}, kid => 'rsa3')),
       $wrong{signature}, 'the kid of another key');
    is(verify($all, token('rsa', 'RS256', {}, kid => 'p256')),
       $wrong{algorithm}, 'the kid of a key of another type');
}


sub claims {
    my $now = time;
    my @cases = (
        { exp => $now + 100 } => undef,
        { exp => $now + 100.5 } => undef,
        { exp => $now - 1 } => 'expired',
        { exp => "$now" . '9' } => 'claims',
        { nbf => $now - 1 } => undef,
        { nbf => $now + 100 } => 'early',
        { nbf => JSON::PP::true } => 'claims',
        { iat => $now + 100 } => undef,
        { iat => [] } => 'claims',
    );

    while (my ($claims, $why) = splice @cases, 0, 2) {
        my $text = $json->encode($claims);
        my $got = verify($all, token('ed', 'EdDSA', $text));

        like($got, $why ? qr/^\Q$wrong{$why}\E$/ : qr/^OK /, "claims $text");
    }

    my %for = (aud => ['x', 'app'], iss => 'https://id.example');

    like(verify($all, token('ed', 'EdDSA', \%for), 'app', $for{iss}), qr/^OK/,
         'audience and issuer');
    like(verify($all, token('ed', 'EdDSA', { %for, aud => 'app' }), 'app',
                $for{iss}), qr/^OK/, 'one audience');
    is(verify($all, token('ed', 'EdDSA', \%for), 'ap'), $wrong{audience},
       'another audience');
    is(verify($all, token('ed', 'EdDSA', {}), 'app'), $wrong{audience},
       'no audience');
    is(verify($all, token('ed', 'EdDSA', \%for), 'app', 'https://id'),
       $wrong{issuer}, 'another issuer');
    is(verify($all, token('ed', 'EdDSA', { aud => 'app' }), 'app', 'x'),
       $wrong{issuer}, 'no issuer');

    is(verify($all, token('ed', 'EdDSA', '{"a":1,"a":1}')), $wrong{format},
       'the same claim twice');
    is(verify($all, token('ed', 'EdDSA', '[]')), $wrong{format},
       'claims that are not an object');
}


sub sets {
    my $token = token('rsa', 'RS256', {});

    for my $name (qw(rsa p256 ed)) {
        my $secret = $json->decode($keys{$name}[0]->export_key_jwk('private'));

        is(verify($secret, $token), 'Key 1 of the set has private parts.',
           "the private key of $name");
    }

    is(verify(rsa(1024)->[1], $token),
       'Key 1 of the set has less than 2048 bits.', 'a small RSA key');
    is(verify(oct_key(31)->[1], $token), 'Key 1 of the set has a k shorter'
       . ' than the hash of its algorithm.', 'a short secret');
    is(verify({ %{ $keys{p256}[1] }, y => $keys{p256}[1]{x} }, $token),
       'Key 1 of the set is not a point on its curve.', 'a point off P-256');
    is(verify(jwks({ %{ $keys{rsa3}[1] }, use => 'enc' }, named('rsa')),
              $token),
       'OK {}', 'a key for encryption is not one of ours');
    is(verify(jwks({ %{ $keys{rsa}[1] }, use => 'enc' }), $token),
       'The key set has no usable key.', 'a key for encryption alone');
}


sub rsa {
    my ($bits, @algorithms) = @_;

    my $key = Crypt::PK::RSA->new;
    $key->generate_key($bits / 8);

    return [$key, $key->export_key_jwk('public', 1), @algorithms];
}


sub ec {
    my ($curve, @algorithms) = @_;

    my $key = Crypt::PK::ECC->new;
    $key->generate_key($curve);

    return [$key, $key->export_key_jwk('public', 1), @algorithms];
}


sub ed {
    my $key = Crypt::PK::Ed25519->new;
    $key->generate_key;

    return [$key, $key->export_key_jwk('public', 1), 'EdDSA'];
}


sub oct_key {
    my ($n, @algorithms) = @_;

    my $secret = join '', map { chr int rand 256 } 1 .. $n;

    return [$secret, { kty => 'oct', k => encode_base64url($secret) },
            @algorithms];
}


sub named {
    my ($name) = @_;

    return { %{ $keys{$name}[1] }, kid => $name };
}


sub jwks {
    return { keys => [@_] };
}


sub token {
    my ($name, $alg, $claims, %headers) = @_;

    return encode_jwt(payload => $claims, alg => $alg,
                      key => $keys{$name}[0], extra_headers => \%headers);
}


sub sign {
    my ($header, $payload, $signature) = @_;

    return "$header.$payload." . encode_base64url($signature);
}


# A token up to its signature, with another alg.

sub recoded {
    my ($token, $alg) = @_;

    my (undef, $payload) = split /\./, $token;

    return encode_base64url($json->encode({ alg => $alg })) . ".$payload.";
}


sub build {
    my $cc = $ENV{CC} || 'cc';
    my @flags = qw(-std=gnu11 -Wall -Wextra -Werror -g -O1 -Isrc/core);

    push @flags, '-fsanitize=address,undefined', '-fno-sanitize-recover=all'
        if $ENV{ASAN};

    system($cc, @flags, '-o', "$dir/jwt-verify", 't/bin/jwt-verify.c',
           glob('src/core/delta_jw?.c'), '-ljansson', '-lcrypto') == 0
        or BAIL_OUT('t/bin/jwt-verify.c does not build');
}


# What the verifier prints for these keys and this token.

sub verify {
    my ($keys, @args) = @_;

    open my $file, '>', "$dir/jwks.json" or die "$dir/jwks.json: $!";
    print $file $json->utf8->encode($keys);
    close $file or die "$dir/jwks.json: $!";

    open my $out, '-|', "$dir/jwt-verify", "$dir/jwks.json", @args
        or die "jwt-verify: $!";

    my $text = join '', <$out>;
    close $out;

    chomp $text;

    return $text;
}
