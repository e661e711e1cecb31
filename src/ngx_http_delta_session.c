
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_session.h"
#include "ngx_http_delta_auth.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_command.h"
#include "ngx_http_delta_control.h"
#include "ngx_http_delta_epoch.h"
#include "ngx_http_delta_event.h"
#include "ngx_http_delta_grant.h"
#include "ngx_http_delta_lease.h"
#include "ngx_http_delta_membership.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_presence.h"
#include "ngx_http_delta_queue.h"
#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_refresh.h"
#include "ngx_http_delta_replay.h"
#include "ngx_http_delta_resume.h"
#include "ngx_http_delta_say.h"
#include "ngx_http_delta_stream.h"
#include "ngx_http_delta_wheel.h"
#include "core/delta_name.h"
#include <openssl/rand.h>


#define NGX_HTTP_DELTA_POOL        1024
#define NGX_HTTP_DELTA_CLOSE_TIME  5        /* seconds for goodbye */

#define ngx_http_delta_session_gauge(s)                                       \
    ((s)->transport->transport == NGX_HTTP_DELTA_WS                           \
     ? NGX_HTTP_DELTA_METRIC_SESSIONS_WS : NGX_HTTP_DELTA_METRIC_SESSIONS_SSE)


typedef struct {
    ngx_uint_t   code;
    ngx_uint_t   metric;
    const char  *reason;
} ngx_http_delta_close_t;


static ngx_int_t ngx_http_delta_session_fill(ngx_http_delta_session_t *s,
    ngx_http_request_t *r);
static void ngx_http_delta_session_cleanup(void *data);
static void ngx_http_delta_session_destroy(void *data);
static void ngx_http_delta_session_leave(ngx_http_delta_session_t *s);
static void ngx_http_delta_session_link_up(ngx_http_delta_hub_t *hub);
static void ngx_http_delta_session_link_down(ngx_http_delta_hub_t *hub);
static void ngx_http_delta_session_attach(ngx_http_delta_session_t *s);
static void ngx_http_delta_session_acked(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel);
static void ngx_http_delta_session_attached(ngx_http_delta_session_t *s);
static void ngx_http_delta_session_deliver(ngx_http_delta_session_t *s,
    ngx_uint_t sub, ngx_http_delta_event_t *event);
static void ngx_http_delta_session_finish(ngx_http_delta_session_t *s);


