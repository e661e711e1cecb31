
/*
 * Copyright (C) Delta contributors
 *
 * The gateway's front: who may come in, and on which transport.
 */

#ifndef _NGX_HTTP_DELTA_HANDLER_H_INCLUDED_
#define _NGX_HTTP_DELTA_HANDLER_H_INCLUDED_


#include "ngx_http_delta.h"


/*
 * PRECONTENT, after auth_request, allow and deny: the gate of delta_jwt, and
 * for gateways origin, identity, membership of in=, limits, Redis.
 */
ngx_int_t ngx_http_delta_precontent_handler(ngx_http_request_t *r);

/* The content handler of delta_gateway. */
ngx_int_t ngx_http_delta_gateway_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_DELTA_HANDLER_H_INCLUDED_ */
