#!/usr/bin/perl

# Copyright (C) Delta contributors

# The reference upstream: REST, and its outbox that reaches Redis once, in
# order, whatever is killed in between.

use Delta;

use Digest::SHA qw(hmac_sha256);
use MIME::Base64 qw(decode_base64url encode_base64url);
use Time::HiRes qw(sleep);

my $t = Delta->new;

$t->start_redis('--appendonly', 'yes');
load_library();

my $port = $t->start_upstream;
my $id = qr/^\d+-\d+$/;

ok(wait_for(sub { $t->redis('SCARD', 'user:cleo:guilds') }),
   'the seeds reach Redis');

is_deeply({ map { $_ => join ',', members_of($_) }
            map { ("user:$_:follows", "user:$_:guilds") }
            qw(ada ben cleo dan) },
          { 'user:ada:follows' => '', 'user:ada:guilds' => 'g1',
            'user:ben:follows' => 'ada', 'user:ben:guilds' => 'g1',
            'user:cleo:follows' => 'ada', 'user:cleo:guilds' => 'g1',
            'user:dan:follows' => '', 'user:dan:guilds' => '' },
          'ben and cleo follow ada, and are in g1 with her');
is($t->redis('TTL', 'user:ben:follows'), -1, 'the sets stay');

login();
errors();
users();
follows();
guilds();
members();
order();
stalled();
missing_function();
restarts();
published_before_crash();
killed_under_load();
dead_letters();
lost_sets();
prefix();
command_line();

is_deeply([ map { members_of("user:ben:$_") } qw(spaces channels) ], [],
          'no other sets were touched');

done_testing();


# All but the mark of a set that is whole.

sub members_of {
    my ($key) = @_;

    return sort grep { $_ ne '(whole)' } @{ $t->redis('SMEMBERS', $key) };
}


sub login {
    my $r = call(undef, POST => '/api/login', { user => 'ben' });
    my ($head, $claims, $mac) = split /\./, $r->{json}{token};

    is($r->{status}, 200, 'login');
    is_deeply([ @{ $r->{json} }{qw(user expires_in)} ], [ 'ben', 3600 ],
              'its user and life');
    is($mac, encode_base64url(hmac_sha256("$head.$claims", $t->{key}), ''),
       'the token is signed with the key');
    is_deeply(json_decode(decode_base64url($head)),
              { alg => 'HS256', typ => 'JWT', kid => 'test' }, 'its header');

    $claims = json_decode(decode_base64url($claims));
    is($claims->{sub}, 'ben', 'its subject');
    is($claims->{exp} - $claims->{iat}, 3600, 'its expiry');
}


