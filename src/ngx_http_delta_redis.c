
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_metrics.h"


#define NGX_HTTP_DELTA_BACKOFF_MIN  50
#define NGX_HTTP_DELTA_BACKOFF_MAX  5000
#define NGX_HTTP_DELTA_TURN         32768   /* bytes read in a turn */


static void ngx_http_delta_redis_link_init(ngx_http_delta_hub_t *hub,
    ngx_http_delta_link_t *link, ngx_uint_t pubsub);
static void ngx_http_delta_redis_connect(ngx_http_delta_link_t *link);
static void ngx_http_delta_redis_connected(ngx_http_delta_link_t *link);
static void ngx_http_delta_redis_write_handler(ngx_event_t *wev);
static void ngx_http_delta_redis_flush_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_delta_redis_flush(ngx_http_delta_link_t *link);
static void ngx_http_delta_redis_read_handler(ngx_event_t *rev);
static ngx_int_t ngx_http_delta_redis_parse(ngx_http_delta_link_t *link);
static ngx_int_t ngx_http_delta_redis_reply(ngx_http_delta_link_t *link,
    redisReply *reply);
static ngx_int_t ngx_http_delta_redis_push(ngx_http_delta_link_t *link,
    redisReply *reply);
static void ngx_http_delta_redis_hello(ngx_http_delta_link_t *link);
static void ngx_http_delta_redis_greeted(void *data, redisReply *reply);
static void ngx_http_delta_redis_up(void *data, redisReply *reply);
static void ngx_http_delta_redis_version(void *data, redisReply *reply);
static void ngx_http_delta_redis_loaded(void *data, redisReply *reply);
static void ngx_http_delta_redis_timer_handler(ngx_event_t *ev);
static void ngx_http_delta_redis_lost(ngx_http_delta_link_t *link,
    const char *why);
static void ngx_http_delta_redis_drop(ngx_http_delta_link_t *link);
static u_char *ngx_http_delta_redis_reserve(ngx_http_delta_link_t *link,
    size_t size);


void
ngx_http_delta_redis_open(ngx_http_delta_hub_t *hub)
{
    ngx_http_delta_redis_link_init(hub, &hub->pubsub, 1);
    ngx_http_delta_redis_link_init(hub, &hub->command, 0);

    ngx_http_delta_redis_connect(&hub->pubsub);
    ngx_http_delta_redis_connect(&hub->command);
}


static void
ngx_http_delta_redis_link_init(ngx_http_delta_hub_t *hub,
    ngx_http_delta_link_t *link, ngx_uint_t pubsub)
{
    link->hub = hub;
    link->pubsub = pubsub;
    ngx_queue_init(&link->calls);

    link->timer.handler = ngx_http_delta_redis_timer_handler;
    link->timer.data = link;
    link->timer.log = hub->worker->log;
    link->timer.cancelable = 1;

    link->flush.handler = ngx_http_delta_redis_flush_handler;
    link->flush.data = link;
    link->flush.log = hub->worker->log;
}


void
ngx_http_delta_redis_close(ngx_http_delta_hub_t *hub)
{
    ngx_uint_t              i;
    ngx_http_delta_link_t  *links[] = { &hub->pubsub, &hub->command };

    for (i = 0; i < 2; i++) {
        ngx_http_delta_redis_drop(links[i]);

        if (links[i]->out) {
            ngx_free(links[i]->out);
            links[i]->out = NULL;
        }
    }
}


static void
ngx_http_delta_redis_connect(ngx_http_delta_link_t *link)
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
        ngx_http_delta_redis_lost(link, "could not connect");
        return;
    }

    c = link->peer.connection;
    c->data = link;
    c->read->handler = ngx_http_delta_redis_read_handler;
    c->write->handler = ngx_http_delta_redis_write_handler;

    link->reader = redisReaderCreate();
    if (link->reader == NULL) {
        ngx_http_delta_redis_lost(link, "no memory");
        return;
    }

    if (rc == NGX_AGAIN) {
        c->write->cancelable = 1;
        ngx_add_timer(c->write, conf->connect_timeout);
        return;
    }

    ngx_http_delta_redis_connected(link);
}


static void
ngx_http_delta_redis_connected(ngx_http_delta_link_t *link)
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
        ngx_http_delta_redis_lost(link, NULL);
        return;
    }

    if (c->addr_text.len == 0) {
        (void) ngx_tcp_nodelay(c);
    }

    link->heard = ngx_current_msec;
    ngx_add_timer(&link->timer, link->hub->conf->read_timeout);

    ngx_http_delta_redis_hello(link);

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_delta_redis_lost(link, "event failure");
    }
}


