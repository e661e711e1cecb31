
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_stream.h"
#include "ngx_http_delta_answer.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_event.h"
#include "ngx_http_delta_log.h"
#include "ngx_http_delta_queue.h"
#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_resume.h"
#include "ngx_http_delta_say.h"
#include "ngx_http_delta_session.h"
#include "core/delta_space.h"
#include "core/delta_sse.h"


#define NGX_HTTP_DELTA_STREAM_TOLD  60000   /* ms, see stream_sift */
#define NGX_HTTP_DELTA_STREAM_SEQ   999999  /* the last of a timestamp */
#define NGX_HTTP_DELTA_STREAM_TIME  253402300799    /* s: the year 9999 */


/* Lives until Redis has answered, even if the client has gone. */

typedef struct {
    ngx_http_request_t          *request;   /* NULL: it has gone */
    ngx_uint_t                   sent;
    ngx_uint_t                   answered;
    unsigned                     lost:1;
} ngx_http_delta_stream_ask_t;


/* In the request's pool. */

struct ngx_http_delta_stream_s {
    ngx_http_delta_hub_t        *hub;
    ngx_str_t                    channel;
    uint64_t                     keep;
    ngx_uint_t                   replay;

    delta_position_t             since;     /* if the client said one */
    uint64_t                     epoch;     /* of it, 0: it did not say */

    uint64_t                     now;       /* Redis's ms */
    uint64_t                     log_epoch;
    delta_position_t             last;      /* of the log */
    delta_position_t             next;      /* the first one behind since */
    delta_position_t             previous;  /* of that */
    delta_position_t             place;

    ngx_http_delta_answer_t     *answer;    /* of the backend */
    ngx_str_t                    first;     /* what the backend said */
    delta_str_t                 *ids;       /* created in it */
    size_t                       nids;
    uint64_t                     until;     /* ms: no event tells them again */

    ngx_int_t                    status;    /* 0: it is not known yet */
    ngx_http_delta_resync_e      why;
    unsigned                     said:1;
    unsigned                     resync:1;
    unsigned                     unread:1;  /* the log cannot be read */
};


static ngx_http_delta_stream_t *ngx_http_delta_stream_create(
    ngx_http_request_t *r, ngx_http_delta_ctx_t *ctx);
static ngx_int_t ngx_http_delta_stream_ask(ngx_http_request_t *r,
    ngx_http_delta_stream_t *stream);
static void ngx_http_delta_stream_command(ngx_http_delta_stream_t *stream,
    ngx_http_delta_stream_ask_t *ask, const char *way, ngx_str_t *from,
    const char *to);
static void ngx_http_delta_stream_reply(void *data, redisReply *reply);
static void ngx_http_delta_stream_take(ngx_http_delta_stream_t *stream,
    ngx_uint_t n, redisReply *reply);
static void ngx_http_delta_stream_cleanup(void *data);
static ngx_int_t ngx_http_delta_stream_decide(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx);
static ngx_uint_t ngx_http_delta_stream_proven(
    ngx_http_delta_stream_t *stream);
static ngx_int_t ngx_http_delta_stream_backfill(ngx_http_request_t *r,
    ngx_http_delta_stream_t *stream, ngx_http_complex_value_t *uri);
static ngx_int_t ngx_http_delta_stream_backfilled(ngx_http_request_t *r,
    void *data, ngx_int_t rc);
static ngx_int_t ngx_http_delta_stream_told(ngx_http_request_t *r,
    ngx_http_delta_stream_t *stream, u_char *p, size_t len);


ngx_int_t
ngx_http_delta_stream_prepare(ngx_http_request_t *r, ngx_http_delta_ctx_t *ctx)
{
    ngx_http_delta_stream_t  *stream;

    stream = ctx->stream;

    if (stream) {
        return stream->status ? stream->status : NGX_AGAIN;
    }

    stream = ngx_http_delta_stream_create(r, ctx);
    if (stream == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->stream = stream;

    return ngx_http_delta_stream_ask(r, stream);
}


static ngx_http_delta_stream_t *
ngx_http_delta_stream_create(ngx_http_request_t *r, ngx_http_delta_ctx_t *ctx)
{
    ngx_http_delta_stream_t        *stream;
    ngx_http_delta_loc_conf_t      *dlcf;
    ngx_http_delta_main_conf_t     *mcf;
    ngx_http_delta_channel_conf_t  *conf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);
    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    stream = ngx_pcalloc(r->pool, sizeof(ngx_http_delta_stream_t));
    if (stream == NULL) {
        return NULL;
    }

    stream->hub = &mcf->worker->hubs[dlcf->redis->index];
    stream->channel = ctx->grants[0].channel;
    stream->said = ngx_http_delta_resume_said(ctx->resume, &stream->epoch,
                                              &stream->since);

    conf = ngx_http_delta_channel_conf(mcf, &stream->channel);
    stream->keep = conf ? conf->keep : NGX_HTTP_DELTA_KEEP;
    stream->replay = conf ? conf->replay : NGX_HTTP_DELTA_REPLAY;

    return stream;
}


