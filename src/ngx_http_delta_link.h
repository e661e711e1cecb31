
/*
 * Copyright (C) Delta contributors
 *
 * A connection to Redis on nginx's event loop: nginx owns the socket, hiredis
 * only parses.  It connects, reads, writes, keeps deadlines and comes back by
 * itself after a pause.  It knows bytes and replies, no commands: what is to be
 * said is up to the four functions that are set before it is opened.  A name is
 * resolved again before each connect, if nginx has a resolver; both links of a
 * hub use the same address.  Nothing here blocks.
 */

#ifndef _NGX_HTTP_DELTA_LINK_H_INCLUDED_
#define _NGX_HTTP_DELTA_LINK_H_INCLUDED_


#include "ngx_http_delta.h"
#include <hiredis/hiredis.h>


/* Bytes on their way to Redis, and of one reply from it. */
#define NGX_HTTP_DELTA_MAX_OUT    (64 * 1024 * 1024)
#define NGX_HTTP_DELTA_MAX_REPLY  (16 * 1024 * 1024)

/* Elements of an array in it: memory is taken for as many as are announced. */
#define NGX_HTTP_DELTA_MAX_ELEMENTS  (NGX_HTTP_DELTA_MAX_REPLY / 16)


/* hub, pubsub and the functions are set; it reconnects until closed. */
void ngx_http_delta_link_open(ngx_http_delta_link_t *link);

/* Calls none of the functions. */
void ngx_http_delta_link_close(ngx_http_delta_link_t *link);

/* Breaks it, to be connected anew. */
void ngx_http_delta_link_renew(ngx_http_delta_link_t *link, const char *why);

#define ngx_http_delta_link_other(link)                                       \
    ((link)->pubsub ? &(link)->hub->command : &(link)->hub->pubsub)

#define ngx_http_delta_link_same(one, two)                                    \
    (ngx_cmp_sockaddr((one)->sockaddr, (one)->socklen, (two)->sockaddr,       \
                      (two)->socklen, 1)                                      \
     == NGX_OK)

/*
 * Whether this trouble is to be logged now: it is new, of another key than the
 * last of its kind, or a minute has passed.
 */
ngx_uint_t ngx_http_delta_link_trouble(ngx_http_delta_link_t *link,
    ngx_http_delta_trouble_e what, uint32_t key);

/* Room for that many bytes behind what is not sent yet; NULL: too many. */
u_char *ngx_http_delta_link_reserve(ngx_http_delta_link_t *link, size_t size);

/* They end here, and leave with all others of this event-loop turn. */
void ngx_http_delta_link_send(ngx_http_delta_link_t *link, u_char *last);


#endif /* _NGX_HTTP_DELTA_LINK_H_INCLUDED_ */
