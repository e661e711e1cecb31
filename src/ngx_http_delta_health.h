
/*
 * Copyright (C) Delta contributors
 *
 * delta_health: whether events reach this worker.
 */

#ifndef _NGX_HTTP_DELTA_HEALTH_H_INCLUDED_
#define _NGX_HTTP_DELTA_HEALTH_H_INCLUDED_


#include "ngx_http_delta.h"


/*
 * Content handler: 200 if the tick and the canary that were published to the
 * location's Redis have come back within its deadline, else 503; the body is
 * JSON.
 */
ngx_int_t ngx_http_delta_health_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_DELTA_HEALTH_H_INCLUDED_ */
