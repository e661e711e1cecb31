
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_replay.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_event.h"
#include "ngx_http_delta_history.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_presence.h"
#include "ngx_http_delta_queue.h"
#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_resume.h"
#include "ngx_http_delta_say.h"
#include "ngx_http_delta_session.h"
#include "ngx_http_delta_stream.h"
#include "ngx_http_delta_window.h"


typedef enum {
    NGX_HTTP_DELTA_REPLAY_OWED = 0,
    NGX_HTTP_DELTA_REPLAY_ASKED,
    NGX_HTTP_DELTA_REPLAY_DONE
} ngx_http_delta_replay_e;

/* One channel's. */
struct ngx_http_delta_replay_s {
    ngx_http_delta_wait_t        wait;      /* channel and place */
    ngx_queue_t                  queue;     /* of the session */
    ngx_http_delta_session_t    *session;
    delta_position_t             cursor;    /* what counts comes behind it */
    delta_position_t             last;      /* replayed up to there */
    ngx_http_delta_replay_e      state;
    unsigned                     slow:1;    /* the session fell behind */
    unsigned                     lost:1;    /* what is in no log */
    unsigned                     asked:1;   /* for by the client */
    unsigned                     again:1;   /* the client may know some */
};


#define NGX_HTTP_DELTA_AGAIN  60    /* seconds: then 4003 */


static void ngx_http_delta_replay_owe(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event);
static ngx_http_delta_replay_t *ngx_http_delta_replay_find(
    ngx_http_delta_session_t *s, ngx_http_delta_channel_t *channel);
static ngx_http_delta_replay_t *ngx_http_delta_replay_create(
    ngx_http_delta_session_t *s, ngx_http_delta_channel_t *channel);
static void ngx_http_delta_replay_handler(void *data, ngx_int_t rc);
static void ngx_http_delta_replay_serve(ngx_http_delta_replay_t *replay,
    ngx_int_t rc);
static ngx_int_t ngx_http_delta_replay_push(ngx_http_delta_replay_t *replay);
static ngx_int_t ngx_http_delta_replay_queue(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t **events, ngx_uint_t n);
static void ngx_http_delta_replay_behind(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel, ngx_uint_t behind);


ngx_int_t
ngx_http_delta_replay_add(ngx_http_delta_session_t *s, ngx_uint_t sub,
    const delta_position_t *after, ngx_uint_t exact,
    const delta_position_t *cursor)
{
    ngx_http_delta_replay_t   *replay;
    ngx_http_delta_channel_t  *channel;

    channel = s->subs[sub].channel;

    replay = ngx_http_delta_replay_find(s, channel);

    if (replay && replay->asked) {
        return NGX_OK;
    }

    /* one that was made as too much was parked begins too late */

    if (replay == NULL) {
        replay = ngx_http_delta_replay_create(s, channel);
    }

    if (replay == NULL) {
        return NGX_ERROR;
    }

    replay->state = NGX_HTTP_DELTA_REPLAY_OWED;
    replay->asked = 1;
    replay->wait.after = *after;
    replay->wait.exact = exact;
    replay->cursor = *cursor;
    replay->again = !exact;

    return NGX_OK;
}


static ngx_http_delta_replay_t *
ngx_http_delta_replay_create(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_replay_t  *replay;

    replay = ngx_calloc(sizeof(ngx_http_delta_replay_t), s->hub->worker->log);
    if (replay == NULL) {
        return NULL;
    }

    replay->session = s;
    replay->wait.channel = channel;
    replay->wait.handler = ngx_http_delta_replay_handler;
    replay->wait.data = replay;

    ngx_queue_insert_tail(&s->replays, &replay->queue);

    return replay;
}


static ngx_http_delta_replay_t *
ngx_http_delta_replay_find(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel)
{
    ngx_queue_t              *q;
    ngx_http_delta_replay_t  *replay;

    for (q = ngx_queue_head(&s->replays);
         q != ngx_queue_sentinel(&s->replays);
         q = ngx_queue_next(q))
    {
        replay = ngx_queue_data(q, ngx_http_delta_replay_t, queue);

        if (replay->wait.channel == channel) {
            return replay;
        }
    }

    return NULL;
}