static void
ngx_http_delta_redis_write_handler(ngx_event_t *wev)
{
    ngx_connection_t       *c;
    ngx_http_delta_link_t  *link;

    c = wev->data;
    link = c->data;

    if (wev->timedout) {
        ngx_http_delta_redis_lost(link, "connect timed out");
        return;
    }

    if (!link->timer.timer_set) {
        ngx_http_delta_redis_connected(link);
        return;
    }

    if (ngx_http_delta_redis_flush(link) != NGX_OK) {
        ngx_http_delta_redis_lost(link, "write failed");
    }
}


static void
ngx_http_delta_redis_flush_handler(ngx_event_t *ev)
{
    ngx_http_delta_link_t  *link;

    link = ev->data;

    if (link->peer.connection && ngx_http_delta_redis_flush(link) != NGX_OK) {
        ngx_http_delta_redis_lost(link, "write failed");
    }
}


static ngx_int_t
ngx_http_delta_redis_flush(ngx_http_delta_link_t *link)
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
ngx_http_delta_redis_read_handler(ngx_event_t *rev)
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
                ngx_http_delta_redis_lost(link, "event failure");
            }

            return;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_http_delta_redis_lost(link, "connection closed");
            return;
        }

        link->heard = ngx_current_msec;
        link->unread += n;

        if (redisReaderFeed(link->reader, (char *) buf, n) != REDIS_OK) {
            ngx_http_delta_redis_lost(link, "reply is not RESP");
            return;
        }

        if (ngx_http_delta_redis_parse(link) != NGX_OK) {
            return;
        }

        if (link->unread > NGX_HTTP_DELTA_MAX_REPLY) {
            ngx_http_delta_redis_lost(link, "reply is over 16 MB");
            return;
        }

        left -= n;
    }

    /* who is not slow must not overflow: let the sessions write first */
    ngx_post_event(rev, &ngx_posted_next_events);
}


/* NGX_ERROR: the link is gone. */

static ngx_int_t
ngx_http_delta_redis_parse(ngx_http_delta_link_t *link)
{
    void       *reply;
    ngx_int_t   rc;

    for ( ;; ) {
        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
            ngx_http_delta_redis_lost(link, "reply is not RESP");
            return NGX_ERROR;
        }

        if (reply == NULL) {
            return NGX_OK;
        }

        link->unread = 0;

        rc = ngx_http_delta_redis_reply(link, reply);

        freeReplyObject(reply);

        if (rc != NGX_OK) {
            ngx_http_delta_redis_lost(link, "refused, or not a Redis");
            return NGX_ERROR;
        }
    }
}


