package Delta::Client;

# Copyright (C) Delta contributors

# HTTP/1.1, WebSocket and SSE on a raw socket: every byte is the test's own.
#
# Options of connect and request:
#   token => jwt              Authorization: Bearer
#   headers => [ name => value, … ]
#   omit => [ name, … ]       default headers that are left out
#   body => bytes, json => data
#   host => '127.0.0.1', ssl => 1, http => '1.1'
#   raw => bytes              sent instead of a request of our making
#   pipelined => bytes        sent in the same write behind the header

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Delta::MessagePack;
use JSON::PP ();
use Time::HiRes qw(time);

my $json = JSON::PP->new->canonical->utf8->allow_nonref;


# One request on a connection of its own; { status, headers, body, json }.

sub request {
    my ($class, $port, $method, $path, %opt) = @_;

    my $self = $class->start($port, $method, $path,
        [ Connection => 'close' ], %opt) or return;

    if ($method ne 'HEAD' && $self->{status} !~ /^(?:204|304)$/) {
        $self->read_body;
    }

    $self->disconnect;

    $self->{json} = eval { $json->decode($self->{body}) };

    return $self;
}


# Connects, sends the request and reads the head of the answer.

sub start {
    my ($class, $port, $method, $path, $defaults, %opt) = @_;

    my $self = bless { in => '', body => '', headers => {}, status => 0 },
        $class;

    $self->{socket} = open_socket($port, %opt) or return;
    $self->{timeout} = $opt{timeout} || 30 * ($Delta::SLOW || 1);

    my $body = defined $opt{json} ? $json->encode($opt{json}) : $opt{body};
    my @headers = (Host => $opt{host_header} || "127.0.0.1:$port", @$defaults);

    push @headers, Authorization => "Bearer $opt{token}" if $opt{token};
    push @headers, 'Content-Type' => 'application/json' if defined $opt{json};
    push @headers, 'Content-Length' => length $body if defined $body;

    my $omit = join '|', map { quotemeta } @{ $opt{omit} || [] }, '-';
    my $text = "$method $path HTTP/" . ($opt{http} || '1.1') . "\r\n";

    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n" unless $name =~ /^(?:$omit)$/i;
    }

    my @own = @{ $opt{headers} || [] };

    while (my ($name, $value) = splice @own, 0, 2) {
        $text .= "$name: $value\r\n";
    }

    $self->send_raw($opt{raw} // "$text\r\n" . ($body // '')
                                 . ($opt{pipelined} // ''));
    $self->read_head;

    return $self;
}


sub open_socket {
    my ($port, %opt) = @_;

    my $host = $opt{host} || '127.0.0.1';

    return IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port,
                                 Timeout => 30) unless $opt{ssl};

    require IO::Socket::SSL;

    return IO::Socket::SSL->new(PeerAddr => $host, PeerPort => $port,
        SSL_verify_mode => 0, Timeout => 30,
        ($opt{alpn} ? (SSL_alpn_protocols => $opt{alpn}) : ()));
}


sub read_head {
    my ($self) = @_;

    my $end = time + $self->{timeout};
    my $at;

    while (($at = index $self->{in}, "\r\n\r\n") < 0) {
        return unless $self->fill($end);
    }

    my ($line, @headers) = split /\r\n/, substr $self->{in}, 0, $at + 4, '';

    ($self->{status}) = $line =~ /^HTTP\/1\.[01] (\d{3})/;
    $self->{status} //= 0;

    for (@headers) {
        my ($name, $value) = /^([^:]+):\s*(.*)$/ or next;
        $name = lc $name;
        $self->{headers}{$name} = defined $self->{headers}{$name}
            ? "$self->{headers}{$name}, $value" : $value;
    }
}


# The rest of an answer, by its length, its chunks or the connection's end.

