package Delta::Variants;

# Copyright (C) Delta contributors

# Events to hold against a contract: an example, and each part of it removed,
# replaced, multiplied, added to.  Whole numbers stay without exponents, as
# JavaScript cannot tell.

use strict;
use warnings;

use Exporter qw(import);
use JSON::PP ();

our @EXPORT_OK = qw(variants);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;


# As JSON text: of this type, with all that may be wrong in its d.

sub variants {
    my ($type, $example) = @_;

    my $text = $json->encode($example);

    return map { qq({"t":"$type","d":$_}) } grep { /^\{/ }
        $text, broken($json->decode($text));
}


sub broken {
    my ($value) = @_;

    my @odd = (undef, JSON::PP::true, JSON::PP::false, 0, -1, 1.5, 16777216,
               1234567890123456, -1234567890123456, '', 'A', 'a b', 'offline',
               'x' x 65, 'x' x 129, 'x' x 257, 'x' x 9000, "\x{1f600}" x 64,
               "\x{1f600}" x 65, "a\nb\"\\\x{e4}", 'a:b', 'a/b', 'a/b/c',
               '2025-02-30T10:30:16Z', '2025-07-28T10:30:16+02:00',
               '1.2', 'text/html', [], {}, [1], ['a'], [undef], [[]],
               [('a') x 11], [('a') x 65], [('a') x 257],
               { id => 'a' }, [{ id => 'a' }], [{ id => 'a', email => 1 }],
               [{ id => 'a', more => [{ ip => '192.0.2.1' }] }]);

    my @broken = map { $json->encode($_) } @odd;

    if (ref $value eq 'HASH') {
        for my $name (sort keys %$value) {
            my %rest = %$value;
            my $one = delete $rest{$name};
            my $others = $json->encode(\%rest);

            push @broken, $others, map { joined($others, $name, $_) }
                broken($one);
        }

        my $all = $json->encode($value);
        push @broken, map { joined($all, $_, '1') }
            qw(ip email not_known a/b~c);
    }

    if (ref $value eq 'ARRAY') {
        push @broken, map { "[$_]" } broken($value->[0]) if @$value;
        push @broken, $json->encode([(@$value) x 12]) if @$value;
    }

    return @broken;
}


sub joined {
    my ($object, $name, $value) = @_;

    $object =~ s/\}\z//;

    return $object . ($object eq '{' ? '' : ',') . "\"$name\":$value}";
}


1;
