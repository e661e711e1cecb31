
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_link.h"
#include "ngx_http_delta_metrics.h"


#define NGX_HTTP_DELTA_BACKOFF_MIN  50
#define NGX_HTTP_DELTA_BACKOFF_MAX  5000
#define NGX_HTTP_DELTA_TURN         32768   /* bytes read in a turn */
#define NGX_HTTP_DELTA_ADDRS        16      /* of one name */
#define NGX_HTTP_DELTA_REMIND       60000   /* ms, of a trouble that lasts */


#if (HIREDIS_MAJOR > 0)
typedef size_t  ngx_http_delta_elements_t;
#else
typedef int     ngx_http_delta_elements_t;
#endif


static void ngx_http_delta_link_connect(ngx_http_delta_link_t *link);
static ngx_int_t ngx_http_delta_link_resolve(ngx_http_delta_link_t *link);
static void ngx_http_delta_link_resolved(ngx_resolver_ctx_t *ctx);
static void ngx_http_delta_link_unresolved(ngx_http_delta_link_t *link,
    ngx_int_t state);
static int ngx_libc_cdecl ngx_http_delta_link_order(const void *one,
    const void *two);
static void ngx_http_delta_link_choose(ngx_http_delta_link_t *link,
    ngx_addr_t *addrs, ngx_uint_t n);
static void ngx_http_delta_link_dial(ngx_http_delta_link_t *link);
static ngx_int_t ngx_http_delta_link_reader(ngx_http_delta_link_t *link);
static void *ngx_http_delta_link_array(const redisReadTask *task,
    ngx_http_delta_elements_t n);
static ngx_int_t ngx_http_delta_link_connected(ngx_http_delta_link_t *link);
static void ngx_http_delta_link_write_handler(ngx_event_t *wev);
static void ngx_http_delta_link_flush_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_delta_link_flush(ngx_http_delta_link_t *link);
static void ngx_http_delta_link_read_handler(ngx_event_t *rev);
static ngx_int_t ngx_http_delta_link_parse(ngx_http_delta_link_t *link);
static void ngx_http_delta_link_timer_handler(ngx_event_t *ev);
static void ngx_http_delta_link_lost(ngx_http_delta_link_t *link,
    ngx_err_t err, const char *why);
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

    /* nginx would name neither Redis nor what to do */

    link->log = *link->hub->worker->log;
    link->log.log_level = ngx_min(link->log.log_level, NGX_LOG_ALERT);

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

    if (link->functions) {
        ngx_free(link->functions);
        link->functions = NULL;
    }
}


static void
ngx_http_delta_link_connect(ngx_http_delta_link_t *link)
{
    ngx_http_delta_redis_conf_t  *conf;

    conf = link->hub->conf;

    if (conf->host.len && ngx_http_delta_link_resolve(link) == NGX_OK) {
        return;
    }

    ngx_http_delta_link_choose(link, conf->addrs, conf->naddrs);
    ngx_http_delta_link_dial(link);
}


/* NGX_DECLINED: no "resolver" holds at the level of delta_redis. */

static ngx_int_t
ngx_http_delta_link_resolve(ngx_http_delta_link_t *link)
{
    ngx_resolver_t               *resolver;
    ngx_resolver_ctx_t           *ctx;
    ngx_http_delta_redis_conf_t  *conf;

    conf = link->hub->conf;
    resolver = conf->core->resolver;

    if (resolver == NULL || resolver->connections.nelts == 0) {
        return NGX_DECLINED;
    }

    ctx = ngx_resolve_start(resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        return NGX_DECLINED;
    }

    /* finding Redis is a part of connecting */

    ctx->name = conf->host;
    ctx->handler = ngx_http_delta_link_resolved;
    ctx->data = link;
    ctx->timeout = conf->connect_timeout;
    ctx->cancelable = 1;

    if (conf->core->resolver_timeout != NGX_CONF_UNSET_MSEC) {
        ctx->timeout = ngx_min(ctx->timeout, conf->core->resolver_timeout);
    }

    link->resolving = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        link->resolving = NULL;
        ngx_http_delta_link_unresolved(link, NGX_ERROR);
    }

    return NGX_OK;
}


