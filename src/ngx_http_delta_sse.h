
/*
 * Copyright (C) Delta contributors
 *
 * The Server-Sent Events transport (HTML standard 9.2), HTTP/1.x and HTTP/2.
 */

#ifndef _NGX_HTTP_DELTA_SSE_H_INCLUDED_
#define _NGX_HTTP_DELTA_SSE_H_INCLUDED_


#include "ngx_http_delta.h"


extern const ngx_http_delta_transport_t  ngx_http_delta_sse_transport;

/*
 * Whether the request accepts an event stream: by name, or, where nothing
 * else is served (lenient), by any wildcard or no Accept at all.
 */
ngx_uint_t ngx_http_delta_sse_requested(ngx_http_request_t *r,
    ngx_uint_t lenient);


#endif /* _NGX_HTTP_DELTA_SSE_H_INCLUDED_ */
