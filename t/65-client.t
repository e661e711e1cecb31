#!/usr/bin/perl

# Copyright (C) Delta contributors

# The client library: its unit tests with fakes, and those that run it in Node
# before a real gateway and Redis.  Also its size, where esbuild is installed.

use Delta;

use Cwd qw(abs_path);
use File::Basename qw(basename dirname);

use Delta::Node qw(relay);

my $top = abs_path(dirname(__FILE__) . '/..');
my $size_max = 8192;

my $node = `node --version 2>&1` // '';
$node =~ /^v(\d+)/ && $1 >= 18
    or plan(skip_all => 'node 18 or newer is needed (package nodejs)');

my $t = Delta->new;

$t->start_redis;

my $rules = <<'END';
delta_subscribe user:$delta_user;
delta_subscribe guild:* from=user:$delta_user:guilds;
delta_subscribe channel:* from=user:$delta_user:channels on_request;
END

$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%%;
             delta_jwt_key_file jwks.json;
             delta_channel guild:4 replay=20;',
    server => "delta_jwt optional;
        location = /gateway { delta_gateway; $rules }
        location = /sse { delta_gateway sse; $rules }
        location = /presence {
            delta_gateway; $rules delta_presence;
            delta_subscribe presence:* from=user:\$delta_user:follows;
        }
        location = /blocked {
            if (\$http_upgrade) { return 502; }
            delta_gateway; $rules
        }"), workers => 2);

my %env = (
    DELTA_URL => 'http://127.0.0.1:' . $t->port,
    DELTA_REDIS => $t->{redis_port},
    DELTA_NGINX => $t->pid('nginx'),
    DELTA_SLOW => $Delta::SLOW,
    NODE_PATH => '/usr/share/nodejs',
    map({ ("DELTA_TOKEN_\U$_" => $t->token($_)) } qw(ben cleo dan eve)),
    DELTA_TOKEN_BAD => jwt({ sub => 'ben' }, 'another key of the same length',
                           kid => 'test'),
);

for my $test (sort glob "$top/t/client/*.test.js") {
    subtest basename($test, '.test.js') => sub { relay($test, 300, %env) };
}

SKIP: {
    my $sizes = `cd "$top" && t/bin/client-size 2> /dev/null`;
    skip 'no esbuild to bundle with', 1 if $? != 0;

    my ($bytes) = $sizes =~ /^delta-client +(\d+)/m;
    cmp_ok($bytes, '<=', $size_max, 'the main entry is small, gzipped');
    note($sizes);
}

done_testing;
