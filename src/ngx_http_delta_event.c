
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_event.h"
#include "core/delta_msgpack.h"
#include "core/delta_sse.h"
#include "core/delta_ws.h"


static ngx_http_delta_frame_t *ngx_http_delta_event_encode_ws(
    ngx_http_delta_event_t *event, delta_envelope_t envelope,
    delta_str_t channel, delta_str_t id,
    ngx_log_t *log);
static ngx_http_delta_frame_t *ngx_http_delta_event_encode_msgpack(
    ngx_http_delta_event_t *event, delta_envelope_t envelope,
    delta_str_t channel, delta_str_t id,
    ngx_log_t *log);
static ngx_http_delta_frame_t *ngx_http_delta_event_encode_sse(
    ngx_http_delta_event_t *event, delta_envelope_t envelope,
    delta_str_t channel, delta_str_t id,
    ngx_log_t *log);
static ngx_http_delta_frame_t *ngx_http_delta_event_alloc(size_t len,
    ngx_log_t *log);


ngx_http_delta_event_t *
ngx_http_delta_event_create(ngx_log_t *log, ngx_http_delta_channel_t *channel,
    const delta_event_t *content, const delta_position_t *position,
    const delta_position_t *previous)
{
    char                    *p;
    ngx_http_delta_event_t  *event;

    event = ngx_alloc(sizeof(ngx_http_delta_event_t) + content->t.len
                      + content->d.len, log);
    if (event == NULL) {
        return NULL;
    }

    ngx_memzero(event, sizeof(ngx_http_delta_event_t));

    p = (char *) (event + 1);

    event->refs = 1;
    event->channel = channel;
    event->content.t.data = p;
    event->content.t.len = content->t.len;
    p = (char *) ngx_cpymem(p, content->t.data, content->t.len);
    event->content.d.data = p;
    event->content.d.len = content->d.len;
    ngx_memcpy(p, content->d.data, content->d.len);

    if (position) {
        event->position = *position;
        event->before = *previous;
        event->exact = (previous->ms || previous->seq);

        if (!event->exact) {

            /* the first of its log: a place right before it */

            event->before = *position;

            if (event->before.seq) {
                event->before.seq--;

            } else {
                event->before.ms -= (event->before.ms != 0);
                event->before.seq = UINT64_MAX;
            }
        }
    }

    return event;
}


ngx_http_delta_event_t *
ngx_http_delta_event_own(ngx_http_delta_session_t *s, const char *t,
    ngx_str_t *d)
{
    ngx_log_t               *log;
    delta_event_t            content;
    ngx_http_delta_event_t  *event;

    log = s->hub->worker->log;

    content.t.data = t;
    content.t.len = ngx_strlen(t);
    content.d.data = (char *) d->data;
    content.d.len = d->len;

    event = ngx_http_delta_event_create(log, NULL, &content, NULL, NULL);

    if (event && ngx_http_delta_event_frame(event, s->format, log) == NULL) {
        ngx_http_delta_event_release(event);
        return NULL;
    }

    return event;
}


ngx_http_delta_event_t *
ngx_http_delta_event_raw(ngx_http_delta_session_t *s, const void *data,
    size_t len)
{
    ngx_log_t               *log;
    delta_event_t            content = { { "", 0 }, { "", 0 } };
    ngx_http_delta_event_t  *event;

    log = s->hub->worker->log;

    event = ngx_http_delta_event_create(log, NULL, &content, NULL, NULL);
    if (event == NULL) {
        return NULL;
    }

    event->frames = ngx_http_delta_event_alloc(len, log);

    if (event->frames == NULL) {
        ngx_http_delta_event_release(event);
        return NULL;
    }

    ngx_memcpy(event->frames->data, data, len);
    event->frames->format = s->format;

    return event;
}


ngx_http_delta_frame_t *
ngx_http_delta_event_frame(ngx_http_delta_event_t *event, ngx_uint_t format,
    ngx_log_t *log)
{
    char                     buf[DELTA_POSITION_LEN];
    delta_str_t              channel, id;
    delta_envelope_t         envelope;
    delta_position_t         place;
    ngx_http_delta_frame_t  *frame;

    frame = ngx_http_delta_event_find(event, format);
    if (frame) {
        return frame;
    }

    channel.data = NULL;
    channel.len = 0;

    if (event->channel) {
        channel.data = (char *) event->channel->name.data;
        channel.len = event->channel->name.len;
    }

    id.data = buf;
    id.len = 0;

    envelope = format & 0x0f;
    place = event->position;

    if ((place.ms || place.seq)
        && (!event->partial || envelope == DELTA_ENVELOPE_SPACE))
    {
        /* of a place that others are still to reach, one goes on before it */

        id.len = delta_position_format(buf, event->partial ? event->before
                                                           : place);
    }

    if ((format >> 8) == NGX_HTTP_DELTA_SSE) {
        frame = ngx_http_delta_event_encode_sse(event, envelope, channel, id,
                                                log);

    } else if (format & NGX_HTTP_DELTA_MSGPACK) {
        frame = ngx_http_delta_event_encode_msgpack(event, envelope, channel,
                                                    id, log);

    } else {
        frame = ngx_http_delta_event_encode_ws(event, envelope, channel, id,
                                               log);
    }

    if (frame) {
        frame->format = format;
        frame->next = event->frames;
        event->frames = frame;
    }

    return frame;
}


