
/*
 * Copyright (C) Delta contributors
 *
 * Sets that were read through, while sessions live: kept in Redis, and whether
 * they are whole.
 */

#ifndef _NGX_HTTP_DELTA_KEEP_H_INCLUDED_
#define _NGX_HTTP_DELTA_KEEP_H_INCLUDED_


#include "ngx_http_delta_redis.h"


/* The member of a set by which it is known to be whole; no id can be it. */
#define NGX_HTTP_DELTA_WHOLE  "(whole)"


/*
 * Of an answer about a set, is the set whole?  one: that of SMISMEMBER with
 * the marker behind an id; else of SRANDMEMBER, whole also if it is more than
 * most, of which the marker need not be one.
 */
ngx_uint_t ngx_http_delta_keep_whole(redisReply *reply, ngx_uint_t one,
    ngx_uint_t most);
ngx_uint_t ngx_http_delta_keep_marker(redisReply *member);

void ngx_http_delta_keep_init(ngx_http_delta_hub_t *hub);

/* From now on the session's sets are kept, if it has any; until it ends. */
void ngx_http_delta_keep_hold(ngx_http_delta_session_t *s);
void ngx_http_delta_keep_release(ngx_http_delta_session_t *s);

/* Once a second: lets the sets of sessions that are due live longer. */
void ngx_http_delta_keep_tick(ngx_http_delta_hub_t *hub);


#endif /* _NGX_HTTP_DELTA_KEEP_H_INCLUDED_ */
