
/*
 * Copyright (C) Delta contributors
 *
 * Catching up: a client that was here before says up to where it has seen
 * its channels, and gets what came after from their logs, before anything
 * live.
 */

#ifndef _NGX_HTTP_DELTA_RESUME_H_INCLUDED_
#define _NGX_HTTP_DELTA_RESUME_H_INCLUDED_


#include "ngx_http_delta.h"


#define NGX_HTTP_DELTA_MAX_AT      128      /* positions in at= */
#define NGX_HTTP_DELTA_MAX_AT_LEN  6144     /* its bytes, decoded */


/*
 * Reads since= and at= of the request's arguments, or Last-Event-ID instead.
 * NGX_OK: *resume is set, NULL if the client asks for nothing;
 * NGX_HTTP_BAD_REQUEST: malformed or too many.
 */
ngx_int_t ngx_http_delta_resume_parse(ngx_http_request_t *r,
    ngx_http_delta_resume_t **resume);

/*
 * Where the client has been, in a location of one channel: epoch is 0 unless
 * it said one.  1, or 0: it said nothing.
 */
ngx_uint_t ngx_http_delta_resume_said(ngx_http_delta_resume_t *resume,
    uint64_t *epoch, delta_position_t *position);

/* As if it had said that place, in this Redis. */
ngx_int_t ngx_http_delta_resume_from(ngx_http_request_t *r,
    ngx_http_delta_resume_t **resume, const delta_position_t *position);

/*
 * All channels are subscribed, events are parked: queues what the client has
 * missed, then calls ngx_http_delta_session_resumed().
 */
void ngx_http_delta_resume_start(ngx_http_delta_session_t *s);

/* The hub's epoch is known, or not yet again: those who wait for it go on. */
void ngx_http_delta_resume_named(ngx_http_delta_hub_t *hub);

/*
 * The Redis time in ms up to which a session that attaches now is complete:
 * what it says itself, or the hub's; 0 if there is none.
 */
uint64_t ngx_http_delta_resume_floor(ngx_http_delta_session_t *s);

/* Likewise for a live session at this point of its stream; 0: not now. */
uint64_t ngx_http_delta_resume_cursor(ngx_http_delta_session_t *s);

/*
 * Writes the member ,"cursor":"<epoch>.<ms>" of at most DELTA_CURSOR_LEN + 12
 * bytes, or nothing while no cursor is known; returns the end.
 */
u_char *ngx_http_delta_resume_member(ngx_http_delta_session_t *s, u_char *p,
    uint64_t ms);


#endif /* _NGX_HTTP_DELTA_RESUME_H_INCLUDED_ */
