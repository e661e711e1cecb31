#!/usr/bin/perl

# Copyright (C) Delta contributors

# Beside nginx's other modules, first of all nchan, which has a hiredis of its
# own: whatever the order of load_module, each does its work.

use Delta;

my ($folder) = `$Delta::NGINX -V 2>&1` =~ /--modules-path=(\S+)/;
$folder //= '/usr/lib/nginx/modules';

my $nchan = "$folder/ngx_nchan_module.so";
my $nchan_may = -w '/var/lib/nginx';

is_deeply([ sort map { (split)[-1] }
            split /\n/, `nm -D --defined-only $Delta::BUILD/*_module.so` ],
          [ qw(ngx_module_names ngx_module_order ngx_modules) ],
          'the module gives no name of its own or hiredis\'s to others');

my $t = Delta->new(foreign => [ "$folder/" ]);     # their leaks are theirs

$t->start_redis;

my @http = (http => <<'HTTP', server => <<'SERVER');
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
HTTP
location = /gateway {
    delta_jwt;
    delta_gateway;
    delta_subscribe user:$delta_user;
    delta_subscribe guild:* from=user:$delta_user:guilds;
}
SERVER

$t->redis('SADD', 'user:ben:guilds', 'g1');

my @token = (token => $t->token('ben'));


SKIP: {
    skip "no $nchan (libnginx-mod-nchan)", 1 unless -f $nchan;
    skip 'nchan wants to write to /var/lib/nginx', 1 unless $nchan_may;

    my $load = "load_module $nchan;";
    my %both = @http;

    $both{http} .= <<'HTTP';
upstream nchan_redis { nchan_redis_server %%REDIS%%; }
HTTP
    $both{server} .= <<'SERVER';
location ~ ^/sub/(\w+)$ {
    nchan_subscriber websocket eventsource;
    nchan_channel_id $1;
    nchan_redis_pass nchan_redis;
}
location ~ ^/pub/(\w+)$ {
    nchan_publisher http;
    nchan_channel_id $1;
    nchan_redis_pass nchan_redis;
}
SERVER

    for my $order ('delta first', 'nchan first') {
        my $conf = $order eq 'delta first'
            ? $t->conf(%both, main => $load) : "$load\n" . $t->conf(%both);

        subtest($order => sub { beside_nchan($conf, $order =~ /(\w+)/) });
    }
}


# All others that Debian has installed, in Debian's order; delta first, last.

my %path;

for my $file (glob '/etc/nginx/modules-enabled/*.conf') {
    open my $fh, '<', $file or next;
    $path{$file} = $1 if join('', <$fh>) =~ /^load_module\s+modules\/(\S+);/m;
}

my @others = grep { -f && !m{/ngx_http_delta_module\.so$}
                    && ($_ ne $nchan || $nchan_may) }
             map { "$folder/$path{$_}" } sort keys %path;

SKIP: {
    skip 'no other module of nginx is installed', 1 unless @others;

    my $load = join "\n", map { "load_module $_;" } @others;

    note($load);

    for my $conf ($t->conf(@http, main => $load),
                  "$load\n" . $t->conf(@http))
    {
        my ($first) = $conf =~ /^(%%GLOBALS%%|load)/;

        subtest(($first eq 'load' ? 'last' : 'first') . ' of '
                . (@others + 1) . ' modules' => sub {
            $t->start_nginx($conf, workers => 2);
            settled();
            delta_works('beside the others');
            ok($t->reload, 'nginx reloads');
            settled();
            delta_works('after a reload');
            ok($t->stop_nginx, 'nginx ends');
        });
    }
}

done_testing;


sub beside_nchan {
    my ($conf, $channel) = @_;

    $t->start_nginx($conf, workers => 2);

    for my $when ('at first', 'after a reload') {
        settled();
        delta_works($when);
        nchan_works($when, $channel);
        interleaved($when, $channel);

        ok($t->reload, 'nginx reloads') if $when eq 'at first';
    }

    ok($t->stop_nginx, 'nginx ends');
}


# The new workers have begun and the old ones have gone.  Those of nchan abort
# if they meet at an end ("my procslot not found"), with delta or without.

sub settled {
    wait_for(sub {
        my %ready = map { $_ => 1 }
            $t->log =~ /(\d+)#\d+: delta: connected to/g;
        my @workers = $t->workers;

        return @workers == 2 && !grep { !$ready{$_} } @workers;
    }) or fail('the old workers go, the new ones come');
}


sub delta_works {
    my ($when) = @_;

    my $ws = $t->ws('/gateway', @token);
    my $sse = $t->sse('/gateway', @token);

    for my $client ($ws, $sse) {
        is_deeply([ sort @{ $client->read_json->{d}{channels} } ],
                  [ qw(guild:g1 user:ben) ], "$when: delta is ready");
    }

    ok(wait_for(sub { eval {
        $t->publish('guild:g1', { t => 'patch', d => { when => $when } });
    } }), "$when: FCALL delta_publish is there");

    is($_->read_until('patch')->{d}{when}, $when, "$when: a patch arrives")
        for $ws, $sse;

    $_->disconnect for $ws, $sse;
}


sub nchan_works {
    my ($when, $channel) = @_;

    my $ws = $t->ws("/sub/$channel");
    is($ws->status, 101, "$when: nchan takes a WebSocket");

    # until nchan has reached its Redis it refuses, or brings it to nobody
    my $text = "nchan, $when";
    ok(wait_for(sub {
        nchan_publish($channel, $text) =~ /^20[0-9]$/
            && $ws->read_until_text($text, 2);
    }), "$when: nchan takes a message and brings it");

    $ws->disconnect;
}


# Both under way at once, in the same workers, on the same Redis.

sub interleaved {
    my ($when, $channel) = @_;

    my @delta = map { $t->ws('/gateway', @token) } 1 .. 3;
    my @nchan = map { $t->ws("/sub/both$channel") } 1 .. 3;

    $_->read_json for @delta;

    for my $n (1 .. 30) {
        $t->publish('user:ben', { t => 'patch', d => { n => $n } });
        nchan_publish("both$channel", "$when $n");
    }

    for my $client (@delta) {
        is_deeply([ map { $client->read_json->{d}{n} } 1 .. 30 ], [ 1 .. 30 ],
                  "$when: each patch, in order");
    }

    for my $client (@nchan) {
        ok($client->read_until_text("$when 30"), "$when: nchan goes on");
    }

    $_->disconnect for @delta, @nchan;
}


sub nchan_publish {
    my ($channel, $text) = @_;

    return $t->http(POST => "/pub/$channel", body => $text)->status;
}


sub Delta::Client::WS::read_until_text {
    my ($self, $text, $timeout) = @_;

    while (my $message = $self->read_message($timeout)) {
        return 1 if $message->{payload} eq $text;
    }

    return 0;
}
