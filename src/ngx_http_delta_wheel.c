
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_wheel.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_keep.h"
#include "ngx_http_delta_replay.h"
#include "ngx_http_delta_session.h"


#define NGX_HTTP_DELTA_ATTACH_TIME  15      /* seconds, Redis being up */
#define NGX_HTTP_DELTA_GOODBYE      5       /* seconds, see session_finish */
#define NGX_HTTP_DELTA_REREAD_TIME  10      /* seconds, to part all in */


static void ngx_http_delta_wheel_hurry(ngx_http_delta_worker_t *worker);
static void ngx_http_delta_wheel_look(ngx_http_delta_session_t *s,
    time_t now);
static time_t ngx_http_delta_wheel_drain(ngx_http_delta_session_t *s,
    time_t now);


void
ngx_http_delta_wheel_schedule(ngx_http_delta_session_t *s, time_t deadline)
{
    time_t                    now, slot;
    ngx_http_delta_worker_t  *worker;

    worker = s->hub->worker;
    now = worker->wheel_time;

    slot = ngx_max(deadline, now + 1);
    slot = ngx_min(slot, now + NGX_HTTP_DELTA_WHEEL - 1);

    s->deadline = deadline;

    ngx_queue_remove(&s->wheel);
    ngx_queue_insert_tail(&worker->wheel[slot % NGX_HTTP_DELTA_WHEEL],
                          &s->wheel);
}


void
ngx_http_delta_wheel_reread(ngx_http_delta_session_t *s)
{
    if (s->rereads == 0) {
        s->rereads = ngx_time() + 1
                     + ngx_random() % NGX_HTTP_DELTA_REREAD_TIME;
        ngx_http_delta_wheel_schedule(s, ngx_min(s->deadline, s->rereads));
    }
}


void
ngx_http_delta_wheel_tick_handler(ngx_event_t *ev)
{
    time_t                     now;
    ngx_uint_t                 i, busy;
    ngx_queue_t               *q, *slot, due;
    ngx_http_delta_worker_t   *worker;
    ngx_http_delta_session_t  *s;

    worker = ev->data;
    now = ngx_time();

    if (ngx_exiting && !worker->draining) {
        worker->draining = 1;
        ngx_http_delta_wheel_hurry(worker);
    }

    while (worker->wheel_time < now) {
        worker->wheel_time++;
        slot = &worker->wheel[worker->wheel_time % NGX_HTTP_DELTA_WHEEL];

        if (ngx_queue_empty(slot)) {
            continue;
        }

        ngx_queue_init(&due);
        ngx_queue_add(&due, slot);
        ngx_queue_init(slot);

        while (!ngx_queue_empty(&due)) {
            q = ngx_queue_head(&due);
            s = ngx_queue_data(q, ngx_http_delta_session_t, wheel);
            ngx_http_delta_wheel_look(s, now);
        }
    }

    busy = worker->nsessions;

    for (i = 0; i < worker->nhubs; i++) {
        busy += ngx_http_delta_channel_sweep(&worker->hubs[i]);
        ngx_http_delta_keep_tick(&worker->hubs[i]);
    }

    if (busy) {
        ngx_add_timer(ev, 1000);
    }
}


/* The worker is to exit: every session is looked at in this tick. */

static void
ngx_http_delta_wheel_hurry(ngx_http_delta_worker_t *worker)
{
    ngx_uint_t                 i;
    ngx_queue_t               *q, *sessions;
    ngx_http_delta_session_t  *s;

    for (i = 0; i < worker->nhubs; i++) {
        sessions = &worker->hubs[i].sessions;

        for (q = ngx_queue_head(sessions);
             q != ngx_queue_sentinel(sessions);
             q = ngx_queue_next(q))
        {
            s = ngx_queue_data(q, ngx_http_delta_session_t, queue);

            /* who is saying goodbye keeps the time for it */

            if (s->state != NGX_HTTP_DELTA_CLOSING) {
                ngx_http_delta_wheel_schedule(s, 0);
            }
        }
    }
}


