package Delta::Proxy;

# Copyright (C) Delta contributors

# A TCP proxy in a process of its own that can be told to misbehave:
#
#   my $proxy = Delta::Proxy->start($t, 'proxy', $target_port);
#   $proxy->{port};
#   $proxy->mode('swallow');
#
#   pass      bytes go through; those that waited, too
#   swallow   nothing moves, in neither direction; new connections hang
#   mute      the same, but only from the target to the client
#   deaf      the same, but only where the client has subscribed
#   hold      a connection waits from what matches {hold}, until pass
#   forget    the connections of now are dead for ever, new ones are served
#   reset     half of what the target says next, then all are reset; as forget

use strict;
use warnings;

use Delta::Process qw(free_port);
use IO::Handle;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);


sub start {
    my ($class, $t, $name, $target, $port, $hold) = @_;

    $port ||= free_port();

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "proxy: $!";

    pipe my $in, my $out or die "pipe: $!";
    pipe my $told, my $tell or die "pipe: $!";
    $_->autoflush(1) for $out, $tell;

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        POSIX::setpgid(0, 0);
        $SIG{TERM} = sub { POSIX::_exit(0) };
        $SIG{ALRM} = 'DEFAULT';
        alarm 900;
        close $_ for $out, $told;

        my $self = bless { listen => $listen, orders => $in, mode => 'pass',
                           tell => $tell,
                           target => $target, peer => {},
                           hold => $hold }, $class;
        $self->turn while 1;
    }

    $t->{procs}{$name} = $pid;

    close $_ for $in, $tell;

    return bless { port => $port, orders => $out, told => $told }, $class;
}


# Returns when it does so, or has ended.

sub mode {
    my ($self, $mode) = @_;

    $self->tell($mode);

    while ($self->{asked}) {
        my $n = sysread($self->{told}, my $done, $self->{asked}) or last;
        $self->{asked} -= $n;
    }
}


# Does not wait for it.

sub tell {
    my ($self, $mode) = @_;

    print { $self->{orders} } substr $mode, 0, 1;
    $self->{asked}++;
}


# The child.  {peer} is by file number: { fh, other, from } of each socket.

sub turn {
    my ($self) = @_;

    my $mode = $self->{mode};
    my $orders = fileno $self->{orders};
    my $listen = fileno $self->{listen};
    my $bits = '';

    vec($bits, $orders, 1) = 1;
    vec($bits, $listen, 1) = 1 if $mode ne 'swallow';

    for my $fd (keys %{ $self->{peer} }) {
        my $one = $self->{peer}{$fd};

        vec($bits, $fd, 1) = 1
            unless $one->{dead} || defined $one->{kept} || $mode eq 'swallow'
                   || ($mode eq 'mute' && $one->{target})
                   || ($mode eq 'deaf' && $one->{subscribed});
    }

    select($bits, undef, undef, undef) > 0 or return;

    if (vec $bits, $orders, 1) {
        sysread($self->{orders}, my $order, 1) or POSIX::_exit(0);
        $self->order($order);
        print { $self->{tell} } '.';
        return;
    }

    $self->accept if vec $bits, $listen, 1;

    for my $fd (keys %{ $self->{peer} }) {
        $self->forward($fd) if $self->{peer}{$fd} && vec $bits, $fd, 1;
    }
}


sub order {
    my ($self, $order) = @_;

    my %mode = (p => 'pass', s => 'swallow', m => 'mute', r => 'reset',
                d => 'deaf', h => 'hold');

    $self->{mode} = $mode{$order} // 'pass';

    if ($order eq 'f') {
        $_->{dead} = 1 for values %{ $self->{peer} };
    }

    if ($order eq 'p') {
        for my $one (grep { defined $_->{kept} } values %{ $self->{peer} }) {
            syswrite $one->{other}, delete $one->{kept};
        }
    }
}


sub accept {
    my ($self) = @_;

    my $in = $self->{listen}->accept or return;
    my $out = IO::Socket::INET->new("127.0.0.1:$self->{target}");

    if (!$out) {
        reset_one($in);
        return;
    }

    $self->{peer}{ fileno $in } = { fh => $in, other => $out };
    $self->{peer}{ fileno $out } = { fh => $out, other => $in, target => 1 };
}


sub forward {
    my ($self, $fd) = @_;

    my $one = $self->{peer}{$fd};

    if (!sysread $one->{fh}, my $bytes, 65536) {
        $self->drop($fd);

    } elsif ($self->{mode} eq 'reset' && $one->{target}) {
        syswrite $one->{other}, substr $bytes, 0, length($bytes) / 2;
        $self->drop($_, 1) for keys %{ $self->{peer} };
        $self->{mode} = 'pass';

    } elsif ($self->{mode} eq 'hold' && !$one->{target}
             && $bytes =~ $self->{hold}) {
        $one->{kept} = $bytes;

    } else {
        $self->{peer}{ fileno $one->{other} }{subscribed} = 1
            if !$one->{target} && $bytes =~ /SUBSCRIBE/;
        syswrite $one->{other}, $bytes;
    }
}


sub drop {
    my ($self, $fd, $reset) = @_;

    my $one = delete $self->{peer}{$fd} or return;
    delete $self->{peer}{ fileno $one->{other} };

    for my $fh ($one->{fh}, $one->{other}) {
        $reset ? reset_one($fh) : close $fh;
    }
}


sub reset_one {
    my ($fh) = @_;

    setsockopt $fh, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $fh;
}

1;
