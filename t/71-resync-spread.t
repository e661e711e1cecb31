#!/usr/bin/perl

# Copyright (C) Delta contributors

# Who is told resync asks the application: when many are told at once, each is
# told when.

use Delta;

my $t = Delta->new;
my $MANY = 60;

$t->start_redis;
$t->redis('SADD', 'user:ben:rooms', 'one');
$t->allow(qr/delta: .*link to Redis .* is down/);

$t->start_nginx($t->conf(
    http => 'delta_redis %%REDIS%%;
             delta_user $arg_user;
             delta_limit rate=6000r/m;',
    server => 'location = /gateway {
            delta_gateway;
            delta_resume spread=3s;
            delta_subscribe room:* from=user:ben:rooms;
        }'));

my @ws = map { $t->ws("/gateway?user=u$_") } 1 .. $MANY;

is(scalar(grep { $_->read_json->{t} eq 'ready' } @ws), $MANY, 'many are there');
publish();
is(scalar(grep { $_->read_json->{t} eq 'note' } @ws), $MANY, 'and see events');

my @told = told(@ws);

is(scalar(grep { $_->{reason} eq 'history_gap' } @told), $MANY,
   'a log is gone: everybody is told');
is(scalar(grep { !defined $_->{after_ms} } @told), 20,
   'the first may fetch at once');

my @after = grep { defined } map { $_->{after_ms} } @told;

is(scalar(grep { $_ < 0 || $_ >= 3000 } @after), 0,
   'the others at a moment within the time that was configured');
cmp_ok(keys %{ { map { $_ => 1 } @after } }, '>', 10, 'each at its own');

$_->disconnect for @ws[ 5 .. $MANY - 1 ];
my $second = time;
wait_for(sub { time > $second + 1 });
@told = told(@ws[ 0 .. 4 ]);
is(scalar(grep { defined $_->{after_ms} } @told), 0, 'few need not wait');

done_testing;


sub publish {
    $t->publish('room:one', { t => 'note', d => {} });
}


# The gateway misses an event, and the log that could tell.

sub told {
    $t->redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
    $t->redis('DEL', 'delta:{room:one}', 'delta:{room:one}:once');
    publish();

    return map { $_->read_until('resync')->{d} } @_;
}
