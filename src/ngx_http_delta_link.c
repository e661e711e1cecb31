
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_link.h"
#include "ngx_http_delta_metrics.h"


#define NGX_HTTP_DELTA_BACKOFF_MIN  50
#define NGX_HTTP_DELTA_BACKOFF_MAX  5000
#define NGX_HTTP_DELTA_TURN         32768   /* bytes read in a turn */


static void ngx_http_delta_link_connect(ngx_http_delta_link_t *link);
static void ngx_http_delta_link_connected(ngx_http_delta_link_t *link);
static void ngx_http_delta_link_write_handler(ngx_event_t *wev);
static void ngx_http_delta_link_flush_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_delta_link_flush(ngx_http_delta_link_t *link);
static void ngx_http_delta_link_read_handler(ngx_event_t *rev);
static ngx_int_t ngx_http_delta_link_parse(ngx_http_delta_link_t *link);
static void ngx_http_delta_link_timer_handler(ngx_event_t *ev);
static void ngx_http_delta_link_lost(ngx_http_delta_link_t *link,
    const char *why);
static void ngx_http_delta_link_drop(ngx_http_delta_link_t *link);


void
ngx_http_delta_link_open(ngx_http_delta_link_t *link)
{
    link->timer.handler = ngx_http_delta_link_timer_handler;
    link->timer.data = link;
    link->timer.log = link->hub->worker->log;
    link->timer.cancelable = 1;

    link->flush.handler = ngx_http_delta_link_flush_handler;
    link->flush.data = link;
    link->flush.log = link->hub->worker->log;

    ngx_http_delta_link_connect(link);
}


void
ngx_http_delta_link_close(ngx_http_delta_link_t *link)
{
    ngx_http_delta_link_drop(link);

    if (link->out) {
        ngx_free(link->out);
        link->out = NULL;
        link->out_size = 0;
    }
}


static void
ngx_http_delta_link_connect(ngx_http_delta_link_t *link)
{
    ngx_int_t                     rc;
    ngx_addr_t                   *addr;
    ngx_connection_t             *c;
    ngx_http_delta_redis_conf_t  *conf;

    conf = link->hub->conf;
    addr = &conf->addrs[link->address++ % conf->naddrs];

    ngx_memzero(&link->peer, sizeof(ngx_peer_connection_t));

    link->peer.sockaddr = addr->sockaddr;
    link->peer.socklen = addr->socklen;
    link->peer.name = &addr->name;
    link->peer.get = ngx_event_get_peer;
    link->peer.log = link->hub->worker->log;
    link->peer.log_error = NGX_ERROR_ERR;

    rc = ngx_event_connect_peer(&link->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_delta_link_lost(link, "could not connect");
        return;
    }

    c = link->peer.connection;
    c->data = link;
    c->read->handler = ngx_http_delta_link_read_handler;
    c->write->handler = ngx_http_delta_link_write_handler;

    link->reader = redisReaderCreate();
    if (link->reader == NULL) {
        ngx_http_delta_link_lost(link, "no memory");
        return;
    }

    if (rc == NGX_AGAIN) {
        c->write->cancelable = 1;
        ngx_add_timer(c->write, conf->connect_timeout);
        return;
    }

    ngx_http_delta_link_connected(link);
}


static void
ngx_http_delta_link_connected(ngx_http_delta_link_t *link)
{
    int                err;
    socklen_t          len;
    ngx_connection_t  *c;

    c = link->peer.connection;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_log_error(NGX_LOG_ERR, c->log, err, "delta: connect() to %V failed",
                      &link->hub->conf->name);
        ngx_http_delta_link_lost(link, NULL);
        return;
    }

    if (c->addr_text.len == 0) {
        (void) ngx_tcp_nodelay(c);
    }

    link->heard = ngx_current_msec;
    ngx_add_timer(&link->timer, link->hub->conf->read_timeout);

    link->opened(link);

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_delta_link_lost(link, "event failure");
    }
}


static void
ngx_http_delta_link_write_handler(ngx_event_t *wev)
{
    ngx_connection_t       *c;
    ngx_http_delta_link_t  *link;

    c = wev->data;
    link = c->data;

    if (wev->timedout) {
        ngx_http_delta_link_lost(link, "connect timed out");
        return;
    }

    if (!link->timer.timer_set) {
        ngx_http_delta_link_connected(link);
        return;
    }

    if (ngx_http_delta_link_flush(link) != NGX_OK) {
        ngx_http_delta_link_lost(link, "write failed");
    }
}


static void
ngx_http_delta_link_flush_handler(ngx_event_t *ev)
{
    ngx_http_delta_link_t  *link;

    link = ev->data;

    if (link->peer.connection && ngx_http_delta_link_flush(link) != NGX_OK) {
        ngx_http_delta_link_lost(link, "write failed");
    }
}


static ngx_int_t
ngx_http_delta_link_flush(ngx_http_delta_link_t *link)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = link->peer.connection;

    while (link->out_pos < link->out_last) {
        n = c->send(c, link->out + link->out_pos,
                    link->out_last - link->out_pos);

        if (n == NGX_AGAIN) {
            return ngx_handle_write_event(c->write, 0);
        }

        if (n <= 0) {
            return NGX_ERROR;
        }

        link->out_pos += n;
    }

    link->out_pos = link->out_last = 0;

    if (link->out_size > NGX_HTTP_DELTA_SCRATCH) {
        ngx_free(link->out);
        link->out = NULL;
        link->out_size = 0;
    }

    return NGX_OK;
}


