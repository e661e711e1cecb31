
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_handler.h"
#include "ngx_http_delta_auth.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_header.h"
#include "ngx_http_delta_membership.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_origin.h"
#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_resume.h"
#include "ngx_http_delta_session.h"
#include "ngx_http_delta_sets.h"
#include "ngx_http_delta_sse.h"
#include "ngx_http_delta_stream.h"
#include "ngx_http_delta_ws.h"
#include "core/delta_name.h"


#define NGX_HTTP_DELTA_NAME_BUF  (DELTA_NAME_MAX + 1)
#define NGX_HTTP_DELTA_RETRY     5      /* seconds */


static ngx_int_t ngx_http_delta_handler_stream(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx, ngx_http_delta_loc_conf_t *dlcf);
static ngx_int_t ngx_http_delta_handler_admit(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx, ngx_http_delta_loc_conf_t *dlcf);
static ngx_int_t ngx_http_delta_handler_sets(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx, ngx_http_delta_hub_t *hub);
static ngx_int_t ngx_http_delta_handler_check(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx, ngx_http_delta_hub_t *hub);
static ngx_uint_t ngx_http_delta_handler_crowded(
    ngx_http_delta_worker_t *worker, ngx_http_delta_loc_conf_t *dlcf);
static ngx_int_t ngx_http_delta_handler_refuse(ngx_http_request_t *r,
    ngx_int_t status, ngx_uint_t metric);
static ngx_int_t ngx_http_delta_handler_identity(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx);
static ngx_int_t ngx_http_delta_handler_unauthorized(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx);
static ngx_int_t ngx_http_delta_handler_grants(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx, ngx_http_delta_loc_conf_t *dlcf);
static ngx_int_t ngx_http_delta_handler_name(ngx_http_request_t *r,
    ngx_http_delta_name_t *name, ngx_str_t *value);
static void ngx_http_delta_handler_checked(void *data, ngx_int_t rc);
static void ngx_http_delta_handler_cleanup(void *data);
static ngx_int_t ngx_http_delta_handler_upgrade_required(
    ngx_http_request_t *r, ngx_http_delta_loc_conf_t *dlcf);
static ngx_int_t ngx_http_delta_handler_empty(ngx_http_request_t *r,
    ngx_uint_t status);
static ngx_int_t ngx_http_delta_handler_open(ngx_http_request_t *r,
    const ngx_http_delta_transport_t *transport);


ngx_int_t
ngx_http_delta_precontent_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_http_delta_ctx_t        *ctx;
    ngx_http_delta_loc_conf_t   *dlcf;
    ngx_http_delta_main_conf_t  *mcf;

    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    if (r != r->main
        || (!dlcf->gateway && dlcf->jwt != NGX_HTTP_DELTA_JWT_REQUIRED))
    {
        return NGX_DECLINED;
    }

    ctx = ngx_http_delta_auth_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->settled = 1;

    if (!dlcf->gateway) {
        return ngx_http_delta_handler_identity(r, ctx);
    }

    /* what is not a connection is answered by the content handler */

    if (r->post_action || !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_DECLINED;
    }

    if (ctx->check) {
        return NGX_AGAIN;
    }

    if (ctx->status == 0) {

        if (ctx->sets) {
            mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);

            rc = ngx_http_delta_handler_sets(r, ctx,
                                     &mcf->worker->hubs[dlcf->redis->index]);

        } else {
            rc = ngx_http_delta_handler_admit(r, ctx, dlcf);
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        ctx->status = rc;
    }

    return ctx->status == NGX_DECLINED
           ? ngx_http_delta_handler_stream(r, ctx, dlcf) : ctx->status;
}


static ngx_int_t
ngx_http_delta_handler_stream(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx, ngx_http_delta_loc_conf_t *dlcf)
{
    ngx_int_t  rc;

    if (dlcf->envelope != DELTA_ENVELOPE_SPACE) {
        return NGX_DECLINED;
    }

    rc = ngx_http_delta_stream_prepare(r, ctx);

    return rc < NGX_HTTP_SPECIAL_RESPONSE ? rc
           : ngx_http_delta_handler_refuse(r, rc,
                                      NGX_HTTP_DELTA_METRIC_REFUSED_BACKFILL);
}


