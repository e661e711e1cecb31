
/*
 * Copyright (C) Delta contributors
 *
 * The WebSocket transport (RFC 6455).
 */

#ifndef _NGX_HTTP_DELTA_WS_H_INCLUDED_
#define _NGX_HTTP_DELTA_WS_H_INCLUDED_


#include "ngx_http_delta.h"


extern const ngx_http_delta_transport_t  ngx_http_delta_ws_transport;

/* Whether the request asks for an upgrade to WebSocket. */
ngx_uint_t ngx_http_delta_ws_requested(ngx_http_request_t *r);

/*
 * Checks the handshake and fills the response's headers.  NGX_OK, or the
 * HTTP status that answers it.
 */
ngx_int_t ngx_http_delta_ws_handshake(ngx_http_request_t *r);


#endif /* _NGX_HTTP_DELTA_WS_H_INCLUDED_ */
