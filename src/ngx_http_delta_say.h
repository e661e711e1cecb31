
/*
 * Copyright (C) Delta contributors
 *
 * What the gateway itself has to say to a client.
 */

#ifndef _NGX_HTTP_DELTA_SAY_H_INCLUDED_
#define _NGX_HTTP_DELTA_SAY_H_INCLUDED_


#include "ngx_http_delta.h"


/* As session_send, but before all that is queued; nothing is in flight. */
void ngx_http_delta_say_first(ngx_http_delta_session_t *s, const char *t,
    ngx_str_t *d);

/* The first event of all: who it is, its channels, where its stream begins;
 * then resumed, if it is a session of before. */
void ngx_http_delta_say_ready(ngx_http_delta_session_t *s);

/*
 * Answers a command by an error; code and message need no JSON escapes, ref
 * is raw JSON, empty or NULL.
 */
void ngx_http_delta_say_error(ngx_http_delta_session_t *s,
    const char *code, const char *message, ngx_str_t *ref);

/* why something is missing: name, counter, word in the protocol */
#define NGX_HTTP_DELTA_RESYNCS(X)                                             \
    X(GAP,   HISTORY_GAP, "history_gap")                                      \
    X(MANY,  TOO_MANY,    "too_many")                                         \
    X(EPOCH, EPOCH,       "epoch_changed")                                    \
    X(SLOW,  SLOW,        "slow")

typedef enum {
#define X(name, metric, text)  NGX_HTTP_DELTA_RESYNC_##name,
    NGX_HTTP_DELTA_RESYNCS(X)
#undef X
} ngx_http_delta_resync_e;

/*
 * Something of the channel (NULL: of all) is missing: to be fetched anew, at
 * once, or when many are told in one second, when after_ms have passed.
 */
void ngx_http_delta_say_resync(ngx_http_delta_session_t *s, ngx_str_t *channel,
    ngx_http_delta_resync_e why);

/* Something of the channel may be missing: its members must fetch anew. */
void ngx_http_delta_say_unproven(ngx_http_delta_channel_t *channel);


#endif /* _NGX_HTTP_DELTA_SAY_H_INCLUDED_ */