static ngx_int_t
ngx_http_delta_redis_reply(ngx_http_delta_link_t *link, redisReply *reply)
{
    ngx_queue_t            *q;
    ngx_http_delta_call_t  *call;

    if (link->pubsub && reply->type == REDIS_REPLY_ARRAY) {
        return ngx_http_delta_redis_push(link, reply);
    }

    if (ngx_queue_empty(&link->calls)) {

        if (link->pubsub && reply->type == REDIS_REPLY_ERROR) {
            ngx_log_error(NGX_LOG_ERR, link->hub->worker->log, 0,
                          "delta: %V refused a subscription: %*s",
                          &link->hub->conf->name,
                          ngx_min(reply->len, 200), reply->str);
            return NGX_OK;
        }

        /* PONG while nothing is subscribed */
        return (link->pubsub && reply->type == REDIS_REPLY_STATUS)
               ? NGX_OK : NGX_ERROR;
    }

    q = ngx_queue_head(&link->calls);
    ngx_queue_remove(q);

    call = ngx_queue_data(q, ngx_http_delta_call_t, queue);

    if (call->handler) {
        call->handler(call->data, reply);
    }

    ngx_free(call);

    return link->peer.connection->error ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_delta_redis_push(ngx_http_delta_link_t *link, redisReply *reply)
{
    size_t                 i;
    ngx_str_t              part[3];
    ngx_http_delta_hub_t  *hub;

    hub = link->hub;

    ngx_memzero(part, sizeof(part));

    for (i = 0; i < reply->elements && i < 3; i++) {
        if (reply->element[i]->type == REDIS_REPLY_STRING) {
            part[i].data = (u_char *) reply->element[i]->str;
            part[i].len = reply->element[i]->len;
        }
    }

#define kind(text)                                                            \
    (part[0].len == sizeof(text) - 1                                          \
     && ngx_strncmp(part[0].data, text, sizeof(text) - 1) == 0)

    if (reply->elements == 3 && kind("message")) {
        hub->message(hub, &part[1], &part[2]);
        return NGX_OK;
    }

    if (reply->elements == 3 && kind("subscribe")) {
        hub->subscribed(hub, &part[1]);
        return NGX_OK;
    }

    if (kind("unsubscribe") || kind("pong")) {
        return NGX_OK;
    }

#undef kind

    return NGX_ERROR;
}


/* The answer to the last of them says that the link can be used. */

static void
ngx_http_delta_redis_hello(ngx_http_delta_link_t *link)
{
    ngx_str_t                     argv[3];
    ngx_uint_t                    n;
    ngx_http_delta_redis_conf_t  *conf;

    conf = link->hub->conf;

    if (conf->password.len) {
        ngx_str_set(&argv[0], "AUTH");
        n = 1;

        if (conf->user.len) {
            argv[n++] = conf->user;
        }

        argv[n++] = conf->password;
        ngx_http_delta_redis_command(link, ngx_http_delta_redis_greeted, link,
                                     n, argv);
    }

    if (conf->db.len) {
        ngx_str_set(&argv[0], "SELECT");
        argv[1] = conf->db;
        ngx_http_delta_redis_command(link, ngx_http_delta_redis_greeted, link,
                                     2, argv);
    }

    if (!link->pubsub) {
        ngx_str_set(&argv[0], "FCALL_RO");
        ngx_str_set(&argv[1], "delta_version");
        ngx_str_set(&argv[2], "0");
        ngx_http_delta_redis_command(link, ngx_http_delta_redis_version, link,
                                     3, argv);
    }

    ngx_str_set(&argv[0], "CLIENT");
    ngx_str_set(&argv[1], "SETNAME");
    ngx_str_set(&argv[2], "delta");
    ngx_http_delta_redis_command(link, ngx_http_delta_redis_up, link, 3, argv);
}


static void
ngx_http_delta_redis_greeted(void *data, redisReply *reply)
{
    ngx_http_delta_link_t  *link = data;

    if (reply && reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, link->hub->worker->log, 0,
                      "delta: %V cannot be used: %*s",
                      &link->hub->conf->name,
                      ngx_min(reply->len, 200), reply->str);
        link->peer.connection->error = 1;
    }
}


static void
ngx_http_delta_redis_up(void *data, redisReply *reply)
{
    ngx_http_delta_hub_t   *hub;
    ngx_http_delta_link_t  *link = data;

    hub = link->hub;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR
        && (ngx_strncmp(reply->str, "NOAUTH", 6) == 0
            || ngx_strncmp(reply->str, "LOADING", 7) == 0))
    {
        ngx_http_delta_redis_greeted(data, reply);
        return;
    }

    link->ready = 1;

    ngx_http_delta_metric(hub->worker, REDIS_CONNECTS, 1);

    if (ngx_http_delta_redis_ready(hub)) {
        ngx_log_error(NGX_LOG_NOTICE, hub->worker->log, 0,
                      "delta: connected to %V", &hub->conf->name);
        hub->link_up(hub);
    }
}


static void
ngx_http_delta_redis_version(void *data, redisReply *reply)
{
    long long               have, want;
    ngx_str_t               argv[4], *library;
    const char             *mark;
    ngx_http_delta_link_t  *link = data;

    if (reply == NULL || (reply->type == REDIS_REPLY_ERROR
                          && ngx_strncmp(reply->str, "ERR", 3) != 0))
    {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR
        && ngx_strncmp(reply->str, "ERR", 3) != 0)
    {
        /* loading, or no rights: what is there may be newer */
        ngx_http_delta_redis_loaded(link, reply);
        return;
    }

    library = &link->hub->worker->conf->library;

    have = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;

    mark = strstr((char *) library->data, "local VERSION = ");
    want = mark ? atoi(mark + sizeof("local VERSION = ") - 1) : 0;

    if (have >= want) {
        return;
    }

    ngx_str_set(&argv[0], "FUNCTION");
    ngx_str_set(&argv[1], "LOAD");
    ngx_str_set(&argv[2], "REPLACE");
    argv[3] = *library;

    ngx_http_delta_redis_command(link, ngx_http_delta_redis_loaded, link, 4,
                                 argv);
}


static void
ngx_http_delta_redis_loaded(void *data, redisReply *reply)
{
    ngx_http_delta_link_t  *link = data;

    if (reply && reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, link->hub->worker->log, 0,
                      "delta: %V does not take the function library, "
                      "FCALL delta_publish is not available there: %*s",
                      &link->hub->conf->name,
                      ngx_min(reply->len, 200), reply->str);
    }
}


