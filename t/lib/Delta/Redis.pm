package Delta::Redis;

# Copyright (C) Delta contributors

# A RESP2 client of few lines: new(port), command(…), and read for pub/sub.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);


sub new {
    my ($class, $port) = @_;

    my $socket = IO::Socket::INET->new("127.0.0.1:$port")
        or die "redis at port $port: $@\n";

    return bless { socket => $socket, in => '' }, $class;
}


# Sends one command and returns its reply; an error reply is died with.

sub command {
    my ($self, @args) = @_;

    $self->send(@args);

    return $self->read;
}


sub send {
    my ($self, @args) = @_;

    my $bytes = '*' . @args . "\r\n";

    for my $arg (@args) {
        my $copy = "$arg";
        utf8::encode($copy) if utf8::is_utf8($copy);
        $bytes .= '$' . length($copy) . "\r\n$copy\r\n";
    }

    while (length $bytes) {
        my $n = syswrite $self->{socket}, $bytes or die "redis: $!\n";
        substr $bytes, 0, $n, '';
    }
}


# Channels to be read from with read().

sub subscribe {
    my ($self, @channels) = @_;

    $self->send('SUBSCRIBE', @channels);
    $self->read for @channels;

    return $self;
}


sub read {
    my ($self, $timeout) = @_;

    $self->{end} = time + ($timeout || 30);

    my $reply = $self->value;

    die "$$reply\n" if ref $reply eq 'SCALAR';

    return $reply;
}


sub value {
    my ($self) = @_;

    my $line = $self->line;
    my $type = substr $line, 0, 1, '';

    return $line if $type eq '+' || $type eq ':';
    return \$line if $type eq '-';

    if ($type eq '$') {
        return if $line < 0;
        my $bulk = $self->take($line + 2);
        return substr $bulk, 0, $line;
    }

    if ($type eq '*') {
        return if $line < 0;
        return [ map { scalar $self->value } 1 .. $line ];
    }

    die "redis: strange reply $type$line\n";
}


sub line {
    my ($self) = @_;

    my $at;
    $self->fill while ($at = index $self->{in}, "\r\n") < 0;

    my $line = substr $self->{in}, 0, $at + 2, '';

    return substr $line, 0, -2;
}


sub take {
    my ($self, $n) = @_;

    $self->fill while length $self->{in} < $n;

    return substr $self->{in}, 0, $n, '';
}


sub fill {
    my ($self) = @_;

    my $left = $self->{end} - time;

    die "redis: no reply in time\n"
        if $left <= 0
           || !IO::Select->new($self->{socket})->can_read($left);

    sysread($self->{socket}, $self->{in}, 65536, length $self->{in})
        or die "redis: connection lost\n";
}

1;
