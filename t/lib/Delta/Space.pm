package Delta::Space;

# Copyright (C) Delta contributors

# The whole of Delta for tests of spaces: Redis, the reference upstream, and
# nginx with /api/stream.

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(start_space_servers);


# With these options of Redis.

sub start_space_servers {
    my ($t, @redis) = @_;

    $t->start_redis(@redis);
    $t->start_upstream;

    $t->start_nginx($t->conf(http => <<'END', server => <<'END'), workers => 2);
    delta_redis %%REDIS%%;
    delta_jwt_key_file jwks.json;
    delta_channel space:* keep=1h window=100ms max=10 replay=50;
    upstream app { server %%UPSTREAM%%; }
END
    delta_jwt optional;
    delta_drain 1s;
    location = /api/stream {
        delta_gateway sse;
        delta_envelope space;
        delta_subscribe space:$arg_spaceId in=user:$delta_user:spaces;
        delta_backfill
            /internal/intentions?spaceId=$arg_spaceId&since=$delta_since;
    }
    location /internal/ {
        internal;
        delta_jwt off;
        proxy_pass http://app;
        proxy_set_header X-User $delta_user;
        proxy_pass_request_headers off;
        proxy_pass_request_body off;
        subrequest_output_buffer_size 256k;
    }
    location /api/ {
        proxy_pass http://app;
        proxy_set_header X-User $delta_user;
    }
END
}

1;
