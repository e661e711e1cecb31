#!/usr/bin/perl

# Copyright (C) Delta contributors

# An ordinary site behind TLS and HTTP/2 (static files, gzip, a cache, limits,
# auth_request, error pages) gets load_module and fifteen lines, by a reload.
# What was there goes on as it was, and a bare FCALL reaches its users.

use Delta;

my $t = Delta->new;

system('openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes '
       . '-days 2 -subj /CN=localhost -keyout ' . $t->file('site.key')
       . ' -out ' . $t->file('site.pem') . ' 2> /dev/null') == 0
    or die "openssl failed\n";

mkdir $t->file($_) for qw(www www/docs cache);
$t->file('www/index.html', '<p>The front page.</p>' x 100);
$t->file('www/docs/index.html', 'The documents.');
$t->file('www/404.html', 'Nothing here.');
$t->file('www/401.html', 'Please log in.');
$t->start_redis;
$t->redis('SADD', 'user:ben:guilds', 'g1');

my $site = <<'END';
%%LOAD%%
%%USER%%
daemon off;
pid %%DIR%%/nginx.pid;
error_log %%DIR%%/error.log info;
worker_processes 2;

events { }

http {
    %%HTTP%%
    types { text/html html; text/css css; }
    default_type text/plain;
    sendfile on;
    tcp_nopush on;
    gzip on;
    gzip_types *;
    gzip_min_length 1;
    gzip_proxied any;
    keepalive_timeout 20s;

    proxy_cache_path %%DIR%%/cache keys_zone=cache:1m;
    limit_req_zone $binary_remote_addr zone=search:1m rate=1r/m;
    limit_req_zone $binary_remote_addr zone=all:1m rate=500r/s;
    limit_req zone=all burst=500 nodelay;
    map $cookie_sid $member { secret-ben ben; secret-ada ada; }
    upstream app { server 127.0.0.1:%%PORT_1%%; keepalive 4; }
%%DELTA_HTTP%%
    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /check {
            if ($member = "") { return 401; }
            add_header X-User $member;
            return 204;
        }
        location / { return 200 "$request_id $http_x_user"; }
    }

    server {
        listen 127.0.0.1:%%PORT%% ssl http2;
        ssl_certificate site.pem;
        ssl_certificate_key site.key;
        root %%DIR%%/www;
        error_page 404 /404.html;
        error_page 401 /401.html;

        location / { try_files $uri $uri/ =404; }
        location = /old { return 301 /docs/; }
        location = /auth {
            internal;
            proxy_pass http://app/check;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }
        location /account/ {
            auth_request /auth;
            auth_request_set $account $upstream_http_x_user;
            proxy_set_header X-User $account;
            proxy_pass http://app;
        }
        location /news/ {
            proxy_cache cache;
            proxy_cache_valid 200 1m;
            proxy_pass http://app;
        }
        location /search/ {
            limit_req zone=search;
            proxy_pass http://app;
        }
%%DELTA_SERVER%%
    }
}
END

my $load = "load_module $Delta::BUILD/ngx_http_delta_module.so;";
my $http = '    delta_redis %%REDIS%%;';
my $server = <<'END';
        location = /live {
            auth_request /auth;
            auth_request_set $who $upstream_http_x_user;
            delta_user $who;
            delta_gateway;
            delta_drain 2s;
            delta_subscribe user:$delta_user;
            delta_subscribe user:$delta_user:inbox;
            delta_subscribe guild:* from=user:$delta_user:guilds;
        }
END

# The same for tokens, as it is shipped: 127.0.0.1:6379 is not ours.

my $shipped = do {
    open my $fh, '<', "$Delta::TOP/conf/delta.conf" or die $!;
    local $/;
    <$fh>;
};

