
/*
 * Copyright (C) Delta contributors
 *
 * The rules as they are for one session, which outlive the request's pool.
 */

#ifndef _NGX_HTTP_DELTA_GRANT_H_INCLUDED_
#define _NGX_HTTP_DELTA_GRANT_H_INCLUDED_


#include "ngx_http_delta.h"


/* The user and the grants of the request, into the session's own pool. */
ngx_int_t ngx_http_delta_grant_copy(ngx_http_delta_session_t *s,
    ngx_http_delta_ctx_t *ctx);


#endif /* _NGX_HTTP_DELTA_GRANT_H_INCLUDED_ */
