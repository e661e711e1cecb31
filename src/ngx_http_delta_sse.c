
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_sse.h"
#include "ngx_http_delta_auth.h"
#include "ngx_http_delta_event.h"
#include "ngx_http_delta_header.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_queue.h"
#include "ngx_http_delta_resume.h"
#include "ngx_http_delta_session.h"
#include "core/delta_sse.h"


#define NGX_HTTP_DELTA_SSE_BATCH  16        /* frames in the filters at once */


static void ngx_http_delta_sse_open(ngx_http_delta_session_t *s);
static void ngx_http_delta_sse_patience(ngx_http_delta_session_t *s);
static ngx_int_t ngx_http_delta_sse_headers(ngx_http_request_t *r);
static ngx_int_t ngx_http_delta_sse_start(ngx_http_request_t *r);
static void ngx_http_delta_sse_read_handler(ngx_http_request_t *r);
static void ngx_http_delta_sse_write_handler(ngx_http_request_t *r);
static void ngx_http_delta_sse_write(ngx_http_delta_session_t *s);
static ngx_int_t ngx_http_delta_sse_send(ngx_http_delta_session_t *s,
    ngx_uint_t max);
static ngx_chain_t *ngx_http_delta_sse_gather(ngx_http_delta_session_t *s,
    ngx_uint_t max);
static void ngx_http_delta_sse_close(ngx_http_delta_session_t *s);
static void ngx_http_delta_sse_ping(ngx_http_delta_session_t *s);
static void ngx_http_delta_sse_finalize(ngx_http_delta_session_t *s,
    ngx_int_t rc);


const ngx_http_delta_transport_t  ngx_http_delta_sse_transport = {
    NGX_HTTP_DELTA_SSE,
    ngx_http_delta_sse_open,
    ngx_http_delta_sse_write,
    ngx_http_delta_sse_close,
    ngx_http_delta_sse_ping
};


ngx_uint_t
ngx_http_delta_sse_requested(ngx_http_request_t *r, ngx_uint_t lenient)
{
    ngx_str_t  *value;

    value = ngx_http_delta_auth_header(r, "accept", NULL);

    if (value == NULL || value->len == 0) {
        return lenient;
    }

#define has(text)                                                             \
    (ngx_strlcasestrn(value->data, value->data + value->len,                  \
                      (u_char *) text, sizeof(text) - 2)                      \
     != NULL)

    return has("text/event-stream")
           || (lenient && (has("*/*") || has("text/*")));

#undef has
}


static void
ngx_http_delta_sse_open(ngx_http_delta_session_t *s)
{
    ngx_http_request_t  *r;

    r = s->request;

    r->read_event_handler = ngx_http_delta_sse_read_handler;
    r->write_event_handler = ngx_http_delta_sse_write_handler;

    if (ngx_http_delta_sse_headers(r) != NGX_OK
        || ngx_http_send_header(r) == NGX_ERROR
        || ngx_http_delta_sse_start(r) == NGX_ERROR)
    {
        ngx_http_delta_session_close_code(s, 1006, NULL,
                                        NGX_HTTP_DELTA_METRIC_CLOSED_CLIENT);
        return;
    }

    if (r->stream == NULL) {
        (void) ngx_tcp_nodelay(s->connection);
    }

    ngx_http_delta_sse_patience(s);
}


/*
 * The client says nothing, but its host acknowledges what it is sent: one that
 * does not is given up as late as a WebSocket is.
 */

static void
ngx_http_delta_sse_patience(ngx_http_delta_session_t *s)
{
#ifdef TCP_USER_TIMEOUT

    int  ms;

    ms = ngx_min(s->conf->heartbeat * (time_t) s->conf->missed, 3600) * 1000;

    if (ms) {
        (void) setsockopt(s->connection->fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
                          &ms, sizeof(int));
    }

#endif
}


static ngx_int_t
ngx_http_delta_sse_headers(ngx_http_request_t *r)
{
    ngx_str_t  no_store = ngx_string("no-store, no-transform");
    ngx_str_t  no = ngx_string("no");

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;
    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (ngx_http_delta_header(r, "Cache-Control", &no_store) != NGX_OK) {
        return NGX_ERROR;
    }

    /* for an nginx in front of this one */
    return ngx_http_delta_header(r, "X-Accel-Buffering", &no);
}


/* Lets the client know at once that the stream is open. */

static ngx_int_t
ngx_http_delta_sse_start(ngx_http_request_t *r)
{
    ngx_buf_t    *b;
    ngx_chain_t   out;

    static u_char  retry[] = "retry: 2000\n\n";

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = retry;
    b->last = retry + sizeof(retry) - 1;
    b->memory = 1;
    b->flush = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* Notices the client leaving; HTTP/2 tells by the same way. */

static void
ngx_http_delta_sse_read_handler(ngx_http_request_t *r)
{
    ngx_http_test_reading(r);
}


static void
ngx_http_delta_sse_write_handler(ngx_http_request_t *r)
{
    ngx_http_delta_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);

    if (ctx->session) {
        ngx_http_delta_sse_write(ctx->session);
    }
}