void
ngx_http_delta_replay_fall(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event)
{
    if (s->state == NGX_HTTP_DELTA_LIVE) {

        if (s->fell && ngx_time() - s->fell < NGX_HTTP_DELTA_AGAIN) {
            ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_SLOW);
            return;
        }

        s->fell = ngx_time();
        s->cursor = ngx_http_delta_resume_cursor(s);
        s->state = NGX_HTTP_DELTA_BEHIND;

        ngx_http_delta_metric(s->hub->worker, BEHIND, 1);
    }

    ngx_http_delta_queue_drop(s, ngx_http_delta_replay_owe);
    ngx_http_delta_replay_owe(s, event);

    if (s->state == NGX_HTTP_DELTA_BEHIND) {
        ngx_http_delta_queue_wake(s);
    }
}


void
ngx_http_delta_replay_drained(ngx_http_delta_session_t *s)
{
    if (s->out.bytes > s->conf->queue_bytes / 4
        || s->out.count > s->conf->queue_events / 4)
    {
        return;
    }

    s->state = NGX_HTTP_DELTA_REPLAYING;
    s->attaching = ngx_time();

    ngx_http_delta_replay_start(s);
}


static void
ngx_http_delta_replay_owe(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event)
{
    uint64_t                   ms;
    ngx_uint_t                 created;
    ngx_http_delta_replay_t   *replay;

    if (event->channel->state && event->position.ms == 0) {
        ngx_http_delta_presence_owe(s, event->channel);
        return;
    }

    /* what a resync says from now on must not promise this event */

    ms = event->before.ms;

    if (ms && s->cursor >= ms) {
        s->cursor = ms - 1;
    }

    created = 0;
    replay = ngx_http_delta_replay_find(s, event->channel);

    if (replay == NULL) {
        replay = ngx_http_delta_replay_create(s, event->channel);

        if (replay == NULL) {
            ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
            return;
        }

        created = 1;
    }

    if (event->position.ms == 0 && event->position.seq == 0) {

        replay->lost = 1;

        if (created) {
            /* nothing but that is owed */
            replay->state = NGX_HTTP_DELTA_REPLAY_DONE;
        }

        return;
    }

    /* what is not served yet will hold this event, too */

    if (created || replay->state == NGX_HTTP_DELTA_REPLAY_DONE) {

        replay->state = NGX_HTTP_DELTA_REPLAY_OWED;
        replay->slow = 1;
        replay->wait.after = event->before;
        replay->wait.exact = event->exact;
        replay->cursor = event->before;
        replay->again |= s->again || !event->exact;
    }

    ngx_http_delta_replay_behind(s, event->channel, 1);
}


/* While it is behind, the channel's events need not be looked at. */

static void
ngx_http_delta_replay_behind(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel, ngx_uint_t behind)
{
    ngx_uint_t  i;

    for (i = 0; i < s->nsubs; i++) {

        if (s->subs[i].channel == channel) {
            s->subs[i].behind = behind;
            return;
        }
    }
}


