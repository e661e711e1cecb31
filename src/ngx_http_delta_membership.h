
/*
 * Copyright (C) Delta contributors
 *
 * Which channels a user has: the sets in Redis, read when a session attaches
 * and kept true by the user's control channel.
 */

#ifndef _NGX_HTTP_DELTA_MEMBERSHIP_H_INCLUDED_
#define _NGX_HTTP_DELTA_MEMBERSHIP_H_INCLUDED_


#include "ngx_http_delta.h"


/* The rule of a sub that none of the session's grants gave: its control. */
#define NGX_HTTP_DELTA_NO_RULE  0xff


/* One question to Redis on behalf of a load. */
typedef struct {
    ngx_http_delta_load_t       *load;
    ngx_uint_t                   rule;
    ngx_str_t                    name;  /* the channel it decides; empty: a
                                           set's members decide many */
} ngx_http_delta_question_t;

/*
 * Questions that are decided together.  It outlives a session that ends
 * before Redis has answered.
 */
struct ngx_http_delta_load_s {
    ngx_queue_t                  queue;     /* of the session */
    ngx_http_delta_session_t    *session;   /* NULL: gone */
    ngx_http_delta_channel_t    *channel;   /* one: waits for its ack */
    ngx_str_t                    name;      /* one: as asked for */
    ngx_str_t                    ref;
    ngx_uint_t                   pending;
    ngx_http_delta_question_t   *questions;

    unsigned                     one:1;     /* not the whole membership */
    unsigned                     stale:1;   /* asked before a change */
    unsigned                     failed:1;
    unsigned                     unknown:1; /* a set is not in Redis */
    unsigned                     granted:1;
};


/*
 * Reads all sets of the session, joins and leaves channels accordingly, then
 * calls ngx_http_delta_session_loaded().  Reads again if a control event came
 * in between; ends the session if Redis answers nonsense.  If a set that is
 * read through has gone, the session keeps what it has, and comes back soon.
 */
void ngx_http_delta_membership_load(ngx_http_delta_session_t *s);

/*
 * Checks the right to one channel and subscribes; answers "subscribed" when
 * Redis has acknowledged it, or "error".  ref is raw JSON or empty; name and
 * ref are copied.
 */
void ngx_http_delta_membership_ask(ngx_http_delta_session_t *s,
    ngx_str_t *name, ngx_str_t *ref);

/* The first rule whose channel or pattern that name is, or NGX_ERROR. */
ngx_int_t ngx_http_delta_membership_rule(ngx_http_delta_session_t *s,
    ngx_str_t *name);

/*
 * A load of n questions with len bytes behind them, in the session's list;
 * freed at once or with the last reply that is due.
 */
ngx_http_delta_load_t *ngx_http_delta_membership_create(
    ngx_http_delta_session_t *s, ngx_uint_t n, size_t len);
void ngx_http_delta_membership_free(ngx_http_delta_load_t *load);

/* The session ends: replies still to come will find nobody. */
void ngx_http_delta_membership_forget(ngx_http_delta_session_t *s);

/*
 * Before the upgrade: asks whether the grants' in= sets hold their channel.
 * Returns an object to cancel with, or NULL.  handler runs once unless
 * cancelled: NGX_OK, NGX_DECLINED (not a member) or NGX_ERROR.
 */
typedef void (*ngx_http_delta_check_pt)(void *data, ngx_int_t rc);

void *ngx_http_delta_membership_check(ngx_http_delta_hub_t *hub,
    ngx_http_delta_grant_t *grants, ngx_uint_t n,
    ngx_http_delta_check_pt handler, void *data);
void ngx_http_delta_membership_cancel(void *check);


#endif /* _NGX_HTTP_DELTA_MEMBERSHIP_H_INCLUDED_ */
