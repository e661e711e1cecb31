
/*
 * Copyright (C) Delta contributors
 *
 * Every logged event names the one before it.  Where that chain breaks, or
 * the link to Redis was away, the channel is repaired from its log, for all
 * members at once; what cannot be proven complete is reported.
 */

#ifndef _NGX_HTTP_DELTA_REPAIR_H_INCLUDED_
#define _NGX_HTTP_DELTA_REPAIR_H_INCLUDED_


#include "ngx_http_delta.h"


#define NGX_HTTP_DELTA_HELD  64     /* live events kept during a repair */


/*
 * A live event has come: NGX_OK, deliver it; NGX_DECLINED, it was seen
 * before, or it is kept (payload is copied) until the log has been read.
 */
ngx_int_t ngx_http_delta_repair_next(ngx_http_delta_channel_t *channel,
    delta_position_t id, delta_position_t previous, ngx_str_t *payload);

/* Likewise for an event without an id, which has no place in the chain. */
ngx_int_t ngx_http_delta_repair_ephemeral(ngx_http_delta_channel_t *channel,
    ngx_str_t *payload);

/*
 * The channel may be missing something from now on; until it is whole again
 * no cursor of the hub moves.
 */
void ngx_http_delta_repair_break(ngx_http_delta_channel_t *channel);

/* Reads what was missed; one reading per channel, however often asked. */
void ngx_http_delta_repair(ngx_http_delta_channel_t *channel);

/* The channel goes away. */
void ngx_http_delta_repair_forget(ngx_http_delta_channel_t *channel);


#endif /* _NGX_HTTP_DELTA_REPAIR_H_INCLUDED_ */
