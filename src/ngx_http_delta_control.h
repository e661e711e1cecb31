
/*
 * Copyright (C) Delta contributors
 *
 * What happens to the channels of a live session: grants, revokes and
 * disconnects of the user's control channel, and what the client is told.
 */

#ifndef _NGX_HTTP_DELTA_CONTROL_H_INCLUDED_
#define _NGX_HTTP_DELTA_CONTROL_H_INCLUDED_


#include "ngx_http_delta.h"


/* Wires the hub's upward pointer for control events. */
void ngx_http_delta_control_init(ngx_http_delta_hub_t *hub);

/*
 * The session has joined the channel: says "subscribed" now, or when Redis
 * has acknowledged it.  ref is raw JSON, empty or NULL, and is copied.
 */
void ngx_http_delta_control_announce(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel, ngx_str_t *ref);

/* Redis acknowledged a channel: tells whoever waits for that. */
void ngx_http_delta_control_acked(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel);

/* Control events may be missing: the membership is read again. */
void ngx_http_delta_control_lost(ngx_http_delta_session_t *s);

/* Leaves s->subs[i] and tells the client; nothing of it is sent any more. */
void ngx_http_delta_control_drop(ngx_http_delta_session_t *s, ngx_uint_t i,
    const char *reason, ngx_str_t *ref);


#endif /* _NGX_HTTP_DELTA_CONTROL_H_INCLUDED_ */
