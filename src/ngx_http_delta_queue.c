
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_queue.h"
#include "ngx_http_delta_event.h"
#include "ngx_http_delta_metrics.h"


static ngx_int_t ngx_http_delta_ring_put(ngx_http_delta_ring_t *ring,
    ngx_http_delta_event_t *event, size_t len, ngx_log_t *log);
static void ngx_http_delta_ring_pop(ngx_http_delta_ring_t *ring, size_t len);
static void ngx_http_delta_ring_filter(ngx_http_delta_session_t *s,
    ngx_http_delta_ring_t *ring, ngx_http_delta_channel_t *channel,
    ngx_uint_t keep);
static void ngx_http_delta_ring_free(ngx_http_delta_ring_t *ring);


#define ngx_http_delta_ring_at(ring, i)                                       \
    (&(ring)->entries[((ring)->head + (i)) & ((ring)->size - 1)])


ngx_int_t
ngx_http_delta_queue_deliver(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event)
{
    ngx_log_t               *log;
    ngx_http_delta_ring_t   *ring;
    ngx_http_delta_frame_t  *frame;

    if (s->state == NGX_HTTP_DELTA_CLOSING) {
        return NGX_OK;
    }

    log = s->hub->worker->log;

    frame = ngx_http_delta_event_frame(event, s->format, log);
    if (frame == NULL) {
        return NGX_ERROR;
    }

    if (s->out.bytes + s->parked.bytes + frame->len > s->conf->queue_bytes
        || s->out.count + s->parked.count >= s->conf->queue_events)
    {
        return NGX_DECLINED;
    }

    ring = (s->state == NGX_HTTP_DELTA_LIVE) ? &s->out : &s->parked;

    if (ngx_http_delta_ring_put(ring, event, frame->len, log) != NGX_OK) {
        return NGX_ERROR;
    }

    event->refs++;
    s->events_sent++;

    ngx_http_delta_metric(s->hub->worker, DELIVERED, 1);

    if (ring == &s->out) {
        ngx_http_delta_queue_wake(s);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_delta_queue_full(ngx_http_delta_session_t *s)
{
    return s->out.bytes + s->parked.bytes > s->conf->queue_bytes
           || s->out.count + s->parked.count > s->conf->queue_events;
}


ngx_int_t
ngx_http_delta_queue_push(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event)
{
    ngx_http_delta_frame_t  *frame;

    if (event == NULL) {
        return NGX_ERROR;
    }

    frame = ngx_http_delta_event_find(event, s->format);

    if (ngx_http_delta_ring_put(&s->out, event, frame->len,
                                s->hub->worker->log)
        != NGX_OK)
    {
        ngx_http_delta_event_release(event);
        return NGX_ERROR;
    }

    ngx_http_delta_queue_wake(s);

    return NGX_OK;
}


void
ngx_http_delta_queue_to_front(ngx_http_delta_session_t *s)
{
    ngx_http_delta_ring_t   *ring;
    ngx_http_delta_entry_t   last;

    ring = &s->out;
    last = *ngx_http_delta_ring_at(ring, ring->count - 1);

    ring->head = (ring->head + ring->size - 1) & (ring->size - 1);

    *ngx_http_delta_ring_at(ring, 0) = last;
}


ngx_int_t
ngx_http_delta_queue_unpark(ngx_http_delta_session_t *s,
    ngx_http_delta_seen_pt seen)
{
    size_t                   len;
    ngx_http_delta_event_t  *event;

    while (s->parked.count) {
        event = ngx_http_delta_ring_at(&s->parked, 0)->event;
        len = ngx_http_delta_event_find(event, s->format)->len;

        if (!seen(s, event)) {

            if (ngx_http_delta_ring_put(&s->out, event, len,
                                        s->hub->worker->log)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            event->refs++;
        }

        ngx_http_delta_ring_pop(&s->parked, len);
    }

    ngx_http_delta_queue_wake(s);

    return NGX_OK;
}


void
ngx_http_delta_queue_purge(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_ring_filter(s, &s->parked, channel, 0);
    ngx_http_delta_ring_filter(s, &s->out, channel, s->inflight);
}


void
ngx_http_delta_queue_drop(ngx_http_delta_session_t *s,
    ngx_http_delta_dropped_pt dropped)
{
    uint32_t                 i, k, n;
    ngx_http_delta_ring_t   *ring, *rings[] = { &s->out, &s->parked };
    ngx_http_delta_event_t  *event;

    for (k = 0; k < 2; k++) {
        ring = rings[k];
        n = 0;

        for (i = 0; i < ring->count; i++) {
            event = ngx_http_delta_ring_at(ring, i)->event;

            if ((ring == &s->out && i < s->inflight)
                || (event->channel == NULL && !event->claims
                    && (dropped || !event->resync)))
            {
                *ngx_http_delta_ring_at(ring, n) =
                                             *ngx_http_delta_ring_at(ring, i);
                n++;
                continue;
            }

            if (event->channel && dropped) {
                dropped(s, event);
            }

            ring->bytes -= ngx_http_delta_event_find(event, s->format)->len;
            ngx_http_delta_event_release(event);
        }

        ring->count = n;

        if (n == 0) {
            ngx_http_delta_ring_free(ring);
        }
    }
}


void
ngx_http_delta_queue_clear(ngx_http_delta_session_t *s, ngx_uint_t keep)
{
    ngx_http_delta_ring_filter(s, &s->parked, NULL, 0);
    ngx_http_delta_ring_filter(s, &s->out, NULL, keep ? s->inflight : 0);
}


ngx_http_delta_frame_t *
ngx_http_delta_queue_frame(ngx_http_delta_session_t *s, ngx_uint_t i)
{
    /* answers to early commands wait: ready comes first, always */

    if (i >= s->out.count
        || (!s->welcomed && s->state != NGX_HTTP_DELTA_CLOSING))
    {
        return NULL;
    }

    return ngx_http_delta_event_find(
               ngx_http_delta_ring_at(&s->out, i)->event, s->format);
}


void
ngx_http_delta_queue_sent(ngx_http_delta_session_t *s, size_t n)
{
    size_t                   rest;
    ngx_http_delta_frame_t  *frame;

    ngx_http_delta_metric(s->hub->worker, BYTES, n);

    while (n) {
        frame = ngx_http_delta_queue_frame(s, 0);
        rest = frame->len - s->head_sent;

        if (n < rest) {
            s->head_sent += n;
            s->inflight = ngx_max(s->inflight, 1);
            return;
        }

        n -= rest;
        s->head_sent = 0;
        s->inflight -= (s->inflight != 0);
        ngx_http_delta_ring_pop(&s->out, frame->len);
    }

    if (s->out.count == 0 && s->state == NGX_HTTP_DELTA_LIVE) {
        s->again = 0;
    }
}


void
ngx_http_delta_queue_wake(ngx_http_delta_session_t *s)
{
    ngx_http_delta_worker_t  *worker;

    if (s->queued) {
        return;
    }

    worker = s->hub->worker;

    s->queued = 1;
    ngx_queue_insert_tail(&worker->dirty, &s->dirty);

    if (!worker->flush.posted) {
        ngx_post_event(&worker->flush, &ngx_posted_events);
    }
}


static ngx_int_t
ngx_http_delta_ring_put(ngx_http_delta_ring_t *ring,
    ngx_http_delta_event_t *event, size_t len, ngx_log_t *log)
{
    uint32_t                 i, size;
    ngx_http_delta_entry_t  *entries;

    if (ring->count == ring->size) {
        size = ring->size ? 2 * ring->size : 4;

        entries = ngx_alloc(size * sizeof(ngx_http_delta_entry_t), log);
        if (entries == NULL) {
            return NGX_ERROR;
        }

        for (i = 0; i < ring->count; i++) {
            entries[i] = *ngx_http_delta_ring_at(ring, i);
        }

        if (ring->entries) {
            ngx_free(ring->entries);
        }

        ring->entries = entries;
        ring->size = size;
        ring->head = 0;
    }

    ngx_http_delta_ring_at(ring, ring->count)->event = event;
    ngx_http_delta_ring_at(ring, ring->count)->since = ngx_current_msec;

    ring->count++;
    ring->bytes += len;

    return NGX_OK;
}


static void
ngx_http_delta_ring_pop(ngx_http_delta_ring_t *ring, size_t len)
{
    ngx_http_delta_event_release(ngx_http_delta_ring_at(ring, 0)->event);

    ring->head = (ring->head + 1) & (ring->size - 1);
    ring->count--;
    ring->bytes -= len;

    if (ring->count == 0) {
        ngx_http_delta_ring_free(ring);
    }
}


/* Drops the channel's entries (NULL: all) behind the first keep. */

static void
ngx_http_delta_ring_filter(ngx_http_delta_session_t *s,
    ngx_http_delta_ring_t *ring, ngx_http_delta_channel_t *channel,
    ngx_uint_t keep)
{
    uint32_t                 i, n;
    ngx_http_delta_entry_t  *entry;

    n = 0;

    for (i = 0; i < ring->count; i++) {
        entry = ngx_http_delta_ring_at(ring, i);

        if (i < keep || (channel && entry->event->channel != channel)) {
            *ngx_http_delta_ring_at(ring, n) = *entry;
            n++;
            continue;
        }

        ring->bytes -= ngx_http_delta_event_find(entry->event, s->format)->len;
        ngx_http_delta_event_release(entry->event);
    }

    ring->count = n;

    if (n == 0) {
        ngx_http_delta_ring_free(ring);
    }
}


static void
ngx_http_delta_ring_free(ngx_http_delta_ring_t *ring)
{
    if (ring->entries) {
        ngx_free(ring->entries);
        ring->entries = NULL;
    }

    ring->size = 0;
    ring->head = 0;
    ring->bytes = 0;
}
