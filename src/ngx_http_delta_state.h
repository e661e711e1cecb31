
/*
 * Copyright (C) Delta contributors
 *
 * What friends may know of a user, as this worker has heard it: the channel
 * presence:<user> brings every change, the user's hash has what was before.
 * Read once per channel and worker, however many sessions want to know.
 */

#ifndef _NGX_HTTP_DELTA_STATE_H_INCLUDED_
#define _NGX_HTTP_DELTA_STATE_H_INCLUDED_


#include "ngx_http_delta.h"


struct ngx_http_delta_state_s {
    uint64_t                     v;         /* its version */
    ngx_str_t                    text;      /* of d; NULL: never known */
    unsigned                     known:1;   /* since the link came up */
    unsigned                     online:1;
};


/* A channel of presence gets one; its hub has delta_presence. */
void ngx_http_delta_state_create(ngx_http_delta_channel_t *channel);
void ngx_http_delta_state_free(ngx_http_delta_channel_t *channel);

/* Redis has acknowledged the channel: what was before is read. */
void ngx_http_delta_state_read(ngx_http_delta_channel_t *channel);

/* The link is down: what is known may be old. */
#define ngx_http_delta_state_down(channel)  (channel)->state->known = 0

/*
 * A message "<version> <event>": takes it, hands it on if it says anything
 * new, and returns NGX_OK.  NGX_DECLINED: it is of another form.
 */
ngx_int_t ngx_http_delta_state_message(ngx_http_delta_channel_t *channel,
    ngx_str_t *payload);


#endif /* _NGX_HTTP_DELTA_STATE_H_INCLUDED_ */