static ngx_int_t
ngx_http_delta_handler_admit(ngx_http_request_t *r, ngx_http_delta_ctx_t *ctx,
    ngx_http_delta_loc_conf_t *dlcf)
{
    u_char                       buf[DELTA_NAME_MAX];
    ngx_int_t                    rc;
    ngx_str_t                    control;
    ngx_uint_t                   cross;
    ngx_http_cleanup_t          *cln;
    ngx_http_delta_hub_t        *hub;
    ngx_http_delta_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);
    hub = &mcf->worker->hubs[dlcf->redis->index];

    /* now, so that they stay when error_page leads to another location */

    if (ngx_http_delta_origin_cors(r, dlcf) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_delta_origin_check(r, dlcf, &cross) != NGX_OK) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "delta: the origin is not one of delta_origin");
        return ngx_http_delta_handler_refuse(r, NGX_HTTP_FORBIDDEN,
                                         NGX_HTTP_DELTA_METRIC_REFUSED_ORIGIN);
    }

    rc = ngx_http_delta_handler_identity(r, ctx);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_delta_handler_grants(r, ctx, dlcf);
    }

    if (rc != NGX_OK) {
        return ngx_http_delta_handler_refuse(r, rc,
                                       NGX_HTTP_DELTA_METRIC_REFUSED_IDENTITY);
    }

    rc = ngx_http_delta_resume_parse(r, &ctx->resume);

    if (rc != NGX_OK) {
        return ngx_http_delta_handler_refuse(r, rc,
                                        NGX_HTTP_DELTA_METRIC_REFUSED_REQUEST);
    }

    if (!ngx_http_delta_redis_ready(hub) || ngx_exiting) {
        return ngx_http_delta_handler_refuse(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                         NGX_HTTP_DELTA_METRIC_REFUSED_REDIS);
    }

    control.data = buf;
    control.len = ngx_snprintf(buf, sizeof(buf), "user:%V:control",
                               &ctx->user)
                  - buf;

    if (ngx_http_delta_channel_count(hub, &control)
        >= dlcf->limit_connections)
    {
        return ngx_http_delta_handler_refuse(r, NGX_HTTP_TOO_MANY_REQUESTS,
                                         NGX_HTTP_DELTA_METRIC_REFUSED_LIMIT);
    }

    if (r->method == NGX_HTTP_GET
        && ngx_http_delta_handler_crowded(mcf->worker, dlcf))
    {
        return ngx_http_delta_handler_refuse(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     NGX_HTTP_DELTA_METRIC_REFUSED_ADMISSION);
    }

    cln = ngx_http_cleanup_add(r, 0);

    if (cln == NULL
        || ngx_http_delta_sets_create(r, ctx, &ctx->sets) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_delta_handler_cleanup;
    cln->data = ctx;

    return ctx->sets ? ngx_http_delta_handler_sets(r, ctx, hub)
                     : ngx_http_delta_handler_check(r, ctx, hub);
}


/* First what the application knows and Redis does not. */

static ngx_int_t
ngx_http_delta_handler_sets(ngx_http_request_t *r, ngx_http_delta_ctx_t *ctx,
    ngx_http_delta_hub_t *hub)
{
    ngx_int_t   rc;
    ngx_uint_t  metric;

    rc = ngx_http_delta_sets_next(ctx->sets);

    if (rc == NGX_AGAIN) {
        r->read_event_handler = ngx_http_test_reading;
        return NGX_AGAIN;
    }

    ngx_http_delta_sets_free(ctx->sets);
    ctx->sets = NULL;

    r->read_event_handler = ngx_http_block_reading;

    if (rc == NGX_OK && ngx_http_delta_redis_ready(hub)) {
        return ngx_http_delta_handler_check(r, ctx, hub);
    }

    metric = rc == NGX_BUSY ? NGX_HTTP_DELTA_METRIC_REFUSED_BUSY
             : rc == NGX_ERROR ? NGX_HTTP_DELTA_METRIC_REFUSED_UPSTREAM
                               : NGX_HTTP_DELTA_METRIC_REFUSED_REDIS;

    return ngx_http_delta_handler_refuse(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                         metric);
}


static ngx_int_t
ngx_http_delta_handler_check(ngx_http_request_t *r, ngx_http_delta_ctx_t *ctx,
    ngx_http_delta_hub_t *hub)
{
    ctx->check = ngx_http_delta_membership_check(hub, ctx->grants,
                                         ctx->ngrants,
                                         ngx_http_delta_handler_checked, r);

    if (ctx->check == NULL) {
        return NGX_DECLINED;
    }

    r->read_event_handler = ngx_http_test_reading;

    return NGX_AGAIN;
}


/* More come than delta_limit admit=: a bucket that holds a second's worth. */

static ngx_uint_t
ngx_http_delta_handler_crowded(ngx_http_delta_worker_t *worker,
    ngx_http_delta_loc_conf_t *dlcf)
{
    uint64_t                     rate;
    ngx_msec_t                   passed;
    ngx_http_delta_admission_t  *bucket;

    rate = dlcf->limit_admit;

    if (rate == 0) {
        return 0;
    }

    bucket = &worker->admissions[dlcf->admission];
    passed = ngx_current_msec - bucket->refilled;

    bucket->tokens += rate * ngx_min(passed, 1000);
    bucket->tokens = ngx_min(bucket->tokens, rate * 1000);
    bucket->refilled = ngx_current_msec;

    if (bucket->tokens < 1000) {
        return 1;
    }

    bucket->tokens -= 1000;

    return 0;
}


