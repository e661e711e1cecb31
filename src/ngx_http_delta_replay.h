
/*
 * Copyright (C) Delta contributors
 *
 * What a session is owed of its channels before anything live: because its
 * client was away, or because it is too slow and has fallen behind.
 */

#ifndef _NGX_HTTP_DELTA_REPLAY_H_INCLUDED_
#define _NGX_HTTP_DELTA_REPLAY_H_INCLUDED_


#include "ngx_http_delta.h"


/*
 * All events of that channel behind a place are owed; exact: the place is an
 * event's.  What counts for replay= comes behind cursor.  Without effect if
 * this was called for the channel before.  NGX_ERROR: out of memory.
 */
ngx_int_t ngx_http_delta_replay_add(ngx_http_delta_session_t *s,
    ngx_uint_t sub, const delta_position_t *after, ngx_uint_t exact,
    const delta_position_t *cursor);

/*
 * Queues what is owed, now or when it has been read, and then calls
 * ngx_http_delta_session_resumed(); events that come meanwhile are parked.
 */
void ngx_http_delta_replay_start(ngx_http_delta_session_t *s);

/*
 * The session cannot take this event: it falls behind.  What was queued is
 * dropped, and owed, from the first event of each channel on.
 */
void ngx_http_delta_replay_fall(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event);

/* The client reads again: if its queue is nearly empty, it is caught up. */
void ngx_http_delta_replay_drained(ngx_http_delta_session_t *s);

/* Whether something is still owed. */
ngx_uint_t ngx_http_delta_replay_owes(ngx_http_delta_session_t *s);

/* Whether what was owed of the channel has been queued. */
ngx_uint_t ngx_http_delta_replay_done(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel);

/* Whether the event was replayed already. */
ngx_uint_t ngx_http_delta_replay_seen(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event);

/* The link is down: what has not been answered is asked again at the start. */
void ngx_http_delta_replay_abandon(ngx_http_delta_session_t *s);

/*
 * The link is down, and ready was not sent: what was found so far is dropped,
 * as nothing proves any more that the rest follows it.
 */
void ngx_http_delta_replay_restart(ngx_http_delta_session_t *s);

/*
 * The session is live: forgets all replays but of channels whose live events
 * are still to come up to where the log was read.
 */
void ngx_http_delta_replay_end(ngx_http_delta_session_t *s);

/* The session leaves that channel. */
void ngx_http_delta_replay_leave(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel);

/* Nothing is owed any more. */
void ngx_http_delta_replay_forget(ngx_http_delta_session_t *s);


#endif /* _NGX_HTTP_DELTA_REPLAY_H_INCLUDED_ */
