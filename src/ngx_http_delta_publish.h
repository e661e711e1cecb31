
/*
 * Copyright (C) Delta contributors
 *
 * delta_publish: events that are posted instead of being sent to Redis, for
 * backends without a Redis client.
 */

#ifndef _NGX_HTTP_DELTA_PUBLISH_H_INCLUDED_
#define _NGX_HTTP_DELTA_PUBLISH_H_INCLUDED_


#include "ngx_http_delta.h"


/*
 * Content handler: takes one event or a list (core/delta_post.h), holds each
 * against the contract, publishes all or none of them by FCALL delta_publish
 * and answers their ids.  Who may is up to nginx's access control.
 */
ngx_int_t ngx_http_delta_publish_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_DELTA_PUBLISH_H_INCLUDED_ */
