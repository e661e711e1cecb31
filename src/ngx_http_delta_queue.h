
/*
 * Copyright (C) Delta contributors
 *
 * What a session still has to send.  Queueing never writes: it marks the
 * session, and one posted event per turn lets each marked session write once.
 */

#ifndef _NGX_HTTP_DELTA_QUEUE_H_INCLUDED_
#define _NGX_HTTP_DELTA_QUEUE_H_INCLUDED_


#include "ngx_http_delta.h"


/*
 * A channel's event for this session: queued if it is live, parked if it is
 * not yet, dropped if it is closing.  Takes a reference of its own.
 * NGX_DECLINED: over a bound of delta_queue; NGX_ERROR: out of memory.
 */
ngx_int_t ngx_http_delta_queue_deliver(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event);

/*
 * Queues what is not bounded, or was checked to fit; takes over the caller's
 * reference.  NGX_ERROR: out of memory, also if event is NULL.
 */
ngx_int_t ngx_http_delta_queue_push(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event);

/* Whether the bounds of delta_queue are exceeded. */
ngx_uint_t ngx_http_delta_queue_full(ngx_http_delta_session_t *s);

/* Moves the newest entry before all others; nothing is in flight. */
void ngx_http_delta_queue_to_front(ngx_http_delta_session_t *s);

/*
 * The session is live: what was parked goes out, but for what seen() knows.
 * NGX_ERROR: out of memory.
 */
typedef ngx_uint_t (*ngx_http_delta_seen_pt)(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event);

ngx_int_t ngx_http_delta_queue_unpark(ngx_http_delta_session_t *s,
    ngx_http_delta_seen_pt seen);

/* Drops what is queued of that channel; what is in flight stays. */
void ngx_http_delta_queue_purge(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel);

/*
 * Takes every channel's event, and every cursor, out of what is queued and
 * parked, but for what is in flight; dropped() is told of each event.  NULL:
 * takes resyncs, too.
 */
typedef void (*ngx_http_delta_dropped_pt)(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event);

void ngx_http_delta_queue_drop(ngx_http_delta_session_t *s,
    ngx_http_delta_dropped_pt dropped);

/* Drops everything; with keep, what is in flight stays. */
void ngx_http_delta_queue_clear(ngx_http_delta_session_t *s,
    ngx_uint_t keep);

/* The i-th frame to send, 0 being the head; NULL behind the last. */
ngx_http_delta_frame_t *ngx_http_delta_queue_frame(
    ngx_http_delta_session_t *s, ngx_uint_t i);

/* So many bytes, counted from the head's unsent part, have been taken. */
void ngx_http_delta_queue_sent(ngx_http_delta_session_t *s, size_t n);

/* Marks the session for the flush at the end of this turn. */
void ngx_http_delta_queue_wake(ngx_http_delta_session_t *s);


#endif /* _NGX_HTTP_DELTA_QUEUE_H_INCLUDED_ */
