#!/usr/bin/perl

# Copyright (C) Delta contributors

# last_seen reaches SQL now and then, and at the definite end of a
# session at once; whatever is killed in between, nothing is lost.

use Delta;
use IPC::Open2;
use Time::HiRes qw(sleep time);

my $t = Delta->new;
my $seen = 'delta:last_seen';
my $base = int(time) * 1000 - 86_400_000;
my %last = map { $_ => $base } qw(ada ben cleo dan);

$t->start_redis('--appendonly', 'yes');
$t->redis('FUNCTION', 'LOAD', $t->library);

definite_end();
periods();
answers();
greater();
newer();
killed_before_commit();
killed_behind_commit();
killed_anywhere();
many();
stopped();
redis_away();
prefix();
options();

done_testing;


sub upstream {
    my (@args) = @_;

    $t->stop('upstream') if $t->{procs}{upstream};
    $t->start_upstream(@args);
}


# What SQL has, by its own shell.

sub sql {
    my ($query) = @_;

    open my $fh, '-|', 'sqlite3', '-cmd', '.timeout 30000',
        $t->file('upstream.db'), $query or die "sqlite3: $!";
    my @rows = <$fh>;
    close $fh;
    chomp @rows;

    return wantarray ? @rows : $rows[0];
}


sub stored {
    return sql("SELECT ms FROM last_seen WHERE user_id = '$_[0]'") // '';
}


sub stored_soon {
    my ($user, $ms) = @_;

    return wait_for(sub { stored($user) eq $ms });
}


sub lock_sql {
    my $pid = open2(my $out, my $in, 'sqlite3', '-cmd', '.timeout 30000',
                    $t->file('upstream.db'));

    print $in "BEGIN IMMEDIATE; SELECT 'locked';\n";
    $in->flush;
    <$out> =~ /locked/ or die;

    return { pid => $pid, in => $in, out => $out };
}


sub unlock_sql {
    my ($lock) = @_;

    print { $lock->{in} } "ROLLBACK;\n.quit\n";
    close $lock->{in};
    waitpid $lock->{pid}, 0;
}


# As refreshes do it once in a minute, or as the end of a session does.

sub was_seen {
    my ($user, @keys) = @_;

    $last{$user} += 1000;
    $t->redis('ZADD', $_, 'GT', $last{$user}, $user)
        for @keys ? @keys : $seen;

    return $last{$user};
}


# By the clock of Redis, which sessions end by.

sub now {
    my ($seconds, $us) = @{ $t->redis('TIME') };

    return $seconds * 1000 + $us / 1000;
}


sub waiting {
    return $t->redis('ZCARD', $seen) + $t->redis('ZCARD', "$seen:ended");
}


sub reads {
    my ($n) = $t->redis('INFO', 'commandstats')
        =~ /^cmdstat_zrange:calls=(\d+)/m;

    return $n || 0;
}


sub session {
    my ($user, $sid) = @_;

    $t->redis('FCALL', 'delta_session_open', 2, "delta:{presence:$user}",
              $seen, "presence:$user", $sid, 30000, 60000, 'online', '');
}


sub leave {
    my ($user, $sid, $grace) = @_;

    $t->redis('FCALL', 'delta_session_leave', 2, "delta:{presence:$user}",
              $seen, "presence:$user", $sid, 1, $grace);
}


