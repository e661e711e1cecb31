
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_world.h"
#include "ngx_http_delta_header.h"
#include "ngx_http_delta_redis.h"
#include "core/delta_name.h"


#define NGX_HTTP_DELTA_WORLD_PAGE    32     /* snapshots asked at once */
#define NGX_HTTP_DELTA_WORLD_KEY     (DELTA_NAME_SEGMENT + 40)
#define NGX_HTTP_DELTA_WORLD_DIGITS  15     /* every language has those */
#define NGX_HTTP_DELTA_WORLD_BYTES   (4 * 1024 * 1024)
#define NGX_HTTP_DELTA_WORLD_RETRY   5      /* seconds */


/* Lives until the reply has come, even if the client has gone. */

typedef struct {
    ngx_http_request_t          *request;   /* NULL: it has gone */
    ngx_http_delta_hub_t        *hub;
    ngx_http_delta_world_conf_t *conf;
    ngx_event_t                  timer;

    ngx_str_t                    name;
    uint64_t                     from;
    uint64_t                     to;
    uint64_t                     next;      /* to be asked for, 0: nothing */
    uint64_t                     tick;      /* the latest */

    ngx_chain_t                 *out;
    ngx_chain_t                **last;
    size_t                       size;
    ngx_uint_t                   count;     /* snapshots in it */
    ngx_array_t                 *missing;   /* uint64_t */

    unsigned                     known:1;   /* the latest */
    unsigned                     pending:1;
    unsigned                     done:1;
} ngx_http_delta_world_t;


static ngx_int_t ngx_http_delta_world_args(ngx_http_request_t *r,
    ngx_http_delta_world_t *w);
static ngx_int_t ngx_http_delta_world_number(u_char *p, size_t len,
    uint64_t *number);
static ngx_int_t ngx_http_delta_world_ask(ngx_http_delta_world_t *w);
static void ngx_http_delta_world_key(ngx_http_delta_world_t *w,
    ngx_str_t *key, const char *kind, uint64_t tick);
static void ngx_http_delta_world_reply(void *data, redisReply *reply);
static ngx_int_t ngx_http_delta_world_take(ngx_http_delta_world_t *w,
    redisReply *reply);
static ngx_int_t ngx_http_delta_world_latest(ngx_http_delta_world_t *w,
    redisReply *reply);
static ngx_int_t ngx_http_delta_world_init(ngx_http_delta_world_t *w,
    redisReply *reply);
static uint64_t ngx_http_delta_world_state_tick(ngx_http_delta_world_t *w,
    redisReply *reply);
static ngx_int_t ngx_http_delta_world_current(ngx_http_delta_world_t *w,
    redisReply *reply);
static ngx_int_t ngx_http_delta_world_range(ngx_http_delta_world_t *w,
    redisReply *reply, ngx_uint_t i);
static ngx_int_t ngx_http_delta_world_text(ngx_http_delta_world_t *w,
    redisReply *reply, const char *hidden, size_t *len);
static u_char *ngx_http_delta_world_room(ngx_http_delta_world_t *w,
    size_t size);
static void ngx_http_delta_world_put(ngx_http_delta_world_t *w, u_char *last);
static ngx_int_t ngx_http_delta_world_splice(ngx_http_delta_world_t *w,
    const char *before, redisReply *reply, size_t len);
static ngx_int_t ngx_http_delta_world_end(ngx_http_delta_world_t *w);
static ngx_int_t ngx_http_delta_world_send(ngx_http_delta_world_t *w);
static ngx_int_t ngx_http_delta_world_etag(ngx_http_delta_world_t *w);
static ngx_int_t ngx_http_delta_world_away(ngx_http_request_t *r);
static void ngx_http_delta_world_finish(ngx_http_delta_world_t *w,
    ngx_int_t rc);
static void ngx_http_delta_world_timeout(ngx_event_t *ev);
static void ngx_http_delta_world_cleanup(void *data);


