
/*
 * Copyright (C) Delta contributors
 *
 * delta_envelope space: a location that streams the deltas of one channel,
 * each with the timestamp to go on from.  Before the stream begins, Redis is
 * asked whether the log reaches back to where the client was; if it does not,
 * the backend (delta_backfill).
 */

#ifndef _NGX_HTTP_DELTA_STREAM_H_INCLUDED_
#define _NGX_HTTP_DELTA_STREAM_H_INCLUDED_


#include "ngx_http_delta.h"


/*
 * The user is let in: finds out from where the stream begins.  NGX_AGAIN: is
 * called again when that is known; NGX_DECLINED: it is, the session can be
 * opened; or a status to refuse it with.
 */
ngx_int_t ngx_http_delta_stream_prepare(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx);

/* $delta_since: the time from which the backend shall tell, or empty. */
ngx_int_t ngx_http_delta_stream_since(ngx_http_request_t *r,
    ngx_str_t *value);

/* What comes first, before or instead of what was replayed. */
void ngx_http_delta_stream_ready(ngx_http_delta_session_t *s);

/* All up to there was sent, or is void by a resync that is to be said. */
delta_position_t ngx_http_delta_stream_place(ngx_http_delta_session_t *s);

/* Writes ,"timestamp":"<place>" of at most 48 bytes; returns the end. */
u_char *ngx_http_delta_stream_member(u_char *p, delta_position_t place);

/* Sends t and d with that place. */
void ngx_http_delta_stream_tell(ngx_http_delta_session_t *s, const char *t,
    ngx_str_t *d, delta_position_t place);

/*
 * The event as this session gets it: itself; or a new one with one reference,
 * without what the backend has told already; or NULL: not at all.
 */
ngx_http_delta_event_t *ngx_http_delta_stream_sift(
    ngx_http_delta_session_t *s, ngx_http_delta_event_t *event);


#endif /* _NGX_HTTP_DELTA_STREAM_H_INCLUDED_ */