sub definite_end {
    upstream('--last-seen', 3600);
    session($_ => 'a') for qw(ada ben cleo);
    was_seen('ben');
    is(stored('ada'), '', 'nobody was seen yet');

    # long before the hour is over
    leave(ada => 'a', 0);
    ok(wait_for(sub { stored('ada') }),
       'row 4.6: a logout reaches SQL at once');
    $last{ada} = $t->redis('ZSCORE', $seen, 'ada');
    is(stored('ada'), $last{ada}, 'with its time');

    leave(cleo => 'a', 300);
    my $end = now() + 300;
    ok(wait_for(sub { now() > $end }), 'its window is over');
    is($t->redis('ZSCORE', $seen, 'cleo'), undef,
       'a connection that was lost has not ended yet');
    $t->redis('FCALL', 'delta_presence_expire', 2, 'delta:{presence:cleo}',
              $seen, 'presence:cleo');
    ok(wait_for(sub { stored('cleo') }), 'the end of its window is the end');
    $last{cleo} = stored('cleo');

    ok(wait_for(sub { !$t->redis('ZCARD', "$seen:ended") }),
       'what is stored need not be stored again');
    is(stored('ben'), '', 'who is still there waits for the period');
}


sub periods {
    local $ENV{DELTA_LAST_SEEN} = 1;

    upstream();
    ok(stored_soon(ben => $last{ben}), 'which the environment can set');
    ok(wait_for(sub { !waiting() }), 'Redis is empty then');
    ok(stored_soon(ben => was_seen('ben')), 'a later time is stored');
    is(sql('SELECT count(*) FROM last_seen'), 3, 'one row each');
}


sub answers {
    my $get = sub {
        my ($as, $who) = @_;
        my $r = $t->http(GET => "/api/users/$who/last_seen",
                         port => $t->{upstream_port},
                         headers => [ 'X-User' => $as ]);

        return $r->status eq 200 ? $r->json->{last_seen} // 'null'
                                 : $r->status;
    };

    is($get->(ben => 'ada'), $last{ada}, 'followers may know');
    is($get->(ada => 'me'), $last{ada}, 'so may the user');
    is($get->(dan => 'ada'), 403, 'nobody else');
    is($get->(dan => 'dan'), 'null', 'who was never there');
    is($get->(dan => 'nobody'), 404, 'who is nobody');
    is($get->('' => 'ada'), 401, 'a stranger');
}


sub greater {
    my $ms = stored('ben');

    $t->redis('ZADD', $seen, $ms - 5000, 'ben');
    ok(wait_for(sub { !waiting() }), 'an older time is taken from Redis');
    is(stored('ben'), $ms, 'and does not replace a newer one');
}


# Seen again between the reading and the end of it.

sub newer {
    my $lock = lock_sql();
    my $old = was_seen('ben');
    my $reads = reads();

    wait_for(sub { reads() > $reads + 1 }) or die;
    my $new = was_seen('ben');
    unlock_sql($lock);

    ok(stored_soon(ben => $new), 'who is seen again meanwhile is not lost');
    ok(wait_for(sub { !waiting() }), 'nor is it kept for ever');
}


sub killed_before_commit {
    for my $keys ([ $seen ], [ "$seen:ended" ], [ $seen, "$seen:ended" ]) {
        my $lock = lock_sql();
        my %before = map { $_ => stored($_) } qw(ada ben);

        was_seen($_, @$keys) for qw(ada ben);

        # who has ended is read first, and found empty without effect
        my $reads = reads() + ("@$keys" eq $seen ? 3 : 1);
        ok(wait_for(sub { reads() >= $reads }), "@$keys: it has read");
        $t->stop('upstream', 'KILL');
        unlock_sql($lock);

        is(stored($_), $before{$_}, 'killed before the commit') for qw(ada ben);
        is(waiting(), 2 * @$keys, 'Redis still has it');

        $t->start_upstream('--last-seen', 1);
        ok(stored_soon($_, $last{$_}), 'and then it is stored')
            for qw(ada ben);
        ok(wait_for(sub { !waiting() }), 'as if nothing had been');
    }
}


