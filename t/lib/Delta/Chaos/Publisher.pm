package Delta::Chaos::Publisher;

# Copyright (C) Delta contributors

# Publishes to Redis as a backend must: each event with source and number,
# again and again until its id has been answered.  At most one of a channel is
# under way, so that an answer to a second try names the right id.

use strict;
use warnings;

use Fcntl qw(F_SETFL O_NONBLOCK);
use Socket;
use Time::HiRes qw(time);


sub new {
    my ($class, %opt) = @_;

    return bless { out => '', in => '', waiting => [], again => [], busy => {},
                   n => {}, due => 0, %opt }, $class;
}


sub busy {
    my ($self, $channel) = @_;

    return $self->{busy}{$channel};
}


sub idle {
    my ($self) = @_;

    return !%{ $self->{busy} };
}


# Queues it; flush() sends.

sub publish {
    my ($self, $channel, $g) = @_;

    $self->{busy}{$channel} = 1;
    $self->send([ $g, $channel, ++$self->{n}{$channel} ]);
}


sub send {
    my ($self, $one) = @_;

    if (!$self->{fh}) {
        push @{ $self->{again} }, $one;
        return;
    }

    my ($g, $channel, $n) = @$one;
    my @args = ('FCALL', 'delta_publish', 1, $channel,
                $self->{record}->event($g), "$self->{source}/$n");

    push @{ $self->{waiting} }, $one;
    $self->{patience} //= time + 5;
    $self->{out} .= join "\r\n", '*' . @args,
        (map { '$' . length, $_ } @args), '';
}


sub tick {
    my ($self, $now) = @_;

    if ($self->{fh}) {
        $self->lost if defined $self->{patience} && $now > $self->{patience};
        return;
    }

    return if $now < $self->{due};

    socket my $fh, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
    $self->{due} = $now + 0.05;

    CORE::connect $fh, sockaddr_in($self->{port}, INADDR_LOOPBACK) or return;
    fcntl $fh, F_SETFL, O_NONBLOCK;

    @$self{qw(fh in out patience)} = ($fh, '', '', undef);
    $self->again;
}


sub again {
    my ($self) = @_;

    $self->{retry} = 0;
    $self->send($_) for splice @{ $self->{again} };
}


sub lost {
    my ($self) = @_;

    close delete $self->{fh};
    $self->{due} = time + 0.05;
    $self->{lost}++;
    push @{ $self->{again} }, splice @{ $self->{waiting} };
}


sub flush {
    my ($self) = @_;

    return unless $self->{fh};

    $self->again if $self->{retry} && time >= $self->{retry};

    while (length $self->{out}) {
        my $n = syswrite $self->{fh}, $self->{out};

        if (!defined $n) {
            $self->lost unless $!{EAGAIN};
            return;
        }

        substr $self->{out}, 0, $n, '';
    }
}


sub readable {
    my ($self) = @_;

    my $n = sysread $self->{fh}, $self->{in}, 65536, length $self->{in};

    if (!$n) {
        $self->lost unless !defined $n && $!{EAGAIN};
        return;
    }

    while ($self->{in} =~ /\A(?:-(.*)|\$\d+)\r\n/) {
        my $error = $1;
        my $end = $+[0];

        if (!defined $error) {
            my $next = index $self->{in}, "\r\n", $end;
            last if $next < 0;
            $self->answered(substr $self->{in}, $end, $next - $end);
            $end = $next + 2;

        } else {
            $self->refused($error);
        }

        substr $self->{in}, 0, $end, '';
    }

    $self->{patience} = @{ $self->{waiting} } ? time + 5 : undef;
}


sub answered {
    my ($self, $id) = @_;

    my ($g, $channel) = @{ shift @{ $self->{waiting} } };

    delete $self->{busy}{$channel};
    $self->{record}->answered($g, $id);
}


sub refused {
    my ($self, $error) = @_;

    die "publish: $error\n"
        unless $error =~ /^(?:LOADING|ERR Function not found)/;

    push @{ $self->{again} }, shift @{ $self->{waiting} };
    $self->{retry} = time + 0.05;
}

1;
