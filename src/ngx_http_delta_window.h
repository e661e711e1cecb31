
/*
 * Copyright (C) Delta contributors
 *
 * Windows: the first event after a quiet time goes out at once, those that
 * follow within delta_channel's window= go out together, reduced to what
 * they come to.
 */

#ifndef _NGX_HTTP_DELTA_WINDOW_H_INCLUDED_
#define _NGX_HTTP_DELTA_WINDOW_H_INCLUDED_


#include "ngx_http_delta.h"


#define NGX_HTTP_DELTA_WINDOW_TIME   60000      /* ms at most */
#define NGX_HTTP_DELTA_WINDOW_MAX    256        /* of max=, and its default */
#define NGX_HTTP_DELTA_WINDOW_BYTES  (1024 * 1024)  /* held, of a channel */


/*
 * Lets the event go out now or at the end of the window.  What cannot be
 * merged with anything does not wait, and lets go what came before it.
 */
void ngx_http_delta_window_put(ngx_http_delta_channel_t *channel,
    ngx_http_delta_event_t *event);

/* The first event that is held, or NULL. */
ngx_http_delta_event_t *ngx_http_delta_window_first(
    ngx_http_delta_channel_t *channel);

/* What is held goes out now. */
void ngx_http_delta_window_flush(ngx_http_delta_channel_t *channel);

/* Drops what is held. */
void ngx_http_delta_window_free(ngx_http_delta_channel_t *channel);

/*
 * Redis's time in ms up to which everything that arrived has gone out, if
 * everything up to ms has arrived.
 */
uint64_t ngx_http_delta_window_floor(ngx_http_delta_hub_t *hub, uint64_t ms);

/*
 * Reduces events of a channel, in their order, to fewer of the same effect,
 * written to out, which has room for n; each is one reference of the
 * caller's.  Events without content are left out.  Only one before which
 * nothing is missing says its id; whole: each one must, for a client that may
 * have seen some of them already, and could not tell.  Returns how many.
 */
ngx_uint_t ngx_http_delta_window_reduce(ngx_http_delta_channel_t *channel,
    ngx_http_delta_event_t **events, ngx_uint_t n, ngx_uint_t whole,
    ngx_http_delta_event_t **out);


#endif /* _NGX_HTTP_DELTA_WINDOW_H_INCLUDED_ */
