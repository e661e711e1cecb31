
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_origin.h"
#include "ngx_http_delta_auth.h"
#include "ngx_http_delta_header.h"


static ngx_uint_t ngx_http_delta_origin_same(ngx_http_request_t *r,
    ngx_str_t *origin);
static ngx_uint_t ngx_http_delta_origin_listed(ngx_array_t *origins,
    ngx_str_t *origin);
static ngx_uint_t ngx_http_delta_origin_said(ngx_http_request_t *r,
    const char *name);
static ngx_int_t ngx_http_delta_origin_preaccess_handler(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_delta_origin_filter(ngx_http_request_t *r);


static ngx_http_output_header_filter_pt  ngx_http_delta_origin_next;


ngx_int_t
ngx_http_delta_origin_check(ngx_http_request_t *r,
    ngx_http_delta_loc_conf_t *dlcf, ngx_uint_t *cross)
{
    ngx_str_t   *origin;
    ngx_uint_t   count;

    *cross = 0;
    count = 0;

    origin = ngx_http_delta_auth_header(r, "origin", &count);

    if (origin == NULL) {
        return NGX_OK;
    }

    if (count > 1) {
        return NGX_DECLINED;
    }

    if (ngx_http_delta_origin_same(r, origin)) {
        return NGX_OK;
    }

    *cross = 1;

    return (dlcf->origins
            && ngx_http_delta_origin_listed(dlcf->origins, origin))
           ? NGX_OK : NGX_DECLINED;
}


/* By host and port; TLS may end in front of this nginx. */

static ngx_uint_t
ngx_http_delta_origin_same(ngx_http_request_t *r, ngx_str_t *origin)
{
    u_char     *p;
    size_t      len;
    ngx_str_t  *host;

    host = ngx_http_delta_auth_header(r, "host", NULL);
    p = ngx_strnstr(origin->data, "://", origin->len);

    if (host == NULL || p == NULL) {
        return 0;
    }

    p += 3;
    len = origin->data + origin->len - p;

    if (len == 0 || host->len < len
        || ngx_strncasecmp(host->data, p, len) != 0)
    {
        return 0;
    }

    if (host->len == len) {
        return 1;
    }

    return (origin->data[4] == ':' && host->len == len + 3
            && ngx_strncmp(host->data + len, ":80", 3) == 0)
           || (origin->data[4] == 's' && host->len == len + 4
               && ngx_strncmp(host->data + len, ":443", 4) == 0);
}


/* With or without a scheme; one "*" stands for any part of a host name. */

static ngx_uint_t
ngx_http_delta_origin_listed(ngx_array_t *origins, ngx_str_t *origin)
{
    u_char      *star;
    size_t       head, tail;
    ngx_str_t   *allowed, rest;
    ngx_uint_t   i;

    allowed = origins->elts;

    for (i = 0; i < origins->nelts; i++) {

        rest = *origin;

        if (ngx_strnstr(allowed[i].data, "://", allowed[i].len) == NULL) {
            star = ngx_strnstr(rest.data, "://", rest.len);

            if (star == NULL) {
                continue;
            }

            rest.len -= star + 3 - rest.data;
            rest.data = star + 3;
        }

        star = ngx_strlchr(allowed[i].data, allowed[i].data + allowed[i].len,
                           '*');

        if (star == NULL) {
            if (rest.len == allowed[i].len
                && ngx_strncasecmp(rest.data, allowed[i].data, rest.len) == 0)
            {
                return 1;
            }

            continue;
        }

        head = star - allowed[i].data;
        tail = allowed[i].len - head - 1;

        if (rest.len > head + tail
            && ngx_strncasecmp(rest.data, allowed[i].data, head) == 0
            && ngx_strncasecmp(rest.data + rest.len - tail, star + 1, tail)
               == 0
            && ngx_strlchr(rest.data + head, rest.data + rest.len - tail, '/')
               == NULL)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_delta_origin_cors(ngx_http_request_t *r,
    ngx_http_delta_loc_conf_t *dlcf)
{
    ngx_str_t   *origin, yes = ngx_string("true"), vary = ngx_string("Origin");
    ngx_str_t    expose = ngx_string("Retry-After, WWW-Authenticate");
    ngx_uint_t   cross;

    if (!ngx_http_delta_origin_said(r, "Vary")
        && ngx_http_delta_header(r, "Vary", &vary) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_delta_origin_check(r, dlcf, &cross) != NGX_OK || !cross
        || ngx_http_delta_origin_said(r, "Access-Control-Allow-Origin"))
    {
        return NGX_OK;
    }

    origin = ngx_http_delta_auth_header(r, "origin", NULL);

    if (ngx_http_delta_header(r, "Access-Control-Allow-Origin", origin)
        != NGX_OK
        || ngx_http_delta_header(r, "Access-Control-Allow-Credentials", &yes)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_delta_header(r, "Access-Control-Expose-Headers", &expose);
}


/* Whether we have said it; the name is the very literal. */

static ngx_uint_t
ngx_http_delta_origin_said(ngx_http_request_t *r, const char *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash && h[i].key.len == ngx_strlen(name)
                && ngx_strncasecmp(h[i].key.data, (u_char *) name,
                                   h[i].key.len)
                   == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


ngx_int_t
ngx_http_delta_origin_preflight(ngx_http_request_t *r)
{
    ngx_str_t  methods = ngx_string("GET, HEAD");
    ngx_str_t  headers = ngx_string("Authorization, Last-Event-ID");
    ngx_str_t  age = ngx_string("3600");

    if (ngx_http_delta_header(r, "Access-Control-Allow-Methods", &methods)
        != NGX_OK
        || ngx_http_delta_header(r, "Access-Control-Allow-Headers", &headers)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_delta_header(r, "Access-Control-Max-Age", &age);
}


static ngx_int_t
ngx_http_delta_origin_preaccess_handler(ngx_http_request_t *r)
{
    ngx_uint_t                  cross;
    ngx_http_delta_loc_conf_t  *dlcf;

    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    if (r != r->main || (!dlcf->gateway && !dlcf->world)
        || r->method != NGX_HTTP_OPTIONS
        || ngx_http_delta_auth_header(r, "access-control-request-method",
                                      NULL)
           == NULL
        || ngx_http_delta_origin_check(r, dlcf, &cross) != NGX_OK
        || !cross)
    {
        return NGX_DECLINED;
    }

    if (ngx_http_delta_origin_preflight(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_HTTP_NO_CONTENT;
}


static ngx_int_t
ngx_http_delta_origin_filter(ngx_http_request_t *r)
{
    ngx_http_delta_loc_conf_t  *dlcf;

    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    if (r == r->main && (dlcf->gateway || dlcf->world)
        && ngx_http_delta_origin_cors(r, dlcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_delta_origin_next(r);
}


ngx_int_t
ngx_http_delta_origin_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_delta_origin_preaccess_handler;

    ngx_http_delta_origin_next = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_delta_origin_filter;

    return NGX_OK;
}