ngx_int_t
ngx_http_delta_world_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_str_t                    allow = ngx_string("GET, HEAD");
    ngx_http_cleanup_t          *cln;
    ngx_http_delta_world_t      *w;
    ngx_http_delta_loc_conf_t   *dlcf;
    ngx_http_delta_main_conf_t  *mcf;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_delta_header(r, "Allow", &allow) == NGX_OK
               ? NGX_HTTP_NOT_ALLOWED : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);
    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    cln = ngx_http_cleanup_add(r, 0);
    w = cln ? ngx_calloc(sizeof(ngx_http_delta_world_t), r->connection->log)
            : NULL;
    if (w == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_delta_world_cleanup;
    cln->data = w;

    w->request = r;
    w->hub = &mcf->worker->hubs[dlcf->redis->index];
    w->conf = dlcf->world;
    w->last = &w->out;
    w->timer.handler = ngx_http_delta_world_timeout;
    w->timer.data = w;
    w->timer.log = mcf->worker->log;

    rc = ngx_http_delta_world_args(r, w);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!ngx_http_delta_redis_ready(w->hub)
        || ngx_http_delta_world_ask(w) != NGX_OK)
    {
        return ngx_http_delta_world_away(r);
    }

    ngx_add_timer(&w->timer, w->hub->conf->read_timeout);

    r->read_event_handler = ngx_http_test_reading;
    r->main->count++;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_delta_world_args(ngx_http_request_t *r, ngx_http_delta_world_t *w)
{
    ngx_str_t  from, to;

    if (ngx_http_complex_value(r, &w->conf->name, &w->name) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!delta_name_segment((char *) w->name.data, w->name.len)) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (!w->conf->range) {
        return NGX_OK;
    }

    if (ngx_http_arg(r, (u_char *) "from", 4, &from) != NGX_OK
        || ngx_http_arg(r, (u_char *) "to", 2, &to) != NGX_OK
        || ngx_http_delta_world_number(from.data, from.len, &w->from)
           != NGX_OK
        || ngx_http_delta_world_number(to.data, to.len, &w->to) != NGX_OK
        || w->from == 0 || w->to < w->from
        || w->to - w->from >= w->conf->max)
    {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "delta: from and to must be ticks, in this order, and "
                      "at most %ui of them", w->conf->max);
        return NGX_HTTP_BAD_REQUEST;
    }

    w->next = w->from;
    w->missing = ngx_array_create(r->pool, 8, sizeof(uint64_t));

    return w->missing ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_delta_world_number(u_char *p, size_t len, uint64_t *number)
{
    off_t  n;

    n = len <= NGX_HTTP_DELTA_WORLD_DIGITS ? ngx_atoof(p, len) : NGX_ERROR;
    *number = n;

    return n == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


/*
 * One MGET is one moment: of the first one, the latest tick is that of the
 * state, and no snapshot is newer.
 */

static ngx_int_t
ngx_http_delta_world_ask(ngx_http_delta_world_t *w)
{
    u_char      buf[NGX_HTTP_DELTA_WORLD_PAGE + 1][NGX_HTTP_DELTA_WORLD_KEY];
    uint64_t    tick;
    ngx_uint_t  n;
    ngx_str_t   argv[NGX_HTTP_DELTA_WORLD_PAGE + 2];

    for (n = 1; n < NGX_HTTP_DELTA_WORLD_PAGE + 2; n++) {
        argv[n].data = buf[n - 1];
    }

    ngx_str_set(&argv[0], "MGET");
    n = 1;

    if (!w->known) {
        ngx_http_delta_world_key(w, &argv[n++], "latest_tick", 0);
    }

    if (!w->conf->range && !w->known) {
        ngx_http_delta_world_key(w, &argv[n++], "full_state", 0);
    }

    for (tick = w->next;
         tick && tick <= w->to && n < NGX_HTTP_DELTA_WORLD_PAGE + 2;
         tick++)
    {
        ngx_http_delta_world_key(w, &argv[n++], "snapshot", tick);
    }

    if (!w->conf->range && w->known && w->from < w->to) {
        ngx_http_delta_world_key(w, &argv[n++], "snapshot", w->from + 1);
    }

    if (ngx_http_delta_redis_command(&w->hub->command,
                                     ngx_http_delta_world_reply, w, n, argv)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    w->pending = 1;

    return NGX_OK;
}


static void
ngx_http_delta_world_key(ngx_http_delta_world_t *w, ngx_str_t *key,
    const char *kind, uint64_t tick)
{
    u_char  *p, *end;

    end = key->data + NGX_HTTP_DELTA_WORLD_KEY;
    p = ngx_slprintf(key->data, end, "%s:%V", kind, &w->name);

    if (tick) {
        p = ngx_slprintf(p, end, ":%uL", tick);
    }

    key->len = p - key->data;
}


static void
ngx_http_delta_world_reply(void *data, redisReply *reply)
{
    ngx_int_t                rc;
    ngx_connection_t        *c;
    ngx_http_delta_world_t  *w = data;

    w->pending = 0;

    if (w->request == NULL) {
        ngx_free(w);
        return;
    }

    if (w->done) {
        return;
    }

    c = w->request->connection;
    ngx_http_set_log_request(c->log, w->request);

    rc = ngx_http_delta_world_take(w, reply);

    if (rc == NGX_AGAIN) {

        if (ngx_http_delta_world_ask(w) == NGX_OK) {
            return;
        }

        rc = ngx_http_delta_world_away(w->request);

    } else if (rc == NGX_OK) {
        rc = ngx_http_delta_world_send(w);
    }

    ngx_http_delta_world_finish(w, rc);
    ngx_http_run_posted_requests(c);
}


/* NGX_OK: that was all; NGX_AGAIN: there is more to ask for; or a status. */

static ngx_int_t
ngx_http_delta_world_take(ngx_http_delta_world_t *w, redisReply *reply)
{
    ngx_int_t            rc;
    ngx_uint_t           i;
    ngx_http_request_t  *r;

    r = w->request;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements == 0)
    {
        if (reply && reply->type == REDIS_REPLY_ERROR) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "delta: world %V cannot be read: %*s", &w->name,
                          ngx_min(reply->len, 200), reply->str);
        }

        return ngx_http_delta_world_away(r);
    }

    i = 0;

    if (!w->known) {
        rc = ngx_http_delta_world_latest(w, reply->element[i++]);

        if (rc != NGX_OK) {
            return rc;
        }

        if (!w->conf->range) {
            return i < reply->elements
                   ? ngx_http_delta_world_init(w, reply->element[i])
                   : NGX_HTTP_BAD_GATEWAY;
        }

        w->to = ngx_min(w->to, w->tick);
    }

    return w->conf->range ? ngx_http_delta_world_range(w, reply, i)
                          : ngx_http_delta_world_current(w, reply);
}


