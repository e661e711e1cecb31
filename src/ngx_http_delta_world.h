
/*
 * Copyright (C) Delta contributors
 *
 * delta_snapshot: a world as its publisher keeps it in Redis, for clients
 * that begin or have missed ticks.  What is stored is cut and put together,
 * never parsed.
 */

#ifndef _NGX_HTTP_DELTA_WORLD_H_INCLUDED_
#define _NGX_HTTP_DELTA_WORLD_H_INCLUDED_


#include "ngx_http_delta.h"


/* Content handler: 200, 304, 400, 404, 502 (not as it should be), 503. */
ngx_int_t ngx_http_delta_world_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_DELTA_WORLD_H_INCLUDED_ */
