
/*
 * Copyright (C) Delta contributors
 *
 * Events and their frames: encoded at most once per format and worker, then
 * shared by reference until the last session has sent them.
 */

#ifndef _NGX_HTTP_DELTA_EVENT_H_INCLUDED_
#define _NGX_HTTP_DELTA_EVENT_H_INCLUDED_


#include "ngx_http_delta.h"


/*
 * An event with one reference, which is the caller's; content is copied.
 * position is NULL for one that is in no log, previous what it names as the
 * event before it.  NULL: out of memory.
 */
ngx_http_delta_event_t *ngx_http_delta_event_create(ngx_log_t *log,
    ngx_http_delta_channel_t *channel, const delta_event_t *content,
    const delta_position_t *position, const delta_position_t *previous);

/* Bytes that it takes without its frames. */
#define ngx_http_delta_event_size(event)                                      \
    (sizeof(ngx_http_delta_event_t) + (event)->content.t.len                  \
     + (event)->content.d.len)

/* An event for one session alone: t and the text of d in its format. */
ngx_http_delta_event_t *ngx_http_delta_event_own(ngx_http_delta_session_t *s,
    const char *t, ngx_str_t *d);

/* Bytes that go out as they are. */
ngx_http_delta_event_t *ngx_http_delta_event_raw(ngx_http_delta_session_t *s,
    const void *data, size_t len);

/* The frame of that format, made now if it does not exist; NULL: no memory. */
ngx_http_delta_frame_t *ngx_http_delta_event_frame(
    ngx_http_delta_event_t *event, ngx_uint_t format, ngx_log_t *log);

/* The frame of a format that was made before. */
static ngx_inline ngx_http_delta_frame_t *
ngx_http_delta_event_find(ngx_http_delta_event_t *event, ngx_uint_t format)
{
    ngx_http_delta_frame_t  *frame;

    for (frame = event->frames; frame; frame = frame->next) {
        if (frame->format == format) {
            return frame;
        }
    }

    return NULL;
}

void ngx_http_delta_event_release(ngx_http_delta_event_t *event);


#endif /* _NGX_HTTP_DELTA_EVENT_H_INCLUDED_ */
