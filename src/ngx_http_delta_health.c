
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_health.h"
#include "ngx_http_delta_epoch.h"
#include "ngx_http_delta_header.h"
#include "ngx_http_delta_redis.h"


static const char *ngx_http_delta_health_status(ngx_http_delta_hub_t *hub,
    ngx_msec_t deadline);
static ngx_buf_t *ngx_http_delta_health_body(ngx_http_request_t *r,
    ngx_http_delta_hub_t *hub, const char *status);


ngx_int_t
ngx_http_delta_health_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_str_t                    allow = ngx_string("GET, HEAD");
    ngx_str_t                    cache = ngx_string("no-store");
    ngx_chain_t                  out;
    const char                  *status;
    ngx_http_delta_hub_t        *hub;
    ngx_http_delta_loc_conf_t   *dlcf;
    ngx_http_delta_main_conf_t  *mcf;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {

        if (ngx_http_delta_header(r, "Allow", &allow) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_HTTP_NOT_ALLOWED;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);
    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    hub = &mcf->worker->hubs[dlcf->redis->index];
    status = ngx_http_delta_health_status(hub, dlcf->health);

    out.buf = ngx_http_delta_health_body(r, hub, status);
    out.next = NULL;

    if (out.buf == NULL
        || ngx_http_delta_header(r, "Cache-Control", &cache) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_length_n = ngx_buf_size(out.buf);
    r->headers_out.status = status[0] == 'o' ? NGX_HTTP_OK
                                             : NGX_HTTP_SERVICE_UNAVAILABLE;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, &out);
}


static const char *
ngx_http_delta_health_status(ngx_http_delta_hub_t *hub, ngx_msec_t deadline)
{
    if (ngx_exiting || !ngx_http_delta_redis_ready(hub)) {
        return "down";
    }

    if (!hub->canary || hub->lag > deadline
        || ngx_http_delta_epoch_age(hub) > deadline)
    {
        return "late";
    }

    return "ok";
}


static ngx_buf_t *
ngx_http_delta_health_body(ngx_http_request_t *r, ngx_http_delta_hub_t *hub,
    const char *status)
{
    size_t      size;
    ngx_str_t  *name;
    ngx_buf_t  *b;

    name = &hub->conf->name;

    size = sizeof("{\"status\":\"down\",\"redis\":\"\",\"lag_ms\":,\"age_ms\":,"
                  "\"sessions\":,\"draining\":false,\"worker\":}\n")
           + name->len + ngx_escape_json(NULL, name->data, name->len)
           + 4 * NGX_INT64_LEN;

    b = ngx_create_temp_buf(r->pool, size);
    if (b == NULL) {
        return NULL;
    }

    b->last = ngx_sprintf(b->last, "{\"status\":\"%s\",\"redis\":\"", status);
    b->last = (u_char *) ngx_escape_json(b->last, name->data, name->len);
    b->last = ngx_sprintf(b->last, "\",\"lag_ms\":%uL,\"age_ms\":%uL,"
                          "\"sessions\":%ui,\"draining\":%s,\"worker\":%P}\n",
                          hub->lag, ngx_http_delta_epoch_age(hub),
                          hub->worker->nsessions,
                          ngx_exiting ? "true" : "false", ngx_pid);

    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    return b;
}