static void
ngx_http_delta_link_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_int_t                     state;
    ngx_uint_t                    i, n;
    ngx_addr_t                    addrs[NGX_HTTP_DELTA_ADDRS];
    ngx_sockaddr_t                sockaddrs[NGX_HTTP_DELTA_ADDRS];
    ngx_http_delta_link_t        *link;

    link = ctx->data;
    link->resolving = NULL;

    state = ctx->state;
    n = state ? 0 : ngx_min(ctx->naddrs, NGX_HTTP_DELTA_ADDRS);

    for (i = 0; i < n; i++) {
        ngx_memcpy(&sockaddrs[i], ctx->addrs[i].sockaddr,
                   ctx->addrs[i].socklen);
        addrs[i].sockaddr = &sockaddrs[i].sockaddr;
        addrs[i].socklen = ctx->addrs[i].socklen;
        ngx_inet_set_port(addrs[i].sockaddr, link->hub->conf->port);
    }

    ngx_resolve_name_done(ctx);

    if (n == 0) {
        ngx_http_delta_link_unresolved(link, state);
        return;
    }

    /* nginx shuffles them, and both links are to find the same Redis */

    ngx_qsort(addrs, n, sizeof(ngx_addr_t), ngx_http_delta_link_order);

    ngx_http_delta_link_choose(link, addrs, n);
    ngx_http_delta_link_dial(link);
}


/* Its address of before, or of the configuration, may still be good. */

static void
ngx_http_delta_link_unresolved(ngx_http_delta_link_t *link, ngx_int_t state)
{
    ngx_http_delta_redis_conf_t  *conf;

    conf = link->hub->conf;

    if (link->addr.socklen == 0) {
        ngx_http_delta_link_choose(link, conf->addrs, conf->naddrs);
    }

    if (ngx_http_delta_link_trouble(link, NGX_HTTP_DELTA_UNRESOLVED, state)) {
        ngx_log_error(NGX_LOG_ERR, link->hub->worker->log, 0,
                      "delta: Redis \"%V\" could not be resolved (%i: %s), "
                      "%V is tried: check \"resolver\" and the name, or "
                      "write an address into delta_redis",
                      &conf->host, state, ngx_resolver_strerror(state),
                      &link->addr.name);
    }

    ngx_http_delta_link_dial(link);
}


static int ngx_libc_cdecl
ngx_http_delta_link_order(const void *one, const void *two)
{
    const ngx_addr_t  *first = one, *second = two;

    return (int) ngx_memn2cmp((u_char *) first->sockaddr,
                              (u_char *) second->sockaddr, first->socklen,
                              second->socklen);
}


/* That of the other link if it is one of these, else each in its turn. */

static void
ngx_http_delta_link_choose(ngx_http_delta_link_t *link, ngx_addr_t *addrs,
    ngx_uint_t n)
{
    ngx_str_t              *name;
    ngx_addr_t             *addr;
    ngx_uint_t              i;
    ngx_http_delta_link_t  *other;

    other = ngx_http_delta_link_other(link);
    addr = NULL;

    for (i = 0; other->ready && i < n; i++) {

        if (ngx_http_delta_link_same(&addrs[i], &other->addr)) {
            addr = &addrs[i];
        }
    }

    /* where it was is tried first, once: both links find it there */

    for (i = 0; addr == NULL && link->was_ready && i < n; i++) {

        if (ngx_http_delta_link_same(&addrs[i], &link->addr)) {
            addr = &addrs[i];
        }
    }

    link->was_ready = 0;

    if (addr == NULL) {
        addr = &addrs[link->address++ % n];
    }

    ngx_memcpy(&link->sockaddr, addr->sockaddr, addr->socklen);

    link->addr.sockaddr = &link->sockaddr.sockaddr;
    link->addr.socklen = addr->socklen;
    link->addr.name.data = link->addr_buf;
    link->addr.name.len = ngx_sock_ntop(link->addr.sockaddr, addr->socklen,
                                        link->addr_buf, NGX_SOCKADDR_STRLEN,
                                        1);

    name = &link->hub->conf->name;
    link->whom = link->addr.name;

    if (name->len > link->addr.name.len
        || ngx_strncmp(name->data, link->addr_buf, name->len) != 0)
    {
        link->whom.data = link->whom_buf;
        link->whom.len = ngx_snprintf(link->whom_buf, sizeof(link->whom_buf),
                                      "%V (%V)", name, &link->addr.name)
                         - link->whom_buf;
    }
}


