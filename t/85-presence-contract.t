#!/usr/bin/perl

# Copyright (C) Delta contributors

# What is no presence as the contract has it reaches nobody, and is not kept
# for those who come later.

use Delta;

my $t = Delta->new;
my $TOP = $Delta::TOP;

$t->start_redis;
$t->redis('SADD', 'user:ben:follows', 'ada');

$t->start_nginx($t->conf(
    http => "delta_redis %%REDIS%%;
             delta_contracts $TOP/conf/events.json;
             delta_presence ttl=6s refresh=2s;
             delta_heartbeat 2s missed=2;
             delta_resume 10s;
             delta_user \$arg_user;",
    server => 'location = /gateway {
            delta_gateway;
            delta_subscribe presence:* from=user:$delta_user:follows;
        }'));

my $ben = $t->ws('/gateway?user=ben');
$ben->read_until('ready');
is(status($ben->read_until('presence_sync')), 'offline', 'ada is away');

my $ada = $t->ws('/gateway?user=ada');
$ada->read_until('ready');
my $seen = $ben->read_until('presence_update');
is($seen->{d}{s}, 'online', 'and comes');

# as the functions say it, but with what they would not say
forged(1 << 50, { %{ $seen->{d} }, password_hash => 'x' });
forged(1 << 51, { %{ $seen->{d} }, s => 7 });

my $late = $t->ws('/gateway?user=ben');
$late->read_until('ready');
my $sync = $late->read_until('presence_sync');
is(status($sync), 'online', 'who comes later is told what was true');
unlike(json_encode($sync), qr/password/, 'and nothing else');

forged(1 << 52, { %{ $seen->{d} }, s => 'idle' });
my $next = $ben->read_until('presence_update');
is($next->{d}{s}, 'idle', 'nor was it told to who was there');

# what Redis has of somebody is held against the contract, too
$t->redis('SADD', 'user:ben:follows', 'eve');
$t->redis('HSET', 'delta:{presence:eve}', v => 5,
          a => json_encode({ %{ $next->{d} }, id => 'eve', ip => '::1' }));

my $third = $t->ws('/gateway?user=ben');
$third->read_until('ready');
$sync = $third->read_until('presence_sync');
is(status($sync), 'idle', 'a session that follows both is told of one');
unlike(json_encode($sync), qr/eve/, 'whom the contract has');
$third->send_json({ t => 'heartbeat', ref => 1 });
unlike(json_encode($third->read_until('heartbeat_ack', 1) // {}), qr/eve/,
       'and lives');

done_testing;


sub forged {
    my ($version, $d) = @_;

    $t->redis('PUBLISH', 'presence:ada',
              "$version " . json_encode({ t => 'presence_update', d => $d }));
}


sub status {
    my ($sync) = @_;

    my ($ada) = grep { $_->{id} eq 'ada' } @{ $sync->{d}{presence} };

    return $ada ? $ada->{s} : 'offline';
}
