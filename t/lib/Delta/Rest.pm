package Delta::Rest;

# Copyright (C) Delta contributors

# The reference upstream behind the gateway, with the rules of conf/nginx.conf,
# and a watcher for each user who notes whatever comes.
#
#   my $r = Delta::Rest->start(qw(ada ben cleo));
#   $r->subscribe(ben => 'channel:c1');
#   $r->does('a message', [ ada => POST => '/api/…', {…} ], 201,
#            message_create => 'ada ben');
#   $r->finish;
#
# does() makes the request and tests that each type of event came once to each
# of these watchers and that nobody saw anything else; $r->{last}{type} is then
# the d of it.  finish() tests all that was seen against the contract.

use strict;
use warnings;

use JSON::PP ();
use Test::More;

use Delta;

my $json = JSON::PP->new->utf8->canonical;


sub start {
    my ($class, @users) = @_;

    my $t = Delta->new;
    my $self = bless { t => $t, users => \@users, all => [], n => 0 }, $class;

    $t->start_redis;

    my ($gateway) = slurp("$Delta::TOP/conf/nginx.conf")
        =~ /location = \/gateway \{(.*?)\n        \}\n/s;
    my $rules = join "\n", $gateway =~ /^(\s+delta_subscribe[^#;]*;)/mg;

    $t->start_nginx($t->conf(http => <<"END", server => <<"END"));
upstream app { server %%UPSTREAM%%; keepalive 8; }
delta_redis %%REDIS%%;
delta_jwt_key_file jwks.json;
delta_contracts $Delta::TOP/conf/events.json;
client_max_body_size 2m;
END
delta_jwt optional;
location = /gateway {
    delta_gateway;
    delta_limit connections=32 channels=64 rate=6000r/m;
    $rules
}
location = /metrics { delta_metrics; }
location /api/ {
    proxy_pass http://app;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-User \$delta_user;
    proxy_set_header X-Real-IP 192.0.2.77;
}
END

    $t->start_upstream;

    wait_for(sub { $t->redis('SCARD', 'user:cleo:channels') })
        or diag('the membership sets did not come');

    for my $user (@users) {
        $self->{ws}{$user} = $t->ws('/gateway', token => $t->token($user));
        is($self->{ws}{$user}->read_json->{t}, 'ready', "$user watches");
    }

    return $self;
}


# body: a reference becomes JSON, a string goes as it is; %opt are headers.

sub api {
    my ($self, $user, $method, $path, $body, %headers) = @_;

    return $self->{t}->http($method => $path,
        (defined $user ? (token => $self->{t}->token($user)) : ()),
        (ref $body ? (json => $body)
         : defined $body ? (body => $body) : ()),
        headers => [ %headers ]);
}


# The ids in a set of Redis, which may hold marks beside them.

sub set {
    my ($self, $key) = @_;

    return my @ids = sort grep { /^\w+$/ }
        @{ $self->{t}->redis('SMEMBERS', $key) };
}


# The type of the answer.

sub subscribe {
    my ($self, $user, $channel) = @_;

    my $ref = ++$self->{n};
    my $ws = $self->{ws}{$user};

    $ws->send_json({ t => 'subscribe', d => { channel => $channel },
                     ref => $ref });
    my $answer = $ws->read_until(sub { ($_[0]{d}{ref} // '') eq $ref });

    return $answer ? $answer->{t} : 'nothing';
}


# What each watcher got since the last call, up to a mark behind all that the
# upstream has published; who is waited for has got that type before.

sub seen {
    my ($self, %wait) = @_;

    my %seen;
    my $n = ++$self->{n};
    my $t = $self->{t};

    for my $user (sort keys %wait) {
        my $event = $self->{ws}{$user}->read_until($wait{$user});
        push @{ $self->{ws}{$user}{skipped} },
            $event || { t => "no $wait{$user}" };
    }

    wait_for(sub {
        $t->http(GET => '/healthz', port => $t->{upstream_port})
            ->{json}{outbox} == 0;
    }) or diag('the outbox does not empty');

    for my $user (@{ $self->{users} }) {
        $t->publish("user:$user:inbox", { t => 'mark', d => { n => $n } });
    }

    for my $user (@{ $self->{users} }) {
        my $ws = $self->{ws}{$user};

        $ws->read_until(sub { $_[0]{t} eq 'mark' && $_[0]{d}{n} == $n })
            or fail("$user: no mark");

        $seen{$user} = [ splice @{ $ws->{skipped} ||= [] } ];
        push @{ $self->{all} }, @{ $seen{$user} };
    }

    return \%seen;
}


# %who: type => users; wait => { user => type }, headers => {…}.

sub does {
    my ($self, $name, $request, $status, %who) = @_;

    my $wait = delete $who{wait} || {};
    my $headers = delete $who{headers} || {};
    my ($user, $method, $path, $body) = @$request;

    my $answer = $self->api($user, $method, $path, $body, %$headers);
    is($answer->{status}, $status, "$name: $status")
        or diag($answer->{body});

    my $seen = $self->seen(%$wait);
    my (%got, %expected);

    $self->{last} = {};
    $self->{from} = {};

    my $cursor = $answer->header('Delta-Cursor') // '';
    my @own = grep { defined } map { $_->{id} } @{ $seen->{$user} || [] };

    fail("$name: the cursor $cursor is none of @own")
        if @own && !grep { $_ eq $cursor } @own;

    for my $watcher (sort keys %$seen) {
        for my $event (@{ $seen->{$watcher} }) {
            push @{ $got{ $event->{t} } }, $watcher;
            $self->{last}{ $event->{t} } = $event->{d};
            $self->{each}{$watcher}{ $event->{t} } = $event->{d};
            $self->{from}{ $event->{t} }{ $event->{c} // '' } = 1;
        }
    }

    $expected{$_} = [ sort split ' ', $who{$_} ] for keys %who;

    is_deeply(\%got, \%expected, "$name: seen by those who may, once")
        or diag($json->encode(\%got));

    return $answer;
}


# The channels of Redis that an event came on last time.

sub from {
    my ($self, $type) = @_;

    return join ' ', sort keys %{ $self->{from}{$type} || {} };
}


# No privileged member or address, and nothing off the contract.

sub finish {
    my ($self, @secrets) = @_;

    my $dir = $self->{t}->dir;
    my $contract = $json->decode(slurp("$Delta::TOP/conf/events.json"));
    my %privileged = map { $_ => 1 } @{ $contract->{privileged} };
    my (@bad, @astray, %types);

    for my $event (@{ $self->{all} }) {
        my $text = $json->encode($event);

        push @bad, $text if grep { $privileged{$_} } names($event);
        push @bad, $text if grep { index($text, $_) >= 0 } @secrets;
        $types{ $event->{t} }++;

        my $channels = $contract->{events}{ $event->{t} }{channels} || [];
        my @fits = map { s/\{(\w+)\}/$event->{d}{$1} || '[^:]+'/ger }
            @$channels;

        push @astray, "$event->{t} on $event->{c}"
            if defined $event->{c} && $event->{t} ne 'mark'
               && !grep { $event->{c} =~ /^$_$/ } @fits;
    }

    is("@astray", '', 'each event is on a channel that the contract has');
    is(join("\n", @bad), '', 'no privileged field is in any event');
    cmp_ok(scalar @{ $self->{all} }, '>', 5,
           @{ $self->{all} } . ' events of ' . keys(%types) . ' types');

    my $metrics = $self->{t}->http(GET => '/metrics')->{body};
    my ($emitted) = $metrics
        =~ /^delta_events_emitted_total\{type="workspace_.*?"\} (\d+)/m;
    @bad = grep { !/ 0$/ } $metrics
        =~ /^(delta_(?:parse_rejected|events_dropped)_total.*)$/mg;

    ok(defined $emitted, 'the gateway counts by type');
    is(join(' ', @bad), '', 'no event was off the contract');

    main::done_testing();
}


sub names {
    my ($value) = @_;

    return map { names($_) } @$value if ref $value eq 'ARRAY';
    return unless ref $value eq 'HASH';
    return map { ($_, names($value->{$_})) } keys %$value;
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<:raw', $file or die "$file: $!";
    local $/;

    return scalar <$fh>;
}

1;
