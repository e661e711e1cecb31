
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_publish.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_contract.h"
#include "ngx_http_delta_header.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"
#include "core/delta_name.h"
#include "core/delta_post.h"


#define NGX_HTTP_DELTA_PUBLISH_RETRY  5     /* seconds */
#define NGX_HTTP_DELTA_PUBLISH_NAME   (DELTA_NAME_SEGMENT + 1 + NGX_INT64_LEN)
#define NGX_HTTP_DELTA_PUBLISH_CALL   256   /* bytes of a call, without text */


/* Outlives the request if the client goes away first. */
typedef struct {
    ngx_http_request_t      *request;   /* NULL: gone */
    ngx_http_cleanup_t      *cleanup;
    ngx_uint_t               pending;   /* replies to come */
    ngx_uint_t               n;         /* events */
    ngx_uint_t               failed;
    size_t                   len;       /* of the first error */
    char                     error[200];
} ngx_http_delta_publish_t;


static ngx_uint_t ngx_http_delta_publish_json(ngx_http_request_t *r);
static void ngx_http_delta_publish_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_delta_publish_take(ngx_http_request_t *r);
static ngx_int_t ngx_http_delta_publish_read(ngx_http_request_t *r,
    ngx_str_t *text);
static ngx_int_t ngx_http_delta_publish_check(ngx_http_request_t *r,
    delta_post_t *post, delta_contract_fault_t *fault, ngx_uint_t list,
    ngx_uint_t i);
static ngx_int_t ngx_http_delta_publish_send(ngx_http_request_t *r,
    delta_post_t *posts, ngx_uint_t n);
static ngx_int_t ngx_http_delta_publish_call(ngx_http_delta_hub_t *hub,
    ngx_http_delta_publish_t *p, ngx_pool_t *pool, delta_post_t *post);
static void ngx_http_delta_publish_reply(void *data, redisReply *reply);
static ngx_int_t ngx_http_delta_publish_done(ngx_http_request_t *r,
    ngx_http_delta_publish_t *p, redisReply *reply);
static void ngx_http_delta_publish_error(ngx_http_delta_publish_t *p,
    redisReply *reply);
static ngx_uint_t ngx_http_delta_publish_passes(const char *error);
static ngx_int_t ngx_http_delta_publish_ids(ngx_http_request_t *r,
    ngx_http_delta_publish_t *p, redisReply *reply);
static void ngx_http_delta_publish_cleanup(void *data);
static ngx_int_t ngx_http_delta_publish_fault(ngx_http_request_t *r,
    ngx_uint_t status, delta_contract_fault_t *fault);
static ngx_int_t ngx_http_delta_publish_busy(ngx_http_request_t *r,
    const char *what);
static ngx_int_t ngx_http_delta_publish_say(ngx_http_request_t *r,
    ngx_uint_t status, ngx_buf_t *b);