static void
ngx_http_delta_link_read_handler(ngx_event_t *rev)
{
    u_char                 *buf;
    size_t                  left;
    ssize_t                 n;
    ngx_connection_t       *c;
    ngx_http_delta_link_t  *link;

    c = rev->data;
    link = c->data;

    if (c->close) {
        /* worker_shutdown_timeout: exit_process closes what is left */
        return;
    }

    buf = link->hub->worker->scratch;
    left = NGX_HTTP_DELTA_TURN;

    /* called by epoll while put off from the last turn: once is enough */

    if (rev->posted) {
        ngx_delete_posted_event(rev);
    }

    while (left) {
        n = c->recv(c, buf, left);

        if (n == NGX_AGAIN) {
            if (ngx_handle_read_event(rev, 0) != NGX_OK) {
                ngx_http_delta_link_lost(link, "event failure");
            }

            return;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_http_delta_link_lost(link, "connection closed");
            return;
        }

        link->heard = ngx_current_msec;
        link->unread += n;

        if (redisReaderFeed(link->reader, (char *) buf, n) != REDIS_OK) {
            ngx_http_delta_link_lost(link, "reply is not RESP");
            return;
        }

        if (ngx_http_delta_link_parse(link) != NGX_OK) {
            return;
        }

        if (link->unread > NGX_HTTP_DELTA_MAX_REPLY) {
            ngx_http_delta_link_lost(link, "reply is over 16 MB");
            return;
        }

        left -= n;
    }

    /* who is not slow must not overflow: let the sessions write first */
    ngx_post_event(rev, &ngx_posted_next_events);
}


/* NGX_ERROR: the link is gone. */

static ngx_int_t
ngx_http_delta_link_parse(ngx_http_delta_link_t *link)
{
    void       *reply;
    ngx_int_t   rc;

    for ( ;; ) {
        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
            ngx_http_delta_link_lost(link, "reply is not RESP");
            return NGX_ERROR;
        }

        if (reply == NULL) {
            return NGX_OK;
        }

        link->unread = 0;

        rc = link->reply(link, reply);

        freeReplyObject(reply);

        if (rc != NGX_OK) {
            ngx_http_delta_link_lost(link, "refused, or not a Redis");
            return NGX_ERROR;
        }
    }
}


static void
ngx_http_delta_link_timer_handler(ngx_event_t *ev)
{
    ngx_msec_t              quiet, timeout;
    ngx_http_delta_link_t  *link;

    link = ev->data;

    if (link->peer.connection == NULL) {
        if (!ngx_exiting) {
            ngx_http_delta_link_connect(link);
        }

        return;
    }

    timeout = link->hub->conf->read_timeout;
    quiet = ngx_current_msec - link->heard;

    if (quiet >= 2 * timeout - timeout / 4) {
        ngx_http_delta_link_lost(link, "no answer to PING");
        return;
    }

    if (link->ready) {
        /* not earlier: there is what greets and then hangs up */
        link->attempts = 0;

        link->quiet(link);
    }

    ngx_add_timer(&link->timer, timeout);
}


static void
ngx_http_delta_link_lost(ngx_http_delta_link_t *link, const char *why)
{
    ngx_uint_t             was_ready;
    ngx_msec_t             delay;
    ngx_http_delta_hub_t  *hub;

    hub = link->hub;
    was_ready = link->ready;

    if (why) {
        ngx_log_error((link->ready ? NGX_LOG_WARN : NGX_LOG_INFO),
                      hub->worker->log, 0, "delta: %s link to %V is down: %s",
                      link->pubsub ? "pub/sub" : "command", &hub->conf->name,
                      why);
    }

    ngx_http_delta_metric(hub->worker, REDIS_LOSSES, 1);

    ngx_http_delta_link_drop(link);

    delay = NGX_HTTP_DELTA_BACKOFF_MIN << ngx_min(link->attempts++, 7);
    delay = ngx_min(delay, NGX_HTTP_DELTA_BACKOFF_MAX);
    delay = NGX_HTTP_DELTA_BACKOFF_MIN / 2 + (ngx_msec_t) ngx_random() % delay;

    ngx_add_timer(&link->timer, delay);

    link->lost(link, was_ready);
}


static void
ngx_http_delta_link_drop(ngx_http_delta_link_t *link)
{
    link->ready = 0;
    link->unread = 0;
    link->out_pos = link->out_last = 0;

    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    if (link->flush.posted) {
        ngx_delete_posted_event(&link->flush);
    }

    if (link->reader) {
        redisReaderFree(link->reader);
        link->reader = NULL;
    }

    if (link->peer.connection) {
        ngx_close_connection(link->peer.connection);
        link->peer.connection = NULL;
    }
}


u_char *
ngx_http_delta_link_reserve(ngx_http_delta_link_t *link, size_t size)
{
    u_char  *out;
    size_t   used, want;

    used = link->out_last - link->out_pos;

    if (used + size > NGX_HTTP_DELTA_MAX_OUT) {
        return NULL;
    }

    if (link->out_last + size <= link->out_size) {
        return link->out + link->out_last;
    }

    want = ngx_max(link->out_size, 4096);

    while (want < used + size) {
        want *= 2;
    }

    out = ngx_alloc(want, link->hub->worker->log);
    if (out == NULL) {
        return NULL;
    }

    if (link->out) {
        ngx_memcpy(out, link->out + link->out_pos, used);
        ngx_free(link->out);
    }

    link->out = out;
    link->out_size = want;
    link->out_pos = 0;
    link->out_last = used;

    return out + used;
}


void
ngx_http_delta_link_send(ngx_http_delta_link_t *link, u_char *last)
{
    link->out_last = last - link->out;

    if (!link->flush.posted) {
        ngx_post_event(&link->flush, &ngx_posted_events);
    }
}