ngx_uint_t
ngx_http_delta_replay_owes(ngx_http_delta_session_t *s)
{
    ngx_queue_t              *q;
    ngx_http_delta_replay_t  *replay;

    for (q = ngx_queue_head(&s->replays);
         q != ngx_queue_sentinel(&s->replays);
         q = ngx_queue_next(q))
    {
        replay = ngx_queue_data(q, ngx_http_delta_replay_t, queue);

        if (replay->state != NGX_HTTP_DELTA_REPLAY_DONE || replay->lost) {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_delta_replay_start(ngx_http_delta_session_t *s)
{
    ngx_int_t                 rc;
    ngx_queue_t              *q;
    ngx_http_delta_replay_t  *replay;

    for (q = ngx_queue_head(&s->replays);
         q != ngx_queue_sentinel(&s->replays)
         && s->state == NGX_HTTP_DELTA_REPLAYING;
         q = ngx_queue_next(q))
    {
        replay = ngx_queue_data(q, ngx_http_delta_replay_t, queue);

        if (replay->lost) {
            replay->lost = 0;
            ngx_http_delta_say_resync(s, &replay->wait.channel->name,
                                      NGX_HTTP_DELTA_RESYNC_SLOW);
        }

        if (replay->state != NGX_HTTP_DELTA_REPLAY_OWED) {
            continue;
        }

        replay->state = NGX_HTTP_DELTA_REPLAY_ASKED;

        rc = ngx_http_delta_history_get(&replay->wait);

        if (rc == NGX_AGAIN) {
            s->pending++;

        } else {
            ngx_http_delta_replay_serve(replay, rc);
        }
    }

    if (s->pending == 0 && s->state == NGX_HTTP_DELTA_REPLAYING) {
        ngx_http_delta_session_resumed(s);
    }
}


static void
ngx_http_delta_replay_handler(void *data, ngx_int_t rc)
{
    ngx_http_delta_replay_t   *replay = data;
    ngx_http_delta_session_t  *s;

    s = replay->session;
    s->pending--;

    if (s->state == NGX_HTTP_DELTA_CLOSING) {
        /* nothing comes behind the close, and nothing before ready */
        replay->state = NGX_HTTP_DELTA_REPLAY_DONE;
        return;
    }

    ngx_http_delta_replay_serve(replay, rc);

    if (rc == NGX_ERROR) {
        /* closed, or to begin anew when the link is back */
        return;
    }

    if (s->pending == 0 && s->state == NGX_HTTP_DELTA_REPLAYING) {
        ngx_http_delta_session_resumed(s);
    }
}


static void
ngx_http_delta_replay_serve(ngx_http_delta_replay_t *replay, ngx_int_t rc)
{
    ngx_http_delta_resync_e    why;
    ngx_http_delta_session_t  *s;

    s = replay->session;

    if (rc == NGX_ERROR) {

        replay->state = NGX_HTTP_DELTA_REPLAY_OWED;

        if (ngx_http_delta_redis_ready(s->hub)) {
            ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        }

        return;
    }

    replay->last = replay->wait.after;

    if (rc == NGX_OK) {
        rc = ngx_http_delta_replay_push(replay);
    }

    /* only now: the window that it lets go may be more than is taken */

    replay->state = NGX_HTTP_DELTA_REPLAY_DONE;

    ngx_http_delta_replay_behind(s, replay->wait.channel, 0);

    switch (rc) {

    case NGX_OK:
        return;

    case NGX_BUSY:
        why = NGX_HTTP_DELTA_RESYNC_MANY;
        break;

    default:
        why = NGX_HTTP_DELTA_RESYNC_GAP;
    }

    ngx_http_delta_queue_purge(s, replay->wait.channel);
    ngx_http_delta_say_resync(s, &replay->wait.channel->name, why);
}


/* NGX_BUSY: more than replay=, or than the queue takes. */

static ngx_int_t
ngx_http_delta_replay_push(ngx_http_delta_replay_t *replay)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i, n, count;
    ngx_http_delta_event_t     *held, **events, **reduced;
    ngx_http_delta_session_t   *s;
    ngx_http_delta_channel_t   *channel;

    s = replay->session;
    channel = replay->wait.channel;

    /*
     * A window goes out as a whole: this session gets it before, or joins.
     * Behind a time, it may have seen a part of what is held.
     */

    held = ngx_http_delta_window_first(channel);

    if (held
        && (replay->again
            || delta_position_compare(replay->wait.after, held->position)
               >= 0))
    {
        ngx_http_delta_window_flush(channel);
        held = NULL;
    }

    events = ngx_http_delta_history_list(channel, &replay->wait.after, &n);

    for (i = 0, count = 0; i < n; i++) {

        if (held && delta_position_compare(events[i]->position,
                                           held->position)
                    >= 0)
        {
            n = i;
            break;
        }

        count += (delta_position_compare(events[i]->position, replay->cursor)
                  > 0);
    }

    if (n == 0) {
        return NGX_OK;
    }

    if (count > channel->replay) {
        return NGX_BUSY;
    }

    replay->last = events[n - 1]->position;

    s->again |= replay->again;

    if (!replay->slow && channel->wait == 0) {
        return ngx_http_delta_replay_queue(s, events, n);
    }

    reduced = ngx_alloc(n * sizeof(ngx_http_delta_event_t *),
                        s->hub->worker->log);
    if (reduced == NULL) {
        return NGX_BUSY;
    }

    /*
     * What has no id cannot be told from what the client knows, and would
     * undo what came after it there.
     */

    n = ngx_http_delta_window_reduce(channel, events, n, replay->again,
                                     reduced);

    rc = ngx_http_delta_replay_queue(s, reduced, n);

    for (i = 0; i < n; i++) {
        ngx_http_delta_event_release(reduced[i]);
    }

    ngx_free(reduced);

    return rc;
}


static ngx_int_t
ngx_http_delta_replay_queue(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t **events, ngx_uint_t n)
{
    ngx_log_t               *log;
    ngx_uint_t               i;
    ngx_http_delta_event_t  *event;

    log = s->hub->worker->log;

    for (i = 0; i < n; i++) {

        if (events[i]->content.t.len == 0) {
            continue;
        }

        event = s->stream ? ngx_http_delta_stream_sift(s, events[i])
                          : events[i];
        if (event == NULL) {
            continue;
        }

        event->refs += (event == events[i]);

        if (ngx_http_delta_queue_full(s)
            || ngx_http_delta_event_frame(event, s->format, log) == NULL)
        {
            ngx_http_delta_event_release(event);
            return NGX_BUSY;
        }

        if (ngx_http_delta_queue_push(s, event) != NGX_OK) {
            return NGX_BUSY;
        }

        s->events_sent++;
        ngx_http_delta_metric(s->hub->worker, REPLAYED, 1);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_delta_replay_done(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_replay_t  *replay;

    replay = ngx_http_delta_replay_find(s, channel);

    return replay && replay->state == NGX_HTTP_DELTA_REPLAY_DONE;
}


ngx_uint_t
ngx_http_delta_replay_seen(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event)
{
    ngx_http_delta_replay_t  *replay;

    if ((event->position.ms == 0 && event->position.seq == 0)
        || ngx_queue_empty(&s->replays))
    {
        return 0;
    }

    replay = ngx_http_delta_replay_find(s, event->channel);

    return replay && delta_position_compare(event->position, replay->last) <= 0;
}


void
ngx_http_delta_replay_end(ngx_http_delta_session_t *s)
{
    ngx_queue_t               *q, *next;
    ngx_http_delta_replay_t   *replay;
    ngx_http_delta_channel_t  *channel;

    for (q = ngx_queue_head(&s->replays);
         q != ngx_queue_sentinel(&s->replays);
         q = next)
    {
        next = ngx_queue_next(q);
        replay = ngx_queue_data(q, ngx_http_delta_replay_t, queue);
        channel = replay->wait.channel;

        if (replay->last.ms <= s->hub->safe
            || delta_position_compare(replay->last, channel->last) <= 0)
        {
            ngx_queue_remove(q);
            ngx_free(replay);
        }
    }
}


void
ngx_http_delta_replay_abandon(ngx_http_delta_session_t *s)
{
    ngx_queue_t              *q;
    ngx_http_delta_replay_t  *replay;

    for (q = ngx_queue_head(&s->replays);
         q != ngx_queue_sentinel(&s->replays);
         q = ngx_queue_next(q))
    {
        replay = ngx_queue_data(q, ngx_http_delta_replay_t, queue);

        if (replay->state == NGX_HTTP_DELTA_REPLAY_ASKED) {
            ngx_http_delta_history_cancel(&replay->wait);
            replay->state = NGX_HTTP_DELTA_REPLAY_OWED;
        }
    }

    s->pending = 0;
}


void
ngx_http_delta_replay_restart(ngx_http_delta_session_t *s)
{
    ngx_http_delta_replay_forget(s);
    ngx_http_delta_queue_drop(s, NULL);
}


void
ngx_http_delta_replay_leave(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel)
{
    ngx_uint_t                asked;
    ngx_http_delta_replay_t  *replay;

    if (ngx_queue_empty(&s->replays)) {
        return;
    }

    replay = ngx_http_delta_replay_find(s, channel);

    if (replay == NULL) {
        return;
    }

    asked = (replay->state == NGX_HTTP_DELTA_REPLAY_ASKED);

    if (asked) {
        ngx_http_delta_history_cancel(&replay->wait);
        s->pending--;
    }

    ngx_queue_remove(&replay->queue);
    ngx_free(replay);

    if (asked && s->pending == 0 && s->state == NGX_HTTP_DELTA_REPLAYING) {
        ngx_http_delta_session_resumed(s);
    }
}


void
ngx_http_delta_replay_forget(ngx_http_delta_session_t *s)
{
    ngx_uint_t                i;
    ngx_queue_t              *q;
    ngx_http_delta_replay_t  *replay;

    ngx_http_delta_replay_abandon(s);

    for (i = 0; i < s->nsubs; i++) {
        s->subs[i].behind = 0;
    }

    while (!ngx_queue_empty(&s->replays)) {
        q = ngx_queue_head(&s->replays);
        replay = ngx_queue_data(q, ngx_http_delta_replay_t, queue);

        ngx_queue_remove(q);
        ngx_free(replay);
    }
}