for ("$http\n$server", $shipped) {
    my $lines = () = /^\s*[^\s#]/mg;
    ok($lines + 1 <= 15, 'no more than fifteen lines');
}

$shipped =~ s/redis:\S+;/%%REDIS%%;/ or die 'no address in delta.conf';
$t->file('delta.conf', $t->expand($shipped));
$t->file('delta-jwks.json', $t->read_file('jwks.json'));


# Before, and after.

$t->start_nginx(site('', '', ''));

my %before = visit();
my $old = join ' ', sort $t->workers;

is_deeply(\%before, {
    front => '200 ' . $t->read_file('www/index.html'),
    docs => '200 The documents.', missing => '404 Nothing here.',
    moved => 'https://127.0.0.1:' . $t->port . '/docs/',
    closed => '401 Please log in.', account => 1, check => 404, news => 1,
    limited => 503, gzip => 'gzip smaller', h2 => 'The documents. 2',
    live => 404,
}, 'an ordinary site, without a gateway');

ok($t->reload(site($load, $http, "$server\n        include delta.conf;")),
   'a reload brings in the module');
ok(wait_for(sub { join(' ', sort $t->workers) ne $old
                  && $t->workers == 2 }), 'the old workers go at once');

my %after = visit();

is(delete $after{live}, 401, 'the gateway asks who is there');
delete $before{live};
is_deeply(\%after, \%before, 'the site is as it was');


# The gateway, by WebSocket over TLS and by SSE over HTTP/2.

my @ssl = (ssl => 1, headers => [ Cookie => 'sid=secret-ben' ]);
my $ws = $t->ws('/live', @ssl);

is($ws->status, 101, 'a WebSocket over TLS');
is_deeply([ $ws->read_json->{d}, ]->[0]{channels},
          [ qw(user:ben user:ben:inbox guild:g1) ],
          'for whom auth_request has named, with the channels of that user');

my $jwt = $t->ws('/gateway', ssl => 1, alpn => [ 'http/1.1' ],
                 token => $t->token('ben'));
is($jwt->read_json->{d}{user_id}, 'ben', 'and one by conf/delta.conf');

sse('h2', '--http2', '--cookie', 'sid=secret-ben');
sse('zip', '--http1.1', '--compressed', '--cookie', 'sid=secret-ben');
sse('ada', '--http2', '--cookie', 'sid=secret-ada');

like($t->read_file('h2.out'), qr/^HTTP\/2 200 .*text\/event-stream/s,
     'SSE over HTTP/2');
like($t->read_file('zip.out'), qr/^HTTP\/1\.1 200 .*Encoding: gzip/s,
     'SSE over HTTP/1.1, through gzip where the site so wants');

my $diff = '{"entity_type":"guild","entity_id":"g1","diff":{"name":"New"}}';

my $id = fcall('guild:g1', "{\"t\":\"patch\",\"d\":$diff}");
like($id, qr/^\d+-\d+$/, 'a bare FCALL delta_publish answers an id');

for my $client ($ws, $jwt) {
    is_deeply($client->read_json, { v => 1, t => 'patch', c => 'guild:g1',
                                    id => $id, d => json_decode($diff) },
              'the patch reaches the WebSocket over TLS');
}

for my $name ('h2', 'zip') {
    ok(wait_for(sub { $t->read_file("$name.out") =~ /^data: .*"\Q$id\E"/m }),
       "it reaches the SSE stream at once ($name)");
}

fcall('user:ada', '{"t":"hello","d":{}}');
ok(wait_for(sub { $t->read_file('ada.out') =~ /"hello"/ }), 'ada has her own');
unlike($t->read_file('ada.out'), qr/guild:g1/, 'and nothing of the guild');

for my $n (1 .. 100) {
    $t->publish('user:ben', { t => 'n', d => { n => $n } });
}

is_deeply([ map { $ws->read_json->{d}{n} } 1 .. 100 ], [ 1 .. 100 ],
          'a hundred more come in order over TLS');

for my $name ('h2', 'zip') {
    wait_for(sub { $t->read_file("$name.out") =~ /"n":100\}/ });
    is_deeply([ $t->read_file("$name.out") =~ /\{"n":(\d+)\}/g ],
              [ 1 .. 100 ], "and on the stream ($name)");
}


# Who is not known, and what a client may say of itself.

my $answer = $t->http(GET => '/live', ssl => 1,
                      headers => [ 'X-User' => 'ben', Cookie => 'sid=x' ]);
