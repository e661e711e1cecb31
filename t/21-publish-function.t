#!/usr/bin/perl

# Copyright (C) Delta contributors

# The function library in Redis: what delta_publish logs, publishes, refuses.

use Delta;

my $t = Delta->new;
my $port = $t->start_redis;

my $library = $t->library;

my $event = '{"t":"patch","d":{"entity_type":"user"}}';
my $id = qr/^\d+-\d+$/;


is(refused('FCALL', 'delta_publish', 1, 'a', $event), 'ERR Function not found',
   'nothing is there without the library');

is(load(), 'delta', 'the library loads as it stands');

my ($version) = $library =~ /^local VERSION = (\d+)$/m;

is($t->redis('FCALL_RO', 'delta_version', 0), $version,
   'delta_version answers the version of the text');


# Order: log and live stream are one.

my $live = Delta::Redis->new($port)->subscribe('guild:42');

my $first = $t->publish('guild:42', $event);
my $second = $t->publish('guild:42', '{"t":"b","d":{}}');

like($first, $id, 'the answer is an id');
ok(later($second, $first), 'the next one is above it');

is_deeply(entries('guild:42'),
          [ [ $first, p => '0-0', e => $event ],
            [ $second, p => $first, e => '{"t":"b","d":{}}' ] ],
          'each entry of the log names the id before');
is($live->read->[2], "$first 0-0 $event", 'the first one is published');
is($live->read->[2], "$second $first {\"t\":\"b\",\"d\":{}}",
   'the second one names the first');

