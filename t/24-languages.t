#!/usr/bin/perl

# Copyright (C) Delta contributors

# The examples of docs/publishing.md do what they say: each publishes an event
# that is as the contract says, and has its id.  C and Python must be there, for
# the others it is said which package is missing; Go is too large for all.

use Delta;

my $t = Delta->new;

$t->start_redis;

open my $fh, '<:raw', "$Delta::TOP/docs/publishing.md" or die $!;
my $docs = do { local $/; <$fh> };

my ($part) = $docs =~ /^## In six languages\n(.*)/ms;
my %text = $part =~ /^```(\w+)\n(.*?)^```$/msg;

is(join(' ', sort keys %text), 'c go js php python ruby', 'six languages');

$t->start_nginx($t->conf(
    http => "delta_redis %%REDIS%%;
             delta_contracts $Delta::TOP/conf/events.json unknown=drop;",
    server => 'location = /gateway {
            delta_gateway;
            delta_user ben;
            delta_subscribe guild:42;
        }
        location = /publish { delta_publish; }'));

my $ws = $t->ws('/gateway');
is($ws->read_json->{t}, 'ready', 'a session');

mkdir $t->file($_) for qw(go node_modules);
symlink "/usr/share/nodejs/$_", $t->file("node_modules/$_")
    for qw(redis @redis);

my @library = (glob("$Delta::TOP/src/publisher/delta_publish*.c"),
               "$Delta::TOP/src/core/delta_name.c");

# A language: what its program needs around the example, how to find out
# whether it can run, and how it is run.

example('c', 'publish.c', "#include <stdio.h>\n#include <string.h>\n"
    . "#include \"delta_publish.h\"\nint main(void)\n{\n%s\n"
    . 'puts(rc == DELTA_PUBLISH_OK ? id : delta_publisher_error(p));'
    . "delta_publisher_free(p);\nreturn 0;\n}\n", '', '',
    [ 'sh', '-c', 'cc -o publish "$@" -l:libhiredis.a && ./publish', 'sh',
      map({ "-I$Delta::TOP/src/$_" } qw(core publisher)), '%s', @library ]);

example('python', 'publish.py', "%s\nprint(id)\n", $_, '', [ $_, '%s' ])
    for first('/usr/bin/python3', 'python3');

example('js', 'publish.mjs', "%s\nconsole.log(id)\nawait redis.quit()\n",
    '[ -d /usr/share/nodejs/redis ] && node --version',
    'node-redis', [ qw(env NODE_PATH=/usr/share/nodejs node %s) ]);

example('php', 'publish.php', "<?php\n%s\necho \"\$id\\n\";\n",
    q(php -r 'exit(class_exists("Redis") ? 0 : 1);'), 'php-cli php-redis',
    [ qw(php %s) ]);

example('ruby', 'publish.rb', "%s\nputs id\n", q(ruby -e 'require "redis"'),
    'ruby-redis', [ qw(ruby %s) ]);

example('go', 'publish.go', "package main\nimport (\n\"encoding/json\"\n"
    . "\"fmt\"\n\"github.com/gomodule/redigo/redis\"\n)\nfunc main() {\n%s\n"
    . "if err != nil { panic(err) }\nfmt.Println(id)\n}\n",
    '[ -d /usr/share/gocode/src/github.com/gomodule ] && go version',
    'golang-go golang-github-gomodule-redigo-dev',
    [ 'env', 'GO111MODULE=off', 'GOPATH=/usr/share/gocode', 'GOFLAGS=-p=1',
      'GOCACHE=' . $t->file('go'), qw(go run %s) ]);

curl();

done_testing;


# The Python that has the library, whichever comes first.

sub first {
    my (@candidates) = @_;

    for (@candidates) {
        return $_ if system("$_ -c 'import redis' > /dev/null 2>&1") == 0;
    }

    fail('Python has redis-py: apt-get install python3-redis');

    return;
}


sub example {
    my ($language, $name, $frame, $probe, $packages, $command) = @_;

    SKIP: {
        skip "$language: apt-get install $packages", 3
            if $packages && system("{ $probe; } > /dev/null 2>&1") != 0;

        (my $text = $text{$language}) =~ s/6379/$t->{redis_port}/ or die;
        my $path = $t->file($name, sprintf $frame, $text);
        my $said = run(map { $_ eq '%s' ? $path : $_ } @$command);

        like($said, qr/^\d+-\d+$/, "$language: an id") or next;
        arrives($language, $said);
    }
}


sub arrives {
    my ($language, $id) = @_;

    my $event = $ws->read_json;

    is($event->{id}, $id, "$language: the event has it");
    is_deeply([ @$event{qw(t d)} ],
              [ 'patch', { entity_type => 'guild', entity_id => '42',
                           diff => { name => 'New' } } ],
              "$language: and arrives as it was meant");
}


sub run {
    my (@command) = @_;

    my $pid = open(my $out, '-|') // die "fork: $!";

    if ($pid == 0) {
        chdir $t->dir;
        open STDERR, '>&', \*STDOUT;
        { exec @command }
        POSIX::_exit(127);
    }

    my $said = do { local $/; <$out> } // '';
    close $out;
    chomp $said;

    return $said;
}


sub curl {
    my ($call, $answer) = $docs =~ /^```sh\n(curl .*?)\n(\{.*?)\n```/ms;
    my $port = $t->port;

    $call =~ s/8080/$port/;

    my $said = run('sh', '-c', "exec $call -s");
    my $event = $ws->read_json;

    is($said, qq({"ids":["$event->{id}"]}), 'curl: the id of what arrives');
    is($event->{t}, 'workspace_update', 'which is what was posted');
    $answer =~ s/\d+-\d+/$event->{id}/;
    is($said, $answer, 'and the answer is as in the docs');
}
