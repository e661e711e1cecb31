package Delta::Chaos::Client;

# Copyright (C) Delta contributors

# A client as the SDK is one, on either transport, without ever blocking: it
# keeps the last id of each channel and the cursor, drops what is not new,
# and comes back with since= and at=.  What it is told goes to the record.
#
# due() says when it wants to be called again by tick(); wants() which of
# (read, write); then readable() and writable().

use strict;
use warnings;

use Delta::Chaos::Record;
use Fcntl qw(F_SETFL O_NONBLOCK);
use JSON::PP ();
use Socket;
use Time::HiRes qw(time);

my $json = JSON::PP->new->canonical->utf8;

our %FINE = map { $_ => 1 } 4001, 4002, 4003;       # closes that may happen
our @CUTS = qw(open head ready replay replay replay);


sub new {
    my ($class, %opt) = @_;

    return bless {
        last => {}, position => {}, covered => {}, merged => {}, journal => [],
        seen => { map { $_ => [] } @{ $opt{channels} } },
        mine => { map { $_ => 1 } @{ $opt{channels} } },
        in => '', body => '', state => 'away', due => 0, connections => 0,
        attempts => 0, %opt,
    }, $class;
}


sub journal {
    my ($self, $text) = @_;

    push @{ $self->{journal} }, [ time, $text ];
}


sub count {
    my ($self, $what) = @_;

    $self->{stats}{$what}++;
}


sub wrong {
    my ($self, $kind, $text) = @_;

    $self->journal("wrong: $text");
    $self->{record}->wrong($kind, "$self->{name}: $text");
}


# The connection.

sub connect {
    my ($self) = @_;

    socket my $fh, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
    fcntl $fh, F_SETFL, O_NONBLOCK;
    setsockopt $fh, SOL_SOCKET, SO_RCVBUF, 8192 if $self->{tight};
    CORE::connect $fh, sockaddr_in($self->{port}, INADDR_LOOPBACK);

    @$self{qw(fh in body state)} = ($fh, '', '', 'head');
    @$self{qw(after_ms code late parked newest ended)} = ();
    @$self{qw(order fresh)} = ({}, 0);

    $self->{connections}++;
    $self->{out} = $self->request;
    $self->{connected} = time;
    $self->{due} = $self->{patience} = time + 10;

    # some are cut off at the worst moment
    $self->{cut} = $self->{random}->number < $self->{cuts}
        ? $self->{random}->one(@CUTS) : '';
    $self->{cut_after} = int $self->{random}->number(60);
}


sub request {
    my ($self) = @_;

    my @headers = ("Host: 127.0.0.1", "Authorization: Bearer $self->{token}");
    my $query = '';
    my $how = 'fresh';

    if ($self->{kind} eq 'sse' && $self->{cursor}
        && $self->{random}->number < 0.5)
    {
        push @headers, "Last-Event-ID: $self->{cursor}";
        $self->{listed} = {};
        $how = "last-event-id $self->{cursor}";

    } else {
        my $at = $self->at;
        my @query = map { my ($k, $v) = @$_; $v ? "$k=" . escape($v) : () }
            [ since => $self->{cursor} ], [ at => $at ];

        $query = join '&', @query;
        $how = $query if $query;
        $query = "?$query" if $query;
    }

    # nothing is replayed of what neither of them names: fetched after ready
    $self->{fresh} = !$self->{cursor};

    push @headers, $self->{kind} eq 'ws'
        ? ('Upgrade: websocket', 'Connection: Upgrade',
           'Sec-WebSocket-Version: 13',
           'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')
        : ('Accept: text/event-stream');

    $self->journal("connect $how");

    return join "\r\n", "GET $self->{path}$query HTTP/1.1", @headers, '', '';
}


# Positions above the cursor, newest first.

