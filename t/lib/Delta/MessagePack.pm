package Delta::MessagePack;

# Copyright (C) Delta contributors

# MessagePack as the tests read and write it: only what JSON can say, and only
# in its shortest form, so that what the gateway sends must have that.

use strict;
use warnings;

use Encode qw(decode_utf8 encode_utf8);
use JSON::PP ();

my %integer = (0xcc => [ 1, 'C', 0x80 ], 0xcd => [ 2, 'n', 0x100 ],
               0xce => [ 4, 'N', 0x10000 ], 0xcf => [ 8, 'Q>', 2 ** 32 ],
               0xd0 => [ 1, 'c', -0x21 ], 0xd1 => [ 2, 's>', -0x81 ],
               0xd2 => [ 4, 'l>', -0x8001 ], 0xd3 => [ 8, 'q>', -2 ** 31 - 1 ]);

my %sized = (0xd9 => [ 'string', 1, 'C', 32 ],
             0xda => [ 'string', 2, 'n', 0x100 ],
             0xdb => [ 'string', 4, 'N', 0x10000 ],
             0xdc => [ 'array', 2, 'n', 16 ],
             0xdd => [ 'array', 4, 'N', 0x10000 ],
             0xde => [ 'map', 2, 'n', 16 ],
             0xdf => [ 'map', 4, 'N', 0x10000 ]);


# One value and nothing behind it; dies otherwise.

sub decode {
    my ($bytes) = @_;

    my $value = value(\$bytes);
    die "MessagePack: something is behind it\n" if length $bytes;

    return $value;
}


sub value {
    my ($in) = @_;

    my $type = number($in, 1, 'C');

    return $type if $type < 0x80;
    return map_of($in, $type & 15) if $type < 0x90;
    return array($in, $type & 15) if $type < 0xa0;
    return string($in, $type & 31) if $type < 0xc0;
    return $type - 256 if $type >= 0xe0;
    return undef if $type == 0xc0;
    return JSON::PP::false if $type == 0xc2;
    return JSON::PP::true if $type == 0xc3;
    return number($in, 8, 'd>') if $type == 0xcb;

    if (my $form = $integer{$type}) {
        my ($size, $pack, $least) = @$form;
        my $number = number($in, $size, $pack);
        die "MessagePack: $number in too many bytes\n"
            if $least > 0 ? $number < $least : $number > $least;
        return $number;
    }

    my ($kind, $size, $pack, $least) = @{ $sized{$type}
        or die sprintf "MessagePack: type 0x%02x\n", $type };
    my $length = number($in, $size, $pack);

    die "MessagePack: length $length in too many bytes\n" if $length < $least;

    return $kind eq 'string' ? string($in, $length)
         : $kind eq 'array' ? array($in, $length) : map_of($in, $length);
}


sub bytes {
    my ($in, $length) = @_;

    die "MessagePack: it ends too soon\n" if length $$in < $length;

    return substr $$in, 0, $length, '';
}


sub number {
    my ($in, $size, $pack) = @_;

    return unpack $pack, bytes($in, $size);
}


sub string {
    my ($in, $length) = @_;

    return decode_utf8(bytes($in, $length), Encode::FB_CROAK);
}


sub array {
    my ($in, $length) = @_;

    return [ map { scalar value($in) } 1 .. $length ];
}


sub map_of {
    my ($in, $length) = @_;

    my %map;

    for (1 .. $length) {
        my $key = value($in);
        die "MessagePack: a key is no string\n" if ref $key || !defined $key;
        $map{$key} = value($in);
    }

    return \%map;
}


# Strings, whole numbers up to 2**32 (a number is what has been no string),
# lists and hashes.

sub encode {
    my ($value) = @_;

    return "\xc0" unless defined $value;

    return head(0x80, 16, 0xde, scalar keys %$value)
        . join '', map { encode($_) . encode($value->{$_}) } sort keys %$value
        if ref $value eq 'HASH';

    return head(0x90, 16, 0xdc, scalar @$value) . join '', map { encode($_) }
        @$value if ref $value eq 'ARRAY';

    if (JSON::PP->new->allow_nonref->encode($value) =~ /^-?\d/) {
        return $value >= 0 && $value < 0x80 ? pack('C', $value)
             : $value >= 0 ? pack('CN', 0xce, $value)
             : pack('Cq>', 0xd3, $value);
    }

    my $text = encode_utf8($value);

    return head(0xa0, 32, 0xda, length $text) . $text;
}


sub head {
    my ($short, $least, $long, $length) = @_;

    return $length < $least ? chr($short | $length)
                            : pack('Cn', $long, $length);
}

1;
