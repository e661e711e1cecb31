package Delta;

# Copyright (C) Delta contributors

# A private redis, upstream and nginx on free ports in a temporary directory.
#
#   use Delta;                          # Test::More's functions, too
#
#   my $t = Delta->new;
#   $t->start_redis;
#   $t->start_nginx($t->conf(http => '…', server => '…'), workers => 2);
#   my $ws = $t->ws('/gateway', token => $t->token('ben'));
#   is($ws->read_json->{t}, 'ready');
#   done_testing;
#
# done_testing stops everything and adds the tests that each file must pass:
# no [alert], no [emerg], no crash, no sanitizer report, workers exited 0.
# DELTA_LEAVE=1 keeps the directory and names it.

use strict;
use warnings;

use Cwd qw(abs_path);
use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use POSIX ();
use Scalar::Util ();
use Test::More ();
use Time::HiRes qw(time);

use Delta::Client;
use Delta::Process qw(free_port wait_for);
use Delta::Redis;

our @ISA = ('Delta::Process');

our $TOP = abs_path(dirname(__FILE__) . '/../..');
our $ASAN = $ENV{ASAN} ? 1 : 0;
our $BUILD = $ENV{DELTA_BUILD} || "$TOP/build" . ($ASAN ? '/asan' : '');
our $NGINX = $ENV{NGINX} || '/usr/sbin/nginx';
our $SLOW = $ASAN ? 4 : 1;              # every timeout is that much longer

my $owner = $$;
my @instances;
my $json = JSON::PP->new->canonical->utf8->allow_nonref;


sub import {
    my $caller = caller;

    no strict 'refs';
    no warnings 'redefine';

    for my $name (@Test::More::EXPORT) {
        if ($name =~ /^\$(\w+)/) {
            *{"${caller}::$1"} = \${"Test::More::$1"};
        } else {
            *{"${caller}::$name"} = \&{"Test::More::$name"};
        }
    }

    for my $name (qw(done_testing wait_for jwt json_encode json_decode)) {
        *{"${caller}::$name"} = \&{$name};
    }

    strict->import;
    warnings->import;
}


# Life of an instance.

sub new {
    my ($class, %opt) = @_;

    my $dir = tempdir('delta-XXXXXX', TMPDIR => 1);
    chmod 0755, $dir;

    my $self = bless {
        dir => abs_path($dir),
        procs => {},                    # name => pid
        ports => [],
        clients => [],
        allow => [],
        key => 'a key of more than thirty-two octets, for tests',
        %opt,
    }, $class;

    $self->file('jwks.json', json_encode({ keys => [ {
        kty => 'oct', kid => 'test', alg => 'HS256',
        k => encode_base64url($self->{key}, ''),
    } ] }));

    push @instances, $self;

    return $self;
}


sub done_testing {
    $_->finish for @instances;
    Test::More::done_testing(@_);
}


# Stops everything in good order and tests what must hold for every test.

sub finish {
    my ($self) = @_;

    return if $self->{finished}++;

    $_->disconnect for grep { defined } @{ $self->{clients} };

    my $clean = 1;

    for my $name ($self->nginx_names) {
        $clean &&= $self->stop($name, 'QUIT');
    }

    for my $name (sort keys %{ $self->{procs} }) {
        $clean &&= $self->stop($name);
    }

    Test::More::ok($clean, 'every server ended by itself, with status 0');

    my @bad = $self->bad_lines;
    Test::More::is(scalar @bad, 0, 'no alert, crash or sanitizer report')
        or Test::More::diag(join "\n", @bad > 60 ? @bad[0 .. 59] : @bad);

    $self->explain unless Test::More->builder->is_passing;
    $self->remove;
}


# The same without tests, for what is no test.

sub shutdown {
    my ($self) = @_;

    return if $self->{finished}++;

    $self->stop($_) for $self->nginx_names, sort keys %{ $self->{procs} };
    $self->remove;
}


sub remove {
    my ($self) = @_;

    if ($ENV{DELTA_LEAVE}) {
        Test::More::diag("left: $self->{dir}");
        return;
    }

    remove_tree($self->{dir}, { safe => 0 });
}


END {
    if ($$ == $owner) {
        my $status = $?;

        for my $self (grep { !$_->{finished} } @instances) {
            $self->explain;

            for my $name (sort keys %{ $self->{procs} }) {
                my $group = $self->pid($name);

                eval { $self->stop($name, 'KILL') };
                kill 'KILL', -$group;       # the workers of a killed master
            }

            $self->remove;

            if ($status == 0) {
                Test::More::diag("the test ended without Delta's done_testing");
                $status = 1;
            }
        }

        $? = $status;
    }
}


