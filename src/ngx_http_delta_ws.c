
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_ws.h"
#include "ngx_http_delta_auth.h"
#include "ngx_http_delta_command.h"
#include "ngx_http_delta_event.h"
#include "ngx_http_delta_header.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_queue.h"
#include "ngx_http_delta_session.h"
#include "core/delta_ws.h"
#include <ngx_sha1.h>


#define NGX_HTTP_DELTA_READS  16        /* per turn */


/* A reader's state and message so far, kept only while one is unfinished. */
typedef struct {
    delta_ws_reader_t  reader;
    uint8_t            data[1];
} ngx_http_delta_ws_rest_t;


static ngx_int_t ngx_http_delta_ws_key(ngx_http_request_t *r,
    ngx_str_t *accept);
static ngx_int_t ngx_http_delta_ws_protocol(ngx_http_request_t *r,
    ngx_str_t *protocol);
static u_char *ngx_http_delta_ws_listed(ngx_http_request_t *r,
    const char *name, const char *token);
static u_char *ngx_http_delta_ws_token(ngx_str_t *value, const char *token);
static void ngx_http_delta_ws_open(ngx_http_delta_session_t *s);
static void ngx_http_delta_ws_read_handler(ngx_http_request_t *r);
static void ngx_http_delta_ws_feed(ngx_http_delta_session_t *s,
    const u_char *p, const u_char *end);
static void ngx_http_delta_ws_event(ngx_http_delta_session_t *s,
    delta_ws_event_t *event);
static ngx_int_t ngx_http_delta_ws_keep(ngx_http_delta_session_t *s,
    delta_ws_reader_t *reader);
static void ngx_http_delta_ws_write_handler(ngx_http_request_t *r);
static void ngx_http_delta_ws_write(ngx_http_delta_session_t *s);
static ngx_int_t ngx_http_delta_ws_send(ngx_http_delta_session_t *s);
static ngx_chain_t *ngx_http_delta_ws_gather(ngx_http_delta_session_t *s);
static void ngx_http_delta_ws_close(ngx_http_delta_session_t *s);
static void ngx_http_delta_ws_ping(ngx_http_delta_session_t *s);
static void ngx_http_delta_ws_finalize(ngx_http_delta_session_t *s,
    ngx_int_t rc);


const ngx_http_delta_transport_t  ngx_http_delta_ws_transport = {
    NGX_HTTP_DELTA_WS,
    ngx_http_delta_ws_open,
    ngx_http_delta_ws_write,
    ngx_http_delta_ws_close,
    ngx_http_delta_ws_ping
};


ngx_uint_t
ngx_http_delta_ws_requested(ngx_http_request_t *r)
{
    return ngx_http_delta_ws_listed(r, "upgrade", "websocket") != NULL;
}


