
/*
 * Copyright (C) Delta contributors
 *
 * A connection to Redis on nginx's event loop: nginx owns the socket, hiredis
 * only parses.  It connects, reads, writes, keeps deadlines and comes back by
 * itself after a pause.  It knows bytes and replies, no commands: what is to be
 * said is up to the four functions that are set before it is opened.  Nothing
 * here blocks.
 */

#ifndef _NGX_HTTP_DELTA_LINK_H_INCLUDED_
#define _NGX_HTTP_DELTA_LINK_H_INCLUDED_


#include "ngx_http_delta.h"
#include <hiredis/hiredis.h>


/* Bytes on their way to Redis, and of one reply from it. */
#define NGX_HTTP_DELTA_MAX_OUT    (64 * 1024 * 1024)
#define NGX_HTTP_DELTA_MAX_REPLY  (16 * 1024 * 1024)


/* hub, pubsub and the functions are set; it reconnects until closed. */
void ngx_http_delta_link_open(ngx_http_delta_link_t *link);

/* Calls none of the functions. */
void ngx_http_delta_link_close(ngx_http_delta_link_t *link);

/* Room for that many bytes behind what is not sent yet; NULL: too many. */
u_char *ngx_http_delta_link_reserve(ngx_http_delta_link_t *link, size_t size);

/* They end here, and leave with all others of this event-loop turn. */
void ngx_http_delta_link_send(ngx_http_delta_link_t *link, u_char *last);


#endif /* _NGX_HTTP_DELTA_LINK_H_INCLUDED_ */
