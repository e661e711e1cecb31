
/*
 * Copyright (C) Delta contributors
 *
 * Response headers.
 */

#ifndef _NGX_HTTP_DELTA_HEADER_H_INCLUDED_
#define _NGX_HTTP_DELTA_HEADER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_HTTP_DELTA_UPGRADE_REQUIRED  426    /* RFC 9110, 15.5.22 */


/*
 * Adds a header; name is a literal, value is kept by reference.  NGX_OK or
 * NGX_ERROR.
 */
static ngx_inline ngx_int_t
ngx_http_delta_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;

    return NGX_OK;
}


/*
 * Retry-After of 1 to that many seconds, so that those who were refused
 * together return apart.
 */
static ngx_inline ngx_int_t
ngx_http_delta_header_retry(ngx_http_request_t *r, ngx_uint_t seconds)
{
    ngx_str_t  after;

    after.data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (after.data == NULL) {
        return NGX_ERROR;
    }

    after.len = ngx_sprintf(after.data, "%ui",
                            1 + (ngx_uint_t) ngx_random() % seconds)
                - after.data;

    return ngx_http_delta_header(r, "Retry-After", &after);
}


#endif /* _NGX_HTTP_DELTA_HEADER_H_INCLUDED_ */