sub at {
    my ($self) = @_;

    my ($ms) = ($self->{cursor} // '') =~ /\.(\d+)$/;
    my $position = $self->{position};

    my @new = sort { $position->{$b} <=> $position->{$a} }
        grep { !$ms || $position->{$_} >> 20 > $ms } keys %$position;

    $self->{listed} = { map { $_ => 1 } @new };

    return join ',', map { "$_=" . Delta::Chaos::Record::text($position->{$_}) }
        @new;
}


sub escape {
    my ($text) = @_;

    $text =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ge;

    return $text;
}


sub disconnect {
    my ($self, $why, $pause) = @_;

    return unless $self->{fh};

    $self->journal("gone: $why");
    $self->count("end: $why");

    close delete $self->{fh};
    $self->{state} = 'away';
    $self->{stalled} = 0;
    $self->{due} = time + ($pause // $self->{random}->between(0.02, 0.3));
}


# Cut off: rst or fin.

sub cut {
    my ($self, $how) = @_;

    return unless $self->{fh};

    setsockopt $self->{fh}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0
        if $how eq 'rst';
    $self->disconnect("cut by $how");
}


sub cut_here {
    my ($self, $where) = @_;

    return 0 if $self->{cut} ne $where;

    $self->{cut} = '';
    $self->count("cut during $where");
    $self->cut($self->{random}->one(qw(rst fin)));

    return 1;
}


sub stall {
    my ($self, $seconds) = @_;

    return if $self->{state} ne 'open';

    $self->journal('stalls');
    $self->{stalled} = time + $seconds;
}


sub wants {
    my ($self) = @_;

    return $self->{fh} ? (!$self->{stalled}, length $self->{out}) : ();
}


sub tick {
    my ($self, $now) = @_;

    if ($self->{stalled} && $now >= $self->{stalled}) {
        $self->{stalled} = 0;
        $self->{patience} = $now + 10;
        $self->journal('reads on');
    }

    return if $now < $self->{due};

    if (!$self->{fh}) {
        return $self->connect;
    }

    if ($now > $self->{patience} && !$self->{stalled}) {
        return $self->disconnect('no answer');
    }

    $self->{due} = $now + $self->{random}->between(0.5, 1.2);

    $self->say({ t => 'heartbeat', d => {} })
        if $self->{kind} eq 'ws' && $self->{state} eq 'open';
}


sub say {
    my ($self, $data) = @_;

    $self->{out} .= Delta::Client::WS->frame(1, $json->encode($data));
}


sub writable {
    my ($self) = @_;

    my $n = syswrite $self->{fh}, $self->{out};

    if (!defined $n) {
        $self->disconnect('write failed') unless $!{EAGAIN};
        return;
    }

    substr $self->{out}, 0, $n, '';

    $self->cut_here('open') if $self->{state} eq 'head' && $self->{out} eq '';
}


sub readable {
    my ($self) = @_;

    my $n = sysread $self->{fh}, $self->{in}, 262144, length $self->{in};

    if (!$n) {
        return if !defined $n && $!{EAGAIN};
        return $self->disconnect($n // 1 ? 'reset' : 'eof');
    }

    $self->head if $self->{state} eq 'head';

    return if !$self->{fh} || $self->{state} eq 'head';

    $self->{kind} eq 'ws' ? $self->frames : $self->blocks;
}


sub head {
    my ($self) = @_;

    $self->{in} =~ /\r\n\r\n/ or return;

    my $head = substr $self->{in}, 0, $+[0], '';
    my ($status) = $head =~ /^HTTP\/1\.1 (\d+)/;

    if ($status == 503) {
        my ($after) = $head =~ /^Retry-After: (\d+)/mi;
        my $pause = ($after || 1) * $self->{random}->between(0.1, 1);
        return $self->disconnect('503', $pause > 2 ? 2 : $pause);
    }

    if ($status != ($self->{kind} eq 'ws' ? 101 : 200)) {
        $self->wrong('protocol', "status $status");
        return $self->disconnect("status $status", 1);
    }

    $self->{state} = 'unready';
    $self->cut_here('head');
}


# WebSocket.

sub frames {
    my ($self) = @_;

    my ($at, $in) = (0, \$self->{in});

    while (length($$in) - $at >= 2) {
        my ($first, $length) = unpack 'CC', substr $$in, $at, 2;
        my $head = 2;

        if ($length == 126) {
            last if length($$in) - $at < ($head = 4);
            $length = unpack 'n', substr $$in, $at + 2, 2;

        } elsif ($length == 127) {
            last if length($$in) - $at < ($head = 10);
            $length = unpack 'Q>', substr $$in, $at + 2, 8;
        }

        last if length($$in) - $at < $head + $length;

        my $payload = substr $$in, $at + $head, $length;
        my $opcode = $first & 15;
        $at += $head + $length;

        if ($opcode == 1) {
            $self->message($payload);

        } elsif ($opcode == 8) {
            my ($code) = unpack 'n', $payload;
            return $self->closed($code // 1005);

        } elsif ($opcode == 9) {
            $self->{out} .= Delta::Client::WS->frame(10, $payload);
        }

        return unless $self->{fh};
    }

    substr $$in, 0, $at, '';
}


# An event stream, in chunks.

sub blocks {
    my ($self) = @_;

    my $in = \$self->{in};
    my $at = 0;

    while (1) {
        my $end = index $$in, "\r\n", $at;
        last if $end < 0;

        my $size = hex substr $$in, $at, $end - $at;
        last if length($$in) < $end + $size + 4;

        $self->{body} .= substr $$in, $end + 2, $size;
        $at = $end + $size + 4;

        if ($size == 0) {
            $self->{ended} = 1;
            last;
        }
    }

    substr $$in, 0, $at, '';
    $at = 0;

    while ((my $end = index $self->{body}, "\n\n", $at) >= 0) {
        my $block = substr $self->{body}, $at, $end - $at;
        $at = $end + 2;

        if ($block =~ /^event: close\ndata: \{"code":(\d+)/) {
            return $self->closed($1);

        } elsif ($block =~ /^data: (.*)/m) {
            $self->message($1);

        } elsif ($block =~ /^id: (.*)/) {
            $self->cursor($1);
        }

        return unless $self->{fh};
    }

    substr $self->{body}, 0, $at, '';

    $self->disconnect('end of stream') if $self->{ended};
}


sub closed {
    my ($self, $code) = @_;

    my $pause = $self->{random}->between(0.02, 0.4);

    $pause = $self->{after_ms} / 1000
        if $code == 4001 && defined $self->{after_ms};
    $pause = 2 if $pause > 2;

    $self->wrong('protocol', "closed with $code") unless $FINE{$code};
    $self->disconnect("closed $code", $pause);
}


# What it is told.

sub message {
    my ($self, $text) = @_;

    $self->{patience} = time + 8;

    return $self->event($2, $3, $1, $4)
        if $text =~ /^\{"v":1,"t":"(note|patch)","c":"([^"]+)",
                     (?:"id":"(\d+-\d+)",)?"d":(.*)\}$/x;

    my $data = eval { $json->decode($text) };
    my $t = $data->{t} // '';
    my $handler = { ready => \&ready, resync => \&resync,
                    heartbeat_ack => sub { $_[0]->cursor($_[1]{cursor}) },
                    reconnect => sub { $_[0]{after_ms} = $_[1]{after_ms};
                                       $_[0]->count('told to reconnect') },
                    resumed => sub { } }->{$t};

    return $self->wrong('protocol', substr $text, 0, 200) unless $handler;

    $self->wrong('protocol', "before ready: $t")
        if $self->{state} ne 'open' && $t !~ /^(?:ready|reconnect)$/;

    $handler->($self, $data->{d});
}


sub ready {
    my ($self, $d) = @_;

    my @have = sort @{ $d->{channels} };
    my @want = sort keys %{ $self->{mine} };

    $self->wrong('protocol', "has @have instead of @want")
        if "@have" ne "@want";

    $self->{state} = 'open';
    $self->{ready_at} = time;
    $self->{due} = time + $self->{random}->between(0.1, 1);
    $self->journal('ready ' . ($d->{cursor} // 'without a cursor'));

    if ($self->{fresh}) {
        $self->fetch(grep { !$self->{listed}{$_} } @want);
    }

    $self->cursor($d->{cursor});
    $self->cut_here('ready');
}


sub cursor {
    my ($self, $cursor) = @_;

    return if !defined $cursor || $cursor eq ($self->{cursor} // '');

    my ($ms) = $cursor =~ /^\d+\.(\d+)$/
        or return $self->wrong('protocol', "cursor $cursor");

    $self->{cursor} = $cursor;
    push @$_, "K$ms" for values %{ $self->{seen} };
}


# The state is fetched: it has all that was made so far.

sub fetch {
    my ($self, @channels) = @_;

    my $g = $self->{record}{g};

    for my $channel (@channels) {
        push @{ $self->{seen}{$channel} }, -$g;
        $self->{covered}{$channel} = $g;
        delete $self->{position}{$channel};
    }
}


sub resync {
    my ($self, $d) = @_;

    my $channel = $d->{channel};

    $self->journal("resync $d->{reason} " . ($channel // 'all'));
    $self->{judge}->($self, $channel, $d->{reason});

    if (defined $channel) {
        $self->fetch($channel);
        return;
    }

    $self->fetch(keys %{ $self->{mine} });
    delete $self->{cursor};
    $self->cursor($d->{cursor});
}


sub event {
    my ($self, $channel, $id, $t, $d) = @_;

    if ($self->{state} ne 'open' || !$self->{mine}{$channel}) {
        return $self->wrong('protocol', "$channel: an event unasked for");
    }

    return $self->part($channel, $t, $d) if !defined $id;

    my $number = Delta::Chaos::Record::number($id);
    my $order = $self->{order}{$channel} // 0;

    # what was replayed may come once more, live, if it was logged meanwhile
    if ($number <= $order
        && $number >> 20 > ($self->{ready_at} + $Delta::SLOW) * 1000)
    {
        my $how = $number == $order ? 'twice' : 'behind a later one';
        $self->wrong('order', "$channel: " . Delta::Chaos::Record::text($number)
                              . " came $how on one connection");
    }

    $self->{order}{$channel} = $number if $number > $order;

    if ($number <= ($self->{last}{$channel} // 0)) {
        $self->count('dropped as known');
        return;
    }

    my $g = $self->{record}->received($self->{name}, $channel, $number, $t,
                                      $d) // return;

    # one that was replayed may take back what a fetch had brought
    delete $self->{covered}{$channel};

    @{ $self->{$_} }{$channel} = $number for qw(last position);
    $self->count('deliveries');

    $self->{merged}{$g} = $d if $d ne $self->{record}{d}[$g];
    push @{ $self->{seen}{$channel} }, $g
        unless $self->{break} && $self->{break}->($self, $channel, $g);

    $self->cut_here('replay')
        if $self->{cut} eq 'replay' && $self->{cut_after}-- <= 0;
}


# A merged patch before which something is still to come: it is applied, and
# changes no position.

sub part {
    my ($self, $channel, $t, $d) = @_;

    my $g = $self->{record}->claimed($self->{name}, $channel, $t, $d)
        // return;

    $self->wrong('protocol', "$channel: no id: $t $d") if $t ne 'patch';

    $self->count('without an id');
    push @{ $self->{seen}{$channel} }, "P$g $d";
}


# Whether nothing is missing up to these newest numbers.

sub caught_up {
    my ($self, $newest) = @_;

    return 0 if $self->{state} ne 'open' || $self->{stalled};

    for my $channel (keys %{ $self->{mine} }) {
        my $g = $newest->{$channel} or next;

        return 0
            if ($self->{last}{$channel} // 0) < $self->{record}{id}[$g]
               && ($self->{covered}{$channel} // 0) < $g;
    }

    return 1;
}

1;
