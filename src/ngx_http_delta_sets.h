
/*
 * Copyright (C) Delta contributors
 *
 * Sets of memberships that are read through (delta_membership): asked of the
 * application when Redis does not have them, before a session opens.
 */

#ifndef _NGX_HTTP_DELTA_SETS_H_INCLUDED_
#define _NGX_HTTP_DELTA_SETS_H_INCLUDED_


#include "ngx_http_delta.h"


/*
 * Begins for a request whose grants are settled.  NULL in *sets: there is
 * nothing to be read through.  NGX_ERROR: out of memory.
 */
ngx_int_t ngx_http_delta_sets_create(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx, ngx_http_delta_sets_t **sets);

/*
 * Goes on as far as it can, from within a phase handler: NGX_AGAIN, it waits
 * and runs the phases again by itself; NGX_OK, Redis has all sets; NGX_BUSY,
 * the application is being asked max= times already; NGX_ERROR, it did not
 * answer well, or Redis did not.
 */
ngx_int_t ngx_http_delta_sets_next(ngx_http_delta_sets_t *sets);

/* The request is done with it, or ends. */
void ngx_http_delta_sets_free(ngx_http_delta_sets_t *sets);


#endif /* _NGX_HTTP_DELTA_SETS_H_INCLUDED_ */