static const ngx_http_delta_close_t  ngx_http_delta_closes[] = {
#define X(name, code, metric, text)                                           \
    { code, NGX_HTTP_DELTA_METRIC_CLOSED_##metric, text },
    NGX_HTTP_DELTA_CLOSES(X)
#undef X
};


void
ngx_http_delta_session_init(ngx_http_delta_hub_t *hub)
{
    ngx_queue_init(&hub->sessions);

    hub->link_up = ngx_http_delta_session_link_up;
    hub->link_down = ngx_http_delta_session_link_down;
    hub->acked = ngx_http_delta_session_acked;
    hub->deliver = ngx_http_delta_session_deliver;
    hub->unproven = ngx_http_delta_say_unproven;
    hub->named = ngx_http_delta_resume_named;

    ngx_http_delta_presence_init(hub);
    ngx_http_delta_refresh_init(hub);
}


ngx_http_delta_session_t *
ngx_http_delta_session_create(ngx_http_request_t *r,
    const ngx_http_delta_transport_t *transport)
{
    ngx_pool_t                  *pool;
    ngx_http_cleanup_t          *cln;
    ngx_pool_cleanup_t          *pool_cln;
    ngx_http_delta_ctx_t        *ctx;
    ngx_http_delta_session_t    *s;
    ngx_http_delta_loc_conf_t   *dlcf;
    ngx_http_delta_main_conf_t  *mcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);
    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    cln = ngx_http_cleanup_add(r, 0);
    pool_cln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL || pool_cln == NULL) {
        return NULL;
    }

    pool = ngx_create_pool(NGX_HTTP_DELTA_POOL, mcf->worker->log);
    if (pool == NULL) {
        return NULL;
    }

    s = ngx_pcalloc(pool, sizeof(ngx_http_delta_session_t));
    if (s == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    s->pool = pool;
    s->connection = r->connection;
    s->request = r;
    s->conf = dlcf;
    s->hub = &mcf->worker->hubs[dlcf->redis->index];
    s->transport = transport;
    s->format = ngx_http_delta_format(transport->transport, dlcf->envelope);

    if (ngx_http_delta_session_fill(s, r) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    cln->handler = ngx_http_delta_session_cleanup;
    cln->data = s;
    pool_cln->handler = ngx_http_delta_session_destroy;
    pool_cln->data = s;

    ctx->session = s;
    ctx->session_id = s->id;
    ctx->transport = transport->transport;

    return s;
}


static ngx_int_t
ngx_http_delta_session_fill(ngx_http_delta_session_t *s,
    ngx_http_request_t *r)
{
    u_char                    id[12];
    ngx_http_delta_ctx_t     *ctx;
    ngx_http_delta_worker_t  *worker;

    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);
    worker = s->hub->worker;

    if (ngx_http_delta_grant_copy(s, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (RAND_bytes(id, sizeof(id)) != 1) {
        return NGX_ERROR;
    }

    /* in the request's pool: the access log names it after the session */

    s->id.data = ngx_pnalloc(r->pool, 24);
    if (s->id.data == NULL) {
        return NGX_ERROR;
    }

    s->id.len = ngx_hex_dump(s->id.data, id, sizeof(id)) - s->id.data;

    s->resume = ctx->resume;
    s->stream = ctx->stream;
    s->expires = ngx_http_delta_auth_expires(s->conf, &ctx->jwt);
    s->heard = ngx_time();
    s->pinged = s->heard;
    s->refilled = s->heard;
    s->tokens = s->conf->limit_rate * 60;

    ngx_queue_init(&s->loads);
    ngx_queue_init(&s->replays);
    ngx_queue_insert_tail(&s->hub->sessions, &s->queue);
    ngx_queue_init(&s->wheel);

    worker->nsessions++;
    worker->tick.cancelable = 0;

    ngx_http_delta_metric(worker, OPENED, 1);
    ngx_http_delta_metric_at(worker, ngx_http_delta_session_gauge(s), 1);

    return NGX_OK;
}


/* The request ends, whatever the reason. */

static void
ngx_http_delta_session_cleanup(void *data)
{
    ngx_http_delta_session_end(data);
}


void
ngx_http_delta_session_end(ngx_http_delta_session_t *s)
{
    ngx_http_delta_ctx_t     *ctx;
    ngx_http_delta_worker_t  *worker;

    if (s->ended) {
        return;
    }

    s->ended = 1;
    worker = s->hub->worker;

    ngx_http_delta_session_close_code(s, 1006, NULL,
                                      NGX_HTTP_DELTA_METRIC_CLOSED_CLIENT);

    ctx = ngx_http_get_module_ctx(s->request, ngx_http_delta_module);

    ctx->session = NULL;
    ctx->events_sent = s->events_sent;
    ctx->close_code = s->close_code;

    ngx_http_delta_session_leave(s);
    ngx_http_delta_queue_clear(s, 1);

    if (s->queued) {
        ngx_queue_remove(&s->dirty);
    }

    ngx_queue_remove(&s->wheel);
    ngx_queue_remove(&s->queue);

    if (s->subs) {
        ngx_free(s->subs);
    }

    if (s->rest) {
        ngx_free(s->rest);
    }

    worker->nsessions--;
    worker->tick.cancelable = (worker->nsessions == 0);

    ngx_http_delta_metric_at(worker, ngx_http_delta_session_gauge(s), -1);
}


/* With the request's pool: only now has HTTP/2 let go of our frames. */

static void
ngx_http_delta_session_destroy(void *data)
{
    ngx_http_delta_session_t  *s = data;

    ngx_http_delta_session_end(s);
    ngx_http_delta_queue_clear(s, 0);
    ngx_destroy_pool(s->pool);
}


static void
ngx_http_delta_session_leave(ngx_http_delta_session_t *s)
{
    ngx_http_delta_membership_forget(s);
    ngx_http_delta_replay_forget(s);
    ngx_http_delta_lease_leave(s);

    while (s->nsubs) {
        ngx_http_delta_channel_leave(s, s->nsubs - 1);
    }
}


void
ngx_http_delta_session_open(ngx_http_delta_session_t *s)
{
    ngx_http_delta_worker_t  *worker;

    worker = s->hub->worker;

    s->transport->open(s);

    if (s->state == NGX_HTTP_DELTA_CLOSING) {
        return;
    }

    if (!worker->tick.timer_set) {
        worker->wheel_time = ngx_time();
        ngx_add_timer(&worker->tick, 1000);
    }

    ngx_http_delta_wheel_schedule(s, ngx_time() + 1);

    if (ngx_http_delta_redis_ready(s->hub)) {
        ngx_http_delta_session_attach(s);
    }
}


static void
ngx_http_delta_session_link_up(ngx_http_delta_hub_t *hub)
{
    ngx_queue_t               *q;
    ngx_http_delta_session_t  *s;

    ngx_http_delta_metric(hub->worker, REDIS_UP, 1);
    ngx_http_delta_epoch_link_up(hub);
    ngx_http_delta_refresh_link_up(hub);

    for (q = ngx_queue_head(&hub->sessions);
         q != ngx_queue_sentinel(&hub->sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_http_delta_session_t, queue);

        if (s->state == NGX_HTTP_DELTA_DETACHED) {
            ngx_http_delta_session_attach(s);
        }
    }
}


static void
ngx_http_delta_session_link_down(ngx_http_delta_hub_t *hub)
{
    ngx_queue_t               *q;
    ngx_http_delta_session_t  *s;

    ngx_http_delta_metric(hub->worker, REDIS_UP, -1);

    ngx_http_delta_epoch_link_down(hub);
    ngx_http_delta_refresh_link_down(hub);

    /* what is held goes to those who are still live, not behind a resync */

    ngx_http_delta_channel_down(hub);

    for (q = ngx_queue_head(&hub->sessions);
         q != ngx_queue_sentinel(&hub->sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_http_delta_session_t, queue);
        s->unacked = s->nsubs;

        if (s->welcomed) {
            ngx_http_delta_replay_abandon(s);

        } else {
            ngx_http_delta_replay_restart(s);
        }

        if (s->state == NGX_HTTP_DELTA_LIVE && s->out.count == 0) {
            s->cursor = ngx_http_delta_resume_cursor(s);
            ngx_http_delta_replay_forget(s);
        }

        if (s->state != NGX_HTTP_DELTA_CLOSING) {
            s->state = NGX_HTTP_DELTA_DETACHED;
        }
    }
}


/*
 * First the control channel, and its ack: only then can no change of the
 * membership slip in between reading it and hearing of it.
 */

static void
ngx_http_delta_session_attach(ngx_http_delta_session_t *s)
{
    u_char                     buf[DELTA_NAME_MAX];
    ngx_str_t                  name;
    ngx_int_t                  i;
    ngx_http_delta_channel_t  *channel;

    s->state = NGX_HTTP_DELTA_CONTROL;
    s->attaching = ngx_time();

    /* what is logged from here on comes after ready */

    if (!s->welcomed) {
        s->cursor = ngx_http_delta_resume_floor(s);
    }

    name.data = buf;
    name.len = ngx_snprintf(buf, sizeof(buf), "user:%V:control", &s->user)
               - buf;

    i = ngx_http_delta_channel_find(s, &name);

    if (i == NGX_ERROR) {

        if (ngx_http_delta_channel_join(s, &name, NGX_HTTP_DELTA_NO_RULE)
            == NULL)
        {
            ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
            return;
        }

        i = s->nsubs - 1;
    }

    channel = s->subs[i].channel;

    if (channel->active) {
        ngx_http_delta_session_acked(s, channel);
        return;
    }

    ngx_http_delta_channel_ensure(channel);
}


static void
ngx_http_delta_session_acked(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel)
{
    if (s->state == NGX_HTTP_DELTA_CONTROL && channel->control) {
        s->state = NGX_HTTP_DELTA_LOADING;
        ngx_http_delta_membership_load(s);
        return;
    }

    if (s->state == NGX_HTTP_DELTA_SUBSCRIBING && s->unacked == 0) {
        ngx_http_delta_session_attached(s);
    }

    ngx_http_delta_control_acked(s, channel);
}


void
ngx_http_delta_session_loaded(ngx_http_delta_session_t *s)
{
    s->state = NGX_HTTP_DELTA_SUBSCRIBING;

    if (s->unacked == 0) {
        ngx_http_delta_session_attached(s);
    }
}


static void
ngx_http_delta_session_attached(ngx_http_delta_session_t *s)
{
    if (ngx_http_delta_lease_open(s) == NGX_OK) {
        ngx_http_delta_session_leased(s);
    }
}


void
ngx_http_delta_session_leased(ngx_http_delta_session_t *s)
{
    if (s->resume) {
        s->state = NGX_HTTP_DELTA_REPLAYING;
        ngx_http_delta_resume_start(s);
        return;
    }

    ngx_http_delta_session_resumed(s);
}


void
ngx_http_delta_session_resumed(ngx_http_delta_session_t *s)
{
    if (!s->welcomed) {
        s->welcomed = 1;
        ngx_http_delta_presence_sync(s);
        ngx_http_delta_say_ready(s);

        if (s->state == NGX_HTTP_DELTA_CLOSING) {
            return;
        }
    }

    if (s->resume) {
        ngx_http_delta_metric_at(s->hub->worker, s->resynced
                                 ? NGX_HTTP_DELTA_METRIC_RESUMES_RESYNC
                                 : NGX_HTTP_DELTA_METRIC_RESUMES_COMPLETE, 1);
        s->resume = NULL;
    }

    if (ngx_http_delta_replay_owes(s)) {
        s->state = NGX_HTTP_DELTA_BEHIND;
        ngx_http_delta_queue_wake(s);
        return;
    }

    s->state = NGX_HTTP_DELTA_LIVE;

    if (ngx_http_delta_queue_unpark(s, ngx_http_delta_replay_seen) != NGX_OK) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
    }

    ngx_http_delta_replay_end(s);
    ngx_http_delta_presence_live(s);
    ngx_http_delta_command_named(s);
}


void
ngx_http_delta_session_send(ngx_http_delta_session_t *s, const char *t,
    ngx_str_t *d)
{
    ngx_http_delta_event_t  *event;

    if (s->state == NGX_HTTP_DELTA_CLOSING) {
        return;
    }

    /* clients of that shape know their deltas and resync, nothing else */

    if (s->stream
        || (s->conf->envelope == DELTA_ENVELOPE_TYPE
            && ngx_strcmp(t, "resync") != 0))
    {
        return;
    }

    event = ngx_http_delta_event_own(s, t, d);

    if (event) {
        /* it tells where the stream is, as ready and resync do not */
        event->claims = (ngx_strcmp(t, "heartbeat_ack") == 0);
        event->resync = (ngx_strcmp(t, "resync") == 0);
    }

    ngx_http_delta_session_push(s, event);
}

void
ngx_http_delta_session_push(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event)
{
    /* what a full replay leaves to say, ready and resyncs, is little */

    if (event && ngx_http_delta_queue_full(s)
        && s->state != NGX_HTTP_DELTA_REPLAYING
        && s->state != NGX_HTTP_DELTA_CLOSING)
    {
        ngx_http_delta_event_release(event);
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_SLOW);
        return;
    }

    if (ngx_http_delta_queue_push(s, event) != NGX_OK) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
    }
}


