#!/usr/bin/perl

# Copyright (C) Delta contributors

# delta_jwt_key_file is read again when it has changed, without a reload; what
# is broken then is told and changes nothing.

use Delta;
use MIME::Base64 qw(encode_base64url);
use Time::HiRes qw(time);

my $t = Delta->new;
my %key = map { $_ => $_ x 32 } 'a' .. 'h';

keys_are('a');
$t->start_redis;
$t->start_nginx($t->conf(http => <<'HTTP', server => <<'SERVER'));
delta_redis %%REDIS%%;
delta_jwt_key_file rotated.json;
delta_jwt;
delta_subscribe user:$delta_user;
HTTP
location /gateway { delta_gateway; }
location /plain { return 200 plain; }
location /api { root %%DIR%%; }
SERVER

$t->file('api', 'the api');

my $ws = $t->ws('/gateway', token => token('a'));
is($ws->read_json->{t}, 'ready', 'the first key opens the gateway');
is(api('b'), 401, 'another key does not');
is(api('a'), 200, 'the first one opens the API, too');


# Rotation: a new kid is added, then the old one goes.

keys_are('a', 'b');
ok(comes('b'), 'a new key is taken without a reload');
is(api('a'), 200, 'beside the old one');
is(jwt_status({}, 'b', kid => 'a'), 401, 'each under its own kid only');
is(jwt_status({}, 'b', kid => 'c'), 401, 'an unknown kid is refused');
is(told(qr/read the keys of \S+rotated\.json" again/), 1, 'the log says so');

keys_are('b');
ok(goes('a'), 'the key that has gone opens nothing more');
is(api('b'), 200, 'the one that stayed does');

$t->publish('user:ben', { t => 'still', d => {} });
is($ws->read_json->{t}, 'still', 'who came with the old key stays');

$ws->send_json({ t => 'auth', d => { token => token('a') } });
is($ws->read_json->{d}{code}, 'bad_token',
   'but cannot renew the session with it');
$ws->send_json({ t => 'auth', d => { token => token('b') } });
is($ws->read_json->{t}, 'authenticated', 'a token of the new key can');


# A broken file: the old keys stay, the log says why, once for each change.

for (
    [ 'is cut off', '{"keys":[{"kty":', qr/The key set is not JSON: line 1/ ],
    [ 'is empty', '', qr/The key set is not JSON: line 1/ ],
    [ 'has a private key', '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB",'
      . '"d":"c2VjcmV0"}]}', qr/Key 1 of the set has private parts/ ],
    [ 'has no key for us', '{"keys":[{"kty":"later"}]}',
      qr/The key set has no usable key/ ],
) {
    my ($what, $content, $why) = @$_;
    my $kept = qr/\[error\] .*kept the old keys, "\S+" is not usable: $why/;
    my $before = told($kept);

    $t->file('rotated.json', $content);
    ok(wait_for(sub { api('b') == 200 or return; told($kept) > $before }),
       "a file that $what is told");

    my $end = time + 1.2;
    my $good = 1;
    wait_for(sub { $good &&= api('b') == 200; time > $end });

    ok($good, "a file that $what changes nothing");
    is(told($kept), $before + 1, 'and is told once, not at each request');
}

unlike($t->log, qr/c2VjcmV0|[a-h]{32}/, 'no key is in the log');

unlink $t->file('rotated.json');
my $end = time + 1.2;
my $good = 1;
wait_for(sub { $good &&= api('b') == 200; time > $end });
ok($good, 'the keys outlive their file');

keys_are('c');
ok(comes('c'), 'a good file is taken again');
is(api('b'), 401, 'whole');


# What the file system can play: rights, content written in place.

SKIP: {
    skip 'workers have the rights of root without root', 2 if $> != 0;

    chmod 0, keys_are('d', '.new');
    rename $t->file('rotated.json.new'), $t->file('rotated.json');

    ok(wait_for(sub { api('c'); told(qr/not usable: Permission denied/) }),
       'a file that the worker may not read is told');

    chmod 0644, $t->file('rotated.json');
    ok(comes('d'), 'and taken once it may');
}

# nobody asks until a second begins: both are written and read within it
my $second = int time;
wait_for(sub { int time > $second });

for my $kid (qw(e f)) {
    open my $fh, '>', $t->file('rotated.json') or die $!;
    print $fh set($kid);
    close $fh or die $!;

    ok(comes($kid), 'a file written in place, of the same size, is taken');
}

keys_are('h');
rename $t->file('rotated.json'), $t->file('other.json');
symlink 'other.json', $t->file('rotated.json');
ok(comes('h'), 'so is one behind a symbolic link');


# Reload: a broken file is an error then, and the old workers go on.

my ($worker) = $t->workers;

$t->allow(qr/cannot use the key file/);
unlink $t->file('rotated.json');
$t->file('rotated.json', 'broken');
kill 'HUP', $t->pid('nginx');

ok(wait_for(sub {
    $t->log =~ /\[emerg\] .*cannot use the key file .*rotated\.json": The key/
}), 'a reload with a broken file is refused');
is(api('h'), 200, 'and the old keys stay');
is(($t->workers)[0], $worker, 'with the old worker');

keys_are('a');
ok($t->reload, 'a reload with a good file is done');
ok(comes('a'), 'and reads it');

$ws->disconnect;

done_testing;


sub set {
    return json_encode({ keys => [ map { {
        kty => 'oct', kid => $_, k => encode_base64url($key{$_}, ''),
    } } @_ ] });
}


# Writes the file anew, as one should: beside it, then renamed.

sub keys_are {
    my @kids = grep { length == 1 } @_;
    my ($suffix) = grep { length > 1 } @_;

    return $t->file('rotated.json' . ($suffix // ''), set(@kids));
}


sub token {
    my ($kid) = @_;

    return jwt({ sub => 'ben', exp => int(time) + 60 }, $key{$kid},
               kid => $kid);
}


sub api {
    my ($kid) = @_;

    return $t->http(GET => '/api', token => token($kid))->status;
}


sub jwt_status {
    my ($claims, $kid, %header) = @_;

    my $token = jwt({ sub => 'ben', exp => int(time) + 60, %$claims },
                    $key{$kid}, %header);

    return $t->http(GET => '/api', token => $token)->status;
}


# The worker looks at the file at most once a second.

sub comes {
    my ($kid) = @_;

    return wait_for(sub { api($kid) == 200 });
}


sub goes {
    my ($kid) = @_;

    return wait_for(sub { api($kid) == 401 });
}


sub told {
    my ($pattern) = @_;

    return scalar(() = $t->log =~ /$pattern/g);
}
