
/*
 * Copyright (C) Delta contributors
 *
 * The newest events of a channel, in memory: they serve most of those who
 * come back without asking Redis.  What does not reach far enough back is
 * read from the log once, for everybody who waits for it.
 */

#ifndef _NGX_HTTP_DELTA_HISTORY_H_INCLUDED_
#define _NGX_HTTP_DELTA_HISTORY_H_INCLUDED_


#include "ngx_http_delta.h"


#define NGX_HTTP_DELTA_HISTORY_EXTRA   512      /* events beyond replay= */
#define NGX_HTTP_DELTA_HISTORY_BYTES   (512 * 1024)         /* of a channel */
#define NGX_HTTP_DELTA_HISTORY_MEMORY  (32 * 1024 * 1024)   /* of a worker */


/* Somebody who wants all events of a channel behind a place. */
typedef struct {
    ngx_queue_t                  queue;
    ngx_http_delta_channel_t    *channel;
    delta_position_t             after;
    unsigned                     exact:1;   /* it is an event's, not a time */
    unsigned                     late:1;    /* came during a reading */

    /*
     * Called once.  NGX_OK: they are here, ngx_http_delta_history_list();
     * NGX_DECLINED: it cannot be proven that none is missing; NGX_BUSY:
     * there are more than are kept; NGX_ERROR: out of memory.
     */
    void                       (*handler)(void *data, ngx_int_t rc);
    void                        *data;
} ngx_http_delta_wait_t;


/* Keeps an event that is next in the channel's chain. */
void ngx_http_delta_history_add(ngx_http_delta_channel_t *channel,
    ngx_http_delta_event_t *event);

/*
 * NGX_OK: they are here; NGX_AGAIN: the handler will be called, unless
 * ngx_http_delta_history_cancel() comes first; NGX_ERROR: it will not.
 */
ngx_int_t ngx_http_delta_history_get(ngx_http_delta_wait_t *wait);

void ngx_http_delta_history_cancel(ngx_http_delta_wait_t *wait);

/* The events behind that place, oldest first; valid until the next add. */
ngx_http_delta_event_t **ngx_http_delta_history_list(
    ngx_http_delta_channel_t *channel, const delta_position_t *after,
    ngx_uint_t *n);

/* The channel is whole again: who waited for that is looked at. */
void ngx_http_delta_history_settle(ngx_http_delta_channel_t *channel);

/* What is kept is no proof any more. */
void ngx_http_delta_history_clear(ngx_http_delta_channel_t *channel);

/* The link is down: what was asked stays unanswered; nobody waits. */
void ngx_http_delta_history_down(ngx_http_delta_channel_t *channel);

/* The channel goes away; nobody waits. */
void ngx_http_delta_history_free(ngx_http_delta_channel_t *channel);


#endif /* _NGX_HTTP_DELTA_HISTORY_H_INCLUDED_ */