/* Must reschedule the session or end it: it is taken off its slot. */

static void
ngx_http_delta_wheel_look(ngx_http_delta_session_t *s, time_t now)
{
    time_t                      next, beat;
    ngx_http_delta_loc_conf_t  *conf;

    conf = s->conf;
    beat = conf->heartbeat;
    next = now + NGX_HTTP_DELTA_WHEEL;

    if (s->state == NGX_HTTP_DELTA_CLOSING) {

        if (s->close_sent && now >= s->deadline) {
            /* the deadline stays in the past: write gives up by it */
            ngx_http_delta_wheel_schedule(s, now);
            s->close_received = 1;
            s->transport->write(s);
            return;
        }

        ngx_http_delta_wheel_schedule(s, s->deadline);
        return;
    }

    if (s->expires && now >= s->expires) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_EXPIRED);

    } else if (s->rereads && now >= s->rereads) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_REREAD);

    } else if (s->blocked && now - s->blocked >= conf->queue_age) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_SLOW);

    } else if (s->state < NGX_HTTP_DELTA_BEHIND
               && s->state != NGX_HTTP_DELTA_DETACHED
               && now - s->attaching >= NGX_HTTP_DELTA_ATTACH_TIME)
    {
        ngx_log_error(NGX_LOG_ERR, s->hub->worker->log, 0,
                      "delta: session %V could not attach to its channels",
                      &s->id);
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);

    } else if (beat && s->transport->transport == NGX_HTTP_DELTA_WS
               && now - s->heard >= beat * ((time_t) conf->missed + 1))
    {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_HEARTBEAT);

    } else if (s->news
               || (beat && now - ngx_max(s->heard, s->pinged) >= beat))
    {
        s->news -= (s->news != 0);
        s->pinged = now;
        s->transport->ping(s);
    }

    if (s->state == NGX_HTTP_DELTA_LIVE && !ngx_queue_empty(&s->replays)) {
        ngx_http_delta_replay_end(s);
    }

    if (ngx_exiting && s->state != NGX_HTTP_DELTA_CLOSING) {
        next = ngx_http_delta_wheel_drain(s, now);
    }

    if (s->expires) {
        next = ngx_min(next, s->expires);
    }

    if (s->blocked) {
        next = ngx_min(next, s->blocked + conf->queue_age);
    }

    if (s->state < NGX_HTTP_DELTA_BEHIND) {
        next = ngx_min(next, now + NGX_HTTP_DELTA_ATTACH_TIME);
    }

    if (s->rereads) {
        next = ngx_min(next, s->rereads);
    }

    if (s->news) {
        next = now + 1;
    }

    if (beat) {
        next = ngx_min(next, ngx_max(s->heard, s->pinged) + beat);
    }

    if (s->state != NGX_HTTP_DELTA_CLOSING) {
        ngx_http_delta_wheel_schedule(s, next);

    } else {
        ngx_http_delta_wheel_schedule(s, now
                                           + NGX_HTTP_DELTA_GOODBYE);
    }
}


/*
 * Says when to come back, then when it is time; the close comes second.  The
 * turn is kept apart from the deadline, which others bring forward.
 */

static time_t
ngx_http_delta_wheel_drain(ngx_http_delta_session_t *s, time_t now)
{
    u_char      buf[NGX_INT_T_LEN + 32];
    ngx_str_t   d;
    ngx_uint_t  after;

    if (s->leaves) {
        if (now >= s->leaves) {
            ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_DRAIN);
        }

        return s->leaves;
    }

    after = (ngx_uint_t) ngx_random() % ((ngx_uint_t) s->conf->drain * 1000);
    s->leaves = now + 1 + after / 1000;

    d.data = buf;
    d.len = ngx_sprintf(buf, "{\"after_ms\":%ui}", after) - buf;

    ngx_http_delta_session_send(s, "reconnect", &d);

    return s->leaves;
}