static ngx_int_t
ngx_http_delta_handler_refuse(ngx_http_request_t *r, ngx_int_t status,
    ngx_uint_t metric)
{
    ngx_uint_t                   spread;
    ngx_http_delta_loc_conf_t   *dlcf;
    ngx_http_delta_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);

    ngx_http_delta_metric_at(mcf->worker, metric, 1);

    if (status == NGX_HTTP_SERVICE_UNAVAILABLE
        || status == NGX_HTTP_TOO_MANY_REQUESTS)
    {
        dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

        spread = metric == NGX_HTTP_DELTA_METRIC_REFUSED_ADMISSION
                 ? dlcf->limit_spread : NGX_HTTP_DELTA_RETRY;

        if (ngx_http_delta_header_retry(r, spread) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return status;
}


/* NGX_DECLINED: the user is known, go on. */

static ngx_int_t
ngx_http_delta_handler_identity(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx)
{
    ngx_str_t  user;

    if (ngx_http_delta_auth_user(r, &user) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (user.len == 0) {
        return ngx_http_delta_handler_unauthorized(r, ctx);
    }

    ctx->user = user;

    if (!delta_name_segment((char *) user.data, user.len)) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "delta: the user's id cannot stand in a channel name");
        return NGX_HTTP_FORBIDDEN;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_delta_handler_unauthorized(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx)
{
    ngx_str_t  plain = ngx_string("Bearer");
    ngx_str_t  invalid = ngx_string("Bearer error=\"invalid_token\"");

    if (ngx_http_delta_header(r, "WWW-Authenticate",
                              ctx->jwt_result < 0 ? &invalid : &plain)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_HTTP_UNAUTHORIZED;
}


static ngx_int_t
ngx_http_delta_handler_grants(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx, ngx_http_delta_loc_conf_t *dlcf)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_http_delta_rule_t   *rule;
    ngx_http_delta_grant_t  *grant;

    rule = dlcf->rules->elts;

    ctx->ngrants = dlcf->rules->nelts;
    ctx->grants = ngx_pcalloc(r->pool, ctx->ngrants
                                       * sizeof(ngx_http_delta_grant_t));
    if (ctx->grants == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < ctx->ngrants; i++) {
        grant = &ctx->grants[i];
        grant->on_request = rule[i].on_request;
        grant->own = dlcf->sets && rule[i].member.len;

        rc = ngx_http_delta_handler_name(r, &rule[i].channel,
                                         &grant->channel);
        if (rc == NGX_OK && rule[i].from.text.len) {
            rc = ngx_http_delta_handler_name(r, &rule[i].from, &grant->from);
        }

        if (rc == NGX_OK && rule[i].in.text.len) {
            rc = ngx_http_delta_handler_name(r, &rule[i].in, &grant->in);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


/*
 * Each segment is evaluated and judged by itself, so that an id with a colon
 * in it can never reach into another channel.
 */

static ngx_int_t
ngx_http_delta_handler_name(ngx_http_request_t *r,
    ngx_http_delta_name_t *name, ngx_str_t *value)
{
    u_char                    *p;
    ngx_str_t                  segment;
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *cv;

    if (!name->variable) {
        *value = name->text;
        return NGX_OK;
    }

    value->data = ngx_pnalloc(r->pool, NGX_HTTP_DELTA_NAME_BUF);
    if (value->data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = value->data;
    cv = name->segments.elts;

    for (i = 0; i < name->segments.nelts; i++) {

        if (ngx_http_complex_value(r, &cv[i], &segment) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (!(segment.len == 1 && segment.data[0] == '*'
              && cv[i].lengths == NULL)
            && !delta_name_segment((char *) segment.data, segment.len))
        {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "delta: a value of \"%V\" cannot stand in a "
                          "channel name", &name->text);
            return NGX_HTTP_FORBIDDEN;
        }

        if (p - value->data + segment.len + 1 > DELTA_NAME_MAX) {
            return NGX_HTTP_FORBIDDEN;
        }

        if (i) {
            *p++ = ':';
        }

        p = ngx_cpymem(p, segment.data, segment.len);
    }

    value->len = p - value->data;

    return NGX_OK;
}


static void
ngx_http_delta_handler_checked(void *data, ngx_int_t rc)
{
    ngx_connection_t      *c;
    ngx_http_request_t    *r = data;
    ngx_http_delta_ctx_t  *ctx;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);

    ngx_http_set_log_request(c->log, r);

    ctx->check = NULL;

    if (rc == NGX_OK) {
        ctx->status = NGX_DECLINED;

    } else if (rc == NGX_DECLINED) {
        ctx->status = ngx_http_delta_handler_refuse(r, NGX_HTTP_FORBIDDEN,
                                        NGX_HTTP_DELTA_METRIC_REFUSED_MEMBER);

    } else {
        ctx->status = ngx_http_delta_handler_refuse(r,
                                        NGX_HTTP_SERVICE_UNAVAILABLE,
                                        NGX_HTTP_DELTA_METRIC_REFUSED_REDIS);
    }

    r->read_event_handler = ngx_http_block_reading;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_delta_handler_cleanup(void *data)
{
    ngx_http_delta_ctx_t  *ctx = data;

    if (ctx->check) {
        ngx_http_delta_membership_cancel(ctx->check);
        ctx->check = NULL;
    }

    if (ctx->sets) {
        ngx_http_delta_sets_free(ctx->sets);
        ctx->sets = NULL;
    }
}


ngx_int_t
ngx_http_delta_gateway_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_str_t                   allow = ngx_string("GET, HEAD, OPTIONS");
    ngx_uint_t                  cross;
    ngx_http_delta_loc_conf_t  *dlcf;

    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    /* nobody has asked a subrequest who it is */

    if (r != r->main || r->post_action) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "delta: a gateway cannot answer a subrequest");
        return NGX_HTTP_FORBIDDEN;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (r->method == NGX_HTTP_OPTIONS) {

        if (ngx_http_delta_origin_check(r, dlcf, &cross) != NGX_OK) {
            return NGX_HTTP_FORBIDDEN;
        }

        return ngx_http_delta_origin_preflight(r) == NGX_OK
               ? ngx_http_delta_handler_empty(r, NGX_HTTP_NO_CONTENT)
               : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {

        if (ngx_http_delta_header(r, "Allow", &allow) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_HTTP_NOT_ALLOWED;
    }

    /* a probe: all checks have passed, nothing is opened */

    if (r->method == NGX_HTTP_HEAD) {
        return ngx_http_delta_handler_empty(r, NGX_HTTP_OK);
    }

    if ((dlcf->gateway & NGX_HTTP_DELTA_WS)
        && r->stream == NULL && ngx_http_delta_ws_requested(r))
    {
        rc = ngx_http_delta_ws_handshake(r);

        if (rc == NGX_HTTP_DELTA_UPGRADE_REQUIRED) {
            return ngx_http_delta_handler_upgrade_required(r, dlcf);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_http_delta_handler_open(r, &ngx_http_delta_ws_transport);
    }

    if ((dlcf->gateway & NGX_HTTP_DELTA_SSE)
        && ngx_http_delta_sse_requested(r,
                                        dlcf->gateway == NGX_HTTP_DELTA_SSE))
    {
        return ngx_http_delta_handler_open(r, &ngx_http_delta_sse_transport);
    }

    if (!(dlcf->gateway & NGX_HTTP_DELTA_WS)) {
        return ngx_http_delta_handler_empty(r, 406);
    }

    return ngx_http_delta_handler_upgrade_required(r, dlcf);
}


static ngx_int_t
ngx_http_delta_handler_upgrade_required(ngx_http_request_t *r,
    ngx_http_delta_loc_conf_t *dlcf)
{
    ngx_str_t  upgrade = ngx_string("websocket");
    ngx_str_t  version = ngx_string("13");
    ngx_str_t  connection = ngx_string("Upgrade");

    if (ngx_http_delta_header(r, "Sec-WebSocket-Version", &version) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->stream == NULL
        && (ngx_http_delta_header(r, "Upgrade", &upgrade) != NGX_OK
            || ngx_http_delta_header(r, "Connection", &connection) != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_delta_handler_empty(r, NGX_HTTP_DELTA_UPGRADE_REQUIRED);
}


static ngx_int_t
ngx_http_delta_handler_empty(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_int_t  rc;

    r->headers_out.status = status;
    r->headers_out.content_length_n = (status == NGX_HTTP_NO_CONTENT) ? -1 : 0;
    r->header_only = 1;

    if (status == NGX_HTTP_DELTA_UPGRADE_REQUIRED) {
        ngx_str_set(&r->headers_out.status_line, "426 Upgrade Required");
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }

    return ngx_http_send_special(r, NGX_HTTP_LAST);
}


static ngx_int_t
ngx_http_delta_handler_open(ngx_http_request_t *r,
    const ngx_http_delta_transport_t *transport)
{
    ngx_http_delta_ctx_t        *ctx;
    ngx_http_delta_session_t    *s;
    ngx_http_delta_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);
    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);

    s = ngx_http_delta_session_create(r, transport);
    if (s == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!mcf->claims) {
        delta_jwt_free(&ctx->jwt);
        ngx_memzero(&ctx->jwt, sizeof(delta_jwt_t));
    }

    r->main->count++;

    ngx_http_delta_session_open(s);

    return NGX_DONE;
}
