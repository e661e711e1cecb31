package Delta::Presence;

# Copyright (C) Delta contributors

# What Redis tells of presence, as the judge of gateways:
#
#   my $judge = Delta::Presence->new($port);
#   $judge->news;                       # "ada online", "ben busy", since then
#
# and waiting with clients that must be heard meanwhile:
#
#   meanwhile(sub { @clients }, sub { … }, 10);

use strict;
use warnings;

use Delta::Process qw(wait_for);
use Delta::Redis;
use Exporter qw(import);
use JSON::PP ();
use Test::More ();
use Time::HiRes qw(time);

our @EXPORT_OK = qw(meanwhile);

my $json = JSON::PP->new->utf8;


sub new {
    my ($class, $port) = @_;

    my $redis = Delta::Redis->new($port);

    $redis->send('PSUBSCRIBE', 'presence:*');
    $redis->read;

    return bless { redis => $redis, version => {} }, $class;
}


# Fails where a version is not the one after the last of its user.

sub news {
    my ($self) = @_;

    my $version = $self->{version};
    my @news;

    while (my $reply = eval { $self->{redis}->read(0.05) }) {
        my ($user) = $reply->[2] =~ /^presence:(.*)/;
        my ($v, $text) = split / /, $reply->[3], 2;

        Test::More::fail("$user: version $v after $version->{$user}")
            if $version->{$user} && $v != $version->{$user} + 1;

        $version->{$user} = $v;
        push @news, "$user " . $json->decode($text)->{d}{s};
    }

    return @news;
}


# As wait_for; all but those that are to be silent answer now and then.

sub meanwhile {
    my ($clients, $condition, $timeout) = @_;

    my $beat = 0;

    return wait_for(sub {
        if (time - $beat > 0.5) {
            $beat = time;
            eval { $_->send_frame(10, '') }
                for grep { $_ && !$_->{mute} && !$_->{closing}
                           && $_->{socket} } $clients->();
        }

        return $condition->();
    }, $timeout);
}

1;