is($answer->status, 401, 'a client cannot name itself');
is($answer->body, 'Please log in.', 'the error page of the site is shown');
is($t->ws('/live', ssl => 1)->status, 401, 'to a WebSocket, too');
is($t->ws('/live', @ssl, headers => [ Cookie => 'sid=secret-ben',
                                      Origin => 'https://evil.example' ])
       ->status, 403, 'another site\'s page is kept out');
is($t->ws('/live', @ssl, headers => [ Cookie => 'sid=secret-ben', Origin =>
                                      'https://127.0.0.1:' . $t->port ])
       ->status, 101, 'the page of the site is not');

my %during = visit();
delete $during{live};
is_deeply(\%during, \%before, 'the site goes on beside open sessions');

# A reload that takes the lines out again ends the sessions in good order.

ok($t->reload(site('', '', '')), 'the lines are taken out by a reload');
is($ws->read_until('reconnect')->{t}, 'reconnect', 'the client is told');
is(($ws->read_close)[0], 4001, 'then closed');
ok(wait_for(sub { $t->read_file('h2.out') =~ /event: close/
                  && !$t->alive('h2') }), 'so is the HTTP/2 stream');

my %last = visit();
is(delete $last{live}, 404, 'the gateway has gone');
is_deeply(\%last, \%before, 'the site has not');

for my $name (qw(zip ada)) {
    $t->stop($name, 'KILL');
}

done_testing;


sub site {
    my ($load, $http, $server) = @_;

    my $text = $site;

    $text =~ s/%%LOAD%%/$load/;
    $text =~ s/%%USER%%/$> == 0 ? 'user nobody nogroup;' : ''/e;
    $text =~ s/%%DELTA_HTTP%%/$http/;
    $text =~ s/%%DELTA_SERVER%%/$server/;

    chown scalar(getpwnam 'nobody'), -1, $t->file('cache') if $> == 0;

    return $text;
}


# One look at everything that the site does.

sub visit {
    my %seen;

    my $get = sub {
        my ($path, @cookie) = @_;
        return $t->http(GET => $path, ssl => 1, headers => [
            @cookie ? (Cookie => "sid=$cookie[0]") : () ]);
    };

    my $text = sub {
        my $answer = $get->(@_);
        return $answer->status . ' ' . $answer->body;
    };

    $seen{front} = $text->('/');
    $seen{docs} = $text->('/docs/');
    $seen{missing} = $text->('/nothing');
    $seen{moved} = $get->('/old')->header('Location');
    $seen{live} = $get->('/live')->status;
    $seen{closed} = $text->('/account/');
    $seen{account} = $text->('/account/', 'secret-ada') =~ /^200 \w+ ada$/;
    $seen{check} = $get->('/auth')->status;
    $seen{news} = $text->('/news/') eq $text->('/news/');

    $get->('/search/');
    $seen{limited} = $get->('/search/')->status;

    my $zip = $t->http(GET => '/', ssl => 1,
                       headers => [ 'Accept-Encoding' => 'gzip' ]);
    $seen{gzip} = $zip->header('Content-Encoding')
        . (length $zip->body < 500 ? ' smaller' : '');

    $seen{h2} = curl('/docs/');

    return %seen;
}


sub curl {
    my ($path) = @_;

    my $url = 'https://127.0.0.1:' . $t->port . $path;

    return scalar `curl -sk --http2 -w ' %{http_version}' $url`;
}


# A stream into a file; back when its first event is there.

sub sse {
    my ($name, @options) = @_;

    $t->spawn($name, "$name.out", 'curl', '-skNi', @options, '-H',
              'Accept: text/event-stream',
              'https://127.0.0.1:' . $t->port . '/live');

    ok(wait_for(sub { ($t->read_file("$name.out") // '') =~ /"ready"/ }),
       "a stream is ready: $name");
}


sub fcall {
    my ($channel, $event) = @_;

    open my $cli, '-|', 'redis-cli', '-p', $t->{redis_port}, 'FCALL',
        'delta_publish', 1, $channel, $event or die "redis-cli: $!";
    chomp(my $id = <$cli> // '');

    return $id =~ s/^"|"$//gr;
}
