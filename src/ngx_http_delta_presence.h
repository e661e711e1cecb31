
/*
 * Copyright (C) Delta contributors
 *
 * What a session is told of those whose presence:<user> it is subscribed to:
 * all of them after ready, then each change, once and in order.
 */

#ifndef _NGX_HTTP_DELTA_PRESENCE_H_INCLUDED_
#define _NGX_HTTP_DELTA_PRESENCE_H_INCLUDED_


#include "ngx_http_delta.h"


/* Wires the hub's upward pointer for states. */
void ngx_http_delta_presence_init(ngx_http_delta_hub_t *hub);

/* Before ready is said: presence_sync, to the queue's front. */
void ngx_http_delta_presence_sync(ngx_http_delta_session_t *s);

/* A change that the session cannot tell from older ones yet. */
#define ngx_http_delta_presence_early(s, sub, event)                          \
    ((s)->subs[sub].channel->state && !(s)->subs[sub].synced                  \
     && (event)->position.ms == 0)

/* "subscribed" was said: now the friend's presence, if it is known. */
void ngx_http_delta_presence_joined(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel);

/* A change was dropped, as the session is too slow: told when it is live. */
void ngx_http_delta_presence_owe(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel);

/* The session is live: what it was owed. */
void ngx_http_delta_presence_live(ngx_http_delta_session_t *s);


#endif /* _NGX_HTTP_DELTA_PRESENCE_H_INCLUDED_ */