ngx_int_t
ngx_http_delta_ws_handshake(ngx_http_request_t *r)
{
    ngx_int_t         rc;
    ngx_str_t        *value, accept, protocol, upgrade;
    ngx_table_elt_t  *length;

    if (r->http_version != NGX_HTTP_VERSION_11) {
        return NGX_HTTP_BAD_REQUEST;
    }

    /* no body, and content_length_n forgets one that is discarded */

    length = r->headers_in.content_length;

    if (r->headers_in.chunked
        || (length && ngx_atoof(length->value.data, length->value.len) != 0))
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    if (ngx_http_delta_ws_listed(r, "connection", "upgrade") == NULL) {
        return NGX_HTTP_BAD_REQUEST;
    }

    value = ngx_http_delta_auth_header(r, "sec-websocket-version", NULL);

    if (value == NULL || value->len != 2
        || ngx_strncmp(value->data, "13", 2) != 0)
    {
        return NGX_HTTP_DELTA_UPGRADE_REQUIRED;
    }

    rc = ngx_http_delta_ws_key(r, &accept);

    if (rc == NGX_OK) {
        rc = ngx_http_delta_ws_protocol(r, &protocol);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_str_set(&upgrade, "websocket");

    if (ngx_http_delta_header(r, "Upgrade", &upgrade) != NGX_OK
        || ngx_http_delta_header(r, "Sec-WebSocket-Accept", &accept) != NGX_OK
        || (protocol.len
            && ngx_http_delta_header(r, "Sec-WebSocket-Protocol", &protocol)
               != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_delta_ws_key(ngx_http_request_t *r, ngx_str_t *accept)
{
    u_char      digest[20], raw[20];
    ngx_str_t  *key, decoded, sha;
    ngx_sha1_t  sha1;
    ngx_uint_t  count;

    count = 0;
    key = ngx_http_delta_auth_header(r, "sec-websocket-key", &count);

    decoded.data = raw;

    if (key == NULL || count != 1 || key->len != 24
        || ngx_decode_base64(&decoded, key) != NGX_OK || decoded.len != 16)
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, key->data, key->len);
    ngx_sha1_update(&sha1, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    ngx_sha1_final(digest, &sha1);

    sha.data = digest;
    sha.len = sizeof(digest);

    accept->data = ngx_pnalloc(r->pool, ngx_base64_encoded_length(20));
    if (accept->data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_encode_base64(accept, &sha);

    return NGX_OK;
}


/*
 * A browser that offers protocols wants one of them echoed: the first that is
 * known, for the client names them in the order of its liking.
 */

static ngx_int_t
ngx_http_delta_ws_protocol(ngx_http_request_t *r, ngx_str_t *protocol)
{
    u_char                 *json, *msgpack;
    ngx_str_t              *value;
    ngx_uint_t              offers;
    ngx_http_delta_ctx_t   *ctx;
    ngx_http_delta_line_t   line;

    offers = 0;
    ngx_str_null(protocol);
    ngx_memzero(&line, sizeof(ngx_http_delta_line_t));

    while ((value = ngx_http_delta_auth_next(r, "sec-websocket-protocol",
                                             &line))
           != NULL)
    {
        offers = 1;

        json = ngx_http_delta_ws_token(value, "delta.v1.json");
        msgpack = ngx_http_delta_ws_token(value, "delta.v1.msgpack");

        /* unlike the other tokens, these have a case */

        if (json && ngx_strncmp(json, "delta.v1.json", 13) != 0) {
            json = NULL;
        }

        if (msgpack && ngx_strncmp(msgpack, "delta.v1.msgpack", 16) != 0) {
            msgpack = NULL;
        }

        if (msgpack && (json == NULL || msgpack < json)) {
            ngx_str_set(protocol, "delta.v1.msgpack");
            ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);
            ctx->msgpack = 1;
            return NGX_OK;
        }

        if (json) {
            ngx_str_set(protocol, "delta.v1.json");
            return NGX_OK;
        }
    }

    return offers ? NGX_HTTP_BAD_REQUEST : NGX_OK;
}


/* Where in any line of a comma-separated list the token is, case aside. */

static u_char *
ngx_http_delta_ws_listed(ngx_http_request_t *r, const char *name,
    const char *token)
{
    u_char                 *p;
    ngx_str_t              *value;
    ngx_http_delta_line_t   line;

    ngx_memzero(&line, sizeof(ngx_http_delta_line_t));

    while ((value = ngx_http_delta_auth_next(r, name, &line)) != NULL) {
        p = ngx_http_delta_ws_token(value, token);

        if (p) {
            return p;
        }
    }

    return NULL;
}


static u_char *
ngx_http_delta_ws_token(ngx_str_t *value, const char *token)
{
    u_char  *p, *last, *end;
    size_t   len;

    len = ngx_strlen(token);
    p = value->data;
    last = p + value->len;

    while (p < last) {
        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        for (end = p;
             end < last && *end != ',' && *end != ' ' && *end != '\t';
             end++)
        {
            /* void */
        }

        if ((size_t) (end - p) == len
            && ngx_strncasecmp(p, (u_char *) token, len) == 0)
        {
            return p;
        }

        p = end;
    }

    return NULL;
}


static void
ngx_http_delta_ws_open(ngx_http_delta_session_t *s)
{
    ngx_http_request_t    *r;
    ngx_http_delta_ctx_t  *ctx;

    r = s->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);

    if (ctx->msgpack) {
        s->format |= NGX_HTTP_DELTA_MSGPACK;
    }

    r->keepalive = 0;
    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");

    r->read_event_handler = ngx_http_delta_ws_read_handler;
    r->write_event_handler = ngx_http_delta_ws_write_handler;

    if (ngx_http_send_header(r) == NGX_ERROR
        || ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR)
    {
        ngx_http_delta_session_close_code(s, 1006, NULL,
                                        NGX_HTTP_DELTA_METRIC_CLOSED_CLIENT);
        return;
    }

    if (ngx_tcp_nodelay(s->connection) != NGX_OK) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    /* frames may have come with the handshake, or before the handler */

    ngx_post_event(s->connection->read, &ngx_posted_events);
}


static void
ngx_http_delta_ws_read_handler(ngx_http_request_t *r)
{
    ssize_t                    n;
    u_char                    *buf;
    ngx_buf_t                 *b;
    ngx_uint_t                 i;
    ngx_connection_t          *c;
    ngx_http_delta_ctx_t      *ctx;
    ngx_http_delta_session_t  *s;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);
    s = ctx->session;

    if (s == NULL) {
        return;
    }

    b = r->header_in;

    if (b->pos < b->last) {
        ngx_http_delta_session_heard(s);
        ngx_http_delta_ws_feed(s, b->pos, b->last);
        b->pos = b->last;
    }

    buf = s->hub->worker->scratch;

    for (i = 0; i < NGX_HTTP_DELTA_READS; i++) {
        n = c->recv(c, buf, NGX_HTTP_DELTA_SCRATCH);

        if (n == NGX_AGAIN) {
            if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
                ngx_http_delta_ws_finalize(s, NGX_ERROR);
            }

            return;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_http_delta_ws_finalize(s, NGX_HTTP_CLIENT_CLOSED_REQUEST);
            return;
        }

        ngx_http_delta_session_heard(s);
        ngx_http_delta_ws_feed(s, buf, buf + n);
    }

    /* the others' turn */
    ngx_post_event(c->read, &ngx_posted_next_events);
}


static void
ngx_http_delta_ws_feed(ngx_http_delta_session_t *s, const u_char *p,
    const u_char *end)
{
    int                        rc;
    delta_ws_event_t           event;
    delta_ws_reader_t          reader;
    ngx_http_delta_ws_rest_t  *rest;

    if (s->close_received) {
        return;
    }

    rest = (ngx_http_delta_ws_rest_t *) s->rest;

    if (rest) {
        reader = rest->reader;
        ngx_memcpy(s->hub->worker->message, rest->data, reader.len);
        ngx_free(rest);
        s->rest = NULL;

    } else {
        ngx_memzero(&reader, sizeof(delta_ws_reader_t));
    }

    reader.buf = s->hub->worker->message;
    reader.size = s->conf->max_command;

    while ((rc = delta_ws_read(&reader, &p, end, &event)) > 0) {
        ngx_http_delta_ws_event(s, &event);

        if (s->close_received) {
            return;
        }
    }

    if (rc < 0) {
        /* the stream has no meaning from here on */
        s->close_received = 1;
        ngx_http_delta_session_close_code(s, delta_ws_error_code(rc),
                                      delta_ws_strerror(rc),
                                      NGX_HTTP_DELTA_METRIC_CLOSED_PROTOCOL);
        return;
    }

    if (!delta_ws_idle(&reader)
        && ngx_http_delta_ws_keep(s, &reader) != NGX_OK)
    {
        s->close_received = 1;
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
    }
}


static ngx_int_t
ngx_http_delta_ws_keep(ngx_http_delta_session_t *s, delta_ws_reader_t *reader)
{
    ngx_http_delta_ws_rest_t  *rest;

    rest = ngx_alloc(offsetof(ngx_http_delta_ws_rest_t, data) + reader->len,
                     s->hub->worker->log);
    if (rest == NULL) {
        return NGX_ERROR;
    }

    rest->reader = *reader;
    ngx_memcpy(rest->data, reader->buf, reader->len);
    s->rest = (u_char *) rest;

    return NGX_OK;
}


static void
ngx_http_delta_ws_event(ngx_http_delta_session_t *s, delta_ws_event_t *event)
{
    u_char  pong[2 + DELTA_WS_MAX_CONTROL];
    size_t  n;

    switch (event->opcode) {

    case DELTA_WS_CLOSE:

        s->close_received = 1;
        s->final |= (event->code == 3000);

        ngx_http_delta_session_close_code(s, event->code, NULL,
            event->code == 3000 ? NGX_HTTP_DELTA_METRIC_CLOSED_LOGOUT
                                : NGX_HTTP_DELTA_METRIC_CLOSED_CLIENT);

        /* the answer to our own close: nothing is left to be said */
        ngx_http_delta_queue_wake(s);
        return;

    case DELTA_WS_PING:

        /* a replay may go over what the queue takes, and pings without end */

        if (s->state != NGX_HTTP_DELTA_CLOSING
            && !(s->state == NGX_HTTP_DELTA_REPLAYING
                 && ngx_http_delta_queue_full(s)))
        {
            n = delta_ws_header(pong, DELTA_WS_PONG, event->len);
            ngx_memcpy(pong + n, event->data, event->len);
            ngx_http_delta_session_push(s,
                ngx_http_delta_event_raw(s, pong, n + event->len));
        }

        return;

    case DELTA_WS_TEXT:

        if (s->state != NGX_HTTP_DELTA_CLOSING) {
            ngx_http_delta_command_text(s, (u_char *) event->data,
                                        event->len);
        }

        return;

    case DELTA_WS_BINARY:

        if (s->format & NGX_HTTP_DELTA_MSGPACK) {

            if (s->state != NGX_HTTP_DELTA_CLOSING) {
                ngx_http_delta_command_binary(s, event->data, event->len);
            }

            return;
        }

        ngx_http_delta_session_close_code(s, 1003,
                                      "Commands are text messages.",
                                      NGX_HTTP_DELTA_METRIC_CLOSED_PROTOCOL);
        return;

    default: /* DELTA_WS_PONG */

        return;
    }
}


static void
ngx_http_delta_ws_write_handler(ngx_http_request_t *r)
{
    ngx_http_delta_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);

    if (ctx->session) {
        ngx_http_delta_ws_write(ctx->session);
    }
}