static void
ngx_http_delta_redis_timer_handler(ngx_event_t *ev)
{
    ngx_msec_t              quiet, timeout;
    ngx_str_t               ping;
    ngx_http_delta_link_t  *link;

    link = ev->data;

    if (link->peer.connection == NULL) {
        if (!ngx_exiting) {
            ngx_http_delta_redis_connect(link);
        }

        return;
    }

    timeout = link->hub->conf->read_timeout;
    quiet = ngx_current_msec - link->heard;

    if (quiet >= 2 * timeout - timeout / 4) {
        ngx_http_delta_redis_lost(link, "no answer to PING");
        return;
    }

    if (link->ready) {
        /* not earlier: there is what greets and then hangs up */
        link->attempts = 0;

        ngx_str_set(&ping, "PING");
        ngx_http_delta_redis_command(link, NULL, NULL, 1, &ping);
    }

    ngx_add_timer(&link->timer, timeout);
}


static void
ngx_http_delta_redis_lost(ngx_http_delta_link_t *link, const char *why)
{
    ngx_uint_t             was_up;
    ngx_msec_t             delay;
    ngx_http_delta_hub_t  *hub;

    hub = link->hub;
    was_up = ngx_http_delta_redis_ready(hub);

    if (why) {
        ngx_log_error((link->ready ? NGX_LOG_WARN : NGX_LOG_INFO),
                      hub->worker->log, 0, "delta: %s link to %V is down: %s",
                      link->pubsub ? "pub/sub" : "command", &hub->conf->name,
                      why);
    }

    ngx_http_delta_metric(hub->worker, REDIS_LOSSES, 1);

    ngx_http_delta_redis_drop(link);

    delay = NGX_HTTP_DELTA_BACKOFF_MIN << ngx_min(link->attempts++, 7);
    delay = ngx_min(delay, NGX_HTTP_DELTA_BACKOFF_MAX);
    delay = NGX_HTTP_DELTA_BACKOFF_MIN / 2 + (ngx_msec_t) ngx_random() % delay;

    ngx_add_timer(&link->timer, delay);

    if (was_up) {
        hub->link_down(hub);
    }
}


/* Forgets the connection; those who wait for replies hear NULL. */

static void
ngx_http_delta_redis_drop(ngx_http_delta_link_t *link)
{
    ngx_queue_t            *q, calls;
    ngx_http_delta_call_t  *call;

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

    if (ngx_queue_empty(&link->calls)) {
        return;
    }

    /* handlers may queue nothing here, but they may look */
    ngx_queue_init(&calls);
    ngx_queue_add(&calls, &link->calls);
    ngx_queue_init(&link->calls);

    while (!ngx_queue_empty(&calls)) {
        q = ngx_queue_head(&calls);
        ngx_queue_remove(q);
        call = ngx_queue_data(q, ngx_http_delta_call_t, queue);

        if (call->handler) {
            call->handler(call->data, NULL);
        }

        ngx_free(call);
    }
}


ngx_int_t
ngx_http_delta_redis_command(ngx_http_delta_link_t *link,
    ngx_http_delta_reply_pt handler, void *data, ngx_uint_t argc,
    ngx_str_t *argv)
{
    u_char                 *p;
    size_t                  size;
    ngx_uint_t              i;
    ngx_http_delta_call_t  *call;

    if (link->peer.connection == NULL || link->peer.connection->error) {
        return NGX_ERROR;
    }

    size = 1 + NGX_SIZE_T_LEN + 2;
    for (i = 0; i < argc; i++) {
        size += 1 + NGX_SIZE_T_LEN + 2 + argv[i].len + 2;
    }

    p = ngx_http_delta_redis_reserve(link, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (!link->pubsub || !link->ready) {
        call = ngx_alloc(sizeof(ngx_http_delta_call_t),
                         link->hub->worker->log);
        if (call == NULL) {
            return NGX_ERROR;
        }

        call->handler = handler;
        call->data = data;
        ngx_queue_insert_tail(&link->calls, &call->queue);
    }

    p = ngx_sprintf(p, "*%ui" CRLF, argc);

    for (i = 0; i < argc; i++) {
        p = ngx_sprintf(p, "$%uz" CRLF, argv[i].len);
        p = ngx_cpymem(p, argv[i].data, argv[i].len);
        *p++ = CR;
        *p++ = LF;
    }

    link->out_last = p - link->out;

    if (!link->flush.posted) {
        ngx_post_event(&link->flush, &ngx_posted_events);
    }

    return NGX_OK;
}


static u_char *
ngx_http_delta_redis_reserve(ngx_http_delta_link_t *link, size_t size)
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