sub read_body {
    my ($self) = @_;

    my $end = time + $self->{timeout};
    my $length = $self->{headers}{'content-length'};

    while (!defined $length || length $self->{in} < $length) {
        last unless $self->fill($end);
    }

    if (($self->{headers}{'transfer-encoding'} // '') eq 'chunked') {
        $self->unchunk;

    } else {
        $self->{body} = $self->{in};
    }
}


# Moves what is whole from {in} to {body}; true at the last chunk.

sub unchunk {
    my ($self) = @_;

    while ($self->{in} =~ /^([0-9a-f]+)[^\r]*\r\n/i) {
        my ($head, $size) = ($+[0], hex $1);

        return 0 if length $self->{in} < $head + $size + 2;

        $self->{body} .= substr $self->{in}, $head, $size;
        substr $self->{in}, 0, $head + $size + 2, '';

        return $self->{ended} = 1 if $size == 0;
    }

    return 0;
}


# More bytes into {in}: false at the end of time (timed_out) or stream (eof).

sub fill {
    my ($self, $end) = @_;

    my $left = $end - time;
    my $socket = $self->{socket} or return 0;
    my $pending = $socket->can('pending') && $socket->pending;

    $self->{timed_out} = 0;

    if (!$pending && ($left <= 0
                      || !IO::Select->new($socket)->can_read($left)))
    {
        $self->{timed_out} = 1;
        return 0;
    }

    my $n = sysread $socket, $self->{in}, 65536, length $self->{in};

    return 1 if $n;
    return 1 if !defined $n && $!{EAGAIN};

    $self->{reset} = 1 if !defined $n;
    $self->{eof} = 1;

    return 0;
}


sub send_raw {
    my ($self, $bytes) = @_;

    while (length $bytes) {
        my $n = syswrite $self->{socket}, $bytes;
        return 0 unless $n;
        substr $bytes, 0, $n, '';
    }

    return 1;
}


sub disconnect {
    my ($self) = @_;

    close delete $self->{socket} if $self->{socket};
}


# Whether the other side closes the connection in time; reads what comes.

sub closed {
    my ($self, $timeout) = @_;

    my $end = time + ($timeout || $self->{timeout});

    1 while $self->fill($end);

    return $self->{eof};
}


sub status {
    return $_[0]{status};
}


sub header {
    my ($self, $name) = @_;

    return $self->{headers}{ lc $name };
}


sub body {
    return $_[0]{body};
}


sub json {
    return $_[0]{json};
}


# What WS and SSE share: a stream of events, read one by one with read_json.

# The first event for which the condition (a sub, or a type) holds; those
# before it are kept in {skipped}.

sub read_until {
    my ($self, $condition, $timeout) = @_;

    my $end = time + ($timeout || $self->{timeout});

    while (defined(my $event = $self->read_json($end - time))) {
        return $event
            if ref $condition ? $condition->($event)
                              : ($event->{t} // '') eq $condition;

        push @{ $self->{skipped} }, $event;
    }

    return;
}


package Delta::Client::WS;

our @ISA = ('Delta::Client');


# Further options: key, version, protocol.

sub connect {
    my ($class, $port, $path, %opt) = @_;

    my @defaults = (
        Upgrade => 'websocket',
        Connection => 'Upgrade',
        'Sec-WebSocket-Key' => $opt{key} // 'dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version' => $opt{version} // 13,
    );

    push @defaults, 'Sec-WebSocket-Protocol' => $opt{protocol}
        if defined $opt{protocol};

    my $self = $class->start($port, $opt{method} || 'GET', $path, \@defaults,
                             %opt) or return;

    $self->read_body if $self->{status} != 101;

    return $self;
}


# The bytes of a frame.  Options: fin, rsv (0 .. 7), mask (4 bytes, or 0 for
# none), length (what the header claims), form (7, 16 or 64 bits of it).

sub frame {
    my ($class, $opcode, $payload, %opt) = @_;

    $payload //= '';

    my $length = $opt{length} // length $payload;
    my $form = $opt{form} // ($length < 126 ? 7 : $length < 65536 ? 16 : 64);
    my $mask = $opt{mask} // "\x12\x34\x56\x78";
    my $bit = $mask ? 0x80 : 0;

    my $bytes = chr(($opt{fin} // 1) << 7 | ($opt{rsv} // 0) << 4 | $opcode);

    $bytes .= $form == 7 ? chr($bit | $length)
            : $form == 16 ? chr($bit | 126) . pack('n', $length)
            : chr($bit | 127) . pack('Q>', $length);

    return $bytes . $payload unless $mask;

    my $key = substr $mask x (length($payload) / 4 + 1), 0, length $payload;

    return $bytes . $mask . ($payload ^ $key);
}


sub send_frame {
    my ($self, $opcode, $payload, %opt) = @_;

    return $self->send_raw($self->frame($opcode, $payload, %opt));
}


sub send_text {
    my ($self, $text) = @_;

    return $self->send_frame(1, $text);
}


sub send_json {
    my ($self, $data) = @_;

    return $self->send_frame(1, $json->encode($data));
}


# The next frame as it came: { fin, rsv, opcode, payload }, or undef.

sub read_frame {
    my ($self, $timeout) = @_;

    my $end = Time::HiRes::time() + ($timeout || $self->{timeout});

    while (1) {
        my $frame = $self->parse_frame;
        return $frame if $frame;
        return unless $self->fill($end);
    }
}


sub parse_frame {
    my ($self) = @_;

    return if length $self->{in} < 2;

    my ($first, $second) = unpack 'CC', $self->{in};
    my ($head, $length) = (2, $second & 0x7f);

    die "a masked frame from the server\n" if $second & 0x80;

    if ($length == 126) {
        return if length $self->{in} < ($head = 4);
        $length = unpack 'x2n', $self->{in};
        die "a length in too many bytes\n" if $length < 126;

    } elsif ($length == 127) {
        return if length $self->{in} < ($head = 10);
        $length = unpack 'x2Q>', $self->{in};
        die "a length in too many bytes\n" if $length < 65536;
    }

    return if length $self->{in} < $head + $length;

    my $bytes = substr $self->{in}, 0, $head + $length, '';

    return {
        fin => $first >> 7,
        rsv => $first >> 4 & 7,
        opcode => $first & 15,
        payload => substr($bytes, $head),
    };
}


# The next message { opcode, payload }; pings are answered, pongs skipped, and
# a close is answered and returned (opcode 8).

sub read_message {
    my ($self, $timeout) = @_;

    my $end = Time::HiRes::time() + ($timeout || $self->{timeout});

    while (my $frame = $self->read_frame($end - Time::HiRes::time())) {
        my $opcode = $frame->{opcode};

        if ($opcode == 9) {
            $self->send_frame(10, $frame->{payload})
                unless $self->{mute};
            next;
        }

        next if $opcode == 10;

        if ($opcode == 8) {
            $self->got_close($frame->{payload});
            return $frame;
        }

        my $message = $self->{partial} ||= { opcode => $opcode, payload => '' };

        $message->{payload} .= $frame->{payload};

        return delete $self->{partial} if $frame->{fin};
    }

    return;
}


sub got_close {
    my ($self, $payload) = @_;

    @$self{qw(close_code close_reason)} = length $payload >= 2
        ? unpack('na*', $payload) : (1005, '');

    $self->send_frame(8, $payload) unless $self->{closing} || $self->{mute};
    $self->{closing} = 1;
}


# The next message as data, of either encoding; undef at a close, the end or too
# late.

sub read_json {
    my ($self, $timeout) = @_;

    my $message = $self->read_message($timeout) or return;

    return if $message->{opcode} == 8;

    return $message->{opcode} == 2
        ? Delta::MessagePack::decode($message->{payload})
        : $json->decode($message->{payload});
}


# Reads up to the server's close: (code, reason), or nothing.

sub read_close {
    my ($self, $timeout) = @_;

    my $end = Time::HiRes::time() + ($timeout || $self->{timeout});

    while (!defined $self->{close_code}) {
        $self->read_message($end - Time::HiRes::time()) or last;
    }

    return unless defined $self->{close_code};

    return ($self->{close_code}, $self->{close_reason});
}


# Closes in good order; what the server answered.

sub close {
    my ($self, $code, $reason) = @_;

    $self->{closing} = 1;
    $self->send_frame(8, defined $code ? pack('n', $code) . ($reason // '')
                                       : '');

    return $self->read_close;
}


package Delta::Client::SSE;

our @ISA = ('Delta::Client');


sub connect {
    my ($class, $port, $path, %opt) = @_;

    my $self = $class->start($port, $opt{method} || 'GET', $path,
        [ Accept => 'text/event-stream' ], %opt) or return;

    $self->read_body
        if $self->{status} != 200
           || ($self->{headers}{'content-type'} // '')
              !~ /^text\/event-stream/;

    return $self;
}


# The next block: { event, id, data, retry, comment }, each only if present.

sub read_block {
    my ($self, $timeout) = @_;

    my $end = Time::HiRes::time() + ($timeout || $self->{timeout});
    my $chunked = ($self->{headers}{'transfer-encoding'} // '') eq 'chunked';

    while (1) {
        if ($chunked) {
            $self->unchunk;

        } else {
            $self->{body} .= $self->{in};
            $self->{in} = '';
        }

        if ($self->{body} =~ /\r\n\r\n|\n\n|\r\r/) {
            my $block = substr $self->{body}, 0, $-[0];
            substr $self->{body}, 0, $+[0], '';
            return parse_block($block);
        }

        return if $self->{ended} || !$self->fill($end);
    }
}


sub parse_block {
    my ($text) = @_;

    my %block = (raw => $text);

    for my $line (split /\r\n|\n|\r/, $text) {
        my ($name, $value) = $line =~ /^([^:]*):? ?(.*)$/s;

        $name = 'comment' if $name eq '' && $line =~ /^:/;

        $block{$name} = $name eq 'data' && defined $block{data}
            ? "$block{data}\n$value" : $value;
    }

    return \%block;
}


# The next block that is an event, comments and bare ids skipped.

sub read_event {
    my ($self, $timeout) = @_;

    my $end = Time::HiRes::time() + ($timeout || $self->{timeout});

    while (my $block = $self->read_block($end - Time::HiRes::time())) {
        $self->{last_id} = $block->{id} if defined $block->{id};
        return $block if defined $block->{data};
    }

    return;
}


sub read_json {
    my ($self, $timeout) = @_;

    my $block = $self->read_event($timeout) or return;

    @$self{qw(last_event close)} = ($block, undef);
    $self->{close} = $block->{data} if ($block->{event} // '') eq 'close';

    return $json->decode($block->{data});
}

1;
