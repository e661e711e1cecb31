#!/usr/bin/perl

# Copyright (C) Delta contributors

# The client library's part of a space, in Node before the whole of Delta: a
# client that is cut off at random ends with the backend's list.  DELTA_SEED
# repeats.

use Delta;

use Delta::Node qw(relay);
use Delta::Space qw(start_space_servers);

my $node = `node --version 2>&1` // '';
$node =~ /^v(\d+)/ && $1 >= 18
    or plan(skip_all => 'node 18 or newer is needed (package nodejs)');

my $t = Delta->new;
my $seed = $ENV{DELTA_SEED} || 1 + int rand 1e6;

start_space_servers($t);

my $space;

ok(wait_for(sub {
    my $answer = $t->http(POST => '/api/spaces', token => $t->token('ada'),
                          json => { name => 'A place' });
    $space = $answer->{json}{id};
}), 'there is a space');

$t->http(PUT => "/api/spaces/$space/members/me", token => $t->token('ben'));
wait_for(sub { $t->redis('SISMEMBER', 'user:ben:spaces', $space) });
note("seed $seed");

subtest 'cut off at random' => sub {
    relay("$Delta::TOP/t/client/live/space.test.js", 60,
          DELTA_URL => 'http://127.0.0.1:' . $t->port,
          DELTA_SPACE => $space,
          DELTA_SEED => $seed,
          DELTA_SLOW => $Delta::SLOW,
          map { ("DELTA_TOKEN_\U$_" => $t->token($_)) } qw(ada ben));
};

done_testing;
