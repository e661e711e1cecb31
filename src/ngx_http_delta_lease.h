
/*
 * Copyright (C) Delta contributors
 *
 * A session's claim to be online, kept in Redis: opened or resumed when the
 * session attaches, left when it ends.  docs/presence.md has the contract.
 */

#ifndef _NGX_HTTP_DELTA_LEASE_H_INCLUDED_
#define _NGX_HTTP_DELTA_LEASE_H_INCLUDED_


#include "ngx_http_delta.h"


#define NGX_HTTP_DELTA_SID_MAX     64       /* bytes of a session's id */
#define NGX_HTTP_DELTA_LEASE_TEXT  (NGX_HTTP_DELTA_SID_MAX + 128)

#define NGX_HTTP_DELTA_STATUS_MAX   64      /* bytes, as in presence.lua */
#define NGX_HTTP_DELTA_PROJECT_MAX  128


struct ngx_http_delta_lease_s {
    ngx_queue_t                  queue;     /* of the hub: live or leaving */
    ngx_http_delta_hub_t        *hub;
    ngx_http_delta_loc_conf_t   *conf;
    ngx_http_delta_session_t    *session;   /* NULL: it is over */
    ngx_uint_t                   calls;     /* not answered yet */
    uint64_t                     gen;
    ngx_msec_t                   refreshed;
    ngx_msec_t                   added;     /* to the index */
    ngx_msec_t                   until;     /* over: can be resumed */
    ngx_str_t                    key;       /* delta:{presence:<user>} */
    ngx_str_t                    channel;   /* in it */
    ngx_str_t                    user;      /* in it */
    ngx_str_t                    sid;
    ngx_str_t                    status;
    ngx_str_t                    project;
    unsigned                     asking:1;  /* for a lease */
    unsigned                     opened:1;
    unsigned                     queued:1;
    unsigned                     tried:1;   /* the client's token, in vain */
    unsigned                     resumed:1;
    unsigned                     failed:1;  /* Redis refuses */
    unsigned                     replaced:1;
    unsigned                     unsaid:1;  /* a status, since it was asked */
    u_char                      *texts;     /* of both, once one is set */
};

#define ngx_http_delta_lease_window(lease)                                    \
    ((lease)->conf->presence_lease + (lease)->conf->resume_window)


/*
 * The session has its channels.  NGX_OK: it has a lease, or needs none;
 * NGX_AGAIN: ngx_http_delta_session_leased() is called when it has.
 */
ngx_int_t ngx_http_delta_lease_open(ngx_http_delta_session_t *s);

/* Whether it is a session of before that goes on. */
ngx_uint_t ngx_http_delta_lease_resumed(ngx_http_delta_session_t *s);

/*
 * Writes the members resume_token and resume_window_ms, each with a comma
 * before it, of at most NGX_HTTP_DELTA_LEASE_TEXT bytes, or nothing.
 */
u_char *ngx_http_delta_lease_member(ngx_http_delta_session_t *s, u_char *p);

/* A control event "replaced": the session goes on elsewhere. */
void ngx_http_delta_lease_fence(ngx_http_delta_channel_t *channel,
    delta_event_t *event);

/* A lease of that session, not opened yet; NULL: out of memory. */
ngx_http_delta_lease_t *ngx_http_delta_lease_create(
    ngx_http_delta_session_t *s);

/*
 * Calls a function with the lease's key, that of last_seen, the channel and n
 * more arguments, at most 6.
 */
ngx_int_t ngx_http_delta_lease_call(ngx_http_delta_lease_t *lease,
    const char *function, ngx_http_delta_reply_pt handler, ngx_uint_t n,
    ngx_str_t *args);

/* Redis's word about a lease of ours: "gone" or "replaced". */
void ngx_http_delta_lease_lost(ngx_http_delta_lease_t *lease,
    const char *what);

/* How long the client was not heard, in ms. */
ngx_msec_t ngx_http_delta_lease_silent(ngx_http_delta_session_t *s);

/* Tells Redis that it is over; again when Redis is back, if not now. */
void ngx_http_delta_lease_part(ngx_http_delta_lease_t *lease);

/* Frees it if nobody needs it any more. */
void ngx_http_delta_lease_done(ngx_http_delta_lease_t *lease);

/* The session ends; s->final: for good, else it can be resumed for a while. */
void ngx_http_delta_lease_leave(ngx_http_delta_session_t *s);


#endif /* _NGX_HTTP_DELTA_LEASE_H_INCLUDED_ */
