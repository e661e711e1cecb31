# nginx with the delta module and a gateway at :8080/gateway.  Mount your own
# /etc/nginx/delta.conf (from conf/delta.conf, with the address of your Redis)
# and /etc/nginx/delta-jwks.json, the keys of your tokens.

FROM debian:bookworm-slim AS build

RUN apt-get update && apt-get install -y --no-install-recommends \
        gcc make libc6-dev nginx nginx-dev \
        libhiredis-dev libjansson-dev libssl-dev

COPY config config.make Makefile /delta/
COPY src /delta/src
WORKDIR /delta
RUN make build DEPS=no


FROM debian:bookworm-slim

RUN apt-get update && apt-get install -y --no-install-recommends \
        nginx libjansson4 \
    && rm -rf /var/lib/apt/lists/*

COPY --from=build /delta/build/ngx_http_delta_module.so \
        /usr/lib/nginx/modules/
COPY conf/delta.conf conf/events.json /etc/nginx/

RUN echo 'load_module modules/ngx_http_delta_module.so;' \
        > /etc/nginx/modules-enabled/50-mod-http-delta.conf \
    && nginx -t \
    && printf 'server {\n    listen 8080;\n    include delta.conf;\n}\n' \
        > /etc/nginx/sites-enabled/default \
    && ln -sf /dev/stdout /var/log/nginx/access.log \
    && ln -sf /dev/stderr /var/log/nginx/error.log

STOPSIGNAL SIGQUIT
EXPOSE 8080
CMD ["nginx", "-g", "daemon off;"]
