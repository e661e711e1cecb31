package Delta::Browser;

# Copyright (C) Delta contributors

# The whole of Delta, by conf/nginx.conf as make run has it, and Chromium before
# it, driven by playwright-core, which npm puts into build/browser once.

use strict;
use warnings;

use Fcntl qw(LOCK_EX);
use File::Path qw(make_path);
use Test::More ();

use Delta;
use Delta::Node qw(relay);
use Delta::Process qw(wait_for);
use Exporter qw(import);

our @EXPORT_OK = qw(browse);

my $playwright = '1.58.2';
my $dir = "$Delta::TOP/build/browser";


# Runs t/browser/$name.test.js, or says in one line why it cannot.

sub browse {
    my ($name, $seconds) = @_;

    my ($chromium) = grep { -x } map { "/usr/bin/$_" }
        qw(chromium chromium-browser);

    my $why = !$chromium ? 'Chromium is needed (package chromium)'
        : (`node --version 2>&1` // '') !~ /^v(?:1[89]|[2-9]\d)/
            ? 'node 18 or newer is needed (package nodejs)'
        : prepare();

    Test::More::plan(skip_all => $why) if $why;

    my $t = Delta->new;
    system('cp', '-rL', "$Delta::TOP/src/client", $t->file('client')) == 0
        or die 'cannot copy the client';
    system('cp', "$Delta::TOP/t/browser/lib/worker.js",
           $t->file('client/demo/worker.js')) == 0
        or die 'cannot copy the worker';
    system('cp', "$Delta::TOP/conf/events.json", $t->file('events.json')) == 0
        or die 'cannot copy the contract';
    make_path("$Delta::TOP/build/screenshots");

    $t->start_redis;
    $t->start_nginx(conf(), workers => 2);
    $t->start_upstream('--world', 'default', '--npcs', 20);

    my $ready = wait_for(sub {
        my $answer = $t->http(POST => '/api/login', json => { user => 'ada' });
        return $answer->{status} == 200;
    }, 10);

    Test::More::ok($ready, 'one can log in');
    relay("$Delta::TOP/t/browser/$name.test.js", $seconds,
        DELTA_URL => 'http://127.0.0.1:' . $t->port,
        DELTA_NGINX => $t->pid('nginx'),
        DELTA_SLOW => $Delta::SLOW,
        DELTA_PRESENCE => conf() =~ /^\s*delta_presence\s/m ? 1 : '',
        DELTA_CHROMIUM => $chromium,
        DELTA_PLAYWRIGHT => $dir,
        DELTA_SCREENSHOTS => "$Delta::TOP/build/screenshots");

    return $t;
}


# The conf as it is, with our addresses; WebSocket is refused to whoever has a
# cookie that says so.

sub conf {
    open my $fh, '<', "$Delta::TOP/conf/nginx.conf" or die "conf: $!";
    my $conf = do { local $/; <$fh> };

    $conf =~ s/^(?:load_module|worker_processes|pid|error_log)\s[^;]*;//mg;
    $conf =~ s/^\s*(?:access_log|\w+_temp_path)\s[^;]*;//mg;
    $conf =~ s/127\.0\.0\.1:8080/127.0.0.1:%%PORT%%/g;
    $conf =~ s/127\.0\.0\.1:8081/%%UPSTREAM%%/g;
    $conf =~ s/redis:\/\/127\.0\.0\.1:6379/%%REDIS%%/g;
    $conf =~ s/http\ \{\n/http {\n    %%HTTP%%
    map "\$http_upgrade \$cookie_websocket" \$blocked {
        "websocket blocked"  1;
        default              0;
    }\n/x;
    $conf =~ s/(location\ =\ \/gateway\ \{[^\n]*\n)/$1
            if (\$blocked) { return 502; }\n/x;

    return "%%GLOBALS%%\n$conf";
}


# Once, whoever comes first; undef, or why not.

sub prepare {
    my $core = "$dir/node_modules/playwright-core/package.json";

    make_path($dir);
    open my $lock, '>', "$dir/.lock" or return "cannot write to $dir";
    flock $lock, LOCK_EX;

    return if -e $core && `cat "$core"` =~ /"version": "\Q$playwright\E"/;

    system("npm install --prefix '$dir' --no-save --no-audit --no-fund "
           . "playwright-core\@$playwright > '$dir/npm.log' 2>&1") == 0
        or return "npm could not fetch playwright-core, see $dir/npm.log";

    return;
}


1;