# The lines of all logs that no test may leave behind, but for those allowed.

sub bad_lines {
    my ($self) = @_;

    my @bad;
    my $follow = 0;                     # lines of a report's stack

    for my $name ('error.log', 'stderr.log', 'upstream.log') {
        for my $line (split /\n/, $self->read_file($name) // '') {
            my $bad = $line =~ /\[(?:alert|emerg)\]|exited\ on\ signal
                               |exited\ with\ code\ [1-9]
                               |Sanitizer|runtime\ error:/x;

            next if $bad && grep { $line =~ $_ } @{ $self->{allow} };

            $follow = 40 if $bad && $line =~ /Sanitizer|runtime error/;
            push @bad, $line
                if $bad || ($follow-- > 0 && $line =~ /^\s+#\d/);
        }
    }

    return @bad;
}


# Lines of the logs that match one of these are expected.

sub allow {
    my ($self, @patterns) = @_;

    push @{ $self->{allow} }, @patterns;
}


sub explain {
    my ($self) = @_;

    my @lines = grep { /\[(?:warn|error|crit|alert|emerg)\]/ }
        split /\n/, $self->log;

    splice @lines, 0, -20 if @lines > 20;
    Test::More::diag(map { "log: $_\n" } @lines) if @lines;

    my $upstream = $self->read_file('upstream.log') // '';
    Test::More::diag('upstream: ' . substr $upstream, -1000) if $upstream;
}


# Files and ports.

sub dir {
    return $_[0]{dir};
}


# The path of a file, written if a content is given.

sub file {
    my ($self, $name, $content) = @_;

    my $path = "$self->{dir}/$name";

    if (defined $content) {
        open my $fh, '>:raw', "$path.new" or die "$path: $!";
        print $fh $content;
        close $fh or die "$path: $!";
        rename "$path.new", $path or die "$path: $!";
    }

    return $path;
}


sub read_file {
    my ($self, $name) = @_;

    open my $fh, '<:raw', "$self->{dir}/$name" or return;
    local $/;

    return scalar <$fh>;
}


sub log {
    my ($self) = @_;

    return $self->read_file('error.log') // '';
}


# Redis.  Without arguments: no persistence, a port and a unix socket.

sub start_redis {
    my ($self, @args) = @_;

    my $port = $self->{redis_port} ||= free_port();

    @args = @{ $self->{redis_args} || [] } unless @args;
    $self->{redis_args} = [ @args ];
    delete $self->{redis};

    $self->spawn('redis', 'redis.log', 'redis-server', '--port', $port,
                 '--bind', '127.0.0.1', '--unixsocket', 'redis.sock',
                 '--unixsocketperm', '777', '--save', '',
                 '--appendonly', 'no', '--dir', $self->{dir}, @args);

    $self->started('redis', 'redis.log', sub {
        my $redis = eval { Delta::Redis->new($port) } or return;
        my $pong = eval { $redis->command('PING') } || $@;
        return $pong =~ /PONG|NOAUTH/;
    });

    return $port;
}


sub stop_redis {
    my ($self, $signal) = @_;

    delete $self->{redis};

    return $self->stop('redis', $signal);
}


# One command on a connection of our own; dies with the error's text.

sub redis {
    my ($self, @command) = @_;

    $self->{redis} ||= Delta::Redis->new($self->{redis_port});

    return $self->{redis}->command(@command);
}


# The text of the function library, put together as the build does.

sub library {
    my $text = '';

    for my $part (qw(delta presence membership leases)) {
        open my $fh, '<:raw', "$TOP/src/redis/$part.lua" or die "$part: $!";
        local $/;
        $text .= <$fh>;
    }

    return $text;
}


# Publishes as a backend does; answers the id.

sub publish {
    my ($self, $channel, $event, @source) = @_;

    $event = json_encode($event) if ref $event;

    return $self->redis('FCALL', 'delta_publish', 1, $channel, $event, @source);
}


# The reference upstream.  It answers when Redis has the events, but for dead.

sub start_upstream {
    my ($self, @args) = @_;

    my $port = $self->{upstream_port} ||= free_port();

    $self->spawn('upstream', 'upstream.log', $self->sanitizer_env,
                 "$BUILD/delta-upstream",
                 '--listen', "127.0.0.1:$port",
                 '--redis', "unix:$self->{dir}/redis.sock",
                 '--db', "$self->{dir}/upstream.db",
                 '--jwks', "$self->{dir}/jwks.json", '--wait', 10_000, @args);

    $self->started('upstream', 'upstream.log', sub {
        return IO::Socket::INET->new("127.0.0.1:$port");
    });

    return $port;
}


# nginx.  A whole configuration of these parts, with %%…%% to be filled in.

sub conf {
    my ($self, %part) = @_;

    $_ //= '' for @part{qw(main http server)};

    return <<"END";
%%GLOBALS%%
$part{main}

events {
    worker_connections 2048;
}

http {
    %%HTTP%%
    $part{http}

    server {
        listen 127.0.0.1:%%PORT%%;
        $part{server}
    }
}
END
}


# Fills in %%PORT%% (%%PORT_1%% …), %%DIR%%, %%REDIS%% and %%REDIS_UNIX%% (as
# delta_redis takes them), %%UPSTREAM%% (host:port), %%JWKS%% (a path).

sub expand {
    my ($self, $text, %opt) = @_;

    my $dir = $self->{dir};
    my $name = $opt{name} || 'nginx';

    my %value = (
        DIR => $dir,
        JWKS => "$dir/jwks.json",
        REDIS => 'redis://127.0.0.1:' . ($self->{redis_port} ||= free_port()),
        REDIS_UNIX => "unix:$dir/redis.sock",
        UPSTREAM => '127.0.0.1:' . ($self->{upstream_port} ||= free_port()),
        MODULE => "load_module $BUILD/ngx_http_delta_module.so;",
    );

    my $log = $opt{test} ? 'stderr' : "$dir/error.log";
    my $user = $> == 0 ? 'user nobody nogroup;' : '';

    $value{GLOBALS} = "$value{MODULE}\n$user\ndaemon off;\n"
        . "pid $dir/$name.pid;\nerror_log $log info;\n"
        . 'worker_processes ' . ($opt{workers} || 1) . ';';

    $value{HTTP} = join "\n    ", "access_log $dir/access.log;",
        map { "${_}_temp_path $dir/$_;" }
            qw(client_body proxy fastcgi uwsgi scgi);

    $text =~ s/%%PORT(?:_(\d))?%%/$self->port($1)/ge;
    $text =~ s/%%(\w+)%%/$value{$1} \/\/ die "unknown: %%$1%%"/ge;
    $text =~ s/%%(\w+)%%/$value{$1} \/\/ die "unknown: %%$1%%"/ge;

    return $text;
}


sub start_nginx {
    my ($self, $conf, %opt) = @_;

    my $name = $opt{name} || 'nginx';

    $self->{options}{$name} = \%opt;
    $self->write_conf($conf, %opt) if defined $conf;
    unlink $self->file("$name.pid");

    $self->spawn($name, 'stderr.log', $self->sanitizer_env, $NGINX,
                 '-p', "$self->{dir}/", '-c', "$name.conf",
                 '-e', "$self->{dir}/error.log");

    $self->started($name, 'stderr.log',
                   sub { ($self->read_file("$name.pid") // '') =~ /\d/ });
}


sub write_conf {
    my ($self, $conf, %opt) = @_;

    my $name = $opt{name} || 'nginx';

    $self->file("$name.conf", $self->expand($conf, %opt));
}


# SIGHUP, with a new configuration if one is given; waits for new workers, and
# until the old ones accept nobody any more.

sub reload {
    my ($self, $conf, %opt) = @_;

    my $name = $opt{name} || 'nginx';
    my @old = $self->workers($name);
    my %old = map { $_ => 1 } @old;

    %opt = (%{ $self->{options}{$name} }, %opt);
    $self->write_conf($conf, %opt) if defined $conf;
    kill 'HUP', $self->pid($name);

    return wait_for(sub {
        my @new = grep { !$old{$_} } $self->workers($name);
        return @new >= ($opt{workers} || 1) && !grep { accepts($_) } @old;
    });
}


sub stop_nginx {
    my ($self, $signal, $name) = @_;

    return $self->stop($name || 'nginx', $signal || 'QUIT');
}


sub nginx_names {
    my ($self) = @_;

    return grep { $self->{options}{$_} } sort keys %{ $self->{procs} };
}


# The process ids of the workers.

sub workers {
    my ($self, $name) = @_;

    my $master = $self->pid($name || 'nginx') or return;

    open my $fh, '<', "/proc/$master/task/$master/children" or return;

    return grep { worker($_) } split ' ', <$fh> // '';
}


sub worker {
    my ($pid) = @_;

    return title($pid) =~ /worker process/;
}


sub accepts {
    my ($pid) = @_;

    return title($pid) =~ /worker process\b(?! is shutting down)/;
}


sub title {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/cmdline" or return '';

    return <$fh> // '';
}


# nginx -t: its exit status and all that it said.

sub nginx_t {
    my ($self, $conf, %opt) = @_;

    my $path = $self->file('test.conf',
        $self->expand($conf, name => 'test', test => 1, %opt));

    my @command = ($self->sanitizer_env, $NGINX, '-t', '-p', "$self->{dir}/",
                   '-c', 'test.conf', '-e', 'stderr');

    my $pid = open(my $out, '-|') // die "fork: $!";

    if ($pid == 0) {
        chdir $self->{dir};
        open STDERR, '>&', \*STDOUT;
        { exec @command }
        POSIX::_exit(127);
    }

    my $output = do { local $/; <$out> } // '';
    close $out;
    my $status = $? >> 8 || $? & 127;

    if ($output =~ /Sanitizer|runtime error/) {
        open my $fh, '>>', "$self->{dir}/stderr.log";
        print $fh $output;
    }

    return ($status, $output);
}


# The stock nginx runs a sanitized module: the libraries come first, and the
# module stays mapped, for the names in a report.

sub sanitizer_env {
    my ($self) = @_;

    return unless $ASAN;

    my @preload = map { chomp(my $path = `gcc -print-file-name=$_`); $path }
        'libasan.so', 'libubsan.so';

    $self->file('lsan.supp', join "\n", 'leak:ngx_alloc', 'leak:ngx_memalign',
                'leak:ngx_event_process_init',
                map({ "leak:$_" } @{ $self->{foreign} || [] }), '');

    return ('env',
        'LD_PRELOAD=' . join(' ', map({ abs_path($_) } @preload),
                             "$BUILD/noclose.so"),
        'ASAN_OPTIONS=detect_leaks=1:detect_odr_violation=0:'
        . 'handle_abort=1:allocator_may_return_null=1',
        'UBSAN_OPTIONS=print_stacktrace=1',
        "LSAN_OPTIONS=suppressions=$self->{dir}/lsan.supp:"
        . 'print_suppressions=0');
}


# Clients: see Delta::Client for what they can do.

sub http {
    my ($self, $method, $path, %opt) = @_;

    return Delta::Client->request($self->target(\%opt), $method, $path, %opt);
}


sub ws {
    my ($self, $path, %opt) = @_;

    return $self->open_client('Delta::Client::WS', $path, %opt);
}


sub sse {
    my ($self, $path, %opt) = @_;

    return $self->open_client('Delta::Client::SSE', $path, %opt);
}


# While the gateway has no Redis it says 503: tried again, but for retry => 0.

sub open_client {
    my ($self, $class, $path, %opt) = @_;

    my $client;
    my $port = $self->target(\%opt);

    wait_for(sub {
        $client = $class->connect($port, $path, %opt);
        return !$client || $client->status ne 503 || !($opt{retry} // 1);
    });

    if ($client) {
        push @{ $self->{clients} }, $client;
        Scalar::Util::weaken($self->{clients}[-1]);
    }

    return $client;
}


sub target {
    my ($self, $opt) = @_;

    return delete $opt->{port} || $self->port;
}


# A token of the harness's key for this user.

sub token {
    my ($self, $user, %claims) = @_;

    return jwt({ sub => $user, iat => int time, exp => int(time) + 600,
                 %claims }, $self->{key}, kid => 'test');
}


# Functions.

sub jwt {
    my ($claims, $key, %header) = @_;

    my $alg = $header{alg} ||= 'HS256';

    my $sign = { HS256 => \&hmac_sha256, HS384 => \&hmac_sha384,
                 HS512 => \&hmac_sha512 }->{$alg} or die "alg $alg";

    my $text = join '.', map { encode_base64url($_, '') }
        json_encode({ typ => 'JWT', %header }), json_encode($claims);

    return $text . '.' . encode_base64url($sign->($text, $key), '');
}


sub json_encode {
    return $json->encode($_[0]);
}


sub json_decode {
    return $json->decode($_[0]);
}


# No test may hang for ever.

$SIG{ALRM} = sub {
    Test::More::diag('the test took too long');
    exit 1;
};

$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
$SIG{PIPE} = 'IGNORE';

alarm($ENV{DELTA_TIMEOUT} || 600 * $SLOW);

1;