sub killed_behind_commit {
    for my $key ($seen, "$seen:ended") {
        was_seen($_, $key) for qw(ada ben);
        $t->redis('CLIENT', 'PAUSE', 60_000, 'WRITE');
        ok(stored_soon($_, $last{$_}), "$key: stored") for qw(ada ben);
        $t->stop('upstream', 'KILL');
        $t->redis('CLIENT', 'UNPAUSE');
        is(waiting(), 2, 'row 4.6: killed before it said so');

        my $ms = was_seen('ben', $key);
        $t->start_upstream('--last-seen', 1);
        ok(wait_for(sub { !waiting() }), 'it is done again');
        is(stored('ada'), $last{ada}, 'to no effect');
        is(stored('ben'), $ms, 'but for what is new');
    }
}


sub killed_anywhere {
    srand 7;

    for (1 .. 12) {
        for my $user (sort keys %last) {
            was_seen($user, (rand) < 0.5 ? $seen : "$seen:ended");
        }

        sleep rand 1.3;
        $t->stop('upstream', 'KILL');
        $t->start_upstream('--last-seen', 1);
    }

    ok(stored_soon($_, $last{$_}), "$_: twelve kills and nothing is lost")
        for sort keys %last;
    ok(wait_for(sub { !waiting() }), 'nothing is left');
}


sub many {
    sql("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        . "WHERE i < 2500) INSERT INTO users (id, display_name) "
        . "SELECT 'u' || i, 'U' FROM n");

    my @all = map { ($base + $_, "u$_") } 1 .. 2600;

    $t->redis('ZADD', $seen, @all);
    $t->redis('ZADD', $seen, 1, 'no user', 2.5, 'ada');

    ok(wait_for(sub { waiting() == 2 }), 'many users');
    is(sql("SELECT count(*) FROM last_seen WHERE user_id LIKE 'u%'"), 2500,
       'each that there is');
    is(sql("SELECT ms FROM last_seen WHERE user_id = 'u2500'"), $base + 2500,
       'with its own time');
    is(stored('ada'), $last{ada}, 'what is no time or user is not stored');
    ok(stored_soon(ben => was_seen('ben')), 'and holds up nobody');
    $t->redis('DEL', $seen);
}


sub stopped {
    upstream('--last-seen', 3600);
    was_seen('ben');
    was_seen('cleo', $seen, "$seen:ended");
    $t->stop('upstream');
    is(stored($_), $last{$_}, 'TERM stores what there is') for qw(ben cleo);
    is(waiting(), 0, 'all of it');
}


sub redis_away {
    my $waits = sub {
        return scalar(() = $t->read_file('upstream.log')
                           =~ /the last seen waits: /g);
    };

    upstream('--last-seen', 1);
    my $before = $waits->();
    $t->stop_redis;
    ok(wait_for(sub { $waits->() > $before }), 'Redis is away');
    $t->start_redis;
    ok(stored_soon(ben => was_seen('ben')), 'when it is back, it goes on');
    is($waits->(), $before + 1, 'one line of the log is enough');

    $t->redis('FUNCTION', 'FLUSH');
    my $ms = was_seen('ben');
    ok(stored_soon(ben => $ms), 'without the functions it is stored');
    is($t->redis('ZSCORE', $seen, 'ben'), $ms, 'and stays in Redis');
    $t->redis('FUNCTION', 'LOAD', $t->library);
    ok(wait_for(sub { !waiting() }), 'until they are there');
}


sub prefix {
    upstream('--last-seen', 1, '--prefix', 'app1:');
    was_seen('ben', 'delta:app1:last_seen');
    was_seen('dan', 'delta:app1:last_seen:ended');
    ok(stored_soon($_, $last{$_}), 'a prefix has keys of its own')
        for qw(ben dan);
}


sub options {
    $t->stop('upstream');

    for my $bad ('x', '-1', '', '86401', '1.5') {
        my $text = `$Delta::BUILD/delta-upstream --listen 127.0.0.1:0 \\
            --db $t->{dir}/upstream.db --last-seen '$bad' 2>&1`;
        is($? >> 8, 1, "--last-seen '$bad'");
        like($text, qr/--last-seen .*: a number up to 86400 is due/, 'why');
    }
}