static void
ngx_http_delta_link_dial(ngx_http_delta_link_t *link)
{
    ngx_int_t          rc;
    ngx_err_t          err;
    ngx_connection_t  *c;

    ngx_memzero(&link->peer, sizeof(ngx_peer_connection_t));

    link->peer.sockaddr = link->addr.sockaddr;
    link->peer.socklen = link->addr.socklen;
    link->peer.name = &link->addr.name;
    link->peer.get = ngx_event_get_peer;
    link->peer.log = &link->log;
    link->peer.log_error = NGX_ERROR_ERR;

    link->connecting = 1;

    rc = ngx_event_connect_peer(&link->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        err = (rc == NGX_DECLINED) ? ngx_socket_errno : 0;
        ngx_http_delta_link_lost(link, err, "connect() failed");
        return;
    }

    c = link->peer.connection;
    c->data = link;
    c->read->handler = ngx_http_delta_link_read_handler;
    c->write->handler = ngx_http_delta_link_write_handler;

    if (ngx_http_delta_link_reader(link) != NGX_OK) {
        ngx_http_delta_link_lost(link, 0, "no memory");
        return;
    }

    if (rc == NGX_AGAIN) {
        c->write->cancelable = 1;
        ngx_add_timer(c->write, link->hub->conf->connect_timeout);
        return;
    }

    (void) ngx_http_delta_link_connected(link);
}


/* hiredis's own, but for one function that hands on to that of hiredis. */

static ngx_int_t
ngx_http_delta_link_reader(ngx_http_delta_link_t *link)
{
    if (link->functions == NULL) {
        link->functions = ngx_alloc(sizeof(redisReplyObjectFunctions),
                                    link->hub->worker->log);
        if (link->functions == NULL) {
            return NGX_ERROR;
        }
    }

    link->reader = redisReaderCreate();
    if (link->reader == NULL) {
        return NGX_ERROR;
    }

    *link->functions = *link->reader->fn;
    link->functions->createArray = ngx_http_delta_link_array;

    link->reader->privdata = link->reader->fn;
    link->reader->fn = link->functions;

    return NGX_OK;
}


static void *
ngx_http_delta_link_array(const redisReadTask *task,
    ngx_http_delta_elements_t n)
{
    redisReplyObjectFunctions  *own;

    own = task->privdata;

    return n > NGX_HTTP_DELTA_MAX_ELEMENTS ? NULL : own->createArray(task, n);
}


/* NGX_ERROR: the link is gone. */

static ngx_int_t
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
        ngx_http_delta_link_lost(link, err, "connect() failed");
        return NGX_ERROR;
    }

    link->connecting = 0;

    if (link->addr.sockaddr->sa_family != AF_UNIX) {
        (void) ngx_tcp_nodelay(c);
    }

    link->heard = ngx_current_msec;
    ngx_add_timer(&link->timer, link->hub->conf->read_timeout);

    link->opened(link);

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_delta_link_lost(link, 0, "event failure");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_delta_link_write_handler(ngx_event_t *wev)
{
    ngx_connection_t       *c;
    ngx_http_delta_link_t  *link;

    c = wev->data;
    link = c->data;

    if (wev->timedout) {
        ngx_http_delta_link_lost(link, NGX_ETIMEDOUT, "connect() failed");
        return;
    }

    if (link->connecting) {
        (void) ngx_http_delta_link_connected(link);
        return;
    }

    if (ngx_http_delta_link_flush(link) != NGX_OK) {
        ngx_http_delta_link_lost(link, 0, "write failed");
    }
}


