
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_grant.h"


ngx_int_t
ngx_http_delta_grant_copy(ngx_http_delta_session_t *s,
    ngx_http_delta_ctx_t *ctx)
{
    u_char                  *p;
    size_t                   len;
    ngx_uint_t               i, k;
    ngx_str_t               *from, *to;
    ngx_http_delta_grant_t  *grant;

    len = ctx->user.len;

    for (i = 0; i < ctx->ngrants; i++) {
        grant = &ctx->grants[i];
        len += grant->channel.len + grant->from.len + grant->in.len;
    }

    s->ngrants = ctx->ngrants;
    s->grants = ngx_pcalloc(s->pool,
                            s->ngrants * sizeof(ngx_http_delta_grant_t));
    p = ngx_pnalloc(s->pool, len);

    if (s->grants == NULL || p == NULL) {
        return NGX_ERROR;
    }

    s->user.data = p;
    s->user.len = ctx->user.len;
    p = ngx_cpymem(p, ctx->user.data, ctx->user.len);

    for (i = 0; i < s->ngrants; i++) {
        s->grants[i].on_request = ctx->grants[i].on_request;
        s->grants[i].own = ctx->grants[i].own;

        for (k = 0; k < 3; k++) {
            from = &(&ctx->grants[i].channel)[k];
            to = &(&s->grants[i].channel)[k];

            to->data = p;
            to->len = from->len;

            if (from->len) {
                p = ngx_cpymem(p, from->data, from->len);
            }
        }
    }

    return NGX_OK;
}