void
ngx_http_delta_session_blocked(ngx_http_delta_session_t *s,
    ngx_uint_t blocked)
{
    time_t  age;

    if (!blocked) {
        s->blocked = 0;

        if (s->state == NGX_HTTP_DELTA_BEHIND) {
            ngx_http_delta_replay_drained(s);
        }

        return;
    }

    if (s->blocked == 0) {
        s->blocked = ngx_time();
        age = s->conf->queue_age;

        if (s->state != NGX_HTTP_DELTA_CLOSING
            && s->deadline > s->blocked + age)
        {
            ngx_http_delta_wheel_schedule(s, s->blocked + age);
        }
    }
}


static void
ngx_http_delta_session_deliver(ngx_http_delta_session_t *s, ngx_uint_t sub,
    ngx_http_delta_event_t *event)
{
    ngx_int_t                rc;
    ngx_http_delta_event_t  *sifted;

    if (s->state == NGX_HTTP_DELTA_CLOSING
        || (s->subs[sub].behind && event->position.ms)
        || ngx_http_delta_presence_early(s, sub, event)
        || (s->state == NGX_HTTP_DELTA_LIVE
            && ngx_http_delta_replay_seen(s, event)))
    {
        return;
    }

    sifted = s->stream ? ngx_http_delta_stream_sift(s, event) : event;

    if (sifted != event) {
        if (sifted) {
            ngx_http_delta_session_deliver(s, sub, sifted);
            ngx_http_delta_event_release(sifted);
        }
        return;
    }

    rc = (s->state == NGX_HTTP_DELTA_BEHIND)
         ? NGX_DECLINED : ngx_http_delta_queue_deliver(s, event);

    if (rc == NGX_DECLINED) {
        ngx_http_delta_replay_fall(s, event);
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    if (s->transport->transport == NGX_HTTP_DELTA_SSE && !s->stream) {

        /* a cursor follows in a second, and one that covers this event */

        if (s->news == 0) {
            ngx_http_delta_wheel_schedule(s, ngx_time() + 1);
        }

        s->news = 2;
    }
}


void
ngx_http_delta_session_close(ngx_http_delta_session_t *s,
    ngx_http_delta_close_e why)
{
    const ngx_http_delta_close_t  *close;

    if (s->state == NGX_HTTP_DELTA_CLOSING) {
        return;
    }

    close = &ngx_http_delta_closes[why];

    s->final = (why == NGX_HTTP_DELTA_CLOSE_LOGOUT
                || why == NGX_HTTP_DELTA_CLOSE_REVOKED);

    if (why == NGX_HTTP_DELTA_CLOSE_SLOW
        || why == NGX_HTTP_DELTA_CLOSE_REPLACED
        || why == NGX_HTTP_DELTA_CLOSE_REVOKED)
    {
        ngx_http_delta_queue_clear(s, 1);
    }

    ngx_http_delta_session_close_code(s, close->code, close->reason,
                                      close->metric);
}


void
ngx_http_delta_session_close_code(ngx_http_delta_session_t *s,
    ngx_uint_t code, const char *reason, ngx_uint_t metric)
{
    if (s->state == NGX_HTTP_DELTA_CLOSING) {
        return;
    }

    s->state = NGX_HTTP_DELTA_CLOSING;
    s->close_code = code;

    if (reason) {
        s->close_reason.data = (u_char *) reason;
        s->close_reason.len = ngx_strlen(reason);
    }

    ngx_http_delta_metric_at(s->hub->worker, metric, 1);
    ngx_http_delta_queue_wake(s);
}


void
ngx_http_delta_session_flush_handler(ngx_event_t *ev)
{
    ngx_queue_t               *q, dirty;
    ngx_http_delta_worker_t   *worker;
    ngx_http_delta_session_t  *s;

    worker = ev->data;

    /* a session that wakes itself is looked at in the next turn */

    if (ngx_queue_empty(&worker->dirty)) {
        return;
    }

    ngx_queue_init(&dirty);
    ngx_queue_add(&dirty, &worker->dirty);
    ngx_queue_init(&worker->dirty);

    while (!ngx_queue_empty(&dirty)) {
        q = ngx_queue_head(&dirty);
        ngx_queue_remove(q);

        s = ngx_queue_data(q, ngx_http_delta_session_t, dirty);
        s->queued = 0;

        if (s->state == NGX_HTTP_DELTA_CLOSING && !s->close_sent) {
            ngx_http_delta_session_finish(s);

        } else {
            s->transport->write(s);
        }
    }
}


static void
ngx_http_delta_session_finish(ngx_http_delta_session_t *s)
{
    s->close_sent = 1;

    ngx_http_delta_session_leave(s);

    if (!s->welcomed) {
        /* nothing comes before ready, and ready does not come any more */
        ngx_http_delta_queue_clear(s, 1);
    }

    ngx_http_delta_wheel_schedule(s, ngx_time() + NGX_HTTP_DELTA_CLOSE_TIME);

    s->transport->close(s);
}