ngx_int_t
ngx_http_delta_publish_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;
    ngx_str_t  allow = ngx_string("POST");

    /* the body is the main request's, and so is the access control */

    if (r != r->main || r->post_action) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "delta: delta_publish cannot answer a subrequest");
        return NGX_HTTP_FORBIDDEN;
    }

    if (r->method != NGX_HTTP_POST) {

        if (ngx_http_delta_header(r, "Allow", &allow) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        rc = ngx_http_discard_request_body(r);

        return rc == NGX_OK ? NGX_HTTP_NOT_ALLOWED : rc;
    }

    /* a page of another site can post text without asking, but not this */

    if (!ngx_http_delta_publish_json(r)) {
        return NGX_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_delta_publish_body);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static ngx_uint_t
ngx_http_delta_publish_json(ngx_http_request_t *r)
{
    u_char     *p, *last;
    size_t      len;
    ngx_str_t  *value;

    static const u_char  json[] = "application/json";

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    value = &r->headers_in.content_type->value;
    len = sizeof(json) - 1;

    if (value->len < len
        || ngx_strncasecmp(value->data, (u_char *) json, len) != 0)
    {
        return 0;
    }

    p = value->data + len;
    last = value->data + value->len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p == last || *p == ';';
}


static void
ngx_http_delta_publish_body(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_delta_publish_take(r);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


/* NGX_AGAIN: the answer comes with Redis's. */

static ngx_int_t
ngx_http_delta_publish_take(ngx_http_request_t *r)
{
    int                      n;
    ngx_int_t                rc;
    ngx_str_t                text;
    ngx_uint_t               i, list;
    delta_post_t            *posts;
    delta_contract_fault_t   fault;

    rc = ngx_http_delta_publish_read(r, &text);
    if (rc != NGX_OK) {
        return rc;
    }

    posts = ngx_palloc(r->pool, DELTA_POST_MAX * sizeof(delta_post_t));
    if (posts == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    n = delta_post_parse(posts, (char *) text.data, text.len, &fault);

    if (n < 0) {
        return ngx_http_delta_publish_fault(r, n == DELTA_POST_LARGE
                                            ? NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
                                            : NGX_HTTP_BAD_REQUEST, &fault);
    }

    list = (text.data[strspn((char *) text.data, " \t\r\n")] == '[');

    for (i = 0; i < (ngx_uint_t) n; i++) {
        rc = ngx_http_delta_publish_check(r, &posts[i], &fault, list, i);

        if (rc != NGX_OK) {
            return ngx_http_delta_publish_fault(r, rc, &fault);
        }
    }

    return ngx_http_delta_publish_send(r, posts, n);
}


/*
 * In one piece, with a zero behind it; nginx has bounded it.  There is none
 * if another location has begun to discard it.
 */

static ngx_int_t
ngx_http_delta_publish_read(ngx_http_request_t *r, ngx_str_t *text)
{
    off_t         size;
    u_char       *p;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *bufs;

    size = 0;
    bufs = r->request_body ? r->request_body->bufs : NULL;

    for (cl = bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    p = ngx_pnalloc(r->pool, size + 1);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text->data = p;
    text->len = size;

    for (cl = bufs; cl; cl = cl->next) {
        b = cl->buf;
        n = ngx_buf_size(b);

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, n);
            continue;
        }

        if (n && ngx_read_file(b->file, p, n, b->file_pos) != n) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        p += n;
    }

    *p = '\0';

    return NGX_OK;
}


/* NGX_OK, or a status with the fault set. */

static ngx_int_t
ngx_http_delta_publish_check(ngx_http_request_t *r, delta_post_t *post,
    delta_contract_fault_t *fault, ngx_uint_t list, ngx_uint_t i)
{
    ngx_str_t                    name;
    ngx_http_delta_refusal_t     refusal;
    ngx_http_delta_loc_conf_t   *dlcf;
    ngx_http_delta_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);
    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    if (dlcf->redis->prefix.len + post->channel.len > DELTA_NAME_MAX) {
        delta_post_pointer(fault, list, i, "/channel", "");
        fault->what = "is too long";
        return NGX_HTTP_BAD_REQUEST;
    }

    if (sizeof("{\"t\":\"\",\"d\":}") - 1 + post->event.t.len
        + post->event.d.len > mcf->max_event)
    {
        delta_post_pointer(fault, list, i, "", "");
        fault->what = "is larger than delta_max_event";
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    name.data = (u_char *) post->channel.data;
    name.len = post->channel.len;

    if (ngx_http_delta_channel_control(&name)) {
        return NGX_OK;
    }

    if (ngx_http_delta_contract_check(mcf, &post->event, &refusal) != NGX_OK) {
        delta_post_pointer(fault, list, i, refusal.where,
                           refusal.fault.pointer);
        fault->what = refusal.fault.what;
        return NGX_HTTP_BAD_REQUEST;
    }

    fault->what = refusal.event
                  ? delta_contract_astray(refusal.event, post->channel,
                                          post->event.d)
                  : NULL;

    if (fault->what == NULL) {
        return NGX_OK;
    }

    delta_post_pointer(fault, list, i, "/channel", "");

    return NGX_HTTP_BAD_REQUEST;
}


/*
 * Several are one transaction: what Redis refuses beforehand, as when its
 * memory is full, it refuses for all of them, and n stays in order.
 */

static ngx_int_t
ngx_http_delta_publish_send(ngx_http_request_t *r, delta_post_t *posts,
    ngx_uint_t n)
{
    size_t                       size;
    ngx_int_t                    rc;
    ngx_str_t                    command;
    ngx_uint_t                   i;
    ngx_http_delta_hub_t        *hub;
    ngx_http_delta_publish_t    *p;
    ngx_http_delta_loc_conf_t   *dlcf;
    ngx_http_delta_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);
    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);
    hub = &mcf->worker->hubs[dlcf->redis->index];

    size = NGX_HTTP_DELTA_PUBLISH_CALL;

    for (i = 0; i < n; i++) {
        size += NGX_HTTP_DELTA_PUBLISH_CALL + dlcf->redis->prefix.len
                + posts[i].channel.len + posts[i].event.t.len
                + posts[i].event.d.len + posts[i].source.len;
    }

    /* with room for all of it none is left half said */

    if (!ngx_http_delta_redis_ready(hub)
        || ngx_http_delta_link_reserve(&hub->command, size) == NULL)
    {
        return ngx_http_delta_publish_busy(r, "Redis is away");
    }

    p = ngx_calloc(sizeof(ngx_http_delta_publish_t), hub->worker->log);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p->cleanup = ngx_http_cleanup_add(r, 0);
    if (p->cleanup == NULL) {
        ngx_free(p);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p->n = n;
    rc = NGX_OK;

    if (n > 1) {
        ngx_str_set(&command, "MULTI");
        rc = ngx_http_delta_redis_command(&hub->command,
                                          ngx_http_delta_publish_reply, p, 1,
                                          &command);
        p->pending += (rc == NGX_OK);
    }

    for (i = 0; rc == NGX_OK && i < n; i++) {
        rc = ngx_http_delta_publish_call(hub, p, r->pool, &posts[i]);
    }

    if (rc == NGX_OK && n > 1) {
        ngx_str_set(&command, "EXEC");
        rc = ngx_http_delta_redis_command(&hub->command,
                                          ngx_http_delta_publish_reply, p, 1,
                                          &command);
        p->pending += (rc == NGX_OK);
    }

    if (rc != NGX_OK) {

        if (p->pending == 0) {
            ngx_free(p);
        }

        /* out of memory: no transaction may stay open */

        if (n > 1) {
            ngx_http_delta_link_renew(&hub->command,
                                      "a transaction was not ended");
        }

        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p->request = r;
    p->cleanup->handler = ngx_http_delta_publish_cleanup;
    p->cleanup->data = p;

    r->read_event_handler = ngx_http_test_reading;

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_delta_publish_call(ngx_http_delta_hub_t *hub,
    ngx_http_delta_publish_t *p, ngx_pool_t *pool, delta_post_t *post)
{
    u_char      once[NGX_HTTP_DELTA_PUBLISH_NAME];
    u_char     *text;
    ngx_int_t   rc;
    ngx_str_t   argv[6], *prefix;

    prefix = &hub->conf->prefix;

    text = ngx_pnalloc(pool, prefix->len + post->channel.len
                             + sizeof("{\"t\":\"\",\"d\":}") - 1
                             + post->event.t.len + post->event.d.len);
    if (text == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&argv[0], "FCALL");
    ngx_str_set(&argv[1], "delta_publish");
    ngx_str_set(&argv[2], "1");

    argv[3].data = text;
    text = ngx_sprintf(text, "%V%*s", prefix, post->channel.len,
                       post->channel.data);
    argv[3].len = text - argv[3].data;

    argv[4].data = text;
    text = ngx_sprintf(text, "{\"t\":\"%*s\",\"d\":%*s}", post->event.t.len,
                       post->event.t.data, post->event.d.len,
                       post->event.d.data);
    argv[4].len = text - argv[4].data;

    argv[5].data = once;
    argv[5].len = ngx_sprintf(once, "%*s/%L", post->source.len,
                              post->source.data, post->n)
                  - once;

    rc = ngx_http_delta_redis_command(&hub->command,
                                      ngx_http_delta_publish_reply, p,
                                      post->source.len ? 6 : 5, argv);

    p->pending += (rc == NGX_OK);

    return rc;
}


static void
ngx_http_delta_publish_reply(void *data, redisReply *reply)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_delta_publish_t  *p = data;

    ngx_http_delta_publish_error(p, reply);

    if (--p->pending) {
        return;
    }

    r = p->request;

    if (r == NULL) {
        ngx_free(p);
        return;
    }

    p->cleanup->handler = NULL;

    c = r->connection;
    ngx_http_set_log_request(c->log, r);

    r->read_event_handler = ngx_http_block_reading;

    rc = ngx_http_delta_publish_done(r, p, reply);

    ngx_free(p);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* The first error of all replies is the one that counts. */

static void
ngx_http_delta_publish_error(ngx_http_delta_publish_t *p, redisReply *reply)
{
    size_t  i;

    if (reply && reply->type == REDIS_REPLY_ARRAY) {

        for (i = 0; i < reply->elements; i++) {
            ngx_http_delta_publish_error(p, reply->element[i]);
        }

        return;
    }

    if (p->failed || (reply && reply->type != REDIS_REPLY_ERROR)) {
        return;
    }

    p->failed = 1;

    if (reply) {
        p->len = ngx_min(reply->len, sizeof(p->error) - 1);
        ngx_memcpy(p->error, reply->str, p->len);
    }
}


static ngx_int_t
ngx_http_delta_publish_done(ngx_http_request_t *r,
    ngx_http_delta_publish_t *p, redisReply *reply)
{
    delta_contract_fault_t  fault;

    if (!p->failed) {
        return ngx_http_delta_publish_ids(r, p, reply);
    }

    if (p->len == 0) {
        return ngx_http_delta_publish_busy(r, "the link to Redis was lost");
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "delta: Redis refuses delta_publish: %*s", p->len, p->error);

    if (ngx_http_delta_publish_passes(p->error)) {
        return ngx_http_delta_publish_busy(r, "Redis cannot take it now");
    }

    fault.pointer[0] = '\0';
    fault.what = "is refused by Redis, the error log says why";

    return ngx_http_delta_publish_fault(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                        &fault);
}


/* What may be gone when it is tried again, whatever the event is. */

static ngx_uint_t
ngx_http_delta_publish_passes(const char *error)
{
    ngx_uint_t  i;

    static const char *const  errors[] = {
        "LOADING", "READONLY", "OOM", "NOREPLICAS", "CLUSTERDOWN",
        "MASTERDOWN", "TRYAGAIN", "BUSY", "MISCONF", "UNBLOCKED",
        "ERR Function not found"
    };

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {

        if (ngx_strncmp(error, errors[i], ngx_strlen(errors[i])) == 0) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_delta_publish_ids(ngx_http_request_t *r,
    ngx_http_delta_publish_t *p, redisReply *reply)
{
    size_t                        i, n, len;
    ngx_buf_t                    *b;
    redisReply                  **ids;
    delta_position_t              id;
    ngx_http_delta_main_conf_t   *mcf;

    n = p->n;
    ids = n > 1 ? reply->element : &reply;
    len = sizeof("{\"ids\":[]}\n");

    for (i = 0; i < n; i++) {

        if ((n > 1 && reply->elements != n)
            || ids[i]->type != REDIS_REPLY_STRING
            || delta_position_parse(&id, ids[i]->str, ids[i]->len) != 0)
        {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "delta: what Redis answers to delta_publish is "
                          "no id");
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        len += ids[i]->len + sizeof("\"\",") - 1;
    }

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->last, "{\"ids\":[", sizeof("{\"ids\":[") - 1);

    for (i = 0; i < n; i++) {
        b->last = ngx_sprintf(b->last, "%s\"%*s\"", i ? "," : "",
                              ids[i]->len, ids[i]->str);
    }

    b->last = ngx_cpymem(b->last, "]}\n", sizeof("]}\n") - 1);

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);
    ngx_http_delta_metric(mcf->worker, PUBLISHED, n);

    return ngx_http_delta_publish_say(r, NGX_HTTP_OK, b);
}


static void
ngx_http_delta_publish_cleanup(void *data)
{
    ngx_http_delta_publish_t  *p = data;

    p->request = NULL;
}


static ngx_int_t
ngx_http_delta_publish_fault(ngx_http_request_t *r, ngx_uint_t status,
    delta_contract_fault_t *fault)
{
    u_char      *pointer;
    size_t       len;
    ngx_buf_t   *b;

    pointer = (u_char *) fault->pointer;
    len = ngx_strlen(pointer);

    b = ngx_create_temp_buf(r->pool, sizeof("{\"path\":\"\",\"error\":\"\"}\n")
                            + len + ngx_escape_json(NULL, pointer, len)
                            + ngx_strlen(fault->what));
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_sprintf(b->last, "{\"path\":\"");
    b->last = (u_char *) ngx_escape_json(b->last, pointer, len);
    b->last = ngx_sprintf(b->last, "\",\"error\":\"%s\"}\n", fault->what);

    return ngx_http_delta_publish_say(r, status, b);
}


static ngx_int_t
ngx_http_delta_publish_busy(ngx_http_request_t *r, const char *what)
{
    ngx_buf_t  *b;

    b = ngx_create_temp_buf(r->pool, sizeof("{\"error\":\"\"}\n")
                                     + ngx_strlen(what));

    if (b == NULL
        || ngx_http_delta_header_retry(r, NGX_HTTP_DELTA_PUBLISH_RETRY)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_sprintf(b->last, "{\"error\":\"%s\"}\n", what);

    return ngx_http_delta_publish_say(r, NGX_HTTP_SERVICE_UNAVAILABLE, b);
}


static ngx_int_t
ngx_http_delta_publish_say(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *b)
{
    ngx_int_t                    rc;
    ngx_chain_t                  out;
    ngx_http_delta_main_conf_t  *mcf;

    if (status != NGX_HTTP_OK) {
        mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);
        ngx_http_delta_metric(mcf->worker, PUBLISH_ERRORS, 1);
    }

    b->last_buf = 1;
    b->last_in_chain = 1;

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.status = status;
    r->headers_out.content_length_n = ngx_buf_size(b);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