$t->redis('DEL', 'delta:{guild:42}');
$t->publish('guild:42', $event);
like($live->read->[2], qr/^\d+-\d+ $second \{/,
     'a log that was deleted is known to have had entries');

$t->redis('DEL', 'delta:{guild:42}', 'delta:{guild:42}:once');
$t->publish('guild:42', $event);
like($live->read->[2], qr/^\d+-\d+ 0-0 \{/,
     'without a trace the id before is 0-0');

my $ahead = (time + 3600) . '000-7';
$t->redis('XADD', 'delta:{skew}', $ahead, 'p', '0-0', 'e', '{}');
my $after = $t->publish('skew', $event);

ok(later($after, $ahead), 'ids rise even if the clock was set back');
is(entries('skew')->[-1][2], $ahead, 'and the chain holds');

my $body = '{"t":"big","d":{"x":"' . ("\x00\xff\r\n\$" x 2000) . '"}}';
$t->publish('binary', $body);
is(entries('binary')->[0][4], $body, 'the event is kept byte by byte');


# Once: a high-water mark for each source and channel.

my $once = Delta::Redis->new($port)->subscribe('once', 'other');

my $id7 = $t->publish('once', $event, 'db1/7');

is($t->publish('once', '{"t":"again","d":{}}', 'db1/7'), $id7,
   'the same n answers the id of the first time');
is($t->publish('once', '{"t":"older","d":{}}', 'db1/3'), $id7,
   'so does a lower one');
is(scalar @{ entries('once') }, 1, 'and nothing more is logged');

my $id10 = $t->publish('once', '{"t":"ten","d":{}}', 'db1/10');
isnt($id10, $id7, '10 is above 7, by number');

my $big = $t->publish('once', '{"t":"big","d":{}}', 'db1/9007199254740990');
my $max = $t->publish('once', '{"t":"max","d":{}}', 'db1/9007199254740991');

isnt($max, $big, 'the last two numbers are told apart');
is($t->publish('once', $event, 'db1/9007199254740991'), $max,
   'the greatest one is kept as it is');
isnt($t->publish('once', '{"t":"db2","d":{}}', 'db2/1'), $max,
     'another source counts for itself');
like($t->publish('other', '{"t":"other","d":{}}', 'db1/1'), $id,
     'so does another channel');

is_deeply([ map { $once->read->[2] =~ /"t":"(\w+)"/ } 1 .. 6 ],
          [ qw(patch ten big max db2 other) ],
          'each of them was published once, in order');
ok($t->redis('TTL', 'delta:{once}:once') > $t->redis('TTL', 'delta:{once}'),
   'the marks outlive the log');

for my $bad ('db1', 'db1/', '/1', 'db1/-1', 'db1/1.5', 'db1/1e3', 'db1/0x1',
             'db1/ 1', 'db1/9007199254740992', 'db1/10000000000000000',
             'd b/1', 'd/b/1', ('s' x 129) . '/1', "db1/1\n")
{
    like(refused('FCALL', 'delta_publish', 1, 'once', $event, $bad),
         qr/^DELTA /, 'no source/n: ' . substr $bad =~ s/\n/\\n/r, 0, 24);
}


# Hostile arguments.

for my $bad ('', ' ', 'a b', 'a{b}', '{a}', "a\n", "a\0b", 'a::b', ':a', 'a:',
             'a*', 'a/b', "\xc3\xa4", 'x' x 129, 'a:' . 'x' x 129,
             join(':', ('x' x 100) x 3))
{
    (my $name = substr $bad, 0, 24) =~ s/[^ -~]/?/g;
    like(refused('FCALL', 'delta_publish', 1, $bad, $event), qr/^DELTA /,
         "no channel: '$name'");
}

like($t->publish(join(':', 'x' x 128, 'y' x 127), $event), $id,
     'the longest name');
like($t->publish('Az09._~@|+-:7', $event), $id, 'every character of a name');

for my $bad ('', ' ', 'x', '[]', '"{}"', '1') {
    like(refused('FCALL', 'delta_publish', 1, 'bad', $bad), qr/^DELTA /,
         "no event: '$bad'");
}

like(refused('FCALL', 'delta_publish', 0, 'bad', $event), qr/^DELTA usage/,
     'no channel');
like(refused('FCALL', 'delta_publish', 2, 'bad', 'b', $event),
     qr/^DELTA usage/, 'two channels');
like(refused('FCALL', 'delta_publish', 1, 'bad'), qr/^DELTA usage/,
     'no event');
like(refused('FCALL', 'delta_publish', 1, 'bad', $event, 's/1', 'x'),
     qr/^DELTA usage/, 'an argument too many');
is($t->redis('EXISTS', 'delta:{bad}', 'delta:{bad}:once'), 0,
   'nothing of that was logged');


# Keys of other types.

my $wrong = Delta::Redis->new($port)->subscribe('wrong');

$t->redis('SET', 'delta:{wrong}', 'x');
like(refused('FCALL', 'delta_publish', 1, 'wrong', $event), qr/^WRONGTYPE/,
     'a log of another type');
$t->redis('DEL', 'delta:{wrong}');

$t->redis('SET', 'delta:{wrong}:once', 'x');
like(refused('FCALL', 'delta_publish', 1, 'wrong', $event, 's/1'),
     qr/^WRONGTYPE/, 'marks of another type');
is($t->redis('EXISTS', 'delta:{wrong}'), 0, 'leave no entry behind');
$t->redis('DEL', 'delta:{wrong}:once');

$t->publish('wrong', '{"t":"good","d":{}}');
like($wrong->read->[2], qr/"good"/, 'and nothing was published');


# A function does not roll back, so that rights are looked at first.

$t->redis('ACL', 'SETUSER', 'publisher', 'on', 'nopass', 'resetchannels',
          '&guild:*', '~guild:*', '~delta:{guild:*', '+fcall', '+xadd',
          '+xtrim', '+xrevrange', '+expire', '+publish', '+hget', '+hset');

my $publisher = Delta::Redis->new($port);
$publisher->command('AUTH', 'publisher', '');

like($publisher->command('FCALL', 'delta_publish', 1, 'guild:1', $event,
                         's/1'), $id, 'the rights that docs name suffice');

for my $less ('-xadd', '-xtrim', '-xrevrange', '-expire', '-publish', '-hget',
              '-hset', 'resetchannels')
{
    $t->redis('ACL', 'SETUSER', 'publisher', $less);

    like(eval { $publisher->command('FCALL', 'delta_publish', 1, 'guild:2',
                                    $event, 's/1'); } // $@,
         qr/^NOPERM/, "refused with $less");

    $t->redis('ACL', 'SETUSER', 'publisher', $less =~ /^-(.*)/ ? "+$1"
                                                               : '&guild:*');
}

is($t->redis('EXISTS', 'delta:{guild:2}', 'delta:{guild:2}:once'), 0,
   'and no entry is left of them');


# Retention.

my $default = ttl('guild:1');
ok($default > 89000 && $default <= 90000, 'a log is kept for 1 hour + 1 day');

my $control = do { $t->publish('user:u:control', $event);
                   ttl('user:u:control') };
ok($control > 86000 && $control <= 86700, 'a control log for 5 minutes');

is(load("{'guild:*:*',7200000},{'space:*',60000,100},{'a.b:*',120000},"
        . "{'user:*',1500}"), 'delta', 'the gateway writes its own table');

for my $case ([ 'guild:1:x', 86400 + 7200 ], [ 'guild:1', 86400 + 3600 ],
              [ 'space:1', 86400 + 60 ], [ 'a.b:1', 86400 + 120 ],
              [ 'aXb:1', 86400 + 3600 ], [ 'user:1', 86402 ],
              [ 'user:1:control', 86400 + 300 ],
              [ 'app:user:1:control', 86400 + 300 ],
              [ 'user:1:inbox', 86400 + 3600 ])
{
    my ($channel, $want) = @$case;

    $t->publish($channel, $event);
    my $got = ttl($channel);
    ok($got <= $want && $got > $want - 30, "$channel is kept for $want s");
}

$t->publish('space:2', $event) for 1 .. 450;
my $length = $t->redis('XLEN', 'delta:{space:2}');

ok($length >= 100 && $length < 300, 'old entries go by number');

my $old = (time - 70) . '000-';
$t->redis('XADD', 'delta:{space:3}', "$old$_", 'p', '0-0', 'e', '{}')
    for 1 .. 250;
$t->publish('space:3', $event);

my $log = entries('space:3');
ok(@$log < 200, 'and by age');
is($log->[-1][2], "${old}250", 'but the last one names the one before');

my @kept = @{ entries('space:2') };
is(scalar(grep { $kept[$_][2] ne $kept[ $_ - 1 ][0] } 1 .. $#kept), 0,
   'no link of a trimmed chain is missing');

done_testing();


# Loads the library, with the rows of a retention table if given.

sub load {
    my ($rows) = @_;

    my $text = $library;

    if (defined $rows) {
        $text =~ s/^.*--\@retention.*$/local RETENTION = {$rows}/m or die;
    }

    return $t->redis('FUNCTION', 'LOAD', 'REPLACE', $text);
}


sub refused {
    my (@command) = @_;

    my $answer = eval { $t->redis(@command) };

    return defined $answer ? "answer: $answer" : $@ =~ s/\n\z//r;
}


# The log as [ id, p => …, e => … ] for each entry.

sub entries {
    my ($channel) = @_;

    return [ map { [ $_->[0], @{ $_->[1] } ] }
             @{ $t->redis('XRANGE', "delta:{$channel}", '-', '+') } ];
}


sub ttl {
    return $t->redis('TTL', "delta:{$_[0]}");
}


sub later {
    my ($one, $two) = map { [ split /-/ ] } @_;

    return $one->[0] > $two->[0]
           || ($one->[0] == $two->[0] && $one->[1] > $two->[1]);
}
