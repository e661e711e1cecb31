#!/usr/bin/perl

# Copyright (C) Delta contributors

# Sets that are read through, function by function: which of them are whole,
# what may be written, and when not.

use Delta;

my $t = Delta->new;
my $port = $t->start_redis;
my $gen = 'delta:gen:ben';
my @sets = ('user:ben:guilds', 'user:ben:follows');

$t->redis('FUNCTION', 'LOAD', $t->library);

missing();
fills();
generations();
sizes();
lives();
refusals();
rights();

done_testing;


sub call {
    my ($name, @args) = @_;

    my $reply = eval { $t->redis('FCALL', $name, @args) };

    return defined $reply ? $reply : $@;
}


sub fill {
    return call('delta_sets_fill', 1 + @sets, $gen, @sets, @_);
}


sub members {
    return join ' ', sort @{ $t->redis('SMEMBERS', $_[0]) };
}


sub missing {
    my @ask = ('FCALL_RO', 'delta_sets_missing', 3, $gen, @sets);

    is_deeply($t->redis(@ask), [ '', 1, 2 ], 'nothing is there');

    $t->redis('SADD', $sets[0], 'g1', 'g2');
    is_deeply($t->redis(@ask), [ '', 1, 2 ], 'a set without the marker may be '
              . 'a part of one');

    $t->redis('SADD', $sets[1], '(whole)');
    is_deeply($t->redis(@ask), [ '', 1 ], 'one with it is whole, though empty');

    $t->redis('INCR', $gen);
    is_deeply($t->redis(@ask), [ 1, 1 ], 'the generation is told');
    $t->redis('DEL', $gen, @sets);
}


sub fills {
    is(fill('', 300, 2, 'g1', 'g2', 0), 1, 'filled');
    is(members($sets[0]), '(whole) g1 g2', 'with the members');
    is(members($sets[1]), '(whole)', 'and with none');
    ok($t->redis('TTL', $_) > 290, "$_ ends some day") for @sets;

    $t->redis('SREM', $sets[0], 'g1', 'g2');
    is(fill('', 300, 2, 'g1', 'g2', 1, 'ada'), 1, 'filled again');
    is(members($sets[0]), '(whole)', 'what is whole is left alone');
    is(members($sets[1]), '(whole)', 'the empty, too');

    $t->redis('DEL', $sets[0]);
    $t->redis('SADD', $sets[0], 'old');
    is(fill('', 300, 1, 'g1', 0), 1, 'and again');
    is(members($sets[0]), '(whole) g1', 'what was a part is replaced');
    $t->redis('DEL', @sets);
}


# What was found out before a change is not written behind it.

sub generations {
    $t->redis('INCR', $gen);
    is(fill('', 300, 1, 'g1', 0), 0, 'the first change of all');
    is(fill(1, 300, 1, 'g1', 0), 1, 'asked behind it');
    $t->redis('DEL', @sets);
    $t->redis('INCR', $gen);
    is(fill(1, 300, 1, 'g1', 0), 0, 'a further change');
    is(fill(3, 300, 1, 'g1', 0), 0, 'a generation to come');
    is($t->redis('EXISTS', @sets), 0, 'nothing was written');
    $t->redis('DEL', $gen);
}


sub sizes {
    my @many = map { "m$_" } 1 .. 25_001;

    is(fill('', 300, scalar @many, @many, 0), 1, 'many members');
    is($t->redis('SCARD', $sets[0]), 25_002, 'all of them');
    $t->redis('DEL', @sets);
}


sub lives {
    fill('', 100, 0, 0);
    is(call('delta_sets_keep', 2, @sets, 300), 2, 'they live longer');
    ok($t->redis('TTL', $_) > 290, $_) for @sets;
    is(call('delta_sets_keep', 2, @sets, 100), 0, 'never shorter');
    ok($t->redis('TTL', $_) > 290, $_) for @sets;

    $t->redis('PERSIST', $sets[0]);
    $t->redis('DEL', $sets[1]);
    is(call('delta_sets_keep', 2, @sets, 300), 0, 'what has no end gets none');
    is($t->redis('TTL', $sets[0]), -1, 'nor does it');
    is($t->redis('EXISTS', $sets[1]), 0, 'and nothing is made');
    $t->redis('DEL', @sets);
}


sub refusals {
    my @bad = (
        [ 'no arguments' ], [ 'no counts', '', 300 ],
        [ 'one count', '', 300, 0 ], [ 'three', '', 300, 0, 0, 0 ],
        [ 'a count beyond the end', '', 300, 0, 1 ],
        [ 'a count that is too small', '', 300, 0, 0, 'x' ],
        [ 'no number', '', 300, 'x', 0 ], [ 'below zero', '', 300, -1, 0 ],
        [ 'a great one', '', 300, 0, '9' x 15 ],
        [ 'no life', '', 0, 0, 0 ], [ 'an endless one', '', '9' x 12, 0, 0 ],
        map { [ 'the member ' . json_encode($_), '', 300, 0, 1, $_ ] }
            '', 'a:b', '(whole)', 'a b', "a\n", 'x' x 129, '*',
    );

    like(fill(@$_[1 .. $#$_]), qr/^DELTA usage/, $_->[0]) for @bad;
    like(call('delta_sets_fill', 1, $gen, '', 300), qr/^DELTA/, 'no set');
    like(call('delta_sets_missing', 1, $gen), qr/^DELTA/, 'none at all');
    like(call('delta_sets_missing', 66, map { "k$_" } 1 .. 66), qr/^DELTA/,
         'too many');
    like(call('delta_sets_keep', 1, 'k', $_), qr/^DELTA/, "$_ seconds")
        for 'x', 0, -1, '1.5', '9' x 12;
    is($t->redis('EXISTS', @sets), 0, 'nothing was written');

    $t->redis('SET', $sets[1], 'no set');
    like(fill('', 300, 1, 'g1', 0), qr/WRONGTYPE/, 'a key of another type');
    is($t->redis('EXISTS', $sets[0]), 0, 'then the others are not written');
    $t->redis('DEL', @sets);
}


sub rights {
    my @all = qw(+fcall +get +sismember +del +sadd +expire);

    for my $without ('', @all[ 2 .. $#all ]) {
        my $user = Delta::Redis->new($port);

        $t->redis('ACL', 'SETUSER', 'gateway', 'reset', 'on', '>x', '~*',
                  grep { $_ ne $without } @all);
        $user->command('AUTH', 'gateway', 'x');

        my $reply = eval { $user->command('FCALL', 'delta_sets_fill', 3, $gen,
                                          @sets, '', 300, 1, 'g1', 0) } || $@;

        if ($without) {
            like($reply, qr/^NOPERM/, "refused without $without");
            is($t->redis('EXISTS', @sets), 0, 'before anything is written');

        } else {
            is($reply, 1, 'the rights of the documentation do');
            $t->redis('DEL', @sets);
        }
    }
}
