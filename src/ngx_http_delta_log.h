
/*
 * Copyright (C) Delta contributors
 *
 * The log of a channel.  Every logged event names the one before it; where
 * the chain breaks, or the link to Redis was away, the log is read from the
 * last event known, and what cannot be proven complete is reported.
 */

#ifndef _NGX_HTTP_DELTA_LOG_H_INCLUDED_
#define _NGX_HTTP_DELTA_LOG_H_INCLUDED_


#include "ngx_http_delta.h"


#define NGX_HTTP_DELTA_LOG_PAGE  256        /* entries per XRANGE */
#define NGX_HTTP_DELTA_LOG_HELD  64         /* live events kept meanwhile */


/*
 * A live event has come: NGX_OK, deliver it; NGX_DECLINED, it was seen
 * before, or it is kept (payload is copied) until the log has been read.
 */
ngx_int_t ngx_http_delta_log_next(ngx_http_delta_channel_t *channel,
    delta_position_t id, delta_position_t previous, ngx_str_t *payload);

/* Likewise for an event without an id, which has no place in the chain. */
ngx_int_t ngx_http_delta_log_ephemeral(ngx_http_delta_channel_t *channel,
    ngx_str_t *payload);

/* Reads what was missed; one read per channel, however often it is asked. */
void ngx_http_delta_log_repair(ngx_http_delta_channel_t *channel);

/* The channel goes away: a reply still to come finds nobody. */
void ngx_http_delta_log_forget(ngx_http_delta_channel_t *channel);

/* Redis has been (re)connected: asks what it can prove, starts the tick. */
void ngx_http_delta_log_link_up(ngx_http_delta_hub_t *hub);
void ngx_http_delta_log_link_down(ngx_http_delta_hub_t *hub);

/* The tick, Redis's time in ms, has come back by pub/sub. */
void ngx_http_delta_log_ticked(ngx_http_delta_hub_t *hub, ngx_str_t *payload);


#endif /* _NGX_HTTP_DELTA_LOG_H_INCLUDED_ */
