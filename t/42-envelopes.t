#!/usr/bin/perl

# Copyright (C) Delta contributors

# The shapes of an event, on both transports.

use Delta;

my $t = Delta->new;

$t->start_redis;

$t->start_nginx($t->conf(http => 'delta_redis %%REDIS%%;', server => <<'END'));
delta_user $arg_user;
delta_subscribe room:one;

location = /op { delta_gateway; delta_envelope op; }
location = /type { delta_gateway; delta_envelope type; }
location = /compact { delta_gateway; delta_envelope compact; }
END

envelopes();

done_testing;


sub envelopes {
    my %type = (op => sub { $_[0]{op} }, type => sub { $_[0]{type} },
                compact => sub { $_[0]{t} });

    my %want = (
        op => [ { op => 'SpaceDelta', d => { id => 1, type => 'z' } },
                { op => 'PresenceUpdate', d => { id => 7, s => 'on',
                                                 t => 3 } } ],
        type => [ { type => 'space-delta', id => 1 },
                  { type => 'presence-update', id => 7, s => 'on', t => 3 } ],
        compact => [ { v => 1, t => 'space_delta', c => 'room:one',
                       d => { id => 1, type => 'z' } },
                     { t => 'u', id => 7, s => 'on' } ],
    );

    for my $shape (sort keys %want) {
        for my $kind (qw(ws sse)) {
            my $client = $t->$kind("/$shape?user=eve");

            # type says nothing when it is ready
            ok(wait_for(sub {
                $t->redis('PUBLISH', 'room:one', '{"t":"hello","d":{}}');
                my $event = $client->read_json(0.1) or return;
                return $type{$shape}->($event) =~ /^hello$/i;
            }), "$shape on $kind");

            $t->redis('PUBLISH', 'room:one',
                      '{"t":"space_delta","d":{"id":1,"type":"z"}}');
            $t->redis('PUBLISH', 'room:one',
                      '{"t":"presence_update","d":{"id":7,"s":"on","t":3}}');

            my $first = $client->read_until(sub {
                $type{$shape}->($_[0]) !~ /^(?:hello|ready)$/i });
            is_deeply([ $first, $client->read_json ], $want{$shape},
                      'as the shape has it');

            next if $kind eq 'ws';

            is($client->{last_event}{event},
               undef, 'for onmessage');
        }
    }
}