sub errors {
    my @cases = (
        [ undef, GET => '/', undef, 404, 'not_found' ],
        [ undef, GET => '/api/users/', undef, 404, 'not_found' ],
        [ 'ada', GET => '/api/users/me/', undef, 404, 'not_found' ],
        [ undef, GET => '/api/users/nobody', undef, 404, 'not_found' ],
        [ undef, GET => '/api/users/ada%3Ainbox', undef, 404, 'not_found' ],
        [ undef, GET => '/api/users/ada%2Ffollow', undef, 404, 'not_found' ],
        [ undef, GET => '/api/users/ada%00', undef, 404, 'not_found' ],
        [ undef, GET => '/api/users/%', undef, 404, 'not_found' ],
        [ undef, GET => '/api/users/' . 'x' x 129, undef, 404, 'not_found' ],
        [ undef, POST => '/api/login', { user => 'eve' }, 404, 'not_found' ],
        [ undef, POST => '/api/login', { user => 1 }, 400, 'bad_field' ],
        [ undef, POST => '/api/login', {}, 400, 'bad_field' ],
        [ undef, POST => '/api/login', 'x', 400, 'bad_json' ],
        [ undef, GET => '/api/users/me', undef, 401, 'unauthorized' ],
        [ '', GET => '/api/users/me', undef, 401, 'unauthorized' ],
        [ 'eve', GET => '/api/users/me', undef, 401, 'unauthorized' ],
        [ 'a:b', GET => '/api/users/me', undef, 401, 'unauthorized' ],
        [ undef, PATCH => '/api/users/me', {}, 401, 'unauthorized' ],
        [ undef, GET => '/api/guilds/g1', undef, 401, 'unauthorized' ],
        [ undef, GET => '/api/guilds/g1/members', undef, 401,
          'unauthorized' ],
        [ 'ada', PATCH => '/api/users/me', '', 400, 'bad_json' ],
        [ 'ada', PATCH => '/api/users/me', '{"bio":"a"', 400, 'bad_json' ],
        [ 'ada', PATCH => '/api/users/me', '{"bio":"a","bio":"b"}', 400,
          'bad_json' ],
        [ 'ada', PATCH => '/api/users/me', "{\"bio\":\"\xff\"}", 400,
          'bad_json' ],
        [ 'ada', PATCH => '/api/users/me', '{"bio":"\u0000"}', 400,
          'bad_json' ],
        [ 'ada', PATCH => '/api/users/me', [], 400, 'bad_json' ],
        [ 'ada', PATCH => '/api/users/me', '[' x 60000, 400, 'bad_json' ],
        [ 'ada', PATCH => '/api/users/me', { id => 'x' }, 400,
          'unknown_field' ],
        [ 'ada', PATCH => '/api/users/me', { bio => 'a', x => 1 }, 400,
          'unknown_field' ],
        [ 'ada', PATCH => '/api/users/me', { bio => 1 }, 400, 'bad_field' ],
        [ 'ada', PATCH => '/api/users/me', { bio => {} }, 400, 'bad_field' ],
        [ 'ada', PATCH => '/api/users/me', { bio => 'x' x 4097 }, 400,
          'bad_field' ],
        [ 'ada', PATCH => '/api/users/me', { display_name => undef }, 400,
          'bad_field' ],
        [ 'ada', PATCH => '/api/users/me', { display_name => '' }, 400,
          'bad_field' ],
        [ 'ada', PATCH => '/api/users/me', 'x' x 65537, 413, 'too_large' ],
        [ 'ada', PUT => '/api/users/me/follows/ada', undef, 400,
          'bad_request' ],
        [ 'ada', PUT => '/api/users/me/follows/eve', undef, 404,
          'not_found' ],
        [ 'ben', PUT => '/api/users/me/follows/ada', undef, 409,
          'conflict' ],
        [ 'dan', DELETE => '/api/users/me/follows/ada', undef, 404,
          'not_found' ],
        [ 'ada', POST => '/api/guilds', {}, 400, 'bad_field' ],
        [ 'ada', GET => '/api/guilds/g9', undef, 404, 'not_found' ],
        [ 'ada', PATCH => '/api/guilds/g9', {}, 404, 'not_found' ],
        [ 'ben', PATCH => '/api/guilds/g1', { name => 'x' }, 403,
          'forbidden' ],
        [ 'ada', PATCH => '/api/guilds/g1', { owner_id => 'x' }, 400,
          'unknown_field' ],
        [ 'ben', POST => '/api/guilds/g1/join', undef, 409, 'conflict' ],
        [ 'ben', POST => '/api/guilds/g9/join', undef, 404, 'not_found' ],
        [ 'dan', GET => '/api/guilds/g1/members', undef, 403, 'forbidden' ],
        [ 'ben', PATCH => '/api/guilds/g1/members/cleo', {}, 403,
          'forbidden' ],
        [ 'dan', PATCH => '/api/guilds/g1/members/me', {}, 404,
          'not_found' ],
        [ 'ada', PATCH => '/api/guilds/g1/members/dan', {}, 404,
          'not_found' ],
        [ 'ada', PATCH => '/api/guilds/g1/members/ben', { nick => 1 }, 400,
          'bad_field' ],
        [ 'ada', PATCH => '/api/guilds/g1/members/ben', { role => 'x' }, 400,
          'bad_field' ],
        [ 'ada', PATCH => '/api/guilds/g1/members/ben', { x => 'x' }, 400,
          'unknown_field' ],
        [ 'ben', POST => '/api/guilds/g1/members/cleo/kick', undef, 403,
          'forbidden' ],
        [ 'ada', POST => '/api/guilds/g1/members/dan/kick', undef, 404,
          'not_found' ],
        [ 'ada', POST => '/api/guilds/g1/members/ada/kick', undef, 409,
          'conflict' ],
        [ 'ada', DELETE => '/api/guilds/g1/members/me', undef, 409,
          'conflict' ],
        [ 'dan', DELETE => '/api/guilds/g1/members/me', undef, 404,
          'not_found' ],
    );

    for my $case (@cases) {
        my ($user, $method, $path, $body, $status, $code) = @$case;

        my $r = call($user, $method, $path, $body);
        my $name = substr "$method $path", 0, 50;
        my $text = ref $body ? json_encode($body) : $body // '';
        $text = substr($text, 0, 30) =~ s/[^ -~]/?/gr;

        is("$r->{status} " . ($r->{json}{error}{code} // $r->{body}),
           "$status $code", "$name $text as " . ($user // 'nobody'));
    }

    for my $case ([ POST => '/api/users/me', 'GET, HEAD, PATCH' ],
                  [ GET => '/api/login', 'POST' ],
                  [ GET => '/api/users/me/follows/ada', 'PUT, DELETE' ],
                  [ PUT => '/api/guilds/g1', 'GET, HEAD, PATCH' ],
                  [ PUT => '/healthz', 'GET, HEAD' ],
                  [ OPTIONS => '/api/guilds', 'POST' ])
    {
        my ($method, $path, $allow) = @$case;
        my $r = call('ada', $method, $path);

        is("$r->{status} " . ($r->header('Allow') // ''), "405 $allow",
           "$method $path");
    }

    is(health()->{outbox}, 0, 'no error left a row');
    is($t->redis('EXISTS', 'delta:{user:ada}', 'delta:{guild:g1}'), 0,
       'or an event');
}


sub users {
    my $live = Delta::Redis->new($t->{redis_port})->subscribe('user:ada');

    my $r = call('ada', PATCH => '/api/users/me',
                 { avatar_url => 'new.png' });

    is_deeply([ $r->{status}, $r->{json} ],
              [ 200, { id => 'ada', display_name => 'Ada',
                       avatar_url => 'new.png' } ],
              'PATCH answers the whole user');

    my $cursor = $r->header('Delta-Cursor');
    my $event = { t => 'patch', d => { entity_type => 'user',
        entity_id => 'ada', diff => { avatar_url => 'new.png' } } };

    like($cursor, $id, 'with the position of its event');
    is_deeply(log_of('user:ada'), [ [ $cursor, $event ] ],
              'which holds the difference only');

    my ($got, $before, $text) = split / /, $live->read->[2], 3;
    is_deeply([ $got, $before, json_decode($text) ],
              [ $cursor, '0-0', $event ], 'and is published');

    $r = call('ada', PATCH => '/api/users/me', { avatar_url => 'new.png' });
    is($r->{status}, 200, 'the same again');
    is($r->header('Delta-Cursor'), undef, 'is no event');

    call('ada', PATCH => '/api/users/me', {});
    call('ada', PATCH => '/api/users/me', { bio => undef });
    is(scalar @{ log_of('user:ada') }, 1, 'nor are changes to nothing');

    $r = call('ada', PATCH => '/api/users/me',
              { bio => "\x{e4}\x{1f600}\n", avatar_url => undef,
                display_name => 'Ada' });
    is_deeply(log_of('user:ada')->[-1][1]{d}{diff},
              { bio => "\x{e4}\x{1f600}\n", avatar_url => undef },
              'a removed field is null in the difference');
    is_deeply($r->{json}, { id => 'ada', display_name => 'Ada',
                            bio => "\x{e4}\x{1f600}\n" }, 'and then absent');

    is_deeply(call('ada', GET => '/api/users/me')->{json}, $r->{json},
              'GET me');
    is_deeply(call(undef, GET => '/api/users/ada')->{json}, $r->{json},
              'GET by id');
    is_deeply(call(undef, GET => '/api/users/%61d%61')->{json}, $r->{json},
              'GET by its percent-encoded id');
    is(call(undef, HEAD => '/api/users/ada')->{status}, 200, 'HEAD');
}


sub follows {
    my $gen = $t->redis('GET', 'delta:gen:dan');

    my $r = call('dan', PUT => '/api/users/me/follows/ada');

    is($r->{status}, 200, 'dan follows ada');
    is($t->redis('SISMEMBER', 'user:dan:follows', 'ada'), 1, 'in the set');
    is($t->redis('GET', 'delta:gen:dan'), $gen + 1, 'with a new generation');
    is_deeply([ map { $_->[1] } @{ log_of('user:dan:control') }[-2, -1] ],
              [ map { { t => 'grant', d => { channel => "$_:ada" } } }
                qw(user presence) ], 'and granted to his sessions');
    is($r->header('Delta-Cursor'), log_of('user:dan:control')->[-1][0],
       'before the answer');
    is(call('dan', PUT => '/api/users/me/follows/ada')->{status}, 409,
       'once');

    $r = call('dan', DELETE => '/api/users/me/follows/ada');

    is($r->{status}, 204, 'dan has enough');
    is_deeply([ members_of('user:dan:follows') ], [], 'the set is empty');
    is($t->redis('GET', 'delta:gen:dan'), $gen + 2, 'and newer');
    is_deeply([ map { $_->[1] } @{ log_of('user:dan:control') }[-2, -1] ],
              [ map { { t => 'revoke', d => { channel => "$_:ada" } } }
                qw(user presence) ], 'and his sessions are told');

    is(call('dan', POST => '/api/users/ben/follow')->{status}, 200,
       'the other path');
    is(call('dan', DELETE => '/api/users/ben/follow')->{status}, 204,
       'and back');
}


sub guilds {
    my $r = call('dan', POST => '/api/guilds', { name => 'Two' });

    is_deeply([ $r->{status}, $r->header('Location'), $r->{json} ],
              [ 201, '/api/guilds/g2',
                { id => 'g2', owner_id => 'dan', name => 'Two',
                  visibility => 'public' } ],
              'a new guild');
    is($t->redis('SISMEMBER', 'user:dan:guilds', 'g2'), 1, 'dan is in it');
    is_deeply(log_of('user:dan:control')->[-1][1],
              { t => 'grant', d => { channel => 'guild:g2' } },
              'and hears of it');

    $r = call('dan', PATCH => '/api/guilds/g2', { icon_url => 'i.png' });

    is_deeply(log_of('guild:g2'),
              [ [ $r->header('Delta-Cursor'),
                  { t => 'patch', d => { entity_type => 'guild',
                    entity_id => 'g2', diff => { icon_url => 'i.png' } } } ] ],
              'a patch of a guild goes to the guild');
    is_deeply(call('ada', GET => '/api/guilds/g2')->{json}, $r->{json},
              'and is there');
}


sub members {
    my $r = call('ben', PATCH => '/api/guilds/g1/members/me',
                 { nick => 'B' });

    is_deeply($r->{json}, { guild_id => 'g1', user_id => 'ben',
                            role => 'member', nick => 'B' }, 'a nick');
    is_deeply(log_of('guild:g1')->[-1],
              [ $r->header('Delta-Cursor'),
                { t => 'patch', d => { entity_type => 'member',
                  entity_id => 'g1/ben', guild_id => 'g1', user_id => 'ben',
                  diff => { nick => 'B' } } } ],
              'a patch of a member goes to the guild');

    is(call('ada', PATCH => '/api/guilds/g1/members/ben',
            { nick => 'Benny' })->{status}, 200, 'the owner may, too');

    is(call('dan', POST => '/api/guilds/g1/join')->{status}, 200,
       'dan joins');
    is($t->redis('SISMEMBER', 'user:dan:guilds', 'g1'), 1, 'in the set');
    is_deeply(log_of('guild:g1')->[-1][1],
              { t => 'workspace_member_add',
                d => { guild_id => 'g1', user_id => 'dan' } },
              'the guild hears of it');

    $r = call('dan', GET => '/api/guilds/g1/members');
    is_deeply([ map { "$_->{user_id} $_->{role}" } @{ $r->{json}{members} } ],
              [ 'ada owner', 'ben member', 'cleo member', 'dan member' ],
              'the members');

    my $gone = call('ada', POST => '/api/guilds/g1/members/dan/kick');

    is($gone->{status}, 204, 'dan is kicked');
    is($t->redis('SISMEMBER', 'user:dan:guilds', 'g1'), 0, 'from the set');
    is_deeply(log_of('user:dan:control')->[-1][1],
              { t => 'revoke', d => { channel => 'guild:g1' } },
              'from his sessions');
    is_deeply(log_of('guild:g1')->[-1],
              [ $gone->header('Delta-Cursor'),
                { t => 'workspace_member_remove',
                  d => { guild_id => 'g1', user_id => 'dan' } } ],
              'and the guild hears of it');
    my ($told, $revoked) = map { log_of($_)->[-1][0] =~ /^(\d+)/ }
        'guild:g1', 'user:dan:control';
    ok($told >= $revoked, 'not before it was revoked');

    is(call('ben', DELETE => '/api/guilds/g1/members/me')->{status}, 204,
       'ben leaves');
    is($t->redis('SISMEMBER', 'user:ben:guilds', 'g1'), 0, 'for good');
}


# Fast mutations keep their order, on each channel and in the chain.

sub order {
    my $from = @{ log_of('user:cleo') };

    patch_bio('cleo', $_) for 1 .. 60;

    is_deeply(bios('cleo', $from), [ 1 .. 60 ], '60 changes in their order');
    chained('user:cleo');
}


# Redis hangs: nobody waits for it for long, and it comes once.

sub stalled {
    my $from = @{ log_of('user:ben') };

    $t->stop('upstream');
    $t->start_upstream('--wait', 200);
    kill 'STOP', $t->pid('redis');

    my $r = patch_bio('ben', 'stalled');

    kill 'CONT', $t->pid('redis');

    is($r->{status}, 200, 'Redis hangs, the mutation does not');
    is($r->header('Delta-Cursor'), undef, 'there is no position yet');

    ok(wait_for(sub { @{ log_of('user:ben') } > $from }), 'then it comes');
    patch_until_cursor('ben', 'after');
    is_deeply(bios('ben', $from), [ 'stalled', 'after' ], 'once');
}


sub missing_function {
    my $from = @{ log_of('user:ben') };

    $t->redis('FUNCTION', 'FLUSH');
    patch_bio('ben', "flushed $_") for 1 .. 3;

    is(health()->{outbox}, 3, 'without the library the outbox waits');
    is(health()->{dead_letters}, 0, 'and nothing is given up');

    load_library();
    settled('when it is back, the outbox empties');
    is_deeply(bios('ben', $from), [ map { "flushed $_" } 1 .. 3 ],
              'in order, once');
}


sub restarts {
    my $from = @{ log_of('user:ben') };

    patch_until_cursor('ben', 'before');
    $t->stop_redis;

    my $r = patch_bio('ben', 'down 1');

    is($r->{status}, 200, 'Redis is gone, the mutation stands');
    is($r->header('Delta-Cursor'), undef, 'without a position');

    patch_bio('ben', "down $_") for 2 .. 5;
    is(health()->{redis}, JSON::PP::false, 'which /healthz says');
    call('dan', PUT => '/api/users/me/follows/cleo');

    $t->stop('upstream', 'KILL');
    $t->start_upstream('--wait', 200);
    patch_bio('ben', 'down 6');

    $t->start_redis;
    settled('both are back, and the outbox empties');

    is_deeply(bios('ben', $from), [ 'before', map { "down $_" } 1 .. 6 ],
              'each change once, in order');
    is($t->redis('SISMEMBER', 'user:dan:follows', 'cleo'), 1,
       'the set has changed');
    chained('user:ben');
}


# The relay published, and was killed before it could note that.

sub published_before_crash {
    my $from = @{ log_of('user:ben') };
    patch_until_cursor('ben', 'first');
    my %marks = @{ $t->redis('HGETALL', 'delta:{user:ben}:once') };
    my ($source) = grep { $_ ne '' } keys %marks;
    my $mark = $marks{$source};
    my ($row) = $mark =~ /^(\d+) /;

    $t->redis('FUNCTION', 'FLUSH');
    patch_bio('ben', 'twice?');
    is(health()->{outbox}, 1, 'a row is waiting');
    $t->stop('upstream', 'KILL');

    load_library();
    $t->publish('user:ben', { t => 'patch', d => { entity_type => 'user',
        entity_id => 'ben', diff => { bio => 'twice?' } } },
        $source . '/' . ($row + 1));

    $t->start_upstream;
    settled('it is carried again');
    patch_until_cursor('ben', 'next');
    is_deeply(bios('ben', $from), [ 'first', 'twice?', 'next' ],
              'and published once');
}


# Killed at any moment: what was answered is there, once and in order.

sub killed_under_load {
    my $from = @{ log_of('user:cleo') };
    my (@answered, $n);

    for my $round (1 .. 6) {
        my $pid = fork // die "fork: $!";

        if ($pid == 0) {
            sleep 0.02 * $round * $Delta::SLOW;
            kill 'KILL', $t->pid('upstream');
            POSIX::_exit(0);
        }

        while (1) {
            my $r = eval { patch_bio('cleo', ++$n) };
            last if !$r || !$r->{status};
            push @answered, $n if $r->{status} == 200;
        }

        waitpid $pid, 0;
        $t->stop('upstream', 'KILL');
        $t->start_upstream;
    }

    settled('after six kills the outbox empties');

    my $bios = bios('cleo', $from);
    my %seen;
    $seen{$_}++ for @$bios;

    ok(@answered > 6, @answered . ' changes were answered');
    is_deeply([ grep { !$seen{$_} } @answered ], [], 'none of them is lost');
    is_deeply([ grep { $seen{$_} > 1 } keys %seen ], [], 'nothing came twice');
    is_deeply($bios, [ sort { $a <=> $b } @$bios ], 'all came in order');
    chained('user:cleo');
}


sub dead_letters {
    my $live = Delta::Redis->new($t->{redis_port})->subscribe('user:ben');

    $t->redis('RENAME', 'delta:{user:ben}', 'saved');
    $t->redis('SET', 'delta:{user:ben}', 'of another type');

    my $r = patch_bio('ben', 'dead');
    is($r->{status}, 200, 'what Redis never takes');
    is($r->header('Delta-Cursor'), undef, 'has no position');

    is_deeply(json_decode($live->read->[2]),
              { t => 'resync', d => { reason => 'dead_letter' } },
              'the channel is told to read again');
    ok(wait_for(sub { health()->{dead_letters} == 1 }), 'it is counted');
    ok(wait_for(sub { health()->{outbox} == 0 }), 'and blocks nothing');
    like(patch_bio('cleo', 'alive')->header('Delta-Cursor'), $id,
         'other channels go on');

    $t->redis('DEL', 'delta:{user:ben}');
    $t->redis('RENAME', 'saved', 'delta:{user:ben}');
    like(patch_bio('ben', 'healed')->header('Delta-Cursor'), $id,
         'so does this one, when it is well again');

    $t->redis('SET', 'user:dan:guilds', 'of another type');
    call('dan', POST => '/api/guilds/g1/join');
    is(health()->{dead_letters}, 2, 'a set of another type is one, too');

    $t->redis('DEL', 'user:dan:guilds');
}


# Redis came back empty, or with an older dump.

sub lost_sets {
    $t->redis('DEL', 'user:ben:follows', 'user:cleo:guilds');
    my $marker = $t->redis('KEYS', 'delta:upstream:*')->[0];
    my $value = $t->redis('GET', $marker);

    $t->redis('SET', $marker, $value - 1);
    $t->redis('SADD', 'user:ben:follows', 'dan');

    ok(wait_for(sub { $t->redis('GET', $marker) eq $value }),
       'an older Redis is noticed');
    is_deeply([ members_of('user:ben:follows') ], [ 'ada' ],
              'its sets are written again');
    is_deeply(log_of('user:ben:control')->[-1][1],
              { t => 'membership_changed', d => {} },
              'and the sessions shall read them');

    $t->redis('FLUSHALL');

    ok(wait_for(sub { $t->redis('EXISTS', $marker) }),
       'so is an empty one');
    is_deeply([ members_of('user:dan:guilds') ],
              [ 'g1', 'g2' ], 'which heals dead letters of sets as well');
}


sub prefix {
    $t->stop('upstream');
    $t->start_upstream('--prefix', 'app1:');

    patch_until_cursor('ben', 'prefixed');
    is_deeply([ map { $_->[1]{d}{diff}{bio} } @{ log_of('app1:user:ben') } ],
              [ 'prefixed' ], 'a prefix is part of the channel');
    is($t->redis('EXISTS', 'app1:user:ben:follows'), 0,
       'but not of the sets');
}


sub command_line {
    my $db = $t->file('other.db');
    my $listen = "127.0.0.1:$port";
    my $free = '127.0.0.1:' . Delta::Process::free_port();

    $t->file('rsa.json', '{"keys":[{"kty":"RSA"}]}');
    $t->file('short.json', '{"keys":[{"kty":"oct","k":"!"}]}');
    $t->file('junk.db', 'not a database, but long enough to look at' x 40);

    for my $case (
        [ 2, 'usage', ],
        [ 2, 'usage', '--db', $db, '--nothing' ],
        [ 2, 'usage', '--db', $db, 'more' ],
        [ 1, 'redis://', '--db', $db, '--redis', 'http://h' ],
        [ 1, 'prefix', '--db', $db, '--prefix', 'x' ],
        [ 1, 'in use', '--db', $db, '--listen', $listen ],
        [ 1, 'ADDRESS:PORT', '--db', $db, '--listen', ':1' ],
        [ 1, 'cannot use the database', '--db', $t->dir . '/no/x.db' ],
        [ 1, 'cannot use the database', '--db', $t->dir . '/junk.db' ],
        [ 1, 'no oct key', '--db', $db, '--jwks', $t->dir . '/rsa.json' ],
        [ 1, 'base64url', '--db', $db, '--jwks', $t->dir . '/short.json' ],
        [ 1, 'cannot use the keys', '--db', $db, '--jwks', '/nonexistent' ])
    {
        my ($status, $text, @args) = @$case;

        push @args, '--listen', $free unless grep { $_ eq '--listen' } @args;

        my ($got, $output) = run(@args);

        is($got, $status, "exit $status: @args[0 .. $#args]");
        like($output, qr/\Q$text\E/, "it says: $text");
    }

    like((run('--help'))[1], qr/--listen.*DELTA_LISTEN/, '--help');
}


# Helpers.

sub call {
    my ($user, $method, $path, $body) = @_;

    my @headers = defined $user ? ('X-User', $user) : ();
    my @body = ref $body ? (json => $body)
               : defined $body ? (body => $body) : ();

    return $t->http($method, $path, port => $port, headers => \@headers,
                    @body) || { status => 0 };
}


sub health {
    return call(undef, GET => '/healthz')->{json};
}


sub patch_bio {
    my ($user, $bio) = @_;

    return call($user, PATCH => '/api/users/me', { bio => "$bio" });
}


# For a start after Redis was away: the relay may be in its backoff.

sub patch_until_cursor {
    my ($user, $bio) = @_;

    settled("the outbox is empty before '$bio'");

    return patch_bio($user, $bio);
}


sub settled {
    my ($name) = @_;

    ok(wait_for(sub { my $h = health(); $h->{redis} && $h->{outbox} == 0 }),
       $name);
}


sub bios {
    my ($user, $from) = @_;

    my @log = @{ log_of("user:$user") };

    return [ map { $_->[1]{d}{diff}{bio} } @log[ $from .. $#log ] ];
}


# [ id, event ] for each entry of a channel's log.

sub log_of {
    my ($channel) = @_;

    return [ map { my ($id, $fields) = @$_; [ $id, json_decode($fields->[3]) ] }
             @{ $t->redis('XRANGE', "delta:{$channel}", '-', '+') } ];
}


sub chained {
    my ($channel) = @_;

    my $before = '0-0';
    my $broken = 0;

    for (@{ $t->redis('XRANGE', "delta:{$channel}", '-', '+') }) {
        $broken++ if $_->[1][1] ne $before;
        $before = $_->[0];
    }

    is($broken, 0, "the chain of $channel is whole");
}


sub load_library {
    $t->redis('FUNCTION', 'LOAD', 'REPLACE', $t->library);
}


sub run {
    my (@args) = @_;

    my $pid = open(my $out, '-|') // die "fork: $!";

    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        { exec $t->sanitizer_env, "$Delta::BUILD/delta-upstream", @args }
        POSIX::_exit(127);
    }

    my $output = do { local $/; <$out> } // '';
    close $out;

    return ($? >> 8, $output);
}
