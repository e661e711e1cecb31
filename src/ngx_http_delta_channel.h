
/*
 * Copyright (C) Delta contributors
 *
 * The channels of a hub: who listens, one SUBSCRIBE each however many do,
 * and the way from a message of Redis to every member's queue.
 */

#ifndef _NGX_HTTP_DELTA_CHANNEL_H_INCLUDED_
#define _NGX_HTTP_DELTA_CHANNEL_H_INCLUDED_


#include "ngx_http_delta.h"


/* A channel nobody listens to is kept this long, in ms. */
#define NGX_HTTP_DELTA_LINGER  5000


void ngx_http_delta_channel_init(ngx_http_delta_hub_t *hub);
void ngx_http_delta_channel_destroy(ngx_http_delta_hub_t *hub);

/*
 * Makes the session a member of the channel of that (valid, clients') name
 * and subscribes to it if need be; hub->acked() tells when Redis has
 * acknowledged that, unless channel->active is set already.
 * Returns the sub, valid until the session's subs change; NULL: no memory.
 */
ngx_http_delta_sub_t *ngx_http_delta_channel_join(ngx_http_delta_session_t *s,
    ngx_str_t *name, ngx_uint_t rule);

/* Ends the membership s->subs[i]; the last sub takes its place. */
void ngx_http_delta_channel_leave(ngx_http_delta_session_t *s, ngx_uint_t i);

/* The index of the session's sub of that name, or NGX_ERROR. */
ngx_int_t ngx_http_delta_channel_find(ngx_http_delta_session_t *s,
    ngx_str_t *name);

/* How many members the channel of that name has in this worker. */
ngx_uint_t ngx_http_delta_channel_count(ngx_http_delta_hub_t *hub,
    ngx_str_t *name);

/* Whether that is a control channel, which no rule and no command opens. */
ngx_uint_t ngx_http_delta_channel_control(ngx_str_t *name);

/* By its name in Redis; NULL: nobody has joined it. */
ngx_http_delta_channel_t *ngx_http_delta_channel_lookup(
    ngx_http_delta_hub_t *hub, ngx_str_t *key);

/* The first one from that place on in the tree, around it; NULL: none. */
ngx_http_delta_channel_t *ngx_http_delta_channel_from(
    ngx_http_delta_hub_t *hub, ngx_rbtree_key_t key);

/* Sends the SUBSCRIBE if it was not sent since the link came up. */
void ngx_http_delta_channel_ensure(ngx_http_delta_channel_t *channel);

/*
 * Validates an event once, keeps it, and lets it go to every member, now or
 * with its window; position and previous are NULL for one that is in no log.
 */
void ngx_http_delta_channel_deliver(ngx_http_delta_channel_t *channel,
    const delta_position_t *position, const delta_position_t *previous,
    const delta_str_t *json);

/* Queues it to every member. */
void ngx_http_delta_channel_fan_out(ngx_http_delta_channel_t *channel,
    ngx_http_delta_event_t *event);

/* The link is down: nothing is subscribed any more. */
void ngx_http_delta_channel_down(ngx_http_delta_hub_t *hub);

/* UNSUBSCRIBEs what has lingered; returns 1 while something still lingers. */
ngx_uint_t ngx_http_delta_channel_sweep(ngx_http_delta_hub_t *hub);

/* The delta_channel of that name, as clients know it; NULL: there is none. */
ngx_http_delta_channel_conf_t *ngx_http_delta_channel_conf(
    ngx_http_delta_main_conf_t *mcf, ngx_str_t *name);


#endif /* _NGX_HTTP_DELTA_CHANNEL_H_INCLUDED_ */