static void
ngx_http_delta_sse_write(ngx_http_delta_session_t *s)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = s->connection;

    if (s->close_received) {
        /* the time for goodbye is over */
        ngx_http_delta_sse_finalize(s, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    rc = ngx_http_delta_sse_send(s, NGX_HTTP_DELTA_SSE_BATCH);

    if (rc == NGX_ERROR) {
        ngx_http_delta_sse_finalize(s, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    if (s->state == NGX_HTTP_DELTA_BEHIND && !c->write->ready) {
        /* nothing is queued, but the socket is as full as before */
        rc = NGX_AGAIN;
    }

    ngx_http_delta_session_blocked(s, rc == NGX_AGAIN);

    if (rc == NGX_AGAIN) {

        if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
            ngx_http_delta_sse_finalize(s, NGX_ERROR);
        }

        return;
    }

    if (s->close_sent) {
        ngx_http_delta_sse_finalize(s, ngx_http_send_special(s->request,
                                                             NGX_HTTP_LAST));
    }
}


/* NGX_OK: all is sent; NGX_AGAIN: the connection is full. */

static ngx_int_t
ngx_http_delta_sse_send(ngx_http_delta_session_t *s, ngx_uint_t max)
{
    size_t               sent;
    ngx_chain_t         *out, *cl;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = s->request;
    c = s->connection;

    for ( ;; ) {
        if (c->error) {
            return NGX_ERROR;
        }

        out = s->busy ? NULL : ngx_http_delta_sse_gather(s, max);

        if (out == NULL && s->busy == NULL && !c->buffered) {
            return NGX_OK;
        }

        ngx_http_delta_metric(s->hub->worker, WRITES, 1);

        if (ngx_http_output_filter(r, out) == NGX_ERROR) {
            return NGX_ERROR;
        }

        for (sent = 0, cl = out ? out : s->busy; cl; cl = cl->next) {

            if (cl->buf->pos == cl->buf->last) {
                sent += cl->buf->end - cl->buf->start;
                cl->buf->start = cl->buf->end;
            }
        }

        ngx_http_delta_queue_sent(s, sent);

        ngx_chain_update_chains(s->pool, &s->free, &s->busy, &out,
                                (ngx_buf_tag_t) &ngx_http_delta_module);

        if (s->busy || c->buffered) {
            return NGX_AGAIN;
        }
    }
}


/*
 * The queue as a chain of the session's own buffers: the filters may keep
 * them beyond the call, so their frames stay queued until they have left.
 */

static ngx_chain_t *
ngx_http_delta_sse_gather(ngx_http_delta_session_t *s, ngx_uint_t max)
{
    ngx_buf_t               *b;
    ngx_uint_t               i;
    ngx_chain_t             *cl, *out, **ll;
    ngx_http_delta_frame_t  *frame;

    out = NULL;
    ll = &out;

    for (i = 0; i < max; i++) {
        frame = ngx_http_delta_queue_frame(s, i);

        if (frame == NULL) {
            break;
        }

        cl = ngx_chain_get_free_buf(s->pool, &s->free);
        if (cl == NULL) {
            break;
        }

        b = cl->buf;
        ngx_memzero(b, sizeof(ngx_buf_t));

        b->start = frame->data;
        b->pos = frame->data;
        b->last = frame->data + frame->len;
        b->end = b->last;
        b->memory = 1;
        b->flush = 1;
        b->tag = (ngx_buf_tag_t) &ngx_http_delta_module;

        *ll = cl;
        ll = &cl->next;
    }

    *ll = NULL;
    s->inflight = i;

    return out;
}


static void
ngx_http_delta_sse_close(ngx_http_delta_session_t *s)
{
    u_char        json[256], *block;
    size_t        len;
    delta_str_t   none = { NULL, 0 }, type = delta_str("close"), data;

    if (s->close_code == 1006) {
        ngx_http_delta_sse_finalize(s, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    data.data = (char *) json;
    data.len = ngx_snprintf(json, sizeof(json),
                            "{\"code\":%ui,\"reason\":\"%V\"}",
                            s->close_code, &s->close_reason)
               - json;

    len = delta_sse_block(NULL, none, type, data);
    block = ngx_pnalloc(s->pool, len);

    if (block == NULL) {
        ngx_http_delta_sse_finalize(s, NGX_ERROR);
        return;
    }

    delta_sse_block((char *) block, none, type, data);

    ngx_http_delta_queue_push(s, ngx_http_delta_event_raw(s, block, len));

    ngx_http_delta_sse_write(s);
}


static void
ngx_http_delta_sse_ping(ngx_http_delta_session_t *s)
{
    char                     id[DELTA_CURSOR_LEN];
    char                     block[DELTA_CURSOR_LEN + 8];
    delta_str_t              none = { NULL, 0 }, text;
    delta_cursor_t           cursor;
    ngx_http_delta_event_t  *event;

    cursor.epoch = s->hub->epoch;
    cursor.ms = ngx_http_delta_resume_cursor(s);

    if (s->stream || cursor.epoch == 0
        || cursor.ms <= ngx_max(s->cursor, s->told))
    {
        ngx_http_delta_session_push(s,
                                    ngx_http_delta_event_raw(s, ":\n\n", 3));
        return;
    }

    /* EventSource keeps it and tells nobody: a keep-alive that is of use */

    s->told = cursor.ms;

    text.data = id;
    text.len = delta_cursor_format(id, cursor);

    event = ngx_http_delta_event_raw(s, block,
                                     delta_sse_block(block, text, none, none));
    if (event) {
        event->claims = 1;
    }

    ngx_http_delta_session_push(s, event);
}


/* Neither session nor request may be touched when this returns. */

static void
ngx_http_delta_sse_finalize(ngx_http_delta_session_t *s, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = s->request;
    c = s->connection;

    ngx_http_delta_session_end(s);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
