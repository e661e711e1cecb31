
/*
 * Copyright (C) Delta contributors
 *
 * What a client asks over its WebSocket.  Every bad command gets exactly one
 * error; none can end another session or the worker.
 */

#ifndef _NGX_HTTP_DELTA_COMMAND_H_INCLUDED_
#define _NGX_HTTP_DELTA_COMMAND_H_INCLUDED_


#include "ngx_http_delta.h"


#define NGX_HTTP_DELTA_MAX_NAMED  128   /* channels in subscribe= */


/*
 * An event stream cannot ask: once it is live, the channels of its argument
 * subscribe= are, each as by a command whose ref is its place there, from 0.
 */
void ngx_http_delta_command_named(ngx_http_delta_session_t *s);

/* Acts on one message of JSON; data may be changed while it is read. */
void ngx_http_delta_command_text(ngx_http_delta_session_t *s, u_char *data,
    size_t len);

/* Acts on one message of MessagePack. */
void ngx_http_delta_command_binary(ngx_http_delta_session_t *s,
    const u_char *data, size_t len);


#endif /* _NGX_HTTP_DELTA_COMMAND_H_INCLUDED_ */
