
/*
 * Copyright (C) Delta contributors
 *
 * What Redis vouches for: which Redis it is (the epoch), its time as it comes
 * back through pub/sub, and whether it may forget.
 */

#ifndef _NGX_HTTP_DELTA_EPOCH_H_INCLUDED_
#define _NGX_HTTP_DELTA_EPOCH_H_INCLUDED_


#include "ngx_http_delta.h"


/* The hub's age counts from here until the first tick. */
void ngx_http_delta_epoch_init(ngx_http_delta_hub_t *hub);

/* Redis has been (re)connected: asks what it can prove, starts the tick. */
void ngx_http_delta_epoch_link_up(ngx_http_delta_hub_t *hub);
void ngx_http_delta_epoch_link_down(ngx_http_delta_hub_t *hub);

/*
 * The tick, Redis's time in ms, has come back by pub/sub; or the canary behind
 * it, "c" and our own time in ms, which tells how long the way was.
 */
void ngx_http_delta_epoch_ticked(ngx_http_delta_hub_t *hub, ngx_str_t *payload);

/* Since the last tick came back, in ms by a clock that nobody sets. */
uint64_t ngx_http_delta_epoch_age(ngx_http_delta_hub_t *hub);

/* What Redis's clock can say now at most, in ms; 0: not known yet. */
uint64_t ngx_http_delta_epoch_time(ngx_http_delta_hub_t *hub);


#endif /* _NGX_HTTP_DELTA_EPOCH_H_INCLUDED_ */