static void
ngx_http_delta_ws_write(ngx_http_delta_session_t *s)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    c = s->connection;
    r = s->request;

    if (c->error) {
        ngx_http_delta_ws_finalize(s, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    if (r->out || (c->buffered & ~NGX_LOWLEVEL_BUFFERED)) {

        /* the 101 itself has not left completely */

        if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
            ngx_http_delta_ws_finalize(s, NGX_ERROR);
            return;
        }

        rc = r->out ? NGX_AGAIN : ngx_http_delta_ws_send(s);

    } else {
        rc = ngx_http_delta_ws_send(s);
    }

    if (rc == NGX_ERROR) {
        ngx_http_delta_ws_finalize(s, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    if (s->state == NGX_HTTP_DELTA_BEHIND && !c->write->ready) {
        /* nothing is queued, but the socket is as full as before */
        rc = NGX_AGAIN;
    }

    ngx_http_delta_session_blocked(s, rc == NGX_AGAIN);

    if (rc == NGX_AGAIN
        && ngx_handle_write_event(c->write, 0) != NGX_OK)
    {
        ngx_http_delta_ws_finalize(s, NGX_ERROR);
        return;
    }

    if (s->close_sent && s->close_received
        && (rc == NGX_OK || ngx_time() >= s->deadline))
    {
        ngx_http_delta_ws_finalize(s, rc == NGX_OK
                                      ? NGX_OK
                                      : NGX_HTTP_CLIENT_CLOSED_REQUEST);
    }
}


/* NGX_OK: all is sent; NGX_AGAIN: the socket is full. */

static ngx_int_t
ngx_http_delta_ws_send(ngx_http_delta_session_t *s)
{
    off_t              sent;
    ngx_buf_t         *b;
    ngx_chain_t       *in, *cl;
    ngx_connection_t  *c;

    c = s->connection;

    for ( ;; ) {
        in = ngx_http_delta_ws_gather(s);

        if (in == NULL && !(c->buffered & NGX_LOWLEVEL_BUFFERED)) {
            break;
        }

        if (!c->write->ready) {
            return NGX_AGAIN;
        }

        ngx_http_delta_metric(s->hub->worker, WRITES, 1);

        if (c->send_chain(c, in, 0) == NGX_CHAIN_ERROR) {
            c->error = 1;
            return NGX_ERROR;
        }

        sent = 0;

        for (cl = in; cl; cl = cl->next) {
            b = cl->buf;
            sent += b->pos - b->start;
        }

        ngx_http_delta_queue_sent(s, sent);

        if ((c->buffered & NGX_LOWLEVEL_BUFFERED)
            || (s->out.count && !c->write->ready))
        {
            return NGX_AGAIN;
        }
    }

#if (NGX_SSL)
    if (c->ssl) {
        ngx_ssl_free_buffer(c);
    }
#endif

    return NGX_OK;
}


/* The queue as a chain in the worker's scratch, valid until the next call. */

static ngx_chain_t *
ngx_http_delta_ws_gather(ngx_http_delta_session_t *s)
{
    ngx_uint_t                i;
    ngx_buf_t                *b;
    ngx_http_delta_frame_t   *frame;
    ngx_http_delta_worker_t  *worker;

    worker = s->hub->worker;

    for (i = 0; i < NGX_HTTP_DELTA_BUFS; i++) {
        frame = ngx_http_delta_queue_frame(s, i);

        if (frame == NULL) {
            break;
        }

        b = &worker->bufs[i];
        ngx_memzero(b, sizeof(ngx_buf_t));

        b->start = frame->data + (i == 0 ? s->head_sent : 0);
        b->pos = b->start;
        b->last = frame->data + frame->len;
        b->end = b->last;
        b->memory = 1;
        b->flush = 1;

        worker->links[i].buf = b;
        worker->links[i].next = NULL;

        if (i) {
            worker->links[i - 1].next = &worker->links[i];
        }
    }

    return i ? worker->links : NULL;
}


static void
ngx_http_delta_ws_close(ngx_http_delta_session_t *s)
{
    u_char   frame[2 + DELTA_WS_MAX_CONTROL];
    size_t   n;

    /* 1005 and 1006 only describe what came or did not come */

    if (s->close_code != 1006) {
        n = s->close_code == 1005
            ? delta_ws_header(frame, DELTA_WS_CLOSE, 0)
            : delta_ws_close(frame, s->close_code,
                             (char *) s->close_reason.data,
                             s->close_reason.len);
        ngx_http_delta_queue_push(s, ngx_http_delta_event_raw(s, frame, n));

    } else {
        s->close_received = 1;
    }

    /* what the client still sends must not turn our close into a reset */
    s->request->lingering_close = 1;

    ngx_http_delta_ws_write(s);
}


static void
ngx_http_delta_ws_ping(ngx_http_delta_session_t *s)
{
    u_char  frame[DELTA_WS_MAX_HEADER];

    ngx_http_delta_session_push(s,
        ngx_http_delta_event_raw(s, frame,
                                 delta_ws_header(frame, DELTA_WS_PING, 0)));
}


/* Neither session nor request may be touched when this returns. */

static void
ngx_http_delta_ws_finalize(ngx_http_delta_session_t *s, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = s->request;
    c = s->connection;

    ngx_http_delta_session_end(s);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
