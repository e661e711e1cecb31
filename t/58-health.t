#!/usr/bin/perl

# Copyright (C) Delta contributors

# delta_health: 200 only while what a worker publishes comes back to it by
# pub/sub in time, whatever the connections look like.

use Delta;
use Delta::Proxy;
use Time::HiRes qw(time);

my $t = Delta->new;
my $deadline = 2;

$t->start_redis;

my $proxy = Delta::Proxy->start($t, 'proxy', $t->{redis_port});
my $half = Delta::Proxy->start($t, 'half', $t->{redis_port});

$t->{ports}[1] = $proxy->{port};
$t->{ports}[2] = $half->{port};

my $conf = $t->conf(
    http => 'delta_jwt_key_file jwks.json;',
    server => <<'END');
delta_redis redis://127.0.0.1:%%PORT_1%% read_timeout=20s;
location = /gateway { delta_gateway; delta_jwt; delta_subscribe world; }
location = /health { delta_health deadline=2s; }
location = /metrics { delta_metrics; }
}
server {
    listen 127.0.0.1:%%PORT_3%%;
    delta_redis redis://127.0.0.1:%%PORT_2%% read_timeout=1200ms;
    location = /health { delta_health deadline=1m; }
END

$t->start_nginx($conf);

my $worker = wait_for(sub { ($t->workers)[0] });

healthy();
methods();
stopped();
deaf();
killed();
half_open();
draining();

done_testing;


sub health {
    my ($method, %opt) = @_;

    return $t->http($method || 'GET', '/health', %opt);
}


sub becomes {
    my ($status, $name) = @_;

    my $answer;

    ok(wait_for(sub { ($answer = health())->status == $status }), $name);

    return $answer->json;
}


sub healthy {
    my ($json) = becomes(200, 'it is healthy when the first tick is back');
    my $answer = health();

    is_deeply([ sort keys %$json ],
              [ sort qw(status redis lag_ms age_ms sessions draining worker) ],
              'the body has all its members');
    is($json->{status}, 'ok', 'status');
    like($json->{redis}, qr/127\.0\.0\.1:$proxy->{port}/, 'redis');
    cmp_ok($json->{lag_ms}, '<', 1000 * $deadline, 'lag_ms');
    cmp_ok($json->{age_ms}, '<', 1000 * $deadline, 'age_ms');
    is($json->{worker}, $worker, 'worker');
    ok(!$json->{draining}, 'draining');
    is($answer->header('Cache-Control'), 'no-store', 'it is not to be cached');
    is($answer->header('Content-Type'), 'application/json', 'and is JSON');

    my $ws = $t->ws('/gateway', token => $t->token('ben'));
    is($ws->read_json->{t}, 'ready', 'a session');
    is(health()->json->{sessions}, 1, 'is counted');
    $ws->disconnect;
    ok(wait_for(sub { health()->json->{sessions} == 0 }), 'while it lasts');
}


sub methods {
    my $head = health('HEAD');

    is($head->status, 200, 'HEAD is answered');
    is($head->{in} . $head->body, '', 'without a body');
    cmp_ok($head->header('Content-Length'), '>', 50, 'but with its length');

    for my $method (qw(POST PUT DELETE OPTIONS)) {
        my $answer = health($method, body => 'x');

        is($answer->status, 405, "$method is not");
        is($answer->header('Allow'), 'GET, HEAD', 'and told so');
    }
}


sub late {
    my ($what) = @_;

    my ($answer, @wrong);

    # at the deadline to the ms, however late we are to ask
    ok(wait_for(sub {
        $answer = health();
        my $json = $answer->json;
        push @wrong, "$json->{status}, $json->{age_ms} ms"
            if ($json->{status} ne 'ok')
               != ($json->{age_ms} > 1000 * $deadline);
        return $answer->status == 503;
    }), "$what: unhealthy");

    is($answer->json->{status}, 'late', 'the canary is late');
    is("@wrong", '', 'and never was before the deadline, and always behind it');
    cmp_ok(metric('delta_redis_tick_age_seconds'), '>', $deadline,
           'the metrics know');
    is(health('HEAD')->status, 503, 'HEAD says the same');
}


sub well {
    my ($json) = becomes(200, 'and healthy when that is over');

    is($json->{status}, 'ok', 'ok');
    is(($t->workers)[0], $worker, 'all the time the same worker');
}


sub stopped {
    kill 'STOP', $t->pid('redis');
    late('Redis stops');
    kill 'CONT', $t->pid('redis');
    well();
}


# Only a canary can tell: both connections live, and one can be spoken to.

sub deaf {
    $proxy->mode('deaf');
    late('pub/sub is silent');
    is($t->http(HEAD => '/gateway', token => $t->token('ben'))->status, 200,
       'the connections are there');
    $proxy->mode('pass');
    well();
    ok(wait_for(sub { metric('delta_redis_tick_age_seconds') < $deadline
                      && metric('delta_redis_lag_seconds') < $deadline }),
       'the metrics know as well');
}


sub killed {
    $t->stop_redis('KILL');

    my ($json) = becomes(503, 'Redis is killed: unhealthy');

    is($json->{status}, 'down', 'it is down, without waiting for a canary');
    $t->start_redis;
    well();
}


# Packets are swallowed: nothing is refused or closed, only silent.  The ticks
# fall between the pings, and so does the end.

sub half_open {
    ok(wait_for(sub { metric('delta_redis_up') == 2 }), 'all links are up');

    for my $mode (qw(swallow mute deaf)) {
        my $best;

        # the machine may be late, but not always
        for (1 .. 5) {
            my $losses = metric('delta_redis_losses_total')
                         + ($mode eq 'deaf' ? 1 : 2);
            my $start = time;

            $half->mode($mode);
            ok(wait_for(sub {
                metric('delta_redis_losses_total') >= $losses;
            }), "a half-open link is given up: $mode");

            my $time = time - $start;
            $best = $time if !defined $best || $time < $best;

            $half->mode('forget');
            ok(wait_for(sub { metric('delta_redis_up') == 2 }),
               'and made anew');
            ok(wait_for(sub {
                health('GET', port => $t->port(3))->status == 200;
            }), 'events can come by it');
            last if $best < 2 * 1.2 + 0.2;
        }

        cmp_ok($best, '<', 2 * 1.2 + 0.2, 'within twice the ping interval');
    }
}


# The request has begun before the reload, and is answered by the old worker.

sub draining {
    my $client = IO::Socket::INET->new('127.0.0.1:' . $t->port) or die $!;

    syswrite $client, "GET /health HTTP/1.0\r\n";
    $t->http(GET => '/health');         # by now it has been read
    $t->reload;
    wait_for(sub { $t->log =~ /$worker#\d+: gracefully shutting down/ });
    syswrite $client, "\r\n";

    my $answer = do { local $/; <$client> };

    like($answer, qr{^HTTP/1\.1 503 }, 'a worker that leaves is unhealthy');
    like($answer, qr/"status":"down".*"draining":true,"worker":$worker/,
         'and says why');
    becomes(200, 'the new one is well');
}


sub metric {
    my ($name) = @_;

    my $body = $t->http(GET => '/metrics')->body;

    return $body =~ /^\Q$name\E ([\d.]+)$/m ? $1 : -1;
}
