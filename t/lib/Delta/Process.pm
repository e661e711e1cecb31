package Delta::Process;

# Copyright (C) Delta contributors

# What Delta builds on: ports, processes of ours and waiting for them.

use strict;
use warnings;

use Exporter qw(import);
use Fcntl qw(:flock);
use File::Spec;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Test::More ();
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(free_port wait_for);

my $owner = $$;
my %locks;                              # path => handle


# Waits until the condition holds and returns its value, or a false one.  The
# timeout ends a test that has failed: it is no bound of what is tested.

sub wait_for {
    my ($condition, $timeout) = @_;

    my $end = time + ($timeout || 30) * $Delta::SLOW;
    my $pause = 0.005;

    while (1) {
        my $value = $condition->();
        return $value if $value || time >= $end;
        sleep $pause;
        $pause = 0.05 if ($pause *= 1.5) > 0.05;
    }
}


# The n-th port of this instance: free, and no other test's until we end.

sub port {
    my ($self, $n) = @_;

    return $self->{ports}[ $n || 0 ] ||= free_port();
}


sub free_port {
    my $dir = File::Spec->tmpdir . "/delta-ports-$<";
    mkdir $dir, 0700;

    for (1 .. 500) {
        my $port = 10000 + int rand 20000;

        open my $lock, '>', "$dir/$port" or die "$dir/$port: $!";
        next unless flock $lock, LOCK_EX | LOCK_NB;

        # who had it may have ended, and its file is another one by now
        next if ((stat $lock)[1] // 0) != ((stat "$dir/$port")[1] // -1);

        next unless IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Listen => 1, ReuseAddr => 1);

        $locks{"$dir/$port"} = $lock;
        return $port;
    }

    die "no free port";
}


sub spawn {
    my ($self, $name, $log, @command) = @_;

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        POSIX::setpgid(0, 0);
        chdir $self->{dir};
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/$log";
        open STDERR, '>&', \*STDOUT;
        { exec 'setpriv', '--pdeathsig', 'TERM', @command }
        POSIX::_exit(127);
    }

    $self->{procs}{$name} = $pid;

    return $pid;
}


# Whether the process still runs; if not, its status is kept.

sub alive {
    my ($self, $name) = @_;

    my $pid = $self->{procs}{$name} or return 0;

    return 1 if waitpid($pid, POSIX::WNOHANG()) == 0;

    $self->{status}{$name} = $?;
    delete $self->{procs}{$name};

    return 0;
}


# Signals the process and waits for its end; true if it ended with status 0.

sub stop {
    my ($self, $name, $signal) = @_;

    my $pid = $self->{procs}{$name} or return 1;
    $signal ||= 'TERM';

    kill 'CONT', $pid;
    kill $signal, $pid;

    if (!wait_for(sub { !$self->alive($name) })) {
        Test::More::diag("$name did not end on $signal");
        kill 'TERM', $pid;
        wait_for(sub { !$self->alive($name) }, 5);
        kill 'KILL', $pid;
        wait_for(sub { !$self->alive($name) }, 5);
        return 0;
    }

    my $status = $self->{status}{$name};
    return 1 if $status == 0 || ($signal eq 'KILL' && $status == 9);

    Test::More::diag("$name ended with wait status $status");

    return 0;
}


sub pid {
    my ($self, $name) = @_;

    return $self->{procs}{$name};
}


sub started {
    my ($self, $name, $log, $ready) = @_;

    my $ok = wait_for(sub { !$self->alive($name) || $ready->() });

    return if $ok && $self->alive($name);

    die "$name did not start: " . ($self->read_file($log) // '')
        . ($name =~ /^nginx/ ? $self->log : '') . "\n";
}


# A TCP relay to cut (stop) or to stall (kill STOP) a link; answers its port.

sub start_relay {
    my ($self, $name, $target, $port) = @_;

    $port ||= free_port();

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "relay: $!";

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        POSIX::setpgid(0, 0);
        $SIG{TERM} = sub { POSIX::_exit(0) };
        $SIG{ALRM} = 'DEFAULT';
        alarm 600;
        relay($listen, $target);
        POSIX::_exit(1);
    }

    $self->{procs}{$name} = $pid;

    return $port;
}


sub relay {
    my ($listen, $target) = @_;

    my $select = IO::Select->new($listen);
    my %peer;

    while (1) {
        for my $fh ($select->can_read) {
            if ($fh == $listen) {
                my $in = $listen->accept or next;
                my $out = IO::Socket::INET->new("127.0.0.1:$target") or next;
                @peer{ $in, $out } = ($out, $in);
                $select->add($in, $out);
                next;
            }

            my $peer = $peer{$fh} or next;

            if (sysread $fh, my $bytes, 65536) {
                syswrite $peer, $bytes;
                next;
            }

            $select->remove($fh, $peer);
            delete @peer{ $fh, $peer };
            close $_ for $fh, $peer;
        }
    }
}

END {
    unlink keys %locks if $$ == $owner;
}

1;