static void
ngx_http_delta_link_flush_handler(ngx_event_t *ev)
{
    ngx_http_delta_link_t  *link;

    link = ev->data;

    if (link->peer.connection && ngx_http_delta_link_flush(link) != NGX_OK) {
        ngx_http_delta_link_lost(link, 0, "write failed");
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

    /* a refused connection can be read from first */

    if (link->connecting && ngx_http_delta_link_connected(link) != NGX_OK) {
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
                ngx_http_delta_link_lost(link, 0, "event failure");
            }

            return;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_http_delta_link_lost(link, n ? ngx_socket_errno : 0,
                                     "connection closed");
            return;
        }

        link->heard = ngx_current_msec;
        link->unread += n;

        if (redisReaderFeed(link->reader, (char *) buf, n) != REDIS_OK) {
            ngx_http_delta_link_lost(link, 0, "reply is not RESP");
            return;
        }

        if (ngx_http_delta_link_parse(link) != NGX_OK) {
            return;
        }

        if (link->unread > NGX_HTTP_DELTA_MAX_REPLY) {
            ngx_http_delta_link_lost(link, 0, "reply is over 16 MB");
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
            ngx_http_delta_link_lost(link, 0,
                                     link->reader->err == REDIS_ERR_OOM
                                     ? "reply is too large"
                                     : "reply is not RESP");
            return NGX_ERROR;
        }

        if (reply == NULL) {
            return NGX_OK;
        }

        link->unread = 0;

        rc = link->reply(link, reply);

        freeReplyObject(reply);

        if (rc != NGX_OK) {
            ngx_http_delta_link_lost(link, 0, "refused, or not a Redis");
            return NGX_ERROR;
        }
    }
}


static void
ngx_http_delta_link_timer_handler(ngx_event_t *ev)
{
    ngx_msec_t              quiet, timeout, limit;
    ngx_http_delta_link_t  *link;

    link = ev->data;

    if (link->peer.connection == NULL) {
        if (!ngx_exiting || link->hub->worker->nsessions) {
            ngx_http_delta_link_connect(link);
        }

        return;
    }

    timeout = link->hub->conf->read_timeout;
    limit = 2 * timeout - timeout / 4;
    quiet = ngx_current_msec - link->heard;

    if (quiet >= limit) {
        ngx_http_delta_link_lost(link, 0, "no answer to PING");
        return;
    }

    if (link->ready) {
        /* not earlier: there is what greets and then hangs up */
        link->attempts = 0;

        link->quiet(link);
    }

    ngx_add_timer(&link->timer, ngx_min(timeout, limit - quiet));
}


static void
ngx_http_delta_link_lost(ngx_http_delta_link_t *link, ngx_err_t err,
    const char *why)
{
    uint32_t               key;
    ngx_uint_t             was_ready;
    ngx_msec_t             delay;
    ngx_http_delta_hub_t  *hub;

    hub = link->hub;
    was_ready = link->ready;

    key = ngx_crc32_short((u_char *) why, ngx_strlen(why)) + err;

    if (was_ready) {
        ngx_log_error(NGX_LOG_WARN, hub->worker->log, err,
                      "delta: %s link to Redis %V is down: %s",
                      link->pubsub ? "pub/sub" : "command", &link->whom, why);

    } else if (link->peer.connection && link->peer.connection->error) {
        /* whoever refused it has said why */

    } else if (ngx_http_delta_link_trouble(link, NGX_HTTP_DELTA_UNREACHED,
                                           key))
    {
        ngx_log_error(NGX_LOG_ERR, hub->worker->log, err,
                      "delta: Redis %V cannot be %s: %s", &link->whom,
                      link->connecting ? "reached" : "used", why);
    }

    ngx_http_delta_metric(hub->worker, REDIS_LOSSES, 1);

    ngx_http_delta_link_drop(link);

    link->was_ready = was_ready;

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
    link->connecting = 0;
    link->unread = 0;
    link->out_pos = link->out_last = 0;

    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    if (link->flush.posted) {
        ngx_delete_posted_event(&link->flush);
    }

    if (link->resolving) {
        ngx_resolve_name_done(link->resolving);
        link->resolving = NULL;
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


void
ngx_http_delta_link_renew(ngx_http_delta_link_t *link, const char *why)
{
    ngx_http_delta_link_lost(link, 0, why);
}


ngx_uint_t
ngx_http_delta_link_trouble(ngx_http_delta_link_t *link,
    ngx_http_delta_trouble_e what, uint32_t key)
{
    ngx_http_delta_trouble_t  *trouble;

    trouble = &link->hub->troubles[what];

    if (trouble->logged && trouble->key == key
        && ngx_current_msec - trouble->logged < NGX_HTTP_DELTA_REMIND)
    {
        return 0;
    }

    trouble->logged = ngx_current_msec | 1;
    trouble->key = key;

    return 1;
}
