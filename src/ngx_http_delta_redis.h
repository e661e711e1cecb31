
/*
 * Copyright (C) Delta contributors
 *
 * What is said over the two links of a hub: hello and the function library,
 * commands and their replies, messages of pub/sub.
 */

#ifndef _NGX_HTTP_DELTA_REDIS_H_INCLUDED_
#define _NGX_HTTP_DELTA_REDIS_H_INCLUDED_


#include "ngx_http_delta_link.h"


/* Starts both links of a hub; they reconnect by themselves until closed. */
void ngx_http_delta_redis_open(ngx_http_delta_hub_t *hub);
void ngx_http_delta_redis_close(ngx_http_delta_hub_t *hub);

/* Both links are up and have said hello. */
#define ngx_http_delta_redis_ready(hub)                                       \
    ((hub)->pubsub.ready && (hub)->command.ready)

/*
 * Queues a command; all commands of an event-loop turn leave in one write.
 * handler (may be NULL) runs exactly once: with the reply, which it must not
 * keep, or with NULL when the link was lost.  Never called from inside.
 * NGX_ERROR: the link is down or its buffer full, handler will not run.
 */
ngx_int_t ngx_http_delta_redis_command(ngx_http_delta_link_t *link,
    ngx_http_delta_reply_pt handler, void *data, ngx_uint_t argc,
    ngx_str_t *argv);


#endif /* _NGX_HTTP_DELTA_REDIS_H_INCLUDED_ */