/*
 * The time comes before the end of the log, so that what is logged later than
 * both is later than either.
 */

static ngx_int_t
ngx_http_delta_stream_ask(ngx_http_request_t *r,
    ngx_http_delta_stream_t *stream)
{
    u_char                        buf[DELTA_POSITION_LEN + 1];
    ngx_str_t                     argv[1], from;
    ngx_http_cleanup_t           *cln;
    ngx_http_delta_stream_ask_t  *ask;

    cln = ngx_http_cleanup_add(r, 0);
    ask = cln ? ngx_calloc(sizeof(ngx_http_delta_stream_ask_t),
                           r->connection->log)
              : NULL;
    if (ask == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_delta_stream_cleanup;
    cln->data = ask;

    ask->request = r;

    ngx_str_set(&argv[0], "TIME");

    if (ngx_http_delta_redis_command(&stream->hub->command,
                                     ngx_http_delta_stream_reply, ask, 1, argv)
        == NGX_OK)
    {
        ask->sent++;

    } else {
        ask->lost = 1;
    }

    ngx_str_set(&from, "+");
    ngx_http_delta_stream_command(stream, ask, "XREVRANGE", &from, "-");

    if (stream->said) {
        buf[0] = '(';
        from.data = buf;
        from.len = 1 + delta_position_format((char *) buf + 1, stream->since);
        ngx_http_delta_stream_command(stream, ask, "XRANGE", &from, "+");
    }

    r->read_event_handler = ngx_http_test_reading;

    return ask->sent ? NGX_AGAIN : NGX_HTTP_SERVICE_UNAVAILABLE;
}


static void
ngx_http_delta_stream_command(ngx_http_delta_stream_t *stream,
    ngx_http_delta_stream_ask_t *ask, const char *way, ngx_str_t *from,
    const char *to)
{
    u_char      key[600], once[610];
    ngx_str_t   argv[10], *prefix;

    prefix = &stream->hub->conf->prefix;

    ngx_str_set(&argv[0], "FCALL_RO");
    ngx_str_set(&argv[1], "delta_log");
    ngx_str_set(&argv[2], "3");
    argv[3].data = key;
    argv[3].len = ngx_snprintf(key, sizeof(key), "delta:{%V%V}", prefix,
                               &stream->channel)
                  - key;
    argv[4].data = once;
    argv[4].len = ngx_snprintf(once, sizeof(once), "%V:once", &argv[3]) - once;
    ngx_str_set(&argv[5], "delta:epoch");
    argv[6].data = (u_char *) way;
    argv[6].len = ngx_strlen(way);
    argv[7] = *from;
    argv[8].data = (u_char *) to;
    argv[8].len = ngx_strlen(to);
    ngx_str_set(&argv[9], "1");

    if (ngx_http_delta_redis_command(&stream->hub->command,
                                     ngx_http_delta_stream_reply, ask, 10,
                                     argv)
        == NGX_OK)
    {
        ask->sent++;

    } else {
        ask->lost = 1;
    }
}


static void
ngx_http_delta_stream_reply(void *data, redisReply *reply)
{
    ngx_connection_t             *c;
    ngx_http_request_t           *r;
    ngx_http_delta_ctx_t         *ctx;
    ngx_http_delta_stream_ask_t  *ask = data;

    r = ask->request;
    ask->answered++;

    if (r == NULL) {

        if (ask->answered == ask->sent) {
            ngx_free(ask);
        }

        return;
    }

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);

    ngx_http_set_log_request(c->log, r);

    if (reply == NULL) {
        ask->lost = 1;

    } else {
        ngx_http_delta_stream_take(ctx->stream, ask->answered, reply);
    }

    if (ask->answered < ask->sent) {
        return;
    }

    r->read_event_handler = ngx_http_block_reading;

    ctx->stream->status = ask->lost ? NGX_HTTP_SERVICE_UNAVAILABLE
                                    : ngx_http_delta_stream_decide(r, ctx);

    if (ctx->stream->status == NGX_AGAIN) {
        ctx->stream->status = 0;

    } else {
        ngx_http_core_run_phases(r);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_delta_stream_take(ngx_http_delta_stream_t *stream, ngx_uint_t n,
    redisReply *reply)
{
    off_t         number;
    delta_str_t   json;
    redisReply  **part;

    if (reply->type != REDIS_REPLY_ARRAY
        || reply->elements != (n == 1 ? 2 : 3)
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_STRING
        || (n > 1 && reply->element[2]->type != REDIS_REPLY_ARRAY))
    {
        ngx_log_error(NGX_LOG_ERR, stream->hub->worker->log, 0,
                      "delta: the log of \"%V\" cannot be read: %*s",
                      &stream->channel,
                      (size_t) (reply->str ? ngx_min(reply->len, 200) : 0),
                      reply->str);
        stream->unread = 1;
        return;
    }

    part = reply->element;
    number = ngx_atoof((u_char *) part[0]->str, part[0]->len);
    number = ngx_max(number, 0);

    if (n == 1) {

        if (number > NGX_HTTP_DELTA_STREAM_TIME) {
            stream->unread = 1;
            return;
        }

        stream->now = number * 1000
                      + ngx_max(ngx_atoi((u_char *) part[1]->str,
                                         part[1]->len), 0) / 1000;
        return;
    }

    stream->log_epoch = number;

    if (n == 2) {

        /* what was deleted from the log is known by its id still */

        if (part[2]->elements == 0
            || ngx_http_delta_log_entry(part[2]->element[0], &stream->last,
                                        &stream->previous, &json)
               != NGX_OK)
        {
            (void) delta_position_parse(&stream->last, part[1]->str,
                                        part[1]->len);
        }

        ngx_memzero(&stream->previous, sizeof(delta_position_t));
        return;
    }

    if (part[2]->elements
        && ngx_http_delta_log_entry(part[2]->element[0], &stream->next,
                                    &stream->previous, &json)
           != NGX_OK)
    {
        stream->unread = 1;
    }
}


static void
ngx_http_delta_stream_cleanup(void *data)
{
    ngx_http_delta_stream_ask_t  *ask = data;

    ask->request = NULL;

    if (ask->answered == ask->sent) {
        ngx_free(ask);
    }
}


/* NGX_AGAIN: the backend is being asked. */

static ngx_int_t
ngx_http_delta_stream_decide(ngx_http_request_t *r, ngx_http_delta_ctx_t *ctx)
{
    ngx_uint_t                  backfill;
    delta_position_t            now;
    ngx_http_delta_stream_t    *stream;
    ngx_http_delta_loc_conf_t  *dlcf;

    stream = ctx->stream;
    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    now.ms = stream->now - (stream->now != 0);
    now.seq = NGX_HTTP_DELTA_STREAM_SEQ;

    stream->place = delta_position_compare(now, stream->last) > 0
                    ? now : stream->last;

    backfill = 0;

    if (stream->said && ngx_http_delta_stream_proven(stream)) {
        stream->place = stream->since;

    } else if (dlcf->backfill) {
        backfill = 1;

    } else if (stream->said) {
        stream->resync = 1;
        stream->why = NGX_HTTP_DELTA_RESYNC_GAP;
    }

    if (ngx_http_delta_resume_from(r, &ctx->resume, &stream->place) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return backfill ? ngx_http_delta_stream_backfill(r, stream, dlcf->backfill)
                    : NGX_DECLINED;
}


/* The log has all that came behind what the client said. */

static ngx_uint_t
ngx_http_delta_stream_proven(ngx_http_delta_stream_t *stream)
{
    /* a time of before this Redis, or of another one, or still to come */

    if (stream->unread
        || stream->since.ms / 1000 < stream->log_epoch
        || (stream->epoch && stream->epoch != stream->log_epoch)
        || delta_position_compare(stream->since, stream->place) > 0)
    {
        return 0;
    }

    return ngx_http_delta_log_follows(stream->hub, &stream->since,
                                      stream->keep, &stream->next,
                                      &stream->previous, &stream->last)
           == NGX_OK;
}


/* The end of the log is known by now: what the backend says reaches further. */

static ngx_int_t
ngx_http_delta_stream_backfill(ngx_http_request_t *r,
    ngx_http_delta_stream_t *stream, ngx_http_complex_value_t *uri)
{
    u_char     *p;
    ngx_str_t   value, args;

    if (ngx_http_complex_value(r, uri, &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_null(&args);
    p = ngx_strlchr(value.data, value.data + value.len, '?');

    if (p) {
        args.data = p + 1;
        args.len = value.data + value.len - args.data;
        value.len = p - value.data;
    }

    stream->answer = ngx_http_delta_answer_ask(r, &value, &args, 0,
                                             ngx_http_delta_stream_backfilled,
                                             stream);

    return stream->answer ? NGX_AGAIN : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* Whatever went wrong there is no reason to cut the client off. */

static ngx_int_t
ngx_http_delta_stream_backfilled(ngx_http_request_t *r, void *data,
    ngx_int_t rc)
{
    ngx_int_t                 status;
    ngx_http_delta_answer_t  *answer;
    ngx_http_delta_stream_t  *stream = data;

    if (stream->status || r->connection->error
        || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST)
    {
        return rc;
    }

    status = rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc
             : (ngx_int_t) r->headers_out.status;

    if (status >= 400 && status < 499) {
        stream->status = status;
        return NGX_OK;
    }

    answer = stream->answer;

    if (rc != NGX_OK || status != NGX_HTTP_OK || answer->failed
        || ngx_http_delta_stream_told(r->main, stream, answer->data,
                                      answer->len)
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "delta: what delta_backfill asked for \"%V\" was "
                      "answered by %i and %s", &stream->channel, status,
                      answer->large ? "is over subrequest_output_buffer_size"
                                    : "is no delta");

        stream->status = NGX_HTTP_SERVICE_UNAVAILABLE;
        return NGX_OK;
    }

    /* what the session was told is a copy */

    ngx_http_delta_answer_free(answer);

    stream->status = NGX_DECLINED;

    return NGX_OK;
}


static ngx_int_t
ngx_http_delta_stream_told(ngx_http_request_t *r,
    ngx_http_delta_stream_t *stream, u_char *p, size_t len)
{
    u_char        *text;
    size_t         pos, size;
    delta_str_t    id;
    delta_space_t  space;

    if (delta_space_parse(&space, (char *) p, len) != 0) {
        return NGX_ERROR;
    }

    if (stream->said && (!space.complete || space.count > stream->replay)) {
        stream->resync = 1;
        stream->why = space.complete ? NGX_HTTP_DELTA_RESYNC_MANY
                                     : NGX_HTTP_DELTA_RESYNC_GAP;
        return NGX_OK;
    }

    for (pos = 0, size = 1; delta_space_next(&space, &pos, &id); /* void */) {
        size += id.len;
    }

    stream->first.len = delta_space_write(NULL, &space);
    stream->first.data = ngx_pnalloc(r->pool, stream->first.len);
    stream->ids = ngx_palloc(r->pool,
                             (space.count + 1) * sizeof(delta_str_t));
    text = ngx_pnalloc(r->pool, size);

    if (stream->first.data == NULL || stream->ids == NULL || text == NULL) {
        return NGX_ERROR;
    }

    (void) delta_space_write((char *) stream->first.data, &space);

    for (pos = 0; delta_space_next(&space, &pos, &id); /* void */) {
        stream->ids[stream->nids].data = (char *) text;
        stream->ids[stream->nids++].len = id.len;
        text = ngx_cpymem(text, id.data, id.len);
    }

    stream->until = stream->now + NGX_HTTP_DELTA_STREAM_TOLD;

    return NGX_OK;
}


/* What was written into SQL a while ago may be younger there than its log. */

ngx_int_t
ngx_http_delta_stream_since(ngx_http_request_t *r, ngx_str_t *value)
{
    uint64_t                    overlap;
    delta_position_t            since;
    ngx_http_delta_ctx_t       *ctx;
    ngx_http_delta_loc_conf_t  *dlcf;

    ngx_str_null(value);

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_delta_module);

    if (ctx == NULL || ctx->stream == NULL || !ctx->stream->said) {
        return NGX_OK;
    }

    dlcf = ngx_http_get_module_loc_conf(r->main, ngx_http_delta_module);

    value->data = ngx_pnalloc(r->pool, DELTA_TIME_LEN);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    since = ctx->stream->since;
    overlap = dlcf->resume_overlap;
    since.ms -= ngx_min(since.ms, overlap);

    value->len = delta_position_format_time((char *) value->data, since);

    return NGX_OK;
}


void
ngx_http_delta_stream_ready(ngx_http_delta_session_t *s)
{
    ngx_str_t                 none = ngx_string("{}");
    ngx_http_delta_stream_t  *stream;

    stream = s->stream;

    if (stream->resync) {
        ngx_http_delta_say_resync(s, &stream->channel, stream->why);

    } else if (stream->first.len) {
        ngx_http_delta_stream_tell(s, "space_delta", &stream->first,
                                   stream->place);

        stream->first.len = 0;
        (void) ngx_pfree(s->request->pool, stream->first.data);

    } else if (s->out.count == 0) {

        ngx_http_delta_stream_tell(s, "space_delta", &none,
                                   ngx_http_delta_stream_place(s));
        return;

    } else {
        return;
    }

    if (s->out.count > 1 && s->state != NGX_HTTP_DELTA_CLOSING) {
        ngx_http_delta_queue_to_front(s);
    }
}


/*
 * The cursor is that of when it attached: what is newer may be parked, or on
 * its way by pub/sub, although the log has it.
 */

delta_position_t
ngx_http_delta_stream_place(ngx_http_delta_session_t *s)
{
    delta_position_t  place;

    place.ms = s->cursor - (s->cursor != 0);
    place.seq = NGX_HTTP_DELTA_STREAM_SEQ;

    return delta_position_compare(place, s->stream->place) > 0
           ? place : s->stream->place;
}


u_char *
ngx_http_delta_stream_member(u_char *p, delta_position_t place)
{
    p = ngx_cpymem(p, ",\"timestamp\":\"", sizeof(",\"timestamp\":\"") - 1);
    p += delta_position_format_time((char *) p, place);
    *p++ = '"';

    return p;
}


void
ngx_http_delta_stream_tell(ngx_http_delta_session_t *s, const char *t,
    ngx_str_t *d, delta_position_t place)
{
    u_char         *p;
    char            buf[DELTA_POSITION_LEN], id[DELTA_PLACE_LEN];
    size_t          len, size;
    ngx_log_t      *log;
    delta_str_t     none = { NULL, 0 }, at, data, where;
    delta_event_t   event;

    log = s->hub->worker->log;

    event.t.data = t;
    event.t.len = ngx_strlen(t);
    event.d.data = (char *) d->data;
    event.d.len = d->len;

    at.data = buf;
    at.len = delta_position_format(buf, place);

    where.data = id;
    where.len = s->hub->epoch
                ? delta_place_format(id, s->hub->epoch, place) : 0;

    len = delta_envelope_encode(NULL, DELTA_ENVELOPE_SPACE, &event, none, at);

    /* a line of its own for each line of the text */

    data.len = len;
    data.data = ngx_alloc(len, log);
    p = NULL;

    if (data.data) {
        (void) delta_envelope_encode((char *) data.data, DELTA_ENVELOPE_SPACE,
                                     &event, none, at);
        size = delta_sse_block(NULL, where, none, data);
        p = ngx_alloc(size, log);
    }

    if (p == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);

    } else {
        (void) delta_sse_block((char *) p, where, none, data);
        ngx_http_delta_session_push(s, ngx_http_delta_event_raw(s, p, size));
        ngx_free(p);
    }

    if (data.data) {
        ngx_free((char *) data.data);
    }
}


/*
 * An object that SQL has may still come by the log, as it is published after
 * it was committed: of those that were told, created comes but once.
 */

ngx_http_delta_event_t *
ngx_http_delta_stream_sift(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event)
{
    size_t                    dropped;
    ngx_log_t                *log;
    delta_event_t             content;
    ngx_http_delta_event_t   *copy;
    ngx_http_delta_stream_t  *stream;

    content = event->content;

    if (!delta_str_eq(content.t, "space_delta")) {
        return delta_str_eq(content.t, "resync") ? event : NULL;
    }

    stream = s->stream;

    if (stream->nids == 0) {
        return event;
    }

    if (event->position.ms > stream->until) {
        stream->nids = 0;
        return event;
    }

    content.d.len = delta_space_without(NULL, event->content.d, stream->ids,
                                        stream->nids, &dropped);
    if (dropped == 0) {
        return event;
    }

    log = s->hub->worker->log;

    content.d.data = ngx_alloc(content.d.len, log);
    if (content.d.data == NULL) {
        return event;
    }

    (void) delta_space_without((char *) content.d.data, event->content.d,
                               stream->ids, stream->nids, &dropped);

    copy = ngx_http_delta_event_create(log, event->channel, &content,
                                       &event->position, &event->before);
    ngx_free((char *) content.d.data);

    if (copy == NULL) {
        return event;
    }

    copy->before = event->before;
    copy->exact = event->exact;
    copy->partial = event->partial;

    return copy;
}
