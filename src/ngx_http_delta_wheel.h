
/*
 * Copyright (C) Delta contributors
 *
 * The looks that a session needs now and then: heartbeats, expiry, age of its
 * queue, drain.  One timer per worker, a slot per second, no timer per
 * session.
 */

#ifndef _NGX_HTTP_DELTA_WHEEL_H_INCLUDED_
#define _NGX_HTTP_DELTA_WHEEL_H_INCLUDED_


#include "ngx_http_delta.h"


/* The next look at the session is due at that time (seconds), or earlier. */
void ngx_http_delta_wheel_schedule(ngx_http_delta_session_t *s,
    time_t deadline);

/*
 * The sets of the session's membership are lost: unless that is cured, it is
 * closed soon, so that it comes back by way of delta_membership.
 */
void ngx_http_delta_wheel_reread(ngx_http_delta_session_t *s);

/* Handler of the worker's tick: runs every second while there are sessions
 * or channels that linger. */
void ngx_http_delta_wheel_tick_handler(ngx_event_t *ev);


#endif /* _NGX_HTTP_DELTA_WHEEL_H_INCLUDED_ */