static ngx_int_t
ngx_http_delta_world_latest(ngx_http_delta_world_t *w, redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (ngx_http_delta_world_number((u_char *) reply->str, reply->len,
                                    &w->tick)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, w->request->connection->log, 0,
                      "delta: latest_tick:%V is not a tick", &w->name);
        return NGX_HTTP_BAD_GATEWAY;
    }

    w->known = 1;

    return NGX_OK;
}


/* The state; the latest snapshot comes next. */

static ngx_int_t
ngx_http_delta_world_init(ngx_http_delta_world_t *w, redisReply *reply)
{
    size_t  len;

    if (reply->type != REDIS_REPLY_STRING) {
        ngx_log_error(NGX_LOG_ERR, w->request->connection->log, 0,
                      "delta: world %V has ticks, but no full_state:%V",
                      &w->name, &w->name);
        return ngx_http_delta_world_away(w->request);
    }

    if (ngx_http_delta_world_text(w, reply, ",\"full\":", &len) != NGX_OK) {
        return NGX_HTTP_BAD_GATEWAY;
    }

    if (ngx_http_delta_world_splice(w, "{\"fullState\":", reply, len)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    w->from = ngx_http_delta_world_state_tick(w, reply);
    w->to = w->tick;
    w->next = w->tick;

    return w->tick ? NGX_AGAIN : NGX_OK;
}


/* As the publisher begins it; of another text, the latest. */

static uint64_t
ngx_http_delta_world_state_tick(ngx_http_delta_world_t *w, redisReply *reply)
{
    size_t    n, len;
    u_char   *p, buf[NGX_HTTP_DELTA_WORLD_KEY];
    uint64_t  tick;

    p = (u_char *) reply->str;
    n = ngx_slprintf(buf, buf + sizeof(buf), "{\"worldId\":\"%V\",\"tick\":",
                     &w->name)
        - buf;

    if (reply->len < n || ngx_memcmp(p, buf, n) != 0) {
        return w->tick;
    }

    for (p += n, len = 0; p[len] >= '0' && p[len] <= '9'; len++) { /* void */ }

    return ngx_http_delta_world_number(p, len, &tick) == NGX_OK
           && tick < w->tick ? tick : w->tick;
}


/*
 * The latest snapshot and the one behind the state.  When one of them has
 * expired nobody gets from the state to the latest tick, as the world stands
 * still: then it is at the state's.
 */

static ngx_int_t
ngx_http_delta_world_current(ngx_http_delta_world_t *w, redisReply *reply)
{
    size_t      len;
    u_char      before[NGX_HTTP_DELTA_WORLD_KEY];
    ngx_uint_t  i;

    for (i = 0; i < reply->elements; i++) {

        if (reply->element[i]->type != REDIS_REPLY_STRING) {
            w->to = w->from;
            return NGX_OK;
        }
    }

    if (ngx_http_delta_world_text(w, reply->element[0], ",\"fullCast\":", &len)
        != NGX_OK)
    {
        return NGX_HTTP_BAD_GATEWAY;
    }

    *ngx_sprintf(before, ",\"currentTick\":%uL,\"latestSnapshot\":", w->to)
        = '\0';
    w->count = 1;

    return ngx_http_delta_world_splice(w, (char *) before, reply->element[0],
                                       len)
           == NGX_OK ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* What does not fit stays for another request, which "to" says. */

static ngx_int_t
ngx_http_delta_world_range(ngx_http_delta_world_t *w, redisReply *reply,
    ngx_uint_t i)
{
    size_t       len;
    uint64_t    *missing;
    const char  *before;

    for ( /* void */ ; i < reply->elements && w->next <= w->to; i++) {

        if (reply->element[i]->type != REDIS_REPLY_STRING) {

            missing = ngx_array_push(w->missing);
            if (missing == NULL) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }

            *missing = w->next++;
            continue;
        }

        if (ngx_http_delta_world_text(w, reply->element[i], ",\"fullCast\":",
                                      &len)
            != NGX_OK)
        {
            return NGX_HTTP_BAD_GATEWAY;
        }

        if (w->count && w->size + len > NGX_HTTP_DELTA_WORLD_BYTES) {
            w->to = w->next - 1;
            return NGX_OK;
        }

        before = w->count ? "," : "{\"snapshots\":[";

        if (ngx_http_delta_world_splice(w, before, reply->element[i], len)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        w->count++;
        w->next++;
    }

    return w->next <= w->to ? NGX_AGAIN : NGX_OK;
}


/* How much of a stored object clients may see: all before a hidden member. */

static ngx_int_t
ngx_http_delta_world_text(ngx_http_delta_world_t *w, redisReply *reply,
    const char *hidden, size_t *len)
{
    size_t   n;
    u_char  *p, *cut, *end;

    p = (u_char *) reply->str;
    n = ngx_strlen(hidden);

    if (reply->len < 2 || p[0] != '{' || p[reply->len - 1] != '}') {
        goto invalid;
    }

    end = p + reply->len - 1;

    if (!w->conf->full) {
        cut = ngx_strnstr(p, (char *) hidden, reply->len);

        if (cut == NULL || cut + n > end) {
            goto invalid;
        }

        end = cut;
    }

    *len = end - p;

    return NGX_OK;

invalid:

    ngx_log_error(NGX_LOG_ERR, w->request->connection->log, 0,
                  "delta: what Redis has of world %V is not an object with "
                  "%s, of which clients get what stands before it",
                  &w->name, hidden + 1);

    return NGX_ERROR;
}


static u_char *
ngx_http_delta_world_room(ngx_http_delta_world_t *w, size_t size)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    cl = ngx_alloc_chain_link(w->request->pool);
    b = cl ? ngx_create_temp_buf(w->request->pool, size) : NULL;

    if (b == NULL) {
        return NULL;
    }

    cl->buf = b;
    cl->next = NULL;
    *w->last = cl;

    return b->last;
}


static void
ngx_http_delta_world_put(ngx_http_delta_world_t *w, u_char *last)
{
    ngx_chain_t  *cl;

    cl = *w->last;

    cl->buf->last = last;
    w->size += last - cl->buf->pos;
    w->last = &cl->next;
}


static ngx_int_t
ngx_http_delta_world_splice(ngx_http_delta_world_t *w, const char *before,
    redisReply *reply, size_t len)
{
    size_t   n;
    u_char  *p;

    n = ngx_strlen(before);

    p = ngx_http_delta_world_room(w, n + len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(p, before, n);
    p = ngx_cpymem(p, reply->str, len);
    *p++ = '}';

    ngx_http_delta_world_put(w, p);

    return NGX_OK;
}


static ngx_int_t
ngx_http_delta_world_end(ngx_http_delta_world_t *w)
{
    u_char      *p;
    size_t       size;
    uint64_t    *missing;
    ngx_uint_t   i, n;

    n = w->missing ? w->missing->nelts : 0;
    size = sizeof("{\"snapshots\":[],\"missing\":[],\"from\":,\"to\":}\n")
           + (n + 2) * (NGX_INT64_LEN + 1);

    p = ngx_http_delta_world_room(w, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (!w->conf->range) {
        p = ngx_sprintf(p, w->count ? "}\n" : ",\"currentTick\":%uL,"
                                             "\"latestSnapshot\":null}\n",
                        w->to);
        ngx_http_delta_world_put(w, p);
        return NGX_OK;
    }

    p = ngx_sprintf(p, "%s],\"missing\":[",
                    w->count ? "" : "{\"snapshots\":[");

    missing = w->missing->elts;

    for (i = 0; i < n; i++) {
        p = ngx_sprintf(p, "%s%uL", i ? "," : "", missing[i]);
    }

    p = ngx_sprintf(p, "],\"from\":%uL,\"to\":%uL}\n", w->from,
                    ngx_max(w->to, w->from - 1));
    ngx_http_delta_world_put(w, p);

    return NGX_OK;
}


static ngx_int_t
ngx_http_delta_world_send(ngx_http_delta_world_t *w)
{
    ngx_int_t            rc;
    ngx_str_t            cache = ngx_string("no-cache");
    ngx_buf_t           *b;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = w->request;

    if (ngx_http_delta_world_end(w) != NGX_OK
        || ngx_http_delta_world_etag(w) != NGX_OK
        || ngx_http_delta_header(r, "Cache-Control", &cache) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_length_n = w->size;
    r->headers_out.status = NGX_HTTP_OK;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    for (cl = w->out; cl->next; cl = cl->next) { /* void */ }

    b = cl->buf;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    return ngx_http_output_filter(r, w->out);
}


static ngx_int_t
ngx_http_delta_world_etag(ngx_http_delta_world_t *w)
{
    uint32_t             crc;
    ngx_str_t            value;
    ngx_chain_t         *cl;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = w->request;

    ngx_crc32_init(crc);

    for (cl = w->out; cl; cl = cl->next) {
        ngx_crc32_update(&crc, cl->buf->pos, ngx_buf_size(cl->buf));
    }

    ngx_crc32_final(crc);

    value.data = ngx_pnalloc(r->pool, sizeof("\"-xxxxxxxx-\"")
                                      + NGX_INT64_LEN + NGX_SIZE_T_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "\"%uL-%08xD-%uz\"", w->to, crc,
                            w->size)
                - value.data;

    if (ngx_http_delta_header(r, "ETag", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    h = r->headers_out.headers.last->elts;
    r->headers_out.etag = &h[r->headers_out.headers.last->nelts - 1];

    return NGX_OK;
}


static ngx_int_t
ngx_http_delta_world_away(ngx_http_request_t *r)
{
    return ngx_http_delta_header_retry(r, NGX_HTTP_DELTA_WORLD_RETRY)
           == NGX_OK
           ? NGX_HTTP_SERVICE_UNAVAILABLE : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static void
ngx_http_delta_world_finish(ngx_http_delta_world_t *w, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = w->request;
    w->done = 1;

    if (w->timer.timer_set) {
        ngx_del_timer(&w->timer);
    }

    r->read_event_handler = ngx_http_block_reading;

    ngx_http_finalize_request(r, rc);
}


static void
ngx_http_delta_world_timeout(ngx_event_t *ev)
{
    ngx_connection_t        *c;
    ngx_http_delta_world_t  *w;

    w = ev->data;
    c = w->request->connection;

    ngx_http_set_log_request(c->log, w->request);

    ngx_log_error(NGX_LOG_ERR, c->log, 0,
                  "delta: Redis did not answer for world %V", &w->name);

    ngx_http_delta_world_finish(w, ngx_http_delta_world_away(w->request));
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_delta_world_cleanup(void *data)
{
    ngx_http_delta_world_t  *w = data;

    if (w->timer.timer_set) {
        ngx_del_timer(&w->timer);
    }

    w->request = NULL;

    if (!w->pending) {
        ngx_free(w);
    }
}