static ngx_http_delta_frame_t *
ngx_http_delta_event_encode_ws(ngx_http_delta_event_t *event,
    delta_envelope_t envelope, delta_str_t channel, delta_str_t id,
    ngx_log_t *log)
{
    size_t                   len, head;
    uint8_t                  header[DELTA_WS_MAX_HEADER];
    ngx_http_delta_frame_t  *frame;

    len = delta_envelope_encode(NULL, envelope, &event->content, channel, id);
    head = delta_ws_header(header, DELTA_WS_TEXT, len);

    frame = ngx_http_delta_event_alloc(head + len, log);

    if (frame) {
        ngx_memcpy(frame->data, header, head);
        delta_envelope_encode((char *) frame->data + head, envelope,
                              &event->content, channel, id);
    }

    return frame;
}


static ngx_http_delta_frame_t *
ngx_http_delta_event_encode_msgpack(ngx_http_delta_event_t *event,
    delta_envelope_t envelope, delta_str_t channel, delta_str_t id,
    ngx_log_t *log)
{
    char                    *json;
    size_t                   len, size, head;
    ssize_t                  n;
    uint8_t                  header[DELTA_WS_MAX_HEADER], *data;
    ngx_http_delta_frame_t  *frame;

    len = delta_envelope_encode(NULL, envelope, &event->content, channel, id);
    size = delta_msgpack_bound(len);

    data = ngx_alloc(size + len, log);
    if (data == NULL) {
        return NULL;
    }

    json = (char *) data + size;
    delta_envelope_encode(json, envelope, &event->content, channel, id);

    frame = NULL;
    n = delta_msgpack_encode(data, size, json, len);

    if (n < 0) {
        ngx_log_error(NGX_LOG_ALERT, log, 0, "delta: an event is no "
                      "MessagePack: %s", delta_msgpack_strerror(n));

    } else {
        head = delta_ws_header(header, DELTA_WS_BINARY, n);
        frame = ngx_http_delta_event_alloc(head + n, log);
    }

    if (frame) {
        ngx_memcpy(frame->data, header, head);
        ngx_memcpy(frame->data + head, data, n);
    }

    ngx_free(data);

    return frame;
}


static ngx_http_delta_frame_t *
ngx_http_delta_event_encode_sse(ngx_http_delta_event_t *event,
    delta_envelope_t envelope, delta_str_t channel, delta_str_t id,
    ngx_log_t *log)
{
    char                    *json, buf[DELTA_PLACE_LEN];
    size_t                   len;
    delta_str_t              none = { NULL, 0 }, data, type, where;
    delta_position_t         place;
    ngx_http_delta_frame_t  *frame;

    len = delta_envelope_encode(NULL, envelope, &event->content, channel, id);

    json = ngx_alloc(len, log);
    if (json == NULL) {
        return NULL;
    }

    delta_envelope_encode(json, envelope, &event->content, channel, id);

    data.data = json;
    data.len = len;

    /* clients of the older shapes listen with onmessage */
    type = (envelope == DELTA_ENVELOPE_VTD) ? event->content.t : none;

    where.data = buf;
    where.len = 0;

    if (envelope == DELTA_ENVELOPE_SPACE && event->channel
        && event->channel->hub->epoch
        && delta_position_parse(&place, id.data, id.len) == 0)
    {
        where.len = delta_place_format(buf, event->channel->hub->epoch, place);
    }

    len = delta_sse_block(NULL, where, type, data);
    frame = ngx_http_delta_event_alloc(len, log);

    if (frame) {
        delta_sse_block((char *) frame->data, where, type, data);
    }

    ngx_free(json);

    return frame;
}


static ngx_http_delta_frame_t *
ngx_http_delta_event_alloc(size_t len, ngx_log_t *log)
{
    ngx_http_delta_frame_t  *frame;

    frame = ngx_alloc(offsetof(ngx_http_delta_frame_t, data) + len, log);

    if (frame) {
        frame->next = NULL;
        frame->len = len;
    }

    return frame;
}


void
ngx_http_delta_event_release(ngx_http_delta_event_t *event)
{
    ngx_http_delta_frame_t  *frame, *next;

    if (--event->refs) {
        return;
    }

    for (frame = event->frames; frame; frame = next) {
        next = frame->next;
        ngx_free(frame);
    }

    ngx_free(event);
}
