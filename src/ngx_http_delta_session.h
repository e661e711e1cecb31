
/*
 * Copyright (C) Delta contributors
 *
 * A session's life: open, attach (control channel, membership, channels),
 * live, and close, which is the only way out.
 */

#ifndef _NGX_HTTP_DELTA_SESSION_H_INCLUDED_
#define _NGX_HTTP_DELTA_SESSION_H_INCLUDED_


#include "ngx_http_delta.h"


/* name, close code, counter, whole sentence */
#define NGX_HTTP_DELTA_CLOSES(X)                                              \
    X(LOGOUT,    1000, LOGOUT,    "Logged out.")                              \
    X(INTERNAL,  1011, INTERNAL,  "The gateway could not go on.")             \
    X(DRAIN,     4001, DRAIN,     "The gateway restarts, please reconnect.")  \
    X(REREAD,    4001, DRAIN,     "The memberships must be read anew.")       \
    X(HEARTBEAT, 4002, HEARTBEAT, "Nothing was heard for too long.")          \
    X(SLOW,      4003, SLOW,      "The connection is too slow.")              \
    X(RATE,      4004, RATE,      "Too many commands.")                       \
    X(EXPIRED,   4005, EXPIRED,   "The token has expired.")                   \
    X(REVOKED,   4501, REVOKED,   "The access was revoked.")                 \
    X(REPLACED,  4502, REPLACED,  "The session goes on elsewhere.")

typedef enum {
#define X(name, code, metric, text)  NGX_HTTP_DELTA_CLOSE_##name,
    NGX_HTTP_DELTA_CLOSES(X)
#undef X
    NGX_HTTP_DELTA_NCLOSES
} ngx_http_delta_close_e;


/* Wires the hub's upward pointers to sessions. */
void ngx_http_delta_session_init(ngx_http_delta_hub_t *hub);

/*
 * A session in a pool of its own for a request whose identity and grants are
 * settled.  It ends with the request.  NULL: out of memory.
 */
ngx_http_delta_session_t *ngx_http_delta_session_create(ngx_http_request_t *r,
    const ngx_http_delta_transport_t *transport);

/* Lets the transport answer, then attaches. */
void ngx_http_delta_session_open(ngx_http_delta_session_t *s);

/* Says something to this client alone: t and the text of d. */
void ngx_http_delta_session_send(ngx_http_delta_session_t *s, const char *t,
    ngx_str_t *d);

/* As session_send, for an event at hand, whose reference it takes. */
void ngx_http_delta_session_push(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event);

/*
 * The session is over: it leaves everything it was part of; its memory goes
 * with the request's pool.  For transports, before they finalize.
 */
void ngx_http_delta_session_end(ngx_http_delta_session_t *s);

/* The transport cannot write on, or can again; delta_queue's age runs. */
void ngx_http_delta_session_blocked(ngx_http_delta_session_t *s,
    ngx_uint_t blocked);

/* It has its lease, or does without. */
void ngx_http_delta_session_leased(ngx_http_delta_session_t *s);

/* All logs were read: what was parked follows. */
void ngx_http_delta_session_resumed(ngx_http_delta_session_t *s);

/* All that was asked about membership is answered: go on with the attach. */
void ngx_http_delta_session_loaded(ngx_http_delta_session_t *s);

/*
 * The only way out.  Marks the session; what remains to be said is said at
 * the end of the turn.  Every call but the first is without effect.
 */
void ngx_http_delta_session_close(ngx_http_delta_session_t *s,
    ngx_http_delta_close_e why);

/* The same for what the transport found: its code and sentence. */
void ngx_http_delta_session_close_code(ngx_http_delta_session_t *s,
    ngx_uint_t code, const char *reason, ngx_uint_t metric);

/* Something was heard from the client. */
#define ngx_http_delta_session_heard(s)  (s)->heard = ngx_time()

/* Handler of the worker's flush event: every marked session writes. */
void ngx_http_delta_session_flush_handler(ngx_event_t *ev);


#endif /* _NGX_HTTP_DELTA_SESSION_H_INCLUDED_ */
