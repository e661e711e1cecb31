
/*
 * Copyright (C) Delta contributors
 *
 * What a user says of itself: the status that friends are told.
 */

#ifndef _NGX_HTTP_DELTA_STATUS_H_INCLUDED_
#define _NGX_HTTP_DELTA_STATUS_H_INCLUDED_


#include "ngx_http_delta.h"
#include "ngx_http_delta_redis.h"


/*
 * The status from now on.  NGX_DECLINED: this session has no presence;
 * NGX_ABORT: not a status that friends could be told.
 */
ngx_int_t ngx_http_delta_status(ngx_http_delta_session_t *s,
    ngx_str_t *status, ngx_str_t *project);

/* What Redis answers to a resume: the status that the session had. */
void ngx_http_delta_status_resumed(ngx_http_delta_lease_t *lease,
    redisReply *reply);

/* Tells Redis what was set; if it is away, later. */
ngx_int_t ngx_http_delta_status_say(ngx_http_delta_lease_t *lease);


#endif /* _NGX_HTTP_DELTA_STATUS_H_INCLUDED_ */
